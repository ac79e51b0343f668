//! Series, pipelines, the figures of every partner, and what is recommended.

use channel_kpi::proto::channelkpi::v1::{Kpi, SubjectKind, View};
use criterion::Criterion;

use crate::ask::{
    BY_SUMS, OF_SERIES, every_partner, in_region, monthly, partner, pipeline, pipeline_movement,
    recommendations_of, recommendations_of_all,
};
use crate::tenant::DAY_COUNT;
use crate::{Bench, ms, us};

const TODAY: i64 = DAY_COUNT - 1;
const A_YEAR_AGO: i64 = TODAY - 365;

pub fn measure(bench: &Bench<'_>, criterion: &mut Criterion) {
    series(bench, criterion);
    pipelines(bench, criterion);
    every(bench, criterion);
    recommendations(bench, criterion);
}

fn series(bench: &Bench<'_>, criterion: &mut Criterion) {
    const OF: &str = "series_of_36_months";
    let mut group = bench.group(criterion, OF);
    for (name, budget, request) in [
        ("tenant", us(50), monthly(&OF_SERIES, None)),
        ("region", ms(4), monthly(&OF_SERIES, Some(in_region()))),
        ("tenant/five_kpis", None, monthly(&BY_SUMS, None)),
        ("region/five_kpis", None, monthly(&BY_SUMS, Some(in_region()))),
    ] {
        bench.question(&mut group, (OF, name), budget, |_| bench.asker.series(request.clone()));
    }
    group.finish();
}

fn pipelines(bench: &Bench<'_>, criterion: &mut Criterion) {
    const OF: &str = "pipeline";
    let mut group = bench.group(criterion, OF);
    let typical = || partner(bench.tenant.typical_partner());
    let heaviest = || partner(bench.tenant.heaviest_partner());
    for (name, budget, request) in [
        ("today/typical", us(100), pipeline(typical(), TODAY)),
        ("today/heaviest", None, pipeline(heaviest(), TODAY)),
        ("today/tenant", ms(30), pipeline(None, TODAY)),
        ("a_year_ago/tenant", ms(300), pipeline(None, A_YEAR_AGO)),
        ("movement/typical", None, pipeline_movement(typical())),
        ("movement/tenant", None, pipeline_movement(None)),
    ] {
        bench.question(&mut group, (OF, name), budget, |_| bench.asker.pipeline(request.clone()));
    }
    group.finish();
}

fn every(bench: &Bench<'_>, criterion: &mut Criterion) {
    const OF: &str = "every_partner";
    let mut group = bench.group(criterion, OF);
    for (name, budget, request) in [
        ("eight_kpis", ms(40), every_partner(&[], View::Basic)),
        ("exact_median_cycle", ms(15), every_partner(&[Kpi::DealVelocity], View::Full)),
    ] {
        bench.question(&mut group, (OF, name), budget, |_| bench.asker.list(request.clone()));
    }
    group.finish();
}

/// The first 50, of a year, with the boards kept.
fn recommendations(bench: &Bench<'_>, criterion: &mut Criterion) {
    const OF: &str = "recommendations";
    let mut group = bench.group(criterion, OF);
    let typical = partner(bench.tenant.typical_partner());
    for (name, request) in [
        ("all_partners", recommendations_of_all(SubjectKind::Partner)),
        ("all_employees", recommendations_of_all(SubjectKind::Employee)),
        ("all_units", recommendations_of_all(SubjectKind::Unit)),
        ("one_partner", recommendations_of(typical)),
    ] {
        bench.question(&mut group, (OF, name), None, |_| bench.asker.recommendations(request.clone()));
    }
    group.finish();
}
