//! Single values: money, dates, instants, subjects.

use prost_types::Timestamp;

use crate::domain::amount::{Currency, E4, Money};
use crate::domain::calendar::{Date, DateRange, Instant};
use crate::domain::ids::Id;
use crate::domain::subject::{Subject, SubjectKind};
use crate::proto::channelkpi::v1 as pb;
use crate::proto::google::r#type as google;

/// Billionths to a ten-thousandth.
const NANOS_PER_E4: i128 = 100_000;

/// A sum of money. None beyond what the wire's 64 bits of units hold.
pub fn money(amount_e4: i128, currency: Currency) -> Option<google::Money> {
    // Both parts are cut towards 0, so that their signs agree.
    let units = i64::try_from(amount_e4 / i128::from(E4)).ok()?;
    let nanos = (amount_e4 % i128::from(E4) * NANOS_PER_E4) as i32; // below a unit
    Some(google::Money { currency_code: currency.code().to_owned(), units, nanos })
}

/// A sum of money in ten-thousandths of basis points: amounts times probabilities. Exact, and None beyond
/// what the wire's 64 bits of units hold.
pub fn money_e8(amount_e8: i128, currency: Currency) -> Option<google::Money> {
    const E8: i128 = 100_000_000;
    let units = i64::try_from(amount_e8 / E8).ok()?;
    let nanos = (amount_e8 % E8 * 10) as i32; // below a unit
    Some(google::Money { currency_code: currency.code().to_owned(), units, nanos })
}

/// A record's amount.
pub fn amount(Money { amount, currency }: Money) -> google::Money {
    money(amount.e4().into(), currency).expect("an amount is at most 9.2·10¹⁴ units")
}

pub fn instant(instant: Instant) -> Timestamp {
    Timestamp { seconds: instant.seconds(), nanos: instant.nanos() }
}

pub fn date(date: Date) -> google::Date {
    let (year, month, day) = date.ymd();
    google::Date { year, month: month as i32, day: day as i32 }
}

pub fn dates(DateRange { from, to }: DateRange) -> pb::DateRange {
    pb::DateRange { start_on: Some(date(from)), end_on: Some(date(to)) }
}

/// A subject; the tenant has nothing set.
pub fn subject_kind(kind: SubjectKind) -> pb::SubjectKind {
    match kind {
        SubjectKind::Partner => pb::SubjectKind::Partner,
        SubjectKind::Employee => pb::SubjectKind::Employee,
        SubjectKind::Unit => pb::SubjectKind::Unit,
    }
}

pub fn subject(subject: &Subject) -> pb::Subject {
    use pb::subject::Subject as Wire;
    let subject = match subject {
        Subject::Tenant => None,
        Subject::Partner { partner, include_sub_partners } => Some(Wire::Partner(pb::PartnerSubject {
            partner_id: id(partner),
            include_sub_partners: *include_sub_partners,
        })),
        Subject::Employee(employee) => Some(Wire::EmployeeId(id(employee))),
        Subject::Unit(unit) => Some(Wire::UnitId(id(unit))),
    };
    pb::Subject { subject }
}

pub(super) fn id<K>(id: &Id<K>) -> String {
    id.as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_by_hand() {
        let usd = Currency::try_new("USD").unwrap();
        for (amount_e4, expected) in [
            (0, Some((0, 0))),
            (1, Some((0, 100_000))),
            (23_609_093, Some((2_360, 909_300_000))),
            (-1, Some((0, -100_000))),
            (-1_7500, Some((-1, -750_000_000))), // of the type's own comment
            (i128::from(i64::MAX) * 10_000 + 9_999, Some((i64::MAX, 999_900_000))),
            (i128::from(i64::MAX) * 10_000 + 10_000, None),
            (i128::from(i64::MIN) * 10_000 - 9_999, Some((i64::MIN, -999_900_000))),
            (i128::MIN, None),
        ] {
            let found = money(amount_e4, usd);
            assert!(found.iter().all(|money| money.currency_code == "USD"));
            assert_eq!(found.map(|money| (money.units, money.nanos)), expected, "{amount_e4}");
        }
        for (amount_e8, expected) in [
            (130_000_000_000, Some((1_300, 0))),
            (1, Some((0, 10))), // a ten-thousandth at one basis point
            (i128::from(i64::MAX) * 100_000_000 + 99_999_999, Some((i64::MAX, 999_999_990))),
            (i128::from(i64::MAX) * 100_000_000 + 100_000_000, None),
        ] {
            let found = money_e8(amount_e8, usd);
            assert_eq!(found.map(|money| (money.units, money.nanos)), expected, "{amount_e8}");
        }
    }
}
