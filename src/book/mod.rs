//! The book: one tenant in memory.
//!
//! Records are kept as chains of versions; what ended in a month is a page of rows and their sums; a
//! question about a window is a sum over pages. No protobuf, no I/O, no clock, no async.
//!
//! Invariants, each a property test:
//! 1. A book is a function of the set of versions in it: whatever their order, however often they came.
//! 2. Applying a version and then the one that it replaced restores every sum, bit for bit.
//! 3. Every window equals a scan of all deals.
//! 4. A reader sees whole batches: one revision.

#[cfg(test)]
mod against_sql;
mod chain;
mod contribute;
mod desks;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod mistakes;
mod names;
#[cfg(test)]
mod oracle;
mod packed;
mod page;
mod pages;
mod records;
mod trees;

use std::collections::{BTreeMap, HashMap};

use minicbor::Encode;

use self::chain::{Chain, Kept, Placed};
use self::contribute::{Ended, Ground, contribute};
use self::desks::{Desk, Desks};
use self::names::Names;
use self::packed::{DealRef, UnitRef};
use self::pages::Pages;
use self::records::Records;
use self::trees::{Sent, Trees};
use crate::domain::calendar::{DateRange, Instant};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::ids::{Id, kind};
use crate::domain::record::{Record, Settings, State, Version, canonical};
use crate::domain::subject::{Subject, SubjectKind};

pub use self::pages::{Fold, Selection};
pub use self::records::{Cursor, StoredVersion};

/// More deals than this are told anew aside, while readers keep the old pages. Under test few, so that
/// small histories go both ways.
const RETOLD_IN_PLACE_MAX: usize = if cfg!(test) { 3 } else { 50_000 };

/// One journal batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its place in the journal; each batch applied has a greater one than that before.
    pub revision: u64,
    /// When we received it, by our clock.
    pub received_time: Instant,
    pub versions: Vec<Version>,
}

/// One tenant in memory.
#[derive(Default)]
pub struct Book {
    revision: u64,
    records: Records,
    ground: Ground,
    desks: Desks,
    pages: Pages,
    partner_trees: Trees<kind::Partner>,
    employee_trees: Trees<kind::Employee>,
    unit_trees: Trees<kind::Unit>,
    /// The unit of each employee.
    unit_of: Vec<Option<UnitRef>>,
}

/// What a batch changes beside its own deals, worked out before the book is locked for it.
pub struct Prepared(Retell);

enum Retell {
    /// Settings and rates stay as they are.
    Nothing,
    /// They change; of the deals that the batch doesn't bring, these are told otherwise.
    Deals(Ground, Vec<DealRef>),
    /// They change, and all that is in the book has been told anew.
    Pages(Ground, Pages, Desks),
}

// === impl Book ===

impl Book {
    /// The revision of the last batch applied; 0 before the first.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn settings(&self) -> Option<&Settings> {
        self.ground.settings.as_ref()
    }

    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Works out what a batch changes beside its own deals. To be applied to this very state of the book:
    /// whoever prepares is the only one who applies.
    pub fn prepare(&self, batch: &Batch) -> Prepared {
        let Some(ground) = self.ground_after(batch) else { return Prepared(Retell::Nothing) };
        let tells_alike = match (&self.ground.settings, &ground.settings) {
            (Some(old), Some(new)) => new.tells_rows_like(old),
            (old, new) => old == new,
        };
        if !tells_alike {
            return Prepared(self.tell_aside(ground));
        }
        let retold = self.retold_by_rates(&ground, batch);
        if retold.len() > RETOLD_IN_PLACE_MAX {
            Prepared(self.tell_aside(ground))
        } else {
            Prepared(Retell::Deals(ground, retold))
        }
    }

    /// Takes a batch in. Readers see all of it or nothing.
    pub fn apply(&mut self, batch: Batch, prepared: Prepared) {
        self.revision = batch.revision;
        let arrival = self.records.arrivals.note(batch.revision, batch.received_time);

        let (mut retold, mut ground) = (Vec::new(), None);
        match prepared.0 {
            Retell::Nothing => {}
            Retell::Deals(new_ground, deals) => (retold, ground) = (deals, Some(new_ground)),
            Retell::Pages(new_ground, pages, desks) => {
                (self.ground, self.pages, self.desks) = (new_ground, pages, desks);
            }
        }
        // Each deal is told anew once, however many of its versions the batch has.
        for version in &batch.versions {
            if let Record::Deal(id, _) = &version.record {
                retold.push(self.records.deal_ref(id));
            }
        }
        retold.sort_unstable();
        retold.dedup();
        let before: Vec<Option<Ended>> = retold.iter().map(|&deal| self.contribution(deal)).collect();

        let mut trees_change = false;
        for version in batch.versions {
            let in_trees =
                matches!(version.record, Record::Partner(..) | Record::Employee(..) | Record::Unit(..));
            let placed = self.records.insert(version, arrival);
            trees_change |= in_trees && placed != Placed::Known;
        }
        if let Some(ground) = ground {
            self.ground = ground;
        }
        for (&deal, before) in retold.iter().zip(before) {
            let after = self.contribution(deal);
            if before != after {
                self.replace(deal, before, after);
            }
        }
        if trees_change {
            self.grow_trees();
        }
    }

    /// Builds a book from a snapshot: all versions with the batches that brought them first, which are
    /// given by revision and time in the order of their revisions. Versions of other batches are left
    /// out: they come again with the journal's tail.
    pub fn restore(
        revision: u64,
        batches: &[(u64, Instant)],
        versions: impl IntoIterator<Item = (u64, Version)>,
    ) -> Self {
        let mut book = Self { revision, ..Self::default() };
        let mut arrivals = HashMap::new();
        for &(revision, received_time) in batches {
            arrivals.insert(revision, book.records.arrivals.note(revision, received_time));
        }
        for (revision, version) in versions {
            if let Some(&arrival) = arrivals.get(&revision) {
                book.records.insert(version, arrival);
            }
        }
        let settings = book.records.settings.current().map(|kept| kept.content.clone());
        let mut ground = Ground { settings, ..Ground::default() };
        for (key, chain) in book.records.rates.chains() {
            ground.rates.set(*key, current_rate(chain));
        }
        if let Retell::Pages(ground, pages, desks) = book.tell_aside(ground) {
            (book.ground, book.pages, book.desks) = (ground, pages, desks);
        }
        book.grow_trees();
        book
    }

    fn contribution(&self, deal: DealRef) -> Option<Ended> {
        contribute(&self.records.current_deal(deal)?, &self.ground)
    }

    fn replace(&mut self, deal: DealRef, before: Option<Ended>, after: Option<Ended>) {
        if let Some(before) = before {
            let desk = self.desks.intern(desk_of(&before));
            self.pages.remove(deal, desk, &before);
        }
        if let Some(after) = after {
            let desk = self.desks.intern(desk_of(&after));
            self.pages.insert(deal, desk, &after);
        }
    }

    /// All deals of the book as they are told under `ground`.
    fn tell_aside(&self, ground: Ground) -> Retell {
        let (mut pages, mut desks) = (Pages::default(), self.desks.clone());
        for deal in self.records.deals() {
            let told = self.records.current_deal(deal).and_then(|current| contribute(&current, &ground));
            if let Some(ended) = told {
                let desk = desks.intern(desk_of(&ended));
                pages.insert(deal, desk, &ended);
            }
        }
        Retell::Pages(ground, pages, desks)
    }

    /// Settings and rates as the batch leaves them. None where it doesn't change them.
    fn ground_after(&self, batch: &Batch) -> Option<Ground> {
        // Chains are tried on copies: there they are short, and the book isn't ours to change.
        let mut settings: Option<Chain<Settings>> = None;
        let mut rates: BTreeMap<RateKey, Chain<State<Rate>>> = BTreeMap::new();
        for Version { key, record } in &batch.versions {
            let arrival = chain::Arrival::TRIAL;
            match record {
                Record::Settings(content) => {
                    let chain = settings.get_or_insert_with(|| self.records.settings.clone());
                    let kept = Kept { key: *key, arrival, content: content.clone() };
                    chain.insert(kept, |a, b| canonical(a).cmp(&canonical(b)));
                }
                Record::Rate(id, state) => {
                    let known = || self.records.rates.chain(id).cloned().unwrap_or_default();
                    let chain = rates.entry(*id).or_insert_with(known);
                    chain.insert(Kept { key: *key, arrival, content: state.clone() }, State::cmp_content);
                }
                _ => {}
            }
        }
        if settings.is_none() && rates.is_empty() {
            return None;
        }
        let mut ground = self.ground.clone();
        if let Some(chain) = settings {
            ground.settings = chain.current().map(|kept| kept.content.clone());
        }
        for (key, chain) in rates {
            ground.rates.set(key, current_rate(&chain));
        }
        Some(ground)
    }

    /// The deals that the batch doesn't bring and whose conversion is another under `ground`.
    fn retold_by_rates(&self, ground: &Ground, batch: &Batch) -> Vec<DealRef> {
        let rate_dates = batch.versions.iter().filter_map(|version| match &version.record {
            Record::Rate(key, _) => Some(key.on),
            _ => None,
        });
        let (Some(from), Some(settings)) = (rate_dates.min(), &ground.settings) else { return Vec::new() };
        let mut changes: HashMap<_, bool> = HashMap::new();
        let mut is_retold = |currency, on| {
            *changes.entry((currency, on)).or_insert_with(|| {
                let conversion =
                    |ground: &Ground| ground.rates.conversion(currency, settings.reporting_currency, on);
                conversion(&self.ground) != conversion(ground)
            })
        };
        let foreign = self.pages.foreign_deals(from);
        foreign.filter(|&(_, currency, on)| is_retold(currency, on)).map(|(deal, ..)| deal).collect()
    }

    fn grow_trees(&mut self) {
        let Records { dictionary, partners, employees, units, .. } = &self.records;
        let places = partners.chains().map(|(id, chain)| Sent {
            id: id.as_str(),
            parent: chain.last_present().and_then(|partner| partner.parent.as_ref()).map(Id::as_str),
            merged_into: merged_into(chain, |partner| partner.merged_into.as_ref()).map(Id::as_str),
        });
        self.partner_trees = Trees::grow(&dictionary.partners, places);
        let places = employees.chains().map(|(id, chain)| Sent {
            id: id.as_str(),
            parent: None,
            merged_into: merged_into(chain, |employee| employee.merged_into.as_ref()).map(Id::as_str),
        });
        self.employee_trees = Trees::grow(&dictionary.employees, places);
        let places = units.chains().map(|(id, chain)| Sent {
            id: id.as_str(),
            parent: chain.last_present().and_then(|unit| unit.parent.as_ref()).map(Id::as_str),
            merged_into: None,
        });
        self.unit_trees = Trees::grow(&dictionary.units, places);

        self.unit_of = vec![None; dictionary.employees.len()];
        for (id, chain) in employees.chains() {
            let unit = chain.last_present().and_then(|employee| employee.unit.as_ref());
            let employee =
                dictionary.employees.get(id.as_str()).expect("an employee is numbered as it comes");
            self.unit_of[employee.index()] = unit.and_then(|unit| dictionary.units.get(unit.as_str()));
        }
    }

    /// Whose rows a question about a subject folds. None for a subject that was never sent and that no
    /// partner, employee, unit or deal names.
    pub fn select(&self, subject: &Subject) -> Option<Selection> {
        let dictionary = &self.records.dictionary;
        match subject {
            Subject::Tenant => Some(Selection::Tenant),
            Subject::Partner { partner, include_sub_partners } => {
                let partner = dictionary.partners.get(partner.as_str())?;
                Some(Selection::Partners(self.partner_trees.members(partner, *include_sub_partners)))
            }
            Subject::Employee(employee) => {
                let employee = dictionary.employees.get(employee.as_str())?;
                let owners = self.employee_trees.members(employee, false);
                let is_theirs = |desk: &Desk| desk.owner.is_some_and(|o| owners.binary_search(&o).is_ok());
                Some(Selection::Desks(self.desks.those(is_theirs)))
            }
            Subject::Unit(unit) => {
                let unit = dictionary.units.get(unit.as_str())?;
                let units = self.unit_trees.members(unit, true);
                let is_theirs =
                    |desk: &Desk| self.unit_of_desk(desk).is_some_and(|u| units.binary_search(&u).is_ok());
                Some(Selection::Desks(self.desks.those(is_theirs)))
            }
        }
    }

    fn unit_of_desk(&self, desk: &Desk) -> Option<UnitRef> {
        let owners_unit = || {
            let owner = self.employee_trees.survivor(desk.owner?);
            *self.unit_of.get(owner.index())?
        };
        desk.unit.or_else(owners_unit)
    }

    /// Sums what ended within `dates`.
    pub fn fold(&self, selection: &Selection, dates: DateRange) -> Fold {
        self.pages.fold(selection, dates)
    }

    /// The subject that counts in its place, with its name: itself, or what it was merged into.
    pub fn identify(&self, subject: &Subject) -> (Subject, Option<&str>) {
        let Records { dictionary, partners, employees, units, .. } = &self.records;
        match subject {
            Subject::Tenant => (Subject::Tenant, None),
            Subject::Partner { partner, include_sub_partners } => {
                let partner = survivor(&dictionary.partners, &self.partner_trees, partner);
                let name = partners.chain(&partner).and_then(Chain::last_present);
                let name = name.and_then(|partner| partner.name.as_deref());
                (Subject::Partner { partner, include_sub_partners: *include_sub_partners }, name)
            }
            Subject::Employee(employee) => {
                let employee = survivor(&dictionary.employees, &self.employee_trees, employee);
                let name = employees.chain(&employee).and_then(Chain::last_present);
                let name = name.and_then(|employee| employee.name.as_deref());
                (Subject::Employee(employee), name)
            }
            Subject::Unit(unit) => {
                let name = units.chain(unit).and_then(Chain::last_present);
                (subject.clone(), name.and_then(|unit| unit.name.as_deref()))
            }
        }
    }

    /// Up to `count` subjects of a kind, by the bytes of their ids, after the id given. Those that the
    /// host deleted or merged, or never sent, are not listed.
    pub fn subjects(
        &self,
        kind: SubjectKind,
        include_sub_partners: bool,
        after: Option<&str>,
        count: usize,
    ) -> Vec<Subject> {
        let Records { dictionary, partners, employees, units, .. } = &self.records;
        match kind {
            SubjectKind::Partner => {
                let after = after.and_then(|after| Id::try_new(after).ok());
                let listed = partners.following(after.as_ref()).filter(|(id, chain)| {
                    !chain.is_deleted() && survivor(&dictionary.partners, &self.partner_trees, id) == **id
                });
                let subject =
                    |(id, _): (&Id<_>, _)| Subject::Partner { partner: id.clone(), include_sub_partners };
                listed.map(subject).take(count).collect()
            }
            SubjectKind::Employee => {
                let after = after.and_then(|after| Id::try_new(after).ok());
                let listed = employees.following(after.as_ref()).filter(|(id, chain)| {
                    !chain.is_deleted() && survivor(&dictionary.employees, &self.employee_trees, id) == **id
                });
                listed.map(|(id, _)| Subject::Employee(id.clone())).take(count).collect()
            }
            SubjectKind::Unit => {
                let after = after.and_then(|after| Id::try_new(after).ok());
                let listed = units.following(after.as_ref()).filter(|(_, chain)| !chain.is_deleted());
                listed.map(|(id, _)| Subject::Unit(id.clone())).take(count).collect()
            }
        }
    }
}

fn desk_of(ended: &Ended) -> Desk {
    Desk { owner: ended.owner, unit: ended.unit }
}

fn current_rate(chain: &Chain<State<Rate>>) -> Option<Rate> {
    chain.current().and_then(|kept| kept.content.present()).copied()
}

/// Into whom a subject was merged: what its deletion says, else what its last version says that isn't one.
fn merged_into<T: Encode<()>, I: Encode<()>>(
    chain: &Chain<State<T, Option<I>>>,
    said_by: impl Fn(&T) -> Option<&I>,
) -> Option<&I> {
    let said_by_deletion = match &chain.current()?.content {
        State::Deleted(into) => into.as_ref(),
        State::Present(_) => None,
    };
    said_by_deletion.or_else(|| chain.last_present().and_then(said_by))
}

fn survivor<K>(names: &Names<K>, trees: &Trees<K>, id: &Id<K>) -> Id<K> {
    let survivor = names.get(id.as_str()).map(|known| names.name(trees.survivor(known)));
    survivor.map_or(id.clone(), |name| Id::try_new(name).expect("ids went in as ids"))
}
