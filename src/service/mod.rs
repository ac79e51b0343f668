//! The gRPC services: parse the wire, call the tenant, render the answer.
//!
//! The only code that knows both sides: what passes `parse` is valid and is not checked again, and
//! nothing beyond these modules sees a wire type or the inside of a token.

pub mod parse;
pub mod render;
pub mod status;
pub mod token;
