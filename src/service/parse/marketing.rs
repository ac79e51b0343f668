//! What GetMarketingPerformance is asked.

use super::path::{Path, Violations, collect};
use super::premises::premises;
use super::question::{Consistency, View, asked_consistency, comparison, view, window_spec};
use super::value::{self, known, optional, required};
use crate::domain::calendar::Date;
use crate::domain::premises::Premises;
use crate::domain::subject::Subject;
use crate::domain::window::{Comparison, WindowSpec};
use crate::kpi::marketing_channel::Basis;
use crate::proto::channelkpi::v1 as pb;

/// GetMarketingPerformance's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketingQuestion {
    pub subject: Subject,
    pub window: WindowSpec,
    /// Absent: today in the tenant's zone.
    pub as_of: Option<Date>,
    pub basis: Basis,
    pub comparison: Comparison,
    pub premises: Premises,
    /// From the full one on with verdicts.
    pub view: View,
    pub consistency: Consistency,
}

pub fn get_marketing_performance(
    request: &pb::GetMarketingPerformanceRequest,
) -> Result<MarketingQuestion, Violations> {
    let pb::GetMarketingPerformanceRequest {
        subject,
        window,
        as_of,
        basis,
        comparison: compared,
        premises: asked,
        consistency,
        view: amount,
    } = request;
    collect(Violations::KEPT_MAX, |at| {
        let subject = value::subject_or_tenant(at.field("subject"), subject);
        let window = required(at.field("window"), window, window_spec);
        let as_of = optional(at.field("as_of"), as_of, value::date);
        let basis = asked_basis(at.field("basis"), *basis);
        let comparison = comparison(at.field("comparison"), compared);
        let premises = premises(at.field("premises"), asked);
        let view = view(at.field("view"), *amount);
        let consistency = asked_consistency(at.field("consistency"), consistency);
        Some(MarketingQuestion {
            subject: subject?,
            window: window?,
            as_of,
            basis: basis?,
            comparison: comparison?,
            premises: premises?,
            view: view?,
            consistency: consistency?,
        })
    })
}

fn asked_basis(at: Path<'_>, number: i32) -> Option<Basis> {
    match known(at, number)? {
        pb::MarketingBasis::Unspecified | pb::MarketingBasis::Period => Some(Basis::Period),
        pb::MarketingBasis::Cohort => Some(Basis::Cohort),
    }
}
