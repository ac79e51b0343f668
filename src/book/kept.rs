//! Kept boards: boards that were asked for, kept up to date with every batch.
//!
//! Peers' positions, leaderboards and watches read the same ones. A board that a batch changes in another
//! way than by its deals' and leads' entries (who is below whom, an attribute of a partner or channel, a
//! rate, a name that a filter asks for and nobody had used yet) is dropped, and told anew when it is asked for.
//!
//! Invariants:
//! 1. A kept board equals one told anew, bit for bit: a property test.
//! 2. Beside those that a watch holds there are at most [`KEPT_MAX`], the ones asked for last, and none that
//!    wasn't asked for during the last [`UNASKED_BATCHES_MAX`] batches: writes don't pay for what nobody reads.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Book;
use super::board::{Board, BoardQuestion, LinesOf, Telling};
use super::leaderboard::Orders;
use super::pages::Pages;
use crate::domain::calendar::Date;
use crate::domain::subject::Subject;
use crate::kpi::peers::{Peer, PeerGroup};
use crate::kpi::standing::Standing;
use crate::kpi::value_score::PeerTotal;

/// Under test few, so that small histories drop some.
const KEPT_MAX: usize = if cfg!(test) { 3 } else { 64 };

const UNASKED_BATCHES_MAX: u64 = if cfg!(test) { 4 } else { 256 };

/// The boards of a book.
#[derive(Default)]
pub(super) struct KeptBoards {
    /// Those asked for last at the end.
    boards: Mutex<Vec<Arc<KeptBoard>>>,
    /// How many batches were taken in.
    batch_count: u64,
    told_count: AtomicU64,
    /// Counts up with every board that is told or changed.
    edition_count: AtomicU64,
}

/// A board and what it is of.
pub struct KeptBoard {
    asked: BoardQuestion,
    told: OnceLock<ToldBoard>,
    /// The orders in which it was asked for, until it changes.
    orders: Orders,
    /// How many batches had been taken in when it was asked for last.
    asked_after: AtomicU64,
    pin: Arc<()>,
}

struct ToldBoard {
    /// Another one whenever the board is another: of two boards never the same.
    edition: u64,
    telling: Telling,
    extent: Extent,
    board: Board,
}

/// What a batch does to a board.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    /// It is another now.
    Other,
    /// It can't be kept up.
    Unfit,
}

/// As long as someone has it, the board is kept.
#[derive(Clone)]
pub struct BoardPin {
    _pin: Arc<()>,
}

/// How many there were of what a telling numbers: what comes later it doesn't know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    partners: usize,
    desks: usize,
    terms: usize,
    channels: usize,
    label_sets: usize,
}

// === impl Change ===

impl Change {
    fn of(is_other: bool) -> Self {
        if is_other { Self::Other } else { Self::None }
    }
}

// === impl KeptBoard ===

impl KeptBoard {
    fn told(&self) -> &ToldBoard {
        self.told.get().expect("whoever is handed a board finds it told")
    }

    fn is_pinned(&self) -> bool {
        Arc::strong_count(&self.pin) > 1
    }

    pub(super) fn board(&self) -> &Board {
        &self.told().board
    }

    pub(super) fn telling(&self) -> &Telling {
        &self.told().telling
    }

    /// What it is by now: another one after every change.
    pub(super) fn edition(&self) -> u64 {
        self.told().edition
    }

    pub(super) fn orders(&self) -> &Orders {
        &self.orders
    }

    pub(super) fn peer_by_number(&self, book: &Book, number: u32) -> Option<(&Peer, &PeerGroup)> {
        self.board().peer(book, &self.asked, number)
    }

    /// What the peers of one won. None: it isn't its own peer.
    pub(super) fn peer_total(&self, book: &Book, number: u32) -> Option<&PeerTotal> {
        self.board().peer_total(book, &self.asked, number)
    }

    /// The date of the oldest exchange rate among its amounts.
    pub fn oldest_rate_on(&self) -> Option<Date> {
        self.board().oldest_rate_on()
    }

    /// Keeps the board for as long as the pin is there and nothing but entries changes it.
    pub fn pin(&self) -> BoardPin {
        BoardPin { _pin: Arc::clone(&self.pin) }
    }
}

// === impl KeptBoards ===

impl KeptBoards {
    fn find_or_add(&self, asked: &BoardQuestion) -> Arc<KeptBoard> {
        let mut boards = self.boards.lock();
        let known = boards.iter().position(|board| board.asked.answers(asked)).map(|at| boards.remove(at));
        let board = known.unwrap_or_else(|| {
            let (told, asked_after, pin) = (OnceLock::new(), AtomicU64::default(), Arc::default());
            Arc::new(KeptBoard { asked: asked.clone(), told, orders: Orders::default(), asked_after, pin })
        });
        board.asked_after.store(self.batch_count, Ordering::Relaxed);
        boards.push(Arc::clone(&board));
        let mut too_many = boards.iter().filter(|board| !board.is_pinned()).count().saturating_sub(KEPT_MAX);
        boards.retain(|board| {
            let is_dropped = too_many > 0 && !board.is_pinned();
            too_many -= usize::from(is_dropped);
            !is_dropped
        });
        board
    }

    /// One that is told already.
    fn told(&self, asked: &BoardQuestion) -> Option<Arc<KeptBoard>> {
        let boards = self.boards.lock();
        boards.iter().find(|board| board.told.get().is_some() && board.asked.answers(asked)).map(Arc::clone)
    }

    /// Before a batch: drops what nobody has asked for since long. Returns whether there is any board left.
    pub(super) fn begin_batch(&mut self) -> bool {
        self.batch_count += 1;
        let least = self.batch_count.saturating_sub(UNASKED_BATCHES_MAX);
        let boards = self.boards.get_mut();
        boards.retain(|board| board.is_pinned() || board.asked_after.load(Ordering::Relaxed) >= least);
        !boards.is_empty()
    }

    pub(super) fn is_empty(&mut self) -> bool {
        self.boards.get_mut().is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.boards.get_mut().clear();
    }

    /// Lets `change` see each board.
    fn each(&mut self, mut change: impl FnMut(&BoardQuestion, &mut ToldBoard) -> Change) {
        let edition_count = self.edition_count.get_mut();
        self.boards.get_mut().retain_mut(|board| {
            // Readers have a board for as long as they have the book, which is the writer's alone now.
            let Some(KeptBoard { asked, told, orders, .. }) = Arc::get_mut(board) else { return false };
            let Some(told) = told.get_mut() else { return false };
            let change = change(asked, told);
            if change == Change::Other {
                *edition_count += 1;
                told.edition = *edition_count;
                orders.clear();
            }
            change != Change::Unfit
        });
    }
}

// === impl Book ===

impl Book {
    /// The standings of all subjects of a kind: told now, or kept since they were asked for.
    pub fn board(&self, asked: &BoardQuestion) -> Arc<KeptBoard> {
        let kept = self.kept.find_or_add(asked);
        // Whoever else asks for it meanwhile waits, and tells nothing twice.
        kept.told.get_or_init(|| {
            self.kept.told_count.fetch_add(1, Ordering::Relaxed);
            let telling = self.telling(&kept.asked);
            let board = self.tell_board(&kept.asked, &telling);
            let edition = self.kept.edition_count.fetch_add(1, Ordering::Relaxed) + 1;
            ToldBoard { edition, telling, extent: self.extent(), board }
        });
        kept
    }

    /// The same where it is kept.
    pub(super) fn board_if_told(&self, asked: &BoardQuestion) -> Option<Arc<KeptBoard>> {
        self.kept.told(asked)
    }

    /// How many boards were told, kept ones not again: what watches and questions cost.
    pub fn boards_told_count(&self) -> u64 {
        self.kept.told_count.load(Ordering::Relaxed)
    }

    /// A subject among its peers. None: it isn't its own peer.
    pub fn peer<'a>(&self, kept: &'a KeptBoard, subject: &Subject) -> Option<(&'a Peer, &'a PeerGroup)> {
        kept.peer_by_number(self, self.number_of(subject)?)
    }

    /// A subject's standing on a board: nothing where it had nothing.
    pub fn standing_on(&self, kept: &KeptBoard, subject: &Subject) -> Standing {
        let number = self.number_of(subject);
        let row = number.map(|number| kept.board().row(number).standing);
        row.unwrap_or_else(|| Standing::nothing(kept.asked.dates))
    }

    fn extent(&self) -> Extent {
        let dictionary = &self.records.dictionary;
        Extent {
            partners: dictionary.partners.len(),
            desks: self.pools.desks.values().len(),
            terms: dictionary.terms.len(),
            channels: dictionary.channels.len(),
            label_sets: self.pools.label_sets.values().len(),
        }
    }

    /// Takes out of the boards what a batch's deals and leads were told as before it. `kept` are this book's,
    /// which has lent them.
    pub(super) fn take_out_of_boards(&self, kept: &mut KeptBoards, before: &Pages) {
        kept.each(|asked, told| {
            // Which leads pass hangs on all their deals.
            let by_deals_of_leads = told.telling.scope.test.as_ref().is_some_and(|test| test.leads.is_some());
            if by_deals_of_leads {
                return Change::Unfit;
            }
            Change::of(self.take_out(asked, &told.telling, &mut told.board, before))
        });
    }

    /// Puts in what they are told as after it.
    pub(super) fn put_in_boards(&self, kept: &mut KeptBoards, after: &Pages) {
        let extent = self.extent();
        kept.each(|asked, told| {
            if !told.telling.fits(&told.extent, &extent) {
                return Change::Unfit;
            }
            Change::of(self.put_in(asked, &told.telling, &mut told.board, after))
        });
    }
}

// === impl Telling ===

impl Telling {
    /// Whether what came since `told` changes nothing of whose rows count and for whom.
    fn fits(&self, told: &Extent, now: &Extent) -> bool {
        let Telling { scope, lines } = self;
        let by_partners = lines.of == LinesOf::Partners || scope.slots.is_some() || scope.test.is_some();
        let by_desks = lines.of == LinesOf::Desks || scope.desks.is_some();
        let by_names = scope.test.is_some();
        (!by_partners || told.partners == now.partners)
            && (!by_desks || told.desks == now.desks)
            && (!by_names
                || (told.terms, told.channels, told.label_sets) == (now.terms, now.channels, now.label_sets))
    }
}
