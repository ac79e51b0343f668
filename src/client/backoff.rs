//! How long to wait before coming back: a random time of a span that doubles, so that clients which were cut
//! off together don't come back together (full jitter).

use std::time::Duration;

/// Waits between attempts.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    /// The span of the next wait.
    span: Duration,
}

// === impl Backoff ===

impl Backoff {
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, span: first }
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let wait = self.span.mul_f64(fastrand::f64());
        self.span = (2 * self.span).min(self.max);
        wait
    }

    /// An attempt went well: the next failure is a first one.
    pub fn reset(&mut self) {
        self.span = self.first;
    }
}

impl Default for Backoff {
    /// From 0.1 to 10 seconds.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_double_up_to_the_greatest() {
        let mut backoff = Backoff::default();
        for span_ms in [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000] {
            assert_eq!(backoff.span, Duration::from_millis(span_ms));
            assert!(backoff.wait() <= Duration::from_millis(span_ms));
        }
        backoff.reset();
        assert_eq!(backoff.span, Duration::from_millis(100));
    }
}
