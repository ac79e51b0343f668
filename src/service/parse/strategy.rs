//! What EvaluateStrategy is asked.

use super::path::{Path, Violations, collect};
use super::premises::premises;
use super::question::{Consistency, asked_consistency, kpi};
use super::value::{self, optional, within};
use crate::domain::calendar::Date;
use crate::domain::ids::StrategyId;
use crate::domain::premises::Premises;
use crate::kpi::Kpi;
use crate::proto::channelkpi::v1 as pb;

/// EvaluateStrategy's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyQuestion {
    pub strategy: StrategyId,
    /// One that is good some way.
    pub kpi: Kpi,
    /// At least one.
    pub days: u16,
    /// Absent: today in the tenant's zone.
    pub as_of: Option<Date>,
    pub premises: Premises,
    pub consistency: Consistency,
}

// === impl StrategyQuestion ===

impl StrategyQuestion {
    pub const DAYS_DEFAULT: u16 = 90;
}

pub fn evaluate_strategy(request: &pb::EvaluateStrategyRequest) -> Result<StrategyQuestion, Violations> {
    let pb::EvaluateStrategyRequest { strategy_id, kpi, days, as_of, premises: asked, consistency } = request;
    collect(Violations::KEPT_MAX, |at| {
        let strategy = value::id(at.field("strategy_id"), strategy_id);
        let kpi = judging(at.field("kpi"), *kpi);
        let days = match days {
            None => Some(StrategyQuestion::DAYS_DEFAULT),
            Some(days) => within(at.field("days"), *days, 1..=3_650),
        };
        let as_of = optional(at.field("as_of"), as_of, value::date);
        let premises = premises(at.field("premises"), asked);
        let consistency = asked_consistency(at.field("consistency"), consistency);
        Some(StrategyQuestion {
            strategy: strategy?,
            kpi: kpi?,
            days: days?,
            as_of,
            premises: premises?,
            consistency: consistency?,
        })
    })
}

fn judging(at: Path<'_>, number: i32) -> Option<Kpi> {
    match kpi(at, number)? {
        Kpi::OpportunityPipeline => {
            at.refuse("is the opportunity pipeline, of which more isn't better: name another KPI")
        }
        kpi => Some(kpi),
    }
}
