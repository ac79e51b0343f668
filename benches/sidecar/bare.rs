//! The references: bare tonic servers, one whose streams all send the bytes that they are given, and one that
//! answers every call with the same bytes.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::Service;

/// Messages as they are on the wire: whoever measures doesn't pay for making or reading them.
#[derive(Clone, Copy, Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Answers every call with the stream of what is told.
#[derive(Clone)]
pub struct Bare(watch::Receiver<Bytes>);

type Told = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

// === impl Bare ===

impl Bare {
    /// Serves on a free port for as long as the process lives. What is sent is told to all.
    pub async fn serve(first: Bytes) -> (SocketAddr, watch::Sender<Bytes>) {
        let (told, telling) = watch::channel(first);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("some port is free");
        let address = listener.local_addr().expect("it is bound");
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)); // as ours
        tokio::spawn(Server::builder().add_service(Self(telling)).serve_with_incoming(incoming));
        (address, told)
    }
}

impl tonic::server::NamedService for Bare {
    const NAME: &'static str = "channelkpi.v1.LeaderboardService";
}

impl Service<Request<Body>> for Bare {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let telling = self.0.clone();
        Box::pin(async move {
            let tell = tower::service_fn(move |_: tonic::Request<Bytes>| {
                let told: Told = Box::pin(WatchStream::new(telling.clone()).map(Ok));
                std::future::ready(Ok::<_, Status>(tonic::Response::new(told)))
            });
            Ok(tonic::server::Grpc::new(Raw).server_streaming(tell, request).await)
        })
    }
}

/// The one method of the echo.
pub const ECHO: &str = "/bench.Echo/Echo";

#[derive(Clone)]
struct Echo(Bytes);

/// Serves on a free port for as long as the process lives.
pub async fn echo(answer: Bytes) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("some port is free");
    let address = listener.local_addr().expect("it is bound");
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)); // as ours
    tokio::spawn(Server::builder().add_service(Echo(answer)).serve_with_incoming(incoming));
    address
}

impl tonic::server::NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.clone();
        Box::pin(async move {
            let answer = tower::service_fn(move |_: tonic::Request<Bytes>| {
                std::future::ready(Ok::<_, Status>(tonic::Response::new(answer.clone())))
            });
            Ok(tonic::server::Grpc::new(Raw).unary(answer, request).await)
        })
    }
}
