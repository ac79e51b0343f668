//! Feeds: the messages of IngestRecords.

use super::path::{Violations, collect};
use super::record::{REJECTION_KEPT_MAX, version};
use super::value::{self, required};
use crate::domain::calendar::Instant;
use crate::domain::ids::SourceId;
use crate::domain::record::Version;
use crate::proto::channelkpi::v1 as pb;

/// The longest place of a checkpoint.
pub const PLACE_BYTES_MAX: usize = 1024;

/// The source that a feed's first message names.
pub fn open_feed(sent: &pb::OpenFeed) -> Result<SourceId, Violations> {
    let pb::OpenFeed { source_id } = sent;
    collect(Violations::KEPT_MAX, |at| value::id(at.field("open").field("source_id"), source_id))
}

/// The version that a feed brings. Paths begin at the message with the number.
pub fn ingest_record(sent: &pb::IngestRecord, now: Instant) -> Result<Version, Violations> {
    let pb::IngestRecord { seq: _, record } = sent; // whether the number is the next one, the feed knows
    collect(REJECTION_KEPT_MAX, |at| {
        required(at.field("record"), record, |at, record| version(at, record, now))
    })
}

/// A feed's own place.
pub fn checkpoint(sent: pb::FeedCheckpoint) -> Result<Vec<u8>, Violations> {
    let pb::FeedCheckpoint { place } = sent;
    match place.len() {
        1..=PLACE_BYTES_MAX => Ok(place),
        bytes => {
            let rule = format!("is {bytes} bytes long, must be 1 to {PLACE_BYTES_MAX}");
            Err(Violations::one("checkpoint.place", rule))
        }
    }
}
