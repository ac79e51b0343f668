//! A generated tenant for benches: three years of deals, partners of Zipf sizes, the same at every run.
//!
//! `BENCH_DEALS` says how many deals (200,000 unless said), `BENCH_HISTORY=1` sends each deal as its CRM would
//! have, 2.2 versions on average, rather than as it ended. Without cargo's `--bench`, or with `--test`, all is
//! small and each bench runs once: so that it can't rot.
//!
//! Records are made when they are sent and never held: ten million deals need no more room than the sidecar's.
//!
//! All amounts are in one currency: pages of foreign amounts are read row by row, which is another question.

#![allow(dead_code)] // every bench takes what it needs

mod table;

use std::time::{Duration, Instant, SystemTime};

use channel_kpi::Sidecar;
use channel_kpi::clock::{Clock, ClockHands};
use channel_kpi::config::{Config, Limits};
use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    CreateTenantRequest, Deal, DealStatus, Employee, Lead, LeadOutcome, MarketingChannel, Media, OrgUnit,
    Partner, PartnerCredit, Record, TenantSettings, WriteRecordsRequest, WriteRecordsResponse,
};
use channel_kpi::proto::google::r#type::{Date, Money};
use channel_kpi::server::{Listen, Stack};
use prost_types::Timestamp;
use tempfile::TempDir;
use tokio::task::JoinSet;

pub use table::*;

const DAY_SECONDS: i64 = 86_400;
/// 2023-07-01, UTC.
pub const FIRST_DAY_SECONDS: i64 = 1_688_169_600;
/// Up to and including 2026-06-30.
pub const DAY_COUNT: i64 = 1_096;
/// Noon of the last day: what the sidecar's clock shows.
const NOW_SECONDS: i64 = FIRST_DAY_SECONDS + (DAY_COUNT - 1) * DAY_SECONDS + DAY_SECONDS / 2;

/// Records of one write: the most that WriteRecords takes.
pub const WRITE_RECORDS: usize = 1_000;
/// Writes under way at a time while a sidecar is filled.
const FILLING_AT_A_TIME: usize = 4;
/// How often it is told how far a sidecar is filled.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// The size that the budgets are for.
pub const BUDGET_DEALS: u64 = 10_000_000;

const UNIT_COUNT: u64 = 30;
pub const CHANNEL_COUNT: u64 = 12;
const PRODUCT_COUNT: u64 = 20;
const STAGES: [&str; 5] = ["qualified", "proposal", "negotiation", "contract", "signature"];
pub const REGIONS: [&str; 8] =
    ["Dhaka", "Chattogram", "Khulna", "Sylhet", "Europe", "Gulf", "Africa", "Asia"];
const SEGMENTS: [&str; 4] = ["enterprise", "small", "public", "school"];

/// Whether every bench is to run once, small.
pub fn is_quick() -> bool {
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    asked("--test") || !asked("--bench")
}

/// What the command line names beside cargo's flags: a subject, a filter.
pub fn named() -> Vec<String> {
    std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect()
}

/// A count from the environment, for those who measure.
pub fn count_from_env(name: &str) -> Option<u64> {
    let given = std::env::var_os(name)?;
    let count = given.to_str().and_then(|text| text.replace('_', "").parse().ok());
    Some(count.unwrap_or_else(|| panic!("{name} is {given:?}, must be a count")))
}

/// How many deals the environment asks for; few where benches run once.
pub fn deals_from_env() -> u64 {
    if is_quick() { 10_000 } else { count_from_env("BENCH_DEALS").unwrap_or(200_000) }
}

pub fn with_history_from_env() -> bool {
    std::env::var_os("BENCH_HISTORY").is_some()
}

/// SplitMix64: what is drawn for a record hangs on its number alone.
struct Random(u64);

impl Random {
    fn of(kind: u64, number: u64) -> Self {
        let mut random = Self(kind << 56 ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn pick(&mut self, of: &[&str]) -> String {
        of[self.below(of.len() as u64) as usize].to_owned()
    }
}

/// What the tenant is, before any record of it is made.
#[derive(Clone)]
pub struct Tenant {
    pub deal_count: u64,
    pub partner_count: u64,
    /// Sums of the partners' weights, the heaviest partner's first.
    weight_sums: Vec<u64>,
    with_history: bool,
}

// === impl Tenant ===

impl Tenant {
    /// As large as the environment says; small where benches run once.
    pub fn from_env() -> Self {
        Self::new(deals_from_env(), with_history_from_env())
    }

    /// The same, but not larger than `deal_count_max`.
    pub fn from_env_up_to(deal_count_max: u64) -> Self {
        Self::new(deals_from_env().min(deal_count_max), with_history_from_env())
    }

    pub fn new(deal_count: u64, with_history: bool) -> Self {
        let partner_count = (deal_count / 500).max(20);
        let weights = (1..=partner_count).map(|rank| 1_000_000_000_000 / rank);
        let weight_sums = weights
            .scan(0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        Self { deal_count, partner_count, weight_sums, with_history }
    }

    pub fn heaviest_partner(&self) -> String {
        partner_id(0)
    }

    /// The one with as many deals as partners have on average.
    pub fn typical_partner(&self) -> String {
        partner_id(self.typical_rank())
    }

    pub fn typical_rank(&self) -> u64 {
        let total: u64 = *self.weight_sums.last().expect("there are partners");
        let mean = total / self.partner_count;
        1_000_000_000_000 / mean - 1
    }

    /// Everything, oldest kinds first: a reference comes after what it names.
    pub fn records(&self) -> impl Iterator<Item = Record> + Send + use<'_> {
        let units = (0..UNIT_COUNT).map(unit);
        let channels = (0..CHANNEL_COUNT).map(channel);
        let employees = (0..self.employee_count()).map(employee);
        let partners = (0..self.partner_count).map(partner);
        let trade = (0..self.deal_count).flat_map(|number| self.trade(number));
        units.chain(channels).chain(employees).chain(partners).chain(trade)
    }

    fn employee_count(&self) -> u64 {
        (self.partner_count / 10).max(10)
    }

    /// A deal, with the lead that it came from where it has one.
    fn trade(&self, number: u64) -> Vec<Record> {
        let (last, deal) = self.deal(number);
        let mut records = Vec::with_capacity(4);
        if !deal.lead_id.is_empty() {
            records.push(self.lead_of(&deal));
        }
        if self.with_history {
            let opened = deal.opened_at.expect("every deal has it").seconds;
            let mut random = Random::of(3, number);
            // 1 + 0.6 + 0.6 versions.
            for part in [3, 2] {
                if random.percent(60) && last > opened {
                    let early = Deal {
                        status: DealStatus::Open.into(),
                        closed_at: None,
                        stage: STAGES[2 - part % 3].to_owned(),
                        ..deal.clone()
                    };
                    let at = opened + (last - opened) / part as i64;
                    records.push(record(at.min(last - 1), Kind::Deal(early)));
                }
            }
        }
        records.push(record(last, Kind::Deal(deal)));
        records
    }

    /// A deal as it ended, and when its CRM said so.
    fn deal(&self, number: u64) -> (i64, Deal) {
        let mut random = Random::of(1, number);
        let opened_day = random.below(DAY_COUNT as u64) as i64;
        let opened = FIRST_DAY_SECONDS + opened_day * DAY_SECONDS + random.below(43_200) as i64;
        // Mostly short, seldom long: the least of two draws.
        let cycle_days = 1 + random.below(200).min(random.below(200)) as i64;
        let would_end = opened + cycle_days * DAY_SECONDS;
        let drawn = random.below(100);
        let (status, closed, expires) = match drawn {
            _ if would_end >= NOW_SECONDS => (DealStatus::Open, None, None),
            0..=22 => (DealStatus::Open, None, None),
            23..=28 => (DealStatus::Open, None, Some(would_end)),
            29..=63 => (DealStatus::Won, Some(would_end), None),
            _ => (DealStatus::Lost, Some(would_end), None),
        };
        let sourced_by = self.some_partner(&mut random);
        let partner_credits = match random.below(100) {
            0..=2 => Vec::new(),
            3..=7 => {
                let other = self.some_partner(&mut random);
                let shares = if other == sourced_by {
                    vec![(sourced_by, 10_000)]
                } else {
                    vec![(sourced_by, 7_000), (other, 3_000)]
                };
                shares.into_iter().map(|(partner, bps)| credit(partner, bps)).collect()
            }
            _ => vec![credit(sourced_by, 10_000)],
        };
        let owner = random.below(self.employee_count());
        let text_if = |is_set: bool, text: String| if is_set { text } else { String::new() };
        let deal = Deal {
            deal_id: id("deal", 1, number),
            opened_at: Some(time(opened)),
            amount: random.percent(97).then(|| dollars(100 + random.below(50_000) as i64)),
            stage: random.pick(&STAGES),
            probability_bps: random.percent(50).then(|| random.below(101) as i32 * 100),
            expire_time: expires.map(time),
            status: status.into(),
            closed_at: closed.map(time),
            owner_employee_id: employee_id(owner),
            partner_credits,
            lead_id: text_if(random.below(3) == 0, id("lead", 3, number)),
            marketing_channel_id: text_if(random.percent(40), channel_id(random.below(CHANNEL_COUNT))),
            product: product(random.below(PRODUCT_COUNT)),
            region: text_if(random.percent(25), random.pick(&REGIONS)),
            labels: match random.percent(20) {
                true => [("segment".to_owned(), random.pick(&SEGMENTS))].into(),
                false => Default::default(),
            },
            ..Deal::default()
        };
        (closed.unwrap_or(opened), deal)
    }

    /// A deal as it ended.
    pub fn current_deal(&self, number: u64) -> Deal {
        self.deal(number).1
    }

    /// When the lead of a deal was created, where it has one.
    pub fn lead_created_at(&self, deal: &Deal) -> Option<Timestamp> {
        if deal.lead_id.is_empty() {
            return None;
        }
        let opened = deal.opened_at.expect("every deal has it").seconds;
        Some(time((opened - 9 * DAY_SECONDS).max(FIRST_DAY_SECONDS)))
    }

    pub fn partner_region(&self, rank: u64) -> String {
        match partner(rank).record {
            Some(Kind::Partner(partner)) => partner.region,
            _ => unreachable!("a partner is made"),
        }
    }

    fn lead_of(&self, deal: &Deal) -> Record {
        let opened = deal.opened_at.expect("every deal has it").seconds;
        let created = self.lead_created_at(deal).map_or(opened, |created| created.seconds);
        let lead = Lead {
            lead_id: deal.lead_id.clone(),
            created_at: Some(time(created)),
            partner_id: deal
                .partner_credits
                .first()
                .map(|credit| credit.partner_id.clone())
                .unwrap_or_default(),
            owner_employee_id: deal.owner_employee_id.clone(),
            marketing_channel_id: deal.marketing_channel_id.clone(),
            region: String::new(),
            outcome: LeadOutcome::Converted.into(),
            decided_at: Some(time(opened.max(created))),
        };
        record(opened.max(created), Kind::Lead(lead))
    }

    /// A later version of a deal that is there: another amount, told so many seconds after it all.
    pub fn amended(&self, number: u64, seconds_later: i64) -> Record {
        let number = number % self.deal_count;
        let (_, deal) = self.deal(number);
        let amount = dollars(100 + Random::of(5, number ^ seconds_later as u64).below(50_000) as i64);
        record(NOW_SECONDS - 3_600 + seconds_later, Kind::Deal(Deal { amount: Some(amount), ..deal }))
    }

    /// A deal that isn't there yet, `number` of them apart.
    pub fn further(&self, number: u64) -> Record {
        let (last, deal) = self.deal(self.deal_count + number);
        record(last, Kind::Deal(Deal { lead_id: String::new(), ..deal }))
    }

    /// An early version of a deal that is there: it comes late, and leaves the present as it is.
    pub fn late(&self, number: u64, seconds_later: i64) -> Record {
        let (_, deal) = self.deal(number % self.deal_count);
        let early = Deal { status: DealStatus::Open.into(), closed_at: None, ..deal };
        record(FIRST_DAY_SECONDS - DAY_SECONDS * 30 + seconds_later, Kind::Deal(early))
    }

    /// Whether a deal was closed so many days before the last one.
    pub fn ended_before(&self, number: u64, days_ago: i64) -> bool {
        let (_, deal) = self.deal(number);
        deal.closed_at.is_some_and(|closed| closed.seconds < NOW_SECONDS - days_ago * DAY_SECONDS)
    }

    /// A deal that the heaviest partner won a day ago, worth more with each `version`.
    pub fn great_deal(&self, version: i64) -> Record {
        let deal = Deal {
            deal_id: "deal-that-leads-a-board".to_owned(),
            opened_at: Some(time(NOW_SECONDS - 9 * DAY_SECONDS)),
            closed_at: Some(time(NOW_SECONDS - DAY_SECONDS)),
            status: DealStatus::Won.into(),
            amount: Some(dollars(1_000_000 + version)),
            partner_credits: vec![credit(0, 10_000)],
            ..Deal::default()
        };
        record(NOW_SECONDS - DAY_SECONDS + version, Kind::Deal(deal))
    }

    fn some_partner(&self, random: &mut Random) -> u64 {
        let total = *self.weight_sums.last().expect("there are partners");
        let drawn = random.below(total);
        self.weight_sums.partition_point(|sum| *sum <= drawn) as u64
    }
}

/// 21 bytes that come in no order, as ids of most CRMs do.
fn id(kind: &str, salt: u64, number: u64) -> String {
    format!("{kind}-{:016x}", Random::of(0x40 + salt, number).next())
}

pub fn partner_id(rank: u64) -> String {
    id("part", 6, rank)
}

pub fn employee_id(number: u64) -> String {
    id("empl", 2, number)
}

pub fn unit_id(number: u64) -> String {
    id("unit", 7, number)
}

pub fn channel_id(number: u64) -> String {
    id("chan", 4, number)
}

pub fn product(number: u64) -> String {
    format!("product {number}")
}

fn time(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

fn dollars(units: i64) -> Money {
    Money { currency_code: "USD".to_owned(), units, nanos: 0 }
}

fn credit(partner: u64, share_bps: i32) -> PartnerCredit {
    PartnerCredit { partner_id: partner_id(partner), share_bps: Some(share_bps), ..PartnerCredit::default() }
}

fn record(update_seconds: i64, record: Kind) -> Record {
    Record { update_time: Some(time(update_seconds)), record: Some(record), ..Record::default() }
}

fn unit(number: u64) -> Record {
    let parent = if number == 0 { String::new() } else { unit_id((number - 1) / 3) };
    let unit = OrgUnit { org_unit_id: unit_id(number), parent_unit_id: parent, ..OrgUnit::default() };
    record(FIRST_DAY_SECONDS, Kind::OrgUnit(unit))
}

fn channel(number: u64) -> Record {
    let channel = MarketingChannel {
        marketing_channel_id: channel_id(number),
        media: [Media::Paid, Media::Earned, Media::Owned][(number % 3) as usize].into(),
        ..MarketingChannel::default()
    };
    record(FIRST_DAY_SECONDS, Kind::MarketingChannel(channel))
}

fn employee(number: u64) -> Record {
    let employee = Employee {
        employee_id: employee_id(number),
        unit_id: unit_id(number % UNIT_COUNT),
        ..Employee::default()
    };
    record(FIRST_DAY_SECONDS, Kind::Employee(employee))
}

fn partner(rank: u64) -> Record {
    let mut random = Random::of(2, rank);
    let partner = Partner {
        partner_id: partner_id(rank),
        name: format!("Partner {rank}"),
        tier: random.pick(&["gold", "silver", "bronze"]),
        region: random.pick(&REGIONS),
        parent_partner_id: if random.percent(5) && rank > 9 { partner_id(rank / 10) } else { String::new() },
        ..Partner::default()
    };
    record(FIRST_DAY_SECONDS, Kind::Partner(partner))
}

/// A day of the three years, counted from 0.
pub fn date(day: i64) -> Date {
    let at = chrono::DateTime::from_timestamp(FIRST_DAY_SECONDS + day * DAY_SECONDS, 0);
    let day = at.expect("a day of three years").date_naive();
    use chrono::Datelike;
    Date { year: day.year(), month: day.month() as i32, day: day.day() as i32 }
}

/// What the sidecar's clock shows.
pub fn now() -> SystemTime {
    time(NOW_SECONDS).try_into().expect("it is after 1970")
}

/// A sidecar in this process that holds the tenant.
pub struct Filled {
    pub sidecar: Sidecar,
    pub data_dir: TempDir,
    pub tenant: Tenant,
    pub hands: ClockHands,
}

/// No watch hears heartbeats while it is measured, and no snapshot is taken in the middle.
pub fn limits() -> Limits {
    Limits {
        heartbeat_interval: Duration::from_secs(600),
        unary_time_max: Duration::from_secs(3_600),
        unary_in_work_per_tenant_max: 1_024,
        watches_max: 20_000,
        watches_per_tenant_max: 20_000,
        snapshot_after_bytes: u32::MAX,
        drain_delay: Duration::ZERO,
        ..Limits::default()
    }
}

/// Opens what a directory holds, by a clock that stands on the last day.
pub async fn open(data_dir: &TempDir) -> (Sidecar, ClockHands) {
    let (clock, hands) = Clock::by_hand(now());
    let config = Config {
        data_dir: data_dir.path().to_owned(),
        listen: vec![Listen::Tcp(([127, 0, 0, 1], 0).into())],
        limits: limits(),
    };
    let sidecar = channel_kpi::open_by_clock(config, clock).await.expect("the directory is ours");
    (sidecar, hands)
}

pub fn settings() -> TenantSettings {
    TenantSettings {
        reporting_currency_code: "USD".to_owned(),
        time_zone: "Asia/Dhaka".to_owned(),
        ..TenantSettings::default()
    }
}

/// An empty tenant.
pub async fn found(stack: Stack) {
    let create = CreateTenantRequest { tenant_id: "default".to_owned(), settings: Some(settings()) };
    let created = AdminServiceClient::new(stack).create_tenant(create).await;
    created.expect("the settings are valid");
}

impl Filled {
    pub async fn fill() -> Self {
        Self::fill_with(Tenant::from_env()).await
    }

    pub async fn fill_with(tenant: Tenant) -> Self {
        let data_dir = tempfile::tempdir().expect("a directory for the bench");
        let (sidecar, hands) = open(&data_dir).await;
        found(sidecar.channel()).await;
        fill(&RecordServiceClient::new(sidecar.channel()), &tenant).await;
        Self { sidecar, data_dir, tenant, hands }
    }
}

/// Writes all records of a tenant.
pub async fn fill(filler: &RecordServiceClient<Stack>, tenant: &Tenant) {
    let began_at = Instant::now();
    let record_count = write_all(filler, tenant.records()).await;
    eprintln!(
        "a tenant of {} deals and {} partners, {} records, filled in {:.1} s",
        count(tenant.deal_count),
        count(tenant.partner_count),
        count(record_count),
        began_at.elapsed().as_secs_f64()
    );
}

/// Writes records, tells now and then how many it has written, and in the end answers it.
pub async fn write_all(filler: &RecordServiceClient<Stack>, records: impl Iterator<Item = Record>) -> u64 {
    let began_at = Instant::now();
    let mut told_at = began_at;
    let mut under_way = JoinSet::new();
    let mut record_count = 0;
    for records in chunks(records, WRITE_RECORDS) {
        record_count += records.len() as u64;
        let mut filler = filler.clone();
        under_way.spawn(async move { taken(filler.write_records(writing(records)).await) });
        if under_way.len() >= FILLING_AT_A_TIME {
            under_way.join_next().await.expect("some are under way").expect("no write panics");
        }
        if told_at.elapsed() >= PROGRESS_EVERY {
            told_at = Instant::now();
            let per_second = record_count as f64 / began_at.elapsed().as_secs_f64();
            eprintln!("    {} records so far, {} a second", count(record_count), count(per_second as u64));
        }
    }
    under_way.join_all().await;
    record_count
}

/// What comes, so many at a time.
pub fn chunks<T>(of: impl Iterator<Item = T>, size: usize) -> impl Iterator<Item = Vec<T>> {
    let mut rest = of.fuse();
    std::iter::from_fn(move || Some(rest.by_ref().take(size).collect()))
        .take_while(|chunk: &Vec<T>| !chunk.is_empty())
}

pub fn writing(records: Vec<Record>) -> WriteRecordsRequest {
    WriteRecordsRequest { records, ..WriteRecordsRequest::default() }
}

/// Every record was taken.
pub fn taken(answer: Result<tonic::Response<WriteRecordsResponse>, tonic::Status>) {
    let answer = answer.expect("the records are valid").into_inner();
    assert_eq!(answer.rejected_records, []);
}

/// Resident bytes of this process. 0 where the system doesn't say.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
