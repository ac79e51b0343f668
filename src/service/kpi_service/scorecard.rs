//! GetScorecard and ListScorecards.

use tonic::{Request, Response, Status};

use super::render::scorecard::{self, Card};
use super::token::Walk;
use super::{Rpc, RpcResult, as_of_or_today, failure, page, parse, scope};
use crate::book::Book;
use crate::domain::calendar::Date;
use crate::domain::premises::{Premises, RatesOn};
use crate::domain::record::Settings;
use crate::domain::subject::Subject;
use crate::domain::window::{Comparison, Window, WindowSpec};
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;

pub async fn get<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::GetScorecardRequest>,
) -> RpcResult<pb::GetScorecardResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let asked = parse::get_scorecard(&request).map_err(failure::violations)?;
    rpc.make_fresh(&tenant, &asked.consistency).await?;

    let knowledge = asked.premises.knowledge;
    let answer = rpc.ask(&tenant, knowledge, move |book, settings| {
        let windows = Windows::resolve(asked.window, asked.as_of, settings)?;
        let card = windows.card(book, &asked.subject, &asked.premises)?;
        let scorecard = scorecard::scorecard(&card, &asked.kpis, settings.reporting_currency);
        let definition = windows.definition(settings, &asked.premises, &request.premises, &[card]);
        Ok((scorecard, definition, book.revision()))
    });
    let (scorecard, definition, revision) = answer.await?;
    Ok(Response::new(pb::GetScorecardResponse {
        scorecard: Some(scorecard),
        definition: Some(definition),
        revision_token: rpc.revision_token(&tenant, revision),
    }))
}

pub async fn list<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::ListScorecardsRequest>,
) -> RpcResult<pb::ListScorecardsResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let asked = parse::list_scorecards(&request).map_err(failure::violations)?;
    let walk = rpc.walk(&tenant, &asked.page)?;
    rpc.make_fresh(&tenant, &asked.consistency).await?;

    let knowledge = asked.premises.knowledge;
    let (tokens, owner) = (rpc.clone(), tenant.clone());
    let answer = rpc.ask(&tenant, knowledge, move |book, settings| {
        let kept_day = walk.as_ref().and_then(|walk| walk.as_of);
        let windows = Windows::resolve(asked.window, asked.as_of.or(kept_day), settings)?;
        let after = walk.as_ref().map(page::last_id).transpose().map_err(failure::page_token)?;
        // One more than the page holds: whether there is a next page is known without asking again.
        let count = asked.page.size + 1;
        let mut subjects =
            book.subjects(asked.subject_kind, asked.include_sub_partners, after.as_deref(), count);
        let goes_on = subjects.len() > asked.page.size;
        subjects.truncate(asked.page.size);
        let cards = subjects.iter().map(|subject| windows.card(book, subject, &asked.premises));
        let cards: Vec<Card> = cards.collect::<Result<_, _>>()?;
        let next = subjects.last().filter(|_| goes_on).map(|last| Walk {
            first_revision: walk.as_ref().map_or(book.revision(), |walk| walk.first_revision),
            as_of: Some(windows.now.as_of),
            last_key: page::subject_id(last).unwrap_or_default().as_bytes().to_vec(),
        });
        let currency = settings.reporting_currency;
        Ok(pb::ListScorecardsResponse {
            scorecards: cards.iter().map(|card| scorecard::scorecard(card, &asked.kpis, currency)).collect(),
            definition: Some(windows.definition(settings, &asked.premises, &request.premises, &cards)),
            next_page_token: tokens.page_token(&owner, &asked.page, next),
            revision_token: tokens.revision_token(&owner, book.revision()),
            revision_changed: walk.is_some_and(|walk| walk.first_revision != book.revision()),
        })
    });
    answer.await.map(Response::new)
}

/// The window of a question and the one that it is compared with.
struct Windows {
    now: Window,
    before: Option<Window>,
}

// === impl Windows ===

impl Windows {
    fn resolve(spec: WindowSpec, as_of: Option<Date>, settings: &Settings) -> Result<Self, Status> {
        let as_of = as_of_or_today(as_of, settings);
        let now = spec.resolve(as_of, &settings.period_starts()).ok_or_else(|| failure::window(as_of))?;
        Ok(Self { now, before: now.compared(Comparison::Previous) })
    }

    /// Of the question's window, and so of its comparison too.
    fn rates(&self, premises: &Premises) -> RatesOn {
        premises.exchange.rates_in(&self.now)
    }

    fn card<'a>(&self, book: &'a Book, subject: &Subject, premises: &Premises) -> Result<Card<'a>, Status> {
        let scope = scope(book, subject, premises)?;
        let fold = |window: &Window| book.fold(&scope, window.counted(), self.rates(premises));
        let (subject, name) = book.identify(subject);
        Ok(Card { subject, name, now: fold(&self.now), before: self.before.as_ref().map(fold) })
    }

    fn definition(
        &self,
        settings: &Settings,
        premises: &Premises,
        asked: &Option<pb::Premises>,
        cards: &[Card<'_>],
    ) -> pb::Definition {
        let rates = self.rates(premises);
        scorecard::definition(&self.now, self.before.as_ref(), rates, asked, settings, cards)
    }
}
