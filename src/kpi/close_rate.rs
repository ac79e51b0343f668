//! KPI 5: close rate. Of the prospects, the share who purchased.

use super::figure::{Absent, Direction, Figure, Quantity, Ratio, wilson_interval};
use super::measures::Measures;
use super::standing::Cohort;

pub const DIRECTION: Direction = Direction::HigherIsBetter;

/// The share of the prospects that came in the window who purchased by `as_of`.
///
/// Definition: purchased by `as_of` / prospects dated in the window: the cohort basis, with the number that
/// is unresolved. A prospect is a lead, or a deal whose lead is not known; it counts once, for its home.
/// Unit: exact ratio, 0 to 1.
/// Absent when no prospect came in the window.
/// Source: docs/kpis.md, section 6, KPI 5.
pub fn close_rate(cohort: &Cohort) -> Figure {
    Ratio::new(Quantity::Count(cohort.purchased_count), cohort.prospect_count).ok_or(Absent::NoProspect)
}

/// The 95 % Wilson interval of [`close_rate`].
pub fn interval(cohort: &Cohort) -> Option<(f64, f64)> {
    wilson_interval(cohort.purchased_count, cohort.prospect_count)
}

/// Prospects of the cohort that are neither purchased nor lost yet.
pub fn unresolved_count(cohort: &Cohort) -> i64 {
    cohort.prospect_count - cohort.purchased_count - cohort.lost_count
}

/// The share of the prospects that came to their end in the window who purchased.
///
/// Definition: purchased in the window / (purchased + lost in the window): the resolved basis.
/// Unit: exact ratio, 0 to 1.
/// Absent when no prospect came to its end in the window.
/// Source: docs/kpis.md, section 6, KPI 5.
pub fn resolved(measures: &Measures) -> Figure {
    let resolved_count = measures.purchased_count + measures.lost_prospect_count;
    Ratio::new(Quantity::Count(measures.purchased_count), resolved_count).ok_or(Absent::NoProspect)
}

/// The 95 % Wilson interval of [`resolved`].
pub fn resolved_interval(measures: &Measures) -> Option<(f64, f64)> {
    wilson_interval(measures.purchased_count, measures.purchased_count + measures.lost_prospect_count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(figure: Figure) -> Result<Option<(Quantity, Quantity)>, Absent> {
        figure.map(|ratio| ratio.terms())
    }

    fn counts(numerator: i64, denominator: i64) -> Option<(Quantity, Quantity)> {
        Some((Quantity::Count(numerator), Quantity::Count(denominator)))
    }

    #[test]
    fn close_rate_by_hand() {
        for (prospect_count, purchased_count, lost_count, expected, unresolved) in [
            (0, 0, 0, Err(Absent::NoProspect), 0),
            (3, 1, 1, Ok(counts(1, 3)), 1), // partner A of the worked example
            (3, 0, 0, Ok(counts(0, 3)), 3), // partner B: nobody yet, which is 0 and not absent
            (6, 1, 1, Ok(counts(1, 6)), 4), // the tenant
            (2, 2, 0, Ok(counts(2, 2)), 0),
        ] {
            let cohort = Cohort { prospect_count, purchased_count, lost_count };
            assert_eq!(terms(close_rate(&cohort)), expected);
            assert_eq!(unresolved_count(&cohort), unresolved);
            assert_eq!(interval(&cohort).is_some(), expected.is_ok());
        }
    }

    #[test]
    fn resolved_by_hand() {
        for (purchased_count, lost_prospect_count, expected) in [
            (0, 0, Err(Absent::NoProspect)),
            (2, 2, Ok(counts(2, 4))), // partner A
            (1, 1, Ok(counts(1, 2))), // partner B
            (0, 3, Ok(counts(0, 3))),
        ] {
            let measures = Measures { purchased_count, lost_prospect_count, ..Measures::default() };
            assert_eq!(terms(resolved(&measures)), expected);
            assert_eq!(resolved_interval(&measures).is_some(), expected.is_ok());
        }
    }
}
