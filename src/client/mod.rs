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

use tonic::body::Body as RequestBody;
use tonic::client::GrpcService;
use tonic::codegen::{Body, Bytes, StdError};

pub use backoff::Backoff;

/// Whatever a generated client runs on: a channel, or a sidecar in this process.
pub trait Service:
    GrpcService<
        RequestBody,
        Error: Into<StdError>,
        ResponseBody: Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
    > + Clone
{
}

impl<S> Service for S where
    S: GrpcService<
            RequestBody,
            Error: Into<StdError>,
            ResponseBody: Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
        > + Clone
{
}
