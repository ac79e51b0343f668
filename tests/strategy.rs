//! EvaluateStrategy (docs/kpis.md §7, "Strategy effect") through gRPC on a real socket, by hand.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)]
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::contrast::Result as Told;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::{
    AbsentReason, Contrast, ContrastValue, Deal, Employee, EvaluateStrategyRequest, EvaluateStrategyResponse,
    Exchange, ExchangePolicy, Kpi, Partner, PartnerSubject, Premises, Record, Strategy, StrategyEffect,
    StrategyVerdict, Subject, SubjectKind,
};
use scorecard::partner;
use sidecar::{Caller, Sidecar};
use tonic::Code;
use tonic_types::StatusExt;
use worked_example::{date, deal, noon, settings, version, won};

fn sent_partner(id: &str, parent: &str) -> Record {
    let partner = Partner {
        partner_id: id.into(),
        name: format!("Partner {id}"),
        parent_partner_id: parent.into(),
        ..Partner::default()
    };
    version(noon("01-02"), Kind::Partner(partner))
}

fn strategy(id: &str, subjects: &[Subject]) -> Record {
    let strategy = Strategy {
        strategy_id: id.into(),
        name: format!("Strategy {id}"),
        start_on: date("2024-04-01"),
        subjects: subjects.to_vec(),
    };
    version(noon("04-01"), Kind::Strategy(strategy))
}

fn with_sub_partners(id: &str) -> Subject {
    Subject {
        subject: Some(Of::Partner(PartnerSubject { partner_id: id.into(), include_sub_partners: true })),
    }
}

fn employee(id: &str) -> Subject {
    Subject { subject: Some(Of::EmployeeId(id.into())) }
}

/// Of each partner its owner, what stands above it, and how many deals it won before and after 1 April, in as many
/// days. T1 and T2 are treated.
const COMPANY: [(&str, &str, &str, usize, usize); 7] = [
    ("T1", "e1", "P", 1, 3),
    ("T2", "e2", "", 1, 5),
    ("O1", "e3", "", 1, 1),
    ("O2", "e4", "", 2, 3),
    ("O3", "e5", "", 0, 2),
    // the one above T1, and one below T2: whatever they do says nothing
    ("P", "", "", 0, 50),
    ("C", "", "T2", 40, 0),
];

/// They won as many from 1 February to 1 March as in the thirty days before April, deals of 100; since then T1's
/// and T2's are worth 200.
fn company() -> Vec<Record> {
    let mut records = Vec::new();
    for (id, owner, parent, before, after) in COMPANY {
        records.push(sent_partner(id, parent));
        if !owner.is_empty() {
            let employee = Employee { employee_id: owner.into(), ..Employee::default() };
            records.push(version(noon("01-02"), Kind::Employee(employee)));
        }
        for (day, count) in [("02-20", before), ("03-20", before), ("04-20", after)] {
            let units = if day == "04-20" && id.starts_with('T') { 200 } else { 100 };
            for n in 0..count {
                let deal = won(day, deal(&format!("{id}-{day}-{n}"), id, owner, "01-10", units));
                records.push(version(noon("04-20"), Kind::Deal(deal)));
            }
        }
    }
    records
}

fn ask(strategy_id: &str, kpi: Kpi) -> EvaluateStrategyRequest {
    EvaluateStrategyRequest {
        strategy_id: strategy_id.into(),
        kpi: kpi.into(),
        days: Some(30),
        as_of: date("2024-04-30"),
        ..EvaluateStrategyRequest::default()
    }
}

async fn answer(caller: &mut Caller, question: EvaluateStrategyRequest) -> EvaluateStrategyResponse {
    caller.analysis.evaluate_strategy(question).await.expect("the question is valid").into_inner()
}

/// Of a strategy for one kind of subject.
async fn effect(caller: &mut Caller, question: EvaluateStrategyRequest) -> StrategyEffect {
    let effects = answer(caller, question).await.effects;
    let [effect] = effects.try_into().expect("it is for one kind");
    effect
}

fn value(contrast: &Option<Contrast>) -> ContrastValue {
    match contrast.as_ref().and_then(|contrast| contrast.result) {
        Some(Told::Value(value)) => value,
        other => panic!("there is an effect: {other:?}"),
    }
}

/// Why there is no effect, and how many there are on each side.
fn absent(contrast: &Option<Contrast>) -> (AbsentReason, Option<i64>, Option<i64>) {
    let contrast = contrast.expect("always set");
    match contrast.result {
        Some(Told::AbsentReason(reason)) => {
            let reason = AbsentReason::try_from(reason).expect("it is known");
            (reason, contrast.treated_count, contrast.other_count)
        }
        other => panic!("there is no effect: {other:?}"),
    }
}

fn counts(contrast: &Option<Contrast>) -> (i64, i64) {
    let Contrast { treated_count, other_count, .. } = contrast.expect("always set");
    (treated_count.expect("the days have come"), other_count.expect("the days have come"))
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9, "{found}, expected {expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_effect_by_hand() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("hand", settings()).await;
    caller.write(company()).await;
    let sent = strategy("S", &[partner("T1"), partner("T2")]);
    let token = caller.write(vec![sent.clone()]).await;

    let found = answer(&mut caller, ask("S", Kpi::DealCount)).await;
    assert_eq!((found.kpi(), found.days, found.revision_token), (Kpi::DealCount, 30, token));
    assert_eq!(found.strategy.map(Kind::Strategy), sent.record);
    let definition = found.definition.expect("always set");
    let window = definition.window.expect("always set");
    assert_eq!((window.start_on, window.end_on), (date("2024-04-01"), date("2024-05-01")));
    let before = definition.comparison_window.expect("it is told");
    assert_eq!((before.start_on, before.end_on), (date("2024-03-02"), date("2024-04-01")));
    assert_eq!((definition.as_of, definition.comparison_as_of), (date("2024-04-30"), date("2024-03-31")));
    let [of_partners] = found.effects.try_into().expect("it is for partners");
    assert_eq!((of_partners.subject_kind(), of_partners.include_sub_partners), (SubjectKind::Partner, false));
    assert_eq!((of_partners.named_count, counts(&of_partners.effect)), (2, (2, 3)));
    // Changes of 2 and 4, and of 0, 1 and 2: variances of 2 and 1. As scipy.stats.ttest_ind has it.
    let told = value(&of_partners.effect);
    assert_eq!((told.treated_change, told.other_change, told.effect), (3.0, 1.0, 2.0));
    let interval = told.interval.expect("always set");
    assert_near(interval.lower, -3.976_997_448_258_373_4);
    assert_near(interval.upper, 7.976_997_448_258_373);
    assert_eq!(of_partners.verdict(), StrategyVerdict::Undecided);
    let placebo = value(&of_partners.placebo);
    let interval = placebo.interval.expect("always set");
    assert_eq!((placebo.effect, interval.lower, interval.upper), (0.0, 0.0, 0.0), "nobody changed before");

    // O3 had none before, and has no average then. All others' deals stay what they were: certainty.
    let sizes = effect(&mut caller, ask("S", Kpi::AverageDealSize)).await;
    assert_eq!(counts(&sizes.effect), (2, 2));
    let told = value(&sizes.effect);
    let interval = told.interval.expect("always set");
    assert_eq!((told.effect, interval.lower, interval.upper), (100.0, 100.0, 100.0));
    assert_eq!(sizes.verdict(), StrategyVerdict::Works);
    let turned = strategy("turned", &[partner("O1"), partner("O2"), partner("O3")]);
    caller.write(vec![turned]).await;
    let turned = effect(&mut caller, ask("turned", Kpi::AverageDealSize)).await;
    // T1, T2 and P stand beside them; C had deals before alone.
    assert_eq!(counts(&turned.effect), (2, 2));
    assert_eq!(turned.verdict(), StrategyVerdict::Fails);
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_judged_by_kind() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("kinds", settings()).await;
    caller.write(company()).await;
    let subjects = [
        employee("e1"),
        partner("T1"),
        with_sub_partners("T2"),
        employee("e2"),
        partner("T2"),
        partner("ghost"),
    ];
    caller.write(vec![strategy("S", &subjects)]).await;
    let found = answer(&mut caller, ask("S", Kpi::DealCount)).await.effects;
    let kinds: Vec<_> =
        found.iter().map(|of| (of.subject_kind(), of.include_sub_partners, of.named_count)).collect();
    let expected = [
        (SubjectKind::Partner, false, 3),
        (SubjectKind::Partner, true, 1),
        (SubjectKind::Employee, false, 2),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(counts(&found[0].effect), (2, 3), "the ghost was never sent");
    // Of those with their sub-partners T2 alone is treated. T1, named alone, isn't one of the others, nor is P.
    assert_eq!(absent(&found[1].effect), (AbsentReason::TooFewSubjects, Some(1), Some(3)));
    assert_eq!(absent(&found[1].placebo), (AbsentReason::TooFewSubjects, Some(1), Some(3)));
    assert_eq!(found[1].verdict(), StrategyVerdict::Undecided);
    assert_eq!(value(&found[2].effect), value(&found[0].effect), "their deals are the partners'");

    // The whole company has no others.
    caller.write(vec![strategy("all", &[Subject::default()])]).await;
    assert_eq!(answer(&mut caller, ask("all", Kpi::DealCount)).await.effects, []);
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_or_too_early_says_why() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("absent", settings()).await;
    caller.write(company()).await;
    caller
        .write(vec![
            strategy("one", &[partner("T1")]),
            strategy("most", &["T1", "T2", "O1", "O2"].map(partner)),
            strategy("two", &[partner("T1"), partner("T2")]),
        ])
        .await;
    let one = effect(&mut caller, ask("one", Kpi::DealCount)).await;
    assert_eq!(absent(&one.effect), (AbsentReason::TooFewSubjects, Some(1), Some(5)));
    let most = effect(&mut caller, ask("most", Kpi::DealCount)).await;
    assert_eq!(absent(&most.effect), (AbsentReason::TooFewSubjects, Some(4), Some(1)));
    let early = EvaluateStrategyRequest { as_of: date("2024-04-29"), ..ask("two", Kpi::DealCount) };
    let early = effect(&mut caller, early).await;
    assert_eq!(absent(&early.effect), (AbsentReason::DaysToCome, None, None));
    assert_eq!(absent(&early.placebo), (AbsentReason::DaysToCome, None, None));
    assert_eq!((early.named_count, early.verdict()), (2, StrategyVerdict::Undecided));
    let late = EvaluateStrategyRequest { as_of: date("2024-05-01"), ..ask("two", Kpi::DealCount) };
    value(&effect(&mut caller, late).await.effect);

    // 90 days where nothing else is asked for.
    let default =
        EvaluateStrategyRequest { days: None, as_of: date("2024-06-29"), ..ask("two", Kpi::DealCount) };
    let default = answer(&mut caller, default).await;
    assert_eq!(default.days, 90);
    assert_eq!(counts(&default.effects[0].effect), (2, 3));

    // Before 1970 there is nothing.
    let of_start = |id: &str, start_on: &str| {
        let Some(Kind::Strategy(two)) = strategy(id, &[partner("T1"), partner("T2")]).record else {
            unreachable!("it is one");
        };
        version(noon("04-02"), Kind::Strategy(Strategy { start_on: date(start_on), ..two }))
    };
    caller.write(vec![of_start("long-ago", "1970-02-15")]).await;
    let found = effect(&mut caller, ask("long-ago", Kpi::DealCount)).await;
    assert_eq!(counts(&found.effect), (2, 3));
    assert_eq!(absent(&found.placebo), (AbsentReason::NoPast, None, None));
    // Nor after 2199.
    caller.write(vec![of_start("to-come", "2199-12-15")]).await;
    let refused = caller.analysis.evaluate_strategy(ask("to-come", Kpi::DealCount)).await;
    let details = refused.expect_err("its days end in 2200").get_error_details();
    let fields = details.bad_request().map(|bad| bad.field_violations[0].field.clone());
    assert_eq!(fields.as_deref(), Some("days"));

    let longer = EvaluateStrategyRequest { days: Some(60), ..ask("long-ago", Kpi::DealCount) };
    let longer = answer(&mut caller, longer).await;
    assert_eq!(absent(&longer.effects[0].effect), (AbsentReason::NoPast, None, None));
    assert_eq!(longer.definition.expect("always set").comparison_window, None);
    sidecar.stop().await;
}

/// A prospect of March that purchased on 10 April counts for its partner as soon as one of April of that age would.
#[tokio::test(flavor = "multi_thread")]
async fn before_and_after_are_asked_at_equal_age() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("age", settings()).await;
    let mut records: Vec<Record> = ["T1", "T2", "O1", "O2"].map(|id| sent_partner(id, "")).into();
    let mut add = |deal: Deal| records.push(version(noon("04-20"), Kind::Deal(deal)));
    for id in ["T1", "T2"] {
        add(won("04-10", deal(&format!("{id}-march"), id, "", "03-05", 100)));
        add(won("04-10", deal(&format!("{id}-april"), id, "", "04-04", 100)));
    }
    for id in ["O1", "O2"] {
        add(won("03-06", deal(&format!("{id}-march"), id, "", "03-05", 100)));
        add(deal(&format!("{id}-april"), id, "", "04-04", 100));
    }
    records.push(strategy("S", &[partner("T1"), partner("T2")]));
    caller.write(records).await;
    for (as_of, treated, others) in
        [("2024-04-30", 1.0, -1.0), ("2024-05-09", 1.0, -1.0), ("2024-05-10", 0.0, -1.0)]
    {
        let question = EvaluateStrategyRequest { as_of: date(as_of), ..ask("S", Kpi::CloseRate) };
        let told = value(&effect(&mut caller, question).await.effect);
        assert_eq!((told.treated_change, told.other_change), (treated, others), "{as_of}");
        assert_eq!(told.effect, treated - others);
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mergers_are_followed_and_deleted_ones_left_out() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("merged", settings()).await;
    caller.write(company()).await;
    let merged =
        Partner { partner_id: "M".into(), merged_into_partner_id: "T1".into(), ..Partner::default() };
    caller.write(vec![version(noon("01-03"), Kind::Partner(merged))]).await;
    caller.write(vec![strategy("S", &["M", "T1", "T2"].map(partner))]).await;
    let found = effect(&mut caller, ask("S", Kpi::DealCount)).await;
    assert_eq!((found.named_count, counts(&found.effect)), (2, (2, 3)), "M is T1");

    let deleted = |id: &str| Record { deleted: true, ..sent_partner(id, "") };
    let deleted = |id: &str| Record { update_time: noon("04-21"), ..deleted(id) };
    caller.write(vec![deleted("O3")]).await;
    assert_eq!(counts(&effect(&mut caller, ask("S", Kpi::DealCount)).await.effect), (2, 2));
    caller.write(vec![deleted("T2")]).await;
    let found = effect(&mut caller, ask("S", Kpi::DealCount)).await;
    // What is below it stays out of the others.
    assert_eq!(
        (found.named_count, absent(&found.effect)),
        (2, (AbsentReason::TooFewSubjects, Some(1), Some(2)))
    );
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn premises_hold_and_unknown_strategies_are_refused() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("premises", settings()).await;
    caller.write(company()).await;
    caller.write(vec![strategy("S", &[partner("T1"), partner("T2")])]).await;
    let fixed = Exchange { policy: ExchangePolicy::Fixed.into(), fixed_on: date("2024-01-01") };
    let with = |premises| EvaluateStrategyRequest { premises: Some(premises), ..ask("S", Kpi::DealCount) };
    let at_fixed = answer(&mut caller, with(Premises { exchange: Some(fixed), ..Premises::default() })).await;
    assert_eq!(at_fixed.definition.expect("always set").rates_on, date("2024-01-01"));
    let known = Premises { known_at: noon("04-02"), ..Premises::default() };
    let known = answer(&mut caller, with(known)).await;
    assert_eq!(value(&known.effects[0].effect).effect, 0.0, "no deal of then was known");

    let mut refused = async |question: EvaluateStrategyRequest| {
        let status =
            caller.analysis.evaluate_strategy(question).await.expect_err("there is no such strategy");
        let info = status.get_details_error_info().expect("every error has one");
        (status.code(), info.reason)
    };
    let not_found = (Code::NotFound, "STRATEGY_NOT_FOUND".to_owned());
    assert_eq!(refused(ask("nothing", Kpi::DealCount)).await, not_found);
    let before = Premises { known_at: noon("03-31"), ..Premises::default() };
    assert_eq!(refused(with(before)).await, not_found, "nobody knew of it then");
    let deleted = Record { update_time: noon("04-30"), deleted: true, ..strategy("S", &[]) };
    caller.write(vec![deleted]).await;
    let refused = caller.analysis.evaluate_strategy(ask("S", Kpi::DealCount)).await;
    assert_eq!(refused.expect_err("it is deleted").code(), Code::NotFound);
    sidecar.stop().await;
}
