//! The opportunity pipeline (docs/kpis.md §6, 3) through gRPC on a real socket: the worked example of §12,
//! how deals stood on earlier dates, and every pair of dates against a slow count of the same deals.

#[path = "support/pipeline.rs"]
mod pipeline;
#[path = "support/sidecar.rs"]
mod sidecar;
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::{
    DaysTally, Deal, ExchangeRate, ExchangeRateKey, GetPipelineRequest, PipelineMovement, Record,
    StageProbability, Subject, TenantSettings,
};
use channel_kpi::proto::google::r#type::{Date, Decimal, Money};
use pipeline::{ask, cents, get, partner, tally};
use sidecar::Sidecar;
use tonic::Code;
use worked_example::{date, deal, lost, noon, records, settings, version, won};

/// Opening, created, increased, decreased, won, lost, expired, closing.
fn moved(movement: Option<&PipelineMovement>) -> [(i64, i64); 8] {
    let moved = movement.expect("always set");
    [
        &moved.opening,
        &moved.created,
        &moved.increased,
        &moved.decreased,
        &moved.won,
        &moved.lost,
        &moved.expired,
        &moved.closing,
    ]
    .map(|part| tally(part.as_ref()))
}

fn spans(spans: &[DaysTally]) -> Vec<(i32, Option<i32>, (i64, i64))> {
    spans.iter().map(|span| (span.days_min, span.days_max, tally(span.deals.as_ref()))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worked_example() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    // subject; open; weighted, in cents; unweighted; opening, created, increased, decreased, won, lost, expired, closing
    for (subject, open, weighted, unweighted, movement) in [
        (
            partner("A"),
            (1, 1_000),
            50_000,
            (0, 0),
            [(2, 500), (1, 1_000), (0, 0), (0, 0), (1, 200), (1, 300), (0, 0), (1, 1_000)],
        ),
        (
            partner("B"),
            (3, 4_200),
            80_000,
            (1, 700),
            [(2, 1_700), (2, 2_700), (1, 300), (0, 0), (0, 0), (0, 0), (1, 500), (3, 4_200)],
        ),
        (
            Subject::default(),
            (4, 5_200),
            130_000,
            (1, 700),
            [(4, 2_200), (3, 3_700), (1, 300), (0, 0), (1, 200), (1, 300), (1, 500), (4, 5_200)],
        ),
    ] {
        let (pipeline, definition) = get(&mut caller, ask(subject.clone(), "2024-03-31")).await;
        assert_eq!(pipeline.subject.as_ref(), Some(&subject));
        assert_eq!(tally(pipeline.open.as_ref()), open);
        assert_eq!(cents(pipeline.weighted_amount.as_ref()), weighted);
        assert_eq!(tally(pipeline.unweighted.as_ref()), unweighted);
        assert_eq!(moved(pipeline.movement.as_ref()), movement);
        assert_eq!((definition.as_of, definition.since), (date("2024-03-31"), date("2024-02-29")));
        assert_eq!((definition.expiring_days, definition.oldest_rate_on), (14, None));
    }

    let (pipeline, _) = get(&mut caller, ask(Subject::default(), "2024-03-31")).await;
    let movement = pipeline.movement.as_ref().expect("always set");
    assert_eq!(tally(movement.won_in_between.as_ref()), (2, 1_300), "d2 and d5");
    assert_eq!(tally(movement.lost_in_between.as_ref()), (0, 0));
    assert_eq!(tally(movement.expired_in_between.as_ref()), (0, 0));
    let nothing = (0, 0);
    assert_eq!(
        spans(&pipeline.ages),
        [
            (0, Some(30), (3, 3_700)),
            (31, Some(60), (1, 1_500)), // d9
            (61, Some(90), nothing),
            (91, Some(180), nothing),
            (181, None, nothing),
        ]
    );
    let protection = pipeline.protection.as_ref().expect("always set");
    assert_eq!(
        spans(&protection.days_left),
        [
            (1, Some(7), nothing),
            (8, Some(14), (1, 1_000)), // d4
            (15, Some(30), nothing),
            (31, Some(60), nothing),
            (61, Some(90), nothing),
            (91, None, nothing),
        ]
    );
    assert_eq!(tally(protection.unlimited.as_ref()), (3, 4_200));
    assert_eq!(tally(protection.past.as_ref()), nothing);
    assert_eq!(tally(protection.expiring.as_ref()), (1, 1_000));
    assert_eq!(tally(protection.expiring_before_expected_close.as_ref()), (1, 1_000));
    assert_eq!(tally(pipeline.overdue.as_ref()), nothing);
    let [stage] = pipeline.stages.as_slice() else { panic!("no deal has a stage") };
    assert_eq!((stage.stage.as_str(), tally(stage.deals.as_ref())), ("", (4, 5_200)));

    let nine_days = GetPipelineRequest { expiring_days: Some(9), ..ask(partner("A"), "2024-03-31") };
    let protection = get(&mut caller, nine_days).await.0.protection.expect("always set");
    assert_eq!(tally(protection.expiring.as_ref()), nothing);

    for (question, field) in [
        (GetPipelineRequest { since: date("2024-04-01"), ..ask(partner("A"), "2024-03-31") }, "since"),
        (GetPipelineRequest { expiring_days: Some(0), ..ask(partner("A"), "2024-03-31") }, "expiring_days"),
    ] {
        let refused = caller.kpis.get_pipeline(question).await.expect_err("it is out of bounds");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(field), "{refused}");
    }
    let unknown = caller.kpis.get_pipeline(ask(partner("nobody"), "2024-03-31")).await;
    assert_eq!(unknown.expect_err("nobody names it").code(), Code::NotFound);
    sidecar.stop().await;
}

/// What a deal was then counts, not what became of it: its closed version says nothing of stage and chance.
#[tokio::test(flavor = "multi_thread")]
async fn a_deal_as_it_stood() {
    let sidecar = Sidecar::start().await;
    let stage_probabilities = vec![StageProbability { stage: "offer".into(), probability_bps: 6_000 }];
    let settings = TenantSettings { stage_probabilities, ..settings() };
    let mut caller = sidecar.tenant("stood", settings).await;
    let first = Deal { stage: "first call".into(), ..deal("d1", "A", "e1", "03-01", 100) };
    let offer = Deal { stage: "offer".into(), ..deal("d1", "A", "e1", "03-01", 200) };
    let closed =
        won("04-20", Deal { stage: "closed won".into(), probability_bps: Some(10_000), ..offer.clone() });
    let of = |on, deal: &Deal| version(noon(on), Kind::Deal(deal.clone()));
    let gone = Record { deleted: true, ..of("03-25", &Deal { amount: None, ..first.clone() }) };
    // Closed on 20 April, as the host knew on 10 April already.
    caller.write(vec![of("03-05", &first), of("03-20", &offer), gone, of("04-10", &closed)]).await;
    for (as_of, stage, amount, weighted) in [
        ("2024-03-02", "first call", 100, 0), // before the first version
        ("2024-03-19", "first call", 100, 0),
        ("2024-03-20", "offer", 200, 12_000),
        ("2024-03-26", "offer", 200, 12_000), // a deletion is passed over
        ("2024-04-15", "offer", 200, 12_000),
    ] {
        let (pipeline, _) = get(&mut caller, ask(Subject::default(), as_of)).await;
        let [found] = pipeline.stages.as_slice() else { panic!("one deal has one stage") };
        assert_eq!((found.stage.as_str(), tally(found.deals.as_ref())), (stage, (1, amount)), "{as_of}");
        assert_eq!(cents(found.weighted_amount.as_ref()), weighted, "{as_of}");
    }
    let (pipeline, _) = get(&mut caller, ask(Subject::default(), "2024-04-20")).await;
    assert_eq!(tally(pipeline.open.as_ref()), (0, 0), "the day of its end");
    sidecar.stop().await;
}

/// Otherwise a currency that moved would show as deals that grew.
#[tokio::test(flavor = "multi_thread")]
async fn both_ends_of_a_movement_are_at_the_later_rates() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("rates", settings()).await;
    let amount = Some(Money { currency_code: "EUR".into(), units: 100, nanos: 0 });
    let euros = Deal { amount, ..deal("d1", "A", "e1", "02-01", 0) };
    let rate = |on: &str, rate: &str| {
        let (from_currency_code, to_currency_code) = ("EUR".into(), "USD".into());
        let key = ExchangeRateKey { from_currency_code, to_currency_code, rate_on: date(on) };
        let rate = Some(Decimal { value: rate.into() });
        version(noon("01-02"), Kind::ExchangeRate(ExchangeRate { key: Some(key), rate }))
    };
    let deal = version(noon("02-01"), Kind::Deal(euros));
    caller.write(vec![deal, rate("2024-02-01", "1.1"), rate("2024-03-15", "1.2")]).await;
    let (pipeline, definition) = get(&mut caller, ask(Subject::default(), "2024-03-31")).await;
    let nothing = (0, 0);
    let expected = [(1, 120), nothing, nothing, nothing, nothing, nothing, nothing, (1, 120)];
    assert_eq!(moved(pipeline.movement.as_ref()), expected);
    assert_eq!(definition.oldest_rate_on, date("2024-03-15"));
    let (earlier, _) = get(&mut caller, ask(Subject::default(), "2024-03-14")).await;
    assert_eq!(tally(earlier.open.as_ref()), (1, 110));
    sidecar.stop().await;
}

/// A deal that is counted slowly: days of March, and its amounts from their days on.
struct Slow {
    opened: u32,
    /// On which day, and as what: 0 won, 1 lost, 2 expired.
    ended: Option<(u32, usize)>,
    amounts: Vec<(u32, i64)>,
}

impl Slow {
    fn is_open(&self, day: u32) -> bool {
        self.opened <= day && self.ended.is_none_or(|(ended, _)| ended > day)
    }

    fn amount(&self, day: u32) -> i64 {
        let known = self.amounts.iter().rev().find(|(from, _)| *from <= day);
        known.unwrap_or(&self.amounts[0]).1
    }

    /// Few days and amounts on purpose: they collide.
    fn all(count: u32) -> Vec<Self> {
        let mut state = 2_024_u32;
        let mut below = |bound: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % bound
        };
        (0..count)
            .map(|_| {
                let opened = 1 + below(20);
                let ended = (below(3) > 0).then(|| (opened + below(31 - opened), below(3) as usize));
                let amounts = (0..3).map(|n| (opened + 3 * n, i64::from(below(4)) * 100)).collect();
                Self { opened, ended, amounts }
            })
            .collect()
    }

    fn records(&self, n: usize) -> Vec<Record> {
        let on = |day: u32| format!("03-{day:02}");
        let partner = ["A", "B"][n % 2];
        let version_of = |&(from, amount): &(u32, i64)| {
            let open = deal(&format!("d{n}"), partner, "e1", &on(self.opened), amount);
            let sent = match self.ended {
                Some((ended, 0)) => won(&on(ended), open),
                Some((ended, 1)) => lost(&on(ended), open),
                Some((ended, _)) => Deal { expire_time: noon(&on(ended)), ..open },
                None => open,
            };
            version(noon(&on(from)), Kind::Deal(sent))
        };
        self.amounts.iter().map(version_of).collect()
    }
}

fn slow_movement(deals: &[&Slow], since: u32, as_of: u32) -> [(i64, i64); 8] {
    let mut moved = [(0, 0); 8];
    let mut add = |at: usize, amount: i64| {
        moved[at].0 += 1;
        moved[at].1 += amount;
    };
    for deal in deals {
        let (opening, closing) = (deal.amount(since), deal.amount(as_of));
        let ends = (deal.is_open(since), deal.is_open(as_of));
        if ends.0 {
            add(0, opening);
        }
        if ends.1 {
            add(7, closing);
        }
        match ends {
            (false, true) => add(1, closing),
            (true, true) if closing > opening => add(2, closing - opening),
            (true, true) if closing < opening => add(3, opening - closing),
            (true, false) => add(4 + deal.ended.expect("it left").1, opening),
            _ => {}
        }
    }
    moved
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_of_dates_equals_a_slow_count() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("slow", settings()).await;
    let deals = Slow::all(80);
    caller.write(deals.iter().enumerate().flat_map(|(n, deal)| deal.records(n)).collect()).await;
    let march = |day: u32| Some(Date { year: 2024, month: 3, day: day as i32 });
    for as_of in (1..=31).step_by(3) {
        for since in (1..=as_of).step_by(4) {
            for (subject, kept) in
                [(Subject::default(), None), (partner("A"), Some(0)), (partner("B"), Some(1))]
            {
                let mine = deals.iter().enumerate().filter(|(n, _)| kept.is_none_or(|kept| n % 2 == kept));
                let mine: Vec<&Slow> = mine.map(|(_, deal)| deal).collect();
                let question = GetPipelineRequest {
                    subject: Some(subject),
                    as_of: march(as_of),
                    since: march(since),
                    ..GetPipelineRequest::default()
                };
                let (pipeline, _) = get(&mut caller, question).await;
                let expected = slow_movement(&mine, since, as_of);
                assert_eq!(moved(pipeline.movement.as_ref()), expected, "{since} to {as_of}");
                assert_eq!(tally(pipeline.open.as_ref()), expected[7], "{as_of}");
                let [opening, created, increased, decreased, won, lost, expired, closing] =
                    expected.map(|(_, amount)| amount);
                assert_eq!(opening + created + increased - decreased - won - lost - expired, closing);
            }
        }
    }
    sidecar.stop().await;
}
