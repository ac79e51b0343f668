//! Loading a tenant: the newest snapshot, then the journal up to what is durable now, told once at the end.
//!
//! What is read is unpacked and decoded on other threads than the one that builds the book.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::batch::Envelope;
use super::feed::{Checkpoint, Feeds};
use super::{StoppedBy, snapshot};
use crate::book::{Batch, Book, Restoring};
use crate::domain::ids::TenantId;
use crate::journal::{Journal, ReadError, Revision};

/// Batches that are decoded together.
const CHUNK_BATCHES: usize = 8;
/// Chunks that are being decoded, and that wait decoded.
const CHUNKS_AHEAD: usize = 2;

/// A tenant as it was stored.
pub struct Loaded {
    pub book: Book,
    pub feeds: Feeds,
    /// How much of the journal lies behind its snapshot.
    pub tail_bytes: usize,
}

/// Batches in a row.
struct Decoded {
    batches: Vec<(Batch, Option<Checkpoint>)>,
    /// The revision of the last.
    read_through: Revision,
    /// As they were stored.
    bytes: usize,
}

/// Loads all that is durable now.
pub async fn load<J: Journal>(journal: &Arc<J>, id: &TenantId) -> Result<Loaded, StoppedBy> {
    let head = journal.head(id).await?;
    let (restoring, checkpoints) = match journal.latest_snapshot(id).await? {
        None => (Restoring::begin(0, &[]), Vec::new()),
        Some(stored) => {
            let read = spawn_blocking(move || snapshot::read(stored)).await;
            let read = read.map_err(|_| StoppedBy::Defect)?;
            read.map_err(|error| StoppedBy::Damaged(error.to_string()))?
        }
    };
    let from = Revision(restoring.revision());
    let feeds = Feeds::default();
    checkpoints.into_iter().for_each(|checkpoint| feeds.note(checkpoint));

    let (sender, decoded) = mpsc::channel(CHUNKS_AHEAD);
    let built = spawn_blocking(move || build(restoring, feeds, decoded));
    let mut read_through = from;
    if from < head {
        let mut chunks = chunks_up_to(head, journal.follow(id, from));
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            read_through = chunk.read_through.max(read_through);
            if sender.send(chunk).await.is_err() {
                break; // it couldn't be built, which is told below
            }
        }
    }
    drop(sender);
    let built = built.await.map_err(|_| StoppedBy::Defect)?;
    let loaded = built.map_err(|error| StoppedBy::Damaged(error.to_string()))?;
    if read_through < head { Err(StoppedBy::Deleted) } else { Ok(loaded) }
}

/// Builds the book of a snapshot and the batches after it. Blocks.
fn build(
    mut restoring: Restoring,
    feeds: Feeds,
    mut decoded: mpsc::Receiver<Decoded>,
) -> Result<Loaded, snapshot::RestoreError> {
    let mut tail_bytes = 0;
    while let Some(chunk) = decoded.blocking_recv() {
        tail_bytes += chunk.bytes;
        for (batch, checkpoint) in chunk.batches {
            restoring.take_batch(batch)?;
            checkpoint.into_iter().for_each(|checkpoint| feeds.note(checkpoint));
        }
    }
    Ok(Loaded { book: restoring.finish()?, feeds, tail_bytes })
}

/// The batches that a journal yields up to the one of revision `head`, decoded ahead of who takes them.
fn chunks_up_to(
    head: Revision,
    batches: impl stream::Stream<Item = Result<(Revision, Bytes), ReadError>> + Send + Unpin,
) -> impl stream::Stream<Item = Result<Decoded, StoppedBy>> + Send + Unpin {
    let up_to_head = stream::unfold(Some(batches), move |batches| async move {
        let mut batches = batches?;
        let next = batches.next().await?;
        let goes_on = matches!(&next, Ok((revision, _)) if *revision < head);
        Some((next, goes_on.then_some(batches)))
    });
    let decoded = up_to_head.chunks(CHUNK_BATCHES).map(|chunk| async move {
        let decoded = spawn_blocking(move || decode(chunk));
        decoded.await.map_err(|_| StoppedBy::Defect)?
    });
    Box::pin(decoded.buffered(CHUNKS_AHEAD))
}

fn decode(chunk: Vec<Result<(Revision, Bytes), ReadError>>) -> Result<Decoded, StoppedBy> {
    let mut decoded = Decoded { batches: Vec::new(), read_through: Revision(0), bytes: 0 };
    for yielded in chunk {
        let (revision, bytes) = yielded?;
        let Envelope { received_time, versions, checkpoint } = Envelope::decode(&bytes)
            .map_err(|error| StoppedBy::Damaged(format!("revision {revision}: {error}")))?;
        let batch = Batch { revision: revision.0, received_time, versions };
        decoded.batches.push((batch, checkpoint));
        decoded.read_through = revision;
        decoded.bytes += bytes.len();
    }
    Ok(decoded)
}
