//! `records`: the deals and leads behind a figure, each with what it adds, as a table or as JSON.

use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::record_key::Key;
use channel_kpi::proto::channelkpi::v1::{
    ContributingRecord, ContributionDefinition, ContributionOutcome, FigureKind,
    ListContributingRecordsRequest, ListContributingRecordsResponse, Window,
};
use channel_kpi::proto::google::r#type::{Date, Money};
use clap::Args;

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::premises::PremisesArgs;
use super::subject::SubjectArgs;
use super::words::{day, days, out_of_range, table, told_subject};
use super::{Ending, json, number, print, window};

/// Show the deals and leads behind a figure, each with what it adds to it.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct RecordsCommand {
    /// Behind which figure: see below.
    #[arg(long, value_name = "FIGURE", value_parser = parse_figure)]
    figure: FigureKind,

    #[command(flatten)]
    subject: SubjectArgs,

    /// The days: see below. Needed but for what is open.
    #[arg(long, value_name = "WINDOW", value_parser = window::parse)]
    window: Option<Window>,

    /// The last day that counts [default: today in the tenant's time zone].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date)]
    as_of: Option<Date>,

    /// Only the first so many, by their dates [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,

    /// The answer as proto3 JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    premises: PremisesArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

fn after_help() -> String {
    format!("Figures: {}\n\nWindows:\n{}\n\n{EXAMPLES}", figure_names(), window::FORMS)
}

const EXAMPLES: &str = "\
Examples:
  The deals that make up a partner's deal count:
    channel-kpi records --figure won --partner P-17 --window 2017-Q3

  What the company missed last quarter, for another program:
    channel-kpi records --figure missed --window previous-quarter --json

  The prospects of a month, and what has become of them by now:
    channel-kpi records --figure prospects --window 2017-03

  One employee's open deals, how they stood at the end of March:
    channel-kpi records --figure open --employee e1 --as-of 2024-03-31";

/// The names of the figures are those of the API: `in-work` is `FIGURE_KIND_IN_WORK`.
fn figures() -> impl Iterator<Item = (String, FigureKind)> {
    (1..).map_while(|number| FigureKind::try_from(number).ok()).map(|figure| (name_of(figure), figure))
}

fn name_of(figure: FigureKind) -> String {
    figure.as_str_name().trim_start_matches("FIGURE_KIND_").to_lowercase().replace('_', "-")
}

fn parse_figure(text: &str) -> Result<FigureKind, String> {
    figures()
        .find(|(name, _)| name == text)
        .map(|(_, figure)| figure)
        .ok_or_else(|| format!("the figures are {}", figure_names()))
}

fn figure_names() -> String {
    figures().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

impl RecordsCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        self.subject.check(false)?;
        let figure = name_of(self.figure);
        match (self.figure, self.window) {
            (FigureKind::Open, Some(_)) => {
                return Err(Failure::Usage(
                    "--figure open is of the --as-of day alone: leave --window out".into(),
                ));
            }
            (FigureKind::Open, None) | (_, Some(_)) => {}
            (_, None) => return Err(Failure::Usage(format!("--figure {figure} needs a --window"))),
        }
        let answer = self.connection.with(async |connection| self.list(connection).await).await?;
        let text =
            if self.json { json::render("ListContributingRecordsResponse", &answer) } else { told(&answer) };
        print(&text)?;
        Ok(Ending::Done)
    }

    /// All pages as one answer, or the first so many rows: with total, definition and revision of the last page.
    async fn list(&self, connection: Connection) -> Result<ListContributingRecordsResponse, Failure> {
        const PAGE_ROWS_MAX: u32 = 1_000;
        let mut request = ListContributingRecordsRequest {
            subject: self.subject.subject(),
            figure_kind: self.figure.into(),
            window: self.window,
            as_of: self.as_of,
            premises: self.premises.premises(),
            ..ListContributingRecordsRequest::default()
        };
        let mut client = KpiServiceClient::new(connection).max_decoding_message_size(usize::MAX);
        let mut records: Vec<ContributingRecord> = Vec::new();
        let mut revision_changed = false;
        loop {
            let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
            let rows_left = self.limit.map_or(u32::MAX, |limit| limit.saturating_sub(count));
            request.page_size = rows_left.min(PAGE_ROWS_MAX).cast_signed();
            let page = client.list_contributing_records(request.clone()).await?.into_inner();
            records.extend(page.records);
            revision_changed |= page.revision_changed;
            request.page_token = page.next_page_token;
            let is_enough = self.limit.is_some_and(|limit| records.len() >= limit as usize);
            if request.page_token.is_empty() || is_enough {
                let next_page_token = String::new();
                return Ok(ListContributingRecordsResponse {
                    records,
                    next_page_token,
                    revision_changed,
                    ..page
                });
            }
        }
    }
}

fn told(answer: &ListContributingRecordsResponse) -> String {
    let definition = answer.definition.clone().unwrap_or_default();
    let total = answer.total.clone().unwrap_or_default();
    let has_amount = total.amount.is_some()
        || total.unpriced_count > 0
        || answer.records.iter().any(|row| row.amount.is_some());
    let has_days = total.work_days.is_some();
    let mut header = vec!["Record", "Date"];
    if has_amount {
        header.push("Amount");
    }
    if has_days {
        header.push("Days in work");
    }
    header.extend(["Sent as", "Outcome", "On"]);
    let right: Vec<usize> =
        (0..header.len()).filter(|&at| ["Amount", "Days in work", "Sent as"].contains(&header[at])).collect();
    let mut rows = table(&header, &right);
    for record in &answer.records {
        let mut cells = vec![id(record), day(&record.counted_on)];
        if has_amount {
            cells.push(record.amount.as_ref().map_or_else(|| "unknown".into(), number::amount));
        }
        if has_days {
            cells.push(record.work_days.map_or_else(String::new, |days| number::count(days.into())));
        }
        cells.extend([sent(&record.original_amount), outcome(record.outcome()), day(&record.outcome_on)]);
        rows.add_row(cells);
    }
    let mut sections = vec![heading(&definition)];
    if !answer.records.is_empty() {
        sections.push(rows.trim_fmt());
    }
    let mut sum = format!("{} in all", number::count(total.count));
    if has_amount {
        let worth = total.amount.as_ref().map_or_else(out_of_range, number::amount);
        sum.push_str(&format!(", worth {worth} {}", definition.reporting_currency_code));
    }
    if total.unpriced_count > 0 {
        sum.push_str(&format!("; {} without a known amount", number::count(total.unpriced_count)));
    }
    if let Some(work_days) = total.work_days {
        sum.push_str(&format!(", {} days in work", number::count(work_days)));
    }
    let more = total.count - answer.records.len() as i64;
    if answer.revision_changed {
        sum.push_str("; records changed while they were listed");
    } else if more > 0 {
        sum.push_str(&format!("; {} more than listed", number::count(more)));
    }
    sections.push(sum + ".");
    sections.join("\n\n")
}

fn heading(definition: &ContributionDefinition) -> String {
    let whose = told_subject(definition.subject.as_ref(), &definition.subject_name);
    let figure = name_of(definition.figure_kind()).replace('-', " ");
    let partial = if definition.partial { ", to date" } else { "" };
    let when = match &definition.window {
        None => format!("at the end of {}", day(&definition.as_of)),
        window => format!("{}{partial}, as of {}", days(window), day(&definition.as_of)),
    };
    format!(
        "{whose}: {figure}, {when}\namounts in {}; dates in {}",
        definition.reporting_currency_code, definition.time_zone
    )
}

/// `deal d1`.
fn id(record: &ContributingRecord) -> String {
    match record.key.as_ref().and_then(|key| key.key.as_ref()) {
        Some(Key::DealId(id)) => format!("deal {id}"),
        Some(Key::LeadId(id)) => format!("lead {id}"),
        _ => "a newer kind".into(),
    }
}

fn sent(amount: &Option<Money>) -> String {
    let told = |money: &Money| format!("{} {}", number::amount(money), money.currency_code);
    amount.as_ref().map_or_else(String::new, told)
}

fn outcome(outcome: ContributionOutcome) -> String {
    let name = outcome.as_str_name().trim_start_matches("CONTRIBUTION_OUTCOME_");
    name.to_lowercase().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::{ContributionTotal, DateRange, RecordKey};

    use super::*;

    fn march(day: i32) -> Option<Date> {
        Some(Date { year: 2024, month: 3, day })
    }

    fn usd(units: i64) -> Option<Money> {
        Some(Money { currency_code: "USD".into(), units, nanos: 0 })
    }

    fn definition(figure_kind: FigureKind) -> ContributionDefinition {
        let end_on = Some(Date { year: 2024, month: 4, day: 1 });
        ContributionDefinition {
            figure_kind: figure_kind.into(),
            window: Some(DateRange { start_on: march(1), end_on }),
            as_of: march(31),
            reporting_currency_code: "USD".into(),
            time_zone: "Asia/Dhaka".into(),
            ..ContributionDefinition::default()
        }
    }

    fn record(key: Key, outcome: ContributionOutcome) -> ContributingRecord {
        ContributingRecord {
            key: Some(RecordKey { key: Some(key) }),
            counted_on: march(5),
            outcome: outcome.into(),
            ..ContributingRecord::default()
        }
    }

    #[test]
    fn rows_and_their_sum() {
        let won = ContributingRecord {
            amount: usd(200),
            original_amount: Some(Money { currency_code: "EUR".into(), units: 180, nanos: 0 }),
            outcome_on: march(5),
            ..record(Key::DealId("d1".into()), ContributionOutcome::Won)
        };
        let unpriced = record(Key::DealId("d2".into()), ContributionOutcome::Won);
        let answer = ListContributingRecordsResponse {
            records: vec![won, unpriced],
            total: Some(ContributionTotal {
                count: 5,
                amount: usd(1_500),
                unpriced_count: 1,
                work_days: None,
            }),
            definition: Some(definition(FigureKind::Won)),
            ..ListContributingRecordsResponse::default()
        };
        let expected = "\
The company: won, 2024-03-01 to 2024-03-31, as of 2024-03-31
amounts in USD; dates in Asia/Dhaka

Record   Date         Amount     Sent as  Outcome  On
deal d1  2024-03-05   200.00  180.00 EUR  won      2024-03-05
deal d2  2024-03-05  unknown              won

5 in all, worth 1,500.00 USD; 1 without a known amount; 3 more than listed.";
        assert_eq!(told(&answer), expected);
    }

    #[test]
    fn leads_and_deals_in_work_have_no_amounts() {
        let lead = record(Key::LeadId("L1".into()), ContributionOutcome::Unresolved);
        let in_work = ContributingRecord {
            work_days: Some(19),
            ..record(Key::DealId("d3".into()), ContributionOutcome::LostToCompetitor)
        };
        let answer = |figure, records, work_days| ListContributingRecordsResponse {
            records,
            total: Some(ContributionTotal { count: 1, work_days, ..ContributionTotal::default() }),
            definition: Some(definition(figure)),
            ..ListContributingRecordsResponse::default()
        };
        let text = told(&answer(FigureKind::LeadsCreated, vec![lead], None));
        assert!(text.contains("\nlead L1  2024-03-05           unresolved\n\n1 in all."), "{text}");
        let text = told(&answer(FigureKind::InWork, vec![in_work], Some(19)));
        assert!(text.starts_with("The company: in work, "), "{text}");
        assert!(text.contains("Days in work"), "{text}");
        assert!(text.ends_with("lost to competitor\n\n1 in all, 19 days in work."), "{text}");
    }

    #[test]
    fn figures_have_the_names_of_the_api() {
        assert_eq!(parse_figure("in-work"), Ok(FigureKind::InWork));
        assert_eq!(figures().count(), 13);
        let refused = parse_figure("luck").expect_err("there is none");
        assert!(refused.starts_with("the figures are won, lost, expired, missed, opened, open, in-work"));
    }
}
