//! Deals and leads with their names as dense numbers: the form in which the book reads and keeps them.
//!
//! [`super::coding`] has their bytes.

use minicbor::Encode;
use smallvec::SmallVec;

use super::coding::Coded;
use super::names::{AnyNames, Names, Ref};
use crate::domain::amount::{BasisPoints, Money};
use crate::domain::calendar::{Date, Instant};
use crate::domain::ids::{Id, Term, kind};
use crate::domain::record::{
    Credit, Credits, Deal, DealStatus, Expiry, Labels, Lead, LeadOutcome, Record, Role, State,
};

pub use super::arena::Span;

/// Marks the numbers of terms: stages, products, regions, labels.
#[derive(Debug)]
pub enum TermKind {}

pub type TermRef = Ref<TermKind>;
pub type PartnerRef = Ref<kind::Partner>;
pub type EmployeeRef = Ref<kind::Employee>;
pub type UnitRef = Ref<kind::Unit>;
pub type LeadRef = Ref<kind::Lead>;
pub type ChannelRef = Ref<kind::Channel>;
pub type DealRef = Ref<kind::Deal>;

/// The dictionaries: of deals, leads and whatever they name.
#[derive(Default)]
pub struct Dictionary {
    pub partners: Names<kind::Partner>,
    pub employees: Names<kind::Employee>,
    pub units: Names<kind::Unit>,
    pub leads: Names<kind::Lead>,
    pub deals: Names<kind::Deal>,
    pub channels: Names<kind::Channel>,
    pub terms: Names<TermKind>,
}

// === impl Dictionary ===

impl Dictionary {
    /// The names by kind, in the order in which snapshots number the kinds: those of leads and deals come last.
    pub fn each(&self) -> [&dyn AnyNames; 7] {
        let Self { partners, employees, units, leads, deals, channels, terms } = self;
        [terms, partners, employees, units, channels, leads, deals]
    }

    pub fn each_mut(&mut self) -> [&mut dyn AnyNames; 7] {
        let Self { partners, employees, units, leads, deals, channels, terms } = self;
        [terms, partners, employees, units, channels, leads, deals]
    }

    /// Numbers the subjects that a version of a partner, employee or unit names, and the channels that were
    /// sent or spent on, current or not: who has a number follows from the set of versions, not from their
    /// order.
    pub fn note_subjects(&mut self, record: &Record) {
        fn note<'a, K: 'a>(names: &mut Names<K>, ids: impl IntoIterator<Item = &'a Id<K>>) {
            for id in ids {
                names.intern(id.as_str());
            }
        }
        match record {
            Record::Partner(id, state) => {
                note(&mut self.partners, [id]);
                match state {
                    State::Deleted(merged_into) => note(&mut self.partners, merged_into),
                    State::Present(partner) => {
                        note(&mut self.partners, partner.parent.iter().chain(&partner.merged_into));
                        // A deal's region may be its partner's alone.
                        intern_term(&mut self.terms, &partner.region);
                    }
                }
            }
            Record::Employee(id, state) => {
                note(&mut self.employees, [id]);
                match state {
                    State::Deleted(merged_into) => note(&mut self.employees, merged_into),
                    State::Present(employee) => {
                        note(&mut self.employees, &employee.merged_into);
                        note(&mut self.units, &employee.unit);
                    }
                }
            }
            Record::Unit(id, state) => {
                note(&mut self.units, [id]);
                note(&mut self.units, state.present().and_then(|unit| unit.parent.as_ref()));
            }
            Record::Channel(id, _) => note(&mut self.channels, [id]),
            Record::Spend(_, state) => {
                note(&mut self.channels, state.present().map(|spend| &spend.channel));
            }
            _ => {}
        }
    }
}

/// A deal with its names as numbers: [`Deal`] field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedDeal {
    pub opened_at: Instant,
    pub amount: Option<Money>,
    pub stage: Option<TermRef>,
    pub probability: Option<BasisPoints>,
    pub expected_close: Option<Date>,
    pub expiry: Option<Expiry>,
    pub status: DealStatus,
    pub lost_reason: Option<Box<str>>,
    pub competitor: Option<TermRef>,
    pub owner: Option<EmployeeRef>,
    pub unit: Option<UnitRef>,
    /// By role, then the bytes of the partner's id.
    pub credits: SmallVec<[PackedCredit; 1]>,
    pub lead: Option<LeadRef>,
    pub channel: Option<ChannelRef>,
    pub product: Option<TermRef>,
    pub region: Option<TermRef>,
    pub labels: SmallVec<[(TermRef, TermRef); 0]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedCredit {
    pub role: Role,
    pub partner: PartnerRef,
    pub share: Option<BasisPoints>,
}

/// A lead with its names as numbers: [`Lead`] field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedLead {
    pub created_at: Instant,
    pub partner: Option<PartnerRef>,
    pub owner: Option<EmployeeRef>,
    pub channel: Option<ChannelRef>,
    pub region: Option<TermRef>,
    pub outcome: LeadOutcome,
}

/// What the book keeps packed.
pub trait Packed: Coded {
    /// The record as the host sent it.
    type Content: Clone + Encode<()>;

    fn intern(content: &Self::Content, dictionary: &mut Dictionary) -> Self;
    /// The inverse of [`Packed::intern`].
    fn resolve(&self, dictionary: &Dictionary) -> Self::Content;
}

// === impl PackedDeal ===

fn intern_id<K>(names: &mut Names<K>, id: &Option<Id<K>>) -> Option<Ref<K>> {
    id.as_ref().map(|id| names.intern(id.as_str()))
}

fn intern_term(names: &mut Names<TermKind>, term: &Option<Term>) -> Option<TermRef> {
    term.as_ref().map(|term| names.intern(term.as_str()))
}

fn resolve_id<K>(names: &Names<K>, number: Option<Ref<K>>) -> Option<Id<K>> {
    number.map(|number| Id::try_new(names.name(number)).expect("ids went in as ids"))
}

fn resolve_term(names: &Names<TermKind>, number: TermRef) -> Term {
    Term::try_new(names.name(number)).expect("terms went in as terms")
}

impl Packed for PackedDeal {
    type Content = Deal;

    fn intern(deal: &Deal, dictionary: &mut Dictionary) -> Self {
        use {intern_id as id, intern_term as term};
        let Dictionary { partners, employees, units, leads, channels, terms, .. } = dictionary;
        Self {
            opened_at: deal.opened_at,
            amount: deal.amount,
            stage: term(terms, &deal.stage),
            probability: deal.probability,
            expected_close: deal.expected_close,
            expiry: deal.expiry,
            status: deal.status,
            lost_reason: deal.lost_reason.clone(),
            competitor: term(terms, &deal.competitor),
            owner: id(employees, &deal.owner),
            unit: id(units, &deal.unit),
            credits: deal
                .credits
                .iter()
                .map(|Credit { role, partner, share }| PackedCredit {
                    role: *role,
                    partner: partners.intern(partner.as_str()),
                    share: *share,
                })
                .collect(),
            lead: id(leads, &deal.lead),
            channel: id(channels, &deal.channel),
            product: term(terms, &deal.product),
            region: term(terms, &deal.region),
            labels: deal
                .labels
                .iter()
                .map(|(key, value)| (terms.intern(key.as_str()), terms.intern(value.as_str())))
                .collect(),
        }
    }

    fn resolve(&self, dictionary: &Dictionary) -> Deal {
        use resolve_id as id;
        let Dictionary { partners, employees, units, leads, channels, terms, .. } = dictionary;
        let term = |number: TermRef| resolve_term(terms, number);
        let credits = self.credits.iter().map(|credit| Credit {
            role: credit.role,
            partner: Id::try_new(partners.name(credit.partner)).expect("ids went in as ids"),
            share: credit.share,
        });
        Deal {
            opened_at: self.opened_at,
            amount: self.amount,
            stage: self.stage.map(term),
            probability: self.probability,
            expected_close: self.expected_close,
            expiry: self.expiry,
            status: self.status,
            lost_reason: self.lost_reason.clone(),
            competitor: self.competitor.map(term),
            owner: id(employees, self.owner),
            unit: id(units, self.unit),
            credits: Credits::try_new(credits.collect()).expect("credits went in as credits"),
            lead: id(leads, self.lead),
            channel: id(channels, self.channel),
            product: self.product.map(term),
            region: self.region.map(term),
            labels: self.labels.iter().map(|&(key, value)| (term(key), term(value))).collect::<Labels>(),
        }
    }
}

// === impl PackedLead ===

impl Packed for PackedLead {
    type Content = Lead;

    fn intern(lead: &Lead, dictionary: &mut Dictionary) -> Self {
        Self {
            created_at: lead.created_at,
            partner: intern_id(&mut dictionary.partners, &lead.partner),
            owner: intern_id(&mut dictionary.employees, &lead.owner),
            channel: intern_id(&mut dictionary.channels, &lead.channel),
            region: intern_term(&mut dictionary.terms, &lead.region),
            outcome: lead.outcome,
        }
    }

    fn resolve(&self, dictionary: &Dictionary) -> Lead {
        Lead {
            created_at: self.created_at,
            partner: resolve_id(&dictionary.partners, self.partner),
            owner: resolve_id(&dictionary.employees, self.owner),
            channel: resolve_id(&dictionary.channels, self.channel),
            region: self.region.map(|region| resolve_term(&dictionary.terms, region)),
            outcome: self.outcome,
        }
    }
}
