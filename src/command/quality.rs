//! `quality`: what is odd or missing in the records that figures rest on, and what to do about it, as a table or
//! as JSON.

use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    DataQuality, DataQualityFinding, FindingKind, GetDataQualityRequest, GetDataQualityResponse, Window,
};
use channel_kpi::proto::google::r#type::Date;
use clap::Args;

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::premises::PremisesArgs;
use super::subject::SubjectArgs;
use super::words::{day, days, table, told_subject};
use super::{Ending, json, number, print, window};

/// Show what is odd or missing in the records behind the figures, and what to do about it.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct QualityCommand {
    #[command(flatten)]
    subject: SubjectArgs,

    /// The days in which deals were open or ended: see below.
    #[arg(long, value_name = "WINDOW", value_parser = window::parse)]
    window: Window,

    /// The last day that counts [default: today in the tenant's time zone].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date)]
    as_of: Option<Date>,

    /// List the ids too: the first 1,000 of each finding.
    #[arg(long)]
    ids: bool,

    /// The answer as proto3 JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    premises: PremisesArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

fn after_help() -> String {
    format!("Windows:\n{}\n\n{EXAMPLES}", window::FORMS)
}

const EXAMPLES: &str = "\
Examples:
  What to mend before the quarter's figures go to the board:
    channel-kpi quality --window this-quarter

  One department's deals of the last 90 days, with their ids:
    channel-kpi quality --unit north --window last-90-days --ids";

impl QualityCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        self.subject.check(false)?;
        let answer = self.connection.with(async |connection| self.ask(connection).await).await?;
        print(&if self.json { json::render("GetDataQualityResponse", &answer) } else { told(&answer) })?;
        Ok(Ending::Done)
    }

    async fn ask(&self, connection: Connection) -> Result<GetDataQualityResponse, Failure> {
        let request = GetDataQualityRequest {
            subject: self.subject.subject(),
            window: Some(self.window),
            as_of: self.as_of,
            include_ids: self.ids,
            premises: self.premises.premises(),
            consistency: None,
        };
        let mut client = KpiServiceClient::new(connection).max_decoding_message_size(usize::MAX);
        Ok(client.get_data_quality(request).await?.into_inner())
    }
}

/// What a finding is called, of what it counts, and what to do about it.
struct Words {
    name: &'static str,
    of: Of,
    advice: &'static str,
}

/// Of what a finding counts.
#[derive(Clone, Copy)]
enum Of {
    Deals,
    OpenDeals,
    ConvertedLeads,
    Circles,
}

fn words(kind: FindingKind) -> Words {
    use FindingKind as Kind;
    let (name, of, advice) = match kind {
        Kind::NoAmount => ("No amount", Of::Deals, "send it: until then the deal is in counts, not in money"),
        Kind::NoRate => ("No exchange rate", Of::Deals, "send rates from the deal's first date on"),
        Kind::NoCredit => ("No credited partner", Of::Deals, "credit a partner, unless it is a direct deal"),
        Kind::UnknownPartner => {
            ("Unknown partner", Of::Deals, "send the partner, or mend the deal's credits")
        }
        Kind::UnknownOwner => ("Unknown owner", Of::Deals, "send the employee, or mend the deal's owner"),
        Kind::UnknownUnit => ("Unknown unit", Of::Deals, "send the unit, or mend the deal's unit"),
        Kind::UnknownLead => {
            ("Unknown lead", Of::Deals, "send the lead: until then the deal is a prospect itself")
        }
        Kind::UnknownChannel => ("Unknown channel", Of::Deals, "send the marketing channel with its medium"),
        Kind::ClosedBeforeOpened => {
            ("Closed before opened", Of::Deals, "mend the dates: the end counts as both")
        }
        Kind::ExpiredBeforeOpened => {
            ("Expires before opened", Of::Deals, "mend the dates: it counts as expiring at once")
        }
        Kind::ClosedInFuture => ("Closed in the future", Of::Deals, "mend the date: it is open until then"),
        Kind::OneVersion => {
            ("Only one version", Of::Deals, "send every change: stages and movement need them")
        }
        Kind::ExpectedClosePassed => ("Expected close passed", Of::OpenDeals, "close it, or expect it anew"),
        Kind::Stale => ("Not heard of for long", Of::OpenDeals, "ask the owner; close what is dead"),
        Kind::ConvertedWithoutDeal => {
            ("Converted without deal", Of::ConvertedLeads, "send the deal, or name the lead in it")
        }
        Kind::PartnerParentCircle => {
            ("Partners above each other", Of::Circles, "mend a parent of the circle")
        }
        Kind::UnitParentCircle => ("Units above each other", Of::Circles, "mend a parent of the circle"),
        Kind::PartnerMergerCircle => ("Partners merged in a circle", Of::Circles, "name one survivor"),
        Kind::EmployeeMergerCircle => ("Employees merged in a circle", Of::Circles, "name one survivor"),
        Kind::Unspecified => ("Something newer", Of::Circles, "ask with a newer program"),
    };
    Words { name, of, advice }
}

fn told(answer: &GetDataQualityResponse) -> String {
    let quality = answer.data_quality.clone().unwrap_or_default();
    let definition = answer.definition.clone().unwrap_or_default();
    let partial = if definition.partial { ", to date" } else { "" };
    let as_of = day(&definition.as_of);
    let whose = told_subject(quality.subject.as_ref(), &quality.name);
    let leads = quality
        .converted_lead_count
        .map_or_else(String::new, |count| format!("; {} leads converted in them", number::count(count)));
    let heading = format!(
        "{whose}, {}{partial}, as of {as_of}\n{} deals open or ended in these days{leads}; {} deals open on {as_of}",
        days(&definition.window),
        number::count(quality.deal_count),
        number::count(quality.open_deal_count),
    );
    let (found, fine): (Vec<_>, Vec<_>) = quality.findings.iter().partition(|finding| finding.count > 0);
    let mut findings = table(&["Found", "Count", "Of", "What to do"], &[1, 2]);
    for finding in &found {
        let Words { name, of, advice } = words(finding.kind());
        let advice = match finding.kind() {
            FindingKind::Stale => format!("for over {} days: {advice}", definition.stale_days),
            _ => advice.to_owned(),
        };
        findings.add_row([name.to_owned(), number::count(finding.count), whole(of, &quality), advice]);
    }
    let fine: Vec<String> = fine.iter().map(|finding| words(finding.kind()).name.to_lowercase()).collect();
    let fine = if fine.is_empty() { String::new() } else { format!("Nothing of: {}.", fine.join(", ")) };
    let findings = if found.is_empty() { String::new() } else { findings.trim_fmt() };
    let sections = [heading, findings].into_iter().chain(found.iter().filter_map(|found| listed(found)));
    let sections = sections.chain([fine]).filter(|section| !section.is_empty());
    sections.collect::<Vec<_>>().join("\n\n")
}

/// How many there are of what a finding counts.
fn whole(of: Of, quality: &DataQuality) -> String {
    match of {
        Of::Deals => number::count(quality.deal_count),
        Of::OpenDeals => number::count(quality.open_deal_count),
        Of::ConvertedLeads => quality.converted_lead_count.map_or_else(String::new, number::count),
        Of::Circles => String::new(),
    }
}

/// The ids of a finding, where they were asked for.
fn listed(finding: &DataQualityFinding) -> Option<String> {
    let name = words(finding.kind()).name;
    let more = |listed: usize| match finding.count - listed as i64 {
        0 => String::new(),
        more => format!(" and {} more", number::count(more)),
    };
    if !finding.circles.is_empty() {
        let circles: Vec<String> = finding.circles.iter().map(|circle| circle.ids.join(" > ")).collect();
        return Some(format!("{name}:\n  {}{}", circles.join("\n  "), more(circles.len())));
    }
    if finding.record_ids.is_empty() {
        return None;
    }
    let mut text = format!("{name}:\n  {}{}", finding.record_ids.join(", "), more(finding.record_ids.len()));
    if !finding.missing_ids.is_empty() {
        text.push_str(&format!("\n  never sent: {}", finding.missing_ids.join(", ")));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::{DataQualityDefinition, DateRange, IdCircle};

    use super::*;

    fn finding(kind: FindingKind, count: i64) -> DataQualityFinding {
        DataQualityFinding { kind: kind.into(), count, ..DataQualityFinding::default() }
    }

    #[test]
    fn what_was_found_is_told_with_what_to_do() {
        let date = |month, day| Some(Date { year: 2024, month, day });
        let definition = DataQualityDefinition {
            window: Some(DateRange { start_on: date(3, 1), end_on: date(4, 1) }),
            as_of: date(3, 31),
            stale_days: 60,
            ..DataQualityDefinition::default()
        };
        let unknown = DataQualityFinding {
            record_ids: vec!["d1".into(), "d2".into()],
            missing_ids: vec!["Z".into()],
            ..finding(FindingKind::UnknownPartner, 1_002)
        };
        let circle = DataQualityFinding {
            circles: vec![IdCircle { ids: vec!["p1".into(), "p2".into()] }],
            ..finding(FindingKind::PartnerParentCircle, 1)
        };
        let quality = DataQuality {
            deal_count: 2_000,
            open_deal_count: 4,
            converted_lead_count: Some(2),
            findings: vec![
                finding(FindingKind::NoAmount, 0),
                unknown,
                finding(FindingKind::Stale, 3),
                circle,
                finding(FindingKind::UnitParentCircle, 0),
            ],
            ..DataQuality::default()
        };
        let answer = GetDataQualityResponse {
            data_quality: Some(quality),
            definition: Some(definition.clone()),
            ..GetDataQualityResponse::default()
        };
        let expected = "\
The company, 2024-03-01 to 2024-03-31, as of 2024-03-31
2,000 deals open or ended in these days; 2 leads converted in them; 4 deals open on 2024-03-31

Found                      Count     Of  What to do
Unknown partner            1,002  2,000  send the partner, or mend the deal's credits
Not heard of for long          3      4  for over 60 days: ask the owner; close what is dead
Partners above each other      1         mend a parent of the circle

Unknown partner:
  d1, d2 and 1,000 more
  never sent: Z

Partners above each other:
  p1 > p2

Nothing of: no amount, units above each other.";
        assert_eq!(told(&answer), expected);

        let fine =
            DataQuality { findings: vec![finding(FindingKind::NoAmount, 0)], ..DataQuality::default() };
        let answer = GetDataQualityResponse {
            data_quality: Some(fine),
            definition: Some(definition),
            ..GetDataQualityResponse::default()
        };
        assert!(told(&answer).ends_with("0 deals open on 2024-03-31\n\nNothing of: no amount."));
    }

    #[test]
    fn every_finding_has_words() {
        let kinds = (1..).map_while(|number| FindingKind::try_from(number).ok());
        let names: Vec<&str> = kinds.map(|kind| words(kind).name).collect();
        let once: std::collections::BTreeSet<&&str> = names.iter().collect();
        assert_eq!((names.len(), once.len()), (19, 19));
        assert!(!names.contains(&words(FindingKind::Unspecified).name));
    }
}
