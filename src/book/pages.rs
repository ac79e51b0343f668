//! All pages of a book: putting contributions in, taking them out, and folding a window.

use std::collections::BTreeMap;

use super::contribute::{Ended, Value};
use super::packed::{DealRef, PartnerRef};
use super::page::{DeskRef, Page, Row};
use crate::domain::amount::Currency;
use crate::domain::calendar::{Date, DateRange, Month};
use crate::kpi::measures::Measures;

#[derive(Default)]
pub struct Pages(BTreeMap<Month, Page>);

/// Whose rows are folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every deal, once and whole.
    Tenant,
    /// The parts of these partners, each deal counting once. Sorted.
    Partners(Vec<PartnerRef>),
    /// The deals of these desks, once and whole. Sorted.
    Desks(Vec<DeskRef>),
}

/// What a fold over a window found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    pub measures: Measures,
    /// The date of the oldest exchange rate among the amounts. None where nothing was converted.
    pub oldest_rate_on: Option<Date>,
}

// === impl Fold ===

impl Fold {
    fn note_rate(&mut self, value: &Value) {
        if let Value::Converted { oldest_rate_on, .. } = *value {
            self.oldest_rate_on =
                Some(self.oldest_rate_on.map_or(oldest_rate_on, |oldest| oldest.min(oldest_rate_on)));
        }
    }
}

// === impl Pages ===

impl Pages {
    pub fn insert(&mut self, deal: DealRef, desk: DeskRef, ended: &Ended) {
        self.0.entry(ended.on.month()).or_default().insert(deal, desk, ended);
    }

    pub fn remove(&mut self, deal: DealRef, desk: DeskRef, ended: &Ended) {
        let month = ended.on.month();
        if let Some(page) = self.0.get_mut(&month) {
            page.remove(deal, desk, ended);
            if page.is_empty() {
                self.0.remove(&month);
            }
        }
    }

    /// Sums what ended within `dates`: whole months from their sums, the others from their rows.
    pub fn fold(&self, selection: &Selection, dates: DateRange) -> Fold {
        let mut fold = Fold::default();
        if dates.days() <= 0 {
            return fold;
        }
        for (month, page) in self.0.range(dates.from.month()..=dates.to.plus_days(-1).month()) {
            let whole = DateRange { from: month.first_day(), to: month.next().first_day() };
            let dates = DateRange { from: dates.from.max(whole.from), to: dates.to.min(whole.to) };
            fold_page(page, selection, dates, dates == whole, &mut fold);
        }
        fold
    }

    /// The deals that ended on or after `from` and whose amount is, or would be, converted from another
    /// currency: with it and the day.
    pub fn foreign_deals(&self, from: Date) -> impl Iterator<Item = (DealRef, Currency, Date)> {
        let pages = self.0.range(from.month()..).map(|(_, page)| page);
        pages.flat_map(Page::foreign_deals).filter(move |&(.., on)| on >= from)
    }
}

fn fold_page(page: &Page, selection: &Selection, dates: DateRange, is_whole: bool, fold: &mut Fold) {
    let mut add_row = |row: &Row, measures: Measures| {
        fold.measures += measures;
        fold.note_rate(&row.value);
    };
    let in_dates = |row: &&Row| dates.contains(row.on);
    // Sums serve whole months, but say nothing of exchange rates.
    let sums_suffice = !page.has_foreign_rows();
    match selection {
        Selection::Tenant if sums_suffice => fold.measures += page.tenant(dates),
        Selection::Partners(partners) if sums_suffice && is_whole => {
            fold.measures += page.partners(partners);
        }
        Selection::Desks(desks) if sums_suffice && is_whole => fold.measures += page.desks(desks),
        Selection::Tenant => {
            page.rows().filter(in_dates).for_each(|row| add_row(row, page.whole_of(row)));
        }
        Selection::Partners(partners) => {
            let rows = partners.iter().flat_map(|&partner| page.rows_of_partner(partner, dates));
            rows.for_each(|row| add_row(row, page.part_of(row, partners)));
        }
        Selection::Desks(desks) => {
            let rows = page.rows().filter(in_dates).filter(|row| desks.binary_search(&row.desk).is_ok());
            rows.for_each(|row| add_row(row, page.whole_of(row)));
        }
    }
}

#[cfg(test)]
impl Pages {
    pub fn verify(&self) {
        for (month, page) in &self.0 {
            assert!(!page.is_empty(), "{month:?} is empty");
            assert!(page.rows().all(|row| row.on.month() == *month));
            page.verify();
        }
    }

    /// The sum of what no partner sourced.
    pub fn uncredited(&self) -> Measures {
        self.0.values().fold(Measures::default(), |mut sum, page| {
            sum += page.uncredited();
            sum
        })
    }

    /// All that the pages hold, to be compared.
    pub fn contents(&self) -> Vec<(Month, impl PartialEq + std::fmt::Debug + use<>)> {
        self.0.iter().map(|(month, page)| (*month, page.contents())).collect()
    }
}
