//! pipeline.thin, pipeline.expiring and pipeline.behind: whether the pipeline carries the target, and what of
//! it is about to be lost.

use super::super::average_deal_size::average_deal_size;
use super::super::deal_success::deal_success;
use super::super::figure::{Figure, Quantity, Ratio};
use super::super::measures::{Measures, Tally};
use super::super::pipeline::{Expiring, Movement};
use super::super::recommendation::{About, EvidenceKind, Finding, Levels, Rule};
use super::super::target::Progress;
use crate::domain::window::Window;

/// Fires where the open deals expected to close before a target's end cover what remains of it less often than
/// the level says. How many more deals must be opened: those that bring what remains, each at the win rate and,
/// if the target is money, the average deal size of the window, less those already expected. At stake is what
/// these would bring, and no more than what remains.
///
/// Source: docs/kpis.md, section 9.
pub fn thin<'a>(
    (target_id, progress, days): (&'a str, &Progress<'_>, &Window),
    (now, window): (&Measures, &Window),
    levels: &Levels,
) -> Option<Finding<'a>> {
    let coverage = progress.coverage().ok()?;
    let level = Ratio::new(Quantity::Count(levels.coverage_percent), 100)?;
    if coverage.cmp_exact(&level).is_ge() {
        return None;
    }
    let expected_count = progress.outlook.expected.count;
    let win_rate = deal_success(now).ok().map(|rate| rate.quotient()).filter(|rate| *rate > 0.0);
    let size = average_deal_size(now).ok().map(|size| size.quotient()).filter(|size| *size > 0.0);
    let remaining = progress.remaining();
    let remaining_units = Ratio::whole(remaining).quotient();
    // What one opened deal brings, as the target counts, and in money.
    let (brings, brings_money) = match remaining {
        Quantity::AmountE4(_) => {
            let money = win_rate.zip(size).map(|(rate, size)| rate * size);
            (money, money)
        }
        Quantity::Count(_) => (win_rate, win_rate.zip(size).map(|(rate, size)| rate * size)),
    };
    let to_open = brings.map(|brings| (remaining_units / brings).ceil() - expected_count as f64);
    let to_open = to_open.filter(|count| *count > 0.0 && *count < 1e12);
    let stake = to_open.zip(brings_money).map(|(count, money)| match remaining {
        Quantity::AmountE4(_) => (count * money).min(remaining_units),
        Quantity::Count(_) => count * money,
    });
    let finding = Finding::new(Rule::PipelineThin, About::Target(target_id));
    let finding = with_value(finding, progress, days)
        .with(remaining_kind(remaining), Ok(Ratio::whole(remaining)), days)
        .with(EvidenceKind::Coverage, Ok(coverage), days)
        .with(EvidenceKind::ExpectedCount, count(expected_count), days)
        .with(EvidenceKind::WinRate, deal_success(now), window)
        .with(EvidenceKind::AverageDealSize, average_deal_size(now), window)
        .at_stake(stake);
    Some(match to_open {
        Some(deals) => finding.with(EvidenceKind::DealsToOpen, count(deals as i64), days),
        None => finding,
    })
}

/// Fires where even the upper bound of the landing lies below a target's value. At stake is what is missing at
/// the landing. What moved in the month before is told where anything did.
///
/// Source: docs/kpis.md, section 9.
pub fn behind<'a>(
    (target_id, progress, days): (&'a str, &Progress<'_>, &Window),
    (movement, month): (&Movement, &Window),
) -> Option<Finding<'a>> {
    let value = Ratio::whole(progress.goal.value).quotient();
    let landing = progress.landing().ok()?;
    let (_, upper) = progress.landing_interval();
    if upper >= value {
        return None;
    }
    let short = value - landing.quotient();
    let is_money = matches!(progress.goal.value, Quantity::AmountE4(_));
    let (landing_kind, upper_kind, short_kind) = match is_money {
        true => (EvidenceKind::LandingAmount, EvidenceKind::LandingUpperAmount, EvidenceKind::ShortAmount),
        false => (EvidenceKind::LandingCount, EvidenceKind::LandingUpperCount, EvidenceKind::ShortCount),
    };
    let amount = |tally: &Tally| Ok(Ratio::whole(Quantity::AmountE4(tally.amount_e4)));
    let finding = with_value(Finding::new(Rule::PipelineBehind, About::Target(target_id)), progress, days)
        .with(landing_kind, Ok(landing), days)
        .with_estimate(upper_kind, upper, days)
        .with_estimate(short_kind, short, days)
        .at_stake(is_money.then_some(short));
    let moved = [&movement.left.lost, &movement.left.expired, &movement.decreased];
    if moved.iter().all(|moved| moved.count == 0) {
        return Some(finding);
    }
    let finding = finding
        .with(EvidenceKind::MovedLost, amount(moved[0]), month)
        .with(EvidenceKind::MovedExpired, amount(moved[1]), month)
        .with(EvidenceKind::MovedDecreased, amount(moved[2]), month);
    Some(finding)
}

/// Fires where open deals expire within the days of the level. At stake is what they are worth by how likely
/// they are to be won, where that is known of any.
///
/// Source: docs/kpis.md, section 9.
pub fn expiring<'a>(found: &Expiring, days: &Window) -> Option<Finding<'a>> {
    if found.deals.count == 0 {
        return None;
    }
    let weighted = found.weighted_e8 as f64 / 1e8;
    let amount = Ok(Ratio::whole(Quantity::AmountE4(found.deals.amount_e4)));
    let finding = Finding::new(Rule::PipelineExpiring, About::Nothing)
        .with(EvidenceKind::ExpiringCount, count(found.deals.count), days)
        .with(EvidenceKind::ExpiringAmount, amount, days)
        .with_estimate(EvidenceKind::ExpiringWeighted, weighted, days)
        .at_stake((weighted > 0.0).then_some(weighted));
    Some(finding)
}

fn with_value<'a>(finding: Finding<'a>, progress: &Progress<'_>, days: &Window) -> Finding<'a> {
    let kind = match progress.goal.value {
        Quantity::AmountE4(_) => EvidenceKind::TargetAmount,
        Quantity::Count(_) => EvidenceKind::TargetCount,
    };
    finding.with(kind, Ok(Ratio::whole(progress.goal.value)), days)
}

fn remaining_kind(remaining: Quantity) -> EvidenceKind {
    match remaining {
        Quantity::AmountE4(_) => EvidenceKind::RemainingAmount,
        Quantity::Count(_) => EvidenceKind::RemainingCount,
    }
}

fn count(count: i64) -> Figure {
    Ok(Ratio::whole(Quantity::Count(count)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::amount::{Amount, BasisPoints};
    use crate::domain::calendar::{Date, DateRange, date};
    use crate::kpi::pipeline::{Departures, OpenDeal};
    use crate::kpi::rules::testing::{assert_rests_on, assert_sound, levels, tally, window, won};
    use crate::kpi::target::{Goal, Outlook};

    const QUARTER: &str = "2024-01-01..2024-04-01";
    const YEAR: &str = "2023-02-15..2024-02-15";
    const MONTH: &str = "2024-01-16..2024-02-15";
    static NO_WEIGHTS: BTreeMap<Date, u32> = BTreeMap::new();

    /// A target of the quarter, what was won of it by the middle of February, and deals that are expected to
    /// close in March: ten-thousandths and basis points.
    fn progress(value: Quantity, won: Tally, open: &[(i64, i64)]) -> Progress<'static> {
        let dates = DateRange { from: date("2024-01-01"), to: date("2024-04-01") };
        let goal = Goal { value, dates, month_weights: &NO_WEIGHTS };
        let mut outlook = Outlook::new(&goal, date("2024-02-14"));
        for &(amount_e4, bps) in open {
            outlook.add(&OpenDeal {
                opened_on: date("2024-01-01"),
                expires_on: None,
                expected_close_on: Some(date("2024-03-15")),
                amount: Some(Amount::try_from_e4(amount_e4).expect("an amount")),
                probability: Some(BasisPoints::try_new(bps).expect("a probability")),
            });
        }
        Progress { goal, won, outlook }
    }

    fn money(units: i128) -> Quantity {
        Quantity::AmountE4(units * 10_000)
    }

    /// In the year: of four deals that ended two were won, 1,000 each. Each that is opened brings 500.
    fn half_won() -> Measures {
        Measures { lost: tally(1, 1, 9), expired: tally(1, 1, 9), ..won(2, 2, 2_000) }
    }

    fn told_thin(progress: &Progress<'_>, now: &Measures, levels: &Levels) -> Option<Finding<'static>> {
        thin(("t1", progress, &window(QUARTER)), (now, &window(YEAR)), levels)
    }

    fn told_behind(progress: &Progress<'_>, movement: &Movement) -> Option<Finding<'static>> {
        behind(("t1", progress, &window(QUARTER)), (movement, &window(MONTH)))
    }

    #[test]
    fn thin_money_by_hand() {
        let (quarter, year) = (window(QUARTER), window(YEAR));
        // 6,100 remain, which 9,000 cover 1.48 times. At 500 each that takes 12.2, so 13; two are there.
        let two = [(4000_0000, 5_000), (5000_0000, 5_000)];
        let found = told_thin(&progress(money(10_000), tally(2, 2, 3_900), &two), &half_won(), &levels());
        let found = found.expect("less than 3 times");
        assert_eq!((found.rule, found.about), (Rule::PipelineThin, About::Target("t1")));
        assert_rests_on(
            &found,
            &[
                (EvidenceKind::TargetAmount, 10_000.0, &quarter),
                (EvidenceKind::RemainingAmount, 6_100.0, &quarter),
                (EvidenceKind::Coverage, 90.0 / 61.0, &quarter),
                (EvidenceKind::ExpectedCount, 2.0, &quarter),
                (EvidenceKind::WinRate, 0.5, &year),
                (EvidenceKind::AverageDealSize, 1_000.0, &year),
                (EvidenceKind::DealsToOpen, 11.0, &quarter),
            ],
            Some(5_500.0),
        );
        // Without these two all 13, which would bring 6,500: no more than what remains is at stake.
        let found = told_thin(&progress(money(10_000), tally(2, 2, 3_900), &[]), &half_won(), &levels());
        let found = found.expect("nothing covers it");
        assert_eq!(found.quotient(EvidenceKind::DealsToOpen), Some(13.0));
        assert_eq!((found.quotient(EvidenceKind::Coverage), found.effect_e4), (Some(0.0), Some(6100_0000)));
    }

    #[test]
    fn thin_count_by_hand() {
        let (quarter, year) = (window(QUARTER), window(YEAR));
        // Six deals remain, at a win rate of a half twelve; two are there. Ten bring 500 each.
        let two = [(1_0000, 5_000), (1_0000, 5_000)];
        let target = progress(Quantity::Count(10), tally(4, 4, 7), &two);
        let found = told_thin(&target, &half_won(), &levels()).expect("a third of what remains");
        assert_rests_on(
            &found,
            &[
                (EvidenceKind::TargetCount, 10.0, &quarter),
                (EvidenceKind::RemainingCount, 6.0, &quarter),
                (EvidenceKind::Coverage, 1.0 / 3.0, &quarter),
                (EvidenceKind::ExpectedCount, 2.0, &quarter),
                (EvidenceKind::WinRate, 0.5, &year),
                (EvidenceKind::AverageDealSize, 1_000.0, &year),
                (EvidenceKind::DealsToOpen, 10.0, &quarter),
            ],
            Some(5_000.0),
        );
        // Of none an amount is known: how many is told all the same.
        let unpriced = Measures { lost: tally(2, 0, 0), ..won(2, 0, 0) };
        let found = told_thin(&target, &unpriced, &levels()).expect("a third of what remains");
        assert_eq!((found.quotient(EvidenceKind::DealsToOpen), found.effect_e4), (Some(10.0), None));
    }

    #[test]
    fn coverage_by_hand() {
        let thin_at = |value, won: Tally, open_e4: i64, levels: &Levels| {
            told_thin(&progress(value, won, &[(open_e4, 5_000)]), &half_won(), levels).is_some()
        };
        let won = tally(2, 2, 4_000);
        assert!(!thin_at(money(10_000), won, 180_000_000, &levels()), "exactly 3 times");
        assert!(thin_at(money(10_000), won, 179_999_999, &levels()));
        let low = Levels { coverage_percent: 150, ..levels() };
        assert!(
            !thin_at(money(10_000), won, 9000_0000, &low) && thin_at(money(10_000), won, 8999_9999, &low)
        );
        assert!(!thin_at(money(4_000), won, 0, &levels()), "nothing remains");
        assert!(
            !thin_at(Quantity::Count(2), won, 0, &levels()) && thin_at(Quantity::Count(3), won, 0, &levels())
        );
    }

    #[test]
    fn deals_to_open_need_a_rate_and_a_size() {
        let target = progress(money(10_000), tally(2, 2, 4_000), &[(1_0000, 5_000)]);
        let count = progress(Quantity::Count(10), tally(4, 4, 7), &[(1_0000, 5_000)]);
        let none_won = Measures { lost: tally(3, 3, 9), ..Measures::default() };
        for (target, now, rate) in [
            (&target, Measures::default(), None),
            (&count, Measures::default(), None),
            (&target, none_won, Some(0.0)),
            (&count, none_won, Some(0.0)),
            (&target, won(2, 0, 0), Some(1.0)), // no amount is known
            (&target, won(2, 2, 0), Some(1.0)), // each is worth nothing
        ] {
            let found = told_thin(target, &now, &levels()).expect("it is thin whatever is won");
            assert_eq!((found.quotient(EvidenceKind::WinRate), found.effect_e4), (rate, None));
            assert_eq!(found.quotient(EvidenceKind::DealsToOpen), None);
        }
        // More deals than anybody opens: 10¹³.
        let mut tiny = won(1, 1, 0);
        tiny.won.amount_e4 = 1;
        let found = told_thin(&progress(money(1_000_000_000), tally(0, 0, 0), &[]), &tiny, &levels());
        let found = found.expect("nothing covers it");
        assert_eq!((found.quotient(EvidenceKind::DealsToOpen), found.effect_e4), (None, None));
        // 6,000 at 500 each are twelve, and twelve small ones are there; one of eleven is missing.
        let told = |count: usize| {
            let open = vec![(100_0000, 5_000); count];
            let found =
                told_thin(&progress(money(10_000), tally(2, 2, 4_000), &open), &half_won(), &levels());
            let found = found.expect("1,200 are less than 18,000");
            (found.quotient(EvidenceKind::DealsToOpen), found.effect_e4)
        };
        assert_eq!(told(12), (None, None));
        assert_eq!(told(11), (Some(1.0), Some(500_0000)));
    }

    /// Two of 1,000 and a probability of a half each: 1,000 ± 1.2816 · √(2 · ¼ · 1,000²).
    const EVEN: [(i64, i64); 2] = [(1000_0000, 5_000); 2];

    #[test]
    fn behind_by_hand() {
        let (quarter, month) = (window(QUARTER), window(MONTH));
        let left = Departures { won: tally(1, 1, 70), lost: tally(1, 1, 300), expired: tally(2, 1, 20) };
        let movement = Movement { left, decreased: tally(1, 1, 50), ..Movement::default() };
        let found = told_behind(&progress(money(10_000), tally(2, 2, 4_000), &EVEN), &movement);
        let found = found.expect("5,906 at the most");
        assert_eq!((found.rule, found.about), (Rule::PipelineBehind, About::Target("t1")));
        let figures = [
            (EvidenceKind::TargetAmount, 10_000.0, &quarter),
            (EvidenceKind::LandingAmount, 5_000.0, &quarter),
            (EvidenceKind::LandingUpperAmount, 5_906.228_050_768_679, &quarter),
            (EvidenceKind::ShortAmount, 5_000.0, &quarter),
            (EvidenceKind::MovedLost, 300.0, &month),
            (EvidenceKind::MovedExpired, 20.0, &month),
            (EvidenceKind::MovedDecreased, 50.0, &month),
        ];
        assert_rests_on(&found, &figures, Some(5_000.0));

        // The same of deals: 4 won, 1 ± 1.2816 · √½. Deals are no money. What came or was won is no loss.
        let came = Movement { created: tally(9, 9, 9), increased: tally(1, 1, 9), ..Movement::default() };
        let came = Movement { left: Departures { won: tally(1, 1, 9), ..Departures::default() }, ..came };
        let found = told_behind(&progress(Quantity::Count(10), tally(4, 4, 7), &EVEN), &came);
        assert_rests_on(
            &found.expect("5.9 at the most"),
            &[
                (EvidenceKind::TargetCount, 10.0, &quarter),
                (EvidenceKind::LandingCount, 5.0, &quarter),
                (EvidenceKind::LandingUpperCount, 5.906_228_050_768_679, &quarter),
                (EvidenceKind::ShortCount, 5.0, &quarter),
            ],
            None,
        );
    }

    #[test]
    fn moved_is_told_where_any_of_it_did() {
        let nothing = Movement::default();
        let lost = Departures { lost: tally(1, 1, 3), ..Departures::default() };
        let expired = Departures { expired: tally(1, 1, 3), ..Departures::default() };
        for (movement, moved) in [
            (nothing, None),
            (Movement { left: lost, ..nothing }, Some([3.0, 0.0, 0.0])),
            (Movement { left: expired, ..nothing }, Some([0.0, 3.0, 0.0])),
            (Movement { decreased: tally(1, 1, 3), ..nothing }, Some([0.0, 0.0, 3.0])),
            (Movement { in_between: lost, ..nothing }, None),
        ] {
            let found = told_behind(&progress(money(10_000), tally(2, 2, 4_000), &EVEN), &movement);
            let found = found.expect("5,906 at the most");
            let kinds = [EvidenceKind::MovedLost, EvidenceKind::MovedExpired, EvidenceKind::MovedDecreased];
            assert_eq!(
                kinds.map(|kind| found.quotient(kind)),
                moved.map_or([None; 3], |moved| moved.map(Some))
            );
        }
    }

    #[test]
    fn in_reach_by_hand() {
        let told = |value, open: &[(i64, i64)]| {
            told_behind(&progress(value, tally(2, 2, 4_000), open), &Movement::default())
        };
        assert_eq!(told(money(5_906), &EVEN), None, "the landing is 5,000, its upper bound 5,906.23");
        assert!(told(money(5_907), &EVEN).is_some());
        // All that is expected is certain: the bounds are the landing.
        assert_eq!(told(money(10_000), &[(6000_0000, 10_000)]), None);
        let almost = told(money(10_000), &[(5999_9999, 10_000)]).expect("one ten-thousandth is missing");
        assert_eq!(almost.effect_e4, Some(1));
        assert_eq!(told(money(4_000), &[]), None, "reached");
        assert_eq!(told(Quantity::Count(2), &[]), None);
        // Four of a half each: 2 won and 2 ± 1.2816.
        let four = [EVEN, EVEN].concat();
        assert_eq!(told(Quantity::Count(5), &four), None, "5.28 at the most");
        assert!(told(Quantity::Count(6), &four).is_some());
    }

    #[test]
    fn expiring_by_hand() {
        let days = window("2024-02-15..2024-02-29");
        let found = Expiring { deals: tally(3, 2, 1_500), weighted_e8: 400_0000_0000 };
        let figures = [
            (EvidenceKind::ExpiringCount, 3.0, &days),
            (EvidenceKind::ExpiringAmount, 1_500.0, &days),
            (EvidenceKind::ExpiringWeighted, 400.0, &days),
        ];
        let told = expiring(&found, &days).expect("three expire");
        assert_eq!((told.rule, told.about), (Rule::PipelineExpiring, About::Nothing));
        assert_rests_on(&told, &figures, Some(400.0));
        // Nothing is known of how likely they are.
        let unlikely = expiring(&Expiring { weighted_e8: 0, ..found }, &days).expect("three expire");
        assert_eq!(
            (unlikely.quotient(EvidenceKind::ExpiringWeighted), unlikely.effect_e4),
            (Some(0.0), None)
        );
        assert!(
            expiring(&Expiring { deals: tally(1, 0, 0), weighted_e8: 0 }, &days).is_some(),
            "one is enough"
        );
        assert_eq!(expiring(&Expiring::default(), &days), None);
    }

    proptest! {
        #[test]
        fn whatever_is_found_is_sound(
            (is_money, value) in (any::<bool>(), 1i64..60),
            (count, rest, units) in (0i64..9, 0i64..9, 0i128..40),
            open in proptest::collection::vec((0i64..40_0000, 0i64..=10_000), 0..9),
            (win, miss, size, moved) in (0i64..9, 0i64..9, 0i128..9, 0i128..9),
        ) {
            let value = if is_money { money(value.into()) } else { Quantity::Count(value) };
            let target = progress(value, tally(count + rest, count, units * i128::from(count)), &open);
            let now = Measures { lost: tally(miss, 0, 0), ..won(win, win, size * i128::from(win)) };
            let movement = Movement { decreased: tally(1, 1, moved), ..Movement::default() };
            let found = [told_thin(&target, &now, &levels()), told_behind(&target, &movement)];
            found.iter().flatten().for_each(assert_sound);
            let expired = Expiring { deals: target.outlook.expected, weighted_e8: moved };
            expiring(&expired, &window(MONTH)).iter().for_each(assert_sound);
        }
    }
}
