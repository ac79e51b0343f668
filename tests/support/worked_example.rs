//! The company of docs/kpis.md §12: every record that its tables list, to be asked for any KPI.
//!
//! All is said in full (roles, shares, states, active flags), so that a record is read back as it was
//! sent. Dates are told as instants at noon in Dhaka, 06:00 UTC: the same date in both zones.

use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::{
    CreditRole, Deal, DealStatus, Employee, Lead, LeadOutcome, MarketingChannel, MarketingSpend, Media,
    OrgUnit, Partner, PartnerCredit, Record, TenantSettings,
};
use channel_kpi::proto::google::r#type::{Date, DayOfWeek, Money};
use prost_types::Timestamp;

pub fn settings() -> TenantSettings {
    TenantSettings {
        reporting_currency_code: "USD".into(),
        time_zone: "Asia/Dhaka".into(),
        fiscal_year_start_month: Some(1),
        week_start: DayOfWeek::Monday.into(),
        ..TenantSettings::default()
    }
}

/// Noon in Dhaka on a date of 2024, as `03-15`.
pub fn noon(month_day: &str) -> Option<Timestamp> {
    at(&format!("2024-{month_day}T06:00:00Z"))
}

pub fn at(instant: &str) -> Option<Timestamp> {
    Some(instant.parse().expect("the tests write RFC 3339"))
}

/// A date as `2024-03-15`.
pub fn date(text: &str) -> Option<Date> {
    let mut parts = text.split('-').map(|part| part.parse().expect("the tests write dates"));
    let mut next = || parts.next().expect("a date has three parts");
    Some(Date { year: next(), month: next(), day: next() })
}

pub fn usd(units: i64) -> Option<Money> {
    Some(Money { currency_code: "USD".into(), units, nanos: 0 })
}

/// The version of a record that its host wrote then.
pub fn version(update_time: Option<Timestamp>, record: Kind) -> Record {
    Record { update_time, record: Some(record), ..Record::default() }
}

/// The whole of a deal, found by a partner.
pub fn sourced(partner_id: &str) -> Vec<PartnerCredit> {
    let role = CreditRole::Sourced.into();
    vec![PartnerCredit { partner_id: partner_id.into(), role, share_bps: Some(10_000) }]
}

/// An open deal.
pub fn deal(deal_id: &str, partner_id: &str, owner: &str, opened: &str, units: i64) -> Deal {
    Deal {
        deal_id: deal_id.into(),
        opened_at: noon(opened),
        amount: usd(units),
        status: DealStatus::Open.into(),
        owner_employee_id: owner.into(),
        partner_credits: sourced(partner_id),
        ..Deal::default()
    }
}

pub fn won(closed: &str, open: Deal) -> Deal {
    Deal { status: DealStatus::Won.into(), closed_at: noon(closed), ..open }
}

pub fn lost(closed: &str, open: Deal) -> Deal {
    Deal { status: DealStatus::Lost.into(), closed_at: noon(closed), ..open }
}

/// All versions of all records but the settings: 27.
pub fn records() -> Vec<Record> {
    let mut records = company();
    records.extend(deals());
    records.extend(marketing());
    records
}

fn company() -> Vec<Record> {
    let unit = |org_unit_id: &str, unit_kind: &str, parent_unit_id: &str| {
        Kind::OrgUnit(OrgUnit {
            org_unit_id: org_unit_id.into(),
            name: format!("Unit {org_unit_id}"),
            unit_kind: unit_kind.into(),
            parent_unit_id: parent_unit_id.into(),
        })
    };
    let employee = |employee_id: &str, unit_id: &str| {
        Kind::Employee(Employee {
            employee_id: employee_id.into(),
            name: format!("Employee {employee_id}"),
            unit_id: unit_id.into(),
            active: Some(true),
            ..Employee::default()
        })
    };
    let partner = |partner_id: &str| {
        Kind::Partner(Partner {
            partner_id: partner_id.into(),
            name: format!("Partner {partner_id}"),
            active: Some(true),
            ..Partner::default()
        })
    };
    let kinds = [
        unit("sales", "unit", ""),
        unit("north", "department", "sales"),
        unit("south", "department", "sales"),
        employee("e1", "north"),
        employee("e2", "south"),
        partner("A"),
        partner("B"),
    ];
    kinds.map(|kind| version(noon("01-02"), kind)).into()
}

fn deals() -> Vec<Record> {
    let lead = |lead_id: &str, deal| Deal { lead_id: lead_id.into(), ..deal };
    let d1 = won("03-05", deal("d1", "A", "e1", "02-20", 200));
    let d2 = won("03-12", lead("L1", deal("d2", "A", "e2", "03-01", 400)));
    let d3 = lost("03-20", deal("d3", "A", "e1", "01-15", 300));
    let d3 = Deal { competitor: "Rival".into(), ..d3 };
    let d4 = Deal {
        probability_bps: Some(5_000),
        expected_close: date("2024-04-15"),
        expire_time: noon("04-10"),
        ..deal("d4", "A", "e1", "03-10", 1_000)
    };
    let d5 = won("03-25", lead("L4", deal("d5", "B", "e1", "03-01", 900)));
    let d6 = Deal { expire_time: noon("03-15"), ..deal("d6", "B", "e2", "02-10", 500) };
    let d7 = Deal { probability_bps: Some(2_500), ..deal("d7", "B", "e2", "03-18", 2_000) };
    // 02:00 on 1 April in Dhaka
    let closed_at = at("2024-03-31T20:00:00Z");
    let d8 = Deal { closed_at, ..won("03-31", deal("d8", "B", "e2", "03-02", 700)) };
    let d9 = Deal { probability_bps: Some(2_000), ..deal("d9", "B", "e2", "02-05", 1_500) };
    let earlier = [
        version(noon("03-18"), Kind::Deal(Deal { amount: usd(1_500), ..d7.clone() })),
        version(noon("02-05"), Kind::Deal(Deal { amount: usd(1_200), ..d9.clone() })),
    ];
    let later = [version(noon("03-28"), Kind::Deal(d7)), version(noon("03-08"), Kind::Deal(d9))];
    let single = [d1, d2, d3, d4, d5, d6, d8].map(|deal| {
        let update_time = deal.closed_at.or(deal.opened_at);
        version(update_time, Kind::Deal(deal))
    });
    single.into_iter().chain(earlier).chain(later).collect()
}

fn marketing() -> Vec<Record> {
    let channel = |marketing_channel_id: &str, name: &str, media: Media| {
        let (marketing_channel_id, name) = (marketing_channel_id.into(), name.into());
        let channel = MarketingChannel { marketing_channel_id, name, media: media.into() };
        version(noon("01-02"), Kind::MarketingChannel(channel))
    };
    let spend = |marketing_spend_id: &str, marketing_channel_id: &str, units| {
        let spend = MarketingSpend {
            marketing_spend_id: marketing_spend_id.into(),
            marketing_channel_id: marketing_channel_id.into(),
            start_on: date("2024-03-01"),
            end_on: date("2024-04-01"),
            amount: usd(units),
            ..MarketingSpend::default()
        };
        version(noon("03-01"), Kind::MarketingSpend(spend))
    };
    let lead = |lead_id: &str, partner_id: &str, owner: &str, channel: &str, created, decided| {
        let (outcome, decided) = decided;
        let lead = Lead {
            lead_id: lead_id.into(),
            created_at: noon(created),
            partner_id: partner_id.into(),
            owner_employee_id: owner.into(),
            marketing_channel_id: channel.into(),
            outcome: LeadOutcome::into(outcome),
            decided_at: Option::and_then(decided, noon),
            ..Lead::default()
        };
        version(lead.decided_at.or(lead.created_at), Kind::Lead(lead))
    };
    use LeadOutcome::{Converted, Disqualified, Open};
    vec![
        channel("search", "Paid search", Media::Paid),
        channel("newsletter", "Newsletter", Media::Owned),
        channel("reviews", "Review site", Media::Earned),
        spend("search-03", "search", 310),
        spend("newsletter-03", "newsletter", 50),
        // A lead is converted when the deal made of it is opened.
        lead("L1", "A", "e2", "search", "03-01", (Converted, Some("03-01"))),
        lead("L2", "A", "e1", "search", "03-03", (Disqualified, Some("03-20"))),
        lead("L3", "B", "e2", "newsletter", "03-05", (Open, None)),
        lead("L4", "B", "e1", "reviews", "02-25", (Converted, Some("03-01"))),
    ]
}
