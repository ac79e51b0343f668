//! close.falling and close.rising: whether more or fewer prospects purchase than a year before.

use super::super::average_deal_size::average_deal_size;
use super::super::close_rate::close_rate;
use super::super::drivers::RateTerms;
use super::super::figure::{Quantity, Ratio};
use super::super::measures::Measures;
use super::super::recommendation::{About, EvidenceKind, Finding, Levels, Rule, Tested};
use super::super::significance::two_proportions;
use super::super::standing::Cohort;
use crate::domain::window::Window;

/// The cohort's close rate beside that of the same window a year before at equal age: the same season. At stake
/// are the purchases that the prospects of the window would have made more or fewer at the other rate, at the
/// average deal size of the window.
///
/// None with too few prospects in one of the windows, and where the rates are equal.
/// Source: docs/kpis.md, section 9.
pub fn close<'a>(
    (now, measures, window): (&Cohort, &Measures, &Window),
    (before, window_before): (&Cohort, &Window),
    levels: &Levels,
) -> Option<Tested<'a>> {
    if now.prospect_count.min(before.prospect_count) < levels.sample_min {
        return None;
    }
    let (rate, rate_before) = (close_rate(now).ok()?, close_rate(before).ok()?);
    let rule = match rate.cmp_exact(&rate_before) {
        std::cmp::Ordering::Less => Rule::CloseFalling,
        std::cmp::Ordering::Equal => return None,
        std::cmp::Ordering::Greater => Rule::CloseRising,
    };
    let terms =
        |cohort: &Cohort| RateTerms { numerator: cohort.purchased_count, denominator: cohort.prospect_count };
    let p_value = two_proportions(terms(now), terms(before))?;
    let purchases = (rate.quotient() - rate_before.quotient()).abs() * now.prospect_count as f64;
    let count = |count| Ok(Ratio::whole(Quantity::Count(count)));
    let finding = Finding::new(rule, About::Nothing)
        .with(EvidenceKind::CloseRate, Ok(rate), window)
        .with(EvidenceKind::ProspectCount, count(now.prospect_count), window)
        .with(EvidenceKind::CloseRateYearBefore, Ok(rate_before), window_before)
        .with(EvidenceKind::ProspectCountYearBefore, count(before.prospect_count), window_before)
        .with(EvidenceKind::AverageDealSize, average_deal_size(measures), window)
        .with_estimate(EvidenceKind::PValue, p_value, window)
        .at_stake(average_deal_size(measures).ok().map(|size| size.quotient() * purchases));
    Some(Tested { p_value, finding })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kpi::rules::testing::{assert_rests_on, assert_sound_test, holds, levels, window, won};

    const NOW: &str = "2024-01-01..2024-04-01";
    const BEFORE: &str = "2023-01-01..2023-04-01";

    /// So many purchased of so many prospects.
    fn cohort((purchased_count, prospect_count): (i64, i64)) -> Cohort {
        Cohort { prospect_count, purchased_count, lost_count: 0 }
    }

    /// Of deals of 250 on average: 4 of 5 have an amount.
    fn told<'a>(now: (i64, i64), before: (i64, i64), levels: &Levels) -> Option<Tested<'a>> {
        let measures = won(5, 4, 1_000);
        close((&cohort(now), &measures, &window(NOW)), (&cohort(before), &window(BEFORE)), levels)
    }

    #[test]
    fn falling_by_hand() {
        // Of C(11, 5) = 462 ways to choose the five, one has no purchase, and none is as unlikely: all five of
        // the six purchases among them has six. 6/6 less 0/5, times 5 prospects, times 250.
        let found = told((0, 5), (6, 6), &levels()).expect("five prospects are enough");
        assert_eq!((found.finding.rule, found.finding.about), (Rule::CloseFalling, About::Nothing));
        let (now, before) = (window(NOW), window(BEFORE));
        assert_rests_on(
            &found.finding,
            &[
                (EvidenceKind::CloseRate, 0.0, &now),
                (EvidenceKind::ProspectCount, 5.0, &now),
                (EvidenceKind::CloseRateYearBefore, 1.0, &before),
                (EvidenceKind::ProspectCountYearBefore, 6.0, &before),
                (EvidenceKind::AverageDealSize, 250.0, &now),
                (EvidenceKind::PValue, 1.0 / 462.0, &now),
            ],
            Some(1_250.0),
        );
        assert!((found.p_value - 1.0 / 462.0).abs() < 1e-15);
        assert!(holds(&found, &levels()));
    }

    #[test]
    fn rising_by_hand() {
        let found = told((6, 6), (0, 5), &levels()).expect("five prospects are enough");
        assert_eq!(found.finding.rule, Rule::CloseRising);
        assert_eq!(found.finding.effect_e4, Some(1500_0000), "all 6 prospects' purchases, 250 each");
        assert!(holds(&found, &levels()));

        // z = 0.2 / √(½ · ½ · 2 / 100) = 2 · √2; 0.2 · 100 · 250
        let great = told((60, 100), (40, 100), &levels()).expect("they are enough");
        assert!((great.p_value - libm::erfc(2.0)).abs() < 1e-14);
        assert_eq!((great.finding.rule, great.finding.effect_e4), (Rule::CloseRising, Some(5000_0000)));
    }

    #[test]
    fn silent_by_hand() {
        for (now, before, is_found) in [
            // Four purchases of ten prospects, all on one side: 2 · C(5, 4) / C(10, 4) = 10/210 = 0.048
            ((0, 5), (4, 5), true),
            // of eleven, none on the side of five: (C(6, 4) + C(5, 4)) / C(11, 4) = 20/330 = 0.061
            ((0, 5), (4, 6), false),
        ] {
            let found = told(now, before, &levels()).expect("five prospects are enough");
            assert_eq!(holds(&found, &levels()), is_found, "{now:?} {before:?}");
        }
        let loose = Levels { significance: 0.061, ..levels() };
        assert!(told((0, 5), (4, 6), &loose).is_some_and(|found| holds(&found, &loose)));

        assert_eq!(told((0, 4), (600, 600), &levels()), None, "too few now");
        assert_eq!(told((0, 500), (4, 4), &levels()), None, "too few before");
        let small = Levels { sample_min: 4, ..levels() };
        assert!(told((0, 4), (600, 600), &small).is_some() && told((0, 500), (4, 4), &small).is_some());
        assert_eq!(told((2, 6), (3, 9), &levels()), None, "equal rates of other terms");
        assert_eq!(told((0, 0), (0, 0), &Levels { sample_min: 0, ..levels() }), None, "no prospect");
    }

    #[test]
    fn nothing_known_of_the_deals_is_nothing_at_stake() {
        let (now, before) = (window(NOW), window(BEFORE));
        for measures in [Measures::default(), won(3, 0, 0)] {
            let found = close((&cohort((0, 5)), &measures, &now), (&cohort((6, 6)), &before), &levels());
            let found = found.expect("rates hang on no amount").finding;
            assert_eq!((found.effect_e4, found.quotient(EvidenceKind::AverageDealSize)), (None, None));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_found_is_sound(
            (now, now_rest, before, before_rest) in (0i64..9, 0i64..9, 0i64..9, 0i64..9),
            (count, priced_count, sample_min) in (0i64..3, 0i64..3, 0i64..9),
        ) {
            let measures = won(count + priced_count, priced_count, i128::from(priced_count) * 5);
            let levels = Levels { sample_min, ..levels() };
            let found = close(
                (&cohort((now, now + now_rest)), &measures, &window(NOW)),
                (&cohort((before, before + before_rest)), &window(BEFORE)),
                &levels,
            );
            prop_assert!(found.is_none() || (now + now_rest).min(before + before_rest) >= sample_min);
            found.iter().for_each(assert_sound_test);
        }
    }
}
