//! Sequences of messages by hand: what they come to, and which can't be.

use super::*;
use crate::proto::google::r#type::Date;

pub fn version(revision: i64) -> Option<BoardVersion> {
    Some(BoardVersion { revision, as_of: Some(Date { year: 2024, month: 3, day: 31 }) })
}

pub fn row(place: i64, subject_id: &str) -> LeaderboardRow {
    LeaderboardRow { place, rank: place, subject_id: subject_id.into(), ..LeaderboardRow::default() }
}

pub fn rows(subject_ids: &[&str]) -> Vec<LeaderboardRow> {
    (1..).zip(subject_ids).map(|(place, id)| row(place, id)).collect()
}

pub fn message(message: Message) -> WatchLeaderboardResponse {
    WatchLeaderboardResponse { message: Some(message) }
}

pub fn snapshot(revision: i64, subject_ids: &[&str]) -> BoardSnapshot {
    BoardSnapshot {
        rows: rows(subject_ids),
        last: true,
        version: version(revision),
        ranked_count: subject_ids.len() as i64,
        resume_token: format!("token {revision}"),
        ..BoardSnapshot::default()
    }
}

pub fn delta(revision: i64, put_rows: Vec<LeaderboardRow>, ranked_count: i64) -> BoardDelta {
    BoardDelta {
        put_rows,
        ranked_count,
        version: version(revision),
        resume_token: format!("token {revision}"),
        ..BoardDelta::default()
    }
}

pub fn heartbeat(revision: i64) -> BoardHeartbeat {
    BoardHeartbeat { version: version(revision), resume_token: format!("token {revision}") }
}

fn request(limit: i32, pinned: &[&str]) -> WatchLeaderboardRequest {
    let pinned_subject_ids = pinned.iter().map(|id| (*id).to_owned()).collect();
    WatchLeaderboardRequest { limit: Some(limit), pinned_subject_ids, ..Default::default() }
}

impl Assembly {
    fn take(&mut self, of: Message) -> Result<Applied, Torn> {
        self.apply(message(of))
    }

    /// The subjects of the rows, and the version.
    fn told(&self) -> (String, i64) {
        let board = self.board().expect("a board is there");
        let ids: Vec<&str> = board.rows.iter().map(|row| row.subject_id.as_str()).collect();
        (ids.join(" "), board.version.revision)
    }
}

fn begun(limit: i32, subject_ids: &[&str]) -> Assembly {
    let mut assembly = Assembly::new(&request(limit, &[]));
    let mut first = snapshot(1, &subject_ids[..subject_ids.len().min(limit as usize)]);
    first.ranked_count = subject_ids.len() as i64;
    assembly.take(Message::Snapshot(first)).expect("it is whole");
    assembly
}

#[test]
fn a_life_by_hand() {
    let mut assembly = begun(3, &["A", "B", "C", "D"]);
    assert_eq!(assembly.told(), ("A B C".into(), 1));

    // D overtakes all: C falls out.
    let mut change = delta(2, vec![row(1, "D"), row(2, "A"), row(3, "B")], 4);
    change.removed_subject_ids = vec!["C".into()];
    assert_eq!(assembly.take(Message::Delta(change)), Ok(Applied::Board(Came::Delta)));
    assert_eq!(assembly.told(), ("D A B".into(), 2));
    assert_eq!(assembly.resume_token(), "token 2");

    assert_eq!(assembly.take(Message::Heartbeat(heartbeat(5))), Ok(Applied::Board(Came::Heartbeat)));
    assert_eq!(assembly.told(), ("D A B".into(), 5));
    assert_eq!(assembly.resume_token(), "token 5");

    let going_away = GoingAway { resume_token: "onward".into(), ..GoingAway::default() };
    assert_eq!(assembly.take(Message::GoingAway(going_away.clone())), Ok(Applied::GoingAway(going_away)));
    assembly.reopen();
    assert_eq!((assembly.resume_token(), assembly.told()), ("onward", ("D A B".into(), 5)));
    // Nobody is ranked any more.
    let mut change = delta(6, vec![], 0);
    change.removed_subject_ids = vec!["A".into(), "B".into(), "D".into()];
    assembly.take(Message::Delta(change)).expect("it follows");
    assert_eq!(assembly.told(), (String::new(), 6));
}

#[test]
fn a_snapshot_holds_once_its_last_chunk_is_there() {
    let mut assembly = begun(4, &["A", "B", "C"]);
    let chunk = |rows: Vec<LeaderboardRow>, last| BoardSnapshot {
        reset_reason: ResetReason::StateGone.into(),
        rows,
        last,
        ranked_count: if last { 4 } else { 0 },
        ..snapshot(2, &[])
    };
    let all = rows(&["D", "C", "B", "A"]);
    assert_eq!(assembly.take(Message::Snapshot(chunk(all[..2].to_vec(), false))), Ok(Applied::Chunk));
    assert_eq!((assembly.told(), assembly.resume_token()), (("A B C".into(), 1), "token 1"));
    assert_eq!(
        assembly.take(Message::Snapshot(chunk(all[2..].to_vec(), true))),
        Ok(Applied::Board(Came::Reset(ResetReason::StateGone)))
    );
    assert_eq!(assembly.told(), ("D C B A".into(), 2));

    // The connection breaks amid another one: nothing of it is left.
    assembly.take(Message::Snapshot(chunk(all[..2].to_vec(), false))).expect("it begins well");
    assembly.reopen();
    assert_eq!(assembly.take(Message::Heartbeat(heartbeat(3))), Ok(Applied::Board(Came::Heartbeat)));
    assert_eq!(assembly.told(), ("D C B A".into(), 3));
}

#[test]
fn only_another_store_turns_the_version_back() {
    let mut assembly = begun(3, &["A"]);
    assembly.take(Message::Heartbeat(heartbeat(9))).expect("it follows");
    let back = |reason: ResetReason| BoardSnapshot { reset_reason: reason.into(), ..snapshot(2, &["B"]) };
    assert_eq!(assembly.take(Message::Snapshot(back(ResetReason::StateGone))), Err(Torn::WentBack));
    assert_eq!(
        assembly.take(Message::Snapshot(back(ResetReason::StoreChanged))),
        Ok(Applied::Board(Came::Reset(ResetReason::StoreChanged)))
    );
    assert_eq!(assembly.told(), ("B".into(), 2));
}

#[test]
fn midnight_is_a_version_of_its_own() {
    let mut assembly = begun(3, &["A", "B"]);
    let mut tomorrow = delta(1, vec![row(1, "B"), row(2, "A")], 2);
    tomorrow.version = Some(BoardVersion { revision: 1, as_of: Some(Date { year: 2024, month: 4, day: 1 }) });
    assembly.take(Message::Delta(tomorrow)).expect("the day is later");
    assert_eq!(assembly.told(), ("B A".into(), 1));
}

#[test]
fn a_definition_holds_until_another_comes() {
    let mut assembly = Assembly::new(&request(3, &[]));
    let zone = |zone: &str| Some(Definition { time_zone: zone.into(), ..Definition::default() });
    let first = BoardSnapshot { definition: zone("Asia/Dhaka"), ..snapshot(1, &["A"]) };
    assembly.take(Message::Snapshot(first)).expect("it is whole");
    for (revision, sent, expected) in [(2, None, "Asia/Dhaka"), (3, zone("UTC"), "UTC")] {
        let change = BoardDelta { definition: sent, ..delta(revision, rows(&["A"]), 1) };
        assembly.take(Message::Delta(change)).expect("it follows");
        assert_eq!(assembly.board().expect("it is there").definition.time_zone, expected);
    }
}

#[test]
fn pinned_rows_are_replaced_whole() {
    let pin = |id: &str, rows: Vec<LeaderboardRow>| PinnedRows { subject_id: id.into(), rows };
    let mut assembly = Assembly::new(&request(2, &["X", "Y"]));
    let first = BoardSnapshot {
        ranked_count: 9,
        pinned: vec![pin("X", vec![row(7, "W"), row(8, "X")]), pin("Y", vec![])],
        ..snapshot(1, &["A", "B"])
    };
    assembly.take(Message::Snapshot(first)).expect("it is whole");
    // X becomes the third, so that B is its neighbour.
    let around = vec![row(2, "B"), row(3, "X"), row(4, "C")];
    let change = BoardDelta { pinned: vec![pin("X", around.clone())], ..delta(2, vec![], 9) };
    assembly.take(Message::Delta(change)).expect("it follows");
    let board = assembly.board().expect("it is there");
    assert_eq!(board.pinned, [pin("X", around), pin("Y", vec![])]);

    let other = BoardDelta { pinned: vec![pin("Z", vec![])], ..delta(3, vec![], 9) };
    assert_eq!(assembly.take(Message::Delta(other)), Err(Torn::PinnedOthers));
    let differs = vec![row(2, "A"), row(3, "X")];
    let other = BoardDelta { pinned: vec![pin("X", differs)], ..delta(3, vec![], 9) };
    assert_eq!(assembly.take(Message::Delta(other)), Err(Torn::PinnedDiffers));
    let missing = BoardSnapshot { pinned: vec![], ..snapshot(3, &["A", "B"]) };
    assert_eq!(assembly.take(Message::Snapshot(missing)), Err(Torn::PinnedOthers));
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let chunk = |revision| BoardSnapshot { last: false, ..snapshot(revision, &["C"]) };
    let removing = |id: &str| {
        let removed_subject_ids = vec![id.into()];
        BoardDelta { removed_subject_ids, ..delta(2, vec![], 1) }
    };
    let unversioned = BoardDelta { version: None, ..delta(2, vec![], 2) };
    let cases: [(&str, Vec<Message>, Torn); 12] = [
        ("no version", vec![Message::Delta(unversioned)], Torn::Unversioned),
        ("a version back", vec![Message::Heartbeat(heartbeat(0))], Torn::WentBack),
        ("a delta of old", vec![Message::Delta(delta(0, vec![], 2))], Torn::WentBack),
        ("a delta repeated", vec![Message::Delta(delta(1, vec![], 2))], Torn::ToldTwice),
        ("a drop of none", vec![Message::Delta(removing("Z"))], Torn::DroppedUnknown("Z".into())),
        ("a gap", vec![Message::Delta(removing("A"))], Torn::Places { expected_count: 1 }),
        ("a row missing", vec![Message::Delta(delta(2, vec![], 3))], Torn::Places { expected_count: 3 }),
        (
            "two in a place",
            vec![Message::Delta(delta(2, vec![row(2, "C")], 3))],
            Torn::Places { expected_count: 3 },
        ),
        (
            "two of one",
            vec![Message::Delta(delta(2, vec![row(3, "C"), row(4, "C")], 3))],
            Torn::SubjectTwice("C".into()),
        ),
        (
            "a chunk missing",
            vec![Message::Snapshot(BoardSnapshot { ranked_count: 3, ..snapshot(2, &["A", "B"]) })],
            Torn::Places { expected_count: 3 },
        ),
        ("chunks mixed", vec![Message::Snapshot(chunk(2)), Message::Snapshot(chunk(3))], Torn::SnapshotMixed),
        (
            "no last chunk",
            vec![Message::Snapshot(chunk(2)), Message::Heartbeat(heartbeat(2))],
            Torn::SnapshotCut,
        ),
    ];
    for (what, messages, expected) in cases {
        let mut assembly = begun(4, &["A", "B"]);
        let outcomes: Vec<_> = messages.into_iter().map(|message| assembly.take(message)).collect();
        assert_eq!(outcomes.last(), Some(&Err(expected)), "{what}");
        assert_eq!((assembly.told(), assembly.resume_token()), (("A B".into(), 1), "token 1"), "{what}");
    }
    assert_eq!(begun(4, &["A"]).apply(WatchLeaderboardResponse::default()), Err(Torn::Empty));
    for early in [Message::Heartbeat(heartbeat(1)), Message::Delta(delta(1, rows(&["A"]), 1))] {
        assert_eq!(Assembly::new(&request(4, &[])).take(early), Err(Torn::NothingHeld));
    }
}

#[test]
fn without_a_token_nothing_is_kept() {
    let mut assembly = begun(3, &["A", "B"]);
    assembly
        .take(Message::Heartbeat(BoardHeartbeat { version: version(2), ..Default::default() }))
        .expect("ok");
    assert_eq!(assembly.told(), ("A B".into(), 2), "the rows hold while the stream does");
    assembly.reopen();
    assert_eq!(assembly.board(), None);
    assert_eq!(assembly.take(Message::Heartbeat(heartbeat(3))), Err(Torn::NothingHeld));
}
