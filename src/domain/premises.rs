//! Premises: what an answer rests on (docs/kpis.md §1 "Credit", §2 "Knowledge", §3, §4).

use super::calendar::{Date, Instant};
use super::filter::Filter;
use super::record::Role;
use super::window::Window;

/// Which deals count, for whom, at which rates, and as they were known when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Premises {
    pub filter: Filter,
    pub roles: Roles,
    pub exchange: ExchangePolicy,
    pub knowledge: Knowledge,
}

/// A set of credit roles. By default those who sourced a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Roles(u8);

/// How amounts in other currencies are converted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExchangePolicy {
    /// Each at its own date's rate.
    #[default]
    AtClose,
    /// All at the rates of the last day of the question's window that has come.
    WindowEnd,
    /// All at a given date's rates.
    Fixed(Date),
}

/// The day whose rates convert an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RatesOn {
    /// That on which it counts.
    OwnDay,
    Day(Date),
}

/// As of when records, rates and settings are taken. Both absent: everything known now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Knowledge {
    /// What the host knew: versions of a later `update_time` are ignored.
    pub known_at: Option<Instant>,
    /// What we had been told: versions received later are ignored.
    pub received_by: Option<Instant>,
}

// === impl Roles ===

impl Roles {
    pub const SOURCED: Self = Self(1 << Role::Sourced as u8);

    pub fn of(roles: &[Role]) -> Self {
        Self(roles.iter().fold(0, |bits, &role| bits | 1 << role as u8))
    }

    pub fn contains(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self::SOURCED
    }
}

// === impl ExchangePolicy ===

impl ExchangePolicy {
    /// The rates of a question about a window, of its comparisons and peers too: constant currency.
    pub fn rates_in(self, window: &Window) -> RatesOn {
        match self {
            Self::AtClose => RatesOn::OwnDay,
            Self::WindowEnd => RatesOn::Day(window.counted().to.plus_days(-1).min(window.as_of)),
            Self::Fixed(on) => RatesOn::Day(on),
        }
    }

    /// The rates of what happened in days that end with `as_of`.
    pub fn rates_until(self, as_of: Date) -> RatesOn {
        match self {
            Self::AtClose => RatesOn::OwnDay,
            Self::WindowEnd => RatesOn::Day(as_of),
            Self::Fixed(on) => RatesOn::Day(on),
        }
    }

    /// The rates of a question about what is open on a date.
    pub fn rates_of_stock(self, as_of: Date) -> Date {
        match self {
            Self::AtClose | Self::WindowEnd => as_of,
            Self::Fixed(on) => on,
        }
    }
}

// === impl RatesOn ===

impl RatesOn {
    /// The one day, where it is one.
    pub fn day(self) -> Option<Date> {
        match self {
            Self::OwnDay => None,
            Self::Day(on) => Some(on),
        }
    }
}

// === impl Knowledge ===

impl Knowledge {
    /// Whether everything known now counts.
    pub fn is_of_now(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all that is included here is included in `later`, too, whatever versions there are.
    pub fn is_within(&self, later: &Self) -> bool {
        let is_within = |here: Option<Instant>, there: Option<Instant>| match (here, there) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(here), Some(there)) => here <= there,
        };
        is_within(self.known_at, later.known_at) && is_within(self.received_by, later.received_by)
    }

    /// Whether a version of this `update_time`, received first at `received_time`, was known.
    pub fn includes(&self, update_time: Instant, received_time: Instant) -> bool {
        self.known_at.is_none_or(|known_at| update_time <= known_at)
            && self.received_by.is_none_or(|received_by| received_time <= received_by)
    }
}
