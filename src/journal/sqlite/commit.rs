//! The commit thread: the only one that writes to the database.
//!
//! Invariants:
//! 1. Requests are served in the order in which they came, whosever they are: no tenant overtakes.
//!    Appends that wait beside each other are committed as one transaction, one fsync for all.
//! 2. A batch is published after its COMMIT and before anything later is served.
//! 3. An error that leaves the file in doubt (I/O, corruption, a panic) breaks the journal: every
//!    later write answers `Broken`. A full disk doesn't: the transaction is rolled back.
//! 4. Every request that was accepted is answered, but for those served by a panic.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::super::{Revision, WriteError, frame};
use super::{Shared, database_path, tenant_id_or_new};
use crate::domain::ids::TenantId;

/// A transaction takes no further batch when it has so many bytes.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// SQLite checkpoints by itself every 1,000 pages, but only lets the file begin anew when nobody
/// reads just then. When it has grown beyond this, we wait for the readers.
pub const WAL_BYTES_MAX: u64 = 16 << 20;

const PANICKED: &str = "the commit thread panicked";

pub enum Request {
    Append(Append),
    Work(Box<dyn FnOnce(&mut Committer) + Send>),
    /// Answered when everything accepted is done and the connection is closed.
    Close(oneshot::Sender<()>),
}

pub struct Append {
    pub tenant: TenantId,
    pub batch: Bytes,
    pub reply: oneshot::Sender<Result<Revision, WriteError>>,
}

/// Why a change is rolled back.
pub enum Refusal {
    /// The store is sound, but this can't be.
    Reason(String),
    Sqlite(rusqlite::Error),
}

pub struct Committer {
    db: Connection,
    shared: Arc<Shared>,
    wal_path: PathBuf,
    broken: Option<String>,
}

/// What a caller learns whose request the thread didn't survive.
pub fn panicked() -> WriteError {
    WriteError::Broken(PANICKED.into())
}

// === impl Committer ===

impl Committer {
    pub fn new(db: Connection, shared: Arc<Shared>) -> Self {
        let mut wal_path = database_path(&shared.dir).into_os_string();
        wal_path.push("-wal");
        Self { db, shared, wal_path: wal_path.into(), broken: None }
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Serves until the inbox is closed and empty.
    pub fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        let mut closing = Vec::new();
        let mut next = None;
        while let Some(request) = next.take().or_else(|| inbox.blocking_recv()) {
            let served = catch_unwind(AssertUnwindSafe(|| match request {
                Request::Append(first) => {
                    let (group, other) = gather(first, &mut inbox);
                    next = other;
                    self.commit(group);
                }
                Request::Work(work) => work(&mut self),
                Request::Close(done) => {
                    inbox.close();
                    closing.push(done);
                }
            }));
            if served.is_err() {
                self.broken = Some(PANICKED.into());
            }
            self.bound_wal();
        }
        self.shared.end();
        drop(self);
        for done in closing {
            let _ = done.send(()); // whoever asked may have gone
        }
    }

    /// Makes `change` as one transaction: wholly and durably, or not at all.
    pub fn write<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal>,
    ) -> Result<T, WriteError> {
        if let Some(reason) = &self.broken {
            return Err(WriteError::Broken(reason.clone()));
        }
        let begun = self.db.transaction_with_behavior(TransactionBehavior::Immediate);
        let changed = begun.map_err(Refusal::Sqlite).and_then(|tx| {
            let changed = change(&tx)?;
            tx.commit()?;
            Ok(changed)
        });
        changed.map_err(|refusal| match refusal {
            Refusal::Reason(reason) => WriteError::Refused(reason),
            Refusal::Sqlite(error) => self.failed(&error),
        })
    }

    fn commit(&mut self, group: Vec<Append>) {
        let committed = self.write(|tx| {
            let mut insert = tx.prepare_cached("INSERT INTO batch (tenant_id, frame) VALUES (?1, ?2)")?;
            let revisions = group.iter().map(|Append { tenant, batch, .. }| {
                let tenant_id = tenant_id_or_new(tx, tenant)?;
                let row_id = insert.insert(params![tenant_id, frame::seal(tenant, batch)])?;
                Ok(Revision(row_id.cast_unsigned()))
            });
            revisions.collect::<Result<Vec<_>, Refusal>>()
        });
        // Those who don't wait for the reply any more learn it by following.
        match committed {
            Ok(revisions) => {
                for (Append { tenant, batch, reply }, revision) in group.into_iter().zip(revisions) {
                    self.shared.publish(tenant, revision, batch);
                    let _ = reply.send(Ok(revision));
                }
            }
            Err(error) => {
                for Append { reply, .. } in group {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn bound_wal(&mut self) {
        let wal_bytes = fs::metadata(&self.wal_path).map_or(0, |wal| wal.len());
        if wal_bytes > WAL_BYTES_MAX && self.broken.is_none() {
            // A reader in the way isn't an error: the next request tries again.
            let checkpoint = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            if let Err(error) = checkpoint {
                let error = self.failed(&error);
                tracing::warn!(%error, wal_bytes, "the write-ahead log can't be checkpointed");
            }
        }
    }

    /// Whether the journal goes on after `error`. SQLite reports a full disk before the last page
    /// of a transaction is in the log, so of one that is rolled back for it nothing ever appears.
    fn failed(&mut self, error: &rusqlite::Error) -> WriteError {
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                WriteError::Refused(reason)
            }
            _ => {
                tracing::error!(%error, "the journal is broken and takes no writes until it is reopened");
                self.broken = Some(reason.clone());
                WriteError::Broken(reason)
            }
        }
    }
}

/// The appends that wait right behind `first`, and the request after them if it is another.
fn gather(first: Append, inbox: &mut mpsc::Receiver<Request>) -> (Vec<Append>, Option<Request>) {
    let mut bytes = first.batch.len();
    let mut group = vec![first];
    while bytes < GROUP_BYTES_MAX {
        match inbox.try_recv() {
            Ok(Request::Append(append)) => {
                bytes += append.batch.len();
                group.push(append);
            }
            Ok(other) => return (group, Some(other)),
            Err(_) => break, // nothing waits
        }
    }
    (group, None)
}

// === impl Refusal ===

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Of a file beside the database: the database is sound.
impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Reason(error.to_string())
    }
}
