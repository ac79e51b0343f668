//! Figures, exact ratios and quantities, as the wire has them: the quotient is rounded for display, beside
//! the exact terms.

use super::value;
use crate::domain::amount::Currency;
use crate::kpi::figure::{Absent, Figure, Quantity, Ratio};
use crate::proto::channelkpi::v1 as pb;

/// A figure; absent where one of its terms is beyond what the wire can hold.
pub fn figure(figure: Figure, currency: Currency) -> pb::Figure {
    use pb::figure::Result::{AbsentReason, Value};
    let result = match figure {
        Ok(told) => ratio(told, currency).map_or(AbsentReason(pb::AbsentReason::OutOfRange.into()), Value),
        Err(absent) => AbsentReason(absent_reason(absent).into()),
    };
    pb::Figure { result: Some(result) }
}

/// None where a term is beyond what the wire can hold.
pub fn ratio(ratio: Ratio, currency: Currency) -> Option<pb::Ratio> {
    Some(pb::Ratio {
        quotient: ratio.quotient(),
        numerator: Some(quantity(ratio.numerator(), currency)?),
        denominator: Some(quantity(ratio.denominator(), currency)?),
    })
}

/// None beyond what the wire can hold.
pub fn quantity(quantity: Quantity, currency: Currency) -> Option<pb::Quantity> {
    use pb::quantity::Quantity::{Amount, Count};
    let quantity = match quantity {
        Quantity::Count(count) => Count(count),
        Quantity::AmountE4(amount_e4) => Amount(value::money(amount_e4, currency)?),
    };
    Some(pb::Quantity { quantity: Some(quantity) })
}

pub fn absent_reason(absent: Absent) -> pb::AbsentReason {
    match absent {
        Absent::NoDealWon => pb::AbsentReason::NoDealWon,
        Absent::NoAmountKnown => pb::AbsentReason::NoAmountKnown,
        Absent::NoDealEnded => pb::AbsentReason::NoDealEnded,
        Absent::TargetReached => pb::AbsentReason::TargetReached,
        Absent::OtherCurrency => pb::AbsentReason::OtherCurrency,
        Absent::OutOfRange => pb::AbsentReason::OutOfRange,
    }
}
