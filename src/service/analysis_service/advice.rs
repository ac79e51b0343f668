//! Advice: of whom which rule speaks. What rules look at is gathered here, from boards where many are judged.
//!
//! Invariants:
//! 1. All subjects of a kind are judged, whoever is asked for: what tests find of one hangs on how many are
//!    tested, so the advice for a subject is the same in every list.
//! 2. Figures of the evidence are told by the functions that answer the KPIs.

mod channels;
mod judged;
mod peers;
mod records;
mod strategies;
mod windows;

pub use self::windows::Windows;

use std::cell::Cell;

use tonic::Status;

use self::judged::Judged;
use super::parse::Whom;
use super::{Caller, failure};
use crate::book::Book;
use crate::domain::calendar::{Date, DateRange};
use crate::domain::filter::Filter;
use crate::domain::premises::Premises;
use crate::domain::record::Settings;
use crate::domain::subject::{Subject, SubjectKind};
use crate::kpi::recommendation::{About, Finding, Levels, Rule, Severity, Tested};
use crate::kpi::rules;
use crate::kpi::standing::Standing;
use crate::service::page::subject_id;
use crate::service::token::fnv1a;

/// Who gives advice, on what premises.
pub struct Advisor<'a> {
    book: &'a Book,
    settings: &'a Settings,
    premises: &'a Premises,
    windows: Windows,
    /// Which rules may speak. Empty: all.
    rules: &'a [Rule],
    caller: &'a Caller,
    /// Of all amounts that were looked at.
    oldest_rate_on: Cell<Option<Date>>,
}

/// What a rule says, of whom.
pub struct Advice<'a> {
    /// The survivor of mergers.
    pub subject: Subject,
    pub finding: Finding<'a>,
}

// === impl Advice ===

impl Advice<'_> {
    /// By which lists are ordered, as bytes: the most pressing first, then what has most at stake.
    pub fn order_key(&self) -> Vec<u8> {
        [&[self.severity_place()][..], &self.effect_place(), &self.own_key()].concat()
    }

    /// By which plans are ordered: what has most at stake first, then the most pressing.
    pub fn plan_key(&self) -> Vec<u8> {
        [&self.effect_place()[..], &[self.severity_place()], &self.own_key()].concat()
    }

    fn severity_place(&self) -> u8 {
        match self.finding.rule.severity() {
            Severity::Critical => 0,
            Severity::Warning => 1,
            Severity::Opportunity => 2,
        }
    }

    fn effect_place(&self) -> [u8; 16] {
        let effect_e4 = self.finding.effect_e4.map_or(0, i128::unsigned_abs);
        (u128::MAX - effect_e4).to_be_bytes()
    }

    /// No two recommendations of a list have the same.
    fn own_key(&self) -> Vec<u8> {
        let (kind, includes_others) =
            self.subject.kind().map_or((0, false), |(kind, includes)| (1 + kind as u8, includes));
        let id = subject_id(&self.subject).unwrap_or_default().as_bytes();
        let topic = fnv1a(about_bytes(&self.finding.about).as_bytes());
        let rule = self.finding.rule as u8;
        [&[rule, kind, u8::from(includes_others)], id, &[0], &topic.to_be_bytes()].concat()
    }
}

fn about_bytes(about: &About<'_>) -> String {
    match about {
        About::Nothing => String::new(),
        About::Stage(stage) => stage.map_or_else(String::new, |stage| format!("s{stage}")),
        About::Channel(channel) | About::StoppedChannel { channel, .. } => channel.id.to_owned(),
        About::Media(medium) => format!("{medium:?}"),
        About::Target(id) => (*id).to_owned(),
        About::Strategy { strategy, kpi, kind, include_sub_partners } => {
            format!("{kpi:?} {kind:?} {include_sub_partners} {}", strategy.id)
        }
    }
}

// === impl Advisor ===

impl<'a> Advisor<'a> {
    pub fn new(
        (book, settings): (&'a Book, &'a Settings),
        premises: &'a Premises,
        windows: Windows,
        rules: &'a [Rule],
        caller: &'a Caller,
    ) -> Self {
        Self { book, settings, premises, windows, rules, caller, oldest_rate_on: Cell::new(None) }
    }

    /// The date of the oldest exchange rate among the amounts that were looked at.
    pub fn oldest_rate_on(&self) -> Option<Date> {
        self.oldest_rate_on.get()
    }

    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    pub fn settings(&self) -> &'a Settings {
        self.settings
    }

    pub fn name_of(&self, subject: &Subject) -> Option<&'a str> {
        self.book.identify(subject).1
    }

    /// Fails where nobody waits for the advice any more.
    pub fn still_waits(&self) -> Result<(), Status> {
        self.caller.still_waits()
    }

    /// How a subject stood in other days, at the rates of the question.
    pub fn standing(&self, subject: &Subject, dates: DateRange) -> Result<Standing, Status> {
        let scope = self.scope(subject, &self.filter_for(subject))?;
        let stood = self.book.standing(&scope, &self.windows.of_dates(dates), self.windows.rates, false);
        self.rests_on(stood.oldest_rate_on);
        Ok(stood.standing)
    }

    /// The premises' filter, without what it asks of the subject's own kind.
    fn filter_for(&self, subject: &Subject) -> Filter {
        let filter = &self.premises.filter;
        subject.kind().map_or_else(|| filter.clone(), |(kind, _)| filter.without_kind(kind))
    }

    fn rests_on(&self, rate_on: Option<Date>) {
        self.oldest_rate_on.set([self.oldest_rate_on.get(), rate_on].into_iter().flatten().min());
    }

    /// All that the rules say of those asked for, in no order.
    pub fn advice(&self, whom: &Whom) -> Result<Vec<Advice<'a>>, Status> {
        match whom {
            Whom::One(subject) => {
                let (survivor, _) = self.book.identify(subject);
                // Nobody has heard of it.
                self.scope(&survivor, &self.premises.filter)?;
                match survivor.kind() {
                    None => self.of_tenant(),
                    Some((kind, include_sub_partners)) => {
                        self.of_kind(kind, include_sub_partners, Some(&survivor))
                    }
                }
            }
            Whom::Kinds(kinds) => {
                let mut all = Vec::new();
                for &kind in kinds {
                    all.extend(self.of_kind(kind, false, None)?);
                }
                Ok(all)
            }
            Whom::Everyone => {
                let mut all = self.of_tenant()?;
                for kind in [SubjectKind::Partner, SubjectKind::Employee, SubjectKind::Unit] {
                    all.extend(self.of_kind(kind, false, None)?);
                }
                Ok(all)
            }
        }
    }

    fn levels(&self) -> Levels {
        Levels::from(&self.settings.thresholds)
    }

    fn asks_for(&self, rules: &[Rule]) -> bool {
        self.rules.is_empty() || rules.iter().any(|rule| self.rules.contains(rule))
    }

    fn scope(&self, subject: &Subject, filter: &Filter) -> Result<crate::book::Scope, Status> {
        let scope = self.book.scope(subject, filter, self.premises.roles);
        scope.ok_or_else(|| failure::no_subject(subject))
    }

    /// Of the whole company: nobody else is judged with it.
    fn of_tenant(&self) -> Result<Vec<Advice<'a>>, Status> {
        let filter = &self.premises.filter;
        let judged = judged::tenant(self)?;
        let tested = self.tested(std::slice::from_ref(&judged))?;
        let mut findings: Vec<Finding<'a>> = tested.into_iter().map(|(_, finding)| finding).collect();
        findings.extend(self.of_own(&judged, filter, true)?);
        findings.extend(self.of_channels(filter)?);
        findings.extend(self.of_strategies()?);
        let kept = findings.into_iter().filter(|finding| self.asks_for(&[finding.rule]));
        Ok(kept.map(|finding| Advice { subject: Subject::Tenant, finding }).collect())
    }

    /// Of all subjects of a kind that lists hold, or of one of them.
    fn of_kind(
        &self,
        kind: SubjectKind,
        include_sub_partners: bool,
        only: Option<&Subject>,
    ) -> Result<Vec<Advice<'a>>, Status> {
        let filter = self.premises.filter.without_kind(kind);
        let judged = judged::all(self, kind, include_sub_partners, only)?;
        let is_asked = |at: usize| only.is_none_or(|only| judged.all[at].subject == *only);
        let mut findings = self.tested(&judged.all)?;
        findings.extend(self.of_peers(&judged, &filter, &is_asked)?);
        let with_targets = self.book.subjects_with_targets(self.windows.as_of());
        for (at, one) in judged.all.iter().enumerate().filter(|(at, _)| is_asked(*at)) {
            self.caller.still_waits()?;
            let own = self.of_own(one, &filter, with_targets.contains(&one.subject))?;
            findings.extend(own.into_iter().map(|finding| (at, finding)));
        }
        let kept =
            findings.into_iter().filter(|(at, finding)| is_asked(*at) && self.asks_for(&[finding.rule]));
        Ok(kept.map(|(at, finding)| Advice { subject: judged.all[at].subject.clone(), finding }).collect())
    }

    /// What tests say of each, beside all others: size and close.
    fn tested(&self, judged: &[Judged]) -> Result<Vec<(usize, Finding<'a>)>, Status> {
        let levels = self.levels();
        let mut findings = Vec::new();
        if self.asks_for(&[Rule::SizeGrow, Rule::SizeFalling]) {
            let size = |one: &Judged| {
                let now = (&one.now.measures, &self.windows.now);
                rules::size::size(&one.months, now, &levels)
            };
            findings.extend(discovered(judged, &levels, size));
        }
        self.caller.still_waits()?;
        if self.asks_for(&[Rule::CloseFalling, Rule::CloseRising])
            && let Some(year_before) = &self.windows.year_before
        {
            let close = |one: &Judged| {
                let now = (&one.now.cohort, &one.now.measures, &self.windows.now);
                rules::close::close(now, (one.year_before.as_ref()?, year_before), &levels)
            };
            findings.extend(discovered(judged, &levels, close));
        }
        Ok(findings)
    }

    /// What is said of one alone, whoever else there is.
    fn of_own(
        &self,
        one: &Judged,
        filter: &Filter,
        may_have_targets: bool,
    ) -> Result<Vec<Finding<'a>>, Status> {
        let (levels, as_of) = (self.levels(), self.windows.as_of());
        let mut findings = Vec::new();
        let now: (&Standing, _) = (&one.now, &self.windows.now);
        if let Some((before, window_before)) = one.before.as_ref().zip(self.windows.before.as_ref()) {
            let before = (&before.measures, window_before);
            findings.extend(rules::count::hollow((&now.0.measures, now.1), before, &levels));
        }
        let rates_on = self.premises.exchange.rates_of_stock(as_of);
        if self.asks_for(&[Rule::PipelineExpiring]) {
            let scope = self.scope(&one.subject, filter)?;
            let expiring = self.book.expiring_deals(&scope, as_of, rates_on, levels.expiring_days);
            self.rests_on(expiring.oldest_rate_on);
            findings.extend(rules::pipeline::expiring(&expiring.found, &self.windows.days_ahead(&levels)));
        }
        if may_have_targets && self.asks_for(&[Rule::PipelineThin, Rule::PipelineBehind]) {
            let targets = self.book.targets(&one.subject, self.premises.roles, as_of, self.premises.exchange);
            self.rests_on(targets.oldest_rate_on);
            // A target is answered without the question's filter, and so is what is needed for it.
            let month = self.windows.month_to_date();
            let whole = Filter::default();
            let mut own = now.0.measures;
            let movement = match targets.found.is_empty() {
                true => None,
                false => {
                    let scope = self.scope(&one.subject, &whole)?;
                    if *filter != whole {
                        own = self.book.fold(&scope, now.1.counted(), self.windows.rates).measures;
                    }
                    let since = month.dates.from.plus_days(-1);
                    let movement = self.book.movement(&scope, since, as_of, rates_on);
                    self.rests_on(movement.oldest_rate_on);
                    Some(movement.found)
                }
            };
            for target in &targets.found {
                let (Ok(progress), Some(movement)) = (&target.progress, &movement) else { continue };
                let days = self.windows.of_dates(target.target.dates);
                let target = (target.id.as_str(), progress, &days);
                findings.extend(rules::pipeline::thin(target, (&own, now.1), &levels));
                findings.extend(rules::pipeline::behind(target, (movement, &month)));
            }
        }
        Ok(findings)
    }
}

/// What holds of those tested at once, each by its place.
fn discovered<'a>(
    judged: &[Judged],
    levels: &Levels,
    test: impl Fn(&Judged) -> Option<Tested<'a>>,
) -> Vec<(usize, Finding<'a>)> {
    let tested = judged.iter().enumerate().filter_map(|(at, one)| Some((at, test(one)?)));
    rules::discovered(tested.collect(), levels)
}
