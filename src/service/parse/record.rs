//! Records: WriteRecords, and the versions that it brings.

use std::collections::BTreeMap;

use prost_types::Timestamp;

use super::path::{Path, Violations, collect};
use super::value::{self, each, known, optional, required, within};
use crate::domain::calendar::{Date, DateRange, Instant, InstantError};
use crate::domain::exchange::Rate;
use crate::domain::record::{
    Channel, Credit, Credits, CreditsError, Deal, DealStatus, Employee, Expiry, Lead, LeadOutcome, Media,
    Partner, Record, Role, Spend, State, Strategy, Target, TargetValue, Unit, Version, VersionKey,
};
use crate::domain::subject::Subject;
use crate::proto::channelkpi::v1 as pb;
use crate::proto::google::r#type as google;

/// The most versions of one WriteRecords.
pub const RECORDS_MAX: usize = 1_000;

/// The violations that a partial write answers of one record: its answer has to hold those of
/// [`RECORDS_MAX`] records.
pub(super) const REJECTION_KEPT_MAX: usize = 10;

/// How far `update_time` may be ahead of the server's clock.
const AHEAD_HOURS_MAX: i64 = 24;

const SUBJECTS_MAX: usize = 1_000;

/// What a WriteRecords brings to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// In the order of the request.
    pub versions: Vec<Version>,
    /// By place in the request. Empty for an atomic write.
    pub rejected: Vec<(usize, Violations)>,
}

/// Why a WriteRecords as a whole is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Violations(#[from] Violations),
    #[error("{field} has {given} items, must have at most {allowed}: send them in several calls")]
    TooManyItems { field: &'static str, given: usize, allowed: usize },
}

/// What to do where some records of a request are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    Atomic,
    Partial,
}

/// The versions that a request brings. `now` is the server's clock.
pub fn write_records(request: &pb::WriteRecordsRequest, now: Instant) -> Result<Accepted, Refusal> {
    let pb::WriteRecordsRequest { records, mode } = request;
    if records.len() > RECORDS_MAX {
        let given = records.len();
        return Err(Refusal::TooManyItems { field: "records", given, allowed: RECORDS_MAX });
    }
    let mode = collect(Violations::KEPT_MAX, |at| {
        let mode = write_mode(at.field("mode"), *mode);
        if records.is_empty() {
            return at
                .field("records")
                .refuse(format_args!("is empty, must have 1 to {RECORDS_MAX} records"));
        }
        mode
    })?;
    match mode {
        WriteMode::Atomic => {
            let versions = collect(Violations::KEPT_MAX, |at| {
                each(at.field("records"), records, |at, record| version(at, record, now))
            })?;
            Ok(Accepted { versions, rejected: Vec::new() })
        }
        WriteMode::Partial => {
            let mut accepted = Accepted { versions: Vec::with_capacity(records.len()), rejected: Vec::new() };
            for (place, record) in records.iter().enumerate() {
                let parsed = collect(REJECTION_KEPT_MAX, |at| {
                    let records_at = at.field("records");
                    version(records_at.index(place), record, now)
                });
                match parsed {
                    Ok(version) => accepted.versions.push(version),
                    Err(violations) => accepted.rejected.push((place, violations)),
                }
            }
            Ok(accepted)
        }
    }
}

fn write_mode(at: Path<'_>, mode: i32) -> Option<WriteMode> {
    use pb::WriteMode as Wire;
    match known(at, mode)? {
        Wire::Unspecified | Wire::Atomic => Some(WriteMode::Atomic),
        Wire::Partial => Some(WriteMode::Partial),
    }
}

/// One version, as WriteRecords takes it. Paths begin at the record.
pub fn record(record: &pb::Record, now: Instant) -> Result<Version, Violations> {
    collect(Violations::KEPT_MAX, |at| version(at, record, now))
}

pub(super) fn version(at: Path<'_>, record: &pb::Record, now: Instant) -> Option<Version> {
    use pb::record::Record as Wire;
    let pb::Record { update_time, sequence, deleted, record } = record;
    let update_time = required(at.field("update_time"), update_time, |at, time| {
        let update_time = value::instant(at, time)?;
        if update_time > now.plus_hours(AHEAD_HOURS_MAX) {
            return at.refuse(format_args!(
                "lies more than {AHEAD_HOURS_MAX} hours ahead of the server's clock: it would freeze the record"
            ));
        }
        Some(update_time)
    });
    let sequence = value::count(at.field("sequence"), sequence.unwrap_or(0));
    let deleted = *deleted;
    let record = match record {
        Some(Wire::Partner(sent)) => partner(at.field("partner"), sent, deleted),
        Some(Wire::OrgUnit(sent)) => org_unit(at.field("org_unit"), sent, deleted),
        Some(Wire::Employee(sent)) => employee(at.field("employee"), sent, deleted),
        Some(Wire::Lead(sent)) => lead(at.field("lead"), sent, deleted),
        Some(Wire::Deal(sent)) => deal(at.field("deal"), sent, deleted),
        Some(Wire::MarketingChannel(sent)) => channel(at.field("marketing_channel"), sent, deleted),
        Some(Wire::MarketingSpend(sent)) => spend(at.field("marketing_spend"), sent, deleted),
        Some(Wire::Target(sent)) => target(at.field("target"), sent, deleted),
        Some(Wire::ExchangeRate(sent)) => exchange_rate(at.field("exchange_rate"), sent, deleted),
        Some(Wire::Strategy(sent)) => strategy(at.field("strategy"), sent, deleted),
        Some(Wire::TenantSettings(_)) => at
            .field("tenant_settings")
            .refuse("can't be written here: call AdminService.ConfigureTenant instead"),
        None => at.refuse("holds no record that this server knows: set exactly one, such as deal"),
    };
    let key = VersionKey { update_time: update_time?, sequence: sequence? };
    Some(Version { key, record: record? })
}

// In each of these everything is parsed before the first `?`, so that nothing wrong is passed over.

fn partner(at: Path<'_>, sent: &pb::Partner, deleted: bool) -> Option<Record> {
    let pb::Partner {
        partner_id,
        name,
        partner_type,
        tier,
        region,
        parent_partner_id,
        active,
        labels,
        merged_into_partner_id,
    } = sent;
    let id = value::id(at.field("partner_id"), partner_id);
    let merged_into = value::optional_id(at.field("merged_into_partner_id"), merged_into_partner_id);
    if deleted {
        return Some(Record::Partner(id?, State::Deleted(merged_into)));
    }
    let name = value::optional_name(at.field("name"), name);
    let partner_type = value::optional_term(at.field("partner_type"), partner_type);
    let tier = value::optional_term(at.field("tier"), tier);
    let region = value::optional_term(at.field("region"), region);
    let parent = value::optional_id(at.field("parent_partner_id"), parent_partner_id);
    let active = active.unwrap_or(true);
    let labels = value::labels(at.field("labels"), labels);
    let partner = Partner { name, partner_type, tier, region, parent, active, labels: labels?, merged_into };
    Some(Record::Partner(id?, State::Present(partner)))
}

fn org_unit(at: Path<'_>, sent: &pb::OrgUnit, deleted: bool) -> Option<Record> {
    let pb::OrgUnit { org_unit_id, name, unit_kind, parent_unit_id } = sent;
    let id = value::id(at.field("org_unit_id"), org_unit_id);
    if deleted {
        return Some(Record::Unit(id?, State::Deleted(())));
    }
    let name = value::optional_name(at.field("name"), name);
    let unit_kind = value::optional_term(at.field("unit_kind"), unit_kind);
    let parent = value::optional_id(at.field("parent_unit_id"), parent_unit_id);
    Some(Record::Unit(id?, State::Present(Unit { name, unit_kind, parent })))
}

fn employee(at: Path<'_>, sent: &pb::Employee, deleted: bool) -> Option<Record> {
    let pb::Employee { employee_id, name, unit_id, active, merged_into_employee_id } = sent;
    let id = value::id(at.field("employee_id"), employee_id);
    let merged_into = value::optional_id(at.field("merged_into_employee_id"), merged_into_employee_id);
    if deleted {
        return Some(Record::Employee(id?, State::Deleted(merged_into)));
    }
    let name = value::optional_name(at.field("name"), name);
    let unit = value::optional_id(at.field("unit_id"), unit_id);
    let active = active.unwrap_or(true);
    Some(Record::Employee(id?, State::Present(Employee { name, unit, active, merged_into })))
}

fn lead(at: Path<'_>, sent: &pb::Lead, deleted: bool) -> Option<Record> {
    let pb::Lead {
        lead_id,
        created_at,
        partner_id,
        owner_employee_id,
        marketing_channel_id,
        region,
        outcome,
        decided_at,
    } = sent;
    let id = value::id(at.field("lead_id"), lead_id);
    if deleted {
        return Some(Record::Lead(id?, State::Deleted(())));
    }
    let created_at = required(at.field("created_at"), created_at, value::instant);
    let partner = value::optional_id(at.field("partner_id"), partner_id);
    let owner = value::optional_id(at.field("owner_employee_id"), owner_employee_id);
    let channel = value::optional_id(at.field("marketing_channel_id"), marketing_channel_id);
    let region = value::optional_term(at.field("region"), region);
    let outcome = lead_outcome(at, *outcome, decided_at);
    let lead = Lead { created_at: created_at?, partner, owner, channel, region, outcome: outcome? };
    Some(Record::Lead(id?, State::Present(lead)))
}

fn lead_outcome(at: Path<'_>, outcome: i32, decided_at: &Option<Timestamp>) -> Option<LeadOutcome> {
    use pb::LeadOutcome as Wire;
    let outcome = known(at.field("outcome"), outcome);
    let decided = at.field("decided_at");
    let instant = optional(decided, decided_at, value::instant);
    match outcome? {
        Wire::Unspecified | Wire::Open if decided_at.is_some() => {
            decided.refuse("is set on an open lead: leave it out, or set outcome")
        }
        Wire::Unspecified | Wire::Open => Some(LeadOutcome::Open),
        Wire::Converted | Wire::Disqualified if decided_at.is_none() => {
            decided.refuse("is missing: a lead that is converted or disqualified needs it")
        }
        Wire::Converted => instant.map(LeadOutcome::Converted),
        Wire::Disqualified => instant.map(LeadOutcome::Disqualified),
    }
}

fn deal(at: Path<'_>, sent: &pb::Deal, deleted: bool) -> Option<Record> {
    let pb::Deal {
        deal_id,
        opened_at,
        amount,
        stage,
        probability_bps,
        expected_close,
        expire_time,
        status,
        closed_at,
        lost_reason,
        competitor,
        owner_employee_id,
        unit_id,
        partner_credits,
        lead_id,
        marketing_channel_id,
        product,
        region,
        labels,
    } = sent;
    let id = value::id(at.field("deal_id"), deal_id);
    if deleted {
        return Some(Record::Deal(id?, State::Deleted(())));
    }
    let opened_at = required(at.field("opened_at"), opened_at, value::instant);
    let amount = optional(at.field("amount"), amount, value::money);
    let stage = value::optional_term(at.field("stage"), stage);
    let probability =
        optional(at.field("probability_bps"), probability_bps, |at, bps| value::basis_points(at, *bps));
    let expected_close = optional(at.field("expected_close"), expected_close, value::date);
    let expiry = optional(at.field("expire_time"), expire_time, expiry);
    let status = deal_status(at, *status, closed_at);
    let lost_reason = value::optional_name(at.field("lost_reason"), lost_reason);
    let competitor = value::optional_term(at.field("competitor"), competitor);
    let owner = value::optional_id(at.field("owner_employee_id"), owner_employee_id);
    let unit = value::optional_id(at.field("unit_id"), unit_id);
    let credits = credits(at.field("partner_credits"), partner_credits);
    let lead = value::optional_id(at.field("lead_id"), lead_id);
    let channel = value::optional_id(at.field("marketing_channel_id"), marketing_channel_id);
    let product = value::optional_term(at.field("product"), product);
    let region = value::optional_term(at.field("region"), region);
    let labels = value::labels(at.field("labels"), labels);
    let deal = Deal {
        opened_at: opened_at?,
        amount,
        stage,
        probability,
        expected_close,
        expiry,
        status: status?,
        lost_reason,
        competitor,
        owner,
        unit,
        credits: credits?,
        lead,
        channel,
        product,
        region,
        labels: labels?,
    };
    Some(Record::Deal(id?, State::Present(deal)))
}

fn deal_status(at: Path<'_>, status: i32, closed_at: &Option<Timestamp>) -> Option<DealStatus> {
    use pb::DealStatus as Wire;
    let status = known(at.field("status"), status);
    let closed = at.field("closed_at");
    let instant = optional(closed, closed_at, value::instant);
    match status? {
        Wire::Unspecified | Wire::Open if closed_at.is_some() => {
            closed.refuse("is set on an open deal: leave it out, or set status")
        }
        Wire::Unspecified | Wire::Open => Some(DealStatus::Open),
        Wire::Won | Wire::Lost if closed_at.is_none() => {
            closed.refuse("is missing: a deal that is won or lost needs it")
        }
        Wire::Won => instant.map(DealStatus::Won),
        Wire::Lost => instant.map(DealStatus::Lost),
    }
}

fn expiry(at: Path<'_>, time: &Timestamp) -> Option<Expiry> {
    let Timestamp { seconds, nanos } = *time;
    match Instant::try_new(seconds, nanos) {
        Err(InstantError::AfterRange) => Some(Expiry::Never),
        instant => at.check(instant).map(Expiry::At),
    }
}

fn credits(at: Path<'_>, sent: &[pb::PartnerCredit]) -> Option<Credits> {
    if sent.len() > Credits::MAX {
        return at.refuse(CreditsError::TooMany(sent.len()));
    }
    let credits = each(at, sent, |at, credit| {
        let pb::PartnerCredit { partner_id, role, share_bps } = credit;
        let partner = value::id(at.field("partner_id"), partner_id);
        let role = role_of(at.field("role"), *role);
        // A wrong share isn't an absent one: whether the credits fit together is then not asked.
        let share = match share_bps {
            Some(bps) => value::basis_points(at.field("share_bps"), *bps).map(Some),
            None => Some(None),
        };
        Some(Credit { role: role?, partner: partner?, share: share? })
    })?;
    Credits::try_new(credits).map_or_else(
        |error| match error {
            CreditsError::Twice(place) => at.index(place).refuse(error),
            CreditsError::Shareless(place) | CreditsError::AboveWhole(place, _) => {
                at.index(place).field("share_bps").refuse(error)
            }
            CreditsError::TooMany(_) => at.refuse(error),
        },
        Some,
    )
}

fn role_of(at: Path<'_>, role: i32) -> Option<Role> {
    use pb::CreditRole as Wire;
    Some(match known(at, role)? {
        Wire::Unspecified | Wire::Sourced => Role::Sourced,
        Wire::Influenced => Role::Influenced,
        Wire::Fulfilled => Role::Fulfilled,
    })
}

fn channel(at: Path<'_>, sent: &pb::MarketingChannel, deleted: bool) -> Option<Record> {
    let pb::MarketingChannel { marketing_channel_id, name, media } = sent;
    let id = value::id(at.field("marketing_channel_id"), marketing_channel_id);
    if deleted {
        return Some(Record::Channel(id?, State::Deleted(())));
    }
    let name = value::optional_name(at.field("name"), name);
    let media = known(at.field("media"), *media).and_then(|media| match media {
        pb::Media::Unspecified => None,
        pb::Media::Paid => Some(Media::Paid),
        pb::Media::Earned => Some(Media::Earned),
        pb::Media::Owned => Some(Media::Owned),
    });
    Some(Record::Channel(id?, State::Present(Channel { name, media })))
}

fn spend(at: Path<'_>, sent: &pb::MarketingSpend, deleted: bool) -> Option<Record> {
    let pb::MarketingSpend { marketing_spend_id, marketing_channel_id, start_on, end_on, amount, partner_id } =
        sent;
    let id = value::id(at.field("marketing_spend_id"), marketing_spend_id);
    if deleted {
        return Some(Record::Spend(id?, State::Deleted(())));
    }
    let channel = value::id(at.field("marketing_channel_id"), marketing_channel_id);
    let dates = value::dates(at, start_on, end_on);
    let amount = required(at.field("amount"), amount, value::money);
    let partner = value::optional_id(at.field("partner_id"), partner_id);
    let spend = Spend { channel: channel?, dates: dates?, amount: amount?, partner };
    Some(Record::Spend(id?, State::Present(spend)))
}

fn target(at: Path<'_>, sent: &pb::Target, deleted: bool) -> Option<Record> {
    let pb::Target { target_id, subject, start_on, end_on, value: sent_value, month_weights: weights } = sent;
    let id = value::id(at.field("target_id"), target_id);
    if deleted {
        return Some(Record::Target(id?, State::Deleted(())));
    }
    let subject = value::subject_or_tenant(at.field("subject"), subject);
    let dates = value::dates(at, start_on, end_on);
    let value = match sent_value {
        Some(pb::target::Value::WonAmount(amount)) => {
            value::money(at.field("won_amount"), amount).map(TargetValue::WonAmount)
        }
        Some(pb::target::Value::WonCount(count)) => {
            value::count(at.field("won_count"), *count).map(TargetValue::WonCount)
        }
        None => at.refuse("has no value: set exactly one of won_amount and won_count"),
    };
    let month_weights = month_weights(at.field("month_weights"), weights, dates);
    let target = Target { subject: subject?, dates: dates?, value: value?, month_weights: month_weights? };
    Some(Record::Target(id?, State::Present(target)))
}

/// Weights by the first day of their months. `dates` are the target's, where they are right.
fn month_weights(
    at: Path<'_>,
    sent: &[pb::MonthWeight],
    dates: Option<DateRange>,
) -> Option<BTreeMap<Date, u32>> {
    let weights = each(at, sent, |at, month_weight| {
        let pb::MonthWeight { year, month, weight } = *month_weight;
        let year = within::<i32>(at.field("year"), year, 1970..=2199);
        let month = within::<u32>(at.field("month"), month, 1..=12);
        let weight = within::<u32>(at.field("weight"), weight, 0..=1_000_000_000);
        let first = Date::from_ymd(year?, month?, 1)?;
        if dates.is_some_and(|dates| dates.to <= first || first.month().next().first_day() <= dates.from) {
            return at.refuse("is a month outside the target's days");
        }
        Some((first, weight?))
    })?;
    value::each_once(at, weights.iter().map(|(first, _)| first));
    if !weights.is_empty() && weights.iter().all(|&(_, weight)| weight == 0) {
        return at.refuse("sums to 0, must have a weight above 0, or none at all");
    }
    Some(weights.into_iter().collect())
}

fn exchange_rate(at: Path<'_>, sent: &pb::ExchangeRate, deleted: bool) -> Option<Record> {
    let pb::ExchangeRate { key, rate } = sent;
    let key = required(at.field("key"), key, value::rate_key);
    if deleted {
        return Some(Record::Rate(key?, State::Deleted(())));
    }
    let rate = required(at.field("rate"), rate, |at, rate| {
        let google::Decimal { value } = rate;
        at.field("value").check(Rate::parse(value))
    });
    Some(Record::Rate(key?, State::Present(rate?)))
}

fn strategy(at: Path<'_>, sent: &pb::Strategy, deleted: bool) -> Option<Record> {
    let pb::Strategy { strategy_id, name, start_on, subjects } = sent;
    let id = value::id(at.field("strategy_id"), strategy_id);
    if deleted {
        return Some(Record::Strategy(id?, State::Deleted(())));
    }
    let name = value::optional_name(at.field("name"), name);
    let start_on = required(at.field("start_on"), start_on, value::date);
    let subjects = strategy_subjects(at.field("subjects"), subjects);
    let strategy = Strategy { name, start_on: start_on?, subjects: subjects? };
    Some(Record::Strategy(id?, State::Present(strategy)))
}

fn strategy_subjects(at: Path<'_>, sent: &[pb::Subject]) -> Option<Vec<Subject>> {
    if !(1..=SUBJECTS_MAX).contains(&sent.len()) {
        return at.refuse(format_args!("has {} subjects, must have 1 to {SUBJECTS_MAX}", sent.len()));
    }
    let subjects = each(at, sent, value::subject)?;
    value::each_once(at, subjects.iter());
    Some(subjects)
}
