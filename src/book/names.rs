//! The dictionary: host ids and terms as dense numbers.
//!
//! Invariants:
//! 1. A name keeps its number as long as the book lives; numbers count up from 0 without gaps.
//! 2. A number orders nothing that leaves the book: what is listed is ordered by the names' bytes, so
//!    that replicas which met them in another order answer alike.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::OnceLock;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// The number of a name of kind `K`.
pub struct Ref<K>(NonZeroU32, PhantomData<fn() -> K>); // one above the number: an absent one takes no room

// === impl Ref ===

impl<K> Ref<K> {
    #[inline]
    pub const fn new(number: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(number), PhantomData)
    }

    #[inline]
    pub const fn number(self) -> u32 {
        self.0.get() - 1
    }

    #[inline]
    pub const fn index(self) -> usize {
        self.number() as usize
    }
}

// Derives would ask the same of `K`, which is only a mark.
impl<K> Clone for Ref<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Ref<K> {}
impl<K> PartialEq for Ref<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Ref<K> {}
impl<K> PartialOrd for Ref<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Ref<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Ref<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K> fmt::Debug for Ref<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.number())
    }
}

/// Names and their numbers. All bytes lie in one buffer: a name costs its length and about 10 bytes.
pub struct Names<K> {
    spelled: Spelled,
    /// Made when a name is first looked up.
    numbers: OnceLock<HashTable<u32>>,
    hasher: DefaultHashBuilder,
    kind: PhantomData<fn() -> K>,
}

/// Where all names of a kind are found by their bytes.
pub struct Index<K>(HashTable<u32>, PhantomData<fn() -> K>);

/// Names of some kind, for those who walk them all.
pub trait AnyNames {
    fn len(&self) -> usize;
    fn spell(&self, at: usize) -> &[u8];
    /// Takes in the next name. With `is_checked` false says that it was there before; without, whoever appends
    /// sees to it that it wasn't, and nothing is looked up.
    fn append(&mut self, name: &str, is_checked: bool) -> bool;
}

/// The bytes of names, by number.
#[derive(Default)]
struct Spelled {
    bytes: Vec<u8>,
    lengths: Vec<u8>,
    /// Where each stretch of names begins.
    starts: Vec<u64>,
}

/// Names to a stretch: the lengths of those before it are added up to find one.
const STRETCH: usize = 16;

// === impl AnyNames ===

impl<K> AnyNames for Names<K> {
    fn len(&self) -> usize {
        self.len()
    }

    fn spell(&self, at: usize) -> &[u8] {
        self.spelled.get(at)
    }

    fn append(&mut self, name: &str, is_checked: bool) -> bool {
        if is_checked {
            let next = self.len();
            return self.intern(name).index() == next;
        }
        self.append_new(name);
        true
    }
}

// === impl Spelled ===

impl Spelled {
    /// Returns the number of the name.
    fn push(&mut self, name: &[u8]) -> u32 {
        let number = u32::try_from(self.lengths.len()).expect("fewer than 2^32 names fit into memory");
        if self.lengths.len().is_multiple_of(STRETCH) {
            self.starts.push(self.bytes.len() as u64);
        }
        self.bytes.extend_from_slice(name);
        self.lengths.push(u8::try_from(name.len()).expect("ids and terms have at most 128 bytes"));
        number
    }

    fn get(&self, at: usize) -> &[u8] {
        let first = at / STRETCH * STRETCH;
        let before: usize = self.lengths[first..at].iter().map(|&length| usize::from(length)).sum();
        let start = self.starts[at / STRETCH] as usize + before;
        &self.bytes[start..start + usize::from(self.lengths[at])]
    }
}

// === impl Names ===

impl<K> Default for Names<K> {
    fn default() -> Self {
        Self {
            spelled: Spelled::default(),
            numbers: OnceLock::new(),
            hasher: DefaultHashBuilder::default(),
            kind: PhantomData,
        }
    }
}

impl<K> Names<K> {
    pub fn len(&self) -> usize {
        self.spelled.lengths.len()
    }

    pub fn has(&self, number: Ref<K>) -> bool {
        number.index() < self.len()
    }

    pub fn get(&self, name: &str) -> Option<Ref<K>> {
        self.find(self.hasher.hash_one(name.as_bytes()), name.as_bytes())
    }

    fn find(&self, hash: u64, name: &[u8]) -> Option<Ref<K>> {
        let numbers = self.numbers.get_or_init(|| self.indexed().0);
        let found = numbers.find(hash, |&number| self.spelled.get(number as usize) == name);
        found.map(|&number| Ref::new(number))
    }

    /// The name's number, a new one where it has none.
    pub fn intern(&mut self, name: &str) -> Ref<K> {
        let hash = self.hasher.hash_one(name.as_bytes());
        if let Some(known) = self.find(hash, name.as_bytes()) {
            return known;
        }
        let number = self.spelled.push(name.as_bytes());
        let (spelled, hasher) = (&self.spelled, &self.hasher);
        let rehash = |&number: &u32| hasher.hash_one(spelled.get(number as usize));
        if let Some(numbers) = self.numbers.get_mut() {
            numbers.insert_unique(hash, number, rehash);
        }
        Ref::new(number)
    }

    /// The number of a name that has none yet, which isn't asked.
    pub fn append_new(&mut self, name: &str) -> Ref<K> {
        self.numbers.take();
        Ref::new(self.spelled.push(name.as_bytes()))
    }

    /// Where all names are found by their bytes. None where one comes twice.
    pub fn index(&self) -> Option<Index<K>> {
        let (index, is_each_once) = self.indexed();
        is_each_once.then_some(Index(index, PhantomData))
    }

    /// Where all names are found, and whether each comes once.
    fn indexed(&self) -> (HashTable<u32>, bool) {
        let mut index = HashTable::with_capacity(self.len());
        let mut is_each_once = true;
        let spell = |&number: &u32| self.spelled.get(number as usize);
        for number in 0..self.len() as u32 {
            let name = spell(&number);
            let hash = self.hasher.hash_one(name);
            let known =
                index.entry(hash, |known| spell(known) == name, |known| self.hasher.hash_one(spell(known)));
            match known {
                Entry::Vacant(place) => drop(place.insert(number)),
                Entry::Occupied(_) => is_each_once = false,
            }
        }
        (index, is_each_once)
    }

    /// Takes an index of all names that were appended.
    pub fn set_index(&mut self, index: Index<K>) {
        self.numbers = OnceLock::from(index.0);
    }

    pub fn name(&self, number: Ref<K>) -> &str {
        let name = self.spelled.get(number.index());
        std::str::from_utf8(name).expect("names went in as str, whole")
    }

    pub fn refs(&self) -> impl Iterator<Item = Ref<K>> + use<K> {
        self.refs_from(0)
    }

    /// Those from a number on.
    pub fn refs_from(&self, number: usize) -> impl Iterator<Item = Ref<K>> + use<K> {
        (number as u32..self.len() as u32).map(Ref::new)
    }

    /// The first `count` names after `after` by their bytes, of those that `keep` keeps.
    pub fn following(&self, after: Option<&str>, count: usize, keep: impl Fn(Ref<K>) -> bool) -> Vec<Ref<K>> {
        // The greatest of the best so far on top: one pass, however many names there are.
        let mut best: BinaryHeap<(&str, u32)> = BinaryHeap::new();
        for found in self.refs() {
            let name = self.name(found);
            let in_reach = best.len() < count || best.peek().is_some_and(|(greatest, _)| name < *greatest);
            if in_reach && after.is_none_or(|after| name > after) && keep(found) {
                best.push((name, found.number()));
                if best.len() > count {
                    best.pop();
                }
            }
        }
        best.into_sorted_vec().into_iter().map(|(_, number)| Ref::new(number)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers() {
        let mut names = Names::<()>::default();
        let numbers: Vec<u32> = ["b", "a", "b", "বাংলা", "c"].map(|name| names.intern(name).number()).to_vec();
        assert_eq!(numbers, [0, 1, 0, 2, 3]);
        assert_eq!(names.name(Ref::new(2)), "বাংলা");
        assert_eq!(names.get("c"), Some(Ref::new(3)));
        assert_eq!(names.get("d"), None);
        for n in 0..10_000 {
            assert_eq!(names.intern(&format!("n{n}")).number(), n + 4);
        }
        assert_eq!(names.get("n9999"), Some(Ref::new(10_003)));
    }

    #[test]
    fn lists_follow_the_bytes_of_names() {
        let mut names = Names::<()>::default();
        for name in ["b", "a", "e", "d", "c"] {
            names.intern(name);
        }
        let walk = |after, count| -> Vec<&str> {
            let kept = |found| names.name(found) != "c";
            names.following(after, count, kept).into_iter().map(|found| names.name(found)).collect()
        };
        assert_eq!(walk(None, 2), ["a", "b"]);
        assert_eq!(walk(Some("b"), 2), ["d", "e"]);
        assert_eq!(walk(Some("bb"), 9), ["d", "e"]);
        assert_eq!(walk(Some("e"), 9), Vec::<&str>::new());
        assert_eq!(walk(None, 0), Vec::<&str>::new());
    }
}
