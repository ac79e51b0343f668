//! What a snapshot holds of a book, as slices of bytes: the dictionary, then the records.
//!
//! ```text
//! names        'n' · kind u8 · count · prefix bytes · prefix · lengths u8… · what follows the prefix in each…
//! currencies   'c' · code (3 bytes)…
//! deals/leads  'd' | 'l' · first number · counts bytes · arrivals bytes · keys bytes
//!              counts    of each record from the first on, how many versions of it follow
//!              arrivals  of each version, from that of the one before, zigzag
//!              keys      of each version: form u8 · update_time u32 | time and sequence
//!              contents  of each version that is no deletion, packed ([`super::coding`])
//! others       'o' · CBOR [revision, version]…
//! ```
//! Numbers are LEB128 unless their width is given; an arrival is a place in the list of batches. This is format 1:
//! what it writes, every later release reads.
//!
//! Invariants:
//! 1. A snapshot holds what the book held when it began, exactly, though it is taken in steps while writes go on:
//!    names keep their numbers, so those it held are the first ones; versions keep their arrival, so later ones are
//!    told apart.
//! 2. Names come before what refers to them by number.
//! 3. Reading believes nothing: what can't be so is refused, never a panic.

use std::panic::resume_unwind;

use minicbor::{Decode, Encode};

use super::chain::{Arrival, Kept, Placed};
use super::coding::{Input, put, put_signed};
use super::many::Many;
use super::names::{AnyNames, Index, Ref};
use super::packed::{DealRef, Dictionary, LeadRef, Packed, PackedDeal, Span};
use super::telling::all_threads;
use super::{Batch, Book, Cursor, Retell};
use crate::domain::amount::Currency;
use crate::domain::calendar::Instant;
use crate::domain::ids::{check, kind};
use crate::domain::record::{Record, Version, VersionKey, canonical};

/// A step reads so many names or records: about a millisecond.
const STEP_NAMES: usize = if cfg!(test) { 3 } else { 16_384 };
const STEP_RECORDS: usize = if cfg!(test) { 2 } else { 2_048 };
const STEP_OTHERS: usize = if cfg!(test) { 2 } else { 512 };
/// A slice is given out when it has so many versions, or so many bytes.
const SLICE_VERSIONS: usize = if cfg!(test) { 4 } else { 65_536 };
const SLICE_BYTES: usize = 1 << 20;

const NAMES: u8 = b'n';
const CURRENCIES: u8 = b'c';
const DEALS: u8 = b'd';
const LEADS: u8 = b'l';
const OTHERS: u8 = b'o';

const IS_DELETION: u8 = 1;
/// The time is in nanoseconds and a sequence follows; else it is whole seconds, and the sequence is 0.
const IS_WIDE: u8 = 2;

/// A record of another kind than deals and leads, as journals have it.
#[derive(Encode, Decode)]
#[cbor(array)]
struct Other {
    #[n(0)]
    revision: u64,
    #[n(1)]
    version: Version,
}

/// Why a slice can't be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SliceError {
    #[error("a slice is of no kind that this version of channel-kpi knows")]
    Kind,
    #[error("a slice of {0} says what can't be so")]
    Damaged(&'static str),
    #[error("a name of {0} comes twice")]
    Twice(&'static str),
}

/// A snapshot that is being taken.
pub struct Taking {
    batch_count: u32,
    revision: u64,
    name_counts: [usize; 7],
    currency_count: usize,
    part: Part,
    column: Column,
}

/// What comes next.
enum Part {
    Names { kind: usize, done: usize },
    Currencies,
    Leads { done: usize },
    Deals { done: usize },
    Others(Cursor),
    Nothing,
}

/// Versions of deals or of leads that are to become a slice.
#[derive(Default)]
struct Column {
    first: usize,
    counts: Vec<u32>,
    arrivals: Vec<u8>,
    last_arrival: i64,
    keys: Vec<u8>,
    contents: Vec<u8>,
    version_count: usize,
}

/// A book that is being built from a snapshot.
pub struct Restoring {
    book: Book,
    /// Whether there are deals and leads that aren't found by their names yet.
    is_unindexed: bool,
}

// === impl Taking ===

impl Taking {
    /// Begins with what the book holds now.
    pub fn begin(book: &Book) -> Self {
        let records = &book.records;
        Self {
            batch_count: records.batches().len() as u32,
            revision: book.revision,
            name_counts: records.dictionary.each().map(|names| names.len()),
            currency_count: records.deals.currencies().all().len(),
            part: Part::Names { kind: 0, done: 0 },
            column: Column::default(),
        }
    }

    /// Reads a little more of the same book, for about a millisecond. Slices that are full are added to
    /// `slices`. False when there is nothing more.
    pub fn step(&mut self, book: &Book, slices: &mut Vec<Vec<u8>>) -> bool {
        let records = &book.records;
        let [.., leads, deals] = self.name_counts;
        self.part = match std::mem::replace(&mut self.part, Part::Nothing) {
            Part::Names { kind, done } => match self.name_counts.get(kind) {
                None => Part::Currencies,
                Some(&count) if done == count => Part::Names { kind: kind + 1, done: 0 },
                Some(&count) => {
                    let end = count.min(done + STEP_NAMES);
                    slices.push(names_slice(kind, records.dictionary.each()[kind], done..end));
                    Part::Names { kind, done: end }
                }
            },
            Part::Currencies => {
                let currencies = &records.deals.currencies().all()[..self.currency_count];
                let codes = currencies.iter().flat_map(|currency| currency.code().bytes());
                slices.push([CURRENCIES].into_iter().chain(codes).collect());
                Part::Leads { done: 0 }
            }
            Part::Leads { done } => {
                let end = leads.min(done + STEP_RECORDS);
                self.add_versions(LEADS, &records.leads, done..end, slices);
                if end < leads { Part::Leads { done: end } } else { Part::Deals { done: 0 } }
            }
            Part::Deals { done } => {
                let end = deals.min(done + STEP_RECORDS);
                self.add_versions(DEALS, &records.deals, done..end, slices);
                if end < deals { Part::Deals { done: end } } else { Part::Others(Cursor::START) }
            }
            Part::Others(cursor) => {
                let (versions, next) = records.export_others(cursor, STEP_OTHERS);
                let mut slice = vec![OTHERS];
                for stored in versions.into_iter().filter(|stored| stored.revision <= self.revision) {
                    slice.extend(canonical(&Other { revision: stored.revision, version: stored.version }));
                    if slice.len() >= SLICE_BYTES {
                        slices.push(std::mem::replace(&mut slice, vec![OTHERS]));
                    }
                }
                if slice.len() > 1 {
                    slices.push(slice);
                }
                next.map_or(Part::Nothing, Part::Others)
            }
            Part::Nothing => Part::Nothing,
        };
        !matches!(self.part, Part::Nothing)
    }

    /// Adds the versions of some records, and those that wait to `slices` when they are many or the last.
    fn add_versions<P: Packed>(
        &mut self,
        tag: u8,
        many: &Many<P>,
        numbers: std::ops::Range<usize>,
        slices: &mut Vec<Vec<u8>>,
    ) {
        let [.., leads, deals] = self.name_counts;
        let is_last = numbers.end == if tag == LEADS { leads } else { deals };
        for number in numbers {
            for kept in many.versions(Ref::<()>::new(number as u32)) {
                if kept.arrival.number() < self.batch_count {
                    self.column.add(number, &kept, many.bytes(&kept));
                    if self.column.is_full() {
                        slices.push(std::mem::take(&mut self.column).into_slice(tag));
                    }
                }
            }
        }
        if is_last && self.column.version_count > 0 {
            slices.push(std::mem::take(&mut self.column).into_slice(tag));
        }
    }
}

/// Some names of a kind, which follow each other.
fn names_slice(kind: usize, names: &dyn AnyNames, numbers: std::ops::Range<usize>) -> Vec<u8> {
    let first = names.spell(numbers.start);
    let prefix = numbers.clone().map(|number| names.spell(number)).fold(first, |prefix, name| {
        let alike = prefix.iter().zip(name).take_while(|(a, b)| a == b).count();
        &prefix[..alike]
    });
    let mut slice = vec![NAMES, kind as u8];
    put(&mut slice, numbers.len() as u64);
    put(&mut slice, prefix.len() as u64);
    slice.extend_from_slice(prefix);
    slice.extend(numbers.clone().map(|number| (names.spell(number).len() - prefix.len()) as u8));
    for number in numbers {
        slice.extend_from_slice(&names.spell(number)[prefix.len()..]);
    }
    slice
}

// === impl Column ===

impl Column {
    fn add(&mut self, number: usize, kept: &Kept<Span>, content: Option<&[u8]>) {
        if self.version_count == 0 {
            self.first = number;
        }
        self.version_count += 1;
        self.counts.resize(number - self.first + 1, 0);
        if let Some(count) = self.counts.last_mut() {
            *count += 1;
        }
        let arrival = i64::from(kept.arrival.number());
        put_signed(&mut self.arrivals, arrival - self.last_arrival);
        self.last_arrival = arrival;

        let VersionKey { update_time, sequence } = kept.key;
        let seconds = u32::try_from(update_time.seconds()).ok();
        let narrow = seconds.filter(|_| update_time.nanos() == 0 && sequence == 0);
        let is_deletion = if content.is_none() { IS_DELETION } else { 0 };
        match narrow {
            Some(seconds) => {
                self.keys.push(is_deletion);
                self.keys.extend_from_slice(&seconds.to_le_bytes());
            }
            None => {
                self.keys.push(is_deletion | IS_WIDE);
                put(&mut self.keys, update_time.as_nanos() as u64);
                put(&mut self.keys, sequence);
            }
        }
        self.contents.extend_from_slice(content.unwrap_or_default());
    }

    fn is_full(&self) -> bool {
        let bytes = self.arrivals.len() + self.keys.len() + self.contents.len();
        self.version_count >= SLICE_VERSIONS || bytes >= 4 * SLICE_BYTES
    }

    fn into_slice(self, tag: u8) -> Vec<u8> {
        let mut counts = Vec::with_capacity(self.counts.len());
        self.counts.iter().for_each(|&count| put(&mut counts, u64::from(count)));
        let mut slice = vec![tag];
        put(&mut slice, self.first as u64);
        for column in [&counts, &self.arrivals, &self.keys] {
            put(&mut slice, column.len() as u64);
        }
        for column in [&counts, &self.arrivals, &self.keys, &self.contents] {
            slice.extend_from_slice(column);
        }
        slice
    }
}

// === impl Restoring ===

impl Restoring {
    /// Begins a book that had applied these batches, given by revision and time in the order of their
    /// revisions.
    pub fn begin(revision: u64, batches: &[(u64, Instant)]) -> Self {
        let mut book = Book { revision, ..Book::default() };
        for &(revision, received_time) in batches {
            book.records.arrivals.note(revision, received_time);
        }
        Self { book, is_unindexed: false }
    }

    /// Takes in a slice; they come in the order in which they were taken.
    pub fn take(&mut self, slice: &[u8]) -> Result<(), SliceError> {
        let mut input = Input(slice);
        match input.byte() {
            Some(NAMES) => self.take_names(input),
            Some(CURRENCIES) => self.take_currencies(input).ok_or(SliceError::Damaged("currencies")),
            Some(LEADS) => self.take_leads(input).ok_or(SliceError::Damaged("leads")),
            Some(DEALS) => self.take_deals(input).ok_or(SliceError::Damaged("deals")),
            Some(OTHERS) => self.take_others(input).ok_or(SliceError::Damaged("records")),
            _ => Err(SliceError::Kind),
        }
    }

    /// Takes in a version with the revision of its batch, where that is among those which had been applied.
    pub fn take_version(&mut self, revision: u64, version: Version) {
        if let Some(arrival) = self.book.records.arrivals.of_revision(revision) {
            self.insert(version, arrival);
        }
    }

    /// The revision up to which batches were taken in.
    pub fn revision(&self) -> u64 {
        self.book.revision
    }

    /// Takes in the next batch, as if it were applied.
    pub fn take_batch(&mut self, batch: Batch) -> Result<(), SliceError> {
        self.index()?;
        self.book.revision = batch.revision;
        if batch.versions.is_empty() {
            return Ok(()); // it brought nothing that has to be known by its arrival
        }
        let arrival = self.book.records.arrivals.note(batch.revision, batch.received_time);
        for version in batch.versions {
            self.insert(version, arrival);
        }
        Ok(())
    }

    fn insert(&mut self, version: Version, arrival: Arrival) {
        let book = &mut self.book;
        let Record::Deal(id, _) = &version.record else {
            book.records.insert(version, arrival);
            return;
        };
        let deal = book.records.dictionary.deals.intern(id.as_str());
        let before = book.lead_of(deal);
        book.records.insert(version, arrival);
        book.move_to_lead(deal, before, book.lead_of(deal));
    }

    /// Tells all that was taken in.
    pub fn finish(self) -> Result<Book, SliceError> {
        let Self { mut book, is_unindexed } = self;
        let ground = book.ground_of_records();
        let (told, indexed) = std::thread::scope(|scope| {
            let dictionary = &book.records.dictionary;
            let indexing = is_unindexed.then(|| scope.spawn(|| indexed(dictionary)));
            let told = book.tell_aside(ground, all_threads());
            let indexed = indexing.map(|indexing| indexing.join().unwrap_or_else(|it| resume_unwind(it)));
            (told, indexed)
        });
        if let Some(indexed) = indexed {
            indexed?.set(&mut book.records.dictionary);
        }
        if let Retell::Pages(ground, pages, pools) = told {
            (book.ground, book.pages, book.pools) = (ground, pages, *pools);
        }
        book.tell_few();
        Ok(book)
    }

    /// Has deals and leads found by their names.
    fn index(&mut self) -> Result<(), SliceError> {
        if std::mem::take(&mut self.is_unindexed) {
            let dictionary = &mut self.book.records.dictionary;
            indexed(dictionary)?.set(dictionary);
        }
        Ok(())
    }

    fn take_names(&mut self, mut input: Input<'_>) -> Result<(), SliceError> {
        const DAMAGED: SliceError = SliceError::Damaged("names");
        let mut kinds = self.book.records.dictionary.each_mut();
        let kind = input.byte().map(usize::from).ok_or(DAMAGED)?;
        let (kind_count, names) = (kinds.len(), kinds.get_mut(kind).ok_or(DAMAGED)?);
        let mut length = || usize::try_from(input.number()?).ok();
        let (count, prefix) = length().zip(length()).ok_or(DAMAGED)?;
        let prefix = input.bytes(prefix).ok_or(DAMAGED)?;
        let lengths = input.bytes(count).ok_or(DAMAGED)?;
        // Deals and leads, which are many, are indexed at once in the end.
        let is_indexed = kind < kind_count - 2;
        self.is_unindexed |= !is_indexed;
        let mut name = prefix.to_vec();
        for &length in lengths {
            name.truncate(prefix.len());
            name.extend_from_slice(input.bytes(length.into()).ok_or(DAMAGED)?);
            let name = std::str::from_utf8(&name).map_err(|_| DAMAGED)?;
            check(name).map_err(|_| DAMAGED)?;
            if !names.append(name, is_indexed) {
                return Err(SliceError::Twice("those that deals name"));
            }
        }
        if input.is_empty() { Ok(()) } else { Err(DAMAGED) }
    }

    fn take_currencies(&mut self, mut input: Input<'_>) -> Option<()> {
        while !input.is_empty() {
            let &[a, b, c] = input.bytes(3)?.as_array()?;
            if ![a, b, c].iter().all(u8::is_ascii_uppercase) {
                return None;
            }
            let packed = u32::from_be_bytes([0, a, b, c]);
            self.book.records.deals.currencies_mut().push(Currency::from_packed(packed));
        }
        Some(())
    }

    fn take_leads(&mut self, input: Input<'_>) -> Option<()> {
        let records = &mut self.book.records;
        let (dictionary, batches) = (&records.dictionary, records.arrivals.all().len());
        let limits = Limits { records: dictionary.leads.len(), batches };
        records.version_count +=
            take_versions(input, &limits, &mut records.leads, dictionary, |_: LeadRef, _, _| {})?;
        Some(())
    }

    fn take_deals(&mut self, input: Input<'_>) -> Option<()> {
        let Book { records, deals_of_leads, .. } = &mut self.book;
        let (dictionary, batches) = (&records.dictionary, records.arrivals.all().len());
        let limits = Limits { records: dictionary.deals.len(), batches };
        let name = |deal: DealRef, before: Option<PackedDeal>, after: Option<PackedDeal>| {
            let (before, after) = (before.and_then(|deal| deal.lead), after.and_then(|deal| deal.lead));
            if before != after {
                before.into_iter().for_each(|lead| deals_of_leads.remove(lead, deal));
                after.into_iter().for_each(|lead| deals_of_leads.add(lead, deal));
            }
        };
        records.version_count += take_versions(input, &limits, &mut records.deals, dictionary, name)?;
        Some(())
    }

    fn take_others(&mut self, input: Input<'_>) -> Option<()> {
        let records = &mut self.book.records;
        let mut decoder = minicbor::Decoder::new(input.0);
        while decoder.position() < input.0.len() {
            let Other { revision, version } = decoder.decode().ok()?;
            if matches!(version.record, Record::Deal(..) | Record::Lead(..)) {
                return None;
            }
            let arrival = records.arrivals.of_revision(revision)?;
            records.insert(version, arrival);
        }
        Some(())
    }
}

/// Where deals and leads are found by their names.
struct Indexed {
    deals: Index<kind::Deal>,
    leads: Index<kind::Lead>,
}

impl Indexed {
    fn set(self, dictionary: &mut Dictionary) {
        dictionary.deals.set_index(self.deals);
        dictionary.leads.set_index(self.leads);
    }
}

fn indexed(dictionary: &Dictionary) -> Result<Indexed, SliceError> {
    let deals = dictionary.deals.index().ok_or(SliceError::Twice("deals"))?;
    let leads = dictionary.leads.index().ok_or(SliceError::Twice("leads"))?;
    Ok(Indexed { deals, leads })
}

/// How many there are of what versions refer to.
struct Limits {
    records: usize,
    batches: usize,
}

/// Takes in a slice of versions; `settle` hears of each record what it was before and after. Returns how many
/// versions are new.
fn take_versions<P: Packed, K>(
    mut input: Input<'_>,
    limits: &Limits,
    many: &mut Many<P>,
    dictionary: &Dictionary,
    mut settle: impl FnMut(Ref<K>, Option<P>, Option<P>),
) -> Option<usize> {
    let mut number = usize::try_from(input.number()?).ok()?;
    let mut length = || usize::try_from(input.number()?).ok();
    let lengths = [length()?, length()?, length()?];
    let mut column = |length| input.bytes(length).map(Input);
    let [mut counts, mut arrivals, mut keys] =
        [column(lengths[0])?, column(lengths[1])?, column(lengths[2])?];
    let mut contents = input;
    let (mut arrival, mut new_count) = (0i64, 0);
    while !counts.is_empty() {
        let count = counts.number()?;
        if number >= limits.records {
            return None;
        }
        let record = Ref::new(number as u32);
        let before = many.current(record);
        let mut after = None;
        for _ in 0..count {
            arrival = arrival.checked_add(arrivals.signed()?)?;
            let arrival =
                u32::try_from(arrival).ok().filter(|&arrival| (arrival as usize) < limits.batches)?;
            let (key, is_deletion) = take_key(&mut keys)?;
            let packed = if is_deletion { None } else { Some(contents) };
            let read = match packed {
                None => None,
                Some(_) => {
                    Some(P::read(&mut contents, many.currencies())?).filter(|it| it.is_sound(dictionary))
                }
            };
            let bytes = packed.map(|from| &from.0[..from.0.len() - contents.0.len()]);
            if bytes.is_some() != read.is_some() {
                return None;
            }
            let placed = many.insert_packed(record, key, Arrival::from_number(arrival), bytes, dictionary);
            new_count += usize::from(placed != Placed::Known);
            if placed == Placed::Current {
                after = Some(read);
            }
        }
        if let Some(after) = after {
            settle(record, before, after);
        }
        number += 1;
    }
    (arrivals.is_empty() && keys.is_empty() && contents.is_empty()).then_some(new_count)
}

fn take_key(keys: &mut Input<'_>) -> Option<(VersionKey, bool)> {
    let form = keys.byte()?;
    if form & !(IS_DELETION | IS_WIDE) != 0 {
        return None;
    }
    let (nanos, sequence) = if form & IS_WIDE == 0 {
        (i64::from(keys.u32()?).checked_mul(1_000_000_000)?, 0)
    } else {
        (i64::try_from(keys.number()?).ok()?, keys.number()?)
    };
    let update_time = Instant::from_nanos(nanos);
    let in_range = (Instant::FIRST..=Instant::LAST).contains(&update_time);
    in_range.then_some((VersionKey { update_time, sequence }, form & IS_DELETION != 0))
}

#[cfg(test)]
mod tests;
