//! Series, as the wire has them.

use super::scorecard::wire_kpi;
use super::{figure, value};
use crate::domain::series::Bucket;
use crate::kpi::Kpi;
use crate::kpi::figure::{Absent, Ratio};
use crate::kpi::trend::{SeriesTrend, TrendDirection};
use crate::proto::channelkpi::v1 as pb;

/// Subject and name stand once in the answer, not in every bucket.
pub fn point(bucket: &Bucket, scorecard: pb::Scorecard) -> pb::SeriesPoint {
    pb::SeriesPoint {
        dates: Some(value::dates(bucket.window.dates)),
        partial: bucket.partial,
        as_of: Some(value::date(bucket.window.as_of)),
        scorecard: Some(pb::Scorecard { subject: None, name: String::new(), ..scorecard }),
    }
}

/// `figures` are those that it was told from.
pub fn trend(kpi: Kpi, figures: &[Option<Ratio>], trend: Result<SeriesTrend, Absent>) -> pb::SeriesTrend {
    use pb::series_trend::Result::{AbsentReason, Estimate};
    let estimate = |SeriesTrend { slope_per_bucket, p_value, direction }| {
        let direction = match direction {
            TrendDirection::Rising => pb::TrendDirection::Rising,
            TrendDirection::Falling => pb::TrendDirection::Falling,
            TrendDirection::Flat => pb::TrendDirection::Flat,
        };
        Estimate(pb::TrendEstimate { slope_per_bucket, p_value, direction: direction.into() })
    };
    let absent = |absent| AbsentReason(figure::absent_reason(absent).into());
    pb::SeriesTrend {
        kpi: wire_kpi(kpi).into(),
        bucket_count: figures.iter().flatten().count() as i32,
        result: Some(trend.map_or_else(absent, estimate)),
    }
}
