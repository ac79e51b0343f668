//! The gRPC services: parse the wire, call the tenant, render the answer.

pub mod status;
