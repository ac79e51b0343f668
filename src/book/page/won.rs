//! Won: the deals won in a month, by desk, a few bytes each: what isn't a sum of them, such as a median, is told without
//! reading all rows. Told when it is first asked for, and kept with every change from then on.
//!
//! Invariant, checked by `Page::verify` in tests: they are what the rows of ends say.

use std::collections::BTreeMap;

use super::{Page, Row};
use crate::book::entry::{Entry, Event, Outcome};
use crate::book::pools::DeskRef;
use crate::book::scope::Desks;
use crate::domain::amount::Amount;
use crate::domain::calendar::Date;

/// By desk and the number of the deal.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct WonByDesk(BTreeMap<(DeskRef, u32), Won>);

/// A deal, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Won {
    /// At the rates of its own day.
    pub amount: Option<Amount>,
    pub opened_on: Date,
    pub closed_on: Date,
    /// Whether its host sent it once, as closed.
    pub was_sent_closed: bool,
}

// === impl WonByDesk ===

impl WonByDesk {
    pub(super) fn of(page: &Page) -> Self {
        let won = page.ended.rows().filter(|row| row.part == 0 && is_won(row.event));
        Self(won.map(|row| ((row.desk, row.of), Won::of(row))).collect())
    }

    /// Adds an entry, or takes it out.
    pub(super) fn note(&mut self, desk: DeskRef, entry: &Entry, is_taken_out: bool) {
        if !is_won(entry.event) {
            return;
        }
        if is_taken_out {
            self.0.remove(&(desk, entry.of));
        } else {
            let won = Won {
                amount: entry.value.amount(),
                opened_on: entry.other_on,
                closed_on: entry.on,
                was_sent_closed: entry.terms.is_some(),
            };
            self.0.insert((desk, entry.of), won);
        }
    }

    /// Calls `take` with each deal of some desks, or of all where none are named, and its number.
    pub fn each(&self, desks: Option<&Desks>, mut take: impl FnMut(u32, &Won)) {
        match desks {
            None => self.0.iter().for_each(|(&(_, deal), won)| take(deal, won)),
            Some(desks) => {
                for desk in desks.iter() {
                    let of_desk = self.0.range((desk, 0)..=(desk, u32::MAX));
                    of_desk.for_each(|(&(_, deal), won)| take(deal, won));
                }
            }
        }
    }
}

// === impl Won ===

impl Won {
    fn of(end: &Row) -> Self {
        Self {
            amount: end.value().amount(),
            opened_on: end.other_on,
            closed_on: end.on,
            was_sent_closed: end.was_sent_closed(),
        }
    }
}

fn is_won(event: Event) -> bool {
    event == Event::DealEnded(Outcome::Won)
}
