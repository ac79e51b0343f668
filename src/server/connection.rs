//! One connection: HTTP/2 over a socket that can't be held open or clogged for ever.
//!
//! What is bounded here because hyper bounds it nowhere, or only while the peer reads:
//! 1. A peer that doesn't begin to speak, and one that takes no byte of what is sent ([`Watched`]).
//! 2. A call whose client doesn't read: its deadline in the stack is only looked at when the body is
//!    polled, which hyper doesn't do without room to send. So each stream with a deadline is also
//!    dropped from outside ([`Streams`]), which resets it; so is one whose handler gave its client up.
//!
//! Dropping the connection ends its streams: their tasks are told by h2 and drop the handlers.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::Service;

use super::stack::Stack;
use crate::config::Limits;

const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Larger than a stream's, or one unread request would hold up all others.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// What hyper may queue for a stream whose client doesn't read.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// The length of the HTTP/2 preface. A shorter HTTP/1 request is answered before it matters.
const FIRST_BYTES: usize = 24;
/// How much later than its deadline a stream is reset: the status had its chance to be read.
const RESET_SLACK: Duration = Duration::from_millis(500);

/// What all connections of a server share.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) stack: Stack,
    pub(super) limits: Arc<Limits>,
    /// All tasks of all connections, their streams included.
    pub(super) tasks: TaskTracker,
    /// Cancelled: calls in work end, new ones are refused, then the connection closes.
    pub(super) closing: CancellationToken,
    /// Cancelled: the socket is dropped.
    pub(super) cut: CancellationToken,
}

// === impl Connections ===

impl Connections {
    pub(super) async fn serve(self, socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let streams = Streams { tasks: self.tasks.clone(), next: Arc::default() };
        let next = streams.next.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answering = (request.version() == Version::HTTP_2).then(|| {
                let answering = self.stack.clone().call(request.map(Body::new));
                *next.lock() = Reset {
                    at: answering.deadline().map(|deadline| deadline + RESET_SLACK),
                    when: answering.reset().cloned(),
                };
                answering
            });
            async move {
                match answering {
                    Some(answering) => answering.await,
                    None => Ok(http1_explained()),
                }
            }
        });
        let builder = protocol(streams, &self.limits);
        let socket = TokioIo::new(Watched::new(socket, &self.limits));
        let mut connection = pin!(builder.serve_connection(socket, service));
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = self.cut.cancelled() => return,
            () = self.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = self.cut.cancelled() => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection broke");
        }
    }
}

fn protocol(streams: Streams, limits: &Limits) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.first_bytes_timeout)
        .keep_alive(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .adaptive_window(false)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_concurrent_streams(limits.streams_per_connection_max)
        .max_header_list_size(limits.header_list_bytes_max)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout);
    builder
}

/// For whoever tries this port with a browser or curl.
fn http1_explained() -> Response<Body> {
    let text = "This is channel-kpi. It speaks gRPC, over HTTP/2 without TLS; this was HTTP/1.\n\
                Call it with a gRPC client, for instance: grpcurl -plaintext HOST:PORT list\n";
    let mut response = Response::new(Body::new(http_body_util::Full::from(text)));
    *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("h2c"));
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade, close"));
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Runs the streams of one connection as tasks. hyper calls the service and hands the stream over
/// back to back in the connection's task: the slot tells each stream its time.
#[derive(Clone)]
struct Streams {
    tasks: TaskTracker,
    next: Arc<Mutex<Reset>>,
}

/// What ends a stream from outside.
#[derive(Default)]
struct Reset {
    at: Option<Instant>,
    when: Option<CancellationToken>,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        match std::mem::take(&mut *self.next.lock()) {
            Reset { at: None, when: None } => drop(self.tasks.spawn(stream)),
            Reset { at: Some(at), when: None } => drop(self.tasks.spawn(timeout_at(at, stream))),
            Reset { at: None, when: Some(when) } => {
                drop(self.tasks.spawn(when.run_until_cancelled_owned(stream)));
            }
            Reset { at: Some(at), when: Some(when) } => {
                drop(self.tasks.spawn(timeout_at(at, when.run_until_cancelled_owned(stream))));
            }
        }
    }
}

/// A socket that fails when its peer doesn't begin to speak, or takes nothing, for too long.
struct Watched<S> {
    socket: S,
    bytes_in: usize,
    /// Runs until the first bytes are here.
    first_bytes: Option<Pin<Box<Sleep>>>,
    /// Runs while the socket takes nothing.
    write_stall: Option<Pin<Box<Sleep>>>,
    write_stall_timeout: Duration,
}

// === impl Watched ===

impl<S> Watched<S> {
    fn new(socket: S, limits: &Limits) -> Self {
        Self {
            socket,
            bytes_in: 0,
            first_bytes: Some(Box::pin(sleep(limits.first_bytes_timeout))),
            write_stall: None,
            write_stall_timeout: limits.write_stall_timeout,
        }
    }

    fn watch_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_stall = None;
            return written;
        }
        let timeout = self.write_stall_timeout;
        let stall = self.write_stall.get_or_insert_with(|| Box::pin(sleep(timeout)));
        match stall.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Err(timed_out("the peer takes nothing of what is sent"))),
        }
    }
}

fn timed_out(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, message)
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled_before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if let Some(first_bytes) = &mut self.first_bytes {
            let late = first_bytes.as_mut().poll(cx).is_ready();
            self.bytes_in += buffer.filled().len() - filled_before;
            if self.bytes_in >= FIRST_BYTES {
                self.first_bytes = None;
            } else if late {
                return Poll::Ready(Err(timed_out("the peer doesn't begin to speak")));
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watch_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.watch_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
