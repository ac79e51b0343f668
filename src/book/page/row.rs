//! A row: one share of an entry, small.

use super::Sheet;
use super::rows::Key;
use crate::book::entry::{Entry, Event, Happened, Outcome, Share, Slot, Value};
use crate::book::pools::{DeskRef, OddsRef, Pooled, TraitsRef};
use crate::domain::amount::{Amount, BasisPoints, Currency};
use crate::domain::calendar::Date;
use crate::domain::record::Role;
use crate::kpi::measures::Measures;

/// One share of an entry. There are millions of them, and a question reads thousands: small is fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub slot: Slot,
    pub on: Date,
    /// The number of the deal or lead.
    pub of: u32,
    pub other_on: Date,
    pub desk: DeskRef,
    pub traits: TraitsRef,
    /// Of the whole deal.
    value: PackedValue,
    pub(super) terms: PackedTerms,
    pub event: Event,
    /// Which of the entry's shares it is.
    pub part: u8,
    marks: Marks,
}

const _: () = assert!(size_of::<Row>() == 56);

/// A [`Value`] without the room for a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PackedValue {
    amount_e4: i64,
    /// Of the rate that converted it.
    rate_on: Date,
    kind: ValueKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueKind {
    Unknown,
    Own,
    Unconverted(Currency),
    Converted(Currency),
}

/// A row's [`Terms`](super::entry::Terms).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedTerms {
    since: Date,
    /// [`Date::NEVER`]: none.
    expected_close: Date,
    /// None: there are no terms.
    pub(super) odds: Option<OddsRef>,
}

/// How a deal stands in the pipeline from a date on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandsAs {
    pub odds: OddsRef,
    pub expected_close: Option<Date>,
}

/// A role and three facts, in a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marks(u8);

// === impl PackedValue ===

impl PackedValue {
    fn new(value: Value) -> Self {
        let amount_e4 = value.amount().map_or(0, Amount::e4);
        let (kind, rate_on) = match value {
            Value::Unknown => (ValueKind::Unknown, Date::NEVER),
            Value::Own(_) => (ValueKind::Own, Date::NEVER),
            Value::Unconverted(from) => (ValueKind::Unconverted(from), Date::NEVER),
            Value::Converted { from, oldest_rate_on, .. } => (ValueKind::Converted(from), oldest_rate_on),
        };
        Self { amount_e4, rate_on, kind }
    }

    #[inline]
    fn value(self) -> Value {
        let amount = || Amount::try_from_e4(self.amount_e4).expect("amounts went in as amounts");
        match self.kind {
            ValueKind::Unknown => Value::Unknown,
            ValueKind::Own => Value::Own(amount()),
            ValueKind::Unconverted(from) => Value::Unconverted(from),
            ValueKind::Converted(from) => {
                Value::Converted { amount: amount(), from, oldest_rate_on: self.rate_on }
            }
        }
    }
}

// === impl PackedTerms ===

impl PackedTerms {
    const NONE: Self = Self { since: Date::NEVER, expected_close: Date::NEVER, odds: None };
}

// === impl Marks ===

impl Marks {
    const ROLE: u8 = 0b0011;
    const SHARED: u8 = 0b0100;
    const PROSPECT: u8 = 0b1000;
    const BY_CHANNEL: u8 = 0b1_0000;

    fn of(entry: &Entry, role: Role) -> Self {
        let mark = |holds: bool, mark: u8| if holds { mark } else { 0 };
        Self(
            role as u8
                | mark(entry.shares.len() > 1, Self::SHARED)
                | mark(entry.is_prospect, Self::PROSPECT)
                | mark(entry.traits.channel.is_some(), Self::BY_CHANNEL),
        )
    }
}

// === impl Row ===

impl Row {
    #[inline]
    pub(super) fn key(&self) -> Key {
        Key::new(self.slot, self.on, self.of, self.part, self.event)
    }

    #[inline]
    pub fn role(&self) -> Role {
        match self.marks.0 & Marks::ROLE {
            0 => Role::Sourced,
            1 => Role::Influenced,
            _ => Role::Fulfilled,
        }
    }

    /// Whether the entry has other shares: [`Sheet`] knows them.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.marks.0 & Marks::SHARED != 0
    }

    #[inline]
    pub fn is_prospect(&self) -> bool {
        self.marks.0 & Marks::PROSPECT != 0
    }

    /// Of the whole deal.
    #[inline]
    pub fn value(&self) -> Value {
        self.value.value()
    }

    /// From which date on the row knows how the deal stands.
    pub fn stands_since(&self) -> Option<Date> {
        self.terms.odds.map(|_| self.terms.since)
    }

    /// How the deal stands at the end of a date before its end, where the row knows that: else an earlier
    /// version says it.
    #[inline]
    pub fn stands_as(&self, on: Date) -> Option<StandsAs> {
        let PackedTerms { since, expected_close, odds } = self.terms;
        let odds = odds.filter(|_| since <= on)?;
        Some(StandsAs { odds, expected_close: (expected_close != Date::NEVER).then_some(expected_close) })
    }

    /// Of an end: whether its host sent the deal once, as closed.
    pub fn was_sent_closed(&self) -> bool {
        let is_closed = !matches!(self.event, Event::DealEnded(Outcome::Open | Outcome::Expired));
        is_closed && self.terms.odds.is_some()
    }

    /// What the row's entry adds, once: its counts, and `amount` of money.
    pub fn measures(&self, amount: Option<Amount>) -> Measures {
        self.happened(amount).measures()
    }

    /// The same, to be added to some sums.
    #[inline]
    pub fn happened(&self, amount: Option<Amount>) -> Happened {
        let &Self { event, on, other_on, marks, .. } = self;
        let is_by_channel = marks.0 & Marks::BY_CHANNEL != 0;
        Happened { event, on, other_on, is_prospect: self.is_prospect(), is_by_channel, amount }
    }

    /// The shares of the row's entry.
    pub fn shares<'a>(&self, sheet: &'a Sheet, alone: &'a mut Option<Share>) -> &'a [Share] {
        // Most entries have one share: those aren't looked up.
        let shared = if self.is_shared() { sheet.shared.get(&(self.of, self.event)) } else { None };
        match shared {
            Some(shared) => &shared.shares,
            None => std::slice::from_ref(alone.insert(self.whole_share())),
        }
    }

    #[cfg(test)]
    pub(super) fn without_terms(&self) -> Self {
        Self { terms: PackedTerms::NONE, ..*self }
    }

    /// The share of an entry that has no other.
    pub(super) fn whole_share(&self) -> Share {
        Share { slot: self.slot, role: self.role(), bps: BasisPoints::WHOLE }
    }
}

/// The rows of an entry, one for each of its shares.
pub(super) fn rows_of(pooled: Pooled, entry: &Entry) -> impl Iterator<Item = Row> {
    let terms = match entry.terms {
        Some(terms) => PackedTerms {
            since: terms.since,
            expected_close: terms.expected_close.unwrap_or(Date::NEVER),
            odds: pooled.odds,
        },
        None => PackedTerms::NONE,
    };
    (0u8..).zip(&entry.shares).map(move |(at, share)| Row {
        slot: share.slot,
        on: entry.on,
        of: entry.of,
        other_on: entry.other_on,
        desk: pooled.desk,
        traits: pooled.traits,
        value: PackedValue::new(entry.value),
        terms,
        event: entry.event,
        part: at,
        marks: Marks::of(entry, share.role),
    })
}
