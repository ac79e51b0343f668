//! Rows into records.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use prost::Message;
use prost_reflect::{DynamicMessage, Value};

use super::ImportError;
use super::field::{Leaf, drop_empty_elements};
use super::files::{Import, Plan, PlannedField, PlannedSource, SourceFile};
use super::survey::bare;
use super::tell::{Meanings, NotUtf8, all_hold, cell, told};
use super::value::{self, When, instant_value};
use crate::proto::channelkpi::v1::{FieldViolation, Record};

/// Why a row's record isn't written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub file: String,
    /// From 1; the header is line 1.
    pub line: u64,
    /// From 1. Absent where the row as a whole is wrong.
    pub column: Option<usize>,
    /// What stands there: the column's name and the cell's value.
    pub found: String,
    /// What is wrong with that; the same words in every row that has the same wrong with it.
    pub problem: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, found, problem } = self;
        match column {
            Some(column) => write!(f, "{file}:{line}:{column}: {found} {problem}"),
            None => write!(f, "{file}:{line}: {found} {problem}"),
        }
    }
}

/// What became of a row for one of its records.
pub(super) enum Outcome {
    Record(Box<Record>),
    /// The record came before, word for word: a unit named in every row of its members.
    Repeated,
    Rejected(Rejection),
}

/// Where a record came from: what the server says of it is told there.
#[derive(Clone)]
pub(super) struct Origin {
    file: usize,
    plan: usize,
    line: u64,
    row: Arc<csv::ByteRecord>,
}

/// All records of an import, file by file and row by row.
pub(super) struct Rows<'i> {
    import: &'i Import,
    /// The file that is being read, from 0.
    file: usize,
    reader: Option<csv::Reader<File>>,
    waiting: VecDeque<(Origin, Outcome)>,
    /// What was made of each version of each record: its content's hash and its place.
    seen: HashMap<u64, (u64, usize, u64)>,
    /// The bytes of the files before this one.
    read_before_bytes: u64,
    /// How many values were written as their list of right spellings has them, with an example.
    pub respelled: BTreeMap<(String, String), (u64, String)>,
    /// How many rows of each file the mapping makes no record of.
    pub left_out: BTreeMap<String, u64>,
}

impl Import {
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows {
            import: self,
            file: 0,
            reader: None,
            waiting: VecDeque::new(),
            seen: HashMap::new(),
            read_before_bytes: 0,
            respelled: BTreeMap::new(),
            left_out: BTreeMap::new(),
        }
    }

    /// The name of the kind of record that came from there.
    pub(super) fn kind_of(&self, origin: &Origin) -> &str {
        self.files[origin.file].plans[origin.plan].kind.name()
    }

    /// What the server says of a record, told where it came from. The field lies below `record.`.
    pub(super) fn rejection(&self, origin: &Origin, violation: &FieldViolation) -> Rejection {
        let file = &self.files[origin.file];
        let below = violation.field.split_once("record.").map_or("", |(_, field)| field);
        let meant = file.plans[origin.plan].fields.iter().filter(|planned| planned.field.is_meant_by(below));
        let culprit = meant.flat_map(|planned| told(planned, &origin.row)).next();
        match culprit {
            Some(source) => {
                let text = cell(&origin.row, source.column).unwrap_or_default();
                file.at(origin.line, source, text, &violation.description)
            }
            None => file.reject(origin.line, None, format!("{below}:"), violation.description.clone()),
        }
    }
}

impl SourceFile {
    fn reject(&self, line: u64, column: Option<usize>, found: String, problem: String) -> Rejection {
        let column = column.map(|column| column + 1);
        Rejection { file: self.name.clone(), line, column, found, problem }
    }

    /// A rejection because of one cell: `close_date "2017-13-01" isn't a date`.
    fn at(&self, line: u64, source: &PlannedSource, text: &str, problem: &str) -> Rejection {
        let found = format!("{} {text:?}", column_name(self, source));
        self.reject(line, source.column, found, problem.into())
    }
}

impl Rows<'_> {
    /// How far the files are read.
    pub fn read_bytes(&self) -> u64 {
        self.read_before_bytes + self.reader.as_ref().map_or(0, |reader| reader.position().byte())
    }

    /// The next record, repetition or rejection; nothing at the end.
    pub fn next(&mut self) -> Result<Option<(Origin, Outcome)>, ImportError> {
        loop {
            if let Some(item) = self.waiting.pop_front() {
                return Ok(Some(item));
            }
            let Some(file) = self.import.files.get(self.file) else { return Ok(None) };
            let reader = match &mut self.reader {
                Some(reader) => reader,
                none => none.insert(file.reader()?),
            };
            let mut row = csv::ByteRecord::new();
            match reader.read_byte_record(&mut row) {
                Err(source) => return Err(ImportError::NotCsv { path: file.path.clone(), source }),
                Ok(false) => {
                    self.read_before_bytes += file.size_bytes;
                    self.reader = None;
                    self.file += 1;
                }
                Ok(true) => self.convert(Arc::new(row)),
            }
        }
    }

    fn convert(&mut self, row: Arc<csv::ByteRecord>) {
        let file = &self.import.files[self.file];
        let line = row.position().map_or(0, csv::Position::line);
        let waiting_before = self.waiting.len();
        for plan in 0..file.plans.len() {
            let origin = Origin { file: self.file, plan, line, row: Arc::clone(&row) };
            let outcome = match self.record(&origin) {
                Ok(Some(record)) => self.once(&origin, record),
                Ok(None) => continue,
                Err(rejection) => Outcome::Rejected(rejection),
            };
            self.waiting.push_back((origin, outcome));
        }
        if self.waiting.len() == waiting_before && !file.plans.is_empty() {
            *self.left_out.entry(file.name.clone()).or_default() += 1;
        }
    }

    /// The record that a row becomes, if it becomes one.
    fn record(&mut self, origin: &Origin) -> Result<Option<DynamicMessage>, Rejection> {
        let import = self.import;
        let (file, line, row) = (&import.files[origin.file], origin.line, &origin.row);
        let plan = &file.plans[origin.plan];
        if row.len() != file.headers.len() {
            let found = format!("the row has {} cells", row.len());
            return Err(file.reject(line, None, found, format!("and the header {}", file.headers.len())));
        }
        let mut meanings: Meanings = vec![(&plan.fields[0].sources[0], String::new()); plan.fields.len()];
        let of_cells = plan.only_if.iter().filter(|planned| planned.condition.field().is_none());
        if !all_hold(of_cells, row, &meanings) {
            return Ok(None);
        }
        for at in &plan.telling {
            let told = import.tell(&plan.fields[*at], row, &meanings);
            let (source, meaning) = told.map_err(|NotUtf8(source)| {
                let problem = "isn't UTF-8: export the file as UTF-8".into();
                file.reject(line, source.column, column_name(file, source).into(), problem)
            })?;
            meanings[*at] = (source, self.spelled(source, meaning));
        }
        if !all_hold(&plan.only_if, row, &meanings) {
            return Ok(None);
        }
        let mut record = plan.kind.empty_record();
        for (planned, (source, meaning)) in plan.fields.iter().zip(&meanings) {
            let of_message = source.column.is_none() || matches!(planned.leaf, Leaf::Currency);
            if meaning.is_empty() || (of_message && !planned.field.has_home(&record)) {
                continue;
            }
            let wrong = |problem: String| {
                file.at(line, source, cell(row, source.column).unwrap_or_default(), &problem)
            };
            let mut value =
                value::parse(meaning, &planned.leaf, source.source.share, &source.formats).map_err(wrong)?;
            if let (Leaf::Money, Value::Message(money)) = (&planned.leaf, &mut value) {
                money.set_field_by_name("currency_code", Value::String(import.options.currency.clone()));
            }
            planned.field.put(&mut record, value).map_err(wrong)?;
        }
        drop_empty_elements(&mut record);
        import.complete(file, line, plan, &mut record)?;
        Ok(Some(record))
    }

    /// A meaning as its list of right spellings has it.
    fn spelled(&mut self, planned: &PlannedSource, meaning: String) -> String {
        let Some(list) = &planned.source.spelled_as else { return meaning };
        let right = self.import.spellings.get(list).and_then(|known| known.get(&bare(&meaning)));
        match right {
            Some(right) if *right != meaning => {
                let example = || (0, format!("{meaning} became {right}"));
                let (count, _) = self.respelled.entry(list.clone()).or_insert_with(example);
                *count += 1;
                right.clone()
            }
            _ => meaning,
        }
    }

    /// The record, unless it came before: then a repetition, or a contradiction.
    fn once(&mut self, origin: &Origin, record: DynamicMessage) -> Outcome {
        let record: Record = record.transcode_to().expect("the record was built by its own descriptor");
        let (identity, content) = fingerprints(&record);
        match self.seen.get(&identity) {
            None => {
                self.seen.insert(identity, (content, origin.file, origin.line));
                Outcome::Record(Box::new(record))
            }
            Some((same, ..)) if *same == content => Outcome::Repeated,
            Some((_, file, line)) => {
                let files = &self.import.files;
                let found =
                    format!("{} is told otherwise in {}:{line}:", named(files, origin), files[*file].name);
                let problem =
                    "one import holds one version of a record, unless a column says its `update_time`";
                Outcome::Rejected(files[origin.file].reject(origin.line, None, found, problem.into()))
            }
        }
    }
}

impl Import {
    /// Gives a record its time, and rejects it where something is missing that every such record needs.
    fn complete(
        &self,
        file: &SourceFile,
        line: u64,
        plan: &Plan,
        record: &mut DynamicMessage,
    ) -> Result<(), Rejection> {
        if !record.has_field_by_name("update_time") {
            record.set_field_by_name("update_time", instant_value(self.update_time));
        }
        let deleted = record.has_field_by_name("deleted");
        for required in &plan.required {
            if required.is_set(record) {
                continue;
            }
            let instant = matches!(required.try_leaf(), Some(Leaf::Instant));
            if instant && deleted {
                continue;
            }
            if let (true, Some(date)) = (instant, self.options.undated_on) {
                let noon = instant_value(When::On(date).instant(self.options.zone));
                let undated = || format!("`{}`", required.path);
                required.put(record, noon).map_err(|problem| file.reject(line, None, undated(), problem))?;
                continue;
            }
            let feeds = |planned: &&PlannedField| planned.field.path.starts_with(&required.path);
            let feeder = plan.fields.iter().find(feeds).map(|planned| &planned.sources[0]);
            let advice = if instant { " (--undated-on DATE dates such rows)" } else { "" };
            let needs = format!("{} needs its `{}`{advice}", plan.kind.described(), required.path);
            return Err(match feeder {
                Some(source) if source.lookup.is_some() => {
                    let text = column_name(file, source).into();
                    file.reject(line, source.column, text, format!("leads nowhere: {needs}"))
                }
                Some(source) => file.reject(
                    line,
                    source.column,
                    column_name(file, source).into(),
                    format!("is empty: {needs}"),
                ),
                None => file.reject(line, None, "the row isn't whole:".into(), needs),
            });
        }
        Ok(())
    }
}

fn column_name<'f>(file: &'f SourceFile, source: &PlannedSource) -> &'f str {
    source.column.map_or("a constant", |column| &file.headers[column])
}

/// The record's id as its row has it, for messages.
fn named(files: &[SourceFile], origin: &Origin) -> String {
    let plan = &files[origin.file].plans[origin.plan];
    let id = plan.required.first().and_then(|required| {
        let planned = plan.fields.iter().find(|planned| planned.field.path == required.path)?;
        let source = told(planned, &origin.row).next()?;
        cell(&origin.row, source.column)
    });
    let kind = plan.kind.name().replace('_', " ");
    id.map_or_else(|| format!("this {kind}"), |id| format!("{kind} {id:?}"))
}

/// Hashes of what a record's version is, and of what it says. Two records of one import that hash alike by chance
/// (a chance of one in a million for six million of them) would be taken for one: such a row is rejected, never lost silently.
fn fingerprints(record: &Record) -> (u64, u64) {
    let hash = |value: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        value(&mut hasher);
        hasher.finish()
    };
    let content = record.encode_to_vec();
    let identity = hash(&|hasher| {
        let time = record.update_time.as_ref().map(|time| (time.seconds, time.nanos));
        (record_id(record), time, record.sequence).hash(hasher);
    });
    (identity, hash(&|hasher| content.hash(hasher)))
}

/// The kind and the encoded id of a record.
fn record_id(record: &Record) -> (&'static str, Vec<u8>) {
    use crate::proto::channelkpi::v1::record::Record as Kind;
    let text = |id: &str| id.as_bytes().to_vec();
    match &record.record {
        Some(Kind::Partner(partner)) => ("partner", text(&partner.partner_id)),
        Some(Kind::OrgUnit(unit)) => ("org_unit", text(&unit.org_unit_id)),
        Some(Kind::Employee(employee)) => ("employee", text(&employee.employee_id)),
        Some(Kind::Lead(lead)) => ("lead", text(&lead.lead_id)),
        Some(Kind::Deal(deal)) => ("deal", text(&deal.deal_id)),
        Some(Kind::MarketingChannel(channel)) => ("marketing_channel", text(&channel.marketing_channel_id)),
        Some(Kind::MarketingSpend(spend)) => ("marketing_spend", text(&spend.marketing_spend_id)),
        Some(Kind::Target(target)) => ("target", text(&target.target_id)),
        Some(Kind::ExchangeRate(rate)) => {
            ("exchange_rate", rate.key.as_ref().map(Message::encode_to_vec).unwrap_or_default())
        }
        Some(Kind::Strategy(strategy)) => ("strategy", text(&strategy.strategy_id)),
        Some(Kind::TenantSettings(_)) | None => ("", Vec::new()),
    }
}

#[cfg(test)]
mod tests;
