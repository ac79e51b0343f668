//! Desks: the pairs of owner and sent unit that deals have.
//!
//! An employee is the set of desks with that owner; a unit the set of desks whose sent unit, else whose
//! owner's unit, lies in its tree. So sums by desk serve both, exactly, and nothing counts twice.

use std::collections::HashMap;

use super::names::Ref;
use super::packed::{EmployeeRef, UnitRef};
use super::page::DeskRef;

#[derive(Clone, Default)]
pub struct Desks {
    numbers: HashMap<Desk, DeskRef>,
    desks: Vec<Desk>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Desk {
    pub owner: Option<EmployeeRef>,
    /// The unit that the deal was sent with.
    pub unit: Option<UnitRef>,
}

// === impl Desks ===

impl Desks {
    pub fn intern(&mut self, desk: Desk) -> DeskRef {
        let next = Ref::new(u32::try_from(self.desks.len()).expect("fewer than 2^32 desks fit into memory"));
        *self.numbers.entry(desk).or_insert_with(|| {
            self.desks.push(desk);
            next
        })
    }

    /// The desks that `keep` keeps, sorted.
    pub fn those(&self, keep: impl Fn(&Desk) -> bool) -> Vec<DeskRef> {
        let numbered = (0u32..).map(Ref::new).zip(&self.desks);
        numbered.filter(|(_, desk)| keep(desk)).map(|(number, _)| number).collect()
    }
}
