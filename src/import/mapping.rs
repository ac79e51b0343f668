//! Mappings: which file of an export holds which records, and which column feeds which field. docs/import.md is the
//! reference for those who write one.
//!
//! Invariants:
//! 1. A mapping that was read names only fields that exist, and fills every field without which the server would
//!    refuse each record (an instant may be missing: `--undated-on` gives it).
//! 2. Every error says file, line and column of the mapping and what to write instead.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::field::{Field, Leaf, RecordKind, nearest};

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
    pub(super) files: Vec<FileMapping>,
}

/// How one file becomes records.
#[derive(Clone, Debug)]
pub(super) struct FileMapping {
    pub name: String,
    /// Pattern of the file's name. Absent: the file is known by its columns.
    pub pattern: Option<glob::Pattern>,
    /// Columns that the file must have beside those that are read.
    pub columns: Vec<String>,
    pub records: Vec<RecordMapping>,
}

/// How a row becomes one record.
#[derive(Clone, Debug)]
pub(super) struct RecordMapping {
    pub kind: RecordKind,
    /// Money before its currency, columns before constants: a constant alone makes no message.
    pub fields: Vec<FieldMapping>,
}

#[derive(Clone, Debug)]
pub(super) struct FieldMapping {
    pub field: Field,
    pub source: Source,
}

/// Where the text of a field comes from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub input: Input,
    /// Only rows in which that column holds one of these texts have the field.
    pub only_if: Option<(String, Vec<String>)>,
    /// Translations of the file's words.
    pub values: BTreeMap<String, String>,
    /// What every word means that `values` doesn't translate.
    pub otherwise: Option<String>,
    pub dates: Vec<String>,
    pub percent: bool,
    /// File (by its name in the mapping) and column whose spelling is the right one.
    pub spelled_as: Option<(String, String)>,
}

#[derive(Clone, Debug)]
pub(super) enum Input {
    Column(String),
    Constant(String),
}

impl Source {
    pub fn column(name: &str) -> Self {
        Self {
            input: Input::Column(name.into()),
            only_if: None,
            values: BTreeMap::new(),
            otherwise: None,
            dates: Vec::new(),
            percent: false,
            spelled_as: None,
        }
    }
}

impl RecordMapping {
    /// A record's mapping with its fields in the order in which they are to be filled.
    pub fn new(kind: RecordKind, mut fields: Vec<FieldMapping>) -> Self {
        fields.sort_by_key(|mapped| {
            let constant = matches!(mapped.source.input, Input::Constant(_));
            (constant, matches!(mapped.field.leaf(), Leaf::Currency))
        });
        Self { kind, fields }
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
    /// The columns without which the file can't be read, each once, with the field that needs it.
    pub fn needed_columns(&self) -> BTreeMap<&str, Option<&str>> {
        let mut needed: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        for record in &self.records {
            for FieldMapping { field, source } in &record.fields {
                if let Input::Column(column) = &source.input {
                    needed.insert(column, Some(&field.path));
                }
                if let Some((column, _)) = &source.only_if {
                    needed.entry(column).or_insert(Some(&field.path));
                }
            }
        }
        for column in &self.columns {
            needed.entry(column).or_insert(None);
        }
        needed
    }
}

const MAPPING_KEYS: [&str; 6] =
    ["currency", "date_formats", "decimal_separator", "delimiter", "files", "time_zone"];
const SOURCE_KEYS: [&str; 8] =
    ["column", "constant", "date_formats", "only_if", "otherwise", "percent", "spelled_as", "values"];

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
            files: Vec::new(),
        }
    }

    /// Reads a mapping from TOML; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, MappingError> {
        let page = Page { name, text };
        let table = DeTable::parse(text)
            .map_err(|error| page.error(error.span().unwrap_or_default(), error.message().to_owned()))?;
        let mut mapping = Self::plain(name);
        for (key, value) in table.get_ref() {
            match key.get_ref().as_ref() {
                "delimiter" => {
                    mapping.delimiter = match page.text_of(value)?.as_bytes() {
                        [byte] => *byte,
                        _ => return Err(page.error(value.span(), r#"is one character, such as ";" or "\t""#)),
                    }
                }
                "decimal_separator" => {
                    mapping.decimal_comma = match page.text_of(value)? {
                        "." => false,
                        "," => true,
                        _ => return Err(page.error(value.span(), r#"`decimal_separator` is "." or ",""#)),
                    }
                }
                "date_formats" => mapping.dates = page.date_formats(value)?,
                "currency" => mapping.currency = Some(page.text_of(value)?.into()),
                "time_zone" => mapping.time_zone = Some(page.text_of(value)?.into()),
                "files" => {
                    for (name, file) in page.table_of(value)? {
                        let file = page.file(name.get_ref(), page.table_of(file)?)?;
                        mapping.files.push(file);
                    }
                }
                other => return Err(page.unknown(key, "a mapping", other, &MAPPING_KEYS)),
            }
        }
        if mapping.files.is_empty() {
            let problem = "maps no file: begin with [files.deals] and [files.deals.deal], see docs/import.md";
            return Err(page.error(0..0, problem));
        }
        page.check_spellings(&mapping, &table)?;
        Ok(mapping)
    }
}

/// The text of a mapping while it is read.
struct Page<'t> {
    name: &'t str,
    text: &'t str,
}

type Key<'t> = Spanned<std::borrow::Cow<'t, str>>;
type Cell<'t> = Spanned<DeValue<'t>>;

impl Page<'_> {
    fn error(&self, span: std::ops::Range<usize>, problem: impl Into<String>) -> MappingError {
        let before = &self.text[..span.start.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        MappingError { place: format!("{}:{line}:{column}", self.name), problem: problem.into() }
    }

    fn unknown(&self, key: &Key, whose: &str, given: &str, known: &[&str]) -> MappingError {
        let near = nearest(given, known);
        let problem = format!("{whose} has no `{given}`{near} (it has {})", known.join(", "));
        self.error(key.span(), problem)
    }

    fn text_of<'v>(&self, value: &'v Cell) -> Result<&'v str, MappingError> {
        let wanted =
            || self.error(value.span(), format!("is {}, must be text in quotes", value.get_ref().type_str()));
        value.get_ref().as_str().ok_or_else(wanted)
    }

    fn table_of<'v, 't>(&self, value: &'v Cell<'t>) -> Result<&'v DeTable<'t>, MappingError> {
        let wanted =
            || self.error(value.span(), format!("is {}, must be a table", value.get_ref().type_str()));
        value.get_ref().as_table().ok_or_else(wanted)
    }

    fn texts_of(&self, value: &Cell) -> Result<Vec<String>, MappingError> {
        match value.get_ref().as_array() {
            Some(array) => array.iter().map(|element| self.text_of(element).map(str::to_owned)).collect(),
            None => Ok(vec![self.text_of(value)?.to_owned()]),
        }
    }

    fn date_formats(&self, value: &Cell) -> Result<Vec<String>, MappingError> {
        let formats = self.texts_of(value)?;
        for format in &formats {
            if chrono::format::StrftimeItems::new(format).any(|item| item == chrono::format::Item::Error) {
                let problem =
                    format!("`{format}` isn't a date format: write it like %d/%m/%Y or %Y-%m-%d %H:%M:%S");
                return Err(self.error(value.span(), problem));
            }
        }
        Ok(formats)
    }

    fn file(&self, name: &str, table: &DeTable) -> Result<FileMapping, MappingError> {
        let mut file =
            FileMapping { name: name.into(), pattern: None, columns: Vec::new(), records: Vec::new() };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "name" => {
                    let pattern = glob::Pattern::new(self.text_of(value)?);
                    file.pattern =
                        Some(pattern.map_err(|error| self.error(value.span(), error.to_string()))?);
                }
                "columns" => file.columns = self.texts_of(value)?,
                other => {
                    let kind = RecordKind::by_name(other).ok_or_else(|| {
                        let kinds: Vec<String> =
                            RecordKind::all().map(|kind| kind.name().to_owned()).collect();
                        let known: Vec<&str> =
                            ["name", "columns"].into_iter().chain(kinds.iter().map(String::as_str)).collect();
                        self.unknown(key, "a file", other, &known)
                    })?;
                    // One table, or several where a row makes several records of the kind.
                    match value.get_ref().as_array() {
                        None => file.records.push(self.record(key, &kind, self.table_of(value)?)?),
                        Some(array) => {
                            for table in array.iter() {
                                file.records.push(self.record(key, &kind, self.table_of(table)?)?);
                            }
                        }
                    }
                }
            }
        }
        Ok(file)
    }

    fn record(&self, key: &Key, kind: &RecordKind, table: &DeTable) -> Result<RecordMapping, MappingError> {
        let mut fields = Vec::new();
        self.fields(kind, "", table, &mut fields)?;
        let record = RecordMapping::new(kind.clone(), fields);
        match record.missing() {
            None => Ok(record),
            Some(field) => {
                let problem =
                    format!("{} needs its `{}`: say which column holds it", kind.described(), field.path);
                Err(self.error(key.span(), problem))
            }
        }
    }

    /// The fields of a record. Dotted keys may be written with or without quotes: a table that names no source holds
    /// the parts of a field.
    fn fields(
        &self,
        kind: &RecordKind,
        prefix: &str,
        table: &DeTable,
        fields: &mut Vec<FieldMapping>,
    ) -> Result<(), MappingError> {
        for (key, value) in table {
            let path = format!("{prefix}{}", key.get_ref());
            match value.get_ref().as_table() {
                Some(parts) if !parts.contains_key("column") && !parts.contains_key("constant") => {
                    self.fields(kind, &format!("{path}."), parts, fields)?;
                }
                _ => {
                    let field =
                        Field::resolve(kind, &path).map_err(|problem| self.error(key.span(), problem))?;
                    let source = self.source(&field, value)?;
                    fields.push(FieldMapping { field, source });
                }
            }
        }
        Ok(())
    }

    fn source(&self, field: &Field, value: &Cell) -> Result<Source, MappingError> {
        let Some(table) = value.get_ref().as_table() else {
            return Ok(Source::column(self.text_of(value)?));
        };
        let mut source = Source::column("");
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "column" => source.input = Input::Column(self.text_of(value)?.into()),
                "constant" => source.input = Input::Constant(self.constant(value)?),
                "date_formats" => source.dates = self.date_formats(value)?,
                "otherwise" => source.otherwise = Some(self.constant(value)?),
                "percent" => {
                    let flag = value.get_ref().as_bool();
                    source.percent =
                        flag.ok_or_else(|| self.error(value.span(), "`percent` is true or false"))?;
                    if source.percent
                        && !(field.path.ends_with("_bps") && matches!(field.leaf(), Leaf::Int32))
                    {
                        let problem =
                            format!("`percent` is for fields in basis points, not for `{}`", field.path);
                        return Err(self.error(key.span(), problem));
                    }
                }
                "values" => {
                    for (word, meaning) in self.table_of(value)? {
                        source.values.insert(word.get_ref().to_string(), self.constant(meaning)?);
                    }
                }
                "only_if" => {
                    let table = self.table_of(value)?;
                    let (Some(column), Some(is), 2) = (table.get("column"), table.get("is"), table.len())
                    else {
                        let problem = r#"`only_if` is written { column = "Stage", is = ["Closed Won"] }"#;
                        return Err(self.error(value.span(), problem));
                    };
                    source.only_if = Some((self.text_of(column)?.into(), self.texts_of(is)?));
                }
                "spelled_as" => {
                    let text = self.text_of(value)?;
                    let (file, column) = text.split_once('.').ok_or_else(|| {
                        let problem =
                            r#"`spelled_as` is a file of this mapping and its column: "products.Name""#;
                        self.error(value.span(), problem)
                    })?;
                    source.spelled_as = Some((file.into(), column.into()));
                }
                other => return Err(self.unknown(key, &format!("`{}`", field.path), other, &SOURCE_KEYS)),
            }
        }
        if table.contains_key("column") && table.contains_key("constant") {
            return Err(self.error(value.span(), "has a column and a constant: name one of them"));
        }
        Ok(source)
    }

    fn constant(&self, value: &Cell) -> Result<String, MappingError> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Integer(number) => Ok(number.as_str().into()),
            DeValue::Float(number) => Ok(number.as_str().into()),
            DeValue::Boolean(flag) => Ok(flag.to_string()),
            DeValue::Datetime(date) => Ok(date.to_string()),
            other => Err(self.error(value.span(), format!("is {}, must be one value", other.type_str()))),
        }
    }

    /// `spelled_as` names a file of the mapping.
    fn check_spellings(&self, mapping: &Mapping, table: &Spanned<DeTable>) -> Result<(), MappingError> {
        let names: Vec<&str> = mapping.files.iter().map(|file| file.name.as_str()).collect();
        let fields = mapping.files.iter().flat_map(|file| &file.records).flat_map(|record| &record.fields);
        let unknown = fields
            .filter_map(|mapped| mapped.source.spelled_as.as_ref())
            .find(|(file, _)| !names.contains(&file.as_str()));
        match unknown {
            None => Ok(()),
            Some((file, _)) => {
                let near = nearest(file, &names);
                let problem = format!("`spelled_as` names the file `{file}`, which isn't in [files]{near}");
                Err(self.error(table.span(), problem))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"
        delimiter = ";"
        decimal_separator = ","
        date_formats = ["%d/%m/%Y"]

        [files.opportunities]
        name = "opportunit*.csv"

        [files.opportunities.deal]
        deal_id = "Id"
        opened_at = "Created"
        status = { column = "Stage", values = { "Closed Won" = "won" }, otherwise = "open" }
        closed_at = { column = "Close Date", only_if = { column = "Stage", is = "Closed Won" } }
        probability_bps = { column = "Probability (%)", percent = true }
        amount = "Amount"
        "amount.currency_code" = "Currency"
        partner_credits.0.partner_id = "Partner"
        partner_credits.0.role = { constant = "sourced" }
        labels.industry = "Industry"
    "#;

    #[test]
    fn the_example_is_read() {
        let mapping = Mapping::parse("map.toml", EXAMPLE).expect("the example is right");
        assert_eq!((mapping.delimiter, mapping.decimal_comma), (b';', true));
        let [file] = mapping.files.as_slice() else { panic!("one file") };
        let [deal] = file.records.as_slice() else { panic!("one record") };
        assert_eq!(deal.fields.len(), 10);
        let last = deal.fields.last().expect("there are fields");
        assert!(
            matches!(&last.source.input, Input::Constant(role) if role == "sourced"),
            "constants come last"
        );
        assert_eq!(file.needed_columns().get("Stage"), Some(&Some("status")));
    }

    #[test]
    fn the_documented_example_is_right() {
        let page = include_str!("../../docs/import.md");
        let example =
            page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let mapping = Mapping::parse("docs/import.md", example).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(mapping.files.len(), 4);
    }

    #[test]
    fn wrong_mappings_are_explained() {
        let deal =
            |line: &str| format!("[files.d.deal]\ndeal_id = \"Id\"\nopened_at = \"Created\"\n{line}\n");
        for (text, expected) in [
            (deal("amout = \"A\""), "map.toml:4:1: a deal has no field `amout`: did you mean `amount`"),
            (deal("amount = 5"), "map.toml:4:10: is integer, must be text in quotes"),
            (deal("amount = { colum = \"A\" }"), "map.toml:4:12: `amount.colum` reaches into one value"),
            (
                deal("stage = { column = \"S\", valus = {} }"),
                "map.toml:4:25: `stage` has no `valus`: did you mean `values`",
            ),
            (
                deal("stage = { column = \"S\", percent = true }"),
                "`percent` is for fields in basis points, not for `stage`",
            ),
            (deal("closed_at = { column = \"C\", date_formats = \"%Q\" }"), "`%Q` isn't a date format"),
            (
                deal("product = { column = \"P\", spelled_as = \"products.Name\" }"),
                "names the file `products`, which isn't in [files]",
            ),
            ("[files.d.deal]\nopened_at = \"Created\"\n".into(), "map.toml:1:10: a deal needs its `deal_id`"),
            ("[files.d.deals]\n".into(), "map.toml:1:10: a file has no `deals`: did you mean `deal`"),
            (
                "delimeter = \";\"\n".into(),
                "map.toml:1:1: a mapping has no `delimeter`: did you mean `delimiter`",
            ),
            ("delimiter = \";;\"\n".into(), "map.toml:1:13: is one character"),
            ("currency = \"EUR\"\n".into(), "map.toml:1:1: maps no file"),
            ("[files".into(), "map.toml:1:7: "),
        ] {
            let error = Mapping::parse("map.toml", &text).expect_err(&text).to_string();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }
}
