//! The wire types, generated from `proto/` by build.rs.

/// The public API: `proto/channelkpi/v1/*.proto`, whose comments are its reference.
#[allow(clippy::large_enum_variant)] // the generator's choice: a record's kinds differ in size
#[allow(clippy::doc_lazy_continuation)] // and it sets the lines of lists in by two spaces
pub mod channelkpi {
    pub mod v1 {
        tonic::include_proto!("channelkpi.v1");
    }
}

/// Well-known types of Google's API guidelines: money, dates, decimals.
pub mod google {
    pub mod r#type {
        tonic::include_proto!("google.r#type");
    }
}

/// The encoded `FileDescriptorSet` of the API with its imports: what reflection, proto3 JSON and
/// client generators read.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/channelkpi.binpb"));
