//! A service with every bad habit, and a client that does nothing of its own accord.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use channel_kpi::config::Limits;
use channel_kpi::domain::ids::TenantId;
use channel_kpi::server::{Drained, Listen, Server, Stack};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tonic_types::{ErrorInfo, StatusExt};
use tower::Service;

pub const SAY: &str = "/test.v1.Echo/Say";
pub const TELL: &str = "/test.v1.Echo/Tell";

/// Never leaves the server's inside.
pub const SECRET: &str = "the password is swordfish";

/// `Say` (unary) and `Tell` (server stream) do what the text of their request says.
#[derive(Clone)]
pub struct Echo {
    /// Handlers and streams that haven't been dropped.
    pub alive: watch::Sender<usize>,
    /// What "wait" waits for.
    pub go: watch::Sender<bool>,
}

struct Alive(watch::Sender<usize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive -= 1);
    }
}

impl Echo {
    pub fn new() -> Self {
        Self { alive: watch::Sender::new(0), go: watch::Sender::new(false) }
    }

    pub async fn until_alive(&self, count: usize) {
        self.alive.subscribe().wait_for(|alive| *alive == count).await.unwrap();
    }

    /// The service as a proto compiler would describe it.
    pub fn descriptor_set() -> Vec<u8> {
        let method = |name: &str, server_streaming| MethodDescriptorProto {
            name: Some(name.into()),
            input_type: Some(".google.protobuf.BytesValue".into()),
            output_type: Some(".google.protobuf.BytesValue".into()),
            server_streaming: Some(server_streaming),
            ..Default::default()
        };
        let service = ServiceDescriptorProto {
            name: Some("Echo".into()),
            method: vec![method("Say", false), method("Tell", true)],
            ..Default::default()
        };
        let file = FileDescriptorProto {
            name: Some("test/v1/echo.proto".into()),
            package: Some("test.v1".into()),
            service: vec![service],
            ..Default::default()
        };
        FileDescriptorSet { file: vec![file] }.encode_to_vec()
    }

    fn alive(&self) -> Alive {
        self.alive.send_modify(|alive| *alive += 1);
        Alive(self.alive.clone())
    }

    async fn say(self, request: tonic::Request<Bytes>) -> Result<tonic::Response<Bytes>, Status> {
        let _alive = self.alive();
        match request.get_ref().as_ref() {
            b"panic" => panic!("{SECRET}"),
            b"fail" => return Err(Status::internal(SECRET)),
            b"wait" => drop(self.go.subscribe().wait_for(|go| *go).await),
            b"tenant" => {
                let tenant: &TenantId = request.extensions().get().expect("the stack puts it there");
                return Ok(tonic::Response::new(tenant.as_str().to_owned().into()));
            }
            _ => {}
        }
        Ok(tonic::Response::new(request.into_inner()))
    }

    async fn tell(self, request: tonic::Request<Bytes>) -> Result<tonic::Response<Told>, Status> {
        let alive = self.alive();
        let first = tokio_stream::once(Ok(request.get_ref().clone()));
        let told: Told = match request.get_ref().as_ref() {
            b"panic" => Box::pin(first.chain(tokio_stream::iter(std::iter::from_fn(move || {
                let _alive = &alive;
                panic!("{SECRET}")
            })))),
            b"fail" => Box::pin(first.chain(tokio_stream::once(Err(Status::internal(SECRET))))),
            b"endless" => Box::pin(tokio_stream::iter(std::iter::from_fn(move || {
                let _alive = &alive;
                Some(Ok(Bytes::from_static(&[7; 16 * 1024])))
            }))),
            b"silent" => Box::pin(first.chain(tokio_stream::pending()).map(move |item| {
                let _alive = &alive;
                item
            })),
            _ => Box::pin(first),
        };
        Ok(tonic::Response::new(told))
    }
}

type Told = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl tonic::server::NamedService for Echo {
    const NAME: &'static str = "test.v1.Echo";
}

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Bytes, Bytes>::default())
                .max_decoding_message_size(4 * 1024 * 1024);
            Ok(match request.uri().path() {
                SAY => {
                    let say = tower::service_fn(move |request| echo.clone().say(request));
                    grpc.unary(say, request).await
                }
                TELL => {
                    let tell = tower::service_fn(move |request| echo.clone().tell(request));
                    grpc.server_streaming(tell, request).await
                }
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

/// Limits under which no test waits for long. Each test shortens what it is about.
pub fn limits() -> Limits {
    Limits { drain_delay: std::time::Duration::ZERO, ..Limits::default() }
}

pub fn stack(echo: &Echo, limits: &Limits) -> Stack {
    Stack::new(tonic::service::Routes::new(echo.clone()), &[&Echo::descriptor_set()], limits)
}

/// A server on TCP and on a Unix socket.
pub struct Running {
    pub echo: Echo,
    pub stack: Stack,
    pub tcp: std::net::SocketAddr,
    pub unix: PathBuf,
    pub stop: CancellationToken,
    pub cut: CancellationToken,
    pub run: JoinHandle<Drained>,
    _dir: tempfile::TempDir,
}

impl Running {
    pub fn start(limits: &Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let unix = dir.path().join("kpi.sock");
        let echo = Echo::new();
        let stack = stack(&echo, limits);
        let listen = [Listen::Tcp(([127, 0, 0, 1], 0).into()), Listen::Unix(unix.clone())];
        let server = Server::bind(&listen, stack.clone(), limits).unwrap();
        let Listen::Tcp(tcp) = server.local_addrs()[0] else { panic!("it was given first") };
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        let run = tokio::spawn(server.run(stop.clone(), cut.clone()));
        Self { echo, stack, tcp, unix, stop, cut, run, _dir: dir }
    }

    pub async fn over_tcp(&self) -> Wire {
        Wire::over(TcpStream::connect(self.tcp).await.unwrap()).await
    }

    pub async fn over_unix(&self) -> Wire {
        Wire::over(UnixStream::connect(&self.unix).await.unwrap()).await
    }

    /// The same stack by every way that leads to it.
    pub async fn wires(&self) -> [(&'static str, Wire); 3] {
        let tcp = self.over_tcp().await;
        [("tcp", tcp), ("unix", self.over_unix().await), ("in process", Wire::InProcess(self.stack.clone()))]
    }
}

/// One way to a stack.
#[derive(Clone)]
pub enum Wire {
    InProcess(Stack),
    Socket(SendRequest<Body>),
}

/// What came back of one call.
#[derive(Debug)]
pub struct Outcome {
    pub headers: HeaderMap,
    pub messages: Vec<Bytes>,
    pub status: Status,
}

impl Wire {
    pub async fn over(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .handshake(TokioIo::new(socket))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self::Socket(sender)
    }

    /// Sends `body` and returns the head of the answer.
    pub async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response<Body>, hyper::Error> {
        let mut request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::new(Full::new(body))).unwrap();
        match self.clone() {
            Self::InProcess(mut stack) => Ok(stack.call(request).await.unwrap()),
            Self::Socket(mut sender) => {
                sender.ready().await?;
                Ok(sender.send_request(request).await?.map(Body::new))
            }
        }
    }

    /// Sends `body` and reads the whole answer.
    pub async fn call_raw(&self, path: &str, headers: &[(&str, &str)], body: Bytes) -> Outcome {
        let (head, body) = self.send(path, headers, body).await.unwrap().into_parts();
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().unwrap_or(&head.headers);
        let status = Status::from_header_map(trailers).expect("each answer has a status");
        Outcome { headers: head.headers, messages: unframe(collected.to_bytes()), status }
    }

    pub async fn call(&self, path: &str, headers: &[(&str, &str)], text: &'static str) -> Outcome {
        self.call_raw(path, headers, message(text)).await
    }

    pub async fn say(&self, text: &'static str) -> Outcome {
        self.call(SAY, &[], text).await
    }
}

impl Outcome {
    pub fn info(&self) -> ErrorInfo {
        self.status.get_details_error_info().unwrap_or_else(|| panic!("{:?} has no ErrorInfo", self.status))
    }

    pub fn code_and_reason(&self) -> (Code, String) {
        (self.status.code(), self.info().reason)
    }
}

/// `text` as a framed BytesValue.
pub fn message(text: &'static str) -> Bytes {
    frame(0, &Bytes::from_static(text.as_bytes()).encode_to_vec())
}

pub fn frame(flag: u8, bytes: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(flag);
    framed.put_u32(bytes.len() as u32);
    framed.put_slice(bytes);
    framed.freeze()
}

fn unframe(mut bytes: Bytes) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let head = bytes.split_to(5);
        let size = u32::from_be_bytes(head[1..].try_into().unwrap());
        messages.push(Bytes::decode(bytes.split_to(size as usize)).unwrap());
    }
    messages
}

/// A socket whose owner stops reading when told.
pub struct Deafening<S> {
    pub socket: S,
    pub deaf: Arc<AtomicBool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Deafening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.deaf.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deafening<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
