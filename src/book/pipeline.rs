//! The pipeline: the deals of a scope that are open on a date, as they stood then, and what became of them
//! between two dates (docs/kpis.md §2, "Which version's attributes", and §6, 3).
//!
//! When a deal was opened and ends, and whose it is, follows from its current version: rows know that.
//! Amount, stage and probability are those of the version in force at the end of the date, which is found
//! deal by deal. The expected close is the current version's.

use std::collections::{HashMap, HashSet};

use super::Book;
use super::chain::Kept;
use super::contribute::{expiry_of, value_on};
use super::entry::{Event, Outcome, Value};
use super::packed::{DealRef, PackedDeal, Span};
use super::page::{Parts, Row};
use super::pages::older;
use super::scope::Scope;
use crate::domain::amount::{Amount, BasisPoints};
use crate::domain::calendar::Date;
use crate::domain::ids::Term;
use crate::domain::record::{DealStatus, Settings};
use crate::kpi::pipeline::{Departure, Movement, OpenDeal, Passage, PipelineFold};

/// What was found about a pipeline, and the date of the oldest exchange rate among its amounts. None where
/// nothing was converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    pub found: T,
    pub oldest_rate_on: Option<Date>,
}

/// A scope's part of an amount, at the rates of some date.
#[derive(Clone, Copy)]
pub(super) struct Priced {
    pub amount: Option<Amount>,
    pub oldest_rate_on: Option<Date>,
}

// === impl Book ===

impl Book {
    /// The deals that are open at the end of `as_of`, at the rates of `rates_on`: those in one of `stages`,
    /// or all where none is named.
    pub fn pipeline(
        &self,
        scope: &Scope,
        stages: &[Option<Term>],
        as_of: Date,
        rates_on: Date,
        expiring_days: i32,
    ) -> Found<PipelineFold<'_>> {
        let mut fold = PipelineFold::new(as_of, expiring_days);
        let mut oldest_rate_on = None;
        let asked: HashSet<Option<&str>> =
            stages.iter().map(|stage| stage.as_ref().map(Term::as_str)).collect();
        self.each_open_deal(scope, as_of, rates_on, |deal, rate_on| {
            if asked.is_empty() || asked.contains(&deal.stage) {
                fold.add(deal);
                oldest_rate_on = older(oldest_rate_on, rate_on);
            }
        });
        Found { found: fold, oldest_rate_on }
    }

    /// Walks the deals of a scope that are open at the end of `as_of`, at the rates of `rates_on`, each with
    /// the date of the oldest rate that it took.
    pub(super) fn each_open_deal<'a>(
        &'a self,
        scope: &Scope,
        as_of: Date,
        rates_on: Date,
        mut take: impl FnMut(&OpenDeal<'a>, Option<Date>),
    ) {
        let Some(settings) = self.settings() else { return };
        let probabilities: HashMap<&str, BasisPoints> =
            settings.stage_probabilities.iter().map(|(stage, bps)| (stage.as_str(), *bps)).collect();
        for (row, parts) in self.pages.open(scope, as_of) {
            let number = DealRef::new(row.of);
            let Some(current) = self.records.deals.current(number) else { continue };
            let Some(then) = self.as_it_stood(number, as_of, settings) else { continue };
            let priced = self.priced(&then, parts, rates_on, settings);
            let stage = then.stage.map(|stage| self.records.dictionary.terms.name(stage));
            let of_stage = || probabilities.get(stage?).copied();
            let expires_on = expiry_of(&current, row.other_on, settings);
            let deal = OpenDeal {
                opened_on: row.other_on,
                expires_on: (expires_on != Date::NEVER).then_some(expires_on),
                expected_close_on: current.expected_close,
                amount: priced.amount,
                stage,
                probability: then.probability.or_else(of_stage),
            };
            take(&deal, priced.oldest_rate_on);
        }
    }

    /// What became of deals from the end of `since` to the end of `as_of`, both at the rates of `rates_on`.
    pub fn movement(&self, scope: &Scope, since: Date, as_of: Date, rates_on: Date) -> Found<Movement> {
        let mut movement = Movement::default();
        let mut oldest_rate_on = None;
        let Some(settings) = self.settings() else { return Found { found: movement, oldest_rate_on } };
        for (row, parts) in self.pages.ending_after(scope, since).filter(|(row, _)| row.other_on <= as_of) {
            let mut amount_on = |on| {
                let then = self.as_it_stood(DealRef::new(row.of), on, settings)?;
                let priced = self.priced(&then, parts, rates_on, settings);
                oldest_rate_on = older(oldest_rate_on, priced.oldest_rate_on);
                priced.amount
            };
            let departure = departure(row).filter(|_| row.on <= as_of);
            movement.add(match (row.other_on <= since, departure) {
                (true, None) => Passage::Stayed { opening: amount_on(since), closing: amount_on(as_of) },
                (false, None) => Passage::Came { closing: amount_on(as_of) },
                (true, Some(departure)) => Passage::Left { departure, opening: amount_on(since) },
                (false, Some(departure)) => Passage::Passed { departure, amount: amount_on(as_of) },
            });
        }
        Found { found: movement, oldest_rate_on }
    }

    /// What a deal that is open at the end of a date was worth then, whole.
    pub(super) fn open_value(&self, number: DealRef, on: Date, rates_on: Date) -> Value {
        let then =
            self.settings().and_then(|settings| Some((self.as_it_stood(number, on, settings)?, settings)));
        let Some((then, settings)) = then else { return Value::Unknown };
        value_on(then.amount, rates_on, settings, &self.ground.rates)
    }

    /// A deal as it stood at the end of a date on which it was open: the version in force then, before the
    /// first version the first. A closed one says nothing of stage and probability: the last open one
    /// before it does.
    pub(super) fn as_it_stood(&self, number: DealRef, on: Date, settings: &Settings) -> Option<PackedDeal> {
        let is_known = |kept: &Kept<Span>| settings.zone.local_date(kept.key.update_time) <= on;
        // Deleted versions have no content.
        let content = |kept: Kept<Span>| self.records.deals.content(&kept);
        let known = self.records.deals.in_force(number).rev().skip_while(|kept| !is_known(kept));
        let mut backwards = known.filter_map(content);
        let mut then = backwards.next().or_else(|| self.records.deals.in_force(number).find_map(content))?;
        if then.status != DealStatus::Open {
            let open = backwards.find(|earlier| earlier.status == DealStatus::Open);
            then.stage = open.as_ref().and_then(|open| open.stage);
            then.probability = open.and_then(|open| open.probability);
        }
        Some(then)
    }

    pub(super) fn priced(
        &self,
        then: &PackedDeal,
        parts: Parts<'_>,
        rates_on: Date,
        settings: &Settings,
    ) -> Priced {
        let value = value_on(then.amount, rates_on, settings, &self.ground.rates);
        let amount = value.amount().map(|whole| parts.of(whole));
        Priced { amount, oldest_rate_on: value.oldest_rate_on() }
    }
}

/// How a deal ends. None: it doesn't.
fn departure(end: &Row) -> Option<Departure> {
    match end.event {
        Event::DealEnded(Outcome::Won) => Some(Departure::Won),
        Event::DealEnded(Outcome::Lost | Outcome::LostToCompetitor) => Some(Departure::Lost),
        Event::DealEnded(Outcome::Expired) => Some(Departure::Expired),
        _ => None,
    }
}
