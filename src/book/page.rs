//! A page: what happened in one month, as rows and as sums.
//!
//! Invariants, checked by `Page::verify` in tests:
//! 1. Rows are strictly ordered by (slot, date, number, part, event), in chunks of at most [`CHUNK_ROWS`].
//! 2. An entry has one row for each of its shares. Where entries count once and whole, the row of the
//!    first share alone counts.
//! 3. `by_slot`, `by_desk`, `by_day` and `total` are the sums of the rows. `by_slot` holds
//!    what was sourced.

use std::collections::{BTreeMap, HashMap};

use smallvec::SmallVec;

use super::entry::{Entry, Event, RegionSource, Share, Slot, Value, measures, part};
use super::packed::{ChannelRef, TermRef};
use super::pools::{DeskRef, LabelSetRef};
use super::scope::Scope;
use crate::domain::amount::{Amount, BasisPoints, Currency};
use crate::domain::calendar::{Date, DateRange};
use crate::domain::premises::RatesOn;
use crate::domain::record::Role;
use crate::kpi::measures::Measures;

/// Under test few, so that small histories split chunks.
const CHUNK_ROWS: usize = if cfg!(test) { 4 } else { 256 };

/// More slots than these aren't looked up one by one only to find out how many rows they have.
const SLOTS_WEIGHED_MAX: usize = 16;

/// One share of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub slot: Slot,
    pub on: Date,
    /// The number of the deal or lead.
    pub of: u32,
    /// Which of the entry's shares it is.
    pub part: u8,
    pub event: Event,
    pub role: Role,
    /// Whether the entry has other shares: [`Sheet`] knows them.
    pub shared: bool,
    pub is_prospect: bool,
    pub other_on: Date,
    /// Of the whole deal.
    pub value: Value,
    pub desk: DeskRef,
    pub product: Option<TermRef>,
    pub channel: Option<ChannelRef>,
    pub region: RegionSource,
    pub labels: LabelSetRef,
}

/// What happened in one month.
#[derive(Default)]
pub struct Page {
    pub opened: Sheet,
    pub ended: Sheet,
    pub leads: Sheet,
    by_slot: BTreeMap<Slot, Measures>,
    by_desk: BTreeMap<DeskRef, Measures>,
    by_day: BTreeMap<Date, Measures>,
    /// Of the whole month.
    total: Measures,
}

/// Rows of one kind.
#[derive(Default)]
pub struct Sheet {
    rows: Rows,
    /// The shares of entries that have several, with the first row of each.
    shared: HashMap<(u32, Event), Shared>,
    /// Rows whose amount is in a foreign currency.
    foreign_row_count: usize,
}

struct Shared {
    shares: SmallVec<[Share; 1]>,
    first: Row,
}

type Key = (Slot, Date, u32, u8, Event);

// === impl Row ===

impl Row {
    fn key(&self) -> Key {
        (self.slot, self.on, self.of, self.part, self.event)
    }

    /// What the row's entry adds, once: its counts, and `amount` of money.
    pub fn measures(&self, amount: Option<Amount>) -> Measures {
        let measures = measures(self.event, self.on, self.other_on, self.is_prospect, amount);
        measures.by_channel(self.channel.is_some())
    }

    /// The shares of the row's entry.
    pub fn shares<'a>(&self, sheet: &'a Sheet, alone: &'a mut Option<Share>) -> &'a [Share] {
        // Most entries have one share: those aren't looked up.
        let shared = if self.shared { sheet.shared.get(&(self.of, self.event)) } else { None };
        match shared {
            Some(shared) => &shared.shares,
            None => std::slice::from_ref(alone.insert(self.whole_share())),
        }
    }

    /// The share of an entry that has no other.
    fn whole_share(&self) -> Share {
        Share { slot: self.slot, role: self.role, bps: BasisPoints::WHOLE }
    }
}

/// The counts of measures, without their amounts: what a shared entry adds once too often where several
/// of its shares are summed.
fn counts(mut measures: Measures) -> Measures {
    let Measures { opened, won, lost, expired, channel_won, .. } = &mut measures;
    for tally in [opened, won, lost, expired, channel_won] {
        tally.amount_e4 = 0;
    }
    measures
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

    pub fn insert(&mut self, desk: DeskRef, labels: LabelSetRef, entry: &Entry) {
        self.put(desk, labels, entry, Rows::insert);
    }

    /// As [`Self::insert`], for many into what was empty: nothing may be asked before [`Self::order`].
    pub fn gather(&mut self, desk: DeskRef, labels: LabelSetRef, entry: &Entry) {
        self.put(desk, labels, entry, Rows::gather);
    }

    pub fn order(&mut self) {
        for sheet in [&mut self.opened, &mut self.ended, &mut self.leads] {
            sheet.rows.order();
        }
    }

    fn put(&mut self, desk: DeskRef, labels: LabelSetRef, entry: &Entry, put: fn(&mut Rows, Row)) {
        let sheet = self.sheet_mut(entry.event);
        for row in rows_of(desk, labels, entry) {
            if row.shared && row.part == 0 {
                let shared = Shared { shares: entry.shares.clone(), first: row };
                sheet.shared.insert((row.of, row.event), shared);
            }
            sheet.foreign_row_count += usize::from(row.value.foreign_currency().is_some());
            put(&mut sheet.rows, row);
        }
        for (slot, measures) in sourced(entry) {
            *self.by_slot.entry(slot).or_default() += measures;
        }
        let whole = entry.measures(entry.value.amount());
        *self.by_desk.entry(desk).or_default() += whole;
        *self.by_day.entry(entry.on).or_default() += whole;
        self.total += whole;
    }

    /// Takes out what was inserted.
    pub fn remove(&mut self, desk: DeskRef, labels: LabelSetRef, entry: &Entry) {
        let sheet = self.sheet_mut(entry.event);
        for row in rows_of(desk, labels, entry) {
            sheet.rows.remove(&row);
            sheet.foreign_row_count -= usize::from(row.value.foreign_currency().is_some());
        }
        sheet.shared.remove(&(entry.of, entry.event));
        for (slot, measures) in sourced(entry) {
            subtract(&mut self.by_slot, slot, measures);
        }
        let whole = entry.measures(entry.value.amount());
        subtract(&mut self.by_desk, desk, whole);
        subtract(&mut self.by_day, entry.on, whole);
        self.total -= whole;
    }

    pub fn is_empty(&self) -> bool {
        self.sheets().into_iter().all(|sheet| sheet.rows.chunks.is_empty())
    }

    /// The sum over `dates` of this month of each entry, once and whole.
    pub fn tenant(&self, dates: DateRange) -> Measures {
        sum(self.by_day.range(dates.from..dates.to).map(|(_, measures)| *measures))
    }

    /// The month's sum of each entry, once and whole.
    pub fn whole_tenant(&self) -> Measures {
        self.total
    }

    /// The month's sum of each entry, once and whole, over desks.
    pub fn desks(&self, desks: &[DeskRef]) -> Measures {
        sum(desks.iter().filter_map(|desk| self.by_desk.get(desk)).copied())
    }

    /// The month's sum of the parts that slots sourced, each entry counting once. `slots` is sorted.
    pub fn slots(&self, slots: &[Slot]) -> Measures {
        let mut measures = sum(slots.iter().filter_map(|slot| self.by_slot.get(slot)).copied());
        if slots.len() > 1 {
            for shared in self.sheets().into_iter().flat_map(|sheet| sheet.shared.values()) {
                let is_inside =
                    |share: &&Share| share.role == Role::Sourced && slots.binary_search(&share.slot).is_ok();
                let once = counts(shared.first.measures(shared.first.value.amount()));
                for _ in 1..shared.shares.iter().filter(is_inside).count() {
                    measures -= once;
                }
            }
        }
        measures
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
            .filter_map(|row| row.value.foreign_currency().map(|currency| (row.of, currency, row.on)))
    }
}

// === impl Sheet ===

impl Sheet {
    /// The entries of a scope from `from` to `last`, once each, by one of their rows: with the part of the
    /// amount that falls to the scope.
    pub fn entries<'a>(
        &'a self,
        scope: &'a Scope,
        from: Date,
        last: Date,
    ) -> impl Iterator<Item = (&'a Row, Parts<'a>)> {
        // Uncredited rests that no rows are kept for may be of any deal.
        let by_slot = scope.slots.as_ref().filter(|_| !scope.asks_for_unkept_rest());
        let all = by_slot.is_none().then(|| self.rows.iter());
        let of_slots =
            by_slot.into_iter().flatten().flat_map(move |&slot| self.rows.of_slot(slot, from, last));
        let rows = all.into_iter().flatten().chain(of_slots);
        rows.filter(move |row| from <= row.on && row.on <= last).filter_map(move |row| {
            let mut alone = None;
            let shares = row.shares(self, &mut alone);
            let first_asked = || shares.iter().position(|share| scope.asks_for(share));
            let asks_for_any = || scope.with_unkept_rests(shares).iter().any(|share| scope.asks_for(share));
            let first = match (&scope.slots, by_slot) {
                (None, _) => 0,
                (Some(_), Some(_)) => first_asked()?,
                (Some(_), None) => asks_for_any().then_some(0)?,
            };
            let counts = usize::from(row.part) == first && scope.keeps(row, shares);
            counts.then_some((row, Parts { sheet: self, scope, row }))
        })
    }

    /// How many rows [`Self::entries`] looks at, at most.
    pub fn rows_read(&self, scope: &Scope, from: Date, last: Date) -> usize {
        match &scope.slots {
            Some(slots) if slots.len() <= SLOTS_WEIGHED_MAX && !scope.asks_for_unkept_rest() => {
                slots.iter().map(|&slot| self.rows.count_of_slot(slot, from, last)).sum()
            }
            _ => self.rows.chunks.len() * CHUNK_ROWS,
        }
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
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
        (!self.row.shared).then(|| self.row.whole_share())
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
        if self.scope.slots.is_none() {
            return whole;
        }
        let mut alone = None;
        let shares = self.scope.with_unkept_rests(self.row.shares(self.sheet, &mut alone));
        part(whole, &shares, |share| self.scope.asks_for(share))
    }
}

fn rows_of(desk: DeskRef, labels: LabelSetRef, entry: &Entry) -> impl Iterator<Item = Row> {
    (0u8..).zip(&entry.shares).map(move |(at, share)| Row {
        slot: share.slot,
        on: entry.on,
        of: entry.of,
        part: at,
        event: entry.event,
        role: share.role,
        shared: entry.shares.len() > 1,
        is_prospect: entry.is_prospect,
        other_on: entry.other_on,
        value: entry.value,
        desk,
        product: entry.traits.product,
        channel: entry.traits.channel,
        region: entry.traits.region,
        labels,
    })
}

/// What each slot sourced of an entry.
fn sourced(entry: &Entry) -> impl Iterator<Item = (Slot, Measures)> {
    let sourced = entry.shares.iter().filter(|share| share.role == Role::Sourced);
    sourced.map(|mine| {
        let is_mine = |share: &Share| share.role == Role::Sourced && share.slot == mine.slot;
        let amount = entry.value.amount().map(|whole| part(whole, &entry.shares, is_mine));
        (mine.slot, entry.measures(amount))
    })
}

fn sum(all: impl Iterator<Item = Measures>) -> Measures {
    all.fold(Measures::default(), |mut sum, measures| {
        sum += measures;
        sum
    })
}

fn subtract<K: Ord>(sums: &mut BTreeMap<K, Measures>, key: K, measures: Measures) {
    if let std::collections::btree_map::Entry::Occupied(mut sum) = sums.entry(key) {
        *sum.get_mut() -= measures;
        if *sum.get() == Measures::default() {
            sum.remove();
        }
    }
}

/// Rows in order, in chunks: putting one in or taking one out moves few others.
#[derive(Default)]
struct Rows {
    /// Ordered; none is empty.
    chunks: Vec<Vec<Row>>,
}

// === impl Rows ===

impl Rows {
    /// The chunk in which a row of `key` lies or would lie.
    fn chunk_of(&self, key: Key) -> usize {
        self.chunks.partition_point(|chunk| chunk[0].key() <= key).saturating_sub(1)
    }

    fn insert(&mut self, row: Row) {
        if self.chunks.is_empty() {
            self.chunks.push(vec![row]);
            return;
        }
        let mut at = self.chunk_of(row.key());
        if self.chunks[at].len() == CHUNK_ROWS {
            let rest = self.chunks[at].split_off(CHUNK_ROWS / 2);
            let goes_into_rest = rest[0].key() <= row.key();
            self.chunks.insert(at + 1, rest);
            at += usize::from(goes_into_rest);
        }
        let chunk = &mut self.chunks[at];
        let place = chunk.partition_point(|known| known.key() < row.key());
        debug_assert!(chunk.get(place).is_none_or(|known| known.key() != row.key()), "rows are strict");
        if chunk.len() == chunk.capacity() {
            // Doubled, but never to more than it may hold.
            chunk.reserve_exact(chunk.len().min(CHUNK_ROWS - chunk.len()));
        }
        chunk.insert(place, row);
    }

    /// Puts a row in out of order: [`Self::order`] follows.
    fn gather(&mut self, row: Row) {
        match self.chunks.first_mut() {
            Some(all) => all.push(row),
            None => self.chunks.push(vec![row]),
        }
    }

    /// Orders what was gathered, with room in each chunk for more.
    fn order(&mut self) {
        let mut all = self.chunks.pop().unwrap_or_default();
        all.sort_unstable_by_key(Row::key);
        self.chunks = all.chunks(CHUNK_ROWS * 3 / 4).map(<[Row]>::to_vec).collect();
    }

    fn remove(&mut self, row: &Row) {
        if self.chunks.is_empty() {
            return;
        }
        let at = self.chunk_of(row.key());
        let chunk = &mut self.chunks[at];
        if let Ok(place) = chunk.binary_search_by_key(&row.key(), Row::key) {
            chunk.remove(place);
        }
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Row> {
        self.chunks.iter().flatten()
    }

    /// How many rows of a slot there are from `from` to `last`, at most.
    fn count_of_slot(&self, slot: Slot, from: Date, last: Date) -> usize {
        if self.chunks.is_empty() {
            return 0;
        }
        let place = |key: Key, chunk: usize| {
            chunk * CHUNK_ROWS + self.chunks[chunk].partition_point(|row| row.key() < key)
        };
        let (least, end) = ((slot, from, 0, 0, Event::LEAST), (slot, last, u32::MAX, u8::MAX, Event::LEAST));
        place(end, self.chunk_of(end)).saturating_sub(place(least, self.chunk_of(least)))
    }

    /// The rows of a slot from `from` to `last`.
    fn of_slot(&self, slot: Slot, from: Date, last: Date) -> impl Iterator<Item = &Row> {
        let least = (slot, from, 0, 0, Event::LEAST);
        let chunk = if self.chunks.is_empty() { 0 } else { self.chunk_of(least) };
        let start = self.chunks.get(chunk).map_or(0, |chunk| chunk.partition_point(|row| row.key() < least));
        let rows = self.chunks[chunk..].iter().flatten().skip(start);
        rows.take_while(move |row| row.slot == slot && row.on <= last)
    }
}

#[cfg(test)]
impl Page {
    /// Checks the invariants against the rows alone.
    pub fn verify(&self) {
        let mut fresh = Page::default();
        for sheet in self.sheets() {
            let rows: Vec<&Row> = sheet.rows().collect();
            assert!(rows.windows(2).all(|pair| pair[0].key() < pair[1].key()), "rows are strictly ordered");
            assert!(sheet.rows.chunks.iter().all(|chunk| (1..=CHUNK_ROWS).contains(&chunk.len())));
            let foreign = rows.iter().filter(|row| row.value.foreign_currency().is_some()).count();
            assert_eq!(sheet.foreign_row_count, foreign);
            for row in rows {
                let mut alone = None;
                let shares = row.shares(sheet, &mut alone);
                assert_eq!(row.shared, shares.len() > 1);
                let mine = shares[if row.shared { usize::from(row.part) } else { 0 }];
                assert_eq!((mine.slot, mine.role), (row.slot, row.role));
                if row.role == Role::Sourced {
                    let is_mine = |share: &Share| share.role == Role::Sourced && share.slot == row.slot;
                    let amount = row.value.amount().map(|whole| part(whole, shares, is_mine));
                    *fresh.by_slot.entry(row.slot).or_default() += row.measures(amount);
                }
                if row.part == 0 {
                    let whole = row.measures(row.value.amount());
                    *fresh.by_desk.entry(row.desk).or_default() += whole;
                    *fresh.by_day.entry(row.on).or_default() += whole;
                }
            }
        }
        fn filled<K: Ord + Copy>(sums: &BTreeMap<K, Measures>) -> BTreeMap<K, Measures> {
            let is_filled = |(_, sum): &(&K, &Measures)| **sum != Measures::default();
            sums.iter().filter(is_filled).map(|(&key, &sum)| (key, sum)).collect()
        }
        assert_eq!(filled(&self.by_slot), filled(&fresh.by_slot), "by_slot");
        assert_eq!(filled(&self.by_desk), filled(&fresh.by_desk), "by_desk");
        assert_eq!(filled(&self.by_day), filled(&fresh.by_day), "by_day");
        assert_eq!(self.total, sum(fresh.by_day.values().copied()), "total");

        for sheet in self.sheets() {
            let shared_row_count = sheet.rows().filter(|row| row.shared).count();
            assert_eq!(
                sheet.shared.values().map(|shared| shared.shares.len()).sum::<usize>(),
                shared_row_count
            );
        }
        let amounts = |sums: &mut dyn Iterator<Item = &Measures>| {
            sums.fold([0; 4], |[opened, won, lost, expired], sum| {
                let Measures { opened: o, won: w, lost: l, expired: e, .. } = sum;
                [opened + o.amount_e4, won + w.amount_e4, lost + l.amount_e4, expired + e.amount_e4]
            })
        };
        let (parts, whole) = (amounts(&mut self.by_slot.values()), amounts(&mut self.by_day.values()));
        assert_eq!(parts, whole, "the parts and the uncredited rest add up");
    }

    /// All that the page holds, to be compared.
    pub fn contents(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let sheets = self.sheets().map(|sheet| {
            let shared: BTreeMap<_, _> =
                sheet.shared.iter().map(|(key, shared)| (*key, shared.shares.clone())).collect();
            (sheet.rows().copied().collect::<Vec<_>>(), shared, sheet.foreign_row_count)
        });
        let filled = |sum: &Measures| *sum != Measures::default();
        let by_slot: Vec<_> = self.by_slot.clone().into_iter().filter(|(_, sum)| filled(sum)).collect();
        let by_desk: Vec<_> = self.by_desk.clone().into_iter().filter(|(_, sum)| filled(sum)).collect();
        let by_day: Vec<_> = self.by_day.clone().into_iter().filter(|(_, sum)| filled(sum)).collect();
        (sheets, by_slot, by_desk, by_day)
    }
}
