//! KPI 6: deal velocity. The money per day that the deals in work bring: faster is better.

use super::average_deal_size::average_deal_size;
use super::deal_success::deal_success;
use super::figure::{Absent, Direction, Figure, Quantity, Ratio};
use super::measures::Measures;
use super::standing::Standing;

pub const DIRECTION: Direction = Direction::HigherIsBetter;
pub const DEALS_IN_WORK_DIRECTION: Direction = Direction::Neither;
pub const CYCLE_DIRECTION: Direction = Direction::LowerIsBetter;

/// Money per day.
///
/// Definition: N · w · s / c, where N = work days / days of the window up to `as_of` (the mean number of
/// deals in work), w = won / (won + lost + expired), s = the average deal size, c = the mean of
/// max(1, cycle days) of the deals won. By Little's law the revenue per day of a steady pipeline, whatever
/// the window's length.
/// Unit: money of the reporting currency per day, an exact ratio in lowest terms.
/// Absent without a deal won whose amount is known.
/// Source: docs/kpis.md, section 6, KPI 6.
pub fn deal_velocity(standing: &Standing) -> Figure {
    velocity_to_compare(standing).map(Ratio::in_lowest_terms)
}

/// The same, not in lowest terms: to find these for thousands takes longer than to compare what they are of.
pub fn velocity_to_compare(standing: &Standing) -> Figure {
    let measures = &standing.measures;
    average_deal_size(measures)?;
    let won = &measures.won;
    let (count, wide) = (i128::from(won.count), i128::from);
    // N · w · s / c, each factor a fraction: the number of deals won comes twice above, from w and c.
    let factors = [wide(standing.work_days()), count, won.amount_e4, count];
    let divisors = [
        wide(i64::from(standing.dates.days())),
        wide(measures.ended_count()),
        wide(won.priced_count),
        wide(clamped_cycle_days(measures)),
    ];
    Ratio::product_e4(&factors, &divisors).ok_or(Absent::NoDealInWork)
}

/// N, the mean number of deals in work.
pub fn deals_in_work(standing: &Standing) -> Figure {
    let days = i64::from(standing.dates.days());
    Ratio::new(Quantity::Count(standing.work_days()), days).ok_or(Absent::NoDealInWork)
}

/// w, the share of ended deals that were won.
pub fn win_rate(standing: &Standing) -> Figure {
    deal_success(&standing.measures)
}

/// c, the mean of max(1, cycle days) of the deals won.
pub fn cycle_days(measures: &Measures) -> Figure {
    let days = Quantity::Count(clamped_cycle_days(measures));
    Ratio::new(days, measures.won.count).ok_or(Absent::NoDealWon)
}

/// The mean of the cycle days of the deals won, as they are.
pub fn mean_cycle_days(measures: &Measures) -> Figure {
    Ratio::new(Quantity::Count(measures.cycle_days), measures.won.count).ok_or(Absent::NoDealWon)
}

/// Σ max(1, cycle days): a deal won on the day of its opening took a day.
fn clamped_cycle_days(measures: &Measures) -> i64 {
    measures.cycle_days + measures.same_day_won_count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::{DateRange, date};
    use crate::kpi::measures::Tally;

    /// March with the work days given, all of them by deals opened and ended on one day.
    fn march(work_days: i64, won: Tally, lost: i64, cycle_days: i64, same_day_won: i64) -> Standing {
        let dates = DateRange { from: date("2024-03-01"), to: date("2024-04-01") };
        let ended_count = won.count + lost;
        let measures = Measures {
            won,
            lost: Tally { count: lost, ..Tally::default() },
            cycle_days,
            same_day_won_count: same_day_won,
            // On these dates the ends take nothing away from the work days.
            ended_day_numbers: ended_count * i64::from(dates.to.day_number()),
            same_day_count: work_days,
            ..Measures::default()
        };
        Standing { measures, ..Standing::nothing(dates) }
    }

    fn tally(count: i64, priced_count: i64, units: i128) -> Tally {
        Tally { count, priced_count, amount_e4: units * 10_000 }
    }

    #[test]
    fn deal_velocity_by_hand() {
        let money = |e4| Quantity::AmountE4(e4);
        let count = Quantity::Count;
        for (standing, expected) in [
            // the worked example: partner A, partner B, the tenant
            (march(56, tally(2, 2, 600), 1, 25, 0), Ok((money(896_0000), count(31)))),
            (march(113, tally(1, 1, 900), 1, 24, 0), Ok((money(21_187_500), count(31)))),
            (march(169, tally(3, 3, 1_500), 2, 49, 0), Ok((money(1_521_000_000), count(1_519)))),
            // won on the day of its opening: a day, not none
            (march(1, tally(1, 1, 310), 0, 0, 1), Ok((money(10_0000), count(1)))),
            // the average is over priced deals, the cycle and the win rate over all
            (march(31, tally(2, 1, 100), 0, 8, 0), Ok((money(25_0000), count(1)))),
            (march(31, tally(0, 0, 0), 4, 0, 0), Err(Absent::NoDealWon)),
            (march(31, tally(2, 0, 0), 4, 9, 0), Err(Absent::NoAmountKnown)),
        ] {
            let found = deal_velocity(&standing).map(|ratio| ratio.terms().expect("few digits"));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn factors_by_hand() {
        let tenant = march(169, tally(3, 3, 1_500), 2, 49, 0);
        let terms = |figure: Figure| figure.map(|ratio| ratio.terms().expect("few digits"));
        let counts = |a, b| Ok((Quantity::Count(a), Quantity::Count(b)));
        assert_eq!(terms(deals_in_work(&tenant)), counts(169, 31));
        assert_eq!(terms(win_rate(&tenant)), counts(3, 5));
        assert_eq!(terms(cycle_days(&tenant.measures)), counts(49, 3));
        let same_day = march(1, tally(2, 2, 1), 0, 3, 1);
        assert_eq!(terms(cycle_days(&same_day.measures)), counts(4, 2));
        assert_eq!(terms(mean_cycle_days(&same_day.measures)), counts(3, 2));
        let future = Standing { dates: DateRange { to: date("2024-03-01"), ..tenant.dates }, ..tenant };
        assert_eq!(deals_in_work(&future), Err(Absent::NoDealInWork), "no day has come");
    }
}
