//! KpiService: parse, ask the book, render.

use tonic::{Request, Response, Status};

use super::render::pipeline;
use super::render::scorecard::{self, Card};
use super::token::Walk;
use super::{Rpc, RpcResult, blocking, failure, now, page, parse};
use crate::book::{Book, Roles, Scope};
use crate::domain::calendar::Date;
use crate::domain::filter::Filter;
use crate::domain::record::Settings;
use crate::domain::subject::Subject;
use crate::domain::window::{Window, WindowSpec};
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;

#[tonic::async_trait]
impl<J: Journal> pb::kpi_service_server::KpiService for Rpc<J> {
    async fn get_scorecard(
        &self,
        request: Request<pb::GetScorecardRequest>,
    ) -> RpcResult<pb::GetScorecardResponse> {
        let tenant = self.tenant(&request).await?;
        let asked = parse::get_scorecard(request.get_ref()).map_err(failure::violations)?;
        self.make_fresh(&tenant, &asked.consistency).await?;

        let book = tenant.book();
        let settings = failure::configured(&tenant, &book)?;
        let windows = Windows::resolve(asked.window, asked.as_of, settings)?;
        let scope = scope(&book, &asked.subject).ok_or_else(|| failure::no_subject(&asked.subject))?;
        let card = windows.card(&book, &asked.subject, &scope);
        Ok(Response::new(pb::GetScorecardResponse {
            scorecard: Some(scorecard::scorecard(&card, &asked.kpis, settings.reporting_currency)),
            definition: Some(windows.definition(settings, &[card])),
            revision_token: self.revision_token(&tenant, book.revision()),
        }))
    }

    async fn list_scorecards(
        &self,
        request: Request<pb::ListScorecardsRequest>,
    ) -> RpcResult<pb::ListScorecardsResponse> {
        let tenant = self.tenant(&request).await?;
        let asked = parse::list_scorecards(request.get_ref()).map_err(failure::violations)?;
        let walk = self.walk(&tenant, &asked.page)?;
        self.make_fresh(&tenant, &asked.consistency).await?;

        let rpc = self.clone();
        blocking(move || {
            let book = tenant.book();
            let settings = failure::configured(&tenant, &book)?;
            let kept_day = walk.as_ref().and_then(|walk| walk.as_of);
            let windows = Windows::resolve(asked.window, asked.as_of.or(kept_day), settings)?;
            let after = walk.as_ref().map(page::last_id).transpose().map_err(failure::page_token)?;
            // One more than the page holds: whether there is a next page is known without asking again.
            let count = asked.page.size + 1;
            let mut subjects =
                book.subjects(asked.subject_kind, asked.include_sub_partners, after.as_deref(), count);
            let goes_on = subjects.len() > asked.page.size;
            subjects.truncate(asked.page.size);
            let cards: Vec<Card> = subjects
                .iter()
                .filter_map(|subject| Some(windows.card(&book, subject, &scope(&book, subject)?)))
                .collect();
            let next = subjects.last().filter(|_| goes_on).map(|last| Walk {
                first_revision: walk.as_ref().map_or(book.revision(), |walk| walk.first_revision),
                as_of: Some(windows.now.as_of),
                last_key: page::subject_id(last).unwrap_or_default().as_bytes().to_vec(),
            });
            let currency = settings.reporting_currency;
            Ok(Response::new(pb::ListScorecardsResponse {
                scorecards: cards
                    .iter()
                    .map(|card| scorecard::scorecard(card, &asked.kpis, currency))
                    .collect(),
                definition: Some(windows.definition(settings, &cards)),
                next_page_token: rpc.page_token(&tenant, &asked.page, next),
                revision_token: rpc.revision_token(&tenant, book.revision()),
                revision_changed: walk.is_some_and(|walk| walk.first_revision != book.revision()),
            }))
        })
        .await
    }

    async fn get_pipeline(
        &self,
        request: Request<pb::GetPipelineRequest>,
    ) -> RpcResult<pb::GetPipelineResponse> {
        let tenant = self.tenant(&request).await?;
        let asked = parse::get_pipeline(request.get_ref()).map_err(failure::violations)?;
        self.make_fresh(&tenant, &asked.consistency).await?;

        let rpc = self.clone();
        blocking(move || {
            let book = tenant.book();
            let settings = failure::configured(&tenant, &book)?;
            let as_of = asked.as_of.unwrap_or_else(|| settings.zone.local_date(now()));
            let since = asked.since.unwrap_or_else(|| as_of.plus_months(-1));
            if since > as_of {
                return Err(failure::since(since, as_of));
            }
            let scope = scope(&book, &asked.subject).ok_or_else(|| failure::no_subject(&asked.subject))?;
            let (subject, name) = book.identify(&asked.subject);
            let told = pipeline::Told {
                subject,
                name,
                since,
                as_of,
                expiring_days: asked.expiring_days,
                open: book.pipeline(&scope, as_of, asked.expiring_days.into()),
                movement: book.movement(&scope, since, as_of),
            };
            Ok(Response::new(pb::GetPipelineResponse {
                pipeline: Some(pipeline::pipeline(&told, settings.reporting_currency)),
                definition: Some(pipeline::definition(&told, settings)),
                revision_token: rpc.revision_token(&tenant, book.revision()),
            }))
        })
        .await
    }
}

fn scope(book: &Book, subject: &Subject) -> Option<Scope> {
    book.scope(subject, &Filter::default(), Roles::SOURCED)
}

/// The window of a question and the one that it is compared with.
struct Windows {
    now: Window,
    before: Option<Window>,
}

// === impl Windows ===

impl Windows {
    fn resolve(spec: WindowSpec, as_of: Option<Date>, settings: &Settings) -> Result<Self, Status> {
        let as_of = as_of.unwrap_or_else(|| settings.zone.local_date(now()));
        let now = spec.resolve(as_of, &settings.period_starts()).ok_or_else(|| failure::window(as_of))?;
        Ok(Self { now, before: now.preceding() })
    }

    fn card<'a>(&self, book: &'a Book, subject: &Subject, scope: &Scope) -> Card<'a> {
        let (subject, name) = book.identify(subject);
        Card {
            subject,
            name,
            now: book.fold(scope, self.now.counted(), None),
            before: self.before.map(|before| book.fold(scope, before.counted(), None)),
        }
    }

    fn definition(&self, settings: &Settings, cards: &[Card<'_>]) -> pb::Definition {
        scorecard::definition(&self.now, self.before.as_ref(), settings, cards)
    }
}
