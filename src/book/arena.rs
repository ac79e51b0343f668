//! Where the versions of deals and leads lie: each a few bytes, found by a number of 32 bits.
//!
//! ```text
//! version   form u8 · [older u32] · arrival u8…u32 · update_time u32 | time and sequence LEB128 · content
//! content   its packed form ([`super::coding`]) | the place u32 of an equal one | nothing: it is a deletion
//! ```
//! Invariants:
//! 1. Nothing is taken out, since versions aren't either, and growing copies nothing.
//! 2. The versions of a record are a list from the newest to the oldest. Only the one that came first may lack the
//!    room for a next one: most records have one version.
//! 3. A content that a record has in several versions lies there once.

use std::num::NonZeroU32;

use super::chain::{Arrival, Kept};
use super::coding::{Input, put};
use crate::domain::calendar::Instant;
use crate::domain::record::VersionKey;

/// Where a version lies in its [`Arena`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(NonZeroU32);

/// What a version says: where its content lies. None: it is a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(Option<Place>);

/// What a version says, as it is put in.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    Deletion,
    /// The same as another.
    Like(Span),
    Packed(&'a [u8]),
}

/// A version as it lies there.
#[derive(Clone, Copy, Debug)]
pub struct Lying {
    pub place: Place,
    /// The version before it.
    pub older: Option<Place>,
    pub kept: Kept<Span>,
    /// Whether it can be told of an older one.
    pub has_room: bool,
}

/// Versions, in segments.
#[derive(Default)]
pub struct Arena(Vec<Vec<u8>>);

const HAS_ROOM: u8 = 1;
const SAYS: u8 = 0b110;
const SAYS_OWN: u8 = 0;
const SAYS_DELETED: u8 = 0b010;
const SAYS_LIKE: u8 = 0b100;
/// One less than the bytes of the arrival.
const ARRIVAL_SHIFT: u32 = 3;
/// The time is in nanoseconds and a sequence follows; else it is whole seconds, and the sequence is 0.
const IS_WIDE: u8 = 0b10_0000;

/// Under test small, so that few versions reach over several.
const SEGMENT_BYTES: usize = if cfg!(test) { 1 << 14 } else { 1 << 20 };
/// A place counts in steps of this size, which lets 32 bits reach over 8 GiB.
const STEP_BYTES: usize = 2;
const STEPS: usize = SEGMENT_BYTES / STEP_BYTES;

// === impl Span ===

impl Span {
    pub const DELETED: Self = Self(None);

    pub fn is_deleted(self) -> bool {
        self.0.is_none()
    }
}

// === impl Arena ===

impl Arena {
    /// Puts a version in. With `room`, it can be told of an older one later.
    pub fn push(
        &mut self,
        key: VersionKey,
        arrival: Arrival,
        said: Said<'_>,
        older: Option<Place>,
        room: bool,
    ) -> Place {
        let room = room || older.is_some();
        let arrival = arrival.number().to_le_bytes();
        let arrival_bytes = 4 - arrival[1..].iter().rev().take_while(|byte| **byte == 0).count();
        let seconds = u32::try_from(key.update_time.seconds()).ok();
        let narrow = seconds.filter(|_| key.update_time.nanos() == 0 && key.sequence == 0);
        let says = match said {
            Said::Deletion | Said::Like(Span::DELETED) => SAYS_DELETED,
            Said::Like(_) => SAYS_LIKE,
            Said::Packed(_) => SAYS_OWN,
        };
        let form = (u8::from(room) * HAS_ROOM)
            | says
            | ((arrival_bytes as u8 - 1) << ARRIVAL_SHIFT)
            | (u8::from(narrow.is_none()) * IS_WIDE);
        let content = if let Said::Packed(content) = said { content } else { &[] };

        // The head of a version takes at most 33 bytes.
        let (place, segment) = self.room_for(33 + content.len());
        segment.push(form);
        if room {
            segment.extend_from_slice(&raw(older).to_le_bytes());
        }
        segment.extend_from_slice(&arrival[..arrival_bytes]);
        match narrow {
            Some(seconds) => segment.extend_from_slice(&seconds.to_le_bytes()),
            None => {
                put(segment, key.update_time.as_nanos() as u64);
                put(segment, key.sequence);
            }
        }
        match said {
            Said::Like(Span(Some(place))) => segment.extend_from_slice(&raw(Some(place)).to_le_bytes()),
            Said::Deletion | Said::Like(Span::DELETED) => {}
            Said::Packed(content) => segment.extend_from_slice(content),
        }
        if segment.len() % STEP_BYTES != 0 {
            segment.push(0);
        }
        place
    }

    /// The place of the next version, and the segment with room for so many bytes.
    fn room_for(&mut self, needed: usize) -> (Place, &mut Vec<u8>) {
        if self.0.last().is_none_or(|last| last.len() + needed + STEP_BYTES > SEGMENT_BYTES) {
            let mut segment = Vec::with_capacity(SEGMENT_BYTES);
            if self.0.is_empty() {
                segment.resize(STEP_BYTES, 0); // so that no version lies at 0
            }
            self.0.push(segment);
        }
        let at = self.0.len() - 1;
        let segment = &mut self.0[at];
        let steps = u32::try_from(at * STEPS + segment.len() / STEP_BYTES);
        let place = steps.ok().and_then(NonZeroU32::new).expect("versions stay below 8 GiB");
        (Place(place), segment)
    }

    pub fn get(&self, place: Place) -> Lying {
        self.read(place).expect(WHOLE).0
    }

    /// What the version at `place` says. None for a deletion.
    pub fn content_at(&self, place: Place) -> Option<Input<'_>> {
        let (lying, rest) = self.read(place).expect(WHOLE);
        match lying.kept.content {
            Span(Some(own)) if own == place => Some(rest),
            span => self.content(span),
        }
    }

    /// The bytes of a content, which end before the input does. None for a deletion.
    pub fn content(&self, span: Span) -> Option<Input<'_>> {
        span.0.map(|place| self.read(place).expect(WHOLE).1)
    }

    /// A version, and what follows its head.
    fn read(&self, place: Place) -> Option<(Lying, Input<'_>)> {
        let mut input = Input(self.from(place));
        let form = input.byte()?;
        let has_room = form & HAS_ROOM != 0;
        let older = if has_room { NonZeroU32::new(input.u32()?).map(Place) } else { None };
        let mut arrival = [0; 4];
        let arrival_bytes = arrival_bytes(form);
        arrival[..arrival_bytes].copy_from_slice(input.bytes(arrival_bytes)?);
        let key = if form & IS_WIDE == 0 {
            let nanos = i64::from(input.u32()?) * 1_000_000_000;
            VersionKey { update_time: Instant::from_nanos(nanos), sequence: 0 }
        } else {
            let update_time = Instant::from_nanos(input.number()? as i64);
            VersionKey { update_time, sequence: input.number()? }
        };
        let content = match form & SAYS {
            SAYS_DELETED => Span::DELETED,
            SAYS_LIKE => Span(Some(Place(NonZeroU32::new(input.u32()?)?))),
            _ => Span(Some(place)),
        };
        let arrival = Arrival::from_number(u32::from_le_bytes(arrival));
        Some((Lying { place, older, kept: Kept { key, arrival, content }, has_room }, input))
    }

    /// Tells a version that has room for it of the one before it.
    pub fn set_older(&mut self, place: Place, older: Place) {
        self.bytes_at(place)[1..5].copy_from_slice(&raw(Some(older)).to_le_bytes());
    }

    /// Notes that an earlier batch had brought a version already.
    pub fn set_arrival(&mut self, place: Place, earlier: Arrival) {
        let bytes = self.bytes_at(place);
        let at = if bytes[0] & HAS_ROOM != 0 { 5 } else { 1 };
        let arrival_bytes = arrival_bytes(bytes[0]);
        bytes[at..at + arrival_bytes].copy_from_slice(&earlier.number().to_le_bytes()[..arrival_bytes]);
    }

    fn from(&self, place: Place) -> &[u8] {
        let at = place.0.get() as usize;
        &self.0[at / STEPS][at % STEPS * STEP_BYTES..]
    }

    fn bytes_at(&mut self, place: Place) -> &mut [u8] {
        let at = place.0.get() as usize;
        &mut self.0[at / STEPS][at % STEPS * STEP_BYTES..]
    }

    #[cfg(test)]
    pub fn segment_count(&self) -> usize {
        self.0.len()
    }
}

const WHOLE: &str = "versions went in whole";

fn arrival_bytes(form: u8) -> usize {
    1 + usize::from(form >> ARRIVAL_SHIFT & 3)
}

fn raw(place: Option<Place>) -> u32 {
    place.map_or(0, |place| place.0.get())
}
