//! Scorecards over a socket, beside an empty echo of as large an answer.
//!
//! The echo is a bare tonic server in the same process; whoever calls is a process of its own and reads answers
//! as bytes. Both are called in turns, so that load that comes and goes meets both. Where `h2load` is installed
//! it calls them too: a client in C, which costs the machine less.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::server::Listen;
use prost::Message;
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;

use crate::bare;
use crate::callers::call_in_child;
use crate::question::basic_of_partner;
use crate::tenant::{Filled, Table, count, is_quick, median};

const SCORECARD: &str = "/channelkpi.v1.KpiService/GetScorecard";
const IN_FLIGHT: [usize; 2] = [1, 64];
const RATIO_MIN: f64 = 0.6;

pub async fn measure() {
    let (rounds, lasting) =
        if is_quick() { (1, Duration::from_millis(100)) } else { (5, Duration::from_secs(2)) };
    let Filled { sidecar, data_dir: _data_dir, tenant, hands: _hands } = Filled::fill().await;
    let server = sidecar.bind().expect("some port is free");
    let Listen::Tcp(address) = server.local_addrs()[0] else { panic!("it listens on TCP") };
    let stack = sidecar.channel();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(sidecar.serve(server, stop.clone(), CancellationToken::new()));

    let mut table = Table::new(&["scorecards over a socket", "a second", "an echo", "ratio", "budget"]);
    for (who, partner_id) in [("typical", tenant.typical_partner()), ("heaviest", tenant.heaviest_partner())]
    {
        let request = basic_of_partner(partner_id);
        let answer = KpiServiceClient::new(stack.clone()).get_scorecard(request.clone()).await;
        let answer: Bytes = answer.expect("it is valid").into_inner().encode_to_vec().into();
        let (asked, answer_bytes) = (request.encode_to_vec(), answer.len());
        let echo_address = bare::echo(answer).await;
        let (ours, echo) = (format!("http://{address}"), format!("http://{echo_address}"));
        for in_flight in IN_FLIGHT {
            let call =
                |url: &str, path| block_in_place(|| call_in_child(url, path, &asked, in_flight, lasting));
            let (mut ours_per_second, mut echo_per_second) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                ours_per_second.push(call(&ours, SCORECARD));
                echo_per_second.push(call(&echo, bare::ECHO));
            }
            let name = format!("{who} ({answer_bytes} B), {in_flight} in flight");
            row(&mut table, &name, median(ours_per_second), median(echo_per_second));
        }
        let h2load = |url: &str, path| block_in_place(|| h2load(url, path, &asked));
        if let Some(per_second) = h2load(&ours, SCORECARD) {
            let echo_per_second = h2load(&echo, bare::ECHO).expect("it ran before");
            row(&mut table, &format!("{who}, h2load, 64 in flight"), per_second, echo_per_second);
        }
    }
    println!("{} deals", count(tenant.deal_count));
    table.print();
    drop(stack);
    stop.cancel();
    serving.await.expect("the sidecar doesn't panic");
}

fn row(table: &mut Table, name: &str, ours: f64, echo: f64) {
    table.row(&[
        name.to_owned(),
        count(ours as u64),
        count(echo as u64),
        format!("{:.2}", ours / echo),
        format!("≥ {RATIO_MIN}"),
    ]);
}

/// Calls a second, told by `h2load`. None where it isn't installed.
fn h2load(url: &str, path: &str, message: &[u8]) -> Option<f64> {
    let calls = if is_quick() { "200" } else { "100000" };
    let mut framed = tempfile::NamedTempFile::new().expect("a file for the bench");
    // Not compressed, its length, the message: how gRPC frames it.
    let length = u32::try_from(message.len()).expect("it is short").to_be_bytes();
    framed.write_all(&[&[0], &length[..], message].concat()).expect("there is room");
    let output = Command::new("h2load")
        .args(["-n", calls, "-c", "1", "-t", "1", "-m", "64", "-d"])
        .arg(framed.path())
        .args(["-H", "content-type: application/grpc", "-H", "te: trailers"])
        .arg(format!("{url}{path}"))
        .output()
        .ok()?;
    let told = String::from_utf8_lossy(&output.stdout);
    // "finished in 1.23s, 81234.56 req/s, 12.34MB/s"
    let finished = told.lines().find(|line| line.starts_with("finished in"));
    let per_second = finished.and_then(|line| line.split(", ").nth(1)?.split(' ').next()?.parse().ok());
    Some(per_second.unwrap_or_else(|| panic!("h2load said: {told}")))
}
