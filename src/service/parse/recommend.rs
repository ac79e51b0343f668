//! What ListRecommendations and GetPlan are asked.

use super::path::{Path, Violations, collect};
use super::premises::premises;
use super::question::{
    Consistency, PageRequest, asked_consistency, asked_page_size, comparison, sent_token, subject_kind,
    window_spec,
};
use super::value::{self, each, each_once, known, optional};
use crate::domain::calendar::Date;
use crate::domain::premises::Premises;
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::{Comparison, WindowSpec};
use crate::kpi::recommendation::Rule;
use crate::proto::channelkpi::v1 as pb;
use crate::service::token;
use crate::text::Language;

/// Whom to speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The tenant, and all subjects of every kind.
    Everyone,
    One(Subject),
    /// At least one, each once.
    Kinds(Vec<SubjectKind>),
}

/// What advice is asked for, whomever it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdviceQuestion {
    /// Absent: the year that ends with `as_of`.
    pub window: Option<WindowSpec>,
    /// Absent: today in the tenant's zone, or the day of the walk's first page.
    pub as_of: Option<Date>,
    pub comparison: Comparison,
    pub premises: Premises,
    pub language: Language,
    pub consistency: Consistency,
}

/// ListRecommendations'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecommendationsQuestion {
    pub whom: Whom,
    /// Empty: all.
    pub rules: Vec<Rule>,
    pub asked: AdviceQuestion,
    pub page: PageRequest,
}

/// GetPlan's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanQuestion {
    pub subject: Subject,
    pub asked: AdviceQuestion,
}

pub fn list_recommendations(
    request: &pb::ListRecommendationsRequest,
) -> Result<RecommendationsQuestion, Violations> {
    let pb::ListRecommendationsRequest {
        subject,
        subject_kinds,
        rules,
        window,
        as_of,
        comparison: compared,
        premises: asked,
        language_code,
        page_size,
        page_token,
        consistency,
    } = request;
    let arguments_hash = token::arguments_hash(
        "ListRecommendations",
        &pb::ListRecommendationsRequest {
            page_size: 0,
            page_token: String::new(),
            consistency: None,
            ..request.clone()
        },
    );
    collect(Violations::KEPT_MAX, |at| {
        let whom = whom(at, subject, subject_kinds);
        let rules = asked_rules(at.field("rules"), rules);
        let page_size = asked_page_size(at.field("page_size"), *page_size);
        let asked = advice(at, window, as_of, compared, asked, language_code, consistency);
        let page = PageRequest { size: page_size?, token: sent_token(page_token), arguments_hash };
        Some(RecommendationsQuestion { whom: whom?, rules: rules?, asked: asked?, page })
    })
}

pub fn get_plan(request: &pb::GetPlanRequest) -> Result<PlanQuestion, Violations> {
    let pb::GetPlanRequest {
        subject,
        window,
        as_of,
        comparison: compared,
        premises: asked,
        language_code,
        consistency,
    } = request;
    collect(Violations::KEPT_MAX, |at| {
        let subject = value::subject_or_tenant(at.field("subject"), subject);
        let asked = advice(at, window, as_of, compared, asked, language_code, consistency);
        Some(PlanQuestion { subject: subject?, asked: asked? })
    })
}

/// The fields that both requests have.
fn advice(
    at: Path<'_>,
    window: &Option<pb::Window>,
    as_of: &Option<crate::proto::google::r#type::Date>,
    compared: &Option<pb::Comparison>,
    asked: &Option<pb::Premises>,
    language_code: &str,
    consistency: &Option<pb::Consistency>,
) -> Option<AdviceQuestion> {
    let window = match window {
        None => Some(None),
        Some(window) => window_spec(at.field("window"), window).map(Some),
    };
    let as_of = optional(at.field("as_of"), as_of, value::date);
    let comparison = comparison(at.field("comparison"), compared);
    let premises = premises(at.field("premises"), asked);
    let language = language(at.field("language_code"), language_code);
    let consistency = asked_consistency(at.field("consistency"), consistency);
    Some(AdviceQuestion {
        window: window?,
        as_of,
        comparison: comparison?,
        premises: premises?,
        language: language?,
        consistency: consistency?,
    })
}

fn whom(at: Path<'_>, subject: &Option<pb::Subject>, kinds: &[i32]) -> Option<Whom> {
    let kinds_at = at.field("subject_kinds");
    match (subject, kinds) {
        (None, []) => Some(Whom::Everyone),
        (Some(_), []) => value::subject_or_tenant(at.field("subject"), subject).map(Whom::One),
        (None, kinds) => {
            each_once(kinds_at, kinds.iter());
            each(kinds_at, kinds, |at, kind| subject_kind(at, *kind)).map(Whom::Kinds)
        }
        (Some(_), _) => kinds_at.refuse("is set beside subject: set one of them"),
    }
}

fn language(at: Path<'_>, code: &str) -> Option<Language> {
    let asked = if code.is_empty() { Language::DEFAULT_TAG } else { code };
    Language::find(asked).or_else(|| {
        let spoken = Language::tags().collect::<Vec<_>>().join(", ");
        at.refuse(format!("is {code:?}, but there are texts in {spoken} only"))
    })
}

fn asked_rules(at: Path<'_>, sent: &[i32]) -> Option<Vec<Rule>> {
    use pb::RecommendationRule as Wire;
    each_once(at, sent.iter());
    each(at, sent, |at, number| match known(at, *number)? {
        Wire::Unspecified => at.refuse("is unspecified: name a rule"),
        Wire::SizeGrow => Some(Rule::SizeGrow),
        Wire::SizeFalling => Some(Rule::SizeFalling),
        Wire::CountHollow => Some(Rule::CountHollow),
        Wire::PipelineThin => Some(Rule::PipelineThin),
        Wire::PipelineExpiring => Some(Rule::PipelineExpiring),
        Wire::PipelineBehind => Some(Rule::PipelineBehind),
        Wire::ChannelStop => Some(Rule::ChannelStop),
        Wire::ChannelEarnedWeak => Some(Rule::ChannelEarnedWeak),
        Wire::ChannelOwnedWeak => Some(Rule::ChannelOwnedWeak),
        Wire::ChannelInvest => Some(Rule::ChannelInvest),
        Wire::CloseFalling => Some(Rule::CloseFalling),
        Wire::CloseRising => Some(Rule::CloseRising),
        Wire::VelocitySlowStage => Some(Rule::VelocitySlowStage),
        Wire::ValueLead => Some(Rule::ValueLead),
        Wire::ValueLag => Some(Rule::ValueLag),
        Wire::SuccessStrong => Some(Rule::SuccessStrong),
        Wire::SuccessWeak => Some(Rule::SuccessWeak),
        Wire::SuccessReplace => Some(Rule::SuccessReplace),
        Wire::StrategyWorks => Some(Rule::StrategyWorks),
        Wire::StrategyFails => Some(Rule::StrategyFails),
    })
}
