//! KPI 7: value score. The revenue that a subject generated, beside its peers' and its own past's.

use super::figure::{Absent, Direction, Figure, Quantity, Ratio};
use super::measures::Measures;

pub const DIRECTION: Direction = Direction::HigherIsBetter;

/// What an average peer has.
const AVERAGE_SCORE: i128 = 100;

/// The won amounts of a subject's peers, itself among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerTotal {
    pub peer_count: i64,
    pub won_amount_e4: i128,
}

/// The subject's won amount beside the peers' mean.
///
/// Definition: 100 · won amount / mean won amount of the peers: the active subjects of its kind that had a
/// deal opened, open or ended in the window; for units, and partners with their sub-partners, those with the
/// same parent.
/// Unit: a number; 100 is an average peer, 0 one without a won deal.
/// Absent for a subject that isn't its own peer, and when the mean is 0.
/// Source: docs/kpis.md, section 6, KPI 7.
pub fn value_score(measures: &Measures, peers: Option<&PeerTotal>) -> Figure {
    let peers = peers.ok_or(Absent::NoPeer)?;
    score(measures.won.amount_e4, peers.won_amount_e4, peers.peer_count).ok_or(Absent::MeanIsZero)
}

/// The subject's won amount beside its own mean in the windows before. Absent also when there were none.
pub fn own_past(measures: &Measures, past_won_amounts_e4: Option<&[i128]>) -> Figure {
    let past = past_won_amounts_e4.ok_or(Absent::NoPast)?;
    let window_count = i64::try_from(past.len()).map_err(|_| Absent::NoPast)?;
    score(measures.won.amount_e4, past.iter().sum(), window_count).ok_or(Absent::MeanIsZero)
}

/// The share of the tenant's won amount.
pub fn tenant_share(measures: &Measures, tenant: &Measures) -> Figure {
    let amount = |measures: &Measures| Quantity::AmountE4(measures.won.amount_e4);
    Ratio::of(amount(measures), amount(tenant)).ok_or(Absent::TotalIsZero)
}

/// 100 times an amount over the mean of so many that make the total. None where that is 0.
fn score(amount_e4: i128, total_e4: i128, count: i64) -> Option<Ratio> {
    let amount = Quantity::AmountE4(amount_e4 * AVERAGE_SCORE);
    Ratio::of(amount, Quantity::AmountE4(total_e4)).map(|ratio| ratio.times(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kpi::measures::Tally;

    fn won(units: i128) -> Measures {
        let won = Tally { count: 1, priced_count: 1, amount_e4: units * 10_000 };
        Measures { won, ..Measures::default() }
    }

    #[test]
    fn value_score_by_hand() {
        let peers = |peer_count, units: i128| PeerTotal { peer_count, won_amount_e4: units * 10_000 };
        for (units, peers, expected) in [
            (600, Some(peers(2, 1_500)), Ok(80.0)), // partner A of the worked example
            (900, Some(peers(2, 1_500)), Ok(120.0)),
            (0, Some(peers(3, 1_500)), Ok(0.0)), // without a won deal
            (700, Some(peers(1, 700)), Ok(100.0)),
            (0, Some(peers(3, 0)), Err(Absent::MeanIsZero)),
            (600, None, Err(Absent::NoPeer)),
        ] {
            let found = value_score(&won(units), peers.as_ref()).map(|ratio| ratio.quotient());
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn own_past_by_hand() {
        for (units, past, expected) in [
            (600, Some(vec![300_0000, 300_0000, 300_0000, 300_0000]), Ok(200.0)),
            (600, Some(vec![0, 0, 0, 24_000_000]), Ok(100.0)),
            (600, Some(vec![0, 0, 0, 0]), Err(Absent::MeanIsZero)),
            (600, None, Err(Absent::NoPast)),
        ] {
            let found = own_past(&won(units), past.as_deref()).map(|ratio| ratio.quotient());
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn tenant_share_by_hand() {
        assert_eq!(tenant_share(&won(600), &won(1_500)).map(|ratio| ratio.quotient()), Ok(0.4));
        assert_eq!(tenant_share(&won(0), &won(0)), Err(Absent::TotalIsZero));
    }
}
