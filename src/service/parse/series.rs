//! Series: what GetSeries is asked.

use super::path::{Path, Violations, collect};
use super::premises::premises;
use super::question::{CardQuestion, Consistency, View, asked_consistency, asked_kpis, window_spec};
use super::value::{self, known, optional, required};
use crate::domain::subject::Subject;
use crate::domain::window::{Comparison, PeriodUnit};
use crate::proto::channelkpi::v1 as pb;

/// GetSeries'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesQuestion {
    pub subject: Subject,
    pub unit: PeriodUnit,
    /// Of the whole span.
    pub asked: CardQuestion,
    pub consistency: Consistency,
}

// === impl SeriesQuestion ===

impl SeriesQuestion {
    /// The most buckets of one answer. How many there are is known where `as_of` is.
    pub const BUCKETS_MAX: usize = 1_000;
}

pub fn get_series(request: &pb::GetSeriesRequest) -> Result<SeriesQuestion, Violations> {
    let pb::GetSeriesRequest { subject, window, bucket, as_of, kpis, consistency, premises: asked } = request;
    collect(Violations::KEPT_MAX, |at| {
        let subject = value::subject_or_tenant(at.field("subject"), subject);
        let window = required(at.field("window"), window, window_spec);
        let unit = bucket_unit(at.field("bucket"), *bucket);
        let as_of = optional(at.field("as_of"), as_of, value::date);
        let kpis = asked_kpis(at.field("kpis"), kpis);
        let premises = premises(at.field("premises"), asked);
        let consistency = asked_consistency(at.field("consistency"), consistency);
        let asked = CardQuestion {
            window: window?,
            as_of,
            // Of what the value score's own past consists; buckets aren't compared.
            comparison: Comparison::Previous,
            kpis: kpis?,
            view: View::Basic,
            premises: premises?,
        };
        Some(SeriesQuestion { subject: subject?, unit: unit?, asked, consistency: consistency? })
    })
}

fn bucket_unit(at: Path<'_>, number: i32) -> Option<PeriodUnit> {
    match known(at, number)? {
        pb::Bucket::Unspecified => at.refuse("is unspecified: name a period"),
        pb::Bucket::Day => Some(PeriodUnit::Day),
        pb::Bucket::Week => Some(PeriodUnit::Week),
        pb::Bucket::Month => Some(PeriodUnit::Month),
        pb::Bucket::Quarter => Some(PeriodUnit::Quarter),
        pb::Bucket::Year => Some(PeriodUnit::Year),
        pb::Bucket::FiscalQuarter => Some(PeriodUnit::FiscalQuarter),
        pb::Bucket::FiscalYear => Some(PeriodUnit::FiscalYear),
    }
}
