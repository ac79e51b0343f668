//! KPI 8: deal success. Of the opportunities that came to an end, the share that was converted.

use super::figure::{Absent, Direction, Figure, Quantity, Ratio, wilson_interval};
use super::measures::{Measures, Tally};

pub const DIRECTION: Direction = Direction::HigherIsBetter;

/// The share of ended deals that were won.
///
/// Definition: won / (won + lost + expired), deals whole; open deals are in neither term.
/// Unit: exact ratio, 0 to 1.
/// Absent when no deal came to an end: unknown is not zero.
/// Source: docs/kpis.md, section 6, KPI 8.
pub fn deal_success(measures: &Measures) -> Figure {
    Ratio::new(Quantity::Count(measures.won.count), ended_count(measures)).ok_or(Absent::NoDealEnded)
}

/// The 95 % Wilson interval of [`deal_success`].
pub fn interval(measures: &Measures) -> Option<(f64, f64)> {
    wilson_interval(measures.won.count, ended_count(measures))
}

/// The missed opportunities: deals lost or expired.
pub fn missed(measures: &Measures) -> Tally {
    let mut missed = measures.lost;
    missed += measures.expired;
    missed
}

fn ended_count(measures: &Measures) -> i64 {
    measures.won.count + missed(measures).count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deal_success_by_hand() {
        for (won, lost, expired, expected) in [
            (0, 0, 0, Err(Absent::NoDealEnded)),
            (0, 4, 0, Ok((0, 4))), // all lost: zero, not absent
            (2, 1, 0, Ok((2, 3))), // partner A of the worked example
            (1, 0, 1, Ok((1, 2))), // partner B: a deal left to expire counts against
        ] {
            let tally = |count| Tally { count, priced_count: count, amount_e4: i128::from(count) };
            let measures = Measures {
                won: tally(won),
                lost: tally(lost),
                expired: tally(expired),
                ..Measures::default()
            };
            let figure = deal_success(&measures);
            let terms = figure.map(|ratio| (ratio.numerator(), ratio.denominator()));
            assert_eq!(terms, expected.map(|(k, n)| (Quantity::Count(k), Quantity::Count(n))));
            assert_eq!(missed(&measures).count, lost + expired);
            assert_eq!(interval(&measures).is_some(), expected.is_ok());
        }
    }
}
