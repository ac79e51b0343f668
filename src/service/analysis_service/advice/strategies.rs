//! Strategies: what is said of what the company changed.

use std::ops::RangeInclusive;

use tonic::Status;

use super::Advisor;
use crate::book::EffectQuestion;
use crate::kpi::recommendation::{Finding, Named, Rule};
use crate::kpi::rules;
use crate::kpi::rules::strategy::KPIS;

/// How many days after its start are judged: as many as have come, at least and at most these.
const DAYS: RangeInclusive<i32> = 90..=182;

// === impl Advisor ===

impl<'a> Advisor<'a> {
    /// Of every strategy that is old enough, on each KPI and kind of subject that it is for.
    pub fn of_strategies(&self) -> Result<Vec<Finding<'a>>, Status> {
        let mut findings = Vec::new();
        if !self.asks_for(&[Rule::StrategyWorks, Rule::StrategyFails]) {
            return Ok(findings);
        }
        let as_of = self.windows.as_of();
        for (id, strategy) in self.book.strategies() {
            let days = as_of.next().days_since(strategy.start_on).min(*DAYS.end());
            let Some(days) = u16::try_from(days).ok().filter(|_| days >= *DAYS.start()) else { continue };
            let named = Named { id: id.as_str(), name: strategy.name.as_deref() };
            for kpi in KPIS {
                self.caller.still_waits()?;
                let asked = EffectQuestion { strategy, kpi, days, as_of, premises: self.premises };
                let is_awaited = || !self.caller.has_gone();
                let Some(effects) = self.book.strategy_effects(&asked, &is_awaited) else { continue };
                self.rests_on(effects.oldest_rate_on);
                findings.extend(effects.of_kinds.iter().filter_map(|of_kind| {
                    let kind = (of_kind.kind, of_kind.include_sub_partners);
                    let contrast = of_kind.effect.as_ref().ok()?;
                    rules::strategy::effect((named, kpi), kind, contrast, &effects.after)
                }));
            }
        }
        Ok(findings)
    }
}
