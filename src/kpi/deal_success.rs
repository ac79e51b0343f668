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

/// The share of decided leads that were converted.
///
/// Definition: converted / (converted + disqualified), by the dates of these.
/// Absent when no lead was decided.
pub fn lead_qualification(measures: &Measures) -> Figure {
    let decided_count = measures.converted_lead_count + measures.disqualified_lead_count;
    Ratio::new(Quantity::Count(measures.converted_lead_count), decided_count).ok_or(Absent::NoLeadDecided)
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
            let terms = figure.map(|ratio| ratio.terms());
            assert_eq!(terms, expected.map(|(k, n)| Some((Quantity::Count(k), Quantity::Count(n)))));
            assert_eq!(missed(&measures).count, lost + expired);
            assert_eq!(interval(&measures).is_some(), expected.is_ok());
        }
    }
    #[test]
    fn lead_qualification_by_hand() {
        for (converted, disqualified, expected) in
            [(0, 0, Err(Absent::NoLeadDecided)), (0, 2, Ok(0.0)), (1, 1, Ok(0.5)), (3, 0, Ok(1.0))]
        {
            let measures = Measures {
                converted_lead_count: converted,
                disqualified_lead_count: disqualified,
                ..Measures::default()
            };
            assert_eq!(lead_qualification(&measures).map(|ratio| ratio.quotient()), expected);
        }
    }
}
