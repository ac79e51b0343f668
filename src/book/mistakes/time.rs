//! Mistakes about time.

use super::*;
use crate::domain::record::{Lead, LeadOutcome};
use crate::domain::series::buckets;
use crate::domain::window::{Comparison, PeriodPlace, PeriodUnit};
use crate::kpi::close_rate::close_rate;
use crate::kpi::deal_count::{self, deal_count};
use crate::kpi::figure::{Quantity, Trend, change};

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

/// On the day of its end a deal has ended, and isn't open any more.
#[test]
fn no_deal_is_open_and_won_on_one_date() {
    let book = book([
        sent("d1", plain_deal(noon("2024-03-01"), DealStatus::Won(noon("2024-03-05")))),
        sent("d2", plain_deal(noon("2024-03-05"), DealStatus::Open)),
    ]);
    for (on, window, open_count, won_count) in [
        ("2024-03-04", "2024-03-04..2024-03-05", 1, 0),
        ("2024-03-05", "2024-03-05..2024-03-06", 1, 1), // the other one was opened
        ("2024-03-06", "2024-03-06..2024-03-07", 1, 0),
    ] {
        assert_eq!(pipeline(&book, on).deals.count, open_count, "{on}");
        assert_eq!(tenant(&book, window).won.count, won_count, "{on}");
    }
}

#[test]
fn a_won_deal_is_dated_by_its_close() {
    let deal = plain_deal(noon("2024-01-10"), DealStatus::Won(noon("2024-03-05")));
    let book = book([sent("d1", Deal { amount: worth(5, "USD"), ..deal })]);
    assert_eq!(tenant(&book, "2024-03-01..2024-04-01").won, tally(1, 1, 5));
    assert_eq!(tenant(&book, "2024-01-01..2024-02-01").won, tally(0, 0, 0));
}

/// Also where months are summed, and in a series.
#[test]
fn a_month_is_not_that_of_another_year() {
    let book =
        book([sent("d1", won("2023-03-05")), sent("d2", won("2024-03-05")), sent("d3", won("2024-03-31"))]);
    for (window, expected) in [
        ("2024-03-01..2024-04-01", 2),
        ("2023-03-01..2023-04-01", 1),
        ("2023-03-01..2024-03-06", 2),
        ("2022-03-01..2022-04-01", 0),
    ] {
        assert_eq!(tenant(&book, window).won.count, expected, "{window}");
    }
    let span = window("2023-01-01..2024-04-01", "2024-03-31");
    for (unit, expected) in [
        (PeriodUnit::Month, &[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2][..]),
        (PeriodUnit::Quarter, &[1, 0, 0, 0, 2]),
        (PeriodUnit::Year, &[1, 2]),
    ] {
        let buckets = buckets(&span, unit, &plain_settings().period_starts());
        let counts: Vec<i64> = buckets
            .iter()
            .map(|bucket| measures(&book, &Subject::Tenant, bucket.window.counted()).won.count)
            .collect();
        assert_eq!(counts, expected, "{unit:?}");
    }
}

#[test]
fn nothing_grows_by_100_percent_from_0() {
    let book = book([sent("d1", won("2024-03-05"))]);
    let (before, now) = (tenant(&book, "2024-02-01..2024-03-01"), tenant(&book, "2024-03-01..2024-04-01"));
    let change = change(&deal_count(&now), &deal_count(&before), deal_count::DIRECTION).unwrap();
    assert_eq!((change.absolute, change.relative, change.trend), (1.0, None, Some(Trend::Better)));
}

/// Of two leads of each month one purchases within ten days after its end, the other a month later. On 10 April the
/// late one of March hasn't yet; that of February has, and hadn't when February was as old as March is.
#[test]
fn a_cohort_is_compared_at_equal_age() {
    let lead = |lead: &str, on: &str| {
        let fields = Lead {
            created_at: noon(on),
            partner: None,
            owner: None,
            channel: None,
            region: None,
            outcome: LeadOutcome::Open,
        };
        Record::Lead(id(lead), State::Present(fields))
    };
    let purchase = |deal: &str, lead: &str, on: &str| sent(deal, Deal { lead: Some(id(lead)), ..won(on) });
    let book = book([
        lead("l1", "2024-02-05"),
        lead("l2", "2024-02-20"),
        lead("l3", "2024-03-05"),
        lead("l4", "2024-03-20"),
        purchase("d1", "l1", "2024-03-08"),
        purchase("d2", "l2", "2024-04-05"),
        purchase("d3", "l3", "2024-04-08"),
        purchase("d4", "l4", "2024-05-05"),
    ]);
    let scope = scope(&book, &Subject::Tenant).unwrap();
    let rate = |window: &Window| {
        let standing = book.standing(&scope, window, RatesOn::OwnDay, true).standing;
        close_rate(&standing.cohort).unwrap().terms().unwrap()
    };
    let march = window("2024-03-01..2024-04-01", "2024-04-10");
    let february = march.compared(Comparison::Previous).unwrap();
    let half = (Quantity::Count(1), Quantity::Count(2));
    assert_eq!((rate(&march), rate(&february)), (half, half));
    assert_eq!(
        rate(&window("2024-02-01..2024-03-01", "2024-04-10")),
        (Quantity::Count(2), Quantity::Count(2))
    );
    for bucket in buckets(
        &window("2024-02-01..2024-04-01", "2024-04-10"),
        PeriodUnit::Month,
        &plain_settings().period_starts(),
    ) {
        assert_eq!(rate(&bucket.window), half, "{bucket:?}");
    }
}
