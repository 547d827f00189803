//! What the registry gets, with an engine made by the test.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use async_trait::async_trait;
use client_docker::{Address, Moment, Options};
use nodes::Cause;
use serde_json::{Value, json};
use servers::Stub;
use tokio::sync::Notify;
use tokio::time::timeout;
use world::System;

use super::*;
use crate::flags::{Program, Request, read};
use crate::registry::{self, Entry, Manner};

/// A registry with a key for each entry, as a store of keys has it.
#[derive(Default)]
struct Keys {
    is_away: Cell<bool>,
    registrations: Cell<usize>,
    /// The containers of the entries, by their keys.
    entries: RefCell<BTreeMap<String, String>>,
    refreshed: Notify,
}

impl Keys {
    fn changed(&self, change: impl FnOnce(&mut BTreeMap<String, String>)) -> Result<(), Error> {
        if self.is_away.get() {
            let attempt = nodes::Attempt { node: "node".to_owned(), cause: Cause::new("away") };
            return Err(Error::Unreachable { store: "keys", attempts: vec![attempt] });
        }
        change(&mut self.entries.borrow_mut());
        Ok(())
    }

    fn shown(&self) -> Vec<String> {
        self.entries.borrow().keys().cloned().collect()
    }
}

#[async_trait(?Send)]
impl Registry for Keys {
    async fn ping(&self) -> Result<Option<String>, Error> {
        Ok(None)
    }

    async fn register(&self, service: &Service) -> Result<(), Error> {
        if service.is_healthy == Some(false) {
            return self.deregister(service).await;
        }
        self.registrations.set(self.registrations.get() + 1);
        self.changed(|entries| {
            entries.insert(self.key(service), service.container.clone());
        })
    }

    async fn refresh(&self, _: &Service) -> Result<(), Error> {
        self.refreshed.notify_one();
        Ok(())
    }

    async fn deregister(&self, service: &Service) -> Result<(), Error> {
        self.changed(|entries| {
            entries.remove(&self.key(service));
        })
    }

    fn refuses(&self, _: &Service) -> Option<String> {
        None
    }

    fn key(&self, service: &Service) -> String {
        format!("{}/{}", service.name, service.id)
    }

    async fn entries(&self) -> Result<Vec<Entry>, Error> {
        let entry = |key: String| {
            let (name, id) = key.split_once('/').unwrap();
            let (name, id) = (name.to_owned(), id.to_owned());
            Entry { name, id, key: key.clone() }
        };
        Ok(self.shown().into_iter().map(entry).collect())
    }

    async fn remove(&self, entry: &Entry) -> Result<(), Error> {
        self.changed(|entries| {
            entries.remove(&format!("{}/{}", entry.name, entry.id));
        })
    }

    async fn lost(&self) {
        future::pending().await
    }
}

/// The running containers of an engine.
#[derive(Clone, Default)]
struct Containers {
    running: Arc<Mutex<Vec<Value>>>,
    /// Whether the engine answers no request.
    is_silent: Arc<AtomicBool>,
    /// Whether the engine fails to inspect containers.
    is_failing: Arc<AtomicBool>,
}

impl Containers {
    fn run(&self, containers: &[Value]) {
        *self.running.lock().unwrap() = containers.to_vec();
    }

    fn answer(&self, head: &str) -> Vec<u8> {
        while self.is_silent.load(Ordering::Relaxed) {
            thread::park();
        }
        let containers = self.running.lock().unwrap();
        let body = match head.split('/').nth(2) {
            Some(id) if !id.starts_with("json") => {
                containers.iter().find(|one| one["Id"] == id).cloned()
            }
            _ => Some(Value::from(containers.clone())),
        };
        let (status, body) = match body {
            _ if self.is_failing.load(Ordering::Relaxed)
                && !head.starts_with("GET /containers/json") =>
            {
                ("500 Internal Server Error", "{}".to_owned())
            }
            Some(body) => ("200 OK", body.to_string()),
            None => ("404 Not Found", "{}".to_owned()),
        };
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            .into_bytes()
    }
}

/// An engine with these containers.
fn engine(containers: &Containers) -> Stub {
    let containers = containers.clone();
    Stub::answering(move |head| containers.answer(head))
}

/// A container that publishes one port, with this name of its service, since this moment.
fn container(id: &str, name: &str, service: &str, started_at: &str) -> Value {
    let binding = json!({ "HostIp": "10.0.0.1", "HostPort": "8080" });
    json!({
        "Id": id,
        "Name": format!("/{name}"),
        "State": { "Running": true, "StartedAt": started_at },
        "Config": { "Image": "web", "Env": [format!("SERVICE_NAME={service}")] },
        "HostConfig": { "NetworkMode": "bridge", "PortBindings": { "80/tcp": [binding] } },
        "NetworkSettings": { "Ports": { "80/tcp": [binding] } },
    })
}

fn died(id: &str, at: &str) -> Event {
    Event { container: id.to_owned(), action: Action::Die(None), at: Moment::parse(at).unwrap() }
}

/// What a program has logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn keeper(stub: &Stub, registry: &Rc<Keys>) -> Keeper {
    keeper_of(stub, Rc::clone(registry) as Rc<dyn Registry>, &Lines::default())
}

fn keeper_of(stub: &Stub, registry: Rc<dyn Registry>, lines: &Lines) -> Keeper {
    let address = Address::parse(&stub.address()).unwrap();
    let engine = Engine::new(Options { address, tls: None }).unwrap();
    let words = ["-ip", "10.0.0.1", "consulkv://127.0.0.1:1/x"].map(Into::into).to_vec();
    let Ok(Request::Run(flags)) = read(words, Program::Original) else { panic!("flags") };
    Keeper::new(*flags, engine, registry, "host".to_owned(), log_to(lines))
}

fn log_to(lines: &Lines) -> Log {
    Log::new(Arc::new(System::new()), Box::new(lines.clone()))
}

const FIRST: &str = "0123456789abcdef";
const SECOND: &str = "fedcba9876543210";

const BEFORE: &str = "2026-01-01T00:00:00Z";
const START: &str = "2026-01-01T00:00:10.5Z";
const AFTER: &str = "2026-01-01T00:00:20Z";

#[tokio::test]
async fn the_end_of_a_former_run_removes_nothing() {
    let (containers, registry) = (Containers::default(), Rc::new(Keys::default()));
    let stub = engine(&containers);
    let mut keeper = keeper(&stub, &registry);
    containers.run(&[container(FIRST, "web", "web", START)]);
    keeper.sync(Sync::First).await.unwrap();
    assert_eq!(registry.shown(), ["web/host:web:80"]);
    // Read from the engine's history, after everything was compared.
    keeper.happened(died(FIRST, BEFORE)).await.unwrap();
    assert_eq!(registry.shown(), ["web/host:web:80"]);
    keeper.happened(died(FIRST, AFTER)).await.unwrap();
    assert!(registry.shown().is_empty());
    // The clock of the machine was put back, and the container has ended.
    keeper.add(FIRST, Sync::First).await.unwrap();
    assert_eq!(registry.shown(), ["web/host:web:80"]);
    containers.run(&[]);
    keeper.happened(died(FIRST, BEFORE)).await.unwrap();
    assert!(registry.shown().is_empty());
}

#[tokio::test]
async fn another_service_of_the_same_id_does_not_replace_a_pending_removal() {
    let (containers, registry) = (Containers::default(), Rc::new(Keys::default()));
    let stub = engine(&containers);
    let mut keeper = keeper(&stub, &registry);
    containers.run(&[container(FIRST, "web", "old", START)]);
    keeper.sync(Sync::First).await.unwrap();
    assert_eq!(registry.shown(), ["old/host:web:80"]);
    registry.is_away.set(true);
    containers.run(&[container(SECOND, "web", "new", AFTER)]);
    keeper.happened(died(FIRST, AFTER)).await.unwrap();
    keeper.add(SECOND, Sync::First).await.unwrap();
    registry.is_away.set(false);
    keeper.pending.hurry();
    keeper.retry().await;
    assert_eq!(registry.shown(), ["new/host:web:80"]);
}

#[tokio::test]
async fn entries_are_refreshed_while_the_engine_gives_no_answer() {
    let (containers, registry) = (Containers::default(), Rc::new(Keys::default()));
    let stub = engine(&containers);
    let mut keeper = keeper(&stub, &registry);
    containers.run(&[container(FIRST, "web", "web", START)]);
    keeper.sync(Sync::First).await.unwrap();
    containers.is_silent.store(true, Ordering::Relaxed);
    keeper.flags.refresh = Duration::from_millis(20);
    let (sender, reports) = mpsc::unbounded_channel();
    sender.send(Report::Following).unwrap();
    let refreshed = timeout(Duration::from_secs(5), async {
        for _ in 0..5 {
            registry.refreshed.notified().await;
        }
    });
    tokio::select! {
        Fatal(text) = keeper.run(reports) => panic!("{text}"),
        refreshed = refreshed => refreshed.unwrap(),
    }
}

#[tokio::test]
async fn a_container_that_waits_for_its_next_start_has_no_entry() {
    let (containers, registry) = (Containers::default(), Rc::new(Keys::default()));
    let stub = engine(&containers);
    let mut keeper = keeper(&stub, &registry);
    let mut waiting = container(FIRST, "web", "web", START);
    waiting["State"]["Restarting"] = true.into();
    containers.run(&[waiting.clone()]);
    keeper.sync(Sync::First).await.unwrap();
    assert!(registry.shown().is_empty());
    containers.run(&[container(FIRST, "web", "web", AFTER)]);
    keeper.add(FIRST, Sync::First).await.unwrap();
    assert_eq!(registry.shown(), ["web/host:web:80"]);
    // Its end was missed.
    containers.run(&[waiting]);
    keeper.sync(Sync::Blind).await.unwrap();
    assert!(registry.shown().is_empty());
}

#[tokio::test]
async fn the_start_of_a_known_container_replaces_the_entries_of_its_former_run() {
    let (containers, registry) = (Containers::default(), Rc::new(Keys::default()));
    let stub = engine(&containers);
    let mut keeper = keeper(&stub, &registry);
    containers.run(&[container(FIRST, "web", "old", START)]);
    keeper.sync(Sync::First).await.unwrap();
    containers.run(&[container(FIRST, "web", "new", AFTER)]);
    keeper.add(FIRST, Sync::First).await.unwrap();
    assert_eq!(registry.shown(), ["new/host:web:80"]);
}

#[tokio::test]
async fn the_end_of_a_container_leaves_the_entry_that_another_container_has_under_the_same_key() {
    let (containers, registry) = (Containers::default(), Rc::new(Keys::default()));
    let stub = engine(&containers);
    let mut keeper = keeper(&stub, &registry);
    let (first, second) =
        (container(FIRST, "web", "web", START), container(SECOND, "web", "web", AFTER));
    containers.run(&[first, second.clone()]);
    keeper.sync(Sync::First).await.unwrap();
    keeper.happened(died(FIRST, AFTER)).await.unwrap();
    let entries = registry.entries.borrow().clone();
    assert_eq!(entries, BTreeMap::from([("web/host:web:80".to_owned(), SECOND.to_owned())]));
    // The same in the other order: the entry is that of the container that has ended.
    containers.run(&[second, container(FIRST, "web", "web", AFTER)]);
    keeper.add(FIRST, Sync::First).await.unwrap();
    keeper.happened(died(FIRST, AFTER)).await.unwrap();
    let entries = registry.entries.borrow().clone();
    assert_eq!(entries, BTreeMap::from([("web/host:web:80".to_owned(), SECOND.to_owned())]));
    keeper.happened(died(SECOND, AFTER)).await.unwrap();
    assert!(registry.shown().is_empty());
}

#[tokio::test]
async fn a_service_is_reported_as_added_when_it_is_healthy_and_has_its_entry() {
    let (containers, registry) = (Containers::default(), Rc::new(Keys::default()));
    let (stub, lines) = (engine(&containers), Lines::default());
    let mut keeper = keeper_of(&stub, Rc::clone(&registry) as Rc<dyn Registry>, &lines);
    keeper.flags.rules.follows_health = true;
    let mut starting = container(FIRST, "web", "web", START);
    starting["State"]["Health"] = json!({ "Status": "starting" });
    containers.run(&[starting]);
    keeper.sync(Sync::First).await.unwrap();
    keeper.restore().await;
    assert!(registry.shown().is_empty() && !lines.text().contains("added:"), "{}", lines.text());
    keeper.is_healthy_now(FIRST, true).await;
    assert_eq!(registry.shown(), ["web/host:web:80"]);
    assert!(lines.text().contains("added: 0123456789ab host:web:80"), "{}", lines.text());
}

#[tokio::test]
async fn with_noop_no_line_says_that_something_was_done() {
    let (containers, lines) = (Containers::default(), Lines::default());
    let stub = engine(&containers);
    let log = Log::new(Arc::new(System::new()), Box::new(io::sink()));
    let given = options::Given::default();
    let text = "consulkv://127.0.0.1:1/x";
    let opened = registry::open(text, Manner::Original, Duration::ZERO, true, &given, &log);
    let Ok(registry) = opened else { panic!("{text}") };
    let mut keeper = keeper_of(&stub, registry, &lines);
    containers.run(&[container(FIRST, "web", "web", START)]);
    keeper.sync(Sync::First).await.unwrap();
    keeper.refresh().await;
    containers.run(&[]);
    keeper.happened(died(FIRST, AFTER)).await.unwrap();
    let text = lines.text();
    assert!(text.contains("would add: 0123456789ab host:web:80"), "{text}");
    assert!(text.contains("would remove: 0123456789ab host:web:80"), "{text}");
    for done in ["added:", "refreshed:", "removed:"] {
        assert!(!text.contains(done), "{text}");
    }
}

#[tokio::test]
async fn nothing_is_reported_as_done_while_the_registry_is_away() {
    let (containers, registry) = (Containers::default(), Rc::new(Keys::default()));
    let (stub, lines) = (engine(&containers), Lines::default());
    let mut keeper = keeper_of(&stub, Rc::clone(&registry) as Rc<dyn Registry>, &lines);
    keeper.flags.only_on_success = true;
    let (first, second) =
        (container(FIRST, "web", "web", START), container(SECOND, "api", "api", START));
    containers.run(std::slice::from_ref(&first));
    registry.is_away.set(true);
    keeper.sync(Sync::First).await.unwrap();
    containers.run(&[first, second]);
    keeper.sync(Sync::Regular).await.unwrap();
    keeper.pending.hurry();
    keeper.retry().await;
    let ended = Action::Die(Some(0));
    let at = Moment::parse(AFTER).unwrap();
    keeper.happened(Event { container: SECOND.to_owned(), action: ended, at }).await.unwrap();
    let text = lines.text();
    assert!(text.contains("sync register failed: host:web:80"), "{text}");
    for done in ["added:", "refreshed:", "removed:", "kept:"] {
        assert!(!text.contains(done), "{text}");
    }
}

#[tokio::test]
async fn a_comparison_takes_the_health_over() {
    let (containers, registry) = (Containers::default(), Rc::new(Keys::default()));
    let stub = engine(&containers);
    let mut keeper = keeper(&stub, &registry);
    keeper.flags.rules.follows_health = true;
    let with_health = |status: &str| {
        let mut container = container(FIRST, "web", "web", START);
        container["State"]["Health"] = json!({ "Status": status });
        [container]
    };
    containers.run(&with_health("healthy"));
    keeper.sync(Sync::First).await.unwrap();
    assert_eq!(registry.shown(), ["web/host:web:80"]);
    for sync in [Sync::Blind, Sync::Regular] {
        containers.run(&with_health("unhealthy"));
        keeper.sync(sync).await.unwrap();
        assert!(registry.shown().is_empty(), "{sync:?}");
        containers.run(&with_health("healthy"));
        keeper.sync(sync).await.unwrap();
        assert_eq!(registry.shown(), ["web/host:web:80"], "{sync:?}");
    }
}

#[tokio::test]
async fn what_no_event_has_said_is_seen_by_a_look_that_writes_nothing_else() {
    let (containers, registry) = (Containers::default(), Rc::new(Keys::default()));
    let stub = engine(&containers);
    let mut keeper = keeper(&stub, &registry);
    let stays = container("aaaaaaaaaaaaaaaa", "stays", "stays", START);
    let gone = container("bbbbbbbbbbbbbbbb", "gone", "gone", START);
    containers.run(&[stays.clone(), gone]);
    keeper.sync(Sync::First).await.unwrap();
    assert_eq!(registry.shown(), ["gone/host:gone:80", "stays/host:stays:80"]);
    let fresh = container("cccccccccccccccc", "fresh", "fresh", START);
    containers.run(&[stays.clone(), fresh]);
    keeper.sync(Sync::Quiet).await.unwrap();
    assert_eq!(registry.shown(), ["fresh/host:fresh:80", "stays/host:stays:80"]);
    assert_eq!(registry.registrations.get(), 3);
    // Started again, with another name.
    let again = container("cccccccccccccccc", "fresh", "other", AFTER);
    containers.run(&[stays, again]);
    keeper.sync(Sync::Quiet).await.unwrap();
    assert_eq!(registry.shown(), ["other/host:fresh:80", "stays/host:stays:80"]);
    assert_eq!(registry.registrations.get(), 4);
}

#[tokio::test]
async fn the_entry_of_a_container_that_cannot_be_inspected_is_kept() {
    let (containers, registry) = (Containers::default(), Rc::new(Keys::default()));
    let stub = engine(&containers);
    containers.run(&[container("aaaaaaaaaaaaaaaa", "web", "web", START)]);
    keeper(&stub, &registry).sync(Sync::First).await.unwrap();
    assert_eq!(registry.shown(), ["web/host:web:80"]);
    // The next program knows nothing yet.
    let mut keeper = keeper(&stub, &registry);
    keeper.flags.prune = true;
    containers.is_failing.store(true, Ordering::Relaxed);
    keeper.sync(Sync::First).await.unwrap();
    assert_eq!(registry.shown(), ["web/host:web:80"]);
    containers.is_failing.store(false, Ordering::Relaxed);
    containers.run(&[]);
    keeper.compare_at = None;
    keeper.sync(Sync::Blind).await.unwrap();
    assert!(registry.shown().is_empty());
}

#[tokio::test]
async fn a_stop_that_removes_everything_makes_pending_removals_too() {
    let (containers, registry) = (Containers::default(), Rc::new(Keys::default()));
    let stub = engine(&containers);
    let mut keeper = keeper(&stub, &registry);
    containers.run(&[
        container("aaaaaaaaaaaaaaaa", "one", "one", START),
        container("bbbbbbbbbbbbbbbb", "two", "two", START),
    ]);
    keeper.sync(Sync::First).await.unwrap();
    registry.is_away.set(true);
    containers.run(&[container("bbbbbbbbbbbbbbbb", "two", "two", START)]);
    keeper.happened(died("aaaaaaaaaaaaaaaa", AFTER)).await.unwrap();
    registry.is_away.set(false);
    keeper.remove_all().await;
    assert!(registry.shown().is_empty(), "{:?}", registry.shown());
}
