//! The many: deals and leads, by their numbers, packed.

use super::chain::{Arrival, Chain, Kept, Placed};
use super::names::Ref;
use super::packed::{Arena, Dictionary, Packed, Span};
use crate::domain::calendar::Instant;
use crate::domain::record::{State, VersionKey};

/// The chains of one kind of record.
pub struct Many<P> {
    /// By number; empty where the record is only referred to.
    chains: Vec<Chain<Span>>,
    arena: Arena<P>,
    last_revised_at: Option<Instant>,
}

// === impl Many ===

impl<P: Packed> Default for Many<P> {
    fn default() -> Self {
        Self { chains: Vec::new(), arena: Arena::default(), last_revised_at: None }
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
        if self.chains.len() <= number.index() {
            self.chains.resize_with(number.index() + 1, Chain::default);
        }
        let (chain, arena) = (&mut self.chains[number.index()], &mut self.arena);
        let content = match state {
            State::Deleted(()) => Span::DELETED,
            State::Present(content) => {
                let packed = P::intern(content, dictionary);
                arena.keep(&packed, chain.versions().iter().map(|known| known.content))
            }
        };
        let order = |a: &Span, b: &Span| arena.cmp_content(*a, *b, dictionary);
        let placed = chain.insert(Kept { key, arrival, content }, order);
        if let [_, .., last] = chain.versions() {
            self.last_revised_at = self.last_revised_at.max(Some(last.key.update_time));
        }
        placed
    }

    /// From when on every record is as it is now: none was revised later. None: none was ever revised.
    pub fn last_revised_at(&self) -> Option<Instant> {
        self.last_revised_at
    }

    /// The versions of a record. Empty where it is only referred to.
    pub fn versions<K>(&self, number: Ref<K>) -> &[Kept<Span>] {
        self.chains.get(number.index()).map_or(&[], Chain::versions)
    }

    /// The versions that were ever the current one of their key, oldest first. Of several with one key the
    /// others are kept, so that what we had been told then stays answerable, and say nothing.
    pub fn in_force<K>(&self, number: Ref<K>) -> impl DoubleEndedIterator<Item = &Kept<Span>> {
        let versions = self.versions(number);
        let is_last_of_its_key = move |&(at, kept): &(usize, &Kept<Span>)| {
            versions.get(at + 1).is_none_or(|next| next.key != kept.key)
        };
        versions.iter().enumerate().filter(is_last_of_its_key).map(|(_, kept)| kept)
    }

    /// When a record's current version was sent. None where it is the only one that was ever in force.
    pub fn resent_at<K>(&self, number: Ref<K>) -> Option<Instant> {
        match self.versions(number) {
            [] | [_] => None,
            _ => self.in_force(number).rev().next().filter(|_| self.in_force(number).nth(1).is_some()),
        }
        .map(|current| current.key.update_time)
    }

    /// The record as it counts: its current version, unless that is a deletion.
    pub fn current<K>(&self, number: Ref<K>) -> Option<P> {
        self.content(self.versions(number).last()?)
    }

    /// What a version says. None for a deletion.
    pub fn content(&self, version: &Kept<Span>) -> Option<P> {
        self.arena.get(version.content)
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
    use crate::book::Book;
    use crate::book::histories::{apply, currency, days, id, noon, plain_deal, plain_settings};
    use crate::domain::amount::{Amount, Money};
    use crate::domain::calendar::date;
    use crate::domain::filter::Filter;
    use crate::domain::ids::Term;
    use crate::domain::premises::{RatesOn, Roles};
    use crate::domain::record::{Deal, DealStatus, Record, State, Version, VersionKey};
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
}
