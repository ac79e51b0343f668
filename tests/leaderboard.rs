//! GetLeaderboard over a real socket: boards by hand, pages, pinned rows, filters and what is refused.

#[allow(dead_code)] // every test takes what it needs
#[path = "support/scorecard.rs"]
mod scorecard;
#[path = "support/sidecar.rs"]
mod sidecar;
#[allow(dead_code)] // every test takes what it needs
#[path = "support/worked_example.rs"]
mod worked_example;

use channel_kpi::proto::channelkpi::v1::record::Record as Kind;
use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::{
    Filter, GetLeaderboardRequest, GetLeaderboardResponse, GetScorecardRequest, LeaderboardQuery,
    LeaderboardRow, Premises, RankedBy, RateOrder, Subject, SubjectKind, Terms, TieRule,
};
use scorecard::dates;
use sidecar::{Caller, Sidecar};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use worked_example::{at, date, deal, noon, records, settings, version, won};

async fn example(sidecar: &Sidecar) -> Caller {
    let mut caller = sidecar.tenant("example", settings()).await;
    caller.write(records()).await;
    caller
}

fn query(kind: SubjectKind, ranked_by: RankedBy) -> LeaderboardQuery {
    LeaderboardQuery {
        subject_kind: kind.into(),
        ranked_by: ranked_by.into(),
        window: Some(dates("2024-03-01", "2024-04-01")),
        ..LeaderboardQuery::default()
    }
}

fn on_last_of_march(query: LeaderboardQuery) -> GetLeaderboardRequest {
    GetLeaderboardRequest {
        query: Some(query),
        as_of: date("2024-03-31"),
        ..GetLeaderboardRequest::default()
    }
}

async fn get(caller: &mut Caller, request: GetLeaderboardRequest) -> GetLeaderboardResponse {
    caller.boards.get_leaderboard(request).await.expect("the question is valid").into_inner()
}

/// Rank, id and value, as `1 B 120`.
fn told(row: &LeaderboardRow) -> String {
    let value = row.value.as_ref().expect("whoever is ranked has a value").quotient;
    format!("{} {} {}", row.rank, row.subject_id, (value * 100.0).round() / 100.0)
}

fn all_told(rows: &[LeaderboardRow]) -> Vec<String> {
    assert!(rows.iter().zip(1..).all(|(row, place)| row.place == place), "{rows:?}");
    rows.iter().map(told).collect()
}

/// The tables of docs/kpis.md §12, ranked.
#[tokio::test]
async fn the_worked_example_by_every_figure() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    use RankedBy::*;
    for (ranked_by, partners, employees, units) in [
        (AverageDealSize, "1 B 900, 2 A 300", "1 e1 550, 2 e2 400", "1 north 550, 2 sales 500, 3 south 400"),
        (DealCount, "1 A 2, 2 B 1", "1 e1 2, 2 e2 1", "1 sales 3, 2 north 2, 3 south 1"),
        (
            OpportunityPipeline,
            "1 B 4200, 2 A 1000",
            "1 e2 4200, 2 e1 1000",
            "1 sales 5200, 2 south 4200, 3 north 1000",
        ),
        // No spend names a partner, and of others what was spent isn't known.
        (MarketingChannel, "", "", ""),
        (CloseRate, "1 A 0.33, 2 B 0", "1 e2 0.25, 2 e1 0", "1 south 0.25, 2 sales 0.17, 3 north 0"),
        (
            DealVelocity,
            "1 B 68.35, 2 A 28.9",
            "1 e2 58.65, 2 e1 42.95",
            "1 sales 100.13, 2 south 58.65, 3 north 42.95",
        ),
        (
            ValueScore,
            "1 B 120, 2 A 80",
            "1 e1 146.67, 2 e2 53.33",
            "1 north 146.67, 2 sales 100, 3 south 53.33",
        ),
        (DealSuccess, "1 A 0.67, 2 B 0.5", "1 e1 0.67, 2 e2 0.5", "1 north 0.67, 2 sales 0.6, 3 south 0.5"),
        (WonAmount, "1 B 900, 2 A 600", "1 e1 1100, 2 e2 400", "1 sales 1500, 2 north 1100, 3 south 400"),
        // Fewer missed deals are better; equal ones share a rank, and more won amount stands first.
        (MissedCount, "1 B 1, 1 A 1", "1 e1 1, 1 e2 1", "1 north 1, 1 south 1, 3 sales 2"),
        (CycleDays, "1 A 12.5, 2 B 24", "1 e2 11, 2 e1 19", "1 south 11, 2 sales 16.33, 3 north 19"),
        (LeadCount, "1 A 2, 2 B 1", "1 e2 2, 2 e1 1", "1 sales 3, 2 south 2, 3 north 1"),
    ] {
        for (kind, expected) in
            [(SubjectKind::Partner, partners), (SubjectKind::Employee, employees), (SubjectKind::Unit, units)]
        {
            let sample_min = (ranked_by == CloseRate || ranked_by == DealSuccess).then_some(0);
            let asked = LeaderboardQuery { sample_min, ..query(kind, ranked_by) };
            let board = get(&mut caller, on_last_of_march(asked)).await;
            let found = all_told(&board.rows).join(", ");
            assert_eq!(found, expected, "{} by {kind:?}", ranked_by.as_str_name());
            assert_eq!(board.ranked_count, board.rows.len() as i64);
        }
    }
}

/// The value score's rank is the one that the scorecard tells.
#[tokio::test]
async fn a_row_says_what_the_scorecard_says() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let board = get(&mut caller, on_last_of_march(query(SubjectKind::Employee, RankedBy::ValueScore))).await;
    for row in &board.rows {
        let question = GetScorecardRequest {
            subject: Some(Subject { subject: Some(Of::EmployeeId(row.subject_id.clone())) }),
            window: Some(dates("2024-03-01", "2024-04-01")),
            as_of: date("2024-03-31"),
            ..GetScorecardRequest::default()
        };
        let answer = caller.kpis.get_scorecard(question).await.expect("valid").into_inner();
        let card = answer.scorecard.expect("always set");
        assert_eq!(row.name, card.name);
        let score = card.value_score.expect("all are asked for");
        assert_eq!(score.position.map(|position| position.rank), Some(row.rank));
        let counted = card.deal_count.expect("all are asked for");
        assert_eq!(row.won_amount, counted.won_amount);
        assert_eq!(answer.definition, board.definition);
    }
}

/// Ranks of February, when nothing was won: nobody had an average then, everyone 0 deals.
#[tokio::test]
async fn previous_ranks_are_those_of_the_comparison_window() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let ranks = |board: &GetLeaderboardResponse| -> Vec<(Option<i64>, Option<i64>)> {
        board.rows.iter().map(|row| (row.previous_rank, row.rank_change)).collect()
    };
    let by_count = query(SubjectKind::Partner, RankedBy::DealCount);
    let board = get(&mut caller, on_last_of_march(by_count)).await;
    assert_eq!(ranks(&board), [(Some(1), Some(0)), (Some(1), Some(-1))]);
    let by_size = query(SubjectKind::Partner, RankedBy::AverageDealSize);
    let board = get(&mut caller, on_last_of_march(by_size)).await;
    assert_eq!(ranks(&board), [(None, None), (None, None)]);
}

#[tokio::test]
async fn too_small_a_sample_isnt_ranked_and_lower_bounds_say_how_sure_a_rate_is() {
    let sidecar = Sidecar::start().await;
    let mut caller = example(&sidecar).await;
    let by_success = query(SubjectKind::Partner, RankedBy::DealSuccess);
    assert_eq!(get(&mut caller, on_last_of_march(by_success.clone())).await.rows, [], "5 by default");
    for (sample_min, expected) in [(3, vec!["1 A 0.67"]), (2, vec!["1 A 0.67", "2 B 0.5"])] {
        let asked = LeaderboardQuery { sample_min: Some(sample_min), ..by_success.clone() };
        assert_eq!(all_told(&get(&mut caller, on_last_of_march(asked)).await.rows), expected);
    }
    let rate_order = RateOrder::LowerBound.into();
    let asked = LeaderboardQuery { sample_min: Some(0), rate_order, ..by_success };
    let board = get(&mut caller, on_last_of_march(asked)).await;
    let bounds = board.rows.iter().map(|row| row.lower_bound.expect("it is ranked by it"));
    // Wilson's of 2 of 3 and of 1 of 2, by the textbook's form.
    let expected = [0.207_659_599, 0.094_531_205];
    let distances: Vec<f64> =
        bounds.zip(expected).map(|(found, expected)| (found - expected).abs()).collect();
    assert!(distances.len() == 2 && distances.iter().all(|distance| *distance < 2e-9), "{distances:?}");
}

/// Partners p00 … p19, of whom those with equal last digits won equally much.
async fn twenty(sidecar: &Sidecar) -> Caller {
    let mut caller = sidecar.tenant("twenty", settings()).await;
    let partner = |n: i64| {
        let partner_id = format!("p{n:02}");
        let partner = channel_kpi::proto::channelkpi::v1::Partner {
            name: format!("Partner {n}"),
            active: Some(true),
            partner_id,
            ..Default::default()
        };
        version(noon("01-02"), Kind::Partner(partner))
    };
    let won_deal = |n: i64| {
        let open = deal(&format!("d{n}"), &format!("p{n:02}"), "e1", "03-01", 100 * (n % 10));
        version(noon("03-05"), Kind::Deal(won("03-05", open)))
    };
    caller.write((0..20).map(partner).chain((0..20).map(won_deal)).collect()).await;
    caller
}

#[tokio::test]
async fn pages_of_any_size_are_the_whole_board() {
    let sidecar = Sidecar::start().await;
    let mut caller = twenty(&sidecar).await;
    let by_amount = query(SubjectKind::Partner, RankedBy::WonAmount);
    let whole = get(&mut caller, on_last_of_march(by_amount.clone())).await;
    assert_eq!((whole.rows.len(), whole.next_page_token.as_str()), (20, ""));
    let expected = ["1 p09 900", "1 p19 900", "3 p08 800", "3 p18 800", "5 p07 700"];
    assert_eq!(all_told(&whole.rows)[..5], expected);
    for page_size in [1, 3, 7, 19, 20, 21] {
        let (mut rows, mut page_token) = (Vec::new(), String::new());
        loop {
            let request =
                GetLeaderboardRequest { page_size, page_token, ..on_last_of_march(by_amount.clone()) };
            let page = get(&mut caller, request).await;
            assert!(page.rows.len() <= page_size as usize && !page.revision_changed);
            assert_eq!((page.ranked_count, &page.version), (20, &whole.version));
            rows.extend(page.rows);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(rows, whole.rows, "in pages of {page_size}");
    }
}

/// A row whose figure stays comes exactly once, whatever moves around it.
#[tokio::test]
async fn a_walk_over_a_board_that_moves_misses_and_doubles_nobody() {
    let sidecar = Sidecar::start().await;
    let mut caller = twenty(&sidecar).await;
    let by_amount = query(SubjectKind::Partner, RankedBy::WonAmount);
    let ask = |page_token: String| GetLeaderboardRequest {
        page_size: 7,
        page_token,
        ..on_last_of_march(by_amount.clone())
    };
    let first = get(&mut caller, ask(String::new())).await;
    assert_eq!(first.rows.last().map(told).as_deref(), Some("7 p06 600"));
    // One that was read falls to the end, one that wasn't rises to the top, and one joins the tie at the edge.
    let moved = |n: i64, units| {
        let open = deal(&format!("d{n}"), &format!("p{n:02}"), "e1", "03-01", units);
        version(noon("03-06"), Kind::Deal(won("03-05", open)))
    };
    caller.write(vec![moved(9, 50), moved(0, 5_000), moved(1, 600)]).await;
    let second = get(&mut caller, ask(first.next_page_token)).await;
    assert!(second.revision_changed);
    let third = get(&mut caller, ask(second.next_page_token.clone())).await;
    let walked: Vec<String> =
        [second.rows, third.rows].concat().iter().map(|row| row.subject_id.clone()).collect();
    let expected = ["p16", "p05", "p15", "p04", "p14", "p03", "p13", "p02", "p12", "p11", "p09", "p10"];
    assert_eq!(walked, expected);
    assert_eq!(third.next_page_token, "");
}

#[tokio::test]
async fn pinned_subjects_come_with_their_neighbors() {
    let sidecar = Sidecar::start().await;
    let mut caller = twenty(&sidecar).await;
    let ids = |rows: &[LeaderboardRow]| rows.iter().map(|row| row.subject_id.clone()).collect::<Vec<_>>();
    for (neighbor_count, pinned, expected) in [
        (None, "p18", vec!["p08", "p18", "p07"]),
        (None, "p09", vec!["p09", "p19"]),
        (Some(2), "p10", vec!["p11", "p00", "p10"]),
        (Some(50), "p05", vec![]), // everyone
        (None, "nobody", vec![]),
    ] {
        let request = GetLeaderboardRequest {
            page_size: 1,
            pinned_subject_ids: vec![pinned.to_owned()],
            neighbor_count,
            ..on_last_of_march(query(SubjectKind::Partner, RankedBy::WonAmount))
        };
        let board = get(&mut caller, request).await;
        let [around] = &board.pinned[..] else { panic!("one is pinned") };
        assert_eq!(around.subject_id, pinned);
        match neighbor_count {
            Some(50) => assert_eq!(around.rows.len(), 20),
            _ => assert_eq!(ids(&around.rows), expected, "around {pinned}"),
        }
    }
}

/// A filter on partners picks the rows of a board of partners.
#[tokio::test]
async fn a_filter_on_their_kind_picks_the_rows() {
    let sidecar = Sidecar::start().await;
    let mut caller = twenty(&sidecar).await;
    let of = |ids: &[&str]| {
        let values = ids.iter().map(|id| (*id).to_owned()).collect();
        let filter = Filter { partner_ids: Some(Terms { values, ..Terms::default() }), ..Filter::default() };
        Some(Premises { filter: Some(filter), ..Premises::default() })
    };
    let asked = LeaderboardQuery {
        premises: of(&["p03", "p00", "p07"]),
        ..query(SubjectKind::Partner, RankedBy::WonAmount)
    };
    let board = get(&mut caller, on_last_of_march(asked)).await;
    assert_eq!(all_told(&board.rows), ["1 p07 700", "2 p03 300", "3 p00 0"]);
    // Their score is among all peers, as the scorecard's is: the mean of twenty is 450.
    let asked = LeaderboardQuery {
        premises: of(&["p03", "p09"]),
        ..query(SubjectKind::Partner, RankedBy::ValueScore)
    };
    let board = get(&mut caller, on_last_of_march(asked)).await;
    assert_eq!(all_told(&board.rows), ["1 p09 200", "2 p03 66.67"]);
}

#[tokio::test]
async fn what_was_known_then_is_ranked_as_it_was() {
    let sidecar = Sidecar::start().await;
    let mut caller = twenty(&sidecar).await;
    let open = deal("d99", "p00", "e1", "03-01", 9_999);
    caller.write(vec![version(noon("03-20"), Kind::Deal(won("03-06", open)))]).await;
    let by_amount = query(SubjectKind::Partner, RankedBy::WonAmount);
    let now = get(&mut caller, on_last_of_march(by_amount.clone())).await;
    assert_eq!(told(&now.rows[0]), "1 p00 9999");
    let known_at = at("2024-03-19T00:00:00Z");
    let asked =
        LeaderboardQuery { premises: Some(Premises { known_at, ..Premises::default() }), ..by_amount };
    let then = get(&mut caller, on_last_of_march(asked)).await;
    assert_eq!(told(&then.rows[0]), "1 p09 900");
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn what_cant_be_ranked_is_refused_with_its_path() {
    let sidecar = Sidecar::start().await;
    let mut caller = twenty(&sidecar).await;
    let good = || query(SubjectKind::Partner, RankedBy::WonAmount);
    let asked = |query| GetLeaderboardRequest { query: Some(query), ..GetLeaderboardRequest::default() };
    let many: Vec<String> = (0..11).map(|n| format!("p{n}")).collect();
    for (request, field) in [
        (GetLeaderboardRequest::default(), "query"),
        (asked(LeaderboardQuery { subject_kind: 0, ..good() }), "query.subject_kind"),
        (asked(LeaderboardQuery { ranked_by: 0, ..good() }), "query.ranked_by"),
        (asked(LeaderboardQuery { ranked_by: 99, ..good() }), "query.ranked_by"),
        (asked(LeaderboardQuery { window: None, ..good() }), "query.window"),
        (asked(LeaderboardQuery { tie_rule: 9, ..good() }), "query.tie_rule"),
        (asked(LeaderboardQuery { rate_order: RateOrder::Value.into(), ..good() }), "query.rate_order"),
        (asked(LeaderboardQuery { sample_min: Some(5), ..good() }), "query.sample_min"),
        (
            asked(LeaderboardQuery { sample_min: Some(-1), ranked_by: RankedBy::CloseRate.into(), ..good() }),
            "query.sample_min",
        ),
        (
            asked(LeaderboardQuery {
                subject_kind: SubjectKind::Unit.into(),
                include_sub_partners: true,
                ..good()
            }),
            "query.include_sub_partners",
        ),
        (GetLeaderboardRequest { page_size: -1, ..asked(good()) }, "page_size"),
        (GetLeaderboardRequest { neighbor_count: Some(0), ..asked(good()) }, "neighbor_count"),
        (GetLeaderboardRequest { pinned_subject_ids: many, ..asked(good()) }, "pinned_subject_ids"),
        (
            GetLeaderboardRequest { pinned_subject_ids: vec!["a".into(), "a".into()], ..asked(good()) },
            "pinned_subject_ids[1]",
        ),
        (
            GetLeaderboardRequest { pinned_subject_ids: vec![String::new()], ..asked(good()) },
            "pinned_subject_ids[0]",
        ),
    ] {
        let status = caller.boards.get_leaderboard(request).await.expect_err("it is wrong");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
        let violations = status.get_details_bad_request().expect("the fields are named").field_violations;
        assert_eq!(violations[0].field, field, "{}", status.message());
    }
    // Every other rule and figure is answered.
    let rules = [TieRule::Unspecified, TieRule::Competition, TieRule::Dense, TieRule::Unique];
    for number in 1..=29 {
        for tie_rule in rules {
            let query = LeaderboardQuery { ranked_by: number, tie_rule: tie_rule.into(), ..good() };
            get(&mut caller, on_last_of_march(query)).await;
        }
    }
    // A token of other arguments, and one that is none.
    let page = get(&mut caller, GetLeaderboardRequest { page_size: 2, ..on_last_of_march(good()) }).await;
    for (page_token, ranked_by, expected) in [
        (page.next_page_token.clone(), RankedBy::DealCount, "PAGE_TOKEN_MISMATCH"),
        ("AAAA".to_owned(), RankedBy::WonAmount, "PAGE_TOKEN_INVALID"),
    ] {
        let query = LeaderboardQuery { ranked_by: ranked_by.into(), ..good() };
        let request = GetLeaderboardRequest { page_size: 2, page_token, ..on_last_of_march(query) };
        let status = caller.boards.get_leaderboard(request).await.expect_err("the token is wrong");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, expected));
    }
}
