//! A board as a table: ranks, how they changed, and what was pinned with its neighbours.

use channel_kpi::proto::channelkpi::v1::{
    Definition, GetLeaderboardResponse, LeaderboardRow, PinnedRows, Quantity, RankedBy, Ratio, quantity,
};

use crate::command::number;
use crate::command::words::{heading, out_of_range, percent, table};

/// What the columns are headed with.
pub struct Titles {
    pub figure: RankedBy,
    /// What a row is, in the singular.
    pub rows: &'static str,
    pub with_lower_bound: bool,
}

/// A board in lines, with which of them each subject's row is.
pub struct Drawing {
    pub lines: Vec<String>,
    /// The places of lines, and the ids of the subjects in them.
    pub subjects: Vec<(usize, String)>,
}

pub fn told(board: &GetLeaderboardResponse, titles: &Titles) -> String {
    draw(board, titles).lines.join("\n")
}

pub fn draw(board: &GetLeaderboardResponse, titles: &Titles) -> Drawing {
    let definition = board.definition.clone().unwrap_or_default();
    let whose = format!("{}s by {}", titles.rows, titles.figure_name().to_lowercase());
    let mut drawing = Drawing { lines: Vec::new(), subjects: Vec::new() };
    drawing.say(&heading(&whose, &definition));
    drawing.say("");
    if board.rows.is_empty() {
        drawing
            .say(&format!("No {} is ranked: none has the figure in these days.", titles.rows.to_lowercase()));
    } else {
        drawing.rows(&board.rows, titles, &definition);
        drawing.say("");
        let (shown, ranked) = (board.rows.len() as i64, board.ranked_count);
        let count = number::count(ranked);
        drawing.say(&match shown < ranked {
            true => format!("The first {} of {count} ranked.", number::count(shown)),
            false => format!("{count} ranked."),
        });
    }
    for PinnedRows { subject_id, rows } in &board.pinned {
        drawing.say("");
        if rows.is_empty() {
            drawing.say(&format!("{} {subject_id} isn't ranked.", titles.rows));
            continue;
        }
        drawing.say(&format!("Around {subject_id}:"));
        drawing.rows(rows, titles, &definition);
    }
    drawing
}

// === impl Drawing ===

impl Drawing {
    fn say(&mut self, text: &str) {
        self.lines.extend(text.split('\n').map(str::to_owned));
    }

    fn rows(&mut self, rows: &[LeaderboardRow], titles: &Titles, definition: &Definition) {
        let is_compared = definition.comparison_window.is_some();
        let columns: Vec<&Column> =
            COLUMNS.iter().filter(|column| (column.is_shown)(rows, titles, is_compared)).collect();
        let header: Vec<String> = columns.iter().map(|column| (column.title)(titles)).collect();
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let numbers: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].is_number).collect();
        let mut table = table(&header, &numbers);
        for row in rows {
            table.add_row(columns.iter().map(|column| (column.cell)(row, titles)));
        }
        let first_row = self.lines.len() + 1;
        self.say(&table.trim_fmt());
        self.subjects.extend((first_row..).zip(rows.iter().map(|row| row.subject_id.clone())));
    }
}

struct Column {
    title: fn(&Titles) -> String,
    is_number: bool,
    is_shown: fn(&[LeaderboardRow], &Titles, bool) -> bool,
    cell: fn(&LeaderboardRow, &Titles) -> String,
}

const COLUMNS: &[Column] = &[
    Column {
        title: |_| "Rank".into(),
        is_number: true,
        is_shown: |_, _, _| true,
        cell: |row, _| number::count(row.rank),
    },
    Column {
        title: |_| String::new(),
        is_number: false,
        is_shown: |_, _, is_compared| is_compared,
        cell: |row, _| change(row),
    },
    Column {
        title: |titles| titles.rows.into(),
        is_number: false,
        is_shown: |_, _, _| true,
        cell: |row, _| if row.name.is_empty() { row.subject_id.clone() } else { row.name.clone() },
    },
    Column {
        title: |_| "Id".into(),
        is_number: false,
        is_shown: |rows, _, _| rows.iter().any(|row| !row.name.is_empty() && row.name != row.subject_id),
        cell: |row, _| row.subject_id.clone(),
    },
    Column {
        title: Titles::figure_name,
        is_number: true,
        is_shown: |_, _, _| true,
        cell: |row, titles| row.value.as_ref().map_or_else(out_of_range, |ratio| value(ratio, titles.figure)),
    },
    Column {
        title: |_| "At least".into(),
        is_number: true,
        is_shown: |_, titles, _| titles.with_lower_bound,
        cell: |row, _| row.lower_bound.map_or_else(String::new, percent),
    },
    Column {
        title: |_| "Won".into(),
        is_number: true,
        is_shown: |_, titles, _| titles.figure != RankedBy::DealCount,
        cell: |row, _| number::count(row.won_count),
    },
    Column {
        title: |_| "Worth".into(),
        is_number: true,
        is_shown: |_, titles, _| titles.figure != RankedBy::WonAmount,
        cell: |row, _| row.won_amount.as_ref().map_or_else(out_of_range, number::to_the_cent),
    },
];

// === impl Titles ===

impl Titles {
    /// `Won amount`.
    fn figure_name(&self) -> String {
        let name =
            self.figure.as_str_name().trim_start_matches("RANKED_BY_").to_lowercase().replace('_', " ");
        match self.figure {
            RankedBy::MarketingChannel => "Marketing ROI".into(),
            RankedBy::OpportunityPipeline => "Pipeline".into(),
            _ => {
                let mut letters = name.chars();
                letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
            }
        }
    }
}

/// How a rank stands beside that of the comparison window.
fn change(row: &LeaderboardRow) -> String {
    match row.rank_change {
        None => "new".into(),
        Some(0) => "=".into(),
        Some(change) if change > 0 => format!("▲{}", number::count(change)),
        Some(change) => format!("▼{}", number::count(change.saturating_neg())),
    }
}

/// A figure as people read it: money to the cent, counts whole, rates in per cent.
fn value(ratio: &Ratio, figure: RankedBy) -> String {
    let quantity = ratio.numerator.as_ref().and_then(|numerator| numerator.quantity.as_ref());
    let one = Some(Quantity { quantity: Some(quantity::Quantity::Count(1)) });
    match quantity {
        Some(quantity::Quantity::Amount(money)) if ratio.denominator == one => number::to_the_cent(money),
        _ => match figure {
            RankedBy::CloseRate
            | RankedBy::CloseRateResolved
            | RankedBy::DealSuccess
            | RankedBy::LeadQualificationRate
            | RankedBy::MarketingChannel => percent(ratio.quotient),
            RankedBy::ValueScore => number::rounded(ratio.quotient, 1),
            RankedBy::CycleDays => format!("{} days", number::rounded(ratio.quotient, 1)),
            RankedBy::AverageDealSize
            | RankedBy::DealVelocity
            | RankedBy::OpportunityPipeline
            | RankedBy::WonAmount
            | RankedBy::OpenedAmount
            | RankedBy::LostAmount
            | RankedBy::ExpiredAmount
            | RankedBy::MissedAmount => number::rounded(ratio.quotient, 2),
            _ => number::rounded(ratio.quotient, 0),
        },
    }
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::DateRange;
    use channel_kpi::proto::google::r#type::{Date, Money};

    use super::*;

    fn usd(units: i64) -> Money {
        Money { currency_code: "USD".into(), units, nanos: 0 }
    }

    fn count(count: i64) -> Option<Quantity> {
        Some(Quantity { quantity: Some(quantity::Quantity::Count(count)) })
    }

    fn row(rank: i64, id: &str, name: &str, rank_change: Option<i64>) -> LeaderboardRow {
        let amount = Some(Quantity { quantity: Some(quantity::Quantity::Amount(usd(1_000 - rank))) });
        let value = Ratio { quotient: (1_000 - rank) as f64, numerator: amount, denominator: count(1) };
        LeaderboardRow {
            place: rank,
            rank,
            subject_id: id.into(),
            name: name.into(),
            value: Some(value),
            won_count: 12,
            won_amount: Some(usd(1_000 - rank)),
            rank_change,
            previous_rank: rank_change.map(|change| rank + change),
            ..LeaderboardRow::default()
        }
    }

    fn definition() -> Definition {
        let day = |day| Some(Date { year: 2024, month: 3, day });
        Definition {
            window: Some(DateRange { start_on: day(11), end_on: day(21) }),
            as_of: day(20),
            comparison_window: Some(DateRange { start_on: day(1), end_on: day(11) }),
            comparison_as_of: day(10),
            reporting_currency_code: "USD".into(),
            time_zone: "Asia/Dhaka".into(),
            ..Definition::default()
        }
    }

    fn by(figure: RankedBy) -> Titles {
        Titles { figure, rows: "Partner", with_lower_bound: false }
    }

    #[test]
    fn a_board_by_hand() {
        let board = GetLeaderboardResponse {
            rows: vec![row(1, "A", "Meghna", Some(2)), row(2, "B", "東京", Some(0)), row(3, "C", "", None)],
            ranked_count: 1_200,
            pinned: vec![
                PinnedRows {
                    subject_id: "X".into(),
                    rows: vec![row(77, "W", "", Some(-70)), row(78, "X", "Jamuna", None)],
                },
                PinnedRows { subject_id: "Z".into(), rows: vec![] },
            ],
            definition: Some(definition()),
            ..GetLeaderboardResponse::default()
        };
        let drawing = draw(&board, &by(RankedBy::WonAmount));
        let expected = "\
Partners by won amount, 2024-03-11 to 2024-03-20, as of 2024-03-20
before: 2024-03-01 to 2024-03-10, as of 2024-03-10
amounts in USD; dates in Asia/Dhaka

Rank       Partner  Id  Won amount  Won
   1  ▲2   Meghna   A       999.00   12
   2  =    東京     B       998.00   12
   3  new  C        C       997.00   12

The first 3 of 1,200 ranked.

Around X:
Rank       Partner  Id  Won amount  Won
  77  ▼70  W        W       923.00   12
  78  new  Jamuna   X       922.00   12

Partner Z isn't ranked.";
        assert_eq!(drawing.lines.join("\n"), expected);
        for (at, id) in &drawing.subjects {
            assert!(drawing.lines[*at].contains(&format!(" {id} ")), "{at}: {id}");
        }
        assert_eq!(drawing.subjects.len(), 5);
    }

    #[test]
    fn nobody_is_said_so() {
        let board = GetLeaderboardResponse { definition: Some(definition()), ..Default::default() };
        let told = told(&board, &by(RankedBy::CloseRate));
        assert!(told.ends_with("\n\nNo partner is ranked: none has the figure in these days."), "{told}");
    }

    #[test]
    fn without_a_comparison_there_are_no_changes() {
        let definition = Some(Definition { comparison_window: None, ..definition() });
        let rows = vec![row(1, "A", "", None)];
        let board = GetLeaderboardResponse { rows, definition, ranked_count: 1, ..Default::default() };
        let told = told(&board, &by(RankedBy::DealCount));
        assert!(
            told.ends_with(
                "\nRank  Partner  Deal count   Worth\n   1  A            999.00  999.00\n\n1 ranked."
            ),
            "{told}"
        );
    }

    #[test]
    fn figures_by_hand() {
        let ratio = |quotient| Ratio { quotient, numerator: count(3), denominator: count(7) };
        for (figure, quotient, expected) in [
            (RankedBy::DealSuccess, 0.4286, "42.86 %"),
            (RankedBy::MarketingChannel, 2.5, "250.00 %"),
            (RankedBy::ValueScore, 132.04, "132.0"),
            (RankedBy::CycleDays, 12.55, "12.6 days"),
            (RankedBy::DealVelocity, 2_410.126, "2,410.13"),
            (RankedBy::DealCount, 12_000.0, "12,000"),
            (RankedBy::WorkDays, 31.0, "31"),
        ] {
            assert_eq!(value(&ratio(quotient), figure), expected, "{figure:?}");
        }
        let exact =
            Quantity { quantity: Some(quantity::Quantity::Amount(Money { nanos: 123_400_000, ..usd(5) })) };
        let exact = Ratio { quotient: 5.1234, numerator: Some(exact), denominator: count(1) };
        assert_eq!(value(&exact, RankedBy::WonAmount), "5.12");
    }

    #[test]
    fn titles_are_words() {
        let title = |figure| by(figure).figure_name();
        assert_eq!(title(RankedBy::CloseRateResolved), "Close rate resolved");
        assert_eq!(title(RankedBy::MarketingChannel), "Marketing ROI");
    }
}
