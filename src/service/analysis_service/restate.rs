//! CompareKnowledge.
//!
//! Both knowledges are of the records of one revision, and of each a book of its own is asked, one after the other:
//! that of the earlier one is built when that of the later one is gone. Where the later one is all that is known, and
//! nothing came meanwhile, the book itself is asked.

use std::collections::BTreeSet;

use tonic::{Request, Response, Status};

use super::parse::RestateQuestion;
use super::render::restated::{self, End};
use super::render::value;
use super::{Caller, Cards, Rpc, RpcResult, failure, parse};
use crate::book::{Book, Changed, MovedQuestion, Traces};
use crate::domain::calendar::{Date, Instant};
use crate::domain::premises::Knowledge;
use crate::domain::record::RecordKey;
use crate::domain::subject::Subject;
use crate::journal::Journal;
use crate::kpi::Kpi;
use crate::kpi::figure::{Quantity, Ratio};
use crate::proto::channelkpi::v1 as pb;
use crate::tenant::Tenant;

pub async fn compare<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::CompareKnowledgeRequest>,
) -> RpcResult<pb::CompareKnowledgeResponse> {
    let tenant = rpc.tenant(&request).await?;
    let request = request.into_inner();
    let question = parse::compare_knowledge(&request).map_err(failure::violations)?;
    rpc.make_fresh(&tenant, &question.consistency).await?;

    let now = rpc.now();
    let answer = rpc.ask_in_hindsight(&tenant, move |tenant, caller| {
        let revision = tenant.book().revision();
        let comparing = Comparing { tenant, question: &question, premises: &request.premises, revision, now };
        Ok((comparing.answer(caller)?, revision))
    });
    let (answer, revision) = answer.await?;
    let revision_token = rpc.revision_token(&tenant, revision);
    Ok(Response::new(pb::CompareKnowledgeResponse { revision_token, ..answer }))
}

/// A question about the records of one revision.
struct Comparing<'a, J> {
    tenant: &'a Tenant<J>,
    question: &'a RestateQuestion,
    premises: &'a Option<pb::Premises>,
    revision: u64,
    now: Instant,
}

/// What a book of one knowledge says.
struct Told {
    /// None where nothing names the subject.
    end: Option<End>,
    traces: Traces,
    as_of: Date,
    /// Who counts in the subject's place, and its name.
    identity: (Subject, String),
}

/// A record that made a difference, by the place in which it is listed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    place: u8,
    key: RecordKey,
    /// By their places among those asked for.
    kpis: Vec<usize>,
}

// === impl Comparing ===

impl<J: Journal> Comparing<'_, J> {
    /// All but the revision.
    fn answer(&self, caller: &Caller) -> Result<pb::CompareKnowledgeResponse, Status> {
        let RestateQuestion { subject, asked, between, record_limit, .. } = self.question;
        let has_gone = || caller.has_gone();
        let changed = self.tenant.changed_between(self.revision, *between, has_gone);
        let changed = changed.ok_or_else(gone)?;
        let later = self.told(between.later, asked.as_of, &changed, caller)?;
        let earlier = self.told(between.earlier, Some(later.as_of), &changed, caller)?;
        let end = later.end.as_ref().ok_or_else(|| failure::no_subject(subject))?;
        let listed = self.listed(&earlier.traces, &later.traces, &changed, later.as_of);
        let (survivor, name) = &later.identity;
        Ok(pb::CompareKnowledgeResponse {
            subject: Some(value::subject(survivor)),
            name: name.clone(),
            kpis: restated::kpis(&asked.kpis, earlier.end.as_ref(), end),
            record_count: listed.len() as i64,
            records: self.records(listed.into_iter().take(*record_limit)),
            later_definition: Some(end.definition.clone()),
            earlier_definition: earlier.end.map(|end| end.definition),
            revision_token: String::new(),
        })
    }

    /// Asks the book of one knowledge.
    fn told(
        &self,
        knowledge: Knowledge,
        as_of: Option<Date>,
        changed: &Changed,
        caller: &Caller,
    ) -> Result<Told, Status> {
        if knowledge.is_of_now() {
            let book = self.tenant.book();
            if book.revision() == self.revision {
                return self.told_by(&book, knowledge, as_of, changed, caller);
            }
        }
        let book = self.tenant.book_of_revision(self.revision, knowledge, || caller.has_gone());
        self.told_by(&book.ok_or_else(gone)?, knowledge, as_of, changed, caller)
    }

    fn told_by(
        &self,
        book: &Book,
        knowledge: Knowledge,
        as_of: Option<Date>,
        changed: &Changed,
        caller: &Caller,
    ) -> Result<Told, Status> {
        let RestateQuestion { subject, asked, .. } = self.question;
        let settings = failure::configured(self.tenant.id(), book)?;
        let cards = Cards::resolve(book, settings, asked, as_of, self.now)?;
        let cards = cards.compared_with_nothing().of_subject(subject);
        let is_known = book.scope(subject, &asked.premises.filter, asked.premises.roles).is_some();
        let end = match is_known {
            false => None,
            true => {
                let card = cards.subject(subject)?;
                let won_amount_e4 = card.now.standing.measures.won.amount_e4;
                Some(End {
                    currency: settings.reporting_currency,
                    figures: asked.kpis.iter().map(|kpi| card.now.figure(*kpi)).collect(),
                    won_amount: Ok(Ratio::whole(Quantity::AmountE4(won_amount_e4))),
                    definition: cards
                        .definition(&restated::premises(self.premises, knowledge), card.oldest_rate_on),
                })
            }
        };
        caller.still_waits()?;
        let question = MovedQuestion {
            subject,
            filter: &asked.premises.filter,
            roles: asked.premises.roles,
            kpis: &asked.kpis,
            dates: cards.windows().0.counted(),
            as_of: cards.as_of(),
            rates: cards.rates(),
        };
        let traces = book.traces(&question, changed, &|| !caller.has_gone());
        caller.still_waits()?;
        let (survivor, name) = book.identify(subject);
        let identity = (survivor, name.unwrap_or_default().to_owned());
        Ok(Told { end, traces, as_of: cards.as_of(), identity })
    }

    /// The records that made a difference, in order.
    fn listed(&self, earlier: &Traces, later: &Traces, changed: &Changed, as_of: Date) -> BTreeSet<Listed> {
        let (kpis, exchange) = (&self.question.asked.kpis, self.question.asked.premises.exchange);
        let moved = |key: RecordKey| {
            let moved = Traces::moved(earlier, later, &key, kpis);
            let place = match &moved[..] {
                [] => return None,
                [Kpi::ValueScore] => 2,
                _ => 0,
            };
            let place = place + u8::from(matches!(key, RecordKey::Lead(_)));
            let places = (0..kpis.len()).filter(|at| moved.contains(&kpis[*at])).collect();
            Some(Listed { place, key, kpis: places })
        };
        let last_on = as_of.max(exchange.rates_of_stock(as_of));
        let others = changed.others_behind(kpis, last_on).filter_map(|key| {
            let place = match key {
                RecordKey::Settings => 4,
                RecordKey::Rate(_) => 5,
                RecordKey::Partner(_) => 6,
                RecordKey::Unit(_) => 7,
                RecordKey::Employee(_) => 8,
                RecordKey::Channel(_) => 9,
                RecordKey::Spend(_) => 10,
                _ => return None,
            };
            let of_spends = |_: &usize| matches!(key, RecordKey::Spend(_));
            let place_of_marketing = kpis.iter().position(|kpi| *kpi == Kpi::MarketingChannel);
            let kpis = place_of_marketing.filter(of_spends).into_iter().collect();
            Some(Listed { place, key: key.clone(), kpis })
        });
        let moved = changed.many.iter().cloned().filter_map(moved);
        moved.chain(others).collect()
    }

    fn records(&self, listed: impl Iterator<Item = Listed>) -> Vec<pb::RestatingRecord> {
        let book = self.tenant.book();
        let record = |Listed { key, kpis, .. }: Listed| {
            let mut versions = book.records().versions(&key);
            versions.retain(|stored| stored.revision <= self.revision);
            let kpis: Vec<Kpi> = kpis.iter().map(|at| self.question.asked.kpis[*at]).collect();
            restated::record(&key, &versions, &self.question.between, &kpis)
        };
        listed.map(record).collect()
    }
}

fn gone() -> Status {
    Status::cancelled("the caller has gone")
}
