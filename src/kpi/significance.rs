//! Significance: whether two proportions differ by more than chance, and which of many findings to believe
//! (docs/kpis.md §9).
//!
//! Invariants, property tests:
//! 1. Nothing hangs on which of the two samples comes first, nor on what is called a success.
//! 2. Whoever has a lesser p value than a discovery is one too.
//!
//! Checked against SciPy and statsmodels: tests/vectors/make.py.

use std::cmp::Ordering;

use super::drivers::RateTerms;

/// Where a table has an expected cell below this, the normal distribution is no good guess.
const EXPECTED_MIN: i128 = 5;

/// Tables whose probabilities are closer than this share of themselves are as likely as one another.
const AS_LIKELY: f64 = 1e-7;

/// The two-sided p value that both samples have one rate.
///
/// Definition: by the z test with pooled variance; where a cell of the two by two table is expected below 5,
/// by Fisher's exact test: the probability of all tables as likely as the one seen, or less.
/// Unit: a probability. Where all or none of both succeeded it is 1.
/// Absent where a sample is empty.
/// Source: docs/kpis.md, section 9; R. A. Fisher, The Logic of Inductive Inference, 1935.
pub fn two_proportions(a: RateTerms, b: RateTerms) -> Option<f64> {
    let is_sample =
        |terms: RateTerms| terms.denominator > 0 && (0..=terms.denominator).contains(&terms.numerator);
    if !is_sample(a) || !is_sample(b) {
        return None;
    }
    let trials = i128::from(a.denominator) + i128::from(b.denominator);
    let successes = i128::from(a.numerator) + i128::from(b.numerator);
    let least_margins = [successes.min(trials - successes), a.denominator.min(b.denominator).into()];
    match least_margins[0] * least_margins[1] < EXPECTED_MIN * trials {
        true => Some(by_tables(a, b)),
        false => Some(by_pooled_variance(a, b)),
    }
}

/// By the z test. Both successes and failures are among the samples.
fn by_pooled_variance(a: RateTerms, b: RateTerms) -> f64 {
    let [k, n, l, m] = [a.numerator, a.denominator, b.numerator, b.denominator].map(|term| term as f64);
    let pooled = (k + l) / (n + m);
    let deviation = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    libm::erfc((k / n - l / m).abs() / deviation / std::f64::consts::SQRT_2)
}

/// By Fisher's exact test, for tables with a small expected cell.
///
/// Tables with these margins differ in one cell alone. How likely each is, follows from its neighbour; beside
/// the likeliest they become unlikely fast, since where a cell is expected below 5 its variance is too. So only
/// some hundred tables have a probability that a float can hold, whatever the margins.
fn by_tables(a: RateTerms, b: RateTerms) -> f64 {
    let (n, m) = (a.denominator, b.denominator);
    let successes = a.numerator + b.numerator;
    let (first, last) = ((successes - m).max(0), successes.min(n));
    let mode =
        ((i128::from(n) + 1) * (i128::from(successes) + 1) / (i128::from(n) + i128::from(m) + 2)) as i64;
    let mode = mode.clamp(first, last);
    // How much likelier the table with one success more among the first sample's is.
    let step = |k: i64| {
        let [up, failures, down, rest] =
            [successes - k, n - k, k + 1, m - successes + k + 1].map(|term| term as f64);
        (up / down) * (failures / rest)
    };
    // Of each table how likely it is beside the likeliest.
    let above = (mode..last).scan(1.0, |likely, k| {
        *likely *= step(k);
        (*likely > 0.0).then_some((k + 1, *likely))
    });
    let below = (first..mode).rev().scan(1.0, |likely, k| {
        *likely /= step(k);
        (*likely > 0.0).then_some((k, *likely))
    });
    let tables: Vec<(i64, f64)> = std::iter::once((mode, 1.0)).chain(above).chain(below).collect();
    let seen = tables.iter().find(|(k, _)| *k == a.numerator).map_or(0.0, |(_, likely)| *likely);
    let at_most = seen * (1.0 + AS_LIKELY);
    // The least first, so that none is lost beside greater ones.
    let sum = |mut likely: Vec<f64>| {
        likely.sort_unstable_by(f64::total_cmp);
        likely.into_iter().sum::<f64>()
    };
    let all: Vec<f64> = tables.iter().map(|(_, likely)| *likely).collect();
    let no_likelier = all.iter().copied().filter(|likely| *likely <= at_most).collect();
    sum(no_likelier) / sum(all)
}

/// Which of these p values are discoveries, if of all discoveries no more than the share `level` may be expected
/// to be chance's work. In the order of the p values.
///
/// Definition: those up to the greatest p(k), in ascending order, that is no more than k / m · `level` of m ones.
/// Source: docs/kpis.md, section 9; Y. Benjamini, Y. Hochberg, Controlling the False Discovery Rate, 1995.
pub fn discoveries(p_values: &[f64], level: f64) -> Vec<bool> {
    let mut ascending = p_values.to_vec();
    ascending.sort_unstable_by(f64::total_cmp);
    let allowed = |place: usize| (place + 1) as f64 / ascending.len() as f64 * level;
    let passes = |(place, p_value): &(usize, &f64)| **p_value <= allowed(*place);
    let greatest = ascending.iter().enumerate().rev().find(passes).map(|(_, p_value)| *p_value);
    let is_discovery =
        |p_value: &f64| greatest.is_some_and(|greatest| p_value.total_cmp(&greatest) != Ordering::Greater);
    p_values.iter().map(is_discovery).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::kpi::figure::wilson_interval;

    /// tests/vectors/proportions.json.
    #[derive(Deserialize)]
    struct Vectors {
        two_proportions: Vec<TwoProportions>,
        wilson: Vec<Wilson>,
        discoveries: Vec<Discoveries>,
    }

    #[derive(Deserialize)]
    struct TwoProportions {
        samples: [(i64, i64); 2],
        is_exact: bool,
        p_value: f64,
    }

    #[derive(Deserialize)]
    struct Wilson {
        sample: (i64, i64),
        interval: (f64, f64),
    }

    #[derive(Deserialize)]
    struct Discoveries {
        p_values: Vec<f64>,
        level: f64,
        discoveries: Vec<bool>,
    }

    fn terms((numerator, denominator): (i64, i64)) -> RateTerms {
        RateTerms { numerator, denominator }
    }

    fn vectors() -> Vectors {
        let vectors = include_str!("../../tests/vectors/proportions.json");
        serde_json::from_str(vectors).expect("make.py writes vectors")
    }

    #[test]
    fn two_proportions_are_those_of_scipy_and_statsmodels() {
        let vectors = vectors().two_proportions;
        assert!(vectors.iter().filter(|vector| vector.is_exact).count() > 30);
        assert!(vectors.iter().filter(|vector| !vector.is_exact).count() > 30);
        for TwoProportions { samples, is_exact, p_value } in vectors {
            let found = two_proportions(terms(samples[0]), terms(samples[1])).expect("neither is empty");
            // SciPy's exact values have some ten digits, ours more: the margins are great.
            let tolerance = if is_exact { 1e-9 } else { 1e-12 };
            assert!((found - p_value).abs() <= tolerance * p_value, "{samples:?}: {found} {p_value}");
        }
    }

    #[test]
    fn wilson_intervals_are_those_of_statsmodels() {
        for Wilson { sample: (successes, trials), interval } in vectors().wilson {
            let (lower, upper) = wilson_interval(successes, trials).expect("it isn't empty");
            let is_near = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
            assert!(
                is_near(lower, interval.0) && is_near(upper, interval.1),
                "{successes} of {trials}: {lower} {upper}, {interval:?}"
            );
        }
    }

    #[test]
    fn discoveries_are_those_of_statsmodels() {
        for vector in vectors().discoveries {
            assert_eq!(
                discoveries(&vector.p_values, vector.level),
                vector.discoveries,
                "{:?}",
                vector.p_values
            );
        }
    }

    #[test]
    fn two_proportions_by_hand() {
        for (a, b, expected) in [
            ((0, 0), (1, 2), None),
            ((1, 2), (0, 0), None),
            ((0, 7), (0, 3), Some(1.0)),
            ((7, 7), (1_000_000, 1_000_000), Some(1.0)),
            ((0, 1_000_000), (0, 1_000_000), Some(1.0)),
            // The lady tasting tea: of 70 tables these two, and with one wrong 34.
            ((4, 4), (0, 4), Some(2.0 / 70.0)),
            ((3, 4), (1, 4), Some(34.0 / 70.0)),
            ((2, 4), (2, 4), Some(1.0)),
            // One table of C(12, 2): both successes in the sample of two
            ((2, 2), (0, 10), Some(1.0 / 66.0)),
            // z = 1 / √(½ · ½ · 2 / 100) · 0.1 = √2
            ((55, 100), (45, 100), Some(libm::erfc(1.0))),
        ] {
            let found = two_proportions(terms(a), terms(b));
            assert_eq!(found.is_some(), expected.is_some());
            let (found, expected) = (found.unwrap_or_default(), expected.unwrap_or_default());
            assert!((found - expected).abs() < 1e-14, "{a:?} {b:?}: {found} {expected}");
        }
    }

    #[test]
    fn great_margins_cost_no_more_than_small_ones() {
        // Poisson's, as good as: e⁻⁴ · 4⁰ / 0! below, and above as much as is less likely than that.
        let rare = two_proportions(terms((0, 1_000_000_000)), terms((8, 1_000_000_000))).unwrap();
        assert!((rare - 2.0 / 256.0).abs() < 1e-8, "eight of one side: {rare}");
        let far = two_proportions(terms((900_000, 900_000)), terms((0, 4))).unwrap();
        assert!(far > 0.0 && far < 1e-20, "{far}");
    }

    #[test]
    fn discoveries_by_hand() {
        let found = |p_values: &[f64]| discoveries(p_values, 0.05);
        assert_eq!(found(&[]), Vec::<bool>::new());
        assert_eq!(found(&[0.05]), [true]);
        assert_eq!(found(&[0.06]), [false]);
        // 0.03 > 1 / 2 · 0.05, but both are as good as 2 / 2 · 0.05.
        assert_eq!(found(&[0.05, 0.03]), [true, true]);
        assert_eq!(found(&[0.06, 0.03]), [false, false]);
        assert_eq!(found(&[0.9, 0.01, 0.9, 0.02]), [false, true, false, true]);
        assert_eq!(found(&[0.02, 0.02, 0.5, 0.02]), [true, true, false, true], "equal ones share their fate");
    }

    fn sample() -> impl Strategy<Value = RateTerms> {
        (1i64..400, 0.0f64..=1.0).prop_map(|(denominator, share)| RateTerms {
            numerator: (share * denominator as f64).round() as i64,
            denominator,
        })
    }

    /// The slow truth: every table, each by logarithms of factorials.
    fn by_all_tables(a: RateTerms, b: RateTerms) -> f64 {
        let choose = |n: i64, k: i64| {
            let factorial = |n: i64| libm::lgamma(n as f64 + 1.0);
            factorial(n) - factorial(k) - factorial(n - k)
        };
        let successes = a.numerator + b.numerator;
        let all = choose(a.denominator + b.denominator, successes);
        let tables = (successes - b.denominator).max(0)..=successes.min(a.denominator);
        let likely = |k: i64| (choose(a.denominator, k) + choose(b.denominator, successes - k) - all).exp();
        let seen = likely(a.numerator);
        tables.map(likely).filter(|likely| *likely <= seen * (1.0 + AS_LIKELY)).sum()
    }

    proptest! {
        #[test]
        fn p_values_hang_on_neither_order_nor_name(a in sample(), b in sample()) {
            let found = two_proportions(a, b).expect("neither is empty");
            let failures = |terms: RateTerms| RateTerms { numerator: terms.denominator - terms.numerator, ..terms };
            prop_assert!((0.0..=1.0 + 1e-12).contains(&found));
            for other in [two_proportions(b, a), two_proportions(failures(a), failures(b))] {
                let other = other.expect("neither is empty");
                prop_assert!((other - found).abs() <= 1e-11 * found, "{} {}", found, other);
            }
            // Whether or not the test would be that one.
            let (walked, expected) = (by_tables(a, b), by_all_tables(a, b));
            prop_assert!((walked - expected).abs() <= 1e-9 * expected + 1e-300, "{} {}", walked, expected);
        }

        /// Few values on purpose: they collide.
        #[test]
        fn lesser_ones_are_discoveries_too(all in proptest::collection::vec(0u32..40, 0..30)) {
            let p_values: Vec<f64> = all.iter().map(|n| f64::from(*n) / 400.0).collect();
            let found = discoveries(&p_values, 0.05);
            for (p_value, is_discovery) in p_values.iter().zip(&found) {
                // The definition: some p at least as great is no more than its place allows.
                let is_expected = p_values.iter().filter(|other| *other >= p_value).any(|other| {
                    let place = p_values.iter().filter(|p| *p <= other).count();
                    *other <= place as f64 / p_values.len() as f64 * 0.05
                });
                prop_assert_eq!(*is_discovery, is_expected);
            }
        }
    }
}
