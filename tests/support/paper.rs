//! A paper: what every method but GetPipeline says to many questions about the worked example's subjects, as of some
//! time. Of each answer only the revision and the premises are left out, which name the question's own time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    BatchGetScorecardsRequest, Bucket, CreditRole, Definition, Dimension, Exchange, ExchangePolicy,
    FigureKind, Filter, GetDataQualityRequest, GetMarketingPerformanceRequest, GetScorecardRequest,
    GetSeriesRequest, Grouping, ListContributingRecordsRequest, ListScorecardsRequest, MarketingBasis,
    PartnerSubject, Period, Premises, ScorecardQuestion, Subject, SubjectKind, Terms, View, Window,
};
use prost_types::Timestamp;

use crate::scorecard::{dates, partner};
use crate::sidecar::Caller;
use crate::worked_example::date;

const FIGURES: [FigureKind; 13] = [
    FigureKind::Won,
    FigureKind::Open,
    FigureKind::Lost,
    FigureKind::Expired,
    FigureKind::Missed,
    FigureKind::Opened,
    FigureKind::InWork,
    FigureKind::LeadsCreated,
    FigureKind::LeadsConverted,
    FigureKind::LeadsDisqualified,
    FigureKind::Prospects,
    FigureKind::Purchased,
    FigureKind::LostProspects,
];

/// Answers by what was asked.
pub type Paper = BTreeMap<String, String>;

/// As of when a paper is asked for.
#[derive(Clone, Copy, Default)]
pub struct By {
    pub known_at: Option<Timestamp>,
    pub received_by: Option<Timestamp>,
}

impl By {
    pub fn received(at: Timestamp) -> Self {
        Self { received_by: Some(at), ..Self::default() }
    }

    pub fn known(at: Timestamp) -> Self {
        Self { known_at: Some(at), ..Self::default() }
    }

    pub fn on(self, premises: &Premises) -> Option<Premises> {
        let Self { known_at, received_by } = self;
        Some(Premises { known_at, received_by, ..premises.clone() })
    }
}

pub fn march() -> Window {
    dates("2024-03-01", "2024-04-01")
}

fn subjects() -> Vec<(&'static str, Subject)> {
    let of = |subject| Subject { subject: Some(subject) };
    let tree = PartnerSubject { partner_id: "A".into(), include_sub_partners: true };
    vec![
        ("tenant", Subject::default()),
        ("A", partner("A")),
        ("A and below", of(Of::Partner(tree))),
        ("B", partner("B")),
        ("e1", of(Of::EmployeeId("e1".into()))),
        ("north", of(Of::UnitId("north".into()))),
        ("south", of(Of::UnitId("south".into()))),
        ("e2", of(Of::EmployeeId("e2".into()))),
        ("sales", of(Of::UnitId("sales".into()))),
    ]
}

fn premises() -> Vec<(&'static str, Premises)> {
    let exchange = |policy: ExchangePolicy, fixed_on| {
        let exchange = Some(Exchange { policy: policy.into(), fixed_on });
        Premises { exchange, ..Premises::default() }
    };
    let employees = Some(Terms { values: vec!["e1".into()], include_none: false });
    vec![
        ("", Premises::default()),
        (" at the window's end", exchange(ExchangePolicy::WindowEnd, None)),
        (" at a budget rate", exchange(ExchangePolicy::Fixed, date("2024-03-16"))),
        (
            " of e1",
            Premises {
                filter: Some(Filter { employee_ids: employees, ..Filter::default() }),
                ..Premises::default()
            },
        ),
        (
            " influenced",
            Premises {
                credit_roles: vec![CreditRole::Influenced.into(), CreditRole::Sourced.into()],
                ..Premises::default()
            },
        ),
    ]
}

/// A definition without what it rests on: that names the time.
fn bare(definition: Option<Definition>) -> Definition {
    Definition { premises: None, ..definition.expect("always set") }
}

pub async fn paper(caller: &mut Caller, by: By) -> Paper {
    let mut paper = Paper::new();
    for (how, premises) in premises() {
        let is_default = how.is_empty();
        let premises = by.on(&premises);
        for (name, subject) in subjects().into_iter().take(if is_default { 7 } else { 2 }) {
            let figures = if is_default { &FIGURES[..] } else { &FIGURES[..2] };
            let name = format!("{name}{how}");
            ask_of_subject(&mut paper, caller, &name, &subject, figures, premises.clone()).await;
        }
        let lists = if is_default { 16 } else { 6 };
        ask_lists(&mut paper, caller, how, lists, premises).await;
    }
    paper
}

fn note(paper: &mut Paper, question: String, answer: impl Debug) {
    let known = paper.insert(question, format!("{answer:?}"));
    assert_eq!(known, None, "each question has its name");
}

async fn ask_of_subject(
    paper: &mut Paper,
    caller: &mut Caller,
    name: &str,
    subject: &Subject,
    figures: &[FigureKind],
    premises: Option<Premises>,
) {
    let (subject, as_of) = (Some(subject.clone()), date("2024-03-31"));
    let fiscal_quarter = Window { window: Some(Asked::Period(Period::ThisFiscalQuarter.into())) };
    for (window, view) in [(march(), View::WithEvidence), (fiscal_quarter, View::Full)] {
        let question = GetScorecardRequest {
            subject: subject.clone(),
            window: Some(window),
            as_of,
            view: view.into(),
            premises: premises.clone(),
            ..GetScorecardRequest::default()
        };
        let answer = caller.kpis.get_scorecard(question).await.expect("it is valid").into_inner();
        let name = format!("scorecard {} {name}", view.as_str_name());
        note(paper, name, (answer.scorecard, bare(answer.definition)));
    }
    for basis in [MarketingBasis::Period, MarketingBasis::Cohort] {
        let question = GetMarketingPerformanceRequest {
            subject: subject.clone(),
            window: Some(march()),
            as_of,
            basis: basis.into(),
            premises: premises.clone(),
            ..GetMarketingPerformanceRequest::default()
        };
        let answer = caller.kpis.get_marketing_performance(question).await.expect("it is valid").into_inner();
        let name = format!("marketing {} {name}", basis.as_str_name());
        note(paper, name, (answer.performance, bare(answer.definition)));
    }
    for bucket in [Bucket::Week, Bucket::FiscalQuarter] {
        let question = GetSeriesRequest {
            subject: subject.clone(),
            window: Some(dates("2024-02-01", "2024-05-01")),
            bucket: bucket.into(),
            as_of,
            premises: premises.clone(),
            ..GetSeriesRequest::default()
        };
        let answer = caller.kpis.get_series(question).await.expect("it is valid").into_inner();
        let name = format!("series {} {name}", bucket.as_str_name());
        note(paper, name, (answer.subject, answer.name, answer.points, bare(answer.definition)));
    }
    for &figure in figures {
        let mut question = ListContributingRecordsRequest {
            subject: subject.clone(),
            figure_kind: figure.into(),
            window: (figure != FigureKind::Open).then(march),
            as_of,
            page_size: 3,
            premises: premises.clone(),
            ..ListContributingRecordsRequest::default()
        };
        let mut pages = Vec::new();
        loop {
            let answer = caller.kpis.list_contributing_records(question.clone()).await.expect("it is valid");
            let mut answer = answer.into_inner();
            answer.definition.as_mut().expect("always set").premises = None;
            pages.push((answer.records, answer.total, answer.definition));
            question.page_token = answer.next_page_token;
            if question.page_token.is_empty() {
                break;
            }
        }
        note(paper, format!("contributing {} {name}", figure.as_str_name()), pages);
    }
    let question = GetDataQualityRequest {
        subject,
        window: Some(march()),
        as_of,
        include_ids: true,
        premises,
        ..GetDataQualityRequest::default()
    };
    let mut answer = caller.kpis.get_data_quality(question).await.expect("it is valid").into_inner();
    answer.definition.as_mut().expect("always set").premises = None;
    note(paper, format!("quality {name}"), (answer.data_quality, answer.definition));
}

async fn ask_lists(
    paper: &mut Paper,
    caller: &mut Caller,
    how: &str,
    lists: usize,
    premises: Option<Premises>,
) {
    let as_of = date("2024-03-31");
    let batch = BatchGetScorecardsRequest {
        questions: subjects()
            .into_iter()
            .map(|(_, subject)| ScorecardQuestion {
                subject: Some(subject),
                window: Some(march()),
                as_of,
                ..ScorecardQuestion::default()
            })
            .collect(),
        premises: premises.clone(),
        view: View::Full.into(),
        consistency: None,
    };
    let answer = caller.kpis.batch_get_scorecards(batch).await.expect("it is valid").into_inner();
    let answers: Vec<_> =
        answer.answers.into_iter().map(|answer| (answer.scorecard, bare(answer.definition))).collect();
    note(paper, format!("batch{how}"), answers);

    let kinds = [
        (SubjectKind::Partner, false),
        (SubjectKind::Partner, true),
        (SubjectKind::Employee, false),
        (SubjectKind::Unit, false),
    ];
    let of_kind = |(kind, include_sub_partners): (SubjectKind, bool)| ListScorecardsRequest {
        subject_kind: kind.into(),
        include_sub_partners,
        ..ListScorecardsRequest::default()
    };
    let by_dimension = |dimension: i32| {
        let is_label = [Dimension::DealLabel as i32, Dimension::PartnerLabel as i32].contains(&dimension);
        let label_key = if is_label { "size".into() } else { String::new() };
        let grouping = Some(Grouping { dimension, label_key });
        ListScorecardsRequest { grouping, ..ListScorecardsRequest::default() }
    };
    for asked in kinds.map(of_kind).into_iter().chain((1..=12).map(by_dimension)).take(lists) {
        let mut question = ListScorecardsRequest {
            window: Some(march()),
            as_of,
            page_size: 2,
            view: View::Full.into(),
            premises: premises.clone(),
            ..asked.clone()
        };
        let mut pages = Vec::new();
        loop {
            let answer = caller.kpis.list_scorecards(question.clone()).await.expect("it is valid");
            let answer = answer.into_inner();
            pages.push((answer.scorecards, bare(answer.definition)));
            question.page_token = answer.next_page_token;
            if question.page_token.is_empty() {
                break;
            }
        }
        let by = asked.grouping.map_or(0, |grouping| grouping.dimension);
        let name = format!("list of {} {} by {by}{how}", asked.subject_kind, asked.include_sub_partners);
        note(paper, name, pages);
    }
}

pub fn assert_same(told: &Paper, expected: &Paper, when: &str) {
    assert!(told.keys().eq(expected.keys()), "{when}");
    for (question, answer) in told {
        let expected = &expected[question];
        let alike =
            answer.bytes().zip(expected.bytes()).take_while(|(told, expected)| told == expected).count();
        // What leads to the difference, and it.
        let around =
            |text: &str| -> String { text.chars().skip(alike.saturating_sub(300)).take(400).collect() };
        assert!(answer == expected, "{question}, {when}:\n{}\n{}", around(answer), around(expected));
    }
}

/// The methods of which some answer differs, by the first words of their questions.
pub fn methods_that_differ(one: &Paper, other: &Paper) -> BTreeSet<String> {
    let method = |question: &str| question.split(' ').next().expect("a question has a word").to_owned();
    let differ = one.iter().filter(|(question, answer)| other[*question] != **answer);
    differ.map(|(question, _)| method(question)).collect()
}

pub const METHODS: [&str; 7] =
    ["batch", "contributing", "list", "marketing", "quality", "scorecard", "series"];
