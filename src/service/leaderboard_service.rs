//! LeaderboardService: boards asked for once, and boards watched.

mod board;
mod changes;
mod watch;
mod watched;

use tonic::{Request, Response, Status};

pub(super) use self::watched::WatchedBoards;

use self::board::Board;
use self::watch::Watch;
use super::token::Walk;
use super::{Rpc, RpcResult, failure, page, parse};
use crate::journal::Journal;
use crate::proto::channelkpi::v1 as pb;
use crate::server::Life;

#[tonic::async_trait]
impl<J: Journal> pb::leaderboard_service_server::LeaderboardService for Rpc<J> {
    async fn get_leaderboard(
        &self,
        request: Request<pb::GetLeaderboardRequest>,
    ) -> RpcResult<pb::GetLeaderboardResponse> {
        let tenant = self.tenant(&request).await?;
        let asked = parse::get_leaderboard(request.get_ref()).map_err(failure::violations)?;
        let walk = self.walk(&tenant, &asked.page)?;
        self.make_fresh(&tenant, &asked.consistency).await?;

        let after = walk.as_ref().map(page::last_row).transpose().map_err(failure::page_token)?;
        let knowledge = asked.board.ranking.premises.knowledge;
        let (rpc, owner, now) = (self.clone(), tenant.clone(), self.now());
        let answer = self.ask(&tenant, knowledge, move |book, settings| {
            let as_of = asked.as_of.or(walk.as_ref().and_then(|walk| walk.as_of));
            let board = Board::tell(book, settings, &asked.board, as_of, now)?;
            let (rows, last) = board.rows(after.as_ref(), asked.page.size);
            let next = last.map(|last| Walk {
                first_revision: walk.as_ref().map_or(book.revision(), |walk| walk.first_revision),
                as_of: Some(board.as_of()),
                last_key: page::row_key(&last),
            });
            Ok(pb::GetLeaderboardResponse {
                rows,
                next_page_token: rpc.page_token(&owner, &asked.page, next),
                ranked_count: board.ranked_count(),
                pinned: board.pinned(),
                definition: Some(board.definition()),
                version: Some(board.version()),
                revision_token: rpc.revision_token(&owner, book.revision()),
                revision_changed: walk.is_some_and(|walk| walk.first_revision != book.revision()),
            })
        });
        answer.await.map(Response::new)
    }

    type WatchLeaderboardStream = Watch<J>;

    async fn watch_leaderboard(&self, request: Request<pb::WatchLeaderboardRequest>) -> RpcResult<Watch<J>> {
        let tenant = self.tenant(&request).await?;
        failure::configured(tenant.id(), &tenant.book())?;
        let life = request.extensions().get::<Life>().cloned();
        let life = life.ok_or_else(|| Status::internal("the stack grants every stream its life"))?;
        let asked = parse::watch_leaderboard(request.get_ref()).map_err(failure::violations)?;
        Watch::begin(self, &tenant, asked, life).await.map(Response::new)
    }
}
