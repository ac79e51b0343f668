//! Strategy effects, as the wire has them.

use super::figure::{absent_reason, interval};
use super::value;
use crate::book::KindEffect;
use crate::kpi::figure::{Absent, Direction};
use crate::kpi::strategy_effect::{Contrast, Effect, Verdict};
use crate::proto::channelkpi::v1 as pb;

/// `direction` is the KPI's.
pub fn strategy_effect(of_kind: &KindEffect, direction: Direction) -> pb::StrategyEffect {
    let &KindEffect { kind, include_sub_partners, named_count, effect, placebo } = of_kind;
    let told = effect.and_then(|contrast| contrast.effect);
    let verdict = match told.map_or(Verdict::Undecided, |effect| effect.verdict(direction)) {
        Verdict::Works => pb::StrategyVerdict::Works,
        Verdict::Fails => pb::StrategyVerdict::Fails,
        Verdict::Undecided => pb::StrategyVerdict::Undecided,
    };
    pb::StrategyEffect {
        subject_kind: value::subject_kind(kind).into(),
        include_sub_partners,
        named_count: named_count as i64,
        effect: Some(wire_contrast(effect)),
        placebo: Some(wire_contrast(placebo)),
        verdict: verdict.into(),
    }
}

fn wire_contrast(contrast: Result<Contrast, Absent>) -> pb::Contrast {
    use pb::contrast::Result::{AbsentReason, Value};
    let result = match contrast.and_then(|contrast| contrast.effect) {
        Ok(Effect { treated_change, other_change, value, interval: bounds }) => Value(pb::ContrastValue {
            treated_change,
            other_change,
            effect: value,
            interval: interval(Some(bounds)),
        }),
        Err(absent) => AbsentReason(absent_reason(absent).into()),
    };
    let contrast = contrast.ok();
    pb::Contrast {
        treated_count: contrast.map(|contrast| contrast.treated_count as i64),
        other_count: contrast.map(|contrast| contrast.other_count as i64),
        result: Some(result),
    }
}
