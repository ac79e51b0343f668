//! What the business speaks of. Knows no protobuf, no async, no I/O, no clock.

pub mod amount;
pub mod calendar;
pub mod exchange;
pub mod ids;
pub mod record;
pub mod subject;
pub mod window;
