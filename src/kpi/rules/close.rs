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
