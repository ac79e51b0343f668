//! Real leads and deals of Olist's marketing funnel: close rates by origin, on the cohort basis, against counts
//! of the same rows.
//!
//! The data lie beside the project (`../shared/data`), or where `CHANNEL_KPI_REAL_DATA` says. Without them this test
//! says so and passes; where `CI` is set, it fails.

#[path = "support/beside.rs"]
mod beside;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/worked_example.rs"]
mod worked_example;

use std::collections::BTreeMap;
use std::path::Path;

use beside::real_data;
use channel_kpi::proto::channelkpi::v1::figure::Result as Told;
use channel_kpi::proto::channelkpi::v1::quantity::Quantity as Q;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::window::Window as Asked;
use channel_kpi::proto::channelkpi::v1::{
    DateRange, Deal, DealStatus, GetMarketingPerformanceRequest, Lead, MarketingBasis, MarketingChannel,
    MarketingFigures, MarketingPerformance, Media, Quantity, Record, TenantSettings, Window,
};
use sidecar::{Caller, Sidecar};
use worked_example::{at, date, settings, version};

/// A lead as its row has it.
struct Row {
    contact_on: String,
    origin: String,
    won_on: Option<String>,
}

/// By the ids of the leads.
fn read(directory: &Path) -> BTreeMap<String, Row> {
    let records = |file: &str| {
        let mut reader = csv::Reader::from_path(directory.join(file)).expect("the file is there");
        reader.records().map(|row| row.expect("the file is CSV")).collect::<Vec<_>>()
    };
    // mql_id, first_contact_date, landing_page_id, origin
    let leads = records("olist_marketing_qualified_leads_dataset.csv").into_iter().map(|row| {
        let lead = Row { contact_on: row[1].to_owned(), origin: row[3].to_owned(), won_on: None };
        (row[0].to_owned(), lead)
    });
    let mut leads: BTreeMap<String, Row> = leads.collect();
    // mql_id, seller_id, sdr_id, sr_id, won_date with the time of day
    for row in records("olist_closed_deals_dataset.csv") {
        let lead = leads.get_mut(&row[0]).expect("each closed row names a lead");
        lead.won_on = row[4].split(' ').next().map(str::to_owned);
    }
    leads
}

/// Paid, earned and owned origins; of the others the medium isn't known.
const MEDIA: [(&str, Media); 10] = [
    ("direct_traffic", Media::Owned),
    ("display", Media::Paid),
    ("email", Media::Owned),
    ("organic_search", Media::Earned),
    ("other", Media::Unspecified),
    ("other_publicities", Media::Paid),
    ("paid_search", Media::Paid),
    ("referral", Media::Earned),
    ("social", Media::Earned),
    ("unknown", Media::Unspecified),
];

async fn write(caller: &mut Caller, rows: &BTreeMap<String, Row>) {
    let noon = |on: &str| at(&format!("{on}T15:00:00Z"));
    let channel = |(id, media): (&str, Media)| {
        let channel = MarketingChannel {
            marketing_channel_id: id.into(),
            name: id.replace('_', " "),
            media: media.into(),
        };
        version(at("2017-01-01T00:00:00Z"), Kind::MarketingChannel(channel))
    };
    let mut records: Vec<Record> = MEDIA.map(channel).into();
    for (id, row) in rows {
        let contact_at = noon(&row.contact_on);
        let lead = Lead {
            lead_id: id.clone(),
            created_at: contact_at,
            marketing_channel_id: row.origin.clone(),
            ..Lead::default()
        };
        records.push(version(contact_at, Kind::Lead(lead)));
        if let Some(won_on) = &row.won_on {
            let deal = Deal {
                deal_id: id.clone(),
                lead_id: id.clone(),
                opened_at: contact_at,
                status: DealStatus::Won.into(),
                closed_at: noon(won_on),
                ..Deal::default()
            };
            records.push(version(noon(won_on), Kind::Deal(deal)));
        }
    }
    for batch in records.chunks(1_000) {
        caller.write(batch.to_vec()).await;
    }
}

async fn ask(caller: &mut Caller, from: &str, to: &str, as_of: &str) -> MarketingPerformance {
    let dates = DateRange { start_on: date(from), end_on: date(to) };
    let request = GetMarketingPerformanceRequest {
        window: Some(Window { window: Some(Asked::Dates(dates)) }),
        as_of: date(as_of),
        basis: MarketingBasis::Cohort.into(),
        ..GetMarketingPerformanceRequest::default()
    };
    let answer = caller.kpis.get_marketing_performance(request).await.expect("the question is valid");
    answer.into_inner().performance.expect("always set")
}

/// Purchased and all prospects.
fn close_rate(row: &Option<MarketingFigures>) -> (i64, i64) {
    let count = |term: &Option<Quantity>| match term.as_ref().and_then(|term| term.quantity.as_ref()) {
        Some(Q::Count(count)) => *count,
        other => panic!("{other:?} is no count"),
    };
    let rate = row.as_ref().and_then(|row| row.close_rate.as_ref()?.figure.as_ref()?.result.as_ref());
    match rate {
        Some(Told::Value(ratio)) => (count(&ratio.numerator), count(&ratio.denominator)),
        _ => (0, 0),
    }
}

/// By channel; "" is none.
fn close_rates(performance: &MarketingPerformance) -> BTreeMap<&str, (i64, i64)> {
    let channels = performance.channels.iter();
    let channels = channels.map(|row| (row.marketing_channel_id.as_str(), close_rate(&row.figures)));
    channels.chain([("", close_rate(&performance.unattributed))]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn close_rates_of_olists_origins() {
    let Some(directory) = real_data("olist_marketing_funnel") else { return };
    let rows = read(&directory);
    assert_eq!(rows.len(), 8_000);
    let sidecar = Sidecar::start().await;
    let settings = TenantSettings {
        reporting_currency_code: "BRL".into(),
        time_zone: "America/Sao_Paulo".into(),
        ..settings()
    };
    let mut caller = sidecar.tenant("olist", settings).await;
    write(&mut caller, &rows).await;

    let all = ask(&mut caller, "2017-06-01", "2018-06-01", "2018-11-30").await;
    let expected = [
        ("", (14, 60)),
        ("direct_traffic", (56, 499)),
        ("display", (6, 118)),
        ("email", (15, 493)),
        ("organic_search", (271, 2_296)),
        ("other", (4, 150)),
        ("other_publicities", (3, 65)),
        ("paid_search", (195, 1_586)),
        ("referral", (24, 284)),
        ("social", (75, 1_350)),
        ("unknown", (179, 1_099)),
    ];
    assert_eq!(close_rates(&all), BTreeMap::from(expected));
    assert_eq!(close_rate(&all.total), (842, 8_000));
    let media: Vec<_> = all.media.iter().map(|row| (row.media(), close_rate(&row.figures))).collect();
    let expected = [
        (Media::Paid, (204, 1_769)),
        (Media::Earned, (370, 3_930)),
        (Media::Owned, (71, 992)),
        (Media::Unspecified, (197, 1_309)),
    ];
    assert_eq!(media, expected);
    // One was won before it was first heard of: it is a deal of its lead's cohort nonetheless.
    let won_early = rows.values().filter(|row| row.won_on.as_ref().is_some_and(|won| *won < row.contact_on));
    assert_eq!(won_early.count(), 1);

    // Each month's leads, as they had ripened by its end and by the end of the year.
    for (from, to) in [
        ("2017-07-01", "2017-08-01"),
        ("2017-12-01", "2018-01-01"),
        ("2018-01-01", "2018-02-01"),
        ("2018-03-01", "2018-04-01"),
        ("2018-05-01", "2018-06-01"),
    ] {
        for as_of in ["2018-01-31", "2018-03-31", "2018-12-31"] {
            let found = ask(&mut caller, from, to, as_of).await;
            let mut expected: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
            let is_of_cohort = |row: &&Row| {
                from <= row.contact_on.as_str()
                    && row.contact_on.as_str() < to
                    && row.contact_on.as_str() <= as_of
            };
            for row in rows.values().filter(is_of_cohort) {
                let rate = expected.entry(&row.origin).or_default();
                rate.0 += i64::from(row.won_on.as_ref().is_some_and(|won_on| won_on.as_str() <= as_of));
                rate.1 += 1;
            }
            let mut found = close_rates(&found);
            found.retain(|_, rate| *rate != (0, 0));
            assert_eq!(found, expected, "{from}..{to} as of {as_of}");
        }
    }
    sidecar.stop().await;
}
