//! The journal in one SQLite file: the embedded default.
//!
//! ```text
//! DIR/lock                           who has the directory
//! DIR/journal.sqlite3 (-wal, -shm)   one row per batch, of all tenants
//! DIR/snapshots/ROW-REVISION.ckpi    registered in the table `snapshot`, else not there
//! ```
//!
//! Invariants:
//! 1. Only the commit thread writes to the database. WAL with `synchronous=FULL`: a transaction is
//!    durable when COMMIT returns, and what waits from all tenants shares one.
//! 2. AUTOINCREMENT: no revision and no tenant's row id ever returns, so what a deletion left behind
//!    can't be taken for a later tenant's. Revisions are common to all tenants.
//! 3. A read transaction lasts for one bounded slice, never while a caller is waited for: readers
//!    can't keep the log from being checkpointed.
//!
//! Space that truncation frees is used again; the file doesn't shrink.

mod commit;
mod follow;
mod snapshots;
mod tables;

use std::collections::HashMap;
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};
use tokio::task::{JoinError, spawn_blocking};
use tokio_stream::Stream;

use self::commit::{Append, Committer, Refusal, Request};
use self::follow::{Committed, Follower};
use self::snapshots::{Key, SnapshotDir};
use self::tables::FORMAT;
use super::lock::{DirLock, LockError};
use super::{Journal, ReadError, Revision, SnapshotSink, StoreId, StoredSnapshot, WriteError};
use crate::domain::ids::TenantId;

const BATCH_BYTES_MAX: usize = 8 << 20;
/// When so many writes wait, the next waits before it is queued.
const INBOX_REQUESTS_MAX: usize = 256;
const READS_MAX: u32 = 8;
/// Batches that a live follower may lag before it reads from disk again.
const LIVE_BATCHES_MAX: usize = 64;

/// One data directory, held until [`close`](Journal::close). Dropped without, it ends in the
/// background: what was accepted is still committed.
pub struct SqliteJournal {
    inbox: mpsc::Sender<Request>,
    shared: Arc<Shared>,
}

/// Why a data directory can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("{} can't be used: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is not a journal of channel-kpi: choose another data directory", path.display())]
    Foreign { path: PathBuf },
    #[error(
        "{} has format {found}, this version of channel-kpi reads {FORMAT}: use the version that wrote it or a newer one",
        path.display()
    )]
    Format { path: PathBuf, found: i32 },
    #[error("{} is missing, but there are snapshots of it: put it back or choose another data directory", path.display())]
    Missing { path: PathBuf },
    #[error("{} can't be opened: {source}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

/// What the journal, its commit thread and its followers have in common.
struct Shared {
    store_id: StoreId,
    path: PathBuf, // of the database
    snapshots: SnapshotDir,
    feeds: Mutex<Option<HashMap<TenantId, Feed>>>, // None: closed
    reads: Arc<Semaphore>,
    readers: Mutex<Vec<Connection>>, // idle ones, at most READS_MAX
    lock: Mutex<Option<DirLock>>,
}

/// The live end of a tenant's batches.
#[derive(Default)]
struct Feed {
    head: Revision,
    live: Option<broadcast::Sender<Committed>>, // None: nobody follows
}

// === impl SqliteJournal ===

impl SqliteJournal {
    /// Opens the journal in `dir`, made if it isn't there, and takes the lock on it. Blocks.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: dir.into(), source };
        let snapshots = SnapshotDir::make(dir.join("snapshots")).map_err(io)?;
        let lock = DirLock::acquire(dir)?;
        let path = dir.join("journal.sqlite3");
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
        // A new database would know none of them, and what isn't registered is removed.
        if !path.exists() && snapshots.has_any().map_err(io)? {
            return Err(OpenError::Missing { path });
        }
        let db = tables::open(&path)?;
        tables::finish_deletions(&db).map_err(sqlite)?;
        snapshots.remove_unregistered(&tables::snapshots(&db).map_err(sqlite)?).map_err(io)?;
        let heads = tables::heads(&db).map_err(sqlite)?.into_iter();
        let feeds = heads.map(|(tenant, head)| (tenant, Feed { head, live: None })).collect();
        let shared = Arc::new(Shared {
            store_id: tables::store_id(&db).map_err(sqlite)?,
            path,
            snapshots,
            feeds: Mutex::new(Some(feeds)),
            reads: Arc::new(Semaphore::new(READS_MAX as usize)),
            readers: Mutex::default(),
            lock: Mutex::new(Some(lock)),
        });
        let (inbox, requests) = mpsc::channel(INBOX_REQUESTS_MAX);
        let committer = Committer::new(db, Arc::clone(&shared));
        thread::Builder::new()
            .name("journal-commit".into())
            .spawn(move || committer.run(requests))
            .map_err(io)?;
        Ok(Self { inbox, shared })
    }

    /// Tells whoever wants the data directory too where its holder listens, in the form that `--to` takes.
    pub fn announce(&self, url: &str) -> io::Result<()> {
        self.shared.lock.lock().as_ref().map_or(Ok(()), |lock| lock.announce(url))
    }

    /// Runs `work` on the commit thread, in its turn among the appends.
    async fn on_commit_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Committer) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, WriteError> {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move |committer: &mut Committer| {
            // The caller may have gone; the work is done all the same.
            let _ = reply.send(work(committer));
        });
        self.answered(Request::Work(work), answer).await
    }

    async fn answered<T>(
        &self,
        request: Request,
        answer: oneshot::Receiver<Result<T, WriteError>>,
    ) -> Result<T, WriteError> {
        self.inbox.send(request).await.map_err(|_| WriteError::Closed)?;
        // Whatever is accepted is answered, except by a thread that panics.
        answer.await.unwrap_or_else(|_| Err(commit::panicked()))
    }

    /// Removes rows that are logically gone, a few in each transaction.
    async fn sweep(&self, tenant_id: i64, through: Revision) -> Result<(), WriteError> {
        loop {
            let swept = self.on_commit_thread(move |committer| {
                committer.write(|tx| Ok(tables::sweep(tx, tenant_id, through)?))
            });
            if swept.await? < tables::SWEEP_BATCHES_MAX {
                return Ok(());
            }
        }
    }
}

impl Journal for SqliteJournal {
    fn store_id(&self) -> StoreId {
        self.shared.store_id
    }

    fn batch_bytes_max(&self) -> usize {
        BATCH_BYTES_MAX
    }

    async fn append(&self, tenant: &TenantId, batch: Bytes) -> Result<Revision, WriteError> {
        if batch.len() > BATCH_BYTES_MAX {
            return Err(WriteError::TooLarge { bytes: batch.len(), max: BATCH_BYTES_MAX });
        }
        let (reply, answer) = oneshot::channel();
        let append = Append { tenant: tenant.clone(), batch, reply };
        self.answered(Request::Append(append), answer).await
    }

    fn follow(
        &self,
        tenant: &TenantId,
        after: Revision,
    ) -> impl Stream<Item = Result<(Revision, Bytes), ReadError>> + Send + Unpin + use<> {
        Follower::new(Arc::clone(&self.shared), tenant.clone(), after).into_stream()
    }

    async fn head(&self, tenant: &TenantId) -> Result<Revision, ReadError> {
        let feeds = self.shared.feeds.lock();
        let feeds = feeds.as_ref().ok_or(ReadError::Closed)?;
        Ok(feeds.get(tenant).map_or(Revision(0), |feed| feed.head))
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, ReadError> {
        self.shared.read(|tx| Ok(tables::names(tx)?)).await
    }

    async fn put_snapshot(
        &self,
        tenant: &TenantId,
        began_at: Revision,
        fill: impl FnOnce(&mut SnapshotSink<'_>) -> io::Result<()> + Send + 'static,
    ) -> Result<(), WriteError> {
        let part = spawn_blocking({
            let (shared, tenant) = (Arc::clone(&self.shared), tenant.clone());
            move || shared.snapshots.write(&tenant, began_at, fill)
        });
        let part = joined(part.await).ok_or(WriteError::Closed)?;
        let part = part.map_err(|error| WriteError::Refused(error.to_string()))?;
        let tenant = tenant.clone();
        self.on_commit_thread(move |committer| {
            let shared = Arc::clone(committer.shared());
            committer.write(|tx| {
                let head = shared.head(&tenant);
                if began_at > head {
                    let reason = format!(
                        "a snapshot of tenant {tenant:?} can't begin at revision {began_at}: its last is {head}"
                    );
                    return Err(Refusal::Reason(reason));
                }
                let key = Key { tenant_id: tables::tenant_id_or_new(tx, &tenant)?, began_at };
                shared.snapshots.name(&part, key)?;
                Ok(tables::register_snapshot(tx, key)?)
            })
        })
        .await
    }

    async fn latest_snapshot(&self, tenant: &TenantId) -> Result<Option<StoredSnapshot>, ReadError> {
        let candidates = self.shared.read({
            let tenant = tenant.clone();
            move |tx| Ok(tables::snapshots_newest_first(tx, &tenant)?)
        });
        let candidates = candidates.await?;
        let (shared, tenant) = (Arc::clone(&self.shared), tenant.clone());
        let snapshot = spawn_blocking(move || shared.snapshots.first_undamaged(&tenant, &candidates));
        joined(snapshot.await).ok_or(ReadError::Closed)?
    }

    async fn truncate(&self, tenant: &TenantId, through: Revision) -> Result<(), WriteError> {
        let tenant = tenant.clone();
        let tenant_id = self.on_commit_thread(move |committer| {
            let (tenant_id, old) = committer.write(|tx| tables::truncate(tx, &tenant, through))?;
            committer.shared().snapshots.remove(&old);
            Ok(tenant_id)
        });
        self.sweep(tenant_id.await?, through).await
    }

    async fn delete(&self, tenant: &TenantId) -> Result<(), WriteError> {
        let tenant = tenant.clone();
        let deleted = self.on_commit_thread(move |committer| {
            let deleted = committer.write(|tx| Ok(tables::delete(tx, &tenant)?))?;
            let shared = committer.shared();
            shared.forget(&tenant);
            Ok(deleted.map(|(tenant_id, snapshots)| {
                shared.snapshots.remove(&snapshots);
                tenant_id
            }))
        });
        let Some(tenant_id) = deleted.await? else { return Ok(()) };
        self.sweep(tenant_id, Revision::LAST).await?;
        self.on_commit_thread(|committer| committer.write(|tx| Ok(tables::forget_deleted(tx)?))).await
    }

    async fn close(&self) {
        // Every read has a permit: with all of them, no reader's connection is in use.
        if let Ok(all) = self.shared.reads.acquire_many(READS_MAX).await {
            self.shared.reads.close();
            drop(all);
        }
        self.shared.readers.lock().clear();
        let (done, closed) = oneshot::channel();
        if self.inbox.send(Request::Close(done)).await.is_ok() {
            closed.await.expect("the commit thread answers when it has closed its connection");
        }
        self.shared.lock.lock().take();
    }
}

// === impl Shared ===

impl Shared {
    /// Answers a question in one short read transaction, off the async threads.
    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Transaction<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = Arc::clone(&self.reads).acquire_owned().await.map_err(|_| ReadError::Closed)?;
        let shared = Arc::clone(self);
        let answer = spawn_blocking(move || {
            let idle = shared.readers.lock().pop();
            let reader = idle.map_or_else(|| tables::open_reader(&shared.path), Ok)?;
            let answer = question(&reader.unchecked_transaction()?);
            shared.readers.lock().push(reader);
            drop(permit); // last: `close` may now clear the readers
            answer
        });
        joined(answer.await).ok_or(ReadError::Closed)?
    }

    /// The head, and whatever is committed after it.
    fn subscribe(&self, tenant: &TenantId) -> Result<(Revision, broadcast::Receiver<Committed>), ReadError> {
        let mut feeds = self.feeds.lock();
        let feed = feeds.as_mut().ok_or(ReadError::Closed)?.entry(tenant.clone()).or_default();
        let live = feed.live.get_or_insert_with(|| broadcast::Sender::new(LIVE_BATCHES_MAX));
        Ok((feed.head, live.subscribe()))
    }

    /// Hands what was just committed to those who follow.
    fn publish(&self, tenant: TenantId, revision: Revision, batch: Bytes) {
        let mut feeds = self.feeds.lock();
        let feed =
            feeds.as_mut().expect("only the commit thread closes, at its end").entry(tenant).or_default();
        let previous = std::mem::replace(&mut feed.head, revision);
        let sent = feed.live.as_ref().map(|live| live.send(Committed { previous, revision, batch }));
        if let Some(Err(_)) = sent {
            feed.live = None; // nobody follows any more
        }
    }

    fn head(&self, tenant: &TenantId) -> Revision {
        let feeds = self.feeds.lock();
        feeds.as_ref().and_then(|feeds| feeds.get(tenant)).map_or(Revision(0), |feed| feed.head)
    }

    /// Ends the followers of a tenant that was deleted.
    fn forget(&self, tenant: &TenantId) {
        self.feeds.lock().as_mut().and_then(|feeds| feeds.remove(tenant));
    }

    /// Ends all followers: nothing more will be committed.
    fn end(&self) {
        self.feeds.lock().take();
    }

    fn is_closed(&self) -> bool {
        self.feeds.lock().is_none()
    }
}

/// What a blocking task returned; its panic goes on here. None if the runtime is going down.
fn joined<T>(returned: Result<T, JoinError>) -> Option<T> {
    match returned {
        Ok(value) => Some(value),
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;
    use tokio_stream::StreamExt;

    use super::*;

    fn open() -> (TempDir, SqliteJournal, TenantId) {
        let dir = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(dir.path()).unwrap();
        (dir, journal, TenantId::try_new("acme").unwrap())
    }

    /// Runs SQL on the commit thread's own connection.
    async fn sql(journal: &SqliteJournal, sql: String) -> i64 {
        let answer = journal.on_commit_thread(move |committer| {
            Ok(committer.write(|tx| Ok(tx.query_row(&sql, [], |row| row.get(0))?)).unwrap())
        });
        answer.await.unwrap()
    }

    #[tokio::test]
    async fn commits_are_synced() {
        let (_dir, journal, _) = open();
        assert_eq!(sql(&journal, "PRAGMA synchronous".into()).await, 2, "FULL");
        journal.close().await;
    }

    #[tokio::test]
    async fn a_full_disk_refuses_whole_batches_until_there_is_room() {
        let (dir, journal, acme) = open();
        let small = journal.append(&acme, Bytes::from_static(b"before")).await.unwrap();
        let pages = sql(&journal, "PRAGMA page_count".into()).await;
        sql(&journal, format!("PRAGMA max_page_count = {}", pages + 2)).await;
        let large = Bytes::from(vec![7; 100_000]);
        for _ in 0..3 {
            let refused = journal.append(&acme, large.clone()).await;
            assert_eq!(refused, Err(WriteError::Refused("database or disk is full".into())));
        }
        assert_eq!(journal.head(&acme).await.unwrap(), small);
        sql(&journal, "PRAGMA max_page_count = 1000000".into()).await;
        let revision = journal.append(&acme, large.clone()).await.unwrap();
        journal.close().await;

        let journal = SqliteJournal::open(dir.path()).unwrap();
        let followed: Vec<_> = journal.follow(&acme, Revision(0)).take(2).map(Result::unwrap).collect().await;
        assert_eq!(followed, [(small, Bytes::from_static(b"before")), (revision, large)]);
        journal.close().await;
    }

    #[tokio::test]
    async fn what_leaves_the_file_in_doubt_breaks_writing_but_not_reading() {
        let io_error = |committer: &mut Committer| -> Result<(), WriteError> {
            committer.write(|_| {
                let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
                Err(rusqlite::Error::SqliteFailure(code, Some("disk I/O error".into())).into())
            })
        };
        let panic = |_: &mut Committer| -> Result<(), WriteError> { panic!("on purpose") };
        for (doubt, reason) in [
            (Box::new(io_error) as Box<dyn FnOnce(&mut Committer) -> _ + Send>, "disk I/O error"),
            (Box::new(panic), "the commit thread panicked"),
        ] {
            let (dir, journal, acme) = open();
            let revision = journal.append(&acme, Bytes::from_static(b"before")).await.unwrap();
            let broken = Err(WriteError::Broken(reason.into()));
            assert_eq!(journal.on_commit_thread(doubt).await, broken);
            assert_eq!(journal.append(&acme, Bytes::new()).await, Err(WriteError::Broken(reason.into())));
            assert_eq!(journal.delete(&acme).await, broken);
            let first = journal.follow(&acme, Revision(0)).next().await.unwrap().unwrap();
            assert_eq!(first, (revision, Bytes::from_static(b"before")));
            journal.close().await;

            let journal = SqliteJournal::open(dir.path()).unwrap();
            assert!(journal.append(&acme, Bytes::new()).await.unwrap() > revision, "reopened");
            journal.close().await;
        }
    }

    #[tokio::test]
    async fn a_live_follower_needs_no_disk() {
        let (_dir, journal, acme) = open();
        let mut followed = journal.follow(&acme, Revision(0));
        let first = journal.append(&acme, Bytes::from_static(b"first")).await.unwrap();
        assert_eq!(followed.next().await.unwrap().unwrap(), (first, Bytes::from_static(b"first")));
        let _no_reads = journal.shared.reads.acquire_many(READS_MAX).await.unwrap();
        let batch = Bytes::from_static(b"second");
        let second = journal.append(&acme, batch.clone()).await.unwrap();
        let (revision, followed) = followed.next().await.unwrap().unwrap();
        assert_eq!((revision, followed.as_ptr()), (second, batch.as_ptr()), "the very bytes");
    }

    /// The process ended after a deletion was committed, before the rows were removed.
    #[tokio::test]
    async fn a_deletion_that_was_cut_short_is_finished_when_opening() {
        let (dir, journal, acme) = open();
        for _ in 0..3 {
            journal.append(&acme, Bytes::from_static(b"gone")).await.unwrap();
        }
        journal.close().await;
        let db = Connection::open(&journal.shared.path).unwrap();
        assert!(tables::delete(&db, &acme).unwrap().is_some());
        drop(db);

        let journal = SqliteJournal::open(dir.path()).unwrap();
        let left = "SELECT (SELECT count(*) FROM batch) + (SELECT count(*) FROM tenant)";
        assert_eq!(sql(&journal, left.into()).await, 0);
        journal.close().await;
    }

    /// A reader in the way keeps SQLite from beginning the log anew by itself.
    #[tokio::test]
    async fn the_log_shrinks_when_readers_let_it() {
        let (dir, journal, acme) = open();
        let batch = Bytes::from(vec![7; 1 << 20]);
        journal.append(&acme, batch.clone()).await.unwrap();
        let log_bytes = || fs::metadata(dir.path().join("journal.sqlite3-wal")).unwrap().len();
        let reader = tables::open_reader(&journal.shared.path).unwrap();
        let reading = reader.unchecked_transaction().unwrap();
        assert_eq!(tables::names(&reading).unwrap(), std::slice::from_ref(&acme));
        while log_bytes() <= 2 * commit::WAL_BYTES_MAX {
            journal.append(&acme, batch.clone()).await.unwrap();
        }
        drop(reading);
        journal.append(&acme, batch).await.unwrap();
        sql(&journal, "SELECT 1".into()).await; // its turn comes after the append's checkpoint
        assert!(log_bytes() <= commit::WAL_BYTES_MAX, "{}", log_bytes());
        journal.close().await;
    }
}
