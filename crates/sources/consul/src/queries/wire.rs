//! Reads Consul's answers to queries.
//!
//! Consul writes `null` for empty lists and objects, and new releases add fields, so what is missing
//! is empty and what is unknown is skipped. The texts are copied out of the answer ([`texts`]).

mod shapes;
mod texts;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use catalog::{
    CaRoot, Check, Data, Definition, ExportedService, Filter, ImportedService, Instance, Leaf,
    Node, NodeService, NodeWithServices, Pair, Partition, Peering, Query, Service, Status,
    TaggedAddress, Text, Texts, Weights,
};
use serde::de::Deserialize;

use self::shapes::{
    CheckWire, ChosenWire, DefinitionWire, EntryWire, ExportedWire, ImportedWire, LeafWire, List,
    Map, NodeServicesWire, NodeWire, PairWire, PartitionWire, PeeringWire, RootWire, RootsWire,
    ServiceWire, Str,
};
use self::texts::Pool;

/// The answer to `query` in the body of a successful response.
///
/// # Errors
///
/// The body is not the answer to this query.
pub(super) fn data(query: &Query, body: &Bytes) -> Result<Data, serde_json::Error> {
    let taken = Taken::default();
    Ok(match query {
        Query::Key { .. } => {
            let pairs: List<PairWire<'_>> = parsed(body)?;
            let first = pairs.0.into_iter().next();
            Data::Value(first.map(|pair| taken.value(pair.value)).transpose()?)
        }
        Query::Pairs { .. } => Data::Pairs(pairs(body)?.into()),
        Query::Instances(asked) => {
            let entries: List<EntryWire<'_>> = parsed(body)?;
            let mut instances: Vec<Instance> =
                entries.0.into_iter().map(|entry| taken.instance(entry)).collect();
            let filters = &asked.filters;
            if !filters.contains(&Filter::Any) {
                instances.retain(|instance| is_of(instance.status, filters));
            }
            if asked.near.is_none() {
                sort(&mut instances);
            }
            Data::Instances(instances.into())
        }
        Query::Prepared { near, .. } => {
            let chosen: ChosenWire<'_> = parsed(body)?;
            let entries = chosen.nodes.0.into_iter();
            let mut instances: Vec<Instance> = entries.map(|entry| taken.instance(entry)).collect();
            // Consul gives the instances in a random order, unless they are sorted by distance.
            if near.is_none() {
                sort(&mut instances);
            }
            Data::Instances(instances.into())
        }
        Query::Services { .. } => Data::Services(services(body)?),
        Query::Node { .. } => {
            let node: Option<NodeServicesWire<'_>> = parsed(body)?;
            let node = node.and_then(|found| Some((found.node?, found.services)));
            Data::Node(node.map(|(node, services)| Arc::new(taken.node_services(node, services))))
        }
        Query::Nodes { near, .. } => {
            let nodes: List<NodeWire<'_>> = parsed(body)?;
            let mut nodes: Vec<Node> = nodes.0.into_iter().map(|node| taken.node(node)).collect();
            if near.is_none() {
                nodes.sort_by(|a, b| (&a.name, &a.address).cmp(&(&b.name, &b.address)));
            }
            Data::Nodes(nodes.into())
        }
        Query::Datacenters { .. } => {
            let names: List<Str<'_>> = parsed(body)?;
            Data::Datacenters(taken.sorted(names))
        }
        Query::CaRoots => {
            let roots: RootsWire<'_> = parsed(body)?;
            Data::CaRoots(roots.roots.0.into_iter().map(|root| taken.root(root)).collect())
        }
        Query::CaLeaf { .. } => Data::CaLeaf(Arc::new(taken.leaf(parsed(body)?))),
        Query::Partitions => {
            let partitions: List<PartitionWire<'_>> = parsed(body)?;
            let mut partitions: Vec<Partition> = partitions
                .0
                .into_iter()
                .map(|partition| Partition {
                    name: taken.text(partition.name),
                    description: taken.text(partition.description),
                })
                .collect();
            partitions.sort_by(|a, b| a.name.cmp(&b.name));
            Data::Partitions(partitions.into())
        }
        Query::Peerings { .. } => {
            let peers: List<PeeringWire<'_>> = parsed(body)?;
            let mut peers: Vec<Peering> =
                peers.0.into_iter().map(|peer| taken.peering(peer)).collect();
            let order =
                |peer: &Peering| (peer.state.clone(), peer.partition.clone(), peer.name.clone());
            peers.sort_by_cached_key(order);
            Data::Peerings(peers.into())
        }
        Query::ExportedServices { .. } => {
            let services: List<ExportedWire<'_>> = parsed(body)?;
            let mut services: Vec<ExportedService> = services
                .0
                .into_iter()
                .map(|exported| ExportedService {
                    service: taken.text(exported.service),
                    peers: taken.texts(exported.consumers.peers),
                    partitions: taken.texts(exported.consumers.partitions),
                })
                .collect();
            services.sort_by(|a, b| a.service.cmp(&b.service));
            Data::ExportedServices(services.into())
        }
        Query::ImportedServices { .. } => {
            let services: List<ImportedWire<'_>> = parsed(body)?;
            let mut services: Vec<ImportedService> = services
                .0
                .into_iter()
                .map(|imported| ImportedService {
                    service: taken.text(imported.service),
                    namespace: taken.text(imported.namespace),
                    source_partition: taken.text(imported.source_partition),
                    source_peer: taken.text(imported.source_peer),
                })
                .collect();
            services.sort_by(|a, b| a.service.cmp(&b.service));
            Data::ImportedServices(services.into())
        }
    })
}

/// The answer of a query that found nothing, if that is an answer.
pub(super) fn nothing(query: &Query) -> Option<Data> {
    match query {
        Query::Key { .. } => Some(Data::Value(None)),
        Query::Pairs { .. } => Some(Data::Pairs(Arc::default())),
        _ => None,
    }
}

/// The pairs of a listing, in its order.
///
/// # Errors
///
/// The body is no listing.
pub(super) fn pairs(body: &Bytes) -> Result<Vec<Pair>, serde_json::Error> {
    let taken = Taken::default();
    let pairs: List<PairWire<'_>> = parsed(body)?;
    let pair = |pair: PairWire<'_>| {
        Ok(Pair {
            path: taken.text(pair.key),
            value: taken.value(pair.value)?,
            create_index: pair.create_index,
            modify_index: pair.modify_index,
            lock_index: pair.lock_index,
            flags: pair.flags,
            session: taken.text(pair.session),
        })
    };
    pairs.0.into_iter().map(pair).collect()
}

/// The services of a listing, sorted by name.
///
/// # Errors
///
/// The body is no listing.
pub(super) fn services(body: &Bytes) -> Result<Arc<[Service]>, serde_json::Error> {
    let taken = Taken::default();
    let services: Map<'_, List<Str<'_>>> = parsed(body)?;
    let mut services: Vec<Service> = services
        .0
        .into_iter()
        .map(|(name, tags)| Service { name: taken.text(name), tags: taken.sorted(tags) })
        .collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(services.into())
}

/// A check in a listing of the checks in one state.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    /// The name of the node.
    pub(super) node: Text,
    /// The id of the check.
    pub(super) id: Text,
    /// The name of the service; empty for a check of the node.
    pub(super) service: Text,
    /// The index at which it was last changed.
    pub(super) modify_index: u64,
}

/// The checks of a listing, sorted.
///
/// # Errors
///
/// The body is no listing.
pub(super) fn checks(body: &Bytes) -> Result<Vec<Listed>, serde_json::Error> {
    let taken = Taken::default();
    let checks: List<CheckWire<'_>> = parsed(body)?;
    let listed = |check: CheckWire<'_>| Listed {
        node: taken.text(check.node),
        id: taken.text(check.id),
        service: taken.text(check.service_name),
        modify_index: check.modify_index,
    };
    let mut checks: Vec<Listed> = checks.0.into_iter().map(listed).collect();
    checks.sort();
    Ok(checks)
}

/// The name of the node in an agent's description of itself.
///
/// # Errors
///
/// The body is no such description.
pub(super) fn name_of_agent(body: &Bytes) -> Result<String, serde_json::Error> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Agent {
        config: Config,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        node_name: String,
    }
    let agent: Agent = serde_json::from_slice(body)?;
    Ok(agent.config.node_name)
}

/// Sorts instances by node and id.
fn sort(instances: &mut [Instance]) {
    instances.sort_by(|a, b| (&a.node, &a.id).cmp(&(&b.node, &b.id)));
}

/// Whether two answers to `query` are the same. Where a prepared query sorts by distance, Consul
/// gives instances of the same distance in a random order. So another order alone is no difference.
pub(super) fn is_same(query: &Query, before: &Data, now: &Data) -> bool {
    match (query, before, now) {
        (Query::Prepared { near: Some(_), .. }, Data::Instances(before), Data::Instances(now)) => {
            let sorted = |instances: &[Instance]| {
                let mut instances = instances.to_vec();
                sort(&mut instances);
                instances
            };
            before.len() == now.len() && sorted(before) == sorted(now)
        }
        _ => before == now,
    }
}

fn is_of(status: Status, filters: &std::collections::BTreeSet<Filter>) -> bool {
    let filter = match status {
        Status::Passing => Filter::Passing,
        Status::Warning => Filter::Warning,
        Status::Critical => Filter::Critical,
        Status::Maintenance => Filter::Maintenance,
        Status::Unknown => return false,
    };
    filters.contains(&filter)
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body)
}

/// Makes the parts of an answer, whose texts it keeps.
#[derive(Default)]
struct Taken(Pool);

impl Taken {
    fn text(&self, text: Str<'_>) -> Text {
        self.0.text(&text.0)
    }

    fn texts(&self, texts: List<Str<'_>>) -> Arc<[Text]> {
        texts.0.into_iter().map(|text| self.text(text)).collect()
    }

    fn sorted(&self, texts: List<Str<'_>>) -> Arc<[Text]> {
        let mut texts: Vec<Text> = texts.0.into_iter().map(|text| self.text(text)).collect();
        texts.sort();
        texts.into()
    }

    fn map(&self, map: Map<'_, Str<'_>>) -> Texts {
        self.map_of(map, |value| self.text(value))
    }

    fn map_of<V, T>(&self, map: Map<'_, V>, value: impl Fn(V) -> T) -> Arc<[(Text, T)]> {
        let mut pairs: Vec<(Text, T)> =
            map.0.into_iter().map(|(name, of)| (self.text(name), value(of))).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.into()
    }

    fn value(&self, value: Str<'_>) -> Result<Bytes, serde_json::Error> {
        let decoded = STANDARD.decode(&*value.0).map_err(serde::de::Error::custom)?;
        Ok(decoded.into())
    }

    fn node(&self, node: NodeWire<'_>) -> Node {
        Node {
            id: self.text(node.id),
            name: self.text(node.node),
            address: self.text(node.address),
            datacenter: self.text(node.datacenter),
            tagged_addresses: self.map(node.tagged_addresses),
            meta: self.map(node.meta),
        }
    }

    fn instance(&self, entry: EntryWire<'_>) -> Instance {
        let EntryWire { node, service, checks } = entry;
        // The texts that most templates read are stored first, one behind the other.
        let (id, name) = (self.text(service.id), self.text(service.service));
        let node_address = self.text(node.address);
        let address = match &*service.address.0 {
            "" => node_address.clone(),
            _ => self.text(service.address),
        };
        let checks: Arc<[Check]> = checks.0.into_iter().map(|check| self.check(check)).collect();
        Instance {
            node: self.text(node.node),
            node_id: self.text(node.id),
            datacenter: self.text(node.datacenter),
            node_address,
            node_tagged_addresses: self.map(node.tagged_addresses),
            node_meta: self.map(node.meta),
            meta: self.map(service.meta),
            address,
            tagged_addresses: self.map_of(service.tagged_addresses, |tagged| TaggedAddress {
                address: self.text(tagged.address),
                port: tagged.port,
            }),
            id,
            name,
            tags: self.sorted(service.tags),
            status: Status::of(&checks),
            checks,
            port: service.port,
            weights: Weights { passing: service.weights.passing, warning: service.weights.warning },
        }
    }

    fn check(&self, check: CheckWire<'_>) -> Check {
        Check {
            node: self.text(check.node),
            id: self.text(check.id),
            name: self.text(check.name),
            status: self.text(check.status),
            notes: self.text(check.notes),
            output: self.text(check.output),
            service_id: self.text(check.service_id),
            service_name: self.text(check.service_name),
            service_tags: self.texts(check.service_tags),
            kind: self.text(check.kind),
            namespace: self.text(check.namespace),
            partition: self.text(check.partition),
            exposed_port: check.exposed_port,
            peer: self.text(check.peer),
            definition: check.definition.and_then(|definition| self.definition(definition)),
            create_index: check.create_index,
            modify_index: check.modify_index,
        }
    }

    /// How a check is made; `None` if Consul does not say it.
    fn definition(&self, wire: DefinitionWire<'_>) -> Option<Arc<Definition>> {
        let definition = Definition {
            http: self.text(wire.http),
            header: self.map_of(wire.header, |values| self.texts(values)),
            method: self.text(wire.method),
            body: self.text(wire.body),
            tls_server_name: self.text(wire.tls_server_name),
            tls_skip_verify: wire.tls_skip_verify,
            tcp: self.text(wire.tcp),
            tcp_use_tls: wire.tcp_use_tls,
            udp: self.text(wire.udp),
            grpc: self.text(wire.grpc),
            os_service: self.text(wire.os_service),
            grpc_use_tls: wire.grpc_use_tls,
            session_name: self.text(wire.session_name),
            interval: wire.interval.0,
            timeout: wire.timeout.0,
            deregister_after: wire.deregister_critical_service_after.0,
        };
        (definition != Definition::default()).then(|| Arc::new(definition))
    }

    fn node_services(
        &self,
        node: NodeWire<'_>,
        services: Map<'_, ServiceWire<'_>>,
    ) -> NodeWithServices {
        let mut services: Vec<NodeService> = services
            .0
            .into_iter()
            .map(|(_, service)| NodeService {
                id: self.text(service.id),
                service: self.text(service.service),
                tags: self.sorted(service.tags),
                meta: self.map(service.meta),
                port: service.port,
                address: self.text(service.address),
                enable_tag_override: service.enable_tag_override,
            })
            .collect();
        services.sort_by(|a, b| (&a.service, &a.id).cmp(&(&b.service, &b.id)));
        NodeWithServices { node: self.node(node), services: services.into() }
    }

    fn root(&self, root: RootWire<'_>) -> CaRoot {
        CaRoot {
            id: self.text(root.id),
            name: self.text(root.name),
            root_cert: self.text(root.root_cert),
            active: root.active,
            not_before: self.text(root.not_before),
            not_after: self.text(root.not_after),
            create_index: root.create_index,
            modify_index: root.modify_index,
        }
    }

    fn leaf(&self, leaf: LeafWire<'_>) -> Leaf {
        Leaf {
            serial_number: self.text(leaf.serial_number),
            cert_pem: self.text(leaf.cert_pem),
            private_key_pem: self.text(leaf.private_key_pem),
            service: self.text(leaf.service),
            service_uri: self.text(leaf.service_uri),
            valid_after: self.text(leaf.valid_after),
            valid_before: self.text(leaf.valid_before),
            create_index: leaf.create_index,
            modify_index: leaf.modify_index,
        }
    }

    fn peering(&self, peer: PeeringWire<'_>) -> Peering {
        Peering {
            id: self.text(peer.id),
            name: self.text(peer.name),
            partition: self.text(peer.partition),
            meta: self.map(peer.meta),
            state: self.text(peer.state),
            peer_id: self.text(peer.peer_id),
            peer_server_name: self.text(peer.peer_server_name),
            peer_server_addresses: self.texts(peer.peer_server_addresses),
            imported_services: self.texts(peer.stream_status.imported_services),
            exported_services: self.texts(peer.stream_status.exported_services),
            last_heartbeat: self.text(peer.stream_status.last_heartbeat),
            last_receive: self.text(peer.stream_status.last_receive),
            last_send: self.text(peer.stream_status.last_send),
            remote_partition: self.text(peer.remote.partition),
            remote_datacenter: self.text(peer.remote.datacenter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: Result<Query, catalog::Malformed>, body: &'static str) -> Data {
        data(&query.unwrap(), &Bytes::from_static(body.as_bytes())).unwrap()
    }

    const ENTRIES: &str = r#"[
        {"Node":{"ID":"","Node":"n2","Address":"10.0.0.2","Meta":null,"TaggedAddresses":null},
         "Service":{"ID":"web-2","Service":"web","Tags":["b","a"],"Address":"","Meta":{"z":"1","k":"v"},
                    "TaggedAddresses":{"lan":{"Address":"10.1.0.2","Port":81}},"Port":80,
                    "Weights":{"Passing":10,"Warning":2},"Proxy":{"Mode":""}},
         "Checks":[{"Node":"n2","CheckID":"c","Status":"critical","ModifyIndex":18446744073709551615,
                    "Definition":{"HTTP":"http://x/","Header":{"B":["1"],"A":null},"Interval":"1m30s","Timeout":5,
                                  "DeregisterCriticalServiceAfter":null}}]},
        {"Node":{"Node":"n1","Address":"10.0.0.1"},
         "Service":{"ID":"web\u0022-1","Service":"web","Tags":null,"Address":"10.9.9.9","Port":0},
         "Checks":null}]"#;

    #[test]
    fn an_instance_has_the_address_of_its_node_if_it_has_none() {
        let Data::Instances(found) = read(Query::instances("web|any", false), ENTRIES) else {
            panic!("no instances")
        };
        let shown: Vec<_> = found
            .iter()
            .map(|one| (&one.node[..], &one.id[..], &one.address[..], one.status, one.port))
            .collect();
        let (one, two) = ((&b"n1"[..], &b"web\"-1"[..]), (&b"n2"[..], &b"web-2"[..]));
        assert_eq!(shown[0], (one.0, one.1, &b"10.9.9.9"[..], Status::Passing, 0));
        assert_eq!(shown[1], (two.0, two.1, &b"10.0.0.2"[..], Status::Critical, 80));
        assert_eq!(found[1].tags[..], [Text::from("a"), Text::from("b")]);
        assert_eq!(found[1].meta[0], (Text::from("k"), Text::from("v")));
        assert_eq!(found[1].tagged_addresses[0].1.port, 81);
        assert_eq!(found[1].checks[0].modify_index, u64::MAX);
        let definition = found[1].checks[0].definition.as_deref().unwrap();
        assert_eq!((&definition.http[..], definition.header.len()), (&b"http://x/"[..], 2));
        let durations = [definition.interval, definition.timeout, definition.deregister_after];
        assert_eq!(durations.map(|duration| duration.as_nanos()), [90_000_000_000, 5, 0]);
        assert_eq!(found[1].weights, Weights { passing: 10, warning: 2 });
    }

    #[test]
    fn only_instances_of_the_asked_states_are_kept() {
        let count = |text| match read(Query::instances(text, false), ENTRIES) {
            Data::Instances(found) => found.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!((count("web"), count("web|critical"), count("web|warning")), (1, 1, 0));
        assert_eq!(count("web|any"), 2);
    }

    #[test]
    fn instances_near_a_node_keep_the_order_of_the_answer() {
        let Data::Instances(found) = read(Query::instances("web~n2|any", false), ENTRIES) else {
            panic!("no instances")
        };
        assert_eq!(found[0].node, "n2");
    }

    #[test]
    fn the_random_order_of_a_prepared_query_is_no_difference() {
        let (near, plain) = (Query::prepared("q~n").unwrap(), Query::prepared("q").unwrap());
        let body = |first: &str, second: &str| {
            let entry = |id| format!(r#"{{"Node":{{"Node":"n"}},"Service":{{"ID":"{id}"}}}}"#);
            Bytes::from(format!(r#"{{"Nodes":[{},{}]}}"#, entry(first), entry(second)))
        };
        let read = |query, first, second| data(query, &body(first, second)).unwrap();
        assert_eq!(read(&plain, "b", "a"), read(&plain, "a", "b"));
        let (before, now) = (read(&near, "b", "a"), read(&near, "a", "b"));
        assert_ne!(before, now);
        assert!(is_same(&near, &before, &now));
        assert!(!is_same(&near, &before, &read(&near, "a", "c")));
    }

    #[test]
    fn services_and_their_tags_are_sorted() {
        let body = r#"{"web":["b","a"],"consul":[],"db":null}"#;
        let Data::Services(found) = read(Query::services(""), body) else { panic!("no services") };
        let names: Vec<_> = found.iter().map(|service| &service.name[..]).collect();
        assert_eq!(names, [&b"consul"[..], b"db", b"web"]);
        assert_eq!(found[2].tags[..], [Text::from("a"), Text::from("b")]);
    }

    #[test]
    fn a_node_that_does_not_exist_is_none() {
        assert_eq!(read(Query::node("x"), "null"), Data::Node(None));
        let body = r#"{"Node":{"Node":"x"},"Services":{"b":{"ID":"b","Service":"s"},"a":{"ID":"a","Service":"s"}}}"#;
        let Data::Node(Some(node)) = read(Query::node("x"), body) else { panic!("no node") };
        let ids: Vec<_> = node.services.iter().map(|service| &service.id[..]).collect();
        assert_eq!((&node.node.name[..], &ids[..]), (&b"x"[..], &[&b"a"[..], b"b"][..]));
    }

    #[test]
    fn a_value_is_decoded_and_may_be_null() {
        let value = |body| read(Query::key("a", true), body);
        assert_eq!(value(r#"[{"Key":"a","Value":"aGk="}]"#), Data::Value(Some("hi".into())));
        assert_eq!(value(r#"[{"Key":"a","Value":null}]"#), Data::Value(Some(Bytes::new())));
    }

    #[test]
    fn an_answer_of_another_form_is_an_error() {
        for body in ["", "{}", "[1]", "<html>", r#"[{"Node":1}]"#] {
            let query = Query::instances("web", false).unwrap();
            assert!(data(&query, &Bytes::from(body)).is_err(), "{body}");
        }
    }
}
