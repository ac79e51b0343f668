//! What goes wrong inside, as the caller is told: one function for each of our error types.
//!
//! Nothing from inside is in a text: the log has it, under the request id.

use std::time::Duration;

use tonic::Status;

use super::parse::{Refusal, Violation, Violations};
use super::status::{Failure, FieldViolation};
use super::token::{PageTokenError, ResumeTokenError, RevisionTokenError};
use crate::book::Book;
use crate::domain::calendar::Date;
use crate::domain::ids::{SourceId, StrategyId, TenantId};
use crate::domain::record::{RecordKey, Settings};
use crate::domain::subject::Subject;
use crate::journal::WriteError;
use crate::proto::channelkpi::v1::ErrorReason;
use crate::tenant::{AppendError, FreshnessError, RegistryError, StoppedBy, TakenOver};

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A message that breaks rules: all that was kept of it, and how much there is.
pub fn violations(violations: Violations) -> Status {
    let kept = violations.kept().iter();
    let fields = kept.map(|Violation { field, description }| FieldViolation::new(field, description));
    Failure::new(ErrorReason::InvalidField, violations.to_string())
        .with("violation_count", violations.count())
        .violations(fields)
        .into()
}

pub fn refusal(refusal: Refusal) -> Status {
    let message = refusal.to_string();
    match refusal {
        Refusal::Violations(found) => violations(found),
        Refusal::TooManyItems { field, given, allowed } => {
            let violation =
                FieldViolation::new(field, format!("has {given} items, must have at most {allowed}"));
            Failure::new(ErrorReason::TooManyItems, message)
                .with("given", given)
                .with("allowed", allowed)
                .violations([violation])
                .into()
        }
    }
}

/// A window that reaches beyond the dates that there are.
pub fn window(as_of: Date) -> Status {
    let reason = format!("reaches before {} or after {} on {as_of}", Date::FIRST, Date::LAST);
    violations(Violations::one("window", reason))
}

/// A series with more buckets than one answer holds.
pub fn too_many_buckets(given: usize, allowed: usize) -> Status {
    let todo = "ask for longer buckets or a shorter window";
    let violation =
        FieldViolation::new("bucket", format!("gives {given} buckets, must give at most {allowed}"));
    Failure::new(
        ErrorReason::TooManyItems,
        format!("the window has {given} buckets, at most {allowed} are answered: {todo}"),
    )
    .with("given", given)
    .with("allowed", allowed)
    .violations([violation])
    .into()
}

/// A movement that would begin after its end.
pub fn since(since: Date, as_of: Date) -> Status {
    let reason = format!("is {since}, must not be later than as_of, which is {as_of}");
    violations(Violations::one("since", reason))
}

/// The tenant's settings, without which nothing can be told.
pub fn configured<'a>(id: &TenantId, book: &'a Book) -> Result<&'a Settings, Status> {
    book.settings().ok_or_else(|| {
        let message = format!("tenant {id:?} has no settings: call AdminService.ConfigureTenant first");
        Failure::new(ErrorReason::TenantNotConfigured, message)
            .with("tenant_id", id)
            .precondition("TENANT_SETTINGS", id.as_str(), "the tenant has no settings")
            .into()
    })
}

pub fn no_subject(subject: &Subject) -> Status {
    let (kind, id) = match subject {
        Subject::Tenant => ("tenant", ""),
        Subject::Partner { partner, .. } => ("partner", partner.as_str()),
        Subject::Employee(employee) => ("employee", employee.as_str()),
        Subject::Unit(unit) => ("unit", unit.as_str()),
    };
    let message = format!("no {kind} {id:?} was sent, and no record of this tenant names one");
    Failure::new(ErrorReason::SubjectNotFound, message.as_str())
        .with("kind", kind)
        .with("id", id)
        .resource(kind, id, &message)
        .into()
}

pub fn no_record(key: &RecordKey) -> Status {
    let (kind, id) = match key {
        RecordKey::Partner(id) => ("partner", id.to_string()),
        RecordKey::Unit(id) => ("org_unit", id.to_string()),
        RecordKey::Employee(id) => ("employee", id.to_string()),
        RecordKey::Lead(id) => ("lead", id.to_string()),
        RecordKey::Deal(id) => ("deal", id.to_string()),
        RecordKey::Channel(id) => ("marketing_channel", id.to_string()),
        RecordKey::Spend(id) => ("marketing_spend", id.to_string()),
        RecordKey::Target(id) => ("target", id.to_string()),
        RecordKey::Rate(key) => {
            ("exchange_rate", format!("{}/{}/{}", key.from.code(), key.to.code(), key.on))
        }
        RecordKey::Strategy(id) => ("strategy", id.to_string()),
        RecordKey::Settings => ("tenant_settings", String::new()),
    };
    let message = format!("no version of {kind} {id:?} was ever written");
    Failure::new(ErrorReason::RecordNotFound, message.as_str())
        .with("kind", kind)
        .with("id", &id)
        .resource(kind, &id, &message)
        .into()
}

/// A strategy that was never written or is deleted.
pub fn no_strategy(id: &StrategyId) -> Status {
    const KIND: &str = "strategy";
    let message = format!("there is no strategy {id:?}: it was never written, or it is deleted");
    Failure::new(ErrorReason::StrategyNotFound, message.as_str())
        .with("kind", KIND)
        .with("id", id)
        .resource(KIND, id.as_str(), &message)
        .into()
}

/// Days after a strategy's start that reach beyond the dates that there are.
pub fn days_after(start_on: Date) -> Status {
    let reason = format!("reaches after {} from {start_on} on, when the strategy began", Date::LAST);
    violations(Violations::one("days", reason))
}

pub fn registry(id: &TenantId, error: RegistryError) -> Status {
    match error {
        RegistryError::Unknown => {
            let message = format!("there is no tenant {id:?}: create it with AdminService.CreateTenant");
            Failure::new(ErrorReason::TenantDenied, message).with("tenant_id", id).into()
        }
        RegistryError::ExistsOtherwise => {
            let message = format!(
                "tenant {id:?} exists with other settings: change them with AdminService.ConfigureTenant"
            );
            Failure::new(ErrorReason::TenantExists, message).with("tenant_id", id).into()
        }
        RegistryError::Loading => {
            Failure::new(ErrorReason::TenantLoading, "the tenant's records are being loaded: try again soon")
                .retry_after(RETRY_AFTER)
                .into()
        }
        RegistryError::Stopped(error) => stopped(error),
        RegistryError::Journal(error) => stopped(error.into()),
        RegistryError::Append(error) => append(error),
    }
}

pub fn append(error: AppendError) -> Status {
    match error {
        AppendError::Stopped(error) => stopped(error),
        AppendError::Journal(WriteError::TooLarge { bytes, max }) => {
            let message = format!(
                "the records take {bytes} bytes in the journal, it takes at most {max}: send them in smaller parts"
            );
            Failure::new(ErrorReason::MessageTooLarge, message).with("allowed_bytes", max).into()
        }
        AppendError::Journal(WriteError::Broken(reason)) => {
            tracing::error!(reason, "the journal is broken");
            let message = "the journal is broken and takes no writes until the server is started again";
            Failure::new(ErrorReason::StorageReadOnly, message).into()
        }
        AppendError::Journal(WriteError::Closed) => stopped(StoppedBy::Closed),
        AppendError::TakenOver(TakenOver(source)) => taken_over(&source),
        AppendError::Journal(WriteError::Refused(_) | WriteError::Unknown(_)) | AppendError::InDoubt => {
            tracing::warn!(%error, "the journal can't take a write");
            let message =
                "the journal can't take the write now: send it again, a repeated write changes nothing";
            Failure::new(ErrorReason::JournalUnavailable, message).retry_after(RETRY_AFTER).into()
        }
    }
}

/// Another feed of the same source was opened.
pub fn taken_over(source: &SourceId) -> Status {
    let message = format!(
        "another feed of source {source:?} was opened: this one writes nothing more, leave it to that"
    );
    Failure::new(ErrorReason::SourceTakenOver, message).with("source_id", source).into()
}

/// A record of a feed that doesn't carry the number after the one before it.
pub fn sequence_gap(expected: i64, got: i64) -> Status {
    let violation = FieldViolation::new("ingest_record.seq", format!("is {got}, must be {expected}"));
    let message = format!(
        "`ingest_record.seq` is {got}, must be {expected}: records count 1, 2, 3 on each stream; open another one"
    );
    Failure::new(ErrorReason::SequenceGap, message)
        .with("expected", expected)
        .with("got", got)
        .violations([violation])
        .into()
}

/// A feed that sent more than its window allows.
pub fn in_flight_exceeded(limit: &'static str, allowed: u64) -> Status {
    let message =
        format!("more than {allowed} are unacknowledged, which is the most ({limit}): wait for acks");
    Failure::new(ErrorReason::InFlightExceeded, message.as_str())
        .with("limit", limit)
        .with("allowed", allowed)
        .quota("feed", &message)
        .into()
}

pub fn freshness(error: FreshnessError) -> Status {
    match error {
        FreshnessError::NotYet { waited, .. } => {
            let waited_ms = waited.as_millis();
            let message = format!("the revision asked for was not applied here within {waited_ms} ms");
            Failure::new(ErrorReason::RevisionNotYetApplied, message)
                .with("waited_ms", waited_ms)
                .retry_after(RETRY_AFTER)
                .into()
        }
        FreshnessError::Stopped(error) => stopped(error),
        FreshnessError::Journal(error) => stopped(error.into()),
    }
}

pub fn stopped(error: StoppedBy) -> Status {
    match error {
        // As somebody wanted it.
        StoppedBy::Deleted | StoppedBy::Closed => tracing::debug!(%error, "a call can't be served"),
        _ => tracing::warn!(%error, "a call can't be served"),
    }
    let failure = match error {
        StoppedBy::Deleted => Failure::new(ErrorReason::TenantDenied, "the tenant was deleted"),
        StoppedBy::Closed => Failure::new(ErrorReason::ServerDraining, "the server is stopping: try again")
            .retry_after(RETRY_AFTER),
        StoppedBy::Damaged(_) => Failure::new(
            ErrorReason::StorageCorrupt,
            "what is stored of this tenant is damaged: the server's log names the place; restore a backup",
        ),
        StoppedBy::Unreadable(_) => {
            Failure::new(ErrorReason::JournalUnavailable, "the journal can't be read now: try again")
                .retry_after(RETRY_AFTER)
        }
        StoppedBy::Defect => Failure::new(ErrorReason::Internal, "an error inside the server"),
    };
    failure.into()
}

pub fn revision_token(error: RevisionTokenError) -> Status {
    let reason = match error {
        RevisionTokenError::Invalid => ErrorReason::RevisionTokenInvalid,
        RevisionTokenError::OtherStore => return other_store(&error.to_string()),
        RevisionTokenError::OtherTenant => ErrorReason::RevisionTokenMismatch,
    };
    Failure::new(reason, error.to_string()).into()
}

pub fn page_token(error: PageTokenError) -> Status {
    let reason = match error {
        PageTokenError::Invalid => ErrorReason::PageTokenInvalid,
        PageTokenError::OtherStore => return other_store(&error.to_string()),
        PageTokenError::OtherTenant | PageTokenError::OtherArguments => ErrorReason::PageTokenMismatch,
    };
    Failure::new(reason, error.to_string()).into()
}

pub fn resume_token(error: ResumeTokenError) -> Status {
    let reason = match error {
        ResumeTokenError::Invalid => ErrorReason::ResumeTokenInvalid,
        ResumeTokenError::OtherStore => return other_store(&error.to_string()),
        ResumeTokenError::OtherTenant | ResumeTokenError::OtherArguments => ErrorReason::ResumeTokenMismatch,
    };
    Failure::new(reason, error.to_string()).into()
}

/// As many different boards of a tenant are watched as may be.
pub fn too_many_boards(allowed: u32) -> Status {
    const LIMIT: &str = "watched_boards_per_tenant_max";
    let message = format!(
        "{allowed} different boards of this tenant are watched, which is the most ({LIMIT}): watch one of those, or try again later"
    );
    Failure::new(ErrorReason::Overloaded, message.as_str())
        .with("limit", LIMIT)
        .with("allowed", allowed)
        .quota("tenant", &message)
        .retry_after(RETRY_AFTER)
        .into()
}

/// A watcher that left what changed unread for too long.
pub fn watcher_too_slow(unread_for: Duration) -> Status {
    let unread_ms = unread_for.as_millis();
    let message = format!(
        "what changed was left unread for {unread_ms} ms: watch again with the token of the last message"
    );
    Failure::new(ErrorReason::WatcherTooSlow, message.as_str())
        .with("unread_ms", unread_ms)
        .quota("watch", &message)
        .retry_after(RETRY_AFTER)
        .into()
}

fn other_store(message: &str) -> Status {
    Failure::new(ErrorReason::StoreMismatch, message)
        .precondition("STORE", "token", "the token was given out by another store")
        .into()
}
