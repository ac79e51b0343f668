//! What a board holds: the parts of standings that it was asked for, dense by the subjects' numbers.
//!
//! Invariant: all of it adds and subtracts without loss. Counts are kept as 32 bits and go around: numbers of
//! deals and leads are as wide, so what is left in the end is exact, whatever was on the way.

use std::collections::BTreeMap;

use crate::book::entry::{Ended, Event, EventSums, Outcome};
use crate::book::fates::Fate;
use crate::book::page::Row;
use crate::domain::calendar::{Date, DateRange};
use crate::kpi::measures::{Measures, Tally};
use crate::kpi::peers::Peer;
use crate::kpi::standing::{Cohort, Standing, StandingParts};

/// Whether something is put in or taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    In,
    Out,
}

/// By the number of the survivor. Of the parts that weren't asked for nothing is told.
#[derive(Clone, Debug)]
pub(in crate::book) struct Sums {
    dates: DateRange,
    ends: Vec<Ends>,
    work: Vec<Work>,
    prospects: Vec<Prospects>,
    cohorts: Vec<Came>,
    open: Vec<Priced>,
    /// How many amounts of ends, and of open deals, rest on the rates of each date.
    pub(super) rate_dates: RateDates,
    /// Those of openings.
    pub(super) opening_rate_dates: RateDates,
    /// Counts up with all that is put in or taken out.
    change_count: u64,
}

/// Where the events of one subject go.
pub(super) struct SubjectEvents<'a> {
    sums: &'a mut Sums,
    number: u32,
    parts: StandingParts,
    sign: Sign,
}

pub(super) type RateDates = BTreeMap<Date, i64>;

/// What a tally holds, in less room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Priced {
    count: u32,
    priced_count: u32,
    amount_e4: i128,
}

/// What came of deals that ended in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    won: Priced,
    channel_won: Priced,
    lost: Priced,
    expired: Priced,
    day_numbers: i64,
    cycle_days: i64,
    lost_to_competitor_count: u32,
    same_day_count: u32,
    same_day_won_count: u32,
}

/// What was in work: opened in the window, or open before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Work {
    opened: Priced,
    day_numbers: i64,
    open_before_count: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Prospects {
    lead_count: u32,
    channel_lead_count: u32,
    converted_lead_count: u32,
    disqualified_lead_count: u32,
    prospect_count: u32,
    purchased_count: u32,
    lost_prospect_count: u32,
}

/// The cohort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Came {
    prospect_count: u32,
    purchased_count: u32,
    lost_count: u32,
}

// === impl Sign ===

impl Sign {
    pub fn reversed(self) -> Self {
        match self {
            Self::In => Self::Out,
            Self::Out => Self::In,
        }
    }
}

/// Adds to or takes from a 32-bit count what measures count.
#[inline]
fn count(of: &mut u32, more: i64, sign: Sign) {
    *of = match sign {
        Sign::In => of.wrapping_add(more as u32),
        Sign::Out => of.wrapping_sub(more as u32),
    };
}

#[inline]
fn sum(of: &mut i64, more: i64, sign: Sign) {
    match sign {
        Sign::In => *of += more,
        Sign::Out => *of -= more,
    }
}

// === impl Priced ===

impl Priced {
    #[inline]
    fn note(&mut self, more: &Tally, sign: Sign) {
        count(&mut self.count, more.count, sign);
        count(&mut self.priced_count, more.priced_count, sign);
        match sign {
            Sign::In => self.amount_e4 += more.amount_e4,
            Sign::Out => self.amount_e4 -= more.amount_e4,
        }
    }

    fn tally(&self) -> Tally {
        Tally { count: self.count.into(), priced_count: self.priced_count.into(), amount_e4: self.amount_e4 }
    }
}

// === impl Ends ===

impl Ends {
    #[inline]
    fn note(&mut self, more: &Measures, sign: Sign) {
        self.won.note(&more.won, sign);
        self.channel_won.note(&more.channel_won, sign);
        self.lost.note(&more.lost, sign);
        self.expired.note(&more.expired, sign);
        sum(&mut self.day_numbers, more.ended_day_numbers, sign);
        sum(&mut self.cycle_days, more.cycle_days, sign);
        count(&mut self.lost_to_competitor_count, more.lost_to_competitor_count, sign);
        count(&mut self.same_day_count, more.same_day_count, sign);
        count(&mut self.same_day_won_count, more.same_day_won_count, sign);
    }
}

// === impl Work ===

impl Work {
    #[inline]
    fn note(&mut self, more: &Measures, sign: Sign) {
        self.opened.note(&more.opened, sign);
        sum(&mut self.day_numbers, more.opened_day_numbers, sign);
    }
}

// === impl Prospects ===

impl Prospects {
    #[inline]
    fn note(&mut self, more: &Measures, sign: Sign) {
        count(&mut self.lead_count, more.lead_count, sign);
        count(&mut self.channel_lead_count, more.channel_lead_count, sign);
        count(&mut self.converted_lead_count, more.converted_lead_count, sign);
        count(&mut self.disqualified_lead_count, more.disqualified_lead_count, sign);
        count(&mut self.prospect_count, more.prospect_count, sign);
        count(&mut self.purchased_count, more.purchased_count, sign);
        count(&mut self.lost_prospect_count, more.lost_prospect_count, sign);
    }
}

/// The place of a number, where a vector has one for it or not.
#[inline]
fn at<T: Clone + Default>(all: &mut Vec<T>, number: u32) -> &mut T {
    let at = number as usize;
    if at >= all.len() {
        all.resize(at + 1, T::default());
    }
    &mut all[at]
}

fn get<T: Copy + Default>(all: &[T], number: u32) -> T {
    all.get(number as usize).copied().unwrap_or_default()
}

// === impl Sums ===

impl Sums {
    /// Nothing of any of so many subjects.
    pub fn new(dates: DateRange, parts: StandingParts, with_open: bool, subject_count: usize) -> Self {
        let room = |is_told: bool| if is_told { subject_count } else { 0 };
        Self {
            dates,
            ends: vec![Ends::default(); subject_count],
            work: vec![Work::default(); room(parts.work)],
            prospects: vec![Prospects::default(); room(parts.prospects)],
            cohorts: vec![Came::default(); room(parts.cohort)],
            open: vec![Priced::default(); room(with_open)],
            rate_dates: BTreeMap::new(),
            opening_rate_dates: BTreeMap::new(),
            change_count: 0,
        }
    }

    /// How often something was put in or taken out.
    pub fn change_count(&self) -> u64 {
        self.change_count
    }

    /// All numbers that may have something.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        let lengths =
            [self.ends.len(), self.work.len(), self.prospects.len(), self.cohorts.len(), self.open.len()];
        0..lengths.into_iter().max().unwrap_or_default() as u32
    }

    /// What a subject has, put together.
    pub fn row(&self, number: u32) -> Peer {
        let Ends {
            won,
            channel_won,
            lost,
            expired,
            day_numbers: ended_day_numbers,
            cycle_days,
            lost_to_competitor_count,
            same_day_count,
            same_day_won_count,
        } = get(&self.ends, number);
        let Work { opened, day_numbers: opened_day_numbers, open_before_count } = get(&self.work, number);
        let Prospects {
            lead_count,
            channel_lead_count,
            converted_lead_count,
            disqualified_lead_count,
            prospect_count,
            purchased_count,
            lost_prospect_count,
        } = get(&self.prospects, number);
        let measures = Measures {
            opened: opened.tally(),
            opened_day_numbers,
            won: won.tally(),
            channel_won: channel_won.tally(),
            lost: lost.tally(),
            expired: expired.tally(),
            lost_to_competitor_count: lost_to_competitor_count.into(),
            ended_day_numbers,
            same_day_count: same_day_count.into(),
            same_day_won_count: same_day_won_count.into(),
            cycle_days,
            lead_count: lead_count.into(),
            channel_lead_count: channel_lead_count.into(),
            converted_lead_count: converted_lead_count.into(),
            disqualified_lead_count: disqualified_lead_count.into(),
            prospect_count: prospect_count.into(),
            purchased_count: purchased_count.into(),
            lost_prospect_count: lost_prospect_count.into(),
        };
        let Came { prospect_count, purchased_count, lost_count } = get(&self.cohorts, number);
        let cohort = Cohort {
            prospect_count: prospect_count.into(),
            purchased_count: purchased_count.into(),
            lost_count: lost_count.into(),
        };
        let open_before_count = open_before_count.into();
        let standing = Standing { measures, dates: self.dates, open_before_count, cohort };
        Peer { standing, open: get(&self.open, number).tally() }
    }

    /// What a subject won.
    pub fn won(&self, number: u32) -> Tally {
        get(&self.ends, number).won.tally()
    }

    /// Deals that a subject had in work, where that is told.
    pub fn in_work_count(&self, number: u32) -> i64 {
        let Work { opened, open_before_count, .. } = get(&self.work, number);
        i64::from(open_before_count) + i64::from(opened.count)
    }

    /// Where the events of a subject are put in or taken out, as far as `parts` are told.
    #[inline]
    pub fn events(&mut self, number: u32, parts: StandingParts, sign: Sign) -> SubjectEvents<'_> {
        self.change_count += 1;
        SubjectEvents { sums: self, number, parts, sign }
    }

    /// Of all events of some days, as far as `parts` are told.
    pub fn note_all(&mut self, number: u32, more: &Measures, parts: StandingParts, sign: Sign) {
        self.change_count += 1;
        at(&mut self.ends, number).note(more, sign);
        if parts.work {
            at(&mut self.work, number).note(more, sign);
        }
        if parts.prospects {
            at(&mut self.prospects, number).note(more, sign);
        }
    }

    #[inline]
    pub fn note_open_before(&mut self, number: u32, more: i64, sign: Sign) {
        self.change_count += 1;
        count(&mut at(&mut self.work, number).open_before_count, more, sign);
    }

    #[inline]
    pub fn note_open(&mut self, number: u32, more: &Tally, sign: Sign) {
        self.change_count += 1;
        at(&mut self.open, number).note(more, sign);
    }

    /// What became of prospects that came.
    #[inline]
    pub fn note_cohort(&mut self, number: u32, more: &Fate, sign: Sign) {
        self.change_count += 1;
        let came = at(&mut self.cohorts, number);
        count(&mut came.prospect_count, more.prospect_count, sign);
        count(&mut came.purchased_count, more.purchased_count, sign);
        count(&mut came.lost_count, more.lost_count, sign);
    }

    /// Notes the rate on which an amount of a row rests.
    pub fn rest_on(&mut self, row: &Row, rate_on: Option<Date>, sign: Sign) {
        let Some(rate_on) = rate_on else { return };
        let is_opening = matches!(row.event, Event::DealOpened(_));
        let dates = if is_opening { &mut self.opening_rate_dates } else { &mut self.rate_dates };
        let left = dates.entry(rate_on).or_default();
        sum(left, 1, sign);
        if *left == 0 {
            dates.remove(&rate_on);
        }
        self.change_count += 1;
    }
}

// === impl SubjectEvents ===

impl SubjectEvents<'_> {
    fn count_if_prospects(&mut self, which: impl Fn(&mut Prospects) -> &mut u32) {
        if self.parts.prospects {
            count(which(at(&mut self.sums.prospects, self.number)), 1, self.sign);
        }
    }
}

impl EventSums for SubjectEvents<'_> {
    #[inline]
    fn deal_opened(&mut self, deal: Tally, day_number: i64) {
        if self.parts.work {
            let work = at(&mut self.sums.work, self.number);
            work.opened.note(&deal, self.sign);
            sum(&mut work.day_numbers, day_number, self.sign);
        }
    }

    #[inline]
    fn deal_ended(&mut self, ended: &Ended) {
        let &Ended { outcome, deal, day_number, cycle_days, is_same_day, is_by_channel } = ended;
        let (ends, sign) = (at(&mut self.sums.ends, self.number), self.sign);
        sum(&mut ends.day_numbers, day_number, sign);
        count(&mut ends.same_day_count, is_same_day.into(), sign);
        match outcome {
            Outcome::Open => {}
            Outcome::Won => {
                ends.won.note(&deal, sign);
                sum(&mut ends.cycle_days, cycle_days, sign);
                count(&mut ends.same_day_won_count, is_same_day.into(), sign);
                if is_by_channel {
                    ends.channel_won.note(&deal, sign);
                }
            }
            Outcome::Lost => ends.lost.note(&deal, sign),
            Outcome::LostToCompetitor => {
                ends.lost.note(&deal, sign);
                count(&mut ends.lost_to_competitor_count, 1, sign);
            }
            Outcome::Expired => ends.expired.note(&deal, sign),
        }
    }

    fn lead_created(&mut self, is_by_channel: bool) {
        self.count_if_prospects(|prospects| &mut prospects.lead_count);
        if is_by_channel {
            self.count_if_prospects(|prospects| &mut prospects.channel_lead_count);
        }
    }

    fn lead_converted(&mut self) {
        self.count_if_prospects(|prospects| &mut prospects.converted_lead_count);
    }

    fn lead_disqualified(&mut self) {
        self.count_if_prospects(|prospects| &mut prospects.disqualified_lead_count);
    }

    fn prospect_came(&mut self) {
        self.count_if_prospects(|prospects| &mut prospects.prospect_count);
    }

    fn prospect_purchased(&mut self) {
        self.count_if_prospects(|prospects| &mut prospects.purchased_count);
    }

    fn prospect_lost(&mut self) {
        self.count_if_prospects(|prospects| &mut prospects.lost_prospect_count);
    }
}

#[cfg(test)]
impl Sums {
    /// All that is in it, to be compared.
    pub fn contents(&self) -> (Vec<(u32, Peer)>, &RateDates, &RateDates) {
        let nothing = Peer { standing: Standing::nothing(self.dates), open: Tally::default() };
        let rows = self.numbers().map(|number| (number, self.row(number)));
        (rows.filter(|(_, row)| *row != nothing).collect(), &self.rate_dates, &self.opening_rate_dates)
    }
}
