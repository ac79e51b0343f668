//! Tenants and their settings: the requests of AdminService.

use std::collections::BTreeMap;

use chrono::Weekday;

use super::path::{Path, Violations, collect};
use super::value::{self, each, known, optional, required, within};
use crate::domain::amount::{BasisPoints, Currency};
use crate::domain::calendar::Zone;
use crate::domain::ids::{TenantId, Term, TextError};
use crate::domain::record::{Settings, Thresholds, WeekStart};
use crate::proto::channelkpi::v1 as pb;
use crate::proto::google::r#type::DayOfWeek;

const STAGES_MAX: usize = 100;

/// Why a text is no tenant's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantIdError {
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("has {1:?} at byte {0}: only visible ASCII and inner spaces travel in metadata")]
    NotForMetadata(usize, char),
}

/// A tenant's id, from a request or from metadata.
pub fn tenant_id(raw: &str) -> Result<TenantId, TenantIdError> {
    let id = TenantId::try_new(raw)?;
    let is_inner = |place| 0 < place && place + 1 < raw.len();
    match raw.char_indices().find(|&(place, c)| !(c.is_ascii_graphic() || c == ' ' && is_inner(place))) {
        Some((place, found)) => Err(TenantIdError::NotForMetadata(place, found)),
        None => Ok(id),
    }
}

pub fn create_tenant(request: &pb::CreateTenantRequest) -> Result<(TenantId, Settings), Violations> {
    let pb::CreateTenantRequest { tenant_id, settings } = request;
    tenant_with_settings(tenant_id, settings)
}

pub fn configure_tenant(request: &pb::ConfigureTenantRequest) -> Result<(TenantId, Settings), Violations> {
    let pb::ConfigureTenantRequest { tenant_id, settings } = request;
    tenant_with_settings(tenant_id, settings)
}

pub fn get_tenant(request: &pb::GetTenantRequest) -> Result<TenantId, Violations> {
    let pb::GetTenantRequest { tenant_id } = request;
    only_tenant(tenant_id)
}

pub fn delete_tenant(request: &pb::DeleteTenantRequest) -> Result<TenantId, Violations> {
    let pb::DeleteTenantRequest { tenant_id } = request;
    only_tenant(tenant_id)
}

/// Settings by themselves. Paths begin at the settings.
pub fn settings(settings: &pb::TenantSettings) -> Result<Settings, Violations> {
    collect(Violations::KEPT_MAX, |at| settings_at(at, settings))
}

fn only_tenant(raw: &str) -> Result<TenantId, Violations> {
    collect(Violations::KEPT_MAX, |at| at.field("tenant_id").check(tenant_id(raw)))
}

fn tenant_with_settings(
    raw: &str,
    settings: &Option<pb::TenantSettings>,
) -> Result<(TenantId, Settings), Violations> {
    collect(Violations::KEPT_MAX, |at| {
        let tenant = at.field("tenant_id").check(tenant_id(raw));
        let settings = required(at.field("settings"), settings, settings_at);
        Some((tenant?, settings?))
    })
}

fn settings_at(at: Path<'_>, sent: &pb::TenantSettings) -> Option<Settings> {
    let pb::TenantSettings {
        reporting_currency_code,
        time_zone,
        fiscal_year_start_month,
        week_start,
        opportunity_time_limit_days,
        stage_probabilities: stages,
        thresholds,
    } = sent;
    let reporting_currency =
        at.field("reporting_currency_code").check(Currency::try_new(reporting_currency_code));
    let zone = at.field("time_zone").check(Zone::try_new(time_zone));
    let fiscal_year_start_month =
        optional(at.field("fiscal_year_start_month"), fiscal_year_start_month, |at, month| {
            within(at, *month, 1..=12)
        });
    let week_start = week_start_of(at.field("week_start"), *week_start);
    let time_limit_days =
        optional(at.field("opportunity_time_limit_days"), opportunity_time_limit_days, |at, days| {
            within(at, *days, 1..=36_500)
        });
    let stage_probabilities = stage_probabilities(at.field("stage_probabilities"), stages);
    let thresholds = optional(at.field("thresholds"), thresholds, |at, sent| Some(thresholds_at(at, sent)));
    Some(Settings {
        reporting_currency: reporting_currency?,
        zone: zone?,
        fiscal_year_start_month: fiscal_year_start_month.unwrap_or(1),
        week_start: week_start?,
        time_limit_days,
        stage_probabilities: stage_probabilities?,
        thresholds: thresholds.unwrap_or_default(),
    })
}

fn week_start_of(at: Path<'_>, day: i32) -> Option<WeekStart> {
    Some(WeekStart(match known(at, day)? {
        DayOfWeek::Unspecified | DayOfWeek::Monday => Weekday::Mon,
        DayOfWeek::Tuesday => Weekday::Tue,
        DayOfWeek::Wednesday => Weekday::Wed,
        DayOfWeek::Thursday => Weekday::Thu,
        DayOfWeek::Friday => Weekday::Fri,
        DayOfWeek::Saturday => Weekday::Sat,
        DayOfWeek::Sunday => Weekday::Sun,
    }))
}

fn stage_probabilities(at: Path<'_>, sent: &[pb::StageProbability]) -> Option<BTreeMap<Term, BasisPoints>> {
    if sent.len() > STAGES_MAX {
        return at.refuse(format_args!("has {} stages, must have at most {STAGES_MAX}", sent.len()));
    }
    let stages = each(at, sent, |at, stage_probability| {
        let pb::StageProbability { stage, probability_bps } = stage_probability;
        let stage = at.field("stage").check(Term::try_new(stage));
        let probability = value::basis_points(at.field("probability_bps"), *probability_bps);
        Some((stage?, probability?))
    })?;
    value::each_once(at, stages.iter().map(|(stage, _)| stage));
    Some(stages.into_iter().collect())
}

fn thresholds_at(at: Path<'_>, sent: &pb::Thresholds) -> Thresholds {
    let pb::Thresholds {
        coverage_percent,
        expiring_days,
        slow_stage_percent,
        replace_percent,
        replace_sample_min,
        sample_min,
        channel_leads_min,
        peers_min,
        significance_bps,
        stale_days,
    } = *sent;
    let threshold = |name, sent: Option<i32>, least, most| {
        sent.and_then(|number| within(at.field(name), number, least..=most))
    };
    Thresholds {
        coverage_percent: threshold("coverage_percent", coverage_percent, 1, 10_000),
        expiring_days: threshold("expiring_days", expiring_days, 1, 3_650),
        slow_stage_percent: threshold("slow_stage_percent", slow_stage_percent, 101, 10_000),
        replace_percent: threshold("replace_percent", replace_percent, 1, 100),
        replace_sample_min: threshold("replace_sample_min", replace_sample_min, 1, 1_000_000),
        sample_min: threshold("sample_min", sample_min, 1, 1_000_000),
        channel_leads_min: threshold("channel_leads_min", channel_leads_min, 1, 1_000_000),
        peers_min: threshold("peers_min", peers_min, 2, 1_000_000),
        significance_bps: threshold("significance_bps", significance_bps, 1, 5_000),
        stale_days: threshold("stale_days", stale_days, 1, 3_650),
    }
}
