//! Leaderboards: the subjects of a kind, ranked (docs/kpis.md §8). Told from kept boards.

#[cfg(test)]
pub(super) mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::Book;
use super::board::BoardQuestion;
use super::kept::{BoardPin, KeptBoard};
use super::marketing::MarketingQuestion;
use super::names::Ref;
use super::packed::PartnerRef;
use super::pages::older;
use super::scope::Desks;
use crate::domain::calendar::Date;
use crate::domain::filter::Filter;
use crate::domain::ids::Id;
use crate::domain::premises::{Premises, RatesOn};
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::Window;
use crate::kpi::figure::{Absent, Figure, Ratio};
use crate::kpi::leaderboard::{Contender, Entrant, Placed, RankedBy, RateRule, RowKey, Score, TieRule, rank};
use crate::kpi::marketing_channel::{Basis, return_on_investment};
use crate::kpi::peers::Peer;
use crate::kpi::value_score::value_score;

/// Which subjects are ranked, by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderboardQuestion {
    pub kind: SubjectKind,
    /// Never with another kind than partners.
    pub include_sub_partners: bool,
    pub ranked_by: RankedBy,
    pub ties: TieRule,
    pub rate_rule: RateRule,
    pub premises: Premises,
}

/// A board in order.
pub struct Leaderboard<'a> {
    book: &'a Book,
    asked: LeaderboardQuestion,
    board: Arc<KeptBoard>,
    /// The board of the peers, where value scores are ranked.
    peers: Option<Arc<KeptBoard>>,
    /// What each partner's marketing returned, where that is ranked.
    returns: Option<HashMap<u32, Figure>>,
    order: Arc<Order>,
    oldest_rate_on: Option<Date>,
}

/// A row of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked<'a> {
    pub entrant: Entrant<'a>,
    /// From 1, in the order of the board.
    pub place: usize,
    /// From 1, as the tie rule says.
    pub rank: usize,
    pub name: Option<&'a str>,
    number: u32,
}

/// Who stands where.
#[derive(Debug)]
pub(super) struct Order {
    placed: Vec<Placed>,
    /// By number, the place in `placed`.
    places: Vec<Option<u32>>,
}

/// What an order of a board hangs on, beside the board itself.
#[derive(Clone, Copy, Debug, PartialEq)]
struct OrderKey {
    ranked_by: RankedBy,
    ties: TieRule,
    rate_rule: RateRule,
    /// The edition of the board of the peers.
    peers: Option<u64>,
}

/// The orders in which a board was asked for, the last ones at the end. They are of the board as it is: whoever
/// changes it clears them.
#[derive(Default)]
pub(super) struct Orders(Mutex<SmallVec<[Ordered; 1]>>);

type Ordered = (OrderKey, Arc<Order>);

/// How many orders of a board are kept.
const ORDERS_MAX: usize = 4;

// === impl Orders ===

impl Orders {
    pub fn clear(&mut self) {
        self.0.get_mut().clear();
    }

    fn has(&self, key: OrderKey) -> bool {
        self.0.lock().iter().any(|(known, _)| *known == key)
    }

    fn get_or_tell(&self, key: OrderKey, tell: impl FnOnce() -> Order) -> Arc<Order> {
        let known = self.0.lock().iter().find(|(known, _)| *known == key).map(|(_, order)| Arc::clone(order));
        known.unwrap_or_else(|| {
            let order = Arc::new(tell());
            let mut orders = self.0.lock();
            if orders.len() == ORDERS_MAX {
                orders.remove(0);
            }
            orders.push((key, Arc::clone(&order)));
            order
        })
    }
}

// === impl Order ===

impl Order {
    fn new(placed: Vec<Placed>) -> Self {
        let greatest = placed.iter().map(|placed| placed.number).max();
        let mut places = vec![None; greatest.map_or(0, |number| number as usize + 1)];
        for (place, placed) in (0..).zip(&placed) {
            places[placed.number as usize] = Some(place);
        }
        Self { placed, places }
    }

    fn place_of(&self, number: u32) -> Option<usize> {
        let place = *self.places.get(number as usize)?;
        place.map(|place| place as usize)
    }
}

// === impl Leaderboard ===

impl<'a> Leaderboard<'a> {
    /// How many have the figure.
    pub fn len(&self) -> usize {
        self.order.placed.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows from one place to another, both less one and the last left out.
    pub fn rows(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = Ranked<'a>> {
        let placed = &self.order.placed[places.clone()];
        places.zip(placed).map(|(at, placed)| self.row(at, *placed))
    }

    /// How many rows stand up to a place of this board or another.
    pub fn count_through(&self, key: &RowKey) -> usize {
        let direction = self.asked.ranked_by.direction();
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from + (to - from) / 2;
            let row = self.row(middle, self.order.placed[middle]);
            if key.is_before(&row.entrant, direction) { to = middle } else { from = middle + 1 }
        }
        from
    }

    /// The place less one of the subject that counts in place of the one with this id. None: it isn't ranked.
    pub fn place_of(&self, id: &str) -> Option<usize> {
        self.order.place_of(self.book.number_by_id(self.asked.kind, id)?)
    }

    /// The rank here of a row of another board of the same kind.
    pub fn rank_of(&self, row: &Ranked<'_>) -> Option<usize> {
        self.order.place_of(row.number).map(|place| self.order.placed[place].rank as usize)
    }

    pub fn oldest_rate_on(&self) -> Option<Date> {
        self.oldest_rate_on
    }

    /// As long as someone has these, the book keeps what the board was told from.
    pub fn pins(&self) -> impl Iterator<Item = BoardPin> {
        [Some(&self.board), self.peers.as_ref()].into_iter().flatten().map(|board| board.pin())
    }

    fn row(&self, at: usize, Placed { number, rank }: Placed) -> Ranked<'a> {
        let peer = self.board.board().row(number);
        let figure = self.figure(number, |ranked_by| ranked_by.figure(&peer));
        let score = figure.ok().and_then(|figure| self.score(figure, &peer));
        let score = score.expect("whoever is ranked has a score");
        let (kind, won) = (self.asked.kind, peer.standing.measures.won);
        Ranked {
            entrant: Entrant { id: self.book.id_by_number(kind, number), score, won },
            place: at + 1,
            rank: rank as usize,
            name: self.book.rosters.of(kind).name(number),
            number,
        }
    }

    fn score(&self, figure: Ratio, peer: &Peer) -> Option<Score> {
        self.asked.ranked_by.score(figure, peer, self.asked.rate_rule)
    }

    /// The figure of one. `own` tells those that are told from its own standing alone.
    fn figure(&self, number: u32, own: impl FnOnce(RankedBy) -> Figure) -> Figure {
        let LeaderboardQuestion { ranked_by, premises, .. } = &self.asked;
        match (&self.peers, &self.returns) {
            (Some(peers), _) => {
                let total = peers.peer_total(self.book, number).ok_or(Absent::NoPeer)?;
                value_score(&peers.board().row(number).standing.measures, Some(total))
            }
            (_, Some(returns)) => returns.get(&number).copied().unwrap_or(Err(Absent::NoSpend)),
            _ if ranked_by.is_of_leads() && premises.filter.asks_for_deals_only() => {
                Err(Absent::LeadsNotCounted)
            }
            _ => own(*ranked_by),
        }
    }

    fn tell_order(&self) -> Order {
        let LeaderboardQuestion { ranked_by, ties, .. } = self.asked;
        let contenders = self.candidates().filter_map(|(number, id_place, peer)| {
            let figure = self.figure(number, |ranked_by| ranked_by.to_compare(&peer));
            let score = self.score(figure.ok()?, &peer)?;
            Some(Contender { number, id_place, score, won_amount_e4: peer.standing.measures.won.amount_e4 })
        });
        Order::new(rank(&contenders.collect::<Vec<_>>(), ranked_by.direction(), ties))
    }

    /// Whom the filter lets onto the board, in the order of rows: number, place of its id, and what it had.
    fn candidates(&self) -> impl Iterator<Item = (u32, u32, Peer)> {
        let passing = self.book.passing(&self.asked, &self.board);
        let places = self.book.rosters.of(self.asked.kind).places();
        let passes =
            move |(number, _): &(u32, u32)| passing.as_ref().is_none_or(|passing| passing.contains(number));
        places.filter(passes).map(|(number, id_place)| (number, id_place, self.board.board().row(number)))
    }

    /// The figures of all who have one, by number, whatever their sample.
    pub(super) fn figures(&self) -> HashMap<u32, f64> {
        let figure = |number, peer: &Peer| self.figure(number, |ranked_by| ranked_by.to_compare(peer)).ok();
        let figures = self
            .candidates()
            .filter_map(|(number, _, peer)| Some((number, figure(number, &peer)?.quotient())));
        figures.collect()
    }
}

// === impl LeaderboardQuestion ===

impl LeaderboardQuestion {
    fn board(&self, window: &Window, rates: RatesOn) -> BoardQuestion {
        let asked = BoardQuestion::new(self.kind, self.include_sub_partners, &self.premises, window, rates)
            .of_parts(self.ranked_by.parts());
        if self.ranked_by.is_of_open_deals() { asked.with_open(&self.premises) } else { asked }
    }

    /// Of the board of the peers, where there is one, that edition.
    fn order_key(&self, peers: Option<&KeptBoard>) -> OrderKey {
        let Self { ranked_by, ties, rate_rule, .. } = *self;
        OrderKey { ranked_by, ties, rate_rule, peers: peers.map(KeptBoard::edition) }
    }
}

// === impl Book ===

impl Book {
    /// Those that have the figure in a window, in order.
    pub fn leaderboard(
        &self,
        asked: &LeaderboardQuestion,
        window: &Window,
        rates: RatesOn,
    ) -> Leaderboard<'_> {
        let told = self.unordered_leaderboard(asked, window, rates);
        let order = match told.returns {
            // What was spent changes without the board.
            Some(_) => Arc::new(told.tell_order()),
            None => {
                let key = asked.order_key(told.peers.as_deref());
                told.board.orders().get_or_tell(key, || told.tell_order())
            }
        };
        Leaderboard { order, ..told }
    }

    /// The same without rows: nobody is ranked yet.
    pub(super) fn unordered_leaderboard(
        &self,
        asked: &LeaderboardQuestion,
        window: &Window,
        rates: RatesOn,
    ) -> Leaderboard<'_> {
        let board = self.board(&asked.board(window, rates));
        let mut oldest_rate_on = board.oldest_rate_on();
        if asked.ranked_by == RankedBy::OpenedAmount {
            oldest_rate_on = older(oldest_rate_on, board.board().oldest_opening_rate_on());
        }
        let peers = (asked.ranked_by == RankedBy::ValueScore).then(|| {
            let peers = self.board(&asked.board(window, rates).of_peers());
            oldest_rate_on = older(oldest_rate_on, peers.oldest_rate_on());
            peers
        });
        let returns = (asked.ranked_by == RankedBy::MarketingChannel)
            .then(|| self.marketing_returns(asked, window, rates, &mut oldest_rate_on));
        let (order, asked) = (Arc::new(Order::new(Vec::new())), asked.clone());
        Leaderboard { book: self, asked, board, peers, returns, order, oldest_rate_on }
    }

    /// Whether such a board is kept in its order: nothing has to be told but its rows.
    pub fn keeps_leaderboard(&self, asked: &LeaderboardQuestion, window: &Window, rates: RatesOn) -> bool {
        let question = asked.board(window, rates);
        let board = || self.board_if_told(&question);
        match asked.ranked_by {
            RankedBy::MarketingChannel => false, // what was spent changes without the board
            RankedBy::ValueScore => {
                let Some(peers) = self.board_if_told(&question.clone().of_peers()) else { return false };
                board().is_some_and(|board| board.orders().has(asked.order_key(Some(&peers))))
            }
            _ => board().is_some_and(|board| board.orders().has(asked.order_key(None))),
        }
    }

    /// The number of the subject that counts in place of the one with this id.
    fn number_by_id(&self, kind: SubjectKind, id: &str) -> Option<u32> {
        let dictionary = &self.records.dictionary;
        Some(match kind {
            SubjectKind::Partner => self.partner_trees.survivor(dictionary.partners.get(id)?).number(),
            SubjectKind::Employee => self.employee_trees.survivor(dictionary.employees.get(id)?).number(),
            SubjectKind::Unit => dictionary.units.get(id)?.number(),
        })
    }

    /// Whom the filter lets onto the board. None: everyone.
    fn passing(&self, asked: &LeaderboardQuestion, board: &KeptBoard) -> Option<HashSet<u32>> {
        let filter = &asked.premises.filter;
        let telling = board.telling();
        let asks_for_desks = !(filter.employees.is_empty() && filter.units.is_empty());
        match asked.kind {
            SubjectKind::Partner if filter.asks_for_partners() => {
                let slots = telling.scope.slots.iter().flatten().flatten();
                Some(
                    slots
                        .flat_map(|&partner: &PartnerRef| telling.lines.of_partner(partner))
                        .copied()
                        .collect(),
                )
            }
            SubjectKind::Employee | SubjectKind::Unit if asks_for_desks => {
                let desks = telling.scope.desks.iter().flat_map(Desks::iter);
                let mut passing: HashSet<u32> =
                    desks.flat_map(|desk| telling.lines.of_desk(desk)).copied().collect();
                self.keep_named(asked.kind, filter, &mut passing);
                Some(passing)
            }
            _ => None,
        }
    }

    /// Of units those that the filter names or that lie below such a one, of employees those that it names,
    /// also those who have no deals yet.
    fn keep_named(&self, kind: SubjectKind, filter: &Filter, passing: &mut HashSet<u32>) {
        let asked_units = self.asked_units(filter);
        match kind {
            SubjectKind::Unit => {
                if let Some(asked) = asked_units {
                    let asked: HashSet<u32> = asked.into_iter().flatten().map(Ref::number).collect();
                    match filter.employees.is_empty() {
                        true => *passing = asked,
                        false => passing.retain(|unit| asked.contains(unit)),
                    }
                }
            }
            SubjectKind::Employee => {
                let is_in_unit = |number: u32| {
                    let unit = self.unit_of.get(number as usize).copied().flatten();
                    asked_units.as_ref().is_none_or(|asked| asked.contains(&unit))
                };
                match self.asked_owners(filter) {
                    Some(asked) => {
                        let named = asked.into_iter().flatten().map(Ref::number);
                        passing.extend(named.filter(|&number| is_in_unit(number)));
                    }
                    None => {
                        let all = self.records.dictionary.employees.refs().map(Ref::number);
                        passing.extend(all.filter(|&number| is_in_unit(number)));
                    }
                }
            }
            SubjectKind::Partner => {}
        }
    }

    /// What each partner's marketing returned, of those that spends name.
    fn marketing_returns(
        &self,
        asked: &LeaderboardQuestion,
        window: &Window,
        rates: RatesOn,
        oldest_rate_on: &mut Option<Date>,
    ) -> HashMap<u32, Figure> {
        if asked.kind != SubjectKind::Partner {
            return HashMap::new();
        }
        let line = |partner| match asked.include_sub_partners {
            true => self.partner_trees.line(partner),
            false => smallvec::smallvec![self.partner_trees.survivor(partner)],
        };
        let names = &self.records.dictionary.partners;
        let partners = self.spends.partners().filter_map(|partner| names.get(partner.as_str()));
        let spenders: HashSet<PartnerRef> = partners.flat_map(line).collect();
        let mut told = HashMap::new();
        for partner in spenders {
            let id = Id::try_new(names.name(partner)).expect("ids went in as ids");
            let subject = Subject::Partner { partner: id, include_sub_partners: asked.include_sub_partners };
            let Premises { filter, roles, .. } = &asked.premises;
            let Some(scope) = self.scope(&subject, filter, *roles) else { continue };
            let question =
                MarketingQuestion { subject: &subject, filter, scope: &scope, basis: Basis::Period, rates };
            let found = self.marketing(&question, window);
            *oldest_rate_on = older(*oldest_rate_on, found.oldest_rate_on);
            told.insert(partner.number(), return_on_investment(&found.found.attributed()));
        }
        told
    }
}
