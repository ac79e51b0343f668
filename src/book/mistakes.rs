//! The mistakes of other systems that docs/kpis.md §11 lists, as far as the figures of today can make them:
//! a test each, which fails when the mistake is made.

use super::Book;
use super::histories::scope;
use super::histories::{apply, currency, days, id, noon, plain_deal, plain_settings};
use crate::domain::amount::{Amount, BasisPoints, Money};
use crate::domain::calendar::{DateRange, Instant, date};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::premises::RatesOn;
use crate::domain::record::{
    Credit, Credits, Deal, DealStatus, Expiry, Labels, Partner, Record, Role, State, Version, VersionKey,
};
use crate::domain::subject::Subject;
use crate::domain::window::{Comparison, PeriodPlace, PeriodUnit, WindowSpec};
use crate::kpi::average_deal_size::{average_deal_size, unpriced_won_count};
use crate::kpi::deal_count::{self, deal_count};
use crate::kpi::deal_success::{deal_success, missed};
use crate::kpi::figure::{Absent, Quantity, Trend, change};
use crate::kpi::measures::{Measures, Tally};

/// A book with the settings of `plain_settings` and these records.
fn book(records: impl IntoIterator<Item = Record>) -> Book {
    let mut book = Book::default();
    let key = VersionKey { update_time: Instant::FIRST, sequence: 0 };
    let records = [Record::Settings(plain_settings())].into_iter().chain(records);
    apply(&mut book, records.map(|record| Version { key, record }).collect());
    book
}

fn measures(book: &Book, subject: &Subject, dates: DateRange) -> Measures {
    book.fold(&scope(book, subject).expect("a known subject"), dates, RatesOn::OwnDay).measures
}

fn tenant(book: &Book, window: &str) -> Measures {
    measures(book, &Subject::Tenant, days(window))
}

fn partner(partner: &str, include_sub_partners: bool) -> Subject {
    Subject::Partner { partner: id(partner), include_sub_partners }
}

fn sent(deal_id: &str, deal: Deal) -> Record {
    Record::Deal(id(deal_id), State::Present(deal))
}

fn won(on: &str) -> Deal {
    plain_deal(noon(on), DealStatus::Won(noon(on)))
}

fn worth(units: i64, code: &str) -> Option<Money> {
    Some(Money { amount: Amount::try_from_e4(units * 10_000).unwrap(), currency: currency(code) })
}

fn rate(from: &str, on: &str, rate: &str) -> Record {
    let key = RateKey { from: currency(from), to: currency("USD"), on: date(on) };
    Record::Rate(key, State::Present(Rate::parse(rate).unwrap()))
}

fn credits(credits: &[(Role, &str, i64)]) -> Credits {
    let credit = |&(role, partner, bps): &(Role, &str, i64)| Credit {
        role,
        partner: id(partner),
        share: Some(BasisPoints::try_new(bps).unwrap()),
    };
    Credits::try_new(credits.iter().map(credit).collect()).unwrap()
}

fn tally(count: i64, priced_count: i64, units: i64) -> Tally {
    Tally { count, priced_count, amount_e4: i128::from(units) * 10_000 }
}

#[test]
fn the_comparison_window_is_not_a_day_short() {
    // One deal a day from 1 January 2024 on, two on 31 March.
    let first = date("2024-01-01");
    let days_on = (0..91).chain([90]);
    let daily =
        days_on.enumerate().map(|(n, day)| sent(&format!("d{n}"), won(&first.plus_days(day).to_string())));
    let book = book(daily);
    let starts = plain_settings().period_starts();
    for (spec, expected, expected_before) in [
        (WindowSpec::LastDays(15), 16, 15),
        (WindowSpec::LastDays(1), 2, 1),
        (WindowSpec::Period(PeriodUnit::Month, PeriodPlace::This), 32, 29),
        (WindowSpec::Period(PeriodUnit::Week, PeriodPlace::Previous), 7, 7),
        (WindowSpec::Dates(days("2024-03-10..2024-03-20")), 10, 10),
    ] {
        let window = spec.resolve(date("2024-03-31"), &starts).unwrap();
        let before = window.compared(Comparison::Previous).unwrap();
        let count = |dates| measures(&book, &Subject::Tenant, dates).won.count;
        assert_eq!(count(window.counted()), expected, "{spec:?}");
        assert_eq!(count(before.counted()), expected_before, "{spec:?}: comparison");
    }
}

#[test]
fn the_boundary_instant_counts_in_one_window() {
    // Midnight in Dhaka is 18:00 in London. The last nanosecond of February, the first of March.
    let midnight = noon("2024-03-01").plus_hours(-12);
    let before = Instant::from_nanos(midnight.as_nanos() - 1);
    let at = |instant| Deal {
        owner: Some(id("e")),
        credits: credits(&[(Role::Sourced, "a", 10_000)]),
        ..plain_deal(noon("2024-02-01"), DealStatus::Won(instant))
    };
    let book = book([sent("d1", at(before)), sent("d2", Deal { amount: worth(7, "USD"), ..at(midnight) })]);
    for subject in [Subject::Tenant, partner("a", false), Subject::Employee(id("e"))] {
        for (window, expected) in [
            ("2024-02-01..2024-03-01", tally(1, 0, 0)),
            ("2024-03-01..2024-04-01", tally(1, 1, 7)),
            ("2024-02-15..2024-03-01", tally(1, 0, 0)), // edges, told from rows
            ("2024-03-01..2024-03-15", tally(1, 1, 7)),
            ("2024-02-20..2024-02-29", tally(0, 0, 0)),
            ("2024-02-29..2024-03-01", tally(1, 0, 0)),
            ("2024-03-01..2024-03-02", tally(1, 1, 7)),
        ] {
            assert_eq!(measures(&book, &subject, days(window)).won, expected, "{subject:?} in {window}");
        }
    }
}

#[test]
fn lost_and_expired_deals_and_those_of_archived_partners_are_in_the_rate() {
    let of_a = |deal: Deal| Deal { credits: credits(&[(Role::Sourced, "a", 10_000)]), ..deal };
    let lost = plain_deal(noon("2024-03-01"), DealStatus::Lost(noon("2024-03-05")));
    let open = plain_deal(noon("2024-03-01"), DealStatus::Open);
    let expired = Deal { expiry: Some(Expiry::At(noon("2024-03-20"))), ..open.clone() };
    let book = book([
        Record::Partner(id("a"), State::Deleted(None)),
        sent("d1", of_a(won("2024-03-04"))),
        sent("d2", of_a(lost)),
        sent("d3", of_a(expired)),
        sent("d4", of_a(open)),
    ]);
    for subject in [Subject::Tenant, partner("a", false)] {
        let measures = measures(&book, &subject, days("2024-03-01..2024-04-01"));
        let success = deal_success(&measures).unwrap();
        assert_eq!(
            (success.numerator(), success.denominator()),
            (Quantity::Count(1), Quantity::Count(3)),
            "{subject:?}"
        );
        assert_eq!(missed(&measures).count, 2, "{subject:?}");
    }
}

#[test]
fn amounts_of_several_currencies_are_not_added_as_they_are() {
    let book = book([
        rate("EUR", "2024-01-01", "2"),
        sent("d1", Deal { amount: worth(100, "USD"), ..won("2024-03-04") }),
        sent("d2", Deal { amount: worth(100, "EUR"), ..won("2024-03-04") }),
    ]);
    assert_eq!(tenant(&book, "2024-03-01..2024-04-01").won, tally(2, 2, 300));
}

#[test]
fn a_rate_serves_its_own_pair_and_days_only() {
    let book = book([
        rate("EUR", "2024-01-01", "2"),
        rate("EUR", "2024-03-10", "5"),
        rate("GBP", "2024-01-01", "3"),
        sent("d1", Deal { amount: worth(1, "EUR"), ..won("2024-03-09") }),
        sent("d2", Deal { amount: worth(10, "GBP"), ..won("2024-03-09") }),
        sent("d3", Deal { amount: worth(100, "EUR"), ..won("2024-03-10") }),
    ]);
    assert_eq!(tenant(&book, "2024-03-01..2024-04-01").won, tally(3, 3, 2 + 30 + 500));
}

#[test]
fn a_missing_rate_is_not_1() {
    let book = book([
        rate("EUR", "2024-03-10", "2"),
        sent("d1", Deal { amount: worth(100, "EUR"), ..won("2024-03-09") }), // the rate comes a day later
        sent("d2", Deal { amount: worth(100, "JPY"), ..won("2024-03-09") }),
    ]);
    let measures = tenant(&book, "2024-03-01..2024-04-01");
    assert_eq!(measures.won, tally(2, 0, 0));
    assert_eq!(average_deal_size(&measures), Err(Absent::NoAmountKnown));
}

/// The sums of a whole month and the rows of its edges each have their own way of counting.
#[test]
fn a_shared_deal_counts_once_and_in_parts() {
    let below = |parent: &str| {
        let partner = Partner {
            name: None,
            partner_type: None,
            tier: None,
            region: None,
            parent: Some(id(parent)),
            active: true,
            labels: Labels::new(),
            merged_into: None,
        };
        State::Present(partner)
    };
    use Role::{Influenced, Sourced};
    let shared = credits(&[(Sourced, "a", 6_000), (Sourced, "b", 3_000), (Influenced, "a", 10_000)]);
    let book = book([
        Record::Partner(id("top"), below("nobody")),
        Record::Partner(id("a"), below("top")),
        Record::Partner(id("b"), below("top")),
        sent("d1", Deal { amount: worth(100, "USD"), credits: shared, ..won("2024-03-04") }),
    ]);
    for window in ["2024-03-01..2024-04-01", "2024-03-04..2024-03-05"] {
        for (subject, expected) in [
            (partner("a", false), tally(1, 1, 60)),
            (partner("b", false), tally(1, 1, 30)),
            (partner("top", false), tally(0, 0, 0)),
            (partner("top", true), tally(1, 1, 90)),
            (Subject::Tenant, tally(1, 1, 100)),
        ] {
            let found = measures(&book, &subject, days(window)).won;
            assert_eq!(found, expected, "{subject:?} in {window}");
        }
    }
}

#[test]
fn a_won_deal_is_dated_by_its_close() {
    let deal = plain_deal(noon("2024-01-10"), DealStatus::Won(noon("2024-03-05")));
    let book = book([sent("d1", Deal { amount: worth(5, "USD"), ..deal })]);
    assert_eq!(tenant(&book, "2024-03-01..2024-04-01").won, tally(1, 1, 5));
    assert_eq!(tenant(&book, "2024-01-01..2024-02-01").won, tally(0, 0, 0));
}

#[test]
fn a_month_is_not_that_of_another_year() {
    let book = book([sent("d1", won("2023-03-05")), sent("d2", won("2024-03-05"))]);
    assert_eq!(tenant(&book, "2024-03-01..2024-04-01").won.count, 1);
    assert_eq!(tenant(&book, "2023-03-01..2024-03-06").won.count, 2);
}

#[test]
fn nothing_grows_by_100_percent_from_0() {
    let book = book([sent("d1", won("2024-03-05"))]);
    let (before, now) = (tenant(&book, "2024-02-01..2024-03-01"), tenant(&book, "2024-03-01..2024-04-01"));
    let change = change(&deal_count(&now), &deal_count(&before), deal_count::DIRECTION).unwrap();
    assert_eq!((change.absolute, change.relative, change.trend), (1.0, None, Some(Trend::Better)));
}

#[test]
fn the_average_leaves_out_deals_without_an_amount() {
    let book = book([
        sent("d1", Deal { amount: worth(300, "USD"), ..won("2024-03-04") }),
        sent("d2", Deal { amount: worth(500, "USD"), ..won("2024-03-05") }),
        sent("d3", won("2024-03-06")),
    ]);
    let measures = tenant(&book, "2024-03-01..2024-04-01");
    let average = average_deal_size(&measures).unwrap();
    assert_eq!(
        (average.numerator(), average.denominator()),
        (Quantity::AmountE4(800_0000), Quantity::Count(2))
    );
    assert_eq!((measures.won.count, unpriced_won_count(&measures)), (3, 1));
}
