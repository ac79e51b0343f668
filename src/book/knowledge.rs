//! What was known then: over random histories a book of it equals the book that had nothing else.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::histories::{book_of, days, exported, id, noon, plain_deal, plain_settings, restored, seen};
use super::quality::QualityQuestion;
use super::small_tenant::{history, key, question, subjects};
use super::{Batch, Behind, BoardQuestion, Book, FigureKind, MarketingQuestion, Recollection, Scope};
use crate::domain::calendar::{Instant, date};
use crate::domain::filter::{Dimension, Filter};
use crate::domain::premises::{ExchangePolicy, Knowledge, Premises, RatesOn, Roles};
use crate::domain::record::{DealStatus, Record, State, Version, canonical};
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::{PeriodStarts, Window, WindowSpec};
use crate::kpi::marketing_channel::Basis;

/// Whole, partial, and of all time.
const WINDOWS: [(&str, &str); 4] = [
    ("2024-01-01..2024-02-01", "2024-03-10"),
    ("2024-01-31..2024-03-02", "2024-02-10"),
    ("2023-12-15..2024-01-16", "2024-01-15"),
    ("1970-01-01..2200-01-01", "2024-03-01"),
];

/// When the batch of a revision came, as `histories` stamps them.
fn received_time(revision: u64) -> Instant {
    Instant::FIRST.plus_hours(1_000 + revision as i64)
}

fn is_settings(version: &&Version) -> bool {
    matches!(version.record, Record::Settings(_))
}

/// What a tenant would have been sent that was told only what is kept of its history; and the first settings,
/// where no settings are kept.
fn kept_of(history: &[Vec<Version>], keep: impl Fn(usize, &Version) -> bool) -> Vec<Vec<Version>> {
    let kept = history.iter().enumerate().map(|(n, batch)| {
        let kept = batch.iter().filter(|version| keep(n, version));
        kept.cloned().collect::<Vec<_>>()
    });
    let mut kept: Vec<Vec<Version>> = kept.collect();
    if !kept.iter().flatten().any(|version| is_settings(&version)) {
        let all = history.iter().flatten().filter(is_settings);
        kept.extend(
            all.min_by_key(|version| (version.key, canonical(&version.record)))
                .map(|first| vec![first.clone()]),
        );
    }
    kept
}

/// All that is told beside sums: pipelines, movements, targets, marketing, standings, peers, evidence, groups, deals
/// won and data quality.
pub fn told(book: &Book) -> Vec<String> {
    let mut told = Vec::new();
    for (dates, as_of) in WINDOWS {
        let starts = PeriodStarts { week_start: chrono::Weekday::Mon, fiscal_year_start_month: 1 };
        let window = WindowSpec::Dates(days(dates)).resolve(date(as_of), &starts).expect("a fine window");
        for subject in subjects() {
            for rates in [RatesOn::OwnDay, RatesOn::Day(date("2024-01-31"))] {
                let Some(scope) = book.scope(&subject, &Filter::default(), Roles::SOURCED) else { continue };
                tell(&mut told, book, &subject, &scope, &window, rates);
            }
        }
        for kind in [SubjectKind::Partner, SubjectKind::Employee, SubjectKind::Unit] {
            let premises = Premises::default();
            let asked = BoardQuestion::new(kind, false, &premises, &window, RatesOn::OwnDay);
            let board = book.board(&asked.with_open(&premises));
            for subject in subjects().iter().filter(|subject| is_of(subject, kind)) {
                note(&mut told, &book.peer(&board, subject).map(|(peer, _)| peer));
            }
        }
    }
    told
}

fn is_of(subject: &Subject, kind: SubjectKind) -> bool {
    match subject {
        Subject::Tenant => false,
        Subject::Partner { .. } => kind == SubjectKind::Partner,
        Subject::Employee(_) => kind == SubjectKind::Employee,
        Subject::Unit(_) => kind == SubjectKind::Unit,
    }
}

fn tell(
    told: &mut Vec<String>,
    book: &Book,
    subject: &Subject,
    scope: &Scope,
    window: &Window,
    rates: RatesOn,
) {
    let (dates, as_of) = (window.counted(), window.as_of);
    let rates_on = rates.day().unwrap_or(as_of);
    note(told, subject);
    note(told, &book.pipeline(scope, &[], as_of, rates_on, 14));
    note(told, &book.movement(scope, dates.from.min(as_of), as_of, rates_on));
    let exchange = rates.day().map_or(ExchangePolicy::AtClose, ExchangePolicy::Fixed);
    note(told, &book.targets(subject, Roles::SOURCED, as_of, exchange));
    note(told, &book.standing(scope, window, rates, true));
    for basis in [Basis::Period, Basis::Cohort] {
        let asked = MarketingQuestion { subject, filter: &Filter::default(), scope, basis, rates };
        note(told, &book.marketing(&asked, window));
    }
    for figure in
        [FigureKind::Won, FigureKind::Missed, FigureKind::Open, FigureKind::InWork, FigureKind::Prospects]
    {
        let behind = Behind { figure, dates, as_of, rates };
        note(told, &book.evidence_page(scope, behind, None, 1_000, &|| true));
    }
    for dimension in
        [Dimension::Region, Dimension::Product, Dimension::Channel, Dimension::Partner, Dimension::Unit]
    {
        let filter = &Filter::default();
        let asked = MarketingQuestion { subject, filter, scope, basis: Basis::Period, rates };
        note(told, &book.group_values(&asked, &dimension, window));
    }
    let mut won = book.won_deals(scope, dates, rates);
    won.cycle_days.sort_unstable();
    won.amounts_e4.sort_unstable();
    note(told, &won);
    let asked =
        QualityQuestion { dates, as_of, rates, rates_of_stock: rates_on, stale_days: 60, ids_max: 1_000 };
    note(told, &book.quality(scope, &asked, &|| true));
}

fn note(told: &mut Vec<String>, what: &impl Debug) {
    told.push(format!("{what:?}"));
}

/// What was known then of what a book showed when it had that revision, taken in slices.
fn as_known(book: &Book, revision: u64, knowledge: Knowledge, slice: usize) -> Book {
    let mut recollection = Recollection::of_revision(revision, knowledge);
    while recollection.take_slice(book, slice) {}
    recollection.finish()
}

/// A book of what is known equals that of the versions kept.
fn assert_known(book: &Book, knowledge: Knowledge, history: Vec<Vec<Version>>) -> Result<(), TestCaseError> {
    let known = as_known(book, book.revision(), knowledge, 3);
    known.pages.verify(&known.pools);
    let expected = book_of(history);
    prop_assert_eq!(known.revision(), book.revision(), "it is told from the revision of now");
    prop_assert_eq!(seen(&known), seen(&expected));
    let (told, expected) = (told(&known), told(&expected));
    prop_assert_eq!(told.len(), expected.len());
    for (told, expected) in told.iter().zip(&expected) {
        prop_assert_eq!(told, expected);
    }
    Ok(())
}

/// As many histories as take some ten seconds; PROPTEST_CASES asks for more.
fn config() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig::default();
    ProptestConfig { cases: if asked { config.cases } else { 48 }, ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn received_by_a_batch_is_the_book_that_had_only_the_batches_up_to_it(
        history in history(), n in any::<Index>(),
    ) {
        let book = book_of(history.clone());
        let n = n.index(history.len() + 1); // none of them, too
        let received_by = Some(received_time(n as u64));
        let kept = kept_of(&history, |batch, _| batch < n);
        assert_known(&book, Knowledge { received_by, known_at: None }, kept)?;
    }

    #[test]
    fn known_at_a_time_is_the_book_of_the_versions_up_to_it(history in history(), hour in 0..5u8) {
        let book = book_of(history.clone());
        let known_at = key(hour, 0).update_time;
        let kept = kept_of(&history, |_, version| version.key.update_time <= known_at);
        assert_known(&book, Knowledge { known_at: Some(known_at), received_by: None }, kept)?;
    }

    #[test]
    fn both_together_ignore_what_either_ignores(
        history in history(), n in any::<Index>(), hour in 0..5u8,
    ) {
        let book = book_of(history.clone());
        let n = n.index(history.len()) + 1;
        let known_at = key(hour, 0).update_time;
        let kept = kept_of(&history, |batch, version| batch < n && version.key.update_time <= known_at);
        let knowledge = Knowledge { known_at: Some(known_at), received_by: Some(received_time(n as u64)) };
        assert_known(&book, knowledge, kept)?;
    }

    /// Batches that come while a book of what was known is built are not in it.
    #[test]
    fn what_comes_after_the_question_is_not_known(
        history in history(), begin in any::<Index>(), questions in proptest::collection::vec(question(), 4),
        slice in select(&[1usize, 3][..]),
    ) {
        let begin = begin.index(history.len()) + 1;
        let before = book_of(history[..begin].to_vec());
        let after = book_of(history.clone());
        let known_at = Some(key(9, 0).update_time); // later than every version
        let knowledge = Knowledge { known_at, received_by: None };
        let known = as_known(&after, before.revision(), knowledge, slice);
        prop_assert_eq!(known.settings(), before.settings());
        for question in questions {
            let scope = |book: &Book| book.scope(&question.subject, &question.filter, Roles::of(&question.roles));
            let dates = days("1970-01-01..2200-01-01");
            let fold = |book: &Book| scope(book).map(|scope| book.fold(&scope, dates, RatesOn::OwnDay));
            prop_assert_eq!(fold(&known), fold(&before), "{:?}", question);
        }
    }
}

/// A clock that was set back, or that says the same twice, leaves the order of batches alone: what had been told by
/// the time of one is told of it and those before it, also after a restart.
#[test]
fn batches_keep_their_order_whatever_the_clock_says() {
    let deal = |n: usize| {
        let deal = plain_deal(noon("2024-01-10"), DealStatus::Won(noon("2024-01-20")));
        Version { key: key(0, 0), record: Record::Deal(id(&format!("d{n}")), State::Present(deal)) }
    };
    let settings = Version { key: key(0, 0), record: Record::Settings(plain_settings()) };
    let mut book = Book::default();
    let clock = [5, 7, 7, 3, 7, 9, 8].map(|hours| Instant::FIRST.plus_hours(hours));
    for (n, &received_time) in clock.iter().enumerate() {
        let versions = if n == 0 { vec![settings.clone()] } else { vec![deal(n)] };
        let batch = Batch { revision: n as u64 + 1, received_time, versions };
        let prepared = book.prepare(&batch);
        book.apply(batch, prepared);
    }
    let batches = book.records().batches().to_vec();
    assert!(batches.is_sorted_by(|(_, earlier), (_, later)| earlier < later), "{batches:?}");
    for (&(_, noted), said) in batches.iter().zip(clock) {
        assert!(noted >= said && noted.as_nanos() - said.as_nanos() < 7 * 3_600_000_000_000, "{batches:?}");
    }
    assert_eq!(
        (batches[0].1, batches[1].1, batches[5].1),
        (clock[0], clock[1], clock[5]),
        "a clock that goes on"
    );

    let restored = restored(book.revision(), &batches, exported(&book, 3));
    for book in [&book, &restored] {
        assert_eq!(book.records().batches(), batches);
        for (n, &(revision, received_time)) in batches.iter().enumerate() {
            let knowledge = Knowledge { received_by: Some(received_time), known_at: None };
            let known = as_known(book, revision, knowledge, 3);
            assert_eq!(known.records().deal_count(), n, "told by {received_time:?}");
        }
    }
}
