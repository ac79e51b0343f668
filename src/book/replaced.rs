//! A changed deal by hand: what its rows say changes in place, and where they lie otherwise they move.

use super::Book;
use super::histories::{apply, currency, days, id, noon, plain_deal, plain_settings, scope};
use crate::domain::amount::{Amount, Money};
use crate::domain::ids::Term;
use crate::domain::premises::RatesOn;
use crate::domain::record::{Credit, Credits, Deal, DealStatus, Record, Role, State, Version, VersionKey};
use crate::domain::subject::Subject;
use crate::kpi::measures::Tally;

fn partner(name: &str) -> Subject {
    Subject::Partner { partner: id(name), include_sub_partners: false }
}

fn told(units: i64, owner: &str, credited: &str, stage: &str) -> Deal {
    let credit = Credit { role: Role::Sourced, partner: id(credited), share: None };
    Deal {
        amount: Some(Money {
            amount: Amount::try_from_e4(units * 10_000).expect("it is within bounds"),
            currency: currency("USD"),
        }),
        owner: Some(id(owner)),
        credits: Credits::try_new(vec![credit]).expect("one fits"),
        stage: Some(Term::try_new(stage).expect("it is a term")),
        ..plain_deal(noon("2024-03-01"), DealStatus::Open)
    }
}

#[test]
fn each_change_of_a_deal_is_told_once_of_whom_it_concerns() {
    let key = |hour| VersionKey { update_time: noon("2024-03-01").plus_hours(hour), sequence: 0 };
    let won = |deal: Deal| Deal { status: DealStatus::Won(noon("2024-03-09")), ..deal };
    let mut book = Book::default();
    apply(&mut book, vec![Version { key: key(0), record: Record::Settings(plain_settings()) }]);
    // Another deal, beside which the rows lie.
    let beside = Record::Deal(id("beside"), State::Present(told(7, "e1", "p1", "offer")));
    apply(&mut book, vec![Version { key: key(0), record: beside }]);

    // What is opened and won of p1, p2, and by e1, e2, in units.
    let steps: [(Deal, [(i128, i128); 4]); 7] = [
        (told(100, "e1", "p1", "offer"), [(107, 0), (0, 0), (107, 0), (0, 0)]),
        (told(100, "e1", "p1", "contract"), [(107, 0), (0, 0), (107, 0), (0, 0)]), // the terms alone
        (told(30, "e1", "p1", "contract"), [(37, 0), (0, 0), (37, 0), (0, 0)]),    // the amount
        (told(30, "e2", "p1", "contract"), [(37, 0), (0, 0), (7, 0), (30, 0)]),    // the desk
        (told(40, "e2", "p2", "contract"), [(7, 0), (40, 0), (7, 0), (40, 0)]),    // another partner's rows
        (won(told(40, "e2", "p2", "won")), [(7, 0), (40, 40), (7, 0), (40, 40)]),  // another day
        (won(told(50, "e1", "p2", "won")), [(7, 0), (50, 50), (57, 50), (0, 0)]),
    ];
    for (hour, (deal, expected)) in (1..).zip(steps) {
        apply(
            &mut book,
            vec![Version { key: key(hour), record: Record::Deal(id("d"), State::Present(deal)) }],
        );
        book.pages.verify(&book.pools);
        let subjects =
            [partner("p1"), partner("p2"), Subject::Employee(id("e1")), Subject::Employee(id("e2"))];
        for (subject, (opened, won)) in subjects.iter().zip(expected) {
            // Who hasn't been named yet has nothing.
            let found = scope(&book, subject).map(|scope| {
                let measures = book.fold(&scope, days("2024-03-01..2024-04-01"), RatesOn::OwnDay).measures;
                (measures.opened.amount_e4, measures.won.amount_e4)
            });
            let expected = (opened * 10_000, won * 10_000);
            assert_eq!(found.unwrap_or_default(), expected, "{subject:?} after change {hour}");
        }
        let tenant = scope(&book, &Subject::Tenant).expect("it is there");
        let opened = book.fold(&tenant, days("2024-03-01..2024-04-01"), RatesOn::OwnDay).measures.opened;
        let amount_e4 = (expected[0].0 + expected[1].0) * 10_000;
        assert_eq!(opened, Tally { count: 2, priced_count: 2, amount_e4 }, "after change {hour}");
    }
}
