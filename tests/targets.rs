//! Targets (docs/kpis.md §6, 3) through gRPC on a real socket: those of the worked example's company, and
//! what narrows them and what doesn't.

#[path = "support/pipeline.rs"]
mod pipeline;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::pipeline_target::Result as Told;
use channel_kpi::proto::channelkpi::v1::quantity::Quantity as Q;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::target::Value;
use channel_kpi::proto::channelkpi::v1::{
    AbsentReason, ConfigureTenantRequest, CreditRole, Deal, Figure, Filter, GetPipelineRequest, MonthWeight,
    Partner, PartnerCredit, PartnerSubject, Pipeline, PipelineTarget, Premises, Quantity, Ratio, Record,
    StageProbability, Subject, Target, TargetProgress, TenantSettings, Terms, figure,
};
use pipeline::{ask, cents, get, partner, tally};
use sidecar::Sidecar;
use worked_example::{date, deal, noon, records, settings, usd, version, won};

fn target(target_id: &str, subject: Option<Subject>, days: (&str, &str), value: Value) -> Record {
    let month_weights = Vec::new();
    let (target_id, start_on, end_on) = (target_id.into(), date(days.0), date(days.1));
    let target = Target { target_id, subject, start_on, end_on, value: Some(value), month_weights };
    version(noon("01-02"), Kind::Target(target))
}

fn amount(units: i64) -> Value {
    Value::WonAmount(usd(units).expect("always set"))
}

/// The target, and how it stands.
fn only(pipeline: &Pipeline) -> (&PipelineTarget, &TargetProgress) {
    let [target] = pipeline.targets.as_slice() else { panic!("there is one: {:?}", pipeline.targets) };
    match target.result.as_ref().expect("always set") {
        Told::Progress(progress) => (target, progress),
        Told::AbsentReason(reason) => panic!("it is absent for {reason}"),
    }
}

/// `3500.00` or `2`.
fn quantity(quantity: Option<&Quantity>) -> String {
    match quantity.and_then(|quantity| quantity.quantity.as_ref()).expect("it is in range") {
        Q::Count(count) => count.to_string(),
        Q::Amount(money) => {
            let cents = cents(Some(money));
            format!("{}.{:02}", cents / 100, cents % 100)
        }
    }
}

/// `3500.00/2`; what is divided by 1 alone.
fn ratio(ratio: &Ratio) -> String {
    let (above, below) = (quantity(ratio.numerator.as_ref()), quantity(ratio.denominator.as_ref()));
    if below == "1" { above } else { format!("{above}/{below}") }
}

fn told(figure: Option<&Figure>) -> String {
    match figure.and_then(|figure| figure.result.as_ref()).expect("always set") {
        figure::Result::Value(value) => ratio(value),
        figure::Result::AbsentReason(reason) => {
            let reason = AbsentReason::try_from(*reason).expect("we know our reasons");
            reason.as_str_name().trim_start_matches("ABSENT_REASON_").to_lowercase()
        }
    }
}

/// Attained, remaining, due share, due, coverage, landing.
fn row(progress: &TargetProgress) -> String {
    format!(
        "{} {} {} {} {} {}",
        quantity(progress.attained.as_ref()),
        quantity(progress.remaining.as_ref()),
        ratio(progress.due_share.as_ref().expect("always set")),
        told(progress.due.as_ref()),
        told(progress.coverage.as_ref()),
        told(progress.landing.as_ref()),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_of_the_worked_example() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    let (quarter, half) = (("2024-01-01", "2024-04-01"), ("2024-01-01", "2024-07-01"));
    let mut weighted = target("t1", None, quarter, amount(5_000));
    if let Some(Kind::Target(target)) = &mut weighted.record {
        let weight = |(month, weight)| MonthWeight { year: 2024, month, weight };
        target.month_weights = [(1, 25), (2, 0), (3, 75)].map(weight).into();
    }
    let of = |partner_id| Some(partner(partner_id));
    let unit = Subject { subject: Some(Of::UnitId("sales".into())) };
    caller
        .write(vec![
            weighted,
            target("t2", of("A"), half, Value::WonCount(4)),
            target("t3", of("B"), half, amount(900)),
            target("t4", Some(unit.clone()), half, amount(3_500)),
        ])
        .await;
    for (subject, as_of, id, expected) in [
        // d1, d2 and d5 won; the open deals have no expected close but d4's in April.
        (Subject::default(), "2024-03-31", "t1", "1500.00 3500.00 1 5000.00 0.00/3500.00 1500.00"),
        (Subject::default(), "2024-03-24", "t1", "600.00 4400.00 103/124 128750.00/31 0.00/4400.00 600.00"),
        (Subject::default(), "2024-02-29", "t1", "0.00 5000.00 1/4 1250.00 0.00/5000.00 0.00"),
        (Subject::default(), "2024-01-01", "t1", "0.00 5000.00 1/124 1250.00/31 0.00/5000.00 0.00"),
        // d1 and d2 won; d4 at ½.
        (partner("A"), "2024-03-31", "t2", "2 2 1/2 2 1/2 5/2"),
        (partner("A"), "2024-03-11", "t2", "1 3 71/182 142/91 1/3 3/2"),
        (partner("B"), "2024-03-31", "t3", "900.00 0.00 1/2 450.00 target_reached 900.00"),
        (unit, "2024-03-31", "t4", "1500.00 2000.00 1/2 1750.00 1000.00/2000.00 2000.00"),
    ] {
        let (pipeline, _) = get(&mut caller, ask(subject.clone(), as_of)).await;
        let (target, progress) = only(&pipeline);
        assert_eq!((target.target_id.as_str(), row(progress)), (id, expected.to_owned()), "{as_of}");
        assert_eq!(target.subject.as_ref(), Some(&subject));
    }

    let (pipeline, _) = get(&mut caller, ask(partner("A"), "2024-03-31")).await;
    let (target, progress) = only(&pipeline);
    let dates = target.dates.as_ref().expect("always set");
    assert_eq!((dates.start_on, dates.end_on), (date(half.0), date(half.1)));
    assert_eq!(quantity(target.value.as_ref()), "4");
    assert_eq!((tally(progress.won.as_ref()), tally(progress.expected.as_ref())), ((2, 600), (1, 1_000)));
    assert_eq!(tally(progress.overdue.as_ref()), (0, 0));
    assert_eq!(told(progress.overdue_weighted.as_ref()), "0");
    // 2 + ½ ± 1.2816 · √¼, cut to 2 … 3
    let interval = progress.landing_interval.expect("always set");
    assert_eq!((interval.lower, interval.upper), (2.0, 3.0));

    let (pipeline, _) = get(&mut caller, ask(partner("B"), "2024-03-31")).await;
    let (_, progress) = only(&pipeline);
    assert_eq!(tally(progress.undated.as_ref()), (3, 4_200), "d7, d8 and d9");
    assert_eq!(tally(progress.expected.as_ref()), (0, 0));

    let (pipeline, _) = get(&mut caller, ask(Subject::default(), "2024-04-01")).await;
    assert_eq!(pipeline.targets, [], "the quarter is over");
    let with_subs = PartnerSubject { partner_id: "A".into(), include_sub_partners: true };
    let with_subs = Subject { subject: Some(Of::Partner(with_subs)) };
    let (pipeline, _) = get(&mut caller, ask(with_subs, "2024-03-31")).await;
    assert_eq!(pipeline.targets, [], "the target is of A alone");
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_filter_nor_stages_narrow_a_target_and_roles_do() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("narrow", settings()).await;
    let in_stage = |id: &str, stage: &str, region: &str, units| {
        let expected_close = date("2024-03-20");
        let (stage, region, probability_bps) = (stage.into(), region.into(), Some(5_000));
        Deal { stage, region, probability_bps, expected_close, ..deal(id, "A", "e1", "03-01", units) }
    };
    let influenced = |id: &str, units| {
        let role = CreditRole::Influenced.into();
        let credit = PartnerCredit { partner_id: "A".into(), role, share_bps: Some(10_000) };
        Deal { partner_credits: vec![credit], ..deal(id, "A", "e1", "03-01", units) }
    };
    let deals = [
        in_stage("d1", "offer", "north", 100),
        in_stage("d2", "offer", "south", 200),
        in_stage("d3", "call", "north", 400),
        in_stage("d4", "", "north", 800),
        won("03-05", in_stage("d5", "won", "south", 1_000)),
        won("03-06", influenced("d6", 7_000)),
    ];
    // One more was in another stage until the 15th.
    let moved = in_stage("d7", "call", "south", 1_600);
    let moved_on = Deal { stage: "offer".into(), ..moved.clone() };
    let mut sent = deals.map(|deal| version(noon("03-02"), Kind::Deal(deal))).to_vec();
    sent.extend([version(noon("03-02"), Kind::Deal(moved)), version(noon("03-15"), Kind::Deal(moved_on))]);
    sent.push(target("t", Some(partner("A")), ("2024-03-01", "2024-04-01"), amount(10_000)));
    caller.write(sent).await;

    let terms = |values: &[&str], include_none| Terms {
        values: values.iter().map(|value| value.to_string()).collect(),
        include_none,
    };
    let at = |as_of, stages: Option<Terms>, regions: Option<Terms>| {
        let filter = Some(Filter { regions, ..Filter::default() });
        let premises = Some(Premises { filter, ..Premises::default() });
        GetPipelineRequest { stages, premises, ..ask(partner("A"), as_of) }
    };
    let march = "2024-03-18";
    let north = || Some(terms(&["north"], false));
    // stages; regions; open; closing of the movement
    for (question, open, closing) in [
        (at(march, None, None), (5, 3_100), (5, 3_100)),
        (at(march, Some(terms(&["offer"], false)), None), (3, 1_900), (5, 3_100)),
        (at("2024-03-14", Some(terms(&["offer"], false)), None), (2, 300), (5, 3_100)), // d7 as it stood
        (at(march, Some(terms(&["offer", "call"], false)), None), (4, 2_300), (5, 3_100)),
        (at(march, Some(terms(&[], true)), None), (1, 800), (5, 3_100)),
        (at(march, Some(terms(&["call"], true)), None), (2, 1_200), (5, 3_100)),
        (at(march, Some(terms(&["never heard of"], false)), None), (0, 0), (5, 3_100)),
        (at(march, Some(terms(&["offer"], false)), north()), (1, 100), (3, 1_300)),
    ] {
        let (pipeline, definition) = get(&mut caller, question.clone()).await;
        assert_eq!(tally(pipeline.open.as_ref()), open, "{question:?}");
        let ages = pipeline.ages.iter().map(|age| tally(age.deals.as_ref()).0).sum::<i64>();
        assert_eq!(ages, open.0, "all that tells of open deals is narrowed");
        let movement = pipeline.movement.as_ref().expect("always set");
        assert_eq!(tally(movement.closing.as_ref()), closing, "{question:?}");
        assert_eq!(definition.stages, question.stages);
        let (_, progress) = only(&pipeline);
        let (won, expected) = (tally(progress.won.as_ref()), tally(progress.expected.as_ref()));
        assert_eq!((won, expected), ((1, 1_000), (5, 3_100)), "{question:?}");
        assert_eq!(told(progress.landing.as_ref()), "2550.00", "{question:?}");
    }
    for (roles, won) in [
        (vec![CreditRole::Sourced], (1, 1_000)),
        (vec![CreditRole::Influenced], (1, 7_000)),
        (vec![CreditRole::Sourced, CreditRole::Influenced], (2, 8_000)),
    ] {
        let credit_roles = roles.iter().map(|&role| role.into()).collect();
        let premises = Some(Premises { credit_roles, ..Premises::default() });
        let (pipeline, _) =
            get(&mut caller, GetPipelineRequest { premises, ..ask(partner("A"), march) }).await;
        assert_eq!(tally(only(&pipeline).1.won.as_ref()), won, "{roles:?}");
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_follows_mergers_currency_and_its_own_versions() {
    let sidecar = Sidecar::start().await;
    let stage_probabilities = vec![StageProbability { stage: "offer".into(), probability_bps: 2_000 }];
    let configured = TenantSettings { stage_probabilities, ..settings() };
    let mut caller = sidecar.tenant("follow", configured.clone()).await;
    let overdue = Deal {
        stage: "offer".into(),
        expected_close: date("2024-02-01"),
        ..deal("d3", "B", "e1", "01-10", 1_000)
    };
    let april = ("2024-04-01", "2024-05-01");
    caller
        .write(vec![
            version(noon("03-05"), Kind::Deal(won("03-05", deal("d1", "A", "e1", "03-01", 100)))),
            version(noon("03-05"), Kind::Deal(won("03-05", deal("d2", "B", "e1", "03-01", 200)))),
            version(noon("01-10"), Kind::Deal(overdue)),
            target("t", Some(partner("B")), ("2024-03-01", "2024-04-01"), amount(1_000)),
            target("u", Some(partner("B")), april, amount(1_000)),
        ])
        .await;
    let (pipeline, _) = get(&mut caller, ask(partner("A"), "2024-03-20")).await;
    assert_eq!(pipeline.targets, []);
    let (pipeline, _) = get(&mut caller, ask(partner("B"), "2024-03-20")).await;
    let (_, progress) = only(&pipeline);
    assert_eq!(row(progress), "200.00 800.00 20/31 20000.00/31 1000.00/800.00 400.00");
    assert_eq!(tally(progress.overdue.as_ref()), (1, 1_000));
    assert_eq!(told(progress.overdue_weighted.as_ref()), "200.00", "its stage's probability");

    let merged = Partner { partner_id: "B".into(), merged_into_partner_id: "A".into(), ..Partner::default() };
    caller.write(vec![version(noon("03-10"), Kind::Partner(merged))]).await;
    for asked in ["A", "B"] {
        let (pipeline, _) = get(&mut caller, ask(partner(asked), "2024-03-20")).await;
        let (target, progress) = only(&pipeline);
        assert_eq!(target.subject, Some(partner("A")), "the survivor");
        assert_eq!(quantity(progress.attained.as_ref()), "300.00");
    }

    let euros = TenantSettings { reporting_currency_code: "EUR".into(), ..configured.clone() };
    let configure =
        |settings| ConfigureTenantRequest { tenant_id: "follow".into(), settings: Some(settings) };
    caller.admin.configure_tenant(configure(euros)).await.expect("the settings are valid");
    let (pipeline, _) = get(&mut caller, ask(partner("A"), "2024-03-20")).await;
    let [shown] = pipeline.targets.as_slice() else { panic!("it is shown all the same") };
    assert_eq!(shown.result, Some(Told::AbsentReason(AbsentReason::OtherCurrency.into())));
    assert_eq!(quantity(shown.value.as_ref()), "1000.00");
    caller.admin.configure_tenant(configure(configured)).await.expect("the settings are valid");

    // Moved to another month, and deleted.
    let mut moved = target("t", Some(partner("B")), april, amount(1_000));
    moved.update_time = noon("03-12");
    caller.write(vec![moved]).await;
    let (pipeline, _) = get(&mut caller, ask(partner("A"), "2024-03-20")).await;
    assert_eq!(pipeline.targets, []);
    let ids = |pipeline: &Pipeline| -> Vec<String> {
        pipeline.targets.iter().map(|target| target.target_id.clone()).collect()
    };
    let (pipeline, _) = get(&mut caller, ask(partner("A"), "2024-04-20")).await;
    assert_eq!(ids(&pipeline), ["t", "u"], "by id");
    let gone = Record { deleted: true, update_time: noon("03-13"), ..target("t", None, april, amount(1)) };
    caller.write(vec![gone]).await;
    let (pipeline, _) = get(&mut caller, ask(partner("A"), "2024-04-20")).await;
    assert_eq!(ids(&pipeline), ["u"]);
    sidecar.stop().await;
}
