//! The clock: what time it is, and when a time has come.
//!
//! The server reads no other, so that a test which holds its hands sees midnights, months' ends and
//! daylight saving as they come.

use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;

use crate::domain::calendar::Instant;

/// A sleep is looked at again after so long: the machine may have slept, or its clock been set.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Cheap to clone; all clones tell the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    /// The machine's.
    #[default]
    System,
    ByHand(watch::Receiver<Instant>),
}

/// Sets a clock that moves by hand alone.
#[derive(Debug)]
pub struct ClockHands(watch::Sender<Instant>);

// === impl Clock ===

impl Clock {
    /// A clock that stands at `now` until it is set.
    pub fn by_hand(now: SystemTime) -> (Self, ClockHands) {
        let (hands, shown) = watch::channel(now.into());
        (Self(Source::ByHand(shown)), ClockHands(hands))
    }

    pub(crate) fn now(&self) -> Instant {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
            Source::System => SystemTime::now().into(),
            Source::ByHand(shown) => *shown.borrow(),
        }
    }

    /// Waits until a time has come.
    pub(crate) async fn reach(&mut self, instant: Instant) {
        if let Source::ByHand(shown) = &mut self.0 {
            if shown.wait_for(|now| *now >= instant).await.is_err() {
                std::future::pending().await // nobody sets it any more
            }
            return;
        }
        while let Some(left) = instant.since(self.now()) {
            sleep(left.min(LOOK_AGAIN_AFTER)).await;
        }
    }
}

// === impl ClockHands ===

impl ClockHands {
    /// Sets the clock, forward or back.
    pub fn set(&self, now: SystemTime) {
        self.0.send_replace(now.into());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_clock_by_hand_stands_until_it_is_set() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let (mut clock, hands) = Clock::by_hand(at(100));
        assert_eq!(clock.now(), at(100).into());
        clock.reach(at(100).into()).await;
        assert!(clock.reach(at(101).into()).now_or_never().is_none());
        hands.set(at(99));
        assert_eq!(clock.now(), at(99).into());
        hands.set(at(101));
        clock.reach(at(101).into()).await;
    }

    #[tokio::test]
    async fn the_machines_clock_reaches_what_has_passed() {
        let mut clock = Clock::default();
        let now = clock.now();
        clock.reach(now).await;
    }
}
