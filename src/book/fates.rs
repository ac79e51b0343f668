//! Fates: of each slot and desk the prospects that came in a month, and what became of them in the end.
//!
//! A cohort on a date is the fates of the prospects that came, less the outcomes that hadn't come by then: where
//! those are fewer than the prospects, they alone are read.
//!
//! Invariant, checked by `Page::verify` in tests: a page's fates are what its rows say.

use std::collections::BTreeMap;

use super::entry::{Entry, Event, Outcome, ProspectOutcome, Share};
use super::page::Page;
use super::pools::DeskRef;
use crate::domain::calendar::Date;
use crate::domain::record::Role;

/// What was sourced, for slots.
#[derive(Debug)]
pub(super) struct Fates {
    pub slots: Vec<Fate>,
    pub desks: Vec<Fate>,
    /// Of everyone, by the day on which they came.
    pub days: BTreeMap<Date, Fate>,
    /// No outcome came later. It may have come earlier, since it isn't taken back with the entry that had it.
    pub last_outcome_on: Date,
}

/// Prospects that came together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub prospect_count: i64,
    pub purchased_count: i64,
    pub lost_count: i64,
}

/// What became in the end of the prospect whose coming an event is.
pub(super) fn fate_of(event: Event, is_prospect: bool) -> Option<ProspectOutcome> {
    match event {
        Event::DealOpened(outcome) if is_prospect => Some(match outcome {
            Outcome::Open => ProspectOutcome::Unresolved,
            Outcome::Won => ProspectOutcome::Purchased,
            Outcome::Lost | Outcome::LostToCompetitor | Outcome::Expired => ProspectOutcome::Lost,
        }),
        Event::LeadCreated(outcome) => Some(outcome),
        _ => None,
    }
}

// === impl Fate ===

impl Fate {
    /// Of so many prospects, or, taken out, of so many less.
    pub fn of(outcome: ProspectOutcome, count: i64) -> Self {
        let count_if = |counts: bool| if counts { count } else { 0 };
        Self {
            prospect_count: count,
            purchased_count: count_if(outcome == ProspectOutcome::Purchased),
            lost_count: count_if(outcome == ProspectOutcome::Lost),
        }
    }

    /// So many outcomes that haven't come: the prospects are there.
    pub fn not_yet(outcome: ProspectOutcome, count: i64) -> Self {
        Self { prospect_count: 0, ..Self::of(outcome, -count) }
    }

    pub fn add(&mut self, other: &Self) {
        self.prospect_count += other.prospect_count;
        self.purchased_count += other.purchased_count;
        self.lost_count += other.lost_count;
    }
}

// === impl Fates ===

impl Fates {
    pub fn of(page: &Page) -> Self {
        let (slots, desks, days) = Default::default();
        let mut fates = Self { slots, desks, days, last_outcome_on: Date::FIRST };
        for sheet in [&page.opened, &page.leads] {
            for row in sheet.rows() {
                let Some(outcome) = fate_of(row.event, row.is_prospect()) else { continue };
                let fate = Fate::of(outcome, 1);
                if row.role() == Role::Sourced
                    && let Some(partner) = row.slot
                {
                    add(&mut fates.slots, partner.index(), &fate);
                }
                if row.part == 0 {
                    add(&mut fates.desks, row.desk.index(), &fate);
                    fates.note_day(row.on, row.other_on, &fate);
                }
            }
        }
        fates
    }

    /// Adds an entry, or, with a count of -1, takes it out.
    pub fn note(&mut self, desk: DeskRef, entry: &Entry, count: i64) {
        let Some(outcome) = fate_of(entry.event, entry.is_prospect) else { return };
        let fate = Fate::of(outcome, count);
        let sourced = |share: &&Share| share.role == Role::Sourced;
        for partner in entry.shares.iter().filter(sourced).filter_map(|share| share.slot) {
            add(&mut self.slots, partner.index(), &fate);
        }
        add(&mut self.desks, desk.index(), &fate);
        self.note_day(entry.on, entry.other_on, &fate);
    }

    fn note_day(&mut self, on: Date, outcome_on: Date, fate: &Fate) {
        self.days.entry(on).or_default().add(fate);
        if outcome_on != Date::NEVER {
            self.last_outcome_on = self.last_outcome_on.max(outcome_on);
        }
    }
}

fn add(all: &mut Vec<Fate>, at: usize, fate: &Fate) {
    if all.len() <= at {
        all.resize(at + 1, Fate::default());
    }
    all[at].add(fate);
}

#[cfg(test)]
impl Fates {
    /// Whether both say the same of everyone.
    pub fn equals(&self, other: &Self) -> bool {
        let told = |fates: &Vec<Fate>| {
            let mut fates = fates.clone();
            while fates.pop_if(|last| *last == Fate::default()).is_some() {}
            fates
        };
        let by_day = |fates: &Self| {
            let mut days = fates.days.clone();
            days.retain(|_, fate| *fate != Fate::default());
            days
        };
        told(&self.slots) == told(&other.slots)
            && told(&self.desks) == told(&other.desks)
            && by_day(self) == by_day(other)
            && self.last_outcome_on >= other.last_outcome_on
    }
}
