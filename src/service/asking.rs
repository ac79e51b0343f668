//! Asking the book: at once where that takes microseconds, else on a thread that may block; and only for as
//! long as whoever asked waits.

#[cfg(test)]
mod tests;

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Rpc, failure};
use crate::book::Book;
use crate::domain::premises::Knowledge;
use crate::domain::record::Settings;
use crate::journal::Journal;
use crate::tenant::Tenant;

/// What is weighed less than this is answered at once: half a millisecond at the 20 ns that a row takes.
pub const ROWS_AT_ONCE_MAX: u64 = 25_000;

/// So many of many things are worth a thread.
const TOLD_BY_A_THREAD_MIN: usize = 64;

/// Whoever asked. A question that takes long looks now and then whether he still waits.
#[derive(Clone, Default)]
pub struct Caller(Option<CancellationToken>);

// === impl Caller ===

impl Caller {
    pub fn has_gone(&self) -> bool {
        self.0.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// Fails where nobody waits for the answer any more.
    pub fn still_waits(&self) -> Result<(), Status> {
        if self.has_gone() { Err(Status::cancelled("the caller has gone")) } else { Ok(()) }
    }
}

// === impl Rpc ===

impl<J: Journal> Rpc<J> {
    /// Asks a question of the book, or of the book as it was known then, on a thread that may block.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        tenant: &Arc<Tenant<J>>,
        knowledge: Knowledge,
        question: impl FnOnce(&Book, &Settings, &Caller) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let tenant = Arc::clone(tenant);
        let turn = match knowledge.is_of_now() {
            true => None,
            false => Some(tenant.hindsight_turn().await),
        };
        // A caller who leaves drops this future, and with it the guard: the work stops.
        let gone = CancellationToken::new();
        let _guard = gone.clone().drop_guard();
        let caller = Caller(Some(gone));
        blocking(move || {
            caller.still_waits()?;
            if turn.is_none() {
                let book = tenant.book();
                // Also after a wait for the book.
                caller.still_waits()?;
                return question(&book, failure::configured(tenant.id(), &book)?, &caller);
            }
            let book = tenant.book_as_known(knowledge, || caller.has_gone());
            let book = book.ok_or_else(|| Status::cancelled("the caller has gone"))?;
            question(&book, failure::configured(tenant.id(), &book)?, &caller)
        })
        .await
    }

    /// Asks a question of what was known at several times, on a thread that may block: it has the books built itself,
    /// one after the other.
    pub(super) async fn ask_in_hindsight<T: Send + 'static>(
        &self,
        tenant: &Arc<Tenant<J>>,
        question: impl FnOnce(&Tenant<J>, &Caller) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let tenant = Arc::clone(tenant);
        let turn = tenant.hindsight_turn().await;
        let gone = CancellationToken::new();
        let _guard = gone.clone().drop_guard();
        let caller = Caller(Some(gone));
        blocking(move || {
            let _turn = turn;
            caller.still_waits()?;
            question(&tenant, &caller)
        })
        .await
    }

    /// Asks a question at once where it weighs little, in rows that it reads, and nobody holds the book;
    /// otherwise as [`Self::ask`] does.
    pub(super) async fn ask_weighed<T: Send + 'static>(
        &self,
        tenant: &Arc<Tenant<J>>,
        knowledge: Knowledge,
        weigh: impl FnOnce(&Book, &Settings) -> u64,
        question: impl FnOnce(&Book, &Settings, &Caller) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        if knowledge.is_of_now()
            && let Some(book) = tenant.book_if_free()
        {
            let settings = failure::configured(tenant.id(), &book)?;
            if weigh(&book, settings) <= ROWS_AT_ONCE_MAX {
                return question(&book, settings, &Caller::default());
            }
        }
        self.ask(tenant, knowledge, question).await
    }
}

/// Tells of each of many, in their order, on as many threads as there are cores and enough to do, for as long as the
/// caller waits.
pub(super) fn tell_each<A: Sync, T: Send>(
    all: &[A],
    caller: &Caller,
    tell: impl Fn(&A) -> Result<T, Status> + Sync,
) -> Result<Vec<T>, Status> {
    let core_count = thread::available_parallelism().map_or(1, NonZero::get);
    let thread_count = core_count.min(all.len() / TOLD_BY_A_THREAD_MIN).max(1);
    let tell_part = |part: &[A]| -> Result<Vec<T>, Status> {
        let told = part.iter().map(|one| caller.still_waits().and_then(|()| tell(one)));
        told.collect()
    };
    let tell_part = &tell_part;
    thread::scope(|scope| {
        let (mine, rest) = all.split_at(all.len().div_ceil(thread_count));
        let others = rest.chunks(all.len().div_ceil(thread_count).max(1));
        let others: Vec<_> = others.map(|part| scope.spawn(move || tell_part(part))).collect();
        let mut told = tell_part(mine)?;
        for other in others {
            told.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(told)
    })
}

/// Runs what may take longer than a call should hold an async thread.
pub(super) async fn blocking<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    // A panic goes on in the caller's task, where the server makes it an INTERNAL.
    tokio::task::spawn_blocking(question)
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
