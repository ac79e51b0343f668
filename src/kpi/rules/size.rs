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
        .at_stake(Some(drift * now.won.priced_count as f64));
    Some(Tested { p_value: trend.p_value, finding })
}
