//! Expiring: which open deals lose their protection soon, those first that have most to lose.

use super::Book;
use super::pages::older;
use super::scope::Scope;
use crate::domain::calendar::Date;
use crate::kpi::measures::Tally;
use crate::kpi::pipeline::Expiring;

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
        // A deal that never ends doesn't expire either.
        let ends = self.pages.entries(&self.pools, |page| &page.ended, scope, as_of.next(), Date::LAST);
        let open = ends.filter(|(row, _)| row.other_on <= as_of);
        self.each_open_deal_of(open, as_of, rates_on, |number, deal, rate_on| {
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use crate::book::board::tests::{Asked, asked, config};
    use crate::book::histories::{book_of, book_of_records, currency, id, noon, plain_deal};
    use crate::book::small_tenant::{history, subjects};
    use crate::domain::amount::{Amount, BasisPoints, Money};
    use crate::domain::calendar::date;
    use crate::domain::filter::Filter;
    use crate::domain::premises::Roles;
    use crate::domain::record::{Deal, DealStatus, Expiry, Record, State};
    use crate::domain::subject::Subject;

    #[test]
    fn those_that_have_most_to_lose_come_first() {
        let deal = |name: &str, expires_on: &str, units: i64, bps: Option<i64>| {
            let amount = Amount::try_from_e4(units * 10_000).expect("a small amount");
            let deal = Deal {
                amount: Some(Money { amount, currency: currency("USD") }),
                probability: bps.map(|bps| BasisPoints::try_new(bps).expect("a share")),
                expiry: Some(Expiry::At(noon(expires_on))),
                ..plain_deal(noon("2024-03-01"), DealStatus::Open)
            };
            Record::Deal(id(name), State::Present(deal))
        };
        let book = book_of_records([
            deal("today", "2024-03-15", 900, Some(9_000)), // its protection has ended
            deal("small", "2024-03-16", 100, Some(9_000)),
            deal("large", "2024-03-29", 1_000, Some(5_000)), // on the last of the days
            deal("b-unlikely", "2024-03-20", 400, None),
            deal("a-unlikely", "2024-03-20", 500, Some(0)),
            deal("later", "2024-03-30", 900, Some(9_000)),
        ]);
        let scope = book.scope(&Subject::Tenant, &Filter::default(), Roles::default()).expect("it is known");
        let as_of = date("2024-03-15");
        let found = book.expiring_deals(&scope, as_of, as_of, 14);
        assert_eq!(found.deal_ids, ["large", "small", "a-unlikely", "b-unlikely"]);
        assert_eq!((found.found.deals.count, found.found.deals.amount_e4), (4, 20_000_000));
        assert_eq!(found.found.weighted_e8, 10_000_000 * 5_000 + 1_000_000 * 9_000);
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn they_are_those_that_the_pipeline_counts(
            history in history(), questions in vec((asked(), select(subjects()), 1..40), 4),
        ) {
            let book = book_of(history);
            for (Asked { premises, window, .. }, subject, days) in &questions {
                let Some(scope) = book.scope(subject, &premises.filter, premises.roles) else { continue };
                let rates_on = premises.exchange.rates_of_stock(window.as_of);
                let found = book.expiring_deals(&scope, window.as_of, rates_on, *days);
                let pipeline = book.pipeline(&scope, &[], window.as_of, rates_on, *days).found;
                prop_assert_eq!(found.found.deals, pipeline.protection.expiring);
                prop_assert_eq!(found.deal_ids.len() as i64, found.found.deals.count);
                let mut weighted = Vec::new();
                book.each_open_deal(&scope, window.as_of, rates_on, |number, deal, _| {
                    let left = deal.expires_on.map_or(0, |on| on.days_since(window.as_of));
                    if left > 0 && left <= *days {
                        let bps = deal.probability.map_or(0, |bps| i128::from(bps.get()));
                        let e8 = deal.amount.map_or(0, |amount| i128::from(amount.e4()) * bps);
                        weighted.push((-e8, book.records.dictionary.deals.name(number)));
                    }
                });
                weighted.sort_unstable();
                prop_assert_eq!(found.found.weighted_e8, -weighted.iter().map(|(e8, _)| e8).sum::<i128>());
                prop_assert!(found.deal_ids.iter().eq(weighted.iter().map(|(_, id)| id)));
            }
        }
    }
}
