//! Figures, as the wire has them. The one place where they are rounded: for display, beside the exact ratio.

use super::value;
use crate::domain::amount::Currency;
use crate::kpi::figure::{Absent, Change, Direction, Figure, Quantity, Ratio, Trend, change};
use crate::kpi::measures::Tally;
use crate::kpi::position::Position;
use crate::proto::channelkpi::v1 as pb;
use crate::proto::google::r#type::Money;

/// Renders figures in a currency.
#[derive(Clone, Copy)]
pub struct Figures {
    pub currency: Currency,
}

/// A figure beside the earlier one.
pub struct Compared {
    pub figure: Option<pb::Figure>,
    pub comparison: Option<pb::Figure>,
    pub change: Option<pb::Change>,
}

// === impl Figures ===

impl Figures {
    /// `before` is None where nothing is compared.
    pub fn compare(&self, now: Figure, before: Option<Figure>, direction: Direction) -> Compared {
        let change = before.and_then(|before| change(&now, &before, direction));
        Compared {
            figure: Some(self.figure(now)),
            comparison: before.map(|before| self.figure(before)),
            change: change.map(wire_change),
        }
    }

    pub fn compared(&self, now: Figure, before: Option<Figure>, direction: Direction) -> pb::ComparedFigure {
        let Compared { figure, comparison, change } = self.compare(now, before, direction);
        pb::ComparedFigure { figure, comparison, change }
    }

    pub fn figure(&self, figure: Figure) -> pb::Figure {
        use pb::figure::Result::{AbsentReason, Value};
        let result = match figure {
            Ok(ratio) => self.ratio(ratio).map_or(AbsentReason(pb::AbsentReason::OutOfRange.into()), Value),
            Err(absent) => AbsentReason(absent_reason(absent).into()),
        };
        pb::Figure { result: Some(result) }
    }

    /// Of a figure that is no ratio of counts or amounts, as a mean of rates is none.
    pub fn quotient(&self, figure: Result<f64, Absent>) -> pb::Figure {
        use pb::figure::Result::{AbsentReason, Value};
        pb::Figure {
            result: Some(match figure {
                Ok(quotient) => Value(pb::Ratio { quotient, ..pb::Ratio::default() }),
                Err(absent) => AbsentReason(absent_reason(absent).into()),
            }),
        }
    }

    pub fn position(&self, position: &Position) -> pb::Position {
        pb::Position {
            rank: position.rank,
            peer_count: position.peer_count,
            percentile: position.percentile,
            median: Some(self.figure(Ok(position.median))),
        }
    }

    pub fn tally(&self, tally: &Tally) -> pb::DealTally {
        pb::DealTally {
            count: tally.count,
            amount: self.money(tally.amount_e4),
            unpriced_count: tally.count - tally.priced_count,
        }
    }

    pub fn money(&self, amount_e4: i128) -> Option<Money> {
        value::money(amount_e4, self.currency)
    }

    /// None for a sum beyond what the wire can hold. Of a quotient the terms are left out then.
    pub fn ratio(&self, ratio: Ratio) -> Option<pb::Ratio> {
        let terms = ratio.terms().and_then(|(numerator, denominator)| {
            Some((self.quantity(numerator)?, self.quantity(denominator)?))
        });
        if terms.is_none() && ratio.is_whole() {
            return None;
        }
        let (numerator, denominator) = terms.unzip();
        Some(pb::Ratio { quotient: ratio.quotient(), numerator, denominator })
    }

    /// Of a board's row, which has its figure: beyond what the wire holds the terms are left out.
    pub fn ratio_or_quotient(&self, ratio: Ratio) -> pb::Ratio {
        let quotient_alone = || pb::Ratio { quotient: ratio.quotient(), ..pb::Ratio::default() };
        self.ratio(ratio).unwrap_or_else(quotient_alone)
    }

    pub fn quantity(&self, quantity: Quantity) -> Option<pb::Quantity> {
        use pb::quantity::Quantity::{Amount, Count};
        let quantity = match quantity {
            Quantity::Count(count) => Count(count),
            Quantity::AmountE4(amount_e4) => Amount(self.money(amount_e4)?),
        };
        Some(pb::Quantity { quantity: Some(quantity) })
    }
}

pub fn interval(interval: Option<(f64, f64)>) -> Option<pb::Interval> {
    interval.map(|(lower, upper)| pb::Interval { lower, upper })
}

pub fn wire_change(change: Change) -> pb::Change {
    let trend = match change.trend {
        None => pb::Trend::Unspecified,
        Some(Trend::Better) => pb::Trend::Better,
        Some(Trend::Worse) => pb::Trend::Worse,
        Some(Trend::Same) => pb::Trend::Same,
    };
    pb::Change { absolute: Some(change.absolute), relative: change.relative, trend: trend.into() }
}

pub fn absent_reason(absent: Absent) -> pb::AbsentReason {
    match absent {
        Absent::NoDealWon => pb::AbsentReason::NoDealWon,
        Absent::NoAmountKnown => pb::AbsentReason::NoAmountKnown,
        Absent::NoDealEnded => pb::AbsentReason::NoDealEnded,
        Absent::NoProspect => pb::AbsentReason::NoProspect,
        Absent::NoDealInWork => pb::AbsentReason::NoDealInWork,
        Absent::NoPeer => pb::AbsentReason::NoPeer,
        Absent::MeanIsZero => pb::AbsentReason::MeanIsZero,
        Absent::NoLeadDecided => pb::AbsentReason::NoLeadDecided,
        Absent::LeadsNotCounted => pb::AbsentReason::LeadsNotCounted,
        Absent::NoPast => pb::AbsentReason::NoPast,
        Absent::TargetReached => pb::AbsentReason::TargetReached,
        Absent::OtherCurrency => pb::AbsentReason::OtherCurrency,
        Absent::OutOfRange => pb::AbsentReason::OutOfRange,
        Absent::NoSpend => pb::AbsentReason::NoSpend,
        Absent::SpendNotTold => pb::AbsentReason::SpendNotTold,
        Absent::NoLead => pb::AbsentReason::NoLead,
        Absent::TotalIsZero => pb::AbsentReason::TotalIsZero,
        Absent::TooFewBuckets => pb::AbsentReason::TooFewBuckets,
        Absent::FactorIsZero => pb::AbsentReason::FactorIsZero,
        Absent::DaysToCome => pb::AbsentReason::DaysToCome,
        Absent::TooFewSubjects => pb::AbsentReason::TooFewSubjects,
        Absent::TooFewYears => pb::AbsentReason::TooFewYears,
        Absent::SeasonIsZero => pb::AbsentReason::SeasonIsZero,
    }
}
