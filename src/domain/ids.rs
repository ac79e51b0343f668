//! Ids: the host CRM's own keys, and the bounded texts that stand beside them.
//!
//! Invariants, checked by the one constructor of each type:
//! 1. An id is 1 to 128 bytes of UTF-8 without control characters.
//! 2. Ids are opaque: compared byte for byte, never normalised, never parsed.
//! 3. Ids of different kinds are different types and can't be swapped.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// The greatest length of an id or a bounded text.
pub const TEXT_BYTES_MAX: usize = 128;

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("is empty")]
    Empty,
    #[error("is {0} bytes long, must be at most {max}", max = TEXT_BYTES_MAX)]
    Length(usize),
    #[error("has control character {1:?} at byte {0}")]
    Control(usize, char),
}

/// Whether a text can be an id or a [`Term`].
pub fn check(raw: &str) -> Result<(), TextError> {
    if raw.is_empty() {
        return Err(TextError::Empty);
    }
    if raw.len() > TEXT_BYTES_MAX {
        return Err(TextError::Length(raw.len()));
    }
    // Most are plain ASCII, which shows at a glance.
    if raw.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(());
    }
    match raw.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, found)) => Err(TextError::Control(at, found)),
        None => Ok(()),
    }
}

/// The host's key of a record of kind `K`.
pub struct Id<K>(Box<str>, PhantomData<fn() -> K>);

/// Marks the kind of record that an [`Id`] names. No value of these types exists.
pub mod kind {
    #[derive(Debug)]
    pub enum Tenant {}
    #[derive(Debug)]
    pub enum Partner {}
    #[derive(Debug)]
    pub enum Unit {}
    #[derive(Debug)]
    pub enum Employee {}
    #[derive(Debug)]
    pub enum Lead {}
    #[derive(Debug)]
    pub enum Deal {}
    #[derive(Debug)]
    pub enum Channel {}
    #[derive(Debug)]
    pub enum Spend {}
    #[derive(Debug)]
    pub enum Target {}
    #[derive(Debug)]
    pub enum Strategy {}
    #[derive(Debug)]
    pub enum Source {}
}

pub type TenantId = Id<kind::Tenant>;
pub type PartnerId = Id<kind::Partner>;
pub type UnitId = Id<kind::Unit>;
pub type EmployeeId = Id<kind::Employee>;
pub type LeadId = Id<kind::Lead>;
pub type DealId = Id<kind::Deal>;
pub type ChannelId = Id<kind::Channel>;
pub type SpendId = Id<kind::Spend>;
pub type TargetId = Id<kind::Target>;
pub type StrategyId = Id<kind::Strategy>;
/// Names a feed, the same over reconnects.
pub type SourceId = Id<kind::Source>;

// === impl Id ===

impl<K> Id<K> {
    pub fn try_new(raw: &str) -> Result<Self, TextError> {
        check(raw).map(|()| Self(raw.into(), PhantomData))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// Derives would ask the same of `K`, which is only a mark.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_bytes().cmp(other.0.as_bytes())
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K> Borrow<str> for Id<K> {
    fn borrow(&self) -> &str {
        &self.0
    }
}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<C, K> minicbor::Encode<C> for Id<K> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}
impl<'b, C, K> minicbor::Decode<'b, C> for Id<K> {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::try_new(d.str()?).map_err(minicbor::decode::Error::custom)
    }
}

/// A short text of the host that figures are filtered and grouped by (stage, product, region,
/// tier, label, …): bounded and free of control characters like an id, compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(Box<str>);

// === impl Term ===

impl Term {
    pub fn try_new(raw: &str) -> Result<Self, TextError> {
        check(raw).map(|()| Self(raw.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Term {
    fn borrow(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<C> minicbor::Encode<C> for Term {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}
impl<'b, C> minicbor::Decode<'b, C> for Term {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::try_new(d.str()?).map_err(minicbor::decode::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_and_opaque() {
        for (raw, expected) in [
            ("", Err(TextError::Empty)),
            ("a", Ok(())),
            ("O/pp 1", Ok(())),
            ("বাংলা", Ok(())),
            ("a\nb", Err(TextError::Control(1, '\n'))),
            ("a\u{85}", Err(TextError::Control(1, '\u{85}'))),
        ] {
            assert_eq!(DealId::try_new(raw).map(|id| assert_eq!(id.as_str(), raw)), expected, "{raw:?}");
        }
        assert!(DealId::try_new(&"x".repeat(128)).is_ok());
        assert_eq!(DealId::try_new(&"x".repeat(129)), Err(TextError::Length(129)));
        assert!(DealId::try_new("A").unwrap() < DealId::try_new("a").unwrap(), "order is by bytes");
    }
}
