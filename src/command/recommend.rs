//! `recommend`: what to do, and on what that rests, as sentences in a language or as JSON.

use channel_kpi::proto::channelkpi::v1::analysis_service_client::AnalysisServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    Comparison, ListRecommendationsRequest, ListRecommendationsResponse, Recommendation, RecommendationRule,
    Severity, SubjectKind, Window,
};
use channel_kpi::proto::google::r#type::Date;
use clap::{Args, ValueEnum};

use super::connection::{Connection, ConnectionArgs};
use super::failure::Failure;
use super::premises::PremisesArgs;
use super::subject::SubjectArgs;
use super::words::{heading, told_subject};
use super::{Ending, json, number, print, window};

/// Say what to do: whom to praise, train or replace, which channel to stop paying, which deals to save.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct RecommendCommand {
    #[command(flatten)]
    subject: SubjectArgs,

    /// Of all of a kind, and not of the company; may be repeated. Without any and without a subject: everyone.
    #[arg(long, value_name = "KIND", conflicts_with = "whose")]
    kind: Vec<Kind>,

    /// Only this rule, such as size.falling; may be repeated.
    #[arg(long, value_name = "RULE", value_parser = parse_rule)]
    rule: Vec<RecommendationRule>,

    /// Only the first so many, at most 1,000.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,

    #[command(flatten)]
    advice: AdviceArgs,
}

/// What `recommend` and `plan` both take.
#[derive(Debug, Args)]
pub struct AdviceArgs {
    /// The days that are judged: see below [default: last-365-days].
    #[arg(long, value_name = "WINDOW", value_parser = window::parse)]
    pub window: Option<Window>,

    /// The last day that counts [default: today in the tenant's time zone].
    #[arg(long, value_name = "DATE", value_parser = window::parse_date)]
    pub as_of: Option<Date>,

    /// The window before: previous, year-before, or days like 2023-03-01..2023-04-01 [default: previous].
    #[arg(long, value_name = "WINDOW", value_parser = window::parse_comparison)]
    pub compare: Option<Comparison>,

    /// The language of the sentences: en or bn; what stands around them stays English [default: en].
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,

    /// The answer as proto3 JSON, with the figures and records that each recommendation rests on.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub premises: PremisesArgs,

    #[command(flatten)]
    pub connection: ConnectionArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Partner,
    Employee,
    Unit,
}

fn after_help() -> String {
    let rules: Vec<String> = rules().map(rule_id).collect();
    format!("Rules: {}\n\nWindows:\n{}\n\n{EXAMPLES}", rules.join(", "), window::FORMS)
}

const EXAMPLES: &str = "\
Examples:
  What is most pressing in the company:
    channel-kpi recommend

  What to talk about with a partner, in Bengali:
    channel-kpi recommend --partner P-17 --lang bn

  Which partners to replace, by the quarter that is over:
    channel-kpi recommend --kind partner --rule success.replace --window previous-quarter";

/// All rules that can be asked for.
fn rules() -> impl Iterator<Item = RecommendationRule> {
    (1..).map_while(|number| RecommendationRule::try_from(number).ok())
}

/// As the documentation writes it: `size.grow`.
pub fn rule_id(rule: RecommendationRule) -> String {
    let name = rule.as_str_name();
    name.strip_prefix("RECOMMENDATION_RULE_").unwrap_or(name).to_ascii_lowercase().replacen('_', ".", 1)
}

fn parse_rule(text: &str) -> Result<RecommendationRule, String> {
    rules().find(|rule| rule_id(*rule) == text).ok_or_else(|| {
        let all: Vec<String> = rules().map(rule_id).collect();
        let near = all.iter().max_by(|a, b| strsim::jaro(a, text).total_cmp(&strsim::jaro(b, text)));
        format!("there is no such rule; did you mean {}? All are in --help", near.map_or("", |near| near))
    })
}

// === impl RecommendCommand ===

impl RecommendCommand {
    pub async fn run(self) -> Result<Ending, Failure> {
        self.subject.check(false)?;
        let answer = self.advice.connection.with(async |connection| self.ask(connection).await).await?;
        let text = match self.advice.json {
            true => json::render("ListRecommendationsResponse", &answer),
            false => self.told(&answer),
        };
        print(&text)?;
        Ok(Ending::Done)
    }

    async fn ask(&self, connection: Connection) -> Result<ListRecommendationsResponse, Failure> {
        let kind = |kind: &Kind| match kind {
            Kind::Partner => SubjectKind::Partner.into(),
            Kind::Employee => SubjectKind::Employee.into(),
            Kind::Unit => SubjectKind::Unit.into(),
        };
        let advice = &self.advice;
        let request = ListRecommendationsRequest {
            subject: self.subject.subject(),
            subject_kinds: self.kind.iter().map(kind).collect(),
            rules: self.rule.iter().map(|rule| (*rule).into()).collect(),
            window: advice.window,
            as_of: advice.as_of,
            comparison: advice.compare,
            premises: advice.premises.premises(),
            language_code: advice.lang.clone().unwrap_or_default(),
            page_size: self.limit.into(),
            page_token: String::new(),
            consistency: None,
        };
        let mut client = AnalysisServiceClient::new(connection).max_decoding_message_size(usize::MAX);
        Ok(client.list_recommendations(request).await?.into_inner())
    }

    fn told(&self, answer: &ListRecommendationsResponse) -> String {
        let kinds = |kind: &Kind| match kind {
            Kind::Partner => "partners",
            Kind::Employee => "employees",
            Kind::Unit => "units",
        };
        let subject = self.subject.subject();
        let whose = match (&subject, self.kind.as_slice()) {
            (None, []) => "The company and everyone in it".to_owned(),
            (None, all) => format!("All {}", all.iter().map(kinds).collect::<Vec<_>>().join(" and ")),
            (Some(_), _) => told_subject(subject.as_ref(), ""),
        };
        let heading = heading(&whose, &answer.definition.clone().unwrap_or_default());
        let listed = recommendations(&answer.recommendations);
        let more =
            usize::try_from(answer.total_size).unwrap_or(0).saturating_sub(answer.recommendations.len());
        let more = match more {
            0 => String::new(),
            more => format!("\n{} more: --limit shows them.\n", number::count(more as i64)),
        };
        format!("{heading}\n\n{listed}{more}")
    }
}

/// Each in a few lines, under its severity.
pub fn recommendations(all: &[Recommendation]) -> String {
    if all.is_empty() {
        return "Nothing to say: no rule finds enough to speak of.\n".to_owned();
    }
    let mut text = String::new();
    for (place, recommendation) in all.iter().enumerate() {
        let severity = match recommendation.severity() {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Opportunity => "opportunity",
            Severity::Unspecified => "",
        };
        let at_stake = recommendation.expected_effect.as_ref();
        let at_stake = at_stake.map_or_else(String::new, |money| {
            format!(", at stake {} {}", number::to_the_cent(money), money.currency_code)
        });
        let gap = if place == 0 { "" } else { "\n" };
        text += &format!(
            "{gap}{severity}: {}{at_stake}\n  {}\n  {}\n",
            rule_id(recommendation.rule()),
            recommendation.finding,
            recommendation.advice
        );
        text += &records(recommendation);
    }
    text
}

/// The first records behind one, where there are any.
fn records(recommendation: &Recommendation) -> String {
    const SHOWN_MAX: usize = 5;
    let Recommendation { deal_ids, lead_ids, record_count, .. } = recommendation;
    let shown: Vec<&str> = deal_ids.iter().chain(lead_ids).take(SHOWN_MAX).map(String::as_str).collect();
    if shown.is_empty() {
        return String::new();
    }
    let goes_on = if *record_count > shown.len() as i64 { ", …" } else { "" };
    let records = if *record_count == 1 { "record" } else { "records" };
    format!("  {} {records}: {}{goes_on}\n", number::count(*record_count), shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_called_as_the_documentation_calls_them() {
        assert_eq!(rules().count(), 20);
        for (rule, id) in [
            (RecommendationRule::SizeGrow, "size.grow"),
            (RecommendationRule::ChannelEarnedWeak, "channel.earned_weak"),
            (RecommendationRule::VelocitySlowStage, "velocity.slow_stage"),
            (RecommendationRule::StrategyFails, "strategy.fails"),
        ] {
            assert_eq!(rule_id(rule), id);
            assert_eq!(parse_rule(id), Ok(rule));
        }
        let refusal = parse_rule("size.fall").expect_err("there is none");
        assert!(refusal.contains("did you mean size.falling?"), "{refusal}");
        assert!(parse_rule("unspecified").is_err());
    }

    #[test]
    fn recommendations_by_hand() {
        let recommendation = Recommendation {
            rule: RecommendationRule::CountHollow.into(),
            severity: Severity::Warning.into(),
            finding: "Padma won 6 deals.".into(),
            advice: "Qualify.".into(),
            expected_effect: Some(channel_kpi::proto::google::r#type::Money {
                currency_code: "USD".into(),
                units: 1_500,
                nanos: 0,
            }),
            deal_ids: (1..=6).map(|number| format!("D-{number}")).collect(),
            record_count: 6,
            ..Recommendation::default()
        };
        assert_eq!(
            recommendations(&[recommendation]),
            "warning: count.hollow, at stake 1,500.00 USD\n  Padma won 6 deals.\n  Qualify.\n  \
             6 records: D-1, D-2, D-3, D-4, D-5, …\n"
        );
        assert!(recommendations(&[]).starts_with("Nothing to say"));
    }
}
