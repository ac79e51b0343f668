//! The pure functions from a deal, and from a lead with its deals, to what they add to the pages.
//!
//! Incremental and from nothing alike call them: a changed record is its old contribution taken out and
//! its new one put in.

use smallvec::{SmallVec, smallvec};

use super::entry::{Entry, Event, Odds, Outcome, ProspectOutcome, RegionSource, Share, Terms, Traits, Value};
use super::packed::{ChannelRef, DealRef, LeadRef, PackedCredit, PackedDeal, PackedLead};
use crate::domain::amount::{BasisPoints, Money};
use crate::domain::calendar::{Date, Instant};
use crate::domain::exchange::Rates;
use crate::domain::record::{DealStatus, Expiry, LeadOutcome, Role, Settings};

/// What contributions are told under.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    /// None until the tenant is configured: then nothing contributes.
    pub settings: Option<Settings>,
    pub rates: Rates,
}

/// A deal has two, most leads three.
pub type Entries = SmallVec<[Entry; 3]>;

/// What a deal adds: its opening and its end. A deal without an end has one on [`Date::NEVER`].
///
/// `lead` is the deal's lead, if that is known: a deal without one is a prospect by itself, and one
/// without a channel has its lead's. `sent_at` is when the current version was sent; None where it is the
/// only one, which counts from the opening on.
pub fn deal_entries(
    number: DealRef,
    deal: &PackedDeal,
    sent_at: Option<Instant>,
    lead: Option<&PackedLead>,
    ground: &Ground,
) -> Entries {
    let Some(settings) = &ground.settings else { return Entries::new() };
    let (opened_on, ended_on, outcome) = life_of(deal, settings);
    let channel = deal.channel.or_else(|| lead.and_then(|lead| lead.channel));
    let shares = shares_of(deal);
    let entry = |event, on, other_on, value, terms| Entry {
        event,
        of: number.number(),
        on,
        other_on,
        value,
        is_prospect: lead.is_none(),
        terms,
        traits: Traits {
            owner: deal.owner,
            unit: deal.unit,
            product: deal.product,
            channel,
            region: RegionSource { own: deal.region, ..RegionSource::default() },
        },
        labels: deal.labels.clone(),
        shares: shares.clone(),
    };
    let value = |on| value_on(deal.amount, on, settings, &ground.rates);
    let at_opening = value(opened_on);
    let end = match (outcome, at_opening) {
        // What never ends is converted on no day.
        (Outcome::Open, Value::Converted { from, .. }) => Value::Unconverted(from),
        (Outcome::Open, value) => value,
        _ => value(ended_on),
    };
    let terms = terms_of(deal, sent_at, settings);
    smallvec![
        entry(Event::DealOpened(outcome), opened_on, ended_on, at_opening, None),
        entry(Event::DealEnded(outcome), ended_on, opened_on, end, terms),
    ]
}

/// How the deal stands while it is open, where its current version says that: a later one that closes it
/// says nothing of stage and probability.
fn terms_of(deal: &PackedDeal, sent_at: Option<Instant>, settings: &Settings) -> Option<Terms> {
    let is_open = deal.status == DealStatus::Open;
    let odds = Odds { stage: deal.stage, probability: deal.probability };
    let since = sent_at.map_or(Date::FIRST, |at| settings.zone.local_date(at));
    match (is_open, sent_at) {
        (true, _) => Some(Terms { since, odds, expected_close: deal.expected_close }),
        (false, None) => Some(Terms { since, odds: Odds::default(), expected_close: deal.expected_close }),
        (false, Some(_)) => None,
    }
}

/// What a lead adds: its creation, its decision, and the outcome of the prospect that it is.
///
/// `deals` are those that name it.
pub fn lead_entries(
    number: LeadRef,
    lead: &PackedLead,
    deals: &[(&str, PackedDeal)],
    ground: &Ground,
) -> Entries {
    let Some(settings) = &ground.settings else { return Entries::new() };
    let date = |at| settings.zone.local_date(at);
    let created_on = date(lead.created_at);
    let lives: SmallVec<[Life; 1]> = deals.iter().map(|(_, deal)| life_of(deal, settings)).collect();
    let (outcome, ended_on) = prospect_of(lead, &lives, settings);

    // Whatever the lead leaves empty is its first deal's.
    let by_opening = deals.iter().zip(&lives).min_by_key(|((id, _), (opened_on, ..))| (*opened_on, *id));
    let first = by_opening.map(|((_, deal), _)| deal);
    let own = lead.region.or_else(|| first.and_then(|deal| deal.region));
    let is_lead_partners = lead.region.is_none() && lead.partner.is_some();
    let firsts_partner = || Share::greatest(&shares_of(first?)).filter(|_| own.is_none() && is_lead_partners);
    let other_partner = firsts_partner().filter(|&partner| lead.partner != Some(partner));
    let region = RegionSource { is_lead_partners, own, other_partner };
    let desk_of_first = first.filter(|_| lead.owner.is_none());
    let channel: Option<ChannelRef> = lead.channel.or_else(|| first.and_then(|deal| deal.channel));
    let shares: SmallVec<[Share; 1]> = match (lead.partner, first) {
        (None, Some(deal)) => shares_of(deal),
        (slot, _) => smallvec![Share { slot, role: Role::Sourced, bps: BasisPoints::WHOLE }],
    };
    let entry = |event, on, other_on| Entry {
        event,
        of: number.number(),
        on,
        other_on,
        value: Value::Unknown,
        is_prospect: true,
        terms: None,
        traits: Traits {
            owner: lead.owner.or_else(|| desk_of_first.and_then(|deal| deal.owner)),
            unit: desk_of_first.and_then(|deal| deal.unit),
            product: None,
            channel,
            region,
        },
        labels: SmallVec::new(),
        shares: shares.clone(),
    };
    let mut entries: Entries = smallvec![entry(Event::LeadCreated(outcome), created_on, ended_on)];
    match lead.outcome {
        LeadOutcome::Open => {}
        LeadOutcome::Converted(at) => entries.push(entry(Event::LeadConverted, date(at), ended_on)),
        LeadOutcome::Disqualified(at) => entries.push(entry(Event::LeadDisqualified, date(at), ended_on)),
    }
    if outcome != ProspectOutcome::Unresolved {
        entries.push(entry(Event::ProspectEnded(outcome), ended_on, created_on));
    }
    entries
}

/// The outcome of a prospect and its date (docs/kpis.md §6, 5).
fn prospect_of(lead: &PackedLead, lives: &[Life], settings: &Settings) -> (ProspectOutcome, Date) {
    let won = lives.iter().filter(|(.., outcome)| *outcome == Outcome::Won);
    let won = won.map(|&(_, ended_on, _)| ended_on).min();
    if let Some(first_won_on) = won {
        return (ProspectOutcome::Purchased, first_won_on);
    }
    let disqualified_on = match lead.outcome {
        LeadOutcome::Disqualified(at) => Some(settings.zone.local_date(at)),
        LeadOutcome::Open | LeadOutcome::Converted(_) => None,
    };
    let last_end = lives.iter().map(|&(_, ended_on, _)| ended_on).chain(disqualified_on).max();
    match last_end {
        Some(on) if on != Date::NEVER => (ProspectOutcome::Lost, on),
        _ => (ProspectOutcome::Unresolved, Date::NEVER),
    }
}

/// When a deal was opened and ended, and how.
pub type Life = (Date, Date, Outcome);

/// The life of a deal (docs/kpis.md §2, "One end").
pub fn life_of(deal: &PackedDeal, settings: &Settings) -> Life {
    let opened_on = settings.zone.local_date(deal.opened_at);
    let lost = if deal.competitor.is_some() { Outcome::LostToCompetitor } else { Outcome::Lost };
    let closed = match deal.status {
        DealStatus::Won(at) => Some((at, Outcome::Won)),
        DealStatus::Lost(at) => Some((at, lost)),
        DealStatus::Open => None,
    };
    if let Some((at, outcome)) = closed {
        let closed_on = settings.zone.local_date(at);
        return (opened_on.min(closed_on), closed_on, outcome);
    }
    match expiry_of(deal, opened_on, settings) {
        Date::NEVER => (opened_on, Date::NEVER, Outcome::Open),
        expired_on => (opened_on, expired_on, Outcome::Expired),
    }
}

/// The date on which a deal expires, whatever its status; [`Date::NEVER`] without a limit.
pub fn expiry_of(deal: &PackedDeal, opened_on: Date, settings: &Settings) -> Date {
    let expired_on = match (deal.expiry, settings.time_limit_days) {
        (Some(Expiry::At(at)), _) => settings.zone.local_date(at).max(opened_on),
        (None, Some(days)) => opened_on.plus_days(i32::from(days)),
        (Some(Expiry::Never), _) | (None, None) => Date::NEVER,
    };
    if expired_on <= Date::LAST { expired_on } else { Date::NEVER }
}

/// An amount as it counts at the rates of `on`.
pub fn value_on(amount: Option<Money>, on: Date, settings: &Settings, rates: &Rates) -> Value {
    let Some(money) = amount else { return Value::Unknown };
    let (from, to) = (money.currency, settings.reporting_currency);
    if from == to {
        return Value::Own(money.amount);
    }
    let converted = rates.conversion(from, to, on).and_then(|conversion| {
        let amount = conversion.convert(money.amount)?;
        Some(Value::Converted { amount, from, oldest_rate_on: conversion.oldest_rate_on() })
    });
    converted.unwrap_or(Value::Unconverted(from))
}

/// Who has how much of it (docs/kpis.md §1, "Credit"): the credits, and what is left uncredited of what
/// was sourced.
fn shares_of(deal: &PackedDeal) -> SmallVec<[Share; 1]> {
    if let [PackedCredit { role: Role::Sourced, partner, share: None | Some(BasisPoints::WHOLE) }] =
        deal.credits.as_slice()
    {
        return smallvec![Share { slot: Some(*partner), role: Role::Sourced, bps: BasisPoints::WHOLE }]; // most
    }
    let of_role = |role| deal.credits.iter().filter(move |credit| credit.role == role);
    let given = |role| of_role(role).filter_map(|credit| credit.share).map(BasisPoints::get).sum::<u16>();
    let left = |role| {
        BasisPoints::try_new(i64::from(BasisPoints::WHOLE.get() - given(role)))
            .expect("shares of a role are at most the whole")
    };
    let mut shares: SmallVec<[Share; 1]> = deal
        .credits
        .iter()
        .map(|credit| Share {
            slot: Some(credit.partner),
            role: credit.role,
            bps: credit.share.unwrap_or_else(|| left(credit.role)),
        })
        .collect();
    let is_left = of_role(Role::Sourced).all(|credit| credit.share.is_some());
    let rest = left(Role::Sourced);
    if is_left && rest.get() > 0 {
        shares.push(Share { slot: None, role: Role::Sourced, bps: rest });
    }
    shares
}
