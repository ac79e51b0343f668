//! strategy.works and strategy.fails: whether what the company changed does what it was meant to.

use super::super::figure::{Quantity, Ratio};
use super::super::peers::direction;
use super::super::recommendation::{About, EvidenceKind, Finding, Named, Rule};
use super::super::strategy_effect::{Contrast, Verdict};
use crate::domain::subject::SubjectKind;
use crate::domain::window::Window;
use crate::kpi::Kpi;

/// The KPIs by which a strategy is judged: those that say what was brought about. Value scores compare subjects,
/// and so the treated with the others: half of the effect would be of the others' making.
pub const KPIS: [Kpi; 5] =
    [Kpi::AverageDealSize, Kpi::DealCount, Kpi::CloseRate, Kpi::DealVelocity, Kpi::DealSuccess];

/// Fires where all of the interval of a strategy's effect on a KPI lies on one side of 0. Nothing is at stake that
/// could be told in money, but of deal velocity, which is money per day: the effect on each of the treated,
/// without its sign, on all the days.
///
/// Source: docs/kpis.md, sections 7 and 9.
pub fn effect<'a>(
    (strategy, kpi): (Named<'a>, Kpi),
    (kind, include_sub_partners): (SubjectKind, bool),
    contrast: &Contrast,
    after: &Window,
) -> Option<Finding<'a>> {
    let effect = contrast.effect.as_ref().ok()?;
    let rule = match effect.verdict(direction(kpi)) {
        Verdict::Works => Rule::StrategyWorks,
        Verdict::Fails => Rule::StrategyFails,
        Verdict::Undecided => return None,
    };
    let [value, lower, upper] = match kpi {
        Kpi::AverageDealSize | Kpi::DealVelocity | Kpi::OpportunityPipeline => {
            [EvidenceKind::EffectAmount, EvidenceKind::EffectAmountLower, EvidenceKind::EffectAmountUpper]
        }
        Kpi::CloseRate | Kpi::DealSuccess | Kpi::MarketingChannel => {
            [EvidenceKind::EffectShare, EvidenceKind::EffectShareLower, EvidenceKind::EffectShareUpper]
        }
        Kpi::DealCount | Kpi::ValueScore => {
            [EvidenceKind::EffectCount, EvidenceKind::EffectCountLower, EvidenceKind::EffectCountUpper]
        }
    };
    let count = |count: usize| Ok(Ratio::whole(Quantity::Count(count as i64)));
    let stake = effect.value.abs() * contrast.treated_count as f64 * f64::from(after.counted().days());
    let finding = Finding::new(rule, About::Strategy { strategy, kpi, kind, include_sub_partners })
        .with_estimate(value, effect.value, after)
        .with_estimate(lower, effect.interval.0, after)
        .with_estimate(upper, effect.interval.1, after)
        .with(EvidenceKind::TreatedCount, count(contrast.treated_count), after)
        .with(EvidenceKind::OtherCount, count(contrast.other_count), after)
        .at_stake((kpi == Kpi::DealVelocity).then_some(stake));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::calendar::{DateRange, date};
    use crate::kpi::drivers::Ends;
    use crate::kpi::figure::Absent;
    use crate::kpi::rules::testing::{assert_rests_on, assert_sound, on, window};
    use crate::kpi::strategy_effect::{Effect, contrast};

    const AFTER: &str = "2024-01-01..2024-03-31";
    const STRATEGY: Named<'static> = Named { id: "s1", name: Some("fewer partners") };

    /// Of partners.
    fn effect(
        strategy: Named<'static>,
        kpi: Kpi,
        contrast: &Contrast,
        after: &Window,
    ) -> Option<Finding<'static>> {
        super::effect((strategy, kpi), (SubjectKind::Partner, false), contrast, after)
    }

    /// Four are treated, six aren't.
    fn effect_of(value: f64, interval: (f64, f64)) -> Contrast {
        let effect = Effect { treated_change: value + 1.0, other_change: 1.0, value, interval };
        Contrast { treated_count: 4, other_count: 6, effect: Ok(effect) }
    }

    #[test]
    fn works_and_fails_by_hand() {
        let after = window(AFTER);
        // 2 a day on 4 subjects in 90 days
        for (value, interval, rule) in
            [(2.0, (0.5, 3.5), Rule::StrategyWorks), (-2.0, (-3.5, -0.5), Rule::StrategyFails)]
        {
            let found = effect(STRATEGY, Kpi::DealVelocity, &effect_of(value, interval), &after)
                .expect("0 is outside of the interval");
            assert_eq!(found.rule, rule);
            let about = About::Strategy {
                strategy: STRATEGY,
                kpi: Kpi::DealVelocity,
                kind: SubjectKind::Partner,
                include_sub_partners: false,
            };
            assert_eq!(found.about, about);
            assert_rests_on(
                &found,
                &[
                    (EvidenceKind::EffectAmount, value, &after),
                    (EvidenceKind::EffectAmountLower, interval.0, &after),
                    (EvidenceKind::EffectAmountUpper, interval.1, &after),
                    (EvidenceKind::TreatedCount, 4.0, &after),
                    (EvidenceKind::OtherCount, 6.0, &after),
                ],
                Some(720.0),
            );
        }
    }

    #[test]
    fn kinds_follow_the_kpi_and_velocity_alone_is_money_by_the_day() {
        use EvidenceKind as Kind;
        let after = window(AFTER);
        let amount = [Kind::EffectAmount, Kind::EffectAmountLower, Kind::EffectAmountUpper];
        let share = [Kind::EffectShare, Kind::EffectShareLower, Kind::EffectShareUpper];
        let count = [Kind::EffectCount, Kind::EffectCountLower, Kind::EffectCountUpper];
        let kinds = [amount, count, share, amount, share];
        for (kpi, kinds) in KPIS.into_iter().zip(kinds) {
            let found = effect(STRATEGY, kpi, &effect_of(2.0, (0.5, 3.5)), &after).expect("above 0");
            assert_eq!(
                (found.rule, found.effect_e4.is_some()),
                (Rule::StrategyWorks, kpi == Kpi::DealVelocity)
            );
            let found = kinds.map(|kind| found.quotient(kind));
            assert_eq!(found, [Some(2.0), Some(0.5), Some(3.5)], "{kpi:?}");
        }
        let none_is_better = effect(STRATEGY, Kpi::OpportunityPipeline, &effect_of(2.0, (0.5, 3.5)), &after);
        assert_eq!(none_is_better, None);
    }

    #[test]
    fn days_to_come_count_for_nothing() {
        let dates = DateRange { from: date("2024-01-01"), to: date("2024-03-31") };
        let found =
            effect(STRATEGY, Kpi::DealVelocity, &effect_of(2.0, (0.5, 3.5)), &on(dates, "2024-01-10"));
        assert_eq!(found.and_then(|found| found.effect_e4), Some(800_000), "2 a day on 4 in 10 days");
    }

    #[test]
    fn silent_by_hand() {
        let after = window(AFTER);
        for interval in [(0.0, 3.5), (-3.5, 0.0), (0.0, 0.0), (-0.5, 4.0)] {
            let undecided = effect_of(1.0, interval);
            assert_eq!(effect(STRATEGY, Kpi::DealCount, &undecided, &after), None, "{interval:?}");
        }
        // Two on each side are enough, one on either isn't.
        let side = |count: usize, now: f64| vec![Ends { before: 1.0, now }; count];
        for (treated, others, fires) in [(2, 2, true), (1, 2, false), (2, 1, false), (0, 0, false)] {
            let found = contrast(&side(treated, 3.0), &side(others, 2.0));
            assert_eq!(
                effect(STRATEGY, Kpi::DealCount, &found, &after).is_some(),
                fires,
                "{treated} {others}"
            );
        }
        let absent = Contrast { effect: Err(Absent::DaysToCome), ..effect_of(2.0, (0.5, 3.5)) };
        assert_eq!(effect(STRATEGY, Kpi::DealCount, &absent, &after), None);
    }

    fn side() -> impl Strategy<Value = Vec<Ends<f64>>> {
        let figure = || prop_oneof![(-3i32..4).prop_map(f64::from), -1e3f64..1e3];
        let ends = (figure(), figure()).prop_map(|(before, now)| Ends { before, now });
        proptest::collection::vec(ends, 0..9)
    }

    proptest! {
        #[test]
        fn whatever_is_found_is_sound(treated in side(), others in side()) {
            let (after, contrast) = (window(AFTER), contrast(&treated, &others));
            let found: Vec<_> = Kpi::ALL.iter().map(|kpi| effect(STRATEGY, *kpi, &contrast, &after)).collect();
            found.iter().flatten().for_each(assert_sound);
            prop_assert!(found.iter().all(Option::is_none) || treated.len().min(others.len()) >= 2);
        }
    }
}
