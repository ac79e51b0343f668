//! By region: what happened in a month in each region that counts, and what became of the prospects that came.
//!
//! A region that is a partner's isn't in the rows, since partners move: a question about one would read all of
//! them. These sums are told by the regions that partners have now, when they are first asked for; they are kept
//! with every change of the page, and forgotten when a partner moves.
//!
//! Invariant, checked by `Page::verify` in tests: they are what the rows say.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::Page;
use crate::book::entry::Entry;
use crate::book::fates::{Courses, Fate, fate_of};
use crate::book::packed::TermRef;
use crate::book::pools::Pools;
use crate::book::regions::PartnerRegions;
use crate::book::scope::Regions;
use crate::domain::calendar::{Date, DateRange};
use crate::kpi::measures::Measures;

/// None: where no region is known.
type Region = Option<TermRef>;

/// Of each entry, once and whole.
pub struct ByRegion {
    of_partners: PartnerRegions,
    days: BTreeMap<(Region, Date), Measures>,
    courses: BTreeMap<Region, Courses>,
}

// === impl ByRegion ===

impl ByRegion {
    pub(super) fn of(page: &Page, of_partners: &PartnerRegions, pools: &Pools) -> Self {
        let mut told =
            Self { of_partners: of_partners.clone(), days: BTreeMap::new(), courses: BTreeMap::new() };
        for sheet in page.sheets() {
            for row in sheet.rows().filter(|row| row.part == 0) {
                let mut alone = None;
                let shares = row.shares(sheet, &mut alone);
                let source = &pools.traits.value(row.traits).region;
                let region = of_partners.of_one(row.slot, source, shares);
                told.add(region, row.on, row.measures(row.value().amount()));
                if let Some(outcome) = fate_of(row.event, row.is_prospect()) {
                    told.add_fate(region, (row.on, row.other_on), &Fate::of(outcome, 1));
                }
            }
        }
        told
    }

    /// Adds an entry, or, with a count of -1, takes it out. `measures` are what is added.
    pub(super) fn note(&mut self, entry: &Entry, measures: Measures, count: i64) {
        let region = self.of_partners.of_one(entry.shares[0].slot, &entry.traits.region, &entry.shares);
        self.add(region, entry.on, measures);
        if let Some(outcome) = fate_of(entry.event, entry.is_prospect) {
            self.add_fate(region, (entry.on, entry.other_on), &Fate::of(outcome, count));
        }
    }

    /// Whether they are told by the regions that a question has.
    pub fn is_told_by(&self, regions: &Regions) -> bool {
        self.of_partners.is(&regions.of_partners)
    }

    /// What happened in `dates` in the regions asked for.
    pub fn measures(&self, regions: &Regions, dates: DateRange) -> Measures {
        let mut sum = Measures::default();
        for &region in &regions.asked {
            self.days.range((region, dates.from)..(region, dates.to)).for_each(|(_, day)| sum += *day);
        }
        sum
    }

    /// What became by `as_of` of those that came there on some days. None: in the whole month.
    pub fn fate(&self, regions: &Regions, days: Option<&RangeInclusive<Date>>, as_of: Date) -> Fate {
        let mut sum = Fate::default();
        for courses in regions.asked.iter().filter_map(|region| self.courses.get(region)) {
            sum.add(&courses.fate(days.cloned(), as_of));
        }
        sum
    }

    fn add(&mut self, region: Region, on: Date, measures: Measures) {
        let sum = self.days.entry((region, on)).or_default();
        *sum += measures;
        if *sum == Measures::default() {
            self.days.remove(&(region, on));
        }
    }

    fn add_fate(&mut self, region: Region, days: (Date, Date), fate: &Fate) {
        self.courses.entry(region).or_default().note(days, fate);
    }
}

#[cfg(test)]
impl ByRegion {
    /// Checks that they are what the page's rows say.
    pub(super) fn verify(&self, page: &Page, pools: &Pools) {
        let fresh = Self::of(page, &self.of_partners, pools);
        assert_eq!(self.days, fresh.days, "by region");
        let filled = |told: &Self| -> Vec<Region> {
            let filled = told.courses.iter().filter(|(_, courses)| !courses.is_empty());
            filled.map(|(&region, _)| region).collect()
        };
        assert_eq!(filled(self), filled(&fresh), "regions with prospects");
        assert!(fresh.courses.iter().all(|(region, courses)| self.courses[region] == *courses), "courses");
    }
}
