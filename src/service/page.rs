//! Pages: where a walk through a list goes on.
//!
//! Lists are ordered by the bytes of ids; a token carries the last row's. What a token says is input.

use super::token::{PageTokenError, Walk};
use crate::domain::filter::GroupValue;
use crate::domain::ids::Id;
use crate::domain::record::{RecordKey, RecordKind, canonical};
use crate::domain::subject::Subject;

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
