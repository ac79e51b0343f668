//! One call under way: from its admission to the last byte of its answer.
//!
//! Invariants:
//! 1. Everything that a call holds (its permit, its place among the calls in work) it holds until its
//!    answer has ended, whichever way: sent whole, failed, out of time, or left by its client.
//! 2. A panic, in the handler or in the stream of its answer, ends this call with INTERNAL and
//!    nothing else.
//! 3. One log line per call, when it has ended: method, code, duration. The request id is on the span
//!    around everything that is logged for the call. No tenant, no record id and no payload is logged.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::Span;

use super::admission::Permit;
use super::deadline::{self, Phase};
use super::errors;
use super::methods::Method;

pub(super) struct Call {
    pub(super) span: Span,
    pub(super) started_at: Instant,
    pub(super) deadline: Option<Instant>,
    pub(super) message_in_bytes_max: u32,
    /// None: the path names no method of ours.
    pub(super) method: Option<Arc<Method>>,
    /// None until the answer tells.
    pub(super) code: Option<Code>,
    pub(super) _permit: Option<Permit>,
    pub(super) _in_work: TaskTrackerToken,
}

// === impl Call ===

impl Call {
    /// Polls a part of the call's work: within its span, its panics caught.
    pub(super) fn guard<T>(&self, poll: impl FnOnce() -> Poll<T>) -> Poll<Result<T, Status>> {
        self.span.in_scope(|| match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(outcome)) => Poll::Ready(Ok(outcome)),
            Err(panic) => {
                tracing::error!(panic = panic_text(panic.as_ref()), "a call panicked");
                Poll::Ready(Err(errors::internal()))
            }
        })
    }

    /// Reads the status in headers or trailers, and makes it ours where it isn't.
    pub(super) fn adopt_status(&mut self, headers: &mut HeaderMap) {
        let span = self.span.clone();
        self.code = span.in_scope(|| errors::adopt(headers, self.message_in_bytes_max));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled); // the client left before the end
        let method = self.method.as_ref().map_or("_OTHER", |method| &method.name);
        let duration_ms = self.started_at.elapsed().as_secs_f64() * 1e3;
        self.span.in_scope(|| match code {
            Code::Ok => tracing::debug!(rpc.method = method, rpc.status_code = ?code, duration_ms, "call"),
            _ => tracing::info!(rpc.method = method, rpc.status_code = ?code, duration_ms, "call"),
        });
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "(no text)",
    }
}

/// The body of an answer: the handler's, with the call's deadline, errors and end watched.
pub(super) struct Answer {
    /// None once the answer has ended.
    under_way: Option<(Body, Call)>,
    /// Set when the handler's stream first has nothing to send.
    alarm: Option<Pin<Box<Sleep>>>,
}

// === impl Answer ===

impl Answer {
    pub(super) fn new(body: Body, call: Call) -> Self {
        Self { under_way: Some((body, call)), alarm: None }
    }

    /// The call's last word. Frees what it holds at once: the client may keep the stream for long.
    fn end(&mut self, status: Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers).expect("our own texts are encoded for headers");
        if let Some((_, call)) = &mut self.under_way {
            call.adopt_status(&mut trailers);
        }
        self.under_way = None;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Answer { under_way, alarm } = &mut *self;
        let Some((body, call)) = under_way else { return Poll::Ready(None) };
        // Looked at on every frame: a stream that always has one would never be late otherwise.
        if call.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return self.end(deadline::exceeded(Phase::Answer));
        }
        match call.guard(|| Pin::new(body).poll_frame(cx)) {
            Poll::Pending => {
                let Some(deadline) = call.deadline else { return Poll::Pending };
                let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                match alarm.as_mut().poll(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => self.end(deadline::exceeded(Phase::Answer)),
                }
            }
            Poll::Ready(Ok(Some(Ok(frame)))) => match frame.into_trailers() {
                Ok(mut trailers) => {
                    call.adopt_status(&mut trailers);
                    *under_way = None;
                    Poll::Ready(Some(Ok(Frame::trailers(trailers))))
                }
                Err(data) => Poll::Ready(Some(Ok(data))),
            },
            Poll::Ready(Ok(None)) => {
                *under_way = None;
                Poll::Ready(None)
            }
            Poll::Ready(Ok(Some(Err(status))) | Err(status)) => self.end(status),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.under_way.as_ref().is_none_or(|(body, _)| body.is_end_stream())
    }
}
