//! The Go types of the answers, with consul-template's names and the order of its fields.

use gotmpl::types::{
    Field, KeyType, MapType, PointerType, STRING_MAP, STRINGS, SliceType, StructType, Type, UINT64,
    VALUES,
};

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
        "ID" TEXT, "Name" TEXT, "RootCertPEM" TEXT, "Active" Type::Bool, "CreateIndex" INDEX,
        "ModifyIndex" INDEX;
    /// The certificate of a service.
    LEAF, LEAF_POINTER, "api.LeafCert":
        "SerialNumber" TEXT, "CertPEM" TEXT, "PrivateKeyPEM" TEXT, "Service" TEXT,
        "ServiceURI" TEXT, "ValidAfter" TEXT, "ValidBefore" TEXT, "CreateIndex" INDEX,
        "ModifyIndex" INDEX;
    /// A partition.
    PARTITION, PARTITION_POINTER, PARTITIONS, "dependency.Partition":
        "Name" TEXT, "Description" TEXT;
    /// A peer of the cluster.
    PEERING, PEERING_POINTER, PEERINGS, "dependency.Peering":
        "ID" TEXT, "Name" TEXT, "Partition" TEXT, "Meta" TEXTS, "PeeringState" TEXT,
        "PeerID" TEXT, "PeerServerAddresses" LIST;
    /// A key with its value.
    PAIR, PAIR_POINTER, PAIRS, "dependency.KeyPair":
        "Path" TEXT, "Key" TEXT, "Value" TEXT, "CreateIndex" INDEX, "ModifyIndex" INDEX,
        "LockIndex" INDEX, "Flags" INDEX, "Session" TEXT;
}

/// How a check is made, in the order of its JSON. Consul leaves it empty for the checks that its agents
/// make, and so do we for all checks.
pub(super) static DEFINITION: StructType = StructType {
    name: "api.HealthCheckDefinition",
    fields: &[
        Field { name: "Interval", ty: TEXT },
        Field { name: "Timeout", ty: TEXT },
        Field { name: "DeregisterCriticalServiceAfter", ty: TEXT },
        Field { name: "HTTP", ty: TEXT },
        Field { name: "Header", ty: Type::Map(&HEADER) },
        Field { name: "Method", ty: TEXT },
        Field { name: "Body", ty: TEXT },
        Field { name: "TLSServerName", ty: TEXT },
        Field { name: "TLSSkipVerify", ty: Type::Bool },
        Field { name: "TCP", ty: TEXT },
        Field { name: "TCPUseTLS", ty: Type::Bool },
        Field { name: "UDP", ty: TEXT },
        Field { name: "GRPC", ty: TEXT },
        Field { name: "OSService", ty: TEXT },
        Field { name: "GRPCUseTLS", ty: Type::Bool },
    ],
    methods: &[],
};

/// `map[string][]string`.
static HEADER: MapType = MapType { key: KeyType::String, elem: LIST };

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
pub(super) static CHECKS: SliceType =
    SliceType { name: Some("api.HealthChecks"), elem: Type::Pointer(&CHECK_POINTER), methods: &[] };

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
