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

/// What a term of a ratio is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Things,
    /// Ten-thousandths of the reporting currency's unit.
    AmountE4,
}

/// An exact number of something, as wide as products of measures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Term {
    number: I256,
    unit: Unit,
}

/// An exact ratio. Its denominator is above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    numerator: Term,
    denominator: Term,
}

/// Why there is no figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    NoDealWon,
    NoAmountKnown,
    NoDealEnded,
    NoProspect,
    NoDealInWork,
    NoPeer,
    MeanIsZero,
    NoLeadDecided,
    LeadsNotCounted,
    NoPast,
    /// Nothing remains of a target.
    TargetReached,
    /// A target is in another currency than the reporting currency.
    OtherCurrency,
    /// An exact term is beyond what a quantity holds.
    OutOfRange,
    /// Nothing was spent, or nothing whose amount is known in the reporting currency.
    NoSpend,
    /// What was spent isn't known for such a subject or filter.
    SpendNotTold,
    NoLead,
    /// Nothing can be a share of it.
    TotalIsZero,
    /// Too few buckets of a series are over and have a value.
    TooFewBuckets,
    /// A factor of a product is 0 at an end of its change, so that it has no logarithm.
    FactorIsZero,
    /// The days that it is told of haven't all come.
    DaysToCome,
    /// Too few subjects to compare, on one side or the other.
    TooFewSubjects,
    /// Of a calendar month too few years are known.
    TooFewYears,
    /// Nobody purchased in the season in other years, so that nothing can be divided by its index.
    SeasonIsZero,
}

pub type Figure = Result<Ratio, Absent>;

// === impl Term ===

impl Term {
    fn things(number: impl Into<I256>) -> Self {
        Self { number: number.into(), unit: Unit::Things }
    }

    /// None where it is more than a quantity holds.
    fn quantity(self) -> Option<Quantity> {
        match self.unit {
            Unit::Things => i64::try_from(self.number).ok().map(Quantity::Count),
            Unit::AmountE4 => i128::try_from(self.number).ok().map(Quantity::AmountE4),
        }
    }

    /// In whole units, for display.
    fn to_f64(self) -> f64 {
        let scale = if self.unit == Unit::AmountE4 { 10_000.0 } else { 1.0 };
        self.number.as_f64() / scale
    }
}

impl From<Quantity> for Term {
    fn from(quantity: Quantity) -> Self {
        match quantity {
            Quantity::Count(count) => Self::things(count),
            Quantity::AmountE4(amount_e4) => Self { number: amount_e4.into(), unit: Unit::AmountE4 },
        }
    }
}

// === impl Ratio ===

impl Ratio {
    /// None of one.
    pub const ZERO: Self = Self {
        numerator: Term { number: I256::ZERO, unit: Unit::Things },
        denominator: Term { number: I256::ONE, unit: Unit::Things },
    };

    /// None where the denominator isn't above 0.
    pub fn new(numerator: Quantity, denominator: i64) -> Option<Self> {
        Self::of(numerator, Quantity::Count(denominator))
    }

    /// Of two quantities. None where the denominator isn't above 0.
    pub fn of(numerator: Quantity, denominator: Quantity) -> Option<Self> {
        let (numerator, denominator) = (numerator.into(), Term::from(denominator));
        (denominator.number > 0).then_some(Self { numerator, denominator })
    }

    /// A single quantity, as a ratio to one.
    pub fn whole(quantity: Quantity) -> Self {
        Self { numerator: quantity.into(), denominator: Term::things(1) }
    }

    /// Money per thing: a product of factors over another, not in lowest terms. None where the divisors' isn't
    /// above 0.
    ///
    /// The factors' digits add up to at most 76 on each side: measures of 10¹² deals are far below.
    pub fn product_e4(factors: &[i128], divisors: &[i128]) -> Option<Self> {
        let product =
            |factors: &[i128]| factors.iter().fold(I256::ONE, |product, &f| product * I256::from(f));
        let (numerator, denominator) = (product(factors), product(divisors));
        (denominator > 0).then(|| Self {
            numerator: Term { number: numerator, unit: Unit::AmountE4 },
            denominator: Term::things(denominator),
        })
    }

    /// The same in lowest terms.
    pub fn in_lowest_terms(self) -> Self {
        let (numerator, denominator) = self.numbers();
        let divisor = greatest_common_divisor(numerator.abs(), denominator);
        self.with(numerator / divisor, denominator / divisor)
    }

    /// The ratio of two numerators, whatever they are divided by. None where the second isn't above 0.
    pub fn of_numerators(a: &Self, b: &Self) -> Option<Self> {
        (b.numerator.number > 0).then_some(Self { numerator: a.numerator, denominator: b.numerator })
    }

    /// So many times the ratio.
    pub fn times(self, factor: i64) -> Self {
        let numerator = Term { number: self.numerator.number * I256::from(factor), ..self.numerator };
        Self { numerator, ..self }
    }

    /// Numerator and denominator. None where one of them is more than a quantity holds.
    pub fn terms(&self) -> Option<(Quantity, Quantity)> {
        Some((self.numerator.quantity()?, self.denominator.quantity()?))
    }

    /// Whether it is a single quantity.
    pub fn is_whole(&self) -> bool {
        self.denominator == Term::things(1)
    }

    /// The quotient in whole units, for display.
    pub fn quotient(&self) -> f64 {
        self.numerator.to_f64() / self.denominator.to_f64()
    }

    /// About the quotient of the bare terms: wrong by less than `APART` of itself.
    pub fn about(&self) -> f64 {
        // Most terms are small, and those convert in no time.
        let term =
            |term: &Term| i64::try_from(term.number).map_or_else(|_| term.number.as_f64(), |n| n as f64);
        term(&self.numerator) / term(&self.denominator)
    }

    /// Compares exactly: no quotient is rounded. Both are of the same units.
    pub fn cmp_exact(&self, other: &Self) -> Ordering {
        if self.denominator.number == other.denominator.number {
            return self.numerator.number.cmp(&other.numerator.number);
        }
        let product = |a: &Self, b: &Self| a.numerator.number.checked_mul(b.denominator.number);
        if let (Some(mine), Some(its)) = (product(self, other), product(other, self)) {
            return mine.cmp(&its);
        }
        // Products of the terms don't fit: digit by digit of the continued fractions.
        let (mut a, mut b) = (self.numbers(), other.numbers());
        loop {
            let floors = (a.0.div_euclid(a.1), b.0.div_euclid(b.1));
            let rests = (a.0.rem_euclid(a.1), b.0.rem_euclid(b.1));
            match floors.0.cmp(&floors.1) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
            match (rests.0 == 0, rests.1 == 0) {
                (true, true) => return Ordering::Equal,
                (true, false) => return Ordering::Less,
                (false, true) => return Ordering::Greater,
                // The greater rest has the lesser inverse.
                (false, false) => (a, b) = ((b.1, rests.1), (a.1, rests.0)),
            }
        }
    }

    /// Orders equal ones by their terms, so that an order of many doesn't hang on how they came.
    pub fn cmp_terms(&self, other: &Self) -> Ordering {
        self.denominator.number.cmp(&other.denominator.number)
    }

    /// Numerator and denominator in bytes, for where a walk goes on.
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.numerator.number.to_be_bytes());
        bytes[32..].copy_from_slice(&self.denominator.number.to_be_bytes());
        bytes
    }

    /// The inverse of [`Ratio::to_bytes`], as a number without a unit. None for what is no ratio.
    pub fn from_bytes(bytes: &[u8; 64]) -> Option<Self> {
        let (numerator, denominator) = bytes.split_at(32);
        let number = |bytes: &[u8]| Some(I256::from_be_bytes(bytes.try_into().ok()?));
        let (numerator, denominator) = (number(numerator)?, number(denominator)?);
        (denominator > 0)
            .then(|| Self { numerator: Term::things(numerator), denominator: Term::things(denominator) })
    }

    fn numbers(&self) -> (I256, I256) {
        (self.numerator.number, self.denominator.number)
    }

    /// The midpoint of two ratios of the same units.
    pub fn midpoint(&self, other: &Self) -> Self {
        let ((a, b), (c, d)) = (self.numbers(), other.numbers());
        if (b, d) == (I256::ONE, I256::ONE) || b == d {
            return self.with(a + c, b * 2);
        }
        let common = greatest_common_divisor(b, d);
        self.with(a * (d / common) + c * (b / common), b / common * d * 2)
    }

    fn with(&self, numerator: I256, denominator: I256) -> Self {
        Self {
            numerator: Term { number: numerator, ..self.numerator },
            denominator: Term { number: denominator, ..self.denominator },
        }
    }
}

/// Of a number that isn't negative and one above 0.
fn greatest_common_divisor(mut a: I256, mut b: I256) -> I256 {
    while a != 0 {
        (a, b) = (b % a, a);
    }
    b
}

/// Numbers that are further apart than this share of themselves are what they are about: four roundings of
/// 2⁻⁵³ are less by far.
const APART: f64 = 1e-12;

/// Sorts as `exactly` says. `about` are numbers that are greater for what stands later, unless two are as good
/// as equal: comparing these, and exactly only where they don't tell, sorts thousands in a fraction of the time.
pub fn sort_by_about<T: Copy>(
    all: &mut [T],
    about: impl Fn(&T) -> f64,
    exactly: impl Fn(&T, &T) -> Ordering,
) {
    let mut keyed: Vec<(f64, T)> = all.iter().map(|one| (about(one), *one)).collect();
    keyed.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let are_apart = |a: f64, b: f64| b - a > APART * (a.abs() + b.abs());
    // Whatever stands before a gap is less than whatever stands after it: between gaps all is compared exactly.
    for near in keyed.chunk_by_mut(|a, b| !are_apart(a.0, b.0)).filter(|near| near.len() > 1) {
        near.sort_unstable_by(|a, b| exactly(&a.1, &b.1));
    }
    all.iter_mut().zip(keyed).for_each(|(place, (_, one))| *place = one);
}

/// Which way a KPI is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    HigherIsBetter,
    LowerIsBetter,
    /// Neither way is good by itself.
    Neither,
}

// === impl Direction ===

impl Direction {
    /// Orders figures from the best; where neither way is good, from the greatest.
    pub fn best_first(self, a: &Ratio, b: &Ratio) -> Ordering {
        match self {
            Self::LowerIsBetter => a.cmp_exact(b),
            Self::HigherIsBetter | Self::Neither => b.cmp_exact(a),
        }
    }

    /// About a figure, the less the better: for [`sort_by_about`].
    pub fn about(self, figure: &Ratio) -> f64 {
        match self {
            Self::LowerIsBetter => figure.about(),
            Self::HigherIsBetter | Self::Neither => -figure.about(),
        }
    }
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
    let trend = match (later.cmp_exact(earlier), direction) {
        (_, Direction::Neither) => None,
        (Ordering::Equal, _) => Some(Trend::Same),
        (Ordering::Greater, Direction::HigherIsBetter) | (Ordering::Less, Direction::LowerIsBetter) => {
            Some(Trend::Better)
        }
        (Ordering::Less, Direction::HigherIsBetter) | (Ordering::Greater, Direction::LowerIsBetter) => {
            Some(Trend::Worse)
        }
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
    use proptest::prelude::*;

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
    fn ratios_beyond_floats_compare_exactly() {
        let amount = |e4: i128| Ratio::new(Quantity::AmountE4(e4), 3).unwrap();
        let great = i128::from(i64::MAX) << 20;
        assert_eq!(amount(great).cmp_exact(&amount(great + 1)), Ordering::Less);
        // Terms of 250 bits, apart by one in the last.
        let wide =
            |factor: i128| Ratio::product_e4(&[i128::MAX, factor], &[i128::MAX - 1, i128::MAX - 2]).unwrap();
        assert_eq!(wide(i128::MAX - 3).cmp_exact(&wide(i128::MAX - 4)), Ordering::Greater);
        assert_eq!(wide(i128::MAX - 3).terms(), None);
    }

    proptest! {
        #[test]
        fn comparing_is_cross_multiplying(a in -99i64..99, b in 1i64..99, c in -99i64..99, d in 1i64..99) {
            let (one, other) = (ratio(a, b).unwrap(), ratio(c, d).unwrap());
            prop_assert_eq!(one.cmp_exact(&other), (a * d).cmp(&(c * b)));
            let middle = one.midpoint(&other);
            prop_assert_eq!(middle.cmp_exact(&ratio(a * d + c * b, 2 * b * d).unwrap()), Ordering::Equal);
        }

        /// Figures as near to one another as they can be: of great terms, off by one in the last digit.
        #[test]
        fn sorting_by_what_figures_are_about_is_sorting_them(
            all in proptest::collection::vec((any::<u32>(), 1i64..99, -2i128..3, 0i128..3), 0..40),
            direction in proptest::sample::select(
                &[Direction::HigherIsBetter, Direction::LowerIsBetter, Direction::Neither][..],
            ),
        ) {
            let all: Vec<Ratio> = all
                .into_iter()
                .map(|(factor, denominator, off, is_great)| {
                    let great = (i128::from(i64::MAX) << 40) * is_great + i128::from(factor % 3) + off;
                    Ratio::new(Quantity::AmountE4(great * i128::from(denominator) + off), denominator).unwrap()
                })
                .collect();
            let exactly = |a: &Ratio, b: &Ratio| direction.best_first(a, b).then_with(|| a.cmp_terms(b));
            let (mut sorted, mut expected) = (all.clone(), all);
            sort_by_about(&mut sorted, |figure| direction.about(figure), exactly);
            expected.sort_by(exactly);
            let is_equal = |(a, b): (&Ratio, &Ratio)| exactly(a, b) == Ordering::Equal;
            prop_assert!(sorted.iter().zip(&expected).all(is_equal));
        }
    }

    #[test]
    fn products_are_in_lowest_terms() {
        // The tenant's velocity of the worked example.
        let velocity = Ratio::product_e4(&[169, 3, 3, 15_000_000], &[31, 5, 3, 49]).unwrap();
        assert_eq!(velocity.terms(), Some((Quantity::AmountE4(22_815_000_000), Quantity::Count(22_785))));
        let velocity = velocity.in_lowest_terms();
        assert_eq!(velocity.terms(), Some((Quantity::AmountE4(1_521_000_000), Quantity::Count(1_519))));
        assert_eq!(Ratio::product_e4(&[1, 2], &[0, 3]), None);
        let nothing = Ratio::product_e4(&[0, 2], &[4, 3]).unwrap().in_lowest_terms();
        assert_eq!(nothing.terms(), Some((Quantity::AmountE4(0), Quantity::Count(1))));
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
    fn directions_by_hand() {
        for (direction, later_is_greater) in [
            (Direction::HigherIsBetter, Some(Trend::Better)),
            (Direction::LowerIsBetter, Some(Trend::Worse)),
            (Direction::Neither, None),
        ] {
            assert_eq!(change(&ratio(2, 1), &ratio(1, 1), direction).unwrap().trend, later_is_greater);
        }
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
