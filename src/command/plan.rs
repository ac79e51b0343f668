//! `plan`: what to do about a subject by what is at stake, and what the next quarter will bring, as text or JSON.

use channel_kpi::proto::channelkpi::v1::analysis_service_client::AnalysisServiceClient;
use channel_kpi::proto::channelkpi::v1::{Forecast, ForecastMethod, GetPlanRequest, GetPlanResponse};
use clap::Args;

use super::connection::Connection;
use super::failure::Failure;
use super::recommend::{AdviceArgs, recommendations};
use super::subject::SubjectArgs;
use super::words::{days, heading, money_figure, table, told_subject};
use super::{Ending, json, number, print, window};

/// Plan with the company, a partner, an employee or a unit: what to do, what the next quarter will bring, and a
/// target for it.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct PlanCommand {
    #[command(flatten)]
    subject: SubjectArgs,

    #[command(flatten)]
    advice: AdviceArgs,
}

fn after_help() -> String {
    format!("Windows:\n{}\n\n{EXAMPLES}", window::FORMS)
}

const EXAMPLES: &str = "\
Examples:
  The company's next quarter:
    channel-kpi plan

  For the talk with a partner about its next quarter:
    channel-kpi plan --partner P-17 --lang bn";

// === impl PlanCommand ===

impl PlanCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        self.subject.check(false)?;
        let answer = self.advice.connection.with(async |connection| self.ask(connection).await).await?;
        print(&if self.advice.json { json::render("GetPlanResponse", &answer) } else { told(&answer) })?;
        Ok(Ending::Done)
    }

    async fn ask(&self, connection: Connection) -> Result<GetPlanResponse, Failure> {
        let advice = &self.advice;
        let request = GetPlanRequest {
            subject: self.subject.subject(),
            window: advice.window,
            as_of: advice.as_of,
            comparison: advice.compare,
            premises: advice.premises.premises(),
            language_code: advice.lang.clone().unwrap_or_default(),
            consistency: None,
        };
        let mut client = AnalysisServiceClient::new(connection).max_decoding_message_size(usize::MAX);
        Ok(client.get_plan(request).await?.into_inner())
    }
}

fn told(answer: &GetPlanResponse) -> String {
    let definition = answer.definition.clone().unwrap_or_default();
    let heading = heading(&told_subject(answer.subject.as_ref(), &answer.name), &definition);
    let forecast = answer.forecast.clone().unwrap_or_default();
    let target = match &answer.proposed_target {
        Some(target) => {
            format!("Proposed target: {} {}\n", number::to_the_cent(target), target.currency_code)
        }
        None => String::new(),
    };
    let listed = recommendations(&answer.recommendations);
    format!("{heading}\n\n{}{target}\n{}\n{listed}", outlook(&forecast), quarters(&forecast))
}

/// `Next quarter (2027-01-01 to 2027-03-31): 1,200.00, likely 900.00 to 1,500.00`
fn outlook(forecast: &Forecast) -> String {
    let likely = forecast.interval.as_ref().map_or_else(String::new, |interval| {
        let [lower, upper] = [interval.lower, interval.upper].map(|bound| number::rounded(bound, 2));
        format!(", with 80 % likelihood {lower} to {upper}")
    });
    let by = match forecast.method() {
        ForecastMethod::SeasonalDrift => "\nBy the same quarter a year before, and what a year added.",
        ForecastMethod::Mean => "\nBy the mean of the last quarters: there are too few to know the season.",
        ForecastMethod::Unspecified => "",
    };
    let expected = money_figure(forecast.won_amount.as_ref());
    format!("Next quarter ({}): {expected}{likely}{by}\n", days(&forecast.quarter))
}

/// The last eight quarters that it was told from.
fn quarters(forecast: &Forecast) -> String {
    const SHOWN_MAX: usize = 8;
    let mut table = table(&["Quarter", "Won amount"], &[1]);
    let shown = forecast.quarters.len().saturating_sub(SHOWN_MAX);
    for quarter in &forecast.quarters[shown..] {
        table.add_row([days(&quarter.quarter), money_figure(quarter.won_amount.as_ref())]);
    }
    format!("{}\n", table.trim_fmt())
}
