//! Weight: how many rows a question reads at most, told beforehand from the places of rows, not from rows.

use super::Book;
use super::page::{Page, Sheet};
use super::scope::Scope;
use crate::domain::calendar::{Date, DateRange};
use crate::domain::premises::RatesOn;

// === impl Book ===

impl Book {
    /// Those that a fold over `dates` reads. A page that answers with a sum counts as one.
    pub fn rows_folded(&self, scope: &Scope, dates: DateRange, rates: RatesOn) -> u64 {
        self.pages.rows_folded(scope, dates, rates) as u64
    }

    /// Those that tell a cohort.
    pub fn rows_of_prospects(&self, scope: &Scope, dates: DateRange) -> u64 {
        self.rows_of([|page| &page.opened, |page| &page.leads], scope, dates)
    }

    /// Those of everything dated.
    pub fn rows_dated(&self, scope: &Scope, dates: DateRange) -> u64 {
        self.rows_of([|page| &page.opened, |page| &page.ended, |page| &page.leads], scope, dates)
    }

    /// Those that tell which deals are open at the end of a date.
    pub fn rows_ending_after(&self, scope: &Scope, on: Date) -> u64 {
        self.pages.rows_read(|page| &page.ended, scope, on.next(), Date::NEVER) as u64
    }

    /// Those that tell what is open at the end of a date and what it is worth.
    pub fn rows_of_worth(&self, scope: &Scope, on: Date) -> u64 {
        if self.has_stock(scope, on) { 1 } else { self.rows_ending_after(scope, on) }
    }

    /// All rows of what one partner sourced, whatever their dates and kinds, where a scope asks for that: found
    /// sooner than the others.
    pub fn rows_in_all(&self, scope: &Scope) -> Option<u64> {
        self.pages.rows_in_all(scope).map(u64::from)
    }

    /// How many spends there are, whatever is asked.
    pub fn spend_count(&self) -> u64 {
        self.spends.count() as u64
    }

    /// How many targets there are, whoever's.
    pub fn target_count(&self) -> u64 {
        self.records.targets.count() as u64
    }

    fn rows_of<const N: usize>(
        &self,
        sheets: [fn(&Page) -> &Sheet; N],
        scope: &Scope,
        dates: DateRange,
    ) -> u64 {
        let last = dates.to.plus_days(-1);
        sheets.map(|sheet| self.pages.rows_read(sheet, scope, dates.from, last) as u64).iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::book::histories::{apply, days, noon, plain_deal, plain_settings, scope};
    use crate::book::page::{DAYS_FROM_ROWS, ROWS_FOR_ONE};
    use crate::domain::ids::Id;
    use crate::domain::premises::Roles;
    use crate::domain::record::{
        Credit, Credits, Deal, DealStatus, Record, Role, State, Version, VersionKey,
    };
    use crate::domain::subject::Subject;

    /// A deal of partner `p0`, `p1`, … for each, owned by `e0`, `e1`, …, opened and perhaps ended on a day.
    fn book_of(deals: &[(u8, u8, Option<u8>)]) -> Book {
        let day = |day: u8| noon(["2024-01-05", "2024-01-20", "2024-02-10", "2024-03-01"][usize::from(day)]);
        let key = VersionKey { update_time: noon("2024-03-02"), sequence: 0 };
        let mut versions = vec![Version { key, record: Record::Settings(plain_settings()) }];
        versions.extend(deals.iter().enumerate().map(|(n, &(partner, opened, ended))| {
            let credit = Credit {
                role: Role::Sourced,
                partner: Id::try_new(&format!("p{partner}")).unwrap(),
                share: None,
            };
            let status = ended.map_or(DealStatus::Open, |ended| DealStatus::Won(day(ended)));
            let credits = Credits::try_new(vec![credit]).unwrap();
            let owner = Some(Id::try_new(&format!("e{partner}")).unwrap());
            let deal = Deal { credits, owner, ..plain_deal(day(opened), status) };
            let id = Id::try_new(&format!("d{n}")).unwrap();
            Version { key, record: Record::Deal(id, State::Present(deal)) }
        }));
        let mut book = Book::default();
        apply(&mut book, versions);
        book
    }

    fn partner(number: u8) -> Subject {
        let partner = Id::try_new(&format!("p{number}")).unwrap();
        Subject::Partner { partner, include_sub_partners: false }
    }

    fn employee(number: u8) -> Subject {
        Subject::Employee(Id::try_new(&format!("e{number}")).unwrap())
    }

    proptest! {
        /// Never less than what is read; of one partner not much more.
        #[test]
        fn as_many_rows_as_are_read_and_few_more(
            deals in proptest::collection::vec((0..4u8, 0..4u8, proptest::option::of(0..4u8)), 0..60),
            whose in 0..4u8,
        ) {
            let book = book_of(&deals);
            for window in ["2024-01-01..2024-02-01", "2024-01-20..2024-02-11", "2024-02-10..2024-02-11"] {
                let dates = days(window);
                for subject in [Subject::Tenant, partner(whose), employee(whose)] {
                    let Some(scope) = scope(&book, &subject) else { continue };
                    let last = dates.to.plus_days(-1);
                    let read = |sheet: fn(&Page) -> &Sheet| {
                        book.pages.entries(&book.pools, sheet, &scope, dates.from, last).count() as u64
                    };
                    let read = read(|page| &page.opened) + read(|page| &page.leads);
                    let told = book.rows_of_prospects(&scope, dates);
                    prop_assert!(told >= read, "{told} of {read} for {subject:?} in {window}");
                    let open_count = book.pages.open(&book.pools, &scope, last).count() as u64;
                    prop_assert!(book.rows_ending_after(&scope, last) >= open_count);
                    prop_assert!(book.rows_dated(&scope, dates) >= told);
                    if matches!(subject, Subject::Partner { .. }) {
                        // At most a chunk that isn't full on each of the sheets.
                        prop_assert!(told <= read + 4 * 3 * 2, "{told} of {read} for {subject:?} in {window}");
                        let sheets: [fn(&Page) -> &Sheet; 3] =
                            [|page| &page.opened, |page| &page.ended, |page| &page.leads];
                        let all = sheets.map(|sheet| {
                            book.pages.entries(&book.pools, sheet, &scope, Date::FIRST, Date::NEVER).count() as u64
                        });
                        prop_assert_eq!(book.rows_in_all(&scope), Some(all.iter().sum()));
                        // What is sourced says nothing of other roles.
                        let influenced = Scope { roles: Roles::of(&[Role::Influenced]), ..scope };
                        prop_assert_eq!(book.rows_in_all(&influenced), None);
                    }
                }
            }
        }
    }

    /// Once it is known where they lie.
    #[test]
    fn of_an_employee_its_own_rows_are_read() {
        let owner = |n: u32| if n < 10 { 2 } else { (n % 2) as u8 };
        let deals: Vec<(u8, u8, Option<u8>)> = (0..400).map(|n| (owner(n), 0, None)).collect();
        let book = book_of(&deals);
        let one = scope(&book, &employee(2)).unwrap();
        let dates = days("2024-01-02..2024-02-01");
        let before = book.rows_of_prospects(&one, dates);
        assert!(before >= 400, "to find them all are read: {before}");
        book.cohort(&one, dates, dates.to);
        let own = 10 * ROWS_FOR_ONE as u64;
        assert_eq!(book.rows_of_prospects(&one, dates), own);
        assert_eq!(book.rows_folded(&one, dates, RatesOn::OwnDay), own);
        assert_eq!(book.rows_folded(&one, days("2024-01-01..2024-02-01"), RatesOn::OwnDay), 1, "a sum");
    }

    #[test]
    fn sums_are_read_as_one_row() {
        let deals = vec![(1, 0, Some(1)); 30];
        let book = book_of(&deals);
        let (one, tenant) = (scope(&book, &partner(1)).unwrap(), scope(&book, &Subject::Tenant).unwrap());
        let rows = |scope, window| book.rows_folded(scope, days(window), RatesOn::OwnDay);
        assert_eq!(rows(&one, "2024-01-01..2024-02-01"), 1);
        assert_eq!(rows(&one, "2024-01-01..2024-03-01"), 1, "nothing happened in February");
        // Of part of a month: no more rows than slots without sums by day have.
        assert_eq!(rows(&one, "2024-01-02..2024-02-01"), u64::from(DAYS_FROM_ROWS));
        assert_eq!(rows(&tenant, "2024-01-02..2024-01-30"), 1, "of the tenant there are sums by day");
        assert_eq!(rows(&tenant, "2024-01-02..2024-01-02"), 0);
    }
}
