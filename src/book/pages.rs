//! All pages of a book: putting entries in, taking them out, and folding a window.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use parking_lot::Mutex;

use super::entry::{Entry, Event, Value};
use super::page::{DAYS_FROM_ROWS, Gathered, Page, Parts, Renumbered, Row, Sheet};
use super::pools::{Pooled, Pools};
use super::scope::Scope;
use super::telling::on_threads;
use crate::domain::amount::Currency;
use crate::domain::calendar::{Date, DateRange, Month};
use crate::domain::premises::{RatesOn, Roles};
use crate::kpi::measures::Measures;

/// By month; what never happens lies on [`Month::NEVER`].
#[derive(Default)]
pub struct Pages(BTreeMap<Month, Page>);

/// Entries that are to become pages, in no order: by the months since the first.
#[derive(Default)]
pub struct GatheredPages(Vec<Option<Box<(Month, Gathered)>>>);

/// What never happens is gathered after the last month.
const NEVER_GATHERED: usize = Month::LAST.next().since(Month::FIRST) as usize;

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
    pub(super) fn add(&mut self, row: &Row, parts: Parts<'_>, value: Value) {
        self.measures += row.measures(value.amount().map(|whole| parts.of(whole)));
        if matches!(row.event, Event::DealEnded(_)) {
            self.oldest_rate_on = older(self.oldest_rate_on, value.oldest_rate_on());
        }
    }
}

// === impl GatheredPages ===

impl GatheredPages {
    pub fn add(&mut self, pooled: Pooled, entry: &Entry) {
        let month = entry.on.month();
        let at = (month.since(Month::FIRST) as usize).min(NEVER_GATHERED);
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        self.0[at].get_or_insert_with(|| Box::new((month, Gathered::default()))).1.add(pooled, entry);
    }
}

// === impl Pages ===

impl Pages {
    pub fn insert(&mut self, pooled: Pooled, entry: &Entry) {
        self.0.entry(entry.on.month()).or_default().insert(pooled, entry);
    }

    /// The pages of what several tellers gathered, as if each entry had been inserted. Some get other numbers for
    /// what rows share. Threads make months in turn.
    pub fn of_gathered(parts: Vec<(GatheredPages, Option<Renumbered>)>, thread_count: usize) -> Self {
        let (parts, renumbered): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let mut by_month: BTreeMap<Month, Vec<(Gathered, Option<&Renumbered>)>> = BTreeMap::new();
        for (part, renumbered) in parts.into_iter().zip(&renumbered) {
            for (month, gathered) in part.0.into_iter().flatten().map(|of_month| *of_month) {
                by_month.entry(month).or_default().push((gathered, renumbered.as_ref()));
            }
        }
        let left = Mutex::new(by_month);
        let make_months = || {
            let mut made = Vec::new();
            loop {
                let next = left.lock().pop_last();
                let Some((month, parts)) = next else { return made };
                let whole =
                    parts.into_iter().fold(Gathered::default(), |mut whole, (mut part, renumbered)| {
                        renumbered.into_iter().for_each(|by| part.renumber(by));
                        whole.append(part);
                        whole
                    });
                made.push((month, whole.into_page(month)));
            }
        };
        Self(on_threads(thread_count, make_months).into_iter().flatten().collect())
    }

    /// Puts an entry where another lies that [`Entry::lies_like`] it.
    pub fn amend(&mut self, was: (Pooled, &Entry), now: (Pooled, &Entry)) {
        if let Some(page) = self.0.get_mut(&now.1.on.month()) {
            page.amend(was, now);
        }
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
            let sum = (!page.has_foreign(rates))
                .then(|| sum_of(page, pools, scope, dates, dates == whole))
                .flatten();
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
            let sum = || Some(sum_of(page, pools, scope, dates, dates == whole)?.open_count());
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

    /// How many rows a fold over `dates` reads at most. A page that answers with a sum counts as one.
    pub fn rows_folded(&self, scope: &Scope, dates: DateRange, rates: RatesOn) -> usize {
        if dates.days() <= 0 {
            return 0;
        }
        let pages = self.0.range(dates.from.month()..=dates.to.plus_days(-1).month());
        let weight = |(month, page): (&Month, &Page)| {
            let is_whole = dates.from <= month.first_day() && month.next().first_day() <= dates.to;
            let is_summed = keeps_sum(page, scope, is_whole) && !page.has_foreign(rates);
            if is_summed && (is_whole || scope.slots.is_none()) {
                return 1;
            }
            let (from, last) = (dates.from, dates.to.plus_days(-1));
            let sheets = [&page.opened, &page.ended, &page.leads];
            let read: usize = sheets.map(|sheet| sheet.rows_read(scope, from, last)).iter().sum();
            match &scope.slots {
                // Whoever has more has sums by day.
                Some(slots) if is_summed => read.min(slots.len() * DAYS_FROM_ROWS as usize),
                _ => read,
            }
        };
        pages.map(weight).sum()
    }

    /// All rows of what one slot sourced, where a scope asks for that. Its rows in other roles are passed over, which
    /// costs little.
    pub fn rows_in_all(&self, scope: &Scope) -> Option<u32> {
        match scope.slots.as_deref()? {
            [slot] if scope.roles == Roles::SOURCED => {
                Some(self.0.values().map(|page| page.row_count(Some(*slot))).sum())
            }
            _ => None,
        }
    }

    /// How many rows [`Self::entries`] looks at, at most.
    pub fn rows_read<'a>(
        &'a self,
        sheet: impl Fn(&'a Page) -> &'a Sheet,
        scope: &Scope,
        from: Date,
        last: Date,
    ) -> usize {
        if last < from {
            return 0;
        }
        let pages = self.0.range(from.month()..=last.month());
        pages.map(|(_, page)| sheet(page).rows_read(scope, from, last)).sum()
    }

    /// The ends of a scope's deals that are open at the end of a date.
    pub fn open<'a>(
        &'a self,
        pools: &'a Pools,
        scope: &'a Scope,
        on: Date,
    ) -> impl Iterator<Item = (&'a Row, Parts<'a>)> {
        self.ending_after(|_, _| true, pools, scope, on).filter(move |(row, _)| row.other_on <= on)
    }

    /// The ends of a scope's deals after a date, of those without an end too, on the pages that are asked for.
    pub fn ending_after<'a>(
        &'a self,
        pages: impl Fn(Month, &'a Page) -> bool + 'a,
        pools: &'a Pools,
        scope: &'a Scope,
        on: Date,
    ) -> impl Iterator<Item = (&'a Row, Parts<'a>)> {
        let from = on.next();
        let asked = self.range(from.month()..).filter(move |&(month, page)| pages(month, page));
        asked.flat_map(move |(_, page)| page.ended.entries(pools, scope, from, Date::NEVER))
    }

    /// Once a partner has another region.
    pub fn forget_regions(&mut self) {
        self.0.values_mut().for_each(Page::forget_regions);
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
fn sum_of(page: &Page, pools: &Pools, scope: &Scope, dates: DateRange, is_whole: bool) -> Option<Measures> {
    if let Some(regions) = scope.regions_alone() {
        return Some(page.by_region(regions, pools)?.measures(regions, dates));
    }
    match (&scope.slots, &scope.desks) {
        _ if scope.test.is_some() => None,
        (Some(slots), None) => (scope.roles == Roles::SOURCED).then(|| page.slots(slots, dates, is_whole)),
        (Some(_), Some(_)) => None,
        (None, Some(desks)) => page.desks(desks, dates, is_whole),
        (None, None) if is_whole => Some(page.whole_tenant()),
        (None, None) => Some(page.tenant(dates)),
    }
}

/// Whether a page keeps a sum for a scope already.
fn keeps_sum(page: &Page, scope: &Scope, is_whole: bool) -> bool {
    scope.test.is_none()
        && match (&scope.slots, &scope.desks) {
            (None, None) => true,
            (None, Some(desks)) => is_whole || page.has_sums_of(desks),
            (Some(_), None) => scope.roles == Roles::SOURCED,
            (Some(_), Some(_)) => false,
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
    pub fn verify(&self, pools: &Pools) {
        for (month, page) in &self.0 {
            assert!(!page.is_empty(), "{month:?} is empty");
            let mut rows = [&page.opened, &page.ended, &page.leads].into_iter().flat_map(Sheet::rows);
            assert!(rows.all(|row| row.on.month() == *month));
            page.verify(pools);
        }
    }

    /// All that the pages hold, to be compared.
    pub fn contents(&self) -> Vec<(Month, impl PartialEq + std::fmt::Debug + use<>)> {
        self.0.iter().map(|(month, page)| (*month, page.contents())).collect()
    }
}
