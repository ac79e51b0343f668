//! channel-kpi: the KPIs by which a company steers its channel partners, exact and live.

pub mod book;
pub mod config;
pub mod domain;
pub mod import;
pub mod journal;
pub mod kpi;
pub mod proto;
pub mod server;
pub mod service;
