//! The rows: a tenant in a book, and the same records as tables in SQLite.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params};

use crate::book::histories::{currency, id, noon, plain_deal, plain_settings};
use crate::book::{Batch, Book};
use crate::domain::amount::{Amount, BasisPoints, Money};
use crate::domain::calendar::{DateRange, Instant, date};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::ids::{Id, Term};
use crate::domain::record::{
    Credit, Credits, Deal, DealStatus, Employee, Expiry, Labels, Lead, LeadOutcome, Partner, Record, Role,
    Settings, State, Target, TargetValue, Unit, Version, VersionKey,
};
use crate::domain::subject::Subject;

const DEALS: u64 = 3_000;
const LEADS: u64 = 1_500;
pub const PARTNERS: u64 = 30;
pub const EMPLOYEES: u64 = 12;
pub const UNITS: u64 = 8;
const TARGETS: u64 = 150;
const TIME_LIMIT_DAYS: u16 = 45;
const REGIONS: [&str; 3] = ["east", "north", "south"];
const PRODUCTS: [&str; 3] = ["boots", "hats", "shoes"];
/// The last one was never sent.
const CHANNELS: [&str; 3] = ["ads", "fair", "unsent"];
/// With the probability of each in basis points, where the settings have one.
const STAGES: [(&str, Option<i64>); 3] =
    [("negotiation", Some(6_000)), ("offer", Some(2_500)), ("talk", None)];

const SCHEMA: &str = "
    CREATE TABLE partner (
        id TEXT PRIMARY KEY, parent TEXT, merged_into TEXT, region TEXT, active INTEGER, deleted INTEGER
    );
    CREATE TABLE employee (id TEXT PRIMARY KEY, unit TEXT, active INTEGER, deleted INTEGER);
    CREATE TABLE unit (id TEXT PRIMARY KEY, parent TEXT, deleted INTEGER);
    CREATE TABLE channel (id TEXT PRIMARY KEY);
    CREATE TABLE stage (name TEXT PRIMARY KEY, probability_bps INTEGER);
    CREATE TABLE rate (currency TEXT, in_force_on INTEGER, rate_e4 INTEGER);
    CREATE TABLE deal (
        id TEXT PRIMARY KEY, status TEXT, opened_on INTEGER, closed_on INTEGER, expires_on INTEGER,
        amount_e4 INTEGER, currency TEXT, competitor TEXT, owner TEXT, unit TEXT, lead TEXT,
        expected_on INTEGER, product TEXT, channel TEXT, region TEXT
    );
    CREATE TABLE credit (deal TEXT, role TEXT, partner TEXT, share_bps INTEGER);
    CREATE TABLE version (
        deal TEXT, nth INTEGER, told_on INTEGER, deleted INTEGER, status TEXT, amount_e4 INTEGER,
        currency TEXT, stage TEXT, probability_bps INTEGER, PRIMARY KEY (deal, nth)
    );
    CREATE TABLE lead (
        id TEXT PRIMARY KEY, created_on INTEGER, converted_on INTEGER, disqualified_on INTEGER,
        partner TEXT, owner TEXT, channel TEXT, region TEXT
    );
    CREATE TABLE deleted_lead (id TEXT PRIMARY KEY);
    CREATE TABLE target (
        id TEXT PRIMARY KEY, kind TEXT, subject TEXT, from_on INTEGER, to_on INTEGER, goal INTEGER,
        currency TEXT
    );
    CREATE TABLE month_weight (target TEXT, month_on INTEGER, weight INTEGER);
    CREATE INDEX credit_by_deal ON credit (deal);
";

/// When each deal began and how it ended, what it was worth in dollars then, and who sourced it.
const TOLD: &str = "
    CREATE TABLE survivor AS
    SELECT partner.id, coalesce(partner.merged_into, partner.id) AS counts_as,
        CASE WHEN partner.merged_into IS NULL THEN coalesce(parent.merged_into, parent.id) END AS parent
    FROM partner LEFT JOIN partner AS parent ON parent.id = partner.parent;

    CREATE TABLE life AS
    WITH credited AS (
        SELECT deal, partner, role, coalesce(
            share_bps, 10000 - coalesce(sum(share_bps) OVER (PARTITION BY deal, role), 0)
        ) AS bps
        FROM credit
    ), greatest AS (
        SELECT deal, partner, row_number() OVER (
            PARTITION BY deal ORDER BY role = 'sourced' DESC, bps DESC, partner
        ) AS place
        FROM credited
    )
    SELECT deal.id, min(opened_on, coalesce(closed_on, opened_on)) AS opened_on,
        coalesce(closed_on, max(expires_on, opened_on), opened_on + :limit) AS ended_on,
        CASE status WHEN 'open' THEN 'expired' ELSE status END AS outcome,
        status = 'lost' AND competitor IS NOT NULL AS to_competitor,
        amount_e4, currency, deal.owner, coalesce(deal.unit, employee.unit) AS unit, lead,
        coalesce(
            max(expires_on, min(opened_on, coalesce(closed_on, opened_on))),
            min(opened_on, coalesce(closed_on, opened_on)) + :limit
        ) AS expires_on,
        expected_on, product, coalesce(deal.channel, lead.channel) AS channel, deal.channel AS own_channel,
        coalesce(deal.region, partner.region) AS region
    FROM deal LEFT JOIN employee ON employee.id = deal.owner
        LEFT JOIN lead ON lead.id = deal.lead
        LEFT JOIN greatest ON greatest.deal = deal.id AND place = 1
        LEFT JOIN survivor ON survivor.id = greatest.partner
        LEFT JOIN partner ON partner.id = survivor.counts_as;

    CREATE TABLE told AS
    WITH happened AS (
        SELECT id, 'opened' AS what, opened_on AS happened_on, 0 AS to_competitor, 0 AS cycle_days,
            amount_e4, currency, owner, unit
        FROM life
        UNION ALL
        SELECT id, outcome, ended_on, to_competitor, ended_on - opened_on, amount_e4, currency, owner, unit
        FROM life
    ), exact AS (
        SELECT *, amount_e4 * (
            SELECT rate_e4 FROM rate WHERE rate.currency = happened.currency AND in_force_on <= happened_on
            ORDER BY in_force_on DESC LIMIT 1
        ) AS product
        FROM happened
    )
    SELECT id, what, happened_on, to_competitor, cycle_days, owner, unit,
        CASE currency WHEN 'USD' THEN amount_e4 ELSE product / 10000 + (
            2 * (product % 10000) > 10000 OR 2 * (product % 10000) = 10000 AND product / 10000 % 2 = 1
        ) END AS whole_e4
    FROM exact;
    CREATE UNIQUE INDEX life_by_id ON life (id);
    CREATE INDEX life_by_lead ON life (lead);
    CREATE UNIQUE INDEX told_by_deal ON told (id, what);
";

/// Divides the whole amounts of a table (id, what, whole_e4) among those who sourced the deals.
const DIVIDED: &str = "
    CREATE TABLE :parts AS
    WITH sourced AS (
        SELECT deal, partner, coalesce(
            share_bps, 10000 - coalesce(sum(share_bps) OVER (PARTITION BY deal), 0)
        ) AS bps
        FROM credit WHERE role = 'sourced'
    ), taker AS (
        SELECT deal, partner, bps, 0 AS is_rest FROM sourced
        UNION ALL SELECT deal, NULL, 10000 - sum(bps), 1 FROM sourced GROUP BY deal
    ), floored AS (
        SELECT deal, what, partner, whole_e4, whole_e4 * bps / 10000 AS floor_e4, row_number() OVER (
            PARTITION BY deal, what ORDER BY whole_e4 * bps % 10000 DESC, is_rest, partner
        ) AS place
        FROM taker JOIN :wholes AS wholes ON wholes.id = deal
    )
    SELECT deal, what, partner,
        floor_e4 + (place <= whole_e4 - sum(floor_e4) OVER (PARTITION BY deal, what)) AS part_e4
    FROM floored;

    CREATE INDEX :parts_by_deal ON :parts (deal, what);
";

/// The prospects with their homes: leads, and deals whose lead isn't known.
const PROSPECTS: &str = "
    CREATE TABLE prospect AS
    WITH first AS (
        SELECT * FROM (
            SELECT *, row_number() OVER (PARTITION BY lead ORDER BY opened_on, id) AS place
            FROM life WHERE lead IS NOT NULL
        )
        WHERE place = 1
    ), outcome AS (
        SELECT lead, min(CASE outcome WHEN 'won' THEN ended_on END) AS purchased_on,
            max(ended_on) AS last_ended_on
        FROM life GROUP BY lead
    )
    SELECT lead.id, created_on AS came_on, converted_on, disqualified_on, 1 AS is_lead, purchased_on,
        CASE WHEN purchased_on IS NULL THEN
            max(coalesce(last_ended_on, disqualified_on), coalesce(disqualified_on, last_ended_on))
        END AS lost_on,
        coalesce(lead.owner, first.owner) AS owner,
        CASE WHEN lead.owner IS NULL THEN first.unit ELSE employee.unit END AS unit,
        lead.partner, CASE WHEN lead.partner IS NULL THEN first.id END AS deal_of_partners,
        coalesce(lead.region, partner.region, first.region) AS region,
        coalesce(lead.channel, first.own_channel) AS channel
    FROM lead
        LEFT JOIN first ON first.lead = lead.id
        LEFT JOIN outcome ON outcome.lead = lead.id
        LEFT JOIN employee ON employee.id = lead.owner
        LEFT JOIN survivor ON survivor.id = lead.partner
        LEFT JOIN partner ON partner.id = survivor.counts_as
    UNION ALL
    SELECT id, opened_on, NULL, NULL, 0, CASE outcome WHEN 'won' THEN ended_on END,
        CASE outcome WHEN 'won' THEN NULL ELSE ended_on END, owner, unit, NULL, id, region, channel
    FROM life WHERE lead IS NULL OR lead NOT IN (SELECT id FROM lead);
";

/// Which deals and prospects each subject has: of partners those alone, of trees those with sub-partners.
const SUBJECTS: &str = "
    CREATE TABLE member AS
    WITH RECURSIVE below (root, id) AS (
        SELECT id, counts_as FROM survivor
        UNION SELECT root, survivor.id FROM survivor JOIN below ON survivor.parent = below.id
    )
    SELECT 'partner' AS kind, asked.id AS subject, survivor.id AS partner
    FROM survivor AS asked JOIN survivor ON survivor.counts_as = asked.counts_as
    UNION ALL SELECT 'tree', root, survivor.id FROM below JOIN survivor ON survivor.counts_as = below.id;

    CREATE TABLE below AS
    WITH RECURSIVE below (root, id) AS (
        SELECT id, id FROM unit UNION SELECT root, unit.id FROM unit JOIN below ON unit.parent = below.id
    )
    SELECT * FROM below;

    CREATE TABLE has_deal AS
    SELECT 'tenant' AS kind, '' AS subject, id AS deal FROM life
    UNION ALL SELECT 'employee', owner, id FROM life WHERE owner IS NOT NULL
    UNION ALL SELECT 'unit', root, life.id FROM below JOIN life ON life.unit = below.id
    UNION ALL SELECT DISTINCT kind, subject, deal
    FROM member JOIN credit ON credit.partner = member.partner AND role = 'sourced';
    CREATE INDEX has_deal_by_deal ON has_deal (deal);
    CREATE INDEX has_deal_by_subject ON has_deal (kind, subject);

    CREATE TABLE has_prospect AS
    SELECT 'tenant' AS kind, '' AS subject, id AS prospect FROM prospect
    UNION ALL SELECT 'employee', owner, id FROM prospect WHERE owner IS NOT NULL
    UNION ALL SELECT 'unit', root, prospect.id FROM below JOIN prospect ON prospect.unit = below.id
    UNION ALL SELECT kind, subject, id FROM member JOIN prospect ON prospect.partner = member.partner
    UNION ALL SELECT kind, subject, id
    FROM prospect JOIN has_deal ON has_deal.deal = deal_of_partners AND kind IN ('partner', 'tree');
    -- Under a product a lead passes if one of its deals does.
    CREATE TABLE product_of AS
    SELECT prospect.id AS prospect, product FROM prospect JOIN life ON lead = prospect.id WHERE is_lead
    UNION SELECT prospect.id, product FROM prospect JOIN life USING (id) WHERE NOT is_lead;
    CREATE UNIQUE INDEX prospect_by_id ON prospect (id);
    CREATE INDEX has_prospect_by_prospect ON has_prospect (prospect);
    CREATE INDEX has_prospect_by_subject ON has_prospect (kind, subject);
";

/// What each subject has of the amounts that were divided.
const WORTH: &str = "
    CREATE TABLE :worth AS
    SELECT kind, subject, deal, what, whole_e4 AS part_e4
    FROM has_deal JOIN :wholes AS wholes ON wholes.id = deal WHERE kind NOT IN ('partner', 'tree')
    UNION ALL SELECT kind, subject, deal, what, sum(part_e4)
    FROM :parts AS parts JOIN member ON member.partner = parts.partner GROUP BY kind, subject, deal, what;
    CREATE INDEX :worth_by_deal ON :worth (what, deal, kind, subject);
";

/// Numbers as from dice, the same at every run: splitmix64.
pub struct Dice(pub u64);

// === impl Dice ===

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    /// From the middle of 2023 over a year and a half, at any second.
    fn instant(&mut self) -> Instant {
        let first = i64::from(date("2023-06-15").day_number()) * 86_400;
        Instant::try_new(first + self.below(550 * 86_400) as i64, 0).unwrap()
    }

    /// One of them, or none.
    fn term(&mut self, terms: &[&str]) -> Option<Term> {
        let place = self.below(terms.len() as u64 + 1) as usize;
        terms.get(place).map(|text| Term::try_new(text).unwrap())
    }

    fn channel<K>(&mut self) -> Option<Id<K>> {
        self.term(&CHANNELS).map(|channel| id(channel.as_str()))
    }

    fn amount(&mut self) -> Amount {
        let amount_e4 = match self.below(4) {
            0 => self.below(20),
            1 => self.below(100) * 50_000,
            _ => self.below(5_000_000_000),
        };
        Amount::try_from_e4(amount_e4 as i64).unwrap()
    }

    /// Of euros there are rates on some days, of pounds on none.
    fn currency(&mut self, is_foreign: bool) -> &'static str {
        match (is_foreign, self.one_in(8)) {
            (false, _) => "USD",
            (true, false) => "EUR",
            (true, true) => "GBP",
        }
    }

    /// Some were never sent, as some owners and units below.
    fn partner<K>(&mut self) -> Id<K> {
        // The first partners have most of the deals.
        id(&format!("p{}", self.below(PARTNERS + 2).min(self.below(PARTNERS + 2))))
    }

    fn owner<K>(&mut self) -> Id<K> {
        id(&format!("e{}", self.below(EMPLOYEES + 1)))
    }

    fn deal(&mut self) -> Deal {
        let opened_at = self.instant();
        // A few were closed before they were opened.
        let later = opened_at.plus_hours(self.below(100 * 24) as i64 - 24);
        let status = match self.below(5) {
            0 => DealStatus::Open,
            1 => DealStatus::Lost(later),
            _ => DealStatus::Won(later),
        };
        // Months with foreign amounts are told from rows, others from sums: from April on there are none.
        let is_early = status != DealStatus::Open && later < noon("2024-03-20");
        let is_foreign = is_early && self.one_in(3);
        let amount = Money { amount: self.amount(), currency: currency(self.currency(is_foreign)) };
        Deal {
            amount: (!self.one_in(10)).then_some(amount),
            expiry: match self.below(4) {
                0 => Some(Expiry::At(self.instant())),
                1 => Some(Expiry::Never),
                _ => None,
            },
            competitor: self.one_in(2).then(|| Term::try_new("rival").unwrap()),
            owner: (!self.one_in(8)).then(|| self.owner()),
            unit: self.one_in(4).then(|| id(&format!("u{}", self.below(UNITS + 1)))),
            credits: self.credits(),
            // Some name a lead that was never sent, or that was deleted.
            lead: self.one_in(2).then(|| id(&format!("l{}", self.below(LEADS + 20)))),
            stage: self.term(&STAGES.map(|(stage, _)| stage)),
            probability: self.one_in(2).then(|| BasisPoints::try_new(self.below(10_001) as i64).unwrap()),
            expected_close: self.one_in(2).then(|| date("2023-06-15").plus_days(self.below(700) as i32)),
            product: self.term(&PRODUCTS),
            channel: self.channel(),
            region: self.term(&REGIONS),
            ..plain_deal(opened_at, status)
        }
    }

    /// What a deal may have been before: the same while it was open, or anything.
    fn earlier(&mut self, deal: &Deal) -> State<Deal> {
        if self.one_in(9) {
            return State::Deleted(());
        }
        let other = self.deal();
        if self.one_in(3) {
            return State::Present(other);
        }
        let amount =
            Money { amount: self.amount(), currency: currency(["USD", "EUR"][self.below(2) as usize]) };
        let amount = (!self.one_in(8)).then_some(amount);
        let Deal { stage, probability, .. } = other;
        let earlier = Deal { amount, stage, probability, status: DealStatus::Open, ..deal.clone() };
        State::Present(earlier)
    }

    /// The versions of a deal in their order, some two at one instant.
    fn history(&mut self, deal: State<Deal>) -> Vec<(VersionKey, State<Deal>)> {
        let earlier_count = self.below(4);
        let mut told_at: Vec<Instant> = (0..=earlier_count).map(|_| self.instant()).collect();
        told_at.sort();
        if earlier_count > 0 && self.one_in(6) {
            told_at[0] = told_at[1];
        }
        let known = deal.present().cloned().unwrap_or_else(|| self.deal());
        let mut states: Vec<State<Deal>> = (0..earlier_count).map(|_| self.earlier(&known)).collect();
        states.push(deal);
        let keys =
            told_at.into_iter().zip(0..).map(|(update_time, sequence)| VersionKey { update_time, sequence });
        keys.zip(states).collect()
    }

    fn lead(&mut self) -> Lead {
        let created_at = self.instant();
        let later = created_at.plus_hours(self.below(60 * 24) as i64);
        Lead {
            created_at,
            partner: self.one_in(2).then(|| id(&format!("p{}", self.below(PARTNERS)))),
            owner: self.one_in(2).then(|| id(&format!("e{}", self.below(EMPLOYEES)))),
            channel: self.channel(),
            region: self.term(&REGIONS),
            outcome: match self.below(3) {
                0 => LeadOutcome::Open,
                1 => LeadOutcome::Converted(later),
                _ => LeadOutcome::Disqualified(later),
            },
        }
    }

    fn target(&mut self, subject: Subject) -> Target {
        let from = date("2024-01-01").plus_days(self.below(100) as i32);
        let to = from.plus_days(1 + self.below(200) as i32);
        let amount = Amount::try_from_e4(self.below(1_000_000_000_000) as i64).unwrap();
        let value = match self.below(5) {
            0 | 1 => TargetValue::WonCount(self.below(60)),
            2 => TargetValue::WonAmount(Money { amount, currency: currency("EUR") }),
            _ => TargetValue::WonAmount(Money { amount, currency: currency("USD") }),
        };
        let months = (0..8).map(|n| from.month().first_day().plus_months(n)).filter(|&month| month < to);
        let mut month_weights = BTreeMap::new();
        if self.one_in(2) {
            for month in months.collect::<Vec<_>>() {
                if !self.one_in(4) {
                    month_weights.insert(month, self.below(5) as u32);
                }
            }
        }
        if month_weights.values().all(|&weight| weight == 0) {
            month_weights.clear();
        }
        Target { subject, dates: DateRange { from, to }, value, month_weights }
    }

    fn credits(&mut self) -> Credits {
        let mut credits = Vec::new();
        for role in [Role::Sourced, Role::Influenced] {
            let (mut left, mut with_remainder) = (10_000, self.one_in(2));
            for _ in 0..self.below(4) {
                let partner = self.partner();
                if credits.iter().any(|credit: &Credit| credit.role == role && credit.partner == partner) {
                    continue;
                }
                let share = self.below(left + 1);
                left -= share;
                let share = BasisPoints::try_new(share as i64).unwrap();
                let share = if std::mem::take(&mut with_remainder) { None } else { Some(share) };
                credits.push(Credit { role, partner, share });
            }
        }
        Credits::try_new(credits).expect("each partner once, no more than is left")
    }
}

/// The day in Dhaka, six hours before London's.
fn day_number(at: Instant) -> i64 {
    (at.seconds() + 6 * 3_600).div_euclid(86_400)
}

/// A tenant in both: the book, which has met most deals and leads more than once, and the tables with their
/// last states and the versions of deals. One for all tests: each makes tables of its own from these.
pub fn tenant() -> MutexGuard<'static, (Book, Connection)> {
    static TENANT: LazyLock<Mutex<(Book, Connection)>> = LazyLock::new(|| Mutex::new(new_tenant()));
    TENANT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_tenant() -> (Book, Connection) {
    let (mut book, sql, mut dice) = (Book::default(), Connection::open_in_memory().unwrap(), Dice(3));
    sql.execute_batch(SCHEMA).unwrap();
    let mut versions = Vec::new();
    let mut send = |hour: i64, record| {
        let key = VersionKey { update_time: Instant::FIRST.plus_hours(hour), sequence: 0 };
        versions.push(Version { key, record });
    };
    let mut settings = Settings { time_limit_days: Some(TIME_LIMIT_DAYS), ..plain_settings() };
    for (stage, bps) in STAGES {
        sql.execute("INSERT INTO stage VALUES (?, ?)", params![stage, bps]).unwrap();
        if let Some(bps) = bps {
            let bps = BasisPoints::try_new(bps).unwrap();
            settings.stage_probabilities.insert(Term::try_new(stage).unwrap(), bps);
        }
    }
    send(1, Record::Settings(settings));
    for (on, rate, rate_e4) in
        [("2023-09-01", "1.25", 12_500), ("2024-01-01", "0.5", 5_000), ("2024-02-29", "1.0847", 10_847)]
    {
        let key = RateKey { from: currency("EUR"), to: currency("USD"), on: date(on) };
        send(1, Record::Rate(key, State::Present(Rate::parse(rate).unwrap())));
        sql.execute("INSERT INTO rate VALUES ('EUR', ?, ?)", params![date(on).day_number(), rate_e4])
            .unwrap();
    }
    for n in 0..PARTNERS {
        // Circles are frequent; every seventh counts as the one before it, which isn't merged.
        let parent = (!dice.one_in(3)).then(|| format!("p{}", dice.below(PARTNERS)));
        let merged_into = (n % 7 == 6).then(|| format!("p{}", n - 1));
        let (region, active, deleted) = (dice.term(&REGIONS), n % 9 != 4, n % 11 == 10);
        let row =
            params![format!("p{n}"), parent, merged_into, region.as_ref().map(Term::as_str), active, deleted];
        sql.execute("INSERT INTO partner VALUES (?, ?, ?, ?, ?, ?)", row).unwrap();
        let partner = Partner {
            name: None,
            partner_type: None,
            tier: None,
            region,
            parent: parent.as_deref().map(id),
            active,
            labels: Labels::new(),
            merged_into: merged_into.as_deref().map(id),
        };
        send(1, Record::Partner(id(&format!("p{n}")), State::Present(partner)));
        if deleted {
            send(2, Record::Partner(id(&format!("p{n}")), State::Deleted(None)));
        }
    }
    for n in 0..EMPLOYEES {
        let unit = (!dice.one_in(6)).then(|| format!("u{}", dice.below(UNITS)));
        let (active, deleted) = (n != 3, n == 7);
        let row = params![format!("e{n}"), unit, active, deleted];
        sql.execute("INSERT INTO employee VALUES (?, ?, ?, ?)", row).unwrap();
        let unit = unit.as_deref().map(id);
        let employee = Employee { name: None, unit, active, merged_into: None };
        send(1, Record::Employee(id(&format!("e{n}")), State::Present(employee)));
        if deleted {
            send(2, Record::Employee(id(&format!("e{n}")), State::Deleted(None)));
        }
    }
    for n in 0..UNITS {
        let parent = (n > 0).then(|| format!("u{}", dice.below(UNITS)));
        let deleted = n == 5;
        sql.execute("INSERT INTO unit VALUES (?, ?, ?)", params![format!("u{n}"), parent, deleted]).unwrap();
        let unit = Unit { name: None, unit_kind: None, parent: parent.as_deref().map(id) };
        send(1, Record::Unit(id(&format!("u{n}")), State::Present(unit)));
        if deleted {
            send(2, Record::Unit(id(&format!("u{n}")), State::Deleted(())));
        }
    }
    for channel in &CHANNELS[..2] {
        sql.execute("INSERT INTO channel VALUES (?)", params![channel]).unwrap();
        let content = crate::domain::record::Channel { name: None, media: None };
        send(1, Record::Channel(id(channel), State::Present(content)));
    }
    for n in 0..LEADS {
        let (of, lead) = (format!("l{n}"), dice.lead());
        // Many leads come as something else first, and are corrected: they move between pages and homes.
        if n % 3 == 0 {
            send(0, Record::Lead(id(&of), State::Present(dice.lead())));
        }
        if n % 9 == 0 {
            sql.execute("INSERT INTO deleted_lead VALUES (?)", params![of]).unwrap();
            send(1, Record::Lead(id(&of), State::Deleted(())));
            continue;
        }
        insert_lead(&sql, &of, &lead);
        send(1, Record::Lead(id(&of), State::Present(lead)));
    }
    let all = subjects();
    for n in 0..TARGETS {
        let (of, place) = (format!("t{n}"), dice.below(all.len() as u64) as usize);
        // Two for the tenant.
        let (subject, (kind, subject_id)) = all[if n < 2 { 0 } else { place }].clone();
        let target = dice.target(subject);
        insert_target(&sql, (&of, kind, &subject_id), &target);
        send(1, Record::Target(id(&of), State::Present(target)));
    }
    for n in 0..DEALS {
        let (of, deal) = (format!("d{n}"), dice.deal());
        let current = if n % 40 == 39 { State::Deleted(()) } else { State::Present(deal) };
        if let State::Present(deal) = &current {
            insert_deal(&sql, &of, deal);
        }
        for (key, state) in dice.history(current) {
            insert_version(&sql, &of, key, &state);
            versions.push(Version { key, record: Record::Deal(id(&of), state) });
        }
    }
    sql.execute_batch(&TOLD.replace(":limit", &TIME_LIMIT_DAYS.to_string())).unwrap();
    sql.execute_batch(PROSPECTS).unwrap();
    sql.execute_batch(SUBJECTS).unwrap();
    divide(&sql, "told", "part", "worth");
    sql.execute_batch("ANALYZE").unwrap();

    // In any order; but few batches change the ground, as each of those tells everything anew.
    let (ground, mut others): (Vec<_>, Vec<_>) = versions
        .into_iter()
        .partition(|version| matches!(version.record, Record::Settings(_) | Record::Rate(..)));
    for place in (1..others.len()).rev() {
        others.swap(place, dice.below(place as u64 + 1) as usize);
    }
    let late = others.split_off(others.len() / 3);
    let batches = [others, ground].into_iter().chain(late.chunks(1_000).map(<[Version]>::to_vec));
    for (revision, versions) in (1..).zip(batches) {
        let batch = Batch { revision, received_time: Instant::FIRST.plus_hours(1_000), versions };
        let prepared = book.prepare(&batch);
        book.apply(batch, prepared);
    }
    book.pages.verify(&book.pools);
    (book, sql)
}

/// Divides the whole amounts of a table (id, what, whole_e4) into `parts`, and tells in `worth` what each
/// subject has of them.
pub fn divide(sql: &Connection, wholes: &str, parts: &str, worth: &str) {
    for query in [DIVIDED, WORTH] {
        let query = query.replace(":wholes", wholes).replace(":parts", parts).replace(":worth", worth);
        sql.execute_batch(&query).unwrap();
    }
}

/// All subjects that the tables tell of, with kind and id there.
pub fn subjects() -> Vec<(Subject, (&'static str, String))> {
    let mut all = vec![(Subject::Tenant, ("tenant", String::new()))];
    for n in 0..PARTNERS {
        let of = format!("p{n}");
        for (kind, include_sub_partners) in [("partner", false), ("tree", true)] {
            all.push((Subject::Partner { partner: id(&of), include_sub_partners }, (kind, of.clone())));
        }
    }
    let employees = (0..EMPLOYEES).map(|n| format!("e{n}"));
    all.extend(employees.map(|of| (Subject::Employee(id(&of)), ("employee", of))));
    let units = (0..UNITS).map(|n| format!("u{n}"));
    all.extend(units.map(|of| (Subject::Unit(id(&of)), ("unit", of))));
    all
}

fn status(status: DealStatus) -> (&'static str, Option<Instant>) {
    match status {
        DealStatus::Open => ("open", None),
        DealStatus::Won(at) => ("won", Some(at)),
        DealStatus::Lost(at) => ("lost", Some(at)),
    }
}

fn insert_deal(sql: &Connection, deal_id: &str, deal: &Deal) {
    let (status, closed_at) = status(deal.status);
    // A deal that never expires does so after all that is asked about.
    let expires_on = deal.expiry.map(|expiry| match expiry {
        Expiry::At(at) => day_number(at),
        Expiry::Never => i64::from(i32::MAX),
    });
    sql.prepare_cached("INSERT INTO deal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .unwrap()
        .execute(params![
            deal_id,
            status,
            day_number(deal.opened_at),
            closed_at.map(day_number),
            expires_on,
            deal.amount.map(|money| money.amount.e4()),
            deal.amount.map(|money| money.currency.code().to_owned()),
            deal.competitor.as_ref().map(Term::as_str),
            deal.owner.as_ref().map(|owner| owner.as_str()),
            deal.unit.as_ref().map(|unit| unit.as_str()),
            deal.lead.as_ref().map(|lead| lead.as_str()),
            deal.expected_close.map(|on| on.day_number()),
            deal.product.as_ref().map(Term::as_str),
            deal.channel.as_ref().map(|channel| channel.as_str()),
            deal.region.as_ref().map(Term::as_str),
        ])
        .unwrap();
    for credit in deal.credits.iter() {
        let role = if credit.role == Role::Sourced { "sourced" } else { "influenced" };
        let share_bps = credit.share.map(BasisPoints::get);
        sql.prepare_cached("INSERT INTO credit VALUES (?, ?, ?, ?)")
            .unwrap()
            .execute(params![deal_id, role, credit.partner.as_str(), share_bps])
            .unwrap();
    }
}

fn insert_target(sql: &Connection, (of, kind, subject): (&str, &str, &str), target: &Target) {
    let (goal, currency) = match target.value {
        TargetValue::WonCount(count) => (count as i64, None),
        TargetValue::WonAmount(money) => (money.amount.e4(), Some(money.currency.code().to_owned())),
    };
    let (from, to) = (target.dates.from.day_number(), target.dates.to.day_number());
    let row = params![of, kind, subject, from, to, goal, currency];
    sql.execute("INSERT INTO target VALUES (?, ?, ?, ?, ?, ?, ?)", row).unwrap();
    for (month, weight) in &target.month_weights {
        let row = params![of, month.day_number(), weight];
        sql.execute("INSERT INTO month_weight VALUES (?, ?, ?)", row).unwrap();
    }
}

fn insert_version(sql: &Connection, deal_id: &str, key: VersionKey, state: &State<Deal>) {
    let deal = state.present();
    sql.prepare_cached("INSERT INTO version VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .unwrap()
        .execute(params![
            deal_id,
            key.sequence as i64,
            day_number(key.update_time),
            deal.is_none(),
            deal.map(|deal| status(deal.status).0),
            deal.and_then(|deal| deal.amount).map(|money| money.amount.e4()),
            deal.and_then(|deal| deal.amount).map(|money| money.currency.code().to_owned()),
            deal.and_then(|deal| deal.stage.as_ref()).map(Term::as_str),
            deal.and_then(|deal| deal.probability).map(BasisPoints::get),
        ])
        .unwrap();
}

fn insert_lead(sql: &Connection, lead_id: &str, lead: &Lead) {
    let (converted_at, disqualified_at) = match lead.outcome {
        LeadOutcome::Open => (None, None),
        LeadOutcome::Converted(at) => (Some(at), None),
        LeadOutcome::Disqualified(at) => (None, Some(at)),
    };
    sql.prepare_cached("INSERT INTO lead VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        .unwrap()
        .execute(params![
            lead_id,
            day_number(lead.created_at),
            converted_at.map(day_number),
            disqualified_at.map(day_number),
            lead.partner.as_ref().map(|partner| partner.as_str()),
            lead.owner.as_ref().map(|owner| owner.as_str()),
            lead.channel.as_ref().map(|channel| channel.as_str()),
            lead.region.as_ref().map(Term::as_str),
        ])
        .unwrap();
}
