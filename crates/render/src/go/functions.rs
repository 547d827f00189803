//! The table of functions, with confd's names and Go signatures for the functions of [`funcs`].

use bytes::Bytes;
use gotmpl::types::{STRINGS, Type};
use gotmpl::{Failure, Functions, Map, Rest, Slice, Strings, Struct, Value};

use super::library::Library;
use super::time::GoTime;
use super::types::{
    FoundPairs, PLAIN_PAIRS, Pairs, appended_ints, appended_strings, key_and_value, pair,
    pairs_by_key, services, strings_or_nil,
};
use super::{Context, include, values};
use crate::funcs::{self, data, env, kv, math, net, path, text};
use crate::queries;

impl From<funcs::Error> for Failure {
    fn from(error: funcs::Error) -> Self {
        Failure::quoting(error.message())
    }
}

/// Every function of confd, in addition to the builtins of the language.
pub(super) fn table() -> Functions<Context> {
    let mut functions = Functions::new();
    functions.set_interrupt(in_time);
    add_store(&mut functions);
    add_text(&mut functions);
    add_numbers(&mut functions);
    add_data(&mut functions);
    add_order(&mut functions);
    add_world(&mut functions);
    queries::add_services(&mut functions);
    add_groups(&mut functions);
    include::add(&mut functions);
    functions.set_stock(Library);
    functions
}

/// Whether the rendering may go on. Functions that wait for the network check it themselves.
pub(super) fn in_time(context: &Context) -> Result<(), Failure> {
    context.clock.check().map_err(|over| Failure::new(over.to_string()))
}

/// The keys and values of the store.
fn add_store(functions: &mut Functions<Context>) {
    functions.add("exists", |cx: &Context, key: Bytes| cx.view.exists(&key));
    functions.add("get", |cx: &Context, key: Bytes| -> Result<Struct, Failure> {
        let (key, value) = kv::get(&cx.view, &cx.missing, key)?;
        Ok(pair(key, value))
    });
    functions.add("getv", |cx: &Context, key: Bytes, default: Rest<Bytes>| {
        let default = default.0.into_iter().next();
        kv::getv(&cx.view, &cx.missing, &key, default).map_err(Failure::from)
    });
    functions.add("gets", |cx: &Context, pattern: Bytes| -> Result<Slice, Failure> {
        let mut found = FoundPairs::default();
        kv::gets(&cx.view, &pattern, |pair| found.push(pair))?;
        Ok(found.into())
    });
    functions.add("getvs", |cx: &Context, pattern: Bytes| -> Result<Slice, Failure> {
        Ok(appended_strings(kv::getvs(&cx.view, &pattern)?))
    });
    functions.add("ls", |cx: &Context, folder: Bytes| appended_strings(cx.view.ls(&folder)));
    functions.add("lsdir", |cx: &Context, folder: Bytes| appended_strings(cx.view.lsdir(&folder)));
}

/// Strings and paths.
fn add_text(functions: &mut Functions<Context>) {
    functions.add("base", |_: &Context, name: Bytes| path::base(&name));
    functions.add("dir", |_: &Context, name: Bytes| path::dir(&name));
    functions.add("contains", |_: &Context, s: Bytes, needle: Bytes| text::contains(&s, &needle));
    functions.add("split", |_: &Context, s: Bytes, separator: Bytes| text::split(&s, &separator));
    functions.add("join", |_: &Context, list: Vec<Bytes>, separator: Bytes| {
        text::join(&list, &separator).map_err(Failure::from)
    });
    functions.add("replace", |_: &Context, s: Bytes, old: Bytes, new: Bytes, count: i64| {
        text::replace(&s, &old, &new, count).map_err(Failure::from)
    });
    functions.add("toUpper", |_: &Context, s: Bytes| text::to_upper(&s));
    functions.add("toLower", |_: &Context, s: Bytes| text::to_lower(&s));
    functions
        .add("trimSuffix", |_: &Context, s: Bytes, suffix: Bytes| text::trim_suffix(&s, &suffix));
}

/// Arithmetic and parsing.
fn add_numbers(functions: &mut Functions<Context>) {
    functions.add("add", |_: &Context, a: i64, b: i64| math::add(a, b));
    functions.add("sub", |_: &Context, a: i64, b: i64| math::sub(a, b));
    functions.add("mul", |_: &Context, a: i64, b: i64| math::mul(a, b));
    functions.add("div", |_: &Context, a: i64, b: i64| math::div(a, b).map_err(Failure::from));
    functions.add("mod", |_: &Context, a: i64, b: i64| math::modulo(a, b).map_err(Failure::from));
    functions.add("seq", |_: &Context, first: i64, last: i64| -> Result<Slice, Failure> {
        Ok(appended_ints(math::seq(first, last)?))
    });
    functions.add("atoi", |_: &Context, s: Bytes| math::atoi(&s).map_err(Failure::from));
    functions.add("parseBool", |_: &Context, s: Bytes| math::parse_bool(&s).map_err(Failure::from));
}

/// Structured and encoded data.
fn add_data(functions: &mut Functions<Context>) {
    functions.add("json", |_: &Context, s: Bytes| {
        values::object(&s).map_err(|error| Failure::quoting(error.message(&s)))
    });
    functions.add("jsonArray", |_: &Context, s: Bytes| {
        values::array(&s).map_err(|error| Failure::quoting(error.message(&s)))
    });
    functions.add("base64Encode", |_: &Context, s: Bytes| {
        data::base64_encode(&s).map_err(Failure::from)
    });
    functions.add("base64Decode", |_: &Context, s: Bytes| {
        data::base64_decode(&s).map_err(Failure::from)
    });
    functions.add("map", |_: &Context, entries: Rest<Value>| -> Result<Map, Failure> {
        let entries = data::map(entries.0, |key| key.as_bytes().cloned())?;
        Ok(Map::values(entries))
    });
}

/// The order of lists. All of these functions change the list that they get, as in confd.
fn add_order(functions: &mut Functions<Context>) {
    functions.add("reverse", |_: &Context, value: Value| {
        // The result of `gets` is of neither type, so `reverse` leaves it unchanged, as in confd.
        if let Value::Slice(list) = &value
            && [Type::Slice(&STRINGS), Type::Slice(&PLAIN_PAIRS)].contains(&Type::Slice(list.ty()))
        {
            list.modify(<[Value]>::reverse);
        }
        value
    });
    functions.add("sortByLength", |_: &Context, list: Strings| {
        let length = |text: &Value| text.as_bytes().map_or(0, Bytes::len);
        list.0.modify(|texts| text::sort_by_length(texts, length));
        list.0
    });
    functions.add("sortKVByLength", |_: &Context, list: Pairs| {
        list.0.modify(|pairs| text::sort_by_length(pairs, key_length));
        list
    });
}

fn key_length(pair: &Value) -> usize {
    match pair {
        Value::Struct(pair) => pair.field(b"Key").and_then(Value::as_bytes).map_or(0, Bytes::len),
        _ => 0,
    }
}

/// Pairs of the store as maps. consul-template has these functions for pairs of Consul.
fn add_groups(functions: &mut Functions<Context>) {
    functions.add("byKey", |_: &Context, pairs: Pairs| pairs_by_key(&pairs));
    functions.add("explode", |_: &Context, pairs: Pairs| {
        let pairs = pairs.0.elements().iter().filter_map(key_and_value).collect::<Vec<_>>();
        queries::explode("explode", pairs)
    });
}

/// Environment, clock, files and names.
fn add_world(functions: &mut Functions<Context>) {
    functions.add("getenv", |cx: &Context, name: Bytes, default: Rest<Bytes>| {
        env::getenv(&*cx.host, &name, default.0.into_iter().next())
    });
    functions.add("datetime", |cx: &Context| GoTime(cx.host.now()));
    functions.add("fileExists", |cx: &Context, path: Bytes| cx.host.file_exists(&path));
    functions.add("lookupIP", |cx: &Context, name: Bytes| -> Result<Slice, Failure> {
        in_time(cx)?;
        Ok(strings_or_nil(net::lookup_ip(&*cx.host, &cx.warnings, &name)))
    });
    functions.add("lookupIPV4", |cx: &Context, name: Bytes| -> Result<Slice, Failure> {
        in_time(cx)?;
        Ok(strings_or_nil(net::lookup_ipv4(&*cx.host, &cx.warnings, &name)))
    });
    functions.add("lookupIPV6", |cx: &Context, name: Bytes| -> Result<Slice, Failure> {
        in_time(cx)?;
        Ok(strings_or_nil(net::lookup_ipv6(&*cx.host, &cx.warnings, &name)))
    });
    functions.add(
        "lookupSRV",
        |cx: &Context, service: Bytes, protocol: Bytes, name: Bytes| -> Result<Slice, Failure> {
            in_time(cx)?;
            Ok(services(net::lookup_srv(&*cx.host, &cx.warnings, &service, &protocol, &name)))
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_confd() {
        let functions = table();
        for line in [
            "add int int",
            "atoi string",
            "base string",
            "base64Decode string",
            "base64Encode string",
            "contains string string",
            "datetime",
            "dir string",
            "div int int",
            "exists string",
            "fileExists string",
            "get string",
            "gets string",
            "getenv string ...string",
            "getv string ...string",
            "getvs string",
            "join []string string",
            "json string",
            "jsonArray string",
            "lookupIP string",
            "lookupIPV4 string",
            "lookupIPV6 string",
            "lookupSRV string string string",
            "ls string",
            "lsdir string",
            "map ...interface {}",
            "mod int int",
            "mul int int",
            "parseBool string",
            "replace string string string int",
            "reverse interface {}",
            "seq int int",
            "sortByLength []string",
            "sortKVByLength []memkv.KVPair",
            "split string string",
            "sub int int",
            "toLower string",
            "toUpper string",
            "trimSuffix string string",
        ] {
            let name = line.split(' ').next().expect("a name");
            let signature = functions.signature(name).expect(name);
            let mut words = vec![name.to_owned()];
            for (place, ty) in signature.params.iter().enumerate() {
                let rest = signature.variadic && place + 1 == signature.params.len();
                words.push(format!("{}{ty}", if rest { "..." } else { "" }));
            }
            assert_eq!(words.join(" "), line);
            // Only `reverse` has a result of static type `interface {}`.
            assert_eq!(signature.result == Type::Interface, name == "reverse", "{name}");
        }
        // 18 more ask Consul or group what it answers, and two execute templates.
        let library = crate::library::table();
        let others = library.len() + Functions::<()>::new().names().count();
        assert_eq!(functions.names().count(), 39 + 18 + 2 + others);
        // A name that is registered hides one of the library.
        let is_hidden = |name: &&str| functions.names().filter(|known| known == name).count() > 1;
        assert_eq!(library.iter().map(|(name, _)| *name).find(is_hidden), None);
    }
}
