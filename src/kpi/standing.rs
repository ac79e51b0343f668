//! Standing: all that a subject's KPIs in a window are told from.

use std::ops::{AddAssign, SubAssign};

use super::measures::Measures;
use crate::domain::calendar::DateRange;

/// A subject's sums in a window, up to its `as_of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub measures: Measures,
    /// The days of the window that have come.
    pub dates: DateRange,
    /// Deals that were open before the first of them.
    pub open_before_count: i64,
    pub cohort: Cohort,
}

/// What became by `as_of` of the prospects that came in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cohort {
    pub prospect_count: i64,
    pub purchased_count: i64,
    pub lost_count: i64,
}

/// The parts of a standing that are told beside what ended: boards of thousands tell only those asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandingParts {
    /// What was opened, and what was open before.
    pub work: bool,
    /// Leads, and prospects by their own dates.
    pub prospects: bool,
    pub cohort: bool,
}

// === impl StandingParts ===

impl StandingParts {
    pub const ENDS: Self = Self { work: false, prospects: false, cohort: false };
    pub const WORK: Self = Self { work: true, ..Self::ENDS };
    pub const PROSPECTS: Self = Self { prospects: true, ..Self::ENDS };
    pub const COHORT: Self = Self { cohort: true, ..Self::ENDS };
    pub const ALL: Self = Self { work: true, prospects: true, cohort: true };

    /// Whether these are all there.
    pub fn include(self, asked: Self) -> bool {
        (self.work || !asked.work) && (self.prospects || !asked.prospects) && (self.cohort || !asked.cohort)
    }
}

// === impl Standing ===

impl Standing {
    /// Nothing happened in these days.
    pub fn nothing(dates: DateRange) -> Self {
        Self { measures: Measures::default(), dates, open_before_count: 0, cohort: Cohort::default() }
    }

    /// Deals that were opened, open or ended in the window: whether a subject is a peer hangs on it.
    pub fn in_work_count(&self) -> i64 {
        self.open_before_count + self.measures.opened.count
    }

    /// Deals that were open at the end of the last of the days.
    pub fn open_after_count(&self) -> i64 {
        self.open_before_count + self.measures.open_count()
    }

    /// The days on which each deal was open, added up; one opened and ended on one day counts one.
    pub fn work_days(&self) -> i64 {
        self.measures.work_days(self.open_before_count, self.dates)
    }
}

impl AddAssign for Cohort {
    fn add_assign(&mut self, other: Self) {
        self.prospect_count += other.prospect_count;
        self.purchased_count += other.purchased_count;
        self.lost_count += other.lost_count;
    }
}
impl SubAssign for Cohort {
    fn sub_assign(&mut self, other: Self) {
        self.prospect_count -= other.prospect_count;
        self.purchased_count -= other.purchased_count;
        self.lost_count -= other.lost_count;
    }
}
