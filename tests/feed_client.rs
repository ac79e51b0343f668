//! The feed of the library against servers that misbehave, by a clock that the test moves.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_kpi::client::ingest::{Feed, FeedError, Options};
use channel_kpi::proto::channelkpi::v1::ingest_records_request::Message as Sent;
use channel_kpi::proto::channelkpi::v1::ingest_records_response::Message as Told;
use channel_kpi::proto::channelkpi::v1::record_service_server::{RecordService, RecordServiceServer};
use channel_kpi::proto::channelkpi::v1::{
    FeedAck, FeedOpened, FeedWindow, GetRecordRequest, GetRecordResponse, IngestRecordsRequest,
    IngestRecordsResponse, ListRecordsRequest, ListRecordsResponse, Partner, Record, WriteRecordsRequest,
    WriteRecordsResponse, record,
};
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, pending};
use tonic::{Request, Response, Status, Streaming};

/// How one stream of the server goes.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// As it should.
    Good,
    /// It takes records and says nothing more.
    Silent,
    /// It takes records and says again and again that nothing is written.
    Idle,
    /// It breaks at the first record.
    Breaks,
    /// It ends with OK without a word.
    Ends,
    /// It doesn't even open.
    Deaf,
}

/// Streams go as they are scripted, the later ones as the last.
#[derive(Clone)]
struct Scripted(Arc<Mutex<VecDeque<Manner>>>);

impl Scripted {
    fn service(manners: &[Manner]) -> RecordServiceServer<Self> {
        RecordServiceServer::new(Self(Arc::new(Mutex::new(manners.iter().copied().collect()))))
    }
}

type Answers = BoxStream<'static, Result<IngestRecordsResponse, Status>>;

fn told(told: Told) -> Result<IngestRecordsResponse, Status> {
    Ok(IngestRecordsResponse { message: Some(told) })
}

fn ack(acked_seq: i64) -> Result<IngestRecordsResponse, Status> {
    told(Told::Ack(FeedAck { acked_seq, ..FeedAck::default() }))
}

#[tonic::async_trait]
impl RecordService for Scripted {
    type IngestRecordsStream = Answers;

    async fn ingest_records(
        &self,
        request: Request<Streaming<IngestRecordsRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let manner = {
            let mut manners = self.0.lock().expect("nobody panics with it");
            if manners.len() > 1 { manners.pop_front() } else { manners.front().copied() }
        };
        let manner = manner.expect("a script has a last line");
        if let Manner::Deaf = manner {
            return Ok(Response::new(pending().boxed()));
        }
        let window = FeedWindow { max_in_flight_records: 100, max_in_flight_bytes: 1 << 20 };
        let opened = Told::Opened(FeedOpened { window: Some(window), ..FeedOpened::default() });
        let answers = request.into_inner().filter_map(move |sent| {
            let opened = opened.clone();
            async move {
                match (sent.ok()?.message?, manner) {
                    (Sent::Open(_), _) => Some(told(opened)),
                    (Sent::IngestRecord(record), Manner::Good) => Some(ack(record.seq)),
                    (Sent::IngestRecord(_), Manner::Breaks) => Some(Err(Status::unavailable("gone"))),
                    _ => None,
                }
            }
        });
        Ok(Response::new(match manner {
            Manner::Good => answers.boxed(),
            Manner::Breaks => answers.boxed(),
            Manner::Ends => answers.take(1).boxed(),
            Manner::Silent | Manner::Deaf => answers.chain(pending()).boxed(),
            Manner::Idle => {
                let beats = futures_util::stream::repeat(()).then(|()| async {
                    tokio::time::sleep(Duration::from_secs(15)).await; // by the paused clock
                    ack(0)
                });
                futures_util::stream::select(answers, beats).boxed()
            }
        }))
    }

    async fn write_records(
        &self,
        _: Request<WriteRecordsRequest>,
    ) -> Result<Response<WriteRecordsResponse>, Status> {
        Err(Status::unimplemented("a feed writes no other way"))
    }

    async fn get_record(&self, _: Request<GetRecordRequest>) -> Result<Response<GetRecordResponse>, Status> {
        Err(Status::unimplemented("a feed reads nothing"))
    }

    async fn list_records(
        &self,
        _: Request<ListRecordsRequest>,
    ) -> Result<Response<ListRecordsResponse>, Status> {
        Err(Status::unimplemented("a feed reads nothing"))
    }
}

fn partner(partner_id: &str) -> Record {
    let partner = Partner { partner_id: partner_id.into(), ..Partner::default() };
    Record { record: Some(record::Record::Partner(partner)), ..Record::default() }
}

/// Whatever goes wrong on the way, it comes back, and ends well with a server that does.
#[tokio::test(start_paused = true)]
async fn a_feed_gets_through_to_a_server_that_recovers() {
    use Manner::{Breaks, Deaf, Ends, Good, Silent};
    for script in [
        vec![Good],
        vec![Breaks, Good],
        vec![Ends, Ends, Good],
        vec![Silent, Good],
        vec![Deaf, Good],
        vec![Breaks, Silent, Ends, Good],
    ] {
        let options = Options { give_up_after: Duration::from_secs(600), ..Options::default() };
        let opened = Feed::open(Scripted::service(&script), "crm", options).await;
        let mut feed = opened.unwrap_or_else(|error| panic!("{script:?}: {error}"));
        for id in ["p1", "p2", "p3"] {
            feed.send(partner(id)).await.unwrap_or_else(|error| panic!("{script:?}: {error}"));
        }
        let done = feed.finish().await.unwrap_or_else(|error| panic!("{script:?}: {error}"));
        assert_eq!(done.acked_seq, 3, "{script:?}");
    }
}

/// It gives up when a call has tried for so long without a record being acknowledged, and says so.
#[tokio::test(start_paused = true)]
async fn a_feed_gives_up_in_time() {
    use Manner::{Breaks, Ends, Idle, Silent};
    for manner in [Silent, Idle, Breaks, Ends] {
        let options = Options { give_up_after: Duration::from_secs(120), ..Options::default() };
        let mut feed = Feed::open(Scripted::service(&[manner]), "crm", options).await.expect("it opens");
        let began_at = tokio::time::Instant::now();
        let sent = feed.send(partner("p1")).await.map(drop);
        let ended = match sent {
            Ok(()) => feed.finish().await.map(drop),
            refused => refused,
        };
        assert!(matches!(ended, Err(FeedError::GivenUp { .. })), "{manner:?}: {ended:?}");
        let took = began_at.elapsed().as_secs();
        assert!((120..=300).contains(&took), "{manner:?} took {took} s");
    }
    let options = Options { give_up_after: Duration::from_secs(120), ..Options::default() };
    let refused = Feed::open(Scripted::service(&[Manner::Deaf]), "crm", options).await.map(drop);
    assert!(matches!(refused, Err(FeedError::GivenUp { .. })), "{refused:?}");
}

/// One that wasn't called for long was idle, not stuck: what broke meanwhile is tried again first.
#[tokio::test(start_paused = true)]
async fn an_idle_feed_is_not_stuck() {
    let options = Options { give_up_after: Duration::from_secs(60), ..Options::default() };
    let service = Scripted::service(&[Manner::Breaks, Manner::Good]);
    let mut feed = Feed::open(service, "crm", options).await.expect("it opens");
    feed.send(partner("p1")).await.expect("it is in the outbox");
    tokio::time::advance(Duration::from_secs(3_600)).await;
    feed.send(partner("p2")).await.expect("it comes back");
    assert_eq!(feed.finish().await.expect("everything is in").acked_seq, 2);
}
