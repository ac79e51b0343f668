//! channel-kpi: the KPIs by which a company steers its channel partners, exact and live.
//!
//! A host CRM streams its records in and asks for figures: over gRPC beside it, or in process through
//! [`open`] and the same generated clients. A record is a set of versions; a deal contributes a few
//! dated rows; a KPI is a pure function of sums of rows; a replica is a replay of a journal.
//!
//! ```text
//! write:  wire ─parse→ domain record ─→ tenant ─→ journal.append (durable)
//!         journal.follow ─→ apply to book ─→ answer
//! read:   wire ─parse→ question ─→ book (one revision) ─→ measures ─→ kpi formulas ─render→ wire
//! start:  records of the newest snapshot ─→ pages ─→ journal.follow from there
//! ```
//!
//! Where to look:
//! - [`domain`]: what the business speaks of; values that can't be wrong.
//! - [`kpi`]: the KPIs, one file each: definition, unit, cases by hand.
//! - [`book`]: one tenant in memory, and how a window is folded.
//! - [`journal`]: the one storage seam; SQLite behind it.
//! - [`tenant`]: the runtime: append, follow, apply, answer; snapshots.
//! - [`text`]: recommendations as sentences, a file for each language.
//! - [`service`]: the gRPC services; the only room that knows both wire and domain.
//! - [`clock`]: the one clock.
//! - [`server`]: sockets, deadlines, limits, drain.
//! - [`import`]: CSV exports of CRMs as records, sent like any caller's.
//! - [`client`]: clients of the streams, which go on where one ends.
//!
//! `docs/architecture.md` says why it is so, `docs/kpis.md` what the figures mean.

pub mod book;
pub mod client;
pub mod clock;
pub mod config;
pub mod domain;
pub mod import;
pub mod journal;
pub mod kpi;
pub mod proto;
pub mod server;
pub mod service;
pub mod tenant;
pub mod text;

mod sidecar;

pub use journal::sqlite::OpenError;
pub use sidecar::{Sidecar, open, open_by_clock};
