//! Deadlines: what the client allows (`grpc-timeout`), and what we allow a unary call.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::Status;

use crate::proto::channelkpi::v1::ErrorReason;
use crate::service::status::{Failure, status};

/// Until when a call may last: the sooner of `grpc-timeout` and `ceiling`, if there is any.
pub(super) fn deadline(headers: &HeaderMap, ceiling: Option<Duration>) -> Result<Option<Instant>, Status> {
    let asked = match headers.get("grpc-timeout") {
        Some(value) => Some(parse(value.as_bytes()).ok_or_else(malformed)?),
        None => None,
    };
    let allowed = asked.into_iter().chain(ceiling).min();
    // So far away that no clock reaches it is no deadline.
    Ok(allowed.and_then(|allowed| Instant::now().checked_add(allowed)))
}

/// One to eight digits and a unit: the grammar of gRPC over HTTP/2.
fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits.iter().fold(0, |count, digit| count * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(count * 3600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

fn malformed() -> Status {
    status(ErrorReason::MalformedRequest, "`grpc-timeout` must be 1 to 8 digits and one of H, M, S, m, u, n")
}

/// How far a call was when its time was up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    Work,
    Answer,
}

pub(super) fn exceeded(phase: Phase) -> Status {
    let (phase, message) = match phase {
        Phase::Work => ("work", "the time allowed passed before there was an answer"),
        Phase::Answer => ("answer", "the time allowed passed before the answer was sent whole"),
    };
    Failure::new(ErrorReason::DeadlineExceeded, message).with("phase", phase).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_by_the_grammar_of_grpc() {
        for (value, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("00000040m", Some(Duration::from_millis(40))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("0n", Some(Duration::ZERO)),
            ("", None),
            ("S", None),
            ("5", None),
            ("5s", None),
            ("-1S", None),
            ("1.5S", None),
            ("100000000S", None),
        ] {
            assert_eq!(parse(value.as_bytes()), expected, "{value:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_sooner_of_both_bounds_holds() {
        let second = Duration::from_secs(1);
        for (asked, ceiling, expected) in [
            (None, None, None),
            (None, Some(second), Some(second)),
            (Some("5S"), None, Some(5 * second)),
            (Some("5S"), Some(second), Some(second)),
            (Some("1m"), Some(second), Some(Duration::from_millis(1))),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(asked.map(|asked| {
                (http::HeaderName::from_static("grpc-timeout"), http::HeaderValue::from_static(asked))
            }));
            let expected = expected.map(|allowed| Instant::now() + allowed);
            assert_eq!(deadline(&headers, ceiling).unwrap(), expected, "{asked:?} under {ceiling:?}");
        }
    }
}
