//! The questions, as a CRM would put them.

use channel_kpi::proto::channelkpi::v1::analysis_service_client::AnalysisServiceClient;
use channel_kpi::proto::channelkpi::v1::kpi_service_client::KpiServiceClient;
use channel_kpi::proto::channelkpi::v1::leaderboard_service_client::LeaderboardServiceClient;
use channel_kpi::proto::channelkpi::v1::{
    Bucket, Comparison, DateRange, Filter, GetLeaderboardRequest, GetLeaderboardResponse, GetPipelineRequest,
    GetPipelineResponse, GetScorecardRequest, GetSeriesRequest, GetSeriesResponse, Kpi, LeaderboardQuery,
    ListRecommendationsRequest, ListRecommendationsResponse, ListScorecardsRequest, PartnerSubject, Premises,
    RankedBy, Scorecard, Subject, SubjectKind, Terms, View, Window, comparison, subject, window,
};
use channel_kpi::server::Stack;

use crate::tenant::{DAY_COUNT, REGIONS, channel_id, date, product};

pub const ALL_BUT_VALUE_SCORE: [Kpi; 7] = [
    Kpi::AverageDealSize,
    Kpi::DealCount,
    Kpi::OpportunityPipeline,
    Kpi::MarketingChannel,
    Kpi::CloseRate,
    Kpi::DealVelocity,
    Kpi::DealSuccess,
];
/// Those that are read from sums alone: no walk over open deals or spends.
pub const BY_SUMS: [Kpi; 5] =
    [Kpi::AverageDealSize, Kpi::DealCount, Kpi::CloseRate, Kpi::DealVelocity, Kpi::DealSuccess];
/// What a series of won deals shows.
pub const OF_SERIES: [Kpi; 3] = [Kpi::AverageDealSize, Kpi::DealCount, Kpi::DealSuccess];

/// Rows of a page: the most that there are.
const PAGE_ROWS: i32 = 1_000;
/// The days of most questions.
pub const WINDOW_DAYS: i64 = 90;

// === windows ===

pub fn last_90_days() -> Window {
    Window { window: Some(window::Window::LastDays(WINDOW_DAYS as i32)) }
}

/// Given days, counted from the tenant's first.
pub fn days(first: i64, end: i64) -> Window {
    Window { window: Some(window::Window::Dates(dates(first, end))) }
}

fn dates(first: i64, end: i64) -> DateRange {
    DateRange { start_on: Some(date(first)), end_on: Some(date(end)) }
}

/// The first day of the window of 90 days that is asked about as the `asked`th: neither it nor the one before
/// it is any of those asked about lately, so that no board of theirs is kept.
pub fn fresh_start(asked: i64) -> i64 {
    100 + asked * 37 % 900
}

/// All 36 months.
pub fn all_months() -> Window {
    days(0, DAY_COUNT)
}

// === subjects ===

pub fn partner(partner_id: String) -> Option<Subject> {
    let partner = PartnerSubject { partner_id, include_sub_partners: false };
    Some(Subject { subject: Some(subject::Subject::Partner(partner)) })
}

pub fn employee(employee_id: String) -> Option<Subject> {
    Some(Subject { subject: Some(subject::Subject::EmployeeId(employee_id)) })
}

pub fn unit(unit_id: String) -> Option<Subject> {
    Some(Subject { subject: Some(subject::Subject::UnitId(unit_id)) })
}

// === filters ===

fn terms(value: String) -> Option<Terms> {
    Some(Terms { values: vec![value], include_none: false })
}

pub fn in_region() -> Filter {
    Filter { regions: terms(REGIONS[0].to_owned()), ..Filter::default() }
}

pub fn of_product_and_channel() -> Filter {
    Filter { products: terms(product(1)), marketing_channel_ids: terms(channel_id(1)), ..Filter::default() }
}

fn premises(filter: Option<Filter>) -> Option<Premises> {
    Some(Premises { filter, ..Premises::default() })
}

// === questions ===

pub fn scorecard(subject: Option<Subject>, kpis: &[Kpi], view: View) -> GetScorecardRequest {
    GetScorecardRequest {
        subject,
        window: Some(last_90_days()),
        kpis: numbers(kpis),
        view: view.into(),
        ..GetScorecardRequest::default()
    }
}

/// The top 100 partners, beside their ranks in the window before.
pub fn top_100(window: Window, ranked_by: RankedBy, filter: Option<Filter>) -> GetLeaderboardRequest {
    let query = LeaderboardQuery {
        subject_kind: SubjectKind::Partner.into(),
        ranked_by: ranked_by.into(),
        window: Some(window),
        premises: premises(filter),
        ..LeaderboardQuery::default()
    };
    GetLeaderboardRequest { query: Some(query), page_size: 100, ..GetLeaderboardRequest::default() }
}

/// The same of 90 given days, compared with themselves: one board is told and not two.
pub fn top_100_alone(first: i64, ranked_by: RankedBy, filter: Option<Filter>) -> GetLeaderboardRequest {
    let mut board = top_100(days(first, first + WINDOW_DAYS), ranked_by, filter);
    let itself = comparison::Comparison::Dates(dates(first, first + WINDOW_DAYS));
    if let Some(query) = &mut board.query {
        query.comparison = Some(Comparison { comparison: Some(itself) });
    }
    board
}

pub fn monthly(kpis: &[Kpi], filter: Option<Filter>) -> GetSeriesRequest {
    GetSeriesRequest {
        window: Some(all_months()),
        bucket: Bucket::Month.into(),
        kpis: numbers(kpis),
        premises: premises(filter),
        ..GetSeriesRequest::default()
    }
}

/// The open deals at the end of a day. Since the same day nothing moved: the movement costs nothing.
pub fn pipeline(subject: Option<Subject>, day: i64) -> GetPipelineRequest {
    let on = Some(date(day));
    GetPipelineRequest { subject, as_of: on, since: on, ..GetPipelineRequest::default() }
}

/// The open deals of today, and what changed in a month.
pub fn pipeline_movement(subject: Option<Subject>) -> GetPipelineRequest {
    GetPipelineRequest { subject, ..GetPipelineRequest::default() }
}

pub fn every_partner(kpis: &[Kpi], view: View) -> ListScorecardsRequest {
    ListScorecardsRequest {
        subject_kind: SubjectKind::Partner.into(),
        window: Some(last_90_days()),
        kpis: numbers(kpis),
        page_size: PAGE_ROWS,
        view: view.into(),
        ..ListScorecardsRequest::default()
    }
}

pub fn recommendations_of_all(kind: SubjectKind) -> ListRecommendationsRequest {
    ListRecommendationsRequest { subject_kinds: vec![kind.into()], ..ListRecommendationsRequest::default() }
}

pub fn recommendations_of(subject: Option<Subject>) -> ListRecommendationsRequest {
    ListRecommendationsRequest { subject, ..ListRecommendationsRequest::default() }
}

fn numbers(kpis: &[Kpi]) -> Vec<i32> {
    kpis.iter().map(|&kpi| kpi.into()).collect()
}

/// Whoever asks: through the same stack as over a socket, without the socket.
#[derive(Clone)]
pub struct Asker {
    kpis: KpiServiceClient<Stack>,
    boards: LeaderboardServiceClient<Stack>,
    analyst: AnalysisServiceClient<Stack>,
}

// === impl Asker ===

impl Asker {
    pub fn new(stack: Stack) -> Self {
        let bytes_max = 64 << 20; // a page of a thousand FULL scorecards
        Self {
            kpis: KpiServiceClient::new(stack.clone()).max_decoding_message_size(bytes_max),
            boards: LeaderboardServiceClient::new(stack.clone()),
            analyst: AnalysisServiceClient::new(stack),
        }
    }

    pub async fn scorecard(&self, request: GetScorecardRequest) -> Scorecard {
        let answer = self.kpis.clone().get_scorecard(request).await;
        answer.expect("it is valid").into_inner().scorecard.expect("an answer has it")
    }

    pub async fn board(&self, request: GetLeaderboardRequest) -> GetLeaderboardResponse {
        self.boards.clone().get_leaderboard(request).await.expect("it is valid").into_inner()
    }

    pub async fn series(&self, request: GetSeriesRequest) -> GetSeriesResponse {
        self.kpis.clone().get_series(request).await.expect("it is valid").into_inner()
    }

    pub async fn pipeline(&self, request: GetPipelineRequest) -> GetPipelineResponse {
        self.kpis.clone().get_pipeline(request).await.expect("it is valid").into_inner()
    }

    pub async fn recommendations(&self, request: ListRecommendationsRequest) -> ListRecommendationsResponse {
        self.analyst.clone().list_recommendations(request).await.expect("it is valid").into_inner()
    }

    /// All rows, page by page.
    pub async fn list(&self, mut request: ListScorecardsRequest) -> Vec<Scorecard> {
        let mut kpis = self.kpis.clone();
        let mut rows = Vec::new();
        loop {
            let page = kpis.list_scorecards(request.clone()).await.expect("it is valid").into_inner();
            rows.extend(page.scorecards);
            if page.next_page_token.is_empty() {
                return rows;
            }
            request.page_token = page.next_page_token;
        }
    }
}
