//! The runtime of tenants: who may be asked, what is written, and when the book shows it.
//!
//! ```text
//! write:  versions → batch → journal.append (durable) … journal.follow → book → answered
//! ```
//!
//! Invariants:
//! 1. A batch is applied only when the journal yields it: own writes and other replicas' alike.
//! 2. A write is answered when it is durable and the book shows it.
//! 3. A write that has begun finishes, whether or not its caller waits.
//! 4. A checkpoint of a feed is stored and shown with its batch, and survives whatever the batch survives.
//! 5. One task per tenant changes its book; it prepares a batch beside the readers and locks for the rest.

mod batch;
mod feed;
mod load;
mod registry;
mod snapshot;
mod under_way;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::{RwLock, RwLockWriteGuard};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::book::{Batch, Between, Book, Changed, Changes, Recollection, Taking};
use crate::domain::calendar::Instant;
use crate::domain::ids::{SourceId, TenantId};
use crate::domain::premises::Knowledge;
use crate::domain::record::Version;
use crate::journal::{Journal, ReadError, Revision, SnapshotSink, StoreId, WriteError};

use self::batch::{BatchError, Envelope};
use self::feed::Feeds;
pub use self::feed::{Checkpoint, Claim, TakenOver};
pub use self::registry::{RegistryError, Tenants};
use self::under_way::UnderWay;

/// How long a read waits for a revision at most.
const FRESH_WITHIN: Duration = Duration::from_secs(2);
const APPEND_RETRY_MIN: Duration = Duration::from_millis(50);
const APPEND_RETRY_MAX: Duration = Duration::from_secs(2);

/// Batches that wait are applied in one go off the async threads, at most so many; each has the lock for itself.
const GROUP_BATCHES_MAX: usize = 64;
/// Whoever waits for the first of a group needn't wait for the last: after so many records they are told.
const UNTOLD_RECORDS_MAX: usize = 512;

/// One tenant, loaded.
pub struct Tenant<J> {
    id: TenantId,
    journal: Arc<J>,
    /// After so many bytes of batches a snapshot is taken, so that a start reads little of the journal.
    snapshot_after_bytes: usize,
    book: Arc<RwLock<Book>>,
    /// What they hold changes under the book's lock: whoever reads both sees one revision.
    feeds: Arc<Feeds>,
    /// What we write and the journal hasn't yielded yet.
    under_way: Arc<UnderWay>,
    /// What the book shows, or why it shows no more.
    applied: watch::Sender<Progress>,
    /// Whether the outcome of an append is unknown: until it is known nothing new is taken.
    in_doubt: AtomicBool,
    /// Held while what was known at an earlier time is asked.
    hindsight: Arc<Mutex<()>>,
    /// Held by writes, and for writing by the tenant's deletion: no write slips in after it.
    alive: tokio::sync::RwLock<bool>,
}

#[derive(Clone, Debug)]
struct Progress {
    revision: Revision,
    stopped_by: Option<StoppedBy>,
}

/// Why a tenant's book follows its journal no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoppedBy {
    #[error("the tenant was deleted")]
    Deleted,
    #[error("the server is stopping")]
    Closed,
    #[error("what is stored is damaged: {0}")]
    Damaged(String),
    #[error("the journal can't be read: {0}")]
    Unreadable(String),
    #[error("a batch could not be applied")]
    Defect,
}

/// Why a write wasn't done, or isn't known to be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    #[error(transparent)]
    Journal(#[from] WriteError),
    #[error(transparent)]
    Stopped(#[from] StoppedBy),
    #[error("the outcome of an earlier write is not known yet")]
    InDoubt,
    #[error(transparent)]
    TakenOver(#[from] TakenOver),
}

/// Why a read can't have the revision that it asked for.
#[derive(Debug, thiserror::Error)]
pub enum FreshnessError {
    #[error("revision {wanted} was not applied within {} ms", waited.as_millis())]
    NotYet { wanted: Revision, waited: Duration },
    #[error(transparent)]
    Stopped(#[from] StoppedBy),
    #[error(transparent)]
    Journal(#[from] ReadError),
}

// === impl Tenant ===

impl<J: Journal> Tenant<J> {
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    pub fn store_id(&self) -> StoreId {
        self.journal.store_id()
    }

    /// The book, for as long as one question takes.
    pub fn book(&self) -> parking_lot::RwLockReadGuard<'_, Book> {
        self.book.read()
    }

    /// The book where it can be had at once. None while a batch is applied or waits to be.
    pub fn book_if_free(&self) -> Option<parking_lot::RwLockReadGuard<'_, Book>> {
        self.book.try_read()
    }

    /// A turn to ask what was known at an earlier time: such a book is built from the records, so there is
    /// one of a tenant at a time.
    pub async fn hindsight_turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.hindsight).lock_owned().await
    }

    /// The book of what was known then, of the revision that this one shows now. Blocks; readers and writes
    /// go on meanwhile. None once `is_cancelled`.
    pub fn book_as_known(&self, knowledge: Knowledge, is_cancelled: impl Fn() -> bool) -> Option<Book> {
        let revision = self.book.read().revision();
        self.book_of_revision(revision, knowledge, is_cancelled)
    }

    /// The same of a revision that this book has shown.
    pub fn book_of_revision(
        &self,
        revision: u64,
        knowledge: Knowledge,
        is_cancelled: impl Fn() -> bool,
    ) -> Option<Book> {
        let mut recollection = Recollection::of_revision(revision, knowledge);
        self.in_slices(|book, count| recollection.take_slice(book, count), is_cancelled)?;
        Some(recollection.finish())
    }

    /// The records of a revision that this book has shown which have versions between two knowledges. Blocks;
    /// readers and writes go on meanwhile. None once `is_cancelled`.
    pub fn changed_between(
        &self,
        revision: u64,
        between: Between,
        is_cancelled: impl Fn() -> bool,
    ) -> Option<Changed> {
        let mut changes = Changes::of_revision(revision, between);
        self.in_slices(|book, count| changes.take_slice(book, count), is_cancelled)?;
        Some(changes.finish())
    }

    /// Looks at the records in slices, until there is no more. None once `is_cancelled`.
    fn in_slices(
        &self,
        mut take_slice: impl FnMut(&Book, usize) -> bool,
        is_cancelled: impl Fn() -> bool,
    ) -> Option<()> {
        loop {
            if is_cancelled() {
                return None;
            }
            if !take_slice(&self.book.read(), snapshot::SLICE_RECORDS) {
                return Some(());
            }
        }
    }

    /// Why the book stands still, if it does.
    pub fn stopped_by(&self) -> Option<StoppedBy> {
        self.applied.borrow().stopped_by.clone()
    }

    /// The longest batch that can be written.
    pub fn batch_bytes_max(&self) -> usize {
        self.journal.batch_bytes_max()
    }

    /// Writes versions as one batch: all or none. Answers when they are durable and the book shows them.
    pub async fn write(
        self: &Arc<Self>,
        received_time: Instant,
        versions: Vec<Version>,
    ) -> Result<Revision, AppendError> {
        self.write_batch(Envelope { received_time, versions, checkpoint: None }, ()).await
    }

    /// Claims the right to write for a source: older claims write nothing more.
    pub fn claim(&self, source: SourceId) -> Claim {
        self.feeds.claim(source)
    }

    /// The same as [`Tenant::write`] for a feed, whose place may go with it: every record before that place
    /// must lie in this batch or in one whose write was answered.
    pub fn feed(
        self: &Arc<Self>,
        claim: &Claim,
        received_time: Instant,
        versions: Vec<Version>,
        place: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<Revision, AppendError>> + Send + use<J> {
        let checkpoint = place.map(|place| Checkpoint { source: claim.source().clone(), place });
        let begun = claim
            .begin_write()
            .map(|writing| self.write_batch(Envelope { received_time, versions, checkpoint }, writing));
        async move { begun?.await }
    }

    /// Begins a write at once. `held` is kept until it has ended.
    fn write_batch<H: Send + 'static>(
        self: &Arc<Self>,
        batch: Envelope,
        held: H,
    ) -> impl Future<Output = Result<Revision, AppendError>> + Send + use<J, H> {
        let tenant = Arc::clone(self);
        let (bytes, kept) = self.under_way.keep(batch);
        // A task of its own: a commit that has begun finishes though the caller leaves.
        let write = tokio::spawn(async move {
            let (_held, _kept) = (held, kept);
            let alive = tenant.alive.read().await;
            if !*alive {
                return Err(StoppedBy::Deleted.into());
            }
            let revision = tenant.append(bytes).await?;
            tenant.applied_through(revision).await?;
            Ok(revision)
        });
        async { write.await.unwrap_or(Err(StoppedBy::Defect.into())) }
    }

    async fn append(&self, bytes: Bytes) -> Result<Revision, AppendError> {
        if self.in_doubt.load(Ordering::Acquire) {
            return Err(AppendError::InDoubt);
        }
        let mut delay = APPEND_RETRY_MIN;
        loop {
            match self.journal.append(&self.id, bytes.clone()).await {
                // Again the same bytes: versions are a set, so that a batch may come twice.
                Err(WriteError::Unknown(reason)) => {
                    tracing::warn!(reason, "the outcome of an append is unknown, it is tried again");
                    self.in_doubt.store(true, Ordering::Release);
                    sleep(delay).await;
                    delay = (2 * delay).min(APPEND_RETRY_MAX);
                }
                outcome => {
                    self.in_doubt.store(false, Ordering::Release);
                    return Ok(outcome?);
                }
            }
        }
    }

    async fn applied_through(&self, revision: Revision) -> Result<(), StoppedBy> {
        let mut progress = self.applied.subscribe();
        let reached = progress.wait_for(|at| at.revision >= revision || at.stopped_by.is_some()).await;
        let reached = reached.expect("the sender lives as long as the tenant");
        match &reached.stopped_by {
            Some(stopped_by) if reached.revision < revision => Err(stopped_by.clone()),
            _ => Ok(()),
        }
    }

    /// Waits until the book shows more than a revision.
    pub async fn applied_after(&self, revision: Revision) -> Result<(), StoppedBy> {
        self.applied_through(Revision(revision.0 + 1)).await
    }

    /// Waits until the book shows a revision.
    pub async fn at_least(&self, wanted: Revision) -> Result<(), FreshnessError> {
        match timeout(FRESH_WITHIN, self.applied_through(wanted)).await {
            Ok(reached) => Ok(reached?),
            Err(_) => Err(FreshnessError::NotYet { wanted, waited: FRESH_WITHIN }),
        }
    }

    /// Waits until the book shows all that is durable now.
    pub async fn up_to_date(&self) -> Result<(), FreshnessError> {
        let head = self.journal.head(&self.id).await?;
        self.at_least(head).await
    }

    /// Loads a tenant: the newest snapshot, then the journal up to what is durable now. From then on a
    /// task follows the journal until it ends.
    async fn load(
        id: TenantId,
        journal: Arc<J>,
        snapshot_after_bytes: usize,
    ) -> Result<Arc<Self>, StoppedBy> {
        let load::Loaded { book, feeds, tail_bytes } = load::load(&journal, &id).await?;
        let progress = Progress { revision: Revision(book.revision()), stopped_by: None };
        let tenant = Arc::new(Self {
            id,
            journal,
            snapshot_after_bytes,
            book: Arc::new(RwLock::new(book)),
            feeds: Arc::new(feeds),
            under_way: Arc::default(),
            applied: watch::Sender::new(progress),
            in_doubt: AtomicBool::new(false),
            hindsight: Arc::default(),
            alive: tokio::sync::RwLock::new(true),
        });
        let follower = Arc::clone(&tenant);
        tokio::spawn(async move {
            let stopped_by = follower.follow(tail_bytes).await;
            if !matches!(stopped_by, StoppedBy::Closed | StoppedBy::Deleted) {
                tracing::error!(reason = %stopped_by, "a tenant's book follows its journal no more");
            }
            follower.applied.send_modify(|progress| progress.stopped_by = Some(stopped_by));
        });
        Ok(tenant)
    }

    /// Applies what the journal yields. Returns why that ended. `bytes_since_snapshot` were applied already.
    async fn follow(self: &Arc<Self>, mut bytes_since_snapshot: usize) -> StoppedBy {
        let from = self.applied.borrow().revision;
        let mut groups = self.journal.follow(&self.id, from).ready_chunks(GROUP_BATCHES_MAX);
        let mut snapshot: Option<tokio::task::JoinHandle<()>> = None;
        loop {
            let snapshot_runs = snapshot.as_ref().is_some_and(|task| !task.is_finished());
            if bytes_since_snapshot >= self.snapshot_after_bytes && !snapshot_runs {
                bytes_since_snapshot = 0;
                snapshot = Some(tokio::spawn(Arc::clone(self).snapshot()));
            }
            let Some(group) = groups.next().await else { return StoppedBy::Deleted };
            let tenant = Arc::clone(self);
            bytes_since_snapshot += match spawn_blocking(move || tenant.apply_all(group)).await {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(stopped_by)) => return stopped_by,
                Err(_) => return StoppedBy::Defect,
            };
        }
    }

    /// Applies what the journal yielded, up to the first error. Returns how many bytes that was. Blocks.
    fn apply_all(&self, group: Vec<Result<(Revision, Bytes), ReadError>>) -> Result<usize, StoppedBy> {
        let (mut bytes_applied, mut untold_records) = (0, 0);
        let mut shown = None;
        let tell = |shown: &mut Option<Revision>| {
            if let Some(revision) = shown.take() {
                self.applied.send_modify(|progress| progress.revision = revision);
            }
        };
        for next in group {
            let applied = next.map_err(StoppedBy::from).and_then(|(revision, bytes)| {
                let record_count = self
                    .apply(revision, &bytes)
                    .map_err(|error| StoppedBy::Damaged(format!("revision {revision}: {error}")))?;
                Ok((revision, bytes.len(), record_count))
            });
            let (revision, byte_count, record_count) = match applied {
                Ok(applied) => applied,
                Err(stopped_by) => {
                    tell(&mut shown);
                    return Err(stopped_by);
                }
            };
            shown = Some(revision);
            bytes_applied += byte_count;
            untold_records += record_count;
            if untold_records >= UNTOLD_RECORDS_MAX {
                untold_records = 0;
                tell(&mut shown);
            }
        }
        tell(&mut shown);
        Ok(bytes_applied)
    }

    /// Applies a batch. Returns how many records it brings.
    fn apply(&self, revision: Revision, bytes: &Bytes) -> Result<usize, BatchError> {
        // Our own come back as the very bytes that were appended, and needn't be decoded.
        let kept = self.under_way.take(bytes);
        let Envelope { received_time, versions, checkpoint } =
            kept.map_or_else(|| Envelope::decode(bytes), Ok)?;
        let record_count = versions.len();
        let batch = Batch { revision: revision.0, received_time, versions };
        let prepared = self.book.read().prepare(&batch);
        let mut book = self.book.write();
        book.apply(batch, prepared);
        // Before the lock is given back: a snapshot of this revision must have it.
        if let Some(checkpoint) = checkpoint {
            self.feeds.note(checkpoint);
        }
        // To readers who wait, where there are any: the next batch may wait for the lock already.
        RwLockWriteGuard::unlock_fair(book);
        Ok(record_count)
    }

    /// Stores a snapshot and lets the journal forget what it covers.
    async fn snapshot(self: Arc<Self>) {
        let (began_at, header, taking) = {
            let book = self.book.read();
            let (batches, checkpoints) = (book.records().batches().to_vec(), self.feeds.checkpoints());
            let header = snapshot::Header { batches, checkpoints, parts_left: 0 };
            (Revision(book.revision()), header, Taking::begin(&book))
        };
        let book = Arc::clone(&self.book);
        let fill = move |sink: &mut SnapshotSink<'_>| snapshot::fill(&book, &header, taking, sink);
        let stored = match self.journal.put_snapshot(&self.id, began_at, fill).await {
            Ok(()) => self.journal.truncate(&self.id, began_at).await,
            failed => failed,
        };
        // Nothing is lost: the journal keeps what no snapshot covers, and the next try comes.
        if let Err(error) = stored {
            tracing::warn!(%error, "a snapshot could not be stored");
        }
    }

    /// Deletes the tenant. Writes that have begun are waited for, later ones are refused.
    async fn delete(&self) -> Result<(), WriteError> {
        let mut alive = self.alive.write().await;
        self.journal.delete(&self.id).await?;
        *alive = false;
        Ok(())
    }
}

impl From<ReadError> for StoppedBy {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Closed => Self::Closed,
            ReadError::Failed(reason) => Self::Unreadable(reason),
            ReadError::Truncated { .. } | ReadError::Corrupt { .. } | ReadError::Snapshot { .. } => {
                Self::Damaged(error.to_string())
            }
        }
    }
}
