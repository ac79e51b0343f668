//! Chains: the versions of one record, and where they came from.
//!
//! Invariants:
//! 1. A chain is a set: what it holds depends on the versions only, not on the order of their arrival
//!    nor on how often they came.
//! 2. It is ordered by key, then content; its last version is the current one. Versions only come in.
//! 3. A version's arrival is the earliest batch that brought it.

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::domain::calendar::Instant;
use crate::domain::record::VersionKey;

/// A batch that brought versions, as an index into [`Arrivals`]: earlier batches have lesser numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival(u32);

/// When batches came: the journal's revision of each, and our clock then.
#[derive(Default)]
pub struct Arrivals(Vec<(u64, Instant)>);

/// A version of a record, its content kept as `C`.
#[derive(Clone, Debug)]
pub struct Kept<C> {
    pub key: VersionKey,
    pub arrival: Arrival,
    pub content: C,
}

/// The versions of one record. Empty: it is only referred to.
#[derive(Clone, Debug)]
pub struct Chain<C>(SmallVec<[Kept<C>; 1]>);

/// What a version did to its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It was there already.
    Known,
    /// It joined the history; the current version is another.
    Past,
    /// It is the current version now.
    Current,
}

// === impl Arrival ===

impl Arrival {
    /// Of versions that are tried on a copy of a chain.
    pub const TRIAL: Self = Self(u32::MAX);
}

// === impl Arrivals ===

impl Arrivals {
    /// Notes the next batch. Revisions strictly increase.
    pub fn note(&mut self, revision: u64, received_time: Instant) -> Arrival {
        debug_assert!(self.0.last().is_none_or(|&(last, _)| last < revision), "batches come in order");
        let at = u32::try_from(self.0.len()).expect("fewer than 2^32 batches fit into memory");
        self.0.push((revision, received_time));
        Arrival(at)
    }

    /// All batches, in the order of their revisions.
    pub fn all(&self) -> &[(u64, Instant)] {
        &self.0
    }

    pub fn get(&self, arrival: Arrival) -> (u64, Instant) {
        self.0[arrival.0 as usize]
    }
}

// === impl Chain ===

impl<C> Default for Chain<C> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<C> Chain<C> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All versions, oldest first.
    pub fn versions(&self) -> &[Kept<C>] {
        &self.0
    }

    pub fn current(&self) -> Option<&Kept<C>> {
        self.0.last()
    }

    /// Adds a version. `order` compares contents of equal keys: equal ones are the same version.
    pub fn insert(&mut self, version: Kept<C>, order: impl Fn(&C, &C) -> Ordering) -> Placed {
        let place = self.0.binary_search_by(|known| {
            known.key.cmp(&version.key).then_with(|| order(&known.content, &version.content))
        });
        match place {
            Ok(at) => {
                self.0[at].arrival = self.0[at].arrival.min(version.arrival);
                Placed::Known
            }
            Err(at) => {
                self.0.insert(at, version);
                if at + 1 == self.0.len() { Placed::Current } else { Placed::Past }
            }
        }
    }
}
