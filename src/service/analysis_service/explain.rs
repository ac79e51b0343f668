//! ExplainChange.

use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::parse::{ExplainQuestion, Explained};
use super::render::drivers::{Member, of_product, of_rate};
use super::render::figure::Figures;
use super::render::scorecard::{Card, Stand};
use super::render::value;
use super::{Caller, Cards, Rpc, RpcResult, failure, parse};
use crate::book::Book;
use crate::domain::calendar::Instant;
use crate::domain::filter::{Dimension, GroupValue, SplitBy};
use crate::domain::record::Settings;
use crate::domain::subject::Subject;
use crate::journal::Journal;
use crate::kpi::drivers::{Ends, Product, Rate, RateTerms, factor_parts, rate_parts};
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

/// How many rows a question reads at most. That over members reads all of its windows.
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
        Explained::Members(rate, by) => {
            let split = Split { book, cards: &cards, subject, rate: *rate, by: *by };
            split.explanation(figures, &card, *member_limit, caller)?
        }
    };
    let (survivor, name) = book.identify(subject);
    Ok(pb::ExplainChangeResponse {
        subject: Some(value::subject(&survivor)),
        name: name.unwrap_or_default().to_owned(),
        explanation: Some(explanation),
        definition: Some(cards.definition(premises, card.oldest_rate_on)),
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
    book: &'a Book,
    cards: &'a Cards<'a>,
    subject: &'a Subject,
    rate: Rate,
    by: SplitBy,
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
        let &Self { book, cards, subject, rate, by } = self;
        let terms = |stand: &Stand<'_>| rate.terms(&stand.standing);
        let figure = |stand: &Stand<'_>| rate.figure(terms(stand));
        let compared = (figure(&card.now), card.before.as_ref().map(figure));
        let scope = cards.scope_of(subject)?;
        let mut of_members: BTreeMap<GroupValue, Ends<RateTerms>> = BTreeMap::new();
        let (now, before) = cards.windows();
        for (value, terms) in book.rate_terms(&scope, rate, by, now) {
            of_members.entry(value).or_default().now = terms;
        }
        caller.still_waits()?;
        if let Some(before) = before {
            for (value, terms) in book.rate_terms(&scope, rate, by, before) {
                of_members.entry(value).or_default().before = terms;
            }
        }
        let dimension = Dimension::from(by);
        let member = |(value, terms): (&GroupValue, &Ends<RateTerms>)| Member {
            value: value.clone(),
            name: book.name_of(&dimension, value),
            rates: terms.map(|terms| rate.figure(terms)),
        };
        let members: Vec<Member<'_>> = of_members.iter().map(member).collect();
        let parts = standings(card).and_then(|all| {
            let all = all.map(|standing| rate.terms(standing));
            rate_parts(rate, all, &of_members.into_values().collect::<Vec<_>>())
        });
        Ok(of_rate(figures, rate, compared, &dimension, (&members, parts), member_limit))
    }
}
