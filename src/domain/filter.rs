//! Filters: which deals, leads and prospects a question is about (docs/kpis.md §4).
//!
//! Values of one dimension are alternatives; dimensions combine with *and*. An empty dimension asks for
//! nothing. An absent value asks for what has none.

use std::collections::BTreeMap;

use super::ids::{ChannelId, EmployeeId, PartnerId, Term, UnitId};
use super::record::Media;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub partner_types: Vec<Option<Term>>,
    pub tiers: Vec<Option<Term>>,
    pub partner_labels: BTreeMap<Term, Vec<Option<Term>>>,
    /// None: the uncredited rest.
    pub partners: Vec<Option<PartnerId>>,
    pub employees: Vec<Option<EmployeeId>>,
    /// Each with the units below it.
    pub units: Vec<Option<UnitId>>,
    pub regions: Vec<Option<Term>>,
    pub products: Vec<Option<Term>>,
    pub channels: Vec<Option<ChannelId>>,
    pub media: Vec<Option<Media>>,
    pub deal_labels: BTreeMap<Term, Vec<Option<Term>>>,
    pub credit: Option<CreditFilter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditFilter {
    /// Has a credit in a role asked for.
    Credited,
    /// Has none.
    Direct,
}

// === impl Filter ===

impl Filter {
    /// Whether it asks for credits of certain partners: amounts are then the shares of those.
    pub fn asks_for_partners(&self) -> bool {
        !(self.partner_types.is_empty()
            && self.tiers.is_empty()
            && self.partner_labels.is_empty()
            && self.partners.is_empty())
    }

    /// Whether it asks for nothing but channels and media: then what was spent on them is known.
    pub fn asks_for_channels_only(&self) -> bool {
        let Self {
            partner_types,
            tiers,
            partner_labels,
            partners,
            employees,
            units,
            regions,
            products,
            channels: _,
            media: _,
            deal_labels,
            credit,
        } = self;
        let terms = [partner_types, tiers, regions, products];
        terms.into_iter().all(Vec::is_empty)
            && partner_labels.is_empty()
            && partners.is_empty()
            && employees.is_empty()
            && units.is_empty()
            && deal_labels.is_empty()
            && credit.is_none()
    }

    /// Whether it asks for what only deals have: leads as such are then not counted.
    pub fn asks_for_deals_only(&self) -> bool {
        !(self.products.is_empty() && self.deal_labels.is_empty())
    }
}
