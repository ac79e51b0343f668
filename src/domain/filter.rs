//! Filters: which deals, leads and prospects a question is about (docs/kpis.md §4).
//!
//! Values of one dimension are alternatives; dimensions combine with *and*. An empty dimension asks for
//! nothing. An absent value asks for what has none.

use std::collections::BTreeMap;

use super::ids::{ChannelId, EmployeeId, Id, PartnerId, Term, UnitId};
use super::record::Media;
use super::subject::SubjectKind;

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

/// A dimension by which rows are grouped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    PartnerType,
    Tier,
    Region,
    Product,
    Channel,
    Media,
    Employee,
    Unit,
    Partner,
    DealLabel(Term),
    PartnerLabel(Term),
    Credit,
}

/// A row of a list by a dimension, in the order of these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupValue {
    /// What no partner is credited with, in a list by what partners are.
    Uncredited,
    /// What has no value.
    None,
    Value(Box<str>),
}

/// The dimensions over which a rate is split: whatever a rate is told of has a value of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitBy {
    Region,
    Channel,
    Partner,
}

// === impl SplitBy ===

impl SplitBy {
    pub const ALL: [Self; 3] = [Self::Region, Self::Channel, Self::Partner];
}

impl From<SplitBy> for Dimension {
    fn from(by: SplitBy) -> Self {
        match by {
            SplitBy::Region => Self::Region,
            SplitBy::Channel => Self::Channel,
            SplitBy::Partner => Self::Partner,
        }
    }
}

// === impl Dimension ===

impl Dimension {
    /// Whether it is one of credited partners: amounts are then the shares of those.
    pub fn is_of_partners(&self) -> bool {
        matches!(self, Self::PartnerType | Self::Tier | Self::Partner | Self::PartnerLabel(_))
    }
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

    /// The filter without what names subjects of a kind.
    pub fn without_kind(&self, kind: SubjectKind) -> Self {
        let mut filter = self.clone();
        match kind {
            SubjectKind::Partner => filter.partners.clear(),
            SubjectKind::Employee => filter.employees.clear(),
            SubjectKind::Unit => filter.units.clear(),
        }
        filter
    }

    /// The filter that asks, of what this one asks for, for one value of a dimension. None for a value that
    /// the dimension can't have.
    pub fn narrowed(&self, dimension: &Dimension, value: &GroupValue) -> Option<Self> {
        let mut filter = self.clone();
        let value = match value {
            GroupValue::Uncredited => {
                filter.partners = vec![None];
                return Some(filter);
            }
            GroupValue::None => None,
            GroupValue::Value(value) => Some(&**value),
        };
        let term = || value.map(Term::try_new).transpose().ok().map(|term| vec![term]);
        fn id<K>(value: Option<&str>) -> Option<Vec<Option<Id<K>>>> {
            value.map(Id::try_new).transpose().ok().map(|id| vec![id])
        }
        match dimension {
            Dimension::PartnerType => filter.partner_types = term()?,
            Dimension::Tier => filter.tiers = term()?,
            Dimension::Region => filter.regions = term()?,
            Dimension::Product => filter.products = term()?,
            Dimension::Channel => filter.channels = id(value)?,
            Dimension::Media => {
                filter.media = vec![value.map(|name| Media::named(name).ok_or(())).transpose().ok()?];
            }
            Dimension::Employee => filter.employees = id(value)?,
            Dimension::Unit => filter.units = id(value)?,
            Dimension::Partner => filter.partners = id(value)?,
            Dimension::DealLabel(key) => drop(filter.deal_labels.insert(key.clone(), term()?)),
            Dimension::PartnerLabel(key) => drop(filter.partner_labels.insert(key.clone(), term()?)),
            Dimension::Credit => filter.credit = Some(CreditFilter::named(value?)?),
        }
        Some(filter)
    }
}

// === impl CreditFilter ===

impl CreditFilter {
    pub const ALL: [Self; 2] = [Self::Credited, Self::Direct];

    pub fn name(self) -> &'static str {
        match self {
            Self::Credited => "credited",
            Self::Direct => "direct",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|credit| credit.name() == name)
    }
}
