//! pipeline.thin, pipeline.expiring and pipeline.behind: whether the pipeline carries the target, and what of
//! it is about to be lost.

use super::super::average_deal_size::average_deal_size;
use super::super::deal_success::deal_success;
use super::super::figure::{Figure, Quantity, Ratio};
use super::super::measures::{Measures, Tally};
use super::super::pipeline::Movement;
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
    if moved.iter().all(|moved| moved.amount_e4 == 0) {
        return Some(finding);
    }
    let finding = finding
        .with(EvidenceKind::MovedLost, amount(moved[0]), month)
        .with(EvidenceKind::MovedExpired, amount(moved[1]), month)
        .with(EvidenceKind::MovedDecreased, amount(moved[2]), month);
    Some(finding)
}

/// Open deals that expire within so many days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expiring {
    pub deals: Tally,
    /// Σ amount · probability: ten-thousandths times basis points.
    pub weighted_e8: i128,
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
