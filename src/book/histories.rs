//! What holds for every history of a small tenant.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::oracle::{Figures, Oracle, Question, Sent, without_lead_counts};
use super::records::Cursor;
use super::small_tenant::{
    PARTNERS, WINDOWS, history, history_and_another_of_the_same_set, key, question, subjects, version,
    windows,
};
use super::{Batch, Book, Fold, Restoring, Retell, Scope, StoredVersion};
use crate::domain::amount::{Amount, Money};
use crate::domain::calendar::{Date, DateRange, Instant, date};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::filter::{CreditFilter, Filter};
use crate::domain::ids::Term;
use crate::domain::premises::{RatesOn, Roles};
use crate::domain::record::{
    Deal, DealStatus, Media, Record, RecordKey, RecordKind, Role, Settings, State, Unit, Version, VersionKey,
};
use crate::domain::subject::{Subject, SubjectKind};
use crate::kpi::measures::{Measures, Tally};

pub use super::small_tenant::{currency, days, deal, id, noon, plain_deal, plain_settings};

pub fn apply(book: &mut Book, versions: Vec<Version>) {
    let revision = book.revision() + 1;
    let received_time = Instant::FIRST.plus_hours(1_000 + revision as i64);
    let batch = Batch { revision, received_time, versions };
    let prepared = book.prepare(&batch);
    book.apply(batch, prepared);
    book.pages.verify(&book.pools);
}

pub fn book_of(history: Vec<Vec<Version>>) -> Book {
    let mut book = Book::default();
    for versions in history {
        apply(&mut book, versions);
    }
    book
}

/// A book with the settings of `plain_settings` and these records.
pub fn book_of_records(records: impl IntoIterator<Item = Record>) -> Book {
    let mut book = Book::default();
    let key = VersionKey { update_time: Instant::FIRST, sequence: 0 };
    let records = [Record::Settings(plain_settings())].into_iter().chain(records);
    apply(&mut book, records.map(|record| Version { key, record }).collect());
    book
}

/// What the versions of the batches are, with where they came from.
fn sent(history: &[Vec<Version>]) -> Vec<Sent> {
    let batches = (1u64..).zip(history);
    let with_batch = |(revision, batch): (u64, &Vec<Version>)| {
        let received_time = Instant::FIRST.plus_hours(1_000 + revision as i64);
        let sent = move |version: &Version| Sent { revision, received_time, version: version.clone() };
        batch.iter().map(sent).collect::<Vec<_>>()
    };
    batches.flat_map(with_batch).collect()
}

/// All that a reader can see but where versions came from.
#[derive(Debug, PartialEq)]
pub struct Seen {
    folds: Vec<(Question, DateRange, Option<Fold>)>,
    identities: Vec<(Subject, Option<String>)>,
    lists: Vec<Vec<Subject>>,
    records: Vec<Vec<(Version, bool)>>,
    version_count: usize,
    deal_count: usize,
    settings: Option<Settings>,
}

/// What a question without filter folds.
pub fn scope(book: &Book, subject: &Subject) -> Option<Scope> {
    book.scope(subject, &Filter::default(), Roles::SOURCED)
}

/// What the book says to a question.
fn fold(book: &Book, question: &Question, dates: DateRange) -> Option<Fold> {
    let Question { subject, filter, roles, rates_on } = question;
    let scope = book.scope(subject, filter, Roles::of(roles))?;
    let rates = rates_on.map_or(RatesOn::OwnDay, RatesOn::Day);
    Some(book.fold(&scope, dates, rates))
}

/// What the book says to a question, as the oracle and SQL would say it.
pub fn figures(book: &Book, question: &Question, dates: DateRange, as_of: Date) -> Option<Figures> {
    let Fold { measures, oldest_rate_on } = fold(book, question, dates)?;
    let scope = book.scope(&question.subject, &question.filter, Roles::of(&question.roles))?;
    let work_days = measures.work_days(book.pages.open_count_before(&book.pools, &scope, dates.from), dates);
    // Neither do they tell what came by a channel: marketing's own tests do.
    let without_days = Measures {
        opened_day_numbers: 0,
        ended_day_numbers: 0,
        same_day_count: 0,
        channel_won: Tally::default(),
        channel_lead_count: 0,
        ..measures
    };
    let is_about_sales = question.filter.asks_for_deals_only();
    let measures = if is_about_sales { without_lead_counts(without_days) } else { without_days };
    let cohort = book.cohort(&scope, dates, as_of);
    Some(Figures { measures, work_days, cohort, oldest_rate_on })
}

/// On some of these days the outcomes of a window's prospects have come, on others not.
fn as_of(dates: DateRange) -> Date {
    dates.to.plus_days(20)
}

/// With whether sub-partners are included.
const SUBJECT_KINDS: [(SubjectKind, bool); 4] = [
    (SubjectKind::Partner, false),
    (SubjectKind::Partner, true),
    (SubjectKind::Employee, false),
    (SubjectKind::Unit, false),
];

const RECORD_KINDS: [RecordKind; 11] = [
    RecordKind::Partner,
    RecordKind::Unit,
    RecordKind::Employee,
    RecordKind::Lead,
    RecordKind::Deal,
    RecordKind::Channel,
    RecordKind::Spend,
    RecordKind::Target,
    RecordKind::Rate,
    RecordKind::Strategy,
    RecordKind::Settings,
];

pub fn seen(book: &Book) -> Seen {
    let folds = |question: Question| {
        windows().into_iter().map(move |dates| {
            let found = fold(book, &question, dates);
            (question.clone(), dates, found)
        })
    };
    let of_subjects = subjects().into_iter().map(Question::of);
    let identity = |subject: Subject| {
        let (survivor, name) = book.identify(&subject);
        (survivor, name.map(str::to_owned))
    };
    let listed = |kind: RecordKind| {
        [true, false].map(|include_deleted| {
            let current = book.records().list(kind, None, usize::MAX >> 1, include_deleted);
            let all = current.iter().flat_map(|stored| book.records().versions(&stored.version.record.key()));
            all.map(|stored| (stored.version, stored.current)).collect()
        })
    };
    Seen {
        folds: of_subjects.chain(questions_of_each_dimension()).flat_map(folds).collect(),
        identities: subjects().into_iter().map(identity).collect(),
        lists: SUBJECT_KINDS.map(|(kind, include)| book.subjects(kind, include, None, 100)).to_vec(),
        records: RECORD_KINDS.into_iter().flat_map(listed).collect(),
        version_count: book.records().version_count(),
        deal_count: book.records().deal_count(),
        settings: book.settings().cloned(),
    }
}

/// A question for each dimension of filters, for several roles, and at one day's rates.
fn questions_of_each_dimension() -> Vec<Question> {
    let term = |text: &str| Some(Term::try_new(text).expect("a plain text"));
    let labels = || BTreeMap::from([(Term::try_new("a").expect("a plain text"), vec![term("x")])]);
    let filters = [
        Filter { partner_types: vec![term("reseller")], ..Filter::default() },
        Filter { tiers: vec![term("gold"), None], ..Filter::default() },
        Filter { partner_labels: labels(), ..Filter::default() },
        Filter { partners: vec![Some(id("p1")), None], ..Filter::default() },
        Filter { employees: vec![Some(id("e1")), None], ..Filter::default() },
        Filter { units: vec![Some(id("u1")), None], ..Filter::default() },
        Filter { regions: vec![term("north")], ..Filter::default() },
        Filter { products: vec![term("boots")], ..Filter::default() },
        Filter { channels: vec![Some(id("c1"))], ..Filter::default() },
        Filter { media: vec![Some(Media::Paid)], ..Filter::default() },
        Filter { deal_labels: labels(), ..Filter::default() },
        Filter { credit: Some(CreditFilter::Direct), ..Filter::default() },
    ];
    let by_filter = filters.into_iter().map(|filter| Question { filter, ..Question::of(Subject::Tenant) });
    let p1 = Subject::Partner { partner: id("p1"), include_sub_partners: true };
    let by_roles = Question { roles: vec![Role::Influenced, Role::Fulfilled], ..Question::of(p1.clone()) };
    let at_one_rate = Question { rates_on: Some(date("2024-01-31")), ..Question::of(p1) };
    by_filter.chain([by_roles, at_one_rate]).collect()
}

/// Every version with its arrival, read in slices.
pub fn exported(book: &Book, slice: usize) -> Vec<StoredVersion> {
    let mut all = Vec::new();
    let mut cursor = Some(Cursor::START);
    while let Some(at) = cursor {
        let (versions, next) = book.records().export(at, slice);
        all.extend(versions);
        cursor = next;
    }
    all
}

/// A book of versions with their batches, as snapshots of format 1 have them.
pub fn restored(revision: u64, batches: &[(u64, Instant)], versions: Vec<StoredVersion>) -> Book {
    let mut restoring = Restoring::begin(revision, batches);
    versions.into_iter().for_each(|stored| restoring.take_version(stored.revision, stored.version));
    let book = restoring.finish().expect("each name comes once");
    book.pages.verify(&book.pools);
    book
}

/// As many histories as take some ten seconds; PROPTEST_CASES asks for more.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(512), ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn after_every_batch_every_subject_and_window_equals_the_oracle(history in history()) {
        let mut book = Book::default();
        for n in 0..history.len() {
            apply(&mut book, history[n].clone());
            let oracle = Oracle::new(&sent(&history[..=n]));
            for question in subjects().into_iter().map(Question::of) {
                let answer = oracle.answer(&question);
                for dates in windows() {
                    prop_assert_eq!(
                        figures(&book, &question, dates, as_of(dates)),
                        answer.as_ref().map(|answer| answer.figures(dates, as_of(dates))),
                        "{:?} {:?} after {} batches", question, dates, n + 1
                    );
                }
            }
        }
    }

    #[test]
    fn every_question_equals_the_oracle(
        history in history(), questions in vec(question(), 40),
    ) {
        let book = book_of(history.clone());
        let oracle = Oracle::new(&sent(&history));
        for question in questions {
            let answer = oracle.answer(&question);
            for dates in windows() {
                prop_assert_eq!(
                    figures(&book, &question, dates, as_of(dates)),
                    answer.as_ref().map(|answer| answer.figures(dates, as_of(dates))),
                    "{:?} {:?}", question, dates
                );
            }
        }
    }

    #[test]
    fn records_and_listings_equal_the_oracle_after_every_batch(history in history()) {
        let mut book = Book::default();
        for n in 0..history.len() {
            apply(&mut book, history[n].clone());
            let oracle = Oracle::new(&sent(&history[..=n]));
            let mut version_count = 0;
            for key in oracle.keys() {
                let versions = book.records().versions(key);
                version_count += versions.len();
                prop_assert_eq!(versions, oracle.versions(key));
            }
            prop_assert_eq!(version_count, book.records().version_count());
            for kind in RECORD_KINDS {
                for include_deleted in [true, false] {
                    let of_kind = oracle.keys().filter(|key| kind_of(key) == kind);
                    let current = of_kind.filter_map(|key| oracle.versions(key).pop());
                    let expected: Vec<StoredVersion> =
                        current.filter(|stored| include_deleted || !stored.version.record.is_deleted()).collect();
                    let listed = book.records().list(kind, None, 100, include_deleted);
                    prop_assert_eq!(&listed, &expected, "{:?}", kind);
                    let mut walked: Vec<StoredVersion> = Vec::new();
                    loop {
                        let after = walked.last().map(|stored| stored.version.record.key());
                        let page = book.records().list(kind, after.as_ref(), 2, include_deleted);
                        if page.is_empty() { break }
                        walked.extend(page);
                        prop_assert!(walked.len() <= expected.len(), "the walk goes in circles");
                    }
                    prop_assert_eq!(walked, expected, "{:?}", kind);
                }
            }
            for (kind, include_sub_partners) in SUBJECT_KINDS {
                let expected = oracle.subjects(kind, include_sub_partners);
                for page_size in [1, 2, 100] {
                    let mut walked: Vec<Subject> = Vec::new();
                    loop {
                        let after = walked.last().map(id_of);
                        let page = book.subjects(kind, include_sub_partners, after.as_deref(), page_size);
                        prop_assert!(page.len() <= page_size);
                        if page.is_empty() { break }
                        walked.extend(page);
                        prop_assert!(walked.len() <= expected.len(), "the walk goes in circles");
                    }
                    prop_assert_eq!(&walked, &expected);
                }
            }
            for subject in subjects() {
                let (survivor, name) = book.identify(&subject);
                prop_assert_eq!((id_of(&survivor), name.map(str::to_owned)), oracle.identity(&subject));
            }
        }
    }

    #[test]
    fn order_repetition_and_batching_change_nothing(
        (history, another) in history_and_another_of_the_same_set(),
    ) {
        let at_once = restored(1, &[(1, Instant::FIRST)], exported(&book_of(vec![history.concat()]), 100));
        let expected = seen(&book_of(history));
        prop_assert_eq!(&seen(&book_of(another)), &expected);
        prop_assert_eq!(seen(&at_once), expected);
    }

    #[test]
    fn a_book_restored_from_its_export_is_the_same(history in history(), slice in 1usize..4) {
        let book = book_of(history);
        let export = exported(&book, slice);
        let copy = restored(book.revision(), book.records().arrivals.all(), export.clone());
        prop_assert_eq!(copy.revision(), book.revision());
        prop_assert_eq!(exported(&copy, 3), export);
        prop_assert_eq!(seen(&copy), seen(&book));
    }

    /// A snapshot is taken in slices while batches go on; restored, it takes the tail from the revision at
    /// which it began.
    #[test]
    fn an_export_among_writes_and_the_tail_make_the_same_book(
        history in history(), slice in 1usize..4, begin in any::<Index>(),
    ) {
        let begin = begin.index(history.len());
        let mut book = book_of(history[..begin].to_vec());
        let batches = book.records().arrivals.all().to_vec();
        let mut tail = history[begin..].iter().cloned();
        let (mut export, mut cursor) = (Vec::new(), Some(Cursor::START));
        while let Some(at) = cursor {
            let (versions, next) = book.records().export(at, slice);
            export.extend(versions);
            cursor = next;
            if let Some(versions) = tail.next() {
                apply(&mut book, versions);
            }
        }
        tail.for_each(|versions| apply(&mut book, versions));

        let mut copy = restored(begin as u64, &batches, export);
        for versions in &history[begin..] {
            apply(&mut copy, versions.clone());
        }
        let by_key = |book: &Book| {
            let mut all = exported(book, 100);
            all.sort_by_key(|stored| (stored.version.record.key(), stored.version.key));
            all
        };
        prop_assert_eq!(by_key(&copy), by_key(&book));
        prop_assert_eq!(seen(&copy), seen(&book));
    }

    #[test]
    fn a_change_taken_back_restores_every_sum_bit_for_bit(history in history(), change in version()) {
        let mut book = book_of(history);
        let old = book.records().versions(&change.record.key()).pop().map(|stored| stored.version.record);
        // Nobody can be unsent, and a deletion keeps the fields of the version before it.
        let back = match (old, &change.record) {
            (Some(Record::Partner(_, State::Deleted(_)) | Record::Employee(_, State::Deleted(_))), _) => None,
            (Some(Record::Unit(_, State::Deleted(_)) | Record::Channel(_, State::Deleted(_))), _) => None,
            (Some(old), _) => Some(old),
            (None, Record::Deal(id, _)) => Some(Record::Deal(id.clone(), State::Deleted(()))),
            (None, Record::Lead(id, _)) => Some(Record::Lead(id.clone(), State::Deleted(()))),
            (None, Record::Rate(key, _)) => Some(Record::Rate(*key, State::Deleted(()))),
            (None, _) => None,
        };
        let Some(back) = back else { return Ok(()) };
        let (pages, folds) = (book.pages.contents(), seen(&book).folds);
        apply(&mut book, vec![Version { key: key(10, 0), record: change.record }]);
        apply(&mut book, vec![Version { key: key(11, 0), record: back }]);
        prop_assert_eq!(book.pages.contents(), pages);
        for (before, after) in folds.iter().zip(&seen(&book).folds) {
            // A name that the change brought is one that something names from now on.
            let nothing = before.2.is_none() && after.2 == Some(Fold::default());
            prop_assert!(before == after || nothing, "{:?} became {:?}", before, after);
        }
    }

    #[test]
    fn the_parts_of_partners_and_the_uncredited_rest_are_the_tenants_amounts(
        history in history(), role in select(&[Role::Sourced, Role::Influenced, Role::Fulfilled][..]),
    ) {
        let book = book_of(history);
        let amounts = |filter| {
            let question = Question { roles: vec![role], filter, ..Question::of(Subject::Tenant) };
            let fold = fold(&book, &question, days(WINDOWS[0])).expect("the tenant is always there");
            let Measures { opened, won, lost, expired, .. } = fold.measures;
            [opened, won, lost, expired].map(|tally| tally.amount_e4)
        };
        // Each partner that counts, once: a merged one is its survivor.
        let survivor = |partner| {
            let subject = Subject::Partner { partner: id(partner), include_sub_partners: false };
            id_of(&book.identify(&subject).0)
        };
        let counted: BTreeSet<String> = PARTNERS.into_iter().map(survivor).collect();
        let rows = counted.iter().map(|partner| Some(id(partner))).chain([None]);
        let mut sum = [0; 4];
        for row in rows {
            let parts = amounts(Filter { partners: vec![row], ..Filter::default() });
            sum = std::array::from_fn(|at| sum[at] + parts[at]);
        }
        prop_assert_eq!(sum, amounts(Filter::default()));
    }
}

fn kind_of(key: &RecordKey) -> RecordKind {
    match key {
        RecordKey::Partner(_) => RecordKind::Partner,
        RecordKey::Unit(_) => RecordKind::Unit,
        RecordKey::Employee(_) => RecordKind::Employee,
        RecordKey::Lead(_) => RecordKind::Lead,
        RecordKey::Deal(_) => RecordKind::Deal,
        RecordKey::Channel(_) => RecordKind::Channel,
        RecordKey::Spend(_) => RecordKind::Spend,
        RecordKey::Target(_) => RecordKind::Target,
        RecordKey::Rate(_) => RecordKind::Rate,
        RecordKey::Strategy(_) => RecordKind::Strategy,
        RecordKey::Settings => RecordKind::Settings,
    }
}

fn id_of(subject: &Subject) -> String {
    match subject {
        Subject::Tenant => String::new(),
        Subject::Partner { partner, .. } => partner.to_string(),
        Subject::Employee(employee) => employee.to_string(),
        Subject::Unit(unit) => unit.to_string(),
    }
}

/// How a batch is prepared.
#[derive(Debug, PartialEq)]
enum Way {
    Nothing,
    InPlace(usize),
    Aside,
}

fn way(book: &Book, versions: Vec<Version>) -> Way {
    let revision = book.revision() + 1;
    match book.prepare(&Batch { revision, received_time: Instant::FIRST, versions }).0 {
        Retell::Nothing => Way::Nothing,
        Retell::Deals(_, deals) => Way::InPlace(deals.len()),
        Retell::Pages(..) => Way::Aside,
    }
}

/// Both ways of telling deals anew are short enough here to be walked by the histories above.
#[test]
fn a_rate_retells_in_place_or_aside_by_the_number_of_deals_that_it_changes() {
    let configured = |code: &str, fiscal_year_start_month| {
        let reporting_currency = currency(code);
        Record::Settings(Settings { reporting_currency, fiscal_year_start_month, ..plain_settings() })
    };
    let rate = |from, on| {
        let key = RateKey { from: currency(from), to: currency("USD"), on: date(on) };
        Record::Rate(key, State::Present(Rate::parse("2").unwrap()))
    };
    let won = |n: usize, code: &str, on| {
        let amount = Money { amount: Amount::try_from_e4(10_000).unwrap(), currency: currency(code) };
        let deal = plain_deal(noon(on), DealStatus::Won(noon(on)));
        Record::Deal(id(&format!("d{n}")), State::Present(Deal { amount: Some(amount), ..deal }))
    };
    let at = |hour, record| Version { key: key(hour, 0), record };
    let mut book = Book::default();
    apply(&mut book, vec![at(0, configured("USD", 1))]);
    let euros = super::RETOLD_IN_PLACE_MAX;
    apply(&mut book, (0..euros).map(|n| at(0, won(n, "EUR", "2024-01-10"))).collect());
    apply(&mut book, vec![at(0, won(90, "USD", "2024-01-10")), at(0, won(91, "GBP", "2024-01-10"))]);

    assert_eq!(way(&book, vec![at(1, won(92, "EUR", "2024-01-10"))]), Way::Nothing);
    assert_eq!(way(&book, vec![at(1, configured("USD", 7))]), Way::InPlace(0), "no row depends on it");
    assert_eq!(way(&book, vec![at(1, configured("BDT", 1))]), Way::Aside);
    assert_eq!(way(&book, vec![at(0, rate("GBP", "2024-01-01"))]), Way::InPlace(1));
    assert_eq!(way(&book, vec![at(0, rate("EUR", "2024-01-11"))]), Way::InPlace(0), "later than all");
    assert_eq!(way(&book, vec![at(0, rate("EUR", "2024-01-01"))]), Way::InPlace(euros));
    apply(&mut book, vec![at(0, won(93, "EUR", "2024-01-20"))]);
    assert_eq!(way(&book, vec![at(0, rate("EUR", "2024-01-01"))]), Way::Aside);
    apply(&mut book, vec![at(0, rate("EUR", "2024-01-01"))]);
    assert_eq!(way(&book, vec![at(1, rate("EUR", "2024-01-01"))]), Way::InPlace(0), "the same rate again");
}

/// A parent that only an older version names was known if that version had been current between two batches,
/// and unknown if both had come in one.
#[test]
fn whom_an_older_version_names_is_known_however_it_came() {
    let version = |hour, parent: Option<&str>| {
        let unit = Unit { name: None, unit_kind: None, parent: parent.map(id) };
        Version { key: key(hour, 0), record: Record::Unit(id("u1"), State::Present(unit)) }
    };
    let (older, newer) = (version(0, Some("u2")), version(1, None));
    let one_by_one = book_of(vec![vec![older.clone()], vec![newer.clone()]]);
    let at_once = book_of(vec![vec![newer, older]]);
    for book in [one_by_one, at_once] {
        assert_eq!(
            fold(&book, &Question::of(Subject::Unit(id("u2"))), days(WINDOWS[0])),
            Some(Fold::default())
        );
        assert!(scope(&book, &Subject::Unit(id("u3"))).is_none());
    }
}
