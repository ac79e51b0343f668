//! What tests of watches share: a sidecar whose clock the test holds, boards, records that move them, and what a
//! message says.

use std::time::{Duration, SystemTime};

use channel_kpi::clock::{Clock, ClockHands};
use channel_kpi::config::Limits;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::watch_leaderboard_response::Message;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    Deal, DealStatus, GetLeaderboardRequest, LeaderboardQuery, Partner, RankedBy, Record, SubjectKind,
    WatchLeaderboardRequest, WatchLeaderboardResponse, Window,
};
use channel_kpi::proto::google::r#type::{Date, Money};
use tonic::Status;
use tonic_types::StatusExt;

use super::sidecar::{Caller, Sidecar};
use super::watch_promises::Answers;
use super::worked_example::{at, sourced, version};

/// Far beyond what any message takes: nobody waits for it but where something is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn time(text: &str) -> SystemTime {
    at(text).expect("the tests write RFC 3339").try_into().expect("it is after 1970")
}

/// Heartbeats come soon: what isn't told by a delta is told by one.
pub fn limits() -> Limits {
    Limits { heartbeat_interval: Duration::from_millis(50), ..Limits::default() }
}

pub async fn sidecar_by_hand(now: &str, limits: Limits) -> (Sidecar, ClockHands) {
    let (clock, hands) = Clock::by_hand(time(now));
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    (Sidecar::start_as(data_dir, limits, clock).await, hands)
}

pub fn query(kind: SubjectKind, ranked_by: RankedBy, window: Asked) -> LeaderboardQuery {
    LeaderboardQuery {
        subject_kind: kind.into(),
        ranked_by: ranked_by.into(),
        window: Some(Window { window: Some(window) }),
        ..LeaderboardQuery::default()
    }
}

pub fn by_amount() -> WatchLeaderboardRequest {
    let query = query(SubjectKind::Partner, RankedBy::WonAmount, Asked::LastDays(30));
    WatchLeaderboardRequest { query: Some(query), ..WatchLeaderboardRequest::default() }
}

/// What Get is asked for the rows of a watch.
pub fn get_of(watched: &WatchLeaderboardRequest) -> GetLeaderboardRequest {
    GetLeaderboardRequest {
        query: watched.query.clone(),
        page_size: watched.limit.unwrap_or(100),
        pinned_subject_ids: watched.pinned_subject_ids.clone(),
        ..GetLeaderboardRequest::default()
    }
}

pub async fn get(caller: &mut Caller, watched: &WatchLeaderboardRequest, answers: &mut Answers) -> i64 {
    let answer = caller.boards.get_leaderboard(get_of(watched)).await.expect("it is valid").into_inner();
    let revision = answer.version.as_ref().expect("always set").revision;
    answers.note(answer);
    revision
}

pub fn partner(id: &str, name: &str, region: &str, hour: i64) -> Record {
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
pub fn record(hour: i64, kind: Kind) -> Record {
    let mut update_time = at("2024-01-01T00:00:00Z").expect("a time");
    update_time.seconds += hour * 3_600;
    version(Some(update_time), kind)
}

pub fn deal_won(id: &str, partner_id: &str, closed: &str, units: i64, hour: i64) -> Record {
    let deal = Deal {
        deal_id: id.into(),
        opened_at: at("2024-02-01T06:00:00Z"),
        closed_at: at(closed),
        status: DealStatus::Won.into(),
        amount: Some(Money { currency_code: "USD".into(), units, nanos: 0 }),
        partner_credits: sourced(partner_id),
        ..Deal::default()
    };
    record(hour, Kind::Deal(deal))
}

pub fn revision_of(message: &WatchLeaderboardResponse) -> Option<i64> {
    let version = match message.message.as_ref()? {
        Message::Snapshot(snapshot) => snapshot.version.as_ref().filter(|_| snapshot.last),
        Message::Delta(delta) => delta.version.as_ref(),
        Message::Heartbeat(heartbeat) => heartbeat.version.as_ref(),
        Message::GoingAway(_) => None,
    };
    Some(version?.revision)
}

pub fn as_of(message: &WatchLeaderboardResponse) -> Option<Date> {
    match message.message.as_ref()? {
        Message::Snapshot(snapshot) => snapshot.version.as_ref()?.as_of,
        Message::Delta(delta) => delta.version.as_ref()?.as_of,
        Message::Heartbeat(heartbeat) => heartbeat.version.as_ref()?.as_of,
        Message::GoingAway(_) => None,
    }
}

pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

pub fn token_of(message: &WatchLeaderboardResponse) -> Option<String> {
    let token = match message.message.as_ref()? {
        Message::Snapshot(snapshot) => &snapshot.resume_token,
        Message::Delta(delta) => &delta.resume_token,
        Message::Heartbeat(heartbeat) => &heartbeat.resume_token,
        Message::GoingAway(going_away) => &going_away.resume_token,
    };
    (!token.is_empty()).then(|| token.clone())
}
