//! The library instead of a sidecar: one `open`, and the same generated clients, without a socket.
//!
//! ```sh
//! cargo run --example in_process
//! ```

use channel_kpi::config::Config;
use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    CreateTenantRequest, Deal, DealStatus, GetScorecardRequest, PartnerCredit, PartnerSubject, Record,
    Subject, TenantSettings, Window, WriteRecordsRequest, record, subject, window,
};
use channel_kpi::proto::google::r#type::{Date, Money};
use prost_types::Timestamp;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data_dir = std::env::temp_dir().join(format!("channel-kpi-example-{}", std::process::id()));
    let sidecar = channel_kpi::open(Config { data_dir: data_dir.clone(), ..Config::default() }).await?;

    // A tenant says in which currency and time zone its figures are told.
    let settings = TenantSettings {
        reporting_currency_code: "USD".to_owned(),
        time_zone: "Asia/Dhaka".to_owned(),
        ..TenantSettings::default()
    };
    let create = CreateTenantRequest { tenant_id: "default".to_owned(), settings: Some(settings) };
    AdminServiceClient::new(sidecar.channel()).create_tenant(create).await?;

    // Two deals of partner A, won in March 2024.
    let deal = |id: &str, closed: &str, units| -> Result<Record, prost_types::TimestampError> {
        let opened_at: Timestamp = "2024-02-20T06:00:00Z".parse()?;
        let closed_at: Timestamp = closed.parse()?;
        let deal = Deal {
            deal_id: id.to_owned(),
            opened_at: Some(opened_at),
            amount: Some(Money { currency_code: "USD".to_owned(), units, nanos: 0 }),
            status: DealStatus::Won.into(),
            closed_at: Some(closed_at),
            partner_credits: vec![PartnerCredit { partner_id: "A".to_owned(), ..PartnerCredit::default() }],
            ..Deal::default()
        };
        let record = Some(record::Record::Deal(deal));
        Ok(Record { update_time: Some(closed_at), record, ..Record::default() })
    };
    let records = vec![deal("d1", "2024-03-05T06:00:00Z", 200)?, deal("d2", "2024-03-12T06:00:00Z", 400)?];
    let written = RecordServiceClient::new(sidecar.channel())
        .write_records(WriteRecordsRequest { records, ..WriteRecordsRequest::default() })
        .await?
        .into_inner();
    println!("written; figures show it from revision {} on", written.revision_token);

    // The last 15 days on 15 March.
    let partner = PartnerSubject { partner_id: "A".to_owned(), include_sub_partners: false };
    let question = GetScorecardRequest {
        subject: Some(Subject { subject: Some(subject::Subject::Partner(partner)) }),
        window: Some(Window { window: Some(window::Window::LastDays(15)) }),
        as_of: Some(Date { year: 2024, month: 3, day: 15 }),
        ..GetScorecardRequest::default()
    };
    let answer = KpiServiceClient::new(sidecar.channel()).get_scorecard(question).await?.into_inner();
    println!("{:#?}", answer.scorecard.and_then(|scorecard| scorecard.average_deal_size));

    sidecar.close().await;
    std::fs::remove_dir_all(data_dir)?;
    Ok(())
}
