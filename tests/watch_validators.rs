//! The validators of what a watch promises can fail: a server plays scripts over a real socket, right ones, and ones
//! broken in every way that is feared. Each break is found by the validator that is meant for it, and by no other.
//! The client of the library is driven against the same scripts: what it can know to be wrong it doesn't show.
//!
//! Four breaks are those that etcd's watches really had (tests/robustness/README.md there): #15220, #17529, #18089
//! with #19179, and #20221.

#[path = "support/watch_promises.rs"]
#[allow(dead_code)] // every test takes what it needs
mod watch_promises;

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use channel_kpi::client::watch::{Away, Event, Watch};
use channel_kpi::proto::channelkpi::v1::leaderboard_service_client::LeaderboardServiceClient;
use channel_kpi::proto::channelkpi::v1::leaderboard_service_server::{
    LeaderboardService, LeaderboardServiceServer,
};
use channel_kpi::proto::channelkpi::v1::watch_leaderboard_response::Message;
use channel_kpi::proto::channelkpi::v1::{
    BoardDelta, BoardHeartbeat, BoardSnapshot, BoardVersion, GetLeaderboardRequest, GetLeaderboardResponse,
    GoingAway, GoingAwayReason, LeaderboardRow, PinnedRows, Quantity, Ratio, ResetReason,
    WatchLeaderboardRequest, WatchLeaderboardResponse, quantity,
};
use channel_kpi::proto::google::r#type::Date;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use watch_promises::{
    Breach, End, ExpectedRows, Heard, Oracle, Promise, Transcript, assert_kept, atomic, bookmarkable, broken,
    convergent, ordered, resumable, unique,
};

// === What is right ===

/// The board at each revision, best first, with what each subject has. The watch shows three of them, and E with its
/// neighbours. The fifth revision touches no row.
const BOARDS: [&[(&str, i64)]; 6] = [
    &[("A", 50), ("B", 40), ("C", 30), ("D", 20), ("E", 10)],
    &[("B", 60), ("A", 50), ("C", 30), ("D", 20), ("E", 10)],
    &[("B", 60), ("A", 50), ("D", 45), ("C", 30), ("E", 10)],
    &[("B", 60), ("A", 50), ("D", 45), ("E", 35), ("C", 30)],
    &[("B", 60), ("A", 50), ("D", 45), ("E", 35), ("C", 30)],
    &[("B", 70), ("A", 50), ("D", 45), ("E", 35), ("C", 30)],
];
const LATEST: i64 = BOARDS.len() as i64;
const LIMIT: usize = 3;
const PINNED: &str = "E";

fn version(revision: i64) -> Option<BoardVersion> {
    Some(BoardVersion { revision, as_of: Some(Date { year: 2024, month: 3, day: 31 }) })
}

fn token(revision: i64) -> String {
    format!("token {revision}")
}

/// What Get answers.
fn right_at(revision: i64) -> Option<ExpectedRows> {
    let board = BOARDS.get(usize::try_from(revision).ok()?.checked_sub(1)?)?;
    let rows: Vec<LeaderboardRow> =
        (1..).zip(*board).map(|(place, (id, count))| row(place, id, *count)).collect();
    let at = rows.iter().position(|row| row.subject_id == PINNED)?;
    let around = rows[at - 1..rows.len().min(at + 2)].to_vec();
    let pinned = vec![PinnedRows { subject_id: PINNED.into(), rows: around }];
    Some(ExpectedRows { ranked_count: rows.len() as i64, rows: rows[..LIMIT].to_vec(), pinned })
}

fn row(place: i64, id: &str, count: i64) -> LeaderboardRow {
    let quantity = |count| Some(Quantity { quantity: Some(quantity::Quantity::Count(count)) });
    let value = Ratio { quotient: count as f64, numerator: quantity(count), denominator: quantity(1) };
    LeaderboardRow {
        place,
        rank: place,
        subject_id: id.into(),
        value: Some(value),
        ..LeaderboardRow::default()
    }
}

fn oracle(version: &BoardVersion) -> Option<ExpectedRows> {
    right_at(version.revision)
}

// === What a server says ===

fn snapshot(revision: i64) -> Message {
    reset(revision, ResetReason::Unspecified)
}

fn reset(revision: i64, reason: ResetReason) -> Message {
    let ExpectedRows { rows, pinned, ranked_count } = right_at(revision).expect("the test knows it");
    Message::Snapshot(BoardSnapshot {
        reset_reason: reason.into(),
        rows,
        last: true,
        version: version(revision),
        pinned,
        ranked_count,
        definition: None,
        resume_token: token(revision),
    })
}

/// The same a row to a chunk.
fn chunks(revision: i64) -> Vec<Message> {
    let Message::Snapshot(whole) = snapshot(revision) else { unreachable!("it is one") };
    let (last, before) = whole.rows.split_last().expect("it has rows");
    let chunk = |row: &LeaderboardRow| BoardSnapshot {
        rows: vec![row.clone()],
        version: version(revision),
        ..BoardSnapshot::default()
    };
    let end = BoardSnapshot { rows: vec![last.clone()], ..whole.clone() };
    before.iter().map(chunk).chain([end]).map(Message::Snapshot).collect()
}

fn difference(from: i64, to: i64) -> BoardDelta {
    let [from, right] = [from, to].map(|revision| right_at(revision).expect("the test knows it"));
    let has = |rows: &[LeaderboardRow], id: &str| rows.iter().any(|row| row.subject_id == id);
    let dropped = from.rows.iter().filter(|row| !has(&right.rows, &row.subject_id));
    BoardDelta {
        removed_subject_ids: dropped.map(|row| row.subject_id.clone()).collect(),
        put_rows: right.rows.iter().filter(|row| !from.rows.contains(row)).cloned().collect(),
        pinned: right.pinned.iter().filter(|pinned| !from.pinned.contains(pinned)).cloned().collect(),
        ranked_count: right.ranked_count,
        definition: None,
        version: version(to),
        resume_token: token(to),
    }
}

fn delta(from: i64, to: i64) -> Message {
    Message::Delta(difference(from, to))
}

fn heartbeat(revision: i64) -> Message {
    Message::Heartbeat(BoardHeartbeat { version: version(revision), resume_token: token(revision) })
}

fn going_away(revision: i64) -> Message {
    Message::GoingAway(GoingAway {
        resume_token: token(revision),
        reason: GoingAwayReason::MaxAge.into(),
        retry_after: Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 }),
    })
}

/// One stream: what comes on it, and how it ends.
#[derive(Clone, Debug)]
struct Script {
    messages: Vec<Message>,
    end: ScriptEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScriptEnd {
    /// It stays open.
    Open,
    Ok,
    Unavailable,
}

fn open(messages: Vec<Message>) -> Script {
    Script { messages, end: ScriptEnd::Open }
}

fn ended(messages: Vec<Message>) -> Script {
    Script { messages, end: ScriptEnd::Ok }
}

fn cut(messages: Vec<Message>) -> Script {
    Script { messages, end: ScriptEnd::Unavailable }
}

// === A server that plays scripts ===

/// Plays one script for each stream, then does what is right.
#[derive(Clone)]
struct Player(Arc<Mutex<VecDeque<Script>>>);

type Told = Pin<Box<dyn Stream<Item = Result<WatchLeaderboardResponse, Status>> + Send>>;

#[tonic::async_trait]
impl LeaderboardService for Player {
    async fn get_leaderboard(
        &self,
        _: Request<GetLeaderboardRequest>,
    ) -> Result<Response<GetLeaderboardResponse>, Status> {
        Err(Status::unimplemented("the test knows the answers"))
    }

    type WatchLeaderboardStream = Told;

    async fn watch_leaderboard(
        &self,
        request: Request<WatchLeaderboardRequest>,
    ) -> Result<Response<Told>, Status> {
        let known = request.into_inner().resume_token;
        let known = known.strip_prefix("token ").and_then(|revision| revision.parse().ok());
        let script = self.0.lock().expect("free").pop_front().unwrap_or_else(|| {
            open(vec![match known {
                None => snapshot(LATEST),
                Some(LATEST) => heartbeat(LATEST),
                Some(revision) => delta(revision, LATEST),
            }])
        });
        let wire = |message| Ok(WatchLeaderboardResponse { message: Some(message) });
        let messages = tokio_stream::iter(script.messages).map(wire);
        Ok(Response::new(match script.end {
            ScriptEnd::Open => Box::pin(messages.chain(tokio_stream::pending())),
            ScriptEnd::Ok => Box::pin(messages),
            ScriptEnd::Unavailable => {
                Box::pin(messages.chain(tokio_stream::once(Err(Status::unavailable("cut")))))
            }
        }))
    }
}

async fn play(scripts: &[Script]) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let player = Player(Arc::new(Mutex::new(scripts.iter().cloned().collect())));
    let server = tonic::transport::Server::builder().add_service(LeaderboardServiceServer::new(player));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let endpoint = Endpoint::new(format!("http://{address}")).expect("an address makes a URL");
    endpoint.connect().await.expect("it listens")
}

fn request() -> WatchLeaderboardRequest {
    WatchLeaderboardRequest {
        limit: Some(LIMIT as i32),
        pinned_subject_ids: vec![PINNED.into()],
        ..WatchLeaderboardRequest::default()
    }
}

/// Listens to all scripts, each stream with the token of the one before.
async fn heard(scripts: &[Script]) -> Transcript {
    // Only a stream that says nothing and stays open takes so long.
    const PATIENCE: Duration = Duration::from_millis(200);
    let mut client = LeaderboardServiceClient::new(play(scripts).await);
    let mut transcript = Transcript::default();
    for script in scripts {
        let count = script.messages.len();
        let patience = if count == 0 { PATIENCE } else { Duration::from_secs(30) };
        let all =
            |messages: &[WatchLeaderboardResponse]| script.end == ScriptEnd::Open && messages.len() == count;
        transcript.listen(&mut client, &request(), patience, all).await;
    }
    transcript
}

// === The validators ===

#[tokio::test]
async fn right_servers_keep_every_promise() {
    let merged = vec![snapshot(1), delta(1, 4), heartbeat(4), heartbeat(5), heartbeat(5), delta(5, 6)];
    let each = vec![snapshot(1), delta(1, 2), delta(2, 3), delta(3, 4), delta(4, 5), heartbeat(5)];
    let by_plan = ended(vec![snapshot(2), delta(2, 3), going_away(3)]);
    for (what, scripts) in [
        ("every version", vec![open(each)]),
        ("versions merged", vec![open(merged)]),
        ("chunks", vec![open([chunks(2), vec![delta(2, 3)]].concat())]),
        ("unchanged", vec![by_plan.clone(), open(vec![heartbeat(3), delta(3, 4)])]),
        ("unchanged, though later", vec![open(vec![snapshot(4)]), open(vec![heartbeat(5)])]),
        ("the difference", vec![by_plan.clone(), open(vec![delta(3, 6), heartbeat(6)])]),
        ("a reset", vec![by_plan, open(vec![reset(6, ResetReason::StateGone), heartbeat(6)])]),
        ("another store", vec![open(vec![snapshot(4)]), open(vec![reset(1, ResetReason::StoreChanged)])]),
        ("cut amid chunks", vec![cut(chunks(2)[..2].to_vec()), open(vec![snapshot(3)])]),
        ("cut before a word", vec![open(vec![snapshot(1)]), cut(vec![]), open(vec![delta(1, 2)])]),
    ] {
        let transcript = heard(&scripts).await;
        assert_eq!(broken(&transcript, &oracle), BTreeSet::new(), "{what}");
        assert_kept(&transcript, &oracle);
    }
}

/// Whether the library's client can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It sees that something is torn, and begins anew.
    Torn,
    /// The same, but only once something else comes.
    Late,
    /// Nothing wrong is shown, though the server broke its word.
    Harmless,
    /// Nothing in the messages tells it. This is why servers are tested with the validators.
    No,
}

struct Broken {
    what: &'static str,
    streams: Vec<Script>,
    promises: &'static [Promise],
    known: Known,
}

fn broken_servers() -> Vec<Broken> {
    use Promise::{Atomic, Bookmarkable, Convergent, Ordered, Resumable, Unique};
    let case = |what, streams, promises, known| Broken { what, streams, promises, known };
    let changed = |of: Message, change: &dyn Fn(&mut BoardDelta)| match of {
        Message::Delta(mut delta) => {
            change(&mut delta);
            Message::Delta(delta)
        }
        other => other,
    };
    // 2 to 3 drops C and puts D: two halves of it.
    let half = changed(delta(2, 4), &|delta| delta.pinned.clear());
    let other_half = changed(delta(2, 4), &|delta| {
        delta.put_rows.clear();
        delta.removed_subject_ids.clear();
    });
    let whole = |revision| {
        changed(delta(3, revision), &|delta| {
            // Of old, but nothing is left out of it.
            delta.put_rows = right_at(revision).expect("the test knows it").rows;
        })
    };
    let untold = |message: Message| match message {
        Message::Heartbeat(heartbeat) => {
            Message::Heartbeat(BoardHeartbeat { resume_token: String::new(), ..heartbeat })
        }
        other => other,
    };
    let mixed = [&chunks(2)[..1], &chunks(3)[1..]].concat();
    vec![
        // Reordered.
        case(
            "deltas change places",
            vec![open(vec![snapshot(1), delta(1, 4), whole(2)])],
            &[Ordered],
            Known::Torn,
        ),
        case("a heartbeat goes back", vec![open(vec![snapshot(3), heartbeat(2)])], &[Ordered], Known::Torn),
        case("a snapshot goes back", vec![open(vec![snapshot(3), snapshot(2)])], &[Ordered], Known::Torn),
        // Repeated.
        case(
            "a delta comes twice",
            vec![open(vec![snapshot(1), delta(1, 2), delta(1, 2)])],
            &[Unique],
            Known::Torn,
        ),
        case(
            "a snapshot comes twice",
            vec![open(vec![snapshot(1), snapshot(1)])],
            &[Unique],
            Known::Harmless,
        ),
        case(
            "a delta comes again after another",
            vec![open(vec![snapshot(1), delta(1, 2), delta(2, 4), whole(2)])],
            &[Ordered, Unique], // it can't come again later without going back
            Known::Torn,
        ),
        // Torn.
        case(
            "a version is split over two deltas",
            vec![open(vec![snapshot(2), half.clone(), other_half])],
            &[Atomic],
            Known::Late,
        ),
        case(
            "a snapshot has no last chunk",
            vec![open([&chunks(2)[..2], &[heartbeat(2)]].concat())],
            &[Atomic],
            Known::Torn,
        ),
        case("chunks of two versions", vec![open(mixed)], &[Atomic], Known::Torn),
        case(
            "a delta comes between chunks",
            vec![open([&[snapshot(1)], &chunks(2)[..1], &[delta(1, 3)]].concat())],
            &[Atomic],
            Known::Torn,
        ),
        // Dropped.
        case(
            "a delta that moves rows is left out",
            vec![open(vec![snapshot(1), delta(2, 3)])],
            &[Convergent],
            // D comes third and C leaves: A and B may well stand as they did, until one of them moves again.
            Known::Late,
        ),
        case(
            "a delta that drops a row is left out",
            vec![open(vec![snapshot(1), changed(delta(1, 3), &|delta| delta.removed_subject_ids.clear())])],
            &[Convergent],
            Known::Torn,
        ),
        case("what was pinned is left out", vec![open(vec![snapshot(2), half])], &[Convergent], Known::No),
        case("a chunk is left out", vec![open(chunks(2)[1..].to_vec())], &[Convergent], Known::Torn),
        case("the snapshot is left out", vec![open(vec![delta(1, 2)])], &[Convergent], Known::Torn),
        case(
            "etcd #17529: a change is lost while the reader starves, and others follow",
            vec![open(vec![
                snapshot(1),
                delta(1, 2),
                changed(delta(2, 6), &|delta| {
                    delta.put_rows.retain(|row| row.subject_id != "B");
                }),
            ])],
            &[Convergent],
            Known::No,
        ),
        case(
            "etcd #17529: a change is lost while the reader starves, and a heartbeat follows",
            vec![open(vec![snapshot(1), delta(1, 2), heartbeat(3)])],
            &[Bookmarkable],
            Known::Late,
        ),
        // Heartbeats.
        case(
            "etcd #15220: a heartbeat overtakes the delta of its version",
            vec![open(vec![snapshot(1), heartbeat(2), delta(1, 2)])],
            &[Bookmarkable],
            Known::Late,
        ),
        case(
            "etcd #15220: a heartbeat overtakes two deltas",
            vec![open(vec![snapshot(1), heartbeat(4), whole(3), delta(3, 4)])],
            &[Ordered, Bookmarkable], // the first of them is of before the heartbeat
            Known::Late,
        ),
        case(
            "etcd #20221: a heartbeat is of a revision that isn't there yet",
            vec![open(vec![snapshot(5), heartbeat(7)])],
            &[Bookmarkable],
            Known::No,
        ),
        // Resumed.
        case(
            "etcd #18089, #19179: what is forgotten ends at the very revision of the token",
            vec![cut(vec![snapshot(1), delta(1, 2)]), open(vec![delta(3, 4)])],
            &[Resumable],
            Known::Torn,
        ),
        case(
            "etcd #18089, #19179: the same, and it says that nothing changed",
            vec![cut(vec![snapshot(1), delta(1, 2)]), open(vec![heartbeat(3)])],
            &[Resumable],
            Known::Late,
        ),
        case(
            "a token is ignored",
            vec![cut(vec![snapshot(1)]), open(vec![snapshot(2)])],
            &[Resumable],
            Known::Harmless,
        ),
        case(
            "a reset without a token",
            vec![open(vec![reset(1, ResetReason::StateGone)])],
            &[Resumable],
            Known::Harmless,
        ),
        case(
            "a token meets silence",
            vec![cut(vec![snapshot(1)]), open(vec![])],
            &[Resumable],
            Known::Harmless,
        ),
        case(
            "a token meets an end",
            vec![cut(vec![snapshot(1)]), ended(vec![])],
            &[Resumable],
            Known::Harmless,
        ),
        case(
            "a token meets what is older",
            vec![cut(vec![snapshot(4)]), open(vec![reset(2, ResetReason::StateGone)])],
            &[Resumable],
            Known::Torn,
        ),
        case("an end without a word", vec![ended(vec![snapshot(1)])], &[Resumable], Known::Harmless),
        case(
            "no token to come back with",
            vec![open(vec![snapshot(1), untold(heartbeat(1))])],
            &[Resumable],
            Known::Harmless,
        ),
    ]
}

#[tokio::test]
async fn every_break_is_found_by_its_validator_alone() {
    let oracle: &Oracle = &oracle;
    for Broken { what, streams, promises, .. } in broken_servers() {
        let transcript = heard(&streams).await;
        let expected: BTreeSet<Promise> = promises.iter().copied().collect();
        let found = broken(&transcript, oracle);
        assert_eq!(found, expected, "{what}: {:#?}", watch_promises::breaches(&transcript, oracle));
        // Each on its own says the same.
        let alone = |promise: Promise| -> Vec<Breach> {
            match promise {
                Promise::Ordered => ordered(&transcript),
                Promise::Unique => unique(&transcript),
                Promise::Atomic => atomic(&transcript),
                Promise::Convergent => convergent(&transcript, oracle),
                Promise::Resumable => resumable(&transcript, oracle),
                Promise::Bookmarkable => bookmarkable(&transcript, oracle),
            }
        };
        for promise in promises {
            assert!(alone(*promise).iter().all(|breach| breach.promise == *promise), "{what}");
            assert!(!alone(*promise).is_empty(), "{what}: {promise:?}");
        }
    }
}

/// Every promise is broken by some server alone, so no validator is there in vain.
#[test]
fn every_validator_can_fail() {
    let alone: BTreeSet<Promise> = broken_servers()
        .iter()
        .filter_map(|case| match case.promises {
            [promise] => Some(*promise),
            _ => None,
        })
        .collect();
    assert_eq!(alone.len(), 6, "{alone:?}");
}

#[test]
fn the_end_of_a_stream_is_heard() {
    let silent =
        |end| Transcript { streams: vec![Heard { resume_token: String::new(), messages: vec![], end }] };
    for (end, expected) in
        [(End::Silent, 1), (End::Ok, 1), (End::Left, 0), (End::Failed(tonic::Code::Unavailable), 0)]
    {
        assert_eq!(resumable(&silent(end), &oracle).len(), expected, "{end:?}");
    }
}

// === The library's client ===

/// What the client shows of a server that plays the scripts and then does what is right: every board, and whether it
/// told of something torn. Ends with the latest version.
async fn shown(scripts: &[Script]) -> (Vec<(i64, ExpectedRows)>, bool) {
    // The scripts' streams stay open no longer than their messages: their readers wait for nothing.
    let scripts: Vec<Script> = scripts
        .iter()
        .map(|script| match script.end {
            ScriptEnd::Open if !script.messages.is_empty() => cut(script.messages.clone()),
            _ => script.clone(),
        })
        .collect();
    let silence_max = Duration::from_millis(200);
    let mut watch = Watch::new(play(&scripts).await, request()).silence_max(silence_max);
    let (mut boards, mut torn) = (Vec::new(), false);
    loop {
        match watch.next().await.expect("it goes on").expect("every failure may pass") {
            Event::Board { board, .. } => {
                boards.push((board.version.revision, ExpectedRows::from(&*board)));
                if board.version.revision >= LATEST {
                    return (boards, torn);
                }
            }
            Event::Away { why, .. } => torn |= matches!(why, Away::Torn(_)),
        }
    }
}

#[tokio::test]
async fn the_client_shows_nothing_that_it_can_know_to_be_wrong() {
    for Broken { what, streams, known, .. } in broken_servers() {
        let (boards, torn) = shown(&streams).await;
        let wrong: Vec<_> =
            boards.iter().filter(|(revision, rows)| right_at(*revision).as_ref() != Some(rows)).collect();
        match known {
            Known::Torn | Known::Late => assert!(torn, "{what}: {boards:#?}"),
            Known::Harmless | Known::No => assert!(!torn, "{what}: {boards:#?}"),
        }
        match known {
            Known::Torn | Known::Harmless => assert!(wrong.is_empty(), "{what}: {wrong:#?}"),
            Known::Late | Known::No => assert!(!wrong.is_empty(), "{what}: it can know"),
        }
    }
}

#[tokio::test]
async fn the_client_of_a_right_server_shows_every_board() {
    let streams = [
        ended([chunks(1), vec![delta(1, 2), going_away(2)]].concat()),
        cut(vec![heartbeat(2), delta(2, 3)]),
        cut(chunks(4)[..2].to_vec()), // a reset that the connection cuts
        cut(vec![reset(4, ResetReason::StateGone), heartbeat(5)]),
    ];
    let (boards, torn) = shown(&streams).await;
    let revisions: Vec<i64> = boards.iter().map(|(revision, _)| *revision).collect();
    assert_eq!((revisions, torn), (vec![1, 2, 2, 3, 4, 5, 6], false));
    for (revision, rows) in boards {
        assert_eq!(Some(rows), right_at(revision), "revision {revision}");
    }
}
