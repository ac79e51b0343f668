//! The gRPC services: wire → domain (`parse`), the question asked of the domain, domain → wire
//! (`render`).
//!
//! The only code that knows both sides: what passes `parse` is valid and is not checked again, and
//! nothing beyond these modules sees a wire type or the inside of a token.

pub mod parse;
pub mod render;
pub mod token;
