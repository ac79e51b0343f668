//! The real data that lie beside the project, never in it.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A directory of the real data. None: it isn't on this machine.
pub fn real_data(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = std::env::var_os("CHANNEL_KPI_REAL_DATA").map_or_else(beside, PathBuf::from);
    let directory = data.join(name);
    if directory.is_dir() {
        return Some(directory);
    }
    let missing = format!(
        "REAL DATA ARE MISSING: {} isn't there, so nothing is compared with them; say where they are with \
         CHANNEL_KPI_REAL_DATA",
        directory.display()
    );
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    // Not eprintln: the test harness would keep it to itself.
    writeln!(std::io::stderr(), "\n{missing}\n").expect("stderr can be written");
    None
}
