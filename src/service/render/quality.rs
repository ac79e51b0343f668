//! What is odd or missing in records, as the wire has it.

use super::{premises, value};
use crate::book::{Finding, FindingKind, Quality};
use crate::domain::calendar::TIME_ZONE_RULES_VERSION;
use crate::domain::premises::Premises;
use crate::domain::record::Settings;
use crate::domain::subject::Subject;
use crate::domain::window::Window;
use crate::proto::channelkpi::v1 as pb;

/// What one subject's data quality is told from.
pub struct Told<'a> {
    pub subject: Subject,
    pub name: Option<&'a str>,
    pub window: Window,
    pub stale_days: u32,
    pub quality: Quality<'a>,
}

pub fn data_quality(told: &Told<'_>, premises: &Premises) -> pb::DataQuality {
    let Quality { deal_count, open_deal_count, converted_lead_count, findings } = &told.quality;
    let leads_count = !premises.filter.asks_for_deals_only();
    pb::DataQuality {
        subject: Some(value::subject(&told.subject)),
        name: told.name.unwrap_or_default().to_owned(),
        deal_count: *deal_count,
        open_deal_count: *open_deal_count,
        converted_lead_count: leads_count.then_some(*converted_lead_count),
        findings: findings.iter().map(finding).collect(),
    }
}

pub fn definition(
    told: &Told<'_>,
    premises: &Premises,
    asked: &Option<pb::Premises>,
    settings: &Settings,
) -> pb::DataQualityDefinition {
    let window = &told.window;
    pb::DataQualityDefinition {
        window: Some(value::dates(window.dates)),
        partial: window.is_partial(),
        as_of: Some(value::date(window.as_of)),
        stale_days: told.stale_days.try_into().expect("settings bound it"),
        reporting_currency_code: settings.reporting_currency.code().to_owned(),
        premises: Some(premises::premises(asked)),
        rates_on: premises.exchange.rates_in(window).day().map(value::date),
        time_zone: settings.zone.name().to_owned(),
        time_zone_rules_version: TIME_ZONE_RULES_VERSION.to_owned(),
    }
}

fn finding(found: &Finding<'_>) -> pb::DataQualityFinding {
    let Finding { kind, count, ids, missing, circles } = found;
    let owned = |ids: &mut dyn Iterator<Item = &&str>| ids.map(|id| (*id).to_owned()).collect();
    pb::DataQualityFinding {
        kind: finding_kind(*kind).into(),
        count: *count,
        record_ids: owned(&mut ids.ids.iter()),
        missing_ids: owned(&mut missing.ids.iter()),
        circles: circles.iter().map(|circle| pb::IdCircle { ids: owned(&mut circle.iter()) }).collect(),
    }
}

fn finding_kind(kind: FindingKind) -> pb::FindingKind {
    use pb::FindingKind as Wire;
    match kind {
        FindingKind::NoAmount => Wire::NoAmount,
        FindingKind::NoRate => Wire::NoRate,
        FindingKind::NoCredit => Wire::NoCredit,
        FindingKind::UnknownPartner => Wire::UnknownPartner,
        FindingKind::UnknownOwner => Wire::UnknownOwner,
        FindingKind::UnknownUnit => Wire::UnknownUnit,
        FindingKind::UnknownLead => Wire::UnknownLead,
        FindingKind::UnknownChannel => Wire::UnknownChannel,
        FindingKind::ClosedBeforeOpened => Wire::ClosedBeforeOpened,
        FindingKind::ExpiredBeforeOpened => Wire::ExpiredBeforeOpened,
        FindingKind::ClosedInFuture => Wire::ClosedInFuture,
        FindingKind::OneVersion => Wire::OneVersion,
        FindingKind::ExpectedClosePassed => Wire::ExpectedClosePassed,
        FindingKind::Stale => Wire::Stale,
        FindingKind::ConvertedWithoutDeal => Wire::ConvertedWithoutDeal,
        FindingKind::PartnerParentCircle => Wire::PartnerParentCircle,
        FindingKind::UnitParentCircle => Wire::UnitParentCircle,
        FindingKind::PartnerMergerCircle => Wire::PartnerMergerCircle,
        FindingKind::EmployeeMergerCircle => Wire::EmployeeMergerCircle,
    }
}
