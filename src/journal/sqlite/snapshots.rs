//! The directory of snapshots: one file for each that is registered in the table `snapshot`.
//!
//! Invariants:
//! 1. A snapshot is whole, durable and has its name before it is registered. What isn't registered
//!    isn't there: it is removed when the journal is opened.
//! 2. One that is handed out has been checked to its end.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::snapshot::{SnapshotError, SnapshotReader, SnapshotWriter};
use super::super::{ReadError, Revision, SnapshotSink, StoredSnapshot};
use crate::domain::ids::TenantId;

/// What names a snapshot: its tenant's row id, which never returns, and the revision at which it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub tenant_id: i64,
    pub began_at: Revision,
}

#[derive(Clone, Debug)]
pub struct SnapshotDir {
    path: PathBuf,
}

/// A snapshot complete and durable, but for its name. Gone when dropped without having got it.
pub struct PartFile {
    path: PathBuf,
    file: File,
}

// === impl SnapshotDir ===

impl SnapshotDir {
    /// Makes the directory, and those above it that are missing.
    pub fn make(path: PathBuf) -> io::Result<Self> {
        make_durable_dir(&path)?;
        Ok(Self { path })
    }

    pub fn write(
        &self,
        tenant: &TenantId,
        began_at: Revision,
        fill: impl FnOnce(&mut SnapshotSink<'_>) -> io::Result<()>,
    ) -> io::Result<PartFile> {
        // Of the process, not of the journal: one that was closed may still be writing its last.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let path = self.path.join(format!("{}.part", COUNT.fetch_add(1, Ordering::Relaxed)));
        let part = PartFile { file: File::create_new(&path)?, path };
        let mut file = &part.file;
        let mut sink = SnapshotWriter::begin(&mut file as &mut dyn Write, tenant, began_at)?;
        fill(&mut sink)?;
        sink.finish()?;
        part.file.sync_all()?;
        Ok(part)
    }

    /// Gives a snapshot its name, durably.
    pub fn name(&self, part: &PartFile, key: Key) -> io::Result<()> {
        fs::rename(&part.path, self.path_of(key))?;
        sync_dir(&self.path)
    }

    /// The first undamaged one of `keys`. With none, the first error.
    pub fn first_undamaged(
        &self,
        tenant: &TenantId,
        keys: &[Key],
    ) -> Result<Option<StoredSnapshot>, ReadError> {
        let mut first_error = None;
        for key in keys {
            let path = self.path_of(*key);
            match open_verified(&path, tenant, key.began_at) {
                Ok(snapshot) => return Ok(Some(snapshot)),
                Err(source) => {
                    let name = path.display().to_string();
                    let error = ReadError::Snapshot { tenant: tenant.clone(), name, source };
                    tracing::error!(%error, "a snapshot is passed over");
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    /// Removes those that are no longer registered: what can't be removed now is at the next opening.
    pub fn remove(&self, keys: &[Key]) {
        for path in keys.iter().map(|key| self.path_of(*key)) {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an old snapshot can't be removed");
            }
        }
    }

    pub fn has_any(&self) -> io::Result<bool> {
        for entry in fs::read_dir(&self.path)? {
            if is_snapshot(&entry?.path()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub fn remove_unregistered(&self, registered: &HashSet<Key>) -> io::Result<()> {
        let registered: HashSet<PathBuf> = registered.iter().map(|key| self.path_of(*key)).collect();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let torn = path.extension().is_some_and(|extension| extension == "part");
            if (torn || is_snapshot(&path)) && !registered.contains(&path) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn path_of(&self, key: Key) -> PathBuf {
        self.path.join(format!("{}-{}.ckpi", key.tenant_id, key.began_at))
    }
}

// === impl PartFile ===

impl Drop for PartFile {
    fn drop(&mut self) {
        // Fails as it should if it was renamed; anything else is removed at the next opening.
        let _ = fs::remove_file(&self.path);
    }
}

fn is_snapshot(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "ckpi")
}

fn open_verified(
    path: &Path,
    tenant: &TenantId,
    began_at: Revision,
) -> Result<StoredSnapshot, SnapshotError> {
    let open = || {
        let input: Box<dyn Read + Send> = Box::new(BufReader::new(File::open(path)?));
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

/// Makes `dir` and those above it that are missing, so that a power cut doesn't take them back.
fn make_durable_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    make_durable_dir(parent)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_dir(parent),
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
