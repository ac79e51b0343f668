//! One watch: what its client has, and what it is sent next.
//!
//! What is pending is one thing, the newest that is shown: nothing queues up for a client that doesn't read.
//!
//! Invariants (proto/channelkpi/v1/leaderboard_service.proto, validators in tests/watch.rs):
//! 1. Versions never go back, and each comes in one delta at most.
//! 2. After each message the client has what is shown at its version.
//! 3. It ends with OK only after GoingAway.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::edition::{Edition, encoded};
use super::watched::{Reader, Showing, WatchedBoard};
use crate::journal::{Journal, Revision};
use crate::proto::channelkpi::v1 as pb;
use crate::proto::channelkpi::v1::watch_leaderboard_response::Message;
use crate::server::{Life, Over};
use crate::service::parse::WatchQuestion;
use crate::service::token::{self, Resume, ResumeTokenError};
use crate::service::{Rpc, failure, owner};
use crate::tenant::{StoppedBy, Tenant};

/// The answer to one WatchLeaderboard: encoded messages.
pub struct Watch(Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>);

/// What is sent next, and what the client has.
struct Sender<J> {
    _board: Arc<WatchedBoard<J>>,
    showing: watch::Receiver<Showing>,
    reader: Arc<Reader>,
    life: Life,
    heartbeat_interval: Duration,
    unread_max: Duration,
    /// What the client has, once it has read what it was sent. None: nothing yet.
    has: Option<Arc<Edition>>,
    /// What it came back with, until it is answered.
    came_with: Option<ComeBack>,
    /// The rest of a snapshot that was begun.
    chunks: VecDeque<Bytes>,
    last_sent_at: Instant,
    has_ended: bool,
    /// Resets a stream whose time is over and whose client doesn't read that.
    _unread: AbortOnDropHandle<()>,
}

/// How a client with a resume token is met.
#[derive(Clone, Copy)]
enum ComeBack {
    /// It has what had this hash.
    With { hash: u64 },
    /// It has what another store showed.
    FromOtherStore,
}

// === impl Watch ===

impl Watch {
    pub async fn begin<J: Journal>(
        rpc: &Rpc<J>,
        tenant: &Arc<Tenant<J>>,
        asked: WatchQuestion,
        life: Life,
    ) -> Result<Self, Status> {
        let came_with = match &asked.resume_token {
            None => None,
            Some(token) => match token::decode_resume(owner(tenant), asked.arguments_hash, token) {
                Ok(Resume { revision, hash, .. }) => {
                    // Another replica may have shown more than this one knows yet.
                    tenant.at_least(Revision(revision)).await.map_err(failure::freshness)?;
                    Some((ComeBack::With { hash }, revision))
                }
                Err(ResumeTokenError::OtherStore) => Some((ComeBack::FromOtherStore, 0)),
                Err(error) => return Err(failure::resume_token(error)),
            },
        };
        let (board, mut showing, reader) = rpc.watched.watch(tenant, &asked, &life)?;
        // The first message is never of a revision before the token's.
        let least = came_with.map_or(0, |(_, revision)| revision);
        let is_there = |showing: &Showing| match showing {
            Showing::Nothing => false,
            Showing::Board(edition) => edition.version.revision >= least,
            Showing::Ended(_) => true,
        };
        if let Showing::Ended(status) = &*showing.wait_for(is_there).await.map_err(|_| gone())? {
            return Err((**status).clone());
        }
        showing.mark_changed();
        let sender = Sender {
            _board: board,
            showing,
            reader,
            _unread: life.guarded(rpc.watched.unread_max),
            life,
            heartbeat_interval: rpc.watched.heartbeat_interval,
            unread_max: rpc.watched.unread_max,
            has: None,
            came_with: came_with.map(|(came_with, _)| came_with),
            chunks: VecDeque::new(),
            last_sent_at: Instant::now(),
            has_ended: false,
        };
        let messages = futures_util::stream::unfold(sender, |mut sender| async move {
            let next = sender.next().await?;
            sender.last_sent_at = Instant::now();
            Some((next, sender))
        });
        Ok(Self(Box::pin(messages)))
    }
}

fn gone() -> Status {
    failure::stopped(StoppedBy::Closed)
}

impl Stream for Watch {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

// === impl Sender ===

impl<J: Journal> Sender<J> {
    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        if self.has_ended {
            return None;
        }
        if let Some(chunk) = self.chunks.pop_front() {
            return Some(Ok(chunk));
        }
        loop {
            let heartbeat_at = self.last_sent_at + self.heartbeat_interval;
            tokio::select! {
                biased;
                changed = self.showing.changed() => {
                    let showing = self.showing.borrow_and_update().clone();
                    if let Some(answer) = self.look_at(showing, changed.is_err()) {
                        return Some(answer);
                    }
                }
                over = self.life.over() => return Some(Ok(self.go_away(over))),
                () = sleep_until(heartbeat_at) => match self.heartbeat() {
                    Some(heartbeat) => return Some(Ok(heartbeat)),
                    None => self.last_sent_at = Instant::now(),
                }
            }
        }
    }

    /// What the client is sent of what is shown now. None where it has it.
    fn look_at(&mut self, showing: Showing, is_forsaken: bool) -> Option<Result<Bytes, Status>> {
        let edition = match showing {
            Showing::Board(edition) if !is_forsaken => edition,
            Showing::Ended(status) => return Some(self.fail(*status)),
            _ => return Some(self.fail(gone())),
        };
        if let Some(unread_for) = self.reader.take()
            && unread_for > self.unread_max
        {
            return Some(self.fail(failure::watcher_too_slow(unread_for)));
        }
        let message = match (&self.has, self.came_with.take()) {
            (Some(has), _) if has.shown.hash == edition.shown.hash => {
                return None; // the next heartbeat tells the version
            }
            (Some(has), _) => edition.delta_from(&has.shown),
            (None, Some(ComeBack::With { hash })) if hash == edition.shown.hash => edition.heartbeat(),
            (None, Some(ComeBack::With { hash })) => match edition.remembered(hash) {
                Some(shown) => edition.delta_from(shown),
                None => self.snapshot(&edition, pb::ResetReason::StateGone),
            },
            (None, Some(ComeBack::FromOtherStore)) => self.snapshot(&edition, pb::ResetReason::StoreChanged),
            (None, None) => self.snapshot(&edition, pb::ResetReason::Unspecified),
        };
        self.has = Some(edition);
        Some(Ok(message))
    }

    /// The first chunk of a snapshot; the others wait.
    fn snapshot(&mut self, edition: &Edition, reset_reason: pb::ResetReason) -> Bytes {
        self.chunks = edition.snapshot(reset_reason);
        self.chunks.pop_front().expect("a snapshot has a last chunk")
    }

    /// Says that nothing is missing up to what is shown now, if that is so.
    fn heartbeat(&mut self) -> Option<Bytes> {
        let Showing::Board(edition) = self.showing.borrow().clone() else { return None };
        let has = self.has.as_mut().filter(|has| has.shown.hash == edition.shown.hash)?;
        *has = edition;
        Some(has.heartbeat())
    }

    /// The last message: with the token of what the client has.
    fn go_away(&mut self, over: Over) -> Bytes {
        self.has_ended = true;
        let resume_token = self.has.as_ref().map(|has| has.token().to_owned());
        encoded(Message::GoingAway(over.going_away(resume_token.unwrap_or_default())))
    }

    fn fail(&mut self, status: Status) -> Result<Bytes, Status> {
        self.has_ended = true;
        Err(status)
    }
}
