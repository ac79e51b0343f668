//! Strategy effects: what a strategy did to the subjects that it is for, beside the others of their kind
//! (docs/kpis.md §7). Told from kept boards.
//!
//! Invariant, a property test: every figure is the one that the subject's own scope says.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};

use smallvec::SmallVec;

use super::Book;
use super::leaderboard::LeaderboardQuestion;
use super::names::Ref;
use super::pages::older;
use super::patience::IsAwaited;
use crate::domain::calendar::{Date, DateRange};
use crate::domain::ids::StrategyId;
use crate::domain::premises::{Premises, RatesOn};
use crate::domain::record::Strategy;
use crate::domain::subject::{Subject, SubjectKind};
use crate::domain::window::{Window, WindowSpec};
use crate::kpi::Kpi;
use crate::kpi::drivers::Ends;
use crate::kpi::figure::Absent;
use crate::kpi::leaderboard::{RankedBy, RateRule, TieRule};
use crate::kpi::strategy_effect::{Contrast, contrast};

/// Which strategy is judged, by what.
#[derive(Clone, Copy, Debug)]
pub struct EffectQuestion<'a> {
    pub strategy: &'a Strategy,
    /// One that has a direction: others judge nothing.
    pub kpi: Kpi,
    /// How many days after its start are compared with as many before, at least one.
    pub days: u16,
    pub as_of: Date,
    pub premises: &'a Premises,
}

/// What a strategy did, by kind of subject.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyEffects {
    /// The days after its start.
    pub after: Window,
    /// As many before, at equal age. None where they begin before 1970.
    pub before: Option<Window>,
    pub rates: RatesOn,
    /// In the order of kinds, partners alone before those with their sub-partners.
    pub of_kinds: Vec<KindEffect>,
    pub oldest_rate_on: Option<Date>,
}

/// What it did to the subjects of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KindEffect {
    pub kind: SubjectKind,
    /// Never with another kind than partners.
    pub include_sub_partners: bool,
    /// The subjects of the kind that it is for, mergers followed, whether or not they have the KPI.
    pub named_count: usize,
    /// The days after its start less those before.
    pub effect: Result<Contrast, Absent>,
    /// The days before its start less as many before them, when nothing could have come of it yet.
    pub placebo: Result<Contrast, Absent>,
}

/// The windows by which a strategy is judged, each as many days long and as old as the others.
struct Windows {
    after: Window,
    before: Option<Window>,
    earlier: Option<Window>,
}

/// By number, the KPI of each that has it.
type Figures = HashMap<u32, f64>;

// === impl Windows ===

impl Windows {
    /// None where the days after the start reach beyond 2199.
    fn of(asked: &EffectQuestion<'_>, book: &Book) -> Option<Self> {
        let starts = book.settings()?.period_starts();
        let days = i32::from(asked.days);
        let back = |steps: i32| {
            let from = asked.strategy.start_on.plus_days(-steps * days);
            let dates = DateRange { from, to: from.plus_days(days) };
            WindowSpec::Dates(dates).resolve(asked.as_of.plus_days(-steps * days), &starts)
        };
        Some(Self { after: back(0)?, before: back(1), earlier: back(2) })
    }
}

// === impl Book ===

impl Book {
    /// A strategy as its current version has it. None where it was never sent, and where it is deleted.
    pub fn strategy(&self, id: &StrategyId) -> Option<&Strategy> {
        self.records.strategies.chain(id)?.current()?.content.present()
    }

    /// All strategies that aren't deleted, by the bytes of their ids.
    pub fn strategies(&self) -> impl Iterator<Item = (&StrategyId, &Strategy)> {
        self.records
            .strategies
            .chains()
            .filter_map(|(id, chain)| Some((id, chain.current()?.content.present()?)))
    }

    /// What a strategy did to each kind of subject that it is for. None where the days after its start reach
    /// beyond 2199, and where nobody waits any more.
    pub fn strategy_effects(
        &self,
        asked: &EffectQuestion<'_>,
        is_awaited: IsAwaited<'_>,
    ) -> Option<StrategyEffects> {
        let windows = Windows::of(asked, self)?;
        let rates = asked.premises.exchange.rates_in(&windows.after);
        let named: HashSet<Named> = asked.strategy.subjects.iter().filter_map(|one| self.whom(one)).collect();
        let kinds: BTreeSet<(SubjectKind, bool)> =
            named.iter().map(|named| (named.kind, named.include_sub_partners)).collect();
        let mut oldest_rate_on = None;
        let mut of_kinds = Vec::with_capacity(kinds.len());
        for (kind, include_sub_partners) in kinds {
            let board = LeaderboardQuestion {
                kind,
                include_sub_partners,
                ranked_by: RankedBy::from(asked.kpi),
                ties: TieRule::default(),
                rate_rule: RateRule { sample_min: 0, ..RateRule::default() },
                premises: asked.premises.clone(),
            };
            let mut figures = |window: &Window| {
                is_awaited().then(|| {
                    let board = self.unordered_leaderboard(&board, window, rates);
                    oldest_rate_on = older(oldest_rate_on, board.oldest_rate_on());
                    board.figures()
                })
            };
            let sides = Sides::of(self, &named, kind, include_sub_partners);
            let (effect, placebo) = match &windows {
                Windows { after, .. } if after.is_partial() => {
                    (Err(Absent::DaysToCome), Err(Absent::DaysToCome))
                }
                Windows { before: None, .. } => (Err(Absent::NoPast), Err(Absent::NoPast)),
                Windows { after, before: Some(before), earlier } => {
                    let (now, then) = (figures(after)?, figures(before)?);
                    let placebo = match earlier {
                        Some(earlier) => Ok(sides.contrast(&figures(earlier)?, &then)),
                        None => Err(Absent::NoPast),
                    };
                    (Ok(sides.contrast(&then, &now)), placebo)
                }
            };
            let named_count = sides.named_count;
            of_kinds.push(KindEffect { kind, include_sub_partners, named_count, effect, placebo });
        }
        let Windows { after, before, .. } = windows;
        Some(StrategyEffects { after, before, rates, of_kinds, oldest_rate_on })
    }

    /// Who counts in a subject's place. The tenant is of no kind: there are no others like it.
    fn whom(&self, subject: &Subject) -> Option<Named> {
        let (kind, include_sub_partners) = subject.kind()?;
        let (survivor, _) = self.identify(subject);
        Some(Named { kind, include_sub_partners, number: self.number_of(subject), survivor })
    }

    /// One and all above it.
    fn line_of(&self, kind: SubjectKind, number: u32) -> SmallVec<[u32; 4]> {
        match kind {
            SubjectKind::Partner => {
                self.partner_trees.line(Ref::new(number)).into_iter().map(Ref::number).collect()
            }
            SubjectKind::Employee => SmallVec::from_slice(&[number]),
            SubjectKind::Unit => {
                self.unit_trees.line(Ref::new(number)).into_iter().map(Ref::number).collect()
            }
        }
    }
}

/// A subject that a strategy is for.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Named {
    kind: SubjectKind,
    include_sub_partners: bool,
    survivor: Subject,
    /// None: no record names it.
    number: Option<u32>,
}

/// Who of a kind is treated, and who isn't touched by it.
struct Sides<'a> {
    book: &'a Book,
    kind: SubjectKind,
    named_count: usize,
    treated: HashSet<u32>,
    /// All of the kind that the strategy names, and those above them. Whoever is named with its sub-partners is
    /// no other of those named alone.
    touched: HashSet<u32>,
    /// Of these, those that it names: whoever is below one is touched, too.
    tops: HashSet<u32>,
}

// === impl Sides ===

impl<'a> Sides<'a> {
    fn of(book: &'a Book, named: &HashSet<Named>, kind: SubjectKind, include_sub_partners: bool) -> Self {
        let of_kind = || named.iter().filter(move |named| named.kind == kind);
        let alike = || of_kind().filter(move |named| named.include_sub_partners == include_sub_partners);
        let tops: HashSet<u32> = of_kind().filter_map(|named| named.number).collect();
        Self {
            book,
            kind,
            named_count: alike().count(),
            treated: alike().filter_map(|named| named.number).collect(),
            touched: tops.iter().flat_map(|&number| book.line_of(kind, number)).collect(),
            tops,
        }
    }

    /// Of those who are listed and have the KPI in both windows.
    fn contrast(&self, before: &Figures, now: &Figures) -> Contrast {
        let (mut treated, mut others) = (Vec::new(), Vec::new());
        // In the order of ids, so that every replica adds up alike.
        for number in self.book.rosters.of(self.kind).listed() {
            let Some((&before, &now)) = before.get(number).zip(now.get(number)) else { continue };
            if self.treated.contains(number) {
                treated.push(Ends { before, now });
            } else if !self.touches(*number) {
                others.push(Ends { before, now });
            }
        }
        contrast(&treated, &others)
    }

    /// Whether one is named, or above or below one that is.
    fn touches(&self, number: u32) -> bool {
        self.touched.contains(&number)
            || self.book.line_of(self.kind, number).iter().any(|above| self.tops.contains(above))
    }
}
