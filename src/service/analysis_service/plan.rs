//! GetPlan.

use tonic::{Request, Response, Status};

use super::advice::{Advice, Advisor};
use super::parse::{PlanQuestion, Whom};
use super::recommend::{definition, recommendations, windows};
use super::render::figure::Figures;
use super::render::forecast::{self, EndedQuarter};
use super::render::value;
use super::{Rpc, RpcResult, failure, parse};
use crate::domain::calendar::{Date, DateRange};
use crate::domain::subject::Subject;
use crate::domain::window::PeriodUnit;
use crate::journal::Journal;
use crate::kpi::forecast::Forecast;
use crate::kpi::forecast::forecast as forecast_of;
use crate::kpi::recommendation::{Finding, Rule, Severity};
use crate::proto::channelkpi::v1 as pb;

/// The most quarters that a forecast looks back.
const QUARTERS_MAX: i32 = 20;

const DAYS_OF_QUARTER: f64 = 365.25 / 4.0;

pub async fn get<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::GetPlanRequest>,
) -> RpcResult<pb::GetPlanResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let PlanQuestion { subject, asked } = parse::get_plan(&request).map_err(failure::violations)?;
    rpc.make_fresh(&tenant, &asked.consistency).await?;

    let (tokens, owner) = (rpc.clone(), tenant.clone());
    let now = rpc.now();
    let answer = rpc.ask(&tenant, asked.premises.knowledge, move |book, settings, caller| {
        let windows = windows(settings, &asked, None, now)?;
        let advisor = Advisor::new((book, settings), &asked.premises, windows, &[], caller);
        let mut advice = advisor.advice(&Whom::One(subject.clone()))?;
        advice.sort_by_cached_key(Advice::plan_key);
        let outlook = Outlook::of(&advisor, &subject)?;
        let figures = Figures { currency: settings.reporting_currency };
        let proposed = outlook.target(&advice, advisor.windows().now.dates.days());
        let (survivor, name) = book.identify(&subject);
        Ok(pb::GetPlanResponse {
            subject: Some(value::subject(&survivor)),
            name: name.unwrap_or_default().to_owned(),
            forecast: Some(forecast::forecast(figures, outlook.quarter, &outlook.ended, outlook.forecast)),
            proposed_target: proposed.and_then(|e4| figures.money(e4)),
            recommendations: recommendations(&advisor, &asked, advice)?,
            definition: Some(definition(&advisor, &request.premises, settings)),
            revision_token: tokens.revision_token(&owner, book.revision()),
        })
    });
    answer.await.map(Response::new)
}

/// The next quarter, by those that have ended.
struct Outlook {
    quarter: DateRange,
    ended: Vec<EndedQuarter>,
    forecast: Option<Forecast>,
}

// === impl Outlook ===

impl Outlook {
    fn of(advisor: &Advisor<'_>, subject: &Subject) -> Result<Self, Status> {
        let starts = advisor.settings().period_starts();
        let quarter_of = |date: Date| PeriodUnit::FiscalQuarter.period_of(date, &starts);
        let current = quarter_of(advisor.windows().as_of());
        let quarter = quarter_of(current.to);
        // On its last day a quarter has ended.
        let has_ended = current.to == advisor.windows().as_of().next();
        let last = if has_ended { current } else { quarter_of(current.from.plus_days(-1)) };
        let quarters_ahead = if has_ended { 1 } else { 2 };
        let back = (0..QUARTERS_MAX).rev().map(|back| quarter_of(last.from.plus_months(-3 * back)));
        let mut ended: Vec<EndedQuarter> = Vec::new();
        for dates in back.filter(|dates| dates.from >= Date::FIRST) {
            advisor.still_waits()?;
            let standing = advisor.standing(subject, dates)?;
            // What lies before the first work says nothing.
            if !ended.is_empty() || standing.in_work_count() > 0 {
                ended.push(EndedQuarter { dates, won_amount_e4: standing.measures.won.amount_e4 });
            }
        }
        let values: Vec<f64> = ended.iter().map(|quarter| quarter.won_amount_e4 as f64 / 10_000.0).collect();
        // Nobody wins less than nothing, whatever the drift says.
        let possible = |forecast: Forecast| Forecast {
            value: forecast.value.max(0.0),
            interval: forecast.interval.map(|(lower, upper)| (lower.max(0.0), upper.max(0.0))),
            ..forecast
        };
        Ok(Self { quarter, forecast: forecast_of(&values, quarters_ahead).map(possible), ended })
    }

    /// A target, in ten-thousandths: the forecast, and what the most costly thing to mend has at stake in a quarter, up
    /// to the upper bound. What is at stake isn't added up: rules speak of the same loss.
    fn target(&self, advice: &[Advice<'_>], window_days: i32) -> Option<i128> {
        let Forecast { value, interval, .. } = self.forecast?;
        let to_mend = advice.iter().map(|advice| &advice.finding);
        let to_mend = to_mend.filter(|finding| finding.rule.severity() != Severity::Opportunity);
        let in_quarter = |finding: &Finding<'_>| {
            // Trends of months say what they cost in the window; of others the first figure's days are the stake's.
            let days = match finding.rule {
                Rule::SizeGrow | Rule::SizeFalling => window_days,
                _ => finding.evidence.first()?.window.dates.days(),
            };
            Some(finding.effect_e4? as f64 / 10_000.0 * (DAYS_OF_QUARTER / f64::from(days)).min(1.0))
        };
        let at_stake = to_mend.filter_map(in_quarter).fold(0.0, f64::max);
        let upper = interval.map_or(value, |(_, upper)| upper);
        Some(((value + at_stake).min(upper) * 10_000.0).round_ties_even() as i128)
    }
}
