//! Where calls come in: TCP and Unix-domain sockets, and when binding one is refused.
//!
//! Invariants:
//! 1. Without credentials only this machine can call: TCP on loopback addresses, Unix sockets with
//!    mode 0600 from before the first connection.
//! 2. A socket file of a live process is never touched; one that a dead process left is replaced.
//!    Ours is removed when the listener is dropped.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixSocket, UnixStream};

/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: u32 = 1024;

/// An address to listen on: `127.0.0.1:7443`, `[::1]:0`, `unix:/run/channel-kpi.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be IP:PORT, such as 127.0.0.1:7443 or [::1]:7443, or unix:PATH")]
pub struct ListenError;

/// Why a server doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("there is nothing to listen on: give at least one address, such as 127.0.0.1:7443")]
    Nothing,
    #[error(
        "{0} can be reached from other machines, and nobody who calls has to identify himself: \
         listen on a loopback address such as 127.0.0.1:{port} or on unix:PATH, and let a proxy or \
         service mesh with its own authentication stand before it", port = .0.port()
    )]
    NotLoopback(SocketAddr),
    #[error("{} is in use: a live process answers there. Stop it or choose another path", .0.display())]
    Live(PathBuf),
    #[error("{} exists and is no socket: choose another path or remove the file", .0.display())]
    NotASocket(PathBuf),
    #[error("can't listen on {listen}: {source}")]
    Io { listen: Listen, source: io::Error },
}

// === impl Listen ===

impl Listen {
    /// What `--to` and generated clients take: a relative path is told from the root.
    pub fn url(&self) -> String {
        match self {
            Self::Tcp(address) => format!("http://{address}"),
            Self::Unix(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                format!("unix:{}", path.display())
            }
        }
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        match text.strip_prefix("unix:") {
            Some("") => Err(ListenError),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| ListenError),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound socket.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

pub(super) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

// === impl Listener ===

impl Listener {
    /// Must be called within a Tokio runtime.
    pub(super) fn bind(listen: &Listen) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { listen: listen.clone(), source };
        match listen {
            Listen::Tcp(address) if !address.ip().to_canonical().is_loopback() => {
                Err(BindError::NotLoopback(*address))
            }
            Listen::Tcp(address) => bind_tcp(*address).map(Self::Tcp).map_err(failed),
            Listen::Unix(path) => {
                make_way(path)?;
                bind_unix(path).map(|(listener, file)| Self::Unix(listener, file)).map_err(failed)
            }
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?; // small answers don't wait for the peer's ACK
                Ok(Accepted::Tcp(stream))
            }
            Self::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Accepted::Unix(stream)),
        }
    }

    /// The address as bound: with the port that the kernel chose.
    pub(super) fn local_addr(&self) -> Listen {
        match self {
            Self::Tcp(listener) => Listen::Tcp(listener.local_addr().expect("a bound socket has an address")),
            Self::Unix(_, file) => Listen::Unix(file.path.clone()),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?; // a restart doesn't wait for the old connections' TIME_WAIT
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Between `bind` and `listen` nobody can connect: that is when the mode is set.
fn bind_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile { path: path.into(), inode: fs::symlink_metadata(path)?.ino() };
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok((socket.listen(BACKLOG)?, file))
}

/// Removes a socket file behind which no process listens any more.
fn make_way(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { listen: Listen::Unix(path.into()), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NotASocket(path.into())),
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        // Also a full backlog or a socket that we may not open: somebody else's, in any case.
        Ok(_) | Err(_) => Err(BindError::Live(path.into())),
    }
}

/// Removes the socket's file when dropped, unless another socket has taken its place.
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // Nothing is lost if it stays: the next start replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}
