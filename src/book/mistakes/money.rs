//! Mistakes about money.

use super::super::MarketingQuestion;
use super::*;
use crate::domain::filter::Filter;
use crate::domain::record::Spend;
use crate::kpi::average_deal_size::{average_deal_size, unpriced_won_count};
use crate::kpi::deal_velocity::deal_velocity;
use crate::kpi::figure::{Absent, Quantity};
use crate::kpi::marketing_channel::{self, Basis};

fn spend(spend: &str, units: i64, code: &str) -> Record {
    let fields = Spend {
        channel: id("c"),
        dates: days("2024-03-01..2024-04-01"),
        amount: worth(units, code).unwrap(),
        partner: None,
    };
    Record::Spend(id(spend), State::Present(fields))
}

/// What the tenant spent in March.
fn spent(book: &Book) -> marketing_channel::Spend {
    let (subject, filter) = (Subject::Tenant, Filter::default());
    let scope = scope(book, &subject).unwrap();
    let (basis, rates) = (Basis::Period, RatesOn::OwnDay);
    let asked = MarketingQuestion { subject: &subject, filter: &filter, scope: &scope, basis, rates };
    let march = window("2024-03-01..2024-04-01", "2024-03-31");
    book.marketing(&asked, &march).found.total().spend.expect("the tenant's is told")
}

#[test]
fn amounts_of_several_currencies_are_not_added_as_they_are() {
    let book = book([
        rate("EUR", "USD", "2024-01-01", "2"),
        sent("d1", Deal { amount: worth(100, "USD"), ..won("2024-03-04") }),
        sent("d2", Deal { amount: worth(100, "EUR"), ..won("2024-03-04") }),
        sent("d3", Deal { amount: worth(10, "USD"), ..open("2024-03-04") }),
        sent("d4", Deal { amount: worth(10, "EUR"), ..open("2024-03-04") }),
        spend("s1", 31, "USD"),
        spend("s2", 31, "EUR"),
    ]);
    for window in ["2024-03-01..2024-04-01", "2024-03-04..2024-03-05"] {
        assert_eq!(tenant(&book, window).won, tally(2, 2, 300), "{window}");
        assert_eq!(tenant(&book, window).opened, tally(4, 4, 330), "{window}");
    }
    assert_eq!(pipeline(&book, "2024-03-31").deals, tally(2, 2, 30));
    assert_eq!(spent(&book).amount_e4, 93_0000);
}

/// Of its own pair and day, whichever was looked up before; the other way round, and through a third currency.
#[test]
fn a_rate_serves_its_own_pair_and_days_only() {
    let deal = |units, code| Deal { amount: worth(units, code), ..won("2024-03-09") };
    let book = book([
        rate("EUR", "USD", "2024-01-01", "2"),
        rate("EUR", "USD", "2024-03-10", "5"),
        rate("GBP", "USD", "2024-01-01", "3"),
        rate("USD", "CHF", "2024-01-01", "0.25"), // 4 dollars
        rate("JPY", "GBP", "2024-01-01", "0.1"),  // 0.3 dollars
        sent("d1", deal(1, "EUR")),
        sent("d2", deal(10, "GBP")),
        sent("d3", Deal { amount: worth(100, "EUR"), ..won("2024-03-10") }),
        sent("d4", deal(1_000, "CHF")),
        sent("d5", deal(10_000, "JPY")),
        sent("d6", deal(10, "GBP")),
    ]);
    let expected = 2 + 30 + 500 + 4_000 + 3_000 + 30;
    assert_eq!(tenant(&book, "2024-03-01..2024-04-01").won, tally(6, 6, expected));
    // All at the rates of one day: then euros are worth more.
    let scope = scope(&book, &Subject::Tenant).unwrap();
    let march = days("2024-03-01..2024-04-01");
    let at_the_end = book.fold(&scope, march, RatesOn::Day(date("2024-03-31"))).measures.won;
    assert_eq!(at_the_end, tally(6, 6, expected + 3));
}

#[test]
fn a_missing_rate_is_not_1() {
    let book = book([
        rate("EUR", "USD", "2024-03-10", "2"),
        sent("d1", Deal { amount: worth(100, "EUR"), ..won("2024-03-09") }), // the rate comes a day later
        sent("d2", Deal { amount: worth(100, "JPY"), ..won("2024-03-09") }),
        sent("d3", Deal { amount: worth(100, "JPY"), ..open("2024-03-09") }),
        spend("s1", 31, "JPY"),
        spend("s2", 31, "EUR"), // a euro a day, 9 days without a rate
    ]);
    let measures = tenant(&book, "2024-03-01..2024-04-01");
    assert_eq!(measures.won, tally(2, 0, 0));
    assert_eq!(average_deal_size(&measures), Err(Absent::NoAmountKnown));
    assert_eq!(pipeline(&book, "2024-03-31").deals, tally(1, 0, 0));
    let spent = spent(&book);
    assert_eq!((spent.amount_e4, spent.unconverted_day_count), (22 * 20_000, 31 + 9));
}

/// Nor are they 0 in the mean, the median or the money per day.
#[test]
fn the_average_leaves_out_deals_without_an_amount() {
    let book = book([
        sent("d1", Deal { amount: worth(300, "USD"), ..won("2024-03-04") }),
        sent("d2", Deal { amount: worth(500, "USD"), ..won("2024-03-05") }),
        sent("d3", won("2024-03-06")),
    ]);
    let measures = tenant(&book, "2024-03-01..2024-04-01");
    let average = average_deal_size(&measures).unwrap();
    assert_eq!(average.terms(), Some((Quantity::AmountE4(800_0000), Quantity::Count(2))));
    assert_eq!((measures.won.count, unpriced_won_count(&measures)), (3, 1));
    let scope = scope(&book, &Subject::Tenant).unwrap();
    let march = window("2024-03-01..2024-04-01", "2024-03-31");
    let median = book.won_deals(&scope, march.counted(), RatesOn::OwnDay).median_amount().unwrap();
    assert_eq!(median.quotient(), 400.0);
    // N 3/31, w 1, s 400, c 1: each deal took a day.
    let standing = book.standing(&scope, &march, RatesOn::OwnDay, false).standing;
    assert_eq!(
        deal_velocity(&standing).unwrap().terms(),
        Some((Quantity::AmountE4(12_000_000), Quantity::Count(31)))
    );
}
