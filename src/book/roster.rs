//! The roster: who is listed of each kind of subject, and what boards ask of every one of them.
//!
//! Told once for all questions whenever a partner, an employee or a unit changes: boards of thousands ask it
//! of each. By number, since that is how boards know their subjects.

use super::packed::{PartnerRef, TermRef};
use super::records::Records;
use super::regions::PartnerRegions;
use super::trees::Trees;
use crate::domain::ids::kind;
use crate::domain::subject::SubjectKind;

#[derive(Default)]
pub(super) struct Rosters {
    partners: Roster,
    employees: Roster,
    units: Roster,
    regions_of_partners: PartnerRegions,
}

/// The subjects of one kind.
#[derive(Default)]
pub(super) struct Roster {
    /// Those that lists and boards hold, by the bytes of their ids.
    listed: Vec<u32>,
    by_number: Vec<Known>,
}

/// What is known of a subject.
#[derive(Clone, Default)]
struct Known {
    /// Its place among those listed. None: the host deleted or merged it, or never sent it.
    place: Option<u32>,
    /// Whether the host has it and calls it active: others may be its peers.
    is_active: bool,
    name: Option<Box<str>>,
}

// === impl Rosters ===

impl Rosters {
    pub fn tell(
        records: &Records,
        partner_trees: &Trees<kind::Partner>,
        employee_trees: &Trees<kind::Employee>,
    ) -> Self {
        let Records { dictionary, partners, employees, units, .. } = records;
        let (mut of_partners, mut of_employees, mut of_units) =
            (Roster::default(), Roster::default(), Roster::default());
        let mut own_regions: Vec<Option<TermRef>> = vec![None; dictionary.partners.len()];
        for (id, chain) in partners.chains() {
            let Some(partner) = dictionary.partners.get(id.as_str()) else { continue };
            let (fields, is_deleted) = (chain.last_present(), chain.is_deleted());
            let is_listed = !is_deleted && partner_trees.survivor(partner) == partner;
            let is_active = !is_deleted && fields.is_some_and(|partner| partner.active);
            let name = fields.and_then(|partner| partner.name.as_deref());
            of_partners.add(partner.number(), is_listed, is_active, name);
            let region = fields.and_then(|partner| partner.region.as_ref());
            own_regions[partner.index()] = region.and_then(|region| dictionary.terms.get(region.as_str()));
        }
        for (id, chain) in employees.chains() {
            let Some(employee) = dictionary.employees.get(id.as_str()) else { continue };
            let (fields, is_deleted) = (chain.last_present(), chain.is_deleted());
            let is_listed = !is_deleted && employee_trees.survivor(employee) == employee;
            let is_active = !is_deleted && fields.is_some_and(|employee| employee.active);
            let name = fields.and_then(|employee| employee.name.as_deref());
            of_employees.add(employee.number(), is_listed, is_active, name);
        }
        for (id, chain) in units.chains() {
            let Some(unit) = dictionary.units.get(id.as_str()) else { continue };
            let is_listed = !chain.is_deleted();
            let name = chain.last_present().and_then(|unit| unit.name.as_deref());
            of_units.add(unit.number(), is_listed, is_listed, name);
        }
        let region = |partner: PartnerRef| own_regions[partner_trees.survivor(partner).index()];
        let regions_of_partners = PartnerRegions::new(dictionary.partners.refs().map(region));
        Self { partners: of_partners, employees: of_employees, units: of_units, regions_of_partners }
    }

    pub fn of(&self, kind: SubjectKind) -> &Roster {
        match kind {
            SubjectKind::Partner => &self.partners,
            SubjectKind::Employee => &self.employees,
            SubjectKind::Unit => &self.units,
        }
    }

    /// The region of the partner that counts in each one's place.
    pub fn regions_of_partners(&self) -> &PartnerRegions {
        &self.regions_of_partners
    }

    /// Takes the place of `earlier` ones. Returns whether a partner has another region by now.
    pub fn follow(&mut self, earlier: &Self) -> bool {
        let moves = !self.regions_of_partners.equals(&earlier.regions_of_partners);
        if !moves {
            self.regions_of_partners = earlier.regions_of_partners.clone();
        }
        moves
    }
}

// === impl Roster ===

impl Roster {
    /// In the order of ids.
    fn add(&mut self, number: u32, is_listed: bool, is_active: bool, name: Option<&str>) {
        let at = number as usize;
        if self.by_number.len() <= at {
            self.by_number.resize(at + 1, Known::default());
        }
        let place = is_listed.then_some(self.listed.len() as u32);
        self.by_number[at] = Known { place, is_active, name: name.map(Into::into) };
        self.listed.extend(is_listed.then_some(number));
    }

    /// Those that are listed, by the bytes of their ids.
    pub fn listed(&self) -> &[u32] {
        &self.listed
    }

    /// Those that are listed, by their numbers, each with its place among them by the bytes of ids.
    pub fn places(&self) -> impl Iterator<Item = (u32, u32)> {
        (0..).zip(&self.by_number).filter_map(|(number, known)| Some((number, known.place?)))
    }

    pub fn is_active(&self, number: u32) -> bool {
        self.by_number.get(number as usize).is_some_and(|known| known.is_active)
    }

    /// The name that the host sent.
    pub fn name(&self, number: u32) -> Option<&str> {
        self.by_number.get(number as usize)?.name.as_deref()
    }
}
