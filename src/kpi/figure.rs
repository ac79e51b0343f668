//! Figures: exact ratios, why one is absent, and how it compares with an earlier one.

use std::cmp::Ordering;

use ethnum::I256;

/// What is counted or summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    Count(i64),
    /// Money in the reporting currency, in ten-thousandths.
    AmountE4(i128),
}

/// An exact ratio. Its denominator is above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    numerator: Quantity,
    denominator: Quantity,
}

/// Why there is no figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    NoDealWon,
    NoAmountKnown,
    NoDealEnded,
    /// None came; on the resolved basis, none came to its end.
    NoProspect,
    /// A filter asks for what only deals have.
    LeadsNotCounted,
    /// Nothing was spent, or nothing whose amount is known in the reporting currency.
    NoSpend,
    /// What was spent isn't known for such a subject or filter.
    SpendNotTold,
    NoLead,
    /// Nothing can be a share of it.
    TotalIsZero,
}

pub type Figure = Result<Ratio, Absent>;

// === impl Ratio ===

impl Ratio {
    /// None where the denominator isn't above 0.
    pub fn new(numerator: Quantity, denominator: i64) -> Option<Self> {
        Self::of(numerator, Quantity::Count(denominator))
    }

    /// The same to any quantity.
    pub fn of(numerator: Quantity, denominator: Quantity) -> Option<Self> {
        (denominator.scaled().0 > 0).then_some(Self { numerator, denominator })
    }

    /// A single quantity, as a ratio to one.
    pub fn whole(quantity: Quantity) -> Self {
        Self { numerator: quantity, denominator: Quantity::Count(1) }
    }

    pub fn numerator(&self) -> Quantity {
        self.numerator
    }

    pub fn denominator(&self) -> Quantity {
        self.denominator
    }

    /// The quotient in whole units, for display.
    pub fn quotient(&self) -> f64 {
        let (numerator, above) = self.numerator.scaled();
        let (denominator, below) = self.denominator.scaled();
        numerator as f64 / (denominator as f64 * (above / below))
    }

    /// Compares exactly: no quotient is rounded. Both are of the same quantities.
    pub fn cmp_exact(&self, other: &Self) -> Ordering {
        let cross =
            |a: &Self, b: &Self| I256::from(a.numerator.scaled().0) * I256::from(b.denominator.scaled().0);
        cross(self, other).cmp(&cross(other, self))
    }
}

// === impl Quantity ===

impl Quantity {
    /// The number that is kept, and how many of it make one unit.
    fn scaled(self) -> (i128, f64) {
        match self {
            Self::Count(count) => (i128::from(count), 1.0),
            Self::AmountE4(amount_e4) => (amount_e4, 10_000.0),
        }
    }
}

/// Which way a KPI is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    HigherIsBetter,
    LowerIsBetter,
    /// Neither way is good by itself.
    Neither,
}

/// How a figure changed since an earlier one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Later less earlier, in units.
    pub absolute: f64,
    /// As a share of the earlier one; None unless that is above 0.
    pub relative: Option<f64>,
    /// None where neither way is good.
    pub trend: Option<Trend>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trend {
    Better,
    Worse,
    Same,
}

/// The change from `earlier` to `later`. None where one of them is absent.
pub fn change(later: &Figure, earlier: &Figure, direction: Direction) -> Option<Change> {
    let (Ok(later), Ok(earlier)) = (later, earlier) else { return None };
    let (now, then) = (later.quotient(), earlier.quotient());
    use Direction::{HigherIsBetter, LowerIsBetter, Neither};
    let trend = match (later.cmp_exact(earlier), direction) {
        (_, Neither) => None,
        (Ordering::Equal, _) => Some(Trend::Same),
        (Ordering::Greater, HigherIsBetter) | (Ordering::Less, LowerIsBetter) => Some(Trend::Better),
        (Ordering::Less, HigherIsBetter) | (Ordering::Greater, LowerIsBetter) => Some(Trend::Worse),
    };
    Some(Change { absolute: now - then, relative: (then > 0.0).then(|| (now - then) / then), trend })
}

/// The 95 % Wilson score interval of a rate.
///
/// z = 1.959964; the lower bound is 0 at k = 0 and the upper 1 at k = n (docs/kpis.md §8).
/// Source: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.
pub fn wilson_interval(successes: i64, trials: i64) -> Option<(f64, f64)> {
    const Z: f64 = 1.959964;
    if trials <= 0 {
        return None;
    }
    let (k, n) = (successes as f64, trials as f64);
    let centre = (k + Z * Z / 2.0) / (n + Z * Z);
    let half = Z / (n + Z * Z) * (k * (n - k) / n + Z * Z / 4.0).sqrt();
    let lower = if successes == 0 { 0.0 } else { centre - half };
    let upper = if successes == trials { 1.0 } else { centre + half };
    Some((lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(numerator: i64, denominator: i64) -> Figure {
        Ok(Ratio::new(Quantity::Count(numerator), denominator).unwrap())
    }

    #[test]
    fn changes_by_hand() {
        for (later, earlier, expected) in [
            (ratio(2, 3), ratio(1, 2), Some((Trend::Better, Some(1.0 / 3.0)))),
            (ratio(1, 3), ratio(2, 6), Some((Trend::Same, Some(0.0)))),
            (ratio(0, 3), ratio(2, 6), Some((Trend::Worse, Some(-1.0)))),
            (ratio(3, 1), ratio(0, 1), Some((Trend::Better, None))), // no growth from nothing
            (ratio(3, 1), Err(Absent::NoDealEnded), None),
            (Err(Absent::NoDealEnded), ratio(3, 1), None),
        ] {
            let found = change(&later, &earlier, Direction::HigherIsBetter);
            assert_eq!(found.and_then(|change| change.trend), expected.map(|(trend, _)| trend));
            let relative = found.and_then(|change| change.relative);
            match expected.and_then(|(_, relative)| relative) {
                Some(expected) => assert!((relative.unwrap() - expected).abs() < 1e-12),
                None => assert_eq!(relative, None),
            }
        }
    }

    #[test]
    fn less_is_better_of_costs_and_neither_of_spend() {
        for (later, direction, expected) in [
            (2, Direction::LowerIsBetter, Some(Trend::Better)),
            (3, Direction::LowerIsBetter, Some(Trend::Same)),
            (4, Direction::LowerIsBetter, Some(Trend::Worse)),
            (4, Direction::Neither, None),
        ] {
            let found = change(&ratio(later, 1), &ratio(3, 1), direction).unwrap();
            assert_eq!((found.absolute, found.trend), ((later - 3) as f64, expected));
        }
    }

    #[test]
    fn money_to_money_has_no_unit() {
        let ratio = Ratio::of(Quantity::AmountE4(400_0000), Quantity::AmountE4(310_0000)).unwrap();
        assert!((ratio.quotient() - 400.0 / 310.0).abs() < 1e-12);
        assert_eq!(Ratio::of(Quantity::AmountE4(1), Quantity::AmountE4(0)), None);
        let less = Ratio::of(Quantity::AmountE4(-1), Quantity::AmountE4(1)).unwrap();
        assert_eq!(less.cmp_exact(&ratio), Ordering::Less);
    }

    #[test]
    fn ratios_beyond_floats_compare_exactly() {
        let amount = |e4: i128| Ratio::new(Quantity::AmountE4(e4), 3).unwrap();
        let great = i128::from(i64::MAX) << 20;
        assert_eq!(amount(great).cmp_exact(&amount(great + 1)), Ordering::Less);
    }

    #[test]
    fn wilson_by_hand() {
        // By the other textbook form: (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n), p = k/n.
        for (k, n, lower, upper) in [
            (2, 3, 0.207660, 0.938508),
            (0, 4, 0.0, 0.489891),
            (1, 1, 0.206549, 1.0),
            (50, 100, 0.403832, 0.596168),
        ] {
            let (low, high) = wilson_interval(k, n).unwrap();
            assert!((low - lower).abs() < 1e-6 && (high - upper).abs() < 1e-6, "{k}/{n}: {low} {high}");
        }
        assert_eq!(wilson_interval(0, 0), None);
    }
}
