//! `serve`: the life of a sidecar, from its settings to its orderly stop.

use std::io::IsTerminal;
use std::path::PathBuf;

use channel_kpi::config::{Config, Flags};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::failure::Failure;
use super::{Ending, print};

/// Keep tenants' records and serve their figures.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ServeCommand {
    /// A file of settings (TOML): the names of the flags below, with _ for -.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Flags,
}

const AFTER_HELP: &str = "\
When calls are taken, a line on stdout says where, in the form that --to takes: serving at http://127.0.0.1:7443

Each setting can also come from the environment, as CKPI_ and its name (CKPI_DATA_DIR). Flags win over the environment,
which wins over the file.

SIGTERM or SIGINT stops the sidecar: it takes no new calls, ends those in work and exits with 0. The same signal again
cuts them. What was acknowledged is durable in any case. RUST_LOG=debug tells more on stderr.

Examples:
  channel-kpi serve --data-dir ./data
  channel-kpi serve --data-dir /var/lib/channel-kpi --listen 127.0.0.1:7443 --listen unix:/run/channel-kpi.sock";

impl ServeCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        log_to_stderr("info");
        #[allow(clippy::disallowed_methods)] // here the environment becomes the configuration
        let config = Config::load(self.config.as_deref(), |name| std::env::var(name).ok(), &self.settings)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        on_signals(stop.clone(), cut.clone())?;

        let sidecar = channel_kpi::open(config).await?;
        let server = sidecar.bind()?;
        for address in server.local_addrs() {
            // Whoever started us may have stopped listening; those who call are served all the same.
            let _ = print(&format!("serving at {}", address.url()));
        }
        let drained = sidecar.serve(server, stop, cut).await;
        if drained.cut_count > 0 {
            tracing::warn!("{} calls were cut: they didn't end within the drain's grace", drained.cut_count);
        }
        Ok(Ending::Done)
    }
}

/// Logs what RUST_LOG asks for, else what is as grave as `level`.
pub(super) fn log_to_stderr(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}

/// The first SIGTERM or SIGINT stops, the second one cuts.
pub(super) fn on_signals(stop: CancellationToken, cut: CancellationToken) -> Result<(), Failure> {
    let listen = |kind| signal(kind).map_err(|source| Failure::Runtime { source });
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        for token in [stop, cut] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(())
}
