//! The Go types of the answers, with consul-template's names and the order of its fields.

use bytes::Bytes;
use catalog::Status;
use gotmpl::types::{
    Field, IntegerType, KeyType, MapType, Method, PointerType, STRING_MAP, STRINGS, SliceType,
    StructType, Type, UINT64, VALUES,
};
use gotmpl::{Failure, Value};
use world::time::Duration;

use crate::go::time::{DURATION, TIME, TIME_POINTER};

/// A struct type with fields, the pointer to it, and the list of such pointers.
macro_rules! structs {
    ($(
        $(#[$doc:meta])*
        $ty:ident, $pointer:ident $(, $list:ident)?, $go:literal: $($name:literal $field:expr),+;
    )+) => {$(
        $(#[$doc])*
        pub(super) static $ty: StructType = StructType {
            name: $go,
            fields: &[$(Field { name: $name, ty: $field }),+],
            methods: &[],
        };
        pub(super) static $pointer: PointerType = PointerType { elem: &$ty, methods: &[] };
        $(pub(super) static $list: SliceType =
            SliceType { name: None, elem: Type::Pointer(&$pointer), methods: &[] };)?
    )+};
}

const TEXT: Type = Type::String;
const INT: Type = Type::Int;
const INDEX: Type = Type::Integer(&UINT64);
const TEXTS: Type = Type::Map(&STRING_MAP);
const LIST: Type = Type::Slice(&STRINGS);
const TAG_LIST: Type = Type::Slice(&TAGS);

structs! {
    /// A running instance of a service.
    INSTANCE, INSTANCE_POINTER, INSTANCES, "dependency.HealthService":
        "Node" TEXT, "NodeID" TEXT, "NodeAddress" TEXT, "NodeTaggedAddresses" TEXTS,
        "NodeMeta" TEXTS, "ServiceMeta" TEXTS, "Address" TEXT,
        "ServiceTaggedAddresses" Type::Map(&ADDRESS_MAP), "ID" TEXT, "Name" TEXT,
        "Tags" TAG_LIST, "Checks" Type::Slice(&CHECKS), "Status" TEXT, "Port" INT,
        "Weights" Type::Struct(&WEIGHTS);
    /// An instance with its datacenter. Its name is that of an instance, so that it is accepted where
    /// an instance is.
    INSTANCE_OF_DATACENTER, INSTANCE_OF_DATACENTER_POINTER, INSTANCES_OF_DATACENTERS,
        "dependency.HealthService":
        "Node" TEXT, "NodeID" TEXT, "NodeAddress" TEXT, "NodeTaggedAddresses" TEXTS,
        "NodeMeta" TEXTS, "ServiceMeta" TEXTS, "Address" TEXT,
        "ServiceTaggedAddresses" Type::Map(&ADDRESS_MAP), "ID" TEXT, "Name" TEXT,
        "Tags" TAG_LIST, "Checks" Type::Slice(&CHECKS), "Status" TEXT, "Port" INT,
        "Weights" Type::Struct(&WEIGHTS), "NodeDatacenter" TEXT;
    /// A health check.
    CHECK, CHECK_POINTER, "api.HealthCheck":
        "Node" TEXT, "CheckID" TEXT, "Name" TEXT, "Status" TEXT, "Notes" TEXT, "Output" TEXT,
        "ServiceID" TEXT, "ServiceName" TEXT, "ServiceTags" LIST, "Type" TEXT,
        "Namespace" TEXT, "Partition" TEXT, "ExposedPort" INT, "PeerName" TEXT,
        "Definition" Type::Struct(&DEFINITION), "CreateIndex" INDEX, "ModifyIndex" INDEX;
    /// The name of a service, and its tags.
    SERVICE, SERVICE_POINTER, SERVICES, "dependency.CatalogSnippet":
        "Name" TEXT, "Tags" TAG_LIST;
    /// A node.
    NODE, NODE_POINTER, NODES, "dependency.Node":
        "ID" TEXT, "Node" TEXT, "Address" TEXT, "Datacenter" TEXT, "TaggedAddresses" TEXTS,
        "Meta" TEXTS;
    /// A node with its services.
    CATALOG_NODE, CATALOG_NODE_POINTER, "dependency.CatalogNode":
        "Node" Type::Pointer(&NODE_POINTER), "Services" Type::Slice(&NODE_SERVICES);
    /// A service on a node.
    NODE_SERVICE, NODE_SERVICE_POINTER, NODE_SERVICES, "dependency.CatalogNodeService":
        "ID" TEXT, "Service" TEXT, "Tags" TAG_LIST, "Meta" TEXTS, "Port" INT, "Address" TEXT,
        "EnableTagOverride" Type::Bool;
    /// A root certificate.
    CA_ROOT, CA_ROOT_POINTER, CA_ROOTS, "api.CARoot":
        "ID" TEXT, "Name" TEXT, "RootCertPEM" TEXT, "Active" Type::Bool,
        "NotBefore" Type::Object(&TIME_POINTER), "NotAfter" Type::Object(&TIME_POINTER),
        "DaysRemaining" Type::Pointer(&INT_POINTER), "CreateIndex" INDEX, "ModifyIndex" INDEX;
    /// The certificate of a service.
    LEAF, LEAF_POINTER, "api.LeafCert":
        "SerialNumber" TEXT, "CertPEM" TEXT, "PrivateKeyPEM" TEXT, "Service" TEXT,
        "ServiceURI" TEXT, "ValidAfter" Type::Object(&TIME), "ValidBefore" Type::Object(&TIME), "CreateIndex" INDEX,
        "ModifyIndex" INDEX;
    /// A partition.
    PARTITION, PARTITION_POINTER, PARTITIONS, "dependency.Partition":
        "Name" TEXT, "Description" TEXT;
    /// A peer of the cluster.
    PEERING, PEERING_POINTER, PEERINGS, "dependency.Peering":
        "ID" TEXT, "Name" TEXT, "Partition" TEXT, "Meta" TEXTS, "PeeringState" TEXT,
        "PeerID" TEXT, "PeerServerName" TEXT, "PeerServerAddresses" LIST,
        "StreamStatus" Type::Struct(&STREAM_STATUS), "Remote" Type::Struct(&REMOTE);
    /// A key with its value.
    PAIR, PAIR_POINTER, PAIRS, "dependency.KeyPair":
        "Path" TEXT, "Key" TEXT, "Value" TEXT, "CreateIndex" INDEX, "ModifyIndex" INDEX,
        "LockIndex" INDEX, "Flags" INDEX, "Session" TEXT;
}

/// Fields of a struct type.
macro_rules! fields {
    ($($name:literal $ty:expr),+ $(,)?) => { &[$(Field { name: $name, ty: $ty }),+] };
}

const DURATION_TYPE: Type = Type::Integer(&DURATION);
const READABLE: Type = Type::Integer(&READABLE_DURATION);

/// How a check is made.
pub(super) static DEFINITION: StructType = StructType {
    name: "api.HealthCheckDefinition",
    fields: fields!(
        "HTTP" TEXT, "Header" Type::Map(&HEADER), "Method" TEXT, "Body" TEXT,
        "TLSServerName" TEXT, "TLSSkipVerify" Type::Bool, "TCP" TEXT, "TCPUseTLS" Type::Bool,
        "UDP" TEXT, "GRPC" TEXT, "OSService" TEXT, "GRPCUseTLS" Type::Bool,
        "IntervalDuration" DURATION_TYPE, "TimeoutDuration" DURATION_TYPE,
        "DeregisterCriticalServiceAfterDuration" DURATION_TYPE, "SessionName" TEXT,
        "Interval" READABLE, "Timeout" READABLE, "DeregisterCriticalServiceAfter" READABLE,
    ),
    methods: &[],
};

/// How a check is made, in the JSON of the check.
pub(super) static MARSHALLED: StructType = StructType {
    name: "api.HealthCheckDefinition",
    fields: fields!(
        "Interval" TEXT, "Timeout" TEXT, "DeregisterCriticalServiceAfter" TEXT,
        "HTTP" TEXT, "Header" Type::Map(&HEADER), "Method" TEXT, "Body" TEXT,
        "TLSServerName" TEXT, "TLSSkipVerify" Type::Bool, "TCP" TEXT, "TCPUseTLS" Type::Bool,
        "UDP" TEXT, "GRPC" TEXT, "OSService" TEXT, "GRPCUseTLS" Type::Bool,
        "SessionName" TEXT,
    ),
    methods: &[],
};

/// A duration that is a text in JSON. Its method is one of pointers.
pub(super) static READABLE_DURATION: IntegerType = IntegerType {
    name: "api.ReadableDuration",
    signed: true,
    bits: 64,
    stringer: None,
    methods: &[method("String", |nanoseconds, _| {
        Ok(Duration(nanoseconds.as_i64().unwrap_or_default()).to_string().into())
    })],
};

/// What a peer and this cluster exchange.
pub(super) static STREAM_STATUS: StructType = StructType {
    name: "dependency.PeeringStreamStatus",
    fields: fields!(
        "ImportedServices" LIST, "ExportedServices" LIST,
        "LastHeartbeat" Type::Object(&TIME_POINTER), "LastReceive" Type::Object(&TIME_POINTER),
        "LastSend" Type::Object(&TIME_POINTER),
    ),
    methods: &[],
};

/// Where a peer is.
pub(super) static REMOTE: StructType = StructType {
    name: "dependency.PeeringRemoteInfo",
    fields: fields!("Partition" TEXT, "Datacenter" TEXT),
    methods: &[],
};

/// `*int`, which is always nil.
pub(super) static INT_POINTER: PointerType =
    PointerType { elem: &StructType { name: "int", fields: &[], methods: &[] }, methods: &[] };

/// A method without arguments.
const fn method(
    name: &'static str,
    call: fn(&Value, &mut [Value]) -> Result<Value, Failure>,
) -> Method {
    Method { name, params: &[], variadic: false, results: 1, call }
}

/// The worst state of the checks in a list.
fn aggregated(checks: &Value) -> Value {
    let Some(checks) = checks.as_slice() else { return Value::String(Bytes::new()) };
    let text = |nth, field: &[u8]| {
        let field = CHECK.field(field).map(|field| checks.field(nth, field));
        field.as_ref().and_then(Value::as_bytes).cloned().unwrap_or_default()
    };
    let states = (0..checks.len()).map(|nth| (text(nth, b"CheckID"), text(nth, b"Status")));
    Status::worst(states).name().into()
}

/// `map[string][]string`.
pub(super) static HEADER: MapType = MapType { key: KeyType::String, elem: LIST };

/// The weights of an instance.
pub(super) static WEIGHTS: StructType = StructType {
    name: "api.AgentWeights",
    fields: &[Field { name: "Passing", ty: INT }, Field { name: "Warning", ty: INT }],
    methods: &[],
};

/// An address with a port.
pub(super) static ADDRESS: StructType = StructType {
    name: "api.ServiceAddress",
    fields: &[Field { name: "Address", ty: TEXT }, Field { name: "Port", ty: INT }],
    methods: &[],
};

/// The consumers of an exported service.
pub(super) static CONSUMERS: StructType = StructType {
    name: "dependency.ResolvedConsumers",
    fields: &[Field { name: "Peers", ty: LIST }, Field { name: "Partitions", ty: LIST }],
    methods: &[],
};

/// A service that peers may use.
pub(super) static EXPORTED: StructType = StructType {
    name: "dependency.ExportedService",
    fields: &[
        Field { name: "Service", ty: TEXT },
        Field { name: "Partition", ty: TEXT },
        Field { name: "Namespace", ty: TEXT },
        Field { name: "Consumers", ty: Type::Struct(&CONSUMERS) },
    ],
    methods: &[],
};

/// A service of a peer.
pub(super) static IMPORTED: StructType = StructType {
    name: "dependency.ImportedService",
    fields: &[
        Field { name: "Service", ty: TEXT },
        Field { name: "Namespace", ty: TEXT },
        Field { name: "SourcePartition", ty: TEXT },
    ],
    methods: &[],
};

/// `[]dependency.ExportedService`.
pub(super) static EXPORTED_LIST: SliceType =
    SliceType { name: None, elem: Type::Struct(&EXPORTED), methods: &[] };

/// `[]dependency.ImportedService`.
pub(super) static IMPORTED_LIST: SliceType =
    SliceType { name: None, elem: Type::Struct(&IMPORTED), methods: &[] };

/// The tags of a service.
pub(super) static TAGS: SliceType =
    SliceType { name: Some("dependency.ServiceTags"), elem: Type::String, methods: &[] };

/// The checks of an instance.
pub(super) static CHECKS: SliceType = SliceType {
    name: Some("api.HealthChecks"),
    elem: Type::Pointer(&CHECK_POINTER),
    methods: &[method("AggregatedStatus", |checks, _| Ok(aggregated(checks)))],
};

/// `map[string]api.ServiceAddress`.
pub(super) static ADDRESS_MAP: MapType =
    MapType { key: KeyType::String, elem: Type::Struct(&ADDRESS) };

/// What `byTag` gives.
pub(super) static BY_TAG: MapType = MapType { key: KeyType::String, elem: Type::Slice(&VALUES) };

/// What `byPort` gives.
pub(super) static BY_PORT: MapType = MapType { key: KeyType::Int, elem: Type::Slice(&VALUES) };

/// What `byMeta` gives.
pub(super) static BY_META: MapType =
    MapType { key: KeyType::String, elem: Type::Slice(&INSTANCES) };

/// What `byKey` gives for one folder.
pub(super) static BY_NAME: MapType =
    MapType { key: KeyType::String, elem: Type::Pointer(&PAIR_POINTER) };

/// What `byKey` gives.
pub(super) static BY_KEY: MapType = MapType { key: KeyType::String, elem: Type::Map(&BY_NAME) };
