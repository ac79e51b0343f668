//! Snapshots of a tenant: records, nothing derived, taken in slices while writes go on.
//!
//! The first entry lists the batches that had been applied when the snapshot began, and the checkpoints of
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
const SLICE_RECORDS: usize = 512;

/// What had been applied when a snapshot began.
#[derive(Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Header {
    #[n(0)]
    pub batches: Vec<(u64, Instant)>,
    /// Of each source. Releases before feeds wrote none.
    #[n(1)]
    #[cbor(default)]
    pub checkpoints: Vec<Checkpoint>,
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
    sink.push(&canonical(header))?;
    for stored in slices(book).flatten() {
        sink.push(&canonical(&Entry { revision: stored.revision, version: stored.version }))?;
    }
    Ok(())
}

/// All versions in slices, each read under a lock of its own: of those that come in meanwhile, some.
pub fn slices(book: &RwLock<Book>) -> impl Iterator<Item = Vec<StoredVersion>> {
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
    let first = snapshot.next().ok_or(RestoreError::Empty)??;
    let Header { batches, checkpoints } =
        minicbor::decode(first.entries().next().ok_or(RestoreError::Empty)?)?;

    // The book takes versions as they are read; what stops the reading is kept until it has stopped.
    let mut stopped_by = None;
    let mut skip = 1; // the list of batches
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
        assert_eq!(header, Header { batches, checkpoints: Vec::new() });
    }
}
