//! The library's client watches a real sidecar over a real socket: what it shows is what GetLeaderboard answers,
//! however often its streams end, and though it is a stranger after each.

#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/watch_promises.rs"]
mod watch_promises;
#[allow(dead_code)]
#[path = "support/worked_example.rs"]
mod worked_example;

use std::time::Duration;

use channel_kpi::client::watch::{Away, Came, Event, Watch};
use channel_kpi::clock::Clock;
use channel_kpi::config::Limits;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    GetLeaderboardRequest, LeaderboardQuery, Partner, RankedBy, Record, SubjectKind, WatchLeaderboardRequest,
    Window,
};
use sidecar::Sidecar;
use tonic::service::interceptor::InterceptedService;
use watch_promises::{Answers, ExpectedRows};
use worked_example::{at, deal, noon, settings, version, won};

const TENANT: &str = "watched";
const PARTNERS: [&str; 6] = ["A", "B", "C", "D", "E", "F"];

fn request() -> WatchLeaderboardRequest {
    let query = LeaderboardQuery {
        subject_kind: SubjectKind::Partner.into(),
        ranked_by: RankedBy::WonAmount.into(),
        window: Some(Window { window: Some(Asked::LastDays(60)) }),
        ..LeaderboardQuery::default()
    };
    WatchLeaderboardRequest {
        query: Some(query),
        limit: Some(3),
        pinned_subject_ids: vec!["E".into(), "nobody".into()],
        ..WatchLeaderboardRequest::default()
    }
}

fn partners() -> Vec<Record> {
    let partner = |id: &str| Kind::Partner(Partner { partner_id: id.into(), ..Partner::default() });
    PARTNERS.iter().map(|id| version(noon("01-01"), partner(id))).collect()
}

/// A deal is won, or what it is worth is corrected.
fn some_deal(random: &mut fastrand::Rng, number: u8) -> Record {
    let id = format!("d{}", random.u8(0..12));
    let partner_id = PARTNERS[random.usize(0..PARTNERS.len())];
    let deal = won("03-10", deal(&id, partner_id, "", "02-01", random.i64(1..100)));
    let update_time = at("2024-03-10T12:00:00Z").map(|mut time| {
        time.seconds += i64::from(number);
        time
    });
    version(update_time, Kind::Deal(deal))
}

#[tokio::test]
async fn what_it_shows_is_what_get_answers() {
    const CHANGE_COUNT: u8 = 100;
    // Streams are short: most changes come after another token.
    let limits = Limits {
        stream_age_max: Duration::from_millis(150),
        heartbeat_interval: Duration::from_millis(20),
        ..Limits::default()
    };
    let now = at("2024-03-31T12:00:00Z").and_then(|now| now.try_into().ok()).expect("it is after 1970");
    let (clock, _hands) = Clock::by_hand(now);
    let sidecar = Sidecar::start_as(tempfile::tempdir().expect("a directory"), limits, clock).await;
    let mut caller = sidecar.tenant(TENANT, settings()).await;
    caller.write(partners()).await;

    let as_tenant = |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("ckpi-tenant", TENANT.parse().expect("visible ASCII"));
        Ok(request)
    };
    let mut watch = Watch::new(InterceptedService::new(sidecar.connect().await, as_tenant), request());
    let writing = tokio::spawn(async move {
        let (mut answers, mut last) = (Answers::default(), 0);
        let mut random = fastrand::Rng::with_seed(7);
        for number in 0..=CHANGE_COUNT {
            let WatchLeaderboardRequest { query, pinned_subject_ids, .. } = request();
            let get = GetLeaderboardRequest { query, pinned_subject_ids, page_size: 3, ..Default::default() };
            let answer = caller.boards.get_leaderboard(get).await.expect("it is valid").into_inner();
            last = answer.version.as_ref().expect("always set").revision;
            answers.note(answer);
            if number < CHANGE_COUNT {
                // One after the other, each as long after as it takes.
                caller.write(vec![some_deal(&mut random, number)]).await;
            }
        }
        (answers, last)
    });

    let (mut boards, mut told) = (Vec::new(), None);
    let (mut delta_count, mut away_count) = (0, 0);
    let mut writing = Some(writing);
    loop {
        match watch.next().await.expect("it lasts").expect("every failure may pass") {
            Event::Board { board, came } => {
                delta_count += u32::from(came == Came::Delta);
                assert!(!matches!(came, Came::Reset(_)), "its rows are known: {came:?}");
                boards.push(board.clone());
                if writing.as_ref().is_some_and(tokio::task::JoinHandle::is_finished) {
                    told = Some(writing.take().expect("it is there").await.expect("it doesn't panic"));
                }
                if told.as_ref().is_some_and(|(_, last)| board.version.revision == *last) {
                    break;
                }
            }
            Event::Away { why: Away::GoingAway(_), .. } => away_count += 1,
            Event::Away { why, .. } => panic!("{why:?}"),
        }
    }
    let (answers, _) = told.expect("it was waited for");
    for board in &boards {
        let expected = answers.at(&board.version).expect("every revision was asked for");
        assert_eq!(ExpectedRows::from(&**board), expected, "at {:?}", board.version);
    }
    assert!(delta_count > 0 && away_count > 0, "{delta_count} deltas, {away_count} streams ended");
    drop(watch);
    sidecar.stop().await;
}
