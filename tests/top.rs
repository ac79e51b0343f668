//! `top` for real: the program beside a sidecar, once and live, and what becomes of it when the sidecar goes away.

mod program;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use channel_kpi::proto::FILE_DESCRIPTOR_SET;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    Deal, DealStatus, Partner, PartnerCredit, Record, WriteRecordsRequest,
};
use channel_kpi::proto::google::r#type::Money;
use chrono::Utc;
use program::{Sidecar, channel_kpi, text};
use prost_reflect::{DescriptorPool, DynamicMessage};
use prost_types::Timestamp;

/// A sidecar with a tenant, and two partners in it.
async fn sidecar() -> (tempfile::TempDir, Sidecar) {
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let socket = format!("unix:{}", data_dir.path().join("kpi.sock").display());
    let sidecar = Sidecar::start(data_dir.path(), &["--listen", &socket]);
    let create = ["tenant", "create", "--currency", "USD", "--time-zone", "UTC", "--to", sidecar.url()];
    assert!(channel_kpi(&create).status.success());
    let partners = [("A", "Meghna"), ("B", "Padma")].map(|(id, name)| {
        Kind::Partner(Partner { partner_id: id.into(), name: name.into(), ..Partner::default() })
    });
    write(&sidecar, partners).await;
    (data_dir, sidecar)
}

async fn write(sidecar: &Sidecar, records: impl IntoIterator<Item = Kind>) {
    let update_time = Some(now());
    let record = |record| Record { update_time, record: Some(record), ..Record::default() };
    let records = records.into_iter().map(record).collect();
    let mut client = RecordServiceClient::new(sidecar.channel().await);
    let request = WriteRecordsRequest { records, ..WriteRecordsRequest::default() };
    client.write_records(request).await.expect("the records are valid");
}

fn now() -> Timestamp {
    Timestamp { seconds: Utc::now().timestamp(), nanos: 0 }
}

fn won(deal_id: &str, partner_id: &str, units: i64, at: Timestamp) -> Kind {
    Kind::Deal(Deal {
        deal_id: deal_id.into(),
        opened_at: Some(Timestamp { seconds: at.seconds - 10 * 86_400, nanos: 0 }),
        closed_at: Some(at),
        status: DealStatus::Won.into(),
        amount: Some(Money { currency_code: "USD".into(), units, nanos: 0 }),
        partner_credits: vec![PartnerCredit { partner_id: partner_id.into(), ..PartnerCredit::default() }],
        ..Deal::default()
    })
}

/// A `top --watch` whose stdout is read line by line. Killed if the test fails before it has ended by itself.
struct Live {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Live {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_channel-kpi"))
            .args(["top", "--watch"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Self { process, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it goes on").expect("the program writes UTF-8")
    }

    /// The rows of the next table, without the spaces between their cells.
    fn rows(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line();
            if line.starts_with("Revision ") {
                break;
            }
            lines.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        let header = lines.iter().position(|line| line.starts_with("Rank ")).expect("a table has a header");
        lines.split_off(header + 1).into_iter().take_while(|line| !line.is_empty()).collect()
    }

    /// Ctrl-C: the exit code, and what it had told on stderr.
    fn stop(&mut self) -> (Option<i32>, String) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().expect("kill is on every Unix");
        assert!(sent.success(), "it runs");
        let code = self.process.wait().expect("it is ours").code();
        let stderr = self.process.stderr.take().expect("it is piped");
        (code, std::io::read_to_string(stderr).expect("the program writes UTF-8"))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Both fail where it has ended, which is what they are for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const BOARD: &str = "\
Partners by won amount, 2024-03-01 to 2024-03-31, as of 2024-03-31
before: 2024-02-01 to 2024-02-29, as of 2024-02-29
amounts in USD; dates in UTC

Rank      Partner  Id  Won amount  Won
   1  ▲1  Padma    B       700.00    1
   2  ▼1  Meghna   A       600.00    2

2 ranked.

Around A:
Rank      Partner  Id  Won amount  Won
   1  ▲1  Padma    B       700.00    1
   2  ▼1  Meghna   A       600.00    2

Partner X isn't ranked.
";

#[tokio::test]
async fn a_board_once() {
    let (_data_dir, sidecar) = sidecar().await;
    let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
    let deals = [
        won("d0", "A", 300, at("2024-02-12T06:00:00Z")),
        won("d1", "A", 200, at("2024-03-05T06:00:00Z")),
        won("d2", "A", 400, at("2024-03-12T06:00:00Z")),
        won("d3", "B", 700, at("2024-03-20T06:00:00Z")),
    ];
    write(&sidecar, deals).await;
    let march = ["top", "--window", "2024-03", "--as-of", "2024-03-31"];
    let pins = ["--pin", "A", "--pin", "X"];
    for to in sidecar.urls() {
        let output = channel_kpi(&[&march[..], &pins, &["--to", to]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), BOARD);
    }
    let to = ["--to", sidecar.url()];
    let first = channel_kpi(&[&march[..], &["--kpi", "deal-count", "--limit", "1"], &to].concat());
    let told = text(&first.stdout);
    assert!(
        told.ends_with("   1  =  Meghna   A            2  600.00\n\nThe first 1 of 2 ranked.\n"),
        "{told}"
    );

    let rates = ["--kpi", "deal-success", "--min-sample", "2", "--lower-bound"];
    let told = text(&channel_kpi(&[&march[..], &rates, &to].concat()).stdout);
    assert!(told.contains("Deal success  At least"), "{told}");
    assert!(told.contains("100.00 %   34.24 %"), "two of two: {told}");
    let few = text(&channel_kpi(&[&march[..], &["--kpi", "deal-success"], &to].concat()).stdout);
    assert!(few.ends_with("No partner is ranked: none has the figure in these days.\n"), "{few}");

    let json = text(&channel_kpi(&[&march[..], &["--json"], &to].concat()).stdout);
    assert_eq!(leader(&json), "B");
    let refused = channel_kpi(&[&march[..], &["--lower-bound"], &to].concat());
    assert_eq!(refused.status.code(), Some(1));
    let stderr = text(&refused.stderr);
    assert!(stderr.contains("query.rate_order") && stderr.contains("[INVALID_FIELD]"), "{stderr}");
}

/// Who leads in an answer, which must be proto3 JSON of GetLeaderboard's.
fn leader(json: &str) -> String {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("it is valid");
    let descriptor = pool.get_message_by_name("channelkpi.v1.GetLeaderboardResponse").expect("it is there");
    let mut reader = serde_json::Deserializer::from_str(json);
    DynamicMessage::deserialize(descriptor, &mut reader).expect("it is JSON of that message");
    reader.end().expect("nothing follows");
    let answer: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
    answer["rows"][0]["subjectId"].as_str().expect("somebody leads").to_owned()
}

#[tokio::test]
async fn a_board_live_until_it_is_stopped() {
    let (_data_dir, sidecar) = sidecar().await;
    write(&sidecar, [won("d1", "A", 200, now()), won("d2", "B", 100, now())]).await;
    let mut live = Live::start(&["--to", sidecar.url()]);
    // In the days before both had won nothing: both were first.
    assert_eq!(live.rows(), ["1 = Meghna A 200.00 1", "2 ▼1 Padma B 100.00 1"]);
    write(&sidecar, [won("d3", "B", 300, now())]).await;
    let turned = ["1 = Padma B 400.00 2 ← up from 2", "2 ▼1 Meghna A 200.00 1 ← down from 1"];
    assert_eq!(live.rows(), turned);
    assert_eq!(live.stop(), (Some(0), String::new()));
}

#[tokio::test]
async fn every_change_is_a_line_of_json() {
    let (_data_dir, sidecar) = sidecar().await;
    write(&sidecar, [won("d1", "A", 200, now()), won("d2", "B", 100, now())]).await;
    let mut live = Live::start(&["--json", "--to", sidecar.url()]);
    assert_eq!(leader(&live.line()), "A");
    write(&sidecar, [won("d3", "B", 300, now())]).await;
    assert_eq!(leader(&live.line()), "B");
    assert_eq!(live.stop(), (Some(0), String::new()));
}

/// The sidecar stops in order, is killed, and comes back each time: the watch goes on by itself.
#[tokio::test(flavor = "multi_thread")] // connections are closed while the test waits for the sidecar's end
async fn a_sidecar_that_comes_back_is_watched_on() {
    let (data_dir, mut sidecar) = sidecar().await;
    let socket = sidecar.urls()[1].clone();
    write(&sidecar, [won("d0", "A", 200, now())]).await;
    let mut live = Live::start(&["--to", &socket]);
    assert_eq!(live.rows()[0], "1 = Meghna A 200.00 1");
    for (number, (orderly, expected)) in
        (1..).zip([(true, "2 ▼1 Padma B 100.00 1"), (false, "1 = Padma B 200.00 2 ← up from 2")])
    {
        if orderly {
            sidecar.signal("TERM");
            assert!(sidecar.ended().success());
        } else {
            sidecar.kill();
        }
        sidecar = Sidecar::start(data_dir.path(), &["--listen", &socket]);
        write(&sidecar, [won(&format!("d{number}"), "B", 100, now())]).await;
        // Whether it is back before the write or after it: the rows come to be these.
        while !live.rows().iter().any(|row| row.starts_with(expected)) {}
    }
    let (code, stderr) = live.stop();
    assert_eq!(code, Some(0));
    assert!(stderr.contains("reconnecting: the sidecar stops"), "{stderr}");
}

#[tokio::test]
async fn a_tenant_that_is_not_there_ends_it() {
    let (_data_dir, sidecar) = sidecar().await;
    let output = channel_kpi(&["top", "--watch", "--tenant", "nobody", "--to", sidecar.url()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("[TENANT_DENIED]"), "{}", text(&output.stderr));
}
