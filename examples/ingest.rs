//! Feeds records to a sidecar, and comes back after broken connections by itself.
//!
//! ```sh
//! channel-kpi serve &
//! cargo run --example ingest
//! ```

use channel_kpi::client::ingest::{Feed, Options};
use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use channel_kpi::proto::channelkpi::v1::{CreateTenantRequest, Partner, Record, TenantSettings, record};
use prost_types::Timestamp;
use tonic::transport::Endpoint;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let channel = Endpoint::from_static("http://127.0.0.1:7443").connect().await?;
    let settings = TenantSettings {
        reporting_currency_code: "USD".to_owned(),
        time_zone: "Asia/Dhaka".to_owned(),
        ..TenantSettings::default()
    };
    let create = CreateTenantRequest { tenant_id: "default".to_owned(), settings: Some(settings) };
    AdminServiceClient::new(channel.clone()).create_tenant(create).await?;

    let mut feed = Feed::open(channel, "example", Options::default()).await?;
    if let Some(place) = feed.stored_checkpoint() {
        println!("an earlier run came as far as {}", String::from_utf8_lossy(place));
    }
    let update_time: Timestamp = "2024-03-05T09:00:00Z".parse()?;
    for id in ["A", "B", ""] {
        let partner = Partner { partner_id: id.to_owned(), ..Partner::default() };
        let record = Some(record::Record::Partner(partner));
        let seq = feed.send(Record { update_time: Some(update_time), record, ..Record::default() }).await?;
        println!("sent {seq}");
    }
    feed.checkpoint("change 3")?;

    let done = feed.finish().await?;
    println!("{} are durable, but for those that were rejected:", done.acked_seq);
    for rejected in done.rejected {
        for violation in rejected.violations {
            println!("{}: {} {}", rejected.seq, violation.field, violation.description);
        }
    }
    Ok(())
}
