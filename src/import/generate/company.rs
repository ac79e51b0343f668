//! The company: its units and employees, its partners and their tree, its channels, money and plans.

use chrono::{Days, Months, NaiveDate};

use super::names::Names;
use super::random::{Random, Weights};
use super::trade::Trade;
use super::world::{self, CHANNELS, COMPANY_UNIT, COUNTRIES, Country, REGIONS, TEAMS};
use super::{
    Generator, Kind, Log, Stream, at, date, first_of_month, first_of_quarter, in_business_hours, money,
    plus_days,
};
use crate::proto::channelkpi::v1 as pb;
use crate::proto::channelkpi::v1::target::Value as TargetValue;
use crate::proto::channelkpi::v1::{PartnerSubject, Subject, subject};
use crate::proto::google::r#type::Decimal;

pub(super) struct Company {
    pub employees: Vec<Employee>,
    pub partners: Vec<Partner>,
}

pub(super) struct Employee {
    pub id: String,
    pub team: usize,
    /// How likely this person's deals are to be won, beside others'.
    pub skill_percent: i64,
}

pub(super) struct Partner {
    pub id: String,
    pub country: &'static Country,
    /// The employee who looks after it.
    pub manager: usize,
    pub parent: Option<usize>,
    /// How much business it brings, beside others.
    pub weight: i64,
    pub quality: Quality,
    pub joined_on: NaiveDate,
    /// From then on it brings nothing more.
    pub left_on: Option<NaiveDate>,
    /// From then on its people are trained, and win more.
    pub trained_on: Option<NaiveDate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quality {
    Star,
    Good,
    Ordinary,
    Weak,
    Decliner,
    /// Brings much and wins hardly any of it.
    Failing,
}

/// How many times in a hundred a partner of each quality is found.
const QUALITIES: [(Quality, i64); 5] = [
    (Quality::Star, 6),
    (Quality::Good, 22),
    (Quality::Ordinary, 54),
    (Quality::Weak, 9),
    (Quality::Decliner, 9),
];

const TYPES: [(&str, i64); 5] =
    [("reseller", 56), ("msp", 15), ("referral", 11), ("system_integrator", 10), ("affiliate", 8)];

const TIERS: [&str; 5] = ["registered", "bronze", "silver", "gold", "platinum"];

const VERTICALS: [&str; 6] = ["retail", "garments", "logistics", "public", "health", "education"];

impl Partner {
    pub fn works_on(&self, day: NaiveDate) -> bool {
        self.joined_on <= day && self.left_on.is_none_or(|left_on| day < left_on)
    }

    /// The chance in per cent that a deal opened on a day of the story will be won.
    pub fn win_percent(&self, day: NaiveDate, first_on: NaiveDate) -> i64 {
        const STORY_DAYS: i64 = 730;
        let told_days = (day - first_on).num_days().min(STORY_DAYS);
        let base = match self.quality {
            Quality::Star => 64,
            Quality::Good => 50,
            Quality::Ordinary => 39,
            Quality::Weak => 26,
            Quality::Decliner => 56 - 34 * told_days / STORY_DAYS,
            Quality::Failing => 6,
        };
        let trained = self.trained_on.is_some_and(|trained_on| trained_on <= day);
        if trained { base + 14 } else { base }
    }
}

impl Company {
    /// Makes the company as it is on the first day, and tells what becomes of its people and partners.
    pub fn found(story: &Generator, log: &mut Log) -> Self {
        let mut random = story.random(Stream::Company);
        let mut names = Names::new(story.random(Stream::Names));
        let opening = at(story.first_on() - Days::new(1), 0);
        say_units(opening, log);
        for channel in &CHANNELS {
            log.say(
                opening,
                Kind::MarketingChannel(pb::MarketingChannel {
                    marketing_channel_id: channel.id.into(),
                    name: channel.name.into(),
                    media: channel.media.into(),
                }),
            );
        }
        let employees = hire(story, &mut random, &mut names, log);
        let mut company = Self { employees, partners: Vec::new() };
        company.sign_partners(story, &mut random, &mut names, log);
        company.strategies(story, log);
        company
    }

    fn sign_partners(&mut self, story: &Generator, random: &mut Random, names: &mut Names, log: &mut Log) {
        let count = story.scaled(300, 30);
        let distributor_count = count / 25;
        let countries = Weights::new(COUNTRIES.iter().map(|country| country.share));
        let qualities = Weights::new(QUALITIES.iter().map(|(_, share)| *share));
        let types = Weights::new(TYPES.iter().map(|(_, share)| *share));
        // Few bring much, many bring little.
        let mut weights: Vec<i64> = (0..count as i64).map(|place| 12_000 / (place + 12)).collect();
        random.shuffle(&mut weights);

        for (number, weight) in weights.into_iter().enumerate() {
            let country = &COUNTRIES[countries.pick(random)];
            let distributor = number < distributor_count;
            let partner = Partner {
                id: partner_id(number),
                country,
                manager: self.someone_of(country.team, random),
                parent: self.parent(number, distributor_count, country, random),
                weight,
                quality: QUALITIES[qualities.pick(random)].0,
                joined_on: self.joining(story, random),
                left_on: None,
                trained_on: None,
            };
            let kind = if distributor { "distributor" } else { TYPES[types.pick(random)].0 };
            self.sign(story, partner, kind, names.company(country.culture), random, log);
        }
        let total: i64 = self.partners.iter().map(|partner| partner.weight).sum();
        let failing = &mut self.partners[count / 2];
        (failing.quality, failing.weight, failing.left_on) = (Quality::Failing, total / 40, None);
    }

    /// Most partners stand below a distributor of their region, some below another partner.
    fn parent(
        &self,
        number: usize,
        distributor_count: usize,
        country: &Country,
        random: &mut Random,
    ) -> Option<usize> {
        if number < distributor_count || random.percent(25) {
            return None;
        }
        let region = TEAMS[country.team].region;
        let above = if random.percent(85) { 0..distributor_count } else { distributor_count..number };
        let near: Vec<usize> =
            above.filter(|other| TEAMS[self.partners[*other].country.team].region == region).collect();
        (!near.is_empty()).then(|| *random.pick(&near))
    }

    /// Three of four partners were there from the beginning.
    fn joining(&self, story: &Generator, random: &mut Random) -> NaiveDate {
        if random.percent(75) {
            story.first_on()
        } else {
            plus_days(story.first_on(), random.between(10, 600))
        }
    }

    /// Tells of a partner from its joining on, and keeps it.
    fn sign(
        &mut self,
        story: &Generator,
        mut partner: Partner,
        kind: &str,
        name: String,
        random: &mut Random,
        log: &mut Log,
    ) {
        let number = self.partners.len();
        let tier = match partner.weight {
            500.. => 4,
            200.. => 3,
            90.. => 2,
            50.. => 1,
            _ => 0,
        };
        let mut told = pb::Partner {
            partner_id: partner.id.clone(),
            name,
            partner_type: kind.into(),
            tier: TIERS[tier].into(),
            region: REGIONS[TEAMS[partner.country.team].region].name.into(),
            parent_partner_id: partner.parent.map(partner_id).unwrap_or_default(),
            labels: [("country", partner.country.name), ("vertical", *random.pick(&VERTICALS))]
                .map(|(key, value)| (key.into(), value.into()))
                .into(),
            ..pb::Partner::default()
        };
        // Two small partners each above the other; one below a partner that nobody knows.
        match number {
            21 => told.parent_partner_id = partner_id(22),
            22 => told.parent_partner_id = partner_id(21),
            23 => told.parent_partner_id = world::UNKNOWN_PARTNER.into(),
            _ => {}
        }
        log.say(in_business_hours(partner.joined_on - Days::new(1), random), Kind::Partner(told.clone()));

        let later = plus_days(partner.joined_on, random.between(60, 500));
        let at = in_business_hours(later, random);
        match number % 50 {
            // Two rows of the CRM were one company.
            11 if number > 50 => {
                partner.left_on = Some(later);
                let id = partner.id.clone();
                told.merged_into_partner_id = partner_id(number - 1);
                let merged_into_partner_id = told.merged_into_partner_id.clone();
                log.say(at, Kind::Partner(told));
                if number % 100 == 11 {
                    let deleted =
                        pb::Partner { partner_id: id, merged_into_partner_id, ..pb::Partner::default() };
                    log.delete(at + chrono::Duration::days(1), Kind::Partner(deleted));
                }
            }
            17 => {
                partner.left_on = Some(later);
                told.active = Some(false);
                log.say(at, Kind::Partner(told));
            }
            29 if number % 100 == 29 => {
                partner.left_on = Some(later);
                let deleted = pb::Partner { partner_id: partner.id.clone(), ..pb::Partner::default() };
                log.delete(at, Kind::Partner(deleted));
            }
            3 | 23 | 37 | 43 if tier < 4 => {
                told.tier = TIERS[tier + 1].into();
                log.say(at, Kind::Partner(told));
            }
            _ => {}
        }
        if number % 9 == 5 {
            partner.trained_on = Some(academy_on(story));
        }
        self.partners.push(partner);
    }

    /// Someone of a team.
    pub fn someone_of(&self, team: usize, random: &mut Random) -> usize {
        let members: Vec<usize> =
            (0..self.employees.len()).filter(|member| self.employees[*member].team == team).collect();
        *random.pick(&members)
    }

    fn strategies(&self, story: &Generator, log: &mut Log) {
        let partner = |partner: &Partner| Subject {
            subject: Some(subject::Subject::Partner(PartnerSubject {
                partner_id: partner.id.clone(),
                include_sub_partners: false,
            })),
        };
        let trained =
            self.partners.iter().filter(|partner| partner.trained_on.is_some()).map(partner).collect();
        let discounted = self.partners.iter().skip(8).step_by(14).map(partner).collect();
        let unit = Subject { subject: Some(subject::Subject::UnitId(REGIONS[3].unit_id.into())) };
        let discounts_on = first_of_month(story.last_on) - Months::new(5);
        for (id, name, start_on, subjects) in [
            ("academy", "Partner academy", academy_on(story), trained),
            ("discounts", "Ladder of discounts", discounts_on, discounted),
            ("roadshow", "Asia Pacific roadshow", discounts_on, vec![unit]),
        ] {
            let strategy = pb::Strategy {
                strategy_id: id.into(),
                name: name.into(),
                start_on: Some(date(start_on)),
                subjects,
            };
            log.say(at(start_on, 0), Kind::Strategy(strategy));
        }
    }

    /// What the company spends, the rates it keeps and the targets it sets.
    pub fn plan(&self, story: &Generator, trade: &Trade, log: &mut Log) {
        let mut random = story.random(Stream::Money);
        keep_rates(story, &mut random, log);
        self.spend(story, &mut random, log);
        self.targets(story, trade, &mut random, log);
    }

    fn spend(&self, story: &Generator, random: &mut Random, log: &mut Log) {
        let mut month = story.first_on();
        while month <= story.last_on {
            let next = month + Months::new(1);
            let mut spend =
                |on: NaiveDate, channel: &str, partner: Option<&Partner>, units: i64, currency: &str| {
                    let whose = partner.map_or("", |partner| partner.id.as_str());
                    let separator = if whose.is_empty() { "" } else { "-" };
                    let record = pb::MarketingSpend {
                        marketing_spend_id: format!("S-{}-{channel}{separator}{whose}", on.format("%Y-%m")),
                        marketing_channel_id: channel.into(),
                        start_on: Some(date(on)),
                        end_on: Some(date(next)),
                        amount: Some(money(currency, units)),
                        partner_id: whose.into(),
                    };
                    log.say(at(on, 60), Kind::MarketingSpend(record));
                };
            for channel in &CHANNELS {
                let (mean, currency) = channel.month_cost;
                let units = mean * i64::from(story.scale_percent) / 100 * random.between(85, 115) / 100;
                spend(month, channel.id, None, units, currency);
            }
            let funded =
                self.partners.iter().filter(|partner| partner.weight >= 300 && partner.works_on(month));
            for partner in funded {
                let units = 100 * random.between(2, 18);
                spend(month, world::FUNDED_CHANNEL, Some(partner), units, "USD");
            }
            month = next;
        }
    }

    /// A target is a little more or less than what an ordinary quarter brought.
    fn targets(&self, story: &Generator, trade: &Trade, random: &mut Random, log: &mut Log) {
        let leaders = self.partners.iter().enumerate().filter(|(_, partner)| partner.weight >= 180);
        let partners: Vec<(String, Subject, i64)> = leaders
            .map(|(number, partner)| {
                let include_sub_partners = number < self.partners.len() / 25;
                let partner_id = partner.id.clone();
                let subject = subject::Subject::Partner(PartnerSubject { partner_id, include_sub_partners });
                let won_usd = trade.won_usd(|won| {
                    won.partner == Some(number)
                        || (include_sub_partners
                            && won.partner.and_then(|won| self.partners[won].parent) == Some(number))
                });
                (partner.id.clone(), Subject { subject: Some(subject) }, won_usd)
            })
            .collect();
        let units = REGIONS.iter().enumerate().map(|(region, told)| {
            let subject = subject::Subject::UnitId(told.unit_id.into());
            let won_usd = trade.won_usd(|won| TEAMS[self.employees[won.owner].team].region == region);
            (told.unit_id.to_owned(), Subject { subject: Some(subject) }, won_usd)
        });
        let company = ("company".to_owned(), Subject::default(), trade.won_usd(|_| true));

        let months = (story.last_on - story.first_on()).num_days() / 30;
        for (name, subject, won_usd) in [company].into_iter().chain(units).chain(partners) {
            let mut quarter = first_of_quarter(story.first_on());
            while quarter <= story.last_on {
                let end = quarter + Months::new(3);
                let ordinary = won_usd * 3 / months.max(1);
                let value = ordinary * random.between(85, 130) / 100 / 500 * 500 + 500;
                let weights = [25, 30, 45];
                let month_weights = weights.iter().zip(0..).map(|(weight, place)| {
                    let month = date(quarter + Months::new(place));
                    pb::MonthWeight { year: month.year, month: month.month, weight: *weight }
                });
                let mut target = pb::Target {
                    target_id: format!("T-{}-{name}", quarter.format("%Y-%m")),
                    subject: subject.subject.is_some().then(|| subject.clone()),
                    start_on: Some(date(quarter)),
                    end_on: Some(date(end)),
                    month_weights: month_weights.collect(),
                    value: Some(TargetValue::WonAmount(money(super::CURRENCY, value))),
                };
                let set_at = at((quarter - Days::new(10)).max(story.first_on() - Days::new(1)), 120);
                log.say(set_at, Kind::Target(target.clone()));
                if name == "company" {
                    target.target_id.push_str("-deals");
                    target.value = Some(TargetValue::WonCount(value / 9_500));
                    log.say(set_at, Kind::Target(target));
                }
                quarter = end;
            }
        }
    }
}

fn partner_id(number: usize) -> String {
    format!("P-{:03}", number + 1)
}

pub(super) fn academy_on(story: &Generator) -> NaiveDate {
    first_of_month(story.last_on) - Months::new(9)
}

fn say_units(opening: chrono::DateTime<chrono::Utc>, log: &mut Log) {
    let mut unit = |id: &str, name: &str, kind: &str, parent: &str| {
        let unit = pb::OrgUnit {
            org_unit_id: id.into(),
            name: name.into(),
            unit_kind: kind.into(),
            parent_unit_id: parent.into(),
        };
        log.say(opening, Kind::OrgUnit(unit));
    };
    unit(COMPANY_UNIT, "Nokshi Software", "company", "");
    for region in &REGIONS {
        unit(region.unit_id, region.department, "department", COMPANY_UNIT);
    }
    for team in &TEAMS {
        unit(team.unit_id, team.name, "team", REGIONS[team.region].unit_id);
    }
}

/// The people, team by team in turn. One leaves, and one was entered twice.
fn hire(story: &Generator, random: &mut Random, names: &mut Names, log: &mut Log) -> Vec<Employee> {
    let count = story.scaled(40, TEAMS.len());
    (0..count)
        .map(|number| {
            let team = number % TEAMS.len();
            let id = format!("E-{:03}", number + 1);
            let mut told = pb::Employee {
                employee_id: id.clone(),
                name: names.person(TEAMS[team].culture),
                unit_id: TEAMS[team].unit_id.into(),
                ..pb::Employee::default()
            };
            log.say(at(story.first_on() - Days::new(1), 30), Kind::Employee(told.clone()));
            let later = at(plus_days(story.first_on(), random.between(400, 600)), 30);
            match number {
                13 => {
                    told.active = Some(false);
                    log.say(later, Kind::Employee(told));
                }
                31 => {
                    told.merged_into_employee_id = "E-005".into();
                    log.say(later, Kind::Employee(told));
                }
                _ => {}
            }
            Employee { id, team, skill_percent: random.between(80, 122) }
        })
        .collect()
}

/// Every week, from the week before the story on.
fn keep_rates(story: &Generator, random: &mut Random, log: &mut Log) {
    for (from, to, middle_e4) in world::RATES {
        let mut rate_e4 = middle_e4;
        let mut week = story.first_on() - Days::new(7);
        while week <= story.last_on {
            rate_e4 += rate_e4 * random.between(-90, 90) / 10_000 + (middle_e4 - rate_e4) / 25;
            let rate = pb::ExchangeRate {
                key: Some(pb::ExchangeRateKey {
                    from_currency_code: from.into(),
                    to_currency_code: to.into(),
                    rate_on: Some(date(week)),
                }),
                rate: Some(Decimal { value: format!("{}.{:04}", rate_e4 / 10_000, rate_e4 % 10_000) }),
            };
            log.say(at(week, 0), Kind::ExchangeRate(rate));
            week = plus_days(week, 7);
        }
    }
}
