//! The tables: opening the database, and every SQL statement that asks or changes it.
//!
//! Invariants:
//! 1. A file that isn't ours, or is from a newer version, is not changed.
//! 2. Rows of a tenant up to `truncated_through`, and all rows of a tenant without a name, are
//!    logically gone: no question sees them. `sweep` removes them, a few at a time.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};

use super::super::{Revision, StoreId};
use super::OpenError;
use super::commit::Refusal;
use super::snapshots::Key;
use crate::domain::ids::TenantId;

const APPLICATION_ID: i32 = i32::from_be_bytes(*b"CKPI");
pub const FORMAT: i32 = 1;
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

pub const SWEEP_BATCHES_MAX: usize = 256;
/// Only another program (a person with `sqlite3`) can hold us up, and a write can be repeated.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

impl Revision {
    /// No batch comes after it: SQLite's row ids are signed.
    pub(super) const LAST: Self = Self(i64::MAX as u64);
}

// === Opening ===

/// Opens or makes the database; one that isn't ours stays as it is.
pub fn open(path: &Path) -> Result<Connection, OpenError> {
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

pub fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(path, flags)?;
    reader.busy_timeout(BUSY_TIMEOUT)?;
    Ok(reader)
}

/// Does what deletions had left when the process ended.
pub fn finish_deletions(db: &Connection) -> rusqlite::Result<()> {
    let mut deleted = db.prepare("SELECT id FROM tenant WHERE name IS NULL")?;
    let deleted = deleted.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    for tenant_id in deleted {
        while sweep(db, tenant_id, Revision::LAST)? == SWEEP_BATCHES_MAX {}
    }
    forget_deleted(db)
}

// === Questions and changes, each within the caller's transaction ===

pub fn revision(column: i64) -> Revision {
    Revision(column.cast_unsigned())
}

fn key(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key { tenant_id: row.get(0)?, began_at: revision(row.get(1)?) })
}

fn tenant_from(name: &str) -> rusqlite::Result<TenantId> {
    TenantId::try_new(name)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into()))
}

pub fn store_id(db: &Connection) -> rusqlite::Result<StoreId> {
    db.query_row("SELECT id FROM store", [], |row| Ok(StoreId(row.get::<_, i64>(0)?.cast_unsigned())))
}

/// Every tenant's last revision, truncated or not.
pub fn heads(db: &Connection) -> rusqlite::Result<Vec<(TenantId, Revision)>> {
    let sql = "SELECT name, max(truncated_through, ifnull(
                   (SELECT max(revision) FROM batch WHERE tenant_id = tenant.id), 0))
               FROM tenant WHERE name IS NOT NULL";
    let mut heads = db.prepare(sql)?;
    let heads =
        heads.query_map([], |row| Ok((tenant_from(row.get_ref(0)?.as_str()?)?, revision(row.get(1)?))))?;
    heads.collect()
}

pub fn names(db: &Connection) -> rusqlite::Result<Vec<TenantId>> {
    let mut names = db.prepare_cached("SELECT name FROM tenant WHERE name IS NOT NULL ORDER BY name")?;
    let names = names.query_map([], |row| tenant_from(row.get_ref(0)?.as_str()?))?;
    names.collect()
}

fn tenant_id(db: &Connection, tenant: &TenantId) -> rusqlite::Result<Option<i64>> {
    let mut id = db.prepare_cached("SELECT id FROM tenant WHERE name = ?1")?;
    id.query_row([tenant.as_str()], |row| row.get(0)).optional()
}

pub fn tenant_id_or_new(db: &Connection, tenant: &TenantId) -> rusqlite::Result<i64> {
    match tenant_id(db, tenant)? {
        Some(id) => Ok(id),
        None => {
            db.execute("INSERT INTO tenant (name) VALUES (?1)", [tenant.as_str()])?;
            Ok(db.last_insert_rowid())
        }
    }
}

pub fn snapshots(db: &Connection) -> rusqlite::Result<HashSet<Key>> {
    let mut snapshots = db.prepare("SELECT tenant_id, began_at FROM snapshot")?;
    let snapshots = snapshots.query_map([], key)?;
    snapshots.collect()
}

/// Those of `tenant` whose batches after them are all here.
pub fn snapshots_newest_first(db: &Connection, tenant: &TenantId) -> rusqlite::Result<Vec<Key>> {
    let sql = "SELECT tenant_id, began_at FROM snapshot JOIN tenant ON tenant.id = tenant_id
               WHERE name = ?1 AND began_at >= truncated_through ORDER BY began_at DESC";
    let mut snapshots = db.prepare_cached(sql)?;
    let snapshots = snapshots.query_map([tenant.as_str()], key)?;
    snapshots.collect()
}

pub fn register_snapshot(tx: &Connection, key: Key) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO snapshot (tenant_id, began_at) VALUES (?1, ?2)";
    tx.execute(sql, params![key.tenant_id, key.began_at.0.cast_signed()]).map(|_| ())
}

/// The tenant's row id, and the snapshots that are of no more use.
pub fn truncate(tx: &Connection, tenant: &TenantId, through: Revision) -> Result<(i64, Vec<Key>), Refusal> {
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
pub fn delete(tx: &Connection, tenant: &TenantId) -> rusqlite::Result<Option<(i64, Vec<Key>)>> {
    let Some(tenant_id) = tenant_id(tx, tenant)? else { return Ok(None) };
    tx.execute("UPDATE tenant SET name = NULL WHERE id = ?1", [tenant_id])?;
    Ok(Some((tenant_id, unregister_snapshots(tx, tenant_id, Revision::LAST)?)))
}

fn unregister_snapshots(tx: &Connection, tenant_id: i64, before: Revision) -> rusqlite::Result<Vec<Key>> {
    let sql = "DELETE FROM snapshot WHERE tenant_id = ?1 AND began_at < ?2 RETURNING tenant_id, began_at";
    let mut old = tx.prepare_cached(sql)?;
    let old = old.query_map([tenant_id, before.0.cast_signed()], key)?;
    old.collect()
}

/// Removes some batches that are logically gone; fewer than `SWEEP_BATCHES_MAX` were the last.
pub fn sweep(db: &Connection, tenant_id: i64, through: Revision) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM batch WHERE revision IN
               (SELECT revision FROM batch WHERE tenant_id = ?1 AND revision <= ?2 LIMIT ?3)";
    let mut swept = db.prepare_cached(sql)?;
    swept.execute(params![tenant_id, through.0.cast_signed(), SWEEP_BATCHES_MAX as i64])
}

/// Forgets the rows of deleted tenants that have no more batches.
pub fn forget_deleted(db: &Connection) -> rusqlite::Result<()> {
    let sql = "DELETE FROM tenant WHERE name IS NULL
               AND NOT EXISTS (SELECT * FROM batch WHERE tenant_id = tenant.id)";
    db.execute(sql, []).map(|_| ())
}
