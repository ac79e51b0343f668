//! `scorecard`: the KPIs of one subject, of every subject of a kind, or by a dimension, as a table or as JSON.

mod board;
mod card;

use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    Comparison, Dimension, GetScorecardRequest, GetScorecardResponse, Grouping, Kpi, ListScorecardsRequest,
    ListScorecardsResponse, SubjectKind, View, Window,
};
use channel_kpi::proto::google::r#type::Date;
use clap::{Args, ValueEnum};

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::premises::PremisesArgs;
use super::subject::SubjectArgs;
use super::{Ending, json, print, window};

pub use board::{COLUMNS, Columns, board};
pub use card::card;

/// Show KPIs: of the company, a partner, an employee or a unit, or of all of a kind.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct ScorecardCommand {
    #[command(flatten)]
    subject: SubjectArgs,

    /// Of every one of this kind.
    #[arg(long, value_name = "KIND", group = "whose")]
    by: Option<By>,

    /// By the values of a dimension, of the company or of one subject: partner-type, tier, region, product,
    /// marketing-channel, media, employee, unit, partner, credit, deal-label=KEY or partner-label=KEY.
    #[arg(long, value_name = "DIMENSION", conflicts_with = "by", value_parser = grouping)]
    group_by: Option<Grouping>,

    /// The days: see below.
    #[arg(long, value_name = "WINDOW", value_parser = window::parse)]
    window: Window,

    /// The last day that counts [default: today in the tenant's time zone].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date)]
    as_of: Option<Date>,

    /// Only these KPIs: may be given several times, or with commas between.
    #[arg(long, value_name = "KPI", value_delimiter = ',', value_parser = parse_kpi)]
    kpi: Vec<Kpi>,

    /// Compared with: previous, year-before, or days like 2023-03-01..2023-04-01 [default: previous].
    #[arg(long, value_name = "WINDOW", value_parser = window::parse_comparison)]
    compare: Option<Comparison>,

    /// With the place among peers, medians, percentiles, stage days and the close rate's context.
    #[arg(long)]
    full: bool,

    /// With the ids of the records behind each KPI.
    #[arg(long)]
    evidence: bool,

    /// With --by or --group-by: only the first so many, in order of their ids.
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
    format!("Windows:\n{}\n\nKPIs: {}\n\n{EXAMPLES}", window::FORMS, kpi_names())
}

const EXAMPLES: &str = "\
Examples:
  The company in the third quarter of 2017:
    channel-kpi scorecard --window 2017-Q3

  A distributor with all the partners below it, in the last 90 days:
    channel-kpi scorecard --partner P-17 --with-sub-partners --window last-90-days

  What each region brings, beside the year before:
    channel-kpi scorecard --group-by region --window previous-quarter --compare year-before

  Every department, how it stood at the end of March, for another program:
    channel-kpi scorecard --by unit --window this-month --as-of 2024-03-31 --json";

/// A kind of subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    Partner,
    Employee,
    Unit,
}

impl By {
    pub fn kind(self) -> SubjectKind {
        match self {
            Self::Partner => SubjectKind::Partner,
            Self::Employee => SubjectKind::Employee,
            Self::Unit => SubjectKind::Unit,
        }
    }

    /// In the singular.
    pub fn name(self) -> &'static str {
        match self {
            Self::Partner => "Partner",
            Self::Employee => "Employee",
            Self::Unit => "Unit",
        }
    }
}

/// The names of the KPIs are those of the API: `average-deal-size` is `KPI_AVERAGE_DEAL_SIZE`.
fn kpis() -> impl Iterator<Item = (String, Kpi)> {
    const NUMBER_MAX: i32 = 64;
    (1..=NUMBER_MAX).filter_map(|number| Kpi::try_from(number).ok()).map(|kpi| {
        let name = kpi.as_str_name().trim_start_matches("KPI_").to_lowercase().replace('_', "-");
        (name, kpi)
    })
}

pub fn parse_kpi(text: &str) -> Result<Kpi, String> {
    kpis()
        .find(|(name, _)| name == text)
        .map(|(_, kpi)| kpi)
        .ok_or_else(|| format!("the KPIs are {}", kpi_names()))
}

pub fn kpi_names() -> String {
    kpis().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

impl ScorecardCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        self.subject.check(self.by == Some(By::Partner))?;
        if self.limit.is_some() && self.by.is_none() && self.group_by.is_none() {
            return Err(Failure::Usage("--limit belongs to --by or --group-by".into()));
        }
        let text = if self.by.is_none() && self.group_by.is_none() {
            let answer = self.connection.with(async |connection| self.one(connection).await).await?;
            if self.json { json::render("GetScorecardResponse", &answer) } else { card(&answer) }
        } else {
            let answer = self.connection.with(async |connection| self.all(connection).await).await?;
            if self.json {
                json::render("ListScorecardsResponse", &answer)
            } else {
                board(&answer, &self.rows())
            }
        };
        print(&text)?;
        Ok(Ending::Done)
    }

    /// What the rows of a list are, in the singular.
    fn rows(&self) -> String {
        match (&self.group_by, self.by) {
            (Some(grouping), _) => {
                let dimension = grouping.dimension().as_str_name().trim_start_matches("DIMENSION_");
                let name = match grouping.label_key.as_str() {
                    "" => dimension.to_lowercase().replace('_', " "),
                    key => key.to_owned(),
                };
                let mut letters = name.chars();
                letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
            }
            (None, by) => by.unwrap_or(By::Partner).name().into(),
        }
    }

    fn view(&self) -> i32 {
        let view = match (self.evidence, self.full) {
            (true, _) => View::WithEvidence,
            (false, true) => View::Full,
            (false, false) => View::Basic,
        };
        view.into()
    }

    fn kpis(&self) -> Vec<i32> {
        self.kpi.iter().map(|kpi| (*kpi).into()).collect()
    }

    async fn one(&self, connection: Connection) -> Result<GetScorecardResponse, Failure> {
        let request = GetScorecardRequest {
            subject: self.subject.subject(),
            window: Some(self.window),
            as_of: self.as_of,
            kpis: self.kpis(),
            premises: self.premises.premises(),
            comparison: self.compare,
            view: self.view(),
            consistency: None,
        };
        Ok(KpiServiceClient::new(connection).get_scorecard(request).await?.into_inner())
    }

    async fn all(&self, connection: Connection) -> Result<ListScorecardsResponse, Failure> {
        let kind = self.by.map_or(SubjectKind::Unspecified, By::kind);
        let request = ListScorecardsRequest {
            subject_kind: kind.into(),
            include_sub_partners: self.by.is_some() && self.subject.with_sub_partners,
            window: Some(self.window),
            as_of: self.as_of,
            kpis: self.kpis(),
            premises: self.premises.premises(),
            comparison: self.compare,
            view: self.view(),
            grouping: self.group_by.clone(),
            subject: self.subject.subject(),
            ..ListScorecardsRequest::default()
        };
        list(connection, request, self.limit).await
    }
}

/// A dimension as it is named in the API: `marketing-channel` is `DIMENSION_MARKETING_CHANNEL`.
fn grouping(text: &str) -> Result<Grouping, String> {
    let (name, label_key) = text.split_once('=').unwrap_or((text, ""));
    let name = format!("DIMENSION_{}", name.to_uppercase().replace('-', "_"));
    let dimension = Dimension::from_str_name(&name).filter(|dimension| *dimension != Dimension::Unspecified);
    let dimension = dimension.ok_or_else(|| format!("`{text}` isn't a dimension such as region"))?;
    Ok(Grouping { dimension: dimension.into(), label_key: label_key.to_owned() })
}

/// All pages as one answer, or the first so many rows: with the definition and the revision of the last page.
pub(super) async fn list(
    connection: Connection,
    mut request: ListScorecardsRequest,
    limit: Option<u32>,
) -> Result<ListScorecardsResponse, Failure> {
    const PAGE_ROWS_MAX: u32 = 1_000;
    let mut client = KpiServiceClient::new(connection).max_decoding_message_size(usize::MAX);
    let mut whole = ListScorecardsResponse::default();
    loop {
        let rows_left = limit.map_or(u32::MAX, |limit| limit.saturating_sub(rows_of(&whole)));
        request.page_size = rows_left.min(PAGE_ROWS_MAX).cast_signed();
        let page = client.list_scorecards(request.clone()).await?.into_inner();
        whole.scorecards.extend(page.scorecards);
        whole.definition = page.definition;
        whole.revision_token = page.revision_token;
        whole.revision_changed |= page.revision_changed;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() || limit.is_some_and(|limit| rows_of(&whole) >= limit) {
            return Ok(whole);
        }
    }
}

fn rows_of(answer: &ListScorecardsResponse) -> u32 {
    u32::try_from(answer.scorecards.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kpis_are_named_as_in_the_api() {
        let names: Vec<String> = kpis().map(|(name, _)| name).collect();
        let expected = [
            "average-deal-size",
            "deal-count",
            "opportunity-pipeline",
            "marketing-channel",
            "close-rate",
            "deal-velocity",
            "value-score",
            "deal-success",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn dimensions_are_named_as_in_the_api() {
        let label = grouping("deal-label=segment").expect("a dimension");
        assert_eq!((label.dimension(), label.label_key.as_str()), (Dimension::DealLabel, "segment"));
        assert_eq!(grouping("marketing-channel").map(|g| g.dimension()), Ok(Dimension::MarketingChannel));
        assert!(grouping("unspecified").is_err());
    }
}
