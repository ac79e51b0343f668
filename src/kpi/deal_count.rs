//! KPI 2: deal count, shown with what the deals are worth.

use super::figure::{Direction, Figure, Quantity, Ratio};
use super::measures::Measures;

pub const DIRECTION: Direction = Direction::HigherIsBetter;

/// The deals closed as won.
///
/// Definition: `won_count`; a deal counts once, whole, for each subject that it touches.
/// Unit: deals. Never absent: no deal won is 0.
/// Source: docs/kpis.md, section 6, KPI 2.
pub fn deal_count(measures: &Measures) -> Figure {
    Ok(Ratio::whole(Quantity::Count(measures.won.count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kpi::measures::Tally;

    #[test]
    fn deal_count_by_hand() {
        for (count, expected) in [(0, 0.0), (3, 3.0)] {
            let won = Tally { count, priced_count: 0, amount_e4: 0 };
            let figure = deal_count(&Measures { won, ..Measures::default() });
            assert_eq!(figure.map(|ratio| ratio.quotient()), Ok(expected));
        }
    }
}
