//! LeaderboardService: boards asked for once, and boards watched.
//!
//! Routed by hand rather than by the generated server: a watch sends bytes that were encoded once for all
//! who watch the board.

mod board;
mod changes;
mod edition;
mod watch;
mod watched;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use tonic::body::Body;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

pub(super) use self::watched::WatchedBoards;

use self::board::Board;
use self::watch::Watch;
use super::token::Walk;
use super::{Rpc, RpcResult, failure, page, parse};
use crate::book::Book;
use crate::domain::record::Settings;
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;
use crate::server::Life;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The service before tonic's router.
#[derive(Clone)]
pub(super) struct LeaderboardRoutes<R> {
    pub rpc: R,
    pub message_in_bytes_max: usize,
}

impl<R> NamedService for LeaderboardRoutes<R> {
    const NAME: &'static str = pb::leaderboard_service_server::SERVICE_NAME;
}

impl<J: Journal> tower::Service<http::Request<Body>> for LeaderboardRoutes<Rpc<J>> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Self { rpc, message_in_bytes_max } = self.clone();
        let max = Some(message_in_bytes_max);
        Box::pin(async move {
            Ok(match request.uri().path().rsplit('/').next() {
                Some("GetLeaderboard") => {
                    let mut grpc = Grpc::new(ProstCodec::new()).apply_max_message_size_config(max, None);
                    grpc.unary(Get(rpc), request).await
                }
                Some("WatchLeaderboard") => {
                    let mut grpc = Grpc::new(WatchCodec).apply_max_message_size_config(max, None);
                    grpc.server_streaming(WatchBoard(rpc), request).await
                }
                _ => Status::unimplemented("the service has no such method").into_http(),
            })
        })
    }
}

struct Get<J>(Rpc<J>);

impl<J: Journal> UnaryService<pb::GetLeaderboardRequest> for Get<J> {
    type Response = pb::GetLeaderboardResponse;
    type Future = BoxFuture<RpcResult<pb::GetLeaderboardResponse>>;

    fn call(&mut self, request: Request<pb::GetLeaderboardRequest>) -> Self::Future {
        let rpc = self.0.clone();
        Box::pin(async move { get(&rpc, request).await })
    }
}

struct WatchBoard<J>(Rpc<J>);

impl<J: Journal> ServerStreamingService<pb::WatchLeaderboardRequest> for WatchBoard<J> {
    type Response = Bytes;
    type ResponseStream = Watch;
    type Future = BoxFuture<RpcResult<Watch>>;

    fn call(&mut self, request: Request<pb::WatchLeaderboardRequest>) -> Self::Future {
        let rpc = self.0.clone();
        Box::pin(async move { watch(&rpc, request).await })
    }
}

/// Reads a request, and sends messages that are encoded already. Its buffers are small: there are many
/// watches, most of them silent.
struct WatchCodec;

struct AsEncoded;

fn watch_buffers() -> BufferSettings {
    BufferSettings::new(1024, 32 * 1024)
}

impl Codec for WatchCodec {
    type Encode = Bytes;
    type Decode = pb::WatchLeaderboardRequest;
    type Encoder = AsEncoded;
    type Decoder = <ProstCodec<(), pb::WatchLeaderboardRequest> as Codec>::Decoder;

    fn encoder(&mut self) -> AsEncoded {
        AsEncoded
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<(), pb::WatchLeaderboardRequest>::raw_decoder(watch_buffers())
    }
}

impl Encoder for AsEncoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        watch_buffers()
    }
}

/// What showing a row of a kept board costs, in rows of the book that are read.
const RANKED_ROW_WEIGHT: u64 = 50;

async fn get<J: Journal>(
    rpc: &Rpc<J>,
    request: Request<pb::GetLeaderboardRequest>,
) -> RpcResult<pb::GetLeaderboardResponse> {
    let tenant = rpc.tenant(&request).await?;
    let asked = parse::get_leaderboard(request.get_ref()).map_err(failure::violations)?;
    let walk = rpc.walk(&tenant, &asked.page)?;
    rpc.make_fresh(&tenant, &asked.consistency).await?;

    let after = walk.as_ref().map(page::last_row).transpose().map_err(failure::page_token)?;
    let knowledge = asked.board.ranking.premises.knowledge;
    let (tokens, owner, now) = (rpc.clone(), tenant.clone(), rpc.now());
    let as_of = asked.as_of.or(walk.as_ref().and_then(|walk| walk.as_of));
    let asked = Arc::new(asked);
    let weighed = Arc::clone(&asked);
    let weigh = move |book: &Book, settings: &Settings| match weighed.page.size as u64 {
        rows if Board::is_kept(book, settings, &weighed.board, as_of, now) => RANKED_ROW_WEIGHT * rows,
        _ => u64::MAX,
    };
    let answer = rpc.ask_weighed(&tenant, knowledge, weigh, move |book, settings, _| {
        let board = Board::tell(book, settings, &asked.board, as_of, now)?;
        let (rows, last) = board.rows(after.as_ref(), asked.page.size);
        let next = last.map(|last| Walk {
            first_revision: walk.as_ref().map_or(book.revision(), |walk| walk.first_revision),
            as_of: Some(board.as_of()),
            last_key: page::row_key(&last),
        });
        Ok(pb::GetLeaderboardResponse {
            rows,
            next_page_token: tokens.page_token(&owner, &asked.page, next),
            ranked_count: board.ranked_count(),
            pinned: board.pinned(),
            definition: Some(board.definition()),
            version: Some(board.version()),
            revision_token: tokens.revision_token(&owner, book.revision()),
            revision_changed: walk.is_some_and(|walk| walk.first_revision != book.revision()),
        })
    });
    answer.await.map(Response::new)
}

async fn watch<J: Journal>(rpc: &Rpc<J>, request: Request<pb::WatchLeaderboardRequest>) -> RpcResult<Watch> {
    let tenant = rpc.tenant(&request).await?;
    failure::configured(tenant.id(), &tenant.book())?;
    let life = request.extensions().get::<Life>().expect("the stack grants every stream its life").clone();
    let asked = parse::watch_leaderboard(request.get_ref()).map_err(failure::violations)?;
    Watch::begin(rpc, &tenant, asked, life).await.map(Response::new)
}
