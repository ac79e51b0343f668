//! Windows: which dates a question is about, and with which it is compared (docs/kpis.md §2, §7).

use chrono::Weekday;

use super::calendar::{Date, DateRange, week_of};

/// A window as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowSpec {
    /// Given dates, not empty.
    Dates(DateRange),
    /// The last so many dates that end with `as_of`, at least one.
    LastDays(u16),
    /// A calendar period found from `as_of`.
    Period(PeriodUnit, PeriodPlace),
}

/// The length of a calendar period. Fiscal periods are those of the tenant's fiscal year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodUnit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
    FiscalQuarter,
    FiscalYear,
}

/// Which period of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodPlace {
    /// The one of `as_of`, whole.
    This,
    /// The one before.
    Previous,
    /// The one of `as_of`, up to it.
    ToDate,
}

/// With which window another is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Comparison {
    /// The one before, of the same shape.
    #[default]
    Previous,
    /// The same one a year earlier.
    YearBefore,
    /// Given dates, not empty.
    Dates(DateRange),
}

/// Where a tenant's periods begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodStarts {
    pub week_start: Weekday,
    /// 1 to 12.
    pub fiscal_year_start_month: u8,
}

/// A window as dates, on a given `as_of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub dates: DateRange,
    pub as_of: Date,
    shape: Shape,
    to_date: bool,
}

/// What a window is a multiple of: how it is moved back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Days without meaning in the calendar.
    Days,
    Week,
    Months(i32),
}

// === impl WindowSpec ===

impl WindowSpec {
    /// The window on `as_of`. None where it would reach before 1970 or after 2199.
    pub fn resolve(self, as_of: Date, starts: &PeriodStarts) -> Option<Window> {
        let (dates, shape, to_date) = match self {
            Self::Dates(dates) => (dates, shape_of(dates), false),
            Self::LastDays(days) => {
                let end = as_of.next();
                (DateRange { from: end.plus_days(-i32::from(days)), to: end }, Shape::Days, false)
            }
            Self::Period(unit, place) => {
                let shape = unit.shape();
                let mut from = unit.start_of(as_of, starts);
                if place == PeriodPlace::Previous {
                    from = shape.moved(from, -1);
                }
                let to_date = place == PeriodPlace::ToDate;
                let to = if to_date { as_of.next() } else { shape.moved(from, 1) };
                (DateRange { from, to }, shape, to_date)
            }
        };
        in_range(dates).then_some(Window { dates, as_of, shape, to_date })
    }
}

// === impl PeriodUnit ===

impl PeriodUnit {
    /// The period that contains `date`.
    pub fn period_of(self, date: Date, starts: &PeriodStarts) -> DateRange {
        let from = self.start_of(date, starts);
        DateRange { from, to: self.shape().moved(from, 1) }
    }

    fn shape(self) -> Shape {
        match self {
            Self::Day => Shape::Days,
            Self::Week => Shape::Week,
            Self::Month => Shape::Months(1),
            Self::Quarter | Self::FiscalQuarter => Shape::Months(3),
            Self::Year | Self::FiscalYear => Shape::Months(12),
        }
    }

    fn start_of(self, date: Date, starts: &PeriodStarts) -> Date {
        let first_month = match self {
            Self::Day => return date,
            Self::Week => return week_of(date, starts.week_start),
            Self::Month | Self::Quarter | Self::Year => 1,
            Self::FiscalQuarter | Self::FiscalYear => i32::from(starts.fiscal_year_start_month),
        };
        let Shape::Months(length) = self.shape() else { unreachable!("days and weeks have returned") };
        let (_, month, _) = date.ymd();
        let into = (month as i32 - first_month).rem_euclid(length);
        date.month().first_day().plus_months(-into)
    }
}

// === impl Shape ===

impl Shape {
    /// `date` moved by so many units of a calendar period.
    fn moved(self, date: Date, units: i32) -> Date {
        match self {
            Self::Days => date.plus_days(units),
            Self::Week => date.plus_days(7 * units),
            Self::Months(months) => date.plus_months(months * units),
        }
    }
}

/// Dates that begin and end on a first of the month are months; others are days.
fn shape_of(dates: DateRange) -> Shape {
    let is_first = |date: Date| date.ymd().2 == 1;
    if is_first(dates.from) && is_first(dates.to) {
        Shape::Months(dates.to.month().since(dates.from.month()))
    } else {
        Shape::Days
    }
}

fn in_range(dates: DateRange) -> bool {
    Date::FIRST <= dates.from && dates.to <= Date::LAST.next()
}

// === impl Window ===

impl Window {
    /// Whether the window ends after `as_of`, so that it is answered to date.
    pub fn is_partial(&self) -> bool {
        self.dates.to > self.as_of.next()
    }

    /// The dates of the window that count: up to `as_of`. Empty where none has come.
    pub fn counted(&self) -> DateRange {
        let to = self.dates.to.min(self.as_of.next()).max(self.dates.from);
        DateRange { from: self.dates.from, to }
    }

    /// Those of its days that lie so many days or more before `as_of`. None where there are none.
    pub fn at_least_old(&self, days: i32) -> Option<DateRange> {
        let DateRange { from, to } = self.counted();
        let to = to.min(self.as_of.plus_days(1 - days));
        (to > from).then_some(DateRange { from, to })
    }

    /// The window that this one is compared with, at equal age: its `as_of` is moved by as many days as
    /// the window's end. To date where this one is. None where it would begin before 1970, and where no day
    /// of a partial window has come.
    pub fn compared(&self, comparison: Comparison) -> Option<Window> {
        self.earlier(comparison, 1)
    }

    /// The window so many steps of a comparison before this one. Before given dates lie those that precede
    /// them.
    pub fn earlier(&self, comparison: Comparison, steps: i32) -> Option<Window> {
        let counted = self.counted();
        if counted.days() == 0 {
            return None;
        }
        let last = counted.to.plus_days(-1);
        match (comparison, self.shape) {
            (Comparison::Dates(dates), _) => {
                let given = self.at_equal_age(dates, shape_of(dates))?;
                if steps == 1 { Some(given) } else { given.earlier(Comparison::Previous, steps - 1) }
            }
            (Comparison::Previous, Shape::Days) => {
                let back = |date: Date| date.plus_days(-steps * counted.days());
                self.at_equal_age(DateRange { from: back(counted.from), to: back(counted.to) }, self.shape)
            }
            (Comparison::Previous, shape) => {
                let to = if self.is_cut() {
                    shape.moved(last, -steps).next()
                } else {
                    shape.moved(counted.to, -steps)
                };
                self.at_equal_age(DateRange { from: shape.moved(counted.from, -steps), to }, shape)
            }
            (Comparison::YearBefore, Shape::Week) => {
                let back = |date: Date| date.plus_days(-364 * steps);
                self.at_equal_age(DateRange { from: back(counted.from), to: back(counted.to) }, self.shape)
            }
            (Comparison::YearBefore, shape) => {
                let back = |date: Date| date.plus_months(-12 * steps);
                let to = back(counted.to);
                let to = match counted.to.ymd().2 != to.ymd().2 {
                    _ if self.is_cut() => back(last).next(),
                    // The end before which 28 February is the last day.
                    true => to.next(),
                    false => to,
                };
                self.at_equal_age(DateRange { from: back(counted.from), to }, shape)
            }
        }
    }

    /// The part of this window that lies in a calendar period: whole, or cut at an edge of this window. At equal
    /// age: its `as_of` lies as many days before this one's as its end before the end of what has come.
    pub(super) fn part(&self, unit: PeriodUnit, period: DateRange) -> Window {
        let from = period.from.max(self.dates.from);
        let dates = DateRange { from, to: period.to.min(self.dates.to) };
        let end = self.counted().to;
        let as_of = self.as_of.plus_days(-end.days_since(dates.to.min(end)));
        let shape = if dates == period { unit.shape() } else { shape_of(dates) };
        Window { dates, as_of, shape, to_date: false }
    }

    /// Whether it is a calendar period of which only the days up to `as_of` count.
    fn is_cut(&self) -> bool {
        self.to_date || (self.shape != Shape::Days && self.is_partial())
    }

    fn at_equal_age(&self, dates: DateRange, shape: Shape) -> Option<Window> {
        let as_of = self.as_of.plus_days(-self.counted().to.days_since(dates.to));
        in_range(dates).then_some(Window { dates, as_of, shape, to_date: self.is_cut() })
    }
}

#[cfg(test)]
mod tests {
    use super::PeriodPlace::{Previous, This, ToDate};
    use super::PeriodUnit::{FiscalQuarter, FiscalYear, Month, Quarter, Week, Year};
    use super::*;
    use crate::domain::calendar::date;

    const STARTS: PeriodStarts = PeriodStarts { week_start: Weekday::Sun, fiscal_year_start_month: 7 };

    fn days(text: &str) -> DateRange {
        let (from, to) = text.split_once("..").expect("two dates");
        DateRange { from: date(from), to: date(to) }
    }

    #[test]
    fn windows_by_hand() {
        let given = |text| WindowSpec::Dates(days(text));
        let period = WindowSpec::Period;
        // as_of, asked, window, comparison window, its as_of
        for (as_of, spec, window, before, before_as_of) in [
            (
                "2024-03-15",
                WindowSpec::LastDays(15),
                "2024-03-01..2024-03-16",
                "2024-02-15..2024-03-01",
                "2024-02-29",
            ),
            (
                "2024-03-01",
                WindowSpec::LastDays(1),
                "2024-03-01..2024-03-02",
                "2024-02-29..2024-03-01",
                "2024-02-29",
            ),
            // months, whole
            (
                "2024-03-31",
                given("2024-03-01..2024-04-01"),
                "2024-03-01..2024-04-01",
                "2024-02-01..2024-03-01",
                "2024-02-29",
            ),
            (
                "2024-05-10",
                given("2024-03-01..2024-04-01"),
                "2024-03-01..2024-04-01",
                "2024-02-01..2024-03-01",
                "2024-04-09",
            ),
            (
                "2024-12-31",
                given("2024-01-01..2024-07-01"),
                "2024-01-01..2024-07-01",
                "2023-07-01..2024-01-01",
                "2024-07-02",
            ),
            // months, partial: by the to-date rule
            (
                "2024-03-31",
                given("2024-03-01..2024-05-01"),
                "2024-03-01..2024-05-01",
                "2024-01-01..2024-02-01",
                "2024-01-31",
            ),
            (
                "2024-03-15",
                given("2024-01-01..2024-07-01"),
                "2024-01-01..2024-07-01",
                "2023-07-01..2023-09-16",
                "2023-09-15",
            ),
            // days, whole and partial
            (
                "2024-04-01",
                given("2024-03-11..2024-03-21"),
                "2024-03-11..2024-03-21",
                "2024-03-01..2024-03-11",
                "2024-03-22",
            ),
            (
                "2024-03-13",
                given("2024-03-11..2024-03-21"),
                "2024-03-11..2024-03-21",
                "2024-03-08..2024-03-11",
                "2024-03-10",
            ),
            // periods: 2024-03-13 is a Wednesday, weeks begin on Sunday
            (
                "2024-03-13",
                period(Week, This),
                "2024-03-10..2024-03-17",
                "2024-03-03..2024-03-07",
                "2024-03-06",
            ),
            (
                "2024-03-13",
                period(Week, Previous),
                "2024-03-03..2024-03-10",
                "2024-02-25..2024-03-03",
                "2024-03-06",
            ),
            (
                "2024-03-13",
                period(Week, ToDate),
                "2024-03-10..2024-03-14",
                "2024-03-03..2024-03-07",
                "2024-03-06",
            ),
            (
                "2024-03-31",
                period(Month, This),
                "2024-03-01..2024-04-01",
                "2024-02-01..2024-03-01",
                "2024-02-29",
            ),
            (
                "2024-03-30",
                period(Month, This),
                "2024-03-01..2024-04-01",
                "2024-02-01..2024-03-01",
                "2024-02-29",
            ),
            (
                "2024-03-31",
                period(Month, ToDate),
                "2024-03-01..2024-04-01",
                "2024-02-01..2024-03-01",
                "2024-02-29",
            ),
            (
                "2024-02-29",
                period(Month, ToDate),
                "2024-02-01..2024-03-01",
                "2024-01-01..2024-01-30",
                "2024-01-29",
            ),
            (
                "2024-03-15",
                period(Month, Previous),
                "2024-02-01..2024-03-01",
                "2024-01-01..2024-02-01",
                "2024-02-15",
            ),
            (
                "2024-05-31",
                period(Quarter, This),
                "2024-04-01..2024-07-01",
                "2024-01-01..2024-03-01",
                "2024-02-29",
            ),
            (
                "2024-05-31",
                period(Quarter, Previous),
                "2024-01-01..2024-04-01",
                "2023-10-01..2024-01-01",
                "2024-03-01",
            ),
            (
                "2024-02-29",
                period(Year, ToDate),
                "2024-01-01..2024-03-01",
                "2023-01-01..2023-03-01",
                "2023-02-28",
            ),
            (
                "2024-02-29",
                period(Year, Previous),
                "2023-01-01..2024-01-01",
                "2022-01-01..2023-01-01",
                "2023-03-01",
            ),
            (
                "2024-05-15",
                period(FiscalYear, This),
                "2023-07-01..2024-07-01",
                "2022-07-01..2023-05-16",
                "2023-05-15",
            ),
            (
                "2024-07-01",
                period(FiscalYear, ToDate),
                "2024-07-01..2024-07-02",
                "2023-07-01..2023-07-02",
                "2023-07-01",
            ),
            (
                "2024-05-15",
                period(FiscalQuarter, Previous),
                "2024-01-01..2024-04-01",
                "2023-10-01..2024-01-01",
                "2024-02-14",
            ),
        ] {
            let case = format!("{spec:?} on {as_of}");
            let resolved = spec.resolve(date(as_of), &STARTS).unwrap();
            assert_eq!(resolved.dates, days(window), "{case}");
            let comparison = resolved.compared(Comparison::Previous).unwrap();
            assert_eq!(comparison.dates, days(before), "{case}: comparison");
            assert_eq!(comparison.as_of, date(before_as_of), "{case}: as_of of the comparison");
            assert!(!comparison.is_partial(), "{case}: the comparison has passed");
        }
    }

    #[test]
    fn a_year_before_by_hand() {
        let given = |text| WindowSpec::Dates(days(text));
        let period = WindowSpec::Period;
        // as_of, asked, comparison window, its as_of
        for (as_of, spec, before, before_as_of) in [
            ("2024-03-31", given("2024-03-01..2024-04-01"), "2023-03-01..2023-04-01", "2023-03-31"),
            ("2024-05-10", given("2024-03-01..2024-04-01"), "2023-03-01..2023-04-01", "2023-05-10"),
            // February whole, either way
            ("2024-03-10", period(Month, Previous), "2023-02-01..2023-03-01", "2023-03-10"),
            ("2025-03-10", period(Month, Previous), "2024-02-01..2024-03-01", "2024-03-10"),
            // 29 February as first day, and as the end
            ("2024-03-10", given("2024-02-29..2024-03-05"), "2023-02-28..2023-03-05", "2023-03-10"),
            ("2024-03-10", given("2024-02-20..2024-02-29"), "2023-02-20..2023-03-01", "2023-03-11"),
            // to date: the last day goes back
            ("2024-02-29", period(Year, ToDate), "2023-01-01..2023-03-01", "2023-02-28"),
            ("2025-02-28", period(Year, ToDate), "2024-01-01..2024-02-29", "2024-02-28"),
            ("2025-02-28", period(Month, This), "2024-02-01..2024-03-01", "2024-02-29"), // it is over
            ("2025-02-27", period(Month, This), "2024-02-01..2024-02-28", "2024-02-27"), // partial
            // weeks go back 52 weeks
            ("2024-03-13", period(Week, Previous), "2023-03-05..2023-03-12", "2023-03-15"),
            ("2024-03-13", period(Week, ToDate), "2023-03-12..2023-03-16", "2023-03-15"),
            // the last N days
            ("2024-03-15", WindowSpec::LastDays(15), "2023-03-01..2023-03-16", "2023-03-15"),
            // given days, partial
            ("2024-03-13", given("2024-03-11..2024-03-21"), "2023-03-11..2023-03-14", "2023-03-13"),
        ] {
            let case = format!("{spec:?} on {as_of}");
            let window = spec.resolve(date(as_of), &STARTS).unwrap();
            let comparison = window.compared(Comparison::YearBefore).unwrap();
            assert_eq!(comparison.dates, days(before), "{case}");
            assert_eq!(comparison.as_of, date(before_as_of), "{case}: as_of");
        }
    }

    #[test]
    fn given_dates_are_compared_at_equal_age() {
        let march = WindowSpec::Dates(days("2024-03-01..2024-04-01"));
        let window = march.resolve(date("2024-04-10"), &STARTS).unwrap();
        let given = window.compared(Comparison::Dates(days("2023-11-05..2023-11-20"))).unwrap();
        assert_eq!((given.dates, given.as_of), (days("2023-11-05..2023-11-20"), date("2023-11-29")));
        let before = window.earlier(Comparison::Dates(given.dates), 2).unwrap();
        assert_eq!((before.dates, before.as_of), (days("2023-10-21..2023-11-05"), date("2023-11-14")));
    }

    /// The second window before a cut one was whole: it was taken for a whole period by then.
    #[test]
    fn windows_before_a_cut_one_are_cut_alike() {
        let this_month = WindowSpec::Period(Month, This).resolve(date("2024-05-30"), &STARTS).unwrap();
        for (steps, expected) in
            [(1, "2024-04-01..2024-05-01"), (2, "2024-03-01..2024-03-31"), (3, "2024-02-01..2024-03-01")]
        {
            assert_eq!(this_month.earlier(Comparison::Previous, steps).unwrap().dates, days(expected));
        }
        let once_more = this_month.compared(Comparison::Previous).unwrap();
        assert_eq!(
            once_more.compared(Comparison::Previous).unwrap().dates,
            days("2024-03-01..2024-03-31"),
            "the last day is cut to its month's end and goes on from there"
        );
    }

    #[test]
    fn what_has_not_come_is_cut() {
        let window =
            WindowSpec::Dates(days("2024-03-01..2024-04-01")).resolve(date("2024-03-10"), &STARTS).unwrap();
        assert!(window.is_partial());
        assert_eq!(window.counted(), days("2024-03-01..2024-03-11"));
        let future =
            WindowSpec::Dates(days("2024-03-01..2024-04-01")).resolve(date("2024-02-10"), &STARTS).unwrap();
        assert_eq!(future.counted().days(), 0);
        assert_eq!(future.compared(Comparison::Previous), None, "nothing has passed that could be compared");
    }

    #[test]
    fn windows_stay_within_the_range_of_dates() {
        assert_eq!(WindowSpec::LastDays(20).resolve(date("1970-01-10"), &STARTS), None);
        let first =
            WindowSpec::Dates(days("1970-01-01..1970-02-01")).resolve(date("1970-03-01"), &STARTS).unwrap();
        assert_eq!(first.compared(Comparison::Previous), None);
        assert!(WindowSpec::Period(Year, This).resolve(date("2199-05-01"), &STARTS).is_some());
    }
}
