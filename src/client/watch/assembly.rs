//! A board put together from the messages of a watch: no I/O, so any sequence of messages can be tried.
//!
//! Invariants of the board that it tells:
//! 1. It is whole: the first rows up to the watch's limit, in places 1, 2, 3 …, each subject once.
//! 2. Its version never goes back, but for a snapshot that says the store was changed.
//! 3. The token goes with exactly these rows. Without a token the next stream begins anew.
//!
//! A message that would break one of them changes nothing and is refused as [`Torn`]. Not noticed, since nothing in
//! the messages shows it: a change left out that would have moved no row.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::proto::channelkpi::v1::watch_leaderboard_response::Message;
use crate::proto::channelkpi::v1::{
    BoardDelta, BoardHeartbeat, BoardSnapshot, BoardVersion, Definition, GoingAway, LeaderboardRow,
    PinnedRows, ResetReason, WatchLeaderboardRequest, WatchLeaderboardResponse,
};

/// The first rows of a board, and what was pinned, at one version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    /// In the order of their places.
    pub rows: Vec<LeaderboardRow>,
    /// In the order of the request.
    pub pinned: Vec<PinnedRows>,
    /// How many subjects are ranked, also beyond the rows.
    pub ranked_count: i64,
    pub definition: Definition,
    pub version: BoardVersion,
}

/// By what message a board came to be as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// All rows, as they were asked for.
    Snapshot,
    /// All rows anew, though the watch wanted to go on.
    Reset(ResetReason),
    /// Some rows changed.
    Delta,
    /// Nothing changed: the board holds at this version.
    Heartbeat,
}

/// What a message came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// A part of a snapshot: the board is what it was until the last part is there.
    Chunk,
    /// The board holds.
    Board(Came),
    /// The stream ends by plan.
    GoingAway(GoingAway),
}

/// Messages that can't be what a server meant to say. Whoever gets them begins anew, without a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Torn {
    #[error("a message says nothing that is known here")]
    Empty,
    #[error("a message has no version")]
    Unversioned,
    #[error("a change came before any rows")]
    NothingHeld,
    #[error("something came between the chunks of a snapshot")]
    SnapshotCut,
    #[error("the chunks of a snapshot have different versions")]
    SnapshotMixed,
    #[error("the version went back")]
    WentBack,
    #[error("a version that was told already came in a delta")]
    ToldTwice,
    #[error("subject {0:?} was dropped, but has no row")]
    DroppedUnknown(String),
    #[error("subject {0:?} has two rows")]
    SubjectTwice(String),
    #[error("the places of the rows don't go from 1 to {expected_count}")]
    Places { expected_count: usize },
    #[error("the pinned subjects aren't those asked for")]
    PinnedOthers,
    #[error("a pinned row differs from the row in the same place")]
    PinnedDiffers,
}

/// A version as something to compare: the revision, then the day.
type Version = (i64, (i32, i32, i32));

/// The board of one watch, in the making.
#[derive(Clone, Debug)]
pub struct Assembly {
    limit: usize,
    pinned_ids: Vec<String>,
    held: Option<(Version, Arc<Board>)>,
    /// The chunks of a snapshot that hasn't ended.
    chunks: Option<(Version, Vec<LeaderboardRow>)>,
    resume_token: String,
}

// === impl Assembly ===

impl Assembly {
    /// Rows of a watch that asks for no limit.
    const LIMIT_DEFAULT: i32 = 100;

    /// For the messages that answer this request.
    pub fn new(request: &WatchLeaderboardRequest) -> Self {
        let limit = request.limit.unwrap_or(Self::LIMIT_DEFAULT);
        Self {
            limit: usize::try_from(limit).unwrap_or(0), // the server refuses it
            pinned_ids: request.pinned_subject_ids.clone(),
            held: None,
            chunks: None,
            resume_token: String::new(),
        }
    }

    /// The board as of the last message. None before the first whole snapshot.
    pub fn board(&self) -> Option<&Arc<Board>> {
        self.held.as_ref().map(|(_, board)| board)
    }

    /// What the next stream is to be asked with. Empty: it begins anew.
    pub fn resume_token(&self) -> &str {
        &self.resume_token
    }

    /// Another stream is opened: what was half said on the one before is void.
    pub fn reopen(&mut self) {
        self.chunks = None;
        if self.resume_token.is_empty() {
            self.held = None;
        }
    }

    /// Begin anew: neither rows nor token hold.
    pub fn forget(&mut self) {
        self.resume_token.clear();
        self.reopen();
    }

    /// Takes the next message of the stream.
    ///
    /// # Errors
    /// [`Torn`] where it can't follow those before it. Nothing is changed then.
    pub fn apply(&mut self, message: WatchLeaderboardResponse) -> Result<Applied, Torn> {
        let message = message.message.ok_or(Torn::Empty)?;
        if self.chunks.is_some() && !matches!(message, Message::Snapshot(_)) {
            return Err(Torn::SnapshotCut);
        }
        match message {
            Message::Snapshot(snapshot) => self.snapshot(snapshot),
            Message::Delta(delta) => self.delta(delta).map(|()| Applied::Board(Came::Delta)),
            Message::Heartbeat(heartbeat) => {
                self.heartbeat(heartbeat).map(|()| Applied::Board(Came::Heartbeat))
            }
            Message::GoingAway(going_away) => {
                if self.held.is_some() {
                    self.resume_token.clone_from(&going_away.resume_token);
                }
                Ok(Applied::GoingAway(going_away))
            }
        }
    }

    fn snapshot(&mut self, snapshot: BoardSnapshot) -> Result<Applied, Torn> {
        let reset_reason = snapshot.reset_reason();
        let version = comparable(snapshot.version)?;
        let goes_back = self.held.as_ref().is_some_and(|(held, _)| version < *held);
        // Another store counts its revisions anew.
        if goes_back && reset_reason != ResetReason::StoreChanged {
            return Err(Torn::WentBack);
        }
        let mut rows = match &mut self.chunks {
            Some((begun, _)) if *begun != version => return Err(Torn::SnapshotMixed),
            Some((_, rows)) => std::mem::take(rows),
            None => Vec::new(),
        };
        rows.extend(snapshot.rows);
        if !snapshot.last {
            self.chunks = Some((version, rows));
            return Ok(Applied::Chunk);
        }
        self.chunks = None;
        let board = Board {
            rows,
            pinned: snapshot.pinned,
            ranked_count: snapshot.ranked_count,
            definition: snapshot.definition.unwrap_or_default(),
            version: snapshot.version.unwrap_or_default(),
        };
        self.hold(version, board, snapshot.resume_token)?;
        Ok(Applied::Board(match reset_reason {
            ResetReason::Unspecified => Came::Snapshot,
            reason => Came::Reset(reason),
        }))
    }

    fn delta(&mut self, delta: BoardDelta) -> Result<(), Torn> {
        let version = comparable(delta.version)?;
        let (held, board) = self.held.as_ref().ok_or(Torn::NothingHeld)?;
        match version.cmp(held) {
            std::cmp::Ordering::Less => return Err(Torn::WentBack),
            std::cmp::Ordering::Equal => return Err(Torn::ToldTwice),
            std::cmp::Ordering::Greater => {}
        }
        let mut board = Board::clone(board);
        board.put(delta.put_rows, delta.removed_subject_ids)?;
        for pinned in delta.pinned {
            let known = board.pinned.iter_mut().find(|known| known.subject_id == pinned.subject_id);
            *known.ok_or(Torn::PinnedOthers)? = pinned;
        }
        board.ranked_count = delta.ranked_count;
        if let Some(definition) = delta.definition {
            board.definition = definition;
        }
        board.version = delta.version.unwrap_or_default();
        self.hold(version, board, delta.resume_token)
    }

    fn heartbeat(&mut self, heartbeat: BoardHeartbeat) -> Result<(), Torn> {
        let version = comparable(heartbeat.version)?;
        let (held, board) = self.held.as_mut().ok_or(Torn::NothingHeld)?;
        if version < *held {
            return Err(Torn::WentBack);
        }
        if version > *held {
            *held = version;
            Arc::make_mut(board).version = heartbeat.version.unwrap_or_default();
        }
        self.resume_token = heartbeat.resume_token;
        Ok(())
    }

    /// Keeps a board that is whole.
    fn hold(&mut self, version: Version, board: Board, resume_token: String) -> Result<(), Torn> {
        board.check(self.limit, &self.pinned_ids)?;
        self.held = Some((version, Arc::new(board)));
        self.resume_token = resume_token;
        Ok(())
    }
}

// === impl Board ===

impl Board {
    fn put(&mut self, put_rows: Vec<LeaderboardRow>, removed_ids: Vec<String>) -> Result<(), Torn> {
        let put_count = put_rows.len();
        let mut put: HashMap<String, LeaderboardRow> =
            put_rows.into_iter().map(|row| (row.subject_id.clone(), row)).collect();
        let mut removed: HashSet<String> = removed_ids.into_iter().collect();
        if put.len() < put_count {
            let twice = put.into_keys().next().unwrap_or_default();
            return Err(Torn::SubjectTwice(twice));
        }
        self.rows.retain(|row| !removed.remove(&row.subject_id) && !put.contains_key(&row.subject_id));
        if let Some(unknown) = removed.into_iter().next() {
            return Err(Torn::DroppedUnknown(unknown));
        }
        self.rows.extend(put.drain().map(|(_, row)| row));
        self.rows.sort_by_key(|row| row.place);
        Ok(())
    }

    fn check(&self, limit: usize, pinned_ids: &[String]) -> Result<(), Torn> {
        let expected_count = usize::try_from(self.ranked_count).unwrap_or(0).min(limit);
        let in_place = (1..).zip(&self.rows).all(|(place, row)| row.place == place);
        if !in_place || self.rows.len() != expected_count {
            return Err(Torn::Places { expected_count });
        }
        let mut seen = HashSet::with_capacity(self.rows.len());
        if let Some(twice) = self.rows.iter().find(|row| !seen.insert(row.subject_id.as_str())) {
            return Err(Torn::SubjectTwice(twice.subject_id.clone()));
        }
        if !self.pinned.iter().map(|pinned| &pinned.subject_id).eq(pinned_ids) {
            return Err(Torn::PinnedOthers);
        }
        let same_row = |pinned: &LeaderboardRow| {
            let place = usize::try_from(pinned.place).ok();
            let row = place.and_then(|place| self.rows.get(place.checked_sub(1)?));
            row.is_none_or(|row| row == pinned)
        };
        if !self.pinned.iter().flat_map(|pinned| &pinned.rows).all(same_row) {
            return Err(Torn::PinnedDiffers);
        }
        Ok(())
    }
}

fn comparable(version: Option<BoardVersion>) -> Result<Version, Torn> {
    let version = version.ok_or(Torn::Unversioned)?;
    let day = version.as_of.ok_or(Torn::Unversioned)?;
    Ok((version.revision, (day.year, day.month, day.day)))
}

#[cfg(test)]
pub(super) mod tests;
