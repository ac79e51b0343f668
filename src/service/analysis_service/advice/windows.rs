//! Windows: the days that rules look at.

use tonic::Status;

use crate::domain::calendar::{Date, DateRange, Instant};
use crate::domain::premises::{Premises, RatesOn};
use crate::domain::record::Settings;
use crate::domain::window::{Comparison, PeriodStarts, Window, WindowSpec};
use crate::kpi::recommendation::Levels;
use crate::kpi::rules::size::MONTHS;
use crate::service::{as_of_or_today, window};

/// What is judged where no other days are asked for: a year, so that samples are large.
const DEFAULT: WindowSpec = WindowSpec::LastDays(365);

/// All of one question.
pub struct Windows {
    pub now: Window,
    /// That with which it is compared. None where there is none.
    pub before: Option<Window>,
    pub year_before: Option<Window>,
    /// The first quarter of its days.
    pub year_before_begin: Option<Window>,
    /// The ended months of a trend, oldest first.
    pub months: Vec<Window>,
    /// Of the question's window, and so of all others.
    pub rates: RatesOn,
    starts: PeriodStarts,
}

// === impl Windows ===

impl Windows {
    pub fn resolve(
        settings: &Settings,
        spec: Option<WindowSpec>,
        comparison: Comparison,
        as_of: Option<Date>,
        premises: &Premises,
        now: Instant,
    ) -> Result<Self, Status> {
        let as_of = as_of_or_today(as_of, settings, now);
        let now = window(spec.unwrap_or(DEFAULT), as_of, settings)?;
        let starts = settings.period_starts();
        // The last month that has ended: that of `as_of` where this is its last day.
        let ended = as_of.next().month().first_day();
        let month = |back: i32| {
            let (from, to) = (ended.plus_months(-back), ended.plus_months(1 - back));
            WindowSpec::Dates(DateRange { from, to }).resolve(as_of, &starts)
        };
        let year_before = now.compared(Comparison::YearBefore);
        let begin = |window: &Window| {
            let DateRange { from, .. } = window.counted();
            let to = from.plus_days((window.counted().days() + 3) / 4);
            WindowSpec::Dates(DateRange { from, to }).resolve(window.as_of, &starts)
        };
        Ok(Self {
            now,
            before: now.compared(comparison),
            year_before,
            year_before_begin: year_before.as_ref().and_then(begin),
            months: (1..=MONTHS as i32).rev().filter_map(month).collect(),
            rates: premises.exchange.rates_in(&now),
            starts,
        })
    }

    pub fn as_of(&self) -> Date {
        self.now.as_of
    }

    /// The days of a target, or any others, as of the question's date. Where they reach beyond what dates can be, the
    /// question's own window stands for them.
    pub fn of_dates(&self, dates: DateRange) -> Window {
        WindowSpec::Dates(dates).resolve(self.as_of(), &self.starts).unwrap_or(self.now)
    }

    /// The days to come in which deals expire.
    pub fn days_ahead(&self, levels: &Levels) -> Window {
        let from = self.as_of().next();
        self.of_dates(DateRange { from, to: from.plus_days(levels.expiring_days) })
    }

    /// The month that ends with the question's date.
    pub fn month_to_date(&self) -> Window {
        let (from, to) = (self.as_of().plus_months(-1).next(), self.as_of().next());
        self.of_dates(DateRange { from, to })
    }
}
