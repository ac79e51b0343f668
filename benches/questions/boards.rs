//! Leaderboards: told the first time, and kept.

use channel_kpi::proto::channelkpi::v1::{GetLeaderboardRequest, RankedBy};
use criterion::Criterion;

use crate::ask::{
    WINDOW_DAYS, days, fresh_start, in_region, last_90_days, of_product_and_channel, top_100, top_100_alone,
};
use crate::tenant::partner_id;
use crate::{Bench, ms, us};

pub fn measure(bench: &Bench<'_>, criterion: &mut Criterion) {
    const OF: &str = "leaderboard";
    let mut group = bench.group(criterion, OF);

    let by_amount = top_100(last_90_days(), RankedBy::WonAmount, None);
    let rank_of_one = GetLeaderboardRequest {
        page_size: 1,
        pinned_subject_ids: vec![partner_id(bench.tenant.partner_count / 2)],
        ..by_amount.clone()
    };
    for (name, budget, request) in [
        ("kept/top_100", us(100), by_amount),
        ("kept/rank_of_one", us(10), rank_of_one),
        ("kept/top_100_by_value_score", None, top_100(last_90_days(), RankedBy::ValueScore, None)),
    ] {
        bench.question(&mut group, (OF, name), budget, |_| bench.asker.board(request.clone()));
    }

    for (name, budget, ranked_by, filter) in [
        ("first_time/all", ms(6), RankedBy::WonAmount, None),
        ("first_time/one_region", ms(5), RankedBy::WonAmount, Some(in_region())),
        ("first_time/product_and_channel", ms(8), RankedBy::WonAmount, Some(of_product_and_channel())),
        ("first_time/by_value_score", None, RankedBy::ValueScore, None),
    ] {
        bench.question(&mut group, (OF, name), budget, |asked| {
            bench.asker.board(top_100_alone(fresh_start(asked), ranked_by, filter.clone()))
        });
    }
    bench.question(&mut group, (OF, "first_time/all/with_ranks_before"), None, |asked| {
        let first = fresh_start(asked);
        bench.asker.board(top_100(days(first, first + WINDOW_DAYS), RankedBy::WonAmount, None))
    });
    group.finish();
}
