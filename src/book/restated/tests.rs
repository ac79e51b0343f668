//! Over random histories: no figure moves without a record.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::book::board::tests::{Asked, asked};
use crate::book::histories::book_of;
use crate::book::small_tenant::{history, key, subjects};
use crate::book::{BoardQuestion, MarketingQuestion, Recollection};
use crate::domain::record::Version;
use crate::kpi::figure::{Absent, Figure};
use crate::kpi::marketing_channel::Basis;
use crate::kpi::peers::Peer;

/// When the batch of a revision came, as `histories` stamps them.
fn received_by(revision: usize) -> Knowledge {
    let received_by = Some(Instant::FIRST.plus_hours(1_000 + revision as i64));
    Knowledge { received_by, known_at: None }
}

fn known(book: &Book, knowledge: Knowledge) -> Book {
    let mut recollection = Recollection::of_revision(book.revision(), knowledge);
    while recollection.take_slice(book, 100) {}
    recollection.finish()
}

fn changed(book: &Book, revision: u64, between: Between, slice: usize) -> Changed {
    let mut changes = Changes::of_revision(revision, between);
    while changes.take_slice(book, slice) {}
    changes.finish()
}

/// What a scorecard says of each KPI. None of a subject that isn't known.
fn figures(book: &Book, subject: &Subject, asked: &Asked) -> Option<Vec<Figure>> {
    let Asked { premises, rates, window } = asked;
    let scope = book.scope(subject, &premises.filter, premises.roles)?;
    let standing = book.standing(&scope, window, *rates, true).standing;
    let rates_on = rates.day().unwrap_or(window.as_of);
    let open = book.open_worth(&scope, window.as_of, rates_on).found.deals;
    let marketing = MarketingQuestion {
        subject,
        filter: &premises.filter,
        scope: &scope,
        basis: Basis::Period,
        rates: *rates,
    };
    let marketing = book.by_all_channels(&marketing, &standing.measures, window).found;
    let score = subject.kind().map_or(Err(Absent::NoPeer), |(kind, _)| {
        let with_sub_partners = matches!(subject, Subject::Partner { include_sub_partners: true, .. });
        let board = BoardQuestion::new(kind, with_sub_partners, premises, window, *rates).of_peers();
        let board = book.board(&board);
        book.peer(&board, subject)
            .map_or(Err(Absent::NoPeer), |(peer, group)| group.figure(Kpi::ValueScore, peer))
    });
    let total = crate::kpi::value_score::PeerTotal { peer_count: 0, won_amount_e4: 0 };
    let own = Peer { standing, open };
    let figure = |kpi| match kpi {
        Kpi::MarketingChannel => marketing.return_on_investment(),
        Kpi::ValueScore => score,
        _ => own.figure(kpi, &total),
    };
    Some(Kpi::ALL.into_iter().map(figure).collect())
}

/// Asks both books, and fails where a KPI differs that nothing moved.
fn assert_moved(book: &Book, between: Between, asked: &[Asked]) -> Result<(), TestCaseError> {
    let found = changed(book, book.revision(), between, 3);
    let (earlier, later) = (known(book, between.earlier), known(book, between.later));
    for (subject, asked) in
        subjects().iter().flat_map(|subject| asked.iter().map(move |asked| (subject, asked)))
    {
        let (Some(then), Some(now)) = (figures(&earlier, subject, asked), figures(&later, subject, asked))
        else {
            continue;
        };
        let question = MovedQuestion {
            subject,
            filter: &asked.premises.filter,
            roles: asked.premises.roles,
            kpis: &Kpi::ALL,
            dates: asked.window.counted(),
            as_of: asked.window.as_of,
            rates: asked.rates,
        };
        let [then_added, now_added] = [&earlier, &later].map(|book| book.traces(&question, &found, &|| true));
        for (kpi, (then, now)) in Kpi::ALL.into_iter().zip(then.into_iter().zip(now)) {
            let is_moved = |key| Traces::moved(&then_added, &now_added, key, &Kpi::ALL).contains(&kpi);
            let last_on = question.as_of.max(asked.rates.day().unwrap_or(question.as_of));
            let kpis = [kpi];
            let mut others = found.others_behind(&kpis, last_on);
            let has_record = others.next().is_some() || found.many.iter().any(is_moved);
            prop_assert!(then == now || has_record, "{:?} of {:?}: {:?}, {:?}", kpi, subject, then, now);
        }
    }
    Ok(())
}

fn is_many(version: &Version) -> bool {
    matches!(version.record, Record::Deal(..) | Record::Lead(..))
}

/// Where settings, partners and all the rest are known at both ends.
fn then_deals_and_leads() -> impl Strategy<Value = (usize, Vec<Vec<Version>>)> {
    (history(), history()).prop_map(|(first, then)| {
        let known_count = first.len();
        let then = then.into_iter().map(|batch| batch.into_iter().filter(is_many).collect());
        (known_count, first.into_iter().chain(then).collect())
    })
}

/// As many histories as take some ten seconds; PROPTEST_CASES asks for more.
fn config() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig::default();
    ProptestConfig { cases: if asked { config.cases } else { 16 }, ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_figure_moves_without_a_deal_or_lead(
        (known_count, history) in then_deals_and_leads(), asked in vec(asked(), 6),
    ) {
        let book = book_of(history);
        let between = Between { earlier: received_by(known_count), later: Knowledge::default() };
        prop_assert_eq!(changed(&book, book.revision(), between, 1).others, vec![]);
        assert_moved(&book, between, &asked)?;
    }

    #[test]
    fn no_figure_moves_without_a_record(
        history in history(), n in any::<Index>(), more in any::<Index>(), hours in (0..5u8, 0..5u8),
        is_by_receipt in any::<bool>(), asked in vec(asked(), 6),
    ) {
        let (n, hour) = (n.index(history.len() + 1), hours.0.min(hours.1));
        let known_at = |hour| Knowledge { known_at: Some(key(hour, 0).update_time), received_by: None };
        let between = match is_by_receipt {
            true => Between { earlier: received_by(n), later: received_by(n + more.index(history.len())) },
            false => Between { earlier: known_at(hour), later: known_at(hours.0.max(hours.1)) },
        };
        assert_moved(&book_of(history), between, &asked)?;
    }

    /// Batches that come while records are looked at bring none.
    #[test]
    fn what_is_found_hangs_on_no_slice(
        history in history(), begin in any::<Index>(), hour in 0..5u8, slice in select(&[1usize, 3][..]),
    ) {
        let begin = begin.index(history.len()) + 1;
        let before = book_of(history[..begin].to_vec());
        let after = book_of(history);
        let earlier = Knowledge { known_at: Some(key(hour, 0).update_time), received_by: None };
        let between = Between { earlier, later: Knowledge::default() };
        let expected = changed(&before, before.revision(), between, 1_000);
        prop_assert_eq!(changed(&after, before.revision(), between, slice), expected);
        let nothing = Between { earlier, later: earlier };
        prop_assert_eq!(changed(&after, after.revision(), nothing, slice), Changed::default());
    }
}
