//! All pages of a book: putting entries in, taking them out, and folding a window.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use super::entry::{Entry, Event, Value};
use super::page::{Page, Parts, Row, Sheet};
use super::pools::{Pooled, Pools};
use super::scope::Scope;
use crate::domain::amount::Currency;
use crate::domain::calendar::{Date, DateRange, Month};
use crate::domain::premises::{RatesOn, Roles};
use crate::kpi::measures::Measures;

/// By month; what never happens lies on [`Month::NEVER`].
#[derive(Default)]
pub struct Pages(BTreeMap<Month, Page>);

/// What a fold over a window found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    pub measures: Measures,
    /// The date of the oldest exchange rate among the amounts of ends. None where nothing was converted.
    pub oldest_rate_on: Option<Date>,
}

/// The value of a row's deal at some day's rates.
pub type ValueOn<'a> = &'a dyn Fn(&Row, RatesOn) -> Value;

// === impl Fold ===

impl Fold {
    fn add(&mut self, row: &Row, parts: Parts<'_>, value: Value) {
        self.measures += row.measures(value.amount().map(|whole| parts.of(whole)));
        if matches!(row.event, Event::DealEnded(_)) {
            self.oldest_rate_on = older(self.oldest_rate_on, value.oldest_rate_on());
        }
    }
}

// === impl Pages ===

impl Pages {
    pub fn insert(&mut self, pooled: Pooled, entry: &Entry) {
        self.0.entry(entry.on.month()).or_default().insert(pooled, entry);
    }

    /// As [`Self::insert`], for a whole book into what was empty: sorting all at once takes a fraction of the
    /// time that finding a place for each does. Nothing may be asked before [`Self::order`].
    pub fn gather(&mut self, pooled: Pooled, entry: &Entry) {
        self.0.entry(entry.on.month()).or_default().gather(pooled, entry);
    }

    pub fn order(&mut self) {
        self.0.values_mut().for_each(Page::order);
    }

    pub fn remove(&mut self, pooled: Pooled, entry: &Entry) {
        let month = entry.on.month();
        if let Some(page) = self.0.get_mut(&month) {
            page.remove(pooled, entry);
            if page.is_empty() {
                self.0.remove(&month);
            }
        }
    }

    /// Sums what happened within `dates`: whole months from their sums, the others from their rows.
    /// Amounts are those that `value_on` tells.
    pub fn fold(
        &self,
        pools: &Pools,
        scope: &Scope,
        dates: DateRange,
        rates: RatesOn,
        value_on: ValueOn<'_>,
    ) -> Fold {
        let mut fold = Fold::default();
        if dates.days() <= 0 {
            return fold;
        }
        for (month, page) in self.0.range(dates.from.month()..=dates.to.plus_days(-1).month()) {
            let whole = DateRange { from: month.first_day(), to: month.next().first_day() };
            let dates = DateRange { from: dates.from.max(whole.from), to: dates.to.min(whole.to) };
            // Sums say nothing of exchange rates.
            let sum =
                (!page.has_foreign(rates)).then(|| sum_of(page, scope, dates, dates == whole)).flatten();
            match sum {
                Some(measures) => fold.measures += measures,
                None => {
                    for sheet in [&page.opened, &page.ended, &page.leads] {
                        let entries = sheet.entries(pools, scope, dates.from, dates.to.plus_days(-1));
                        // `for_each` goes through the chunks in one loop, which `next` can't.
                        entries.for_each(|(row, parts)| fold.add(row, parts, value_on(row, rates)));
                    }
                }
            }
        }
        fold
    }

    /// The pages of some months, in their order.
    pub fn range(&self, months: impl RangeBounds<Month>) -> impl Iterator<Item = (Month, &Page)> {
        self.0.range(months).map(|(&month, page)| (month, page))
    }

    /// How many deals of a scope are open at the end of the day before `from`.
    pub fn open_count_before(&self, pools: &Pools, scope: &Scope, from: Date) -> i64 {
        let mut open_count = 0;
        for (month, page) in self.0.range(..=from.month()) {
            let whole = DateRange { from: month.first_day(), to: month.next().first_day() };
            let dates = DateRange { to: from.min(whole.to), ..whole };
            let net = || if dates == whole { net_count(page, scope) } else { None };
            let sum = || Some(sum_of(page, scope, dates, dates == whole)?.open_count());
            open_count += net().or_else(sum).unwrap_or_else(|| {
                let last = dates.to.plus_days(-1);
                let count = |sheet: &Sheet| sheet.entries(pools, scope, dates.from, last).count() as i64;
                count(&page.opened) - count(&page.ended)
            });
        }
        open_count
    }

    /// The entries of one sheet of each page, from `from` to `last`, which may be [`Date::NEVER`].
    pub fn entries<'a>(
        &'a self,
        pools: &'a Pools,
        sheet: impl Fn(&'a Page) -> &'a Sheet + 'a,
        scope: &'a Scope,
        from: Date,
        last: Date,
    ) -> impl Iterator<Item = (&'a Row, Parts<'a>)> {
        let empty = last < from;
        let pages = (!empty).then(|| self.0.range(from.month()..=last.month())).into_iter().flatten();
        pages.flat_map(move |(_, page)| sheet(page).entries(pools, scope, from, last))
    }

    /// The ends of a scope's deals that are open at the end of a date.
    pub fn open<'a>(
        &'a self,
        pools: &'a Pools,
        scope: &'a Scope,
        on: Date,
    ) -> impl Iterator<Item = (&'a Row, Parts<'a>)> {
        self.ending_after(pools, scope, on).filter(move |(row, _)| row.other_on <= on)
    }

    /// The ends of a scope's deals after a date, of those without an end too.
    pub fn ending_after<'a>(
        &'a self,
        pools: &'a Pools,
        scope: &'a Scope,
        on: Date,
    ) -> impl Iterator<Item = (&'a Row, Parts<'a>)> {
        self.entries(pools, |page| &page.ended, scope, on.next(), Date::NEVER)
    }

    /// The deals with something on or after `from` whose amount is, or would be, converted from another
    /// currency: with it and the day.
    pub fn foreign_deals(&self, from: Date) -> impl Iterator<Item = (u32, Currency, Date)> {
        // What never ends is converted on no day.
        let pages = self.0.range(from.month()..Month::NEVER).map(|(_, page)| page);
        pages.flat_map(Page::foreign_deals).filter(move |&(.., on)| on >= from)
    }
}

/// The page's sum for a scope, where the page keeps one.
fn sum_of(page: &Page, scope: &Scope, dates: DateRange, is_whole: bool) -> Option<Measures> {
    if scope.test.is_some() {
        return None;
    }
    match (&scope.slots, &scope.desks) {
        (None, None) if is_whole => Some(page.whole_tenant()),
        (None, None) => Some(page.tenant(dates)),
        (None, Some(desks)) if is_whole => Some(page.desks(desks)),
        (Some(slots), None) if scope.roles == Roles::SOURCED => Some(page.slots(slots, dates, is_whole)),
        _ => None,
    }
}

/// By how much a scope's open deals grew in the page's month, where a column says it.
fn net_count(page: &Page, scope: &Scope) -> Option<i64> {
    match (&scope.slots, &scope.desks, &scope.test) {
        (Some(slots), None, None) if scope.roles == Roles::SOURCED => match slots[..] {
            [Some(partner)] => Some(page.net().slots.count(partner.index())),
            _ => None,
        },
        (None, Some(desks), None) => {
            Some(desks.iter().map(|desk| page.net().desks.count(desk.index())).sum())
        }
        _ => None,
    }
}

/// The older of two dates, where there is one.
pub fn older(a: Option<Date>, b: Option<Date>) -> Option<Date> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
impl Pages {
    pub fn verify(&self) {
        for (month, page) in &self.0 {
            assert!(!page.is_empty(), "{month:?} is empty");
            let mut rows = [&page.opened, &page.ended, &page.leads].into_iter().flat_map(Sheet::rows);
            assert!(rows.all(|row| row.on.month() == *month));
            page.verify();
        }
    }

    /// All that the pages hold, to be compared.
    pub fn contents(&self) -> Vec<(Month, impl PartialEq + std::fmt::Debug + use<>)> {
        self.0.iter().map(|(month, page)| (*month, page.contents())).collect()
    }
}
