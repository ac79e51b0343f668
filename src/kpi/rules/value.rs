//! value.lead and value.lag: who brings the most and the least among its peers.

use super::super::Kpi;
use super::super::figure::{Quantity, Ratio};
use super::super::peers::{Peer, PeerGroup};
use super::super::recommendation::{About, EvidenceKind, Finding, Levels, Rule};
use crate::domain::window::Window;

/// The share of the other peers that the top decile beats.
const LEAD: f64 = 0.9;
/// That which the bottom decile beats at most.
const LAG: f64 = 0.1;

/// Fires for the top and the bottom decile by value score, where there are enough peers: those that beat at
/// least nine in ten of the others, ties half, and those that beat at most one.
///
/// Nothing is at stake that could be told.
/// Source: docs/kpis.md, section 9.
pub fn value<'a>(
    (peer, group): (&Peer, &PeerGroup),
    window: &Window,
    levels: &Levels,
) -> Option<Finding<'a>> {
    let position = group.position(Kpi::ValueScore, peer).ok()?;
    if position.peer_count < levels.peers_min {
        return None;
    }
    let rule = match position.percentile? {
        percentile if percentile >= LEAD => Rule::ValueLead,
        percentile if percentile <= LAG => Rule::ValueLag,
        _ => return None,
    };
    let count = |count| Ok(Ratio::whole(Quantity::Count(count)));
    let won = Quantity::AmountE4(peer.standing.measures.won.amount_e4);
    let finding = Finding::new(rule, About::Nothing)
        .with(EvidenceKind::ValueScore, group.figure(Kpi::ValueScore, peer), window)
        .with(EvidenceKind::ValueRank, count(position.rank), window)
        .with(EvidenceKind::PeerCount, count(position.peer_count), window)
        .with(EvidenceKind::WonAmount, Ok(Ratio::whole(won)), window);
    Some(finding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::calendar::{DateRange, date};
    use crate::kpi::measures::Tally;
    use crate::kpi::rules::testing::{assert_rests_on, assert_sound, levels, window, won};
    use crate::kpi::standing::Standing;

    const NOW: &str = "2024-01-01..2024-04-01";

    fn group(units: &[i128]) -> PeerGroup {
        let dates = DateRange { from: date("2024-01-01"), to: date("2024-04-01") };
        let peer = |units: &i128| {
            let standing = Standing { measures: won(1, 1, *units), ..Standing::nothing(dates) };
            Peer { standing, open: Tally::default() }
        };
        PeerGroup::new(units.iter().map(peer).collect())
    }

    fn told<'a>(group: &PeerGroup, place: usize, levels: &Levels) -> Option<Finding<'a>> {
        value((group.peer(place).expect("it is one of them"), group), &window(NOW), levels)
    }

    /// What is said of each.
    fn rules(units: &[i128], levels: &Levels) -> Vec<Option<Rule>> {
        let group = group(units);
        (0..units.len()).map(|place| told(&group, place, levels).map(|found| found.rule)).collect()
    }

    #[test]
    fn lead_and_lag_by_hand() {
        // In all 5,500, 550 on average.
        let ten = group(&[100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000]);
        let now = window(NOW);
        for (place, rule, score, rank, units) in [
            (9, Rule::ValueLead, 2_000.0 / 11.0, 1.0, 1_000.0),
            (0, Rule::ValueLag, 200.0 / 11.0, 10.0, 100.0),
        ] {
            let found = told(&ten, place, &levels()).expect("ten peers are enough");
            assert_eq!((found.rule, found.about), (rule, About::Nothing));
            assert_rests_on(
                &found,
                &[
                    (EvidenceKind::ValueScore, score, &now),
                    (EvidenceKind::ValueRank, rank, &now),
                    (EvidenceKind::PeerCount, 10.0, &now),
                    (EvidenceKind::WonAmount, units, &now),
                ],
                None,
            );
        }
    }

    #[test]
    fn deciles_by_hand() {
        let (lead, lag) = (Some(Rule::ValueLead), Some(Rule::ValueLag));
        let silent = |count: usize| vec![None; count];
        for (units, expected) in [
            // The second of ten beats 8 of 9: 0.89.
            (vec![10, 9, 8, 7, 6, 5, 4, 3, 2, 1], [vec![lead], silent(8), vec![lag]].concat()),
            // The second of eleven beats 9 of 10, the last but one a tenth.
            (vec![11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1], [vec![lead; 2], silent(7), vec![lag; 2]].concat()),
            // Two share the first place: they beat 8 ½ of 9, 0.94. Three beat 8.
            (vec![9, 9, 8, 7, 6, 5, 4, 3, 2, 1], [vec![lead; 2], silent(7), vec![lag]].concat()),
            (vec![9, 9, 9, 7, 6, 5, 4, 3, 2, 1], [silent(9), vec![lag]].concat()),
            (vec![9, 8, 7, 6, 5, 4, 3, 2, 0, 0], [vec![lead], silent(7), vec![lag; 2]].concat()),
            (vec![9, 8, 7, 6, 5, 4, 3, 0, 0, 0], [vec![lead], silent(9)].concat()),
            (vec![5; 12], silent(12)),
            (vec![0; 12], silent(12)), // no score where the mean is 0
            (vec![9, 8, 7, 6, 5, 4, 3, 2, 1], silent(9)), // nine peers are too few
            (vec![7], silent(1)),
        ] {
            assert_eq!(rules(&units, &levels()), expected, "{units:?}");
        }
        let small = Levels { peers_min: 9, ..levels() };
        assert_eq!(rules(&[9, 8, 7, 6, 5, 4, 3, 2, 1], &small), [vec![lead], silent(7), vec![lag]].concat());
        assert_eq!(rules(&[7], &Levels { peers_min: 1, ..levels() }), [None], "nobody to beat");
    }

    proptest! {
        /// Few amounts on purpose: they collide.
        #[test]
        fn whatever_is_found_is_sound(units in proptest::collection::vec(0i128..12, 1..40), peers_min in 1i64..20) {
            let (group, levels) = (group(&units), Levels { peers_min, ..levels() });
            let found: Vec<_> = (0..units.len()).map(|place| told(&group, place, &levels)).collect();
            found.iter().flatten().for_each(assert_sound);
            for (mine, found) in units.iter().zip(&found) {
                let Some(found) = found else { continue };
                prop_assert!(units.len() as i64 >= peers_min);
                let alike = |other: &i128| match found.rule {
                    Rule::ValueLead => other >= mine,
                    _ => other <= mine,
                };
                // Whoever is as good is said to be, and so is whoever is better.
                prop_assert!(units.iter().filter(|other| alike(other)).count() <= units.len().div_ceil(5));
            }
        }
    }
}
