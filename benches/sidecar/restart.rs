//! How soon a sidecar that starts answers for a tenant: from its snapshot, and from the bare journal.
//!
//! Reference of the same run: reading the same files from one end to the other. Beside it the files' sizes.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::tenant::{BUDGET_DEALS, Filled, Table, beside, beside_bytes, count, duration, open};
use channel_kpi::domain::ids::TenantId;
use channel_kpi::journal::sqlite::SqliteJournal;
use channel_kpi::journal::{Journal, Revision};
use channel_kpi::proto::channelkpi::v1::GetTenantRequest;
use channel_kpi::proto::channelkpi::v1::admin_service_client::AdminServiceClient;
use channel_kpi::tenant::Tenants;
use futures_util::StreamExt;
use tempfile::TempDir;
use tonic::Code;

const READY_WITHIN: Duration = Duration::from_secs(8);
const SNAPSHOT_BYTES_MAX: f64 = 64.0;

pub async fn measure() {
    let Filled { sidecar, data_dir, tenant, .. } = Filled::fill().await;
    sidecar.close().await;

    let journal_files = files_below(data_dir.path());
    let from_journal = until_ready(&data_dir).await;
    let journal_read = read_through(&journal_files);
    snapshot_all(&data_dir).await;
    let snapshot_files = files_below(&data_dir.path().join("snapshots"));
    let from_snapshot = until_ready(&data_dir).await;
    let snapshot_read = read_through(&snapshot_files);

    let deals = tenant.deal_count;
    let mut table = Table::new(&["restart", "value", "reading the files", "budget", "of it"]);
    let budget = Some(READY_WITHIN);
    for (name, seconds, read, budget) in [
        ("ready from the bare journal", from_journal, journal_read, None),
        ("ready from the snapshot", from_snapshot, snapshot_read, budget),
    ] {
        let [budget, used] = beside(seconds, budget);
        table.row(&[name.to_owned(), duration(seconds), duration(read), budget, used]);
    }
    for (name, files, budget) in
        [("journal", &journal_files, None), ("snapshot", &snapshot_files, Some(SNAPSHOT_BYTES_MAX))]
    {
        let per_deal = bytes_of(files) as f64 / deals as f64;
        let [budget, used] = beside_bytes(per_deal, budget);
        table.row(&[format!("{name}, per deal"), format!("{per_deal:.0} B"), "–".to_owned(), budget, used]);
    }
    println!("{} deals; budgets are for {}; leads counted in", count(deals), count(BUDGET_DEALS));
    table.print();
}

/// Seconds from opening the store to the first answer about the tenant.
async fn until_ready(data_dir: &TempDir) -> f64 {
    let began_at = Instant::now();
    let (sidecar, _hands) = open(data_dir).await;
    let mut admin = AdminServiceClient::new(sidecar.channel());
    loop {
        // A call waits two seconds for a tenant that is being loaded.
        match admin.get_tenant(GetTenantRequest { tenant_id: "default".to_owned() }).await {
            Ok(_) => break,
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
        }
    }
    let seconds = began_at.elapsed().as_secs_f64();
    drop(admin);
    sidecar.close().await;
    seconds
}

/// Has the tenant stored as a snapshot that covers all of its journal.
async fn snapshot_all(data_dir: &TempDir) {
    let journal = Arc::new(SqliteJournal::open(data_dir.path()).expect("nobody else holds it"));
    let id = TenantId::try_new("default").expect("a valid id");
    let head = journal.head(&id).await.expect("it can be read");
    let mut batches = journal.follow(&id, Revision(0));
    let mut journal_bytes = 0;
    while let Some(batch) = batches.next().await {
        let (revision, bytes) = batch.expect("it can be read");
        journal_bytes += bytes.len();
        if revision == head {
            break;
        }
    }
    drop(batches);
    // So the last batch that is applied makes one due.
    let tenants = Tenants::new(Arc::clone(&journal), journal_bytes);
    while tenants.get(&id).await.is_err() {}
    loop {
        let newest = journal.latest_snapshot(&id).await.expect("it can be read");
        if newest.is_some_and(|snapshot| snapshot.began_at() == head) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    journal.close().await;
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of a store").flatten();
    let of = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    entries.flat_map(|entry| of(entry.path())).collect()
}

fn bytes_of(files: &[PathBuf]) -> u64 {
    files.iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

/// Seconds that it takes to read files, whose pages the system has at hand as it had for the sidecar.
fn read_through(files: &[PathBuf]) -> f64 {
    let began_at = Instant::now();
    let mut buffer = vec![0; 1 << 20];
    for file in files {
        let mut file = File::open(file).expect("it is there");
        while file.read(&mut buffer).expect("it can be read") > 0 {}
    }
    began_at.elapsed().as_secs_f64()
}
