//! Circles: records that stand above one another, or that were merged into one another.
//!
//! Figures follow a circle once around (docs/kpis.md §1, "Deleted, merged, cyclic"), which is seldom what
//! the host meant: here they are found, so that someone can mend them.

use super::names::{Names, Ref};
use super::{Book, merged_into};
use crate::domain::ids::Id;

/// Every circle of one relation.
pub type Circles<'a> = Vec<Vec<&'a str>>;

impl Book {
    /// Partners above one another: those that count in their places, mergers followed.
    pub fn partner_parent_circles(&self) -> Circles<'_> {
        let names = &self.records.dictionary.partners;
        let survivor = |partner| self.partner_trees.survivor(partner);
        let parent = |partner| {
            let parent = survivor(names.get(self.partner(partner)?.parent.as_ref()?.as_str())?);
            (survivor(partner) == partner).then_some(parent)
        };
        circles(names, parent)
    }

    pub fn unit_parent_circles(&self) -> Circles<'_> {
        let names = &self.records.dictionary.units;
        circles(names, |unit| {
            let id = Id::try_new(names.name(unit)).expect("ids went in as ids");
            let parent = self.records.units.chain(&id)?.last_present()?.parent.as_ref()?;
            names.get(parent.as_str())
        })
    }

    pub fn partner_merger_circles(&self) -> Circles<'_> {
        let names = &self.records.dictionary.partners;
        circles(names, |partner| {
            let id = Id::try_new(names.name(partner)).expect("ids went in as ids");
            let chain = self.records.partners.chain(&id)?;
            names.get(merged_into(chain, |partner| partner.merged_into.as_ref())?.as_str())
        })
    }

    pub fn employee_merger_circles(&self) -> Circles<'_> {
        let names = &self.records.dictionary.employees;
        circles(names, |employee| {
            let id = Id::try_new(names.name(employee)).expect("ids went in as ids");
            let chain = self.records.employees.chain(&id)?;
            names.get(merged_into(chain, |employee| employee.merged_into.as_ref())?.as_str())
        })
    }
}

/// The circles of a relation in which each names at most one other: the least id of each first, and they
/// in the order of these. Every path is walked once, however long.
fn circles<K>(names: &Names<K>, next: impl Fn(Ref<K>) -> Option<Ref<K>>) -> Circles<'_> {
    /// That no path has come by.
    const UNSEEN: u32 = 0;

    let mut seen_by = vec![UNSEEN; names.len()];
    let mut found = Vec::new();
    for (path, start) in (1..).zip(names.refs()) {
        let mut at = Some(start);
        while let Some(here) = at.filter(|here| seen_by[here.index()] == UNSEEN) {
            seen_by[here.index()] = path;
            at = next(here);
        }
        // A path that meets itself has gone around.
        if let Some(met) = at.filter(|met| seen_by[met.index()] == path) {
            let around = std::iter::successors(Some(met), |&here| next(here).filter(|&then| then != met));
            let mut circle: Vec<&str> = around.map(|on_circle| names.name(on_circle)).collect();
            let least = (0..circle.len()).min_by_key(|&place| circle[place]).unwrap_or(0);
            circle.rotate_left(least);
            found.push(circle);
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that name one another, as `a>b`.
    fn found(pairs: &[&str]) -> Vec<String> {
        let mut names = Names::<()>::default();
        let pairs: Vec<(u32, u32)> = pairs
            .iter()
            .map(|pair| {
                let (from, to) = pair.split_once('>').expect("two names");
                (names.intern(from).number(), names.intern(to).number())
            })
            .collect();
        let next = |here: Ref<()>| {
            pairs.iter().find(|(from, _)| *from == here.number()).map(|&(_, to)| Ref::new(to))
        };
        circles(&names, next).iter().map(|circle| circle.join(">")).collect()
    }

    #[test]
    fn circles_by_hand() {
        for (pairs, expected) in [
            (&[][..], &[][..]),
            (&["a>b", "b>c"], &[]),
            (&["c>a", "a>b", "b>c"], &["a>b>c"]),
            (&["b>b"], &["b"]),
            // paths that lead into a circle, from both sides of it in time
            (&["x>b", "b>a", "a>b", "y>x", "z>a"], &["a>b"]),
            // two circles, one found late
            (&["d>c", "c>d", "b>a", "a>b"], &["a>b", "c>d"]),
        ] {
            assert_eq!(found(pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_long_path_is_walked_once() {
        let mut names = Names::<()>::default();
        const LENGTH: u32 = 100_000;
        for n in 0..LENGTH {
            names.intern(&n.to_string());
        }
        let found = circles(&names, |here| Some(Ref::new((here.number() + 1) % LENGTH)));
        assert_eq!((found.len(), found[0].len()), (1, LENGTH as usize));
    }
}
