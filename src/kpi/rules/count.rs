//! count.hollow: more deals that are worth less.

use super::super::average_deal_size::average_deal_size;
use super::super::deal_count::deal_count;
use super::super::figure::{Quantity, Ratio};
use super::super::measures::Measures;
use super::super::recommendation::{About, EvidenceKind, Finding, Levels, Rule};
use crate::domain::window::Window;

/// Fires where more deals were won than in the comparison window and they are worth less, of no fewer known amounts:
/// else they may only seem to be. At stake is what the
/// priced deals of the window would have brought more at the average size of before.
///
/// Source: docs/kpis.md, section 9.
pub fn hollow<'a>(
    (now, window): (&Measures, &Window),
    (before, window_before): (&Measures, &Window),
    levels: &Levels,
) -> Option<Finding<'a>> {
    let fires = before.won.count >= levels.sample_min
        && now.won.count > before.won.count
        && now.won.priced_count >= before.won.priced_count
        && now.won.amount_e4 < before.won.amount_e4;
    if !fires {
        return None;
    }
    let amount = |measures: &Measures| Ok(Ratio::whole(Quantity::AmountE4(measures.won.amount_e4)));
    let at_former_size = average_deal_size(before)
        .ok()
        .filter(|_| now.won.priced_count > 0)
        .map(|size| size.quotient() * now.won.priced_count as f64 - now.won.amount_e4 as f64 / 10_000.0);
    let finding = Finding::new(Rule::CountHollow, About::Nothing)
        .with(EvidenceKind::WonCount, deal_count(now), window)
        .with(EvidenceKind::WonCountBefore, deal_count(before), window_before)
        .with(EvidenceKind::WonAmount, amount(now), window)
        .with(EvidenceKind::WonAmountBefore, amount(before), window_before)
        .with(EvidenceKind::AverageDealSize, average_deal_size(now), window)
        .with(EvidenceKind::AverageDealSizeBefore, average_deal_size(before), window_before)
        .at_stake(at_former_size);
    Some(finding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kpi::rules::testing::{assert_rests_on, assert_sound, levels, window, won};

    const NOW: &str = "2024-04-01..2024-07-01";
    const BEFORE: &str = "2024-01-01..2024-04-01";

    fn told<'a>(now: Measures, before: Measures, levels: &Levels) -> Option<Finding<'a>> {
        hollow((&now, &window(NOW)), (&before, &window(BEFORE)), levels)
    }

    #[test]
    fn hollow_by_hand() {
        // At 200 each the 6 priced deals would have brought 1,200: 300 more.
        let found = told(won(7, 6, 900), won(5, 5, 1_000), &levels()).expect("more deals, less money");
        assert_eq!((found.rule, found.about), (Rule::CountHollow, About::Nothing));
        let (now, before) = (window(NOW), window(BEFORE));
        assert_rests_on(
            &found,
            &[
                (EvidenceKind::WonCount, 7.0, &now),
                (EvidenceKind::WonCountBefore, 5.0, &before),
                (EvidenceKind::WonAmount, 900.0, &now),
                (EvidenceKind::WonAmountBefore, 1_000.0, &before),
                (EvidenceKind::AverageDealSize, 150.0, &now),
                (EvidenceKind::AverageDealSizeBefore, 200.0, &before),
            ],
            Some(300.0),
        );
    }

    #[test]
    fn silent_by_hand() {
        let before = won(5, 5, 1_000);
        let mut little_less = won(6, 6, 1_000);
        little_less.won.amount_e4 -= 1;
        for (now, before, fires) in [
            (won(5, 5, 900), before, false),   // as many
            (won(6, 6, 1_000), before, false), // worth as much
            (little_less, before, true),
            (won(4, 4, 900), before, false),
            (won(6, 6, 900), won(4, 4, 1_000), false), // too few before
            (won(0, 0, 0), won(0, 0, 0), false),
        ] {
            assert_eq!(told(now, before, &levels()).is_some(), fires, "{now:?} {before:?}");
        }
        let small = Levels { sample_min: 4, ..levels() };
        assert!(told(won(6, 6, 900), won(4, 4, 1_000), &small).is_some());
    }

    #[test]
    fn amounts_that_arent_known_make_nothing_hollow() {
        assert_eq!(told(won(6, 0, 0), won(5, 5, 1_000), &levels()), None);
        assert_eq!(told(won(6, 4, 900), won(5, 5, 1_000), &levels()), None);
        assert!(told(won(6, 5, 900), won(5, 5, 1_000), &levels()).is_some());
    }

    proptest! {
        #[test]
        fn whatever_is_found_is_sound(
            (now, now_priced, before, before_priced) in (0i64..9, 0i64..9, 0i64..9, 0i64..9),
            (units, units_before, sample_min) in (0i128..50, 0i128..50, 0i64..9),
        ) {
            let sums = |rest, priced: i64, units| won(rest + priced, priced, units * i128::from(priced));
            let (now, before) = (sums(now, now_priced, units), sums(before, before_priced, units_before));
            let found = told(now, before, &Levels { sample_min, ..levels() });
            prop_assert!(found.is_none() || before.won.count >= sample_min);
            found.iter().for_each(assert_sound);
        }
    }
}
