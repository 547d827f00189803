//! What every backend promises, as tests that every source runs.
//!
//! A source takes part through a [`Fixture`]: a store of its kind that a test can fill. What sources
//! may differ in is a constant of the fixture, so that the difference is written down; everything
//! else is the same for all.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use base64::Engine;
use store::{Key, Prefix, Scope, View};

use crate::{Backend, Env, File};

/// A store that a test can change, and the backend that reads it.
trait Fixture: Default {
    /// Whether `/app` also stands for `/apple`, as confd has it for some sources.
    const MATCHES_TEXT: bool;
    /// Bytes that no value in this source can hold.
    const IMPOSSIBLE: &[u8];

    fn set(&mut self, key: &str, value: &[u8]);
    fn delete(&mut self, key: &str);
    /// A backend over the store as it is now.
    fn backend(&self) -> Box<dyn Backend>;
}

#[derive(Default)]
struct Environment(BTreeMap<String, Vec<u8>>);

impl Environment {
    fn name(key: &str) -> String {
        key.trim_start_matches('/').replace('/', "_").to_uppercase()
    }
}

impl Fixture for Environment {
    const MATCHES_TEXT: bool = true;
    const IMPOSSIBLE: &[u8] = b"\0";

    fn set(&mut self, key: &str, value: &[u8]) {
        self.0.insert(Environment::name(key), value.to_vec());
    }

    fn delete(&mut self, key: &str) {
        self.0.remove(&Environment::name(key));
    }

    fn backend(&self) -> Box<dyn Backend> {
        let variables = self.0.iter();
        Box::new(Env::new(
            variables.map(|(name, value)| (name.into(), OsString::from_vec(value.clone()))),
        ))
    }
}

/// Two files in a folder; each key is in one of them.
struct Files {
    folder: tempfile::TempDir,
    pairs: BTreeMap<String, Vec<u8>>,
}

impl Default for Files {
    fn default() -> Self {
        Files { folder: tempfile::tempdir().unwrap(), pairs: BTreeMap::new() }
    }
}

impl Fixture for Files {
    const MATCHES_TEXT: bool = true;
    const IMPOSSIBLE: &[u8] = b"";

    fn set(&mut self, key: &str, value: &[u8]) {
        self.pairs.insert(key.to_owned(), value.to_vec());
    }

    fn delete(&mut self, key: &str) {
        self.pairs.remove(key);
    }

    fn backend(&self) -> Box<dyn Backend> {
        let mut texts = [String::new(), String::new()];
        for (index, (key, value)) in self.pairs.iter().enumerate() {
            let value = base64::engine::general_purpose::STANDARD.encode(value);
            writeln!(texts[index % 2], "{key:?}: !!binary {value:?}").unwrap();
        }
        for (name, text) in ["1.yaml", "2.yaml"].iter().zip(texts) {
            fs::write(self.folder.path().join(name), text).unwrap();
        }
        Box::new(File::new([self.folder.path().to_owned()], b"*.yaml"))
    }
}

fn scope(keys: &[&str]) -> Scope {
    keys.iter().map(|key| Key::from(*key)).collect()
}

fn store<F: Fixture>(pairs: &[(&str, &str)]) -> F {
    let mut store = F::default();
    for (key, value) in pairs {
        store.set(key, value.as_bytes());
    }
    store
}

/// What templates with these scopes see, one view a scope.
async fn views(store: &impl Fixture, scopes: &[Scope]) -> Vec<View> {
    let snapshots = store.backend().read(scopes).await.unwrap();
    assert_eq!(snapshots.len(), scopes.len());
    let views = snapshots.into_iter().zip(scopes);
    views.map(|(snapshot, scope)| View::new(snapshot, scope, &Prefix::default())).collect()
}

/// The pairs that a template with this scope sees, as `key=value`.
async fn seen(store: &impl Fixture, keys: &[&str]) -> Vec<String> {
    text(&views(store, &[scope(keys)]).await[0])
}

fn text(view: &View) -> Vec<String> {
    let line = |pair: store::Pair| format!("{}={}", pair.key, String::from_utf8_lossy(&pair.value));
    view.iter().map(line).collect()
}

async fn a_key_stands_for_itself_and_all_below<F: Fixture>() {
    let store: F = store(&[("/app", "0"), ("/app/a", "1"), ("/app/b/c", "2"), ("/other", "3")]);
    assert_eq!(seen(&store, &["/app"]).await, ["/app=0", "/app/a=1", "/app/b/c=2"]);
    assert_eq!(seen(&store, &["/app/b"]).await, ["/app/b/c=2"]);
    assert_eq!(seen(&store, &["/app/a", "/other"]).await, ["/app/a=1", "/other=3"]);
    assert_eq!(seen(&store, &["/"]).await.len(), 4);
}

async fn a_key_ends_at_a_path_boundary_unless_the_source_says_otherwise<F: Fixture>() {
    let store: F = store(&[("/app/a", "1"), ("/apple", "2")]);
    let expected: &[&str] = match F::MATCHES_TEXT {
        true => &["/app/a=1", "/apple=2"],
        false => &["/app/a=1"],
    };
    assert_eq!(seen(&store, &["/app"]).await, expected);
}

async fn a_missing_key_is_no_error<F: Fixture>() {
    let store: F = store(&[("/app", "1")]);
    assert_eq!(seen(&store, &["/nope", "/app"]).await, ["/app=1"]);
    assert_eq!(seen(&F::default(), &["/"]).await, [""; 0]);
}

async fn an_empty_scope_sees_nothing<F: Fixture>() {
    let store: F = store(&[("/app", "1")]);
    assert_eq!(seen(&store, &[]).await, [""; 0]);
}

async fn several_scopes_are_answered_in_their_order<F: Fixture>() {
    let store: F = store(&[("/a/x", "1"), ("/b/x", "2"), ("/c/x", "3")]);
    let scopes = [scope(&["/c"]), scope(&[]), scope(&["/a", "/b"]), scope(&["/c"])];
    let seen: Vec<_> = views(&store, &scopes).await.iter().map(text).collect();
    assert_eq!(seen, [vec!["/c/x=3"], vec![], vec!["/a/x=1", "/b/x=2"], vec!["/c/x=3"]]);
    assert!(store.backend().read(&[]).await.unwrap().is_empty());
}

async fn changes_and_deletes_are_seen<F: Fixture>() {
    let mut store: F = store(&[("/app/a", "1"), ("/app/b", "2")]);
    store.set("/app/a", b"3");
    store.set("/app/c", b"4");
    store.delete("/app/b");
    assert_eq!(seen(&store, &["/app"]).await, ["/app/a=3", "/app/c=4"]);
}

async fn an_empty_value_is_a_value<F: Fixture>() {
    let store: F = store(&[("/app", "")]);
    assert_eq!(seen(&store, &["/app"]).await, ["/app="]);
}

async fn a_value_may_hold_every_byte<F: Fixture>() {
    let bytes: Vec<u8> = (0..=255).filter(|byte| !F::IMPOSSIBLE.contains(byte)).collect();
    let mut store = F::default();
    store.set("/bytes", &bytes);
    let views = views(&store, &[scope(&["/bytes"])]).await;
    assert_eq!(views[0].get(b"/bytes").unwrap(), &bytes);
}

async fn a_large_value_arrives_whole<F: Fixture>() {
    let value = vec![b'x'; 1 << 20];
    let mut store = F::default();
    store.set("/large", &value);
    let views = views(&store, &[scope(&["/large"])]).await;
    assert_eq!(views[0].get(b"/large").unwrap(), &value);
}

async fn ten_thousand_keys_arrive_whole<F: Fixture>() {
    let mut store = F::default();
    for number in 0..10_000 {
        store.set(&format!("/app/{number}"), number.to_string().as_bytes());
    }
    store.set("/other", b"");
    let views = views(&store, &[scope(&["/app"])]).await;
    assert_eq!(views[0].iter().count(), 10_000);
    assert!(
        views[0].iter().all(|pair| pair.key.as_bytes() == [b"/app/", &pair.value[..]].concat())
    );
}

/// Every promise as a test of its own, for each source.
macro_rules! promises {
    ($($source:ident: $fixture:ty),*; $promises:tt) => {
        $(mod $source { promises!(@ $fixture, $promises); })*
    };
    (@ $fixture:ty, [$($promise:ident),* $(,)?]) => {
        $(
            #[tokio::test]
            async fn $promise() {
                super::$promise::<$fixture>().await;
            }
        )*
    };
}

promises! {
    env: super::Environment, file: super::Files;
    [
        a_key_stands_for_itself_and_all_below,
        a_key_ends_at_a_path_boundary_unless_the_source_says_otherwise,
        a_missing_key_is_no_error,
        an_empty_scope_sees_nothing,
        several_scopes_are_answered_in_their_order,
        changes_and_deletes_are_seen,
        an_empty_value_is_a_value,
        a_value_may_hold_every_byte,
        a_large_value_arrives_whole,
        ten_thousand_keys_arrive_whole,
    ]
}
