//! Leaderboards of random histories: each is the ranking, worked out pair by pair, of what the subjects' own
//! scopes say.

use std::cmp::Ordering;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::board::tests::{Asked, KINDS, asked, config};
use super::super::histories::{apply, book_of};
use super::super::small_tenant::history;
use super::*;
use crate::kpi::figure::{Direction, Ratio, wilson_interval};
use crate::kpi::leaderboard::Score;
use crate::kpi::peers::Peer;

pub(super) const ALL: [RankedBy; 29] = {
    use RankedBy::*;
    [
        AverageDealSize,
        DealCount,
        OpportunityPipeline,
        MarketingChannel,
        CloseRate,
        DealVelocity,
        ValueScore,
        DealSuccess,
        WonAmount,
        CloseRateResolved,
        LeadQualificationRate,
        CycleDays,
        OpenCount,
        OpenedCount,
        OpenedAmount,
        LostCount,
        LostAmount,
        ExpiredCount,
        ExpiredAmount,
        MissedCount,
        MissedAmount,
        LostToCompetitorCount,
        WorkDays,
        LeadCount,
        ConvertedLeadCount,
        DisqualifiedLeadCount,
        ProspectCount,
        PurchasedCount,
        LostProspectCount,
    ]
};

fn question() -> impl Strategy<Value = (Asked, LeaderboardQuestion)> {
    let ties = select(&[TieRule::Competition, TieRule::Dense, TieRule::Unique][..]);
    (asked(), select(&ALL[..]), select(&KINDS[..]), ties, any::<bool>(), 0i64..3).prop_map(
        |(asked, ranked_by, (kind, include_sub_partners), ties, by_lower_bound, sample_min)| {
            let rate_rule = RateRule { by_lower_bound: by_lower_bound && ranked_by.is_rate(), sample_min };
            let premises = asked.premises.clone();
            let question =
                LeaderboardQuestion { kind, include_sub_partners, ranked_by, ties, rate_rule, premises };
            (asked, question)
        },
    )
}

/// A subject with its figure, by its own scope.
struct Alone {
    id: String,
    figure: Ratio,
    lower_e9: Option<i64>,
    won_amount_e4: i128,
}

impl Alone {
    /// From the best; equal ones are equal.
    fn cmp_figure(&self, other: &Self, direction: Direction) -> Ordering {
        match (self.lower_e9, other.lower_e9) {
            (Some(mine), Some(its)) => its.cmp(&mine),
            _ => direction.best_first(&self.figure, &other.figure),
        }
    }
}

fn id_of(subject: &Subject) -> &str {
    match subject {
        Subject::Tenant => "",
        Subject::Partner { partner, .. } => partner.as_str(),
        Subject::Employee(employee) => employee.as_str(),
        Subject::Unit(unit) => unit.as_str(),
    }
}

/// Whether the filter lets a subject onto the board, as docs/kpis.md §13 says it.
fn passes(book: &Book, asked: &LeaderboardQuestion, subject: &Subject) -> bool {
    let Premises { filter, roles, .. } = &asked.premises;
    let scope = book.scope(subject, filter, *roles).expect("it is listed");
    let asks_for_desks = !filter.employees.is_empty() || !filter.units.is_empty();
    let units = book.asked_units(filter);
    match subject {
        Subject::Partner { .. } => {
            !filter.asks_for_partners() || scope.slots.is_some_and(|slots| !slots.is_empty())
        }
        Subject::Employee(employee) if asks_for_desks => {
            let number = book.records.dictionary.employees.get(employee.as_str()).expect("it is listed");
            let is_named = book.asked_owners(filter).is_none_or(|asked| asked.contains(&Some(number)));
            let unit = book.unit_of.get(number.index()).copied().flatten();
            let is_in_unit = units.is_none_or(|asked| asked.contains(&unit));
            (is_named && is_in_unit) || scope.desks.is_some_and(|desks| !desks.is_empty())
        }
        Subject::Unit(unit) if asks_for_desks => {
            let number = book.records.dictionary.units.get(unit.as_str());
            let is_asked = units.is_none_or(|asked| asked.contains(&number));
            let has_desk = scope.desks.is_some_and(|desks| !desks.is_empty());
            is_asked && (filter.employees.is_empty() || has_desk)
        }
        _ => true,
    }
}

fn alone(book: &Book, context: &Asked, asked: &LeaderboardQuestion, subject: &Subject) -> Option<Alone> {
    let Premises { filter, roles, .. } = &asked.premises;
    let (window, rates) = (&context.window, context.rates);
    let scope = book.scope(subject, filter, *roles)?;
    let standing = book.standing(&scope, window, rates, true).standing;
    let open = book.pipeline(&scope, &[], window.as_of, context.rates_of_stock(), 0).found.open.deals;
    let peer = Peer { standing, open };
    let figure = match asked.ranked_by {
        RankedBy::ValueScore => {
            let board =
                BoardQuestion::new(asked.kind, asked.include_sub_partners, &asked.premises, window, rates);
            let board = book.board(&board.of_peers());
            let (peer, group) = book.peer(&board, subject)?;
            value_score(&peer.standing.measures, Some(group.total()))
        }
        RankedBy::MarketingChannel => {
            let question = MarketingQuestion { subject, filter, scope: &scope, basis: Basis::Period, rates };
            return_on_investment(&book.marketing(&question, window).found.attributed())
        }
        ranked_by if ranked_by.is_of_leads() && filter.asks_for_deals_only() => return None,
        ranked_by => ranked_by.figure(&peer),
    };
    let figure = figure.ok()?;
    let (measures, cohort) = (&standing.measures, &standing.cohort);
    let (successes, trials, sample) = match asked.ranked_by {
        RankedBy::CloseRate => {
            (cohort.purchased_count, cohort.prospect_count, cohort.purchased_count + cohort.lost_count)
        }
        RankedBy::CloseRateResolved => {
            let resolved = measures.purchased_count + measures.lost_prospect_count;
            (measures.purchased_count, resolved, resolved)
        }
        RankedBy::DealSuccess => {
            let ended = measures.won.count + measures.lost.count + measures.expired.count;
            (measures.won.count, ended, ended)
        }
        RankedBy::LeadQualificationRate => {
            let decided = measures.converted_lead_count + measures.disqualified_lead_count;
            (measures.converted_lead_count, decided, decided)
        }
        _ => (0, 0, i64::MAX),
    };
    let lower = wilson_interval(successes, trials).map(|(lower, _)| (lower * 1e9).round() as i64);
    (sample >= asked.rate_rule.sample_min).then(|| Alone {
        id: id_of(subject).to_owned(),
        figure,
        lower_e9: lower.filter(|_| asked.rate_rule.by_lower_bound),
        won_amount_e4: measures.won.amount_e4,
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_board_ranks_what_each_subject_s_own_scope_says(
        history in history(), questions in vec(question(), 8),
    ) {
        let book = book_of(history);
        for (context, asked) in &questions {
            let board = book.leaderboard(asked, &context.window, context.rates);
            let subjects = book.subjects(asked.kind, asked.include_sub_partners, None, 100);
            let those = subjects.iter().filter(|subject| passes(&book, asked, subject));
            let those: Vec<Alone> =
                those.filter_map(|subject| alone(&book, context, asked, subject)).collect();
            prop_assert_eq!(board.rows.len(), those.len(), "{:?}", asked);

            let direction = asked.ranked_by.direction();
            for row in &board.rows {
                let mine = those.iter().find(|other| other.id == row.entrant.id);
                let mine = mine.expect("whoever is ranked has the figure");
                let figure = row.entrant.score.figure();
                prop_assert_eq!(figure.cmp_exact(&mine.figure), Ordering::Equal, "{:?}", asked);
                let lower_e9 = match row.entrant.score {
                    Score::LowerBound { e9, .. } => Some(e9),
                    Score::Value(_) => None,
                };
                prop_assert_eq!(lower_e9, mine.lower_e9);
                prop_assert_eq!(row.entrant.won.amount_e4, mine.won_amount_e4);

                let better: Vec<&Alone> =
                    those.iter().filter(|other| other.cmp_figure(mine, direction).is_lt()).collect();
                let ahead = those.iter().filter(|other| {
                    let by_amount = mine.won_amount_e4.cmp(&other.won_amount_e4);
                    let by_id = other.id.as_bytes().cmp(mine.id.as_bytes());
                    other.cmp_figure(mine, direction).then(by_amount).then(by_id).is_lt()
                });
                let place = 1 + ahead.count();
                prop_assert_eq!(row.place, place);
                prop_assert_eq!(board.rows[place - 1].entrant.id, row.entrant.id, "rows stand in their places");
                let distinct = better.iter().enumerate().filter(|(at, one)| {
                    better[..*at].iter().all(|other| other.cmp_figure(one, direction).is_ne())
                });
                let rank = match asked.ties {
                    TieRule::Competition => 1 + better.len(),
                    TieRule::Dense => 1 + distinct.count(),
                    TieRule::Unique => place,
                };
                prop_assert_eq!(row.rank, rank, "{:?}", asked.ties);
            }
        }
    }
}

/// A batch of deals of known partners tells no board anew; a partner's new tier does.
#[test]
fn a_board_is_told_once_and_kept() {
    use crate::book::small_tenant::{days, id, noon, plain_deal, plain_settings};
    use crate::domain::amount::BasisPoints;
    use crate::domain::calendar::{Instant, date};
    use crate::domain::record::{
        Credit, Credits, Deal, DealStatus, Partner, Record, Role, State, Version, VersionKey,
    };
    use crate::domain::window::WindowSpec;

    let sent = |sequence, record| {
        let key = VersionKey { update_time: Instant::FIRST, sequence };
        Version { key, record }
    };
    let won = |deal: &str, partner: &str| {
        let credit = Credit { role: Role::Sourced, partner: id(partner), share: Some(BasisPoints::WHOLE) };
        let content = Deal {
            credits: Credits::try_new(vec![credit]).expect("one whole credit"),
            ..plain_deal(noon("2024-03-01"), DealStatus::Won(noon("2024-03-05")))
        };
        Record::Deal(id(deal), State::Present(content))
    };
    let partner = |name: &str| {
        let content = Partner {
            name: None,
            partner_type: None,
            tier: None,
            region: None,
            parent: None,
            active: true,
            labels: Default::default(),
            merged_into: None,
        };
        Record::Partner(id(name), State::Present(content))
    };
    let mut book = Book::default();
    let first =
        [Record::Settings(plain_settings()), partner("a"), partner("b"), won("d1", "a"), won("d2", "b")];
    apply(&mut book, first.map(|record| sent(0, record)).into());

    let window = WindowSpec::Dates(days("2024-03-01..2024-04-01"));
    let window = window.resolve(date("2024-03-31"), &plain_settings().period_starts()).expect("in range");
    let asked = LeaderboardQuestion {
        kind: SubjectKind::Partner,
        include_sub_partners: false,
        ranked_by: RankedBy::DealCount,
        ties: TieRule::Competition,
        rate_rule: RateRule::default(),
        premises: Premises::default(),
    };
    let board = |book: &Book| {
        let board = book.leaderboard(&asked, &window, RatesOn::OwnDay);
        board.rows.iter().map(|row| (row.entrant.id.to_owned(), row.rank)).collect::<Vec<_>>()
    };
    let expected = |rows: &[(&str, usize)]| -> Vec<(String, usize)> {
        rows.iter().map(|&(id, rank)| (id.to_owned(), rank)).collect()
    };
    assert_eq!(board(&book), expected(&[("a", 1), ("b", 1)]));
    assert_eq!((board(&book), book.boards_told_count()), (expected(&[("a", 1), ("b", 1)]), 1));
    apply(&mut book, vec![sent(0, won("d3", "b"))]);
    assert_eq!((board(&book), book.boards_told_count()), (expected(&[("b", 1), ("a", 2)]), 1));
    apply(&mut book, vec![sent(1, Record::Deal(id("d3"), State::Deleted(())))]);
    assert_eq!((board(&book), book.boards_told_count()), (expected(&[("a", 1), ("b", 1)]), 1));
    // Somebody new, and then known to the host: two reasons to tell it anew.
    apply(&mut book, vec![sent(0, won("d4", "c"))]);
    assert_eq!((board(&book), book.boards_told_count()), (expected(&[("a", 1), ("b", 1)]), 2));
    apply(&mut book, vec![sent(0, partner("c"))]);
    assert_eq!((board(&book), book.boards_told_count()), (expected(&[("a", 1), ("b", 1), ("c", 1)]), 3));
}
