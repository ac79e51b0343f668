//! Statuses that we didn't make, told in our terms.
//!
//! Our services fail with statuses of `service::status`, which carry `ErrorInfo` and pass unchanged.
//! What lacks it comes from tonic (decoding, size, routing), from its reflection service, or is a
//! defect of ours. The table is closed: what it doesn't name is a defect, answered as INTERNAL with
//! nothing from inside in the text; the log has the original beside the request id.

use http::HeaderMap;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::proto::channelkpi::v1::ErrorReason;
use crate::service::status::{Failure, status};

/// How tonic and prost begin the messages of what they can't decode. tests/serving.rs sees each of
/// them come from the wire, so a release that words them otherwise is noticed.
const UNDECODABLE: [&str; 4] = [
    "failed to decode Protobuf message",
    "protocol error: received message with",
    "Unexpected EOF decoding stream.",
    "Missing request message.",
];

pub(super) fn internal() -> Status {
    status(
        ErrorReason::Internal,
        "the server failed: the x-request-id of this answer finds the cause in its log",
    )
}

/// Makes the status in `headers` (or trailers) ours, if there is one, and returns its code.
pub(super) fn adopt(headers: &mut HeaderMap, message_in_bytes_max: u32) -> Option<Code> {
    let code = Code::from_bytes(headers.get(Status::GRPC_STATUS)?.as_bytes());
    if code == Code::Ok {
        return Some(code);
    }
    let foreign = Status::from_header_map(headers).expect("it has a grpc-status");
    let Some(ours) = in_our_terms(&foreign, message_in_bytes_max) else { return Some(code) };
    for name in [Status::GRPC_STATUS, Status::GRPC_MESSAGE, Status::GRPC_STATUS_DETAILS] {
        headers.remove(name);
    }
    ours.add_header(headers).expect("our own texts are encoded for headers");
    Some(ours.code())
}

/// `foreign` as one of our reasons; None if it is ours already.
pub(super) fn in_our_terms(foreign: &Status, message_in_bytes_max: u32) -> Option<Status> {
    let message = foreign.message();
    if foreign.get_details_error_info().is_some() {
        return None;
    }
    let undecodable = || UNDECODABLE.iter().any(|beginning| message.starts_with(beginning));
    match foreign.code() {
        // The caller is gone: nobody reads it.
        Code::Cancelled => None,
        Code::OutOfRange => Some(
            Failure::new(
                ErrorReason::MessageTooLarge,
                format!("the request message is larger than {message_in_bytes_max} bytes: send it in smaller parts"),
            )
            .with("allowed_bytes", message_in_bytes_max)
            .into(),
        ),
        Code::Unimplemented => Some(status(ErrorReason::EncodingUnsupported, message)),
        Code::NotFound => Some(status(ErrorReason::SymbolUnknown, message)),
        Code::InvalidArgument => Some(status(ErrorReason::MalformedRequest, message)),
        Code::Internal if undecodable() => Some(status(ErrorReason::MalformedRequest, message)),
        _ => {
            tracing::error!(code = ?foreign.code(), message, "a call failed in a way that no table names");
            Some(internal())
        }
    }
}
