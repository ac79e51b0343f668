//! The slow truth: docs/kpis.md told from a plain list of versions, with which the book is compared.
//!
//! It shares nothing with the book but the domain's types and the names of what is counted. Where the book
//! adds and subtracts, this begins anew; where the book walks trees downward, this asks each record who
//! stands above it; where the book converts by one product, this multiplies fractions.

mod answer;
mod money;
mod tell;

use std::collections::{BTreeMap, BTreeSet};

use self::tell::Told;
use super::StoredVersion;
use crate::domain::calendar::Instant;
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::ids::Id;
use crate::domain::record::{Media, Partner, Record, RecordKey, Settings, State, Version, canonical};
use crate::domain::subject::{Subject, SubjectKind};

pub use self::answer::{Cohort, Figures, Question, without_lead_counts};

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
    /// The fields of each partner and channel that count: those of its last version that isn't deleted.
    partner_fields: BTreeMap<String, Partner>,
    media: BTreeMap<String, Media>,
    /// None until the tenant is configured: then nothing is told.
    settings: Option<Settings>,
    rates: BTreeMap<RateKey, Rate>,
    told: Vec<Told>,
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
            partner_fields: BTreeMap::new(),
            media: BTreeMap::new(),
            settings: None,
            rates: BTreeMap::new(),
            told: Vec::new(),
        };
        oracle.place_subjects();
        oracle.note_terms();
        oracle.told = oracle.tell();
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

    /// Settings, rates, and what partners and channels say of themselves.
    fn note_terms(&mut self) {
        for history in self.histories.values() {
            let records = || history.iter().map(|sent| &sent.version.record);
            match records().next_back().expect("a history has a version") {
                Record::Settings(settings) => self.settings = Some(settings.clone()),
                Record::Rate(key, State::Present(rate)) => {
                    self.rates.insert(*key, *rate);
                }
                _ => {}
            }
            match records().rev().find(|record| !is_deleted(record)) {
                Some(Record::Partner(id, State::Present(partner))) => {
                    self.partner_fields.insert(text(id), partner.clone());
                }
                Some(Record::Channel(id, State::Present(channel))) => {
                    self.media.extend(channel.media.map(|media| (text(id), media)));
                }
                _ => {}
            }
        }
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
        Record::Lead(_, State::Present(lead)) => {
            partners.named.extend(lead.partner.iter().map(text));
            employees.named.extend(lead.owner.iter().map(text));
        }
        _ => {}
    }
}
