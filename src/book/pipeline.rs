//! The pipeline: the deals of a scope that are open on a date, as they stood then, and what became of them
//! between two dates (docs/kpis.md §2, "Which version's attributes", and §6, 3).
//!
//! When a deal was opened and ends, and whose it is, follows from its current version: rows know that.
//! Amount, stage and probability are those of the version in force at the end of the date. Where that is the
//! current one, as it is today and where a deal has no other, rows know them too; else they are found deal by
//! deal. The expected close is the current version's.

use hashbrown::{HashMap, HashSet};

use super::Book;
use super::ask::known;
use super::chain::Kept;
use super::contribute::{expiry_of, life_of, value_on};
use super::entry::{Event, Odds, Outcome, Value};
use super::packed::{DealRef, PackedDeal, Span, TermRef};
use super::page::{Lasting, Page, Parts, Row};
use super::pages::older;
use super::pools::{OddsRef, Pools};
use super::scope::Scope;
use crate::domain::amount::{Amount, BasisPoints};
use crate::domain::calendar::{Date, Month};
use crate::domain::ids::Term;
use crate::domain::record::{DealStatus, Settings};
use crate::kpi::measures::Tally;
use crate::kpi::pipeline::{Departure, Movement, OpenDeal, Passage, PipelineFold, PipelineSum, Worth};

/// What was found about a pipeline, and the date of the oldest exchange rate among its amounts. None where
/// nothing was converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    pub found: T,
    pub oldest_rate_on: Option<Date>,
}

/// How a deal stood at the end of a date on which it was open.
struct Stood {
    /// Of the whole deal.
    value: Value,
    odds: StoodOdds,
}

enum StoodOdds {
    Pooled(OddsRef),
    /// Those of a version that isn't the current one.
    Earlier(Odds),
}

/// How likely deals are to be won: their own probability, else that of their stage.
pub(super) struct Chances(HashMap<TermRef, BasisPoints>);

/// The same, with those of pooled odds by their numbers: whoever walks many deals looks up no stage.
struct PooledChances {
    pooled: Vec<Option<BasisPoints>>,
    chances: Chances,
}

/// A scope's part of an amount, at the rates of some date.
#[derive(Clone, Copy)]
pub(super) struct Priced {
    pub amount: Option<Amount>,
    pub oldest_rate_on: Option<Date>,
}

/// Small numbers for what chances are told from: of pooled odds their own, then those of earlier versions as they
/// are met.
struct OddsNumbers<'a> {
    pooled: &'a [Odds],
    earlier: Vec<Odds>,
    numbers: HashMap<Odds, usize>,
}

// === impl OddsNumbers ===

impl<'a> OddsNumbers<'a> {
    fn new(pools: &'a Pools) -> Self {
        Self { pooled: pools.odds.values(), earlier: Vec::new(), numbers: HashMap::new() }
    }

    fn number(&mut self, odds: &StoodOdds) -> usize {
        match *odds {
            StoodOdds::Pooled(pooled) => pooled.index(),
            StoodOdds::Earlier(odds) => *self.numbers.entry(odds).or_insert_with(|| {
                self.earlier.push(odds);
                self.pooled.len() + self.earlier.len() - 1
            }),
        }
    }

    fn odds(&self, number: usize) -> Odds {
        match number.checked_sub(self.pooled.len()) {
            None => self.pooled[number],
            Some(earlier) => self.earlier[earlier],
        }
    }
}

// === impl Chances ===

impl Chances {
    pub fn new(book: &Book, settings: &Settings) -> Self {
        let terms = &book.records.dictionary.terms;
        let probabilities = settings.stage_probabilities.iter();
        Self(probabilities.filter_map(|(stage, bps)| Some((terms.get(stage.as_str())?, *bps))).collect())
    }

    pub fn of(&self, odds: Odds) -> Option<BasisPoints> {
        odds.probability.or_else(|| self.0.get(&odds.stage?).copied())
    }
}

// === impl PooledChances ===

impl PooledChances {
    fn new(book: &Book, settings: &Settings) -> Self {
        let chances = Chances::new(book, settings);
        let pooled = book.pools.odds.values().iter().map(|&odds| chances.of(odds)).collect();
        Self { pooled, chances }
    }

    fn of(&self, odds: &StoodOdds) -> Option<BasisPoints> {
        match *odds {
            StoodOdds::Pooled(pooled) => self.pooled[pooled.index()],
            StoodOdds::Earlier(odds) => self.chances.of(odds),
        }
    }
}

// === impl Book ===

impl Book {
    /// The deals that are open at the end of `as_of`, at the rates of `rates_on`: those in one of `stages`,
    /// or all where none is named.
    pub fn pipeline(
        &self,
        scope: &Scope,
        stages: &[Option<Term>],
        as_of: Date,
        rates_on: Date,
        expiring_days: i32,
    ) -> Found<PipelineFold<Option<&str>>> {
        let terms = &self.records.dictionary.terms;
        let asked: HashSet<Option<TermRef>> = known(stages, |stage: &Term| terms.get(stage.as_str()));
        let mut sum = PipelineSum::new(as_of, expiring_days);
        let mut numbers = OddsNumbers::new(&self.pools);
        let mut oldest_rate_on = None;
        let by_sums = stages.is_empty();
        if by_sums {
            self.lasting(scope, as_of).for_each(|lasting| lasting.add_to(&mut sum));
        }
        let mut add = |_, stood: &Stood, deal: &OpenDeal| {
            if stages.is_empty() || asked.contains(&self.odds(&stood.odds).stage) {
                sum.add(numbers.number(&stood.odds), deal);
                oldest_rate_on = older(oldest_rate_on, stood.value.oldest_rate_on());
            }
        };
        if by_sums {
            self.each_stood_deal(self.ends_beside_lasting(scope, as_of, as_of), as_of, rates_on, &mut add);
        } else {
            self.each_stood_deal(self.pages.open(&self.pools, scope, as_of), as_of, rates_on, &mut add);
        }
        let chances = self.settings().map(|settings| Chances::new(self, settings));
        let found = sum.fold(|number| {
            let odds = numbers.odds(number);
            let stage = odds.stage.map(|stage| terms.name(stage));
            (stage, chances.as_ref().and_then(|chances| chances.of(odds)))
        });
        Found { found, oldest_rate_on }
    }

    /// What the deals of a scope are worth that are open at the end of `as_of`, at the rates of `rates_on`.
    pub fn open_worth(&self, scope: &Scope, as_of: Date, rates_on: Date) -> Found<Worth> {
        let (mut worth, mut oldest_rate_on) = (Worth::default(), None);
        if let Some(settings) = self.settings() {
            if let Some(worth) = self.stock(scope, as_of, settings) {
                return Found { found: worth, oldest_rate_on: None };
            }
            let chances = PooledChances::new(self, settings);
            self.pages.open(&self.pools, scope, as_of).for_each(|(row, parts)| {
                let Some(stood) = self.stood(row, as_of, rates_on, settings) else { return };
                let amount = stood.value.amount().map(|whole| parts.of(whole));
                worth.add(amount, chances.of(&stood.odds));
                oldest_rate_on = older(oldest_rate_on, stood.value.oldest_rate_on());
            });
        }
        Found { found: worth, oldest_rate_on }
    }

    /// Walks the deals of a scope that are open at the end of `as_of`, at the rates of `rates_on`, each with
    /// the date of the oldest rate that it took.
    pub(super) fn each_open_deal(
        &self,
        scope: &Scope,
        as_of: Date,
        rates_on: Date,
        take: impl FnMut(DealRef, &OpenDeal, Option<Date>),
    ) {
        self.each_open_deal_of(self.pages.open(&self.pools, scope, as_of), as_of, rates_on, take);
    }

    /// The same of deals by the rows of their ends, that are open then.
    pub(super) fn each_open_deal_of<'a>(
        &'a self,
        ends: impl Iterator<Item = (&'a Row, Parts<'a>)>,
        as_of: Date,
        rates_on: Date,
        mut take: impl FnMut(DealRef, &OpenDeal, Option<Date>),
    ) {
        self.each_stood_deal(ends, as_of, rates_on, |number, stood, deal| {
            take(number, deal, stood.value.oldest_rate_on());
        });
    }

    /// Sums of deals that are open on a date and end in a later month, where they say all of them.
    fn lasting(&self, scope: &Scope, as_of: Date) -> impl Iterator<Item = &Lasting> {
        let pages = self.pages.range(as_of.month().next()..).filter(|_| scope.is_everything());
        pages.filter_map(move |(_, page)| page.lasting_on(as_of))
    }

    /// The ends after `since` of deals that were opened by `as_of`, but those that [`Self::lasting`] has.
    fn ends_beside_lasting<'a>(
        &'a self,
        scope: &'a Scope,
        since: Date,
        as_of: Date,
    ) -> impl Iterator<Item = (&'a Row, Parts<'a>)> {
        let is_walked = move |month: Month, page: &Page| {
            !(scope.is_everything() && as_of.month() < month && page.lasting_on(as_of).is_some())
        };
        let ends = self.pages.ending_after(is_walked, &self.pools, scope, since);
        ends.filter(move |(row, _)| row.other_on <= as_of)
    }

    /// Walks deals by the rows of their ends that are open at the end of `as_of`, each with how it stood.
    fn each_stood_deal<'a>(
        &'a self,
        ends: impl Iterator<Item = (&'a Row, Parts<'a>)>,
        as_of: Date,
        rates_on: Date,
        mut take: impl FnMut(DealRef, &Stood, &OpenDeal),
    ) {
        let Some(settings) = self.settings() else { return };
        let chances = PooledChances::new(self, settings);
        ends.for_each(|(row, parts)| {
            let Some(stood) = self.stood(row, as_of, rates_on, settings) else { return };
            // Of a deal whose host says that it is open, the row knows all.
            let (expires_on, expected_close_on) = match (row.event, row.stands_as(as_of)) {
                (Event::DealEnded(Outcome::Open), Some(stands)) => (Date::NEVER, stands.expected_close),
                (Event::DealEnded(Outcome::Expired), Some(stands)) => (row.on, stands.expected_close),
                _ => {
                    let Some(current) = self.records.deals.current(DealRef::new(row.of)) else { return };
                    (expiry_of(&current, row.other_on, settings), current.expected_close)
                }
            };
            let deal = OpenDeal {
                opened_on: row.other_on,
                expires_on: (expires_on != Date::NEVER).then_some(expires_on),
                expected_close_on,
                amount: stood.value.amount().map(|whole| parts.of(whole)),
                probability: chances.of(&stood.odds),
            };
            take(DealRef::new(row.of), &stood, &deal);
        });
    }

    /// What became of deals from the end of `since` to the end of `as_of`, both at the rates of `rates_on`.
    pub fn movement(&self, scope: &Scope, since: Date, as_of: Date, rates_on: Date) -> Found<Movement> {
        if since == as_of {
            let Found { found: Worth { deals, .. }, oldest_rate_on } =
                self.open_worth(scope, as_of, rates_on);
            let found = Movement { opening: deals, closing: deals, ..Movement::default() };
            return Found { found, oldest_rate_on };
        }
        let mut movement = Movement::default();
        let mut oldest_rate_on = None;
        let Some(settings) = self.settings() else { return Found { found: movement, oldest_rate_on } };
        for lasting in self.lasting(scope, as_of) {
            movement.add_created(lasting.opened(since.next()..));
            let mut unchanged = lasting.opened(..=since);
            for deal in lasting.changed_after(since) {
                let Some(current) = self.records.deals.current(deal) else { continue };
                if life_of(&current, settings).0 > since {
                    continue;
                }
                let mut amount_of = |deal: &PackedDeal| {
                    let value = value_on(deal.amount, rates_on, settings, &self.ground.rates);
                    oldest_rate_on = older(oldest_rate_on, value.oldest_rate_on());
                    value.amount()
                };
                let closing = amount_of(&current);
                let opening = self.as_it_stood(deal, since, settings).and_then(|then| amount_of(&then));
                unchanged -= Tally::of(closing);
                movement.add(Passage::Stayed { opening, closing });
            }
            movement.add_unchanged(unchanged);
        }
        self.ends_beside_lasting(scope, since, as_of).for_each(|(row, parts)| {
            let mut amount_on = |on| {
                let value = self.stood(row, on, rates_on, settings)?.value;
                oldest_rate_on = older(oldest_rate_on, value.oldest_rate_on());
                value.amount().map(|whole| parts.of(whole))
            };
            let departure = departure(row).filter(|_| row.on <= as_of);
            movement.add(match (row.other_on <= since, departure) {
                (true, None) => {
                    let closing = amount_on(as_of);
                    // What stands since before the first date stood so at both.
                    let opening = if row.stands_as(since).is_some() { closing } else { amount_on(since) };
                    Passage::Stayed { opening, closing }
                }
                (false, None) => Passage::Came { closing: amount_on(as_of) },
                (true, Some(departure)) => Passage::Left { departure, opening: amount_on(since) },
                (false, Some(departure)) => Passage::Passed { departure, amount: amount_on(as_of) },
            });
        });
        Found { found: movement, oldest_rate_on }
    }

    /// How the deal of an end stood at the end of a date before it.
    fn stood(&self, end: &Row, on: Date, rates_on: Date, settings: &Settings) -> Option<Stood> {
        let number = DealRef::new(end.of);
        let value_of = |deal: &PackedDeal| value_on(deal.amount, rates_on, settings, &self.ground.rates);
        let Some(stands) = end.stands_as(on) else {
            let then = self.as_it_stood(number, on, settings)?;
            let odds = Odds { stage: then.stage, probability: then.probability };
            return Some(Stood { value: value_of(&then), odds: StoodOdds::Earlier(odds) });
        };
        let value = match end.value() {
            // The same at the rates of any day.
            value @ (Value::Unknown | Value::Own(_)) => value,
            Value::Unconverted(_) | Value::Converted { .. } => value_of(&self.records.deals.current(number)?),
        };
        Some(Stood { value, odds: StoodOdds::Pooled(stands.odds) })
    }

    fn odds(&self, odds: &StoodOdds) -> Odds {
        match *odds {
            StoodOdds::Pooled(pooled) => *self.pools.odds.value(pooled),
            StoodOdds::Earlier(odds) => odds,
        }
    }

    /// What the deal of an end was worth at the end of a date before it, whole.
    pub(super) fn open_value(&self, end: &Row, on: Date, rates_on: Date) -> Value {
        let stood = self.settings().and_then(|settings| self.stood(end, on, rates_on, settings));
        stood.map_or(Value::Unknown, |stood| stood.value)
    }

    /// A deal as it stood at the end of a date on which it was open: the version in force then, before the
    /// first version the first. A closed one says nothing of stage and probability: the last open one
    /// before it does.
    pub(super) fn as_it_stood(&self, number: DealRef, on: Date, settings: &Settings) -> Option<PackedDeal> {
        let is_known = |kept: &Kept<Span>| settings.zone.local_date(kept.key.update_time) <= on;
        // Deleted versions have no content.
        let content = |kept: Kept<Span>| self.records.deals.content(&kept);
        let known = self.records.deals.in_force(number).rev().skip_while(|kept| !is_known(kept));
        let mut backwards = known.filter_map(content);
        let mut then = backwards.next().or_else(|| self.records.deals.in_force(number).find_map(content))?;
        if then.status != DealStatus::Open {
            let open = backwards.find(|earlier| earlier.status == DealStatus::Open);
            then.stage = open.as_ref().and_then(|open| open.stage);
            then.probability = open.and_then(|open| open.probability);
        }
        Some(then)
    }

    pub(super) fn priced(
        &self,
        then: &PackedDeal,
        parts: Parts<'_>,
        rates_on: Date,
        settings: &Settings,
    ) -> Priced {
        let value = value_on(then.amount, rates_on, settings, &self.ground.rates);
        let amount = value.amount().map(|whole| parts.of(whole));
        Priced { amount, oldest_rate_on: value.oldest_rate_on() }
    }
}

/// How a deal ends. None: it doesn't.
fn departure(end: &Row) -> Option<Departure> {
    match end.event {
        Event::DealEnded(Outcome::Won) => Some(Departure::Won),
        Event::DealEnded(Outcome::Lost | Outcome::LostToCompetitor) => Some(Departure::Lost),
        Event::DealEnded(Outcome::Expired) => Some(Departure::Expired),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::book::board::tests::{Asked, asked, config};
    use crate::book::histories::{apply, currency, id, noon, plain_deal, plain_settings, scope};
    use crate::book::scope::Desks;
    use crate::book::small_tenant::history;
    use crate::domain::amount::Money;
    use crate::domain::calendar::date;
    use crate::domain::record::{Deal, Expiry, Record, State, Version, VersionKey};
    use crate::domain::subject::Subject;

    /// An open deal, and how it was changed.
    #[derive(Clone, Debug)]
    struct Offer {
        opened: i32,
        first_units: Option<i64>,
        /// On which day, and what it is worth from then on.
        changed: Option<(i32, Option<i64>)>,
        expires: Option<i32>,
        expected_close: Option<i32>,
        stage: Option<&'static str>,
    }

    fn offer() -> impl Strategy<Value = Offer> {
        let units = || proptest::option::weighted(0.9, 1..5i64);
        let changed = proptest::option::of((0..50i32, units()));
        let later = || proptest::option::of(select(vec![20, 70, 89, 90, 91, 120]));
        let stage = proptest::option::of(select(vec!["lead", "offer"]));
        (0..50i32, units(), changed, later(), later(), stage).prop_map(
            |(opened, first_units, changed, expires, expected_close, stage)| Offer {
                opened,
                first_units,
                changed,
                expires: expires.map(|days| opened + days),
                expected_close: expected_close.map(|days| opened + days),
                stage,
            },
        )
    }

    // === impl Offer ===

    impl Offer {
        fn versions(&self, number: usize) -> Vec<Version> {
            let day = |day: i32| date("2024-01-01").plus_days(day);
            let at = |on: i32| noon(&day(on).to_string());
            let version = |on: i32, units: Option<i64>| {
                let money = |units: i64| Money {
                    amount: Amount::try_from_e4(units * 10_000).expect("a small amount"),
                    currency: currency("USD"),
                };
                let deal = Deal {
                    amount: units.map(money),
                    stage: self.stage.map(|stage| Term::try_new(stage).expect("a term")),
                    expected_close: self.expected_close.map(day),
                    expiry: self.expires.map(|expires| Expiry::At(at(expires))),
                    ..plain_deal(at(self.opened), DealStatus::Open)
                };
                let key = VersionKey { update_time: at(on), sequence: 0 };
                Version { key, record: Record::Deal(id(&format!("d{number}")), State::Present(deal)) }
            };
            let changed = self.changed.map(|(after, units)| version(self.opened + after, units));
            [version(self.opened, self.first_units)].into_iter().chain(changed).collect()
        }
    }

    proptest! {
        #![proptest_config(config())]

        /// Deals that stay open, some of them changed, some of them protected for a while: what is told from sums.
        #[test]
        fn offers_are_told_from_sums_as_they_are_walked(
            offers in vec(offer(), 1..12), on in 100..150i32, ago in vec(0..120i32, 4), days in 1..60i32,
        ) {
            let mut book = Book::default();
            let key = VersionKey { update_time: noon("2024-01-01"), sequence: 0 };
            apply(&mut book, vec![Version { key, record: Record::Settings(plain_settings()) }]);
            let on = date("2024-01-01").plus_days(on);
            for (number, offer) in offers.iter().enumerate() {
                apply(&mut book, offer.versions(number));
                let everything = scope(&book, &Subject::Tenant).expect("the tenant is known");
                let walked = all_desks(&book, &everything);
                let later = book.pages.range(on.month().next()..).count();
                prop_assert_eq!(book.lasting(&everything, on).count(), later);
                prop_assert_eq!(
                    book.pipeline(&everything, &[], on, on, days),
                    book.pipeline(&walked, &[], on, on, days)
                );
                for ago in &ago {
                    let since = on.plus_days(-*ago);
                    prop_assert_eq!(
                        book.movement(&everything, since, on, on),
                        book.movement(&walked, since, on, on)
                    );
                }
            }
        }
    }

    /// Everything, as it is walked.
    fn all_desks(book: &Book, everything: &Scope) -> Scope {
        let desks = book.pools.desks.those(|_| true);
        let count = desks.len();
        Scope { desks: Some(Desks::new(desks, count)), ..everything.clone() }
    }

    proptest! {
        #![proptest_config(config())]

        /// After every batch, whatever it holds: also where sums don't say all.
        #[test]
        fn sums_say_what_walking_the_open_deals_says(history in history(), asked in vec((asked(), 0..60i32), 3)) {
            let mut book = Book::default();
            for batch in history {
                apply(&mut book, batch);
                let Some(everything) = scope(&book, &Subject::Tenant) else { continue };
                let walked = all_desks(&book, &everything);
                for (Asked { premises, window, .. }, days) in &asked {
                    let last = book.pages.range(..).map(|(month, _)| month).filter(|month| *month < Month::NEVER).last();
                    // On the day itself, and when everything that was sent has come.
                    for on in [window.as_of, last.map_or(window.as_of, |month| month.last_day())] {
                        let rates_on = premises.exchange.rates_of_stock(on);
                        prop_assert_eq!(
                            book.pipeline(&everything, &[], on, rates_on, *days),
                            book.pipeline(&walked, &[], on, rates_on, *days)
                        );
                        for since in [on, on.plus_days(-*days), on.plus_days(-20 * *days)] {
                            let since = since.max(Date::FIRST);
                            prop_assert_eq!(
                                book.movement(&everything, since, on, rates_on),
                                book.movement(&walked, since, on, rates_on)
                            );
                        }
                    }
                }
                book.pages.verify(&book.pools);
            }
        }
    }
}
