//! Rows in order, in chunks: putting one in or taking one out moves few others.

use super::{CHUNK_ROWS, Row};
use crate::book::entry::{Event, Slot};
use crate::domain::calendar::Date;

/// Where a row lies among others: by slot, date, number, part and event. A place is looked for by many
/// comparisons, and one number is compared at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u128);

/// A chunk with room for so many takes rows from a full one beside it: half as many, so that both have room then.
const TAKEN_INTO_ROOM_MIN: usize = if cfg!(test) { 2 } else { CHUNK_ROWS / 4 };

/// A place among loose rows: which stretch, and which of its rows. There is room for 3 billion rows of a month.
const PLACE_SHIFT: u32 = 8;
const PLACE_MASK: usize = (1 << PLACE_SHIFT) - 1;
const _: () = assert!(CHUNK_ROWS <= 1 << PLACE_SHIFT);

#[derive(Default)]
pub(super) struct Rows {
    /// Ordered; none is empty.
    chunks: Vec<Chunk>,
}

struct Chunk {
    /// That of the first row: whoever looks for a chunk reads none of their rows.
    first: Key,
    rows: Vec<Row>,
}

// === impl Key ===

impl Key {
    #[inline]
    pub fn new(slot: Slot, on: Date, of: u32, part: u8, event: Event) -> Self {
        Self(Self::day(slot, on).0 | u128::from(of) << 16 | u128::from(part) << 8 | u128::from(event.rank()))
    }

    /// Of a row that is the first of its entry, by its event's rank.
    pub fn of_first(slot: Slot, on: Date, of: u32, rank: u8) -> Self {
        Self(Self::day(slot, on).0 | u128::from(of) << 16 | u128::from(rank))
    }

    /// Slot, date and number alone, in 96 bits.
    #[inline]
    fn of_record(self) -> u128 {
        self.0 >> 16
    }

    /// No key of a slot's day, or of a later one, is less.
    #[inline]
    fn day(slot: Slot, on: Date) -> Self {
        let slot = slot.map_or(0, |partner| partner.index() as u128 + 1); // the uncredited rest comes first
        let on = on.day_number() as u128; // no date is before day 0
        Self(slot << 80 | on << 48)
    }

    /// Every key of a slot's day, or of an earlier one, is less.
    fn day_after(slot: Slot, on: Date) -> Self {
        Self(Self::day(slot, on).0 + (1 << 48))
    }
}

// === impl Chunk ===

impl Chunk {
    fn new(rows: Vec<Row>) -> Self {
        Self { first: rows[0].key(), rows }
    }

    fn place_of(&self, key: Key) -> usize {
        self.rows.partition_point(|row| row.key() < key)
    }
}

// === impl Rows ===

impl Rows {
    /// Those that lie in `stretches`, in no order, each of at most [`CHUNK_ROWS`].
    ///
    /// What is sorted is small: the key without what seldom decides, and where the row lies.
    pub fn of_loose(stretches: &[Vec<Row>]) -> Self {
        let row_at =
            |place: u128| &stretches[(place as u32 >> PLACE_SHIFT) as usize][place as usize & PLACE_MASK];
        let mut places = Vec::with_capacity(stretches.iter().map(Vec::len).sum());
        for (stretch, rows) in stretches.iter().enumerate() {
            let first = (stretch as u128) << PLACE_SHIFT;
            places.extend((first..).zip(rows).map(|(place, row)| row.key().of_record() << 32 | place));
        }
        places.sort_unstable();
        // Several rows of one record in one slot and on one day.
        for alike in places.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|alike| alike.len() > 1) {
            alike.sort_unstable_by_key(|&place| row_at(place).key());
        }
        let chunk = |places: &[u128]| Chunk::new(places.iter().map(|&place| *row_at(place)).collect());
        Self { chunks: places.chunks(CHUNK_ROWS).map(chunk).collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// A number of rows that there aren't more of.
    pub fn count_at_most(&self) -> usize {
        self.chunks.len() * CHUNK_ROWS
    }

    /// The chunk in which a row of `key` lies or would lie.
    fn chunk_of(&self, key: Key) -> usize {
        self.chunks.partition_point(|chunk| chunk.first <= key).saturating_sub(1)
    }

    pub fn insert(&mut self, row: Row) {
        let key = row.key();
        if self.chunks.is_empty() {
            self.chunks.push(Chunk::new(vec![row]));
            return;
        }
        let mut at = self.chunk_of(key);
        if self.chunks[at].rows.len() == CHUNK_ROWS {
            self.make_room(at);
            at = self.chunk_of(key);
        }
        let chunk = &mut self.chunks[at];
        let place = chunk.place_of(key);
        debug_assert!(chunk.rows.get(place).is_none_or(|known| known.key() != key), "rows are strict");
        chunk.rows.insert(place, row);
        chunk.first = chunk.first.min(key);
    }

    /// Moves rows of a full chunk into one beside it, or, where there is no room either, splits it. So most chunks are
    /// nearly full, and all but small ones take the same room: what one leaves another fits into.
    fn make_room(&mut self, at: usize) {
        let taken = |chunk: &Chunk| {
            let room = CHUNK_ROWS - chunk.rows.len();
            (room >= TAKEN_INTO_ROOM_MIN).then_some(room / 2)
        };
        let (before, rest) = self.chunks.split_at_mut(at);
        let Some((full, after)) = rest.split_first_mut() else { return };
        if let Some(next) = after.first_mut()
            && let Some(count) = taken(next)
        {
            next.rows.splice(0..0, full.rows.drain(CHUNK_ROWS - count..));
            next.first = next.rows[0].key();
        } else if let Some(previous) = before.last_mut()
            && let Some(count) = taken(previous)
        {
            previous.rows.extend(full.rows.drain(..count));
            full.first = full.rows[0].key();
        } else {
            let mut rest = Vec::with_capacity(CHUNK_ROWS);
            rest.extend(full.rows.drain(CHUNK_ROWS / 2..));
            self.chunks.insert(at + 1, Chunk::new(rest));
        }
    }

    pub fn remove(&mut self, row: &Row) {
        let key = row.key();
        let at = self.chunk_of(key);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let place = chunk.place_of(key);
        if chunk.rows.get(place).is_some_and(|known| known.key() == key) {
            chunk.rows.remove(place);
        }
        match chunk.rows.first() {
            Some(first) => chunk.first = first.key(),
            None => {
                self.chunks.remove(at);
            }
        }
    }

    pub fn get_mut(&mut self, key: Key) -> Option<&mut Row> {
        let at = self.chunk_of(key);
        let chunk = self.chunks.get_mut(at)?;
        let place = chunk.place_of(key);
        chunk.rows.get_mut(place).filter(|row| row.key() == key)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Row> + Clone {
        self.chunks.iter().flat_map(|chunk| &chunk.rows)
    }

    /// The rows from `from` to `last`, and some others: of a chunk that is one slot's alone, whose rows are in
    /// the order of their dates, only what lies between.
    pub fn within(&self, from: Date, last: Date) -> impl Iterator<Item = &Row> {
        self.chunks.iter().flat_map(move |Chunk { rows, .. }| {
            let slots = rows.first().zip(rows.last()).map(|(first, last)| (first.slot, last.slot));
            match slots.filter(|(first, last)| first == last) {
                Some(_) => {
                    let start = rows.partition_point(|row| row.on < from);
                    let end = start + rows[start..].partition_point(|row| row.on <= last);
                    &rows[start..end]
                }
                None => &rows[..],
            }
        })
    }

    /// The rows from `from` to `last`, but those of some slots, which are sorted.
    pub fn within_of_others<'a>(
        &'a self,
        from: Date,
        last: Date,
        slots: &'a [Slot],
    ) -> impl Iterator<Item = &'a Row> {
        let chunks = self.chunks.iter().filter(|Chunk { rows, .. }| {
            let only_slot = rows.first().zip(rows.last()).filter(|(first, last)| first.slot == last.slot);
            only_slot.is_none_or(|(first, _)| slots.binary_search(&first.slot).is_err())
        });
        // Rows come in the order of their slots.
        let mut passed = 0;
        chunks.flat_map(|chunk| &chunk.rows).filter(move |row| {
            if row.on < from || last < row.on {
                return false;
            }
            while slots.get(passed).is_some_and(|slot| *slot < row.slot) {
                passed += 1;
            }
            slots.get(passed) != Some(&row.slot)
        })
    }

    /// How many rows of a slot there are from `from` to `last`, at most.
    pub fn count_of_slot(&self, slot: Slot, from: Date, last: Date) -> usize {
        let place = |key: Key| {
            let at = self.chunk_of(key);
            at * CHUNK_ROWS + self.chunks.get(at).map_or(0, |chunk| chunk.place_of(key))
        };
        place(Key::day_after(slot, last)).saturating_sub(place(Key::day(slot, from)))
    }

    /// The first row whose key isn't less than `least`.
    pub fn first_from(&self, least: Key) -> Option<&Row> {
        let at = self.chunk_of(least);
        let chunk = self.chunks.get(at)?;
        let next = || self.chunks.get(at + 1)?.rows.first();
        chunk.rows.get(chunk.place_of(least)).or_else(next)
    }

    /// The rows of a slot from `from` to `last`.
    pub fn of_slot(&self, slot: Slot, from: Date, last: Date) -> impl Iterator<Item = &Row> {
        let least = Key::day(slot, from);
        let at = self.chunk_of(least);
        let start = self.chunks.get(at).map_or(0, |chunk| chunk.place_of(least));
        let rows = self.chunks.iter().skip(at).flat_map(|chunk| &chunk.rows).skip(start);
        rows.take_while(move |row| row.slot == slot && row.on <= last)
    }
}

#[cfg(test)]
impl Rows {
    pub fn verify(&self) {
        let keys: Vec<Key> = self.iter().map(Row::key).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "rows are strictly ordered");
        for chunk in &self.chunks {
            assert!((1..=CHUNK_ROWS).contains(&chunk.rows.len()));
            assert_eq!(chunk.first, chunk.rows[0].key());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::book::entry::{Outcome, ProspectOutcome};
    use crate::book::names::Ref;

    fn event() -> impl Strategy<Value = Event> {
        use {Outcome as O, ProspectOutcome as P};
        let outcome =
            || prop::sample::select(vec![O::Open, O::Won, O::Lost, O::LostToCompetitor, O::Expired]);
        let prospect = || prop::sample::select(vec![P::Unresolved, P::Purchased, P::Lost]);
        prop_oneof![
            outcome().prop_map(Event::DealOpened),
            outcome().prop_map(Event::DealEnded),
            prospect().prop_map(Event::LeadCreated),
            Just(Event::LeadConverted),
            Just(Event::LeadDisqualified),
            prospect().prop_map(Event::ProspectEnded),
        ]
    }

    fn place() -> impl Strategy<Value = (Slot, Date, u32, u8, Event)> {
        let few = || prop_oneof![0..3u32, u32::MAX - 3..u32::MAX];
        let on = prop::sample::select(vec![Date::FIRST, Date::FIRST.next(), Date::LAST, Date::NEVER]);
        (prop::option::of(few().prop_map(Ref::new)), on, few(), any::<u8>(), event())
    }

    proptest! {
        #[test]
        fn keys_are_in_the_order_of_what_they_are_made_of(a in place(), b in place()) {
            let key = |(slot, on, of, part, event)| Key::new(slot, on, of, part, event);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            prop_assert!(Key::day(a.0, a.1) <= key(a) && key(a) < Key::day_after(a.0, a.1));
        }
    }
}
