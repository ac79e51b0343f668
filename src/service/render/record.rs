//! Records, as the store holds them: whole versions and settings.

use chrono::Weekday;
use prost_types::Timestamp;

use super::value::{self, id};
use crate::domain::calendar::{Date, Instant};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::ids::{
    ChannelId, DealId, EmployeeId, Id, LeadId, PartnerId, SpendId, StrategyId, TargetId, Term, UnitId,
};
use crate::domain::record::{
    Channel, Credit, Deal, DealStatus, Employee, Expiry, Labels, Lead, LeadOutcome, Media, Name, Partner,
    Record, Role, Settings, Spend, State, Strategy, Target, TargetValue, Thresholds, Unit, Version,
    VersionKey, WeekStart,
};
use crate::proto::channelkpi::v1 as pb;
use crate::proto::google::r#type as google;

/// A version with what the store knows of it.
pub fn record_version(version: &Version, received_time: Instant, current: bool) -> pb::RecordVersion {
    let received_time = Some(value::instant(received_time));
    pb::RecordVersion { record: Some(record(version)), received_time, current }
}

/// A version. A deleted one says its id and, where the kind has it, into what it was merged.
pub fn record(version: &Version) -> pb::Record {
    use pb::record::Record as Wire;
    let Version { key: VersionKey { update_time, sequence }, record } = version;
    let (deleted, record) = match record {
        Record::Partner(id, state) => (state.is_deleted(), Wire::Partner(partner(id, state))),
        Record::Unit(id, state) => (state.is_deleted(), Wire::OrgUnit(org_unit(id, state))),
        Record::Employee(id, state) => (state.is_deleted(), Wire::Employee(employee(id, state))),
        Record::Lead(id, state) => (state.is_deleted(), Wire::Lead(lead(id, state))),
        Record::Deal(id, state) => (state.is_deleted(), Wire::Deal(deal(id, state))),
        Record::Channel(id, state) => (state.is_deleted(), Wire::MarketingChannel(channel(id, state))),
        Record::Spend(id, state) => (state.is_deleted(), Wire::MarketingSpend(spend(id, state))),
        Record::Target(id, state) => (state.is_deleted(), Wire::Target(target(id, state))),
        Record::Rate(key, state) => (state.is_deleted(), Wire::ExchangeRate(exchange_rate(key, state))),
        Record::Strategy(id, state) => (state.is_deleted(), Wire::Strategy(strategy(id, state.present()))),
        Record::Settings(sent) => (false, Wire::TenantSettings(settings(sent))),
    };
    pb::Record {
        update_time: Some(value::instant(*update_time)),
        sequence: (*sequence > 0).then(|| signed(*sequence)),
        deleted,
        record: Some(record),
    }
}

/// A number that came as an int64.
fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("parsed from an int64")
}

fn optional_id<K>(found: &Option<Id<K>>) -> String {
    found.as_ref().map(id).unwrap_or_default()
}

fn optional_term(term: &Option<Term>) -> String {
    term.as_ref().map(|term| term.as_str().to_owned()).unwrap_or_default()
}

fn optional_name(name: &Option<Name>) -> String {
    name.as_deref().unwrap_or_default().to_owned()
}

fn labels(labels: &Labels) -> std::collections::BTreeMap<String, String> {
    labels.iter().map(|(key, label)| (key.as_str().to_owned(), label.as_str().to_owned())).collect()
}

fn partner(partner: &PartnerId, state: &State<Partner, Option<PartnerId>>) -> pb::Partner {
    let partner_id = id(partner);
    match state {
        State::Deleted(merged_into) => {
            pb::Partner { partner_id, merged_into_partner_id: optional_id(merged_into), ..Default::default() }
        }
        State::Present(Partner {
            name,
            partner_type,
            tier,
            region,
            parent,
            active,
            labels: kept,
            merged_into,
        }) => pb::Partner {
            partner_id,
            name: optional_name(name),
            partner_type: optional_term(partner_type),
            tier: optional_term(tier),
            region: optional_term(region),
            parent_partner_id: optional_id(parent),
            active: Some(*active),
            labels: labels(kept),
            merged_into_partner_id: optional_id(merged_into),
        },
    }
}

fn org_unit(unit: &UnitId, state: &State<Unit>) -> pb::OrgUnit {
    let org_unit_id = id(unit);
    match state {
        State::Deleted(()) => pb::OrgUnit { org_unit_id, ..Default::default() },
        State::Present(Unit { name, unit_kind, parent }) => pb::OrgUnit {
            org_unit_id,
            name: optional_name(name),
            unit_kind: optional_term(unit_kind),
            parent_unit_id: optional_id(parent),
        },
    }
}

fn employee(employee: &EmployeeId, state: &State<Employee, Option<EmployeeId>>) -> pb::Employee {
    let employee_id = id(employee);
    match state {
        State::Deleted(merged_into) => pb::Employee {
            employee_id,
            merged_into_employee_id: optional_id(merged_into),
            ..Default::default()
        },
        State::Present(Employee { name, unit, active, merged_into }) => pb::Employee {
            employee_id,
            name: optional_name(name),
            unit_id: optional_id(unit),
            active: Some(*active),
            merged_into_employee_id: optional_id(merged_into),
        },
    }
}

fn lead(lead: &LeadId, state: &State<Lead>) -> pb::Lead {
    let lead_id = id(lead);
    match state {
        State::Deleted(()) => pb::Lead { lead_id, ..Default::default() },
        State::Present(Lead { created_at, partner, owner, channel, region, outcome }) => {
            let (outcome, decided_at) = match *outcome {
                LeadOutcome::Open => (pb::LeadOutcome::Open, None),
                LeadOutcome::Converted(at) => (pb::LeadOutcome::Converted, Some(at)),
                LeadOutcome::Disqualified(at) => (pb::LeadOutcome::Disqualified, Some(at)),
            };
            pb::Lead {
                lead_id,
                created_at: Some(value::instant(*created_at)),
                partner_id: optional_id(partner),
                owner_employee_id: optional_id(owner),
                marketing_channel_id: optional_id(channel),
                region: optional_term(region),
                outcome: outcome.into(),
                decided_at: decided_at.map(value::instant),
            }
        }
    }
}

fn deal(deal: &DealId, state: &State<Deal>) -> pb::Deal {
    let deal_id = id(deal);
    let Deal {
        opened_at,
        amount,
        stage,
        probability,
        expected_close,
        expiry,
        status,
        lost_reason,
        competitor,
        owner,
        unit,
        credits,
        lead,
        channel,
        product,
        region,
        labels: kept,
    } = match state {
        State::Deleted(()) => return pb::Deal { deal_id, ..Default::default() },
        State::Present(deal) => deal,
    };
    let (status, closed_at) = match *status {
        DealStatus::Open => (pb::DealStatus::Open, None),
        DealStatus::Won(at) => (pb::DealStatus::Won, Some(at)),
        DealStatus::Lost(at) => (pb::DealStatus::Lost, Some(at)),
    };
    pb::Deal {
        deal_id,
        opened_at: Some(value::instant(*opened_at)),
        amount: amount.map(value::amount),
        stage: optional_term(stage),
        probability_bps: probability.map(|bps| bps.get().into()),
        expected_close: expected_close.map(value::date),
        expire_time: expiry.map(expire_time),
        status: status.into(),
        closed_at: closed_at.map(value::instant),
        lost_reason: optional_name(lost_reason),
        competitor: optional_term(competitor),
        owner_employee_id: optional_id(owner),
        unit_id: optional_id(unit),
        partner_credits: credits.iter().map(credit).collect(),
        lead_id: optional_id(lead),
        marketing_channel_id: optional_id(channel),
        product: optional_term(product),
        region: optional_term(region),
        labels: labels(kept),
    }
}

fn expire_time(expiry: Expiry) -> Timestamp {
    match expiry {
        Expiry::At(at) => value::instant(at),
        // The first one that is too late to be a limit.
        Expiry::Never => Timestamp { seconds: Instant::LAST.seconds() + 1, nanos: 0 },
    }
}

fn credit(Credit { role, partner, share }: &Credit) -> pb::PartnerCredit {
    let role = match role {
        Role::Sourced => pb::CreditRole::Sourced,
        Role::Influenced => pb::CreditRole::Influenced,
        Role::Fulfilled => pb::CreditRole::Fulfilled,
    };
    let share_bps = share.map(|bps| bps.get().into());
    pb::PartnerCredit { partner_id: id(partner), role: role.into(), share_bps }
}

fn channel(channel: &ChannelId, state: &State<Channel>) -> pb::MarketingChannel {
    let marketing_channel_id = id(channel);
    match state {
        State::Deleted(()) => pb::MarketingChannel { marketing_channel_id, ..Default::default() },
        State::Present(Channel { name, media }) => {
            let media = match media {
                None => pb::Media::Unspecified,
                Some(Media::Paid) => pb::Media::Paid,
                Some(Media::Earned) => pb::Media::Earned,
                Some(Media::Owned) => pb::Media::Owned,
            };
            pb::MarketingChannel { marketing_channel_id, name: optional_name(name), media: media.into() }
        }
    }
}

fn spend(spend: &SpendId, state: &State<Spend>) -> pb::MarketingSpend {
    let marketing_spend_id = id(spend);
    match state {
        State::Deleted(()) => pb::MarketingSpend { marketing_spend_id, ..Default::default() },
        State::Present(Spend { channel, dates, amount, partner }) => pb::MarketingSpend {
            marketing_spend_id,
            marketing_channel_id: id(channel),
            start_on: Some(value::date(dates.from)),
            end_on: Some(value::date(dates.to)),
            amount: Some(value::amount(*amount)),
            partner_id: optional_id(partner),
        },
    }
}

fn target(target: &TargetId, state: &State<Target>) -> pb::Target {
    let target_id = id(target);
    match state {
        State::Deleted(()) => pb::Target { target_id, ..Default::default() },
        State::Present(Target { subject, dates, value: reached, month_weights }) => {
            let reached = match *reached {
                TargetValue::WonAmount(amount) => pb::target::Value::WonAmount(value::amount(amount)),
                TargetValue::WonCount(count) => pb::target::Value::WonCount(signed(count)),
            };
            pb::Target {
                target_id,
                subject: Some(value::subject(subject)),
                start_on: Some(value::date(dates.from)),
                end_on: Some(value::date(dates.to)),
                value: Some(reached),
                month_weights: month_weights
                    .iter()
                    .map(|(&first, &weight)| month_weight(first, weight))
                    .collect(),
            }
        }
    }
}

fn month_weight(first: Date, weight: u32) -> pb::MonthWeight {
    let google::Date { year, month, day: _ } = value::date(first);
    pb::MonthWeight { year, month, weight: small(weight) }
}

fn exchange_rate(key: &RateKey, state: &State<Rate>) -> pb::ExchangeRate {
    let rate = state.present().map(|rate| google::Decimal { value: rate.to_string() });
    pb::ExchangeRate { key: Some(exchange_rate_key(*key)), rate }
}

pub(super) fn exchange_rate_key(RateKey { from, to, on }: RateKey) -> pb::ExchangeRateKey {
    pb::ExchangeRateKey {
        from_currency_code: from.code().to_owned(),
        to_currency_code: to.code().to_owned(),
        rate_on: Some(value::date(on)),
    }
}

/// A strategy, or of a deleted one its id.
pub fn strategy(strategy: &StrategyId, content: Option<&Strategy>) -> pb::Strategy {
    let strategy_id = id(strategy);
    match content {
        None => pb::Strategy { strategy_id, ..Default::default() },
        Some(Strategy { name, start_on, subjects }) => pb::Strategy {
            strategy_id,
            name: optional_name(name),
            start_on: Some(value::date(*start_on)),
            subjects: subjects.iter().map(value::subject).collect(),
        },
    }
}

/// A tenant's settings.
pub fn settings(settings: &Settings) -> pb::TenantSettings {
    let Settings {
        reporting_currency,
        zone,
        fiscal_year_start_month,
        week_start: WeekStart(week_start),
        time_limit_days,
        stage_probabilities,
        thresholds: levels,
    } = settings;
    let week_start = match week_start {
        Weekday::Mon => google::DayOfWeek::Monday,
        Weekday::Tue => google::DayOfWeek::Tuesday,
        Weekday::Wed => google::DayOfWeek::Wednesday,
        Weekday::Thu => google::DayOfWeek::Thursday,
        Weekday::Fri => google::DayOfWeek::Friday,
        Weekday::Sat => google::DayOfWeek::Saturday,
        Weekday::Sun => google::DayOfWeek::Sunday,
    };
    let stage_probabilities = stage_probabilities.iter().map(|(stage, probability)| pb::StageProbability {
        stage: stage.as_str().to_owned(),
        probability_bps: probability.get().into(),
    });
    pb::TenantSettings {
        reporting_currency_code: reporting_currency.code().to_owned(),
        time_zone: zone.name().to_owned(),
        fiscal_year_start_month: Some((*fiscal_year_start_month).into()),
        week_start: week_start.into(),
        opportunity_time_limit_days: time_limit_days.map(Into::into),
        stage_probabilities: stage_probabilities.collect(),
        thresholds: (*levels != Thresholds::default()).then(|| thresholds(levels)),
    }
}

fn thresholds(thresholds: &Thresholds) -> pb::Thresholds {
    let Thresholds {
        coverage_percent,
        expiring_days,
        slow_stage_percent,
        replace_percent,
        replace_sample_min,
        sample_min,
        channel_leads_min,
        peers_min,
        significance_bps,
        stale_days,
    } = thresholds;
    let level = |level: &Option<u32>| level.map(small);
    pb::Thresholds {
        coverage_percent: level(coverage_percent),
        expiring_days: level(expiring_days),
        slow_stage_percent: level(slow_stage_percent),
        replace_percent: level(replace_percent),
        replace_sample_min: level(replace_sample_min),
        sample_min: level(sample_min),
        channel_leads_min: level(channel_leads_min),
        peers_min: level(peers_min),
        significance_bps: level(significance_bps),
        stale_days: level(stale_days),
    }
}

/// A number that came as an int32.
fn small(number: u32) -> i32 {
    i32::try_from(number).expect("parsed from an int32")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::arbitrary;
    use crate::service::parse;

    proptest! {
        #[test]
        fn versions_come_back(version in arbitrary::version()) {
            let wire = record(&version);
            if let Some(pb::record::Record::TenantSettings(wire)) = &wire.record {
                prop_assert_eq!(parse::settings(wire).map(Record::Settings), Ok(version.record));
            } else {
                prop_assert_eq!(parse::record(&wire, Instant::LAST), Ok(version));
            }
        }
    }

    #[test]
    fn a_version_says_what_the_store_knows() {
        let key = VersionKey { update_time: Instant::FIRST, sequence: 0 };
        let record = Record::Deal(DealId::try_new("d1").unwrap(), State::Deleted(()));
        let rendered = record_version(&Version { key, record }, Instant::LAST, true);
        let seconds = rendered.received_time.map(|time| time.seconds);
        assert_eq!((seconds, rendered.current), (Some(Instant::LAST.seconds()), true));
        let sent = rendered.record.unwrap();
        assert_eq!((sent.sequence, sent.deleted), (None, true), "no sequence, as it was sent");
    }
}
