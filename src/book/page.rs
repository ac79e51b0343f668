//! A page: what happened in one month, as rows and as sums.
//!
//! Invariants, checked by `Page::verify` in tests:
//! 1. Rows are strictly ordered by (slot, date, number, part, event), in chunks of at most [`CHUNK_ROWS`].
//! 2. An entry has one row for each of its shares. Where entries count once and whole, the row of the
//!    first share alone counts.
//! 3. `by_slot`, `by_desk`, `by_day` and `month` are the sums of the rows. `by_slot` holds what was sourced, of
//!    slots with many rows also by day: no question about a slot reads more than [`DAYS_FROM_ROWS`] rows of a page.

mod by_desk;
mod by_region;
mod gathered;
mod lasting;
mod row;
mod rows;
mod sheet;
mod together;
#[cfg(test)]
mod verify;
mod won;

use std::collections::{BTreeMap, btree_map};
use std::ops::RangeInclusive;
use std::sync::OnceLock;

use self::by_region::ByRegion;
use self::row::rows_of;
use self::rows::Rows;
use self::sheet::Shared;
use self::together::Together;
use self::won::WonByDesk;
use super::cycles::Cycles;
use super::entry::{Entry, Event, Happened, Share, Slot, part};
use super::fates::{Fate, Fates};
use super::lately::Lately;
use super::net::Net;
use super::pools::{DeskRef, Pooled, Pools};
use super::scope::{Desks, Regions};
use crate::domain::amount::{Amount, Currency};
use crate::domain::calendar::{Date, DateRange};
use crate::domain::premises::RatesOn;
use crate::domain::record::Role;
use crate::kpi::measures::Measures;

#[cfg(test)]
pub(super) use self::by_desk::ROWS_FOR_ONE;
pub use self::gathered::{Gathered, Renumbered};
pub use self::lasting::Lasting;
pub use self::row::Row;
pub use self::sheet::{Parts, Sheet};

/// Their 10,192 bytes fit an allocator's class of 10 KiB, where a few more would take 12. Under test few, so that small
/// histories split chunks.
const CHUNK_ROWS: usize = if cfg!(test) { 4 } else { 182 };

/// Slots with as many rows in a month have their sums by day too. Under test few, so that small histories do.
pub(super) const DAYS_FROM_ROWS: u32 = if cfg!(test) { 3 } else { 256 };

/// Sets of many desks whose sums a page keeps: each takes up to some hundred kilobytes. Under test few, so that some
/// are forgotten.
const SETS_MAX: usize = if cfg!(test) { 2 } else { 16 };

/// What happened in one month.
#[derive(Default)]
pub struct Page {
    pub opened: Sheet,
    pub ended: Sheet,
    pub leads: Sheet,
    by_slot: BTreeMap<Slot, SlotSums>,
    /// The slots with sums by day, sorted.
    slots_by_days: Vec<Slot>,
    by_desk: BTreeMap<DeskRef, Measures>,
    by_day: BTreeMap<Date, Measures>,
    /// Of all days.
    month: Measures,
    /// Told when it is first asked for, and kept from then on.
    net: OnceLock<Net>,
    fates: OnceLock<Fates>,
    cycles: OnceLock<Cycles>,
    won: OnceLock<WonByDesk>,
    lasting: OnceLock<Lasting>,
    by_region: OnceLock<ByRegion>,
    /// By sets of many desks.
    together: Lately<Together, SETS_MAX>,
}

/// What a slot sourced in a month.
#[derive(Default)]
struct SlotSums {
    month: Measures,
    /// Those that the slot sourced.
    row_count: u32,
    /// Of slots with [`DAYS_FROM_ROWS`] rows, or that had them.
    days: Option<BTreeMap<Date, Measures>>,
}

/// The counts of measures, without their amounts: what a shared entry adds once too often where several
/// of its shares are summed.
pub(super) fn counts(mut measures: Measures) -> Measures {
    let Measures { opened, won, lost, expired, channel_won, .. } = &mut measures;
    for tally in [opened, won, lost, expired, channel_won] {
        tally.amount_e4 = 0;
    }
    measures
}

/// What makes one the other where it is added.
fn changed(less: Measures, more: Measures) -> Measures {
    let mut change = more;
    change -= less;
    change
}

/// What takes measures out where it is added.
pub(super) fn negated(measures: Measures) -> Measures {
    let mut negated = Measures::default();
    negated -= measures;
    negated
}

// === impl SlotSums ===

impl SlotSums {
    fn lacks_days(&self) -> bool {
        self.days.is_none() && self.row_count >= DAYS_FROM_ROWS
    }

    fn add(&mut self, on: Date, measures: Measures) {
        self.month += measures;
        self.row_count += 1;
        if let Some(days) = &mut self.days {
            *days.entry(on).or_default() += measures;
        }
    }

    fn subtract(&mut self, on: Date, measures: Measures) {
        self.month -= measures;
        self.row_count -= 1;
        if let Some(days) = &mut self.days {
            subtract(days, on, measures);
        }
    }

    /// Of a row that stays.
    fn amend(&mut self, on: Date, change: Measures) {
        self.month += change;
        if let Some(days) = &mut self.days {
            *days.entry(on).or_default() += change;
        }
    }
}

// === impl Page ===

impl Page {
    fn sheet_mut(&mut self, event: Event) -> &mut Sheet {
        match event {
            Event::DealOpened(_) => &mut self.opened,
            Event::DealEnded(_) => &mut self.ended,
            _ => &mut self.leads,
        }
    }

    fn sheets(&self) -> [&Sheet; 3] {
        [&self.opened, &self.ended, &self.leads]
    }

    pub fn insert(&mut self, pooled: Pooled, entry: &Entry) {
        self.put(pooled, entry);
        for (slot, _) in sourced(entry) {
            if self.by_slot.get(&slot).is_some_and(SlotSums::lacks_days) {
                self.sum_days(slot);
            }
        }
    }

    /// Sums a slot by day, from its rows.
    fn sum_days(&mut self, slot: Slot) {
        let mut days = BTreeMap::<Date, Measures>::new();
        self.each_sourced(slot, Date::FIRST, Date::NEVER, |happened| {
            happened.add_to(days.entry(happened.on).or_default());
        });
        if let Some(sums) = self.by_slot.get_mut(&slot) {
            sums.days = Some(days);
            if let Err(at) = self.slots_by_days.binary_search(&slot) {
                self.slots_by_days.insert(at, slot);
            }
        }
    }

    /// Calls `add` with each event of what a slot sourced, from `from` to `last`.
    fn each_sourced(&self, slot: Slot, from: Date, last: Date, mut add: impl FnMut(Happened)) {
        for sheet in self.sheets() {
            for row in sheet.rows.of_slot(slot, from, last).filter(|row| row.role() == Role::Sourced) {
                add(row.happened(row.sourced_amount(sheet)));
            }
        }
    }

    fn put(&mut self, pooled: Pooled, entry: &Entry) {
        let sheet = self.sheet_mut(entry.event);
        for row in rows_of(pooled, entry) {
            if row.is_shared() && row.part == 0 {
                let shared = Shared { shares: entry.shares.clone(), first: row };
                sheet.shared.insert((row.of, row.event), shared);
            }
            sheet.foreign_row_count += usize::from(row.value().foreign_currency().is_some());
            sheet.note_desk(&row);
            sheet.rows.insert(row);
        }
        for (slot, measures) in sourced(entry) {
            self.by_slot.entry(slot).or_default().add(entry.on, measures);
        }
        let whole = entry.measures(entry.value.amount());
        self.note_beside(pooled, entry, whole, false);
        *self.by_desk.entry(pooled.desk).or_default() += whole;
        *self.by_day.entry(entry.on).or_default() += whole;
        self.month += whole;
    }

    /// Takes out what was inserted.
    pub fn remove(&mut self, pooled: Pooled, entry: &Entry) {
        let sheet = self.sheet_mut(entry.event);
        for row in rows_of(pooled, entry) {
            sheet.rows.remove(&row);
            sheet.forget_desk(&row);
            sheet.foreign_row_count -= usize::from(row.value().foreign_currency().is_some());
        }
        sheet.shared.remove(&(entry.of, entry.event));
        for (slot, measures) in sourced(entry) {
            if let btree_map::Entry::Occupied(mut sums) = self.by_slot.entry(slot) {
                sums.get_mut().subtract(entry.on, measures);
                if sums.get().row_count == 0 {
                    sums.remove();
                    self.slots_by_days.retain(|with_days| *with_days != slot);
                }
            }
        }
        let whole = entry.measures(entry.value.amount());
        self.note_beside(pooled, entry, whole, true);
        subtract(&mut self.by_desk, pooled.desk, whole);
        subtract(&mut self.by_day, entry.on, whole);
        self.month -= whole;
    }

    /// Keeps what was told of the page when it was first asked for beside the sums.
    fn note_beside(&mut self, pooled: Pooled, entry: &Entry, whole: Measures, is_taken_out: bool) {
        let desk = pooled.desk;
        if let Some(net) = self.net.get_mut() {
            let signed = |measures: Measures| if is_taken_out { negated(measures) } else { measures };
            sourced(entry).for_each(|(slot, measures)| net.add_slot(slot, &signed(measures)));
            net.add_desk(desk, &signed(whole));
        }
        let count = if is_taken_out { -1 } else { 1 };
        if let Some(fates) = self.fates.get_mut() {
            fates.note(desk, entry, count);
        }
        if let Some(cycles) = self.cycles.get_mut() {
            cycles.note(entry, count);
        }
        if let Some(won) = self.won.get_mut() {
            won.note(desk, entry, is_taken_out);
        }
        if let Some(lasting) = self.lasting.get_mut() {
            lasting.note(pooled, entry, is_taken_out);
        }
        let signed = if is_taken_out { negated(whole) } else { whole };
        if let Some(by_region) = self.by_region.get_mut() {
            by_region.note(entry, signed, count);
        }
        let with_desk = self.together.iter_mut().filter(|(desks, _)| desks.contains(desk));
        with_desk.for_each(|(_, together)| together.note(entry, signed, count));
    }

    /// What happened in the regions that a question asks for.
    pub(super) fn by_region(&self, regions: &Regions, pools: &Pools) -> Option<&ByRegion> {
        let told = self.by_region.get_or_init(|| ByRegion::of(self, &regions.of_partners, pools));
        Some(told).filter(|told| told.is_told_by(regions))
    }

    /// Once a partner has another region.
    pub fn forget_regions(&mut self) {
        self.by_region.take();
    }

    /// What became of the prospects that came in this month.
    pub(super) fn fates(&self) -> &Fates {
        self.fates.get_or_init(|| Fates::of(self))
    }

    /// In how many days deals were won in this month.
    pub(super) fn cycles(&self) -> &Cycles {
        self.cycles.get_or_init(|| Cycles::of(self))
    }

    /// The deals won in this month, at the rates of their own days.
    pub fn won(&self) -> &WonByDesk {
        self.won.get_or_init(|| WonByDesk::of(self))
    }

    /// The deals that end in this month, where that says all of them on a date before it.
    pub fn lasting_on(&self, on: Date) -> Option<&Lasting> {
        Some(self.lasting.get_or_init(|| Lasting::of(self))).filter(|lasting| lasting.is_told_on(on))
    }

    /// By how much the open deals of each grew in this month.
    pub(super) fn net(&self) -> &Net {
        self.net.get_or_init(|| Net::of(self))
    }

    /// The month's sums of what each slot sourced, each entry counting once for each of its slots.
    pub fn each_slot(&self) -> impl Iterator<Item = (Slot, &Measures)> {
        self.by_slot.iter().map(|(&slot, sums)| (slot, &sums.month))
    }

    /// The sums over some days of what slots with many rows sourced, each entry counting once for each of its slots.
    pub fn each_slot_by_days(&self, days: &RangeInclusive<Date>) -> impl Iterator<Item = (Slot, Measures)> {
        let dates = DateRange { from: *days.start(), to: days.end().next() };
        self.slots_by_days.iter().map(move |&slot| (slot, self.slot(slot, dates, false)))
    }

    /// Calls `take` with the rows on some days of what the other slots sourced, each with its slot's part of the
    /// amount.
    pub fn each_other_sourced(
        &self,
        sheet: &Sheet,
        days: &RangeInclusive<Date>,
        mut take: impl FnMut(&Row, Option<Amount>),
    ) {
        let rows = sheet.rows.within_of_others(*days.start(), *days.end(), &self.slots_by_days);
        rows.filter(|row| row.role() == Role::Sourced).for_each(|row| take(row, row.sourced_amount(sheet)));
    }

    /// The month's sums of each entry, once and whole, by its desk.
    pub fn each_desk(&self) -> impl Iterator<Item = (DeskRef, &Measures)> {
        self.by_desk.iter().map(|(&desk, measures)| (desk, measures))
    }

    /// The entries of several shares, by the first row of each.
    pub fn each_shared(&self) -> impl Iterator<Item = (&Row, &[Share])> {
        self.sheets().into_iter().flat_map(Sheet::each_shared)
    }

    /// Puts an entry where another lies that has the same rows but for what they say: no row moves.
    pub fn amend(&mut self, was: (Pooled, &Entry), now: (Pooled, &Entry)) {
        let ((pooled_before, before), (pooled, entry)) = (was, now);
        let sheet = self.sheet_mut(entry.event);
        for row in rows_of(pooled, entry) {
            if row.is_shared() && row.part == 0 {
                let shared = Shared { shares: entry.shares.clone(), first: row };
                sheet.shared.insert((row.of, row.event), shared);
            }
            let Some(known) = sheet.rows.get_mut(row.key()) else { continue };
            let before = std::mem::replace(known, row);
            if before.desk != row.desk {
                sheet.forget_desk(&before);
                sheet.note_desk(&row);
            }
            sheet.foreign_row_count += usize::from(row.value().foreign_currency().is_some());
            sheet.foreign_row_count -= usize::from(before.value().foreign_currency().is_some());
        }
        for ((slot, less), (_, more)) in sourced(before).zip(sourced(entry)) {
            if less != more {
                self.by_slot.entry(slot).or_default().amend(entry.on, changed(less, more));
            }
        }
        let (less, more) = (before.measures(before.value.amount()), entry.measures(entry.value.amount()));
        self.note_beside(pooled_before, before, less, true);
        self.note_beside(pooled, entry, more, false);
        if pooled_before.desk != pooled.desk {
            subtract(&mut self.by_desk, pooled_before.desk, less);
            *self.by_desk.entry(pooled.desk).or_default() += more;
        }
        if less != more {
            let change = changed(less, more);
            self.month += change;
            *self.by_day.entry(entry.on).or_default() += change;
            if pooled_before.desk == pooled.desk {
                *self.by_desk.entry(pooled.desk).or_default() += change;
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.sheets().into_iter().all(|sheet| sheet.rows.is_empty())
    }

    /// The sum over `dates` of this month of each entry, once and whole.
    pub fn tenant(&self, dates: DateRange) -> Measures {
        sum(self.by_day.range(dates.from..dates.to).map(|(_, measures)| *measures))
    }

    /// The same over the whole month.
    pub fn whole_tenant(&self) -> Measures {
        self.month
    }

    /// The sum over `dates` of each entry of some desks, once and whole. None where their rows are quicker read.
    pub fn desks(&self, desks: &Desks, dates: DateRange, is_whole: bool) -> Option<Measures> {
        if is_whole {
            return Some(sum(desks.iter().filter_map(|desk| self.by_desk.get(&desk)).copied()));
        }
        self.have_many(desks).then(|| self.together.of(desks).measures(self, desks, dates))
    }

    /// What became by `as_of` of the prospects that came to some desks on some days, or, without, on all. None where their rows are quicker
    /// read.
    pub(super) fn fate_of_desks(
        &self,
        desks: &Desks,
        days: Option<RangeInclusive<Date>>,
        as_of: Date,
    ) -> Option<Fate> {
        self.have_many(desks).then(|| self.together.of(desks).fate(self, desks, days, as_of))
    }

    /// Whether some desks have so many rows that they aren't read one by one.
    fn have_many(&self, desks: &Desks) -> bool {
        self.sheets().into_iter().any(|sheet| sheet.has_many_of(desks))
    }

    /// Whether [`Self::desks`] is told from sums for any dates, without telling these first.
    pub fn has_sums_of(&self, desks: &Desks) -> bool {
        self.together.kept(desks).is_some_and(|together| together.has_days())
    }

    /// The sum over `dates` of the parts that slots sourced, each entry counting once. `slots` is sorted.
    pub fn slots(&self, slots: &[Slot], dates: DateRange, is_whole: bool) -> Measures {
        let mut measures = sum(slots.iter().map(|&slot| self.slot(slot, dates, is_whole)));
        if slots.len() > 1 {
            for shared in self.sheets().into_iter().flat_map(|sheet| sheet.shared.values()) {
                if !dates.contains(shared.first.on) {
                    continue;
                }
                let is_inside =
                    |share: &&Share| share.role == Role::Sourced && slots.binary_search(&share.slot).is_ok();
                let once = counts(shared.first.measures(shared.first.value().amount()));
                for _ in 1..shared.shares.iter().filter(is_inside).count() {
                    measures -= once;
                }
            }
        }
        measures
    }

    /// How many rows a slot sourced, or, without one, about how many ends the page has.
    pub fn row_count(&self, slot: Option<Slot>) -> u32 {
        match slot {
            Some(slot) => self.by_slot.get(&slot).map_or(0, |sums| sums.row_count),
            None => (self.ended.rows.count_at_most() / 2) as u32,
        }
    }

    /// The sum over `dates` of what a slot sourced.
    fn slot(&self, slot: Slot, dates: DateRange, is_whole: bool) -> Measures {
        let Some(sums) = self.by_slot.get(&slot) else { return Measures::default() };
        match &sums.days {
            _ if is_whole => sums.month,
            Some(days) => sum(days.range(dates.from..dates.to).map(|(_, measures)| *measures)),
            None => {
                let mut measures = Measures::default();
                let last = dates.to.plus_days(-1);
                self.each_sourced(slot, dates.from, last, |happened| happened.add_to(&mut measures));
                measures
            }
        }
    }

    /// Whether an amount is in a foreign currency: of an end, or, at another day's rates, any.
    pub fn has_foreign(&self, rates: RatesOn) -> bool {
        self.ended.foreign_row_count > 0 || (rates != RatesOn::OwnDay && self.opened.foreign_row_count > 0)
    }

    /// The deals of rows whose amount is, or would be, converted from another currency: with it and the
    /// day.
    pub fn foreign_deals(&self) -> impl Iterator<Item = (u32, Currency, Date)> {
        let foreign = [&self.opened, &self.ended].into_iter().filter(|sheet| sheet.foreign_row_count > 0);
        foreign
            .flat_map(|sheet| sheet.rows.iter())
            .filter_map(|row| row.value().foreign_currency().map(|currency| (row.of, currency, row.on)))
    }
}

/// What each slot sourced of an entry.
fn sourced(entry: &Entry) -> impl Iterator<Item = (Slot, Measures)> {
    let sourced = entry.shares.iter().filter(|share| share.role == Role::Sourced);
    sourced.map(|mine| {
        let amount = entry.value.amount().map(|whole| sourced_part(whole, &entry.shares, mine.slot));
        (mine.slot, entry.measures(amount))
    })
}

/// What a slot sourced of a whole amount.
fn sourced_part(whole: Amount, shares: &[Share], slot: Slot) -> Amount {
    part(whole, shares, |share| share.role == Role::Sourced && share.slot == slot)
}

fn sum(all: impl Iterator<Item = Measures>) -> Measures {
    all.fold(Measures::default(), |mut sum, measures| {
        sum += measures;
        sum
    })
}

fn subtract<K: Ord>(sums: &mut BTreeMap<K, Measures>, key: K, measures: Measures) {
    if let btree_map::Entry::Occupied(mut sum) = sums.entry(key) {
        *sum.get_mut() -= measures;
        if *sum.get() == Measures::default() {
            sum.remove();
        }
    }
}
