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

use hashbrown::{DefaultHashBuilder, HashTable};

/// The number of a name of kind `K`.
pub struct Ref<K>(u32, PhantomData<fn() -> K>);

// === impl Ref ===

impl<K> Ref<K> {
    pub const fn new(number: u32) -> Self {
        Self(number, PhantomData)
    }

    pub const fn number(self) -> u32 {
        self.0
    }

    pub const fn index(self) -> usize {
        self.0 as usize
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
        write!(f, "#{}", self.0)
    }
}

/// Names and their numbers. All bytes lie in one buffer: a name costs its length and about 10 bytes.
pub struct Names<K> {
    bytes: Vec<u8>,
    /// Where each name ends; it begins where the one before ends.
    ends: Vec<u64>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
    kind: PhantomData<fn() -> K>,
}

// === impl Names ===

impl<K> Default for Names<K> {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            numbers: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            kind: PhantomData,
        }
    }
}

impl<K> Names<K> {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, name: &str) -> Option<Ref<K>> {
        let hash = self.hasher.hash_one(name);
        self.numbers.find(hash, |&number| self.name(Ref::new(number)) == name).map(|&number| Ref::new(number))
    }

    /// The name's number, a new one where it has none.
    pub fn intern(&mut self, name: &str) -> Ref<K> {
        if let Some(known) = self.get(name) {
            return known;
        }
        let number = u32::try_from(self.ends.len()).expect("fewer than 2^32 names fit into memory");
        self.bytes.extend_from_slice(name.as_bytes());
        self.ends.push(self.bytes.len() as u64);
        let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
        let rehash = |&number: &u32| hasher.hash_one(name_at(bytes, ends, number as usize));
        self.numbers.insert_unique(hasher.hash_one(name), number, rehash);
        Ref::new(number)
    }

    pub fn name(&self, number: Ref<K>) -> &str {
        name_at(&self.bytes, &self.ends, number.index())
    }

    pub fn refs(&self) -> impl Iterator<Item = Ref<K>> + use<K> {
        (0..self.ends.len() as u32).map(Ref::new)
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

fn name_at<'a>(bytes: &'a [u8], ends: &[u64], at: usize) -> &'a str {
    let start = if at == 0 { 0 } else { ends[at - 1] as usize };
    let name = &bytes[start..ends[at] as usize];
    std::str::from_utf8(name).expect("names went in as str, whole")
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
