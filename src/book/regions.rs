//! Regions: what became of the prospects of each region in a board's window, kept beside the board.
//!
//! The full view of a partner tells the close rate of its region: of all prospects, whatever the question
//! filters by. They are told in one pass when the first such view asks, and from then on kept up to date with
//! every batch, as the board is.
//!
//! Invariant, a property test: a region's cohort is the one that its own scope tells.

use hashbrown::HashMap;

use super::Book;
use super::board::BoardQuestion;
use super::packed::TermRef;
use super::pages::Pages;
use super::scope::{Regions, Scope};
use crate::domain::ids::Term;
use crate::domain::premises::Roles;
use crate::kpi::standing::Cohort;

/// By the region that counts. None: where none is known.
pub(super) struct RegionCohorts {
    /// Whoever changes a partner's drops the board.
    regions: Regions,
    cohorts: HashMap<Option<TermRef>, Cohort>,
}

// === impl RegionCohorts ===

impl RegionCohorts {
    pub fn tell(book: &Book, asked: &BoardQuestion) -> Self {
        let regions = Regions { asked: Default::default(), of_partners: book.regions_of_partners() };
        let mut told = Self { regions, cohorts: HashMap::new() };
        told.each(book, asked, &book.pages, |cohort, one| *cohort += one);
        told
    }

    pub fn of(&self, region: Option<TermRef>) -> Cohort {
        self.cohorts.get(&region).copied().unwrap_or_default()
    }

    /// Takes out what lies on pages of a batch's entries as they were.
    pub fn take_out(&mut self, book: &Book, asked: &BoardQuestion, before: &Pages) {
        self.each(book, asked, before, |cohort, one| *cohort -= one);
    }

    /// Puts in what lies on pages of a batch's entries as they are.
    pub fn put_in(&mut self, book: &Book, asked: &BoardQuestion, after: &Pages) {
        self.each(book, asked, after, |cohort, one| *cohort += one);
    }

    fn each(
        &mut self,
        book: &Book,
        asked: &BoardQuestion,
        pages: &Pages,
        change: impl Fn(&mut Cohort, Cohort),
    ) {
        let everything = Scope { roles: Roles::default(), slots: None, desks: None, test: None };
        let last = asked.dates.to.plus_days(-1);
        let opened = pages.entries(&book.pools, |page| &page.opened, &everything, asked.dates.from, last);
        let leads = pages.entries(&book.pools, |page| &page.leads, &everything, asked.dates.from, last);
        for (row, parts) in opened.chain(leads) {
            let mut one = Cohort::default();
            one.add(row, asked.as_of);
            if one != Cohort::default() {
                let traits = book.pools.traits.value(row.traits);
                let region = parts.with_shares(|shares| self.regions.of(row, traits, shares));
                change(self.cohorts.entry(region).or_default(), one);
            }
        }
    }
}

// === impl Book ===

impl Book {
    /// A region by its name. None: nothing names it.
    pub(super) fn region(&self, region: &Term) -> Option<TermRef> {
        self.records.dictionary.terms.get(region.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use crate::book::Book;
    use crate::book::board::BoardQuestion;
    use crate::book::board::tests::{Asked, asked, config};
    use crate::book::histories::apply;
    use crate::book::small_tenant::{REGIONS, history};
    use crate::domain::filter::Filter;
    use crate::domain::ids::Term;
    use crate::domain::premises::Roles;
    use crate::domain::subject::{Subject, SubjectKind};

    proptest! {
        #![proptest_config(config())]

        /// After every batch, also where the board was kept through it.
        #[test]
        fn a_kept_region_is_what_its_own_scope_tells(history in history(), asked in vec(asked(), 2)) {
            let mut book = Book::default();
            for batch in history {
                apply(&mut book, batch);
                for Asked { premises, rates, window } in &asked {
                    let question = BoardQuestion::new(SubjectKind::Partner, false, premises, window, *rates);
                    let board = book.board(&question);
                    for region in REGIONS {
                        let region = Term::try_new(region).expect("a term");
                        let filter = Filter { regions: vec![Some(region.clone())], ..Filter::default() };
                        let scope = book.scope(&Subject::Tenant, &filter, Roles::default()).expect("the tenant");
                        let expected = book.cohort(&scope, window.counted(), window.as_of);
                        prop_assert_eq!(book.region_cohort(&board, &region), expected, "{:?}", region);
                    }
                }
            }
        }
    }
}
