//! `strategy`: the strategies that the company wants judged, and whether one works, as a table or as JSON.

use channel_kpi::proto::channelkpi::v1::analysis_service_client::AnalysisServiceClient;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::{
    Contrast, ContrastValue, EvaluateStrategyRequest, EvaluateStrategyResponse, Kpi, ListRecordsRequest,
    ListRecordsResponse, RecordKind, Strategy, StrategyEffect, StrategyVerdict, SubjectKind, contrast,
};
use channel_kpi::proto::google::r#type::Date;
use clap::Args;

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::premises::PremisesArgs;
use super::scorecard::{kpi_names, parse_kpi};
use super::words::{absence, day, heading, table};
use super::{Ending, json, number, print, window};

/// Show whether a strategy works: what it did to those that it is for, beside all others. Without an id: list
/// the strategies.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct StrategyCommand {
    /// Which strategy.
    #[arg(value_name = "ID")]
    strategy: Option<String>,

    /// By these KPIs: may be given several times, or with commas between [default: all that are good some way].
    #[arg(long, value_name = "KPI", value_delimiter = ',', value_parser = parse_kpi, requires = "strategy")]
    kpi: Vec<Kpi>,

    /// How many days after its start are compared with as many before.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 90,
        value_parser = clap::value_parser!(i32).range(1..=3_650),
        requires = "strategy"
    )]
    days: i32,

    /// The last day that counts [default: today in the tenant's time zone].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date, requires = "strategy")]
    as_of: Option<Date>,

    /// The answers as proto3 JSON: of each KPI one, on a line.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    premises: PremisesArgs,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// By which a strategy is judged where nothing else is asked for: all but the pipeline, which is good neither way.
const JUDGING: [Kpi; 7] = [
    Kpi::AverageDealSize,
    Kpi::DealCount,
    Kpi::MarketingChannel,
    Kpi::CloseRate,
    Kpi::DealVelocity,
    Kpi::ValueScore,
    Kpi::DealSuccess,
];

fn after_help() -> String {
    format!("KPIs: {}, of which the opportunity pipeline judges nothing.\n\n{EXAMPLES}", kpi_names())
}

const EXAMPLES: &str = "\
Examples:
  Which strategies the company wants judged:
    channel-kpi strategy

  Whether one works, by every KPI, in the 90 days since its start:
    channel-kpi strategy academy

  Whether more of its partners' prospects purchase, half a year on:
    channel-kpi strategy academy --kpi close-rate --days 182";

// === impl StrategyCommand ===

impl StrategyCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        let text = match &self.strategy {
            Some(id) => {
                let answers =
                    self.connection.with(async |connection| self.judge(id, connection).await).await?;
                if self.json {
                    let line = |answer| json::render_line("EvaluateStrategyResponse", answer);
                    answers.iter().map(line).collect::<Vec<_>>().join("\n")
                } else {
                    judged(&answers)
                }
            }
            None => {
                let answer = self.connection.with(list).await?;
                if self.json { json::render("ListRecordsResponse", &answer) } else { listed(&answer) }
            }
        };
        print(&text)?;
        Ok(Ending::Done)
    }

    async fn judge(
        &self,
        id: &str,
        connection: Connection,
    ) -> Result<Vec<EvaluateStrategyResponse>, Failure> {
        let mut client = AnalysisServiceClient::new(connection);
        let mut answers = Vec::new();
        for &kpi in if self.kpi.is_empty() { &JUDGING[..] } else { &self.kpi } {
            let request = EvaluateStrategyRequest {
                strategy_id: id.to_owned(),
                kpi: kpi.into(),
                days: Some(self.days),
                as_of: self.as_of,
                premises: self.premises.premises(),
                consistency: None,
            };
            answers.push(client.evaluate_strategy(request).await?.into_inner());
        }
        Ok(answers)
    }
}

/// All strategies, as one page.
async fn list(connection: Connection) -> Result<ListRecordsResponse, Failure> {
    const PAGE_SIZE_MAX: i32 = 1_000;
    let mut client = RecordServiceClient::new(connection).max_decoding_message_size(usize::MAX);
    let mut all = ListRecordsResponse::default();
    loop {
        let request = ListRecordsRequest {
            record_kind: RecordKind::Strategy.into(),
            page_size: PAGE_SIZE_MAX,
            page_token: std::mem::take(&mut all.next_page_token),
            ..ListRecordsRequest::default()
        };
        let page = client.list_records(request).await?.into_inner();
        let mut versions = std::mem::take(&mut all.versions);
        versions.extend(page.versions);
        all = ListRecordsResponse { versions, ..page };
        if all.next_page_token.is_empty() {
            return Ok(all);
        }
    }
}

fn listed(answer: &ListRecordsResponse) -> String {
    let mut table = table(&["Strategy", "Name", "From", "For"], &[]);
    let mut is_empty = true;
    for version in &answer.versions {
        let Some(Kind::Strategy(strategy)) =
            version.record.as_ref().and_then(|record| record.record.as_ref())
        else {
            continue;
        };
        let Strategy { strategy_id, name, start_on, .. } = strategy;
        table.add_row([strategy_id.clone(), name.clone(), day(start_on), for_whom(strategy)]);
        is_empty = false;
    }
    if is_empty { "There are no strategies.".into() } else { table.trim_fmt() }
}

/// `3 partners, 1 unit`
fn for_whom(strategy: &Strategy) -> String {
    let count = |is_it: fn(&Of) -> bool| {
        strategy.subjects.iter().filter(|subject| subject.subject.as_ref().is_some_and(is_it)).count()
    };
    let counts = [
        (count(|of| matches!(of, Of::Partner(_))), "partner"),
        (count(|of| matches!(of, Of::EmployeeId(_))), "employee"),
        (count(|of| matches!(of, Of::UnitId(_))), "unit"),
    ];
    let whole = strategy.subjects.iter().any(|subject| subject.subject.is_none());
    let some = counts.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| match count {
        1 => format!("1 {kind}"),
        count => format!("{} {kind}s", number::count(*count as i64)),
    });
    whole.then(|| "the company".to_owned()).into_iter().chain(some).collect::<Vec<_>>().join(", ")
}

/// What a strategy did, KPI by KPI and kind by kind.
fn judged(answers: &[EvaluateStrategyResponse]) -> String {
    let Some(first) = answers.first() else { return String::new() };
    let strategy = first.strategy.clone().unwrap_or_default();
    let Strategy { strategy_id, name, start_on, .. } = &strategy;
    let name = if name.is_empty() { strategy_id.clone() } else { format!("{name} ({strategy_id})") };
    let whose = format!("{name}, for {} from {} on", for_whom(&strategy), day(start_on));
    let heading = heading(&whose, &first.definition.clone().unwrap_or_default());
    if first.effects.is_empty() {
        return format!("{heading}\n\nIt is for the whole company: nobody is left to compare it with.");
    }
    let header = [
        "KPI",
        "Whose",
        "Judged",
        "Others",
        "Change",
        "Others'",
        "Effect",
        "95 % interval",
        "Before the start",
        "Verdict",
    ];
    let mut table = table(&header, &[2, 3, 4, 5, 6, 7, 8]);
    for answer in answers {
        let (name, unit) = kpi(answer.kpi());
        for effect in &answer.effects {
            let first = [name.to_owned(), kind(effect).to_owned()];
            table.add_row(first.into_iter().chain(cells(effect, unit)));
        }
    }
    format!("{heading}\n\n{}\n\n{REMARK}", table.trim_fmt())
}

const REMARK: &str = "\
The effect is the mean change less that of the others, who have no part in the strategy. Before the start it should
be about 0: else those that it is for went another way already.";

/// In which unit a KPI changes.
#[derive(Clone, Copy)]
enum Unit {
    /// Money, or a number of things.
    Plain,
    Points,
}

fn kpi(kpi: Kpi) -> (&'static str, Unit) {
    match kpi {
        Kpi::AverageDealSize => ("Average deal size", Unit::Plain),
        Kpi::DealCount => ("Deal count", Unit::Plain),
        Kpi::OpportunityPipeline => ("Opportunity pipeline", Unit::Plain),
        Kpi::MarketingChannel => ("Marketing channel", Unit::Points),
        Kpi::CloseRate => ("Close rate", Unit::Points),
        Kpi::DealVelocity => ("Deal velocity", Unit::Plain),
        Kpi::ValueScore => ("Value score", Unit::Plain),
        Kpi::DealSuccess => ("Deal success", Unit::Points),
        Kpi::Unspecified => ("?", Unit::Plain), // a newer sidecar's
    }
}

fn kind(effect: &StrategyEffect) -> &'static str {
    match effect.subject_kind() {
        SubjectKind::Partner if effect.include_sub_partners => "partners with sub-partners",
        SubjectKind::Partner => "partners",
        SubjectKind::Employee => "employees",
        SubjectKind::Unit => "units",
        SubjectKind::Unspecified => "?", // a newer sidecar's
    }
}

/// What stands behind KPI and kind.
fn cells(effect: &StrategyEffect, unit: Unit) -> [String; 8] {
    let contrast = effect.effect.unwrap_or_default();
    let count = |count: Option<i64>| count.map_or_else(String::new, number::count);
    let [change, others, value, interval] = match &contrast.result {
        Some(contrast::Result::Value(told)) => {
            let ContrastValue { treated_change, other_change, effect, .. } = *told;
            [unit.change(treated_change), unit.change(other_change), unit.change(effect), unit.interval(told)]
        }
        Some(contrast::Result::AbsentReason(reason)) => {
            [absence(*reason), String::new(), String::new(), String::new()]
        }
        None => Default::default(), // a newer sidecar's
    };
    let verdict = match effect.verdict() {
        StrategyVerdict::Works => "works",
        StrategyVerdict::Fails => "fails",
        StrategyVerdict::Undecided => "undecided",
        StrategyVerdict::Unspecified => "?", // a newer sidecar's
    };
    let counts = [count(contrast.treated_count), count(contrast.other_count)];
    let [judged, of_others] = counts;
    let placebo = placebo(&effect.placebo.unwrap_or_default(), unit);
    [judged, of_others, change, others, value, interval, placebo, verdict.into()]
}

/// `-0.20 (-1.10 to +0.70)`
fn placebo(contrast: &Contrast, unit: Unit) -> String {
    match &contrast.result {
        Some(contrast::Result::Value(told)) => {
            format!("{} ({})", unit.change(told.effect), unit.interval(told))
        }
        Some(contrast::Result::AbsentReason(reason)) => absence(*reason),
        None => String::new(),
    }
}

// === impl Unit ===

impl Unit {
    fn change(self, change: f64) -> String {
        match self {
            Self::Plain => number::signed(change, 2),
            Self::Points => format!("{} pp", number::signed(change * 100.0, 2)),
        }
    }

    fn interval(self, told: &ContrastValue) -> String {
        let interval = told.interval.unwrap_or_default();
        format!("{} to {}", self.change(interval.lower), self.change(interval.upper))
    }
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::{
        AbsentReason, DateRange, Definition, Interval, PartnerSubject, Record, RecordVersion, Subject,
    };

    use super::*;

    fn strategy(subjects: Vec<Option<Of>>) -> Strategy {
        Strategy {
            strategy_id: "S".into(),
            name: "Academy".into(),
            start_on: Some(Date { year: 2024, month: 3, day: 1 }),
            subjects: subjects.into_iter().map(|subject| Subject { subject }).collect(),
        }
    }

    fn partner(id: &str) -> Option<Of> {
        Some(Of::Partner(PartnerSubject { partner_id: id.into(), include_sub_partners: false }))
    }

    #[test]
    fn strategies_stand_in_a_list() {
        let version = |strategy| {
            let record = Some(Record { record: Some(Kind::Strategy(strategy)), ..Record::default() });
            RecordVersion { record, ..RecordVersion::default() }
        };
        let of_both = strategy(vec![partner("A"), partner("B"), Some(Of::UnitId("u".into()))]);
        let of_all = Strategy { strategy_id: "T".into(), ..strategy(vec![None]) };
        let answer = ListRecordsResponse {
            versions: vec![version(of_both), version(of_all)],
            ..ListRecordsResponse::default()
        };
        let expected = "\
Strategy  Name     From        For
S         Academy  2024-03-01  2 partners, 1 unit
T         Academy  2024-03-01  the company";
        assert_eq!(listed(&answer), expected);
        assert_eq!(listed(&ListRecordsResponse::default()), "There are no strategies.");
    }

    #[test]
    fn effects_stand_in_a_table() {
        let told = |effect: f64, half: f64| Contrast {
            treated_count: Some(2),
            other_count: Some(1_000),
            result: Some(contrast::Result::Value(ContrastValue {
                treated_change: effect + 0.5,
                other_change: 0.5,
                effect,
                interval: Some(Interval { lower: effect - half, upper: effect + half }),
            })),
        };
        let absent = |reason: AbsentReason| Contrast {
            treated_count: Some(1),
            other_count: Some(7),
            result: Some(contrast::Result::AbsentReason(reason.into())),
        };
        let on = |month| Some(Date { year: 2024, month, day: 1 });
        let definition = Definition {
            window: Some(DateRange { start_on: on(3), end_on: on(4) }),
            as_of: on(4),
            reporting_currency_code: "USD".into(),
            time_zone: "Asia/Dhaka".into(),
            ..Definition::default()
        };
        let answer = |kpi: Kpi, effects| EvaluateStrategyResponse {
            effects,
            strategy: Some(strategy(vec![partner("A"), Some(Of::UnitId("u".into()))])),
            kpi: kpi.into(),
            definition: Some(definition.clone()),
            ..EvaluateStrategyResponse::default()
        };
        let effect = |kind: SubjectKind, effect, placebo, verdict: StrategyVerdict| StrategyEffect {
            subject_kind: kind.into(),
            effect: Some(effect),
            placebo: Some(placebo),
            verdict: verdict.into(),
            ..StrategyEffect::default()
        };
        let few = || absent(AbsentReason::TooFewSubjects);
        let undecided = effect(SubjectKind::Unit, few(), few(), StrategyVerdict::Undecided);
        let works = |told, placebo| effect(SubjectKind::Partner, told, placebo, StrategyVerdict::Works);
        let answers = [
            answer(Kpi::DealCount, vec![works(told(2.0, 1.5), told(-0.25, 1.0)), undecided]),
            answer(Kpi::CloseRate, vec![works(told(0.125, 0.0625), few())]),
        ];
        let text = judged(&answers);
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let expected = [
            "Academy (S), for 1 partner, 1 unit from 2024-03-01 on, 2024-03-01 to 2024-03-31, as of 2024-04-01",
            "amounts in USD; dates in Asia/Dhaka",
            "",
            "KPI Whose Judged Others Change Others' Effect 95 % interval Before the start Verdict",
            "Deal count partners 2 1,000 +2.50 +0.50 +2.00 +0.50 to +3.50 -0.25 (-1.25 to +0.75) works",
            "Deal count units 1 7 too few to compare too few to compare undecided",
            "Close rate partners 2 1,000 +62.50 pp +50.00 pp +12.50 pp +6.25 pp to +18.75 pp too few to compare works",
        ];
        assert_eq!(lines[..expected.len()], expected);
        let whole = EvaluateStrategyResponse { effects: Vec::new(), ..answers[0].clone() };
        assert!(judged(&[whole]).ends_with("nobody is left to compare it with."));
    }
}
