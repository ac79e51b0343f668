//! Durable ingest from one client over a real socket.
//!
//! References of the same run: the same versions applied to a book in this process, on one thread, with no
//! journal and no wire; and the same bytes appended to a bare file, with an fsync per write.
//!
//! A book is filled with all of `BENCH_DEALS`; over the socket go at most a million.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use channel_kpi::book::{Batch, Book};
use channel_kpi::client::ingest::{Feed, Options};
use channel_kpi::domain::record::{self, Version, VersionKey};
use channel_kpi::proto::channelkpi::v1::Record;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::server::Listen;
use channel_kpi::service::parse;
use prost::Message;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::tenant::{
    Table, Tenant, WRITE_RECORDS, chunks, count, found, now, open, settings, taken, writing,
};

/// Writes of one client that are under way at a time, where it doesn't wait for each.
const AT_A_TIME: usize = 4;
/// Every so many deals come again, changed.
const CHANGED_EVERY: usize = 3;
const SENT_DEALS_MAX: u64 = 1_000_000;
/// Of applying, per second: the budget of `applied upserts of existing deals`.
const APPLIED_MIN: f64 = 80_000.0;
/// Of one feed, per second, and as a share of applying.
const FED_MIN: (f64, f64) = (50_000.0, 0.4);

pub async fn measure() {
    let whole = Tenant::from_env();
    let mut table = Table::new(&["records, one client", "a second", "of applying", "budget"]);
    let mut row = |name: &str, per_second: f64, ratio: Option<f64>, budget: String| {
        let ratio = ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        table.row(&[name.to_owned(), count(per_second as u64), ratio, budget]);
    };
    let at_least = format!("≥ {}", count(APPLIED_MIN as u64));
    let sent = Tenant::from_env_up_to(SENT_DEALS_MAX);
    if whole.deal_count > sent.deal_count {
        let [new, changed, late] = applied(&whole);
        let of = count(whole.deal_count);
        row(&format!("applied in process: new, to {of} deals"), new, None, "–".into());
        row(&format!("applied in process: changed, of {of} deals"), changed, None, at_least.clone());
        row(&format!("applied in process: late versions, of {of} deals"), late, None, "–".into());
    }
    let [applied_new, applied_changed, late] = applied(&sent);
    row("applied in process: new", applied_new, Some(1.0), "–".into());
    row("applied in process: changed deals", applied_changed, Some(1.0), at_least);
    row("applied in process: late versions", late, None, "–".into());
    let synced = append_synced(&sent);
    row("the same bytes appended and synced", synced, Some(synced / applied_new), "–".into());

    for (name, at_a_time) in [("WriteRecords, one at a time", 1), ("WriteRecords, four at a time", AT_A_TIME)]
    {
        let served = Served::start().await;
        let new = write(&served.channel, sent.records(), at_a_time).await;
        row(&format!("{name}: new"), new, Some(new / applied_new), "–".into());
        let changed = write(&served.channel, amended(&sent), at_a_time).await;
        row(&format!("{name}: changed deals"), changed, Some(changed / applied_changed), "–".into());
        served.stop().await;
    }

    let served = Served::start().await;
    let fed = format!("≥ {} and {:.1}", count(FED_MIN.0 as u64), FED_MIN.1);
    let new = feed(&served.channel, sent.records()).await;
    row("IngestRecords: new", new, Some(new / applied_new), fed.clone());
    let changed = feed(&served.channel, amended(&sent)).await;
    row("IngestRecords: changed deals", changed, Some(changed / applied_changed), fed);
    served.stop().await;
    println!(
        "{} deals, {WRITE_RECORDS} records to a write, three in four of them deals",
        count(sent.deal_count)
    );
    table.print();
}

fn amended(tenant: &Tenant) -> impl Iterator<Item = Record> + Send + use<'_> {
    (0..tenant.deal_count).step_by(CHANGED_EVERY).map(|number| tenant.amended(number, 1))
}

/// Records a second into a book: new ones, changed deals and late versions.
fn applied(tenant: &Tenant) -> [f64; 3] {
    let mut book = configured_book();
    let late = (0..tenant.deal_count).step_by(10).map(|number| tenant.late(number, 1));
    [apply(&mut book, tenant.records()), apply(&mut book, amended(tenant)), apply(&mut book, late)]
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

/// Records a second. What isn't applying, making and parsing too, is outside the time.
fn apply(book: &mut Book, records: impl Iterator<Item = Record>) -> f64 {
    let mut took = Duration::ZERO;
    let mut record_count = 0;
    for records in chunks(records, WRITE_RECORDS) {
        record_count += records.len();
        let accepted = parse::write_records(&writing(records), now().into()).expect("they are valid");
        let (revision, versions) = (book.revision() + 1, accepted.versions);
        let batch = Batch { revision, received_time: now().into(), versions };
        let began_at = Instant::now();
        let prepared = book.prepare(&batch);
        book.apply(batch, prepared);
        took += began_at.elapsed();
    }
    record_count as f64 / took.as_secs_f64()
}

fn append_synced(tenant: &Tenant) -> f64 {
    let dir = tempfile::tempdir().expect("a directory for the bench");
    let mut file = File::create(dir.path().join("appended")).expect("a file");
    let mut took = Duration::ZERO;
    let mut record_count = 0;
    for records in chunks(tenant.records(), WRITE_RECORDS) {
        record_count += records.len();
        let bytes = writing(records).encode_to_vec();
        let began_at = Instant::now();
        file.write_all(&bytes).expect("there is room");
        file.sync_data().expect("there is room");
        took += began_at.elapsed();
    }
    record_count as f64 / took.as_secs_f64()
}

/// Makes the records before the time runs: they are as many as go over the socket at most.
fn made(records: impl Iterator<Item = Record>) -> Vec<Vec<Record>> {
    chunks(records, WRITE_RECORDS).collect()
}

fn per_second(writes: &[Vec<Record>], took: Duration) -> f64 {
    writes.iter().map(Vec::len).sum::<usize>() as f64 / took.as_secs_f64()
}

/// Until the last record is durable and figures show it.
async fn write(channel: &Channel, records: impl Iterator<Item = Record>, at_a_time: usize) -> f64 {
    let writes = made(records);
    let client = RecordServiceClient::new(channel.clone());
    let began_at = Instant::now();
    let mut under_way = JoinSet::new();
    for records in &writes {
        let (mut client, records) = (client.clone(), records.clone());
        under_way.spawn(async move { taken(client.write_records(writing(records)).await) });
        if under_way.len() >= at_a_time {
            under_way.join_next().await.expect("some are under way").expect("no write panics");
        }
    }
    under_way.join_all().await;
    per_second(&writes, began_at.elapsed())
}

/// The same through a feed, one record a message.
async fn feed(channel: &Channel, records: impl Iterator<Item = Record>) -> f64 {
    let writes = made(records);
    let began_at = Instant::now();
    let mut feed = Feed::open(channel.clone(), "bench", Options::default()).await.expect("it is taken");
    for record in writes.iter().flatten() {
        feed.send(record.clone()).await.expect("the server takes it");
    }
    let finished = feed.finish().await.expect("all is taken");
    assert_eq!(finished.rejected, []);
    per_second(&writes, began_at.elapsed())
}

/// A sidecar with an empty tenant, behind a socket.
struct Served {
    channel: Channel,
    stop: CancellationToken,
    serving: JoinHandle<channel_kpi::server::Drained>,
    _data_dir: tempfile::TempDir,
}

// === impl Served ===

impl Served {
    async fn start() -> Self {
        let data_dir = tempfile::tempdir().expect("a directory for the bench");
        let (sidecar, hands) = open(&data_dir).await;
        found(sidecar.channel()).await;
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
