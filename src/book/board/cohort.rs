//! The cohorts of a board: what became by `as_of` of the prospects that came in the window.

use super::sums::Sign;
use super::tell::{Days, ENDED, LEADS, OPENED, Teller};
use super::{LinesOf, Telling};
use crate::book::entry::{Event, Outcome, ProspectOutcome};
use crate::book::fates::{Fate, fate_of};
use crate::book::page::{Page, Parts, Row};
use crate::book::pages::Pages;
use crate::book::standing::came;
use crate::domain::calendar::{Date, DateRange, Month};

// === impl Teller ===

impl Teller<'_> {
    /// Of prospects that lie on `pages`, one by one.
    pub(super) fn note_cohort(&mut self, pages: &Pages, sign: Sign) {
        let (book, dates, as_of, telling) = (self.book, self.asked.dates, self.asked.as_of, self.telling);
        for sheet in [OPENED, LEADS] {
            let entries =
                pages.entries(&book.pools, sheet, &telling.scope, dates.from, dates.to.plus_days(-1));
            entries.for_each(|(row, parts)| {
                if let Some(outcome) = came(row, as_of) {
                    self.note_fate(row, parts, &Fate::of(outcome, 1), sign);
                }
            });
        }
    }

    /// Of all prospects of the book, by the fates of those that came and the outcomes after `as_of`, or one by
    /// one, where these outcomes are more.
    pub(super) fn note_cohort_by_sums(&mut self) {
        let (book, dates, as_of, telling) = (self.book, self.asked.dates, self.asked.as_of, self.telling);
        let last = dates.to.plus_days(-1);
        if last < dates.from {
            return;
        }
        let after = as_of.next()..=Date::LAST;
        let later_count: i64 = each_month(book.pages.range(after.start().month()..Month::NEVER), &after)
            .map(|(page, days)| outcome_count(page, &days))
            .sum();
        let in_window = dates.from..=last;
        let came_count: i64 = each_month(book.pages.range(dates.from.month()..=last.month()), &in_window)
            .map(|(page, days)| coming_count(page, &days))
            .sum();
        if later_count > came_count {
            return self.note_cohort(&book.pages, Sign::In);
        }
        for (month, page) in book.pages.range(dates.from.month()..=last.month()) {
            let (first_day, last_day) = (month.first_day(), month.last_day());
            let within = dates.from.max(first_day)..=last.min(last_day);
            let outside = [first_day..=within.start().plus_days(-1), within.end().next()..=last_day];
            if outside.iter().map(|days| coming_count(page, days)).sum::<i64>() > coming_count(page, &within)
            {
                self.note_comings(page, &within, Sign::In);
            } else {
                self.note_fates(page);
                outside.iter().for_each(|days| self.note_comings(page, days, Sign::Out));
            }
        }
        for (page, days) in each_month(book.pages.range(after.start().month()..Month::NEVER), &after) {
            if outcome_count(page, &days) == 0 {
                continue;
            }
            for sheet in [ENDED, LEADS] {
                sheet(page).entries(&book.pools, &telling.scope, *days.start(), *days.end()).for_each(
                    |(row, parts)| {
                        if let Some(outcome) = outcome(row)
                            && dates.contains(row.other_on)
                        {
                            self.note_fate(row, parts, &Fate::not_yet(outcome, 1), Sign::In);
                        }
                    },
                );
            }
        }
    }

    /// The prospects that came on some days of a page, as if all their outcomes had come.
    fn note_comings(&mut self, page: &Page, days: &Days, sign: Sign) {
        if coming_count(page, days) == 0 {
            return;
        }
        let (book, telling) = (self.book, self.telling);
        for sheet in [OPENED, LEADS] {
            sheet(page).entries(&book.pools, &telling.scope, *days.start(), *days.end()).for_each(
                |(row, parts)| {
                    if let Some(outcome) = fate_of(row.event, row.is_prospect()) {
                        self.note_fate(row, parts, &Fate::of(outcome, 1), sign);
                    }
                },
            );
        }
    }

    /// Those that came in a whole month.
    fn note_fates(&mut self, page: &Page) {
        let Telling { scope, lines } = self.telling;
        let sums = &mut *self.sums;
        let fates = match lines.of {
            LinesOf::Partners => &page.fates().slots,
            LinesOf::Desks => &page.fates().desks,
        };
        for (number, fate) in (0..).zip(fates).filter(|(_, fate)| **fate != Fate::default()) {
            let subjects = lines.of_number(scope, number);
            subjects.iter().for_each(|&subject| sums.note_cohort(subject, fate, Sign::In));
        }
        if lines.of == LinesOf::Partners && lines.meet {
            for (first, shares) in page.each_shared() {
                if let Some(outcome) = fate_of(first.event, first.is_prospect()) {
                    let once = Fate::of(outcome, 1);
                    self.telling.each_too_many(shares, |subject| {
                        sums.note_cohort(subject, &once, Sign::Out);
                    });
                }
            }
        }
    }

    fn note_fate(&mut self, row: &Row, parts: Parts<'_>, fate: &Fate, sign: Sign) {
        let Self { telling, sums, .. } = self;
        telling.lines.each(row, parts, None, |number, _| sums.note_cohort(number, fate, sign));
    }
}

/// The outcome of a prospect that a row is.
fn outcome(row: &Row) -> Option<ProspectOutcome> {
    match row.event {
        Event::DealEnded(Outcome::Won) if row.is_prospect() => Some(ProspectOutcome::Purchased),
        Event::DealEnded(Outcome::Lost | Outcome::LostToCompetitor | Outcome::Expired)
            if row.is_prospect() =>
        {
            Some(ProspectOutcome::Lost)
        }
        Event::ProspectEnded(outcome) => Some(outcome),
        _ => None,
    }
}

/// The days of each page that lie within others.
fn each_month<'a>(
    pages: impl Iterator<Item = (Month, &'a Page)>,
    within: &Days,
) -> impl Iterator<Item = (&'a Page, Days)> {
    let (from, last) = (*within.start(), *within.end());
    pages.map(move |(month, page)| {
        let last_day = month.last_day();
        (page, from.max(month.first_day())..=last.min(last_day))
    })
}

/// How many prospects came on some days of a page.
fn coming_count(page: &Page, days: &Days) -> i64 {
    let dates = DateRange { from: *days.start(), to: days.end().next() };
    if days.is_empty() { 0 } else { page.tenant(dates).prospect_count }
}

/// How many rows say that a prospect or a deal ended.
fn outcome_count(page: &Page, days: &Days) -> i64 {
    if days.is_empty() {
        return 0;
    }
    let measures = page.tenant(DateRange { from: *days.start(), to: days.end().next() });
    measures.ended_count() + measures.purchased_count + measures.lost_prospect_count
}
