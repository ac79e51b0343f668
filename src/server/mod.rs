//! Sockets in, one stack, and an orderly stop.
//!
//! [`Stack`] is what every call goes through; generated clients take it directly, without a socket:
//! `KpiServiceClient::new(stack)`. [`Server`] puts sockets before it.
//!
//! The stop, in this order, each step bounded:
//! 1. Health reports NOT_SERVING; calls are taken as before for `drain_delay`, until load balancers
//!    have noticed.
//! 2. New calls are refused with SERVER_DRAINING, no connection is accepted, the open ones are told
//!    to end (GOAWAY).
//! 3. Calls in work have `drain_grace` to end.
//! 4. What is left is cut.

mod admission;
mod call;
mod connection;
mod deadline;
mod errors;
mod health;
mod life;
mod listen;
mod methods;
mod request_id;
mod stack;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use life::{Life, Over};
pub use listen::{BindError, Listen, ListenError};
pub use stack::{Answering, CKPI_TENANT, DEFAULT_TENANT, Stack};

use crate::config::Limits;
use connection::Connections;
use listen::{Accepted, Listener};

/// How long to wait after a failed `accept`: without file descriptors it fails at once, for long.
const ACCEPT_RETRY_AFTER: Duration = Duration::from_millis(50);
/// How long tasks may take to notice that their socket is gone. A handler that blocks its thread
/// doesn't notice, and doesn't hold up the end of the process.
const CUT_NOTICED_WITHIN: Duration = Duration::from_secs(1);

/// Bound sockets before a stack.
pub struct Server {
    listeners: Vec<Listener>,
    stack: Stack,
    limits: Arc<Limits>,
}

/// How a server's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Calls and streams that were still in work when the grace was over.
    pub cut_count: usize,
}

// === impl Server ===

impl Server {
    /// Binds every address, or none. Must be called within a Tokio runtime.
    pub fn bind(listen: &[Listen], stack: Stack, limits: &Limits) -> Result<Self, BindError> {
        if listen.is_empty() {
            return Err(BindError::Nothing);
        }
        let listeners = listen.iter().map(Listener::bind).collect::<Result<_, _>>()?;
        Ok(Self { listeners, stack, limits: Arc::new(limits.clone()) })
    }

    /// The addresses as bound, in the order given: port 0 has become the port that was free.
    pub fn local_addrs(&self) -> Vec<Listen> {
        self.listeners.iter().map(Listener::local_addr).collect()
    }

    /// Serves until `stop`, then drains. `cut` ends every wait of that at once.
    pub async fn run(self, stop: CancellationToken, cut: CancellationToken) -> Drained {
        let connections = Connections {
            stack: self.stack,
            limits: self.limits.clone(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            cut: cut.child_token(),
        };
        let places = Arc::new(Semaphore::new(self.limits.connections_max as usize));
        for listener in self.listeners {
            let accepting = accept(listener, places.clone(), connections.clone());
            connections.tasks.spawn(connections.closing.clone().run_until_cancelled_owned(accepting));
        }
        cut.run_until_cancelled(stop.cancelled()).await;
        drain(&connections, &self.limits).await
    }
}

async fn accept(listener: Listener, places: Arc<Semaphore>, connections: Connections) {
    loop {
        let accepted = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                sleep(ACCEPT_RETRY_AFTER).await;
                continue;
            }
        };
        // Taken after the accept: a listener that waits for a caller would keep a place from the others.
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        let connections_of_task = connections.clone();
        connections.tasks.spawn(async move {
            match accepted {
                Accepted::Tcp(socket) => connections_of_task.serve(socket).await,
                Accepted::Unix(socket) => connections_of_task.serve(socket).await,
            }
            drop(place);
        });
    }
}

async fn drain(connections: &Connections, limits: &Limits) -> Drained {
    let Connections { stack, tasks, closing, cut, .. } = connections;
    stack.leave();
    cut.run_until_cancelled(sleep(limits.drain_delay)).await;
    stack.close();
    closing.cancel();
    tasks.close();
    let ended = async { tokio::join!(tasks.wait(), stack.idle()) };
    // Times out, is cut, or everything has ended: what counts is what is left.
    let _ = cut.run_until_cancelled(timeout(limits.drain_grace, ended)).await;
    let cut_count = stack.in_work_count();
    cut.cancel();
    if timeout(CUT_NOTICED_WITHIN, tasks.wait()).await.is_err() {
        tracing::warn!(count = tasks.len(), "handlers don't notice that their calls were cut");
    }
    Drained { cut_count }
}
