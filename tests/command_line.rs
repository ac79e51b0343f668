//! The command line as a caller sees it: help, wrong usage, exit codes, what goes to stdout and what to stderr.

mod program;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use channel_kpi::proto::FILE_DESCRIPTOR_SET;
use program::{Sidecar, channel_kpi, channel_kpi_in, text};
use prost_reflect::{DescriptorPool, DynamicMessage};

/// An address of this machine on which nothing listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    format!("http://{}", listener.local_addr().expect("it is bound"))
}

#[test]
fn help_teaches_by_example() {
    for (arguments, expected) in [
        (&["--help"][..], &["Examples:", "channel-kpi import --preset maven", "Exit codes:"][..]),
        (&["import", "--help"], &["Examples:", "--mapping map.toml", "deals.csv", "Maven Analytics"]),
        (
            &["import", "--help"],
            &["Data Loader > Export", "Deals, Contacts and Companies > Export", "Filters > Lost"],
        ),
        (
            &["scorecard", "--help"],
            &["Examples:", "last-90-days", "2017-Q3", "average-deal-size, deal-count, opportunity-pipeline"],
        ),
        (
            &["records", "--help"],
            &["Examples:", "--figure won --partner P-17", "won, lost, expired, missed", "2017-Q3"],
        ),
        (&["quality", "--help"], &["Examples:", "--window last-90-days --ids", "2017-Q3"]),
        (
            &["top", "--help"],
            &["Examples:", "channel-kpi top --watch", "close-rate-resolved", "last-90-days", "--ties"],
        ),
        (
            &["series", "--help"],
            &["Examples:", "--by quarter", "fiscal-quarter", "close-rate", "fiscal-year"],
        ),
        (
            &["explain", "--help"],
            &["Examples:", "--figure close-rate --by region", "won-amount", "year-before", "2017-Q3"],
        ),
        (
            &["strategy", "--help"],
            &["Examples:", "channel-kpi strategy academy", "--kpi close-rate --days 182", "value-score"],
        ),
        (
            &["recommend", "--help"],
            &["Examples:", "--partner P-17 --lang bn", "channel.earned_weak, ", "last-365-days", "2017-Q3"],
        ),
        (&["plan", "--help"], &["Examples:", "channel-kpi plan --partner P-17", "last-365-days"]),
        (
            &["serve", "--help"],
            &["Examples:", "--listen unix:/run/channel-kpi.sock", "SIGTERM", "--drain-grace"],
        ),
        (&["tenant", "--help"], &["Examples:", "tenant create --currency USD"]),
        (&["tenant", "create", "--help"], &["--time-zone", "--to"]),
    ] {
        let output = channel_kpi(arguments);
        assert!(output.status.success(), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}");
        for piece in expected {
            assert!(text(&output.stdout).contains(piece), "{arguments:?} has {piece:?}");
        }
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_right() {
    for (arguments, expected) in [
        (&["scorecard"][..], "--window"),
        (&["scorecard", "--window", "soon"], "`soon` isn't a window"),
        (&["scorecard", "--window", "2017", "--as-of", "today"], "isn't a date like 2024-03-31"),
        (&["scorecard", "--window", "2017", "--kpi", "luck"], "the KPIs are average-deal-size"),
        (&["scorecard", "--window", "2017", "--partner", "A", "--unit", "B"], "cannot be used with"),
        (
            &["scorecard", "--window", "2017", "--unit", "B", "--with-sub-partners"],
            "--with-sub-partners belongs to",
        ),
        (&["scorecard", "--window", "2017", "--limit", "3"], "--by"),
        (&["scorecard", "--window", "2017", "--to", "127.0.0.1:7443"], "write http://HOST:PORT"),
        (
            &["scorecard", "--window", "2017", "--to", "http://127.0.0.1:1", "--data-dir", "x"],
            "cannot be used with",
        ),
        (&["records", "--window", "2017"], "--figure"),
        (&["records", "--figure", "luck", "--window", "2017"], "the figures are won, lost"),
        (&["records", "--figure", "won"], "--figure won needs a --window"),
        (&["records", "--figure", "open", "--window", "2017"], "leave --window out"),
        (&["quality"], "--window"),
        (&["top", "--kpi", "luck"], "the figures are average-deal-size, deal-count"),
        (&["top", "--by", "unit", "--with-sub-partners"], "--with-sub-partners belongs to --by partner"),
        (&["top", "--watch", "--as-of", "2024-03-31"], "cannot be used with"),
        (&["top", "--limit", "0"], "0 is not in 1..=1000"),
        (&["series", "--window", "2017", "--by", "decade"], "fiscal-quarter"),
        (&["explain", "--window", "2017"], "--figure"),
        (&["explain", "--window", "2017", "--figure", "close-rate"], "a rate is split over a dimension"),
        (
            &["explain", "--window", "2017", "--figure", "won-amount", "--by", "region"],
            "--by belongs to close-rate and deal-success",
        ),
        (
            &["explain", "--window", "2017", "--figure", "deal-success", "--by", "product"],
            "marketing-channel",
        ),
        (&["strategy", "academy", "--kpi", "luck"], "the KPIs are average-deal-size"),
        (&["strategy", "academy", "--days", "0"], "0 is not in 1..=3650"),
        (&["strategy", "--kpi", "close-rate"], "<ID>"),
        (&["recommend", "--rule", "size.fall"], "did you mean size.falling?"),
        (&["recommend", "--kind", "partner", "--partner", "A"], "cannot be used with"),
        (&["recommend", "--kind", "team"], "partner, employee, unit"),
        (&["plan", "--unit", "B", "--with-sub-partners"], "--with-sub-partners belongs to"),
        (&["serve", "--drain-grace", "soon"], "must be a time such as"),
        (&["scorecard", "--window", "2017", "--tenant", "a\nb"], "--tenant takes visible ASCII"),
        (&["import", "--preset", "excel", "x.csv"], "maven, olist, salesforce, hubspot, odoo, csv"),
        (&["import", "--preset", "maven"], "<FILE>"),
        (
            &["import", "--preset", "odoo", "--date-format", "%Q", "x.csv"],
            "isn't a date format: write it like %d/%m/%Y",
        ),
        (&["import", "--preset", "odoo", "--date-format", "dd/mm/yyyy", "x.csv"], "write it like %d/%m/%Y"),
        (
            &["import", "--preset", "maven", "--mapping", "m.toml", "x.csv"],
            "--mapping belongs to --preset csv",
        ),
        (&["tenant", "create", "--currency", "USD"], "a new tenant needs --currency and --time-zone"),
        (&["tenant", "delete"], "--yes"),
        (&["tenant", "create", "--stage", "Offer"], "such as Negotiation=60"),
    ] {
        let output = channel_kpi(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let stderr = text(&output.stderr);
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_wrong_mapping_ends_with_2_and_its_place() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let mapping = directory.path().join("map.toml");
    std::fs::write(&mapping, "[files.deals.deal]\ndeal_idd = \"Id\"\n").expect("a file for the test");
    let mapping = mapping.display().to_string();
    let output = channel_kpi(&["import", "--preset", "csv", "--mapping", &mapping, "deals.csv"]);
    assert_eq!(output.status.code(), Some(2));
    let expected = format!("error: {mapping}:2:1: a deal has no field `deal_idd`: did you mean `deal_id`");
    assert!(text(&output.stderr).starts_with(&expected), "{}", text(&output.stderr));
}

#[test]
fn no_sidecar_ends_with_1_and_says_how_to_start_one() {
    let to = nowhere();
    let output = channel_kpi(&["scorecard", "--window", "2017", "--to", &to]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let stderr = text(&output.stderr);
    assert!(stderr.starts_with(&format!("error: no sidecar answers at {to} (")), "{stderr}");
    assert!(stderr.contains("channel-kpi serve"), "{stderr}");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_channel-kpi"))
        .args(["scorecard", "--help"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
}

// === Against a real sidecar ===

/// Files of deals that say no more than they must: one of five has no date, and one is a date of no year.
const DEALS: &str = "\
deal_id,opened_at,closed_at,status,amount,owner_employee_id,partner_credits.0.partner_id
d1,2024-02-20,2024-03-05,won,200.00,e1,A
d2,2024-03-01,2024-03-12,won,400.00,e2,A
d3,2024-01-15,2024-03-20,lost,300.00,e1,A
d4,,2024-03-20,lost,300.00,e1,A
d5,30 February,,open,,e1,B
";
const PARTNERS: &str = "partner_id,name\nA,Meghna\nB,Padma\n";

fn exports() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory for the test");
    for (name, content) in [("deals.csv", DEALS), ("partners.csv", PARTNERS)] {
        std::fs::write(directory.path().join(name), content).expect("a file for the test");
    }
    directory
}

fn path(directory: &Path) -> &str {
    directory.to_str().expect("the test's paths are UTF-8")
}

/// Stdout of a command that must end so.
fn stdout(output: &Output, expected_code: i32) -> String {
    assert_eq!(output.status.code(), Some(expected_code), "stderr: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The message that a JSON answer is, read by the descriptor of its type: unknown names are errors.
fn message(name: &str, json: &str) -> DynamicMessage {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("it is valid");
    let descriptor = pool.get_message_by_name(&format!("channelkpi.v1.{name}")).expect("it is of the API");
    let mut reader = serde_json::Deserializer::from_str(json);
    let message =
        DynamicMessage::deserialize(descriptor, &mut reader).expect("it is proto3 JSON of that message");
    reader.end().expect("nothing follows");
    message
}

/// The tour of docs: files in, a tenant made on the way, figures out.
fn tour(to: &[&str]) {
    let exports = exports();
    let run = |arguments: &[&str]| channel_kpi(&[arguments, to].concat());
    let import =
        ["import", "--preset", "csv", path(exports.path()), "--currency", "USD", "--time-zone", "Asia/Dhaka"];
    let imported = run(&import);
    assert_eq!(
        stdout(&imported, 3),
        "Records  Written  Rejected\n\
         deal           3         2\n\
         partner        2         0\n\
         \n\
         5 versions of records were new to the tenant.\n"
    );
    assert_eq!(
        text(&imported.stderr),
        "deals.csv:5:2: opened_at is empty: a deal needs its `opened_at` (--undated-on DATE dates such rows)\n\
         deals.csv:6:2: opened_at \"30 February\" isn't a date like 2017-10-31 or 2017-10-31T12:00:00Z (--date-format says others)\n"
    );
    assert!(
        stdout(&run(&import), 3)
            .ends_with("\nNothing of it was new: the tenant's figures are what they were.\n")
    );

    let march = ["scorecard", "--window", "2024-03", "--as-of", "2024-03-31"];
    let company = stdout(&run(&march), 0);
    assert!(company.starts_with("The company, 2024-03-01 to 2024-03-31, as of 2024-03-31\n"), "{company}");
    for line in [
        "Average deal size         300.00    no deal won                 600.00 USD / 2 priced deals won",
        "Deal count                     2              0      +2  better  deals won",
        "Deal success             66.67 %  no deal ended                  2 won / 3 ended",
        "Missed deals: 1, worth 300.00 USD; 0 lost to a competitor, 0 expired.",
    ] {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(company.lines().any(|told| words(told) == words(line)), "{line:?} isn't in\n{company}");
    }
    let partner = stdout(&run(&[&march[..], &["--partner", "A", "--kpi", "deal-count"]].concat()), 0);
    assert!(partner.starts_with("Partner Meghna (A), "), "{partner}");
    assert!(!partner.contains("Average"), "one KPI was asked for: {partner}");
    let board = stdout(&run(&[&march[..], &["--by", "partner", "--limit", "1"]].concat()), 0);
    assert!(board.contains("Meghna") && !board.contains("Padma"), "{board}");

    let json = stdout(&run(&[&march[..], &["--json"]].concat()), 0);
    let answer = message("GetScorecardResponse", &json);
    let card = answer.get_field_by_name("scorecard").expect("it has one").into_owned();
    let card = card.as_message().expect("it is a message").clone();
    assert!(card.has_field_by_name("average_deal_size"));
    let value: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let amount = &value["scorecard"]["dealCount"]["wonAmount"];
    assert_eq!(*amount, serde_json::json!({"currencyCode": "USD", "units": "600"}));
    let json = stdout(&run(&[&march[..], &["--by", "partner", "--json"]].concat()), 0);
    let scorecards = message("ListScorecardsResponse", &json);
    let scorecards = scorecards.get_field_by_name("scorecards").expect("it has them").into_owned();
    assert_eq!(scorecards.as_list().map(<[_]>::len), Some(2));

    let missed = ["records", "--figure", "missed", "--window", "2024-03", "--as-of", "2024-03-31"];
    let told = stdout(&run(&missed), 0);
    assert!(told.starts_with("The company: missed, 2024-03-01 to 2024-03-31, as of 2024-03-31\n"), "{told}");
    assert!(told.contains("\ndeal d3  2024-03-20  300.00  300.00 USD  lost"), "{told}");
    assert!(told.ends_with("\n1 in all, worth 300.00 USD.\n"), "{told}");
    message("ListContributingRecordsResponse", &stdout(&run(&[&missed[..], &["--json"]].concat()), 0));
    let quality = ["quality", "--window", "2024-03", "--as-of", "2024-03-31", "--ids"];
    let told = stdout(&run(&quality), 0);
    for line in ["Unknown owner         3   3  send the employee", "  never sent: e1, e2"] {
        assert!(told.contains(line), "{line:?} isn't in\n{told}");
    }
    message("GetDataQualityResponse", &stdout(&run(&[&quality[..], &["--json"]].concat()), 0));
    let weeks =
        ["series", "--window", "2024-03", "--as-of", "2024-03-31", "--by", "week", "--kpi", "deal-count"];
    let table = stdout(&run(&weeks), 0);
    assert!(table.starts_with("The company, 2024-03-01 to 2024-03-31, as of 2024-03-31\n"), "{table}");
    let weeks_worth = table.lines().skip(4).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let expected = [
        "2024-03-01 to 2024-03-03 0 0.00",
        "2024-03-04 to 2024-03-10 1 200.00 ████████████████████",
        "2024-03-11 to 2024-03-17 1 400.00 ████████████████████",
        "2024-03-18 to 2024-03-24 0 0.00",
        "2024-03-25 to 2024-03-31 0 0.00",
        "",
        "Fewer than five whole periods that are over have a value: no trend is told.",
    ];
    assert_eq!(weeks_worth.collect::<Vec<_>>(), expected);
    let json = stdout(&run(&[&weeks[..], &["--json"]].concat()), 0);
    let points = message("GetSeriesResponse", &json);
    let points = points.get_field_by_name("points").expect("it has them").into_owned();
    assert_eq!(points.as_list().map(<[_]>::len), Some(5));

    let success = ["explain", "--figure", "deal-success", "--by", "partner", "--window", "2024-03"];
    let success = [&success[..], &["--as-of", "2024-03-31"]].concat();
    let told = stdout(&run(&success), 0);
    assert!(
        told.starts_with("The company, 2024-03-01 to 2024-03-31, as of 2024-03-31\nbefore: 2024-02-01"),
        "{told}"
    );
    assert!(told.contains("\nDeal success 66.67 %, before no deal ended\n"), "{told}");
    assert!(told.ends_with("\nWhy it changed can't be told: no deal ended.\n"), "{told}");
    let json = message("ExplainChangeResponse", &stdout(&run(&[&success[..], &["--json"]].concat()), 0));
    assert!(json.has_field_by_name("explanation"));

    assert_eq!(stdout(&run(&["strategy"]), 0), "There are no strategies.\n");
    let unknown = run(&["strategy", "academy"]);
    let stderr = text(&unknown.stderr);
    assert!(stderr.contains("[STRATEGY_NOT_FOUND]") && stderr.contains("`channel-kpi strategy`"), "{stderr}");

    let todo = ["recommend", "--as-of", "2024-03-31", "--kind", "partner"];
    let told = stdout(&run(&todo), 0);
    assert!(told.starts_with("All partners, 2023-04-02 to 2024-03-31, as of 2024-03-31\n"), "{told}");
    assert!(told.ends_with("\nNothing to say: no rule finds enough to speak of.\n"), "{told}");
    message("ListRecommendationsResponse", &stdout(&run(&[&todo[..], &["--json"]].concat()), 0));
    let spoken = run(&[&todo[..], &["--lang", "tlh"]].concat());
    assert_eq!(stdout(&spoken, 1), "");
    let stderr = text(&spoken.stderr);
    assert!(
        stderr.contains("language_code") && stderr.contains("there are texts in bn, en only"),
        "{stderr}"
    );
    let told = stdout(&run(&["plan", "--as-of", "2024-03-31", "--lang", "bn"]), 0);
    assert!(told.contains("\nNext quarter (2024-04-01 to 2024-06-30): 600.00\n"), "{told}");
    assert!(told.contains("\nProposed target: 600.00 USD\n"), "{told}");
    assert!(told.contains("\n2024-01-01 to 2024-03-31      600.00\n"), "{told}");

    let nobody = run(&[&march[..], &["--unit", "nowhere"]].concat());
    assert_eq!(stdout(&nobody, 1), "");
    let stderr = text(&nobody.stderr);
    assert!(stderr.starts_with("error: ") && stderr.contains("[SUBJECT_NOT_FOUND]"), "{stderr}");
    assert!(stderr.contains("channel-kpi scorecard --by partner|employee|unit"), "{stderr}");
}

#[test]
fn a_tour_over_tcp() {
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let sidecar = Sidecar::start(data_dir.path(), &[]);
    tour(&["--to", sidecar.url()]);
}

#[test]
fn a_tour_over_a_unix_socket() {
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let socket = format!("unix:{}", data_dir.path().join("kpi.sock").display());
    let sidecar = Sidecar::start(data_dir.path(), &["--listen", &socket]);
    assert_eq!(sidecar.urls()[1], socket);
    tour(&["--to", &socket]);
}

#[test]
fn a_tour_in_process() {
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    tour(&["--data-dir", path(data_dir.path())]);
}

#[test]
fn the_life_of_a_tenant() {
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let sidecar = Sidecar::start(data_dir.path(), &[]);
    let to = ["--to", sidecar.url(), "--tenant", "acme"];
    let tenant = |arguments: &[&str]| channel_kpi(&[&["tenant"], arguments, &to].concat());

    let missing = tenant(&["show"]);
    assert_eq!(missing.status.code(), Some(1));
    let stderr = text(&missing.stderr);
    assert!(stderr.contains("[TENANT_DENIED]") && stderr.contains("`channel-kpi tenant create`"), "{stderr}");

    let wrong = tenant(&["create", "--currency", "USX", "--time-zone", "Mars/Base"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(
        text(&wrong.stderr),
        "error: settings.reporting_currency_code: \"USX\" is no ISO 4217 currency code, such as USD (and 1 more) \
         [INVALID_FIELD]\n  settings.time_zone: \"Mars/Base\" is no IANA time zone, such as Asia/Dhaka\n",
        "each violation once"
    );

    let create = ["create", "--currency", "BDT", "--time-zone", "Asia/Dhaka"];
    let created = stdout(&tenant(&create), 0);
    assert_eq!(created.lines().next(), Some("Tenant                       acme"));
    assert_eq!(stdout(&tenant(&create), 0), created, "may be repeated as it is");
    let otherwise = tenant(&["create", "--currency", "USD", "--time-zone", "Asia/Dhaka"]);
    assert_eq!(otherwise.status.code(), Some(1));
    let stderr = text(&otherwise.stderr);
    assert!(
        stderr.contains("[TENANT_EXISTS]") && stderr.contains("`channel-kpi tenant configure`"),
        "{stderr}"
    );

    let configured = tenant(&["configure", "--fiscal-year-start", "7", "--stage", "Offer=60", "--json"]);
    message("ConfigureTenantResponse", &stdout(&configured, 0));
    let shown: serde_json::Value =
        serde_json::from_str(&stdout(&tenant(&["show", "--json"]), 0)).expect("JSON");
    assert_eq!(
        shown["tenant"]["settings"],
        serde_json::json!({
            "reportingCurrencyCode": "BDT",
            "timeZone": "Asia/Dhaka",
            "fiscalYearStartMonth": 7,
            "weekStart": "MONDAY",
            "stageProbabilities": [{"stage": "Offer", "probabilityBps": 6000}],
        }),
        "what wasn't given stays"
    );

    assert_eq!(stdout(&tenant(&["delete", "--yes"]), 0), "The tenant acme and all its records are gone.\n");
    assert_eq!(tenant(&["show"]).status.code(), Some(1));
}

#[test]
fn a_held_data_directory_names_its_holder_and_what_to_call() {
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let sidecar = Sidecar::start(data_dir.path(), &[]);
    let here = path(data_dir.path());
    for arguments in [
        &["tenant", "show", "--data-dir", here][..],
        &["serve", "--listen", "127.0.0.1:0", "--data-dir", here],
    ] {
        let output = channel_kpi(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let address = sidecar.url().trim_start_matches("http://");
        let expected = format!(
            "error: data directory {here} is held by the sidecar at {address} (pid {}): use --to {} or stop it\n",
            sidecar.pid(),
            sidecar.url()
        );
        assert_eq!(text(&output.stderr), expected, "{arguments:?}");
    }
}

/// A relative socket path is told as one that works from any directory.
#[test]
fn what_serve_says_can_be_called_from_anywhere() {
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let sidecar = Sidecar::start_in(data_dir.path(), Path::new("data"), &["--listen", "unix:kpi.sock"]);
    let url = &sidecar.urls()[1];
    let elsewhere = tempfile::tempdir().expect("a directory for the test");
    let output = channel_kpi_in(
        elsewhere.path(),
        &["tenant", "create", "--currency", "USD", "--time-zone", "UTC", "--to", url],
    );
    stdout(&output, 0);
}

#[test]
fn signals_end_a_sidecar_in_order() {
    for signal in ["TERM", "INT"] {
        let data_dir = tempfile::tempdir().expect("a directory for the test");
        let socket = data_dir.path().join("kpi.sock");
        let sidecar = Sidecar::start(data_dir.path(), &["--listen", &format!("unix:{}", socket.display())]);
        sidecar.signal(signal);
        assert_eq!(sidecar.ended().code(), Some(0), "SIG{signal}");
        assert!(!socket.exists(), "its socket is gone");
        // And the directory is free.
        let created = [
            "tenant",
            "create",
            "--currency",
            "USD",
            "--time-zone",
            "UTC",
            "--data-dir",
            path(data_dir.path()),
        ];
        stdout(&channel_kpi(&created), 0);
    }
}

/// A drain may take minutes. Who sends a signal twice doesn't want to wait.
#[test]
fn a_second_signal_cuts_the_drain() {
    let data_dir = tempfile::tempdir().expect("a directory for the test");
    let sidecar = Sidecar::start(data_dir.path(), &["--drain-delay", "600s"]);
    sidecar.signal("TERM");
    sidecar.signal("INT");
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(sidecar.ended()));
    let status = ended.recv_timeout(Duration::from_secs(60)).expect("it doesn't wait for ten minutes");
    assert_eq!(status.code(), Some(0));
}
