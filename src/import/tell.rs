//! What a row says of a field: which of its sources says anything, and what that means.

use super::files::{Asked, Import, PlannedCondition, PlannedField, PlannedSource};
use super::mapping::{Input, Source};

/// What a row says of each field of a plan, and which source says it; empty where nothing does, or isn't told yet.
pub(super) type Meanings<'i> = Vec<(&'i PlannedSource, String)>;

/// The cell that this source reads isn't UTF-8.
pub(super) struct NotUtf8<'i>(pub &'i PlannedSource);

/// A cell's text without spaces around it; `None` where it isn't UTF-8.
pub(super) fn cell(row: &csv::ByteRecord, column: Option<usize>) -> Option<&str> {
    let bytes = column.and_then(|column| row.get(column)).unwrap_or_default();
    str::from_utf8(bytes).map(str::trim).ok()
}

impl Import {
    /// What a row says of a field: the meaning of the first source that has one.
    pub(super) fn tell<'i>(
        &self,
        planned: &'i PlannedField,
        row: &csv::ByteRecord,
        meanings: &Meanings,
    ) -> Result<(&'i PlannedSource, String), NotUtf8<'i>> {
        for source in &planned.sources {
            if !all_hold(&source.only_if, row, meanings) {
                continue;
            }
            let text = match &source.source.input {
                Input::Constant(text) => text,
                Input::Column { .. } => cell(row, source.column).ok_or(NotUtf8(source))?,
            };
            let text = source.lookup.map_or(text, |number| self.lookups[number].text(text));
            let meaning = translated(&source.source, text);
            if !meaning.is_empty() {
                return Ok((source, meaning.to_owned()));
            }
        }
        Ok((&planned.sources[0], String::new()))
    }
}

fn translated<'t>(source: &'t Source, text: &'t str) -> &'t str {
    let text = match &source.first_of {
        Some(sign) => text.split(sign.as_str()).next().unwrap_or_default().trim(),
        None => text,
    };
    let known = if source.values.is_empty() { None } else { source.values.get(&text.to_lowercase()) };
    match (known, &source.otherwise) {
        (Some(meaning), _) => meaning,
        (None, Some(otherwise)) if !text.is_empty() => otherwise,
        (None, _) => text,
    }
}

/// Whether a row passes, as far as its fields are told.
pub(super) fn all_hold<'i>(
    conditions: impl IntoIterator<Item = &'i PlannedCondition>,
    row: &csv::ByteRecord,
    meanings: &Meanings,
) -> bool {
    conditions.into_iter().all(|PlannedCondition { condition, asked }| {
        condition.holds(match asked {
            Asked::Cell(column) => cell(row, Some(*column)).unwrap_or_default(),
            Asked::Field(at) => &meanings[*at].1,
            Asked::Nothing => "",
        })
    })
}

/// The sources of a field that have something in a row.
pub(super) fn told<'i>(
    planned: &'i PlannedField,
    row: &csv::ByteRecord,
) -> impl Iterator<Item = &'i PlannedSource> {
    let told = |source: &&PlannedSource| {
        source.column.is_some() && !cell(row, source.column).unwrap_or_default().is_empty()
    };
    planned.sources.iter().filter(told)
}
