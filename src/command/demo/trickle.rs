//! What goes on while the demo serves: every second or so a deal is opened, won or lost, as of now. So there is
//! something to watch.
//!
//! It makes nothing up but amounts: deals that are open come to their end, and new ones are like those that were open.

use std::time::Duration;

use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    Deal, DealStatus, FigureKind, GetRecordRequest, ListContributingRecordsRequest, Record, RecordKey,
    WriteRecordsRequest,
};
use channel_kpi::proto::google::r#type::{Date, Money};
use chrono::Utc;
use fastrand::Rng;
use prost_types::Timestamp;
use tokio::time::sleep;
use tonic::Status;

use crate::command::connection::Connection;

/// Between two changes, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 400..1_600;

/// Of a hundred changes so many deals are won and lost. The others are opened.
const WON_PERCENT: u8 = 50;
const LOST_PERCENT: u8 = 20;

/// So many of the open deals it knows to begin with, and ends none where few are left.
const OPEN_DEALS_KNOWN: usize = 60;
const OPEN_DEALS_MIN: usize = 10;

/// Writes until a call fails: when the demo ends, or its sidecar takes no writes.
pub async fn trickle(connection: Connection, seed: u64, as_of: Option<Date>) -> Status {
    let begun = Trickle::begin(connection, seed, as_of).await;
    match begun {
        Ok(mut trickle) => loop {
            sleep(Duration::from_millis(trickle.random.u64(PAUSE_MS))).await;
            if let Err(status) = trickle.step().await {
                return status;
            }
        },
        Err(status) => status,
    }
}

struct Trickle {
    records: RecordServiceClient<Connection>,
    random: Rng,
    open: Vec<Deal>,
    /// Of the next new deal: from the time on, so that two demos over the same data make no deal twice.
    next_number: i64,
}

impl Trickle {
    async fn begin(connection: Connection, seed: u64, as_of: Option<Date>) -> Result<Self, Status> {
        let request = ListContributingRecordsRequest {
            figure_kind: FigureKind::Open.into(),
            as_of,
            page_size: 1_000,
            ..ListContributingRecordsRequest::default()
        };
        let mut kpis = KpiServiceClient::new(connection.clone());
        let listed = kpis.list_contributing_records(request).await?.into_inner();
        let mut records = RecordServiceClient::new(connection);
        let mut random = Rng::with_seed(seed);
        let mut keys: Vec<RecordKey> = listed.records.into_iter().filter_map(|record| record.key).collect();
        random.shuffle(&mut keys);
        let mut open = Vec::new();
        for key in keys {
            let request = GetRecordRequest { key: Some(key), consistency: None };
            let versions = records.get_record(request).await?.into_inner().versions;
            let current = versions.into_iter().next_back().and_then(|version| version.record?.record);
            // A deal without an amount or a partner moves nobody.
            if let Some(Kind::Deal(deal)) = current
                && deal.status() == DealStatus::Open
                && deal.amount.is_some()
                && !deal.partner_credits.is_empty()
            {
                open.push(deal);
            }
            if open.len() == OPEN_DEALS_KNOWN {
                break;
            }
        }
        if open.is_empty() {
            return Err(Status::not_found("no deal is open that it could go on with"));
        }
        Ok(Self { records, random, open, next_number: Utc::now().timestamp_millis() })
    }

    /// One change.
    async fn step(&mut self) -> Result<(), Status> {
        let now = Utc::now();
        let now = Timestamp { seconds: now.timestamp(), nanos: now.timestamp_subsec_nanos().cast_signed() };
        let chance = self.random.u8(0..100);
        let picked = self.random.usize(0..self.open.len());
        let deal = if chance >= WON_PERCENT + LOST_PERCENT || self.open.len() <= OPEN_DEALS_MIN {
            let opened = self.another_like(picked, now);
            self.open.push(opened.clone());
            opened
        } else {
            let status = if chance < WON_PERCENT { DealStatus::Won } else { DealStatus::Lost };
            Deal {
                status: status.into(),
                closed_at: Some(now),
                probability_bps: None,
                ..self.open.swap_remove(picked)
            }
        };
        let record = Record { update_time: Some(now), record: Some(Kind::Deal(deal)), ..Record::default() };
        let request = WriteRecordsRequest { records: vec![record], ..WriteRecordsRequest::default() };
        self.records.write_records(request).await?;
        Ok(())
    }

    fn another_like(&mut self, picked: usize, now: Timestamp) -> Deal {
        let like = &self.open[picked];
        let percent = self.random.i64(50..=180);
        let amount = like.amount.as_ref().map(|money| Money {
            currency_code: money.currency_code.clone(),
            units: (money.units * percent / 100).max(1),
            nanos: 0,
        });
        self.next_number += 1;
        Deal {
            deal_id: format!("D-{}", self.next_number),
            opened_at: Some(now),
            amount,
            expected_close: None,
            expire_time: None,
            lead_id: String::new(),
            ..like.clone()
        }
    }
}
