//! Series, as the wire has them.

use super::value;
use crate::domain::series::Bucket;
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
