//! Watched boards: each told once for all who watch it.
//!
//! A board that someone watches has a task. On notice of a revision, and at the tenant's midnight, it asks
//! the book anew, at most so often, and shows what it found. Watchers look at the newest that is shown;
//! what they have is theirs to know (`watch.rs`).
//!
//! Invariants:
//! 1. However many watch a board, it is told once per change, and so is what changed.
//! 2. Versions grow: by revision, then by day.
//! 3. Nobody waits for a watcher. One that leaves what is shown unread for twice the time allowed has its
//!    stream reset.
//! 4. A board that nobody watches any more is forgotten after [`LINGERS`], and with it what it showed.
//! 5. A tenant has so many different boards at most. One that nobody watches makes room for another.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::board::Board;
use super::changes::Shown;
use super::edition::{Edition, Version};
use crate::book::BoardPin;
use crate::clock::Clock;
use crate::config::Limits;
use crate::domain::calendar::{Date, Instant as Time};
use crate::domain::ids::TenantId;
use crate::journal::{Journal, Revision};
use crate::server::Life;
use crate::service::parse::WatchQuestion;
use crate::service::{blocking, failure, owner};
use crate::tenant::{StoppedBy, Tenant};

/// A board is told at most once in so long, and in so many times of what it took the last time.
const TOLD_EVERY_MIN: Duration = Duration::from_millis(100);
const TOLD_EVERY_COSTS: u32 = 20;

/// How long a board that nobody watches is kept for those who come back.
const LINGERS: Duration = Duration::from_secs(60);

/// Whose board, and what identifies it among theirs.
type BoardKey = (TenantId, Vec<u8>);

/// All boards that are watched.
pub struct WatchedBoards<J> {
    boards: Mutex<HashMap<BoardKey, Weak<WatchedBoard<J>>>>,
    clock: Clock,
    boards_per_tenant_max: u32,
    pub(super) heartbeat_interval: Duration,
    pub(super) unread_max: Duration,
}

/// One board.
pub struct WatchedBoard<J> {
    tenant: Arc<Tenant<J>>,
    asked: WatchQuestion,
    showing: watch::Sender<Showing>,
    readers: Mutex<Vec<Weak<Reader>>>,
    /// Cancelled: it lingers no more, another needs its place.
    dismissed: CancellationToken,
}

/// A place before a board: what keeps it there, what is to be seen of it, and what it sees of the watcher.
pub type Seat<J> = (Arc<WatchedBoard<J>>, watch::Receiver<Showing>, Arc<Reader>);

/// What is to be seen of a board.
#[derive(Clone)]
pub enum Showing {
    /// It is being told for the first time.
    Nothing,
    Board(Arc<Edition>),
    /// It ended: why.
    Ended(Box<Status>),
}

/// A watcher, as far as the board sees it.
pub struct Reader {
    /// Since when something is shown that it hasn't taken.
    unread_since: Mutex<Option<Instant>>,
    life: Life,
}

/// What one telling found.
struct Telling {
    version: Version,
    shown: Shown,
    pins: Vec<BoardPin>,
    /// When the day changes.
    midnight: Time,
}

// === impl Reader ===

impl Reader {
    fn note_unread(&self) {
        self.unread_since.lock().get_or_insert_with(Instant::now);
    }

    /// Takes note that it has taken what is shown. Returns for how long that was unread.
    pub fn take(&self) -> Option<Duration> {
        self.unread_since.lock().take().map(|since| since.elapsed())
    }

    fn unread_for(&self) -> Option<Duration> {
        self.unread_since.lock().map(|since| since.elapsed())
    }
}

// === impl WatchedBoards ===

impl<J: Journal> WatchedBoards<J> {
    pub fn new(clock: Clock, limits: &Limits) -> Self {
        Self {
            boards: Mutex::default(),
            clock,
            boards_per_tenant_max: limits.watched_boards_per_tenant_max,
            heartbeat_interval: limits.heartbeat_interval,
            unread_max: limits.watch_unread_max,
        }
    }

    /// A place before the board of a question, whose task runs.
    pub fn watch(
        self: &Arc<Self>,
        tenant: &Arc<Tenant<J>>,
        asked: &WatchQuestion,
        life: &Life,
    ) -> Result<Seat<J>, Status> {
        let mut boards = self.boards.lock();
        let place = (tenant.id().clone(), asked.identity.clone());
        let running = boards.get(&place).and_then(Weak::upgrade);
        // That of a tenant that was deleted and made again is another.
        let running = running.filter(|board| Arc::ptr_eq(&board.tenant, tenant) && !board.has_ended());
        let board = match running {
            Some(board) => board,
            None => {
                boards.retain(|_, board| board.strong_count() > 0);
                let of_tenant = boards.keys().filter(|(id, _)| id == tenant.id()).count();
                if of_tenant >= self.boards_per_tenant_max as usize && !dismiss_one(&mut boards, tenant.id())
                {
                    return Err(failure::too_many_boards(self.boards_per_tenant_max));
                }
                let board = self.begin(tenant, asked);
                boards.insert(place, Arc::downgrade(&board));
                board
            }
        };
        // Before anyone can find that nobody watches it.
        let reader = board.admit(life);
        let showing = board.showing.subscribe();
        Ok((board, showing, reader))
    }

    fn begin(self: &Arc<Self>, tenant: &Arc<Tenant<J>>, asked: &WatchQuestion) -> Arc<WatchedBoard<J>> {
        let board = Arc::new(WatchedBoard {
            tenant: Arc::clone(tenant),
            asked: WatchQuestion { resume_token: None, ..asked.clone() },
            showing: watch::Sender::new(Showing::Nothing),
            readers: Mutex::default(),
            dismissed: CancellationToken::new(),
        });
        let (running, watched) = (Arc::clone(&board), Arc::clone(&board));
        let run = running.run(Arc::clone(self));
        tokio::spawn(async move {
            // A defect ends the watches: nobody is left waiting for a board that is told no more.
            if tokio::spawn(run).await.is_err() {
                let status = failure::stopped(StoppedBy::Defect);
                watched.showing.send_replace(Showing::Ended(Box::new(status)));
            }
        });
        board
    }

    /// Forgets a board, unless someone came to watch it meanwhile.
    fn forget(&self, board: &WatchedBoard<J>) -> bool {
        let mut boards = self.boards.lock();
        let is_alone = board.has_no_readers();
        if is_alone {
            boards.retain(|_, known| !std::ptr::eq(known.as_ptr(), board));
        }
        is_alone
    }
}

/// Ends a board of a tenant that nobody watches. Whether there was one.
fn dismiss_one<J: Journal>(boards: &mut HashMap<BoardKey, Weak<WatchedBoard<J>>>, tenant: &TenantId) -> bool {
    let of_tenant = boards.iter().filter(|((id, _), _)| id == tenant);
    let alone = of_tenant.filter_map(|(place, board)| Some((place, board.upgrade()?)));
    let Some((place, board)) = alone.into_iter().find(|(_, board)| board.has_no_readers()) else {
        return false;
    };
    board.dismissed.cancel();
    let place = place.clone();
    boards.remove(&place);
    true
}

// === impl WatchedBoard ===

impl<J: Journal> WatchedBoard<J> {
    fn admit(&self, life: &Life) -> Arc<Reader> {
        let reader = Arc::new(Reader { unread_since: Mutex::default(), life: life.clone() });
        self.readers.lock().push(Arc::downgrade(&reader));
        reader
    }

    fn has_no_readers(&self) -> bool {
        self.readers.lock().iter().all(|reader| reader.strong_count() == 0)
    }

    fn has_ended(&self) -> bool {
        matches!(*self.showing.borrow(), Showing::Ended(_))
    }

    async fn run(self: Arc<Self>, boards: Arc<WatchedBoards<J>>) {
        let mut clock = boards.clock.clone();
        let mut forsaken = pin!(self.forsaken(&boards));
        let mut last: Option<Arc<Edition>> = None;
        let mut pins;
        loop {
            let began_at = Instant::now();
            let told = match self.tell(last.as_ref().map(|last| last.version), clock.now()).await {
                Ok(told) => told,
                Err(status) => {
                    self.showing.send_replace(Showing::Ended(Box::new(status)));
                    return;
                }
            };
            let cost = began_at.elapsed();
            tracing::debug!(cost_us = cost.as_micros(), "a watched board was told");
            pins = told.pins;
            let (revision, midnight) = (Revision(told.version.revision), told.midnight);
            last = Some(self.show(last, told.version, told.shown));

            // Held over the wait: the book keeps what the board is told from.
            let _held = &pins;
            let changed = async {
                tokio::select! {
                    stopped = self.tenant.applied_after(revision) => stopped?,
                    () = clock.reach(midnight) => {}
                }
                sleep_until(began_at + TOLD_EVERY_MIN.max(cost * TOLD_EVERY_COSTS)).await;
                Ok(())
            };
            let changed: Result<(), StoppedBy> = tokio::select! {
                changed = changed => changed,
                () = &mut forsaken => return,
                () = self.dismissed.cancelled() => return,
            };
            if let Err(stopped_by) = changed {
                self.showing.send_replace(Showing::Ended(Box::new(failure::stopped(stopped_by))));
                return;
            }
        }
    }

    /// Asks the book. `last` is the version that is shown.
    async fn tell(&self, last: Option<Version>, now: Time) -> Result<Telling, Status> {
        let (tenant, asked) = (Arc::clone(&self.tenant), self.asked.clone());
        blocking(move || {
            let book = tenant.book();
            let settings = failure::configured(tenant.id(), &book)?;
            let today = settings.zone.local_date(now);
            let as_of = day_after(last, book.revision(), today);
            let board = Board::tell(&book, settings, &asked.board, Some(as_of), now)?;
            let (rows, _) = board.rows(None, asked.limit);
            Ok(Telling {
                version: Version { revision: book.revision(), as_of },
                shown: Shown::new(rows, board.pinned(), board.ranked_count(), board.definition()),
                pins: board.pins(),
                midnight: settings.zone.next_midnight(now),
            })
        })
        .await
    }

    fn show(&self, last: Option<Arc<Edition>>, version: Version, shown: Shown) -> Arc<Edition> {
        let is_other = last.as_ref().is_none_or(|last| last.shown.hash != shown.hash);
        let (owner, arguments_hash) = (owner(&self.tenant), self.asked.arguments_hash);
        let edition = Arc::new(match last {
            Some(last) => last.next(owner, arguments_hash, version, shown),
            None => Edition::first(owner, arguments_hash, version, shown),
        });
        if is_other {
            self.readers.lock().iter().filter_map(Weak::upgrade).for_each(|reader| reader.note_unread());
        }
        self.showing.send_replace(Showing::Board(Arc::clone(&edition)));
        edition
    }

    /// Resets the streams of those who read nothing, from time to time. Returns when nobody has watched for
    /// a while, and nobody will.
    async fn forsaken(&self, boards: &WatchedBoards<J>) {
        let unread_max = boards.unread_max;
        let mut alone_since = None;
        loop {
            sleep(unread_max.min(LINGERS) / 4).await;
            let readers: Vec<Arc<Reader>> = {
                let mut readers = self.readers.lock();
                readers.retain(|reader| reader.strong_count() > 0);
                readers.iter().filter_map(Weak::upgrade).collect()
            };
            for reader in &readers {
                if reader.unread_for().is_some_and(|unread_for| unread_for > 2 * unread_max) {
                    reader.life.reset();
                }
            }
            if !readers.is_empty() {
                alone_since = None;
            } else if alone_since.get_or_insert_with(Instant::now).elapsed() > LINGERS && boards.forget(self)
            {
                return;
            }
        }
    }
}

/// The day of the next version. A clock that was set back doesn't bring yesterday's board: of one revision
/// the day never goes back.
fn day_after(last: Option<Version>, revision: u64, today: Date) -> Date {
    match last {
        Some(last) if last.revision == revision => last.as_of.max(today),
        _ => today,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::date;

    #[test]
    fn versions_never_go_back() {
        let last = Version { revision: 7, as_of: date("2024-03-31") };
        for (last, revision, today, expected) in [
            (None, 7, "2024-03-30", "2024-03-30"),
            (Some(last), 7, "2024-03-31", "2024-03-31"),
            (Some(last), 7, "2024-04-01", "2024-04-01"),
            (Some(last), 7, "2024-03-30", "2024-03-31"), // the clock was set back
            (Some(last), 8, "2024-03-30", "2024-03-30"), // so was it, or the zone is another
        ] {
            let next = Version { revision, as_of: day_after(last, revision, date(today)) };
            assert_eq!(next.as_of, date(expected));
            assert!(Some(next) >= last);
        }
    }
}
