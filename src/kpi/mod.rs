//! The KPIs: pure functions of measures, one file each. They see no records, no clock and no wire.

pub mod average_deal_size;
pub mod close_rate;
pub mod deal_count;
pub mod deal_success;
pub mod deal_velocity;
pub mod distribution;
pub mod drivers;
pub mod figure;
pub mod forecast;
pub mod leaderboard;
pub mod marketing_channel;
pub mod measures;
pub mod peers;
pub mod pipeline;
pub mod position;
pub mod recommendation;
pub mod rules;
pub mod season;
pub mod significance;
pub mod standing;
pub mod strategy_effect;
pub mod target;
pub mod trend;
pub mod value_score;

/// The KPIs that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kpi {
    AverageDealSize,
    DealCount,
    OpportunityPipeline,
    MarketingChannel,
    CloseRate,
    DealVelocity,
    ValueScore,
    DealSuccess,
}

// === impl Kpi ===

impl Kpi {
    pub const ALL: [Self; 8] = [
        Self::AverageDealSize,
        Self::DealCount,
        Self::OpportunityPipeline,
        Self::MarketingChannel,
        Self::CloseRate,
        Self::DealVelocity,
        Self::ValueScore,
        Self::DealSuccess,
    ];
}
