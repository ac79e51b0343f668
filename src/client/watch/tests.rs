//! A watch against servers that say what a script says: over how many streams it goes on, with which tokens, and
//! after which waits. The clock is tokio's, paused: no wait takes any time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio_stream::StreamExt;
use tonic::{Request, Response};
use tonic_types::ErrorDetails;

use super::assembly::tests::{delta, heartbeat, message, row, rows, snapshot};
use super::*;
use crate::proto::channelkpi::v1::leaderboard_service_server::{
    LeaderboardService, LeaderboardServiceServer,
};
use crate::proto::channelkpi::v1::watch_leaderboard_response::Message;
use crate::proto::channelkpi::v1::{
    BoardSnapshot, GetLeaderboardRequest, GetLeaderboardResponse, GoingAway, ResetReason,
};

/// One stream of a server.
#[derive(Clone)]
enum Script {
    /// Not even headers.
    Refused(Status),
    /// These, and then it ends with OK, or so.
    Tells(Vec<Message>, Option<Status>),
    /// These, and then nothing.
    Falls(Vec<Message>),
    /// Headers never come.
    Hangs,
}

#[derive(Clone, Default)]
struct Scripted {
    scripts: Arc<Mutex<VecDeque<Script>>>,
    /// The token with which each stream was asked for.
    tokens: Arc<Mutex<Vec<String>>>,
}

type Told = Pin<Box<dyn Stream<Item = Result<WatchLeaderboardResponse, Status>> + Send>>;

#[tonic::async_trait]
impl LeaderboardService for Scripted {
    async fn get_leaderboard(
        &self,
        _: Request<GetLeaderboardRequest>,
    ) -> Result<Response<GetLeaderboardResponse>, Status> {
        Err(Status::unimplemented("the test only watches"))
    }

    type WatchLeaderboardStream = Told;

    async fn watch_leaderboard(
        &self,
        request: Request<WatchLeaderboardRequest>,
    ) -> Result<Response<Told>, Status> {
        self.tokens.lock().expect("free").push(request.into_inner().resume_token);
        let script = self.scripts.lock().expect("free").pop_front();
        let told = |messages: Vec<Message>| tokio_stream::iter(messages).map(|of| Ok(message(of)));
        Ok(Response::new(match script.unwrap_or(Script::Falls(vec![])) {
            Script::Refused(status) => return Err(status),
            Script::Tells(messages, end) => Box::pin(told(messages).chain(tokio_stream::iter(end.map(Err)))),
            Script::Falls(messages) => Box::pin(told(messages).chain(tokio_stream::pending())),
            Script::Hangs => std::future::pending().await,
        }))
    }
}

/// What a watch tells of a server's streams, up to `count` events; and the tokens that it came with.
async fn watch(scripts: Vec<Script>, count: usize) -> (Vec<String>, Vec<Duration>, Vec<String>) {
    let server = Scripted { scripts: Arc::new(Mutex::new(scripts.into())), ..Scripted::default() };
    let request = WatchLeaderboardRequest { limit: Some(3), ..Default::default() };
    let mut watch = Watch::new(LeaderboardServiceServer::new(server.clone()), request);
    let (mut told, mut waits) = (Vec::new(), Vec::new());
    while told.len() < count {
        let began = Instant::now();
        let event = watch.next().await;
        told.push(match event {
            None => "the end".to_owned(),
            Some(Err(status)) => format!("{:?}", status.code()),
            Some(Ok(Event::Board { board, came })) => {
                let ids: Vec<&str> = board.rows.iter().map(|row| row.subject_id.as_str()).collect();
                format!("{came:?} {}: {}", board.version.revision, ids.join(" "))
            }
            Some(Ok(Event::Away { why, wait })) => {
                waits.push(wait);
                match why {
                    Away::Failed(status) => format!("Failed {:?}", status.code()),
                    Away::TokenRefused(_) => "TokenRefused".to_owned(),
                    Away::Silent => format!("Silent {} s", began.elapsed().as_secs()),
                    why => format!("{why:?}"),
                }
            }
        });
    }
    let tokens = server.tokens.lock().expect("free").clone();
    (told, waits, tokens)
}

fn first() -> Message {
    Message::Snapshot(snapshot(1, &["A", "B"]))
}

fn turned() -> Message {
    Message::Delta(delta(2, rows(&["B", "A"]), 2))
}

fn refusal(code: Code, reason: &str, retry_delay: Option<Duration>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, "channelkpi", []);
    if retry_delay.is_some() {
        details.set_retry_info(retry_delay);
    }
    Status::with_error_details(code, "No.", details)
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_where_a_stream_ended() {
    let retry_after = Some(Duration::from_secs(7).try_into().expect("it is short"));
    let going_away =
        GoingAway { resume_token: "onward".into(), reason: GoingAwayReason::MaxAge.into(), retry_after };
    let (told, waits, tokens) = watch(
        vec![
            Script::Tells(vec![first(), turned(), Message::GoingAway(going_away)], None),
            Script::Tells(vec![Message::Heartbeat(heartbeat(2))], Some(Status::unavailable("cut"))),
            Script::Tells(vec![Message::Delta(delta(3, rows(&["A", "B"]), 2))], None),
            Script::Falls(vec![Message::Heartbeat(heartbeat(3))]),
        ],
        8,
    )
    .await;
    assert_eq!(
        told,
        [
            "Snapshot 1: A B",
            "Delta 2: B A",
            "GoingAway(MaxAge)",
            "Heartbeat 2: B A",
            "Failed Unavailable",
            "Delta 3: A B",
            "Ended",
            "Heartbeat 3: A B"
        ]
    );
    assert_eq!(waits[0], Duration::from_secs(7));
    assert_eq!(tokens, ["", "onward", "token 2", "token 3"]);
}

#[tokio::test(start_paused = true)]
async fn waits_grow_while_nothing_comes_and_begin_anew_after_a_message() {
    let refused = || Script::Refused(Status::unavailable("no"));
    let mut scripts: Vec<Script> = std::iter::repeat_with(refused).take(12).collect();
    scripts.push(Script::Tells(vec![first()], Some(Status::unknown("a connection broke"))));
    let (_, waits, tokens) = watch(scripts, 14).await;
    for (wait, bound_ms) in waits
        .iter()
        .zip([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000, 10_000, 10_000, 100])
    {
        assert!(*wait <= Duration::from_millis(bound_ms), "{waits:?}");
    }
    assert_eq!((waits.len(), tokens.len()), (13, 13));
}

#[tokio::test(start_paused = true)]
async fn the_server_says_when_to_come_back() {
    let overloaded = refusal(Code::ResourceExhausted, "OVERLOADED", Some(Duration::from_secs(20)));
    let too_slow = refusal(Code::ResourceExhausted, "WATCHER_TOO_SLOW", Some(Duration::from_secs(3)));
    let forever = refusal(Code::Unavailable, "TENANT_LOADING", Some(Duration::from_secs(1 << 40)));
    let scripts = vec![
        Script::Refused(overloaded),
        Script::Tells(vec![first()], Some(too_slow)),
        Script::Refused(forever),
    ];
    let (told, waits, tokens) = watch(scripts, 4).await;
    assert_eq!(
        told,
        ["Failed ResourceExhausted", "Snapshot 1: A B", "Failed ResourceExhausted", "Failed Unavailable"]
    );
    for (wait, least_s) in waits.iter().zip([20, 3]) {
        let jitter = wait.checked_sub(Duration::from_secs(least_s)).expect("no less than was asked for");
        assert!(jitter <= Duration::from_millis(200), "{waits:?}");
    }
    assert_eq!(waits[2], WAIT_MAX);
    assert_eq!(tokens, ["", "", "token 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_dead() {
    let scripts = vec![Script::Hangs, Script::Falls(vec![first()]), Script::Falls(vec![])];
    let (told, _, tokens) = watch(scripts, 4).await;
    assert_eq!(told, ["Silent 45 s", "Snapshot 1: A B", "Silent 45 s", "Silent 45 s"]);
    assert_eq!(tokens, ["", "", "token 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_dropped() {
    for reason in ["RESUME_TOKEN_INVALID", "RESUME_TOKEN_MISMATCH"] {
        let refused = Script::Refused(refusal(Code::InvalidArgument, reason, None));
        let scripts = vec![
            Script::Tells(vec![first()], Some(Status::cancelled("cut"))),
            refused.clone(),
            Script::Tells(vec![Message::Snapshot(snapshot(1, &["B"]))], None),
        ];
        let (told, _, tokens) = watch(scripts, 4).await;
        assert_eq!(told, ["Snapshot 1: A B", "Failed Cancelled", "TokenRefused", "Snapshot 1: B"]);
        assert_eq!(tokens, ["", "token 1", ""]);
        // Refused without a token: another try is no better.
        let (told, ..) = watch(vec![refused], 2).await;
        assert_eq!(told, ["InvalidArgument", "the end"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_torn_stream_is_told_and_begun_anew() {
    let gap = || Message::Delta(delta(2, vec![row(4, "C")], 3));
    let (told, waits, tokens) = watch(
        vec![
            Script::Falls(vec![first(), gap()]),
            Script::Falls(vec![first(), gap()]),
            Script::Falls(vec![first(), gap()]),
            Script::Falls(vec![first(), turned()]),
        ],
        8,
    )
    .await;
    let torn = "Torn(Places { expected_count: 3 })";
    let one = ["Snapshot 1: A B", torn];
    assert_eq!(told, [&one[..], &one, &one, &["Snapshot 1: A B", "Delta 2: B A"]].concat());
    assert_eq!(tokens, ["", "", "", ""]);
    // A server that tears after each snapshot isn't asked ten times a second.
    assert!(waits.iter().zip([100, 200, 400]).all(|(wait, max)| wait.as_millis() <= max), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_told() {
    let reset = BoardSnapshot { reset_reason: ResetReason::StoreChanged.into(), ..snapshot(1, &["C"]) };
    let (told, ..) = watch(
        vec![
            Script::Tells(vec![first(), turned()], None),
            Script::Tells(vec![Message::Snapshot(reset)], None),
        ],
        4,
    )
    .await;
    assert_eq!(told, ["Snapshot 1: A B", "Delta 2: B A", "Ended", "Reset(StoreChanged) 1: C"]);
}

#[tokio::test(start_paused = true)]
async fn it_ends_where_no_other_try_helps() {
    for (status, ends) in [
        (refusal(Code::InvalidArgument, "INVALID_FIELD", None), true),
        (refusal(Code::PermissionDenied, "TENANT_DENIED", None), true),
        (refusal(Code::FailedPrecondition, "TENANT_NOT_CONFIGURED", None), true),
        (refusal(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", None), true),
        (refusal(Code::Internal, "INTERNAL", None), true),
        (Status::unimplemented("an older sidecar"), true),
        (refusal(Code::Unavailable, "SERVER_DRAINING", None), false),
        (Status::internal("h2 protocol error"), false),
        (Status::unknown("transport error"), false),
        (Status::deadline_exceeded("a proxy's"), false),
    ] {
        let code = status.code();
        let (told, ..) = watch(vec![Script::Refused(status), Script::Falls(vec![first()])], 2).await;
        let expected = match ends {
            true => [format!("{code:?}"), "the end".into()],
            false => [format!("Failed {code:?}"), "Snapshot 1: A B".into()],
        };
        assert_eq!(told, expected);
    }
}

/// Whoever waits beside a watch for something else drops what it waits for over and over.
#[tokio::test(start_paused = true)]
async fn an_event_is_not_lost_when_nobody_waits_for_it() {
    let scripts = vec![Script::Tells(vec![first(), turned()], None), Script::Falls(vec![])];
    let server = Scripted { scripts: Arc::new(Mutex::new(scripts.into())), ..Scripted::default() };
    let mut watch = Watch::new(LeaderboardServiceServer::new(server.clone()), Default::default());
    let mut count = 0;
    while count < 3 {
        let impatient = tokio::time::timeout(Duration::from_millis(1), watch.next()).await;
        count += usize::from(impatient.is_ok());
    }
    // In a wait it stays the same wait: otherwise it would never end.
    while server.tokens.lock().expect("free").len() < 2 {
        let _ = tokio::time::timeout(Duration::from_millis(1), watch.next()).await;
    }
    assert_eq!(*server.tokens.lock().expect("free"), ["", "token 2"]);
}

#[tokio::test(start_paused = true)]
async fn it_is_a_stream_too() {
    let scripts = vec![Script::Tells(vec![first()], Some(Status::permission_denied("no more")))];
    let server = Scripted { scripts: Arc::new(Mutex::new(scripts.into())), ..Scripted::default() };
    let watch = Watch::new(LeaderboardServiceServer::new(server), Default::default());
    let events: Vec<_> = watch.into_stream().collect().await;
    assert!(matches!(events[..], [Ok(Event::Board { came: Came::Snapshot, .. }), Err(_)]));
}
