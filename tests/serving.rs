//! The stack and the accept loop, over TCP, over Unix sockets and in process.
//!
//! What the stack promises is asked by every way that leads to it. Times are asserted on a paused
//! clock where no socket is needed; over sockets the limits are short and tests wait for events.

mod support;

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use channel_kpi::config::Limits;
use channel_kpi::server::{BindError, Drained, Listen, Server};
use http_body_util::BodyExt;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt;

const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
const SHORT: Duration = Duration::from_millis(50);

async fn channel(running: &Running) -> tonic::transport::Channel {
    tonic::transport::Endpoint::new(format!("http://{}", running.tcp)).unwrap().connect().await.unwrap()
}

// === what every answer carries ===

#[tokio::test]
async fn answers_carry_a_request_id_and_the_version() {
    let running = Running::start(&limits());
    for (way, wire) in running.wires().await {
        let given = wire.call(SAY, &[("x-request-id", "mine-1")], "hi").await;
        assert_eq!((given.status.code(), given.texts()), (Code::Ok, vec![Bytes::from("hi")]), "{way}");
        assert_eq!(given.headers["x-request-id"], "mine-1", "{way}");
        assert_eq!(given.headers["ckpi-server-version"], env!("CARGO_PKG_VERSION"), "{way}");

        let failed = wire.say("panic").await;
        assert!(!failed.headers["x-request-id"].is_empty(), "{way}: a failure has one too");
        let made = wire.call(SAY, &[("x-request-id", "not valid")], "hi").await;
        assert_ne!(made.headers["x-request-id"], "not valid", "{way}");
    }
}

#[tokio::test]
async fn every_failure_has_a_reason_and_hides_the_inside() {
    let running = Running::start(&limits());
    let huge = frame(0, &vec![b'x'; 4 * 1024 * 1024 + 1]);
    for (way, wire) in running.wires().await {
        let hi = || message("hi");
        #[rustfmt::skip]
        let table = [
            ("a panic", SAY, vec![], message("panic"), Code::Internal, "INTERNAL"),
            ("a panic in a stream", TELL, vec![], message("panic"), Code::Internal, "INTERNAL"),
            ("a foreign status", SAY, vec![], message("fail"), Code::Internal, "INTERNAL"),
            ("a foreign status in a stream", TELL, vec![], message("fail"), Code::Internal, "INTERNAL"),
            ("an unknown method", "/test.v1.Echo/Sing", vec![], hi(), Code::Unimplemented, "METHOD_UNKNOWN"),
            ("an unknown service", "/no.Such/Method", vec![], hi(), Code::Unimplemented, "METHOD_UNKNOWN"),
            ("no path", "/", vec![], hi(), Code::Unimplemented, "METHOD_UNKNOWN"),
            ("too large", SAY, vec![], huge.clone(), Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            ("no protobuf", SAY, vec![], frame(0, b"\xff\xff"), Code::InvalidArgument, "MALFORMED_REQUEST"),
            ("a wrong flag", SAY, vec![], frame(9, b""), Code::InvalidArgument, "MALFORMED_REQUEST"),
            ("compressed, not said how", SAY, vec![], frame(1, b""), Code::InvalidArgument, "MALFORMED_REQUEST"),
            ("cut short", SAY, vec![], hi().slice(..6), Code::InvalidArgument, "MALFORMED_REQUEST"),
            ("no message", SAY, vec![], Bytes::new(), Code::InvalidArgument, "MALFORMED_REQUEST"),
            ("compressed", SAY, vec![("grpc-encoding", "br")], hi(), Code::Unimplemented, "ENCODING_UNSUPPORTED"),
            ("a bad timeout", SAY, vec![("grpc-timeout", "soon")], hi(), Code::InvalidArgument, "MALFORMED_REQUEST"),
            ("an empty tenant", SAY, vec![("ckpi-tenant", "")], hi(), Code::InvalidArgument, "INVALID_FIELD"),
            ("two tenants", SAY, vec![("ckpi-tenant", "a"), ("ckpi-tenant", "b")], hi(), Code::InvalidArgument, "INVALID_FIELD"),
            ("health of nobody", HEALTH_CHECK, vec![], frame(0, b"\x0a\x02no"), Code::NotFound, "SYMBOL_UNKNOWN"),
        ];
        for (what, path, headers, body, expected_code, expected_reason) in table {
            let outcome = wire.call_raw(path, &headers, body).await;
            let expected = (expected_code, expected_reason.to_owned());
            assert_eq!(outcome.code_and_reason(), expected, "{what}, {way}: {:?}", outcome.status);
            assert_eq!(outcome.info().domain, "channelkpi");
            assert!(!format!("{:?}", outcome.status).contains(SECRET), "{what}, {way}");
            assert!(!outcome.status.message().is_empty(), "{what}, {way}");
        }
    }
}

#[tokio::test]
async fn failures_tell_what_is_variable_in_metadata() {
    let echo = Echo::new();
    let wire = Wire::InProcess(stack(&echo, &limits()));
    let unknown = wire.call("/test.v1.Echo/Sing", &[], "hi").await;
    assert_eq!(unknown.info().metadata["path"], "/test.v1.Echo/Sing");
    let huge = wire.call_raw(SAY, &[], frame(0, &vec![0; 5 << 20])).await;
    assert_eq!(huge.info().metadata["allowed_bytes"], "4194304");
    let tenant = wire.call(SAY, &[("ckpi-tenant", "")], "hi").await;
    let violations = tenant.status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(
        (violations[0].field.as_str(), violations[0].description.as_str()),
        ("ckpi-tenant", "is empty")
    );
}

#[tokio::test]
async fn the_header_selects_the_tenant() {
    let running = Running::start(&limits());
    for (way, wire) in running.wires().await {
        let none = wire.say("tenant").await;
        assert_eq!(none.texts(), ["default"], "{way}");
        let some = wire.call(SAY, &[("ckpi-tenant", "acme/1")], "tenant").await;
        assert_eq!(some.texts(), ["acme/1"], "{way}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_call_leaves_one_line_without_tenant_or_payload() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let echo = Echo::new();
    let wire = Wire::InProcess(stack(&echo, &limits()));
    for (path, text, expected) in [
        (SAY, "payload", "rpc.method=\"test.v1.Echo/Say\" rpc.status_code=Ok duration_ms="),
        (SAY, "fail", "rpc.method=\"test.v1.Echo/Say\" rpc.status_code=Internal duration_ms="),
        (TELL, "payload", "rpc.method=\"test.v1.Echo/Tell\" rpc.status_code=Ok duration_ms="),
        ("/payload/Payload", "", "rpc.method=\"_OTHER\" rpc.status_code=Unimplemented duration_ms="),
    ] {
        log.0.lock().unwrap().clear();
        wire.call(path, &[("x-request-id", "find-me"), ("ckpi-tenant", "acme")], text).await;
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("rpc.method")).collect();
        assert!(matches!(lines[..], [line] if line.contains(expected)), "{expected:?} isn't in {log}");
        assert!(lines[0].contains("request_id=\"find-me\""), "{log}");
        assert!(!log.contains("acme") && !log.to_lowercase().contains("payload"), "{log}");
    }
}

// === deadlines ===

#[tokio::test(start_paused = true)]
async fn a_call_ends_when_its_time_is_up_and_not_before() {
    let echo = Echo::new();
    let wire = Wire::InProcess(stack(&echo, &limits()));
    let ms = Duration::from_millis;
    for (what, path, timeout, text, expected_after, expected_phase) in [
        ("a unary call by its client", SAY, Some("100m"), "wait", ms(100), "work"),
        ("a unary call by the ceiling", SAY, None, "wait", ms(30_000), "work"),
        ("a unary call whose client allows more", SAY, Some("1H"), "wait", ms(30_000), "work"),
        ("a silent stream by its client", TELL, Some("1H"), "silent", ms(3_600_000), "answer"),
    ] {
        let headers: Vec<_> = timeout.map(|timeout| ("grpc-timeout", timeout)).into_iter().collect();
        let begun_at = Instant::now();
        let outcome = wire.call(path, &headers, text).await;
        let expected = (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned());
        assert_eq!(outcome.code_and_reason(), expected, "{what}");
        assert_eq!(outcome.info().metadata["phase"], expected_phase, "{what}");
        // Tokio's timers tick in milliseconds, upwards.
        let late = begun_at.elapsed().checked_sub(expected_after).expect("not before its time");
        assert!(late <= ms(1), "{what}: {late:?} late");
        assert_eq!(*echo.alive.borrow(), 0, "{what}: the handler has ended");
    }
}

#[tokio::test]
async fn a_stream_that_never_pauses_ends_when_its_time_is_up() {
    let running = Running::start(&limits());
    for (way, wire) in running.wires().await {
        let outcome = wire.call(TELL, &[("grpc-timeout", "50m")], "endless").await;
        assert_eq!(outcome.status.code(), Code::DeadlineExceeded, "{way}");
        assert_eq!(outcome.info().metadata["phase"], "answer", "{way}");
        running.echo.until_alive(0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_deadline_of_its_client_has_none() {
    let echo = Echo::new();
    let wire = Wire::InProcess(stack(&echo, &limits()));
    let mut body = wire.send(TELL, &[], message("silent")).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    let day = Duration::from_secs(86_400);
    assert!(tokio::time::timeout(day, body.frame()).await.is_err(), "it ended within a day");
}

#[tokio::test]
async fn a_stream_whose_client_doesnt_read_ends_when_its_time_is_up() {
    let running = Running::start(&limits());
    let wire = running.over_tcp().await;
    // The connection is served, this stream's window is never opened: its body isn't polled.
    let unread = wire.send(TELL, &[("grpc-timeout", "50m")], message("endless")).await.unwrap();
    running.echo.until_alive(1).await;
    running.echo.until_alive(0).await;
    drop(unread);
    assert_eq!(wire.say("hi").await.status.code(), Code::Ok, "the connection lives on");
}

// === admission ===

#[tokio::test]
async fn too_much_work_is_refused_until_some_of_it_ends() {
    let running = Running::start(&Limits { unary_in_work_per_tenant_max: 1, ..limits() });
    for (way, wire) in running.wires().await {
        running.echo.go.send_replace(false);
        let first = tokio::spawn({
            let wire = wire.clone();
            async move { wire.say("wait").await }
        });
        running.echo.until_alive(1).await;

        let refused = wire.say("hi").await;
        assert_eq!(refused.code_and_reason(), (Code::ResourceExhausted, "OVERLOADED".into()), "{way}");
        assert_eq!(refused.info().metadata["limit"], "unary_in_work_per_tenant_max", "{way}");
        assert_eq!(refused.info().metadata["allowed"], "1", "{way}");
        let retry = refused.status.get_details_retry_info().unwrap().retry_delay;
        assert_eq!(retry, Some(Duration::from_millis(250)), "{way}");
        assert_eq!(refused.status.get_details_quota_failure().unwrap().violations[0].subject, "tenant");

        let other = wire.call(SAY, &[("ckpi-tenant", "other")], "hi").await;
        assert_eq!(other.status.code(), Code::Ok, "{way}: another tenant");
        let health = wire.call_raw(HEALTH_CHECK, &[], frame(0, b"")).await;
        assert_eq!(health.status.code(), Code::Ok, "{way}: health");
        let stream = wire.call(TELL, &[], "hi").await;
        assert_eq!(stream.status.code(), Code::Ok, "{way}: streams have limits of their own");

        running.echo.go.send_replace(true);
        assert_eq!(first.await.unwrap().status.code(), Code::Ok, "{way}");
        running.stack_is_idle().await;
        assert_eq!(wire.say("hi").await.status.code(), Code::Ok, "{way}: the permit came back");
    }
}

#[tokio::test]
async fn a_permit_is_held_to_the_end_of_the_answer() {
    let echo = Echo::new();
    let wire = Wire::InProcess(stack(&echo, &Limits { unary_in_work_max: 1, ..limits() }));
    let unread = wire.send(SAY, &[], message("hi")).await.unwrap();
    let refused = wire.say("hi").await;
    assert_eq!(refused.info().metadata["limit"], "unary_in_work_max");
    drop(unread);
    assert_eq!(wire.say("hi").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_permit_back() {
    let running = Running::start(&Limits { unary_in_work_max: 1, ..limits() });
    for (way, wire) in running.wires().await {
        let leaver = tokio::spawn({
            let wire = wire.clone();
            async move { wire.say("wait").await }
        });
        running.echo.until_alive(1).await;
        leaver.abort();
        running.echo.until_alive(0).await;
        running.stack_is_idle().await;
        assert_eq!(wire.say("hi").await.status.code(), Code::Ok, "{way}");
    }
}

// === peers that misbehave ===

/// What the server sends to `socket` until it closes it.
async fn until_closed(socket: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut sent = Vec::new();
    match socket.read_to_end(&mut sent).await {
        Ok(_) => sent,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => sent,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_peer_that_doesnt_begin_is_cut() {
    let running = Running::start(&Limits { first_bytes_timeout: SHORT, ..limits() });
    for (what, beginning) in
        [("silence", ""), ("half a preface", "PRI * HTTP/2."), ("half a line", "GET / HTTP/1")]
    {
        let mut tcp = TcpStream::connect(running.tcp).await.unwrap();
        tcp.write_all(beginning.as_bytes()).await.unwrap();
        until_closed(&mut tcp).await;
        let mut unix = UnixStream::connect(&running.unix).await.unwrap();
        unix.write_all(beginning.as_bytes()).await.unwrap();
        until_closed(&mut unix).await;
        assert_eq!(running.over_tcp().await.say("hi").await.status.code(), Code::Ok, "after {what}");
    }
}

#[tokio::test]
async fn a_slow_http1_header_is_cut() {
    let running = Running::start(&Limits { first_bytes_timeout: SHORT, ..limits() });
    let mut tcp = TcpStream::connect(running.tcp).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nand-then: ").await.unwrap();
    until_closed(&mut tcp).await;
}

#[tokio::test]
async fn a_peer_that_doesnt_answer_pings_is_cut() {
    let limits = Limits { keepalive_interval: SHORT, keepalive_timeout: SHORT, ..limits() };
    let running = Running::start(&limits);
    let mut tcp = TcpStream::connect(running.tcp).await.unwrap();
    let empty_settings = b"\0\0\0\x04\0\0\0\0\0";
    tcp.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    tcp.write_all(empty_settings).await.unwrap();
    assert!(!until_closed(&mut tcp).await.is_empty(), "it spoke HTTP/2 before");
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_cut() {
    let hour = Duration::from_secs(3600); // pings would find it out too, later
    let limits = Limits { write_stall_timeout: SHORT, keepalive_interval: hour, ..limits() };
    let running = Running::start(&limits);
    let deaf = Arc::new(AtomicBool::new(false));
    let socket = UnixStream::connect(&running.unix).await.unwrap(); // its buffers are small
    let wire = Wire::over(Deafening { socket, deaf: deaf.clone() }).await;
    let mut body = wire.send(TELL, &[], message("endless")).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    deaf.store(true, Ordering::Relaxed);
    running.echo.until_alive(0).await;
    running.stack_is_idle().await;
}

#[tokio::test]
async fn http1_is_told_what_this_port_speaks() {
    let running = Running::start(&limits());
    let mut tcp = TcpStream::connect(running.tcp).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let answer = String::from_utf8(until_closed(&mut tcp).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    assert!(answer.contains("It speaks gRPC"), "{answer}");
}

#[tokio::test]
async fn connections_over_the_limit_wait_their_turn() {
    let running = Running::start(&Limits { connections_max: 1, ..limits() });
    // The listeners share the places: whichever accepts first has it.
    let first = running.over_tcp().await;
    assert_eq!(first.say("hi").await.status.code(), Code::Ok);
    let second = running.over_tcp().await;
    let waiting = tokio::spawn(async move { second.say("hi").await });
    for _ in 0..100 {
        assert_eq!(first.say("hi").await.status.code(), Code::Ok);
    }
    assert!(!waiting.is_finished());
    drop(first);
    assert_eq!(waiting.await.unwrap().status.code(), Code::Ok);
}

// === health and reflection ===

#[tokio::test]
async fn health_knows_every_service_described() {
    let running = Running::start(&limits());
    let mut health = HealthClient::new(channel(&running).await);
    for service in ["", "test.v1.Echo", "grpc.health.v1.Health"] {
        let request = HealthCheckRequest { service: service.into() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let request = HealthCheckRequest { service: "no.Such".into() };
    let mut watch = health.watch(request).await.unwrap().into_inner();
    let told = watch.message().await.unwrap().unwrap();
    assert_eq!(told.status(), ServingStatus::ServiceUnknown, "a watch of an unknown service goes on");
}

#[tokio::test]
async fn reflection_lists_the_services_in_both_versions() {
    let running = Running::start(&limits());
    macro_rules! listed {
        ($version:ident) => {{
            use tonic_reflection::pb::$version::ServerReflectionRequest;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
            let request = ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::ListServices(String::new())),
            };
            let mut client = ServerReflectionClient::new(channel(&running).await);
            let asked = tokio_stream::once(request);
            let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
            match answers.message().await.unwrap().unwrap().message_response {
                Some(MessageResponse::ListServicesResponse(list)) => {
                    list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            }
        }};
    }
    for listed in [listed!(v1), listed!(v1alpha)] {
        for service in ["test.v1.Echo", "grpc.health.v1.Health"] {
            assert!(listed.iter().any(|name| name == service), "{service} isn't in {listed:?}");
        }
    }
}

// === the stop ===

async fn watch_health(running: &Running) -> tonic::Streaming<HealthCheckResponse> {
    let request = HealthCheckRequest { service: "test.v1.Echo".into() };
    let mut client = HealthClient::new(channel(running).await);
    let mut watch = client.watch(request).await.unwrap().into_inner();
    let told = watch.message().await.unwrap().unwrap();
    assert_eq!(told.status(), ServingStatus::Serving);
    watch
}

#[tokio::test]
async fn a_stopping_server_reports_it_first_and_still_serves() {
    let running = Running::start(&Limits { drain_delay: Duration::from_secs(600), ..limits() });
    let wires = running.wires().await;
    let mut watch = watch_health(&running).await;
    running.stop.cancel();
    let told = watch.message().await.unwrap().unwrap();
    assert_eq!(told.status(), ServingStatus::NotServing);
    for (way, wire) in wires {
        assert_eq!(wire.say("hi").await.status.code(), Code::Ok, "{way}");
    }
    assert_eq!(running.over_tcp().await.say("hi").await.status.code(), Code::Ok, "a new connection");

    running.cut.cancel();
    running.run.await.unwrap();
}

#[tokio::test]
async fn a_drain_lets_calls_end_and_takes_no_new_ones() {
    let running = Running::start(&limits());
    let wires = running.wires().await;
    let mut watch = watch_health(&running).await;
    let in_work = wires.clone().map(|(way, wire)| (way, tokio::spawn(async move { wire.say("wait").await })));
    running.echo.until_alive(3).await;

    running.stop.cancel();
    let told = watch.message().await.unwrap().unwrap();
    assert_eq!(told.status(), ServingStatus::NotServing);
    assert!(watch.message().await.unwrap().is_none(), "the watch ends by itself");
    let refused = Wire::InProcess(running.stack.clone()).say("hi").await;
    assert_eq!(refused.code_and_reason(), (Code::Unavailable, "SERVER_DRAINING".into()));
    assert_eq!(refused.status.metadata().get("grpc-retry-pushback-ms").unwrap(), "1000");
    refuses_connections(&running).await;
    assert!(!running.run.is_finished(), "calls are in work");

    running.echo.go.send_replace(true);
    for (way, call) in in_work {
        assert_eq!(call.await.unwrap().status.code(), Code::Ok, "{way}");
    }
    assert_eq!(running.run.await.unwrap(), Drained { cut_count: 0 });
}

/// Waits until nobody listens: the listeners are dropped by tasks of their own.
async fn refuses_connections(running: &Running) {
    while TcpStream::connect(running.tcp).await.is_ok() {
        tokio::task::yield_now().await;
    }
    while UnixStream::connect(&running.unix).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_outlasts_the_grace_is_cut() {
    let running = Running::start(&Limits { drain_grace: SHORT, ..limits() });
    let wire = running.over_tcp().await;
    let deaf = Arc::new(AtomicBool::new(false));
    let socket = TcpStream::connect(running.tcp).await.unwrap();
    let unread = Wire::over(Deafening { socket, deaf: deaf.clone() }).await;

    let _unread_stream = unread.send(TELL, &[], message("endless")).await.unwrap();
    deaf.store(true, Ordering::Relaxed);
    let mut silent = wire.send(TELL, &[], message("silent")).await.unwrap().into_body();
    assert!(silent.frame().await.unwrap().is_ok(), "its first item");
    let waiting = tokio::spawn({
        let wire = wire.clone();
        async move { wire.send(SAY, &[], message("wait")).await.map(drop) }
    });
    running.echo.until_alive(3).await;

    running.stop.cancel();
    assert_eq!(running.run.await.unwrap(), Drained { cut_count: 3 });
    assert_eq!(*running.echo.alive.borrow(), 0, "no handler outlives the server");
    assert!(silent.frame().await.is_none_or(|frame| frame.is_err()), "the stream broke");
    assert!(waiting.await.unwrap().is_err(), "the call broke");
}

#[tokio::test]
async fn a_second_signal_ends_the_drain_at_once() {
    let hours = Duration::from_secs(3600);
    let running = Running::start(&Limits { drain_delay: hours, drain_grace: hours, ..limits() });
    let wire = running.over_tcp().await;
    let waiting = tokio::spawn(async move { wire.send(SAY, &[], message("wait")).await.map(drop) });
    running.echo.until_alive(1).await;
    running.stop.cancel();
    running.cut.cancel();
    assert_eq!(running.run.await.unwrap(), Drained { cut_count: 1 });
    assert!(waiting.await.unwrap().is_err());
}

// === listeners ===

fn bind(listen: &[Listen]) -> Result<Server, BindError> {
    Server::bind(listen, stack(&Echo::new(), &limits()), &limits())
}

#[tokio::test]
async fn only_this_machine_can_call() {
    for (address, expected_ok) in [
        ("127.0.0.1:0", true),
        ("127.8.8.8:0", true),
        ("0.0.0.0:0", false),
        ("[::]:0", false),
        ("192.0.2.1:7443", false),
        ("[::ffff:192.0.2.1]:7443", false),
    ] {
        let bound = bind(&[Listen::Tcp(address.parse().unwrap())]);
        assert_eq!(bound.is_ok(), expected_ok, "{address}");
        if let Err(error) = bound {
            assert!(matches!(error, BindError::NotLoopback(_)), "{address}: {error}");
            assert!(error.to_string().contains("listen on a loopback address such as 127.0.0.1:"), "{error}");
        }
    }
    assert!(matches!(bind(&[]), Err(BindError::Nothing)));
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = bind(&[Listen::Tcp(([127, 0, 0, 1], 0).into())]).unwrap();
    let taken = &first.local_addrs()[0];
    let error = bind(std::slice::from_ref(taken)).map(drop).unwrap_err().to_string();
    assert!(error.starts_with(&format!("can't listen on {taken}: ")), "{error}");
}

#[tokio::test]
async fn a_unix_socket_is_private_and_goes_with_its_server() {
    let running = Running::start(&limits());
    let found = std::fs::symlink_metadata(&running.unix).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);

    let live = bind(&[Listen::Unix(running.unix.clone())]).map(drop).unwrap_err();
    assert!(matches!(live, BindError::Live(_)), "{live}");
    assert_eq!(running.over_unix().await.say("hi").await.status.code(), Code::Ok, "it wasn't disturbed");

    running.stop.cancel();
    running.run.await.unwrap();
    assert!(!running.unix.exists());
}

#[tokio::test]
async fn a_dead_process_s_socket_is_replaced_and_other_files_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let dead = dir.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap()); // std leaves the file, as kill -9 does
    assert!(dead.exists());
    drop(bind(&[Listen::Unix(dead.clone())]).unwrap());
    assert!(!dead.exists(), "a server that is dropped removes its socket");

    let file = dir.path().join("notes.txt");
    std::fs::write(&file, "keep me").unwrap();
    let error = bind(&[Listen::Unix(file.clone())]).map(drop).unwrap_err();
    assert!(matches!(error, BindError::NotASocket(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "keep me");

    let nowhere = Listen::Unix(dir.path().join("no/such/dir/kpi.sock"));
    let error = bind(&[nowhere]).map(drop).unwrap_err();
    assert!(matches!(error, BindError::Io { .. }), "{error}");
}
