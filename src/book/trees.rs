//! Trees: who was merged into whom, and who stands above whom.
//!
//! Rows and sums know nothing of this: sets of subjects are formed when a question is asked, so that
//! moving a partner, an employee or a unit costs nothing.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::names::{Names, Ref};

/// Mergers and parents of one kind of subject, by their numbers.
#[derive(Debug)]
pub struct Trees<K> {
    /// For each, the one that counts in its place: itself where it wasn't merged.
    survivors: Vec<Ref<K>>,
    /// For each survivor, the survivor directly above it.
    parents: Vec<Option<Ref<K>>>,
    /// For each survivor, the survivors directly below it.
    children: Vec<Vec<Ref<K>>>,
    /// For each survivor, all that were merged into it, itself among them.
    merged: Vec<Vec<Ref<K>>>,
}

/// A subject that the host sent, and whom it names.
pub struct Sent<'a> {
    pub id: &'a str,
    pub parent: Option<&'a str>,
    pub merged_into: Option<&'a str>,
}

/// One subject's place.
#[derive(Clone, Debug)]
struct Place<K> {
    /// Whether the host sent it. One that is only referred to ends every path.
    known: bool,
    parent: Option<Ref<K>>,
    merged_into: Option<Ref<K>>,
}

// === impl Place ===

impl<K> Place<K> {
    fn unknown() -> Self {
        Self { known: false, parent: None, merged_into: None }
    }
}

// === impl Trees ===

impl<K> Default for Trees<K> {
    fn default() -> Self {
        Self { survivors: Vec::new(), parents: Vec::new(), children: Vec::new(), merged: Vec::new() }
    }
}

impl<K> Trees<K> {
    /// The trees of the subjects that were sent. They and those that they name have numbers.
    pub fn grow<'a>(names: &Names<K>, sent: impl Iterator<Item = Sent<'a>>) -> Self {
        let number = |id| names.get(id).expect("whom a version names was numbered as it came");
        let mut places = Vec::new();
        let mut put = |at: Ref<K>, place: Place<K>| {
            if places.len() <= at.index() {
                places.resize_with(at.index() + 1, Place::unknown);
            }
            places[at.index()] = place;
        };
        for subject in sent {
            let (parent, merged_into) = (subject.parent.map(number), subject.merged_into.map(number));
            put(number(subject.id), Place { known: true, parent, merged_into });
        }
        places.resize_with(names.len(), Place::unknown);
        Self::new(&places)
    }

    /// The trees of the subjects, each at the place of its number.
    fn new(places: &[Place<K>]) -> Self {
        let numbers = || (0..places.len() as u32).map(Ref::new);
        let survivors = survivors(places);
        let mut parents = vec![None; places.len()];
        let mut children = vec![Vec::new(); places.len()];
        let mut merged = vec![Vec::new(); places.len()];
        for subject in numbers() {
            let survivor = survivors[subject.index()];
            merged[survivor.index()].push(subject);
            let parent = places[subject.index()].parent.map(|parent| survivors[parent.index()]);
            // A path of ancestors ends before the first one that the host never sent or that is on it already:
            // nobody stands above itself.
            if let Some(parent) = parent
                && survivor == subject
                && parent != subject
                && places[parent.index()].known
            {
                parents[subject.index()] = Some(parent);
                children[parent.index()].push(subject);
            }
        }
        Self { survivors, parents, children, merged }
    }

    /// The one that counts in the subject's place.
    pub fn survivor(&self, subject: Ref<K>) -> Ref<K> {
        // Numbers that came after the trees were built belong to subjects that are only referred to.
        self.survivors.get(subject.index()).copied().unwrap_or(subject)
    }

    /// The one above a survivor, where the host sent it.
    pub fn parent(&self, survivor: Ref<K>) -> Option<Ref<K>> {
        self.parents.get(survivor.index()).copied().flatten()
    }

    /// The survivor in the subject's place and all above it, up to the first that was already seen.
    pub fn line(&self, subject: Ref<K>) -> SmallVec<[Ref<K>; 4]> {
        let mut line = SmallVec::from_slice(&[self.survivor(subject)]);
        while let Some(parent) = line.last().and_then(|&last| self.parent(last))
            && !line.contains(&parent)
        {
            line.push(parent);
        }
        line
    }

    /// All whose records count for the subject, sorted: itself, what was merged into it, and, where asked
    /// for, the same of everyone below it. A circle is followed once around.
    pub fn members(&self, subject: Ref<K>, with_descendants: bool) -> Vec<Ref<K>> {
        let root = self.survivor(subject);
        if !with_descendants {
            let mut members = self.merged.get(root.index()).map_or_else(|| vec![root], Vec::clone);
            members.sort_unstable();
            return members;
        }
        let mut members = Vec::new();
        let mut seen = HashSet::from([root]);
        let mut open = vec![root];
        while let Some(next) = open.pop() {
            match self.merged.get(next.index()) {
                Some(merged) => members.extend_from_slice(merged),
                None => members.push(next),
            }
            if let Some(children) = self.children.get(next.index()) {
                open.extend(children.iter().filter(|&&child| seen.insert(child)));
            }
        }
        members.sort_unstable();
        members
    }
}

/// For each, the first on its path of mergers that isn't merged, isn't known or was already seen. Every
/// path is walked once, however long.
fn survivors<K>(places: &[Place<K>]) -> Vec<Ref<K>> {
    let mut survivors: Vec<Option<Ref<K>>> = vec![None; places.len()];
    let mut seen = vec![false; places.len()];
    for start in (0..places.len() as u32).map(Ref::new) {
        let (mut path, mut at) = (Vec::new(), start);
        let survivor = loop {
            if let Some(found) = survivors[at.index()] {
                break found;
            }
            if seen[at.index()] {
                // A circle of this path: each on it is the first that it sees again.
                while let Some(on_circle) = path.pop() {
                    survivors[Ref::index(on_circle)] = Some(on_circle);
                    if on_circle == at {
                        break;
                    }
                }
                break at;
            }
            seen[at.index()] = true;
            path.push(at);
            let place = &places[at.index()];
            match place.merged_into.filter(|_| place.known) {
                Some(next) => at = next,
                None => break at,
            }
        };
        for merged in path {
            survivors[merged.index()] = Some(survivor);
        }
    }
    survivors.into_iter().map(|found| found.expect("every path has an end")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(parent, merged_into)` of each; None: only referred to.
    fn trees(places: &[Option<(Option<u32>, Option<u32>)>]) -> Trees<()> {
        let places: Vec<Place<()>> = places
            .iter()
            .map(|place| Place {
                known: place.is_some(),
                parent: place.and_then(|(parent, _)| parent).map(Ref::new),
                merged_into: place.and_then(|(_, merged_into)| merged_into).map(Ref::new),
            })
            .collect();
        Trees::new(&places)
    }

    fn members(trees: &Trees<()>, subject: u32, with_descendants: bool) -> Vec<u32> {
        trees.members(Ref::new(subject), with_descendants).into_iter().map(Ref::number).collect()
    }

    #[test]
    fn trees_by_hand() {
        // 0 above 1 above 2; 3 alone
        let plain =
            trees(&[Some((None, None)), Some((Some(0), None)), Some((Some(1), None)), Some((None, None))]);
        assert_eq!(members(&plain, 0, true), [0, 1, 2]);
        assert_eq!(members(&plain, 0, false), [0]);
        assert_eq!(members(&plain, 1, true), [1, 2]);
        assert_eq!(members(&plain, 9, true), [9], "a number that came later is alone");

        // a circle of parents: everyone is above everyone
        let circle = trees(&[Some((Some(2), None)), Some((Some(0), None)), Some((Some(1), None))]);
        for subject in 0..3 {
            assert_eq!(members(&circle, subject, true), [0, 1, 2]);
        }

        // whoever is a member of another has it in its line
        for trees in [&plain, &circle] {
            for (above, below) in (0..3).flat_map(|above| (0..3).map(move |below| (above, below))) {
                let is_in_line = trees.line(Ref::new(below)).contains(&Ref::new(above));
                assert_eq!(is_in_line, members(trees, above, true).contains(&below), "{above} {below}");
            }
        }

        // a parent that was never sent isn't above anyone
        let unknown = trees(&[None, Some((Some(0), None))]);
        assert_eq!(members(&unknown, 0, true), [0]);
    }

    #[test]
    fn mergers_by_hand() {
        // 0 into 1 into 2; 3 below 0, which means below 2
        let merged =
            trees(&[Some((None, Some(1))), Some((None, Some(2))), Some((None, None)), Some((Some(0), None))]);
        assert_eq!(merged.survivor(Ref::new(0)), Ref::new(2));
        assert_eq!(members(&merged, 0, false), [0, 1, 2], "one that was merged means the survivor");
        assert_eq!(members(&merged, 2, true), [0, 1, 2, 3]);

        // into one that was never sent; in a circle
        assert_eq!(trees(&[Some((None, Some(1))), None]).survivor(Ref::new(0)), Ref::new(1));
        let circle = trees(&[Some((None, Some(1))), Some((None, Some(0)))]);
        assert_eq!([0, 1].map(|subject| circle.survivor(Ref::new(subject)).number()), [0, 1]);

        // 0 into 1 into 2 into 3 into 1: a path into a circle ends where it enters
        let path = trees(&[1, 2, 3, 1].map(|into| Some((None, Some(into)))));
        assert_eq!([0, 1, 2, 3].map(|subject| path.survivor(Ref::new(subject)).number()), [1, 1, 2, 3]);
    }

    /// Each path was walked from its beginning, comparing every step with all before it: a host that merges
    /// partners in one long chain would have stopped the book.
    #[test]
    fn a_long_chain_of_mergers_is_walked_once() {
        const LENGTH: u32 = 100_000;
        let chain: Vec<_> = (1..=LENGTH).map(|next| Some((None, (next < LENGTH).then_some(next)))).collect();
        let trees = trees(&chain);
        assert_eq!(trees.survivor(Ref::new(0)), Ref::new(LENGTH - 1));
        assert_eq!(trees.members(Ref::new(0), false).len(), LENGTH as usize);
    }
}
