//! `restate`: what figures were at two times at which something was known, and the records that made the difference,
//! as tables or as JSON.

use channel_kpi::proto::channelkpi::v1::analysis_service_client::AnalysisServiceClient;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_key::Key;
use channel_kpi::proto::channelkpi::v1::{
    Change, CompareKnowledgeRequest, CompareKnowledgeResponse, ComparedFigure, Deal, DealStatus, Definition,
    Figure, Knowledge, Kpi, Lead, LeadOutcome, Premises, RecordKey, RecordVersion, RestatedKpi,
    RestatingRecord, Window,
};
use channel_kpi::proto::google::r#type::Date;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::Args;
use comfy_table::Table;
use prost_types::Timestamp;

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::premises::{PremisesArgs, instant};
use super::scorecard::{kpi_names, parse_kpi};
use super::subject::SubjectArgs;
use super::words::{
    amount_of, count_figure, day, heading, money_figure, number_figure, points_change, rate_figure,
    relative_change, table, told_subject, trend,
};
use super::{Ending, json, number, print, window};

/// Show what is told anew: the KPIs as they were known at two times, and the records that made the difference.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct RestateCommand {
    #[command(flatten)]
    subject: SubjectArgs,

    /// The days: see below.
    #[arg(long, value_name = "WINDOW", value_parser = window::parse)]
    window: Window,

    /// The last day that counts, at both [default: today in the tenant's time zone].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date)]
    as_of: Option<Date>,

    /// Only these KPIs: may be given several times, or with commas between.
    #[arg(long, value_name = "KPI", value_delimiter = ',', value_parser = parse_kpi)]
    kpi: Vec<Kpi>,

    /// Later, as the host knew it then; --known-at says when the earlier one was [default: now].
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    later_known_at: Option<Timestamp>,

    /// Later, as the sidecar had been told by then; --received-by says when the earlier one was [default: now].
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    later_received_by: Option<Timestamp>,

    /// Only so many records, at most 1,000.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,

    /// The answer as proto3 JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    premises: PremisesArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

fn after_help() -> String {
    format!("Windows:\n{}\n\nKPIs: {}\n\n{EXAMPLES}", window::FORMS, kpi_names())
}

const EXAMPLES: &str = "\
Examples:
  Why March isn't any more what the board paper of 5 April said:
    channel-kpi restate --window 2024-03 --as-of 2024-03-31 --received-by 2024-04-05T09:00:00Z

  What the host's people changed between the two papers of a partner:
    channel-kpi restate --partner P-17 --window 2024-Q1 --known-at 2024-04-05T09:00:00Z \\
      --later-known-at 2024-05-05T09:00:00Z";

// === impl RestateCommand ===

impl RestateCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        self.subject.check(false)?;
        let answer = self.connection.with(async |connection| self.ask(connection).await).await?;
        let text = if self.json { json::render("CompareKnowledgeResponse", &answer) } else { told(&answer) };
        print(&text)?;
        Ok(Ending::Done)
    }

    async fn ask(&self, connection: Connection) -> Result<CompareKnowledgeResponse, Failure> {
        let Premises { known_at, received_by, .. } = self.premises.premises().unwrap_or_default();
        if known_at.is_none() && received_by.is_none() {
            let text = "say what was known earlier: give --known-at, --received-by or both";
            return Err(Failure::Usage(text.into()));
        }
        let later = Knowledge { known_at: self.later_known_at, received_by: self.later_received_by };
        let premises = self.premises.premises().map(|premises| Premises {
            known_at: None,
            received_by: None,
            ..premises
        });
        let request = CompareKnowledgeRequest {
            subject: self.subject.subject(),
            kpis: self.kpi.iter().map(|&kpi| kpi.into()).collect(),
            window: Some(self.window),
            as_of: self.as_of,
            premises,
            earlier: Some(Knowledge { known_at, received_by }),
            later: Some(later),
            record_limit: self.limit.into(),
            consistency: None,
        };
        Ok(AnalysisServiceClient::new(connection)
            .max_decoding_message_size(usize::MAX)
            .compare_knowledge(request)
            .await?
            .into_inner())
    }
}

fn told(answer: &CompareKnowledgeResponse) -> String {
    let later = answer.later_definition.clone().unwrap_or_default();
    let whose = told_subject(answer.subject.as_ref(), &answer.name);
    let mut head = heading(&whose, &later);
    let earlier = match &answer.earlier_definition {
        Some(earlier) => known(earlier),
        None => "not known yet".into(),
    };
    head.push_str(&format!("\nearlier: {earlier}\nlater: {}", known(&later)));
    if let Some(earlier) = &answer.earlier_definition
        && earlier.reporting_currency_code != later.reporting_currency_code
    {
        let code = &earlier.reporting_currency_code;
        head.push_str(&format!("\nearlier amounts are in {code}: they can't be compared"));
    }
    let records = match (answer.records.len(), answer.record_count) {
        (_, 0) => "No record made a difference.".to_owned(),
        (shown, all) => {
            let of_all = match all {
                1 => "1 record made or may have made the difference".to_owned(),
                all => format!("{} records made or may have made the difference", number::count(all)),
            };
            let shown = if shown as i64 == all { ":".to_owned() } else { format!("; the first {shown}:") };
            format!("{of_all}{shown}\n{}", records(&answer.records, &later.time_zone).trim_fmt())
        }
    };
    format!("{head}\n\n{}\n\n{records}", figures(&answer.kpis).trim_fmt())
}

/// What was known when.
fn known(definition: &Definition) -> String {
    let premises = definition.premises.clone().unwrap_or_default();
    let parts = [
        premises.known_at.map(|at| format!("as the host knew it at {}", moment(&at))),
        premises.received_by.map(|by| format!("as the sidecar had been told by {}", moment(&by))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "all that is known now".into() } else { parts.join(", ") }
}

fn moment(at: &Timestamp) -> String {
    instant_of(at).map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn instant_of(at: &Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, at.nanos.try_into().ok()?)
}

/// The tenant's date.
fn local_day(at: Option<&Timestamp>, time_zone: &str) -> String {
    let zone = time_zone.parse().unwrap_or(Tz::UTC);
    let day = at.and_then(instant_of).map(|at| at.with_timezone(&zone).date_naive());
    day.map_or_else(String::new, |day| day.to_string())
}

fn figures(kpis: &[RestatedKpi]) -> Table {
    let mut table = table(&["KPI", "Earlier", "Later", "Change", ""], &[1, 2, 3]);
    let mut add = |name: &str,
                   compared: &ComparedFigure,
                   figure: fn(Option<&Figure>) -> String,
                   change: fn(Option<&Change>) -> String| {
        let ComparedFigure { figure: later, comparison: earlier, change: moved } = compared;
        let moved = moved.as_ref();
        table.add_row([
            name.to_owned(),
            figure(earlier.as_ref()),
            figure(later.as_ref()),
            change(moved),
            trend(moved),
        ]);
    };
    let money = |change: Option<&Change>| relative_change(change, 2);
    for restated in kpis {
        let compared = restated.compared.clone().unwrap_or_default();
        let name = title(restated.kpi());
        match restated.kpi() {
            Kpi::DealCount => add(&name, &compared, count_figure, |change| relative_change(change, 0)),
            Kpi::MarketingChannel | Kpi::CloseRate | Kpi::DealSuccess => {
                add(&name, &compared, rate_figure, points_change);
            }
            Kpi::ValueScore => {
                add(&name, &compared, |score| number_figure(score, 1), |change| relative_change(change, 1));
            }
            _ => add(&name, &compared, money_figure, money),
        }
        if let Some(won_amount) = &restated.won_amount {
            add("  worth", won_amount, money_figure, money);
        }
    }
    table
}

fn title(kpi: Kpi) -> String {
    let words = words(kpi);
    let (first, rest) = words.split_at(1);
    first.to_uppercase() + rest
}

fn words(kpi: Kpi) -> String {
    kpi.as_str_name().trim_start_matches("KPI_").to_lowercase().replace('_', " ")
}

fn records(records: &[RestatingRecord], time_zone: &str) -> Table {
    let mut table = table(&["Record", "Earlier", "Later", "Versions", "Moved"], &[3]);
    for record in records {
        let moved: Vec<String> = record.kpis().map(words).collect();
        table.add_row([
            record.key.as_ref().map(name).unwrap_or_default(),
            version(record.earlier.as_ref(), time_zone),
            version(record.later.as_ref(), time_zone),
            number::count(record.version_count),
            if moved.is_empty() { "may move all".into() } else { moved.join(", ") },
        ]);
    }
    table
}

fn name(key: &RecordKey) -> String {
    let (kind, id) = match &key.key {
        Some(Key::PartnerId(id)) => ("partner", id),
        Some(Key::OrgUnitId(id)) => ("unit", id),
        Some(Key::EmployeeId(id)) => ("employee", id),
        Some(Key::LeadId(id)) => ("lead", id),
        Some(Key::DealId(id)) => ("deal", id),
        Some(Key::MarketingChannelId(id)) => ("channel", id),
        Some(Key::MarketingSpendId(id)) => ("spend", id),
        Some(Key::TargetId(id)) => ("target", id),
        Some(Key::StrategyId(id)) => ("strategy", id),
        Some(Key::ExchangeRate(key)) => {
            let (from, to) = (&key.from_currency_code, &key.to_currency_code);
            return format!("rate {from}/{to} of {}", day(&key.rate_on));
        }
        Some(Key::TenantSettings(_)) => return "settings".into(),
        None => return "?".into(), // a newer sidecar's kind
    };
    format!("{kind} {id}")
}

/// What a version says, in few words.
fn version(stored: Option<&RecordVersion>, time_zone: &str) -> String {
    let Some(record) = stored.and_then(|stored| stored.record.as_ref()) else { return "not known".into() };
    if record.deleted {
        return "deleted".into();
    }
    match &record.record {
        Some(Kind::Deal(deal)) => deal_words(deal, time_zone),
        Some(Kind::Lead(lead)) => lead_words(lead, time_zone),
        Some(Kind::ExchangeRate(rate)) => {
            rate.rate.as_ref().map_or_else(String::new, |rate| rate.value.clone())
        }
        Some(Kind::MarketingSpend(spend)) => amount_of(spend.amount.as_ref()),
        _ => format!("sent {}", local_day(record.update_time.as_ref(), time_zone)),
    }
}

fn deal_words(deal: &Deal, time_zone: &str) -> String {
    let status = match deal.status() {
        DealStatus::Won => format!("won {}", local_day(deal.closed_at.as_ref(), time_zone)),
        DealStatus::Lost => format!("lost {}", local_day(deal.closed_at.as_ref(), time_zone)),
        DealStatus::Open | DealStatus::Unspecified => "open".into(),
    };
    match &deal.amount {
        Some(amount) => format!("{status}, {}", amount_of(Some(amount))),
        None => format!("{status}, no amount"),
    }
}

fn lead_words(lead: &Lead, time_zone: &str) -> String {
    let decided = local_day(lead.decided_at.as_ref(), time_zone);
    match lead.outcome() {
        LeadOutcome::Converted => format!("converted {decided}"),
        LeadOutcome::Disqualified => format!("disqualified {decided}"),
        LeadOutcome::Open | LeadOutcome::Unspecified => "open".into(),
    }
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::{DateRange, Ratio, Record, Trend, figure};
    use channel_kpi::proto::google::r#type::Money;

    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().expect("RFC 3339"))
    }

    fn definition(known_at: Option<Timestamp>) -> Option<Definition> {
        let on = |month| Some(Date { year: 2024, month, day: 1 });
        Some(Definition {
            window: Some(DateRange { start_on: on(3), end_on: on(4) }),
            as_of: on(4),
            reporting_currency_code: "USD".into(),
            time_zone: "Asia/Dhaka".into(),
            premises: Some(Premises { known_at, ..Premises::default() }),
            ..Definition::default()
        })
    }

    fn restated(kpi: Kpi, earlier: f64, later: f64) -> RestatedKpi {
        let figure = |quotient| {
            let ratio = Ratio { quotient, ..Ratio::default() };
            Some(Figure { result: Some(figure::Result::Value(ratio)) })
        };
        let change = Change {
            absolute: Some(later - earlier),
            relative: Some((later - earlier) / earlier),
            trend: Trend::Worse.into(),
        };
        let compared =
            ComparedFigure { figure: figure(later), comparison: figure(earlier), change: Some(change) };
        RestatedKpi { kpi: kpi.into(), compared: Some(compared), won_amount: None }
    }

    #[test]
    fn an_answer_tells_figures_and_records() {
        let deal = |status: DealStatus, units| {
            let amount = Some(Money { currency_code: "USD".into(), units, nanos: 0 });
            // After midnight in Dhaka.
            let closed_at = at("2024-03-04T20:00:00Z");
            let deal =
                Deal { deal_id: "d1".into(), status: status.into(), amount, closed_at, ..Deal::default() };
            let record = Record { record: Some(Kind::Deal(deal)), ..Record::default() };
            Some(RecordVersion { record: Some(record), ..RecordVersion::default() })
        };
        let moved = RestatingRecord {
            key: Some(RecordKey { key: Some(Key::DealId("d1".into())) }),
            earlier: deal(DealStatus::Won, 200),
            later: deal(DealStatus::Open, 210),
            version_count: 1,
            kpis: vec![Kpi::DealCount.into(), Kpi::DealSuccess.into()],
        };
        let settings = RestatingRecord {
            key: Some(RecordKey { key: Some(Key::TenantSettings(true)) }),
            later: Some(RecordVersion {
                record: Some(Record { update_time: at("2024-04-01T12:00:00Z"), ..Record::default() }),
                ..RecordVersion::default()
            }),
            version_count: 2,
            ..RestatingRecord::default()
        };
        let answer = CompareKnowledgeResponse {
            kpis: vec![restated(Kpi::DealCount, 4.0, 3.0), restated(Kpi::DealSuccess, 0.8, 0.75)],
            records: vec![moved, settings],
            record_count: 3,
            earlier_definition: definition(at("2024-04-05T09:00:00Z")),
            later_definition: definition(None),
            ..CompareKnowledgeResponse::default()
        };
        let expected = "\
The company, 2024-03-01 to 2024-03-31, as of 2024-04-01
amounts in USD; dates in Asia/Dhaka
earlier: as the host knew it at 2024-04-05 09:00:00 UTC
later: all that is known now

KPI           Earlier    Later        Change
Deal count          4        3  -1 (-25.0 %)  worse
Deal success  80.00 %  75.00 %      -5.00 pp  worse

3 records made or may have made the difference; the first 2:
Record    Earlier                     Later             Versions  Moved
deal d1   won 2024-03-05, 200.00 USD  open, 210.00 USD         1  deal count, deal success
settings  not known                   sent 2024-04-01          2  may move all";
        assert_eq!(told(&answer), expected);
        let nothing = CompareKnowledgeResponse { records: Vec::new(), record_count: 0, ..answer };
        assert!(told(&nothing).ends_with("No record made a difference."), "{}", told(&nothing));
    }
}
