//! Questions: what KpiService and the reading half of RecordService are asked.

use super::path::{Path, Violations, collect};
use super::premises::{premises, terms};
use super::record::Refusal;
use super::value::{self, each, known, optional, required, within};
use crate::domain::calendar::Date;
use crate::domain::filter::Dimension;
use crate::domain::ids::Term;
use crate::domain::premises::{Knowledge, Premises};
use crate::domain::record::{RecordKey, RecordKind};
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::{Comparison, PeriodPlace, PeriodUnit, WindowSpec};
use crate::kpi::Kpi;
use crate::proto::channelkpi::v1 as pb;
use crate::service::token;

/// GetScorecard's, and one of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScorecardQuestion {
    pub subject: Subject,
    pub asked: CardQuestion,
}

/// What is asked of a subject or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardQuestion {
    pub window: WindowSpec,
    /// Absent: today in the tenant's zone, or the day of the walk's first page.
    pub as_of: Option<Date>,
    pub comparison: Comparison,
    /// At least one, each once.
    pub kpis: Vec<Kpi>,
    pub view: View,
    pub premises: Premises,
}

/// How much of each KPI is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    Basic,
    Full,
    WithEvidence,
}

/// BatchGetScorecards'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScorecardBatch {
    /// At least one; of all the premises and view are the same.
    pub questions: Vec<ScorecardQuestion>,
    pub knowledge: Knowledge,
    pub consistency: Consistency,
}

/// ListScorecards'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScorecardsQuestion {
    pub rows: Rows,
    pub asked: CardQuestion,
    pub page: PageRequest,
    pub consistency: Consistency,
}

/// What a list has a row of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    Subjects {
        kind: SubjectKind,
        /// Never with another kind than partners.
        include_sub_partners: bool,
    },
    Groups {
        /// Whose.
        subject: Subject,
        dimension: Dimension,
    },
}

/// GetPipeline's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineQuestion {
    pub subject: Subject,
    /// Absent: today in the tenant's zone.
    pub as_of: Option<Date>,
    /// Absent: a month before `as_of`. Whether it is later is known where that is.
    pub since: Option<Date>,
    pub expiring_days: u16,
    /// Of the open deals alone. None: those without one. Empty: all.
    pub stages: Vec<Option<Term>>,
    pub premises: Premises,
    pub consistency: Consistency,
}

/// GetRecord's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordQuestion {
    pub key: RecordKey,
    pub consistency: Consistency,
}

/// ListRecords'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsQuestion {
    pub kind: RecordKind,
    pub include_deleted: bool,
    pub page: PageRequest,
    pub consistency: Consistency,
}

/// How fresh an answer must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consistency {
    MinimizeLatency,
    /// At least the revision of this token, which is read where the tenant is known.
    AtLeastAsFresh(String),
    FullyConsistent,
}

/// Which page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// 1 to [`PageRequest::SIZE_MAX`].
    pub size: usize,
    /// Absent for the first page; read where the tenant is known.
    pub token: Option<String>,
    /// Of what must stay the same during the walk: the method and all arguments but those of the page
    /// and consistency.
    pub arguments_hash: u64,
}

// === impl CardQuestion ===

impl CardQuestion {
    /// Whether cards of subjects that have peers tell of them.
    pub fn asks_for_peers(&self) -> bool {
        self.view >= View::Full || self.kpis.contains(&Kpi::ValueScore)
    }
}

// === impl PipelineQuestion ===

impl PipelineQuestion {
    pub const EXPIRING_DAYS_DEFAULT: u16 = 14;
}

// === impl PageRequest ===

impl PageRequest {
    pub const SIZE_DEFAULT: usize = 50;
    pub const SIZE_MAX: usize = 1_000;
}

/// The most questions of a batch.
pub const QUESTIONS_MAX: usize = 1_000;

pub fn get_scorecard(
    request: &pb::GetScorecardRequest,
) -> Result<(ScorecardQuestion, Consistency), Violations> {
    let pb::GetScorecardRequest {
        subject,
        window,
        as_of,
        kpis,
        consistency,
        premises: asked,
        comparison: compared,
        view: amount,
    } = request;
    collect(Violations::KEPT_MAX, |at| {
        let subject = value::subject_or_tenant(at.field("subject"), subject);
        let window = required(at.field("window"), window, window_spec);
        let as_of = optional(at.field("as_of"), as_of, value::date);
        let kpis = asked_kpis(at.field("kpis"), kpis);
        let premises = premises(at.field("premises"), asked);
        let comparison = comparison(at.field("comparison"), compared);
        let view = view(at.field("view"), *amount);
        let consistency = asked_consistency(at.field("consistency"), consistency);
        let asked = CardQuestion {
            window: window?,
            as_of,
            comparison: comparison?,
            kpis: kpis?,
            view: view?,
            premises: premises?,
        };
        Some((ScorecardQuestion { subject: subject?, asked }, consistency?))
    })
}

pub fn batch_get_scorecards(request: &pb::BatchGetScorecardsRequest) -> Result<ScorecardBatch, Refusal> {
    let pb::BatchGetScorecardsRequest { questions, premises: asked, view: amount, consistency } = request;
    if questions.len() > QUESTIONS_MAX {
        return Err(Refusal::TooManyItems {
            field: "questions",
            given: questions.len(),
            allowed: QUESTIONS_MAX,
        });
    }
    let parsed = collect(Violations::KEPT_MAX, |at| {
        let premises = premises(at.field("premises"), asked);
        let view = view(at.field("view"), *amount);
        let questions_at = at.field("questions");
        if questions.is_empty() {
            questions_at.refuse::<()>("is empty: ask at least one question");
        }
        let question = |at: Path<'_>, question: &pb::ScorecardQuestion| {
            let pb::ScorecardQuestion { subject, window, as_of, kpis, comparison: compared } = question;
            let subject = value::subject_or_tenant(at.field("subject"), subject);
            let window = required(at.field("window"), window, window_spec);
            let as_of = optional(at.field("as_of"), as_of, value::date);
            let kpis = asked_kpis(at.field("kpis"), kpis);
            let comparison = comparison(at.field("comparison"), compared);
            Some((subject?, window?, as_of, kpis?, comparison?))
        };
        let questions = each(questions_at, questions, question);
        let consistency = asked_consistency(at.field("consistency"), consistency);
        let (premises, view) = (premises?, view?);
        let with_premises = |(subject, window, as_of, kpis, comparison)| ScorecardQuestion {
            subject,
            asked: CardQuestion { window, as_of, comparison, kpis, view, premises: premises.clone() },
        };
        let questions = questions?.into_iter().map(with_premises).collect();
        Some(ScorecardBatch { questions, knowledge: premises.knowledge, consistency: consistency? })
    });
    parsed.map_err(Refusal::Violations)
}

pub fn list_scorecards(request: &pb::ListScorecardsRequest) -> Result<ScorecardsQuestion, Violations> {
    let pb::ListScorecardsRequest {
        subject_kind: kind,
        include_sub_partners,
        window,
        as_of,
        kpis,
        page_size,
        page_token,
        consistency,
        premises: asked,
        comparison: compared,
        view: amount,
        grouping,
        subject,
    } = request;
    let arguments_hash = token::arguments_hash(
        "ListScorecards",
        &pb::ListScorecardsRequest {
            page_size: 0,
            page_token: String::new(),
            consistency: None,
            ..request.clone()
        },
    );
    collect(Violations::KEPT_MAX, |at| {
        let rows = match grouping {
            Some(grouping) => {
                if *kind != 0 {
                    at.field("subject_kind").refuse::<()>("is set beside grouping: set one of them");
                }
                if *include_sub_partners {
                    at.field("include_sub_partners")
                        .refuse::<()>("is set beside grouping: set it in subject");
                }
                let subject = value::subject_or_tenant(at.field("subject"), subject);
                let dimension = dimension(at.field("grouping"), grouping);
                subject.zip(dimension).map(|(subject, dimension)| Rows::Groups { subject, dimension })
            }
            None => {
                if subject.is_some() {
                    at.field("subject").refuse::<()>("is set without grouping: a kind has all its subjects");
                }
                let kind = subject_kind(at.field("subject_kind"), *kind);
                if *include_sub_partners && kind.is_some_and(|kind| kind != SubjectKind::Partner) {
                    at.field("include_sub_partners")
                        .refuse::<()>("is set, but only partners have sub-partners");
                }
                kind.map(|kind| Rows::Subjects { kind, include_sub_partners: *include_sub_partners })
            }
        };
        let window = required(at.field("window"), window, window_spec);
        let as_of = optional(at.field("as_of"), as_of, value::date);
        let kpis = asked_kpis(at.field("kpis"), kpis);
        let page_size = asked_page_size(at.field("page_size"), *page_size);
        let premises = premises(at.field("premises"), asked);
        let comparison = comparison(at.field("comparison"), compared);
        let view = view(at.field("view"), *amount);
        let consistency = asked_consistency(at.field("consistency"), consistency);
        Some(ScorecardsQuestion {
            rows: rows?,
            asked: CardQuestion {
                window: window?,
                as_of,
                comparison: comparison?,
                kpis: kpis?,
                view: view?,
                premises: premises?,
            },
            page: PageRequest { size: page_size?, token: sent_token(page_token), arguments_hash },
            consistency: consistency?,
        })
    })
}

pub fn get_pipeline(request: &pb::GetPipelineRequest) -> Result<PipelineQuestion, Violations> {
    let pb::GetPipelineRequest { subject, as_of, since, expiring_days, consistency, premises: asked, stages } =
        request;
    collect(Violations::KEPT_MAX, |at| {
        let subject = value::subject_or_tenant(at.field("subject"), subject);
        let as_of = optional(at.field("as_of"), as_of, value::date);
        let since = optional(at.field("since"), since, value::date);
        let expiring_days = match expiring_days {
            None => Some(PipelineQuestion::EXPIRING_DAYS_DEFAULT),
            Some(days) => within(at.field("expiring_days"), *days, 1..=36_500),
        };
        let stages = terms(at.field("stages"), stages);
        let premises = premises(at.field("premises"), asked);
        let consistency = asked_consistency(at.field("consistency"), consistency);
        Some(PipelineQuestion {
            subject: subject?,
            as_of,
            since,
            expiring_days: expiring_days?,
            stages: stages?,
            premises: premises?,
            consistency: consistency?,
        })
    })
}

pub fn get_record(request: &pb::GetRecordRequest) -> Result<RecordQuestion, Violations> {
    let pb::GetRecordRequest { key, consistency } = request;
    collect(Violations::KEPT_MAX, |at| {
        let key = required(at.field("key"), key, record_key);
        let consistency = asked_consistency(at.field("consistency"), consistency);
        Some(RecordQuestion { key: key?, consistency: consistency? })
    })
}

pub fn list_records(request: &pb::ListRecordsRequest) -> Result<RecordsQuestion, Violations> {
    let pb::ListRecordsRequest { record_kind: kind, include_deleted, page_size, page_token, consistency } =
        request;
    let arguments_hash = token::arguments_hash(
        "ListRecords",
        &pb::ListRecordsRequest {
            page_size: 0,
            page_token: String::new(),
            consistency: None,
            ..request.clone()
        },
    );
    collect(Violations::KEPT_MAX, |at| {
        let kind = record_kind(at.field("record_kind"), *kind);
        let page_size = asked_page_size(at.field("page_size"), *page_size);
        let consistency = asked_consistency(at.field("consistency"), consistency);
        Some(RecordsQuestion {
            kind: kind?,
            include_deleted: *include_deleted,
            page: PageRequest { size: page_size?, token: sent_token(page_token), arguments_hash },
            consistency: consistency?,
        })
    })
}

pub(super) fn window_spec(at: Path<'_>, window: &pb::Window) -> Option<WindowSpec> {
    use pb::window::Window as Wire;
    let pb::Window { window } = window;
    match window {
        Some(Wire::Dates(dates)) => {
            let pb::DateRange { start_on, end_on } = dates;
            value::dates(at.field("dates"), start_on, end_on).map(WindowSpec::Dates)
        }
        Some(Wire::LastDays(days)) => {
            within(at.field("last_days"), *days, 1..=36_500).map(WindowSpec::LastDays)
        }
        Some(Wire::Period(number)) => period(at.field("period"), *number),
        None => at.refuse("is empty: set exactly one of dates, last_days and period"),
    }
}

fn period(at: Path<'_>, number: i32) -> Option<WindowSpec> {
    use PeriodPlace::{Previous, This, ToDate};
    use PeriodUnit::{FiscalQuarter, FiscalYear, Month, Quarter, Week, Year};
    use pb::Period as Wire;
    let (unit, place) = match known(at, number)? {
        Wire::Unspecified => return at.refuse("is unspecified: name a period"),
        Wire::ThisWeek => (Week, This),
        Wire::PreviousWeek => (Week, Previous),
        Wire::WeekToDate => (Week, ToDate),
        Wire::ThisMonth => (Month, This),
        Wire::PreviousMonth => (Month, Previous),
        Wire::MonthToDate => (Month, ToDate),
        Wire::ThisQuarter => (Quarter, This),
        Wire::PreviousQuarter => (Quarter, Previous),
        Wire::QuarterToDate => (Quarter, ToDate),
        Wire::ThisYear => (Year, This),
        Wire::PreviousYear => (Year, Previous),
        Wire::YearToDate => (Year, ToDate),
        Wire::ThisFiscalQuarter => (FiscalQuarter, This),
        Wire::PreviousFiscalQuarter => (FiscalQuarter, Previous),
        Wire::FiscalQuarterToDate => (FiscalQuarter, ToDate),
        Wire::ThisFiscalYear => (FiscalYear, This),
        Wire::PreviousFiscalYear => (FiscalYear, Previous),
        Wire::FiscalYearToDate => (FiscalYear, ToDate),
    };
    Some(WindowSpec::Period(unit, place))
}

/// With which window another is compared; with the one before where nothing is asked for.
pub(super) fn comparison(at: Path<'_>, sent: &Option<pb::Comparison>) -> Option<Comparison> {
    use pb::comparison::Comparison as Wire;
    let comparison = sent.as_ref().and_then(|pb::Comparison { comparison }| comparison.as_ref());
    match comparison {
        None => Some(Comparison::Previous),
        Some(Wire::Previous(set)) => {
            value::set_to_true(at.field("previous"), *set).map(|()| Comparison::Previous)
        }
        Some(Wire::YearBefore(set)) => {
            value::set_to_true(at.field("year_before"), *set).map(|()| Comparison::YearBefore)
        }
        Some(Wire::Dates(dates)) => {
            let pb::DateRange { start_on, end_on } = dates;
            value::dates(at.field("dates"), start_on, end_on).map(Comparison::Dates)
        }
    }
}

pub(super) fn view(at: Path<'_>, number: i32) -> Option<View> {
    match known(at, number)? {
        pb::View::Unspecified | pb::View::Basic => Some(View::Basic),
        pb::View::Full => Some(View::Full),
        pb::View::WithEvidence => Some(View::WithEvidence),
    }
}

fn dimension(at: Path<'_>, grouping: &pb::Grouping) -> Option<Dimension> {
    use pb::Dimension as Wire;
    let pb::Grouping { dimension, label_key } = grouping;
    let key_at = at.field("label_key");
    let key = || key_at.check(Term::try_new(label_key));
    let dimension = match known(at.field("dimension"), *dimension)? {
        Wire::Unspecified => return at.field("dimension").refuse("is unspecified: name a dimension"),
        Wire::DealLabel => return key().map(Dimension::DealLabel),
        Wire::PartnerLabel => return key().map(Dimension::PartnerLabel),
        Wire::PartnerType => Dimension::PartnerType,
        Wire::Tier => Dimension::Tier,
        Wire::Region => Dimension::Region,
        Wire::Product => Dimension::Product,
        Wire::MarketingChannel => Dimension::Channel,
        Wire::Media => Dimension::Media,
        Wire::Employee => Dimension::Employee,
        Wire::Unit => Dimension::Unit,
        Wire::Partner => Dimension::Partner,
        Wire::Credit => Dimension::Credit,
    };
    if !label_key.is_empty() {
        return key_at.refuse("is set, but only dimensions of labels have a key");
    }
    Some(dimension)
}

pub(super) fn asked_kpis(at: Path<'_>, sent: &[i32]) -> Option<Vec<Kpi>> {
    if sent.is_empty() {
        return Some(Kpi::ALL.to_vec());
    }
    value::each_once(at, sent.iter());
    each(at, sent, |at, number| kpi(at, *number))
}

pub(super) fn kpi(at: Path<'_>, number: i32) -> Option<Kpi> {
    match known(at, number)? {
        pb::Kpi::Unspecified => at.refuse("is unspecified: name a KPI"),
        pb::Kpi::AverageDealSize => Some(Kpi::AverageDealSize),
        pb::Kpi::DealCount => Some(Kpi::DealCount),
        pb::Kpi::OpportunityPipeline => Some(Kpi::OpportunityPipeline),
        pb::Kpi::MarketingChannel => Some(Kpi::MarketingChannel),
        pb::Kpi::CloseRate => Some(Kpi::CloseRate),
        pb::Kpi::DealVelocity => Some(Kpi::DealVelocity),
        pb::Kpi::ValueScore => Some(Kpi::ValueScore),
        pb::Kpi::DealSuccess => Some(Kpi::DealSuccess),
    }
}

pub(super) fn asked_consistency(at: Path<'_>, sent: &Option<pb::Consistency>) -> Option<Consistency> {
    use pb::consistency::Requirement as Wire;
    let requirement = sent.as_ref().and_then(|pb::Consistency { requirement }| requirement.as_ref());
    match requirement {
        None => Some(Consistency::MinimizeLatency),
        Some(Wire::MinimizeLatency(set)) => {
            value::set_to_true(at.field("minimize_latency"), *set).map(|()| Consistency::MinimizeLatency)
        }
        Some(Wire::AtLeastAsFresh(token)) => Some(Consistency::AtLeastAsFresh(token.clone())),
        Some(Wire::FullyConsistent(set)) => {
            value::set_to_true(at.field("fully_consistent"), *set).map(|()| Consistency::FullyConsistent)
        }
    }
}

pub(super) fn asked_page_size(at: Path<'_>, sent: i32) -> Option<usize> {
    match usize::try_from(sent) {
        Ok(0) => Some(PageRequest::SIZE_DEFAULT),
        Ok(size) => Some(size.min(PageRequest::SIZE_MAX)),
        Err(_) => at.refuse(format_args!("is {sent}, must be at least 0")),
    }
}

pub(super) fn sent_token(token: &str) -> Option<String> {
    (!token.is_empty()).then(|| token.to_owned())
}

pub(super) fn subject_kind(at: Path<'_>, number: i32) -> Option<SubjectKind> {
    use pb::SubjectKind as Wire;
    match known(at, number)? {
        Wire::Unspecified => at.refuse("is unspecified: name a kind of subject"),
        Wire::Partner => Some(SubjectKind::Partner),
        Wire::Employee => Some(SubjectKind::Employee),
        Wire::Unit => Some(SubjectKind::Unit),
    }
}

fn record_kind(at: Path<'_>, number: i32) -> Option<RecordKind> {
    use pb::RecordKind as Wire;
    match known(at, number)? {
        Wire::Unspecified => at.refuse("is unspecified: name a kind of record"),
        Wire::Partner => Some(RecordKind::Partner),
        Wire::OrgUnit => Some(RecordKind::Unit),
        Wire::Employee => Some(RecordKind::Employee),
        Wire::Lead => Some(RecordKind::Lead),
        Wire::Deal => Some(RecordKind::Deal),
        Wire::MarketingChannel => Some(RecordKind::Channel),
        Wire::MarketingSpend => Some(RecordKind::Spend),
        Wire::Target => Some(RecordKind::Target),
        Wire::ExchangeRate => Some(RecordKind::Rate),
        Wire::Strategy => Some(RecordKind::Strategy),
        Wire::TenantSettings => Some(RecordKind::Settings),
    }
}

fn record_key(at: Path<'_>, key: &pb::RecordKey) -> Option<RecordKey> {
    use pb::record_key::Key as Wire;
    let pb::RecordKey { key } = key;
    match key {
        Some(Wire::PartnerId(raw)) => value::id(at.field("partner_id"), raw).map(RecordKey::Partner),
        Some(Wire::OrgUnitId(raw)) => value::id(at.field("org_unit_id"), raw).map(RecordKey::Unit),
        Some(Wire::EmployeeId(raw)) => value::id(at.field("employee_id"), raw).map(RecordKey::Employee),
        Some(Wire::LeadId(raw)) => value::id(at.field("lead_id"), raw).map(RecordKey::Lead),
        Some(Wire::DealId(raw)) => value::id(at.field("deal_id"), raw).map(RecordKey::Deal),
        Some(Wire::MarketingChannelId(raw)) => {
            value::id(at.field("marketing_channel_id"), raw).map(RecordKey::Channel)
        }
        Some(Wire::MarketingSpendId(raw)) => {
            value::id(at.field("marketing_spend_id"), raw).map(RecordKey::Spend)
        }
        Some(Wire::TargetId(raw)) => value::id(at.field("target_id"), raw).map(RecordKey::Target),
        Some(Wire::ExchangeRate(key)) => value::rate_key(at.field("exchange_rate"), key).map(RecordKey::Rate),
        Some(Wire::StrategyId(raw)) => value::id(at.field("strategy_id"), raw).map(RecordKey::Strategy),
        Some(Wire::TenantSettings(set)) => {
            value::set_to_true(at.field("tenant_settings"), *set).map(|()| RecordKey::Settings)
        }
        None => at.refuse("names no record: set exactly one of its fields"),
    }
}
