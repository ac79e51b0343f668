//! Forecasts, as the wire has them.

use super::figure::{Figures, absent_reason, interval};
use super::value;
use crate::domain::calendar::DateRange;
use crate::kpi::figure::{Absent, Quantity, Ratio};
use crate::kpi::forecast::{Forecast, ForecastMethod};
use crate::proto::channelkpi::v1 as pb;

/// The won amount of a quarter that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedQuarter {
    pub dates: DateRange,
    pub won_amount_e4: i128,
}

pub fn forecast(
    figures: Figures,
    quarter: DateRange,
    ended: &[EndedQuarter],
    forecast: Option<Forecast>,
) -> pb::Forecast {
    use pb::figure::Result::{AbsentReason, Value};
    let result = match forecast {
        Some(forecast) => Value(pb::Ratio { quotient: forecast.value, ..pb::Ratio::default() }),
        None => AbsentReason(absent_reason(Absent::NoPast).into()),
    };
    let method = match forecast.map(|forecast| forecast.method) {
        None => pb::ForecastMethod::Unspecified,
        Some(ForecastMethod::SeasonalNaiveWithDrift) => pb::ForecastMethod::SeasonalDrift,
        Some(ForecastMethod::MeanOfLastQuarters) => pb::ForecastMethod::Mean,
    };
    let ended = ended.iter().map(|quarter| pb::ForecastQuarter {
        quarter: Some(value::dates(quarter.dates)),
        won_amount: Some(figures.figure(Ok(Ratio::whole(Quantity::AmountE4(quarter.won_amount_e4))))),
    });
    pb::Forecast {
        quarter: Some(value::dates(quarter)),
        won_amount: Some(pb::Figure { result: Some(result) }),
        interval: interval(forecast.and_then(|forecast| forecast.interval)),
        method: method.into(),
        quarters: ended.collect(),
    }
}
