//! Wire → domain. The one place where input is judged: what leaves here is valid.
//!
//! Invariants:
//! 1. All that is wrong with a message is found, not only the first, each with the full path of its
//!    field. No input panics.
//! 2. Every message is taken apart field by field, without `..`: a field added to the proto stops the
//!    build until someone decides what it means here.
//! 3. An empty text is an absent one. An enum number that this server doesn't know is refused.
//!
//! Within: `path` says where and what, `value` reads single values, `premises` what questions rest on, and
//! `record`, `feed`, `question`, `contributing`, `explain`, `recommend`, `restate`, `strategy`, `quality` and `tenant`
//! the requests of the services.

mod contributing;
mod explain;
mod feed;
mod leaderboard;
mod marketing;
mod path;
mod premises;
mod quality;
mod question;
mod recommend;
mod record;
mod restate;
mod series;
mod strategy;
mod tenant;
mod value;

pub use contributing::{ContributingQuestion, list_contributing_records};
pub use explain::{ExplainQuestion, Explained, explain_change};
pub use feed::{checkpoint, ingest_record, open_feed};
pub use leaderboard::{BoardQuestion, LeaderboardPage, WatchQuestion, get_leaderboard, watch_leaderboard};
pub use marketing::{MarketingQuestion, get_marketing_performance};
pub use path::{Violation, Violations};
pub use quality::{DataQualityQuestion, get_data_quality};
pub use question::{
    CardQuestion, Consistency, PageRequest, PipelineQuestion, RecordQuestion, RecordsQuestion, Rows,
    ScorecardBatch, ScorecardQuestion, ScorecardsQuestion, View, batch_get_scorecards, get_pipeline,
    get_record, get_scorecard, list_records, list_scorecards,
};
pub use recommend::{
    AdviceQuestion, PlanQuestion, RecommendationsQuestion, Whom, get_plan, list_recommendations,
};
pub use record::{Accepted, RECORDS_MAX, Refusal, WriteMode, record, write_records};
pub use restate::{RestateQuestion, compare_knowledge};
pub use series::{SeriesQuestion, get_series};
pub use strategy::{StrategyQuestion, evaluate_strategy};
pub use tenant::{
    TenantIdError, configure_tenant, create_tenant, delete_tenant, get_tenant, settings, tenant_id,
};

#[cfg(test)]
mod tests;
