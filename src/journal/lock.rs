//! The lock on a data directory: one process at a time, and the second learns who the first is.
//!
//! Invariants:
//! 1. The lock is the operating system's, on the open file `lock`: it ends with its holder, however
//!    that ends (kill -9 too). What the file says is for people; the file itself is never removed,
//!    or two processes could each lock a file of that name.
//! 2. Only the holder writes the file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

/// Held until dropped.
#[derive(Debug)]
pub struct DirLock {
    file: File,
}

/// Why a data directory can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("data directory {} is held by {}", dir.display(), holder)]
    Held { dir: PathBuf, holder: Holder },
    #[error("{} can't be locked: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Who holds a data directory, as far as the lock file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// It has not said yet who it is.
    Unnamed,
    /// It serves no address: a command, or a sidecar that is starting.
    Process { pid: u32 },
    /// It serves `url`, in the form that `--to` takes.
    Sidecar { pid: u32, url: String },
}

// === impl DirLock ===

impl DirLock {
    /// Takes the lock on `dir` at once or says who has it.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join("lock");
        let failed = |source| LockError::Io { path: path.clone(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false) // the holder's words, until the lock is ours
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let words = fs::read_to_string(&path).map_err(failed)?;
                return Err(LockError::Held { dir: dir.into(), holder: Holder::parse(&words) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let lock = Self { file };
        lock.write(&Holder::Process { pid: std::process::id() }).map_err(failed)?;
        Ok(lock)
    }

    /// Tells those who come later where this process listens, in the form that `--to` takes.
    pub fn announce(&self, url: &str) -> io::Result<()> {
        self.write(&Holder::Sidecar { pid: std::process::id(), url: url.into() })
    }

    fn write(&self, holder: &Holder) -> io::Result<()> {
        let words = match holder {
            Holder::Unnamed => String::new(),
            Holder::Process { pid } => format!("{pid}\n"),
            Holder::Sidecar { pid, url } => format!("{pid} {url}\n"),
        };
        let mut file = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(words.as_bytes())
    }
}

impl Drop for DirLock {
    /// Closing the file isn't enough: a child that is just being started has a copy of it.
    fn drop(&mut self) {
        let _ = self.file.unlock(); // if it fails, closing the file does it
    }
}

// === impl Holder ===

impl Holder {
    /// A line without its end is still being written and may be cut anywhere.
    fn parse(words: &str) -> Self {
        let Some(line) = words.strip_suffix('\n') else { return Self::Unnamed };
        let (pid, url) = line.split_once(' ').map_or((line, None), |(pid, url)| (pid, Some(url)));
        match (pid.parse(), url) {
            (Ok(pid), Some(url)) => Self::Sidecar { pid, url: url.into() },
            (Ok(pid), None) => Self::Process { pid },
            (Err(_), _) => Self::Unnamed,
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unnamed => f.write_str("another process: stop it"),
            Self::Process { pid } => write!(f, "process {pid}, which serves no address: stop it"),
            Self::Sidecar { pid, url } => {
                let address = url.strip_prefix("http://").unwrap_or(url);
                write!(f, "the sidecar at {address} (pid {pid}): use --to {url} or stop it")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_learns_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        let refused = || DirLock::acquire(dir.path()).unwrap_err().to_string();
        let held = format!("data directory {} is held by ", dir.path().display());

        let lock = DirLock::acquire(dir.path()).unwrap();
        assert_eq!(refused(), format!("{held}process {pid}, which serves no address: stop it"));
        lock.announce("http://127.0.0.1:7443").unwrap();
        assert_eq!(
            refused(),
            format!(
                "{held}the sidecar at 127.0.0.1:7443 (pid {pid}): use --to http://127.0.0.1:7443 or stop it"
            )
        );

        drop(lock);
        let lock = DirLock::acquire(dir.path()).unwrap();
        assert_eq!(refused(), format!("{held}process {pid}, which serves no address: stop it"));
        drop(lock);
    }

    #[test]
    fn half_written_words_name_nobody() {
        for (words, expected) in [
            ("", Holder::Unnamed),
            ("47", Holder::Unnamed),
            ("4711 http://127.0.0.1:74", Holder::Unnamed),
            ("x\n", Holder::Unnamed),
            ("4711\n", Holder::Process { pid: 4711 }),
            ("4711 unix:///run/ckpi\n", Holder::Sidecar { pid: 4711, url: "unix:///run/ckpi".into() }),
        ] {
            assert_eq!(Holder::parse(words), expected, "{words:?}");
        }
    }
}
