//! What CompareKnowledge is asked.

use super::path::{Path, Violations, collect};
use super::premises::premises;
use super::question::{
    CardQuestion, Consistency, View, asked_consistency, asked_kpis, asked_page_size, window_spec,
};
use super::value::{self, optional, required};
use crate::book::Between;
use crate::domain::premises::{Knowledge, Premises};
use crate::domain::subject::Subject;
use crate::domain::window::Comparison;
use crate::proto::channelkpi::v1 as pb;

/// CompareKnowledge's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestateQuestion {
    pub subject: Subject,
    /// Of everything known now: what was known is said by `between`. Nothing is compared.
    pub asked: CardQuestion,
    pub between: Between,
    /// The most records that are listed.
    pub record_limit: usize,
    pub consistency: Consistency,
}

pub fn compare_knowledge(request: &pb::CompareKnowledgeRequest) -> Result<RestateQuestion, Violations> {
    let pb::CompareKnowledgeRequest {
        subject,
        kpis,
        window,
        as_of,
        premises: asked,
        earlier,
        later,
        record_limit,
        consistency,
    } = request;
    collect(Violations::KEPT_MAX, |at| {
        let subject = value::subject_or_tenant(at.field("subject"), subject);
        let kpis = asked_kpis(at.field("kpis"), kpis);
        let window = required(at.field("window"), window, window_spec);
        let as_of = optional(at.field("as_of"), as_of, value::date);
        let premises = of_now(at.field("premises"), asked);
        let earlier = required(at.field("earlier"), earlier, knowledge);
        let later = match later {
            Some(later) => knowledge(at.field("later"), later),
            None => Some(Knowledge::default()),
        };
        let between = earlier.zip(later).and_then(|(earlier, later)| between(at, earlier, later));
        let record_limit = asked_page_size(at.field("record_limit"), *record_limit);
        let consistency = asked_consistency(at.field("consistency"), consistency);
        let asked = CardQuestion {
            window: window?,
            as_of,
            comparison: Comparison::default(),
            kpis: kpis?,
            view: View::Basic,
            premises: premises?,
        };
        let (between, record_limit) = (between?, record_limit?);
        Some(RestateQuestion { subject: subject?, asked, between, record_limit, consistency: consistency? })
    })
}

/// Premises that don't say what was known.
fn of_now(at: Path<'_>, asked: &Option<pb::Premises>) -> Option<Premises> {
    let premises = premises(at, asked)?;
    let Knowledge { known_at, received_by } = premises.knowledge;
    for (field, is_set) in [("known_at", known_at.is_some()), ("received_by", received_by.is_some())] {
        if is_set {
            at.field(field).refuse::<()>("is set, but earlier and later say what was known");
        }
    }
    Some(premises)
}

fn knowledge(at: Path<'_>, sent: &pb::Knowledge) -> Option<Knowledge> {
    let pb::Knowledge { known_at: sent_known_at, received_by: sent_received_by } = sent;
    let known_at = optional(at.field("known_at"), sent_known_at, value::instant);
    let received_by = optional(at.field("received_by"), sent_received_by, value::instant);
    let is_whole =
        known_at.is_some() == sent_known_at.is_some() && received_by.is_some() == sent_received_by.is_some();
    is_whole.then_some(Knowledge { known_at, received_by })
}

fn between(at: Path<'_>, earlier: Knowledge, later: Knowledge) -> Option<Between> {
    let earlier_at = at.field("earlier");
    if earlier.is_of_now() {
        return earlier_at.refuse("says nothing: set known_at or received_by");
    }
    if earlier == later {
        return at.field("later").refuse("is the same as earlier, so that nothing can have changed");
    }
    if earlier.is_within(&later) {
        return Some(Between { earlier, later });
    }
    let instants = [
        ("known_at", earlier.known_at, later.known_at),
        ("received_by", earlier.received_by, later.received_by),
    ];
    for (field, earlier, later) in instants {
        match (earlier, later) {
            (None, Some(_)) => earlier_at
                .field(field)
                .refuse::<()>("is absent, but later has one: set one that isn't after that"),
            (Some(earlier), Some(later)) if later < earlier => {
                earlier_at.field(field).refuse::<()>("is after that of later: exchange the two")
            }
            _ => None,
        };
    }
    None
}
