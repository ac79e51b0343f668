//! What was known then: a book of its own, built from the records of another in slices.
//!
//! Invariants:
//! 1. It is the book of the versions that were known then, and of nothing else: no name that only others say has a
//!    number in it.
//! 2. What the other book takes in while this one is built is left out: it has a later revision.
//! 3. Deals and leads stay packed: a name is looked up once, however many of them say it.
//! 4. Whatever deals are told under, settings, rates and leads, is complete before the first of them is taken in:
//!    they are told by another thread meanwhile.

use super::Book;
use super::arena::Span;
use super::chain::{Arrival, Kept};
use super::names::{Names, Ref};
use super::packed::{
    ChannelRef, DealRef, Dictionary, EmployeeRef, LeadRef, PackedCredit, PackedDeal, PackedLead, PartnerRef,
    TermKind, TermRef, UnitRef,
};
use super::records::{Cursor, Records, StoredVersion};
use super::telling::{Ahead, DealToTell, all_threads};
use crate::domain::calendar::Instant;
use crate::domain::ids::kind;
use crate::domain::premises::Knowledge;
use crate::domain::record::{Record, Version};

/// A book of what was known then, being built.
pub struct Recollection {
    knowledge: Knowledge,
    book: Book,
    arrival: Arrival,
    /// The first of all, known then or not.
    first_settings: Option<Version>,
    numbers: Numbers,
    /// None before the first deal.
    ahead: Option<Ahead>,
    /// Where the next slice begins. None: there is no more.
    next: Option<Place>,
}

/// A place in the other book's records: what lies on shelves, then leads and deals by their numbers.
pub(super) enum Place {
    Shelves(Cursor),
    Leads(usize),
    Deals(usize),
}

/// Our numbers of the other book's names.
#[derive(Default)]
struct Numbers {
    partners: NumbersOf<kind::Partner>,
    employees: NumbersOf<kind::Employee>,
    units: NumbersOf<kind::Unit>,
    leads: NumbersOf<kind::Lead>,
    deals: NumbersOf<kind::Deal>,
    channels: NumbersOf<kind::Channel>,
    terms: NumbersOf<TermKind>,
}

/// By the other book's number.
struct NumbersOf<K>(Vec<Option<Ref<K>>>);

/// Two dictionaries, and what is known of how they go together.
struct Renumbering<'a> {
    numbers: &'a mut Numbers,
    theirs: &'a Dictionary,
    ours: &'a mut Dictionary,
}

// === impl Recollection ===

impl Recollection {
    /// Begins a book of what was known then of what a book showed when it had that revision. Where there were no
    /// settings yet, the first ones hold.
    pub fn of_revision(revision: u64, knowledge: Knowledge) -> Self {
        let mut book = Book { revision, ..Book::default() };
        let arrival = book.records.arrivals.note(revision, Instant::FIRST);
        let next = Some(Place::Shelves(Cursor::START));
        let numbers = Numbers::default();
        Self { knowledge, book, arrival, first_settings: None, numbers, ahead: None, next }
    }

    /// Takes in the next records of the book that it was begun with, about `count` of them. Returns whether there
    /// may be more.
    pub fn take_slice(&mut self, other: &Book, count: usize) -> bool {
        self.next = match self.next.take() {
            None => None,
            Some(Place::Shelves(cursor)) => Some(self.take_from_shelves(&other.records, cursor, count)),
            Some(Place::Leads(done)) => Some(self.take_leads(&other.records, done, count)),
            Some(Place::Deals(done)) => self.take_deals(&other.records, done, count),
        };
        self.next.is_some()
    }

    /// The book, once there is no more to take.
    pub fn finish(mut self) -> Book {
        let ahead = self.ahead.take().unwrap_or_else(|| self.begin_telling());
        self.book.tell_rest(ahead, all_threads());
        self.book
    }

    /// Once all but deals is taken in.
    fn begin_telling(&mut self) -> Ahead {
        let records = &mut self.book.records;
        if records.settings.is_empty()
            && let Some(first) = self.first_settings.take()
        {
            records.insert(first, self.arrival);
        }
        Ahead::begin(self.book.ground_of_records())
    }

    fn take_from_shelves(&mut self, records: &Records, cursor: Cursor, count: usize) -> Place {
        let Some(cursor) = cursor.on_shelves() else { return Place::Leads(0) };
        let (versions, next) = records.export(cursor, count);
        for StoredVersion { version, revision, received_time, .. } in versions {
            if revision > self.book.revision {
                continue;
            }
            let is_first = self.first_settings.as_ref().is_none_or(|first| version.key < first.key);
            if matches!(version.record, Record::Settings(_)) && is_first {
                self.first_settings = Some(version.clone());
            }
            if self.knowledge.includes(version.key.update_time, received_time) {
                self.book.records.insert(version, self.arrival);
            }
        }
        next.map_or(Place::Leads(0), Place::Shelves)
    }

    fn take_leads(&mut self, records: &Records, done: usize, count: usize) -> Place {
        for lead in records.dictionary.leads.refs_from(done).take(count) {
            for version in records.leads.versions(lead).iter() {
                if self.knows(records, version) {
                    self.take_lead(records, lead, version);
                }
            }
        }
        let done = done + count;
        if done < records.dictionary.leads.len() { Place::Leads(done) } else { Place::Deals(0) }
    }

    fn take_deals(&mut self, records: &Records, done: usize, count: usize) -> Option<Place> {
        let mut ahead = self.ahead.take().unwrap_or_else(|| self.begin_telling());
        let mut lot = Vec::with_capacity(count);
        for deal in records.dictionary.deals.refs_from(done).take(count) {
            let mut current = None; // what its last version says
            for version in records.deals.versions(deal).iter() {
                if self.knows(records, version) {
                    current = self.take_deal(records, deal, version);
                }
            }
            lot.extend(current.map(|(number, content)| self.deal_to_tell(number, content)));
        }
        ahead.tell(lot);
        self.ahead = Some(ahead);
        let done = done + count;
        (done < records.dictionary.deals.len()).then_some(Place::Deals(done))
    }

    fn knows(&self, records: &Records, version: &Kept<Span>) -> bool {
        let (revision, received_time) = records.arrivals.get(version.arrival);
        revision <= self.book.revision && self.knowledge.includes(version.key.update_time, received_time)
    }

    fn take_lead(&mut self, records: &Records, lead: LeadRef, version: &Kept<Span>) {
        let ours = &mut self.book.records;
        let mut renumbering = Renumbering {
            numbers: &mut self.numbers,
            theirs: &records.dictionary,
            ours: &mut ours.dictionary,
        };
        let number = renumbering.lead(lead);
        let content = records.leads.content(version).map(|lead| renumbering.packed_lead(lead));
        let content = content.as_ref();
        ours.insert_lead(number, Kept { key: version.key, arrival: self.arrival, content });
    }

    /// Returns the deal as the version has it. None for a deletion.
    fn take_deal(
        &mut self,
        records: &Records,
        deal: DealRef,
        version: &Kept<Span>,
    ) -> Option<(DealRef, PackedDeal)> {
        let ours = &mut self.book.records;
        let mut renumbering = Renumbering {
            numbers: &mut self.numbers,
            theirs: &records.dictionary,
            ours: &mut ours.dictionary,
        };
        let number = renumbering.deal(deal);
        let content = records.deals.content(version).map(|deal| renumbering.packed_deal(deal));
        let kept = Kept { key: version.key, arrival: self.arrival, content: content.as_ref() };
        ours.insert_deal(number, kept);
        Some((number, content?))
    }

    /// A deal of which all versions are taken in, and `content` is current.
    fn deal_to_tell(&mut self, number: DealRef, content: PackedDeal) -> DealToTell {
        let Book { records, deals_of_leads, .. } = &mut self.book;
        content.lead.into_iter().for_each(|lead| deals_of_leads.add(lead, number));
        let sent_at = records.deals.resent_at(number);
        let lead = content.lead.and_then(|lead| records.leads.current(lead));
        DealToTell { number, content, sent_at, lead }
    }
}

// === impl NumbersOf ===

impl<K> Default for NumbersOf<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K> NumbersOf<K> {
    fn of(&mut self, number: Ref<K>, theirs: &Names<K>, ours: &mut Names<K>) -> Ref<K> {
        *self.place_of(number, theirs).get_or_insert_with(|| ours.intern(theirs.name(number)))
    }

    /// The same where nothing else gives our names numbers: each comes here once, and isn't looked up.
    fn of_new(&mut self, number: Ref<K>, theirs: &Names<K>, ours: &mut Names<K>) -> Ref<K> {
        *self.place_of(number, theirs).get_or_insert_with(|| ours.append_new(theirs.name(number)))
    }

    fn place_of(&mut self, number: Ref<K>, theirs: &Names<K>) -> &mut Option<Ref<K>> {
        if self.0.len() <= number.index() {
            self.0.resize(theirs.len(), None); // more may have come since the last slice
        }
        &mut self.0[number.index()]
    }
}

// === impl Renumbering ===

impl Renumbering<'_> {
    fn partner(&mut self, number: PartnerRef) -> PartnerRef {
        self.numbers.partners.of(number, &self.theirs.partners, &mut self.ours.partners)
    }

    fn employee(&mut self, number: EmployeeRef) -> EmployeeRef {
        self.numbers.employees.of(number, &self.theirs.employees, &mut self.ours.employees)
    }

    fn unit(&mut self, number: UnitRef) -> UnitRef {
        self.numbers.units.of(number, &self.theirs.units, &mut self.ours.units)
    }

    fn lead(&mut self, number: LeadRef) -> LeadRef {
        self.numbers.leads.of_new(number, &self.theirs.leads, &mut self.ours.leads)
    }

    fn deal(&mut self, number: DealRef) -> DealRef {
        self.numbers.deals.of_new(number, &self.theirs.deals, &mut self.ours.deals)
    }

    fn channel(&mut self, number: ChannelRef) -> ChannelRef {
        self.numbers.channels.of(number, &self.theirs.channels, &mut self.ours.channels)
    }

    fn term(&mut self, number: TermRef) -> TermRef {
        self.numbers.terms.of(number, &self.theirs.terms, &mut self.ours.terms)
    }

    /// A deal under our numbers. Whatever it names is named here, as [`PackedDeal`] has it.
    fn packed_deal(&mut self, deal: PackedDeal) -> PackedDeal {
        let PackedDeal {
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
            mut credits,
            lead,
            channel,
            product,
            region,
            mut labels,
        } = deal;
        for PackedCredit { partner, .. } in &mut credits {
            *partner = self.partner(*partner);
        }
        for (key, value) in &mut labels {
            (*key, *value) = (self.term(*key), self.term(*value));
        }
        PackedDeal {
            opened_at,
            amount,
            stage: stage.map(|stage| self.term(stage)),
            probability,
            expected_close,
            expiry,
            status,
            lost_reason,
            competitor: competitor.map(|competitor| self.term(competitor)),
            owner: owner.map(|owner| self.employee(owner)),
            unit: unit.map(|unit| self.unit(unit)),
            credits,
            lead: lead.map(|lead| self.lead(lead)),
            channel: channel.map(|channel| self.channel(channel)),
            product: product.map(|product| self.term(product)),
            region: region.map(|region| self.term(region)),
            labels,
        }
    }

    /// The same of a lead.
    fn packed_lead(&mut self, lead: PackedLead) -> PackedLead {
        let PackedLead { created_at, partner, owner, channel, region, outcome } = lead;
        PackedLead {
            created_at,
            partner: partner.map(|partner| self.partner(partner)),
            owner: owner.map(|owner| self.employee(owner)),
            channel: channel.map(|channel| self.channel(channel)),
            region: region.map(|region| self.term(region)),
            outcome,
        }
    }
}
