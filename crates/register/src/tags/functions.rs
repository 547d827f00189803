//! The functions of the template.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use gotmpl::{Failure, Functions, Rest, Slice, Value};
use nodes::body::Bounds;
use nodes::{Error, address};
use regex::bytes::Regex;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// The time that `httpGet` waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the functions of one execution can use.
pub(super) struct Context {
    runtime: Handle,
    problems: RefCell<Vec<String>>,
}

impl Context {
    pub(super) fn new(runtime: Handle) -> Context {
        Context { runtime, problems: RefCell::default() }
    }

    /// What went wrong without ending the execution.
    pub(super) fn into_problems(self) -> Vec<String> {
        self.problems.into_inner()
    }

    fn get(&self, url: &str) -> Bytes {
        let answer = self.runtime.block_on(timeout(PATIENCE, get(url)));
        let problem = match answer {
            Ok(Ok(body)) => return body.into(),
            Ok(Err(problem)) => problem,
            Err(_) => format!("no answer within {} seconds", PATIENCE.as_secs()),
        };
        self.problems.borrow_mut().push(format!("httpGet {}: {problem}", address::shown(url)));
        Bytes::new()
    }
}

async fn get(url: &str) -> Result<Vec<u8>, String> {
    let tls = url.starts_with("https:").then(tls::Options::default);
    let client = client_http::builder(tls.as_ref()).map_err(|error: Error| error.to_string())?;
    let client = client.build().map_err(|error| error.to_string())?;
    let answer = client.get(url).send().await;
    let answer = answer.map_err(|error| client_http::chain(&error).to_string())?;
    let body = client_http::body(answer, Bounds::default(), client_http::chain).await;
    body.map_err(|cause| cause.to_string())
}

/// All functions.
pub(super) fn table() -> Functions<Context> {
    let mut all = Functions::new();
    all.add("strSlice", |_: &Context, text: Bytes, bounds: Rest<i64>| slice(&text, &bounds.0));
    all.add("sIndex", |_: &Context, index: i64, list: Vec<Bytes>| element(index, &list));
    all.add("mIndex", |_: &Context, key: Bytes, map: Value| {
        let found = map.as_map().and_then(|map| map.get(&key));
        found.map_or(Bytes::new(), |value| value.text())
    });
    all.add("toUpper", |_: &Context, text: Bytes| cased(&text, str::to_uppercase));
    all.add("toLower", |_: &Context, text: Bytes| cased(&text, str::to_lowercase));
    all.add("replace", |_: &Context, count: i64, old: Bytes, new: Bytes, text: Bytes| {
        replaced(count, &old, &new, &text)
    });
    all.add("join", |_: &Context, separator: Bytes, list: Vec<Bytes>| -> Bytes {
        list.join(&separator[..]).into()
    });
    all.add("split", |_: &Context, separator: Bytes, text: Bytes| {
        Slice::strings(split(&separator, &text))
    });
    all.add("splitIndex", |_: &Context, index: i64, separator: Bytes, text: Bytes| {
        element(index, &split(&separator, &text))
    });
    all.add("matchFirstElement", |_: &Context, expression: Bytes, list: Vec<Bytes>| {
        let expression = compiled(&expression)?;
        let found = list.into_iter().find(|text| expression.is_match(text));
        Ok::<_, Failure>(found.unwrap_or_default())
    });
    all.add("matchAllElements", |_: &Context, expression: Bytes, list: Vec<Bytes>| {
        let expression = compiled(&expression)?;
        let found = list.into_iter().filter(|text| expression.is_match(text));
        Ok::<_, Failure>(Slice::strings(found))
    });
    all.add("httpGet", |context: &Context, url: Bytes| context.get(&String::from_utf8_lossy(&url)));
    all.add("jsonParse", |_: &Context, json: Bytes, path: Bytes| at_path(&json, &path));
    all
}

/// A part of a text, by the places of bytes. A place behind the end gives the whole text, and an end
/// before the beginning counts as none.
fn slice(text: &Bytes, bounds: &[i64]) -> Result<Bytes, Failure> {
    let outside = || Failure::new("runtime error: slice bounds out of range");
    let places: Result<Vec<usize>, _> =
        bounds.iter().map(|&place| usize::try_from(place)).collect();
    let places = places.map_err(|_| outside())?;
    Ok(match places[..] {
        [] => text.clone(),
        [from, ..] if from > text.len() => text.clone(),
        [_, to, ..] if to > text.len() => text.clone(),
        [from, to, ..] if to >= from => text.slice(from..to),
        [from, ..] => text.slice(from..),
    })
}

/// An element of a list. A negative index counts from the end. An index behind an end is that of the
/// end.
fn element(index: i64, list: &[Bytes]) -> Bytes {
    let Some(last) = i64::try_from(list.len()).ok().and_then(|length| length.checked_sub(1)) else {
        return Bytes::new();
    };
    let index = if index < 0 { last + 1 + index.max(-last - 1) } else { index.min(last) };
    usize::try_from(index).ok().and_then(|index| list.get(index)).cloned().unwrap_or_default()
}

fn cased(text: &[u8], change: fn(&str) -> String) -> Bytes {
    change(&String::from_utf8_lossy(text)).into()
}

/// The text with the first `count` occurrences of `old` replaced; all for a negative count.
fn replaced(count: i64, old: &[u8], new: &[u8], text: &[u8]) -> Bytes {
    let (old, new, text) =
        (String::from_utf8_lossy(old), String::from_utf8_lossy(new), String::from_utf8_lossy(text));
    match usize::try_from(count) {
        Ok(count) => text.replacen(&*old, &new, count),
        Err(_) => text.replace(&*old, &new),
    }
    .into()
}

/// The parts of a text. An empty separator gives its characters.
fn split(separator: &[u8], text: &[u8]) -> Vec<Bytes> {
    let (separator, text) = (String::from_utf8_lossy(separator), String::from_utf8_lossy(text));
    match separator.is_empty() {
        true => text.chars().map(|letter| letter.to_string().into()).collect(),
        false => text.split(&*separator).map(|part| part.to_owned().into()).collect(),
    }
}

fn compiled(expression: &[u8]) -> Result<Regex, Failure> {
    let text = String::from_utf8_lossy(expression);
    Regex::new(&text).map_err(|_| Failure::new(format!("error parsing regexp: `{text}`")))
}

/// The value at a path with `::` between its names; empty if there is none.
fn at_path(json: &[u8], path: &[u8]) -> Bytes {
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(json) else {
        return Bytes::new();
    };
    let path = String::from_utf8_lossy(path);
    let mut found = Some(&document);
    for name in path.split("::") {
        found = found.and_then(|value| match name.parse::<usize>() {
            Ok(index) if value.is_array() => value.get(index),
            _ => value.get(name),
        });
    }
    match found {
        None | Some(serde_json::Value::Null) => Bytes::new(),
        Some(serde_json::Value::String(text)) => text.clone().into(),
        Some(other) => other.to_string().into(),
    }
}
