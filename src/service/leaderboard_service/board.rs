//! A board in a window: its rows as the wire has them.

use std::collections::HashMap;

use tonic::Status;

use crate::book::{BoardPin, Book, Leaderboard};
use crate::domain::calendar::{Date, Instant};
use crate::domain::premises::RatesOn;
use crate::domain::record::Settings;
use crate::domain::window::Window;
use crate::kpi::leaderboard::{Ranked, RowKey, Score};
use crate::proto::channelkpi::v1 as pb;
use crate::service::parse::BoardQuestion;
use crate::service::render::figure::Figures;
use crate::service::render::{scorecard, value};
use crate::service::{as_of_or_today, window};

/// One board, told from one revision of the book.
pub struct Board<'a> {
    book: &'a Book,
    settings: &'a Settings,
    asked: &'a BoardQuestion,
    now: Window,
    before: Option<Window>,
    rates: RatesOn,
    board: Leaderboard<'a>,
    /// Ranks in the comparison window, by id.
    previous: HashMap<&'a str, usize>,
    previous_rate_on: Option<Date>,
    previous_pins: Vec<BoardPin>,
}

// === impl Board ===

impl<'a> Board<'a> {
    pub fn tell(
        book: &'a Book,
        settings: &'a Settings,
        asked: &'a BoardQuestion,
        as_of: Option<Date>,
        now: Instant,
    ) -> Result<Self, Status> {
        let now = window(asked.window, as_of_or_today(as_of, settings, now), settings)?;
        let before = now.compared(asked.comparison);
        let rates = asked.ranking.premises.exchange.rates_in(&now);
        let board = book.leaderboard(&asked.ranking, &now, rates);
        let earlier = before.map(|before| book.leaderboard(&asked.ranking, &before, rates));
        let (mut previous, mut previous_rate_on, mut previous_pins) = (HashMap::new(), None, Vec::new());
        if let Some(Leaderboard { rows, oldest_rate_on, pins }) = earlier {
            previous = rows.iter().map(|row| (row.entrant.id, row.rank)).collect();
            (previous_rate_on, previous_pins) = (oldest_rate_on, pins);
        }
        Ok(Self {
            book,
            settings,
            asked,
            now,
            before,
            rates,
            board,
            previous,
            previous_rate_on,
            previous_pins,
        })
    }

    pub fn as_of(&self) -> Date {
        self.now.as_of
    }

    pub fn ranked_count(&self) -> i64 {
        self.board.rows.len() as i64
    }

    pub fn version(&self) -> pb::BoardVersion {
        pb::BoardVersion { revision: self.book.revision() as i64, as_of: Some(value::date(self.now.as_of)) }
    }

    /// Up to `count` rows after a place, and the key of the last of them if more follow.
    pub fn rows(&self, after: Option<&RowKey>, count: usize) -> (Vec<pb::LeaderboardRow>, Option<RowKey>) {
        let direction = self.asked.ranking.ranked_by.direction();
        let all = &self.board.rows;
        let first = after.map_or(0, |key| all.partition_point(|row| !key.is_before(&row.entrant, direction)));
        let end = all.len().min(first + count);
        let rows = all[first..end].iter().map(|row| self.row(row)).collect();
        let last = all[..end].last().filter(|_| end < all.len() && end > first);
        (rows, last.map(|last| RowKey::of(&last.entrant)))
    }

    /// The pinned subjects with the rows around them.
    pub fn pinned(&self) -> Vec<pb::PinnedRows> {
        let BoardQuestion { pinned, neighbor_count, ranking, .. } = self.asked;
        let rows_around = |subject_id: &String| {
            let id = self.book.id_on_board(ranking.kind, subject_id);
            let at = self.board.rows.iter().position(|row| row.entrant.id == id);
            let rows = at.map_or(&[][..], |at| {
                let end = self.board.rows.len().min(at + neighbor_count + 1);
                &self.board.rows[at.saturating_sub(*neighbor_count)..end]
            });
            pb::PinnedRows {
                subject_id: subject_id.clone(),
                rows: rows.iter().map(|row| self.row(row)).collect(),
            }
        };
        pinned.iter().map(rows_around).collect()
    }

    pub fn definition(&self) -> pb::Definition {
        let rates_on = [self.board.oldest_rate_on, self.previous_rate_on];
        let oldest = rates_on.into_iter().flatten().min();
        let sent = &self.asked.sent_premises;
        scorecard::definition(&self.now, self.before.as_ref(), self.rates, sent, self.settings, oldest)
    }

    /// As long as someone has these, the book keeps what the board is told from.
    pub fn pins(&self) -> Vec<BoardPin> {
        self.board.pins.iter().chain(&self.previous_pins).cloned().collect()
    }

    fn row(&self, row: &Ranked<'_>) -> pb::LeaderboardRow {
        let Ranked { entrant, place, rank } = row;
        let figures = Figures { currency: self.settings.reporting_currency };
        let previous = self.previous.get(entrant.id).copied();
        let lower_bound = match entrant.score {
            Score::LowerBound { e9, .. } => Some(e9 as f64 / 1e9),
            Score::Value(_) => None,
        };
        let name = self.book.name_of_one(self.asked.ranking.kind, entrant.id);
        pb::LeaderboardRow {
            place: *place as i64,
            rank: *rank as i64,
            subject_id: entrant.id.to_owned(),
            name: name.unwrap_or_default().to_owned(),
            value: Some(figures.ratio_or_quotient(entrant.score.figure())),
            lower_bound,
            won_count: entrant.won.count,
            won_amount: figures.money(entrant.won.amount_e4),
            previous_rank: previous.map(|previous| previous as i64),
            rank_change: previous.map(|previous| previous as i64 - *rank as i64),
        }
    }
}
