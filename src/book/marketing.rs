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
use super::pages::older;
use super::pipeline::Found;
use super::scope::Scope;
use super::spends::Spent;
use crate::domain::amount::{Amount, Money};
use crate::domain::calendar::{Date, DateRange};
use crate::domain::filter::Filter;
use crate::domain::ids::Id;
use crate::domain::premises::RatesOn;
use crate::domain::record::{LeadOutcome, Media, Settings};
use crate::domain::subject::Subject;
use crate::domain::window::{Window, WindowSpec};
use crate::kpi::marketing_channel::{AllChannels, Basis, Channel, MarketingFold, Performance, Spend};
use crate::kpi::measures::{Measures, Tally};

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
        self.oldest_rate_on = older(self.oldest_rate_on, value.oldest_rate_on());
    }
}

// === impl Book ===

impl Book {
    /// What the leads of a window have led to that are at least as old as the p90 cycle: with them channels are judged.
    /// None where there are no such days.
    pub fn judged_marketing(
        &self,
        asked: &MarketingQuestion<'_>,
        window: &Window,
    ) -> Option<(Window, Found<MarketingFold<'_>>)> {
        let dates = window.at_least_old(self.p90_cycle_days(window.as_of)?)?;
        let older = WindowSpec::Dates(dates).resolve(window.as_of, &self.settings()?.period_starts())?;
        Some((older, self.marketing(&MarketingQuestion { basis: Basis::Cohort, ..*asked }, &older)))
    }

    /// What came by each channel within the days of a window that have come. Every channel that was sent
    /// and not deleted has a row, and every other one that something in the window names.
    pub fn marketing(&self, asked: &MarketingQuestion<'_>, window: &Window) -> Found<MarketingFold<'_>> {
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
                self.each_spend(asked, &spenders, dates, |channel, part, rate_on| {
                    rows.oldest_rate_on = older(rows.oldest_rate_on, rate_on);
                    if let Some(spend) = &mut rows.of(Some(channel)).spend {
                        *spend += part;
                    }
                });
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

    /// What came by all channels together within the days of a window: as much of it as cards tell. `measures`
    /// are those that the scope's fold found in these days.
    pub fn by_all_channels(
        &self,
        asked: &MarketingQuestion<'_>,
        measures: &Measures,
        window: &Window,
    ) -> Found<AllChannels> {
        let mut spend = None;
        let mut oldest_rate_on = None;
        if let Some(spenders) = self.spenders(asked) {
            let spent = spend.insert(Spend::default());
            self.each_spend(asked, &spenders, window.counted(), |_, part, rate_on| {
                *spent += part;
                oldest_rate_on = older(oldest_rate_on, rate_on);
            });
        }
        let are_leads_counted = !asked.filter.asks_for_deals_only();
        Found { found: AllChannels::new(measures, are_leads_counted, spend), oldest_rate_on }
    }

    /// Walks what was spent within `dates`, each with its channel and the date of the oldest rate that it took.
    fn each_spend(
        &self,
        asked: &MarketingQuestion<'_>,
        spenders: &Spenders,
        dates: DateRange,
        mut take: impl FnMut(ChannelRef, Spend, Option<Date>),
    ) {
        let Some(settings) = self.settings() else { return };
        let mut take_spent = |spent: &Spent| {
            if passes(asked.scope, Some(spent.channel)) {
                let days =
                    DateRange { from: dates.from.max(spent.dates.from), to: dates.to.min(spent.dates.to) };
                let (spend, rate_on) = self.spend_in(spent, days, asked.rates, settings);
                take(spent.channel, spend, rate_on);
            }
        };
        match spenders {
            Spenders::Everyone => self.spends.touching(dates).for_each(take_spent),
            Spenders::For(partners) => {
                let names = &self.records.dictionary.partners;
                for &partner in partners {
                    self.spends.of_partner(names.name(partner), dates).for_each(&mut take_spent);
                }
            }
        }
    }

    /// What of a spend falls on some of its days.
    fn spend_in(
        &self,
        spent: &Spent,
        days: DateRange,
        rates: RatesOn,
        settings: &Settings,
    ) -> (Spend, Option<Date>) {
        if spent.amount.currency == settings.reporting_currency {
            let amount_e4 = spent.part_in(days).e4().into();
            return (Spend { amount_e4, unconverted_day_count: 0 }, None);
        }
        let (mut spend, mut oldest_rate_on) = (Spend::default(), None);
        for n in 0..days.days() {
            let from = days.from.plus_days(n);
            let amount = spent.part_in(DateRange { from, to: from.next() });
            let money = Money { amount, ..spent.amount };
            let value = value_on(Some(money), rates.day().unwrap_or(from), settings, &self.ground.rates);
            oldest_rate_on = older(oldest_rate_on, value.oldest_rate_on());
            spend += match value.amount() {
                Some(amount) => Spend { amount_e4: amount.e4().into(), unconverted_day_count: 0 },
                None => Spend { amount_e4: 0, unconverted_day_count: 1 },
            };
        }
        (spend, oldest_rate_on)
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
