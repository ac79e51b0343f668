//! channel-kpi: the KPIs by which a company steers its channel partners, exact and live.

pub mod domain;
pub mod import;
pub mod journal;
pub mod proto;
pub mod server;
pub mod service;
