//! GetLeaderboard and WatchLeaderboard: which board is asked for.

use prost::Message;

use super::path::{Path, Violations, collect};
use super::premises::premises;
use super::question::{
    Consistency, PageRequest, asked_consistency, asked_page_size, comparison, sent_token, subject_kind,
    window_spec,
};
use super::value::{self, each, known, optional, required, within};
use crate::book::LeaderboardQuestion;
use crate::domain::calendar::Date;
use crate::domain::ids::Id;
use crate::domain::subject::SubjectKind;
use crate::domain::window::{Comparison, WindowSpec};
use crate::kpi::leaderboard::{RankedBy, RateRule, TieRule};
use crate::proto::channelkpi::v1 as pb;
use crate::service::token;

/// The most subjects that are pinned.
const PINNED_MAX: usize = 10;

/// A board, whenever it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct BoardQuestion {
    pub ranking: LeaderboardQuestion,
    pub window: WindowSpec,
    pub comparison: Comparison,
    /// Ids of subjects as asked for, each once.
    pub pinned: Vec<String>,
    /// How many rows stand with each of them, before and after it.
    pub neighbor_count: usize,
    /// The premises as they were sent.
    pub sent_premises: Option<pb::Premises>,
}

/// GetLeaderboard's.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaderboardPage {
    pub board: BoardQuestion,
    /// Absent: today in the tenant's zone, or the day of the walk's first page.
    pub as_of: Option<Date>,
    pub page: PageRequest,
    pub consistency: Consistency,
}

/// WatchLeaderboard's.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchQuestion {
    pub board: BoardQuestion,
    /// How many of the first rows.
    pub limit: usize,
    pub resume_token: Option<String>,
    /// The request without its token: equal ones watch the same.
    pub identity: Vec<u8>,
    /// Of the identity.
    pub arguments_hash: u64,
}

pub fn get_leaderboard(request: &pb::GetLeaderboardRequest) -> Result<LeaderboardPage, Violations> {
    let pb::GetLeaderboardRequest {
        query,
        as_of,
        page_size,
        page_token,
        pinned_subject_ids,
        neighbor_count,
        consistency,
    } = request;
    let arguments_hash = token::arguments_hash(
        "GetLeaderboard",
        &pb::GetLeaderboardRequest {
            page_size: 0,
            page_token: String::new(),
            consistency: None,
            ..request.clone()
        },
    );
    collect(Violations::KEPT_MAX, |at| {
        let board = required(at.field("query"), query, board_query);
        let as_of = optional(at.field("as_of"), as_of, value::date);
        let page_size = asked_page_size(at.field("page_size"), *page_size);
        let pinned = pinned(at.field("pinned_subject_ids"), pinned_subject_ids);
        let neighbor_count = match neighbor_count {
            None => Some(1),
            Some(count) => within(at.field("neighbor_count"), *count, 1..=50),
        };
        let consistency = asked_consistency(at.field("consistency"), consistency);
        Some(LeaderboardPage {
            board: BoardQuestion { pinned: pinned?, neighbor_count: neighbor_count?, ..board? },
            as_of,
            page: PageRequest { size: page_size?, token: sent_token(page_token), arguments_hash },
            consistency: consistency?,
        })
    })
}

pub fn watch_leaderboard(request: &pb::WatchLeaderboardRequest) -> Result<WatchQuestion, Violations> {
    const LIMIT_DEFAULT: usize = 100;

    let pb::WatchLeaderboardRequest { query, limit, pinned_subject_ids, resume_token } = request;
    let arguments = pb::WatchLeaderboardRequest { resume_token: String::new(), ..request.clone() };
    collect(Violations::KEPT_MAX, |at| {
        let query_at = at.field("query");
        let board = required(query_at, query, board_query);
        if board.as_ref().is_some_and(|board| !board.ranking.premises.knowledge.is_of_now()) {
            let described = "asks what was known then, which doesn't change: ask GetLeaderboard";
            query_at.field("premises").refuse::<()>(described);
        }
        let limit = match limit {
            None => Some(LIMIT_DEFAULT),
            Some(limit) => within(at.field("limit"), *limit, 1..=1_000),
        };
        let pinned = pinned(at.field("pinned_subject_ids"), pinned_subject_ids);
        Some(WatchQuestion {
            board: BoardQuestion { pinned: pinned?, ..board? },
            limit: limit?,
            resume_token: sent_token(resume_token),
            arguments_hash: token::arguments_hash("WatchLeaderboard", &arguments),
            identity: arguments.encode_to_vec(),
        })
    })
}

fn board_query(at: Path<'_>, query: &pb::LeaderboardQuery) -> Option<BoardQuestion> {
    let pb::LeaderboardQuery {
        subject_kind: kind,
        include_sub_partners,
        ranked_by: by,
        window,
        comparison: compared,
        premises: asked,
        tie_rule: ties,
        rate_order: order,
        sample_min: sample,
    } = query;
    let kind = subject_kind(at.field("subject_kind"), *kind);
    if *include_sub_partners && kind.is_some_and(|kind| kind != SubjectKind::Partner) {
        at.field("include_sub_partners").refuse::<()>("is set, but only partners have sub-partners");
    }
    let ranked_by = ranked_by(at.field("ranked_by"), *by);
    let window = required(at.field("window"), window, window_spec);
    let comparison = comparison(at.field("comparison"), compared);
    let premises = premises(at.field("premises"), asked);
    let ties = tie_rule(at.field("tie_rule"), *ties);

    let order_at = at.field("rate_order");
    let by_lower_bound = match known(order_at, *order)? {
        pb::RateOrder::Unspecified | pb::RateOrder::Value => false,
        pb::RateOrder::LowerBound => true,
    };
    let is_no_rate = ranked_by.is_some_and(|ranked_by| !ranked_by.is_rate());
    if *order != 0 && is_no_rate {
        order_at.refuse::<()>("is set, but only rates have an order of their own");
    }
    let sample_at = at.field("sample_min");
    let sample_min = match sample {
        None => Some(RateRule::default().sample_min),
        Some(_) if is_no_rate => sample_at.refuse("is set, but only rates have a sample"),
        Some(sample) => within(sample_at, *sample, 0..=1_000_000),
    };
    Some(BoardQuestion {
        ranking: LeaderboardQuestion {
            kind: kind?,
            include_sub_partners: *include_sub_partners,
            ranked_by: ranked_by?,
            ties: ties?,
            rate_rule: RateRule { by_lower_bound, sample_min: sample_min? },
            premises: premises?,
        },
        window: window?,
        comparison: comparison?,
        pinned: Vec::new(),
        neighbor_count: 1,
        sent_premises: asked.clone(),
    })
}

fn pinned(at: Path<'_>, sent: &[String]) -> Option<Vec<String>> {
    if sent.len() > PINNED_MAX {
        return at.refuse(format_args!("has {} ids, must have at most {PINNED_MAX}", sent.len()));
    }
    value::each_once(at, sent.iter());
    each(at, sent, |at, raw| value::id(at, raw).map(|id: Id<()>| id.as_str().to_owned()))
}

fn tie_rule(at: Path<'_>, number: i32) -> Option<TieRule> {
    match known(at, number)? {
        pb::TieRule::Unspecified | pb::TieRule::Competition => Some(TieRule::Competition),
        pb::TieRule::Dense => Some(TieRule::Dense),
        pb::TieRule::Unique => Some(TieRule::Unique),
    }
}

fn ranked_by(at: Path<'_>, number: i32) -> Option<RankedBy> {
    use pb::RankedBy as Wire;
    Some(match known(at, number)? {
        Wire::Unspecified => return at.refuse("is unspecified: name a figure"),
        Wire::AverageDealSize => RankedBy::AverageDealSize,
        Wire::DealCount => RankedBy::DealCount,
        Wire::OpportunityPipeline => RankedBy::OpportunityPipeline,
        Wire::MarketingChannel => RankedBy::MarketingChannel,
        Wire::CloseRate => RankedBy::CloseRate,
        Wire::DealVelocity => RankedBy::DealVelocity,
        Wire::ValueScore => RankedBy::ValueScore,
        Wire::DealSuccess => RankedBy::DealSuccess,
        Wire::WonAmount => RankedBy::WonAmount,
        Wire::CloseRateResolved => RankedBy::CloseRateResolved,
        Wire::LeadQualificationRate => RankedBy::LeadQualificationRate,
        Wire::CycleDays => RankedBy::CycleDays,
        Wire::OpenCount => RankedBy::OpenCount,
        Wire::OpenedCount => RankedBy::OpenedCount,
        Wire::OpenedAmount => RankedBy::OpenedAmount,
        Wire::LostCount => RankedBy::LostCount,
        Wire::LostAmount => RankedBy::LostAmount,
        Wire::ExpiredCount => RankedBy::ExpiredCount,
        Wire::ExpiredAmount => RankedBy::ExpiredAmount,
        Wire::MissedCount => RankedBy::MissedCount,
        Wire::MissedAmount => RankedBy::MissedAmount,
        Wire::LostToCompetitorCount => RankedBy::LostToCompetitorCount,
        Wire::WorkDays => RankedBy::WorkDays,
        Wire::LeadCount => RankedBy::LeadCount,
        Wire::ConvertedLeadCount => RankedBy::ConvertedLeadCount,
        Wire::DisqualifiedLeadCount => RankedBy::DisqualifiedLeadCount,
        Wire::ProspectCount => RankedBy::ProspectCount,
        Wire::PurchasedCount => RankedBy::PurchasedCount,
        Wire::LostProspectCount => RankedBy::LostProspectCount,
    })
}
