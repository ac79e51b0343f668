//! Marketing against SQL: the same few thousand leads, deals and spends as plain rows in SQLite, asked the
//! same questions.
//!
//! The SQL is what an analyst would write over the CRM's own tables: window functions for a lead's first
//! deal and its outcome, a recursive query for the days of a spend. Local dates alone are worked out before
//! the rows go in. Shared deals and trees are left to the other test against SQL.

use std::collections::BTreeMap;

use rusqlite::{Connection, named_params, params};

use super::MarketingQuestion;
use crate::book::Book;
use crate::book::histories::{apply, currency, days, id, plain_deal, plain_settings};
use crate::domain::amount::{Amount, BasisPoints, Money};
use crate::domain::calendar::{DateRange, Instant, date};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::filter::Filter;
use crate::domain::premises::{RatesOn, Roles};
use crate::domain::record::{
    Channel, Credit, Credits, Deal, DealStatus, Lead, LeadOutcome, Media, Record, Role, Spend, State,
    Version, VersionKey,
};
use crate::domain::subject::Subject;
use crate::domain::window::{PeriodStarts, WindowSpec};
use crate::kpi::marketing_channel::{Basis, Performance};

const LEADS: u64 = 1_500;
const DEALS: u64 = 2_000;
const SPENDS: u64 = 60;
const PARTNERS: u64 = 6;
const EMPLOYEES: u64 = 4;
const CHANNELS: [(&str, Option<Media>); 6] = [
    ("ads", Some(Media::Paid)),
    ("banner", Some(Media::Paid)),
    ("blog", Some(Media::Owned)),
    ("fair", None),
    ("press", Some(Media::Earned)),
    ("reviews", Some(Media::Earned)),
];

const SCHEMA: &str = "
    CREATE TABLE channel (id TEXT PRIMARY KEY, media TEXT);
    CREATE TABLE rate (in_force_on INTEGER PRIMARY KEY, rate_e4 INTEGER);
    CREATE TABLE lead (
        id TEXT PRIMARY KEY, created_on INTEGER, partner TEXT, owner TEXT, channel TEXT,
        converted_on INTEGER, disqualified_on INTEGER
    );
    CREATE TABLE deal (
        id TEXT PRIMARY KEY, opened_on INTEGER, status TEXT, closed_on INTEGER, amount_e4 INTEGER,
        currency TEXT, partner TEXT, owner TEXT, lead TEXT, channel TEXT
    );
    CREATE TABLE spend (
        id TEXT PRIMARY KEY, channel TEXT, start_on INTEGER, end_on INTEGER, amount_e4 INTEGER,
        currency TEXT, partner TEXT
    );
";

const TOLD: &str = "
    CREATE TABLE told_deal AS
    WITH exact AS (
        SELECT deal.*, min(opened_on, coalesce(closed_on, opened_on)) AS first_on, amount_e4 * (
            SELECT rate_e4 FROM rate WHERE in_force_on <= closed_on ORDER BY in_force_on DESC LIMIT 1
        ) AS product
        FROM deal
    )
    SELECT exact.id, first_on AS opened_on, status, closed_on, exact.partner, exact.owner, lead.id AS lead,
        coalesce(exact.channel, lead.channel) AS channel,
        CASE currency WHEN 'USD' THEN amount_e4 ELSE product / 10000 + (
            2 * (product % 10000) > 10000 OR 2 * (product % 10000) = 10000 AND product / 10000 % 2 = 1
        ) END AS amount_e4, exact.channel AS own_channel
    FROM exact LEFT JOIN lead ON lead.id = exact.lead;

    CREATE TABLE prospect AS
    WITH first AS (
        SELECT *, row_number() OVER (PARTITION BY lead ORDER BY opened_on, id) AS place
        FROM told_deal WHERE lead IS NOT NULL
    ), ends AS (
        SELECT lead, min(closed_on) FILTER (WHERE status = 'won') AS won_on, max(closed_on) AS last_on,
            count(*) - count(closed_on) AS open_count
        FROM told_deal WHERE lead IS NOT NULL GROUP BY lead
    )
    SELECT lead.id, lead.created_on, converted_on, coalesce(lead.channel, first.own_channel) AS channel,
        coalesce(lead.partner, first.partner) AS partner, coalesce(lead.owner, first.owner) AS owner,
        won_on AS purchased_on,
        CASE WHEN won_on IS NULL AND coalesce(open_count, 0) = 0
            THEN max(coalesce(last_on, disqualified_on), coalesce(disqualified_on, last_on))
        END AS lost_on
    FROM lead LEFT JOIN first ON first.lead = lead.id AND place = 1 LEFT JOIN ends ON ends.lead = lead.id;

    CREATE TABLE spent AS
    WITH RECURSIVE each_day (id, channel, partner, currency, amount_e4, days, nth, spent_on) AS (
        SELECT id, channel, partner, currency, amount_e4, end_on - start_on, 0, start_on FROM spend
        UNION ALL SELECT id, channel, partner, currency, amount_e4, days, nth + 1, spent_on + 1
        FROM each_day WHERE nth + 1 < days
    ), part AS (
        SELECT *, amount_e4 / days + (nth < amount_e4 % days) AS part_e4, (
            SELECT rate_e4 FROM rate WHERE in_force_on <= spent_on ORDER BY in_force_on DESC LIMIT 1
        ) AS rate_e4
        FROM each_day
    )
    SELECT channel, partner, spent_on, CASE currency WHEN 'USD' THEN part_e4 ELSE part_e4 * rate_e4 / 10000 + (
            2 * (part_e4 * rate_e4 % 10000) > 10000
            OR 2 * (part_e4 * rate_e4 % 10000) = 10000 AND part_e4 * rate_e4 / 10000 % 2 = 1
        ) END AS part_e4
    FROM part;
";

/// Leads, converted, opened, won, priced, won amount, purchased, lost, spent, days without a rate.
const PERIOD: &str = "
    SELECT channel, sum(a), sum(b), sum(c), sum(d), sum(e), sum(f), sum(g), sum(h), sum(i), sum(j) FROM (
        SELECT channel, created_on AS happened_on, 1 AS a, 0 AS b, 0 AS c, 0 AS d, 0 AS e, 0 AS f, 0 AS g,
            0 AS h, 0 AS i, 0 AS j
        FROM prospect WHERE %
        UNION ALL SELECT channel, converted_on, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0 FROM prospect WHERE %
        UNION ALL SELECT channel, opened_on, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 FROM told_deal WHERE %
        UNION ALL SELECT channel, closed_on, 0, 0, 0, 1, amount_e4 IS NOT NULL, coalesce(amount_e4, 0),
            0, 0, 0, 0
        FROM told_deal WHERE status = 'won' AND %
        UNION ALL SELECT channel, purchased_on, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0 FROM prospect WHERE %
        UNION ALL SELECT channel, lost_on, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0 FROM prospect WHERE %
        UNION ALL SELECT channel, closed_on, 0, 0, 0, 0, 0, 0, status = 'won', status = 'lost', 0, 0
        FROM told_deal WHERE lead IS NULL AND %
        UNION ALL SELECT channel, spent_on, 0, 0, 0, 0, 0, 0, 0, 0, coalesce(part_e4, 0), part_e4 IS NULL
        FROM spent WHERE $
    )
    WHERE happened_on >= :from AND happened_on < :to AND happened_on <= :as_of GROUP BY channel
";

const COHORT: &str = "
    WITH cohort AS (
        SELECT * FROM prospect WHERE created_on >= :from AND created_on < :to AND created_on <= :as_of AND %
    ), led_to AS (
        SELECT cohort.channel AS row, told_deal.* FROM told_deal JOIN cohort ON cohort.id = told_deal.lead
    ), passing AS (SELECT * FROM led_to WHERE %)
    SELECT row, sum(a), sum(b), sum(c), sum(d), sum(e), sum(f), sum(g), sum(h), sum(i), sum(j) FROM (
        SELECT channel AS row, 1 AS a, coalesce(converted_on <= :as_of, 0) AS b, 0 AS c, 0 AS d, 0 AS e,
            0 AS f, coalesce(purchased_on <= :as_of, 0) AS g, coalesce(lost_on <= :as_of, 0) AS h, 0 AS i,
            0 AS j
        FROM cohort
        UNION ALL SELECT row, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 FROM passing WHERE opened_on <= :as_of
        UNION ALL SELECT row, 0, 0, 0, 1, amount_e4 IS NOT NULL, coalesce(amount_e4, 0), 0, 0, 0, 0
        FROM passing WHERE status = 'won' AND closed_on <= :as_of
        UNION ALL SELECT channel, 0, 0, 0, 0, 0, 0, 0, 0, coalesce(part_e4, 0), part_e4 IS NULL
        FROM spent WHERE spent_on >= :from AND spent_on < :to AND spent_on <= :as_of AND $
    )
    GROUP BY row
";

type Rows = BTreeMap<Option<String>, [i64; 10]>;

/// Numbers as from dice, the same at every run: Knuth's generator.
struct Dice(u64);

// === impl Dice ===

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    /// From the middle of 2023 over a year, at any second.
    fn instant(&mut self) -> Instant {
        let first = i64::from(date("2023-06-15").day_number()) * 86_400;
        Instant::try_new(first + self.below(365 * 86_400) as i64, 0).unwrap()
    }

    fn channel<K>(&mut self) -> Option<crate::domain::ids::Id<K>> {
        (!self.one_in(3)).then(|| id(CHANNELS[self.below(CHANNELS.len() as u64) as usize].0))
    }

    fn partner<K>(&mut self) -> Option<crate::domain::ids::Id<K>> {
        (!self.one_in(3)).then(|| id(&format!("p{}", self.below(PARTNERS))))
    }

    fn owner<K>(&mut self) -> Option<crate::domain::ids::Id<K>> {
        (!self.one_in(4)).then(|| id(&format!("e{}", self.below(EMPLOYEES))))
    }

    fn money(&mut self) -> Money {
        let e4 = if self.one_in(3) { self.below(100) * 50_000 } else { self.below(500_000_000) };
        let code = if self.one_in(3) { "EUR" } else { "USD" };
        Money { amount: Amount::try_from_e4(e4 as i64).unwrap(), currency: currency(code) }
    }

    fn lead(&mut self) -> Lead {
        let created_at = self.instant();
        let decided_at = created_at.plus_hours(self.below(60 * 24) as i64);
        let outcome = match self.below(3) {
            0 => LeadOutcome::Open,
            1 => LeadOutcome::Disqualified(decided_at),
            _ => LeadOutcome::Converted(decided_at),
        };
        Lead {
            created_at,
            partner: self.partner(),
            owner: self.owner(),
            channel: self.channel(),
            region: None,
            outcome,
        }
    }

    fn deal(&mut self) -> Deal {
        let opened_at = self.instant();
        // A few were closed before they were opened.
        let closed_at = opened_at.plus_hours(self.below(100 * 24) as i64 - 48);
        let status = match self.below(5) {
            0 => DealStatus::Open,
            1 => DealStatus::Lost(closed_at),
            _ => DealStatus::Won(closed_at),
        };
        let credits = self.partner().map(|partner| Credit {
            role: Role::Sourced,
            partner,
            share: Some(BasisPoints::WHOLE),
        });
        Deal {
            amount: (!self.one_in(10)).then(|| self.money()),
            credits: Credits::try_new(credits.into_iter().collect()).unwrap(),
            owner: self.owner(),
            // Several deals of one lead are frequent, and leads that were never sent.
            lead: (!self.one_in(4)).then(|| id(&format!("l{}", self.below(LEADS + 100)))),
            channel: if self.one_in(4) { self.channel() } else { None },
            ..plain_deal(opened_at, status)
        }
    }

    fn spend(&mut self) -> Spend {
        let from = date("2023-06-15").plus_days(self.below(330) as i32);
        let to = from.plus_days(1 + self.below(70) as i32);
        let channel = id(CHANNELS[self.below(CHANNELS.len() as u64) as usize].0);
        Spend { channel, dates: DateRange { from, to }, amount: self.money(), partner: self.partner() }
    }
}

/// The day in Dhaka, six hours before London's.
fn day_number(at: Instant) -> i64 {
    (at.seconds() + 6 * 3_600).div_euclid(86_400)
}

/// A tenant in both: the book, in which half of the records came as something else first, and the tables
/// with the last state.
fn tenant() -> (Book, Connection) {
    let (mut book, sql, mut dice) = (Book::default(), Connection::open_in_memory().unwrap(), Dice(7));
    sql.execute_batch(SCHEMA).unwrap();
    let mut records = vec![Record::Settings(plain_settings())];
    for (on, rate, rate_e4) in [("2023-08-01", "1.0847", 10_847), ("2024-01-01", "0.5", 5_000)] {
        let key = RateKey { from: currency("EUR"), to: currency("USD"), on: date(on) };
        records.push(Record::Rate(key, State::Present(Rate::parse(rate).unwrap())));
        sql.execute("INSERT INTO rate VALUES (?, ?)", params![date(on).day_number(), rate_e4]).unwrap();
    }
    for (of, media) in CHANNELS {
        let text = media.map(|media| format!("{media:?}"));
        sql.execute("INSERT INTO channel VALUES (?, ?)", params![of, text]).unwrap();
        records.push(Record::Channel(id(of), State::Present(Channel { name: None, media })));
    }
    let first = (0..LEADS).map(|n| Record::Lead(id(&format!("l{n}")), State::Present(dice.lead())));
    let mut first: Vec<Record> = first.step_by(2).collect();
    for n in 0..DEALS / 2 {
        first.push(Record::Deal(id(&format!("d{n}")), State::Present(dice.deal())));
    }
    for n in 0..LEADS {
        let (of, lead) = (format!("l{n}"), dice.lead());
        let (converted_on, disqualified_on) = match lead.outcome {
            LeadOutcome::Open => (None, None),
            LeadOutcome::Converted(at) => (Some(day_number(at)), None),
            LeadOutcome::Disqualified(at) => (None, Some(day_number(at))),
        };
        sql.prepare_cached("INSERT INTO lead VALUES (?, ?, ?, ?, ?, ?, ?)")
            .unwrap()
            .execute(params![
                of,
                day_number(lead.created_at),
                lead.partner.as_ref().map(|partner| partner.as_str()),
                lead.owner.as_ref().map(|owner| owner.as_str()),
                lead.channel.as_ref().map(|channel| channel.as_str()),
                converted_on,
                disqualified_on,
            ])
            .unwrap();
        records.push(Record::Lead(id(&of), State::Present(lead)));
    }
    for n in 0..DEALS {
        let (of, deal) = (format!("d{n}"), dice.deal());
        insert_deal(&sql, &of, &deal);
        records.push(Record::Deal(id(&of), State::Present(deal)));
    }
    for n in 0..SPENDS {
        let (of, spend) = (format!("s{n}"), dice.spend());
        let (amount, partner) = (spend.amount, spend.partner.as_ref().map(|partner| partner.as_str()));
        sql.execute(
            "INSERT INTO spend VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                of,
                spend.channel.as_str(),
                spend.dates.from.day_number(),
                spend.dates.to.day_number(),
                amount.amount.e4(),
                amount.currency.code(),
                partner,
            ],
        )
        .unwrap();
        records.push(Record::Spend(id(&of), State::Present(spend)));
    }
    sql.execute_batch(TOLD).unwrap();
    for (hour, records) in [(0, first), (1, records)] {
        let key = VersionKey { update_time: Instant::FIRST.plus_hours(hour), sequence: 0 };
        let versions: Vec<Version> = records.into_iter().map(|record| Version { key, record }).collect();
        versions.chunks(700).for_each(|batch| apply(&mut book, batch.to_vec()));
    }
    (book, sql)
}

fn insert_deal(sql: &Connection, of: &str, deal: &Deal) {
    let (status, closed_at) = match deal.status {
        DealStatus::Open => ("open", None),
        DealStatus::Won(at) => ("won", Some(at)),
        DealStatus::Lost(at) => ("lost", Some(at)),
    };
    let partner = deal.credits.iter().next().map(|credit| credit.partner.as_str());
    sql.prepare_cached("INSERT INTO deal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .unwrap()
        .execute(params![
            of,
            day_number(deal.opened_at),
            status,
            closed_at.map(day_number),
            deal.amount.map(|money| money.amount.e4()),
            deal.amount.map(|money| money.currency.code().to_owned()),
            partner,
            deal.owner.as_ref().map(|owner| owner.as_str()),
            deal.lead.as_ref().map(|lead| lead.as_str()),
            deal.channel.as_ref().map(|channel| channel.as_str()),
        ])
        .unwrap();
}

/// What SQL says: of whose and of which channels, by conditions; `spender`: of whose spends.
fn by_sql(sql: &Connection, basis: Basis, conditions: (&str, &str), dates: DateRange, as_of: i32) -> Rows {
    let query = if basis == Basis::Period { PERIOD } else { COHORT };
    let query = query.replace('%', conditions.0).replace('$', conditions.1);
    let mut statement = sql.prepare_cached(&query).unwrap();
    let (from, to) = (dates.from.day_number(), dates.to.day_number());
    let bound = named_params! {":from": from, ":to": to, ":as_of": as_of};
    let rows = statement.query_map(bound, |row| {
        let mut counted = [0; 10];
        for (at, count) in counted.iter_mut().enumerate() {
            *count = row.get(at + 1)?;
        }
        Ok((row.get(0)?, counted))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn counted(row: &Performance) -> [i64; 10] {
    let measures = row.measures;
    let spend = row.spend.unwrap_or_default();
    [
        measures.lead_count,
        measures.converted_lead_count,
        measures.opened.count,
        measures.won.count,
        measures.won.priced_count,
        measures.won.amount_e4 as i64,
        measures.purchased_count,
        measures.lost_prospect_count,
        spend.amount_e4 as i64,
        spend.unconverted_day_count,
    ]
}

#[test]
fn every_row_of_every_subject_and_window_equals_sql() {
    let (book, sql) = tenant();
    let partners = (0..PARTNERS).map(|n| format!("p{n}")).map(|of| {
        let subject = Subject::Partner { partner: id(&of), include_sub_partners: false };
        (subject, format!("partner = '{of}'"), format!("partner = '{of}'"))
    });
    let employees = (0..EMPLOYEES)
        .map(|n| format!("e{n}"))
        .map(|of| (Subject::Employee(id(&of)), format!("owner = '{of}'"), "FALSE".to_owned()));
    let tenant = (Subject::Tenant, "TRUE".to_owned(), "TRUE".to_owned());
    let subjects: Vec<_> = [tenant].into_iter().chain(partners).chain(employees).collect();
    let paid = Filter { media: vec![Some(Media::Paid)], ..Filter::default() };
    let paid_channels = "channel IN (SELECT id FROM channel WHERE media = 'Paid')";
    let starts = PeriodStarts { week_start: chrono::Weekday::Mon, fiscal_year_start_month: 1 };
    let mut won_count = 0;
    for (subject, of_subject, of_spender) in subjects {
        for (filter, of_filter) in [(Filter::default(), "TRUE"), (paid.clone(), paid_channels)] {
            let scope = book.scope(&subject, &filter, Roles::SOURCED).expect("every subject was sent");
            for (window, as_of) in [
                ("2023-01-01..2025-01-01", "2024-12-31"),
                ("2023-12-01..2024-01-01", "2023-12-31"),
                ("2023-12-01..2024-01-01", "2024-04-30"),
                ("2023-07-20..2023-09-05", "2023-10-10"),
                ("2024-02-29..2024-03-01", "2024-06-01"),
                ("2024-01-01..2024-07-01", "2024-03-17"),
            ] {
                for basis in [Basis::Period, Basis::Cohort] {
                    let case = format!("{subject:?} {of_filter} {basis:?} in {window} as of {as_of}");
                    let asked = MarketingQuestion {
                        subject: &subject,
                        filter: &filter,
                        scope: &scope,
                        basis,
                        rates: RatesOn::OwnDay,
                    };
                    let dates = days(window);
                    let resolved = WindowSpec::Dates(dates).resolve(date(as_of), &starts).unwrap();
                    let found = book.marketing(&asked, &resolved).found;
                    let of_rows = found.channels.iter().map(|(of, row)| (Some(*of), &row.performance));
                    let of_rows = of_rows.chain([(None, &found.unattributed)]);
                    let of_rows = of_rows.map(|(of, row)| (of.map(str::to_owned), counted(row)));
                    let found: Rows = of_rows.filter(|(_, row)| *row != [0; 10]).collect();
                    let conditions =
                        (format!("{of_subject} AND {of_filter}"), format!("{of_spender} AND {of_filter}"));
                    let as_of = date(as_of).day_number();
                    let mut expected = by_sql(&sql, basis, (&conditions.0, &conditions.1), dates, as_of);
                    expected.retain(|_, row| *row != [0; 10]);
                    assert_eq!(found, expected, "{case}");
                    won_count += expected.values().map(|row| row[3]).sum::<i64>();
                }
            }
        }
    }
    assert!(won_count > 5_000, "the questions touch deals: {won_count} all in all");
}
