//! The many: deals and leads, by their numbers, packed.

use super::chain::{Arrival, Chain, Kept, Placed};
use super::names::Ref;
use super::packed::{Arena, Dictionary, Packed, Span};
use crate::domain::record::{State, VersionKey};

/// The chains of one kind of record.
pub struct Many<P> {
    /// By number; empty where the record is only referred to.
    chains: Vec<Chain<Span>>,
    arena: Arena<P>,
}

// === impl Many ===

impl<P: Packed> Default for Many<P> {
    fn default() -> Self {
        Self { chains: Vec::new(), arena: Arena::default() }
    }
}

impl<P: Packed> Many<P> {
    pub fn insert<K>(
        &mut self,
        number: Ref<K>,
        key: VersionKey,
        arrival: Arrival,
        state: &State<P::Content>,
        dictionary: &mut Dictionary,
    ) -> Placed {
        if self.chains.len() <= number.index() {
            self.chains.resize_with(number.index() + 1, Chain::default);
        }
        let (chain, arena) = (&mut self.chains[number.index()], &mut self.arena);
        let content = match state {
            State::Deleted(()) => Span::DELETED,
            State::Present(content) => {
                let packed = P::intern(content, dictionary);
                arena.keep(&packed, chain.versions().iter().map(|known| known.content))
            }
        };
        let order = |a: &Span, b: &Span| arena.cmp_content(*a, *b, dictionary);
        chain.insert(Kept { key, arrival, content }, order)
    }

    /// The versions of a record. Empty where it is only referred to.
    pub fn versions<K>(&self, number: Ref<K>) -> &[Kept<Span>] {
        self.chains.get(number.index()).map_or(&[], Chain::versions)
    }

    /// The record as it counts: its current version, unless that is a deletion.
    pub fn current<K>(&self, number: Ref<K>) -> Option<P> {
        self.content(self.versions(number).last()?)
    }

    /// What a version says. None for a deletion.
    pub fn content(&self, version: &Kept<Span>) -> Option<P> {
        self.arena.get(version.content)
    }

    pub fn state(&self, version: &Kept<Span>, dictionary: &Dictionary) -> State<P::Content> {
        match self.content(version) {
            None => State::Deleted(()),
            Some(packed) => State::Present(packed.resolve(dictionary)),
        }
    }
}
