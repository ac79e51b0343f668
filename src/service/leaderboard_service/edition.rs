//! An edition: what a watched board shows from some version on, and the messages that bring a client to it.
//!
//! What many clients are sent is encoded once and shared as bytes: the way from the edition before, and a
//! snapshot for those who come new.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use prost::Message as _;

use super::changes::Shown;
use crate::domain::calendar::Date;
use crate::proto::channelkpi::v1 as pb;
use crate::proto::channelkpi::v1::watch_leaderboard_response::Message;
use crate::service::render::value;
use crate::service::token::{self, Owner, Resume};

/// The most rows of one message of a snapshot: about what a client's first window holds.
const CHUNK_ROWS: usize = 250;

/// How many of the last things shown are kept for watchers who come back.
const REMEMBERED_MAX: usize = 64;

/// Ordered by revision, then by day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub revision: u64,
    pub as_of: Date,
}

pub struct Edition {
    pub version: Version,
    pub shown: Arc<Shown>,
    /// Lets a watch go on from here.
    token: String,
    /// The way from the last edition that showed something else.
    changes: Option<Changes>,
    snapshot: OnceLock<VecDeque<Bytes>>,
    /// What was shown before, the last one at the end.
    remembered: VecDeque<Arc<Shown>>,
}

#[derive(Clone)]
struct Changes {
    /// The hash of what was shown before.
    from: u64,
    encoded: Bytes,
}

// === impl Edition ===

impl Edition {
    /// The first of a board.
    pub fn first(owner: Owner<'_>, arguments_hash: u64, version: Version, shown: Shown) -> Self {
        Self::new(owner, arguments_hash, version, Arc::new(shown), None, VecDeque::new())
    }

    /// The one after this.
    pub fn next(&self, owner: Owner<'_>, arguments_hash: u64, version: Version, shown: Shown) -> Self {
        let mut remembered = self.remembered.clone();
        if self.shown.hash == shown.hash {
            // Nothing else is to be seen, from a later version on. Who comes from before goes the same way.
            let (shown, changes) = (Arc::clone(&self.shown), self.changes.clone());
            return Self::new(owner, arguments_hash, version, shown, changes, remembered);
        }
        remembered.push_back(Arc::clone(&self.shown));
        if remembered.len() > REMEMBERED_MAX {
            remembered.pop_front();
        }
        let mut next = Self::new(owner, arguments_hash, version, Arc::new(shown), None, remembered);
        let encoded = next.way_from(&self.shown);
        next.changes = Some(Changes { from: self.shown.hash, encoded });
        next
    }

    fn new(
        owner: Owner<'_>,
        arguments_hash: u64,
        version: Version,
        shown: Arc<Shown>,
        changes: Option<Changes>,
        remembered: VecDeque<Arc<Shown>>,
    ) -> Self {
        let Version { revision, as_of } = version;
        let resume = Resume { revision, as_of, hash: shown.hash };
        let token = token::encode_resume(owner, arguments_hash, resume);
        Self { version, shown, token, changes, snapshot: OnceLock::new(), remembered }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// What was shown before with this hash, if it is remembered.
    pub fn remembered(&self, hash: u64) -> Option<&Arc<Shown>> {
        self.remembered.iter().rev().find(|shown| shown.hash == hash)
    }

    /// The delta for who has what was shown before.
    pub fn delta_from(&self, before: &Shown) -> Bytes {
        match &self.changes {
            Some(Changes { from, encoded }) if *from == before.hash => encoded.clone(),
            _ => self.way_from(before),
        }
    }

    fn way_from(&self, before: &Shown) -> Bytes {
        encoded(Message::Delta(pb::BoardDelta {
            version: Some(self.wire_version()),
            resume_token: self.token.clone(),
            ..before.changes_to(&self.shown)
        }))
    }

    /// All rows, in chunks.
    pub fn snapshot(&self, reset_reason: pb::ResetReason) -> VecDeque<Bytes> {
        match reset_reason {
            pb::ResetReason::Unspecified => self.snapshot.get_or_init(|| self.chunks(reset_reason)).clone(),
            _ => self.chunks(reset_reason),
        }
    }

    fn chunks(&self, reset_reason: pb::ResetReason) -> VecDeque<Bytes> {
        let Self { shown, token, .. } = self;
        let chunk = |rows: &[pb::LeaderboardRow]| pb::BoardSnapshot {
            reset_reason: reset_reason.into(),
            rows: rows.to_vec(),
            version: Some(self.wire_version()),
            ..pb::BoardSnapshot::default()
        };
        let mut chunks: Vec<pb::BoardSnapshot> = shown.rows.chunks(CHUNK_ROWS).map(chunk).collect();
        let last = chunks.pop().unwrap_or_else(|| chunk(&[]));
        chunks.push(pb::BoardSnapshot {
            last: true,
            pinned: shown.pinned.clone(),
            ranked_count: shown.ranked_count,
            definition: Some(shown.definition.clone()),
            resume_token: token.clone(),
            ..last
        });
        chunks.into_iter().map(|chunk| encoded(Message::Snapshot(chunk))).collect()
    }

    pub fn heartbeat(&self) -> Bytes {
        let (version, resume_token) = (Some(self.wire_version()), self.token.clone());
        encoded(Message::Heartbeat(pb::BoardHeartbeat { version, resume_token }))
    }

    fn wire_version(&self) -> pb::BoardVersion {
        let Version { revision, as_of } = self.version;
        pb::BoardVersion { revision: revision as i64, as_of: Some(value::date(as_of)) }
    }
}

pub fn encoded(message: Message) -> Bytes {
    pb::WatchLeaderboardResponse { message: Some(message) }.encode_to_vec().into()
}
