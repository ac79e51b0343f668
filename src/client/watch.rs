//! A board watched live: an assembled board after each change, over as many streams as it takes.
//!
//! ```text
//! open ─→ messages ─→ Assembly ─→ Event::Board
//!   ↑                    │ torn, silent, failed, going away
//!   └──── wait ←─────────┴─→ Event::Away
//! ```
//!
//! What it does so that its caller needn't:
//! 1. A stream that ends is followed by another, which goes on from the last token: after `retry_after` where the
//!    server said so, otherwise after full jitter from 0.1 s to 10 s.
//! 2. A stream in which nothing comes, not even a heartbeat, is dead, whatever TCP says.
//! 3. Messages that can't be right are never shown: it begins anew without a token, and says so.
//! 4. It ends by itself only where no other stream would fare better: the request or the caller is wrong.

mod assembly;

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use super::{Backoff, Service};
use crate::proto::channelkpi::v1::leaderboard_service_client::LeaderboardServiceClient;
use crate::proto::channelkpi::v1::{GoingAwayReason, WatchLeaderboardRequest, WatchLeaderboardResponse};

pub use assembly::{Applied, Assembly, Board, Came, Torn};

/// Three heartbeats of a server that keeps its defaults.
pub const SILENCE_MAX: Duration = Duration::from_secs(45);

/// The longest that a server can make a watch wait: a mistake of its shall not silence us for good.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What a watch tells.
#[derive(Clone, Debug)]
pub enum Event {
    /// The board, whole, and what made it so.
    Board { board: Arc<Board>, came: Came },
    /// There is no stream now; another is opened after `wait`. The board told last may be old by then.
    Away { why: Away, wait: Duration },
}

/// Why there is no stream.
#[derive(Clone, Debug)]
pub enum Away {
    /// The server ended it by plan.
    GoingAway(GoingAwayReason),
    /// It ended without a word.
    Ended,
    /// Nothing came for too long.
    Silent,
    /// The call failed in a way that may pass.
    Failed(Status),
    /// The server doesn't take the token: the next stream begins anew.
    TokenRefused(Status),
    /// What came can't be right: the next stream begins anew.
    Torn(Torn),
}

/// A board that is watched.
///
/// ```no_run
/// use channel_kpi::client::watch::{Event, Watch};
/// use channel_kpi::proto::channelkpi::v1::{
///     LeaderboardQuery, RankedBy, SubjectKind, WatchLeaderboardRequest, Window, window,
/// };
///
/// # async fn example(sidecar: channel_kpi::Sidecar) -> Result<(), tonic::Status> {
/// let query = LeaderboardQuery {
///     subject_kind: SubjectKind::Partner.into(),
///     ranked_by: RankedBy::WonAmount.into(),
///     window: Some(Window { window: Some(window::Window::LastDays(90)) }),
///     ..LeaderboardQuery::default()
/// };
/// let request = WatchLeaderboardRequest { query: Some(query), limit: Some(3), ..Default::default() };
/// let mut watch = Watch::new(sidecar.channel(), request);
/// while let Some(event) = watch.next().await {
///     match event? {
///         Event::Board { board, .. } => println!("{:?}", board.rows),
///         Event::Away { why, wait } => println!("{why:?}: back in {wait:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Watch<S> {
    client: LeaderboardServiceClient<S>,
    request: WatchLeaderboardRequest,
    silence_max: Duration,
    assembly: Assembly,
    backoff: Backoff,
    /// Whether the stream before was torn: a snapshot alone then doesn't show that all is well again.
    was_torn: bool,
    phase: Phase,
}

/// Where a watch is between two events.
enum Phase {
    Resting { until: Instant },
    Open { stream: Box<Streaming<WatchLeaderboardResponse>>, silent_at: Instant },
    Ended,
}

// === impl Watch ===

impl<S: Service> Watch<S> {
    /// A watch of what the request asks for. Its token, if it has one, is left out: no rows go with it here.
    ///
    /// The service must set no deadline. Over a network it should be a channel of its own: a client that reads one
    /// stream slowly then holds up no other call.
    pub fn new(service: S, mut request: WatchLeaderboardRequest) -> Self {
        request.resume_token.clear();
        Self {
            // A snapshot's chunk has up to 1,000 rows, whose names may be long.
            client: LeaderboardServiceClient::new(service).max_decoding_message_size(usize::MAX),
            assembly: Assembly::new(&request),
            request,
            silence_max: SILENCE_MAX,
            backoff: Backoff::default(),
            was_torn: false,
            phase: Phase::Resting { until: Instant::now() },
        }
    }

    /// After how much silence a stream is taken for dead. Must be longer than the server's heartbeats are apart.
    pub fn silence_max(mut self, silence_max: Duration) -> Self {
        self.silence_max = silence_max;
        self
    }

    /// Waits for what comes next. None after the watch has ended with an error. May be dropped while it waits:
    /// nothing is lost.
    pub async fn next(&mut self) -> Option<Result<Event, Status>> {
        loop {
            match &mut self.phase {
                Phase::Ended => return None,
                Phase::Resting { until } => {
                    sleep_until(*until).await;
                    self.assembly.reopen();
                    let resume_token = self.assembly.resume_token().to_owned();
                    let request = WatchLeaderboardRequest { resume_token, ..self.request.clone() };
                    let silent_at = Instant::now() + self.silence_max;
                    match timeout_at(silent_at, self.client.watch_leaderboard(request)).await {
                        Ok(Ok(response)) => {
                            let stream = Box::new(response.into_inner());
                            self.phase = Phase::Open { stream, silent_at };
                        }
                        Ok(Err(status)) => return Some(self.failed(status)),
                        Err(_) => return Some(Ok(self.away(Away::Silent))),
                    }
                }
                Phase::Open { stream, silent_at } => match timeout_at(*silent_at, stream.message()).await {
                    Ok(Ok(Some(message))) => {
                        *silent_at = Instant::now() + self.silence_max;
                        if let Some(event) = self.take(message) {
                            return Some(Ok(event));
                        }
                    }
                    Ok(Ok(None)) => return Some(Ok(self.away(Away::Ended))),
                    Ok(Err(status)) => return Some(self.failed(status)),
                    Err(_) => return Some(Ok(self.away(Away::Silent))),
                },
            }
        }
    }

    /// The same as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event, Status>> {
        futures_util::stream::unfold(self, async |mut watch| {
            let event = watch.next().await?;
            Some((event, watch))
        })
    }

    fn take(&mut self, message: WatchLeaderboardResponse) -> Option<Event> {
        match self.assembly.apply(message) {
            Ok(Applied::Chunk) => None,
            Ok(Applied::Board(came)) => {
                if !self.was_torn || matches!(came, Came::Delta | Came::Heartbeat) {
                    self.was_torn = false;
                    self.backoff.reset();
                }
                let board = self.assembly.board()?.clone();
                Some(Event::Board { board, came })
            }
            Ok(Applied::GoingAway(going_away)) => {
                let why = Away::GoingAway(going_away.reason());
                let retry_after = going_away.retry_after.and_then(|wait| Duration::try_from(wait).ok());
                Some(match retry_after {
                    Some(wait) => self.away_for(why, wait),
                    None => self.away(why),
                })
            }
            Err(torn) => {
                self.assembly.forget();
                self.was_torn = true;
                Some(self.away(Away::Torn(torn)))
            }
        }
    }

    /// A failed call is followed by another one where that may fare better.
    fn failed(&mut self, status: Status) -> Result<Event, Status> {
        match remedy(&status, !self.assembly.resume_token().is_empty()) {
            Remedy::None => {
                self.phase = Phase::Ended;
                Err(status)
            }
            Remedy::Anew => {
                self.assembly.forget();
                Ok(self.away(Away::TokenRefused(status)))
            }
            Remedy::Again => {
                let asked_for = status.get_details_retry_info().and_then(|info| info.retry_delay);
                // Others were told the same: the jitter parts us.
                let wait = self.backoff.wait() + asked_for.unwrap_or_default();
                Ok(self.away_for(Away::Failed(status), wait))
            }
        }
    }

    fn away(&mut self, why: Away) -> Event {
        let wait = self.backoff.wait();
        self.away_for(why, wait)
    }

    fn away_for(&mut self, why: Away, wait: Duration) -> Event {
        let wait = wait.min(WAIT_MAX);
        self.phase = Phase::Resting { until: Instant::now() + wait };
        Event::Away { why, wait }
    }
}

/// What may help after a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    Again,
    /// Without the token.
    Anew,
    None,
}

fn remedy(status: &Status, with_token: bool) -> Remedy {
    let ours = status.get_details_error_info().filter(|info| info.domain == "channelkpi");
    let reason = ours.as_ref().map(|info| info.reason.as_str());
    match (status.code(), reason) {
        (_, Some("RESUME_TOKEN_INVALID" | "RESUME_TOKEN_MISMATCH")) if with_token => Remedy::Anew,
        // Our request is too large, and stays so.
        (_, Some("MESSAGE_TOO_LARGE")) => Remedy::None,
        // A call that races with the end of a connection ends as CANCELLED, though nobody cancelled it.
        (Code::Unavailable | Code::Cancelled | Code::ResourceExhausted, _) => Remedy::Again,
        // We set no deadline: some proxy did.
        (Code::DeadlineExceeded, _) => Remedy::Again,
        // Said by a connection that broke or a proxy that gave up. Said by the sidecar it is a defect.
        (Code::Unknown | Code::Internal, None) => Remedy::Again,
        _ => Remedy::None,
    }
}

#[cfg(test)]
mod tests;
