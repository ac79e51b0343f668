//! The demo for real: the program runs, its figures are shown, and others can call it until it is stopped.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

use channel_kpi::client::watch::{Event, Watch};
use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    GetScorecardRequest, LeaderboardQuery, RankedBy, SubjectKind, WatchLeaderboardRequest, Window, window,
};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Endpoint;

/// A small demo that is the same every day.
fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_channel-kpi"));
    command.args(["demo", "--scale", "0.1", "--last-day", "2025-11-24"]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn once(arguments: &[&str]) -> (Output, String) {
    let output = demo(&["--once"]).args(arguments).output().expect("the program starts");
    let stdout = String::from_utf8(output.stdout.clone()).expect("the program writes UTF-8");
    (output, stdout)
}

/// The cells of the line that begins so, parted by two spaces or more.
fn line<'t>(text: &'t str, begin: &str) -> Vec<&'t str> {
    let line = text.lines().find(|line| line.trim_start().starts_with(begin));
    let line = line.unwrap_or_else(|| panic!("a line begins with {begin:?} in\n{text}"));
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn it_shows_the_figures_and_ends() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let data_dir = directory.path().display().to_string();
    let arguments = ["--data-dir", &data_dir, "--listen", "127.0.0.1:0"];
    let (output, told) = once(&arguments);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));

    let sections = [
        "Nokshi Software, a made-up company",
        "The company, 2025-08-27 to 2025-11-24, as of 2025-11-24",
        "Its pipeline",
        "Opening ",
        "Its marketing channels",
        "The ten partners of 29 who sold most",
        "All units, each with those below it",
        "The partner who sold most",
        "Without --once",
    ];
    let places: Vec<Option<usize>> = sections.iter().map(|section| told.find(section)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in\n{told}");

    // Whatever the company is, its figures and those of its topmost unit are one.
    let (count, worth) = (line(&told, "Deal count")[1], line(&told, "worth")[1]);
    let (first, last) = (line(&told, "1  Nokshi Software"), line(&told, "10 "));
    assert_eq!(first[..5], ["1", "Nokshi Software", "U-CO", count, worth]);
    assert_eq!(last.len(), 7, "{last:?}");

    let (output, again) = once(&arguments);
    assert_eq!(output.status.code(), Some(0));
    assert!(again.starts_with("The demo that is there already: 1,200 deals, "), "{again}");
    let figures = |told: &str| told.split_once('\n').map(|(_, figures)| figures.to_owned());
    assert_eq!(figures(&again), figures(&told));

    // Its strategies can be judged.
    let strategy = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_channel-kpi"));
        command.args(["strategy", "--tenant", "demo", "--data-dir", &data_dir]).args(arguments);
        let output = command.output().expect("the program starts");
        String::from_utf8(output.stdout).expect("the program writes UTF-8")
    };
    let listed = strategy(&[]);
    assert_eq!(line(&listed, "academy")[..3], ["academy", "Partner academy", "2025-02-01"]);
    let judged = strategy(&["academy", "--as-of", "2025-11-24", "--days", "182"]);
    assert!(judged.starts_with("Partner academy (academy), for 3 partners from 2025-02-01 on, "), "{judged}");
    let close_rate = line(&judged, "Close rate");
    assert_eq!((close_rate[1], close_rate[2]), ("partners", "3"), "{judged}");
    assert!(["works", "fails", "undecided"].contains(&close_rate[close_rate.len() - 1]), "{judged}");
    let json = strategy(&["academy", "--as-of", "2025-11-24", "--kpi", "close-rate,deal-count", "--json"]);
    assert_eq!(json.lines().filter(|line| line.starts_with("{\"effects\":")).count(), 2, "{json}");
}

#[test]
fn another_port_is_found_and_told() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound").to_string();
    let (output, _) = once(&["--listen", &address]);
    assert_eq!(output.status.code(), Some(0));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with(&format!("{address} is in use: serving at 127.0.0.1:")), "{stderr}");
}

#[test]
fn what_cannot_be_generated_is_refused() {
    for (arguments, expected) in [
        (&["--last-day", "2199-01-01"][..], "must be from 1975-01-01 to today"),
        (&["--scale", "0"], "must be 0.1 to 50"),
        (&["--listen", "localhost"], "invalid socket address"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_channel-kpi"));
        let output = command.arg("demo").args(arguments).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

/// Killed if the test fails before it has stopped by itself.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")] // connections are closed while the test waits for the demo's end
async fn it_serves_until_it_is_stopped() {
    let mut running = Running(demo(&["--listen", "127.0.0.1:0"]).spawn().expect("the program starts"));
    let mut stdout = BufReader::new(running.0.stdout.take().expect("it is piped"));
    let mut told = String::new();
    let address = loop {
        let begin = told.len();
        assert!(stdout.read_line(&mut told).expect("the program writes UTF-8") > 0, "{told}");
        let serving = told[begin..].strip_prefix("Serving at ");
        if let Some((address, _)) = serving.and_then(|rest| rest.split_once(" until Ctrl-C")) {
            break address.to_owned();
        }
    };

    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("the address is one");
    let mut client = KpiServiceClient::new(endpoint.connect().await.expect("it serves"));
    let window = Some(Window { window: Some(window::Window::LastDays(90)) });
    let mut request = tonic::Request::new(GetScorecardRequest { window, ..Default::default() });
    request.metadata_mut().insert("ckpi-tenant", "demo".parse().expect("visible ASCII"));
    let answer = client.get_scorecard(request).await.expect("the tenant is there").into_inner();
    assert!(answer.scorecard.is_some());

    // It goes on trading: deals are won, and the ranking tells of it.
    let query = LeaderboardQuery {
        subject_kind: SubjectKind::Partner.into(),
        ranked_by: RankedBy::DealCount.into(),
        window,
        ..LeaderboardQuery::default()
    };
    let request = WatchLeaderboardRequest { query: Some(query), ..WatchLeaderboardRequest::default() };
    let channel = endpoint.connect().await.expect("it serves");
    let as_demo = |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("ckpi-tenant", "demo".parse().expect("visible ASCII"));
        Ok(request)
    };
    let mut watch = Watch::new(InterceptedService::new(channel, as_demo), request);
    let mut first = None;
    loop {
        let Event::Board { board, .. } = watch.next().await.expect("it lasts").expect("it may watch") else {
            panic!("the demo serves on")
        };
        let won_count: i64 = board.rows.iter().map(|row| row.won_count).sum();
        if won_count > *first.get_or_insert(won_count) {
            break;
        }
    }

    let pid = running.0.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().expect("kill is on every Unix");
    assert!(sent.success());
    assert_eq!(running.0.wait().expect("it was started here").code(), Some(0));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("the program writes UTF-8");
    for way in [
        "channel-kpi top --to http://",
        "channel-kpi scorecard --to http://",
        "grpcurl -plaintext -H 'ckpi-tenant: demo'",
        "buf curl",
    ] {
        assert!(rest.contains(way), "{way} in {rest}");
    }
}
