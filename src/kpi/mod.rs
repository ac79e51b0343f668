//! The KPIs: pure functions of measures, one file each. They see no records, no clock and no wire.

pub mod average_deal_size;
pub mod deal_count;
pub mod deal_success;
pub mod figure;
pub mod marketing_channel;
pub mod measures;
pub mod pipeline;

/// The KPIs that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kpi {
    AverageDealSize,
    DealCount,
    DealSuccess,
}

// === impl Kpi ===

impl Kpi {
    pub const ALL: [Self; 3] = [Self::AverageDealSize, Self::DealCount, Self::DealSuccess];
}
