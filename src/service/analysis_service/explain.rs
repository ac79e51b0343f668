//! ExplainChange.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::parse::{ExplainQuestion, Explained};
use super::render::drivers::{Member, of_product, of_rate};
use super::render::figure::Figures;
use super::render::scorecard::Card;
use super::render::value;
use super::{Caller, Cards, Rpc, RpcResult, failure, parse};
use crate::book::Book;
use crate::domain::calendar::Instant;
use crate::domain::filter::Dimension;
use crate::domain::record::Settings;
use crate::domain::subject::Subject;
use crate::journal::Journal;
use crate::kpi::drivers::{Ends, Product, Rate, factor_parts, rate_parts};
use crate::kpi::figure::Absent;
use crate::kpi::standing::Standing;
use crate::proto::channelkpi::v1 as pb;

pub async fn change<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::ExplainChangeRequest>,
) -> RpcResult<pb::ExplainChangeResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let question = parse::explain_change(&request).map_err(failure::violations)?;
    rpc.make_fresh(&tenant, &question.consistency).await?;

    let question = Arc::new(question);
    let weighed = Arc::clone(&question);
    let knowledge = question.asked.premises.knowledge;
    let (tokens, owner) = (rpc.clone(), tenant.clone());
    let now = rpc.now();
    let weigh = move |book: &Book, settings: &Settings| weight(book, settings, &weighed, now);
    let answer = rpc.ask_weighed(&tenant, knowledge, weigh, move |book, settings, caller| {
        let answer = answer(book, settings, &question, &request.premises, now, caller)?;
        let revision_token = tokens.revision_token(&owner, book.revision());
        Ok(pb::ExplainChangeResponse { revision_token, ..answer })
    });
    answer.await.map(Response::new)
}

/// How many rows a question reads at most. How many members there are is known only by reading all rows.
fn weight(book: &Book, settings: &Settings, question: &ExplainQuestion, now: Instant) -> u64 {
    let ExplainQuestion { subject, explained, asked, .. } = question;
    match (explained, Cards::resolve(book, settings, asked, asked.as_of, now)) {
        (_, Err(_)) => 0,
        (Explained::Members(..), Ok(_)) => u64::MAX,
        (Explained::Factors(_), Ok(cards)) => cards.weight(subject),
    }
}

/// All but the revision.
fn answer(
    book: &Book,
    settings: &Settings,
    ExplainQuestion { subject, explained, member_limit, asked, .. }: &ExplainQuestion,
    premises: &Option<pb::Premises>,
    now: Instant,
    caller: &Caller,
) -> Result<pb::ExplainChangeResponse, Status> {
    let cards = Cards::resolve(book, settings, asked, asked.as_of, now)?;
    let figures = Figures { currency: settings.reporting_currency };
    let card = cards.subject(subject)?;
    let explanation = match explained {
        Explained::Factors(product) => of_factors(figures, *product, &card),
        Explained::Members(rate, dimension) => {
            let split = Split { cards: &cards, subject, rate: *rate, dimension };
            split.explanation(figures, &card, *member_limit, caller)?
        }
    };
    let (survivor, name) = book.identify(subject);
    Ok(pb::ExplainChangeResponse {
        subject: Some(value::subject(&survivor)),
        name: name.unwrap_or_default().to_owned(),
        explanation: Some(explanation),
        definition: Some(cards.definition(premises, &[card])),
        revision_token: String::new(),
    })
}

fn of_factors(figures: Figures, product: Product, card: &Card<'_>) -> pb::ChangeExplanation {
    let compared = (
        product.figure(&card.now.standing),
        card.before.as_ref().map(|before| product.figure(&before.standing)),
    );
    let parts = standings(card).and_then(|standings| factor_parts(product, standings));
    of_product(figures, product, compared, parts)
}

/// How one stood in both windows. Absent where there is nothing to compare with.
fn standings<'a>(card: &'a Card<'_>) -> Result<Ends<&'a Standing>, Absent> {
    let before = card.before.as_ref().ok_or(Absent::NoPast)?;
    Ok(Ends { before: &before.standing, now: &card.now.standing })
}

/// A rate over the members of a dimension.
struct Split<'a> {
    cards: &'a Cards<'a>,
    subject: &'a Subject,
    rate: Rate,
    dimension: &'a Dimension,
}

// === impl Split ===

impl Split<'_> {
    fn explanation(
        &self,
        figures: Figures,
        card: &Card<'_>,
        member_limit: usize,
        caller: &Caller,
    ) -> Result<pb::ChangeExplanation, Status> {
        let &Self { cards, subject, rate, dimension } = self;
        let compared = (
            rate.figure(&card.now.standing),
            card.before.as_ref().map(|before| rate.figure(&before.standing)),
        );
        let (mut members, mut terms) = (Vec::new(), Vec::new());
        for value in cards.group_values(subject, dimension)? {
            caller.still_waits()?;
            let Some(of_member) = cards.group(subject, dimension, &value)? else { continue };
            let Ok(ends) = standings(&of_member) else { break };
            let terms_of_member = ends.map(|standing| rate.terms(standing));
            // Whose deals and prospects the rate doesn't count is no member of it.
            if terms_of_member != Ends::default() {
                let rates = ends.map(|standing| rate.figure(standing));
                members.push(Member { value, name: of_member.name, rates });
                terms.push(terms_of_member);
            }
        }
        let parts = standings(card).and_then(|all| rate_parts(rate, all, &terms));
        Ok(of_rate(figures, rate, compared, dimension, (&members, parts), member_limit))
    }
}
