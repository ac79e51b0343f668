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
