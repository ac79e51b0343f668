//! `channels`: what came by each marketing channel, what it cost and whether it pays, as a table or as JSON.

use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    ChannelPerformance, ComparedFigure, Comparison, Figure, GetMarketingPerformanceRequest,
    GetMarketingPerformanceResponse, MarketingBasis, MarketingFigures, MarketingPerformance,
    MarketingVerdict, Media, View, Window,
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

    /// Compared with: previous, year-before, or days like 2023-03-01..2023-04-01 [default: previous].
    #[arg(long, value_name = "WINDOW", value_parser = window::parse_comparison)]
    compare: Option<Comparison>,

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
            comparison: self.compare,
            premises: self.premises.premises(),
            consistency: None,
            view: View::Full.into(),
        };
        Ok(KpiServiceClient::new(connection).get_marketing_performance(request).await?.into_inner())
    }
}

pub fn tables(answer: &GetMarketingPerformanceResponse) -> String {
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
    parts.push(verdicts(&performance));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n").trim_end().to_owned()
}

/// What is said of channels and media, on leads that are old enough to be judged.
fn verdicts(performance: &MarketingPerformance) -> String {
    let channels = |verdict: MarketingVerdict| {
        let judged = performance.channels.iter().filter(move |row| row.verdict() == verdict);
        let name = |row: &ChannelPerformance| match row.name.as_str() {
            "" => row.marketing_channel_id.clone(),
            name => name.to_owned(),
        };
        judged.map(name).collect::<Vec<_>>()
    };
    let weak = performance.media.iter().filter(|row| row.verdict() == MarketingVerdict::Weak);
    let weak = weak.map(|row| media_name(row.media()).to_owned()).collect();
    let said = [
        ("Stop further investment", channels(MarketingVerdict::Stop)),
        ("Move budget to", channels(MarketingVerdict::Invest)),
        ("Closes less than the other media", weak),
    ];
    let said = said.into_iter().filter(|(_, judged)| !judged.is_empty());
    said.map(|(what, judged)| format!("{what}: {}.", judged.join(", "))).collect::<Vec<_>>().join("\n")
}

fn media_name(media: Media) -> &'static str {
    match media {
        Media::Paid => "Paid",
        Media::Earned => "Earned",
        Media::Owned => "Owned",
        Media::Unspecified => "No known medium",
    }
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
            rows.push((media_name(media).to_owned(), medium.figures.clone().unwrap_or_default()));
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
    let counts = [&row.lead_count, &row.converted_lead_count, &row.opened_count, &row.won_count];
    let both = |compared: &ComparedFigure| [compared.figure.clone(), compared.comparison.clone()];
    let is_above_0 =
        |figure: &Option<Figure>| ratio(figure.as_ref()).is_some_and(|ratio| ratio.quotient > 0.0);
    ratio(now(&row.close_rate)).is_some()
        || counts.into_iter().flatten().flat_map(both).any(|f| is_above_0(&f))
}

/// How the rows changed since the window before.
fn changes(rows: &[(String, MarketingFigures)]) -> String {
    const COLUMNS: [&str; 8] =
        ["Change", "Leads", "Won", "Won amount", "Spend", "Per lead", "Per won deal", "Close rate"];
    let numbers: Vec<usize> = (1..COLUMNS.len()).collect();
    let mut table = table(&COLUMNS, &numbers);
    for (name, row) in rows {
        let change = |figure: &Option<ComparedFigure>| figure.as_ref().and_then(|figure| figure.change);
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

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::{
        AbsentReason, Change, ChannelPerformance, DateRange, Definition, MediumPerformance, Quantity, Ratio,
        figure, quantity,
    };
    use channel_kpi::proto::google::r#type::Money;

    use super::*;

    fn count(count: i64) -> Quantity {
        Quantity { quantity: Some(quantity::Quantity::Count(count)) }
    }

    fn compared(result: figure::Result) -> Option<ComparedFigure> {
        let change = Change { absolute: Some(1.0), relative: None, trend: 0 };
        let figure = Some(Figure { result: Some(result) });
        Some(ComparedFigure { figure, comparison: None, change: Some(change) })
    }

    fn counted(number: i64, denominator: i64) -> Option<ComparedFigure> {
        let (quotient, denominator_) = (number as f64 / denominator as f64, Some(count(denominator)));
        let numerator = Some(count(number));
        compared(figure::Result::Value(Ratio { quotient, numerator, denominator: denominator_ }))
    }

    fn money(units: i64) -> Option<ComparedFigure> {
        let amount = Money { currency_code: "USD".into(), units, nanos: 0 };
        let numerator = Some(Quantity { quantity: Some(quantity::Quantity::Amount(amount)) });
        let ratio = Ratio { quotient: units as f64, numerator, denominator: Some(count(1)) };
        compared(figure::Result::Value(ratio))
    }

    fn row(won_units: i64) -> Option<MarketingFigures> {
        let no_spend = || compared(figure::Result::AbsentReason(AbsentReason::NoSpend.into()));
        Some(MarketingFigures {
            lead_count: counted(2, 1),
            converted_lead_count: counted(1, 1),
            won_count: counted(1, 1),
            won_amount: money(won_units),
            unpriced_won_count: 3,
            spend: money(0),
            cost_per_lead: no_spend(),
            cost_per_won_deal: no_spend(),
            return_on_ad_spend: no_spend(),
            return_on_investment: no_spend(),
            close_rate: counted(1, 2),
            ..MarketingFigures::default()
        })
    }

    #[test]
    fn media_stand_above_their_channels_and_the_greatest_come_first() {
        let channel = |id: &str, name: &str, media: Media, won_units| ChannelPerformance {
            marketing_channel_id: id.into(),
            name: name.into(),
            media: media.into(),
            figures: row(won_units),
            verdict: MarketingVerdict::Unspecified.into(),
        };
        let media = [Media::Paid, Media::Earned, Media::Owned, Media::Unspecified];
        let performance = MarketingPerformance {
            total: row(1_300),
            media: media
                .map(|media| MediumPerformance {
                    media: media.into(),
                    figures: row(1),
                    verdict: MarketingVerdict::Unspecified.into(),
                })
                .into(),
            channels: vec![
                channel("ads", "Ads", Media::Paid, 300),
                channel("banner", "", Media::Paid, 1_000),
                channel("blog", "blog", Media::Owned, 0),
            ],
            unattributed: Some(MarketingFigures::default()),
            ..MarketingPerformance::default()
        };
        let date = |month, day| Some(Date { year: 2024, month, day });
        let march = Some(DateRange { start_on: date(3, 1), end_on: date(4, 1) });
        let definition = Definition { window: march, as_of: date(3, 31), ..Definition::default() };
        let mut answer = GetMarketingPerformanceResponse {
            performance: Some(performance),
            definition: Some(definition),
            ..GetMarketingPerformanceResponse::default()
        };
        let text = tables(&answer);
        let expected = "\
Channel      Leads  Converted  Won  Won amount  Spend  Per lead  Per won deal      ROAS       ROI     Close rate
Paid             2          1    1        1.00   0.00  no spend      no spend  no spend  no spend  50.00 % (1/2)
  banner         2          1    1    1,000.00   0.00  no spend      no spend  no spend  no spend  50.00 % (1/2)
  Ads (ads)      2          1    1      300.00   0.00  no spend      no spend  no spend  no spend  50.00 % (1/2)
Owned            2          1    1        1.00   0.00  no spend      no spend  no spend  no spend  50.00 % (1/2)
  blog           2          1    1        0.00   0.00  no spend      no spend  no spend  no spend  50.00 % (1/2)
All              2          1    1    1,300.00   0.00  no spend      no spend  no spend  no spend  50.00 % (1/2)

3 deals won without a known amount: counted, worth 0 here.";
        assert!(text.starts_with("The company, 2024-03-01 to 2024-03-31, as of 2024-03-31\n"), "{text}");
        assert!(text.ends_with(&format!("\neverything by its own date\n\n{expected}")), "{text}");

        let (performance, definition) = (answer.performance.as_mut(), answer.definition.as_mut());
        let (performance, definition) = (performance.expect("it is set"), definition.expect("it is set"));
        performance.set_basis(MarketingBasis::Cohort);
        performance.unattributed = row(5);
        performance.channels[0].set_verdict(MarketingVerdict::Stop);
        performance.channels[1].set_verdict(MarketingVerdict::Stop);
        performance.channels[2].set_verdict(MarketingVerdict::Invest);
        performance.media[1].set_verdict(MarketingVerdict::Weak);
        definition.comparison_window = definition.window;
        let text = tables(&answer);
        assert!(text.contains("\nthe leads that came in these days, and what they have led to\n"), "{text}");
        let verdicts = "\n\nStop further investment: Ads, banner.\nMove budget to: blog.\n\
                        Closes less than the other media: Earned.";
        assert!(text.ends_with(verdicts), "{text}");
        assert!(text.contains("\nNo known medium      2 "), "{text}");
        assert!(text.contains("\n  (no channel)       2 "), "{text}");
        let change = "\n  banner            +1   +1       +1.00  +1.00     +1.00         +1.00  +100.00 pp\n";
        assert!(text.contains(change), "{text}");
    }
}
