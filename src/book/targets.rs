//! Targets: which of a subject's are under way on a date, and how they stand.
//!
//! A target is answered whatever a question filters by: it is the subject's, not the filter's.

use super::Book;
use super::pipeline::{Found, older};
use super::scope::Scope;
use crate::domain::calendar::{Date, DateRange};
use crate::domain::filter::Filter;
use crate::domain::ids::TargetId;
use crate::domain::premises::{ExchangePolicy, Roles};
use crate::domain::record::{State, Target, TargetValue};
use crate::domain::subject::Subject;
use crate::kpi::figure::{Absent, Quantity};
use crate::kpi::target::{Goal, Outlook, Progress};

/// A target whose days contain a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetUnderWay<'a> {
    pub id: &'a TargetId,
    pub target: &'a Target,
    /// Whose, after mergers.
    pub subject: Subject,
    /// How it stands at the end of the date.
    pub progress: Result<Progress<'a>, Absent>,
}

// === impl Book ===

impl Book {
    /// A subject's targets whose days contain `as_of`, by the bytes of their ids.
    pub fn targets(
        &self,
        subject: &Subject,
        roles: Roles,
        as_of: Date,
        exchange: ExchangePolicy,
    ) -> Found<Vec<TargetUnderWay<'_>>> {
        let mut found = Found { found: Vec::new(), oldest_rate_on: None };
        let (subject, _) = self.identify(subject);
        let Some(scope) = self.scope(&subject, &Filter::default(), roles) else { return found };
        let known = self.records.targets.chains().filter_map(|(id, chain)| {
            let target = chain.current().map(|kept| &kept.content).and_then(State::present)?;
            let is_asked = target.dates.contains(as_of) && self.identify(&target.subject).0 == subject;
            is_asked.then_some((id, target))
        });
        for (id, target) in known {
            let progress = self.goal(target).map(|goal| {
                let dates = DateRange { to: as_of.next(), ..target.dates };
                let won = self.fold(&scope, dates, exchange.rates_until(as_of));
                let outlook = Outlook::new(&goal, as_of);
                found.oldest_rate_on = older(found.oldest_rate_on, won.oldest_rate_on);
                Progress { goal, won: won.measures.won, outlook }
            });
            found.found.push(TargetUnderWay { id, target, subject: subject.clone(), progress });
        }
        let rate_on = self.look_out(&scope, as_of, exchange, &mut found.found);
        found.oldest_rate_on = older(found.oldest_rate_on, rate_on);
        found
    }

    /// What a target asks for. Absent where its amount can't be compared with what is won.
    fn goal<'a>(&self, target: &'a Target) -> Result<Goal<'a>, Absent> {
        let value = match target.value {
            TargetValue::WonCount(count) => {
                Quantity::Count(i64::try_from(count).map_err(|_| Absent::OutOfRange)?)
            }
            TargetValue::WonAmount(money) => {
                let is_reported =
                    self.settings().is_some_and(|settings| settings.reporting_currency == money.currency);
                if !is_reported {
                    return Err(Absent::OtherCurrency);
                }
                Quantity::AmountE4(money.amount.e4().into())
            }
        };
        Ok(Goal { value, dates: target.dates, month_weights: &target.month_weights })
    }

    /// Adds the open deals to all targets in one walk. Returns the date of the oldest rate that they took.
    fn look_out(
        &self,
        scope: &Scope,
        as_of: Date,
        exchange: ExchangePolicy,
        targets: &mut [TargetUnderWay<'_>],
    ) -> Option<Date> {
        let mut told: Vec<&mut Progress<'_>> =
            targets.iter_mut().filter_map(|target| target.progress.as_mut().ok()).collect();
        if told.is_empty() {
            return None;
        }
        let mut oldest_rate_on = None;
        self.each_open_deal(scope, as_of, exchange.rates_of_stock(as_of), |deal, rate_on| {
            told.iter_mut().for_each(|progress| progress.outlook.add(deal));
            oldest_rate_on = older(oldest_rate_on, rate_on);
        });
        oldest_rate_on
    }
}
