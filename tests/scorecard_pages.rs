//! Walks through ListScorecards while it is written (docs/kpis.md §11): no row is skipped at a page's boundary and
//! none comes twice. Ids with common prefixes and in Bengali, in the order of their bytes.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)]
#[path = "support/worked_example.rs"]
mod worked_example;

use std::collections::BTreeSet;

use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::{
    Deal, Dimension, Employee, Grouping, Kpi, ListScorecardsRequest, ListScorecardsResponse, OrgUnit,
    Partner, Record, Scorecard, SubjectKind,
};
use scorecard::dates;
use sidecar::{Caller, Sidecar};
use worked_example::{at, date, deal, settings, version, won};

/// Prefixes of one another, capitals and small letters, digits whose order isn't that of numbers, Bengali letters that
/// begin alike and one with a sign behind it, and what sorts behind them.
const IDS: [&str; 20] = [
    "A",
    "Aa",
    "B",
    "a",
    "a ",
    "a-",
    "a-1",
    "a-10",
    "a-2",
    "a/b",
    "aa",
    "ab",
    "ক",
    "কখ",
    "কা",
    "ক্ষ",
    "খ",
    "খ-1",
    "ট্রেডার্স",
    "𝕏",
];

/// Rows are subjects of a kind, or the products of deals.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rows {
    Partners,
    Employees,
    Units,
    Products,
}

const ROWS: [Rows; 4] = [Rows::Partners, Rows::Employees, Rows::Units, Rows::Products];

impl Rows {
    /// What makes a row of this id.
    fn record(self, id: &str) -> Kind {
        let id = id.to_owned();
        match self {
            Self::Partners => Kind::Partner(Partner { partner_id: id, ..Partner::default() }),
            Self::Employees => Kind::Employee(Employee { employee_id: id, ..Employee::default() }),
            Self::Units => Kind::OrgUnit(OrgUnit { org_unit_id: id, ..OrgUnit::default() }),
            Self::Products => {
                let deal = won("03-05", deal(&format!("of {id}"), "p", "e", "03-01", 1));
                Kind::Deal(Deal { product: id, ..deal })
            }
        }
    }

    fn question(self) -> ListScorecardsRequest {
        let product = Grouping { dimension: Dimension::Product.into(), ..Grouping::default() };
        let (kind, grouping) = match self {
            Self::Partners => (SubjectKind::Partner, None),
            Self::Employees => (SubjectKind::Employee, None),
            Self::Units => (SubjectKind::Unit, None),
            Self::Products => (SubjectKind::Unspecified, Some(product)),
        };
        ListScorecardsRequest {
            subject_kind: kind.into(),
            grouping,
            window: Some(dates("2024-03-01", "2024-04-01")),
            as_of: date("2024-03-31"),
            kpis: vec![Kpi::DealCount.into()],
            ..ListScorecardsRequest::default()
        }
    }
}

fn ids(page: &ListScorecardsResponse) -> Vec<String> {
    let id = |card: &Scorecard| match (&card.subject, &card.group) {
        (Some(subject), None) => match subject.subject.as_ref().expect("no tenant is listed") {
            Of::Partner(partner) => partner.partner_id.clone(),
            Of::EmployeeId(id) | Of::UnitId(id) => id.clone(),
        },
        (None, Some(group)) => group.value.clone(),
        other => panic!("a row is of a subject or of a value, not {other:?}"),
    };
    page.scorecards.iter().map(id).collect()
}

async fn page(caller: &mut Caller, rows: Rows, page_size: i32, page_token: &str) -> ListScorecardsResponse {
    let question = ListScorecardsRequest { page_size, page_token: page_token.into(), ..rows.question() };
    caller.kpis.list_scorecards(question).await.expect("the question is valid").into_inner()
}

async fn write(caller: &mut Caller, rows: Rows, minute: usize, ids: &[&str], deleted: bool) {
    let update_time = at(&format!("2024-04-01T00:{minute:02}:00Z"));
    let records = ids.iter().map(|id| Record { deleted, ..version(update_time, rows.record(id)) });
    caller.write(records.collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_row_once_in_the_order_of_bytes() {
    let sidecar = Sidecar::start().await;
    assert!(IDS.is_sorted(), "strings are ordered by their bytes");
    for rows in ROWS {
        let mut caller = sidecar.tenant(&format!("{rows:?}").to_lowercase(), settings()).await;
        // As they don't come: from both ends.
        let (front, back) = IDS.split_at(IDS.len() / 2);
        let mixed: Vec<&str> = back.iter().zip(front.iter().rev()).flat_map(|(&a, &b)| [a, b]).collect();
        write(&mut caller, rows, 0, &mixed, false).await;
        for page_size in 1..=IDS.len() as i32 + 1 {
            let (mut walked, mut token) = (Vec::new(), String::new());
            loop {
                let page = page(&mut caller, rows, page_size, &token).await;
                assert!(!page.revision_changed);
                let is_last = page.next_page_token.is_empty();
                assert!(is_last || page.scorecards.len() == page_size as usize, "{rows:?}: {page_size}");
                walked.extend(ids(&page));
                token = page.next_page_token;
                if is_last {
                    break;
                }
                assert!(walked.len() < IDS.len(), "{rows:?}: a page says that more rows follow");
            }
            assert_eq!(walked, IDS, "{rows:?}, {page_size} to a page");
        }
    }
    sidecar.stop().await;
}

/// Of long pages the score's own past is told for all at once, of short ones for each card; very long ones are told
/// on several threads.
#[tokio::test(flavor = "multi_thread")]
async fn cards_are_the_same_in_long_and_in_short_pages() {
    let sidecar = Sidecar::start().await;
    let mut caller = sidecar.tenant("sizes", settings()).await;
    let ids: Vec<String> = (0..180).map(|number| format!("p{number}")).collect();
    let sold = ids.iter().zip(1..).flat_map(|(id, units)| {
        // All of them in March, fewer the month before, fewest in January.
        let months =
            [("03", 1), ("02", 2), ("01", 3)].into_iter().filter(move |(_, every)| units % every == 0);
        months.map(move |(month, of)| {
            let day = |day: &str| format!("{month}-{day}");
            let deal =
                deal(&format!("{id} in {month}"), id, &format!("e{}", units % 3), &day("02"), units * of);
            version(at("2024-04-01T00:00:00Z"), Kind::Deal(won(&day("20"), deal)))
        })
    });
    let partners = ids.iter().map(|id| version(at("2024-04-01T00:00:00Z"), Rows::Partners.record(id)));
    let employees =
        ["e0", "e1", "e2"].map(|id| version(at("2024-04-01T00:00:00Z"), Rows::Employees.record(id)));
    caller.write(partners.chain(employees).chain(sold).collect()).await;
    for rows in [Rows::Partners, Rows::Employees] {
        let mut listed = Vec::new();
        for page_size in [7, 1_000] {
            let mut question = ListScorecardsRequest { page_size, kpis: Vec::new(), ..rows.question() };
            let mut cards = Vec::new();
            loop {
                let page =
                    caller.kpis.list_scorecards(question.clone()).await.expect("it is valid").into_inner();
                cards.extend(page.scorecards);
                question.page_token = page.next_page_token;
                if question.page_token.is_empty() {
                    break;
                }
            }
            listed.push(cards);
        }
        let [short, long] = listed.try_into().expect("two sizes");
        let pasts: BTreeSet<String> = short
            .iter()
            .map(|card| {
                let score = card.value_score.as_ref().expect("all KPIs are told");
                format!("{:?}", score.own_past)
            })
            .collect();
        assert!(pasts.len() > 2, "{rows:?} have different pasts: {pasts:?}");
        assert_eq!(short, long, "{rows:?}");
    }
    sidecar.stop().await;
}

/// After each page the last row that it gave is deleted, every other time, a row comes before all, one right behind the boundary, and
/// once one that the walk has not reached goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_among_writes_neither_skips_nor_repeats_a_row() {
    let sidecar = Sidecar::start().await;
    for rows in ROWS {
        for page_size in [1, 2, 3, 7] {
            let tenant = format!("{rows:?}-{page_size}").to_lowercase();
            let mut caller = sidecar.tenant(&tenant, settings()).await;
            write(&mut caller, rows, 0, &IDS, false).await;
            let (mut walked, mut came_behind) = (Vec::<String>::new(), BTreeSet::new());
            let (mut token, mut page_count) = (String::new(), 0);
            loop {
                let page = page(&mut caller, rows, page_size, &token).await;
                assert_eq!(page.revision_changed, page_count > 0, "it is written between the pages");
                walked.extend(ids(&page));
                token = page.next_page_token;
                page_count += 1;
                if token.is_empty() {
                    break;
                }
                let last = walked.last().expect("a page that isn't the last has rows").clone();
                if page_count % 2 == 0 {
                    write(&mut caller, rows, page_count, &[&last], true).await;
                }
                write(&mut caller, rows, page_count, &[&format!("!{page_count}")], false).await;
                if IDS.contains(&last.as_str()) {
                    // Right behind the boundary, or behind the next row where that is the same with a space.
                    let behind = format!("{last}  {page_count}");
                    write(&mut caller, rows, page_count, &[&behind], false).await;
                    came_behind.insert(behind);
                }
                if page_count == 1 {
                    write(&mut caller, rows, page_count, &["খ-1"], true).await;
                }
            }
            assert!(
                walked.windows(2).all(|pair| pair[0] < pair[1]),
                "{tenant}: none twice, in order: {walked:?}"
            );
            let (came, were_there): (Vec<String>, Vec<String>) =
                walked.into_iter().partition(|id| !IDS.contains(&id.as_str()));
            let expected: Vec<&str> = IDS.into_iter().filter(|id| *id != "খ-1").collect();
            assert_eq!(were_there, expected, "{tenant}: none skipped");
            assert_eq!(came.into_iter().collect::<BTreeSet<_>>(), came_behind, "{tenant}: what came behind");
            assert!(page_count > 2, "{tenant}");
        }
    }
    sidecar.stop().await;
}
