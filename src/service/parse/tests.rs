//! Bad input: every rule with its path and sentence; and messages that nobody thought of.

use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use prost_types::Timestamp;

use super::*;
use crate::domain::arbitrary;
use crate::domain::calendar::{Date, DateRange, Instant};
use crate::domain::filter::{CreditFilter, Dimension, Filter};
use crate::domain::ids::Term;
use crate::domain::premises::{ExchangePolicy, Knowledge, Premises, Roles};
use crate::domain::record::{Expiry, Media, Record, RecordKey, RecordKind, Role, State, Version};
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::{Comparison, PeriodPlace, PeriodUnit, WindowSpec};
use crate::kpi::Kpi;
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::channelkpi::v1 as pb;
use crate::proto::google::r#type as google;
use crate::service::render;
use pb::record::Record as Wire;

/// 2024-03-31T00:00:00Z.
const NOW_S: i64 = 1_711_843_200;

fn now() -> Instant {
    Instant::try_new(NOW_S, 0).unwrap()
}

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn on(year: i32, month: i32, day: i32) -> Option<google::Date> {
    Some(google::Date { year, month, day })
}

fn usd(units: i64, nanos: i32) -> Option<google::Money> {
    Some(google::Money { currency_code: "USD".into(), units, nanos })
}

fn sent(record: Wire) -> pb::Record {
    pb::Record { update_time: at(NOW_S), sequence: None, deleted: false, record: Some(record) }
}

/// Path and sentence of each violation.
fn found<T>(parsed: Result<T, Violations>) -> Vec<(String, String)> {
    let violations = parsed.err().map(|violations| violations.kept().to_vec()).unwrap_or_default();
    violations.into_iter().map(|violation| (violation.field, violation.description)).collect()
}

#[track_caller]
fn expect<T>(parsed: Result<T, Violations>, expected: &[(&str, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|&(field, text)| (field.to_owned(), text.to_owned())).collect();
    assert_eq!(found(parsed), expected);
}

/// A change to a good message, and what is then wrong with it.
type Case<'a, M> = (fn(&mut M), &'a [(&'a str, &'a str)]);

fn refuse_each<M: Clone>(good: &M, parse: impl Fn(&M) -> Vec<(String, String)>, cases: &[Case<'_, M>]) {
    assert_eq!(parse(good), [], "the good one is good");
    for (place, (change, expected)) in cases.iter().enumerate() {
        let mut changed = good.clone();
        change(&mut changed);
        let found = parse(&changed);
        let found: Vec<_> = found.iter().map(|(field, text)| (field.as_str(), text.as_str())).collect();
        assert_eq!(found, *expected, "case {place}");
    }
}

fn refuse_each_record<M: Clone>(good: &M, wire: impl Fn(M) -> Wire, cases: &[Case<'_, M>]) {
    refuse_each(good, |message| found(record(&sent(wire(message.clone())), now())), cases);
}

#[test]
fn envelopes() {
    let deal = pb::Deal { deal_id: "d1".into(), opened_at: at(0), ..Default::default() };
    refuse_each(
        &sent(Wire::Deal(deal)),
        |record_sent| found(record(record_sent, now())),
        &[
            (|r| r.update_time = None, &[("update_time", "is missing")]),
            (|r| r.update_time = at(-1), &[("update_time", "lies before 1970-01-01T00:00:00Z")]),
            (|r| r.update_time = at(1 << 40), &[("update_time", "lies after 2199-12-31T23:59:59Z")]),
            (
                |r| r.update_time = Some(Timestamp { seconds: 0, nanos: -1 }),
                &[("update_time", "has nanos -1, must be 0 to 999999999")],
            ),
            (|r| r.update_time = at(NOW_S + 86_400), &[]),
            (
                |r| r.update_time = Some(Timestamp { seconds: NOW_S + 86_400, nanos: 1 }),
                &[(
                    "update_time",
                    "lies more than 24 hours ahead of the server's clock: it would freeze the record",
                )],
            ),
            (|r| r.sequence = Some(0), &[]),
            (|r| r.sequence = Some(-1), &[("sequence", "is -1, must be at least 0")]),
            (
                |r| r.record = None,
                &[("", "holds no record that this server knows: set exactly one, such as deal")],
            ),
            (
                |r| r.record = Some(Wire::TenantSettings(pb::TenantSettings::default())),
                &[("tenant_settings", "can't be written here: call AdminService.ConfigureTenant instead")],
            ),
        ],
    );
}

#[test]
fn deals() {
    let credit =
        |partner: &str, share_bps| pb::PartnerCredit { partner_id: partner.into(), role: 0, share_bps };
    let good = pb::Deal {
        deal_id: "d1".into(),
        opened_at: at(NOW_S),
        amount: usd(200, 500_000_000),
        status: pb::DealStatus::Won.into(),
        closed_at: at(NOW_S),
        partner_credits: vec![credit("A", Some(6_000)), credit("B", None)],
        ..Default::default()
    };
    refuse_each_record(
        &good,
        Wire::Deal,
        &[
            (|d| d.deal_id.clear(), &[("deal.deal_id", "is empty")]),
            (|d| d.deal_id = "x".repeat(129), &[("deal.deal_id", "is 129 bytes long, must be at most 128")]),
            (|d| d.deal_id = "a\nb".into(), &[("deal.deal_id", "has control character '\\n' at byte 1")]),
            (|d| d.opened_at = None, &[("deal.opened_at", "is missing")]),
            (|d| d.opened_at = at(-1), &[("deal.opened_at", "lies before 1970-01-01T00:00:00Z")]),
            (|d| d.opened_at = at(7_258_118_400), &[("deal.opened_at", "lies after 2199-12-31T23:59:59Z")]),
            // money
            (|d| d.amount = None, &[]),
            (|d| d.amount = usd(0, 0), &[]),
            (
                |d| d.amount = usd(1, 50),
                &[("deal.amount.nanos", "is 50, must be a multiple of 100000 (ten-thousandths)")],
            ),
            (
                |d| d.amount = usd(0, 1_000_000_000),
                &[("deal.amount.nanos", "is 1000000000, must be -999999999 to 999999999")],
            ),
            (
                |d| d.amount = usd(1, -100_000),
                &[("deal.amount.nanos", "is -100000, must have the sign of units, which is 1")],
            ),
            (|d| d.amount = usd(-1, 0), &[("deal.amount", "is negative, must be at least 0")]),
            (|d| d.amount = usd(0, -100_000), &[("deal.amount", "is negative, must be at least 0")]),
            (|d| d.amount = usd(i64::MIN, 0), &[("deal.amount", "is negative, must be at least 0")]),
            (|d| d.amount = usd(920_000_000_000_000, 0), &[]),
            (
                |d| d.amount = usd(920_000_000_000_000, 100_000),
                &[("deal.amount", "is above 920000000000000 units")],
            ),
            (|d| d.amount = usd(i64::MAX, 0), &[("deal.amount", "is above 920000000000000 units")]),
            (
                |d| d.amount.as_mut().unwrap().currency_code = "usd".into(),
                &[("deal.amount.currency_code", "\"usd\" is no ISO 4217 currency code, such as USD")],
            ),
            (
                |d| d.amount = Some(google::Money::default()),
                &[("deal.amount.currency_code", "\"\" is no ISO 4217 currency code, such as USD")],
            ),
            // texts
            (|d| d.stage = "x".repeat(129), &[("deal.stage", "is 129 bytes long, must be at most 128")]),
            (
                |d| d.lost_reason = "x".repeat(513),
                &[("deal.lost_reason", "is 513 bytes long, must be at most 512")],
            ),
            (
                |d| d.lost_reason = "a\tb".into(),
                &[("deal.lost_reason", "has control character '\\t' at byte 1")],
            ),
            (|d| d.competitor = "\0".into(), &[("deal.competitor", "has control character '\\0' at byte 0")]),
            (|d| d.product = "\r".into(), &[("deal.product", "has control character '\\r' at byte 0")]),
            (|d| d.region = "\r".into(), &[("deal.region", "has control character '\\r' at byte 0")]),
            (
                |d| d.owner_employee_id = "\r".into(),
                &[("deal.owner_employee_id", "has control character '\\r' at byte 0")],
            ),
            (|d| d.unit_id = "\r".into(), &[("deal.unit_id", "has control character '\\r' at byte 0")]),
            (|d| d.lead_id = "\r".into(), &[("deal.lead_id", "has control character '\\r' at byte 0")]),
            (
                |d| d.marketing_channel_id = "\r".into(),
                &[("deal.marketing_channel_id", "has control character '\\r' at byte 0")],
            ),
            // labels
            (
                |d| d.labels = (0..65).map(|n| (n.to_string(), "x".into())).collect(),
                &[("deal.labels", "has 65 labels, must have at most 64")],
            ),
            (
                |d| d.labels = BTreeMap::from([("".into(), "x".into()), ("vip".into(), "".into())]),
                &[("deal.labels[\"\"]", "key is empty"), ("deal.labels[\"vip\"]", "is empty")],
            ),
            // numbers and dates
            (
                |d| d.probability_bps = Some(10_001),
                &[("deal.probability_bps", "is 10001, must be 0 to 10000 basis points")],
            ),
            (
                |d| d.probability_bps = Some(-1),
                &[("deal.probability_bps", "is -1, must be 0 to 10000 basis points")],
            ),
            (
                |d| d.expected_close = on(2024, 3, 0),
                &[(
                    "deal.expected_close",
                    "is a partial date (year 2024, month 3, day 0), must have year, month and day",
                )],
            ),
            (
                |d| d.expected_close = on(2023, 2, 29),
                &[("deal.expected_close", "is no day of the calendar (year 2023, month 2, day 29)")],
            ),
            (
                |d| d.expected_close = on(2023, -2, 1),
                &[("deal.expected_close", "is no day of the calendar (year 2023, month -2, day 1)")],
            ),
            (
                |d| d.expected_close = on(i32::MAX, 1, 1),
                &[("deal.expected_close", "is no day of the calendar (year 2147483647, month 1, day 1)")],
            ),
            (|d| d.expected_close = on(2199, 12, 31), &[]),
            (
                |d| d.expected_close = on(2200, 1, 1),
                &[("deal.expected_close", "is 2200-01-01, must be 1970-01-01 to 2199-12-31")],
            ),
            (
                |d| d.expected_close = on(1969, 12, 31),
                &[("deal.expected_close", "is 1969-12-31, must be 1970-01-01 to 2199-12-31")],
            ),
            // its end
            (|d| d.expire_time = at(i64::MAX), &[]),
            (|d| d.expire_time = at(-1), &[("deal.expire_time", "lies before 1970-01-01T00:00:00Z")]),
            (
                |d| d.expire_time = Some(Timestamp { seconds: i64::MAX, nanos: -1 }),
                &[("deal.expire_time", "has nanos -1, must be 0 to 999999999")],
            ),
            (|d| d.status = 4, &[("deal.status", "is 4, which this server doesn't know")]),
            (
                |d| d.closed_at = None,
                &[("deal.closed_at", "is missing: a deal that is won or lost needs it")],
            ),
            (|d| d.closed_at = at(-1), &[("deal.closed_at", "lies before 1970-01-01T00:00:00Z")]),
            (
                |d| d.status = pb::DealStatus::Open.into(),
                &[("deal.closed_at", "is set on an open deal: leave it out, or set status")],
            ),
            (
                |d| d.status = pb::DealStatus::Unspecified.into(),
                &[("deal.closed_at", "is set on an open deal: leave it out, or set status")],
            ),
            // credits
            (
                |d| d.partner_credits[1].role = 9,
                &[("deal.partner_credits[1].role", "is 9, which this server doesn't know")],
            ),
            (
                |d| d.partner_credits[1].partner_id.clear(),
                &[("deal.partner_credits[1].partner_id", "is empty")],
            ),
            (
                |d| d.partner_credits[0].share_bps = Some(-1),
                &[("deal.partner_credits[0].share_bps", "is -1, must be 0 to 10000 basis points")],
            ),
            (
                |d| d.partner_credits[1].partner_id = "A".into(),
                &[("deal.partner_credits[1]", "is a second credit of that partner for that role")],
            ),
            (
                |d| d.partner_credits[0].share_bps = None,
                &[(
                    "deal.partner_credits[1].share_bps",
                    "is a second credit without a share for that role: give at least one of them a share",
                )],
            ),
            (
                |d| d.partner_credits[1].share_bps = Some(4_001),
                &[(
                    "deal.partner_credits[1].share_bps",
                    "brings the shares of its role to 10001 basis points, must be at most 10000",
                )],
            ),
            (
                |d| d.partner_credits = vec![pb::PartnerCredit::default(); 65],
                &[("deal.partner_credits", "lists 65 credits, must be at most 64")],
            ),
            // all at once
            (
                |d| {
                    *d = pb::Deal {
                        amount: usd(1, 50),
                        status: 7,
                        closed_at: at(-1),
                        region: "\0".into(),
                        partner_credits: vec![pb::PartnerCredit::default(), pb::PartnerCredit::default()],
                        ..Default::default()
                    }
                },
                &[
                    ("deal.deal_id", "is empty"),
                    ("deal.opened_at", "is missing"),
                    ("deal.amount.nanos", "is 50, must be a multiple of 100000 (ten-thousandths)"),
                    ("deal.status", "is 7, which this server doesn't know"),
                    ("deal.closed_at", "lies before 1970-01-01T00:00:00Z"),
                    ("deal.partner_credits[0].partner_id", "is empty"),
                    ("deal.partner_credits[1].partner_id", "is empty"),
                    ("deal.region", "has control character '\\0' at byte 0"),
                ],
            ),
        ],
    );
}

#[test]
fn leads() {
    let good = pb::Lead { lead_id: "l1".into(), created_at: at(NOW_S), ..Default::default() };
    refuse_each_record(
        &good,
        Wire::Lead,
        &[
            (|l| l.lead_id.clear(), &[("lead.lead_id", "is empty")]),
            (|l| l.created_at = None, &[("lead.created_at", "is missing")]),
            (|l| l.outcome = 4, &[("lead.outcome", "is 4, which this server doesn't know")]),
            (
                |l| l.decided_at = at(NOW_S),
                &[("lead.decided_at", "is set on an open lead: leave it out, or set outcome")],
            ),
            (
                |l| l.outcome = pb::LeadOutcome::Converted.into(),
                &[("lead.decided_at", "is missing: a lead that is converted or disqualified needs it")],
            ),
            (
                |l| l.outcome = pb::LeadOutcome::Disqualified.into(),
                &[("lead.decided_at", "is missing: a lead that is converted or disqualified needs it")],
            ),
            (
                |l| (l.outcome, l.decided_at) = (pb::LeadOutcome::Converted.into(), at(-1)),
                &[("lead.decided_at", "lies before 1970-01-01T00:00:00Z")],
            ),
            (|l| l.partner_id = "\r".into(), &[("lead.partner_id", "has control character '\\r' at byte 0")]),
            (
                |l| l.owner_employee_id = "\r".into(),
                &[("lead.owner_employee_id", "has control character '\\r' at byte 0")],
            ),
            (
                |l| l.marketing_channel_id = "\r".into(),
                &[("lead.marketing_channel_id", "has control character '\\r' at byte 0")],
            ),
            (|l| l.region = "\r".into(), &[("lead.region", "has control character '\\r' at byte 0")]),
        ],
    );
}

#[test]
fn partners_units_employees_and_channels() {
    let partner = pb::Partner {
        partner_id: "A".into(),
        parent_partner_id: "A".into(),
        merged_into_partner_id: "A".into(), // followed to the first seen
        ..Default::default()
    };
    refuse_each_record(
        &partner,
        Wire::Partner,
        &[
            (|p| p.partner_id.clear(), &[("partner.partner_id", "is empty")]),
            (|p| p.name = "x".repeat(513), &[("partner.name", "is 513 bytes long, must be at most 512")]),
            (|p| p.name = "\u{7f}".into(), &[("partner.name", "has control character '\\u{7f}' at byte 0")]),
            (
                |p| p.partner_type = "\r".into(),
                &[("partner.partner_type", "has control character '\\r' at byte 0")],
            ),
            (|p| p.tier = "\r".into(), &[("partner.tier", "has control character '\\r' at byte 0")]),
            (|p| p.region = "\r".into(), &[("partner.region", "has control character '\\r' at byte 0")]),
            (
                |p| p.parent_partner_id = "\r".into(),
                &[("partner.parent_partner_id", "has control character '\\r' at byte 0")],
            ),
            (
                |p| p.merged_into_partner_id = "\r".into(),
                &[("partner.merged_into_partner_id", "has control character '\\r' at byte 0")],
            ),
            (
                |p| p.labels = BTreeMap::from([("\r".into(), "\r".into())]),
                &[
                    ("partner.labels[\"\\r\"]", "key has control character '\\r' at byte 0"),
                    ("partner.labels[\"\\r\"]", "has control character '\\r' at byte 0"),
                ],
            ),
        ],
    );
    let unit =
        pb::OrgUnit { org_unit_id: "sales".into(), parent_unit_id: "sales".into(), ..Default::default() };
    refuse_each_record(
        &unit,
        Wire::OrgUnit,
        &[
            (|u| u.org_unit_id.clear(), &[("org_unit.org_unit_id", "is empty")]),
            (|u| u.name = "x".repeat(513), &[("org_unit.name", "is 513 bytes long, must be at most 512")]),
            (
                |u| u.unit_kind = "x".repeat(129),
                &[("org_unit.unit_kind", "is 129 bytes long, must be at most 128")],
            ),
            (
                |u| u.parent_unit_id = "\r".into(),
                &[("org_unit.parent_unit_id", "has control character '\\r' at byte 0")],
            ),
        ],
    );
    let employee = pb::Employee { employee_id: "e1".into(), ..Default::default() };
    refuse_each_record(
        &employee,
        Wire::Employee,
        &[
            (|e| e.employee_id.clear(), &[("employee.employee_id", "is empty")]),
            (|e| e.name = "x".repeat(513), &[("employee.name", "is 513 bytes long, must be at most 512")]),
            (|e| e.unit_id = "\r".into(), &[("employee.unit_id", "has control character '\\r' at byte 0")]),
            (
                |e| e.merged_into_employee_id = "\r".into(),
                &[("employee.merged_into_employee_id", "has control character '\\r' at byte 0")],
            ),
        ],
    );
    let channel = pb::MarketingChannel { marketing_channel_id: "c".into(), ..Default::default() };
    refuse_each_record(
        &channel,
        Wire::MarketingChannel,
        &[
            (|c| c.marketing_channel_id.clear(), &[("marketing_channel.marketing_channel_id", "is empty")]),
            (
                |c| c.name = "x".repeat(513),
                &[("marketing_channel.name", "is 513 bytes long, must be at most 512")],
            ),
            (|c| c.media = -1, &[("marketing_channel.media", "is -1, which this server doesn't know")]),
        ],
    );
}

#[test]
fn spend_targets_rates_and_strategies() {
    let spend = pb::MarketingSpend {
        marketing_spend_id: "s1".into(),
        marketing_channel_id: "c".into(),
        start_on: on(2199, 12, 31),
        end_on: on(2200, 1, 1),
        amount: usd(310, 0),
        partner_id: String::new(),
    };
    refuse_each_record(
        &spend,
        Wire::MarketingSpend,
        &[
            (|s| s.marketing_spend_id.clear(), &[("marketing_spend.marketing_spend_id", "is empty")]),
            (|s| s.marketing_channel_id.clear(), &[("marketing_spend.marketing_channel_id", "is empty")]),
            (|s| s.start_on = None, &[("marketing_spend.start_on", "is missing")]),
            (|s| s.end_on = None, &[("marketing_spend.end_on", "is missing")]),
            (
                |s| s.end_on = s.start_on,
                &[(
                    "marketing_spend.end_on",
                    "is 2199-12-31, must be later than start_on, which is 2199-12-31",
                )],
            ),
            (
                |s| s.start_on = s.end_on,
                &[("marketing_spend.start_on", "is 2200-01-01, must be 1970-01-01 to 2199-12-31")],
            ),
            (
                |s| s.end_on = on(2200, 1, 2),
                &[("marketing_spend.end_on", "is 2200-01-02, must be 1970-01-01 to 2200-01-01")],
            ),
            (|s| s.amount = None, &[("marketing_spend.amount", "is missing")]),
            (
                |s| s.partner_id = "\r".into(),
                &[("marketing_spend.partner_id", "has control character '\\r' at byte 0")],
            ),
        ],
    );

    let weight = |year, month, weight| pb::MonthWeight { year, month, weight };
    let target = pb::Target {
        target_id: "t1".into(),
        subject: None,
        start_on: on(2024, 1, 15),
        end_on: on(2024, 4, 1),
        value: Some(pb::target::Value::WonCount(0)),
        month_weights: vec![weight(2024, 1, 0), weight(2024, 3, 1)],
    };
    refuse_each_record(
        &target,
        Wire::Target,
        &[
            (|t| t.target_id.clear(), &[("target.target_id", "is empty")]),
            (
                |t| t.subject = Some(pb::Subject { subject: Some(pb::subject::Subject::UnitId("".into())) }),
                &[("target.subject.unit_id", "is empty")],
            ),
            (
                |t| {
                    let partner = pb::PartnerSubject::default();
                    t.subject = Some(pb::Subject { subject: Some(pb::subject::Subject::Partner(partner)) })
                },
                &[("target.subject.partner.partner_id", "is empty")],
            ),
            (|t| t.start_on = None, &[("target.start_on", "is missing")]),
            (|t| t.end_on = None, &[("target.end_on", "is missing")]),
            (|t| t.value = None, &[("target", "has no value: set exactly one of won_amount and won_count")]),
            (
                |t| t.value = Some(pb::target::Value::WonCount(-1)),
                &[("target.won_count", "is -1, must be at least 0")],
            ),
            (
                |t| t.value = Some(pb::target::Value::WonAmount(usd(-1, 0).unwrap())),
                &[("target.won_amount", "is negative, must be at least 0")],
            ),
            (
                |t| t.month_weights[1].weight = 0,
                &[("target.month_weights", "sums to 0, must have a weight above 0, or none at all")],
            ),
            (
                |t| t.month_weights[1].weight = -1,
                &[("target.month_weights[1].weight", "is -1, must be 0 to 1000000000")],
            ),
            (
                |t| t.month_weights[1].month = 13,
                &[("target.month_weights[1].month", "is 13, must be 1 to 12")],
            ),
            (
                |t| t.month_weights[1].year = 0,
                &[("target.month_weights[1].year", "is 0, must be 1970 to 2199")],
            ),
            (|t| t.month_weights[0].month = 3, &[("target.month_weights[1]", "comes a second time")]),
            (
                |t| t.month_weights[1].month = 4,
                &[("target.month_weights[1]", "is a month outside the target's days")],
            ),
            (
                |t| (t.month_weights[1].year, t.month_weights[1].month) = (2023, 12),
                &[("target.month_weights[1]", "is a month outside the target's days")],
            ),
        ],
    );

    let rate = pb::ExchangeRate {
        key: Some(pb::ExchangeRateKey {
            from_currency_code: "USD".into(),
            to_currency_code: "BDT".into(),
            rate_on: on(2024, 3, 1),
        }),
        rate: Some(google::Decimal { value: "117.25".into() }),
    };
    refuse_each_record(
        &rate,
        Wire::ExchangeRate,
        &[
            (|r| r.key = None, &[("exchange_rate.key", "is missing")]),
            (|r| r.rate = None, &[("exchange_rate.rate", "is missing")]),
            (
                |r| r.rate = Some(google::Decimal { value: "0".into() }),
                &[("exchange_rate.rate.value", "must be above 0")],
            ),
            (
                |r| r.rate = Some(google::Decimal { value: "1,5".into() }),
                &[("exchange_rate.rate.value", "\"1,5\" is no decimal number, such as 117.25")],
            ),
            (
                |r| r.key.as_mut().unwrap().to_currency_code = "USD".into(),
                &[("exchange_rate.key.to_currency_code", "is USD as from_currency_code is, must be another")],
            ),
            (
                |r| r.key = Some(pb::ExchangeRateKey::default()),
                &[
                    (
                        "exchange_rate.key.from_currency_code",
                        "\"\" is no ISO 4217 currency code, such as USD",
                    ),
                    ("exchange_rate.key.to_currency_code", "\"\" is no ISO 4217 currency code, such as USD"),
                    ("exchange_rate.key.rate_on", "is missing"),
                ],
            ),
        ],
    );

    let strategy = pb::Strategy {
        strategy_id: "x".into(),
        name: "training".into(),
        start_on: on(2024, 3, 1),
        subjects: vec![pb::Subject { subject: None }],
    };
    refuse_each_record(
        &strategy,
        Wire::Strategy,
        &[
            (|s| s.strategy_id.clear(), &[("strategy.strategy_id", "is empty")]),
            (|s| s.name = "\r".into(), &[("strategy.name", "has control character '\\r' at byte 0")]),
            (|s| s.start_on = None, &[("strategy.start_on", "is missing")]),
            (|s| s.subjects.clear(), &[("strategy.subjects", "has 0 subjects, must have 1 to 1000")]),
            (
                |s| s.subjects = vec![pb::Subject::default(); 1_001],
                &[("strategy.subjects", "has 1001 subjects, must have 1 to 1000")],
            ),
            (
                |s| s.subjects.push(pb::Subject { subject: None }),
                &[("strategy.subjects[1]", "comes a second time")],
            ),
            (
                |s| {
                    let employee = pb::subject::Subject::EmployeeId("".into());
                    s.subjects.push(pb::Subject { subject: Some(employee) })
                },
                &[("strategy.subjects[1].employee_id", "is empty")],
            ),
        ],
    );
}

#[test]
fn a_deletion_reads_its_id_only() {
    let wrong = pb::Deal { deal_id: "d1".into(), status: 9, region: "\0".into(), ..Default::default() };
    let deleted = |wire| pb::Record { deleted: true, ..sent(wire) };
    let parsed = record(&deleted(Wire::Deal(wrong)), now()).unwrap();
    assert!(matches!(parsed.record, Record::Deal(id, State::Deleted(())) if id.as_str() == "d1"));

    let merged = pb::Partner {
        partner_id: "A".into(),
        name: "\0".into(),
        merged_into_partner_id: "B".into(),
        ..Default::default()
    };
    let parsed = record(&deleted(Wire::Partner(merged)), now()).unwrap();
    assert!(matches!(parsed.record, Record::Partner(_, State::Deleted(Some(into))) if into.as_str() == "B"));

    expect(record(&deleted(Wire::Deal(pb::Deal::default())), now()), &[("deal.deal_id", "is empty")]);
    let rate = pb::ExchangeRate::default();
    expect(record(&deleted(Wire::ExchangeRate(rate)), now()), &[("exchange_rate.key", "is missing")]);
}

#[test]
fn what_is_left_out_has_its_default() {
    let partner = pb::Partner { partner_id: "A".into(), ..Default::default() };
    let parsed = record(&sent(Wire::Partner(partner)), now()).unwrap();
    let Record::Partner(_, State::Present(partner)) = parsed.record else { panic!("a partner") };
    assert!(partner.active, "absent means active");
    assert_eq!((partner.name, partner.tier, partner.parent), (None, None, None), "empty is absent");

    let deal = |expire_time| pb::Deal {
        deal_id: "d".into(),
        opened_at: at(0),
        expire_time,
        partner_credits: vec![pb::PartnerCredit { partner_id: "A".into(), ..Default::default() }],
        ..Default::default()
    };
    for (expire_time, expected) in [
        (None, None),
        (at(7_258_118_399), Some(Expiry::At(Instant::try_new(7_258_118_399, 0).unwrap()))),
        (at(7_258_118_400), Some(Expiry::Never)),
    ] {
        let parsed = record(&sent(Wire::Deal(deal(expire_time))), now()).unwrap();
        let Record::Deal(_, State::Present(deal)) = parsed.record else { panic!("a deal") };
        assert_eq!(deal.expiry, expected);
        assert_eq!(deal.credits.iter().map(|credit| credit.role as u8).collect::<Vec<_>>(), [0], "sourced");
    }
}

#[test]
fn writes() {
    let good = sent(Wire::Employee(pb::Employee { employee_id: "e1".into(), ..Default::default() }));
    let bad = sent(Wire::Employee(pb::Employee::default()));
    let request = |records: &[&pb::Record], mode: i32| pb::WriteRecordsRequest {
        records: records.iter().copied().cloned().collect(),
        mode,
    };
    let refused = |request: &pb::WriteRecordsRequest| match write_records(request, now()) {
        Err(Refusal::Violations(violations)) => found::<()>(Err(violations)),
        other => panic!("{other:?}"),
    };
    let text = |field: &str, description: &str| (field.to_owned(), description.to_owned());

    for atomic in [0, 1] {
        assert_eq!(write_records(&request(&[&good, &good], atomic), now()).unwrap().versions.len(), 2);
        assert_eq!(
            refused(&request(&[&bad, &good, &bad], atomic)),
            [
                text("records[0].employee.employee_id", "is empty"),
                text("records[2].employee.employee_id", "is empty")
            ]
        );
    }
    let Err(Refusal::Violations(all)) = write_records(&request(&[&bad; 1_000], 1), now()) else { panic!() };
    assert_eq!((all.kept().len(), all.count()), (50, 1_000));

    let accepted = write_records(&request(&[&good, &bad, &good], 2), now()).unwrap();
    assert_eq!(accepted.versions.len(), 2);
    let [(1, violations)] = &accepted.rejected[..] else { panic!("{:?}", accepted.rejected) };
    assert_eq!(violations.to_string(), "records[1].employee.employee_id: is empty");

    assert_eq!(
        refused(&request(&[], 3)),
        [
            text("mode", "is 3, which this server doesn't know"),
            text("records", "is empty, must have 1 to 1000 records")
        ]
    );
    let too_many = write_records(&request(&[&good; 1_001], 2), now()).unwrap_err();
    assert_eq!(
        too_many.to_string(),
        "records has 1001 items, must have at most 1000: send them in several calls"
    );
}

#[test]
fn tenants() {
    let good = pb::CreateTenantRequest {
        tenant_id: "Acme Ltd.".into(),
        settings: Some(pb::TenantSettings {
            reporting_currency_code: "USD".into(),
            time_zone: "Asia/Dhaka".into(),
            stage_probabilities: vec![
                pb::StageProbability { stage: "a".into(), probability_bps: 0 },
                pb::StageProbability { stage: "b".into(), probability_bps: 10_000 },
            ],
            thresholds: Some(pb::Thresholds::default()),
            ..Default::default()
        }),
    };
    fn of(request: &mut pb::CreateTenantRequest) -> &mut pb::TenantSettings {
        request.settings.as_mut().unwrap()
    }
    fn level(request: &mut pb::CreateTenantRequest) -> &mut pb::Thresholds {
        of(request).thresholds.as_mut().unwrap()
    }
    refuse_each(
        &good,
        |request| found(create_tenant(request)),
        &[
            (|r| r.tenant_id.clear(), &[("tenant_id", "is empty")]),
            (
                |r| r.tenant_id = "é".into(),
                &[("tenant_id", "has 'é' at byte 0: only visible ASCII and inner spaces travel in metadata")],
            ),
            (
                |r| r.tenant_id = "a ".into(),
                &[("tenant_id", "has ' ' at byte 1: only visible ASCII and inner spaces travel in metadata")],
            ),
            (|r| r.settings = None, &[("settings", "is missing")]),
            (
                |r| *of(r) = pb::TenantSettings::default(),
                &[
                    ("settings.reporting_currency_code", "\"\" is no ISO 4217 currency code, such as USD"),
                    ("settings.time_zone", "\"\" is no IANA time zone, such as Asia/Dhaka"),
                ],
            ),
            (
                |r| of(r).fiscal_year_start_month = Some(0),
                &[("settings.fiscal_year_start_month", "is 0, must be 1 to 12")],
            ),
            (|r| of(r).week_start = 8, &[("settings.week_start", "is 8, which this server doesn't know")]),
            (
                |r| of(r).opportunity_time_limit_days = Some(36_501),
                &[("settings.opportunity_time_limit_days", "is 36501, must be 1 to 36500")],
            ),
            (
                |r| of(r).stage_probabilities[1].stage.clear(),
                &[("settings.stage_probabilities[1].stage", "is empty")],
            ),
            (
                |r| of(r).stage_probabilities[1].probability_bps = -1,
                &[(
                    "settings.stage_probabilities[1].probability_bps",
                    "is -1, must be 0 to 10000 basis points",
                )],
            ),
            (
                |r| of(r).stage_probabilities[1].stage = "a".into(),
                &[("settings.stage_probabilities[1]", "comes a second time")],
            ),
            (
                |r| of(r).stage_probabilities = vec![pb::StageProbability::default(); 101],
                &[("settings.stage_probabilities", "has 101 stages, must have at most 100")],
            ),
            (
                |r| level(r).coverage_percent = Some(0),
                &[("settings.thresholds.coverage_percent", "is 0, must be 1 to 10000")],
            ),
            (
                |r| level(r).expiring_days = Some(0),
                &[("settings.thresholds.expiring_days", "is 0, must be 1 to 3650")],
            ),
            (
                |r| level(r).slow_stage_percent = Some(100),
                &[("settings.thresholds.slow_stage_percent", "is 100, must be 101 to 10000")],
            ),
            (
                |r| level(r).replace_percent = Some(101),
                &[("settings.thresholds.replace_percent", "is 101, must be 1 to 100")],
            ),
            (
                |r| level(r).replace_sample_min = Some(-1),
                &[("settings.thresholds.replace_sample_min", "is -1, must be 1 to 1000000")],
            ),
            (
                |r| level(r).sample_min = Some(0),
                &[("settings.thresholds.sample_min", "is 0, must be 1 to 1000000")],
            ),
            (
                |r| level(r).channel_leads_min = Some(0),
                &[("settings.thresholds.channel_leads_min", "is 0, must be 1 to 1000000")],
            ),
            (
                |r| level(r).peers_min = Some(1),
                &[("settings.thresholds.peers_min", "is 1, must be 2 to 1000000")],
            ),
            (
                |r| level(r).significance_bps = Some(5_001),
                &[("settings.thresholds.significance_bps", "is 5001, must be 1 to 5000")],
            ),
            (
                |r| level(r).stale_days = Some(3_651),
                &[("settings.thresholds.stale_days", "is 3651, must be 1 to 3650")],
            ),
        ],
    );
    let (_, parsed) = create_tenant(&good).unwrap();
    assert_eq!((parsed.fiscal_year_start_month, parsed.week_start.0), (1, chrono::Weekday::Mon));
    assert_eq!(parsed.time_limit_days, None);
    let missing = &[("tenant_id", "is empty"), ("settings", "is missing")];
    expect(configure_tenant(&pb::ConfigureTenantRequest::default()), missing);
    expect(get_tenant(&pb::GetTenantRequest::default()), &[("tenant_id", "is empty")]);
    expect(delete_tenant(&pb::DeleteTenantRequest::default()), &[("tenant_id", "is empty")]);
}

fn last_days(days: i32) -> Option<pb::Window> {
    Some(pb::Window { window: Some(pb::window::Window::LastDays(days)) })
}

fn given(start_on: Option<google::Date>, end_on: Option<google::Date>) -> Option<pb::Window> {
    let dates = pb::DateRange { start_on, end_on };
    Some(pb::Window { window: Some(pb::window::Window::Dates(dates)) })
}

fn in_period(number: i32) -> Option<pb::Window> {
    Some(pb::Window { window: Some(pb::window::Window::Period(number)) })
}

fn demand(requirement: pb::consistency::Requirement) -> Option<pb::Consistency> {
    Some(pb::Consistency { requirement: Some(requirement) })
}

#[test]
fn scorecards() {
    let good = pb::GetScorecardRequest { window: last_days(15), ..Default::default() };
    refuse_each(
        &good,
        |request| found(get_scorecard(request)),
        &[
            (
                |r| r.subject = Some(pb::Subject { subject: Some(pb::subject::Subject::UnitId("".into())) }),
                &[("subject.unit_id", "is empty")],
            ),
            (|r| r.window = None, &[("window", "is missing")]),
            (
                |r| r.window = Some(pb::Window { window: None }),
                &[("window", "is empty: set exactly one of dates, last_days and period")],
            ),
            (|r| r.window = last_days(0), &[("window.last_days", "is 0, must be 1 to 36500")]),
            (|r| r.window = last_days(36_501), &[("window.last_days", "is 36501, must be 1 to 36500")]),
            (
                |r| r.window = given(on(2024, 3, 1), on(2024, 2, 1)),
                &[("window.dates.end_on", "is 2024-02-01, must be later than start_on, which is 2024-03-01")],
            ),
            (
                |r| r.window = given(None, None),
                &[("window.dates.start_on", "is missing"), ("window.dates.end_on", "is missing")],
            ),
            (|r| r.window = in_period(0), &[("window.period", "is unspecified: name a period")]),
            (|r| r.window = in_period(19), &[("window.period", "is 19, which this server doesn't know")]),
            (
                |r| r.as_of = on(0, 3, 1),
                &[("as_of", "is a partial date (year 0, month 3, day 1), must have year, month and day")],
            ),
            (|r| r.as_of = on(2200, 1, 1), &[("as_of", "is 2200-01-01, must be 1970-01-01 to 2199-12-31")]),
            (
                |r| r.kpis = vec![1, 0, 77, 1],
                &[
                    ("kpis[3]", "comes a second time"),
                    ("kpis[1]", "is unspecified: name a KPI"),
                    ("kpis[2]", "is 77, which this server doesn't know"),
                ],
            ),
            (
                |r| r.consistency = demand(pb::consistency::Requirement::MinimizeLatency(false)),
                &[("consistency.minimize_latency", "is false, must be true where it is set")],
            ),
            (
                |r| r.consistency = demand(pb::consistency::Requirement::FullyConsistent(false)),
                &[("consistency.fully_consistent", "is false, must be true where it is set")],
            ),
            (
                |r| {
                    *r = pb::GetScorecardRequest {
                        as_of: on(2023, 2, 29),
                        kpis: vec![9],
                        ..Default::default()
                    }
                },
                &[
                    ("window", "is missing"),
                    ("as_of", "is no day of the calendar (year 2023, month 2, day 29)"),
                    ("kpis[0]", "is 9, which this server doesn't know"),
                ],
            ),
        ],
    );

    let (ScorecardQuestion { subject, asked }, consistency) = get_scorecard(&good).unwrap();
    assert_eq!((subject, asked.window), (Subject::Tenant, WindowSpec::LastDays(15)));
    assert_eq!(
        (asked.as_of, asked.kpis, asked.comparison, asked.view, asked.premises, consistency),
        (
            None,
            Kpi::ALL.to_vec(),
            Comparison::Previous,
            View::Basic,
            Premises::default(),
            Consistency::MinimizeLatency
        )
    );
    let asked = pb::GetScorecardRequest {
        window: given(on(2024, 3, 1), on(2024, 4, 1)),
        kpis: vec![8, 1],
        consistency: demand(pb::consistency::Requirement::AtLeastAsFresh("token".into())),
        ..good
    };
    let (ScorecardQuestion { asked: parsed, .. }, consistency) = get_scorecard(&asked).unwrap();
    let march =
        DateRange { from: Date::from_ymd(2024, 3, 1).unwrap(), to: Date::from_ymd(2024, 4, 1).unwrap() };
    assert_eq!(parsed.window, WindowSpec::Dates(march));
    assert_eq!(parsed.kpis, [Kpi::DealSuccess, Kpi::AverageDealSize], "as asked for");
    assert_eq!(consistency, Consistency::AtLeastAsFresh("token".into()));
}

#[test]
fn records_behind_a_figure() {
    let won = pb::FigureKind::Won.into();
    let good =
        pb::ListContributingRecordsRequest { figure_kind: won, window: last_days(15), ..Default::default() };
    fn of_boots(request: &mut pb::ListContributingRecordsRequest) {
        let products = Some(pb::Terms { values: vec!["boots".into()], include_none: false });
        let filter = Some(pb::Filter { products, ..Default::default() });
        request.premises = Some(pb::Premises { filter, ..Default::default() });
    }
    refuse_each(
        &good,
        |request| found(list_contributing_records(request)),
        &[
            (|r| r.figure_kind = 0, &[("figure_kind", "is unspecified: name a figure")]),
            (|r| r.figure_kind = 99, &[("figure_kind", "is 99, which this server doesn't know")]),
            (|r| r.window = None, &[("window", "is missing")]),
            (|r| r.window = last_days(0), &[("window.last_days", "is 0, must be 1 to 36500")]),
            (
                |r| r.figure_kind = pb::FigureKind::Open.into(),
                &[("window", "is set, but what is open is a figure of as_of alone")],
            ),
            (
                |r| {
                    of_boots(r);
                    r.figure_kind = pb::FigureKind::LeadsCreated.into();
                },
                &[(
                    "figure_kind",
                    "is of leads, which have neither products nor labels: ask for prospects, or drop these filters",
                )],
            ),
            (|r| r.page_size = -1, &[("page_size", "is -1, must be at least 0")]),
        ],
    );
    let every = (1..).map_while(|number| {
        pb::FigureKind::try_from(number).ok().map(|kind| {
            let window = last_days(15).filter(|_| kind != pb::FigureKind::Open);
            let request = pb::ListContributingRecordsRequest { figure_kind: number, window, ..good.clone() };
            list_contributing_records(&request).expect("each is asked for").figure
        })
    });
    assert_eq!(every.collect::<Vec<_>>(), crate::book::FigureKind::ALL, "each is its own");
    let mut boots = good.clone();
    of_boots(&mut boots);
    assert!(list_contributing_records(&boots).is_ok());
}

#[test]
fn data_quality() {
    let good = pb::GetDataQualityRequest { window: last_days(15), ..Default::default() };
    refuse_each(
        &good,
        |request| found(get_data_quality(request)),
        &[
            (|r| r.window = None, &[("window", "is missing")]),
            (
                |r| r.as_of = on(2023, 2, 29),
                &[("as_of", "is no day of the calendar (year 2023, month 2, day 29)")],
            ),
        ],
    );
    assert_eq!(get_data_quality(&good).unwrap().ids_max(), 0);
    let with_ids = pb::GetDataQualityRequest { include_ids: true, ..good };
    assert_eq!(get_data_quality(&with_ids).unwrap().ids_max(), 1_000);
}

#[test]
fn every_period_is_its_own() {
    let mut seen = Vec::new();
    for number in 1..=18 {
        let request = pb::GetScorecardRequest { window: in_period(number), ..Default::default() };
        let WindowSpec::Period(unit, place) = get_scorecard(&request).unwrap().0.asked.window else {
            panic!()
        };
        let name = pb::Period::try_from(number).unwrap().as_str_name();
        let is = |part| name.contains(part);
        assert_eq!(place == PeriodPlace::This, is("_THIS_"), "{name}");
        assert_eq!(place == PeriodPlace::Previous, is("_PREVIOUS_"), "{name}");
        assert_eq!(place == PeriodPlace::ToDate, is("_TO_DATE"), "{name}");
        let expected = match name {
            _ if is("FISCAL_QUARTER") => PeriodUnit::FiscalQuarter,
            _ if is("FISCAL_YEAR") => PeriodUnit::FiscalYear,
            _ if is("WEEK") => PeriodUnit::Week,
            _ if is("MONTH") => PeriodUnit::Month,
            _ if is("QUARTER") => PeriodUnit::Quarter,
            _ => PeriodUnit::Year,
        };
        assert_eq!(unit, expected, "{name}");
        assert!(!seen.contains(&(unit, place)), "{name}");
        seen.push((unit, place));
    }
}

#[test]
fn lists() {
    let good = pb::ListScorecardsRequest { subject_kind: 1, window: last_days(15), ..Default::default() };
    refuse_each(
        &good,
        |request| found(list_scorecards(request)),
        &[
            (|r| r.include_sub_partners = true, &[]),
            (
                |r| (r.subject_kind, r.include_sub_partners) = (2, true),
                &[("include_sub_partners", "is set, but only partners have sub-partners")],
            ),
            (|r| r.subject_kind = 0, &[("subject_kind", "is unspecified: name a kind of subject")]),
            (|r| r.subject_kind = 4, &[("subject_kind", "is 4, which this server doesn't know")]),
            (|r| r.window = None, &[("window", "is missing")]),
            (|r| r.page_size = -1, &[("page_size", "is -1, must be at least 0")]),
            (|r| r.kpis = vec![2, 2], &[("kpis[1]", "comes a second time")]),
            (
                |r| r.subject = Some(pb::Subject::default()),
                &[("subject", "is set without grouping: a kind has all its subjects")],
            ),
            (
                |r| (r.grouping, r.include_sub_partners) = (by(pb::Dimension::Region, ""), true),
                &[
                    ("subject_kind", "is set beside grouping: set one of them"),
                    ("include_sub_partners", "is set beside grouping: set it in subject"),
                ],
            ),
            (
                |r| (r.grouping, r.subject_kind) = (by(pb::Dimension::Region, "segment"), 0),
                &[("grouping.label_key", "is set, but only dimensions of labels have a key")],
            ),
            (
                |r| (r.grouping, r.subject_kind) = (by(pb::Dimension::DealLabel, ""), 0),
                &[("grouping.label_key", "is empty")],
            ),
            (
                |r| (r.grouping, r.subject_kind) = (by(pb::Dimension::Unspecified, ""), 0),
                &[("grouping.dimension", "is unspecified: name a dimension")],
            ),
            (|r| r.view = 9, &[("view", "is 9, which this server doesn't know")]),
            (
                |r| r.comparison = compared(pb::comparison::Comparison::YearBefore(false)),
                &[("comparison.year_before", "is false, must be true where it is set")],
            ),
            (
                |r| {
                    let dates = pb::DateRange { start_on: on(2024, 3, 2), end_on: on(2024, 3, 2) };
                    r.comparison = compared(pb::comparison::Comparison::Dates(dates));
                },
                &[(
                    "comparison.dates.end_on",
                    "is 2024-03-02, must be later than start_on, which is 2024-03-02",
                )],
            ),
        ],
    );
    let grouped = pb::ListScorecardsRequest {
        subject_kind: 0,
        grouping: by(pb::Dimension::PartnerLabel, "segment"),
        view: pb::View::Full.into(),
        comparison: compared(pb::comparison::Comparison::YearBefore(true)),
        ..good.clone()
    };
    let parsed = list_scorecards(&grouped).unwrap();
    let dimension = Dimension::PartnerLabel(Term::try_new("segment").unwrap());
    assert_eq!(parsed.rows, Rows::Groups { subject: Subject::Tenant, dimension });
    assert_eq!((parsed.asked.view, parsed.asked.comparison), (View::Full, Comparison::YearBefore));
    let records = pb::ListRecordsRequest { record_kind: 5, ..Default::default() };
    refuse_each(
        &records,
        |request| found(list_records(request)),
        &[
            (|r| r.record_kind = 0, &[("record_kind", "is unspecified: name a kind of record")]),
            (|r| r.record_kind = 12, &[("record_kind", "is 12, which this server doesn't know")]),
            (|r| r.page_size = i32::MIN, &[("page_size", "is -2147483648, must be at least 0")]),
        ],
    );
    assert_eq!(list_records(&records).unwrap().kind, RecordKind::Deal);
    let partners = Rows::Subjects { kind: SubjectKind::Partner, include_sub_partners: false };
    assert_eq!(list_scorecards(&good).unwrap().rows, partners);
    for (page_size, expected) in [(0, 50), (1, 1), (1_000, 1_000), (1_001, 1_000), (i32::MAX, 1_000)] {
        let request = pb::ListRecordsRequest { page_size, ..records.clone() };
        assert_eq!(list_records(&request).unwrap().page.size, expected);
    }
}

fn by(dimension: pb::Dimension, label_key: &str) -> Option<pb::Grouping> {
    Some(pb::Grouping { dimension: dimension.into(), label_key: label_key.into() })
}

fn compared(comparison: pb::comparison::Comparison) -> Option<pb::Comparison> {
    Some(pb::Comparison { comparison: Some(comparison) })
}

#[test]
fn batches() {
    let question = pb::ScorecardQuestion { window: last_days(15), ..Default::default() };
    let good = pb::BatchGetScorecardsRequest { questions: vec![question.clone()], ..Default::default() };
    let refused = |request: &pb::BatchGetScorecardsRequest| match batch_get_scorecards(request) {
        Ok(parsed) => Ok(parsed),
        Err(Refusal::Violations(violations)) => Err(violations),
        Err(other) => panic!("{other:?}"),
    };
    refuse_each(
        &good,
        |request| found(refused(request)),
        &[
            (|_| {}, &[]),
            (|r| r.questions.clear(), &[("questions", "is empty: ask at least one question")]),
            (
                |r| {
                    let wrong = pb::ScorecardQuestion { kpis: vec![77], ..Default::default() };
                    r.questions.push(wrong);
                },
                &[
                    ("questions[1].window", "is missing"),
                    ("questions[1].kpis[0]", "is 77, which this server doesn't know"),
                ],
            ),
        ],
    );
    let many = pb::BatchGetScorecardsRequest { questions: vec![question; 1_001], ..good };
    let expected = Refusal::TooManyItems { field: "questions", given: 1_001, allowed: 1_000 };
    assert_eq!(batch_get_scorecards(&many), Err(expected));
}

#[test]
fn premises_and_filters() {
    fn terms(values: &[&str], include_none: bool) -> Option<pb::Terms> {
        Some(pb::Terms { values: values.iter().map(|&value| value.into()).collect(), include_none })
    }
    fn set(request: &mut pb::GetPipelineRequest, premises: pb::Premises) {
        request.premises = Some(premises);
    }
    fn filter(request: &mut pb::GetPipelineRequest, filter: pb::Filter) {
        set(request, pb::Premises { filter: Some(filter), ..Default::default() });
    }
    let good = pb::GetPipelineRequest::default();
    refuse_each(
        &good,
        |request| found(get_pipeline(request)),
        &[
            (|r| set(r, pb::Premises::default()), &[]),
            (|r| filter(r, pb::Filter::default()), &[]),
            (
                |r| set(r, pb::Premises { credit_roles: vec![1, 1, 0, 9], ..Default::default() }),
                &[
                    ("premises.credit_roles[1]", "comes a second time"),
                    ("premises.credit_roles[2]", "is unspecified: name a role"),
                    ("premises.credit_roles[3]", "is 9, which this server doesn't know"),
                ],
            ),
            (
                |r| {
                    let exchange = pb::Exchange { policy: 3, fixed_on: None };
                    set(r, pb::Premises { exchange: Some(exchange), ..Default::default() });
                },
                &[("premises.exchange.fixed_on", "is missing")],
            ),
            (
                |r| {
                    let exchange = pb::Exchange { policy: 2, fixed_on: on(2024, 1, 1) };
                    set(r, pb::Premises { exchange: Some(exchange), ..Default::default() });
                },
                &[("premises.exchange.fixed_on", "is set, but only EXCHANGE_POLICY_FIXED has a date")],
            ),
            (
                |r| set(r, pb::Premises { known_at: at(-1), ..Default::default() }),
                &[("premises.known_at", "lies before 1970-01-01T00:00:00Z")],
            ),
            (
                |r| filter(r, pb::Filter { regions: terms(&[], false), ..Default::default() }),
                &[(
                    "premises.filter.regions",
                    "asks for nothing: name a value, set include_none, or leave it unset",
                )],
            ),
            (
                |r| filter(r, pb::Filter { tiers: terms(&["a", "", "a"], false), ..Default::default() }),
                &[
                    ("premises.filter.tiers.values[2]", "comes a second time"),
                    ("premises.filter.tiers.values[1]", "is empty"),
                ],
            ),
            (
                |r| {
                    let label = |key: &str| pb::LabelTerms { key: key.into(), terms: terms(&["x"], false) };
                    filter(r, pb::Filter { deal_labels: vec![label("a"), label("a")], ..Default::default() });
                },
                &[("premises.filter.deal_labels[1].key", "comes a second time")],
            ),
            (
                |r| {
                    let media = pb::MediaTerms { values: vec![0], include_none: false };
                    filter(r, pb::Filter { media: Some(media), ..Default::default() });
                },
                &[("premises.filter.media.values[0]", "is unspecified: name a medium, or set include_none")],
            ),
        ],
    );

    let asked = pb::Premises {
        filter: Some(pb::Filter {
            regions: terms(&["north"], true),
            media: Some(pb::MediaTerms { values: vec![1], include_none: true }),
            partner_labels: vec![pb::LabelTerms { key: "k".into(), terms: terms(&["v"], false) }],
            credit: pb::CreditFilter::Direct.into(),
            ..Default::default()
        }),
        credit_roles: vec![3, 1],
        exchange: Some(pb::Exchange { policy: 3, fixed_on: on(2024, 1, 1) }),
        known_at: at(NOW_S),
        received_by: None,
    };
    let term = |text| Term::try_new(text).unwrap();
    let expected = Premises {
        filter: Filter {
            regions: vec![None, Some(term("north"))],
            media: vec![None, Some(Media::Paid)],
            partner_labels: BTreeMap::from([(term("k"), vec![Some(term("v"))])]),
            credit: Some(CreditFilter::Direct),
            ..Filter::default()
        },
        roles: Roles::of(&[Role::Sourced, Role::Fulfilled]),
        exchange: ExchangePolicy::Fixed(Date::from_ymd(2024, 1, 1).unwrap()),
        knowledge: Knowledge { known_at: Some(now()), received_by: None },
    };
    let request = pb::GetPipelineRequest { premises: Some(asked), ..good };
    assert_eq!(get_pipeline(&request).unwrap().premises, expected);
}

#[test]
fn a_walk_keeps_its_arguments() {
    let first = pb::ListScorecardsRequest { subject_kind: 1, window: last_days(15), ..Default::default() };
    let hash = |request: &pb::ListScorecardsRequest| list_scorecards(request).unwrap().page.arguments_hash;
    let next = pb::ListScorecardsRequest {
        page_size: 7,
        page_token: "token".into(),
        consistency: demand(pb::consistency::Requirement::FullyConsistent(true)),
        ..first.clone()
    };
    assert_eq!(hash(&first), hash(&next), "these may differ from page to page");
    assert_eq!(list_scorecards(&next).unwrap().page.token.as_deref(), Some("token"));
    assert_eq!(list_scorecards(&first).unwrap().page.token, None);
    let others: [fn(&mut pb::ListScorecardsRequest); 5] = [
        |r| r.subject_kind = 2,
        |r| r.include_sub_partners = true,
        |r| r.window = last_days(16),
        |r| r.as_of = on(2024, 3, 31),
        |r| r.kpis = vec![1],
    ];
    for change in others {
        let mut other = first.clone();
        change(&mut other);
        assert_ne!(hash(&other), hash(&first), "{other:?}");
    }
}

#[test]
fn record_keys() {
    use pb::record_key::Key;
    let ask = |key| pb::GetRecordRequest { key, consistency: None };
    let keyed = |key| ask(Some(pb::RecordKey { key: Some(key) }));
    expect(get_record(&ask(None)), &[("key", "is missing")]);
    let nothing = ask(Some(pb::RecordKey { key: None }));
    expect(get_record(&nothing), &[("key", "names no record: set exactly one of its fields")]);
    for (key, field) in [
        (Key::PartnerId(String::new()), "key.partner_id"),
        (Key::OrgUnitId(String::new()), "key.org_unit_id"),
        (Key::EmployeeId(String::new()), "key.employee_id"),
        (Key::LeadId(String::new()), "key.lead_id"),
        (Key::DealId(String::new()), "key.deal_id"),
        (Key::MarketingChannelId(String::new()), "key.marketing_channel_id"),
        (Key::MarketingSpendId(String::new()), "key.marketing_spend_id"),
        (Key::TargetId(String::new()), "key.target_id"),
        (Key::StrategyId(String::new()), "key.strategy_id"),
    ] {
        expect(get_record(&keyed(key)), &[(field, "is empty")]);
    }
    let settings = keyed(Key::TenantSettings(false));
    expect(get_record(&settings), &[("key.tenant_settings", "is false, must be true where it is set")]);
    assert_eq!(get_record(&keyed(Key::TenantSettings(true))).unwrap().key, RecordKey::Settings);
    let rate = pb::ExchangeRateKey {
        from_currency_code: "USD".into(),
        to_currency_code: "USD".into(),
        rate_on: on(2024, 3, 1),
    };
    let same = "is USD as from_currency_code is, must be another";
    expect(get_record(&keyed(Key::ExchangeRate(rate))), &[("key.exchange_rate.to_currency_code", same)]);
}

// === Messages that nobody thought of ===

/// Choices to make a message by. All 0 where it ends, which chooses to leave out what is left.
struct Tape<'a>(std::slice::Iter<'a, u8>);

// === impl Tape ===

impl Tape<'_> {
    fn next(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn choose<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.next()) % choices.len()].clone()
    }

    /// A message of any type, mostly of values at which something begins or ends.
    fn message(&mut self, descriptor: &MessageDescriptor) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            let occurrences = usize::from(self.next()) % 4;
            if occurrences == 0 {
                continue;
            }
            let value = if field.is_map() {
                let key = |tape: &mut Self| MapKey::String(tape.text());
                Value::Map((0..occurrences).map(|_| (key(self), Value::String(self.text()))).collect())
            } else if field.is_list() {
                Value::List((0..occurrences).map(|_| self.value(&field)).collect())
            } else {
                self.value(&field)
            };
            message.set_field(&field, value);
        }
        message
    }

    fn value(&mut self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Kind::Message(descriptor) => Value::Message(self.message(&descriptor)),
            Kind::Enum(_) => Value::EnumNumber(self.choose(&[0, 1, 2, 3, 4, 8, 18, 99, i32::MIN])),
            Kind::Bool => Value::Bool(self.choose(&[true, false])),
            Kind::Int32 => {
                Value::I32(self.choose(&[0, 1, 2, 12, 31, 2024, 10_000, 100_000, -1, i32::MIN, i32::MAX]))
            }
            Kind::Int64 => Value::I64(self.choose(&[0, 1, NOW_S, -1, 1 << 40, i64::MIN, i64::MAX])),
            Kind::String => Value::String(self.text()),
            kind => panic!("no request has a field of type {kind:?}"),
        }
    }

    fn text(&mut self) -> String {
        let long = "ক".repeat(200);
        let texts =
            ["", "A", "d1", "USD", "BDT", "Asia/Dhaka", "117.25", "1e-99999", " ", "\0", "a\"]b.c", &long];
        self.choose(&texts).to_owned()
    }
}

fn descriptor(request: &str) -> MessageDescriptor {
    static POOL: std::sync::LazyLock<DescriptorPool> = std::sync::LazyLock::new(|| {
        DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("compiled by build.rs")
    });
    POOL.get_message_by_name(&format!("channelkpi.v1.{request}")).expect("a message of the API")
}

/// Whether a path names a field of the API's own message.
fn is_a_field(message: &MessageDescriptor, path: &str) -> bool {
    let (mut message, mut rest) = (message.clone(), path);
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let Some(field) = message.get_field_by_name(&rest[..end]) else { return false };
        rest = &rest[end..];
        if rest.starts_with("[\"") {
            return field.is_map(); // of texts: the path ends here
        }
        if let Some(indexed) = rest.strip_prefix('[') {
            let Some((_, after)) = indexed.split_once(']') else { return false };
            rest = after;
            if !field.is_list() {
                return false;
            }
        }
        if rest.is_empty() {
            return true;
        }
        let (Kind::Message(inner), Some(after)) = (field.kind(), rest.strip_prefix('.')) else {
            return false;
        };
        (message, rest) = (inner, after);
    }
}

/// Refused with something found, each at a field that is there.
fn check_violations(request: &str, violations: &Violations) {
    assert!(
        (1..=50).contains(&violations.kept().len()) && violations.kept().len() <= violations.count(),
        "{request}"
    );
    for Violation { field, description } in violations.kept() {
        assert!(field.is_empty() || is_a_field(&descriptor(request), field), "{request} has no {field}");
        assert!(description.len() < 300, "{description}");
    }
}

fn judge<M: Message + Default, T>(request: &str, bytes: &[u8], parse: impl Fn(&M) -> Result<T, Violations>) {
    let Ok(message) = M::decode(bytes) else { return };
    if let Err(violations) = parse(&message) {
        check_violations(request, &violations);
    }
}

/// Every request of the API, whatever the bytes.
fn judge_all(mut bytes_of: impl FnMut(&str) -> Vec<u8>) {
    judge("GetScorecardRequest", &bytes_of("GetScorecardRequest"), get_scorecard);
    judge("ListScorecardsRequest", &bytes_of("ListScorecardsRequest"), list_scorecards);
    judge(
        "ListContributingRecordsRequest",
        &bytes_of("ListContributingRecordsRequest"),
        list_contributing_records,
    );
    judge("GetDataQualityRequest", &bytes_of("GetDataQualityRequest"), get_data_quality);
    judge("GetRecordRequest", &bytes_of("GetRecordRequest"), get_record);
    judge("ListRecordsRequest", &bytes_of("ListRecordsRequest"), list_records);
    judge("CreateTenantRequest", &bytes_of("CreateTenantRequest"), create_tenant);
    judge("ConfigureTenantRequest", &bytes_of("ConfigureTenantRequest"), configure_tenant);
    judge("GetTenantRequest", &bytes_of("GetTenantRequest"), get_tenant);
    judge("DeleteTenantRequest", &bytes_of("DeleteTenantRequest"), delete_tenant);
    let write = |request: &pb::WriteRecordsRequest| match write_records(request, now()) {
        Err(Refusal::Violations(violations)) => Err(violations),
        Err(Refusal::TooManyItems { .. }) => Ok(()),
        Ok(Accepted { versions, rejected }) => {
            for (place, violations) in &rejected {
                assert!(violations.kept().iter().all(|v| v.field.starts_with(&format!("records[{place}]"))));
                check_violations("WriteRecordsRequest", violations);
            }
            versions.into_iter().for_each(check_comes_back);
            Ok(())
        }
    };
    judge("WriteRecordsRequest", &bytes_of("WriteRecordsRequest"), write);
}

fn check_comes_back(version: Version) {
    assert_eq!(record(&render::record::record(&version), now()), Ok(version));
}

proptest! {
    #[test]
    fn random_bytes_are_judged_calmly(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        judge_all(|_| bytes.clone());
    }

    #[test]
    fn random_messages_are_judged_calmly(choices in proptest::collection::vec(any::<u8>(), 0..600)) {
        judge_all(|request| Tape(choices.iter()).message(&descriptor(request)).encode_to_vec());
    }

    /// A good record of which a few bytes were changed: some stay good, most are wrong in one place.
    #[test]
    fn changed_records_are_judged_calmly(
        version in arbitrary::version(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = render::record::record(&version).encode_to_vec();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        judge("Record", &bytes, |changed| record(changed, Instant::LAST).map(|version| {
            let again = record(&render::record::record(&version), Instant::LAST);
            assert_eq!(again, Ok(version));
        }));
    }
}

#[test]
fn paths_are_told_from_their_likes() {
    let request = descriptor("WriteRecordsRequest");
    for (path, expected) in [
        ("records[17].deal.amount.nanos", true),
        ("records[0].deal.labels[\"a.b]\"]", true),
        ("mode", true),
        ("records[0].deal.price", false),
        ("records.deal", true),
        ("mode[1]", false),
        ("mode.x", false),
        ("", false),
    ] {
        assert_eq!(is_a_field(&request, path), expected, "{path}");
    }
}
