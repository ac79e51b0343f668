//! Whoever calls: a process of its own with one connection, and so many calls in flight on it.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};

use crate::bare::Raw;

const ROLE: &str = "--call-as-child";
/// Before the time runs, as a share of it.
const WARM_UP_SHARE: u32 = 5;

/// Calls a second.
pub fn call_in_child(url: &str, path: &str, message: &[u8], in_flight: usize, lasting: Duration) -> f64 {
    let program = std::env::current_exe().expect("this program has a file");
    let message: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
    let numbers = [in_flight.to_string(), lasting.as_millis().to_string()];
    let output = Command::new(program)
        .args([ROLE, url, path, &message])
        .args(numbers)
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("this program runs");
    let told = String::from_utf8_lossy(&output.stdout);
    told.trim().parse().unwrap_or_else(|_| panic!("the caller said {told:?}"))
}

/// Calls, where this process was started to.
pub fn run_as_child() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, role, url, path, message, in_flight, lasting_ms] = &arguments[..] else { return false };
    if role != ROLE {
        return false;
    }
    let number = |text: &str| text.parse::<u64>().expect("our parent gives a number");
    let byte = |at: usize| u8::from_str_radix(&message[at..at + 2], 16).expect("our parent gives bytes");
    let message: Bytes = (0..message.len()).step_by(2).map(byte).collect();
    let lasting = Duration::from_millis(number(lasting_ms));
    let calling = call(url, path, message, number(in_flight), lasting);
    println!("{}", tokio::runtime::Runtime::new().expect("a runtime").block_on(calling));
    true
}

async fn call(url: &str, path: &str, message: Bytes, in_flight: u64, lasting: Duration) -> f64 {
    let endpoint = Endpoint::new(url.to_owned()).expect("our parent gives a URL");
    let channel = endpoint.connect().await.expect("it listens");
    let path: PathAndQuery = path.parse().expect("our parent gives a path");
    let answered = Arc::new(AtomicU64::new(0));
    let mut calling = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        calling.spawn(call_again(channel.clone(), path.clone(), message.clone(), Arc::clone(&answered)));
    }
    tokio::time::sleep(lasting / WARM_UP_SHARE).await;
    let (before, began_at) = (answered.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(lasting).await;
    (answered.load(Ordering::Relaxed) - before) as f64 / began_at.elapsed().as_secs_f64()
}

async fn call_again(channel: Channel, path: PathAndQuery, message: Bytes, answered: Arc<AtomicU64>) {
    let mut client = Grpc::new(channel);
    loop {
        client.ready().await.expect("it is connected");
        let request = tonic::Request::new(message.clone());
        client.unary::<_, Bytes, _>(request, path.clone(), Raw).await.expect("it answers");
        answered.fetch_add(1, Ordering::Relaxed);
    }
}
