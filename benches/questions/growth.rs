//! How what questions take grows with the tenant: the same few at ten thousand deals, a hundred thousand, and so
//! on up to `BENCH_DEALS`, with the plot of it in `docs/performance-growth.svg`.

use std::path::Path;
use std::time::Instant;

use channel_kpi::proto::channelkpi::v1::{Kpi, RankedBy, View};
use tokio::runtime::Runtime;

use crate::ask::{
    ALL_BUT_VALUE_SCORE, Asker, OF_SERIES, every_partner, fresh_start, last_90_days, monthly, partner,
    pipeline, scorecard, top_100, top_100_alone,
};
use crate::plot::{Line, plot};
use crate::tenant::{
    DAY_COUNT, Filled, Table, Tenant, count, deals_from_env, duration, is_quick, median,
    with_history_from_env,
};

const SIZES: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
const PLOT: &str = "docs/performance-growth.svg";
/// A question is asked this often, or as often as it can be in this time.
const TIMES_MAX: i64 = 200;
const SECONDS_MAX: f64 = 2.0;
const TIMES_MIN: i64 = 5;

/// Measures, and draws where it was asked for by its name.
pub fn measure(runtime: &Runtime) {
    let sizes: Vec<u64> = match is_quick() {
        true => vec![1_000, 3_000],
        false => SIZES.into_iter().filter(|&size| size <= deals_from_env()).collect(),
    };
    assert!(!sizes.is_empty(), "BENCH_DEALS is at least {}", SIZES[0]);
    let mut lines: Vec<Line> = Vec::new();
    for &size in &sizes {
        for (name, seconds) in at_size(runtime, size) {
            match lines.iter_mut().find(|line| line.name == name) {
                Some(line) => line.points.push((size as f64, seconds)),
                None => lines.push(Line { name: name.to_owned(), points: vec![(size as f64, seconds)] }),
            }
        }
    }
    let mut heads = vec!["median".to_owned()];
    heads.extend(sizes.iter().map(|&size| format!("{} deals", count(size))));
    let mut table = Table::new(&heads.iter().map(String::as_str).collect::<Vec<_>>());
    for line in &lines {
        let figures = line.points.iter().map(|&(_, seconds)| duration(seconds));
        table.row(&std::iter::once(line.name.clone()).chain(figures).collect::<Vec<_>>());
    }
    table.print();
    let drawing = plot(&lines);
    if !is_quick() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(PLOT);
        std::fs::write(&file, drawing).expect("the plot can be written");
        println!("drawn in {PLOT}");
    }
}

/// The medians of all questions, in the order of the table.
fn at_size(runtime: &Runtime, size: u64) -> Vec<(&'static str, f64)> {
    let tenant = Tenant::new(size, with_history_from_env());
    let Filled { sidecar, data_dir: _data_dir, tenant, hands: _hands } =
        runtime.block_on(Filled::fill_with(tenant));
    let asker = Asker::new(sidecar.channel());
    let (typical, heaviest) = (tenant.typical_partner(), tenant.heaviest_partner());
    let basic = |id: &str| scorecard(partner(id.to_owned()), &ALL_BUT_VALUE_SCORE, View::Basic);
    let kept = top_100(last_90_days(), RankedBy::WonAmount, None);
    let medians = every_partner(&[Kpi::DealVelocity], View::Full);
    let figures = runtime.block_on(async {
        vec![
            ("scorecard, typical partner", time(|_| asker.scorecard(basic(&typical))).await),
            ("scorecard, heaviest partner", time(|_| asker.scorecard(basic(&heaviest))).await),
            ("top 100, board kept", time(|_| asker.board(kept.clone())).await),
            (
                "top 100, first time",
                time(|asked| asker.board(top_100_alone(fresh_start(asked), RankedBy::WonAmount, None))).await,
            ),
            ("36 months of the tenant", time(|_| asker.series(monthly(&OF_SERIES, None))).await),
            ("pipeline of the tenant", time(|_| asker.pipeline(pipeline(None, DAY_COUNT - 1))).await),
            ("all KPIs of every partner", time(|_| asker.list(every_partner(&[], View::Basic))).await),
            ("median cycle of every partner", time(|_| asker.list(medians.clone())).await),
        ]
    });
    drop(asker);
    runtime.block_on(sidecar.close());
    figures
}

/// The median of several times, the first left out.
async fn time<F: Future>(ask: impl Fn(i64) -> F) -> f64 {
    let times = if is_quick() { 1 } else { TIMES_MAX };
    let mut seconds = Vec::new();
    let mut total = 0.0;
    ask(0).await;
    for asked in 1..=times {
        let began_at = Instant::now();
        ask(asked).await;
        let took = began_at.elapsed().as_secs_f64();
        seconds.push(took);
        total += took;
        if asked >= TIMES_MIN && total > SECONDS_MAX {
            break;
        }
    }
    median(seconds)
}
