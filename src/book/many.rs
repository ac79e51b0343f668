//! The many: deals and leads, by their numbers, packed.
//!
//! Chains as [`super::chain`] has them, a few bytes each: see [`super::arena`].

use std::cmp::Ordering;
use std::marker::PhantomData;

use smallvec::SmallVec;

use super::arena::{Arena, Lying, Place, Said, Span};
use super::chain::{Arrival, Kept, Placed};
use super::coding::{Currencies, Input};
use super::names::Ref;
use super::packed::{Dictionary, Packed};
use crate::domain::calendar::Instant;
use crate::domain::record::{State, VersionKey, canonical};

/// The chains of one kind of record.
pub struct Many<P> {
    /// By number: the newest version. None where the record is only referred to.
    newest: Vec<Option<Place>>,
    arena: Arena,
    currencies: Currencies,
    last_revised_at: Option<Instant>,
    /// What is being packed.
    bytes: Vec<u8>,
    packed: PhantomData<fn() -> P>,
}

/// Versions of one record, in the order of their chain.
pub type Versions = SmallVec<[Kept<Span>; 2]>;

// === impl Many ===

impl<P: Packed> Default for Many<P> {
    fn default() -> Self {
        let (newest, arena, currencies, bytes) = Default::default();
        Self { newest, arena, currencies, last_revised_at: None, bytes, packed: PhantomData }
    }
}

impl<P: Packed> Many<P> {
    pub fn insert<K>(
        &mut self,
        number: Ref<K>,
        key: VersionKey,
        arrival: Arrival,
        state: &State<P::Content>,
        dictionary: &mut Dictionary,
    ) -> Placed {
        let content = state.present().map(|content| P::intern(content, dictionary));
        self.insert_content(number, Kept { key, arrival, content: content.as_ref() }, dictionary)
    }

    /// The same, of names that were looked up. None: it is a deletion.
    pub fn insert_content<K>(
        &mut self,
        number: Ref<K>,
        version: Kept<Option<&P>>,
        dictionary: &Dictionary,
    ) -> Placed {
        let Kept { key, arrival, content } = version;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let content = content.map(|packed| {
            packed.write(&mut bytes, &mut self.currencies);
            bytes.as_slice()
        });
        let placed = self.insert_packed(number, key, arrival, content, dictionary);
        self.bytes = bytes;
        placed
    }

    /// From when on every record is as it is now: none was revised later. None: none was ever revised.
    pub fn last_revised_at(&self) -> Option<Instant> {
        self.last_revised_at
    }

    /// As [`Self::insert`], of a content that is packed. None: it is a deletion.
    pub fn insert_packed<K>(
        &mut self,
        number: Ref<K>,
        key: VersionKey,
        arrival: Arrival,
        content: Option<&[u8]>,
        dictionary: &Dictionary,
    ) -> Placed {
        if self.newest.len() <= number.index() {
            self.newest.resize(number.index() + 1, None);
        }
        let chain: SmallVec<[Lying; 4]> = self.newest_first(self.newest[number.index()]).collect();
        let mut at = 0;
        while let Some(known) = chain.get(at) {
            let order = known.kept.key.cmp(&key);
            match order.then_with(|| self.cmp_content(known.kept.content, content, dictionary)) {
                Ordering::Greater => at += 1,
                Ordering::Equal => {
                    self.arena.set_arrival(known.place, known.kept.arrival.min(arrival));
                    return Placed::Known;
                }
                Ordering::Less => break,
            }
        }
        let said = content.map_or(Said::Deletion, |bytes| {
            let same = chain.iter().map(|known| known.kept.content).find(|&span| self.says(span, bytes));
            same.map_or(Said::Packed(bytes), Said::Like)
        });
        let older = chain.get(at).map(|older| older.place);
        let place = self.arena.push(key, arrival, said, older, !chain.is_empty());
        if let Some(newest) = chain.first() {
            let revised_at = newest.kept.key.max(key).update_time;
            self.last_revised_at = self.last_revised_at.max(Some(revised_at));
        }
        match at.checked_sub(1).map(|newer| chain[newer]) {
            None => {
                self.newest[number.index()] = Some(place);
                return Placed::Current;
            }
            Some(newer) if newer.has_room => self.arena.set_older(newer.place, place),
            Some(newer) => {
                // The one that came first, and so far the oldest: it moves to where it has room.
                let Kept { key, arrival, content } = newer.kept;
                let moved = self.arena.push(key, arrival, Said::Like(content), Some(place), true);
                match at.checked_sub(2).map(|next| chain[next].place) {
                    None => self.newest[number.index()] = Some(moved),
                    Some(next) => self.arena.set_older(next, moved),
                }
            }
        }
        Placed::Past
    }

    pub fn currencies(&self) -> &Currencies {
        &self.currencies
    }

    pub fn currencies_mut(&mut self) -> &mut Currencies {
        &mut self.currencies
    }

    /// What a version says, packed. None for a deletion.
    pub fn bytes(&self, version: &Kept<Span>) -> Option<&[u8]> {
        let content = self.arena.content(version.content)?;
        let mut rest = content;
        P::read(&mut rest, &self.currencies).expect("contents went in packed");
        Some(&content.0[..content.0.len() - rest.0.len()])
    }

    fn newest_first(&self, newest: Option<Place>) -> impl Iterator<Item = Lying> {
        let lying = |place| self.arena.get(place);
        std::iter::successors(newest.map(lying), move |lying| lying.older.map(|older| self.arena.get(older)))
    }

    /// Whether a version says what these bytes do: no packed form begins another.
    fn says(&self, span: Span, bytes: &[u8]) -> bool {
        self.arena.content(span).is_some_and(|content| content.0.starts_with(bytes))
    }

    /// The order of contents under one key: that of the states' canonical encodings.
    fn cmp_content(&self, known: Span, bytes: Option<&[u8]>, dictionary: &Dictionary) -> Ordering {
        match (self.arena.content(known), bytes) {
            // A deletion is the greater.
            (None, bytes) => bytes.is_some().cmp(&false),
            (Some(_), None) => Ordering::Less,
            (Some(known), Some(bytes)) if known.0.starts_with(bytes) => Ordering::Equal,
            (Some(known), Some(bytes)) => {
                let canonical =
                    |input| canonical(&State::<P::Content>::Present(self.read(input).resolve(dictionary)));
                canonical(known).cmp(&canonical(Input(bytes)))
            }
        }
    }

    fn read(&self, mut input: Input<'_>) -> P {
        P::read(&mut input, &self.currencies).expect("contents went in packed")
    }

    /// The versions of a record, oldest first. None where it is only referred to.
    pub fn versions<K>(&self, number: Ref<K>) -> Versions {
        let mut versions: Versions = self.newest_first(self.place(number)).map(|lying| lying.kept).collect();
        versions.reverse();
        versions
    }

    /// Whether a record has a version: others are only referred to.
    pub fn has<K>(&self, number: Ref<K>) -> bool {
        self.place(number).is_some()
    }

    /// The version that is current.
    pub fn newest<K>(&self, number: Ref<K>) -> Option<Kept<Span>> {
        self.place(number).map(|newest| self.arena.get(newest).kept)
    }

    fn place<K>(&self, number: Ref<K>) -> Option<Place> {
        self.newest.get(number.index()).copied().flatten()
    }

    /// The versions that were ever the current one of their key, oldest first. Of several with one key the
    /// others are kept, so that what we had been told then stays answerable, and say nothing.
    pub fn in_force<K>(&self, number: Ref<K>) -> impl DoubleEndedIterator<Item = Kept<Span>> + use<P, K> {
        let mut versions = self.versions(number);
        let mut later = None;
        // From the newest on, since the last of a key is the one in force.
        versions.reverse();
        versions.retain(|kept| later.replace(kept.key) != Some(kept.key));
        versions.into_iter().rev()
    }

    /// When a record's current version was sent. None where it is the only one that was ever in force.
    pub fn resent_at<K>(&self, number: Ref<K>) -> Option<Instant> {
        let mut keys = self.newest_first(self.place(number)).map(|lying| lying.kept.key);
        let newest = keys.next()?;
        keys.any(|key| key != newest).then_some(newest.update_time)
    }

    /// The record as it counts: its current version, unless that is a deletion.
    pub fn current<K>(&self, number: Ref<K>) -> Option<P> {
        self.arena.content_at(self.place(number)?).map(|content| self.read(content))
    }

    /// What a version says. None for a deletion.
    pub fn content(&self, version: &Kept<Span>) -> Option<P> {
        self.arena.content(version.content).map(|content| self.read(content))
    }

    pub fn state(&self, version: &Kept<Span>, dictionary: &Dictionary) -> State<P::Content> {
        match self.content(version) {
            None => State::Deleted(()),
            Some(packed) => State::Present(packed.resolve(dictionary)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::book::Book;
    use crate::book::chain::Chain;
    use crate::book::histories::{
        apply, currency, days, deal as any_deal, id, noon, plain_deal, plain_settings,
    };
    use crate::book::packed::{DealRef, PackedDeal};
    use crate::domain::amount::{Amount, Money};
    use crate::domain::calendar::{Instant, date};
    use crate::domain::filter::Filter;
    use crate::domain::ids::Term;
    use crate::domain::premises::{RatesOn, Roles};
    use crate::domain::record::{Deal, DealStatus, Record, Version};
    use crate::domain::subject::Subject;
    use crate::kpi::distribution::StageDays;

    /// A deal opened on 1 March and first told on the 5th, twice with one key. Whichever of the two lost stood
    /// for the days before: the pipeline told its amount, and the cycle had days in its stage.
    #[test]
    fn of_two_versions_with_one_key_the_loser_says_nothing() {
        let told = |stage: &str, units: i64, status| Deal {
            stage: Some(Term::try_new(stage).unwrap()),
            amount: Some(Money {
                amount: Amount::try_from_e4(units * 10_000).unwrap(),
                currency: currency("USD"),
            }),
            ..plain_deal(noon("2024-03-01"), status)
        };
        let version = |on, deal| {
            let key = VersionKey { update_time: noon(on), sequence: 0 };
            Version { key, record: Record::Deal(id("d"), State::Present(deal)) }
        };
        let (offer, lead) = (told("offer", 200, DealStatus::Open), told("lead", 100, DealStatus::Open));
        let won = told("won", 300, DealStatus::Won(noon("2024-03-11")));
        let mut found = Vec::new();
        for first in [vec![offer.clone()], vec![lead.clone()], vec![offer, lead]] {
            let mut book = Book::default();
            let settings = Version {
                key: VersionKey { update_time: noon("2024-01-01"), sequence: 0 },
                record: Record::Settings(plain_settings()),
            };
            let first = first.into_iter().map(|deal| version("2024-03-05", deal));
            apply(&mut book, [settings].into_iter().chain(first).collect());
            apply(&mut book, vec![version("2024-03-11", won.clone())]);
            let scope = book.scope(&Subject::Tenant, &Filter::default(), Roles::SOURCED).unwrap();
            let movement = book.movement(&scope, date("2024-03-02"), date("2024-03-12"), date("2024-03-12"));
            let won = book.won_deals(&scope, days("2024-03-01..2024-04-01"), RatesOn::OwnDay);
            let stages: Vec<_> =
                won.stages.into_iter().map(|(stage, days)| (stage.map(str::to_owned), days)).collect();
            found.push((movement.found.opening.amount_e4, stages));
        }
        let ten_days_in = |stage: &str| vec![(Some(stage.to_owned()), StageDays { days: 10, deal_count: 1 })];
        let [offer, lead, both] = found.try_into().unwrap();
        assert_eq!(offer, (200_0000, ten_days_in("offer")));
        assert_eq!(lead, (100_0000, ten_days_in("lead")));
        assert!(both == offer || both == lead, "as if the loser hadn't been sent: {both:?}");
    }

    fn some_key() -> impl Strategy<Value = VersionKey> {
        let time = prop_oneof![
            4 => (0..4i64).prop_map(|hour| Instant::FIRST.plus_hours(hour)),
            1 => Just(Instant::from_nanos(3_600_000_000_001)),
            1 => Just(Instant::LAST),
        ];
        let sequence = prop_oneof![3 => Just(0), 1 => Just(u64::MAX)];
        (time, sequence).prop_map(|(update_time, sequence)| VersionKey { update_time, sequence })
    }

    proptest! {
        /// The same chains as those of whole states: in any order, with repeats, from whatever batch.
        #[test]
        fn packed_chains_are_chains(
            contents in vec(any_deal(), 3),
            steps in vec((0..3u32, some_key(), 0..4usize, prop_oneof![0..3u32, Just(70_000), Just(u32::MAX)]), 0..40),
        ) {
            let mut dictionary = Dictionary::default();
            let (mut many, mut models) = (Many::<PackedDeal>::default(), vec![Chain::default(); 3]);
            for (number, key, content, arrival) in steps {
                let state = contents.get(content).map_or(State::Deleted(()), |deal| State::Present(deal.clone()));
                let (deal, arrival) = (DealRef::new(number), Arrival::from_number(arrival));
                let placed = many.insert(deal, key, arrival, &state, &mut dictionary);
                let model = &mut models[number as usize];
                prop_assert_eq!(placed, model.insert(Kept { key, arrival, content: state }, State::cmp_content));
                let told = |kept: &Kept<Span>| (kept.key, kept.arrival, many.state(kept, &dictionary));
                let found: Vec<_> = many.versions(deal).iter().map(told).collect();
                let versions = model.versions();
                let expected: Vec<_> =
                    versions.iter().map(|kept| (kept.key, kept.arrival, kept.content.clone())).collect();
                prop_assert_eq!(&found, &expected);
                let newest = many.newest(deal).as_ref().map(told);
                prop_assert_eq!(newest.as_ref(), expected.last());
                let current = many.current(deal).map(|deal| deal.resolve(&dictionary));
                prop_assert_eq!(current.as_ref(), expected.last().and_then(|(.., state)| state.present()));
                let in_force = (0..expected.len())
                    .filter(|&at| expected.get(at + 1).is_none_or(|next| next.0 != expected[at].0))
                    .map(|at| expected[at].clone());
                prop_assert_eq!(many.in_force(deal).map(|kept| told(&kept)).collect::<Vec<_>>(), in_force.collect::<Vec<_>>());
            }
            for number in 0..3 {
                prop_assert_eq!(many.has(DealRef::new(number)), !models[number as usize].is_empty());
            }
        }
    }

    /// What a record says in several versions lies there once, and versions reach over segments.
    #[test]
    fn equal_contents_lie_there_once() {
        let (mut many, mut dictionary) = (Many::<PackedDeal>::default(), Dictionary::default());
        let told = |n: usize| {
            let plain = plain_deal(noon("2024-03-01"), DealStatus::Lost(noon("2024-03-05")));
            Deal { lost_reason: Some("x".repeat(n % 509).into()), ..plain }
        };
        let key = |hour| VersionKey { update_time: Instant::FIRST.plus_hours(hour), sequence: 0 };
        let arrival = Arrival::from_number(0);
        for n in 0..500 {
            for hour in [2, 1] {
                many.insert(
                    DealRef::new(n),
                    key(hour),
                    arrival,
                    &State::Present(told(n as usize)),
                    &mut dictionary,
                );
            }
        }
        assert!(many.arena.segment_count() > 4, "they reach over segments");
        assert!(many.arena.segment_count() < 12, "each lies there once");
        for n in 0..500 {
            let versions = many.versions(DealRef::new(n));
            assert_eq!(versions.iter().map(|kept| kept.key).collect::<Vec<_>>(), [key(1), key(2)]);
            assert_eq!(versions[0].content, versions[1].content);
            for kept in &versions {
                assert_eq!(many.state(kept, &dictionary), State::Present(told(n as usize)));
            }
        }
    }
}
