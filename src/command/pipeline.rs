//! `pipeline`: the open deals of one subject, how long they are protected, what changed, and how its targets
//! stand, as tables or as JSON.

use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    DaysTally, DealTally, GetPipelineRequest, GetPipelineResponse, PipelineMovement, PipelineProtection,
};
use channel_kpi::proto::google::r#type::{Date, Money};
use clap::Args;

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::premises::{PremisesArgs, terms};
use super::subject::SubjectArgs;
use super::targets::targets;
use super::words::{day, out_of_range, table, told_subject};
use super::{Ending, json, number, print, window};

/// Show the open deals of the company, a partner, an employee or a unit, what changed, and its targets.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PipelineCommand {
    #[command(flatten)]
    subject: SubjectArgs,

    /// The day at whose end deals are open [default: today in the tenant's time zone].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date)]
    as_of: Option<Date>,

    /// Since when changes are told [default: one month before].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date)]
    since: Option<Date>,

    /// Within how many days a deal counts as expiring [default: 14].
    #[arg(long, value_name = "N")]
    expiring_days: Option<i32>,

    /// Only open deals in this stage ('' for those without one); may be repeated. Changes and targets are
    /// those of all stages.
    #[arg(long, value_name = "STAGE")]
    stage: Vec<String>,

    /// The answer as proto3 JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    premises: PremisesArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

const EXAMPLES: &str = "\
Examples:
  The company's open deals, and what changed within a month:
    channel-kpi pipeline

  A distributor with all the partners below it, since the beginning of the quarter:
    channel-kpi pipeline --partner P-17 --with-sub-partners --as-of 2017-09-30 --since 2017-06-30

  The north's deals in two stages:
    channel-kpi pipeline --region north --stage proposal --stage negotiation";

impl PipelineCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        self.subject.check(false)?;
        let answer = self.connection.with(async |connection| self.ask(connection).await).await?;
        print(&if self.json { json::render("GetPipelineResponse", &answer) } else { tables(&answer) })?;
        Ok(Ending::Done)
    }

    async fn ask(&self, connection: Connection) -> Result<GetPipelineResponse, Failure> {
        let request = GetPipelineRequest {
            subject: self.subject.subject(),
            as_of: self.as_of,
            since: self.since,
            expiring_days: self.expiring_days,
            premises: self.premises.premises(),
            consistency: None,
            stages: terms(&self.stage),
        };
        Ok(KpiServiceClient::new(connection).get_pipeline(request).await?.into_inner())
    }
}

pub fn tables(answer: &GetPipelineResponse) -> String {
    let pipeline = answer.pipeline.clone().unwrap_or_default();
    let definition = answer.definition.clone().unwrap_or_default();
    let oldest = match &definition.oldest_rate_on {
        None => String::new(),
        rate_on => format!(", converted with rates from {} on", day(rate_on)),
    };
    let heading = format!(
        "{}, deals open at the end of {}\namounts in {}{oldest}; dates in {}",
        told_subject(pipeline.subject.as_ref(), &pipeline.name),
        day(&definition.as_of),
        definition.reporting_currency_code,
        definition.time_zone,
    );
    let stages = pipeline.stages.iter().map(|stage| {
        let name = if stage.stage.is_empty() { "(none)" } else { &stage.stage };
        (name.to_owned(), &stage.deals, money(&stage.weighted_amount))
    });
    let all = ("All".to_owned(), &pipeline.open, money(&pipeline.weighted_amount));
    let mut by_stage = table(&["Stage", "Deals", "Amount", "Weighted"], &[1, 2, 3]);
    for (name, deals, weighted) in stages.chain([all]) {
        by_stage.add_row([name, count(deals), worth(deals), weighted]);
    }
    let ages = pipeline
        .ages
        .iter()
        .map(|age| (span(age), &age.deals))
        .chain([("Overdue".into(), &pipeline.overdue)]);
    let protection = pipeline.protection.clone().unwrap_or_default();
    let movement = pipeline.movement.clone().unwrap_or_default();
    let changed = format!("Since {}", day(&definition.since));
    let mut remarks = Vec::new();
    let told = |deals: &Option<DealTally>, what: &str| {
        let deals = deals.as_ref().filter(|deals| deals.count > 0)?;
        Some(format!("{} {what}", number::count(deals.count)))
    };
    remarks.extend(told(&pipeline.unweighted, "without a known probability: they weigh nothing."));
    let unpriced = pipeline.open.as_ref().map_or(0, |open| open.unpriced_count);
    if unpriced > 0 {
        remarks.push(format!("{} without a known amount: counted, worth 0 here.", number::count(unpriced)));
    }
    let is_narrowed = definition.stages.is_some()
        || definition.premises.as_ref().is_some_and(|premises| premises.filter.is_some());
    if is_narrowed && !pipeline.targets.is_empty() {
        remarks.push("Targets are those of the subject: no filter narrows them.".into());
    }
    let mut parts = vec![
        heading,
        by_stage.trim_fmt(),
        rows("Open for", ages),
        rows("Protected for", protected(&protection, definition.expiring_days)),
        rows(&changed, changes(&movement)),
    ];
    parts.extend(targets(&pipeline.targets));
    parts.push(remarks.join("\n"));
    parts.join("\n\n").trim_end().to_owned()
}

fn protected(
    protection: &PipelineProtection,
    expiring_days: i32,
) -> impl Iterator<Item = (String, &Option<DealTally>)> {
    let days_left = protection.days_left.iter().map(|left| (span(left), &left.deals));
    days_left.chain([
        ("no limit".into(), &protection.unlimited),
        ("past it".into(), &protection.past),
        (format!("Expiring within {expiring_days} days"), &protection.expiring),
        ("Expiring before expected close".into(), &protection.expiring_before_expected_close),
    ])
}

fn changes(movement: &PipelineMovement) -> impl Iterator<Item = (String, &Option<DealTally>)> {
    [
        ("Opening", &movement.opening),
        ("+ created", &movement.created),
        ("+ increased", &movement.increased),
        ("- decreased", &movement.decreased),
        ("- won", &movement.won),
        ("- lost", &movement.lost),
        ("- expired", &movement.expired),
        ("= closing", &movement.closing),
        ("Opened and won in between", &movement.won_in_between),
        ("Opened and lost in between", &movement.lost_in_between),
        ("Opened and expired in between", &movement.expired_in_between),
    ]
    .into_iter()
    .map(|(name, deals)| (name.to_owned(), deals))
}

fn rows<'a>(title: &str, rows: impl Iterator<Item = (String, &'a Option<DealTally>)>) -> String {
    let mut table = table(&[title, "Deals", "Amount"], &[1, 2]);
    for (name, deals) in rows {
        table.add_row([name, count(deals), worth(deals)]);
    }
    table.trim_fmt()
}

/// `0-30 days`.
fn span(span: &DaysTally) -> String {
    match span.days_max {
        Some(days_max) => format!("{}-{days_max} days", span.days_min),
        None => format!("{} days and more", span.days_min),
    }
}

fn count(deals: &Option<DealTally>) -> String {
    number::count(deals.as_ref().map_or(0, |deals| deals.count))
}

fn worth(deals: &Option<DealTally>) -> String {
    deals.as_ref().map_or_else(String::new, |deals| money(&deals.amount))
}

fn money(amount: &Option<Money>) -> String {
    amount.as_ref().map_or_else(out_of_range, number::amount)
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::{Pipeline, PipelineDefinition, PipelineStage};

    use super::*;

    fn deals(count: i64, units: i64) -> Option<DealTally> {
        let amount = Some(Money { currency_code: "USD".into(), units, nanos: 0 });
        Some(DealTally { count, amount, unpriced_count: 0 })
    }

    #[test]
    fn tables_tell_stages_ages_protection_and_changes() {
        let weighted = deals(0, 500).and_then(|deals| deals.amount);
        let pipeline = Pipeline {
            open: deals(1, 1_000),
            weighted_amount: weighted.clone(),
            stages: vec![PipelineStage {
                deals: deals(1, 1_000),
                weighted_amount: weighted,
                ..PipelineStage::default()
            }],
            ages: vec![DaysTally { days_min: 181, days_max: None, deals: deals(1, 1_000) }],
            unweighted: deals(1, 700),
            ..Pipeline::default()
        };
        let definition = PipelineDefinition {
            as_of: Some(Date { year: 2024, month: 3, day: 31 }),
            since: Some(Date { year: 2024, month: 2, day: 29 }),
            expiring_days: 14,
            reporting_currency_code: "USD".into(),
            time_zone: "Asia/Dhaka".into(),
            ..PipelineDefinition::default()
        };
        let answer = GetPipelineResponse {
            pipeline: Some(pipeline),
            definition: Some(definition),
            ..GetPipelineResponse::default()
        };
        let text = tables(&answer);
        let expected = "\
The company, deals open at the end of 2024-03-31
amounts in USD; dates in Asia/Dhaka

Stage   Deals    Amount  Weighted
(none)      1  1,000.00    500.00
All         1  1,000.00    500.00

Open for           Deals    Amount
181 days and more      1  1,000.00
Overdue                0
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("\nSince 2024-02-29 "), "{text}");
        assert!(text.ends_with("\n\n1 without a known probability: they weigh nothing."), "{text}");
    }
}
