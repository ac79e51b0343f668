//! Answers as JSON: the proto3 JSON of the response, the same as Envoy's transcoder makes.

use channel_kpi::proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};

/// A message of `channelkpi.v1` as indented JSON.
pub fn render(name: &str, message: &impl Message) -> String {
    serde_json::to_string_pretty(&dynamic(name, message)).expect(HAS_JSON)
}

/// The same on one line.
pub fn render_line(name: &str, message: &impl Message) -> String {
    serde_json::to_string(&dynamic(name, message)).expect(HAS_JSON)
}

const HAS_JSON: &str = "every message of the API has a JSON form";

fn dynamic(name: &str, message: &impl Message) -> DynamicMessage {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("build.rs writes a valid descriptor set");
    let descriptor = pool
        .get_message_by_name(&format!("channelkpi.v1.{name}"))
        .expect("the answer is a message of the API");
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message).expect("the message was made from the same descriptor");
    dynamic
}

#[cfg(test)]
mod tests {
    use channel_kpi::proto::channelkpi::v1::figure::Result as FigureResult;
    use channel_kpi::proto::channelkpi::v1::{
        AbsentReason, DealCount, Figure, GetScorecardResponse, Scorecard,
    };
    use channel_kpi::proto::google::r#type::Money;

    use super::*;

    #[test]
    fn names_enums_and_64_bit_numbers_are_those_of_proto3_json() {
        let absent = FigureResult::AbsentReason(AbsentReason::NoDealWon.into());
        let card = Scorecard {
            name: "মেঘনা".into(),
            deal_count: Some(Box::new(DealCount {
                figure: Some(Figure { result: Some(absent) }),
                won_amount: Some(Money { currency_code: "BDT".into(), units: 12, nanos: 500_000_000 }),
                ..DealCount::default()
            })),
            ..Scorecard::default()
        };
        let answer = GetScorecardResponse { scorecard: Some(card), ..GetScorecardResponse::default() };
        let json: serde_json::Value =
            serde_json::from_str(&render("GetScorecardResponse", &answer)).expect("it is JSON");
        let expected = serde_json::json!({"scorecard": {"name": "মেঘনা", "dealCount": {
            "figure": {"absentReason": "ABSENT_REASON_NO_DEAL_WON"},
            "wonAmount": {"currencyCode": "BDT", "units": "12", "nanos": 500_000_000},
        }}});
        assert_eq!(json, expected);
    }
}
