//! Pipelines, as the wire has them. Nothing is rounded: sums fit into money as they are.

use std::ops::RangeInclusive;

use super::{premises, target, value};
use crate::book::{Found, TargetUnderWay};
use crate::domain::amount::Currency;
use crate::domain::calendar::{Date, TIME_ZONE_RULES_VERSION};
use crate::domain::record::Settings;
use crate::domain::subject::Subject;
use crate::kpi::measures::Tally;
use crate::kpi::pipeline::{AGE_DAYS, DAYS_LEFT, Movement, PipelineFold, Protection};
use crate::proto::channelkpi::v1 as pb;

/// What one subject's pipeline is told from.
pub struct Told<'a> {
    pub subject: Subject,
    pub name: Option<&'a str>,
    pub since: Date,
    pub as_of: Date,
    pub rates_on: Date,
    pub expiring_days: u16,
    pub open: Found<PipelineFold<Option<&'a str>>>,
    pub movement: Found<Movement>,
    pub targets: Found<Vec<TargetUnderWay<'a>>>,
}

pub fn pipeline(told: &Told<'_>, currency: Currency) -> pb::Pipeline {
    let fold = &told.open.found;
    let stages = fold.stages.iter().map(|(stage, worth)| pb::PipelineStage {
        stage: stage.unwrap_or_default().to_owned(),
        deals: tally(&worth.deals, currency),
        weighted_amount: value::money_e8(worth.weighted_e8, currency),
        unweighted: tally(&worth.unweighted, currency),
    });
    pb::Pipeline {
        subject: Some(value::subject(&told.subject)),
        name: told.name.unwrap_or_default().to_owned(),
        open: tally(&fold.open.deals, currency),
        weighted_amount: value::money_e8(fold.open.weighted_e8, currency),
        unweighted: tally(&fold.open.unweighted, currency),
        stages: stages.collect(),
        ages: by_days(&AGE_DAYS, &fold.ages, currency),
        overdue: tally(&fold.overdue, currency),
        protection: Some(protection(&fold.protection, currency)),
        movement: Some(movement(&told.movement.found, currency)),
        targets: told.targets.found.iter().map(|told| target::target(told, currency)).collect(),
    }
}

pub fn definition(
    told: &Told<'_>,
    asked: &pb::GetPipelineRequest,
    settings: &Settings,
) -> pb::PipelineDefinition {
    let oldest = [told.open.oldest_rate_on, told.movement.oldest_rate_on, told.targets.oldest_rate_on];
    pb::PipelineDefinition {
        as_of: Some(value::date(told.as_of)),
        since: Some(value::date(told.since)),
        expiring_days: told.expiring_days.into(),
        reporting_currency_code: settings.reporting_currency.code().to_owned(),
        premises: Some(premises::premises(&asked.premises)),
        stages: asked.stages.clone(),
        rates_on: Some(value::date(told.rates_on)),
        oldest_rate_on: oldest.into_iter().flatten().min().map(value::date),
        time_zone: settings.zone.name().to_owned(),
        time_zone_rules_version: TIME_ZONE_RULES_VERSION.to_owned(),
    }
}

fn protection(protection: &Protection, currency: Currency) -> pb::PipelineProtection {
    let Protection { days_left, unlimited, past, expiring, before_expected_close } = protection;
    pb::PipelineProtection {
        days_left: by_days(&DAYS_LEFT, days_left, currency),
        unlimited: tally(unlimited, currency),
        past: tally(past, currency),
        expiring: tally(expiring, currency),
        expiring_before_expected_close: tally(before_expected_close, currency),
    }
}

fn movement(movement: &Movement, currency: Currency) -> pb::PipelineMovement {
    let Movement { opening, created, increased, decreased, left, closing, in_between } = movement;
    pb::PipelineMovement {
        opening: tally(opening, currency),
        created: tally(created, currency),
        increased: tally(increased, currency),
        decreased: tally(decreased, currency),
        won: tally(&left.won, currency),
        lost: tally(&left.lost, currency),
        expired: tally(&left.expired, currency),
        closing: tally(closing, currency),
        won_in_between: tally(&in_between.won, currency),
        lost_in_between: tally(&in_between.lost, currency),
        expired_in_between: tally(&in_between.expired, currency),
    }
}

fn by_days(spans: &[RangeInclusive<i32>], tallies: &[Tally], currency: Currency) -> Vec<pb::DaysTally> {
    let span = |(days, deals): (&RangeInclusive<i32>, &Tally)| pb::DaysTally {
        days_min: *days.start(),
        days_max: Some(*days.end()).filter(|&end| end != i32::MAX),
        deals: tally(deals, currency),
    };
    spans.iter().zip(tallies).map(span).collect()
}

pub(super) fn tally(tally: &Tally, currency: Currency) -> Option<pb::DealTally> {
    Some(pb::DealTally {
        count: tally.count,
        amount: value::money(tally.amount_e4, currency),
        unpriced_count: tally.count - tally.priced_count,
    })
}
