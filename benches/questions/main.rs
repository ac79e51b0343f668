//! Every question, in process through the whole stack: what a CRM in this process would wait for.
//!
//! ```sh
//! cargo bench --bench questions                  # all of them, over one tenant
//! cargo bench --bench questions -- leaderboard   # those whose names match
//! cargo bench --bench questions -- growth        # how they grow from 10,000 deals on, and the plot of it
//! ```
//!
//! Reference of the same run: an empty unary call through the same stack.

mod ask;
mod boards;
mod growth;
mod lists;
#[path = "../peers/ours.rs"]
mod ours;
mod plot;
mod scorecards;
#[path = "../tenant/mod.rs"]
mod tenant;
mod writes;

use std::cell::RefCell;
use std::future::Future;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use tokio::runtime::Runtime;

use ask::Asker;
use tenant::{BUDGET_DEALS, Filled, Table, Tenant, beside, count, duration, is_quick, median, named};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let names = named();
    match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["growth"] => growth::measure(&runtime),
        ["peers"] => ours::answer(&runtime),
        _ => measure_all(&runtime),
    }
    if names.is_empty() && is_quick() {
        growth::measure(&runtime); // it can't rot either
    }
}

/// What questions are asked of, and what they took.
struct Bench<'a> {
    runtime: &'a Runtime,
    asker: Asker,
    tenant: Tenant,
    measured: RefCell<Vec<Measured>>,
}

struct Measured {
    name: String,
    seconds: f64,
    budget: Option<Duration>,
}

fn measure_all(runtime: &Runtime) {
    let Filled { sidecar, data_dir: _data_dir, tenant, hands: _hands } = runtime.block_on(Filled::fill());
    let bench = Bench { runtime, asker: Asker::new(sidecar.channel()), tenant, measured: RefCell::default() };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    scorecards::measure(&bench, &mut criterion, &sidecar.channel());
    boards::measure(&bench, &mut criterion);
    lists::measure(&bench, &mut criterion);
    writes::measure(&bench, &mut criterion, &sidecar.channel()); // last: they change the tenant
    criterion.final_summary();
    bench.print();
    let Bench { asker, .. } = bench;
    drop(asker);
    runtime.block_on(sidecar.close());
}

// === impl Bench ===

impl Bench<'_> {
    fn group<'c>(&self, criterion: &'c mut Criterion, name: &str) -> BenchmarkGroup<'c, WallTime> {
        let mut group = criterion.benchmark_group(name);
        group.sampling_mode(SamplingMode::Flat); // some questions take long
        group
    }

    /// Asks again and again. `ask` is given how often it was asked before.
    fn question<F: Future>(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        name: (&str, &str),
        budget: Option<Duration>,
        ask: impl Fn(i64) -> F,
    ) {
        self.sample(group, name, budget, 1, |from, times| {
            self.runtime.block_on(async {
                let began_at = Instant::now();
                for asked in from..from + times {
                    black_box(ask(asked).await);
                }
                began_at.elapsed()
            })
        });
    }

    /// Does again and again what tells by itself how long its part that counts took. Each time stands for
    /// `many`: the table shows what one of them takes.
    fn deed<F: Future<Output = Duration>>(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        name: (&str, &str),
        budget: Option<Duration>,
        many: u64,
        act: impl Fn(i64) -> F,
    ) {
        self.sample(group, name, budget, many, |from, times| {
            self.runtime.block_on(async {
                let mut took = Duration::ZERO;
                for acted in from..from + times {
                    took += act(acted).await;
                }
                took
            })
        });
    }

    fn sample(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        (of, name): (&str, &str),
        budget: Option<Duration>,
        many: u64,
        mut run: impl FnMut(i64, i64) -> Duration,
    ) {
        let mut from = 0;
        let mut samples = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let took = run(from, times as i64);
                from += times as i64;
                samples.push(took.as_secs_f64() / times as f64);
                took
            });
        });
        if !samples.is_empty() {
            let seconds = median(samples) / many as f64;
            self.measured.borrow_mut().push(Measured { name: format!("{of}/{name}"), seconds, budget });
        }
    }

    fn print(&self) {
        let deals = self.tenant.deal_count;
        let mut table = Table::new(&["question", "median", "budget", "of it"]);
        for Measured { name, seconds, budget } in self.measured.borrow().iter() {
            let [budget, used] = beside(*seconds, *budget);
            table.row(&[name.clone(), duration(*seconds), budget, used]);
        }
        println!("\nin process, {} deals; budgets are for {}", count(deals), count(BUDGET_DEALS));
        table.print();
    }
}

fn us(count: u64) -> Option<Duration> {
    Some(Duration::from_micros(count))
}

fn ms(count: u64) -> Option<Duration> {
    Some(Duration::from_millis(count))
}
