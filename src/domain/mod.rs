//! What the business speaks of. Knows no protobuf, no async, no I/O, no clock.

pub mod amount;
#[cfg(test)]
pub mod arbitrary;
pub mod calendar;
pub mod exchange;
pub mod filter;
pub mod ids;
pub mod premises;
pub mod record;
pub mod series;
pub mod subject;
pub mod window;
