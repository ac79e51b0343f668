//! Entries of one month in no order, and the page that they make at once: sorting all takes a fraction of the time
//! that finding a place for each does, and sums of sorted rows are found row by row.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::{Page, Row, Rows, Shared, Sheet, SlotSums, rows_of, sourced_part, sum};
use crate::book::entry::{Entry, Event, Slot};
use crate::book::pools::{DeskRef, OddsRef, Pooled, TraitsRef};
use crate::domain::calendar::Date;
use crate::domain::record::Role;
use crate::kpi::measures::Measures;

/// What happened in one month, out of order.
#[derive(Default)]
pub struct Gathered {
    opened: Loose,
    ended: Loose,
    leads: Loose,
}

/// The rows of one sheet, out of order.
#[derive(Default)]
struct Loose {
    rows: Vec<Row>,
    shared: HashMap<(u32, Event), Shared>,
}

/// The numbers that what rows share with others gets, by those that it had.
#[derive(Default)]
pub struct Renumbered {
    pub desks: Vec<DeskRef>,
    pub traits: Vec<TraitsRef>,
    pub odds: Vec<OddsRef>,
}

/// Sums that are being made.
#[derive(Default)]
struct Sums {
    by_slot: Vec<(Slot, SlotSums)>,
    by_desk: HashMap<DeskRef, Measures>,
    by_day: BTreeMap<Date, Measures>,
}

// === impl Gathered ===

impl Gathered {
    pub fn add(&mut self, pooled: Pooled, entry: &Entry) {
        let loose = match entry.event {
            Event::DealOpened(_) => &mut self.opened,
            Event::DealEnded(_) => &mut self.ended,
            _ => &mut self.leads,
        };
        for row in rows_of(pooled, entry) {
            if row.is_shared() && row.part == 0 {
                let shared = Shared { shares: entry.shares.clone(), first: row };
                loose.shared.insert((row.of, row.event), shared);
            }
            loose.rows.push(row);
        }
    }

    pub fn renumber(&mut self, by: &Renumbered) {
        let renumber = |row: &mut Row| {
            row.desk = by.desks[row.desk.index()];
            row.traits = by.traits[row.traits.index()];
            row.terms.odds = row.terms.odds.map(|odds| by.odds[odds.index()]);
        };
        for loose in [&mut self.opened, &mut self.ended, &mut self.leads] {
            loose.rows.iter_mut().for_each(renumber);
            loose.shared.values_mut().for_each(|shared| renumber(&mut shared.first));
        }
    }

    /// Takes in what was gathered of the same month elsewhere.
    pub fn append(&mut self, other: Self) {
        let Self { opened, ended, leads } = other;
        let ours = [&mut self.opened, &mut self.ended, &mut self.leads];
        for (ours, theirs) in ours.into_iter().zip([opened, ended, leads]) {
            ours.rows.extend(theirs.rows);
            ours.shared.extend(theirs.shared);
        }
    }

    /// The page of all this: that into which each was inserted.
    pub fn into_page(self) -> Page {
        let mut sums = Sums::default();
        let [opened, ended, leads] =
            [self.opened, self.ended, self.leads].map(|loose| loose.into_sheet(&mut sums));
        let Sums { mut by_slot, by_desk, by_day } = sums;
        by_slot.sort_by_key(|(slot, _)| *slot);
        by_slot.dedup_by(|(later_slot, later), (slot, sum)| {
            let is_same = later_slot == slot;
            if is_same {
                sum.month += later.month;
                sum.row_count += later.row_count;
            }
            is_same
        });
        let (by_slot, by_desk) = (by_slot.into_iter().collect(), by_desk.into_iter().collect());
        let month = sum(by_day.values().copied());
        let mut page = Page { opened, ended, leads, by_slot, by_desk, by_day, month, ..Page::default() };
        page.sum_all_days();
        page
    }
}

// === impl Loose ===

impl Loose {
    fn into_sheet(self, sums: &mut Sums) -> Sheet {
        let Self { mut rows, mut shared } = self;
        rows.sort_unstable_by_key(Row::key);
        shared.shrink_to_fit();
        let foreign_row_count = rows.iter().filter(|row| row.value().foreign_currency().is_some()).count();
        let sheet = Sheet { rows: Rows::of_sorted(&rows), shared, foreign_row_count, ..Sheet::default() };
        drop(rows);
        sums.add(&sheet);
        sheet
    }
}

// === impl Sums ===

impl Sums {
    fn add(&mut self, sheet: &Sheet) {
        let sheet_begins = self.by_slot.len();
        for row in sheet.rows() {
            let whole = row.value().amount();
            if row.role() == Role::Sourced {
                let mut alone = None;
                let shares = row.shares(sheet, &mut alone);
                let measures = row.measures(whole.map(|whole| sourced_part(whole, shares, row.slot)));
                if self.by_slot[sheet_begins..].last().is_none_or(|(slot, _)| *slot != row.slot) {
                    self.by_slot.push((row.slot, SlotSums::default()));
                }
                if let Some((_, sums)) = self.by_slot.last_mut() {
                    sums.add(row.on, measures);
                }
            }
            if row.part == 0 {
                let measures = row.measures(whole);
                *self.by_desk.entry(row.desk).or_default() += measures;
                *self.by_day.entry(row.on).or_default() += measures;
            }
        }
    }
}
