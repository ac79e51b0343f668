//! Lasting: the deals that end in a month, or never, as they stand until then. What the pipeline of everyone says of
//! them on an earlier day is told from a few sums by day, not deal by deal. Told when it is first asked for, and kept
//! with every change from then on.
//!
//! Invariant, checked by `Page::verify` in tests: it is what the rows of ends say.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use super::{Page, Row};
use crate::book::entry::{Entry, Event, Outcome, Value};
use crate::book::packed::DealRef;
use crate::book::pools::{OddsRef, Pooled};
use crate::domain::calendar::Date;
use crate::kpi::measures::Tally;
use crate::kpi::pipeline::PipelineSum;

/// Deals once and whole, by what is told of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lasting {
    by_odds: BTreeMap<OddsRef, Tally>,
    by_opening: BTreeMap<Date, Tally>,
    by_expected_close: BTreeMap<Date, Tally>,
    /// Those without a limit on [`Date::NEVER`].
    by_expiry: BTreeMap<Date, Tally>,
    /// Of those that are expected to close after it.
    by_expiry_before_close: BTreeMap<Date, Tally>,
    /// From which day on each stands so.
    since: BTreeSet<(Date, DealRef)>,
    /// Those of which the rows don't say all: ended by their host, or with an amount in a foreign currency.
    untold_count: i64,
}

/// A deal of the page's ends.
struct Ending {
    number: DealRef,
    event: Event,
    on: Date,
    opened_on: Date,
    value: Value,
    stands: Option<Standing>,
}

struct Standing {
    since: Date,
    odds: OddsRef,
    expected_close: Option<Date>,
}

// === impl Ending ===

impl Ending {
    fn of_row(end: &Row) -> Self {
        let stands = end.stands_since().zip(end.stands_as(Date::NEVER));
        let stands = stands.map(|(since, stands)| Standing {
            since,
            odds: stands.odds,
            expected_close: stands.expected_close,
        });
        let number = DealRef::new(end.of);
        Self { number, event: end.event, on: end.on, opened_on: end.other_on, value: end.value(), stands }
    }

    /// None for another event than an end.
    fn of_entry(pooled: Pooled, entry: &Entry) -> Option<Self> {
        let stands = entry.terms.zip(pooled.odds);
        let stands = stands.map(|(terms, odds)| Standing {
            since: terms.since,
            odds,
            expected_close: terms.expected_close,
        });
        let &Entry { event, of, on, other_on, value, .. } = entry;
        matches!(event, Event::DealEnded(_)).then(|| Self {
            number: DealRef::new(of),
            event,
            on,
            opened_on: other_on,
            value,
            stands,
        })
    }
}

// === impl Lasting ===

impl Lasting {
    pub(super) fn of(page: &Page) -> Self {
        let mut lasting = Self::default();
        let ends = page.ended.rows().filter(|row| row.part == 0);
        ends.for_each(|row| lasting.add(&Ending::of_row(row), false));
        lasting
    }

    /// Adds an entry, or takes it out.
    pub(super) fn note(&mut self, pooled: Pooled, entry: &Entry, is_taken_out: bool) {
        if let Some(ending) = Ending::of_entry(pooled, entry) {
            self.add(&ending, is_taken_out);
        }
    }

    fn add(&mut self, ending: &Ending, is_taken_out: bool) {
        let &Ending { number, event, on, opened_on, value, ref stands } = ending;
        let is_open = matches!(event, Event::DealEnded(Outcome::Open | Outcome::Expired));
        let told = stands.as_ref().filter(|_| is_open && value.foreign_currency().is_none());
        let Some(&Standing { since, odds, expected_close }) = told else {
            self.untold_count += if is_taken_out { -1 } else { 1 };
            return;
        };
        let mut deal = Tally::default();
        if is_taken_out {
            deal -= Tally::of(value.amount());
            self.since.remove(&(since, number));
        } else {
            deal += Tally::of(value.amount());
            self.since.insert((since, number));
        }
        add(&mut self.by_odds, odds, deal);
        add(&mut self.by_opening, opened_on, deal);
        if let Some(expected_close) = expected_close {
            add(&mut self.by_expected_close, expected_close, deal);
        }
        // What hasn't expired yet ends on the day on which it does.
        add(&mut self.by_expiry, on, deal);
        if expected_close.is_some_and(|expected_close| on < expected_close) {
            add(&mut self.by_expiry_before_close, on, deal);
        }
    }

    /// Whether all its deals are open on a date before the month, and stand then as they are told here.
    pub(super) fn is_told_on(&self, on: Date) -> bool {
        self.untold_count == 0
            && self.since.last().is_none_or(|(since, _)| *since <= on)
            && self.by_opening.last_key_value().is_none_or(|(opened_on, _)| *opened_on <= on)
    }

    pub fn add_to(&self, sum: &mut PipelineSum) {
        self.by_odds.iter().for_each(|(odds, &deals)| sum.add_odds(odds.index(), deals));
        self.by_opening.iter().for_each(|(&on, &deals)| sum.add_opened(on, deals));
        self.by_expected_close.iter().for_each(|(&on, &deals)| sum.add_expected(on, deals));
        self.by_expiry.iter().for_each(|(&on, &deals)| sum.add_protected(limit(on), deals));
        self.by_expiry_before_close.iter().for_each(|(&on, &deals)| sum.add_expected_after_expiry(on, deals));
    }

    /// Those that were opened on some days.
    pub fn opened(&self, days: impl RangeBounds<Date>) -> Tally {
        self.by_opening.range(days).fold(Tally::default(), |mut sum, (_, deals)| {
            sum += *deals;
            sum
        })
    }

    /// Those that stood otherwise at the end of a date.
    pub fn changed_after(&self, on: Date) -> impl Iterator<Item = DealRef> {
        self.since.range((on.next(), DealRef::new(0))..).map(|&(_, deal)| deal)
    }
}

fn limit(expires_on: Date) -> Option<Date> {
    (expires_on != Date::NEVER).then_some(expires_on)
}

fn add<K: Ord + Copy>(sums: &mut BTreeMap<K, Tally>, at: K, deal: Tally) {
    let sum = sums.entry(at).or_default();
    *sum += deal;
    if *sum == Tally::default() {
        sums.remove(&at);
    }
}
