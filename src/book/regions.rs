//! Regions: which one counts for a deal or lead (docs/kpis.md §4), by what partners' are now.

use std::sync::Arc;

use super::Book;
use super::entry::{RegionSource, Share, Slot};
use super::packed::{PartnerRef, TermRef};
use super::scope::{Regions, Scope, Test};
use crate::domain::calendar::{Date, DateRange};
use crate::domain::ids::Term;
use crate::domain::premises::Roles;
use crate::kpi::standing::Cohort;

/// By number: the region of the partner that counts in each one's place. Whoever has the same one has it of the
/// same moment.
#[derive(Clone, Debug)]
pub struct PartnerRegions(Arc<[Option<TermRef>]>);

// === impl PartnerRegions ===

impl PartnerRegions {
    pub fn new(regions: impl Iterator<Item = Option<TermRef>>) -> Self {
        Self(regions.collect())
    }

    pub fn of(&self, partner: PartnerRef) -> Option<TermRef> {
        self.0.get(partner.index()).copied().flatten()
    }

    /// Whether both are one and the same, as questions of one moment have it.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether both say the same of every partner.
    pub fn equals(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// The region of a deal or lead, of whose shares the first is `slot`'s.
    pub fn of_one(&self, slot: Slot, source: &RegionSource, shares: &[Share]) -> Option<TermRef> {
        let of = |partner| self.of(partner);
        let of_lead_partner = || slot.filter(|_| source.is_lead_partners).and_then(of);
        let of_greatest = || source.other_partner.or_else(|| Share::greatest(shares)).and_then(of);
        of_lead_partner().or(source.own).or_else(of_greatest)
    }
}

impl Default for PartnerRegions {
    fn default() -> Self {
        Self::new(std::iter::empty())
    }
}

// === impl Book ===

impl Book {
    /// What became by `as_of` of all prospects of a region that came in `dates`.
    pub fn region_cohort(&self, region: &Term, dates: DateRange, as_of: Date) -> Cohort {
        self.scope_of_region(region).map_or_else(Cohort::default, |scope| self.cohort(&scope, dates, as_of))
    }

    /// All that is a region's. None where nothing names it.
    pub(super) fn scope_of_region(&self, region: &Term) -> Option<Scope> {
        let region = self.records.dictionary.terms.get(region.as_str())?;
        let regions = Regions {
            asked: [Some(region)].into_iter().collect(),
            of_partners: self.rosters.regions_of_partners().clone(),
        };
        let test = Test { regions: Some(regions), ..Test::default() }.about(&self.pools);
        Some(Scope { roles: Roles::default(), slots: None, desks: None, test: Some(test) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use crate::book::Book;
    use crate::book::board::tests::{Asked, asked, config};
    use crate::book::histories::apply;
    use crate::book::page::{Page, Sheet};
    use crate::book::pages::Fold;
    use crate::book::small_tenant::{REGIONS, history};
    use crate::domain::filter::Filter;
    use crate::domain::ids::Term;
    use crate::domain::premises::Roles;
    use crate::domain::subject::Subject;
    use crate::kpi::standing::Cohort;

    proptest! {
        #![proptest_config(config())]

        /// After every batch, also where sums by region were kept through it.
        #[test]
        fn sums_by_region_are_what_the_rows_say(history in history(), asked in vec(asked(), 2)) {
            let mut book = Book::default();
            for batch in history {
                apply(&mut book, batch);
                book.pages.verify(&book.pools);
                for Asked { window, rates, .. } in &asked {
                    let (dates, last) = (window.counted(), window.counted().to.plus_days(-1));
                    for region in REGIONS {
                        let region = Term::try_new(region).expect("a term");
                        let filter = Filter { regions: vec![Some(region.clone())], ..Filter::default() };
                        let scope = book.scope(&Subject::Tenant, &filter, Roles::default()).expect("the tenant");
                        let (mut cohort, mut fold) = (Cohort::default(), Fold::default());
                        let sheets: [fn(&Page) -> &Sheet; 3] =
                            [|page| &page.opened, |page| &page.ended, |page| &page.leads];
                        for sheet in sheets {
                            for (row, parts) in book.pages.entries(&book.pools, sheet, &scope, dates.from, last) {
                                cohort.add(row, window.as_of);
                                fold.add(row, parts, book.value_of(row, *rates));
                            }
                        }
                        let told = book.region_cohort(&region, dates, window.as_of);
                        prop_assert_eq!(told, cohort, "{:?}", region);
                        prop_assert_eq!(book.fold(&scope, dates, *rates), fold, "{:?}", region);
                    }
                }
            }
        }
    }
}
