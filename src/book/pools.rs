//! Pools: combinations that many entries share, as dense numbers.
//!
//! A desk is a pair of owner and sent unit. An employee is the set of desks with that owner; a unit the
//! set of desks whose sent unit, else whose owner's unit, lies in its tree. So sums by desk serve both,
//! exactly, and nothing counts twice. A label set is all the labels of a deal. Traits are what a filter on
//! deals and leads asks for: it is asked once of each combination, not of each row.

use std::hash::Hash;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::entry::{Entry, Odds, RegionSource};
use super::names::Ref;
use super::packed::{ChannelRef, EmployeeRef, TermRef, UnitRef};

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

/// What a deal or lead is filtered by, besides its desk and its shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Traits {
    pub product: Option<TermRef>,
    pub channel: Option<ChannelRef>,
    pub region: RegionSource,
    pub labels: LabelSetRef,
}

pub type DeskRef = Ref<Desk>;
pub type LabelSetRef = Ref<LabelSet>;
pub type TraitsRef = Ref<Traits>;
pub type OddsRef = Ref<Odds>;

#[derive(Clone, Default)]
pub struct Pools {
    pub desks: Pool<Desk>,
    pub label_sets: Pool<LabelSet>,
    pub traits: Pool<Traits>,
    pub odds: Pool<Odds>,
}

/// The numbers of what the rows of an entry share with others.
#[derive(Clone, Copy, Debug)]
pub struct Pooled {
    pub desk: DeskRef,
    pub traits: TraitsRef,
    pub odds: Option<OddsRef>,
}

// === impl Pools ===

impl Pools {
    pub fn intern(&mut self, entry: &Entry) -> Pooled {
        let super::entry::Traits { owner, unit, product, channel, region } = entry.traits;
        let labels = self.label_sets.intern(&entry.labels);
        Pooled {
            desk: self.desks.intern(&Desk { owner, unit }),
            traits: self.traits.intern(&Traits { product, channel, region, labels }),
            odds: self.odds_of(entry),
        }
    }

    /// The same of each of a record's entries, which mostly have the same traits: those are looked up once.
    pub fn intern_each<'a>(&mut self, entries: &'a [Entry]) -> impl Iterator<Item = (Pooled, &'a Entry)> {
        let mut last: Option<(Pooled, &Entry)> = None;
        entries.iter().map(move |entry| {
            let alike = last.filter(|(_, last)| last.traits == entry.traits && last.labels == entry.labels);
            let pooled = match alike {
                Some((pooled, _)) => Pooled { odds: self.odds_of(entry), ..pooled },
                None => self.intern(entry),
            };
            *last.insert((pooled, entry))
        })
    }

    fn odds_of(&mut self, entry: &Entry) -> Option<OddsRef> {
        entry.terms.map(|terms| self.odds.intern(&terms.odds))
    }
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

    /// The number of a value, if it has one.
    pub fn number(&self, value: &T) -> Option<Ref<T>> {
        self.numbers.get(value).copied()
    }

    pub fn value(&self, number: Ref<T>) -> &T {
        &self.values[number.index()]
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
