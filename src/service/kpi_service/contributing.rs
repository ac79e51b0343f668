//! ListContributingRecords.

use tonic::{Request, Response};

use super::render::contributing;
use super::token::Walk;
use super::{Rpc, RpcResult, as_of_or_today, failure, page, parse, scope, window};
use crate::book::Behind;
use crate::domain::calendar::DateRange;
use crate::domain::premises::RatesOn;
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;

pub async fn list<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::ListContributingRecordsRequest>,
) -> RpcResult<pb::ListContributingRecordsResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let asked = parse::list_contributing_records(&request).map_err(failure::violations)?;
    let walk = rpc.walk(&tenant, &asked.page)?;
    rpc.make_fresh(&tenant, &asked.consistency).await?;

    let knowledge = asked.premises.knowledge;
    let (tokens, owner) = (rpc.clone(), tenant.clone());
    let now = rpc.now();
    let answer = rpc.ask(&tenant, knowledge, move |book, settings, caller| {
        let kept_day = walk.as_ref().and_then(|walk| walk.as_of);
        let as_of = as_of_or_today(asked.as_of.or(kept_day), settings, now);
        let window = asked.window.map(|spec| window(spec, as_of, settings)).transpose()?;
        let exchange = asked.premises.exchange;
        let (dates, rates) = match &window {
            Some(window) => (window.counted(), exchange.rates_in(window)),
            // What is open is a figure of a day.
            None => (DateRange { from: as_of, to: as_of }, RatesOn::Day(exchange.rates_of_stock(as_of))),
        };
        let after = walk.as_ref().map(page::last_place).transpose().map_err(failure::page_token)?;
        let scope = scope(book, &asked.subject, &asked.premises)?;
        let behind = Behind { figure: asked.figure, dates, as_of, rates };
        let is_awaited = || !caller.has_gone();
        let found = book.evidence_page(&scope, behind, after, asked.page.size, &is_awaited);
        caller.still_waits()?;

        let (subject, name) = book.identify(&asked.subject);
        let told = contributing::Told { figure: asked.figure, subject, name, window, as_of, rates };
        let currency = settings.reporting_currency;
        let last = found.contributions.last().filter(|_| found.goes_on);
        let next = last.map(|last| Walk {
            first_revision: walk.as_ref().map_or(book.revision(), |walk| walk.first_revision),
            as_of: Some(as_of),
            last_key: page::place_key(&last.place),
        });
        let rows = found.contributions.iter();
        Ok(pb::ListContributingRecordsResponse {
            records: rows.map(|row| contributing::record(row, currency)).collect(),
            total: Some(contributing::total(asked.figure, &found, currency)),
            definition: Some(contributing::definition(&told, &request.premises, settings)),
            next_page_token: tokens.page_token(&owner, &asked.page, next),
            revision_token: tokens.revision_token(&owner, book.revision()),
            revision_changed: walk.as_ref().is_some_and(|walk| walk.first_revision != book.revision()),
        })
    });
    answer.await.map(Response::new)
}
