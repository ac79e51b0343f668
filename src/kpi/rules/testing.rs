//! What the tests of the rules share: windows and sums by hand, and what any finding must be like.

use std::collections::HashSet;

use super::super::measures::{Measures, Tally};
use super::super::recommendation::{EvidenceKind, Finding, Levels, Tested};
use super::discovered;
use crate::domain::calendar::{DateRange, date};
use crate::domain::record::Thresholds;
use crate::domain::window::{PeriodStarts, Window, WindowSpec};

/// The days `from..to`, on the last of them.
pub fn window(days: &str) -> Window {
    let (from, to) = days.split_once("..").expect("two dates");
    on(DateRange { from: date(from), to: date(to) }, &date(to).plus_days(-1).to_string())
}

/// The days on another date.
pub fn on(dates: DateRange, as_of: &str) -> Window {
    let starts = PeriodStarts { week_start: chrono::Weekday::Mon, fiscal_year_start_month: 1 };
    WindowSpec::Dates(dates).resolve(date(as_of), &starts).expect("these are dates of the calendar")
}

pub fn levels() -> Levels {
    Levels::from(&Thresholds::default())
}

/// So many deals, so many of them with an amount, which add up to so many units.
pub fn tally(count: i64, priced_count: i64, units: i128) -> Tally {
    Tally { count, priced_count, amount_e4: units * 10_000 }
}

pub fn won(count: i64, priced_count: i64, units: i128) -> Measures {
    Measures { won: tally(count, priced_count, units), ..Measures::default() }
}

/// Asserts that the finding rests on these figures, in any order, each of its window, and on no others; and that
/// so many units are at stake.
pub fn assert_rests_on(
    finding: &Finding<'_>,
    figures: &[(EvidenceKind, f64, &Window)],
    units_at_stake: Option<f64>,
) {
    for (kind, expected, window) in figures {
        let found = finding.evidence.iter().find(|evidence| evidence.kind == *kind);
        let found = found.unwrap_or_else(|| panic!("no {kind:?} in {finding:#?}"));
        let value = found.value.quotient();
        assert!((value - expected).abs() <= 1e-12 * expected.abs(), "{kind:?} is {value}, not {expected}");
        assert_eq!(found.window, **window, "{kind:?}");
    }
    assert_eq!(finding.evidence.len(), figures.len(), "{finding:#?}");
    let stake_e4 = units_at_stake.map(|units| (units * 10_000.0).round() as i128);
    assert_eq!(finding.effect_e4, stake_e4, "{:?}", finding.rule);
    assert_sound(finding);
}

/// Whatever any rule finds: each figure is a number and is told once, and what is at stake isn't below 0.
pub fn assert_sound(finding: &Finding<'_>) {
    let kinds: HashSet<EvidenceKind> = finding.evidence.iter().map(|evidence| evidence.kind).collect();
    assert_eq!(kinds.len(), finding.evidence.len(), "a figure comes twice: {finding:#?}");
    assert!(finding.evidence.iter().all(|evidence| evidence.value.quotient().is_finite()), "{finding:#?}");
    assert!(finding.effect_e4.is_none_or(|effect_e4| effect_e4 >= 0), "{finding:#?}");
}

/// Whether it holds at the level, tested alone.
pub fn holds(tested: &Tested<'_>, levels: &Levels) -> bool {
    !discovered(vec![((), tested.clone())], levels).is_empty()
}

/// The same, of whatever a test makes of what was counted.
pub fn assert_sound_test(tested: &Tested<'_>) {
    assert!((0.0..=1.0 + 1e-12).contains(&tested.p_value), "{tested:#?}");
    assert_sound(&tested.finding);
}
