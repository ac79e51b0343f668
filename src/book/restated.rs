//! Restatement: which records made the difference between what was known at two times (docs/kpis.md §7).
//!
//! ```text
//! records ─in slices→ those with versions in between ─what they add at both ends→ those that moved a KPI
//! ```
//!
//! Invariants, each a property test:
//! 1. A KPI that differs has a record that moved it: a deal or lead of its own, or one of another kind.
//! 2. What is found hangs on the set of versions, and not on the slices nor on what comes meanwhile.
//!
//! A deal or lead moves a KPI where what it adds to it isn't the same at both ends; or what one of the same
//! prospect adds, where that hangs on both: the lead of a deal, the deals of a lead. Other kinds of records tell all
//! of them anew, and are taken as they are: by what of them counts.

#[cfg(test)]
mod tests;

use hashbrown::{HashMap, HashSet};

use super::Book;
use super::chain::Arrival;
use super::evidence::{Behind, ContributorKind, Fate, FigureKind, work_days};
use super::known::Place;
use super::packed::{DealRef, LeadRef};
use super::page::{Parts, Row};
use super::patience::{IsAwaited, while_awaited};
use super::records::{Cursor, Records, StoredVersion};
use crate::domain::calendar::{Date, DateRange, Instant};
use crate::domain::filter::Filter;
use crate::domain::ids::{EmployeeId, Id, UnitId};
use crate::domain::premises::{Knowledge, RatesOn, Roles};
use crate::domain::record::{Credits, Record, RecordKey, State};
use crate::domain::subject::Subject;
use crate::kpi::Kpi;

/// Two times at which something was known: all that was at the earlier one was at the later one, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    pub earlier: Knowledge,
    pub later: Knowledge,
}

/// The records that have versions in between, being found.
pub struct Changes {
    between: Between,
    revision: u64,
    found: Changed,
    /// Where the next slice begins. None: there is no more.
    next: Option<Place>,
}

/// The records that have versions in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Deals and leads, in order.
    pub many: Vec<RecordKey>,
    /// The leads of these deals at either end: what one adds may hang on a deal that isn't known at the other.
    leads_of_deals: HashMap<RecordKey, Vec<RecordKey>>,
    /// Those of other kinds of which something else counts later, in order, each with the first day on which it may
    /// count; not those that no KPI is told from.
    others: Vec<(RecordKey, Date)>,
}

/// One of the KPIs that may have moved, and of whom.
#[derive(Clone, Debug)]
pub struct MovedQuestion<'a> {
    pub subject: &'a Subject,
    pub filter: &'a Filter,
    pub roles: Roles,
    pub kpis: &'a [Kpi],
    /// The days of the window that count.
    pub dates: DateRange,
    pub as_of: Date,
    /// What is open is converted on `as_of` where amounts are on their own day.
    pub rates: RatesOn,
}

/// What some deals and leads, and those of the same prospects, add to KPIs.
#[derive(Debug, Default)]
pub struct Traces {
    /// Of each deal or lead asked for the others of its prospect.
    kin: HashMap<RecordKey, Vec<RecordKey>>,
    /// Whether the filter asks for what deals have of their leads: the channel.
    is_by_channel: bool,
    added: HashMap<RecordKey, Vec<(Kpi, Added)>>,
}

/// What a deal or lead adds to a KPI: as much as tells two of them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Added {
    figure: FigureKind,
    amount_e4: Option<i64>,
    /// Of deals in work: on how many days of the window. Of velocity's won: from opening to closing.
    days: Option<i32>,
    /// Of prospects.
    fate: Option<Fate>,
    /// Where the KPI looks at peers: whose it is.
    whose: Option<(Credits, Option<EmployeeId>, Option<UnitId>)>,
}

// === impl Between ===

impl Between {
    fn has(&self, update_time: Instant, received_time: Instant) -> bool {
        self.later.includes(update_time, received_time) && !self.earlier.includes(update_time, received_time)
    }

    /// The versions of a record that counted at an end: the current one, and the last that isn't deleted, which a
    /// deletion leaves in force. Where there were no settings yet, the first ones hold.
    fn at_end<'v>(&self, end: Knowledge, versions: &'v [StoredVersion]) -> [Option<&'v StoredVersion>; 2] {
        let known =
            || versions.iter().rev().filter(|v| end.includes(v.version.key.update_time, v.received_time));
        let first = versions.first().filter(|first| matches!(first.version.record, Record::Settings(_)));
        let current = known().next().or(first);
        [current, known().find(|version| !version.version.record.is_deleted()).or(first)]
    }

    /// The current version at both ends, and how many versions lie in between. `versions` are all of one record.
    pub fn ends<'v>(&self, versions: &'v [StoredVersion]) -> ([Option<&'v StoredVersion>; 2], usize) {
        let current = |end| self.at_end(end, versions)[0];
        let in_between = versions.iter().filter(|v| self.has(v.version.key.update_time, v.received_time));
        ([current(self.earlier), current(self.later)], in_between.count())
    }
}

// === impl Changes ===

impl Changes {
    /// Begins to look for records of what a book showed when it had that revision.
    pub fn of_revision(revision: u64, between: Between) -> Self {
        let next = Some(Place::Shelves(Cursor::START));
        Self { between, revision, found: Changed::default(), next }
    }

    /// Looks at the next records of the book, about `count` of them. Returns whether there may be more.
    pub fn take_slice(&mut self, book: &Book, count: usize) -> bool {
        let records = &book.records;
        self.next = match self.next.take() {
            None => None,
            Some(Place::Shelves(cursor)) => Some(self.take_from_shelves(records, cursor, count)),
            Some(Place::Leads(done)) => {
                for lead in records.dictionary.leads.refs_from(done).take(count) {
                    let versions = records.leads.versions(lead);
                    if versions.iter().any(|kept| self.has(records, kept.key.update_time, kept.arrival)) {
                        self.found.many.push(RecordKey::Lead(named(records.dictionary.leads.name(lead))));
                    }
                }
                let done = done + count;
                let is_over = done >= records.dictionary.leads.len();
                Some(if is_over { Place::Deals(0) } else { Place::Leads(done) })
            }
            Some(Place::Deals(done)) => {
                for deal in records.dictionary.deals.refs_from(done).take(count) {
                    self.take_deal(records, deal);
                }
                let done = done + count;
                (done < records.dictionary.deals.len()).then_some(Place::Deals(done))
            }
        };
        self.next.is_some()
    }

    /// The records, once there are no more to look at.
    pub fn finish(mut self) -> Changed {
        self.found.many.sort_unstable();
        self.found.others.sort_unstable();
        self.found
    }

    fn take_from_shelves(&mut self, records: &Records, cursor: Cursor, count: usize) -> Place {
        let Some(cursor) = cursor.on_shelves() else { return Place::Leads(0) };
        let (mut versions, next) = records.export(cursor, count);
        versions.retain(|stored| stored.revision <= self.revision);
        for of_one in versions.chunk_by(|a, b| a.version.record.key() == b.version.record.key()) {
            let at_end = |end| {
                self.between.at_end(end, of_one).map(|stored| stored.map(|stored| &stored.version.record))
            };
            let bears_on_kpis =
                !matches!(of_one[0].version.record, Record::Target(..) | Record::Strategy(..));
            if bears_on_kpis && at_end(self.between.earlier) != at_end(self.between.later) {
                let from = of_one.iter().map(|stored| first_day(&stored.version.record)).min();
                self.found.others.push((of_one[0].version.record.key(), from.unwrap_or(Date::FIRST)));
            }
        }
        next.map_or(Place::Leads(0), Place::Shelves)
    }

    fn take_deal(&mut self, records: &Records, deal: DealRef) {
        let versions = records.deals.versions(deal);
        if !versions.iter().any(|kept| self.has(records, kept.key.update_time, kept.arrival)) {
            return;
        }
        let key = RecordKey::Deal(named(records.dictionary.deals.name(deal)));
        let lead_at = |end: Knowledge| {
            let known = versions.iter().rev().find(|kept| {
                let (revision, received_time) = records.arrivals.get(kept.arrival);
                revision <= self.revision && end.includes(kept.key.update_time, received_time)
            });
            records.deals.content(known?)?.lead
        };
        let leads = [self.between.earlier, self.between.later].map(lead_at);
        let leads = leads.into_iter().flatten().map(|lead| records.dictionary.leads.name(lead));
        self.found
            .leads_of_deals
            .insert(key.clone(), leads.map(|lead| RecordKey::Lead(named(lead))).collect());
        self.found.many.push(key);
    }

    fn has(&self, records: &Records, update_time: Instant, arrival: Arrival) -> bool {
        let (revision, received_time) = records.arrivals.get(arrival);
        revision <= self.revision && self.between.has(update_time, received_time)
    }
}

/// From when on a record may count. A deletion says nothing of that.
fn first_day(record: &Record) -> Date {
    match record {
        Record::Rate(key, _) => key.on,
        Record::Spend(_, State::Present(spend)) => spend.dates.from,
        Record::Spend(_, State::Deleted(())) => Date::NEVER,
        _ => Date::FIRST,
    }
}

fn named<K>(name: &str) -> Id<K> {
    Id::try_new(name).expect("ids went in as ids")
}

// === impl Changed ===

impl Changed {
    /// Those of other kinds that may move one of the KPIs of days up to `last_on`: spends move marketing channel alone.
    pub fn others_behind(&self, kpis: &[Kpi], last_on: Date) -> impl Iterator<Item = &RecordKey> {
        let with_spends = kpis.contains(&Kpi::MarketingChannel);
        let others = self.others.iter().filter(move |(_, from)| *from <= last_on).map(|(key, _)| key);
        others.filter(move |key| with_spends || !matches!(key, RecordKey::Spend(_)))
    }
}

// === impl Traces ===

impl Traces {
    /// Which KPIs a deal or lead moved between two ends.
    pub fn moved(earlier: &Self, later: &Self, key: &RecordKey, kpis: &[Kpi]) -> Vec<Kpi> {
        let kin = [earlier, later].into_iter().filter_map(|traces| traces.kin.get(key)).flatten();
        let differs = |one: &RecordKey, kpi| earlier.of(one, kpi).ne(later.of(one, kpi));
        let moved = |kpi: &Kpi| {
            let hangs_on_kin = later.is_by_channel || matches!(kpi, Kpi::CloseRate | Kpi::MarketingChannel);
            differs(key, *kpi) || (hangs_on_kin && kin.clone().any(|one| differs(one, *kpi)))
        };
        kpis.iter().copied().filter(moved).collect()
    }

    fn of(&self, key: &RecordKey, kpi: Kpi) -> impl Iterator<Item = &Added> {
        let added = self.added.get(key).into_iter().flatten();
        added.filter(move |(of, _)| *of == kpi).map(|(_, added)| added)
    }
}

// === impl Book ===

impl Book {
    /// What deals and leads, and those of the same prospects, add to the KPIs asked for. Nothing of a subject that
    /// isn't known.
    pub fn traces(&self, asked: &MovedQuestion<'_>, of: &Changed, is_awaited: IsAwaited<'_>) -> Traces {
        let is_by_channel = !asked.filter.channels.is_empty() || !asked.filter.media.is_empty();
        let mut traces = Traces { is_by_channel, ..Traces::default() };
        let (mut deals, mut leads) = (HashSet::new(), HashSet::new());
        for key in &of.many {
            let kin = self.kin_of(key, of, &mut deals, &mut leads);
            traces.kin.insert(key.clone(), kin);
        }
        let Some(scope) = self.scope(asked.subject, asked.filter, asked.roles) else { return traces };
        for &kpi in asked.kpis {
            let scope = match kpi {
                Kpi::MarketingChannel => self.attributed(scope.clone()),
                // The peers' mean moves a score, too.
                Kpi::ValueScore => match asked.subject.kind().map(|(kind, _)| kind) {
                    None => continue,
                    Some(kind) => self
                        .scope(&Subject::Tenant, &asked.filter.without_kind(kind), asked.roles)
                        .expect("the tenant is known"),
                },
                _ => scope.clone(),
            };
            for &figure in figures_behind(kpi) {
                let as_of = match (kpi, figure) {
                    // A peer is whoever had a deal open before the window, or opened one in it.
                    (Kpi::ValueScore, FigureKind::Open) => asked.dates.from.plus_days(-1),
                    _ => asked.as_of,
                };
                let behind = Behind { figure, dates: asked.dates, as_of, rates: asked.rates };
                let is_traced = |row: &Row| match row.event.is_of_deal() {
                    true => deals.contains(&DealRef::new(row.of)),
                    false => leads.contains(&LeadRef::new(row.of)),
                };
                let rows = self.rows_behind(&scope, behind);
                for (row, parts) in while_awaited(rows, is_awaited).filter(|(row, _)| is_traced(row)) {
                    let (key, added) = self.added(kpi, row, parts, behind);
                    traces.added.entry(key).or_default().push((kpi, added));
                }
            }
        }
        traces
    }

    /// The others of a deal's or lead's prospect; notes them and itself, as far as they are known here.
    fn kin_of(
        &self,
        key: &RecordKey,
        of: &Changed,
        deals: &mut HashSet<DealRef>,
        leads: &mut HashSet<LeadRef>,
    ) -> Vec<RecordKey> {
        let dictionary = &self.records.dictionary;
        match key {
            RecordKey::Deal(id) => {
                deals.extend(dictionary.deals.get(id.as_str()));
                let kin = of.leads_of_deals.get(key).cloned().unwrap_or_default();
                leads.extend(kin.iter().filter_map(|key| match key {
                    RecordKey::Lead(id) => dictionary.leads.get(id.as_str()),
                    _ => None,
                }));
                kin
            }
            RecordKey::Lead(id) => {
                let Some(lead) = dictionary.leads.get(id.as_str()) else { return Vec::new() };
                leads.insert(lead);
                // Those that have no version in between are the same at both ends.
                let of_lead = self.deals_of_leads.get(&lead).unwrap_or_default();
                deals.extend(of_lead);
                of_lead.iter().map(|deal| RecordKey::Deal(named(dictionary.deals.name(*deal)))).collect()
            }
            _ => Vec::new(),
        }
    }

    fn added(&self, kpi: Kpi, row: &Row, parts: Parts<'_>, behind: Behind) -> (RecordKey, Added) {
        let found = self.found(row, parts, behind);
        let key = match found.place.kind {
            ContributorKind::Deal => RecordKey::Deal(named(found.place.id)),
            ContributorKind::Lead => RecordKey::Lead(named(found.place.id)),
        };
        let figure = behind.figure;
        let has_amount = match figure {
            FigureKind::Won => kpi != Kpi::DealSuccess,
            FigureKind::Open => kpi == Kpi::OpportunityPipeline,
            _ => false,
        };
        let days = match (kpi, figure) {
            (Kpi::DealVelocity, FigureKind::InWork) => Some(work_days(row, behind.dates)),
            (Kpi::DealVelocity, FigureKind::Won) => Some(row.on.days_since(row.other_on).max(1)),
            _ => None,
        };
        let added = Added {
            figure,
            amount_e4: found.amount.filter(|_| has_amount).map(|amount| amount.e4()),
            days,
            fate: (figure == FigureKind::Prospects).then(|| self.fate(row, behind).0),
            whose: if kpi == Kpi::ValueScore { self.whose(&key) } else { None },
        };
        (key, added)
    }

    fn whose(&self, key: &RecordKey) -> Option<(Credits, Option<EmployeeId>, Option<UnitId>)> {
        match self.records.versions(key).pop()?.version.record {
            Record::Deal(_, State::Present(deal)) => Some((deal.credits, deal.owner, deal.unit)),
            _ => None,
        }
    }
}

/// The records that a KPI is told from.
fn figures_behind(kpi: Kpi) -> &'static [FigureKind] {
    use FigureKind::{InWork, Missed, Open, Opened, Prospects, Won};
    match kpi {
        // What the deals won are worth stands beside their count; of marketing channel spends move the rest.
        Kpi::AverageDealSize | Kpi::DealCount | Kpi::MarketingChannel => &[Won],
        Kpi::OpportunityPipeline => &[Open],
        Kpi::CloseRate => &[Prospects],
        Kpi::DealVelocity => &[Won, Missed, InWork],
        Kpi::ValueScore => &[Won, Opened, Open],
        Kpi::DealSuccess => &[Won, Missed],
    }
}
