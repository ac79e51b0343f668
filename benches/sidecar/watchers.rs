//! The watchers: a process of their own, so that what they cost isn't counted as the server's.
//!
//! It connects, opens its streams, and writes a line to its parent when all have their snapshot, and then
//! whenever all have the next delta. It reads messages as bytes: of each it needs to know only what it is.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};

use crate::bare::Raw;
use crate::watch::watched_board;

const STREAMS_PER_CONNECTION: usize = 100;
const ROLE: &str = "--watch-as-child";
/// Field 2 of the response, a message: a delta.
const DELTA: u8 = 2 << 3 | 2;
/// More deltas than any run sends.
const ROUNDS_MAX: usize = 1_000;

/// The process of the watchers, as its parent sees it.
pub struct Watchers {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

// === impl Watchers ===

impl Watchers {
    /// Returns when all have their snapshot.
    pub fn start(url: &str, count: usize, boards: usize) -> Self {
        let program = std::env::current_exe().expect("this program has a file");
        let mut child = Command::new(program)
            .args([ROLE, url, &count.to_string(), &boards.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program runs");
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut watchers = Self { child, lines };
        watchers.until("ready");
        watchers
    }

    /// Waits until all have so many deltas.
    pub fn until_told(&mut self, count: usize) {
        self.until(&format!("told {count}"));
    }

    fn until(&mut self, expected: &str) {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it can be read");
        assert_eq!(line.trim(), expected, "the watchers are in step");
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

/// Is the watchers, where this process was started as them.
pub fn run_as_child() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, role, url, count, boards] = &arguments[..] else { return false };
    if role != ROLE {
        return false;
    }
    let number = |text: &str| text.parse().expect("our parent gives a count");
    let watching = watch(url, number(count), number(boards));
    tokio::runtime::Runtime::new().expect("a runtime").block_on(watching);
    true
}

struct Heard {
    watcher_count: usize,
    with_snapshot: AtomicUsize,
    /// For each delta, how many have it.
    with_delta: Vec<AtomicUsize>,
}

async fn watch(url: &str, watcher_count: usize, board_count: usize) {
    let with_delta = (0..=ROUNDS_MAX).map(|_| AtomicUsize::new(0)).collect();
    let heard = Arc::new(Heard { watcher_count, with_snapshot: AtomicUsize::new(0), with_delta });
    let endpoint = Endpoint::new(url.to_owned()).expect("our parent gives a URL");
    let mut watching = tokio::task::JoinSet::new();
    let mut channel = None;
    for number in 0..watcher_count {
        if number % STREAMS_PER_CONNECTION == 0 {
            channel = Some(endpoint.connect().await.expect("it listens"));
        }
        let channel = channel.clone().expect("the first connects");
        watching.spawn(listen(channel, number % board_count, Arc::clone(&heard)));
    }
    watching.join_all().await;
}

async fn listen(channel: Channel, board: usize, heard: Arc<Heard>) {
    let mut client = Grpc::new(channel);
    client.ready().await.expect("it is connected");
    let path = PathAndQuery::from_static("/channelkpi.v1.LeaderboardService/WatchLeaderboard");
    let asked: Bytes = watched_board(board).encode_to_vec().into();
    let told = client.server_streaming(tonic::Request::new(asked), path, Raw).await;
    let mut told = told.expect("the watch is taken").into_inner();
    let mut delta_count = 0;
    let all_have = |count: &AtomicUsize| count.fetch_add(1, Ordering::AcqRel) + 1 == heard.watcher_count;
    let mut has_snapshot = false;
    while let Ok(Some(message)) = told.message().await {
        if message.first() == Some(&DELTA) {
            delta_count += 1;
            if all_have(&heard.with_delta[delta_count]) {
                println!("told {delta_count}");
            }
        } else if !std::mem::replace(&mut has_snapshot, true) && all_have(&heard.with_snapshot) {
            println!("ready");
        }
    }
}
