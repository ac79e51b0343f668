//! The files of an import: found, recognised, and their columns matched with the mapping.

use std::fs::File;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::ImportError;
use super::field::{Field, Leaf, RecordKind, nearest};
use super::mapping::{
    Column, Condition, FieldMapping, FileMapping, Input, Mapping, MappingError, RecordMapping, Source, Tested,
};
use super::survey::{Lookup, Spellings, lookup};
use super::value::Formats;

/// What the caller adds to the files and their mapping.
#[derive(Clone, Debug)]
pub struct Options {
    /// The tenant's time zone, in which dates without an offset are meant.
    pub zone: Tz,
    /// The currency of amounts that name none.
    pub currency: String,
    /// The date of records that need one and have none; without it they are rejected.
    pub undated_on: Option<NaiveDate>,
    /// The day of the export, where its files don't tell it.
    pub updated_on: Option<NaiveDate>,
    /// Today: later dates don't tell how new an export is.
    pub today: NaiveDate,
    /// How dates are written beside the ways that the mapping knows: strftime patterns.
    pub date_formats: Vec<String>,
}

/// Files that are ready to be imported.
#[derive(Debug)]
pub struct Import {
    pub(super) files: Vec<SourceFile>,
    pub(super) options: Options,
    /// When the records were changed, as far as they don't say themselves.
    pub(super) update_time: DateTime<Utc>,
    pub(super) spellings: Spellings,
    /// What rows take from those of another file.
    pub(super) lookups: Vec<Lookup>,
    /// What the caller should know before anything is sent.
    pub notes: Vec<String>,
}

/// A recognised file.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub path: PathBuf,
    /// Its name in messages.
    pub name: String,
    pub headers: Vec<String>,
    pub delimiter: u8,
    pub size_bytes: u64,
    /// Its name in the mapping.
    pub mapped_as: String,
    pub plans: Vec<Plan>,
}

/// How a row of one file becomes one record: a mapping whose columns are found.
#[derive(Debug)]
pub(super) struct Plan {
    pub kind: RecordKind,
    pub only_if: Vec<PlannedCondition>,
    pub fields: Vec<PlannedField>,
    /// The places of the fields in the order in which they can be told.
    pub telling: Vec<usize>,
    pub required: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct PlannedField {
    pub field: Field,
    pub leaf: Leaf,
    /// In turn; never empty.
    pub sources: Vec<PlannedSource>,
}

#[derive(Debug)]
pub(super) struct PlannedSource {
    pub source: Source,
    pub formats: Formats,
    /// The column of this file that is read. Absent for a constant.
    pub column: Option<usize>,
    pub only_if: Vec<PlannedCondition>,
    /// The lookup in which the cell is the key.
    pub lookup: Option<usize>,
}

#[derive(Debug)]
pub(super) struct PlannedCondition {
    pub condition: Condition,
    pub asked: Asked,
}

#[derive(Debug)]
pub(super) enum Asked {
    Cell(usize),
    /// A field of the record, by its place in the plan.
    Field(usize),
    /// Nothing in the file tells it.
    Nothing,
}

impl Import {
    /// Finds, recognises and surveys the files. Directories stand for the CSV files in them. Without a mapping, the
    /// files' names tell the kinds of their records, and their headers the fields.
    pub fn open(mapping: Option<&Mapping>, paths: &[PathBuf], options: Options) -> Result<Self, ImportError> {
        let plain = Mapping::plain("csv");
        let mut import = Self {
            files: Vec::new(),
            options,
            update_time: DateTime::UNIX_EPOCH,
            spellings: Spellings::new(),
            lookups: Vec::new(),
            notes: Vec::new(),
        };
        for path in paths {
            for (path, asked_for) in csv_files(path)? {
                let headers = headers(&path, mapping.unwrap_or(&plain).delimiter)?;
                let recognised = match mapping {
                    Some(mapping) => recognise(mapping, &path, &headers).map(|file| (mapping, file.clone())),
                    None => by_headers(&path, &headers).map(|file| (&plain, file)),
                };
                match recognised {
                    Ok((mapping, file)) => import.add(mapping, &file, path, headers)?,
                    Err(ImportError::Unrecognised { file, .. }) if !asked_for => {
                        import
                            .notes
                            .push(format!("{file} is left out: no file of the mapping looks like it"));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        import.survey()?;
        Ok(import)
    }

    /// The size of all files together.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    fn add(
        &mut self,
        mapping: &Mapping,
        file: &FileMapping,
        path: PathBuf,
        headers: Vec<String>,
    ) -> Result<(), ImportError> {
        let name = file_name(&path);
        let lends = mapping.sources().any(|source| {
            let spelling = source.spelled_as.as_ref().is_some_and(|(lender, _)| *lender == file.name);
            let joined =
                matches!(&source.input, Input::Column { from: Some(join), .. } if join.file == file.name);
            spelling || joined
        });
        if file.records.is_empty() && !lends {
            self.notes.push(format!("{name} is left out: nothing in it becomes a record"));
            return Ok(());
        }
        let size_bytes = std::fs::metadata(&path)
            .map_err(|source| ImportError::Unreadable { path: path.clone(), source })?
            .len();
        let mut source_file = SourceFile {
            path,
            name,
            headers,
            delimiter: mapping.delimiter,
            size_bytes,
            mapped_as: file.name.clone(),
            plans: Vec::new(),
        };
        for (column, field) in file.needed_columns(mapping.optional_columns) {
            if place(&source_file.headers, column).is_none() {
                let reader = field.map_or_else(|| "the mapping".into(), |field| format!("`{field}`"));
                return Err(source_file.lacks(column, &reader));
            }
        }
        let mut unfed = Vec::new();
        for record in &file.records {
            let plan = self.plan(mapping, record, &source_file.headers, &mut unfed);
            source_file.plans.extend(plan);
        }
        unfed.sort();
        unfed.dedup();
        if !unfed.is_empty() {
            let name = &source_file.name;
            self.notes
                .push(format!("{name} has no columns for these, which stay empty: {}", unfed.join(", ")));
        }
        self.files.push(source_file);
        Ok(())
    }

    /// How a row becomes a record, or nothing where the file lacks what identifies it. Tells what nothing feeds.
    fn plan(
        &mut self,
        mapping: &Mapping,
        record: &RecordMapping,
        headers: &[String],
        unfed: &mut Vec<String>,
    ) -> Option<Plan> {
        let kind = record.kind.name();
        let required: Vec<Field> = record.kind.required().collect();
        let fed = |source: &&Source| match &source.input {
            Input::Column { column, from } => {
                place(headers, from.as_ref().map_or(column, |join| &join.by)).is_some()
            }
            Input::Constant(_) => true,
        };
        let mut fields = Vec::new();
        let mut empty = Vec::new();
        for mapped in &record.fields {
            let sources: Vec<Source> = mapped.sources.iter().filter(fed).cloned().collect();
            if !sources.is_empty() {
                fields.push(FieldMapping { field: mapped.field.clone(), sources });
                continue;
            }
            let path = &mapped.field.path;
            if required.iter().any(|field| field.path == *path && !matches!(field.leaf(), Leaf::Instant)) {
                unfed.push(format!("{kind} ({})", first_name(mapped)));
                return None;
            }
            empty.push(format!("{kind}.{path} ({})", first_name(mapped)));
        }
        unfed.extend(empty);
        let condition = |condition: &Condition| PlannedCondition {
            asked: match &condition.tested {
                Tested::Column(column) => place(headers, column).map_or(Asked::Nothing, Asked::Cell),
                Tested::Field(path) => {
                    let place = fields.iter().position(|mapped| mapped.field.path == *path);
                    place.map_or(Asked::Nothing, Asked::Field)
                }
            },
            condition: condition.clone(),
        };
        let dates = |source: &Source| Formats {
            own: if source.dates.is_empty() { mapping.dates.clone() } else { source.dates.clone() },
            // How the export's cells are written, not the mapping's own constants.
            given: if source.is_constant() { Vec::new() } else { self.options.date_formats.clone() },
            decimal_comma: mapping.decimal_comma,
            zone: self.options.zone,
        };
        let planned = fields.iter().map(|mapped| PlannedField {
            field: mapped.field.clone(),
            leaf: mapped.field.leaf(),
            sources: mapped
                .sources
                .iter()
                .map(|source| {
                    let (column, lookup) = match &source.input {
                        Input::Column { column, from: None } => (place(headers, column), None),
                        Input::Column { column, from: Some(join) } => {
                            (place(headers, &join.by), Some(lookup(&mut self.lookups, column, join)))
                        }
                        Input::Constant(_) => (None, None),
                    };
                    let only_if = source.only_if.iter().map(condition).collect();
                    PlannedSource { formats: dates(source), column, only_if, lookup, source: source.clone() }
                })
                .collect(),
        });
        let planned = planned.collect();
        let mut telling: Vec<usize> = (0..fields.len()).collect();
        telling.sort_by_key(|at| fields[*at].waits());
        Some(Plan {
            kind: record.kind.clone(),
            only_if: record.only_if.iter().map(condition).collect(),
            fields: planned,
            telling,
            required,
        })
    }
}

/// The name by which people look for what feeds a field.
fn first_name(mapped: &FieldMapping) -> &str {
    let columns = mapped.sources.iter().filter_map(|source| match &source.input {
        Input::Column { column, .. } => column.first(),
        Input::Constant(_) => None,
    });
    columns.map(String::as_str).next().unwrap_or("a constant")
}

/// Where a file has a column: under the first of its names that stands in the header, as it is or in other case.
pub(super) fn place(headers: &[String], column: &Column) -> Option<usize> {
    column.iter().find_map(|name| {
        let exact = headers.iter().position(|header| header == name);
        exact.or_else(|| headers.iter().position(|header| header.to_lowercase() == name.to_lowercase()))
    })
}

impl SourceFile {
    /// All fields of all its records.
    pub fn fields(&self) -> impl Iterator<Item = &PlannedField> {
        self.plans.iter().flat_map(|plan| &plan.fields)
    }

    /// The error of a column that isn't there.
    pub fn lacks(&self, column: &Column, reader: &str) -> ImportError {
        ImportError::NoColumn {
            file: self.name.clone(),
            column: column.join("` or `"),
            reader: reader.into(),
            nearest: nearest(&column[0], &self.headers),
            columns: self.headers.join(", "),
        }
    }

    /// A reader at the first row after the header.
    pub fn reader(&self) -> Result<csv::Reader<File>, ImportError> {
        reader(&self.path, self.delimiter)
    }
}

fn reader(path: &Path, delimiter: u8) -> Result<csv::Reader<File>, ImportError> {
    let file = File::open(path).map_err(|source| ImportError::Unreadable { path: path.into(), source })?;
    // Rows of another length are told by our own rejection, with their line.
    Ok(csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(file))
}

fn headers(path: &Path, delimiter: u8) -> Result<Vec<String>, ImportError> {
    let mut reader = reader(path, delimiter)?;
    let headers = reader.headers().map_err(|source| ImportError::NotCsv { path: path.into(), source })?;
    let headers: Vec<String> =
        headers.iter().map(|header| header.trim_start_matches('\u{feff}').trim().to_owned()).collect();
    let twice = |(at, header): &(usize, &String)| headers[..*at].contains(header);
    match headers.iter().enumerate().find(twice) {
        None => Ok(headers),
        Some((at, header)) => Err(ImportError::Header {
            file: file_name(path),
            column: at + 1,
            problem: format!("there are two columns `{header}`: rename one of them"),
        }),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The CSV files that a path stands for, and whether the caller named them one by one.
fn csv_files(path: &Path) -> Result<Vec<(PathBuf, bool)>, ImportError> {
    let unreadable = |source| ImportError::Unreadable { path: path.into(), source };
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![(path.into(), true)]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let found = entry.map_err(unreadable)?.path();
        if found.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
            files.push((found, false));
        }
    }
    if files.is_empty() {
        return Err(ImportError::NoFiles { path: path.into() });
    }
    files.sort();
    Ok(files)
}

/// The file of the mapping that a file is: by its name, where the mapping names it, else by its columns; of several,
/// the one that needs the most columns.
fn recognise<'m>(
    mapping: &'m Mapping,
    path: &Path,
    headers: &[String],
) -> Result<&'m FileMapping, ImportError> {
    let name = file_name(path);
    let any_case = glob::MatchOptions { case_sensitive: false, ..glob::MatchOptions::default() };
    let by_name = |file: &&FileMapping| {
        file.pattern.as_ref().is_some_and(|pattern| pattern.matches_with(&name, any_case))
    };
    let by_columns = |file: &&FileMapping| {
        let needed = file.needed_columns(mapping.optional_columns);
        file.pattern.is_none()
            && !needed.is_empty()
            && needed.keys().all(|column| place(headers, column).is_some())
    };
    let named = mapping.files.iter().find(by_name);
    let needed_count = |file: &&FileMapping| file.needed_columns(mapping.optional_columns).len();
    let shaped = || mapping.files.iter().filter(by_columns).max_by_key(needed_count);
    named.or_else(shaped).ok_or_else(|| {
        let known = mapping.files.iter().map(|file| match &file.pattern {
            Some(pattern) => format!("  {} is a file named {pattern}", file.name),
            None => {
                let columns = file.needed_columns(mapping.optional_columns).into_keys();
                let columns: Vec<String> = columns.map(|names| names.join(" or ")).collect();
                format!("  {} has the columns {}", file.name, columns.join(", "))
            }
        });
        let expected = known.collect::<Vec<_>>().join("\n");
        ImportError::Unrecognised {
            file: name.clone(),
            mapping: mapping.name.clone(),
            columns: headers.join(", "),
            expected,
        }
    })
}

/// The mapping of a file that is named after a kind of record and whose columns are named after its fields.
fn by_headers(path: &Path, headers: &[String]) -> Result<FileMapping, ImportError> {
    let name = file_name(path);
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let plurals = || RecordKind::all().map(|kind| (plural(kind.name()), kind));
    let kind = plurals().find(|(plural, kind)| stem == *plural || stem == kind.name()).map(|(_, kind)| kind);
    let kind = kind.ok_or_else(|| ImportError::Unrecognised {
        file: name.clone(),
        mapping: "csv".into(),
        columns: headers.join(", "),
        expected: format!(
            "  without --mapping a file is named after its records: {}",
            plurals().map(|(plural, _)| format!("{plural}.csv")).collect::<Vec<_>>().join(", ")
        ),
    })?;
    let mut fields = Vec::new();
    for (at, header) in headers.iter().enumerate() {
        let field = Field::resolve(&kind, header).map_err(|problem| ImportError::Header {
            file: name.clone(),
            column: at + 1,
            problem,
        })?;
        fields.push(FieldMapping { field, sources: vec![Source::column(header)] });
    }
    let record = RecordMapping::new(kind, Vec::new(), fields);
    if let Some(field) = record.missing() {
        let problem = format!("{} needs the column `{}`", record.kind.described(), field.path);
        return Err(MappingError { place: format!("{name}:1:1"), problem }.into());
    }
    Ok(FileMapping { name: stem, pattern: None, columns: Vec::new(), records: vec![record] })
}

fn plural(name: &str) -> String {
    match name.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None if name == "marketing_spend" => name.into(),
        None => format!("{name}s"),
    }
}
