//! Of the levels, the rules' names, and what a finding holds.

use std::collections::HashSet;

use super::*;
use crate::kpi::figure::{Absent, Quantity};
use crate::kpi::rules::testing::window;

/// The default that the wire's documentation names of each threshold.
fn documented() -> Vec<(String, f64)> {
    let proto = include_str!("../../../proto/channelkpi/v1/tenant_settings.proto");
    let (_, thresholds) = proto.split_once("message Thresholds {").expect("there is such a message");
    let fields = thresholds.split(" = ").filter_map(|field| {
        let (about, name) = field.rsplit_once("optional int32 ")?;
        let about: Vec<&str> = about.split_whitespace().filter(|word| *word != "//").collect();
        let at = about.windows(2).position(|words| words[0] == "by" && words[1].starts_with("default"))?;
        Some((name.to_owned(), about.get(at.checked_sub(1)?)?.parse().expect("a number")))
    });
    fields.collect()
}

#[test]
fn default_levels_are_those_documented() {
    let levels = Levels::from(&Thresholds::default());
    let expected = Levels {
        coverage_percent: 300,
        expiring_days: 14,
        slow_stage_percent: 150,
        replace_percent: 75,
        replace_sample_min: 20,
        sample_min: 5,
        channel_leads_min: 30,
        peers_min: 10,
        significance: 0.05,
    };
    assert_eq!(levels, expected);
    let told = [
        ("coverage_percent", levels.coverage_percent as f64),
        ("expiring_days", f64::from(levels.expiring_days)),
        ("slow_stage_percent", levels.slow_stage_percent as f64),
        ("replace_percent", levels.replace_percent as f64),
        ("replace_sample_min", levels.replace_sample_min as f64),
        ("sample_min", levels.sample_min as f64),
        ("channel_leads_min", levels.channel_leads_min as f64),
        ("peers_min", levels.peers_min as f64),
        ("significance_bps", levels.significance * 10_000.0),
        ("stale_days", 60.0), // no level of a rule
    ];
    assert_eq!(documented(), told.map(|(name, level)| (name.to_owned(), level)));
}

#[test]
fn levels_are_the_tenants_own() {
    let thresholds = Thresholds {
        coverage_percent: Some(1),
        expiring_days: Some(2),
        slow_stage_percent: Some(103),
        replace_percent: Some(4),
        replace_sample_min: Some(5),
        sample_min: Some(6),
        channel_leads_min: Some(7),
        peers_min: Some(8),
        significance_bps: Some(9),
        stale_days: Some(10),
    };
    let expected = Levels {
        coverage_percent: 1,
        expiring_days: 2,
        slow_stage_percent: 103,
        replace_percent: 4,
        replace_sample_min: 5,
        sample_min: 6,
        channel_leads_min: 7,
        peers_min: 8,
        significance: 0.0009,
    };
    assert_eq!(Levels::from(&thresholds), expected);
}

#[test]
fn each_rule_is_one_of_the_law_and_comes_once() {
    let law = include_str!("../../../docs/kpis.md");
    let ids: HashSet<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), Rule::ALL.len());
    let (_, section) = law.split_once("\n## 9. ").expect("there is such a section");
    let (section, _) = section.split_once("\n## ").expect("it isn't the last one");
    let of_table = section.lines().filter_map(|line| {
        let (rules, _) = line.strip_prefix("| ")?.split_once(" |")?;
        let rules: Vec<&str> = rules.split(" / ").collect();
        rules.iter().all(|rule| ids.contains(rule)).then_some(rules)
    });
    let of_table: Vec<&str> = of_table.flatten().collect();
    assert_eq!(of_table, Rule::ALL.map(Rule::id), "in the order of its table");
}

#[test]
fn texts_tell_figures_apart() {
    let names: HashSet<&str> = EvidenceKind::ALL.iter().map(|kind| kind.name()).collect();
    // An effect with its two bounds is money, a share or a count: texts say each of the three by one name.
    assert_eq!(names.len(), EvidenceKind::ALL.len() - 6);
}

#[test]
fn what_is_at_stake_is_a_sum_of_money_or_not_told() {
    let told = |units| Finding::new(Rule::CloseFalling, About::Nothing).at_stake(units).effect_e4;
    for (units, expected) in [
        (None, None),
        (Some(0.0), Some(0)),
        (Some(12.345_64), Some(123_456)),
        (Some(12.345_66), Some(123_457)),
        (Some(1.0 / 32.0), Some(312)), // 312.5, half to even
        (Some(3.0 / 32.0), Some(938)), // 937.5
        (Some(-0.5), None),
        (Some(f64::NAN), None),
        (Some(f64::INFINITY), None),
    ] {
        assert_eq!(told(units), expected, "{units:?}");
    }
}

#[test]
fn what_is_absent_is_no_evidence() {
    let (now, before) = (window("2024-01-01..2024-02-01"), window("2023-12-01..2024-01-01"));
    let finding = Finding::new(Rule::CountHollow, About::Nothing)
        .with(EvidenceKind::WonCount, Ok(Ratio::whole(Quantity::Count(3))), &now)
        .with(EvidenceKind::AverageDealSize, Err(Absent::NoAmountKnown), &now)
        .with_estimate(EvidenceKind::PValue, 0.25, &before);
    let told: Vec<_> =
        finding.evidence.iter().map(|one| (one.kind, one.value.quotient(), one.window)).collect();
    assert_eq!(told, [(EvidenceKind::WonCount, 3.0, now), (EvidenceKind::PValue, 0.25, before)]);
    assert_eq!(finding.quotient(EvidenceKind::PValue), Some(0.25));
    assert_eq!(finding.quotient(EvidenceKind::AverageDealSize), None);
}
