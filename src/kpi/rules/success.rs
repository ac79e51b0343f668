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
