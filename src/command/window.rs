//! Windows as people write them: `last-90-days`, `2017-Q3`, `2024-03-01..2024-04-01`, `previous-quarter`.

use channel_kpi::proto::channelkpi::v1::{Comparison, DateRange, Period, Window, comparison, window};
use channel_kpi::proto::google::r#type::Date;
use chrono::{Datelike, Months, NaiveDate};

/// The forms of a window, for `--help` and errors.
pub const FORMS: &str = "  last-90-days              the last 90 days, ending with the --as-of day
  2017   2017-Q3   2017-10  a calendar year, quarter or month
  2024-03-15                one day
  2024-03-01..2024-04-01    from the first day to before the second: here, all of March
  this-month                the whole of the calendar period of the --as-of day, to date while it lasts
  previous-quarter          the calendar period before that one
  year-to-date              the calendar period up to the --as-of day
                            each with week, month, quarter, year, fiscal-quarter, fiscal-year";

/// Reads a window.
pub fn parse(text: &str) -> Result<Window, String> {
    let lower = text.trim().to_lowercase();
    let window = if let Some(days) = last_days(&lower) {
        days
    } else if let Some(period) = period(&lower) {
        Ok(window::Window::Period(period.into()))
    } else {
        dates(&lower).map(window::Window::Dates)
    };
    let window = window.map_err(|problem| format!("{problem}\nA window is written as one of\n{FORMS}"))?;
    Ok(Window { window: Some(window) })
}

/// Reads with which window another is compared: `previous`, `year-before`, or dates.
pub fn parse_comparison(text: &str) -> Result<Comparison, String> {
    let comparison = match text {
        "previous" => comparison::Comparison::Previous(true),
        "year-before" => comparison::Comparison::YearBefore(true),
        text => comparison::Comparison::Dates(dates(&text.to_lowercase()).map_err(|problem| {
            format!("{problem}: a comparison is previous, year-before, or days like 2023-03-01..2023-04-01")
        })?),
    };
    Ok(Comparison { comparison: Some(comparison) })
}

/// Reads a date such as 2024-03-31.
pub fn parse_date(text: &str) -> Result<Date, String> {
    day(text).map(wire_date)
}

fn last_days(text: &str) -> Option<Result<window::Window, String>> {
    let count = text.strip_prefix("last-")?;
    let count = count.strip_suffix("-days").or_else(|| count.strip_suffix("-day"))?;
    Some(count.parse().map(window::Window::LastDays).map_err(|_| format!("`{count}` isn't a number of days")))
}

/// The period whose name in the API is this one: `previous-quarter` is `PERIOD_PREVIOUS_QUARTER`.
fn period(text: &str) -> Option<Period> {
    let name = format!("PERIOD_{}", text.to_uppercase().replace('-', "_"));
    Period::from_str_name(&name).filter(|period| *period != Period::Unspecified)
}

fn dates(text: &str) -> Result<DateRange, String> {
    let (start, end) = match text.split_once("..") {
        Some((start, end)) => (day(start)?, day(end)?),
        None => calendar(text)?,
    };
    if end <= start {
        return Err(format!(
            "the window ends on {end}, not after it begins on {start} (its end is the day after the last)"
        ));
    }
    Ok(DateRange { start_on: Some(wire_date(start)), end_on: Some(wire_date(end)) })
}

/// A year, quarter, month or day, by its first day and the day after its last.
fn calendar(text: &str) -> Result<(NaiveDate, NaiveDate), String> {
    let unknown = || format!("`{text}` isn't a window");
    let parts: Vec<&str> = text.split('-').collect();
    let year: i32 = parts[0].parse().ok().filter(|_| parts[0].len() == 4).ok_or_else(unknown)?;
    let (month, months) = match parts[1..] {
        [] => (1, 12),
        [quarter] if quarter.starts_with('q') => {
            let number: u32 = quarter[1..].parse().map_err(|_| unknown())?;
            if !(1..=4).contains(&number) {
                return Err(format!("`{text}`: a year has the quarters Q1 to Q4"));
            }
            (3 * number - 2, 3)
        }
        [month] => {
            let number: u32 = month.parse().map_err(|_| unknown())?;
            if !(1..=12).contains(&number) {
                return Err(format!("`{text}`: a year has the months 01 to 12"));
            }
            (number, 1)
        }
        _ => {
            let day = day(text)?;
            return Ok((day, day.succ_opt().ok_or_else(unknown)?));
        }
    };
    let first = NaiveDate::from_ymd_opt(year, month, 1).ok_or_else(unknown)?;
    Ok((first, first.checked_add_months(Months::new(months)).ok_or_else(unknown)?))
}

fn day(text: &str) -> Result<NaiveDate, String> {
    NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d")
        .map_err(|_| format!("`{text}` isn't a date like 2024-03-31"))
}

fn wire_date(date: NaiveDate) -> Date {
    Date { year: date.year(), month: date.month().cast_signed(), day: date.day().cast_signed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_by_hand() {
        let told = |text: &str| match parse(text).expect(text).window.expect("it is set") {
            window::Window::LastDays(days) => format!("{days} days"),
            window::Window::Period(period) => {
                Period::try_from(period).expect("a period").as_str_name().to_owned()
            }
            window::Window::Dates(range) => {
                let date =
                    |date: Option<Date>| date.map(|d| format!("{:04}-{:02}-{:02}", d.year, d.month, d.day));
                format!("{}..{}", date(range.start_on).expect("set"), date(range.end_on).expect("set"))
            }
        };
        for (text, expected) in [
            ("last-90-days", "90 days"),
            ("last-1-day", "1 days"),
            ("2017", "2017-01-01..2018-01-01"),
            ("2017-Q3", "2017-07-01..2017-10-01"),
            ("2017-q4", "2017-10-01..2018-01-01"),
            ("2017-10", "2017-10-01..2017-11-01"),
            ("2017-12", "2017-12-01..2018-01-01"),
            ("2024-02-29", "2024-02-29..2024-03-01"),
            ("2024-03-01..2024-04-01", "2024-03-01..2024-04-01"),
            ("this-month", "PERIOD_THIS_MONTH"),
            ("previous-quarter", "PERIOD_PREVIOUS_QUARTER"),
            ("Year-To-Date", "PERIOD_YEAR_TO_DATE"),
            ("this-fiscal-year", "PERIOD_THIS_FISCAL_YEAR"),
            ("fiscal-quarter-to-date", "PERIOD_FISCAL_QUARTER_TO_DATE"),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn wrong_windows_are_explained() {
        for (text, expected) in [
            ("yesterday", "`yesterday` isn't a window"),
            ("unspecified", "`unspecified` isn't a window"),
            ("last-x-days", "`x` isn't a number of days"),
            ("2017-Q5", "a year has the quarters Q1 to Q4"),
            ("2017-13", "a year has the months 01 to 12"),
            ("2017-02-30", "`2017-02-30` isn't a date like 2024-03-31"),
            ("2024-04-01..2024-03-01", "ends on 2024-03-01, not after it begins on 2024-04-01"),
            ("2024-04-01..2024-04-01", "its end is the day after the last"),
            ("17", "`17` isn't a window"),
            ("", "`` isn't a window"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
            assert!(error.contains("2017-Q3"), "the forms are listed: {error}");
        }
    }
}
