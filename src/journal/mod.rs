//! The one storage seam: where accepted batches become durable, and whence every book is replayed.
//!
//! `tests/journal_contract.rs` holds every implementation to this, clause by clause:
//! 1. `append` answering `Ok(revision)` means that the batch survives a power cut, whole. A batch
//!    is one opaque message, never split, never merged, handed back byte for byte or not at all.
//! 2. Revisions of a tenant strictly increase and never return: not after truncation, not after
//!    deletion of the tenant, not after a restart. They needn't be dense.
//! 3. `follow` yields every batch after a revision, once, in order, from disk and then live.
//!    What it can't yield it reports: nothing is skipped in silence.
//! 4. Truncation loses batches, never a record: it is refused beyond what a snapshot covers.
//! 5. A snapshot is put whole or not at all, and a damaged one is never handed out.
//!
//! Not promised: that `append` answers before or after `follow` yields the batch; that an `Err`
//! other than `Refused` and `TooLarge` means the batch won't be found. A future that is dropped
//! leaves its outcome unknown.
//!
//! Deliberately absent: what a batch means, clocks, protobuf.

mod frame;
pub mod lock;
pub mod snapshot;
pub mod sqlite;

use std::fmt;
use std::io::{self, Write};

use bytes::Bytes;
use tokio_stream::Stream;

use self::snapshot::{SnapshotError, SnapshotReader, SnapshotWriter};
use crate::domain::ids::TenantId;

/// Position of a batch in a tenant's journal. 0 comes before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Names a store: random, made with it, the same for as long as it exists. Tokens carry it, since
/// revisions of different stores can't be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub u64);

/// What the filler of a snapshot pushes entries into.
pub type SnapshotSink<'a> = SnapshotWriter<&'a mut dyn Write>;

/// A snapshot from the store, checked whole before it is handed out; reading it blocks.
pub type StoredSnapshot = SnapshotReader<Box<dyn io::Read + Send>>;

/// Where accepted batches become durable. The module's header is the contract.
pub trait Journal: Send + Sync + 'static {
    fn store_id(&self) -> StoreId;

    /// The longest batch that `append` takes.
    fn batch_bytes_max(&self) -> usize;

    /// Makes `batch` durable. Waits while too much is under way: that is the backpressure.
    fn append(
        &self,
        tenant: &TenantId,
        batch: Bytes,
    ) -> impl Future<Output = Result<Revision, WriteError>> + Send;

    /// The batches of `tenant` after `after`: first those that are there, then each as it becomes
    /// durable. Any number may follow; one that lags costs the others nothing. Ends when the tenant
    /// is deleted, or with the first error. A tenant that isn't there yet can be followed.
    fn follow(
        &self,
        tenant: &TenantId,
        after: Revision,
    ) -> impl Stream<Item = Result<(Revision, Bytes), ReadError>> + Send + Unpin + use<Self>;

    /// The last durable revision, or 0: whoever has applied it has seen every acknowledged batch.
    fn head(&self, tenant: &TenantId) -> impl Future<Output = Result<Revision, ReadError>> + Send;

    /// Those with a batch or a snapshot, ordered by id.
    fn tenants(&self) -> impl Future<Output = Result<Vec<TenantId>, ReadError>> + Send;

    /// Stores a snapshot that holds at least all that `tenant` had at `began_at`. `fill` pushes its
    /// entries, blocking, on a thread for that; if it fails, nothing is stored.
    fn put_snapshot(
        &self,
        tenant: &TenantId,
        began_at: Revision,
        fill: impl FnOnce(&mut SnapshotSink<'_>) -> io::Result<()> + Send + 'static,
    ) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// The newest undamaged snapshot whose batches after it are all still here.
    fn latest_snapshot(
        &self,
        tenant: &TenantId,
    ) -> impl Future<Output = Result<Option<StoredSnapshot>, ReadError>> + Send;

    /// Forgets the batches up to and including `through`, and snapshots older than that. Refused if
    /// no snapshot began at `through` or later.
    fn truncate(
        &self,
        tenant: &TenantId,
        through: Revision,
    ) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// Forgets everything of `tenant`; its followers end. A later append starts it anew.
    fn delete(&self, tenant: &TenantId) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// The orderly end: accepted appends finish, followers end with `Closed`, connections and
    /// locks are released. Then everything answers `Closed`.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// Why a write wasn't done, or isn't known to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    #[error("the batch has {bytes} bytes, the journal takes at most {max}")]
    TooLarge { bytes: usize, max: usize },
    /// The same may succeed later.
    #[error("nothing was written: {0}")]
    Refused(String),
    /// Doing the same again is harmless and settles it.
    #[error("it is not known whether it was written: {0}")]
    Unknown(String),
    /// What was under way when it broke may be found after reopening.
    #[error("the journal is broken and takes no writes until it is reopened: {0}")]
    Broken(String),
    #[error("the journal is closed")]
    Closed,
}

/// Why something stored can't be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(
        "the batches of tenant {tenant:?} after revision {after} are gone: the journal was truncated through {through}"
    )]
    Truncated { tenant: TenantId, after: Revision, through: Revision },
    #[error("the batch of tenant {tenant:?} at revision {revision} is damaged: {reason}")]
    Corrupt { tenant: TenantId, revision: Revision, reason: String },
    #[error("the snapshot {name} of tenant {tenant:?} can't be used: {source}")]
    Snapshot { tenant: TenantId, name: String, source: SnapshotError },
    #[error("the journal can't be read: {0}")]
    Failed(String),
    #[error("the journal is closed")]
    Closed,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
