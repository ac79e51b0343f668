//! Targets under way, as the wire has them.

use super::figure::{Figures, absent_reason};
use super::pipeline::tally;
use super::value;
use crate::book::TargetUnderWay;
use crate::domain::amount::Currency;
use crate::domain::record::TargetValue;
use crate::kpi::figure::Quantity;
use crate::kpi::target::Progress;
use crate::proto::channelkpi::v1 as pb;

pub fn target(told: &TargetUnderWay<'_>, currency: Currency) -> pb::PipelineTarget {
    use pb::pipeline_target::Result::{AbsentReason, Progress};
    use pb::quantity::Quantity::{Amount, Count};
    let value = match told.target.value {
        TargetValue::WonAmount(money) => Amount(value::amount(money)),
        TargetValue::WonCount(count) => Count(count.cast_signed()), // it was sent as one
    };
    let result = match &told.progress {
        Ok(told) => Progress(progress(told, currency)),
        Err(absent) => AbsentReason(absent_reason(*absent).into()),
    };
    pb::PipelineTarget {
        target_id: value::id(told.id),
        subject: Some(value::subject(&told.subject)),
        dates: Some(value::dates(told.target.dates)),
        value: Some(pb::Quantity { quantity: Some(value) }),
        result: Some(result),
    }
}

fn progress(told: &Progress<'_>, currency: Currency) -> pb::TargetProgress {
    let (lower, upper) = told.landing_interval();
    let figures = Figures { currency };
    let quantity = |quantity: Quantity| figures.quantity(quantity);
    let outlook = &told.outlook;
    pb::TargetProgress {
        won: tally(&told.won, currency),
        attained: quantity(told.attained()),
        remaining: quantity(told.remaining()),
        due_share: figures.ratio(told.due_share()),
        due: Some(figures.figure(told.due())),
        expected: tally(&outlook.expected, currency),
        overdue: tally(&outlook.overdue, currency),
        unweighted: tally(&outlook.unweighted, currency),
        undated: tally(&outlook.undated, currency),
        coverage: Some(figures.figure(told.coverage())),
        landing: Some(figures.figure(told.landing())),
        landing_interval: Some(pb::Interval { lower, upper }),
        overdue_weighted: Some(figures.figure(told.overdue_weighted())),
    }
}
