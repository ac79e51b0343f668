//! Feeds: who writes for a source, and how far it has come.
//!
//! Invariants:
//! 1. Of one source, the newest claim alone may begin a write.
//! 2. A claim is ready once every write that an older one had begun has ended. So the checkpoint that it
//!    finds is the last that any of them stored, and none of theirs comes after it.
//! 3. An older claim holds up a newer one by nothing but its writes: not by a client that doesn't read.
//! 4. Only sources that are claimed, or have a checkpoint, take memory; of the latter there are at most
//!    [`CHECKPOINTS_MAX`].
//! 5. Which checkpoints there are follows from the order of batches alone, so that replicas and replays agree.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use minicbor::{Decode, Encode};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::domain::ids::SourceId;

/// How far a source has come, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Checkpoint {
    #[n(0)]
    pub source: SourceId,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub place: Vec<u8>,
}

/// So many sources have a checkpoint: with one more, that which stored its own longest ago is forgotten. A client
/// that names itself anew whenever it starts leaves nothing behind for ever.
const CHECKPOINTS_MAX: usize = 10_000;

/// The feeds of one tenant.
#[derive(Default)]
pub(super) struct Feeds {
    checkpoints: Mutex<Checkpoints>,
    lanes: Mutex<HashMap<SourceId, Arc<watch::Sender<Lane>>>>,
}

/// The newest of each source.
#[derive(Default)]
struct Checkpoints {
    /// With the count of those that were noted before.
    places: HashMap<SourceId, (u64, Vec<u8>)>,
    /// By that count.
    sources: BTreeMap<u64, SourceId>,
    noted_count: u64,
}

/// What goes on for one source.
#[derive(Default)]
struct Lane {
    /// The number of the newest claim.
    newest: u64,
    /// Writes under way, of whichever claim.
    writing: usize,
    /// Claims and writes. Changes under the lock of the lanes.
    users: usize,
}

/// The right to write for a source, until a newer one is given.
pub struct Claim {
    feeds: Arc<Feeds>,
    source: SourceId,
    lane: Arc<watch::Sender<Lane>>,
    number: u64,
}

/// A write under way.
pub(super) struct Writing {
    feeds: Arc<Feeds>,
    source: SourceId,
    lane: Arc<watch::Sender<Lane>>,
}

/// Another claim is the newest of the source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another feed of source {0:?} was opened")]
pub struct TakenOver(pub SourceId);

// === impl Feeds ===

impl Feeds {
    pub fn note(&self, checkpoint: Checkpoint) {
        self.checkpoints.lock().note(checkpoint);
    }

    /// In the order in which they are to be noted again: the newest last.
    pub fn checkpoints(&self) -> Vec<Checkpoint> {
        let Checkpoints { places, sources, .. } = &*self.checkpoints.lock();
        let each = sources
            .values()
            .map(|source| Checkpoint { source: source.clone(), place: places[source].1.clone() });
        each.collect()
    }

    pub fn claim(self: &Arc<Self>, source: SourceId) -> Claim {
        let mut lanes = self.lanes.lock();
        let lane = Arc::clone(lanes.entry(source.clone()).or_default());
        let mut number = 0;
        lane.send_modify(|lane| {
            lane.users += 1;
            lane.newest += 1;
            number = lane.newest;
        });
        Claim { feeds: Arc::clone(self), source, lane, number }
    }

    /// A claim or a write has gone: the last one takes the lane with it.
    fn leave(&self, source: &SourceId, lane: &watch::Sender<Lane>) {
        let mut lanes = self.lanes.lock();
        let mut users = 0;
        lane.send_modify(|lane| {
            lane.users -= 1;
            users = lane.users;
        });
        if users == 0 {
            lanes.remove(source);
        }
    }
}

// === impl Checkpoints ===

impl Checkpoints {
    fn note(&mut self, Checkpoint { source, place }: Checkpoint) {
        let number = self.noted_count;
        self.noted_count += 1;
        if let Some((earlier, _)) = self.places.insert(source.clone(), (number, place)) {
            self.sources.remove(&earlier);
        }
        self.sources.insert(number, source);
        if self.sources.len() > CHECKPOINTS_MAX
            && let Some((_, oldest)) = self.sources.pop_first()
        {
            self.places.remove(&oldest);
        }
    }
}

// === impl Claim ===

impl Claim {
    pub fn source(&self) -> &SourceId {
        &self.source
    }

    /// Waits until no older claim writes any more. Returns the checkpoint of the source.
    pub async fn ready(&self) -> Result<Option<Vec<u8>>, TakenOver> {
        let mut lane = self.lane.subscribe();
        let settled = lane.wait_for(|lane| lane.newest != self.number || lane.writing == 0).await;
        if settled.expect("this claim holds the sender").newest != self.number {
            return Err(TakenOver(self.source.clone()));
        }
        Ok(self.feeds.checkpoints.lock().places.get(&self.source).map(|(_, place)| place.clone()))
    }

    /// Waits until a newer claim is given.
    pub fn taken_over(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut lane, number) = (self.lane.subscribe(), self.number);
        async move {
            if lane.wait_for(|lane| lane.newest != number).await.is_err() {
                std::future::pending().await // nobody is left who could
            }
        }
    }

    pub(super) fn begin_write(&self) -> Result<Writing, TakenOver> {
        let _lanes = self.feeds.lanes.lock();
        let begun = self.lane.send_if_modified(|lane| {
            let newest = lane.newest == self.number;
            lane.writing += usize::from(newest);
            lane.users += usize::from(newest);
            newest
        });
        let Self { feeds, source, lane, .. } = self;
        let (feeds, lane) = (Arc::clone(feeds), Arc::clone(lane));
        if begun {
            Ok(Writing { feeds, source: source.clone(), lane })
        } else {
            Err(TakenOver(self.source.clone()))
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.feeds.leave(&self.source, &self.lane);
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.lane.send_modify(|lane| lane.writing -= 1);
        self.feeds.leave(&self.source, &self.lane);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn source() -> SourceId {
        SourceId::try_new("crm").expect("it is an id")
    }

    #[test]
    fn a_newer_claim_is_ready_when_the_older_ones_writes_have_ended() {
        let feeds = Arc::new(Feeds::default());
        let older = feeds.claim(source());
        assert_eq!(older.ready().now_or_never(), Some(Ok(None)));
        let write = older.begin_write().expect("it is the newest");
        assert!(older.taken_over().now_or_never().is_none());

        let newer = feeds.claim(source());
        assert!(older.taken_over().now_or_never().is_some());
        assert!(older.begin_write().is_err(), "it may begin nothing more");
        assert!(newer.ready().now_or_never().is_none(), "a write is under way");
        feeds.note(Checkpoint { source: source(), place: b"7".to_vec() });
        drop(write);
        assert_eq!(newer.ready().now_or_never(), Some(Ok(Some(b"7".to_vec()))));
        assert!(newer.begin_write().is_ok());
        assert_eq!(older.ready().now_or_never(), Some(Err(TakenOver(source()))));
    }

    /// Whatever was noted before, and whether some of it went through a snapshot: the same are left.
    #[test]
    fn checkpoints_are_those_of_the_sources_that_stored_theirs_last() {
        let checkpoint = |number: usize, place: &str| Checkpoint {
            source: SourceId::try_new(&format!("source-{number}")).expect("it is an id"),
            place: place.into(),
        };
        let (feeds, restored) = (Feeds::default(), Feeds::default());
        (0..CHECKPOINTS_MAX).for_each(|number| feeds.note(checkpoint(number, "first")));
        feeds.note(checkpoint(0, "second")); // now the newest
        feeds.checkpoints().into_iter().for_each(|checkpoint| restored.note(checkpoint));
        for feeds in [&feeds, &restored] {
            assert_eq!(feeds.checkpoints().len(), CHECKPOINTS_MAX);
            feeds.note(checkpoint(CHECKPOINTS_MAX, "first"));
            let left = feeds.checkpoints();
            assert_eq!(left.len(), CHECKPOINTS_MAX);
            assert_eq!(left[0], checkpoint(2, "first"), "1 was the oldest");
            let newest = [checkpoint(0, "second"), checkpoint(CHECKPOINTS_MAX, "first")];
            assert_eq!(left[CHECKPOINTS_MAX - 2..], newest);
        }
    }

    #[test]
    fn a_source_that_nobody_claims_takes_no_memory_but_its_checkpoint() {
        let feeds = Arc::new(Feeds::default());
        let (first, second) = (feeds.claim(source()), feeds.claim(source()));
        drop(second);
        assert_eq!(feeds.lanes.lock().len(), 1);
        drop(first);
        assert_eq!(feeds.lanes.lock().len(), 0);
    }

    #[test]
    fn a_claim_that_goes_before_its_write_takes_no_memory() {
        let feeds = Arc::new(Feeds::default());
        let claim = feeds.claim(source());
        let write = claim.begin_write().expect("it is the newest");
        drop(claim);
        drop(write);
        assert_eq!(feeds.lanes.lock().len(), 0);
    }
}
