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
use super::files::{Import, Plan, PlannedField, SourceFile, bare};
use super::mapping::Input;
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
        }
    }

    /// The name of the kind of record that came from there.
    pub(super) fn kind_of(&self, origin: &Origin) -> &str {
        self.files[origin.file].plans[origin.plan].kind.name()
    }

    /// What the server says of a record, told where it came from. The field lies below `records[17].`.
    pub(super) fn rejection(&self, origin: &Origin, violation: &FieldViolation) -> Rejection {
        let file = &self.files[origin.file];
        let below = violation.field.split_once("].").map_or("", |(_, field)| field);
        let meant = file.plans[origin.plan].fields.iter().filter(|planned| planned.column.is_some());
        let culprit = meant.clone().find(|planned| planned.field.is_meant_by(below));
        match culprit {
            Some(planned) => {
                let text = cell(&origin.row, planned.column).unwrap_or_default();
                file.at(origin.line, planned, text, &violation.description)
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
    fn at(&self, line: u64, planned: &PlannedField, text: &str, problem: &str) -> Rejection {
        let found = format!("{} {text:?}", column_name(self, planned));
        self.reject(line, planned.column, found, problem.into())
    }
}

/// A cell's text without spaces around it; `Err` where it isn't UTF-8.
fn cell(row: &csv::ByteRecord, column: Option<usize>) -> Result<&str, &'static str> {
    let bytes = column.and_then(|column| row.get(column)).unwrap_or_default();
    str::from_utf8(bytes).map(str::trim).map_err(|_| "isn't UTF-8: export the file as UTF-8")
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
        for plan in 0..file.plans.len() {
            let origin = Origin { file: self.file, plan, line, row: Arc::clone(&row) };
            let outcome = match self.record(&origin) {
                Ok(record) => self.once(&origin, record),
                Err(rejection) => Outcome::Rejected(rejection),
            };
            self.waiting.push_back((origin, outcome));
        }
    }

    fn record(&mut self, origin: &Origin) -> Result<DynamicMessage, Rejection> {
        let import = self.import;
        let (file, line, row) = (&import.files[origin.file], origin.line, &origin.row);
        let plan = &file.plans[origin.plan];
        if row.len() != file.headers.len() {
            let found = format!("the row has {} cells", row.len());
            return Err(file.reject(line, None, found, format!("and the header {}", file.headers.len())));
        }
        let mut record = plan.kind.empty_record();
        for planned in &plan.fields {
            let text = match &planned.source.input {
                Input::Column(_) => cell(row, planned.column).map_err(|problem| {
                    file.reject(line, planned.column, column_name(file, planned).into(), problem.into())
                })?,
                Input::Constant(text) => text,
            };
            let of_message = planned.column.is_none() || matches!(planned.leaf, Leaf::Currency);
            if !applies(planned, row) || (of_message && !planned.field.has_home(&record)) {
                continue;
            }
            let meaning = self.meaning(planned, text);
            if meaning.is_empty() {
                continue;
            }
            let mut value = value::parse(&meaning, &planned.leaf, planned.source.percent, &planned.formats)
                .map_err(|problem| file.at(line, planned, text, &problem))?;
            if let (Leaf::Money, Value::Message(money)) = (&planned.leaf, &mut value) {
                money.set_field_by_name("currency_code", Value::String(import.options.currency.clone()));
            }
            planned
                .field
                .put(&mut record, value)
                .map_err(|problem| file.at(line, planned, text, &problem))?;
        }
        drop_empty_elements(&mut record);
        import.complete(file, line, plan, &mut record)?;
        Ok(record)
    }

    /// What a cell's text means: translated, and spelled right.
    fn meaning(&mut self, planned: &PlannedField, text: &str) -> String {
        let source = &planned.source;
        let translated = match (source.values.get(text), &source.otherwise) {
            (Some(meaning), _) => meaning,
            (None, Some(otherwise)) if !text.is_empty() => otherwise,
            (None, _) => text,
        };
        let right = source
            .spelled_as
            .as_ref()
            .and_then(|list| self.import.spellings.get(list)?.get(&bare(translated)));
        match (right, &source.spelled_as) {
            (Some(right), Some(list)) if right != translated => {
                let (count, _) = self
                    .respelled
                    .entry(list.clone())
                    .or_insert_with(|| (0, format!("{translated} became {right}")));
                *count += 1;
                right.clone()
            }
            _ => translated.to_owned(),
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
            let feeder = plan.fields.iter().find(feeds);
            let advice = if instant { " (--undated-on DATE dates such rows)" } else { "" };
            let needs = format!("{} needs its `{}`{advice}", plan.kind.described(), required.path);
            return Err(match feeder {
                Some(planned) => file.reject(
                    line,
                    planned.column,
                    column_name(file, planned).into(),
                    format!("is empty: {needs}"),
                ),
                None => file.reject(line, None, "the row isn't whole:".into(), needs),
            });
        }
        Ok(())
    }
}

fn column_name<'f>(file: &'f SourceFile, planned: &PlannedField) -> &'f str {
    planned.column.map_or("a constant", |column| &file.headers[column])
}

fn applies(planned: &PlannedField, row: &csv::ByteRecord) -> bool {
    let Some((_, accepted)) = &planned.source.only_if else { return true };
    let text = cell(row, planned.only_if_column).unwrap_or_default();
    accepted.iter().any(|word| word == text)
}

/// The record's id as its row has it, for messages.
fn named(files: &[SourceFile], origin: &Origin) -> String {
    let plan = &files[origin.file].plans[origin.plan];
    let id = plan.required.first().and_then(|required| {
        let planned = plan.fields.iter().find(|planned| planned.field.path == required.path)?;
        cell(&origin.row, planned.column).ok()
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
mod tests {
    use chrono::NaiveDate;
    use chrono_tz::Tz;

    use super::*;
    use crate::import::{Mapping, Options, Preset};
    use crate::proto::channelkpi::v1::record::Record as Kind;
    use crate::proto::channelkpi::v1::{CreditRole, Deal, DealStatus, LeadOutcome};
    use crate::proto::google::r#type::Money;

    fn options() -> Options {
        let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).expect("a date");
        Options {
            zone: Tz::UTC,
            currency: "USD".into(),
            undated_on: None,
            updated_on: None,
            today: day(2024, 6, 30),
        }
    }

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory for the test");
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).expect("a file for the test");
        }
        directory
    }

    struct Converted {
        records: Vec<Record>,
        repeated_count: usize,
        rejections: Vec<String>,
        respelled: Vec<(u64, String)>,
        notes: Vec<String>,
    }

    fn convert(
        mapping: Option<&Mapping>,
        files: &[(&str, &str)],
        options: Options,
    ) -> Result<Converted, ImportError> {
        let directory = directory(files);
        let import = Import::open(mapping, &[directory.path().into()], options)?;
        let mut converted = Converted {
            records: Vec::new(),
            repeated_count: 0,
            rejections: Vec::new(),
            respelled: Vec::new(),
            notes: import.notes.clone(),
        };
        let mut rows = import.rows();
        while let Some((_, outcome)) = rows.next()? {
            match outcome {
                Outcome::Record(record) => converted.records.push(*record),
                Outcome::Repeated => converted.repeated_count += 1,
                Outcome::Rejected(rejection) => converted.rejections.push(rejection.to_string()),
            }
        }
        assert_eq!(rows.read_bytes(), import.size_bytes(), "every byte of every file is read");
        converted.respelled = rows.respelled.into_values().collect();
        Ok(converted)
    }

    fn deal<'c>(converted: &'c Converted, id: &str) -> &'c Deal {
        let deals = converted.records.iter().filter_map(|record| match &record.record {
            Some(Kind::Deal(deal)) => Some(deal),
            _ => None,
        });
        deals.into_iter().find(|deal| deal.deal_id == id).unwrap_or_else(|| panic!("{id} was imported"))
    }

    const NOON_2017_03_01_S: i64 = 1_488_369_600;

    /// A shop of our own in the shape of the Maven data set, with its traps.
    const SHOP: [(&str, &str); 5] = [
        (
            "pipeline.csv",
            "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value\n\
             W1,Ada,LampPro,Acme,Won,2017-02-01,2017-03-01,1054\n\
             L1,Ada,Lamp,Acme,Lost,2017-02-02,2017-02-20,0\n\
             E1,Bo,Lamp Pro,,Engaging,2017-02-03,,\n\
             P1,Bo,Lamp,Acme,Prospecting,,,\n\
             W2,Bo,Lamp,Acme,Won,2017-02-30,2017-03-01,5\n",
        ),
        ("teams.csv", "sales_agent,manager,regional_office\nAda,Mo,West\nBo,Mo,West\n"),
        (
            "accounts.csv",
            "account,sector,year_established,revenue,employees,office_location,subsidiary_of\n\
             Acme,retail,1996,1100.04,2822,Kenya,\n\
             Bell,,1996,1100.04,2822,,Acme\n",
        ),
        ("products.csv", "product,series,sales_price\nLamp Pro,L,50\nLamp,L,20\n"),
        ("dictionary.csv", "Table,Field,Description\naccounts,account,Company name\n"),
    ];

    fn maven(options: Options) -> Converted {
        let mapping = Preset::by_name("maven").expect("the preset is there").mapping();
        convert(Some(&mapping), &SHOP, options).expect("the files are right")
    }

    #[test]
    fn maven_deals_become_what_they_are() {
        let converted = maven(options());
        let won = deal(&converted, "W1");
        assert_eq!(won.status(), DealStatus::Won);
        assert_eq!(won.amount, Some(Money { currency_code: "USD".into(), units: 1054, nanos: 0 }));
        assert_eq!(won.closed_at.map(|time| time.seconds), Some(NOON_2017_03_01_S));
        assert_eq!((won.product.as_str(), won.stage.as_str()), ("Lamp Pro", "Won"));
        let [credit] = won.partner_credits.as_slice() else { panic!("one credit") };
        assert_eq!(
            (credit.partner_id.as_str(), credit.role(), credit.share_bps),
            ("Acme", CreditRole::Sourced, Some(10_000))
        );

        let lost = deal(&converted, "L1");
        assert_eq!((lost.status(), &lost.amount), (DealStatus::Lost, &None), "0 isn't what it was worth");
        let open = deal(&converted, "E1");
        assert_eq!((open.status(), open.closed_at, &open.amount), (DealStatus::Open, None, &None));
        assert!(open.partner_credits.is_empty(), "no account, no credit");
        assert_eq!(converted.respelled, [(1, "LampPro became Lamp Pro".to_owned())]);
    }

    #[test]
    fn maven_rejections_name_their_cell() {
        let converted = maven(options());
        assert_eq!(
            converted.rejections,
            [
                "pipeline.csv:5:6: engage_date is empty: a deal needs its `opened_at` (--undated-on DATE dates such rows)",
                "pipeline.csv:6:6: engage_date \"2017-02-30\" isn't a date like 2017-10-31 or 2017-10-31T12:00:00Z",
            ]
        );
        assert_eq!(converted.notes, ["dictionary.csv is left out: nothing in it becomes a record"]);
    }

    #[test]
    fn undated_rows_can_be_dated() {
        let undated_on = NaiveDate::from_ymd_opt(2017, 3, 1);
        let converted = maven(Options { undated_on, ..options() });
        let prospect = deal(&converted, "P1");
        assert_eq!(prospect.opened_at.map(|time| time.seconds), Some(NOON_2017_03_01_S));
        assert_eq!(converted.rejections.len(), 1, "a wrong date stays wrong");
    }

    #[test]
    fn maven_units_and_partners_form_their_trees() {
        let converted = maven(options());
        let units: Vec<String> = converted
            .records
            .iter()
            .filter_map(|record| match &record.record {
                Some(Kind::OrgUnit(unit)) => {
                    Some(format!("{} {} < {}", unit.unit_kind, unit.org_unit_id, unit.parent_unit_id))
                }
                Some(Kind::Employee(employee)) => Some(format!("{} in {}", employee.name, employee.unit_id)),
                Some(Kind::Partner(partner)) => {
                    let labels: Vec<&str> = partner.labels.values().map(String::as_str).collect();
                    let (id, parent) = (&partner.partner_id, &partner.parent_partner_id);
                    Some(format!("{} {id} < {parent} {labels:?} {}", partner.partner_type, partner.region))
                }
                _ => None,
            })
            .collect();
        assert_eq!(
            units,
            [
                "reseller Acme <  [\"retail\"] Kenya",
                "reseller Bell < Acme [] ",
                "Ada in Mo",
                "department West < ",
                "team Mo < West",
                "Bo in Mo",
            ]
        );
        assert_eq!(converted.repeated_count, 2, "office and team come again with the second agent");
    }

    #[test]
    fn one_export_has_one_time_and_is_the_same_twice() {
        let (first, second) = (maven(options()), maven(options()));
        assert_eq!(first.records, second.records);
        for record in &first.records {
            assert_eq!(record.update_time.map(|time| time.seconds), Some(NOON_2017_03_01_S), "{record:?}");
        }
    }

    #[test]
    fn headers_alone_can_name_the_fields() {
        let files = [
            (
                "leads.csv",
                "\u{feff}lead_id,created_at,outcome,decided_at\nL1,2017-02-01,converted,2017-03-01\n",
            ),
            (
                "targets.csv",
                "target_id,subject.partner.partner_id,subject.unit_id,start_on,end_on,won_amount,won_count\n\
                 T1,P1,,2017-01-01,2018-01-01,\"1,000.50\",\nT2,P1,U1,2017-01-01,2018-01-01,,5\n",
            ),
            (
                "exchange_rates.csv",
                "key.from_currency_code,key.to_currency_code,key.rate_on,rate\nEUR,USD,2017-01-01,1.0523\n",
            ),
        ];
        let converted = convert(None, &files, options()).expect("the files are right");
        let [rate, lead, target] = converted.records.as_slice() else {
            panic!("three records: {:?}", converted.rejections)
        };
        let Some(Kind::Lead(lead)) = &lead.record else { panic!("a lead") };
        assert_eq!(lead.outcome(), LeadOutcome::Converted);
        let Some(Kind::ExchangeRate(rate)) = &rate.record else { panic!("a rate") };
        assert_eq!(rate.rate.as_ref().map(|rate| rate.value.as_str()), Some("1.0523"));
        let Some(Kind::Target(target)) = &target.record else { panic!("a target") };
        assert!(target.month_weights.is_empty());
        assert_eq!(
            converted.rejections,
            [
                "targets.csv:3:3: subject.unit_id \"U1\" `unit_id` and `partner` are both given: only one can be"
            ]
        );
    }

    #[test]
    fn rows_that_are_no_rows_are_rejected_alone() {
        let deals: &[u8] = b"deal_id,opened_at,amount,amount.currency_code\n\
            D1,2017-02-01,1,EUR\nD2,2017-02-01\nD\xff3,2017-02-01,,\nD4,2017-02-01,,EUR\nD1,2017-02-01,2,EUR\n\
            D1,2017-02-01,1,EUR\n,2017-02-01,,\n";
        let directory = tempfile::tempdir().expect("a directory for the test");
        std::fs::write(directory.path().join("deals.csv"), deals).expect("a file for the test");
        let import = Import::open(None, &[directory.path().into()], options()).expect("the file is right");
        let mut rows = import.rows();
        let mut told = Vec::new();
        while let Some((_, outcome)) = rows.next().expect("the file can be read") {
            told.push(match outcome {
                Outcome::Record(record) => match record.record {
                    Some(Kind::Deal(deal)) => {
                        format!("{} {:?}", deal.deal_id, deal.amount.map(|m| m.currency_code))
                    }
                    other => panic!("{other:?} is no deal"),
                },
                Outcome::Repeated => "repeated".into(),
                Outcome::Rejected(rejection) => rejection.to_string(),
            });
        }
        assert_eq!(
            told,
            [
                "D1 Some(\"EUR\")",
                "deals.csv:3: the row has 2 cells and the header 4",
                "deals.csv:4:1: deal_id isn't UTF-8: export the file as UTF-8",
                "D4 None",
                "deals.csv:6: deal \"D1\" is told otherwise in deals.csv:2: one import holds one version of a record, \
                 unless a column says its `update_time`",
                "repeated",
                "deals.csv:8:1: deal_id is empty: a deal needs its `deal_id`",
            ]
        );
    }

    #[test]
    fn files_that_cannot_be_imported_are_explained() {
        let error = |files: &[(&str, &str)]| match convert(None, files, options()) {
            Ok(_) => panic!("{files:?} was taken"),
            Err(error) => error.to_string(),
        };
        for (name, text, expected) in [
            (
                "deals.csv",
                "deal_id,opend_at\n",
                "deals.csv:1:2: a deal has no field `opend_at`: did you mean `opened_at`",
            ),
            ("deals.csv", "opened_at\n", "deals.csv:1:1: a deal needs the column `deal_id`"),
            ("deals.csv", "deal_id,deal_id\n", "deals.csv:1:2: there are two columns `deal_id`"),
            ("partners.csv", "partner_id\nP1\n", "say --updated-on DATE"),
            ("notes.txt", "", "there is no CSV file in"),
        ] {
            let error = error(&[(name, text)]);
            assert!(error.contains(expected), "{name}: {error}");
        }
        let mapping = Mapping::parse(
            "map.toml",
            "[files.d]\nname = \"d*.csv\"\n[files.d.deal]\ndeal_id = \"Id\"\nopened_at = \"Created\"\n",
        )
        .expect("the mapping is right");
        let error = match convert(Some(&mapping), &[("Deals.csv", "id,Created\n")], options()) {
            Ok(_) => panic!("a column is missing"),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            error,
            "Deals.csv has no column `Id`, which `deal_id` reads: did you mean `id`? (it has id, Created)"
        );
    }

    #[test]
    fn dates_in_the_future_do_not_tell_how_new_an_export_is() {
        let files = [("deals.csv", "deal_id,opened_at\nD1,2024-06-01\nD2,2199-01-01\n")];
        let converted = convert(None, &files, options()).expect("the file is right");
        let times: Vec<Option<i64>> =
            converted.records.iter().map(|record| record.update_time.map(|time| time.seconds)).collect();
        assert_eq!(times, [Some(1_717_243_200); 2]); // 2024-06-01 12:00 UTC
    }
}
