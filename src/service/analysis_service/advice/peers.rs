//! Peers: what is said of a subject beside those that it is compared with.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use tonic::Status;

use super::judged::{Judged, JudgedKind};
use super::{Advisor, discovered};
use crate::book::KeptBoard;
use crate::domain::filter::Filter;
use crate::domain::subject::Subject;
use crate::kpi::distribution::StageDays;
use crate::kpi::drivers::{Rate, RateTerms};
use crate::kpi::peers::PeerGroup;
use crate::kpi::recommendation::{Finding, Rule};
use crate::kpi::rules;
use crate::kpi::rules::success::AmongPeers;
use crate::kpi::rules::velocity::PeersInStage;

/// The stages of a subject's deals won.
type Stages<'a> = BTreeMap<Option<&'a str>, StageDays>;

/// What the groups of peers on a board did together.
struct Together<'b> {
    board: &'b KeptBoard,
    of_group: HashMap<*const PeerGroup, RateTerms>,
}

// === impl Together ===

impl<'b> Together<'b> {
    fn new(board: &'b KeptBoard) -> Self {
        Self { board, of_group: HashMap::new() }
    }

    /// A subject's ended deals beside those of its other peers. None: it isn't a peer.
    fn of(&mut self, advisor: &Advisor<'_>, subject: &Subject) -> Option<AmongPeers> {
        let (peer, group) = advisor.book.peer(self.board, subject)?;
        let all = *self.of_group.entry(std::ptr::from_ref(group)).or_insert_with(|| group.deal_success());
        let own = Rate::DealSuccess.terms(&peer.standing);
        let others = RateTerms {
            numerator: all.numerator - own.numerator,
            denominator: all.denominator - own.denominator,
        };
        Some(AmongPeers { own, others })
    }
}

// === impl Advisor ===

impl<'a> Advisor<'a> {
    /// Success, value and stages.
    pub fn of_peers(
        &self,
        judged: &JudgedKind,
        filter: &Filter,
        is_asked: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<(usize, Finding<'a>)>, Status> {
        let mut findings = Vec::new();
        if self.asks_for(&[Rule::SuccessStrong, Rule::SuccessWeak, Rule::SuccessReplace]) {
            findings.extend(self.of_success(judged));
        }
        if self.asks_for(&[Rule::ValueLead, Rule::ValueLag]) {
            findings.extend(self.of_value(judged, is_asked));
        }
        if self.asks_for(&[Rule::VelocitySlowStage]) {
            findings.extend(self.of_stages(judged, filter, is_asked)?);
        }
        Ok(findings)
    }

    fn of_success(&self, judged: &JudgedKind) -> Vec<(usize, Finding<'a>)> {
        let levels = self.levels();
        let mut now = Together::new(&judged.now);
        let mut before = judged.before.as_deref().map(Together::new);
        let among: HashMap<&Subject, (AmongPeers, Option<AmongPeers>)> = judged
            .all
            .iter()
            .filter_map(|Judged { subject, .. }| {
                let before = before.as_mut().and_then(|before| before.of(self, subject));
                Some((subject, (now.of(self, subject)?, before)))
            })
            .collect();
        discovered(&judged.all, &levels, |one| {
            let (now, before) = among.get(&one.subject)?;
            let before = before.as_ref().zip(self.windows.before.as_ref());
            let may_be_replaced = matches!(one.subject, Subject::Partner { .. });
            rules::success::success(
                (now, &one.now.measures, &self.windows.now),
                before,
                may_be_replaced,
                &levels,
            )
        })
    }

    fn of_value(&self, judged: &JudgedKind, is_asked: &dyn Fn(usize) -> bool) -> Vec<(usize, Finding<'a>)> {
        let levels = self.levels();
        let asked = judged.all.iter().enumerate().filter(|(at, _)| is_asked(*at));
        let value = asked.filter_map(|(at, one)| {
            let peer = self.book.peer(&judged.now, &one.subject)?;
            Some((at, rules::value::value(peer, &self.windows.now, &levels)?))
        });
        value.collect()
    }

    fn of_stages(
        &self,
        judged: &JudgedKind,
        filter: &Filter,
        is_asked: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<(usize, Finding<'a>)>, Status> {
        let (levels, window) = (self.levels(), &self.windows.now);
        // Those who are peers of one another, with the stages of each.
        let mut groups: HashMap<*const PeerGroup, Vec<(usize, Stages<'a>)>> = HashMap::new();
        for (at, one) in judged.all.iter().enumerate() {
            let Some((_, group)) = self.book.peer(&judged.now, &one.subject) else { continue };
            // Who won too few deals has been in no stage often enough.
            if one.now.measures.won.count < levels.sample_min {
                continue;
            }
            self.caller.still_waits()?;
            let scope = self.scope(&one.subject, filter)?;
            let stages = self.book.won_deals(&scope, window.counted(), self.windows.rates).stages;
            groups.entry(std::ptr::from_ref(group)).or_default().push((at, stages));
        }
        let mut findings = Vec::new();
        for peers in groups.values() {
            let mut of_stage: BTreeMap<Option<&str>, Vec<StageDays>> = BTreeMap::new();
            for (stage, days) in peers.iter().flat_map(|(_, stages)| stages) {
                of_stage.entry(*stage).or_default().push(*days);
            }
            for (stage, days) in of_stage {
                let in_stage = PeersInStage::new(days.into_iter(), &levels);
                let asked = peers.iter().filter(|(at, _)| is_asked(*at));
                findings.extend(asked.filter_map(|(at, stages)| {
                    let standing = (&judged.all[*at].now, window);
                    let own = (stage, *stages.get(&stage)?);
                    Some((*at, rules::velocity::slow_stage(own, &in_stage, standing, &levels)?))
                }));
            }
        }
        Ok(findings)
    }
}
