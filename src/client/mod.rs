//! Clients of the streams: models for those in other languages.
//!
//! gRPC repeats a unary call that found nobody, but never a stream that has begun. So a stream needs a client that
//! opens the next one, goes on where the last one ended, and notices what can't be right.
//!
//! They are callers like any other: they know wire types only, and take any tonic service: a channel, or
//! [`Sidecar::channel`](crate::Sidecar::channel) in process.

mod backoff;
pub mod ingest;
pub mod watch;

pub use backoff::Backoff;
