//! Where in a record a value goes: a dotted path such as `partner_credits.0.partner_id`, resolved against the
//! descriptors of the API.
//!
//! Every field of every kind of record that a CSV can carry is reached in this way, so a new field in `proto/` is
//! importable without a line here.
//!
//! Invariants:
//! 1. A resolved field ends in something that one cell can hold: text, a number, a flag, a name of an enum, an
//!    instant, a date, money or a decimal.
//! 2. `put` never leaves two fields of one oneof set: the second one is an error.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey};
use prost_reflect::{MessageDescriptor, Value};

use crate::proto::FILE_DESCRIPTOR_SET;

/// The descriptors of the whole API.
pub(super) static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("build.rs writes a valid descriptor set")
});

/// `channelkpi.v1.Record`.
pub(super) static RECORD: LazyLock<MessageDescriptor> = LazyLock::new(|| message("channelkpi.v1.Record"));

/// The message of that full name.
pub(super) fn message(full_name: &str) -> MessageDescriptor {
    POOL.get_message_by_name(full_name).expect("the descriptor set holds every message that the code names")
}

/// A kind of record that can be imported: a field of the oneof in `Record`.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordKind {
    field: FieldDescriptor,
    message: MessageDescriptor,
}

impl RecordKind {
    /// All kinds but the settings, which AdminService writes, in the order of the API.
    pub fn all() -> impl Iterator<Item = Self> {
        RECORD
            .fields()
            .filter(|field| field.containing_oneof().is_some_and(|oneof| oneof.name() == "record"))
            .filter_map(|field| match field.kind() {
                Kind::Message(message) if message.name() != "TenantSettings" => Some(Self { field, message }),
                _ => None,
            })
    }

    /// The kind of that name, such as `deal`.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }

    /// The name in `Record`: `deal`, `org_unit`.
    pub fn name(&self) -> &str {
        self.field.name()
    }

    /// The name for people, with its article: `a deal`, `an org unit`.
    pub fn described(&self) -> String {
        let article = if self.name().starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{article} {}", self.name().replace('_', " "))
    }

    /// A record of this kind with nothing in it.
    pub(super) fn empty_record(&self) -> DynamicMessage {
        let mut record = DynamicMessage::new(RECORD.clone());
        record.set_field(&self.field, Value::Message(DynamicMessage::new(self.message.clone())));
        record
    }

    /// The fields without which the server refuses a record of this kind.
    pub(super) fn required(&self) -> impl Iterator<Item = Field> {
        self.message.fields().filter(is_required).map(|field| Field {
            path: field.name().into(),
            steps: vec![Step::Field(self.field.clone()), Step::Field(field)],
        })
    }

    /// Every path that a mapping may name, for people: lists with `0`, maps with `KEY`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        collect_paths(&self.message, "", &mut paths);
        paths.extend(ENVELOPE.iter().map(|name| name.to_string()));
        paths
    }
}

/// The fields of `Record` itself that a cell can fill.
const ENVELOPE: [&str; 3] = ["update_time", "sequence", "deleted"];

fn is_required(field: &FieldDescriptor) -> bool {
    const REQUIRED: i32 = 2; // google.api.FieldBehavior
    let behaviour = POOL.get_extension_by_name("google.api.field_behavior").expect("the API imports it");
    match field.options().get_extension(&behaviour).as_ref() {
        Value::List(values) => values.iter().any(|value| value.as_enum_number() == Some(REQUIRED)),
        _ => false,
    }
}

fn collect_paths(message: &MessageDescriptor, prefix: &str, paths: &mut Vec<String>) {
    for field in message.fields() {
        let path = format!("{prefix}{}", field.name());
        match (Leaf::of(&field), field.kind()) {
            _ if field.is_map() => paths.push(format!("{path}.KEY")),
            (Some(Leaf::Money), _) => paths.extend([path.clone(), format!("{path}.{CURRENCY}")]),
            (Some(_), _) => paths.push(path),
            (None, Kind::Message(inner)) if field.is_list() => {
                collect_paths(&inner, &format!("{path}.0."), paths)
            }
            (None, Kind::Message(inner)) => collect_paths(&inner, &format!("{path}."), paths),
            (None, _) => {}
        }
    }
}

const CURRENCY: &str = "currency_code";

/// What the cell of a field holds.
#[derive(Clone, Debug)]
pub(super) enum Leaf {
    Text,
    Flag,
    Int32,
    Int64,
    Enum(EnumDescriptor),
    Instant,
    Date,
    /// An amount; its currency is a field of its own, `<path>.currency_code`.
    Money,
    Currency,
    Decimal,
}

impl Leaf {
    fn of(field: &FieldDescriptor) -> Option<Self> {
        if field.is_list() || field.is_map() {
            return None;
        }
        Self::of_kind(field.kind())
    }

    fn of_kind(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::String => Self::Text,
            Kind::Bool => Self::Flag,
            Kind::Int32 => Self::Int32,
            Kind::Int64 => Self::Int64,
            Kind::Enum(descriptor) => Self::Enum(descriptor),
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => Self::Instant,
                "google.type.Date" => Self::Date,
                "google.type.Money" => Self::Money,
                "google.type.Decimal" => Self::Decimal,
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// A field of a record, by its path.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub path: String,
    /// From the record down; never empty.
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Field(FieldDescriptor),
    Element(FieldDescriptor, usize),
    Entry(FieldDescriptor, String),
}

impl Step {
    fn field(&self) -> &FieldDescriptor {
        match self {
            Self::Field(field) | Self::Element(field, _) | Self::Entry(field, _) => field,
        }
    }
}

/// The most elements that a list can have in a mapping: that of partner credits.
const ELEMENTS_MAX: usize = 64;

impl Field {
    /// Finds the field that `path` names in a kind of record, or says why there is none.
    pub fn resolve(kind: &RecordKind, path: &str) -> Result<Self, String> {
        let unknown = || {
            let near = nearest(path, &kind.paths());
            format!("{} has no field `{path}`{near}", kind.described())
        };
        if ENVELOPE.contains(&path) {
            let field = RECORD.get_field_by_name(path).expect("Record has the fields of its envelope");
            return Ok(Self { path: path.into(), steps: vec![Step::Field(field)] });
        }
        let mut steps = vec![Step::Field(kind.field.clone())];
        let mut message = kind.message.clone();
        let mut rest = path;
        loop {
            let (name, after) =
                rest.split_once('.').map_or((rest, None), |(name, after)| (name, Some(after)));
            let field = message.get_field_by_name(name).ok_or_else(unknown)?;
            match (field.kind(), after) {
                _ if field.is_map() => {
                    let key = after.filter(|key| !key.is_empty());
                    let key =
                        key.ok_or_else(|| format!("`{path}` needs a key, such as `{path}.industry`"))?;
                    steps.push(Step::Entry(field, key.into()));
                    break;
                }
                (Kind::Message(inner), Some(after)) if field.is_list() => {
                    let (index, after) = after.split_once('.').ok_or_else(unknown)?;
                    let index: usize = index.parse().map_err(|_| unknown())?;
                    if index >= ELEMENTS_MAX {
                        return Err(format!(
                            "`{path}` counts to {index}: a list has at most {ELEMENTS_MAX} elements"
                        ));
                    }
                    steps.push(Step::Element(field, index));
                    (message, rest) = (inner, after);
                }
                (_, None) if field.is_list() => {
                    return Err(format!(
                        "`{path}` is a list: name an element's field, such as {}",
                        element_of(&field, path)
                    ));
                }
                (Kind::Message(inner), Some(after)) => {
                    match Leaf::of(&field) {
                        None => {}
                        Some(Leaf::Money) if after == CURRENCY => {}
                        Some(_) => {
                            return Err(format!("`{path}` reaches into one value: map `{name}` itself"));
                        }
                    }
                    steps.push(Step::Field(field));
                    (message, rest) = (inner, after);
                }
                (_, None) if Leaf::of(&field).is_some() => {
                    steps.push(Step::Field(field));
                    break;
                }
                (Kind::Message(inner), None) => {
                    let mut paths = Vec::new();
                    collect_paths(&inner, &format!("{path}."), &mut paths);
                    return Err(format!("`{path}` has parts: name one of them: {}", quoted(&paths)));
                }
                _ => return Err(unknown()),
            }
        }
        Ok(Self { path: path.into(), steps })
    }

    /// What its cell holds.
    pub fn leaf(&self) -> Leaf {
        self.try_leaf().expect("a resolved path ends in a leaf")
    }

    /// What its cell holds; nothing where a required field is a message of several parts.
    pub fn try_leaf(&self) -> Option<Leaf> {
        match self.steps.as_slice() {
            [.., Step::Field(money), Step::Field(field)] if field.name() == CURRENCY && is_money(money) => {
                Some(Leaf::Currency)
            }
            [.., Step::Entry(..)] => Some(Leaf::Text), // labels: the API has no other maps
            [.., Step::Field(field)] => Leaf::of(field),
            _ => None,
        }
    }

    /// Whether this field is, lies in or holds the one that a violation of the server names, such as
    /// `deal.partner_credits[0].partner_id`.
    pub fn is_meant_by(&self, violation: &str) -> bool {
        let full = self.steps.iter().fold(String::new(), |mut path, step| {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(step.field().name());
            match step {
                Step::Field(_) => {}
                Step::Element(_, index) => path.push_str(&format!("[{index}]")),
                Step::Entry(_, key) => path.push_str(&format!(".{key}")),
            }
            path
        });
        let within = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        within(&full, violation) || within(violation, &full)
    }

    /// Whether the message in which the field lies is there already with something in it. True for the fields of the
    /// record itself, which is always there.
    pub fn has_home(&self, record: &DynamicMessage) -> bool {
        let (_, home) = self.steps.split_last().expect("a field has steps");
        if home.len() <= 1 {
            return true;
        }
        let mut at = record.clone();
        for step in home {
            let value = at.get_field(step.field()).into_owned();
            let inner = match (step, value) {
                (Step::Field(_), Value::Message(inner)) => Some(inner),
                (Step::Element(_, index), Value::List(list)) => {
                    list.get(*index).and_then(Value::as_message).cloned()
                }
                _ => None,
            };
            match inner {
                Some(inner) if inner.fields().next().is_some() => at = inner,
                _ => return false,
            }
        }
        true
    }

    /// Sets the field. Fails where another field of the same oneof is set.
    pub fn put(&self, record: &mut DynamicMessage, value: Value) -> Result<(), String> {
        let (last, home) = self.steps.split_last().expect("a field has steps");
        let mut at = record;
        for step in home {
            at = step.enter(at)?;
        }
        match last {
            Step::Field(field) => {
                let rival = rival(at, field);
                if let Some(rival) = rival {
                    return Err(format!("`{}` and `{rival}` are both given: only one can be", field.name()));
                }
                at.set_field(field, value);
            }
            Step::Entry(field, key) => {
                if let Value::Map(entries) = at.get_field_mut(field) {
                    entries.insert(MapKey::String(key.clone()), value);
                }
            }
            Step::Element(..) => unreachable!("a resolved path ends in a leaf"),
        }
        Ok(())
    }

    pub fn is_set(&self, record: &DynamicMessage) -> bool {
        let [Step::Field(kind), Step::Field(field)] = self.steps.as_slice() else {
            return self.has_home(record);
        };
        let inner = record.get_field(kind);
        inner.as_message().is_some_and(|message| message.has_field(field))
    }
}

impl Step {
    fn enter<'m>(&self, message: &'m mut DynamicMessage) -> Result<&'m mut DynamicMessage, String> {
        let field = self.field();
        if let Some(rival) = rival(message, field) {
            return Err(format!("`{}` and `{rival}` are both given: only one can be", field.name()));
        }
        match (self, message.get_field_mut(field)) {
            (Self::Field(_), Value::Message(inner)) => Ok(inner),
            (Self::Element(_, index), Value::List(list)) => {
                let Kind::Message(element) = field.kind() else {
                    unreachable!("resolved lists hold messages")
                };
                while list.len() <= *index {
                    list.push(Value::Message(DynamicMessage::new(element.clone())));
                }
                match &mut list[*index] {
                    Value::Message(inner) => Ok(inner),
                    _ => unreachable!("resolved lists hold messages"),
                }
            }
            _ => unreachable!("a resolved path enters messages"),
        }
    }
}

/// The field that is set in the place of this one, where both belong to one oneof.
fn rival(message: &DynamicMessage, field: &FieldDescriptor) -> Option<String> {
    let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic())?;
    let rival = oneof.fields().find(|other| other != field && message.has_field(other))?;
    Some(rival.name().into())
}

/// Takes the elements out of lists that nothing was put into: a mapping counts them by place, and a row may leave any
/// of them empty.
pub(super) fn drop_empty_elements(message: &mut DynamicMessage) {
    for (_, value) in message.fields_mut() {
        match value {
            Value::Message(inner) => drop_empty_elements(inner),
            Value::List(list) => {
                list.retain(|element| {
                    element.as_message().is_none_or(|inner| inner.fields().next().is_some())
                });
            }
            _ => {}
        }
    }
}

fn is_money(field: &FieldDescriptor) -> bool {
    matches!(Leaf::of(field), Some(Leaf::Money))
}

fn element_of(field: &FieldDescriptor, path: &str) -> String {
    let mut paths = Vec::new();
    if let Kind::Message(inner) = field.kind() {
        collect_paths(&inner, &format!("{path}.0."), &mut paths);
    }
    quoted(&paths)
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// `: did you mean …?` with the names that look most like the one given, or nothing.
pub(super) fn nearest<S: AsRef<str>>(given: &str, names: &[S]) -> String {
    const SIMILAR: f64 = 0.8;
    let given = given.to_lowercase();
    let mut ranked: Vec<(f64, &str)> = names
        .iter()
        .map(|name| (strsim::jaro_winkler(&given, &name.as_ref().to_lowercase()), name.as_ref()))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let names: Vec<String> = ranked.into_iter().take(3).map(|(_, name)| name.to_owned()).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(": did you mean {}?", quoted(&names).replace(", ", " or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deal() -> RecordKind {
        RecordKind::by_name("deal").expect("deals are importable")
    }

    #[test]
    fn every_kind_but_settings_is_importable() {
        let names: Vec<String> = RecordKind::all().map(|kind| kind.name().to_owned()).collect();
        assert_eq!(
            names.join(" "),
            "partner org_unit employee lead deal marketing_channel marketing_spend target exchange_rate strategy"
        );
    }

    #[test]
    fn every_listed_path_resolves() {
        for kind in RecordKind::all() {
            for path in kind.paths() {
                let field = Field::resolve(&kind, &path).unwrap_or_else(|error| panic!("{path}: {error}"));
                field.leaf();
            }
        }
    }

    #[test]
    fn wrong_paths_are_explained() {
        for (path, expected) in [
            ("amout", "a deal has no field `amout`: did you mean `amount`"),
            ("amount.nanos", "`amount.nanos` reaches into one value: map `amount` itself"),
            ("opened_at.seconds", "reaches into one value: map `opened_at` itself"),
            ("partner_credits", "is a list: name an element's field, such as `partner_credits.0.partner_id`"),
            ("partner_credits.partner_id", "a deal has no field `partner_credits.partner_id`"),
            ("partner_credits.64.partner_id", "a list has at most 64 elements"),
            ("labels", "`labels` needs a key, such as `labels.industry`"),
        ] {
            let error = Field::resolve(&deal(), path).expect_err(path);
            assert!(error.contains(expected), "{path}: {error}");
        }
    }

    #[test]
    fn two_fields_of_a_oneof_are_refused() {
        let target = RecordKind::by_name("target").expect("targets are importable");
        let mut record = target.empty_record();
        let put = |record: &mut DynamicMessage, path: &str| {
            Field::resolve(&target, path).expect(path).put(record, Value::String("x".into()))
        };
        put(&mut record, "subject.employee_id").expect("the first of the oneof");
        let error = put(&mut record, "subject.partner.partner_id").expect_err("the second of the oneof");
        assert_eq!(error, "`partner` and `employee_id` are both given: only one can be");
    }

    #[test]
    fn violations_find_their_field() {
        let field = |path| Field::resolve(&deal(), path).expect(path);
        for (path, violation, meant) in [
            ("opened_at", "deal.opened_at", true),
            ("partner_credits.0.partner_id", "deal.partner_credits[0].partner_id", true),
            ("partner_credits.0.partner_id", "deal.partner_credits", true),
            ("partner_credits.1.partner_id", "deal.partner_credits[0].partner_id", false),
            ("amount", "deal.amount.currency_code", true),
            ("lost_reason", "deal.lost", false),
        ] {
            assert_eq!(field(path).is_meant_by(violation), meant, "{path} and {violation}");
        }
    }

    #[test]
    fn required_fields_are_read_from_the_api() {
        let required: Vec<String> = deal().required().map(|field| field.path).collect();
        assert_eq!(required, ["deal_id", "opened_at"]);
    }
}
