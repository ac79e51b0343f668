//! What is wrong with a message and where: found without stopping at the first.
//!
//! Invariants:
//! 1. Where nothing is wrong nothing is allocated: a [`Path`] is a list linked through the stack, and
//!    becomes text only for a violation.
//! 2. A parser that gives nothing out has refused something. One that has refused something may still
//!    give out a value: [`collect`] drops it.
//! 3. Every violation is counted, and the first few are kept: a message of millions of wrong fields
//!    costs no more memory than one of fifty.

use std::cell::RefCell;
use std::fmt;

/// Something wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its path, such as `records[17].deal.amount`.
    pub field: String,
    /// What is wrong and what to send instead; reads on from the path.
    pub description: String,
}

/// What is wrong with a message: at least one violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations {
    kept: Vec<Violation>,
    count: usize,
}

// === impl Violations ===

impl Violations {
    /// The most that one answer lists.
    pub const KEPT_MAX: usize = 50;

    /// For what shows only after parsing, such as a window that reaches before 1970 on its `as_of`.
    pub fn one(field: &str, description: impl fmt::Display) -> Self {
        let violation = Violation { field: field.to_owned(), description: description.to_string() };
        Self { kept: vec![violation], count: 1 }
    }

    /// The first ones, at most [`Violations::KEPT_MAX`].
    pub fn kept(&self) -> &[Violation] {
        &self.kept
    }

    /// How many there are, those included that weren't kept.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Display for Violations {
    /// The first one, and how many more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [Violation { field, description }, ..] = &self.kept[..] {
            write!(f, "{field}: {description}")?;
        }
        match self.count {
            0 | 1 => Ok(()),
            count => write!(f, " (and {} more)", count - 1),
        }
    }
}
impl std::error::Error for Violations {}

/// What has been found so far.
struct Findings {
    violations: RefCell<Violations>,
    kept_max: usize,
}

/// Parses a message from its root: its value, or all that is wrong with it, of which the first
/// `kept_max` are kept.
pub(super) fn collect<T>(
    kept_max: usize,
    parse: impl FnOnce(Path<'_>) -> Option<T>,
) -> Result<T, Violations> {
    let none = Violations { kept: Vec::new(), count: 0 };
    let findings = Findings { violations: RefCell::new(none), kept_max };
    let parsed = parse(Path { findings: &findings, parent: None, step: Step::Root });
    let violations = findings.violations.into_inner();
    match parsed {
        Some(value) if violations.count == 0 => Ok(value),
        _ => Err(violations),
    }
}

/// Where a parser is in a message.
#[derive(Clone, Copy)]
pub(super) struct Path<'a> {
    findings: &'a Findings,
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

/// The last step of a path.
#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'static str),
    Index(usize),
    Key(&'a str),
}

// === impl Path ===

impl Path<'_> {
    /// A field of the message here.
    pub(super) fn field(&self, name: &'static str) -> Path<'_> {
        self.step(Step::Field(name))
    }

    /// An item of the list here.
    pub(super) fn index(&self, place: usize) -> Path<'_> {
        self.step(Step::Index(place))
    }

    /// An entry of the map here.
    pub(super) fn key<'a>(&'a self, key: &'a str) -> Path<'a> {
        self.step(Step::Key(key))
    }

    fn step<'a>(&'a self, step: Step<'a>) -> Path<'a> {
        Path { findings: self.findings, parent: Some(self), step }
    }

    /// Notes that something is wrong here. Always None, for the parser to give out.
    pub(super) fn refuse<T>(&self, description: impl fmt::Display) -> Option<T> {
        let violations = &mut *self.findings.violations.borrow_mut();
        violations.count += 1;
        if violations.kept.len() < self.findings.kept_max {
            let violation = Violation { field: self.to_string(), description: description.to_string() };
            violations.kept.push(violation);
        }
        None
    }

    /// What a domain constructor gave, or None with its refusal noted.
    pub(super) fn check<T>(&self, made: Result<T, impl fmt::Display>) -> Option<T> {
        made.map_or_else(|error| self.refuse(error), Some)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The start of a key says which one it is; a wrong one may be as long as the message.
        const KEY_CHARS_MAX: usize = 40;

        let Some(parent) = self.parent else { return Ok(()) };
        parent.fmt(f)?;
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) if parent.parent.is_none() => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Index(place) => write!(f, "[{place}]"),
            Step::Key(key) => match key.char_indices().nth(KEY_CHARS_MAX) {
                None => write!(f, "[{key:?}]"),
                Some((end, _)) => write!(f, "[{:?}…]", &key[..end]),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_they_are_written() {
        let result: Result<(), _> = collect(9, |at| {
            at.refuse::<()>("root");
            at.field("records").index(17).field("deal").field("amount").refuse::<()>("field");
            at.field("labels").key("a\"b").refuse::<()>("key");
            at.field("labels").key(&"ক".repeat(41)).refuse::<()>("long key");
            Some(())
        });
        let violations = result.unwrap_err();
        let fields: Vec<_> = violations.kept().iter().map(|violation| violation.field.as_str()).collect();
        let long_key = format!("labels[\"{}\"…]", "ক".repeat(40));
        assert_eq!(fields, ["", "records[17].deal.amount", r#"labels["a\"b"]"#, &long_key]);
    }

    #[test]
    fn all_are_counted_and_the_first_kept() {
        let result: Result<(), _> =
            collect(2, |at| (0..1_000).filter_map(|place| at.index(place).refuse("is wrong")).next());
        let violations = result.unwrap_err();
        assert_eq!((violations.kept().len(), violations.count()), (2, 1_000));
        assert_eq!(violations.to_string(), "[0]: is wrong (and 999 more)");
        assert_eq!(collect(2, |_| Some(7)), Ok(7));
    }
}
