//! IngestRecords, clause by clause: what a feed is told, in which order, and what ends it. A real client over a
//! real socket.

#[path = "support/sidecar.rs"]
mod sidecar;

use std::time::Duration;

use channel_kpi::client::ingest::{Feed, FeedError, Options};
use channel_kpi::config::Limits;
use channel_kpi::proto::channelkpi::v1::consistency::Requirement;
use channel_kpi::proto::channelkpi::v1::ingest_records_request::Message as Sent;
use channel_kpi::proto::channelkpi::v1::ingest_records_response::Message as Told;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    Consistency, ErrorReason, FeedAck, FeedCheckpoint, FeedOpened, GetRecordRequest, GoingAwayReason,
    IngestRecord, IngestRecordsRequest, IngestRecordsResponse, ListRecordsRequest, OpenFeed, Partner, Record,
    RecordKey, RecordKind, TenantSettings, record, record_key,
};
use prost_types::Timestamp;
use sidecar::Sidecar;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

fn settings() -> TenantSettings {
    TenantSettings {
        reporting_currency_code: "USD".to_owned(),
        time_zone: "UTC".to_owned(),
        ..TenantSettings::default()
    }
}

async fn start(limits: Limits) -> (Sidecar, Channel) {
    let sidecar = Sidecar::start_with(tempfile::tempdir().expect("a directory for the test"), limits).await;
    sidecar.tenant("default", settings()).await;
    let channel = sidecar.connect().await;
    (sidecar, channel)
}

fn partner(id: &str) -> Record {
    let partner = Partner { partner_id: id.to_owned(), ..Partner::default() };
    let update_time = Some(Timestamp { seconds: 1_704_110_400, nanos: 0 });
    Record { update_time, record: Some(record::Record::Partner(partner)), ..Record::default() }
}

fn numbered(seq: i64) -> Sent {
    Sent::IngestRecord(IngestRecord { seq, record: Some(partner(&format!("P{seq}"))) })
}

fn open(source_id: &str) -> Sent {
    Sent::Open(OpenFeed { source_id: source_id.to_owned() })
}

fn checkpoint(place: &[u8]) -> Sent {
    Sent::Checkpoint(FeedCheckpoint { place: place.to_owned() })
}

/// A feed by hand: nothing is sent, and nothing read, but what the test says.
struct ByHand {
    sender: Option<mpsc::Sender<IngestRecordsRequest>>,
    answers: Streaming<IngestRecordsResponse>,
}

impl ByHand {
    async fn begin(channel: &Channel) -> Self {
        let (sender, messages) = mpsc::channel(10_000);
        let mut client = RecordServiceClient::new(channel.clone());
        let answers = client.ingest_records(ReceiverStream::new(messages)).await;
        Self { sender: Some(sender), answers: answers.expect("the tenant is there").into_inner() }
    }

    async fn open(channel: &Channel, source_id: &str) -> (Self, FeedOpened) {
        let mut feed = Self::begin(channel).await;
        feed.send([open(source_id)]).await;
        match feed.told().await {
            Ok(Some(Told::Opened(opened))) => (feed, opened),
            other => panic!("{other:?}"),
        }
    }

    async fn send(&mut self, messages: impl IntoIterator<Item = Sent>) {
        let sender = self.sender.as_ref().expect("it isn't closed");
        for message in messages {
            // A feed that the server has ended takes nothing more.
            let _ = sender.send(IngestRecordsRequest { message: Some(message) }).await;
        }
    }

    fn close(&mut self) {
        self.sender = None;
    }

    async fn told(&mut self) -> Result<Option<Told>, Status> {
        Ok(self.answers.message().await?.map(|answer| answer.message.expect("the server knows its messages")))
    }

    /// The Acks until something else comes, and that.
    async fn acks(&mut self) -> (Vec<FeedAck>, Result<Option<Told>, Status>) {
        let mut acks = Vec::new();
        loop {
            match self.told().await {
                Ok(Some(Told::Ack(ack))) => acks.push(ack),
                other => return (acks, other),
            }
        }
    }

    async fn acked(&mut self, seq: i64) -> FeedAck {
        loop {
            match self.told().await {
                Ok(Some(Told::Ack(ack))) if ack.acked_seq >= seq => return ack,
                Ok(Some(Told::Ack(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// How it ends when it was sent this.
    async fn refusal(channel: &Channel, messages: Vec<Sent>) -> Status {
        let mut feed = Self::begin(channel).await;
        feed.send(messages).await;
        loop {
            match feed.told().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended well"),
                Err(status) => return status,
            }
        }
    }
}

fn reason(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
}

fn metadata(status: &Status, key: &str) -> String {
    let info = status.get_details_error_info().expect("every status has ErrorInfo");
    info.metadata.get(key).cloned().unwrap_or_else(|| panic!("no {key} in {info:?}"))
}

async fn is_there(channel: &Channel, id: &str, token: &str) -> bool {
    let key = Some(RecordKey { key: Some(record_key::Key::PartnerId(id.to_owned())) });
    let consistency = Some(Consistency { requirement: Some(Requirement::AtLeastAsFresh(token.to_owned())) });
    let request = GetRecordRequest { key, consistency };
    RecordServiceClient::new(channel.clone()).get_record(request).await.is_ok()
}

async fn partner_count(channel: &Channel) -> usize {
    let mut client = RecordServiceClient::new(channel.clone());
    let mut request = ListRecordsRequest {
        record_kind: RecordKind::Partner.into(),
        page_size: 1_000,
        ..ListRecordsRequest::default()
    };
    let mut count = 0;
    loop {
        let page = client.list_records(request.clone()).await.expect("it is answered").into_inner();
        count += page.versions.len();
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return count;
        }
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_shown_and_half_close_ends_with_a_last_ack() {
    let (sidecar, channel) = start(Limits::default()).await;
    let (mut feed, opened) = ByHand::open(&channel, "crm").await;
    assert_eq!(opened.checkpoint, None);
    let window = opened.window.expect("it tells one");
    assert_eq!((window.max_in_flight_records, window.max_in_flight_bytes), (4_096, 8 << 20));
    feed.send((1..=3).map(numbered)).await;
    let ack = feed.acked(3).await;
    assert!(is_there(&channel, "P3", &ack.revision_token).await);

    feed.send([numbered(4)]).await;
    feed.close();
    let (acks, end) = feed.acks().await;
    assert_eq!(acks.last().expect("there is a last one").acked_seq, 4);
    assert!(matches!(end, Ok(None)), "{end:?}");

    let (mut silent, _) = ByHand::open(&channel, "crm").await;
    silent.close();
    let (acks, end) = silent.acks().await;
    assert!(matches!((&acks[..], &end), ([FeedAck { acked_seq: 0, .. }], Ok(None))), "{acks:?} {end:?}");
    sidecar.stop().await;
}

#[tokio::test]
async fn a_wrong_record_is_rejected_by_path_and_stops_nothing() {
    let (sidecar, channel) = start(Limits::default()).await;
    let (mut feed, _) = ByHand::open(&channel, "crm").await;
    let with = |seq, record| Sent::IngestRecord(IngestRecord { seq, record });
    let settings = Record { record: Some(record::Record::TenantSettings(settings())), ..partner("x") };
    feed.send([numbered(1), with(2, Some(partner(""))), with(3, None), with(4, Some(settings)), numbered(5)])
        .await;
    feed.close();
    let (acks, end) = feed.acks().await;
    assert!(matches!(end, Ok(None)), "{end:?}");
    let told = acks.iter().flat_map(|ack| &ack.rejected_records).map(|rejected| {
        assert_eq!(rejected.reason(), ErrorReason::InvalidField);
        (rejected.seq, rejected.violations[0].field.as_str())
    });
    let expected = [(2, "record.partner.partner_id"), (3, "record"), (4, "record.tenant_settings")];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!(partner_count(&channel).await, 2);
    sidecar.stop().await;
}

#[tokio::test]
async fn what_breaks_the_contract_is_refused_and_what_came_before_is_written() {
    let (sidecar, channel) = start(Limits::default()).await;
    let gap = ByHand::refusal(&channel, vec![open("crm"), numbered(1), numbered(2), numbered(4)]).await;
    assert_eq!(reason(&gap), (Code::InvalidArgument, "SEQUENCE_GAP".to_owned()));
    assert_eq!((metadata(&gap, "expected"), metadata(&gap, "got")), ("3".to_owned(), "4".to_owned()));
    assert_eq!(partner_count(&channel).await, 2);
    for (messages, field) in [
        (vec![numbered(1)], "open"),
        (vec![checkpoint(b"x")], "open"),
        (vec![open("")], "open.source_id"),
        (vec![open("crm"), open("crm")], "open"),
        (vec![open("crm"), checkpoint(b"")], "checkpoint.place"),
        (vec![open("crm"), checkpoint(&[7; 1_025])], "checkpoint.place"),
    ] {
        let refusal = ByHand::refusal(&channel, messages).await;
        assert_eq!(reason(&refusal), (Code::InvalidArgument, "INVALID_FIELD".to_owned()));
        let bad = refusal.get_details_bad_request().expect("it names the field");
        assert_eq!(bad.field_violations[0].field, field);
    }
    for first in [0, 2, i64::MIN, i64::MAX] {
        let refusal = ByHand::refusal(&channel, vec![open("crm"), numbered(first)]).await;
        assert_eq!(metadata(&refusal, "expected"), "1");
    }
    sidecar.stop().await;
}

#[tokio::test]
async fn a_tenant_that_cant_be_fed_is_refused_as_a_write_would_be() {
    let (sidecar, channel) = start(Limits::default()).await;
    let mut caller = sidecar.caller("nobody").await;
    let request = tokio_stream::once(IngestRecordsRequest { message: Some(open("crm")) });
    let refusal = caller.records.ingest_records(request).await.expect_err("there is no such tenant");
    assert_eq!(reason(&refusal), (Code::PermissionDenied, "TENANT_DENIED".to_owned()));
    drop(channel);
    sidecar.stop().await;
}

#[tokio::test]
async fn a_client_that_ignores_its_window_is_refused() {
    let records = Limits { feed_in_flight_records_max: 10, ..Limits::default() };
    let bytes = Limits { feed_in_flight_bytes_max: 64 << 10, ..Limits::default() };
    let wide = |seq| {
        let mut record = partner(&format!("P{seq}"));
        if let Some(record::Record::Partner(partner)) = &mut record.record {
            partner.name = "x".repeat(500);
        }
        Sent::IngestRecord(IngestRecord { seq, record: Some(record) })
    };
    for (limits, limit) in [(records, "feed_in_flight_records_max"), (bytes, "feed_in_flight_bytes_max")] {
        let (sidecar, channel) = start(limits).await;
        let messages = std::iter::once(open("crm")).chain((1..=8_000).map(wide)).collect();
        let refusal = ByHand::refusal(&channel, messages).await;
        assert_eq!(reason(&refusal), (Code::ResourceExhausted, "IN_FLIGHT_EXCEEDED".to_owned()));
        assert_eq!(metadata(&refusal, "limit"), limit);
        sidecar.stop().await;
    }
}

#[tokio::test]
async fn acks_come_in_order_and_at_least_every_256_records() {
    let (sidecar, channel) = start(Limits::default()).await;
    let (mut feed, _) = ByHand::open(&channel, "crm").await;
    feed.send((1..=4_000).map(numbered)).await;
    feed.close();
    let (acks, end) = feed.acks().await;
    assert!(matches!(end, Ok(None)), "{end:?}");
    let mut before = 0;
    for ack in &acks {
        assert!((before..=before + 256).contains(&ack.acked_seq), "{} after {before}", ack.acked_seq);
        before = ack.acked_seq;
    }
    assert_eq!(before, 4_000);
    assert_eq!(partner_count(&channel).await, 4_000);
    sidecar.stop().await;
}

#[tokio::test]
async fn silence_is_broken_by_an_ack_with_nothing_new() {
    let limits = Limits { heartbeat_interval: Duration::from_millis(20), ..Limits::default() };
    let (sidecar, channel) = start(limits).await;
    let (mut feed, _) = ByHand::open(&channel, "crm").await;
    feed.send([numbered(1)]).await;
    assert_eq!(feed.acked(1).await.acked_seq, 1);
    for _ in 0..3 {
        let told = feed.told().await;
        assert!(matches!(told, Ok(Some(Told::Ack(FeedAck { acked_seq: 1, .. })))), "{told:?}");
    }
    sidecar.stop().await;
}

#[tokio::test]
async fn a_newer_feed_of_the_source_takes_over() {
    let (sidecar, channel) = start(Limits::default()).await;
    let (mut older, _) = ByHand::open(&channel, "crm").await;
    let (mut other, _) = ByHand::open(&channel, "erp").await;
    older.send([numbered(1), checkpoint(b"at 1"), numbered(2)]).await;
    older.acked(2).await;
    let (mut newer, opened) = ByHand::open(&channel, "crm").await;
    assert!(matches!(opened.checkpoint.as_deref(), Some(b"at 1") | None), "{opened:?}");
    let (_, end) = older.acks().await;
    let aborted = end.expect_err("it was taken over");
    assert_eq!(reason(&aborted), (Code::Aborted, "SOURCE_TAKEN_OVER".to_owned()));
    assert_eq!(metadata(&aborted, "source_id"), "crm");
    for feed in [&mut newer, &mut other] {
        feed.send([numbered(1)]).await;
        feed.acked(1).await;
    }
    sidecar.stop().await;
}

/// It holds neither its source, nor what it sent.
#[tokio::test]
async fn a_client_that_never_reads_holds_up_nobody() {
    let (sidecar, channel) = start(Limits::default()).await;
    let mut deaf = ByHand::begin(&channel).await;
    let wrong = |seq| Sent::IngestRecord(IngestRecord { seq, record: Some(partner("")) });
    deaf.send(std::iter::once(open("crm")).chain((1..=9_000).map(wrong))).await;
    let apart = sidecar.connect().await;
    let (mut feed, _) = ByHand::open(&apart, "crm").await;
    feed.send([numbered(1)]).await;
    feed.acked(1).await;
    sidecar.stop().await;
}

#[tokio::test]
async fn a_checkpoint_survives_restarts_and_snapshots() {
    let limits = Limits { snapshot_after_bytes: 1_024, ..Limits::default() };
    let (sidecar, channel) = start(limits.clone()).await;
    let (mut feed, _) = ByHand::open(&channel, "crm").await;
    feed.send([checkpoint(b"at 0"), numbered(1), checkpoint(b"at 1")]).await;
    feed.send((2..=600).map(numbered)).await;
    feed.send([checkpoint(b"at 600")]).await;
    feed.close();
    let (_, end) = feed.acks().await;
    assert!(matches!(end, Ok(None)), "{end:?}");
    let mut data_dir = sidecar.stop().await;
    for round in 0..2 {
        let sidecar = Sidecar::start_with(data_dir, limits.clone()).await;
        let channel = sidecar.connect().await;
        let (mut feed, opened) = ByHand::open(&channel, "crm").await;
        assert_eq!(opened.checkpoint.as_deref(), Some(&b"at 600"[..]), "round {round}");
        let (_, opened) = ByHand::open(&channel, "erp").await;
        assert_eq!(opened.checkpoint, None);
        // More batches, until the one with the checkpoint is forgotten but for a snapshot.
        let journal = sidecar.data_dir.path().join("journal.sqlite3");
        let (stored_through, _) = reach(&journal);
        for seq in 1.. {
            feed.send([numbered(seq)]).await;
            feed.acked(seq).await;
            if reach(&journal).1 >= stored_through {
                break;
            }
        }
        data_dir = sidecar.stop().await;
    }
}

/// The last batch of a journal, and the last that it forgot.
fn reach(journal: &std::path::Path) -> (i64, i64) {
    let db = rusqlite::Connection::open(journal).expect("the journal is there");
    let one = |sql| db.query_row(sql, [], |row| row.get(0)).expect("it is ours");
    (one("SELECT max(seq) FROM sqlite_sequence"), one("SELECT max(truncated_through) FROM tenant"))
}

#[tokio::test]
async fn a_feed_of_its_age_ends_with_a_last_ack_going_away_and_ok() {
    let limits = Limits { stream_age_max: Duration::from_secs(1), ..Limits::default() };
    let (sidecar, channel) = start(limits).await;
    let (mut feed, _) = ByHand::open(&channel, "crm").await;
    feed.send((1..=200).map(numbered)).await;
    let (acks, end) = feed.acks().await;
    assert_eq!(acks.last().expect("there is a last one").acked_seq, 200);
    let Ok(Some(Told::GoingAway(going_away))) = end else { panic!("{end:?}") };
    assert_eq!(going_away.reason(), GoingAwayReason::MaxAge);
    assert!(going_away.retry_after.is_some() && going_away.resume_token.is_empty());
    let end = feed.told().await;
    assert!(matches!(end, Ok(None)), "{end:?}");
    sidecar.stop().await;
}

#[tokio::test]
async fn a_drain_ends_feeds_with_a_last_ack_going_away_and_ok() {
    let (sidecar, channel) = start(Limits::default()).await;
    let (mut feed, _) = ByHand::open(&channel, "crm").await;
    feed.send([numbered(1)]).await;
    feed.acked(1).await;
    feed.send([checkpoint(b"at 1")]).await;
    let stopping = tokio::spawn(sidecar.stop());
    let (acks, end) = feed.acks().await;
    assert_eq!(acks.last().expect("there is a last one").acked_seq, 1);
    let Ok(Some(Told::GoingAway(going_away))) = end else { panic!("{end:?}") };
    assert_eq!(going_away.reason(), GoingAwayReason::Draining);
    assert!(matches!(feed.told().await, Ok(None)));
    stopping.await.expect("it stops");
}

#[tokio::test]
async fn the_client_comes_back_after_streams_end_and_tells_what_was_rejected() {
    let limits = Limits {
        stream_age_max: Duration::from_millis(30),
        feed_in_flight_records_max: 50,
        ..Limits::default()
    };
    let (sidecar, channel) = start(limits).await;
    let mut feed = Feed::open(channel.clone(), "crm", Options::default()).await.expect("it opens");
    let mut wrong = Vec::new();
    for n in 1..=1_000 {
        let id = if n % 100 == 7 { String::new() } else { format!("P{n}") };
        let seq = feed.send(partner(&id)).await.expect("it is sent");
        assert_eq!(seq, n);
        if id.is_empty() {
            wrong.push(seq);
        }
        if n % 300 == 0 {
            feed.checkpoint(format!("at {n}")).expect("it is short");
        }
    }
    let done = feed.finish().await.expect("everything is in");
    assert_eq!(done.acked_seq, 1_000);
    assert_eq!(done.rejected.iter().map(|rejected| rejected.seq).collect::<Vec<_>>(), wrong);
    assert!(is_there(&channel, "P1000", &done.revision_token).await);
    assert_eq!(partner_count(&channel).await, 990);
    let feed = Feed::open(channel, "crm", Options::default()).await.expect("it opens");
    assert_eq!(feed.stored_checkpoint(), Some(&b"at 900"[..]));
    sidecar.stop().await;
}

#[tokio::test]
async fn the_client_ends_for_good_when_its_source_is_taken_over() {
    let (sidecar, channel) = start(Limits::default()).await;
    let mut feed = Feed::open(channel.clone(), "crm", Options::default()).await.expect("it opens");
    feed.send(partner("P1")).await.expect("it is sent");
    feed.flush().await.expect("it is written");
    let _newer = ByHand::open(&channel, "crm").await;
    match feed.finish().await {
        Err(FeedError::Refused(status)) => assert_eq!(reason(&status).1, "SOURCE_TAKEN_OVER"),
        other => panic!("{other:?}"),
    }
    sidecar.stop().await;
}
