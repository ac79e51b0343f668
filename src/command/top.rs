//! `top`: who leads, as a table, as JSON, or live: the table changes as the sidecar's records do.

mod live;
mod table;

use channel_kpi::proto::channelkpi::v1::leaderboard_service_client::LeaderboardServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    Comparison, GetLeaderboardRequest, LeaderboardQuery, RankedBy, RateOrder, TieRule,
    WatchLeaderboardRequest, Window,
};
use channel_kpi::proto::google::r#type::Date;
use clap::{Args, ValueEnum};

use super::connection::ConnectionArgs;
use super::failure::Failure;
use super::premises::PremisesArgs;
use super::scorecard::By;
use super::{Ending, json, print, window};
use table::Titles;

/// Show who leads: partners, employees or units ranked by any figure, once or live.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct TopCommand {
    /// By which figure they are ranked: see below.
    #[arg(long, value_name = "FIGURE", default_value = "won-amount", value_parser = parse_figure)]
    kpi: RankedBy,

    /// Who is ranked.
    #[arg(long, value_name = "KIND", default_value = "partner")]
    by: By,

    /// Partners with the partners below them.
    #[arg(long)]
    with_sub_partners: bool,

    /// The days: see below.
    #[arg(long, value_name = "WINDOW", default_value = "last-90-days", value_parser = window::parse)]
    window: Window,

    /// The last day that counts [default: today in the tenant's time zone].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date, conflicts_with = "watch")]
    as_of: Option<Date>,

    /// Ranks are compared with those of: previous, year-before, or days like 2023-03-01..2023-04-01
    /// [default: previous].
    #[arg(long, value_name = "WINDOW", value_parser = window::parse_comparison)]
    compare: Option<Comparison>,

    /// Only the first so many: 1 to 1,000.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(i32).range(1..=1_000))]
    limit: i32,

    /// This one too, wherever it stands, with its neighbours: may be given up to ten times.
    #[arg(long, value_name = "ID")]
    pin: Vec<String>,

    /// Which ranks equal figures have: 1, 2, 2, 4, or 1, 2, 2, 3, or 1, 2, 3, 4.
    #[arg(long, value_name = "RULE", default_value = "competition")]
    ties: Ties,

    /// Rank rates by the lower bound of their 95 % interval: one out of one is then no match for 90 out of 100.
    #[arg(long)]
    lower_bound: bool,

    /// Rank rates of at least so many only [default: 5].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    min_sample: Option<i32>,

    /// Go on and show every change, until Ctrl-C. Where stdout is no terminal each one is written below the other.
    #[arg(long)]
    watch: bool,

    /// The answer as proto3 JSON; with --watch a line for each change.
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
  The ten partners who sold most in the last 90 days:
    channel-kpi top

  The same live, as deals are won:
    channel-kpi top --watch

  Which employees win most of what they take on this quarter, chance left aside:
    channel-kpi top --kpi deal-success --by employee --window this-quarter --lower-bound

  Where one distributor stands with all below it, beside the year before:
    channel-kpi top --kpi value-score --with-sub-partners --limit 3 --pin P-17 --compare year-before

  Every change for another program, a line each:
    channel-kpi top --kpi deal-count --window year-to-date --watch --json | jq -r '.rows[0].name'";

/// As in the API: `TIE_RULE_DENSE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ties {
    Competition,
    Dense,
    Unique,
}

impl From<Ties> for TieRule {
    fn from(ties: Ties) -> Self {
        match ties {
            Ties::Competition => Self::Competition,
            Ties::Dense => Self::Dense,
            Ties::Unique => Self::Unique,
        }
    }
}

/// The names of the figures are those of the API: `won-amount` is `RANKED_BY_WON_AMOUNT`.
fn figures() -> impl Iterator<Item = (String, RankedBy)> {
    const NUMBER_MAX: i32 = 256;
    (1..=NUMBER_MAX).filter_map(|number| RankedBy::try_from(number).ok()).map(|figure| {
        let name = figure.as_str_name().trim_start_matches("RANKED_BY_").to_lowercase().replace('_', "-");
        (name, figure)
    })
}

fn parse_figure(text: &str) -> Result<RankedBy, String> {
    figures()
        .find(|(name, _)| name == text)
        .map(|(_, figure)| figure)
        .ok_or_else(|| format!("the figures are {}", figure_names()))
}

fn figure_names() -> String {
    figures().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

// === impl TopCommand ===

impl TopCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        if self.with_sub_partners && self.by != By::Partner {
            return Err(Failure::Usage("--with-sub-partners belongs to --by partner".into()));
        }
        let titles = Titles { figure: self.kpi, rows: self.by.name(), with_lower_bound: self.lower_bound };
        if self.watch {
            let request = WatchLeaderboardRequest {
                query: Some(self.query()),
                limit: Some(self.limit),
                pinned_subject_ids: self.pin.clone(),
                resume_token: String::new(),
            };
            let work = async |connection| live::watch(connection, request, &titles, self.json).await;
            return self.connection.with(work).await;
        }
        let request = GetLeaderboardRequest {
            query: Some(self.query()),
            as_of: self.as_of,
            page_size: self.limit,
            pinned_subject_ids: self.pin.clone(),
            ..GetLeaderboardRequest::default()
        };
        let answer = self.connection.with(async |connection| {
            let mut client = LeaderboardServiceClient::new(connection).max_decoding_message_size(usize::MAX);
            Ok(client.get_leaderboard(request).await?.into_inner())
        });
        let answer = answer.await?;
        print(&match self.json {
            true => json::render("GetLeaderboardResponse", &answer),
            false => table::told(&answer, &titles),
        })?;
        Ok(Ending::Done)
    }

    fn query(&self) -> LeaderboardQuery {
        let rate_order = if self.lower_bound { RateOrder::LowerBound } else { RateOrder::Unspecified };
        LeaderboardQuery {
            subject_kind: self.by.kind().into(),
            include_sub_partners: self.with_sub_partners,
            ranked_by: self.kpi.into(),
            window: Some(self.window),
            comparison: self.compare,
            premises: self.premises.premises(),
            tie_rule: TieRule::from(self.ties).into(),
            rate_order: rate_order.into(),
            sample_min: self.min_sample,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_named_as_in_the_api() {
        let names: Vec<String> = figures().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 29);
        assert_eq!((names[0].as_str(), names[28].as_str()), ("average-deal-size", "lost-prospect-count"));
        assert_eq!(parse_figure("close-rate-resolved"), Ok(RankedBy::CloseRateResolved));
        assert!(parse_figure("luck").is_err_and(|problem| problem.contains("won-amount")));
    }
}
