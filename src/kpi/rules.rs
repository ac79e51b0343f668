//! The rules of docs/kpis.md §9, one file for each family: from what was counted to what is said of it.
//!
//! Pure: they see no records, clock or wire. What tests make of many subjects at once is decided in
//! [`discovered`].

pub mod channel;
pub mod close;
pub mod count;
pub mod pipeline;
pub mod size;
pub mod strategy;
pub mod success;
#[cfg(test)]
pub(super) mod testing;
pub mod value;
pub mod velocity;

use super::figure::Absent;
use super::recommendation::{Finding, Levels, Tested};
use super::significance::discoveries;

/// Of a figure that is left out of the evidence: nobody is told why.
const NO_VALUE: Absent = Absent::NoPast;

/// Of those tested at once, what holds at the false discovery rate of the level, with whatever each is about.
pub fn discovered<'a, T>(tested: Vec<(T, Tested<'a>)>, levels: &Levels) -> Vec<(T, Finding<'a>)> {
    let p_values: Vec<f64> = tested.iter().map(|(_, tested)| tested.p_value).collect();
    let found = discoveries(&p_values, levels.significance);
    let kept = tested.into_iter().zip(found).filter(|(_, is_found)| *is_found);
    kept.map(|((whose, tested), _)| (whose, tested.finding)).collect()
}

#[cfg(test)]
mod tests {
    use super::testing::levels;
    use super::*;
    use crate::kpi::recommendation::{About, Rule};

    fn found(p_values: &[f64], levels: &Levels) -> Vec<usize> {
        let tested = p_values.iter().enumerate().map(|(whose, &p_value)| {
            (whose, Tested { p_value, finding: Finding::new(Rule::CloseFalling, About::Nothing) })
        });
        discovered(tested.collect(), levels).into_iter().map(|(whose, _)| whose).collect()
    }

    #[test]
    fn discovered_by_hand() {
        let strict = levels();
        // Of one 0.05 is asked, of two 0.025 of the least, of three 0.0167, 0.033 and 0.05.
        assert!(found(&[], &strict).is_empty());
        assert_eq!(found(&[0.04], &strict), [0], "alone");
        assert!(found(&[0.5, 0.04], &strict).is_empty(), "beside another that is nothing");
        assert_eq!(found(&[0.04, 0.05], &strict), [0, 1], "beside another that is something");
        assert_eq!(found(&[0.5, 0.04, 0.001], &strict), [2]);
        assert_eq!(
            found(&[0.9, 0.03, 0.03, 0.9, 0.001], &strict),
            [1, 2, 4],
            "0.03 = 3/5 of 0.05, equal ones alike"
        );
        let loose = Levels { significance: 0.1, ..strict };
        assert_eq!(found(&[0.5, 0.04], &loose), [1]);
        assert!(found(&[0.04], &Levels { significance: 0.039, ..strict }).is_empty());
    }

    #[test]
    fn findings_stay_with_whom_they_are_about() {
        let tested = |rule, p_value| Tested { p_value, finding: Finding::new(rule, About::Nothing) };
        let all = vec![
            ("a", tested(Rule::SizeGrow, 0.001)),
            ("b", tested(Rule::SizeFalling, 0.9)),
            ("c", tested(Rule::CloseRising, 0.002)),
        ];
        let found = discovered(all, &levels());
        let rules: Vec<_> = found.iter().map(|(whose, finding)| (*whose, finding.rule)).collect();
        assert_eq!(rules, [("a", Rule::SizeGrow), ("c", Rule::CloseRising)]);
    }
}
