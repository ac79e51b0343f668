//! By desk: where the entries of each desk lie among a sheet's rows, so that whoever asks for few desks reads nobody
//! else's rows. Told when few are first asked for, and kept with every change from then on.
//!
//! Invariant, checked by `Page::verify` in tests: they are the places of the rows that are the first of their entry.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::Row;
use super::rows::{Key, Rows};
use crate::book::entry::{Event, Slot};
use crate::book::names::Ref;
use crate::book::pools::DeskRef;
use crate::book::scope::Desks;
use crate::domain::calendar::Date;

/// A place has room for so many bits of a slot's number. Under test few, so that small histories go beyond.
const SLOT_BITS: u32 = if cfg!(test) { 2 } else { 25 };

/// How many rows are read in the time in which one is found by its place. Under test few, so that small histories go
/// both ways.
pub(in crate::book) const ROWS_FOR_ONE: usize = if cfg!(test) { 2 } else { 8 };

pub(super) struct ByDesk {
    /// Of the month.
    first_day: Date,
    places: HashMap<DeskRef, BTreeSet<Place>>,
}

/// Where a row lies among the first ones of their entries, in eight bytes and in the order of their keys: from the
/// highest bits its slot, day of the month, number, and which of a lead's events it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u64);

// === impl Place ===

impl Place {
    /// None where there is no room for its slot.
    fn of(row: &Row, first_day: Date) -> Option<Self> {
        let slot = row.slot.map_or(0, |partner| u64::from(partner.number()) + 1); // the uncredited rest comes first
        let day = row.on.days_since(first_day) as u64;
        let which = match row.event {
            Event::DealOpened(_) | Event::DealEnded(_) | Event::LeadCreated(_) => 0,
            Event::LeadConverted | Event::LeadDisqualified => 1,
            Event::ProspectEnded(_) => 2,
        };
        (slot < 1 << SLOT_BITS).then(|| Self(slot << 39 | day << 34 | u64::from(row.of) << 2 | which))
    }

    fn slot(self) -> Slot {
        let slot = (self.0 >> 39) as u32;
        slot.checked_sub(1).map(Ref::new)
    }

    fn on(self, first_day: Date) -> Date {
        first_day.plus_days((self.0 >> 34 & 31) as i32)
    }

    /// The key of its row, or the greatest that is known to be less.
    fn least_key(self, first_day: Date) -> Key {
        let least_rank = match self.0 & 3 {
            0 => 0,
            1 => Event::LeadConverted.rank(),
            _ => Event::LeadDisqualified.rank() + 1,
        };
        Key::of_first(self.slot(), self.on(first_day), (self.0 >> 2) as u32, least_rank)
    }
}

// === impl ByDesk ===

impl ByDesk {
    /// None where a place has no room for a row's slot.
    pub fn of(rows: &Rows) -> Option<Self> {
        let first_day = rows.iter().next().map_or(Date::NEVER, |row| first_day(row.on));
        let mut places = HashMap::<DeskRef, Vec<Place>>::new();
        for row in rows.iter().filter(|row| row.part == 0) {
            places.entry(row.desk).or_default().push(Place::of(row, first_day)?);
        }
        let places = places.into_iter().map(|(desk, places)| (desk, places.into_iter().collect()));
        Some(Self { first_day, places: places.collect() })
    }

    /// Notes a row that is the first of its entry. False where there is no room for its slot.
    #[must_use]
    pub fn insert(&mut self, row: &Row) -> bool {
        if self.places.is_empty() {
            self.first_day = first_day(row.on);
        }
        let place = Place::of(row, self.first_day);
        if let Some(place) = place {
            self.places.entry(row.desk).or_default().insert(place);
        }
        place.is_some()
    }

    pub fn remove(&mut self, row: &Row) {
        let Some((places, place)) = self.places.get_mut(&row.desk).zip(Place::of(row, self.first_day)) else {
            return;
        };
        places.remove(&place);
        if places.is_empty() {
            self.places.remove(&row.desk);
        }
    }

    /// How many entries some desks have.
    pub fn count(&self, desks: &Desks) -> usize {
        desks.iter().filter_map(|desk| self.places.get(&desk)).map(BTreeSet::len).sum()
    }

    /// The first rows of the entries of some desks, from `from` to `last`.
    pub fn rows<'a>(
        &'a self,
        rows: &'a Rows,
        desks: &'a Desks,
        from: Date,
        last: Date,
    ) -> impl Iterator<Item = &'a Row> {
        let places = desks.iter().filter_map(|desk| self.places.get(&desk)).flatten();
        let is_within = move |place: &&Place| (from..=last).contains(&place.on(self.first_day));
        places.filter(is_within).filter_map(|place| rows.first_from(place.least_key(self.first_day)))
    }
}

fn first_day(on: Date) -> Date {
    if on == Date::NEVER { on } else { on.month().first_day() }
}

#[cfg(test)]
impl ByDesk {
    /// Checks that the places are those of `rows`.
    pub fn verify(&self, rows: &Rows) {
        for (&desk, places) in &self.places {
            let expected = rows.iter().filter(|row| row.part == 0 && row.desk == desk);
            let desks = Desks::new(vec![desk], 1);
            let found: Vec<&Row> = self.rows(rows, &desks, Date::FIRST, Date::NEVER).collect();
            assert!(found.iter().copied().eq(expected), "of {desk:?}");
            assert_eq!(places.len(), found.len(), "of {desk:?}");
        }
        let all: usize = self.places.values().map(BTreeSet::len).sum();
        assert_eq!(all, rows.iter().filter(|row| row.part == 0).count(), "desks that have places");
    }
}
