//! One board, many watchers: how soon the last of them has what a write changed.
//!
//! Reference of the same run: a bare tonic server that sends the same bytes to as many streams. The watchers are
//! another process on the same machine, so both figures hold what reading costs there.

mod bare;
#[path = "../tenant/mod.rs"]
mod tenant;
mod watchers;

use std::time::{Duration, Instant};

use bytes::Bytes;
use channel_kpi::proto::channelkpi::v1::leaderboard_service_client::LeaderboardServiceClient;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::watch_leaderboard_response::Message;
use channel_kpi::proto::channelkpi::v1::{
    LeaderboardQuery, RankedBy, SubjectKind, WatchLeaderboardRequest, WatchLeaderboardResponse, Window,
    window,
};
use channel_kpi::server::{Listen, Stack};
use prost::Message as _;
use tenant::{Filled, is_quick, resident_bytes, taken, writing};
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;
use watchers::Watchers;

/// Longer than the least time between two tellings of a board: that isn't what is measured.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(300);

/// What each watcher asks for: the top 100 by won amount, in the last 90 days.
fn watched_board() -> WatchLeaderboardRequest {
    let query = LeaderboardQuery {
        subject_kind: SubjectKind::Partner.into(),
        ranked_by: RankedBy::WonAmount.into(),
        window: Some(Window { window: Some(window::Window::LastDays(90)) }),
        ..LeaderboardQuery::default()
    };
    WatchLeaderboardRequest { query: Some(query), ..WatchLeaderboardRequest::default() }
}

fn main() {
    if watchers::run_as_child() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(runtime.spawn(measure())).expect("no task panics"); // on a worker, which may block
}

async fn measure() {
    let (watcher_counts, rounds): (&[usize], usize) =
        if is_quick() { (&[1, 20], 2) } else { (&[1, 1_000, 10_000], 20) };
    let Filled { sidecar, data_dir: _data_dir, tenant, hands: _hands } = Filled::fill().await;
    let server = sidecar.bind().expect("some port is free");
    let Listen::Tcp(address) = server.local_addrs()[0] else { panic!("it listens on TCP") };
    let stack = sidecar.channel();
    let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
    let serving = tokio::spawn(sidecar.serve(server, stop.clone(), cut.clone()));
    let mut records = RecordServiceClient::new(stack.clone());

    println!(
        "{:>8} {:>13} {:>13} {:>15} {:>15} {:>6} {:>13} {:>13} {:>13}",
        "watchers",
        "last has ms",
        "bare ms",
        "messages/s",
        "bare",
        "ratio",
        "B a watcher",
        "bare",
        "B a delta"
    );
    let mut version = 0;
    for &count in watcher_counts {
        let mut sample = Sample::begin(&stack).await;
        let before = resident_bytes();
        let mut watchers = Watchers::start(&format!("http://{address}"), count);
        let watcher_bytes = resident_bytes().saturating_sub(before) / count as u64;
        let mut deltas = Vec::new();
        let mut took_seconds = Vec::new();
        for round in 1..=rounds {
            tokio::time::sleep(BETWEEN_ROUNDS).await;
            version += 1;
            let deal = vec![tenant.great_deal(version)];
            taken(records.write_records(writing(deal)).await);
            let acknowledged_at = Instant::now();
            block_in_place(|| watchers.until_told(round));
            took_seconds.push(acknowledged_at.elapsed().as_secs_f64());
            deltas.push(sample.next_delta().await);
        }
        drop((watchers, sample));

        let before = resident_bytes();
        let (bare_address, told) = bare::Bare::serve(Bytes::from_static(b"a snapshot")).await;
        let mut watchers = Watchers::start(&format!("http://{bare_address}"), count);
        let bare_watcher_bytes = resident_bytes().saturating_sub(before) / count as u64;
        let mut bare_took_seconds = Vec::new();
        for (round, delta) in deltas.iter().enumerate() {
            tokio::time::sleep(BETWEEN_ROUNDS).await;
            let began_at = Instant::now();
            told.send_replace(delta.clone());
            block_in_place(|| watchers.until_told(round + 1));
            bare_took_seconds.push(began_at.elapsed().as_secs_f64());
        }
        drop(watchers);

        let (ours, bare) = (median(took_seconds), median(bare_took_seconds));
        println!(
            "{count:>8} {:>13.2} {:>13.2} {:>15.0} {:>15.0} {:>6.2} {watcher_bytes:>13} {bare_watcher_bytes:>13} {:>13}",
            ours * 1e3,
            bare * 1e3,
            count as f64 / ours,
            count as f64 / bare,
            bare / ours,
            deltas[0].len()
        );
    }
    drop((records, stack));
    stop.cancel();
    cut.cancel();
    serving.await.expect("the sidecar doesn't panic");
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// A watch of our own: what the others are sent.
struct Sample(tonic::Streaming<WatchLeaderboardResponse>);

// === impl Sample ===

impl Sample {
    async fn begin(stack: &Stack) -> Self {
        let asked = LeaderboardServiceClient::new(stack.clone()).watch_leaderboard(watched_board()).await;
        let mut sample = Self(asked.expect("the watch is taken").into_inner());
        while !matches!(sample.next().await.message, Some(Message::Snapshot(snapshot)) if snapshot.last) {}
        sample
    }

    async fn next(&mut self) -> WatchLeaderboardResponse {
        self.0.message().await.expect("the watch goes on").expect("the watch goes on")
    }

    async fn next_delta(&mut self) -> Bytes {
        loop {
            let next = self.next().await;
            if matches!(next.message, Some(Message::Delta(_))) {
                return next.encode_to_vec().into();
            }
        }
    }
}
