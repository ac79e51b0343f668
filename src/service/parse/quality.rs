//! GetDataQuality: whose records are inspected.

use super::path::{Violations, collect};
use super::premises::premises;
use super::question::{Consistency, asked_consistency, window_spec};
use super::value::{self, optional, required};
use crate::domain::calendar::Date;
use crate::domain::premises::Premises;
use crate::domain::subject::Subject;
use crate::domain::window::WindowSpec;
use crate::proto::channelkpi::v1 as pb;

/// GetDataQuality's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataQualityQuestion {
    pub subject: Subject,
    pub window: WindowSpec,
    /// Absent: today in the tenant's zone.
    pub as_of: Option<Date>,
    pub include_ids: bool,
    pub premises: Premises,
    pub consistency: Consistency,
}

// === impl DataQualityQuestion ===

impl DataQualityQuestion {
    /// The most ids that are listed of one finding.
    const IDS_MAX: usize = 1_000;

    pub fn ids_max(&self) -> usize {
        if self.include_ids { Self::IDS_MAX } else { 0 }
    }
}

pub fn get_data_quality(request: &pb::GetDataQualityRequest) -> Result<DataQualityQuestion, Violations> {
    let pb::GetDataQualityRequest { subject, window, as_of, include_ids, consistency, premises: asked } =
        request;
    collect(Violations::KEPT_MAX, |at| {
        let subject = value::subject_or_tenant(at.field("subject"), subject);
        let window = required(at.field("window"), window, window_spec);
        let as_of = optional(at.field("as_of"), as_of, value::date);
        let premises = premises(at.field("premises"), asked);
        let consistency = asked_consistency(at.field("consistency"), consistency);
        Some(DataQualityQuestion {
            subject: subject?,
            window: window?,
            as_of,
            include_ids: *include_ids,
            premises: premises?,
            consistency: consistency?,
        })
    })
}
