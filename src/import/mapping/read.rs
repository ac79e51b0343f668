//! Mappings out of TOML.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{
    Column, Condition, FieldMapping, FileMapping, Input, Join, Mapping, MappingError, RecordMapping, Share,
    Source, Tested,
};
use crate::import::field::{Field, Leaf, RecordKind, nearest};

const MAPPING_KEYS: [&str; 7] =
    ["currency", "date_formats", "decimal_separator", "delimiter", "files", "optional_columns", "time_zone"];
const SOURCE_KEYS: [&str; 12] = [
    "by",
    "column",
    "constant",
    "date_formats",
    "first_of",
    "fraction",
    "from",
    "only_if",
    "otherwise",
    "percent",
    "spelled_as",
    "values",
];

/// Reads a mapping; `name` is what errors call it.
pub(super) fn mapping(name: &str, text: &str) -> Result<Mapping, MappingError> {
    let page = Page { name, text };
    let table = DeTable::parse(text)
        .map_err(|error| page.error(error.span().unwrap_or_default(), error.message().to_owned()))?;
    let mut mapping = Mapping::plain(name);
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
            "optional_columns" => mapping.optional_columns = page.flag_of(key, value)?,
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
    page.check_files(&mapping, &table)?;
    Ok(mapping)
}

/// The text of a mapping while it is read.
struct Page<'t> {
    name: &'t str,
    text: &'t str,
}

type Key<'t> = Spanned<std::borrow::Cow<'t, str>>;
type Cell<'t> = Spanned<DeValue<'t>>;

impl Page<'_> {
    fn error(&self, span: Range<usize>, problem: impl Into<String>) -> MappingError {
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

    fn flag_of(&self, key: &Key, value: &Cell) -> Result<bool, MappingError> {
        let wanted = || self.error(value.span(), format!("`{}` is true or false", key.get_ref()));
        value.get_ref().as_bool().ok_or_else(wanted)
    }

    fn table_of<'v, 't>(&self, value: &'v Cell<'t>) -> Result<&'v DeTable<'t>, MappingError> {
        let wanted =
            || self.error(value.span(), format!("is {}, must be a table", value.get_ref().type_str()));
        value.get_ref().as_table().ok_or_else(wanted)
    }

    /// One text, or a list of them, but not an empty one.
    fn texts_of(&self, value: &Cell) -> Result<Vec<String>, MappingError> {
        match value.get_ref().as_array() {
            Some(array) if array.is_empty() => Err(self.error(value.span(), "is empty: name one at least")),
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
                "columns" => {
                    let columns = value.get_ref().as_array().ok_or_else(|| {
                        self.error(value.span(), r#"`columns` is a list: ["Name", ["Price", "List Price"]]"#)
                    })?;
                    file.columns =
                        columns.iter().map(|names| self.texts_of(names)).collect::<Result<_, _>>()?;
                }
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
        let only_if = table.get("only_if").map(|value| self.conditions(value)).transpose()?;
        let record = RecordMapping::new(kind.clone(), only_if.unwrap_or_default(), fields);
        self.check_conditions(key, &record)?;
        match record.missing() {
            None => Ok(record),
            Some(field) => {
                let problem =
                    format!("{} needs its `{}`: say which column holds it", kind.described(), field.path);
                Err(self.error(key.span(), problem))
            }
        }
    }

    /// A condition names a field of its own record, and one that waits for no other.
    fn check_conditions(&self, key: &Key, record: &RecordMapping) -> Result<(), MappingError> {
        let sources = record.fields.iter().flat_map(|mapped| &mapped.sources);
        let conditions = sources.flat_map(|source| &source.only_if).chain(&record.only_if);
        for path in conditions.filter_map(Condition::field) {
            let problem = match record.fields.iter().find(|mapped| mapped.field.path == path) {
                None => format!("`only_if` asks about `{path}`, to which this record has no column"),
                Some(asked) if asked.waits() => {
                    format!(
                        "`only_if` asks about `{path}`, which asks about a field itself: ask about that one"
                    )
                }
                Some(_) => continue,
            };
            return Err(self.error(key.span(), problem));
        }
        Ok(())
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
                _ if path == "only_if" => {}
                Some(parts) if !parts.contains_key("column") && !parts.contains_key("constant") => {
                    self.fields(kind, &format!("{path}."), parts, fields)?;
                }
                _ => {
                    let field =
                        Field::resolve(kind, &path).map_err(|problem| self.error(key.span(), problem))?;
                    let sources = match value.get_ref().as_array() {
                        None => vec![self.source(&field, value)?],
                        Some(array) if array.is_empty() => {
                            return Err(self.error(value.span(), "is empty: name one column at least"));
                        }
                        Some(array) => {
                            array.iter().map(|one| self.source(&field, one)).collect::<Result<_, _>>()?
                        }
                    };
                    fields.push(FieldMapping { field, sources });
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
                "column" | "constant" | "from" | "by" => {}
                "date_formats" => source.dates = self.date_formats(value)?,
                "otherwise" => source.otherwise = Some(self.constant(value)?),
                name @ ("percent" | "fraction") => {
                    if self.flag_of(key, value)? {
                        source.share = if name == "percent" { Share::PerCent } else { Share::Fraction };
                    }
                    if !(field.path.ends_with("_bps") && matches!(field.leaf(), Leaf::Int32)) {
                        let problem =
                            format!("`{name}` is for fields in basis points, not for `{}`", field.path);
                        return Err(self.error(key.span(), problem));
                    }
                }
                "values" => source.values = self.values(value)?,
                "only_if" => source.only_if = self.conditions(value)?,
                "first_of" => source.first_of = Some(self.text_of(value)?.into()),
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
        source.input = self.input(value, table)?;
        Ok(source)
    }

    fn input(&self, whole: &Cell, table: &DeTable) -> Result<Input, MappingError> {
        let from = self.join(whole, table)?;
        match (table.get("column"), table.get("constant")) {
            (Some(_), Some(_)) => {
                Err(self.error(whole.span(), "has a column and a constant: name one of them"))
            }
            (Some(column), None) => Ok(Input::Column { column: self.texts_of(column)?, from }),
            (None, Some(_)) if from.is_some() => {
                Err(self.error(whole.span(), "has `from` and a constant: name the other file's column"))
            }
            (None, Some(constant)) => Ok(Input::Constant(self.constant(constant)?)),
            (None, None) => Err(self.error(whole.span(), "names no column and no constant")),
        }
    }

    /// `from = "leads.Id"`, and `by`, the column of this file with what is to be found there: by default of the same
    /// name.
    fn join(&self, whole: &Cell, table: &DeTable) -> Result<Option<Join>, MappingError> {
        let Some(from) = table.get("from") else {
            return match table.get("by") {
                Some(_) => Err(self.error(whole.span(), "has `by` without `from`, the file to look in")),
                None => Ok(None),
            };
        };
        let wrong = || {
            let problem = r#"`from` is a file of this mapping and its column to look in: "leads.Id""#;
            self.error(from.span(), problem)
        };
        let mut file = "";
        let mut key = Column::new();
        let texts = self.texts_of(from)?;
        for text in &texts {
            let (named, column) = text.split_once('.').ok_or_else(wrong)?;
            if !file.is_empty() && file != named {
                return Err(wrong());
            }
            file = named;
            key.push(column.into());
        }
        let by = table.get("by").map(|by| self.texts_of(by)).transpose()?;
        Ok(Some(Join { file: file.into(), by: by.unwrap_or_else(|| key.clone()), key }))
    }

    fn values(&self, value: &Cell) -> Result<BTreeMap<String, String>, MappingError> {
        let mut values = BTreeMap::new();
        for (word, meaning) in self.table_of(value)? {
            let meaning = self.constant(meaning)?;
            let known = values.insert(word.get_ref().to_lowercase(), meaning.clone());
            if known.is_some_and(|known| known != meaning) {
                let problem =
                    format!("`{}` is there already: words differ by more than case", word.get_ref());
                return Err(self.error(word.span(), problem));
            }
        }
        Ok(values)
    }

    /// One condition, or a list of which all must hold.
    fn conditions(&self, value: &Cell) -> Result<Vec<Condition>, MappingError> {
        match value.get_ref().as_array() {
            Some(array) => array.iter().map(|one| self.condition(one)).collect(),
            None => Ok(vec![self.condition(value)?]),
        }
    }

    fn condition(&self, value: &Cell) -> Result<Condition, MappingError> {
        let wrong = || {
            let problem = "`only_if` is written { column = \"Stage\", is = [\"Closed Won\"] }, with `field` for \
                           `column` or `is_not` for `is`";
            self.error(value.span(), problem)
        };
        let table = value.get_ref().as_table().filter(|table| table.len() == 2).ok_or_else(wrong)?;
        let tested = match (table.get("column"), table.get("field")) {
            (Some(column), None) => Tested::Column(self.texts_of(column)?),
            (None, Some(field)) => Tested::Field(self.text_of(field)?.into()),
            _ => return Err(wrong()),
        };
        let (words, is) = match (table.get("is"), table.get("is_not")) {
            (Some(words), None) => (words, true),
            (None, Some(words)) => (words, false),
            _ => return Err(wrong()),
        };
        let words = self.texts_of(words)?.iter().map(|word| word.to_lowercase()).collect();
        Ok(Condition { tested, words, is })
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

    /// `spelled_as` and `from` name files of the mapping, and every file can be known by something.
    fn check_files(&self, mapping: &Mapping, table: &Spanned<DeTable>) -> Result<(), MappingError> {
        let names: Vec<&str> = mapping.files.iter().map(|file| file.name.as_str()).collect();
        let named = mapping.sources().flat_map(|source| {
            let spelled = source.spelled_as.as_ref().map(|(file, _)| ("spelled_as", file));
            let joined = match &source.input {
                Input::Column { from: Some(join), .. } => Some(("from", &join.file)),
                _ => None,
            };
            spelled.into_iter().chain(joined)
        });
        if let Some((key, file)) = named.into_iter().find(|(_, file)| !names.contains(&file.as_str())) {
            let near = nearest(file, &names);
            let problem = format!("`{key}` names the file `{file}`, which isn't in [files]{near}");
            return Err(self.error(table.span(), problem));
        }
        let unknowable = |file: &&super::FileMapping| file.pattern.is_none() && file.columns.is_empty();
        match mapping.files.iter().find(unknowable) {
            Some(file) if mapping.optional_columns => {
                let problem = format!(
                    "with `optional_columns` the file `{}` needs `columns`, by which it is known, or `name`",
                    file.name
                );
                Err(self.error(table.span(), problem))
            }
            _ => Ok(()),
        }
    }
}
