//! Telling a board: from the pages' sums where they can serve, else from rows.
//!
//! Sums serve where the filter asks nothing of deals and leads themselves and parts are what sums hold: a whole
//! month is then one sum for each partner or desk, and of a month at the window's edge only the fewer rows are
//! read, those within the window or those outside, which are taken out of the month's sum. What is open on a
//! date is the sum of the nets before it.
//!
//! A deal shared by several partners counts once for each subject, while sums by partner hold it once for each
//! partner: where partners count for one subject together, it is taken out as often as it came too often.

use std::ops::RangeInclusive;

use smallvec::SmallVec;

use super::sums::{Sign, Sums};
use super::{BoardQuestion, Lines, LinesOf, Telling};
use crate::book::Book;
use crate::book::entry::{Event, Share, Slot, Value};
use crate::book::packed::PartnerRef;
use crate::book::page::{Page, Parts, Row, Sheet, counts};
use crate::book::pages::Pages;
use crate::book::pools::DeskRef;
use crate::book::scope::Scope;
use crate::domain::calendar::{Date, DateRange, Month};
use crate::domain::premises::{RatesOn, Roles};
use crate::domain::record::Role;
use crate::kpi::measures::{Measures, Tally};

/// The days of one page, first and last.
pub(super) type Days = RangeInclusive<Date>;

pub(super) type SheetOf = fn(&Page) -> &Sheet;
pub(super) const OPENED: SheetOf = |page| &page.opened;
pub(super) const ENDED: SheetOf = |page| &page.ended;
pub(super) const LEADS: SheetOf = |page| &page.leads;

/// Tells a board of entries.
pub(super) struct Teller<'a> {
    pub book: &'a Book,
    pub asked: &'a BoardQuestion,
    pub telling: &'a Telling,
    pub sums: &'a mut Sums,
}

// === impl Telling ===

impl Telling {
    /// Whether what pages keep by partner or by desk is what the board asks for.
    fn is_served_by_sums(&self) -> bool {
        let Self { scope, lines } = self;
        scope.test.is_none()
            && match lines.of {
                LinesOf::Partners => scope.desks.is_none() && scope.roles == Roles::SOURCED,
                LinesOf::Desks => scope.slots.is_none(),
            }
    }
}

// === impl Teller ===

impl Teller<'_> {
    /// All of the book.
    pub fn tell(&mut self) {
        let BoardQuestion { dates, as_of, parts, open_at_rates_of, .. } = *self.asked;
        let pages = &self.book.pages;
        if !self.telling.is_served_by_sums() {
            return self.note_entries(pages, Sign::In);
        }
        self.note_window_by_sums(dates);
        if parts.work {
            self.note_stock(dates.from, false, |sums, number, open| {
                sums.note_open_before(number, open.count, Sign::In);
            });
        }
        if parts.cohort {
            self.note_cohort_by_sums();
        }
        if let Some(rates_on) = open_at_rates_of {
            if self.are_open_amounts_nets(as_of) {
                self.note_stock(as_of.next(), true, |sums, number, open| {
                    sums.note_open(number, open, Sign::In);
                });
            } else {
                self.note_open(pages, rates_on, Sign::In);
            }
        }
    }

    /// The entries that lie on `pages`, one by one.
    pub fn note_entries(&mut self, pages: &Pages, sign: Sign) {
        let BoardQuestion { dates, parts, open_at_rates_of, .. } = *self.asked;
        let (book, scope) = (self.book, &self.telling.scope);
        let last = dates.to.plus_days(-1);
        for sheet in self.sheets() {
            let entries = pages.entries(&book.pools, sheet, scope, dates.from, last);
            entries.for_each(|(row, parts)| self.note(row, parts, sign));
        }
        if parts.work {
            // Deals opened before the window and ended in it or later were open before it.
            let ended = pages.entries(&book.pools, ENDED, scope, dates.from, Date::NEVER);
            let open_before = ended.filter(|(row, _)| row.other_on < dates.from);
            let Self { telling, sums, .. } = self;
            open_before.for_each(|(row, parts)| {
                telling.lines.each(row, parts, None, |number, _| sums.note_open_before(number, 1, sign));
            });
        }
        if parts.cohort {
            self.note_cohort(pages, sign);
        }
        if let Some(rates_on) = open_at_rates_of {
            self.note_open(pages, rates_on, sign);
        }
    }

    /// The sheets whose rows in the window say something that is asked for.
    fn sheets(&self) -> SmallVec<[SheetOf; 3]> {
        let parts = self.asked.parts;
        let mut sheets = SmallVec::from_slice(&[ENDED]);
        sheets.extend((parts.work || parts.prospects).then_some(OPENED));
        sheets.extend(parts.prospects.then_some(LEADS));
        sheets
    }

    /// A row of the window.
    fn note(&mut self, row: &Row, parts: Parts<'_>, sign: Sign) {
        let BoardQuestion { rates, parts: asked, .. } = *self.asked;
        let Self { book, telling, sums, .. } = self;
        let is_opening = matches!(row.event, Event::DealOpened(_));
        // Without what was in work no amount of an opening is told.
        let value = if is_opening && !asked.work { Value::Unknown } else { book.value_of(row, rates) };
        sums.rest_on(row, value.oldest_rate_on(), sign);
        telling.lines.each(row, parts, value.amount(), |number, part| {
            row.happened(part).add_to(&mut sums.events(number, asked, sign));
        });
    }

    /// The deals open at the end of `as_of`, as they stood then.
    fn note_open(&mut self, pages: &Pages, rates_on: Date, sign: Sign) {
        let as_of = self.asked.as_of;
        let Self { book, telling, sums, .. } = self;
        for (row, parts) in pages.open(&book.pools, &telling.scope, as_of) {
            let value = book.open_value(row, as_of, rates_on);
            sums.rest_on(row, value.oldest_rate_on(), sign);
            telling.lines.each(row, parts, value.amount(), |number, part| {
                sums.note_open(number, &Tally::of(part), sign);
            });
        }
    }

    /// Whether what is open on a date is worth what was opened less what ended: everything is in the reporting
    /// currency, and stood then as it stands now.
    fn are_open_amounts_nets(&self, as_of: Date) -> bool {
        let Some(settings) = self.book.settings() else { return true };
        let revised_at = self.book.records.deals.last_revised_at();
        revised_at.is_none_or(|at| settings.zone.local_date(at) <= as_of)
            && self.book.pages.range(..).all(|(_, page)| !page.has_foreign(RatesOn::Day(as_of)))
    }

    /// The window: whole months by their sums, of the others the fewer rows.
    fn note_window_by_sums(&mut self, dates: DateRange) {
        let BoardQuestion { rates, parts, .. } = *self.asked;
        let last = dates.to.plus_days(-1);
        if last < dates.from {
            return;
        }
        // Sums say nothing of exchange rates: neither of ends' nor, where they are asked for, of openings'.
        let rates = if parts.work { RatesOn::Day(last) } else { rates };
        let book = self.book;
        for (month, page) in book.pages.range(dates.from.month()..=last.month()) {
            let (first_day, last_day) = (month.first_day(), month.last_day());
            let within = dates.from.max(first_day)..=last.min(last_day);
            let outside = [first_day..=within.start().plus_days(-1), within.end().next()..=last_day];
            let outside_count = outside.iter().map(|days| self.row_count(page, days)).sum::<i64>();
            let is_foreign = page.has_foreign(rates);
            if is_foreign || outside_count > self.row_count(page, &within) {
                self.note_rows(page, &within, is_foreign, Sign::In);
            } else {
                self.note_sums(page);
                outside.iter().for_each(|days| self.note_rows(page, days, false, Sign::Out));
            }
        }
    }

    /// About how many rows some days of a page have.
    fn row_count(&self, page: &Page, days: &Days) -> i64 {
        if days.is_empty() {
            return 0;
        }
        let parts = self.asked.parts;
        let measures = page.tenant(DateRange { from: *days.start(), to: days.end().next() });
        let leads = measures.lead_count + measures.converted_lead_count + measures.disqualified_lead_count;
        measures.ended_count()
            + if parts.work || parts.prospects { measures.opened.count } else { 0 }
            + if parts.prospects {
                leads + measures.purchased_count + measures.lost_prospect_count
            } else {
                0
            }
    }

    /// Some days of a page. `is_foreign`: with rates of which sums say nothing.
    fn note_rows(&mut self, page: &Page, days: &Days, is_foreign: bool, sign: Sign) {
        if self.row_count(page, days) == 0 {
            return;
        }
        if self.telling.lines.of == LinesOf::Partners && !is_foreign {
            return self.note_sourced(page, days, sign);
        }
        let (book, scope) = (self.book, &self.telling.scope);
        for sheet in self.sheets() {
            let entries = sheet(page).entries(&book.pools, scope, *days.start(), *days.end());
            entries.for_each(|(row, parts)| self.note(row, parts, sign));
        }
    }

    /// What partners sourced on some days: of those with many rows by their sums.
    fn note_sourced(&mut self, page: &Page, days: &Days, sign: Sign) {
        let (parts, sheets) = (self.asked.parts, self.sheets());
        let Self { telling: Telling { scope, lines }, sums, .. } = self;
        for (slot, measures) in page.each_slot_by_days(days) {
            let numbers = lines.of_slot(scope, slot);
            numbers.iter().for_each(|&number| sums.note_all(number, &measures, parts, sign));
        }
        for sheet in sheets {
            page.each_other_sourced(sheet(page), days, |row, part| {
                for &number in lines.of_slot(scope, row.slot) {
                    row.happened(part).add_to(&mut sums.events(number, parts, sign));
                }
            });
        }
        if lines.meet {
            let shared = page.each_shared().filter(|(first, _)| days.contains(&first.on));
            for (first, shares) in shared {
                let once = counts(first.measures(first.value().amount()));
                self.telling.each_too_many(shares, |number| {
                    sums.note_all(number, &once, parts, sign.reversed());
                });
            }
        }
    }

    /// A whole month.
    fn note_sums(&mut self, page: &Page) {
        let parts = self.asked.parts;
        let Telling { scope, lines } = self.telling;
        let sums = &mut *self.sums;
        let mut note = |number, measures: &Measures, sign| sums.note_all(number, measures, parts, sign);
        match lines.of {
            LinesOf::Partners => {
                for (slot, measures) in page.each_slot() {
                    let numbers = lines.of_slot(scope, slot);
                    numbers.iter().for_each(|&number| note(number, measures, Sign::In));
                }
                if lines.meet {
                    for (first, shares) in page.each_shared() {
                        let once = counts(first.measures(first.value().amount()));
                        self.telling.each_too_many(shares, |number| note(number, &once, Sign::Out));
                    }
                }
            }
            LinesOf::Desks => {
                for (desk, measures) in page.each_desk() {
                    let numbers = lines.of_number(scope, desk.number());
                    numbers.iter().for_each(|&number| note(number, measures, Sign::In));
                }
            }
        }
    }

    /// The deals open before a day: by the nets of the months before, and the rows between a month's edge and
    /// the day, on the side where there are fewer.
    fn note_stock(&mut self, before: Date, with_amounts: bool, mut note: impl FnMut(&mut Sums, u32, &Tally)) {
        let book = self.book;
        let month = before.month();
        let (first_day, next_month) = (month.first_day(), month.next().first_day());
        let page = book.pages.range(month..=month).next().map(|(_, page)| page);
        let row_count = |days: &Days| {
            let days = DateRange { from: *days.start(), to: days.end().next() };
            let measures = page.filter(|_| days.days() > 0).map(|page| page.tenant(days)).unwrap_or_default();
            (measures.opened.count, measures.ended_count())
        };
        let (ago, ahead) = (first_day..=before.plus_days(-1), before..=next_month.plus_days(-1));
        let total = |(opened, ended)| opened + ended;
        let is_near_start = total(row_count(&ago)) <= total(row_count(&ahead));
        self.note_nets(if is_near_start { month } else { month.next() }, with_amounts, &mut note);

        let Some(page) = page else { return };
        let (days, opened_is_more) = if is_near_start { (ago, true) } else { (ahead, false) };
        let (opened_count, ended_count) = row_count(&days);
        let Self { telling, sums, .. } = self;
        for (sheet, count, is_more) in
            [(OPENED, opened_count, opened_is_more), (ENDED, ended_count, !opened_is_more)]
        {
            if count == 0 {
                continue;
            }
            sheet(page).entries(&book.pools, &telling.scope, *days.start(), *days.end()).for_each(
                |(row, parts)| {
                    telling.lines.each(row, parts, row.value().amount(), |number, part| {
                        let mut open = Tally::default();
                        if is_more {
                            open += Tally::of(part)
                        } else {
                            open -= Tally::of(part)
                        }
                        note(sums, number, &open);
                    });
                },
            );
        }
    }

    /// The deals open before the first day of a month.
    fn note_nets(
        &mut self,
        before: Month,
        with_amounts: bool,
        note: &mut impl FnMut(&mut Sums, u32, &Tally),
    ) {
        let Self { book, telling, sums, .. } = self;
        let Telling { scope, lines } = telling;
        let (mut counted, mut all) = (Vec::new(), Vec::new());
        for (_, page) in book.pages.range(..before) {
            let columns = match lines.of {
                LinesOf::Partners => &page.net().slots,
                LinesOf::Desks => &page.net().desks,
            };
            if with_amounts { columns.add_to(&mut all) } else { columns.add_counts_to(&mut counted) }
        }
        all.extend(counted.into_iter().map(|count| Tally { count, ..Tally::default() }));
        for (number, open) in (0..).zip(&all).filter(|(_, open)| **open != Tally::default()) {
            lines.of_number(scope, number).iter().for_each(|&number| note(sums, number, open));
        }
        if lines.of == LinesOf::Partners && lines.meet {
            let first_day = before.first_day();
            for (_, page) in book.pages.range(..before) {
                let open = page.opened.each_shared().filter(|(first, _)| first.other_on >= first_day);
                for (first, shares) in open {
                    let priced_count = i64::from(first.value().amount().is_some());
                    let too_many = Tally { count: -1, priced_count: -priced_count, amount_e4: 0 };
                    telling.each_too_many(shares, |number| note(sums, number, &too_many));
                }
            }
        }
    }
}

// === impl Telling ===

impl Telling {
    /// Calls `take` for each time that a subject has an entry of these shares once too often, where each of its
    /// partners has it.
    pub(super) fn each_too_many(&self, shares: &[Share], mut take: impl FnMut(u32)) {
        let Self { scope, lines } = self;
        let mut seen: SmallVec<[u32; 8]> = SmallVec::new();
        let asked = shares.iter().filter(|share| share.role == Role::Sourced && scope.asks_for(share));
        for &number in asked.flat_map(|share| lines.of_share(share)) {
            if seen.contains(&number) {
                take(number);
            } else {
                seen.push(number);
            }
        }
    }
}

// === impl Lines ===

impl Lines {
    /// The subjects for which what a slot sourced counts, if the scope asks for it.
    #[inline]
    pub(super) fn of_slot(&self, scope: &Scope, slot: Slot) -> &[u32] {
        slot.map_or(&[], |slot| self.of_number(scope, slot.number()))
    }

    /// The subjects for which the partner's or desk's sums count that has this number, if the scope asks for it.
    pub(super) fn of_number(&self, scope: &Scope, number: u32) -> &[u32] {
        match self.of {
            LinesOf::Partners => {
                let partner = PartnerRef::new(number);
                let is_asked = |asked: &Vec<Slot>| asked.binary_search(&Some(partner)).is_ok();
                if scope.slots.as_ref().is_none_or(is_asked) { self.of_partner(partner) } else { &[] }
            }
            LinesOf::Desks => {
                let desk = DeskRef::new(number);
                if scope.desks.as_ref().is_none_or(|asked| asked.contains(desk)) {
                    self.of_desk(desk)
                } else {
                    &[]
                }
            }
        }
    }

    /// Whether several partners count for one subject together.
    pub(super) fn do_meet(lines: &[SmallVec<[u32; 4]>]) -> bool {
        let greatest = lines.iter().flatten().max().map_or(0, |&number| number as usize + 1);
        let mut seen = vec![false; greatest];
        lines.iter().flatten().any(|&number| std::mem::replace(&mut seen[number as usize], true))
    }
}
