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
#[path = "support/watching.rs"]
mod watching;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/worked_example.rs"]
mod worked_example;

use std::collections::HashSet;
use std::time::Duration;

use channel_kpi::clock::Clock;
use channel_kpi::config::Limits;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::watch_leaderboard_response::Message;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    Deal, ExchangeRate, ExchangeRateKey, GoingAwayReason, LeaderboardQuery, Period, RankedBy, Record,
    ResetReason, SubjectKind, TenantSettings, TieRule, WatchLeaderboardRequest,
};
use channel_kpi::proto::google::r#type::{Decimal, Money};
use sidecar::{Caller, Sidecar};
use tokio::sync::watch;
use tonic::Code;
use watch_promises::{Answers, End, Heard, Transcript, assert_kept};
use watching::{
    PATIENCE, as_of, by_amount, deal_won, get, limits, partner, query, reason, record, revision_of,
    sidecar_by_hand, time, token_of,
};
use worked_example::{at, date, settings, sourced};

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
