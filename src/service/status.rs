//! Errors in one table: every `tonic::Status` that leaves this process is made here.
//!
//! Invariants:
//! 1. A status carries one `google.rpc.ErrorInfo` with the domain `channelkpi` and a reason of
//!    [`ErrorReason`]; its code follows from the reason ([`code`]) and never differs from it.
//! 2. A status fits into the 8 KiB of trailers that every gRPC client accepts: the message and the
//!    list of violations are cut, `violation_count` still counts all.
//!
//! The reasons and their metadata keys are documented in `proto/channelkpi/v1/error_reason.proto`.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub use tonic_types::FieldViolation;

use crate::proto::channelkpi::v1::ErrorReason;

/// The `domain` of every `ErrorInfo`.
pub const DOMAIN: &str = "channelkpi";
/// The most field violations that one status lists.
pub const VIOLATIONS_MAX: usize = 50;

const MESSAGE_BYTES_MAX: usize = 1024;
// Base64 makes 4 KiB of this; the message may be percent-encoded to three times its length.
const VIOLATIONS_BYTES_MAX: usize = 3 * 1024;

/// The one gRPC code of each reason.
pub fn code(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::InvalidField
        | ErrorReason::TooManyItems
        | ErrorReason::PageTokenInvalid
        | ErrorReason::PageTokenMismatch
        | ErrorReason::RevisionTokenInvalid
        | ErrorReason::RevisionTokenMismatch
        | ErrorReason::ResumeTokenInvalid
        | ErrorReason::ResumeTokenMismatch
        | ErrorReason::SequenceGap
        | ErrorReason::MalformedRequest => Code::InvalidArgument,
        ErrorReason::TenantDenied => Code::PermissionDenied,
        ErrorReason::TenantNotConfigured | ErrorReason::StoreMismatch => Code::FailedPrecondition,
        ErrorReason::TenantExists => Code::AlreadyExists,
        ErrorReason::SubjectNotFound
        | ErrorReason::RecordNotFound
        | ErrorReason::SymbolUnknown
        | ErrorReason::StrategyNotFound => Code::NotFound,
        ErrorReason::RevisionNotYetApplied
        | ErrorReason::JournalUnavailable
        | ErrorReason::StorageReadOnly
        | ErrorReason::ServerDraining
        | ErrorReason::TenantLoading => Code::Unavailable,
        ErrorReason::StorageCorrupt => Code::DataLoss,
        ErrorReason::Overloaded
        | ErrorReason::MessageTooLarge
        | ErrorReason::InFlightExceeded
        | ErrorReason::WatcherTooSlow => Code::ResourceExhausted,
        ErrorReason::SourceTakenOver => Code::Aborted,
        ErrorReason::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorReason::MethodUnknown | ErrorReason::EncodingUnsupported => Code::Unimplemented,
        ErrorReason::Unspecified | ErrorReason::Internal => Code::Internal,
    }
}

/// The name that travels as `ErrorInfo.reason`.
pub fn reason_name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").expect("buf lint gives every value of the enum this prefix")
}

/// A failure with no more to say than its reason and one sentence: what, where, what to do.
pub fn status(reason: ErrorReason, message: impl Into<String>) -> Status {
    Failure::new(reason, message).into()
}

/// INVALID_FIELD with all violations found; the message tells the first.
pub fn invalid_fields(violations: Vec<FieldViolation>) -> Status {
    let message = match violations.as_slice() {
        [] => "the request is invalid".to_owned(),
        [only] => format!("`{}` {}", only.field, only.description),
        [first, others @ ..] => {
            format!("`{}` {}; {} more violations follow", first.field, first.description, others.len())
        }
    };
    Failure::new(ErrorReason::InvalidField, message)
        .with("violation_count", violations.len())
        .violations(violations)
        .into()
}

/// A status in the making: reason and sentence, then the metadata and details that the reason has.
#[derive(Debug)]
pub struct Failure {
    reason: ErrorReason,
    message: String,
    metadata: HashMap<String, String>,
    details: ErrorDetails,
    retry_after: Option<Duration>,
}

// === impl Failure ===

impl Failure {
    pub fn new(reason: ErrorReason, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        Self { reason, message, metadata: HashMap::new(), details: ErrorDetails::new(), retry_after: None }
    }

    /// One metadata entry: whatever is variable in the sentence stands here too.
    pub fn with(mut self, key: &'static str, value: impl Display) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// `BadRequest`: which fields are wrong, by their full paths, as many as fit.
    pub fn violations(mut self, violations: impl IntoIterator<Item = FieldViolation>) -> Self {
        let mut room_bytes = VIOLATIONS_BYTES_MAX;
        for violation in violations.into_iter().take(VIOLATIONS_MAX) {
            let size_bytes = violation.field.len() + violation.description.len();
            if size_bytes > room_bytes && self.details.has_bad_request_violations() {
                break;
            }
            room_bytes = room_bytes.saturating_sub(size_bytes);
            self.details.add_bad_request_violation(violation.field, violation.description);
        }
        self
    }

    /// `RetryInfo`, and for UNAVAILABLE the trailer by which gRPC's own retries abide.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.details.set_retry_info(Some(delay));
        self.retry_after = Some(delay);
        self
    }

    /// `ResourceInfo`: what kind of thing is missing, and its id.
    pub fn resource(mut self, kind: &str, id: &str, description: &str) -> Self {
        self.details.set_resource_info(kind, id, "", description);
        self
    }

    /// `PreconditionFailure`: which condition doesn't hold for which subject.
    pub fn precondition(mut self, kind: &str, subject: &str, description: &str) -> Self {
        self.details.add_precondition_failure_violation(kind, subject, description);
        self
    }

    /// `QuotaFailure`: whose quota is used up.
    pub fn quota(mut self, subject: &str, description: &str) -> Self {
        self.details.add_quota_failure_violation(subject, description);
        self
    }
}

impl From<Failure> for Status {
    fn from(mut failure: Failure) -> Self {
        failure.details.set_error_info(reason_name(failure.reason), DOMAIN, failure.metadata);
        let code = code(failure.reason);
        let mut status = Status::with_error_details(code, failure.message, failure.details);
        if let (Code::Unavailable, Some(delay)) = (code, failure.retry_after) {
            status.metadata_mut().insert("grpc-retry-pushback-ms", (delay.as_millis() as u64).into());
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_brings_its_code_domain_and_metadata() {
        let status: Status = Failure::new(ErrorReason::ServerDraining, "the server is stopping")
            .with("waited_ms", 7)
            .retry_after(Duration::from_millis(1500))
            .into();
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "the server is stopping"));
        let info = status.get_details_error_info().expect("every status has ErrorInfo");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("SERVER_DRAINING", "channelkpi"));
        assert_eq!(info.metadata["waited_ms"], "7");
        let retry = status.get_details_retry_info().expect("it was asked for");
        assert_eq!(retry.retry_delay, Some(Duration::from_millis(1500)));
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").expect("UNAVAILABLE"), "1500");
    }

    #[test]
    fn only_unavailable_pushes_retries_back() {
        let status: Status =
            Failure::new(ErrorReason::Overloaded, "busy").retry_after(Duration::from_secs(1)).into();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.get_details_retry_info().is_some());
        assert!(status.metadata().is_empty());
    }

    #[test]
    fn each_kind_of_detail_comes_through() {
        let status: Status = Failure::new(ErrorReason::RecordNotFound, "deal 7 was never written")
            .resource("deal", "7", "no version of it exists")
            .precondition("SETTINGS", "acme", "the tenant has no settings")
            .quota("acme", "64 calls are in work")
            .into();
        let details = status.get_error_details();
        let resource = details.resource_info().expect("it was set");
        assert_eq!((resource.resource_type.as_str(), resource.resource_name.as_str()), ("deal", "7"));
        assert_eq!(details.precondition_failure().expect("it was set").violations[0].subject, "acme");
        assert_eq!(details.quota_failure().expect("it was set").violations[0].subject, "acme");
    }

    #[test]
    fn violations_are_counted_in_full_and_listed_as_far_as_they_fit() {
        for (count, description_bytes, expected_listed) in
            [(1, 10, 1), (50, 10, 50), (51, 10, 50), (1, 5000, 1), (50, 590, 5)]
        {
            let violation = FieldViolation::new("deal.label", "x".repeat(description_bytes));
            let status = invalid_fields(vec![violation; count]);
            let info = status.get_details_error_info().expect("every status has ErrorInfo");
            assert_eq!(info.metadata["violation_count"], count.to_string());
            let listed = status.get_details_bad_request().expect("there are violations").field_violations;
            assert_eq!(listed.len(), expected_listed, "{count} violations of {description_bytes} bytes");
            assert!(status.message().len() <= MESSAGE_BYTES_MAX);
        }
    }

    #[test]
    fn the_message_names_the_first_violation() {
        let of = |count| vec![FieldViolation::new("records[3].deal.amount", "must be at least 0"); count];
        assert_eq!(invalid_fields(of(1)).message(), "`records[3].deal.amount` must be at least 0");
        assert_eq!(
            invalid_fields(of(3)).message(),
            "`records[3].deal.amount` must be at least 0; 2 more violations follow"
        );
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        let cut = status(ErrorReason::Internal, "ক".repeat(600));
        assert_eq!(cut.message(), "ক".repeat(341), "1,023 bytes: the next character begins below the limit");
    }
}
