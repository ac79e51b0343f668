//! The slow truth about money: dividing an amount among shares, and converting it by fractions.

use std::collections::{BTreeMap, BTreeSet};

use ethnum::U256;

use crate::domain::amount::{Currency, Money};
use crate::domain::calendar::Date;
use crate::domain::exchange::{Rate, RateKey};

/// Divides by largest remainder: one ten-thousandth after the other goes to whom most is still owed, of
/// equal ones to the first. `shares` in basis points add up to the whole.
pub fn split(whole_e4: i128, shares: &[i128]) -> Vec<i128> {
    let owed = |bps: i128| whole_e4 * bps; // in basis points of a ten-thousandth
    let mut given: Vec<i128> = shares.iter().map(|&bps| owed(bps).div_euclid(10_000)).collect();
    let mut topped_up = vec![false; shares.len()];
    while given.iter().sum::<i128>() < whole_e4 {
        let mut best: Option<(usize, i128)> = None;
        for (at, &bps) in shares.iter().enumerate() {
            let remainder = owed(bps).rem_euclid(10_000);
            if !topped_up[at] && best.is_none_or(|(_, most)| remainder > most) {
                best = Some((at, remainder));
            }
        }
        let (at, _) = best.expect("remainders sum to what is left, each below one");
        given[at] += 1;
        topped_up[at] = true;
    }
    given
}

/// An exact positive number.
#[derive(Clone, Copy)]
struct Fraction {
    numerator: U256,
    denominator: U256,
}

// === impl Fraction ===

impl Fraction {
    fn whole(number: i64) -> Self {
        Self { numerator: U256::from(number.unsigned_abs()), denominator: U256::ONE }
    }

    /// A rate, read from its digits.
    fn of(rate: Rate) -> Self {
        let text = rate.to_string();
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        let mut fraction = Self::whole(0);
        for digit in format!("{whole}{decimals}").bytes() {
            fraction.numerator = fraction.numerator * 10 + U256::from(digit - b'0');
        }
        for _ in decimals.bytes() {
            fraction.denominator *= 10;
        }
        fraction
    }

    fn times(self, other: Self) -> Self {
        Self {
            numerator: self.numerator * other.numerator,
            denominator: self.denominator * other.denominator,
        }
    }

    fn inverse(self) -> Self {
        Self { numerator: self.denominator, denominator: self.numerator }
    }

    fn rounded_half_even(self) -> U256 {
        let (floor, rest) = (self.numerator / self.denominator, self.numerator % self.denominator);
        let twice = rest * 2;
        if twice > self.denominator || (twice == self.denominator && floor % 2 == 1) {
            floor + 1
        } else {
            floor
        }
    }
}

/// The amount in the currency `to`, and the oldest rate that it took.
pub fn converted(
    money: Money,
    to: Currency,
    rates: &BTreeMap<RateKey, Rate>,
    on: Date,
) -> Option<(i128, Option<Date>)> {
    let from = money.currency;
    if from == to {
        return Some((i128::from(money.amount.e4()), None));
    }
    let latest = |from: Currency, to: Currency| {
        let in_force = rates.iter().filter(|(key, _)| key.from == from && key.to == to && key.on <= on);
        in_force.max_by_key(|(key, _)| key.on).map(|(key, rate)| (Fraction::of(*rate), key.on))
    };
    let leg = |from, to| latest(from, to).or_else(|| latest(to, from).map(|(rate, on)| (rate.inverse(), on)));
    let cross = || {
        let through: BTreeSet<Currency> = rates.keys().flat_map(|key| [key.from, key.to]).collect();
        let mut best: Option<(Fraction, Date)> = None;
        for through in through {
            if let (Some((first, a)), Some((second, b))) = (leg(from, through), leg(through, to))
                && best.is_none_or(|(_, youngest)| a.min(b) > youngest)
            {
                best = Some((first.times(second), a.min(b)));
            }
        }
        best
    };
    let (factor, oldest) = leg(from, to).or_else(cross)?;
    let rounded = Fraction::whole(money.amount.e4()).times(factor).rounded_half_even();
    let greatest = U256::new(9_200_000_000_000_000_000); // 9.2·10¹⁴ units
    (rounded <= greatest).then(|| (rounded.as_i128(), Some(oldest)))
}
