//! Style as a test: what a machine can check of how this code is to be read.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file by its path below the project.
struct Source {
    path: String,
    text: String,
}

fn sources(folder: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of this project").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(folder), &mut found);
    found.sort();
    let source = |path: PathBuf| Source {
        text: fs::read_to_string(&path).expect("UTF-8"),
        path: path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned(),
    };
    let sources: Vec<Source> = found.into_iter().map(source).collect();
    assert!(!sources.is_empty(), "{folder} has sources");
    sources
}

/// What one room must not know: checked on every line but comments.
const WALLS: &[(&str, &[&str])] = &[
    // The core knows no wire, no async, no I/O, no clock.
    ("src/domain/", CORE),
    ("src/kpi/", CORE),
    ("src/book/", CORE_BUT_SQL),
    // The journal doesn't know what a batch means.
    ("src/journal/", &["crate::book", "crate::kpi", "crate::proto", "crate::service", "tonic::", "prost"]),
    ("src/tenant/", &["crate::proto", "crate::service", "tonic::", "prost", "rusqlite"]),
    ("src/server/", &["crate::book", "crate::kpi", "crate::journal", "crate::tenant", "rusqlite"]),
    ("src/service/", &["rusqlite", "TcpListener", "UnixListener"]),
    // Import, the clients and commands are callers like any other.
    (
        "src/import/",
        &["crate::book", "crate::domain", "crate::kpi", "crate::journal", "crate::tenant", "rusqlite"],
    ),
    (
        "src/client/",
        &["crate::book", "crate::domain", "crate::kpi", "crate::journal", "crate::tenant", "rusqlite"],
    ),
    ("src/command/", &["::book::", "::domain::", "::kpi::", "::journal::", "::tenant::", "rusqlite"]),
];

const CORE: &[&str] = &[
    "crate::proto",
    "crate::service",
    "crate::server",
    "crate::journal",
    "crate::tenant",
    "prost",
    "tonic",
    "tokio",
    "rusqlite",
    "std::fs",
    "std::net",
    "std::io",
    "SystemTime::now",
    "Instant::now",
    "async fn",
];
/// A test of the book asks SQL.
const CORE_BUT_SQL: &[&str] = &[
    "crate::proto",
    "crate::service",
    "crate::server",
    "crate::journal",
    "crate::tenant",
    "prost::",
    "tonic",
    "tokio",
    "std::fs",
    "std::net",
    "std::io",
    "SystemTime::now",
    "Instant::now",
    "async fn",
];

fn breaches(path: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    if !text.starts_with("//!") {
        breaches.push(format!("{path}: doesn't open with what it is for"));
    }
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if ["util", "utils", "common", "manager", "helper", "helpers", "misc"].contains(&stem) {
        breaches.push(format!("{path}: is named after nothing"));
    }
    let walls = WALLS.iter().filter(|(room, _)| path.starts_with(room)).flat_map(|(_, walls)| *walls);
    let walls: Vec<&&str> = walls.collect();
    for (at, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", at + 1);
        if line.chars().count() > 140 {
            breaches.push(format!("{place}: is longer than 140 characters"));
        }
        if line.trim_start().starts_with("//") {
            continue;
        }
        for banned in ["todo!(", "unimplemented!(", "dbg!("] {
            if line.contains(banned) {
                breaches.push(format!("{place}: has {banned}…)"));
            }
        }
        for wall in walls.iter().filter(|wall| line.contains(**wall)) {
            breaches.push(format!("{place}: mustn't know {wall}"));
        }
    }
    breaches
}

/// Of a KPI's file: a definition, its unit, its source, when it is absent, and cases by hand.
fn missing_of_kpi(path: &str, text: &str) -> Vec<String> {
    let wanted =
        ["/// Definition:", "/// Unit:", "/// Source: docs/kpis.md, section 6", "bsent", "_by_hand()"];
    let missing = wanted.iter().filter(|wanted| !text.contains(**wanted));
    missing.map(|wanted| format!("{path}: lacks {wanted}")).collect()
}

/// What of `src/kpi/` is no KPI, but what KPIs are told with.
const NO_KPIS: &[&str] = &[
    "mod.rs",
    "figure.rs",
    "measures.rs",
    "standing.rs",
    "distribution.rs",
    "position.rs",
    "peers.rs",
    "leaderboard.rs",
    "trend.rs",
    "season.rs",
    "drivers.rs",
    "significance.rs",
    "forecast.rs",
    "strategy_effect.rs",
    "recommendation.rs",
    "recommendation/tests.rs",
    "rules.rs",
];

#[test]
fn every_room_keeps_to_its_own() {
    let found: Vec<String> =
        sources("src").iter().flat_map(|source| breaches(&source.path, &source.text)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_kpi_says_what_it_is() {
    let is_kpi = |source: &&Source| {
        let is_rule = source.path.starts_with("src/kpi/rules/");
        !is_rule && !NO_KPIS.iter().any(|name| source.path.ends_with(name))
    };
    let found: Vec<String> = sources("src/kpi")
        .iter()
        .filter(is_kpi)
        .flat_map(|source| missing_of_kpi(&source.path, &source.text))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_checks_can_fail() {
    for (path, text, expected) in [
        ("src/book/x.rs", "use std::fs;\n", 2), // no header, and I/O
        ("src/book/x.rs", "//! A file.\nuse tokio::sync;\n", 1),
        ("src/book/x.rs", "//! A file.\n// tokio is not known here\n", 0),
        ("src/domain/utils.rs", "//! A file.\n", 1),
        ("src/command/x.rs", "//! A file.\nuse channel_kpi::book::Book;\n", 1),
        ("src/main.rs", "//! A file.\nfn main() { todo!() }\n", 1),
    ] {
        assert_eq!(breaches(path, text).len(), expected, "{path}: {text}");
    }
    assert_eq!(missing_of_kpi("src/kpi/x.rs", "//! A KPI.\n").len(), 5);
}
