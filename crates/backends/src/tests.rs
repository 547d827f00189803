//! Backends in memory, asked alone and together. Time is paused.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use source::{Answer, Configured, Error, Interest, Source, Update, Watch};
use store::{Coverage, Key, Scope, Snapshot};
use tokio::{sync::watch, time::timeout};

use crate::{Backend, Backends, Find, Times};

/// A store in memory. A clone is the same store.
#[derive(Clone)]
struct Store {
    pairs: Arc<watch::Sender<BTreeMap<String, String>>>,
    state: Arc<Mutex<Line>>,
    is_polled: bool,
}

/// Whether a store answers.
#[derive(Clone, Copy, PartialEq)]
enum Line {
    Up,
    Down,
    Silent,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl PartialEq for Store {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pairs, &other.pairs)
    }
}

impl Store {
    fn new(pairs: &[(&str, &str)]) -> Self {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let (pairs, state) = (watch::Sender::new(pairs.collect()), Mutex::new(Line::Up));
        Store { pairs: Arc::new(pairs), state: Arc::new(state), is_polled: false }
    }

    fn put(&self, key: &str, value: &str) {
        self.pairs.send_modify(|pairs| _ = pairs.insert(key.to_owned(), value.to_owned()));
    }

    fn delete(&self, key: &str) {
        self.pairs.send_modify(|pairs| _ = pairs.remove(key));
    }

    fn is(&self, line: Line) {
        *self.state.lock().unwrap() = line;
        self.pairs.send_modify(|_| {});
    }

    async fn answers(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        let line = *self.state.lock().unwrap();
        match line {
            Line::Up => {}
            Line::Down => {
                let cause = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                return Err(Error::file("open", std::path::Path::new("/data"), cause));
            }
            Line::Silent => std::future::pending().await,
        }
        let pairs = self.pairs.borrow().clone();
        let snapshot = Snapshot::from_pairs(Coverage::Subtree, pairs);
        Ok(interest.scopes.iter().map(|_| Ok(snapshot.clone())).collect())
    }
}

impl Configured for Store {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn open(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Source for Store {
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        self.answers(interest).await
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        if self.is_polled {
            return Ok(None);
        }
        let mut changes = self.pairs.subscribe();
        changes.mark_changed();
        Ok(Some(Box::new(Following { store: self.clone(), changes, interest: interest.clone() })))
    }
}

struct Following {
    store: Store,
    changes: watch::Receiver<BTreeMap<String, String>>,
    interest: Interest,
}

#[async_trait]
impl Watch for Following {
    async fn next(&mut self) -> Result<Update, Error> {
        // The sender lives as long as this.
        let _ = self.changes.changed().await;
        Ok(Update { answers: self.store.answers(&self.interest).await?, changed: None })
    }

    fn set_interest(&mut self, interest: &Interest) {
        self.interest = interest.clone();
        self.changes.mark_changed();
    }

    fn reread(&mut self) {
        self.changes.mark_changed();
    }
}

struct NoOthers;

impl Find for NoOthers {
    fn find(&self, _: &str) -> Option<Arc<Backend>> {
        None
    }

    fn all(&self) -> Vec<Arc<Backend>> {
        Vec::new()
    }
}

const TIMES: Times =
    Times { interval: Duration::from_secs(10), limit: Some(Duration::from_secs(5)) };

/// The backends with these names and mounts, the most important first.
fn backends(of_run: &[(&str, Option<&str>, &Store)]) -> Backends {
    let backend = |(name, mount, store): &(&str, Option<&str>, &Store)| {
        Arc::new(Backend::new(*name, mount.map(Key::from), Box::new(Store::clone(store))))
    };
    Backends::new(of_run.iter().map(backend).collect(), Arc::new(NoOthers), TIMES)
}

fn scope(names: &[&str], keys: &[&str]) -> Scope {
    let keys: Scope = keys.iter().map(|key| Key::from(*key)).collect();
    keys.of_backends(names.iter().map(|name| Arc::from(*name)).collect())
}

fn shown(answer: &Answer) -> String {
    match answer {
        Ok(snapshot) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let pairs =
                snapshot.iter().map(|(key, value)| format!("{}={}", text(key), text(value)));
            pairs.collect::<Vec<_>>().join(" ")
        }
        Err(refusal) => refusal.to_string(),
    }
}

async fn read(backends: &Backends, scopes: &[Scope]) -> Vec<String> {
    let answers = backends.read(&scopes.iter().cloned().collect()).await.unwrap();
    assert_eq!(answers.len(), scopes.len());
    answers.iter().map(shown).collect()
}

async fn follow(backends: &Backends, scopes: &[Scope]) -> Box<dyn Watch> {
    backends.watch(&scopes.iter().cloned().collect()).await.unwrap().unwrap()
}

/// The answers of the next state, and the keys that have changed.
async fn next(watch: &mut Box<dyn Watch>) -> (Vec<String>, Option<Vec<String>>) {
    let update = timeout(Duration::from_secs(60), watch.next()).await.unwrap().unwrap();
    let text = |key: &bytes::Bytes| String::from_utf8_lossy(key).into_owned();
    let changed = update.changed.map(|keys| keys.iter().map(text).collect());
    (update.answers.iter().map(shown).collect(), changed)
}

async fn is_quiet(watch: &mut Box<dyn Watch>) -> bool {
    timeout(Duration::from_secs(60), watch.next()).await.is_err()
}

#[tokio::test(start_paused = true)]
async fn mounted_backends_are_one_key_space_in_which_the_first_that_has_a_key_wins() {
    let main = Store::new(&[("/app/a", "main"), ("/secret/db", "old"), ("/secret/old", "main")]);
    let vault = Store::new(&[("/db", "vault"), ("/x/y", "vault")]);
    let backends = backends(&[("vault", Some("/secret"), &vault), ("etcd", Some("/"), &main)]);
    let scopes = [
        scope(&[], &["/app"]),
        scope(&[], &["/secret/db"]),
        scope(&[], &["/"]),
        scope(&[], &["/secret/x"]),
    ];
    let everything = "/app/a=main /secret/db=vault /secret/old=main /secret/x/y=vault";
    assert_eq!(
        read(&backends, &scopes).await[1..],
        ["/secret/db=vault", everything, "/secret/x/y=vault"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_names_backends_sees_them_at_the_root_in_its_order() {
    let one = Store::new(&[("/a", "1"), ("/b", "1")]);
    let two = Store::new(&[("/b", "2"), ("/c", "2")]);
    let backends = backends(&[("one", None, &one), ("two", Some("/two"), &two)]);
    let scopes = [
        scope(&["one"], &["/"]),
        scope(&["two"], &["/"]),
        scope(&["one", "two"], &["/"]),
        scope(&["two", "one"], &["/"]),
        scope(&[], &["/"]),
        scope(&["nope"], &["/a"]),
        // A backend that is gone is no reason for a fallback.
        scope(&["nope", "one"], &["/a"]),
        scope(&["one", "nope"], &["/a"]),
    ];
    assert_eq!(
        read(&backends, &scopes).await,
        [
            "/a=1 /b=1",
            "/b=2 /c=2",
            "/a=1 /b=1 /c=2",
            "/a=1 /b=2 /c=2",
            "/two/b=2 /two/c=2",
            "Cannot read /a: there is no backend nope",
            "Cannot read /a: there is no backend nope",
            "Cannot read /a: there is no backend nope",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_that_no_backend_has_is_refused_and_does_not_read_as_missing() {
    let vault = Store::new(&[("/db", "x")]);
    let backends = backends(&[("named", None, &vault), ("vault", Some("/secret"), &vault)]);
    let of =
        |key| format!("no backend has {key}: none is mounted there, and there is no main backend");
    let scopes =
        [scope(&[], &["/secret/db"]), scope(&[], &["/app"]), scope(&[], &["/secret", "/x"])];
    assert_eq!(
        read(&backends, &scopes).await,
        [
            "/secret/db=x".to_owned(),
            format!("Cannot read /app: {}", of("/app")),
            format!("Cannot read /secret, /x: {}", of("/x")),
        ]
    );
    let mut watch = follow(&backends, &scopes).await;
    assert_eq!(next(&mut watch).await.0, read(&backends, &scopes).await);
}

#[tokio::test(start_paused = true)]
async fn an_outage_affects_only_the_scopes_that_need_the_backend() {
    let main = Store::new(&[("/a", "1")]);
    let vault = Store::new(&[("/db", "x")]);
    let backends = backends(&[("vault", Some("/secret"), &vault), ("etcd", Some("/"), &main)]);
    let scopes = [scope(&[], &["/a"]), scope(&[], &["/secret/db"]), scope(&["vault"], &["/db"])];
    let mut watch = follow(&backends, &scopes).await;
    assert_eq!(next(&mut watch).await.0, ["/a=1", "/secret/db=x", "/db=x"]);
    vault.is(Line::Down);
    let reason = "open /data: connection refused";
    let refused =
        [format!("Cannot read /secret/db: {reason}"), format!("Cannot read /db: {reason}")];
    let (answers, changed) = next(&mut watch).await;
    assert_eq!((&*answers[0], &answers[1..]), ("/a=1", &refused[..]));
    assert_eq!(changed.as_deref(), Some(&[][..]));
    assert_eq!(read(&backends, &scopes).await[1..], refused);
    // It is said once, and the others go on.
    assert!(is_quiet(&mut watch).await);
    main.put("/a", "2");
    let (answers, changed) = next(&mut watch).await;
    assert_eq!((&*answers[0], changed), ("/a=2", Some(vec!["/a".to_owned()])));
    vault.is(Line::Up);
    assert_eq!(next(&mut watch).await.0, ["/a=2", "/secret/db=x", "/db=x"]);
    assert!(is_quiet(&mut watch).await);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_says_nothing_delays_the_others_for_a_moment_only() {
    let (main, vault) = (Store::new(&[("/a", "1")]), Store::new(&[("/db", "x")]));
    vault.is(Line::Silent);
    let backends = backends(&[("vault", None, &vault), ("etcd", Some("/"), &main)]);
    let scopes = [scope(&[], &["/a"]), scope(&["vault"], &["/db"])];
    let late = "Cannot read /db: the backend did not answer within 5s (-backend-timeout)";
    assert_eq!(read(&backends, &scopes).await, ["/a=1", late]);
    let mut watch = follow(&backends, &scopes).await;
    let unanswered = "Cannot read /db: the backend vault has not answered yet";
    assert_eq!(next(&mut watch).await.0, ["/a=1", unanswered]);
    assert!(is_quiet(&mut watch).await);
}

#[tokio::test(start_paused = true)]
async fn a_change_names_the_keys_as_the_scope_spells_them_and_fallbacks_come_back() {
    let main = Store::new(&[("/secret/db", "main"), ("/z", "1")]);
    let vault = Store::new(&[("/db", "vault")]);
    let backends = backends(&[("vault", Some("/secret"), &vault), ("etcd", Some("/"), &main)]);
    let mut watch =
        follow(&backends, &[scope(&[], &["/secret"]), scope(&["vault"], &["/x"])]).await;
    assert_eq!(next(&mut watch).await, (vec!["/secret/db=vault".into(), "/db=vault".into()], None));
    for (change, expected) in [
        (&(|| vault.delete("/db")) as &dyn Fn(), "/secret/db=main"),
        (&|| main.put("/secret/db", "new"), "/secret/db=new"),
        (&|| vault.put("/db", "again"), "/secret/db=again"),
    ] {
        change();
        let (answers, changed) = next(&mut watch).await;
        assert_eq!((&*answers[0], changed), (expected, Some(vec!["/secret/db".to_owned()])));
    }
    // What a more important backend hides is no news.
    main.put("/secret/db", "hidden");
    main.put("/z", "2");
    assert!(is_quiet(&mut watch).await);
    vault.delete("/db");
    assert_eq!(next(&mut watch).await.0[0], "/secret/db=hidden");
}

#[tokio::test(start_paused = true)]
async fn one_backend_becomes_several_and_what_stays_is_not_lost() {
    let (main, vault) = (Store::new(&[("/a", "1")]), Store::new(&[("/db", "x")]));
    let backends = backends(&[("vault", None, &vault), ("etcd", Some("/"), &main)]);
    let of_main = scope(&[], &["/a"]);
    let mut watch = follow(&backends, std::slice::from_ref(&of_main)).await;
    assert_eq!(next(&mut watch).await.0, ["/a=1"]);
    let both: Interest = [of_main.clone(), scope(&["vault"], &["/db"])].into_iter().collect();
    watch.set_interest(&both);
    main.put("/a", "2");
    assert_eq!(next(&mut watch).await.0, ["/a=2", "/db=x"]);
    vault.put("/db", "y");
    assert_eq!(
        next(&mut watch).await,
        (vec!["/a=2".into(), "/db=y".into()], Some(vec!["/db".into()]))
    );
    watch.set_interest(&[of_main].into_iter().collect());
    assert_eq!(next(&mut watch).await, (vec!["/a=2".into()], Some(vec![])));
    vault.put("/db", "z");
    assert!(is_quiet(&mut watch).await);
}

#[tokio::test(start_paused = true)]
async fn backends_that_must_be_polled_are_read_beside_those_that_are_followed() {
    let main = Store::new(&[("/a", "1")]);
    let polled = Store { is_polled: true, ..Store::new(&[("/p", "1")]) };
    let backends = backends(&[("polled", None, &polled), ("etcd", Some("/"), &main)]);
    let alone = backends.watch(&[scope(&["polled"], &["/p"])].into_iter().collect()).await;
    assert!(alone.unwrap().is_none());
    let mut watch = follow(&backends, &[scope(&[], &["/a"]), scope(&["polled"], &["/p"])]).await;
    assert_eq!(next(&mut watch).await.0, ["/a=1", "/p=1"]);
    polled.put("/p", "2");
    let (answers, changed) = next(&mut watch).await;
    assert_eq!((&*answers[1], changed), ("/p=2", Some(vec!["/p".to_owned()])));
    polled.put("/p", "3");
    watch.reread();
    assert_eq!(next(&mut watch).await.0, ["/a=1", "/p=3"]);
}
