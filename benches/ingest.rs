//! Durable ingest from one client over a real socket.
//!
//! References of the same run: the same versions applied to a book in this process, on one thread, with no
//! journal and no wire; and the same bytes appended to a bare file, with an fsync per write.

mod tenant;

use std::fs::File;
use std::io::Write;
use std::time::Instant;

use channel_kpi::book::{Batch, Book};
use channel_kpi::client::ingest::{Feed, Options};
use channel_kpi::domain::record::{self, Version, VersionKey};
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{Record, WriteRecordsRequest};
use channel_kpi::server::Listen;
use channel_kpi::service::parse;
use prost::Message;
use tenant::{Tenant, WRITE_RECORDS, found, now, open, print_head, print_row, settings, taken, writing};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// Writes of one client that are under way at a time, where it doesn't wait for each.
const AT_A_TIME: usize = 4;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let tenant = Tenant::from_env();
    let fresh = requests(tenant.records());
    // Every third deal comes again, changed.
    let amended = requests((0..tenant.deal_count).step_by(3).map(|number| tenant.amended(number, 1)));
    let record_count: usize = fresh.iter().map(|request| request.records.len()).sum();
    println!("{record_count} records of {} deals, {WRITE_RECORDS} to a write", tenant.deal_count);
    print_head();

    let mut book = configured_book();
    let applied = apply(&mut book, &fresh);
    let applied_again = apply(&mut book, &amended);
    drop(book);
    print_row("applied in process: new records", applied, applied, "records/s");
    print_row("applied in process: changed deals", applied_again, applied, "records/s");
    let synced = append_synced(&fresh);
    print_row("the same bytes appended and synced", synced, applied, "records/s");

    for (name, at_a_time) in [("WriteRecords, one at a time", 1), ("WriteRecords, four at a time", AT_A_TIME)]
    {
        let served = Served::start().await;
        let new = write(&served.channel, &fresh, at_a_time).await;
        print_row(&format!("{name}: new records"), new, applied, "records/s");
        let changed = write(&served.channel, &amended, at_a_time).await;
        print_row(&format!("{name}: changed deals"), changed, applied_again, "records/s");
        served.stop().await;
    }

    let served = Served::start().await;
    let new = feed(&served.channel, &fresh).await;
    print_row("IngestRecords: new records", new, applied, "records/s");
    let changed = feed(&served.channel, &amended).await;
    print_row("IngestRecords: changed deals", changed, applied_again, "records/s");
    served.stop().await;
}

fn requests(records: impl Iterator<Item = Record>) -> Vec<WriteRecordsRequest> {
    let mut records = records.peekable();
    let mut requests = Vec::new();
    while records.peek().is_some() {
        requests.push(writing(records.by_ref().take(WRITE_RECORDS).collect()));
    }
    requests
}

fn record_count(requests: &[WriteRecordsRequest]) -> f64 {
    requests.iter().map(|request| request.records.len()).sum::<usize>() as f64
}

fn configured_book() -> Book {
    let settings = parse::settings(&settings()).expect("they are valid");
    let key = VersionKey { update_time: now().into(), sequence: 0 };
    let versions = vec![Version { key, record: record::Record::Settings(settings) }];
    let mut book = Book::default();
    let batch = Batch { revision: 1, received_time: now().into(), versions };
    let prepared = book.prepare(&batch);
    book.apply(batch, prepared);
    book
}

/// Records a second. What isn't applying, parsing too, is outside the time.
fn apply(book: &mut Book, requests: &[WriteRecordsRequest]) -> f64 {
    let mut seconds = 0.0;
    for request in requests {
        let accepted = parse::write_records(request, now().into()).expect("they are valid");
        let (revision, versions) = (book.revision() + 1, accepted.versions);
        let batch = Batch { revision, received_time: now().into(), versions };
        let began_at = Instant::now();
        let prepared = book.prepare(&batch);
        book.apply(batch, prepared);
        seconds += began_at.elapsed().as_secs_f64();
    }
    record_count(requests) / seconds
}

fn append_synced(requests: &[WriteRecordsRequest]) -> f64 {
    let bytes: Vec<Vec<u8>> = requests.iter().map(WriteRecordsRequest::encode_to_vec).collect();
    let dir = tempfile::tempdir().expect("a directory for the bench");
    let mut file = File::create(dir.path().join("appended")).expect("a file");
    let began_at = Instant::now();
    for bytes in &bytes {
        file.write_all(bytes).expect("there is room");
        file.sync_data().expect("there is room");
    }
    record_count(requests) / began_at.elapsed().as_secs_f64()
}

/// Until the last record is durable and figures show it.
async fn write(channel: &Channel, requests: &[WriteRecordsRequest], at_a_time: usize) -> f64 {
    let client = RecordServiceClient::new(channel.clone());
    let began_at = Instant::now();
    let mut under_way = JoinSet::new();
    for request in requests {
        let (mut client, request) = (client.clone(), request.clone());
        under_way.spawn(async move { taken(client.write_records(request).await) });
        if under_way.len() >= at_a_time {
            under_way.join_next().await.expect("some are under way").expect("no write panics");
        }
    }
    under_way.join_all().await;
    record_count(requests) / began_at.elapsed().as_secs_f64()
}

/// The same through a feed, one record a message.
async fn feed(channel: &Channel, requests: &[WriteRecordsRequest]) -> f64 {
    let began_at = Instant::now();
    let mut feed = Feed::open(channel.clone(), "bench", Options::default()).await.expect("it is taken");
    for record in requests.iter().flat_map(|request| &request.records) {
        feed.send(record.clone()).await.expect("the server takes it");
    }
    let finished = feed.finish().await.expect("all is taken");
    assert_eq!(finished.rejected, []);
    record_count(requests) / began_at.elapsed().as_secs_f64()
}

/// A sidecar with an empty tenant, behind a socket.
struct Served {
    channel: Channel,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<channel_kpi::server::Drained>,
    _data_dir: tempfile::TempDir,
}

// === impl Served ===

impl Served {
    async fn start() -> Self {
        let data_dir = tempfile::tempdir().expect("a directory for the bench");
        let (sidecar, hands) = open(&data_dir).await;
        found(&sidecar).await;
        let server = sidecar.bind().expect("some port is free");
        let Listen::Tcp(address) = server.local_addrs()[0] else { panic!("it listens on TCP") };
        let stop = CancellationToken::new();
        let serve = sidecar.serve(server, stop.clone(), CancellationToken::new());
        let serving = tokio::spawn(async move {
            let _hands = hands;
            serve.await
        });
        let endpoint = Endpoint::new(format!("http://{address}")).expect("an address makes a URL");
        let channel = endpoint.connect().await.expect("it listens");
        Self { channel, stop, serving, _data_dir: data_dir }
    }

    async fn stop(self) {
        drop(self.channel);
        self.stop.cancel();
        self.serving.await.expect("the sidecar doesn't panic");
    }
}
