//! The season of a tenant or region: what became of its prospects month by month (docs/kpis.md §7).

use super::Book;
use super::scope::Scope;
use crate::domain::calendar::{Date, DateRange, Month};
use crate::domain::filter::Filter;
use crate::domain::ids::Term;
use crate::domain::premises::Roles;
use crate::domain::subject::Subject;
use crate::domain::window::Window;
use crate::kpi::figure::Absent;
use crate::kpi::season::{ByMonth, Season};
use crate::kpi::standing::Cohort;

// === impl Book ===

impl Book {
    /// How prospects of the tenant, or of a region, closed in each calendar month: of all whole months that are
    /// at least as old as the p90 cycle, but those that the window touches.
    pub fn season(&self, region: Option<&Term>, window: &Window) -> Result<Season, Absent> {
        let as_of = window.as_of;
        let p90_cycle_days = self.p90_cycle_days(as_of).ok_or(Absent::NoDealWon)?;
        let scope = match region {
            Some(region) => self.scope_of_region(region),
            None => self.scope(&Subject::Tenant, &Filter::default(), Roles::default()),
        };
        let youngest_on = as_of.plus_days(-p90_cycle_days);
        let is_asked =
            |month: &Month| touched(window.dates).is_some_and(|(first, last)| (first..=last).contains(month));
        let months = self.pages.range(..=youngest_on.month()).map(|(month, _)| month);
        let months = months.filter(|month| month.last_day() <= youngest_on && !is_asked(month));
        let cohort = |month: Month| {
            scope.as_ref().map_or_else(Cohort::default, |scope| self.cohort(scope, days_of(month), as_of))
        };
        let cohorts = months.map(|month| (month, cohort(month)));
        Ok(Season::of(p90_cycle_days, cohorts))
    }

    /// How many prospects of a scope came in the window, by calendar month.
    pub fn prospects_by_month(&self, scope: &Scope, window: &Window) -> ByMonth<i64> {
        let mut counts = ByMonth::default();
        let dates = window.counted();
        let Some((first, last)) = touched(dates) else { return counts };
        for (month, _) in self.pages.range(first..=last) {
            let whole = days_of(month);
            let dates = DateRange { from: dates.from.max(whole.from), to: dates.to.min(whole.to) };
            counts[month.of_year()] += self.cohort(scope, dates, window.as_of).prospect_count;
        }
        counts
    }
}

fn days_of(month: Month) -> DateRange {
    DateRange { from: month.first_day(), to: month.next().first_day() }
}

/// The first and the last month that dates touch. None where they are none.
fn touched(dates: DateRange) -> Option<(Month, Month)> {
    let last: Date = dates.to.plus_days(-1);
    (dates.from <= last).then(|| (dates.from.month(), last.month()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::book::histories::{book_of_records, id, noon, plain_deal, plain_settings, scope};
    use crate::domain::calendar::date;
    use crate::domain::record::{Deal, DealStatus, Record, State};
    use crate::domain::window::WindowSpec;
    use crate::kpi::season::MONTHS;

    /// A deal that is a prospect of its own.
    #[derive(Clone, Copy, Debug)]
    struct Sale {
        opened_on: Date,
        cycle_days: i32,
        is_won: bool,
        is_northern: bool,
    }

    // === impl Sale ===

    impl Sale {
        fn won(opened_on: &str, cycle_days: i32) -> Self {
            Self { opened_on: date(opened_on), cycle_days, is_won: true, is_northern: false }
        }

        fn closed_on(&self) -> Date {
            self.opened_on.plus_days(self.cycle_days)
        }

        fn record(&self, number: usize) -> Record {
            let at = |on: Date| noon(&on.to_string());
            let status = if self.is_won { DealStatus::Won } else { DealStatus::Lost };
            let region = Term::try_new(if self.is_northern { "north" } else { "south" }).expect("a term");
            let deal = plain_deal(at(self.opened_on), status(at(self.closed_on())));
            Record::Deal(id(&format!("d{number}")), State::Present(Deal { region: Some(region), ..deal }))
        }
    }

    fn book(sales: &[Sale]) -> Book {
        book_of_records(sales.iter().enumerate().map(|(number, sale)| sale.record(number)))
    }

    fn window(from: &str, to: &str, as_of: &str) -> Window {
        let dates = DateRange { from: date(from), to: date(to) };
        let starts = plain_settings().period_starts();
        WindowSpec::Dates(dates).resolve(date(as_of), &starts).expect("in range")
    }

    /// By the law's word, from a plain list: year by year, month by month.
    mod naive {
        use super::*;

        pub fn p90_cycle_days(sales: &[Sale], as_of: Date) -> Option<i32> {
            let is_recent = |sale: &&Sale| {
                sale.is_won && sale.closed_on() <= as_of && as_of.days_since(sale.closed_on()) < 365
            };
            let mut days: Vec<i32> = sales.iter().filter(is_recent).map(|sale| sale.cycle_days).collect();
            days.sort_unstable();
            (1..=days.len()).find(|rank| rank * 10 >= days.len() * 9).map(|rank| days[rank - 1])
        }

        /// The index of a calendar month, 1 being January.
        pub fn index(sales: &[Sale], p90: Option<i32>, window: &Window, month: u32) -> Option<f64> {
            let p90 = p90?;
            let year_and_month = |on: Date| (on.ymd().0, on.ymd().1);
            let mut asked = BTreeSet::new();
            let mut on = window.dates.from;
            while on < window.dates.to {
                asked.insert(year_and_month(on));
                on = on.next();
            }
            let counts = |sale: &&Sale| {
                let (year, month) = year_and_month(sale.opened_on);
                let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                let last = Date::from_ymd(next.0, next.1, 1).expect("a date").plus_days(-1);
                !asked.contains(&(year, month)) && last.plus_days(p90) <= window.as_of
            };
            let mut rates = Vec::new();
            for other in 1..=12 {
                let came: Vec<&Sale> =
                    sales.iter().filter(counts).filter(|s| s.opened_on.ymd().1 == other).collect();
                let purchased = came.iter().filter(|s| s.is_won && s.closed_on() <= window.as_of).count();
                let years: BTreeSet<i32> = came.iter().map(|sale| sale.opened_on.ymd().0).collect();
                if years.len() < (if other == month { 2 } else { 1 }) {
                    return None;
                }
                rates.push(purchased as f64 / came.len() as f64);
            }
            let mean = rates.iter().sum::<f64>() / 12.0;
            (mean > 0.0).then(|| rates[month as usize - 1] / mean)
        }
    }

    fn sale() -> impl Strategy<Value = Sale> {
        let first = date("2020-01-01").day_number();
        // Four and a half years; cycles that end on the days of other months, and on the same day.
        (0i32..1_640, 0i32..70, any::<bool>(), any::<bool>()).prop_map(
            move |(day, cycle_days, is_won, is_northern)| {
                let opened_on = Date::from_day_number(first + day);
                Sale { opened_on, cycle_days, is_won, is_northern }
            },
        )
    }

    proptest! {
        #[test]
        fn seasons_are_what_a_plain_list_of_sales_says(
            sales in prop_oneof![vec(sale(), 0..30), vec(sale(), 150..260)],
            from in 1_200i32..1_700, days in 1i32..150, as_of in 1_200i32..1_900,
        ) {
            let book = book(&sales);
            let on = |day: i32| date("2020-01-01").plus_days(day);
            let dates = WindowSpec::Dates(DateRange { from: on(from), to: on(from + days) });
            let window = dates.resolve(on(as_of), &plain_settings().period_starts()).expect("in range");
            let p90 = naive::p90_cycle_days(&sales, window.as_of);
            prop_assert_eq!(book.p90_cycle_days(window.as_of), p90);
            let northern: Vec<Sale> = sales.iter().copied().filter(|sale| sale.is_northern).collect();
            let north = Term::try_new("north").expect("a term");
            // The age is the tenant's in a region, too.
            let all = (book.season(None, &window), &sales);
            for (season, sales) in [all, (book.season(Some(&north), &window), &northern)] {
                prop_assert_eq!(season.map(|season| season.p90_cycle_days).ok(), p90);
                for month in 0..MONTHS {
                    let told = season.and_then(|season| season.index(month)).ok();
                    let expected = naive::index(sales, p90, &window, month as u32 + 1);
                    prop_assert_eq!(told.is_some(), expected.is_some(), "{}", month);
                    prop_assert!((told.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-12, "{}", month);
                }
            }
            let by_month = book.prospects_by_month(&scope(&book, &Subject::Tenant).expect("the tenant"), &window);
            let counted = window.counted();
            for (month, count) in (1u32..).zip(by_month) {
                let came = |sale: &&Sale| counted.contains(sale.opened_on) && sale.opened_on.ymd().1 == month;
                prop_assert_eq!(count, sales.iter().filter(came).count() as i64);
            }
        }
    }

    #[test]
    fn the_age_from_which_on_a_month_counts_by_hand() {
        // Nine of the ten won by March 31 took at most 9 days; the one of two years before isn't counted, nor
        // the one won in April.
        let days = (1..=9).map(|cycle_days| Sale::won("2024-03-01", cycle_days));
        let others = [Sale::won("2024-01-01", 80), Sale::won("2022-03-01", 50), Sale::won("2024-03-31", 1)];
        let sales: Vec<Sale> = days.chain(others).collect();
        let book = book(&sales);
        assert_eq!(book.p90_cycle_days(date("2024-03-31")), Some(9));
        assert_eq!(book.p90_cycle_days(date("2024-04-01")), Some(9), "the tenth of eleven");
        assert_eq!(book.p90_cycle_days(date("2022-04-20")), Some(50), "on the day itself");
        assert_eq!(book.p90_cycle_days(date("2023-04-19")), Some(50), "the 365th day");
        assert_eq!(book.p90_cycle_days(date("2023-04-20")), None, "the 366th");
        assert_eq!(Book::default().p90_cycle_days(date("2024-03-31")), None);
    }

    #[test]
    fn months_that_are_asked_about_or_too_young_are_left_out() {
        // A cycle of 10 days: as of 10 April a prospect of 31 March is as old as that, as of 9 April it isn't.
        let sales = [Sale::won("2023-03-05", 10), Sale::won("2024-02-10", 10), Sale::won("2024-03-05", 10)];
        let book = book(&sales);
        let years = |from, to, as_of| {
            let season = book.season(None, &window(from, to, as_of)).expect("a deal was won");
            [1, 2].map(|month| season.months[month].year_count)
        };
        assert_eq!(years("2024-04-01", "2024-05-01", "2024-04-10"), [1, 2]);
        assert_eq!(years("2024-04-01", "2024-05-01", "2024-04-09"), [1, 1]);
        assert_eq!(years("2024-03-31", "2024-04-05", "2024-04-10"), [1, 1], "a day of March is asked about");
        assert_eq!(years("2024-02-29", "2024-03-02", "2024-04-10"), [0, 1]);
        assert_eq!(years("2024-03-01", "2024-03-01", "2024-04-10"), [1, 2], "no day is");
        let none = book.season(None, &window("2020-01-01", "2020-02-01", "2020-02-01"));
        assert_eq!(none, Err(Absent::NoDealWon));
    }
}
