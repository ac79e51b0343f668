//! Presets end to end: exports as each CRM writes them through the real `import` into a real sidecar, and the records
//! asked back compared with those worked out by hand (`expected.jsonl` beside the exports). Olist's are the real ones.

#[path = "support/beside.rs"]
mod beside;
mod program;

use std::collections::BTreeMap;
use std::path::Path;

use beside::real_data;
use channel_kpi::proto::FILE_DESCRIPTOR_SET;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    Deal, DealStatus, Lead, LeadOutcome, ListRecordsRequest, Media, Record, RecordKind,
};
use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use program::{Sidecar, channel_kpi, text};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use prost_types::Timestamp;

/// A sidecar with nothing in it, and what goes into it.
struct Imported {
    sidecar: Sidecar,
    _data_dir: tempfile::TempDir,
}

impl Imported {
    fn nothing() -> Self {
        let data_dir = tempfile::tempdir().expect("a directory for the test");
        Self { sidecar: Sidecar::start(data_dir.path(), &[]), _data_dir: data_dir }
    }

    /// Imports with a preset; what stdout and stderr say.
    fn import(&self, preset: &str, files: &Path, more: &[&str], expected_code: i32) -> (String, String) {
        let files = files.to_str().expect("the test's paths are UTF-8");
        let arguments = ["import", "--preset", preset, files, "--to", self.sidecar.url()];
        let output = channel_kpi(&[&arguments, more].concat());
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(expected_code), "{stderr}");
        (stdout, stderr)
    }

    /// All records of a kind but deleted ones, by their ids.
    async fn records(&self, kind: RecordKind) -> Vec<Record> {
        let mut client = RecordServiceClient::new(self.sidecar.channel().await);
        let mut request = ListRecordsRequest {
            record_kind: kind.into(),
            page_size: 1_000,
            ..ListRecordsRequest::default()
        };
        let mut records = Vec::new();
        loop {
            let page = client.list_records(request.clone()).await.expect("the call is right").into_inner();
            records.extend(page.versions.into_iter().filter_map(|version| version.record));
            if page.next_page_token.is_empty() {
                return records;
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn all_records(&self) -> Vec<serde_json::Value> {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("it is valid");
        let descriptor = pool.get_message_by_name("channelkpi.v1.Record").expect("it is of the API");
        let mut all = Vec::new();
        for kind in [
            RecordKind::Partner,
            RecordKind::OrgUnit,
            RecordKind::Employee,
            RecordKind::Lead,
            RecordKind::Deal,
            RecordKind::MarketingChannel,
        ] {
            for record in self.records(kind).await {
                let message = DynamicMessage::decode(descriptor.clone(), record.encode_to_vec().as_slice());
                let json = serde_json::to_value(message.expect("a record is one")).expect("it has JSON");
                all.push(json);
            }
        }
        all
    }
}

const NOTHING_NEW: &str = "\nNothing of it was new: the tenant's figures are what they were.\n";

/// Imports a folder of fixtures twice; the rows that were rejected must be these, and the records those by hand.
async fn imports(preset: &str, folder: &str, more: &[&str], rejected: &[&str]) {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let imported = Imported::nothing();
    let more = [more, &["--currency", "USD", "--time-zone", "Asia/Dhaka"]].concat();
    let expected_code = if rejected.is_empty() { 0 } else { 3 };
    let (_, stderr) = imported.import(preset, &files, &more, expected_code);
    let told: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("note: ")).collect();
    assert_eq!(told, rejected);

    let expected = std::fs::read_to_string(files.join("expected.jsonl")).expect("it lies beside the exports");
    let records = imported.all_records().await;
    for (line, record) in expected.lines().zip(&records) {
        let expected: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        assert_eq!(*record, expected);
    }
    assert_eq!(records.len(), expected.lines().count());

    let (stdout, _) = imported.import(preset, &files, &more, expected_code);
    assert!(stdout.ends_with(NOTHING_NEW), "{stdout}");
}

#[tokio::test]
async fn salesforce_by_data_loader() {
    let rejected = [
        "Lead.csv:5:12: CreatedDate is empty: a lead needs its `created_at` (--undated-on DATE dates such rows)",
        "Opportunity.csv:7:6: AMOUNT \"12,34\" isn't a number like 1234.50 or 1,234.50",
        "Opportunity.csv:8:8: CLOSEDATE \"31.03.2024\" isn't a date like 2017-10-31 or 2017-10-31T12:00:00Z \
         (--date-format says others)",
    ];
    imports("salesforce", "salesforce", &[], &rejected).await;
}

#[tokio::test]
async fn salesforce_by_a_report() {
    let rejected = [
        "report1710000000000.csv:4:6: Close Date \"13/31/2024\" isn't a date like 10/31/2017 or 2017-10-31 or \
         2017-10-31T12:00:00Z (--date-format says others)",
    ];
    imports("salesforce", "salesforce_report", &["--date-format", "%m/%d/%Y"], &rejected).await;
}

#[tokio::test]
async fn hubspot() {
    let rejected = [
        "hubspot-crm-exports-all-deals.csv:6:12: Deal probability \"90\" isn't a fraction from 0 to 1, such as 0.625 \
         or 62.5 %",
    ];
    imports("hubspot", "hubspot", &[], &rejected).await;
}

#[tokio::test]
async fn odoo_with_labels() {
    let rejected =
        ["Lead_Opportunity (crm.lead).csv:8:6: Probability \"ten\" isn't a number like 1234.50 or 1,234.50"];
    imports("odoo", "odoo", &[], &rejected).await;
}

#[tokio::test]
async fn odoo_with_field_names() {
    imports("odoo", "odoo_names", &[], &[]).await;
}

/// Leads, and deals won of them, by origin: as counted in the files.
const PER_ORIGIN: [(&str, usize, usize, Media); 11] = [
    ("", 60, 14, Media::Unspecified),
    ("direct_traffic", 499, 56, Media::Owned),
    ("display", 118, 6, Media::Paid),
    ("email", 493, 15, Media::Owned),
    ("organic_search", 2_296, 271, Media::Earned),
    ("other", 150, 4, Media::Unspecified),
    ("other_publicities", 65, 3, Media::Paid),
    ("paid_search", 1_586, 195, Media::Paid),
    ("referral", 284, 24, Media::Earned),
    ("social", 1_350, 75, Media::Earned),
    ("unknown", 1_099, 179, Media::Unspecified),
];

/// The date in Olist's time zone.
fn date(time: Option<Timestamp>) -> NaiveDate {
    let time = time.expect("a won deal has both");
    let instant = DateTime::from_timestamp(time.seconds, 0).expect("a year of four digits");
    instant.with_timezone(&Tz::America__Sao_Paulo).date_naive()
}

#[tokio::test]
async fn olist_real_data() {
    let Some(files) = real_data("olist_marketing_funnel") else { return };
    let imported = Imported::nothing();
    let (stdout, _) = imported.import("olist", &files, &[], 0);
    assert!(stdout.contains("8,874 versions"), "8,000 leads, 842 deals, 22 employees, 10 channels: {stdout}");

    let leads = imported.records(RecordKind::Lead).await;
    let leads: BTreeMap<String, Lead> = leads
        .into_iter()
        .filter_map(|record| match record.record {
            Some(Kind::Lead(lead)) => Some((lead.lead_id.clone(), lead)),
            _ => None,
        })
        .collect();
    let deals = imported.records(RecordKind::Deal).await;
    let deals: Vec<Deal> = deals
        .into_iter()
        .filter_map(|record| match record.record {
            Some(Kind::Deal(deal)) => Some(deal),
            _ => None,
        })
        .collect();
    assert_eq!((leads.len(), deals.len()), (8_000, 842));

    let mut counted: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for lead in leads.values() {
        counted.entry(&lead.marketing_channel_id).or_default().0 += 1;
    }
    let mut before_contact_count = 0;
    for deal in &deals {
        let lead = &leads[&deal.lead_id];
        counted.entry(&lead.marketing_channel_id).or_default().1 += 1;
        assert_eq!((deal.status(), &deal.amount), (DealStatus::Won, &None));
        assert_eq!((lead.outcome(), lead.decided_at), (LeadOutcome::Converted, deal.closed_at));
        assert_eq!(deal.opened_at, lead.created_at, "a deal begins with the first contact");
        assert!(!deal.owner_employee_id.is_empty());
        before_contact_count += usize::from(date(deal.closed_at) < date(deal.opened_at));
    }
    assert_eq!(before_contact_count, 1, "one won_date lies before its first contact");
    let converted = leads.values().filter(|lead| lead.outcome() == LeadOutcome::Converted);
    assert_eq!(converted.count(), 842, "the other leads are open");
    let expected = PER_ORIGIN.map(|(origin, leads, deals, _)| (origin, (leads, deals)));
    assert_eq!(counted.into_iter().collect::<Vec<_>>(), expected);

    let channels = imported.records(RecordKind::MarketingChannel).await;
    let channels: Vec<(String, Media)> = channels
        .into_iter()
        .filter_map(|record| match record.record {
            Some(Kind::MarketingChannel(channel)) => {
                Some((channel.marketing_channel_id.clone(), channel.media()))
            }
            _ => None,
        })
        .collect();
    let expected: Vec<(String, Media)> =
        PER_ORIGIN[1..].iter().map(|(origin, _, _, media)| ((*origin).to_owned(), *media)).collect();
    assert_eq!(channels, expected, "an empty origin is no channel");
    assert_eq!(imported.records(RecordKind::Employee).await.len(), 22);

    let (stdout, _) = imported.import("olist", &files, &[], 0);
    assert!(stdout.ends_with(NOTHING_NEW), "{stdout}");
}
