//! The records of a tenant: every version of every one, and where each came from.
//!
//! Records are a set of versions; nothing in here is derived from them but the dictionary.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;

use minicbor::Encode;

use super::chain::{Arrival, Arrivals, Chain, Kept, Placed};
use super::many::Many;
use super::packed::{DealRef, Dictionary, LeadRef, PackedDeal, PackedLead, Span};
use crate::domain::calendar::Instant;
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::ids::{
    ChannelId, DealId, EmployeeId, LeadId, PartnerId, SpendId, StrategyId, TargetId, UnitId,
};
use crate::domain::record::{
    Channel, Employee, Partner, Record, RecordKey, RecordKind, Settings, Spend, State, Strategy, Target,
    Unit, Version, canonical,
};

#[derive(Default)]
pub struct Records {
    pub dictionary: Dictionary,
    pub arrivals: Arrivals,
    pub partners: Shelf<PartnerId, Partner, Option<PartnerId>>,
    pub units: Shelf<UnitId, Unit>,
    pub employees: Shelf<EmployeeId, Employee, Option<EmployeeId>>,
    pub leads: Many<PackedLead>,
    pub deals: Many<PackedDeal>,
    pub channels: Shelf<ChannelId, Channel>,
    pub spends: Shelf<SpendId, Spend>,
    pub targets: Shelf<TargetId, Target>,
    pub rates: Shelf<RateKey, Rate>,
    pub strategies: Shelf<StrategyId, Strategy>,
    pub settings: Chain<Settings>,
    pub(super) version_count: usize,
}

/// Records of one kind, by the bytes of their ids.
pub struct Shelf<I, T, D = ()>(BTreeMap<I, Chain<State<T, D>>>);

/// A version as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredVersion {
    pub version: Version,
    /// The journal's revision of the batch that brought it first.
    pub revision: u64,
    pub received_time: Instant,
    /// Whether it is its record's current version.
    pub current: bool,
}

/// Where an export goes on.
#[derive(Clone, Debug)]
pub struct Cursor {
    kind: RecordKind,
    after: Option<RecordKey>,
    /// Of deals and leads, which go by their numbers.
    done: usize,
}

// === impl Cursor ===

impl Cursor {
    pub const START: Self = Self { kind: RecordKind::Settings, after: None, done: 0 };

    /// Past deals and leads, which lie on no shelf. None: nothing comes after them.
    pub fn on_shelves(self) -> Option<Self> {
        match self.kind {
            RecordKind::Lead => Some(self.next_kind()),
            RecordKind::Deal => None,
            _ => Some(self),
        }
    }

    fn next_kind(&self) -> Self {
        Self { kind: self.kind.exported_next(), after: None, done: 0 }
    }

    /// Past `count` more of `all` records that go by their numbers.
    fn further(self, count: usize, all: usize) -> Self {
        let done = self.done + count;
        if done < all { Self { done, ..self } } else { self.next_kind() }
    }
}

impl RecordKind {
    /// Deals come last: what they refer to is there when they are read back.
    fn exported_next(self) -> Self {
        match self {
            Self::Settings => Self::Partner,
            Self::Partner => Self::Unit,
            Self::Unit => Self::Employee,
            Self::Employee => Self::Lead,
            Self::Lead => Self::Channel,
            Self::Channel => Self::Spend,
            Self::Spend => Self::Target,
            Self::Target => Self::Rate,
            Self::Rate => Self::Strategy,
            Self::Strategy | Self::Deal => Self::Deal,
        }
    }
}

// === impl Shelf ===

impl<I, T, D> Default for Shelf<I, T, D> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<I: Ord + Clone, T: Encode<()>, D: Encode<()>> Shelf<I, T, D> {
    fn insert(&mut self, id: I, version: Kept<State<T, D>>) -> Placed {
        self.0.entry(id).or_default().insert(version, State::cmp_content)
    }

    pub fn chain(&self, id: &I) -> Option<&Chain<State<T, D>>> {
        self.0.get(id)
    }

    /// How many chains there are, deleted ones among them.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// All chains, in the order of their ids.
    pub fn chains(&self) -> impl Iterator<Item = (&I, &Chain<State<T, D>>)> {
        self.0.iter()
    }

    pub fn following(&self, after: Option<&I>) -> btree_map::Range<'_, I, Chain<State<T, D>>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.0.range((from, Bound::Unbounded))
    }
}

impl<T: Encode<()>, D: Encode<()>> Chain<State<T, D>> {
    /// The fields that count: those of the last version that isn't deleted.
    pub fn last_present(&self) -> Option<&T> {
        self.versions().iter().rev().find_map(|kept| kept.content.present())
    }

    pub fn is_deleted(&self) -> bool {
        self.current().is_none_or(|current| current.content.is_deleted())
    }
}

// === impl Records ===

impl Records {
    /// Adds a version. Says what it did to its record.
    pub fn insert(&mut self, version: Version, arrival: Arrival) -> Placed {
        fn kept<C>(key: crate::domain::record::VersionKey, arrival: Arrival, content: C) -> Kept<C> {
            Kept { key, arrival, content }
        }
        self.dictionary.note_subjects(&version.record);
        let key = version.key;
        let placed = match version.record {
            Record::Partner(id, state) => self.partners.insert(id, kept(key, arrival, state)),
            Record::Unit(id, state) => self.units.insert(id, kept(key, arrival, state)),
            Record::Employee(id, state) => self.employees.insert(id, kept(key, arrival, state)),
            Record::Lead(id, state) => {
                let lead = self.dictionary.leads.intern(id.as_str());
                self.leads.insert(lead, key, arrival, &state, &mut self.dictionary)
            }
            Record::Channel(id, state) => self.channels.insert(id, kept(key, arrival, state)),
            Record::Spend(id, state) => self.spends.insert(id, kept(key, arrival, state)),
            Record::Target(id, state) => self.targets.insert(id, kept(key, arrival, state)),
            Record::Rate(id, state) => self.rates.insert(id, kept(key, arrival, state)),
            Record::Strategy(id, state) => self.strategies.insert(id, kept(key, arrival, state)),
            Record::Settings(settings) => {
                let order = |a: &Settings, b: &Settings| canonical(a).cmp(&canonical(b));
                self.settings.insert(kept(key, arrival, settings), order)
            }
            Record::Deal(id, state) => {
                let deal = self.dictionary.deals.intern(id.as_str());
                self.deals.insert(deal, key, arrival, &state, &mut self.dictionary)
            }
        };
        self.version_count += usize::from(placed != Placed::Known);
        placed
    }

    /// Adds a version of a deal that is packed under the numbers of this dictionary. None: it is a deletion.
    pub fn insert_deal(&mut self, deal: DealRef, version: Kept<Option<&PackedDeal>>) {
        let placed = self.deals.insert_content(deal, version, &self.dictionary);
        self.version_count += usize::from(placed != Placed::Known);
    }

    /// The same of a lead.
    pub fn insert_lead(&mut self, lead: LeadRef, version: Kept<Option<&PackedLead>>) {
        let placed = self.leads.insert_content(lead, version, &self.dictionary);
        self.version_count += usize::from(placed != Placed::Known);
    }

    /// The batches that brought all this: revision and time of receipt, in the order of revisions.
    pub fn batches(&self) -> &[(u64, Instant)] {
        self.arrivals.all()
    }

    /// Deals that are known, deleted ones included.
    pub fn deal_count(&self) -> usize {
        self.dictionary.deals.len()
    }

    /// Versions that are known, of all kinds.
    pub fn version_count(&self) -> usize {
        self.version_count
    }

    /// All versions of a record, oldest first. Empty where there is none.
    pub fn versions(&self, key: &RecordKey) -> Vec<StoredVersion> {
        match key {
            RecordKey::Partner(id) => self.on_shelf(&self.partners, id, Record::Partner),
            RecordKey::Unit(id) => self.on_shelf(&self.units, id, Record::Unit),
            RecordKey::Employee(id) => self.on_shelf(&self.employees, id, Record::Employee),
            RecordKey::Lead(id) => {
                self.dictionary.leads.get(id.as_str()).map_or(Vec::new(), |lead| self.versions_of_lead(lead))
            }
            RecordKey::Channel(id) => self.on_shelf(&self.channels, id, Record::Channel),
            RecordKey::Spend(id) => self.on_shelf(&self.spends, id, Record::Spend),
            RecordKey::Target(id) => self.on_shelf(&self.targets, id, Record::Target),
            RecordKey::Rate(id) => self.on_shelf(&self.rates, id, Record::Rate),
            RecordKey::Strategy(id) => self.on_shelf(&self.strategies, id, Record::Strategy),
            RecordKey::Settings => self.stored(&self.settings, |settings| Record::Settings(settings.clone())),
            RecordKey::Deal(id) => {
                self.dictionary.deals.get(id.as_str()).map_or(Vec::new(), |deal| self.versions_of_deal(deal))
            }
        }
    }

    /// The current versions of up to `count` records of a kind, by the bytes of their ids, after the key
    /// given. A key of another kind is taken as none.
    pub fn list(
        &self,
        kind: RecordKind,
        after: Option<&RecordKey>,
        count: usize,
        include_deleted: bool,
    ) -> Vec<StoredVersion> {
        macro_rules! list {
            ($shelf:ident, $kind:ident) => {{
                let after = after.and_then(|key| match key {
                    RecordKey::$kind(id) => Some(id),
                    _ => None,
                });
                let chains = self.$shelf.following(after);
                let listed = chains.filter(|(_, chain)| include_deleted || !chain.is_deleted()).take(count);
                let current = |(id, chain): (&_, &Chain<State<_, _>>)| {
                    self.stored(chain, |state| Record::$kind(Clone::clone(id), state.clone())).pop()
                };
                listed.filter_map(current).collect()
            }};
        }
        match kind {
            RecordKind::Partner => list!(partners, Partner),
            RecordKind::Unit => list!(units, Unit),
            RecordKind::Employee => list!(employees, Employee),
            RecordKind::Lead => {
                let after = after.and_then(|key| match key {
                    RecordKey::Lead(id) => Some(id.as_str()),
                    _ => None,
                });
                let is_listed = |lead: LeadRef| is_listed(self.leads.newest(lead), include_deleted);
                let listed = self.dictionary.leads.following(after, count, is_listed);
                listed.into_iter().filter_map(|lead| self.versions_of_lead(lead).pop()).collect()
            }
            RecordKind::Channel => list!(channels, Channel),
            RecordKind::Spend => list!(spends, Spend),
            RecordKind::Target => list!(targets, Target),
            RecordKind::Rate => list!(rates, Rate),
            RecordKind::Strategy => list!(strategies, Strategy),
            RecordKind::Settings if after.is_none() => {
                self.versions(&RecordKey::Settings).pop().into_iter().take(count).collect()
            }
            RecordKind::Settings => Vec::new(),
            RecordKind::Deal => {
                let after = after.and_then(|key| match key {
                    RecordKey::Deal(id) => Some(id.as_str()),
                    _ => None,
                });
                let is_listed = |deal: DealRef| is_listed(self.deals.newest(deal), include_deleted);
                let listed = self.dictionary.deals.following(after, count, is_listed);
                listed.into_iter().filter_map(|deal| self.versions_of_deal(deal).pop()).collect()
            }
        }
    }

    /// All versions of the next records from `cursor` on, about `count` records of one kind, and where to
    /// go on. A walk to its end yields every version that was there when it began; of those that came
    /// meanwhile, some.
    pub fn export(&self, cursor: Cursor, count: usize) -> (Vec<StoredVersion>, Option<Cursor>) {
        macro_rules! export {
            ($shelf:ident, $kind:ident) => {{
                let after = match &cursor.after {
                    Some(RecordKey::$kind(id)) => Some(id),
                    _ => None,
                };
                let slice: Vec<_> = self.$shelf.following(after).take(count).collect();
                let last = slice.last().map(|(id, _)| RecordKey::$kind(Clone::clone(*id)));
                let versions = slice.iter().flat_map(|(id, chain)| {
                    self.stored(chain, |state| Record::$kind(Clone::clone(*id), state.clone()))
                });
                (versions.collect(), last)
            }};
        }
        let (versions, last) = match cursor.kind {
            RecordKind::Settings => (self.versions(&RecordKey::Settings), None),
            RecordKind::Partner => export!(partners, Partner),
            RecordKind::Unit => export!(units, Unit),
            RecordKind::Employee => export!(employees, Employee),
            RecordKind::Lead => {
                let refs = self.dictionary.leads.refs_from(cursor.done).take(count);
                let versions = refs.flat_map(|lead| self.versions_of_lead(lead)).collect();
                return (versions, Some(cursor.further(count, self.dictionary.leads.len())));
            }
            RecordKind::Channel => export!(channels, Channel),
            RecordKind::Spend => export!(spends, Spend),
            RecordKind::Target => export!(targets, Target),
            RecordKind::Rate => export!(rates, Rate),
            RecordKind::Strategy => export!(strategies, Strategy),
            RecordKind::Deal => {
                let refs = self.dictionary.deals.refs_from(cursor.done).take(count);
                let versions = refs.flat_map(|deal| self.versions_of_deal(deal)).collect();
                let next = cursor.further(count, self.dictionary.deals.len());
                return (versions, Some(next).filter(|next| next.done > 0));
            }
        };
        let next = match last {
            Some(last) => Cursor { after: Some(last), ..cursor },
            None => cursor.next_kind(),
        };
        (versions, Some(next))
    }

    /// As [`Self::export`], of all kinds but deals and leads.
    pub fn export_others(&self, cursor: Cursor, count: usize) -> (Vec<StoredVersion>, Option<Cursor>) {
        match cursor.kind {
            RecordKind::Deal => (Vec::new(), None),
            RecordKind::Lead => (Vec::new(), Some(cursor.next_kind())),
            _ => self.export(cursor, count),
        }
    }

    fn on_shelf<I: Ord + Clone, T: Encode<()> + Clone, D: Encode<()> + Clone>(
        &self,
        shelf: &Shelf<I, T, D>,
        id: &I,
        record: impl Fn(I, State<T, D>) -> Record,
    ) -> Vec<StoredVersion> {
        shelf
            .chain(id)
            .map_or(Vec::new(), |chain| self.stored(chain, |state| record(id.clone(), state.clone())))
    }

    fn versions_of_deal(&self, deal: DealRef) -> Vec<StoredVersion> {
        let id = DealId::try_new(self.dictionary.deals.name(deal)).expect("ids went in as ids");
        self.all_stored(&self.deals.versions(deal), |kept| {
            Record::Deal(id.clone(), self.deals.state(kept, &self.dictionary))
        })
    }

    fn versions_of_lead(&self, lead: LeadRef) -> Vec<StoredVersion> {
        let id = LeadId::try_new(self.dictionary.leads.name(lead)).expect("ids went in as ids");
        self.all_stored(&self.leads.versions(lead), |kept| {
            Record::Lead(id.clone(), self.leads.state(kept, &self.dictionary))
        })
    }

    fn stored<C>(&self, chain: &Chain<C>, record: impl Fn(&C) -> Record) -> Vec<StoredVersion> {
        self.all_stored(chain.versions(), |kept| record(&kept.content))
    }

    fn all_stored<C>(&self, versions: &[Kept<C>], record: impl Fn(&Kept<C>) -> Record) -> Vec<StoredVersion> {
        let last = versions.len().wrapping_sub(1);
        let version = |(at, kept): (usize, &Kept<C>)| {
            let (revision, received_time) = self.arrivals.get(kept.arrival);
            let version = Version { key: kept.key, record: record(kept) };
            StoredVersion { version, revision, received_time, current: at == last }
        };
        versions.iter().enumerate().map(version).collect()
    }
}

fn is_listed(current: Option<Kept<Span>>, include_deleted: bool) -> bool {
    current.is_some_and(|current| include_deleted || !current.content.is_deleted())
}
