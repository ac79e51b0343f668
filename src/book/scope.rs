//! Scopes: what a question's subject, filter and roles pick of the rows.
//!
//! A scope is formed for one question from the trees and attributes of that moment; rows know nothing of
//! them.

use std::borrow::Cow;
use std::collections::HashSet;

use super::entry::{Share, Slot};
use super::packed::{ChannelRef, TermRef};
use super::page::Row;
use super::pools::{DeskRef, LabelSetRef};
use crate::domain::amount::BasisPoints;
use crate::domain::premises::Roles;
use crate::domain::record::Role;

#[derive(Clone, Debug)]
pub struct Scope {
    /// Which credits count.
    pub roles: Roles,
    /// Whose shares, sorted: amounts are the parts of these. None: every deal, whole.
    pub slots: Option<Vec<Slot>>,
    /// At which desks, sorted. None: at all.
    pub desks: Option<Vec<DeskRef>>,
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
}

#[derive(Clone, Debug)]
pub struct Regions {
    pub asked: HashSet<Option<TermRef>>,
    /// The region of each partner, by its number.
    pub of_partners: Vec<Option<TermRef>>,
}

// === impl Scope ===

impl Scope {
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
        test.channels = Some(match &test.channels {
            Some(asked) => channels.filter(|channel| asked.contains(channel)).collect(),
            None => channels.collect(),
        });
        self
    }

    /// Whether something of an entry falls to no partner in a role that counts.
    pub fn has_uncredited(&self, shares: &[Share]) -> bool {
        let roles = [Role::Sourced, Role::Influenced, Role::Fulfilled];
        roles
            .into_iter()
            .map(|role| rest_of(role, shares))
            .any(|rest| rest.bps.get() > 0 && self.asks_for(&rest))
    }

    /// Whether a row's deal or lead passes, whoever has a share in it.
    pub fn keeps(&self, row: &Row, shares: &[Share]) -> bool {
        let at_desk = |desks: &Vec<DeskRef>| desks.binary_search(&row.desk).is_ok();
        self.desks.as_ref().is_none_or(at_desk)
            && self.test.as_ref().is_none_or(|test| test.passes(row, shares, self.roles))
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
    fn passes(&self, row: &Row, shares: &[Share], roles: Roles) -> bool {
        let of_deal = || {
            self.products.as_ref().is_none_or(|asked| asked.contains(&row.product))
                && self.label_sets.as_ref().is_none_or(|passing| passing.contains(&row.labels))
        };
        let by_deals = if row.event.is_of_deal() {
            of_deal()
        } else {
            self.leads.as_ref().is_none_or(|passing| passing.contains(&row.of))
        };
        let credited = || shares.iter().any(|share| share.slot.is_some() && roles.contains(share.role));
        by_deals
            && self.channels.as_ref().is_none_or(|asked| asked.contains(&row.channel))
            && self.regions.as_ref().is_none_or(|regions| regions.asked.contains(&regions.of(row)))
            && self.credited.is_none_or(|asked| asked == credited())
    }
}

// === impl Regions ===

impl Regions {
    pub fn of(&self, row: &Row) -> Option<TermRef> {
        let of_partner = |partner: super::packed::PartnerRef| *self.of_partners.get(partner.index())?;
        let source = &row.region;
        source
            .lead_partner
            .and_then(of_partner)
            .or(source.own)
            .or_else(|| source.credited_partner.and_then(of_partner))
    }
}
