//! Distributions: what isn't a sum: medians and percentiles of the deals won, and the days in each stage.

use std::collections::BTreeMap;

use super::figure::{Absent, Figure, Quantity, Ratio};

/// The deals won in a window, one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WonDeals<'a> {
    /// Days from opening to closing, in any order.
    pub cycle_days: Vec<i32>,
    /// The subject's parts of the amounts that are known, in any order.
    pub amounts_e4: Vec<i64>,
    /// Σ of the same deals' whole amounts.
    pub whole_amount_e4: i128,
    /// By stage: the days that deals spent in it, over those that were in it. None: no stage is known.
    pub stages: BTreeMap<Option<&'a str>, StageDays>,
}

/// Days in a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageDays {
    pub days: i64,
    pub deal_count: i64,
}

// === impl WonDeals ===

impl WonDeals<'_> {
    /// The median amount: the midpoint of the two in the middle.
    pub fn median_amount(&self) -> Figure {
        let absent = if self.cycle_days.is_empty() { Absent::NoDealWon } else { Absent::NoAmountKnown };
        let mut amounts_e4 = self.amounts_e4.clone();
        let count = amounts_e4.len();
        if count == 0 {
            return Err(absent);
        }
        let whole = |e4: i64| Ratio::whole(Quantity::AmountE4(e4.into()));
        let (below, &mut upper, _) = amounts_e4.select_nth_unstable(count / 2);
        let lower = if count.is_multiple_of(2) { below.iter().copied().max() } else { None };
        Ok(match lower {
            Some(lower) if lower != upper => whole(lower).midpoint(&whole(upper)),
            _ => whole(upper),
        })
    }

    /// The mean of the whole deals whose shares the average counts.
    pub fn mean_whole_deal(&self) -> Figure {
        let absent = if self.cycle_days.is_empty() { Absent::NoDealWon } else { Absent::NoAmountKnown };
        let priced_count = self.amounts_e4.len() as i64;
        Ratio::new(Quantity::AmountE4(self.whole_amount_e4), priced_count).ok_or(absent)
    }

    /// The cycle days at or below which so many of a hundred deals lie: nearest rank.
    pub fn cycle_days_percentile(&self, percent: usize) -> Option<i32> {
        nearest_rank(self.cycle_days.clone(), percent)
    }
}

// === impl StageDays ===

impl StageDays {
    pub fn mean(&self) -> Figure {
        Ratio::new(Quantity::Count(self.days), self.deal_count).ok_or(Absent::NoDealWon)
    }
}

/// The value of rank ⌈percent · n / 100⌉. None of none.
pub fn nearest_rank<T: Copy + Ord>(mut all: Vec<T>, percent: usize) -> Option<T> {
    let rank = (percent * all.len()).div_ceil(100).max(1);
    (rank <= all.len()).then(|| *all.select_nth_unstable(rank - 1).1)
}

/// The same of values that come so many times each.
pub fn nearest_rank_of_counts<T: Copy + Ord>(mut counts: Vec<(T, i64)>, percent: i64) -> Option<T> {
    // What comes in a few orders, one after the other, this puts in one faster than an unstable sort.
    counts.sort_by_key(|(value, _)| *value);
    let total: i64 = counts.iter().map(|(_, count)| count).sum();
    let rank = (percent * total + 99).div_euclid(100).max(1);
    let mut seen = 0;
    counts.iter().find_map(|&(value, count)| {
        seen += count;
        (rank <= seen).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kpi::position::median;

    #[test]
    fn percentiles_by_hand() {
        for (days, percent, expected) in [
            (vec![], 50, None),
            (vec![7], 50, Some(7)),
            (vec![7], 90, Some(7)),
            (vec![9, 1], 50, Some(1)), // the lower of the two
            (vec![1, 2, 3], 50, Some(2)),
            (vec![10, 9, 8, 7, 6, 5, 4, 3, 2, 1], 90, Some(9)),
            (vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 90, Some(10)),
        ] {
            let deals = WonDeals { cycle_days: days.clone(), ..WonDeals::default() };
            assert_eq!(deals.cycle_days_percentile(percent), expected, "{days:?}");
        }
    }

    proptest! {
        /// Without an order of all: what an order of all says.
        #[test]
        fn medians_and_percentiles_are_those_of_the_sorted(
            amounts_e4 in proptest::collection::vec(-3..9i64, 0..40),
            percent in 1..=100usize,
        ) {
            let cycle_days: Vec<i32> = amounts_e4.iter().map(|&e4| e4 as i32).collect();
            let mut sorted = cycle_days.clone();
            sorted.sort_unstable();
            let rank = (percent * sorted.len()).div_ceil(100).max(1);
            let ratios = amounts_e4.iter().map(|&e4| Ratio::whole(Quantity::AmountE4(e4.into()))).collect();
            let deals = WonDeals { cycle_days, amounts_e4, ..WonDeals::default() };
            prop_assert_eq!(deals.cycle_days_percentile(percent), sorted.get(rank - 1).copied());
            let counts: Vec<(i32, i64)> = deals.cycle_days.iter().map(|&days| (days, 1)).collect();
            prop_assert_eq!(
                nearest_rank_of_counts(counts, percent as i64), deals.cycle_days_percentile(percent)
            );
            prop_assert_eq!(deals.median_amount().ok(), median(ratios));
        }
    }

    #[test]
    fn medians_by_hand() {
        for (cycle_days, amounts_e4, expected) in [
            (vec![], vec![], Err(Absent::NoDealWon)),
            (vec![3], vec![], Err(Absent::NoAmountKnown)),
            (vec![3], vec![5_0000], Ok(5.0)),
            (vec![3, 4], vec![9_0000, 4_0000], Ok(6.5)),
            (vec![3, 4], vec![1, 2], Ok(0.000_15)), // half of a ten-thousandth, exactly
            (vec![3, 4, 5], vec![1_0000, 9_0000, 2_0000], Ok(2.0)),
        ] {
            let deals = WonDeals { cycle_days, amounts_e4, ..WonDeals::default() };
            assert_eq!(deals.median_amount().map(|ratio| ratio.quotient()), expected);
        }
    }
}
