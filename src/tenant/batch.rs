//! What a journal batch says: the versions of one write, when we received them, and how far a feed has come.
//!
//! A stored batch is wire: batches of every earlier release stay readable. The journal frames it with
//! its format and a checksum; here are the canonical encodings of what lies inside.

use bytes::Bytes;
use minicbor::{Decode, Encode};

use super::feed::Checkpoint;
use crate::domain::calendar::Instant;
use crate::domain::record::Version;

/// Most records take no more: the bytes of a batch are seldom moved while it is encoded.
const USUAL_RECORD_BYTES: usize = 256;

/// The content of one batch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Envelope {
    #[n(1)]
    pub received_time: Instant,
    /// May be empty: a checkpoint can come alone.
    #[n(2)]
    pub versions: Vec<Version>,
    /// Every record that its feed sent before it lies in this batch or an earlier one.
    #[n(3)]
    pub checkpoint: Option<Checkpoint>,
}

/// A batch is whole in the journal's eyes, but isn't one of ours.
#[derive(Debug, thiserror::Error)]
#[error("the batch isn't an encoding of record versions: {0}")]
pub struct BatchError(#[from] minicbor::decode::Error);

// === impl Envelope ===

impl Envelope {
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(64 + USUAL_RECORD_BYTES * self.versions.len());
        minicbor::encode(self, &mut bytes).expect("writing to a Vec doesn't fail");
        bytes.into()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        Ok(minicbor::decode(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{PartnerId, SourceId};
    use crate::domain::record::{Record, State, VersionKey};

    fn envelope(checkpoint: Option<Checkpoint>) -> Envelope {
        let time = Instant::try_new(1_704_110_400, 0).expect("it is within range");
        let partner = PartnerId::try_new("P1").expect("it is an id");
        let key = VersionKey { update_time: time, sequence: 7 };
        let versions = vec![Version { key, record: Record::Partner(partner, State::Deleted(None)) }];
        Envelope { received_time: time, versions, checkpoint }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// As stored by releases before feeds, and by this one: a batch without a checkpoint has no trace of one.
    const WITHOUT: &str = "a2011b17a637614a0c8000028182821b17a637614a0c800007820182625031820180";
    const WITH: &str =
        "a3011b17a637614a0c8000028182821b17a637614a0c80000782018262503182018003826363726d4461742037";

    #[test]
    fn batches_of_every_release_are_read() {
        let source = SourceId::try_new("crm").expect("it is an id");
        let checkpoint = Checkpoint { source, place: b"at 7".to_vec() };
        for (golden, expected) in [(WITHOUT, envelope(None)), (WITH, envelope(Some(checkpoint)))] {
            assert_eq!(hex(&expected.encode()), golden);
            let bytes: Vec<u8> = (0..golden.len() / 2)
                .map(|at| u8::from_str_radix(&golden[2 * at..2 * at + 2], 16).expect("it is hex"))
                .collect();
            assert_eq!(Envelope::decode(&bytes).expect("it is one of ours"), expected);
        }
    }
}
