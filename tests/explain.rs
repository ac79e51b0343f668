//! ExplainChange (docs/kpis.md §7, "Drivers") through gRPC on a real socket: by hand, and of a company of many deals
//! that the parts add up, and that every figure is the one of the scorecard.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)]
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::change_explanation::Result as Told;
use channel_kpi::proto::channelkpi::v1::comparison::Comparison as Against;
use channel_kpi::proto::channelkpi::v1::figure::Result::{AbsentReason as Absent, Value};
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::{
    AbsentReason, ChangeExplanation, ComparedFigure, Comparison, CreditRole, Deal, DealStatus, Dimension,
    ExplainChangeRequest, ExplainChangeResponse, ExplainedFigure, Factor, FactorDrivers, Figure, Filter,
    GetScorecardRequest, Grouping, Kpi, Lead, LeadOutcome, ListScorecardsRequest, MarketingChannel, Media,
    MemberDriver, MemberDrivers, Partner, PartnerCredit, PartnerSubject, Premises, Record, Scorecard,
    Subject, Terms, Trend, Window,
};
use prost_types::Timestamp;
use scorecard::{dates, partner};
use sidecar::{Caller, Sidecar};
use tonic::Code;
use worked_example::{at, date, deal, lost, noon, records, settings, usd, version, won};

const PRODUCTS: [ExplainedFigure; 2] = [ExplainedFigure::DealVelocity, ExplainedFigure::WonAmount];
const RATES: [ExplainedFigure; 2] = [ExplainedFigure::CloseRate, ExplainedFigure::DealSuccess];
const DIMENSIONS: [Dimension; 3] = [Dimension::Region, Dimension::MarketingChannel, Dimension::Partner];

fn ask(figure: ExplainedFigure, dimension: Dimension, window: Window, as_of: &str) -> ExplainChangeRequest {
    ExplainChangeRequest {
        explained_figure: figure.into(),
        dimension: dimension.into(),
        window: Some(window),
        as_of: date(as_of),
        ..ExplainChangeRequest::default()
    }
}

/// March 2024 beside February.
fn march(figure: ExplainedFigure, dimension: Dimension) -> ExplainChangeRequest {
    ask(figure, dimension, dates("2024-03-01", "2024-04-01"), "2024-03-31")
}

async fn answer(caller: &mut Caller, question: &ExplainChangeRequest) -> ExplainChangeResponse {
    caller.analysis.explain_change(question.clone()).await.expect("the question is valid").into_inner()
}

async fn explained(caller: &mut Caller, question: &ExplainChangeRequest) -> ChangeExplanation {
    answer(caller, question).await.explanation.expect("always set")
}

fn factors(explanation: ChangeExplanation) -> FactorDrivers {
    match explanation.result {
        Some(Told::Factors(drivers)) => drivers,
        other => panic!("there are factors: {other:?}"),
    }
}

fn members(explanation: ChangeExplanation) -> MemberDrivers {
    match explanation.result {
        Some(Told::Members(drivers)) => drivers,
        other => panic!("there are members: {other:?}"),
    }
}

fn quotient(figure: &Option<Figure>) -> f64 {
    match figure.as_ref().and_then(|figure| figure.result.as_ref()) {
        Some(Value(ratio)) => ratio.quotient,
        other => panic!("it has a value: {other:?}"),
    }
}

fn absolute(compared: &Option<ComparedFigure>) -> f64 {
    let change = compared.as_ref().and_then(|compared| compared.change?.absolute);
    change.expect("both figures are there")
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found}, expected {expected}");
}

/// Two deals of 100 in February, won within ten days; in March one of 200 and one without an amount, within five.
fn two_months() -> Vec<Record> {
    let deals = [
        won("02-11", deal("d1", "A", "e1", "02-01", 100)),
        won("02-15", deal("d2", "B", "e1", "02-05", 100)),
        won("03-06", deal("d3", "A", "e1", "03-01", 200)),
        Deal { amount: None, ..won("03-15", deal("d4", "B", "e1", "03-10", 0)) },
        lost("03-20", deal("d5", "B", "e1", "03-01", 50)),
    ];
    deals.map(|deal| version(noon("04-01"), Kind::Deal(deal))).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_won_amount_is_split_over_its_factors() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("factors", settings()).await;
    let token = caller.write(two_months()).await;
    let question = march(ExplainedFigure::WonAmount, Dimension::Unspecified);
    let answer = answer(&mut caller, &question).await;
    assert_eq!(
        (&answer.subject, &answer.name, &answer.revision_token),
        (&Some(Subject::default()), &String::new(), &token)
    );
    let definition = answer.definition.expect("always set");
    assert_eq!(definition.comparison_window.and_then(|window| window.start_on), date("2024-02-01"));
    let explanation = answer.explanation.expect("always set");
    assert_eq!(explanation.explained_figure(), ExplainedFigure::WonAmount);
    // 2 · 1 · 100 = 200 and 2 · 1/2 · 200 = 200: half as many have an amount, of twice the size.
    let compared = explanation.compared.clone().expect("always set");
    assert_eq!((quotient(&compared.figure), quotient(&compared.comparison)), (200.0, 200.0));
    assert_eq!(compared.change.map(|change| change.trend()), Some(Trend::Same));
    let told: Vec<(Factor, f64)> =
        factors(explanation).factors.iter().map(|driver| (driver.factor(), driver.part)).collect();
    let half = 200.0 * 2f64.ln();
    let expected = [(Factor::WonCount, 0.0), (Factor::PricedShare, -half), (Factor::AverageDealSize, half)];
    for ((factor, part), (named, expected)) in told.into_iter().zip(expected) {
        assert_eq!(factor, named);
        assert_near(part, expected);
    }

    let question = march(ExplainedFigure::DealVelocity, Dimension::Unspecified);
    let drivers = factors(explained(&mut caller, &question).await).factors;
    let told = |n: usize| (drivers[n].factor(), drivers[n].compared.clone().expect("always set"));
    let (factor, compared) = told(3);
    assert_eq!(factor, Factor::CycleDays);
    assert_eq!((quotient(&compared.figure), quotient(&compared.comparison)), (5.0, 10.0));
    assert_eq!(compared.change.map(|change| change.trend()), Some(Trend::Better), "faster is better");
    assert!(drivers[3].part > 0.0, "and it brought money");
    assert!(drivers[1].part < 0.0, "a deal was lost: {drivers:?}");
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_split_into_rate_and_mix() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("members", settings()).await;
    // North wins 2 of 4 and south 1 of 4; then north 1 of 2 and south 1 of 4, west 1 of 2.
    let groups = [
        ("02", [("north", 2, 4), ("south", 1, 4), ("west", 0, 0)]),
        ("03", [("north", 1, 2), ("south", 1, 4), ("west", 1, 2)]),
    ];
    let mut sent = Vec::new();
    for (month, regions) in groups {
        for (region, won_count, all) in regions {
            for n in 0..all {
                let open = deal(&format!("{month}-{region}-{n}"), "A", "e1", &format!("{month}-01"), 100);
                let on = format!("{month}-10");
                let ended = if n < won_count { won(&on, open) } else { lost(&on, open) };
                let ended = Deal { region: region.into(), ..ended };
                sent.push(version(noon("04-01"), Kind::Deal(ended)));
            }
        }
    }
    caller.write(sent).await;
    for figure in RATES {
        let explanation = explained(&mut caller, &march(figure, Dimension::Region)).await;
        assert_near(absolute(&explanation.compared), 0.0); // 3/8 both
        let drivers = members(explanation);
        assert_eq!(drivers.overlap_part, 0.0);
        assert_near(drivers.rate_part, 0.0);
        assert_near(drivers.mix_part, 0.0);
        let told = |value: &str| {
            let is_it = |driver: &&MemberDriver| driver.group.as_ref().is_some_and(|of| of.value == value);
            drivers.members.iter().find(is_it).expect("it has deals")
        };
        // Half of the deals were north's, then a quarter; what it wins more than all is 1/2 − 3/8.
        assert_near(told("north").mix_part, -0.25 * 0.125);
        assert_eq!((told("south").rate_part, told("south").mix_part), (0.0, 0.0));
        let west = told("west");
        assert_eq!((west.share, west.comparison_share, west.rate_part), (0.25, 0.0, 0.0));
        assert_near(west.mix_part, 0.25 * 0.125);
        let comparison = west.compared.as_ref().and_then(|compared| compared.comparison.as_ref()).cloned();
        let reason = match figure {
            ExplainedFigure::CloseRate => AbsentReason::NoProspect,
            _ => AbsentReason::NoDealEnded,
        };
        let absent = Some(Absent(reason.into()));
        assert_eq!(comparison.and_then(|figure| figure.result), absent, "it had none");
        assert_eq!(drivers.others.map(|others| others.count), Some(0));

        // Those that moved most come first, the others are added up.
        let question = ExplainChangeRequest { member_limit: 1, ..march(figure, Dimension::Region) };
        let limited = members(explained(&mut caller, &question).await);
        assert_eq!(limited.members, drivers.members[..1]);
        let others = limited.others.expect("always set");
        assert_eq!(others.count, 2);
        assert_near(others.mix_part, -limited.members[0].mix_part);
        assert_eq!((limited.rate_part, limited.mix_part), (drivers.rate_part, drivers.mix_part));
    }
    sidecar.stop().await;
}

/// One deal that both partners sourced, won; and one of A alone, lost. Before, one of each alone, both won.
#[tokio::test(flavor = "multi_thread")]
async fn a_deal_of_several_partners_is_told_apart() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("overlap", settings()).await;
    let half = |partner_id: &str| PartnerCredit {
        partner_id: partner_id.into(),
        role: CreditRole::Sourced.into(),
        share_bps: Some(5_000),
    };
    let shared = won("03-10", deal("d3", "A", "e1", "03-01", 100));
    let deals = [
        won("02-10", deal("d1", "A", "e1", "02-01", 100)),
        won("02-10", deal("d2", "B", "e1", "02-01", 100)),
        Deal { partner_credits: vec![half("A"), half("B")], ..shared },
        lost("03-10", deal("d4", "A", "e1", "03-01", 100)),
    ];
    caller.write(deals.map(|deal| version(noon("04-01"), Kind::Deal(deal))).into()).await;
    for figure in RATES {
        let explanation = explained(&mut caller, &march(figure, Dimension::Partner)).await;
        assert_near(absolute(&explanation.compared), 0.5 - 1.0);
        let drivers = members(explanation);
        // Together the partners have 2 of 3.
        assert_near(drivers.rate_part + drivers.mix_part, 2.0 / 3.0 - 1.0);
        assert_near(drivers.overlap_part, 0.5 - 2.0 / 3.0);
        assert_eq!(drivers.members.len(), 2);
    }
    sidecar.stop().await;
}

// === many deals ===

/// Knuth's generator: the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// Noon in Dhaka, so many days after 2024-01-01.
fn noon_of(days: u64) -> Option<Timestamp> {
    let seconds = at("2024-01-01T06:00:00Z").expect("it is set").seconds + days as i64 * 86_400;
    Some(Timestamp { seconds, nanos: 0 })
}

/// Half a year of leads and deals: shared and direct, with and without amounts, of regions of their own and of their
/// partners', of channels of their own and of their leads', which may be older and younger than their deals.
fn many() -> Vec<Record> {
    let mut dice = Dice(7);
    let mut sent = records();
    for (id, region) in [("A", "north"), ("B", "south"), ("C", "")] {
        let active = Some(true);
        let partner = Partner { partner_id: id.into(), region: region.into(), active, ..Partner::default() };
        sent.push(version(noon("05-01"), Kind::Partner(partner)));
    }
    for (id, media) in [("fair", Media::Paid), ("blog", Media::Owned)] {
        let channel =
            MarketingChannel { marketing_channel_id: id.into(), media: media.into(), ..Default::default() };
        sent.push(version(noon("01-01"), Kind::MarketingChannel(channel)));
    }
    for n in 0..60 {
        let created = dice.below(180);
        let disqualified = dice.below(4) == 0;
        let lead = Lead {
            lead_id: format!("lead{n}"),
            created_at: noon_of(created),
            partner_id: dice.one_of(&["", "", "A", "B"]).into(),
            region: dice.one_of(&["", "", "north", "west"]).into(),
            marketing_channel_id: dice.one_of(&["", "", "fair", "blog"]).into(),
            outcome: if disqualified { LeadOutcome::Disqualified } else { LeadOutcome::Open }.into(),
            decided_at: noon_of(created + 9).filter(|_| disqualified),
            ..Lead::default()
        };
        sent.push(version(noon_of(created + 9), Kind::Lead(lead)));
    }
    let credit = |partner_id: &str, share_bps| PartnerCredit {
        partner_id: partner_id.into(),
        role: CreditRole::Sourced.into(),
        share_bps: Some(share_bps),
    };
    for n in 0..240 {
        let opened = dice.below(180);
        let ended = noon_of(opened + dice.below(60));
        let mut deal = Deal {
            opened_at: noon_of(opened),
            amount: [None, usd(100), usd(250), usd(900)][dice.below(4) as usize].clone(),
            partner_credits: match dice.below(6) {
                0 | 1 => vec![credit("A", 10_000)],
                2 => vec![credit("B", 10_000)],
                3 => vec![credit("A", 5_000), credit("B", 2_500)],
                4 => vec![credit("B", 5_000), credit("C", 5_000)],
                _ => vec![],
            },
            region: dice.one_of(&["", "north", "south", "west"]).into(),
            marketing_channel_id: dice.one_of(&["", "", "fair", "blog"]).into(),
            lead_id: if dice.below(3) == 0 { format!("lead{}", dice.below(70)) } else { String::new() },
            ..deal(&format!("m{n}"), "A", dice.one_of(&["e1", "e2"]), "03-01", 0)
        };
        match dice.below(5) {
            0 | 1 => (deal.status, deal.closed_at) = (DealStatus::Won.into(), ended),
            2 => (deal.status, deal.closed_at) = (DealStatus::Lost.into(), ended),
            3 => deal.expire_time = ended,
            _ => {}
        }
        sent.push(version(deal.closed_at.or(deal.opened_at), Kind::Deal(deal)));
    }
    sent
}

fn subjects() -> Vec<Subject> {
    let with_sub_partners = PartnerSubject { partner_id: "B".into(), include_sub_partners: true };
    [Of::Partner(with_sub_partners), Of::EmployeeId("e2".into()), Of::UnitId("sales".into())]
        .map(|of| Subject { subject: Some(of) })
        .into_iter()
        .chain([Subject::default(), partner("A")])
        .collect()
}

/// None, a filter, or several roles, in turn.
fn premises(n: usize) -> Option<Premises> {
    let regions = Some(Terms { values: vec!["north".into(), "south".into()], include_none: false });
    let filter = Some(Filter { regions, ..Filter::default() });
    let credit_roles = [CreditRole::Sourced, CreditRole::Influenced].map(i32::from).to_vec();
    match n % 4 {
        1 => Some(Premises { filter, ..Premises::default() }),
        2 => Some(Premises { credit_roles, ..Premises::default() }),
        _ => None,
    }
}

fn kpi(figure: ExplainedFigure) -> Kpi {
    match figure {
        ExplainedFigure::DealVelocity => Kpi::DealVelocity,
        ExplainedFigure::CloseRate => Kpi::CloseRate,
        ExplainedFigure::DealSuccess => Kpi::DealSuccess,
        other => panic!("{other:?} has no figure of its own in a scorecard"),
    }
}

/// A KPI of a scorecard as it is compared.
fn compared(card: &Scorecard, kpi: Kpi) -> ComparedFigure {
    macro_rules! compared {
        ($kpi:ident) => {{
            let kpi = card.$kpi.clone().expect("it was asked for");
            ComparedFigure { figure: kpi.figure, comparison: kpi.comparison, change: kpi.change }
        }};
    }
    match kpi {
        Kpi::DealVelocity => compared!(deal_velocity),
        Kpi::CloseRate => compared!(close_rate),
        Kpi::DealSuccess => compared!(deal_success),
        other => panic!("{other:?} isn't explained"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_add_up_and_figures_are_those_of_scorecards() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("many", settings()).await;
    caller.write(many()).await;
    let year_before = Some(Comparison { comparison: Some(Against::YearBefore(true)) });
    let (mut product_count, mut member_count, mut overlap_count) = (0, 0, 0);
    for (window, as_of, comparison) in [
        (dates("2024-04-01", "2024-06-01"), "2024-06-30", None),
        (dates("2024-03-11", "2024-05-02"), "2024-04-20", None), // to date, edges within months
        (dates("2024-05-01", "2024-06-01"), "2024-08-31", year_before), // nothing was there then
    ] {
        for subject in subjects() {
            let subject = Some(subject);
            for figure in PRODUCTS {
                let question = ask(figure, Dimension::Unspecified, window, as_of);
                let question = ExplainChangeRequest { subject: subject.clone(), comparison, ..question };
                let explanation = explained(&mut caller, &question).await;
                let whole = explanation.compared.clone();
                let is_absent = matches!(explanation.result, Some(Told::AbsentReason(_)));
                assert_eq!(is_absent, comparison.is_some(), "{explanation:?}");
                if !is_absent {
                    let parts: f64 = factors(explanation).factors.iter().map(|driver| driver.part).sum();
                    assert_near(parts, absolute(&whole));
                    product_count += 1;
                }
            }
            let rates = RATES.into_iter().flat_map(|rate| DIMENSIONS.map(|by| (rate, by)));
            for (n, (figure, dimension)) in rates.enumerate() {
                let question = ask(figure, dimension, window, as_of);
                let (premises, subject) = (premises(n), subject.clone());
                let question = ExplainChangeRequest {
                    premises: premises.clone(),
                    subject: subject.clone(),
                    comparison,
                    ..question
                };
                let explanation = explained(&mut caller, &question).await;
                let whole = explanation.compared.clone();
                let kpis = vec![kpi(figure).into()];
                let (window, as_of) = (Some(window), date(as_of));
                let card = GetScorecardRequest {
                    premises: premises.clone(),
                    subject: subject.clone(),
                    window,
                    as_of,
                    comparison,
                    kpis: kpis.clone(),
                    ..Default::default()
                };
                let card = caller.kpis.get_scorecard(card).await.expect("it is valid").into_inner();
                let card = card.scorecard.expect("always set");
                assert_eq!(whole, Some(compared(&card, kpi(figure))));
                if comparison.is_some() {
                    assert!(matches!(explanation.result, Some(Told::AbsentReason(_))), "{explanation:?}");
                    continue;
                }
                let drivers = members(explanation);
                let parts = drivers.rate_part + drivers.mix_part + drivers.overlap_part;
                assert_near(parts, absolute(&whole));
                assert!(dimension == Dimension::Partner || drivers.overlap_part == 0.0, "{drivers:?}");
                overlap_count += usize::from(drivers.overlap_part != 0.0);
                let shares: f64 = drivers.members.iter().map(|driver| driver.share).sum();
                assert_near(shares, 1.0);

                let grouping = Some(Grouping { dimension: dimension.into(), label_key: String::new() });
                let list = ListScorecardsRequest {
                    premises,
                    subject,
                    grouping,
                    window,
                    as_of,
                    comparison,
                    kpis,
                    ..Default::default()
                };
                let list = caller.kpis.list_scorecards(list).await.expect("it is valid").into_inner();
                for driver in &drivers.members {
                    let row = list.scorecards.iter().find(|row| row.group == driver.group);
                    let row = row.expect("lists have a row for every member");
                    assert_eq!(driver.compared, Some(compared(row, kpi(figure))));
                    assert_eq!(driver.name, row.name);
                    member_count += 1;
                }
            }
        }
    }
    assert!(product_count >= 16 && member_count > 100, "{product_count} {member_count}");
    assert!(overlap_count > 0, "some deals are of several partners");
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cant_be_explained_says_why() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    let reason =
        async |caller: &mut Caller, question: ExplainChangeRequest| match explained(caller, &question)
            .await
            .result
        {
            Some(Told::AbsentReason(reason)) => AbsentReason::try_from(reason).expect("it is known"),
            other => panic!("it can't be explained: {other:?}"),
        };
    let none = Dimension::Unspecified;
    // In February nothing was won, and nothing ended.
    assert_eq!(reason(&mut caller, march(ExplainedFigure::WonAmount, none)).await, AbsentReason::NoDealWon);
    let success = march(ExplainedFigure::DealSuccess, Dimension::Partner);
    assert_eq!(reason(&mut caller, success).await, AbsentReason::NoDealEnded);
    // Nothing is compared before 1970, nor where no day has come.
    let first = ask(ExplainedFigure::WonAmount, none, dates("1970-01-01", "1970-02-01"), "1970-01-31");
    assert_eq!(reason(&mut caller, first).await, AbsentReason::NoPast);
    let to_come =
        ask(ExplainedFigure::CloseRate, Dimension::Region, dates("2024-05-01", "2024-06-01"), "2024-03-31");
    assert_eq!(reason(&mut caller, to_come).await, AbsentReason::NoPast);

    let merged = Partner {
        partner_id: "A".into(),
        merged_into_partner_id: "B".into(),
        active: Some(true),
        ..Partner::default()
    };
    caller.write(vec![version(noon("04-01"), Kind::Partner(merged))]).await;
    let of = |id: &str| {
        let subject = Some(partner(id));
        ExplainChangeRequest { subject, ..march(ExplainedFigure::WonAmount, Dimension::Unspecified) }
    };
    let merged = answer(&mut caller, &of("A")).await;
    assert_eq!((&merged.subject, merged.name.as_str()), (&Some(partner("B")), "Partner B"));
    assert_eq!(merged, answer(&mut caller, &of("B")).await);
    let refused = caller.analysis.explain_change(of("nobody")).await.expect_err("nobody was sent");
    assert_eq!(refused.code(), Code::NotFound);
    sidecar.stop().await;
}
