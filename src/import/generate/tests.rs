//! The generated company is the one it is told to be: lifelike, whole, and the same for the same seed.

use std::collections::{BTreeMap, HashSet};

use prost::Message;

use super::world::{UNKNOWN_CHANNEL, UNKNOWN_EMPLOYEE, UNKNOWN_LEAD, UNKNOWN_PARTNER, UNRATED_CURRENCY};
use super::*;
use crate::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use crate::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use crate::proto::channelkpi::v1::{
    CreateTenantRequest, Deal, DealStatus, Partner, WriteMode, WriteRecordsRequest,
};

fn story(seed: u64, scale_percent: u32) -> Generator {
    let last_on = NaiveDate::from_ymd_opt(2025, 11, 24).expect("a date");
    Generator { seed, scale_percent, last_on }
}

/// Of the records' bytes, in order.
fn checksum(records: &[Record]) -> u32 {
    records.iter().fold(0, |sum, record| crc32c::crc32c_append(sum, &record.encode_length_delimited_to_vec()))
}

fn versions(records: &[Record]) -> impl Iterator<Item = (&Record, &Kind)> {
    records.iter().map(|record| (record, record.record.as_ref().expect("every record is of a kind")))
}

/// The newest version of every deal that isn't deleted.
fn deals(records: &[Record]) -> BTreeMap<&str, &Deal> {
    let mut deals = BTreeMap::new();
    for (record, kind) in versions(records) {
        let Kind::Deal(deal) = kind else { continue };
        if record.deleted {
            deals.remove(deal.deal_id.as_str());
        } else {
            deals.insert(deal.deal_id.as_str(), deal);
        }
    }
    deals
}

fn partners(records: &[Record]) -> BTreeMap<&str, &Partner> {
    let mut partners = BTreeMap::new();
    for (_, kind) in versions(records) {
        if let Kind::Partner(partner) = kind {
            partners.entry(partner.partner_id.as_str()).or_insert(partner);
        }
    }
    partners
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let [once, again, another] = [7, 7, 8].map(|seed| checksum(&story(seed, 10).records()));
    assert_eq!(once, again);
    assert_ne!(once, another);
    assert_eq!(once, 960_864_630, "the story of this seed is no longer what it was");
}

#[test]
fn it_is_as_large_as_it_says() {
    let records = story(1, 100).records();
    let mut counts: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for (_, kind) in versions(&records) {
        let (kind, id) = match kind {
            Kind::Partner(partner) => ("partner", &partner.partner_id),
            Kind::Employee(employee) => ("employee", &employee.employee_id),
            Kind::Lead(lead) => ("lead", &lead.lead_id),
            Kind::Deal(deal) => ("deal", &deal.deal_id),
            _ => continue,
        };
        counts.entry(kind).or_default().insert(id);
    }
    let counts: Vec<(&str, usize)> = counts.into_iter().map(|(kind, ids)| (kind, ids.len())).collect();
    assert_eq!(counts, [("deal", 12_000), ("employee", 40), ("lead", 12_000), ("partner", 300)]);
    let version_count = versions(&records).filter(|(_, kind)| matches!(kind, Kind::Deal(_))).count();
    assert!((40_000..60_000).contains(&version_count), "{version_count} versions of deals");
}

#[test]
fn the_log_is_in_order_and_ends_with_the_last_day() {
    let story = story(1, 10);
    let records = story.records();
    let times: Vec<i64> =
        records.iter().filter_map(|record| record.update_time.map(|time| time.seconds)).collect();
    assert!(times.is_sorted());
    let last_at = DateTime::from_timestamp(*times.last().expect("there are records"), 0).expect("a time");
    assert_eq!(local_date(last_at), story.last_on);
}

/// The oldest store that the server has: the journal on disk, the stack in process.
#[tokio::test]
async fn the_server_takes_every_record() {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let config = crate::config::Config { data_dir: directory.path().into(), ..Default::default() };
    let sidecar = crate::open(config).await.expect("the directory is new");
    let mut admin = AdminServiceClient::new(sidecar.channel());
    let request = CreateTenantRequest { tenant_id: "default".into(), settings: Some(Generator::settings()) };
    admin.create_tenant(request).await.expect("the settings are right");
    let mut client = RecordServiceClient::new(sidecar.channel());
    for batch in story(1, 25).records().chunks(1_000) {
        let request = WriteRecordsRequest { records: batch.to_vec(), mode: WriteMode::Partial.into() };
        let answer = client.write_records(request).await.expect("the call succeeds").into_inner();
        assert_eq!(answer.rejected_records, []);
    }
    sidecar.close().await;
}

#[test]
fn references_resolve_but_for_the_flaws() {
    let records = story(1, 100).records();
    let mut known = HashSet::new();
    let mut named = HashSet::new();
    for (_, kind) in versions(&records) {
        match kind {
            Kind::Partner(partner) => {
                known.insert(("partner", partner.partner_id.clone()));
                named.insert(("partner", partner.parent_partner_id.clone()));
                named.insert(("partner", partner.merged_into_partner_id.clone()));
            }
            Kind::OrgUnit(unit) => {
                known.insert(("unit", unit.org_unit_id.clone()));
                named.insert(("unit", unit.parent_unit_id.clone()));
            }
            Kind::Employee(employee) => {
                known.insert(("employee", employee.employee_id.clone()));
                named.insert(("unit", employee.unit_id.clone()));
                named.insert(("employee", employee.merged_into_employee_id.clone()));
            }
            Kind::MarketingChannel(channel) => {
                known.insert(("channel", channel.marketing_channel_id.clone()));
            }
            Kind::Lead(lead) => {
                known.insert(("lead", lead.lead_id.clone()));
                named.insert(("partner", lead.partner_id.clone()));
                named.insert(("employee", lead.owner_employee_id.clone()));
                named.insert(("channel", lead.marketing_channel_id.clone()));
            }
            Kind::Deal(deal) => {
                named
                    .extend(deal.partner_credits.iter().map(|credit| ("partner", credit.partner_id.clone())));
                named.insert(("employee", deal.owner_employee_id.clone()));
                named.insert(("unit", deal.unit_id.clone()));
                named.insert(("lead", deal.lead_id.clone()));
                named.insert(("channel", deal.marketing_channel_id.clone()));
            }
            Kind::MarketingSpend(spend) => {
                named.insert(("channel", spend.marketing_channel_id.clone()));
                named.insert(("partner", spend.partner_id.clone()));
            }
            Kind::Target(_) | Kind::Strategy(_) | Kind::ExchangeRate(_) | Kind::TenantSettings(_) => {}
        }
    }
    let mut unknown: Vec<(&str, String)> =
        named.into_iter().filter(|name| !name.1.is_empty() && !known.contains(name)).collect();
    unknown.sort();
    let flaws = [
        ("channel", UNKNOWN_CHANNEL),
        ("employee", UNKNOWN_EMPLOYEE),
        ("lead", UNKNOWN_LEAD),
        ("partner", UNKNOWN_PARTNER),
    ];
    assert_eq!(unknown, flaws.map(|(kind, id)| (kind, id.to_owned())));
}

#[test]
fn the_flaws_are_there_and_few() {
    let story = story(1, 100);
    let records = story.records();
    let deals = deals(&records);
    let count = |flawed: &dyn Fn(&Deal) -> bool| deals.values().filter(|deal| flawed(deal)).count();
    let closed = |deal: &Deal| deal.closed_at.map(|time| time.seconds);
    let opened = |deal: &Deal| deal.opened_at.map(|time| time.seconds);
    let last_s = at(story.last_on, 24 * 60).timestamp();
    for (flaw, found) in [
        ("won without an amount", count(&|d| d.status() == DealStatus::Won && d.amount.is_none())),
        (
            "in a currency without a rate",
            count(&|d| d.amount.as_ref().is_some_and(|amount| amount.currency_code == UNRATED_CURRENCY)),
        ),
        ("closed before opened", count(&|d| closed(d).is_some() && closed(d) < opened(d))),
        ("closed in the future", count(&|d| closed(d) > Some(last_s))),
        ("without a credit", count(&|d| d.partner_credits.is_empty())),
    ] {
        assert!((1..deals.len() / 8).contains(&found), "{found} deals {flaw}");
    }
    let partners = partners(&records);
    let parent = |id: &str| partners[id].parent_partner_id.as_str();
    assert_eq!((parent("P-022"), parent("P-023")), ("P-023", "P-022"));
}

#[test]
fn there_is_every_kind_of_partner() {
    let records = story(1, 100).records();
    let partners = partners(&records);
    for kind in ["distributor", "reseller", "referral", "affiliate", "msp", "system_integrator"] {
        assert!(partners.values().any(|partner| partner.partner_type == kind), "{kind}");
    }
    let names: HashSet<&str> = partners.values().map(|partner| partner.name.as_str()).collect();
    assert!(names.len() > 290, "{} names", names.len());
    assert!(names.iter().any(|name| name.contains("লিমিটেড") || name.contains("শাপলা")));
    let (mut merged, mut inactive, mut deleted) = (0, 0, 0);
    for (record, kind) in versions(&records) {
        let Kind::Partner(partner) = kind else { continue };
        merged += usize::from(!partner.merged_into_partner_id.is_empty());
        inactive += usize::from(partner.active == Some(false));
        deleted += usize::from(record.deleted);
    }
    assert!(merged > 1 && inactive > 1 && deleted > 1, "{merged} {inactive} {deleted}");
}

/// Of the deals that a partner was credited with alone, how many were won, and how many ended.
fn success(deals: &BTreeMap<&str, &Deal>, partner_id: &str) -> (usize, usize) {
    let own = deals.values().filter(|deal| {
        deal.partner_credits.first().is_some_and(|credit| credit.partner_id == partner_id)
            && deal.status() != DealStatus::Open
    });
    own.fold((0, 0), |(won, closed), deal| (won + usize::from(deal.status() == DealStatus::Won), closed + 1))
}

#[test]
fn one_partner_misses_nearly_all_of_its_many_deals() {
    let records = story(1, 100).records();
    let deals = deals(&records);
    let (won, closed) = success(&deals, "P-151");
    assert!(closed >= 120 && won * 8 < closed, "{won} of {closed}");
    let (won, closed) = deals.values().fold((0, 0), |(won, closed), deal| match deal.status() {
        DealStatus::Won => (won + 1, closed + 1),
        DealStatus::Lost => (won, closed + 1),
        _ => (won, closed),
    });
    assert!(won * 3 > closed && won * 5 < closed * 3, "{won} of {closed}");
}

#[test]
fn august_is_weak_and_quarters_end_strong() {
    let records = story(1, 100).records();
    let month_of = |time: Option<Timestamp>| {
        let at = DateTime::from_timestamp(time?.seconds, 0).expect("a time");
        Some(local_date(at)).filter(|day| day.year() == 2025).map(|day| day.month() as usize)
    };
    let (mut opened_by_month, mut won_by_month) = ([0; 13], [0; 13]);
    for deal in deals(&records).into_values() {
        if let Some(month) = month_of(deal.opened_at) {
            opened_by_month[month] += 1;
        }
        if let (DealStatus::Won, Some(month)) = (deal.status(), month_of(deal.closed_at)) {
            won_by_month[month] += 1;
        }
    }
    assert_eq!((1..=10).min_by_key(|month| opened_by_month[*month]), Some(8), "{opened_by_month:?}");
    for (first, last) in [(1, 3), (4, 6), (7, 9)] {
        assert!(won_by_month[last] * 10 > won_by_month[first] * 12, "{won_by_month:?}");
    }
}

#[test]
fn small_stories_are_stories_too() {
    for last_on in [(1999, 2, 28), (2024, 2, 29), (2025, 1, 1)] {
        let last_on = NaiveDate::from_ymd_opt(last_on.0, last_on.1, last_on.2).expect("a date");
        let records = Generator { seed: 0, scale_percent: 1, last_on }.records();
        assert_eq!(deals(&records).len() / 90, 1, "a hundred, less those deleted");
    }
}
