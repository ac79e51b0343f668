//! WatchLeaderboard over a real socket: every promise of a watch, with the validators of
//! `support/watch_promises.rs` (tests/watch_validators.rs shows that they can fail).
//!
//! Random histories are written while clients watch: fast ones, slow ones, ones that leave at random and
//! come back with a token, the last or an old one. What is right at a version GetLeaderboard said then.

#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/watch_promises.rs"]
mod watch_promises;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/worked_example.rs"]
mod worked_example;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, SystemTime};

use channel_kpi::clock::{Clock, ClockHands};
use channel_kpi::config::Limits;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::watch_leaderboard_response::Message;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    Deal, ExchangeRate, ExchangeRateKey, GetLeaderboardRequest, GoingAwayReason, LeaderboardQuery, Partner,
    Period, RankedBy, Record, ResetReason, SubjectKind, TenantSettings, TieRule, WatchLeaderboardRequest,
    WatchLeaderboardResponse, Window,
};
use channel_kpi::proto::google::r#type::{Date, Decimal, Money};
use sidecar::{Caller, Sidecar};
use tokio::sync::watch;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use watch_promises::{Answers, End, Heard, Transcript, assert_kept};
use worked_example::{at, date, settings, sourced, version};

/// Far beyond what any message takes: nobody waits for it but where something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

fn time(text: &str) -> SystemTime {
    at(text).expect("the tests write RFC 3339").try_into().expect("it is after 1970")
}

/// Heartbeats come soon: what isn't told by a delta is told by one.
fn limits() -> Limits {
    Limits { heartbeat_interval: Duration::from_millis(50), ..Limits::default() }
}

async fn sidecar_by_hand(now: &str, limits: Limits) -> (Sidecar, ClockHands) {
    let (clock, hands) = Clock::by_hand(time(now));
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    (Sidecar::start_as(data_dir, limits, clock).await, hands)
}

fn query(kind: SubjectKind, ranked_by: RankedBy, window: Asked) -> LeaderboardQuery {
    LeaderboardQuery {
        subject_kind: kind.into(),
        ranked_by: ranked_by.into(),
        window: Some(Window { window: Some(window) }),
        ..LeaderboardQuery::default()
    }
}

fn by_amount() -> WatchLeaderboardRequest {
    let query = query(SubjectKind::Partner, RankedBy::WonAmount, Asked::LastDays(30));
    WatchLeaderboardRequest { query: Some(query), ..WatchLeaderboardRequest::default() }
}

/// What Get is asked for the rows of a watch.
fn get_of(watched: &WatchLeaderboardRequest) -> GetLeaderboardRequest {
    GetLeaderboardRequest {
        query: watched.query.clone(),
        page_size: watched.limit.unwrap_or(100),
        pinned_subject_ids: watched.pinned_subject_ids.clone(),
        ..GetLeaderboardRequest::default()
    }
}

async fn get(caller: &mut Caller, watched: &WatchLeaderboardRequest, answers: &mut Answers) -> i64 {
    let answer = caller.boards.get_leaderboard(get_of(watched)).await.expect("it is valid").into_inner();
    let revision = answer.version.as_ref().expect("always set").revision;
    answers.note(answer);
    revision
}

fn partner(id: &str, name: &str, region: &str, hour: i64) -> Record {
    let partner = Partner {
        partner_id: id.into(),
        name: name.into(),
        region: region.into(),
        active: Some(true),
        ..Partner::default()
    };
    record(hour, Kind::Partner(partner))
}

/// Written by the host so many hours after the year began: later hours win.
fn record(hour: i64, kind: Kind) -> Record {
    let mut update_time = at("2024-01-01T00:00:00Z").expect("a time");
    update_time.seconds += hour * 3_600;
    version(Some(update_time), kind)
}

fn deal_won(id: &str, partner_id: &str, closed: &str, units: i64, hour: i64) -> Record {
    let deal = Deal {
        deal_id: id.into(),
        opened_at: at("2024-02-01T06:00:00Z"),
        closed_at: at(closed),
        status: channel_kpi::proto::channelkpi::v1::DealStatus::Won.into(),
        amount: Some(Money { currency_code: "USD".into(), units, nanos: 0 }),
        partner_credits: sourced(partner_id),
        ..Deal::default()
    };
    record(hour, Kind::Deal(deal))
}

fn revision_of(message: &WatchLeaderboardResponse) -> Option<i64> {
    let version = match message.message.as_ref()? {
        Message::Snapshot(snapshot) => snapshot.version.as_ref().filter(|_| snapshot.last),
        Message::Delta(delta) => delta.version.as_ref(),
        Message::Heartbeat(heartbeat) => heartbeat.version.as_ref(),
        Message::GoingAway(_) => None,
    };
    Some(version?.revision)
}

fn as_of(message: &WatchLeaderboardResponse) -> Option<Date> {
    match message.message.as_ref()? {
        Message::Snapshot(snapshot) => snapshot.version.as_ref()?.as_of,
        Message::Delta(delta) => delta.version.as_ref()?.as_of,
        Message::Heartbeat(heartbeat) => heartbeat.version.as_ref()?.as_of,
        Message::GoingAway(_) => None,
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

// === Random histories ===

/// Boards of every kind of window, figure and filter that moves.
fn watched_boards() -> Vec<WatchLeaderboardRequest> {
    use RankedBy::{DealCount, DealSuccess, OpportunityPipeline, ValueScore, WonAmount};
    let watch = |query, limit, pinned: &[&str]| WatchLeaderboardRequest {
        query: Some(query),
        limit,
        pinned_subject_ids: pinned.iter().map(|id| (*id).to_owned()).collect(),
        ..WatchLeaderboardRequest::default()
    };
    let month_to_date = Asked::Period(Period::MonthToDate.into());
    let sampled = LeaderboardQuery {
        sample_min: Some(1),
        ..query(SubjectKind::Partner, DealSuccess, Asked::LastDays(5))
    };
    let dense = LeaderboardQuery {
        tie_rule: TieRule::Dense.into(),
        ..query(SubjectKind::Partner, DealCount, month_to_date)
    };
    vec![
        watch(query(SubjectKind::Partner, WonAmount, Asked::LastDays(30)), Some(3), &["p5", "p0"]),
        watch(query(SubjectKind::Partner, ValueScore, month_to_date), None, &[]),
        watch(sampled, Some(2), &["p1", "nobody"]),
        watch(dense, Some(4), &["p7"]),
        watch(query(SubjectKind::Partner, OpportunityPipeline, Asked::LastDays(1)), Some(1_000), &["p2"]),
    ]
}

/// Some records that move something.
fn some_records(random: &mut fastrand::Rng, hour: i64) -> Vec<Record> {
    let count = random.usize(1..4);
    let one = |_| {
        let partner_id = format!("p{}", random.u8(0..8));
        match random.u8(0..12) {
            0 => partner(&partner_id, &format!("Name {hour}"), "north", hour),
            1 => {
                let key = ExchangeRateKey {
                    from_currency_code: "EUR".into(),
                    to_currency_code: "USD".into(),
                    rate_on: date("2024-02-01"),
                };
                let rate = Some(Decimal { value: format!("1.{}", random.u8(1..9)) });
                let rate = ExchangeRate { key: Some(key), rate };
                record(hour, Kind::ExchangeRate(rate))
            }
            2..=3 => {
                let deal = Deal {
                    deal_id: format!("d{}", random.u8(0..30)),
                    opened_at: at("2024-03-20T06:00:00Z"),
                    amount: Some(Money { currency_code: "EUR".into(), units: random.i64(0..9), nanos: 0 }),
                    partner_credits: sourced(&partner_id),
                    ..Deal::default()
                };
                record(hour, Kind::Deal(deal))
            }
            _ => {
                let day = random.u8(26..31);
                let (id, closed) = (random.u8(0..30), format!("2024-03-{day}T06:00:00Z"));
                deal_won(&format!("d{id}"), &partner_id, &closed, random.i64(0..6) * 100, hour)
            }
        }
    };
    // Records of one id would be two versions of one key.
    let mut records: Vec<Record> = (0..count).map(one).collect();
    records.truncate(if hour % 3 == 0 { 1 } else { count });
    let mut seen = HashSet::new();
    records.retain(|record| seen.insert(format!("{:?}", id_of(record))));
    records
}

fn id_of(record: &Record) -> String {
    match record.record.as_ref().expect("it was made with one") {
        Kind::Partner(partner) => partner.partner_id.clone(),
        Kind::Deal(deal) => deal.deal_id.clone(),
        _ => "rate".into(),
    }
}

/// How a client of the test behaves.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Fast,
    /// Reads a message, then nothing until some steps have been done.
    Slow,
    /// Leaves after a few messages and comes back with the last token, or now and then an old one or none.
    Flaky,
}

/// Listens until it has heard of the last revision.
async fn listen(
    mut caller: Caller,
    request: WatchLeaderboardRequest,
    manner: Manner,
    mut random: fastrand::Rng,
    mut step: watch::Receiver<(usize, Option<i64>)>,
) -> Transcript {
    let mut transcript = Transcript::default();
    loop {
        let tokens: Vec<String> =
            transcript.streams.iter().flat_map(|heard| &heard.messages).filter_map(token_of).collect();
        let resume_token = match random.u8(0..10) {
            0 => String::new(),
            1..=3 if !tokens.is_empty() => tokens[random.usize(0..tokens.len())].clone(),
            _ => tokens.last().cloned().unwrap_or_default(),
        };
        let asked = WatchLeaderboardRequest { resume_token: resume_token.clone(), ..request.clone() };
        let mut heard = Heard { resume_token, messages: Vec::new(), end: End::Left };
        let mut stream = match caller.boards.watch_leaderboard(asked).await {
            Ok(stream) => stream.into_inner(),
            Err(status) => panic!("{manner:?}: {status:?}"),
        };
        let leaves_after = match manner {
            Manner::Flaky => random.usize(1..5),
            Manner::Fast | Manner::Slow => usize::MAX,
        };
        loop {
            match tokio::time::timeout(PATIENCE, stream.message()).await.expect("nobody waits so long") {
                Ok(Some(message)) => heard.messages.push(message),
                ended => panic!("{manner:?}: {ended:?}"),
            }
            let last = step.borrow().1;
            let has_all = last.is_some() && heard.messages.last().and_then(revision_of) >= last;
            // Chunks of a snapshot are read whole, or there is nothing to come back with.
            if has_all {
                transcript.streams.push(heard);
                return transcript;
            }
            if heard.messages.len() >= leaves_after {
                break;
            }
            if let Manner::Slow = manner {
                let (now, more) = (step.borrow().0, random.usize(1..6));
                let _ =
                    step.wait_for(|(step, last)| *step >= now.saturating_add(more) || last.is_some()).await;
            }
        }
        transcript.streams.push(heard);
    }
}

fn token_of(message: &WatchLeaderboardResponse) -> Option<String> {
    let token = match message.message.as_ref()? {
        Message::Snapshot(snapshot) => &snapshot.resume_token,
        Message::Delta(delta) => &delta.resume_token,
        Message::Heartbeat(heartbeat) => &heartbeat.resume_token,
        Message::GoingAway(going_away) => &going_away.resume_token,
    };
    (!token.is_empty()).then(|| token.clone())
}

async fn random_history(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    // Two hours before midnight in Dhaka.
    let (sidecar, hands) = sidecar_by_hand("2024-03-29T16:00:00Z", limits()).await;
    let mut caller = sidecar.tenant("random", settings()).await;
    caller
        .write((0..6).map(|n| partner(&format!("p{n}"), &format!("Partner {n}"), "south", 0)).collect())
        .await;

    let boards = watched_boards();
    let mut answers: Vec<Answers> = boards.iter().map(|_| Answers::default()).collect();
    for (board, answers) in boards.iter().zip(&mut answers) {
        get(&mut caller, board, answers).await;
    }
    let (step, steps) = watch::channel((0, None));
    let mut listening = Vec::new();
    for (at, board) in boards.iter().enumerate() {
        for manner in [Manner::Fast, Manner::Slow, Manner::Flaky] {
            let caller = match manner {
                // What it doesn't read stays with the server.
                Manner::Slow => sidecar.caller_with_window("random", 1024).await,
                Manner::Fast | Manner::Flaky => sidecar.caller("random").await,
            };
            let task = listen(caller, board.clone(), manner, random.fork(), steps.clone());
            listening.push((at, manner, tokio::spawn(task)));
        }
    }
    let pace = caller.boards.watch_leaderboard(boards[0].clone()).await;
    let mut pace = pace.expect("it is valid").into_inner();
    let mut now = time("2024-03-29T16:00:00Z");
    let mut last_revision = 0;
    for number in 1..=40 {
        if random.u8(0..6) == 0 {
            now += Duration::from_secs(random.u64(1..30) * 3_600);
            hands.set(now);
        } else {
            caller.write(some_records(&mut random, number as i64)).await;
        }
        for (board, answers) in boards.iter().zip(&mut answers) {
            last_revision = get(&mut caller, board, answers).await;
        }
        step.send_replace((number, None));
        // Now and then the watchers can see the step by itself, now and then several at once.
        if random.bool() {
            while pace.message().await.expect("it watches").as_ref().and_then(revision_of)
                < Some(last_revision)
            {}
        }
    }
    step.send_replace((usize::MAX, Some(last_revision)));
    for (at, manner, task) in listening {
        let transcript = task.await.unwrap_or_else(|error| panic!("seed {seed}, {manner:?}: {error}"));
        println!(
            "seed {seed}, board {at}, {manner:?}: {} streams, {} messages",
            transcript.streams.len(),
            transcript.streams.iter().map(|heard| heard.messages.len()).sum::<usize>()
        );
        assert_kept(&transcript, &|version| answers[at].at(version));
    }
    sidecar.stop().await;
}

/// `WATCH_SEEDS=1000..1100` tries others.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_random_histories_has_what_get_answers() {
    let asked =
        std::env::var_os("WATCH_SEEDS").map_or("1..5".into(), |asked| asked.to_string_lossy().into_owned());
    let (first, end) = asked.split_once("..").expect("a range of seeds");
    let seeds = first.parse().expect("a seed")..end.parse().expect("a seed");
    for seed in seeds {
        random_history(seed).await;
    }
}

// === Midnights ===

/// A watch rolls by itself at the tenant's midnight: over a month's end, a leap day, and when clocks are
/// put forward or back.
#[tokio::test]
async fn windows_roll_at_the_tenant_s_midnight() {
    for (zone, began_at, moves) in [
        (
            "Asia/Dhaka",
            "2024-03-31T17:59:59Z",
            [("2024-03-31T18:00:00Z", "2024-04-01"), ("2024-04-01T18:00:00Z", "2024-04-02")],
        ),
        (
            "UTC",
            "2024-02-28T23:59:59Z",
            [("2024-02-29T00:00:00Z", "2024-02-29"), ("2024-03-01T00:00:00Z", "2024-03-01")],
        ),
        // Clocks go forward at 2:00 on the 10th: the day has 23 hours.
        (
            "America/New_York",
            "2024-03-10T04:59:59Z",
            [("2024-03-10T05:00:00Z", "2024-03-10"), ("2024-03-11T04:00:00Z", "2024-03-11")],
        ),
        // And back on 3 November: it has 25.
        (
            "America/New_York",
            "2024-11-03T03:59:59Z",
            [("2024-11-03T04:00:00Z", "2024-11-03"), ("2024-11-04T05:00:00Z", "2024-11-04")],
        ),
        // At midnight itself: 0:00 becomes 1:00.
        (
            "America/Asuncion",
            "2024-10-06T03:59:59Z",
            [("2024-10-06T04:00:00Z", "2024-10-06"), ("2024-10-07T03:00:00Z", "2024-10-07")],
        ),
        // Asleep over two midnights.
        (
            "Asia/Dhaka",
            "2024-12-30T17:00:00Z",
            [("2024-12-31T19:00:00Z", "2025-01-01"), ("2025-01-03T00:00:00Z", "2025-01-03")],
        ),
    ] {
        let (sidecar, hands) = sidecar_by_hand(began_at, limits()).await;
        let in_zone = TenantSettings { time_zone: zone.into(), ..settings() };
        let mut caller = sidecar.tenant("midnight", in_zone).await;
        let records = (1..=28).map(|day| {
            let closed = format!("2024-{:02}-{day:02}T12:00:00Z", if day < 15 { 3 } else { 2 });
            deal_won(&format!("d{day}"), &format!("p{}", day % 3), &closed, i64::from(day), 0)
        });
        let partners = (0..3).map(|n| partner(&format!("p{n}"), "", "", 0));
        caller.write(partners.chain(records).collect()).await;
        for window in [
            Asked::LastDays(30),
            Asked::Period(Period::MonthToDate.into()),
            Asked::Period(Period::ThisWeek.into()),
            Asked::Period(Period::PreviousMonth.into()),
        ] {
            hands.set(time(began_at));
            let request = WatchLeaderboardRequest {
                query: Some(query(SubjectKind::Partner, RankedBy::WonAmount, window)),
                ..WatchLeaderboardRequest::default()
            };
            let mut answers = Answers::default();
            get(&mut caller, &request, &mut answers).await;
            let mut stream =
                caller.boards.watch_leaderboard(request.clone()).await.expect("valid").into_inner();
            let mut messages = vec![stream.message().await.expect("it watches").expect("a snapshot")];
            for (now, day) in moves {
                hands.set(time(now));
                get(&mut caller, &request, &mut answers).await;
                // No record changed: the day alone makes it a new version.
                while messages.last().and_then(as_of) != date(day) {
                    let next = tokio::time::timeout(PATIENCE, stream.message()).await.expect("it rolls");
                    messages.push(next.expect("it watches").expect("it goes on"));
                }
            }
            let heard = Heard { resume_token: String::new(), messages, end: End::Left };
            let transcript = Transcript { streams: vec![heard] };
            assert_kept(&transcript, &|version| answers.at(version));
        }
        sidecar.stop().await;
    }
}

/// A clock that is set back doesn't bring yesterday's board, until something else changes.
#[tokio::test]
async fn a_clock_set_back_doesnt_set_a_watch_back() {
    let (sidecar, hands) = sidecar_by_hand("2024-03-31T12:00:00Z", limits()).await;
    let mut caller = sidecar.tenant("back", settings()).await;
    caller.write(vec![partner("p0", "", "", 0), deal_won("d0", "p0", "2024-03-30T06:00:00Z", 5, 0)]).await;
    let mut stream = caller.boards.watch_leaderboard(by_amount()).await.expect("valid").into_inner();
    let mut last = None;
    for now in ["2024-03-31T12:00:00Z", "2024-03-30T12:00:00Z", "2024-04-02T12:00:00Z"] {
        hands.set(time(now));
        for _ in 0..4 {
            let message = stream.message().await.expect("it watches").expect("it goes on");
            let day = as_of(&message).map(|day| (day.year, day.month, day.day));
            assert!(day >= last, "{day:?} after {last:?}");
            last = day;
        }
    }
    while last != Some((2024, 4, 2)) {
        let message = stream.message().await.expect("it watches").expect("it goes on");
        last = as_of(&message).map(|day| (day.year, day.month, day.day));
    }
}

// === Coming back ===

#[tokio::test]
async fn whoever_comes_back_learns_what_became_of_what_it_has() {
    let (sidecar, _hands) = sidecar_by_hand("2024-03-31T12:00:00Z", limits()).await;
    let mut caller = sidecar.tenant("resume", settings()).await;
    caller.write((0..3).map(|n| partner(&format!("p{n}"), "", "", 0)).collect()).await;
    caller.write(vec![deal_won("d0", "p0", "2024-03-30T06:00:00Z", 5, 0)]).await;
    let first = async |caller: &mut Caller, request: WatchLeaderboardRequest| {
        let stream = caller.boards.watch_leaderboard(request).await;
        let message = stream.expect("it is valid").into_inner().message().await;
        message.expect("it watches").expect("a message").message.expect("one of them")
    };
    let Message::Snapshot(snapshot) = first(&mut caller, by_amount()).await else { panic!("a snapshot") };
    assert_eq!((snapshot.reset_reason(), snapshot.last), (ResetReason::Unspecified, true));
    let with =
        |resume_token: &str| WatchLeaderboardRequest { resume_token: resume_token.into(), ..by_amount() };

    // Unchanged: a heartbeat at the same version, or a later one.
    let Message::Heartbeat(heartbeat) = first(&mut caller, with(&snapshot.resume_token)).await else {
        panic!("nothing changed")
    };
    assert_eq!(heartbeat.version, snapshot.version);

    // The difference, however often it comes back with the old token.
    let token = caller.write(vec![deal_won("d1", "p1", "2024-03-30T06:00:00Z", 7, 0)]).await;
    for _ in 0..2 {
        loop {
            match first(&mut caller, with(&snapshot.resume_token)).await {
                Message::Delta(delta) => {
                    let put: Vec<&str> = delta.put_rows.iter().map(|row| row.subject_id.as_str()).collect();
                    assert_eq!(put, ["p1", "p0", "p2"]);
                    break;
                }
                // The board isn't told anew yet.
                Message::Heartbeat(heartbeat) => assert_eq!(heartbeat.version, snapshot.version),
                other => panic!("{other:?}"),
            }
        }
    }
    let _ = token;

    // Another board, another tenant, and no token at all.
    let other = WatchLeaderboardRequest { limit: Some(7), ..with(&snapshot.resume_token) };
    let (mut elsewhere, mut again) = (sidecar.tenant("elsewhere", settings()).await, caller.clone());
    for (caller, request, expected) in [
        (&mut caller, other, "RESUME_TOKEN_MISMATCH"),
        (&mut elsewhere, with(&snapshot.resume_token), "RESUME_TOKEN_MISMATCH"),
        (&mut again, with("nonsense"), "RESUME_TOKEN_INVALID"),
    ] {
        let status = caller.boards.watch_leaderboard(request).await.expect_err("the token is wrong");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, expected));
    }

    // After a restart nothing that was shown is remembered: unchanged rows need none of it, others come anew.
    let Message::Snapshot(later) = first(&mut caller, by_amount()).await else { panic!("a snapshot") };
    let data_dir = sidecar.stop().await;
    let (clock, _hands) = Clock::by_hand(time("2024-03-31T12:00:00Z"));
    let sidecar = Sidecar::start_as(data_dir, limits(), clock).await;
    let mut caller = sidecar.caller("resume").await;
    match first(&mut caller, with(&later.resume_token)).await {
        Message::Heartbeat(heartbeat) => assert_eq!(heartbeat.version, later.version),
        other => panic!("nothing changed: {other:?}"),
    }
    match first(&mut caller, with(&snapshot.resume_token)).await {
        Message::Snapshot(reset) => {
            assert_eq!(reset.reset_reason(), ResetReason::StateGone);
            assert_eq!(reset.rows, later.rows);
        }
        other => panic!("it is gone: {other:?}"),
    }

    // A token of another store: rows anew, and why.
    let (another, _hands) = sidecar_by_hand("2024-03-31T12:00:00Z", limits()).await;
    let mut caller = another.tenant("resume", settings()).await;
    match first(&mut caller, with(&snapshot.resume_token)).await {
        Message::Snapshot(reset) => assert_eq!(reset.reset_reason(), ResetReason::StoreChanged),
        other => panic!("the store is another: {other:?}"),
    }
}

/// A token of a revision that isn't applied here yet is waited for, not answered with what was before.
#[tokio::test]
async fn a_token_ahead_of_the_book_isnt_answered_from_behind() {
    let (sidecar, _hands) = sidecar_by_hand("2024-03-31T12:00:00Z", limits()).await;
    let mut caller = sidecar.tenant("ahead", settings()).await;
    caller.write(vec![partner("p0", "", "", 0)]).await;
    let mut stream = caller.boards.watch_leaderboard(by_amount()).await.expect("valid").into_inner();
    let message = stream.message().await.expect("it watches").expect("a snapshot");
    let token = token_of(&message).expect("it has one");
    // Forged as that of a later revision: what a token says is input, and the checksum no secret.
    let ahead = forge_revision(&token, 1_000);
    let request = WatchLeaderboardRequest { resume_token: ahead, ..by_amount() };
    let status = caller.boards.watch_leaderboard(request).await.expect_err("it never comes");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "REVISION_NOT_YET_APPLIED"));
}

/// The token with another revision: its fourth number, as the array is laid out.
fn forge_revision(token: &str, revision: u16) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let bytes = URL_SAFE_NO_PAD.decode(token).expect("it is base64");
    let sealed = &bytes[..bytes.len() - 4];
    let mut decoder = minicbor::Decoder::new(&sealed[1..]);
    let length = decoder.array().expect("an array").expect("of a known length");
    let mut encoder = minicbor::Encoder::new(vec![sealed[0]]);
    encoder.array(length).expect("a Vec grows");
    for place in 0..length {
        let number = decoder.u64().expect("all are numbers");
        let number = if place == 3 { u64::from(revision) } else { number };
        encoder.u64(number).expect("a Vec grows");
    }
    let mut forged = encoder.into_writer();
    forged.extend(crc32c::crc32c(&forged).to_be_bytes());
    URL_SAFE_NO_PAD.encode(forged)
}

// === The end of a stream ===

#[tokio::test]
async fn a_stream_ends_with_going_away_and_its_token_goes_on() {
    let age = Limits { stream_age_max: Duration::from_millis(200), ..limits() };
    let (sidecar, _hands) = sidecar_by_hand("2024-03-31T12:00:00Z", age).await;
    let mut caller = sidecar.tenant("age", settings()).await;
    caller.write(vec![partner("p0", "", "", 0)]).await;
    let (mut transcript, mut answers) = (Transcript::default(), Answers::default());
    get(&mut caller, &by_amount(), &mut answers).await;
    for _ in 0..3 {
        transcript.listen(&mut caller.boards, &by_amount(), PATIENCE, |_| false).await;
    }
    for heard in &transcript.streams {
        assert_eq!(heard.end, End::Ok);
        let Some(Message::GoingAway(last)) = heard.messages.last().and_then(|last| last.message.clone())
        else {
            panic!("{heard:?}")
        };
        assert_eq!(last.reason(), GoingAwayReason::MaxAge);
        assert!(!last.resume_token.is_empty() && last.retry_after.is_some());
    }
    assert_kept(&transcript, &|version| answers.at(version));
}

#[tokio::test]
async fn a_drain_says_going_away_to_every_watch_and_cuts_none() {
    let (sidecar, _hands) = sidecar_by_hand("2024-03-31T12:00:00Z", Limits::default()).await;
    let mut caller = sidecar.tenant("drain", settings()).await;
    caller.write(vec![partner("p0", "", "", 0)]).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = caller.boards.watch_leaderboard(by_amount()).await.expect("valid").into_inner();
        stream.message().await.expect("it watches").expect("a snapshot");
        streams.push(stream);
    }
    let stopping = tokio::spawn(sidecar.stop());
    for stream in &mut streams {
        let last = stream.message().await.expect("it is planned").expect("a last message").message;
        let Some(Message::GoingAway(last)) = last else { panic!("{last:?}") };
        assert_eq!(last.reason(), GoingAwayReason::Draining);
        assert!(stream.message().await.expect("it ends with OK").is_none());
    }
    stopping.await.expect("it stops");
}

#[tokio::test]
async fn a_deleted_tenant_s_watch_ends_with_why() {
    let (sidecar, _hands) = sidecar_by_hand("2024-03-31T12:00:00Z", limits()).await;
    let mut caller = sidecar.tenant("gone", settings()).await;
    let mut stream = caller.boards.watch_leaderboard(by_amount()).await.expect("valid").into_inner();
    stream.message().await.expect("it watches").expect("a snapshot");
    let delete = channel_kpi::proto::channelkpi::v1::DeleteTenantRequest { tenant_id: "gone".into() };
    caller.admin.delete_tenant(delete).await.expect("it is there");
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a watch ends with OK in no other way than by GoingAway"),
            Err(status) => break status,
        }
    };
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "TENANT_DENIED"));
}

// === Many, and slow ones ===

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
