//! Snapshots of a tenant: records, nothing derived, taken in slices while writes go on.
//!
//! The first entries list the batches that had been applied when the snapshot began, and the checkpoints of
//! feeds as they were then. Each further entry is a version with the revision of its batch. Versions that come
//! in while it is taken may be among them: they belong to later batches, are skipped when it is read, and come
//! again with the tail.

use std::io;
use std::sync::Arc;

use minicbor::{Decode, Encode};
use parking_lot::RwLock;

use super::feed::Checkpoint;
use crate::book::{Book, Cursor, StoredVersion};
use crate::domain::calendar::Instant;
use crate::domain::record::{Version, canonical};
use crate::journal::snapshot::{Block, SnapshotError};
use crate::journal::{SnapshotSink, StoredSnapshot};

/// Records to a slice: a lock is held for about a millisecond.
pub const SLICE_RECORDS: usize = 512;

/// Batches, and checkpoints, to an entry: its bytes stay far below [`ENTRY_BYTES_MAX`], however many there are.
///
/// [`ENTRY_BYTES_MAX`]: crate::journal::snapshot::ENTRY_BYTES_MAX
const PART_BATCHES: usize = 64 * 1024;
const PART_CHECKPOINTS: usize = 1024;

/// What had been applied when a snapshot began.
#[derive(Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Header {
    #[n(0)]
    pub batches: Vec<(u64, Instant)>,
    /// Of each source. Releases before feeds wrote none.
    #[n(1)]
    #[cbor(default)]
    pub checkpoints: Vec<Checkpoint>,
    /// How many entries with the rest of these follow.
    #[n(2)]
    #[cbor(default)]
    pub parts_left: u64,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct Entry {
    #[n(0)]
    revision: u64,
    #[n(1)]
    version: Version,
}

/// Why a snapshot can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("the snapshot holds an entry that isn't an encoding of ours: {0}")]
    Entry(#[from] minicbor::decode::Error),
    #[error("the snapshot is empty: it lacks the list of its batches")]
    Empty,
}

/// Writes all that the book holds.
pub fn fill(book: &Arc<RwLock<Book>>, header: &Header, sink: &mut SnapshotSink<'_>) -> io::Result<()> {
    let (mut batches, mut checkpoints) =
        (header.batches.chunks(PART_BATCHES), header.checkpoints.chunks(PART_CHECKPOINTS));
    let parts = batches.len().max(checkpoints.len()).max(1) as u64;
    for parts_left in (0..parts).rev() {
        let (batches, checkpoints) =
            (batches.next().unwrap_or_default(), checkpoints.next().unwrap_or_default());
        let part = Header { batches: batches.to_vec(), checkpoints: checkpoints.to_vec(), parts_left };
        sink.push(&canonical(&part))?;
    }
    for stored in slices(book).flatten() {
        sink.push(&canonical(&Entry { revision: stored.revision, version: stored.version }))?;
    }
    Ok(())
}

/// All versions in slices, each read under a lock of its own: of those that come in meanwhile, some.
fn slices(book: &RwLock<Book>) -> impl Iterator<Item = Vec<StoredVersion>> {
    let mut next = Some(Cursor::START);
    std::iter::from_fn(move || {
        let (versions, after) = book.read().records().export(next.take()?, SLICE_RECORDS);
        next = after;
        Some(versions)
    })
}

/// Builds the book that a snapshot holds, and tells its checkpoints. Blocks.
pub fn restore(mut snapshot: StoredSnapshot) -> Result<(Book, Vec<Checkpoint>), RestoreError> {
    let began_at = snapshot.began_at();
    let mut first = snapshot.next().ok_or(RestoreError::Empty)??;
    let (mut batches, mut checkpoints) = (Vec::new(), Vec::new());
    let mut skip = 0; // the parts of the header in `first`
    loop {
        let Some(entry) = first.entries().nth(skip) else {
            (first, skip) = (snapshot.next().ok_or(RestoreError::Empty)??, 0);
            continue;
        };
        let part: Header = minicbor::decode(entry)?;
        skip += 1;
        batches.extend(part.batches);
        checkpoints.extend(part.checkpoints);
        if part.parts_left == 0 {
            break;
        }
    }

    // The book takes versions as they are read; what stops the reading is kept until it has stopped.
    let mut stopped_by = None;
    let blocks = std::iter::once(Ok(first)).chain(snapshot);
    let entries = blocks.flat_map(|block| {
        let read = |block: Block| -> Result<Vec<(u64, Version)>, RestoreError> {
            let entries = block.entries().skip(std::mem::take(&mut skip)).map(|entry| {
                let Entry { revision, version } = minicbor::decode(entry)?;
                Ok((revision, version))
            });
            entries.collect()
        };
        block.map_err(RestoreError::from).and_then(read).unwrap_or_else(|error| {
            stopped_by.get_or_insert(error);
            Vec::new()
        })
    });
    let book = Book::restore(began_at.0, &batches, entries);
    stopped_by.map_or(Ok((book, checkpoints)), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_from_before_feeds_are_read() {
        #[derive(Encode)]
        #[cbor(array)]
        struct Batches(#[n(0)] Vec<(u64, Instant)>);

        let batches = vec![(7, Instant::try_new(1_704_110_400, 0).expect("it is within range"))];
        let header: Header = minicbor::decode(&canonical(&Batches(batches.clone()))).expect("it is readable");
        assert_eq!(header, Header { batches, ..Header::default() });
    }

    /// However many batches there were: no entry outgrows what the journal takes.
    #[test]
    fn a_long_history_of_batches_and_sources_comes_in_parts() {
        use crate::domain::ids::{SourceId, TenantId};
        use crate::journal::Revision;
        use crate::journal::snapshot::{SnapshotReader, SnapshotWriter};

        // Each batch counts as received after the one before.
        let received = |revision: u64| (revision, Instant::from_nanos(revision.cast_signed()));
        let batches: Vec<_> = (1..=2 * PART_BATCHES as u64 + 1).map(received).collect();
        let checkpoint = |number: usize| Checkpoint {
            source: SourceId::try_new(&format!("source-{number}")).expect("it is an id"),
            place: vec![7; 1_024],
        };
        let checkpoints: Vec<_> = (0..3 * PART_CHECKPOINTS + 1).map(checkpoint).collect();
        let header = Header { batches: batches.clone(), checkpoints: checkpoints.clone(), parts_left: 0 };

        let (mut bytes, tenant) = (Vec::new(), TenantId::try_new("long").expect("it is an id"));
        let out: &mut dyn io::Write = &mut bytes;
        let began_at = Revision(batches.len() as u64);
        let mut sink = SnapshotWriter::begin(out, &tenant, began_at).expect("memory takes it");
        fill(&Arc::default(), &header, &mut sink).expect("no entry is too long");
        sink.finish().expect("memory takes it");
        let input: Box<dyn io::Read + Send> = Box::new(io::Cursor::new(bytes));
        let stored = SnapshotReader::open(input).expect("it is whole");
        let (book, found) = restore(stored).expect("it is readable");
        assert_eq!(found, checkpoints);
        assert_eq!(book.records().batches(), batches);
    }
}
