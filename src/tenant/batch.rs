//! What a journal batch says: the versions of one write, and when we received them.
//!
//! A stored batch is wire: batches of every earlier release stay readable. The journal frames it with
//! its format and a checksum; here are the canonical encodings of what lies inside.

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::domain::calendar::Instant;
use crate::domain::record::{Version, canonical};

#[derive(Encode, Decode)]
#[cbor(map)]
struct Envelope {
    #[n(1)]
    received_time: Instant,
    #[n(2)]
    versions: Vec<Version>,
}

/// A batch is whole in the journal's eyes, but isn't one of ours.
#[derive(Debug, thiserror::Error)]
#[error("the batch isn't an encoding of record versions: {0}")]
pub struct BatchError(#[from] minicbor::decode::Error);

pub fn encode(received_time: Instant, versions: Vec<Version>) -> Bytes {
    canonical(&Envelope { received_time, versions }).into()
}

pub fn decode(bytes: &[u8]) -> Result<(Instant, Vec<Version>), BatchError> {
    let Envelope { received_time, versions } = minicbor::decode(bytes)?;
    Ok((received_time, versions))
}
