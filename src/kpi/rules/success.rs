//! success.strong, success.weak and success.replace: who wins more or less of what it works on than its peers.

use super::super::average_deal_size::average_deal_size;
use super::super::deal_success::deal_success;
use super::super::drivers::{Rate, RateTerms};
use super::super::figure::{Absent, Figure, Quantity, Ratio, wilson_interval};
use super::super::measures::Measures;
use super::super::recommendation::{About, EvidenceKind, Finding, Levels, Rule, Tested};
use super::super::significance::two_proportions;
use crate::domain::window::Window;

/// A subject's ended deals in a window, and those of its other peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmongPeers {
    pub own: RateTerms,
    /// All of them together.
    pub others: RateTerms,
}

// === impl AmongPeers ===

impl AmongPeers {
    fn rates(&self) -> Option<(Ratio, Ratio)> {
        let rate = |terms| Rate::DealSuccess.figure(terms).ok();
        Some((rate(self.own)?, rate(self.others)?))
    }

    /// Whether so many deals ended, and so few of them were won, that a replacement is due: the upper bound of
    /// the Wilson interval lies below the level's share of the others' rate.
    fn is_far_below(&self, levels: &Levels) -> bool {
        let upper = wilson_interval(self.own.numerator, self.own.denominator).map(|(_, upper)| upper);
        let Some(((_, others), upper)) = self.rates().zip(upper) else { return false };
        let is_enough = self.own.denominator >= levels.replace_sample_min;
        is_enough && upper < others.quotient() * levels.replace_percent as f64 / 100.0
    }
}

/// A subject's deal success beside that of its other peers, pooled. At stake is what the deals that it won more
/// or fewer than peers would have of as many are worth, at its average size.
///
/// Weak becomes a replacement where it is so in the window before too; `may_be_replaced` says whether such a
/// subject can be.
/// None with too few ended deals, without others', and where the rates are equal.
/// Source: docs/kpis.md, section 9.
pub fn success<'a>(
    (now, measures, window): (&AmongPeers, &Measures, &Window),
    before: Option<(&AmongPeers, &Window)>,
    may_be_replaced: bool,
    levels: &Levels,
) -> Option<Tested<'a>> {
    if now.own.denominator < levels.sample_min {
        return None;
    }
    let (own, others) = now.rates()?;
    let is_weak = match own.cmp_exact(&others) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => return None,
        std::cmp::Ordering::Greater => false,
    };
    let p_value = two_proportions(now.own, now.others)?;
    let replaced_before = before.filter(|(before, _)| {
        is_weak && may_be_replaced && now.is_far_below(levels) && before.is_far_below(levels)
    });
    let rule = match (is_weak, replaced_before) {
        (true, Some(_)) => Rule::SuccessReplace,
        (true, None) => Rule::SuccessWeak,
        (false, _) => Rule::SuccessStrong,
    };
    let deals = (own.quotient() - others.quotient()).abs() * now.own.denominator as f64;
    let count = |count| Ok(Ratio::whole(Quantity::Count(count)));
    let mut finding = Finding::new(rule, About::Nothing)
        .with(EvidenceKind::DealSuccess, deal_success(measures), window)
        .with(EvidenceKind::EndedCount, count(now.own.denominator), window)
        .with(EvidenceKind::PeersDealSuccess, Ok(others), window)
        .with(EvidenceKind::AverageDealSize, average_deal_size(measures), window)
        .with_estimate(EvidenceKind::PValue, p_value, window)
        .at_stake(average_deal_size(measures).ok().map(|size| size.quotient() * deals));
    if let Some((before, window_before)) = replaced_before {
        let rate_before: Figure = before.rates().map(|(own, _)| own).ok_or(Absent::NoDealEnded);
        let (_, upper) = wilson_interval(now.own.numerator, now.own.denominator)?;
        finding = finding.with(EvidenceKind::DealSuccessBefore, rate_before, window_before).with_estimate(
            EvidenceKind::DealSuccessUpper,
            upper,
            window,
        );
    }
    Some(Tested { p_value, finding })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kpi::rules::testing::{assert_rests_on, assert_sound_test, holds, levels, tally, window, won};

    const NOW: &str = "2024-04-01..2024-07-01";
    const BEFORE: &str = "2024-01-01..2024-04-01";

    /// So many won of so many.
    type Terms = (i64, i64);

    fn among(own: Terms, others: Terms) -> AmongPeers {
        let terms = |(numerator, denominator)| RateTerms { numerator, denominator };
        AmongPeers { own: terms(own), others: terms(others) }
    }

    /// Deals of 200 on average: a fifth of those won has no amount; a tenth of the others expired.
    fn measures((count, ended_count): Terms) -> Measures {
        let (priced_count, missed_count) = (count - count / 5, ended_count - count);
        Measures {
            lost: tally(missed_count - missed_count / 10, 0, 0),
            expired: tally(missed_count / 10, 0, 0),
            ..won(count, priced_count, 200 * i128::from(priced_count))
        }
    }

    fn told<'a>(
        own: Terms,
        others: Terms,
        before: Option<(Terms, Terms)>,
        may_be_replaced: bool,
        levels: &Levels,
    ) -> Option<Tested<'a>> {
        let before = before.map(|(own, others)| among(own, others));
        let window_before = window(BEFORE);
        let before = before.as_ref().map(|before| (before, &window_before));
        success((&among(own, others), &measures(own), &window(NOW)), before, may_be_replaced, levels)
    }

    #[test]
    fn strong_by_hand() {
        // Of C(11, 5) = 462 ways to choose the five, one has all five wins, and none is as unlikely.
        let found = told((5, 5), (0, 6), None, true, &levels()).expect("five deals are enough");
        assert_eq!((found.finding.rule, found.finding.about), (Rule::SuccessStrong, About::Nothing));
        let now = window(NOW);
        // All five won more than peers would have, 200 each.
        assert_rests_on(
            &found.finding,
            &[
                (EvidenceKind::DealSuccess, 1.0, &now),
                (EvidenceKind::EndedCount, 5.0, &now),
                (EvidenceKind::PeersDealSuccess, 0.0, &now),
                (EvidenceKind::AverageDealSize, 200.0, &now),
                (EvidenceKind::PValue, 1.0 / 462.0, &now),
            ],
            Some(1_000.0),
        );
        assert!(holds(&found, &levels()));
    }

    #[test]
    fn weak_by_hand() {
        // z = 0.2 / √(½ · ½ · 2 / 100) = 2 · √2; 0.2 · 100 deals missed of 200 each
        let found = told((40, 100), (60, 100), None, true, &levels()).expect("they are enough");
        assert_eq!(found.finding.rule, Rule::SuccessWeak);
        let now = window(NOW);
        assert_rests_on(
            &found.finding,
            &[
                (EvidenceKind::DealSuccess, 0.4, &now),
                (EvidenceKind::EndedCount, 100.0, &now),
                (EvidenceKind::PeersDealSuccess, 0.6, &now),
                (EvidenceKind::AverageDealSize, 200.0, &now),
                (EvidenceKind::PValue, libm::erfc(2.0), &now),
            ],
            Some(4_000.0),
        );
        assert!(holds(&found, &levels()));
        let nothing_won = told((0, 5), (6, 6), None, true, &levels()).expect("five deals are enough").finding;
        assert_eq!((nothing_won.rule, nothing_won.effect_e4), (Rule::SuccessWeak, None), "no average size");
    }

    #[test]
    fn replacement_by_hand() {
        // Wilson's upper bounds are 0.301 and 0.195, three quarters of the others' rates 0.5625 and 0.375.
        let before = Some(((1, 25), (20, 40)));
        let found = told((2, 20), (15, 20), before, true, &levels()).expect("they are enough");
        assert_eq!((found.finding.rule, found.finding.about), (Rule::SuccessReplace, About::Nothing));
        let (now, window_before) = (window(NOW), window(BEFORE));
        // 0.65 · 20 deals missed of 200 each. z = 0.65 / √(17/40 · 23/40 · 2 / 20)
        let z = 0.65 / (17.0 * 23.0 / 16_000.0f64).sqrt();
        let p_value = libm::erfc(z / 2f64.sqrt());
        assert_rests_on(
            &found.finding,
            &[
                (EvidenceKind::DealSuccess, 0.1, &now),
                (EvidenceKind::EndedCount, 20.0, &now),
                (EvidenceKind::PeersDealSuccess, 0.75, &now),
                (EvidenceKind::AverageDealSize, 200.0, &now),
                (EvidenceKind::PValue, p_value, &now),
                (EvidenceKind::DealSuccessBefore, 0.04, &window_before),
                (EvidenceKind::DealSuccessUpper, 0.301_033_647_186_412_2, &now),
            ],
            Some(2_600.0),
        );
        assert!(holds(&found, &levels()));
    }

    #[test]
    fn replacement_needs_both_windows_and_a_partner() {
        let far = ((2, 20), (15, 20));
        let rule = |now: (Terms, Terms), before, may_be_replaced, levels: &Levels| {
            told(now.0, now.1, before, may_be_replaced, levels).map(|found| found.finding.rule)
        };
        let default = levels();
        for (now, before, may_be_replaced, levels, expected) in [
            (far, Some(far), true, default, Rule::SuccessReplace),
            (far, Some(far), false, default, Rule::SuccessWeak),
            (far, None, true, default, Rule::SuccessWeak),
            // The upper bound of 2 of 20 is 0.30103: above three quarters of 40 %, below those of 41 %.
            (((2, 20), (40, 100)), Some(far), true, default, Rule::SuccessWeak),
            (((2, 20), (41, 100)), Some(far), true, default, Rule::SuccessReplace),
            (far, Some(((2, 20), (40, 100))), true, default, Rule::SuccessWeak),
            (far, Some(((2, 20), (41, 100))), true, default, Rule::SuccessReplace),
            // 40 % of 75 % is 0.3, 41 % is 0.3075.
            (far, Some(far), true, Levels { replace_percent: 40, ..default }, Rule::SuccessWeak),
            (far, Some(far), true, Levels { replace_percent: 41, ..default }, Rule::SuccessReplace),
            (((0, 19), (15, 20)), Some(far), true, default, Rule::SuccessWeak),
            (far, Some(((0, 19), (15, 20))), true, default, Rule::SuccessWeak),
            (far, Some(((0, 0), (0, 0))), true, default, Rule::SuccessWeak),
            (far, Some(((2, 20), (0, 0))), true, default, Rule::SuccessWeak),
            // Who is better now was worse, and the other way round.
            (((15, 20), (2, 20)), Some(far), true, default, Rule::SuccessStrong),
            (far, Some(((15, 20), (2, 20))), true, default, Rule::SuccessWeak),
        ] {
            let found = rule(now, before, may_be_replaced, &levels);
            assert_eq!(found, Some(expected), "{now:?} {before:?} {may_be_replaced} {levels:?}");
        }
        let small = Levels { replace_sample_min: 19, ..levels() };
        let short = ((0, 19), (15, 20));
        assert_eq!(rule(short, Some(short), true, &small), Some(Rule::SuccessReplace));
        assert_eq!(
            rule(far, Some(far), true, &Levels { replace_sample_min: 21, ..small }),
            Some(Rule::SuccessWeak)
        );
    }

    #[test]
    fn silent_by_hand() {
        // Four wins of ten deals, all on one side: 10/210 = 0.048; of eleven, none on the side of five: 0.061.
        let is_found = |own, others, levels: &Levels| {
            holds(&told(own, others, None, true, levels).expect("five deals are enough"), levels)
        };
        assert!(is_found((0, 5), (4, 5), &levels()) && !is_found((0, 5), (4, 6), &levels()));
        assert!(is_found((0, 5), (4, 6), &Levels { significance: 0.061, ..levels() }));

        assert_eq!(told((0, 4), (600, 600), None, true, &levels()), None, "too few");
        assert!(told((0, 4), (600, 600), None, true, &Levels { sample_min: 4, ..levels() }).is_some());
        assert_eq!(told((0, 9), (0, 0), None, true, &levels()), None, "nothing of others ended");
        assert_eq!(told((2, 6), (3, 9), None, true, &levels()), None, "equal rates of other terms");
        assert_eq!(told((0, 0), (1, 2), None, true, &Levels { sample_min: 0, ..levels() }), None);
    }

    fn terms() -> impl Strategy<Value = Terms> {
        (0i64..40, 0i64..40).prop_map(|(count, missed_count)| (count, count + missed_count))
    }

    proptest! {
        #[test]
        fn whatever_is_found_is_sound(
            (own, others, before, others_before) in (terms(), terms(), terms(), terms()),
            may_be_replaced: bool,
            (sample_min, replace_sample_min, replace_percent) in (0i64..9, 0i64..40, 1i64..101),
        ) {
            let levels = Levels { sample_min, replace_sample_min, replace_percent, ..levels() };
            let found = told(own, others, Some((before, others_before)), may_be_replaced, &levels);
            found.iter().for_each(assert_sound_test);
            let Some(found) = found else { return Ok(()) };
            prop_assert!(own.1 >= sample_min);
            let is_replaced = found.finding.rule == Rule::SuccessReplace;
            prop_assert!(!is_replaced || may_be_replaced && own.1.min(before.1) >= replace_sample_min);
        }
    }
}
