//! Exchange: rates, the rate in force on a day, and exact conversion (docs/kpis.md §3).
//!
//! Invariants:
//! 1. A conversion is one product in 256 bits and one rounding, half to even, to ten-thousandths.
//! 2. A missing rate is never 1: no rate, no conversion.
//! 3. Which rate is in force depends on the set of rates only, not on the order of their arrival.

use std::collections::BTreeMap;
use std::fmt;

use ethnum::U256;
use minicbor::{Decode, Encode};

use super::amount::{Amount, Currency};
use super::calendar::Date;

/// An exchange rate: `mantissa · 10^-scale`, above 0.
///
/// At most 18 significant digits, at most 27 decimal places, below 10¹⁵: with these bounds two rates
/// and an amount fit into 256 bits in every combination.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Rate {
    /// Without trailing zeros.
    #[n(0)]
    mantissa: u64,
    #[n(1)]
    scale: i8,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    #[error("{0:?} is no decimal number, such as 117.25")]
    Malformed(String),
    #[error("must be above 0")]
    NotPositive,
    #[error("has {0} significant digits, must have at most {max}", max = Rate::DIGITS_MAX)]
    TooManyDigits(usize),
    #[error("has {0} decimal places, must have at most {max}", max = Rate::SCALE_MAX)]
    TooManyPlaces(i64),
    #[error("must be below 10^15")]
    TooGreat,
}

// === impl Rate ===

impl Rate {
    pub const DIGITS_MAX: usize = 18;
    pub const SCALE_MAX: i64 = 27;
    /// Digits before the decimal point.
    const WHOLE_DIGITS_MAX: i64 = 15;

    /// Reads a decimal as `google.type.Decimal` writes it: `117.25`, `1.1725E2`.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let malformed = || RateError::Malformed(text.chars().take(40).collect());
        if text.len() > 64 {
            return Err(malformed());
        }
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, exponent.parse::<i16>().map_err(|_| malformed())?),
            None => (text, 0),
        };
        let (negative, number) = match number.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(malformed());
        }
        let kept = digits.trim_end_matches('0');
        let dropped_zeros = (digits.len() - kept.len()) as i64;
        let significant = kept.trim_start_matches('0');
        if negative || significant.is_empty() {
            return Err(RateError::NotPositive);
        }
        if significant.len() > Self::DIGITS_MAX {
            return Err(RateError::TooManyDigits(significant.len()));
        }
        let scale = fraction.len() as i64 - dropped_zeros - i64::from(exponent);
        if scale > Self::SCALE_MAX {
            return Err(RateError::TooManyPlaces(scale));
        }
        if significant.len() as i64 - scale > Self::WHOLE_DIGITS_MAX {
            return Err(RateError::TooGreat);
        }
        let mantissa = significant.parse().expect("18 digits fit into u64");
        Ok(Self { mantissa, scale: scale as i8 })
    }
}

impl fmt::Display for Rate {
    /// Plain decimal notation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.to_string();
        match usize::try_from(self.scale) {
            Err(_) => write!(f, "{digits}{}", "0".repeat(usize::from(self.scale.unsigned_abs()))),
            Ok(0) => f.write_str(&digits),
            Ok(scale) => {
                let padded = format!("{digits:0>width$}", width = scale + 1);
                let (whole, fraction) = padded.split_at(padded.len() - scale);
                write!(f, "{whole}.{fraction}")
            }
        }
    }
}
impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The identity of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(array)]
pub struct RateKey {
    #[n(0)]
    pub from: Currency,
    #[n(1)]
    pub to: Currency,
    /// In force from this date on.
    #[n(2)]
    pub on: Date,
}

/// The rates that a book knows: current ones, not deleted.
#[derive(Clone, Debug, Default)]
pub struct Rates(BTreeMap<(Currency, Currency), BTreeMap<Date, Rate>>);

/// One step of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leg {
    rate: Rate,
    /// Divide by the rate instead of multiplying.
    inverse: bool,
    on: Date,
}

/// How an amount of one currency becomes one of another on some day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    first: Leg,
    second: Option<Leg>,
}

// === impl Rates ===

impl Rates {
    /// Sets what a rate is from now on; None takes it out.
    pub fn set(&mut self, key: RateKey, rate: Option<Rate>) {
        let dated = self.0.entry((key.from, key.to)).or_default();
        match rate {
            Some(rate) => dated.insert(key.on, rate),
            None => dated.remove(&key.on),
        };
        if dated.is_empty() {
            self.0.remove(&(key.from, key.to));
        }
    }

    /// The conversion in force on `on`: direct, else inverse, else one cross through the currency whose
    /// older leg is youngest, then of the least code.
    pub fn conversion(&self, from: Currency, to: Currency, on: Date) -> Option<Conversion> {
        if let Some(first) = self.leg(from, to, on) {
            return Some(Conversion { first, second: None });
        }
        let mut best: Option<Conversion> = None;
        for through in self.currencies_beside(from) {
            let (Some(first), Some(second)) = (self.leg(from, through, on), self.leg(through, to, on)) else {
                continue;
            };
            let found = Conversion { first, second: Some(second) };
            // Currencies come in the order of their codes: an equal one later doesn't win.
            if best.is_none_or(|best| found.oldest_rate_on() > best.oldest_rate_on()) {
                best = Some(found);
            }
        }
        best
    }

    fn leg(&self, from: Currency, to: Currency, on: Date) -> Option<Leg> {
        let in_force = |from, to, inverse| {
            let (on, rate) = self.0.get(&(from, to))?.range(..=on).next_back()?;
            Some(Leg { rate: *rate, inverse, on: *on })
        };
        in_force(from, to, false).or_else(|| in_force(to, from, true))
    }

    /// The currencies that have a rate with `currency`, by code.
    fn currencies_beside(&self, currency: Currency) -> impl Iterator<Item = Currency> {
        let mut found: Vec<Currency> = self
            .0
            .keys()
            .filter_map(|&(a, b)| match (a == currency, b == currency) {
                (true, _) => Some(b),
                (_, true) => Some(a),
                _ => None,
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter()
    }
}

// === impl Conversion ===

impl Conversion {
    /// The date of the older of its rates.
    pub fn oldest_rate_on(&self) -> Date {
        self.second.map_or(self.first.on, |second| self.first.on.min(second.on))
    }

    /// The amount in the other currency, rounded half to even. None beyond [`Amount::MAX`].
    pub fn convert(&self, amount: Amount) -> Option<Amount> {
        let mut numerator = U256::from(amount.e4().unsigned_abs());
        let mut denominator = U256::ONE;
        let mut scale = 0i32; // of numerator / denominator
        for leg in [Some(self.first), self.second].into_iter().flatten() {
            let mantissa = U256::from(leg.rate.mantissa);
            if leg.inverse {
                denominator *= mantissa;
                scale -= i32::from(leg.rate.scale);
            } else {
                numerator *= mantissa;
                scale += i32::from(leg.rate.scale);
            }
        }
        let power = U256::from(10u8).checked_pow(scale.unsigned_abs())?;
        if scale > 0 {
            denominator = denominator.checked_mul(power)?;
        } else {
            numerator = numerator.checked_mul(power)?;
        }
        let (quotient, rest) = (numerator / denominator, numerator % denominator);
        let up = match rest.cmp(&(denominator - rest)) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => quotient % 2 == 1,
            std::cmp::Ordering::Greater => true,
        };
        let rounded = quotient + U256::from(up);
        i64::try_from(rounded).ok().and_then(|e4| Amount::try_from_e4(e4).ok())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::calendar::date;

    fn currency(code: &str) -> Currency {
        Currency::try_new(code).unwrap()
    }

    fn rates(all: &[(&str, &str, &str, &str)]) -> Rates {
        let mut rates = Rates::default();
        for (from, to, on, rate) in all {
            let key = RateKey { from: currency(from), to: currency(to), on: date(on) };
            rates.set(key, Some(Rate::parse(rate).unwrap()));
        }
        rates
    }

    fn converted(rates: &Rates, amount_e4: i64, from: &str, to: &str, on: &str) -> Option<i64> {
        let conversion = rates.conversion(currency(from), currency(to), date(on))?;
        conversion.convert(Amount::try_from_e4(amount_e4).unwrap()).map(Amount::e4)
    }

    #[test]
    fn rates_are_decimals() {
        for (text, expected) in [
            ("117.25", Ok("117.25")),
            ("1.1725E2", Ok("117.25")),
            ("+0.00850", Ok("0.0085")),
            ("1e14", Ok("100000000000000")),
            ("100", Ok("100")),
            (".5", Ok("0.5")),
            ("0.123456789012345678", Ok("0.123456789012345678")),
            ("1e-27", Ok("0.000000000000000000000000001")),
            ("1e-28", Err(RateError::TooManyPlaces(28))),
            ("1234567890123456789", Err(RateError::TooManyDigits(19))),
            ("1e15", Err(RateError::TooGreat)),
            ("0", Err(RateError::NotPositive)),
            ("-1", Err(RateError::NotPositive)),
            ("0.000", Err(RateError::NotPositive)),
            ("", Err(RateError::Malformed(String::new()))),
            (".", Err(RateError::Malformed(".".into()))),
            ("1,5", Err(RateError::Malformed("1,5".into()))),
            ("NaN", Err(RateError::Malformed("NaN".into()))),
            ("1e99999", Err(RateError::Malformed("1e99999".into()))),
        ] {
            assert_eq!(
                Rate::parse(text).map(|rate| rate.to_string()),
                expected.map(str::to_owned),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_rate_in_force() {
        let rates = rates(&[
            ("EUR", "USD", "2024-01-01", "1.10"),
            ("EUR", "USD", "2024-02-01", "1.20"),
            ("USD", "BDT", "2024-01-01", "110"),
            ("BDT", "USD", "2024-03-01", "0.01"),
            // GBP reaches BDT through EUR? no: through USD, whose older leg is younger
            ("GBP", "USD", "2024-02-01", "1.25"),
            ("GBP", "EUR", "2024-02-02", "1.15"),
            ("EUR", "BDT", "2023-01-01", "100"),
        ]);
        for (amount_e4, from, to, on, expected) in [
            (10_0000, "EUR", "USD", "2024-01-31", Some(11_0000)),
            (10_0000, "EUR", "USD", "2024-02-01", Some(12_0000)),
            (10_0000, "EUR", "USD", "2023-12-31", None), // none yet is not 1
            (11_0000, "USD", "EUR", "2024-01-05", Some(10_0000)), // inverse
            (110_0000, "BDT", "USD", "2024-01-05", Some(1_0000)), // inverse, before the direct one
            (110_0000, "BDT", "USD", "2024-03-05", Some(1_1000)), // direct wins
            (1_0000, "GBP", "BDT", "2024-02-05", Some(137_5000)), // cross through USD
            (1, "BDT", "USD", "2024-03-05", Some(0)),    // 0.01 of a ten-thousandth
            (50, "BDT", "USD", "2024-03-05", Some(0)),   // half to even, down
            (150, "BDT", "USD", "2024-03-05", Some(2)),  // half to even, up
            (i64::from(i32::MAX), "JPY", "USD", "2024-03-05", None),
        ] {
            assert_eq!(converted(&rates, amount_e4, from, to, on), expected, "{amount_e4} {from} {to} {on}");
        }
        let cross = rates.conversion(currency("GBP"), currency("BDT"), date("2024-02-05")).unwrap();
        assert_eq!(cross.oldest_rate_on(), date("2024-01-01"));
    }

    #[test]
    fn a_tie_between_crosses_goes_to_the_least_code() {
        let rates = rates(&[
            ("GBP", "USD", "2024-01-01", "2"),
            ("USD", "BDT", "2024-01-01", "100"),
            ("GBP", "EUR", "2024-01-01", "3"),
            ("EUR", "BDT", "2024-01-01", "100"),
        ]);
        assert_eq!(converted(&rates, 1_0000, "GBP", "BDT", "2024-01-01"), Some(300_0000));
    }

    #[test]
    fn the_greatest_products_fit() {
        let max = Amount::MAX.e4();
        for (first, second) in [("999999999999999", "999999999999999"), ("1e-27", "1e-27"), ("1e14", "1e-27")]
        {
            // direct · direct, inverse · inverse, direct · inverse, inverse · direct
            for (ab, bc) in [(true, true), (false, false), (true, false), (false, true)] {
                let leg = |forward: bool, a, b, rate| {
                    if forward { (a, b, "2024-01-01", rate) } else { (b, a, "2024-01-01", rate) }
                };
                let rates = rates(&[leg(ab, "GBP", "EUR", first), leg(bc, "EUR", "BDT", second)]);
                converted(&rates, max, "GBP", "BDT", "2024-01-01"); // no panic; most are out of range
            }
        }
        let one = rates(&[("GBP", "BDT", "2024-01-01", "1")]);
        assert_eq!(converted(&one, max, "GBP", "BDT", "2024-01-01"), Some(max));
    }

    proptest! {
        /// Rounding against an independent way: the result's error is at most half, and half only where even.
        #[test]
        fn rounds_half_to_even(amount in 0i64..1_000_000_000, mantissa in 1u64..1_000_000, scale in 0u32..8) {
            let rate = Rate::parse(&format!("{mantissa}e-{scale}")).unwrap();
            let leg = Leg { rate, inverse: false, on: date("2024-01-01") };
            let conversion = Conversion { first: leg, second: None };
            let got = conversion.convert(Amount::try_from_e4(amount).unwrap()).map(|a| i128::from(a.e4()));
            let (exact, unit) = (i128::from(amount) * i128::from(mantissa), 10i128.pow(scale));
            let twice_error = 2 * (got.unwrap() * unit - exact).abs();
            prop_assert!(twice_error < unit || (twice_error == unit && got.unwrap() % 2 == 0) || unit == 1 && twice_error == 0);
        }

        #[test]
        fn rates_print_as_they_parse(mantissa in 1u64..1_000_000_000_000_000_000, scale in 3i32..=27) {
            let rate = Rate::parse(&format!("{mantissa}e-{scale}")).unwrap();
            prop_assert_eq!(Rate::parse(&rate.to_string()).unwrap(), rate);
        }
    }
}
