//! What only the whole of the files can tell: how new they are, how names are spelled, and what rows of one file
//! take from those of another.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::ImportError;
use super::field::Leaf;
use super::files::{Asked, Import, Plan, PlannedField, SourceFile, place};
use super::mapping::{Column, Join};
use super::tell::Meanings;
use super::value::{When, parse_when};

/// The right spellings of columns, by file and column of the mapping, then by what is left of a text without case,
/// spaces and signs.
pub(super) type Spellings = HashMap<(String, String), HashMap<String, String>>;

/// What two spellings of one name have in common.
pub(super) fn bare(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A column of one file that rows of another take something from.
#[derive(Debug)]
pub(super) struct Lookup {
    /// The file that lends it, by its name in the mapping.
    file: String,
    key: Column,
    column: Column,
    /// Its texts by those of the key: of the first row with that key in which it isn't empty.
    texts: HashMap<String, String>,
}

impl Lookup {
    pub fn text(&self, key: &str) -> &str {
        self.texts.get(key).map_or("", String::as_str)
    }
}

/// The number of the lookup that a source needs, which is added where it is new.
pub(super) fn lookup(lookups: &mut Vec<Lookup>, column: &Column, join: &Join) -> usize {
    let same = |known: &Lookup| known.file == join.file && known.key == join.key && known.column == *column;
    lookups.iter().position(same).unwrap_or_else(|| {
        lookups.push(Lookup {
            file: join.file.clone(),
            key: join.key.clone(),
            column: column.clone(),
            texts: HashMap::new(),
        });
        lookups.len() - 1
    })
}

/// What one file lends to the survey.
struct Lender<'i> {
    spellings: Vec<(usize, &'i (String, String))>,
    /// The lookup's number and the places of its key and its column.
    lookups: Vec<(usize, usize, usize)>,
    dated: Vec<Dated<'i>>,
}

/// The fields of a plan whose dates tell how new the export is, after those that they ask about.
struct Dated<'i> {
    plan: &'i Plan,
    telling: Vec<usize>,
}

impl Import {
    /// Reads all files once.
    pub(super) fn survey(&mut self) -> Result<(), ImportError> {
        let sources = || self.files.iter().flat_map(SourceFile::fields).flat_map(|field| &field.sources);
        let wanted: Vec<(String, String)> =
            sources().filter_map(|planned| planned.source.spelled_as.clone()).collect();
        let mut spellings = Spellings::new();
        let mut texts: Vec<HashMap<String, String>> = self.lookups.iter().map(|_| HashMap::new()).collect();
        let mut newest: Option<DateTime<Utc>> = None;
        for file in &self.files {
            let lender = self.lender(file, &wanted)?;
            if lender.spellings.is_empty() && lender.lookups.is_empty() && lender.dated.is_empty() {
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
                for (column, key) in &lender.spellings {
                    let text = cell(*column);
                    let known: &mut HashMap<_, _> = spellings.entry((*key).clone()).or_default();
                    known.entry(bare(text)).or_insert_with(|| text.into());
                }
                for (number, key, column) in &lender.lookups {
                    let (key, text) = (cell(*key), cell(*column));
                    if !key.is_empty() && !text.is_empty() {
                        texts[*number].entry(key.into()).or_insert_with(|| text.into());
                    }
                }
                newest = lender.dated.iter().filter_map(|dated| self.newest(dated, &row)).max().max(newest);
            }
        }
        for (lookup, texts) in self.lookups.iter_mut().zip(texts) {
            lookup.texts = texts;
        }
        self.spellings = spellings;
        self.note_missing(wanted);
        let given = self.options.updated_on.map(|date| When::On(date).instant(self.options.zone));
        self.update_time = given.or(newest).ok_or(ImportError::NoDate)?;
        Ok(())
    }

    fn lender<'i>(
        &'i self,
        file: &'i SourceFile,
        wanted: &'i [(String, String)],
    ) -> Result<Lender<'i>, ImportError> {
        let spellings = wanted
            .iter()
            .filter(|(lender, _)| *lender == file.mapped_as)
            .filter_map(|key| Some((file.headers.iter().position(|header| *header == key.1)?, key)))
            .collect();
        let mut lookups = Vec::new();
        let asked = self.lookups.iter().enumerate().filter(|(_, lookup)| lookup.file == file.mapped_as);
        for (number, lookup) in asked {
            let at = |column: &Column| {
                place(&file.headers, column).ok_or_else(|| file.lacks(column, "another file's row"))
            };
            lookups.push((number, at(&lookup.key)?, at(&lookup.column)?));
        }
        let dated = file.plans.iter().map(|plan| {
            let dated: Vec<usize> =
                (0..plan.fields.len()).filter(|at| tells_age(&plan.fields[*at])).collect();
            let sources = dated.iter().flat_map(|at| &plan.fields[*at].sources);
            let asked =
                sources.flat_map(|source| &source.only_if).filter_map(|condition| match condition.asked {
                    Asked::Field(at) => Some(at),
                    Asked::Cell(_) | Asked::Nothing => None,
                });
            let mut wanted: Vec<usize> = asked.collect();
            wanted.extend(&dated);
            let telling = plan.telling.iter().copied().filter(|at| wanted.contains(at)).collect();
            Dated { plan, telling }
        });
        Ok(Lender { spellings, lookups, dated: dated.filter(|dated| !dated.telling.is_empty()).collect() })
    }

    /// The newest date that a row tells and that isn't in the future.
    fn newest(&self, dated: &Dated, row: &csv::ByteRecord) -> Option<DateTime<Utc>> {
        let fields = &dated.plan.fields;
        let mut meanings: Meanings = vec![(&fields[0].sources[0], String::new()); fields.len()];
        for at in &dated.telling {
            // What isn't UTF-8 tells nothing here, and is rejected with its row.
            if let Ok(told) = self.tell(&fields[*at], row, &meanings) {
                meanings[*at] = told;
            }
        }
        let told = dated.telling.iter().filter(|at| tells_age(&fields[**at])).map(|at| &meanings[*at]);
        told.filter(|(source, text)| source.column.is_some() && !text.is_empty())
            .filter_map(|(source, text)| parse_when(text, &source.formats).ok())
            .filter(|when| when.date(self.options.zone) <= self.options.today)
            .map(|when| when.instant(self.options.zone))
            .max()
    }

    fn note_missing(&mut self, wanted: Vec<(String, String)>) {
        for (lender, column) in wanted {
            if !self.spellings.contains_key(&(lender.clone(), column.clone())) {
                self.notes
                    .push(format!("{lender} isn't among the files: its {column} is taken as it is spelled"));
            }
        }
        for lookup in &self.lookups {
            if !self.files.iter().any(|file| file.mapped_as == lookup.file) {
                let (lender, column) = (&lookup.file, &lookup.column[0]);
                self.notes.push(format!(
                    "{lender} isn't among the files: what others take from its {column} is missing"
                ));
            }
        }
        self.notes.dedup();
    }
}

/// Whether a field's dates tell how new an export is: those of events, which a host knows only afterwards.
fn tells_age(planned: &PlannedField) -> bool {
    let path = &planned.field.path;
    matches!(planned.leaf, Leaf::Instant | Leaf::Date)
        && (path.ends_with("_at") || path.ends_with("_on") || path == "update_time")
}
