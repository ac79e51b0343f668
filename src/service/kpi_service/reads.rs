//! Reads: what a card may cost, told before it is asked. A light one is answered at once, any other off the
//! async threads.

use crate::kpi::Kpi;

/// What the card of one window may read at most, in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// For the sums of the window, and of what was open before it.
    pub folded: u64,
    /// For its prospects.
    pub prospects: u64,
    /// For the deals that are open at its end.
    pub open: u64,
    pub spends: u64,
}

/// The row of an open deal is read, and its versions where it stood otherwise then.
pub const OPEN_DEAL_WEIGHT: u64 = 8;

/// How often a card reads any of its rows at most, in each of its windows: for the sums, for what was open before,
/// for its prospects, and for the open deals, which are at most half of the rows: each has an opening too.
const READINGS_MAX: u64 = 3 + OPEN_DEAL_WEIGHT / 2;

// === impl Reads ===

impl Reads {
    /// What no card of a window weighs more than, of a subject with so many rows in all.
    pub fn weight_at_most(rows_in_all: u64, spends: u64) -> u64 {
        rows_in_all.saturating_mul(READINGS_MAX).saturating_add(spends)
    }

    /// In rows, of these KPIs.
    pub fn weight(&self, kpis: &[Kpi]) -> u64 {
        let of_kpi = |kpi: &Kpi| match kpi {
            Kpi::AverageDealSize | Kpi::DealCount | Kpi::DealVelocity | Kpi::DealSuccess => 0,
            Kpi::OpportunityPipeline => OPEN_DEAL_WEIGHT * self.open,
            Kpi::MarketingChannel => self.spends,
            Kpi::CloseRate => self.prospects,
            // Who has peers isn't weighed; nobody else has a score.
            Kpi::ValueScore => 0,
        };
        self.folded + kpis.iter().map(of_kpi).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::asking::ROWS_AT_ONCE_MAX;

    #[test]
    fn weights_by_hand() {
        use Kpi::{
            AverageDealSize, CloseRate, DealCount, DealVelocity, MarketingChannel, OpportunityPipeline,
        };
        let reads = Reads { folded: 70, prospects: 200, open: 30, spends: 4 };
        for (kpis, expected) in [
            (vec![DealCount], 70),
            (vec![AverageDealSize, DealCount, DealVelocity], 70), // read from the same sums
            (vec![CloseRate], 270),
            (vec![OpportunityPipeline, MarketingChannel], 70 + 8 * 30 + 4),
            (vec![DealCount, Kpi::ValueScore], 70), // of the tenant, which has no peers
        ] {
            assert_eq!(reads.weight(&kpis), expected, "{kpis:?}");
        }
    }

    #[test]
    fn no_card_weighs_more_than_its_rows_allow() {
        // Half of the rows are ends, all of them of open deals.
        let reads = Reads { folded: 100, prospects: 100, open: 50, spends: 4 };
        let before = 100; // rows of what was open before the window: part of what is folded
        let heaviest = Reads { folded: reads.folded + before, ..reads };
        assert!(heaviest.weight(&Kpi::ALL) <= Reads::weight_at_most(100, 4));
    }

    /// A partner with 500 deals in three years is answered at once, one with 100,000 isn't.
    #[test]
    fn typical_partners_are_light() {
        let all: Vec<Kpi> = Kpi::ALL.into_iter().filter(|&kpi| kpi != Kpi::ValueScore).collect();
        let of_partner = |deals: u64| Reads {
            folded: 2 * deals / 36,
            prospects: 4 * deals / 36,
            open: deals / 4,
            spends: 0,
        };
        assert!(2 * of_partner(500).weight(&all) <= ROWS_AT_ONCE_MAX);
        assert!(2 * of_partner(100_000).weight(&all) > ROWS_AT_ONCE_MAX);
        assert!(2 * of_partner(100_000).weight(&[Kpi::DealCount]) <= ROWS_AT_ONCE_MAX);
    }
}
