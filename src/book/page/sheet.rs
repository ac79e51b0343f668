//! A sheet: the rows of one kind on a page, and which of them a scope picks.

use std::sync::OnceLock;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::by_desk::{ByDesk, ROWS_FOR_ONE};
use super::rows::Rows;
use super::{Row, sourced_part};
use crate::book::entry::{Event, Share, part};
use crate::book::pools::Pools;
use crate::book::scope::{Desks, Scope};
use crate::domain::amount::Amount;
use crate::domain::calendar::Date;

/// More slots than these aren't looked up one by one only to find out how many rows they have.
const SLOTS_WEIGHED_MAX: usize = 16;

/// Rows of one kind.
#[derive(Default)]
pub struct Sheet {
    pub(super) rows: Rows,
    /// The shares of entries that have several, with the first row of each.
    pub(super) shared: HashMap<(u32, Event), Shared>,
    /// Rows whose amount is in a foreign currency.
    pub(super) foreign_row_count: usize,
    /// Told when few desks are first asked for. None where it can't be.
    pub(super) by_desk: OnceLock<Option<ByDesk>>,
}

pub(super) struct Shared {
    pub(super) shares: SmallVec<[Share; 1]>,
    pub(super) first: Row,
}
// === impl Sheet ===

impl Sheet {
    /// The entries of a scope from `from` to `last`, once each, by one of their rows: with the part of the
    /// amount that falls to the scope.
    pub fn entries<'a>(
        &'a self,
        pools: &'a Pools,
        scope: &'a Scope,
        from: Date,
        last: Date,
    ) -> impl Iterator<Item = (&'a Row, Parts<'a>)> {
        // Uncredited rests that no rows are kept for may be of any deal.
        let by_slot = scope.slots.as_ref().filter(|_| !scope.asks_for_unkept_rest());
        let of_desks = scope.desks.as_ref().filter(|_| by_slot.is_none());
        let of_desks =
            of_desks.and_then(|desks| Some(self.places_of(desks)?.rows(&self.rows, desks, from, last)));
        let all = (by_slot.is_none() && of_desks.is_none()).then(|| self.rows.within(from, last));
        let of_slots =
            by_slot.into_iter().flatten().flat_map(move |&slot| self.rows.of_slot(slot, from, last));
        let rows = all.into_iter().flatten().chain(of_desks.into_iter().flatten()).chain(of_slots);
        rows.filter(move |row| {
            from <= row.on && row.on <= last && self.counts(row, by_slot.is_some(), pools, scope)
        })
        .map(move |row| (row, Parts { sheet: self, scope, row }))
    }

    /// Whether a row stands for its entry in a scope: it is the first of its rows there.
    #[inline]
    fn counts(&self, row: &Row, by_slot: bool, pools: &Pools, scope: &Scope) -> bool {
        if scope.slots.is_none() && scope.test.is_none() {
            return row.part == 0 && scope.is_at_desk(row); // whoever has shares in it
        }
        let mut alone = None;
        let shares = row.shares(self, &mut alone);
        let is_first = match &scope.slots {
            None => row.part == 0,
            Some(_) if by_slot && !row.is_shared() => scope.roles.contains(row.role()),
            Some(_) if by_slot => {
                shares.iter().position(|share| scope.asks_for(share)) == Some(row.part.into())
            }
            Some(_) => {
                row.part == 0 && scope.with_unkept_rests(shares).iter().any(|share| scope.asks_for(share))
            }
        };
        is_first && scope.keeps(row, shares, pools)
    }

    /// The entries of several shares, by the first row of each.
    pub fn each_shared(&self) -> impl Iterator<Item = (&Row, &[Share])> {
        self.shared.values().map(|shared| (&shared.first, shared.shares.as_slice()))
    }

    /// How many rows [`Self::entries`] looks at, at most.
    pub fn rows_read(&self, scope: &Scope, from: Date, last: Date) -> usize {
        match &scope.slots {
            Some(slots) if slots.len() <= SLOTS_WEIGHED_MAX && !scope.asks_for_unkept_rest() => {
                slots.iter().map(|&slot| self.rows.count_of_slot(slot, from, last)).sum()
            }
            _ => {
                let all = self.rows.count_at_most();
                let few = scope.desks.as_ref().filter(|desks| scope.slots.is_none() && desks.are_few());
                // Where it isn't told yet, telling it reads all.
                let told = few.zip(self.by_desk.get().and_then(Option::as_ref));
                told.map_or(all, |(desks, by_desk)| all.min(by_desk.count(desks) * ROWS_FOR_ONE))
            }
        }
    }

    /// Where the entries of some desks lie, if they are so few that to find one after the other is quicker than to
    /// read all rows.
    fn places_of(&self, desks: &Desks) -> Option<&ByDesk> {
        if !desks.are_few() {
            return None;
        }
        let told = self.by_desk.get_or_init(|| ByDesk::of(&self.rows)).as_ref()?;
        (told.count(desks) * ROWS_FOR_ONE <= self.rows.count_at_most()).then_some(told)
    }

    /// Whether all rows are read where only those of some desks are asked for.
    pub fn has_many_of(&self, desks: &Desks) -> bool {
        self.places_of(desks).is_none()
    }

    /// Keeps the places of desks, where they were told, with a row that comes.
    pub(super) fn note_desk(&mut self, row: &Row) {
        if row.part == 0
            && let Some(told) = self.by_desk.get_mut()
            && let Some(by_desk) = told
            && !by_desk.insert(row)
        {
            *told = None;
        }
    }

    /// The same with a row that goes.
    pub(super) fn forget_desk(&mut self, row: &Row) {
        if row.part == 0
            && let Some(Some(by_desk)) = self.by_desk.get_mut()
        {
            by_desk.remove(row);
        }
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &Row> + Clone {
        self.rows.iter()
    }
}

/// The part of an entry that falls to a scope.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    sheet: &'a Sheet,
    scope: &'a Scope,
    row: &'a Row,
}

// === impl Parts ===

impl Parts<'_> {
    /// The share of an entry that has no other: its part of any amount is the whole.
    pub fn only_share(&self) -> Option<Share> {
        (!self.row.is_shared()).then(|| self.row.whole_share())
    }

    /// All shares of the entry.
    pub fn with_shares<T>(&self, ask: impl FnOnce(&[Share]) -> T) -> T {
        let mut alone = None;
        ask(self.row.shares(self.sheet, &mut alone))
    }

    /// The part of a whole amount that falls to those of the scope's shares that `is_asked` picks.
    pub fn of_those(&self, whole: Amount, is_asked: impl Fn(&Share) -> bool) -> Amount {
        self.with_shares(|shares| part(whole, shares, |share| self.scope.asks_for(share) && is_asked(share)))
    }

    /// The shares that the scope asks for.
    pub fn asks_for(&self, share: &Share) -> bool {
        self.scope.asks_for(share)
    }

    /// The scope's part of a whole amount.
    pub fn of(&self, whole: Amount) -> Amount {
        let is_alone = !self.row.is_shared() && !self.scope.asks_for_unkept_rest();
        if self.scope.slots.is_none() || is_alone {
            return whole;
        }
        let mut alone = None;
        let shares = self.scope.with_unkept_rests(self.row.shares(self.sheet, &mut alone));
        part(whole, &shares, |share| self.scope.asks_for(share))
    }
}

impl Row {
    /// Of a row of what was sourced: its slot's part of the amount.
    #[inline]
    pub(super) fn sourced_amount(&self, sheet: &Sheet) -> Option<Amount> {
        let whole = self.value().amount()?;
        if !self.is_shared() {
            return Some(whole);
        }
        let mut alone = None;
        Some(sourced_part(whole, self.shares(sheet, &mut alone), self.slot))
    }
}
