//! Why a command failed, told so that the reader knows what to do.

use std::fmt::Write;

use channel_kpi::import::{ImportError, SendError};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A command failed.
#[derive(Debug)]
pub enum Failure {
    /// The command was given wrongly, in a way that only showed when it ran.
    Usage(String),
    /// The data directory can't be opened.
    Open(channel_kpi::OpenError),
    /// An address can't be served at.
    Bind(channel_kpi::server::BindError),
    /// Nothing answers there.
    Unreachable { to: String, source: tonic::transport::Error },
    /// The sidecar refused a call, or didn't answer.
    Call(Box<Status>),
    /// The files can't be imported.
    Files(ImportError),
    /// An import stopped in the middle.
    Import { written_count: u64, status: Box<Status> },
    /// The answer can't be written.
    Output { source: std::io::Error },
    /// A file that was named can't be read.
    File { path: String, source: std::io::Error },
    /// The system gives no threads.
    Runtime { source: std::io::Error },
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Call(Box::new(status))
    }
}

impl From<channel_kpi::OpenError> for Failure {
    fn from(error: channel_kpi::OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<channel_kpi::server::BindError> for Failure {
    fn from(error: channel_kpi::server::BindError) -> Self {
        Self::Bind(error)
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        Self::Files(error)
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Files(error) => Self::Files(error),
            SendError::Call { written_count, status } => Self::Import { written_count, status },
        }
    }
}

impl Failure {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ if self.is_broken_pipe() => 0,
            _ => 1,
        }
    }

    /// Whether the reader of stdout went away: it has seen all that it wanted.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output { source } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// The failure in words, of one or more lines.
    pub fn message(&self) -> String {
        match self {
            Self::Usage(problem) => problem.clone(),
            Self::Unreachable { to, source } => format!(
                "no sidecar answers at {to} ({cause})\n  start one with `channel-kpi serve`, say where it is with --to, \
                 or work on its data with --data-dir",
                cause = innermost(source),
            ),
            Self::Open(error) => error.to_string(),
            Self::Bind(error) => error.to_string(),
            Self::Call(status) => status_message(status),
            Self::Files(error) => error.to_string(),
            Self::Import { written_count, status } => format!(
                "after {written_count} records: {}\n  import the same files again when that is mended: what is there \
                 already stays as it is",
                status_message(status)
            ),
            Self::Output { source } => format!("can't write the answer: {source}"),
            Self::File { path, source } => format!("can't read {path}: {source}"),
            Self::Runtime { source } => format!("can't start: {source}"),
        }
    }
}

/// The most particular cause of an error: "connection refused", not "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A status with its reason, the fields that are wrong, and what to do where the server can't know it.
pub fn status_message(status: &Status) -> String {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str());
    let mut message = match status.message() {
        "" => format!("the call failed: {}", status.code().description()),
        sentence => sentence.to_owned(),
    };
    // Writing to a String never fails.
    let _ = match reason {
        Some(reason) => write!(message, " [{reason}]"),
        None => write!(message, " [{:?}]", status.code()),
    };
    for violation in details.bad_request().into_iter().flat_map(|request| &request.field_violations) {
        let told = format!("{}: {}", violation.field, violation.description);
        // The sentence tells the first one itself.
        if !status.message().starts_with(&told) {
            let _ = write!(message, "\n  {told}");
        }
    }
    let advice = match (reason, status.code()) {
        (Some("TENANT_DENIED"), _) => {
            "create the tenant with `channel-kpi tenant create`, or name another one with --tenant"
        }
        (Some("TENANT_NOT_CONFIGURED" | "TENANT_EXISTS"), _) => {
            "configure the tenant with `channel-kpi tenant configure`"
        }
        (Some("SUBJECT_NOT_FOUND"), _) => {
            "list those that there are with `channel-kpi scorecard --by partner|employee|unit`"
        }
        (Some("STRATEGY_NOT_FOUND"), _) => "list those that there are with `channel-kpi strategy`",
        (_, Code::Unimplemented) => "is it a channel-kpi sidecar that answers there, and of this version?",
        _ => return message,
    };
    let _ = write!(message, "\n  {advice}");
    message
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, FieldViolation};

    use super::*;

    #[test]
    fn a_refused_call_names_reason_and_fields() {
        let mut details = ErrorDetails::with_error_info("INVALID_FIELD", "channelkpi", []);
        details.set_bad_request(vec![FieldViolation::new("window.last_days", "is 0, must be 1 to 36500")]);
        let status =
            Status::with_error_details(Code::InvalidArgument, "The request has 1 wrong field.", details);
        assert_eq!(
            status_message(&status),
            "The request has 1 wrong field. [INVALID_FIELD]\n  window.last_days: is 0, must be 1 to 36500"
        );
    }

    #[test]
    fn a_missing_tenant_says_how_to_make_it() {
        let details = ErrorDetails::with_error_info("TENANT_DENIED", "channelkpi", []);
        let status =
            Status::with_error_details(Code::PermissionDenied, "There is no tenant `acme`.", details);
        let message = status_message(&status);
        assert!(
            message.ends_with("`channel-kpi tenant create`, or name another one with --tenant"),
            "{message}"
        );
    }

    #[test]
    fn a_status_without_details_keeps_its_code() {
        let message = status_message(&Status::new(Code::Internal, ""));
        assert_eq!(message, "the call failed: Internal error [Internal]");
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let failure = Failure::Output { source: std::io::ErrorKind::BrokenPipe.into() };
        assert_eq!(failure.exit_code(), 0);
        let failure = Failure::Output { source: std::io::ErrorKind::StorageFull.into() };
        assert_eq!(failure.exit_code(), 1);
    }
}
