//! Leaderboards: by which figures subjects are ranked, and in which order (docs/kpis.md §8).
//!
//! Pure: the order of a board follows from the figures, the won amounts and the ids alone, so that every
//! replica tells the same.

use std::cmp::Ordering;

use super::Kpi;
use super::close_rate;
use super::deal_success::{self, lead_qualification, missed};
use super::deal_velocity::{deal_velocity, mean_cycle_days, velocity_to_compare};
use super::figure::{Absent, Direction, Figure, Quantity, Ratio, sort_by_about, wilson_interval};
use super::measures::{Measures, Tally};
use super::peers::Peer;
use super::standing::StandingParts;
use super::{
    average_deal_size, deal_count, deal_velocity as velocity, marketing_channel, pipeline, value_score,
};

/// The figures by which subjects can be ranked: the KPIs, and the measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RankedBy {
    AverageDealSize,
    DealCount,
    OpportunityPipeline,
    MarketingChannel,
    CloseRate,
    DealVelocity,
    ValueScore,
    DealSuccess,
    WonAmount,
    CloseRateResolved,
    LeadQualificationRate,
    CycleDays,
    OpenCount,
    OpenedCount,
    OpenedAmount,
    LostCount,
    LostAmount,
    ExpiredCount,
    ExpiredAmount,
    MissedCount,
    MissedAmount,
    LostToCompetitorCount,
    WorkDays,
    LeadCount,
    ConvertedLeadCount,
    DisqualifiedLeadCount,
    ProspectCount,
    PurchasedCount,
    LostProspectCount,
}

/// Which ranks equal figures have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TieRule {
    /// 1, 2, 2, 4.
    #[default]
    Competition,
    /// 1, 2, 2, 3.
    Dense,
    /// 1, 2, 3, 4.
    Unique,
}

/// How rates are ranked, and with how much behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateRule {
    /// By the lower bound of the Wilson interval rather than by the rate.
    pub by_lower_bound: bool,
    /// The least sample with which a rate is ranked.
    pub sample_min: i64,
}

/// By what one subject is ranked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    /// An exact ratio.
    Value(Ratio),
    /// The lower bound of a rate's interval, in billionths, and the rate.
    LowerBound { e9: i64, rate: Ratio },
}

/// A row of a board.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entrant<'a> {
    pub id: &'a str,
    pub score: Score,
    /// What it won in the window: known for who has no priced deal too, as nothing.
    pub won: Tally,
}

/// A subject that has the figure, by whatever number it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contender {
    pub number: u32,
    /// Its place among all ids, by their bytes.
    pub id_place: u32,
    pub score: Score,
    /// What it won in the window: known for who has no priced deal too, as nothing.
    pub won_amount_e4: i128,
}

/// A subject's place on a board is that of its number in a list of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub number: u32,
    /// From 1, as the tie rule says.
    pub rank: u32,
}

/// The whole sort key of a row, apart from the board that it was on: where a walk goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct RowKey {
    pub score: Score,
    pub won_amount_e4: i128,
    pub id: Box<str>,
}

// === impl RankedBy ===

impl From<Kpi> for RankedBy {
    fn from(kpi: Kpi) -> Self {
        match kpi {
            Kpi::AverageDealSize => Self::AverageDealSize,
            Kpi::DealCount => Self::DealCount,
            Kpi::OpportunityPipeline => Self::OpportunityPipeline,
            Kpi::MarketingChannel => Self::MarketingChannel,
            Kpi::CloseRate => Self::CloseRate,
            Kpi::DealVelocity => Self::DealVelocity,
            Kpi::ValueScore => Self::ValueScore,
            Kpi::DealSuccess => Self::DealSuccess,
        }
    }
}

impl RankedBy {
    /// Whether it is a share of a sample, which has an interval and can be too small.
    pub fn is_rate(self) -> bool {
        matches!(
            self,
            Self::CloseRate | Self::CloseRateResolved | Self::DealSuccess | Self::LeadQualificationRate
        )
    }

    /// Whether it counts leads as such, which are unknown under a filter of what only deals have.
    pub fn is_of_leads(self) -> bool {
        matches!(
            self,
            Self::LeadQualificationRate
                | Self::LeadCount
                | Self::ConvertedLeadCount
                | Self::DisqualifiedLeadCount
        )
    }

    /// Whether it is told from the open deals.
    pub fn is_of_open_deals(self) -> bool {
        matches!(self, Self::OpportunityPipeline | Self::OpenCount)
    }

    /// What of a standing it is told from, beside what ended: the won amount decides between equal ones.
    pub fn parts(self) -> StandingParts {
        match self {
            Self::AverageDealSize
            | Self::DealCount
            | Self::OpportunityPipeline
            | Self::MarketingChannel
            | Self::DealSuccess
            | Self::WonAmount
            | Self::CycleDays
            | Self::OpenCount
            | Self::LostCount
            | Self::LostAmount
            | Self::ExpiredCount
            | Self::ExpiredAmount
            | Self::MissedCount
            | Self::MissedAmount
            | Self::LostToCompetitorCount => StandingParts::ENDS,
            // Whether one is a peer hangs on what was in work.
            Self::ValueScore
            | Self::DealVelocity
            | Self::OpenedCount
            | Self::OpenedAmount
            | Self::WorkDays => StandingParts::WORK,
            Self::CloseRateResolved
            | Self::LeadQualificationRate
            | Self::LeadCount
            | Self::ConvertedLeadCount
            | Self::DisqualifiedLeadCount
            | Self::ProspectCount
            | Self::PurchasedCount
            | Self::LostProspectCount => StandingParts::PROSPECTS,
            Self::CloseRate => StandingParts::COHORT,
        }
    }

    /// Which way it is good: docs/kpis.md §7.
    pub fn direction(self) -> Direction {
        match self {
            Self::AverageDealSize => average_deal_size::DIRECTION,
            Self::DealCount => deal_count::DIRECTION,
            Self::OpportunityPipeline | Self::OpenCount => pipeline::DIRECTION,
            Self::MarketingChannel => marketing_channel::DIRECTION_OF_RESULTS,
            Self::CloseRate | Self::CloseRateResolved => close_rate::DIRECTION,
            Self::DealVelocity => velocity::DIRECTION,
            Self::ValueScore => value_score::DIRECTION,
            Self::DealSuccess | Self::LeadQualificationRate => deal_success::DIRECTION,
            Self::OpenedCount | Self::OpenedAmount | Self::WorkDays => Direction::Neither,
            Self::CycleDays
            | Self::LostCount
            | Self::LostAmount
            | Self::ExpiredCount
            | Self::ExpiredAmount
            | Self::MissedCount
            | Self::MissedAmount
            | Self::LostToCompetitorCount
            | Self::DisqualifiedLeadCount
            | Self::LostProspectCount => Direction::LowerIsBetter,
            Self::WonAmount
            | Self::LeadCount
            | Self::ConvertedLeadCount
            | Self::ProspectCount
            | Self::PurchasedCount => Direction::HigherIsBetter,
        }
    }

    /// The figure of a subject. That of marketing and the value score aren't told from its own standing
    /// alone: they are absent here.
    pub fn figure(self, peer: &Peer) -> Figure {
        let measures = &peer.standing.measures;
        let count = |count: i64| Ok(Ratio::whole(Quantity::Count(count)));
        let amount = |tally: &Tally| Ok(Ratio::whole(Quantity::AmountE4(tally.amount_e4)));
        match self {
            Self::AverageDealSize => average_deal_size::average_deal_size(measures),
            Self::DealCount => deal_count::deal_count(measures),
            Self::OpportunityPipeline => amount(&peer.open),
            Self::MarketingChannel => Err(Absent::SpendNotTold),
            Self::CloseRate => close_rate::close_rate(&peer.standing.cohort),
            Self::DealVelocity => deal_velocity(&peer.standing),
            Self::ValueScore => Err(Absent::NoPeer),
            Self::DealSuccess => deal_success::deal_success(measures),
            Self::WonAmount => amount(&measures.won),
            Self::CloseRateResolved => close_rate::resolved(measures),
            Self::LeadQualificationRate => lead_qualification(measures),
            Self::CycleDays => mean_cycle_days(measures),
            Self::OpenCount => count(peer.open.count),
            Self::OpenedCount => count(measures.opened.count),
            Self::OpenedAmount => amount(&measures.opened),
            Self::LostCount => count(measures.lost.count),
            Self::LostAmount => amount(&measures.lost),
            Self::ExpiredCount => count(measures.expired.count),
            Self::ExpiredAmount => amount(&measures.expired),
            Self::MissedCount => count(missed(measures).count),
            Self::MissedAmount => amount(&missed(measures)),
            Self::LostToCompetitorCount => count(measures.lost_to_competitor_count),
            Self::WorkDays => count(peer.standing.work_days()),
            Self::LeadCount => count(measures.lead_count),
            Self::ConvertedLeadCount => count(measures.converted_lead_count),
            Self::DisqualifiedLeadCount => count(measures.disqualified_lead_count),
            Self::ProspectCount => count(measures.prospect_count),
            Self::PurchasedCount => count(measures.purchased_count),
            Self::LostProspectCount => count(measures.lost_prospect_count),
        }
    }

    /// The same, to be compared with others': not in its lowest terms.
    pub fn to_compare(self, peer: &Peer) -> Figure {
        match self {
            Self::DealVelocity => velocity_to_compare(&peer.standing),
            _ => self.figure(peer),
        }
    }

    /// Of a rate: successes, trials, and the sample that must be large enough. Of the close rate on the
    /// cohort basis that is what is resolved of it.
    fn sample(self, peer: &Peer) -> Option<(i64, i64, i64)> {
        let Measures { won, purchased_count, lost_prospect_count, .. } = peer.standing.measures;
        let measures = &peer.standing.measures;
        let of_all = |successes, trials| (successes, trials, trials);
        match self {
            Self::CloseRate => {
                let cohort = &peer.standing.cohort;
                let resolved_count = cohort.purchased_count + cohort.lost_count;
                Some((cohort.purchased_count, cohort.prospect_count, resolved_count))
            }
            Self::CloseRateResolved => Some(of_all(purchased_count, purchased_count + lost_prospect_count)),
            Self::DealSuccess => Some(of_all(won.count, measures.ended_count())),
            Self::LeadQualificationRate => {
                let converted_count = measures.converted_lead_count;
                Some(of_all(converted_count, converted_count + measures.disqualified_lead_count))
            }
            _ => None,
        }
    }

    /// By what a subject with this figure is ranked. None: with too small a sample it isn't.
    pub fn score(self, figure: Ratio, peer: &Peer, rule: RateRule) -> Option<Score> {
        let Some((successes, trials, sample)) = self.sample(peer) else { return Some(Score::Value(figure)) };
        if sample < rule.sample_min {
            return None;
        }
        if !rule.by_lower_bound {
            return Some(Score::Value(figure));
        }
        let (lower, _) = wilson_interval(successes, trials)?;
        Some(Score::LowerBound { e9: (lower * 1e9).round() as i64, rate: figure })
    }
}

// === impl RateRule ===

impl Default for RateRule {
    fn default() -> Self {
        Self { by_lower_bound: false, sample_min: 5 }
    }
}

// === impl Score ===

impl Score {
    pub fn figure(&self) -> Ratio {
        match *self {
            Self::Value(ratio) | Self::LowerBound { rate: ratio, .. } => ratio,
        }
    }

    /// Orders the scores of one board from the best.
    fn best_first(&self, other: &Self, direction: Direction) -> Ordering {
        match (self, other) {
            (Self::Value(a), Self::Value(b)) => direction.best_first(a, b),
            // Rates: higher is better.
            (Self::LowerBound { e9: a, .. }, Self::LowerBound { e9: b, .. }) => b.cmp(a),
            // Never of one board.
            (Self::Value(_), Self::LowerBound { .. }) => Ordering::Less,
            (Self::LowerBound { .. }, Self::Value(_)) => Ordering::Greater,
        }
    }

    /// About the same, the less the better.
    fn about(&self, direction: Direction) -> f64 {
        match self {
            Self::Value(figure) => direction.about(figure),
            Self::LowerBound { e9, .. } => -(*e9 as f64),
        }
    }
}

// === impl RowKey ===

impl RowKey {
    pub fn of(entrant: &Entrant<'_>) -> Self {
        Self { score: entrant.score, won_amount_e4: entrant.won.amount_e4, id: entrant.id.into() }
    }

    /// Whether a row stands after this place.
    pub fn is_before(&self, entrant: &Entrant<'_>, direction: Direction) -> bool {
        let mine = (&self.score, self.won_amount_e4, self.id.as_bytes());
        let its = (&entrant.score, entrant.won.amount_e4, entrant.id.as_bytes());
        order(mine, its, direction) == Ordering::Less
    }
}

/// The order of rows: the best figure, the greatest won amount, the bytes of the id.
fn order<I: Ord>(a: (&Score, i128, I), b: (&Score, i128, I), direction: Direction) -> Ordering {
    let by_amount = || b.1.cmp(&a.1);
    a.0.best_first(b.0, direction).then_with(by_amount).then_with(|| a.2.cmp(&b.2))
}

/// The board: all that have the figure, in order.
pub fn rank(contenders: &[Contender], direction: Direction, ties: TieRule) -> Vec<Placed> {
    let mut in_order: Vec<u32> = (0..contenders.len() as u32).collect();
    let contender = |at: &u32| &contenders[*at as usize];
    sort_by_about(
        &mut in_order,
        |at| contender(at).score.about(direction),
        |a, b| {
            let key = |at: &u32| {
                let Contender { score, won_amount_e4, id_place, .. } = &contenders[*at as usize];
                (score, *won_amount_e4, *id_place)
            };
            order(key(a), key(b), direction)
        },
    );
    let mut last: Option<(&Score, u32)> = None;
    let placed = (1..).zip(&in_order).map(|(place, at)| {
        let Contender { number, score, .. } = contender(at);
        let rank = match last {
            None => 1,
            Some((last, last_rank)) => {
                let is_equal = || last.best_first(score, direction) == Ordering::Equal;
                match ties {
                    TieRule::Unique => place,
                    TieRule::Competition => {
                        if is_equal() {
                            last_rank
                        } else {
                            place
                        }
                    }
                    TieRule::Dense => last_rank + u32::from(!is_equal()),
                }
            }
        };
        last = Some((score, rank));
        Placed { number: *number, rank }
    });
    placed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entrant(id: &str, score: Score, won_units: i128) -> Entrant<'_> {
        let won = Tally { count: 1, priced_count: 1, amount_e4: won_units * 10_000 };
        Entrant { id, score, won }
    }

    fn value(numerator: i64, denominator: i64) -> Score {
        Score::Value(Ratio::new(Quantity::Count(numerator), denominator).expect("above 0"))
    }

    #[test]
    fn ranks_by_hand() {
        use TieRule::{Competition, Dense, Unique};
        // 1/2 = 2/4 exactly: the greater won amount stands first, then the lesser id.
        let entrants = || {
            vec![
                entrant("d", value(1, 3), 9),
                entrant("c", value(2, 4), 7),
                entrant("a", value(3, 4), 1),
                entrant("b", value(1, 2), 7),
                entrant("e", value(1, 2), 8),
            ]
        };
        let contenders: Vec<Contender> = (0..)
            .zip(entrants())
            .map(|(number, Entrant { id, score, won })| {
                let id_place = u32::from(id.as_bytes()[0]);
                Contender { number, id_place, score, won_amount_e4: won.amount_e4 }
            })
            .collect();
        for (direction, ties, ids, ranks) in [
            (Direction::HigherIsBetter, Competition, "aebcd", [1, 2, 2, 2, 5]),
            (Direction::HigherIsBetter, Dense, "aebcd", [1, 2, 2, 2, 3]),
            (Direction::HigherIsBetter, Unique, "aebcd", [1, 2, 3, 4, 5]),
            (Direction::LowerIsBetter, Competition, "debca", [1, 2, 2, 2, 5]),
            (Direction::Neither, Dense, "aebcd", [1, 2, 2, 2, 3]),
        ] {
            let ranked = rank(&contenders, direction, ties);
            let in_order: Vec<Entrant<'_>> =
                ranked.iter().map(|placed| entrants()[placed.number as usize]).collect();
            let found: String = in_order.iter().map(|row| row.id).collect();
            assert_eq!(found, ids, "{direction:?}");
            assert_eq!(ranked.iter().map(|placed| placed.rank).collect::<Vec<_>>(), ranks, "{ties:?}");
            // A walk goes on after any row where it stopped, also where the row is gone.
            for (at, row) in in_order.iter().enumerate() {
                let key = RowKey::of(row);
                let after = in_order.iter().filter(|row| key.is_before(row, direction)).count();
                assert_eq!(after, in_order.len() - at - 1);
            }
        }
        assert_eq!(rank(&[], Direction::HigherIsBetter, Competition), []);
    }

    fn peer(won: i64, lost: i64) -> Peer {
        use crate::domain::calendar::{DateRange, date};
        use crate::kpi::standing::Standing;
        let dates = DateRange { from: date("2024-03-01"), to: date("2024-04-01") };
        let mut standing = Standing::nothing(dates);
        standing.measures.won.count = won;
        standing.measures.lost.count = lost;
        Peer { standing, open: Tally::default() }
    }

    #[test]
    fn a_lower_bound_keeps_one_of_one_from_the_top() {
        let by_lower_bound = RateRule { by_lower_bound: true, sample_min: 0 };
        let score = |peer: &Peer, rule| {
            let figure = RankedBy::DealSuccess.figure(peer).expect("deals ended");
            RankedBy::DealSuccess.score(figure, peer, rule)
        };
        let (lucky, proven, nobody) = (peer(1, 0), peer(90, 10), peer(0, 7));
        let bounds = [&lucky, &proven, &nobody].map(|peer| match score(peer, by_lower_bound) {
            Some(Score::LowerBound { e9, .. }) => e9,
            other => panic!("{other:?}"),
        });
        // 1/(1 + z²) for one of one; 0 at k = 0.
        assert_eq!(bounds, [206_549_312, 825_634_338, 0]);
        let board = |rule| {
            let contender = |(number, peer)| {
                let score = score(peer, rule).expect("no minimum");
                Contender { number, id_place: number, score, won_amount_e4: 0 }
            };
            let contenders: Vec<Contender> = (0..).zip([&lucky, &proven, &nobody]).map(contender).collect();
            let ranked = rank(&contenders, Direction::HigherIsBetter, TieRule::Competition);
            ranked.iter().map(|row| ["lucky", "proven", "nobody"][row.number as usize]).collect::<Vec<_>>()
        };
        assert_eq!(board(by_lower_bound), ["proven", "lucky", "nobody"]);
        let by_value = RateRule { by_lower_bound: false, sample_min: 0 };
        assert_eq!(board(by_value), ["lucky", "proven", "nobody"]);

        // The minimum sample: 4 isn't ranked by default, 5 is.
        for (won, lost, is_ranked) in [(1, 0, false), (2, 2, false), (2, 3, true), (5, 0, true)] {
            assert_eq!(score(&peer(won, lost), RateRule::default()).is_some(), is_ranked, "{won} {lost}");
        }
        // What isn't a rate has no sample.
        let figure = RankedBy::DealCount.figure(&lucky).expect("never absent");
        assert_eq!(
            RankedBy::DealCount.score(figure, &lucky, RateRule::default()),
            Some(Score::Value(figure))
        );
    }

    /// Of the cohort, what is resolved must be large enough, and the rate is of all.
    #[test]
    fn the_sample_of_a_cohort_is_what_is_resolved() {
        let mut peer = peer(0, 0);
        peer.standing.cohort.prospect_count = 9;
        peer.standing.cohort.purchased_count = 3;
        for (lost_count, is_ranked) in [(1, false), (2, true)] {
            peer.standing.cohort.lost_count = lost_count;
            let figure = RankedBy::CloseRate.figure(&peer).expect("prospects came");
            assert_eq!(figure.terms(), Some((Quantity::Count(3), Quantity::Count(9))));
            let score = RankedBy::CloseRate.score(figure, &peer, RateRule::default());
            assert_eq!(score.is_some(), is_ranked, "{lost_count}");
        }
    }
}
