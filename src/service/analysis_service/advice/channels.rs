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
        let window =
            self.book.p90_cycle_days(self.windows.as_of()).and_then(|p90| self.windows.older_than(p90));
        let Some(window) = window else { return Ok(Vec::new()) };
        let scope = self.scope(&Subject::Tenant, filter)?;
        self.caller.still_waits()?;
        let asked = MarketingQuestion {
            subject: &Subject::Tenant,
            filter,
            scope: &scope,
            basis: Basis::Cohort,
            rates: self.windows.rates,
        };
        let told = self.book.marketing(&asked, &window);
        self.rests_on(told.oldest_rate_on);
        Ok(rules::channel::channels(&told.found, &window, &self.levels()))
    }
}
