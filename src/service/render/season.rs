//! The season of a close rate, as the wire has it.

use super::figure::Figures;
use super::scorecard::SeasonGround;
use crate::kpi::close_rate::close_rate;
use crate::kpi::figure::Figure;
use crate::kpi::season::{ByMonth, Pooled, Season, seasonally_adjusted};
use crate::proto::channelkpi::v1 as pb;

pub fn season(figures: Figures, observed: Figure, ground: &SeasonGround) -> pb::Season {
    let SeasonGround { season, prospect_counts } = ground;
    let index = season.and_then(|season| season.index_of_window(prospect_counts));
    pb::Season {
        index: Some(figures.quotient(index)),
        adjusted: Some(figures.quotient(seasonally_adjusted(observed, index))),
        p90_cycle_days: season.ok().map(|season| season.p90_cycle_days),
        months: season.map_or_else(|_| Vec::new(), |season| months(figures, &season, prospect_counts)),
    }
}

fn months(figures: Figures, season: &Season, prospect_counts: &ByMonth<i64>) -> Vec<pb::SeasonMonth> {
    let month = |(at, (pooled, &window_prospect_count)): (usize, (&Pooled, &i64))| pb::SeasonMonth {
        month: at as i32 + 1,
        year_count: pooled.year_count,
        rate: Some(figures.figure(close_rate(&pooled.cohort))),
        index: Some(figures.quotient(season.index(at))),
        window_prospect_count,
    };
    season.months.iter().zip(prospect_counts).enumerate().map(month).collect()
}
