//! Mistakes about what counts, how often, and for whom.

use super::super::BoardQuestion;
use super::*;
use crate::domain::filter::Filter;
use crate::domain::ids::Term;
use crate::domain::premises::{ExchangePolicy, Premises, Roles};
use crate::domain::record::{Employee, Expiry, Labels, Lead, LeadOutcome, Partner, Target, TargetValue};
use crate::domain::subject::SubjectKind;
use crate::kpi::close_rate::{close_rate, resolved};
use crate::kpi::deal_success::{deal_success, missed};
use crate::kpi::distribution::StageDays;
use crate::kpi::figure::{Figure, Quantity};

fn counts(figure: Figure) -> (i64, i64) {
    match figure.expect("it is there").terms() {
        Some((Quantity::Count(numerator), Quantity::Count(denominator))) => (numerator, denominator),
        other => panic!("{other:?} are no counts"),
    }
}

/// What is lost, won, expired or deleted brings nothing more, however likely it was: in the weighted pipeline and in
/// the landing of a target.
#[test]
fn lost_deals_are_not_in_the_forecast() {
    let likely = |units, deal: Deal| Deal {
        amount: worth(units, "USD"),
        probability: Some(BasisPoints::try_new(5_000).unwrap()),
        expected_close: Some(date("2024-04-20")),
        ..deal
    };
    let target = Target {
        subject: Subject::Tenant,
        dates: days("2024-01-01..2024-07-01"),
        value: TargetValue::WonAmount(worth(1_000, "USD").unwrap()),
        month_weights: Default::default(),
    };
    let mut book = book([Record::Target(id("t"), State::Present(target))]);
    let expires = Deal { expiry: Some(Expiry::At(noon("2024-03-15"))), ..open("2024-03-01") };
    let version = |on: &str, record| {
        let key = VersionKey { update_time: noon(on), sequence: 0 };
        Version { key, record }
    };
    let closed = |status, units| likely(units, plain_deal(noon("2024-03-01"), status));
    apply(
        &mut book,
        vec![
            version("2024-03-01", sent("d1", likely(100, open("2024-03-01")))),
            version("2024-03-01", sent("d2", likely(1_000, open("2024-03-01")))),
            version("2024-03-10", sent("d2", closed(DealStatus::Lost(noon("2024-03-10")), 1_000))),
            version("2024-03-01", sent("d3", likely(10, open("2024-03-01")))),
            version("2024-03-12", sent("d3", closed(DealStatus::Won(noon("2024-03-12")), 10))),
            version("2024-03-01", sent("d4", likely(10_000, expires))),
            version("2024-03-01", sent("d5", likely(100_000, open("2024-03-01")))),
            version("2024-03-02", Record::Deal(id("d5"), State::Deleted(()))),
        ],
    );
    let weighted = |as_of| pipeline(&book, as_of).weighted_e8 / 100_000_000;
    let landing = |as_of| {
        let told = book.targets(&Subject::Tenant, Roles::SOURCED, date(as_of), ExchangePolicy::AtClose).found;
        told[0].progress.as_ref().unwrap().landing().unwrap().quotient()
    };
    for (as_of, expected, expected_landing) in [
        ("2024-03-09", tally(4, 4, 11_110), 5_555.0), // all are open yet
        ("2024-03-10", tally(3, 3, 10_110), 5_055.0),
        ("2024-03-12", tally(2, 2, 10_100), 5_060.0), // won: 10
        ("2024-03-31", tally(1, 1, 100), 60.0),
    ] {
        assert_eq!(pipeline(&book, as_of).deals, expected, "{as_of}");
        assert_eq!(weighted(as_of), expected.amount_e4 / 20_000, "{as_of}");
        assert_eq!(landing(as_of), expected_landing, "{as_of}");
    }
}

/// The host has put away the partner and the employee; what they lost stays in their rates.
#[test]
fn lost_and_expired_deals_and_those_of_archived_partners_are_in_the_rate() {
    let theirs =
        |deal: Deal| Deal { owner: Some(id("e")), credits: credits(&[(Role::Sourced, "a", 10_000)]), ..deal };
    let lost = plain_deal(noon("2024-03-01"), DealStatus::Lost(noon("2024-03-05")));
    let expired = Deal { expiry: Some(Expiry::At(noon("2024-03-20"))), ..open("2024-03-01") };
    let disqualified = Lead {
        created_at: noon("2024-03-02"),
        partner: Some(id("a")),
        owner: Some(id("e")),
        channel: None,
        region: None,
        outcome: LeadOutcome::Disqualified(noon("2024-03-03")),
    };
    let archived = Employee { name: None, unit: Some(id("u")), active: false, merged_into: None };
    let book = book([
        Record::Partner(id("a"), State::Deleted(None)),
        Record::Employee(id("e"), State::Present(archived)),
        Record::Lead(id("l1"), State::Present(disqualified)),
        sent("d1", theirs(won("2024-03-04"))),
        sent("d2", theirs(lost)),
        sent("d3", theirs(expired)),
        sent("d4", theirs(open("2024-03-01"))),
    ]);
    let march = window("2024-03-01..2024-04-01", "2024-03-31");
    for subject in [Subject::Tenant, partner("a", false), Subject::Employee(id("e")), Subject::Unit(id("u"))]
    {
        let scope = scope(&book, &subject).unwrap();
        let standing = book.standing(&scope, &march, RatesOn::OwnDay, true).standing;
        assert_eq!(counts(deal_success(&standing.measures)), (1, 3), "{subject:?}");
        assert_eq!(missed(&standing.measures).count, 2, "{subject:?}");
        // Prospects: four deals without a lead, and the lead.
        assert_eq!(counts(close_rate(&standing.cohort)), (1, 5), "{subject:?}");
        assert_eq!(counts(resolved(&standing.measures)), (1, 4), "{subject:?}");
    }
}

/// The deal went back a stage, and forth again: it is one deal in each, with its days there added up.
#[test]
fn a_stage_entered_again_counts_its_deal_once() {
    let at_stage = |on: &str, status, stage: &str| {
        let deal =
            Deal { stage: Some(Term::try_new(stage).unwrap()), ..plain_deal(noon("2024-03-01"), status) };
        let key = VersionKey { update_time: noon(on), sequence: 0 };
        Version { key, record: sent("d1", deal) }
    };
    let mut book = book([]);
    apply(
        &mut book,
        vec![
            at_stage("2024-03-01", DealStatus::Open, "demo"),
            at_stage("2024-03-05", DealStatus::Open, "offer"),
            at_stage("2024-03-08", DealStatus::Open, "demo"),
            at_stage("2024-03-10", DealStatus::Open, "offer"),
            at_stage("2024-03-13", DealStatus::Won(noon("2024-03-13")), "offer"),
        ],
    );
    let scope = scope(&book, &Subject::Tenant).unwrap();
    let march = days("2024-03-01..2024-04-01");
    let stages = book.won_deals(&scope, march, RatesOn::OwnDay).stages;
    let six_days = StageDays { days: 4 + 2, deal_count: 1 };
    let expected = [(Some("demo"), six_days), (Some("offer"), StageDays { days: 3 + 3, ..six_days })];
    assert_eq!(stages, expected.into());
    let standing =
        book.standing(&scope, &window("2024-03-01..2024-04-01", "2024-03-31"), RatesOn::OwnDay, true);
    let (measures, cohort) = (standing.standing.measures, standing.standing.cohort);
    assert_eq!((measures.opened.count, measures.won.count, cohort.prospect_count), (1, 1, 1));
    let open = book.pipeline(&scope, &[], date("2024-03-09"), date("2024-03-09"), 0).found;
    assert_eq!(
        open.stages.iter().map(|(stage, worth)| (*stage, worth.deals.count)).collect::<Vec<_>>(),
        [(Some("demo"), 1)]
    );
}

/// Two partners below one, in two roles, with two labels. The sums of a whole month, the rows of its edges, what is
/// open and boards each have their own way of counting.
#[test]
fn a_shared_deal_counts_once_and_in_parts() {
    let below = |parent: &str| {
        let partner = Partner {
            name: None,
            partner_type: Some(Term::try_new("reseller").unwrap()),
            tier: None,
            region: None,
            parent: Some(id(parent)),
            active: true,
            labels: Labels::new(),
            merged_into: None,
        };
        State::Present(partner)
    };
    use Role::{Influenced, Sourced};
    let shared = |deal: Deal| Deal {
        amount: worth(100, "USD"),
        owner: Some(id("e")),
        unit: Some(id("u")),
        credits: credits(&[
            (Sourced, "a", 6_000),
            (Sourced, "b", 3_000),
            (Influenced, "a", 2_000),
            (Influenced, "b", 8_000),
        ]),
        labels: ["k", "l"].map(|key| (Term::try_new(key).unwrap(), Term::try_new("x").unwrap())).into(),
        ..deal
    };
    let book = book([
        Record::Partner(id("top"), below("nobody")),
        Record::Partner(id("a"), below("top")),
        Record::Partner(id("b"), below("top")),
        sent("d1", shared(won("2024-03-04"))),
        sent("d2", shared(open("2024-03-04"))),
    ]);
    let of_all = [
        (partner("a", false), tally(1, 1, 60)),
        (partner("b", false), tally(1, 1, 30)),
        (partner("top", false), tally(0, 0, 0)),
        (partner("top", true), tally(1, 1, 90)),
        (Subject::Employee(id("e")), tally(1, 1, 100)),
        (Subject::Unit(id("u")), tally(1, 1, 100)),
        (Subject::Tenant, tally(1, 1, 100)),
    ];
    for (subject, expected) in &of_all {
        for window in ["2024-03-01..2024-04-01", "2024-03-04..2024-03-05"] {
            assert_eq!(measures(&book, subject, days(window)).won, *expected, "{subject:?} in {window}");
        }
        let scope = scope(&book, subject).unwrap();
        let open = book.pipeline(&scope, &[], date("2024-03-31"), date("2024-03-31"), 0).found.open;
        assert_eq!(open.deals, *expected, "{subject:?}: open");
        let amounts_e4 = book.won_deals(&scope, days("2024-03-01..2024-04-01"), RatesOn::OwnDay).amounts_e4;
        let part: i64 = amounts_e4.iter().sum();
        assert_eq!(
            (amounts_e4.len() as i64, i128::from(part)),
            (expected.count, expected.amount_e4),
            "{subject:?}"
        );
    }
    // Boards: what peers are ranked by.
    let march = window("2024-03-01..2024-04-01", "2024-03-31");
    let premises = Premises::default();
    for (kind, with_sub_partners) in [(SubjectKind::Partner, false), (SubjectKind::Partner, true)] {
        let asked = BoardQuestion::new(kind, with_sub_partners, &premises, &march, RatesOn::OwnDay);
        let board = book.board(&asked.with_open(&premises));
        let is_of_kind = |subject: &Subject| match subject {
            Subject::Partner { include_sub_partners, .. } => *include_sub_partners == with_sub_partners,
            _ => false,
        };
        let mine = of_all.iter().filter(|(subject, _)| is_of_kind(subject));
        for (subject, expected) in mine.filter(|(_, expected)| expected.count > 0) {
            let (peer, _) = book.peer(&board, subject).expect("it is active and has deals in work");
            assert_eq!(
                (peer.standing.measures.won, peer.open),
                (*expected, *expected),
                "{subject:?} on its board"
            );
        }
    }
    // A filter that both pass; and two roles, of which the greater counts.
    let resellers =
        Filter { partner_types: vec![Some(Term::try_new("reseller").unwrap())], ..Filter::default() };
    for (subject, filter, roles, expected) in [
        (Subject::Tenant, &resellers, Roles::SOURCED, tally(1, 1, 90)),
        (partner("b", false), &Filter::default(), Roles::of(&[Sourced, Influenced]), tally(1, 1, 80)),
        (partner("top", true), &Filter::default(), Roles::of(&[Sourced, Influenced]), tally(1, 1, 100)),
        (Subject::Tenant, &Filter::default(), Roles::of(&[Sourced, Influenced]), tally(1, 1, 100)),
    ] {
        let scope = book.scope(&subject, filter, roles).unwrap();
        for window in ["2024-03-01..2024-04-01", "2024-03-04..2024-03-05"] {
            assert_eq!(
                book.fold(&scope, days(window), RatesOn::OwnDay).measures.won,
                expected,
                "{subject:?}"
            );
        }
    }
}
