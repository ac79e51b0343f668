//! `series`: the KPIs of one subject in each of a row of calendar periods, as a table or as JSON.

use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    Bucket, Figure, GetSeriesRequest, GetSeriesResponse, Kpi, Scorecard, SeriesPoint, TrendDirection,
    TrendEstimate, Window, series_trend,
};
use channel_kpi::proto::google::r#type::Date;
use clap::{Args, ValueEnum};

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::premises::PremisesArgs;
use super::scorecard::{COLUMNS, Columns, kpi_names, parse_kpi};
use super::subject::SubjectArgs;
use super::words::{calendar_date, day, days, heading, ratio, table, told_subject};
use super::{Ending, json, number, print, window};

/// Show how the KPIs of the company, a partner, an employee or a unit went, period by period.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct SeriesCommand {
    #[command(flatten)]
    subject: SubjectArgs,

    /// In which periods.
    #[arg(long, value_name = "PERIOD", default_value = "month")]
    by: By,

    /// The days that the series spans: see below.
    #[arg(long, value_name = "WINDOW", value_parser = window::parse)]
    window: Window,

    /// The last day that counts [default: today in the tenant's time zone].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date)]
    as_of: Option<Date>,

    /// Only these KPIs: may be given several times, or with commas between. The first one has bars.
    #[arg(long, value_name = "KPI", value_delimiter = ',', value_parser = parse_kpi)]
    kpi: Vec<Kpi>,

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
  Deals won by the company in each month of 2017:
    channel-kpi series --kpi deal-count --window 2017

  Whether a distributor with all the partners below it sells bigger deals, quarter by quarter:
    channel-kpi series --partner P-17 --with-sub-partners --by quarter --window 2015-01-01..2018-01-01

  What became of the prospects of each month of 2017 within 90 days of its end: all are judged at the same age
    channel-kpi series --kpi close-rate --window 2017 --as-of 2018-03-31

  Every day of the month so far, for another program:
    channel-kpi series --by day --window month-to-date --json";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Day,
    Week,
    Month,
    Quarter,
    Year,
    FiscalQuarter,
    FiscalYear,
}

// === impl By ===

impl By {
    fn bucket(self) -> Bucket {
        match self {
            Self::Day => Bucket::Day,
            Self::Week => Bucket::Week,
            Self::Month => Bucket::Month,
            Self::Quarter => Bucket::Quarter,
            Self::Year => Bucket::Year,
            Self::FiscalQuarter => Bucket::FiscalQuarter,
            Self::FiscalYear => Bucket::FiscalYear,
        }
    }

    /// A period's name: `2017-03`. Partial ones are told by the days that they have.
    fn name(self, point: &SeriesPoint) -> String {
        let Some(range) = point.dates.as_ref().filter(|_| !point.partial) else {
            return format!("{}{}", days(&point.dates), if is_to_date(point) { ", to date" } else { "" });
        };
        let Some(Date { year, month, .. }) = range.start_on else { return days(&point.dates) };
        match self {
            Self::Day => day(&range.start_on),
            Self::Month => format!("{year:04}-{month:02}"),
            Self::Quarter => format!("{year:04}-Q{}", (month - 1) / 3 + 1),
            Self::Year => format!("{year:04}"),
            Self::Week | Self::FiscalQuarter | Self::FiscalYear => days(&point.dates),
        }
    }

    fn header(self) -> &'static str {
        match self {
            Self::Day => "Day",
            Self::Week => "Week",
            Self::Month => "Month",
            Self::Quarter => "Quarter",
            Self::Year => "Year",
            Self::FiscalQuarter => "Fiscal quarter",
            Self::FiscalYear => "Fiscal year",
        }
    }
}

impl SeriesCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        self.subject.check(false)?;
        let answer = self.connection.with(async |connection| self.ask(connection).await).await?;
        let text = if self.json {
            json::render("GetSeriesResponse", &answer)
        } else {
            board(&answer, self.by, &self.kpi)
        };
        print(&text)?;
        Ok(Ending::Done)
    }

    async fn ask(&self, connection: Connection) -> Result<GetSeriesResponse, Failure> {
        let request = GetSeriesRequest {
            subject: self.subject.subject(),
            window: Some(self.window),
            bucket: self.by.bucket().into(),
            as_of: self.as_of,
            kpis: self.kpi.iter().map(|kpi| (*kpi).into()).collect(),
            premises: self.premises.premises(),
            consistency: None,
        };
        let mut client = KpiServiceClient::new(connection).max_decoding_message_size(usize::MAX);
        Ok(client.get_series(request).await?.into_inner())
    }
}

/// Whether its last day hasn't come.
fn is_to_date(point: &SeriesPoint) -> bool {
    let end = point.dates.as_ref().and_then(|dates| calendar_date(dates.end_on.as_ref()?));
    let as_of = point.as_of.as_ref().and_then(calendar_date);
    end.zip(as_of).is_some_and(|(end, as_of)| end.pred_opt() > Some(as_of))
}

/// A line for each bucket. The first KPI that was asked for has bars; where all were, the first that is shown.
fn board(answer: &GetSeriesResponse, by: By, asked: &[Kpi]) -> String {
    let definition = answer.definition.clone().unwrap_or_default();
    let heading = heading(&told_subject(answer.subject.as_ref(), &answer.name), &definition);
    if answer.points.is_empty() {
        return format!("{heading}\n\nNo day of these has come yet.");
    }
    let points: Vec<(&SeriesPoint, Scorecard)> =
        answer.points.iter().map(|point| (point, point.scorecard.clone().unwrap_or_default())).collect();
    // The company has no peers: its value score is told only where it is asked for by name.
    let is_company = answer.subject.as_ref().is_none_or(|subject| subject.subject.is_none());
    let is_idle = |columns: &Columns| is_company && columns.kpi == Kpi::ValueScore && asked.is_empty();
    let is_shown = |columns: &&Columns| {
        !is_idle(columns) && points.iter().any(|(_, card)| (columns.cells)(card).is_some())
    };
    let shown: Vec<&Columns> = COLUMNS.iter().filter(is_shown).collect();
    let cells = |card: &Scorecard| -> Vec<String> {
        let cells = |columns: &&Columns| {
            (columns.cells)(card).unwrap_or_else(|| vec![String::new(); columns.header.len()])
        };
        shown.iter().flat_map(cells).collect()
    };
    let rows: Vec<Vec<String>> = points.iter().map(|(_, card)| cells(card)).collect();
    let header: Vec<&str> = shown.iter().flat_map(|columns| columns.header).copied().collect();
    // Nothing is compared, and the company has no rank: what stays empty in all rows is left out.
    let filled: Vec<usize> =
        (0..header.len()).filter(|&column| rows.iter().any(|row| !row[column].is_empty())).collect();

    let barred = asked.first().copied().or(shown.first().map(|columns| columns.kpi));
    let bars = barred.map(|kpi| bars(&points, kpi)).unwrap_or_default();
    let titles = filled.iter().map(|&column| header[column]);
    let mut table_header = vec![by.header()];
    table_header.extend(titles);
    table_header.push(barred.map_or("", title));
    let mut table = table(&table_header, &(1..=filled.len()).collect::<Vec<_>>());
    for (place, (point, _)) in points.iter().enumerate() {
        let mut row = vec![by.name(point)];
        row.extend(filled.iter().map(|&column| rows[place][column].clone()));
        row.push(bars.get(place).cloned().unwrap_or_default());
        table.add_row(row);
    }
    format!("{heading}\n\n{}{}", table.trim_fmt(), trends(answer, by))
}

/// Below the table a line for each KPI whose trend can be told.
fn trends(answer: &GetSeriesResponse, by: By) -> String {
    if answer.trends.is_empty() {
        return String::new();
    }
    let (period, slope) = (format!("{}s", by.header()), format!("A {}", by.header().to_lowercase()));
    let mut table = table(&["Trend", "Direction", &slope, "p", &period], &[2, 3, 4]);
    for trend in &answer.trends {
        let Some(series_trend::Result::Estimate(estimate)) = trend.result else { continue };
        table.add_row([
            name(trend.kpi()),
            direction(estimate.direction()).into(),
            told_slope(trend.kpi(), &estimate),
            p_value(estimate.p_value),
            number::count(trend.bucket_count.into()),
        ]);
    }
    match table.is_empty() {
        true => "\n\nFewer than five whole periods that are over have a value: no trend is told.".into(),
        false => format!("\n\n{}", table.trim_fmt()),
    }
}

/// `Deal count`.
fn name(kpi: Kpi) -> String {
    let name = kpi.as_str_name().trim_start_matches("KPI_").replace('_', " ");
    let (first, rest) = name.split_at(1);
    first.to_owned() + &rest.to_lowercase()
}

fn direction(direction: TrendDirection) -> &'static str {
    match direction {
        TrendDirection::Rising => "rising",
        TrendDirection::Falling => "falling",
        TrendDirection::Flat => "flat",
        TrendDirection::Unspecified => "",
    }
}

/// In the unit in which the KPI's column is.
fn told_slope(kpi: Kpi, estimate: &TrendEstimate) -> String {
    let slope = estimate.slope_per_bucket;
    match kpi {
        Kpi::MarketingChannel | Kpi::CloseRate | Kpi::DealSuccess => {
            format!("{} pp", number::signed(slope * 100.0, 2))
        }
        _ => number::signed(slope, 2),
    }
}

fn p_value(p: f64) -> String {
    const LEAST: f64 = 0.0001;
    if p < LEAST { format!("< {LEAST}") } else { number::rounded(p, 4) }
}

/// Over the bars of a KPI: the first of its columns.
fn title(kpi: Kpi) -> &'static str {
    COLUMNS.iter().find(|columns| columns.kpi == kpi).map_or("", |columns| columns.header[0])
}

/// Each bucket's value as a part of the greatest. None where there is no value.
fn bars(points: &[(&SeriesPoint, Scorecard)], kpi: Kpi) -> Vec<String> {
    let quotient = |card: &Scorecard| ratio(figure(card, kpi)).map(|ratio| ratio.quotient);
    let quotients: Vec<Option<f64>> = points.iter().map(|(_, card)| quotient(card)).collect();
    let greatest = quotients.iter().flatten().copied().fold(0.0, f64::max);
    let part = |quotient: &Option<f64>| quotient.map_or(0.0, |quotient| quotient / greatest);
    quotients.iter().map(|quotient| bar(if greatest > 0.0 { part(quotient) } else { 0.0 })).collect()
}

fn figure(card: &Scorecard, kpi: Kpi) -> Option<&Figure> {
    match kpi {
        Kpi::Unspecified => None,
        Kpi::AverageDealSize => card.average_deal_size.as_ref()?.figure.as_ref(),
        Kpi::DealCount => card.deal_count.as_ref()?.figure.as_ref(),
        Kpi::OpportunityPipeline => card.opportunity_pipeline.as_ref()?.figure.as_ref(),
        Kpi::MarketingChannel => card.marketing_channel.as_ref()?.figure.as_ref(),
        Kpi::CloseRate => card.close_rate.as_ref()?.figure.as_ref(),
        Kpi::DealVelocity => card.deal_velocity.as_ref()?.figure.as_ref(),
        Kpi::ValueScore => card.value_score.as_ref()?.figure.as_ref(),
        Kpi::DealSuccess => card.deal_success.as_ref()?.figure.as_ref(),
    }
}

/// A bar of up to 20 blocks, in eighths of one. What isn't nothing has at least an eighth.
fn bar(part: f64) -> String {
    const BLOCKS_MAX: f64 = 20.0;
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let least = if part > 0.0 { 1.0 } else { 0.0 };
    let eighths = (part * BLOCKS_MAX * 8.0).round().max(least) as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::{
        AbsentReason, CloseRate, DateRange, DealCount, Definition, Quantity, Ratio, SeriesTrend, figure,
        quantity,
    };
    use channel_kpi::proto::google::r#type::Money;

    use super::*;

    fn date(year: i32, month: i32, day: i32) -> Option<Date> {
        Some(Date { year, month, day })
    }

    fn dates(start_on: Option<Date>, end_on: Option<Date>) -> Option<DateRange> {
        Some(DateRange { start_on, end_on })
    }

    fn ratio(numerator: i64, denominator: i64) -> Option<Figure> {
        let count = |count| Some(Quantity { quantity: Some(quantity::Quantity::Count(count)) });
        let quotient = numerator as f64 / denominator as f64;
        let ratio = Ratio { quotient, numerator: count(numerator), denominator: count(denominator) };
        Some(Figure { result: Some(figure::Result::Value(ratio)) })
    }

    fn point(dates: Option<DateRange>, partial: bool, won: i64, close_rate: Option<Figure>) -> SeriesPoint {
        let won_amount = Some(Money { currency_code: "USD".into(), units: 100 * won, nanos: 0 });
        let scorecard = Scorecard {
            deal_count: Some(Box::new(DealCount {
                figure: ratio(won, 1),
                won_amount,
                ..DealCount::default()
            })),
            close_rate: Some(Box::new(CloseRate { figure: close_rate, ..CloseRate::default() })),
            ..Scorecard::default()
        };
        SeriesPoint { dates, partial, as_of: date(2024, 3, 15), scorecard: Some(scorecard) }
    }

    fn answer(points: Vec<SeriesPoint>) -> GetSeriesResponse {
        let definition = Definition {
            window: dates(date(2024, 1, 1), date(2024, 4, 1)),
            as_of: date(2024, 3, 15),
            partial: true,
            reporting_currency_code: "USD".into(),
            time_zone: "Asia/Dhaka".into(),
            ..Definition::default()
        };
        GetSeriesResponse { points, definition: Some(definition), ..GetSeriesResponse::default() }
    }

    #[test]
    fn a_series_has_aligned_columns_and_bars() {
        let nothing = figure::Result::AbsentReason(AbsentReason::NoProspect.into());
        let told = answer(vec![
            point(dates(date(2024, 1, 1), date(2024, 2, 1)), false, 12, ratio(1, 2)),
            point(
                dates(date(2024, 2, 1), date(2024, 3, 1)),
                false,
                0,
                Some(Figure { result: Some(nothing) }),
            ),
            point(dates(date(2024, 3, 1), date(2024, 4, 1)), true, 3, ratio(1, 4)),
        ]);
        let text = board(&told, By::Month, &[]);
        let expected = [
            "The company, 2024-01-01 to 2024-03-31, to date, as of 2024-03-15",
            "amounts in USD; dates in Asia/Dhaka",
            "",
            "Month                              Won     Worth   Close rate  Won",
            "2024-01                             12  1,200.00      50.00 %  ████████████████████",
            "2024-02                              0      0.00  no prospect",
            "2024-03-01 to 2024-03-31, to date    3    300.00      25.00 %  █████",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        let rates = board(&told, By::Month, &[Kpi::CloseRate]);
        let ends: Vec<&str> = rates.lines().skip(3).map(|line| line.rsplit("  ").next().unwrap()).collect();
        assert_eq!(ends, ["Close rate", "████████████████████", "no prospect", "██████████"]);
    }

    #[test]
    fn trends_stand_below_the_table() {
        let trend = |kpi: Kpi, result| SeriesTrend { kpi: kpi.into(), bucket_count: 24, result };
        let estimate = |slope_per_bucket, p_value, direction: TrendDirection| {
            let direction = direction.into();
            let estimate = TrendEstimate { slope_per_bucket, p_value, direction };
            Some(series_trend::Result::Estimate(estimate))
        };
        let too_few = Some(series_trend::Result::AbsentReason(AbsentReason::TooFewBuckets.into()));
        let january = point(dates(date(2024, 1, 1), date(2024, 2, 1)), false, 12, ratio(1, 2));
        let mut told = answer(vec![january]);
        told.trends = vec![
            trend(Kpi::AverageDealSize, estimate(-1_234.567, 0.0401, TrendDirection::Falling)),
            trend(Kpi::DealCount, too_few),
            trend(Kpi::CloseRate, estimate(0.012_345, 0.000_001, TrendDirection::Rising)),
            trend(Kpi::DealSuccess, estimate(0.0, 1.0, TrendDirection::Flat)),
        ];
        let text = board(&told, By::Month, &[]);
        let lines: Vec<&str> = text.lines().skip(5).collect();
        let expected = [
            "",
            "Trend              Direction    A month         p  Months",
            "Average deal size  falling    -1,234.57    0.0401      24",
            "Close rate         rising      +1.23 pp  < 0.0001      24",
            "Deal success       flat         0.00 pp    1.0000      24",
        ];
        assert_eq!(lines, expected);
        told.trends = vec![trend(Kpi::DealCount, too_few)];
        assert!(board(&told, By::Month, &[]).ends_with("have a value: no trend is told."));
    }

    #[test]
    fn periods_are_named() {
        let named = |by: By, start, end| by.name(&point(dates(start, end), false, 0, None));
        assert_eq!(named(By::Day, date(2024, 2, 29), date(2024, 3, 1)), "2024-02-29");
        assert_eq!(named(By::Week, date(2024, 2, 26), date(2024, 3, 4)), "2024-02-26 to 2024-03-03");
        assert_eq!(named(By::Quarter, date(2024, 10, 1), date(2025, 1, 1)), "2024-Q4");
        assert_eq!(named(By::Year, date(2024, 1, 1), date(2025, 1, 1)), "2024");
        assert_eq!(named(By::FiscalYear, date(2023, 7, 1), date(2024, 7, 1)), "2023-07-01 to 2024-06-30");
    }

    #[test]
    fn a_series_of_days_to_come_says_so() {
        assert!(board(&answer(vec![]), By::Day, &[]).ends_with("No day of these has come yet."));
    }

    #[test]
    fn bars_by_hand() {
        for (part, expected) in [(0.0, ""), (0.000_1, "▏"), (0.05, "█"), (0.075, "█▌"), (0.25, "█████")]
        {
            assert_eq!(bar(part), expected, "{part}");
        }
    }
}
