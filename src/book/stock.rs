//! Stocks: what the open deals of the tenant, of a partner that has many, or of many desks as a unit has them, were
//! worth at the end of each day.
//!
//! A deal adds its worth on the day on which it is opened, changes it on the days on which a version does, and
//! takes it back on the day of its end. What is open on a date is the sum of all that came by then: neither the
//! number of deals nor how often they changed counts.
//!
//! Invariants, checked by `Stocks::verify` in tests:
//! 1. A stock that is kept is the one that would be told anew.
//! 2. It says on every date what walking the open deals says (`pipeline.rs`), by the stages' probabilities of the
//!    settings: others drop it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::Book;
use super::contribute::Entries;
use super::entry::{Event, Odds, Share, Slot, Value, part};
use super::lately::Lately;
use super::packed::{DealRef, PackedDeal, PartnerRef};
use super::page::{Parts, Row};
use super::pipeline::Chances;
use super::pools::Desk;
use super::scope::{Desks, Scope};
use crate::domain::amount::Amount;
use crate::domain::calendar::{Date, Month};
use crate::domain::premises::Roles;
use crate::domain::record::{DealStatus, Role, Settings};
use crate::kpi::pipeline::Worth;

/// Whoever has fewer open deals has them walked. Under test few, so that small histories go both ways.
const STOCK_FROM_ROWS: u32 = if cfg!(test) { 2 } else { 512 };

/// Stocks of the tenant and its partners that are kept: each takes up to some hundred kilobytes.
const STOCKS_MAX: usize = 256;

/// Those of desks. Under test few, so that some are forgotten.
const STOCKS_OF_DESKS_MAX: usize = if cfg!(test) { 2 } else { 64 };

/// Whose stock.
#[derive(Clone, Copy)]
enum Holder<'a> {
    Tenant,
    /// As far as it sourced the deals.
    Partner(PartnerRef),
    Desks(&'a Desks),
}

/// Those that were asked for.
#[derive(Default)]
pub(super) struct Stocks {
    /// The tenant's, and those of partners.
    of: Mutex<HashMap<Option<PartnerRef>, Arc<OnceLock<Stock>>>>,
    of_desks: Lately<OnceLock<Stock>, STOCKS_OF_DESKS_MAX>,
}

/// What came to a stock on each day.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stock {
    days: BTreeMap<Date, Worth>,
    /// The same by month.
    months: BTreeMap<Month, Worth>,
    /// Deals that were worth something in another currency: what they are worth hangs on the day of the rates.
    foreign_count: i64,
}

/// How a deal stood from some day on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    from: Date,
    amount: Option<Amount>,
    odds: Odds,
}

/// How a deal stood while it was open, or nothing where it was worth something in another currency.
type History = Option<SmallVec<[Step; 1]>>;

// === impl Stock ===

impl Stock {
    fn put(&mut self, on: Date, worth: Worth, is_added: bool) {
        fn put<K: Ord>(sums: &mut BTreeMap<K, Worth>, key: K, worth: Worth, is_added: bool) {
            let mut sum = sums.remove(&key).unwrap_or_default();
            if is_added {
                sum += worth;
            } else {
                sum -= worth;
            }
            if sum != Worth::default() {
                sums.insert(key, sum);
            }
        }
        put(&mut self.days, on, worth, is_added);
        put(&mut self.months, on.month(), worth, is_added);
    }

    /// Adds a deal, or takes it out. `part` is the holder's of a whole amount.
    fn note(
        &mut self,
        history: &History,
        ended_on: Date,
        part: impl Fn(Amount) -> Amount,
        chances: &Chances,
        is_added: bool,
    ) {
        let Some(steps) = history else {
            self.foreign_count += if is_added { 1 } else { -1 };
            return;
        };
        let mut steps = steps.iter().peekable();
        while let Some(Step { from, amount, odds }) = steps.next() {
            let mut worth = Worth::default();
            worth.add(amount.map(&part), chances.of(*odds));
            self.put(*from, worth, is_added);
            let until = steps.peek().map_or(ended_on, |next| next.from);
            if until != Date::NEVER {
                self.put(until, worth, !is_added);
            }
        }
    }

    /// What is open at the end of a date. None where a deal was in another currency.
    fn at(&self, on: Date) -> Option<Worth> {
        let months = self.months.range(..on.month()).map(|(_, worth)| *worth);
        let days = self.days.range(on.month().first_day()..=on).map(|(_, worth)| *worth);
        let sum = |all: Worth, worth| {
            let mut all = all;
            all += worth;
            all
        };
        (self.foreign_count == 0).then(|| months.chain(days).fold(Worth::default(), sum))
    }
}

// === impl Stocks ===

impl Stocks {
    pub fn is_empty(&mut self) -> bool {
        self.of.get_mut().is_empty() && self.of_desks.is_empty()
    }

    pub fn clear(&mut self) {
        self.of.get_mut().clear();
        self.of_desks.clear();
    }

    /// A place for a stock, unless there are too many.
    fn place(&self, holder: Holder<'_>) -> Option<Arc<OnceLock<Stock>>> {
        let holder = match holder {
            Holder::Tenant => None,
            Holder::Partner(partner) => Some(partner),
            Holder::Desks(desks) => return Some(self.of_desks.of(desks)),
        };
        let mut stocks = self.of.lock();
        if !stocks.contains_key(&holder) && stocks.len() >= STOCKS_MAX {
            return None;
        }
        Some(Arc::clone(stocks.entry(holder).or_default()))
    }

    fn kept(&self, holder: Holder<'_>) -> Option<Arc<OnceLock<Stock>>> {
        match holder {
            Holder::Tenant => self.of.lock().get(&None).map(Arc::clone),
            Holder::Partner(partner) => self.of.lock().get(&Some(partner)).map(Arc::clone),
            Holder::Desks(desks) => self.of_desks.kept(desks),
        }
    }

    /// The stock of the tenant or a partner, where it is told.
    fn get_mut(&mut self, holder: Option<PartnerRef>) -> Option<&mut Stock> {
        // Readers have a stock for as long as they have the book, which is the writer's alone now.
        Arc::get_mut(self.of.get_mut().get_mut(&holder)?)?.get_mut()
    }
}

// === impl Book ===

impl Book {
    /// What the open deals of a scope were worth at the end of a date, where a stock says that.
    pub(super) fn stock(&self, scope: &Scope, on: Date, settings: &Settings) -> Option<Worth> {
        let place = self.stocks.place(self.holder(scope, on)?)?;
        place.get_or_init(|| self.tell_stock(scope, settings)).at(on)
    }

    /// Whether a stock says it at once.
    pub(super) fn has_stock(&self, scope: &Scope, on: Date) -> bool {
        let told = |holder| {
            self.stocks.kept(holder).is_some_and(|stock| stock.get().is_some_and(|s| s.foreign_count == 0))
        };
        self.holder(scope, on).is_some_and(told)
    }

    /// Whose stock a scope is, if a stock is worth while.
    fn holder<'a>(&self, scope: &'a Scope, on: Date) -> Option<Holder<'a>> {
        let Scope { roles, slots, desks, test } = scope;
        let (holder, slot) = match (slots.as_deref(), desks) {
            (None, None) => (Holder::Tenant, None),
            (None, Some(desks)) => (Holder::Desks(desks), None),
            (Some([Some(partner)]), None) if *roles == Roles::SOURCED => {
                (Holder::Partner(*partner), Some(Some(*partner)))
            }
            (Some(_), _) => return None,
        };
        let pages = || self.pages.range(on.month()..).map(|(_, page)| page);
        let is_worth_while = pages().map(|page| page.row_count(slot)).sum::<u32>() >= STOCK_FROM_ROWS
            // Few desks' open deals are quicker walked than all of theirs told.
            && desks.as_ref().is_none_or(|desks| pages().any(|page| page.ended.has_many_of(desks)));
        (test.is_none() && is_worth_while).then_some(holder)
    }

    fn tell_stock(&self, scope: &Scope, settings: &Settings) -> Stock {
        let mut stock = Stock::default();
        let chances = Chances::new(self, settings);
        let all = self.pages.entries(&self.pools, |page| &page.ended, scope, Date::FIRST, Date::NEVER);
        all.for_each(|(row, parts): (&Row, Parts<'_>)| {
            let told_once = row.stands_as(Date::FIRST).map(|stands| *self.pools.odds.value(stands.odds));
            let history = self.history(row.of, row.other_on, row.on, row.value(), told_once, settings);
            stock.note(&history, row.on, |whole| parts.of(whole), &chances, true);
        });
        stock
    }

    /// Changes the stocks that are kept by what a batch's deals were told as, or are. `stocks` are this book's,
    /// which has lent them.
    pub(super) fn note_stocks<'a>(
        &self,
        stocks: &mut Stocks,
        deals: impl Iterator<Item = &'a Entries>,
        is_added: bool,
    ) {
        let Some(settings) = self.settings().filter(|_| !stocks.is_empty()) else { return };
        let chances = Chances::new(self, settings);
        for end in deals.flatten().filter(|entry| matches!(entry.event, Event::DealEnded(_))) {
            let told_once = end.terms.filter(|terms| terms.since == Date::FIRST).map(|terms| terms.odds);
            let history = self.history(end.of, end.other_on, end.on, end.value, told_once, settings);
            if let Some(stock) = stocks.get_mut(None) {
                stock.note(&history, end.on, |whole| whole, &chances, is_added);
            }
            let desk = Desk { owner: end.traits.owner, unit: end.traits.unit };
            // One that has no number yet is in no set.
            if let Some(desk) = self.pools.desks.number(&desk) {
                let with_desk = stocks.of_desks.iter_mut().filter(|(desks, _)| desks.contains(desk));
                for stock in with_desk.filter_map(|(_, stock)| stock.get_mut()) {
                    stock.note(&history, end.on, |whole| whole, &chances, is_added);
                }
            }
            let is_sourced = |share: &&Share| share.role == Role::Sourced;
            for slot in end.shares.iter().filter(is_sourced).map(|share: &Share| -> Slot { share.slot }) {
                if let Some(stock) = slot.and_then(|partner| stocks.get_mut(Some(partner))) {
                    let mine = |share: &Share| share.role == Role::Sourced && share.slot == slot;
                    stock.note(&history, end.on, |whole| part(whole, &end.shares, mine), &chances, is_added);
                }
            }
        }
    }

    /// How a deal stood while it was open. `value` is that of its end, `told_once` are its odds where it has one
    /// version.
    fn history(
        &self,
        deal: u32,
        opened_on: Date,
        ended_on: Date,
        value: Value,
        told_once: Option<Odds>,
        settings: &Settings,
    ) -> History {
        if opened_on >= ended_on {
            return Some(SmallVec::new());
        }
        if let Some(odds) = told_once {
            return value
                .foreign_currency()
                .is_none()
                .then(|| SmallVec::from_elem(Step { from: opened_on, amount: value.amount(), odds }, 1));
        }
        let mut steps: SmallVec<[Step; 1]> = SmallVec::new();
        let mut last_open: Option<Odds> = None;
        for kept in self.records.deals.in_force(DealRef::new(deal)) {
            let Some(PackedDeal { amount, status, stage, probability, .. }) =
                self.records.deals.content(&kept)
            else {
                continue; // a deletion says nothing
            };
            // The first one tells how it stood from the opening on, whenever it was sent.
            let sent_on = settings.zone.local_date(kept.key.update_time);
            let from = if steps.is_empty() { opened_on } else { sent_on.max(opened_on) };
            if from >= ended_on {
                break;
            }
            if amount.is_some_and(|money| money.currency != settings.reporting_currency) {
                return None;
            }
            if status == DealStatus::Open {
                last_open = Some(Odds { stage, probability });
            }
            // Closed, it says nothing of these: the last open one before it does.
            let odds = last_open.unwrap_or_default();
            if steps.last().is_some_and(|last| last.from == from) {
                steps.pop();
            }
            steps.push(Step { from, amount: amount.map(|money| money.amount), odds });
        }
        Some(steps)
    }
}

#[cfg(test)]
impl Book {
    /// Checks the invariant against stocks told anew.
    pub(super) fn verify_stocks(&self) {
        let Some(settings) = self.settings() else { return };
        let verify = |scope: &Scope, place: &OnceLock<Stock>| {
            if let Some(stock) = place.get() {
                assert_eq!(*stock, self.tell_stock(scope, settings), "the stock of {scope:?}");
            }
        };
        for (holder, place) in self.stocks.of.lock().iter() {
            let slots = holder.map(|partner| vec![Some(partner)]);
            verify(&Scope { roles: Roles::SOURCED, slots, desks: None, test: None }, place);
        }
        self.stocks.of_desks.each(|desks, place| {
            verify(
                &Scope { roles: Roles::SOURCED, slots: None, desks: Some(desks.clone()), test: None },
                place,
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::book::histories::{apply, scope};
    use crate::book::small_tenant::{currency, history, noon, plain_deal, plain_settings, subjects, windows};
    use crate::domain::amount::{BasisPoints, Money};
    use crate::domain::calendar::date;
    use crate::domain::ids::{Id, Term};
    use crate::domain::record::{Deal, Record, State, Version, VersionKey};
    use crate::domain::subject::Subject;

    #[test]
    fn other_probabilities_of_stages_count_at_once() {
        let on = date("2024-03-01");
        let key = |sequence| VersionKey { update_time: noon("2024-01-01"), sequence };
        let settings = |sequence, bps| {
            let stage_probabilities =
                [(Term::try_new("offer").unwrap(), BasisPoints::try_new(bps).unwrap())].into();
            let settings = Settings { stage_probabilities, ..plain_settings() };
            Version { key: key(sequence), record: Record::Settings(settings) }
        };
        let deal = |n: u32| {
            let money = Money { amount: Amount::try_from_e4(1_000_000).unwrap(), currency: currency("USD") };
            let open = plain_deal(noon("2024-02-01"), DealStatus::Open);
            let deal = Deal { amount: Some(money), stage: Some(Term::try_new("offer").unwrap()), ..open };
            Version {
                key: key(0),
                record: Record::Deal(Id::try_new(&format!("d{n}")).unwrap(), State::Present(deal)),
            }
        };
        let mut book = Book::default();
        apply(&mut book, [settings(0, 5_000)].into_iter().chain((0..10).map(deal)).collect());
        let weighted_e8 = |book: &Book| {
            let tenant = scope(book, &Subject::Tenant).unwrap();
            assert!(book.stock(&tenant, on, book.settings().unwrap()).is_some(), "a stock says it");
            book.open_worth(&tenant, on, on).found.weighted_e8
        };
        assert_eq!(weighted_e8(&book), 10 * 1_000_000 * 5_000);
        apply(&mut book, vec![settings(1, 2_000)]);
        assert_eq!(weighted_e8(&book), 10 * 1_000_000 * 2_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn stocks_say_what_walking_the_open_deals_says(history in history()) {
            let mut book = Book::default();
            for batch in history {
                apply(&mut book, batch);
                book.verify_stocks();
                for subject in subjects() {
                    let Some(scope) = scope(&book, &subject) else { continue };
                    for dates in windows() {
                        for on in [dates.from, dates.to, dates.to.plus_days(20)] {
                            let walked = book.pipeline(&scope, &[], on, on, 0);
                            prop_assert_eq!(
                                book.open_worth(&scope, on, on).found, walked.found.open, "{:?} {:?}", subject, on
                            );
                        }
                    }
                }
            }
        }
    }
}
