//! The slow truth about deals and leads: when each began and ended, and where it is at home.

use std::collections::BTreeMap;

use super::money::{converted, split};
use super::{Oracle, text};
use crate::domain::amount::Money;
use crate::domain::calendar::Date;
use crate::domain::record::{
    Credit, Deal, DealStatus, Expiry, Labels, Lead, LeadOutcome, Media, Record, Role, Settings, State,
};

/// A deal or a lead that counts.
pub struct Told {
    pub what: What,
    pub home: Home,
}

pub enum What {
    Deal {
        opened_on: Date,
        end: Option<(Date, End)>,
        money: Option<Money>,
        /// At the rates of the days of opening and end.
        worth_when_opened: Option<Worth>,
        worth_at_end: Option<Worth>,
        /// Whether its lead isn't known.
        is_prospect: bool,
    },
    Lead {
        created_on: Date,
        converted_on: Option<Date>,
        disqualified_on: Option<Date>,
        resolved: Option<(Date, Resolution)>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    Won,
    Lost { competitor_known: bool },
    Expired,
}

/// What became of a prospect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    Purchased,
    Lost,
}

/// An amount in the reporting currency.
pub struct Worth {
    pub whole_e4: i128,
    /// Of each of the home's claims, in their order.
    pub parts_e4: Vec<i128>,
    pub oldest_rate_on: Option<Date>,
}

/// Where a deal or lead counts: what subjects and filters go by.
#[derive(Clone)]
pub struct Home {
    pub region: Option<String>,
    pub channel: Option<String>,
    pub media: Option<Media>,
    /// As counted.
    pub owner: Option<String>,
    /// The unit and all above it; empty without one.
    pub units: Vec<String>,
    pub claims: Vec<Claim>,
    /// The deal's product and labels; of a lead those of its deals.
    pub sold: Vec<(Option<String>, Labels)>,
}

/// A credit, or what a role leaves uncredited: of each role in the order of ids, the rest last.
#[derive(Clone)]
pub struct Claim {
    pub role: Role,
    pub by: Option<Line>,
    pub bps: i128,
}

/// A credited partner as counted, and all above it.
#[derive(Clone)]
pub struct Line {
    pub partner: String,
    pub with_ancestors: Vec<String>,
}

const ROLES: [Role; 3] = [Role::Sourced, Role::Influenced, Role::Fulfilled];

// === impl Oracle ===

impl Oracle {
    /// Tells all deals and leads that count, each by its current version.
    pub fn tell(&self) -> Vec<Told> {
        let Some(settings) = &self.settings else { return Vec::new() };
        let current = || self.histories.values().filter_map(|history| history.last());
        let deals: BTreeMap<String, &Deal> = current()
            .filter_map(|sent| match &sent.version.record {
                Record::Deal(id, State::Present(deal)) => Some((text(id), deal)),
                _ => None,
            })
            .collect();
        let leads: BTreeMap<String, &Lead> = current()
            .filter_map(|sent| match &sent.version.record {
                Record::Lead(id, State::Present(lead)) => Some((text(id), lead)),
                _ => None,
            })
            .collect();
        let of_deals = deals.values().map(|deal| {
            let lead = deal.lead.as_ref().and_then(|lead| leads.get(lead.as_str()).copied());
            self.deal(deal, lead, settings)
        });
        let of_leads = leads.iter().map(|(id, lead)| {
            let is_its = |deal: &&Deal| deal.lead.as_ref().is_some_and(|lead| lead.as_str() == id);
            // In the order of their ids.
            let its: Vec<&Deal> = deals.values().copied().filter(is_its).collect();
            self.lead(lead, &its, settings)
        });
        of_deals.chain(of_leads).collect()
    }

    fn deal(&self, deal: &Deal, lead: Option<&Lead>, settings: &Settings) -> Told {
        let (opened_on, end) = life(deal, settings);
        let home = self.home_of_deal(deal, lead);
        let worth = |on| self.worth(deal.amount, on, &home.claims);
        let what = What::Deal {
            opened_on,
            end,
            money: deal.amount,
            worth_when_opened: worth(opened_on),
            worth_at_end: end.and_then(|(on, _)| worth(on)),
            is_prospect: lead.is_none(),
        };
        Told { what, home }
    }

    fn lead(&self, lead: &Lead, deals: &[&Deal], settings: &Settings) -> Told {
        let local = |at| settings.zone.local_date(at);
        let (converted_on, disqualified_on) = match lead.outcome {
            LeadOutcome::Open => (None, None),
            LeadOutcome::Converted(at) => (Some(local(at)), None),
            LeadOutcome::Disqualified(at) => (None, Some(local(at))),
        };
        let ends: Vec<Option<(Date, End)>> = deals.iter().map(|deal| life(deal, settings).1).collect();
        let mut resolved: Option<(Date, Resolution)> = None;
        for &(on, _) in ends.iter().flatten().filter(|(_, end)| *end == End::Won) {
            if resolved.is_none_or(|(first, _)| on < first) {
                resolved = Some((on, Resolution::Purchased));
            }
        }
        if resolved.is_none() && ends.iter().all(Option::is_some) {
            let dates = ends.iter().flatten().map(|(on, _)| *on).chain(disqualified_on);
            resolved = dates.max().map(|last| (last, Resolution::Lost));
        }
        let what = What::Lead { created_on: local(lead.created_at), converted_on, disqualified_on, resolved };
        Told { what, home: self.home_of_lead(lead, deals, settings) }
    }

    pub fn worth(&self, money: Option<Money>, on: Date, claims: &[Claim]) -> Option<Worth> {
        let to = self.settings.as_ref()?.reporting_currency;
        let (whole_e4, oldest_rate_on) = converted(money?, to, &self.rates, on)?;
        let parts_of = |role| {
            let shares: Vec<i128> = claims.iter().filter(|c| c.role == role).map(|c| c.bps).collect();
            split(whole_e4, &shares)
        };
        Some(Worth { whole_e4, parts_e4: ROLES.into_iter().flat_map(parts_of).collect(), oldest_rate_on })
    }

    fn home_of_deal(&self, deal: &Deal, lead: Option<&Lead>) -> Home {
        let claims = self.claims(&deal.credits.iter().collect::<Vec<_>>());
        let channel = deal.channel.as_ref().or_else(|| lead?.channel.as_ref()).map(text);
        let owner = deal.owner.as_ref().map(|owner| self.employees.survivor(owner.as_str()));
        let unit = deal.unit.as_ref().map(text).or_else(|| self.unit_of(owner.as_deref()));
        Home {
            region: deal.region.as_ref().map(|region| region.to_string()).or_else(|| {
                let greatest = greatest(deal)?;
                self.region_of(greatest)
            }),
            media: channel.as_ref().and_then(|channel| self.media.get(channel).copied()),
            channel,
            owner,
            units: unit.map_or(Vec::new(), |unit| self.units.with_ancestors(&unit)),
            claims,
            sold: vec![sold(deal)],
        }
    }

    /// What the lead leaves empty is its first deal's.
    fn home_of_lead(&self, lead: &Lead, deals: &[&Deal], settings: &Settings) -> Home {
        let mut home = self.home_of_deal_or_nothing(first(deals, settings));
        home.sold = deals.iter().map(|deal| sold(deal)).collect();
        let own_region = lead.region.as_ref().map(|region| region.to_string());
        let region = own_region.or_else(|| self.region_of(lead.partner.as_ref()?.as_str()));
        if region.is_some() {
            home.region = region;
        }
        if let Some(channel) = &lead.channel {
            home.media = self.media.get(channel.as_str()).copied();
            home.channel = Some(text(channel));
        }
        if let Some(owner) = &lead.owner {
            let owner = self.employees.survivor(owner.as_str());
            let unit = self.unit_of(Some(&owner));
            home.units = unit.map_or(Vec::new(), |unit| self.units.with_ancestors(&unit));
            home.owner = Some(owner);
        }
        if let Some(partner) = &lead.partner {
            let as_sourced = Credit { role: Role::Sourced, partner: partner.clone(), share: None };
            home.claims = self.claims(&[&as_sourced]);
        }
        home
    }

    fn home_of_deal_or_nothing(&self, deal: Option<&Deal>) -> Home {
        let nothing = || Home {
            region: None,
            channel: None,
            media: None,
            owner: None,
            units: Vec::new(),
            claims: self.claims(&[]),
            sold: Vec::new(),
        };
        deal.map_or_else(nothing, |deal| self.home_of_deal(deal, None))
    }

    /// Role by role, a credit without a share taking what is left, and then the rest.
    fn claims(&self, credits: &[&Credit]) -> Vec<Claim> {
        let mut claims = Vec::new();
        for role in ROLES {
            let mut left = 10_000;
            let mut of_role: Vec<&Credit> =
                credits.iter().copied().filter(|credit| credit.role == role).collect();
            of_role.sort_by_key(|credit| text(&credit.partner));
            let given: i128 =
                of_role.iter().filter_map(|credit| credit.share).map(|s| i128::from(s.get())).sum();
            for credit in of_role {
                let partner = credit.partner.as_str();
                let by = Line {
                    partner: self.partners.survivor(partner),
                    with_ancestors: self.partners.with_ancestors(partner),
                };
                let bps = credit.share.map_or(10_000 - given, |share| i128::from(share.get()));
                left -= bps;
                claims.push(Claim { role, by: Some(by), bps });
            }
            if left > 0 {
                claims.push(Claim { role, by: None, bps: left });
            }
        }
        claims
    }

    fn unit_of(&self, owner: Option<&str>) -> Option<String> {
        self.employees.sent.get(owner?)?.unit.clone()
    }

    fn region_of(&self, partner: &str) -> Option<String> {
        let fields = self.partner_fields.get(&self.partners.survivor(partner))?;
        fields.region.as_ref().map(|region| region.to_string())
    }
}

/// When a deal was opened, and when and how it ended.
fn life(deal: &Deal, settings: &Settings) -> (Date, Option<(Date, End)>) {
    let local = |at| settings.zone.local_date(at);
    let opened_on = local(deal.opened_at);
    let end = match (deal.status, deal.expiry, settings.time_limit_days) {
        (DealStatus::Won(at), ..) => Some((local(at), End::Won)),
        (DealStatus::Lost(at), ..) => {
            Some((local(at), End::Lost { competitor_known: deal.competitor.is_some() }))
        }
        (DealStatus::Open, Some(Expiry::Never), _) | (DealStatus::Open, None, None) => None,
        (DealStatus::Open, Some(Expiry::At(at)), _) => Some((local(at).max(opened_on), End::Expired)),
        (DealStatus::Open, None, Some(days)) => {
            let day_number = opened_on.day_number() + i32::from(days);
            let is_limit = day_number <= Date::LAST.day_number();
            is_limit.then_some((Date::from_day_number(day_number), End::Expired))
        }
    };
    // Never opened after its end.
    (end.map_or(opened_on, |(ended_on, _)| opened_on.min(ended_on)), end)
}

/// The first opened, of those of one day the least id. Deals come in the order of their ids.
fn first<'a>(deals: &[&'a Deal], settings: &Settings) -> Option<&'a Deal> {
    let mut first: Option<&Deal> = None;
    for deal in deals {
        if first.is_none_or(|first| life(deal, settings).0 < life(first, settings).0) {
            first = Some(deal);
        }
    }
    first
}

/// The partner with the greatest credit, of equal ones the least id, among the first role that has any.
fn greatest(deal: &Deal) -> Option<&str> {
    let of_role = |role| deal.credits.iter().filter(move |credit| credit.role == role);
    let role = ROLES.into_iter().find(|&role| of_role(role).next().is_some())?;
    let given: i128 = of_role(role).filter_map(|credit| credit.share).map(|s| i128::from(s.get())).sum();
    let bps = |credit: &Credit| credit.share.map_or(10_000 - given, |share| i128::from(share.get()));
    let most = of_role(role).map(bps).max()?;
    of_role(role).filter(|credit| bps(credit) == most).map(|credit| credit.partner.as_str()).min()
}

fn sold(deal: &Deal) -> (Option<String>, Labels) {
    (deal.product.as_ref().map(|product| product.to_string()), deal.labels.clone())
}
