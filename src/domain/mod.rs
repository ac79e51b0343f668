//! What the business speaks of. Knows no protobuf, no async, no I/O, no clock.

pub mod ids;
