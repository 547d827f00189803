//! Makes Go values of answers.
//!
//! A list of structs shares the answer, and makes a field when a template reads it. Texts are parts
//! of the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catalog::{
    CaRoot, Check, Definition, ExportedService, ImportedService, Instance, Leaf, Node, NodeService,
    NodeWithServices, Pair, Partition, Peering, Service, Text, Texts,
};
use gotmpl::types::{STRINGS, SliceType, StructType, UINT64};
use gotmpl::{Map, Pointer, Records, Slice, Struct, Value};

use super::types;
use crate::go::time::{DURATION, pointer_to_time, time_of};

/// A struct whose fields can be read by number.
pub(super) trait Record: 'static {
    /// The list of pointers to such structs, or of such structs.
    const LIST: &'static SliceType;

    /// The field number `field`, in the order of the type.
    fn field(&self, field: usize) -> Value;
}

struct Shared<T>(Arc<[T]>);

impl<T: Record> Records for Shared<T> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn field(&self, index: usize, field: usize) -> Value {
        self.0.get(index).map(|record| record.field(field)).unwrap_or_default()
    }
}

/// The list of these structs.
pub(super) fn list<T: Record>(records: &Arc<[T]>) -> Slice {
    Slice::of_records(T::LIST, Shared(Arc::clone(records)))
}

/// The list without elements that stands for a missing answer.
pub(super) fn none<T: Record>() -> Slice {
    Slice::of(T::LIST, Vec::new())
}

fn text(text: &Text) -> Value {
    Value::String(text.clone())
}

fn index(index: u64) -> Value {
    Value::Integer(&UINT64, index)
}

/// Consul has no map where nothing is in it.
fn texts(texts: &Texts) -> Value {
    Value::Map(match texts.is_empty() {
        true => Map::nil(&gotmpl::types::STRING_MAP),
        false => Map::strings(texts.iter().cloned()),
    })
}

fn strings(list: &Arc<[Text]>) -> Value {
    Value::Slice(Slice::strings(list.iter().cloned()))
}

/// Consul gives `null` for these lists if they are empty.
fn strings_or_nil(list: &Arc<[Text]>) -> Value {
    match list.is_empty() {
        true => Value::Slice(Slice::nil(&STRINGS)),
        false => strings(list),
    }
}

fn tags(tags: &Arc<[Text]>) -> Value {
    Value::Slice(Slice::of(&types::TAGS, tags.iter().map(text).collect()))
}

impl Record for Instance {
    const LIST: &'static SliceType = &types::INSTANCES;

    fn field(&self, field: usize) -> Value {
        match field {
            0 => text(&self.node),
            1 => text(&self.node_id),
            2 => text(&self.node_address),
            3 => texts(&self.node_tagged_addresses),
            4 => texts(&self.node_meta),
            5 => texts(&self.meta),
            6 => text(&self.address),
            7 => {
                let addresses = self.tagged_addresses.iter().map(|(tag, address)| {
                    let fields = [text(&address.address), Value::Int(address.port)];
                    (tag.clone(), Value::Struct(Struct::new(&types::ADDRESS, fields)))
                });
                Value::Map(match self.tagged_addresses.is_empty() {
                    true => Map::nil(&types::ADDRESS_MAP),
                    false => Map::of(&types::ADDRESS_MAP, addresses.collect()),
                })
            }
            8 => text(&self.id),
            9 => text(&self.name),
            10 => tags(&self.tags),
            11 => Value::Slice(list(&self.checks)),
            12 => Value::String(Bytes::from_static(self.status.name().as_bytes())),
            13 => Value::Int(self.port),
            _ => {
                let fields = [Value::Int(self.weights.passing), Value::Int(self.weights.warning)];
                Value::Struct(Struct::new(&types::WEIGHTS, fields))
            }
        }
    }
}

/// Instances of several datacenters: with one field more, the datacenter.
struct OfDatacenters(Arc<[Instance]>);

impl Records for OfDatacenters {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn field(&self, index: usize, field: usize) -> Value {
        let Some(instance) = self.0.get(index) else { return Value::default() };
        match types::INSTANCE.fields.get(field) {
            Some(_) => instance.field(field),
            None => text(&instance.datacenter),
        }
    }
}

/// The list of these instances, each with its datacenter.
pub(super) fn instances_of_datacenters(instances: &Arc<[Instance]>) -> Slice {
    Slice::of_records(&types::INSTANCES_OF_DATACENTERS, OfDatacenters(Arc::clone(instances)))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How a check is made.
fn definition(found: &Definition) -> Value {
    let header = found.header.iter().map(|(name, values)| (name.clone(), strings(values)));
    let durations = [found.interval, found.timeout, found.deregister_after].map(nanoseconds);
    let [interval, timeout, after] = durations.map(|nanos| Value::Integer(&DURATION, nanos));
    let readable = durations.map(|nanos| Value::Integer(&types::READABLE_DURATION, nanos));
    let [readable_interval, readable_timeout, readable_after] = readable;
    let fields = [
        text(&found.http),
        Value::Map(match found.header.is_empty() {
            true => Map::nil(&types::HEADER),
            false => Map::of(&types::HEADER, header.collect()),
        }),
        text(&found.method),
        text(&found.body),
        text(&found.tls_server_name),
        Value::Bool(found.tls_skip_verify),
        text(&found.tcp),
        Value::Bool(found.tcp_use_tls),
        text(&found.udp),
        text(&found.grpc),
        text(&found.os_service),
        Value::Bool(found.grpc_use_tls),
        interval,
        timeout,
        after,
        text(&found.session_name),
        readable_interval,
        readable_timeout,
        readable_after,
    ];
    Value::Struct(Struct::new(&types::DEFINITION, fields))
}

impl Record for Check {
    const LIST: &'static SliceType = &types::CHECKS;

    fn field(&self, field: usize) -> Value {
        match field {
            0 => text(&self.node),
            1 => text(&self.id),
            2 => text(&self.name),
            3 => text(&self.status),
            4 => text(&self.notes),
            5 => text(&self.output),
            6 => text(&self.service_id),
            7 => text(&self.service_name),
            8 => strings(&self.service_tags),
            9 => text(&self.kind),
            10 => text(&self.namespace),
            11 => text(&self.partition),
            12 => Value::Int(self.exposed_port),
            13 => text(&self.peer),
            14 => definition(self.definition.as_deref().unwrap_or(&Definition::default())),
            15 => index(self.create_index),
            _ => index(self.modify_index),
        }
    }
}

impl Record for Service {
    const LIST: &'static SliceType = &types::SERVICES;

    fn field(&self, field: usize) -> Value {
        match field {
            0 => text(&self.name),
            _ => tags(&self.tags),
        }
    }
}

impl Record for Node {
    const LIST: &'static SliceType = &types::NODES;

    fn field(&self, field: usize) -> Value {
        match field {
            0 => text(&self.id),
            1 => text(&self.name),
            2 => text(&self.address),
            3 => text(&self.datacenter),
            4 => texts(&self.tagged_addresses),
            _ => texts(&self.meta),
        }
    }
}

impl Record for NodeService {
    const LIST: &'static SliceType = &types::NODE_SERVICES;

    fn field(&self, field: usize) -> Value {
        match field {
            0 => text(&self.id),
            1 => text(&self.service),
            2 => tags(&self.tags),
            3 => texts(&self.meta),
            4 => Value::Int(self.port),
            5 => text(&self.address),
            _ => Value::Bool(self.enable_tag_override),
        }
    }
}

impl Record for CaRoot {
    const LIST: &'static SliceType = &types::CA_ROOTS;

    fn field(&self, field: usize) -> Value {
        match field {
            0 => text(&self.id),
            1 => text(&self.name),
            2 => text(&self.root_cert),
            3 => Value::Bool(self.active),
            4 => pointer_to_time(&self.not_before),
            5 => pointer_to_time(&self.not_after),
            6 => Value::Pointer(Pointer::nil(&types::INT_POINTER)),
            7 => index(self.create_index),
            _ => index(self.modify_index),
        }
    }
}

impl Record for Partition {
    const LIST: &'static SliceType = &types::PARTITIONS;

    fn field(&self, field: usize) -> Value {
        match field {
            0 => text(&self.name),
            _ => text(&self.description),
        }
    }
}

impl Record for Peering {
    const LIST: &'static SliceType = &types::PEERINGS;

    fn field(&self, field: usize) -> Value {
        match field {
            0 => text(&self.id),
            1 => text(&self.name),
            2 => text(&self.partition),
            3 => texts(&self.meta),
            4 => text(&self.state),
            5 => text(&self.peer_id),
            6 => text(&self.peer_server_name),
            7 => strings(&self.peer_server_addresses),
            8 => {
                let fields = [
                    strings_or_nil(&self.imported_services),
                    strings_or_nil(&self.exported_services),
                    pointer_to_time(&self.last_heartbeat),
                    pointer_to_time(&self.last_receive),
                    pointer_to_time(&self.last_send),
                ];
                Value::Struct(Struct::new(&types::STREAM_STATUS, fields))
            }
            _ => {
                let fields = [text(&self.remote_partition), text(&self.remote_datacenter)];
                Value::Struct(Struct::new(&types::REMOTE, fields))
            }
        }
    }
}

impl Record for ExportedService {
    const LIST: &'static SliceType = &types::EXPORTED_LIST;

    /// The partition and the namespace stay empty, as in consul-template.
    fn field(&self, field: usize) -> Value {
        match field {
            0 => text(&self.service),
            1 | 2 => Value::String(Bytes::new()),
            _ => {
                let fields = [strings(&self.peers), strings(&self.partitions)];
                Value::Struct(Struct::new(&types::CONSUMERS, fields))
            }
        }
    }
}

impl Record for ImportedService {
    const LIST: &'static SliceType = &types::IMPORTED_LIST;

    fn field(&self, field: usize) -> Value {
        match field {
            0 => text(&self.service),
            1 => text(&self.namespace),
            _ => text(&self.source_partition),
        }
    }
}

/// A pair with its key below the prefix that was asked for.
pub(super) struct Below {
    pub(super) pair: Pair,
    pub(super) key: Bytes,
}

impl Record for Below {
    const LIST: &'static SliceType = &types::PAIRS;

    fn field(&self, field: usize) -> Value {
        let pair = &self.pair;
        match field {
            0 => text(&pair.path),
            1 => text(&self.key),
            2 => text(&pair.value),
            3 => index(pair.create_index),
            4 => index(pair.modify_index),
            5 => index(pair.lock_index),
            6 => index(pair.flags),
            _ => text(&pair.session),
        }
    }
}

/// A node with its services. Without a node both are nil.
pub(super) fn node(found: Option<&NodeWithServices>) -> Value {
    let (node, services) = match found {
        Some(found) => {
            let fields = (0..types::NODE.fields.len()).map(|field| found.node.field(field));
            let node = Struct::new(&types::NODE, fields.collect::<Vec<_>>());
            (Pointer::to(&types::NODE_POINTER, node), list(&found.services))
        }
        None => (Pointer::nil(&types::NODE_POINTER), Slice::nil(&types::NODE_SERVICES)),
    };
    let fields = [Value::Pointer(node), Value::Slice(services)];
    let node = Struct::new(&types::CATALOG_NODE, fields);
    Value::Pointer(Pointer::to(&types::CATALOG_NODE_POINTER, node))
}

/// The certificate of a service.
pub(super) fn leaf(leaf: &Leaf) -> Value {
    let fields = [
        text(&leaf.serial_number),
        text(&leaf.cert_pem),
        text(&leaf.private_key_pem),
        text(&leaf.service),
        text(&leaf.service_uri),
        time_of(&leaf.valid_after),
        time_of(&leaf.valid_before),
        index(leaf.create_index),
        index(leaf.modify_index),
    ];
    Value::Pointer(Pointer::to(&types::LEAF_POINTER, Struct::new(&types::LEAF, fields)))
}

/// The fields of a struct in JSON, with their names: as Go's `encoding/json` finds them by the tags
/// and methods of these types.
pub(super) fn json_fields(record: &Struct) -> Vec<(&'static str, Value)> {
    let is = |ty: &'static StructType| std::ptr::eq(record.ty(), ty);
    let fields = record.ty().fields.iter().zip(record.fields());
    let fields = fields.filter_map(|(field, value)| {
        let is_optional = match field.name {
            "Namespace" | "Partition" | "PeerName" => is(&types::CHECK),
            "NotBefore" | "NotAfter" | "DaysRemaining" => is(&types::CA_ROOT),
            "SessionName" => is(&types::DEFINITION) || is(&types::MARSHALLED),
            _ => false,
        };
        match (field.name, value) {
            _ if is_optional && !value.is_true() => None,
            (name, _) if is(&types::DEFINITION) && name.ends_with("Duration") => None,
            ("RootCertPEM", value) if is(&types::CA_ROOT) => Some(("RootCert", value.clone())),
            ("Definition", Value::Struct(definition)) if is(&types::CHECK) => {
                Some(("Definition", Value::Struct(marshalled(definition))))
            }
            (name, value) => Some((name, value.clone())),
        }
    });
    fields.collect()
}

/// The definition of a check as its own method `MarshalJSON` writes it, which counts in a check: the
/// durations are texts, and come first.
fn marshalled(definition: &Struct) -> Struct {
    let fields = definition.ty().fields.iter().zip(definition.fields());
    let content = |wanted: &str| {
        let mut fields = fields.clone();
        fields.find(|(field, _)| field.name == wanted).map(|(_, value)| value.clone())
    };
    let texts = types::MARSHALLED.fields.iter().map(|field| match content(field.name) {
        Some(value @ Value::Integer(..)) => {
            world::time::Duration(value.as_i64().unwrap_or_default()).to_string().into()
        }
        value => value.unwrap_or_default(),
    });
    Struct::new(&types::MARSHALLED, texts.collect::<Vec<_>>())
}
