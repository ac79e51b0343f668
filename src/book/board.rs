//! Boards: the standings of all subjects of a kind, in one pass over the rows of a window.
//!
//! Invariant, a property test: every standing is the one that the subject's own scope tells.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::Book;
use super::entry::Share;
use super::names::Ref;
use super::packed::DealRef;
use super::page::{Parts, Row};
use super::pages::older;
use super::pools::DeskRef;
use crate::domain::amount::Amount;
use crate::domain::calendar::Date;
use crate::domain::ids::Id;
use crate::domain::premises::{Premises, RatesOn};
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::Window;
use crate::kpi::measures::Tally;
use crate::kpi::peers::{Peer, PeerGroup};
use crate::kpi::standing::Standing;

/// What of a kind's subjects is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What became of the prospects.
    pub cohort: bool,
    /// Their open deals.
    pub open: bool,
}

/// The subjects of a kind, and who are peers of one another.
#[derive(Debug)]
pub struct Board {
    /// By the number of the survivor. Who isn't here had nothing in the window.
    rows: HashMap<u32, Peer>,
    /// Of each peer the group: the number of its parent, where peers are those with the same one.
    groups_of: HashMap<u32, Option<u32>>,
    groups: HashMap<Option<u32>, PeerGroup>,
    pub oldest_rate_on: Option<Date>,
}

/// For each slot's partner or each desk, the subjects for which it counts.
struct Lines {
    of: LinesOf,
    lines: Vec<SmallVec<[u32; 4]>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LinesOf {
    Partners,
    Desks,
}

// === impl Board ===

impl Board {
    /// A peer with its group, by the number that counts in its place. None: it isn't its own peer.
    fn peer(&self, number: u32) -> Option<(&Peer, &PeerGroup)> {
        let group = self.groups_of.get(&number)?;
        Some((self.rows.get(&number)?, self.groups.get(group)?))
    }
}

// === impl Book ===

impl Book {
    /// The standings of all subjects of a kind. A filter that names subjects of this very kind is left out
    /// (docs/kpis.md §6, 7).
    pub fn board(
        &self,
        kind: SubjectKind,
        include_sub_partners: bool,
        premises: &Premises,
        window: &Window,
        rates: RatesOn,
        told: Told,
    ) -> Board {
        let filter = premises.filter.without_kind(kind);
        let scope = self.scope(&Subject::Tenant, &filter, premises.roles).expect("the tenant is known");
        let lines = self.lines(kind, include_sub_partners);
        let dates = window.counted();
        let last = dates.to.plus_days(-1);
        let nothing = Peer { standing: Standing::nothing(dates), open: Tally::default() };
        let mut rows: HashMap<u32, Peer> = HashMap::new();
        let mut oldest_rate_on = None;
        let mut row_of =
            |number: u32, add: &mut dyn FnMut(&mut Peer)| add(rows.entry(number).or_insert(nothing));

        let opened = self.pages.entries(|page| &page.opened, &scope, dates.from, last);
        let ended = self.pages.entries(|page| &page.ended, &scope, dates.from, last);
        let leads = self.pages.entries(|page| &page.leads, &scope, dates.from, last);
        for (row, parts) in opened.chain(ended).chain(leads) {
            let value = self.value_of(row, rates);
            if !row.event.is_opening() {
                oldest_rate_on = older(oldest_rate_on, value.oldest_rate_on());
            }
            lines.each(row, parts, value.amount(), |number, part| {
                row_of(number, &mut |peer| {
                    peer.standing.measures += row.measures(part);
                    if told.cohort {
                        peer.standing.cohort.add(row, window.as_of);
                    }
                });
            });
        }
        // Deals opened before the window and ended in it or later were open before it.
        for (row, parts) in self.pages.entries(|page| &page.ended, &scope, dates.from, Date::NEVER) {
            if row.other_on < dates.from {
                lines.each(row, parts, None, |number, _| {
                    row_of(number, &mut |peer| peer.standing.open_before_count += 1);
                });
            }
        }
        if told.open {
            let rates_on = premises.exchange.rates_of_stock(window.as_of);
            let rates_on = rates.day().unwrap_or(rates_on);
            for (row, parts) in self.open_rows(&scope, window.as_of) {
                let value = self.open_value(DealRef::new(row.of), window.as_of, rates_on);
                oldest_rate_on = older(oldest_rate_on, value.oldest_rate_on());
                lines.each(row, parts, value.amount(), |number, part| {
                    row_of(number, &mut |peer| peer.open += Tally::of(part));
                });
            }
        }
        let mut board = Board { rows, groups_of: HashMap::new(), groups: HashMap::new(), oldest_rate_on };
        self.group(&mut board, kind, include_sub_partners);
        board
    }

    /// A subject among its peers. None: it isn't its own peer.
    pub fn peer<'a>(&self, board: &'a Board, subject: &Subject) -> Option<(&'a Peer, &'a PeerGroup)> {
        let dictionary = &self.records.dictionary;
        let number = match subject {
            Subject::Tenant => return None,
            Subject::Partner { partner, .. } => {
                let partner = dictionary.partners.get(partner.as_str())?;
                self.partner_trees.survivor(partner).number()
            }
            Subject::Employee(employee) => {
                let employee = dictionary.employees.get(employee.as_str())?;
                self.employee_trees.survivor(employee).number()
            }
            Subject::Unit(unit) => dictionary.units.get(unit.as_str())?.number(),
        };
        board.peer(number)
    }

    /// Finds out who are peers: the active ones that had a deal in work.
    fn group(&self, board: &mut Board, kind: SubjectKind, include_sub_partners: bool) {
        let dictionary = &self.records.dictionary;
        let mut groups: HashMap<Option<u32>, Vec<Peer>> = HashMap::new();
        for (&number, peer) in &board.rows {
            let is_active = match kind {
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
            let parent = match kind {
                SubjectKind::Partner if include_sub_partners => {
                    self.partner_trees.parent(Ref::new(number)).map(Ref::number)
                }
                SubjectKind::Partner | SubjectKind::Employee => None,
                SubjectKind::Unit => self.unit_trees.parent(Ref::new(number)).map(Ref::number),
            };
            board.groups_of.insert(number, parent);
            groups.entry(parent).or_default().push(*peer);
        }
        board.groups = groups.into_iter().map(|(group, peers)| (group, PeerGroup::new(peers))).collect();
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

    fn of_desk(&self, desk: DeskRef) -> &[u32] {
        &self.lines[desk.index()]
    }

    fn of_share(&self, share: &Share) -> &[u32] {
        share.slot.map_or(&[], |partner| &self.lines[partner.index()])
    }
}
