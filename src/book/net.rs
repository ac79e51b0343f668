//! Nets: by how much the open deals of each slot and desk grew in a month, dense by number.
//!
//! What is open on a date is the sum of the nets before it: thirty-six months of twenty thousand partners are
//! read in a fraction of the time that walking the ends of all open deals takes.
//!
//! Invariant, checked by `Page::verify` in tests: a page's net is what its sums by slot and by desk say.

use super::entry::Slot;
use super::page::Page;
use super::pools::DeskRef;
use crate::kpi::measures::{Measures, Tally};

/// Opened less ended. What was sourced, for slots.
#[derive(Debug, Default)]
pub(super) struct Net {
    pub slots: Columns,
    pub desks: Columns,
}

/// By number. In columns, since most questions ask for the counts alone.
#[derive(Debug, Default)]
pub(super) struct Columns {
    counts: Vec<i32>,
    /// Of them, those whose amount is known, and their amounts.
    priced_counts: Vec<i32>,
    amounts_e4: Vec<i128>,
}

// === impl Net ===

impl Net {
    pub fn of(page: &Page) -> Self {
        let mut net = Self::default();
        page.each_slot().for_each(|(slot, measures)| net.add_slot(slot, measures));
        page.each_desk().for_each(|(desk, measures)| net.add_desk(desk, measures));
        net
    }

    /// What a partner sourced. The uncredited rest is nobody's.
    pub fn add_slot(&mut self, slot: Slot, measures: &Measures) {
        if let Some(partner) = slot {
            self.slots.add(partner.index(), &net_of(measures));
        }
    }

    pub fn add_desk(&mut self, desk: DeskRef, measures: &Measures) {
        self.desks.add(desk.index(), &net_of(measures));
    }
}

/// By how much the open deals grew.
pub(super) fn net_of(measures: &Measures) -> Tally {
    let mut net = measures.opened;
    for ended in [measures.won, measures.lost, measures.expired] {
        net -= ended;
    }
    net
}

// === impl Columns ===

impl Columns {
    fn add(&mut self, at: usize, net: &Tally) {
        if *net == Tally::default() {
            return;
        }
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
            self.priced_counts.resize(at + 1, 0);
            self.amounts_e4.resize(at + 1, 0);
        }
        // A month holds fewer deals of one than that: numbers of deals are 32 bits wide.
        self.counts[at] = self.counts[at].wrapping_add(net.count as i32);
        self.priced_counts[at] = self.priced_counts[at].wrapping_add(net.priced_count as i32);
        self.amounts_e4[at] += net.amount_e4;
    }

    /// The count of one.
    pub fn count(&self, at: usize) -> i64 {
        self.counts.get(at).copied().unwrap_or(0).into()
    }

    /// Adds the counts to those of the months before.
    pub fn add_counts_to(&self, sums: &mut Vec<i64>) {
        if sums.len() < self.counts.len() {
            sums.resize(self.counts.len(), 0);
        }
        sums.iter_mut().zip(&self.counts).for_each(|(sum, &count)| *sum += i64::from(count));
    }

    /// Adds counts and amounts to those of the months before.
    pub fn add_to(&self, sums: &mut Vec<Tally>) {
        if sums.len() < self.counts.len() {
            sums.resize(self.counts.len(), Tally::default());
        }
        let columns = self.counts.iter().zip(&self.priced_counts).zip(&self.amounts_e4);
        for (sum, ((&count, &priced_count), &amount_e4)) in sums.iter_mut().zip(columns) {
            *sum += Tally { count: count.into(), priced_count: priced_count.into(), amount_e4 };
        }
    }
}

#[cfg(test)]
impl Net {
    /// Whether both say the same of everyone.
    pub fn equals(&self, other: &Self) -> bool {
        let told = |columns: &Columns| {
            let mut sums = Vec::new();
            columns.add_to(&mut sums);
            while sums.pop_if(|last| *last == Tally::default()).is_some() {}
            sums
        };
        told(&self.slots) == told(&other.slots) && told(&self.desks) == told(&other.desks)
    }
}
