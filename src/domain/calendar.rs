//! Time: instants, local dates, months, and the zone that turns one into the other.
//!
//! Invariants:
//! 1. Figures are told from [`Date`]s only; an [`Instant`] becomes one in the tenant's zone, once,
//!    when a record is contributed.
//! 2. Event dates lie in 1970-01-01 … 2199-12-31. An instant whose local date would lie a few hours
//!    outside takes the nearest of these.
//!
//! Deliberately absent: today. It is an argument.

use std::fmt;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;
use minicbor::{Decode, Encode};

/// The version of the IANA rules that zones follow.
pub const TIME_ZONE_RULES_VERSION: &str = chrono_tz::IANA_TZDB_VERSION;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z, up to the end of 2199.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Instant(#[n(0)] i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstantError {
    #[error("has nanos {0}, must be 0 to 999999999")]
    Nanos(i32),
    #[error("lies before 1970-01-01T00:00:00Z")]
    BeforeRange,
    #[error("lies after 2199-12-31T23:59:59Z")]
    AfterRange,
}

// === impl Instant ===

impl Instant {
    pub const FIRST: Self = Self(0);
    /// The last second's last nanosecond of 2199, UTC.
    pub const LAST: Self = Self((Date::LAST.0 as i64 + 1) * 86_400 * NANOS_PER_SECOND - 1);

    pub fn try_new(seconds: i64, nanos: i32) -> Result<Self, InstantError> {
        if !(0..NANOS_PER_SECOND as i32).contains(&nanos) {
            return Err(InstantError::Nanos(nanos));
        }
        match seconds {
            ..0 => Err(InstantError::BeforeRange),
            _ if seconds > Self::LAST.0 / NANOS_PER_SECOND => Err(InstantError::AfterRange),
            _ => Ok(Self(seconds * NANOS_PER_SECOND + i64::from(nanos))),
        }
    }

    pub const fn seconds(self) -> i64 {
        self.0 / NANOS_PER_SECOND
    }

    pub const fn nanos(self) -> i32 {
        (self.0 % NANOS_PER_SECOND) as i32
    }

    /// Nanoseconds since 1970, for packed storage.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The inverse of [`Instant::as_nanos`].
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// How much later this is than another. None where it isn't.
    pub fn since(self, earlier: Self) -> Option<std::time::Duration> {
        let nanos = u64::try_from(self.0 - earlier.0).ok().filter(|nanos| *nanos > 0);
        nanos.map(std::time::Duration::from_nanos)
    }

    pub fn plus_hours(self, hours: i64) -> Self {
        Self(self.0.saturating_add(hours * 3_600 * NANOS_PER_SECOND))
    }
}

impl From<std::time::SystemTime> for Instant {
    /// A clock before 1970 reads as 1970, one after 2199 as its end.
    fn from(time: std::time::SystemTime) -> Self {
        let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX).min(Self::LAST.0))
    }
}

/// A local date, as a day number: 0 is 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Date(#[n(0)] i32);

// === impl Date ===

impl Date {
    pub const FIRST: Self = Self(0);
    /// 2199-12-31.
    pub const LAST: Self = Self(84_005);
    /// The date of what never comes: later than every date.
    pub const NEVER: Self = Self(i32::MAX);

    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        NaiveDate::from_ymd_opt(year, month, day).map(Self::from_chrono)
    }

    /// Year, month (1 to 12), day.
    pub fn ymd(self) -> (i32, u32, u32) {
        let date = self.to_chrono();
        (date.year(), date.month(), date.day())
    }

    pub const fn from_day_number(number: i32) -> Self {
        Self(number)
    }

    pub const fn day_number(self) -> i32 {
        self.0
    }

    pub const fn plus_days(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    pub const fn next(self) -> Self {
        self.plus_days(1)
    }

    /// Days from `earlier` to this date.
    pub const fn days_since(self, earlier: Self) -> i32 {
        self.0 - earlier.0
    }

    /// The same day `months` later (earlier where negative), cut to its month's end.
    pub fn plus_months(self, months: i32) -> Self {
        let (date, count) = (self.to_chrono(), Months::new(months.unsigned_abs()));
        let moved = if months < 0 { date.checked_sub_months(count) } else { date.checked_add_months(count) };
        Self::from_chrono(moved.expect("a few thousand years stay within chrono's range"))
    }

    pub fn month(self) -> Month {
        if self == Self::NEVER {
            return Month::NEVER;
        }
        let (year, month, _) = self.ymd();
        Month(year * 12 + month as i32 - 1)
    }

    pub fn weekday(self) -> chrono::Weekday {
        self.to_chrono().weekday()
    }

    fn to_chrono(self) -> NaiveDate {
        NaiveDate::from_epoch_days(self.0).expect("dates lie within a few thousand years")
    }

    fn from_chrono(date: NaiveDate) -> Self {
        Self(date.to_epoch_days())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NEVER => f.write_str("never"),
            _ => self.to_chrono().fmt(f),
        }
    }
}
impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A calendar month: months since year 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(i32);

// === impl Month ===

impl Month {
    /// That of [`Date::FIRST`].
    pub const FIRST: Self = Self(1_970 * 12);
    /// That of [`Date::LAST`].
    pub const LAST: Self = Self(2_199 * 12 + 11);
    /// The month of [`Date::NEVER`].
    pub const NEVER: Self = Self(i32::MAX);

    pub fn first_day(self) -> Date {
        Date::from_ymd(self.0.div_euclid(12), self.0.rem_euclid(12) as u32 + 1, 1)
            .expect("the months of dates lie within chrono's range")
    }

    pub fn last_day(self) -> Date {
        self.next().first_day().plus_days(-1)
    }

    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Which month of the year it is: 0 is January.
    pub const fn of_year(self) -> usize {
        self.0.rem_euclid(12) as usize
    }

    /// Months from `earlier` to this one.
    pub const fn since(self, earlier: Self) -> i32 {
        self.0 - earlier.0
    }
}

impl fmt::Debug for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NEVER => f.write_str("never"),
            Self(n) => write!(f, "{:04}-{:02}", n.div_euclid(12), n.rem_euclid(12) + 1),
        }
    }
}

/// Dates from the first to before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(array)]
pub struct DateRange {
    #[n(0)]
    pub from: Date,
    #[n(1)]
    pub to: Date,
}

// === impl DateRange ===

impl DateRange {
    pub const fn days(&self) -> i32 {
        self.to.days_since(self.from)
    }

    pub fn contains(&self, date: Date) -> bool {
        self.from <= date && date < self.to
    }
}

/// A time zone by its IANA name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no IANA time zone, such as Asia/Dhaka")]
pub struct UnknownZone(String);

// === impl Zone ===

impl Zone {
    pub fn try_new(name: &str) -> Result<Self, UnknownZone> {
        name.parse().map(Self).map_err(|_| UnknownZone(name.chars().take(64).collect()))
    }

    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The date on the wall at `instant`, moved into 1970 … 2199 where it lies hours outside.
    pub fn local_date(&self, instant: Instant) -> Date {
        let utc = DateTime::from_timestamp(instant.seconds(), 0).expect("instants lie in 1970 … 2199");
        let offset = self.0.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc();
        let day = (instant.seconds() + i64::from(offset)).div_euclid(86_400);
        Date(day as i32).clamp(Date::FIRST, Date::LAST) // fits: instants lie in 1970 … 2199
    }

    /// The first instant after `now` at which the wall shows a later date than at `now`.
    pub fn next_midnight(&self, now: Instant) -> Instant {
        let today = self.local_date(now);
        // The date changes within 48 hours even where a zone jumps over midnight or over a day.
        let (mut before, mut after) = (now.seconds(), now.seconds() + 2 * 86_400);
        while after - before > 1 {
            let middle = before.midpoint(after);
            let reached = self.local_date(Instant(middle * NANOS_PER_SECOND)) > today;
            if reached { after = middle } else { before = middle }
        }
        Instant(after * NANOS_PER_SECOND)
    }
}

impl<C> Encode<C> for Zone {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(self.name())?.ok()
    }
}
impl<'b, C> Decode<'b, C> for Zone {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::try_new(d.str()?).map_err(minicbor::decode::Error::custom)
    }
}

/// The first day of the week on or before `date`, where weeks begin on `week_start`.
pub fn week_of(date: Date, week_start: chrono::Weekday) -> Date {
    let back = date.to_chrono().weekday().days_since(week_start);
    let first = date.to_chrono().checked_sub_days(Days::new(u64::from(back)));
    Date::from_chrono(first.expect("a week before a date of ours is within chrono's range"))
}

#[cfg(test)]
pub(crate) fn date(text: &str) -> Date {
    Date::from_chrono(text.parse().expect("a date like 2024-03-01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Instant {
        let parsed: DateTime<chrono::Utc> = text.parse().unwrap();
        Instant::try_new(parsed.timestamp(), 0).unwrap()
    }

    #[test]
    fn the_range_of_dates() {
        assert_eq!(Date::from_ymd(1970, 1, 1), Some(Date::FIRST));
        assert_eq!(Date::from_ymd(2199, 12, 31), Some(Date::LAST));
        assert_eq!(Date::LAST.to_string(), "2199-12-31");
        assert_eq!(Instant::LAST.seconds(), instant("2199-12-31T23:59:59Z").seconds());
    }

    #[test]
    fn instants_become_dates_on_the_wall() {
        for (zone, at, expected) in [
            ("Asia/Dhaka", "2024-03-31T17:59:59Z", "2024-03-31"),
            ("Asia/Dhaka", "2024-03-31T18:00:00Z", "2024-04-01"),
            ("America/New_York", "2024-03-10T04:59:59Z", "2024-03-09"),
            ("America/New_York", "2024-03-10T05:00:00Z", "2024-03-10"), // the day that lacks an hour
            ("America/New_York", "2024-03-11T03:59:59Z", "2024-03-10"),
            ("America/New_York", "2024-03-11T04:00:00Z", "2024-03-11"),
            ("Asia/Kathmandu", "2024-02-28T18:15:00Z", "2024-02-29"), // UTC+5:45, leap day
            ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31"),   // the 30th never was there
            ("America/New_York", "1970-01-01T00:00:00Z", "1970-01-01"), // cut to the range
            ("Asia/Dhaka", "2199-12-31T20:00:00Z", "2199-12-31"),
        ] {
            let zone = Zone::try_new(zone).unwrap();
            assert_eq!(zone.local_date(instant(at)), date(expected), "{zone:?} {at}");
        }
    }

    #[test]
    fn midnight_comes_next_in_every_zone() {
        for (zone, now, expected) in [
            ("Asia/Dhaka", "2024-03-31T17:00:00Z", "2024-03-31T18:00:00Z"),
            ("America/New_York", "2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z"),
            ("America/New_York", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"),
            ("America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"), // no 00:00 that day
        ] {
            let zone = Zone::try_new(zone).unwrap();
            assert_eq!(zone.next_midnight(instant(now)), instant(expected), "{zone:?} {now}");
        }
    }

    #[test]
    fn months_are_cut_to_their_end() {
        for (from, months, expected) in [
            ("2024-03-31", -1, "2024-02-29"),
            ("2023-03-31", -1, "2023-02-28"),
            ("2024-02-29", 12, "2025-02-28"),
            ("2024-02-29", -12, "2023-02-28"),
            ("2024-01-15", -3, "2023-10-15"),
        ] {
            assert_eq!(date(from).plus_months(months), date(expected), "{from} {months}");
        }
        assert_eq!(date("2024-12-05").month().next().first_day(), date("2025-01-01"));
    }

    #[test]
    fn weeks_begin_where_they_are_told_to() {
        use chrono::Weekday::{Mon, Sat, Sun};
        for (on, start, expected) in [
            ("2024-03-31", Mon, "2024-03-25"),
            ("2024-03-31", Sun, "2024-03-31"),
            ("2024-03-31", Sat, "2024-03-30"),
            ("2024-01-01", Sun, "2023-12-31"),
        ] {
            assert_eq!(week_of(date(on), start), date(expected), "{on} {start}");
        }
    }
}
