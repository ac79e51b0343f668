//! Standings: the sums that a scope's KPIs in a window are told from, and its deals won one by one.

use std::ops::RangeInclusive;

use super::Book;
use super::contribute::life_of;
use super::cycles::DealCounts;
use super::entry::{Event, Outcome, ProspectOutcome};
use super::fates::{Fate, fate_of};
use super::packed::DealRef;
use super::page::{Page, Row};
use super::pages::older;
use super::scope::Scope;
use crate::domain::amount::Amount;
use crate::domain::calendar::{Date, DateRange};
use crate::domain::premises::{RatesOn, Roles};
use crate::domain::record::DealStatus;
use crate::domain::window::Window;
use crate::kpi::distribution::{StageDays, WonDeals, nearest_rank_of_counts};
use crate::kpi::standing::{Cohort, Standing};

/// A scope's standing, and the date of the oldest exchange rate among its amounts of ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stood {
    pub standing: Standing,
    pub oldest_rate_on: Option<Date>,
}

// === impl Book ===

impl Book {
    /// What a scope's KPIs in a window are told from. The cohort is a pass over the prospects: it is told
    /// where it is asked for.
    pub fn standing(&self, scope: &Scope, window: &Window, rates: RatesOn, with_cohort: bool) -> Stood {
        let open_before_count = self.pages.open_count_before(&self.pools, scope, window.counted().from);
        self.standing_after(open_before_count, scope, window, rates, with_cohort)
    }

    /// The same where it is known how many deals were open before the window: a series needn't count them anew
    /// for each of its buckets.
    pub fn standing_after(
        &self,
        open_before_count: i64,
        scope: &Scope,
        window: &Window,
        rates: RatesOn,
        with_cohort: bool,
    ) -> Stood {
        let dates = window.counted();
        let fold = self.fold(scope, dates, rates);
        let standing = Standing {
            measures: fold.measures,
            dates,
            open_before_count,
            cohort: if with_cohort { self.cohort(scope, dates, window.as_of) } else { Cohort::default() },
        };
        Stood { standing, oldest_rate_on: fold.oldest_rate_on }
    }

    /// What became by `as_of` of the prospects that came in `dates`: what the fates of their pages say, and row
    /// by row where those don't say it.
    pub fn cohort(&self, scope: &Scope, dates: DateRange, as_of: Date) -> Cohort {
        let mut cohort = Cohort::default();
        let last = dates.to.plus_days(-1);
        if last < dates.from {
            return cohort;
        }
        for (month, page) in self.pages.range(dates.from.month()..=last.month()) {
            let (from, last) = (dates.from.max(month.first_day()), last.min(month.last_day()));
            let is_whole = (from, last) == (month.first_day(), month.last_day());
            let days = (!is_whole).then_some(from..=last);
            let fate = match scope.regions_alone() {
                Some(regions) => page
                    .by_region(regions, &self.pools)
                    .map(|by_region| by_region.fate(regions, days.as_ref(), as_of)),
                None if is_served_by_fates(scope) => fate_in(page, scope, days, as_of),
                None => None,
            };
            match fate {
                Some(fate) => cohort.add_fate(&fate),
                None => {
                    for sheet in [&page.opened, &page.leads] {
                        let entries = sheet.entries(&self.pools, scope, from, last);
                        entries.for_each(|(row, _)| cohort.add(row, as_of));
                    }
                }
            }
        }
        cohort
    }

    /// The deals of a scope won in `dates`, one by one.
    pub fn won_deals(&self, scope: &Scope, dates: DateRange, rates: RatesOn) -> WonDeals<'_> {
        let mut won = WonDeals::default();
        let last = dates.to.plus_days(-1);
        if last < dates.from {
            return won;
        }
        for (_, page) in self.pages.range(dates.from.month()..=last.month()) {
            // What is everyone's part of a deal, or a desk's, is all of it.
            if scope.slots.is_none() && scope.test.is_none() && !page.has_foreign(rates) {
                page.won().each(scope.desks.as_ref(), |deal, told| {
                    if dates.contains(told.closed_on) {
                        let cycle_days = told.closed_on.days_since(told.opened_on);
                        let amount = told.amount.map(|whole| (whole, whole));
                        self.add_won(&mut won, DealRef::new(deal), cycle_days, amount, told.was_sent_closed);
                    }
                });
                continue;
            }
            let ended = page.ended.entries(&self.pools, scope, dates.from, last);
            ended.filter(|(row, _)| row.event == Event::DealEnded(Outcome::Won)).for_each(|(row, parts)| {
                let cycle_days = row.on.days_since(row.other_on);
                let amount = self.value_of(row, rates).amount().map(|whole| (whole, parts.of(whole)));
                self.add_won(&mut won, DealRef::new(row.of), cycle_days, amount, row.was_sent_closed());
            });
        }
        won
    }

    /// Adds a deal that was won: `amount` are the whole one and the scope's part of it.
    fn add_won<'a>(
        &'a self,
        won: &mut WonDeals<'a>,
        deal: DealRef,
        cycle_days: i32,
        amount: Option<(Amount, Amount)>,
        was_sent_closed: bool,
    ) {
        won.cycle_days.push(cycle_days);
        if let Some((whole, part)) = amount {
            won.amounts_e4.push(part.e4());
            won.whole_amount_e4 += i128::from(whole.e4());
        }
        // What was sent once, closed, was seen in no stage.
        if !was_sent_closed {
            self.add_stages(won, deal);
        }
    }

    /// The days within which nine of ten deals of the tenant got from opening to closing that were won in the 365
    /// days that end with `as_of`: a prospect that is older has most likely come to its end. None where no deal
    /// was won.
    pub fn p90_cycle_days(&self, as_of: Date) -> Option<i32> {
        let from = as_of.plus_days(-364);
        let mut deal_counts = DealCounts::default();
        for (month, page) in self.pages.range(from.month()..=as_of.month()) {
            let is_whole = from <= month.first_day() && month.last_day() <= as_of;
            page.cycles().add_to(&mut deal_counts, (!is_whole).then_some(from..=as_of));
        }
        nearest_rank_of_counts(&deal_counts, 90)
    }

    /// Adds the days that a deal spent in each stage, by its versions sent while it was open. The first stage
    /// counts from the opening, the last to the closing.
    fn add_stages<'a>(&'a self, won: &mut WonDeals<'a>, deal: DealRef) {
        let Some((current, settings)) = self.records.deals.current(deal).zip(self.settings()) else { return };
        let (opened_on, closed_on, _) = life_of(&current, settings);
        let open = self.records.deals.in_force(deal).filter_map(|kept| {
            let content = self.records.deals.content(&kept)?;
            let on = settings.zone.local_date(kept.key.update_time);
            (content.status == DealStatus::Open).then_some((on, content.stage))
        });
        let mut days: Vec<(Option<_>, i32)> = Vec::new();
        let mut spend = |stage, spent: i32| match days.iter_mut().find(|(known, _)| *known == stage) {
            Some((_, sum)) => *sum += spent,
            None => days.push((stage, spent)),
        };
        let mut since: Option<(Date, Option<_>)> = None;
        for (on, stage) in open {
            match since {
                // The first one tells the stage from the opening on, whenever it was sent.
                None => since = Some((opened_on, stage)),
                // What was sent after the closing says nothing more of the days before.
                Some((from, last_stage)) if last_stage != stage && on <= closed_on => {
                    let on = on.max(from);
                    spend(last_stage, on.days_since(from));
                    since = Some((on, stage));
                }
                Some(_) => {}
            }
        }
        if let Some((from, stage)) = since {
            spend(stage, closed_on.days_since(from));
        }
        for (stage, spent) in days {
            let name = stage.map(|stage| self.records.dictionary.terms.name(stage));
            let StageDays { days, deal_count } = won.stages.entry(name).or_default();
            *days += i64::from(spent);
            *deal_count += 1;
        }
    }
}

/// Whether fates are told of what the scope asks for.
fn is_served_by_fates(scope: &Scope) -> bool {
    scope.test.is_none() && (scope.slots.is_none() || scope.roles == Roles::SOURCED)
}

/// What became by `as_of` of those that came on some days of a page, or, without, on all, where its fates say that.
fn fate_in(page: &Page, scope: &Scope, days: Option<RangeInclusive<Date>>, as_of: Date) -> Option<Fate> {
    let fates = page.fates();
    let of = |all: &[Fate], at: usize| all.get(at).copied().unwrap_or_default();
    let is_over = || days.is_none() && fates.all.are_over(as_of);
    match (scope.slots.as_deref(), &scope.desks) {
        (None, None) => Some(fates.all.fate(days, as_of)),
        (Some([Some(partner)]), None) if is_over() => Some(of(&fates.slots, partner.index())),
        (Some([Some(partner)]), None) => Some(fates.courses(*partner)?.fate(days, as_of)),
        (None, Some(desks)) if is_over() => {
            let all = desks.iter().map(|desk| of(&fates.desks, desk.index()));
            Some(all.fold(Fate::default(), |mut sum, fate| {
                sum.add(&fate);
                sum
            }))
        }
        (None, Some(desks)) => page.fate_of_desks(desks, days, as_of),
        _ => None,
    }
}

/// Of a row that is the coming of a prospect: what became of it by `as_of`.
pub(super) fn came(row: &Row, as_of: Date) -> Option<ProspectOutcome> {
    let outcome = fate_of(row.event, row.is_prospect())?;
    Some(if row.other_on <= as_of { outcome } else { ProspectOutcome::Unresolved })
}

// === impl Cohort ===

impl Cohort {
    fn add_fate(&mut self, fate: &Fate) {
        self.prospect_count += fate.prospect_count;
        self.purchased_count += fate.purchased_count;
        self.lost_count += fate.lost_count;
    }

    /// Adds a row that is the coming of a prospect.
    pub(super) fn add(&mut self, row: &Row, as_of: Date) {
        let Some(outcome) = came(row, as_of) else { return };
        self.prospect_count += 1;
        match outcome {
            ProspectOutcome::Purchased => self.purchased_count += 1,
            ProspectOutcome::Lost => self.lost_count += 1,
            ProspectOutcome::Unresolved => {}
        }
    }
}

// === impl Stood ===

impl Stood {
    /// Notes another rate that figures rest on.
    pub fn rest_on(&mut self, rate_on: Option<Date>) {
        self.oldest_rate_on = older(self.oldest_rate_on, rate_on);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::book::board::tests::{Asked, asked, config};
    use crate::book::histories::{apply, scope};
    use crate::book::page::{Parts, Sheet};
    use crate::book::pages::Fold;
    use crate::book::small_tenant::{history, subjects};
    use crate::domain::filter::Filter;
    use crate::domain::subject::Subject;

    const SHEETS: [fn(&Page) -> &Sheet; 3] = [|page| &page.opened, |page| &page.ended, |page| &page.leads];

    /// Calls `take` with the entries of a scope as rows say them, without places or sums.
    fn each_entry<'a>(
        book: &'a Book,
        sheet: fn(&Page) -> &Sheet,
        scope: &'a Scope,
        dates: DateRange,
        mut take: impl FnMut(&'a Row, Parts<'a>),
    ) {
        for sheet in book.pages.range(..).map(|(_, page)| sheet(page)) {
            let whole = Scope { desks: None, ..scope.clone() };
            let mine: Vec<_> = sheet
                .entries(&book.pools, &whole, dates.from, dates.to.plus_days(-1))
                .filter(|(row, _)| scope.is_at_desk(row))
                .map(|(row, _)| (row.of, row.event, row.on))
                .collect();
            let mut found = Vec::new();
            for (row, parts) in sheet.entries(&book.pools, scope, dates.from, dates.to.plus_days(-1)) {
                found.push((row.of, row.event, row.on));
                take(row, parts);
            }
            assert_eq!(found.len(), mine.len(), "as many entries as rows say");
            assert!(found.iter().all(|entry| mine.contains(entry)), "those that rows say");
        }
    }

    /// Those in the window, one by one.
    fn won_one_by_one<'a>(book: &'a Book, scope: &Scope, dates: DateRange, rates: RatesOn) -> WonDeals<'a> {
        let mut won = WonDeals::default();
        each_entry(book, SHEETS[1], scope, dates, |row, parts| {
            if row.event == Event::DealEnded(Outcome::Won) {
                won.cycle_days.push(row.on.days_since(row.other_on));
                if let Some(whole) = book.value_of(row, rates).amount() {
                    won.amounts_e4.push(parts.of(whole).e4());
                    won.whole_amount_e4 += i128::from(whole.e4());
                }
                if !row.was_sent_closed() {
                    book.add_stages(&mut won, DealRef::new(row.of));
                }
            }
        });
        in_order(won)
    }

    fn in_order(mut won: WonDeals<'_>) -> WonDeals<'_> {
        won.cycle_days.sort_unstable();
        won.amounts_e4.sort_unstable();
        won
    }

    proptest! {
        #![proptest_config(config())]

        /// After every batch, also where places and sums of desks were kept through it.
        #[test]
        fn what_is_told_of_desks_is_what_their_rows_say(history in history(), asked in vec(asked(), 3)) {
            let mut book = Book::default();
            for batch in history {
                apply(&mut book, batch);
                for (Asked { premises, window, rates }, subject) in
                    asked.iter().flat_map(|asked| subjects().into_iter().map(move |subject| (asked, subject)))
                {
                    if matches!(subject, Subject::Partner { .. }) {
                        continue;
                    }
                    let (dates, as_of) = (window.counted(), window.as_of);
                    for filter in [&Filter::default(), &premises.filter] {
                        let Some(scope) = book.scope(&subject, filter, premises.roles) else { continue };
                        let (mut fold, mut cohort, mut open_count) = (Fold::default(), Cohort::default(), 0);
                        for sheet in SHEETS {
                            each_entry(&book, sheet, &scope, dates, |row, parts| {
                                fold.add(row, parts, book.value_of(row, *rates));
                                cohort.add(row, as_of);
                            });
                        }
                        let before = DateRange { from: Date::FIRST, to: dates.from };
                        each_entry(&book, SHEETS[0], &scope, before, |_, _| open_count += 1);
                        each_entry(&book, SHEETS[1], &scope, before, |_, _| open_count -= 1);
                        prop_assert_eq!(book.fold(&scope, dates, *rates), fold, "{:?}", subject);
                        prop_assert_eq!(book.cohort(&scope, dates, as_of), cohort, "{:?}", subject);
                        prop_assert_eq!(
                            book.pages.open_count_before(&book.pools, &scope, dates.from), open_count, "{:?}", subject
                        );
                        prop_assert_eq!(
                            in_order(book.won_deals(&scope, dates, *rates)),
                            won_one_by_one(&book, &scope, dates, *rates),
                            "{:?}", subject
                        );
                    }
                }
                for Asked { window, .. } in &asked {
                    let Some(tenant) = scope(&book, &Subject::Tenant) else { continue };
                    let year = DateRange { from: window.as_of.plus_days(-364), to: window.as_of.next() };
                    let won = won_one_by_one(&book, &tenant, year, RatesOn::OwnDay);
                    prop_assert_eq!(book.p90_cycle_days(window.as_of), won.cycle_days_percentile(90));
                }
            }
        }
    }
}
