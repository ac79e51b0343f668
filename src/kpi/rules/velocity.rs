//! velocity.slow_stage: the stage in which a subject's deals stay longer than those of its peers.

use super::super::deal_velocity::{cycle_days, deal_velocity};
use super::super::distribution::StageDays;
use super::super::figure::{Absent, Figure, Quantity, Ratio};
use super::super::recommendation::{About, EvidenceKind, Finding, Levels, Rule};
use super::super::standing::Standing;
use super::NO_VALUE;
use crate::domain::window::Window;

/// The mean days of peers in one stage.
pub struct PeersInStage {
    /// Of those with enough deals, sorted.
    means: Vec<Ratio>,
}

// === impl PeersInStage ===

impl PeersInStage {
    /// Of all of them, in any order.
    pub fn new(peers: impl Iterator<Item = StageDays>, levels: &Levels) -> Self {
        let is_enough = |days: &StageDays| days.deal_count >= levels.sample_min;
        let mut means: Vec<Ratio> = peers.filter(is_enough).filter_map(|days| days.mean().ok()).collect();
        means.sort_by(|a, b| a.cmp_exact(b).then_with(|| a.cmp_terms(b)));
        Self { means }
    }

    /// The median of all but one of them: of days, the nearest rank (docs/kpis.md §7). None where there is no other.
    fn median_of_others(&self, mine: &Ratio) -> Option<Ratio> {
        let own = self.means.partition_point(|mean| mean.cmp_exact(mine).is_lt());
        let middle = self.means.len().checked_sub(2)? / 2;
        // The place among the others, told among all.
        self.means.get(if middle < own { middle } else { middle + 1 }).copied()
    }
}

/// Fires where the mean days of a subject's deals in a stage exceed the median of its other peers' means by the
/// level. At stake is what the window's days would have brought more by the velocity, had the stage taken the
/// peers' days.
///
/// None with too few deals in the stage, of the subject or of every other peer.
/// Source: docs/kpis.md, section 9.
pub fn slow_stage<'a>(
    (stage, days): (Option<&'a str>, StageDays),
    peers: &PeersInStage,
    (standing, window): (&Standing, &Window),
    levels: &Levels,
) -> Option<Finding<'a>> {
    if days.deal_count < levels.sample_min {
        return None;
    }
    let mean = days.mean().ok()?;
    let median = peers.median_of_others(&mean)?;
    // mean > level · median, in whole numbers.
    let [above, below] = [mean.times(100), median.times(levels.slow_stage_percent)];
    if above.cmp_exact(&below).is_le() {
        return None;
    }
    let to_win = velocity_to_win(standing, mean.quotient() - median.quotient(), days.deal_count);
    let count = |count| Ok(Ratio::whole(Quantity::Count(count)));
    let finding = Finding::new(Rule::VelocitySlowStage, About::Stage(stage))
        .with(EvidenceKind::StageDays, Ok(mean), window)
        .with(EvidenceKind::StageDealCount, count(days.deal_count), window)
        .with(EvidenceKind::PeersStageDays, Ok(median), window)
        .with(EvidenceKind::DealVelocity, deal_velocity(standing), window)
        .at_stake(to_win.ok().map(|per_day| per_day * f64::from(standing.dates.days())));
    Some(match to_win {
        Ok(per_day) => finding.with_estimate(EvidenceKind::VelocityToWin, per_day, window),
        Err(_) => finding,
    })
}

/// What each day would bring more if so many deals had taken so many days less.
fn velocity_to_win(standing: &Standing, days: f64, deal_count: i64) -> Result<f64, Absent> {
    let velocity = deal_velocity(standing)?.quotient();
    let cycle: Figure = cycle_days(&standing.measures);
    let cycle = cycle?.quotient();
    let shorter = cycle - days * deal_count as f64 / standing.measures.won.count as f64;
    // No cycle is shorter than a day.
    if shorter < 1.0 { Err(NO_VALUE) } else { Ok(velocity * cycle / shorter - velocity) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::calendar::{DateRange, date};
    use crate::kpi::measures::{Measures, Tally};
    use crate::kpi::rules::testing::{assert_rests_on, assert_sound, levels, tally, window};

    const MARCH: &str = "2024-03-01..2024-04-01";

    /// So many days of so many deals.
    type Days = (i64, i64);

    fn stage_days((days, deal_count): Days) -> StageDays {
        StageDays { days, deal_count }
    }

    /// March, with these deals won and the work days given, all of them by deals of a day.
    fn standing(won: Tally, work_days: i64, cycle_days: i64) -> Standing {
        let dates = DateRange { from: date("2024-03-01"), to: date("2024-04-01") };
        let ended_day_numbers = won.count * i64::from(dates.to.day_number());
        let measures =
            Measures { won, cycle_days, ended_day_numbers, same_day_count: work_days, ..Measures::default() };
        Standing { measures, ..Standing::nothing(dates) }
    }

    /// 10 deals won of 310 each, a cycle of so many days: with 62 work days in 31 days N is 2, and velocity
    /// 2 · 1 · 310 / c.
    fn ten_won(cycle: i64) -> Standing {
        standing(tally(10, 10, 3_100), 62, 10 * cycle)
    }

    fn told_of<'a>(own: Days, others: &[Days], standing: &Standing, levels: &Levels) -> Option<Finding<'a>> {
        let all = [&own].into_iter().chain(others).map(|days| stage_days(*days));
        let peers = PeersInStage::new(all, levels);
        slow_stage((Some("legal"), stage_days(own)), &peers, (standing, &window(MARCH)), levels)
    }

    fn told<'a>(own: Days, others: &[Days]) -> Option<Finding<'a>> {
        told_of(own, others, &ten_won(20), &levels())
    }

    #[test]
    fn slow_stage_by_hand() {
        // 14 days beside 4, 6 and 8. Five of ten deals 8 days sooner: a cycle of 16 days, not 20, and
        // 31 · 20 / 16 = 38.75 a day, not 31.
        let found = told((70, 5), &[(40, 5), (30, 5), (20, 5)]).expect("14 > 1.5 · 6");
        assert_eq!((found.rule, found.about), (Rule::VelocitySlowStage, About::Stage(Some("legal"))));
        let march = window(MARCH);
        assert_rests_on(
            &found,
            &[
                (EvidenceKind::StageDays, 14.0, &march),
                (EvidenceKind::StageDealCount, 5.0, &march),
                (EvidenceKind::PeersStageDays, 6.0, &march),
                (EvidenceKind::DealVelocity, 31.0, &march),
                (EvidenceKind::VelocityToWin, 7.75, &march),
            ],
            Some(7.75 * 31.0),
        );
    }

    #[test]
    fn threshold_by_hand() {
        for (own, others, fires) in [
            ((50, 5), vec![(40, 6)], false), // 10 = 1.5 · 20/3
            ((51, 5), vec![(40, 6)], true),
            ((50, 5), vec![(41, 6)], false),
            ((1, 5), vec![(0, 5)], true), // whatever takes time is longer than none
            ((0, 5), vec![(0, 5)], false),
            // Its own mean isn't among those whose median counts: 6 of 6, 6 and 10.
            ((50, 5), vec![(50, 5), (30, 5), (30, 5)], true),
            ((50, 5), vec![(100, 10), (50, 5), (30, 5)], false), // 10 of 10, 10 and 6: one alone is left out
            ((50, 5), vec![(50, 5), (50, 5), (50, 5)], false),
            ((50, 5), vec![(30, 5), (40, 5)], true), // 10 > 1.5 · 6, the nearest rank; 10 < 1.5 · 7, the midpoint
            ((50, 5), vec![(35, 5), (100, 5)], false), // 10 < 1.5 · 7
            ((50, 5), vec![(20, 5), (35, 5), (60, 5), (100, 5)], false), // 7 of 4, 7, 12 and 20
            ((50, 5), vec![(20, 5), (30, 5), (60, 5), (100, 5)], true), // 6
            ((50, 5), vec![(100, 5), (20, 5), (20, 5)], true), // it needn't be the slowest
            // Samples that are too small
            ((400, 4), vec![(30, 5)], false),
            ((50, 5), vec![(4, 4)], false),
            ((50, 5), vec![(45, 5), (4, 4), (4, 4)], false),
            ((50, 5), vec![], false),
        ] {
            assert_eq!(told(own, &others).is_some(), fires, "{own:?} {others:?}");
        }
        let of = |own, others: &[Days], levels| told_of(own, others, &ten_won(20), &levels).is_some();
        let (loose, strict) = (Levels { slow_stage_percent: 249, ..levels() }, levels());
        assert!(
            of((50, 5), &[(20, 5)], loose)
                && !of((50, 5), &[(20, 5)], Levels { slow_stage_percent: 250, ..strict })
        );
        let small = Levels { sample_min: 4, ..levels() };
        assert!(of((400, 4), &[(30, 5)], small) && of((50, 5), &[(4, 4)], small));
        let none = Levels { sample_min: 0, ..levels() };
        assert!(!of((0, 0), &[(30, 5)], none) && !of((50, 5), &[(0, 0)], none), "no deal has no mean");
    }

    #[test]
    fn a_cycle_below_a_day_has_no_velocity() {
        // Five of ten deals 8 days sooner: 4 days less on average.
        let of = |standing| told_of((70, 5), &[(30, 5)], &standing, &levels()).expect("14 > 1.5 · 6");
        let at = |cycle| of(ten_won(cycle));
        // To a day: 124 a day become 620.
        let to_a_day = at(5);
        assert_eq!(to_a_day.quotient(EvidenceKind::VelocityToWin), Some(496.0));
        assert_eq!(to_a_day.effect_e4, Some(496 * 31 * 10_000));
        let below = at(4);
        assert_eq!((below.quotient(EvidenceKind::VelocityToWin), below.effect_e4), (None, None));
        assert_eq!(below.quotient(EvidenceKind::DealVelocity), Some(155.0));
        let just_below = of(standing(tally(10, 10, 3_100), 62, 49));
        assert_eq!((just_below.quotient(EvidenceKind::VelocityToWin), just_below.effect_e4), (None, None));
    }

    #[test]
    fn without_a_velocity_the_days_are_told_all_the_same() {
        for standing in [standing(tally(10, 0, 0), 62, 200), standing(Tally::default(), 62, 0)] {
            let found = told_of((70, 5), &[(30, 5)], &standing, &levels()).expect("14 > 1.5 · 6");
            let kinds: Vec<_> = found.evidence.iter().map(|evidence| evidence.kind).collect();
            use EvidenceKind::{PeersStageDays, StageDays, StageDealCount};
            assert_eq!(kinds, [StageDays, StageDealCount, PeersStageDays]);
            assert_eq!(found.effect_e4, None);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_found_is_sound(
            own in (0i64..60, 0i64..9),
            others in proptest::collection::vec((0i64..60, 0i64..9), 0..9),
            (count, priced_count, cycle_days, work_days) in (0i64..9, 0i64..9, 0i64..200, 0i64..99),
            sample_min in 0i64..9,
        ) {
            let won = tally(count + priced_count, priced_count, i128::from(priced_count) * 7);
            let standing = standing(won, work_days, cycle_days.max(won.count));
            let found = told_of(own, &others, &standing, &Levels { sample_min, ..levels() });
            prop_assert!(found.is_none() || own.1 >= sample_min);
            found.iter().for_each(assert_sound);
        }
    }
}
