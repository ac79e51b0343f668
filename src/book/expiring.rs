//! Expiring: which open deals lose their protection soon, those first that have most to lose.

use super::Book;
use super::pages::older;
use super::scope::Scope;
use crate::domain::calendar::Date;
use crate::kpi::measures::Tally;
use crate::kpi::rules::pipeline::Expiring;

/// Open deals that expire within so many days, by amount times probability from the greatest, equal ones by the
/// bytes of their ids. What isn't known of a deal counts as nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpiringDeals<'a> {
    pub found: Expiring,
    pub deal_ids: Vec<&'a str>,
    pub oldest_rate_on: Option<Date>,
}

// === impl Book ===

impl Book {
    /// Those of a scope that expire on one of the `days` after `as_of`.
    pub fn expiring_deals(&self, scope: &Scope, as_of: Date, rates_on: Date, days: i32) -> ExpiringDeals<'_> {
        let mut found = Expiring::default();
        let mut deals = Vec::new();
        let mut oldest_rate_on = None;
        self.each_open_deal(scope, as_of, rates_on, |number, deal, rate_on| {
            let days_left = deal.expires_on.map(|on| on.days_since(as_of));
            if !days_left.is_some_and(|left| (1..=days).contains(&left)) {
                return;
            }
            let bps = deal.probability.map_or(0, |probability| i128::from(probability.get()));
            let weighted_e8 = deal.amount.map_or(0, |amount| i128::from(amount.e4()) * bps);
            oldest_rate_on = older(oldest_rate_on, rate_on);
            found.deals += Tally::of(deal.amount);
            found.weighted_e8 += weighted_e8;
            deals.push((weighted_e8, self.records.dictionary.deals.name(number)));
        });
        deals.sort_unstable_by(|(a, a_id), (b, b_id)| {
            b.cmp(a).then_with(|| a_id.as_bytes().cmp(b_id.as_bytes()))
        });
        ExpiringDeals { found, deal_ids: deals.into_iter().map(|(_, id)| id).collect(), oldest_rate_on }
    }
}
