//! A case: its steps, one after the other, and what it expects.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use servers::{Engine, PATIENCE, Proxy, Traffic};

use crate::containers::{Containers, Images, texts};
use crate::placeholders::{Lookup, fill, fill_all};
use crate::program::{Program, Start};
use crate::registry::{Registry, difference};
use crate::world::{CONSUL, CONSUL_NOSCRIPT, ETCD, HOST_ADDRESS, socket};

/// The host name of cases that do not set it.
const HOST: &str = "node-7";
/// The folders of programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The longest time until the registry has the state that is expected, on a busy machine.
const CHECKPOINT: Duration = Duration::from_secs(15);
/// How long the registry must keep that state.
const STABLE: Duration = Duration::from_millis(400);
/// The time without a log line after which the program counts as finished with a container that no
/// log line names.
const QUIET: Duration = Duration::from_secs(2);
/// The time between two looks.
const POLL: Duration = Duration::from_millis(20);

/// A case while its steps are taken.
struct Case<'a> {
    case: &'a Value,
    engine: &'a Engine,
    images: &'a mut Images,
    registry: Option<&'a Registry>,
    containers: Containers<'a>,
    relay: Proxy,
    program: Option<Program>,
    /// What earlier programs of this case printed.
    printed: String,
}

/// Runs a case. The error says why it failed.
pub(crate) fn run(
    case: &Value,
    engine: &Engine,
    images: &mut Images,
    registry: Option<&Registry>,
) -> Result<(), String> {
    let upstream = if matches!(registry, Some(Registry::Etcd { .. })) { ETCD } else { CONSUL };
    let relay = Proxy::before(upstream);
    relay.set(Traffic::Refused);
    let containers = Containers::new(engine);
    let (program, printed) = (None, String::new());
    let mut running = Case { case, engine, images, registry, containers, relay, program, printed };
    running.prepare();
    let steps = case["steps"].as_array().unwrap().iter();
    let wrong = steps.map(|step| Some(format!("step {step}: {}", running.take(step)?)));
    let wrong = wrong.flatten().next().or_else(|| running.wrong_end());
    let Some(wrong) = wrong else { return Ok(()) };
    Err(format!("{wrong}\n--- case: {case}\n--- printed:\n{}", running.all_printed()))
}

impl Lookup for Case<'_> {
    fn look_up(&self, name: &str) -> Option<String> {
        let (kind, rest) = name.split_once(':').unwrap_or((name, ""));
        let id = || self.containers.id(rest);
        Some(match kind {
            "HOST" => self.case["host"]["name"].as_str().unwrap_or(HOST).to_owned(),
            "HOST_IP" => HOST_ADDRESS.to_owned(),
            "CONSUL" => CONSUL.to_owned(),
            "CONSUL_NOSCRIPT" => CONSUL_NOSCRIPT.to_owned(),
            "CONSUL_SOCKET" => socket(self.engine.folder()),
            "ETCD" => ETCD.to_owned(),
            "RELAY" => self.relay.address(),
            "DOCKER_SOCKET" => self.engine.socket().display().to_string(),
            "IMAGE" => self.images.id(rest)?.to_owned(),
            "NET" => self.containers.network(rest)?.to_owned(),
            "ID" => id()?.to_owned(),
            "ID12" => id()?[..12].to_owned(),
            "IP" => {
                let (name, network) = rest.rsplit_once(':')?;
                self.containers.address(name, network)?.to_owned()
            }
            _ => {
                let nth = match kind.strip_prefix("PORT")? {
                    "" => 1,
                    nth => nth.parse().ok()?,
                };
                let (name, port) = rest.rsplit_once(':')?;
                self.containers.port(name, port, nth)?.to_string()
            }
        })
    }
}

impl Case<'_> {
    /// Makes the images and networks of the case.
    fn prepare(&mut self) {
        self.make_images(&self.case["images"]);
        for (_, description) in self.case["containers"].as_object().into_iter().flatten() {
            let name = Containers::image(description);
            let is_name = !name.starts_with('{');
            if is_name && self.case["images"][name].is_null() {
                self.images.make(self.engine, name, &Value::Null);
            }
        }
        for network in texts(&self.case["networks"]) {
            self.containers.create_network(&network);
        }
    }

    fn make_images(&mut self, images: &Value) {
        for (name, description) in images.as_object().into_iter().flatten() {
            self.images.make(self.engine, name, description);
        }
    }

    /// Takes a step. The result says why it failed.
    fn take(&mut self, step: &Value) -> Option<String> {
        let (action, value) = step.as_object().unwrap().iter().find(|(name, _)| {
            // These belong to the step `registrator`.
            !matches!(&***name, "flags" | "uri" | "after" | "env")
        })?;
        let pair = || (value[0].as_str().unwrap(), value[1].as_str().unwrap_or_default());
        let seconds = || Duration::from_secs_f64(value.as_f64().unwrap());
        match &**action {
            "create" | "start" | "run" | "restart" => {
                let before = self.program.as_ref().map_or(0, |program| program.printed().len());
                let names: Vec<_> = texts(value).collect();
                for name in &names {
                    if matches!(&**action, "create" | "run") {
                        let description = &self.case["containers"][name];
                        let description = fill_all(description, self);
                        self.containers.create(name, &description);
                    }
                    match &**action {
                        "create" => {}
                        "restart" => self.containers.start(name, "restart?t=5"),
                        _ => self.containers.start(name, "start"),
                    }
                }
                if action != "create" {
                    let ids = names.iter().map(|name| self.containers.id(name).unwrap().to_owned());
                    self.await_lines(before, ids.collect());
                }
            }
            "stop" => texts(value).for_each(|name| self.containers.post(&name, "stop?t=5")),
            "kill" => texts(value).for_each(|name| self.containers.post(&name, "kill")),
            "pause" | "unpause" => {
                texts(value).for_each(|name| self.containers.post(&name, action));
            }
            "rm" => texts(value).for_each(|name| self.containers.remove(&name)),
            "ended" => texts(value).for_each(|name| self.containers.let_end(&name)),
            "signal" => self.containers.post(pair().0, &format!("kill?signal={}", pair().1)),
            "exec" => self.containers.execute(pair().0, &value[1]),
            "rename" => self.containers.rename(pair().0, pair().1),
            "connect" => self.containers.connect(pair().0, pair().1),
            "image" => self.make_images(value),
            "registrator" => match value.as_str().unwrap() {
                "start" => self.start(step),
                "stop" => {
                    self.program.as_mut().unwrap().terminate();
                    self.end();
                }
                "kill" => self.end(),
                other => panic!("registrator {other}"),
            },
            "registry" => {
                let (method, path) = pair();
                let body = fill_all(&value[2], self);
                self.registry.unwrap().send(method, &fill(path, self), &body);
            }
            "relay" if value == "up" => self.relay.set(Traffic::Flows),
            "relay" => {
                self.relay.set(Traffic::Refused);
                self.relay.cut();
            }
            // Such a pause is a part of the case.
            "wait" => servers::pause(seconds()),
            "exit" => {
                let program = self.program.as_mut().unwrap();
                return eventually(PATIENCE.max(seconds()), || {
                    program.ended().is_none().then(|| "still running".to_owned())
                });
            }
            "check" => return self.check(value.as_str().unwrap()),
            other => panic!("step {other}"),
        }
        None
    }

    /// Starts the program, and waits until it has read the containers.
    fn start(&mut self, step: &Value) {
        let of_step = |key: &str| step.get(key).unwrap_or(&self.case[key]);
        let words = texts(of_step("flags")).chain(texts(of_step("uri")));
        let words = words.chain(texts(of_step("after"))).map(|word| fill(&word, self));
        let folder = self.engine.folder();
        let mut environment = BTreeMap::from(
            [
                ("PATH", PATH.to_owned()),
                ("HOME", folder.display().to_string()),
                ("LANG", "C".to_owned()),
                ("DOCKER_HOST", format!("unix://{}", self.engine.socket().display())),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        for (name, value) in of_step("env").as_object().into_iter().flatten() {
            match value.as_str() {
                Some(value) => environment.insert(name.clone(), fill(value, self)),
                None => environment.remove(name),
            };
        }
        let hosts = self.case["host"]["hosts"].as_str();
        let hosts = hosts.unwrap_or("127.0.0.1 localhost\n{HOST_IP} {HOST}\n");
        let start = Start {
            arguments: words.collect(),
            environment,
            host: fill("{HOST}", self),
            hosts: fill(hosts, self),
            has_default_socket: self.case["socket"] == true,
        };
        self.program = Some(Program::start(folder, &start));
        let begins = Instant::now();
        let program = self.program.as_mut().unwrap();
        while program.ended().is_none()
            && !program.printed().contains("Syncing services on ")
            && begins.elapsed() < CHECKPOINT
        {
            thread::park_timeout(POLL);
        }
        self.await_lines(0, self.containers.running());
    }

    /// Ends the program at once, if it still runs.
    fn end(&mut self) {
        self.printed = self.all_printed();
        self.program = None;
    }

    /// Waits until the program, if it runs, is finished with containers that have started: log lines
    /// behind `before` name them, or it has logged nothing for some time.
    fn await_lines(&mut self, before: usize, ids: Vec<String>) {
        let Some(program) = &mut self.program else { return };
        let (mut length, mut since) = (0, Instant::now());
        while program.ended().is_none() && since.elapsed() < QUIET {
            let printed = program.printed();
            let named = |id: &String| printed[before..].contains(&id[..12]);
            if ids.iter().all(named) {
                return;
            }
            if printed.len() != length {
                (length, since) = (printed.len(), Instant::now());
            }
            thread::park_timeout(POLL);
        }
    }

    /// Waits until the registry has the state of a checkpoint, and looks whether it keeps it.
    fn check(&self, label: &str) -> Option<String> {
        let want = fill_all(&self.case["expect"]["state"][label], self);
        let registry = self.registry.unwrap();
        let different = || difference(&want, &registry.state());
        eventually(CHECKPOINT, different).or_else(|| {
            let (begins, want) = (Instant::now(), without_results(want.clone()));
            let different = || difference(&want, &without_results(registry.state()));
            while begins.elapsed() < STABLE {
                if let Some(different) = different() {
                    return Some(format!("not for long: {different}"));
                }
                thread::park_timeout(POLL);
            }
            None
        })
    }

    /// Why the program did not end, or does not run on, as expected.
    fn wrong_end(&mut self) -> Option<String> {
        let expect = &self.case["expect"];
        if let Some(program) = &mut self.program {
            let ended = program.ended();
            let fits = match (&expect["exit"], ended) {
                (Value::Null, ended) => ended.is_none(),
                (code, ended) => ended.is_some_and(|ended| *code == ended.code().unwrap_or(-1)),
            };
            if !fits {
                return Some(format!("want exit code {}, got {ended:?}", expect["exit"]));
            }
        }
        let lines: Vec<_> = texts(&expect["log"]).map(|line| fill(&line, self)).collect();
        eventually(Duration::from_secs(2), || {
            let printed = self.all_printed();
            let missing = lines.iter().find(|line| !printed.contains(*line));
            missing.map(|line| format!("missing in the log: {line:?}"))
        })
    }

    /// What the programs of this case have printed.
    fn all_printed(&self) -> String {
        let last = self.program.as_ref().map(Program::printed).unwrap_or_default();
        self.printed.clone() + &last
    }
}

/// Waits until `check` gives no reason to wait any more, and returns the last reason.
fn eventually(within: Duration, mut check: impl FnMut() -> Option<String>) -> Option<String> {
    let end = Instant::now() + within;
    loop {
        let reason = check()?;
        if Instant::now() > end {
            return Some(reason);
        }
        thread::park_timeout(POLL);
    }
}

/// A state without the results of the checks that Consul runs itself. It runs one for the first time
/// at a random moment of its interval.
fn without_results(mut state: Value) -> Value {
    for check in state["checks"].as_array_mut().into_iter().flatten() {
        if check["runs"].get("Interval").is_some() {
            check["status"] = Value::Null;
        }
    }
    state
}
