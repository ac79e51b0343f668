//! Evidence: the records behind a figure, one by one, each with what it adds.
//!
//! Invariants, each a property test:
//! 1. The records and their amounts add up to the figure exactly: both walk the same entries.
//! 2. The order is total and the replicas': by date, leads before deals, then by the bytes of ids. A record
//!    comes once.

use super::Book;
use super::entry::{Event, Outcome, ProspectOutcome};
use super::packed::{DealRef, LeadRef};
use super::page::{Page, Parts, Row, Sheet};
use super::patience::{IsAwaited, while_awaited};
use super::scope::Scope;
use crate::domain::amount::{Amount, Money};
use crate::domain::calendar::{Date, DateRange};
use crate::domain::premises::RatesOn;
use crate::kpi::measures::Tally;

/// A figure that counts records one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureKind {
    Won,
    /// To a competitor or not.
    Lost,
    Expired,
    /// Lost or expired.
    Missed,
    Opened,
    /// Open at the end of `as_of`.
    Open,
    /// In work on a day of the window.
    InWork,
    LeadsCreated,
    LeadsConverted,
    LeadsDisqualified,
    /// Those that came in the window, whatever became of them.
    Prospects,
    Purchased,
    LostProspects,
}

/// A figure whose records are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Behind {
    pub figure: FigureKind,
    /// The days of the window that count. What is open doesn't look at them.
    pub dates: DateRange,
    pub as_of: Date,
    /// What is open is converted on `as_of` where amounts are on their own day.
    pub rates: RatesOn,
}

/// Where a record stands among those of its figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place<'a> {
    pub on: Date,
    pub kind: ContributorKind,
    pub id: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContributorKind {
    Lead = 1,
    Deal = 2,
}

/// A record with what it adds to a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contribution<'a> {
    pub place: Place<'a>,
    /// The scope's part in the reporting currency. None where it isn't known, and for figures without
    /// money.
    pub amount: Option<Amount>,
    /// The deal's whole amount as it was sent.
    pub original: Option<Money>,
    pub fate: Fate,
    /// None where it has come to none yet.
    pub fate_on: Option<Date>,
    pub oldest_rate_on: Option<Date>,
    /// Of deals in work: on how many days of the window.
    pub work_days: Option<i32>,
}

/// What became of a deal or prospect by the end of `as_of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Deal(Outcome),
    Prospect(ProspectOutcome),
}

/// Some of the records behind a figure, and what all of them add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidencePage<'a> {
    /// In order.
    pub contributions: Vec<Contribution<'a>>,
    /// Whether there are more.
    pub goes_on: bool,
    /// Of all of them, on this page or not.
    pub total: Tally,
    pub work_days: i64,
}

/// The first records behind figures, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstEvidence<'a> {
    pub deal_ids: Vec<&'a str>,
    pub lead_ids: Vec<&'a str>,
    /// Of all, also of those that aren't listed.
    pub record_count: i64,
}

/// A record behind a figure with what it adds: as much as its sum needs.
pub(super) struct Found<'a> {
    row: &'a Row,
    pub(super) place: Place<'a>,
    pub(super) amount: Option<Amount>,
    oldest_rate_on: Option<Date>,
}

// === impl FigureKind ===

impl FigureKind {
    pub const ALL: [Self; 13] = [
        Self::Won,
        Self::Lost,
        Self::Expired,
        Self::Missed,
        Self::Opened,
        Self::Open,
        Self::InWork,
        Self::LeadsCreated,
        Self::LeadsConverted,
        Self::LeadsDisqualified,
        Self::Prospects,
        Self::Purchased,
        Self::LostProspects,
    ];

    /// Whether it has an amount beside its count.
    pub fn has_amount(self) -> bool {
        matches!(self, Self::Won | Self::Lost | Self::Expired | Self::Missed | Self::Opened | Self::Open)
    }

    /// Whether it counts leads as such, which have neither products nor labels.
    pub fn is_of_leads(self) -> bool {
        matches!(self, Self::LeadsCreated | Self::LeadsConverted | Self::LeadsDisqualified)
    }

    fn is_of_prospects(self) -> bool {
        matches!(self, Self::Prospects | Self::Purchased | Self::LostProspects)
    }

    /// On which sheets its entries lie.
    fn sheets(self) -> &'static [fn(&Page) -> &Sheet] {
        fn opened(page: &Page) -> &Sheet {
            &page.opened
        }
        fn ended(page: &Page) -> &Sheet {
            &page.ended
        }
        fn leads(page: &Page) -> &Sheet {
            &page.leads
        }
        match self {
            Self::Won | Self::Lost | Self::Expired | Self::Missed | Self::Open | Self::InWork => &[ended],
            Self::Opened => &[opened],
            Self::LeadsCreated | Self::LeadsConverted | Self::LeadsDisqualified => &[leads],
            Self::Prospects => &[leads, opened],
            Self::Purchased | Self::LostProspects => &[leads, ended],
        }
    }
}

// === impl Behind ===

impl Behind {
    /// Within which days its entries lie: the first and the last.
    fn days(&self) -> (Date, Date) {
        match self.figure {
            FigureKind::Open => (self.as_of.next(), Date::NEVER),
            FigureKind::InWork => (self.dates.from, Date::NEVER),
            _ => (self.dates.from, self.dates.to.plus_days(-1)),
        }
    }

    /// Whether an entry within its days counts.
    fn counts(&self, row: &Row) -> bool {
        use Event::{DealEnded, DealOpened, LeadConverted, LeadCreated, LeadDisqualified, ProspectEnded};
        use Outcome::{Expired, Lost, LostToCompetitor, Won};
        match self.figure {
            FigureKind::Won => row.event == DealEnded(Won),
            FigureKind::Lost => matches!(row.event, DealEnded(Lost | LostToCompetitor)),
            FigureKind::Expired => row.event == DealEnded(Expired),
            FigureKind::Missed => matches!(row.event, DealEnded(Lost | LostToCompetitor | Expired)),
            FigureKind::Opened => true,
            FigureKind::Open => row.other_on <= self.as_of,
            FigureKind::InWork => work_days(row, self.dates) > 0,
            FigureKind::LeadsCreated => matches!(row.event, LeadCreated(_)),
            FigureKind::LeadsConverted => row.event == LeadConverted,
            FigureKind::LeadsDisqualified => row.event == LeadDisqualified,
            FigureKind::Prospects => row.is_prospect() && matches!(row.event, DealOpened(_) | LeadCreated(_)),
            FigureKind::Purchased => {
                let purchased = ProspectEnded(ProspectOutcome::Purchased);
                row.is_prospect() && (row.event == DealEnded(Won) || row.event == purchased)
            }
            FigureKind::LostProspects => {
                let lost = ProspectEnded(ProspectOutcome::Lost);
                let by_deal = matches!(row.event, DealEnded(Lost | LostToCompetitor | Expired));
                row.is_prospect() && (by_deal || row.event == lost)
            }
        }
    }
}

/// On how many of `dates` a deal was in work: open, or opened and ended.
pub(super) fn work_days(end: &Row, dates: DateRange) -> i32 {
    let (opened_on, ended_on) = (end.other_on, end.on);
    if opened_on == ended_on {
        return i32::from(dates.contains(ended_on));
    }
    ended_on.min(dates.to).days_since(opened_on.max(dates.from)).max(0)
}

/// Keeps the first of many that come in no order, in little memory: drops others once they are as many.
fn keep_first<T, K: Ord>(all: &mut Vec<T>, wanted: usize, key: impl FnMut(&T) -> K) {
    if all.len() > 2 * wanted {
        all.select_nth_unstable_by_key(wanted, key);
        all.truncate(wanted);
    }
}

// === impl Book ===

impl Book {
    /// All records behind a figure, in order.
    pub fn evidence<'a>(&'a self, scope: &'a Scope, asked: Behind) -> Vec<Contribution<'a>> {
        let mut all: Vec<Found<'_>> = self.found_behind(scope, asked).collect();
        all.sort_unstable_by_key(|found| found.place);
        all.into_iter().map(|found| self.contribution(found, asked)).collect()
    }

    /// Up to `count` of them, after the place given.
    pub fn evidence_page<'a>(
        &'a self,
        scope: &'a Scope,
        asked: Behind,
        after: Option<Place<'_>>,
        count: usize,
        is_awaited: IsAwaited<'_>,
    ) -> EvidencePage<'a> {
        let (mut total, mut work_day_count) = (Tally::default(), 0);
        let mut first: Vec<Found<'_>> = Vec::new();
        // One more than the page holds: whether there is a next page is known without asking again.
        let wanted = count + 1;
        for found in while_awaited(self.found_behind(scope, asked), is_awaited) {
            total += Tally {
                count: 1,
                priced_count: found.amount.is_some().into(),
                amount_e4: found.amount.map_or(0, |amount| amount.e4().into()),
            };
            if asked.figure == FigureKind::InWork {
                work_day_count += i64::from(work_days(found.row, asked.dates));
            }
            if after.is_none_or(|after| found.place > after) {
                first.push(found);
            }
            keep_first(&mut first, wanted, |found| found.place);
        }
        first.sort_unstable_by_key(|found| found.place);
        let goes_on = first.len() > count;
        first.truncate(count);
        let contributions = first.into_iter().map(|found| self.contribution(found, asked)).collect();
        EvidencePage { contributions, goes_on, total, work_days: work_day_count }
    }

    /// The first `count` deals and leads behind several figures that share none, in order.
    pub fn first_evidence<'a>(
        &'a self,
        scope: &'a Scope,
        asked: &[Behind],
        count: usize,
    ) -> FirstEvidence<'a> {
        let (mut deals, mut leads, mut record_count) = (Vec::new(), Vec::new(), 0);
        for found in asked.iter().flat_map(|&asked| self.found_behind(scope, asked)) {
            record_count += 1;
            let first = match found.place.kind {
                ContributorKind::Deal => &mut deals,
                ContributorKind::Lead => &mut leads,
            };
            first.push(found.place);
            keep_first(first, count, |&place| place);
        }
        let ids = |mut first: Vec<Place<'a>>| {
            first.sort_unstable();
            first.iter().take(count).map(|place| place.id).collect()
        };
        FirstEvidence { deal_ids: ids(deals), lead_ids: ids(leads), record_count }
    }

    /// All records behind a figure, in no order.
    fn found_behind<'a>(&'a self, scope: &'a Scope, asked: Behind) -> impl Iterator<Item = Found<'a>> {
        self.rows_behind(scope, asked).map(move |(row, parts)| self.found(row, parts, asked))
    }

    /// The entries of all records behind a figure, in no order.
    pub(super) fn rows_behind<'a>(
        &'a self,
        scope: &'a Scope,
        asked: Behind,
    ) -> impl Iterator<Item = (&'a Row, Parts<'a>)> {
        let (from, last) = asked.days();
        let sheets = asked.figure.sheets().iter();
        let entries =
            sheets.flat_map(move |&sheet| self.pages.entries(&self.pools, sheet, scope, from, last));
        entries.filter(move |(row, _)| asked.counts(row))
    }

    pub(super) fn found<'a>(&'a self, row: &'a Row, parts: Parts<'_>, asked: Behind) -> Found<'a> {
        let dictionary = &self.records.dictionary;
        let (kind, id) = if row.event.is_of_deal() {
            (ContributorKind::Deal, dictionary.deals.name(DealRef::new(row.of)))
        } else {
            (ContributorKind::Lead, dictionary.leads.name(LeadRef::new(row.of)))
        };
        let on = match asked.figure {
            FigureKind::Open | FigureKind::InWork => row.other_on,
            _ => row.on,
        };
        let place = Place { on, kind, id };
        let mut found = Found { row, place, amount: None, oldest_rate_on: None };
        if asked.figure == FigureKind::Open {
            let settings = self.settings().expect("nothing contributes without settings");
            if let Some(then) = self.as_it_stood(DealRef::new(row.of), asked.as_of, settings) {
                let rates_on = asked.rates.day().unwrap_or(asked.as_of);
                let priced = self.priced(&then, parts, rates_on, settings);
                (found.amount, found.oldest_rate_on) = (priced.amount, priced.oldest_rate_on);
            }
        } else if asked.figure.has_amount() {
            let value = self.value_of(row, asked.rates);
            found.amount = value.amount().map(|whole| parts.of(whole));
            found.oldest_rate_on = value.oldest_rate_on();
        }
        found
    }

    /// What was found, with all that a list tells of it.
    fn contribution<'a>(&'a self, found: Found<'a>, asked: Behind) -> Contribution<'a> {
        let Found { row, place, amount, oldest_rate_on } = found;
        let deal = DealRef::new(row.of);
        let original = match (place.kind, asked.figure) {
            (ContributorKind::Lead, _) => None,
            (ContributorKind::Deal, FigureKind::Open) => {
                let settings = self.settings().expect("nothing contributes without settings");
                self.as_it_stood(deal, asked.as_of, settings).and_then(|then| then.amount)
            }
            (ContributorKind::Deal, _) => self.records.deals.current(deal).and_then(|current| current.amount),
        };
        let (fate, fate_on) = self.fate(row, asked);
        let work_days = (asked.figure == FigureKind::InWork).then(|| work_days(row, asked.dates));
        Contribution { place, amount, original, fate, fate_on, oldest_rate_on, work_days }
    }

    /// What became of a row's deal or prospect by `as_of`, and when.
    pub(super) fn fate(&self, row: &Row, asked: Behind) -> (Fate, Option<Date>) {
        let (fate, on) = match row.event {
            Event::DealOpened(outcome) => (Fate::Deal(outcome), row.other_on),
            Event::DealEnded(outcome) => (Fate::Deal(outcome), row.on),
            Event::LeadCreated(outcome) => (Fate::Prospect(outcome), row.other_on),
            Event::ProspectEnded(outcome) => (Fate::Prospect(outcome), row.on),
            // A decision doesn't say what became of the lead.
            Event::LeadConverted | Event::LeadDisqualified => {
                let entries = self.entries_of_lead(LeadRef::new(row.of));
                let outcome = entries.iter().find_map(|entry| match entry.event {
                    Event::LeadCreated(outcome) => Some(outcome),
                    _ => None,
                });
                (Fate::Prospect(outcome.expect("a lead was created")), row.other_on)
            }
        };
        let has_come = on <= asked.as_of;
        let fate = match fate {
            Fate::Deal(outcome) if asked.figure.is_of_prospects() => Fate::Prospect(match outcome {
                _ if !has_come => ProspectOutcome::Unresolved,
                Outcome::Open => ProspectOutcome::Unresolved,
                Outcome::Won => ProspectOutcome::Purchased,
                Outcome::Lost | Outcome::LostToCompetitor | Outcome::Expired => ProspectOutcome::Lost,
            }),
            Fate::Deal(_) if !has_come => Fate::Deal(Outcome::Open),
            Fate::Prospect(_) if !has_come => Fate::Prospect(ProspectOutcome::Unresolved),
            come => come,
        };
        (fate, has_come.then_some(on))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::book::histories::book_of;
    use crate::book::small_tenant::{days, history, subjects, windows};
    use crate::domain::calendar::date;
    use crate::domain::filter::{CreditFilter, Filter};
    use crate::domain::ids::Term;
    use crate::domain::premises::Roles;
    use crate::domain::record::Role;
    use crate::kpi::measures::Measures;

    const ALWAYS: &str = "1970-01-01..2200-01-01";

    fn filters() -> impl Strategy<Value = Filter> {
        let term = |text| vec![None, Some(Term::try_new(text).unwrap())];
        select(vec![
            Filter::default(),
            Filter { regions: term("north"), ..Filter::default() },
            Filter { products: term("boots"), ..Filter::default() },
            Filter { credit: Some(CreditFilter::Credited), ..Filter::default() },
            Filter { partners: vec![Some(crate::book::histories::id("p1")), None], ..Filter::default() },
        ])
    }

    fn roles() -> impl Strategy<Value = Roles> {
        let all = [Role::Sourced, Role::Influenced, Role::Fulfilled];
        select(vec![Roles::SOURCED, Roles::of(&all[1..2]), Roles::of(&all)])
    }

    fn rates() -> impl Strategy<Value = RatesOn> {
        select(vec![RatesOn::OwnDay, RatesOn::Day(date("2024-01-31"))])
    }

    /// The figure, found without looking at single records: its tally, and the days of work.
    fn figure(book: &Book, scope: &Scope, asked: Behind) -> (Tally, i64) {
        let fold = |dates| book.fold(scope, dates, asked.rates).measures;
        let found = fold(asked.dates);
        let count = |count| (Tally { count, ..Tally::default() }, 0);
        match asked.figure {
            FigureKind::Won => (found.won, 0),
            FigureKind::Lost => (found.lost, 0),
            FigureKind::Expired => (found.expired, 0),
            FigureKind::Missed => {
                let mut missed = found.lost;
                missed += found.expired;
                (missed, 0)
            }
            FigureKind::Opened => (found.opened, 0),
            FigureKind::Open => {
                let rates_on = asked.rates.day().unwrap_or(asked.as_of);
                (book.pipeline(scope, &[], asked.as_of, rates_on, 14).found.open.deals, 0)
            }
            FigureKind::InWork => {
                let before = fold(DateRange { from: Date::FIRST, to: asked.dates.from });
                // Open before the window, or opened in it, less those that ended on its first day as
                // their last: whose work lay before.
                let first = DateRange { from: asked.dates.from, to: asked.dates.from.next() };
                let on_first = fold(first);
                let open_before = before.open_count();
                let ended_at_once = on_first.ended_count() - on_first.same_day_count;
                let days = asked.dates.days() > 0;
                let in_work = open_before + found.opened.count - ended_at_once;
                let work_days = found.work_days(before.open_count(), asked.dates);
                (Tally { count: if days { in_work } else { 0 }, ..Tally::default() }, work_days)
            }
            FigureKind::LeadsCreated => count(found.lead_count),
            FigureKind::LeadsConverted => count(found.converted_lead_count),
            FigureKind::LeadsDisqualified => count(found.disqualified_lead_count),
            FigureKind::Prospects => count(found.prospect_count),
            FigureKind::Purchased => count(found.purchased_count),
            FigureKind::LostProspects => count(found.lost_prospect_count),
        }
    }

    /// By reading on from the last row of each page.
    fn walked<'a>(
        book: &'a Book,
        scope: &'a Scope,
        asked: Behind,
        size: usize,
        expected: &(Tally, i64),
    ) -> Vec<Contribution<'a>> {
        let mut walked: Vec<Contribution<'a>> = Vec::new();
        loop {
            let after = walked.last().map(|last| last.place);
            let page = book.evidence_page(scope, asked, after, size, &|| true);
            assert_eq!(&(page.total, page.work_days), expected, "{asked:?}");
            assert!(page.contributions.len() == size || !page.goes_on, "a page is full but for the last");
            let goes_ahead =
                page.contributions.iter().all(|next| after.is_none_or(|after| next.place > after));
            assert!(goes_ahead, "the walk goes in circles");
            walked.extend(page.contributions);
            if !page.goes_on {
                return walked;
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(512), ..Default::default() })]

        #[test]
        fn the_records_and_their_amounts_add_up_to_the_figure(
            history in history(), subject in select(subjects()), filter in filters(), roles in roles(),
            rates in rates(), later in select(vec![0, 1, 40]), size in 1usize..4,
        ) {
            let book = book_of(history);
            let Some(scope) = book.scope(&subject, &filter, roles) else { return Ok(()) };
            for dates in windows() {
                for figure_kind in FigureKind::ALL {
                    let as_of = dates.to.plus_days(later - 1).min(Date::LAST);
                    let asked = Behind { figure: figure_kind, dates, as_of, rates };
                    let all = book.evidence(&scope, asked);
                    let in_order = all.windows(2).all(|pair| pair[0].place < pair[1].place);
                    prop_assert!(in_order, "{:?} {:?}", asked, all);

                    let mut sum = Tally { count: all.len() as i64, ..Tally::default() };
                    for amount in all.iter().filter_map(|contribution| contribution.amount) {
                        sum.priced_count += 1;
                        sum.amount_e4 += i128::from(amount.e4());
                    }
                    let work_days = all.iter().filter_map(|contribution| contribution.work_days);
                    let sums = (sum, work_days.map(i64::from).sum::<i64>());
                    let mut expected = figure(&book, &scope, asked);
                    if !figure_kind.has_amount() {
                        expected.0 = Tally { count: expected.0.count, ..Tally::default() };
                    }
                    prop_assert_eq!(sums, expected, "{:?}", asked);
                    prop_assert_eq!(walked(&book, &scope, asked, size, &expected), all);
                }
            }
        }

        /// Whatever came when: those that have come to an end by a day are those that ended up to it.
        #[test]
        fn fates_are_those_of_the_day(history in history(), subject in select(subjects()), filter in filters()) {
            let book = book_of(history);
            let Some(scope) = book.scope(&subject, &filter, Roles::SOURCED) else { return Ok(()) };
            for as_of in ["2023-12-31", "2024-01-31", "2024-02-10", "2025-06-01"].map(date) {
                let until = DateRange { from: Date::FIRST, to: as_of.next() };
                let by_then: Measures = book.fold(&scope, until, RatesOn::OwnDay).measures;
                let count = |figure, fate| {
                    let asked = Behind { figure, dates: days(ALWAYS), as_of, rates: RatesOn::OwnDay };
                    let all = book.evidence(&scope, asked);
                    assert!(all.iter().all(|found| found.fate_on.is_none_or(|on| on <= as_of)));
                    all.iter().filter(|found| found.fate == fate && found.fate_on.is_some()).count() as i64
                };
                for (figure, fate, expected) in [
                    (FigureKind::Opened, Fate::Deal(Outcome::Won), by_then.won.count),
                    (FigureKind::Opened, Fate::Deal(Outcome::Expired), by_then.expired.count),
                    (
                        FigureKind::Opened,
                        Fate::Deal(Outcome::LostToCompetitor),
                        by_then.lost_to_competitor_count,
                    ),
                    (FigureKind::InWork, Fate::Deal(Outcome::Won), by_then.won.count),
                    (
                        FigureKind::Prospects,
                        Fate::Prospect(ProspectOutcome::Purchased),
                        by_then.purchased_count,
                    ),
                    (FigureKind::Prospects, Fate::Prospect(ProspectOutcome::Lost), by_then.lost_prospect_count),
                ] {
                    prop_assert_eq!(count(figure, fate), expected, "{:?} {:?} on {}", figure, fate, as_of);
                }
            }
        }
    }
}
