//! Entries of one month in no order, and the page that they make at once: sorting all takes a fraction of the time
//! that finding a place for each does, and sums of sorted rows are found row by row.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::{CHUNK_ROWS, Page, Row, Rows, Shared, Sheet, SlotSums, rows_of, sum};
use crate::book::entry::{Entry, Event, Slot};
use crate::book::pools::{DeskRef, OddsRef, Pooled, TraitsRef};
use crate::domain::calendar::{Date, Month};
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
    /// Each as long as a chunk: none grows, and what it took serves a chunk next.
    stretches: Vec<Vec<Row>>,
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
    by_desk: ByDesk,
    /// By the day of the month, counted from 0.
    by_day: Vec<Measures>,
}

/// Sums of the desks that there are rows of.
#[derive(Default)]
struct ByDesk {
    /// Where a desk's sum lies, and 1 more. 0: nowhere yet.
    places: Vec<u32>,
    sums: Vec<(DeskRef, Measures)>,
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
            loose.push(row);
        }
    }

    pub fn renumber(&mut self, by: &Renumbered) {
        let renumber = |row: &mut Row| {
            row.desk = by.desks[row.desk.index()];
            row.traits = by.traits[row.traits.index()];
            row.terms.odds = row.terms.odds.map(|odds| by.odds[odds.index()]);
        };
        for loose in [&mut self.opened, &mut self.ended, &mut self.leads] {
            loose.stretches.iter_mut().flatten().for_each(renumber);
            loose.shared.values_mut().for_each(|shared| renumber(&mut shared.first));
        }
    }

    /// Takes in what was gathered of the same month elsewhere.
    pub fn append(&mut self, other: Self) {
        let Self { opened, ended, leads } = other;
        let ours = [&mut self.opened, &mut self.ended, &mut self.leads];
        for (ours, theirs) in ours.into_iter().zip([opened, ended, leads]) {
            ours.stretches.extend(theirs.stretches);
            ours.shared.extend(theirs.shared);
        }
    }

    /// The page of all this: that into which each was inserted.
    pub fn into_page(self, month: Month) -> Page {
        let [opened, ended, leads] = [self.opened, self.ended, self.leads].map(Loose::into_sheet);
        let first_day = if month == Month::NEVER { Date::NEVER } else { month.first_day() };
        let mut sums = Sums::default();
        sums.add([&opened, &ended, &leads], first_day);
        let Sums { by_slot, by_desk, by_day } = sums;
        let days = (0..).map(|day| first_day.plus_days(day));
        let is_something = |sum: &Measures| *sum != Measures::default();
        let by_slot: BTreeMap<_, _> = by_slot.into_iter().collect();
        let by_desk = by_desk.sums.into_iter().filter(|(_, sum)| is_something(sum)).collect();
        let by_day: BTreeMap<_, _> = days.zip(by_day).filter(|(_, sum)| is_something(sum)).collect();
        let month = sum(by_day.values().copied());
        let with_days = by_slot.iter().filter(|(_, sums)| sums.days.is_some());
        let slots_by_days = with_days.map(|(&slot, _)| slot).collect();
        Page { opened, ended, leads, by_slot, slots_by_days, by_desk, by_day, month, ..Page::default() }
    }
}

// === impl Loose ===

impl Loose {
    fn push(&mut self, row: Row) {
        match self.stretches.last_mut() {
            Some(last) if last.len() < CHUNK_ROWS => last.push(row),
            _ => {
                let mut stretch = Vec::with_capacity(CHUNK_ROWS);
                stretch.push(row);
                self.stretches.push(stretch);
            }
        }
    }

    fn into_sheet(self) -> Sheet {
        let Self { stretches, mut shared } = self;
        shared.shrink_to_fit();
        let is_foreign = |row: &&Row| row.value().foreign_currency().is_some();
        let foreign_row_count = stretches.iter().flatten().filter(is_foreign).count();
        Sheet { rows: Rows::of_loose(&stretches), shared, foreign_row_count, ..Sheet::default() }
    }
}

// === impl Sums ===

impl Sums {
    /// Adds all rows of a page's sheets.
    fn add(&mut self, sheets: [&Sheet; 3], first_day: Date) {
        let mut rest = sheets.map(|sheet| (sheet, sheet.rows().peekable()));
        loop {
            let next = rest.iter_mut().filter_map(|(_, rows)| rows.peek().map(|row| row.slot)).min();
            let Some(slot) = next else { return };
            let from_slot = rest.clone();
            let mut sums = SlotSums::default();
            for (sheet, rows) in &mut rest {
                while let Some(row) = rows.next_if(|row| row.slot == slot) {
                    if row.role() == Role::Sourced {
                        row.happened(row.sourced_amount(sheet)).add_to(&mut sums.month);
                        sums.row_count += 1;
                    }
                    if row.part == 0 {
                        let whole = row.value().amount();
                        row.happened(whole).add_to(self.by_desk.sum_of(row.desk));
                        row.happened(whole).add_to(day_of(&mut self.by_day, row.on, first_day));
                    }
                }
            }
            if sums.lacks_days() {
                let mut days = Vec::new();
                for (sheet, rows) in from_slot {
                    let of_slot = rows.take_while(|row| row.slot == slot);
                    for row in of_slot.filter(|row| row.role() == Role::Sourced) {
                        row.happened(row.sourced_amount(sheet)).add_to(day_of(&mut days, row.on, first_day));
                    }
                }
                let days = (0..).map(|day| first_day.plus_days(day)).zip(days);
                sums.days = Some(days.filter(|(_, sum)| *sum != Measures::default()).collect());
            }
            if sums.row_count > 0 {
                self.by_slot.push((slot, sums));
            }
        }
    }
}

fn day_of(days: &mut Vec<Measures>, on: Date, first_day: Date) -> &mut Measures {
    let day = on.days_since(first_day) as usize; // no row of a month is before it
    if days.len() <= day {
        days.resize(day + 1, Measures::default());
    }
    &mut days[day]
}

// === impl ByDesk ===

impl ByDesk {
    fn sum_of(&mut self, desk: DeskRef) -> &mut Measures {
        if self.places.len() <= desk.index() {
            self.places.resize(desk.index() + 1, 0);
        }
        let place = &mut self.places[desk.index()];
        if *place == 0 {
            self.sums.push((desk, Measures::default()));
            *place = self.sums.len() as u32; // there are as many desks at most as numbers of 32 bits
        }
        &mut self.sums[*place as usize - 1].1
    }
}
