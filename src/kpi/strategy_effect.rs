//! Strategy effect: what a change did to those that the company made it for, beside all others
//! (docs/kpis.md §7).
//!
//! Invariants, property tests:
//! 1. Exchanging the two sides turns the effect over, and its interval with it.
//! 2. What happened to everyone alike is no effect.
//! 3. What may be a rounding's work decides nothing: it is 0.
//!
//! Checked against SciPy: tests/vectors/make.py.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::drivers::Ends;
use super::figure::{Absent, Direction};

/// With fewer subjects nothing is known of how much they vary.
const SUBJECTS_MIN: usize = 2;

/// Differences that are less than this share of the greatest figure may come of its rounding.
const ROUNDING: f64 = 1e-12;

/// Two sides, each of the subjects that have the KPI in both windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contrast {
    pub treated_count: usize,
    pub other_count: usize,
    pub effect: Result<Effect, Absent>,
}

/// What changed on one side more than on the other, in the KPI's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// The mean change of the treated.
    pub treated_change: f64,
    /// That of the others.
    pub other_change: f64,
    /// The first less the second.
    pub value: f64,
    /// Lower and upper bound, 95 %.
    pub interval: (f64, f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of the interval is better than no effect.
    Works,
    /// All of it is worse.
    Fails,
    /// Neither, as far as the evidence goes.
    Undecided,
}

/// The effect on the treated, told from each subject's KPI before and after.
///
/// Definition: the mean change of the treated less the mean change of the others, with Welch's 95 % interval:
/// ± Student's t for the Welch–Satterthwaite degrees of freedom times √(s₁² / n₁ + s₂² / n₂). Where nobody
/// differs from his side the interval is the effect itself.
/// Unit: the KPI's.
/// Absent with fewer than 2 subjects on a side.
/// Source: docs/kpis.md, section 7; B. L. Welch, The Generalization of "Student's" Problem when Several Different
/// Population Variances are Involved, 1947.
pub fn contrast(treated: &[Ends<f64>], others: &[Ends<f64>]) -> Contrast {
    let told = |side: &[Ends<f64>]| (side.len() >= SUBJECTS_MIN).then(|| Side::of(side));
    let effect = told(treated).zip(told(others)).map(|(treated, others)| {
        let rounding = ROUNDING * treated.greatest.max(others.greatest);
        let settled = |number: f64| if number.abs() <= rounding { 0.0 } else { number };
        let value = treated.mean - others.mean;
        let half_width = half_width(&treated, &others);
        Effect {
            treated_change: settled(treated.mean),
            other_change: settled(others.mean),
            value: settled(value),
            interval: (settled(value - half_width), settled(value + half_width)),
        }
    });
    Contrast {
        treated_count: treated.len(),
        other_count: others.len(),
        effect: effect.ok_or(Absent::TooFewSubjects),
    }
}

/// One side's changes. There are two or more.
struct Side {
    mean: f64,
    /// The variance of their mean.
    variance: f64,
    /// How many changes are free, their mean given.
    freedom: f64,
    /// The greatest figure, without its sign.
    greatest: f64,
}

// === impl Side ===

impl Side {
    fn of(subjects: &[Ends<f64>]) -> Self {
        let count = subjects.len() as f64;
        let mean = subjects.iter().map(|figures| figures.change()).sum::<f64>() / count;
        let squares = subjects.iter().map(|figures| (figures.change() - mean).powi(2)).sum::<f64>();
        let figures = subjects.iter().flat_map(|figures| [figures.before, figures.now]);
        Self {
            mean,
            variance: squares / (count - 1.0) / count,
            freedom: count - 1.0,
            greatest: figures.map(f64::abs).fold(0.0, f64::max),
        }
    }
}

/// Half of Welch's interval.
fn half_width(a: &Side, b: &Side) -> f64 {
    const UPPER: f64 = 0.975;
    let variance = a.variance + b.variance;
    // As shares, so that no square is beyond what a float holds.
    let (share_a, share_b) = (a.variance / variance, b.variance / variance);
    let freedom = 1.0 / (share_a.powi(2) / a.freedom + share_b.powi(2) / b.freedom);
    // Where nothing varies there is no such number, and the interval has no width.
    StudentsT::new(0.0, 1.0, freedom).map_or(0.0, |t| t.inverse_cdf(UPPER) * variance.sqrt())
}

// === impl Effect ===

impl Effect {
    /// Whether that is good.
    pub fn verdict(&self, direction: Direction) -> Verdict {
        let (lower, upper) = self.interval;
        match direction {
            Direction::HigherIsBetter if lower > 0.0 => Verdict::Works,
            Direction::HigherIsBetter if upper < 0.0 => Verdict::Fails,
            Direction::LowerIsBetter if upper < 0.0 => Verdict::Works,
            Direction::LowerIsBetter if lower > 0.0 => Verdict::Fails,
            Direction::HigherIsBetter | Direction::LowerIsBetter | Direction::Neither => Verdict::Undecided,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// One of tests/vectors/strategy.json.
    #[derive(Deserialize)]
    struct Vector {
        treated: Vec<(f64, f64)>,
        others: Vec<(f64, f64)>,
        effect: f64,
        interval: (f64, f64),
    }

    fn ends(figures: &[(f64, f64)]) -> Vec<Ends<f64>> {
        figures.iter().map(|&(before, now)| Ends { before, now }).collect()
    }

    fn told(treated: &[(f64, f64)], others: &[(f64, f64)]) -> Contrast {
        contrast(&ends(treated), &ends(others))
    }

    fn effect(treated: &[(f64, f64)], others: &[(f64, f64)]) -> Effect {
        told(treated, others).effect.expect("there are two on each side")
    }

    #[test]
    fn effects_are_those_of_scipy() {
        let vectors: Vec<Vector> = serde_json::from_str(include_str!("../../tests/vectors/strategy.json"))
            .expect("make.py writes vectors");
        assert!(vectors.len() > 30);
        for Vector { treated, others, effect: expected, interval } in vectors {
            let found = effect(&treated, &others);
            let width = interval.1 - interval.0;
            let is_near = |found: f64, expected: f64| (found - expected).abs() <= 1e-9 * width;
            assert!(is_near(found.value, expected), "{found:?} {expected}");
            assert!(
                is_near(found.interval.0, interval.0) && is_near(found.interval.1, interval.1),
                "{found:?} {interval:?}"
            );
        }
    }

    #[test]
    fn effect_by_hand() {
        // Changes 1 and 3, and −1 and 1: variances of 2, so 2/2 + 2/2 = 2, and two degrees of freedom, for
        // which t is 4.302653.
        let found = effect(&[(10.0, 11.0), (10.0, 13.0)], &[(5.0, 4.0), (5.0, 6.0)]);
        assert_eq!((found.treated_change, found.other_change, found.value), (2.0, 0.0, 2.0));
        let half = 4.302_652_729_911_275 * 2f64.sqrt();
        assert!((found.interval.0 - (2.0 - half)).abs() < 1e-9, "{found:?}");
        assert!((found.interval.1 - (2.0 + half)).abs() < 1e-9, "{found:?}");
        assert_eq!(found.verdict(Direction::HigherIsBetter), Verdict::Undecided);

        for (treated, others, counts) in [
            (vec![], vec![], (0, 0)),
            (vec![(1.0, 2.0)], vec![(1.0, 2.0), (1.0, 2.0)], (1, 2)),
            (vec![(1.0, 2.0), (1.0, 2.0)], vec![(1.0, 2.0)], (2, 1)),
        ] {
            let found = told(&treated, &others);
            assert_eq!((found.treated_count, found.other_count), counts);
            assert_eq!(found.effect, Err(Absent::TooFewSubjects));
        }
    }

    #[test]
    fn verdicts_by_hand() {
        use Direction::{HigherIsBetter, LowerIsBetter, Neither};
        let flat = [(3.0, 3.0), (4.0, 4.0)];
        let up = [(3.0, 4.0), (4.0, 5.0)];
        for (treated, others, direction, verdict) in [
            // nobody differs from his side
            (up, flat, HigherIsBetter, Verdict::Works),
            (flat, up, HigherIsBetter, Verdict::Fails),
            (up, flat, LowerIsBetter, Verdict::Fails),
            (flat, up, LowerIsBetter, Verdict::Works),
            (up, flat, Neither, Verdict::Undecided),
            (flat, flat, HigherIsBetter, Verdict::Undecided),
            (up, up, HigherIsBetter, Verdict::Undecided),
        ] {
            let found = effect(&treated, &others);
            assert_eq!(found.interval, (found.value, found.value));
            assert_eq!(found.verdict(direction), verdict);
        }
    }

    #[test]
    fn a_rounding_decides_nothing() {
        // Each rose by a fifth; in floats 0.3 − 0.1 isn't 0.9 − 0.7.
        let found = effect(&[(0.1, 0.3), (0.7, 0.9)], &[(0.2, 0.4), (0.5, 0.7)]);
        assert_eq!((found.value, found.verdict(Direction::HigherIsBetter)), (0.0, Verdict::Undecided));
        let great = effect(&[(1e15 + 0.1, 1e15 + 0.3), (1e15, 1e15)], &[(1e15, 1e15), (1e15, 1e15)]);
        assert_eq!(great.value, 0.0);
    }

    fn side() -> impl Strategy<Value = Vec<(f64, f64)>> {
        // Few figures on purpose: they collide.
        let figure = || prop_oneof![(-3i32..4).prop_map(f64::from), -1e3f64..1e3];
        proptest::collection::vec((figure(), figure()), 0..30)
    }

    proptest! {
        #[test]
        fn effects_turn_with_their_sides(treated in side(), others in side(), shift in -50i32..50) {
            let (found, turned) = (told(&treated, &others), told(&others, &treated));
            prop_assert_eq!((found.treated_count, found.other_count), (treated.len(), others.len()));
            prop_assert_eq!(found.effect.is_ok(), treated.len() >= 2 && others.len() >= 2);
            let (Ok(found), Ok(turned)) = (found.effect, turned.effect) else { return Ok(()) };
            let is_near = |a: f64, b: f64| (a - b).abs() < 1e-8;
            let (lower, upper) = found.interval;
            prop_assert!(lower <= found.value && found.value <= upper);
            prop_assert!(is_near((lower + upper) / 2.0, found.value));
            prop_assert_eq!(turned.value, -found.value);
            prop_assert!(is_near(turned.interval.0, -upper) && is_near(turned.interval.1, -lower));
            let opposite = match found.verdict(Direction::HigherIsBetter) {
                Verdict::Works => Verdict::Fails,
                Verdict::Fails => Verdict::Works,
                Verdict::Undecided => Verdict::Undecided,
            };
            prop_assert_eq!(turned.verdict(Direction::HigherIsBetter), opposite);
            prop_assert_eq!(found.verdict(Direction::LowerIsBetter), opposite);

            // What happens to everyone alike is no effect.
            let later = |side: &[(f64, f64)]| -> Vec<(f64, f64)> {
                side.iter().map(|(before, now)| (*before, now + f64::from(shift))).collect()
            };
            let moved = effect(&later(&treated), &later(&others));
            prop_assert!(is_near(moved.value, found.value));
            prop_assert!(is_near(moved.interval.0, lower) && is_near(moved.interval.1, upper));
        }
    }
}
