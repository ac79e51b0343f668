//! Trend: whether a figure rises or falls over a series of buckets (docs/kpis.md §7).
//!
//! Invariants:
//! 1. Which of two figures is greater is told exactly. Only slope and p value are floats.
//! 2. A bucket without a value is a gap: time goes on in it, so the others keep their distance.
//!
//! Checked against SciPy and pymannkendall: tests/vectors/make.py.

use std::cmp::Ordering;

use super::figure::{Absent, Ratio, sort_by_about};

/// Fewer values tell no trend.
pub const VALUES_MIN: usize = 5;

/// Up to so many values without ties the p value is exact.
const EXACT_VALUES_MAX: usize = 10;

/// A trend is told where chance makes one as strong less often than this.
const SIGNIFICANCE: f64 = 0.05;

/// How a figure went over a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesTrend {
    /// Theil and Sen's, in the figure's unit.
    pub slope_per_bucket: f64,
    /// Mann and Kendall's, two-sided.
    pub p_value: f64,
    pub direction: TrendDirection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrendDirection {
    Rising,
    Falling,
    /// Neither, as far as the evidence goes.
    Flat,
}

/// The trend of a series: of each bucket its figure, None where it has none that counts.
///
/// Definition: the median of the slopes between any two of the figures (Theil and Sen), and the two-sided p
/// value of Mann and Kendall's test: exact for up to 10 figures without ties, else normal with tie and
/// continuity correction. Rising or falling where p < 0.05.
/// Unit: that of the figure, per bucket.
/// Absent with fewer than 5 figures.
/// Source: docs/kpis.md, section 7; P. K. Sen, Estimates of the Regression Coefficient Based on Kendall's Tau,
/// 1968; M. G. Kendall, Rank Correlation Methods, 1975.
pub fn trend(buckets: &[Option<Ratio>]) -> Result<SeriesTrend, Absent> {
    let series = Ranked::of(buckets);
    if series.ranks.len() < VALUES_MIN {
        return Err(Absent::TooFewBuckets);
    }
    let s = series.s();
    let p_value = match series.ties().all(|tied| tied == 1) && series.ranks.len() <= EXACT_VALUES_MAX {
        true => exact_p(series.ranks.len(), s),
        false => normal_p(&series, s),
    };
    let direction = match s.cmp(&0) {
        _ if p_value >= SIGNIFICANCE => TrendDirection::Flat,
        Ordering::Greater => TrendDirection::Rising,
        Ordering::Less => TrendDirection::Falling,
        Ordering::Equal => TrendDirection::Flat,
    };
    Ok(SeriesTrend { slope_per_bucket: series.slope(), p_value, direction })
}

/// A series by the ranks of its figures, the least being 0. Equal figures share a rank, and none is left out.
struct Ranked {
    /// The place in time and the rank of each figure, in order of time.
    ranks: Vec<(usize, usize)>,
    /// The figure of each rank, and how many have it.
    figures: Vec<(f64, usize)>,
}

// === impl Ranked ===

impl Ranked {
    fn of(buckets: &[Option<Ratio>]) -> Self {
        let mut sorted: Vec<(usize, Ratio)> =
            buckets.iter().enumerate().filter_map(|(place, figure)| Some((place, (*figure)?))).collect();
        sort_by_about(&mut sorted, |(_, figure)| figure.about(), |(_, a), (_, b)| a.cmp_exact(b));
        let mut ranks = Vec::with_capacity(sorted.len());
        let mut figures: Vec<(f64, usize)> = Vec::new();
        for equal in sorted.chunk_by(|(_, a), (_, b)| a.cmp_exact(b) == Ordering::Equal) {
            ranks.extend(equal.iter().map(|(place, _)| (*place, figures.len())));
            figures.extend(equal.first().map(|(_, figure)| (figure.quotient(), equal.len())));
        }
        ranks.sort_unstable();
        Self { ranks, figures }
    }

    /// Any two, the earlier one first.
    fn pairs(&self) -> impl Iterator<Item = (&(usize, usize), &(usize, usize))> {
        let later = |at: usize| self.ranks.get(at + 1..).unwrap_or_default();
        self.ranks.iter().enumerate().flat_map(move |(at, a)| later(at).iter().map(move |b| (a, b)))
    }

    /// Mann and Kendall's S: pairs of which the later one is greater, less those of which it is less.
    fn s(&self) -> i64 {
        self.pairs().map(|((_, earlier), (_, later))| later.cmp(earlier) as i64).sum()
    }

    /// How many figures share each rank.
    fn ties(&self) -> impl Iterator<Item = usize> {
        self.figures.iter().map(|(_, count)| *count)
    }

    /// The median of the slopes of all pairs.
    fn slope(&self) -> f64 {
        let figure = |rank: usize| self.figures[rank].0;
        let slope = |((from, earlier), (to, later)): (&(usize, usize), &(usize, usize))| {
            (figure(*later) - figure(*earlier)) / (to - from) as f64
        };
        let mut slopes: Vec<f64> = self.pairs().map(slope).collect();
        let middle = slopes.len() / 2;
        let is_odd = slopes.len() % 2 == 1;
        let (less, upper, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
        let upper = *upper;
        match less.iter().copied().max_by(f64::total_cmp).filter(|_| !is_odd) {
            Some(lower) => lower + (upper - lower) / 2.0,
            None => upper,
        }
    }
}

/// The share of all orders of so many different figures whose S lies as far from 0, or farther.
fn exact_p(count: usize, s: i64) -> f64 {
    // Orders by their inversions: the k-th figure adds 0 to k − 1 of them, whatever came before.
    let mut orders: Vec<u64> = vec![1];
    for added in 1..count {
        let mut more = vec![0; orders.len() + added];
        for (inversions, &number) in orders.iter().enumerate() {
            more.iter_mut().skip(inversions).take(added + 1).for_each(|sum| *sum += number);
        }
        orders = more;
    }
    // Of n figures S = n (n − 1) / 2 − 2 · inversions.
    let pair_count = orders.len() as i64 - 1;
    let is_as_far = |inversions: usize| (pair_count - 2 * inversions as i64).abs() >= s.abs();
    let as_far: u64 = orders.iter().enumerate().filter(|(at, _)| is_as_far(*at)).map(|(_, n)| n).sum();
    as_far as f64 / orders.iter().sum::<u64>() as f64
}

/// By the normal distribution, S being brought nearer to 0 by one, for it goes in steps of two.
fn normal_p(series: &Ranked, s: i64) -> f64 {
    let term = |count: usize| (count * count.saturating_sub(1) * (2 * count + 5)) as f64;
    let variance = (term(series.ranks.len()) - series.ties().map(term).sum::<f64>()) / 18.0;
    match s {
        // Also where all are equal, and so nothing varies.
        0 => 1.0,
        _ => libm::erfc((s.abs() - 1) as f64 / (2.0 * variance).sqrt()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::kpi::figure::Quantity;

    /// One of tests/vectors/trend.json.
    #[derive(Deserialize)]
    struct Vector {
        name: String,
        series: Vec<Option<(i64, i64)>>,
        s: i64,
        slope: f64,
        p_value: f64,
    }

    fn ratios(series: &[Option<(i64, i64)>]) -> Vec<Option<Ratio>> {
        let ratio = |(above, below)| Ratio::new(Quantity::Count(above), below).expect("below is above 0");
        series.iter().map(|terms| terms.map(ratio)).collect()
    }

    fn counts(series: &[i64]) -> Vec<Option<Ratio>> {
        ratios(&series.iter().map(|&count| Some((count, 1))).collect::<Vec<_>>())
    }

    #[test]
    fn trends_are_those_of_scipy_and_pymannkendall() {
        let vectors = include_str!("../../tests/vectors/trend.json");
        let vectors: Vec<Vector> = serde_json::from_str(vectors).expect("make.py writes vectors");
        assert!(vectors.len() > 30);
        for Vector { name, series, s, slope, p_value } in vectors {
            let series = ratios(&series);
            let found = trend(&series).expect("there are five figures");
            assert_eq!(Ranked::of(&series).s(), s, "{name}");
            assert!((found.slope_per_bucket - slope).abs() <= 1e-12 * slope.abs(), "{name}: {found:?}");
            assert!((found.p_value - p_value).abs() <= 1e-12 * p_value, "{name}: {found:?}");
        }
    }

    #[test]
    fn trend_by_hand() {
        use TrendDirection::{Falling, Flat, Rising};
        for (series, slope, p_value, direction) in [
            // 2 of 5! orders are as far from 0
            (vec![1, 2, 3, 4, 5], 1.0, 2.0 / 120.0, Rising),
            (vec![5, 4, 3, 2, 1], -1.0, 2.0 / 120.0, Falling),
            // and 2 · (1 + 4): each neighbours' exchange
            (vec![1, 2, 3, 5, 4], 1.0, 10.0 / 120.0, Flat),
            (vec![3, 3, 3, 3, 3], 0.0, 1.0, Flat),
        ] {
            let found = trend(&counts(&series)).expect("there are five figures");
            assert_eq!((found.slope_per_bucket, found.direction), (slope, direction), "{series:?}");
            assert!((found.p_value - p_value).abs() < 1e-15, "{series:?}: {found:?}");
        }
        assert_eq!(trend(&counts(&[1, 2, 3, 4])), Err(Absent::TooFewBuckets));
        let gaps = [Some((1, 1)), None, Some((2, 1)), Some((3, 1)), None, Some((4, 1))];
        assert_eq!(trend(&ratios(&gaps)), Err(Absent::TooFewBuckets), "gaps are no figures");
    }

    #[test]
    fn figures_beyond_floats_are_told_apart() {
        let great = i128::from(i64::MAX) << 20;
        let series = |step: i128| -> Vec<Option<Ratio>> {
            (0..5).map(|n| Ratio::new(Quantity::AmountE4(great + step * n), 1)).collect()
        };
        assert_eq!(trend(&series(1)).map(|trend| trend.direction), Ok(TrendDirection::Rising));
        assert_eq!(trend(&series(-1)).map(|trend| trend.direction), Ok(TrendDirection::Falling));
        assert_eq!(trend(&series(0)).map(|trend| trend.direction), Ok(TrendDirection::Flat));
    }

    proptest! {
        /// Few figures on purpose: they collide.
        #[test]
        fn trends_turn_with_their_series(
            series in proptest::collection::vec(proptest::option::of((-4i64..9, 1i64..4)), 5..40),
        ) {
            let told = |series: &[Option<(i64, i64)>]| trend(&ratios(series));
            let found = told(&series);
            let reversed: Vec<_> = series.iter().rev().copied().collect();
            let negated: Vec<_> = series.iter().map(|terms| terms.map(|(n, d)| (-n, d))).collect();
            let padded: Vec<_> = [None].into_iter().chain(series.iter().copied()).chain([None; 3]).collect();
            prop_assert_eq!(told(&padded), found, "gaps at the ends are nowhere between two figures");
            prop_assert_eq!(found.is_ok(), series.iter().flatten().count() >= VALUES_MIN);
            let Ok(found) = found else { return Ok(()) };
            prop_assert!((0.0..=1.0).contains(&found.p_value));
            prop_assert_eq!(found.direction == TrendDirection::Flat, found.p_value >= SIGNIFICANCE);
            let turned = match found.direction {
                TrendDirection::Rising => TrendDirection::Falling,
                TrendDirection::Falling => TrendDirection::Rising,
                TrendDirection::Flat => TrendDirection::Flat,
            };
            for other in [reversed, negated] {
                let other = told(&other).expect("as many figures");
                prop_assert_eq!((other.p_value, other.direction), (found.p_value, turned));
                prop_assert!((other.slope_per_bucket + found.slope_per_bucket).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn exact_p_values_are_shares_of_all_orders() {
        fn orders(rest: &[i64], so_far: &mut Vec<i64>, each: &mut impl FnMut(&[i64])) {
            if rest.is_empty() {
                return each(so_far);
            }
            for &next in rest {
                so_far.push(next);
                let left: Vec<i64> = rest.iter().copied().filter(|other| *other != next).collect();
                orders(&left, so_far, each);
                so_far.pop();
            }
        }
        for count in 5..8 {
            let mut found: Vec<i64> = Vec::new();
            let figures: Vec<i64> = (0..count).collect();
            orders(&figures, &mut Vec::new(), &mut |order| found.push(Ranked::of(&counts(order)).s().abs()));
            for s in 0..=count * (count - 1) / 2 {
                let as_far = found.iter().filter(|other| **other >= s).count();
                assert_eq!(exact_p(count as usize, s), as_far as f64 / found.len() as f64, "{s} of {count}");
            }
        }
    }
}
