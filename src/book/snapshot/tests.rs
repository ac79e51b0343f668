//! What is taken is restored, whatever goes on meanwhile, and what is damaged is refused.

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::histories::{
    apply, book_of, currency, exported, id, noon, plain_deal, plain_settings, seen,
};
use super::super::knowledge::told;
use super::super::small_tenant::{history, key};
use super::{Restoring, Taking};
use crate::book::{Batch, Book};
use crate::domain::amount::{Amount, BasisPoints, Money};
use crate::domain::calendar::Instant;
use crate::domain::record::{
    Credit, Credits, Deal, DealStatus, Expiry, Lead, LeadOutcome, Record, Role, State, Version, VersionKey,
};

fn taken(book: &Book) -> Vec<Vec<u8>> {
    let (mut taking, mut slices) = (Taking::begin(book), Vec::new());
    while taking.step(book, &mut slices) {}
    slices
}

fn restoring(revision: u64, batches: &[(u64, Instant)], slices: &[Vec<u8>]) -> Restoring {
    let mut restoring = Restoring::begin(revision, batches);
    for slice in slices {
        restoring.take(slice).expect("it was taken");
    }
    restoring
}

fn batch(n: usize, versions: &[Version]) -> Batch {
    let revision = n as u64 + 1;
    let received_time = Instant::FIRST.plus_hours(1_000 + revision as i64);
    Batch { revision, received_time, versions: versions.to_vec() }
}

fn assert_same(found: &Book, expected: &Book) -> Result<(), TestCaseError> {
    found.pages.verify(&found.pools);
    prop_assert_eq!(found.revision(), expected.revision());
    prop_assert_eq!(found.records().batches(), expected.records().batches());
    let sorted = |book: &Book| {
        let mut all = exported(book, 100);
        all.sort_by_key(|stored| (stored.version.record.key(), stored.version.key));
        all
    };
    prop_assert_eq!(sorted(found), sorted(expected));
    prop_assert_eq!(seen(found), seen(expected));
    prop_assert_eq!(told(found), told(expected));
    Ok(())
}

/// As many histories as take some ten seconds; PROPTEST_CASES asks for more.
fn config() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig::default();
    ProptestConfig { cases: if asked { config.cases } else { 64 }, ..config }
}

proptest! {
    #![proptest_config(config())]

    /// Among writes it holds what the book held when it began. The tail, be it applied or read before all is told,
    /// makes the same book as the whole journal.
    #[test]
    fn a_snapshot_among_writes_is_that_of_its_beginning(history in history(), begin in any::<Index>()) {
        let begin = begin.index(history.len() + 1);
        let mut book = book_of(history[..begin].to_vec());
        let batches = book.records().batches().to_vec();
        let (mut taking, mut slices) = (Taking::begin(&book), Vec::new());
        let mut tail = history[begin..].iter();
        while taking.step(&book, &mut slices) {
            if let Some(versions) = tail.next() {
                apply(&mut book, versions.clone());
            }
        }
        tail.for_each(|versions| apply(&mut book, versions.clone()));

        let revision = begin as u64;
        let mut copy = restoring(revision, &batches, &slices).finish().expect("each name comes once");
        assert_same(&copy, &book_of(history[..begin].to_vec()))?;
        for versions in &history[begin..] {
            apply(&mut copy, versions.clone());
        }
        assert_same(&copy, &book)?;

        let mut caught_up = restoring(revision, &batches, &slices);
        for (n, versions) in history.iter().enumerate().skip(begin) {
            caught_up.take_batch(batch(n, versions)).expect("each name comes once");
        }
        assert_same(&caught_up.finish().expect("each name comes once"), &book)?;
    }

    #[test]
    fn a_restored_book_is_taken_alike(history in history()) {
        let book = book_of(history);
        let slices = taken(&book);
        let copy = restoring(book.revision(), book.records().batches(), &slices).finish().expect("it is whole");
        prop_assert_eq!(taken(&copy), slices);
    }
}

/// Every byte, not a sample. Checksums notice it all before it comes here: what is left to see is that nothing is
/// believed.
#[test]
fn damaged_slices_are_refused_or_say_something_else() {
    let book = golden_book();
    let slices = taken(&book);
    let mut refused_count = 0;
    for damaged in 0..slices.len() {
        for at in 0..slices[damaged].len() {
            let changed = [1, 0x80, 0xff].map(|flip| {
                let mut changed = slices[damaged].clone();
                changed[at] ^= flip;
                changed
            });
            let cut = slices[damaged][..at].to_vec();
            for slice in changed.iter().chain([&cut]) {
                let mut restoring = Restoring::begin(book.revision(), book.records().batches());
                let mut all = slices[..damaged].iter().chain([slice]).chain(&slices[damaged + 1..]);
                let is_taken = all.all(|slice| restoring.take(slice).is_ok());
                match restoring.finish() {
                    Ok(other) if is_taken => drop(exported(&other, 100)),
                    _ => refused_count += 1,
                }
            }
        }
    }
    assert!(refused_count > 0);
}

/// A book with a version of every form.
fn golden_book() -> Book {
    let amount = |e4, code| {
        let amount = Amount::try_from_e4(e4).expect("a small amount");
        Some(Money { amount, currency: currency(code) })
    };
    let bps = |bps| Some(BasisPoints::try_new(bps).expect("a share"));
    let credit = |role, partner, share| Credit { role, partner: id(partner), share };
    let credits = |credits| Credits::try_new(credits).expect("they fit");
    let term = |text: &str| Some(crate::domain::ids::Term::try_new(text).expect("a plain text"));
    let open = plain_deal(noon("2024-01-10"), DealStatus::Open);
    let won = Deal {
        amount: amount(12_005_000, "USD"),
        stage: term("offer"),
        probability: bps(2_500),
        expected_close: Some(crate::domain::calendar::date("2024-03-01")),
        owner: Some(id("e1")),
        credits: credits(vec![credit(Role::Sourced, "p1", bps(10_000))]),
        lead: Some(id("l1")),
        channel: Some(id("c1")),
        product: term("boots"),
        region: term("north"),
        ..plain_deal(noon("2024-01-10"), DealStatus::Won(noon("2024-03-01")))
    };
    let lost = Deal {
        amount: amount(99_1234, "EUR"),
        probability: bps(2_501),
        expiry: Some(Expiry::At(noon("2024-06-30"))),
        lost_reason: Some("price".into()),
        competitor: term("rival"),
        unit: Some(id("u1")),
        credits: credits(vec![
            credit(Role::Sourced, "p1", bps(7_000)),
            credit(Role::Sourced, "p2", bps(3_000)),
            credit(Role::Influenced, "p2", None),
        ]),
        labels: [(term("size").expect("given"), term("large").expect("given"))].into(),
        ..plain_deal(
            Instant::from_nanos(noon("2024-01-20").as_nanos() + 1),
            DealStatus::Lost(noon("2024-02-02")),
        )
    };
    let shareless = Deal {
        expiry: Some(Expiry::Never),
        amount: amount(5_0000, "USD"),
        credits: credits(vec![credit(Role::Sourced, "p2", None)]),
        ..open.clone()
    };
    let lead = Lead {
        created_at: noon("2024-01-05"),
        partner: Some(id("p1")),
        owner: Some(id("e1")),
        channel: Some(id("c1")),
        region: term("south"),
        outcome: LeadOutcome::Converted(noon("2024-01-10")),
    };
    let deal = |name: &str, deal| Record::Deal(id(name), State::Present(deal));
    let version = |hour, record| Version { key: key(hour, 0), record };
    book_of(vec![
        vec![version(0, Record::Settings(plain_settings())), version(1, deal("deal-1", open.clone()))],
        vec![version(2, deal("deal-1", won)), version(1, Record::Lead(id("l1"), State::Present(lead)))],
        vec![
            Version {
                key: VersionKey { update_time: Instant::from_nanos(1), sequence: 7 },
                record: deal("deal-2", lost),
            },
            version(1, deal("deal-3", shareless)),
            version(2, Record::Deal(id("deal-3"), State::Deleted(()))),
            version(3, Record::Lead(id("l2"), State::Deleted(()))),
        ],
        vec![version(3, deal("deal-1", open))],
    ])
}

/// The slices of `golden_book` in format 1: stored ones are read as long as there are releases.
const GOLDEN: &[&str] = &[
    "6e0003000505056f66666572626f6f74736e6f727468",
    "6e000300050504736f757468726976616c73697a65",
    "6e0001056c6172676500",
    "6e0102017001013132",
    "6e020102653100",
    "6e030102753100",
    "6e040102633100",
    "6e0502016c01013132",
    "6e0603056465616c2d010101313233",
    "63555344455552",
    "6c0002020a0101020200100e000001302a00003de09a976580de3400000003",
    "640002041203010002040100100e000000201c000000302a00000201070060329e65d9bf0260329e6580f29904f2a9070000\
     000100000219660060329e65bee07d8180d7f4ae98fed517feff9790ece2fe0382c03c01030800d8360801b8170101aa1401\
     050601feffefbffe80dd310400057072696365",
    "640201020a02040000100e000001201c0000a4800460329e65050100",
    "6f820182820000820b81a60163555344026a417369612f4468616b610301040106a007a0",
];

#[test]
fn slices_are_read_and_written_as_ever() {
    let byte = |hex: &str, at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("it is hex");
    let bytes = |hex: &&str| (0..hex.len() / 2).map(|at| byte(hex, at)).collect();
    let slices: Vec<Vec<u8>> = GOLDEN.iter().map(bytes).collect();
    let book = golden_book();
    let restored =
        restoring(book.revision(), book.records().batches(), &slices).finish().expect("it is whole");
    assert_same(&restored, &book).expect("it says what was written");
    assert_eq!(taken(&restored), slices);
}

/// A batch, a record or a version too many.
#[test]
fn what_refers_to_nothing_is_refused() {
    let book = golden_book();
    let slices = taken(&book);
    let without = |left_out: u8| {
        let mut restoring = Restoring::begin(book.revision(), book.records().batches());
        slices.iter().filter(|slice| slice[0] != left_out).all(|slice| restoring.take(slice).is_ok())
    };
    assert!(without(b'-'));
    assert!(!without(b'n'), "names");
    assert!(!without(b'c'), "currencies");
    let mut restoring = Restoring::begin(1, &book.records().batches()[..1]);
    assert!(!slices.iter().all(|slice| restoring.take(slice).is_ok()), "batches");
    let twice: Vec<_> = slices.iter().flat_map(|slice| [slice, slice]).collect();
    let mut restoring = Restoring::begin(book.revision(), book.records().batches());
    assert!(!twice.into_iter().all(|slice| restoring.take(slice).is_ok()), "names twice");
    assert!(restoring.take(b"x").is_err());
    assert!(restoring.take(b"").is_err());
}
