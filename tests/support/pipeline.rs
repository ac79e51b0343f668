//! Pipelines as tests ask for them and read them.

use channel_kpi::proto::channelkpi::v1::subject::Subject as Of;
use channel_kpi::proto::channelkpi::v1::{
    DealTally, GetPipelineRequest, PartnerSubject, Pipeline, PipelineDefinition, Subject,
};
use channel_kpi::proto::google::r#type::Money;

use crate::sidecar::Caller;
use crate::worked_example::date;

pub fn partner(partner_id: &str) -> Subject {
    let partner = PartnerSubject { partner_id: partner_id.into(), include_sub_partners: false };
    Subject { subject: Some(Of::Partner(partner)) }
}

pub fn ask(subject: Subject, as_of: &str) -> GetPipelineRequest {
    GetPipelineRequest { subject: Some(subject), as_of: date(as_of), ..GetPipelineRequest::default() }
}

pub async fn get(caller: &mut Caller, question: GetPipelineRequest) -> (Pipeline, PipelineDefinition) {
    let answer = caller.kpis.get_pipeline(question).await.expect("the question is valid").into_inner();
    (answer.pipeline.expect("always set"), answer.definition.expect("always set"))
}

/// Money in cents: the tests' amounts have no finer parts.
pub fn cents(money: Option<&Money>) -> i64 {
    let money = money.expect("it is in range");
    assert_eq!(money.nanos % 10_000_000, 0, "{money:?} has parts of cents");
    money.units * 100 + i64::from(money.nanos / 10_000_000)
}

/// Count and whole units; every amount is known.
pub fn tally(tally: Option<&DealTally>) -> (i64, i64) {
    let tally = tally.expect("always set");
    assert_eq!(tally.unpriced_count, 0);
    (tally.count, cents(tally.amount.as_ref()) / 100)
}
