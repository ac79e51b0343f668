//! Marketing: what came by each channel within a window, and what was spent on it (docs/kpis.md §6, 4).
//!
//! On the period basis everything counts by its own date, in the row of its own channel. On the cohort
//! basis the question's leads count that were created in the window, and of their deals those that pass
//! the question themselves, in the lead's row. Rows know the channel that counts: of a deal without one
//! its lead's, of a lead without one its first deal's.

#[cfg(test)]
mod against_sql;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::Book;
use super::chain::Chain;
use super::contribute::{life_of, value_on};
use super::entry::{Event, Outcome, ProspectOutcome, Value};
use super::packed::{ChannelRef, LeadRef, PartnerRef};
use super::page::{Page, Parts, Row, Sheet};
use super::pipeline::Found;
use super::scope::Scope;
use crate::domain::amount::{Amount, Money};
use crate::domain::calendar::{Date, DateRange};
use crate::domain::filter::Filter;
use crate::domain::ids::Id;
use crate::domain::premises::RatesOn;
use crate::domain::record::{LeadOutcome, Media, Settings, Spend as SpendRecord};
use crate::domain::subject::Subject;
use crate::domain::window::Window;
use crate::kpi::marketing_channel::{Basis, Channel, MarketingFold, Performance, Spend};
use crate::kpi::measures::Tally;

/// What is asked of every window.
#[derive(Clone, Copy)]
pub struct MarketingQuestion<'a> {
    pub subject: &'a Subject,
    pub filter: &'a Filter,
    /// That of subject and filter.
    pub scope: &'a Scope,
    pub basis: Basis,
    pub rates: RatesOn,
}

/// The rows so far.
struct Rows {
    nothing: Performance,
    /// By the numbers of channels, where there is something.
    by_channel: Vec<Option<Performance>>,
    unattributed: Performance,
    oldest_rate_on: Option<Date>,
}

/// Whose spends count, where they are told.
enum Spenders {
    Everyone,
    /// Those that name one of these partners, sorted.
    For(Vec<PartnerRef>),
}

/// The current spends that name a partner, by it.
pub(super) struct SpendsByPartner<'a>(HashMap<PartnerRef, Vec<&'a SpendRecord>>);

// === impl SpendsByPartner ===

impl SpendsByPartner<'_> {
    pub fn partners(&self) -> impl Iterator<Item = PartnerRef> {
        self.0.keys().copied()
    }
}

type Entries<'a> = Box<dyn Iterator<Item = (&'a Row, Parts<'a>)> + 'a>;

// === impl Rows ===

impl Rows {
    fn of(&mut self, channel: Option<ChannelRef>) -> &mut Performance {
        match channel {
            None => &mut self.unattributed,
            Some(channel) => self.by_channel[channel.index()].get_or_insert(self.nothing),
        }
    }

    fn note_rate(&mut self, value: Value) {
        self.oldest_rate_on = self.oldest_rate_on.into_iter().chain(value.oldest_rate_on()).min();
    }
}

// === impl Book ===

impl Book {
    /// What came by each channel within the days of a window that have come. Every channel that was sent
    /// and not deleted has a row, and every other one that something in the window names.
    pub fn marketing(&self, asked: &MarketingQuestion<'_>, window: &Window) -> Found<MarketingFold<'_>> {
        self.marketing_of(asked, window, None)
    }

    /// The spends that name partners: found once for all partners that are asked about.
    pub(super) fn spends_by_partner(&self) -> SpendsByPartner<'_> {
        let mut spends: HashMap<PartnerRef, Vec<&SpendRecord>> = HashMap::new();
        for spend in self.current_spends() {
            let partner = spend.partner.as_ref();
            let partner = partner.and_then(|id| self.records.dictionary.partners.get(id.as_str()));
            if let Some(partner) = partner {
                spends.entry(partner).or_default().push(spend);
            }
        }
        SpendsByPartner(spends)
    }

    fn current_spends(&self) -> impl Iterator<Item = &SpendRecord> {
        let current = self.records.spends.chains().filter_map(|(_, chain)| chain.current());
        current.filter_map(|kept| kept.content.present())
    }

    /// The same of a partner, where its spends are found already.
    pub(super) fn marketing_of(
        &self,
        asked: &MarketingQuestion<'_>,
        window: &Window,
        spends: Option<&SpendsByPartner<'_>>,
    ) -> Found<MarketingFold<'_>> {
        let spenders = self.spenders(asked);
        let are_leads_counted = !asked.filter.asks_for_deals_only();
        let nothing = Performance::nothing(asked.basis, are_leads_counted, spenders.is_some());
        let by_channel = vec![None; self.records.dictionary.channels.len()];
        let mut rows = Rows { nothing, by_channel, unattributed: nothing, oldest_rate_on: None };
        let dates = window.counted();
        if let Some(settings) = self.settings()
            && dates.days() > 0
        {
            match asked.basis {
                Basis::Period => self.add_period(&mut rows, asked, dates),
                Basis::Cohort => self.add_cohort(&mut rows, asked, dates, window.as_of, settings),
            }
            if let Some(spenders) = spenders {
                self.add_spends(&mut rows, asked, &spenders, spends, dates, settings);
            }
        }
        self.named(rows, asked.scope)
    }

    /// Everything by its own date.
    fn add_period(&self, rows: &mut Rows, asked: &MarketingQuestion<'_>, dates: DateRange) {
        let sheets: [fn(&Page) -> &Sheet; 3] = [|page| &page.opened, |page| &page.ended, |page| &page.leads];
        for sheet in sheets {
            for (row, parts) in self.dated(sheet, asked.scope, dates.from, dates.to.plus_days(-1)) {
                let amount = self.won_part(rows, row, parts, asked.rates);
                rows.of(self.channel_of(row)).measures += row.measures(amount);
            }
        }
    }

    /// The leads created within `dates`, and what they have led to by `as_of`.
    fn add_cohort(
        &self,
        rows: &mut Rows,
        asked: &MarketingQuestion<'_>,
        dates: DateRange,
        as_of: Date,
        settings: &Settings,
    ) {
        // Of the leads' deals, the channels of their leads, and between which days to look for them.
        let mut channels_of_deals: HashMap<u32, Option<ChannelRef>> = HashMap::new();
        let (mut first_opened_on, mut first_ended_on) = (Date::NEVER, Date::NEVER);
        for (row, _) in self.dated(|page| &page.leads, asked.scope, dates.from, dates.to.plus_days(-1)) {
            let Event::LeadCreated(outcome) = row.event else { continue };
            let measures = &mut rows.of(self.channel_of(row)).measures;
            *measures += row.measures(None);
            match outcome {
                ProspectOutcome::Purchased if row.other_on <= as_of => measures.purchased_count += 1,
                ProspectOutcome::Lost if row.other_on <= as_of => measures.lost_prospect_count += 1,
                _ => {}
            }
            let number = LeadRef::new(row.of);
            let lead = self.records.leads.current(number);
            if let Some(LeadOutcome::Converted(at)) = lead.map(|lead| lead.outcome) {
                measures.converted_lead_count += i64::from(settings.zone.local_date(at) <= as_of);
            }
            for &number in self.deals_of_leads.get(&number).into_iter().flatten() {
                let Some(deal) = self.records.deals.current(number) else { continue };
                let (opened_on, ended_on, _) = life_of(&deal, settings);
                first_opened_on = first_opened_on.min(opened_on);
                first_ended_on = first_ended_on.min(ended_on);
                channels_of_deals.insert(number.number(), self.channel_of(row));
            }
        }
        for (row, _) in self.dated(|page| &page.opened, asked.scope, first_opened_on, as_of) {
            if let Some(&channel) = channels_of_deals.get(&row.of) {
                rows.of(channel).measures.opened.count += 1;
            }
        }
        for (row, parts) in self.dated(|page| &page.ended, asked.scope, first_ended_on, as_of) {
            if let Some(&channel) = channels_of_deals.get(&row.of).filter(|_| is_won(row)) {
                let amount = self.won_part(rows, row, parts, asked.rates);
                rows.of(channel).measures.won += Tally {
                    count: 1,
                    priced_count: i64::from(amount.is_some()),
                    amount_e4: amount.map_or(0, |amount| amount.e4().into()),
                };
            }
        }
    }

    /// The channel that counts.
    fn channel_of(&self, row: &Row) -> Option<ChannelRef> {
        self.pools.traits.value(row.traits).channel
    }

    fn dated<'a>(
        &'a self,
        sheet: fn(&Page) -> &Sheet,
        scope: &'a Scope,
        from: Date,
        last: Date,
    ) -> Entries<'a> {
        Box::new(self.pages.entries(&self.pools, sheet, scope, from, last))
    }

    /// The scope's part of what a deal was won for. Other amounts aren't asked for.
    fn won_part(&self, rows: &mut Rows, row: &Row, parts: Parts<'_>, rates: RatesOn) -> Option<Amount> {
        if !is_won(row) {
            return None;
        }
        let value = self.value_of(row, rates);
        rows.note_rate(value);
        value.amount().map(|whole| parts.of(whole))
    }

    /// Whose spends count. None where what was spent can't be told: of employees and units, and of parts of
    /// what the channels brought.
    fn spenders(&self, asked: &MarketingQuestion<'_>) -> Option<Spenders> {
        if !asked.filter.asks_for_channels_only() {
            return None;
        }
        match asked.subject {
            Subject::Tenant => Some(Spenders::Everyone),
            Subject::Partner { partner, include_sub_partners } => {
                let number = self.records.dictionary.partners.get(partner.as_str())?;
                Some(Spenders::For(self.partner_trees.members(number, *include_sub_partners)))
            }
            Subject::Employee(_) | Subject::Unit(_) => None,
        }
    }

    fn add_spends(
        &self,
        rows: &mut Rows,
        asked: &MarketingQuestion<'_>,
        spenders: &Spenders,
        found: Option<&SpendsByPartner<'_>>,
        dates: DateRange,
        settings: &Settings,
    ) {
        let dictionary = &self.records.dictionary;
        let is_for = |spend: &&SpendRecord| match spenders {
            Spenders::Everyone => true,
            Spenders::For(partners) => {
                let partner = spend.partner.as_ref().and_then(|id| dictionary.partners.get(id.as_str()));
                partner.is_some_and(|partner| partners.binary_search(&partner).is_ok())
            }
        };
        let spends: Box<dyn Iterator<Item = &SpendRecord>> = match (spenders, found) {
            (Spenders::For(partners), Some(found)) => {
                let of_each = partners.iter().filter_map(|partner| found.0.get(partner));
                Box::new(of_each.flatten().copied())
            }
            _ => Box::new(self.current_spends().filter(is_for)),
        };
        for spend in spends {
            let channel = dictionary.channels.get(spend.channel.as_str());
            if !passes(asked.scope, channel) {
                continue;
            }
            let days = DateRange { from: dates.from.max(spend.dates.from), to: dates.to.min(spend.dates.to) };
            for n in 0..days.days().max(0) {
                let on = days.from.plus_days(n);
                let amount = part_on(spend, on);
                let money = Money { amount, currency: spend.amount.currency };
                let rates_on = asked.rates.day().unwrap_or(on);
                let value = value_on(Some(money), rates_on, settings, &self.ground.rates);
                rows.note_rate(value);
                let spent = match value.amount() {
                    Some(amount) => Spend { amount_e4: amount.e4().into(), unconverted_day_count: 0 },
                    None => Spend { amount_e4: 0, unconverted_day_count: 1 },
                };
                if let Some(spend) = &mut rows.of(channel).spend {
                    *spend += spent;
                }
            }
        }
    }

    /// The rows by the ids of their channels, with those of the channels by which nothing came.
    fn named(&self, mut rows: Rows, scope: &Scope) -> Found<MarketingFold<'_>> {
        let names = &self.records.dictionary.channels;
        let sent = self.records.channels.chains().filter(|(_, chain)| !chain.is_deleted());
        let sent = sent.filter_map(|(id, _)| names.get(id.as_str()));
        for channel in sent.filter(|&channel| passes(scope, Some(channel))) {
            rows.of(Some(channel));
        }
        let named = names.refs().zip(&rows.by_channel).filter_map(|(channel, &performance)| {
            let (name, media) = self.channel(channel);
            Some((names.name(channel), Channel { name, media, performance: performance? }))
        });
        let (channels, unattributed) = (named.collect(), rows.unattributed);
        Found { found: MarketingFold { channels, unattributed }, oldest_rate_on: rows.oldest_rate_on }
    }

    /// A channel's name and medium, of the last version that says them.
    fn channel(&self, channel: ChannelRef) -> (Option<&str>, Option<Media>) {
        let id = Id::try_new(self.records.dictionary.channels.name(channel)).expect("ids went in as ids");
        let sent = self.records.channels.chain(&id).and_then(Chain::last_present);
        (sent.and_then(|channel| channel.name.as_deref()), sent.and_then(|channel| channel.media))
    }
}

fn is_won(row: &Row) -> bool {
    row.event == Event::DealEnded(Outcome::Won)
}

/// Whether a filter on channels and media lets a channel pass.
fn passes(scope: &Scope, channel: Option<ChannelRef>) -> bool {
    let asked = scope.test.as_ref().and_then(|test| test.channels.as_ref());
    asked.is_none_or(|asked| asked.contains(&channel))
}

/// What of a spend falls on one of its days: whole ten-thousandths, the remainder one each to its first
/// days.
fn part_on(spend: &SpendRecord, on: Date) -> Amount {
    let days = i64::from(spend.dates.days());
    let (each_e4, rest_e4) = (spend.amount.amount.e4() / days, spend.amount.amount.e4() % days);
    let is_among_first = i64::from(on.days_since(spend.dates.from)) < rest_e4;
    Amount::try_from_e4(each_e4 + i64::from(is_among_first)).expect("a part is at most the whole")
}
