//! value.lead and value.lag: who brings the most and the least among its peers.

use super::super::Kpi;
use super::super::figure::{Quantity, Ratio};
use super::super::peers::{Peer, PeerGroup};
use super::super::recommendation::{About, EvidenceKind, Finding, Levels, Rule};
use crate::domain::window::Window;

/// The share of the other peers that the top decile beats.
const LEAD: f64 = 0.9;
/// That which the bottom decile beats at most.
const LAG: f64 = 0.1;

/// Fires for the top and the bottom decile by value score, where there are enough peers: those that beat at
/// least nine in ten of the others, ties half, and those that beat at most one.
///
/// Nothing is at stake that could be told.
/// Source: docs/kpis.md, section 9.
pub fn value<'a>(
    (peer, group): (&Peer, &PeerGroup),
    window: &Window,
    levels: &Levels,
) -> Option<Finding<'a>> {
    let position = group.position(Kpi::ValueScore, peer).ok()?;
    if position.peer_count < levels.peers_min {
        return None;
    }
    let rule = match position.percentile? {
        percentile if percentile >= LEAD => Rule::ValueLead,
        percentile if percentile <= LAG => Rule::ValueLag,
        _ => return None,
    };
    let count = |count| Ok(Ratio::whole(Quantity::Count(count)));
    let won = Quantity::AmountE4(peer.standing.measures.won.amount_e4);
    let finding = Finding::new(rule, About::Nothing)
        .with(EvidenceKind::ValueScore, group.figure(Kpi::ValueScore, peer), window)
        .with(EvidenceKind::ValueRank, count(position.rank), window)
        .with(EvidenceKind::PeerCount, count(position.peer_count), window)
        .with(EvidenceKind::WonAmount, Ok(Ratio::whole(won)), window);
    Some(finding)
}
