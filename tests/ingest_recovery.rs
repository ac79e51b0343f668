//! Feeds over a server that is killed at random moments: clients come back by themselves, and what is there in the
//! end is what a single clean run leaves.
//!
//! A client drops what was acknowledged, and one that forgets everything begins after its checkpoint: what was
//! acknowledged or checkpointed too early would be missing in the end.

mod program;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use channel_kpi::client::Service;
use channel_kpi::client::ingest::{Feed, Options};
use channel_kpi::config::Config;
use channel_kpi::import::generate::Generator;
use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    CreateTenantRequest, GetTenantRequest, ListRecordsRequest, ListScorecardsRequest, Record, RecordKind,
    Scorecard, SubjectKind, Window, window,
};
use channel_kpi::proto::google::r#type::Date;
use chrono::NaiveDate;
use program::Sidecar;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

const CLIENTS: usize = 4;

/// SplitMix64: the same numbers from the same seed.
struct Chance(u64);

impl Chance {
    /// From `CHANNEL_KPI_TEST_SEED`, else from a seed of the test's own. A failed test shows it.
    fn new(otherwise: u64) -> Self {
        let given = std::env::var_os("CHANNEL_KPI_TEST_SEED");
        let given = given.map(|seed| seed.to_str().and_then(|seed| seed.parse().ok()).expect("a number"));
        let seed = given.unwrap_or(otherwise);
        println!("repeat with CHANNEL_KPI_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

async fn make_tenant(service: impl Service) {
    let create =
        CreateTenantRequest { tenant_id: "default".to_owned(), settings: Some(Generator::settings()) };
    AdminServiceClient::new(service).create_tenant(create).await.expect("it is new");
}

/// All that can be asked: the current version of every record, the cards of everybody, how much is known.
#[derive(PartialEq)]
struct Known {
    records: BTreeMap<i32, Vec<Option<Record>>>,
    cards: Vec<Scorecard>,
    counts: (i64, i64),
}

async fn known(service: impl Service) -> Known {
    let mut records = BTreeMap::new();
    for kind in [
        RecordKind::Partner,
        RecordKind::OrgUnit,
        RecordKind::Employee,
        RecordKind::Lead,
        RecordKind::Deal,
        RecordKind::MarketingChannel,
        RecordKind::MarketingSpend,
        RecordKind::Target,
        RecordKind::ExchangeRate,
    ] {
        let mut request = ListRecordsRequest {
            record_kind: kind.into(),
            include_deleted: true,
            page_size: 1_000,
            ..ListRecordsRequest::default()
        };
        let listed: &mut Vec<_> = records.entry(kind.into()).or_default();
        loop {
            let mut client = RecordServiceClient::new(service.clone());
            let page = client.list_records(request.clone()).await.expect("it is answered").into_inner();
            listed.extend(page.versions.into_iter().map(|version| version.record));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
    }
    let mut cards = Vec::new();
    for kind in [SubjectKind::Partner, SubjectKind::Employee, SubjectKind::Unit] {
        let question = ListScorecardsRequest {
            subject_kind: kind.into(),
            window: Some(Window { window: Some(window::Window::LastDays(365)) }),
            as_of: Some(Date { year: 2024, month: 6, day: 30 }),
            page_size: 1_000,
            ..ListScorecardsRequest::default()
        };
        let mut client = KpiServiceClient::new(service.clone());
        let page = client.list_scorecards(question).await.expect("it is answered").into_inner();
        cards.extend(page.scorecards);
    }
    let asked = GetTenantRequest { tenant_id: "default".to_owned() };
    let answer = AdminServiceClient::new(service).get_tenant(asked).await.expect("it is there").into_inner();
    let tenant = answer.tenant.expect("an answer has a tenant");
    Known { records, cards, counts: (tenant.deal_count, tenant.version_count) }
}

async fn connect(socket: &Path) -> Channel {
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display())).expect("it is a URL");
    loop {
        match endpoint.connect().await {
            Ok(channel) => return channel,
            Err(_) => tokio::task::yield_now().await, // it is being started
        }
    }
}

/// Feeds its records in, with a checkpoint now and then; forgets everything at times and begins after the
/// checkpoint that the server gives back.
async fn feed(
    client: usize,
    records: Arc<Vec<Record>>,
    channel: Channel,
    sent: Arc<AtomicU64>,
    mut chance: Chance,
) {
    let source = format!("crm-{client}");
    loop {
        let mut feed =
            Feed::open(channel.clone(), &source, Options::default()).await.expect("the server comes back");
        let begin = feed.stored_checkpoint().map_or(0, |place| {
            std::str::from_utf8(place).ok().and_then(|place| place.parse().ok()).expect("it is ours")
        });
        let forgets_at = begin + 1 + chance.below(records.len() as u64) as usize;
        for (place, record) in records.iter().enumerate().skip(begin) {
            if place == forgets_at {
                break;
            }
            feed.send(record.clone()).await.expect("the server comes back");
            sent.fetch_add(1, Ordering::Relaxed);
            if chance.below(100) == 0 {
                feed.checkpoint((place + 1).to_string()).expect("it is short");
            }
        }
        if forgets_at < records.len() {
            continue; // dropped as it is: what was under way may be there or not
        }
        let done = feed.finish().await.expect("the server comes back");
        assert_eq!(done.rejected, []);
        return;
    }
}

async fn survives(flags: &[&str], kills: u64, mut chance: Chance) {
    let last_on = NaiveDate::from_ymd_opt(2024, 6, 30).expect("a date");
    let records = Generator { seed: 7, scale_percent: 25, last_on }.records();
    let total = records.len() as u64;
    // Interleaved: versions of one record come by several feeds, in any order.
    let mut parts = vec![Vec::new(); CLIENTS];
    for record in records.iter().cloned() {
        parts[chance.below(CLIENTS as u64) as usize].push(record);
    }

    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let socket = data_dir.path().join("kpi.sock");
    let listen = format!("unix:{}", socket.display());
    let mut flags = flags.to_vec();
    flags.extend(["--listen", &listen]);
    let mut server = Sidecar::start(data_dir.path(), &flags);
    make_tenant(connect(&socket).await).await;

    let sent = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for (client, part) in parts.into_iter().enumerate() {
        let chance = Chance(chance.below(u64::MAX));
        clients.spawn(feed(client, Arc::new(part), connect(&socket).await, Arc::clone(&sent), chance));
    }
    for _ in 0..kills {
        // Somewhere within what is left to send.
        let next = sent.load(Ordering::Relaxed) + chance.below(total / (kills + 1));
        while sent.load(Ordering::Relaxed) < next && clients.try_join_next().is_none() {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        tokio::task::block_in_place(|| server.kill());
        server = tokio::task::block_in_place(|| Sidecar::start(data_dir.path(), &flags));
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("no client fails");
    }
    tokio::task::block_in_place(|| server.kill()); // what was answered for survives this too
    server = tokio::task::block_in_place(|| Sidecar::start(data_dir.path(), &flags));
    let loaded = Feed::open(connect(&socket).await, "none", Options::default()).await;
    assert_eq!(loaded.expect("it waits until the records are loaded").stored_checkpoint(), None);
    let found = known(connect(&socket).await).await;

    let clean_dir = tempfile::tempdir().expect("a directory for the test");
    let config = Config { data_dir: clean_dir.path().into(), ..Config::default() };
    let clean = channel_kpi::open(config).await.expect("the directory is ours");
    make_tenant(clean.channel()).await;
    let mut feed = Feed::open(clean.channel(), "crm", Options::default()).await.expect("it opens");
    for record in records {
        feed.send(record).await.expect("it is sent");
    }
    assert_eq!(feed.finish().await.expect("it is in").acked_seq, total);
    let expected = known(clean.channel()).await;
    assert_eq!(found.counts, expected.counts, "deals, versions");
    assert!(found.records == expected.records, "other records than after one clean run");
    assert!(found.cards == expected.cards, "the same records, other figures");
    clean.close().await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_come_back_to_a_killed_server_until_everything_is_in_once() {
    survives(&[], 8, Chance::new(11)).await;
}

/// With snapshots every few batches, which hold the checkpoints, and streams that end by age all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_over_snapshots_and_streams_that_end_by_age() {
    survives(&["--snapshot-after-bytes", "65536", "--stream-age-max", "200ms"], 6, Chance::new(12)).await;
}
