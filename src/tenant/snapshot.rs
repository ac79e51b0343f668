//! Snapshots of a tenant: records, nothing derived, taken in slices while writes go on.
//!
//! The first entries list the batches that had been applied when the snapshot began, and the checkpoints of
//! feeds as they were then. In format 2 each further entry is a slice of the book ([`Taking`]). In format 1, which
//! earlier releases wrote, it is a version with the revision of its batch; those of later batches, which came in
//! while it was taken, are skipped, and come again with the tail.

use std::io;
use std::sync::{Arc, mpsc};

use minicbor::{Decode, Encode};
use parking_lot::RwLock;

use super::feed::Checkpoint;
use crate::book::{Book, Restoring, SliceError, Taking};
use crate::domain::calendar::Instant;
use crate::domain::record::{Version, canonical};
use crate::journal::snapshot::SnapshotError;
use crate::journal::{SnapshotSink, StoredSnapshot};

/// Records to a slice: a lock is held for about a millisecond.
pub const SLICE_RECORDS: usize = 512;

/// Batches, and checkpoints, to an entry: its bytes stay far below [`ENTRY_BYTES_MAX`], however many there are.
///
/// [`ENTRY_BYTES_MAX`]: crate::journal::snapshot::ENTRY_BYTES_MAX
const PART_BATCHES: usize = 64 * 1024;
const PART_CHECKPOINTS: usize = 1024;

/// Blocks that are read before the book has taken those before them.
const BLOCKS_AHEAD: usize = 4;

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

/// Of format 1.
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
    #[error("the snapshot is damaged: {0}")]
    Slice(#[from] SliceError),
    #[error("the snapshot is empty: it lacks the list of its batches")]
    Empty,
}

/// Writes all that the book held when `taking` began; `header` is of that moment, too.
pub fn fill(
    book: &Arc<RwLock<Book>>,
    header: &Header,
    mut taking: Taking,
    sink: &mut SnapshotSink<'_>,
) -> io::Result<()> {
    let (mut batches, mut checkpoints) =
        (header.batches.chunks(PART_BATCHES), header.checkpoints.chunks(PART_CHECKPOINTS));
    let parts = batches.len().max(checkpoints.len()).max(1) as u64;
    for parts_left in (0..parts).rev() {
        let (batches, checkpoints) =
            (batches.next().unwrap_or_default(), checkpoints.next().unwrap_or_default());
        let part = Header { batches: batches.to_vec(), checkpoints: checkpoints.to_vec(), parts_left };
        sink.push(&canonical(&part))?;
    }
    let (mut slices, mut goes_on) = (Vec::new(), true);
    while goes_on {
        goes_on = taking.step(&book.read(), &mut slices);
        for slice in slices.drain(..) {
            sink.push(&slice)?;
        }
    }
    Ok(())
}

/// How far a snapshot was read.
enum Stage {
    Header(Header),
    Records(Box<Restoring>),
}

/// Reads the book that a snapshot holds, to be [finished](Restoring::finish), and its checkpoints. Blocks; the
/// snapshot is read and unpacked by another thread.
pub fn read(snapshot: StoredSnapshot) -> Result<(Restoring, Vec<Checkpoint>), RestoreError> {
    let (began_at, format) = (snapshot.began_at(), snapshot.format());
    std::thread::scope(|scope| {
        let (sender, blocks) = mpsc::sync_channel(BLOCKS_AHEAD);
        scope.spawn(move || {
            for block in snapshot {
                if sender.send(block).is_err() {
                    return; // nobody wants more: what was read is of no use
                }
            }
        });
        let (mut stage, mut checkpoints) = (Stage::Header(Header::default()), Vec::new());
        for block in blocks {
            for entry in block?.entries() {
                match &mut stage {
                    Stage::Header(header) => {
                        let part: Header = minicbor::decode(entry)?;
                        header.batches.extend(part.batches);
                        checkpoints.extend(part.checkpoints);
                        if part.parts_left == 0 {
                            stage = Stage::Records(Box::new(Restoring::begin(began_at.0, &header.batches)));
                        }
                    }
                    Stage::Records(restoring) if format == 1 => {
                        let Entry { revision, version } = minicbor::decode(entry)?;
                        restoring.take_version(revision, version);
                    }
                    Stage::Records(restoring) => restoring.take(entry)?,
                }
            }
        }
        match stage {
            Stage::Header(_) => Err(RestoreError::Empty),
            Stage::Records(restoring) => Ok((*restoring, checkpoints)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{Cursor, StoredVersion};
    use crate::domain::ids::{DealId, SourceId, TenantId};
    use crate::domain::record::{Record, RecordKey, State};
    use crate::journal::Revision;
    use crate::journal::snapshot::{SnapshotReader, SnapshotWriter};

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
        // Each batch counts as received after the one before.
        let received = |revision: u64| (revision, Instant::from_nanos(revision.cast_signed()));
        let batches: Vec<_> = (1..=2 * PART_BATCHES as u64 + 1).map(received).collect();
        let checkpoint = |number: usize| Checkpoint {
            source: SourceId::try_new(&format!("source-{number}")).expect("it is an id"),
            place: vec![7; 1_024],
        };
        let checkpoints: Vec<_> = (0..3 * PART_CHECKPOINTS + 1).map(checkpoint).collect();
        let restoring = Restoring::begin(batches.len() as u64, &batches);
        let book = restoring.finish().expect("there is nothing in it");
        let (book, found) = read_bytes(written(book, checkpoints.clone())).expect("it is readable");
        assert_eq!(found, checkpoints);
        assert_eq!(book.records().batches(), batches);
    }

    /// As an earlier release wrote it: settings, a record or two of most kinds, and three deals, of which one was
    /// told twice, one is finely timed and one deleted.
    const FORMAT_1: &[u8] = include_bytes!("../../tests/fixtures/snapshots/format_1.ckpi");

    fn read_bytes(bytes: Vec<u8>) -> Result<(Book, Vec<Checkpoint>), RestoreError> {
        let input: Box<dyn io::Read + Send> = Box::new(io::Cursor::new(bytes));
        let (restoring, checkpoints) = read(SnapshotReader::open(input)?)?;
        Ok((restoring.finish()?, checkpoints))
    }

    fn written(book: Book, checkpoints: Vec<Checkpoint>) -> Vec<u8> {
        let (mut bytes, tenant) = (Vec::new(), TenantId::try_new("default").expect("it is an id"));
        let out: &mut dyn io::Write = &mut bytes;
        let header = Header { batches: book.records().batches().to_vec(), checkpoints, parts_left: 0 };
        let (began_at, taking) = (Revision(book.revision()), Taking::begin(&book));
        let mut sink = SnapshotWriter::begin(out, &tenant, began_at).expect("memory takes it");
        fill(&Arc::new(RwLock::new(book)), &header, taking, &mut sink).expect("no entry is too long");
        sink.finish().expect("memory takes it");
        bytes
    }

    fn all(book: &Book) -> Vec<StoredVersion> {
        let (mut all, mut next) = (Vec::new(), Some(Cursor::START));
        while let Some(cursor) = next {
            let (versions, after) = book.records().export(cursor, 100);
            all.extend(versions);
            next = after;
        }
        all.sort_by_key(|stored| (stored.version.record.key(), stored.version.key));
        all
    }

    #[test]
    fn snapshots_of_format_1_are_read() {
        let (book, checkpoints) = read_bytes(FORMAT_1.to_vec()).expect("it is readable");
        assert_eq!((book.revision(), book.records().deal_count()), (5, 3));
        let deal = |name: &str| {
            let id = DealId::try_new(name).expect("it is an id");
            let versions = book.records().versions(&RecordKey::Deal(id));
            let told = |stored: StoredVersion| match stored.version.record {
                Record::Deal(_, State::Present(deal)) => {
                    let amount = deal.amount.expect("each has one");
                    (stored.version.key.sequence, amount.amount.e4(), deal.credits.iter().count())
                }
                _ => (0, 0, 0),
            };
            versions.into_iter().map(told).collect::<Vec<_>>()
        };
        assert_eq!(deal("d1"), [(0, 10_000_000, 1), (0, 12_005_000, 2)]);
        assert_eq!(deal("d2"), [(3, 99_1234, 0)]);
        assert_eq!(deal("d3"), [(0, 0, 0)]);
        assert_eq!(all(&book).len(), book.records().version_count());

        let expected = all(&book);
        let (again, found) = read_bytes(written(book, checkpoints.clone())).expect("it is readable");
        assert_eq!(all(&again), expected, "as the format of now has it");
        assert_eq!(found, checkpoints);
    }
}
