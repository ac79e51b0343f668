//! The trade: leads come in, deals are opened, go from stage to stage, and end.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};

use super::company::{Company, Partner, Quality};
use super::random::{Random, Weights};
use super::world::{
    self, AUGUST_WIN_PERCENT, CHANNELS, COMPETITORS, EUROPE, LOST_REASONS, MONTHS, PRODUCTS, PROPOSAL,
    REGIONS, SEGMENTS, STAGE_DAYS, STAGES, TEAMS,
};
use super::{
    Generator, Kind, Log, Stream, date, first_of_quarter, in_business_hours, local_date, money, plus_days,
};
use crate::proto::channelkpi::v1 as pb;
use crate::proto::channelkpi::v1::{CreditRole, Deal, DealStatus, LeadOutcome, PartnerCredit};
use crate::proto::google::r#type::Money;

/// What came of the trade: what plans are made with.
pub(super) struct Trade {
    won: Vec<Won>,
}

/// A deal that was won by the last day.
pub(super) struct Won {
    usd: i64,
    pub partner: Option<usize>,
    pub owner: usize,
}

/// How a deal begins.
struct Opening {
    on: NaiveDate,
    partner: Option<usize>,
    owner: usize,
    /// The lead that it was made of.
    lead: Option<String>,
    /// Of the lead, in [`CHANNELS`].
    channel: Option<usize>,
}

/// How a deal will end, if it is given the time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Won,
    Lost,
    /// Nobody ever says what became of it: it expires.
    Silent,
}

/// What happens to a deal.
#[derive(Clone, Copy)]
enum Step {
    Stage(usize),
    /// The partner asks for more time, so many days.
    Extend(i64),
    Reassign,
    /// Another partner helps.
    Influence(usize),
    Close(DealStatus),
    /// The customer comes back to a lost deal.
    Reopen,
    /// It was entered twice.
    Delete,
}

impl Trade {
    pub fn run(story: &Generator, company: &Company, log: &mut Log) -> Self {
        let market = Market::new(story, company);
        let mut openings = market.leads(log);
        let deal_count = story.scaled(12_000, 100);
        market.registrations(deal_count.saturating_sub(openings.len()), &mut openings);
        openings.sort_by_key(|opening| opening.on);

        let mut random = story.random(Stream::Deals);
        let mut won = Vec::new();
        for (number, opening) in (1..).zip(&openings) {
            won.extend(market.deal(number, opening, &mut random, log));
        }
        Self { won }
    }

    /// What some of the deals won were worth, about.
    pub fn won_usd(&self, which: impl Fn(&Won) -> bool) -> i64 {
        self.won.iter().filter(|won| which(won)).map(|won| won.usd).sum()
    }
}

/// Who may meet whom, and when.
struct Market<'s> {
    story: &'s Generator,
    company: &'s Company,
    first_on: NaiveDate,
    /// The days of the story, the lively ones more often.
    days: Weights,
    partners: Weights,
}

impl<'s> Market<'s> {
    fn new(story: &'s Generator, company: &'s Company) -> Self {
        let first_on = story.first_on();
        let days = first_on.iter_days().take_while(|day| *day <= story.last_on).map(|day| {
            let weekend = matches!(day.weekday(), chrono::Weekday::Fri | chrono::Weekday::Sat);
            let growth = 100 + (day - first_on).num_days() / 25;
            MONTHS[day.month0() as usize] * growth * if weekend { 1 } else { 8 }
        });
        let partners = Weights::new(company.partners.iter().map(|partner| partner.weight));
        Self { story, company, first_on, days: Weights::new(days), partners }
    }

    fn day(&self, random: &mut Random) -> NaiveDate {
        plus_days(self.first_on, self.days.pick(random) as i64)
    }

    /// A partner that works with the company on a day.
    fn partner(&self, day: NaiveDate, random: &mut Random) -> usize {
        loop {
            let number = self.partners.pick(random);
            if self.company.partners[number].works_on(day) {
                return number;
            }
        }
    }

    /// Mostly the partner's manager, sometimes a colleague.
    fn owner(&self, partner: Option<usize>, random: &mut Random) -> usize {
        match partner.map(|partner| &self.company.partners[partner]) {
            Some(partner) if random.percent(85) => partner.manager,
            Some(partner) => self.company.someone_of(partner.country.team, random),
            None => random.below(self.company.employees.len()),
        }
    }

    /// Tells of all leads. Those that convert open a deal.
    fn leads(&self, log: &mut Log) -> Vec<Opening> {
        let mut random = self.story.random(Stream::Leads);
        let shares = Weights::new(CHANNELS.iter().map(|channel| channel.share));
        let mut created: Vec<NaiveDate> =
            (0..self.story.scaled(12_000, 100)).map(|_| self.day(&mut random)).collect();
        created.sort();
        let mut openings = Vec::new();
        for (number, on) in (1..).zip(created) {
            let partner = random.percent(85).then(|| self.partner(on, &mut random));
            let owner = self.owner(partner, &mut random);
            let channel = (!random.percent(7)).then(|| shares.pick(&mut random));
            let region = match partner {
                Some(_) => "",
                None => REGIONS[TEAMS[self.company.employees[owner].team].region].name,
            };
            let created_at = in_business_hours(on, &mut random);
            let mut lead = pb::Lead {
                lead_id: format!("L-{number:05}"),
                created_at: Some(super::timestamp(created_at)),
                partner_id: partner
                    .map(|partner| self.company.partners[partner].id.clone())
                    .unwrap_or_default(),
                owner_employee_id: self.company.employees[owner].id.clone(),
                marketing_channel_id: channel.map_or("", |channel| CHANNELS[channel].id).into(),
                region: region.into(),
                ..pb::Lead::default()
            };
            log.say(created_at, Kind::Lead(lead.clone()));

            let conversion = channel.map_or(35, |channel| CHANNELS[channel].conversion_percent);
            let (outcome, wait_days) = match random.percent(conversion) {
                true => (LeadOutcome::Converted, random.between(1, 24)),
                false if random.percent(82) => (LeadOutcome::Disqualified, random.between(2, 45)),
                false => continue,
            };
            let decided_at = in_business_hours(plus_days(on, wait_days), &mut random);
            lead.outcome = outcome.into();
            lead.decided_at = Some(super::timestamp(decided_at));
            let lead_id = lead.lead_id.clone();
            log.say(decided_at, Kind::Lead(lead));
            let on = local_date(decided_at);
            // Of some converted leads nobody ever makes a deal.
            if outcome == LeadOutcome::Converted && on <= self.story.last_on && number % 450 != 5 {
                openings.push(Opening { on, partner, owner, lead: Some(lead_id), channel });
            }
        }
        openings
    }

    /// Deals that begin without a lead: partners register them, some the company finds itself.
    fn registrations(&self, count: usize, openings: &mut Vec<Opening>) {
        let mut random = self.story.random(Stream::Registrations);
        for _ in 0..count {
            let on = self.day(&mut random);
            let partner = (!random.percent(9)).then(|| self.partner(on, &mut random));
            let owner = self.owner(partner, &mut random);
            openings.push(Opening { on, partner, owner, lead: None, channel: None });
        }
    }

    /// Tells the life of a deal.
    fn deal(&self, number: u32, opening: &Opening, random: &mut Random, log: &mut Log) -> Option<Won> {
        let Opening { on, owner, .. } = *opening;
        let partner = opening.partner.map(|partner| &self.company.partners[partner]);
        let employee = &self.company.employees[owner];
        let (product, price_usd) = *random.pick(&PRODUCTS);
        let (segment, price_percent, _) = SEGMENTS[segments().pick(random)];
        let star_percent =
            if partner.is_some_and(|partner| partner.quality == Quality::Star) { 125 } else { 100 };
        let mut usd = random.spread(price_usd * price_percent / 100 * star_percent / 100);
        let currency = match partner {
            _ if number % 1_500 == 17 => world::UNRATED_CURRENCY,
            Some(partner) if random.percent(80) => partner.country.currency,
            _ => super::CURRENCY,
        };
        let fate = self.fate(opening, random);
        let cycle_days = self.cycle_days(opening, fate, random);
        let protected_days = *random.pick(&[90, 90, 120, 150]);

        let mut deal = Deal {
            deal_id: format!("D-{number:05}"),
            stage: STAGES[0].0.into(),
            owner_employee_id: employee.id.clone(),
            partner_credits: self.credits(opening, random),
            lead_id: opening.lead.clone().unwrap_or_default(),
            product: product.into(),
            labels: [("segment".to_owned(), segment.to_owned())].into(),
            ..Deal::default()
        };
        let unpriced = number % 40 == 3;
        let priced_from_stage = if unpriced { usize::MAX } else { usize::from(random.percent(12)) };
        if priced_from_stage == 0 {
            deal.amount = Some(in_currency(usd, currency));
        }
        let expected_days = cycle_days.min(150) * random.between(60, 130) / 100 + 3;
        deal.expected_close = Some(date(plus_days(on, expected_days)));
        if random.percent(90) {
            deal.expire_time = Some(super::timestamp(super::at(plus_days(on, protected_days), 0)));
        }
        if random.percent(18) {
            deal.unit_id = TEAMS[employee.team].unit_id.into();
        }
        if random.percent(10) {
            deal.region = REGIONS[TEAMS[employee.team].region].name.into();
        }
        if random.percent(5) {
            deal.marketing_channel_id = random.pick(&CHANNELS).id.into();
        }
        refer_to_nobody(number, &mut deal);

        let mut said_at = in_business_hours(on, random);
        deal.opened_at = Some(super::timestamp(said_at));
        log.say(said_at, Kind::Deal(deal.clone()));

        let mut won = None;
        for (day, step) in self.steps(opening, fate, cycle_days, protected_days, random) {
            let day = plus_days(on, day);
            // One change after the other, also on one day.
            said_at = in_business_hours(day, random).max(said_at + chrono::Duration::minutes(1));
            match step {
                Step::Stage(stage) => {
                    deal.stage = STAGES[stage].0.into();
                    if random.percent(35) {
                        usd = (usd * random.between(82, 124) / 100).max(100);
                    }
                    if stage >= priced_from_stage {
                        deal.amount = Some(in_currency(usd, currency));
                    }
                    if random.percent(30) {
                        let percent = STAGES[stage].1 + random.between(-10, 10) as i32;
                        deal.probability_bps = Some(percent.clamp(0, 100) * 100);
                    }
                    if random.percent(35) {
                        deal.expected_close = Some(date(plus_days(day, random.between(8, 60))));
                    }
                }
                Step::Extend(days) => {
                    deal.expire_time =
                        Some(super::timestamp(super::at(plus_days(on, protected_days + days), 0)));
                }
                Step::Reassign => {
                    let colleague = self.company.someone_of(employee.team, random);
                    deal.owner_employee_id = self.company.employees[colleague].id.clone();
                }
                Step::Influence(helper) => deal.partner_credits.push(PartnerCredit {
                    partner_id: self.company.partners[helper].id.clone(),
                    role: CreditRole::Influenced.into(),
                    share_bps: Some(10_000),
                }),
                Step::Close(DealStatus::Won) => {
                    usd = (usd * random.between(84, 106) / 100).max(100);
                    if !unpriced {
                        deal.amount = Some(in_currency(usd, currency));
                    }
                    close(number, &mut deal, DealStatus::Won, said_at);
                    won = (day <= self.story.last_on).then_some(Won { usd, partner: opening.partner, owner });
                }
                Step::Close(_) => {
                    deal.lost_reason = (*random.pick(&LOST_REASONS)).into();
                    if deal.lost_reason == LOST_REASONS[3] || random.percent(25) {
                        deal.competitor = (*random.pick(&COMPETITORS)).into();
                    }
                    close(number, &mut deal, DealStatus::Lost, said_at);
                }
                Step::Reopen => {
                    deal.status = DealStatus::Open.into();
                    (deal.closed_at, deal.stage) = (None, STAGES[4].0.into());
                    (deal.lost_reason, deal.competitor) = (String::new(), String::new());
                    deal.expire_time = Some(super::timestamp(super::at(plus_days(day, 90), 0)));
                }
                Step::Delete => {
                    let deleted = Deal { deal_id: deal.deal_id.clone(), ..Deal::default() };
                    log.delete(said_at, Kind::Deal(deleted));
                    return None;
                }
            }
            log.say(said_at, Kind::Deal(deal.clone()));
        }
        won
    }

    fn fate(&self, opening: &Opening, random: &mut Random) -> Fate {
        let of_partner =
            |partner: usize| self.company.partners[partner].win_percent(opening.on, self.first_on);
        let base = opening.partner.map_or(41, of_partner);
        let skill = self.company.employees[opening.owner].skill_percent;
        let quality = opening.channel.map_or(100, |channel| CHANNELS[channel].quality_percent);
        let season = if opening.on.month() == 8 { AUGUST_WIN_PERCENT } else { 100 };
        let chance = base * skill * quality * season / 1_000_000;
        if random.percent(chance.min(92)) {
            Fate::Won
        } else if random.percent(64) {
            Fate::Lost
        } else {
            Fate::Silent
        }
    }

    /// How long a deal takes. What is to be won soon after a quarter's end is drawn into the quarter, if it can be.
    fn cycle_days(&self, opening: &Opening, fate: Fate, random: &mut Random) -> i64 {
        let pace = match opening.partner.map(|partner| self.company.partners[partner].quality) {
            Some(Quality::Star) => 38,
            Some(Quality::Weak | Quality::Failing) => 66,
            _ => 50,
        };
        let days = random.spread(pace).max(2);
        let closed_on = plus_days(opening.on, days);
        let quarter = first_of_quarter(closed_on);
        let past_days = (closed_on - quarter).num_days();
        if fate == Fate::Won && past_days < 18 && days > past_days + 6 && random.percent(75) {
            return days - past_days - random.between(1, 5);
        }
        days
    }

    /// Who has a share in a deal.
    fn credits(&self, opening: &Opening, random: &mut Random) -> Vec<PartnerCredit> {
        let credit = |partner: &Partner, role: CreditRole, share_bps| PartnerCredit {
            partner_id: partner.id.clone(),
            role: role.into(),
            share_bps,
        };
        let Some(number) = opening.partner else { return Vec::new() };
        let partner = &self.company.partners[number];
        let mut credits = Vec::new();
        if random.percent(8) {
            // Two found it: the second one has what the first one leaves.
            let share = *random.pick(&[5_000, 6_000, 6_667, 7_000, 8_000]);
            credits.push(credit(partner, CreditRole::Sourced, Some(share)));
            let other = self.partner(opening.on, random);
            if other != number {
                let rest = if random.percent(50) { None } else { Some(10_000 - share) };
                credits.push(credit(&self.company.partners[other], CreditRole::Sourced, rest));
            }
        } else {
            credits.push(credit(partner, CreditRole::Sourced, None));
        }
        match partner.parent {
            Some(parent) if random.percent(30) => {
                credits.push(credit(&self.company.partners[parent], CreditRole::Fulfilled, None));
            }
            _ => {}
        }
        credits
    }

    /// What happens to a deal, by days since it was opened.
    fn steps(
        &self,
        opening: &Opening,
        fate: Fate,
        cycle_days: i64,
        protected_days: i64,
        random: &mut Random,
    ) -> Vec<(i64, Step)> {
        let region = TEAMS[self.company.employees[opening.owner].team].region;
        let reached = match fate {
            Fate::Won => STAGES.len() - 1,
            Fate::Lost => random.below(STAGES.len()),
            Fate::Silent => random.below(STAGES.len() - 1),
        };
        let stage_days: Vec<i64> = (0..=reached)
            .map(|stage| {
                let slow = if region == EUROPE && stage == PROPOSAL { 3 } else { 1 };
                STAGE_DAYS[stage] * slow * random.between(40, 160)
            })
            .collect();
        let total: i64 = stage_days.iter().sum();
        let mut steps = Vec::new();
        let mut spent = 0;
        for stage in 1..=reached {
            spent += stage_days[stage - 1];
            let day = cycle_days * spent / total;
            steps.push((day, Step::Stage(stage)));
            if stage > 1 && random.percent(3) {
                // Back for a while, and on again.
                steps.push((day + 1, Step::Stage(stage - 1)));
                steps.push((day + 2, Step::Stage(stage)));
            }
        }
        if random.percent(2) {
            steps.push((cycle_days / 2, Step::Reassign));
        }
        if random.percent(11) {
            steps.push((cycle_days / 3, Step::Influence(self.partner(opening.on, random))));
        }
        if fate != Fate::Silent && cycle_days >= protected_days && !random.percent(10) {
            steps.push((protected_days - 4, Step::Extend(cycle_days - protected_days + 30)));
        }
        steps.retain(|(day, _)| *day <= cycle_days);
        match fate {
            Fate::Won => steps.push((cycle_days, Step::Close(DealStatus::Won))),
            Fate::Lost => {
                steps.push((cycle_days, Step::Close(DealStatus::Lost)));
                if random.percent(2) {
                    let back = cycle_days + random.between(15, 50);
                    steps.push((back, Step::Reopen));
                    steps.push((back + random.between(3, 30), Step::Close(DealStatus::Won)));
                }
            }
            Fate::Silent => {}
        }
        if random.percent(1) {
            steps.push((cycle_days + 3, Step::Delete));
        }
        steps.sort_by_key(|(day, _)| *day);
        steps
    }
}

fn segments() -> Weights {
    Weights::new(SEGMENTS.iter().map(|(.., share)| *share))
}

/// An amount as people write it: three digits that count.
fn in_currency(usd: i64, currency: &str) -> Money {
    let units = usd * world::per_100_usd(currency) / 100;
    let step = match units {
        ..1_000 => 5,
        1_000..10_000 => 50,
        10_000..100_000 => 500,
        100_000..1_000_000 => 5_000,
        _ => 50_000,
    };
    money(currency, (units / step).max(1) * step)
}

/// A deal ends. Of a few the end is mistyped.
fn close(number: u32, deal: &mut Deal, status: DealStatus, at: DateTime<Utc>) {
    let told_at = match number {
        _ if number % 1_700 == 29 => {
            let opened_at = deal.opened_at.map_or(0, |time| time.seconds);
            DateTime::from_timestamp(opened_at, 0).unwrap_or(at) - Days::new(2)
        }
        _ if number % 2_900 == 83 => at + Months::new(24),
        _ => at,
    };
    deal.status = status.into();
    deal.closed_at = Some(super::timestamp(told_at));
    deal.stage = if status == DealStatus::Won { "Won" } else { "Lost" }.into();
    deal.probability_bps = None;
}

/// A few deals name records that the CRM never sent.
fn refer_to_nobody(number: u32, deal: &mut Deal) {
    match number {
        _ if number % 1_900 == 41 => {
            deal.partner_credits = vec![PartnerCredit {
                partner_id: world::UNKNOWN_PARTNER.into(),
                role: CreditRole::Sourced.into(),
                share_bps: None,
            }];
        }
        _ if number % 2_100 == 53 => deal.owner_employee_id = world::UNKNOWN_EMPLOYEE.into(),
        _ if number % 2_300 == 61 => deal.lead_id = world::UNKNOWN_LEAD.into(),
        _ if number % 2_500 == 71 => deal.marketing_channel_id = world::UNKNOWN_CHANNEL.into(),
        _ => {}
    }
}
