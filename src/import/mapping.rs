//! Mappings: which file of an export holds which records, and which column feeds which field. docs/import.md is the
//! reference for those who write one.
//!
//! Invariants:
//! 1. A mapping that was read names only fields that exist, and fills every field without which the server would
//!    refuse each record (an instant may be missing: `--undated-on` gives it).
//! 2. Every error says file, line and column of the mapping and what to write instead.

mod read;

use std::collections::BTreeMap;

use super::field::{Field, Leaf, RecordKind};

/// A mapping cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct MappingError {
    /// `file:line:column`, from 1.
    pub place: String,
    pub problem: String,
}

/// How the files of one export become records.
#[derive(Clone, Debug)]
pub struct Mapping {
    pub(super) name: String,
    pub(super) delimiter: u8,
    pub(super) decimal_comma: bool,
    pub(super) dates: Vec<String>,
    /// The currency of amounts that name none, and of a tenant that is made for this import.
    pub currency: Option<String>,
    /// The time zone of a tenant that is made for this import.
    pub time_zone: Option<String>,
    /// Whether a file may lack what is read from it, but for its `columns`.
    pub(super) optional_columns: bool,
    pub(super) files: Vec<FileMapping>,
}

/// How one file becomes records.
#[derive(Clone, Debug)]
pub(super) struct FileMapping {
    pub name: String,
    /// Pattern of the file's name. Absent: the file is known by its columns.
    pub pattern: Option<glob::Pattern>,
    /// Columns that the file must have beside those that are read.
    pub columns: Vec<Column>,
    pub records: Vec<RecordMapping>,
}

/// A column by the names that exports give it: the first that the file has is meant.
pub(super) type Column = Vec<String>;

/// How a row becomes one record.
#[derive(Clone, Debug)]
pub(super) struct RecordMapping {
    pub kind: RecordKind,
    /// Only rows for which all of this holds become the record.
    pub only_if: Vec<Condition>,
    /// Money before its currency, columns before constants: a constant alone makes no message.
    pub fields: Vec<FieldMapping>,
}

#[derive(Clone, Debug)]
pub(super) struct FieldMapping {
    pub field: Field,
    /// In turn: the first that has something counts. Never empty.
    pub sources: Vec<Source>,
}

/// Where the text of a field comes from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub input: Input,
    /// Only rows for which all of this holds have the field from here.
    pub only_if: Vec<Condition>,
    /// Translations of the file's words, which are kept in small letters.
    pub values: BTreeMap<String, String>,
    /// What every word means that `values` doesn't translate.
    pub otherwise: Option<String>,
    pub dates: Vec<String>,
    pub share: Share,
    /// The cell is a list, parted by this: its first element counts.
    pub first_of: Option<String>,
    /// File (by its name in the mapping) and column whose spelling is the right one.
    pub spelled_as: Option<(String, String)>,
}

#[derive(Clone, Debug)]
pub(super) enum Input {
    Column { column: Column, from: Option<Join> },
    Constant(String),
}

/// The row of another file from which a column is taken: the first whose key is what this row's column holds.
#[derive(Clone, Debug)]
pub(super) struct Join {
    /// The other file, by its name in the mapping.
    pub file: String,
    pub key: Column,
    /// The column of this file.
    pub by: Column,
}

/// What must hold of a row.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub tested: Tested,
    /// In small letters.
    pub words: Vec<String>,
    /// Whether it must be one of the words, or none.
    pub is: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Tested {
    /// A cell of the row; empty where the file lacks the column.
    Column(Column),
    /// Another field of the record, by its path, as it is translated.
    Field(String),
}

/// How basis points are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Share {
    BasisPoints,
    PerCent,
    /// From 0 to 1.
    Fraction,
}

impl Source {
    pub fn column(name: &str) -> Self {
        Self {
            input: Input::Column { column: vec![name.into()], from: None },
            only_if: Vec::new(),
            values: BTreeMap::new(),
            otherwise: None,
            dates: Vec::new(),
            share: Share::BasisPoints,
            first_of: None,
            spelled_as: None,
        }
    }

    pub fn is_constant(&self) -> bool {
        matches!(self.input, Input::Constant(_))
    }
}

impl Condition {
    pub fn holds(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.words.contains(&text) == self.is
    }

    /// The field that it asks about.
    pub fn field(&self) -> Option<&str> {
        match &self.tested {
            Tested::Field(path) => Some(path),
            Tested::Column(_) => None,
        }
    }
}

impl FieldMapping {
    /// Whether it can only be told when another field is.
    pub fn waits(&self) -> bool {
        self.sources.iter().flat_map(|source| &source.only_if).any(|condition| condition.field().is_some())
    }
}

impl RecordMapping {
    /// A record's mapping with its fields in the order in which they are to be filled.
    pub fn new(kind: RecordKind, only_if: Vec<Condition>, mut fields: Vec<FieldMapping>) -> Self {
        fields.sort_by_key(|mapped| {
            let constant = mapped.sources.iter().any(Source::is_constant);
            (constant, matches!(mapped.field.leaf(), Leaf::Currency))
        });
        Self { kind, only_if, fields }
    }

    /// The first field that the server requires and nothing fills.
    pub fn missing(&self) -> Option<Field> {
        self.kind.required().find(|required| {
            let instant = matches!(required.try_leaf(), Some(Leaf::Instant));
            let fills = |mapped: &FieldMapping| {
                mapped.field.path == required.path
                    || mapped.field.path.starts_with(&format!("{}.", required.path))
            };
            !instant && !self.fields.iter().any(fills)
        })
    }
}

impl FileMapping {
    /// The columns without which the file can't be read, each once, with the field that needs it. Where they are
    /// optional: those that the mapping says the file must have.
    pub fn needed_columns(&self, optional: bool) -> BTreeMap<&Column, Option<&str>> {
        let mut needed: BTreeMap<&Column, Option<&str>> = BTreeMap::new();
        for record in self.records.iter().filter(|_| !optional) {
            for condition in &record.only_if {
                need(&mut needed, condition, None);
            }
            for FieldMapping { field, sources } in &record.fields {
                let path = Some(field.path.as_str());
                for source in sources {
                    if let Input::Column { column, from } = &source.input {
                        needed.insert(from.as_ref().map_or(column, |join| &join.by), path);
                    }
                    for condition in &source.only_if {
                        need(&mut needed, condition, path);
                    }
                }
            }
        }
        for column in &self.columns {
            needed.entry(column).or_insert(None);
        }
        needed
    }
}

fn need<'m>(
    needed: &mut BTreeMap<&'m Column, Option<&'m str>>,
    condition: &'m Condition,
    path: Option<&'m str>,
) {
    if let Tested::Column(column) = &condition.tested {
        needed.entry(column).or_insert(path);
    }
}

impl Mapping {
    /// A mapping with nothing in it but the way of writing of most CSV files.
    pub(super) fn plain(name: &str) -> Self {
        Self {
            name: name.into(),
            delimiter: b',',
            decimal_comma: false,
            dates: Vec::new(),
            currency: None,
            time_zone: None,
            optional_columns: false,
            files: Vec::new(),
        }
    }

    /// Reads a mapping from TOML; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, MappingError> {
        read::mapping(name, text)
    }

    /// Every source of every field of every file.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        let records = self.files.iter().flat_map(|file| &file.records);
        records.flat_map(|record| &record.fields).flat_map(|mapped| &mapped.sources)
    }
}

#[cfg(test)]
mod tests;
