//! A follower: a position in a tenant's batches that only moves forward.
//!
//! Invariants:
//! 1. A live batch is yielded only if the one before it was: each says which that is. Across a gap
//!    (at the start, or having lagged) the follower reads from disk, where nothing is missing.
//! 2. Memory is bounded: one slice from disk, and what the tenant's live channel holds for all.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::try_unfold;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_stream::Stream;

use super::super::{ReadError, Revision, frame};
use super::{Shared, revision};
use crate::domain::ids::TenantId;

/// A slice from disk ends with the batch that reaches this size.
const SLICE_BYTES: usize = 1 << 20;

/// A batch that was just committed.
#[derive(Clone)]
pub struct Committed {
    /// The tenant's head before it.
    pub previous: Revision,
    pub revision: Revision,
    pub batch: Bytes,
}

type Batch = (Revision, Bytes);

pub struct Follower {
    shared: Arc<Shared>,
    tenant: TenantId,
    position: Revision,
    on_disk: Revision, // what comes up to here is read from disk
    slice: VecDeque<Batch>,
    live: Option<broadcast::Receiver<Committed>>, // None: not begun
}

// === impl Follower ===

impl Follower {
    pub fn new(shared: Arc<Shared>, tenant: TenantId, after: Revision) -> Self {
        Self { shared, tenant, position: after, on_disk: Revision(0), slice: VecDeque::new(), live: None }
    }

    pub fn into_stream(self) -> impl Stream<Item = Result<Batch, ReadError>> + Send + Unpin {
        Box::pin(try_unfold(self, async |mut follower| {
            Ok(follower.next().await?.map(|batch| (batch, follower)))
        }))
    }

    /// The next batch; `None` when the tenant has been deleted.
    async fn next(&mut self) -> Result<Option<Batch>, ReadError> {
        loop {
            if let Some((revision, batch)) = self.slice.pop_front() {
                self.position = revision;
                return Ok(Some((revision, batch)));
            }
            if self.position < self.on_disk {
                self.slice = self.read_slice().await?;
                if self.slice.is_empty() {
                    return Ok(None); // `on_disk` was there: only deletion takes it away
                }
                continue;
            }
            let Some(live) = &mut self.live else {
                let (head, live) = self.shared.subscribe(&self.tenant)?;
                self.on_disk = head;
                self.live = Some(live);
                continue;
            };
            match live.recv().await {
                Ok(Committed { revision, .. }) if revision <= self.position => {}
                Ok(Committed { previous, revision, batch }) if previous <= self.position => {
                    self.position = revision;
                    return Ok(Some((revision, batch)));
                }
                Ok(Committed { revision, .. }) => self.on_disk = revision,
                Err(RecvError::Lagged(_)) => {} // the next batch tells how far
                Err(RecvError::Closed) if self.shared.is_closed() => return Err(ReadError::Closed),
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    async fn read_slice(&self) -> Result<VecDeque<Batch>, ReadError> {
        let (tenant, after, through) = (self.tenant.clone(), self.position, self.on_disk);
        self.shared.read(move |tx| slice(tx, &tenant, after, through)).await
    }
}

/// The batches after `after` up to `through`, or the first few of them. None if the tenant is gone.
fn slice(
    tx: &Connection,
    tenant: &TenantId,
    after: Revision,
    through: Revision,
) -> Result<VecDeque<Batch>, ReadError> {
    let mut batches = VecDeque::new();
    let mut row = tx.prepare_cached("SELECT id, truncated_through FROM tenant WHERE name = ?1")?;
    let row = row.query_row([tenant.as_str()], |row| Ok((row.get::<_, i64>(0)?, revision(row.get(1)?))));
    let Some((tenant_id, truncated_through)) = row.optional()? else { return Ok(batches) };
    if after < truncated_through {
        return Err(ReadError::Truncated { tenant: tenant.clone(), after, through: truncated_through });
    }
    let sql = "SELECT revision, frame FROM batch
               WHERE tenant_id = ?1 AND revision > ?2 AND revision <= ?3 ORDER BY revision";
    let mut frames = tx.prepare_cached(sql)?;
    let mut frames = frames.query(params![tenant_id, after.0.cast_signed(), through.0.cast_signed()])?;
    let mut bytes = 0;
    while bytes < SLICE_BYTES
        && let Some(row) = frames.next()?
    {
        let revision = revision(row.get(0)?);
        let frame = Bytes::from(row.get::<_, Vec<u8>>(1)?);
        bytes += frame.len();
        match frame::open(tenant, frame) {
            Ok(batch) => batches.push_back((revision, batch)),
            Err(_) if !batches.is_empty() => break, // first those before it
            Err(reason) => return Err(ReadError::Corrupt { tenant: tenant.clone(), revision, reason }),
        }
    }
    Ok(batches)
}
