//! Deals and leads as the book keeps them: names as dense numbers, contents packed into bytes.
//!
//! A book holds millions of them, most with one version, so a version costs about 40 bytes.
//!
//! Invariants:
//! 1. Packing is injective: equal bytes mean equal contents.
//! 2. Bytes are an affair of this process: journals and snapshots hold the canonical encoding.

use std::cmp::Ordering;
use std::marker::PhantomData;

use minicbor::Encode;
use smallvec::SmallVec;

use super::names::{Names, Ref};
use crate::domain::amount::{Amount, BasisPoints, Currency, Money};
use crate::domain::calendar::{Date, Instant};
use crate::domain::ids::{Id, Term, kind};
use crate::domain::record::{
    Credit, Credits, Deal, DealStatus, Expiry, Labels, Lead, LeadOutcome, Record, Role, State, canonical,
};

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

/// What an [`Arena`] keeps.
pub trait Packed: Sized {
    /// The record as the host sent it.
    type Content: Clone + Encode<()>;

    fn intern(content: &Self::Content, dictionary: &mut Dictionary) -> Self;
    /// The inverse of [`Packed::intern`].
    fn resolve(&self, dictionary: &Dictionary) -> Self::Content;
    fn write(&self, out: &mut Vec<u8>);
    /// The inverse of [`Packed::write`].
    fn read(bytes: &[u8]) -> Self;
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

    fn write(&self, out: &mut Vec<u8>) {
        let mut present = 0u64;
        let mut fields = Vec::with_capacity(64);
        let mut bit = 0;
        let mut field = |value: Option<u64>| {
            if let Some(value) = value {
                present |= 1 << bit;
                put(&mut fields, value);
            }
            bit += 1;
        };
        field(self.amount.map(|money| money.amount.e4() as u64));
        field(self.amount.map(|money| u64::from(money.currency.packed())));
        field(self.stage.map(number));
        field(self.probability.map(|bps| u64::from(bps.get())));
        field(self.expected_close.map(|date| date.day_number() as u64));
        field(self.expiry.map(|expiry| match expiry {
            Expiry::Never => 0,
            Expiry::At(at) => 1 + at.as_nanos() as u64,
        }));
        field(self.competitor.map(number));
        field(self.owner.map(number));
        field(self.unit.map(number));
        field(self.lead.map(number));
        field(self.channel.map(number));
        field(self.product.map(number));
        field(self.region.map(number));
        field(self.lost_reason.as_ref().map(|reason| reason.len() as u64));
        field((!self.labels.is_empty()).then_some(self.labels.len() as u64));

        put(out, present);
        put_instant(out, self.opened_at);
        match self.status {
            DealStatus::Open => out.push(0),
            DealStatus::Won(at) => {
                out.push(1);
                put_instant(out, at);
            }
            DealStatus::Lost(at) => {
                out.push(2);
                put_instant(out, at);
            }
        }
        out.push(self.credits.len() as u8);
        for credit in &self.credits {
            out.push(credit.role as u8);
            put(out, number(credit.partner));
            put(out, credit.share.map_or(0, |share| 1 + u64::from(share.get())));
        }
        out.extend_from_slice(&fields);
        out.extend_from_slice(self.lost_reason.as_deref().unwrap_or_default().as_bytes());
        for &(key, value) in &self.labels {
            put(out, number(key));
            put(out, number(value));
        }
    }

    fn read(mut bytes: &[u8]) -> Self {
        let bytes = &mut bytes;
        let present = take(bytes);
        let opened_at = take_instant(bytes);
        let status = match take_byte(bytes) {
            0 => DealStatus::Open,
            1 => DealStatus::Won(take_instant(bytes)),
            _ => DealStatus::Lost(take_instant(bytes)),
        };
        let credits = (0..take_byte(bytes)).map(|_| {
            let role = match take_byte(bytes) {
                0 => Role::Sourced,
                1 => Role::Influenced,
                _ => Role::Fulfilled,
            };
            let partner = reference(take(bytes));
            let share = take(bytes).checked_sub(1).map(basis_points);
            PackedCredit { role, partner, share }
        });
        let credits = credits.collect();
        let mut bit = 0;
        let mut field = || {
            let found = (present & (1 << bit) != 0).then(|| take(bytes));
            bit += 1;
            found
        };
        let amount_e4 = field();
        let currency = field();
        let amount = amount_e4.zip(currency).map(|(amount_e4, currency)| Money {
            amount: Amount::try_from_e4(amount_e4 as i64).expect("amounts went in as amounts"),
            currency: Currency::from_packed(currency as u32),
        });
        let stage = field().map(reference);
        let probability = field().map(basis_points);
        let expected_close = field().map(|days| Date::from_day_number(days as i32));
        let expiry = field().map(|expiry| match expiry.checked_sub(1) {
            None => Expiry::Never,
            Some(nanos) => Expiry::At(Instant::from_nanos(nanos as i64)),
        });
        let competitor = field().map(reference);
        let owner = field().map(reference);
        let unit = field().map(reference);
        let lead = field().map(reference);
        let channel = field().map(reference);
        let product = field().map(reference);
        let region = field().map(reference);
        let lost_reason_bytes = field();
        let label_count = field().unwrap_or(0);
        let lost_reason = lost_reason_bytes.map(|length| {
            let (reason, rest) = bytes.split_at(length as usize);
            *bytes = rest;
            std::str::from_utf8(reason).expect("went in as str, whole").into()
        });
        let labels = (0..label_count).map(|_| (reference(take(bytes)), reference(take(bytes)))).collect();
        Self {
            opened_at,
            amount,
            stage,
            probability,
            expected_close,
            expiry,
            status,
            lost_reason,
            competitor,
            owner,
            unit,
            credits,
            lead,
            channel,
            product,
            region,
            labels,
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

    fn write(&self, out: &mut Vec<u8>) {
        put_instant(out, self.created_at);
        match self.outcome {
            LeadOutcome::Open => out.push(0),
            LeadOutcome::Converted(at) => {
                out.push(1);
                put_instant(out, at);
            }
            LeadOutcome::Disqualified(at) => {
                out.push(2);
                put_instant(out, at);
            }
        }
        let optional = |number: Option<u64>| number.map_or(0, |number| number + 1);
        put(out, optional(self.partner.map(number)));
        put(out, optional(self.owner.map(number)));
        put(out, optional(self.channel.map(number)));
        put(out, optional(self.region.map(number)));
    }

    fn read(mut bytes: &[u8]) -> Self {
        let bytes = &mut bytes;
        let created_at = take_instant(bytes);
        let outcome = match take_byte(bytes) {
            0 => LeadOutcome::Open,
            1 => LeadOutcome::Converted(take_instant(bytes)),
            _ => LeadOutcome::Disqualified(take_instant(bytes)),
        };
        let mut optional = || take(bytes).checked_sub(1);
        Self {
            created_at,
            outcome,
            partner: optional().map(reference),
            owner: optional().map(reference),
            channel: optional().map(reference),
            region: optional().map(reference),
        }
    }
}

fn number<K>(reference: Ref<K>) -> u64 {
    u64::from(reference.number())
}

fn reference<K>(number: u64) -> Ref<K> {
    Ref::new(number as u32)
}

fn basis_points(bps: u64) -> BasisPoints {
    BasisPoints::try_new(bps as i64).expect("basis points went in as basis points")
}

/// LEB128.
fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    let mut shift = 0;
    loop {
        let byte = take_byte(bytes);
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

fn take_byte(bytes: &mut &[u8]) -> u8 {
    let (first, rest) = bytes.split_first().expect("what was packed is read to its end and no further");
    *bytes = rest;
    *first
}

/// Whole seconds, as most hosts send them, take five bytes.
fn put_instant(out: &mut Vec<u8>, at: Instant) {
    put(out, (at.seconds() as u64) << 1 | u64::from(at.nanos() != 0));
    if at.nanos() != 0 {
        put(out, at.nanos() as u64);
    }
}

fn take_instant(bytes: &mut &[u8]) -> Instant {
    let head = take(bytes);
    let nanos = if head & 1 == 1 { take(bytes) as i32 } else { 0 };
    Instant::try_new((head >> 1) as i64, nanos).expect("instants went in as instants")
}

/// Where a packed content lies in its [`Arena`]. 0 is a deletion, which has no content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(u32);

// === impl Span ===

impl Span {
    pub const DELETED: Self = Self(0);

    pub fn is_deleted(self) -> bool {
        self == Self::DELETED
    }
}

/// Packed contents, in segments: growing copies nothing. Contents are never taken out, since versions
/// aren't either.
pub struct Arena<P> {
    segments: Vec<Vec<u8>>,
    packed: PhantomData<fn() -> P>,
}

// === impl Arena ===

impl<P> Default for Arena<P> {
    fn default() -> Self {
        Self { segments: Vec::new(), packed: PhantomData }
    }
}

impl<P: Packed> Arena<P> {
    const SEGMENT_BYTES: usize = 1 << 20;
    /// A span counts in steps of this size, which lets 32 bits reach over 32 GiB.
    const ALIGN: usize = 8;
    const STEPS: usize = Self::SEGMENT_BYTES / Self::ALIGN;

    /// Keeps a content. One that equals a content of `known` takes that one's place.
    pub fn keep(&mut self, record: &P, known: impl IntoIterator<Item = Span>) -> Span {
        let mut content = Vec::with_capacity(96);
        record.write(&mut content);
        known
            .into_iter()
            .find(|&span| self.bytes(span) == Some(&content))
            .unwrap_or_else(|| self.push(&content))
    }

    fn push(&mut self, content: &[u8]) -> Span {
        let length = u16::try_from(content.len()).expect("64 labels and credits take less than 64 KiB");
        let needed = (2 + content.len()).next_multiple_of(Self::ALIGN);
        if self.segments.last().is_none_or(|last| last.len() + needed > Self::SEGMENT_BYTES) {
            let mut segment = Vec::with_capacity(Self::SEGMENT_BYTES);
            if self.segments.is_empty() {
                segment.resize(Self::ALIGN, 0); // so that no content has span 0
            }
            self.segments.push(segment);
        }
        let at = self.segments.len() - 1;
        let segment = &mut self.segments[at];
        let span = at * Self::STEPS + segment.len() / Self::ALIGN;
        segment.extend_from_slice(&length.to_le_bytes());
        segment.extend_from_slice(content);
        segment.resize(segment.len().next_multiple_of(Self::ALIGN), 0);
        Span(u32::try_from(span).expect("contents stay below 32 GiB"))
    }

    /// None for a deletion.
    pub fn get(&self, span: Span) -> Option<P> {
        self.bytes(span).map(P::read)
    }

    fn bytes(&self, span: Span) -> Option<&[u8]> {
        if span.is_deleted() {
            return None;
        }
        let at = span.0 as usize;
        let rest = &self.segments[at / Self::STEPS][at % Self::STEPS * Self::ALIGN..];
        let (length, rest) = rest.split_at(2);
        Some(&rest[..usize::from(u16::from_le_bytes([length[0], length[1]]))])
    }

    /// The order of contents under one key: that of the states' canonical encodings.
    pub fn cmp_content(&self, a: Span, b: Span, dictionary: &Dictionary) -> Ordering {
        if a == b || self.bytes(a) == self.bytes(b) {
            return Ordering::Equal;
        }
        let bytes = |span| {
            self.get(span).map(|record| canonical(&State::<P::Content>::Present(record.resolve(dictionary))))
        };
        match (bytes(a), bytes(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()), // a deletion is the greater
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::book::histories;

    /// A dictionary in which new names get numbers of more than one byte.
    fn dictionary() -> Dictionary {
        let mut dictionary = Dictionary::default();
        for n in 0..200 {
            dictionary.partners.intern(&format!("partner {n}"));
            dictionary.terms.intern(&format!("term {n}"));
        }
        dictionary
    }

    fn instant() -> impl Strategy<Value = Instant> {
        let nanos = prop_oneof![Just(0), Just(1), Just(999_999_999), 0..1_000_000_000];
        let seconds = prop_oneof![Just(0), Just(Instant::LAST.seconds()), 0..=Instant::LAST.seconds()];
        (seconds, nanos).prop_map(|(seconds, nanos)| Instant::try_new(seconds, nanos).unwrap())
    }

    fn term() -> impl Strategy<Value = Term> {
        "[a-c]|[a-zঅ-ঔ]{1,40}".prop_map(|text| Term::try_new(&text).unwrap())
    }

    fn credits() -> impl Strategy<Value = Credits> {
        let role = prop_oneof![Just(Role::Sourced), Just(Role::Influenced), Just(Role::Fulfilled)];
        let share = prop_oneof![1 => Just(None), 4 => (0..=200i64).prop_map(Some)];
        vec((role, "[a-zঅ-ঔ]{1,8}", share), 0..=Credits::MAX).prop_map(|offered| {
            let mut fitting = Vec::new();
            for (role, partner, share) in offered {
                let share = share.map(|bps| BasisPoints::try_new(bps).unwrap());
                fitting.push(Credit { role, partner: Id::try_new(&partner).unwrap(), share });
                if Credits::try_new(fitting.clone()).is_err() {
                    fitting.pop();
                }
            }
            Credits::try_new(fitting).expect("each was tried")
        })
    }

    /// Every field over its whole range.
    fn wide_deal() -> impl Strategy<Value = Deal> {
        let status = prop_oneof![
            Just(DealStatus::Open),
            instant().prop_map(DealStatus::Won),
            instant().prop_map(DealStatus::Lost),
        ];
        let expiry = prop_oneof![Just(Expiry::Never), instant().prop_map(Expiry::At)];
        let amount = (0..=Amount::MAX.e4()).prop_map(|amount_e4| Money {
            amount: Amount::try_from_e4(amount_e4).unwrap(),
            currency: Currency::try_new("BDT").unwrap(),
        });
        let expected_close =
            (0..=Date::LAST.day_number()).prop_map(|number| Some(Date::from_day_number(number)));
        let reason = proptest::option::of("[ -~ক-হ]{0,150}".prop_map(Box::from));
        let labels = btree_map(term(), term(), 0..=64);
        let wide = (instant(), status, proptest::option::of(expiry), proptest::option::of(amount));
        let texts = (reason, labels, proptest::option::of(term()), credits());
        (histories::deal(), wide, expected_close, texts).prop_map(|(deal, wide, expected_close, texts)| {
            let (opened_at, status, expiry, amount) = wide;
            let (lost_reason, labels, product, credits) = texts;
            let told = Deal { opened_at, status, expiry, amount, expected_close, ..deal };
            Deal { lost_reason, labels, product, credits, ..told }
        })
    }

    /// Two deals that are often equal in most or in all.
    fn pair() -> impl Strategy<Value = (Deal, Deal)> {
        (histories::deal(), histories::deal(), 0..8).prop_map(|(one, other, which)| {
            let near = match which {
                0 => one.clone(),
                1 => Deal { amount: other.amount, ..one.clone() },
                2 => Deal { credits: other.credits, ..one.clone() },
                3 => Deal { status: other.status, ..one.clone() },
                4 => Deal { labels: other.labels, ..one.clone() },
                5 => Deal { stage: other.stage, product: other.product, ..one.clone() },
                6 => Deal { expiry: other.expiry, ..one.clone() },
                _ => other,
            };
            (one, near)
        })
    }

    proptest! {
        #[test]
        fn a_packed_deal_reads_back_as_it_was(deal in prop_oneof![wide_deal(), histories::deal()]) {
            let (mut dictionary, mut arena) = (dictionary(), Arena::default());
            let packed = PackedDeal::intern(&deal, &mut dictionary);
            prop_assert_eq!(&packed.resolve(&dictionary), &deal);
            let span = arena.keep(&packed, []);
            prop_assert!(!span.is_deleted());
            let read = arena.get(span);
            prop_assert_eq!(read.as_ref(), Some(&packed));
            prop_assert_eq!(read.unwrap().resolve(&dictionary), deal);
        }

        #[test]
        fn equal_contents_and_they_alone_are_kept_once((one, other) in pair()) {
            let (mut dictionary, mut arena) = (dictionary(), Arena::default());
            let packed = [&one, &other].map(|deal| PackedDeal::intern(deal, &mut dictionary));
            let first = arena.keep(&packed[0], []);
            let second = arena.keep(&packed[1], [Span::DELETED, first]);
            prop_assert_eq!(first == second, one == other);
            prop_assert_eq!(arena.keep(&packed[0], [first, second]), first);
            prop_assert_eq!(arena.keep(&packed[1], [first, second]), second);
        }

        #[test]
        fn contents_are_ordered_like_their_states((one, other) in pair()) {
            let (mut dictionary, mut arena) = (dictionary(), Arena::default());
            let states = [State::Present(one), State::Present(other), State::Deleted(())];
            let spans = states.each_ref().map(|state| match state {
                State::Deleted(()) => Span::DELETED,
                State::Present(deal) => arena.keep(&PackedDeal::intern(deal, &mut dictionary), []),
            });
            for (state, span) in states.iter().zip(spans) {
                for (other_state, other_span) in states.iter().zip(spans) {
                    let order = arena.cmp_content(span, other_span, &dictionary);
                    prop_assert_eq!(order, state.cmp_content(other_state));
                }
            }
        }
    }

    #[test]
    fn contents_reach_over_segments() {
        let (mut dictionary, mut arena) = (dictionary(), Arena::default());
        let at = Instant::FIRST;
        let deals: Vec<PackedDeal> = (0..5_000usize)
            .map(|n| {
                let reason = format!("{n} {}", "x".repeat(n % 509));
                let plain = histories::plain_deal(at, DealStatus::Lost(at));
                PackedDeal::intern(&Deal { lost_reason: Some(reason.into()), ..plain }, &mut dictionary)
            })
            .collect();
        let spans: Vec<Span> = deals.iter().map(|deal| arena.keep(deal, [])).collect();
        assert!(arena.segments.len() > 1);
        for (deal, span) in deals.iter().zip(spans) {
            assert_eq!(arena.get(span).as_ref(), Some(deal));
        }
    }
}
