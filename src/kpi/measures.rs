//! Measures: the sums that KPIs are told from (docs/kpis.md §5).
//!
//! Invariants:
//! 1. Measures add and subtract without loss: taking out what was put in restores every bit.
//! 2. `priced_count` counts those of `count` whose amount is known in the reporting currency;
//!    `amount_e4` is their sum, in ten-thousandths.

use std::ops::{AddAssign, SubAssign};

/// So many deals and what they are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: i64,
    pub priced_count: i64,
    pub amount_e4: i128,
}

/// What happened to a subject's deals in a window: by the date of their ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    pub won: Tally,
    pub lost: Tally,
    pub expired: Tally,
    /// Of the lost ones, those that name the competitor.
    pub lost_to_competitor_count: i64,
}

// === impl Tally ===

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.priced_count += other.priced_count;
        self.amount_e4 += other.amount_e4;
    }
}
impl SubAssign for Tally {
    fn sub_assign(&mut self, other: Self) {
        self.count -= other.count;
        self.priced_count -= other.priced_count;
        self.amount_e4 -= other.amount_e4;
    }
}

// === impl Measures ===

impl AddAssign for Measures {
    fn add_assign(&mut self, other: Self) {
        self.won += other.won;
        self.lost += other.lost;
        self.expired += other.expired;
        self.lost_to_competitor_count += other.lost_to_competitor_count;
    }
}
impl SubAssign for Measures {
    fn sub_assign(&mut self, other: Self) {
        self.won -= other.won;
        self.lost -= other.lost;
        self.expired -= other.expired;
        self.lost_to_competitor_count -= other.lost_to_competitor_count;
    }
}
