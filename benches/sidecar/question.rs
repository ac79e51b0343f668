//! The question of most subjects here: a scorecard of the last 90 days, without a value score.

use channel_kpi::proto::channelkpi::v1::{
    GetScorecardRequest, Kpi, PartnerSubject, Subject, Window, subject, window,
};

pub fn basic_of_partner(partner_id: String) -> GetScorecardRequest {
    let partner = PartnerSubject { partner_id, include_sub_partners: false };
    let kpis = [
        Kpi::AverageDealSize,
        Kpi::DealCount,
        Kpi::OpportunityPipeline,
        Kpi::MarketingChannel,
        Kpi::CloseRate,
        Kpi::DealVelocity,
        Kpi::DealSuccess,
    ];
    GetScorecardRequest {
        subject: Some(Subject { subject: Some(subject::Subject::Partner(partner)) }),
        window: Some(Window { window: Some(window::Window::LastDays(90)) }),
        kpis: kpis.map(i32::from).to_vec(),
        ..GetScorecardRequest::default()
    }
}
