//! A sidecar: a store, its tenants and the stack that serves them, over sockets or in process.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::journal::Journal;
use crate::journal::sqlite::{OpenError, SqliteJournal};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::server::{BindError, Drained, Server, Stack};
use crate::service;
use crate::tenant::Tenants;

/// An open store with everything that answers questions about it.
///
/// ```no_run
/// use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let sidecar = channel_kpi::open(channel_kpi::config::Config::default()).await?;
/// let kpis = KpiServiceClient::new(sidecar.channel());
/// # drop(kpis);
/// sidecar.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Sidecar {
    config: Config,
    journal: Arc<SqliteJournal>,
    stack: Stack,
}

/// Opens the store in the configuration's data directory, which is made where there is none. Listens to
/// nothing: see [`Sidecar::bind`].
///
/// # Errors
/// Where the directory can't be used, or another process holds it: the error names the holder.
pub async fn open(config: Config) -> Result<Sidecar, OpenError> {
    let data_dir = config.data_dir.clone();
    let opened = tokio::task::spawn_blocking(move || SqliteJournal::open(&data_dir)).await;
    let journal = Arc::new(opened.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?);
    let tenants = Arc::new(Tenants::new(Arc::clone(&journal), config.limits.snapshot_after_bytes as usize));
    let routes = service::routes(tenants, &config.limits);
    let stack = Stack::new(routes, &[FILE_DESCRIPTOR_SET], &config.limits);
    Ok(Sidecar { config, journal, stack })
}

// === impl Sidecar ===

impl Sidecar {
    /// What the generated clients take in place of a network channel: the same stack as behind a socket,
    /// with the same deadlines, limits and errors, without a copy on a wire.
    pub fn channel(&self) -> Stack {
        self.stack.clone()
    }

    /// Binds the configuration's addresses, and tells who finds the data directory held where to call.
    pub fn bind(&self) -> Result<Server, BindError> {
        let server = Server::bind(&self.config.listen, self.stack.clone(), &self.config.limits)?;
        if let Some(first) = server.local_addrs().first()
            && let Err(error) = self.journal.announce(&first.url())
        {
            tracing::warn!(%error, "the lock of the data directory can't be told the address");
        }
        Ok(server)
    }

    /// Serves a bound server until `stop`, drains it, and closes the store. `cut` ends every wait.
    pub async fn serve(self, server: Server, stop: CancellationToken, cut: CancellationToken) -> Drained {
        let drained = server.run(stop, cut).await;
        self.close().await;
        drained
    }

    /// The orderly end: calls in work finish within the grace, what was accepted is durable, and the
    /// data directory is released.
    pub async fn close(self) {
        self.stack.leave();
        self.stack.close();
        // Whoever is still in work after the grace is answered that the server is stopping.
        let _ = tokio::time::timeout(self.config.limits.drain_grace, self.stack.idle()).await;
        self.journal.close().await;
    }
}
