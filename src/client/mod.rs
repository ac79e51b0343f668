//! Clients of streams: what the generated ones leave to the caller, which is to come back.

mod backoff;
pub mod ingest;

pub use backoff::Backoff;
