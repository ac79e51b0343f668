//! The journal in one SQLite file: the embedded default.
//!
//! ```text
//! DIR/lock                           who has the directory
//! DIR/journal.sqlite3 (-wal, -shm)   one row per batch, of all tenants
//! DIR/snapshots/ROW-REVISION.ckpi    registered in the table `snapshot`, else not there
//! ```
//!
//! Invariants:
//! 1. Only the commit thread writes to the file. WAL with `synchronous=FULL`: a transaction is
//!    durable when COMMIT returns, and what waits from all tenants shares one.
//! 2. AUTOINCREMENT: no revision and no tenant's row id ever returns, so what a deletion left behind
//!    can't be taken for a later tenant's. Revisions are common to all tenants.
//! 3. A file that isn't ours, or is from a newer version, is not changed.
//! 4. A tenant's rows up to `truncated_through`, and all rows of a tenant without name, are logically
//!    gone; they are removed a few at a time so that appends needn't wait.
//! 5. A read transaction lasts for one bounded slice, never while a caller is waited for: readers
//!    can't keep the WAL from being checkpointed.
//!
//! Space that truncation frees is used again; the file doesn't shrink.

mod commit;
mod follow;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};
use tokio::task::{JoinError, spawn_blocking};
use tokio_stream::Stream;

use self::commit::{Append, Committer, Refusal, Request};
use self::follow::{Committed, Follower};
use super::lock::{DirLock, LockError};
use super::snapshot::{SnapshotError, SnapshotReader, SnapshotWriter};
use super::{Journal, ReadError, Revision, SnapshotSink, StoreId, StoredSnapshot, WriteError};
use crate::domain::ids::TenantId;

const APPLICATION_ID: i32 = i32::from_be_bytes(*b"CKPI");
const FORMAT: i32 = 1;
const SCHEMA: &str = "
    CREATE TABLE store (id INTEGER NOT NULL) STRICT;
    CREATE TABLE tenant (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT UNIQUE, -- NULL: deleted, its rows are being removed
        truncated_through INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE batch (
        revision INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant_id INTEGER NOT NULL,
        frame BLOB NOT NULL
    ) STRICT;
    CREATE INDEX batch_by_tenant ON batch (tenant_id, revision);
    CREATE TABLE snapshot (
        tenant_id INTEGER NOT NULL,
        began_at INTEGER NOT NULL,
        PRIMARY KEY (tenant_id, began_at)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO store (id) VALUES (random());
";

const BATCH_BYTES_MAX: usize = 8 << 20;
/// When so many writes wait, the next waits before it is queued.
const INBOX_REQUESTS_MAX: usize = 256;
const READS_MAX: u32 = 8;
/// Batches that a live follower may lag before it reads from disk again.
const LIVE_BATCHES_MAX: usize = 64;
const SWEEP_BATCHES_MAX: usize = 256;
/// Only another program (a person with `sqlite3`) can hold us up, and a write can be repeated.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

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
    #[error("{} can't be opened: {source}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

/// What the journal, its commit thread and its followers have in common.
struct Shared {
    dir: PathBuf,
    store_id: StoreId,
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

/// A snapshot being written: gone when dropped, unless it was renamed.
struct PartFile {
    path: PathBuf,
    file: File,
}

// === impl SqliteJournal ===

impl SqliteJournal {
    /// Opens the journal in `dir`, made if it isn't there, and takes the lock on it. Blocks.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        make_durable_dir(&dir.join("snapshots"))
            .map_err(|source| OpenError::Io { path: dir.into(), source })?;
        let lock = DirLock::acquire(dir)?;
        let path = database_path(dir);
        let failed = |source| OpenError::Sqlite { path: path.clone(), source };
        let db = open_database(&path)?;
        finish_deletions(&db).map_err(failed)?;
        remove_unregistered_snapshots(&db, dir)?;
        let store_id = db.query_row("SELECT id FROM store", [], |row| row.get(0)).map_err(failed)?;
        let shared = Arc::new(Shared {
            dir: dir.into(),
            store_id: StoreId(i64::cast_unsigned(store_id)),
            feeds: Mutex::new(Some(feeds(&db).map_err(failed)?)),
            reads: Arc::new(Semaphore::new(READS_MAX as usize)),
            readers: Mutex::default(),
            lock: Mutex::new(Some(lock)),
        });
        let (inbox, requests) = mpsc::channel(INBOX_REQUESTS_MAX);
        let committer = Committer::new(db, Arc::clone(&shared));
        thread::Builder::new()
            .name("journal-commit".into())
            .spawn(move || committer.run(requests))
            .map_err(|source| OpenError::Io { path: dir.into(), source })?;
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
            let swept = self
                .on_commit_thread(move |committer| committer.write(|tx| Ok(sweep(tx, tenant_id, through)?)));
            if swept.await? < SWEEP_BATCHES_MAX {
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
        self.shared.read(|tx| Ok(names(tx)?)).await
    }

    async fn put_snapshot(
        &self,
        tenant: &TenantId,
        began_at: Revision,
        fill: impl FnOnce(&mut SnapshotSink<'_>) -> io::Result<()> + Send + 'static,
    ) -> Result<(), WriteError> {
        let snapshots_dir = self.shared.snapshots_dir();
        let part = spawn_blocking({
            let tenant = tenant.clone();
            move || PartFile::write(&snapshots_dir, &tenant, began_at, fill)
        });
        let written = joined(part.await).ok_or(WriteError::Closed)?;
        let part = written.map_err(|error| WriteError::Refused(error.to_string()))?;
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
                let tenant_id = tenant_id_or_new(tx, &tenant)?;
                // Whole and in place before it is registered; unregistered, it isn't there.
                fs::rename(&part.path, shared.snapshot_path(tenant_id, began_at))?;
                sync_dir(&shared.snapshots_dir())?;
                let sql = "INSERT OR REPLACE INTO snapshot (tenant_id, began_at) VALUES (?1, ?2)";
                tx.execute(sql, params![tenant_id, began_at.0.cast_signed()])?;
                Ok(())
            })
        })
        .await
    }

    async fn latest_snapshot(&self, tenant: &TenantId) -> Result<Option<StoredSnapshot>, ReadError> {
        let candidates = self.shared.read({
            let tenant = tenant.clone();
            move |tx| Ok(snapshots_newest_first(tx, &tenant)?)
        });
        let candidates = candidates.await?;
        let shared = Arc::clone(&self.shared);
        let tenant = tenant.clone();
        let snapshot = spawn_blocking(move || shared.first_undamaged(&tenant, &candidates));
        joined(snapshot.await).ok_or(ReadError::Closed)?
    }

    async fn truncate(&self, tenant: &TenantId, through: Revision) -> Result<(), WriteError> {
        let tenant = tenant.clone();
        let tenant_id = self.on_commit_thread(move |committer| {
            let (tenant_id, old) = committer.write(|tx| truncate(tx, &tenant, through))?;
            committer.shared().remove_snapshots(tenant_id, &old);
            Ok(tenant_id)
        });
        self.sweep(tenant_id.await?, through).await
    }

    async fn delete(&self, tenant: &TenantId) -> Result<(), WriteError> {
        let tenant = tenant.clone();
        let deleted = self.on_commit_thread(move |committer| {
            let deleted = committer.write(|tx| delete(tx, &tenant))?;
            committer.shared().forget(&tenant);
            Ok(deleted.map(|(tenant_id, old)| {
                committer.shared().remove_snapshots(tenant_id, &old);
                tenant_id
            }))
        });
        let Some(tenant_id) = deleted.await? else { return Ok(()) };
        self.sweep(tenant_id, Revision::LAST).await?;
        self.on_commit_thread(|committer| committer.write(|tx| Ok(forget_deleted(tx)?))).await
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
            let reader = idle.map_or_else(|| open_reader(&database_path(&shared.dir)), Ok)?;
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

    fn snapshots_dir(&self) -> PathBuf {
        self.dir.join("snapshots")
    }

    fn snapshot_path(&self, tenant_id: i64, began_at: Revision) -> PathBuf {
        self.snapshots_dir().join(snapshot_name(tenant_id, began_at))
    }

    /// They are no longer registered: what can't be removed now is removed at the next opening.
    fn remove_snapshots(&self, tenant_id: i64, began_at: &[Revision]) {
        for path in began_at.iter().map(|began_at| self.snapshot_path(tenant_id, *began_at)) {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an old snapshot can't be removed");
            }
        }
    }

    /// `candidates`: row ids and revisions, newest first.
    fn first_undamaged(
        &self,
        tenant: &TenantId,
        candidates: &[(i64, Revision)],
    ) -> Result<Option<StoredSnapshot>, ReadError> {
        let mut newest_error = None;
        for (tenant_id, began_at) in candidates {
            let path = self.snapshot_path(*tenant_id, *began_at);
            match open_verified(&path, tenant, *began_at) {
                Ok(snapshot) => return Ok(Some(snapshot)),
                Err(source) => {
                    let name = path.display().to_string();
                    let error = ReadError::Snapshot { tenant: tenant.clone(), name, source };
                    tracing::error!(%error, "a snapshot is passed over");
                    newest_error.get_or_insert(error);
                }
            }
        }
        newest_error.map_or(Ok(None), Err)
    }
}

// === impl PartFile ===

impl PartFile {
    /// A snapshot complete and durable, but for its name.
    fn write(
        dir: &Path,
        tenant: &TenantId,
        began_at: Revision,
        fill: impl FnOnce(&mut SnapshotSink<'_>) -> io::Result<()>,
    ) -> io::Result<Self> {
        // Of the process, not of the journal: one that was closed may still be writing its last.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let path = dir.join(format!("{}.part", COUNT.fetch_add(1, Ordering::Relaxed)));
        let part = Self { file: File::create_new(&path)?, path };
        let mut file = &part.file;
        let mut sink = SnapshotWriter::begin(&mut file as &mut dyn Write, tenant, began_at)?;
        fill(&mut sink)?;
        sink.finish()?;
        part.file.sync_all()?;
        Ok(part)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        // Fails as it should if it was renamed; anything else is removed at the next opening.
        let _ = fs::remove_file(&self.path);
    }
}

// === Opening ===

fn database_path(dir: &Path) -> PathBuf {
    dir.join("journal.sqlite3")
}

fn snapshot_name(tenant_id: i64, began_at: Revision) -> String {
    format!("{tenant_id}-{began_at}.ckpi")
}

/// Opens or makes the database; one that isn't ours stays as it is.
fn open_database(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::Foreign { path: path.into() },
        _ => OpenError::Sqlite { path: path.into(), source },
    };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    let what = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
                FROM pragma_application_id, pragma_user_version";
    let identity =
        db.query_row(what, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(failed)?;
    match identity {
        (0, 0, 0) => {}
        (APPLICATION_ID, FORMAT, _) => {}
        (APPLICATION_ID, found, _) => return Err(OpenError::Format { path: path.into(), found }),
        _ => return Err(OpenError::Foreign { path: path.into() }),
    }
    let mode: String =
        db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        let source = io::Error::other("its file system can't hold SQLite's write-ahead log");
        return Err(OpenError::Io { path: path.into(), source });
    }
    let pragmas = "
        PRAGMA synchronous = FULL;
        PRAGMA fullfsync = ON; -- on macOS fsync alone doesn't reach the disk
        PRAGMA checkpoint_fullfsync = ON;
    ";
    db.execute_batch(pragmas).map_err(failed)?;
    if identity == (0, 0, 0) {
        create(&mut db).map_err(failed)?;
    }
    Ok(db)
}

fn create(db: &mut Connection) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    tx.execute_batch(SCHEMA)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", FORMAT)?;
    tx.commit()
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(path, flags)?;
    reader.busy_timeout(BUSY_TIMEOUT)?;
    Ok(reader)
}

/// Makes `dir` and those above it that are missing, so that a power cut doesn't take them back.
fn make_durable_dir(dir: &Path) -> io::Result<()> {
    if !dir.is_dir() {
        let parent = match dir.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        make_durable_dir(parent)?;
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => sync_dir(parent)?,
        }
    }
    Ok(())
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Does what deletions had left when the process ended.
fn finish_deletions(db: &Connection) -> rusqlite::Result<()> {
    let mut deleted = db.prepare("SELECT id FROM tenant WHERE name IS NULL")?;
    let deleted = deleted.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    for tenant_id in deleted {
        while sweep(db, tenant_id, Revision::LAST)? == SWEEP_BATCHES_MAX {}
    }
    forget_deleted(db)
}

fn remove_unregistered_snapshots(db: &Connection, dir: &Path) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: database_path(dir), source };
    let dir = dir.join("snapshots");
    let io = |source| OpenError::Io { path: dir.clone(), source };
    let mut registered = db.prepare("SELECT tenant_id, began_at FROM snapshot").map_err(sqlite)?;
    let registered: HashSet<String> = registered
        .query_map([], |row| Ok(snapshot_name(row.get(0)?, revision(row.get(1)?))))
        .and_then(Iterator::collect)
        .map_err(sqlite)?;
    for entry in fs::read_dir(&dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let ours = path.extension().is_some_and(|extension| extension == "part" || extension == "ckpi");
        let named = path.file_name().and_then(|name| name.to_str());
        if ours && !named.is_some_and(|name| registered.contains(name)) {
            fs::remove_file(&path).map_err(io)?;
        }
    }
    Ok(())
}

fn feeds(db: &Connection) -> rusqlite::Result<HashMap<TenantId, Feed>> {
    let sql = "SELECT name, max(truncated_through, ifnull(
                   (SELECT max(revision) FROM batch WHERE tenant_id = tenant.id), 0))
               FROM tenant WHERE name IS NOT NULL";
    let mut heads = db.prepare(sql)?;
    let heads = heads.query_map([], |row| {
        let feed = Feed { head: revision(row.get(1)?), live: None };
        Ok((tenant_from(row.get_ref(0)?.as_str()?)?, feed))
    })?;
    heads.collect()
}

// === Questions and changes, each within the caller's transaction ===

fn revision(column: i64) -> Revision {
    Revision(column.cast_unsigned())
}

fn tenant_from(name: &str) -> rusqlite::Result<TenantId> {
    TenantId::try_new(name).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })
}

fn names(db: &Connection) -> rusqlite::Result<Vec<TenantId>> {
    let mut names = db.prepare_cached("SELECT name FROM tenant WHERE name IS NOT NULL ORDER BY name")?;
    let names = names.query_map([], |row| tenant_from(row.get_ref(0)?.as_str()?))?;
    names.collect()
}

fn tenant_id(db: &Connection, tenant: &TenantId) -> rusqlite::Result<Option<i64>> {
    let mut id = db.prepare_cached("SELECT id FROM tenant WHERE name = ?1")?;
    id.query_row([tenant.as_str()], |row| row.get(0)).optional()
}

fn tenant_id_or_new(db: &Connection, tenant: &TenantId) -> rusqlite::Result<i64> {
    match tenant_id(db, tenant)? {
        Some(id) => Ok(id),
        None => {
            db.execute("INSERT INTO tenant (name) VALUES (?1)", [tenant.as_str()])?;
            Ok(db.last_insert_rowid())
        }
    }
}

fn snapshots_newest_first(db: &Connection, tenant: &TenantId) -> rusqlite::Result<Vec<(i64, Revision)>> {
    let sql = "SELECT tenant_id, began_at FROM snapshot JOIN tenant ON tenant.id = tenant_id
               WHERE name = ?1 AND began_at >= truncated_through ORDER BY began_at DESC";
    let mut snapshots = db.prepare_cached(sql)?;
    let snapshots = snapshots.query_map([tenant.as_str()], |row| Ok((row.get(0)?, revision(row.get(1)?))))?;
    snapshots.collect()
}

/// The tenant's row id, and the snapshots that are of no more use.
fn truncate(tx: &Connection, tenant: &TenantId, through: Revision) -> Result<(i64, Vec<Revision>), Refusal> {
    let sql = "SELECT id FROM tenant WHERE name = ?1
               AND EXISTS (SELECT * FROM snapshot WHERE tenant_id = tenant.id AND began_at >= ?2)";
    let covered = tx.query_row(sql, params![tenant.as_str(), through.0.cast_signed()], |row| row.get(0));
    let Some(tenant_id) = covered.optional()? else {
        let reason = format!("tenant {tenant:?} has no snapshot that began at revision {through} or later");
        return Err(Refusal::Reason(reason));
    };
    let sql = "UPDATE tenant SET truncated_through = max(truncated_through, ?2) WHERE id = ?1";
    tx.execute(sql, params![tenant_id, through.0.cast_signed()])?;
    Ok((tenant_id, unregister_snapshots(tx, tenant_id, through)?))
}

/// The row id of the tenant, if there was one, and its snapshots.
fn delete(tx: &Connection, tenant: &TenantId) -> Result<Option<(i64, Vec<Revision>)>, Refusal> {
    let Some(tenant_id) = tenant_id(tx, tenant)? else { return Ok(None) };
    tx.execute("UPDATE tenant SET name = NULL WHERE id = ?1", [tenant_id])?;
    Ok(Some((tenant_id, unregister_snapshots(tx, tenant_id, Revision::LAST)?)))
}

fn unregister_snapshots(
    tx: &Connection,
    tenant_id: i64,
    before: Revision,
) -> rusqlite::Result<Vec<Revision>> {
    let sql = "DELETE FROM snapshot WHERE tenant_id = ?1 AND began_at < ?2 RETURNING began_at";
    let mut old = tx.prepare_cached(sql)?;
    let old = old.query_map([tenant_id, before.0.cast_signed()], |row| Ok(revision(row.get(0)?)))?;
    old.collect()
}

/// Removes some batches that are logically gone; fewer than `SWEEP_BATCHES_MAX` were the last.
fn sweep(db: &Connection, tenant_id: i64, through: Revision) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM batch WHERE revision IN
               (SELECT revision FROM batch WHERE tenant_id = ?1 AND revision <= ?2 LIMIT ?3)";
    let mut swept = db.prepare_cached(sql)?;
    swept.execute(params![tenant_id, through.0.cast_signed(), SWEEP_BATCHES_MAX as i64])
}

/// Forgets the rows of deleted tenants that have no more batches.
fn forget_deleted(db: &Connection) -> rusqlite::Result<()> {
    let sql = "DELETE FROM tenant WHERE name IS NULL
               AND NOT EXISTS (SELECT * FROM batch WHERE tenant_id = tenant.id)";
    db.execute(sql, []).map(|_| ())
}

fn open_verified(
    path: &Path,
    tenant: &TenantId,
    began_at: Revision,
) -> Result<StoredSnapshot, SnapshotError> {
    let open = || {
        let input: Box<dyn io::Read + Send> = Box::new(BufReader::new(File::open(path)?));
        SnapshotReader::open(input)
    };
    open()?.verify()?;
    let snapshot = open()?;
    if (snapshot.tenant(), snapshot.began_at()) != (tenant, began_at) {
        let reason = "it is of another tenant or revision than its name says";
        return Err(SnapshotError::Corrupt { block_count: 0, reason });
    }
    Ok(snapshot)
}

/// What a blocking task returned; its panic goes on here. None if the runtime is going down.
fn joined<T>(returned: Result<T, JoinError>) -> Option<T> {
    match returned {
        Ok(value) => Some(value),
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}

impl Revision {
    /// No batch comes after it: SQLite's row ids are signed.
    const LAST: Self = Self(i64::MAX as u64);
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
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
        let db = Connection::open(database_path(dir.path())).unwrap();
        assert!(delete(&db, &acme).is_ok_and(|deleted| deleted.is_some()));
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
        let reader = open_reader(&database_path(dir.path())).unwrap();
        let reading = reader.unchecked_transaction().unwrap();
        assert_eq!(names(&reading).unwrap(), std::slice::from_ref(&acme));
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
