//! Scorecards, in process through the whole stack: what a CRM in this process would wait for.
//!
//! Reference of the same run: an empty unary call through the same stack.

mod tenant;

use std::cell::Cell;

use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    DateRange, GetScorecardRequest, Kpi, PartnerSubject, Subject, View, Window, subject, window,
};
use criterion::{Criterion, criterion_group, criterion_main};
use tenant::{Filled, date};
use tokio::runtime::Runtime;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const ALL_BUT_VALUE_SCORE: [Kpi; 7] = [
    Kpi::AverageDealSize,
    Kpi::DealCount,
    Kpi::OpportunityPipeline,
    Kpi::MarketingChannel,
    Kpi::CloseRate,
    Kpi::DealVelocity,
    Kpi::DealSuccess,
];
/// Those that are read from sums alone: no walk over open deals or spends.
const BY_SUMS: [Kpi; 5] =
    [Kpi::AverageDealSize, Kpi::DealCount, Kpi::CloseRate, Kpi::DealVelocity, Kpi::DealSuccess];

fn of_partner(partner_id: String, kpis: &[Kpi], view: View) -> GetScorecardRequest {
    let partner = PartnerSubject { partner_id, include_sub_partners: false };
    GetScorecardRequest {
        subject: Some(Subject { subject: Some(subject::Subject::Partner(partner)) }),
        window: Some(Window { window: Some(window::Window::LastDays(90)) }),
        kpis: kpis.iter().map(|&kpi| kpi.into()).collect(),
        view: view.into(),
        ..GetScorecardRequest::default()
    }
}

fn scorecards(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let Filled { sidecar, data_dir: _data_dir, tenant, hands: _hands } = runtime.block_on(Filled::fill());
    let kpis = KpiServiceClient::new(sidecar.channel());
    let health = HealthClient::new(sidecar.channel());
    let ask = |request: GetScorecardRequest| {
        let mut kpis = kpis.clone();
        async move { kpis.get_scorecard(request).await.expect("it is valid") }
    };
    let mut group = criterion.benchmark_group("scorecard");

    group.bench_function("empty_unary", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            let mut health = health.clone();
            async move { health.check(HealthCheckRequest::default()).await.expect("it serves") }
        });
    });

    let typical = || tenant.typical_partner();
    let heaviest = || tenant.heaviest_partner();
    for (name, request) in [
        ("by_sums/typical", of_partner(typical(), &BY_SUMS, View::Basic)),
        ("by_sums/heaviest", of_partner(heaviest(), &BY_SUMS, View::Basic)),
        ("basic/typical", of_partner(typical(), &ALL_BUT_VALUE_SCORE, View::Basic)),
        ("basic/heaviest", of_partner(heaviest(), &ALL_BUT_VALUE_SCORE, View::Basic)),
        ("all_kpis/board_kept/typical", of_partner(typical(), &[], View::Basic)),
        ("all_kpis/board_kept/heaviest", of_partner(heaviest(), &[], View::Basic)),
        ("full/board_kept/typical", of_partner(typical(), &[], View::Full)),
    ] {
        group.bench_function(name, |bencher| bencher.to_async(&runtime).iter(|| ask(request.clone())));
    }

    // The window moves by steps that meet no board which is still kept.
    let asked_count = Cell::new(0);
    group.bench_function("full/first_time/typical", |bencher| {
        bencher.to_async(&runtime).iter(|| {
            let start = 100 + asked_count.replace(asked_count.get() + 1) * 37 % 900;
            let dates = DateRange { start_on: Some(date(start)), end_on: Some(date(start + 90)) };
            ask(GetScorecardRequest {
                window: Some(Window { window: Some(window::Window::Dates(dates)) }),
                ..of_partner(typical(), &[], View::Full)
            })
        });
    });
    group.finish();
    drop((kpis, health));
    runtime.block_on(sidecar.close());
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = scorecards
}
criterion_main!(benches);
