//! Mistakes that the book once made, found by asking the oracle or by what must hold for every history: a test each, which tells the story.

use std::collections::BTreeSet;

use super::histories::{book_of_records as book, currency, days, id, noon, plain_deal, plain_settings};
use super::{BoardQuestion, MarketingQuestion};
use crate::domain::amount::{Amount, BasisPoints, Money};
use crate::domain::calendar::date;
use crate::domain::filter::{Dimension, Filter, GroupValue};
use crate::domain::ids::Term;
use crate::domain::premises::{Premises, RatesOn, Roles};
use crate::domain::record::{Credit, Credits, Deal, DealStatus, Record, Role, State, Unit};
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::WindowSpec;
use crate::kpi::marketing_channel::Basis;
use crate::kpi::measures::Tally;

fn tally(count: i64, amount_e4: i128) -> Tally {
    Tally { count, priced_count: count, amount_e4 }
}

/// Rows keep what is left uncredited of what was sourced. Asked for what no one influenced, the book
/// found nothing, and the rows of that role didn't add up to the tenant.
#[test]
fn every_role_leaves_its_own_uncredited_rest() {
    let credit = |role, partner, bps| Credit {
        role,
        partner: id(partner),
        share: Some(BasisPoints::try_new(bps).unwrap()),
    };
    let won = |credits: Vec<Credit>| Deal {
        amount: Some(Money { amount: Amount::try_from_e4(101).unwrap(), currency: currency("USD") }),
        credits: Credits::try_new(credits).unwrap(),
        ..plain_deal(noon("2024-03-01"), DealStatus::Won(noon("2024-03-05")))
    };
    use Role::{Fulfilled, Influenced, Sourced};
    let deals = [
        won(vec![credit(Sourced, "a", 10_000)]),
        won(vec![credit(Sourced, "b", 10_000), credit(Influenced, "a", 5_000)]),
        won(vec![credit(Influenced, "a", 10_000)]),
    ];
    let numbered = (1..).zip(deals);
    let book = book(numbered.map(|(n, deal)| Record::Deal(id(&format!("d{n}")), State::Present(deal))));
    for window in ["2024-03-01..2024-04-01", "2024-03-05..2024-03-06"] {
        for (roles, of_a, of_none) in [
            (vec![Sourced], tally(1, 101), tally(1, 101)),
            (vec![Influenced], tally(2, 51 + 101), tally(2, 101 + 50)),
            (vec![Fulfilled], tally(0, 0), tally(3, 303)),
            // Of each deal the greater of both; such rows need not add up.
            (vec![Sourced, Influenced], tally(3, 101 + 51 + 101), tally(3, 101 + 50 + 101)),
        ] {
            for (row, expected) in [(Some(id("a")), of_a), (None, of_none)] {
                let filter = Filter { partners: vec![row.clone()], ..Filter::default() };
                let scope = book.scope(&Subject::Tenant, &filter, Roles::of(&roles)).unwrap();
                let found = book.fold(&scope, days(window), RatesOn::OwnDay).measures.won;
                assert_eq!(found, expected, "{roles:?} of {row:?} in {window}");
            }
        }
    }
}

/// A unit that the host sent as its own parent was taken for a peer of the units below it, not of those that have
/// no parent.
#[test]
fn nobody_stands_above_itself() {
    let unit = |unit: &str, parent: Option<&str>| {
        let fields = Unit { name: None, unit_kind: None, parent: parent.map(id) };
        Record::Unit(id(unit), State::Present(fields))
    };
    let open = |deal: &str, unit: &str| {
        let open = plain_deal(noon("2024-03-01"), DealStatus::Open);
        Record::Deal(id(deal), State::Present(Deal { unit: Some(id(unit)), ..open }))
    };
    let book = book([
        unit("own", Some("own")),
        unit("below", Some("own")),
        unit("beside", None),
        open("d1", "below"),
        open("d2", "beside"),
    ]);
    let march = WindowSpec::Dates(days("2024-03-01..2024-04-01"));
    let march = march.resolve(date("2024-03-31"), &plain_settings().period_starts()).unwrap();
    let premises = Premises::default();
    let asked = BoardQuestion::new(SubjectKind::Unit, false, &premises, &march, RatesOn::OwnDay);
    let board = book.board(&asked);
    for (unit, expected) in [("own", 2), ("beside", 2), ("below", 1)] {
        let (_, group) = book.peer(&board, &Subject::Unit(id(unit))).expect("it is active and has a deal");
        assert_eq!(group.total().peer_count, expected, "{unit}");
    }
}

/// Lists by a dimension looked for what is open on `as_of` among the deals that end in the window or later: of a
/// window to come, those that are open today and end before it begins had no row. Of a window that is over, the
/// deals that were opened and ended after it had one.
#[test]
fn groups_are_of_the_window_and_of_what_is_open() {
    let deal = |n: usize, opened: &str, closed: &str, product: &str| {
        let product = Some(Term::try_new(product).unwrap());
        let deal = plain_deal(noon(opened), DealStatus::Won(noon(closed)));
        Record::Deal(id(&format!("d{n}")), State::Present(Deal { product, ..deal }))
    };
    let book = book([
        deal(1, "2024-01-10", "2024-01-20", "over"),
        deal(2, "2024-02-10", "2024-02-20", "between"),
        deal(3, "2024-02-10", "2024-03-20", "open"),
        deal(4, "2024-03-10", "2024-03-20", "to come"),
        deal(5, "2024-04-10", "2024-04-20", "in April"),
    ]);
    let scope = book.scope(&Subject::Tenant, &Filter::default(), Roles::SOURCED).unwrap();
    let starts = plain_settings().period_starts();
    for (window, expected) in [
        ("2024-01-01..2024-02-01", &["open", "over"][..]),
        ("2024-02-01..2024-03-01", &["between", "open"]),
        ("2024-04-01..2024-05-01", &["open"]),
    ] {
        let window = WindowSpec::Dates(days(window)).resolve(date("2024-02-29"), &starts).unwrap();
        let expected: BTreeSet<_> = expected.iter().map(|&value| GroupValue::Value(value.into())).collect();
        let asked = MarketingQuestion {
            subject: &Subject::Tenant,
            filter: &Filter::default(),
            scope: &scope,
            basis: Basis::Period,
            rates: RatesOn::OwnDay,
        };
        assert_eq!(book.group_values(&asked, &Dimension::Product, &window), expected, "{window:?}");
    }
}
