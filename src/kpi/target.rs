//! KPI 3, its targets: how much of one is reached, how much of it is due, and where it will land.
//!
//! Invariants:
//! 1. An outlook is a sum over deals: their order means nothing.
//! 2. What is due never shrinks from day to day, and is the whole value on the target's last day.
//! 3. What was won so far ≤ the interval's lower bound ≤ landing ≤ its upper bound ≤ what was won and all
//!    deals expected to close.

use std::collections::BTreeMap;

use ethnum::U256;

use super::figure::{Absent, Figure, Quantity, Ratio};
use super::measures::Tally;
use super::pipeline::OpenDeal;
use crate::domain::amount::BasisPoints;
use crate::domain::calendar::{Date, DateRange};

/// Standard deviations from the mean to the bounds of an 80 % interval.
const Z: f64 = 1.2816;

/// Basis points to the whole.
const WHOLE_BPS: i128 = BasisPoints::WHOLE.get() as i128;

/// What is to be reached, in which days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal<'a> {
    /// Deals won, or what they are worth in the reporting currency.
    pub value: Quantity,
    pub dates: DateRange,
    /// By the first day of their months. Empty: evenly over the days.
    pub month_weights: &'a BTreeMap<Date, u32>,
}

/// What of a target was reached by a date, and what may still come.
///
/// Definition: won so far are the deals won in the target's days up to the date, which is one of them.
/// Unit: deals, or money of the reporting currency, as the target has it.
/// Source: docs/kpis.md, section 6, KPI 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    pub goal: Goal<'a>,
    pub won: Tally,
    pub outlook: Outlook,
}

/// The open deals that may still count for a target. Each counts one, or its amount; an unknown amount
/// is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    as_of: Date,
    /// The target's end: its last day is the one before.
    end_on: Date,
    counts_amounts: bool,
    /// Those expected to close before the target's end, overdue ones among them.
    pub expected: Tally,
    /// Of these, those that were expected to close before the date.
    pub overdue: Tally,
    /// Of those expected, those of which no probability is known: they weigh nothing.
    pub unweighted: Tally,
    /// Those without an expected close, which are not expected.
    pub undated: Tally,
    /// Σ p·a of those expected, p in basis points.
    weighted: i128,
    /// The same of those overdue.
    overdue_weighted: i128,
    /// Σ p·(1 − p)·a² of those expected, p in basis points.
    variance: U256,
}

// === impl Outlook ===

impl Outlook {
    /// Nothing yet.
    pub fn new(goal: &Goal<'_>, as_of: Date) -> Self {
        Self {
            as_of,
            end_on: goal.dates.to,
            counts_amounts: matches!(goal.value, Quantity::AmountE4(_)),
            expected: Tally::default(),
            overdue: Tally::default(),
            unweighted: Tally::default(),
            undated: Tally::default(),
            weighted: 0,
            overdue_weighted: 0,
            variance: U256::ZERO,
        }
    }

    /// Adds a deal that is open on the date.
    pub fn add(&mut self, deal: &OpenDeal) {
        let tally = Tally::of(deal.amount);
        let Some(expected_on) = deal.expected_close_on else {
            self.undated += tally;
            return;
        };
        if expected_on >= self.end_on {
            return;
        }
        let is_overdue = expected_on < self.as_of;
        self.expected += tally;
        if is_overdue {
            self.overdue += tally;
        }
        let Some(probability) = deal.probability else {
            self.unweighted += tally;
            return;
        };
        let (size, bps) = (self.size(&tally), i128::from(probability.get()));
        self.weighted += bps * size;
        if is_overdue {
            self.overdue_weighted += bps * size;
        }
        let size = U256::from(size.unsigned_abs());
        self.variance += size * size * U256::from((bps * (WHOLE_BPS - bps)).unsigned_abs());
    }

    /// As the target counts: deals, or their amounts in ten-thousandths.
    fn size(&self, tally: &Tally) -> i128 {
        if self.counts_amounts { tally.amount_e4 } else { i128::from(tally.count) }
    }

    fn quantity(&self, size: i128) -> Result<Quantity, Absent> {
        if self.counts_amounts {
            return Ok(Quantity::AmountE4(size));
        }
        i64::try_from(size).map(Quantity::Count).map_err(|_| Absent::OutOfRange)
    }

    /// `size / divisor`, in lowest terms.
    fn ratio(&self, size: i128, divisor: i128) -> Figure {
        let (size, divisor) = in_lowest_terms(size, divisor);
        let divisor = i64::try_from(divisor).map_err(|_| Absent::OutOfRange)?;
        Ok(Ratio::new(self.quantity(size)?, divisor).expect("divisors are above 0"))
    }
}

// === impl Progress ===

impl Progress<'_> {
    /// What was won so far, as the target counts.
    pub fn attained(&self) -> Quantity {
        if self.outlook.counts_amounts {
            Quantity::AmountE4(self.won.amount_e4)
        } else {
            Quantity::Count(self.won.count)
        }
    }

    /// What is left of the value.
    ///
    /// Definition: max(0, value − attained).
    pub fn remaining(&self) -> Quantity {
        match (self.goal.value, self.attained()) {
            (Quantity::AmountE4(value), Quantity::AmountE4(won)) => Quantity::AmountE4((value - won).max(0)),
            (Quantity::Count(value), Quantity::Count(won)) => Quantity::Count((value - won).max(0)),
            _ => unreachable!("what was attained is counted as the value is"),
        }
    }

    /// The part of the value that is due by the date: the target's pace.
    ///
    /// Definition: months by their weights, without weights by their days; within a month its days evenly,
    /// those of the target only. The date itself is due.
    /// Unit: exact ratio, 0 to 1.
    pub fn due_share(&self) -> Ratio {
        let (due, whole) = self.due_part();
        let term = |term| i64::try_from(term).expect("weights times days of a month stay below 2^63");
        Ratio::new(Quantity::Count(term(due)), term(whole)).expect("weights and days are above 0")
    }

    /// How much is due by the date.
    ///
    /// Definition: value · [`Progress::due_share`].
    /// Absent only where the exact terms are beyond 63 bits.
    pub fn due(&self) -> Figure {
        let (due, whole) = self.due_part();
        let value = match self.goal.value {
            Quantity::AmountE4(amount_e4) => amount_e4,
            Quantity::Count(count) => i128::from(count),
        };
        self.outlook.ratio(value * due, whole)
    }

    /// How often the open deals cover what is left.
    ///
    /// Definition: deals expected to close before the target's end / remaining, overdue ones included.
    /// Absent when nothing remains.
    pub fn coverage(&self) -> Figure {
        let expected = self.outlook.quantity(self.outlook.size(&self.outlook.expected))?;
        Ratio::of(expected, self.remaining()).ok_or(Absent::TargetReached)
    }

    /// Where the target will probably end.
    ///
    /// Definition: won so far + Σ p·a of the deals expected to close before the target's end; those without
    /// a probability weigh nothing.
    /// Absent only where the exact terms are beyond 63 bits.
    pub fn landing(&self) -> Figure {
        self.outlook.ratio(self.landing_bps(), WHOLE_BPS)
    }

    /// The part of [`Progress::landing`] that rests on overdue deals.
    pub fn overdue_weighted(&self) -> Figure {
        self.outlook.ratio(self.outlook.overdue_weighted, WHOLE_BPS)
    }

    /// The 80 % interval of [`Progress::landing`], in units.
    ///
    /// Definition: landing ± 1.2816 · √Σ p·(1 − p)·a², cut to what is possible: nothing more is won, or
    /// every deal expected to close.
    pub fn landing_interval(&self) -> (f64, f64) {
        let outlook = &self.outlook;
        let scale = if outlook.counts_amounts { 10_000.0 } else { 1.0 } * WHOLE_BPS as f64;
        let units = |bps: i128| bps as f64 / scale;
        let won = outlook.size(&self.won);
        let (least, most) = (won * WHOLE_BPS, (won + outlook.size(&outlook.expected)) * WHOLE_BPS);
        let (landing, half) = (units(self.landing_bps()), Z * outlook.variance.as_f64().sqrt() / scale);
        ((landing - half).max(units(least)), (landing + half).min(units(most)))
    }

    /// [`Progress::landing`] times the whole in basis points.
    fn landing_bps(&self) -> i128 {
        self.outlook.size(&self.won) * WHOLE_BPS + self.outlook.weighted
    }

    /// [`Progress::due_share`] in lowest terms.
    fn due_part(&self) -> (i128, i128) {
        let Goal { dates, month_weights, .. } = self.goal;
        let last = self.outlook.as_of.min(dates.to.plus_days(-1));
        if last < dates.from {
            return (0, 1);
        }
        let days = |dates: DateRange| i128::from(dates.days());
        let to_date = |from| DateRange { from, to: last.next() };
        let weight_sum: i128 = month_weights.values().map(|&weight| i128::from(weight)).sum();
        if weight_sum == 0 {
            return in_lowest_terms(days(to_date(dates.from)), days(dates));
        }
        let month = last.month();
        let past: i128 =
            month_weights.range(..month.first_day()).map(|(_, &weight)| i128::from(weight)).sum();
        let current = month_weights.get(&month.first_day()).map_or(0, |&weight| i128::from(weight));
        let of_month =
            DateRange { from: month.first_day().max(dates.from), to: month.next().first_day().min(dates.to) };
        let due = past * days(of_month) + current * days(to_date(of_month.from));
        in_lowest_terms(due, weight_sum * days(of_month))
    }
}

/// Both divided by what divides both. The second is above 0.
fn in_lowest_terms(numerator: i128, denominator: i128) -> (i128, i128) {
    let (mut divisor, mut rest) = (denominator, numerator.abs());
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (numerator / divisor, denominator / divisor)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::amount::Amount;
    use crate::domain::calendar::date;

    const UNIT_E4: i128 = 10_000;

    fn weights(months: &[(&str, u32)]) -> BTreeMap<Date, u32> {
        months.iter().map(|&(month, weight)| (date(&format!("{month}-01")), weight)).collect()
    }

    fn goal<'a>(value: Quantity, days: &str, month_weights: &'a BTreeMap<Date, u32>) -> Goal<'a> {
        let (from, to) = days.split_once("..").unwrap();
        Goal { value, dates: DateRange { from: date(from), to: date(to) }, month_weights }
    }

    /// What was won, and the open deals as (expected close, units, basis points).
    fn progress<'a>(
        goal: Goal<'a>,
        as_of: &str,
        won: (i64, i64),
        open: &[(Option<&str>, Option<i64>, Option<i64>)],
    ) -> Progress<'a> {
        let mut outlook = Outlook::new(&goal, date(as_of));
        for &(expected, units, bps) in open {
            outlook.add(&OpenDeal {
                opened_on: date("2024-01-01"),
                expires_on: None,
                expected_close_on: expected.map(date),
                amount: units.map(|units| Amount::try_from_e4(units * 10_000).unwrap()),
                probability: bps.map(|bps| BasisPoints::try_new(bps).unwrap()),
            });
        }
        let (count, units) = won;
        let won = Tally { count, priced_count: count, amount_e4: i128::from(units) * UNIT_E4 };
        Progress { goal, won, outlook }
    }

    fn money(units: i128) -> Quantity {
        Quantity::AmountE4(units * UNIT_E4)
    }

    fn whole(count: i64) -> Quantity {
        Quantity::Count(count)
    }

    fn ratio(numerator: Quantity, denominator: i64) -> Figure {
        Ok(Ratio::new(numerator, denominator).unwrap())
    }

    fn tally(count: i64, units: i128) -> Tally {
        Tally { count, priced_count: count, amount_e4: units * UNIT_E4 }
    }

    #[test]
    fn pace_by_hand() {
        let none = BTreeMap::new();
        let quarter = weights(&[("2024-01", 25), ("2024-02", 0), ("2024-03", 75)]);
        let first_only = weights(&[("2024-01", 7)]);
        for (days, weights, as_of, due, of) in [
            ("2024-01-01..2024-04-01", &none, "2024-01-01", 1, 91), // the first day is due
            ("2024-01-01..2024-04-01", &none, "2024-02-29", 60, 91), // a leap February
            ("2023-01-01..2023-04-01", &none, "2023-02-28", 59, 90),
            ("2024-01-01..2024-04-01", &none, "2024-03-31", 1, 1), // the last day: all
            ("2024-01-01..2024-04-01", &quarter, "2024-01-01", 1, 124), // 25/100 · 1/31
            ("2024-01-01..2024-04-01", &quarter, "2024-01-31", 1, 4),
            ("2024-01-01..2024-04-01", &quarter, "2024-02-29", 1, 4), // a month of weight 0
            ("2024-01-01..2024-04-01", &quarter, "2024-03-01", 17, 62), // 1/4 + 3/4 · 1/31
            ("2024-01-01..2024-04-01", &quarter, "2024-03-31", 1, 1),
            ("2024-01-01..2024-04-01", &first_only, "2024-02-10", 1, 1), // months without one have 0
            ("2024-01-16..2024-03-11", &quarter, "2024-01-23", 1, 8),    // half of January's 16 days
            ("2024-01-16..2024-03-11", &quarter, "2024-03-05", 5, 8),    // half of March's 10 days
            ("2024-02-29..2024-03-01", &none, "2024-02-29", 1, 1),       // a day
        ] {
            let found = progress(goal(money(1_240), days, weights), as_of, (0, 0), &[]);
            assert_eq!(found.due_share(), Ratio::new(whole(due), of).unwrap(), "{days} {as_of}");
            // So much of 1,240.00, and of 4 deals: exact, whatever the divisor.
            let expected = f64::from(u32::try_from(due).unwrap()) / of as f64;
            assert!((found.due().unwrap().quotient() - 1_240.0 * expected).abs() < 1e-9, "{days} {as_of}");
            let deals = progress(goal(whole(4), days, weights), as_of, (0, 0), &[]);
            assert!((deals.due().unwrap().quotient() - 4.0 * expected).abs() < 1e-12, "{days} {as_of}");
        }
        let due =
            progress(goal(money(100), "2024-01-01..2024-01-04", &none), "2024-01-02", (0, 0), &[]).due();
        assert_eq!(due, ratio(money(200), 3), "two thirds of 100, unrounded");
    }

    #[test]
    fn targets_by_hand() {
        let none = BTreeMap::new();
        let march = "2024-03-01..2024-04-01";
        let open = [
            (Some("2024-03-31"), Some(1_000), Some(5_000)),
            (Some("2024-03-31"), Some(400), Some(10_000)), // certain: no spread
            (Some("2024-03-10"), Some(2_000), Some(2_500)), // overdue, and included
            (Some("2024-02-10"), None, Some(2_500)),       // overdue, of an unknown amount
            (Some("2024-03-20"), Some(300), None),         // weighs nothing
            (Some("2024-04-01"), Some(5_000), Some(9_000)), // after the target's end
            (None, Some(7_000), Some(9_000)),              // nobody expects it
        ];
        let amounts = progress(goal(money(4_300), march, &none), "2024-03-20", (3, 600), &open);
        assert_eq!(amounts.attained(), money(600));
        assert_eq!(amounts.remaining(), money(3_700));
        let expected = Tally { count: 5, priced_count: 4, amount_e4: 3_700 * UNIT_E4 };
        assert_eq!(amounts.outlook.expected, expected);
        let overdue = Tally { count: 2, priced_count: 1, amount_e4: 2_000 * UNIT_E4 };
        assert_eq!(amounts.outlook.overdue, overdue);
        assert_eq!(amounts.outlook.unweighted, tally(1, 300));
        assert_eq!(amounts.outlook.undated, tally(1, 7_000));
        assert_eq!(amounts.coverage(), Ok(Ratio::of(money(3_700), money(3_700)).unwrap()));
        assert_eq!(amounts.landing(), ratio(money(2_000), 1), "600 + 500 + 400 + 500");
        assert_eq!(amounts.overdue_weighted(), ratio(money(500), 1));
        // Σ p(1 − p)a² = ¼·1,000² + 3/16·2,000² = 1,000,000
        let (lower, upper) = amounts.landing_interval();
        assert!((lower - (2_000.0 - 1_281.6)).abs() < 1e-9 && (upper - (2_000.0 + 1_281.6)).abs() < 1e-9);

        let deals = progress(goal(whole(7), march, &none), "2024-03-20", (3, 600), &open);
        assert_eq!((deals.attained(), deals.remaining()), (whole(3), whole(4)));
        assert_eq!(deals.coverage(), ratio(whole(5), 4));
        assert_eq!(deals.landing(), ratio(whole(5), 1), "3 + ½ + 1 + ¼ + ¼");
        assert_eq!(deals.overdue_weighted(), ratio(whole(1), 2));
        // Σ p(1 − p) = ¼ + 3/16 + 3/16 = 10/16
        let (lower, upper) = deals.landing_interval();
        let half = 1.2816 * 0.625_f64.sqrt();
        assert!((lower - (5.0 - half)).abs() < 1e-12 && (upper - (5.0 + half)).abs() < 1e-12);
    }

    #[test]
    fn targets_reached_and_without_deals() {
        let none = BTreeMap::new();
        let march = "2024-03-01..2024-04-01";
        let open = [(Some("2024-03-25"), Some(10), Some(5_000))];
        for (value, won, remaining, coverage) in [
            (money(600), (3, 600), money(0), Err(Absent::TargetReached)),
            (money(500), (3, 600), money(0), Err(Absent::TargetReached)), // and more
            (whole(3), (3, 600), whole(0), Err(Absent::TargetReached)),
            (whole(0), (0, 0), whole(0), Err(Absent::TargetReached)),
            (whole(4), (3, 600), whole(1), ratio(whole(1), 1)),
        ] {
            let found = progress(goal(value, march, &none), "2024-03-15", won, &open);
            assert_eq!((found.remaining(), found.coverage()), (remaining, coverage), "{value:?}");
        }
        let alone = progress(goal(money(900), march, &none), "2024-03-15", (3, 600), &[]);
        assert_eq!(alone.coverage(), Ok(Ratio::of(money(0), money(300)).unwrap()), "0, not absent");
        assert_eq!((alone.landing(), alone.landing_interval()), (ratio(money(600), 1), (600.0, 600.0)));
    }

    /// One deal at even odds would reach beyond both ends.
    #[test]
    fn an_interval_is_cut_to_what_is_possible() {
        let none = BTreeMap::new();
        let goal = goal(money(9_000), "2024-03-01..2024-04-01", &none);
        let one = [(Some("2024-03-25"), Some(1_000), Some(5_000))];
        assert_eq!(progress(goal, "2024-03-15", (1, 200), &one).landing_interval(), (200.0, 1_200.0));
        // What has no probability is possible, though nothing is expected of it.
        let two = [one[0], (Some("2024-03-26"), Some(300), None)];
        let (lower, upper) = progress(goal, "2024-03-15", (1, 200), &two).landing_interval();
        assert!(lower == 200.0 && (upper - (700.0 + 640.8)).abs() < 1e-9, "{lower} {upper}");
    }

    #[test]
    fn what_is_overdue_begins_the_day_after() {
        let none = BTreeMap::new();
        let goal = goal(whole(9), "2024-03-01..2024-04-01", &none);
        // all overdue, even before the target's first day
        let all = [(Some("2024-03-14"), Some(10), Some(5_000)), (Some("2023-05-01"), Some(20), None)];
        let found = progress(goal, "2024-03-15", (0, 0), &all);
        assert_eq!((found.outlook.expected, found.outlook.overdue), (tally(2, 30), tally(2, 30)));
        assert_eq!(found.overdue_weighted(), found.landing());
        let on_the_day = [(Some("2024-03-15"), Some(10), Some(5_000))];
        let found = progress(goal, "2024-03-15", (0, 0), &on_the_day);
        assert_eq!((found.outlook.expected, found.outlook.overdue), (tally(1, 10), tally(0, 0)));
    }

    /// As much as records may hold: nothing overflows, and what the wire can't hold is absent.
    #[test]
    fn the_greatest_values_by_hand() {
        let heavy = weights(&[("2024-01", 1_000_000_000), ("2024-02", 999_999_999)]);
        let greatest = Amount::MAX.e4().into();
        let days = "2024-01-01..2024-03-01";
        let amounts = progress(goal(Quantity::AmountE4(greatest), days, &heavy), "2024-02-03", (0, 0), &[]);
        let share = (1_000_000_000.0 * 29.0 + 999_999_999.0 * 3.0) / (1_999_999_999.0 * 29.0);
        assert!((amounts.due().unwrap().quotient() / (9.2e14 * share) - 1.0).abs() < 1e-12);
        let deals = progress(goal(whole(i64::MAX), days, &heavy), "2024-02-03", (0, 0), &[]);
        assert_eq!(deals.due(), Err(Absent::OutOfRange));
        let most = [(Some("2024-02-20"), Some(920_000_000_000_000), Some(5_000)); 100];
        let found = progress(goal(money(1), days, &heavy), "2024-02-03", (0, 0), &most);
        assert_eq!(found.landing(), ratio(money(920_000_000_000_000 * 50), 1));
        let (lower, upper) = found.landing_interval();
        assert!((9.2e14 * 5.0 * 1.2816 - (upper - lower) / 2.0).abs() < 1e3, "{lower} {upper}");
    }

    fn open_deal() -> impl Strategy<Value = OpenDeal> {
        let amount = proptest::option::weighted(0.8, (0..=Amount::MAX.e4(), 0..60u32));
        let bps = proptest::option::weighted(0.8, 0..=10_000i64);
        let expected = proptest::option::weighted(0.8, -40..90i32);
        (amount, bps, expected).prop_map(|(amount, bps, expected)| OpenDeal {
            opened_on: date("2023-01-01"),
            expires_on: None,
            expected_close_on: expected.map(|days| date("2024-01-31").plus_days(days)),
            amount: amount.map(|(e4, shift)| Amount::try_from_e4(e4 >> shift).unwrap()),
            probability: bps.map(|bps| BasisPoints::try_new(bps).unwrap()),
        })
    }

    fn value() -> impl Strategy<Value = Quantity> {
        prop_oneof![
            (0..=Amount::MAX.e4()).prop_map(|e4| Quantity::AmountE4(e4.into())),
            (0..1_000_000i64).prop_map(Quantity::Count),
        ]
    }

    proptest! {
        #[test]
        fn landing_lies_within_its_bounds(
            value in value(), won in (0..100i64, 0..1i128 << 80), deals in vec(open_deal(), 0..30),
        ) {
            let none = BTreeMap::new();
            let goal = goal(value, "2024-01-01..2024-04-01", &none);
            let mut outlook = Outlook::new(&goal, date("2024-01-31"));
            deals.iter().for_each(|deal| outlook.add(deal));
            let mut backwards = Outlook::new(&goal, date("2024-01-31"));
            deals.iter().rev().for_each(|deal| backwards.add(deal));
            prop_assert_eq!(outlook, backwards);

            let won = Tally { count: won.0, priced_count: won.0, amount_e4: won.1 };
            let found = Progress { goal, won, outlook };
            let (lower, upper) = found.landing_interval();
            let landing = found.landing().unwrap().quotient();
            let units = |quantity| Ratio::whole(quantity).quotient();
            let least = units(found.attained());
            let most = match value {
                Quantity::AmountE4(_) => units(Quantity::AmountE4(won.amount_e4 + outlook.expected.amount_e4)),
                Quantity::Count(_) => units(Quantity::Count(won.count + outlook.expected.count)),
            };
            // Quotients differ in their last bits from one divisor to another.
            let at_most = |a: f64, b: f64| a <= b * (1.0 + 1e-12);
            prop_assert!(at_most(least, lower) && at_most(lower, landing), "{least} {lower} {landing}");
            prop_assert!(at_most(landing, upper) && at_most(upper, most), "{landing} {upper} {most}");
            prop_assert_eq!(outlook.expected.count + outlook.undated.count
                + deals.iter().filter(|deal| deal.expected_close_on >= Some(goal.dates.to)).count() as i64,
                deals.len() as i64);
        }

        #[test]
        fn what_is_due_grows_from_0_to_the_whole(
            from in 0..400i32, days in 1..200i32, sent in vec(0..4u32, 20), sum in any::<bool>(),
        ) {
            let from = date("2023-01-01").plus_days(from);
            let dates = DateRange { from, to: from.plus_days(days) };
            let months = std::iter::successors(Some(from.month()), |month| Some(month.next()));
            let months = months.take_while(|month| month.first_day() < dates.to).map(|month| month.first_day());
            let mut month_weights: BTreeMap<Date, u32> =
                if sum { months.zip(sent).collect() } else { BTreeMap::new() };
            if month_weights.values().sum::<u32>() == 0 {
                month_weights.clear();
            }
            let goal = Goal { value: money(1_000), dates, month_weights: &month_weights };
            let share = |days| {
                let outlook = Outlook::new(&goal, from.plus_days(days));
                Progress { goal, won: Tally::default(), outlook }.due_share()
            };
            prop_assert_eq!(share(-1), Ratio::new(whole(0), 1).unwrap());
            prop_assert_eq!(share(days - 1), Ratio::new(whole(1), 1).unwrap());
            prop_assert_eq!(share(days), share(days - 1));
            for day in 0..days {
                prop_assert_ne!(share(day).cmp_exact(&share(day - 1)), std::cmp::Ordering::Less, "day {}", day);
            }
        }
    }
}
