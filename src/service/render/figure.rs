//! Figures, as the wire has them. The one place where figures are rounded: for display, beside the exact
//! ratio.

use super::value;
use crate::domain::amount::Currency;
use crate::kpi::figure::{self, Absent, Direction, Figure, Quantity, Ratio, Trend};
use crate::proto::channelkpi::v1 as pb;

pub fn figure(figure: Figure, currency: Currency) -> pb::Figure {
    use pb::figure::Result::{AbsentReason, Value};
    let result = match figure {
        Ok(found) => ratio(found, currency).map_or(AbsentReason(pb::AbsentReason::OutOfRange.into()), Value),
        Err(absent) => AbsentReason(absent_reason(absent).into()),
    };
    pb::Figure { result: Some(result) }
}

/// A figure beside the earlier one, where there is one.
pub fn compared(
    now: Figure,
    before: Option<Figure>,
    direction: Direction,
    currency: Currency,
) -> pb::ComparedFigure {
    let change = before.and_then(|before| figure::change(&now, &before, direction));
    pb::ComparedFigure {
        figure: Some(figure(now, currency)),
        comparison: before.map(|before| figure(before, currency)),
        change: change.map(|change| pb::Change {
            absolute: Some(change.absolute),
            relative: change.relative,
            trend: trend(change.trend).into(),
        }),
    }
}

/// None where a term is beyond what the wire can hold.
fn ratio(ratio: Ratio, currency: Currency) -> Option<pb::Ratio> {
    Some(pb::Ratio {
        quotient: ratio.quotient(),
        numerator: Some(quantity(ratio.numerator(), currency)?),
        denominator: Some(quantity(ratio.denominator(), currency)?),
    })
}

fn quantity(quantity: Quantity, currency: Currency) -> Option<pb::Quantity> {
    use pb::quantity::Quantity::{Amount, Count};
    let quantity = match quantity {
        Quantity::Count(count) => Count(count),
        Quantity::AmountE4(amount_e4) => Amount(value::money(amount_e4, currency)?),
    };
    Some(pb::Quantity { quantity: Some(quantity) })
}

fn absent_reason(absent: Absent) -> pb::AbsentReason {
    match absent {
        Absent::NoDealWon => pb::AbsentReason::NoDealWon,
        Absent::NoAmountKnown => pb::AbsentReason::NoAmountKnown,
        Absent::NoDealEnded => pb::AbsentReason::NoDealEnded,
        Absent::NoProspect => pb::AbsentReason::NoProspect,
        Absent::LeadsNotCounted => pb::AbsentReason::LeadsNotCounted,
        Absent::NoSpend => pb::AbsentReason::NoSpend,
        Absent::SpendNotTold => pb::AbsentReason::SpendNotTold,
        Absent::NoLead => pb::AbsentReason::NoLead,
        Absent::TotalIsZero => pb::AbsentReason::TotalIsZero,
    }
}

fn trend(trend: Option<Trend>) -> pb::Trend {
    match trend {
        None => pb::Trend::Unspecified,
        Some(Trend::Better) => pb::Trend::Better,
        Some(Trend::Worse) => pb::Trend::Worse,
        Some(Trend::Same) => pb::Trend::Same,
    }
}
