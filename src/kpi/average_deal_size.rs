//! KPI 1: average deal size. Are partners selling bigger deals over time?

use super::figure::{Absent, Direction, Figure, Quantity, Ratio};
use super::measures::Measures;

pub const DIRECTION: Direction = Direction::HigherIsBetter;

/// The mean amount of the deals won.
///
/// Definition: `won_amount / won_priced_count`: deals whose amount isn't known in the reporting currency
/// are in neither term. A partner's amounts are its shares.
/// Unit: money of the reporting currency per deal.
/// Absent when no deal was won, or of none the amount is known.
/// Source: docs/kpis.md, section 6, KPI 1.
pub fn average_deal_size(measures: &Measures) -> Figure {
    let won = &measures.won;
    let absent = if won.count == 0 { Absent::NoDealWon } else { Absent::NoAmountKnown };
    Ratio::new(Quantity::AmountE4(won.amount_e4), won.priced_count).ok_or(absent)
}

/// Deals won that aren't in the average: their amount isn't known.
pub fn unpriced_won_count(measures: &Measures) -> i64 {
    measures.won.count - measures.won.priced_count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kpi::measures::Tally;

    #[test]
    fn average_deal_size_by_hand() {
        for (count, priced_count, amount_e4, expected) in [
            (0, 0, 0, Err(Absent::NoDealWon)),
            (2, 0, 0, Err(Absent::NoAmountKnown)),
            (2, 2, 600_0000, Ok(300.0)), // partner A of the worked example
            (3, 3, 1500_0000, Ok(500.0)),
            (3, 2, 600_0000, Ok(300.0)), // one without an amount changes nothing
            (1, 1, 0, Ok(0.0)),          // an amount of 0 is an amount
        ] {
            let measures = Measures { won: Tally { count, priced_count, amount_e4 }, ..Measures::default() };
            assert_eq!(average_deal_size(&measures).map(|ratio| ratio.quotient()), expected);
            assert_eq!(unpriced_won_count(&measures), count - priced_count);
        }
    }
}
