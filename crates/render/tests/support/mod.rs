//! Renders a template with our engine as the Go program renders a request, with the same host.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gotmpl::{Functions, Map, Value};
use render::{Stage, Template};
use store::{Coverage, Key, Prefix, Scope, Snapshot, View};
use world::time::{Time, Zone};
use world::{Host, Service, System};

#[path = "../../../../tests/go/driver.rs"]
#[allow(dead_code, reason = "the vectors are run without Go")]
pub(crate) mod go;

pub(crate) use go::{Answer, Request};

/// The result of `request` with our engine.
pub(crate) fn run(request: &Request) -> Answer {
    let run = AssertUnwindSafe(|| match &request.data {
        Some(data) => run_with_data(request, data),
        None => run_with_store(request),
    });
    catch_unwind(run).unwrap_or_else(|_| answer("panic", Vec::new(), None))
}

fn answer(stage: &str, output: Vec<u8>, error: Option<String>) -> Answer {
    Answer { stage: stage.to_owned(), output, error: error.unwrap_or_default().into_bytes() }
}

/// Renders the template of a resource: with all functions and the store.
fn run_with_store(request: &Request) -> Answer {
    let pairs = request.store.iter().map(|(key, value)| (key.clone(), value.clone()));
    let snapshot = Snapshot::from_pairs(Coverage::Exact, pairs);
    let view = View::new(snapshot, &Scope::from_iter([Key::root()]), &Prefix::new(b"/"));
    let host: Arc<dyn Host> =
        Arc::new(World { environment: request.env.clone(), system: System::new() });
    let mut output = Vec::new();
    let result =
        Template::compile(Path::new(&request.name), &request.template).and_then(|template| {
            template.render_to(&view, &host, &render::Warnings::default(), &mut output)
        });
    match result {
        Ok(()) => answer("ok", output, None),
        Err(error) if error.stage() == Stage::Compile => {
            answer("parse", output, Some(error.exact().to_owned()))
        }
        Err(error) => answer("exec", output, Some(error.exact().to_owned())),
    }
}

/// Renders the template of a check command: with the builtins only, and a map of strings as the
/// root.
fn run_with_data(request: &Request, data: &BTreeMap<String, String>) -> Answer {
    let functions: Arc<Functions<()>> = Arc::new(Functions::new());
    let mut output = Vec::new();
    let source = Bytes::copy_from_slice(&request.template);
    let template = match gotmpl::Template::parse(&request.name, source, &functions) {
        Ok(template) => template,
        Err(error) => return answer("parse", output, Some(error.to_string())),
    };
    let data =
        data.iter().map(|(key, value)| (Bytes::from(key.clone()), Bytes::from(value.clone())));
    match template.execute(&(), Value::Map(Map::strings(data)), &mut output) {
        Ok(()) => answer("ok", output, None),
        Err(error) => answer("exec", output, Some(error.to_string())),
    }
}

/// The host that the Go program shows to templates: a clock that stands still, addresses that stand
/// for themselves, and one service. The file system is that of this machine.
struct World {
    environment: BTreeMap<String, String>,
    system: System,
}

impl Host for World {
    fn variable(&self, name: &[u8]) -> Option<Bytes> {
        let value = self.environment.get(std::str::from_utf8(name).ok()?)?;
        Some(Bytes::copy_from_slice(value.as_bytes()))
    }

    /// 2026-11-21 06:32:09.781786419 UTC.
    fn now(&self) -> Time {
        Time::new(1_795_242_729, 781_786_419, Arc::new(Zone::utc())).at(world::time::Location::Utc)
    }

    fn file_exists(&self, path: &[u8]) -> bool {
        self.system.file_exists(path)
    }

    fn addresses(&self, name: &[u8]) -> io::Result<Vec<IpAddr>> {
        let address = std::str::from_utf8(name).ok().and_then(|name| name.parse::<IpAddr>().ok());
        match address {
            Some(address) => Ok(vec![address.to_canonical()]),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    fn services(&self, name: &[u8]) -> io::Result<Vec<Service>> {
        if !name.ends_with(b"example.com") {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let service = |target: &str, port, priority, weight| Service {
            target: target.to_owned(),
            port,
            priority,
            weight,
        };
        Ok(vec![service("a.example.com.", 80, 1, 10), service("b.example.com.", 8080, 2, 0)])
    }
}
