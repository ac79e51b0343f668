//! size.grow and size.falling: whether deals get larger.

use super::super::average_deal_size::average_deal_size;
use super::super::figure::{Quantity, Ratio};
use super::super::measures::Measures;
use super::super::recommendation::{About, EvidenceKind, Finding, Levels, Rule, Tested};
use super::super::trend::trend;
use crate::domain::window::Window;

/// Months that are looked at.
pub const MONTHS: usize = 12;

/// The trend of the average deal size over the ended months, oldest first, and what it is worth on the deals
/// won in the window.
///
/// Definition: Theil and Sen's slope of the months with enough priced deals, tested by Mann and Kendall; at
/// stake is what the slope adds up to from the first such month to the last, on each priced deal of the window.
/// None with fewer than five such months, and where the median slope is 0.
/// Source: docs/kpis.md, sections 7 and 9.
pub fn size<'a>(
    months: &[(Window, Measures)],
    (now, window): (&Measures, &Window),
    levels: &Levels,
) -> Option<Tested<'a>> {
    let is_enough = |measures: &Measures| measures.won.priced_count >= levels.sample_min;
    let size = |(_, measures): &(Window, Measures)| {
        is_enough(measures).then(|| average_deal_size(measures).ok()).flatten()
    };
    let sizes: Vec<Option<Ratio>> = months.iter().map(size).collect();
    let trend = trend(&sizes).ok()?;
    let slope = trend.slope_per_bucket;
    let rule = match slope {
        slope if slope > 0.0 => Rule::SizeGrow,
        slope if slope < 0.0 => Rule::SizeFalling,
        _ => return None,
    };
    let (first, last) = (sizes.iter().position(Option::is_some)?, sizes.iter().rposition(Option::is_some)?);
    let (first_window, last_window) = (&months[first].0, &months[last].0);
    let month_count = sizes.iter().flatten().count() as i64;
    let drift = slope.abs() * (last - first) as f64;
    let whole = |count| Ok(Ratio::whole(Quantity::Count(count)));
    let finding = Finding::new(rule, About::Nothing)
        .with_estimate(EvidenceKind::SlopePerMonth, slope, last_window)
        .with(EvidenceKind::AverageDealSizeBefore, sizes[first].ok_or(super::NO_VALUE), first_window)
        .with(EvidenceKind::AverageDealSize, sizes[last].ok_or(super::NO_VALUE), last_window)
        .with(EvidenceKind::MonthCount, whole(month_count), last_window)
        .with(EvidenceKind::WonCount, whole(now.won.count), window)
        .with_estimate(EvidenceKind::PValue, trend.p_value, last_window)
        .at_stake((now.won.priced_count > 0).then_some(drift * now.won.priced_count as f64));
    Some(Tested { p_value: trend.p_value, finding })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kpi::rules::testing::{assert_rests_on, assert_sound_test, holds, levels, tally, window, won};

    const Q4: &str = "2024-10-01..2025-01-01";

    /// Months from January 2024 on: each the deals won with an amount, and the average of these in units.
    fn months(sizes: &[(i64, i128)]) -> Vec<(Window, Measures)> {
        let month = |(at, (count, size)): (usize, &(i64, i128))| {
            let days = format!("2024-{:02}-01..2024-{:02}-01", at + 1, at + 2);
            (window(&days), won(*count, *count, size * i128::from(*count)))
        };
        sizes.iter().enumerate().map(month).collect()
    }

    fn told<'a>(sizes: &[(i64, i128)], levels: &Levels) -> Option<Tested<'a>> {
        size(&months(sizes), (&won(8, 6, 900), &window(Q4)), levels)
    }

    #[test]
    fn growing_by_hand() {
        let grows = [(5, 100), (5, 200), (5, 300), (5, 400), (5, 500)];
        let found = told(&grows, &levels()).expect("five months are enough");
        assert_eq!((found.finding.rule, found.finding.about), (Rule::SizeGrow, About::Nothing));
        let (first, last, now) =
            (window("2024-01-01..2024-02-01"), window("2024-05-01..2024-06-01"), window(Q4));
        // Every step is 100, so four of them 400 on each of the 6 priced deals; 2 of 5! orders are as far off.
        assert_rests_on(
            &found.finding,
            &[
                (EvidenceKind::SlopePerMonth, 100.0, &last),
                (EvidenceKind::AverageDealSizeBefore, 100.0, &first),
                (EvidenceKind::AverageDealSize, 500.0, &last),
                (EvidenceKind::MonthCount, 5.0, &last),
                (EvidenceKind::WonCount, 8.0, &now),
                (EvidenceKind::PValue, 1.0 / 60.0, &last),
            ],
            Some(2_400.0),
        );
        assert_eq!(found.p_value, 1.0 / 60.0);
        assert!(holds(&found, &levels()));
    }

    #[test]
    fn falling_by_hand() {
        let falls = [(7, 500), (5, 400), (5, 300), (9, 200), (5, 100)];
        let found = told(&falls, &levels()).expect("five months are enough");
        assert_eq!(found.finding.rule, Rule::SizeFalling);
        assert_eq!(found.finding.quotient(EvidenceKind::SlopePerMonth), Some(-100.0));
        assert_eq!(found.finding.effect_e4, Some(2400_0000), "without its sign");
        assert!(holds(&found, &levels()));
    }

    #[test]
    fn months_with_too_few_deals_are_gaps() {
        // Slopes between 100, 200, 300, 400, 500 in months 2, 4, 5, 6, 7: 50, 66.7, 75, 80 and six times 100,
        // the median 100. From month 2 to month 7 that is 500 on each of 6 deals.
        let gaps = [(4, 9_000), (5, 100), (4, 1), (5, 200), (5, 300), (5, 400), (5, 500), (4, 1), (0, 0)];
        let found = told(&gaps, &levels()).expect("five months are enough").finding;
        let (first, last, now) =
            (window("2024-02-01..2024-03-01"), window("2024-07-01..2024-08-01"), window(Q4));
        assert_rests_on(
            &found,
            &[
                (EvidenceKind::SlopePerMonth, 100.0, &last),
                (EvidenceKind::AverageDealSizeBefore, 100.0, &first),
                (EvidenceKind::AverageDealSize, 500.0, &last),
                (EvidenceKind::MonthCount, 5.0, &last),
                (EvidenceKind::WonCount, 8.0, &now),
                (EvidenceKind::PValue, 1.0 / 60.0, &last),
            ],
            Some(3_000.0),
        );
    }

    #[test]
    fn silent_by_hand() {
        // One exchange of neighbours: 10 of 5! orders are as far off, 0.083.
        let unsure = [(5, 100), (5, 200), (5, 300), (5, 500), (5, 400)];
        let found = told(&unsure, &levels()).expect("five months are enough");
        assert!(!holds(&found, &levels()));
        assert!(holds(&found, &Levels { significance: 0.084, ..levels() }));

        let steady = [(5, 300); 5];
        assert_eq!(told(&steady, &levels()), None, "no slope");
        let few = [(5, 100), (5, 200), (5, 300), (5, 400), (4, 500)];
        assert_eq!(told(&few, &levels()), None, "four months");
        assert!(told(&few, &Levels { sample_min: 4, ..levels() }).is_some());
        assert_eq!(size(&[], (&Measures::default(), &window(Q4)), &levels()), None);

        // Deals without an amount make no sample.
        let mut unpriced = months(&[(5, 100), (5, 200), (5, 300), (5, 400), (5, 500)]);
        unpriced[4].1.won = tally(5, 4, 2_000);
        assert_eq!(size(&unpriced, (&won(8, 6, 900), &window(Q4)), &levels()), None);
    }

    #[test]
    fn nothing_known_of_the_deals_is_nothing_at_stake() {
        let months = months(&[(5, 100), (5, 200), (5, 300), (5, 400), (5, 500)]);
        for now in [Measures::default(), won(3, 0, 0)] {
            let found = size(&months, (&now, &window(Q4)), &levels()).expect("five months are enough");
            assert_eq!(found.finding.effect_e4, None);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_found_is_sound(
            sizes in proptest::collection::vec((0i64..9, 0i128..4), 0..11),
            (count, priced_count) in (0i64..9, 0i64..9),
            sample_min in 1i64..7,
        ) {
            let now = won(count + priced_count, priced_count, 7);
            let levels = Levels { sample_min, ..levels() };
            let found = size(&months(&sizes), (&now, &window(Q4)), &levels);
            let enough = sizes.iter().filter(|(count, _)| *count >= sample_min).count();
            prop_assert!(found.is_none() || enough >= 5);
            found.iter().for_each(assert_sound_test);
        }
    }
}
