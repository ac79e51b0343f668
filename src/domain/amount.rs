//! Money: exact, in ten-thousandths of a currency's unit, never a float.
//!
//! Invariants:
//! 1. An [`Amount`] is 0 to 9.2·10¹⁴ units. A deal without an amount has none, which isn't 0.
//! 2. Two currencies are never added: [`Money`] has no arithmetic. Sums are taken of amounts in the
//!    reporting currency only, in i128, which no number of amounts can overflow.

use std::fmt;

use minicbor::{Decode, Encode};

/// Ten-thousandths to one unit of a currency.
pub const E4: i64 = 10_000;

/// An amount of money in some currency, in ten-thousandths of its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Amount(#[n(0)] i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("is negative, must be at least 0")]
    Negative,
    #[error("is above {} units", Amount::MAX.0 / E4)]
    TooGreat,
}

// === impl Amount ===

impl Amount {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(920_000_000_000_000 * E4);

    pub fn try_from_e4(amount_e4: i64) -> Result<Self, AmountError> {
        match amount_e4 {
            ..0 => Err(AmountError::Negative),
            _ if amount_e4 > Self::MAX.0 => Err(AmountError::TooGreat),
            _ => Ok(Self(amount_e4)),
        }
    }

    pub const fn e4(self) -> i64 {
        self.0
    }
}

/// An ISO 4217 currency code.
///
/// Codes are checked against today's list when they arrive; one that is retired later stays readable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no ISO 4217 currency code, such as USD")]
pub struct UnknownCurrency(String);

// === impl Currency ===

impl Currency {
    pub fn try_new(code: &str) -> Result<Self, UnknownCurrency> {
        let unknown = || UnknownCurrency(code.chars().take(16).collect());
        iso_currency::Currency::from_code(code).ok_or_else(unknown)?;
        code.as_bytes().try_into().map(Self).map_err(|_| unknown())
    }

    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three ASCII capitals: no other way to make one")
    }

    /// The code as a number, for rows that hold many of them.
    pub fn packed(self) -> u32 {
        u32::from_be_bytes([0, self.0[0], self.0[1], self.0[2]])
    }

    /// The inverse of [`Currency::packed`].
    pub fn from_packed(packed: u32) -> Self {
        let [_, a, b, c] = packed.to_be_bytes();
        Self([a, b, c])
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl<C> Encode<C> for Currency {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(self.code())?.ok()
    }
}
impl<'b, C> Decode<'b, C> for Currency {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        match *d.str()?.as_bytes() {
            [a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(minicbor::decode::Error::message("not a currency code")),
        }
    }
}

/// An amount with its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Money {
    #[n(0)]
    pub amount: Amount,
    #[n(1)]
    pub currency: Currency,
}

/// A share or a probability in basis points: 0 to 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct BasisPoints(#[n(0)] u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is {0}, must be 0 to 10000 basis points")]
pub struct BasisPointsError(pub i64);

// === impl BasisPoints ===

impl BasisPoints {
    pub const WHOLE: Self = Self(10_000);

    pub fn try_new(bps: i64) -> Result<Self, BasisPointsError> {
        match u16::try_from(bps) {
            Ok(bps) if bps <= Self::WHOLE.0 => Ok(Self(bps)),
            _ => Err(BasisPointsError(bps)),
        }
    }

    pub const fn get(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_bounded() {
        assert_eq!(Amount::try_from_e4(-1), Err(AmountError::Negative));
        assert_eq!(Amount::try_from_e4(Amount::MAX.e4()), Ok(Amount::MAX));
        assert_eq!(Amount::try_from_e4(Amount::MAX.e4() + 1), Err(AmountError::TooGreat));
        assert_eq!(AmountError::TooGreat.to_string(), "is above 920000000000000 units");
    }

    #[test]
    fn currencies_are_those_of_iso_4217() {
        assert_eq!(Currency::try_new("BDT").unwrap().code(), "BDT");
        for wrong in ["", "usd", "USDX", "ZZZ", "৳৳৳"] {
            assert!(Currency::try_new(wrong).is_err(), "{wrong:?}");
        }
        let currency = Currency::try_new("KWD").unwrap();
        assert_eq!(Currency::from_packed(currency.packed()), currency);
    }
}
