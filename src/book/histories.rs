//! Random histories of a small tenant, and what holds for every one of them.
//!
//! Ids, dates and amounts are few on purpose, so that everything collides: versions share keys, deals
//! change hands, partners stand in circles, rates arrive late, amounts leave remainders.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::oracle::{Oracle, Sent};
use super::records::Cursor;
use super::{Batch, Book, Fold, Retell, Scope, StoredVersion};
use crate::domain::amount::{Amount, BasisPoints, Currency, Money};
use crate::domain::calendar::{DateRange, Instant, Zone, date};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::filter::Filter;
use crate::domain::ids::{Id, Term};
use crate::domain::premises::{RatesOn, Roles};
use crate::domain::record::{
    Channel, Credit, Credits, Deal, DealStatus, Employee, Expiry, Labels, Lead, LeadOutcome, Media, Partner,
    Record, RecordKey, RecordKind, Role, Settings, Spend, State, Strategy as Plan, Target, TargetValue,
    Thresholds, Unit, Version, VersionKey, WeekStart,
};
use crate::domain::subject::Subject;
use crate::domain::subject::SubjectKind;
use crate::kpi::measures::Measures;

// The last of each is named by others, and never sent.
const PARTNERS: [&str; 5] = ["p1", "p2", "p3", "p4", "p-unsent"];
const EMPLOYEES: [&str; 4] = ["e1", "e2", "e3", "e-unsent"];
const UNITS: [&str; 4] = ["u1", "u2", "u3", "u-unsent"];
const DEALS: [&str; 6] = ["d1", "d2", "d3", "d4", "d5", "d6"];

const DAYS: [&str; 8] = [
    "2023-12-31",
    "2024-01-01",
    "2024-01-10",
    "2024-01-31",
    "2024-02-01",
    "2024-02-29",
    "2024-03-01",
    "2025-01-31",
];

/// Whole months, edges, single days, across years, everything, nothing.
const WINDOWS: [&str; 12] = [
    "1970-01-01..2200-01-01",
    "2024-01-01..2024-02-01",
    "2024-02-01..2024-03-01",
    "2024-01-01..2024-03-01",
    "2023-12-15..2024-01-16",
    "2024-01-05..2024-01-20",
    "2024-01-31..2024-03-02",
    "2023-12-31..2024-01-01",
    "2024-01-31..2024-02-01",
    "2024-02-29..2024-03-01",
    "2023-01-01..2025-02-10",
    "2024-02-01..2024-02-01",
];

pub fn days(text: &str) -> DateRange {
    let (from, to) = text.split_once("..").expect("two dates");
    DateRange { from: date(from), to: date(to) }
}

pub fn windows() -> Vec<DateRange> {
    WINDOWS.into_iter().map(days).collect()
}

/// Every subject that a history may name, and some that it never does.
pub fn subjects() -> Vec<Subject> {
    let partners = PARTNERS.into_iter().chain(["nobody"]).flat_map(|partner| {
        [false, true]
            .map(|include_sub_partners| Subject::Partner { partner: id(partner), include_sub_partners })
    });
    let employees = EMPLOYEES.into_iter().chain(["nobody"]).map(|employee| Subject::Employee(id(employee)));
    let units = UNITS.into_iter().chain(["nobody"]).map(|unit| Subject::Unit(id(unit)));
    [Subject::Tenant].into_iter().chain(partners).chain(employees).chain(units).collect()
}

pub fn id<K>(text: &str) -> Id<K> {
    Id::try_new(text).expect("a plain id")
}

fn ids<K: 'static>(texts: &'static [&'static str]) -> impl Strategy<Value = Id<K>> {
    select(texts).prop_map(id)
}

/// One that was sent or, seldom, one that never was; often none.
fn maybe<K: 'static>(texts: &'static [&'static str]) -> impl Strategy<Value = Option<Id<K>>> {
    proptest::option::weighted(0.6, ids(texts))
}

fn sent_ids<K: 'static>(texts: &'static [&'static str]) -> impl Strategy<Value = Id<K>> {
    ids(&texts[..texts.len() - 1])
}

fn term(texts: &'static [&'static str]) -> impl Strategy<Value = Option<Term>> {
    proptest::option::weighted(0.3, select(texts).prop_map(|text| Term::try_new(text).unwrap()))
}

/// Around the midnights of the zones below.
fn instant() -> impl Strategy<Value = Instant> {
    const SECONDS: [i64; 5] = [0, 5 * 3_600 - 1, 5 * 3_600, 18 * 3_600 - 1, 18 * 3_600];
    (select(&DAYS[..]), select(&SECONDS[..])).prop_map(|(day, second)| {
        Instant::try_new(i64::from(date(day).day_number()) * 86_400 + second, 0).unwrap()
    })
}

pub fn currency(code: &str) -> Currency {
    Currency::try_new(code).expect("a currency")
}

fn money() -> impl Strategy<Value = Money> {
    // Odd ones leave remainders, those of halves make ties, the greatest leave the range.
    const AMOUNTS_E4: [i64; 10] =
        [0, 1, 2, 3, 5, 7, 33_333, 10_000, 1_234_567_891, 9_200_000_000_000_000_000];
    let code = prop_oneof![3 => Just("USD"), 2 => Just("EUR"), 2 => Just("BDT"), 1 => Just("JPY")];
    (select(&AMOUNTS_E4[..]), code).prop_map(|(amount_e4, code)| Money {
        amount: Amount::try_from_e4(amount_e4).unwrap(),
        currency: currency(code),
    })
}

fn credits() -> impl Strategy<Value = Credits> {
    const SHARES: [i64; 8] = [0, 1, 2_500, 3_333, 3_334, 5_000, 6_667, 10_000];
    let role = prop_oneof![4 => Just(Role::Sourced), 1 => Just(Role::Influenced), 1 => Just(Role::Fulfilled)];
    let share = select(&SHARES[..]).prop_map(|bps| BasisPoints::try_new(bps).unwrap());
    let credit = (role, ids(&PARTNERS), proptest::option::weighted(0.7, share));
    vec(credit.prop_map(|(role, partner, share)| Credit { role, partner, share }), 0..4).prop_map(|offered| {
        let mut fitting = Vec::new();
        for credit in offered {
            fitting.push(credit);
            if Credits::try_new(fitting.clone()).is_err() {
                fitting.pop();
            }
        }
        Credits::try_new(fitting).expect("each was tried")
    })
}

pub fn deal() -> impl Strategy<Value = Deal> {
    let status = prop_oneof![
        2 => Just(DealStatus::Open),
        4 => instant().prop_map(DealStatus::Won),
        2 => instant().prop_map(DealStatus::Lost),
    ];
    let expiry = prop_oneof![
        2 => Just(None),
        2 => instant().prop_map(|at| Some(Expiry::At(at))),
        1 => Just(Some(Expiry::Never)),
    ];
    let probability = (0i64..=10_000).prop_map(|bps| BasisPoints::try_new(bps).unwrap());
    let told = (
        instant(),
        proptest::option::weighted(0.8, money()),
        expiry,
        status,
        term(&["rival"]),
        maybe(&EMPLOYEES),
        proptest::option::weighted(0.3, ids(&UNITS)),
        credits(),
    );
    let labels = proptest::collection::btree_map(
        select(&["a", "b"][..]).prop_map(|text| Term::try_new(text).unwrap()),
        select(&["a", "x"][..]).prop_map(|text| Term::try_new(text).unwrap()),
        0..2,
    );
    let untold = (
        term(&["negotiation", "a"]),
        proptest::option::weighted(0.2, probability),
        proptest::option::weighted(0.2, select(&DAYS[..]).prop_map(date)),
        proptest::option::weighted(0.1, Just("too dear".into())),
        proptest::option::weighted(0.2, ids(&["l1"])),
        proptest::option::weighted(0.2, ids(&["c1"])),
        term(&["boots"]),
        term(&["north", "x"]),
        labels,
    );
    (told, untold).prop_map(|(told, untold)| {
        let (opened_at, amount, expiry, status, competitor, owner, unit, credits) = told;
        let (stage, probability, expected_close, lost_reason, lead, channel, product, region, labels) =
            untold;
        Deal {
            opened_at,
            amount,
            stage,
            probability,
            expected_close,
            expiry,
            status,
            lost_reason,
            competitor,
            owner,
            unit,
            credits,
            lead,
            channel,
            product,
            region,
            labels,
        }
    })
}

/// Deleted now and then.
fn state<T: std::fmt::Debug, D: std::fmt::Debug>(
    present: impl Strategy<Value = T>,
    deletion: impl Strategy<Value = D>,
) -> impl Strategy<Value = State<T, D>> {
    prop_oneof![5 => present.prop_map(State::Present), 1 => deletion.prop_map(State::Deleted)]
}

fn name() -> impl Strategy<Value = Option<Box<str>>> {
    proptest::option::of(select(&["Ada", "Bo"][..]).prop_map(Box::from))
}

fn partner() -> impl Strategy<Value = Record> {
    let present = (name(), maybe(&PARTNERS), proptest::option::weighted(0.25, ids(&PARTNERS)), any::<bool>());
    let present = present.prop_map(|(name, parent, merged_into, active)| Partner {
        name,
        partner_type: None,
        tier: None,
        region: None,
        parent,
        active,
        labels: Labels::new(),
        merged_into,
    });
    let state = state(present, proptest::option::weighted(0.3, ids(&PARTNERS)));
    (sent_ids(&PARTNERS), state).prop_map(|(id, state)| Record::Partner(id, state))
}

fn employee() -> impl Strategy<Value = Record> {
    let present = (name(), maybe(&UNITS), proptest::option::weighted(0.25, ids(&EMPLOYEES)), any::<bool>());
    let present =
        present.prop_map(|(name, unit, merged_into, active)| Employee { name, unit, active, merged_into });
    let state = state(present, proptest::option::weighted(0.3, ids(&EMPLOYEES)));
    (sent_ids(&EMPLOYEES), state).prop_map(|(id, state)| Record::Employee(id, state))
}

fn unit() -> impl Strategy<Value = Record> {
    let present = (name(), maybe(&UNITS)).prop_map(|(name, parent)| Unit { name, unit_kind: None, parent });
    (sent_ids(&UNITS), state(present, Just(()))).prop_map(|(id, state)| Record::Unit(id, state))
}

fn rate() -> impl Strategy<Value = Record> {
    // Two currencies between any other two, for crosses and their ties.
    let code = || select(&["USD", "EUR", "BDT", "GBP"][..]);
    let on = select(&["2023-12-01", "2024-01-01", "2024-01-31", "2024-02-29"][..]);
    let key = (code(), code(), on).prop_map(|(from, to, on)| RateKey {
        from: currency(from),
        to: currency(to),
        on: date(on),
    });
    let rate = select(&["1", "0.5", "3", "117.25", "0.3333333333", "0.0001", "99999999999999"][..]);
    (key, state(rate.prop_map(|rate| Rate::parse(rate).unwrap()), Just(())))
        .prop_map(|(key, state)| Record::Rate(key, state))
}

fn settings() -> impl Strategy<Value = Record> {
    let code = prop_oneof![3 => Just("USD"), 1 => Just("BDT"), 1 => Just("EUR")];
    let zone = select(&["Asia/Dhaka", "America/New_York", "UTC"][..]);
    let limit = proptest::option::of(select(&[0, 1, 30, u16::MAX][..]));
    (code, zone, limit, 1u8..=2).prop_map(|(code, zone, time_limit_days, fiscal_year_start_month)| {
        Record::Settings(Settings {
            reporting_currency: currency(code),
            zone: Zone::try_new(zone).unwrap(),
            fiscal_year_start_month,
            time_limit_days,
            ..plain_settings()
        })
    })
}

/// Records that no figure is told by yet.
fn untold() -> impl Strategy<Value = Record> {
    let lead = (instant(), maybe(&PARTNERS), instant()).prop_map(|(created_at, partner, decided_at)| Lead {
        created_at,
        partner,
        owner: None,
        channel: None,
        region: None,
        outcome: LeadOutcome::Converted(decided_at),
    });
    let channel = name().prop_map(|name| Channel { name, media: Some(Media::Owned) });
    let spend = (money(), maybe(&PARTNERS)).prop_map(|(amount, partner)| Spend {
        channel: id("c1"),
        dates: days("2024-01-01..2024-02-01"),
        amount,
        partner,
    });
    let target = (0..5u64).prop_map(|count| Target {
        subject: Subject::Tenant,
        dates: days("2024-01-01..2024-02-01"),
        value: TargetValue::WonCount(count),
        month_weights: BTreeMap::new(),
    });
    let plan = name().prop_map(|name| Plan { name, start_on: date("2024-01-10"), subjects: Vec::new() });
    prop_oneof![
        (ids(&["l1", "l2"]), state(lead, Just(()))).prop_map(|(id, lead)| Record::Lead(id, lead)),
        (ids(&["c1"]), state(channel, Just(()))).prop_map(|(id, channel)| Record::Channel(id, channel)),
        (ids(&["s1"]), state(spend, Just(()))).prop_map(|(id, spend)| Record::Spend(id, spend)),
        (ids(&["t1"]), state(target, Just(()))).prop_map(|(id, target)| Record::Target(id, target)),
        (ids(&["y1"]), state(plan, Just(()))).prop_map(|(id, plan)| Record::Strategy(id, plan)),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let deal = (ids(&DEALS), state(deal(), Just(()))).prop_map(|(id, state)| Record::Deal(id, state));
    prop_oneof![
        12 => deal,
        4 => partner(),
        3 => employee(),
        2 => unit(),
        4 => rate(),
        1 => settings(),
        1 => untold(),
    ]
}

fn key(hour: u8, sequence: u64) -> VersionKey {
    VersionKey { update_time: Instant::FIRST.plus_hours(i64::from(hour)), sequence }
}

/// Keys are few: versions of one record often have the same.
fn version() -> impl Strategy<Value = Version> {
    (0..5u8, 0..2u64, record())
        .prop_map(|(hour, sequence, record)| Version { key: key(hour, sequence), record })
}

/// A tenant's batches, some versions sent again.
pub fn history() -> impl Strategy<Value = Vec<Vec<Version>>> {
    #[derive(Clone, Debug)]
    enum Step {
        New(Box<Version>),
        Again(Index),
    }
    let step = prop_oneof![
        8 => version().prop_map(|version| Step::New(Box::new(version))),
        1 => any::<Index>().prop_map(Step::Again),
    ];
    let configured = proptest::option::weighted(0.9, settings());
    (configured, vec(vec(step, 0..9), 1..9)).prop_map(|(configured, batches)| {
        let mut sent: Vec<Version> =
            configured.into_iter().map(|record| Version { key: key(0, 0), record }).collect();
        let mut history = vec![sent.clone()];
        for steps in batches {
            let mut batch = Vec::new();
            for step in steps {
                let version = match step {
                    Step::New(version) => *version,
                    Step::Again(_) if sent.is_empty() => continue,
                    Step::Again(index) => index.get(&sent).clone(),
                };
                sent.push(version.clone());
                batch.push(version);
            }
            history.push(batch);
        }
        history
    })
}

/// The same versions in another order, some of them more often, in other batches.
fn history_and_another_of_the_same_set() -> impl Strategy<Value = (Vec<Vec<Version>>, Vec<Vec<Version>>)> {
    let shuffled = history().prop_flat_map(|history| {
        let mut all: Vec<Version> = history.concat();
        all.extend_from_within(..all.len() / 3);
        (Just(history), Just(all).prop_shuffle(), vec(any::<Index>(), 0..6))
    });
    shuffled.prop_map(|(history, all, cuts)| {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(all.len() + 1)).collect();
        cuts.extend([0, all.len()]);
        cuts.sort_unstable();
        let batches = cuts.windows(2).map(|cut| all[cut[0]..cut[1]].to_vec()).collect();
        (history, batches)
    })
}

pub fn apply(book: &mut Book, versions: Vec<Version>) {
    let revision = book.revision() + 1;
    let received_time = Instant::FIRST.plus_hours(1_000 + revision as i64);
    let batch = Batch { revision, received_time, versions };
    let prepared = book.prepare(&batch);
    book.apply(batch, prepared);
    book.pages.verify();
}

pub fn book_of(history: Vec<Vec<Version>>) -> Book {
    let mut book = Book::default();
    for versions in history {
        apply(&mut book, versions);
    }
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
struct Seen {
    folds: Vec<(Subject, DateRange, Option<Fold>)>,
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

/// What the oracle knows of a fold: the ends of deals.
pub fn of_ends(fold: Fold) -> Fold {
    let Measures { won, lost, expired, lost_to_competitor_count, .. } = fold.measures;
    Fold {
        measures: Measures { won, lost, expired, lost_to_competitor_count, ..Measures::default() },
        ..fold
    }
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

fn fold(book: &Book, subject: &Subject, dates: DateRange) -> Option<Fold> {
    scope(book, subject).map(|scope| of_ends(book.fold(&scope, dates, RatesOn::OwnDay)))
}

fn seen(book: &Book) -> Seen {
    let folds = |subject: Subject| {
        windows().into_iter().map(move |dates| {
            let found = fold(book, &subject, dates);
            (subject.clone(), dates, found)
        })
    };
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
        folds: subjects().into_iter().flat_map(folds).collect(),
        identities: subjects().into_iter().map(identity).collect(),
        lists: SUBJECT_KINDS.map(|(kind, include)| book.subjects(kind, include, None, 100)).to_vec(),
        records: RECORD_KINDS.into_iter().flat_map(listed).collect(),
        version_count: book.records().version_count(),
        deal_count: book.records().deal_count(),
        settings: book.settings().cloned(),
    }
}

/// Every version with its arrival, read in slices.
fn exported(book: &Book, slice: usize) -> Vec<StoredVersion> {
    let mut all = Vec::new();
    let mut cursor = Some(Cursor::START);
    while let Some(at) = cursor {
        let (versions, next) = book.records().export(at, slice);
        all.extend(versions);
        cursor = next;
    }
    all
}

fn restored(revision: u64, batches: &[(u64, Instant)], versions: Vec<StoredVersion>) -> Book {
    let book = Book::restore(
        revision,
        batches,
        versions.into_iter().map(|stored| (stored.revision, stored.version)),
    );
    book.pages.verify();
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
            for subject in subjects() {
                for dates in windows() {
                    prop_assert_eq!(
                        fold(&book, &subject, dates), oracle.fold(&subject, dates),
                        "{:?} {:?} after {} batches", subject, dates, n + 1
                    );
                }
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
                        current.filter(|stored| include_deleted || !is_deleted(&stored.version.record)).collect();
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
            (Some(Record::Unit(_, State::Deleted(_))), _) => None,
            (Some(old), _) => Some(old),
            (None, Record::Deal(id, _)) => Some(Record::Deal(id.clone(), State::Deleted(()))),
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
    fn the_parts_of_partners_and_the_uncredited_rest_are_the_tenants_amounts(history in history()) {
        let book = book_of(history);
        let everything = days("1970-01-01..2200-01-01");
        let amounts = |m: &Measures| [m.won.amount_e4, m.lost.amount_e4, m.expired.amount_e4];
        let mut sum = amounts(&book.pages.uncredited());
        let mut counted = Vec::new();
        for partner in PARTNERS {
            let subject = Subject::Partner { partner: id(partner), include_sub_partners: false };
            let (survivor, _) = book.identify(&subject);
            // Each partner that counts, once: a merged one is its survivor.
            if !counted.contains(&survivor) {
                if let Some(fold) = fold(&book, &survivor, everything) {
                    let parts = amounts(&fold.measures);
                    sum = std::array::from_fn(|at| sum[at] + parts[at]);
                }
                counted.push(survivor);
            }
        }
        let tenant = fold(&book, &Subject::Tenant, everything).expect("the tenant is always there");
        prop_assert_eq!(sum, amounts(&tenant.measures));
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

fn is_deleted(record: &Record) -> bool {
    match record {
        Record::Partner(_, state) => state.is_deleted(),
        Record::Unit(_, state) => state.is_deleted(),
        Record::Employee(_, state) => state.is_deleted(),
        Record::Lead(_, state) => state.is_deleted(),
        Record::Deal(_, state) => state.is_deleted(),
        Record::Channel(_, state) => state.is_deleted(),
        Record::Spend(_, state) => state.is_deleted(),
        Record::Target(_, state) => state.is_deleted(),
        Record::Rate(_, state) => state.is_deleted(),
        Record::Strategy(_, state) => state.is_deleted(),
        Record::Settings(_) => false,
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

/// Dollars, Dhaka, no time limit.
pub fn plain_settings() -> Settings {
    Settings {
        reporting_currency: currency("USD"),
        zone: Zone::try_new("Asia/Dhaka").unwrap(),
        fiscal_year_start_month: 1,
        week_start: WeekStart(chrono::Weekday::Mon),
        time_limit_days: None,
        stage_probabilities: BTreeMap::new(),
        thresholds: Thresholds::default(),
    }
}

/// A deal of which nothing else is known.
pub fn plain_deal(opened_at: Instant, status: DealStatus) -> Deal {
    Deal {
        opened_at,
        amount: None,
        stage: None,
        probability: None,
        expected_close: None,
        expiry: None,
        status,
        lost_reason: None,
        competitor: None,
        owner: None,
        unit: None,
        credits: Credits::default(),
        lead: None,
        channel: None,
        product: None,
        region: None,
        labels: Labels::new(),
    }
}

/// Noon in Dhaka.
pub fn noon(on: &str) -> Instant {
    Instant::try_new(i64::from(date(on).day_number()) * 86_400 + 6 * 3_600, 0).unwrap()
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
        assert_eq!(fold(&book, &Subject::Unit(id("u2")), days(WINDOWS[0])), Some(Fold::default()));
        assert!(scope(&book, &Subject::Unit(id("u3"))).is_none());
    }
}
