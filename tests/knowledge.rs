//! What was known then (docs/kpis.md §2 "Knowledge") through gRPC on a real socket: `received_by` reproduces every
//! answer to the cent, whatever came since; `known_at` answers like a tenant that was never told the rest.
//!
//! A paper is what every method but GetPipeline (`pipeline_premises.rs`) says to many questions.

#[path = "support/paper.rs"]
mod paper;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)]
#[path = "support/worked_example.rs"]
mod worked_example;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_key::Key;
use channel_kpi::proto::channelkpi::v1::{
    BatchGetScorecardsRequest, Bucket, ConfigureTenantRequest, CreditRole, Deal, Dimension, Employee,
    ExchangeRate, ExchangeRateKey, ExplainChangeRequest, ExplainedFigure, FigureKind, GetDataQualityRequest,
    GetMarketingPerformanceRequest, GetRecordRequest, GetScorecardRequest, GetSeriesRequest, Grouping, Kpi,
    Lead, LeadOutcome, ListContributingRecordsRequest, ListScorecardsRequest, MarketingChannel,
    MarketingSpend, Media, OrgUnit, Partner, PartnerCredit, Premises, Record, RecordKey, RecordVersion,
    ScorecardQuestion, StageProbability, TenantSettings, Thresholds, View,
};
use channel_kpi::proto::google::r#type::{Decimal, Money};
use paper::{By, METHODS, Paper, assert_same, march, methods_that_differ, paper};
use prost_types::Timestamp;
use scorecard::partner;
use sidecar::{Caller, Sidecar};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use worked_example::{at, date, deal, lost, noon, records, settings, sourced, usd, version, won};

// === A tenant's history ===

/// What happens to a tenant at once.
enum Step {
    Written(Vec<Record>),
    Configured(TenantSettings),
}

fn euros(units: i64) -> Option<Money> {
    Some(Money { currency_code: "EUR".into(), units, nanos: 0 })
}

fn rate(update_time: Option<Timestamp>, on: &str, value: &str) -> Record {
    let (from_currency_code, to_currency_code) = ("EUR".into(), "USD".into());
    let key = ExchangeRateKey { from_currency_code, to_currency_code, rate_on: date(on) };
    let rate = Some(Decimal { value: value.into() });
    version(update_time, Kind::ExchangeRate(ExchangeRate { key: Some(key), rate }))
}

fn deleted(record: Record) -> Record {
    Record { deleted: true, ..record }
}

fn employee(employee_id: &str, unit_id: &str, merged_into_employee_id: &str) -> Kind {
    Kind::Employee(Employee {
        employee_id: employee_id.into(),
        unit_id: unit_id.into(),
        merged_into_employee_id: merged_into_employee_id.into(),
        ..Employee::default()
    })
}

fn unit(org_unit_id: &str, parent_unit_id: &str) -> Kind {
    let (org_unit_id, parent_unit_id) = (org_unit_id.into(), parent_unit_id.into());
    Kind::OrgUnit(OrgUnit { org_unit_id, parent_unit_id, ..OrgUnit::default() })
}

fn lead(lead_id: &str, outcome: LeadOutcome, decided: Option<&str>) -> Kind {
    Kind::Lead(Lead {
        lead_id: lead_id.into(),
        created_at: noon("03-05"),
        partner_id: "B".into(),
        owner_employee_id: "e2".into(),
        marketing_channel_id: "newsletter".into(),
        outcome: outcome.into(),
        decided_at: decided.and_then(noon),
        ..Lead::default()
    })
}

fn spend(marketing_spend_id: &str, channel: &str, amount: Option<Money>) -> Kind {
    Kind::MarketingSpend(MarketingSpend {
        marketing_spend_id: marketing_spend_id.into(),
        marketing_channel_id: channel.into(),
        start_on: date("2024-03-01"),
        end_on: date("2024-04-01"),
        amount,
        ..MarketingSpend::default()
    })
}

/// The worked example and more, then all that may change: each step in records of its own.
fn steps() -> Vec<Step> {
    let mixed = Deal {
        amount: euros(500),
        stage: "offer".into(),
        product: "boots".into(),
        region: "north".into(),
        labels: [("size".into(), "great".into())].into(),
        partner_credits: vec![
            PartnerCredit { share_bps: Some(6_000), ..sourced("A").remove(0) },
            PartnerCredit { share_bps: Some(4_000), ..sourced("B").remove(0) },
            PartnerCredit { role: CreditRole::Influenced.into(), ..sourced("B").remove(0) },
        ],
        ..deal("x1", "A", "e1", "02-20", 0)
    };
    let mut first = records();
    first.extend([
        version(noon("02-20"), Kind::Deal(mixed.clone())),
        version(noon("03-20"), Kind::Deal(won("03-20", mixed.clone()))),
        version(noon("03-02"), Kind::Deal(Deal { amount: euros(80), ..deal("x2", "B", "e2", "03-02", 0) })),
        rate(noon("02-01"), "2024-02-01", "1.1"),
    ]);
    let partner_of_more = Partner {
        partner_id: "B".into(),
        partner_type: "reseller".into(),
        tier: "gold".into(),
        region: "south".into(),
        labels: [("size".into(), "small".into())].into(),
        ..Partner::default()
    };
    let merged = Partner { partner_id: "B".into(), merged_into_partner_id: "A".into(), ..Partner::default() };
    let below = |partner_id: &str, parent: &str| {
        let (partner_id, parent_partner_id) = (partner_id.into(), parent.into());
        Kind::Partner(Partner { partner_id, parent_partner_id, ..Partner::default() })
    };
    let media = |id: &str, media: Media| {
        let marketing_channel_id = id.into();
        Kind::MarketingChannel(MarketingChannel {
            marketing_channel_id,
            media: media.into(),
            ..Default::default()
        })
    };
    vec![
        Step::Written(first),
        // Late versions, of deals known and unheard of.
        Step::Written(vec![
            version(
                noon("02-10"),
                Kind::Deal(Deal { stage: "call".into(), amount: usd(90), ..mixed.clone() }),
            ),
            version(noon("02-06"), Kind::Deal(Deal { amount: usd(7), ..deal("d9", "B", "e2", "02-05", 0) })),
            version(noon("02-05"), Kind::Deal(deal("late", "A", "e2", "02-05", 60))),
            version(noon("03-09"), Kind::Deal(won("03-09", deal("later", "newcomer", "e1", "02-11", 45)))),
        ]),
        // Corrections.
        Step::Written(vec![
            version(noon("03-21"), Kind::Deal(won("03-19", Deal { amount: euros(520), ..mixed.clone() }))),
            version(noon("03-06"), Kind::Deal(lost("03-05", deal("d1", "A", "e1", "02-20", 210)))),
            version(noon("03-13"), Kind::Deal(won("03-12", deal("d2", "B", "e1", "03-01", 404)))),
            version(noon("03-22"), lead("L3", LeadOutcome::Converted, Some("03-22"))),
            version(noon("03-02"), spend("search-03", "search", usd(350))),
        ]),
        // New rates, and old ones corrected.
        Step::Written(vec![
            rate(noon("02-02"), "2024-02-01", "1.25"),
            rate(noon("03-15"), "2024-03-15", "1.5"),
            version(noon("03-02"), spend("reviews-03", "reviews", euros(31))),
        ]),
        Step::Configured(TenantSettings {
            reporting_currency_code: "EUR".into(),
            time_zone: "America/New_York".into(),
            opportunity_time_limit_days: Some(20),
            fiscal_year_start_month: Some(3),
            stage_probabilities: vec![StageProbability { stage: "offer".into(), probability_bps: 9_000 }],
            thresholds: Some(Thresholds { stale_days: Some(1), ..Thresholds::default() }),
            ..settings()
        }),
        // Types, media, labels.
        Step::Written(vec![
            version(noon("03-03"), Kind::Partner(partner_of_more)),
            version(noon("03-03"), media("search", Media::Earned)),
            version(
                noon("03-24"),
                Kind::Deal(won("03-20", Deal { product: "skis".into(), region: "east".into(), ..mixed })),
            ),
        ]),
        // New units and partners above those that were there.
        Step::Written(vec![
            version(noon("03-04"), unit("west", "south")),
            version(noon("03-04"), unit("south", "north")),
            version(noon("03-04"), employee("e1", "west", "")),
            version(noon("03-04"), below("A", "C")),
            version(noon("03-04"), below("C", "")),
        ]),
        // Mergers.
        Step::Written(vec![
            version(noon("03-05"), Kind::Partner(merged)),
            version(noon("03-05"), employee("e2", "", "e1")),
        ]),
        // Deletions.
        Step::Written(vec![
            deleted(version(noon("03-29"), Kind::Deal(deal("d7", "B", "e2", "03-18", 0)))),
            deleted(version(noon("03-29"), Kind::Deal(deal("d5", "B", "e1", "03-01", 0)))),
            deleted(version(noon("03-29"), lead("L1", LeadOutcome::Open, None))),
            deleted(version(noon("03-29"), spend("newsletter-03", "newsletter", None))),
            deleted(version(noon("03-29"), media("newsletter", Media::Owned))),
            deleted(version(noon("03-29"), unit("north", ""))),
        ]),
        // The company moves back: settings only.
        Step::Configured(TenantSettings { opportunity_time_limit_days: Some(5), ..settings() }),
    ]
}

fn key_of(record: &Record) -> Key {
    match record.record.clone().expect("the tests' records are whole") {
        Kind::Partner(partner) => Key::PartnerId(partner.partner_id),
        Kind::OrgUnit(unit) => Key::OrgUnitId(unit.org_unit_id),
        Kind::Employee(employee) => Key::EmployeeId(employee.employee_id),
        Kind::Deal(deal) => Key::DealId(deal.deal_id),
        Kind::ExchangeRate(rate) => Key::ExchangeRate(rate.key.expect("the tests' rates are whole")),
        other => panic!("no step ends with {other:?}"),
    }
}

async fn versions(caller: &mut Caller, key: Key) -> Vec<RecordVersion> {
    let request = GetRecordRequest { key: Some(RecordKey { key: Some(key) }), consistency: None };
    caller.records.get_record(request).await.expect("it was written").into_inner().versions
}

/// Does a step. When its records were received, as GetRecord tells it.
async fn take(caller: &mut Caller, tenant_id: &str, step: &Step) -> Timestamp {
    let key = match step {
        Step::Written(records) => {
            caller.write(records.clone()).await;
            key_of(&records[0])
        }
        Step::Configured(settings) => {
            let (tenant_id, settings) = (tenant_id.into(), Some(settings.clone()));
            let configure = ConfigureTenantRequest { tenant_id, settings };
            caller.admin.configure_tenant(configure).await.expect("the settings are valid");
            Key::TenantSettings(true)
        }
    };
    let received = versions(caller, key).await.into_iter().map(|version| version.received_time);
    received.flatten().max_by_key(moment).expect("it was just written")
}

fn moment(at: &Timestamp) -> (i64, i32) {
    (at.seconds, at.nanos)
}

/// The last moment before.
fn before(at: Timestamp) -> Timestamp {
    match at.nanos {
        0 => Timestamp { seconds: at.seconds - 1, nanos: 999_999_999 },
        nanos => Timestamp { nanos: nanos - 1, ..at },
    }
}

// === Tests ===

#[tokio::test(flavor = "multi_thread")]
async fn received_by_reproduces_every_earlier_answer_to_the_cent() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("board", settings()).await;
    let mut papers: Vec<(Timestamp, Paper)> = Vec::new();
    for step in steps() {
        let received = take(&mut caller, "board", &step).await;
        let paper = paper(&mut caller, By::default()).await;
        if let Some((earlier, paper_before)) = papers.last() {
            assert!(moment(earlier) < moment(&received), "one step after the other");
            let differ = methods_that_differ(&paper, paper_before);
            assert!(differ.len() > 4, "step {} is noticed by {differ:?} only", papers.len());
        }
        papers.push((received, paper));
    }
    let (_, first) = &papers[0];
    let (_, last) = papers.last().expect("there are steps");
    assert_eq!(methods_that_differ(first, last), METHODS.map(str::to_owned).into());

    for (n, (received, expected)) in papers.iter().enumerate() {
        assert_same(&paper(&mut caller, By::received(*received)).await, expected, &format!("at step {n}"));
    }
    // Until the very moment of the step that follows.
    for (n, pair) in papers.windows(2).enumerate().step_by(3) {
        let by = By::received(before(pair[1].0));
        assert_same(&paper(&mut caller, by).await, &pair[0].1, &format!("before step {}", n + 1));
    }
    let sidecar = Sidecar::start_on(sidecar.stop().await).await;
    let mut caller = sidecar.caller("board").await;
    let (received, expected) = &papers[4];
    assert_same(&paper(&mut caller, By::received(*received)).await, expected, "after a restart");

    // The answer says by when it was told.
    let premises = By::received(*received).on(&Premises::default());
    let question = GetScorecardRequest {
        window: Some(march()),
        as_of: date("2024-03-31"),
        premises,
        ..GetScorecardRequest::default()
    };
    let answer = caller.kpis.get_scorecard(question).await.expect("it is valid").into_inner();
    let told = answer.definition.expect("always set").premises.expect("always set");
    assert_eq!((told.received_by, told.known_at), (Some(*received), None));
    sidecar.stop().await;
}

/// The records of steps whose versions the host had by then.
fn by_then<'a>(steps: impl IntoIterator<Item = &'a Step>, known_at: Timestamp) -> Vec<Record> {
    let written = steps.into_iter().filter_map(|step| match step {
        Step::Written(records) => Some(records),
        Step::Configured(_) => None,
    });
    let known =
        |record: &&Record| record.update_time.as_ref().is_some_and(|at| moment(at) <= moment(&known_at));
    written.flatten().filter(known).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn known_at_answers_like_a_tenant_that_was_never_told_the_rest() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("all", settings()).await;
    let steps = steps();
    for step in &steps {
        take(&mut caller, "all", step).await;
    }
    // Versions and rates of then. There were no settings yet: the first hold.
    for (n, known_at) in ["03-01", "03-05", "03-20", "03-30"].map(noon).into_iter().flatten().enumerate() {
        let mut then = sidecar.tenant(&format!("then-{n}"), settings()).await;
        then.write(by_then(&steps, known_at)).await;
        let expected = paper(&mut then, By::default()).await;
        let told = paper(&mut caller, By::known(known_at)).await;
        assert_same(&told, &expected, &format!("as known at {known_at}"));
    }

    // Settings of then: they are ordered by the sidecar's clock.
    let written = by_then(&steps, noon("12-31").expect("a time"));
    let settings_versions = versions(&mut caller, Key::TenantSettings(true)).await;
    let configured = steps.iter().filter_map(|step| match step {
        Step::Configured(settings) => Some(settings.clone()),
        Step::Written(_) => None,
    });
    let configured: Vec<TenantSettings> = [settings()].into_iter().chain(configured).collect();
    assert_eq!(settings_versions.len(), configured.len());
    let mut papers = Vec::new();
    for (n, (version, settings)) in settings_versions.iter().zip(configured).enumerate() {
        let mut alike = sidecar.tenant(&format!("settings-{n}"), settings).await;
        alike.write(written.clone()).await;
        let expected = paper(&mut alike, By::default()).await;
        let update_time = version.record.as_ref().and_then(|record| record.update_time).expect("always set");
        let told = paper(&mut caller, By::known(update_time)).await;
        assert_same(&told, &expected, &format!("under settings {n}"));
        papers.push((update_time, told));
    }
    let told = paper(&mut caller, By::known(before(papers[1].0))).await;
    assert_same(&told, &papers[0].1, "just before the settings changed");
    assert_eq!(methods_that_differ(&papers[0].1, &papers[1].1), METHODS.map(str::to_owned).into());
    assert_same(&paper(&mut caller, By::default()).await, &papers[2].1, "now");
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_together_ignore_what_either_ignores() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("both", settings()).await;
    let steps = steps();
    let mut received = Vec::new();
    for step in &steps {
        received.push(take(&mut caller, "both", step).await);
    }
    for (told_steps, known_at) in
        [(2, noon("03-04")), (3, noon("03-06")), (4, noon("03-14")), (9, noon("03-06"))]
    {
        let known_at = known_at.expect("a time");
        let mut then = sidecar.tenant(&format!("both-{told_steps}"), settings()).await;
        then.write(by_then(&steps[..told_steps], known_at)).await;
        let expected = paper(&mut then, By::default()).await;
        let by = By { known_at: Some(known_at), received_by: Some(received[told_steps - 1]) };
        assert_same(&paper(&mut caller, by).await, &expected, &format!("{told_steps} steps, {known_at}"));
    }
    sidecar.stop().await;
}

fn assert_not_found<T: Debug>(answer: Result<T, Status>) {
    let status = answer.expect_err("nobody had named it");
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.get_details_error_info().expect("always set").reason, "SUBJECT_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_that_nothing_named_then_is_unknown() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("unknown", settings()).await;
    let steps = steps();
    let first = take(&mut caller, "unknown", &steps[0]).await;
    let second = take(&mut caller, "unknown", &steps[1]).await; // "newcomer" has sourced a deal, told on 9 March
    let known = noon("03-09").expect("a time");
    for (by, is_known) in [
        (By::default(), true),
        (By::received(second), true),
        (By::received(before(second)), false),
        (By::received(first), false),
        (By::known(known), true),
        (By::known(before(known)), false),
        (By { known_at: Some(known), received_by: Some(second) }, true),
        (By { known_at: Some(known), received_by: Some(first) }, false),
        (By { known_at: Some(before(known)), received_by: Some(second) }, false),
    ] {
        let premises = by.on(&Premises::default());
        let (subject, window, as_of) = (Some(partner("newcomer")), Some(march()), date("2024-03-31"));
        macro_rules! ask {
            ($method:ident, $request:expr) => {
                ask!(kpis.$method, $request)
            };
            ($service:ident.$method:ident, $request:expr) => {
                let answer = caller.$service.$method($request).await;
                if is_known { drop(answer.expect("it was named")) } else { assert_not_found(answer) }
            };
        }
        let question = ScorecardQuestion { subject: subject.clone(), window, as_of, ..Default::default() };
        let questions = vec![ScorecardQuestion { subject: None, ..question.clone() }, question];
        let p = || premises.clone();
        let s = || subject.clone();
        ask!(
            get_scorecard,
            GetScorecardRequest { subject: s(), window, as_of, premises: p(), ..Default::default() }
        );
        ask!(
            batch_get_scorecards,
            BatchGetScorecardsRequest { questions, premises: p(), ..Default::default() }
        );
        ask!(
            get_marketing_performance,
            GetMarketingPerformanceRequest {
                subject: s(),
                window,
                as_of,
                premises: p(),
                ..Default::default()
            }
        );
        ask!(
            get_series,
            GetSeriesRequest {
                subject: s(),
                window,
                as_of,
                bucket: Bucket::Month.into(),
                premises: p(),
                ..Default::default()
            }
        );
        ask!(
            analysis.explain_change,
            ExplainChangeRequest {
                subject: s(),
                explained_figure: ExplainedFigure::WonAmount.into(),
                window,
                as_of,
                premises: p(),
                ..Default::default()
            }
        );
        ask!(
            list_contributing_records,
            ListContributingRecordsRequest {
                subject: s(),
                figure_kind: FigureKind::Won.into(),
                window,
                as_of,
                premises: p(),
                ..Default::default()
            }
        );
        ask!(
            get_data_quality,
            GetDataQualityRequest { subject: s(), window, as_of, premises: p(), ..Default::default() }
        );
        ask!(
            list_scorecards,
            ListScorecardsRequest {
                subject: s(),
                grouping: Some(Grouping { dimension: Dimension::Employee.into(), label_key: String::new() }),
                window,
                as_of,
                premises: p(),
                ..Default::default()
            }
        );
    }
    // Before anything was told there is a tenant all the same, under the first settings.
    let long_ago = at("2020-01-01T00:00:00Z").expect("a time");
    let question = GetScorecardRequest {
        window: Some(march()),
        as_of: date("2024-03-31"),
        premises: By::received(long_ago).on(&Premises::default()),
        ..GetScorecardRequest::default()
    };
    let answer = caller.kpis.get_scorecard(question).await.expect("the tenant is known").into_inner();
    let count = answer.scorecard.expect("always set").deal_count.expect("all KPIs were asked for");
    assert_eq!(count.won_amount, usd(0));
    assert_eq!(answer.definition.expect("always set").reporting_currency_code, "USD");
    sidecar.stop().await;
}

/// The deals won in March, and when the answer was told.
async fn won_deals(caller: &mut Caller, by: By) -> BTreeSet<String> {
    let question = GetScorecardRequest {
        window: Some(march()),
        as_of: date("2024-03-31"),
        kpis: vec![Kpi::DealCount.into()],
        view: View::WithEvidence.into(),
        premises: by.on(&Premises::default()),
        ..GetScorecardRequest::default()
    };
    let answer = caller.kpis.get_scorecard(question).await.expect("it is valid").into_inner();
    let mut card = answer.scorecard.expect("always set");
    card.evidence.remove(0).deal_ids.into_iter().collect()
}

/// Writes that cross are received one after the other, in the order in which answers show them: what an answer had is
/// what had been received by the last of it.
#[tokio::test(flavor = "multi_thread")]
async fn writes_that_cross_keep_the_order_in_which_they_were_seen() {
    const WRITERS: usize = 40;
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("crossing", settings()).await;
    let writers = (0..WRITERS).map(|n| {
        let mut caller = caller.clone();
        tokio::spawn(async move {
            let deal = won("03-10", deal(&format!("d{n:02}"), "A", "e1", "03-01", 1));
            caller.write(vec![version(noon("03-10"), Kind::Deal(deal))]).await;
            won_deals(&mut caller, By::default()).await
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut seen = Vec::new();
    for writer in writers {
        seen.push(writer.await.expect("it doesn't panic"));
    }
    let mut received = BTreeMap::new();
    for n in 0..WRITERS {
        let id = format!("d{n:02}");
        let [version] = &versions(&mut caller, Key::DealId(id.clone())).await[..] else {
            panic!("one version")
        };
        let at = version.received_time.expect("always set");
        assert_eq!(received.insert(moment(&at), (id, at)), None, "two batches of one moment");
    }
    for seen in seen {
        let in_order: BTreeSet<String> =
            received.values().take(seen.len()).map(|(id, _)| id.clone()).collect();
        assert_eq!(seen, in_order, "an answer has the first that were received");
        let (_, last) = received.values().nth(seen.len() - 1).expect("its own deal is there");
        assert_eq!(won_deals(&mut caller, By::received(*last)).await, seen);
    }
    sidecar.stop().await;
}

/// Only one such question of a tenant is told at a time. Whoever goes, waiting or being told, leaves its turn.
#[tokio::test(flavor = "multi_thread")]
async fn callers_who_go_leave_their_turn() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("turns", settings()).await;
    let deals = (0..3_000).map(|n| {
        let deal = won("03-10", deal(&format!("d{n:04}"), "A", "e1", "03-01", 1));
        version(noon("03-10"), Kind::Deal(deal))
    });
    for batch in deals.collect::<Vec<_>>().chunks(1_000) {
        caller.write(batch.to_vec()).await;
    }
    let by = By::known(noon("03-11").expect("a time"));
    let waiting: Vec<_> = (0..30)
        .map(|_| {
            let mut caller = caller.clone();
            tokio::spawn(async move { won_deals(&mut caller, by).await })
        })
        .collect();
    // When one of them was told, others are: some wait, one has its turn.
    let mut waiting = waiting.into_iter();
    waiting.next().expect("there are some").await.expect("it doesn't panic");
    waiting.for_each(|call| call.abort());
    assert_eq!(won_deals(&mut caller, by).await.len(), 1_000, "told all the same: the first thousand");
    sidecar.stop().await;
}
