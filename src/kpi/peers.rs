//! Peers: the figures of the subjects that a subject is compared with (docs/kpis.md §6, 7 and §7).

use std::sync::OnceLock;

use super::Kpi;
use super::drivers::{Rate, RateTerms};
use super::figure::{Absent, Direction, Figure, Quantity, Ratio};
use super::measures::Tally;
use super::position::{Position, Ranking};
use super::standing::Standing;
use super::value_score::{self, PeerTotal, value_score};
use super::{
    average_deal_size, close_rate, deal_count, deal_success, deal_velocity, marketing_channel, pipeline,
};

/// What a peer's KPIs are told from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub standing: Standing,
    /// Its open deals at the window's `as_of`.
    pub open: Tally,
}

/// The peers of one another.
#[derive(Debug)]
pub struct PeerGroup {
    peers: Vec<Peer>,
    total: PeerTotal,
    rankings: [OnceLock<Ranking>; Kpi::ALL.len()],
}

// === impl Peer ===

impl Peer {
    /// The figure by which a KPI is ranked.
    pub fn figure(&self, kpi: Kpi, total: &PeerTotal) -> Figure {
        let measures = &self.standing.measures;
        match kpi {
            Kpi::AverageDealSize => average_deal_size::average_deal_size(measures),
            Kpi::DealCount => deal_count::deal_count(measures),
            Kpi::OpportunityPipeline => Ok(Ratio::whole(Quantity::AmountE4(self.open.amount_e4))),
            // What was spent for each is told one by one.
            Kpi::MarketingChannel => Err(Absent::SpendNotTold),
            Kpi::CloseRate => close_rate::close_rate(&self.standing.cohort),
            Kpi::DealVelocity => deal_velocity::deal_velocity(&self.standing),
            Kpi::ValueScore => value_score(measures, Some(total)),
            Kpi::DealSuccess => deal_success::deal_success(measures),
        }
    }
}

// === impl PeerGroup ===

impl PeerGroup {
    pub fn new(peers: Vec<Peer>) -> Self {
        let won_amount_e4 = peers.iter().map(|peer| peer.standing.measures.won.amount_e4).sum();
        let total = PeerTotal { peer_count: peers.len() as i64, won_amount_e4 };
        Self { peers, total, rankings: Default::default() }
    }

    /// One of them, by its place among those given.
    pub fn peer(&self, place: usize) -> Option<&Peer> {
        self.peers.get(place)
    }

    pub fn total(&self) -> &PeerTotal {
        &self.total
    }

    /// The ended deals of all of them together, as of deal success.
    pub fn deal_success(&self) -> RateTerms {
        self.peers.iter().fold(RateTerms::default(), |sum, peer| {
            let own = Rate::DealSuccess.terms(&peer.standing);
            RateTerms {
                numerator: sum.numerator + own.numerator,
                denominator: sum.denominator + own.denominator,
            }
        })
    }

    /// A peer's own figure.
    pub fn figure(&self, kpi: Kpi, peer: &Peer) -> Figure {
        peer.figure(kpi, &self.total)
    }

    /// A peer's own figure, to be compared with the others': not in its lowest terms.
    fn to_compare(&self, kpi: Kpi, peer: &Peer) -> Figure {
        match kpi {
            Kpi::DealVelocity => deal_velocity::velocity_to_compare(&peer.standing),
            _ => self.figure(kpi, peer),
        }
    }

    /// Where a peer stands. Absent where it lacks the figure.
    pub fn position(&self, kpi: Kpi, peer: &Peer) -> Result<Position, Absent> {
        let mine = self.to_compare(kpi, peer)?;
        let ranking = self.rankings[kpi as usize].get_or_init(|| {
            let figures = self.peers.iter().filter_map(|peer| self.to_compare(kpi, peer).ok());
            let figures: Vec<Ratio> = figures.collect();
            match kpi {
                Kpi::DealVelocity => Ranking::in_terms(figures, direction(kpi), Ratio::in_lowest_terms),
                _ => Ranking::new(figures, direction(kpi)),
            }
        });
        ranking.position(&mine).ok_or(Absent::NoPeer)
    }
}

/// Which way a KPI is good.
pub fn direction(kpi: Kpi) -> Direction {
    match kpi {
        Kpi::AverageDealSize => average_deal_size::DIRECTION,
        Kpi::DealCount => deal_count::DIRECTION,
        Kpi::OpportunityPipeline => pipeline::DIRECTION,
        Kpi::MarketingChannel => marketing_channel::DIRECTION_OF_RESULTS,
        Kpi::CloseRate => close_rate::DIRECTION,
        Kpi::DealVelocity => deal_velocity::DIRECTION,
        Kpi::ValueScore => value_score::DIRECTION,
        Kpi::DealSuccess => deal_success::DIRECTION,
    }
}
