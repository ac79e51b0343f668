//! A board watched live, in process: deals are won, and the ranking follows. With a network channel in place of
//! `sidecar.channel()` it is the same.
//!
//! ```sh
//! cargo run --example watch
//! ```

use channel_kpi::client::watch::{Event, Watch};
use channel_kpi::config::Config;
use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    CreateTenantRequest, Deal, DealStatus, LeaderboardQuery, PartnerCredit, RankedBy, Record, SubjectKind,
    TenantSettings, WatchLeaderboardRequest, Window, WriteRecordsRequest, record, window,
};
use channel_kpi::proto::google::r#type::Money;
use prost_types::Timestamp;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data_dir = std::env::temp_dir().join(format!("channel-kpi-example-{}", std::process::id()));
    let sidecar = channel_kpi::open(Config { data_dir: data_dir.clone(), ..Config::default() }).await?;
    let settings = TenantSettings {
        reporting_currency_code: "USD".to_owned(),
        time_zone: "Asia/Dhaka".to_owned(),
        ..TenantSettings::default()
    };
    let create = CreateTenantRequest { tenant_id: "default".to_owned(), settings: Some(settings) };
    AdminServiceClient::new(sidecar.channel()).create_tenant(create).await?;
    let mut records = RecordServiceClient::new(sidecar.channel());

    // Who won most in the last 30 days? Of partners that have a record.
    let query = LeaderboardQuery {
        subject_kind: SubjectKind::Partner.into(),
        ranked_by: RankedBy::WonAmount.into(),
        window: Some(Window { window: Some(window::Window::LastDays(30)) }),
        ..LeaderboardQuery::default()
    };
    let request = WatchLeaderboardRequest { query: Some(query), limit: Some(3), ..Default::default() };
    let mut watch = Watch::new(sidecar.channel(), request);

    let now = chrono::Utc::now().timestamp();
    let mut wins = [("Meghna", 200), ("Padma", 300), ("Meghna", 400)].into_iter().zip(1..);
    while let Some(event) = watch.next().await {
        match event? {
            Event::Board { board, came } => {
                println!("{came:?} at revision {}", board.version.revision);
                for row in &board.rows {
                    let worth = row.won_amount.as_ref().map_or(0, |money| money.units);
                    println!("  {} {}: {worth} USD", row.rank, row.subject_id);
                }
            }
            // It comes back by itself; a program with a screen says so on it.
            Event::Away { why, wait } => println!("{why:?}: back in {wait:?}"),
        }
        let Some(((partner_id, units), number)) = wins.next() else { break };
        let request =
            WriteRecordsRequest { records: win(partner_id, units, number, now), ..Default::default() };
        records.write_records(request).await?;
    }

    drop(watch);
    sidecar.close().await;
    std::fs::remove_dir_all(data_dir)?;
    Ok(())
}

/// A partner, and a deal of it that is won now.
fn win(partner_id: &str, units: i64, number: i64, now: i64) -> Vec<Record> {
    let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let partner = record::Record::Partner(channel_kpi::proto::channelkpi::v1::Partner {
        partner_id: partner_id.to_owned(),
        ..Default::default()
    });
    let deal = record::Record::Deal(Deal {
        deal_id: format!("d{number}"),
        opened_at: time(now - 20 * 86_400),
        closed_at: time(now),
        status: DealStatus::Won.into(),
        amount: Some(Money { currency_code: "USD".to_owned(), units, nanos: 0 }),
        partner_credits: vec![PartnerCredit { partner_id: partner_id.to_owned(), ..Default::default() }],
        ..Deal::default()
    });
    [partner, deal]
        .map(|record| Record { update_time: time(now), record: Some(record), ..Record::default() })
        .into()
}
