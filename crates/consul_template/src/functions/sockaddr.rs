//! The function `sockaddr`: addresses of this machine, chosen by a template of its own.
//!
//! The argument is a pipeline: `GetAllInterfaces | include "name" "^eth0$" | attr "address"`. A source
//! gives a list of addresses, and each function after it chooses, sorts or changes them.

mod address;
mod choose;
mod rfc;

use std::any::Any;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use gotmpl::types::{IntegerType, Method, ObjectType, SliceType, Type};
use gotmpl::{Argument, Failure, Functions, Object, Rest, Returned, Slice, Template, Value};

use self::address::Address;
use super::Context;
use render::library::values::{lossy, type_of};

/// The name of the template, which errors show.
const NAME: &str = "sockaddr.Parse";

/// What the functions of one template can use.
struct Known {
    all: Vec<Address>,
    /// The interface with the default route.
    default: Option<String>,
}

/// `sockaddr.IfAddr`.
static ADDRESS: ObjectType = ObjectType { name: "sockaddr.IfAddr", fields: &[], methods: &METHODS };

/// `sockaddr.IfAddrs`.
static ADDRESSES: SliceType =
    SliceType { name: Some("sockaddr.IfAddrs"), elem: Type::Object(&ADDRESS), methods: &[] };

/// `uint`.
static UINT: IntegerType =
    IntegerType { name: "uint", signed: false, bits: 64, stringer: None, methods: &[] };

static METHODS: [Method; 5] = [
    method("HardwareAddr", |value, _| read(value, |one| Value::from(&*one.interface.hardware))),
    method("Index", |value, _| read(value, |one| Value::Int(one.interface.index.into()))),
    method("MTU", |value, _| read(value, |one| Value::Int(one.interface.mtu.into()))),
    method("Name", |value, _| read(value, |one| Value::from(&*one.interface.name))),
    method("String", |value, _| read(value, |one| Value::from(one.to_string()))),
];

/// A method without arguments.
const fn method(
    name: &'static str,
    call: fn(&Value, &mut [Value]) -> Result<Value, Failure>,
) -> Method {
    Method { name, params: &[], variadic: false, results: 1, call }
}

/// Passes the receiver of a method to `look`.
fn read(receiver: &Value, look: fn(&Address) -> Value) -> Result<Value, Failure> {
    Address::of(receiver).map(look).ok_or_else(|| Failure::new("receiver is no address"))
}

impl Address {
    /// The address that a value is.
    fn of(value: &Value) -> Option<&Address> {
        let Value::Object(object) = value else { return None };
        let object: &dyn Any = &**object;
        object.downcast_ref()
    }
}

impl Object for Address {
    fn ty(&self) -> &'static ObjectType {
        &ADDRESS
    }

    fn text(&self) -> Option<Bytes> {
        Some(self.to_string().into())
    }

    fn inside(&self) -> Value {
        Value::from(self.to_string())
    }

    fn equals(&self, other: &dyn Object) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<Address>().is_some_and(|other| self == other)
    }
}

/// The result of a source or a choice, and the last argument of a choice.
struct List(Vec<Address>);

impl Argument for List {
    const TYPE: Type = Type::Slice(&ADDRESSES);

    fn from_value(value: Value) -> Option<List> {
        let elements = value.as_slice()?.elements().to_vec();
        elements.iter().map(|one| Address::of(one).cloned()).collect::<Option<_>>().map(List)
    }
}

impl Returned for List {
    const TYPE: Type = Type::Slice(&ADDRESSES);

    fn into_value(self) -> Result<Value, Failure> {
        let elements = self.0.into_iter().map(|one| Value::Object(Rc::new(one)));
        Ok(Value::Slice(Slice::of(&ADDRESSES, elements.collect())))
    }
}

/// A `uint`.
struct Uint(u64);

impl Argument for Uint {
    const TYPE: Type = Type::Integer(&UINT);

    fn from_value(value: Value) -> Option<Uint> {
        match value {
            Value::Integer(_, bits) => Some(Uint(bits)),
            _ => None,
        }
    }
}

pub(super) fn add(functions: &mut Functions<Context>) {
    functions.add("sockaddr", |_: &Context, words: Rest<Bytes>| {
        let words: Vec<_> = words.0.iter().map(lossy).collect();
        let all = world::interfaces::interfaces()
            .map_err(|cause| Failure::new(report::errno_text(&cause)))?;
        let known = Known {
            all: all.into_iter().map(Address::new).collect(),
            default: world::interfaces::default_interface(),
        };
        evaluate(&words.join(" "), &known)
    });
}

/// The output of a pipeline.
fn evaluate(pipeline: &str, known: &Known) -> Result<Vec<u8>, Failure> {
    let source = format!("{{{{ {pipeline} }}}}");
    let shown = gotmpl::quote(source.as_bytes());
    let template = Template::parse(NAME, source, table())
        .map_err(|error| Failure::new(format!("unable to parse template {shown}: {error}")))?;
    let mut out = Vec::new();
    template.execute(known, Value::Nil, &mut out).map_err(|error| {
        Failure::new(format!("unable to execute sockaddr input {shown}: {error}"))
    })?;
    Ok(out)
}

/// The functions of a pipeline.
fn table() -> &'static Arc<Functions<Known>> {
    static TABLE: OnceLock<Arc<Functions<Known>>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut functions = Functions::new();
        add_sources(&mut functions);
        add_choices(&mut functions);
        Arc::new(functions)
    })
}

fn add_sources(functions: &mut Functions<Known>) {
    functions.add("GetAllInterfaces", |known: &Known| List(known.all.clone()));
    functions.add("GetDefaultInterfaces", |known: &Known| {
        let is_default = |one: &&Address| Some(&one.interface.name) == known.default.as_ref();
        List(known.all.iter().filter(is_default).cloned().collect())
    });
    for (name, is_private) in [("GetPrivateInterfaces", true), ("GetPublicInterfaces", false)] {
        functions.add(name, move |known: &Known| List(choose::reachable(known, is_private)));
    }
    for (name, is_private) in [("GetPrivateIP", true), ("GetPublicIP", false)] {
        functions.add(name, move |known: &Known| {
            let first = choose::reachable(known, is_private).into_iter().next();
            first.map_or(String::new(), |one| one.ip().to_string())
        });
    }
    for (name, is_private) in [("GetPrivateIPs", true), ("GetPublicIPs", false)] {
        functions.add(name, move |known: &Known| {
            let all = choose::sorted("type,size", known.all.clone(), known)?;
            let fits = |one: &&Address| one.is_private() == is_private && one.is_forwardable();
            let found: Vec<_> = all.iter().filter(fits).map(|one| one.ip().to_string()).collect();
            Ok::<_, Failure>(found.join(" "))
        });
    }
    functions.add("GetInterfaceIP", |known: &Known, name: Bytes| {
        let (found, _) = choose::by("name", &lossy(&name), known.all.clone())?;
        let (found, _) = choose::by("flags", "forwardable", found)?;
        let first = choose::sorted("type,size", found, known)?.into_iter().next();
        Ok::<_, Failure>(first.map_or(String::new(), |one| one.ip().to_string()))
    });
    functions.add("GetInterfaceIPs", |known: &Known, name: Bytes| {
        let (found, _) = choose::by("name", &lossy(&name), known.all.clone())?;
        let found = choose::sorted("type,size", found, known)?;
        let found: Vec<_> = found.iter().map(|one| one.ip().to_string()).collect();
        Ok::<_, Failure>(found.join(" "))
    });
}

fn add_choices(functions: &mut Functions<Known>) {
    for (name, includes) in [("include", true), ("exclude", false)] {
        functions.add(name, move |_: &Known, selector: Bytes, what: Bytes, list: List| {
            let selector = lossy(&selector);
            if !choose::SELECTORS.contains(&&*selector.to_lowercase()) {
                return Err(Failure::new(format!("invalid {name} selector {selector:?}")));
            }
            let (fitting, others) = choose::by(&selector.to_lowercase(), &lossy(&what), list.0)?;
            Ok(List(if includes { fitting } else { others }))
        });
    }
    functions.add("sort", |known: &Known, by: Bytes, list: List| {
        choose::sorted(&lossy(&by), list.0, known).map(List)
    });
    functions.add("unique", |_: &Known, by: Bytes, list: List| {
        let key: fn(&Address) -> String = match &*lossy(&by).to_lowercase() {
            "address" => Address::cidr,
            "name" => |one| one.interface.name.clone(),
            _ => {
                let by = lossy(&by);
                return Err(Failure::new(format!("unsupported unique constraint {by:?}")));
            }
        };
        let mut list = list.0;
        list.dedup_by_key(|one| key(one));
        Ok(List(list))
    });
    functions.add("limit", |_: &Known, limit: Uint, mut list: List| {
        list.0.truncate(usize::try_from(limit.0).unwrap_or(usize::MAX));
        list
    });
    functions.add("offset", |_: &Known, offset: i64, list: List| {
        let count = list.0.len();
        let distance = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        if distance > count {
            return Err(Failure::new(format!(
                "unable to seek past the end of the interface array: offset ({}) exceeds the \
                 number of interfaces ({count})",
                offset.unsigned_abs()
            )));
        }
        let first = if offset < 0 { count - distance } else { distance };
        Ok(List(list.0[first..].to_vec()))
    });
    functions.add("join", |_: &Known, name: Bytes, separator: Bytes, list: List| {
        let name = lossy(&name).to_lowercase();
        let values: Result<Vec<_>, _> = list.0.iter().map(|one| one.attribute(&name)).collect();
        values.map(|values| values.join(&*lossy(&separator)))
    });
    functions.add("attr", |_: &Known, name: Bytes, value: Value| {
        let attribute = lossy(&name).to_lowercase();
        if let Some(one) = Address::of(&value) {
            return one.attribute(&attribute);
        }
        if let Some(List(list)) = List::from_value(value.clone()) {
            return list.first().map_or(Ok(String::new()), |one| one.attribute(&attribute));
        }
        let (name, ty, text) = (lossy(&name), type_of(&value), lossy(&value.text()));
        let why = format!("unable to obtain attribute {name} from type {ty} ({text})");
        Err(Failure::new(why))
    });
    functions.add("math", |_: &Known, operation: Bytes, number: Bytes, list: List| {
        let (operation, number) = (lossy(&operation), lossy(&number));
        let changed = list.0.into_iter().map(|one| {
            one.changed(&operation, &number).map_err(|why| {
                Failure::new(format!("unable to perform an IPMath operation on {one}: {why}"))
            })
        });
        changed.collect::<Result<_, _>>().map(List)
    });
}

#[cfg(test)]
mod tests {
    use world::interfaces::Interface;

    use super::*;

    fn known() -> Known {
        let lo = |address: &str, prefix| Interface {
            index: 1,
            mtu: 65536,
            name: "lo".to_owned(),
            hardware: String::new(),
            flags: vec!["up", "loopback", "running"],
            address: address.parse().unwrap(),
            prefix,
        };
        let eth = |address: &str, prefix| Interface {
            index: 4,
            mtu: 1400,
            name: "eth0".to_owned(),
            hardware: "02:fc:00:00:00:01".to_owned(),
            flags: vec!["up", "broadcast", "multicast", "running"],
            ..lo(address, prefix)
        };
        let all = vec![
            lo("127.0.0.1", 8),
            lo("::1", 128),
            eth("192.0.2.2", 24),
            eth("fd00::2", 64),
            eth("fe80::fc:ff:fe00:1", 64),
        ];
        Known { all: all.into_iter().map(Address::new).collect(), default: Some("eth0".to_owned()) }
    }

    /// Each line has a pipeline and what consul-template 0.42.1 answered on a machine with these
    /// addresses, with a tab between them.
    #[test]
    fn pipelines_answer_as_recorded() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sockaddr");
        let table = std::fs::read_to_string(path).unwrap();
        let mut faults = Vec::new();
        for line in table.lines() {
            let (pipeline, recorded) = line.split_once('\t').unwrap();
            let ours = match evaluate(pipeline, &known()) {
                Ok(text) => String::from_utf8(text).unwrap(),
                Err(failure) => format!("error: {failure}"),
            };
            if ours != recorded {
                faults.push(format!("{pipeline}\n  recorded: {recorded}\n  we say:   {ours}"));
            }
        }
        assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults.join("\n"));
    }
}
