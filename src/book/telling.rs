//! Telling a whole book: all that is derived from its records, made at once.
//!
//! Several threads share the records out among themselves and gather what each contributes; months are then made
//! into pages, one by one, by whoever has time.

use std::sync::atomic::{AtomicU32, Ordering};

use super::contribute::{Entries, Ground};
use super::packed::{DealRef, LeadRef};
use super::page::Renumbered;
use super::pages::{GatheredPages, Pages};
use super::pools::{Pool, Pools, Traits};
use super::spends::Spends;
use super::{Book, Retell, current_rate};

/// Records that a thread takes at a time. Under test few, so that small histories are shared out.
const SHARE_RECORDS: u32 = if cfg!(test) { 2 } else { 8_192 };

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
            done.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    })
}

/// What one thread told.
struct Teller {
    gathered: GatheredPages,
    pools: Pools,
}

// === impl Book ===

impl Book {
    /// Tells all records: what is derived from them is there then.
    pub(super) fn tell_all(&mut self, thread_count: usize) {
        if let Retell::Pages(ground, pages, pools) = self.tell_aside(self.ground_of_records(), thread_count) {
            (self.ground, self.pages, self.pools) = (ground, pages, *pools);
        }
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
        let mut tellers = on_threads(thread_count, || self.tell_shares(&ground, &next)).into_iter();
        let Teller { gathered, mut pools } = tellers.next().expect("this thread told, too");
        let mut parts = vec![(gathered, None)];
        parts.extend(tellers.map(|other| (other.gathered, Some(pools.adopt(&other.pools)))));
        Retell::Pages(ground, Pages::of_gathered(parts), Box::new(pools))
    }

    /// Takes shares of the records for as long as there are any left.
    fn tell_shares(&self, ground: &Ground, next: &AtomicU32) -> Teller {
        let mut teller = Teller { gathered: GatheredPages::default(), pools: self.pools.clone() };
        let dictionary = &self.records.dictionary;
        let (deal_count, lead_count) = (dictionary.deals.len() as u32, dictionary.leads.len() as u32);
        let shares_of = |count: u32| count.div_ceil(SHARE_RECORDS);
        loop {
            let share = next.fetch_add(1, Ordering::Relaxed);
            let numbers = |share: u32, count: u32| {
                share * SHARE_RECORDS..count.min((share + 1).saturating_mul(SHARE_RECORDS))
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

// === impl Teller ===

impl Teller {
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
