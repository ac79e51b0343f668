//! Boards: the standings of all subjects of a kind, in one pass over the rows of a window.
//!
//! Invariants, each a property test:
//! 1. Every standing is the one that the subject's own scope tells.
//! 2. A board is a sum over entries: what the entries of a batch were told as is taken out and what they are
//!    told as is put in, by the same pass over pages that hold these entries alone. So a board that is kept
//!    (`kept.rs`) equals one told anew, bit for bit.

#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;
use std::ops::{AddAssign, SubAssign};
use std::sync::OnceLock;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::Book;
use super::entry::Share;
use super::names::Ref;
use super::packed::PartnerRef;
use super::page::{Parts, Row};
use super::pages::Pages;
use super::pools::DeskRef;
use super::scope::Scope;
use crate::domain::amount::Amount;
use crate::domain::calendar::{Date, DateRange};
use crate::domain::filter::Filter;
use crate::domain::ids::Id;
use crate::domain::premises::{Premises, RatesOn, Roles};
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::Window;
use crate::kpi::measures::Tally;
use crate::kpi::peers::{Peer, PeerGroup};
use crate::kpi::standing::Standing;

/// What a board is asked: boards of equal questions are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardQuestion {
    pub kind: SubjectKind,
    pub include_sub_partners: bool,
    pub filter: Filter,
    pub roles: Roles,
    /// The days of the window that have come.
    pub dates: DateRange,
    /// By when a prospect counts as purchased or lost, and on which date deals are open.
    pub as_of: Date,
    pub rates: RatesOn,
    /// The day whose rates convert the open deals. None: they aren't told.
    pub open_at_rates_of: Option<Date>,
}

/// The subjects of a kind, and who are peers of one another.
#[derive(Debug)]
pub struct Board {
    sums: Sums,
    peers: OnceLock<Peers>,
}

/// By the number of the survivor. Who isn't here had nothing in the window.
#[derive(Debug)]
struct Sums {
    rows: HashMap<u32, Peer>,
    /// How many amounts of ends, and of open deals, rest on the rates of each date.
    rate_dates: RateDates,
    /// Those of openings.
    opening_rate_dates: RateDates,
    nothing: Peer,
}

type RateDates = BTreeMap<Date, i64>;

#[derive(Debug)]
struct Peers {
    /// Of each peer the group: the number of its parent, where peers are those with the same one.
    groups_of: HashMap<u32, Option<u32>>,
    groups: HashMap<Option<u32>, PeerGroup>,
}

/// What a board is told by: whose rows count, and for whom.
#[derive(Debug)]
pub(super) struct Telling {
    pub scope: Scope,
    pub lines: Lines,
}

/// For each slot's partner or each desk, the subjects for which it counts.
#[derive(Debug)]
pub(super) struct Lines {
    pub of: LinesOf,
    lines: Vec<SmallVec<[u32; 4]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinesOf {
    Partners,
    Desks,
}

// === impl BoardQuestion ===

impl BoardQuestion {
    /// The subjects of a kind in a window, under the filter as it is.
    pub fn new(
        kind: SubjectKind,
        include_sub_partners: bool,
        premises: &Premises,
        window: &Window,
        rates: RatesOn,
    ) -> Self {
        Self {
            kind,
            include_sub_partners,
            filter: premises.filter.clone(),
            roles: premises.roles,
            dates: window.counted(),
            as_of: window.as_of,
            rates,
            open_at_rates_of: None,
        }
    }

    /// With their open deals on `as_of`.
    pub fn with_open(self, premises: &Premises) -> Self {
        let rates_on = premises.exchange.rates_of_stock(self.as_of);
        Self { open_at_rates_of: Some(self.rates.day().unwrap_or(rates_on)), ..self }
    }

    /// As peers are compared: a filter that names subjects of this very kind is left out (docs/kpis.md §6, 7).
    pub fn of_peers(self) -> Self {
        Self { filter: self.filter.without_kind(self.kind), ..self }
    }
}

// === impl Sums ===

impl Sums {
    fn new(dates: DateRange) -> Self {
        let nothing = Peer { standing: Standing::nothing(dates), open: Tally::default() };
        let (rate_dates, opening_rate_dates) = (BTreeMap::new(), BTreeMap::new());
        Self { rows: HashMap::new(), rate_dates, opening_rate_dates, nothing }
    }

    fn row(&mut self, number: u32) -> &mut Peer {
        self.rows.entry(number).or_insert(self.nothing)
    }
}

fn rest_on(dates: &mut RateDates, rate_on: Option<Date>) {
    if let Some(rate_on) = rate_on {
        *dates.entry(rate_on).or_default() += 1;
    }
}

fn add(dates: &mut RateDates, other: RateDates) {
    for (on, count) in other {
        *dates.entry(on).or_default() += count;
    }
}

fn subtract(dates: &mut RateDates, other: RateDates) {
    for (on, count) in other {
        let left = dates.entry(on).or_default();
        *left -= count;
        if *left == 0 {
            dates.remove(&on);
        }
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        for (number, peer) in other.rows {
            *self.row(number) += peer;
        }
        add(&mut self.rate_dates, other.rate_dates);
        add(&mut self.opening_rate_dates, other.opening_rate_dates);
    }
}

impl SubAssign for Sums {
    fn sub_assign(&mut self, other: Self) {
        let nothing = self.nothing;
        for (number, peer) in other.rows {
            let row = self.row(number);
            *row -= peer;
            // Whoever has nothing left isn't here, as if there had never been anything.
            if *row == nothing {
                self.rows.remove(&number);
            }
        }
        subtract(&mut self.rate_dates, other.rate_dates);
        subtract(&mut self.opening_rate_dates, other.opening_rate_dates);
    }
}

// === impl Board ===

impl Board {
    /// A row, by the number that counts in its place. Who has none had nothing.
    pub(super) fn row(&self, number: u32) -> &Peer {
        self.sums.rows.get(&number).unwrap_or(&self.sums.nothing)
    }

    /// The date of the oldest exchange rate among the amounts of ends and of open deals.
    pub fn oldest_rate_on(&self) -> Option<Date> {
        self.sums.rate_dates.first_key_value().map(|(&on, _)| on)
    }

    /// That among the amounts of openings.
    pub fn oldest_opening_rate_on(&self) -> Option<Date> {
        self.sums.opening_rate_dates.first_key_value().map(|(&on, _)| on)
    }

    fn peers(&self, book: &Book, asked: &BoardQuestion) -> &Peers {
        self.peers.get_or_init(|| book.group(&self.sums, asked))
    }

    /// A peer with its group, by the number that counts in its place. None: it isn't its own peer.
    pub(super) fn peer(
        &self,
        book: &Book,
        asked: &BoardQuestion,
        number: u32,
    ) -> Option<(&Peer, &PeerGroup)> {
        let peers = self.peers(book, asked);
        let group = peers.groups_of.get(&number)?;
        Some((self.sums.rows.get(&number)?, peers.groups.get(group)?))
    }

    /// Takes out what entries were told as.
    pub(super) fn take_out(&mut self, told: Self) {
        self.sums -= told.sums;
        self.peers = OnceLock::new();
    }

    /// Puts in what entries are told as.
    pub(super) fn put_in(&mut self, told: Self) {
        self.sums += told.sums;
        self.peers = OnceLock::new();
    }
}

// === impl Book ===

impl Book {
    /// Whose rows count for a board, and for whom.
    pub(super) fn telling(&self, asked: &BoardQuestion) -> Telling {
        let scope = self.scope(&Subject::Tenant, &asked.filter, asked.roles).expect("the tenant is known");
        Telling { scope, lines: self.lines(asked.kind, asked.include_sub_partners) }
    }

    /// The standings of all subjects of a kind, of the entries that lie on `pages`.
    pub(super) fn tell_board(&self, asked: &BoardQuestion, telling: &Telling, pages: &Pages) -> Board {
        let Telling { scope, lines } = telling;
        let &BoardQuestion { dates, as_of, rates, open_at_rates_of, .. } = asked;
        let last = dates.to.plus_days(-1);
        let mut sums = Sums::new(dates);

        let opened = pages.entries(&self.pools, |page| &page.opened, scope, dates.from, last);
        let ended = pages.entries(&self.pools, |page| &page.ended, scope, dates.from, last);
        let leads = pages.entries(&self.pools, |page| &page.leads, scope, dates.from, last);
        for (row, parts) in opened.chain(ended).chain(leads) {
            let value = self.value_of(row, rates);
            let is_opening = row.event.is_opening();
            let dates = if is_opening { &mut sums.opening_rate_dates } else { &mut sums.rate_dates };
            rest_on(dates, value.oldest_rate_on());
            lines.each(row, parts, value.amount(), |number, part| {
                let standing = &mut sums.row(number).standing;
                standing.measures += row.measures(part);
                standing.cohort.add(row, as_of);
            });
        }
        // Deals opened before the window and ended in it or later were open before it.
        for (row, parts) in pages.entries(&self.pools, |page| &page.ended, scope, dates.from, Date::NEVER) {
            if row.other_on < dates.from {
                lines.each(row, parts, None, |number, _| sums.row(number).standing.open_before_count += 1);
            }
        }
        if let Some(rates_on) = open_at_rates_of {
            for (row, parts) in pages.open(&self.pools, scope, as_of) {
                let value = self.open_value(row, as_of, rates_on);
                rest_on(&mut sums.rate_dates, value.oldest_rate_on());
                lines.each(row, parts, value.amount(), |number, part| {
                    sums.row(number).open += Tally::of(part);
                });
            }
        }
        Board { sums, peers: OnceLock::new() }
    }

    /// The number under which a board has a subject.
    pub(super) fn number_of(&self, subject: &Subject) -> Option<u32> {
        let dictionary = &self.records.dictionary;
        match subject {
            Subject::Tenant => None,
            Subject::Partner { partner, .. } => {
                let partner = dictionary.partners.get(partner.as_str())?;
                Some(self.partner_trees.survivor(partner).number())
            }
            Subject::Employee(employee) => {
                let employee = dictionary.employees.get(employee.as_str())?;
                Some(self.employee_trees.survivor(employee).number())
            }
            Subject::Unit(unit) => Some(dictionary.units.get(unit.as_str())?.number()),
        }
    }

    /// Finds out who are peers: the active ones that had a deal in work.
    fn group(&self, sums: &Sums, asked: &BoardQuestion) -> Peers {
        let dictionary = &self.records.dictionary;
        let mut groups_of = HashMap::new();
        let mut groups: HashMap<Option<u32>, Vec<Peer>> = HashMap::new();
        for (&number, peer) in &sums.rows {
            let is_active = match asked.kind {
                SubjectKind::Partner => {
                    let id =
                        Id::try_new(dictionary.partners.name(Ref::new(number))).expect("ids went in as ids");
                    let chain = self.records.partners.chain(&id).filter(|chain| !chain.is_deleted());
                    chain.and_then(|chain| chain.last_present()).is_some_and(|partner| partner.active)
                }
                SubjectKind::Employee => {
                    let id =
                        Id::try_new(dictionary.employees.name(Ref::new(number))).expect("ids went in as ids");
                    let chain = self.records.employees.chain(&id).filter(|chain| !chain.is_deleted());
                    chain.and_then(|chain| chain.last_present()).is_some_and(|employee| employee.active)
                }
                SubjectKind::Unit => {
                    let id =
                        Id::try_new(dictionary.units.name(Ref::new(number))).expect("ids went in as ids");
                    self.records.units.chain(&id).is_some_and(|chain| !chain.is_deleted())
                }
            };
            if !is_active || peer.standing.in_work_count() == 0 {
                continue;
            }
            let parent = match asked.kind {
                SubjectKind::Partner if asked.include_sub_partners => {
                    self.partner_trees.parent(Ref::new(number)).map(Ref::number)
                }
                SubjectKind::Partner | SubjectKind::Employee => None,
                SubjectKind::Unit => self.unit_trees.parent(Ref::new(number)).map(Ref::number),
            };
            groups_of.insert(number, parent);
            groups.entry(parent).or_default().push(*peer);
        }
        let groups = groups.into_iter().map(|(group, peers)| (group, PeerGroup::new(peers))).collect();
        Peers { groups_of, groups }
    }

    fn lines(&self, kind: SubjectKind, include_sub_partners: bool) -> Lines {
        match kind {
            SubjectKind::Partner => {
                let line = |partner| match include_sub_partners {
                    true => self.partner_trees.line(partner).into_iter().map(Ref::number).collect(),
                    false => SmallVec::from_slice(&[self.partner_trees.survivor(partner).number()]),
                };
                let lines = self.records.dictionary.partners.refs().map(line).collect();
                Lines { of: LinesOf::Partners, lines }
            }
            SubjectKind::Employee => {
                let lines = self.pools.desks.values().iter().map(|desk| {
                    let owner = desk.owner.map(|owner| self.employee_trees.survivor(owner).number());
                    owner.into_iter().collect()
                });
                Lines { of: LinesOf::Desks, lines: lines.collect() }
            }
            SubjectKind::Unit => {
                let lines = self.pools.desks.values().iter().map(|desk| {
                    let unit = self.unit_of_desk(desk);
                    unit.map_or_else(SmallVec::new, |unit| {
                        self.unit_trees.line(unit).into_iter().map(Ref::number).collect()
                    })
                });
                Lines { of: LinesOf::Desks, lines: lines.collect() }
            }
        }
    }
}

// === impl Lines ===

impl Lines {
    /// Calls `add` for each subject that an entry touches, once, with its part of a whole amount.
    fn each(
        &self,
        row: &Row,
        parts: Parts<'_>,
        whole: Option<Amount>,
        mut add: impl FnMut(u32, Option<Amount>),
    ) {
        if self.of == LinesOf::Desks {
            let part = whole.map(|whole| parts.of(whole));
            for &number in self.of_desk(row.desk) {
                add(number, part);
            }
            return;
        }
        if let Some(share) = parts.only_share() {
            if parts.asks_for(&share) {
                self.of_share(&share).iter().for_each(|&number| add(number, whole));
            }
            return;
        }
        let mut numbers: SmallVec<[u32; 8]> = SmallVec::new();
        parts.with_shares(|shares| {
            for share in shares.iter().filter(|share| parts.asks_for(share)) {
                for &number in self.of_share(share) {
                    if !numbers.contains(&number) {
                        numbers.push(number);
                    }
                }
            }
        });
        for &number in &numbers {
            let is_its = |share: &Share| self.of_share(share).contains(&number);
            add(number, whole.map(|whole| parts.of_those(whole, is_its)));
        }
    }

    /// The subjects for which a desk counts. None for one that came later: `kept.rs` notices.
    pub fn of_desk(&self, desk: DeskRef) -> &[u32] {
        self.at(desk.index())
    }

    /// The subjects for which a partner's credits count.
    pub fn of_partner(&self, partner: PartnerRef) -> &[u32] {
        self.at(partner.index())
    }

    fn of_share(&self, share: &Share) -> &[u32] {
        share.slot.map_or(&[], |partner| self.of_partner(partner))
    }

    fn at(&self, index: usize) -> &[u32] {
        self.lines.get(index).map_or(&[], |line| line)
    }
}
