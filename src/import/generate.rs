//! A generated tenant: two years of a company that sells software through partners around the world, told as its CRM
//! would have told it, version by version.
//!
//! Invariants:
//! 1. The same seed, scale and last day make the same records, byte for byte, on every machine: chance is counted in
//!    integers, and no clock is read.
//! 2. Every record is one that the server takes. What is wrong with them is wrong as in a real CRM, on purpose, and
//!    listed below.
//! 3. Records come in the order in which the CRM would have sent them; none is dated after the last day, but for the
//!    ends that someone mistyped.
//!
//! What there is to find:
//! - partners of every quality: stars, decliners, and one that misses nearly all of its many opportunities;
//! - a weak month (August), strong ends of quarters, deals drawn forward into them;
//! - a paid channel that costs more than it brings (`display`), an owned one that brings much (`newsletter`);
//! - a region whose proposals take three times as long (Europe);
//! - a strategy that works (`academy`) and one that does nothing (`discounts`);
//! - flaws: deals without an amount, in a currency without a rate, closed before they were opened or in the future,
//!   references to records that were never sent, converted leads without a deal, two partners each above the other.

mod company;
mod names;
mod random;
mod trade;
mod world;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;
use prost_types::Timestamp;

use crate::proto::channelkpi::v1::record::Record as Kind;
use crate::proto::channelkpi::v1::{Record, StageProbability, TenantSettings};
use crate::proto::google::r#type::{Date, DayOfWeek, Money};
use company::Company;
use random::Random;
use trade::Trade;

/// What is to be generated.
#[derive(Clone, Debug)]
pub struct Generator {
    pub seed: u64,
    /// How much of everything, in hundredths: 100 is some 300 partners and 12,000 deals.
    pub scale_percent: u32,
    /// The day on which the story ends. It begins with its month two years before.
    pub last_on: NaiveDate,
}

/// Where the company keeps its books.
pub const ZONE: Tz = Tz::Asia__Dhaka;

/// The reporting currency.
const CURRENCY: &str = "USD";

/// Days after which a deal expires that names no day itself.
const TIME_LIMIT_DAYS: i32 = 180;

/// What in the story has chance of its own.
#[derive(Clone, Copy)]
enum Stream {
    Company,
    Names,
    Leads,
    Registrations,
    Deals,
    Money,
}

impl Generator {
    /// The company's settings.
    pub fn settings() -> TenantSettings {
        let stage_probabilities = world::STAGES
            .iter()
            .map(|(stage, percent)| StageProbability {
                stage: (*stage).into(),
                probability_bps: percent * 100,
            })
            .collect();
        TenantSettings {
            reporting_currency_code: CURRENCY.into(),
            time_zone: ZONE.name().into(),
            fiscal_year_start_month: Some(7),
            week_start: DayOfWeek::Sunday.into(),
            opportunity_time_limit_days: Some(TIME_LIMIT_DAYS),
            stage_probabilities,
            ..TenantSettings::default()
        }
    }

    /// All versions of all records, oldest first.
    pub fn records(&self) -> Vec<Record> {
        let mut log = Log { last_on: self.last_on, records: Vec::new() };
        let company = Company::found(self, &mut log);
        let trade = Trade::run(self, &company, &mut log);
        company.plan(self, &trade, &mut log);
        log.records.sort_by_key(|record| record.update_time.map(|time| time.seconds));
        log.records
    }

    /// The first day of the story.
    fn first_on(&self) -> NaiveDate {
        first_of_month(self.last_on) - Months::new(24)
    }

    fn random(&self, stream: Stream) -> Random {
        Random::new(self.seed, stream as u64)
    }

    /// So many at the scale of the story, but not fewer than `least`.
    fn scaled(&self, count: usize, least: usize) -> usize {
        (count * self.scale_percent as usize / 100).max(least)
    }
}

/// The CRM's log of changes.
struct Log {
    last_on: NaiveDate,
    records: Vec<Record>,
}

impl Log {
    /// Notes what the CRM said of a record, unless the story has ended by then.
    fn say(&mut self, at: DateTime<Utc>, record: Kind) {
        if local_date(at) <= self.last_on {
            let update_time = Some(timestamp(at));
            self.records.push(Record { update_time, record: Some(record), ..Record::default() });
        }
    }

    /// The CRM deleted a record. `record` holds its id.
    fn delete(&mut self, at: DateTime<Utc>, record: Kind) {
        if local_date(at) <= self.last_on {
            let update_time = Some(timestamp(at));
            self.records.push(Record {
                update_time,
                deleted: true,
                record: Some(record),
                ..Record::default()
            });
        }
    }
}

/// So many minutes after nine in the morning.
fn at(day: NaiveDate, minutes: i64) -> DateTime<Utc> {
    let nine = day.and_hms_opt(9, 0, 0).expect("nine is a time of day");
    let nine = ZONE.from_local_datetime(&nine).earliest().expect("Dhaka's clocks never skipped a morning");
    nine.to_utc() + chrono::Duration::minutes(minutes)
}

/// Some time in business hours.
fn in_business_hours(day: NaiveDate, random: &mut Random) -> DateTime<Utc> {
    at(day, random.between(0, 9 * 60 - 1))
}

fn local_date(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&ZONE).date_naive()
}

fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: at.timestamp(), nanos: 0 }
}

fn date(day: NaiveDate) -> Date {
    Date { year: day.year(), month: day.month() as i32, day: day.day() as i32 }
}

fn plus_days(day: NaiveDate, count: i64) -> NaiveDate {
    day + chrono::Duration::days(count)
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day - Days::new(u64::from(day.day0()))
}

fn first_of_quarter(day: NaiveDate) -> NaiveDate {
    first_of_month(day) - Months::new(day.month0() % 3)
}

fn money(currency: &str, units: i64) -> Money {
    Money { currency_code: currency.into(), units, nanos: 0 }
}

#[cfg(test)]
mod tests;
