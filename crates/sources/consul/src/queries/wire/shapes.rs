//! The shapes of Consul's answers in JSON.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A string; `null` is empty.
#[derive(Default)]
pub(super) struct Str<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Str<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Str::default())
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// A list; `null` is empty.
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(List(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default()))
    }
}

/// An object whose fields are not known; `null` is empty.
pub(super) struct Map<'a, V>(pub(super) Vec<(Str<'a>, V)>);

impl<V> Default for Map<'_, V> {
    fn default() -> Self {
        Map(Vec::new())
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Map<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<'a, V>(PhantomData<(&'a (), V)>);
        impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for Object<'a, V> {
            type Value = Map<'a, V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(fields.size_hint().unwrap_or(0));
                while let Some(field) = fields.next_entry()? {
                    pairs.push(field);
                }
                Ok(Map(pairs))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Map::default())
            }
        }
        deserializer.deserialize_any(Object(PhantomData))
    }
}

/// A pair.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct PairWire<'a> {
    #[serde(borrow)]
    pub(super) key: Str<'a>,
    #[serde(borrow)]
    pub(super) value: Str<'a>,
    pub(super) flags: u64,
    pub(super) lock_index: u64,
    pub(super) create_index: u64,
    pub(super) modify_index: u64,
    #[serde(borrow)]
    pub(super) session: Str<'a>,
}

/// An instance in the answers about a service's health.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct EntryWire<'a> {
    #[serde(borrow)]
    pub(super) node: NodeWire<'a>,
    #[serde(borrow)]
    pub(super) service: ServiceWire<'a>,
    #[serde(borrow)]
    pub(super) checks: List<CheckWire<'a>>,
}

/// The instances that a prepared query has chosen.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ChosenWire<'a> {
    #[serde(borrow)]
    pub(super) nodes: List<EntryWire<'a>>,
}

/// A node.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct NodeWire<'a> {
    #[serde(rename = "ID", borrow)]
    pub(super) id: Str<'a>,
    #[serde(borrow)]
    pub(super) node: Str<'a>,
    #[serde(borrow)]
    pub(super) address: Str<'a>,
    #[serde(borrow)]
    pub(super) datacenter: Str<'a>,
    #[serde(borrow)]
    pub(super) tagged_addresses: Map<'a, Str<'a>>,
    #[serde(borrow)]
    pub(super) meta: Map<'a, Str<'a>>,
}

/// A service on a node.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ServiceWire<'a> {
    #[serde(rename = "ID", borrow)]
    pub(super) id: Str<'a>,
    #[serde(borrow)]
    pub(super) service: Str<'a>,
    #[serde(borrow)]
    pub(super) tags: List<Str<'a>>,
    #[serde(borrow)]
    pub(super) address: Str<'a>,
    #[serde(borrow)]
    pub(super) tagged_addresses: Map<'a, AddressWire<'a>>,
    #[serde(borrow)]
    pub(super) meta: Map<'a, Str<'a>>,
    pub(super) port: i64,
    pub(super) weights: WeightsWire,
    pub(super) enable_tag_override: bool,
}

/// An address of a service.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct AddressWire<'a> {
    #[serde(borrow)]
    pub(super) address: Str<'a>,
    pub(super) port: i64,
}

/// A check.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct CheckWire<'a> {
    #[serde(borrow)]
    pub(super) node: Str<'a>,
    #[serde(rename = "CheckID", borrow)]
    pub(super) id: Str<'a>,
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow)]
    pub(super) status: Str<'a>,
    #[serde(borrow)]
    pub(super) notes: Str<'a>,
    #[serde(borrow)]
    pub(super) output: Str<'a>,
    #[serde(rename = "ServiceID", borrow)]
    pub(super) service_id: Str<'a>,
    #[serde(borrow)]
    pub(super) service_name: Str<'a>,
    #[serde(borrow)]
    pub(super) service_tags: List<Str<'a>>,
    #[serde(rename = "Type", borrow)]
    pub(super) kind: Str<'a>,
    #[serde(borrow)]
    pub(super) namespace: Str<'a>,
    #[serde(borrow)]
    pub(super) partition: Str<'a>,
    pub(super) exposed_port: i64,
    #[serde(rename = "PeerName", borrow)]
    pub(super) peer: Str<'a>,
    #[serde(borrow)]
    pub(super) definition: Option<DefinitionWire<'a>>,
    pub(super) create_index: u64,
    pub(super) modify_index: u64,
}

/// How a check is made.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct DefinitionWire<'a> {
    #[serde(rename = "HTTP", borrow)]
    pub(super) http: Str<'a>,
    #[serde(borrow)]
    pub(super) header: Map<'a, List<Str<'a>>>,
    #[serde(borrow)]
    pub(super) method: Str<'a>,
    #[serde(borrow)]
    pub(super) body: Str<'a>,
    #[serde(rename = "TLSServerName", borrow)]
    pub(super) tls_server_name: Str<'a>,
    #[serde(rename = "TLSSkipVerify")]
    pub(super) tls_skip_verify: bool,
    #[serde(rename = "TCP", borrow)]
    pub(super) tcp: Str<'a>,
    #[serde(rename = "TCPUseTLS")]
    pub(super) tcp_use_tls: bool,
    #[serde(rename = "UDP", borrow)]
    pub(super) udp: Str<'a>,
    #[serde(rename = "GRPC", borrow)]
    pub(super) grpc: Str<'a>,
    #[serde(rename = "OSService", borrow)]
    pub(super) os_service: Str<'a>,
    #[serde(rename = "GRPCUseTLS")]
    pub(super) grpc_use_tls: bool,
    #[serde(borrow)]
    pub(super) session_name: Str<'a>,
    pub(super) interval: Span,
    pub(super) timeout: Span,
    pub(super) deregister_critical_service_after: Span,
}

/// A duration: a text such as `1m30s`, or a number of nanoseconds. What is neither is zero, as no
/// answer should be refused because of it.
#[derive(Default)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Form<'a> {
            Nanoseconds(u64),
            #[serde(borrow)]
            Text(Cow<'a, str>),
            Other(serde::de::IgnoredAny),
        }
        Ok(Span(match Form::deserialize(deserializer)? {
            Form::Nanoseconds(nanoseconds) => Duration::from_nanos(nanoseconds),
            Form::Text(text) => options::duration::parse(&text).unwrap_or_default(),
            Form::Other(_) => Duration::ZERO,
        }))
    }
}

/// A node and its services.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct NodeServicesWire<'a> {
    #[serde(borrow)]
    pub(super) node: Option<NodeWire<'a>>,
    #[serde(borrow)]
    pub(super) services: Map<'a, ServiceWire<'a>>,
}

/// The roots of the mesh.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct RootsWire<'a> {
    #[serde(borrow)]
    pub(super) roots: List<RootWire<'a>>,
}

/// A root certificate.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct RootWire<'a> {
    #[serde(rename = "ID", borrow)]
    pub(super) id: Str<'a>,
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow)]
    pub(super) root_cert: Str<'a>,
    pub(super) active: bool,
    #[serde(borrow)]
    pub(super) not_before: Str<'a>,
    #[serde(borrow)]
    pub(super) not_after: Str<'a>,
    pub(super) create_index: u64,
    pub(super) modify_index: u64,
}

/// The certificate of a service.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct LeafWire<'a> {
    #[serde(borrow)]
    pub(super) serial_number: Str<'a>,
    #[serde(rename = "CertPEM", borrow)]
    pub(super) cert_pem: Str<'a>,
    #[serde(rename = "PrivateKeyPEM", borrow)]
    pub(super) private_key_pem: Str<'a>,
    #[serde(borrow)]
    pub(super) service: Str<'a>,
    #[serde(rename = "ServiceURI", borrow)]
    pub(super) service_uri: Str<'a>,
    #[serde(borrow)]
    pub(super) valid_after: Str<'a>,
    #[serde(borrow)]
    pub(super) valid_before: Str<'a>,
    pub(super) create_index: u64,
    pub(super) modify_index: u64,
}

/// A partition.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct PartitionWire<'a> {
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow)]
    pub(super) description: Str<'a>,
}

/// A peer.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct PeeringWire<'a> {
    #[serde(rename = "ID", borrow)]
    pub(super) id: Str<'a>,
    #[serde(borrow)]
    pub(super) name: Str<'a>,
    #[serde(borrow)]
    pub(super) partition: Str<'a>,
    #[serde(borrow)]
    pub(super) meta: Map<'a, Str<'a>>,
    #[serde(borrow)]
    pub(super) state: Str<'a>,
    #[serde(rename = "PeerID", borrow)]
    pub(super) peer_id: Str<'a>,
    #[serde(borrow)]
    pub(super) peer_server_name: Str<'a>,
    #[serde(borrow)]
    pub(super) peer_server_addresses: List<Str<'a>>,
    #[serde(borrow)]
    pub(super) stream_status: StreamWire<'a>,
    #[serde(borrow)]
    pub(super) remote: RemoteWire<'a>,
}

/// What a peer and this cluster exchange.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct StreamWire<'a> {
    #[serde(borrow)]
    pub(super) imported_services: List<Str<'a>>,
    #[serde(borrow)]
    pub(super) exported_services: List<Str<'a>>,
    #[serde(borrow)]
    pub(super) last_heartbeat: Str<'a>,
    #[serde(borrow)]
    pub(super) last_receive: Str<'a>,
    #[serde(borrow)]
    pub(super) last_send: Str<'a>,
}

/// Where a peer is.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct RemoteWire<'a> {
    #[serde(borrow)]
    pub(super) partition: Str<'a>,
    #[serde(borrow)]
    pub(super) datacenter: Str<'a>,
}

/// An exported service.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ExportedWire<'a> {
    #[serde(borrow)]
    pub(super) service: Str<'a>,
    #[serde(borrow)]
    pub(super) consumers: ConsumersWire<'a>,
}

/// Who may use an exported service.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ConsumersWire<'a> {
    #[serde(borrow)]
    pub(super) peers: List<Str<'a>>,
    #[serde(borrow)]
    pub(super) partitions: List<Str<'a>>,
}

/// An imported service.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ImportedWire<'a> {
    #[serde(borrow)]
    pub(super) service: Str<'a>,
    #[serde(borrow)]
    pub(super) namespace: Str<'a>,
    #[serde(borrow)]
    pub(super) source_partition: Str<'a>,
    #[serde(borrow)]
    pub(super) source_peer: Str<'a>,
}

/// The weights of an instance. Old agents give none.
#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct WeightsWire {
    pub(super) passing: i64,
    pub(super) warning: i64,
}
