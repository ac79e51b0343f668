//! What a cell says: text into the value of a field.
//!
//! Dates without a time of day become noon in the tenant's zone. Only their date is ever told, and noon keeps it: it
//! exists on every day in every zone (midnight doesn't, where clocks jump at midnight), and a later change of the
//! tenant's zone by less than half a day doesn't move it.
//!
//! Nothing is guessed: a text that isn't plainly what the field wants is an error that quotes what is wanted.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use prost_reflect::{DynamicMessage, EnumDescriptor, Value};

use super::field::{Leaf, message};
use super::mapping::Share;

/// How the texts of a file are to be read.
#[derive(Clone, Debug)]
pub(super) struct Formats {
    /// strftime patterns of the mapping, tried in turn; none: ISO 8601.
    pub own: Vec<String>,
    /// Those of the caller, tried before.
    pub given: Vec<String>,
    pub decimal_comma: bool,
    /// The tenant's time zone: dates and times without an offset are local to it.
    pub zone: Tz,
}

/// Reads the text of a cell, which isn't empty, as the value of a field.
pub(super) fn parse(text: &str, leaf: &Leaf, share: Share, formats: &Formats) -> Result<Value, String> {
    Ok(match leaf {
        Leaf::Text | Leaf::Currency => Value::String(text.into()),
        Leaf::Flag => Value::Bool(parse_flag(text)?),
        Leaf::Int32 if share == Share::PerCent => Value::I32(parse_percent(text, formats)?),
        Leaf::Int32 if share == Share::Fraction => Value::I32(parse_fraction(text, formats)?),
        Leaf::Int32 => Value::I32(text.parse().map_err(|_| "isn't a whole number".to_owned())?),
        Leaf::Int64 => Value::I64(text.parse().map_err(|_| "isn't a whole number".to_owned())?),
        Leaf::Enum(descriptor) => Value::EnumNumber(parse_enum(text, descriptor)?),
        Leaf::Instant => instant_value(parse_when(text, formats)?.instant(formats.zone)),
        Leaf::Date => date_value(parse_when(text, formats)?.date(formats.zone)),
        Leaf::Money => money_value(text, formats)?,
        Leaf::Decimal => {
            let mut decimal = DynamicMessage::new(message("google.type.Decimal"));
            decimal.set_field_by_name("value", Value::String(plain_number(text, formats)?));
            Value::Message(decimal)
        }
    })
}

/// A point in time as a file tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum When {
    On(NaiveDate),
    Local(NaiveDateTime),
    At(DateTime<Utc>),
}

impl When {
    pub fn instant(self, zone: Tz) -> DateTime<Utc> {
        match self {
            Self::On(date) => local_instant(date.and_time(NOON), zone),
            Self::Local(local) => local_instant(local, zone),
            Self::At(instant) => instant,
        }
    }

    pub fn date(self, zone: Tz) -> NaiveDate {
        match self {
            Self::On(date) => date,
            Self::Local(local) => local.date(),
            Self::At(instant) => instant.with_timezone(&zone).date_naive(),
        }
    }
}

const NOON: NaiveTime = NaiveTime::from_hms_opt(12, 0, 0).expect("noon is a time of day");

/// The instant of a local time: the earlier one where the clock showed it twice, and the moment at which the clock
/// jumped where it never showed it.
fn local_instant(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    (0..=LONGEST_GAP_QUARTERS)
        .find_map(|quarters| {
            zone.from_local_datetime(&(local + TimeDelta::minutes(15 * quarters))).earliest()
        })
        .map_or_else(|| local.and_utc(), |instant| instant.to_utc())
}

/// Samoa skipped a whole day in 2011: no clock ever jumped further.
const LONGEST_GAP_QUARTERS: i64 = 24 * 4;

pub(super) fn parse_when(text: &str, formats: &Formats) -> Result<When, String> {
    let iso = ISO.iter().filter(|_| formats.own.is_empty()).copied();
    let patterns = formats.given.iter().chain(&formats.own).map(String::as_str).chain(iso);
    if formats.own.is_empty()
        && let Ok(instant) = DateTime::parse_from_rfc3339(text)
    {
        return Ok(When::At(instant.to_utc()));
    }
    let read = |pattern: &str| {
        let instant = DateTime::parse_from_str(text, pattern).map(|instant| When::At(instant.to_utc()));
        let local = || NaiveDateTime::parse_from_str(text, pattern).map(When::Local);
        let date = || NaiveDate::parse_from_str(text, pattern).map(When::On);
        instant.or_else(|_| local()).or_else(|_| date()).ok()
    };
    patterns.clone().find_map(read).ok_or_else(|| {
        let example = NaiveDate::from_ymd_opt(2017, 10, 31).expect("a date").and_time(NOON).and_utc();
        let written = formats.given.iter().chain(&formats.own);
        let mut examples: Vec<String> = written.map(|pattern| example.format(pattern).to_string()).collect();
        if formats.own.is_empty() {
            examples.extend(["2017-10-31".into(), "2017-10-31T12:00:00Z".into()]);
        }
        format!("isn't a date like {} (--date-format says others)", examples.join(" or "))
    })
}

/// ISO 8601 and its neighbours, beside RFC 3339: a date, a local time, a time with an offset without colon.
const ISO: [&str; 7] = [
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f%z",
];

pub(super) fn instant_value(instant: DateTime<Utc>) -> Value {
    let mut timestamp = DynamicMessage::new(message("google.protobuf.Timestamp"));
    timestamp.set_field_by_name("seconds", Value::I64(instant.timestamp()));
    timestamp.set_field_by_name("nanos", Value::I32(instant.timestamp_subsec_nanos().cast_signed()));
    Value::Message(timestamp)
}

fn date_value(date: NaiveDate) -> Value {
    use chrono::Datelike;
    let mut value = DynamicMessage::new(message("google.type.Date"));
    value.set_field_by_name("year", Value::I32(date.year()));
    value.set_field_by_name("month", Value::I32(date.month().cast_signed()));
    value.set_field_by_name("day", Value::I32(date.day().cast_signed()));
    Value::Message(value)
}

fn money_value(text: &str, formats: &Formats) -> Result<Value, String> {
    const NANO_DIGITS: usize = 9;
    let number = plain_number(text, formats)?;
    let (negative, digits) =
        number.strip_prefix('-').map_or((false, number.as_str()), |digits| (true, digits));
    let (units, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > NANO_DIGITS && fraction[NANO_DIGITS..].bytes().any(|digit| digit != b'0') {
        return Err("has more than nine decimal places".into());
    }
    let nanos: i32 =
        format!("{fraction:0<NANO_DIGITS$}")[..NANO_DIGITS].parse().expect("nine digits are an i32");
    let units: i64 = units.parse().map_err(|_| "is more than an amount can be".to_owned())?;
    let sign = if negative { -1 } else { 1 };
    let mut money = DynamicMessage::new(message("google.type.Money"));
    money.set_field_by_name("units", Value::I64(i64::from(sign) * units));
    money.set_field_by_name("nanos", Value::I32(sign * nanos));
    Ok(Value::Message(money))
}

fn parse_flag(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "y" | "1" => Ok(true),
        "false" | "no" | "n" | "0" => Ok(false),
        _ => Err("is neither yes (true, y, 1) nor no (false, n, 0)".into()),
    }
}

/// Per cent into basis points: `62.5` and `62.5 %` are 6,250.
fn parse_percent(text: &str, formats: &Formats) -> Result<i32, String> {
    let number = plain_number(text.trim_end_matches('%').trim_end(), formats)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 2 {
        return Err("has more than two decimal places of a per cent".into());
    }
    format!("{whole}{fraction:0<2}").parse().map_err(|_| "is out of range".into())
}

/// A fraction from 0 to 1 into basis points: `0.625` is 6,250, and so is `62.5 %`, which says what it is.
fn parse_fraction(text: &str, formats: &Formats) -> Result<i32, String> {
    if text.ends_with('%') {
        return parse_percent(text, formats);
    }
    let number = plain_number(text, formats)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let fraction = fraction.trim_end_matches('0');
    match (whole, fraction.len()) {
        ("0", 0..=4) => Ok(format!("{fraction:0<4}").parse().expect("four digits are an i32")),
        ("1", 0) => Ok(10_000),
        ("0", _) => Err("has more than four decimal places".into()),
        _ => Err("isn't a fraction from 0 to 1, such as 0.625 or 62.5 %".into()),
    }
}

fn parse_enum(text: &str, descriptor: &EnumDescriptor) -> Result<i32, String> {
    let default = descriptor.default_value();
    let prefix = default.name().trim_end_matches("UNSPECIFIED").to_owned();
    let wanted = text.to_uppercase().replace([' ', '-'], "_");
    let known = || descriptor.values().filter(|value| value.number() != 0);
    let found =
        known().find(|value| value.name() == wanted || value.name().strip_prefix(&prefix) == Some(&wanted));
    found.map(|value| value.number()).ok_or_else(|| {
        let names: Vec<String> =
            known().map(|value| value.name().trim_start_matches(&prefix).to_lowercase()).collect();
        format!("is none of {} (translate the file's words with `values`)", names.join(", "))
    })
}

/// The number in `-1234.5` form. Groups of three digits may be parted by spaces, apostrophes or the sign that isn't
/// the decimal one; anything else is refused, so that `1,5` never becomes 15.
fn plain_number(text: &str, formats: &Formats) -> Result<String, String> {
    let (point, comma) = if formats.decimal_comma { (',', '.') } else { ('.', ',') };
    let refused = || {
        let example = if formats.decimal_comma { "1234,50 or 1.234,50" } else { "1234.50 or 1,234.50" };
        format!("isn't a number like {example}")
    };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once(point).unwrap_or((digits, ""));
    let groups: Vec<&str> = whole.split([comma, ' ', '\u{a0}', '\u{202f}', '\'', '\u{2019}']).collect();
    let grouped = match groups.as_slice() {
        [_] => true,
        [first, rest @ ..] => (1..=3).contains(&first.len()) && rest.iter().all(|group| group.len() == 3),
        [] => false,
    };
    let whole = groups.concat();
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !grouped || whole.len() + fraction.len() == 0 || !all_digits(&whole) || !all_digits(fraction) {
        return Err(refused());
    }
    let whole = if whole.is_empty() { "0" } else { &whole };
    Ok(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(dates: &[&str], decimal_comma: bool, zone: Tz) -> Formats {
        let own = dates.iter().map(|pattern| pattern.to_string()).collect();
        Formats { own, given: Vec::new(), decimal_comma, zone }
    }

    #[test]
    fn dates_become_noon_and_times_keep_their_moment() {
        for (text, patterns, zone, expected) in [
            ("2017-10-31", &[][..], Tz::UTC, Ok("2017-10-31T12:00:00Z")),
            ("2017-10-31", &[], Tz::Asia__Dhaka, Ok("2017-10-31T06:00:00Z")),
            ("2018-02-26 19:58:54", &[], Tz::Asia__Dhaka, Ok("2018-02-26T13:58:54Z")),
            ("2018-02-26T19:58:54+06:00", &[], Tz::UTC, Ok("2018-02-26T13:58:54Z")),
            ("2018-02-26T19:58:54.250+0600", &[], Tz::UTC, Ok("2018-02-26T13:58:54Z")),
            ("31/10/2017", &["%d/%m/%Y"], Tz::UTC, Ok("2017-10-31T12:00:00Z")),
            ("10/31/2017 14:05", &["%d/%m/%Y", "%m/%d/%Y %H:%M"], Tz::UTC, Ok("2017-10-31T14:05:00Z")),
            // The clock jumped from 00:00 to 01:00 on this day in São Paulo.
            ("2018-11-04 00:30:00", &[], Tz::America__Sao_Paulo, Ok("2018-11-04T03:00:00Z")),
            // Shown twice: the earlier one, still in summer time.
            ("2017-10-29 02:30:00", &[], Tz::Europe__Berlin, Ok("2017-10-29T00:30:00Z")),
            (
                "2017-13-01",
                &[],
                Tz::UTC,
                Err("isn't a date like 2017-10-31 or 2017-10-31T12:00:00Z (--date-format says others)"),
            ),
            (
                "2017-10-31",
                &["%d.%m.%Y"],
                Tz::UTC,
                Err("isn't a date like 31.10.2017 (--date-format says others)"),
            ),
        ] {
            let read = parse_when(text, &formats(patterns, false, zone)).map(|when| when.instant(zone));
            let read = read.map(|instant| instant.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
            assert_eq!(read, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn numbers_are_read_exactly_or_not_at_all() {
        for (text, decimal_comma, expected) in [
            ("1234.50", false, Some("1234.50")),
            ("1,234,567.5", false, Some("1234567.5")),
            ("1.234.567,5", true, Some("1234567.5")),
            ("1 234,5", true, Some("1234.5")),
            ("12'345", false, Some("12345")),
            (".5", false, Some("0.5")),
            ("-3", false, Some("-3")),
            ("1,5", false, None),
            ("12,34,567", false, None),
            ("1.5", true, None),
            ("$5", false, None),
            ("1e3", false, None),
            (".", false, None),
            ("--1", false, None),
        ] {
            assert_eq!(
                plain_number(text, &formats(&[], decimal_comma, Tz::UTC)).ok().as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn money_keeps_every_digit() {
        let parts = |text: &str| {
            let value = money_value(text, &formats(&[], false, Tz::UTC))?;
            let money = value.as_message().expect("money is a message");
            let of = |name| money.get_field_by_name(name).expect("Money has it").into_owned();
            Ok::<_, String>((of("units").as_i64().unwrap(), of("nanos").as_i32().unwrap()))
        };
        assert_eq!(parts("1054"), Ok((1054, 0)));
        assert_eq!(parts("0.0001"), Ok((0, 100_000)));
        assert_eq!(parts("-1.75"), Ok((-1, -750_000_000)));
        assert_eq!(parts("1.0000000000"), Ok((1, 0)));
        assert_eq!(parts("0.0000000001"), Err("has more than nine decimal places".into()));
        assert_eq!(parts("99999999999999999999"), Err("is more than an amount can be".into()));
    }

    #[test]
    fn per_cent_becomes_basis_points() {
        for (text, expected) in [
            ("60", Ok(6_000)),
            ("62.5 %", Ok(6_250)),
            ("0.01", Ok(1)),
            ("0.001", Err("has more than two decimal places of a per cent".to_owned())),
        ] {
            assert_eq!(parse_percent(text, &formats(&[], false, Tz::UTC)), expected, "{text}");
        }
    }

    #[test]
    fn a_fraction_becomes_basis_points() {
        for (text, expected) in [
            ("0.625", Ok(6_250)),
            ("0", Ok(0)),
            ("1.0", Ok(10_000)),
            ("62.5%", Ok(6_250)),
            ("0.00001", Err("has more than four decimal places".to_owned())),
            ("20", Err("isn't a fraction from 0 to 1, such as 0.625 or 62.5 %".to_owned())),
            ("1.5", Err("isn't a fraction from 0 to 1, such as 0.625 or 62.5 %".to_owned())),
        ] {
            assert_eq!(parse_fraction(text, &formats(&[], false, Tz::UTC)), expected, "{text}");
        }
    }

    #[test]
    fn enums_are_named_as_people_write_them() {
        let status =
            super::super::field::POOL.get_enum_by_name("channelkpi.v1.DealStatus").expect("it's in the API");
        assert_eq!(parse_enum("Won", &status), Ok(2));
        assert_eq!(parse_enum("DEAL_STATUS_LOST", &status), Ok(3));
        let error = parse_enum("unspecified", &status).expect_err("unspecified is no status");
        assert_eq!(error, "is none of open, won, lost (translate the file's words with `values`)");
    }
}
