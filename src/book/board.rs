//! Boards: the standings of all subjects of a kind, in one pass over the rows of a window.
//!
//! Invariants, each a property test:
//! 1. Every standing is the one that the subject's own scope tells.
//! 2. A board is a sum over entries: what the entries of a batch were told as is taken out and what they are
//!    told as is put in, by the same pass over pages that hold these entries alone. So a board that is kept
//!    (`kept.rs`) equals one told anew, bit for bit.

mod cohort;
mod sums;
mod tell;
#[cfg(test)]
pub(super) mod tests;

use std::sync::OnceLock;

use hashbrown::HashMap;
use smallvec::SmallVec;

use self::sums::{Sign, Sums};
use self::tell::Teller;
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
use crate::domain::premises::{Premises, RatesOn, Roles};
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::Window;
use crate::kpi::peers::{Peer, PeerGroup};
use crate::kpi::standing::StandingParts;
use crate::kpi::value_score::PeerTotal;

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
    /// What is told beside what ended.
    pub parts: StandingParts,
    /// The day whose rates convert the open deals. None: they aren't told.
    pub open_at_rates_of: Option<Date>,
}

/// The subjects of a kind, and who are peers of one another.
#[derive(Debug)]
pub struct Board {
    sums: Sums,
    peers: OnceLock<Peers>,
}

#[derive(Debug)]
struct Peers {
    /// By number, the group of each peer, as a place in `groups`.
    groups_of: Vec<Option<u32>>,
    groups: Vec<Group>,
}

/// The peers of one another: those with the same parent, where peers have one.
#[derive(Debug)]
struct Group {
    /// Sorted.
    numbers: Vec<u32>,
    total: PeerTotal,
    told: OnceLock<PeerGroup>,
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
    /// Whether several partners count for one subject together.
    meet: bool,
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
            parts: StandingParts::ALL,
            open_at_rates_of: None,
        }
    }

    /// Told no further than these parts of standings.
    pub fn of_parts(self, parts: StandingParts) -> Self {
        Self { parts, ..self }
    }

    /// Whether a board of this question answers another one too.
    pub(super) fn answers(&self, other: &Self) -> bool {
        let Self { kind, include_sub_partners, filter, roles, dates, as_of, rates, parts, open_at_rates_of } =
            other;
        self.parts.include(*parts)
            && (self.kind, self.include_sub_partners, self.roles) == (*kind, *include_sub_partners, *roles)
            && (self.dates, self.as_of, self.rates) == (*dates, *as_of, *rates)
            && self.open_at_rates_of == *open_at_rates_of
            && self.filter == *filter
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

// === impl Board ===

impl Board {
    fn nothing(book: &Book, asked: &BoardQuestion) -> Self {
        let dictionary = &book.records.dictionary;
        let subject_count = match asked.kind {
            SubjectKind::Partner => dictionary.partners.len(),
            SubjectKind::Employee => dictionary.employees.len(),
            SubjectKind::Unit => dictionary.units.len(),
        };
        let with_open = asked.open_at_rates_of.is_some();
        Self { sums: Sums::new(asked.dates, asked.parts, with_open, subject_count), peers: OnceLock::new() }
    }

    /// A row, by the number that counts in its place. Of the parts that weren't asked for there is nothing.
    pub(super) fn row(&self, number: u32) -> Peer {
        self.sums.row(number)
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

    fn group_of(&self, book: &Book, asked: &BoardQuestion, number: u32) -> Option<&Group> {
        let peers = self.peers(book, asked);
        let group = (*peers.groups_of.get(number as usize)?)?;
        Some(&peers.groups[group as usize])
    }

    /// A peer with its group, by the number that counts in its place. None: it isn't its own peer.
    pub(super) fn peer(
        &self,
        book: &Book,
        asked: &BoardQuestion,
        number: u32,
    ) -> Option<(&Peer, &PeerGroup)> {
        let group = self.group_of(book, asked, number)?;
        let told = group
            .told
            .get_or_init(|| PeerGroup::new(group.numbers.iter().map(|&number| self.row(number)).collect()));
        Some((told.peer(group.numbers.binary_search(&number).ok()?)?, told))
    }

    /// What a peer's group won. None: it isn't its own peer.
    pub(super) fn peer_total(&self, book: &Book, asked: &BoardQuestion, number: u32) -> Option<&PeerTotal> {
        self.group_of(book, asked, number).map(|group| &group.total)
    }
}

// === impl Book ===

impl Book {
    /// Whose rows count for a board, and for whom.
    pub(super) fn telling(&self, asked: &BoardQuestion) -> Telling {
        let reads_leads = asked.parts.prospects || asked.parts.cohort;
        let scope = self.scope_reading(&Subject::Tenant, &asked.filter, asked.roles, reads_leads);
        let scope = scope.expect("the tenant is known");
        Telling { scope, lines: self.lines(asked.kind, asked.include_sub_partners) }
    }

    /// The standings of all subjects of a kind.
    pub(super) fn tell_board(&self, asked: &BoardQuestion, telling: &Telling) -> Board {
        let mut board = Board::nothing(self, asked);
        Teller { book: self, asked, telling, sums: &mut board.sums }.tell();
        board
    }

    /// Takes out of a board what entries were told as, which lie on `before`. Whether that was anything.
    pub(super) fn take_out(
        &self,
        asked: &BoardQuestion,
        telling: &Telling,
        board: &mut Board,
        before: &Pages,
    ) -> bool {
        self.change(asked, telling, board, before, Sign::Out)
    }

    /// Puts in what they are told as. Whether that is anything.
    pub(super) fn put_in(
        &self,
        asked: &BoardQuestion,
        telling: &Telling,
        board: &mut Board,
        after: &Pages,
    ) -> bool {
        self.change(asked, telling, board, after, Sign::In)
    }

    fn change(
        &self,
        asked: &BoardQuestion,
        telling: &Telling,
        board: &mut Board,
        entries: &Pages,
        sign: Sign,
    ) -> bool {
        let change_count = board.sums.change_count();
        Teller { book: self, asked, telling, sums: &mut board.sums }.note_entries(entries, sign);
        let is_changed = board.sums.change_count() != change_count;
        if is_changed {
            board.peers = OnceLock::new();
        }
        is_changed
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
        debug_assert!(asked.parts.work, "whether one is a peer hangs on what was in work");
        let roster = self.rosters.of(asked.kind);
        let mut places: HashMap<Option<u32>, u32> = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        let group_of = |number: u32| {
            if !roster.is_active(number) || sums.in_work_count(number) == 0 {
                return None;
            }
            let parent = match asked.kind {
                SubjectKind::Partner if asked.include_sub_partners => {
                    self.partner_trees.parent(Ref::new(number)).map(Ref::number)
                }
                SubjectKind::Partner | SubjectKind::Employee => None,
                SubjectKind::Unit => self.unit_trees.parent(Ref::new(number)).map(Ref::number),
            };
            let place = *places.entry(parent).or_insert_with(|| {
                let (numbers, total) = (Vec::new(), PeerTotal::default());
                groups.push(Group { numbers, total, told: OnceLock::new() });
                groups.len() as u32 - 1
            });
            let Group { numbers, total, .. } = &mut groups[place as usize];
            numbers.push(number);
            total.peer_count += 1;
            total.won_amount_e4 += sums.won(number).amount_e4;
            Some(place)
        };
        let groups_of = sums.numbers().map(group_of).collect();
        Peers { groups_of, groups }
    }

    fn lines(&self, kind: SubjectKind, include_sub_partners: bool) -> Lines {
        match kind {
            SubjectKind::Partner => {
                let line = |partner| match include_sub_partners {
                    true => self.partner_trees.line(partner).into_iter().map(Ref::number).collect(),
                    false => SmallVec::from_slice(&[self.partner_trees.survivor(partner).number()]),
                };
                let lines: Vec<_> = self.records.dictionary.partners.refs().map(line).collect();
                Lines { of: LinesOf::Partners, meet: Lines::do_meet(&lines), lines }
            }
            SubjectKind::Employee => {
                let lines = self.pools.desks.values().iter().map(|desk| {
                    let owner = desk.owner.map(|owner| self.employee_trees.survivor(owner).number());
                    owner.into_iter().collect()
                });
                Lines { of: LinesOf::Desks, meet: false, lines: lines.collect() }
            }
            SubjectKind::Unit => {
                let lines = self.pools.desks.values().iter().map(|desk| {
                    let unit = self.unit_of_desk(desk);
                    unit.map_or_else(SmallVec::new, |unit| {
                        self.unit_trees.line(unit).into_iter().map(Ref::number).collect()
                    })
                });
                Lines { of: LinesOf::Desks, meet: false, lines: lines.collect() }
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
