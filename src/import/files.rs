//! The files of an import: found, recognised, their columns matched with the mapping, and surveyed for what only the
//! whole of them can tell.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::ImportError;
use super::field::{Field, Leaf, RecordKind, nearest};
use super::mapping::{FieldMapping, FileMapping, Input, Mapping, MappingError, RecordMapping, Source};
use super::value::{Formats, When, parse_when};

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
}

/// Files that are ready to be imported.
#[derive(Debug)]
pub struct Import {
    pub(super) files: Vec<SourceFile>,
    pub(super) options: Options,
    /// When the records were changed, as far as they don't say themselves.
    pub(super) update_time: DateTime<Utc>,
    pub(super) spellings: Spellings,
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
    mapped_as: String,
    pub plans: Vec<Plan>,
}

/// How a row of one file becomes one record: a mapping whose columns are found.
#[derive(Debug)]
pub(super) struct Plan {
    pub kind: RecordKind,
    pub fields: Vec<PlannedField>,
    pub required: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct PlannedField {
    pub field: Field,
    pub leaf: Leaf,
    pub source: Source,
    pub formats: Formats,
    /// Absent for a constant.
    pub column: Option<usize>,
    pub only_if_column: Option<usize>,
}

/// The right spellings of columns, by file and column of the mapping, then by what is left of a text without case,
/// spaces and signs.
pub(super) type Spellings = HashMap<(String, String), HashMap<String, String>>;

/// What two spellings of one name have in common.
pub(super) fn bare(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
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
        let referred = mapping.files.iter().flat_map(|file| &file.records).flat_map(|record| &record.fields);
        let lends_spelling = referred
            .filter_map(|mapped| mapped.source.spelled_as.as_ref())
            .any(|(lender, _)| *lender == file.name);
        if file.records.is_empty() && !lends_spelling {
            self.notes.push(format!("{name} is left out: nothing in it becomes a record"));
            return Ok(());
        }
        let place = |column: &str| headers.iter().position(|header| header == column);
        for (column, field) in file.needed_columns() {
            if place(column).is_none() {
                return Err(ImportError::NoColumn {
                    file: name,
                    column: column.into(),
                    reader: field.map_or_else(|| "the mapping".into(), |field| format!("`{field}`")),
                    nearest: nearest(column, &headers),
                    columns: headers.join(", "),
                });
            }
        }
        let plan = |record: &RecordMapping| Plan {
            kind: record.kind.clone(),
            required: record.kind.required().collect(),
            fields: record.fields.iter().map(|mapped| self.plan_field(mapping, mapped, place)).collect(),
        };
        let plans = file.records.iter().map(plan).collect();
        let size_bytes = std::fs::metadata(&path)
            .map_err(|source| ImportError::Unreadable { path: path.clone(), source })?
            .len();
        let mapped_as = file.name.clone();
        self.files.push(SourceFile {
            path,
            name,
            headers,
            delimiter: mapping.delimiter,
            size_bytes,
            mapped_as,
            plans,
        });
        Ok(())
    }

    fn plan_field(
        &self,
        mapping: &Mapping,
        mapped: &FieldMapping,
        place: impl Fn(&str) -> Option<usize>,
    ) -> PlannedField {
        let FieldMapping { field, source } = mapped;
        let dates = if source.dates.is_empty() { &mapping.dates } else { &source.dates };
        PlannedField {
            field: field.clone(),
            leaf: field.leaf(),
            formats: Formats {
                dates: dates.clone(),
                decimal_comma: mapping.decimal_comma,
                zone: self.options.zone,
            },
            column: match &source.input {
                Input::Column(column) => place(column),
                Input::Constant(_) => None,
            },
            only_if_column: source.only_if.as_ref().and_then(|(column, _)| place(column)),
            source: source.clone(),
        }
    }

    /// Reads all files once for the newest date and the right spellings.
    fn survey(&mut self) -> Result<(), ImportError> {
        let wanted: Vec<(String, String)> = self
            .files
            .iter()
            .flat_map(|file| &file.plans)
            .flat_map(|plan| &plan.fields)
            .filter_map(|planned| planned.source.spelled_as.clone())
            .collect();
        let mut newest: Option<DateTime<Utc>> = None;
        for file in &self.files {
            let lent: Vec<(usize, &(String, String))> = wanted
                .iter()
                .filter(|(lender, _)| *lender == file.mapped_as)
                .filter_map(|key| Some((file.headers.iter().position(|header| *header == key.1)?, key)))
                .collect();
            let dated: Vec<&PlannedField> = file
                .plans
                .iter()
                .flat_map(|plan| &plan.fields)
                .filter(|planned| tells_age(planned))
                .collect();
            if lent.is_empty() && dated.is_empty() {
                continue;
            }
            let mut reader = file.reader()?;
            let mut row = csv::ByteRecord::new();
            loop {
                match reader.read_byte_record(&mut row) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(source) => return Err(ImportError::NotCsv { path: file.path.clone(), source }),
                }
                let cell = |column: usize| {
                    row.get(column).and_then(|cell| str::from_utf8(cell).ok()).unwrap_or_default().trim()
                };
                for (column, key) in &lent {
                    let text = cell(*column);
                    self.spellings
                        .entry((*key).clone())
                        .or_default()
                        .entry(bare(text))
                        .or_insert_with(|| text.into());
                }
                for planned in &dated {
                    let Some(text) = planned.column.map(cell).filter(|text| !text.is_empty()) else {
                        continue;
                    };
                    if let Ok(when) = parse_when(text, &planned.formats)
                        && when.date(self.options.zone) <= self.options.today
                    {
                        newest = newest.max(Some(when.instant(self.options.zone)));
                    }
                }
            }
        }
        for (lender, column) in wanted {
            if !self.spellings.contains_key(&(lender.clone(), column.clone())) {
                self.notes
                    .push(format!("{lender} isn't among the files: its {column} is taken as it is spelled"));
            }
        }
        self.notes.dedup();
        let given = self.options.updated_on.map(|date| When::On(date).instant(self.options.zone));
        self.update_time = given.or(newest).ok_or(ImportError::NoDate)?;
        Ok(())
    }
}

/// Whether a field's dates tell how new an export is: those of events, which a host knows only afterwards.
fn tells_age(planned: &PlannedField) -> bool {
    let path = &planned.field.path;
    matches!(planned.leaf, Leaf::Instant | Leaf::Date)
        && (path.ends_with("_at") || path.ends_with("_on") || path == "update_time")
}

impl SourceFile {
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
        let needed = file.needed_columns();
        file.pattern.is_none()
            && !needed.is_empty()
            && needed.keys().all(|column| headers.iter().any(|h| h == column))
    };
    let named = mapping.files.iter().find(by_name);
    let shaped = || mapping.files.iter().filter(by_columns).max_by_key(|file| file.needed_columns().len());
    named.or_else(shaped).ok_or_else(|| {
        let known = mapping.files.iter().map(|file| match &file.pattern {
            Some(pattern) => format!("  {} is a file named {pattern}", file.name),
            None => {
                let columns: Vec<&str> = file.needed_columns().into_keys().collect();
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
        fields.push(FieldMapping { field, source: Source::column(header) });
    }
    let record = RecordMapping::new(kind, fields);
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
