//! A feed of records that comes back by itself.
//!
//! It keeps what isn't acknowledged, sends as fast as the server's window allows, and after a broken
//! connection, or a planned end of the stream, opens the feed again and sends again what it keeps: a version
//! that is known already changes nothing. So what [`Feed::finish`] answers for is written, once.
//!
//! Whoever lost everything begins after the checkpoint that [`Feed::stored_checkpoint`] tells.
//!
//! ```no_run
//! use channel_kpi::client::ingest::{Feed, Options};
//! use channel_kpi::proto::channelkpi::v1::Record;
//!
//! # async fn example(records: Vec<Record>) -> Result<(), Box<dyn std::error::Error>> {
//! let channel = tonic::transport::Endpoint::from_static("http://127.0.0.1:7443").connect().await?;
//! let mut feed = Feed::open(channel, "crm", Options::default()).await?;
//! for record in records {
//!     feed.send(record).await?;
//! }
//! feed.checkpoint("change 4711")?;
//! let done = feed.finish().await?;
//! println!("{} records are in, {} were rejected", done.acked_seq, done.rejected.len());
//! # Ok(())
//! # }
//! ```
//!
//! There is no task behind it: it works while it is called. A feed that isn't called is idle.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::{Code, IntoStreamingRequest, Status, Streaming};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use self::encoded::{Request, Sent};
use super::{Backoff, Service};
use crate::proto::channelkpi::v1::ingest_records_response::Message as Told;
use crate::proto::channelkpi::v1::{
    ErrorReason, FeedAck, FeedCheckpoint, FeedWindow, FieldViolation, IngestRecordsResponse, OpenFeed, Record,
};

/// What is sent, on the wire the same as `IngestRecordsRequest`: a record is encoded once, when it is given to the
/// feed, and kept as bytes until it is acknowledged. To protobuf an embedded message is its bytes.
mod encoded {
    use bytes::Bytes;

    use crate::proto::channelkpi::v1::{FeedCheckpoint, OpenFeed};

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Request {
        #[prost(oneof = "Sent", tags = "1, 2, 3")]
        pub message: Option<Sent>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Sent {
        #[prost(message, tag = "1")]
        Open(OpenFeed),
        #[prost(message, tag = "2")]
        IngestRecord(IngestRecord),
        #[prost(message, tag = "3")]
        Checkpoint(FeedCheckpoint),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct IngestRecord {
        #[prost(int64, tag = "1")]
        pub seq: i64,
        /// A `Record`.
        #[prost(bytes = "bytes", optional, tag = "2")]
        pub record: Option<Bytes>,
    }
}

/// Messages that wait for the transport.
const OUTBOX_MESSAGES: usize = 128;

/// After so many messages answers are looked for, though there is room for more.
const UNHEARD_MESSAGES_MAX: usize = 64;

/// The longest that a server can make a feed wait.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// How a feed behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a call tries without a single record being acknowledged.
    pub give_up_after: Duration,
    /// After how much silence a stream is dead, whatever TCP says.
    pub silence_max: Duration,
    pub backoff: Backoff,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            give_up_after: Duration::from_secs(60),
            // Three times that after which a server that keeps its defaults says that nothing is new.
            silence_max: Duration::from_secs(45),
            backoff: Backoff::default(),
        }
    }
}

/// A record that the server didn't write, and never will as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// Which: what [`Feed::send`] returned for it.
    pub seq: u64,
    pub reason: ErrorReason,
    /// By paths such as `record.deal.amount`.
    pub violations: Vec<FieldViolation>,
}

/// What became of a feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// All that was sent.
    pub acked_seq: u64,
    /// From which figures show it.
    pub revision_token: String,
    /// What [`Feed::take_rejected`] hadn't taken.
    pub rejected: Vec<Rejected>,
}

/// A feed that won't come back.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error("the server refuses the feed: {}", .0.message())]
    Refused(Box<Status>),
    #[error("nothing was acknowledged for {} s, last because: {}", after.as_secs(), status.message())]
    GivenUp { after: Duration, status: Box<Status> },
    #[error("the server doesn't speak as agreed: {0}")]
    Protocol(&'static str),
    #[error("a checkpoint is 1 to 1024 bytes long, not {0}")]
    Checkpoint(usize),
}

impl From<FeedError> for Status {
    /// As the call's own status, for callers who tell all failures alike.
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Refused(status) | FeedError::GivenUp { status, .. } => *status,
            FeedError::Protocol(_) | FeedError::Checkpoint(_) => Self::internal(error.to_string()),
        }
    }
}

/// A feed of records. See the module.
pub struct Feed<S> {
    service: S,
    source_id: String,
    options: Options,
    stream: Option<Stream>,
    /// Records are counted from 1 over all streams of this feed.
    last_seq: u64,
    acked_seq: u64,
    /// Encoded records that aren't acknowledged, in order: the last one is `last_seq`.
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    /// The newest checkpoint of ours, and the record before it.
    checkpoint: Option<(u64, Vec<u8>)>,
    stored_checkpoint: Option<Vec<u8>>,
    rejected: Vec<Rejected>,
    revision_token: String,
    window: FeedWindow,
    progress_at: Instant,
    /// After how long the server asked to be called again.
    retry_after: Option<Duration>,
}

/// One stream of the feed.
struct Stream {
    /// None once our side is closed.
    outbox: Option<mpsc::Sender<Request>>,
    answers: Streaming<IngestRecordsResponse>,
    /// Messages that were sent since answers were looked for.
    unheard_messages: usize,
    /// What was acknowledged when it began: its own numbers count from there.
    base_seq: u64,
    sent_seq: u64,
    /// Of what was sent and isn't acknowledged.
    in_flight_bytes: usize,
    checkpoint_is_sent: bool,
}

// === impl Feed ===

impl<S: Service> Feed<S> {
    /// Opens the feed that `source_id` names.
    pub async fn open(service: S, source_id: &str, options: Options) -> Result<Self, FeedError> {
        let mut feed = Self {
            service,
            source_id: source_id.to_owned(),
            options,
            stream: None,
            last_seq: 0,
            acked_seq: 0,
            kept: VecDeque::new(),
            kept_bytes: 0,
            checkpoint: None,
            stored_checkpoint: None,
            rejected: Vec::new(),
            revision_token: String::new(),
            window: FeedWindow::default(),
            progress_at: Instant::now(),
            retry_after: None,
        };
        while feed.stream.is_none() {
            feed.connect().await?;
        }
        Ok(feed)
    }

    /// The checkpoint that was stored of this source when the feed was last opened.
    pub fn stored_checkpoint(&self) -> Option<&[u8]> {
        self.stored_checkpoint.as_deref()
    }

    /// The last record up to which all are durable, or rejected.
    pub fn acked_seq(&self) -> u64 {
        self.acked_seq
    }

    /// From which figures show what is acknowledged: pass it on as `at_least_as_fresh`.
    pub fn revision_token(&self) -> &str {
        &self.revision_token
    }

    /// The records that were rejected since the last time this was called, in order.
    pub fn take_rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }

    /// Sends a record, once the window has room for it. Returns its number: 1, 2, 3…
    pub async fn send(&mut self, record: Record) -> Result<u64, FeedError> {
        self.progress_at = Instant::now(); // until now it was idle, not stuck
        let record = Bytes::from(record.encode_to_vec());
        while !self.has_room_for(record.len()) {
            self.step(false).await?;
        }
        self.kept_bytes += record.len();
        self.kept.push_back(record);
        self.last_seq += 1;
        let seq = self.last_seq;
        while !self.is_sent(seq) {
            if !self.send_at_once() {
                self.step(false).await?;
            }
        }
        Ok(seq)
    }

    /// Tells the server how far the caller is in its own records: it is given back once all records that
    /// were sent before are durable. It goes out with the next record, or at the end.
    pub fn checkpoint(&mut self, place: impl Into<Vec<u8>>) -> Result<(), FeedError> {
        let place = place.into();
        if !(1..=1024).contains(&place.len()) {
            return Err(FeedError::Checkpoint(place.len()));
        }
        self.checkpoint = Some((self.last_seq, place));
        if let Some(stream) = &mut self.stream {
            stream.checkpoint_is_sent = false;
        }
        Ok(())
    }

    /// Waits until everything that was sent is durable.
    pub async fn flush(&mut self) -> Result<(), FeedError> {
        self.progress_at = Instant::now();
        while !self.kept.is_empty() {
            self.step(false).await?;
        }
        Ok(())
    }

    /// Waits until everything is durable, the checkpoint too, and closes the feed.
    pub async fn finish(mut self) -> Result<Finished, FeedError> {
        self.progress_at = Instant::now();
        while !self.step(true).await? {}
        let Self { acked_seq, revision_token, rejected, .. } = self;
        Ok(Finished { acked_seq, revision_token, rejected })
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        fits(self.window, self.kept.len(), self.kept_bytes + bytes)
    }

    fn is_sent(&self, seq: u64) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.sent_seq >= seq)
    }

    /// Sends the next message if that needs no waiting. Now and then it refuses, so that answers are heard.
    fn send_at_once(&mut self) -> bool {
        let Some(next) = self.next_message() else { return false };
        let Some(stream) = &mut self.stream else { return false };
        if stream.unheard_messages >= UNHEARD_MESSAGES_MAX {
            return false;
        }
        let request = Request { message: Some(next.clone()) };
        let is_sent = stream.outbox.as_ref().is_some_and(|outbox| outbox.try_send(request).is_ok());
        if is_sent {
            stream.count(&next);
        }
        is_sent
    }

    /// Does one thing: connects, sends one message, or takes one answer. `ending` closes our side when all is
    /// sent. Returns whether the feed has then ended.
    async fn step(&mut self, ending: bool) -> Result<bool, FeedError> {
        let next = self.next_message();
        let Some(stream) = &mut self.stream else {
            self.connect().await?;
            return Ok(false);
        };
        if ending && next.is_none() && stream.sent_seq == self.last_seq {
            stream.outbox = None;
        }
        stream.unheard_messages = 0;
        let outbox = stream.outbox.clone();
        let answered = tokio::select! {
            biased;
            answered = stream.answers.message() => answered,
            Ok(permit) = reserve(outbox.as_ref()), if next.is_some() => {
                if let Some(message) = next {
                    stream.count(&message);
                    permit.send(Request { message: Some(message) });
                }
                return Ok(false);
            }
            () = sleep(self.options.silence_max.min(self.options.give_up_after)) => {
                Err(Status::unavailable("nothing was heard for too long"))
            }
        };
        match answered {
            Ok(Some(IngestRecordsResponse { message: Some(Told::Ack(ack)) })) => self.acked(ack)?,
            Ok(Some(IngestRecordsResponse { message: Some(Told::GoingAway(going_away)) })) => {
                // The stream is over: what it didn't acknowledge goes with the next one.
                let wait = going_away.retry_after.and_then(|wait| wait.try_into().ok());
                self.retry_after = Some(wait.unwrap_or_default());
                self.stream = None;
            }
            Ok(Some(IngestRecordsResponse { message: Some(Told::Opened(_)) })) => {
                return Err(FeedError::Protocol("it opens the feed twice"));
            }
            Ok(Some(IngestRecordsResponse { message: None })) => {} // of a newer server
            Ok(None) => {
                let closed = stream.outbox.is_none();
                if closed && self.kept.is_empty() {
                    return Ok(true);
                }
                self.lost(Status::unavailable("the stream ended without a word"))?;
            }
            Err(status) => self.lost(status)?,
        }
        Ok(false)
    }

    /// What is to be sent next on this stream.
    fn next_message(&self) -> Option<Sent> {
        let stream = self.stream.as_ref()?;
        stream.outbox.as_ref()?;
        if let Some((seq, place)) = &self.checkpoint
            && !stream.checkpoint_is_sent
            && *seq <= stream.sent_seq
        {
            return Some(Sent::Checkpoint(FeedCheckpoint { place: place.clone() }));
        }
        let in_flight = (stream.sent_seq - self.acked_seq) as usize;
        let kept = self.kept.get(in_flight)?;
        if !fits(self.window, in_flight, stream.in_flight_bytes + kept.len()) {
            return None; // an Ack makes room
        }
        let seq = (stream.sent_seq - stream.base_seq + 1).cast_signed();
        Some(Sent::IngestRecord(encoded::IngestRecord { seq, record: Some(kept.clone()) }))
    }

    fn acked(&mut self, ack: FeedAck) -> Result<(), FeedError> {
        let stream = self.stream.as_mut().ok_or(FeedError::Protocol("an Ack comes without a stream"))?;
        let base_seq = stream.base_seq;
        let own = |seq: i64| base_seq.saturating_add(seq.max(0).cast_unsigned());
        let acked_seq = own(ack.acked_seq);
        if acked_seq > stream.sent_seq || acked_seq < self.acked_seq {
            return Err(FeedError::Protocol("it acknowledges what wasn't sent"));
        }
        for rejected in ack.rejected_records {
            let (seq, reason) = (own(rejected.seq), rejected.reason());
            self.rejected.push(Rejected { seq, reason, violations: rejected.violations });
        }
        if acked_seq > self.acked_seq {
            self.progress_at = Instant::now();
            self.options.backoff.reset();
        }
        for kept in self.kept.drain(..(acked_seq - self.acked_seq) as usize) {
            self.kept_bytes -= kept.len();
            stream.in_flight_bytes -= kept.len();
        }
        self.acked_seq = acked_seq;
        self.revision_token = ack.revision_token;
        self.window = ack.new_window.unwrap_or(self.window);
        let after = self.progress_at.elapsed();
        if !self.kept.is_empty() && after >= self.options.give_up_after {
            let status = Box::new(Status::unavailable("the server writes nothing"));
            return Err(FeedError::GivenUp { after, status });
        }
        Ok(())
    }

    /// Opens a stream. Where that fails in a way that may pass, there is none afterwards.
    async fn connect(&mut self) -> Result<(), FeedError> {
        if let Some(wait) = self.retry_after.take() {
            sleep(wait.min(WAIT_MAX)).await;
        }
        let (outbox, messages) = mpsc::channel(OUTBOX_MESSAGES);
        let open = Sent::Open(OpenFeed { source_id: self.source_id.clone() });
        outbox
            .try_send(Request { message: Some(open) })
            .expect("the outbox is empty, and we hold its other end");
        let service = self.service.clone();
        let opened = async {
            let mut answers = ingest_records(service, ReceiverStream::new(messages)).await?;
            let first = answers.message().await?;
            Ok((answers, first.and_then(|first| first.message)))
        };
        let within = self.options.silence_max.min(self.options.give_up_after);
        let late = || Err(Status::unavailable("the feed wasn't opened in time"));
        match timeout(within, opened).await.unwrap_or_else(|_| late()) {
            Ok((answers, Some(Told::Opened(opened)))) => {
                let window = opened.window.ok_or(FeedError::Protocol("it tells no window"))?;
                self.window = window;
                let base_seq = self.acked_seq;
                // What is stored needn't be sent again; an older one mustn't be the last word.
                let ours = self.checkpoint.as_ref().map(|(_, place)| place);
                let checkpoint_is_sent = ours.is_none() || ours == opened.checkpoint.as_ref();
                self.stored_checkpoint = opened.checkpoint;
                self.stream = Some(Stream {
                    outbox: Some(outbox),
                    answers,
                    unheard_messages: 0,
                    base_seq,
                    sent_seq: base_seq,
                    in_flight_bytes: 0,
                    checkpoint_is_sent,
                });
                Ok(())
            }
            Ok((_, Some(Told::GoingAway(going_away)))) => {
                let wait = going_away.retry_after.and_then(|wait| wait.try_into().ok());
                self.retry_after = Some(wait.unwrap_or_default());
                Ok(())
            }
            Ok((_, Some(Told::Ack(_)))) => Err(FeedError::Protocol("it acknowledges before it opens")),
            Ok((_, None)) => self.lost(Status::unavailable("the stream ended before it was opened")),
            Err(status) => self.lost(status),
        }
    }

    /// A stream has broken: the next one comes after a while, unless that would be no better.
    fn lost(&mut self, status: Status) -> Result<(), FeedError> {
        self.stream = None;
        if !may_pass(&status) {
            return Err(FeedError::Refused(Box::new(status)));
        }
        let after = self.progress_at.elapsed();
        if after >= self.options.give_up_after {
            return Err(FeedError::GivenUp { after, status: Box::new(status) });
        }
        let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
        self.retry_after = Some(self.options.backoff.wait().max(asked.unwrap_or_default()));
        Ok(())
    }
}

// === impl Stream ===

impl Stream {
    /// Counts a message as sent.
    fn count(&mut self, message: &Sent) {
        match message {
            Sent::IngestRecord(sent) => {
                self.sent_seq += 1;
                self.in_flight_bytes += sent.record.as_ref().map_or(0, Bytes::len);
            }
            Sent::Open(_) | Sent::Checkpoint(_) => self.checkpoint_is_sent = true,
        }
        self.unheard_messages += 1;
    }
}

/// RecordService.IngestRecords, as a generated client calls it.
async fn ingest_records<S: Service>(
    service: S,
    messages: ReceiverStream<Request>,
) -> Result<Streaming<IngestRecordsResponse>, Status> {
    let mut client = Grpc::new(service);
    let not_ready = |error: S::Error| Status::unknown(format!("Service was not ready: {}", error.into()));
    client.ready().await.map_err(not_ready)?;
    let method = PathAndQuery::from_static("/channelkpi.v1.RecordService/IngestRecords");
    let codec = ProstCodec::<Request, IngestRecordsResponse>::default();
    Ok(client.streaming(messages.into_streaming_request(), method, codec).await?.into_inner())
}

/// Whether a record may follow so many, and be within so many bytes with them.
fn fits(window: FeedWindow, records: usize, bytes: usize) -> bool {
    let FeedWindow { max_in_flight_records, max_in_flight_bytes } = window;
    let within = (records as i64) < max_in_flight_records.into() && bytes as i64 <= max_in_flight_bytes;
    records == 0 || within
}

/// Room for one message; for ever none once our side is closed.
async fn reserve(
    outbox: Option<&mpsc::Sender<Request>>,
) -> Result<mpsc::Permit<'_, Request>, mpsc::error::SendError<()>> {
    match outbox {
        Some(outbox) => outbox.reserve().await,
        None => std::future::pending().await,
    }
}

/// Whether the same may go well later.
fn may_pass(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::Cancelled => true,
        // Too much at a time, which the server says when to try again; not a window that was ignored.
        Code::ResourceExhausted => status.get_details_retry_info().is_some(),
        // What breaks a connection in the middle of a stream isn't the server's word.
        Code::Unknown | Code::Internal => status.get_details_error_info().is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;
    use crate::proto::channelkpi::v1::record::Record as Kind;
    use crate::proto::channelkpi::v1::{
        Deal, IngestRecord, IngestRecordsRequest, ingest_records_request as generated,
    };

    /// What is sent is what a generated client would send, byte for byte.
    #[test]
    fn an_encoded_message_is_the_generated_one() {
        let deal = Deal { deal_id: "D1".to_owned(), ..Deal::default() };
        let update_time = Some(Timestamp { seconds: 7, nanos: 0 });
        let record = Record { update_time, record: Some(Kind::Deal(deal)), ..Record::default() };
        let open = OpenFeed { source_id: "crm".to_owned() };
        let checkpoint = FeedCheckpoint { place: b"at 7".to_vec() };
        for (sent, expected) in [
            (Sent::Open(open.clone()), generated::Message::Open(open)),
            (
                Sent::IngestRecord(encoded::IngestRecord {
                    seq: 9,
                    record: Some(record.encode_to_vec().into()),
                }),
                generated::Message::IngestRecord(IngestRecord { seq: 9, record: Some(record.clone()) }),
            ),
            (
                Sent::IngestRecord(encoded::IngestRecord { seq: 1, record: Some(Bytes::new()) }),
                generated::Message::IngestRecord(IngestRecord { seq: 1, record: Some(Record::default()) }),
            ),
            (Sent::Checkpoint(checkpoint.clone()), generated::Message::Checkpoint(checkpoint)),
        ] {
            let expected = IngestRecordsRequest { message: Some(expected) };
            assert_eq!(Request { message: Some(sent) }.encode_to_vec(), expected.encode_to_vec());
        }
    }
}
