//! Series: the calendar periods of a span of days (docs/kpis.md §4, §7).
//!
//! Invariants, a property test:
//! 1. Buckets follow one another without a gap. Their days that have come are those of the span; each has one.
//! 2. A bucket's end lies as many days before its `as_of` as the last one's, or what has come of it, before
//!    the span's: prospects are judged at equal age. Only the last may be judged before its end.

use super::calendar::DateRange;
use super::window::{PeriodStarts, PeriodUnit, Window};

/// A calendar period, or what of it lies in the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub window: Window,
    /// Whether it is cut at an edge of the span, or isn't over.
    pub partial: bool,
}

/// The periods that have a day in the span that has come.
pub fn buckets(span: &Window, unit: PeriodUnit, starts: &PeriodStarts) -> Vec<Bucket> {
    let DateRange { mut from, to } = span.counted();
    let mut buckets = Vec::new();
    while from < to {
        let period = unit.period_of(from, starts);
        let window = span.part(unit, period);
        from = window.dates.to;
        buckets.push(Bucket { window, partial: window.dates != period || window.is_partial() });
    }
    buckets
}

#[cfg(test)]
mod tests {
    use chrono::Weekday;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::PeriodUnit::{Day, FiscalQuarter, FiscalYear, Month, Quarter, Week, Year};
    use super::*;
    use crate::domain::calendar::{Date, date};
    use crate::domain::window::{Comparison, WindowSpec};

    fn starts(week_start: Weekday, fiscal_year_start_month: u8) -> PeriodStarts {
        PeriodStarts { week_start, fiscal_year_start_month }
    }

    fn span(from: &str, to: &str, as_of: &str) -> Window {
        let dates = DateRange { from: date(from), to: date(to) };
        WindowSpec::Dates(dates).resolve(date(as_of), &starts(Weekday::Mon, 1)).expect("in range")
    }

    /// `2024-02-01..2024-03-01 on 2024-03-02`, with `partial` behind.
    fn told(bucket: &Bucket) -> String {
        let Window { dates, as_of, .. } = bucket.window;
        let partial = if bucket.partial { " partial" } else { "" };
        format!("{}..{} on {as_of}{partial}", dates.from, dates.to)
    }

    #[test]
    fn buckets_by_hand() {
        let (monday, sunday) = (starts(Weekday::Mon, 1), starts(Weekday::Sun, 7));
        #[rustfmt::skip]
        let table: &[(Window, PeriodUnit, PeriodStarts, &[&str])] = &[
            // a leap February, asked for later: all are as old as March is
            (span("2024-01-01", "2024-04-01", "2024-04-10"), Month, monday, &[
                "2024-01-01..2024-02-01 on 2024-02-10",
                "2024-02-01..2024-03-01 on 2024-03-10",
                "2024-03-01..2024-04-01 on 2024-04-10",
            ]),
            (span("2023-02-01", "2023-04-01", "2023-03-31"), Month, monday, &[
                "2023-02-01..2023-03-01 on 2023-02-28",
                "2023-03-01..2023-04-01 on 2023-03-31",
            ]),
            // as_of in the middle: the month that runs is to date, the later ones aren't answered
            (span("2024-01-01", "2025-01-01", "2024-02-29"), Month, monday, &[
                "2024-01-01..2024-02-01 on 2024-01-31",
                "2024-02-01..2024-03-01 on 2024-02-29",
            ]),
            (span("2024-01-01", "2025-01-01", "2024-02-28"), Month, monday, &[
                "2024-01-01..2024-02-01 on 2024-01-31",
                "2024-02-01..2024-03-01 on 2024-02-28 partial",
            ]),
            // begins and ends within a month; the last one's end is that of the span
            (span("2024-01-15", "2024-03-11", "2024-03-31"), Month, monday, &[
                "2024-01-15..2024-02-01 on 2024-02-21 partial",
                "2024-02-01..2024-03-01 on 2024-03-21",
                "2024-03-01..2024-03-11 on 2024-03-31 partial",
            ]),
            // 2024-03-04 is a Monday
            (span("2024-03-01", "2024-03-18", "2024-03-17"), Week, monday, &[
                "2024-03-01..2024-03-04 on 2024-03-03 partial",
                "2024-03-04..2024-03-11 on 2024-03-10",
                "2024-03-11..2024-03-18 on 2024-03-17",
            ]),
            (span("2024-03-01", "2024-03-18", "2024-03-17"), Week, sunday, &[
                "2024-03-01..2024-03-03 on 2024-03-02 partial",
                "2024-03-03..2024-03-10 on 2024-03-09",
                "2024-03-10..2024-03-17 on 2024-03-16",
                "2024-03-17..2024-03-18 on 2024-03-17 partial",
            ]),
            (span("2023-12-01", "2024-05-01", "2024-12-31"), Quarter, monday, &[
                "2023-12-01..2024-01-01 on 2024-09-01 partial",
                "2024-01-01..2024-04-01 on 2024-12-01",
                "2024-04-01..2024-05-01 on 2024-12-31 partial",
            ]),
            (span("2023-01-01", "2025-01-01", "2024-12-31"), Year, monday, &[
                "2023-01-01..2024-01-01 on 2023-12-31",
                "2024-01-01..2025-01-01 on 2024-12-31",
            ]),
            // the fiscal year begins in July, or in February
            (span("2023-07-01", "2024-04-01", "2024-03-31"), FiscalQuarter, sunday, &[
                "2023-07-01..2023-10-01 on 2023-09-30",
                "2023-10-01..2024-01-01 on 2023-12-31",
                "2024-01-01..2024-04-01 on 2024-03-31",
            ]),
            (span("2024-01-01", "2024-06-01", "2024-05-31"), FiscalQuarter, starts(Weekday::Mon, 2), &[
                "2024-01-01..2024-02-01 on 2024-01-31 partial",
                "2024-02-01..2024-05-01 on 2024-04-30",
                "2024-05-01..2024-06-01 on 2024-05-31 partial",
            ]),
            (span("2024-01-01", "2025-01-01", "2024-12-31"), FiscalYear, sunday, &[
                "2024-01-01..2024-07-01 on 2024-06-30 partial",
                "2024-07-01..2025-01-01 on 2024-12-31 partial",
            ]),
            // one day
            (span("2024-02-29", "2024-03-01", "2024-02-29"), Day, monday, &["2024-02-29..2024-03-01 on 2024-02-29"]),
            (span("2024-02-29", "2024-03-01", "2024-03-05"), Year, monday, &[
                "2024-02-29..2024-03-01 on 2024-03-05 partial",
            ]),
            (span("2024-02-28", "2024-03-02", "2024-03-01"), Day, monday, &[
                "2024-02-28..2024-02-29 on 2024-02-28",
                "2024-02-29..2024-03-01 on 2024-02-29",
                "2024-03-01..2024-03-02 on 2024-03-01",
            ]),
            // no day has come
            (span("2024-03-01", "2024-04-01", "2024-02-29"), Day, monday, &[]),
            // periods that reach beyond the dates that there are
            (span("1970-01-01", "1970-01-06", "1970-01-06"), Week, monday, &[
                "1970-01-01..1970-01-05 on 1970-01-05 partial",
                "1970-01-05..1970-01-06 on 1970-01-06 partial",
            ]),
            (span("2199-12-31", "2200-01-01", "2199-12-31"), FiscalYear, sunday, &[
                "2199-12-31..2200-01-01 on 2199-12-31 partial",
            ]),
        ];
        for (span, unit, starts, expected) in table {
            let found: Vec<String> = buckets(span, *unit, starts).iter().map(told).collect();
            assert_eq!(found, *expected, "{unit:?} of {span:?}");
        }
    }

    /// What a value score's own past rests on.
    #[test]
    fn a_bucket_is_preceded_by_its_like() {
        let (monday, march) = (starts(Weekday::Mon, 1), span("2024-03-04", "2024-04-01", "2024-03-27"));
        let weeks = buckets(&march, Week, &monday);
        let before = |bucket: &Bucket| bucket.window.compared(Comparison::Previous).expect("in range").dates;
        let dates = |from, to| DateRange { from: date(from), to: date(to) };
        assert_eq!(before(&weeks[0]), dates("2024-02-26", "2024-03-04"));
        assert_eq!(before(&weeks[3]), dates("2024-03-18", "2024-03-21"), "Monday to Wednesday");
        let months = buckets(&march, Month, &monday);
        assert_eq!(before(&months[0]), dates("2024-02-09", "2024-03-04"), "cut, it is days: 24 of them");
    }

    fn any_date() -> impl Strategy<Value = Date> {
        (10_000..20_000).prop_map(Date::from_day_number)
    }

    proptest! {
        #[test]
        fn buckets_tile_what_has_come(
            from in any_date(),
            days in 1..1_500,
            age in -1_600..100,
            unit in select(vec![Day, Week, Month, Quarter, Year, FiscalQuarter, FiscalYear]),
            week_start in (0u8..7).prop_map(|day| Weekday::try_from(day).expect("a day of the week")),
            fiscal_year_start_month in 1u8..=12,
        ) {
            let starts = starts(week_start, fiscal_year_start_month);
            let dates = DateRange { from, to: from.plus_days(days) };
            let span = WindowSpec::Dates(dates).resolve(dates.to.plus_days(age), &starts).expect("in range");
            let buckets = buckets(&span, unit, &starts);
            let counted = span.counted();
            let mut next = counted.from;
            for (place, Bucket { window, partial }) in buckets.iter().enumerate() {
                let is_last = place + 1 == buckets.len();
                prop_assert_eq!(window.counted().from, next);
                prop_assert!(window.counted().days() > 0);
                prop_assert!(window.dates.to <= dates.to);
                prop_assert!(is_last || !window.is_partial());
                let (first, last) = (window.dates.from, window.dates.to.plus_days(-1));
                prop_assert_eq!(unit.period_of(first, &starts), unit.period_of(last, &starts));
                let is_whole = window.dates == unit.period_of(first, &starts) && !window.is_partial();
                prop_assert_eq!(*partial, !is_whole);
                let age = |window: &Window| window.as_of.days_since(window.counted().to);
                prop_assert_eq!(age(window), age(&span));
                next = window.counted().to;
            }
            prop_assert_eq!(next, counted.to);
        }
    }
}
