//! Season: how much better or worse prospects of a calendar month close than those of the whole year
//! (docs/kpis.md §7).
//!
//! Invariants:
//! 1. What is pooled is counts, not rates: a year with many prospects weighs more in its month.
//! 2. In the mean every calendar month weighs the same, however many prospects it has: else a busy month would
//!    be its own measure.
//!
//! Not here: which months are old enough to be judged. The book leaves out those that aren't.
//! Checked against NumPy: tests/vectors/make.py.

use super::close_rate::close_rate;
use super::figure::{Absent, Figure};
use super::standing::Cohort;
use crate::domain::calendar::Month;

/// The months of a year.
pub const MONTHS: usize = 12;

/// The month in question must be known of so many years.
const YEARS_MIN: i32 = 2;

/// By calendar month, January first.
pub type ByMonth<T> = [T; MONTHS];

/// What became of prospects by the calendar month in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Season {
    /// The age from which on a month counts.
    pub p90_cycle_days: i32,
    pub months: ByMonth<Pooled>,
}

/// One calendar month, pooled over its years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pooled {
    /// The years in which a prospect came in that month.
    pub year_count: i32,
    pub cohort: Cohort,
}

// === impl Season ===

impl Season {
    /// Of the cohorts of whole months.
    pub fn of(p90_cycle_days: i32, cohorts: impl IntoIterator<Item = (Month, Cohort)>) -> Self {
        let mut months = ByMonth::<Pooled>::default();
        for (month, cohort) in cohorts {
            // A month to which nobody came has no rate.
            if cohort.prospect_count > 0 {
                let pooled = &mut months[month.of_year()];
                pooled.year_count += 1;
                pooled.cohort += cohort;
            }
        }
        Self { p90_cycle_days, months }
    }

    /// The seasonal index of a calendar month, 0 being January.
    ///
    /// Definition: close rate of that month, pooled over its years / mean of the twelve months' rates.
    /// Unit: 1 is a month like the year; above it prospects close better.
    /// Absent unless that month is known of two years and each other one of one, and where nobody purchased.
    /// Source: docs/kpis.md, section 7.
    pub fn index(&self, month: usize) -> Result<f64, Absent> {
        if self.months[month].year_count < YEARS_MIN {
            return Err(Absent::TooFewYears);
        }
        let rate = |pooled: &Pooled| close_rate(&pooled.cohort).map(|rate| rate.quotient());
        let mut sum = 0.0;
        for pooled in &self.months {
            sum += rate(pooled).map_err(|_| Absent::TooFewYears)?;
        }
        let (own, mean) = (rate(&self.months[month])?, sum / MONTHS as f64);
        if mean > 0.0 { Ok(own / mean) } else { Err(Absent::MeanIsZero) }
    }

    /// The seasonal index of a window, by how many prospects came in it in each calendar month.
    ///
    /// Definition: Σ index of the month · prospects / Σ prospects. So it is the rate that these prospects would
    /// have if those of each month closed as they do in other years, over the mean rate.
    /// Unit: as that of a month.
    /// Absent without a prospect, and where the index of a month is in which one came.
    /// Source: docs/kpis.md, sections 7 and 13.
    pub fn index_of_window(&self, prospect_counts: &ByMonth<i64>) -> Result<f64, Absent> {
        let all: i64 = prospect_counts.iter().sum();
        if all == 0 {
            return Err(Absent::NoProspect);
        }
        let mut sum = 0.0;
        for (month, &prospect_count) in prospect_counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            sum += self.index(month)? * prospect_count as f64;
        }
        Ok(sum / all as f64)
    }
}

/// A close rate as it would be without its season.
///
/// Definition: observed rate / index of its window.
/// Unit: that of a rate; above 1 where nearly all purchased in a season in which few do.
/// Absent where one of the two is, and where the index is 0.
/// Source: docs/kpis.md, section 7.
pub fn seasonally_adjusted(observed: Figure, index: Result<f64, Absent>) -> Result<f64, Absent> {
    let (observed, index) = (observed?, index?);
    if index > 0.0 { Ok(observed.quotient() / index) } else { Err(Absent::SeasonIsZero) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::domain::calendar::Date;
    use crate::kpi::figure::{Quantity, Ratio};

    /// One of tests/vectors/season.json.
    #[derive(Deserialize)]
    struct Vector {
        name: String,
        /// Year, month (1 to 12), prospects, purchased.
        cohorts: Vec<(i32, u32, i64, i64)>,
        prospects_in_window: ByMonth<i64>,
        observed: (i64, i64),
        index_of_months: ByMonth<Option<f64>>,
        index: Option<f64>,
        adjusted: Option<f64>,
    }

    fn month(year: i32, month: u32) -> Month {
        Date::from_ymd(year, month, 1).expect("a month").month()
    }

    fn cohort(prospect_count: i64, purchased_count: i64) -> Cohort {
        Cohort { prospect_count, purchased_count, lost_count: 0 }
    }

    fn rate(purchased_count: i64, prospect_count: i64) -> Figure {
        close_rate(&cohort(prospect_count, purchased_count))
    }

    fn is_near(found: Result<f64, Absent>, expected: Option<f64>) -> bool {
        match (found, expected) {
            (Ok(found), Some(expected)) => (found - expected).abs() <= 1e-14 * expected,
            (Err(_), None) => true,
            _ => false,
        }
    }

    #[test]
    fn indices_are_those_of_numpy() {
        let vectors = include_str!("../../tests/vectors/season.json");
        let vectors: Vec<Vector> = serde_json::from_str(vectors).expect("make.py writes vectors");
        assert!(vectors.len() > 20);
        for Vector { name, cohorts, prospects_in_window, observed, index_of_months, index, adjusted } in
            vectors
        {
            let cohorts =
                cohorts.into_iter().map(|(y, m, all, purchased)| (month(y, m), cohort(all, purchased)));
            let season = Season::of(30, cohorts);
            for (at, expected) in index_of_months.into_iter().enumerate() {
                assert!(is_near(season.index(at), expected), "{name}, {at}: {:?}", season.index(at));
            }
            let found = season.index_of_window(&prospects_in_window);
            assert!(is_near(found, index), "{name}: {found:?}");
            let found = seasonally_adjusted(rate(observed.0, observed.1), found);
            assert!(is_near(found, adjusted), "{name}: {found:?}");
        }
    }

    /// Two years of a rate of 1/4 each month, and 1/2 in every March.
    fn march_is_better() -> Season {
        let cohorts = (2022..2024)
            .flat_map(|year| (1..=12).map(move |n| (month(year, n), cohort(8, if n == 3 { 4 } else { 2 }))));
        Season::of(30, cohorts)
    }

    fn came(counts: &[(usize, i64)]) -> ByMonth<i64> {
        let mut by_month = ByMonth::default();
        counts.iter().for_each(|&(month, count)| by_month[month] = count);
        by_month
    }

    #[test]
    fn index_by_hand() {
        // The mean of the twelve is (11 · 1/4 + 1/2) / 12 = 13/48.
        let season = march_is_better();
        for (counts, observed, index, adjusted) in [
            (&[(2, 5)][..], rate(3, 5), Ok(24.0 / 13.0), Ok(0.325)),
            (&[(0, 9)], rate(3, 9), Ok(12.0 / 13.0), Ok(13.0 / 36.0)),
            (&[(1, 3), (2, 1)], rate(1, 4), Ok(15.0 / 13.0), Ok(13.0 / 60.0)), // weighed 3 to 1
            (&[(2, 5)], rate(0, 5), Ok(24.0 / 13.0), Ok(0.0)),
            (&[], rate(0, 0), Err(Absent::NoProspect), Err(Absent::NoProspect)),
        ] {
            let found = season.index_of_window(&came(counts));
            assert!(is_near(found, index.ok()) && found.err() == index.err(), "{counts:?}: {found:?}");
            let found = seasonally_adjusted(observed, found);
            let expected: Result<f64, Absent> = adjusted;
            assert!(is_near(found, expected.ok()) && found.err() == expected.err(), "{counts:?}: {found:?}");
        }
    }

    #[test]
    fn years_are_pooled_by_their_prospects() {
        // One March of 1 prospect who purchased and one of 9 of whom none did: 1/10, not 1/2.
        let season = Season::of(30, [(month(2022, 3), cohort(1, 1)), (month(2023, 3), cohort(9, 0))]);
        assert_eq!(season.months[2], Pooled { year_count: 2, cohort: cohort(10, 1) });
    }

    #[test]
    fn an_index_needs_two_years_of_its_month_and_one_of_each() {
        let mut season = march_is_better();
        season.months[2].year_count = 1;
        assert_eq!(season.index(2), Err(Absent::TooFewYears));
        assert!(season.index(3).is_ok(), "one of each other month is enough");
        assert_eq!(season.index_of_window(&came(&[(2, 1), (3, 1)])), Err(Absent::TooFewYears));
        assert!(season.index_of_window(&came(&[(3, 1)])).is_ok(), "nobody came in March");
        season.months[7] = Pooled::default();
        assert_eq!(season.index(3), Err(Absent::TooFewYears));
        let nobody = Season::of(30, [(month(2022, 8), Cohort::default())]);
        assert_eq!(nobody.months[7].year_count, 0, "to that August nobody came");
    }

    #[test]
    fn what_is_0_is_no_divisor() {
        let mut season = march_is_better();
        season.months[2].cohort.purchased_count = 0;
        assert_eq!(season.index(2), Ok(0.0));
        let index = season.index_of_window(&came(&[(2, 1)]));
        assert_eq!(seasonally_adjusted(rate(1, 1), index), Err(Absent::SeasonIsZero));
        season.months.iter_mut().for_each(|pooled| pooled.cohort.purchased_count = 0);
        assert_eq!(season.index(2), Err(Absent::MeanIsZero));
    }

    proptest! {
        /// The mean of the twelve indices is 1, and a year-round window of what is like the year needs nothing.
        #[test]
        fn indices_are_about_1(rates in proptest::collection::vec((1i64..40, 1i64..40), 12), count in 1i64..9) {
            let all = rates.iter().enumerate().flat_map(|(at, &(a, b))| {
                [2022, 2023].map(|year| (month(year, at as u32 + 1), cohort(a.max(b), a.min(b))))
            });
            let season = Season::of(30, all);
            let index = season.index_of_window(&[count; MONTHS]).expect("two years of each");
            prop_assert!((index - 1.0).abs() < 1e-14);
            let observed = Ratio::new(Quantity::Count(1), 3).expect("three");
            let adjusted = seasonally_adjusted(Ok(observed), Ok(index)).expect("about a third");
            prop_assert!((adjusted - 1.0 / 3.0).abs() < 1e-14);
        }
    }
}
