//! Fates: of each slot and desk the prospects that came in a month, and what became of them in the end.
//!
//! A cohort on a date is the fates of the prospects that came, less the outcomes that hadn't come by then: where
//! those are fewer than the prospects, they alone are read. Of everyone and of slots with many prospects fates are
//! known by days, and nothing is read.
//!
//! Invariant, checked by `Page::verify` in tests: a page's fates are what its rows say.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use hashbrown::HashMap;

use super::entry::{Entry, Event, Outcome, ProspectOutcome, Share};
use super::packed::PartnerRef;
use super::page::{Page, Row};
use super::pools::DeskRef;
use crate::domain::calendar::Date;
use crate::domain::record::Role;

/// Of slots to which so many prospects came in a month the days are known too. Under test few, so that small
/// histories go both ways.
const COURSES_FROM: i64 = if cfg!(test) { 2 } else { 128 };

/// What was sourced, for slots.
#[derive(Debug)]
pub(super) struct Fates {
    pub slots: Vec<Fate>,
    pub desks: Vec<Fate>,
    /// Of everyone.
    pub all: Courses,
    /// Of slots that had many when the fates were told.
    courses: HashMap<PartnerRef, Courses>,
}

/// By the days on which prospects came, and on which their outcomes did; without one, on [`Date::NEVER`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Courses {
    days: BTreeMap<(Date, Date), Fate>,
    /// Of all of them, whenever they came.
    outcomes: BTreeMap<Date, Fate>,
    all: Fate,
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

// === impl Courses ===

impl Courses {
    pub fn note(&mut self, (came_on, outcome_on): (Date, Date), fate: &Fate) {
        add_at(&mut self.days, (came_on, outcome_on), fate);
        add_at(&mut self.outcomes, outcome_on, fate);
        self.all.add(fate);
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Whether by `as_of` all outcomes had come that come at all.
    pub fn are_over(&self, as_of: Date) -> bool {
        self.later(as_of).next().is_none()
    }

    /// What became by `as_of` of those that came on some days. None: of all of them.
    pub fn fate(&self, days: Option<RangeInclusive<Date>>, as_of: Date) -> Fate {
        let Some(days) = days else {
            // Less what hadn't come by then: today that is nothing.
            return self.later(as_of).fold(self.all, |sum, later| Fate {
                purchased_count: sum.purchased_count - later.purchased_count,
                lost_count: sum.lost_count - later.lost_count,
                ..sum
            });
        };
        let mut sum = Fate::default();
        for (&(_, outcome_on), fate) in
            self.days.range((*days.start(), Date::FIRST)..=(*days.end(), Date::NEVER))
        {
            sum.prospect_count += fate.prospect_count;
            if outcome_on <= as_of {
                sum.purchased_count += fate.purchased_count;
                sum.lost_count += fate.lost_count;
            }
        }
        sum
    }

    /// Of those whose outcome came after a date.
    fn later(&self, as_of: Date) -> impl Iterator<Item = &Fate> {
        self.outcomes.range(as_of.next()..Date::NEVER).map(|(_, fate)| fate)
    }
}

// === impl Fates ===

impl Fates {
    pub fn of(page: &Page) -> Self {
        let mut fates =
            Self { slots: Vec::new(), desks: Vec::new(), all: Courses::default(), courses: HashMap::new() };
        each_coming(page, |row, fate| {
            if row.role() == Role::Sourced
                && let Some(partner) = row.slot
            {
                add(&mut fates.slots, partner.index(), fate);
            }
            if row.part == 0 {
                add(&mut fates.desks, row.desk.index(), fate);
                fates.all.note((row.on, row.other_on), fate);
            }
        });
        let has_many = |partner: PartnerRef| {
            fates.slots.get(partner.index()).is_some_and(|fate| fate.prospect_count >= COURSES_FROM)
        };
        each_coming(page, |row, fate| {
            if let Some(partner) =
                row.slot.filter(|&partner| row.role() == Role::Sourced && has_many(partner))
            {
                fates.courses.entry(partner).or_default().note((row.on, row.other_on), fate);
            }
        });
        fates
    }

    /// Those of what a partner sourced, where they are known by their days.
    pub fn courses(&self, partner: PartnerRef) -> Option<&Courses> {
        self.courses.get(&partner)
    }

    /// Adds an entry, or, with a count of -1, takes it out.
    pub fn note(&mut self, desk: DeskRef, entry: &Entry, count: i64) {
        let Some(outcome) = fate_of(entry.event, entry.is_prospect) else { return };
        let fate = Fate::of(outcome, count);
        let sourced = |share: &&Share| share.role == Role::Sourced;
        for partner in entry.shares.iter().filter(sourced).filter_map(|share| share.slot) {
            add(&mut self.slots, partner.index(), &fate);
            if let Some(courses) = self.courses.get_mut(&partner) {
                courses.note((entry.on, entry.other_on), &fate);
            }
        }
        add(&mut self.desks, desk.index(), &fate);
        self.all.note((entry.on, entry.other_on), &fate);
    }
}

/// Calls `take` with each row of a page that is the coming of a prospect, and its fate.
fn each_coming(page: &Page, mut take: impl FnMut(&Row, &Fate)) {
    for row in [&page.opened, &page.leads].into_iter().flat_map(|sheet| sheet.rows()) {
        if let Some(outcome) = fate_of(row.event, row.is_prospect()) {
            take(row, &Fate::of(outcome, 1));
        }
    }
}

fn add_at<K: Ord + Copy>(all: &mut BTreeMap<K, Fate>, at: K, fate: &Fate) {
    let sum = all.entry(at).or_default();
    sum.add(fate);
    if *sum == Fate::default() {
        all.remove(&at);
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
    /// Checks that they say of everyone what the page's rows say.
    pub fn verify(&self, page: &Page) {
        let told = |fates: &Vec<Fate>| {
            let mut fates = fates.clone();
            while fates.pop_if(|last| *last == Fate::default()).is_some() {}
            fates
        };
        let fresh = Self::of(page);
        assert_eq!(told(&self.slots), told(&fresh.slots), "of slots");
        assert_eq!(told(&self.desks), told(&fresh.desks), "of desks");
        assert_eq!(self.all, fresh.all, "by days");
        for (&partner, courses) in &self.courses {
            let mut expected = Courses::default();
            each_coming(page, |row, fate| {
                if row.role() == Role::Sourced && row.slot == Some(partner) {
                    expected.note((row.on, row.other_on), fate);
                }
            });
            assert_eq!(*courses, expected, "of {partner:?} by days");
        }
    }
}
