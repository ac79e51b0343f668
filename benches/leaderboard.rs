//! Leaderboards, in process through the whole stack, and what kept boards cost a write.
//!
//! A board is asked for beside the window before, so a first time tells two boards; with the comparison kept
//! it tells one. Reference of the writes in the same run: the same write while no board is kept.

mod tenant;

use std::cell::Cell;

use channel_kpi::proto::channelkpi::v1::leaderboard_service_client::LeaderboardServiceClient;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    DateRange, Filter, GetLeaderboardRequest, LeaderboardQuery, Premises, RankedBy, Record, SubjectKind,
    Terms, Window, window,
};
use criterion::{Criterion, criterion_group, criterion_main};
use tenant::{Filled, REGIONS, date, partner_id, taken, writing};
use tokio::runtime::Runtime;

/// Deals of one write.
const WRITE_DEALS: u64 = 100;
/// As many boards as a book keeps: each question keeps two.
const QUESTIONS_KEPT: i64 = 32;

fn top_100(window: window::Window, ranked_by: RankedBy, filter: Option<Filter>) -> GetLeaderboardRequest {
    let query = LeaderboardQuery {
        subject_kind: SubjectKind::Partner.into(),
        ranked_by: ranked_by.into(),
        window: Some(Window { window: Some(window) }),
        premises: Some(Premises { filter, ..Premises::default() }),
        ..LeaderboardQuery::default()
    };
    GetLeaderboardRequest { query: Some(query), page_size: 100, ..GetLeaderboardRequest::default() }
}

fn ninety_days(start: i64) -> window::Window {
    window::Window::Dates(DateRange { start_on: Some(date(start)), end_on: Some(date(start + 90)) })
}

fn in_region() -> Filter {
    let terms = Terms { values: vec![REGIONS[0].to_owned()], include_none: false };
    Filter { regions: Some(terms), ..Filter::default() }
}

fn of_product() -> Filter {
    let terms = Terms { values: vec!["product 1".to_owned()], include_none: false };
    Filter { products: Some(terms), ..Filter::default() }
}

fn leaderboards(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let Filled { sidecar, data_dir: _data_dir, tenant, hands: _hands } = runtime.block_on(Filled::fill());
    let boards = LeaderboardServiceClient::new(sidecar.channel());
    let records = RecordServiceClient::new(sidecar.channel());
    let ask = |request: GetLeaderboardRequest| {
        let mut boards = boards.clone();
        async move { boards.get_leaderboard(request).await.expect("it is valid") }
    };
    let written_count = Cell::new(0);
    let write = || {
        let from = written_count.replace(written_count.get() + 1);
        let deals = (0..WRITE_DEALS).map(|n| tenant.amended(from * WRITE_DEALS + n, from as i64));
        let (mut records, deals): (_, Vec<Record>) = (records.clone(), deals.collect());
        async move { taken(records.write_records(writing(deals)).await) }
    };
    let mut group = criterion.benchmark_group("leaderboard");

    group.bench_function("write_100_deals/0_boards_kept", |bencher| {
        bencher.to_async(&runtime).iter(write);
    });

    let now = window::Window::LastDays(90);
    let by_amount = top_100(now, RankedBy::WonAmount, None);
    let rank_of_one = GetLeaderboardRequest {
        page_size: 1,
        pinned_subject_ids: vec![partner_id(tenant.partner_count / 2)],
        ..by_amount.clone()
    };
    for (name, request) in [
        ("kept/top_100", by_amount.clone()),
        ("kept/rank_of_one", rank_of_one),
        ("kept/top_100_by_value_score", top_100(now, RankedBy::ValueScore, None)),
    ] {
        group.bench_function(name, |bencher| bencher.to_async(&runtime).iter(|| ask(request.clone())));
    }

    for (name, ranked_by, filter) in [
        ("first_time/all", RankedBy::WonAmount, None),
        ("first_time/one_region", RankedBy::WonAmount, Some(in_region())),
        ("first_time/one_product", RankedBy::WonAmount, Some(of_product())),
        ("first_time/by_value_score", RankedBy::ValueScore, None),
    ] {
        // Steps that meet no board which is still kept, neither the window's nor that before it.
        let asked_count = Cell::new(0);
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter(|| {
                let start = 100 + asked_count.replace(asked_count.get() + 1) * 37 % 900;
                ask(top_100(ninety_days(start), ranked_by, filter.clone()))
            });
        });
    }
    // Each window follows on the one before, whose board is kept: 11 of 12 boards are told alone.
    let asked_count = Cell::new(0);
    group.bench_function("first_time/all/comparison_kept", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            let asked = asked_count.replace(asked_count.get() + 1);
            let start = (asked % 11 + 1) * 90 + asked / 11 % 16;
            ask(top_100(ninety_days(start), RankedBy::WonAmount, None))
        });
    });

    for question in 0..QUESTIONS_KEPT {
        runtime.block_on(ask(top_100(ninety_days(900 - question), RankedBy::WonAmount, None)));
    }
    // After 256 writes boards that nobody asked for meanwhile are gone (book/kept.rs): docs/performance.md.
    group.bench_function("write_100_deals/64_boards_kept", |bencher| {
        bencher.to_async(&runtime).iter(write);
    });
    // The reader's part: a board that a write has just changed.
    group.bench_function("write_100_deals_then_get/64_boards_kept", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            let (written, asked) = (write(), ask(by_amount.clone()));
            async move {
                written.await;
                asked.await
            }
        });
    });
    group.finish();
    drop((boards, records));
    runtime.block_on(sidecar.close());
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = leaderboards
}
criterion_main!(benches);
