//! Many watches, slow ones, and those that are refused.

#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/watch_promises.rs"]
mod watch_promises;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/watching.rs"]
mod watching;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/worked_example.rs"]
mod worked_example;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use channel_kpi::clock::Clock;
use channel_kpi::config::Limits;
use channel_kpi::proto::channelkpi::v1::watch_leaderboard_response::Message;
use channel_kpi::proto::channelkpi::v1::{
    LeaderboardQuery, WatchLeaderboardRequest, WatchLeaderboardResponse,
};
use tonic::Code;
use tonic_types::StatusExt;
use watching::{PATIENCE, by_amount, deal_won, limits, partner, reason, sidecar_by_hand, time, token_of};
use worked_example::{at, settings};

/// Counts on each thread how often a board is told.
struct Tellings(Mutex<HashMap<ThreadId, usize>>);

static TELLINGS: LazyLock<Arc<Tellings>> = LazyLock::new(|| {
    use tracing_subscriber::layer::SubscriberExt;
    let tellings = Arc::new(Tellings(Mutex::default()));
    // Of the whole process: one of a thread would miss what other threads had met first.
    let counting = tracing_subscriber::registry().with(Counting(Arc::clone(&tellings)));
    tracing::subscriber::set_global_default(counting).expect("nothing else in this test sets one");
    tellings
});

struct Counting(Arc<Tellings>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Counting {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target().ends_with("leaderboard_service::watched") {
            let mut counts = self.0.0.lock().expect("nobody panics with it");
            *counts.entry(thread::current().id()).or_default() += 1;
        }
    }
}

impl Tellings {
    /// On this thread.
    fn count(&self) -> usize {
        let counts = self.0.lock().expect("nobody panics with it");
        counts.get(&thread::current().id()).copied().unwrap_or_default()
    }
}

/// A thousand watchers of one board cost what one costs. (All of this test runs on one thread.)
#[tokio::test]
async fn a_board_is_told_once_for_all_who_watch_it() {
    let tellings = Arc::clone(&TELLINGS);
    let before = tellings.count();
    let (sidecar, _hands) = sidecar_by_hand("2024-03-31T12:00:00Z", Limits::default()).await;
    let mut caller = sidecar.tenant("many", settings()).await;
    caller.write((0..3).map(|n| partner(&format!("p{n}"), "", "", 0)).collect()).await;
    let mut streams = Vec::new();
    for _ in 0..1_000 {
        let stream = caller.boards.watch_leaderboard(by_amount()).await.expect("valid").into_inner();
        streams.push(stream);
    }
    for stream in &mut streams {
        stream.message().await.expect("it watches").expect("a snapshot");
    }
    assert_eq!(tellings.count() - before, 1, "a thousand snapshots of one telling");
    for step in 1..=3 {
        caller.write(vec![deal_won("d0", "p0", "2024-03-30T06:00:00Z", 100 * step, step)]).await;
        let mut first: Option<WatchLeaderboardResponse> = None;
        for stream in &mut streams {
            let message = stream.message().await.expect("it watches").expect("a delta");
            assert!(matches!(message.message, Some(Message::Delta(_))), "{message:?}");
            assert_eq!(first.get_or_insert_with(|| message.clone()), &message);
        }
        assert_eq!(tellings.count() - before, 1 + step as usize);
    }
}

/// Those who don't read hold nobody up; they come to know that they were too slow.
#[tokio::test(flavor = "multi_thread")]
async fn slow_watchers_hold_up_nobody() {
    let impatient = Limits { watch_unread_max: Duration::from_millis(300), ..limits() };
    let (sidecar, _hands) = sidecar_by_hand("2024-03-31T12:00:00Z", impatient).await;
    let mut caller = sidecar.tenant("slow", settings()).await;
    // Rows enough that a snapshot fills a client's window many times.
    for chunk in 0..5 {
        let partners = (0..200).map(|n| partner(&format!("p{chunk}-{n}"), &"N".repeat(400), "", 0));
        caller.write(partners.collect()).await;
    }
    let request = WatchLeaderboardRequest { limit: Some(1_000), ..by_amount() };
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut client = sidecar.caller_with_window("slow", 16 * 1024).await;
        slow.push(client.boards.watch_leaderboard(request.clone()).await.expect("valid").into_inner());
    }
    let mut fast = sidecar.caller("slow").await;
    let mut stream = fast.boards.watch_leaderboard(request).await.expect("valid").into_inner();
    // The fast one has every state at once, while the slow ones come to be reset.
    for step in 1..=8 {
        let partner_id = format!("p0-{}", step % 200);
        caller.write(vec![deal_won("d0", &partner_id, "2024-03-30T06:00:00Z", 100 * step, step)]).await;
        let wanted = format!("{partner_id} {}", 100 * step);
        loop {
            let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("nobody holds it up");
            let message = message.expect("it watches").expect("it goes on");
            let Some(Message::Delta(delta)) = &message.message else { continue };
            let put = |row: &channel_kpi::proto::channelkpi::v1::LeaderboardRow| {
                let units = row.won_amount.as_ref().map_or(0, |amount| amount.units);
                format!("{} {units}", row.subject_id)
            };
            if delta.put_rows.iter().any(|row| put(row) == wanted) {
                break;
            }
        }
    }
    for mut stream in slow {
        let status = loop {
            match stream.message().await {
                Ok(Some(_)) => {} // what lay in its window
                Ok(None) => panic!("a watch ends with OK in no other way than by GoingAway"),
                Err(status) => break status,
            }
        };
        let told = (status.code(), reason(&status));
        let is_reset = matches!(told, (Code::Cancelled | Code::Internal | Code::Unknown, _));
        assert!(is_reset || told == (Code::ResourceExhausted, "WATCHER_TOO_SLOW".to_owned()), "{status:?}");
    }
}

/// Who comes back to a stream after having left changes unread for too long learns it, and goes on with its
/// token. In process, where nothing lies between the client and what is pending.
#[tokio::test]
async fn who_left_changes_unread_for_too_long_learns_it_and_resumes() {
    use channel_kpi::config::Config;
    use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
    use channel_kpi::proto::channelkpi::v1::leaderboard_service_client::LeaderboardServiceClient;
    use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
    use channel_kpi::proto::channelkpi::v1::{CreateTenantRequest, WriteRecordsRequest};

    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let config = Config { data_dir: data_dir.path().to_owned(), ..Config::default() };
    let (clock, _hands) = Clock::by_hand(time("2024-03-31T12:00:00Z"));
    let sidecar = channel_kpi::open_by_clock(config, clock).await.expect("the directory is ours");
    let create = CreateTenantRequest { tenant_id: "default".into(), settings: Some(settings()) };
    AdminServiceClient::new(sidecar.channel()).create_tenant(create).await.expect("the settings are valid");
    let write = async |records| {
        let request = WriteRecordsRequest { records, ..WriteRecordsRequest::default() };
        RecordServiceClient::new(sidecar.channel()).write_records(request).await.expect("they are valid");
    };
    write(vec![partner("p0", "", "", 0), partner("p1", "", "", 0)]).await;
    let mut boards = LeaderboardServiceClient::new(sidecar.channel());
    let mut watch = async |resume_token: &str| {
        let request = WatchLeaderboardRequest { resume_token: resume_token.into(), ..by_amount() };
        boards.watch_leaderboard(request).await.expect("it is valid").into_inner()
    };
    let (mut slow, mut fast) = (watch("").await, watch("").await);
    let snapshot = slow.message().await.expect("it watches").expect("a snapshot");
    fast.message().await.expect("it watches").expect("a snapshot");
    write(vec![deal_won("d0", "p0", "2024-03-30T06:00:00Z", 5, 0)]).await;
    let told = fast.message().await.expect("it watches").expect("a delta");
    assert!(matches!(told.message, Some(Message::Delta(_))), "{told:?}");

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    let status = slow.message().await.expect_err("it left a change unread for 31 s");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "WATCHER_TOO_SLOW"));
    assert!(status.get_details_retry_info().is_some());
    let info = status.get_details_error_info().expect("every error has it");
    assert!(info.metadata["unread_ms"].parse::<u64>().is_ok_and(|unread_ms| unread_ms >= 31_000));

    let token = token_of(&snapshot).expect("it has one");
    let missed = watch(&token).await.message().await.expect("it watches").expect("the difference").message;
    let Some(Message::Delta(missed)) = missed else { panic!("{missed:?}") };
    assert_eq!(missed.put_rows.len(), 2);
    drop((slow, fast));
    sidecar.close().await;
}

#[tokio::test]
async fn what_cant_be_watched_is_refused_with_its_path() {
    let few = Limits { watches_per_tenant_max: 2, ..limits() };
    let (sidecar, _hands) = sidecar_by_hand("2024-03-31T12:00:00Z", few).await;
    let mut caller = sidecar.tenant("bad", settings()).await;
    let good = || by_amount().query.expect("it has one");
    let knowing = channel_kpi::proto::channelkpi::v1::Premises {
        known_at: at("2024-03-01T00:00:00Z"),
        ..Default::default()
    };
    for (request, field) in [
        (WatchLeaderboardRequest::default(), "query"),
        (WatchLeaderboardRequest { limit: Some(0), ..by_amount() }, "limit"),
        (WatchLeaderboardRequest { limit: Some(1_001), ..by_amount() }, "limit"),
        (
            WatchLeaderboardRequest {
                query: Some(LeaderboardQuery { window: None, ..good() }),
                ..by_amount()
            },
            "query.window",
        ),
        (
            WatchLeaderboardRequest {
                query: Some(LeaderboardQuery { premises: Some(knowing), ..good() }),
                ..by_amount()
            },
            "query.premises",
        ),
    ] {
        let status = caller.boards.watch_leaderboard(request).await.expect_err("it is wrong");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
        let violations = status.get_details_bad_request().expect("the fields are named").field_violations;
        assert_eq!(violations[0].field, field);
    }
    let mut streams = Vec::new();
    for _ in 0..2 {
        streams.push(caller.boards.watch_leaderboard(by_amount()).await.expect("there is room"));
    }
    let status = caller.boards.watch_leaderboard(by_amount()).await.expect_err("two at most");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    let info = status.get_details_error_info().expect("every error has it");
    assert_eq!(info.metadata["limit"], "watches_per_tenant_max");
}

/// A watch whose client reads nothing ends with its age, also where nothing is new.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_isnt_read_gives_its_place_back() {
    let short = Limits {
        watches_max: 1,
        stream_age_max: Duration::from_millis(200),
        watch_unread_max: Duration::from_millis(50),
        ..limits()
    };
    let (sidecar, _hands) = sidecar_by_hand("2024-03-31T12:00:00Z", short).await;
    let mut caller = sidecar.tenant("deaf", settings()).await;
    for chunk in 0..5 {
        let partners = (0..200).map(|n| partner(&format!("p{chunk}-{n}"), &"N".repeat(400), "", 0));
        caller.write(partners.collect()).await;
    }
    let mut deaf = sidecar.caller_with_window("deaf", 16 * 1024).await;
    let request = WatchLeaderboardRequest { limit: Some(1_000), ..by_amount() };
    let _unread = deaf.boards.watch_leaderboard(request).await.expect("there is room").into_inner();
    let room = async {
        while caller.boards.watch_leaderboard(by_amount()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, room).await.expect("its place is given back");
}

/// Different boards are bounded for each tenant. One that nobody watches any more makes room.
#[tokio::test]
async fn different_boards_are_bounded() {
    let few = Limits { watched_boards_per_tenant_max: 2, ..limits() };
    let (sidecar, _hands) = sidecar_by_hand("2024-03-31T12:00:00Z", few).await;
    let mut caller = sidecar.tenant("boards", settings()).await;
    let board = |limit| WatchLeaderboardRequest { limit: Some(limit), ..by_amount() };
    let first = caller.boards.watch_leaderboard(board(1)).await.expect("there is room");
    let _second = caller.boards.watch_leaderboard(board(2)).await.expect("there is room");
    let _same = caller.boards.watch_leaderboard(board(2)).await.expect("it is there already");
    let status = caller.boards.watch_leaderboard(board(3)).await.expect_err("two at most");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    let info = status.get_details_error_info().expect("every error has it");
    assert_eq!(info.metadata["limit"], "watched_boards_per_tenant_max");
    let mut other = sidecar.tenant("other", settings()).await;
    other.boards.watch_leaderboard(board(3)).await.expect("another tenant has its own");
    drop(first);
    let room = async {
        while caller.boards.watch_leaderboard(board(3)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, room).await.expect("the first makes room");
}
