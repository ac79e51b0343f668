//! What readers wait while a writer streams: scorecards one after the other, beside a feed.
//!
//! Reference of the same run: the same reader without a writer. A third thread asks for nothing but the book
//! itself, all the time: the longest that it waits is the longest time for which somebody held or was about to
//! hold it for writing. On a machine with fewer free cores than threads it includes waiting for a core.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use channel_kpi::client::ingest::{Feed, Options};
use channel_kpi::clock::Clock;
use channel_kpi::domain::ids::TenantId;
use channel_kpi::journal::Journal;
use channel_kpi::journal::sqlite::SqliteJournal;
use channel_kpi::proto::FILE_DESCRIPTOR_SET;
use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::server::Stack;
use channel_kpi::service;
use channel_kpi::tenant::Tenants;
use tokio::runtime;

use crate::question::basic_of_partner;
use crate::tenant::{
    BUDGET_DEALS, Table, Tenant, beside, count, duration, fill, found, is_quick, limits, now, partner_id,
};

const PACED_RECORDS_PER_SECOND: u64 = 20_000;
const P99_MAX: Duration = Duration::from_micros(1_500);
const BETWEEN_QUESTIONS: Duration = Duration::from_micros(500);
const BETWEEN_PROBES: Duration = Duration::from_micros(20);

pub async fn measure() {
    let lasting = if is_quick() { Duration::from_millis(200) } else { Duration::from_secs(10) };
    let tenant = Arc::new(Tenant::from_env());
    let data_dir = tempfile::tempdir().expect("a directory for the bench");
    let journal = Arc::new(SqliteJournal::open(data_dir.path()).expect("the directory is ours"));
    let limits = limits();
    let tenants = Arc::new(Tenants::new(Arc::clone(&journal), limits.snapshot_after_bytes as usize));
    let (clock, _hands) = Clock::by_hand(now());
    let routes = service::routes(Arc::clone(&tenants), clock, &limits);
    let stack = Stack::new(routes, &[FILE_DESCRIPTOR_SET], &limits);
    found(stack.clone()).await;
    fill(&RecordServiceClient::new(stack.clone()), &tenant).await;

    let mut table = Table::new(&[
        "scorecards beside",
        "records/s",
        "p50",
        "p99",
        "max",
        "longest wait for the book",
        "budget of p99",
        "of it",
    ]);
    for (round, (name, pace, budget)) in [
        ("no writer", Some(0), None),
        ("a feed of 20,000 records a second", Some(PACED_RECORDS_PER_SECOND), Some(P99_MAX)),
        ("a feed at full speed", None, None),
    ]
    .into_iter()
    .enumerate()
    {
        let stop = Arc::new(AtomicBool::new(false));
        let reader = {
            let (stack, stop, tenant) = (stack.clone(), Arc::clone(&stop), Arc::clone(&tenant));
            thread::spawn(move || read(stack, &tenant, &stop))
        };
        let prober = {
            let id = TenantId::try_new("default").expect("a valid id");
            let asked = tenants.get(&id).await.expect("it is loaded");
            let stop = Arc::clone(&stop);
            thread::spawn(move || probe(|| drop(asked.book()), &stop))
        };
        let per_second = write(stack.clone(), &tenant, pace, lasting, round as i64).await;
        stop.store(true, Ordering::Release);
        let waits = reader.join().expect("no question fails");
        let longest = prober.join().expect("the book can be had");
        let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
        let [budget, used] = beside(at(0.99), budget);
        table.row(&[
            name.to_owned(),
            count(per_second as u64),
            duration(at(0.5)),
            duration(at(0.99)),
            duration(at(1.0)),
            duration(longest.as_secs_f64()),
            budget,
            used,
        ]);
    }
    println!("{} deals; budgets are for {}", count(tenant.deal_count), count(BUDGET_DEALS));
    table.print();
    stack.close();
    journal.close().await;
}

/// Asks for scorecards of one partner after the other. Seconds that each took, the shortest first.
fn read(stack: Stack, tenant: &Tenant, stop: &AtomicBool) -> Vec<f64> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut kpis = KpiServiceClient::new(stack);
    let mut waits = Vec::new();
    for asked in 0.. {
        // Ranks in no order, large partners and small ones.
        let rank = asked * 7_919 % tenant.partner_count;
        let request = basic_of_partner(partner_id(rank));
        let began_at = Instant::now();
        runtime.block_on(kpis.get_scorecard(request)).expect("it is valid");
        waits.push(began_at.elapsed().as_secs_f64());
        if stop.load(Ordering::Acquire) {
            break;
        }
        thread::sleep(BETWEEN_QUESTIONS);
    }
    waits.sort_by(f64::total_cmp);
    waits
}

/// The longest time that `get` took.
fn probe(get: impl Fn(), stop: &AtomicBool) -> Duration {
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::Acquire) {
        let began_at = Instant::now();
        get();
        longest = longest.max(began_at.elapsed());
        thread::sleep(BETWEEN_PROBES);
    }
    longest
}

/// Changes deals through a feed for so long. Records a second; `pace` is how many of them, if not all that go.
async fn write(stack: Stack, tenant: &Tenant, pace: Option<u64>, lasting: Duration, round: i64) -> f64 {
    if pace == Some(0) {
        tokio::time::sleep(lasting).await;
        return 0.0;
    }
    let mut feed = Feed::open(stack, "bench", Options::default()).await.expect("it is taken");
    let began_at = Instant::now();
    let mut sent: u64 = 0;
    while began_at.elapsed() < lasting {
        let due = pace.map_or(u64::MAX, |pace| (began_at.elapsed().as_secs_f64() * pace as f64) as u64);
        if sent >= due {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        // Deals in no order: neighbours would share what the machine has at hand.
        let later = round * 10_000 + (sent / tenant.deal_count) as i64;
        feed.send(tenant.amended(sent.wrapping_mul(1_000_003), later)).await.expect("the server takes it");
        sent += 1;
    }
    feed.finish().await.expect("all is taken");
    sent as f64 / began_at.elapsed().as_secs_f64()
}
