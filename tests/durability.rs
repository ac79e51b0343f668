//! What was acknowledged is there, whatever happens to the process: the real server, killed at random moments while
//! several clients write, and a disk that forgets what wasn't synced.
//!
//! After every end the same is asked (`Written::assert_survives`):
//! 1. Every acknowledged record is there, as it was sent.
//! 2. A batch is there whole or not at all, acknowledged or not.
//! 3. Nothing else is there.
//! 4. The figures are those of a sidecar that was sent exactly these records and never ended.

mod program;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use channel_kpi::client::Service;
use channel_kpi::config::{Config, Limits};
use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    CreateTenantRequest, CreditRole, DateRange, Deal, DealStatus, Employee, ExchangeRate, ExchangeRateKey,
    GetRecordRequest, GetScorecardRequest, GetTenantRequest, ListRecordsRequest, ListScorecardsRequest,
    OrgUnit, Partner, PartnerCredit, Record, RecordKey, RecordKind, RecordVersion, Scorecard, SubjectKind,
    TenantSettings, Window, WriteRecordsRequest, record, record_key, window,
};
use channel_kpi::proto::google::r#type::{Date, Decimal, Money};
use program::Sidecar;
use prost_types::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::transport::Channel;

const CLIENTS: u64 = 4;

// === Chance ===

/// SplitMix64: the same numbers from the same seed.
struct Chance(u64);

impl Chance {
    /// From `CHANNEL_KPI_TEST_SEED`, else from a seed of the test's own. A failed test shows it.
    fn new(otherwise: u64) -> Self {
        let given = std::env::var_os("CHANNEL_KPI_TEST_SEED");
        let given =
            given.map(|seed| seed.to_str().and_then(|seed| seed.parse().ok()).expect("a seed is a number"));
        let seed = given.unwrap_or(otherwise);
        println!("repeat with CHANNEL_KPI_TEST_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

// === Records ===

/// 2024-01-01 12:00 UTC.
const FIRST_NOON_S: i64 = 1_704_110_400;
const DAY_S: i64 = 86_400;
/// Deals that are corrected over and over: each has many versions, of many batches.
const CORRECTED_DEALS: u64 = 5;

fn corrected_deal(number: u64) -> String {
    format!("corrected-{number}")
}

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn version(record: record::Record, update_s: i64) -> Record {
    Record { update_time: at(update_s), record: Some(record), ..Record::default() }
}

/// A deal of 2024 as the server tells it again: with everything said that may be left out.
fn any_deal(chance: &mut Chance, deal_id: String, update_s: i64) -> Record {
    let opened_s = FIRST_NOON_S + chance.below(300) as i64 * DAY_S;
    let status = chance.of(&[DealStatus::Open, DealStatus::Won, DealStatus::Won, DealStatus::Lost]);
    let closed_at = (status != DealStatus::Open).then(|| opened_s + chance.below(60) as i64 * DAY_S);
    let credit = |partner: u64, share_bps| PartnerCredit {
        partner_id: format!("P{partner}"),
        role: CreditRole::Sourced.into(),
        share_bps: Some(share_bps),
    };
    let first = 2 + chance.below(6);
    let partner_credits = match chance.below(3) {
        0 => vec![],
        1 => vec![credit(first, 10_000)],
        _ => vec![credit(10 + first, 3_333), credit(first, 5_000)], // in the order of ids: P17, P7
    };
    let amount = Money {
        currency_code: chance.of(&["USD", "USD", "EUR"]).to_owned(),
        units: chance.below(100_000) as i64,
        nanos: chance.below(10_000) as i32 * 100_000,
    };
    let deal = Deal {
        deal_id,
        opened_at: at(opened_s),
        amount: (chance.below(8) > 0).then_some(amount),
        status: status.into(),
        closed_at: closed_at.and_then(at),
        owner_employee_id: format!("E{}", chance.below(6)),
        partner_credits,
        ..Deal::default()
    };
    version(record::Record::Deal(deal), update_s)
}

/// What the deals refer to: partners below partners, employees in teams in a department, a rate.
fn ground() -> Vec<Record> {
    let partner = |number: u64| {
        let parent = if number < 4 { String::new() } else { format!("P{}", number % 4) };
        record::Record::Partner(Partner {
            partner_id: format!("P{number}"),
            parent_partner_id: parent,
            ..Partner::default()
        })
    };
    let unit = |id: &str, parent: &str| {
        record::Record::OrgUnit(OrgUnit {
            org_unit_id: id.to_owned(),
            parent_unit_id: parent.to_owned(),
            ..OrgUnit::default()
        })
    };
    let employee = |number: u64| {
        record::Record::Employee(Employee {
            employee_id: format!("E{number}"),
            unit_id: ["north", "south"][number as usize % 2].to_owned(),
            ..Employee::default()
        })
    };
    let key = ExchangeRateKey {
        from_currency_code: "EUR".to_owned(),
        to_currency_code: "USD".to_owned(),
        rate_on: Some(Date { year: 2024, month: 1, day: 1 }),
    };
    let rate = record::Record::ExchangeRate(ExchangeRate {
        key: Some(key),
        rate: Some(Decimal { value: "1.0837".to_owned() }),
    });
    let units = [unit("sales", ""), unit("north", "sales"), unit("south", "sales")];
    let records = (0..18).map(partner).chain(units).chain((0..6).map(employee)).chain([rate]);
    records.map(|record| version(record, FIRST_NOON_S)).collect()
}

/// What identifies a version of a deal here: its id and the second of its update.
fn identity(record: &Record) -> (String, i64) {
    let Some(record::Record::Deal(deal)) = &record.record else { panic!("{record:?} is no deal") };
    (deal.deal_id.clone(), record.update_time.as_ref().expect("every version has one").seconds)
}

// === Clients ===

/// One write of a client.
struct Batch {
    records: Vec<Record>,
    acknowledged: bool,
    /// What a probe said when the acknowledgement had come.
    probed: u64,
}

/// What the clients of one life of the server share.
struct Life {
    name: String,
    /// Times of updates: no two versions have the same.
    clock_s: Arc<AtomicI64>,
    /// Whether the server may be gone: from then on, failures are what is expected.
    ending: AtomicBool,
    acknowledged: mpsc::UnboundedSender<()>,
    probe: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// Writes batches, one after the other, until the server is gone.
async fn write(life: Arc<Life>, client: u64, channel: Channel, mut chance: Chance) -> Vec<Batch> {
    let mut records_client = RecordServiceClient::new(channel);
    let mut batches = Vec::new();
    loop {
        let update_s = || life.clock_s.fetch_add(1, Ordering::Relaxed);
        let size = match chance.below(60) {
            0 => 999,
            _ => chance.of(&[1, 1, 2, 3, 8, 20, 60]),
        };
        let number = batches.len();
        let new_id = |place| format!("{}-{client}-{number}-{place}", life.name);
        let mut records: Vec<Record> =
            (0..size).map(|place| any_deal(&mut chance, new_id(place), update_s())).collect();
        let corrected = corrected_deal(chance.below(CORRECTED_DEALS));
        records.push(any_deal(&mut chance, corrected, update_s()));

        let request = WriteRecordsRequest { records: records.clone(), ..WriteRecordsRequest::default() };
        let outcome = records_client.write_records(request).await;
        let failure = outcome.err();
        let acknowledged = failure.is_none();
        batches.push(Batch { records, acknowledged, probed: if acknowledged { (life.probe)() } else { 0 } });
        if let Some(status) = failure {
            assert!(life.ending.load(Ordering::Acquire), "nothing has happened yet: {status:?}");
            return batches;
        }
        // The test may have seen enough.
        let _ = life.acknowledged.send(());
    }
}

/// Lets clients write to a sidecar and ends it after so many acknowledgements, at once or a moment later.
async fn write_until(
    sidecar: Sidecar,
    life: Life,
    mut acknowledgements: mpsc::UnboundedReceiver<()>,
    ending_after: u64,
    chance: &mut Chance,
    end: impl FnOnce(Sidecar) + Send + 'static,
) -> Vec<Batch> {
    let life = Arc::new(life);
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let channel = sidecar.channel().await;
        clients.spawn(write(Arc::clone(&life), client, channel, Chance(chance.next())));
    }
    for _ in 0..ending_after {
        tokio::select! {
            acknowledged = acknowledgements.recv() => assert!(acknowledged.is_some(), "we hold a sender"),
            ended = clients.join_next() => drop(ended.expect("there are clients").expect("no client fails")),
        }
    }
    // Not to wait for something: the moment is what is random.
    tokio::time::sleep(Duration::from_micros(chance.below(3_000))).await;
    life.ending.store(true, Ordering::Release);
    tokio::task::spawn_blocking(|| end(sidecar)).await.expect("it ends");
    clients.join_all().await.into_iter().flatten().collect()
}

fn life(name: String, clock_s: &Arc<AtomicI64>) -> (Life, mpsc::UnboundedReceiver<()>) {
    let (acknowledged, acknowledgements) = mpsc::unbounded_channel();
    let clock_s = Arc::clone(clock_s);
    let ending = AtomicBool::new(false);
    (Life { name, clock_s, ending, acknowledged, probe: Box::new(|| 0) }, acknowledgements)
}

// === What must be there ===

async fn make_tenant(service: impl Service) {
    let settings = TenantSettings {
        reporting_currency_code: "USD".to_owned(),
        time_zone: "UTC".to_owned(),
        ..TenantSettings::default()
    };
    let create = CreateTenantRequest { tenant_id: "default".to_owned(), settings: Some(settings) };
    AdminServiceClient::new(service.clone()).create_tenant(create).await.expect("it is new");
    send(service, ground()).await;
}

async fn send(service: impl Service, records: Vec<Record>) {
    let request = WriteRecordsRequest { records, ..WriteRecordsRequest::default() };
    RecordServiceClient::new(service).write_records(request).await.expect("it is written");
}

/// Every version of every deal, as the server tells them.
async fn all_deals(channel: &Channel) -> BTreeMap<(String, i64), Record> {
    let mut client = RecordServiceClient::new(channel.clone());
    let mut request = ListRecordsRequest {
        record_kind: RecordKind::Deal.into(),
        page_size: 1_000,
        ..ListRecordsRequest::default()
    };
    let mut versions = Vec::new();
    loop {
        let page = client.list_records(request.clone()).await.expect("it is answered").into_inner();
        versions.extend(page.versions);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    for number in 0..CORRECTED_DEALS {
        let key = record_key::Key::DealId(corrected_deal(number));
        let key = RecordKey { key: Some(key) };
        // Not known: every batch that would have brought it was lost.
        if let Ok(answer) = client.get_record(GetRecordRequest { key: Some(key), consistency: None }).await {
            versions.extend(answer.into_inner().versions);
        }
    }
    let record = |version: RecordVersion| version.record.expect("a version has a record");
    versions.into_iter().map(record).map(|record| (identity(&record), record)).collect()
}

/// The cards of everybody in several windows, and how much is known.
async fn figures(service: impl Service) -> (Vec<Scorecard>, (i64, i64)) {
    let mut kpis = KpiServiceClient::new(service.clone());
    let date = |month, day| Some(Date { year: 2024, month, day });
    let mut cards = Vec::new();
    for (start_on, end_on, as_of) in [
        (date(1, 1), Some(Date { year: 2025, month: 1, day: 1 }), date(12, 31)),
        (date(4, 1), date(7, 1), date(12, 31)),
        (date(3, 5), date(9, 17), date(6, 30)),
    ] {
        let dates = window::Window::Dates(DateRange { start_on, end_on });
        let window = Some(Window { window: Some(dates) });
        let question = GetScorecardRequest { window, as_of, ..GetScorecardRequest::default() };
        cards.extend(kpis.get_scorecard(question).await.expect("it is answered").into_inner().scorecard);
        for (kind, include_sub_partners, expected) in [
            (SubjectKind::Partner, false, 18),
            (SubjectKind::Partner, true, 18),
            (SubjectKind::Employee, false, 6),
            (SubjectKind::Unit, false, 3),
        ] {
            let question = ListScorecardsRequest {
                subject_kind: kind.into(),
                include_sub_partners,
                window,
                as_of,
                ..ListScorecardsRequest::default()
            };
            let page = kpis.list_scorecards(question).await.expect("it is answered").into_inner();
            assert_eq!(page.scorecards.len(), expected);
            cards.extend(page.scorecards);
        }
    }
    let asked = GetTenantRequest { tenant_id: "default".to_owned() };
    let answer = AdminServiceClient::new(service).get_tenant(asked).await.expect("it is there").into_inner();
    let tenant = answer.tenant.expect("an answer has a tenant");
    (cards, (tenant.deal_count, tenant.version_count))
}

/// What survived so far, and a sidecar that was sent just that.
struct Written {
    survivors: BTreeMap<(String, i64), Record>,
    twin: channel_kpi::Sidecar,
    _twins_directory: tempfile::TempDir,
}

impl Written {
    async fn nothing() -> Self {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let config = Config { data_dir: directory.path().into(), ..Config::default() };
        let twin = channel_kpi::open(config).await.expect("the directory is ours");
        make_tenant(twin.channel()).await;
        Self { survivors: BTreeMap::new(), twin, _twins_directory: directory }
    }

    /// Asks a sidecar that came back after `batches` had been written to it since the last time.
    async fn assert_survives(&mut self, channel: &Channel, batches: Vec<Batch>) {
        let found = all_deals(channel).await;
        let mut added = Vec::new();
        for batch in batches {
            let told = |record: &&Record| found.get(&identity(record));
            let gone: Vec<&Record> =
                batch.records.iter().filter(|record| told(record) != Some(record)).collect();
            if let Some(first) = gone.first()
                && (batch.acknowledged || gone.len() < batch.records.len())
            {
                panic!(
                    "{} of the {} records of a batch {} are gone; of the first, {first:?}, there is {:?}",
                    gone.len(),
                    batch.records.len(),
                    if batch.acknowledged { "that was acknowledged" } else { "that is torn" },
                    told(first),
                );
            }
            let there = batch.records.len() - gone.len();
            if there > 0 {
                added.extend(batch.records);
            }
        }
        self.survivors.extend(added.iter().map(|record| (identity(record), record.clone())));
        assert!(found == self.survivors, "{} versions, not {}", found.len(), self.survivors.len());
        for records in added.chunks(1_000) {
            send(self.twin.channel(), records.to_vec()).await;
        }
        assert!(
            figures(channel.clone()).await == figures(self.twin.channel()).await,
            "the same records, other figures"
        );
    }
}

async fn assert_held(data_dir: &Path, sidecar: &Sidecar) {
    let config = Config { data_dir: data_dir.into(), ..Config::default() };
    let refusal = match channel_kpi::open(config).await {
        Ok(_) => panic!("{} was opened twice", data_dir.display()),
        Err(error) => error.to_string(),
    };
    for expected in [format!("(pid {})", sidecar.pid()), format!("use --to {}", sidecar.url())] {
        assert!(refusal.contains(&expected), "{refusal}");
    }
}

// === Tests ===

/// Kills a sidecar over and over while it is written to. Returns what was written.
async fn survives_kills(data_dir: &Path, rounds: u64, flags: &'static [&'static str], chance: &mut Chance) {
    let clock_s = Arc::new(AtomicI64::new(FIRST_NOON_S));
    let mut sidecar = Sidecar::start(data_dir, flags);
    make_tenant(sidecar.channel().await).await;
    let mut written = Written::nothing().await;
    for round in 0..rounds {
        assert_held(data_dir, &sidecar).await;
        let (life, acknowledgements) = life(round.to_string(), &clock_s);
        let ending_after = chance.below(30);
        let batches = write_until(sidecar, life, acknowledgements, ending_after, chance, Sidecar::kill).await;
        sidecar = Sidecar::start(data_dir, flags);
        written.assert_survives(&sidecar.channel().await, batches).await;
    }
    assert!(!written.survivors.is_empty(), "something was written at all");
    written.twin.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_every_acknowledged_record() {
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    survives_kills(data_dir.path(), 20, &[], &mut Chance::new(1)).await;
}

/// With a snapshot every few batches, so that kills come while one is written and the journal is truncated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_what_its_snapshots_took_over() {
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    survives_kills(data_dir.path(), 15, &["--snapshot-after-bytes", "4096"], &mut Chance::new(2)).await;

    let db =
        rusqlite::Connection::open(data_dir.path().join("journal.sqlite3")).expect("the journal is there");
    let truncated: i64 =
        db.query_row("SELECT max(truncated_through) FROM tenant", [], |row| row.get(0)).expect("it is ours");
    assert!(truncated > 0, "snapshots were taken, and the journal forgot what they hold");
    let snapshots = fs::read_dir(data_dir.path().join("snapshots")).expect("it is there");
    assert!(snapshots.count() > 0);
}

/// A power cut: of the write-ahead log, the disk has what was synced, and of the rest anything. A batch was synced
/// before it was acknowledged, so it lies within the log as long as that was then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_forgets_what_was_not_synced_has_every_acknowledged_record() {
    let mut chance = Chance::new(3);
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let [database, log] = ["journal.sqlite3", "journal.sqlite3-wal"].map(|name| data_dir.path().join(name));
    let sidecar = Sidecar::start(data_dir.path(), &[]);
    make_tenant(sidecar.channel().await).await;

    let clock_s = Arc::new(AtomicI64::new(FIRST_NOON_S));
    let (mut life, acknowledgements) = life("power".to_owned(), &clock_s);
    let made_bytes = fs::metadata(&log).expect("the log is there").len();
    let log_of_life = log.clone();
    life.probe = Box::new(move || fs::metadata(&log_of_life).expect("the log is there").len());
    let batches = write_until(sidecar, life, acknowledgements, 25, &mut chance, Sidecar::kill).await;
    let (database, log) = (fs::read(database).expect("it is there"), fs::read(log).expect("it is there"));
    let mut lengths: Vec<u64> =
        batches.iter().filter(|batch| batch.acknowledged).map(|batch| batch.probed).collect();
    lengths.sort_unstable();
    assert!(
        lengths[0] > made_bytes && log.len() as u64 >= lengths[lengths.len() - 1],
        "no checkpoint came between"
    );

    let last = lengths[lengths.len() - 1];
    let mut cuts = vec![last, last, last]; // the cut that the acknowledgements promise most of
    cuts.extend((0..9).map(|_| made_bytes + chance.below(log.len() as u64 - made_bytes)));
    for (n, cut) in cuts.into_iter().enumerate() {
        let mut torn = log.clone();
        match n % 3 {
            0 => torn.truncate(cut as usize),
            1 => torn[cut as usize..].fill(0),
            _ => torn[cut as usize..].fill_with(|| chance.next() as u8),
        }
        let copy = tempfile::tempdir().expect("a directory for the test");
        fs::write(copy.path().join("journal.sqlite3"), &database).expect("there is room");
        fs::write(copy.path().join("journal.sqlite3-wal"), torn).expect("there is room");
        let sidecar = Sidecar::start(copy.path(), &[]);
        let channel = sidecar.channel().await;
        let mut written = Written::nothing().await;
        let left = batches.iter().map(|batch| Batch {
            records: batch.records.clone(),
            acknowledged: batch.acknowledged && batch.probed <= cut,
            probed: batch.probed,
        });
        written.assert_survives(&channel, left.collect()).await;
        // And it goes on from there.
        let more = vec![any_deal(&mut chance, format!("after-{n}"), clock_s.fetch_add(1, Ordering::Relaxed))];
        send(channel.clone(), more.clone()).await;
        written.assert_survives(&channel, vec![Batch { records: more, acknowledged: true, probed: 0 }]).await;
        written.twin.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_a_server_within_its_grace_and_loses_nothing() {
    let mut chance = Chance::new(4);
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let mut written = Written::nothing().await;
    let clock_s = Arc::new(AtomicI64::new(FIRST_NOON_S));
    let mut sidecar = Sidecar::start(data_dir.path(), &[]);
    make_tenant(sidecar.channel().await).await;
    for (round, signal) in ["TERM", "INT", "TERM"].into_iter().enumerate() {
        let (life, acknowledgements) = life(format!("term-{round}"), &clock_s);
        let end = move |sidecar: Sidecar| {
            sidecar.signal(signal);
            assert_eq!(sidecar.ended().code(), Some(0), "SIG{signal} is an orderly end");
        };
        let limits = Limits::default();
        let ending = write_until(sidecar, life, acknowledgements, 12, &mut chance, end);
        let batches = tokio::time::timeout(2 * limits.drain_grace, ending).await;
        let batches = batches.expect("calls in work end, and the server with them");
        assert!(!data_dir.path().join("journal.sqlite3-wal").exists(), "the journal was closed");
        sidecar = Sidecar::start(data_dir.path(), &[]);
        written.assert_survives(&sidecar.channel().await, batches).await;
    }
    written.twin.close().await;
}
