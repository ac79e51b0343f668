//! Recommendations, as the wire has them.

use super::figure::Figures;
use super::scorecard::wire_kpi;
use super::{marketing, value};
use crate::domain::subject::Subject;
use crate::kpi::figure::Ratio;
use crate::kpi::recommendation::{About, Evidence, EvidenceKind, Finding, Named, Rule, Severity, Value};
use crate::proto::channelkpi::v1 as pb;
use crate::service::page::subject_id;
use crate::text::Speaker;

/// What one is told from.
pub struct Told<'a> {
    pub subject: &'a Subject,
    pub name: Option<&'a str>,
    pub finding: &'a Finding<'a>,
    pub deal_ids: Vec<String>,
    pub lead_ids: Vec<String>,
    pub record_count: i64,
}

pub fn recommendation(figures: Figures, speaker: &Speaker, told: Told<'_>) -> pb::Recommendation {
    let Told { subject, name, finding, deal_ids, lead_ids, record_count } = told;
    let called = name.or_else(|| subject_id(subject));
    let sentences = speaker.sentences(finding, called);
    pb::Recommendation {
        rule: wire_rule(finding.rule).into(),
        severity: wire_severity(finding.rule.severity()).into(),
        subject: Some(value::subject(subject)),
        name: name.unwrap_or_default().to_owned(),
        finding: sentences.finding,
        advice: sentences.advice,
        topic: topic(&finding.about),
        evidence: finding.evidence.iter().map(|evidence| figure(figures, evidence)).collect(),
        expected_effect: finding.effect_e4.and_then(|e4| figures.money(e4)),
        deal_ids,
        lead_ids,
        record_count,
    }
}

fn figure(figures: Figures, Evidence { kind, value, window }: &Evidence) -> pb::EvidenceFigure {
    let estimate = |quotient| {
        let ratio = pb::Ratio { quotient, ..pb::Ratio::default() };
        pb::Figure { result: Some(pb::figure::Result::Value(ratio)) }
    };
    let figure = match value {
        Value::Exact(ratio) => figures.figure(Ok::<Ratio, _>(*ratio)),
        Value::Estimate(number) => estimate(*number),
    };
    pb::EvidenceFigure {
        kind: wire_evidence(*kind).into(),
        figure: Some(figure),
        window: Some(value::dates(window.dates)),
        as_of: Some(value::date(window.as_of)),
    }
}

fn topic(about: &About<'_>) -> Option<pb::RecommendationTopic> {
    use pb::recommendation_topic::Topic;
    let channel = |channel: &Named<'_>, better: Option<Named<'_>>| {
        Topic::MarketingChannel(pb::ChannelTopic {
            marketing_channel_id: channel.id.to_owned(),
            name: channel.name.unwrap_or_default().to_owned(),
            better_marketing_channel_id: better.map_or_else(String::new, |better| better.id.to_owned()),
        })
    };
    let topic = match about {
        About::Nothing => return None,
        About::Stage(stage) => Topic::Stage(stage.unwrap_or_default().to_owned()),
        About::Channel(named) => channel(named, None),
        About::StoppedChannel { channel: named, better } => channel(named, *better),
        About::Media(medium) => Topic::Media(marketing::wire_media(Some(*medium)).into()),
        About::Target(id) => Topic::TargetId((*id).to_owned()),
        About::Strategy { strategy, kpi, kind, include_sub_partners } => Topic::Strategy(pb::StrategyTopic {
            strategy_id: strategy.id.to_owned(),
            name: strategy.name.unwrap_or_default().to_owned(),
            kpi: wire_kpi(*kpi).into(),
            subject_kind: value::subject_kind(*kind).into(),
            include_sub_partners: *include_sub_partners,
        }),
    };
    Some(pb::RecommendationTopic { topic: Some(topic) })
}

fn wire_severity(severity: Severity) -> pb::Severity {
    match severity {
        Severity::Critical => pb::Severity::Critical,
        Severity::Warning => pb::Severity::Warning,
        Severity::Opportunity => pb::Severity::Opportunity,
    }
}

fn wire_rule(rule: Rule) -> pb::RecommendationRule {
    use pb::RecommendationRule as Wire;
    match rule {
        Rule::SizeGrow => Wire::SizeGrow,
        Rule::SizeFalling => Wire::SizeFalling,
        Rule::CountHollow => Wire::CountHollow,
        Rule::PipelineThin => Wire::PipelineThin,
        Rule::PipelineExpiring => Wire::PipelineExpiring,
        Rule::PipelineBehind => Wire::PipelineBehind,
        Rule::ChannelStop => Wire::ChannelStop,
        Rule::ChannelEarnedWeak => Wire::ChannelEarnedWeak,
        Rule::ChannelOwnedWeak => Wire::ChannelOwnedWeak,
        Rule::ChannelInvest => Wire::ChannelInvest,
        Rule::CloseFalling => Wire::CloseFalling,
        Rule::CloseRising => Wire::CloseRising,
        Rule::VelocitySlowStage => Wire::VelocitySlowStage,
        Rule::ValueLead => Wire::ValueLead,
        Rule::ValueLag => Wire::ValueLag,
        Rule::SuccessStrong => Wire::SuccessStrong,
        Rule::SuccessWeak => Wire::SuccessWeak,
        Rule::SuccessReplace => Wire::SuccessReplace,
        Rule::StrategyWorks => Wire::StrategyWorks,
        Rule::StrategyFails => Wire::StrategyFails,
    }
}

fn wire_evidence(kind: EvidenceKind) -> pb::EvidenceKind {
    use pb::EvidenceKind as Wire;
    match kind {
        EvidenceKind::AverageDealSize => Wire::AverageDealSize,
        EvidenceKind::AverageDealSizeBefore => Wire::AverageDealSizeBefore,
        EvidenceKind::SlopePerMonth => Wire::SlopePerMonth,
        EvidenceKind::MonthCount => Wire::MonthCount,
        EvidenceKind::PValue => Wire::PValue,
        EvidenceKind::WonCount => Wire::WonCount,
        EvidenceKind::WonCountBefore => Wire::WonCountBefore,
        EvidenceKind::WonAmount => Wire::WonAmount,
        EvidenceKind::WonAmountBefore => Wire::WonAmountBefore,
        EvidenceKind::TargetAmount => Wire::TargetAmount,
        EvidenceKind::TargetCount => Wire::TargetCount,
        EvidenceKind::RemainingAmount => Wire::RemainingAmount,
        EvidenceKind::RemainingCount => Wire::RemainingCount,
        EvidenceKind::Coverage => Wire::Coverage,
        EvidenceKind::ExpectedCount => Wire::ExpectedCount,
        EvidenceKind::DealsToOpen => Wire::DealsToOpen,
        EvidenceKind::LandingAmount => Wire::LandingAmount,
        EvidenceKind::LandingCount => Wire::LandingCount,
        EvidenceKind::LandingUpperAmount => Wire::LandingUpperAmount,
        EvidenceKind::LandingUpperCount => Wire::LandingUpperCount,
        EvidenceKind::ShortAmount => Wire::ShortAmount,
        EvidenceKind::ShortCount => Wire::ShortCount,
        EvidenceKind::MovedLost => Wire::MovedLost,
        EvidenceKind::MovedExpired => Wire::MovedExpired,
        EvidenceKind::MovedDecreased => Wire::MovedDecreased,
        EvidenceKind::WinRate => Wire::WinRate,
        EvidenceKind::ExpiringCount => Wire::ExpiringCount,
        EvidenceKind::ExpiringAmount => Wire::ExpiringAmount,
        EvidenceKind::ExpiringWeighted => Wire::ExpiringWeighted,
        EvidenceKind::LeadCount => Wire::LeadCount,
        EvidenceKind::Spend => Wire::Spend,
        EvidenceKind::ReturnOnInvestment => Wire::ReturnOnInvestment,
        EvidenceKind::CloseRate => Wire::CloseRate,
        EvidenceKind::CloseRateYearBefore => Wire::CloseRateYearBefore,
        EvidenceKind::OthersCloseRate => Wire::OthersCloseRate,
        EvidenceKind::ProspectCount => Wire::ProspectCount,
        EvidenceKind::ProspectCountYearBefore => Wire::ProspectCountYearBefore,
        EvidenceKind::StageDays => Wire::StageDays,
        EvidenceKind::PeersStageDays => Wire::PeersStageDays,
        EvidenceKind::StageDealCount => Wire::StageDealCount,
        EvidenceKind::DealVelocity => Wire::DealVelocity,
        EvidenceKind::VelocityToWin => Wire::VelocityToWin,
        EvidenceKind::ValueScore => Wire::ValueScore,
        EvidenceKind::ValueRank => Wire::ValueRank,
        EvidenceKind::PeerCount => Wire::PeerCount,
        EvidenceKind::DealSuccess => Wire::DealSuccess,
        EvidenceKind::PeersDealSuccess => Wire::PeersDealSuccess,
        EvidenceKind::EndedCount => Wire::EndedCount,
        EvidenceKind::DealSuccessUpper => Wire::DealSuccessUpper,
        EvidenceKind::DealSuccessBefore => Wire::DealSuccessBefore,
        EvidenceKind::TreatedCount => Wire::TreatedCount,
        EvidenceKind::OtherCount => Wire::OtherCount,
        EvidenceKind::EffectAmount => Wire::EffectAmount,
        EvidenceKind::EffectAmountLower => Wire::EffectAmountLower,
        EvidenceKind::EffectAmountUpper => Wire::EffectAmountUpper,
        EvidenceKind::EffectShare => Wire::EffectShare,
        EvidenceKind::EffectShareLower => Wire::EffectShareLower,
        EvidenceKind::EffectShareUpper => Wire::EffectShareUpper,
        EvidenceKind::EffectCount => Wire::EffectCount,
        EvidenceKind::EffectCountLower => Wire::EffectCountLower,
        EvidenceKind::EffectCountUpper => Wire::EffectCountUpper,
    }
}
