//! All subjects of a kind, or all values of a dimension, a line each.

use channel_kpi::proto::channelkpi::v1::{Kpi, ListScorecardsResponse, Scorecard};

use crate::command::number;
use crate::command::words::{
    count_figure, group_value, heading, money_figure, number_figure, out_of_range, points_change, quantity,
    rate_figure, ratio, relative_change, subject_id, table,
};

/// Some columns of the board: shown where any card has the KPI.
pub struct Columns {
    pub kpi: Kpi,
    pub header: &'static [&'static str],
    /// The cells of a card. None: it wasn't asked for the KPI.
    pub cells: fn(&Scorecard) -> Option<Vec<String>>,
}

pub const COLUMNS: &[Columns] = &[
    Columns {
        kpi: Kpi::AverageDealSize,
        header: &["Average size", "Change"],
        cells: |card| {
            let kpi = card.average_deal_size.as_ref()?;
            Some(vec![money_figure(kpi.figure.as_ref()), relative_change(kpi.change.as_ref(), 2)])
        },
    },
    Columns {
        kpi: Kpi::DealCount,
        header: &["Won", "Change", "Worth"],
        cells: |card| {
            let kpi = card.deal_count.as_ref()?;
            let worth = kpi.won_amount.as_ref().map_or_else(out_of_range, number::amount);
            Some(vec![count_figure(kpi.figure.as_ref()), relative_change(kpi.change.as_ref(), 0), worth])
        },
    },
    Columns {
        kpi: Kpi::OpportunityPipeline,
        header: &["Open", "Pipeline"],
        cells: |card| {
            let kpi = card.opportunity_pipeline.as_ref()?;
            let open_count = kpi.open.as_ref().map_or(0, |open| open.count);
            Some(vec![number::count(open_count), money_figure(kpi.figure.as_ref())])
        },
    },
    Columns {
        kpi: Kpi::MarketingChannel,
        header: &["ROI"],
        cells: |card| Some(vec![rate_figure(card.marketing_channel.as_ref()?.figure.as_ref())]),
    },
    Columns {
        kpi: Kpi::CloseRate,
        header: &["Close rate", "Change"],
        cells: |card| {
            let kpi = card.close_rate.as_ref()?;
            Some(vec![rate_figure(kpi.figure.as_ref()), points_change(kpi.change.as_ref())])
        },
    },
    Columns {
        kpi: Kpi::DealVelocity,
        header: &["Velocity", "Change"],
        cells: |card| {
            let kpi = card.deal_velocity.as_ref()?;
            Some(vec![money_figure(kpi.figure.as_ref()), relative_change(kpi.change.as_ref(), 2)])
        },
    },
    Columns {
        kpi: Kpi::ValueScore,
        header: &["Score", "Rank"],
        cells: |card| {
            let kpi = card.value_score.as_ref()?;
            let rank = kpi.position.as_ref().map_or_else(String::new, |position| position.rank.to_string());
            Some(vec![number_figure(kpi.figure.as_ref(), 1), rank])
        },
    },
    Columns {
        kpi: Kpi::DealSuccess,
        header: &["Success", "Change", "Ended"],
        cells: |card| {
            let kpi = card.deal_success.as_ref()?;
            let ended =
                ratio(kpi.figure.as_ref()).map_or_else(String::new, |ratio| quantity(&ratio.denominator));
            Some(vec![rate_figure(kpi.figure.as_ref()), points_change(kpi.change.as_ref()), ended])
        },
    },
];

/// `rows` says what a row is, in the singular.
pub fn board(answer: &ListScorecardsResponse, rows: &str) -> String {
    let definition = answer.definition.clone().unwrap_or_default();
    let plural = if rows == "Media" { rows.to_owned() } else { format!("{rows}s") };
    if answer.scorecards.is_empty() {
        return format!("{}\n\nThere are no {} yet.", heading(&plural, &definition), plural.to_lowercase());
    }
    let cards = &answer.scorecards;
    let with_ids = cards.iter().any(|card| !card.name.is_empty() && card.name != row_id(card));
    let mut header = vec![rows];
    if with_ids {
        header.push("Id");
    }
    let first_number = header.len();
    let shown: Vec<&Columns> =
        COLUMNS.iter().filter(|columns| cards.iter().any(|card| (columns.cells)(card).is_some())).collect();
    header.extend(shown.iter().flat_map(|columns| columns.header));
    let mut table = table(&header, &(first_number..header.len()).collect::<Vec<_>>());
    for card in cards {
        let mut row = vec![if card.name.is_empty() { row_id(card) } else { card.name.clone() }];
        if with_ids {
            row.push(row_id(card));
        }
        for columns in &shown {
            row.extend((columns.cells)(card).unwrap_or_else(|| vec![String::new(); columns.header.len()]));
        }
        table.add_row(row);
    }
    let changed = if answer.revision_changed {
        "\n\nRecords changed while the pages were read: rows of different pages are of different moments."
    } else {
        ""
    };
    format!("{}\n\n{}{changed}", heading(&plural, &definition), table.trim_fmt())
}

/// The id of a subject, or the value of a dimension.
fn row_id(card: &Scorecard) -> String {
    match &card.group {
        Some(group) => group_value(group),
        None => subject_id(card).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::Group;

    use super::*;
    use crate::command::scorecard::card::tests::{definition, partner};

    #[test]
    fn a_board_keeps_its_columns_aligned_in_every_script() {
        let answer = ListScorecardsResponse {
            scorecards: vec![partner("A", "Meghna"), partner("B", "東京")],
            definition: Some(definition()),
            ..ListScorecardsResponse::default()
        };
        let text = board(&answer, "Partner");
        let lines: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(
            lines,
            [
                "Partner  Id  Average size  Change  Won  Change   Worth  Success  Change  Ended",
                "Meghna   A         300.00            2      +2  600.00  66.67 %              3",
                "東京     B         300.00            2      +2  600.00  66.67 %              3",
            ]
        );
    }

    #[test]
    fn values_of_a_dimension_are_told() {
        let group = |value: &str, uncredited| Scorecard {
            group: Some(Group { value: value.into(), uncredited, ..Group::default() }),
            ..Scorecard::default()
        };
        let answer = ListScorecardsResponse {
            scorecards: vec![group("", true), group("", false), group("gold", false)],
            definition: Some(definition()),
            ..ListScorecardsResponse::default()
        };
        let text = board(&answer, "Tier");
        let lines: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(lines, ["Tier", "(uncredited)", "(none)", "gold"]);
    }

    #[test]
    fn an_empty_board_says_so() {
        let answer =
            ListScorecardsResponse { definition: Some(definition()), ..ListScorecardsResponse::default() };
        assert!(board(&answer, "Unit").ends_with("There are no units yet."));
    }
}
