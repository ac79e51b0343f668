//! `explain`: why a figure changed since the comparison window, in parts that add up, as a table or as JSON.

use channel_kpi::proto::channelkpi::v1::analysis_service_client::AnalysisServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    ChangeExplanation, ComparedFigure, Comparison, Dimension, ExplainChangeRequest, ExplainChangeResponse,
    ExplainedFigure, Factor, FactorDriver, FactorDrivers, MemberDriver, MemberDrivers, Window,
    change_explanation,
};
use channel_kpi::proto::google::r#type::Date;
use clap::{Args, ValueEnum};
use comfy_table::Table;

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::premises::PremisesArgs;
use super::subject::SubjectArgs;
use super::words::{
    absence, count_figure, days_figure, group_value, heading, money_figure, number_figure, percent,
    points_change, rate_figure, relative_change, table, told_subject,
};
use super::{Ending, json, number, print, window};

/// Explain why a figure changed: by its factors, or by the members of a dimension.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct ExplainCommand {
    #[command(flatten)]
    subject: SubjectArgs,

    /// Which figure.
    #[arg(long, value_name = "FIGURE")]
    figure: Explained,

    /// Over what a rate is split: needed for close-rate and deal-success.
    #[arg(long, value_name = "DIMENSION")]
    by: Option<By>,

    /// The days to which it changed: see below.
    #[arg(long, value_name = "WINDOW", value_parser = window::parse)]
    window: Window,

    /// The last day that counts [default: today in the tenant's time zone].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date)]
    as_of: Option<Date>,

    /// Since when: previous, year-before, or days like 2023-03-01..2023-04-01 [default: previous].
    #[arg(long, value_name = "WINDOW", value_parser = window::parse_comparison)]
    compare: Option<Comparison>,

    /// With --by: only the so many that moved the figure most, at most 1,000; the others are added up.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,

    /// The answer as proto3 JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    premises: PremisesArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Explained {
    /// By deals in work, win rate, average deal size and cycle days.
    DealVelocity,
    /// By deals won, the share of them whose amount is known, and average deal size.
    WonAmount,
    /// By the members of a dimension.
    CloseRate,
    /// By the members of a dimension.
    DealSuccess,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Region,
    MarketingChannel,
    Partner,
}

fn after_help() -> String {
    format!("Windows:\n{}\n\n{EXAMPLES}", window::FORMS)
}

const EXAMPLES: &str = "\
Examples:
  Why the company's deals brought more or less in the third quarter of 2017 than in the second:
    channel-kpi explain --figure won-amount --window 2017-Q3

  What made a partner faster than a year before:
    channel-kpi explain --figure deal-velocity --partner P-17 --window last-90-days --compare year-before

  Whether prospects of some region were won less often, or more of them came where few are won:
    channel-kpi explain --figure close-rate --by region --window previous-quarter";

// === impl ExplainCommand ===

impl ExplainCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        self.subject.check(false)?;
        let is_rate = matches!(self.figure, Explained::CloseRate | Explained::DealSuccess);
        if is_rate != self.by.is_some() {
            let text = if is_rate {
                "a rate is split over a dimension: give --by"
            } else {
                "--by belongs to close-rate and deal-success"
            };
            return Err(Failure::Usage(text.into()));
        }
        let answer = self.connection.with(async |connection| self.ask(connection).await).await?;
        let text = if self.json { json::render("ExplainChangeResponse", &answer) } else { told(&answer) };
        print(&text)?;
        Ok(Ending::Done)
    }

    async fn ask(&self, connection: Connection) -> Result<ExplainChangeResponse, Failure> {
        let figure = match self.figure {
            Explained::DealVelocity => ExplainedFigure::DealVelocity,
            Explained::WonAmount => ExplainedFigure::WonAmount,
            Explained::CloseRate => ExplainedFigure::CloseRate,
            Explained::DealSuccess => ExplainedFigure::DealSuccess,
        };
        let dimension = self.by.map_or(Dimension::Unspecified, |by| match by {
            By::Region => Dimension::Region,
            By::MarketingChannel => Dimension::MarketingChannel,
            By::Partner => Dimension::Partner,
        });
        let request = ExplainChangeRequest {
            subject: self.subject.subject(),
            explained_figure: figure.into(),
            window: Some(self.window),
            as_of: self.as_of,
            comparison: self.compare,
            premises: self.premises.premises(),
            dimension: dimension.into(),
            member_limit: self.limit.into(),
            consistency: None,
        };
        Ok(AnalysisServiceClient::new(connection).explain_change(request).await?.into_inner())
    }
}

/// The figure's change in a line, and its parts in a table whose last line adds them up.
fn told(answer: &ExplainChangeResponse) -> String {
    let definition = answer.definition.clone().unwrap_or_default();
    let heading = heading(&told_subject(answer.subject.as_ref(), &answer.name), &definition);
    let explanation = answer.explanation.clone().unwrap_or_default();
    let parts = match &explanation.result {
        Some(change_explanation::Result::Factors(drivers)) => factors(&explanation, drivers).trim_fmt(),
        Some(change_explanation::Result::Members(drivers)) => members(drivers).trim_fmt(),
        Some(change_explanation::Result::AbsentReason(reason)) => {
            format!("Why it changed can't be told: {}.", absence(*reason))
        }
        None => String::new(),
    };
    format!("{heading}\n\n{}\n\n{parts}", summary(&explanation))
}

/// `Won amount 1,500.00, before 900.00: +600.00 (+66.7 %)`
fn summary(explanation: &ChangeExplanation) -> String {
    let compared = explanation.compared.clone().unwrap_or_default();
    let (name, [now, before, change]) = match explanation.explained_figure() {
        ExplainedFigure::CloseRate => ("Close rate", rate_cells(&compared)),
        ExplainedFigure::DealSuccess => ("Deal success", rate_cells(&compared)),
        ExplainedFigure::DealVelocity => ("Deal velocity", money_cells(&compared)),
        ExplainedFigure::WonAmount => ("Won amount", money_cells(&compared)),
        ExplainedFigure::Unspecified => ("The figure", money_cells(&compared)), // a newer sidecar's
    };
    let before = if before.is_empty() { before } else { format!(", before {before}") };
    let change = if change.is_empty() { change } else { format!(": {change}") };
    format!("{name} {now}{before}{change}")
}

/// A figure, the one before, and the change.
type Cells = [String; 3];

fn money_cells(compared: &ComparedFigure) -> Cells {
    let ComparedFigure { figure, comparison, change } = compared;
    [money_figure(figure.as_ref()), money_figure(comparison.as_ref()), relative_change(change.as_ref(), 2)]
}

fn rate_cells(compared: &ComparedFigure) -> Cells {
    let ComparedFigure { figure, comparison, change } = compared;
    [rate_figure(figure.as_ref()), rate_figure(comparison.as_ref()), points_change(change.as_ref())]
}

fn factors(explanation: &ChangeExplanation, drivers: &FactorDrivers) -> Table {
    let mut table = table(&["Factor", "Value", "Before", "Change", "Part"], &[1, 2, 3, 4]);
    for driver in &drivers.factors {
        let (name, [now, before, change]) = factor(driver);
        table.add_row([name.into(), now, before, change, number::signed(driver.part, 2)]);
    }
    let change = explanation.compared.as_ref().and_then(|compared| compared.change?.absolute);
    let sum = change.map_or_else(String::new, |change| number::signed(change, 2));
    table.add_row(["Together".into(), String::new(), String::new(), String::new(), sum]);
    table
}

fn factor(driver: &FactorDriver) -> (&'static str, Cells) {
    let compared = driver.compared.clone().unwrap_or_default();
    let cells = |figure: fn(Option<&_>) -> String, places: usize| {
        let ComparedFigure { figure: now, comparison, change } = &compared;
        [figure(now.as_ref()), figure(comparison.as_ref()), relative_change(change.as_ref(), places)]
    };
    match driver.factor() {
        Factor::DealsInWork => ("Deals in work", cells(|figure| number_figure(figure, 2), 2)),
        Factor::WinRate => ("Win rate", rate_cells(&compared)),
        Factor::AverageDealSize => ("Average deal size", money_cells(&compared)),
        Factor::CycleDays => ("Cycle (divides)", cells(days_figure, 1)),
        Factor::WonCount => ("Deals won", cells(count_figure, 0)),
        Factor::PricedShare => ("Amount known", rate_cells(&compared)),
        Factor::Unspecified => ("?", money_cells(&compared)), // a newer sidecar's
    }
}

fn members(drivers: &MemberDrivers) -> Table {
    let header = match drivers.dimension() {
        Dimension::MarketingChannel => "Channel",
        Dimension::Partner => "Partner",
        _ => "Region",
    };
    let titles = [header, "Rate", "Before", "Change", "Share", "Before", "By rate", "By mix"];
    let mut table = table(&titles, &[1, 2, 3, 4, 5, 6, 7]);
    for driver in &drivers.members {
        let MemberDriver { share, comparison_share, rate_part, mix_part, .. } = driver;
        let [now, before, change] = rate_cells(&driver.compared.clone().unwrap_or_default());
        let shares = [percent(*share), percent(*comparison_share)];
        let parts = [points(*rate_part), points(*mix_part)];
        table.add_row([member(driver), now, before, change].into_iter().chain(shares).chain(parts));
    }
    let mut add_sum = |name: String, by_rate: String, by_mix: String| {
        let empty = vec![String::new(); titles.len() - 3];
        table.add_row([name].into_iter().chain(empty).chain([by_rate, by_mix]));
    };
    if let Some(others) = drivers.others.filter(|others| others.count > 0) {
        let name = format!("{} others", number::count(others.count));
        add_sum(name, points(others.rate_part), points(others.mix_part));
    }
    add_sum("Together".into(), points(drivers.rate_part), points(drivers.mix_part));
    if drivers.overlap_part != 0.0 {
        add_sum("Counted for several".into(), String::new(), points(drivers.overlap_part));
    }
    table
}

/// Its name and id, or the value of its dimension.
fn member(driver: &MemberDriver) -> String {
    let value = driver.group.as_ref().map(group_value).unwrap_or_default();
    match driver.name.as_str() {
        "" => value,
        name if name == value => value,
        name => format!("{name} ({value})"),
    }
}

/// Percentage points.
fn points(part: f64) -> String {
    format!("{} pp", number::signed(part * 100.0, 2))
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::{
        AbsentReason, Change, DateRange, Definition, Figure, Group, OtherMembers, Ratio, figure,
    };

    use super::*;

    fn compared(now: f64, before: f64) -> Option<ComparedFigure> {
        let figure = |quotient| {
            let ratio = Ratio { quotient, ..Ratio::default() };
            Some(Figure { result: Some(figure::Result::Value(ratio)) })
        };
        let absolute = Some(now - before);
        let change = Change { absolute, relative: Some((now - before) / before), ..Change::default() };
        Some(ComparedFigure { figure: figure(now), comparison: figure(before), change: Some(change) })
    }

    /// What stands below the heading.
    fn lines(
        figure: ExplainedFigure,
        whole: Option<ComparedFigure>,
        result: change_explanation::Result,
    ) -> Vec<String> {
        let on = |month| Some(Date { year: 2024, month, day: 1 });
        let definition = Definition {
            window: Some(DateRange { start_on: on(3), end_on: on(4) }),
            as_of: on(4),
            reporting_currency_code: "USD".into(),
            time_zone: "Asia/Dhaka".into(),
            ..Definition::default()
        };
        let explanation =
            ChangeExplanation { explained_figure: figure.into(), compared: whole, result: Some(result) };
        let answer = ExplainChangeResponse {
            explanation: Some(explanation),
            definition: Some(definition),
            ..ExplainChangeResponse::default()
        };
        told(&answer).lines().skip(3).map(str::to_owned).collect()
    }

    #[test]
    fn factors_stand_in_a_table() {
        let driver = |factor: Factor, now, before, part| FactorDriver {
            factor: factor.into(),
            compared: compared(now, before),
            part,
        };
        let factors = vec![
            driver(Factor::DealsInWork, 8.0, 4.0, 27.725_9),
            driver(Factor::WinRate, 0.5, 0.25, 27.725_9),
            driver(Factor::AverageDealSize, 1_000.0, 1_000.0, 0.0),
            driver(Factor::CycleDays, 50.0, 25.0, -27.725_9),
        ];
        let result = change_explanation::Result::Factors(FactorDrivers { factors });
        let expected = [
            "Deal velocity 80.00, before 40.00: +40.00 (+100.0 %)",
            "",
            "Factor                Value     Before             Change    Part",
            "Deals in work          8.00       4.00   +4.00 (+100.0 %)  +27.73",
            "Win rate            50.00 %    25.00 %          +25.00 pp  +27.73",
            "Average deal size  1,000.00   1,000.00       0.00 (0.0 %)    0.00",
            "Cycle (divides)   50.0 days  25.0 days  +25.0 (+100.0 %)  -27.73",
            "Together                                                   +40.00",
        ];
        let found = lines(ExplainedFigure::DealVelocity, compared(80.0, 40.0), result);
        let squeezed = |lines: &[String]| -> Vec<String> {
            lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(squeezed(&found), squeezed(&expected.map(str::to_owned)));
    }

    #[test]
    fn members_stand_in_a_table() {
        let group =
            |value: &str, uncredited| Some(Group { value: value.into(), uncredited, ..Group::default() });
        let driver = |group, name: &str, rate_part, mix_part| MemberDriver {
            group,
            name: name.into(),
            compared: compared(0.5, 0.25),
            share: 0.75,
            comparison_share: 0.5,
            rate_part,
            mix_part,
        };
        let drivers = MemberDrivers {
            dimension: Dimension::Partner.into(),
            rate_part: 0.1,
            mix_part: -0.02,
            overlap_part: 0.01,
            members: vec![
                driver(group("P-1", false), "Padma", 0.15, 0.01),
                driver(group("", true), "", -0.05, -0.03),
            ],
            others: Some(OtherMembers { count: 1_200, rate_part: 0.0, mix_part: 0.0 }),
        };
        let result = change_explanation::Result::Members(drivers);
        let found = lines(ExplainedFigure::CloseRate, compared(0.5, 0.41), result);
        let expected = [
            "Close rate 50.00 %, before 41.00 %: +9.00 pp",
            "",
            "Partner                 Rate   Before     Change    Share   Before    By rate    By mix",
            "Padma (P-1)          50.00 %  25.00 %  +25.00 pp  75.00 %  50.00 %  +15.00 pp  +1.00 pp",
            "(uncredited)         50.00 %  25.00 %  +25.00 pp  75.00 %  50.00 %   -5.00 pp  -3.00 pp",
            "1,200 others                                                          0.00 pp   0.00 pp",
            "Together                                                            +10.00 pp  -2.00 pp",
            "Counted for several                                                             +1.00 pp",
        ];
        assert_eq!(found[..5], expected.map(str::to_owned)[..5]);
        assert_eq!(found.len(), expected.len());
        assert!(found[7].starts_with("Counted for several") && found[7].ends_with("+1.00 pp"), "{found:?}");
    }

    #[test]
    fn what_cant_be_told_says_why() {
        let absent = change_explanation::Result::AbsentReason(AbsentReason::NoDealWon.into());
        let found = lines(ExplainedFigure::WonAmount, compared(80.0, 40.0), absent);
        assert_eq!(found.last().map(String::as_str), Some("Why it changed can't be told: no deal won."));
    }
}
