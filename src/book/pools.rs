//! Pools: combinations that many entries share, as dense numbers.
//!
//! A desk is a pair of owner and sent unit. An employee is the set of desks with that owner; a unit the
//! set of desks whose sent unit, else whose owner's unit, lies in its tree. So sums by desk serve both,
//! exactly, and nothing counts twice. A label set is all the labels of a deal.

use std::hash::Hash;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::names::Ref;
use super::packed::{EmployeeRef, TermRef, UnitRef};

/// The numbers of distinct values.
#[derive(Clone)]
pub struct Pool<T> {
    numbers: HashMap<T, Ref<T>>,
    values: Vec<T>,
}

/// Whose deals they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Desk {
    pub owner: Option<EmployeeRef>,
    /// The unit that the deal was sent with.
    pub unit: Option<UnitRef>,
}

/// Labels by key.
pub type LabelSet = SmallVec<[(TermRef, TermRef); 0]>;

pub type DeskRef = Ref<Desk>;
pub type LabelSetRef = Ref<LabelSet>;

#[derive(Clone, Default)]
pub struct Pools {
    pub desks: Pool<Desk>,
    pub label_sets: Pool<LabelSet>,
}

// === impl Pool ===

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Pool<T> {
    pub fn intern(&mut self, value: &T) -> Ref<T> {
        if let Some(&known) = self.numbers.get(value) {
            return known;
        }
        let number = Ref::new(u32::try_from(self.values.len()).expect("fewer than 2^32 fit into memory"));
        self.values.push(value.clone());
        self.numbers.insert(value.clone(), number);
        number
    }

    /// All values, each at the place of its number.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The numbers of the values that `keep` keeps, sorted.
    pub fn those(&self, keep: impl Fn(&T) -> bool) -> Vec<Ref<T>> {
        let numbered = (0u32..).map(Ref::new).zip(&self.values);
        numbered.filter(|(_, value)| keep(value)).map(|(number, _)| number).collect()
    }
}
