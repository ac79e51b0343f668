//! Pages: where a walk through a list goes on.
//!
//! Lists are ordered by the bytes of ids, those of contributing records by date, kind and id; a token carries
//! the last row's. What a token says is input.

use super::token::{PageTokenError, Walk};
use crate::book::{ContributorKind, Place};
use crate::domain::calendar::Date;
use crate::domain::filter::GroupValue;
use crate::domain::ids::Id;
use crate::domain::record::{RecordKey, RecordKind, canonical};
use crate::domain::subject::Subject;
use crate::kpi::figure::{Quantity, Ratio};
use crate::kpi::leaderboard::{RowKey, Score};

/// The id of a subject; None for the tenant, which isn't listed.
pub fn subject_id(subject: &Subject) -> Option<&str> {
    match subject {
        Subject::Tenant => None,
        Subject::Partner { partner, .. } => Some(partner.as_str()),
        Subject::Employee(employee) => Some(employee.as_str()),
        Subject::Unit(unit) => Some(unit.as_str()),
    }
}

/// The id of the last row of a walk over subjects.
pub fn last_id(walk: &Walk) -> Result<String, PageTokenError> {
    let id = std::str::from_utf8(&walk.last_key).ok().filter(|id| Id::<()>::try_new(id).is_ok());
    id.map(str::to_owned).ok_or(PageTokenError::Invalid)
}

/// What a token keeps of the last row of a list by a dimension.
pub fn group_key(value: &GroupValue) -> Vec<u8> {
    match value {
        GroupValue::Uncredited => vec![0],
        GroupValue::None => vec![1],
        GroupValue::Value(value) => [&[2], value.as_bytes()].concat(),
    }
}

/// The inverse of [`group_key`].
pub fn last_group(walk: &Walk) -> Result<GroupValue, PageTokenError> {
    let value = |bytes| std::str::from_utf8(bytes).ok().filter(|value| Id::<()>::try_new(value).is_ok());
    match walk.last_key.as_slice() {
        [0] => Ok(GroupValue::Uncredited),
        [1] => Ok(GroupValue::None),
        [2, bytes @ ..] => {
            value(bytes).map(|value| GroupValue::Value(value.into())).ok_or(PageTokenError::Invalid)
        }
        _ => Err(PageTokenError::Invalid),
    }
}

/// What a token keeps of the last row of a walk over records.
pub fn sort_key(key: &RecordKey) -> Vec<u8> {
    let id = match key {
        RecordKey::Partner(id) => id.as_str(),
        RecordKey::Unit(id) => id.as_str(),
        RecordKey::Employee(id) => id.as_str(),
        RecordKey::Lead(id) => id.as_str(),
        RecordKey::Deal(id) => id.as_str(),
        RecordKey::Channel(id) => id.as_str(),
        RecordKey::Spend(id) => id.as_str(),
        RecordKey::Target(id) => id.as_str(),
        RecordKey::Strategy(id) => id.as_str(),
        RecordKey::Rate(key) => return canonical(key),
        RecordKey::Settings => "",
    };
    id.as_bytes().to_vec()
}

/// The inverse of [`sort_key`], for records of a kind.
pub fn last_record(kind: RecordKind, walk: &Walk) -> Result<RecordKey, PageTokenError> {
    fn id<K>(bytes: &[u8]) -> Option<Id<K>> {
        std::str::from_utf8(bytes).ok().and_then(|id| Id::try_new(id).ok())
    }
    let bytes = walk.last_key.as_slice();
    let key = match kind {
        RecordKind::Partner => id(bytes).map(RecordKey::Partner),
        RecordKind::Unit => id(bytes).map(RecordKey::Unit),
        RecordKind::Employee => id(bytes).map(RecordKey::Employee),
        RecordKind::Lead => id(bytes).map(RecordKey::Lead),
        RecordKind::Deal => id(bytes).map(RecordKey::Deal),
        RecordKind::Channel => id(bytes).map(RecordKey::Channel),
        RecordKind::Spend => id(bytes).map(RecordKey::Spend),
        RecordKind::Target => id(bytes).map(RecordKey::Target),
        RecordKind::Strategy => id(bytes).map(RecordKey::Strategy),
        RecordKind::Rate => minicbor::decode(bytes).ok().map(RecordKey::Rate),
        RecordKind::Settings => Some(RecordKey::Settings),
    };
    key.ok_or(PageTokenError::Invalid)
}

/// What a token keeps of the last row of a walk over contributing records.
pub fn place_key(place: &Place<'_>) -> Vec<u8> {
    let mut key = place.on.day_number().to_be_bytes().to_vec();
    key.push(place.kind as u8);
    key.extend_from_slice(place.id.as_bytes());
    key
}

/// The inverse of [`place_key`].
pub fn last_place(walk: &Walk) -> Result<Place<'_>, PageTokenError> {
    let place = || {
        let (day, rest) = walk.last_key.split_first_chunk()?;
        let (kind, id) = rest.split_first()?;
        let on = Date::from_day_number(i32::from_be_bytes(*day));
        let kind =
            [ContributorKind::Lead, ContributorKind::Deal].into_iter().find(|it| *it as u8 == *kind)?;
        let id = std::str::from_utf8(id).ok().filter(|id| Id::<()>::try_new(id).is_ok())?;
        (Date::FIRST..=Date::LAST).contains(&on).then_some(Place { on, kind, id })
    };
    place().ok_or(PageTokenError::Invalid)
}

/// What a token keeps of the last row of a walk over a board.
pub fn row_key(key: &RowKey) -> Vec<u8> {
    let RowKey { score, won_amount_e4, id } = key;
    let mut bytes = match score {
        Score::Value(ratio) => [&[0][..], &ratio.to_bytes()].concat(),
        Score::LowerBound { e9, .. } => [&[1][..], &e9.to_be_bytes()].concat(),
    };
    bytes.extend_from_slice(&won_amount_e4.to_be_bytes());
    bytes.extend_from_slice(id.as_bytes());
    bytes
}

/// The inverse of [`row_key`].
pub fn last_row(walk: &Walk) -> Result<RowKey, PageTokenError> {
    let key = || {
        let (kind, rest) = walk.last_key.split_first()?;
        let (score, rest) = match kind {
            0 => {
                let (ratio, rest) = rest.split_first_chunk()?;
                (Score::Value(Ratio::from_bytes(ratio)?), rest)
            }
            1 => {
                let (e9, rest) = rest.split_first_chunk()?;
                // Rows are ordered by the bound alone.
                let rate = Ratio::whole(Quantity::Count(0));
                (Score::LowerBound { e9: i64::from_be_bytes(*e9), rate }, rest)
            }
            _ => return None,
        };
        let (won_amount_e4, id) = rest.split_first_chunk()?;
        let id = std::str::from_utf8(id).ok().filter(|id| Id::<()>::try_new(id).is_ok())?;
        Some(RowKey { score, won_amount_e4: i128::from_be_bytes(*won_amount_e4), id: id.into() })
    };
    key().ok_or(PageTokenError::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::date;

    #[test]
    fn places_come_back_and_what_is_none_is_refused() {
        let walk = |last_key| Walk { first_revision: 1, as_of: None, last_key };
        for place in [
            Place { on: date("2024-03-05"), kind: ContributorKind::Deal, id: "d1" },
            Place { on: Date::FIRST, kind: ContributorKind::Lead, id: &"ক".repeat(42) },
            Place { on: Date::LAST, kind: ContributorKind::Lead, id: "a/b" },
        ] {
            assert_eq!(last_place(&walk(place_key(&place))), Ok(place));
        }
        let day = |number: i32, rest: &[u8]| [&number.to_be_bytes()[..], rest].concat();
        let long = [&[2][..], "x".repeat(129).as_bytes()].concat();
        for wrong in [
            vec![],
            vec![0, 0, 0],
            day(0, b""),
            day(0, b"\x02"),
            day(0, b"\x00d1"),
            day(0, b"\x03d1"),
            day(0, b"\x02d\n"),
            day(0, b"\x02\xff"),
            day(-1, b"\x02d1"),
            day(Date::LAST.day_number() + 1, b"\x02d1"),
            day(i32::MAX, b"\x02d1"),
            day(0, &long),
        ] {
            assert_eq!(last_place(&walk(wrong.clone())), Err(PageTokenError::Invalid), "{wrong:?}");
        }
    }
}
