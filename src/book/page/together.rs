//! Together: what happened at many desks, as a unit has them, on each day of a month, and what became of the prospects
//! that came there: to find their rows one by one would take longer than to read all. Told when it is first asked for,
//! of those asked for lately, and kept with every change from then on.
//!
//! Invariant, checked by `Page::verify` in tests: it is what the rows say.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::OnceLock;

use super::{Page, sum};
use crate::book::entry::Entry;
use crate::book::fates::{Courses, Fate, fate_of};
use crate::book::scope::Desks;
use crate::domain::calendar::{Date, DateRange};
use crate::kpi::measures::Measures;

/// Of each entry of the desks, once and whole.
#[derive(Debug, Default)]
pub(super) struct Together {
    days: OnceLock<BTreeMap<Date, Measures>>,
    courses: OnceLock<Courses>,
}

// === impl Together ===

impl Together {
    /// What happened in `dates`.
    pub fn measures(&self, page: &Page, desks: &Desks, dates: DateRange) -> Measures {
        let days = self.days.get_or_init(|| days_of(page, desks));
        sum(days.range(dates.from..dates.to).map(|(_, measures)| *measures))
    }

    /// What became by `as_of` of those that came on some days. None: of all.
    pub fn fate(&self, page: &Page, desks: &Desks, days: Option<RangeInclusive<Date>>, as_of: Date) -> Fate {
        self.courses.get_or_init(|| courses_of(page, desks)).fate(days, as_of)
    }

    /// Whether it needs no rows to say what happened.
    pub fn has_days(&self) -> bool {
        self.days.get().is_some()
    }

    /// Adds an entry, or, with a count of -1, takes it out. `measures` are what is added.
    pub fn note(&mut self, entry: &Entry, measures: Measures, count: i64) {
        if let Some(days) = self.days.get_mut() {
            *days.entry(entry.on).or_default() += measures;
        }
        if let Some((courses, outcome)) = self.courses.get_mut().zip(fate_of(entry.event, entry.is_prospect))
        {
            courses.note((entry.on, entry.other_on), &Fate::of(outcome, count));
        }
    }
}

fn days_of(page: &Page, desks: &Desks) -> BTreeMap<Date, Measures> {
    let mut days = BTreeMap::<Date, Measures>::new();
    for row in page.sheets().into_iter().flat_map(|sheet| sheet.rows()) {
        if row.part == 0 && desks.contains(row.desk) {
            *days.entry(row.on).or_default() += row.measures(row.value().amount());
        }
    }
    days
}

fn courses_of(page: &Page, desks: &Desks) -> Courses {
    let mut courses = Courses::default();
    for row in [&page.opened, &page.leads].into_iter().flat_map(|sheet| sheet.rows()) {
        if row.part == 0
            && desks.contains(row.desk)
            && let Some(outcome) = fate_of(row.event, row.is_prospect())
        {
            courses.note((row.on, row.other_on), &Fate::of(outcome, 1));
        }
    }
    courses
}

#[cfg(test)]
impl Together {
    /// Checks that it is what the page's rows say.
    pub fn verify(&self, page: &Page, desks: &Desks) {
        if let Some(days) = self.days.get() {
            let filled = |days: &BTreeMap<Date, Measures>| -> Vec<(Date, Measures)> {
                let all = days.iter().map(|(&on, &measures)| (on, measures));
                all.filter(|(_, measures)| *measures != Measures::default()).collect()
            };
            assert_eq!(filled(days), filled(&days_of(page, desks)), "{desks:?} by day");
        }
        if let Some(courses) = self.courses.get() {
            assert_eq!(*courses, courses_of(page, desks), "{desks:?} by days");
        }
    }
}
