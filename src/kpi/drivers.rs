//! Drivers: why a figure moved, with no remainder (docs/kpis.md §7).
//!
//! Invariants, property tests:
//! 1. The parts of a product's factors add up to its change.
//! 2. The parts of a rate's members, and what members share, add up to its change.
//!
//! To the last digits that floats have: a part is told from logarithms, so there is no exact one.

use super::average_deal_size::average_deal_size;
use super::deal_count::deal_count;
use super::deal_velocity::{cycle_days, deal_velocity, deals_in_work, win_rate};
use super::figure::{Absent, Direction, Figure, Quantity, Ratio};
use super::measures::Measures;
use super::standing::Standing;
use super::{average_deal_size, close_rate, deal_count, deal_success, deal_velocity};

/// Something in the comparison window and in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends<T> {
    pub before: T,
    pub now: T,
}

/// A figure that is a product of factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    DealVelocity,
    WonAmount,
}

/// What such a figure is a product of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    DealsInWork,
    WinRate,
    AverageDealSize,
    /// Divides.
    CycleDays,
    WonCount,
    /// Of the deals won, those whose amount is known.
    PricedShare,
}

/// A factor and its part in the change of the product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FactorPart {
    pub factor: Factor,
    pub values: Ends<Ratio>,
    /// In the product's unit.
    pub part: f64,
}

/// A figure that is a share of a count, and so the mean of its members' rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    CloseRate,
    DealSuccess,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateTerms {
    pub numerator: i64,
    pub denominator: i64,
}

/// A member's part in the change of a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemberPart {
    /// Its share of all members' denominators.
    pub shares: Ends<f64>,
    /// What came of its rate's change.
    pub rate: f64,
    /// What came of its share's change.
    pub mix: f64,
}

/// A rate's change, split over its members.
#[derive(Clone, Debug, PartialEq)]
pub struct RateParts {
    /// In the members' order.
    pub members: Vec<MemberPart>,
    /// What came of things that count for several members: what the rate changed by, less what the members'
    /// rate did, each thing counted as often as members have it. 0 where each has one.
    pub overlap: f64,
}

// === impl Ends ===

impl<T> Ends<T> {
    pub fn map<U>(self, told: impl Fn(T) -> U) -> Ends<U> {
        Ends { before: told(self.before), now: told(self.now) }
    }
}

impl Ends<f64> {
    pub fn change(self) -> f64 {
        self.now - self.before
    }

    fn mean(self) -> f64 {
        self.before + (self.now - self.before) / 2.0
    }
}

impl Ends<Figure> {
    fn both(self) -> Result<Ends<Ratio>, Absent> {
        Ok(Ends { before: self.before?, now: self.now? })
    }
}

// === impl Product ===

impl Product {
    /// Deal velocity, or the won amount as a single quantity.
    pub fn figure(self, standing: &Standing) -> Figure {
        match self {
            Self::DealVelocity => deal_velocity(standing),
            Self::WonAmount => Ok(Ratio::whole(Quantity::AmountE4(standing.measures.won.amount_e4))),
        }
    }

    pub fn direction(self) -> Direction {
        match self {
            Self::DealVelocity => deal_velocity::DIRECTION,
            // As the count that it is shown with.
            Self::WonAmount => deal_count::DIRECTION,
        }
    }

    fn factors(self) -> &'static [Factor] {
        use Factor::{AverageDealSize, CycleDays, DealsInWork, PricedShare, WinRate, WonCount};
        match self {
            Self::DealVelocity => &[DealsInWork, WinRate, AverageDealSize, CycleDays],
            Self::WonAmount => &[WonCount, PricedShare, AverageDealSize],
        }
    }
}

// === impl Factor ===

impl Factor {
    fn figure(self, standing: &Standing) -> Figure {
        let measures = &standing.measures;
        match self {
            Self::DealsInWork => deals_in_work(standing),
            Self::WinRate => win_rate(standing),
            Self::AverageDealSize => average_deal_size(measures),
            Self::CycleDays => cycle_days(measures),
            Self::WonCount => deal_count(measures),
            Self::PricedShare => priced_share(measures),
        }
    }

    /// Which way it is good.
    pub fn direction(self) -> Direction {
        match self {
            Self::DealsInWork => deal_velocity::DEALS_IN_WORK_DIRECTION,
            Self::WinRate => deal_success::DIRECTION,
            Self::AverageDealSize => average_deal_size::DIRECTION,
            Self::CycleDays => deal_velocity::CYCLE_DIRECTION,
            Self::WonCount => deal_count::DIRECTION,
            // How well records are kept, not how well deals go.
            Self::PricedShare => Direction::Neither,
        }
    }
}

/// The share of the deals won whose amount is known in the reporting currency.
fn priced_share(measures: &Measures) -> Figure {
    Ratio::new(Quantity::Count(measures.won.priced_count), measures.won.count).ok_or(Absent::NoDealWon)
}

// === impl Rate ===

impl Rate {
    pub fn figure(self, terms: RateTerms) -> Figure {
        let absent = match self {
            Self::CloseRate => Absent::NoProspect,
            Self::DealSuccess => Absent::NoDealEnded,
        };
        Ratio::new(Quantity::Count(terms.numerator), terms.denominator).ok_or(absent)
    }

    pub fn direction(self) -> Direction {
        match self {
            Self::CloseRate => close_rate::DIRECTION,
            Self::DealSuccess => deal_success::DIRECTION,
        }
    }

    pub fn terms(self, standing: &Standing) -> RateTerms {
        let Standing { measures, cohort, .. } = standing;
        let (numerator, denominator) = match self {
            Self::CloseRate => (cohort.purchased_count, cohort.prospect_count),
            Self::DealSuccess => (measures.won.count, measures.ended_count()),
        };
        RateTerms { numerator, denominator }
    }
}

// === impl RateTerms ===

impl RateTerms {
    /// None of none.
    fn rate(self) -> Option<f64> {
        (self.denominator > 0).then(|| self.numerator as f64 / self.denominator as f64)
    }
}

/// What each factor of a product did to its change.
///
/// Definition: by the log-mean Divisia rule a factor's part is L(V₁, V₀) · ln(x₁ / x₀), V being the product, x
/// the factor and L the logarithmic mean (a − b) / ln(a / b); that of a factor that divides has the opposite
/// sign.
/// Unit: the product's, the later value less the earlier one.
/// Absent where a factor is 0 or absent at either end.
/// Source: docs/kpis.md, section 7; B. W. Ang, F. L. Liu, A New Energy Decomposition Method: Perfect in
/// Decomposition and Consistent in Aggregation, 2001.
pub fn factor_parts(product: Product, standings: Ends<&Standing>) -> Result<Vec<FactorPart>, Absent> {
    let told = |factor: &Factor| {
        Ends { before: factor.figure(standings.before), now: factor.figure(standings.now) }.both()
    };
    let factors: Vec<Ends<Ratio>> = product.factors().iter().map(told).collect::<Result<_, _>>()?;
    // No measure is negative: what isn't above 0 is 0.
    let is_zero = |ratio: Ratio| ratio.quotient() <= 0.0;
    if factors.iter().any(|values| is_zero(values.before) || is_zero(values.now)) {
        return Err(Absent::FactorIsZero);
    }
    let values = Ends { before: product.figure(standings.before), now: product.figure(standings.now) };
    let mean = logarithmic_mean(values.both()?.map(|ratio| ratio.quotient()));
    let part = |(&factor, values): (&Factor, Ends<Ratio>)| {
        let logarithm = (values.now.quotient() / values.before.quotient()).ln();
        let part = mean * if factor == Factor::CycleDays { -logarithm } else { logarithm };
        FactorPart { factor, values, part }
    };
    Ok(product.factors().iter().zip(factors).map(part).collect())
}

/// (a − b) / ln(a / b) of two numbers above 0, and their value where they are equal.
fn logarithmic_mean(Ends { before, now }: Ends<f64>) -> f64 {
    // Written as √ab · sinh u / u, u = ln(a / b) / 2: near-equal ones leave no difference of near-equal terms.
    let u = (now / before).ln() / 2.0;
    let geometric_mean = before.sqrt() * now.sqrt();
    if u == 0.0 { geometric_mean } else { geometric_mean * (u.sinh() / u) }
}

/// What each member's rate, and each one's share, did to the change of the rate of all.
///
/// Definition: *rate* is the mean share times the change of the member's rate; *mix* the change of its share
/// times the mean of its rates less the mean of the two rates of all. A member with nothing at one end has its
/// rate of the other end there, so all of it is mix. Where things count for several members, shares are those
/// of the members' sum, the rates of all those of the members together, and the rest is *overlap*.
/// Unit: shares of 1, the later rate less the earlier one.
/// Absent where the rate of all is absent at either end.
/// Source: docs/kpis.md, section 7.
pub fn rate_parts(
    rate: Rate,
    all: Ends<RateTerms>,
    members: &[Ends<RateTerms>],
) -> Result<RateParts, Absent> {
    let figures = all.map(|terms| rate.figure(terms)).both()?;
    let total = |terms: &dyn Fn(&Ends<RateTerms>) -> RateTerms| {
        members.iter().map(terms).fold(RateTerms::default(), |sum, terms| RateTerms {
            numerator: sum.numerator + terms.numerator,
            denominator: sum.denominator + terms.denominator,
        })
    };
    let totals = Ends { before: total(&|terms| terms.before), now: total(&|terms| terms.now) };
    // Whatever is in a rate is some member's: where all have something, the members together do.
    let together = totals.map(|total| total.rate().unwrap_or_default());
    let share =
        |terms: RateTerms, total: RateTerms| terms.denominator as f64 / total.denominator.max(1) as f64;
    let part = |terms: &Ends<RateTerms>| {
        let shares = Ends { before: share(terms.before, totals.before), now: share(terms.now, totals.now) };
        let (before, now) = (terms.before.rate(), terms.now.rate());
        let rates =
            Ends { before: before.or(now).unwrap_or_default(), now: now.or(before).unwrap_or_default() };
        MemberPart {
            shares,
            rate: shares.mean() * rates.change(),
            mix: shares.change() * (rates.mean() - together.mean()),
        }
    };
    let overlap = match all == totals {
        true => 0.0,
        false => figures.map(|ratio| ratio.quotient()).change() - together.change(),
    };
    Ok(RateParts { members: members.iter().map(part).collect(), overlap })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::calendar::{DateRange, date};
    use crate::kpi::measures::Tally;
    use crate::kpi::standing::Cohort;

    /// March with deals that were opened and ended on one day each, and as many days of work.
    fn march(won: (i64, i64, i128), lost_count: i64, cycle_days: i64, work_days: i64) -> Standing {
        let dates = DateRange { from: date("2024-03-01"), to: date("2024-04-01") };
        let (count, priced_count, amount_e4) = won;
        let measures = Measures {
            won: Tally { count, priced_count, amount_e4 },
            lost: Tally { count: lost_count, ..Tally::default() },
            cycle_days,
            // On these dates the ends take nothing away from the work days.
            ended_day_numbers: (count + lost_count) * i64::from(dates.to.day_number()),
            same_day_count: work_days,
            ..Measures::default()
        };
        Standing { measures, ..Standing::nothing(dates) }
    }

    fn told(product: Product, before: Standing, now: Standing) -> Result<Vec<(Factor, f64)>, Absent> {
        let parts = factor_parts(product, Ends { before: &before, now: &now })?;
        Ok(parts.into_iter().map(|part| (part.factor, part.part)).collect())
    }

    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found}, expected {expected}");
    }

    #[test]
    fn factor_parts_by_hand() {
        use Factor::{AverageDealSize, CycleDays, DealsInWork, PricedShare, WinRate, WonCount};
        // From 2 deals of 100 to 4 of 100: all of it is the count's.
        let (two, four) = (march((2, 2, 200_0000), 0, 20, 62), march((4, 4, 400_0000), 0, 40, 62));
        let parts = told(Product::WonAmount, two, four).expect("no factor is 0");
        assert_eq!(
            parts.iter().map(|(factor, _)| *factor).collect::<Vec<_>>(),
            [WonCount, PricedShare, AverageDealSize]
        );
        assert_near(parts[0].1, 200.0);
        assert_eq!((parts[1].1, parts[2].1), (0.0, 0.0));
        // From 2 of 100 to 4 of 50: the parts cancel out, L(200, 200) · ln 2 each.
        let parts = told(Product::WonAmount, two, march((4, 4, 200_0000), 0, 40, 62)).expect("none is 0");
        assert_near(parts[0].1, 200.0 * 2f64.ln());
        assert_near(parts[2].1, -200.0 * 2f64.ln());
        // Of 4 deals 2 are priced, at 100 each: as many as before, of which half the amounts are known.
        let parts = told(Product::WonAmount, two, march((4, 2, 200_0000), 0, 40, 62)).expect("none is 0");
        assert_near(parts[0].1, 200.0 * 2f64.ln());
        assert_near(parts[1].1, -200.0 * 2f64.ln());
        // Velocity: 2 in work · 1 · 100 / 10 days = 20 a day; cycles of 5 days make it 40.
        let parts = told(Product::DealVelocity, two, march((2, 2, 200_0000), 0, 10, 62)).expect("none is 0");
        let expected = [(DealsInWork, 0.0), (WinRate, 0.0), (AverageDealSize, 0.0), (CycleDays, 20.0)];
        for ((factor, part), (named, expected)) in parts.into_iter().zip(expected) {
            assert_eq!(factor, named);
            assert_near(part, expected);
        }
        for (product, before, now, expected) in [
            (Product::WonAmount, march((0, 0, 0), 1, 0, 9), two, Absent::NoDealWon),
            (Product::WonAmount, two, march((3, 0, 0), 1, 9, 9), Absent::NoAmountKnown),
            (Product::WonAmount, march((3, 3, 0), 1, 9, 9), two, Absent::FactorIsZero), // amounts of 0
            (Product::DealVelocity, two, march((3, 3, 0), 1, 9, 9), Absent::FactorIsZero),
            (Product::DealVelocity, march((0, 0, 0), 0, 0, 9), two, Absent::NoDealEnded),
        ] {
            assert_eq!(told(product, before, now), Err(expected), "{product:?}");
        }
    }

    #[test]
    fn logarithmic_means_by_hand() {
        for (before, now, expected) in [
            (1.0, std::f64::consts::E, std::f64::consts::E - 1.0),
            (3.0, 3.0, 3.0),
            (100.0, 100.000_000_1, 100.000_000_05),
            (1e-6, 1e12, 1e12 / (1e18f64).ln()),
        ] {
            let [found, turned] =
                [Ends { before, now }, Ends { before: now, now: before }].map(logarithmic_mean);
            assert!((found / expected - 1.0).abs() < 1e-14, "L({now}, {before}) = {found}");
            assert!((found / turned - 1.0).abs() < 1e-14, "it is the same both ways");
        }
    }

    #[test]
    fn rates_are_those_of_the_kpis() {
        for (purchased_count, prospect_count) in [(0, 0), (0, 3), (2, 3)] {
            let cohort = Cohort { prospect_count, purchased_count, lost_count: 0 };
            let standing = Standing { cohort, ..march((2, 2, 100), 1, 0, 0) };
            let terms = Rate::CloseRate.terms(&standing);
            assert_eq!(Rate::CloseRate.figure(terms), close_rate::close_rate(&cohort));
        }
        for (won, lost) in [((0, 0, 0), 0), ((0, 0, 0), 2), ((2, 1, 100), 1)] {
            let standing = march(won, lost, 0, 0);
            let terms = Rate::DealSuccess.terms(&standing);
            assert_eq!(Rate::DealSuccess.figure(terms), deal_success::deal_success(&standing.measures));
        }
    }

    fn terms((numerator, denominator): (i64, i64)) -> RateTerms {
        RateTerms { numerator, denominator }
    }

    type Terms = (i64, i64);

    fn split(all: (Terms, Terms), members: &[(Terms, Terms)]) -> Result<RateParts, Absent> {
        let ends = |(before, now): &(Terms, Terms)| Ends { before: terms(*before), now: terms(*now) };
        let members: Vec<Ends<RateTerms>> = members.iter().map(ends).collect();
        rate_parts(Rate::CloseRate, ends(&all), &members)
    }

    #[test]
    fn rate_parts_by_hand() {
        // Both close as well as before, but the better one has more of the prospects: mix alone.
        let found =
            split(((6, 20), (7, 20)), &[((4, 10), (6, 15)), ((2, 10), (1, 5))]).expect("both have some");
        for (member, (before, now), mix) in [(0, (0.5, 0.75), 0.01875), (1, (0.5, 0.25), 0.03125)] {
            let MemberPart { shares, rate, mix: found_mix } = found.members[member];
            assert_eq!((shares, rate), (Ends { before, now }, 0.0));
            assert_near(found_mix, mix); // ± 0.25 · (0.4 or 0.2 − 0.325)
        }
        assert_eq!(found.overlap, 0.0);
        // Equal shares, one of which closes better: rate alone, by half of what its own rate rose.
        let found =
            split(((6, 20), (8, 20)), &[((4, 10), (6, 10)), ((2, 10), (2, 10))]).expect("both have some");
        let told: Vec<(f64, f64)> = found.members.iter().map(|part| (part.rate, part.mix)).collect();
        assert_near(told[0].0, 0.1);
        assert_eq!((told[0].1, told[1]), (0.0, (0.0, 0.0)));
        // One that is new: all of it is mix.
        let found =
            split(((4, 10), (6, 20)), &[((4, 10), (4, 10)), ((0, 0), (2, 10))]).expect("there are some");
        assert_eq!((found.members[0].rate, found.members[1].rate), (0.0, 0.0));
        assert_near(found.members.iter().map(|part| part.mix).sum(), -0.1);
        // Two prospects count for both: together they are 12 and close 6 of these, before 3 of 10.
        let found = split(((3, 10), (4, 10)), &[((1, 5), (3, 6)), ((2, 5), (3, 6))]).expect("both have some");
        assert_near(found.members.iter().map(|part| part.rate + part.mix).sum(), 0.2);
        assert_near(found.overlap, -0.1);
        // None at one end, or at both.
        assert_eq!(split(((0, 0), (4, 10)), &[((0, 0), (4, 10))]), Err(Absent::NoProspect));
        assert_eq!(split(((4, 10), (0, 0)), &[((4, 10), (0, 0))]), Err(Absent::NoProspect));
        assert_eq!(split(((0, 0), (0, 0)), &[]), Err(Absent::NoProspect));
    }

    fn any_standing() -> impl Strategy<Value = Standing> {
        (1i64..400, 0i64..400, 0i64..400, 1i128..1_000_000_000_000, 0i64..9_000, 1i64..9_000).prop_map(
            |(priced, unpriced, lost, amount_e4, cycle_days, work_days)| {
                let mut standing = march((priced + unpriced, priced, amount_e4), lost, cycle_days, work_days);
                standing.measures.same_day_won_count = priced + unpriced;
                standing
            },
        )
    }

    /// Of some of them a few.
    fn any_terms() -> impl Strategy<Value = Terms> {
        (0i64..50, 0i64..50).prop_map(|(a, b)| (a.min(b), b))
    }

    proptest! {
        #[test]
        fn factors_leave_no_remainder(before in any_standing(), now in any_standing()) {
            for product in [Product::DealVelocity, Product::WonAmount] {
                let figure = |standing| product.figure(standing).expect("a deal was won").quotient();
                let (then, later) = (figure(&before), figure(&now));
                let parts = told(product, before, now).expect("no factor is 0");
                let greatest = parts.iter().map(|(_, part)| part.abs()).fold(then.max(later), f64::max);
                let sum: f64 = parts.iter().map(|(_, part)| part).sum();
                prop_assert!((sum - (later - then)).abs() <= 1e-13 * greatest, "{sum} of {}", later - then);
                // The other way round every part has the opposite sign.
                for ((_, part), (_, turned)) in parts.iter().zip(told(product, now, before).expect("nor here")) {
                    prop_assert!((part + turned).abs() <= 1e-13 * greatest);
                }
            }
        }

        #[test]
        fn members_leave_no_remainder(members in proptest::collection::vec((any_terms(), any_terms()), 0..12)) {
            let sum = |of: &dyn Fn(&(Terms, Terms)) -> Terms| {
                members.iter().map(of).fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
            };
            let all = (sum(&|ends| ends.0), sum(&|ends| ends.1));
            let found = split(all, &members);
            prop_assert_eq!(found.is_ok(), all.0.1 > 0 && all.1.1 > 0);
            let Ok(found) = found else { return Ok(()) };
            let rate = |(numerator, denominator): Terms| numerator as f64 / denominator as f64;
            let parts: f64 = found.members.iter().map(|part| part.rate + part.mix).sum();
            prop_assert_eq!(found.overlap, 0.0);
            prop_assert!((parts - (rate(all.1) - rate(all.0))).abs() < 1e-14);
            for (part, (before, now)) in found.members.iter().zip(&members) {
                let is_on_one_end = (before.1 == 0) != (now.1 == 0);
                prop_assert!(!is_on_one_end || part.rate == 0.0, "all of it is mix");
            }
        }

        /// Members that have some in common, or lack some.
        #[test]
        fn what_members_share_is_told(
            all in (any_terms(), any_terms()),
            members in proptest::collection::vec((any_terms(), any_terms()), 1..6),
        ) {
            let Ok(found) = split(all, &members) else { return Ok(()) };
            let rate = |(numerator, denominator): Terms| numerator as f64 / denominator as f64;
            let parts: f64 = found.members.iter().map(|part| part.rate + part.mix).sum();
            let has_some = |of: &dyn Fn(&(Terms, Terms)) -> i64| members.iter().map(of).sum::<i64>() > 0;
            prop_assume!(has_some(&|ends| ends.0.1) && has_some(&|ends| ends.1.1));
            prop_assert!((parts + found.overlap - (rate(all.1) - rate(all.0))).abs() < 1e-14);
        }
    }
}
