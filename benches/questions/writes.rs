//! Writes: durable, parsed, applied and shown, and what kept boards add to them.
//!
//! Each takes an fsync, so deals are written many at a time; `sidecar -- ingest` tells what applying alone takes.

use std::time::Instant;

use channel_kpi::proto::channelkpi::v1::record_service_client::RecordServiceClient;
use channel_kpi::proto::channelkpi::v1::{RankedBy, Record};
use channel_kpi::server::Stack;
use criterion::Criterion;

use crate::Bench;
use crate::ask::top_100_alone;
use crate::tenant::{WRITE_RECORDS, taken, writing};

/// Deals of one write while boards are kept.
const FEW_DEALS: i64 = 100;
/// More writes than any of these benches does, one a second by their records' clock.
const A_WHILE_SECONDS: i64 = 20_000;
/// As many as a book keeps.
const BOARD_COUNT: i64 = 64;

pub fn measure(bench: &Bench<'_>, criterion: &mut Criterion, stack: &Stack) {
    const OF: &str = "write";
    let mut group = bench.group(criterion, OF);
    let records = RecordServiceClient::new(stack.clone());
    let write = |deals: Vec<Record>| {
        let mut records = records.clone();
        async move {
            let request = writing(deals);
            let began_at = Instant::now();
            taken(records.write_records(request).await);
            began_at.elapsed()
        }
    };
    let tenant = &bench.tenant;

    let many = WRITE_RECORDS as i64;
    // What is applied a second, which has a budget, the sidecar's bench of ingest tells.
    type Make<'t> = &'t dyn Fn(i64) -> Record;
    let made: [(&str, Make<'_>); 3] = [
        ("a_new_deal", &|number| tenant.further(number as u64)),
        ("a_changed_deal", &|number| tenant.amended(number as u64, number / many)),
        ("a_late_version", &|number| tenant.late(number as u64, number / many)),
    ];
    for (name, make) in made {
        bench.deed(&mut group, (OF, name), None, WRITE_RECORDS as u64, |acted| {
            write((acted * many..(acted + 1) * many).map(make).collect())
        });
    }

    // Later than those above: a version that is known already would change nothing.
    let write_few = |acted: i64, later: i64| {
        let numbers = acted * FEW_DEALS..(acted + 1) * FEW_DEALS;
        write(numbers.map(|number| tenant.amended(number as u64, later + acted)).collect())
    };
    bench.deed(&mut group, (OF, "100_changed_deals/0_boards_kept"), None, 1, |acted| {
        write_few(acted, A_WHILE_SECONDS)
    });

    let board =
        |number: i64| bench.asker.board(top_100_alone(900 - number % BOARD_COUNT, RankedBy::WonAmount, None));
    for number in 0..BOARD_COUNT {
        bench.runtime.block_on(board(number));
    }
    // Boards that nobody asks for are dropped after a while (book/kept.rs): one is asked for after each write.
    bench.deed(&mut group, (OF, "100_changed_deals/64_boards_kept"), None, 1, |acted| {
        let (written, asked_for) = (write_few(acted, 2 * A_WHILE_SECONDS), board(acted));
        async move {
            let took = written.await;
            asked_for.await;
            took
        }
    });
    // The reader's part: a board that a write has just changed.
    bench.deed(&mut group, (OF, "100_changed_deals/get_a_changed_board"), None, 1, |acted| {
        let (written, asked_for) = (write_few(acted, 3 * A_WHILE_SECONDS), board(acted));
        async move {
            written.await;
            let began_at = Instant::now();
            asked_for.await;
            began_at.elapsed()
        }
    });
    group.finish();
}
