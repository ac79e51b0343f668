//! How long to wait before the next attempt: any time up to a bound that doubles with each failure ("full jitter").
//!
//! Clients that lost the same server at the same moment thus don't come back to it at the same moment.

use std::time::Duration;

/// The waits between attempts.
#[derive(Clone, Debug)]
pub struct Backoff {
    bound: Duration,
}

// === impl Backoff ===

impl Backoff {
    const BOUND_FIRST: Duration = Duration::from_millis(100);
    const BOUND_MAX: Duration = Duration::from_secs(10);

    pub fn new() -> Self {
        Self { bound: Self::BOUND_FIRST }
    }

    /// How long to wait now.
    pub fn wait(&mut self) -> Duration {
        let bound = self.bound;
        self.bound = (bound * 2).min(Self::BOUND_MAX);
        bound.mul_f64(fastrand::f64())
    }

    /// It worked: the next failure is the first one.
    pub fn reset(&mut self) {
        self.bound = Self::BOUND_FIRST;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_ten_seconds() {
        let mut backoff = Backoff::new();
        for bound_ms in [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000] {
            assert!(backoff.wait() <= Duration::from_millis(bound_ms));
        }
        backoff.reset();
        assert!(backoff.wait() <= Duration::from_millis(100));
    }
}
