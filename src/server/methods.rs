//! What is served: every method of the descriptor sets, so that no second list must be kept.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use prost::Message;
use prost_types::FileDescriptorSet;

/// One method, as far as the stack treats methods differently.
#[derive(Debug)]
pub(super) struct Method {
    /// `channelkpi.v1.KpiService/GetScorecard`.
    pub(super) name: Box<str>,
    pub(super) kind: MethodKind,
    /// Health and reflection: they belong to no tenant and are answered under any load.
    pub(super) infrastructure: bool,
}

/// Who sends more than one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MethodKind {
    Unary,
    /// The server: a watch. Only the client bounds its time.
    Watch,
    /// The client: a feed. Only the client bounds its time.
    Feed,
}

pub(super) struct Methods {
    by_path: HashMap<Box<str>, Arc<Method>>,
    /// Full names.
    services: HashSet<Box<str>>,
}

// === impl Methods ===

impl Methods {
    pub(super) fn of<'a>(descriptor_sets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut methods = Self { by_path: HashMap::new(), services: HashSet::new() };
        for encoded in descriptor_sets {
            let set =
                FileDescriptorSet::decode(encoded).expect("a descriptor set comes from a proto compiler");
            for file in &set.file {
                for service in &file.service {
                    methods.add_service(&format!("{}.{}", file.package(), service.name()), &service.method);
                }
            }
        }
        methods
    }

    fn add_service(&mut self, service: &str, methods: &[prost_types::MethodDescriptorProto]) {
        for method in methods {
            let name = format!("{service}/{}", method.name());
            let kind = match (method.client_streaming(), method.server_streaming()) {
                (false, false) => MethodKind::Unary,
                (false, true) => MethodKind::Watch,
                (true, _) => MethodKind::Feed,
            };
            let described =
                Method { kind, infrastructure: service.starts_with("grpc."), name: name.as_str().into() };
            self.by_path.insert(format!("/{name}").into(), Arc::new(described));
        }
        self.services.insert(service.into());
    }

    pub(super) fn find(&self, path: &str) -> Option<&Arc<Method>> {
        self.by_path.get(path)
    }

    pub(super) fn has_service(&self, name: &str) -> bool {
        self.services.contains(name)
    }
}
