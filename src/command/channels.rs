//! `channels`: what came by each marketing channel, what it cost and whether it pays, as a table or as JSON.

use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    ComparedFigure, Figure, GetMarketingPerformanceRequest, GetMarketingPerformanceResponse, MarketingBasis,
    MarketingFigures, MarketingPerformance, Media, Window, quantity,
};
use channel_kpi::proto::google::r#type::Date;
use clap::{Args, ValueEnum};

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::premises::PremisesArgs;
use super::subject::SubjectArgs;
use super::words::{
    count_figure, heading, money_figure, points_change, quantity, rate_figure, ratio, relative_change, table,
    told, told_subject,
};
use super::{Ending, json, number, print, window};

/// Show what came by each marketing channel, what was spent on it, and whether it pays.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct ChannelsCommand {
    #[command(flatten)]
    subject: SubjectArgs,

    /// The days: see below.
    #[arg(long, value_name = "WINDOW", value_parser = window::parse)]
    window: Window,

    /// The last day that counts [default: today in the tenant's time zone].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date)]
    as_of: Option<Date>,

    /// Everything by its own date, or the window's leads and what they have led to.
    #[arg(long, value_name = "BASIS", default_value = "period")]
    basis: Basis,

    /// The answer as proto3 JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    premises: PremisesArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Basis {
    /// What happened in the window, each by its own date.
    Period,
    /// The leads that came in the window, and what they have led to since.
    Cohort,
}

fn after_help() -> String {
    format!("Windows:\n{}\n\n{EXAMPLES}", window::FORMS)
}

const EXAMPLES: &str = "\
Examples:
  Which channels paid in the third quarter of 2017:
    channel-kpi channels --window 2017-Q3

  What the leads of that quarter have led to by the end of the year:
    channel-kpi channels --window 2017-Q3 --basis cohort --as-of 2017-12-31

  What a partner made of its market development funds, paid media only:
    channel-kpi channels --partner P-17 --with-sub-partners --media paid --window last-90-days";

impl ChannelsCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        self.subject.check(false)?;
        let answer = self.connection.with(async |connection| self.ask(connection).await).await?;
        let text = if self.json {
            json::render("GetMarketingPerformanceResponse", &answer)
        } else {
            tables(&answer)
        };
        print(&text)?;
        Ok(Ending::Done)
    }

    async fn ask(&self, connection: Connection) -> Result<GetMarketingPerformanceResponse, Failure> {
        let basis = match self.basis {
            Basis::Period => MarketingBasis::Period,
            Basis::Cohort => MarketingBasis::Cohort,
        };
        let request = GetMarketingPerformanceRequest {
            subject: self.subject.subject(),
            window: Some(self.window),
            as_of: self.as_of,
            basis: basis.into(),
            premises: self.premises.premises(),
            consistency: None,
        };
        Ok(KpiServiceClient::new(connection).get_marketing_performance(request).await?.into_inner())
    }
}

fn tables(answer: &GetMarketingPerformanceResponse) -> String {
    let performance = answer.performance.clone().unwrap_or_default();
    let definition = answer.definition.clone().unwrap_or_default();
    let whose = told_subject(performance.subject.as_ref(), &performance.name);
    let basis = match performance.basis() {
        MarketingBasis::Cohort => "the leads that came in these days, and what they have led to",
        _ => "everything by its own date",
    };
    let heading = format!("{}\n{basis}", heading(&whose, &definition));
    let rows = rows(&performance);

    const COLUMNS: [&str; 11] = [
        "Channel",
        "Leads",
        "Converted",
        "Won",
        "Won amount",
        "Spend",
        "Per lead",
        "Per won deal",
        "ROAS",
        "ROI",
        "Close rate",
    ];
    let numbers: Vec<usize> = (1..COLUMNS.len()).collect();
    let mut figures = table(&COLUMNS, &numbers);
    for (name, row) in &rows {
        figures.add_row([
            name.clone(),
            count_figure(now(&row.lead_count)),
            count_figure(now(&row.converted_lead_count)),
            count_figure(now(&row.won_count)),
            money_figure(now(&row.won_amount)),
            money_figure(now(&row.spend)),
            money_figure(now(&row.cost_per_lead)),
            money_figure(now(&row.cost_per_won_deal)),
            told(now(&row.return_on_ad_spend), |quotient| number::rounded(quotient, 2)),
            rate_figure(now(&row.return_on_investment)),
            close_rate(now(&row.close_rate)),
        ]);
    }
    let mut parts = vec![heading, figures.trim_fmt()];
    if definition.comparison_window.is_some() {
        parts.push(changes(&rows));
    }
    parts.push(remarks(&performance.total.clone().unwrap_or_default()));
    parts.join("\n\n").trim_end().to_owned()
}

/// Each medium above its channels, the greatest won amount first; all in all at the end.
fn rows(performance: &MarketingPerformance) -> Vec<(String, MarketingFigures)> {
    let mut rows = Vec::new();
    for medium in &performance.media {
        let media = medium.media();
        let mut of_medium: Vec<(String, MarketingFigures)> = performance
            .channels
            .iter()
            .filter(|channel| channel.media() == media)
            .map(|channel| {
                let id = &channel.marketing_channel_id;
                let name = match channel.name.as_str() {
                    "" => id.clone(),
                    name if name == id => name.to_owned(),
                    name => format!("{name} ({id})"),
                };
                (format!("  {name}"), channel.figures.clone().unwrap_or_default())
            })
            .collect();
        of_medium.sort_by(|(_, a), (_, b)| won_amount(b).total_cmp(&won_amount(a))); // stable: then by id
        if media == Media::Unspecified
            && let Some(unattributed) = performance.unattributed.clone().filter(is_something)
        {
            of_medium.push(("  (no channel)".into(), unattributed));
        }
        if !of_medium.is_empty() {
            let name = match media {
                Media::Paid => "Paid",
                Media::Earned => "Earned",
                Media::Owned => "Owned",
                Media::Unspecified => "No known medium",
            };
            rows.push((name.to_owned(), medium.figures.clone().unwrap_or_default()));
            rows.extend(of_medium);
        }
    }
    rows.push(("All".to_owned(), performance.total.clone().unwrap_or_default()));
    rows
}

fn won_amount(row: &MarketingFigures) -> f64 {
    ratio(now(&row.won_amount)).map_or(0.0, |ratio| ratio.quotient)
}

/// Whether anything came in the window or in the one before.
fn is_something(row: &MarketingFigures) -> bool {
    [&row.lead_count, &row.converted_lead_count, &row.opened_count, &row.won_count, &row.close_rate]
        .into_iter()
        .flatten()
        .flat_map(|compared| [compared.figure.as_ref(), compared.comparison.as_ref()])
        .filter_map(ratio)
        .any(|ratio| !matches!(quantity_of(ratio.numerator.as_ref()), Some(0)))
}

fn quantity_of(term: Option<&channel_kpi::proto::channelkpi::v1::Quantity>) -> Option<i64> {
    match term?.quantity.as_ref()? {
        quantity::Quantity::Count(count) => Some(*count),
        quantity::Quantity::Amount(_) => None,
    }
}

/// How the rows changed since the window before.
fn changes(rows: &[(String, MarketingFigures)]) -> String {
    const COLUMNS: [&str; 8] =
        ["Change", "Leads", "Won", "Won amount", "Spend", "Per lead", "Per won deal", "Close rate"];
    let numbers: Vec<usize> = (1..COLUMNS.len()).collect();
    let mut table = table(&COLUMNS, &numbers);
    for (name, row) in rows {
        let change =
            |figure: &Option<ComparedFigure>| figure.as_ref().and_then(|figure| figure.change.clone());
        table.add_row([
            name.clone(),
            relative_change(change(&row.lead_count).as_ref(), 0),
            relative_change(change(&row.won_count).as_ref(), 0),
            relative_change(change(&row.won_amount).as_ref(), 2),
            relative_change(change(&row.spend).as_ref(), 2),
            relative_change(change(&row.cost_per_lead).as_ref(), 2),
            relative_change(change(&row.cost_per_won_deal).as_ref(), 2),
            points_change(change(&row.close_rate).as_ref()),
        ]);
    }
    table.trim_fmt()
}

fn remarks(total: &MarketingFigures) -> String {
    let told = |count: i64, what: &str| (count > 0).then(|| format!("{} {what}", number::count(count)));
    let remarks = [
        told(total.unpriced_won_count, "deals won without a known amount: counted, worth 0 here."),
        told(total.unconverted_spend_day_count, "days of spends without an exchange rate: not in the spend."),
        total
            .unresolved_count
            .and_then(|count| told(count, "leads have neither purchased nor been lost yet.")),
    ];
    remarks.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn now(figure: &Option<ComparedFigure>) -> Option<&Figure> {
    figure.as_ref()?.figure.as_ref()
}

/// `11.80 % (271/2,296)`.
fn close_rate(figure: Option<&Figure>) -> String {
    match ratio(figure) {
        Some(ratio) => {
            let terms = format!("({}/{})", quantity(&ratio.numerator), quantity(&ratio.denominator));
            format!("{} {terms}", rate_figure(figure))
        }
        None => rate_figure(figure),
    }
}
