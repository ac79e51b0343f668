//! Lately: what is kept of sets of desks, of those that were asked for lately. A set is formed by a question, and when
//! somebody moves another one is asked for: the one before is forgotten by and by.

use std::sync::Arc;

use parking_lot::Mutex;

use super::scope::Desks;

/// By set, the one asked for last at the end.
pub struct Lately<T, const MAX: usize>(Mutex<Vec<(Desks, Arc<T>)>>);

// === impl Lately ===

impl<T, const MAX: usize> Default for Lately<T, MAX> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Default, const MAX: usize> Lately<T, MAX> {
    /// What is kept of a set, from now on if nothing was.
    pub fn of(&self, desks: &Desks) -> Arc<T> {
        let mut all = self.0.lock();
        let known = all.iter().position(|(known, _)| known == desks).map(|at| all.remove(at));
        let (desks, kept) = known.unwrap_or_else(|| (desks.clone(), Arc::default()));
        if all.len() == MAX {
            all.remove(0);
        }
        all.push((desks, Arc::clone(&kept)));
        kept
    }

    /// What is kept of a set already.
    pub fn kept(&self, desks: &Desks) -> Option<Arc<T>> {
        let all = self.0.lock();
        all.iter().find(|(known, _)| known == desks).map(|(_, kept)| Arc::clone(kept))
    }

    /// All that is kept.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Desks, &mut T)> {
        // Readers have it for as long as they have the book, which is the writer's alone now.
        self.0.get_mut().iter_mut().filter_map(|(desks, kept)| Some((&*desks, Arc::get_mut(kept)?)))
    }

    pub fn is_empty(&mut self) -> bool {
        self.0.get_mut().is_empty()
    }

    pub fn clear(&mut self) {
        self.0.get_mut().clear();
    }

    #[cfg(test)]
    pub fn each(&self, mut take: impl FnMut(&Desks, &T)) {
        self.0.lock().iter().for_each(|(desks, kept)| take(desks, kept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::names::Ref;

    #[test]
    fn the_one_asked_for_longest_ago_makes_room() {
        let kept = Lately::<u8, 2>::default();
        let set = |desk| Desks::new(vec![Ref::new(desk)], 9);
        kept.of(&set(1));
        let second = kept.of(&set(2));
        kept.of(&set(1));
        kept.of(&set(3));
        assert!(kept.kept(&set(2)).is_none());
        assert!(kept.kept(&set(1)).is_some() && kept.kept(&set(3)).is_some());
        assert!(!Arc::ptr_eq(&second, &kept.of(&set(2))), "it is told anew");
    }
}
