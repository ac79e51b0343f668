//! Leaderboards of random histories: each is the ranking, worked out pair by pair, of what the subjects' own
//! scopes say.

use std::cmp::Ordering;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::board::tests::{Asked, KINDS, asked, config};
use super::super::histories::{apply, book_of, book_of_records};
use super::super::small_tenant::{currency, days, history, id, noon, plain_deal, plain_settings};
use super::*;
use crate::domain::amount::{Amount, BasisPoints, Money};
use crate::domain::calendar::{Instant, date};
use crate::domain::exchange::{Rate, RateKey};
use crate::domain::ids::{Term, kind};
use crate::domain::premises::ExchangePolicy;
use crate::domain::record::{
    Channel, Credit, Credits, Deal, DealStatus, Lead, LeadOutcome, Media, Partner, Record, Role, Settings,
    State, Version, VersionKey,
};
use crate::domain::window::WindowSpec;
use crate::kpi::figure::{Direction, wilson_interval};

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

proptest! {
    #![proptest_config(config())]

    /// Nothing has to be told once it was told, until something changes; what is spent is always asked anew.
    #[test]
    fn a_leaderboard_is_kept_once_it_was_told(history in history(), (asked, question) in question()) {
        let mut book = book_of(history);
        let (window, rates) = (&asked.window, asked.rates);
        prop_assert!(!book.keeps_leaderboard(&question, window, rates));
        book.leaderboard(&question, window, rates);
        let is_kept = question.ranked_by != RankedBy::MarketingChannel;
        prop_assert_eq!(book.keeps_leaderboard(&question, window, rates), is_kept);
        book.kept.clear();
        prop_assert!(!book.keeps_leaderboard(&question, window, rates));
    }
}

/// A subject with its figure, by its own scope.
pub(in crate::book) struct Alone {
    id: String,
    pub figure: Ratio,
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
pub(in crate::book) fn passes(book: &Book, asked: &LeaderboardQuestion, subject: &Subject) -> bool {
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

pub(in crate::book) fn alone(
    book: &Book,
    context: &Asked,
    asked: &LeaderboardQuestion,
    subject: &Subject,
) -> Option<Alone> {
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
            prop_assert_eq!(board.len(), those.len(), "{:?}", asked);

            let direction = asked.ranked_by.direction();
            let rows: Vec<Ranked<'_>> = board.rows(0..board.len()).collect();
            for row in &rows {
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
                prop_assert_eq!(rows[place - 1].entrant.id, row.entrant.id, "rows stand in their places");
                prop_assert_eq!(board.place_of(row.entrant.id), Some(place - 1));
                prop_assert_eq!(board.rank_of(row), Some(row.rank));
                prop_assert_eq!(board.count_through(&RowKey::of(&row.entrant)), place);
                prop_assert_eq!(row.name, book.name_of_one(asked.kind, row.entrant.id));
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

fn sent(sequence: u64, record: Record) -> Version {
    let key = VersionKey { update_time: Instant::FIRST, sequence };
    Version { key, record }
}

fn partner(name: &str, region: &str) -> Record {
    let content = Partner {
        name: None,
        partner_type: None,
        tier: None,
        region: Some(term(region)),
        parent: None,
        active: true,
        labels: Default::default(),
        merged_into: None,
    };
    Record::Partner(id(name), State::Present(content))
}

fn won(deal: &str, partner: &str) -> (Id<kind::Deal>, Deal) {
    let credit = Credit { role: Role::Sourced, partner: id(partner), share: Some(BasisPoints::WHOLE) };
    let content = Deal {
        credits: Credits::try_new(vec![credit]).expect("one whole credit"),
        ..plain_deal(noon("2024-03-01"), DealStatus::Won(noon("2024-03-05")))
    };
    (id(deal), content)
}

fn record((id, deal): (Id<kind::Deal>, Deal)) -> Record {
    Record::Deal(id, State::Present(deal))
}

fn term(text: &str) -> Term {
    Term::try_new(text).expect("a plain text")
}

fn march() -> Window {
    let window = WindowSpec::Dates(days("2024-03-01..2024-04-01"));
    window.resolve(date("2024-03-31"), &plain_settings().period_starts()).expect("in range")
}

fn by(ranked_by: RankedBy, filter: Filter) -> LeaderboardQuestion {
    LeaderboardQuestion {
        kind: SubjectKind::Partner,
        include_sub_partners: false,
        ranked_by,
        ties: TieRule::Competition,
        rate_rule: RateRule::default(),
        premises: Premises { filter, ..Premises::default() },
    }
}

/// Id, rank and figure of each row.
fn told(book: &Book, asked: &LeaderboardQuestion) -> Vec<(String, usize, f64)> {
    let rates = asked.premises.exchange.rates_in(&march());
    let board = book.leaderboard(asked, &march(), rates);
    let rows = board.rows(0..board.len());
    rows.map(|row| (row.entrant.id.to_owned(), row.rank, row.entrant.score.figure().quotient())).collect()
}

/// A batch of deals of known partners tells no board anew; a partner that is new, or known only now, does.
#[test]
fn a_board_is_told_once_and_kept() {
    let mut book = Book::default();
    let first = [
        Record::Settings(plain_settings()),
        partner("a", "north"),
        partner("b", "north"),
        record(won("d1", "a")),
        record(won("d2", "b")),
    ];
    apply(&mut book, first.map(|record| sent(0, record)).into());
    let asked = by(RankedBy::DealCount, Filter::default());
    let board = |book: &Book| {
        let rows = told(book, &asked).into_iter();
        rows.map(|(id, rank, _)| format!("{rank} {id}")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!((board(&book), book.boards_told_count()), ("1 a, 1 b".to_owned(), 1));
    assert_eq!((board(&book), book.boards_told_count()), ("1 a, 1 b".to_owned(), 1));
    for (version, expected, told_count) in [
        (sent(0, record(won("d3", "b"))), "1 b, 2 a", 1),
        (sent(1, Record::Deal(id("d3"), State::Deleted(()))), "1 a, 1 b", 1),
        (sent(0, record(won("d4", "c"))), "1 a, 1 b", 2),
        (sent(0, partner("c", "north")), "1 a, 1 b, 1 c", 3),
    ] {
        apply(&mut book, vec![version]);
        assert_eq!((board(&book), book.boards_told_count()), (expected.to_owned(), told_count));
    }
}

/// A filter of what only deals have asks the deals of every lead which leads pass: only where leads are ranked.
#[test]
fn boards_of_deals_ask_for_no_leads_and_stay() {
    let of_product = |product: &str, at: u64| {
        let (id, deal) = won("d1", "a");
        sent(at, record((id, Deal { product: Some(term(product)), ..deal })))
    };
    let mut book = book_of_records([partner("a", "north")]);
    apply(&mut book, vec![of_product("y", 1)]);
    apply(&mut book, vec![of_product("x", 2)]);
    let filter = Filter { products: vec![Some(term("x"))], ..Filter::default() };
    let (by_deals, by_prospects) =
        (by(RankedBy::DealCount, filter.clone()), by(RankedBy::ProspectCount, filter));
    for (asked, at, told_count) in [(&by_deals, 3, 1), (&by_prospects, 5, 3)] {
        assert_eq!(told(&book, asked), [("a".to_owned(), 1, 1.0)]);
        apply(&mut book, vec![of_product("y", at)]);
        assert_eq!(told(&book, asked), [("a".to_owned(), 1, 0.0)], "its own deals change it");
        assert_eq!(book.boards_told_count(), told_count);
        apply(&mut book, vec![of_product("x", at + 1)]);
    }
}

/// Of the boards that nobody holds those asked for last are kept: three, under test.
#[test]
fn boards_that_are_held_stay_and_of_others_the_last() {
    let book = book_of_records([partner("a", "north"), record(won("d1", "a"))]);
    let ask = |region: &str| {
        let filter = Filter { regions: vec![Some(term(region))], ..Filter::default() };
        book.leaderboard(&by(RankedBy::DealCount, filter), &march(), RatesOn::OwnDay)
            .pins()
            .collect::<Vec<_>>()
    };
    let held = ask("held");
    for region in ["r1", "r2", "r3", "r4"] {
        ask(region);
    }
    let told_count = |region: &str| {
        let before = book.boards_told_count();
        ask(region);
        book.boards_told_count() - before
    };
    // In this order, since each that is told anew drives another out.
    assert_eq!(["held", "r2", "r3", "r4", "r1", "r2"].map(told_count), [0, 0, 0, 0, 1, 1]);
    drop(held);
    assert_eq!(["r5", "r6", "r7", "held"].map(told_count), [1, 1, 1, 1]);
}

/// Writes don't pay for boards that nobody asks for any more.
#[test]
fn a_board_that_nobody_asks_for_isnt_kept_for_long() {
    let mut book = book_of_records([partner("a", "north")]);
    let asked = by(RankedBy::DealCount, Filter::default());
    for (batches, told_count) in [(4, 1), (4, 1), (5, 2)] {
        told(&book, &asked);
        assert_eq!(book.boards_told_count(), 1, "it is kept while it is asked for");
        for batch in 0..batches {
            apply(&mut book, vec![sent(batch, record(won("d1", "a")))]);
        }
        told(&book, &asked);
        assert_eq!(book.boards_told_count(), told_count, "after {batches} batches");
    }
}

/// What changes a board otherwise than by its own entries: the board is that of a book told anew, each time.
#[test]
fn a_board_that_cant_be_kept_up_is_told_anew() {
    use RankedBy::{DealCount, ProspectCount, WonAmount};
    let with = |change: fn(&mut Deal)| {
        let (id, mut deal) = won("d1", "a");
        change(&mut deal);
        record((id, deal))
    };
    let channel =
        |media| Record::Channel(id("c"), State::Present(Channel { name: None, media: Some(media) }));
    let lead = Lead {
        created_at: noon("2024-03-01"),
        partner: Some(id("a")),
        owner: None,
        channel: None,
        region: None,
        outcome: LeadOutcome::Open,
    };
    let lead = Record::Lead(id("l"), State::Present(lead));
    let rate = |on: &str, rate: &str| {
        let key = RateKey { from: currency("EUR"), to: currency("USD"), on: date(on) };
        Record::Rate(key, State::Present(Rate::parse(rate).expect("a rate")))
    };
    let foreign = |deal: &mut Deal| {
        deal.amount =
            Some(Money { amount: Amount::try_from_e4(10_000).expect("one"), currency: currency("EUR") });
    };
    // Known before: the term alone makes nothing new.
    let (_, other) = won("d2", "a");
    let other = record((id("d2"), Deal { product: Some(term("x")), ..other }));
    let fixed = ExchangePolicy::Fixed(date("2024-02-01"));
    let at_fixed_rates = LeaderboardQuestion {
        premises: Premises { exchange: fixed, ..Premises::default() },
        ..by(WonAmount, Filter::default())
    };
    let product = |product: &str| Filter { products: vec![Some(term(product))], ..Filter::default() };
    let regions = Filter { regions: vec![Some(term("south"))], ..Filter::default() };
    let media = Filter { media: vec![Some(Media::Paid)], ..Filter::default() };
    let employees = Filter { employees: vec![Some(id("e"))], ..Filter::default() };
    let partners = Filter { partners: vec![Some(id("z"))], ..Filter::default() };
    for (why, asked, before, after) in [
        (
            "the medium of its channel",
            by(DealCount, media),
            vec![channel(Media::Owned), with(|deal| deal.channel = Some(id("c")))],
            channel(Media::Paid),
        ),
        (
            "the product of a lead's deal",
            by(ProspectCount, product("x")),
            vec![lead, other, with(|deal| (deal.lead, deal.product) = (Some(id("l")), Some(term("y"))))],
            with(|deal| (deal.lead, deal.product) = (Some(id("l")), Some(term("x")))),
        ),
        (
            "a product of which nobody knew",
            by(DealCount, product("x")),
            vec![],
            with(|deal| deal.product = Some(term("x"))),
        ),
        (
            "a region of which nobody knew",
            by(DealCount, Filter { regions: vec![Some(term("west"))], ..Filter::default() }),
            vec![],
            with(|deal| deal.region = Some(term("west"))),
        ),
        (
            "a channel of which nobody knew",
            by(DealCount, Filter { channels: vec![Some(id("c"))], ..Filter::default() }),
            vec![],
            with(|deal| deal.channel = Some(id("c"))),
        ),
        (
            "a rate of the day whose rates hold, and of no deal's own",
            at_fixed_rates,
            vec![with(foreign), rate("2024-01-01", "1.5"), rate("2024-02-15", "1.5")],
            rate("2024-01-15", "2"),
        ),
        ("a partner's region", by(DealCount, regions), vec![record(won("d1", "a"))], partner("a", "south")),
        (
            "an owner of whom nobody knew",
            by(DealCount, employees),
            vec![],
            with(|deal| deal.owner = Some(id("e"))),
        ),
        ("a partner of whom nobody knew", by(DealCount, partners), vec![], record(won("d9", "z"))),
        (
            "a rate",
            by(WonAmount, Filter::default()),
            vec![with(foreign), rate("2024-01-01", "1.5")],
            rate("2024-01-01", "2"),
        ),
        (
            "settings",
            by(RankedBy::ExpiredCount, Filter::default()),
            vec![with(|deal| deal.status = DealStatus::Open)],
            Record::Settings(Settings { time_limit_days: Some(10), ..plain_settings() }),
        ),
    ] {
        let first = [Record::Settings(plain_settings()), partner("a", "north")];
        let first: Vec<Record> = first.into_iter().chain(before).collect();
        let mut kept = Book::default();
        apply(&mut kept, first.iter().map(|record| sent(0, record.clone())).collect());
        let was = told(&kept, &asked);
        apply(&mut kept, vec![sent(1, after.clone())]);
        let mut anew = Book::default();
        apply(&mut anew, first.into_iter().map(|record| sent(0, record)).collect());
        apply(&mut anew, vec![sent(1, after)]);
        assert_eq!(told(&kept, &asked), told(&anew, &asked), "{why}");
        let listed = asked.premises.filter.partners.is_empty();
        assert_eq!(was != told(&anew, &asked), listed, "{why} changes the board, or nothing is shown");
    }
}
