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
mod arena;
mod ask;
mod board;
mod chain;
mod circles;
mod coding;
mod contribute;
mod cycles;
mod entry;
mod evidence;
mod expiring;
mod fates;
mod groups;
#[cfg(test)]
mod histories;
mod kept;
#[cfg(test)]
mod knowledge;
mod known;
mod lately;
mod leaderboard;
mod many;
mod marketing;
mod members;
#[cfg(test)]
mod mended;
#[cfg(test)]
mod mistakes;
mod named;
mod names;
mod net;
#[cfg(test)]
mod oracle;
mod packed;
mod page;
mod pages;
mod patience;
mod pipeline;
mod pools;
mod quality;
mod records;
mod regions;
#[cfg(test)]
mod replaced;
mod restated;
mod roster;
mod scope;
mod season;
#[cfg(test)]
mod small_tenant;
mod snapshot;
mod spends;
mod standing;
mod stock;
mod strategy_effect;
mod targets;
mod telling;
mod trees;
mod weight;

use std::collections::BTreeMap;

use hashbrown::HashMap;
use minicbor::Encode;
use smallvec::SmallVec;

use self::chain::{Chain, Kept, Placed};
use self::contribute::{Entries, Ground, deal_entries, lead_entries};
use self::entry::Entry;
use self::kept::KeptBoards;
use self::named::DealsOfLeads;
use self::packed::{DealRef, LeadRef, Packed as _, PackedDeal, PackedLead, UnitRef};
use self::pages::Pages;
use self::pools::Pools;
use self::records::Records;
use self::roster::Rosters;
use self::spends::Spends;
use self::stock::Stocks;
use self::trees::{Sent, Trees};
use crate::domain::amount::BasisPoints;
use crate::domain::calendar::Instant;
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::ids::{Id, Term, kind};
use crate::domain::record::{Record, Settings, State, Version, VersionKey, canonical};

pub use self::board::BoardQuestion;
pub use self::entry::{Outcome, ProspectOutcome};
pub use self::evidence::{
    Behind, Contribution, ContributorKind, EvidencePage, Fate, FigureKind, FirstEvidence, Place,
};
pub use self::expiring::ExpiringDeals;
pub use self::kept::{BoardPin, KeptBoard};
pub use self::known::Recollection;
pub use self::leaderboard::{Leaderboard, LeaderboardQuestion, Ranked};
pub use self::marketing::MarketingQuestion;
pub use self::pages::Fold;
pub use self::patience::IsAwaited;
pub use self::pipeline::Found;
pub use self::quality::{Finding, FindingKind, Quality, QualityQuestion};
pub use self::records::{Cursor, StoredVersion};
pub use self::restated::{Between, Changed, Changes, MovedQuestion, Traces};
pub use self::scope::Scope;
pub use self::snapshot::{Restoring, SliceError, Taking};
pub use self::standing::Stood;
pub use self::strategy_effect::{EffectQuestion, KindEffect, StrategyEffects};
pub use self::targets::TargetUnderWay;

/// More deals than this are told anew aside, while readers keep the old pages. Under test few, so that
/// small histories go both ways.
const RETOLD_IN_PLACE_MAX: usize = if cfg!(test) { 3 } else { 50_000 };

/// One journal batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its place in the journal; each batch applied has a greater one than that before.
    pub revision: u64,
    /// When we received it, by our clock. The book takes it as later than that of the batch before.
    pub received_time: Instant,
    pub versions: Vec<Version>,
}

/// One tenant in memory.
#[derive(Default)]
pub struct Book {
    revision: u64,
    records: Records,
    ground: Ground,
    pools: Pools,
    pages: Pages,
    /// The deals whose current version names a lead.
    deals_of_leads: DealsOfLeads,
    partner_trees: Trees<kind::Partner>,
    employee_trees: Trees<kind::Employee>,
    unit_trees: Trees<kind::Unit>,
    /// The unit of each employee.
    unit_of: Vec<Option<UnitRef>>,
    rosters: Rosters,
    spends: Spends,
    stocks: Stocks,
    kept: KeptBoards,
}

/// A version with its names looked up, where it is of the many.
enum Packed {
    /// Without a content it is a deletion.
    Deal(DealRef, VersionKey, Option<PackedDeal>),
    Lead(LeadRef, VersionKey, Option<PackedLead>),
    Few(Version),
}

/// A deal as it is told at some moment.
#[derive(Default)]
struct ToldDeal {
    lead: Option<LeadRef>,
    entries: Entries,
}

/// What a batch changes beside its own deals, worked out before the book is locked for it.
pub struct Prepared(Retell);

enum Retell {
    /// Settings and rates stay as they are.
    Nothing,
    /// They change; of the deals that the batch doesn't bring, these are told otherwise.
    Deals(Ground, Vec<DealRef>),
    /// They change, and all that is in the book has been told anew.
    Pages(Ground, Pages, Box<Pools>),
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
            return Prepared(self.tell_aside(ground, 1));
        }
        let retold = self.retold_by_rates(&ground, batch);
        if retold.len() > RETOLD_IN_PLACE_MAX {
            Prepared(self.tell_aside(ground, 1))
        } else {
            Prepared(Retell::Deals(ground, retold))
        }
    }

    /// Takes a batch in. Readers see all of it or nothing.
    pub fn apply(&mut self, batch: Batch, prepared: Prepared) {
        self.revision = batch.revision;
        if batch.versions.is_empty() {
            return; // a checkpoint alone: it brought nothing that has to be known by its arrival
        }
        let arrival = self.records.arrivals.note(batch.revision, batch.received_time);

        // Lent for as long as the book changes.
        let mut kept = std::mem::take(&mut self.kept);
        let mut stocks = std::mem::take(&mut self.stocks);
        let (mut deals, mut ground) = (Vec::new(), None);
        match prepared.0 {
            Retell::Nothing => {}
            Retell::Deals(new_ground, retold) => {
                if stage_probabilities(&new_ground) != stage_probabilities(&self.ground) {
                    stocks.clear();
                }
                (deals, ground) = (retold, Some(new_ground));
                kept.clear();
            }
            Retell::Pages(new_ground, pages, pools) => {
                (self.ground, self.pages, self.pools) = (new_ground, pages, *pools);
                kept.clear();
                stocks.clear();
            }
        }
        // Each deal and lead is told anew once, however many of its versions the batch has.
        let packed: Vec<Packed> = batch.versions.into_iter().map(|version| self.pack(version)).collect();
        let leads = self.touched_by(&packed, &mut deals);
        let deals_before: Vec<ToldDeal> = deals.iter().map(|&deal| self.told_deal(deal)).collect();
        let leads_before: Vec<Entries> = leads.iter().map(|&lead| self.entries_of_lead(lead)).collect();

        if kept.begin_batch() {
            let before = self.pages_of(entries_of(&deals_before).chain(&leads_before));
            self.take_out_of_boards(&mut kept, &before);
        }

        self.note_stocks(&mut stocks, entries_of(&deals_before), false);

        let (mut trees_change, mut channels_change, mut spends_change) = (false, false, false);
        for packed in packed {
            match packed {
                Packed::Deal(deal, key, content) => {
                    self.records.insert_deal(deal, Kept { key, arrival, content: content.as_ref() });
                }
                Packed::Lead(lead, key, content) => {
                    self.records.insert_lead(lead, Kept { key, arrival, content: content.as_ref() });
                }
                Packed::Few(version) => {
                    let record = &version.record;
                    let in_trees =
                        matches!(record, Record::Partner(..) | Record::Employee(..) | Record::Unit(..));
                    let is_channel = matches!(record, Record::Channel(..));
                    let is_spend = matches!(record, Record::Spend(..));
                    let placed = self.records.insert(version, arrival);
                    trees_change |= in_trees && placed != Placed::Known;
                    channels_change |= is_channel && placed != Placed::Known;
                    spends_change |= is_spend && placed != Placed::Known;
                }
            }
        }
        if let Some(ground) = ground {
            self.ground = ground;
        }

        let deals_after: Vec<ToldDeal> = deals.iter().map(|&deal| self.told_deal(deal)).collect();
        for ((&deal, before), after) in deals.iter().zip(&deals_before).zip(&deals_after) {
            self.move_to_lead(deal, before.lead, after.lead);
        }
        let leads_after: Vec<Entries> = leads.iter().map(|&lead| self.entries_of_lead(lead)).collect();
        self.note_stocks(&mut stocks, entries_of(&deals_after), true);
        self.stocks = stocks;
        let befores = entries_of(&deals_before).chain(&leads_before);
        for (before, after) in befores.zip(entries_of(&deals_after).chain(&leads_after)) {
            self.replace(before, after);
        }
        if trees_change {
            self.grow_trees();
        }
        if spends_change {
            self.spends = Spends::of(&self.records.dictionary, &self.records.spends);
        }
        if trees_change || channels_change {
            kept.clear();
        } else if !kept.is_empty() {
            let after = self.pages_of(entries_of(&deals_after).chain(&leads_after));
            self.put_in_boards(&mut kept, &after);
        }
        self.kept = kept;
    }

    /// Pages of these entries alone.
    fn pages_of<'a>(&mut self, entries: impl Iterator<Item = &'a Entries>) -> Pages {
        let mut pages = Pages::default();
        entries.flatten().for_each(|entry| pages.insert(self.pools.intern(entry), entry));
        pages
    }

    /// Looks up the names of a version, once.
    fn pack(&mut self, version: Version) -> Packed {
        let Version { key, record } = version;
        let dictionary = &mut self.records.dictionary;
        match record {
            Record::Deal(id, state) => {
                let deal = dictionary.deals.intern(id.as_str());
                Packed::Deal(deal, key, state.present().map(|deal| PackedDeal::intern(deal, dictionary)))
            }
            Record::Lead(id, state) => {
                let lead = dictionary.leads.intern(id.as_str());
                Packed::Lead(lead, key, state.present().map(|lead| PackedLead::intern(lead, dictionary)))
            }
            record => Packed::Few(Version { key, record }),
        }
    }

    /// Adds the deals whose entries a batch may change: those that it brings, and those of its leads. Returns the
    /// leads: those that it brings, and those that its deals name or named. Both are sorted.
    fn touched_by(&self, packed: &[Packed], deals: &mut Vec<DealRef>) -> Vec<LeadRef> {
        let mut leads = Vec::new();
        for packed in packed {
            match packed {
                Packed::Deal(deal, _, content) => {
                    deals.push(*deal);
                    leads.extend(self.lead_of(*deal));
                    leads.extend(content.as_ref().and_then(|content| content.lead));
                }
                Packed::Lead(lead, ..) => {
                    leads.push(*lead);
                    deals.extend(self.deals_of_leads.get(lead).into_iter().flatten());
                }
                Packed::Few(_) => {}
            }
        }
        leads.sort_unstable();
        leads.dedup();
        deals.sort_unstable();
        deals.dedup();
        leads
    }

    /// What a deal's current version names as its lead.
    fn lead_of(&self, deal: DealRef) -> Option<LeadRef> {
        self.records.deals.current(deal)?.lead
    }

    fn move_to_lead(&mut self, deal: DealRef, from: Option<LeadRef>, to: Option<LeadRef>) {
        if from == to {
            return;
        }
        if let Some(from) = from {
            self.deals_of_leads.remove(from, deal);
        }
        if let Some(to) = to {
            self.deals_of_leads.add(to, deal);
        }
    }

    fn told_deal(&self, number: DealRef) -> ToldDeal {
        let Some(deal) = self.records.deals.current(number) else { return ToldDeal::default() };
        let entries = self.content_told_under(number, &deal, &self.ground);
        ToldDeal { lead: deal.lead, entries }
    }

    fn entries_of_lead(&self, lead: LeadRef) -> Entries {
        self.lead_told_under(lead, &self.ground)
    }

    fn deal_told_under(&self, number: DealRef, ground: &Ground) -> Entries {
        let deal = self.records.deals.current(number);
        deal.map_or(Entries::new(), |deal| self.content_told_under(number, &deal, ground))
    }

    fn content_told_under(&self, number: DealRef, deal: &PackedDeal, ground: &Ground) -> Entries {
        let lead = deal.lead.and_then(|lead| self.records.leads.current(lead));
        deal_entries(number, deal, self.records.deals.resent_at(number), lead.as_ref(), ground)
    }

    fn lead_told_under(&self, number: LeadRef, ground: &Ground) -> Entries {
        let Some(lead) = self.records.leads.current(number) else { return Entries::new() };
        let deals: SmallVec<[(&str, PackedDeal); 1]> = self
            .deals_of_leads
            .get(&number)
            .into_iter()
            .flatten()
            .filter_map(|&deal| {
                let content = self.records.deals.current(deal)?;
                Some((self.records.dictionary.deals.name(deal), content))
            })
            .collect();
        lead_entries(number, &lead, &deals, ground)
    }

    /// Takes out what was and puts in what is; what stays is left alone, and where only what rows say changes
    /// they stay in place.
    fn replace(&mut self, before: &[Entry], after: &[Entry]) {
        let heir_of = |entry: &Entry| after.iter().find(|heir| heir.lies_like(entry));
        for entry in before.iter().filter(|entry| !after.contains(entry)) {
            let pooled = self.pools.intern(entry);
            match heir_of(entry) {
                Some(heir) => self.pages.amend((pooled, entry), (self.pools.intern(heir), heir)),
                None => self.pages.remove(pooled, entry),
            }
        }
        for entry in after.iter().filter(|entry| !before.iter().any(|known| known.lies_like(entry))) {
            self.pages.insert(self.pools.intern(entry), entry);
        }
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
        let mut retold: Vec<DealRef> = foreign
            .filter(|&(_, currency, on)| is_retold(currency, on))
            .map(|(deal, ..)| DealRef::new(deal))
            .collect();
        // A deal has several rows.
        retold.sort_unstable();
        retold.dedup();
        retold
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
        let mut rosters = Rosters::tell(&self.records, &self.partner_trees, &self.employee_trees);
        if rosters.follow(&self.rosters) {
            self.pages.forget_regions();
        }
        self.rosters = rosters;
    }
}

fn entries_of(told: &[ToldDeal]) -> impl Iterator<Item = &Entries> {
    told.iter().map(|told| &told.entries)
}

fn stage_probabilities(ground: &Ground) -> Option<&BTreeMap<Term, BasisPoints>> {
    ground.settings.as_ref().map(|settings| &settings.stage_probabilities)
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
