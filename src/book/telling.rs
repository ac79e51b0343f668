//! Telling a whole book: all that is derived from its records, made at once.
//!
//! Several threads share the records out among themselves and gather what each contributes; months are then made
//! into pages, one by one, by whoever has time.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use super::contribute::{Entries, Ground, deal_entries};
use super::packed::{DealRef, LeadRef, PackedDeal, PackedLead};
use super::page::Renumbered;
use super::pages::{GatheredPages, Pages};
use super::pools::{Pool, Pools, Traits};
use super::spends::Spends;
use super::{Book, Retell, current_rate};
use crate::domain::calendar::Instant;

/// Records that a thread takes at a time. Under test few, so that small histories are shared out.
const SHARE_RECORDS: u32 = if cfg!(test) { 2 } else { 8_192 };

/// Lots of deals that wait to be told by the other thread.
const LOTS_AHEAD: usize = if cfg!(test) { 1 } else { 8 };

/// More threads gain little: they wait for memory.
const THREADS_MAX: usize = 8;

/// How many threads tell a book that nobody can ask yet.
pub fn all_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().clamp(2, THREADS_MAX))
}

/// What `work` returns on each of so many threads, this one among them.
pub fn on_threads<T: Send>(count: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..count).map(|_| scope.spawn(&work)).collect();
        let mut done = vec![work()];
        for other in others {
            done.push(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    })
}

/// What one thread told.
#[derive(Default)]
struct Teller {
    gathered: GatheredPages,
    pools: Pools,
}

/// Deals that are told while others are still being taken in: by another thread, and by this one where that lags
/// behind. Given up, it ends by itself.
pub struct Ahead {
    ground: Arc<Ground>,
    ours: Teller,
    lots: SyncSender<Vec<DealToTell>>,
    other: JoinHandle<Teller>,
}

/// What is told of a deal: its current version.
pub struct DealToTell {
    pub number: DealRef,
    pub content: PackedDeal,
    /// When that was sent; None where it is the only one.
    pub sent_at: Option<Instant>,
    /// As it counts.
    pub lead: Option<PackedLead>,
}

// === impl Ahead ===

impl Ahead {
    pub fn begin(ground: Ground) -> Self {
        let ground = Arc::new(ground);
        let (lots, receiver) = sync_channel::<Vec<DealToTell>>(LOTS_AHEAD);
        let theirs = Arc::clone(&ground);
        let other = std::thread::spawn(move || {
            let mut teller = Teller::default();
            receiver.into_iter().for_each(|lot| teller.tell(&lot, &theirs));
            teller
        });
        Self { ground, ours: Teller::default(), lots, other }
    }

    pub fn tell(&mut self, lot: Vec<DealToTell>) {
        if let Err(TrySendError::Full(lot) | TrySendError::Disconnected(lot)) = self.lots.try_send(lot) {
            self.ours.tell(&lot, &self.ground);
        }
    }

    fn finish(self) -> [Teller; 2] {
        let Self { ours, lots, other, .. } = self;
        drop(lots);
        [ours, other.join().unwrap_or_else(|panic| resume_unwind(panic))]
    }
}

// === impl Book ===

impl Book {
    /// Tells all records of which the deals were told ahead: what is derived from them is there then.
    pub(super) fn tell_rest(&mut self, ahead: Ahead, thread_count: usize) {
        let mut tellers = Vec::from(ahead.finish());
        let ground = self.ground_of_records();
        let next = AtomicU32::new(shares_of(self.records.dictionary.deals.len())); // leads come after
        tellers.extend(on_threads(thread_count, || self.tell_shares(&ground, &next)));
        (self.pages, self.pools) = pages_of(tellers, thread_count);
        self.ground = ground;
        self.tell_few();
    }

    /// Tells what hangs on none of the many: trees, and spends by their days.
    pub(super) fn tell_few(&mut self) {
        self.grow_trees();
        self.spends = Spends::of(&self.records.dictionary, &self.records.spends);
    }

    /// What the records are told under.
    pub(super) fn ground_of_records(&self) -> Ground {
        let settings = self.records.settings.current().map(|kept| kept.content.clone());
        let mut ground = Ground { settings, ..Ground::default() };
        for (key, chain) in self.records.rates.chains() {
            ground.rates.set(*key, current_rate(chain));
        }
        ground
    }

    /// All of the book as it is told under `ground`.
    pub(super) fn tell_aside(&self, ground: Ground, thread_count: usize) -> Retell {
        let next = AtomicU32::new(0);
        let tellers = on_threads(thread_count, || self.tell_shares(&ground, &next));
        let (pages, pools) = pages_of(tellers, thread_count);
        Retell::Pages(ground, pages, Box::new(pools))
    }

    /// Takes shares of the records for as long as there are any left.
    fn tell_shares(&self, ground: &Ground, next: &AtomicU32) -> Teller {
        let mut teller = Teller { gathered: GatheredPages::default(), pools: self.pools.clone() };
        let dictionary = &self.records.dictionary;
        let (deal_count, lead_count) = (dictionary.deals.len(), dictionary.leads.len());
        loop {
            let share = next.fetch_add(1, Ordering::Relaxed);
            let numbers = |share: u32, count: usize| {
                share * SHARE_RECORDS..(count as u32).min((share + 1).saturating_mul(SHARE_RECORDS))
            };
            match share.checked_sub(shares_of(deal_count)) {
                None => {
                    let deals = numbers(share, deal_count).map(DealRef::new);
                    deals.for_each(|deal| teller.gather(&self.deal_told_under(deal, ground)));
                }
                Some(share) if share < shares_of(lead_count) => {
                    let leads = numbers(share, lead_count).map(LeadRef::new);
                    leads.for_each(|lead| teller.gather(&self.lead_told_under(lead, ground)));
                }
                Some(_) => return teller,
            }
        }
    }
}

/// Shares of so many records.
fn shares_of(count: usize) -> u32 {
    (count as u32).div_ceil(SHARE_RECORDS)
}

/// The pages of all that was told, and the numbers of what its rows share.
fn pages_of(tellers: Vec<Teller>, thread_count: usize) -> (Pages, Pools) {
    let mut tellers = tellers.into_iter();
    let Teller { gathered, mut pools } = tellers.next().unwrap_or_default();
    let mut parts = vec![(gathered, None)];
    parts.extend(tellers.map(|other| (other.gathered, Some(pools.adopt(&other.pools)))));
    (Pages::of_gathered(parts, thread_count), pools)
}

// === impl Teller ===

impl Teller {
    fn tell(&mut self, lot: &[DealToTell], ground: &Ground) {
        for DealToTell { number, content, sent_at, lead } in lot {
            self.gather(&deal_entries(*number, content, *sent_at, lead.as_ref(), ground));
        }
    }

    fn gather(&mut self, entries: &Entries) {
        for (pooled, entry) in self.pools.intern_each(entries) {
            self.gathered.add(pooled, entry);
        }
    }
}

// === impl Pools ===

impl Pools {
    /// Takes in what another interned, and tells the numbers that it has here.
    fn adopt(&mut self, theirs: &Self) -> Renumbered {
        fn adopt<T: Clone + Eq + std::hash::Hash>(
            ours: &mut Pool<T>,
            theirs: &Pool<T>,
        ) -> Vec<super::names::Ref<T>> {
            theirs.values().iter().map(|value| ours.intern(value)).collect()
        }
        let label_sets = adopt(&mut self.label_sets, &theirs.label_sets);
        let traits = theirs.traits.values().iter().map(|theirs| {
            self.traits.intern(&Traits { labels: label_sets[theirs.labels.index()], ..*theirs })
        });
        Renumbered {
            traits: traits.collect(),
            desks: adopt(&mut self.desks, &theirs.desks),
            odds: adopt(&mut self.odds, &theirs.odds),
        }
    }
}
