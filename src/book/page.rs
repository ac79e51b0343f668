//! A page: what ended in one month, as rows and as sums.
//!
//! Invariants, checked by `Page::verify` in tests:
//! 1. Rows are strictly ordered by (partner, date, deal), in chunks of at most [`CHUNK_ROWS`].
//! 2. A deal has one row for each partner that sourced it and one for the uncredited rest, in the order of
//!    its parts; the first of them alone counts where each deal counts once and whole.
//! 3. `by_partner`, `by_desk` and `by_day` are the sums of the rows, and hold no empty sums.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use super::contribute::{Ended, Outcome, Part, Value};
use super::names::Ref;
use super::packed::{DealRef, PartnerRef};
use crate::domain::amount::{Amount, Currency};
use crate::domain::calendar::{Date, DateRange};
use crate::kpi::measures::{Measures, Tally};

/// Under test few, so that small histories split chunks.
const CHUNK_ROWS: usize = if cfg!(test) { 4 } else { 256 };

/// Marks the numbers of desks.
#[derive(Debug)]
pub enum DeskKind {}

/// The number of a desk: an owner with the unit that deals were sent with, or none.
pub type DeskRef = Ref<DeskKind>;

/// Whose row it is: a partner's, or the uncredited rest. The rest sorts first.
pub type Slot = Option<PartnerRef>;

/// The end of a deal, for one of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub slot: Slot,
    pub on: Date,
    pub deal: DealRef,
    pub desk: DeskRef,
    pub outcome: Outcome,
    /// Of the whole deal.
    pub value: Value,
    /// Whether it is the deal's first row: where deals count once and whole, it alone counts.
    pub first: bool,
    /// Whether the deal has other rows: what this one's part is, [`Page`] knows.
    pub shared: bool,
}

/// What ended in one month.
#[derive(Default)]
pub struct Page {
    rows: Rows,
    by_partner: BTreeMap<Slot, Measures>,
    by_desk: BTreeMap<DeskRef, Measures>,
    by_day: BTreeMap<Date, Measures>,
    /// The parts of deals that have several.
    shared: HashMap<DealRef, (Outcome, Vec<Part>)>,
    /// Rows whose amount is in a foreign currency.
    foreign_row_count: usize,
}

// === impl Row ===

impl Row {
    fn key(&self) -> (Slot, Date, DealRef) {
        (self.slot, self.on, self.deal)
    }
}

/// What one deal of an outcome and amount adds.
fn measures_of(outcome: Outcome, amount: Option<Amount>) -> Measures {
    let tally = Tally {
        count: 1,
        priced_count: i64::from(amount.is_some()),
        amount_e4: amount.map_or(0, |amount| i128::from(amount.e4())),
    };
    match outcome {
        Outcome::Won => Measures { won: tally, ..Measures::default() },
        Outcome::Lost => Measures { lost: tally, ..Measures::default() },
        Outcome::LostToCompetitor => {
            Measures { lost: tally, lost_to_competitor_count: 1, ..Measures::default() }
        }
        Outcome::Expired => Measures { expired: tally, ..Measures::default() },
    }
}

/// The same without the amount: what a deal adds once too often where several of its parts are summed.
fn count_of(outcome: Outcome, priced: bool) -> Measures {
    let mut measures = measures_of(outcome, priced.then_some(Amount::ZERO));
    for tally in [&mut measures.won, &mut measures.lost, &mut measures.expired] {
        tally.amount_e4 = 0;
    }
    measures
}

// === impl Page ===

impl Page {
    pub fn insert(&mut self, deal: DealRef, desk: DeskRef, ended: &Ended) {
        for row in rows_of(deal, desk, ended) {
            self.rows.insert(row);
            self.foreign_row_count += usize::from(row.value.foreign_currency().is_some());
        }
        for part in &ended.parts {
            *self.by_partner.entry(part.partner).or_default() += measures_of(ended.outcome, part.amount);
        }
        let whole = measures_of(ended.outcome, ended.value.amount());
        *self.by_desk.entry(desk).or_default() += whole;
        *self.by_day.entry(ended.on).or_default() += whole;
        if ended.parts.len() > 1 {
            self.shared.insert(deal, (ended.outcome, ended.parts.to_vec()));
        }
    }

    /// Takes out what was inserted. The deal contributed exactly this.
    pub fn remove(&mut self, deal: DealRef, desk: DeskRef, ended: &Ended) {
        for row in rows_of(deal, desk, ended) {
            self.rows.remove(&row);
            self.foreign_row_count -= usize::from(row.value.foreign_currency().is_some());
        }
        for part in &ended.parts {
            subtract(&mut self.by_partner, part.partner, measures_of(ended.outcome, part.amount));
        }
        let whole = measures_of(ended.outcome, ended.value.amount());
        subtract(&mut self.by_desk, desk, whole);
        subtract(&mut self.by_day, ended.on, whole);
        self.shared.remove(&deal);
    }

    pub fn is_empty(&self) -> bool {
        self.by_desk.is_empty()
    }

    /// The sum over `dates` of this month of each deal, once and whole.
    pub fn tenant(&self, dates: DateRange) -> Measures {
        sum(self.by_day.range(dates.from..dates.to).map(|(_, measures)| *measures))
    }

    /// The month's sum of each deal, once and whole, over desks.
    pub fn desks(&self, desks: &[DeskRef]) -> Measures {
        sum(desks.iter().filter_map(|desk| self.by_desk.get(desk)).copied())
    }

    /// The month's sum of the parts of partners, each deal counting once. `partners` is sorted.
    pub fn partners(&self, partners: &[PartnerRef]) -> Measures {
        let mut measures =
            sum(partners.iter().filter_map(|&partner| self.by_partner.get(&Some(partner))).copied());
        if partners.len() > 1 {
            for (outcome, parts) in self.shared.values() {
                let mut inside = parts.iter().filter(|part| is_among(part.partner, partners));
                if let Some(first) = inside.next() {
                    for _ in inside {
                        measures -= count_of(*outcome, first.amount.is_some());
                    }
                }
            }
        }
        measures
    }

    /// What a partner's row adds to the sum over `partners`, which hold it.
    pub fn part_of(&self, row: &Row, partners: &[PartnerRef]) -> Measures {
        if !row.shared {
            return measures_of(row.outcome, row.value.amount());
        }
        let (_, parts) = &self.shared[&row.deal];
        let mut inside = parts.iter().filter(|part| is_among(part.partner, partners)).peekable();
        let is_first = inside.peek().is_some_and(|part| part.partner == row.slot);
        let amount = inside.find(|part| part.partner == row.slot).and_then(|part| part.amount);
        let mut measures = measures_of(row.outcome, amount);
        if !is_first {
            measures -= count_of(row.outcome, amount.is_some());
        }
        measures
    }

    /// What a row adds where each deal counts once and whole.
    pub fn whole_of(&self, row: &Row) -> Measures {
        if row.first { measures_of(row.outcome, row.value.amount()) } else { Measures::default() }
    }

    /// The rows of a partner within `dates`.
    pub fn rows_of_partner(&self, partner: PartnerRef, dates: DateRange) -> impl Iterator<Item = &Row> {
        let least = (Some(partner), dates.from, Ref::new(0));
        let last = (Some(partner), dates.to.plus_days(-1), Ref::new(u32::MAX));
        self.rows.range(least..=last)
    }

    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }

    /// Whether any amount of the month is in a foreign currency.
    pub fn has_foreign_rows(&self) -> bool {
        self.foreign_row_count > 0
    }

    /// The deals whose value depends on a rate between the reporting currency and another, with that
    /// currency and the date of the rate that they need.
    pub fn foreign_deals(&self) -> impl Iterator<Item = (DealRef, Currency, Date)> {
        let rows = self.has_foreign_rows().then(|| self.rows.iter());
        rows.into_iter()
            .flatten()
            .filter(|row| row.first)
            .filter_map(|row| row.value.foreign_currency().map(|currency| (row.deal, currency, row.on)))
    }
}

fn rows_of(deal: DealRef, desk: DeskRef, ended: &Ended) -> impl Iterator<Item = Row> {
    ended.parts.iter().enumerate().map(move |(at, part)| Row {
        slot: part.partner,
        on: ended.on,
        deal,
        desk,
        outcome: ended.outcome,
        value: ended.value,
        first: at == 0,
        shared: ended.parts.len() > 1,
    })
}

fn is_among(slot: Slot, partners: &[PartnerRef]) -> bool {
    slot.is_some_and(|partner| partners.binary_search(&partner).is_ok())
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
    fn chunk_of(&self, key: (Slot, Date, DealRef)) -> usize {
        self.chunks.partition_point(|chunk| chunk[0].key() <= key).saturating_sub(1)
    }

    fn insert(&mut self, row: Row) {
        if self.chunks.is_empty() {
            self.chunks.push(vec![row]);
            return;
        }
        let at = self.chunk_of(row.key());
        let chunk = &mut self.chunks[at];
        let place = chunk.partition_point(|known| known.key() < row.key());
        debug_assert!(chunk.get(place).is_none_or(|known| known.key() != row.key()), "rows are strict");
        chunk.insert(place, row);
        if chunk.len() > CHUNK_ROWS {
            let rest = chunk.split_off(CHUNK_ROWS / 2);
            self.chunks.insert(at + 1, rest);
        }
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

    fn range(&self, keys: RangeInclusive<(Slot, Date, DealRef)>) -> impl Iterator<Item = &Row> {
        let from = if self.chunks.is_empty() { 0 } else { self.chunk_of(*keys.start()) };
        let start =
            self.chunks.get(from).map_or(0, |chunk| chunk.partition_point(|row| row.key() < *keys.start()));
        let last = *keys.end();
        self.chunks[from..].iter().flatten().skip(start).take_while(move |row| row.key() <= last)
    }
}

#[cfg(test)]
impl Page {
    /// Checks the invariants against the rows alone.
    pub fn verify(&self) {
        let rows: Vec<&Row> = self.rows().collect();
        assert!(rows.windows(2).all(|pair| pair[0].key() < pair[1].key()), "rows are strictly ordered");
        assert!(self.rows.chunks.iter().all(|chunk| (1..=CHUNK_ROWS).contains(&chunk.len())));
        let mut fresh = Page::default();
        for row in rows {
            let parts = self.shared.get(&row.deal).map(|(_, parts)| parts);
            let amount = match parts {
                Some(parts) => {
                    assert!(row.shared);
                    assert_eq!(row.first, parts[0].partner == row.slot);
                    parts.iter().find(|part| part.partner == row.slot).unwrap().amount
                }
                None => {
                    assert!(row.first && !row.shared);
                    row.value.amount()
                }
            };
            *fresh.by_partner.entry(row.slot).or_default() += measures_of(row.outcome, amount);
            if row.first {
                let whole = measures_of(row.outcome, row.value.amount());
                *fresh.by_desk.entry(row.desk).or_default() += whole;
                *fresh.by_day.entry(row.on).or_default() += whole;
            }
            fresh.foreign_row_count += usize::from(row.value.foreign_currency().is_some());
        }
        assert_eq!(self.by_partner, fresh.by_partner, "by_partner");
        assert_eq!(self.by_desk, fresh.by_desk, "by_desk");
        assert_eq!(self.by_day, fresh.by_day, "by_day");
        assert_eq!(self.foreign_row_count, fresh.foreign_row_count);

        let shared_row_count = self.rows().filter(|row| row.shared).count();
        assert_eq!(self.shared.values().map(|(_, parts)| parts.len()).sum::<usize>(), shared_row_count);
        let amounts = |sums: &mut dyn Iterator<Item = &Measures>| {
            sums.fold([0; 3], |[won, lost, expired], sum| {
                [won + sum.won.amount_e4, lost + sum.lost.amount_e4, expired + sum.expired.amount_e4]
            })
        };
        let (parts, whole) = (amounts(&mut self.by_partner.values()), amounts(&mut self.by_day.values()));
        assert_eq!(parts, whole, "the parts and the uncredited rest add up");
    }

    /// The sum of what no partner sourced.
    pub fn uncredited(&self) -> Measures {
        self.by_partner.get(&None).copied().unwrap_or_default()
    }

    /// All that the page holds, to be compared.
    pub fn contents(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let shared: BTreeMap<DealRef, String> =
            self.shared.iter().map(|(deal, parts)| (*deal, format!("{parts:?}"))).collect();
        let sums = (self.by_partner.clone(), self.by_desk.clone(), self.by_day.clone());
        (self.rows().copied().collect::<Vec<_>>(), sums, shared, self.foreign_row_count)
    }
}
