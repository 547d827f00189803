//! The manifests in `examples/kubernetes`, as Kubernetes reads them.

use std::{fs, path::Path};

use bytes::Bytes;
use serde_json::{Map, Value};
use yaml::{Node, NodeId, Scalar, Top, Tree};

/// The folder of the manifests.
pub(crate) fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/kubernetes"))
}

/// The objects of several files, which are applied together.
pub(crate) struct Manifests {
    objects: Vec<Value>,
}

impl Manifests {
    /// What `kubectl apply -f base.yaml -f FORM.yaml` makes.
    #[track_caller]
    pub(crate) fn of(form: &str) -> Self {
        let read = |name: &str| fs::read_to_string(folder().join(name)).unwrap();
        let texts = [read("base.yaml"), read(&format!("{form}.yaml"))];
        let documents = texts.iter().flat_map(|text| text.split("\n---\n"));
        Self { objects: documents.map(object).collect() }
    }

    /// An object, of which there must be exactly one.
    #[track_caller]
    pub(crate) fn get(&self, kind: &str, name: &str) -> &Value {
        let is = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        let found: Vec<_> = self.objects.iter().filter(is).collect();
        assert_eq!(found.len(), 1, "{kind} {name}");
        found[0]
    }

    /// The names of all objects of a kind.
    pub(crate) fn names(&self, kind: &str) -> Vec<&str> {
        let of_kind = self.objects.iter().filter(|object| object["kind"] == kind);
        of_kind.map(|object| text(&object["metadata"]["name"])).collect()
    }

    /// The pods of the Deployment.
    pub(crate) fn pod(&self) -> &Value {
        &self.get("Deployment", "web")["spec"]["template"]["spec"]
    }

    /// The containers of the pod, in the order in which they start.
    pub(crate) fn containers(&self) -> Vec<&Value> {
        let pod = self.pod();
        list(&pod["initContainers"]).iter().chain(list(&pod["containers"])).collect()
    }

    /// A container of the pod.
    #[track_caller]
    pub(crate) fn container(&self, name: &str) -> &Value {
        self.containers().into_iter().find(|container| container["name"] == name).expect(name)
    }
}

/// The elements of a list, which may be missing.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text, which must be one.
#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// The texts of a list, which may be missing.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().map(text).collect()
}

/// The number of the port that a probe or a service names.
#[track_caller]
pub(crate) fn port(container: &Value, name: &Value) -> u64 {
    let named = list(&container["ports"]).iter().find(|port| port["name"] == *name);
    named.and_then(|port| port["containerPort"].as_u64()).unwrap_or_else(|| panic!("port {name}"))
}

/// The object in a document.
fn object(document: &str) -> Value {
    let tree = yaml::read(&Bytes::copy_from_slice(document.as_bytes()), Top::Mapping).unwrap();
    value(&tree, tree.root().unwrap())
}

fn value(tree: &Tree, node: NodeId) -> Value {
    match tree.node(node) {
        Node::Scalar(Scalar::Null) => Value::Null,
        Node::Scalar(Scalar::Bool(is)) => Value::from(*is),
        Node::Scalar(Scalar::Int(number)) => Value::from(*number),
        Node::Scalar(Scalar::Unsigned(number)) => Value::from(*number),
        Node::Scalar(Scalar::Float(number)) => Value::from(*number),
        Node::Scalar(Scalar::Text(text)) => Value::from(utf8(text)),
        Node::Sequence(nodes) => nodes.iter().map(|node| value(tree, *node)).collect(),
        Node::Mapping(pairs) => {
            let pairs = pairs.iter().map(|(key, node)| (utf8(key), value(tree, *node)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
    }
}

fn utf8(text: &Bytes) -> String {
    String::from_utf8(text.to_vec()).unwrap()
}
