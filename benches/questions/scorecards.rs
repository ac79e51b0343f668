//! Scorecards of one subject.

use channel_kpi::proto::channelkpi::v1::{GetScorecardRequest, Premises, View};
use channel_kpi::server::Stack;
use criterion::Criterion;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::ask::{
    ALL_BUT_VALUE_SCORE, BY_SUMS, WINDOW_DAYS, days, employee, fresh_start, partner, scorecard, unit,
};
use crate::tenant::{employee_id, now, unit_id};
use crate::{Bench, ms, us};

/// For each million deals.
const KNOWN_AT_MS: u64 = 500;

pub fn measure(bench: &Bench<'_>, criterion: &mut Criterion, stack: &Stack) {
    const OF: &str = "scorecard";
    let mut group = bench.group(criterion, OF);
    let health = HealthClient::new(stack.clone());
    bench.question(&mut group, (OF, "empty_unary"), us(10), |_| {
        let mut health = health.clone();
        async move { health.check(HealthCheckRequest::default()).await.expect("it serves") }
    });

    let typical = || partner(bench.tenant.typical_partner());
    let heaviest = || partner(bench.tenant.heaviest_partner());
    // A unit with a third of the tenant below it.
    let unit = || unit(unit_id(1));
    let employee = || employee(employee_id(0));
    for (name, budget, request) in [
        ("by_sums/typical", None, scorecard(typical(), &BY_SUMS, View::Basic)),
        ("by_sums/heaviest", None, scorecard(heaviest(), &BY_SUMS, View::Basic)),
        ("basic/typical", us(20), scorecard(typical(), &ALL_BUT_VALUE_SCORE, View::Basic)),
        ("basic/heaviest", us(600), scorecard(heaviest(), &ALL_BUT_VALUE_SCORE, View::Basic)),
        ("basic/employee", None, scorecard(employee(), &ALL_BUT_VALUE_SCORE, View::Basic)),
        ("basic/unit", None, scorecard(unit(), &ALL_BUT_VALUE_SCORE, View::Basic)),
        ("basic/tenant", None, scorecard(None, &ALL_BUT_VALUE_SCORE, View::Basic)),
        ("all_kpis/board_kept/typical", None, scorecard(typical(), &[], View::Basic)),
        ("all_kpis/board_kept/heaviest", None, scorecard(heaviest(), &[], View::Basic)),
        ("full/board_kept/typical", us(500), scorecard(typical(), &[], View::Full)),
        ("full/board_kept/heaviest", us(500), scorecard(heaviest(), &[], View::Full)),
        ("full/board_kept/employee", ms(6), scorecard(employee(), &[], View::Full)),
        ("full/board_kept/unit", ms(6), scorecard(unit(), &[], View::Full)),
        ("full/board_kept/tenant", ms(6), scorecard(None, &[], View::Full)),
    ] {
        bench.question(&mut group, (OF, name), budget, |_| bench.asker.scorecard(request.clone()));
    }

    for (name, budget, subject) in [
        ("full/first_time/typical", ms(8), typical()),
        ("full/first_time/heaviest", ms(8), heaviest()),
        ("full/first_time/employee", None, employee()),
        ("full/first_time/unit", None, unit()),
        ("full/first_time/tenant", None, None),
    ] {
        bench.question(&mut group, (OF, name), budget, |asked| {
            let first = fresh_start(asked);
            bench.asker.scorecard(GetScorecardRequest {
                window: Some(days(first, first + WINDOW_DAYS)),
                ..scorecard(subject.clone(), &[], View::Full)
            })
        });
    }

    let yesterday = prost_types::Timestamp::from(now() - std::time::Duration::from_secs(86_400));
    let budget = ms((KNOWN_AT_MS * bench.tenant.deal_count).div_ceil(1_000_000));
    bench.question(&mut group, (OF, "known_at/tenant"), budget, |_| {
        bench.asker.scorecard(GetScorecardRequest {
            premises: Some(Premises { known_at: Some(yesterday), ..Premises::default() }),
            ..scorecard(None, &BY_SUMS, View::Basic)
        })
    });
    group.finish();
}
