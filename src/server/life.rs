//! The life of a stream: how long it may last, and how it learns that the server stops.
//!
//! Streams end themselves, with a message that says so and the status OK: connections that are cut, and
//! GOAWAY frames, don't reach every client through every proxy. No deadline bounds them but the client's.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::proto::channelkpi::v1::{GoingAway, GoingAwayReason};

use super::health::Stage;

/// How far ages lie apart from each other, so that streams which began together don't end together.
const AGE_JITTER: f64 = 0.1;

/// What a stream's handler finds in the extensions of its request.
#[derive(Clone)]
pub struct Life {
    stage: watch::Receiver<Stage>,
    ends_at: Instant,
    reset: CancellationToken,
}

/// Why a stream's time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It is as old as a stream may get: the client opens another, here or at another replica.
    MaxAge,
    /// The server stops.
    Draining,
}

// === impl Life ===

impl Life {
    /// Of a stream that begins now.
    pub(super) fn begin(stage: watch::Receiver<Stage>, age_max: Duration) -> Self {
        let factor = 1.0 - AGE_JITTER + 2.0 * AGE_JITTER * fastrand::f64();
        Self { stage, ends_at: Instant::now() + age_max.mul_f64(factor), reset: CancellationToken::new() }
    }

    /// Waits until the stream should end. It has the drain's grace to say what is left to say.
    pub async fn over(&mut self) -> Over {
        tokio::select! {
            biased;
            _ = self.stage.wait_for(|stage| *stage == Stage::Closed) => Over::Draining,
            () = sleep_until(self.ends_at) => Over::MaxAge,
        }
    }

    /// Resets a stream whose time is over and whose client leaves that unread for so long. To be kept as long as
    /// the stream.
    pub fn guarded(&self, unread_max: Duration) -> AbortOnDropHandle<()> {
        let mut life = self.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            life.over().await;
            sleep(unread_max).await;
            life.reset();
        }))
    }

    /// Ends the stream from outside: for a client that reads nothing, so that no last message reaches it.
    pub fn reset(&self) {
        self.reset.cancel();
    }

    /// Cancelled once the stream is to be reset.
    pub(super) fn resets(&self) -> CancellationToken {
        self.reset.clone()
    }
}

// === impl Over ===

impl Over {
    /// The last message of a stream. Clients come back one after the other, not all at once.
    pub fn going_away(self, resume_token: String) -> GoingAway {
        let (reason, most) = match self {
            Self::MaxAge => (GoingAwayReason::MaxAge, Duration::from_secs(1)),
            // By then a load balancer knows.
            Self::Draining => (GoingAwayReason::Draining, Duration::from_secs(3)),
        };
        let retry_after = most.mul_f64(fastrand::f64());
        GoingAway { resume_token, reason: reason.into(), retry_after: retry_after.try_into().ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_life_ends_within_a_tenth_of_its_age_or_with_the_server() {
        let (stage, stages) = watch::channel(Stage::Serving);
        let age_max = Duration::from_secs(1_800);
        for _ in 0..100 {
            let began_at = Instant::now();
            assert_eq!(Life::begin(stages.clone(), age_max).over().await, Over::MaxAge);
            let age = began_at.elapsed();
            let (least, most) = (age_max.mul_f64(0.9), age_max.mul_f64(1.1) + Duration::from_millis(1));
            assert!((least..=most).contains(&age), "{age:?}");
        }
        let mut life = Life::begin(stages, age_max);
        stage.send_replace(Stage::Leaving);
        assert!(futures_util::FutureExt::now_or_never(life.over()).is_none(), "leaving, it still serves");
        stage.send_replace(Stage::Closed);
        assert_eq!(life.over().await, Over::Draining);
    }
}
