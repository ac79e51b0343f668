//! Cycles: in how many days deals were won in a month. A percentile over a year is told from them, not from deals.
//!
//! Invariant, checked by `Page::verify` in tests: a page's cycles are what its rows say.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::entry::{Entry, Event, Outcome};
use super::page::Page;
use crate::domain::calendar::Date;

/// How many deals took so many days from opening to closing.
pub(super) type DealCounts = BTreeMap<i32, i64>;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cycles {
    month: DealCounts,
    /// Also by the day of the closing.
    days: BTreeMap<(Date, i32), i64>,
}

// === impl Cycles ===

impl Cycles {
    pub fn of(page: &Page) -> Self {
        let mut cycles = Self::default();
        for row in page.ended.rows().filter(|row| row.part == 0) {
            cycles.add(row.event, row.on, row.other_on, 1);
        }
        cycles
    }

    /// Adds an entry, or, with a count of -1, takes it out.
    pub fn note(&mut self, entry: &Entry, count: i64) {
        self.add(entry.event, entry.on, entry.other_on, count);
    }

    fn add(&mut self, event: Event, closed_on: Date, opened_on: Date, count: i64) {
        if event == Event::DealEnded(Outcome::Won) {
            let cycle_days = closed_on.days_since(opened_on);
            add(&mut self.month, cycle_days, count);
            add(&mut self.days, (closed_on, cycle_days), count);
        }
    }

    /// Adds those of some days, or, without, of all.
    pub fn add_to(&self, deal_counts: &mut DealCounts, days: Option<RangeInclusive<Date>>) {
        match days {
            None => self.month.iter().for_each(|(&cycle, &count)| add(deal_counts, cycle, count)),
            Some(days) => {
                let within = (*days.start(), i32::MIN)..=(*days.end(), i32::MAX);
                self.days.range(within).for_each(|(&(_, cycle), &count)| add(deal_counts, cycle, count));
            }
        }
    }
}

fn add<K: Ord + Copy>(counts: &mut BTreeMap<K, i64>, at: K, more: i64) {
    let count = counts.entry(at).or_default();
    *count += more;
    if *count == 0 {
        counts.remove(&at);
    }
}
