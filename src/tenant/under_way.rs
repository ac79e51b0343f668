//! Batches that this process is writing, kept as they were before they were encoded: the journal yields their
//! bytes soon, and decoding those would only make the same again.
//!
//! Invariants:
//! 1. A batch is handed out for the very bytes that it was encoded into, and for no others: bytes are told apart
//!    by where they lie, and while a batch is kept nothing else can lie there, since its bytes are kept with it.
//! 2. It is kept no longer than its write goes on. A batch that comes from elsewhere, or again, is decoded.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::batch::Envelope;

/// By the address of their bytes.
#[derive(Default)]
pub(super) struct UnderWay(Mutex<HashMap<usize, (Bytes, Envelope)>>);

/// Keeps a batch until it is dropped.
pub(super) struct Kept {
    under_way: Arc<UnderWay>,
    bytes: Bytes,
}

// === impl UnderWay ===

impl UnderWay {
    /// Keeps a batch. Returns the bytes to append, and what is to be held until that has ended.
    pub fn keep(self: &Arc<Self>, batch: Envelope) -> (Bytes, Kept) {
        let bytes = batch.encode();
        self.0.lock().insert(address(&bytes), (bytes.clone(), batch));
        (bytes.clone(), Kept { under_way: Arc::clone(self), bytes })
    }

    /// The batch that these bytes were made of, once.
    pub fn take(&self, bytes: &Bytes) -> Option<Envelope> {
        let mut kept = self.0.lock();
        // Part of a batch could begin where it begins.
        let is_whole = kept.get(&address(bytes)).is_some_and(|(kept, _)| kept.len() == bytes.len());
        if is_whole { kept.remove(&address(bytes)).map(|(_, batch)| batch) } else { None }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.under_way.0.lock().remove(&address(&self.bytes));
    }
}

fn address(bytes: &Bytes) -> usize {
    bytes.as_ptr().addr()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::arbitrary;
    use crate::domain::calendar::Instant;

    fn envelope() -> Envelope {
        Envelope { received_time: Instant::FIRST, versions: Vec::new(), checkpoint: None }
    }

    #[test]
    fn a_batch_is_handed_out_once_and_for_its_own_bytes_alone() {
        let under_way = Arc::new(UnderWay::default());
        let (bytes, kept) = under_way.keep(envelope());
        let (others, others_kept) = under_way.keep(envelope());
        assert_eq!(
            under_way.take(&Bytes::copy_from_slice(&bytes)),
            None,
            "they are equal, and lie elsewhere"
        );
        assert_eq!(under_way.take(&bytes.slice(..1)), None, "they are a part");
        assert_eq!(under_way.take(&bytes), Some(envelope()));
        assert_eq!(under_way.take(&bytes), None, "it was taken");
        drop((kept, others_kept));
        assert_eq!(under_way.take(&others), None, "its write has ended");
        assert!(under_way.0.lock().is_empty());
    }

    proptest! {
        /// What is handed out differs in nothing from what would be decoded.
        #[test]
        fn a_kept_batch_equals_the_decoded_one(versions in vec(arbitrary::version(), 0..4)) {
            let under_way = Arc::new(UnderWay::default());
            let (bytes, _kept) = under_way.keep(Envelope { versions, ..envelope() });
            let decoded = Envelope::decode(&bytes).expect("it is one of ours");
            prop_assert_eq!(under_way.take(&bytes), Some(decoded));
        }
    }
}
