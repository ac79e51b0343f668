//! What the fuller views of scorecards tell (docs/kpis.md §6, §7) through gRPC on a real socket: positions
//! among peers, medians and percentiles, stage days, the close rate's context, and the records behind each
//! KPI.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_key::Key;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::{
    AbsentReason, CreditRole, Deal, Employee, FigureKind, Filter, GetScorecardRequest, Kpi, Lead,
    ListContributingRecordsRequest, OrgUnit, Partner, PartnerCredit, PartnerSubject, Position, Premises,
    Record, Scorecard, Subject, Terms, Trend, View,
};
use channel_kpi::proto::google::r#type::Money;
use scorecard::{ask, dates, march, outcome, partner, terms};
use sidecar::{Caller, Sidecar};
use worked_example::{at, deal, lost, noon, records, settings, version, won};

fn employee(id: &str) -> Subject {
    Subject { subject: Some(Of::EmployeeId(id.into())) }
}

fn unit(id: &str) -> Subject {
    Subject { subject: Some(Of::UnitId(id.into())) }
}

/// With the partners below it.
fn branch(partner_id: &str) -> Subject {
    let partner = PartnerSubject { partner_id: partner_id.into(), include_sub_partners: true };
    Subject { subject: Some(Of::Partner(partner)) }
}

async fn get(caller: &mut Caller, question: GetScorecardRequest) -> Scorecard {
    let answer = caller.kpis.get_scorecard(question).await.expect("the question is valid").into_inner();
    answer.scorecard.expect("always set")
}

/// March 2024 in the full view.
async fn full(caller: &mut Caller, subject: Subject) -> Scorecard {
    get(caller, GetScorecardRequest { view: View::Full.into(), ..march(subject) }).await
}

fn values(values: &[&str]) -> Option<Terms> {
    Some(Terms { values: values.iter().map(|&value| value.into()).collect(), include_none: false })
}

fn under(filter: Filter, question: GetScorecardRequest) -> GetScorecardRequest {
    let premises = Some(Premises { filter: Some(filter), ..Premises::default() });
    GetScorecardRequest { premises, ..question }
}

fn deals(all: Vec<Deal>) -> Vec<Record> {
    all.into_iter().map(|deal| version(noon("01-01"), Kind::Deal(deal))).collect()
}

/// A record of the first day, sent whole.
fn sent(kind: Kind) -> Record {
    version(noon("01-01"), kind)
}

fn named(id: &str) -> Partner {
    Partner { partner_id: id.into(), ..Partner::default() }
}

// === positions ===

/// `rank/peers percentile median`.
fn told(position: Option<&Position>) -> String {
    let Some(position) = position else { return "none".into() };
    let percentile = position.percentile.map_or("-".into(), |share| format!("{share:.3}"));
    let median = outcome(position.median.as_ref()).expect("the peers have one");
    format!("{}/{} {percentile} {median}", position.rank, position.peer_count)
}

/// Of deal count, average deal size, value score and pipeline.
fn positions(card: &Scorecard) -> [String; 4] {
    let count = card.deal_count.as_ref().expect("asked for").position.as_ref();
    let size = card.average_deal_size.as_ref().expect("asked for").position.as_ref();
    let score = card.value_score.as_ref().expect("asked for").position.as_ref();
    let pipeline = card.opportunity_pipeline.as_ref().expect("asked for").position.as_ref();
    [count, size, score, pipeline].map(told)
}

/// Won in March: A 200 and, as Z, 100; B 300; C 100. D has an open deal of 500. E had a deal until February.
/// X is inactive, Y deleted: they won 900 each. G was never sent and won 900 too.
#[tokio::test(flavor = "multi_thread")]
async fn a_subject_stands_among_its_peers() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("peers", settings()).await;
    let won = |id: &str, partner: &str, units| won("03-05", deal(id, partner, "e1", "03-01", units));
    let partners = [
        named("A"),
        named("B"),
        named("C"),
        named("D"),
        named("E"),
        Partner { active: Some(false), ..named("X") },
        named("Y"),
        Partner { merged_into_partner_id: "A".into(), ..named("Z") },
    ];
    let gone = Record { deleted: true, ..version(noon("01-02"), Kind::Partner(named("Y"))) };
    let seller = Employee { employee_id: "e1".into(), ..Employee::default() };
    let sold = vec![
        won("a", "A", 200),
        won("z", "Z", 100),
        won("b", "B", 300),
        won("c", "C", 100),
        deal("d", "D", "e1", "02-01", 500),
        lost("02-28", deal("e", "E", "e1", "02-01", 500)),
        won("x", "X", 900),
        won("y", "Y", 900),
        won("g", "G", 900),
    ];
    let partners = partners.map(|partner| sent(Kind::Partner(partner)));
    caller.write([partners.into(), vec![gone, sent(Kind::Employee(seller))], deals(sold)].concat()).await;
    // The peers have 2, 1, 1 and 0 deals; 150, 300 and 100 a deal; 171.43, 171.43, 57.14 and 0 points.
    let middle = 100.0 * (300.0 + 100.0) / 2.0 / 175.0;
    for (id, expected) in [
        (
            "A",
            [
                "1/4 1.000 1".into(),
                "2/3 0.500 150".into(),
                format!("1/4 0.833 {middle}"),
                "2/4 0.333 0".into(),
            ],
        ),
        (
            "B",
            [
                "2/4 0.500 1".into(),
                "1/3 1.000 150".into(),
                format!("1/4 0.833 {middle}"),
                "2/4 0.333 0".into(),
            ],
        ),
        (
            "C",
            [
                "2/4 0.500 1".into(),
                "3/3 0.000 150".into(),
                format!("3/4 0.333 {middle}"),
                "2/4 0.333 0".into(),
            ],
        ),
        ("D", ["4/4 0.000 1".into(), "none".into(), format!("4/4 0.000 {middle}"), "1/4 1.000 0".into()]),
    ] {
        assert_eq!(positions(&full(&mut caller, partner(id)).await), expected, "{id}");
    }
    let merged = full(&mut caller, partner("Z")).await;
    assert_eq!(positions(&merged), positions(&full(&mut caller, partner("A")).await));
    // Who is no peer keeps the figures, without a place among the others.
    for (id, count) in [("E", 0), ("X", 1), ("Y", 1), ("G", 1)] {
        let card = full(&mut caller, partner(id)).await;
        assert_eq!(positions(&card), ["none"; 4], "{id}");
        assert_eq!(terms(card.deal_count.expect("asked for").figure.as_ref()), (count, 1), "{id}");
        let score = card.value_score.expect("asked for");
        assert_eq!(outcome(score.figure.as_ref()), Err(AbsentReason::NoPeer), "{id}");
    }
    // The only seller, and the tenant.
    let only = positions(&full(&mut caller, employee("e1")).await);
    assert_eq!(only, ["1/1 - 7", "1/1 - 485.7142857142857", "1/1 - 100", "1/1 - 500"]);
    assert_eq!(positions(&full(&mut caller, Subject::default()).await), ["none"; 4]);
    // The basic view has the value score's place alone.
    let basic = positions(&get(&mut caller, march(partner("C"))).await);
    assert_eq!(basic, ["none".into(), "none".into(), format!("3/4 0.333 {middle}"), "none".into()]);
    sidecar.stop().await;
}

/// Units, and partners with those below them, stand among those with the same parent.
#[tokio::test(flavor = "multi_thread")]
async fn branches_stand_beside_branches_of_the_same_parent() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("branches", settings()).await;
    let org_unit = |id: &str, parent: &str| {
        let (org_unit_id, parent_unit_id) = (id.into(), parent.into());
        sent(Kind::OrgUnit(OrgUnit { org_unit_id, parent_unit_id, ..OrgUnit::default() }))
    };
    let below = |id: &str, parent: &str| {
        sent(Kind::Partner(Partner { parent_partner_id: parent.into(), ..named(id) }))
    };
    let company = vec![
        org_unit("sales", ""),
        org_unit("north", "sales"),
        org_unit("south", "sales"),
        org_unit("idle", "sales"),
        org_unit("other", ""),
        org_unit("west", "other"),
        below("P", ""),
        below("A", "P"),
        below("B", "P"),
        below("C", ""),
    ];
    let sold = |id: &str, partner: &str, unit: &str, units| {
        let open = Deal { unit_id: unit.into(), ..deal(id, partner, "", "03-01", units) };
        won("03-05", open)
    };
    let sold =
        vec![sold("d1", "A", "north", 100), sold("d2", "B", "south", 300), sold("d3", "C", "west", 50)];
    caller.write([company, deals(sold)].concat()).await;
    for (subject, expected) in [
        (unit("north"), "2/2 0.000 100"),
        (unit("south"), "1/2 1.000 100"),
        (unit("idle"), "none"),
        (unit("west"), "1/1 - 100"),
        (unit("sales"), "1/2 1.000 100"), // beside other, which has no parent either
        (unit("other"), "2/2 0.000 100"),
        (branch("A"), "2/2 0.000 100"),
        (branch("B"), "1/2 1.000 100"),
        (branch("P"), "1/2 1.000 100"), // by its branch, beside C
        (branch("C"), "2/2 0.000 100"),
        // Alone all are peers of all, and P had no deal.
        (partner("A"), "2/3 0.500 66.66666666666667"),
        (partner("C"), "3/3 0.000 66.66666666666667"),
        (partner("P"), "none"),
    ] {
        let card = full(&mut caller, subject.clone()).await;
        let [_, _, score, _] = positions(&card);
        assert_eq!(score, expected, "{subject:?}");
    }
    let points = async |caller: &mut Caller, subject| {
        outcome(full(caller, subject).await.value_score.expect("asked for").figure.as_ref())
    };
    assert_eq!(points(&mut caller, unit("north")).await, Ok(50.0)); // of a mean of 200
    assert_eq!(points(&mut caller, branch("C")).await, Ok(100.0 * 50.0 / 225.0));
    assert_eq!(points(&mut caller, partner("C")).await, Ok(100.0 / 3.0)); // of a mean of 150
    sidecar.stop().await;
}

// === medians and percentiles ===

#[tokio::test(flavor = "multi_thread")]
async fn medians_and_means_of_whole_deals() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("medians", settings()).await;
    let tiny = |id: &str, e4: i32| {
        let amount = Some(Money { currency_code: "USD".into(), units: 0, nanos: e4 * 100_000 });
        won("03-05", Deal { amount, ..deal(id, "T", "e1", "03-01", 0) })
    };
    let shared = |id: &str, share_bps, units| {
        let role = CreditRole::Sourced.into();
        let credit = PartnerCredit { partner_id: "S".into(), role, share_bps: Some(share_bps) };
        won("03-05", Deal { partner_credits: vec![credit], ..deal(id, "", "e2", "03-01", units) })
    };
    let unpriced = won("03-05", Deal { amount: None, ..deal("u", "U", "e3", "03-01", 0) });
    let rest = vec![
        tiny("t1", 1),
        tiny("t2", 2),
        shared("s1", 2_500, 400),
        shared("s2", 5_000, 100),
        shared("s3", 10_000, 10),
        unpriced,
    ];
    caller.write(deals(rest)).await;
    let told = async |caller: &mut Caller, subject| {
        let size = full(caller, subject).await.average_deal_size.expect("asked for");
        (size.median, size.mean_whole_deal)
    };
    let (median, mean) = told(&mut caller, partner("T")).await;
    assert_eq!(terms(median.as_ref()), (3, 2)); // of one and two ten-thousandths: one and a half
    assert_eq!(outcome(median.as_ref()), Ok(0.000_15));
    assert_eq!(terms(mean.as_ref()), (3, 2));
    let (median, mean) = told(&mut caller, partner("S")).await; // has 100, 50 and 10 of 400, 100 and 10
    assert_eq!((outcome(median.as_ref()), terms(mean.as_ref())), (Ok(50.0), (510_0000, 3)));
    let (median, mean) = told(&mut caller, partner("U")).await;
    assert_eq!(outcome(median.as_ref()), Err(AbsentReason::NoAmountKnown));
    assert_eq!(outcome(mean.as_ref()), Err(AbsentReason::NoAmountKnown));
    // Only partners have parts of deals.
    let (median, mean) = told(&mut caller, employee("e2")).await;
    assert_eq!((outcome(median.as_ref()), mean), (Ok(100.0), None));
    let basic = get(&mut caller, march(partner("S"))).await.average_deal_size.expect("asked for");
    assert_eq!((basic.median, basic.mean_whole_deal), (None, None));
    sidecar.stop().await;
}

/// Nearest rank: a number of days that some deal took.
#[tokio::test(flavor = "multi_thread")]
async fn percentiles_of_cycle_days() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("cycles", settings()).await;
    let took = |partner: &str, days: u32| {
        let opened = deal(&format!("{partner}-{days}"), partner, "e1", &format!("03-{:02}", 31 - days), 1);
        won("03-31", opened)
    };
    let four = [2, 4, 10, 30].map(|days| took("four", days));
    let eleven = (0..11).map(|days| took("eleven", days));
    caller.write(deals(four.into_iter().chain(eleven).collect())).await;
    caller.write(deals(vec![deal("open", "none", "e1", "03-01", 1)])).await;
    for (id, expected) in
        [("four", (Some(4), Some(30))), ("eleven", (Some(5), Some(9))), ("none", (None, None))]
    {
        let velocity = full(&mut caller, partner(id)).await.deal_velocity.expect("asked for");
        assert_eq!((velocity.median_cycle_days, velocity.p90_cycle_days), expected, "{id}");
    }
    let velocity = full(&mut caller, partner("eleven")).await.deal_velocity.expect("asked for");
    let [mean, clamped] = [velocity.mean_cycle_days, velocity.cycle_days].map(|it| it.expect("always set"));
    assert_eq!(terms(mean.figure.as_ref()), (55, 11));
    assert_eq!(terms(clamped.figure.as_ref()), (56, 11)); // a day for the one that took none
    sidecar.stop().await;
}

// === stages ===

/// Versions of one deal: when each was sent, and its stage or its end.
fn versions(id: &str, sent: &[(&str, Stage)]) -> Vec<Record> {
    let open = deal(id, "A", "e1", "03-01", 10);
    let version_of = |&(on, stage): &(&str, Stage)| {
        let deal = match stage {
            Stage::In(stage) => Deal { stage: stage.into(), ..open.clone() },
            Stage::Won(closed) => won(closed, Deal { stage: "won".into(), ..open.clone() }),
            Stage::Lost(closed) => lost(closed, Deal { stage: "gone".into(), ..open.clone() }),
        };
        version(noon(on), Kind::Deal(deal))
    };
    sent.iter().map(version_of).collect()
}

#[derive(Clone, Copy)]
enum Stage {
    In(&'static str),
    Won(&'static str),
    Lost(&'static str),
}

#[tokio::test(flavor = "multi_thread")]
async fn days_in_each_stage() {
    use Stage::{In, Lost, Won};
    let sidecar = Sidecar::start().await;
    for (case, sent, expected) in [
        (
            "returns add up",
            &[
                ("03-01", In("lead")),
                ("03-05", In("offer")),
                ("03-09", In("lead")),
                ("03-12", In("offer")),
                ("03-20", Won("03-20")),
            ][..],
            &[("lead", 4 + 3), ("offer", 4 + 8)][..],
        ),
        (
            "the first counts from the opening",
            &[("03-06", In("lead")), ("03-09", In("offer")), ("03-11", Won("03-11"))],
            &[("lead", 8), ("offer", 2)],
        ),
        (
            "the last counts to the closing, though that was told later",
            &[("03-01", In("lead")), ("03-30", Won("03-11"))],
            &[("lead", 10)],
        ),
        ("a closed version alone says nothing", &[("03-11", Won("03-11"))], &[]),
        (
            "what was sent after the closing says nothing of the days before",
            &[("03-01", In("lead")), ("03-12", In("offer")), ("03-13", Won("03-11"))],
            &[("lead", 10)],
        ),
        (
            "the first open version tells the stage whenever it was sent",
            &[("03-12", In("offer")), ("03-13", Won("03-11"))],
            &[("offer", 10)],
        ),
        (
            "a reopened deal was not closed",
            &[
                ("03-01", In("lead")),
                ("03-05", Lost("03-05")),
                ("03-10", In("offer")),
                ("03-20", Won("03-20")),
            ],
            &[("lead", 9), ("offer", 10)],
        ),
        (
            "a stage may be unknown, or last less than a day",
            &[("03-01", In("")), ("03-04", In("lead")), ("03-06", In("signed")), ("03-06", Won("03-06"))],
            &[("", 3), ("lead", 2), ("signed", 0)],
        ),
    ] {
        let mut caller = sidecar.tenant(&case.replace([' ', ','], "-"), settings()).await;
        let mut sent = versions("d", sent);
        if let [.., before, last] = sent.as_mut_slice()
            && before.update_time == last.update_time
        {
            last.sequence = Some(1); // of one moment: the later one by its number
        }
        caller.write(sent).await;
        let found = stages(&full(&mut caller, partner("A")).await);
        let expected: Vec<_> = expected.iter().map(|&(stage, days)| (stage.to_owned(), (days, 1))).collect();
        assert_eq!(found, expected, "{case}");
    }

    // Several deals: days over those that were in the stage. One lost isn't among them, nor one won in April.
    let mut caller = sidecar.tenant("several", settings()).await;
    let all = [
        versions("d1", &[("03-01", In("lead")), ("03-05", In("offer")), ("03-11", Won("03-11"))]),
        versions("d2", &[("03-01", In("lead")), ("03-09", Won("03-09"))]),
        versions("d3", &[("03-01", In("lead")), ("03-02", Lost("03-02"))]),
        versions("d4", &[("03-01", In("offer")), ("04-02", Won("04-02"))]),
    ];
    caller.write(all.concat()).await;
    let card = full(&mut caller, partner("A")).await;
    assert_eq!(stages(&card), [("lead".to_owned(), (12, 2)), ("offer".to_owned(), (6, 1))]);
    assert_eq!(stages(&get(&mut caller, march(partner("A"))).await), []);
    sidecar.stop().await;
}

fn stages(card: &Scorecard) -> Vec<(String, (i64, i64))> {
    let stages = &card.deal_velocity.as_ref().expect("asked for").stages;
    stages.iter().map(|stage| (stage.stage.clone(), terms(stage.mean_days.as_ref()))).collect()
}

// === the close rate's context ===

/// March 2024: A (north) has two prospects, of which one buys; B (north) two, which don't. A's third is of the
/// south by its own region. March 2023: A had one, who bought in April.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_rate_stands_beside_the_year_before_and_the_region() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("context", settings()).await;
    let of = |id: &str, region: &str| sent(Kind::Partner(Partner { region: region.into(), ..named(id) }));
    let seller = sent(Kind::Employee(Employee { employee_id: "e1".into(), ..Employee::default() }));
    let partners = vec![of("A", "north"), of("B", "north"), of("C", ""), seller];
    let boxed = |deal| Deal { product: "box".into(), ..deal };
    let mut earlier = won("03-05", boxed(deal("a0", "A", "e1", "03-01", 10)));
    (earlier.opened_at, earlier.closed_at) = (at("2023-03-10T06:00:00Z"), at("2023-04-05T06:00:00Z"));
    let sold = vec![
        earlier,
        won("03-20", boxed(deal("a1", "A", "e1", "03-01", 10))),
        deal("a2", "A", "e1", "03-02", 10),
        won("03-20", Deal { region: "south".into(), ..deal("a3", "A", "e1", "03-03", 10) }),
        deal("b1", "B", "e2", "03-01", 10),
        deal("b2", "B", "e2", "03-02", 10),
        deal("c1", "C", "e2", "03-02", 10),
    ];
    caller.write([partners, deals(sold)].concat()).await;
    let context = async |caller: &mut Caller, question: GetScorecardRequest| {
        let close = get(caller, GetScorecardRequest { view: View::Full.into(), ..question }).await.close_rate;
        close.and_then(|close| close.context).expect("in the full view")
    };
    let a = context(&mut caller, march(partner("A"))).await;
    assert_eq!((a.region.as_str(), terms(a.region_figure.as_ref())), ("north", (1, 4)));
    let year_before = a.year_before.expect("always set");
    assert_eq!(terms(year_before.figure.as_ref()), (2, 3));
    assert_eq!(terms(year_before.comparison.as_ref()), (0, 1)); // as of 31 March 2023
    assert_eq!(year_before.change.expect("both are there").trend(), Trend::Better);
    // Five days later the one of 2023 had bought too.
    let later = ask(partner("A"), dates("2024-03-01", "2024-04-01"), "2024-04-05");
    let year_before = context(&mut caller, later).await.year_before.expect("always set");
    assert_eq!(terms(year_before.comparison.as_ref()), (1, 1));
    // The region's rate is that of all, whatever the question asks for.
    let boxes = Filter { products: values(&["box"]), ..Filter::default() };
    let a = context(&mut caller, under(boxes, march(partner("A")))).await;
    assert_eq!(terms(a.year_before.expect("always set").figure.as_ref()), (1, 1));
    assert_eq!(terms(a.region_figure.as_ref()), (1, 4));
    // Without a region, and for others than partners, there is none.
    for subject in [partner("C"), employee("e1"), Subject::default()] {
        let other = context(&mut caller, march(subject)).await;
        assert_eq!((other.region.as_str(), other.region_figure), ("", None));
        assert!(other.year_before.is_some());
    }
    let first = ask(partner("A"), dates("1970-03-01", "1970-04-01"), "1970-03-31");
    let year_before = context(&mut caller, first).await.year_before.expect("always set");
    assert_eq!((year_before.comparison, year_before.change), (None, None));
    sidecar.stop().await;
}

// === evidence ===

async fn listed(
    caller: &mut Caller,
    card: &GetScorecardRequest,
    figure: FigureKind,
    filter: Option<Filter>,
) -> (Vec<String>, Vec<String>, i64) {
    let premises = card.premises.clone().unwrap_or_default();
    let filter = filter.or_else(|| premises.filter.clone());
    let mut request = ListContributingRecordsRequest {
        subject: card.subject.clone(),
        figure_kind: figure.into(),
        window: card.window.filter(|_| figure != FigureKind::Open),
        as_of: card.as_of,
        page_size: 1_000,
        premises: Some(Premises { filter, ..premises }),
        ..ListContributingRecordsRequest::default()
    };
    let (mut deals, mut leads, mut count) = (Vec::new(), Vec::new(), 0);
    loop {
        let page = caller.kpis.list_contributing_records(request.clone()).await.expect("it is valid");
        let page = page.into_inner();
        for record in page.records {
            match record.key.and_then(|key| key.key) {
                Some(Key::DealId(id)) => deals.push(id),
                Some(Key::LeadId(id)) => leads.push(id),
                other => panic!("{other:?} is behind no figure"),
            }
        }
        count = page.total.map_or(count, |total| total.count);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return (deals, leads, count);
        }
    }
}

/// Beside the ids each list by itself would give, with its number.
async fn shows_its_evidence(caller: &mut Caller, question: GetScorecardRequest) {
    use FigureKind::{Expired, InWork, LeadsCreated, Lost, Open, Prospects, Won};
    let question = GetScorecardRequest { view: View::WithEvidence.into(), ..question };
    let card = get(caller, question.clone()).await;
    let kpis: Vec<Kpi> = card.evidence.iter().map(|evidence| evidence.kpi()).collect();
    assert_eq!(kpis.len(), 8);
    let asked = question.premises.clone().unwrap_or_default().filter.unwrap_or_default();
    let any_channel =
        Filter { marketing_channel_ids: values(&["search", "newsletter", "reviews"]), ..asked.clone() };
    let of_peers = match &question.subject.as_ref().expect("the tests name one").subject {
        Some(Of::Partner(_)) => Filter { partner_ids: None, ..asked.clone() },
        Some(Of::EmployeeId(_)) => Filter { employee_ids: None, ..asked.clone() },
        Some(Of::UnitId(_)) => Filter { unit_ids: None, ..asked.clone() },
        None => asked.clone(),
    };
    for evidence in &card.evidence {
        let (figures, filter): (&[FigureKind], _) = match evidence.kpi() {
            Kpi::AverageDealSize | Kpi::DealCount => (&[Won], None),
            Kpi::ValueScore => (&[Won], Some(of_peers.clone())),
            Kpi::OpportunityPipeline => (&[Open], None),
            Kpi::MarketingChannel if asked.products.is_some() => (&[Won], Some(any_channel.clone())),
            Kpi::MarketingChannel => (&[LeadsCreated, Won], Some(any_channel.clone())),
            Kpi::CloseRate => (&[Prospects], None),
            Kpi::DealVelocity => (&[InWork], None),
            Kpi::DealSuccess => (&[Won, Lost, Expired], None),
            Kpi::Unspecified => panic!("never sent"),
        };
        let (mut deals, mut leads, mut count) = (Vec::new(), Vec::new(), 0);
        for &figure in figures {
            let found = listed(caller, &question, figure, filter.clone()).await;
            deals.extend(found.0);
            leads.extend(found.1);
            count += found.2;
        }
        let case = format!("{:?} of {:?}", evidence.kpi(), question.subject);
        assert_eq!(evidence.record_count, count, "{case}");
        if evidence.kpi() == Kpi::DealSuccess {
            // Of several lists: by date all the same.
            assert_eq!(sorted(&evidence.deal_ids), sorted(&deals), "{case}");
        } else {
            assert_eq!((&evidence.deal_ids, &evidence.lead_ids), (&deals, &leads), "{case}");
        }
    }
    let velocity = card.deal_velocity.expect("asked for");
    let in_work = card.evidence.iter().find(|evidence| evidence.kpi() == Kpi::DealVelocity);
    assert!(velocity.figure.is_some() && in_work.is_some());
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_what_a_list_of_contributing_records_tells() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    let mut tagged = deal("d20", "A", "e1", "03-02", 40);
    (tagged.product, tagged.lead_id) = ("box".into(), "L2".into());
    caller.write(deals(vec![won("03-08", tagged)])).await;
    for subject in [Subject::default(), partner("A"), partner("B"), employee("e1"), unit("sales")] {
        shows_its_evidence(&mut caller, march(subject.clone())).await;
        for filter in [
            Filter { employee_ids: values(&["e1"]), ..Filter::default() },
            Filter { partner_ids: values(&["A"]), ..Filter::default() },
            Filter { products: values(&["box"]), ..Filter::default() },
        ] {
            shows_its_evidence(&mut caller, under(filter, march(subject.clone()))).await;
        }
    }
    // By date, whatever became of them: d1 and d20 won, d6 expired, d3 lost.
    let question = GetScorecardRequest { view: View::WithEvidence.into(), ..march(Subject::default()) };
    let card = get(&mut caller, question.clone()).await;
    let of = |card: &Scorecard, kpi| card.evidence.iter().find(|it| it.kpi() == kpi).cloned();
    let success = of(&card, Kpi::DealSuccess).expect("asked for");
    assert_eq!(success.deal_ids, ["d1", "d20", "d2", "d6", "d3", "d5"]);
    // Of two KPIs, in the order of the question; none in a lesser view.
    let two = vec![Kpi::CloseRate.into(), Kpi::DealCount.into()];
    let card = get(&mut caller, GetScorecardRequest { kpis: two, ..question.clone() }).await;
    assert_eq!(card.evidence.iter().map(|it| it.kpi()).collect::<Vec<_>>(), [Kpi::CloseRate, Kpi::DealCount]);
    let card = get(&mut caller, GetScorecardRequest { view: View::Full.into(), ..question }).await;
    assert_eq!(card.evidence, []);
    sidecar.stop().await;
}

/// The first thousand of each kind of record, and how many there are.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_cut_after_a_thousand() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("many", settings()).await;
    let lead = |n: u32| {
        let (lead_id, created_at) = (format!("L{n:04}"), noon("03-01"));
        version(noon("03-01"), Kind::Lead(Lead { lead_id, created_at, ..Lead::default() }))
    };
    let ended = |n: u32| {
        let open = deal(&format!("d{n:04}"), "A", "e1", "03-02", 1);
        if n.is_multiple_of(2) { won("03-05", open) } else { lost("03-04", open) }
    };
    caller.write((0..1_000).map(lead).collect()).await;
    caller.write((1_000..1_002).map(lead).collect()).await;
    caller.write(deals((0..1_000).map(ended).collect())).await;
    caller.write(deals((1_000..1_004).map(ended).collect())).await;
    let question = GetScorecardRequest { view: View::WithEvidence.into(), ..march(Subject::default()) };
    let card = get(&mut caller, question).await;
    let of = |kpi| card.evidence.iter().find(|it| it.kpi() == kpi).expect("asked for");
    let close = of(Kpi::CloseRate);
    assert_eq!((close.lead_ids.len(), close.deal_ids.len(), close.record_count), (1_000, 1_000, 2_006));
    assert_eq!(close.deal_ids.last().map(String::as_str), Some("d0999"));
    let success = of(Kpi::DealSuccess);
    assert_eq!((success.deal_ids.len(), success.record_count), (1_000, 1_004));
    // 502 were lost on the 4th; of those won on the 5th 498 follow.
    assert_eq!((success.deal_ids[501].as_str(), success.deal_ids[502].as_str()), ("d1003", "d0000"));
    assert_eq!(success.deal_ids.last().map(String::as_str), Some("d0994"));
    assert_eq!(of(Kpi::DealCount).record_count, 502);
    sidecar.stop().await;
}
