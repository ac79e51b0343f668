//! Channels: what is said of the company's marketing, on leads that are old enough to be judged.

use tonic::Status;

use super::Advisor;
use crate::book::MarketingQuestion;
use crate::domain::filter::Filter;
use crate::domain::subject::Subject;
use crate::kpi::marketing_channel::Basis;
use crate::kpi::recommendation::{Finding, Rule};
use crate::kpi::rules;

const RULES: [Rule; 4] =
    [Rule::ChannelStop, Rule::ChannelEarnedWeak, Rule::ChannelOwnedWeak, Rule::ChannelInvest];

// === impl Advisor ===

impl<'a> Advisor<'a> {
    pub fn of_channels(&self, filter: &Filter) -> Result<Vec<Finding<'a>>, Status> {
        if !self.asks_for(&RULES) {
            return Ok(Vec::new());
        }
        let scope = self.scope(&Subject::Tenant, filter)?;
        self.caller.still_waits()?;
        let asked = MarketingQuestion {
            subject: &Subject::Tenant,
            filter,
            scope: &scope,
            basis: Basis::Cohort,
            rates: self.windows.rates,
        };
        let Some((older, told)) = self.book.judged_marketing(&asked, &self.windows.now) else {
            return Ok(Vec::new());
        };
        self.rests_on(told.oldest_rate_on);
        Ok(rules::channel::channels(&told.found, &older, &self.levels()))
    }
}
