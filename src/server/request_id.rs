//! Request ids: what a user quotes and an operator finds in the log.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderValue};

pub(super) const X_REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-request-id");

const LENGTH_MAX: usize = 128;

/// Makes ids that don't repeat: those of one process count up from a random beginning.
pub(super) struct RequestIds {
    process: u64,
    made: AtomicU64,
}

// === impl RequestIds ===

impl RequestIds {
    pub(super) fn new() -> Self {
        Self { process: RandomState::new().hash_one(std::process::id()), made: AtomicU64::new(0) }
    }

    /// The caller's id if it is 1 to 128 visible ASCII characters, else a new one.
    pub(super) fn take_over_or_make(&self, headers: &HeaderMap) -> HeaderValue {
        let given = headers.get(X_REQUEST_ID).filter(|given| {
            (1..=LENGTH_MAX).contains(&given.len()) && given.as_bytes().iter().all(u8::is_ascii_graphic)
        });
        let mut id = given.cloned().unwrap_or_else(|| self.make());
        // Else every new value would push a useful one out of the connection's header table.
        id.set_sensitive(true);
        id
    }

    fn make(&self) -> HeaderValue {
        let count = self.made.fetch_add(1, Ordering::Relaxed);
        HeaderValue::from_str(&format!("{:016x}-{count:x}", self.process))
            .expect("hex digits are visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_ids_are_taken_over_and_others_replaced() {
        let ids = RequestIds::new();
        let longest = "x".repeat(128);
        let too_long = "x".repeat(129);
        for (given, expected_taken) in [
            ("7", true),
            ("a-B_9/=", true),
            (&longest, true),
            (&too_long, false),
            ("", false),
            ("a b", false),
        ] {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(given).unwrap())]);
            assert_eq!(ids.take_over_or_make(&headers) == given, expected_taken, "{given:?}");
        }
        let none = HeaderMap::new();
        assert_ne!(ids.take_over_or_make(&none), ids.take_over_or_make(&none));
        assert!(ids.take_over_or_make(&none).is_sensitive());
    }
}
