//! Leaderboards: the subjects of a kind, ranked (docs/kpis.md §8). Told from kept boards.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Book;
use super::ask::Listed;
use super::board::BoardQuestion;
use super::kept::{BoardPin, KeptBoard};
use super::marketing::MarketingQuestion;
use super::names::Ref;
use super::packed::PartnerRef;
use super::pages::older;
use crate::domain::calendar::Date;
use crate::domain::filter::Filter;
use crate::domain::ids::Id;
use crate::domain::premises::{Premises, RatesOn};
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::Window;
use crate::kpi::figure::{Absent, Figure};
use crate::kpi::leaderboard::{Entrant, Ranked, RankedBy, RateRule, TieRule, rank};
use crate::kpi::marketing_channel::{Basis, return_on_investment};
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
    /// At the place less one.
    pub rows: Vec<Ranked<'a>>,
    pub oldest_rate_on: Option<Date>,
    /// The boards that it was told from.
    pub pins: Vec<BoardPin>,
}

// === impl LeaderboardQuestion ===

impl LeaderboardQuestion {
    fn board(&self, window: &Window, rates: RatesOn) -> BoardQuestion {
        let asked = BoardQuestion::new(self.kind, self.include_sub_partners, &self.premises, window, rates);
        if self.ranked_by.is_of_open_deals() { asked.with_open(&self.premises) } else { asked }
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
        let board = self.board(&asked.board(window, rates));
        let mut oldest_rate_on = board.oldest_rate_on();
        if asked.ranked_by == RankedBy::OpenedAmount {
            oldest_rate_on = older(oldest_rate_on, board.board().oldest_opening_rate_on());
        }
        let mut pins = vec![board.pin()];
        let peers = (asked.ranked_by == RankedBy::ValueScore).then(|| {
            let peers = self.board(&asked.board(window, rates).of_peers());
            oldest_rate_on = older(oldest_rate_on, peers.oldest_rate_on());
            pins.push(peers.pin());
            peers
        });
        let returns = (asked.ranked_by == RankedBy::MarketingChannel)
            .then(|| self.marketing_returns(asked, window, rates, &mut oldest_rate_on));

        let passing = self.passing(asked, &board);
        let entrants = self.listed(asked.kind, None).filter_map(|Listed { number, id }| {
            if passing.as_ref().is_some_and(|passing| !passing.contains(&number)) {
                return None;
            }
            let row = board.board().row(number);
            let figure = match (&peers, &returns) {
                (Some(peers), _) => self.score_among(peers, number),
                (_, Some(returns)) => returns.get(&number).copied().unwrap_or(Err(Absent::NoSpend)),
                _ if asked.ranked_by.is_of_leads() && asked.premises.filter.asks_for_deals_only() => {
                    Err(Absent::LeadsNotCounted)
                }
                _ => asked.ranked_by.figure(row),
            };
            let score = asked.ranked_by.score(figure.ok()?, row, asked.rate_rule)?;
            Some(Entrant { id, score, won: row.standing.measures.won })
        });
        let rows = rank(entrants.collect(), asked.ranked_by.direction(), asked.ties);
        Leaderboard { rows, oldest_rate_on, pins }
    }

    /// The id under which a board has a subject: that of whom it was merged into.
    pub fn id_on_board<'a>(&'a self, kind: SubjectKind, id: &'a str) -> &'a str {
        let dictionary = &self.records.dictionary;
        match kind {
            SubjectKind::Partner => dictionary
                .partners
                .get(id)
                .map_or(id, |known| dictionary.partners.name(self.partner_trees.survivor(known))),
            SubjectKind::Employee => dictionary
                .employees
                .get(id)
                .map_or(id, |known| dictionary.employees.name(self.employee_trees.survivor(known))),
            SubjectKind::Unit => id,
        }
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
                let desks = telling.scope.desks.iter().flatten();
                let mut passing: HashSet<u32> =
                    desks.flat_map(|&desk| telling.lines.of_desk(desk)).copied().collect();
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

    fn score_among(&self, peers: &Arc<KeptBoard>, number: u32) -> Figure {
        let (peer, group) = peers.peer_by_number(self, number).ok_or(Absent::NoPeer)?;
        value_score(&peer.standing.measures, Some(group.total()))
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
        let names = &self.records.dictionary.partners;
        let spends = self.records.spends.chains().filter_map(|(_, chain)| chain.current());
        let named = spends.filter_map(|kept| kept.content.present()?.partner.as_ref());
        let numbers = named.filter_map(|partner| names.get(partner.as_str()));
        let spenders: HashSet<u32> = numbers
            .flat_map(|partner| match asked.include_sub_partners {
                true => self.partner_trees.line(partner),
                false => smallvec::smallvec![self.partner_trees.survivor(partner)],
            })
            .map(Ref::number)
            .collect();
        let mut told = HashMap::new();
        for number in spenders {
            let partner = Id::try_new(names.name(Ref::new(number))).expect("ids went in as ids");
            let subject = Subject::Partner { partner, include_sub_partners: asked.include_sub_partners };
            let Premises { filter, roles, .. } = &asked.premises;
            let Some(scope) = self.scope(&subject, filter, *roles) else { continue };
            let question =
                MarketingQuestion { subject: &subject, filter, scope: &scope, basis: Basis::Period, rates };
            let found = self.marketing(&question, window);
            *oldest_rate_on = older(*oldest_rate_on, found.oldest_rate_on);
            told.insert(number, return_on_investment(&found.found.attributed()));
        }
        told
    }
}
