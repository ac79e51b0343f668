//! Scopes: what a question's subject, filter and roles pick of the rows.
//!
//! A scope is formed for one question from the trees and attributes of that moment; rows know nothing of
//! them.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU8, Ordering};

use hashbrown::HashSet;

use super::entry::{Share, Slot};
use super::packed::{ChannelRef, TermRef};
use super::page::Row;
use super::pools::{DeskRef, LabelSetRef, Pools, Traits};
use super::regions::PartnerRegions;
use crate::domain::amount::BasisPoints;
use crate::domain::premises::Roles;
use crate::domain::record::Role;

#[derive(Clone, Debug)]
pub struct Scope {
    /// Which credits count.
    pub roles: Roles,
    /// Whose shares, sorted: amounts are the parts of these. None: every deal, whole.
    pub slots: Option<Vec<Slot>>,
    /// At which desks. None: at all.
    pub desks: Option<Desks>,
    /// What the filter asks of deals and leads themselves. None: nothing.
    pub test: Option<Test>,
}

/// What a filter asks of the attributes of deals and leads. None of a kind: nothing.
#[derive(Clone, Debug, Default)]
pub struct Test {
    pub products: Option<HashSet<Option<TermRef>>>,
    pub channels: Option<HashSet<Option<ChannelRef>>>,
    pub regions: Option<Regions>,
    /// Those whose labels pass.
    pub label_sets: Option<HashSet<LabelSetRef>>,
    /// Whether there is a credit in a role asked for.
    pub credited: Option<bool>,
    /// Under a product or deal labels: the leads of which a deal passes both.
    pub leads: Option<HashSet<u32>>,
    pub verdicts: Verdicts,
}

/// What was found of each combination of traits, deals' first and then leads', as far as it was asked: rows
/// are many, combinations few.
#[derive(Debug, Default)]
pub struct Verdicts(Vec<[AtomicU8; 2]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Unknown,
    Passes,
    Fails,
    /// The rest passes, the region is that of a partner.
    HangsOnRegion,
}

#[derive(Clone, Debug)]
pub struct Regions {
    pub asked: HashSet<Option<TermRef>>,
    pub of_partners: PartnerRegions,
}

/// Fewer than one of so many desks are few. Under test not many, so that small histories go both ways.
const FEW_OF_DESKS: usize = if cfg!(test) { 3 } else { 16 };

/// Some desks. A walk asks of every row whether its own is among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desks {
    /// Sorted.
    refs: Vec<DeskRef>,
    /// A bit for each number.
    bits: Vec<u64>,
    are_few: bool,
}

// === impl Scope ===

impl Scope {
    /// Whether it picks every deal, whole.
    pub fn is_everything(&self) -> bool {
        self.slots.is_none() && self.desks.is_none() && self.test.is_none()
    }

    /// Whether a share is among those asked for.
    pub fn asks_for(&self, share: &Share) -> bool {
        let is_asked = |slots: &Vec<Slot>| slots.binary_search(&share.slot).is_ok();
        self.roles.contains(share.role) && self.slots.as_ref().is_none_or(is_asked)
    }

    /// Whether it asks for what a role leaves uncredited other than the sourced rest: of that no rows are
    /// kept.
    pub fn asks_for_unkept_rest(&self) -> bool {
        let asks_for_rest = self.slots.as_ref().is_some_and(|slots| slots.first() == Some(&None));
        asks_for_rest && self.roles != Roles::SOURCED
    }

    /// An entry's shares with the rests that it asks for and that aren't kept.
    pub fn with_unkept_rests<'a>(&self, shares: &'a [Share]) -> Cow<'a, [Share]> {
        if !self.asks_for_unkept_rest() {
            return Cow::Borrowed(shares);
        }
        let rests = [Role::Influenced, Role::Fulfilled].map(|role| rest_of(role, shares));
        let left = rests.into_iter().filter(|rest| rest.bps.get() > 0);
        shares.iter().copied().chain(left).collect()
    }

    /// What of it came by one of these channels.
    pub fn by_channels(mut self, channels: impl Iterator<Item = ChannelRef>) -> Self {
        let channels = channels.map(Some);
        let test = self.test.get_or_insert_default();
        test.verdicts.forget();
        test.channels = Some(match &test.channels {
            Some(asked) => channels.filter(|channel| asked.contains(channel)).collect(),
            None => channels.collect(),
        });
        self
    }

    /// The regions asked for, where the scope asks for nothing else: neither whose nor by whom.
    pub fn regions_alone(&self) -> Option<&Regions> {
        let Self { roles: _, slots: None, desks: None, test: Some(test) } = self else { return None };
        test.regions.as_ref().filter(|_| test.asks_for_regions_at_most())
    }

    /// Whether something of an entry falls to no partner in a role that counts.
    pub fn has_uncredited(&self, shares: &[Share]) -> bool {
        let roles = [Role::Sourced, Role::Influenced, Role::Fulfilled];
        roles
            .into_iter()
            .map(|role| rest_of(role, shares))
            .any(|rest| rest.bps.get() > 0 && self.asks_for(&rest))
    }

    /// Whether a row is at one of the desks that are asked for.
    #[inline]
    pub fn is_at_desk(&self, row: &Row) -> bool {
        self.desks.as_ref().is_none_or(|desks| desks.contains(row.desk))
    }

    /// Whether a row's deal or lead passes, whoever has a share in it.
    pub fn keeps(&self, row: &Row, shares: &[Share], pools: &Pools) -> bool {
        self.is_at_desk(row)
            && self.test.as_ref().is_none_or(|test| test.passes(row, shares, self.roles, pools))
    }
}

/// What a role leaves uncredited.
fn rest_of(role: Role, shares: &[Share]) -> Share {
    let credited = shares.iter().filter(|share| share.role == role && share.slot.is_some());
    let credited: u16 = credited.map(|share| share.bps.get()).sum();
    let left = i64::from(BasisPoints::WHOLE.get() - credited);
    let bps = BasisPoints::try_new(left).expect("shares of a role are at most the whole");
    Share { slot: None, role, bps }
}

// === impl Test ===

impl Test {
    /// With room for what is found of each combination that `pools` hold.
    pub fn about(self, pools: &Pools) -> Self {
        Self { verdicts: Verdicts::none_of(pools.traits.values().len()), ..self }
    }

    pub fn asks_for_nothing(&self) -> bool {
        self.regions.is_none() && self.asks_for_regions_at_most()
    }

    fn asks_for_regions_at_most(&self) -> bool {
        let Self { products, channels, regions: _, label_sets, credited, leads, verdicts: _ } = self;
        products.is_none()
            && channels.is_none()
            && label_sets.is_none()
            && credited.is_none()
            && leads.is_none()
    }

    fn passes(&self, row: &Row, shares: &[Share], roles: Roles, pools: &Pools) -> bool {
        let is_of_deal = row.event.is_of_deal();
        let traits = || pools.traits.value(row.traits);
        let verdict = self.verdicts.find(row, || self.judge(is_of_deal, traits()));
        let by_traits = match verdict {
            Verdict::Passes => true,
            Verdict::Fails | Verdict::Unknown => false,
            Verdict::HangsOnRegion => self.regions.as_ref().is_none_or(|Regions { asked, of_partners }| {
                asked.contains(&of_partners.of_one(row.slot, &traits().region, shares))
            }),
        };
        let credited = || shares.iter().any(|share| share.slot.is_some() && roles.contains(share.role));
        by_traits
            && (is_of_deal || self.leads.as_ref().is_none_or(|passing| passing.contains(&row.of)))
            && self.credited.is_none_or(|asked| asked == credited())
    }

    /// Whether a combination passes, of a deal or of a lead.
    fn judge(&self, is_of_deal: bool, traits: &Traits) -> Verdict {
        let of_deal = || {
            self.products.as_ref().is_none_or(|asked| asked.contains(&traits.product))
                && self.label_sets.as_ref().is_none_or(|passing| passing.contains(&traits.labels))
        };
        let by_channel = || self.channels.as_ref().is_none_or(|asked| asked.contains(&traits.channel));
        if !((!is_of_deal || of_deal()) && by_channel()) {
            return Verdict::Fails;
        }
        match &self.regions {
            None => Verdict::Passes,
            Some(_) if traits.region.is_lead_partners || traits.region.own.is_none() => {
                Verdict::HangsOnRegion
            }
            Some(regions) if regions.asked.contains(&traits.region.own) => Verdict::Passes,
            Some(_) => Verdict::Fails,
        }
    }
}

// === impl Verdicts ===

impl Verdicts {
    fn none_of(count: usize) -> Self {
        let mut verdicts = Vec::new();
        verdicts.resize_with(count, Default::default);
        Self(verdicts)
    }

    /// Before the question changes.
    fn forget(&mut self) {
        *self = Self::none_of(self.0.len());
    }

    fn find(&self, row: &Row, judge: impl FnOnce() -> Verdict) -> Verdict {
        // Combinations that came after the question was formed have no place here.
        let Some(places) = self.0.get(row.traits.index()) else { return judge() };
        let place = &places[usize::from(!row.event.is_of_deal())];
        // Whoever asks at the same time finds the same.
        match Verdict::ALL[usize::from(place.load(Ordering::Relaxed))] {
            Verdict::Unknown => {
                let verdict = judge();
                place.store(verdict as u8, Ordering::Relaxed);
                verdict
            }
            known => known,
        }
    }
}

/// What was found is found again: a copy begins without.
impl Clone for Verdicts {
    fn clone(&self) -> Self {
        Self::none_of(self.0.len())
    }
}

// === impl Verdict ===

impl Verdict {
    const ALL: [Self; 4] = [Self::Unknown, Self::Passes, Self::Fails, Self::HangsOnRegion];
}

// === impl Desks ===

impl Desks {
    /// Those with these numbers, which are sorted, of as many as there are in all.
    pub fn new(refs: Vec<DeskRef>, of_all: usize) -> Self {
        let are_few = refs.len() * FEW_OF_DESKS <= of_all;
        let mut bits = vec![0; refs.last().map_or(0, |last| last.index() / 64 + 1)];
        refs.iter().for_each(|desk| bits[desk.index() / 64] |= 1 << (desk.index() % 64));
        Self { refs, bits, are_few }
    }

    /// Whether their entries are likely to be few beside all others.
    pub fn are_few(&self) -> bool {
        self.are_few
    }

    #[inline]
    pub fn contains(&self, desk: DeskRef) -> bool {
        self.bits.get(desk.index() / 64).is_some_and(|bits| bits >> (desk.index() % 64) & 1 == 1)
    }

    pub fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = DeskRef> {
        self.refs.iter().copied()
    }
}
