//! The slow truth: docs/kpis.md told from a plain list of versions, with which the book is compared.
//!
//! It shares nothing with the book but the domain's types and the names of what is counted. Where the book
//! adds and subtracts, this begins anew; where the book walks trees downward, this asks each record who
//! stands above it; where the book converts by one product, this multiplies fractions.

use std::collections::{BTreeMap, BTreeSet};

use ethnum::U256;

use super::pages::Fold;
use super::{StoredVersion, SubjectKind};
use crate::domain::amount::{Currency, Money};
use crate::domain::calendar::{Date, DateRange, Instant};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::ids::Id;
use crate::domain::record::{
    Credit, Deal, DealStatus, Expiry, Record, RecordKey, Role, Settings, State, Version, canonical,
};
use crate::domain::subject::Subject;
use crate::kpi::measures::{Measures, Tally};

/// A version as a journal brought it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub revision: u64,
    pub received_time: Instant,
    pub version: Version,
}

/// A tenant's truth at some revision.
pub struct Oracle {
    /// The distinct versions of each record, oldest first, with the batch that brought each first.
    histories: BTreeMap<RecordKey, Vec<Sent>>,
    partners: Nodes,
    employees: Nodes,
    units: Nodes,
    ended: Vec<Told>,
}

/// The subjects of one kind that were sent, and, without a place, those that are only named.
#[derive(Default)]
struct Nodes {
    sent: BTreeMap<String, Node>,
    named: BTreeSet<String>,
}

struct Node {
    name: Option<String>,
    parent: Option<String>,
    merged_into: Option<String>,
    unit: Option<String>,
    is_deleted: bool,
}

/// A deal that came to an end.
struct Told {
    on: Date,
    outcome: Outcome,
    amount_e4: Option<i128>,
    oldest_rate_on: Option<Date>,
    /// Who sourced how much.
    parts: Vec<(Line, i128)>,
    /// The owner as counted.
    owner: Option<String>,
    /// The unit and all above it.
    units: Vec<String>,
}

/// A credited partner as counted, and all above it.
struct Line {
    partner: String,
    with_ancestors: Vec<String>,
}

#[derive(Clone, Copy)]
enum Outcome {
    Won,
    Lost { competitor_known: bool },
    Expired,
}

// === impl Oracle ===

impl Oracle {
    pub fn new(sent: &[Sent]) -> Self {
        let mut histories: BTreeMap<RecordKey, Vec<Sent>> = BTreeMap::new();
        for sent in sent {
            let history = histories.entry(sent.version.record.key()).or_default();
            match history.iter_mut().find(|known| known.version == sent.version) {
                Some(known) if known.revision <= sent.revision => {}
                Some(known) => *known = sent.clone(),
                None => history.push(sent.clone()),
            }
        }
        for history in histories.values_mut() {
            history.sort_by_key(|sent| {
                let Version { key, record } = &sent.version;
                (*key, is_deleted(record), canonical(record))
            });
        }
        let mut oracle = Self {
            histories,
            partners: Nodes::default(),
            employees: Nodes::default(),
            units: Nodes::default(),
            ended: Vec::new(),
        };
        oracle.place_subjects();
        oracle.tell_deals();
        oracle
    }

    fn place_subjects(&mut self) {
        for history in self.histories.values() {
            let records = || history.iter().map(|sent| &sent.version.record);
            for record in records() {
                note_names(record, &mut self.partners, &mut self.employees, &mut self.units);
            }
            let current = records().next_back().expect("a history has a version");
            let present = records().rev().find(|record| !is_deleted(record));
            let (nodes, id, by_deletion) = match current {
                Record::Partner(id, state) => (&mut self.partners, text(id), deletion(state).map(text)),
                Record::Employee(id, state) => (&mut self.employees, text(id), deletion(state).map(text)),
                Record::Unit(id, _) => (&mut self.units, text(id), None),
                _ => continue,
            };
            let (mut node, merged_into) = match present {
                Some(Record::Partner(_, State::Present(partner))) => {
                    let parent = partner.parent.as_ref().map(text);
                    (Node::new(&partner.name, parent, None), partner.merged_into.as_ref().map(text))
                }
                Some(Record::Employee(_, State::Present(employee))) => {
                    let unit = employee.unit.as_ref().map(text);
                    (Node::new(&employee.name, None, unit), employee.merged_into.as_ref().map(text))
                }
                Some(Record::Unit(_, State::Present(unit))) => {
                    (Node::new(&unit.name, unit.parent.as_ref().map(text), None), None)
                }
                _ => (Node::new(&None, None, None), None),
            };
            node.merged_into = by_deletion.or(merged_into);
            node.is_deleted = is_deleted(current);
            nodes.sent.insert(id, node);
        }
    }

    fn tell_deals(&mut self) {
        let current = |key: &RecordKey| Some(&self.histories.get(key)?.last()?.version.record);
        let Some(Record::Settings(settings)) = current(&RecordKey::Settings) else { return };
        let rates: BTreeMap<RateKey, Rate> = self
            .histories
            .keys()
            .filter_map(|key| match current(key) {
                Some(Record::Rate(key, State::Present(rate))) => Some((*key, *rate)),
                _ => None,
            })
            .collect();
        let deals = self.histories.keys().filter_map(|key| match current(key) {
            Some(Record::Deal(_, State::Present(deal))) => Some(deal),
            _ => None,
        });
        let told = deals.filter_map(|deal| {
            let (on, outcome) = end_of(deal, settings)?;
            let value = deal.amount.and_then(|money| converted(money, settings, &rates, on));
            let owner = deal.owner.as_ref().map(|owner| self.employees.survivor(owner.as_str()));
            let owners_unit = || self.employees.sent.get(owner.as_ref()?)?.unit.clone();
            let unit = deal.unit.as_ref().map(text).or_else(owners_unit);
            let parts = split(&sourced(deal), value.map_or(0, |(amount_e4, _)| amount_e4));
            let line = |partner: &str| Line {
                partner: self.partners.survivor(partner),
                with_ancestors: self.partners.with_ancestors(partner),
            };
            Some(Told {
                on,
                outcome,
                amount_e4: value.map(|(amount_e4, _)| amount_e4),
                oldest_rate_on: value.and_then(|(_, oldest)| oldest),
                parts: parts.into_iter().map(|(partner, part)| (line(&partner), part)).collect(),
                units: unit.map_or(Vec::new(), |unit| self.units.with_ancestors(&unit)),
                owner,
            })
        });
        self.ended = told.collect();
    }

    /// None for a subject that nothing names.
    pub fn fold(&self, subject: &Subject, dates: DateRange) -> Option<Fold> {
        let survivor = match subject {
            Subject::Tenant => String::new(),
            Subject::Partner { partner, .. } => self.partners.named(partner.as_str())?,
            Subject::Employee(employee) => self.employees.named(employee.as_str())?,
            Subject::Unit(unit) => self.units.named(unit.as_str())?,
        };
        let mut fold = Fold::default();
        for deal in self.ended.iter().filter(|deal| dates.from <= deal.on && deal.on < dates.to) {
            let is_inside = |line: &Line| match subject {
                Subject::Partner { include_sub_partners: true, .. } => {
                    line.with_ancestors.contains(&survivor)
                }
                _ => line.partner == survivor,
            };
            let inside: Vec<i128> =
                deal.parts.iter().filter(|(line, _)| is_inside(line)).map(|(_, part)| *part).collect();
            let (touches, amount_e4) = match subject {
                Subject::Tenant => (true, deal.amount_e4.unwrap_or(0)),
                Subject::Partner { .. } => (!inside.is_empty(), inside.iter().sum()),
                Subject::Employee(_) => (deal.owner.as_ref() == Some(&survivor), deal.amount_e4.unwrap_or(0)),
                Subject::Unit(_) => (deal.units.contains(&survivor), deal.amount_e4.unwrap_or(0)),
            };
            if touches {
                let is_priced = deal.amount_e4.is_some();
                add(&mut fold.measures, deal.outcome, is_priced, amount_e4);
                fold.oldest_rate_on = match (fold.oldest_rate_on, deal.oldest_rate_on) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
        }
        Some(fold)
    }

    /// The subjects of a kind that are listed, in order.
    pub fn subjects(&self, kind: SubjectKind, include_sub_partners: bool) -> Vec<Subject> {
        fn listed<K>(nodes: &Nodes) -> impl Iterator<Item = Id<K>> {
            let listed =
                nodes.sent.iter().filter(|(id, node)| !node.is_deleted && nodes.survivor(id) == **id);
            listed.map(|(id, _)| Id::try_new(id).unwrap())
        }
        match kind {
            SubjectKind::Partner => listed(&self.partners)
                .map(|partner| Subject::Partner { partner, include_sub_partners })
                .collect(),
            SubjectKind::Employee => listed(&self.employees).map(Subject::Employee).collect(),
            SubjectKind::Unit => listed(&self.units).map(Subject::Unit).collect(),
        }
    }

    /// The id that counts in a subject's place, and its name.
    pub fn identity(&self, subject: &Subject) -> (String, Option<String>) {
        let (nodes, id) = match subject {
            Subject::Tenant => return (String::new(), None),
            Subject::Partner { partner, .. } => (&self.partners, partner.as_str()),
            Subject::Employee(employee) => (&self.employees, employee.as_str()),
            Subject::Unit(unit) => (&self.units, unit.as_str()),
        };
        let survivor = nodes.survivor(id);
        let name = nodes.sent.get(&survivor).and_then(|node| node.name.clone());
        (survivor, name)
    }

    /// The keys of all records.
    pub fn keys(&self) -> impl Iterator<Item = &RecordKey> {
        self.histories.keys()
    }

    /// All versions of a record, oldest first.
    pub fn versions(&self, key: &RecordKey) -> Vec<StoredVersion> {
        let history = &self.histories[key];
        let stored = |(at, sent): (usize, &Sent)| StoredVersion {
            version: sent.version.clone(),
            revision: sent.revision,
            received_time: sent.received_time,
            current: at + 1 == history.len(),
        };
        history.iter().enumerate().map(stored).collect()
    }
}

// === impl Node ===

impl Node {
    fn new(name: &Option<Box<str>>, parent: Option<String>, unit: Option<String>) -> Self {
        let name = name.as_deref().map(str::to_owned);
        Self { name, parent, unit, merged_into: None, is_deleted: false }
    }
}

// === impl Nodes ===

impl Nodes {
    /// The survivor of a subject that something names.
    fn named(&self, id: &str) -> Option<String> {
        self.named.contains(id).then(|| self.survivor(id))
    }

    /// Follows mergers to the first that isn't merged, isn't known or was already seen.
    fn survivor(&self, id: &str) -> String {
        let mut path = vec![id.to_owned()];
        loop {
            let last = path.last().expect("begins with one");
            let next = self.sent.get(last).and_then(|node| node.merged_into.clone());
            match next {
                None => return last.clone(),
                Some(seen) if path.contains(&seen) => return seen,
                Some(next) => path.push(next),
            }
        }
    }

    /// The survivor of `id` and those above it, up to the first that isn't known or was already seen.
    fn with_ancestors(&self, id: &str) -> Vec<String> {
        let mut line = vec![self.survivor(id)];
        loop {
            let last = self.sent.get(line.last().expect("begins with one"));
            let Some(parent) = last.and_then(|node| node.parent.as_ref()) else { return line };
            let parent = self.survivor(parent);
            if !self.sent.contains_key(&parent) || line.contains(&parent) {
                return line;
            }
            line.push(parent);
        }
    }
}

fn text<K>(id: &Id<K>) -> String {
    id.as_str().to_owned()
}

fn deletion<T, K>(state: &State<T, Option<Id<K>>>) -> Option<&Id<K>> {
    match state {
        State::Deleted(merged_into) => merged_into.as_ref(),
        State::Present(_) => None,
    }
}

fn is_deleted(record: &Record) -> bool {
    match record {
        Record::Partner(_, state) => matches!(state, State::Deleted(_)),
        Record::Unit(_, state) => matches!(state, State::Deleted(_)),
        Record::Employee(_, state) => matches!(state, State::Deleted(_)),
        Record::Lead(_, state) => matches!(state, State::Deleted(_)),
        Record::Deal(_, state) => matches!(state, State::Deleted(_)),
        Record::Channel(_, state) => matches!(state, State::Deleted(_)),
        Record::Spend(_, state) => matches!(state, State::Deleted(_)),
        Record::Target(_, state) => matches!(state, State::Deleted(_)),
        Record::Rate(_, state) => matches!(state, State::Deleted(_)),
        Record::Strategy(_, state) => matches!(state, State::Deleted(_)),
        Record::Settings(_) => false,
    }
}

/// Notes the subjects that a version names, be it the current one or not.
fn note_names(record: &Record, partners: &mut Nodes, employees: &mut Nodes, units: &mut Nodes) {
    match record {
        Record::Partner(id, state) => {
            partners.named.insert(text(id));
            partners.named.extend(deletion(state).map(text));
            if let State::Present(partner) = state {
                partners.named.extend(partner.parent.iter().chain(&partner.merged_into).map(text));
            }
        }
        Record::Employee(id, state) => {
            employees.named.insert(text(id));
            employees.named.extend(deletion(state).map(text));
            if let State::Present(employee) = state {
                employees.named.extend(employee.merged_into.iter().map(text));
                units.named.extend(employee.unit.iter().map(text));
            }
        }
        Record::Unit(id, state) => {
            units.named.insert(text(id));
            if let State::Present(unit) = state {
                units.named.extend(unit.parent.iter().map(text));
            }
        }
        Record::Deal(_, State::Present(deal)) => {
            partners.named.extend(deal.credits.iter().map(|credit| text(&credit.partner)));
            employees.named.extend(deal.owner.iter().map(text));
            units.named.extend(deal.unit.iter().map(text));
        }
        _ => {}
    }
}

fn add(measures: &mut Measures, outcome: Outcome, is_priced: bool, amount_e4: i128) {
    let Measures { won, lost, expired, lost_to_competitor_count } = measures;
    let Tally { count, priced_count, amount_e4: sum } = match outcome {
        Outcome::Won => won,
        Outcome::Lost { .. } => lost,
        Outcome::Expired => expired,
    };
    *count += 1;
    *priced_count += i64::from(is_priced);
    *sum += amount_e4;
    if let Outcome::Lost { competitor_known: true } = outcome {
        *lost_to_competitor_count += 1;
    }
}

fn end_of(deal: &Deal, settings: &Settings) -> Option<(Date, Outcome)> {
    let local = |at| settings.zone.local_date(at);
    match (deal.status, deal.expiry, settings.time_limit_days) {
        (DealStatus::Won(at), ..) => Some((local(at), Outcome::Won)),
        (DealStatus::Lost(at), ..) => {
            Some((local(at), Outcome::Lost { competitor_known: deal.competitor.is_some() }))
        }
        (DealStatus::Open, Some(Expiry::Never), _) | (DealStatus::Open, None, None) => None,
        (DealStatus::Open, Some(Expiry::At(at)), _) => {
            Some((local(at).max(local(deal.opened_at)), Outcome::Expired))
        }
        (DealStatus::Open, None, Some(days)) => {
            let day_number = local(deal.opened_at).day_number() + i32::from(days);
            let is_limit = day_number <= Date::LAST.day_number();
            is_limit.then_some((Date::from_day_number(day_number), Outcome::Expired))
        }
    }
}

/// The sourced credits with their shares in basis points, a credit without one taking what is left.
fn sourced(deal: &Deal) -> Vec<(String, i128)> {
    let sourced: Vec<&Credit> = deal.credits.iter().filter(|credit| credit.role == Role::Sourced).collect();
    let given: i128 = sourced.iter().filter_map(|credit| credit.share).map(|s| i128::from(s.get())).sum();
    let share = |credit: &Credit| credit.share.map_or(10_000 - given, |share| i128::from(share.get()));
    sourced.into_iter().map(|credit| (text(&credit.partner), share(credit))).collect()
}

/// Divides by largest remainder: one ten-thousandth after the other goes to whom most is still owed.
fn split(shares: &[(String, i128)], whole_e4: i128) -> Vec<(String, i128)> {
    let rest_bps = 10_000 - shares.iter().map(|(_, bps)| bps).sum::<i128>();
    let mut takers: Vec<(Option<&String>, i128)> = shares.iter().map(|(id, bps)| (Some(id), *bps)).collect();
    takers.sort_by_key(|(id, _)| id.cloned()); // equal remainders in the order of ids
    takers.push((None, rest_bps)); // the rest last
    let owed = |bps: i128| whole_e4 * bps; // in basis points of a ten-thousandth
    let mut given: Vec<i128> = takers.iter().map(|&(_, bps)| owed(bps).div_euclid(10_000)).collect();
    let mut topped_up = vec![false; takers.len()];
    while given.iter().sum::<i128>() < whole_e4 {
        let mut best: Option<(usize, i128)> = None;
        for (at, &(_, bps)) in takers.iter().enumerate() {
            let remainder = owed(bps).rem_euclid(10_000);
            if !topped_up[at] && best.is_none_or(|(_, most)| remainder > most) {
                best = Some((at, remainder));
            }
        }
        let (at, _) = best.expect("remainders sum to what is left, each below one");
        given[at] += 1;
        topped_up[at] = true;
    }
    let with_id = takers.iter().zip(given).filter_map(|(&(id, _), part)| Some((id?.clone(), part)));
    with_id.collect()
}

/// An exact positive number.
#[derive(Clone, Copy)]
struct Fraction {
    numerator: U256,
    denominator: U256,
}

// === impl Fraction ===

impl Fraction {
    fn whole(number: i64) -> Self {
        Self { numerator: U256::from(number.unsigned_abs()), denominator: U256::ONE }
    }

    /// A rate, read from its digits.
    fn of(rate: Rate) -> Self {
        let text = rate.to_string();
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        let mut fraction = Self::whole(0);
        for digit in format!("{whole}{decimals}").bytes() {
            fraction.numerator = fraction.numerator * 10 + U256::from(digit - b'0');
        }
        for _ in decimals.bytes() {
            fraction.denominator *= 10;
        }
        fraction
    }

    fn times(self, other: Self) -> Self {
        Self {
            numerator: self.numerator * other.numerator,
            denominator: self.denominator * other.denominator,
        }
    }

    fn inverse(self) -> Self {
        Self { numerator: self.denominator, denominator: self.numerator }
    }

    fn rounded_half_even(self) -> U256 {
        let (floor, rest) = (self.numerator / self.denominator, self.numerator % self.denominator);
        let twice = rest * 2;
        if twice > self.denominator || (twice == self.denominator && floor % 2 == 1) {
            floor + 1
        } else {
            floor
        }
    }
}

/// The amount in the reporting currency, and the oldest rate that it took.
fn converted(
    money: Money,
    settings: &Settings,
    rates: &BTreeMap<RateKey, Rate>,
    on: Date,
) -> Option<(i128, Option<Date>)> {
    let (from, to) = (money.currency, settings.reporting_currency);
    if from == to {
        return Some((i128::from(money.amount.e4()), None));
    }
    let latest = |from: Currency, to: Currency| {
        let in_force = rates.iter().filter(|(key, _)| key.from == from && key.to == to && key.on <= on);
        in_force.max_by_key(|(key, _)| key.on).map(|(key, rate)| (Fraction::of(*rate), key.on))
    };
    let leg = |from, to| latest(from, to).or_else(|| latest(to, from).map(|(rate, on)| (rate.inverse(), on)));
    let cross = || {
        let through: BTreeSet<Currency> = rates.keys().flat_map(|key| [key.from, key.to]).collect();
        let mut best: Option<(Fraction, Date)> = None;
        for through in through {
            if let (Some((first, a)), Some((second, b))) = (leg(from, through), leg(through, to))
                && best.is_none_or(|(_, youngest)| a.min(b) > youngest)
            {
                best = Some((first.times(second), a.min(b)));
            }
        }
        best
    };
    let (factor, oldest) = leg(from, to).or_else(cross)?;
    let rounded = Fraction::whole(money.amount.e4()).times(factor).rounded_half_even();
    let greatest = U256::new(9_200_000_000_000_000_000); // 9.2·10¹⁴ units
    (rounded <= greatest).then(|| (rounded.as_i128(), Some(oldest)))
}
