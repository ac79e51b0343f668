//! Single values: ids, texts, money, dates, instants, enum numbers, and lists of them.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::ops::RangeInclusive;

use prost_types::Timestamp;

use super::path::Path;
use crate::domain::amount::{Amount, BasisPoints, Currency, E4, Money};
use crate::domain::calendar::{Date, DateRange, Instant};
use crate::domain::exchange::RateKey;
use crate::domain::ids::{Id, Term, TextError};
use crate::domain::record::{LABELS_MAX, Labels, NAME_BYTES_MAX, Name};
use crate::domain::subject::Subject;
use crate::proto::channelkpi::v1 as pb;
use crate::proto::google::r#type as google;

/// A value that must be there.
pub(super) fn required<T, U>(
    at: Path<'_>,
    value: &Option<T>,
    parse: impl FnOnce(Path<'_>, &T) -> Option<U>,
) -> Option<U> {
    match value {
        Some(value) => parse(at, value),
        None => at.refuse("is missing"),
    }
}

/// A value that may be absent.
pub(super) fn optional<T, U>(
    at: Path<'_>,
    value: &Option<T>,
    parse: impl FnOnce(Path<'_>, &T) -> Option<U>,
) -> Option<U> {
    value.as_ref().and_then(|value| parse(at, value))
}

/// Every item of a list, or None where one of them is refused. All are looked at.
pub(super) fn each<T, U>(
    at: Path<'_>,
    items: &[T],
    parse: impl Fn(Path<'_>, &T) -> Option<U>,
) -> Option<Vec<U>> {
    let mut parsed = Vec::with_capacity(items.len());
    parsed.extend(items.iter().enumerate().filter_map(|(place, item)| parse(at.index(place), item)));
    (parsed.len() == items.len()).then_some(parsed)
}

/// Refuses each item that equals an earlier one.
pub(super) fn each_once<T: Eq + Hash>(at: Path<'_>, items: impl Iterator<Item = T>) {
    let mut seen = HashSet::new();
    for (place, item) in items.enumerate() {
        if !seen.insert(item) {
            at.index(place).refuse::<()>("comes a second time");
        }
    }
}

pub(super) fn id<K>(at: Path<'_>, raw: &str) -> Option<Id<K>> {
    at.check(Id::try_new(raw))
}

pub(super) fn optional_id<K>(at: Path<'_>, raw: &str) -> Option<Id<K>> {
    if raw.is_empty() { None } else { id(at, raw) }
}

pub(super) fn optional_term(at: Path<'_>, raw: &str) -> Option<Term> {
    if raw.is_empty() { None } else { at.check(Term::try_new(raw)) }
}

pub(super) fn optional_name(at: Path<'_>, raw: &str) -> Option<Name> {
    if raw.is_empty() {
        return None;
    }
    if raw.len() > NAME_BYTES_MAX {
        return at.refuse(format_args!("is {} bytes long, must be at most {NAME_BYTES_MAX}", raw.len()));
    }
    match raw.char_indices().find(|(_, found)| found.is_control()) {
        Some((place, found)) => at.refuse(TextError::Control(place, found)),
        None => Some(raw.into()),
    }
}

pub(super) fn labels(at: Path<'_>, labels: &BTreeMap<String, String>) -> Option<Labels> {
    if labels.len() > LABELS_MAX {
        return at.refuse(format_args!("has {} labels, must have at most {LABELS_MAX}", labels.len()));
    }
    let mut parsed = Labels::new();
    for (key, label) in labels {
        let at = at.key(key);
        let key = Term::try_new(key).map_err(|error| format!("key {error}"));
        if let (Some(key), Some(label)) = (at.check(key), at.check(Term::try_new(label))) {
            parsed.insert(key, label);
        }
    }
    Some(parsed)
}

/// An enum number that this server knows.
pub(super) fn known<E: TryFrom<i32>>(at: Path<'_>, number: i32) -> Option<E> {
    E::try_from(number)
        .ok()
        .or_else(|| at.refuse(format_args!("is {number}, which this server doesn't know")))
}

/// A number within bounds that fit into `T`.
pub(super) fn within<T: TryFrom<i32>>(at: Path<'_>, number: i32, bounds: RangeInclusive<i32>) -> Option<T> {
    match T::try_from(number) {
        Ok(fitting) if bounds.contains(&number) => Some(fitting),
        _ => at.refuse(format_args!("is {number}, must be {} to {}", bounds.start(), bounds.end())),
    }
}

/// A number that counts something.
pub(super) fn count(at: Path<'_>, number: i64) -> Option<u64> {
    u64::try_from(number).ok().or_else(|| at.refuse(format_args!("is {number}, must be at least 0")))
}

pub(super) fn basis_points(at: Path<'_>, bps: i32) -> Option<BasisPoints> {
    at.check(BasisPoints::try_new(bps.into()))
}

pub(super) fn money(at: Path<'_>, money: &google::Money) -> Option<Money> {
    let google::Money { currency_code, units, nanos } = money;
    let currency = at.field("currency_code").check(Currency::try_new(currency_code));
    let amount = amount(at, *units, *nanos);
    Some(Money { amount: amount?, currency: currency? })
}

fn amount(at: Path<'_>, units: i64, nanos: i32) -> Option<Amount> {
    /// Billionths to a ten-thousandth.
    const NANOS_PER_E4: i32 = 100_000;

    let nanos_at = at.field("nanos");
    if !(-999_999_999..=999_999_999).contains(&nanos) {
        return nanos_at.refuse(format_args!("is {nanos}, must be -999999999 to 999999999"));
    }
    if units.signum() * i64::from(nanos.signum()) < 0 {
        return nanos_at.refuse(format_args!("is {nanos}, must have the sign of units, which is {units}"));
    }
    if nanos % NANOS_PER_E4 != 0 {
        return nanos_at
            .refuse(format_args!("is {nanos}, must be a multiple of {NANOS_PER_E4} (ten-thousandths)"));
    }
    // What saturates is out of bounds at the same end.
    let amount_e4 = units.saturating_mul(E4).saturating_add(i64::from(nanos / NANOS_PER_E4));
    at.check(Amount::try_from_e4(amount_e4))
}

pub(super) fn instant(at: Path<'_>, time: &Timestamp) -> Option<Instant> {
    let Timestamp { seconds, nanos } = *time;
    at.check(Instant::try_new(seconds, nanos))
}

/// A whole date, from 1970-01-01 to 2199-12-31.
pub(super) fn date(at: Path<'_>, date: &google::Date) -> Option<Date> {
    date_until(at, date, Date::LAST)
}

fn date_until(at: Path<'_>, date: &google::Date, last: Date) -> Option<Date> {
    let google::Date { year, month, day } = *date;
    let shown = format_args!("year {year}, month {month}, day {day}");
    if year == 0 || month == 0 || day == 0 {
        return at.refuse(format_args!("is a partial date ({shown}), must have year, month and day"));
    }
    let found = match (u32::try_from(month), u32::try_from(day)) {
        (Ok(month), Ok(day)) => Date::from_ymd(year, month, day),
        _ => None,
    };
    match found {
        Some(date) if (Date::FIRST..=last).contains(&date) => Some(date),
        Some(date) => at.refuse(format_args!("is {date}, must be {} to {last}", Date::FIRST)),
        None => at.refuse(format_args!("is no day of the calendar ({shown})")),
    }
}

/// At least one day, from the first to before the end: the fields `start_on` and `end_on` of the message
/// here.
pub(super) fn dates(
    at: Path<'_>,
    start_on: &Option<google::Date>,
    end_on: &Option<google::Date>,
) -> Option<DateRange> {
    let end_at = at.field("end_on");
    let from = required(at.field("start_on"), start_on, date);
    let to = required(end_at, end_on, |at, end| date_until(at, end, Date::LAST.next()));
    let dates = DateRange { from: from?, to: to? };
    if dates.days() < 1 {
        let DateRange { from, to } = dates;
        return end_at.refuse(format_args!("is {to}, must be later than start_on, which is {from}"));
    }
    Some(dates)
}

pub(super) fn rate_key(at: Path<'_>, key: &pb::ExchangeRateKey) -> Option<RateKey> {
    let pb::ExchangeRateKey { from_currency_code, to_currency_code, rate_on } = key;
    let to_at = at.field("to_currency_code");
    let from = at.field("from_currency_code").check(Currency::try_new(from_currency_code));
    let to = to_at.check(Currency::try_new(to_currency_code));
    let on = required(at.field("rate_on"), rate_on, date);
    let (from, to) = (from?, to?);
    if from == to {
        return to_at.refuse(format_args!("is {} as from_currency_code is, must be another", to.code()));
    }
    Some(RateKey { from, to, on: on? })
}

/// A subject; with nothing set, the tenant.
pub(super) fn subject(at: Path<'_>, subject: &pb::Subject) -> Option<Subject> {
    use pb::subject::Subject as Wire;
    let pb::Subject { subject } = subject;
    match subject {
        None => Some(Subject::Tenant),
        Some(Wire::Partner(partner)) => {
            let pb::PartnerSubject { partner_id, include_sub_partners } = partner;
            let partner = id(at.field("partner").field("partner_id"), partner_id)?;
            Some(Subject::Partner { partner, include_sub_partners: *include_sub_partners })
        }
        Some(Wire::EmployeeId(employee_id)) => {
            id(at.field("employee_id"), employee_id).map(Subject::Employee)
        }
        Some(Wire::UnitId(unit_id)) => id(at.field("unit_id"), unit_id).map(Subject::Unit),
    }
}

/// A subject that means the tenant where it is absent.
pub(super) fn subject_or_tenant(at: Path<'_>, asked: &Option<pb::Subject>) -> Option<Subject> {
    asked.as_ref().map_or(Some(Subject::Tenant), |asked| subject(at, asked))
}

/// A member of a oneof whose presence is what it says: false says nothing.
pub(super) fn set_to_true(at: Path<'_>, set: bool) -> Option<()> {
    if set { Some(()) } else { at.refuse("is false, must be true where it is set") }
}
