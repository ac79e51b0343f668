//! Cycles: how many days the tenant's deals took that were won on each day of a month. A percentile of a year is read
//! from them in microseconds.
//!
//! Invariant, checked by `Page::verify` in tests: they are what the page's rows say.

use std::collections::BTreeMap;

use super::entry::{Entry, Event, Outcome};
use super::page::Page;
use crate::domain::calendar::Date;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cycles {
    days: BTreeMap<(Date, i32), i64>,
    month: BTreeMap<i32, i64>,
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
            let days = closed_on.days_since(opened_on);
            add(&mut self.days, (closed_on, days), count);
            add(&mut self.month, days, count);
        }
    }

    /// Of all that were won in the month: the days, and how many deals took as many.
    pub fn of_month(&self) -> impl Iterator<Item = (i32, i64)> {
        self.month.iter().map(|(&days, &count)| (days, count))
    }

    /// Of those that were won from `from` to `last`: the same, some days several times.
    pub fn within(&self, from: Date, last: Date) -> impl Iterator<Item = (i32, i64)> {
        let days = self.days.range((from, i32::MIN)..=(last, i32::MAX));
        days.map(|(&(_, days), &count)| (days, count))
    }
}

fn add<K: Ord>(sums: &mut BTreeMap<K, i64>, key: K, count: i64) {
    use std::collections::btree_map::Entry::{Occupied, Vacant};
    match sums.entry(key) {
        Vacant(place) => {
            place.insert(count);
        }
        Occupied(mut sum) => {
            *sum.get_mut() += count;
            if *sum.get() == 0 {
                sum.remove();
            }
        }
    }
}
