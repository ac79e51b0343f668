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

/// When batches came: the journal's revision of each, and our clock then. Each came later than the one before,
/// also where the clock was set back or two writes crossed: what had been told by then stays what it was.
#[derive(Default)]
pub struct Arrivals(Vec<(u64, Instant)>);

/// A version of a record, its content kept as `C`.
#[derive(Clone, Copy, Debug)]
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

    pub const fn number(self) -> u32 {
        self.0
    }

    /// The inverse of [`Arrival::number`].
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }
}

// === impl Arrivals ===

impl Arrivals {
    /// Notes the next batch. Revisions strictly increase; so do times, whatever the clock said.
    pub fn note(&mut self, revision: u64, received_time: Instant) -> Arrival {
        debug_assert!(self.0.last().is_none_or(|&(last, _)| last < revision), "batches come in order");
        let at = u32::try_from(self.0.len()).expect("fewer than 2^32 batches fit into memory");
        let next = self.0.last().map(|(_, last)| Instant::from_nanos(last.as_nanos() + 1));
        self.0.push((revision, received_time.max(next.unwrap_or(Instant::FIRST))));
        Arrival(at)
    }

    /// All batches, in the order of their revisions.
    pub fn all(&self) -> &[(u64, Instant)] {
        &self.0
    }

    /// The batch of a revision, if it brought versions.
    pub fn of_revision(&self, revision: u64) -> Option<Arrival> {
        let at = self.0.binary_search_by_key(&revision, |&(revision, _)| revision).ok()?;
        Some(Arrival(at as u32))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_versions_do_to_their_chain() {
        let mut chain = Chain::default();
        let version = |(hour, content, arrival): (i64, u8, u32)| {
            let key = VersionKey { update_time: Instant::FIRST.plus_hours(hour), sequence: 0 };
            Kept { key, arrival: Arrival(arrival), content }
        };
        for (version, expected, expected_current) in [
            (version((5, 1, 2)), Placed::Current, 1),
            (version((3, 9, 2)), Placed::Past, 1), // late, of an earlier time
            (version((5, 1, 3)), Placed::Known, 1),
            (version((5, 0, 3)), Placed::Past, 1), // the same key, lesser content
            (version((5, 2, 3)), Placed::Current, 2),
            (version((3, 9, 1)), Placed::Known, 2), // it had come before
        ] {
            assert_eq!(chain.insert(version, u8::cmp), expected);
            assert_eq!(chain.current().map(|kept| kept.content), Some(expected_current));
        }
        let kept: Vec<(u8, u32)> =
            chain.versions().iter().map(|kept| (kept.content, kept.arrival.0)).collect();
        assert_eq!(kept, [(9, 1), (0, 3), (1, 2), (2, 3)]);
    }
}
