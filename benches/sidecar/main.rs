//! The sidecar as a process: sockets, streams, restart, memory, and readers beside a writer.
//!
//! ```sh
//! cargo bench --bench sidecar             # all subjects, each in a process of its own
//! cargo bench --bench sidecar -- watch    # one of them
//! ```
//!
//! A figure stands beside a reference of the same run where there is one: their ratio is what can be compared.

mod bare;
mod callers;
mod ingest;
mod memory;
mod question;
mod readers;
mod restart;
mod socket;
#[path = "../tenant/mod.rs"]
mod tenant;
mod watch;
mod watchers;

use std::future::Future;
use std::pin::Pin;
use std::process::Command;

use tenant::named;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Measure = fn() -> Pin<Box<dyn Future<Output = ()> + Send>>;

const SUBJECTS: &[(&str, Measure)] = &[
    ("socket", || Box::pin(socket::measure())),
    ("readers", || Box::pin(readers::measure())),
    ("ingest", || Box::pin(ingest::measure())),
    ("restart", || Box::pin(restart::measure())),
    ("memory", || Box::pin(memory::measure())),
    ("watch", || Box::pin(watch::measure())),
];

fn main() {
    if watchers::run_as_child() || callers::run_as_child() {
        return;
    }
    let names = named();
    match &names[..] {
        [] => SUBJECTS.iter().for_each(|(name, _)| run_apart(name)),
        [name] => run(name),
        _ => names.iter().for_each(|name| run_apart(name)),
    }
}

/// In a process of its own: what one subject leaves in memory isn't counted for another.
fn run_apart(name: &str) {
    let program = std::env::current_exe().expect("this program has a file");
    let flags = std::env::args().skip(1).filter(|argument| argument.starts_with("--"));
    let status = Command::new(program).arg(name).args(flags).status().expect("this program runs");
    assert!(status.success(), "{name} failed: {status}");
}

fn run(name: &str) {
    let Some((_, measure)) = SUBJECTS.iter().find(|(subject, _)| *subject == name) else {
        let subjects: Vec<&str> = SUBJECTS.iter().map(|(subject, _)| *subject).collect();
        panic!("{name:?} is no subject; there are: {}", subjects.join(", "));
    };
    println!("\n== {name}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(runtime.spawn(measure())).expect("no task panics"); // on a worker, which may block
}
