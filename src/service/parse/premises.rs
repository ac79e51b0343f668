//! Premises and filters: what every question about KPIs may rest on.

use std::collections::BTreeMap;
use std::hash::Hash;

use super::path::Path;
use super::value::{self, each, known, optional, required};
use crate::domain::filter::{CreditFilter, Filter};
use crate::domain::ids::{Id, Term};
use crate::domain::premises::{ExchangePolicy, Knowledge, Premises, Roles};
use crate::domain::record::{LABELS_MAX, Media, Role};
use crate::proto::channelkpi::v1 as pb;

/// The most values of one dimension of a filter.
const TERMS_MAX: usize = 1_000;

/// What is asked for; all defaults where nothing is.
pub(super) fn premises(at: Path<'_>, asked: &Option<pb::Premises>) -> Option<Premises> {
    let Some(pb::Premises { filter: wire, credit_roles, exchange, known_at, received_by }) = asked else {
        return Some(Premises::default());
    };
    let filter = filter(at.field("filter"), wire);
    let roles = roles(at.field("credit_roles"), credit_roles);
    let exchange = exchange_policy(at.field("exchange"), exchange);
    let knowledge = Knowledge {
        known_at: optional(at.field("known_at"), known_at, value::instant),
        received_by: optional(at.field("received_by"), received_by, value::instant),
    };
    Some(Premises { filter: filter?, roles: roles?, exchange: exchange?, knowledge })
}

fn roles(at: Path<'_>, sent: &[i32]) -> Option<Roles> {
    if sent.is_empty() {
        return Some(Roles::default());
    }
    value::each_once(at, sent.iter());
    let roles = each(at, sent, |at, number| match known(at, *number)? {
        pb::CreditRole::Unspecified => at.refuse("is unspecified: name a role"),
        pb::CreditRole::Sourced => Some(Role::Sourced),
        pb::CreditRole::Influenced => Some(Role::Influenced),
        pb::CreditRole::Fulfilled => Some(Role::Fulfilled),
    });
    roles.map(|roles| Roles::of(&roles))
}

fn exchange_policy(at: Path<'_>, sent: &Option<pb::Exchange>) -> Option<ExchangePolicy> {
    let Some(pb::Exchange { policy, fixed_on }) = sent else { return Some(ExchangePolicy::default()) };
    let policy = known(at.field("policy"), *policy)?;
    let date_at = at.field("fixed_on");
    if policy == pb::ExchangePolicy::Fixed {
        return required(date_at, fixed_on, value::date).map(ExchangePolicy::Fixed);
    }
    if fixed_on.is_some() {
        return date_at.refuse("is set, but only EXCHANGE_POLICY_FIXED has a date");
    }
    match policy {
        pb::ExchangePolicy::WindowEnd => Some(ExchangePolicy::WindowEnd),
        _ => Some(ExchangePolicy::AtClose),
    }
}

pub(super) fn filter(at: Path<'_>, sent: &Option<pb::Filter>) -> Option<Filter> {
    let Some(pb::Filter {
        partner_types,
        tiers,
        regions,
        products,
        marketing_channel_ids,
        media: asked_media,
        employee_ids,
        unit_ids,
        partner_ids,
        deal_labels,
        partner_labels,
        credit,
    }) = sent
    else {
        return Some(Filter::default());
    };
    let partner_types = terms(at.field("partner_types"), partner_types);
    let tiers = terms(at.field("tiers"), tiers);
    let regions = terms(at.field("regions"), regions);
    let products = terms(at.field("products"), products);
    let channels = ids(at.field("marketing_channel_ids"), marketing_channel_ids);
    let media = media(at.field("media"), asked_media);
    let employees = ids(at.field("employee_ids"), employee_ids);
    let units = ids(at.field("unit_ids"), unit_ids);
    let partners = ids(at.field("partner_ids"), partner_ids);
    let deal_labels = labels(at.field("deal_labels"), deal_labels);
    let partner_labels = labels(at.field("partner_labels"), partner_labels);
    let credit = match known(at.field("credit"), *credit)? {
        pb::CreditFilter::Unspecified => None,
        pb::CreditFilter::Credited => Some(CreditFilter::Credited),
        pb::CreditFilter::Direct => Some(CreditFilter::Direct),
    };
    Some(Filter {
        partner_types: partner_types?,
        tiers: tiers?,
        partner_labels: partner_labels?,
        partners: partners?,
        employees: employees?,
        units: units?,
        regions: regions?,
        products: products?,
        channels: channels?,
        media: media?,
        deal_labels: deal_labels?,
        credit,
    })
}

/// The alternatives of a dimension, the absent value among them where it is asked for. Unset: none.
fn alternatives<T, U>(
    at: Path<'_>,
    values: &[T],
    include_none: bool,
    parse: impl Fn(Path<'_>, &T) -> Option<U>,
) -> Option<Vec<Option<U>>>
where
    T: Eq + Hash,
{
    let values_at = at.field("values");
    if values.len() > TERMS_MAX {
        return values_at.refuse(format_args!("has {} values, must have at most {TERMS_MAX}", values.len()));
    }
    if values.is_empty() && !include_none {
        return at.refuse("asks for nothing: name a value, set include_none, or leave it unset");
    }
    value::each_once(values_at, values.iter());
    let none = include_none.then_some(None);
    Some(none.into_iter().chain(each(values_at, values, parse)?.into_iter().map(Some)).collect())
}

pub(super) fn terms(at: Path<'_>, sent: &Option<pb::Terms>) -> Option<Vec<Option<Term>>> {
    let Some(pb::Terms { values, include_none }) = sent else { return Some(Vec::new()) };
    alternatives(at, values, *include_none, |at, raw| at.check(Term::try_new(raw)))
}

fn ids<K>(at: Path<'_>, sent: &Option<pb::Terms>) -> Option<Vec<Option<Id<K>>>> {
    let Some(pb::Terms { values, include_none }) = sent else { return Some(Vec::new()) };
    alternatives(at, values, *include_none, |at, raw| value::id(at, raw))
}

fn media(at: Path<'_>, sent: &Option<pb::MediaTerms>) -> Option<Vec<Option<Media>>> {
    let Some(pb::MediaTerms { values, include_none }) = sent else { return Some(Vec::new()) };
    alternatives(at, values, *include_none, |at, number| match known(at, *number)? {
        pb::Media::Unspecified => at.refuse("is unspecified: name a medium, or set include_none"),
        pb::Media::Paid => Some(Media::Paid),
        pb::Media::Earned => Some(Media::Earned),
        pb::Media::Owned => Some(Media::Owned),
    })
}

fn labels(at: Path<'_>, sent: &[pb::LabelTerms]) -> Option<BTreeMap<Term, Vec<Option<Term>>>> {
    if sent.len() > LABELS_MAX {
        return at.refuse(format_args!("has {} keys, must have at most {LABELS_MAX}", sent.len()));
    }
    let label = |at: Path<'_>, pb::LabelTerms { key, terms: values }: &pb::LabelTerms| {
        let key = at.field("key").check(Term::try_new(key));
        let values_at = at.field("terms");
        let values = required(values_at, values, |at, values| terms(at, &Some(values.clone())));
        Some((key?, values?))
    };
    let parsed = each(at, sent, label)?;
    let mut labels = BTreeMap::new();
    for (place, (key, values)) in parsed.into_iter().enumerate() {
        if labels.insert(key, values).is_some() {
            return at.index(place).field("key").refuse("comes a second time");
        }
    }
    Some(labels)
}
