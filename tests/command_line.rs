//! The command line as a caller sees it: help, wrong usage, exit codes, what goes to stdout and what to stderr.

use std::process::{Command, Output, Stdio};

fn channel_kpi(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_channel-kpi")).args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the program writes UTF-8")
}

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
            &["scorecard", "--help"],
            &["Examples:", "last-90-days", "2017-Q3", "average-deal-size, deal-count, deal-success"],
        ),
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
        (&["serve", "--drain-grace", "soon"], "must be a time such as"),
        (&["scorecard", "--window", "2017", "--tenant", "a\nb"], "--tenant takes visible ASCII"),
        (&["import", "--preset", "excel", "x.csv"], "maven, csv"),
        (&["import", "--preset", "maven"], "<FILE>"),
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
