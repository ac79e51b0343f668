//! Boards and their watchers: how soon the last of them has what a write changed.
//!
//! Reference of the same run: a bare tonic server that sends the same bytes to as many streams. The watchers are
//! another process on the same machine, so both figures hold what reading costs there. Of many boards each
//! write changes all, and each is told anew: that is the larger part of their time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;

use crate::bare::Bare;
use crate::tenant::{
    Filled, Table, Tenant, count, duration, is_quick, median, resident_bytes, taken, writing,
};
use crate::watchers::Watchers;

/// Longer than the least time between two tellings of a board: that isn't what is measured.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(300);
/// While writes go on: deals of one of them, and the time from one to the next.
const WRITE_DEALS: usize = 100;
const BETWEEN_WRITES: Duration = Duration::from_millis(50);
/// Further back than any window of a watched board, and than that before it.
const LONG_AGO_DAYS: i64 = 400;

const RATIO_MIN: f64 = 0.5;
const WATCHER_KIB_MAX: u64 = 32;

/// What a watcher asks for: the top 100 by won amount in the last 90 days, or, of other boards, some more.
pub fn watched_board(number: usize) -> WatchLeaderboardRequest {
    let last_days = 90 + i32::try_from(number).expect("there are few boards");
    let query = LeaderboardQuery {
        subject_kind: SubjectKind::Partner.into(),
        ranked_by: RankedBy::WonAmount.into(),
        window: Some(Window { window: Some(window::Window::LastDays(last_days)) }),
        ..LeaderboardQuery::default()
    };
    WatchLeaderboardRequest { query: Some(query), ..WatchLeaderboardRequest::default() }
}

pub async fn measure() {
    // Watchers, and on how many boards.
    let (crowds, rounds): (&[(usize, usize)], usize) = if is_quick() {
        (&[(1, 1), (20, 1), (20, 5)], 2)
    } else {
        (&[(1, 1), (1_000, 1), (10_000, 1), (1_000, 100), (10_000, 100)], 20)
    };
    let Filled { sidecar, data_dir: _data_dir, tenant, hands: _hands } = Filled::fill().await;
    let tenant = Arc::new(tenant);
    let server = sidecar.bind().expect("some port is free");
    let Listen::Tcp(address) = server.local_addrs()[0] else { panic!("it listens on TCP") };
    let stack = sidecar.channel();
    let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
    let serving = tokio::spawn(sidecar.serve(server, stop.clone(), cut.clone()));
    let mut records = RecordServiceClient::new(stack.clone());

    let mut table = Table::new(&[
        "watchers",
        "boards",
        "last has it",
        "bare stream",
        "messages/s",
        "bare",
        "ratio",
        "while writes go on",
        "B a watcher",
        "bare",
        "B a delta",
    ]);
    let (mut version, mut later) = (0, 0);
    for &(watcher_count, board_count) in crowds {
        let mut sample = Sample::begin(&stack).await;
        let before = resident_bytes();
        let url = format!("http://{address}");
        let mut watchers = block_in_place(|| Watchers::start(&url, watcher_count, board_count));
        let watcher_bytes = resident_bytes().saturating_sub(before) / watcher_count as u64;
        let mut deltas = Vec::new();
        let mut took_seconds = [Vec::new(), Vec::new()];
        for (half, took_seconds) in took_seconds.iter_mut().enumerate() {
            let others = (half == 1).then(|| OtherWrites::begin(&stack, &tenant, &mut later));
            for round in 1..=rounds {
                tokio::time::sleep(BETWEEN_ROUNDS).await;
                version += 1;
                let deal = vec![tenant.great_deal(version)];
                taken(records.write_records(writing(deal)).await);
                let acknowledged_at = Instant::now();
                block_in_place(|| watchers.until_told(half * rounds + round));
                took_seconds.push(acknowledged_at.elapsed().as_secs_f64());
                deltas.push(sample.next_delta().await);
            }
            if let Some(others) = others {
                others.end().await;
            }
        }
        drop((watchers, sample));

        let before = resident_bytes();
        let (bare_address, told) = Bare::serve(Bytes::from_static(b"a snapshot")).await;
        let url = format!("http://{bare_address}");
        let mut watchers = block_in_place(|| Watchers::start(&url, watcher_count, 1));
        let bare_watcher_bytes = resident_bytes().saturating_sub(before) / watcher_count as u64;
        let mut bare_took_seconds = Vec::new();
        for (round, delta) in deltas.iter().take(rounds).enumerate() {
            tokio::time::sleep(BETWEEN_ROUNDS).await;
            let began_at = Instant::now();
            told.send_replace(delta.clone());
            block_in_place(|| watchers.until_told(round + 1));
            bare_took_seconds.push(began_at.elapsed().as_secs_f64());
        }
        drop(watchers);

        let [quiet, busy] = took_seconds.map(median);
        let bare = median(bare_took_seconds);
        let per_second = |seconds: f64| count((watcher_count as f64 / seconds) as u64);
        table.row(&[
            count(watcher_count as u64),
            count(board_count as u64),
            duration(quiet),
            duration(bare),
            per_second(quiet),
            per_second(bare),
            format!("{:.2}", bare / quiet),
            duration(busy),
            count(watcher_bytes),
            count(bare_watcher_bytes),
            count(deltas[0].len() as u64),
        ]);
    }
    println!(
        "{} deals; from the write's answer to the last delivery; budgets, of 10,000 watchers of one board: a \
         ratio ≥ {RATIO_MIN}, a watcher ≤ {WATCHER_KIB_MAX} KiB",
        count(tenant.deal_count)
    );
    table.print();
    drop((records, stack));
    stop.cancel();
    cut.cancel();
    serving.await.expect("the sidecar doesn't panic");
}

/// Changes of deals that no watched board shows: all of them are told of a new revision, and none has news.
struct OtherWrites {
    stop: Arc<AtomicBool>,
    writing: tokio::task::JoinHandle<()>,
}

// === impl OtherWrites ===

impl OtherWrites {
    /// `later` grows with every call: no change is one that was written before.
    fn begin(stack: &Stack, tenant: &Arc<Tenant>, later: &mut i64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        *later += 1_000;
        let (mut later, tenant, stopped) = (*later, Arc::clone(tenant), Arc::clone(&stop));
        let mut records = RecordServiceClient::new(stack.clone());
        let writing = tokio::spawn(async move {
            let ended = |number: &u64| tenant.ended_before(*number, LONG_AGO_DAYS);
            let mut numbers = (0..tenant.deal_count).filter(ended);
            while !stopped.load(Ordering::Acquire) {
                let deals: Vec<_> = numbers.by_ref().take(WRITE_DEALS).collect();
                if deals.is_empty() {
                    numbers = (0..tenant.deal_count).filter(ended);
                    later += 1;
                    continue;
                }
                let deals = deals.into_iter().map(|number| tenant.amended(number, later)).collect();
                taken(records.write_records(writing(deals)).await);
                tokio::time::sleep(BETWEEN_WRITES).await;
            }
        });
        Self { stop, writing }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Release);
        self.writing.await.expect("no write panics");
    }
}

/// A watch of our own: what the others are sent.
struct Sample(tonic::Streaming<WatchLeaderboardResponse>);

// === impl Sample ===

impl Sample {
    async fn begin(stack: &Stack) -> Self {
        let asked = LeaderboardServiceClient::new(stack.clone()).watch_leaderboard(watched_board(0)).await;
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
