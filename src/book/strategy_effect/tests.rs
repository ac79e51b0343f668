//! Strategy effects of random histories: each is what the subjects' own scopes say, one by one.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::Strategy;

use super::super::board::tests::{Asked, asked, config};
use super::super::histories::{book_of, book_of_records, plain_settings};
use super::super::leaderboard::tests::{alone, passes};
use super::super::small_tenant::{currency, history, id, noon, plain_deal, subjects};
use super::*;
use crate::domain::amount::{Amount, BasisPoints, Money};
use crate::domain::calendar::date;
use crate::domain::record::{
    Credit, Credits, Deal, DealStatus, Employee, Labels, Partner, Record, Role, State, Strategy as Plan, Unit,
};
use crate::kpi::strategy_effect::Effect;

/// A question about a strategy.
#[derive(Clone, Debug)]
struct Judged {
    strategy: Plan,
    kpi: Kpi,
    days: u16,
    as_of: Date,
}

fn judged(subjects: Vec<Subject>, at_most: usize) -> impl Strategy<Value = Judged> {
    const STARTS: [&str; 5] = ["1970-01-20", "2024-01-10", "2024-01-31", "2024-02-15", "2199-12-20"];
    const AS_OF: [&str; 4] = ["2024-01-31", "2024-02-29", "2024-04-30", "2199-12-31"];
    const DAYS: [u16; 5] = [1, 10, 20, 31, 400];
    let whom = subsequence(subjects, 1..=at_most);
    (whom, select(&STARTS[..]), select(&Kpi::ALL[..]), select(&DAYS[..]), select(&AS_OF[..])).prop_map(
        |(subjects, start_on, kpi, days, as_of)| {
            let strategy = Plan { name: None, start_on: date(start_on), subjects };
            Judged { strategy, kpi, days, as_of: date(as_of) }
        },
    )
}

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

/// Compares what a book says of a strategy with what the subjects' own scopes say.
fn check(book: &Book, asked: &Judged, premises: &Premises) -> Result<(), TestCaseError> {
    let &Judged { ref strategy, kpi, days, as_of } = asked;
    let found = book.strategy_effects(&EffectQuestion { strategy, kpi, days, as_of, premises }, &|| true);
    let window = |steps: i32| {
        let days = i32::from(days);
        let from = strategy.start_on.plus_days(-steps * days);
        let dates = DateRange { from, to: from.plus_days(days) };
        WindowSpec::Dates(dates).resolve(as_of.plus_days(-steps * days), &plain_settings().period_starts())
    };
    let Some(after) = window(0).filter(|_| book.settings().is_some()) else {
        prop_assert_eq!(found, None);
        return Ok(());
    };
    let found = found.expect("the days are there");
    let rates = premises.exchange.rates_in(&after);
    prop_assert_eq!((found.after, found.before, found.rates), (after, window(1), rates));

    let mut expected: BTreeMap<(SubjectKind, bool), HashSet<Subject>> = BTreeMap::new();
    for subject in &strategy.subjects {
        if let Some(kind) = subject.kind() {
            expected.entry(kind).or_default().insert(book.identify(subject).0);
        }
    }
    let kinds = found.of_kinds.iter().map(|of| ((of.kind, of.include_sub_partners), of.named_count));
    let named = expected.iter().map(|(kind, all)| (*kind, all.len()));
    prop_assert_eq!(kinds.collect::<Vec<_>>(), named.collect::<Vec<_>>());

    for of_kind in &found.of_kinds {
        let kind = (of_kind.kind, of_kind.include_sub_partners);
        let treated = &expected[&kind];
        let alike = expected.iter().filter(|((other, _), _)| *other == kind.0);
        let named: Vec<&Subject> = alike.flat_map(|(_, all)| all).collect();
        let board = LeaderboardQuestion {
            kind: kind.0,
            include_sub_partners: kind.1,
            ranked_by: RankedBy::from(kpi),
            ties: TieRule::Unique,
            rate_rule: RateRule { by_lower_bound: false, sample_min: 0 },
            premises: premises.clone(),
        };
        let contrast = |steps: i32| -> Result<Contrast, Absent> {
            if as_of.days_since(strategy.start_on) + 1 < i32::from(days) {
                return Err(Absent::DaysToCome);
            }
            let (then, now) = window(steps + 1).zip(window(steps)).ok_or(Absent::NoPast)?;
            let (mut of_treated, mut of_others) = (Vec::new(), Vec::new());
            for subject in book.subjects(kind.0, kind.1, None, 100) {
                let figure = |window| {
                    let context = Asked { premises: premises.clone(), rates, window };
                    alone(book, &context, &board, &subject).map(|alone| alone.figure.quotient())
                };
                let passes = passes(book, &board, &subject);
                let Some((before, now)) = figure(then).zip(figure(now)).filter(|_| passes) else { continue };
                if treated.contains(&subject) {
                    of_treated.push(Ends { before, now });
                } else if !named.iter().any(|other| are_of_one_tree(book, other, &subject)) {
                    of_others.push(Ends { before, now });
                }
            }
            Ok(super::contrast(&of_treated, &of_others))
        };
        for (found, expected) in [(of_kind.effect, contrast(0)), (of_kind.placebo, contrast(1))] {
            let told = format!("{asked:?}: {found:?}, expected {expected:?}");
            prop_assert!(are_alike(&found, &expected), "{}", told);
        }
    }
    Ok(())
}

const SUBJECT_COUNT: usize = 9;

/// So many of each kind, few of them in trees: there are some to treat and some to compare them with.
fn company() -> impl Strategy<Value = Vec<Record>> {
    const DATES: [&str; 6] =
        ["2023-12-28", "2024-01-05", "2024-01-15", "2024-01-31", "2024-02-10", "2024-02-20"];
    let parents = || vec(proptest::option::weighted(0.2, 0..SUBJECT_COUNT), SUBJECT_COUNT);
    let place = || 0..SUBJECT_COUNT;
    let deal = (place(), place(), select(&DATES[..]), select(&DATES[..]), 0u8..4, 1i64..5);
    (parents(), parents(), vec(deal, 40..90)).prop_map(|(partner_parents, unit_parents, deals)| {
        let partners = (0..).zip(partner_parents).map(|(n, parent): (usize, _)| {
            let partner = Partner {
                name: None,
                partner_type: None,
                tier: None,
                region: None,
                parent: parent.map(|parent| id(&format!("p{parent}"))),
                active: true,
                labels: Labels::new(),
                merged_into: None,
            };
            Record::Partner(id(&format!("p{n}")), State::Present(partner))
        });
        let units = (0..).zip(unit_parents).map(|(n, parent): (usize, _)| {
            let parent = parent.map(|parent| id(&format!("u{parent}")));
            Record::Unit(id(&format!("u{n}")), State::Present(Unit { name: None, unit_kind: None, parent }))
        });
        let employees = (0..SUBJECT_COUNT).map(|n| {
            let unit = Some(id(&format!("u{n}")));
            let employee = Employee { name: None, unit, active: true, merged_into: None };
            Record::Employee(id(&format!("e{n}")), State::Present(employee))
        });
        let deals = deals.into_iter().enumerate().map(|(n, (partner, owner, one, other, fate, units))| {
            let (opened_on, closed_on) = (one.min(other), one.max(other));
            let status = match fate {
                0 => DealStatus::Open,
                1 => DealStatus::Lost(noon(closed_on)),
                _ => DealStatus::Won(noon(closed_on)),
            };
            let amount = Amount::try_from_e4(units * 10_000).expect("a small amount");
            let partner = id(&format!("p{partner}"));
            let credit = Credit { role: Role::Sourced, partner, share: Some(BasisPoints::WHOLE) };
            let deal = Deal {
                amount: Some(Money { amount, currency: currency("USD") }),
                credits: Credits::try_new(vec![credit]).expect("one whole credit"),
                owner: Some(id(&format!("e{owner}"))),
                ..plain_deal(noon(opened_on), status)
            };
            Record::Deal(id(&format!("d{n}")), State::Present(deal))
        });
        partners.chain(units).chain(employees).chain(deals).collect()
    })
}

/// Those of the company, the first three of each kind.
fn some_of_company() -> Vec<Subject> {
    let of = |n: usize| {
        let partner =
            |include_sub_partners| Subject::Partner { partner: id(&format!("p{n}")), include_sub_partners };
        let (employee, unit) = (Subject::Employee(id(&format!("e{n}"))), Subject::Unit(id(&format!("u{n}"))));
        [partner(false), partner(true), employee, unit]
    };
    (0..3).flat_map(of).collect()
}

proptest! {
    #![proptest_config(config())]

    /// Whatever the records are like.
    #[test]
    fn sides_are_those_whose_own_scopes_say_so(
        history in history(), questions in vec((asked(), judged(subjects(), 8)), 4),
    ) {
        let book = book_of(history);
        for (Asked { premises, .. }, asked) in &questions {
            check(&book, asked, premises)?;
        }
    }

    /// Where there are enough on both sides.
    #[test]
    fn effects_are_those_of_the_subjects_own_scopes(
        company in company(), questions in vec(judged(some_of_company(), 12), 4),
    ) {
        let book = book_of_records(company);
        for asked in &questions {
            check(&book, asked, &Premises::default())?;
        }
    }
}
