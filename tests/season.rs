//! The season of a close rate (docs/kpis.md §7) through gRPC on a real socket.

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
    AbsentReason, Deal, DealStatus, GetScorecardRequest, Kpi, Partner, Record, Season, Subject, View,
};
use scorecard::{ask, dates, outcome, partner, terms};
use sidecar::{Caller, Sidecar};
use worked_example::{at, deal, noon, settings, version};

/// A deal of the second of a month, won ten days later or open for ever.
fn sold(partner: &str, year: i32, month: u32, number: usize, is_won: bool) -> Record {
    let on = |day: u32| at(&format!("{year}-{month:02}-{day:02}T06:00:00Z"));
    let open = deal(&format!("{partner}-{year}-{month}-{number}"), partner, "e1", "01-01", 10);
    let open = Deal { opened_at: on(2), ..open };
    let deal = match is_won {
        true => Deal { status: DealStatus::Won.into(), closed_at: on(12), ..open },
        false => open,
    };
    version(noon("01-01"), Kind::Deal(deal))
}

/// B (south): in each month of three years four prospects, of whom two purchase, in August one. A (north): in each
/// month of 2022 and 2023 two, of whom one purchases, in August both. August 2024: B has four, of whom two purchase,
/// A two, of whom one does; July 2024: B has two.
fn history() -> Vec<Record> {
    let of = |id: &str, region: &str| {
        let partner = Partner { partner_id: id.into(), region: region.into(), ..Partner::default() };
        version(noon("01-01"), Kind::Partner(partner))
    };
    let mut records = vec![of("A", "north"), of("B", "south"), of("C", "")];
    let mut add = |partner: &str, year, month, all: usize, won: usize| {
        records.extend((0..all).map(|number| sold(partner, year, month, number, number < won)));
    };
    for month in 1..=12 {
        for year in 2021..=2023 {
            add("B", year, month, 4, if month == 8 { 1 } else { 2 });
        }
        for year in 2022..=2023 {
            add("A", year, month, 2, if month == 8 { 2 } else { 1 });
        }
    }
    add("B", 2024, 7, 2, 1);
    add("B", 2024, 8, 4, 2);
    add("A", 2024, 8, 2, 1);
    records
}

async fn season(caller: &mut Caller, question: GetScorecardRequest) -> Option<Season> {
    let question = GetScorecardRequest { view: View::Full.into(), ..question };
    let answer = caller.kpis.get_scorecard(question).await.expect("the question is valid").into_inner();
    answer.scorecard.and_then(|card| card.close_rate?.context?.season)
}

fn august(subject: Subject) -> GetScorecardRequest {
    ask(subject, dates("2024-08-01", "2024-09-01"), "2024-09-30")
}

/// Index and adjusted rate.
fn told(season: &Season) -> [Result<f64, AbsentReason>; 2] {
    [&season.index, &season.adjusted].map(|figure| outcome(figure.as_ref()))
}

fn assert_near(season: &Season, expected: [f64; 2]) {
    for (found, expected) in told(season).into_iter().zip(expected) {
        let found = found.expect("both are there");
        assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_rate_is_told_without_its_season() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("season", settings()).await;
    for records in history().chunks(200) {
        caller.write(records.to_vec()).await;
    }

    // South: 1/4 in August, 1/2 else: the mean is 23/48, the index 12/23. Its 2 of 4 are so good as 23/24.
    let south = season(&mut caller, august(partner("B"))).await.expect("in the full view");
    assert_near(&south, [12.0 / 23.0, 23.0 / 24.0]);
    assert_eq!(south.p90_cycle_days, Some(10));
    let months: Vec<_> = south.months.iter().map(|month| (month.month, month.year_count)).collect();
    // July 2024 is old enough and isn't asked about.
    assert_eq!(months, (1..=12).map(|month| (month, if month == 7 { 4 } else { 3 })).collect::<Vec<_>>());
    let [july, august_of_south] = [6, 7].map(|at| south.months[at].clone());
    assert_eq!((terms(july.rate.as_ref()), july.window_prospect_count), ((7, 14), 0));
    assert_eq!((terms(august_of_south.rate.as_ref()), august_of_south.window_prospect_count), ((3, 12), 4));
    assert_eq!(outcome(august_of_south.index.as_ref()), outcome(south.index.as_ref()));

    // North: 1 in August, 1/2 else. What is good there is bad in the south.
    let north = season(&mut caller, august(partner("A"))).await.expect("in the full view");
    assert_near(&north, [1.0 / (6.5 / 12.0), 6.5 / 24.0]);
    // The tenant: (3 + 4) / (12 + 4) in August, 1/2 else; 3 of 6 purchased.
    let all = season(&mut caller, august(Subject::default())).await.expect("in the full view");
    let (rate, mean) = (7.0 / 16.0, (11.0 * 0.5 + 7.0 / 16.0) / 12.0);
    assert_near(&all, [rate / mean, 0.5 * mean / rate]);
    // So of a partner without a region, which has no prospect.
    let nobody = season(&mut caller, august(partner("C"))).await.expect("in the full view");
    assert_eq!(nobody.months[7].rate, all.months[7].rate);
    assert_eq!(told(&nobody), [Err(AbsentReason::NoProspect); 2]);

    // July and August: two came in a month of 1, four in one of 12/23 (July 2024 now being asked about).
    let both = ask(partner("B"), dates("2024-07-01", "2024-09-01"), "2024-09-30");
    let both = season(&mut caller, both).await.expect("in the full view");
    let index = (2.0 * 24.0 / 23.0 + 4.0 * 12.0 / 23.0) / 6.0;
    assert_near(&both, [index, 0.5 / index]);
    assert_eq!((both.months[6].year_count, both.months[6].window_prospect_count), (3, 2));
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_season_that_cannot_be_told_says_why() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("seasonless", settings()).await;
    for records in history().chunks(200) {
        caller.write(records.to_vec()).await;
    }
    // Of A only one other August is known by then, of B two.
    let earlier = |id| ask(partner(id), dates("2023-08-01", "2023-09-01"), "2023-12-31");
    let north = season(&mut caller, earlier("A")).await.expect("in the full view");
    assert_eq!(told(&north), [Err(AbsentReason::TooFewYears); 2]);
    assert_eq!(north.months.len(), 12, "what is known of each month is told all the same");
    let south = season(&mut caller, earlier("B")).await.expect("in the full view");
    assert!(told(&south).iter().all(Result::is_ok));
    // Nobody had won anything in the year before.
    let first = ask(Subject::default(), dates("2021-01-01", "2021-02-01"), "2021-01-11");
    let first = season(&mut caller, first).await.expect("in the full view");
    assert_eq!(told(&first), [Err(AbsentReason::NoDealWon); 2]);
    assert_eq!((first.p90_cycle_days, first.months.len()), (None, 0));
    // Nobody purchased in the Aprils of the past: nothing can be divided by 0.
    let lost: Vec<Record> = (2021..=2024).map(|year| sold("B", year, 4, 9, year == 2024)).collect();
    let unsold: Vec<Record> = history()
        .into_iter()
        .filter_map(|record| match record.record {
            Some(Kind::Deal(deal)) if deal.deal_id.contains("-4-") => {
                let open = Deal { status: DealStatus::Open.into(), closed_at: None, ..deal };
                Some(version(noon("01-02"), Kind::Deal(open)))
            }
            _ => None,
        })
        .collect();
    caller.write([lost, unsold].concat()).await;
    let april = ask(Subject::default(), dates("2024-04-01", "2024-05-01"), "2024-06-30");
    let april = season(&mut caller, april).await.expect("in the full view");
    assert_eq!(told(&april), [Ok(0.0), Err(AbsentReason::SeasonIsZero)]);
    // It is part of the close rate's context, and of nothing else.
    let question = GetScorecardRequest { kpis: vec![Kpi::DealCount.into()], ..august(partner("B")) };
    assert_eq!(season(&mut caller, question).await, None);
    sidecar.stop().await;
}
