//! What a pipeline rests on (docs/kpis.md §1 "Credit", §2 "Knowledge", §3, §4), through gRPC on a real
//! socket: filter, credit roles, exchange policy, and what was known when.

#[path = "support/pipeline.rs"]
mod pipeline;
#[path = "support/premises.rs"]
mod premises;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::pipeline_target::Result as Told;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_key::Key;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::target::Value;
use channel_kpi::proto::channelkpi::v1::{
    ConfigureTenantRequest, CreditFilter, CreditRole, Deal, Exchange, ExchangePolicy, ExchangeRate,
    ExchangeRateKey, Filter, GetPipelineRequest, GetRecordRequest, LabelTerms, MediaTerms, Partner, Pipeline,
    PipelineDefinition, Premises, Record, RecordKey, StageProbability, Subject, Target, TargetProgress,
    TenantSettings,
};
use channel_kpi::proto::google::r#type::{Decimal, Money};
use pipeline::{ask, cents, get, partner, tally};
use premises::{credit, filtered, none, terms};
use prost_types::Timestamp;
use sidecar::{Caller, Sidecar};
use tonic::Code;
use worked_example::{at, date, deal, lost, noon, records, settings, usd, version, won};

fn under(premises: Premises, question: GetPipelineRequest) -> GetPipelineRequest {
    GetPipelineRequest { premises: Some(premises), ..question }
}

fn progress(pipeline: &Pipeline) -> &TargetProgress {
    match pipeline.targets.first().and_then(|target| target.result.as_ref()) {
        Some(Told::Progress(progress)) => progress,
        other => panic!("the first target is told: {other:?}"),
    }
}

fn target(target_id: &str, units: i64) -> Target {
    Target {
        target_id: target_id.into(),
        start_on: date("2024-01-01"),
        end_on: date("2024-07-01"),
        value: usd(units).map(Value::WonAmount),
        ..Target::default()
    }
}

/// Open, opening and closing of the movement, what left it as won, lost and expired.
fn parts(pipeline: &Pipeline) -> [(i64, i64); 6] {
    let moved = pipeline.movement.as_ref().expect("always set");
    [&pipeline.open, &moved.opening, &moved.closing, &moved.won, &moved.lost, &moved.expired]
        .map(|part| tally(part.as_ref()))
}

/// The worked example once more, by what its deals have in common.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_narrows_open_deals_and_movement_alike() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("filters", settings()).await;
    caller.write(records()).await;
    let nothing = (0, 0);
    let a = [(1, 1_000), (2, 500), (1, 1_000), (1, 200), (1, 300), nothing];
    let b = [(3, 4_200), (2, 1_700), (3, 4_200), nothing, nothing, (1, 500)];
    let e1 = [(1, 1_000), (2, 500), (1, 1_000), (1, 200), (1, 300), nothing];
    let all = [(4, 5_200), (4, 2_200), (4, 5_200), (1, 200), (1, 300), (1, 500)];
    let no_one = [nothing; 6];
    for (filter, expected) in [
        (Filter::default(), all),
        (Filter { partner_ids: terms(&["A"]), ..Filter::default() }, a),
        (Filter { partner_ids: terms(&["B"]), ..Filter::default() }, b),
        (Filter { partner_ids: terms(&["A", "B"]), ..Filter::default() }, all),
        (Filter { partner_ids: none(), ..Filter::default() }, no_one),
        (Filter { employee_ids: terms(&["e1"]), ..Filter::default() }, e1),
        (Filter { unit_ids: terms(&["south"]), ..Filter::default() }, b), // d2 opened and closed in between
        (Filter { unit_ids: terms(&["sales"]), ..Filter::default() }, all),
        (Filter { unit_ids: terms(&["south"]), partner_ids: terms(&["A"]), ..Filter::default() }, no_one),
        (Filter { products: none(), ..Filter::default() }, all),
        (Filter { products: terms(&["boots"]), ..Filter::default() }, no_one),
        (Filter { credit: CreditFilter::Direct.into(), ..Filter::default() }, no_one),
        (Filter { credit: CreditFilter::Credited.into(), ..Filter::default() }, all),
        (
            Filter {
                media: Some(MediaTerms { values: Vec::new(), include_none: true }),
                ..Filter::default()
            },
            all,
        ),
    ] {
        let question = under(filtered(filter.clone()), ask(Subject::default(), "2024-03-31"));
        let (pipeline, definition) = get(&mut caller, question).await;
        assert_eq!(parts(&pipeline), expected, "{filter:?}");
        assert_eq!(definition.premises.and_then(|premises| premises.filter), Some(filter));
    }

    // By a subject and by labels, types and regions that partners have.
    let typed = Partner {
        partner_id: "B".into(),
        partner_type: "reseller".into(),
        tier: "gold".into(),
        region: "north".into(),
        labels: [("size".into(), "great".into())].into(),
        ..Partner::default()
    };
    caller.write(vec![version(noon("01-03"), Kind::Partner(typed))]).await;
    let label = LabelTerms { key: "size".into(), terms: terms(&["great"]) };
    let e2 = Subject { subject: Some(Of::EmployeeId("e2".into())) };
    for filter in [
        Filter { partner_types: terms(&["reseller"]), ..Filter::default() },
        Filter { tiers: terms(&["gold"]), ..Filter::default() },
        Filter { regions: terms(&["north"]), ..Filter::default() },
        Filter { partner_labels: vec![label], ..Filter::default() },
    ] {
        for subject in [Subject::default(), partner("B"), e2.clone()] {
            let question = under(filtered(filter.clone()), ask(subject.clone(), "2024-03-31"));
            assert_eq!(parts(&get(&mut caller, question).await.0), b, "{subject:?} {filter:?}");
        }
        let question = under(filtered(filter.clone()), ask(partner("A"), "2024-03-31"));
        assert_eq!(parts(&get(&mut caller, question).await.0), no_one, "{filter:?}");
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_pick_whose_part_of_open_deals_counts() {
    use CreditRole::{Fulfilled, Influenced, Sourced};
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("roles", settings()).await;
    let shared = Deal {
        partner_credits: vec![
            credit("A", Sourced, 3_000),
            credit("B", Sourced, 7_000),
            credit("A", Influenced, 10_000),
            credit("B", Fulfilled, 5_000),
        ],
        ..deal("d1", "A", "e1", "02-01", 1_000)
    };
    let direct = Deal { partner_credits: Vec::new(), ..deal("d2", "A", "e1", "02-01", 50) };
    // The share of A grew: credit follows the current version, on every date.
    let before = Deal { partner_credits: vec![credit("B", Sourced, 10_000)], ..shared.clone() };
    caller
        .write(vec![
            version(noon("02-01"), Kind::Deal(before)),
            version(noon("03-20"), Kind::Deal(shared)),
            version(noon("02-01"), Kind::Deal(direct)),
        ])
        .await;
    for (roles, of_a, of_b) in [
        (vec![], (1, 300), (1, 700)), // sourced
        (vec![Sourced], (1, 300), (1, 700)),
        (vec![Influenced], (1, 1_000), (0, 0)),
        (vec![Fulfilled], (0, 0), (1, 500)),
        (vec![Fulfilled, Sourced], (1, 300), (1, 700)), // the greatest
        (vec![Influenced, Sourced], (1, 1_000), (1, 700)),
    ] {
        let credit_roles: Vec<i32> = roles.iter().map(|&role| role.into()).collect();
        let premises = Premises { credit_roles, ..Premises::default() };
        for (subject, expected) in
            [(partner("A"), of_a), (partner("B"), of_b), (Subject::default(), (2, 1_050))]
        {
            let question = under(premises.clone(), ask(subject.clone(), "2024-03-31"));
            let (pipeline, _) = get(&mut caller, question).await;
            let [open, opening, closing, ..] = parts(&pipeline);
            assert_eq!([open, opening, closing], [expected; 3], "{subject:?} {roles:?}");
        }
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_exchange_policy_says_at_which_rates() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("exchange", settings()).await;
    let euros = |id: &str, units| {
        let amount = Some(Money { currency_code: "EUR".into(), units, nanos: 0 });
        let open = deal(id, "A", "e1", "02-01", 0);
        Deal { amount, probability_bps: Some(5_000), expected_close: date("2024-04-20"), ..open }
    };
    let rate = |on: &str, rate: &str| {
        let (from_currency_code, to_currency_code) = ("EUR".into(), "USD".into());
        let key = ExchangeRateKey { from_currency_code, to_currency_code, rate_on: date(on) };
        let rate = Some(Decimal { value: rate.into() });
        version(noon("01-02"), Kind::ExchangeRate(ExchangeRate { key: Some(key), rate }))
    };
    let yen = Some(Money { currency_code: "JPY".into(), units: 9_000, nanos: 0 });
    let records = vec![
        rate("2024-01-01", "1.1"),
        rate("2024-03-15", "1.2"),
        rate("2024-05-01", "2"),
        version(noon("02-01"), Kind::Deal(euros("d1", 100))),
        version(noon("02-01"), Kind::Deal(won("02-10", euros("d2", 1_000)))),
        version(noon("02-01"), Kind::Deal(Deal { amount: yen, ..euros("d3", 0) })), // no rate: never 1
        version(noon("01-02"), Kind::Target(target("t", 5_000))),
    ];
    caller.write(records).await;
    let policy = |policy: ExchangePolicy, fixed_on| {
        let exchange = Some(Exchange { policy: policy.into(), fixed_on });
        Premises { exchange, ..Premises::default() }
    };
    let fixed = |on| policy(ExchangePolicy::Fixed, date(on));
    let at_close = policy(ExchangePolicy::AtClose, None);
    let window_end = policy(ExchangePolicy::WindowEnd, None);
    // premises; open; weighted in cents; won for the target; the day of the rates; the oldest
    for (premises, open, weighted, won, rates_on, oldest) in [
        (Premises::default(), 120, 6_000, 1_100, "2024-03-31", "2024-01-01"),
        (at_close, 120, 6_000, 1_100, "2024-03-31", "2024-01-01"),
        (window_end, 120, 6_000, 1_200, "2024-03-31", "2024-03-15"),
        (fixed("2024-02-15"), 110, 5_500, 1_100, "2024-02-15", "2024-01-01"),
        (fixed("2024-06-01"), 200, 10_000, 2_000, "2024-06-01", "2024-05-01"), // the budget of a later day
    ] {
        let (pipeline, definition) =
            get(&mut caller, under(premises.clone(), ask(Subject::default(), "2024-03-31"))).await;
        let movement = pipeline.movement.as_ref().expect("always set");
        let target = progress(&pipeline);
        for part in [&pipeline.open, &movement.opening, &movement.closing, &target.expected] {
            let part = part.as_ref().expect("always set");
            assert_eq!((part.count, part.unpriced_count), (2, 1), "{premises:?}");
            assert_eq!(cents(part.amount.as_ref()), open * 100, "{premises:?}");
        }
        assert_eq!(cents(pipeline.weighted_amount.as_ref()), weighted, "{premises:?}");
        assert_eq!(tally(target.won.as_ref()), (1, won), "{premises:?}");
        assert_eq!((definition.rates_on, definition.oldest_rate_on), (date(rates_on), date(oldest)));
    }
    let (pipeline, definition) =
        get(&mut caller, under(fixed("2023-12-31"), ask(Subject::default(), "2024-03-31"))).await;
    let open = pipeline.open.expect("always set");
    assert_eq!((open.count, open.unpriced_count, cents(open.amount.as_ref())), (2, 2, 0), "no rate yet");
    assert_eq!(definition.oldest_rate_on, None);
    sidecar.stop().await;
}

/// A company whose every record changes, late or in hindsight, between two questions.
struct Changing {
    first: Vec<Record>,
    later: Vec<Record>,
}

fn changing() -> Changing {
    let offer = |id: &str, units| {
        let stage = "offer".into();
        Deal { stage, expected_close: date("2024-05-01"), ..deal(id, "A", "e1", "02-10", units) }
    };
    let euros = Some(Money { currency_code: "EUR".into(), units: 500, nanos: 0 });
    let rate = |on: &str, value: &str| {
        let (from_currency_code, to_currency_code) = ("EUR".into(), "USD".into());
        let key = ExchangeRateKey { from_currency_code, to_currency_code, rate_on: date(on) };
        let rate = Some(Decimal { value: value.into() });
        Kind::ExchangeRate(ExchangeRate { key: Some(key), rate })
    };
    let merged = Partner { partner_id: "B".into(), merged_into_partner_id: "A".into(), ..Partner::default() };
    let mut first = records();
    first.extend([
        version(noon("02-10"), Kind::Deal(offer("x1", 100))),
        version(noon("02-10"), Kind::Deal(Deal { amount: euros, ..offer("x2", 0) })),
        version(noon("02-11"), Kind::Deal(won("02-11", offer("x3", 70)))),
        version(noon("02-01"), rate("2024-02-01", "1.1")),
        version(noon("02-01"), Kind::Target(target("t", 10_000))),
    ]);
    let later = vec![
        version(noon("03-30"), Kind::Deal(Deal { stage: "call".into(), ..offer("x1", 900) })), // corrected
        version(noon("02-20"), Kind::Deal(offer("x1", 300))),                                  // late
        version(noon("02-12"), Kind::Deal(lost("02-12", offer("x3", 70)))),
        version(noon("02-05"), Kind::Deal(offer("x4", 5_000))), // unheard of, and long open
        Record { deleted: true, ..version(noon("03-29"), Kind::Deal(deal("d7", "B", "e2", "03-18", 0))) },
        version(noon("02-02"), rate("2024-02-01", "1.5")),
        version(noon("02-02"), rate("2024-03-01", "1.7")),
        version(noon("02-02"), Kind::Partner(merged)),
        version(noon("02-02"), Kind::Target(target("t", 4))),
        version(noon("02-02"), Kind::Target(target("t2", 9))),
    ];
    Changing { first, later }
}

fn configured(reporting_currency_code: &str, probability_bps: i32) -> TenantSettings {
    let stage_probabilities = vec![StageProbability { stage: "offer".into(), probability_bps }];
    let reporting_currency_code = reporting_currency_code.into();
    TenantSettings { reporting_currency_code, stage_probabilities, ..settings() }
}

fn questions() -> Vec<GetPipelineRequest> {
    let subjects = [Subject::default(), partner("A"), partner("B")];
    let dates = ["2024-03-10", "2024-03-31"];
    let exchange = |policy: ExchangePolicy, fixed_on| {
        let exchange = Some(Exchange { policy: policy.into(), fixed_on });
        Premises { exchange, ..Premises::default() }
    };
    let premises = [
        Premises::default(),
        exchange(ExchangePolicy::WindowEnd, None),
        exchange(ExchangePolicy::Fixed, date("2024-03-05")),
        filtered(Filter { employee_ids: terms(&["e1"]), ..Filter::default() }),
    ];
    let stages = [None, terms(&["offer"])];
    let mut questions = Vec::new();
    for subject in &subjects {
        for as_of in dates {
            for premises in &premises {
                for stages in &stages {
                    let asked = under(premises.clone(), ask(subject.clone(), as_of));
                    questions.push(GetPipelineRequest { stages: stages.clone(), ..asked });
                }
            }
        }
    }
    questions
}

/// With what it rests on left out: that says by when.
async fn answer(caller: &mut Caller, question: GetPipelineRequest) -> (Pipeline, PipelineDefinition) {
    let (pipeline, definition) = get(caller, question).await;
    (pipeline, PipelineDefinition { premises: None, ..definition })
}

async fn answers(
    caller: &mut Caller,
    known_at: Option<Timestamp>,
    received_by: Option<Timestamp>,
) -> Vec<(Pipeline, PipelineDefinition)> {
    let mut answers = Vec::new();
    for question in questions() {
        let premises = question.premises.clone().unwrap_or_default();
        let question = under(Premises { known_at, received_by, ..premises }, question);
        answers.push(answer(caller, question).await);
    }
    answers
}

/// When the sidecar received the versions of a deal, oldest version first.
async fn received(caller: &mut Caller, deal_id: &str) -> Vec<Timestamp> {
    let key = Some(RecordKey { key: Some(Key::DealId(deal_id.into())) });
    let request = GetRecordRequest { key, consistency: None };
    let answer = caller.records.get_record(request).await.expect("it was written").into_inner();
    answer.versions.iter().map(|version| version.received_time.expect("always set")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn received_by_reproduces_an_earlier_answer_to_the_cent() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("board", configured("USD", 4_000)).await;
    let Changing { first, later } = changing();
    caller.write(first).await;
    let board_paper = answers(&mut caller, None, None).await;
    let [received_by] = received(&mut caller, "x1").await[..] else { panic!("x1 has one version") };

    caller.write(later).await;
    let [_, late, corrected] = received(&mut caller, "x1").await[..] else { panic!("x1 has three") };
    let moment = |at: Timestamp| (at.seconds, at.nanos);
    assert!(moment(received_by) < moment(late) && late == corrected, "one batch after the other");
    let configure = |settings| ConfigureTenantRequest { tenant_id: "board".into(), settings: Some(settings) };
    caller.admin.configure_tenant(configure(configured("EUR", 9_000))).await.expect("the settings are valid");

    assert_eq!(answers(&mut caller, None, Some(received_by)).await, board_paper);
    let now = answers(&mut caller, None, None).await;
    assert!(now.iter().zip(&board_paper).all(|(now, then)| now != then), "each question notices the changes");

    // As it was told after the records changed, and before the settings did.
    let between = answers(&mut caller, None, Some(late)).await;
    assert!(between.iter().all(|(_, definition)| definition.reporting_currency_code == "USD"));
    assert_ne!(between, board_paper);
    let long_ago = Premises { received_by: at("2020-01-01T00:00:00Z"), ..Premises::default() };
    let asked = under(long_ago.clone(), ask(Subject::default(), "2024-03-31"));
    let (pipeline, definition) = get(&mut caller, asked).await;
    assert_eq!((parts(&pipeline), pipeline.targets), ([(0, 0); 6], vec![]), "nothing had been told");
    assert_eq!(definition.reporting_currency_code, "USD", "the first settings hold");
    let unheard_of = caller.kpis.get_pipeline(under(long_ago, ask(partner("A"), "2024-03-31"))).await;
    assert_eq!(unheard_of.expect_err("nobody had named A").code(), Code::NotFound);
    let sidecar = Sidecar::start_on(sidecar.stop().await).await;
    let mut caller = sidecar.caller("board").await;
    assert_eq!(answers(&mut caller, None, Some(received_by)).await, board_paper, "after a restart");
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_at_ignores_what_the_host_learnt_later() {
    let sidecar = Sidecar::start().await;
    let Changing { first, later } = changing();
    let all: Vec<Record> = first.into_iter().chain(later).collect();
    let mut caller = sidecar.tenant("all", configured("USD", 4_000)).await;
    caller.write(all.clone()).await;
    let moment = |at: &Timestamp| (at.seconds, at.nanos);
    for (n, known_at) in [noon("02-01"), noon("02-15"), noon("03-12"), noon("03-29"), noon("04-02")]
        .into_iter()
        .flatten()
        .enumerate()
    {
        // Another tenant, who was never told the rest.
        let mut then = sidecar.tenant(&format!("then-{n}"), configured("USD", 4_000)).await;
        let is_known =
            |record: &&Record| record.update_time.as_ref().is_some_and(|at| moment(at) <= moment(&known_at));
        let known: Vec<Record> = all.iter().filter(is_known).cloned().collect();
        assert!(!known.is_empty());
        then.write(known).await;
        let expected = answers(&mut then, None, None).await;
        assert_eq!(answers(&mut caller, Some(known_at), None).await, expected, "as known at {known_at}");
    }
    // x1 was corrected on the 30th.
    let open = async |caller: &mut Caller, known_at| {
        let question = GetPipelineRequest {
            stages: terms(&["offer"]),
            ..under(Premises { known_at, ..Premises::default() }, ask(partner("A"), "2024-03-31"))
        };
        let open = get(caller, question).await.0.open.expect("always set");
        (open.count, cents(open.amount.as_ref()))
    };
    assert_eq!(open(&mut caller, noon("03-29")).await, (3, 30_000 + 85_000 + 500_000));
    assert_eq!(open(&mut caller, noon("03-30")).await, (2, 85_000 + 500_000));
    assert_eq!(open(&mut caller, None).await, (2, 85_000 + 500_000));
    sidecar.stop().await;
}
