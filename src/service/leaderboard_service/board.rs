//! A board in a window: its rows as the wire has them.

use tonic::Status;

use crate::book::{BoardPin, Book, Leaderboard, Ranked};
use crate::domain::calendar::{Date, Instant};
use crate::domain::premises::RatesOn;
use crate::domain::record::Settings;
use crate::domain::window::Window;
use crate::kpi::leaderboard::{RowKey, Score};
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
    /// That of the comparison window.
    previous: Option<Leaderboard<'a>>,
}

// === impl Board ===

impl<'a> Board<'a> {
    /// Whether nothing has to be told but its rows.
    pub fn is_kept(
        book: &Book,
        settings: &Settings,
        asked: &BoardQuestion,
        as_of: Option<Date>,
        now: Instant,
    ) -> bool {
        let Ok(now) = window(asked.window, as_of_or_today(as_of, settings, now), settings) else {
            return true; // the refusal is told at once
        };
        let rates = asked.ranking.premises.exchange.rates_in(&now);
        let windows = [Some(now), now.compared(asked.comparison)].into_iter().flatten();
        windows.into_iter().all(|window| book.keeps_leaderboard(&asked.ranking, &window, rates))
    }

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
        let previous = before.map(|before| book.leaderboard(&asked.ranking, &before, rates));
        Ok(Self { book, settings, asked, now, before, rates, board, previous })
    }

    pub fn as_of(&self) -> Date {
        self.now.as_of
    }

    pub fn ranked_count(&self) -> i64 {
        self.board.len() as i64
    }

    pub fn version(&self) -> pb::BoardVersion {
        pb::BoardVersion { revision: self.book.revision() as i64, as_of: Some(value::date(self.now.as_of)) }
    }

    /// Up to `count` rows after a place, and the key of the last of them if more follow.
    pub fn rows(&self, after: Option<&RowKey>, count: usize) -> (Vec<pb::LeaderboardRow>, Option<RowKey>) {
        let first = after.map_or(0, |key| self.board.count_through(key));
        let end = self.board.len().min(first + count);
        let goes_on = end < self.board.len() && end > first;
        let last = goes_on.then(|| self.board.rows(end - 1..end).next()).flatten();
        let rows = self.board.rows(first..end).map(|row| self.row(&row)).collect();
        (rows, last.map(|last| RowKey::of(&last.entrant)))
    }

    /// The pinned subjects with the rows around them.
    pub fn pinned(&self) -> Vec<pb::PinnedRows> {
        let BoardQuestion { pinned, neighbor_count, .. } = self.asked;
        let rows_around = |subject_id: &String| {
            let places = self.board.place_of(subject_id).map_or(0..0, |at| {
                at.saturating_sub(*neighbor_count)..self.board.len().min(at + neighbor_count + 1)
            });
            let rows = self.board.rows(places).map(|row| self.row(&row)).collect();
            pb::PinnedRows { subject_id: subject_id.clone(), rows }
        };
        pinned.iter().map(rows_around).collect()
    }

    pub fn definition(&self) -> pb::Definition {
        let boards = [Some(&self.board), self.previous.as_ref()];
        let oldest = boards.into_iter().flatten().filter_map(Leaderboard::oldest_rate_on).min();
        let sent = &self.asked.sent_premises;
        scorecard::definition(&self.now, self.before.as_ref(), self.rates, sent, self.settings, oldest)
    }

    /// As long as someone has these, the book keeps what the board is told from.
    pub fn pins(&self) -> Vec<BoardPin> {
        [Some(&self.board), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .flat_map(Leaderboard::pins)
            .collect()
    }

    fn row(&self, row: &Ranked<'_>) -> pb::LeaderboardRow {
        let Ranked { entrant, place, rank, name, .. } = row;
        let figures = Figures { currency: self.settings.reporting_currency };
        let previous = self.previous.as_ref().and_then(|previous| previous.rank_of(row));
        let lower_bound = match entrant.score {
            Score::LowerBound { e9, .. } => Some(e9 as f64 / 1e9),
            Score::Value(_) => None,
        };
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
