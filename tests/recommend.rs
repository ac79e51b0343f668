//! ListRecommendations and GetPlan (docs/kpis.md §9) through gRPC on a real socket, of a generated company: that every
//! figure is the one that the KPIs' own methods answer, that lists agree with one another, and what is refused.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)]
#[path = "support/worked_example.rs"]
mod worked_example;

use std::collections::{BTreeMap, BTreeSet};

use channel_kpi::import::generate::Generator;
use channel_kpi::proto::channelkpi::v1::contrast;
use channel_kpi::proto::channelkpi::v1::figure::Result::Value;
use channel_kpi::proto::channelkpi::v1::quantity::Quantity as Q;
use channel_kpi::proto::channelkpi::v1::recommendation_topic::Topic;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    ChannelTopic, Consistency, EvaluateStrategyRequest, EvidenceFigure, EvidenceKind, Figure, ForecastMethod,
    GetMarketingPerformanceRequest, GetPipelineRequest, GetPlanRequest, GetScorecardRequest,
    ListRecommendationsRequest, ListRecommendationsResponse, MarketingBasis, MarketingFigures,
    MarketingVerdict, Pipeline, Recommendation, RecommendationRule as Rule, Scorecard, Severity, Subject,
    SubjectKind, View, Window, consistency, pipeline_target,
};
use channel_kpi::proto::google::r#type::{Date, Money};
use chrono::NaiveDate;
use scorecard::partner;
use sidecar::{Caller, Sidecar};
use tonic::Code;
use tonic_types::StatusExt;
use worked_example::{date, deal, noon, records, settings, version, won};

/// A fifth of the demo's company, as it stood on the last day of a quarter.
async fn company(sidecar: &Sidecar) -> Caller {
    let last_on = NaiveDate::from_ymd_opt(2026, 9, 30).expect("a date");
    let records = Generator { seed: 1, scale_percent: 20, last_on }.records();
    let mut caller = sidecar.tenant("company", Generator::settings()).await;
    for records in records.chunks(1_000) {
        caller.write(records.to_vec()).await;
    }
    caller
}

fn fresh() -> Option<Consistency> {
    Some(Consistency { requirement: Some(consistency::Requirement::FullyConsistent(true)) })
}

fn of_all() -> ListRecommendationsRequest {
    ListRecommendationsRequest {
        as_of: date("2026-09-30"),
        page_size: 1_000,
        consistency: fresh(),
        ..ListRecommendationsRequest::default()
    }
}

async fn listed(caller: &Caller, request: ListRecommendationsRequest) -> ListRecommendationsResponse {
    let answer = caller.clone().analysis.list_recommendations(request).await;
    answer.expect("the question is valid").into_inner()
}

/// The figures of one recommendation's evidence, by kind.
type Figures = BTreeMap<EvidenceKind, EvidenceFigure>;

fn evidence(recommendation: &Recommendation) -> Figures {
    let figures: Figures =
        recommendation.evidence.iter().map(|figure| (figure.kind(), figure.clone())).collect();
    assert_eq!(figures.len(), recommendation.evidence.len(), "each comes once: {recommendation:?}");
    figures
}

fn count(figure: &Figure) -> i64 {
    match figure.result.as_ref() {
        Some(Value(ratio)) => {
            match ratio.numerator.as_ref().and_then(|numerator| numerator.quantity.as_ref()) {
                Some(Q::Count(count)) => *count,
                other => panic!("it is a count: {other:?}"),
            }
        }
        other => panic!("it has a value: {other:?}"),
    }
}

fn denominator(figure: &Option<Figure>) -> i64 {
    match figure.as_ref().and_then(|figure| figure.result.as_ref()) {
        Some(Value(ratio)) => {
            match ratio.denominator.as_ref().and_then(|denominator| denominator.quantity.as_ref()) {
                Some(Q::Count(count)) => *count,
                other => panic!("it is a count: {other:?}"),
            }
        }
        other => panic!("it has a value: {other:?}"),
    }
}

fn amount(figure: &Figure) -> Option<Money> {
    match figure.result.as_ref() {
        Some(Value(ratio)) => match ratio.numerator.clone().and_then(|numerator| numerator.quantity) {
            Some(Q::Amount(money)) => Some(money),
            other => panic!("it is money: {other:?}"),
        },
        other => panic!("it has a value: {other:?}"),
    }
}

fn quotient(figure: &Figure) -> f64 {
    match figure.result.as_ref() {
        Some(Value(ratio)) => ratio.quotient,
        other => panic!("it has a value: {other:?}"),
    }
}

/// How many days a figure of the evidence is of.
fn days(figure: &EvidenceFigure) -> i32 {
    let day = |date: Option<Date>| {
        let date = date.expect("always set");
        NaiveDate::from_ymd_opt(date.year, date.month as u32, date.day as u32).expect("a date")
    };
    let window = figure.window.expect("always set");
    (day(window.end_on) - day(window.start_on)).num_days() as i32
}

/// What the KPIs' own methods answer for a subject, in the days of a figure of the evidence.
struct Asker {
    caller: Caller,
    subject: Option<Subject>,
}

impl Asker {
    async fn card(&mut self, figure: &EvidenceFigure) -> Scorecard {
        let request = GetScorecardRequest {
            subject: self.subject.clone(),
            window: Some(Window { window: figure.window.map(Asked::Dates) }),
            as_of: figure.as_of,
            view: View::Full.into(),
            ..GetScorecardRequest::default()
        };
        let answer = self.caller.kpis.get_scorecard(request).await.expect("the question is valid");
        answer.into_inner().scorecard.expect("always set")
    }

    async fn pipeline(&mut self, as_of: Option<Date>) -> Pipeline {
        let request =
            GetPipelineRequest { subject: self.subject.clone(), as_of, ..GetPipelineRequest::default() };
        let answer = self.caller.kpis.get_pipeline(request).await.expect("the question is valid");
        answer.into_inner().pipeline.expect("always set")
    }

    /// On the cohort basis: that of a channel or of a medium.
    async fn marketing(&mut self, figure: &EvidenceFigure, topic: &Topic) -> MarketingFigures {
        let request = GetMarketingPerformanceRequest {
            window: Some(Window { window: figure.window.map(Asked::Dates) }),
            as_of: figure.as_of,
            basis: MarketingBasis::Cohort.into(),
            ..GetMarketingPerformanceRequest::default()
        };
        let answer = self.caller.kpis.get_marketing_performance(request).await.expect("it is valid");
        let told = answer.into_inner().performance.expect("always set");
        let figures = match topic {
            Topic::MarketingChannel(ChannelTopic { marketing_channel_id, .. }) => {
                let mut channels = told.channels.into_iter();
                channels
                    .find(|row| row.marketing_channel_id == *marketing_channel_id)
                    .and_then(|row| row.figures)
            }
            Topic::Media(medium) => {
                told.media.into_iter().find(|row| row.media == *medium).and_then(|row| row.figures)
            }
            other => panic!("it speaks of marketing: {other:?}"),
        };
        figures.expect("it has a row")
    }
}

/// Compares each figure of a recommendation's evidence with what is answered for it elsewhere.
async fn check(caller: &Caller, told: &Recommendation) {
    let mut asker = Asker { caller: caller.clone(), subject: told.subject.clone() };
    let as_of = date("2026-09-30");
    let topic = told.topic.clone().and_then(|topic| topic.topic);
    for (kind, found) in evidence(told) {
        let context = format!("{kind:?} of {told:?}");
        let figure = found.figure.clone().expect("always set");
        use EvidenceKind as E;
        match kind {
            E::AverageDealSize | E::AverageDealSizeBefore => {
                let card = asker.card(&found).await.average_deal_size.expect("asked for");
                assert_eq!(card.figure, Some(figure), "{context}");
            }
            E::WonCount | E::WonCountBefore => {
                let card = asker.card(&found).await.deal_count.expect("asked for");
                assert_eq!(card.figure, Some(figure), "{context}");
            }
            E::WonAmount if matches!(topic, Some(Topic::MarketingChannel(_) | Topic::Media(_))) => {
                let row = asker.marketing(&found, topic.as_ref().expect("it has one")).await;
                assert_eq!(row.won_amount.and_then(|won| won.figure), Some(figure), "{context}");
            }
            E::WonAmount | E::WonAmountBefore => {
                let card = asker.card(&found).await.deal_count.expect("asked for");
                assert_eq!(card.won_amount, amount(&figure), "{context}");
            }
            E::LeadCount | E::Spend | E::ReturnOnInvestment => {
                let row = asker.marketing(&found, topic.as_ref().expect("it has one")).await;
                let expected = match kind {
                    E::LeadCount => row.lead_count,
                    E::Spend => row.spend,
                    _ => row.return_on_investment,
                };
                assert_eq!(expected.and_then(|compared| compared.figure), Some(figure), "{context}");
            }
            E::CloseRate if matches!(topic, Some(Topic::MarketingChannel(_) | Topic::Media(_))) => {
                let row = asker.marketing(&found, topic.as_ref().expect("it has one")).await;
                assert_eq!(row.close_rate.and_then(|rate| rate.figure), Some(figure), "{context}");
            }
            E::CloseRate | E::CloseRateYearBefore => {
                let card = asker.card(&found).await.close_rate.expect("asked for");
                assert_eq!(card.figure, Some(figure), "{context}");
            }
            E::ProspectCount | E::ProspectCountYearBefore => {
                let card = asker.card(&found).await.close_rate.expect("asked for");
                assert_eq!(denominator(&card.figure), count(&figure), "{context}");
            }
            E::DealSuccess | E::DealSuccessBefore => {
                let card = asker.card(&found).await.deal_success.expect("asked for");
                assert_eq!(card.figure, Some(figure), "{context}");
            }
            E::EndedCount => {
                let card = asker.card(&found).await.deal_success.expect("asked for");
                assert_eq!(denominator(&card.figure), count(&figure), "{context}");
            }
            E::DealSuccessUpper => {
                let card = asker.card(&found).await.deal_success.expect("asked for");
                assert_eq!(
                    card.interval.map(|interval| interval.upper),
                    Some(quotient(&figure)),
                    "{context}"
                );
            }
            E::WinRate => {
                let card = asker.card(&found).await.deal_velocity.expect("asked for");
                assert_eq!(card.win_rate.and_then(|rate| rate.figure), Some(figure), "{context}");
            }
            E::DealVelocity => {
                let card = asker.card(&found).await.deal_velocity.expect("asked for");
                assert_eq!(card.figure, Some(figure), "{context}");
            }
            E::StageDays | E::StageDealCount => {
                let Some(Topic::Stage(stage)) = &topic else { panic!("it speaks of a stage: {told:?}") };
                let card = asker.card(&found).await.deal_velocity.expect("asked for");
                let days = card.stages.into_iter().find(|days| days.stage == *stage).expect("it has days");
                match kind {
                    E::StageDays => assert_eq!(days.mean_days, Some(figure), "{context}"),
                    _ => assert_eq!(denominator(&days.mean_days), count(&figure), "{context}"),
                }
            }
            E::ValueScore | E::ValueRank | E::PeerCount => {
                let card = asker.card(&found).await.value_score.expect("asked for");
                let position = card.position.expect("it is a peer");
                match kind {
                    E::ValueScore => assert_eq!(card.figure, Some(figure), "{context}"),
                    E::ValueRank => assert_eq!(position.rank, count(&figure), "{context}"),
                    _ => assert_eq!(position.peer_count, count(&figure), "{context}"),
                }
            }
            E::ExpiringCount | E::ExpiringAmount => {
                let protection = asker.pipeline(as_of).await.protection.expect("always set");
                let expiring = protection.expiring.expect("always set");
                match kind {
                    E::ExpiringCount => assert_eq!(expiring.count, count(&figure), "{context}"),
                    _ => assert_eq!(expiring.amount, amount(&figure), "{context}"),
                }
            }
            E::MovedLost | E::MovedExpired | E::MovedDecreased => {
                let movement = asker.pipeline(as_of).await.movement.expect("always set");
                let tally = match kind {
                    E::MovedLost => movement.lost,
                    E::MovedExpired => movement.expired,
                    _ => movement.decreased,
                };
                assert_eq!(tally.and_then(|tally| tally.amount), amount(&figure), "{context}");
            }
            E::Coverage
            | E::LandingAmount
            | E::LandingCount
            | E::LandingUpperAmount
            | E::LandingUpperCount => {
                let Some(Topic::TargetId(id)) = &topic else { panic!("it speaks of a target: {told:?}") };
                let targets = asker.pipeline(as_of).await.targets;
                let target = targets.into_iter().find(|target| target.target_id == *id).expect("it is there");
                let Some(pipeline_target::Result::Progress(progress)) = target.result else {
                    panic!("it is in the reporting currency: {target:?}")
                };
                match kind {
                    E::Coverage => assert_eq!(progress.coverage, Some(figure), "{context}"),
                    E::LandingAmount | E::LandingCount => {
                        assert_eq!(progress.landing, Some(figure), "{context}");
                    }
                    _ => {
                        let upper = progress.landing_interval.map(|interval| interval.upper);
                        assert_eq!(upper, Some(quotient(&figure)), "{context}");
                    }
                }
            }
            E::EffectAmount | E::EffectShare | E::EffectCount | E::TreatedCount | E::OtherCount => {
                let Some(Topic::Strategy(strategy)) = &topic else { panic!("of a strategy: {told:?}") };
                let request = EvaluateStrategyRequest {
                    strategy_id: strategy.strategy_id.clone(),
                    kpi: strategy.kpi,
                    as_of,
                    days: Some(days(&found)),
                    ..EvaluateStrategyRequest::default()
                };
                let answer = asker.caller.analysis.evaluate_strategy(request).await.expect("it is valid");
                let effects = answer.into_inner().effects;
                let effect = effects[0].effect.as_ref().expect("always set");
                match (kind, effect.result.as_ref()) {
                    (E::TreatedCount, _) => {
                        assert_eq!(effect.treated_count, Some(count(&figure)), "{context}")
                    }
                    (E::OtherCount, _) => assert_eq!(effect.other_count, Some(count(&figure)), "{context}"),
                    (_, Some(contrast::Result::Value(value))) => {
                        assert_eq!(value.effect, quotient(&figure), "{context}");
                    }
                    other => panic!("{other:?}: {context}"),
                }
            }
            // These no other method tells.
            E::PValue
            | E::MonthCount
            | E::SlopePerMonth
            | E::DealsToOpen
            | E::ShortAmount
            | E::ShortCount
            | E::VelocityToWin
            | E::PeersStageDays
            | E::PeersDealSuccess
            | E::OthersCloseRate
            | E::ExpiringWeighted => assert!(quotient(&figure).is_finite(), "{context}"),
            E::TargetAmount | E::TargetCount | E::RemainingAmount | E::RemainingCount | E::ExpectedCount => {
                assert!(quotient(&figure) >= 0.0, "{context}");
            }
            E::EffectAmountLower
            | E::EffectAmountUpper
            | E::EffectShareLower
            | E::EffectShareUpper
            | E::EffectCountLower
            | E::EffectCountUpper => assert!(quotient(&figure).is_finite(), "{context}"),
            E::Unspecified => panic!("never sent: {context}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_those_of_the_kpis_own_methods() {
    let sidecar = Sidecar::start().await;
    let caller = company(&sidecar).await;
    let answer = listed(&caller, of_all()).await;
    assert!(answer.definition.is_some() && answer.next_page_token.is_empty());
    assert_eq!(answer.total_size as usize, answer.recommendations.len());
    // A few of each rule, those with most at stake.
    let mut checked: BTreeMap<i32, usize> = BTreeMap::new();
    for told in &answer.recommendations {
        let checked = checked.entry(told.rule).or_default();
        *checked += 1;
        if *checked <= 4 {
            check(&caller, told).await;
        }
        assert!(!told.finding.is_empty() && !told.advice.is_empty() && !told.evidence.is_empty());
        assert!(told.deal_ids.len() <= 100 && told.lead_ids.len() <= 100);
        assert!(told.record_count >= (told.deal_ids.len() + told.lead_ids.len()) as i64, "{told:?}");
    }
    let rules: BTreeSet<i32> = checked.into_keys().collect();
    for rule in [
        Rule::PipelineThin,
        Rule::PipelineExpiring,
        Rule::PipelineBehind,
        Rule::ChannelStop,
        Rule::ChannelInvest,
        Rule::VelocitySlowStage,
        Rule::ValueLead,
        Rule::ValueLag,
    ] {
        assert!(rules.contains(&rule.into()), "{rule:?} speaks of this company");
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_agree_with_one_another() {
    let sidecar = Sidecar::start().await;
    let caller = company(&sidecar).await;
    let all = listed(&caller, of_all()).await.recommendations;
    // The most pressing first, then what has most at stake.
    let units = |told: &Recommendation| told.expected_effect.as_ref().map_or(0, |money| money.units);
    let order: Vec<(i32, i64)> = all.iter().map(|told| (told.severity, -units(told))).collect();
    assert!(order.is_sorted(), "{order:?}");
    for severity in [Severity::Critical, Severity::Warning, Severity::Opportunity] {
        assert!(all.iter().any(|told| told.severity() == severity), "{severity:?}");
    }

    // By pages, each once.
    let mut paged = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = listed(&caller, ListRecommendationsRequest { page_size: 7, page_token, ..of_all() }).await;
        assert!(page.recommendations.len() <= 7 && page.total_size as usize == all.len());
        assert!(!page.revision_changed);
        paged.extend(page.recommendations);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all);

    // Of each kind, of one subject, by rules: the same.
    let kinds = [SubjectKind::Partner, SubjectKind::Employee, SubjectKind::Unit];
    let subject_kinds = kinds.map(i32::from).to_vec();
    let of_kinds = listed(&caller, ListRecommendationsRequest { subject_kinds, ..of_all() }).await;
    let tenant = Some(Subject::default());
    let of_tenant = listed(&caller, ListRecommendationsRequest { subject: tenant.clone(), ..of_all() }).await;
    let (own, others): (Vec<_>, Vec<_>) = all.clone().into_iter().partition(|told| told.subject == tenant);
    assert_eq!((of_tenant.recommendations, of_kinds.recommendations), (own, others));
    let mut subjects: Vec<Option<Subject>> = all.iter().map(|told| told.subject.clone()).collect();
    subjects.dedup();
    for subject in subjects.into_iter().filter(|subject| *subject != tenant).step_by(11).take(8) {
        let request = ListRecommendationsRequest { subject: subject.clone(), ..of_all() };
        let found = listed(&caller, request).await.recommendations;
        let expected: Vec<_> = all.iter().filter(|told| told.subject == subject).cloned().collect();
        assert_eq!(found, expected);
    }
    for rule in [Rule::PipelineBehind, Rule::ValueLag, Rule::VelocitySlowStage] {
        let request = ListRecommendationsRequest { rules: vec![rule.into()], ..of_all() };
        let found = listed(&caller, request).await.recommendations;
        let expected: Vec<_> = all.iter().filter(|told| told.rule() == rule).cloned().collect();
        assert_eq!(found, expected);
    }

    // In another language the same is said.
    let request = ListRecommendationsRequest { language_code: "bn-BD".into(), ..of_all() };
    let in_bengali = listed(&caller, request).await.recommendations;
    let without_words = |told: &Recommendation| Recommendation {
        finding: String::new(),
        advice: String::new(),
        ..told.clone()
    };
    assert!(in_bengali.iter().map(without_words).eq(all.iter().map(without_words)));
    let is_bengali = |text: &str| text.chars().any(|letter| ('\u{980}'..'\u{a00}').contains(&letter));
    assert!(in_bengali.iter().all(|told| is_bengali(&told.finding) && is_bengali(&told.advice)));
    sidecar.stop().await;
}

/// Whatever the basis that the figures are told on.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_marketing_have_the_verdicts_that_recommendations_say() {
    let sidecar = Sidecar::start().await;
    let mut caller = company(&sidecar).await;
    let request = ListRecommendationsRequest { subject: Some(Subject::default()), ..of_all() };
    let mut said: Vec<(String, MarketingVerdict)> = Vec::new();
    for told in listed(&caller, request).await.recommendations {
        let verdict = match told.rule() {
            Rule::ChannelStop => MarketingVerdict::Stop,
            Rule::ChannelInvest => MarketingVerdict::Invest,
            _ => continue,
        };
        match told.topic.and_then(|topic| topic.topic) {
            Some(Topic::MarketingChannel(channel)) => said.push((channel.marketing_channel_id, verdict)),
            other => panic!("it speaks of a channel: {other:?}"),
        }
    }
    assert!(said.len() > 1, "{said:?}");
    said.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (view, basis) in [
        (View::Full, MarketingBasis::Period),
        (View::WithEvidence, MarketingBasis::Cohort),
        (View::Basic, MarketingBasis::Cohort),
    ] {
        let request = GetMarketingPerformanceRequest {
            window: Some(Window { window: Some(Asked::LastDays(365)) }),
            as_of: date("2026-09-30"),
            basis: basis.into(),
            view: view.into(),
            ..GetMarketingPerformanceRequest::default()
        };
        let answer = caller.kpis.get_marketing_performance(request).await.expect("it is valid");
        let performance = answer.into_inner().performance.expect("always set");
        let channels = performance.channels.iter();
        let told: Vec<(String, MarketingVerdict)> = channels
            .filter(|row| row.verdict() != MarketingVerdict::Unspecified)
            .map(|row| (row.marketing_channel_id.clone(), row.verdict()))
            .collect();
        assert_eq!(told, if view == View::Basic { vec![] } else { said.clone() });
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_has_the_forecast_of_the_next_quarter() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("plan", settings()).await;
    // One deal a quarter, 100 more each year: 100, 200, 300, 400, 200, 300, 400, 500.
    let quarters = ["2022-02-01", "2022-05-01", "2022-08-01", "2022-11-01", "2023-02-01", "2023-05-01"];
    let quarters = quarters.into_iter().chain(["2023-08-01", "2023-11-01"]);
    let deals =
        quarters.zip([100, 200, 300, 400, 200, 300, 400, 500]).enumerate().map(|(at, (on, units))| {
            let closed_at = worked_example::at(&format!("{on}T06:00:00Z"));
            let deal = deal(&format!("q{at}"), "A", "e1", "01-01", units);
            let deal = channel_kpi::proto::channelkpi::v1::Deal {
                opened_at: closed_at,
                closed_at,
                ..won("01-01", deal)
            };
            version(noon("01-02"), Kind::Deal(deal))
        });
    caller.write(deals.collect()).await;
    caller.write(records()).await;
    let request = GetPlanRequest {
        subject: Some(partner("A")),
        as_of: date("2023-12-31"),
        ..GetPlanRequest::default()
    };
    let plan = caller.analysis.get_plan(request.clone()).await.expect("the question is valid").into_inner();
    assert_eq!((plan.subject, plan.name.as_str()), (Some(partner("A")), "Partner A"));
    let forecast = plan.forecast.expect("always set");
    assert_eq!(forecast.method(), ForecastMethod::SeasonalDrift);
    assert_eq!(forecast.quarters.len(), 8);
    let quarter = forecast.quarter.expect("always set");
    assert_eq!((quarter.start_on, quarter.end_on), (date("2024-01-01"), date("2024-04-01")));
    // 200 a year before, and 100 that each year added, always the same.
    assert_eq!(quotient(&forecast.won_amount.expect("always set")), 300.0);
    assert_eq!(forecast.interval.map(|interval| (interval.lower, interval.upper)), Some((300.0, 300.0)));
    assert_eq!(plan.proposed_target.map(|money| (money.units, money.nanos)), Some((300, 0)));

    // In the middle of a quarter the one after it is planned, from those that have ended: seven of them.
    let request = GetPlanRequest { as_of: date("2023-11-15"), ..request };
    let plan = caller.analysis.get_plan(request.clone()).await.expect("it is valid").into_inner();
    let forecast = plan.forecast.expect("always set");
    assert_eq!((forecast.method(), forecast.quarters.len()), (ForecastMethod::Mean, 7));
    assert_eq!(forecast.quarter.and_then(|quarter| quarter.start_on), date("2024-01-01"));
    assert_eq!(quotient(&forecast.won_amount.expect("always set")), 325.0); // of 400, 200, 300 and 400

    // Before anything was won or worked on nothing is told.
    let request = GetPlanRequest { as_of: date("2021-11-15"), ..request };
    let plan = caller.analysis.get_plan(request).await.expect("it is valid").into_inner();
    let forecast = plan.forecast.expect("always set");
    assert_eq!(forecast.method(), ForecastMethod::Unspecified);
    assert_eq!((forecast.quarters, plan.proposed_target), (vec![], None));
    assert!(!matches!(forecast.won_amount.and_then(|figure| figure.result), Some(Value(_))));
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_ordered_by_what_is_at_stake() {
    let sidecar = Sidecar::start().await;
    let mut caller = company(&sidecar).await;
    let request =
        GetPlanRequest { as_of: date("2026-09-30"), consistency: fresh(), ..GetPlanRequest::default() };
    let plan = caller.analysis.get_plan(request).await.expect("the question is valid").into_inner();
    let request = ListRecommendationsRequest { subject: Some(Subject::default()), ..of_all() };
    let mut expected = listed(&caller, request).await.recommendations;
    let nanos = |told: &Recommendation| {
        told.expected_effect
            .as_ref()
            .map_or(0, |money| i128::from(money.units) * 1_000_000_000 + i128::from(money.nanos))
    };
    expected.sort_by_key(|told| (-nanos(told), told.severity));
    assert_eq!(plan.recommendations, expected);
    let forecast = plan.forecast.expect("always set");
    let value = quotient(forecast.won_amount.as_ref().expect("always set"));
    let upper = forecast.interval.expect("there are quarters enough").upper;
    let target = plan.proposed_target.expect("there is a forecast");
    let target = target.units as f64 + f64::from(target.nanos) / 1e9;
    assert!((value..=upper + 1e-4).contains(&target), "{value} {target} {upper}");
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cant_be_asked_is_refused() {
    let sidecar = Sidecar::start().await;
    let caller = sidecar.tenant("refused", settings()).await;
    let ask = ListRecommendationsRequest::default;
    for (request, field) in [
        (ListRecommendationsRequest { language_code: "tlh".into(), ..ask() }, "language_code"),
        (ListRecommendationsRequest { rules: vec![0], ..ask() }, "rules[0]"),
        (ListRecommendationsRequest { rules: vec![99], ..ask() }, "rules[0]"),
        (ListRecommendationsRequest { rules: vec![1, 1], ..ask() }, "rules[1]"),
        (ListRecommendationsRequest { subject_kinds: vec![0], ..ask() }, "subject_kinds[0]"),
        (ListRecommendationsRequest { subject_kinds: vec![1, 1], ..ask() }, "subject_kinds[1]"),
        (
            ListRecommendationsRequest { subject: Some(partner("A")), subject_kinds: vec![1], ..ask() },
            "subject_kinds",
        ),
        (ListRecommendationsRequest { window: Some(Window::default()), ..ask() }, "window"),
        (ListRecommendationsRequest { page_size: -1, ..ask() }, "page_size"),
    ] {
        let refused = caller.clone().analysis.list_recommendations(request).await.expect_err("it is wrong");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        let details = refused.get_error_details();
        let fields: Vec<&str> = details
            .bad_request()
            .into_iter()
            .flat_map(|bad| &bad.field_violations)
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(fields, [field]);
    }
    let request = GetPlanRequest { language_code: "tlh".into(), ..GetPlanRequest::default() };
    let refused = caller.clone().analysis.get_plan(request).await.expect_err("it is wrong");
    assert!(refused.message().contains("language_code") && refused.code() == Code::InvalidArgument);

    let unknown = Some(partner("nobody"));
    let request = ListRecommendationsRequest { subject: unknown.clone(), ..ask() };
    let refused = caller.clone().analysis.list_recommendations(request).await.expect_err("nobody knows it");
    assert_eq!(refused.code(), Code::NotFound);
    let request = GetPlanRequest { subject: unknown, ..GetPlanRequest::default() };
    let refused = caller.clone().analysis.get_plan(request).await.expect_err("nobody knows it");
    assert_eq!(refused.code(), Code::NotFound);

    // Of a company of which nothing is known there is nothing to say.
    let answer = listed(&caller, ask()).await;
    assert_eq!((answer.recommendations, answer.total_size), (vec![], 0));
    sidecar.stop().await;
}
