//! velocity.slow_stage: the stage in which a subject's deals stay longer than those of its peers.

use super::super::deal_velocity::{cycle_days, deal_velocity};
use super::super::distribution::StageDays;
use super::super::figure::{Absent, Figure, Quantity, Ratio};
use super::super::position::Ranking;
use super::super::recommendation::{About, EvidenceKind, Finding, Levels, Rule};
use super::super::standing::Standing;
use super::NO_VALUE;
use crate::domain::window::Window;
use crate::kpi::figure::Direction;

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

    /// The median of all but one of them. None where there is no other.
    fn median_of_others(&self, mine: &Ratio) -> Option<Ratio> {
        let at = self.means.partition_point(|mean| mean.cmp_exact(mine).is_lt());
        let others = self.means.iter().enumerate().filter(|(place, _)| *place != at);
        let others: Vec<Ratio> = others.map(|(_, mean)| *mean).collect();
        let first = *others.first()?;
        Ranking::new(others, Direction::LowerIsBetter).position(&first).map(|position| position.median)
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
