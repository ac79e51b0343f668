//! Resident bytes of a deal: fresh, after a tenth of the deals changed, and of each version that comes after.
//!
//! The whole process is counted: ids, leads and the journal's cache too. What an allocator keeps of what the
//! filling needed for a moment is in the figure, since an operator sees it as well.

use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;

use crate::tenant::{
    BUDGET_DEALS, Table, Tenant, beside_bytes, count, fill, found, open, resident_bytes, write_all,
};

/// Every so many deals change.
const CHANGED_EVERY: usize = 10;
/// Versions that come after, of each changed deal.
const FURTHER_VERSIONS: i64 = 3;

const FRESH_BYTES_MAX: f64 = 240.0;
const CHURNED_BYTES_MAX: f64 = 300.0;
const FURTHER_BYTES_MAX: f64 = 60.0;

pub async fn measure() {
    let tenant = Tenant::from_env();
    let data_dir = tempfile::tempdir().expect("a directory for the bench");
    let (sidecar, _hands) = open(&data_dir).await;
    found(sidecar.channel()).await;
    let records = RecordServiceClient::new(sidecar.channel());
    let deals = tenant.deal_count as f64;

    let empty = resident_bytes();
    fill(&records, &tenant).await;
    let fresh = resident_bytes();
    let change =
        |later: i64| (0..tenant.deal_count).step_by(CHANGED_EVERY).map(move |number| (number, later));
    let amend = |(number, later)| tenant.amended(number, later);
    write_all(&records, change(1).map(amend)).await;
    let churned = resident_bytes();
    let further = (2..2 + FURTHER_VERSIONS).flat_map(change).map(amend);
    let version_count = write_all(&records, further).await as f64;
    let with_further = resident_bytes();

    let per = |bytes: u64, since: u64, many: f64| bytes.saturating_sub(since) as f64 / many;
    let mut table = Table::new(&["resident bytes", "value", "budget", "of it"]);
    for (name, bytes, budget) in [
        ("per deal, fresh", per(fresh, empty, deals), FRESH_BYTES_MAX),
        ("per deal, after a tenth changed", per(churned, empty, deals), CHURNED_BYTES_MAX),
        ("per further version", per(with_further, churned, version_count), FURTHER_BYTES_MAX),
    ] {
        let [budget, used] = beside_bytes(bytes, Some(budget));
        table.row(&[name.to_owned(), format!("{bytes:.0} B"), budget, used]);
    }
    println!("{} deals; budgets are for {}; leads counted in", count(tenant.deal_count), count(BUDGET_DEALS));
    table.print();
    drop(records);
    sidecar.close().await;
}
