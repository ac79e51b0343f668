//! Import: the CSV files of a CRM's export become wire records, which go to the sidecar through the generated client
//! like any caller's.
//!
//! ```text
//! mapping (a preset, --mapping, or the files' own headers)
//!    └─ files: each file is recognised, its columns are found ─ survey: the newest date, the right spellings, lookups
//!          └─ rows: each row becomes records, or is rejected with file, line, column and reason
//!                └─ send: a feed of records; what the server rejects is told by file and line too
//! ```
//!
//! Invariants:
//! 1. The same files and mapping make the same records, byte for byte: to import them again changes nothing.
//! 2. A wrong row never holds up a good one, and none goes missing silently: every row's record is written, is the
//!    repetition of one, or is rejected; rows of which the mapping makes nothing are counted.
//! 3. What an empty cell means is decided in one place: the field is absent, never 0 and never an empty text.
//!
//! **When a record was changed.** Where the files don't tell (`update_time` is a field like any other), all their
//! records get one time: noon on the newest date in any of the files. An export is a picture of its day, so a newer
//! export wins over an older one as a whole, whichever is imported first.
//!
//! A preset is a mapping: one file in `presets/` and one line in [`PRESETS`].

mod field;
mod files;
pub mod generate;
mod mapping;
mod rows;
mod send;
mod survey;
mod tell;
mod value;

use std::path::PathBuf;

pub use field::RecordKind;
pub use files::{Import, Options};
pub use mapping::{Mapping, MappingError};
pub use rows::Rejection;
pub use send::{KindSummary, Rejected, SendError, Summary, ensure_tenant, send};

/// A CRM whose export is understood as it is.
pub struct Preset {
    /// What `--preset` calls it.
    pub name: &'static str,
    /// What it is, for `--help`.
    pub about: &'static str,
    mapping: &'static str,
}

/// The presets. `csv` isn't one of them: its mapping is the caller's own, or the files' headers.
pub const PRESETS: [Preset; 5] = [
    Preset {
        name: "maven",
        about: "Maven Analytics' CRM Sales Opportunities: sales_pipeline, sales_teams, accounts, products",
        mapping: include_str!("presets/maven.toml"),
    },
    Preset {
        name: "olist",
        about: "Olist's Marketing Funnel: marketing qualified leads and closed deals, both files",
        mapping: include_str!("presets/olist.toml"),
    },
    Preset {
        name: "salesforce",
        about: "Salesforce: Data Loader > Export (or Export All) of Opportunity, Lead, Account, Campaign, User and \
                UserRole with all fields; or reports > Export > Details Only as CSV, with --date-format",
        mapping: include_str!("presets/salesforce.toml"),
    },
    Preset {
        name: "hubspot",
        about: "HubSpot: CRM > Deals, Contacts and Companies > Export, as CSV, with all properties and associations on \
                records",
        mapping: include_str!("presets/hubspot.toml"),
    },
    Preset {
        name: "odoo",
        about: "Odoo: CRM > list view, archived ones too (Filters > Lost) > Action > Export crm.lead as CSV; beside it, \
                if you like, Contacts (res.partner) and Settings > Users (res.users)",
        mapping: include_str!("presets/odoo.toml"),
    },
];

impl Preset {
    /// The preset of that name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Its mapping.
    pub fn mapping(&self) -> Mapping {
        Mapping::parse(self.name, self.mapping).expect("a test reads every preset")
    }
}

/// The files can't be imported: nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("can't read {path}: {source}", path = path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("can't read {path}: {source}", path = path.display())]
    NotCsv { path: PathBuf, source: csv::Error },
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error("there is no CSV file in {path}: name the files, or their directory", path = path.display())]
    NoFiles { path: PathBuf },
    #[error("{file} isn't a file that `{mapping}` knows: its columns are {columns}\n{expected}")]
    Unrecognised { file: String, mapping: String, columns: String, expected: String },
    #[error("{file} has no column `{column}`, which {reader} reads{nearest} (it has {columns})")]
    NoColumn { file: String, column: String, reader: String, nearest: String, columns: String },
    #[error("{file}:1:{column}: {problem}")]
    Header { file: String, column: usize, problem: String },
    #[error(
        "these files hold no date, and so don't tell how new they are: say --updated-on DATE, the day on which they \
         were exported"
    )]
    NoDate,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_right_mapping() {
        for preset in &PRESETS {
            Mapping::parse(preset.name, preset.mapping).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
