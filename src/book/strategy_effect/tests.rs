//! Strategy effects of random histories: each is what the subjects' own scopes say, one by one.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::board::tests::{Asked, asked, config};
use super::super::histories::{book_of, plain_settings};
use super::super::leaderboard::tests::{alone, passes};
use super::super::small_tenant::{history, subjects};
use super::*;
use crate::domain::calendar::date;
use crate::domain::record::Strategy as Plan;
use crate::kpi::strategy_effect::Effect;

const STARTS: [&str; 5] = ["1970-01-20", "2024-01-10", "2024-01-31", "2024-02-15", "2199-12-20"];
const AS_OF: [&str; 4] = ["2024-01-31", "2024-02-29", "2024-04-30", "2199-12-31"];
const DAYS: [u16; 5] = [1, 10, 20, 31, 400];

/// Whether two contrasts are the same but for the last digits of floats.
fn are_alike(one: &Result<Contrast, Absent>, other: &Result<Contrast, Absent>) -> bool {
    let (one, other) = match (one, other) {
        (Ok(one), Ok(other)) => (one, other),
        (one, other) => return one == other,
    };
    let numbers = |effect: &Effect| {
        let Effect { treated_change, other_change, value, interval } = *effect;
        [treated_change, other_change, value, interval.0, interval.1]
    };
    let are_near = |one: &Effect, other: &Effect| {
        let scale = numbers(other).map(f64::abs).into_iter().fold(0.0, f64::max);
        let pairs = numbers(one).into_iter().zip(numbers(other));
        pairs.into_iter().all(|(a, b)| (a - b).abs() <= 1e-9 * scale)
    };
    (one.treated_count, one.other_count) == (other.treated_count, other.other_count)
        && match (&one.effect, &other.effect) {
            (Ok(one), Ok(other)) => are_near(one, other),
            (one, other) => one == other,
        }
}

fn kind_of(subject: &Subject) -> Option<(SubjectKind, bool)> {
    match subject {
        Subject::Tenant => None,
        Subject::Partner { include_sub_partners, .. } => Some((SubjectKind::Partner, *include_sub_partners)),
        Subject::Employee(_) => Some((SubjectKind::Employee, false)),
        Subject::Unit(_) => Some((SubjectKind::Unit, false)),
    }
}

/// Whether one of two subjects of a kind stands above the other, or is it.
fn are_of_one_tree(book: &Book, one: &Subject, other: &Subject) -> bool {
    let is_within = |one: &Subject, whole: &Subject| {
        let names = &book.records.dictionary;
        let members: Vec<u32> = match whole {
            Subject::Partner { partner, .. } => {
                let partner = names.partners.get(partner.as_str());
                let members = partner.map(|partner| book.partner_trees.members(partner, true));
                members.unwrap_or_default().into_iter().map(Ref::number).collect()
            }
            Subject::Unit(unit) => {
                let unit = names.units.get(unit.as_str());
                let members = unit.map(|unit| book.unit_trees.members(unit, true));
                members.unwrap_or_default().into_iter().map(Ref::number).collect()
            }
            Subject::Employee(_) | Subject::Tenant => book.number_of(whole).into_iter().collect(),
        };
        book.number_of(one).is_some_and(|number| members.contains(&number))
    };
    is_within(one, other) || is_within(other, one)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_effect_is_what_each_subject_s_own_scope_says(
        history in history(),
        questions in vec(
            (asked(), subsequence(subjects(), 1..8), select(&STARTS[..]), select(&AS_OF[..]), select(&DAYS[..])),
            4,
        ),
        kpi in select(&Kpi::ALL[..]),
    ) {
        let book = book_of(history);
        for (context, for_whom, start_on, as_of, days) in questions {
            let strategy =
                Plan { name: None, start_on: date(start_on), subjects: for_whom.clone() };
            let (premises, as_of) = (&context.premises, date(as_of));
            let asked = EffectQuestion { strategy: &strategy, kpi, days, as_of, premises };
            let found = book.strategy_effects(&asked, &|| true);
            let window = |steps: i32| {
                let from = strategy.start_on.plus_days(-steps * i32::from(days));
                let dates = DateRange { from, to: from.plus_days(i32::from(days)) };
                let as_of = as_of.plus_days(-steps * i32::from(days));
                WindowSpec::Dates(dates).resolve(as_of, &plain_settings().period_starts())
            };
            let Some(after) = window(0).filter(|_| book.settings().is_some()) else {
                prop_assert_eq!(found, None);
                continue;
            };
            let found = found.expect("the days are there");
            let rates = premises.exchange.rates_in(&after);
            prop_assert_eq!((found.after, found.before, found.rates), (after, window(1), rates));

            let mut expected: BTreeMap<(SubjectKind, bool), HashSet<Subject>> = BTreeMap::new();
            for subject in &for_whom {
                if let Some(kind) = kind_of(subject) {
                    expected.entry(kind).or_default().insert(book.identify(subject).0);
                }
            }
            let kinds: Vec<_> =
                found.of_kinds.iter().map(|of| ((of.kind, of.include_sub_partners), of.named_count)).collect();
            prop_assert_eq!(kinds, expected.iter().map(|(kind, all)| (*kind, all.len())).collect::<Vec<_>>());

            for of_kind in &found.of_kinds {
                let kind = (of_kind.kind, of_kind.include_sub_partners);
                let treated = &expected[&kind];
                let alike = expected.iter().filter(|((other, _), _)| *other == kind.0);
                let named: Vec<&Subject> = alike.flat_map(|(_, all)| all).collect();
                let contrast = |later: i32| -> Result<Contrast, Absent> {
                    if as_of.days_since(strategy.start_on) + 1 < i32::from(days) {
                        return Err(Absent::DaysToCome);
                    }
                    let (then, now) = window(later + 1).zip(window(later)).ok_or(Absent::NoPast)?;
                    let (mut of_treated, mut of_others) = (Vec::new(), Vec::new());
                    let board = LeaderboardQuestion {
                        kind: kind.0,
                        include_sub_partners: kind.1,
                        ranked_by: RankedBy::from(kpi),
                        ties: TieRule::Unique,
                        rate_rule: RateRule { by_lower_bound: false, sample_min: 0 },
                        premises: premises.clone(),
                    };
                    for subject in book.subjects(kind.0, kind.1, None, 100) {
                        let figure = |window| {
                            let context = Asked { premises: premises.clone(), rates, window };
                            alone(&book, &context, &board, &subject).map(|alone| alone.figure.quotient())
                        };
                        let passes = passes(&book, &board, &subject);
                        let both = figure(then).zip(figure(now)).filter(|_| passes);
                        let Some((before, now)) = both else { continue };
                        if treated.contains(&subject) {
                            of_treated.push(Ends { before, now });
                        } else if !named.iter().any(|other| are_of_one_tree(&book, other, &subject)) {
                            of_others.push(Ends { before, now });
                        }
                    }
                    Ok(super::contrast(&of_treated, &of_others))
                };
                for (found, expected) in [(of_kind.effect, contrast(0)), (of_kind.placebo, contrast(1))] {
                    let told = format!("{kpi:?} of {strategy:?}: {found:?}, expected {expected:?}");
                    prop_assert!(are_alike(&found, &expected), "{}", told);
                }
            }
        }
    }
}
