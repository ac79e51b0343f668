//! strategy.works and strategy.fails: whether what the company changed does what it was meant to.

use super::super::figure::{Quantity, Ratio};
use super::super::leaderboard::RankedBy;
use super::super::recommendation::{About, EvidenceKind, Finding, Named, Rule};
use super::super::strategy_effect::{Contrast, Verdict};
use crate::domain::window::Window;
use crate::kpi::Kpi;

/// The KPIs by which a strategy is judged: those that say what was brought about. Value scores compare subjects,
/// and so the treated with the others: half of the effect would be of the others' making.
pub const KPIS: [Kpi; 5] =
    [Kpi::AverageDealSize, Kpi::DealCount, Kpi::CloseRate, Kpi::DealVelocity, Kpi::DealSuccess];

/// Fires where all of the interval of a strategy's effect on a KPI lies on one side of 0. Nothing is at stake that
/// could be told in money, but of deal velocity, which is money per day: the effect on each of the treated,
/// without its sign, on all the days.
///
/// Source: docs/kpis.md, sections 7 and 9.
pub fn effect<'a>(strategy: Named<'a>, kpi: Kpi, contrast: &Contrast, after: &Window) -> Option<Finding<'a>> {
    let effect = contrast.effect.as_ref().ok()?;
    let rule = match effect.verdict(RankedBy::from(kpi).direction()) {
        Verdict::Works => Rule::StrategyWorks,
        Verdict::Fails => Rule::StrategyFails,
        Verdict::Undecided => return None,
    };
    let [value, lower, upper] = match kpi {
        Kpi::AverageDealSize | Kpi::DealVelocity | Kpi::OpportunityPipeline => {
            [EvidenceKind::EffectAmount, EvidenceKind::EffectAmountLower, EvidenceKind::EffectAmountUpper]
        }
        Kpi::CloseRate | Kpi::DealSuccess | Kpi::MarketingChannel => {
            [EvidenceKind::EffectShare, EvidenceKind::EffectShareLower, EvidenceKind::EffectShareUpper]
        }
        Kpi::DealCount | Kpi::ValueScore => {
            [EvidenceKind::EffectCount, EvidenceKind::EffectCountLower, EvidenceKind::EffectCountUpper]
        }
    };
    let count = |count: usize| Ok(Ratio::whole(Quantity::Count(count as i64)));
    let stake = effect.value.abs() * contrast.treated_count as f64 * f64::from(after.counted().days());
    let finding = Finding::new(rule, About::Strategy { strategy, kpi })
        .with_estimate(value, effect.value, after)
        .with_estimate(lower, effect.interval.0, after)
        .with_estimate(upper, effect.interval.1, after)
        .with(EvidenceKind::TreatedCount, count(contrast.treated_count), after)
        .with(EvidenceKind::OtherCount, count(contrast.other_count), after)
        .at_stake((kpi == Kpi::DealVelocity).then_some(stake));
    Some(finding)
}
