//! What a scorecard rests on (docs/kpis.md §1 "Credit", §3, §4) through gRPC on a real socket: roles, exchange policies
//! and filters, each against figures worked out by hand.

#[path = "support/premises.rs"]
mod premises;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)]
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::{
    CreditFilter, CreditRole, Deal, Definition, Exchange, ExchangePolicy, ExchangeRate, ExchangeRateKey,
    Filter, GetScorecardRequest, LabelTerms, ListScorecardsRequest, MarketingSpend, Media, MediaTerms,
    Partner, Position, Premises, Record, Scorecard, Subject, SubjectKind, Terms, View,
};
use channel_kpi::proto::google::r#type::{Decimal, Money};
use premises::{credit, filtered, none, terms};
use scorecard::{factors, figure, march, money, partner, row, row_before, row_of_the_others};
use sidecar::{Caller, Sidecar};
use worked_example::{at, date, deal, lost, noon, records, settings, version, won};

fn under(premises: Premises, subject: Subject) -> GetScorecardRequest {
    GetScorecardRequest { premises: Some(premises), view: View::Full.into(), ..march(subject) }
}

async fn get(caller: &mut Caller, question: GetScorecardRequest) -> (Scorecard, Definition) {
    let answer = caller.kpis.get_scorecard(question).await.expect("the question is valid").into_inner();
    (answer.scorecard.expect("always set"), answer.definition.expect("always set"))
}

/// The one row under a line of names.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

// === Roles ===

#[tokio::test(flavor = "multi_thread")]
async fn roles_pick_whose_part_counts() {
    use CreditRole::{Fulfilled, Influenced, Sourced};
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("roles", settings()).await;
    let credited = |partner_credits, deal| Deal { partner_credits, ..deal };
    let won = |id: &str, on: &str, units| won(on, deal(id, "A", "e1", "03-01", units));
    let in_all_roles = vec![
        credit("A", Sourced, 3_000),
        credit("B", Sourced, 7_000),
        credit("A", Influenced, 10_000),
        credit("B", Fulfilled, 5_000),
    ];
    let influenced = vec![credit("A", Influenced, 2_500), credit("B", Influenced, 7_500)];
    let fulfilled = vec![credit("A", Fulfilled, 4_000), credit("B", Sourced, 10_000)];
    let of_partner =
        |partner_id: &str| Kind::Partner(Partner { partner_id: partner_id.into(), ..Partner::default() });
    let deals = [
        credited(in_all_roles, won("s1", "03-10", 1_000)),
        credited(influenced, won("s2", "03-20", 200)),
        credited(fulfilled, lost("03-15", deal("s3", "A", "e1", "03-01", 400))),
        credited(vec![], won("s4", "03-12", 50)),
    ];
    let mut all: Vec<Record> = deals.map(|deal| version(noon("03-21"), Kind::Deal(deal))).into();
    all.extend(["A", "B"].map(|id| version(noon("01-02"), of_partner(id))));
    caller.write(all).await;

    let tenant = "tenant 416.67 (1250.00/3) 3 (1250.00) 3/4 1 (400.00)";
    let (a_sourced, b_sourced) =
        ("A 300.00 (300.00/1) 1 (300.00) 1/1 0 (0.00)", "B 700.00 (700.00/1) 1 (700.00) 1/2 1 (400.00)");
    // Of several roles a partner's part of each deal is the greatest: s1 of A 1000, of B 500 or 700.
    for (roles, of_a, of_b) in [
        (vec![], a_sourced, b_sourced),
        (vec![Sourced], a_sourced, b_sourced),
        (
            vec![Influenced],
            "A 525.00 (1050.00/2) 2 (1050.00) 2/2 0 (0.00)",
            "B 150.00 (150.00/1) 1 (150.00) 1/1 0 (0.00)",
        ),
        (
            vec![Fulfilled],
            "A no-deal-won 0 (0.00) 0/1 1 (160.00)",
            "B 500.00 (500.00/1) 1 (500.00) 1/1 0 (0.00)",
        ),
        (
            vec![Fulfilled, Influenced],
            "A 525.00 (1050.00/2) 2 (1050.00) 2/3 1 (160.00)",
            "B 325.00 (650.00/2) 2 (650.00) 2/2 0 (0.00)",
        ),
        (
            vec![Influenced, Sourced, Fulfilled],
            "A 525.00 (1050.00/2) 2 (1050.00) 2/3 1 (160.00)",
            "B 425.00 (850.00/2) 2 (850.00) 2/3 1 (400.00)",
        ),
    ] {
        let credit_roles: Vec<i32> = roles.iter().map(|&role| role.into()).collect();
        let premises = Premises { credit_roles: credit_roles.clone(), ..Premises::default() };
        let mut cards = Vec::new();
        for (subject, expected) in [(Subject::default(), tenant), (partner("A"), of_a), (partner("B"), of_b)]
        {
            let (card, definition) = get(&mut caller, under(premises.clone(), subject)).await;
            assert_eq!(row(&card), expected, "{roles:?}");
            let told = definition.premises.expect("always set").credit_roles;
            assert_eq!(told, if roles.is_empty() { vec![Sourced.into()] } else { credit_roles.clone() });
            cards.push(card);
        }
        let listed = ListScorecardsRequest {
            subject_kind: SubjectKind::Partner.into(),
            window: march(Subject::default()).window,
            as_of: date("2024-03-31"),
            premises: Some(premises),
            view: View::Full.into(),
            ..ListScorecardsRequest::default()
        };
        let listed = caller.kpis.list_scorecards(listed).await.expect("the question is valid").into_inner();
        assert_eq!(listed.scorecards, cards[1..], "{roles:?}");
    }
    // What is credited in the roles asked for, what isn't, and the uncredited rest.
    let of = |credit: CreditFilter| Filter { credit: credit.into(), ..Filter::default() };
    let rest = || Filter { partner_ids: none(), ..Filter::default() };
    let of_a = || Filter { partner_ids: terms(&["A"]), ..Filter::default() };
    for (role, filter, expected) in [
        (Sourced, of(CreditFilter::Credited), "tenant 1000.00 (1000.00/1) 1 (1000.00) 1/2 1 (400.00)"),
        (Sourced, of(CreditFilter::Direct), "tenant 125.00 (250.00/2) 2 (250.00) 2/2 0 (0.00)"),
        (Influenced, of(CreditFilter::Direct), "tenant 50.00 (50.00/1) 1 (50.00) 1/2 1 (400.00)"),
        (Fulfilled, of(CreditFilter::Direct), "tenant 125.00 (250.00/2) 2 (250.00) 2/2 0 (0.00)"),
        (Sourced, rest(), "tenant 125.00 (250.00/2) 2 (250.00) 2/2 0 (0.00)"),
        (Influenced, rest(), "tenant 50.00 (50.00/1) 1 (50.00) 1/2 1 (400.00)"),
        (Fulfilled, rest(), "tenant 250.00 (750.00/3) 3 (750.00) 3/4 1 (240.00)"), // halves and the rest of 60 %
        (Influenced, of_a(), "tenant 525.00 (1050.00/2) 2 (1050.00) 2/2 0 (0.00)"),
        (Fulfilled, of_a(), "tenant no-deal-won 0 (0.00) 0/1 1 (160.00)"),
    ] {
        let premises = Premises { credit_roles: vec![role.into()], ..filtered(filter.clone()) };
        let (card, _) = get(&mut caller, under(premises, Subject::default())).await;
        assert_eq!(row(&card), expected, "{role:?} {filter:?}");
    }
    sidecar.stop().await;
}

// === Exchange ===

fn in_currency(currency_code: &str, units: i64, deal: Deal) -> Deal {
    Deal { amount: Some(Money { currency_code: currency_code.into(), units, nanos: 0 }), ..deal }
}

fn rate(from: &str, on: &str, rate: &str) -> Record {
    let (from_currency_code, to_currency_code) = (from.into(), "USD".into());
    let key = ExchangeRateKey { from_currency_code, to_currency_code, rate_on: date(on) };
    let rate = Some(Decimal { value: rate.into() });
    version(noon("01-02"), Kind::ExchangeRate(ExchangeRate { key: Some(key), rate }))
}

fn exchange(policy: ExchangePolicy, fixed_on: Option<&str>) -> Premises {
    let exchange = Some(Exchange { policy: policy.into(), fixed_on: fixed_on.and_then(date) });
    Premises { exchange, ..Premises::default() }
}

/// Euros under two rates of the time and one to come, yen without any.
fn abroad() -> Vec<Record> {
    let eur = |units, deal| in_currency("EUR", units, deal);
    let searched = |deal| Deal { marketing_channel_id: "search".into(), ..deal };
    let active = |partner_id: &str| {
        let partner_id = partner_id.into();
        Kind::Partner(Partner { partner_id, active: Some(true), ..Partner::default() })
    };
    let deals = [
        eur(100, won("02-10", deal("a1", "A", "e1", "02-01", 0))),
        searched(eur(200, won("03-05", deal("a2", "A", "e1", "02-24", 0)))),
        searched(eur(400, won("03-20", deal("a3", "A", "e1", "03-10", 0)))),
        eur(80, lost("03-10", deal("a4", "A", "e1", "03-01", 0))),
        Deal { probability_bps: Some(5_000), ..eur(1_000, deal("a5", "A", "e1", "02-15", 0)) },
        eur(300, won("03-18", deal("b1", "B", "e1", "03-01", 0))),
        in_currency("JPY", 9_000, won("03-11", deal("b2", "B", "e1", "03-01", 0))),
    ];
    let mut all = vec![
        rate("EUR", "2024-02-01", "1.1"),
        rate("EUR", "2024-03-16", "1.5"),
        rate("EUR", "2024-04-10", "3"),
        version(noon("01-02"), active("A")),
        version(noon("01-02"), active("B")),
    ];
    let amount = Some(Money { currency_code: "EUR".into(), units: 31, nanos: 0 });
    let spend = MarketingSpend {
        marketing_spend_id: "search-03".into(),
        marketing_channel_id: "search".into(),
        start_on: date("2024-03-01"),
        end_on: date("2024-04-01"),
        amount,
        ..MarketingSpend::default()
    };
    all.push(version(noon("03-01"), Kind::MarketingSpend(spend)));
    all.extend(deals.map(|deal| version(noon("03-21"), Kind::Deal(deal))));
    all
}

fn median(position: &Option<Position>) -> String {
    figure(position.as_ref().expect("it is a peer").median.as_ref())
}

// A won 200 euros on 5 March and 400 on the 20th, 100 in February, and lost 80 on 10 March; 1000 are open, on 29
// February 1200 were. B won 300
// euros on the 18th, and yen without a rate. A euro is 1.10, from 16 March on 1.50. N of A: 4 + 10 + 9 + 31 days.
// One euro a day was spent on what A won.
const AT_CLOSE: [&str; 8] = [
    "tenant 423.33 (1270.00/3)       4 (1270.00)  4/5   1 (88.00)",
    "A      410.00 (820.00/2)        2 (820.00)   2/3   1 (88.00)",
    "A      110.00 (110.00/1)        1 (110.00)   1/1",
    "A      1 (1500.00)   750.00     0 (0.00)     1/2 (0)  2/3  47.61 (1476.00/31)  129.13 (164000.00/1270.00) (1)",
    "A      54/31  2/3  410.00 (820.00/2)  20/2",
    "B      450.00 (450.00/1)        2 (450.00)   2/2   0 (0.00)",
    "1320.00  430.00 (1720.00/4)      2981.82 (328000.00/110.00)",
    "40.50    19.25 (779.50/40.50)",
];

// All at 1.50, February too: constant currency.
const WINDOW_END: [&str; 8] = [
    "tenant 450.00 (1350.00/3)       4 (1350.00)  4/5   1 (120.00)",
    "A      450.00 (900.00/2)        2 (900.00)   2/3   1 (120.00)",
    "A      150.00 (150.00/1)        1 (150.00)   1/1",
    "A      1 (1500.00)   750.00     0 (0.00)     1/2 (0)  2/3  52.26 (1620.00/31)  133.33 (180000.00/1350.00) (1)",
    "A      54/31  2/3  450.00 (900.00/2)  20/2",
    "B      450.00 (450.00/1)        2 (450.00)   2/2   0 (0.00)",
    "1800.00  450.00 (450.00/1)      2400.00 (360000.00/150.00)",
    "46.50    18.35 (853.50/46.50)",
];

// All at 1.10.
const BUDGET: [&str; 8] = [
    "tenant 330.00 (990.00/3)        4 (990.00)   4/5   1 (88.00)",
    "A      330.00 (660.00/2)        2 (660.00)   2/3   1 (88.00)",
    "A      110.00 (110.00/1)        1 (110.00)   1/1",
    "A      1 (1100.00)   550.00     0 (0.00)     1/2 (0)  2/3  38.32 (1188.00/31)  133.33 (132000.00/990.00) (1)",
    "A      54/31  2/3  330.00 (660.00/2)  20/2",
    "B      330.00 (330.00/1)        2 (330.00)   2/2   0 (0.00)",
    "1320.00  330.00 (330.00/1)      2400.00 (264000.00/110.00)",
    "34.10    18.35 (625.90/34.10)",
];

// All at 3, a rate that came later.
const LATER: [&str; 8] = [
    "tenant 900.00 (2700.00/3)       4 (2700.00)  4/5   1 (240.00)",
    "A      900.00 (1800.00/2)       2 (1800.00)  2/3   1 (240.00)",
    "A      300.00 (300.00/1)        1 (300.00)   1/1",
    "A      1 (3000.00)   1500.00    0 (0.00)     1/2 (0)  2/3  104.52 (3240.00/31)  133.33 (360000.00/2700.00) (1)",
    "A      54/31  2/3  900.00 (1800.00/2)  20/2",
    "B      900.00 (900.00/1)        2 (900.00)   2/2   0 (0.00)",
    "3600.00  900.00 (900.00/1)      2400.00 (720000.00/300.00)",
    "93.00    18.35 (1707.00/93.00)",
];

#[tokio::test(flavor = "multi_thread")]
async fn each_exchange_policy_says_at_which_rates() {
    use ExchangePolicy::{AtClose, Fixed, WindowEnd};
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("exchange", settings()).await;
    caller.write(abroad()).await;
    for (premises, expected, rates_on, oldest_rate_on) in [
        (Premises::default(), AT_CLOSE, None, "2024-02-01"),
        (exchange(AtClose, None), AT_CLOSE, None, "2024-02-01"),
        (exchange(WindowEnd, None), WINDOW_END, date("2024-03-31"), "2024-03-16"),
        (exchange(Fixed, Some("2024-02-20")), BUDGET, date("2024-02-20"), "2024-02-01"),
        (exchange(Fixed, Some("2024-04-20")), LATER, date("2024-04-20"), "2024-04-10"),
    ] {
        let (all, of_all) = get(&mut caller, under(premises.clone(), Subject::default())).await;
        let (a, of_a) = get(&mut caller, under(premises.clone(), partner("A"))).await;
        let (b, of_b) = get(&mut caller, under(premises.clone(), partner("B"))).await;
        let pipeline = a.opportunity_pipeline.as_ref().expect("all KPIs were asked for");
        let opened_before = pipeline.comparison_open.as_ref().and_then(|open| open.amount.as_ref());
        let average = a.average_deal_size.as_ref().expect("all KPIs were asked for");
        let score = a.value_score.as_ref().expect("all KPIs were asked for");
        let marketing = all.marketing_channel.as_ref().expect("all KPIs were asked for");
        let spend = marketing.spend.as_ref().and_then(|spend| spend.figure.as_ref());
        let spend = figure(spend);
        let told = [
            row(&all),
            row(&a),
            row_before(&a),
            row_of_the_others(&a),
            factors(&a),
            row(&b),
            format!(
                "{} {} {}",
                money(opened_before),
                median(&average.position),
                figure(score.own_past.as_ref())
            ),
            format!("{} {}", spend.split(' ').next().expect("a word"), figure(marketing.figure.as_ref())),
        ];
        assert_eq!(told, expected.map(line), "{premises:?}");

        // Yen are out of money and in counts.
        let unpriced = |card: &Scorecard| card.average_deal_size.as_ref().map(|kpi| kpi.unpriced_won_count);
        assert_eq!([&all, &a, &b].map(unpriced), [Some(1), Some(0), Some(1)]);
        // B has no open deal: the median of the peers' pipelines is half that of A.
        let open_median = median(&pipeline.position);
        assert!(
            open_median.contains(&format!("({}/2)", money(pipeline.open.as_ref().unwrap().amount.as_ref()))),
            "{open_median}"
        );
        for definition in [of_all, of_a, of_b] {
            let told =
                definition.premises.clone().and_then(|premises| premises.exchange).expect("always set");
            let asked = premises.exchange.unwrap_or(Exchange { policy: AtClose.into(), fixed_on: None });
            assert_eq!(told, asked);
            assert_eq!(definition.rates_on, rates_on);
            assert_eq!(definition.oldest_rate_on, date(oldest_rate_on), "{premises:?}");
        }
    }
    // Before the first rate: never 1.
    let premises = exchange(Fixed, Some("2024-01-31"));
    let (card, definition) = get(&mut caller, under(premises, partner("A"))).await;
    assert_eq!(row(&card), "A no-amount-known 2 (0.00) 2/3 1 (0.00)");
    assert_eq!(row_before(&card), "A no-amount-known 1 (0.00) 1/1");
    let (success, pipeline) =
        (card.deal_success.expect("asked for"), card.opportunity_pipeline.expect("asked for"));
    assert_eq!(success.unpriced_missed_count, 1);
    let open = pipeline.open.expect("always set");
    assert_eq!((open.count, open.unpriced_count, money(open.amount.as_ref())), (1, 1, "0.00".into()));
    assert_eq!(figure(card.deal_velocity.expect("asked for").figure.as_ref()), "no-amount-known");
    assert_eq!(figure(card.value_score.expect("asked for").figure.as_ref()), "mean-is-zero");
    assert_eq!((definition.rates_on, definition.oldest_rate_on), (date("2024-01-31"), None));
    sidecar.stop().await;
}

/// The oldest rate is that of all figures: of the windows before, of peers, of what peers have open.
#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_rate_is_that_of_all_figures() {
    let sidecar = Sidecar::start().await;
    let usual =
        || abroad().into_iter().filter(|record| !matches!(record.record, Some(Kind::ExchangeRate(_))));
    let new_rate = || rate("EUR", "2024-02-09", "1.1");
    for (n, (more, expected)) in [
        (vec![], "2024-02-09"),
        // Won in the own past: in the fourth window before.
        (
            vec![
                rate("GBP", "2023-11-01", "1.2"),
                version(
                    noon("01-02"),
                    Kind::Deal(in_currency(
                        "GBP",
                        5,
                        Deal {
                            closed_at: at("2023-11-20T06:00:00Z"),
                            opened_at: at("2023-11-20T06:00:00Z"),
                            ..won("03-01", deal("past", "A", "e1", "03-01", 0))
                        },
                    )),
                ),
            ],
            "2023-11-01",
        ),
        // Open, of a peer.
        (
            vec![
                rate("GBP", "2024-01-05", "1.2"),
                version(
                    noon("03-01"),
                    Kind::Deal(in_currency("GBP", 5, deal("open", "B", "e1", "03-01", 0))),
                ),
            ],
            "2024-01-05",
        ),
        // Won, of a peer.
        (
            vec![
                rate("GBP", "2024-01-06", "1.2"),
                version(
                    noon("03-01"),
                    Kind::Deal(in_currency("GBP", 5, won("03-02", deal("of-b", "B", "e1", "03-01", 0)))),
                ),
            ],
            "2024-01-06",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut caller = sidecar.tenant(&format!("oldest-{n}"), settings()).await;
        caller.write(usual().chain([new_rate()]).chain(more).collect()).await;
        let (_, definition) = get(&mut caller, under(Premises::default(), partner("A"))).await;
        assert_eq!(definition.oldest_rate_on, date(expected), "case {n}");
    }
    sidecar.stop().await;
}

// === Filters ===

/// The worked example, and two deals that are won: one that has everything, one that has nothing. A is a reseller in
/// the north, B is gold and in the south.
fn labelled() -> Vec<Record> {
    let mut all = records();
    let labels = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    let a = Partner {
        partner_id: "A".into(),
        partner_type: "reseller".into(),
        region: "north".into(),
        labels: labels("size", "great"),
        active: Some(true),
        ..Partner::default()
    };
    let b = Partner {
        partner_id: "B".into(),
        tier: "gold".into(),
        region: "south".into(),
        active: Some(true),
        ..Partner::default()
    };
    let y1 = Deal {
        product: "boots".into(),
        region: "east".into(),
        labels: labels("colour", "red"),
        marketing_channel_id: "newsletter".into(),
        unit_id: "south".into(),
        partner_credits: vec![
            credit("A", CreditRole::Sourced, 6_000),
            credit("B", CreditRole::Sourced, 4_000),
        ],
        ..won("03-08", deal("y1", "A", "e1", "03-02", 100))
    };
    let y2 = Deal { partner_credits: vec![], ..won("03-09", deal("y2", "A", "", "03-02", 30)) };
    all.extend([
        version(noon("01-03"), Kind::Partner(a)),
        version(noon("01-03"), Kind::Partner(b)),
        version(noon("03-08"), Kind::Deal(y1)),
        version(noon("03-09"), Kind::Deal(y2)),
    ]);
    all
}

fn media(values: &[Media]) -> Option<MediaTerms> {
    let include_none = values.is_empty();
    Some(MediaTerms { values: values.iter().map(|&media| media.into()).collect(), include_none })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_narrows_by_every_dimension() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("filters", settings()).await;
    caller.write(labelled()).await;
    let both = |value: &str| Some(Terms { values: vec![value.into()], include_none: true });
    let label = |key: &str, terms| vec![LabelTerms { key: key.into(), terms }];
    let f = Filter::default;
    // Won: d1 200 (A, e1), d2 400 (A, e2, by L1 from search), d5 900 (B, e1, by L4 from reviews), y1 100 (60 of A),
    // y2 30. Missed: d3 300 (A, e1), d6 500 (B, e2). Prospects: L1 and y1, y2 bought, L2 is lost (A, e1, search); L3
    // (B, e2, newsletter), d4 (A, e1), d7 and d8 (B, e2) are undecided.
    let a = "220.00 (660.00/3)  3 (660.00)   3/4 1 (300.00) | 2/4 (1)";
    let b = "470.00 (940.00/2)  2 (940.00)   2/3 1 (500.00) | 1/4 (3)";
    let credited = "400.00 (1600.00/4) 4 (1600.00) 4/6 2 (800.00) | 2/7 (4)";
    let y1 = "100.00 (100.00/1)  1 (100.00)   1/1 0 (0.00) | 1/1 (0)";
    let y2 = "30.00 (30.00/1)    1 (30.00)    1/1 0 (0.00) | 1/1 (0)";
    let bare = "382.50 (1530.00/4) 4 (1530.00) 4/6 2 (800.00) | 2/5 (3)"; // L2 and L3 have no deal that could pass
    let d2 = "400.00 (400.00/1)  1 (400.00)   1/1 0 (0.00) | 1/2 (0)";
    let d5 = "900.00 (900.00/1)  1 (900.00)   1/1 0 (0.00) | no-prospect (0)";
    let owned = "100.00 (100.00/1)  1 (100.00)   1/1 0 (0.00) | 1/2 (1)";
    let unattributed = "115.00 (230.00/2)  2 (230.00)   2/4 2 (800.00) | 1/4 (3)";
    let no_one = "no-deal-won 0 (0.00) no-deal-ended 0 (0.00) | no-prospect (0)";
    for (filter, expected) in [
        (f(), "326.00 (1630.00/5) 5 (1630.00) 5/7 2 (800.00) | 3/8 (4)"),
        (Filter { partner_types: terms(&["reseller"]), ..f() }, a),
        (Filter { partner_types: none(), ..f() }, b),
        (Filter { partner_types: both("reseller"), ..f() }, credited),
        (Filter { partner_types: terms(&["msp"]), ..f() }, no_one),
        (Filter { tiers: terms(&["gold"]), ..f() }, b),
        (Filter { tiers: none(), ..f() }, a),
        (Filter { partner_labels: label("size", terms(&["great"])), ..f() }, a),
        (Filter { partner_labels: label("size", none()), ..f() }, b),
        (Filter { partner_ids: terms(&["A"]), ..f() }, a),
        (Filter { partner_ids: terms(&["B"]), ..f() }, b),
        (Filter { partner_ids: terms(&["A", "B"]), ..f() }, credited),
        (Filter { partner_ids: none(), ..f() }, y2),
        (
            Filter { regions: terms(&["north"]), ..f() },
            "300.00 (600.00/2) 2 (600.00) 2/3 1 (300.00) | 1/3 (1)",
        ),
        (
            Filter { regions: terms(&["south"]), ..f() },
            "900.00 (900.00/1) 1 (900.00) 1/2 1 (500.00) | 0/3 (3)",
        ),
        (Filter { regions: terms(&["east"]), ..f() }, y1),
        (Filter { regions: none(), ..f() }, y2),
        (Filter { products: terms(&["boots"]), ..f() }, y1),
        (Filter { products: none(), ..f() }, bare),
        (Filter { deal_labels: label("colour", terms(&["red"])), ..f() }, y1),
        (Filter { deal_labels: label("colour", none()), ..f() }, bare),
        (Filter { marketing_channel_ids: terms(&["search"]), ..f() }, d2),
        (Filter { marketing_channel_ids: terms(&["newsletter"]), ..f() }, owned),
        (Filter { marketing_channel_ids: terms(&["reviews"]), ..f() }, d5),
        (Filter { marketing_channel_ids: none(), ..f() }, unattributed),
        (Filter { media: media(&[Media::Paid]), ..f() }, d2),
        (Filter { media: media(&[Media::Owned]), ..f() }, owned),
        (Filter { media: media(&[Media::Earned]), ..f() }, d5),
        (Filter { media: media(&[]), ..f() }, unattributed),
        (
            Filter { employee_ids: terms(&["e1"]), ..f() },
            "400.00 (1200.00/3) 3 (1200.00) 3/4 1 (300.00) | 1/3 (1)",
        ),
        (
            Filter { employee_ids: terms(&["e2"]), ..f() },
            "400.00 (400.00/1) 1 (400.00) 1/2 1 (500.00) | 1/4 (3)",
        ),
        (Filter { employee_ids: none(), ..f() }, y2),
        (
            Filter { unit_ids: terms(&["north"]), ..f() },
            "550.00 (1100.00/2) 2 (1100.00) 2/3 1 (300.00) | 0/2 (1)",
        ),
        (
            Filter { unit_ids: terms(&["south"]), ..f() },
            "250.00 (500.00/2) 2 (500.00) 2/3 1 (500.00) | 2/5 (3)",
        ),
        (Filter { unit_ids: terms(&["sales"]), ..f() }, credited),
        (Filter { unit_ids: none(), ..f() }, y2),
        (Filter { credit: CreditFilter::Credited.into(), ..f() }, credited),
        (Filter { credit: CreditFilter::Direct.into(), ..f() }, y2),
        // Dimensions combine with and.
        (
            Filter { employee_ids: terms(&["e1"]), partner_ids: terms(&["A"]), ..f() },
            "130.00 (260.00/2) 2 (260.00) 2/3 1 (300.00) | 1/3 (1)",
        ),
        (Filter { unit_ids: terms(&["south"]), media: media(&[Media::Owned]), ..f() }, owned),
        (Filter { tiers: terms(&["gold"]), partner_ids: terms(&["A"]), ..f() }, no_one),
        (Filter { regions: terms(&["east"]), products: none(), ..f() }, no_one),
    ] {
        let (card, definition) = get(&mut caller, under(filtered(filter.clone()), Subject::default())).await;
        let close = card.close_rate.as_ref().expect("all KPIs were asked for");
        let told = format!("{} | {} ({})", row(&card), figure(close.figure.as_ref()), close.unresolved_count);
        assert_eq!(told, format!("tenant {}", line(expected)), "{filter:?}");
        assert_eq!(definition.premises.and_then(|premises| premises.filter), Some(filter));
    }
    // Of a subject: what is its own and passes. Of A's 60 in y1 its owner's unit is told nothing.
    for (subject, filter, expected) in [
        ("A", Filter { unit_ids: terms(&["south"]), ..f() }, "A 230.00 (460.00/2) 2 (460.00) 2/2 0 (0.00)"),
        ("B", Filter { regions: terms(&["east"]), ..f() }, "B 40.00 (40.00/1) 1 (40.00) 1/1 0 (0.00)"),
        ("A", Filter { partner_ids: terms(&["B"]), ..f() }, "A no-deal-won 0 (0.00) no-deal-ended 0 (0.00)"),
        (
            "A",
            Filter { credit: CreditFilter::Direct.into(), ..f() },
            "A no-deal-won 0 (0.00) no-deal-ended 0 (0.00)",
        ),
    ] {
        let (card, _) = get(&mut caller, under(filtered(filter.clone()), partner(subject))).await;
        assert_eq!(row(&card), expected, "{filter:?}");
    }
    // A reseller's peers are those of its type; a filter by partner doesn't narrow them.
    let score = async |caller: &mut Caller, filter| {
        let (card, _) = get(caller, under(filtered(filter), partner("A"))).await;
        figure(card.value_score.expect("asked for").figure.as_ref())
    };
    assert_eq!(
        score(&mut caller, Filter { partner_types: terms(&["reseller"]), ..f() }).await,
        "100.00 (66000.00/660.00)"
    );
    assert_eq!(
        score(&mut caller, Filter { partner_ids: terms(&["A"]), ..f() }).await,
        "82.50 (132000.00/1600.00)"
    );
    sidecar.stop().await;
}
