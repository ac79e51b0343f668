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

use futures_util::Stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::changes::Shown;
use super::watched::{Edition, Reader, Showing, Version, WatchedBoard};
use crate::journal::{Journal, Revision};
use crate::proto::channelkpi::v1 as pb;
use crate::server::{Life, Over};
use crate::service::parse::WatchQuestion;
use crate::service::render::value;
use crate::service::token::{self, Resume, ResumeTokenError};
use crate::service::{Rpc, failure, owner};
use crate::tenant::Tenant;

/// The most rows of one message of a snapshot: about what a client's first window holds.
const CHUNK_ROWS: usize = 250;

type Message = pb::watch_leaderboard_response::Message;

/// The answer to one WatchLeaderboard.
pub struct Watch<J> {
    messages: Pin<Box<dyn Stream<Item = Result<pb::WatchLeaderboardResponse, Status>> + Send>>,
    _journal: std::marker::PhantomData<fn() -> J>,
}

/// What is sent next, and what the client has.
struct Sender<J> {
    board: Arc<WatchedBoard<J>>,
    showing: watch::Receiver<Showing>,
    reader: Arc<Reader>,
    life: Life,
    arguments_hash: u64,
    heartbeat_interval: Duration,
    unread_max: Duration,
    /// None: nothing yet.
    has: Option<Has>,
    /// What it came back with, until it is answered.
    came_with: Option<ComeBack>,
    /// Chunks of a snapshot that was begun.
    chunks: VecDeque<pb::BoardSnapshot>,
    last_sent_at: Instant,
    has_ended: bool,
}

/// What a client has, once it has read what it was sent.
struct Has {
    shown: Arc<Shown>,
    version: Version,
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

impl<J: Journal> Watch<J> {
    pub async fn begin(
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
        let (board, mut showing, reader) = rpc.watched.watch(tenant, &asked, &life);
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
            board,
            showing,
            reader,
            life,
            arguments_hash: asked.arguments_hash,
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
            let answer = next.map(|message| pb::WatchLeaderboardResponse { message: Some(message) });
            Some((answer, sender))
        });
        Ok(Self { messages: Box::pin(messages), _journal: std::marker::PhantomData })
    }
}

fn gone() -> Status {
    failure::stopped(crate::tenant::StoppedBy::Closed)
}

impl<J> Stream for Watch<J> {
    type Item = Result<pb::WatchLeaderboardResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.messages.as_mut().poll_next(cx)
    }
}

// === impl Sender ===

impl<J: Journal> Sender<J> {
    async fn next(&mut self) -> Option<Result<Message, Status>> {
        if self.has_ended {
            return None;
        }
        if let Some(chunk) = self.chunks.pop_front() {
            return Some(Ok(Message::Snapshot(chunk)));
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
    fn look_at(&mut self, showing: Showing, is_forsaken: bool) -> Option<Result<Message, Status>> {
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
            (Some(has), _) => {
                let changes = match &edition.changes {
                    Some((from, changes)) if *from == has.shown.hash => (**changes).clone(),
                    _ => has.shown.changes_to(&edition.shown),
                };
                self.delta(&edition, changes)
            }
            (None, Some(ComeBack::With { hash })) if hash == edition.shown.hash => {
                Message::Heartbeat(self.beat(edition.version, hash))
            }
            (None, Some(ComeBack::With { hash })) => match edition.remembered(hash) {
                Some(shown) => self.delta(&edition, shown.changes_to(&edition.shown)),
                None => self.snapshot(&edition, pb::ResetReason::StateGone),
            },
            (None, Some(ComeBack::FromOtherStore)) => self.snapshot(&edition, pb::ResetReason::StoreChanged),
            (None, None) => self.snapshot(&edition, pb::ResetReason::Unspecified),
        };
        self.has = Some(Has { shown: Arc::clone(&edition.shown), version: edition.version });
        Some(Ok(message))
    }

    fn delta(&self, edition: &Edition, changes: pb::BoardDelta) -> Message {
        Message::Delta(pb::BoardDelta {
            version: Some(wire(edition.version)),
            resume_token: self.resume_token(edition.version, edition.shown.hash),
            ..changes
        })
    }

    /// The first chunk of a snapshot; the others wait.
    fn snapshot(&mut self, edition: &Edition, reset_reason: pb::ResetReason) -> Message {
        let Edition { version, shown, .. } = edition;
        let chunk = |rows: &[pb::LeaderboardRow]| pb::BoardSnapshot {
            reset_reason: reset_reason.into(),
            rows: rows.to_vec(),
            version: Some(wire(*version)),
            ..pb::BoardSnapshot::default()
        };
        let mut chunks: VecDeque<pb::BoardSnapshot> = shown.rows.chunks(CHUNK_ROWS).map(chunk).collect();
        let last = chunks.pop_back().unwrap_or_else(|| chunk(&[]));
        chunks.push_back(pb::BoardSnapshot {
            last: true,
            pinned: shown.pinned.clone(),
            ranked_count: shown.ranked_count,
            definition: Some(shown.definition.clone()),
            resume_token: self.resume_token(*version, shown.hash),
            ..last
        });
        let first = chunks.pop_front().expect("a snapshot has a last chunk");
        self.chunks = chunks;
        Message::Snapshot(first)
    }

    /// Says that nothing is missing up to what is shown now, if that is so.
    fn heartbeat(&mut self) -> Option<Message> {
        let Showing::Board(edition) = self.showing.borrow().clone() else { return None };
        let has = self.has.as_mut().filter(|has| has.shown.hash == edition.shown.hash)?;
        has.version = edition.version;
        Some(Message::Heartbeat(self.beat(edition.version, edition.shown.hash)))
    }

    fn beat(&self, version: Version, hash: u64) -> pb::BoardHeartbeat {
        let resume_token = self.resume_token(version, hash);
        pb::BoardHeartbeat { version: Some(wire(version)), resume_token }
    }

    /// The last message: with the token of what the client has.
    fn go_away(&mut self, over: Over) -> Message {
        self.has_ended = true;
        let resume_token = self.has.as_ref().map(|has| self.resume_token(has.version, has.shown.hash));
        Message::GoingAway(over.going_away(resume_token.unwrap_or_default()))
    }

    fn fail(&mut self, status: Status) -> Result<Message, Status> {
        self.has_ended = true;
        Err(status)
    }

    fn resume_token(&self, version: Version, hash: u64) -> String {
        let Version { revision, as_of } = version;
        let resume = Resume { revision, as_of, hash };
        token::encode_resume(owner(self.board.tenant()), self.arguments_hash, resume)
    }
}

fn wire(Version { revision, as_of }: Version) -> pb::BoardVersion {
    pb::BoardVersion { revision: revision as i64, as_of: Some(value::date(as_of)) }
}
