//! CompareKnowledge (docs/kpis.md §7, "Restatement") through gRPC on a real socket: what March was, as it was known
//! at two times, and the records that made the difference.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)]
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_key::Key;
use channel_kpi::proto::channelkpi::v1::{
    CompareKnowledgeRequest, CompareKnowledgeResponse, ConfigureTenantRequest, Deal, DealStatus, Employee,
    ExchangeRate, ExchangeRateKey, GetRecordRequest, GetScorecardRequest, Knowledge, Kpi, Lead, LeadOutcome,
    Partner, Premises, Record, RecordKey, RestatingRecord, Scorecard, Subject, TenantSettings, Trend,
};
use channel_kpi::proto::google::r#type::{Decimal, Money};
use prost_types::Timestamp;
use scorecard::{dates, figure, march, outcome, partner};
use sidecar::{Caller, Sidecar};
use worked_example::{date, deal, noon, settings, version, won};

/// The versions of records that its host wrote on a day.
fn written(on: &str, all: Vec<Deal>) -> Vec<Record> {
    all.into_iter().map(|deal| version(noon(on), Kind::Deal(deal))).collect()
}

/// d1 (200) and d2 (300) won, d3 (50) open: of A.
fn first() -> Vec<Record> {
    let company = [
        Kind::Partner(Partner { partner_id: "A".into(), active: Some(true), ..Partner::default() }),
        Kind::Partner(Partner { partner_id: "B".into(), active: Some(true), ..Partner::default() }),
        Kind::Employee(Employee { employee_id: "e1".into(), ..Employee::default() }),
    ];
    let company = company.map(|kind| version(noon("01-02"), kind)).to_vec();
    let sold = vec![
        won("03-05", deal("d1", "A", "e1", "02-20", 200)),
        won("03-08", deal("d2", "A", "e1", "03-01", 300)),
        deal("d3", "A", "e1", "03-02", 50),
    ];
    [company, written("03-10", sold)].concat()
}

fn known_at(month_day: &str) -> Option<Knowledge> {
    Some(Knowledge { known_at: noon(month_day), received_by: None })
}

fn received_by(received_by: Option<Timestamp>) -> Option<Knowledge> {
    Some(Knowledge { known_at: None, received_by })
}

/// March of A, between then and now.
fn since(earlier: Option<Knowledge>) -> CompareKnowledgeRequest {
    let GetScorecardRequest { subject, window, as_of, .. } = march(partner("A"));
    CompareKnowledgeRequest { subject, window, as_of, earlier, ..CompareKnowledgeRequest::default() }
}

async fn ask(caller: &mut Caller, question: CompareKnowledgeRequest) -> CompareKnowledgeResponse {
    caller.analysis.compare_knowledge(question).await.expect("the question is valid").into_inner()
}

/// When the server received the newest version of a record.
async fn last_received(caller: &mut Caller, key: Key) -> Option<Timestamp> {
    let request = GetRecordRequest { key: Some(RecordKey { key: Some(key) }), consistency: None };
    let versions = caller.records.get_record(request).await.expect("it was sent").into_inner().versions;
    let times = versions.into_iter().filter_map(|version| version.received_time);
    times.max_by_key(|time| (time.seconds, time.nanos))
}

fn deal_key(id: &str) -> Key {
    Key::DealId(id.into())
}

/// Earlier and later figure of a KPI.
fn ends(answer: &CompareKnowledgeResponse, kpi: Kpi) -> [String; 2] {
    let compared =
        answer.kpis.iter().find(|restated| restated.kpi() == kpi).expect("asked for").compared.clone();
    let compared = compared.expect("always set");
    [figure(compared.comparison.as_ref()), figure(compared.figure.as_ref())]
}

/// Earlier and later worth of the deals won.
fn worth(answer: &CompareKnowledgeResponse) -> [String; 2] {
    let count = answer.kpis.iter().find(|restated| restated.kpi() == Kpi::DealCount).expect("asked for");
    let compared = count.won_amount.clone().expect("of the deal count");
    [figure(compared.comparison.as_ref()), figure(compared.figure.as_ref())]
}

/// `deal d1: 1 version, KPIs…` of each record.
fn records(answer: &CompareKnowledgeResponse) -> Vec<String> {
    let told = |record: &RestatingRecord| {
        let key = match record.key.clone().and_then(|key| key.key).expect("always set") {
            Key::DealId(id) => format!("deal {id}"),
            Key::LeadId(id) => format!("lead {id}"),
            Key::PartnerId(id) => format!("partner {id}"),
            Key::ExchangeRate(_) => "rate".into(),
            Key::TenantSettings(_) => "settings".into(),
            other => panic!("{other:?} wasn't sent"),
        };
        let kpis: Vec<_> =
            record.kpis().map(|kpi| kpi.as_str_name().trim_start_matches("KPI_").to_lowercase()).collect();
        format!("{key} {}: {}", record.version_count, kpis.join(" "))
    };
    answer.records.iter().map(told).collect()
}

fn status(version: &Option<channel_kpi::proto::channelkpi::v1::RecordVersion>) -> (DealStatus, bool) {
    let record = version.clone().and_then(|version| version.record).expect("it was known");
    match record.record {
        Some(Kind::Deal(deal)) => (deal.status(), record.deleted),
        other => panic!("{other:?} is no deal"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_was_reopened_a_new_amount_and_a_deletion() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("restated", settings()).await;
    caller.write(first()).await;

    // Reopened on 2 April.
    caller.write(written("04-02", vec![deal("d1", "A", "e1", "02-20", 200)])).await;
    let reopened = ask(&mut caller, since(known_at("03-31"))).await;
    assert_eq!(ends(&reopened, Kpi::DealCount), ["2/1", "1/1"]);
    assert_eq!(worth(&reopened), ["500.00 (500.00/1)", "300.00 (300.00/1)"]);
    assert_eq!(ends(&reopened, Kpi::AverageDealSize), ["250.00 (500.00/2)", "300.00 (300.00/1)"]);
    assert_eq!(ends(&reopened, Kpi::OpportunityPipeline), ["50.00 (50.00/1)", "250.00 (250.00/1)"]);
    assert_eq!(ends(&reopened, Kpi::CloseRate), ["1/2", "1/2"], "d1 came before March");
    assert_eq!(ends(&reopened, Kpi::DealSuccess), ["2/2", "1/1"]);
    let count =
        reopened.kpis[1].compared.clone().and_then(|compared| compared.change).expect("both are there");
    assert_eq!((count.absolute, count.trend()), (Some(-1.0), Trend::Worse));
    let all_but_close_rate =
        "average_deal_size deal_count opportunity_pipeline deal_velocity value_score deal_success";
    assert_eq!(records(&reopened), [format!("deal d1 1: {all_but_close_rate}")]);
    let d1 = &reopened.records[0];
    assert_eq!(
        [status(&d1.earlier), status(&d1.later)],
        [(DealStatus::Won, false), (DealStatus::Open, false)]
    );
    let key = |version: &Option<channel_kpi::proto::channelkpi::v1::RecordVersion>| {
        version.clone().and_then(|version| version.record?.update_time)
    };
    assert_eq!([key(&d1.earlier), key(&d1.later)], [noon("03-10"), noon("04-02")]);

    // Another amount the day after; known in between: only that.
    let dearer = won("03-08", deal("d2", "A", "e1", "03-01", 330));
    caller.write(written("04-03", vec![dearer.clone()])).await;
    let amended = ask(&mut caller, since(known_at("04-02"))).await;
    assert_eq!(worth(&amended), ["300.00 (300.00/1)", "330.00 (330.00/1)"]);
    // Its score stays 100 as the only peer, but it rests on the amount.
    let by_amount = "average_deal_size deal_count deal_velocity value_score";
    assert_eq!(records(&amended), [format!("deal d2 1: {by_amount}")]);
    let cut =
        ask(&mut caller, CompareKnowledgeRequest { later: known_at("04-02"), ..since(known_at("03-31")) })
            .await;
    assert_eq!((records(&cut), worth(&cut)), (records(&reopened), worth(&reopened)));

    // Deleted; asked of the one KPI.
    let deleted = Record { deleted: true, ..version(noon("04-04"), Kind::Deal(dearer)) };
    caller.write(vec![deleted]).await;
    let question = CompareKnowledgeRequest { kpis: vec![Kpi::DealCount.into()], ..since(known_at("04-03")) };
    let gone = ask(&mut caller, question.clone()).await;
    assert_eq!(ends(&gone, Kpi::DealCount), ["1/1", "0/1"]);
    assert_eq!(records(&gone), ["deal d2 1: deal_count"]);
    assert!(!gone.records[0].earlier.clone().and_then(|version| version.record).expect("known").deleted);
    assert!(gone.records[0].later.clone().and_then(|version| version.record).expect("known").deleted);

    // All three together, in order, and cut.
    let all = ask(&mut caller, since(known_at("03-31"))).await;
    assert_eq!(all.records.len(), 2);
    let one = ask(&mut caller, CompareKnowledgeRequest { record_limit: 1, ..since(known_at("03-31")) }).await;
    assert_eq!((&one.records[..], one.record_count), (&all.records[..1], 2));
    assert_eq!(all.records[1].version_count, 2, "of d2: another amount, then a deletion");
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_that_came_late() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("late", settings()).await;
    caller.write(first()).await;
    caller.write(written("03-20", vec![deal("d3", "A", "e1", "03-02", 70)])).await;
    let before = last_received(&mut caller, deal_key("d3")).await;
    // On 12 March it was worth 90, as we are told only now.
    caller.write(written("03-12", vec![deal("d3", "A", "e1", "03-02", 90)])).await;
    let on_the_15th = CompareKnowledgeRequest { as_of: date("2024-03-15"), ..since(received_by(before)) };
    let answer = ask(&mut caller, on_the_15th.clone()).await;
    assert_eq!(ends(&answer, Kpi::OpportunityPipeline), ["50.00 (50.00/1)", "90.00 (90.00/1)"]);
    assert_eq!(records(&answer), ["deal d3 1: opportunity_pipeline"]);
    assert_eq!(answer.records[0].earlier, answer.records[0].later, "it isn't the current one");
    // At the month's end that day is no more asked for.
    let answer = ask(&mut caller, since(received_by(before))).await;
    assert_eq!(ends(&answer, Kpi::OpportunityPipeline), ["70.00 (70.00/1)"; 2]);
    assert_eq!((records(&answer), answer.record_count), (Vec::<String>::new(), 0));
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_settings_and_a_partner_that_was_not_known() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("others", settings()).await;
    caller.write(first()).await;
    let euros = Some(Money { currency_code: "EUR".into(), units: 100, nanos: 0 });
    let foreign = Deal { amount: euros, ..won("03-09", deal("d4", "B", "e1", "03-01", 0)) };
    caller.write(written("03-10", vec![foreign])).await;
    let before = last_received(&mut caller, deal_key("d4")).await;
    let key = ExchangeRateKey {
        from_currency_code: "EUR".into(),
        to_currency_code: "USD".into(),
        rate_on: date("2024-03-01"),
    };
    let rate = ExchangeRate { key: Some(key.clone()), rate: Some(Decimal { value: "1.5".into() }) };
    // That of a day on which nothing counts makes no difference.
    let of_april = ExchangeRateKey { rate_on: date("2024-04-01"), ..key.clone() };
    let of_april = ExchangeRate { key: Some(of_april), ..rate.clone() };
    let rates = [rate, of_april].map(|rate| version(noon("04-05"), Kind::ExchangeRate(rate)));
    caller.write(rates.to_vec()).await;
    let of_b = CompareKnowledgeRequest { subject: Some(partner("B")), ..since(received_by(before)) };
    let answer = ask(&mut caller, of_b.clone()).await;
    assert_eq!(ends(&answer, Kpi::AverageDealSize), ["no-amount-known", "150.00 (150.00/1)"]);
    // The deal has no version in between: what moved it is the rate.
    assert_eq!(records(&answer), ["rate 1: "]);
    assert_eq!(answer.records[0].earlier, None, "it wasn't known");

    // A currency of which amounts can't be subtracted.
    let after = last_received(&mut caller, Key::ExchangeRate(key)).await;
    let in_euros = TenantSettings { reporting_currency_code: "EUR".into(), ..settings() };
    let configure = ConfigureTenantRequest { tenant_id: "others".into(), settings: Some(in_euros) };
    caller.admin.configure_tenant(configure).await.expect("the settings are valid");
    let answer = ask(&mut caller, CompareKnowledgeRequest { earlier: received_by(after), ..of_b }).await;
    assert_eq!(worth(&answer), ["150.00 (150.00/1)", "100.00 (100.00EUR/1)"]);
    let changes: Vec<_> =
        answer.kpis[..2].iter().map(|kpi| kpi.compared.clone().and_then(|c| c.change)).collect();
    assert!(changes[0].is_none() && changes[1].is_some(), "a count has no currency");
    assert_eq!(answer.kpis[1].won_amount.clone().and_then(|compared| compared.change), None);
    assert_eq!(records(&answer), ["settings 1: "]);
    let codes = [&answer.earlier_definition, &answer.later_definition]
        .map(|definition| definition.clone().expect("known at both").reporting_currency_code);
    assert_eq!(codes, ["USD", "EUR"]);

    // A partner that nothing named then.
    let newcomer = vec![won("03-20", deal("d5", "new", "e1", "03-15", 10))];
    caller.write(written("04-06", newcomer)).await;
    let of_new = CompareKnowledgeRequest { subject: Some(partner("new")), ..since(known_at("04-05")) };
    let answer = ask(&mut caller, of_new).await;
    assert_eq!(ends(&answer, Kpi::DealCount), ["none", "1/1"]);
    assert_eq!(
        (answer.earlier_definition.clone(), answer.kpis[1].compared.clone().and_then(|c| c.change)),
        (None, None)
    );
    assert!(records(&answer).iter().any(|record| record.starts_with("deal d5 1: ")));
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_nothing_is_not_listed() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("same", settings()).await;
    caller.write(first()).await;
    // The nightly job sends all again, under new times; a deal of April, and a new stage of d3.
    let again = first().into_iter().map(|record| Record { update_time: noon("04-10"), ..record });
    let april = won("04-09", deal("d9", "A", "e1", "04-01", 900));
    let staged = Deal { stage: "offer".into(), ..deal("d3", "A", "e1", "03-02", 50) };
    let more = [written("04-10", vec![april]), written("04-11", vec![staged])].concat();
    caller.write(again.chain(more).collect()).await;
    let answer = ask(&mut caller, since(known_at("04-01"))).await;
    assert_eq!((records(&answer), answer.record_count), (Vec::<String>::new(), 0));
    for restated in &answer.kpis {
        let compared = restated.compared.clone().expect("always set");
        assert_eq!(compared.figure, compared.comparison, "{:?}", restated.kpi());
    }
    sidecar.stop().await;
}

/// A's score by a deal of B's; A's close rate by a deal of B's, made of a lead of A's.
#[tokio::test(flavor = "multi_thread")]
async fn records_of_others_move_a_figure() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("others-deals", settings()).await;
    caller.write(first()).await;
    let lead = Lead {
        lead_id: "L1".into(),
        created_at: noon("03-04"),
        partner_id: "A".into(),
        outcome: LeadOutcome::Open.into(),
        ..Lead::default()
    };
    let of_lead = Deal { lead_id: "L1".into(), ..deal("b1", "B", "e1", "03-06", 100) };
    let of_b = [vec![version(noon("03-10"), Kind::Lead(lead))], written("03-10", vec![of_lead.clone()])];
    caller.write(of_b.concat()).await;
    caller.write(written("04-01", vec![won("03-25", of_lead)])).await;
    let answer = ask(&mut caller, since(known_at("03-31"))).await;
    assert_eq!(ends(&answer, Kpi::CloseRate), ["1/3", "2/3"]);
    let scores = answer.kpis[6].compared.clone().expect("always set");
    let scores = [scores.comparison, scores.figure].map(|score| outcome(score.as_ref()).map(f64::round));
    assert_eq!(scores, [Ok(200.0), Ok(167.0)], "of 500 / 250 and 500 / 300");
    assert_eq!(records(&answer), ["deal b1 1: close_rate value_score"]);
    let scores = CompareKnowledgeRequest { kpis: vec![Kpi::ValueScore.into()], ..since(known_at("03-31")) };
    assert_eq!(records(&ask(&mut caller, scores).await), ["deal b1 1: value_score"]);
    // What moves A's own figures comes first.
    caller.write(written("04-02", vec![won("03-08", deal("d2", "A", "e1", "03-01", 330))])).await;
    let scores = vec![Kpi::DealCount.into(), Kpi::ValueScore.into()];
    let answer = ask(&mut caller, CompareKnowledgeRequest { kpis: scores, ..since(known_at("03-31")) }).await;
    assert_eq!(records(&answer), ["deal d2 1: deal_count value_score", "deal b1 1: value_score"]);
    sidecar.stop().await;
}

/// A lead without a partner is at home with its first deal's. That which becomes its first wasn't known before.
#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_took_a_prospect_away() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("taken", settings()).await;
    caller.write(first()).await;
    let lead = Lead { lead_id: "L2".into(), created_at: noon("03-07"), ..Lead::default() };
    caller.write(vec![version(noon("03-10"), Kind::Lead(lead))]).await;
    let of_lead = |deal| Deal { lead_id: "L2".into(), ..deal };
    caller.write(written("03-10", vec![of_lead(deal("a9", "A", "e1", "03-09", 10))])).await;
    caller.write(written("04-03", vec![of_lead(deal("b9", "B", "e1", "03-08", 10))])).await;
    let question = CompareKnowledgeRequest { kpis: vec![Kpi::CloseRate.into()], ..since(known_at("03-31")) };
    let answer = ask(&mut caller, question).await;
    assert_eq!(ends(&answer, Kpi::CloseRate), ["1/3", "1/2"]);
    assert_eq!(records(&answer), ["deal b9 1: close_rate"]);
    sidecar.stop().await;
}

/// Each end is what GetScorecard says of it.
#[tokio::test(flavor = "multi_thread")]
async fn both_ends_are_those_of_scorecards() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("ends", settings()).await;
    caller.write(worked_example::records()).await;
    caller.write(first()).await;
    let figures = |card: &Scorecard| -> Vec<Option<channel_kpi::proto::channelkpi::v1::Figure>> {
        let card = card.clone();
        vec![
            card.average_deal_size.expect("asked for").figure,
            card.deal_count.expect("asked for").figure,
            card.opportunity_pipeline.expect("asked for").figure,
            card.marketing_channel.expect("asked for").figure,
            card.close_rate.expect("asked for").figure,
            card.deal_velocity.expect("asked for").figure,
            card.value_score.expect("asked for").figure,
            card.deal_success.expect("asked for").figure,
        ]
    };
    for subject in [Subject::default(), partner("A"), partner("B")] {
        for (earlier, later) in [("03-05", Some("03-12")), ("03-12", None)] {
            let later = later.and_then(known_at);
            let question = CompareKnowledgeRequest {
                subject: Some(subject.clone()),
                later,
                window: Some(dates("2024-03-01", "2024-04-01")),
                ..since(known_at(earlier))
            };
            let answer = ask(&mut caller, question).await;
            let compared = answer.kpis.iter().map(|kpi| kpi.compared.clone().expect("always set"));
            let (now, then): (Vec<_>, Vec<_>) = compared.map(|c| (c.figure, c.comparison)).unzip();
            for (told, knowledge, definition) in
                [(then, known_at(earlier), answer.earlier_definition), (now, later, answer.later_definition)]
            {
                let known_at = knowledge.and_then(|knowledge| knowledge.known_at);
                let premises = Some(Premises { known_at, ..Premises::default() });
                let question = GetScorecardRequest { premises, ..march(subject.clone()) };
                let card = caller.kpis.get_scorecard(question).await.expect("it is valid").into_inner();
                assert_eq!(told, figures(&card.scorecard.expect("always set")));
                let (found, expected) = (definition.expect("known"), card.definition.expect("always set"));
                assert_eq!((found.window, found.as_of), (expected.window, expected.as_of));
                assert_eq!(found.premises, expected.premises);
            }
        }
    }
    sidecar.stop().await;
}
