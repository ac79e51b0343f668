//! A board as it changes: redrawn in place on a terminal, one below the other elsewhere.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;

use channel_kpi::client::watch::{Away, Board, Came, Event, Watch};
use channel_kpi::proto::channelkpi::v1::{GetLeaderboardResponse, GoingAwayReason, WatchLeaderboardRequest};
use chrono::Local;
use tokio_util::sync::CancellationToken;

use super::table::{self, Titles};
use crate::command::connection::Connection;
use crate::command::failure::{Failure, status_message};
use crate::command::{Ending, json, number, print, serve};

/// Shows the board until Ctrl-C.
pub async fn watch(
    connection: Connection,
    request: WatchLeaderboardRequest,
    titles: &Titles,
    as_json: bool,
) -> Result<Ending, Failure> {
    let stop = CancellationToken::new();
    serve::on_signals(stop.clone(), CancellationToken::new())?;
    let mut watch = Watch::new(connection.streams(), request);
    let mut shown: Box<dyn Show> = match as_json {
        true => Box::new(Lines),
        false if std::io::stdout().is_terminal() => Box::new(Screen::open(titles)?),
        false => Box::new(Blocks { titles, last: None }),
    };
    loop {
        let event = tokio::select! {
            event = watch.next() => event,
            () = stop.cancelled() => return Ok(Ending::Done),
        };
        match event {
            Some(Ok(Event::Board { board, came })) => shown.board(board, came)?,
            Some(Ok(Event::Away { why, .. })) => shown.away(&in_words(&why))?,
            Some(Err(status)) => return Err(status.into()),
            None => return Ok(Ending::Done),
        }
    }
}

/// What becomes of the events.
trait Show {
    fn board(&mut self, board: Arc<Board>, came: Came) -> Result<(), Failure>;

    /// There is no stream at the moment.
    fn away(&mut self, why: &str) -> Result<(), Failure> {
        // Nobody is left to hear that stderr can't be written.
        let _ = writeln!(std::io::stderr(), "reconnecting: {why}");
        Ok(())
    }
}

/// A line of JSON for each change: what GetLeaderboard answers.
struct Lines;

impl Show for Lines {
    fn board(&mut self, board: Arc<Board>, came: Came) -> Result<(), Failure> {
        match came {
            Came::Heartbeat => Ok(()),
            _ => print(&json::render_line("GetLeaderboardResponse", &answer(&board))),
        }
    }
}

/// A table for each change.
struct Blocks<'t> {
    titles: &'t Titles,
    last: Option<Arc<Board>>,
}

impl Show for Blocks<'_> {
    fn board(&mut self, board: Arc<Board>, came: Came) -> Result<(), Failure> {
        if came == Came::Heartbeat {
            return Ok(());
        }
        let block = block(&board, self.last.as_deref(), self.titles);
        let between = if self.last.is_some() { "\n" } else { "" };
        self.last = Some(board);
        let lines: Vec<String> = block.into_iter().map(|line| line.text).collect();
        print(&format!("{between}{}\n", lines.join("\n")))
    }
}

/// A table that is redrawn in place, on a terminal's second screen: what was there before comes back.
struct Screen<'t> {
    titles: &'t Titles,
    lines: Vec<Line>,
    last: Option<Arc<Board>>,
    heard: String,
}

/// The second screen, without cursor, long lines cut.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// The state, with a line above and one below it.
const STATE_LINES: usize = 3;
const HOME: &str = "\x1b[H";
/// Clears what another drawing left to the right of a line, and below the last one.
const END_OF_LINE: &str = "\x1b[K\n";
const END_OF_DRAWING: &str = "\x1b[J";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

impl<'t> Screen<'t> {
    fn open(titles: &'t Titles) -> Result<Self, Failure> {
        let screen = Self { titles, lines: Vec::new(), last: None, heard: String::new() };
        write(ENTER)?;
        screen.draw("connecting …")?;
        Ok(screen)
    }

    fn draw(&self, state: &str) -> Result<(), Failure> {
        // More than the terminal is high would scroll the leaders away.
        let (height, _) = console::Term::stdout().size();
        let room = usize::from(height).saturating_sub(STATE_LINES).max(1);
        write(&redrawn(&self.lines[..self.lines.len().min(room)], state))
    }
}

/// A drawing over the one before, with what moved in bold.
fn redrawn(lines: &[Line], state: &str) -> String {
    let mut drawing = String::from(HOME);
    for Line { text, moved } in lines {
        let (begin, end) = if *moved { (BOLD, PLAIN) } else { ("", "") };
        drawing.push_str(&format!("{begin}{text}{end}{END_OF_LINE}"));
    }
    format!("{drawing}{END_OF_LINE}{DIM}{state}   Ctrl-C ends{PLAIN}{END_OF_LINE}{END_OF_DRAWING}")
}

impl Show for Screen<'_> {
    fn board(&mut self, board: Arc<Board>, came: Came) -> Result<(), Failure> {
        // A heartbeat changes nothing: what moved last stays marked.
        if came != Came::Heartbeat || self.last.is_none() {
            self.lines = block(&board, self.last.as_deref(), self.titles);
        } else if let Some(line) = self.lines.last_mut() {
            line.text = version(&board);
        }
        self.last = Some(board);
        self.heard = format!("heard at {}", Local::now().format("%H:%M:%S"));
        self.draw(&format!("live, {}", self.heard))
    }

    fn away(&mut self, why: &str) -> Result<(), Failure> {
        let heard = if self.heard.is_empty() { String::new() } else { format!(", {}", self.heard) };
        self.draw(&format!("reconnecting: {why}{heard}"))
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no cursor. What was shown last stays, as of any other command.
        let _ = write(LEAVE);
        let lines: Vec<&str> = self.lines.iter().map(|line| line.text.as_str()).collect();
        if !lines.is_empty() {
            let _ = print(&lines.join("\n"));
        }
    }
}

fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|source| Failure::Output { source })
}

/// A line of a drawing.
struct Line {
    text: String,
    /// Whether it is of a subject whose rank is another one than in the drawing before.
    moved: bool,
}

/// The board in lines, with what moved since the one before, and its version.
fn block(board: &Board, before: Option<&Board>, titles: &Titles) -> Vec<Line> {
    let drawing = table::draw(&answer(board), titles);
    let mut lines: Vec<Line> = drawing.lines.into_iter().map(|text| Line { text, moved: false }).collect();
    if let Some(before) = before {
        let (old, new) = (ranks(before), ranks(board));
        for (at, id) in &drawing.subjects {
            if let Some(now) = moved(old.get(id.as_str()), new.get(id.as_str())) {
                lines[*at].text.push_str(&format!("  {now}"));
                lines[*at].moved = true;
            }
        }
    }
    if !board.pinned.is_empty() {
        lines.push(Line { text: String::new(), moved: false });
    }
    lines.push(Line { text: version(board), moved: false });
    lines
}

fn ranks(board: &Board) -> HashMap<&str, i64> {
    let pinned = board.pinned.iter().flat_map(|pinned| &pinned.rows);
    board.rows.iter().chain(pinned).map(|row| (row.subject_id.as_str(), row.rank)).collect()
}

/// How a rank moved just now.
fn moved(old: Option<&i64>, new: Option<&i64>) -> Option<String> {
    match (old, new?) {
        (None, _) => Some("← in".into()),
        (Some(old), new) if new < old => Some(format!("← up from {}", number::count(*old))),
        (Some(old), new) if new > old => Some(format!("← down from {}", number::count(*old))),
        _ => None,
    }
}

fn version(board: &Board) -> String {
    format!("Revision {}.", number::count(board.version.revision))
}

/// The board as GetLeaderboard would have answered it.
fn answer(board: &Board) -> GetLeaderboardResponse {
    GetLeaderboardResponse {
        rows: board.rows.clone(),
        ranked_count: board.ranked_count,
        pinned: board.pinned.clone(),
        definition: Some(board.definition.clone()),
        version: Some(board.version),
        ..GetLeaderboardResponse::default()
    }
}

fn in_words(why: &Away) -> String {
    match why {
        Away::GoingAway(GoingAwayReason::Draining) => "the sidecar stops".into(),
        Away::GoingAway(_) => "the stream has reached its age".into(),
        Away::Ended => "the stream ended".into(),
        Away::Silent => "nothing was heard for too long".into(),
        Away::Failed(status) | Away::TokenRefused(status) => status_message(status).replace('\n', ""),
        Away::Torn(torn) => format!("what came can't be right ({torn}): asking for all of it"),
    }
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::{BoardVersion, LeaderboardRow, PinnedRows, RankedBy};

    use super::*;

    fn board(revision: i64, ids: &[&str]) -> Board {
        let row = |(rank, id): (i64, &&str)| LeaderboardRow {
            rank,
            place: rank,
            subject_id: (*id).into(),
            ..LeaderboardRow::default()
        };
        Board {
            rows: (1..).zip(ids).map(row).collect(),
            ranked_count: 9,
            version: BoardVersion { revision, as_of: None },
            ..Board::default()
        }
    }

    const TITLES: Titles = Titles { figure: RankedBy::DealCount, rows: "Partner", with_lower_bound: false };

    #[test]
    fn what_moved_is_marked() {
        let (before, mut after) = (board(1_203, &["A", "B", "C"]), board(1_204, &["B", "A", "D"]));
        let neighbours = board(0, &["E"]).rows;
        after.pinned = vec![PinnedRows { subject_id: "E".into(), rows: neighbours }];
        let marks = |lines: &[Line]| -> Vec<String> {
            let moved = lines.iter().filter(|line| line.moved);
            moved.filter_map(|line| Some(line.text.split_once('←')?.1.to_owned())).collect()
        };
        let lines = block(&after, Some(&before), &TITLES);
        assert_eq!(marks(&lines), [" up from 2", " down from 1", " in", " in"]);
        assert_eq!(lines.last().expect("it has lines").text, "Revision 1,204.");
        assert!(marks(&block(&after, Some(&after), &TITLES)).is_empty());
        assert!(marks(&block(&after, None, &TITLES)).is_empty());
    }

    #[test]
    fn a_drawing_covers_the_one_before() {
        let line = |text: &str, moved| Line { text: text.into(), moved };
        let drawn = redrawn(&[line("1  A", true), line("2  B", false)], "live");
        let expected = "\x1b[H\x1b[1m1  A\x1b[0m\x1b[K\n2  B\x1b[K\n\x1b[K\n\
                        \x1b[2mlive   Ctrl-C ends\x1b[0m\x1b[K\n\x1b[J";
        assert_eq!(drawn, expected);
    }
}
