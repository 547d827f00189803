//! The table of functions, with Tera's argument names for the functions of [`funcs`].
//!
//! A function is called with named arguments. If it takes a value it is a filter too:
//! `getv(key="/a")` and `"/a" | getv`, `split(text=x, pat=":")` and `x | split(pat=":")`. Arguments
//! in parentheses below are optional.
//!
//! | function | arguments | answer |
//! |---|---|---|
//! | `exists` | `key` | true or false |
//! | `get` | `key` | a map: `key`, `value` |
//! | `getv` | `key`, (`default`) | a string |
//! | `gets` | `pattern` | a list of maps: `key`, `value` |
//! | `getvs` | `pattern` | a list of strings |
//! | `ls`, `lsdir` | `path` | a list of strings |
//! | `base`, `dir` | `path` | a string |
//! | `contains` | `text`, `pat` | true or false |
//! | `split` | `text`, `pat` | a list of strings |
//! | `join` | `list`, (`sep`) | a string |
//! | `replace` | `text`, `from`, `to`, (`count`: all) | a string |
//! | `toUpper`, `toLower` | `text` | a string |
//! | `trimSuffix` | `text`, `suffix` | a string |
//! | `add`, `sub`, `mul`, `div`, `mod` | `a`, `b` | an integer |
//! | `seq` | `first`, `last` | a list of integers |
//! | `atoi` | `text` | an integer |
//! | `parseBool` | `text` | true or false |
//! | `json` | `text` | a map |
//! | `jsonArray` | `text` | a list |
//! | `base64Encode`, `base64Decode` | `text` | a string |
//! | `map` | any | a map of the arguments, by name |
//! | `reverse` | `list` | a list |
//! | `sortByLength` | `list`, of strings | a list |
//! | `sortKVByLength` | `list`, as of `gets` | a list |
//! | `getenv` | `name`, (`default`) | a string |
//! | `datetime` | (`format`), (`utc`), (`timestamp`) | a string, with `timestamp=true` an integer |
//! | `fileExists` | `path` | true or false |
//! | `lookupIP`, `lookupIPV4`, `lookupIPV6` | `name` | a list of strings |
//! | `lookupSRV` | `name`, `service`, `protocol` | a list of maps: `target`, `port`, `priority`, `weight` |
//! | `service`, `connect` | `name`, (`filter`) | a list of maps |
//! | `preparedQuery` | `name` | a list of maps |
//! | `services`, `nodes`, `peerings` | (`query`) | a list of maps |
//! | `node` | (`name`) | a map: `Node`, `Services` |
//! | `datacenters` | (`reachable`) | a list of strings |
//! | `caRoots`, `partitions` | | a list of maps |
//! | `caLeaf` | `service` | a map |
//! | `exportedServices` | (`partition`) | a list of maps |
//! | `importedServices` | `partition` | a list of maps |
//! | `byTag`, `byPort` | `list` | a map of lists |
//! | `byMeta` | `list`, `keys` | a map of lists |
//! | `byKey` | `pairs`, as of `gets` | a map of maps |
//! | `explode` | `pairs`, as of `gets` | a map |
//!
//! Tera has filters with some of these names:
//!
//! - `get` and `reverse` stay Tera's filters: `get` reads an entry of a map, and `reverse` reverses
//!   lists of any values and strings. The function `get` reads the store; the function `reverse`
//!   does what the filter does.
//! - `join`, `replace` and `split` are confd's, which can do everything that Tera's can. `replace`
//!   can also stop after `count` replacements. `split` with an empty separator gives the
//!   characters, as in Go; Tera's own adds an empty string before and behind them.
//!
//! The functions of sprig and Helm are in `library`.
//!
//! Lists are never changed in place, unlike in Go templates: sorting and reversing return a new
//! list.

use ::tera::Value;
use bytes::Bytes;
use store::Pair;
use world::time::{Location, Time};

use super::binding::{Answer, Failure, Function};
use super::queries;
use super::scope::Context;
use super::values::{self, Keyed};
use crate::funcs::{self, data, env, kv, math, net, path, text};

/// A count that `replace` never reaches.
const EVERYWHERE: i64 = -1;

/// Every function of confd, without Tera's own.
pub(super) fn table() -> Vec<Function> {
    let own = [store(), strings(), numbers(), structures(), order(), world()];
    own.into_iter().flatten().chain(queries::table()).collect()
}

/// The keys and values of the store.
fn store() -> Vec<Function> {
    vec![
        Function::with_filter("exists", &["key"], |cx: &Context, key: Bytes| cx.view.exists(&key)),
        Function::new("get", &["key"], |cx: &Context, key: Bytes| -> Result<Value, Failure> {
            let (key, value) = kv::get(&cx.view, &cx.missing, key)?;
            values::pair(&key, &value)
        }),
        Function::with_filter(
            "getv",
            &["key", "default"],
            |cx: &Context, key: Bytes, default: Option<Bytes>| -> Result<Value, Failure> {
                values::value_of(&key, &kv::getv(&cx.view, &cx.missing, &key, default)?)
            },
        ),
        Function::with_filter("gets", &["pattern"], |cx: &Context, pattern: Bytes| {
            pairs(cx, &pattern)
        }),
        Function::with_filter(
            "getvs",
            &["pattern"],
            |cx: &Context, pattern: Bytes| -> Result<Value, Failure> {
                kv::getvs(&cx.view, &pattern)?.into_value().or_else(|failure| {
                    // The conversion of the pairs names the key of a value that is not UTF-8.
                    pairs(cx, &pattern).into_value()?;
                    Err(failure)
                })
            },
        ),
        Function::with_filter("ls", &["path"], |cx: &Context, path: Bytes| cx.view.ls(&path)),
        Function::with_filter("lsdir", &["path"], |cx: &Context, path: Bytes| cx.view.lsdir(&path)),
    ]
}

/// The pairs that match `pattern`.
fn pairs(cx: &Context, pattern: &[u8]) -> Result<Vec<Pair>, funcs::Error> {
    let mut pairs = Vec::new();
    kv::gets(&cx.view, pattern, |pair| pairs.push(pair))?;
    Ok(pairs)
}

/// Strings and paths.
fn strings() -> Vec<Function> {
    vec![
        Function::with_filter("base", &["path"], |_: &Context, name: Bytes| path::base(&name)),
        Function::with_filter("dir", &["path"], |_: &Context, name: Bytes| path::dir(&name)),
        Function::with_filter("contains", &["text", "pat"], |_: &Context, s: Bytes, pat: Bytes| {
            text::contains(&s, &pat)
        }),
        Function::with_filter("split", &["text", "pat"], |_: &Context, s: Bytes, pat: Bytes| {
            text::split(&s, &pat)
        }),
        Function::with_filter(
            "join",
            &["list", "sep"],
            |_: &Context, list: Vec<Value>, separator: Option<Bytes>| {
                // Elements of any kind are joined as they would be printed.
                let list: Vec<_> = list.iter().map(|value| value.to_string().into()).collect();
                text::join(&list, &separator.unwrap_or_default())
            },
        ),
        Function::with_filter(
            "replace",
            &["text", "from", "to", "count"],
            |_: &Context, s: Bytes, from: Bytes, to: Bytes, count: Option<i64>| {
                text::replace(&s, &from, &to, count.unwrap_or(EVERYWHERE))
            },
        ),
        Function::with_filter("toUpper", &["text"], |_: &Context, s: Bytes| text::to_upper(&s)),
        Function::with_filter("toLower", &["text"], |_: &Context, s: Bytes| text::to_lower(&s)),
        Function::with_filter(
            "trimSuffix",
            &["text", "suffix"],
            |_: &Context, s: Bytes, suffix: Bytes| text::trim_suffix(&s, &suffix),
        ),
    ]
}

/// Arithmetic and parsing.
fn numbers() -> Vec<Function> {
    vec![
        Function::with_filter("add", &["a", "b"], |_: &Context, a: i64, b: i64| math::add(a, b)),
        Function::with_filter("sub", &["a", "b"], |_: &Context, a: i64, b: i64| math::sub(a, b)),
        Function::with_filter("mul", &["a", "b"], |_: &Context, a: i64, b: i64| math::mul(a, b)),
        Function::with_filter("div", &["a", "b"], |_: &Context, a: i64, b: i64| math::div(a, b)),
        Function::with_filter("mod", &["a", "b"], |_: &Context, a: i64, b: i64| math::modulo(a, b)),
        Function::with_filter("seq", &["first", "last"], |_: &Context, first: i64, last: i64| {
            math::seq(first, last).map(Vec::from_iter)
        }),
        Function::with_filter("atoi", &["text"], |_: &Context, s: Bytes| math::atoi(&s)),
        Function::with_filter("parseBool", &["text"], |_: &Context, s: Bytes| math::parse_bool(&s)),
    ]
}

/// Structured and encoded data.
fn structures() -> Vec<Function> {
    vec![
        Function::with_filter("json", &["text"], |_: &Context, s: Bytes| values::object(&s)),
        Function::with_filter("jsonArray", &["text"], |_: &Context, s: Bytes| values::array(&s)),
        Function::with_filter("base64Encode", &["text"], |_: &Context, s: Bytes| {
            data::base64_encode(&s)
        }),
        Function::with_filter("base64Decode", &["text"], |_: &Context, s: Bytes| {
            data::base64_decode(&s)
        }),
        Function::of_any("map", |entries| Ok(values::map(entries))),
    ]
}

/// The order of lists.
fn order() -> Vec<Function> {
    vec![
        Function::new("reverse", &["list"], |_: &Context, list: Value| {
            list.reverse().map_err(|error| Failure::new(error.to_string()))
        }),
        Function::with_filter("sortByLength", &["list"], |_: &Context, mut list: Vec<Bytes>| {
            text::sort_by_length(&mut list, Bytes::len);
            list
        }),
        Function::with_filter("sortKVByLength", &["list"], |_: &Context, mut list: Vec<Keyed>| {
            text::sort_by_length(&mut list, Keyed::key_length);
            list
        }),
    ]
}

/// Environment, clock, files and names.
fn world() -> Vec<Function> {
    vec![
        Function::with_filter(
            "getenv",
            &["name", "default"],
            |cx: &Context, name: Bytes, default: Option<Bytes>| -> Result<Value, Failure> {
                let value = env::getenv(&*cx.host, &name, default);
                values::text(&value, || format!("the value of {}", String::from_utf8_lossy(&name)))
            },
        ),
        Function::new("datetime", &["format", "utc", "timestamp"], datetime),
        Function::with_filter("fileExists", &["path"], |cx: &Context, path: Bytes| {
            cx.host.file_exists(&path)
        }),
        Function::with_filter("lookupIP", &["name"], |cx: &Context, name: Bytes| {
            net::lookup_ip(&*cx.host, &cx.warnings, &name)
        }),
        Function::with_filter("lookupIPV4", &["name"], |cx: &Context, name: Bytes| {
            net::lookup_ipv4(&*cx.host, &cx.warnings, &name)
        }),
        Function::with_filter("lookupIPV6", &["name"], |cx: &Context, name: Bytes| {
            net::lookup_ipv6(&*cx.host, &cx.warnings, &name)
        }),
        Function::with_filter(
            "lookupSRV",
            &["name", "service", "protocol"],
            |cx: &Context, name: Bytes, service: Bytes, protocol: Bytes| {
                net::lookup_srv(&*cx.host, &cx.warnings, &service, &protocol, &name)
            },
        ),
    ]
}

/// The current time, as Go prints it; with `format`, in that layout of Go (`2006-01-02 15:04:05`);
/// with `timestamp`, as seconds since 1970. In the zone of this machine, or with `utc` in UTC.
fn datetime(
    cx: &Context,
    format: Option<Bytes>,
    utc: Option<bool>,
    timestamp: Option<bool>,
) -> Result<Value, Failure> {
    let now = cx.host.now();
    let now: Time = if utc.unwrap_or_default() { now.at(Location::Utc) } else { now };
    match (format, timestamp.unwrap_or_default()) {
        (None, false) => Ok(now.to_string().into()),
        (None, true) => Ok(now.unix().into()),
        (Some(layout), false) => Bytes::from(now.format(&layout)).into_value(),
        (Some(_), true) => Err(Failure::new("a timestamp has no format")),
    }
}
