//! A feed: records in, numbered, and acknowledgements out.
//!
//! Invariants:
//! 1. An Ack covers what is durable, in the order in which it was sent, and no Ack covers more than
//!    [`ACK_RECORDS_MAX`] records.
//! 2. A checkpoint is written once everything before it is durable, alone or with later records; one at a
//!    time, so that a later one is never overtaken.
//! 3. What a feed holds is bounded by its window: a record counts until its Ack has been taken. A client that
//!    takes none isn't read from, since all work is done when the transport asks for the next answer.
//! 4. Whatever ends a feed, what was read before is written and acknowledged first, unless another feed took
//!    its source over, or the journal takes no more.
//!
//! Deliberately absent: channels, and tasks that work. The state lies in the returned stream and goes with it;
//! a write that has begun is the tenant's and finishes.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, FuturesOrdered, unfold};
use futures_util::{FutureExt, StreamExt};
use prost::Message;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status, Streaming};

use super::parse::Violations;
use super::record_service::kept;
use super::{Rpc, failure, parse};
use crate::domain::record::Version;
use crate::journal::{Journal, Revision};
use crate::proto::channelkpi::v1 as pb;
use crate::proto::channelkpi::v1::ingest_records_request::Message as Sent;
use crate::proto::channelkpi::v1::ingest_records_response::Message as Told;
use crate::server::{Life, Over};
use crate::tenant::{AppendError, Claim, Tenant};

/// Records to a batch: the book's lock is held for as long as one is applied.
const BATCH_RECORDS_MAX: u64 = 128;
/// And bytes, as they came: far below what a journal takes.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Batches of a feed under way at a time: while some are synced to the disk, others are applied and the next are
/// read.
const WRITES_MAX: usize = 16;
/// So many under way keep the journal busy: a batch that isn't full waits for more records.
const WRITES_BUSY: usize = 2;
const ACK_RECORDS_MAX: u64 = 256;
const ACK_INTERVAL: Duration = Duration::from_millis(10);

type Answer = Result<pb::IngestRecordsResponse, Status>;
/// None where there was nothing to write.
type Written = Result<Option<Revision>, AppendError>;

/// What a feed is told.
pub(super) fn answers<J: Journal>(
    rpc: Rpc<J>,
    tenant: Arc<Tenant<J>>,
    life: Life,
    messages: Streaming<pb::IngestRecordsRequest>,
) -> BoxStream<'static, Answer> {
    let mut life = life;
    let unread = life.guarded(rpc.limits.watch_unread_max);
    let over = Box::pin(async move { life.over().await });
    let began = Began { rpc, tenant, messages, over, unread };
    unfold(State::Began(Box::new(began)), |state| async {
        match state {
            State::Began(began) => Some(match began.open().await {
                Ok((feed, opened)) => (answer(Told::Opened(opened)), State::Open(Box::new(feed))),
                Err(Refused::With(status)) => (Err(status), State::Ended),
                Err(Refused::GoingAway(over)) => {
                    (answer(Told::GoingAway(over.going_away(String::new()))), State::Ended)
                }
            }),
            State::Open(mut feed) => {
                let told = feed.next().await?;
                Some((told, State::Open(feed)))
            }
            State::Ended => None,
        }
    })
    .boxed()
}

enum State<J> {
    Began(Box<Began<J>>),
    Open(Box<Feed<J>>),
    Ended,
}

fn answer(told: Told) -> Answer {
    Ok(pb::IngestRecordsResponse { message: Some(told) })
}

/// A feed that hasn't been opened.
struct Began<J> {
    rpc: Rpc<J>,
    tenant: Arc<Tenant<J>>,
    messages: Streaming<pb::IngestRecordsRequest>,
    over: BoxFuture<'static, Over>,
    /// Resets a stream whose time is over and whose client doesn't read that.
    unread: AbortOnDropHandle<()>,
}

/// Why it isn't opened.
enum Refused {
    With(Status),
    GoingAway(Over),
}

struct Feed<J> {
    rpc: Rpc<J>,
    tenant: Arc<Tenant<J>>,
    claim: Claim,
    messages: Streaming<pb::IngestRecordsRequest>,
    over: BoxFuture<'static, Over>,
    taken_over: BoxFuture<'static, ()>,
    /// What was read and isn't being written yet.
    batch: Part,
    writes: FuturesOrdered<BoxFuture<'static, (Part, Written)>>,
    /// With the number of the record before each: the one to write next, and the newest. Any between them
    /// would be overwritten at once.
    checkpoints: VecDeque<(i64, Vec<u8>)>,
    checkpoint_in_write: bool,
    read_seq: i64,
    /// Durable, and told.
    durable_seq: i64,
    acked_seq: i64,
    /// What the next Ack tells.
    unacked: Part,
    revision: u64,
    in_flight: InFlight,
    acked_at: Instant,
    alarm: Pin<Box<Sleep>>,
    /// None while records are read.
    ending: Option<Ending>,
    told_last: bool,
    _unread: AbortOnDropHandle<()>,
}

/// Successive records of a feed.
#[derive(Default)]
struct Part {
    versions: Vec<Version>,
    rejected: Vec<(i64, Violations)>,
    size: InFlight,
    checkpoint: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Default)]
struct InFlight {
    records: u64,
    bytes: usize,
}

/// What is told after the last Ack.
enum Ending {
    Ok,
    GoingAway(Over),
    Status(Status),
    /// All was told.
    Ended,
}

// === impl Began ===

impl<J: Journal> Began<J> {
    async fn open(self) -> Result<(Feed<J>, pb::FeedOpened), Refused> {
        let Self { rpc, tenant, mut messages, mut over, unread } = self;
        let opening = async {
            let first = messages.message().await?.and_then(|request| request.message);
            let Some(Sent::Open(open)) = first else {
                let rule = "is missing: the first message of a feed opens it and names its source";
                return Err(failure::violations(Violations::one("open", rule)));
            };
            let source = parse::open_feed(&open).map_err(failure::violations)?;
            let claim = tenant.claim(source);
            let checkpoint = claim.ready().await.map_err(|_| failure::taken_over(claim.source()))?;
            Ok((claim, checkpoint))
        };
        let (claim, checkpoint) = tokio::select! {
            biased;
            opened = opening => opened.map_err(Refused::With)?,
            over = &mut over => return Err(Refused::GoingAway(over)),
        };
        let window = pb::FeedWindow {
            max_in_flight_records: rpc.limits.feed_in_flight_records_max.cast_signed(),
            max_in_flight_bytes: rpc.limits.feed_in_flight_bytes_max.into(),
        };
        let opened = pb::FeedOpened { checkpoint, window: Some(window) };
        let revision = tenant.book().revision();
        let feed = Feed {
            taken_over: Box::pin(claim.taken_over()),
            alarm: Box::pin(sleep_until(Instant::now() + rpc.limits.heartbeat_interval)),
            rpc,
            tenant,
            claim,
            messages,
            over,
            batch: Part::default(),
            writes: FuturesOrdered::new(),
            checkpoints: VecDeque::new(),
            checkpoint_in_write: false,
            read_seq: 0,
            durable_seq: 0,
            acked_seq: 0,
            unacked: Part::default(),
            revision,
            in_flight: InFlight::default(),
            acked_at: Instant::now(),
            ending: None,
            told_last: false,
            _unread: unread,
        };
        Ok((feed, opened))
    }
}

// === impl Feed ===

impl<J: Journal> Feed<J> {
    /// The next answer, once there is one to give.
    async fn next(&mut self) -> Option<Answer> {
        loop {
            self.write_what_is_due();
            let settled = self.ending.is_some() && self.writes.is_empty();
            if self.ack_is_due() && !settled {
                return Some(self.ack());
            }
            if settled {
                // A planned end says so even where nothing is new.
                let planned = matches!(self.ending, Some(Ending::Ok | Ending::GoingAway(_)));
                if self.acked_seq < self.durable_seq || planned && !self.told_last {
                    self.told_last = true;
                    return Some(self.ack());
                }
                return self.end();
            }
            let idle = self.batch.size.records > 0 && self.writes.len() < WRITES_BUSY;
            let reading = self.ending.is_none() && self.writes.len() < WRITES_MAX;
            self.set_alarm();
            tokio::select! {
                biased;
                () = &mut self.taken_over, if self.ending.is_none() => {
                    self.batch = Part::default();
                    self.checkpoints.clear();
                    self.ending = Some(Ending::Status(failure::taken_over(self.claim.source())));
                }
                over = &mut self.over, if self.ending.is_none() => {
                    self.ending = Some(Ending::GoingAway(over));
                }
                Some((part, written)) = self.writes.next() => self.settle(part, written),
                message = self.messages.message(), if reading => {
                    self.take(message);
                    self.take_what_came();
                }
                () = &mut self.alarm => if self.acked_seq == self.durable_seq {
                    return Some(self.ack()); // nothing is new
                },
                () = std::future::ready(()), if idle => self.write_batch(),
            }
        }
    }

    /// Takes a message of the client. An error ends the feed.
    fn take(&mut self, message: Result<Option<pb::IngestRecordsRequest>, Status>) {
        if let Err(status) = self.try_take(message) {
            self.ending = Some(Ending::Status(status));
        }
    }

    /// Takes what came with it, as far as the batch has room: most come many at a time.
    fn take_what_came(&mut self) {
        while self.ending.is_none()
            && self.batch.size.records < BATCH_RECORDS_MAX
            && self.writes.len() < WRITES_MAX
            && let Some(message) = self.messages.message().now_or_never()
        {
            self.take(message);
        }
    }

    fn try_take(&mut self, message: Result<Option<pb::IngestRecordsRequest>, Status>) -> Result<(), Status> {
        let sent = match message {
            Ok(Some(request)) => request.message,
            Ok(None) => {
                // Whether the client meant it or was cut off, it knows what was acknowledged.
                self.ending = Some(Ending::Ok);
                return Ok(());
            }
            Err(status) => return Err(status),
        };
        match sent {
            Some(Sent::IngestRecord(record)) => self.take_record(&record),
            Some(Sent::Checkpoint(checkpoint)) => {
                let place = parse::checkpoint(checkpoint).map_err(failure::violations)?;
                if self.checkpoints.len() == 2 {
                    self.checkpoints.pop_back();
                }
                self.checkpoints.push_back((self.read_seq, place));
                Ok(())
            }
            Some(Sent::Open(_)) => {
                let rule = "comes twice: it is the first message of a feed, and only the first";
                Err(failure::violations(Violations::one("open", rule)))
            }
            None => {
                let rule = "holds none that this server knows: set ingest_record or checkpoint";
                Err(failure::violations(Violations::one("message", rule)))
            }
        }
    }

    fn take_record(&mut self, sent: &pb::IngestRecord) -> Result<(), Status> {
        if sent.seq != self.read_seq + 1 {
            return Err(failure::sequence_gap(self.read_seq + 1, sent.seq));
        }
        let bytes = sent.record.as_ref().map_or(0, Message::encoded_len);
        let limits = &self.rpc.limits;
        let (records_max, bytes_max) = (limits.feed_in_flight_records_max, limits.feed_in_flight_bytes_max);
        if self.in_flight.records >= records_max.into() {
            return Err(failure::in_flight_exceeded("feed_in_flight_records_max", records_max.into()));
        }
        if self.in_flight.records > 0 && self.in_flight.bytes + bytes > bytes_max as usize {
            return Err(failure::in_flight_exceeded("feed_in_flight_bytes_max", bytes_max.into()));
        }
        if self.batch.size.bytes + bytes > BATCH_BYTES_MAX {
            self.write_batch();
        }
        self.read_seq = sent.seq;
        self.in_flight.add(InFlight { records: 1, bytes });
        self.batch.size.add(InFlight { records: 1, bytes });
        match parse::ingest_record(sent, self.rpc.now()) {
            Ok(version) => self.batch.versions.push(version),
            Err(violations) => self.batch.rejected.push((sent.seq, violations)),
        }
        Ok(())
    }

    /// Begins to write a batch that is full, the last one, and a checkpoint whose turn has come.
    fn write_what_is_due(&mut self) {
        let last = self.ending.is_some() && self.batch.size.records > 0;
        if self.batch.size.records >= BATCH_RECORDS_MAX || last {
            self.write_batch();
        }
        // Nothing goes with it: alone then.
        if self.batch.size.records == 0 && self.checkpoint_is_due() {
            self.write_batch();
        }
    }

    fn checkpoint_is_due(&self) -> bool {
        let due = self.checkpoints.front().is_some_and(|&(seq, _)| seq <= self.durable_seq);
        due && !self.checkpoint_in_write
    }

    fn write_batch(&mut self) {
        let mut part = std::mem::take(&mut self.batch);
        if self.checkpoint_is_due() {
            part.checkpoint = self.checkpoints.pop_front().map(|(_, place)| place);
            self.checkpoint_in_write = true;
        }
        let versions = std::mem::take(&mut part.versions);
        if versions.is_empty() && part.checkpoint.is_none() {
            self.writes.push_back(Box::pin(std::future::ready((part, Ok(None))))); // all were rejected
            return;
        }
        let write = self.tenant.feed(&self.claim, self.rpc.now(), versions, part.checkpoint.clone());
        self.writes.push_back(Box::pin(async { (part, write.await.map(Some)) }));
    }

    /// Notes how a write has ended: the first of those under way.
    fn settle(&mut self, part: Part, written: Written) {
        match written {
            Ok(revision) => {
                self.revision = revision.map_or(self.revision, |revision| self.revision.max(revision.0));
                self.durable_seq += part.size.records.cast_signed();
                self.checkpoint_in_write &= part.checkpoint.is_none();
                self.unacked.size.add(part.size);
                self.unacked.rejected.extend(part.rejected);
            }
            Err(error) => {
                // Nothing after it can be acknowledged.
                self.writes = FuturesOrdered::new();
                self.batch = Part::default();
                self.checkpoints.clear();
                self.ending = Some(Ending::Status(failure::append(error)));
            }
        }
    }

    fn ack_is_due(&self) -> bool {
        let count = self.unacked.size.records;
        count + BATCH_RECORDS_MAX > ACK_RECORDS_MAX
            || count > 0 && self.acked_at + ACK_INTERVAL <= Instant::now()
    }

    /// Rings when there is something to tell, or when it was silent for long.
    fn set_alarm(&mut self) {
        let silence = self.rpc.limits.heartbeat_interval;
        let wait = if self.acked_seq < self.durable_seq { ACK_INTERVAL } else { silence };
        if self.alarm.deadline() != self.acked_at + wait {
            self.alarm.as_mut().reset(self.acked_at + wait);
        }
    }

    fn ack(&mut self) -> Answer {
        let Part { rejected, size, .. } = std::mem::take(&mut self.unacked);
        self.in_flight.subtract(size);
        self.acked_seq = self.durable_seq;
        self.acked_at = Instant::now();
        let rejected = rejected.iter().map(|(seq, violations)| pb::RejectedFeedRecord {
            seq: *seq,
            reason: pb::ErrorReason::InvalidField.into(),
            violations: kept(violations),
        });
        answer(Told::Ack(pb::FeedAck {
            acked_seq: self.acked_seq,
            revision_token: self.rpc.revision_token(&self.tenant, self.revision),
            rejected_records: rejected.collect(),
            new_window: None,
        }))
    }

    /// The last word, once everything was acknowledged.
    fn end(&mut self) -> Option<Answer> {
        match self.ending.replace(Ending::Ended)? {
            Ending::GoingAway(over) => Some(answer(Told::GoingAway(over.going_away(String::new())))),
            // The client's own end of the call, or a broken connection: nobody reads more.
            Ending::Status(status) if status.code() == Code::Cancelled => None,
            Ending::Status(status) => Some(Err(status)),
            Ending::Ok | Ending::Ended => None,
        }
    }
}

// === impl InFlight ===

impl InFlight {
    fn add(&mut self, other: Self) {
        *self = Self { records: self.records + other.records, bytes: self.bytes + other.bytes };
    }

    fn subtract(&mut self, other: Self) {
        *self = Self { records: self.records - other.records, bytes: self.bytes - other.bytes };
    }
}
