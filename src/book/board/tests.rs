//! Boards and groups of random histories: they say of every subject and value what its own scope says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::KeptBoard;
use super::super::MarketingQuestion;
use super::super::histories::{apply, book_of};
use super::super::oracle::Question;
use super::super::small_tenant::{WINDOWS, days, history, question, subjects};
use super::*;
use crate::domain::calendar::date;
use crate::domain::filter::{Dimension, Filter, GroupValue};
use crate::domain::ids::Term;
use crate::domain::premises::{ExchangePolicy, Knowledge, Roles};
use crate::domain::record::{Record, RecordKey, State};
use crate::domain::window::WindowSpec;
use crate::kpi::Kpi;
use crate::kpi::figure::Absent;
use crate::kpi::marketing_channel::Basis;
use crate::kpi::measures::{Measures, Tally};
use crate::kpi::standing::Standing;
use crate::kpi::value_score::{tenant_share, value_score};

/// With whether sub-partners are included.
pub(in crate::book) const KINDS: [(SubjectKind, bool); 4] = [
    (SubjectKind::Partner, false),
    (SubjectKind::Partner, true),
    (SubjectKind::Employee, false),
    (SubjectKind::Unit, false),
];

/// Before the windows, within, at their edges and after.
const AS_OF: [&str; 6] = ["2023-12-30", "2024-01-10", "2024-01-31", "2024-02-29", "2024-03-20", "2199-12-31"];

/// A question's premises, in a window.
#[derive(Clone, Debug)]
pub(in crate::book) struct Asked {
    pub premises: Premises,
    pub rates: RatesOn,
    pub window: Window,
}

pub(in crate::book) fn asked() -> impl Strategy<Value = Asked> {
    (question(), select(&WINDOWS[..]), select(&AS_OF[..])).prop_map(|(question, dates, as_of)| {
        let Question { filter, roles, rates_on, .. } = question;
        let starts = super::super::histories::plain_settings().period_starts();
        let window = WindowSpec::Dates(days(dates)).resolve(date(as_of), &starts).expect("in range");
        Asked {
            premises: Premises {
                filter,
                roles: Roles::of(&roles),
                exchange: rates_on.map_or(ExchangePolicy::AtClose, ExchangePolicy::Fixed),
                knowledge: Knowledge::default(),
            },
            rates: rates_on.map_or(RatesOn::OwnDay, RatesOn::Day),
            window,
        }
    })
}

impl Asked {
    fn question(&self, kind: SubjectKind, include_sub_partners: bool) -> BoardQuestion {
        BoardQuestion::new(kind, include_sub_partners, &self.premises, &self.window, self.rates)
            .of_peers()
            .with_open(&self.premises)
    }

    fn board(&self, book: &Book, kind: SubjectKind, include_sub_partners: bool) -> Arc<KeptBoard> {
        book.board(&self.question(kind, include_sub_partners))
    }

    pub(in crate::book) fn rates_of_stock(&self) -> Date {
        self.rates.day().unwrap_or(self.window.as_of)
    }

    /// What a subject's own scope says, under the filter of its peers.
    fn own(&self, book: &Book, kind: SubjectKind, subject: &Subject) -> Option<Peer> {
        let filter = self.premises.filter.without_kind(kind);
        let scope = book.scope(subject, &filter, self.premises.roles)?;
        let stood = book.standing(&scope, &self.window, self.rates, true);
        let pipeline = book.pipeline(&scope, &[], self.window.as_of, self.rates_of_stock(), 0);
        Some(Peer { standing: stood.standing, open: pipeline.found.open.deals })
    }
}

fn is_of(kind: SubjectKind, with_sub_partners: bool, subject: &Subject) -> bool {
    match subject {
        Subject::Tenant => false,
        Subject::Partner { include_sub_partners, .. } => {
            kind == SubjectKind::Partner && *include_sub_partners == with_sub_partners
        }
        Subject::Employee(_) => kind == SubjectKind::Employee,
        Subject::Unit(_) => kind == SubjectKind::Unit,
    }
}

fn parts() -> impl Strategy<Value = StandingParts> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(work, prospects, cohort)| StandingParts {
        work,
        prospects,
        cohort,
    })
}

/// Whether the host calls a listed subject active.
fn is_active(book: &Book, subject: &Subject) -> bool {
    let key = match subject {
        Subject::Tenant => return false,
        Subject::Partner { partner, .. } => RecordKey::Partner(partner.clone()),
        Subject::Employee(employee) => RecordKey::Employee(employee.clone()),
        Subject::Unit(unit) => RecordKey::Unit(unit.clone()),
    };
    match book.records().versions(&key).pop().map(|stored| stored.version.record) {
        Some(Record::Partner(_, State::Present(partner))) => partner.active,
        Some(Record::Employee(_, State::Present(employee))) => employee.active,
        Some(Record::Unit(_, State::Present(_))) => true,
        _ => false,
    }
}

/// The parent within which a subject has its peers, by its id.
fn parent(book: &Book, subject: &Subject) -> Option<String> {
    let name = |subject: &Subject| match book.identify(subject).0 {
        Subject::Partner { partner, .. } => partner.as_str().to_owned(),
        Subject::Unit(unit) => unit.as_str().to_owned(),
        Subject::Tenant | Subject::Employee(_) => unreachable!("they have no parents"),
    };
    // Those above are the ones whose figures hold this one's: found by asking each, not by the trees' numbers.
    let above: Option<Subject> = match subject {
        Subject::Partner { partner, include_sub_partners: true } => {
            let key = RecordKey::Partner(partner.clone());
            let Some(Record::Partner(_, State::Present(fields))) =
                book.records().versions(&key).pop().map(|stored| stored.version.record)
            else {
                return None;
            };
            fields.parent.map(|partner| Subject::Partner { partner, include_sub_partners: true })
        }
        Subject::Unit(unit) => {
            let key = RecordKey::Unit(unit.clone());
            let Some(Record::Unit(_, State::Present(fields))) =
                book.records().versions(&key).pop().map(|stored| stored.version.record)
            else {
                return None;
            };
            fields.parent.map(Subject::Unit)
        }
        _ => None,
    };
    let above = above?;
    // A parent that was never sent isn't one, nor is the subject itself.
    let was_sent = match book.identify(&above).0 {
        Subject::Partner { partner, .. } => !book.records().versions(&RecordKey::Partner(partner)).is_empty(),
        Subject::Unit(unit) => !book.records().versions(&RecordKey::Unit(unit)).is_empty(),
        Subject::Tenant | Subject::Employee(_) => false,
    };
    let above = name(&above);
    (was_sent && above != name(subject)).then_some(above)
}

/// As many histories as take some seconds; PROPTEST_CASES asks for more.
pub(in crate::book) fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(192), ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_standing_of_a_board_is_that_of_the_subject_s_own_scope(
        history in history(), questions in vec(asked(), 8),
    ) {
        let book = book_of(history);
        for asked in &questions {
            for (kind, include_sub_partners) in KINDS {
                let board = asked.board(&book, kind, include_sub_partners);
                let nothing =
                    Peer { standing: Standing::nothing(asked.window.counted()), open: Tally::default() };
                let mut found = BTreeSet::new();
                for subject in subjects().iter().filter(|subject| is_of(kind, include_sub_partners, subject)) {
                    let row = book.number_of(subject).map(|number| {
                        found.insert(number);
                        board.board().row(number)
                    });
                    match asked.own(&book, kind, subject) {
                        Some(own) => {
                            prop_assert_eq!(row.unwrap_or(nothing), own, "{:?} {:?}", subject, asked);
                        }
                        None => prop_assert!(row.is_none_or(|row| row == nothing), "{subject:?} isn't known"),
                    }
                    if row.is_none_or(|row| row == nothing) {
                        prop_assert!(book.peer(&board, subject).is_none());
                    }
                }
                let (rows, ..) = board.board().sums.contents();
                prop_assert!(rows.iter().all(|(number, _)| found.contains(number)), "rows of nobody");
            }
        }
    }

    /// Kept up to date by entries or dropped: it is never another than one told anew.
    #[test]
    fn a_kept_board_is_the_board_told_anew(history in history(), questions in vec(asked(), 2)) {
        let questions: Vec<BoardQuestion> = questions
            .iter()
            .flat_map(|asked| KINDS.map(|(kind, with_sub_partners)| asked.question(kind, with_sub_partners)))
            .collect();
        let mut book = Book::default();
        for batch in history {
            let _pins: Vec<_> = questions.iter().map(|asked| book.board(asked).pin()).collect();
            apply(&mut book, batch);
            for asked in &questions {
                let kept = book.board(asked);
                let anew = book.tell_board(asked, &book.telling(asked));
                prop_assert_eq!(kept.board().sums.contents(), anew.sums.contents(), "{:?}", asked);
            }
        }
    }

    /// From sums and nets or row by row: it is the same board.
    #[test]
    fn a_board_told_from_sums_is_the_one_told_from_rows(
        history in history(), questions in vec((asked(), parts(), any::<bool>()), 8),
    ) {
        // Nets are there from the first batch on, so that they are kept as well as told.
        let mut book = Book::default();
        for batch in history {
            for (_, page) in book.pages.range(..) {
                let _kept = (page.net(), page.fates());
            }
            apply(&mut book, batch);
        }
        book.pages.verify(&book.pools);
        for (asked, parts, with_open) in &questions {
            for (kind, include_sub_partners) in KINDS {
                let question = asked.question(kind, include_sub_partners);
                let open_at_rates_of = question.open_at_rates_of.filter(|_| *with_open);
                let question = BoardQuestion { open_at_rates_of, ..question.of_parts(*parts) };
                let telling = book.telling(&question);
                let mut by_rows = Board::nothing(&book, &question);
                book.put_in(&question, &telling, &mut by_rows, &book.pages);
                let told = book.tell_board(&question, &telling);
                prop_assert_eq!(told.sums.contents(), by_rows.sums.contents(), "{:?}", question);
            }
        }
    }

    /// Of the parts that it was asked for a board says what one of all parts says, of the others nothing.
    #[test]
    fn a_board_of_some_parts_says_what_one_of_all_says(
        history in history(), questions in vec((asked(), parts()), 8),
    ) {
        let book = book_of(history);
        for (asked, parts) in &questions {
            for (kind, include_sub_partners) in KINDS {
                let question = asked.question(kind, include_sub_partners);
                let all = book.tell_board(&question, &book.telling(&question));
                let question = question.of_parts(*parts);
                let some = book.tell_board(&question, &book.telling(&question));
                prop_assert_eq!(all.oldest_rate_on(), some.oldest_rate_on());
                for number in all.sums.numbers() {
                    let mut expected = all.row(number);
                    let (nothing, measures) = (Measures::default(), &mut expected.standing.measures);
                    if !parts.work {
                        measures.opened = nothing.opened;
                        measures.opened_day_numbers = 0;
                        expected.standing.open_before_count = 0;
                    }
                    if !parts.prospects {
                        *measures = Measures {
                            opened: measures.opened,
                            opened_day_numbers: measures.opened_day_numbers,
                            won: measures.won,
                            channel_won: measures.channel_won,
                            lost: measures.lost,
                            expired: measures.expired,
                            lost_to_competitor_count: measures.lost_to_competitor_count,
                            ended_day_numbers: measures.ended_day_numbers,
                            same_day_count: measures.same_day_count,
                            same_day_won_count: measures.same_day_won_count,
                            cycle_days: measures.cycle_days,
                            ..nothing
                        };
                    }
                    if !parts.cohort {
                        expected.standing.cohort = Default::default();
                    }
                    prop_assert_eq!(some.row(number), expected, "{:?} {:?}", parts, asked);
                }
            }
        }
    }

    #[test]
    fn peers_are_the_active_ones_with_deals_in_work_below_one_parent(
        history in history(), questions in vec(asked(), 8),
    ) {
        let book = book_of(history);
        for asked in &questions {
            for (kind, include_sub_partners) in KINDS {
                let board = asked.board(&book, kind, include_sub_partners);
                let mut groups: BTreeMap<Option<String>, Vec<(Subject, Peer)>> = BTreeMap::new();
                for subject in book.subjects(kind, include_sub_partners, None, 100) {
                    let own = asked.own(&book, kind, &subject).expect("it is listed");
                    if is_active(&book, &subject) && own.standing.in_work_count() > 0 {
                        groups.entry(parent(&book, &subject)).or_default().push((subject, own));
                    } else {
                        prop_assert!(book.peer(&board, &subject).is_none(), "{subject:?} is no peer");
                    }
                }
                let count = |groups: &BTreeMap<_, Vec<_>>| groups.values().map(Vec::len).sum::<usize>();
                let question = asked.question(kind, include_sub_partners);
                let found = board.board().peers(&book, &question).groups_of.iter().flatten().count();
                prop_assert_eq!(found, count(&groups));
                for peers in groups.values() {
                    let won = |peer: &Peer| peer.standing.measures.won.amount_e4;
                    let total_e4: i128 = peers.iter().map(|(_, peer)| won(peer)).sum();
                    for (subject, own) in peers {
                        let (peer, group) = book.peer(&board, subject).expect("it is a peer");
                        prop_assert_eq!(peer, own);
                        let total = group.total();
                        prop_assert_eq!(total.peer_count as usize, peers.len(), "{:?}", subject);
                        prop_assert_eq!(total.won_amount_e4, total_e4);
                        // 100 is an average peer: the scores of all add up to 100 each.
                        let score = value_score(&own.standing.measures, Some(total));
                        prop_assert_eq!(score.err(), (total_e4 == 0).then_some(Absent::MeanIsZero));
                        for (_, other) in peers {
                            let of_other = value_score(&other.standing.measures, Some(total));
                            let Ok((mine, its)) = score.and_then(|mine| Ok((mine, of_other?))) else { continue };
                            prop_assert_eq!(mine.cmp_exact(&its), won(own).cmp(&won(other)));
                        }
                        if let Ok(position) = group.position(Kpi::ValueScore, peer) {
                            let better = peers.iter().filter(|(_, other)| won(other) > won(own)).count();
                            prop_assert_eq!(position.rank as usize, better + 1);
                            prop_assert_eq!(position.peer_count as usize, peers.len());
                        }
                    }
                }
            }
        }
    }

    /// Where every amount falls to one of a kind or to none, shares of the tenant's are parts of it.
    #[test]
    fn shares_of_the_tenant_s_won_amount_are_parts_of_the_whole(
        history in history(), questions in vec(asked(), 8),
    ) {
        let book = book_of(history);
        for asked in &questions {
            for kind in [SubjectKind::Partner, SubjectKind::Employee] {
                let premises = Premises { roles: Roles::SOURCED, ..asked.premises.clone() };
                let asked = Asked { premises, ..asked.clone() };
                let filter = asked.premises.filter.without_kind(kind);
                let fold = |filter: &Filter| {
                    let scope = book.scope(&Subject::Tenant, filter, Roles::SOURCED).expect("it is known");
                    book.fold(&scope, asked.window.counted(), asked.rates).measures
                };
                let tenant = fold(&filter);
                let nobody = match kind {
                    SubjectKind::Partner => Filter { partners: vec![None], ..filter.clone() },
                    _ => Filter { employees: vec![None], ..filter.clone() },
                };
                let board = asked.board(&book, kind, false);
                let (rows, ..) = board.board().sums.contents();
                let of_rows: i128 = rows.iter().map(|(_, peer)| peer.standing.measures.won.amount_e4).sum();
                prop_assert_eq!(
                    of_rows + fold(&nobody).won.amount_e4, tenant.won.amount_e4, "{:?} {:?}", kind, asked
                );
                for (_, peer) in &rows {
                    let Ok(share) = tenant_share(&peer.standing.measures, &tenant) else { continue };
                    prop_assert!((0.0..=1.0).contains(&share.quotient()));
                }
            }
        }
    }

    /// Each amount is in one row of a list by a dimension, and each deal and lead where rows aren't of partners.
    #[test]
    fn the_rows_of_a_list_add_up_to_its_scope(
        history in history(), questions in vec((asked(), select(subjects())), 8),
    ) {
        let book = book_of(history);
        for (asked, subject) in &questions {
            for dimension in dimensions() {
                let roles = if dimension.is_of_partners() { Roles::SOURCED } else { asked.premises.roles };
                let only_of_deals = matches!(dimension, Dimension::Product | Dimension::DealLabel(_));
                let filter = &asked.premises.filter;
                let Some(scope) = book.scope(subject, filter, roles) else { continue };
                let told = |filter: &Filter| {
                    let scope = book.scope(subject, filter, roles).expect("it is known");
                    let measures = book.fold(&scope, asked.window.counted(), asked.rates).measures;
                    let open =
                        book.pipeline(&scope, &[], asked.window.as_of, asked.rates_of_stock(), 0).found.open;
                    (measures, open.deals)
                };
                let listed = MarketingQuestion {
                    subject,
                    filter,
                    scope: &scope,
                    basis: Basis::Period,
                    rates: asked.rates,
                };
                let values: Vec<GroupValue> =
                    book.group_values(&listed, &dimension, &asked.window).into_iter().collect();
                prop_assert!(values.is_sorted() && values.windows(2).all(|pair| pair[0] != pair[1]));
                let (mut sum, mut open) = (Measures::default(), Tally::default());
                for value in &values {
                    let filter = filter.narrowed(&dimension, value).expect("a value that it has");
                    let (of_value, open_of_value) = told(&filter);
                    let narrowed = book.scope(subject, &filter, roles).expect("it is known");
                    let open_before = book.pages.open_count_before(&book.pools, &narrowed, asked.window.counted().from);
                    let is_empty = of_value == Measures::default() && open_of_value.count + open_before == 0;
                    // Under what only deals have, a lead passes by its deals alone; channels may only cost.
                    let may_be_empty =
                        only_of_deals || matches!(dimension, Dimension::Channel | Dimension::Media);
                    prop_assert!(!is_empty || may_be_empty, "{value:?} of {dimension:?} is of nothing: {asked:?}");
                    sum += of_value;
                    open += open_of_value;
                }
                let (whole, open_whole) = told(filter);
                prop_assert_eq!(amounts(&sum), amounts(&whole), "{:?} {:?} {:?}", dimension, subject, asked);
                prop_assert_eq!(open.amount_e4, open_whole.amount_e4, "{:?} {:?}", dimension, asked);
                if !dimension.is_of_partners() {
                    prop_assert_eq!(counts(&sum), counts(&whole), "{:?} {:?} {:?}", dimension, subject, asked);
                    prop_assert_eq!(open.count, open_whole.count, "{:?} {:?}", dimension, asked);
                }
                if !dimension.is_of_partners() && !only_of_deals {
                    prop_assert_eq!(sum.lead_count, whole.lead_count, "{:?} {:?} {:?}", dimension, subject, asked);
                }
            }
        }
    }
}

/// All but units, whose rows hold those of the units below.
fn dimensions() -> Vec<Dimension> {
    let key = || Term::try_new("a").expect("a plain text");
    vec![
        Dimension::PartnerType,
        Dimension::Tier,
        Dimension::Region,
        Dimension::Product,
        Dimension::Channel,
        Dimension::Media,
        Dimension::Employee,
        Dimension::Partner,
        Dimension::DealLabel(key()),
        Dimension::PartnerLabel(key()),
        Dimension::Credit,
    ]
}

fn amounts(measures: &Measures) -> [i128; 4] {
    let Measures { opened, won, lost, expired, .. } = measures;
    [opened.amount_e4, won.amount_e4, lost.amount_e4, expired.amount_e4]
}

fn counts(measures: &Measures) -> [i64; 8] {
    let Measures { opened, won, lost, expired, .. } = measures;
    let priced = [opened.priced_count, won.priced_count, lost.priced_count, expired.priced_count];
    let [a, b, c, d] = priced;
    [opened.count, won.count, lost.count, expired.count, a, b, c, d]
}
