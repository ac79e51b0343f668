//! Series (docs/kpis.md §4, §7) through gRPC on a real socket: every bucket against the scorecard of the same days,
//! sums of buckets against the whole, equal age, exchange, and days of zones with summer time.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)]
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::AbsentReason::TooFewBuckets;
use channel_kpi::proto::channelkpi::v1::figure::Result::{AbsentReason, Value};
use channel_kpi::proto::channelkpi::v1::quantity::Quantity as Q;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    Bucket, ComparedFigure, CreditRole, Deal, DealStatus, Exchange, ExchangePolicy, ExchangeRate,
    ExchangeRateKey, Figure, Filter, GetScorecardRequest, GetSeriesRequest, GetSeriesResponse, Kpi, Partner,
    PartnerCredit, PartnerSubject, Period, Premises, Quantity, Record, Scorecard, SeriesPoint, Subject,
    TenantSettings, Terms, TrendDirection, TrendEstimate, Window, series_trend,
};
use channel_kpi::proto::google::r#type::{Date, DayOfWeek, Decimal, Money};
use chrono::{Datelike, Days, NaiveDate};
use prost_types::Timestamp;
use scorecard::{dates, partner};
use sidecar::{Caller, Sidecar};
use tonic::Code;
use worked_example::{at, date, deal, noon, records, settings, usd, version, won};

const BUCKETS: [Bucket; 7] = [
    Bucket::Day,
    Bucket::Week,
    Bucket::Month,
    Bucket::Quarter,
    Bucket::Year,
    Bucket::FiscalQuarter,
    Bucket::FiscalYear,
];

fn ask(subject: Subject, window: Window, bucket: Bucket, as_of: &str) -> GetSeriesRequest {
    GetSeriesRequest {
        subject: Some(subject),
        window: Some(window),
        bucket: bucket.into(),
        as_of: date(as_of),
        ..GetSeriesRequest::default()
    }
}

async fn get(caller: &mut Caller, question: &GetSeriesRequest) -> GetSeriesResponse {
    caller.kpis.get_series(question.clone()).await.expect("the question is valid").into_inner()
}

async fn card(caller: &mut Caller, question: GetScorecardRequest) -> Scorecard {
    let answer = caller.kpis.get_scorecard(question).await.expect("the question is valid").into_inner();
    answer.scorecard.expect("always set")
}

fn day(date: Option<Date>) -> NaiveDate {
    let Date { year, month, day } = date.expect("always set");
    NaiveDate::from_ymd_opt(year, month as u32, day as u32).expect("the server sends dates")
}

fn wire(date: NaiveDate) -> Option<Date> {
    Some(Date { year: date.year(), month: date.month() as i32, day: date.day() as i32 })
}

fn on(text: &str) -> NaiveDate {
    text.parse().expect("the tests write dates")
}

/// `2024-03-01..2024-04-01 on 2024-03-31`, with `partial` behind.
fn told(point: &SeriesPoint) -> String {
    let range = point.dates.expect("always set");
    let partial = if point.partial { " partial" } else { "" };
    format!("{}..{} on {}{partial}", day(range.start_on), day(range.end_on), day(point.as_of))
}

fn scorecard_of(point: &SeriesPoint) -> &Scorecard {
    point.scorecard.as_ref().expect("always set")
}

fn won_count(card: &Scorecard) -> i64 {
    match figure(card.deal_count.as_ref().and_then(|kpi| kpi.figure.clone())) {
        Some((Q::Count(count), _)) => count,
        other => panic!("a count is always there: {other:?}"),
    }
}

fn figure(figure: Option<Figure>) -> Option<(Q, Q)> {
    let quantity = |quantity: Option<Quantity>| quantity.and_then(|quantity| quantity.quantity);
    match figure?.result? {
        Value(ratio) => quantity(ratio.numerator).zip(quantity(ratio.denominator)),
        AbsentReason(_) => None,
    }
}

/// Money in cents: the tests' amounts have no finer parts.
fn cents(money: Option<&Money>) -> i64 {
    let money = money.expect("it is in range");
    assert_eq!(money.nanos % 10_000_000, 0, "{money:?} has parts of cents");
    money.units * 100 + i64::from(money.nanos / 10_000_000)
}

/// A scorecard as a series has it: whose it is stands elsewhere, and nothing is compared.
fn alone(mut card: Scorecard) -> Scorecard {
    let alone = |compared: &mut Option<ComparedFigure>| {
        if let Some(compared) = compared {
            (compared.comparison, compared.change) = (None, None);
        }
    };
    card.subject = None;
    card.name.clear();
    if let Some(kpi) = &mut card.average_deal_size {
        (kpi.comparison, kpi.change) = (None, None);
    }
    if let Some(kpi) = &mut card.deal_count {
        (kpi.comparison, kpi.change, kpi.comparison_won_amount) = (None, None, None);
    }
    if let Some(kpi) = &mut card.opportunity_pipeline {
        (kpi.comparison, kpi.change, kpi.comparison_open) = (None, None, None);
    }
    if let Some(kpi) = &mut card.marketing_channel {
        (kpi.comparison, kpi.change) = (None, None);
        for part in [&mut kpi.lead_count, &mut kpi.won_count, &mut kpi.won_amount, &mut kpi.spend] {
            alone(part);
        }
    }
    if let Some(kpi) = &mut card.close_rate {
        (kpi.comparison, kpi.change) = (None, None);
        alone(&mut kpi.resolved);
    }
    if let Some(kpi) = &mut card.deal_velocity {
        (kpi.comparison, kpi.change) = (None, None);
        for factor in [&mut kpi.deals_in_work, &mut kpi.win_rate, &mut kpi.average_deal_size] {
            alone(factor);
        }
        alone(&mut kpi.cycle_days);
        alone(&mut kpi.mean_cycle_days);
    }
    if let Some(kpi) = &mut card.value_score {
        (kpi.comparison, kpi.change) = (None, None);
    }
    if let Some(kpi) = &mut card.deal_success {
        (kpi.comparison, kpi.change) = (None, None);
        alone(&mut kpi.lead_qualification);
    }
    card
}

// === many deals ===

/// Knuth's generator: the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Noon in Dhaka, so many days after 2023-10-01.
fn noon_of(days: u64) -> Option<Timestamp> {
    let seconds = at("2023-10-01T06:00:00Z").expect("it is set").seconds + days as i64 * 86_400;
    Some(Timestamp { seconds, nanos: 0 })
}

/// Deals of nine months from October 2023, that collide on their days: with and without amounts, shared, direct, of
/// two regions; and the company of the worked example.
fn many() -> Vec<Record> {
    let mut dice = Dice(2_024);
    let sourced = |partner_id: &str, share_bps| PartnerCredit {
        partner_id: partner_id.into(),
        role: CreditRole::Sourced.into(),
        share_bps: Some(share_bps),
    };
    let deals = (0..150).map(|n| {
        let opened = dice.below(250);
        let ended = noon_of(opened + dice.below(60));
        let mut deal = Deal {
            opened_at: noon_of(opened),
            amount: [None, usd(100), usd(200), usd(300)][dice.below(4) as usize].clone(),
            partner_credits: match dice.below(5) {
                0 | 1 => vec![sourced("A", 10_000)],
                2 => vec![sourced("B", 10_000)],
                3 => vec![sourced("A", 5_000), sourced("B", 2_500)],
                _ => vec![],
            },
            region: ["north", "south"][dice.below(2) as usize].into(),
            status: DealStatus::Open.into(),
            ..deal(&format!("m{n}"), "A", ["e1", "e2"][dice.below(2) as usize], "03-01", 0)
        };
        match dice.below(5) {
            0 | 1 => (deal.status, deal.closed_at) = (DealStatus::Won.into(), ended),
            2 => (deal.status, deal.closed_at) = (DealStatus::Lost.into(), ended),
            3 => deal.expire_time = ended,
            _ => {}
        }
        version(deal.closed_at.or(deal.opened_at), Kind::Deal(deal))
    });
    deals.collect::<Vec<_>>().into_iter().chain(records()).collect()
}

async fn company(sidecar: &Sidecar) -> Caller {
    let settings = TenantSettings {
        fiscal_year_start_month: Some(2),
        week_start: DayOfWeek::Wednesday.into(),
        ..settings()
    };
    let mut caller = sidecar.tenant("many", settings).await;
    caller.write(many()).await;
    caller
}

fn north() -> Option<Premises> {
    let regions = Some(Terms { values: vec!["north".into()], include_none: false });
    Some(Premises { filter: Some(Filter { regions, ..Filter::default() }), ..Premises::default() })
}

fn subjects() -> Vec<Subject> {
    let with_sub_partners = PartnerSubject { partner_id: "B".into(), include_sub_partners: true };
    [Of::Partner(with_sub_partners), Of::EmployeeId("e2".into()), Of::UnitId("sales".into())]
        .map(|of| Subject { subject: Some(of) })
        .into_iter()
        .chain([Subject::default(), partner("A"), partner("B")])
        .collect()
}

// === the tests ===

/// The scorecard of a bucket's days on its own `as_of`, and the pipeline on its last day.
#[tokio::test(flavor = "multi_thread")]
async fn every_bucket_is_the_scorecard_of_its_days() {
    let sidecar = Sidecar::start().await;
    let mut caller = company(&sidecar).await;
    let mut point_count = 0;
    for (window, as_of) in [
        (dates("2024-02-20", "2024-03-12"), "2024-03-31"), // long over
        (dates("2023-11-05", "2024-07-01"), "2024-03-20"), // in the middle of it
    ] {
        for bucket in BUCKETS {
            for (place, subject) in subjects().into_iter().enumerate() {
                if bucket == Bucket::Day && as_of == "2024-03-20" && place % 3 != 0 {
                    continue; // many days of several subjects take long and tell no more
                }
                let premises = if place % 2 == 0 { None } else { north() };
                let asked = GetSeriesRequest {
                    premises: premises.clone(),
                    ..ask(subject.clone(), window, bucket, as_of)
                };
                let answer = get(&mut caller, &asked).await;
                assert_eq!(answer.subject.as_ref(), Some(&subject));
                for point in &answer.points {
                    let range = point.dates.expect("always set");
                    let question = GetScorecardRequest {
                        subject: Some(subject.clone()),
                        window: Some(Window { window: Some(Asked::Dates(range)) }),
                        as_of: point.as_of,
                        premises: premises.clone(),
                        ..GetScorecardRequest::default()
                    };
                    let last = day(range.end_on).pred_opt().expect("it has one").min(day(point.as_of));
                    let kpis = vec![Kpi::OpportunityPipeline.into()];
                    let at_the_end = GetScorecardRequest { as_of: wire(last), kpis, ..question.clone() };
                    let mut expected = alone(card(&mut caller, question).await);
                    let pipeline = alone(card(&mut caller, at_the_end).await).opportunity_pipeline;
                    expected.opportunity_pipeline = pipeline;
                    let mut found = scorecard_of(point).clone();
                    // As dates it isn't a week: its own past is that of other days.
                    if bucket == Bucket::Week && point.partial {
                        for card in [&mut expected, &mut found] {
                            card.value_score.as_mut().expect("all were asked for").own_past = None;
                        }
                    }
                    assert_eq!(found, expected, "{bucket:?} of {subject:?}: {}", told(point));
                    point_count += 1;
                }
            }
        }
    }
    assert!(point_count > 500, "{point_count}");
    sidecar.stop().await;
}

/// What adds up: won, missed, expired, lost to competitors; with counts and amounts.
fn sums(card: &Scorecard) -> [i64; 8] {
    let count = card.deal_count.as_ref().expect("it was asked for");
    let size = card.average_deal_size.as_ref().expect("it was asked for");
    let success = card.deal_success.as_ref().expect("it was asked for");
    [
        won_count(card),
        cents(count.won_amount.as_ref()),
        size.unpriced_won_count,
        success.missed_count,
        cents(success.missed_amount.as_ref()),
        success.unpriced_missed_count,
        success.lost_to_competitor_count,
        success.expired_count,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_add_up_to_the_whole() {
    let sidecar = Sidecar::start().await;
    let mut caller = company(&sidecar).await;
    let mut dice = Dice(7);
    let (subjects, first) = (subjects(), on("2023-09-20"));
    let mut whole_sum = 0;
    for round in 0..30 {
        let start = first + Days::new(dice.below(250));
        let end = start + Days::new(1 + dice.below(200));
        let window = dates(&start.to_string(), &end.to_string());
        let as_of = first + Days::new(dice.below(400));
        let subject = subjects[dice.below(subjects.len() as u64) as usize].clone();
        let premises = if round % 3 == 0 { north() } else { None };
        let kpis = [Kpi::AverageDealSize, Kpi::DealCount, Kpi::DealSuccess].map(i32::from).to_vec();
        let question = GetScorecardRequest {
            subject: Some(subject.clone()),
            window: Some(window),
            as_of: wire(as_of),
            kpis: kpis.clone(),
            premises: premises.clone(),
            ..GetScorecardRequest::default()
        };
        let whole = sums(&card(&mut caller, question).await);
        whole_sum += whole.iter().sum::<i64>();
        for bucket in BUCKETS {
            let (kpis, premises) = (kpis.clone(), premises.clone());
            let asked = ask(subject.clone(), window, bucket, &as_of.to_string());
            let answer = get(&mut caller, &GetSeriesRequest { kpis, premises, ..asked }).await;
            let mut parts = [0; 8];
            for point in &answer.points {
                for (sum, part) in parts.iter_mut().zip(sums(scorecard_of(point))) {
                    *sum += part;
                }
            }
            assert_eq!(parts, whole, "{bucket:?} of {start}..{end} on {as_of} of {subject:?}");
        }
    }
    assert!(whole_sum > 0, "the rounds hit some deals");
    sidecar.stop().await;
}

/// A deal opened in January and won on 20 February: the older bucket is judged as old as the newest one is.
#[tokio::test(flavor = "multi_thread")]
async fn prospects_are_judged_at_equal_age() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("age", settings()).await;
    let january = won("02-20", deal("d1", "A", "e1", "01-10", 100));
    let march = won("04-15", deal("d2", "A", "e1", "03-10", 200));
    caller.write([january, march].map(|deal| version(noon("05-01"), Kind::Deal(deal))).into()).await;
    let months = dates("2024-01-01", "2024-04-01");
    // as_of; close rates and open amounts of January to March. The amounts are those at the end of each month.
    #[rustfmt::skip]
    let table = [
        ("2024-03-31", [Some((0, 1)), None, Some((0, 1))], [100, 0, 200]),
        ("2024-04-15", [Some((0, 1)), None, Some((1, 1))], [100, 0, 200]), // January as of 15 February
        ("2024-04-19", [Some((0, 1)), None, Some((1, 1))], [100, 0, 200]),
        ("2024-04-20", [Some((1, 1)), None, Some((1, 1))], [100, 0, 200]),
        ("2024-03-15", [Some((0, 1)), None, Some((0, 1))], [100, 0, 200]), // March to date
    ];
    for (as_of, rates, open) in table {
        let answer = get(&mut caller, &ask(Subject::default(), months, Bucket::Month, as_of)).await;
        let cards: Vec<&Scorecard> = answer.points.iter().map(scorecard_of).collect();
        let rate = |card: &&Scorecard| {
            let kpi = card.close_rate.as_ref().expect("all were asked for");
            figure(kpi.figure.clone()).map(|terms| match terms {
                (Q::Count(purchased), Q::Count(all)) => (purchased, all),
                other => panic!("a rate is of counts: {other:?}"),
            })
        };
        let open_units = |card: &&Scorecard| {
            let kpi = card.opportunity_pipeline.as_ref().expect("all were asked for");
            cents(kpi.open.as_ref().and_then(|open| open.amount.as_ref())) / 100
        };
        assert_eq!(cards.iter().map(rate).collect::<Vec<_>>(), rates, "{as_of}");
        assert_eq!(cards.iter().map(open_units).collect::<Vec<_>>(), open, "{as_of}");
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_runs_is_answered_to_date() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    let year = Window { window: Some(Asked::Period(Period::ThisYear.into())) };
    let answer = get(&mut caller, &ask(partner("A"), year, Bucket::Quarter, "2024-05-10")).await;
    let points: Vec<String> = answer.points.iter().map(told).collect();
    assert_eq!(
        points,
        ["2024-01-01..2024-04-01 on 2024-03-31", "2024-04-01..2024-07-01 on 2024-05-10 partial"],
        "those that begin later aren't answered"
    );
    assert_eq!((answer.name.as_str(), answer.subject), ("Partner A", Some(partner("A"))));
    let definition = answer.definition.expect("always set");
    let window = definition.window.expect("always set");
    assert_eq!((window.start_on, window.end_on), (date("2024-01-01"), date("2025-01-01")));
    assert!(definition.partial);
    assert_eq!((definition.as_of, definition.comparison_window), (date("2024-05-10"), None));
    assert!(!answer.revision_token.is_empty());

    // Months of the last 45 days: both ends are cut.
    let last = Window { window: Some(Asked::LastDays(45)) };
    let kpis = vec![Kpi::DealCount.into()];
    let question = GetSeriesRequest { kpis, ..ask(partner("A"), last, Bucket::Month, "2024-04-10") };
    let answer = get(&mut caller, &question).await;
    let points: Vec<String> = answer.points.iter().map(told).collect();
    let expected = [
        "2024-02-26..2024-03-01 on 2024-02-29 partial",
        "2024-03-01..2024-04-01 on 2024-03-31",
        "2024-04-01..2024-04-11 on 2024-04-10 partial",
    ];
    assert_eq!(points, expected);
    let counts: Vec<i64> = answer.points.iter().map(|point| won_count(scorecard_of(point))).collect();
    assert_eq!(counts, [0, 2, 0]);
    let march = scorecard_of(&answer.points[1]);
    assert!(march.deal_success.is_none() && march.close_rate.is_none(), "only what was asked for");

    let future = ask(Subject::default(), dates("2024-05-01", "2024-06-01"), Bucket::Day, "2024-04-30");
    let answer = get(&mut caller, &future).await;
    assert_eq!(answer.points, []);
    assert!(answer.definition.is_some_and(|definition| definition.partial));
    let nobody = ask(partner("nobody"), dates("2024-05-01", "2024-06-01"), Bucket::Day, "2024-04-30");
    let refused = caller.kpis.get_series(nobody).await.expect_err("nobody was sent");
    assert_eq!(refused.code(), Code::NotFound, "also where nothing is told");
    sidecar.stop().await;
}

/// What is cut, what isn't over and what has no value is left out, and leaves its time where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_trend_is_told_from_whole_buckets_with_a_value() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("trend", settings()).await;
    // A deal a month, of 100, 200 and so on from January to July, but none in April; in August two of 1 so far.
    let months = [1, 2, 3, 5, 6, 7].map(|month| (month, 5, 100 * i64::from(month)));
    let deals = months.into_iter().chain([(8, 1, 1), (8, 2, 1)]).map(|(month, day, units)| {
        let id = format!("d{month}-{day}");
        let ended = won(&format!("{month:02}-{day:02}"), deal(&id, "A", "e1", "01-01", units));
        version(noon("08-10"), Kind::Deal(ended))
    });
    caller.write(deals.collect()).await;
    let kpis = [Kpi::DealCount, Kpi::AverageDealSize, Kpi::DealSuccess].map(i32::from).to_vec();
    let span = dates("2024-01-01", "2024-09-01");
    let question = GetSeriesRequest { kpis, ..ask(Subject::default(), span, Bucket::Month, "2024-08-10") };
    let trends = get(&mut caller, &question).await.trends;
    let told = |n: usize| (trends[n].kpi(), trends[n].bucket_count, trends[n].result);
    let estimate = |slope_per_bucket, p_value, direction: TrendDirection| {
        let estimate = TrendEstimate { slope_per_bucket, p_value, direction: direction.into() };
        Some(series_trend::Result::Estimate(estimate))
    };
    let (kpi, bucket_count, result) = told(0);
    assert_eq!((kpi, bucket_count), (Kpi::DealCount, 7), "none won is a count, and August isn't over");
    let Some(series_trend::Result::Estimate(count)) = result else { panic!("seven months have a count") };
    // S = 0: as many months follow April as come before it.
    assert_eq!((count.slope_per_bucket, count.p_value), (0.0, 1.0));
    // Of 6! orders two are as far from 0; with April left out of time the slope would be more.
    assert_eq!(told(1), (Kpi::AverageDealSize, 6, estimate(100.0, 2.0 / 720.0, TrendDirection::Rising)));
    assert_eq!(told(2), (Kpi::DealSuccess, 6, estimate(0.0, 1.0, TrendDirection::Flat)), "all are 1");
    assert_eq!(trends.len(), 3);

    // Cut at its first month, four sizes are left.
    let cut = GetSeriesRequest { window: Some(dates("2024-01-05", "2024-07-01")), ..question.clone() };
    let trends = get(&mut caller, &cut).await.trends;
    let too_few = Some(series_trend::Result::AbsentReason(TooFewBuckets.into()));
    assert_eq!((trends[0].bucket_count, trends[1].bucket_count), (5, 4));
    assert_eq!(trends[1].result, too_few);
    assert!(matches!(trends[0].result, Some(series_trend::Result::Estimate(_))));

    let all = get(&mut caller, &GetSeriesRequest { kpis: vec![], ..question.clone() }).await.trends;
    assert_eq!(all.len(), 8, "one for each KPI");
    let to_come = GetSeriesRequest { window: Some(dates("2025-01-01", "2025-09-01")), ..question };
    assert_eq!(get(&mut caller, &to_come).await.trends, []);
    sidecar.stop().await;
}

/// Otherwise a currency that moved would show as months that grew.
#[tokio::test(flavor = "multi_thread")]
async fn a_series_is_told_at_the_rates_of_its_end() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("rates", settings()).await;
    let euros = |deal: Deal| {
        let amount = Some(Money { currency_code: "EUR".into(), units: 100, nanos: 0 });
        version(noon("05-01"), Kind::Deal(Deal { amount, ..deal }))
    };
    let rate = |on: &str, rate: &str| {
        let (from_currency_code, to_currency_code) = ("EUR".into(), "USD".into());
        let key = ExchangeRateKey { from_currency_code, to_currency_code, rate_on: date(on) };
        let rate = Some(Decimal { value: rate.into() });
        version(noon("01-02"), Kind::ExchangeRate(ExchangeRate { key: Some(key), rate }))
    };
    let deals = [
        euros(won("01-20", deal("d1", "A", "e1", "01-10", 0))),
        euros(won("03-10", deal("d2", "A", "e1", "01-10", 0))),
        euros(deal("d3", "A", "e1", "01-10", 0)),
    ];
    let rates = [("2024-01-01", "1.1"), ("2024-02-15", "1.2"), ("2024-03-15", "1.3"), ("2024-04-10", "1.4")];
    caller.write(deals.into_iter().chain(rates.map(|(on, text)| rate(on, text))).collect()).await;
    let fixed = Exchange { policy: ExchangePolicy::Fixed.into(), fixed_on: date("2024-02-20") };
    let of = |policy: ExchangePolicy| Exchange { policy: policy.into(), fixed_on: None };
    // exchange, as_of; won and open amounts of January to March; the one day of all rates, the oldest rate used
    for (exchange, as_of, won, open, rates_on, oldest) in [
        (of(ExchangePolicy::AtClose), "2024-04-20", [110, 0, 120], [220, 240, 130], None, "2024-01-01"),
        (
            of(ExchangePolicy::WindowEnd),
            "2024-04-20",
            [130, 0, 130],
            [260, 260, 130],
            Some("2024-03-31"),
            "2024-03-15",
        ),
        (
            of(ExchangePolicy::WindowEnd),
            "2024-03-14",
            [120, 0, 120],
            [240, 240, 120],
            Some("2024-03-14"),
            "2024-02-15",
        ),
        (fixed, "2024-04-20", [120, 0, 120], [240, 240, 120], Some("2024-02-20"), "2024-02-15"),
    ] {
        let case = format!("{exchange:?} on {as_of}");
        let premises = Some(Premises { exchange: Some(exchange), ..Premises::default() });
        let asked = ask(Subject::default(), dates("2024-01-01", "2024-04-01"), Bucket::Month, as_of);
        let answer = get(&mut caller, &GetSeriesRequest { premises, ..asked }).await;
        let cards: Vec<&Scorecard> = answer.points.iter().map(scorecard_of).collect();
        let won_units =
            |card: &&Scorecard| cents(card.deal_count.as_ref().and_then(|kpi| kpi.won_amount.as_ref())) / 100;
        let open_units = |card: &&Scorecard| {
            let open = card.opportunity_pipeline.as_ref().and_then(|kpi| kpi.open.as_ref());
            cents(open.and_then(|open| open.amount.as_ref())) / 100
        };
        assert_eq!(cards.iter().map(won_units).collect::<Vec<_>>(), won, "{case}");
        assert_eq!(cards.iter().map(open_units).collect::<Vec<_>>(), open, "{case}");
        let definition = answer.definition.expect("always set");
        assert_eq!(definition.rates_on, rates_on.and_then(date), "{case}");
        assert_eq!(definition.oldest_rate_on, date(oldest), "{case}");
    }
    sidecar.stop().await;
}

/// The wall decides: 10 March 2024 has 23 hours in New York, 3 November 25, and February a 29th.
#[tokio::test(flavor = "multi_thread")]
async fn days_are_those_on_the_wall() {
    let sidecar = Sidecar::start().await;
    let settings = TenantSettings { time_zone: "America/New_York".into(), ..settings() };
    let mut caller = sidecar.tenant("new-york", settings).await;
    let instants = [
        "2024-03-01T04:59:59Z", // 29 February
        "2024-03-01T05:00:00Z",
        "2024-03-10T04:59:59Z", // 9 March
        "2024-03-10T05:00:00Z", // the day that lacks an hour
        "2024-03-11T03:59:59Z",
        "2024-03-11T04:00:00Z", // 11 March, in summer time
        "2024-11-03T03:59:59Z", // 2 November
        "2024-11-03T04:00:00Z", // the day with an hour twice
        "2024-11-04T04:59:59Z",
        "2024-11-04T05:00:00Z", // 4 November
    ];
    let closed = instants.iter().enumerate().map(|(n, instant)| {
        let open = deal(&format!("d{n}"), "A", "e1", "02-01", 100);
        let closed = Deal { closed_at: at(instant), status: DealStatus::Won.into(), ..open };
        version(at(instant), Kind::Deal(closed))
    });
    caller.write(closed.collect()).await;
    for (window, bucket, expected) in [
        (dates("2024-02-28", "2024-03-02"), Bucket::Day, &[0, 1, 1][..]),
        (dates("2024-02-01", "2024-04-01"), Bucket::Month, &[1, 5]),
        (dates("2024-03-09", "2024-03-13"), Bucket::Day, &[1, 2, 1, 0]),
        (dates("2024-03-04", "2024-03-18"), Bucket::Week, &[3, 1]),
        (dates("2024-11-02", "2024-11-05"), Bucket::Day, &[1, 2, 1]),
    ] {
        let answer = get(&mut caller, &ask(Subject::default(), window, bucket, "2024-12-31")).await;
        let counts: Vec<i64> = answer.points.iter().map(|point| won_count(scorecard_of(point))).collect();
        assert_eq!(counts, expected, "{bucket:?} of {window:?}");
        assert!(answer.points.iter().all(|point| !point.partial));
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_partner_is_its_survivor() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("merged", settings()).await;
    caller.write(records()).await;
    let merged = Partner {
        partner_id: "A".into(),
        merged_into_partner_id: "B".into(),
        active: Some(true),
        ..Partner::default()
    };
    let token = caller.write(vec![version(noon("04-01"), Kind::Partner(merged))]).await;
    let weeks = |id| ask(partner(id), dates("2024-03-01", "2024-04-01"), Bucket::Week, "2024-03-31");
    let answer = get(&mut caller, &weeks("A")).await;
    assert_eq!((answer.subject.clone(), answer.name.as_str()), (Some(partner("B")), "Partner B"));
    assert_eq!(answer.revision_token, token);
    assert_eq!(answer, get(&mut caller, &weeks("B")).await);
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_buckets_and_no_more() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    let thousand = |as_of| {
        let window = dates("2022-01-01", "2030-01-01");
        ask(Subject::default(), window, Bucket::Day, as_of)
    };
    let answer = get(&mut caller, &thousand("2024-09-26")).await;
    assert_eq!(answer.points.len(), 1_000, "days that haven't come aren't counted");
    let counts: i64 = answer.points.iter().map(|point| won_count(scorecard_of(point))).sum();
    assert_eq!(counts, 4);
    let refused = caller.kpis.get_series(thousand("2024-09-27")).await.expect_err("one more");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("1001 buckets, at most 1000"), "{refused}");
    sidecar.stop().await;
}
