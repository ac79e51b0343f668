//! count.hollow: more deals that are worth less.

use super::super::average_deal_size::average_deal_size;
use super::super::deal_count::deal_count;
use super::super::figure::{Quantity, Ratio};
use super::super::measures::Measures;
use super::super::recommendation::{About, EvidenceKind, Finding, Levels, Rule};
use crate::domain::window::Window;

/// Fires where more deals were won than in the comparison window and they are worth less. At stake is what the
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
        && now.won.amount_e4 < before.won.amount_e4;
    if !fires {
        return None;
    }
    let amount = |measures: &Measures| Ok(Ratio::whole(Quantity::AmountE4(measures.won.amount_e4)));
    let at_former_size = average_deal_size(before)
        .ok()
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
