//! What ExplainChange is asked.

use super::path::{Path, Violations, collect};
use super::premises::premises;
use super::question::{
    CardQuestion, Consistency, View, asked_consistency, asked_page_size, comparison, window_spec,
};
use super::value::{self, known, optional, required};
use crate::domain::filter::SplitBy;
use crate::domain::subject::Subject;
use crate::kpi::Kpi;
use crate::kpi::drivers::{Product, Rate};
use crate::proto::channelkpi::v1 as pb;

/// ExplainChange's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainQuestion {
    pub subject: Subject,
    pub explained: Explained,
    /// The most members that are listed.
    pub member_limit: usize,
    /// Of the one KPI that the figure belongs to.
    pub asked: CardQuestion,
    pub consistency: Consistency,
}

/// A figure, and what its change is split over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Explained {
    Factors(Product),
    Members(Rate, SplitBy),
}

pub fn explain_change(request: &pb::ExplainChangeRequest) -> Result<ExplainQuestion, Violations> {
    let pb::ExplainChangeRequest {
        subject,
        explained_figure,
        window,
        as_of,
        comparison: compared,
        premises: asked,
        dimension,
        member_limit,
        consistency,
    } = request;
    collect(Violations::KEPT_MAX, |at| {
        let subject = value::subject_or_tenant(at.field("subject"), subject);
        let explained = explained(at, *explained_figure, *dimension);
        let window = required(at.field("window"), window, window_spec);
        let as_of = optional(at.field("as_of"), as_of, value::date);
        let comparison = comparison(at.field("comparison"), compared);
        let premises = premises(at.field("premises"), asked);
        let member_limit = asked_page_size(at.field("member_limit"), *member_limit);
        let consistency = asked_consistency(at.field("consistency"), consistency);
        let explained = explained?;
        let asked = CardQuestion {
            window: window?,
            as_of,
            comparison: comparison?,
            kpis: vec![kpi(&explained)],
            view: View::Basic,
            premises: premises?,
        };
        let (member_limit, consistency) = (member_limit?, consistency?);
        Some(ExplainQuestion { subject: subject?, explained, member_limit, asked, consistency })
    })
}

fn explained(at: Path<'_>, figure: i32, dimension: i32) -> Option<Explained> {
    use pb::ExplainedFigure as Wire;
    let of_rate = |rate| Some(Explained::Members(rate, split_by(at.field("dimension"), dimension)?));
    let of_product = |product| match dimension {
        0 => Some(Explained::Factors(product)),
        _ => at.field("dimension").refuse("is set, but this figure is split over its factors"),
    };
    let figure_at = at.field("explained_figure");
    match known(figure_at, figure)? {
        Wire::Unspecified => figure_at.refuse("is unspecified: name a figure"),
        Wire::DealVelocity => of_product(Product::DealVelocity),
        Wire::WonAmount => of_product(Product::WonAmount),
        Wire::CloseRate => of_rate(Rate::CloseRate),
        Wire::DealSuccess => of_rate(Rate::DealSuccess),
    }
}

fn split_by(at: Path<'_>, number: i32) -> Option<SplitBy> {
    use pb::Dimension as Wire;
    match known(at, number)? {
        Wire::Unspecified => at.refuse("is unspecified: name the dimension over which the rate is split"),
        Wire::Region => Some(SplitBy::Region),
        Wire::MarketingChannel => Some(SplitBy::Channel),
        Wire::Partner => Some(SplitBy::Partner),
        Wire::PartnerType
        | Wire::Tier
        | Wire::Product
        | Wire::Media
        | Wire::Employee
        | Wire::Unit
        | Wire::DealLabel
        | Wire::PartnerLabel
        | Wire::Credit => at.refuse("must be the region, the marketing channel or the partner"),
    }
}

/// The KPI whose card tells the figure.
fn kpi(explained: &Explained) -> Kpi {
    match explained {
        Explained::Factors(Product::DealVelocity) => Kpi::DealVelocity,
        Explained::Factors(Product::WonAmount) => Kpi::DealCount,
        Explained::Members(Rate::CloseRate, _) => Kpi::CloseRate,
        Explained::Members(Rate::DealSuccess, _) => Kpi::DealSuccess,
    }
}
