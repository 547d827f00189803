//! Go templates, parsed and rendered from a small store.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use render::{Error, Stage, Template};
use store::{Coverage, Key, Prefix, Scope, Snapshot, View};
use world::time::{Time, Zone};
use world::{Host, Service};

use super::{LONGEST, excerpt};

/// The path in the errors of templates.
const PATH: &str = "/etc/confd/templates/a.tmpl";

/// The most times an input can say `range`: nested loops take exponential time.
const RANGES: usize = 3;

/// The most digits in a row in an input, because `seq` and widths accept any number.
const DIGITS: usize = 2;

/// A template is parsed, or the error says where it is wrong. Parsing again gives the same.
pub fn parse(data: &[u8]) {
    if data.len() > LONGEST {
        return;
    }
    let first = compile(data);
    match (&first, compile(data)) {
        (Ok(_), Ok(_)) => {}
        (Err(first), Err(second)) => assert_eq!(first.to_string(), second.to_string()),
        _ => panic!("read once and not twice"),
    }
    if let Err(error) = first {
        assert_eq!(error.stage(), Stage::Compile);
        check(&error, "template: a.tmpl:");
    }
}

/// A template that can be parsed is rendered, or the error says where. Rendering again gives the
/// same, including the output before an error.
pub fn render(data: &[u8]) {
    if data.len() > LONGEST || is_long_winded(data) {
        return;
    }
    let Ok(template) = compile(data) else { return };
    let (view, host): (_, Arc<dyn Host>) = (view(), Arc::new(World));
    let render = || {
        let mut out = Vec::new();
        let result = template.render_to(&view, &host, &render::Warnings::default(), &mut out);
        (out, result.err())
    };
    let ((first, error), (second, again)) = (render(), render());
    assert!(first == second, "what is rendered differs from time to time");
    let text = |error: &Option<Error>| error.as_ref().map(ToString::to_string);
    assert_eq!(text(&error), text(&again));
    if let Some(error) = error {
        assert_eq!(error.stage(), Stage::Render);
        check(&error, "template: a.tmpl:");
    }
}

fn compile(source: &[u8]) -> Result<Template, Error> {
    Template::compile(Path::new(PATH), source)
}

fn check(error: &Error, start: &str) {
    assert!(error.to_string().starts_with(start), "{error}");
    assert!(error.excerpt().to_string().contains(PATH), "{error}");
    excerpt::check(error.excerpt());
}

/// Whether the template could be valid and take very long.
fn is_long_winded(source: &[u8]) -> bool {
    let ranges = source.windows(5).filter(|window| window == b"range").count();
    let mut digits = source.split(|byte| !byte.is_ascii_digit());
    ranges > RANGES || digits.any(|digits| digits.len() > DIGITS)
}

fn view() -> View {
    let pairs = [
        ("/app/json", r#"{"a": [1, 2.5, null], "b": {"c": "d"}}"#),
        ("/app/list", "a,b,c"),
        ("/app/name", "shop"),
        ("/app/port", "8080"),
        ("/up/1", "10.0.0.1:80"),
        ("/up/2", "10.0.0.2:80"),
        ("/up/3", "\u{fffd}\u{1}é"),
    ];
    let snapshot = Snapshot::from_pairs(Coverage::Exact, pairs);
    View::new(snapshot, &Scope::from_iter([Key::root()]), &Prefix::new(b"/"))
}

/// A host on which nothing changes and that uses no network.
struct World;

impl Host for World {
    fn variable(&self, name: &[u8]) -> Option<Bytes> {
        (name == b"NAME").then(|| Bytes::from("value"))
    }

    fn now(&self) -> Time {
        Time::new(1_795_242_729, 781_786_419, Arc::new(Zone::utc()))
    }

    fn file_exists(&self, path: &[u8]) -> bool {
        path == b"/there"
    }

    fn addresses(&self, _: &[u8]) -> io::Result<Vec<IpAddr>> {
        Ok(vec![[10, 0, 0, 1].into()])
    }

    fn services(&self, _: &[u8]) -> io::Result<Vec<Service>> {
        Err(io::ErrorKind::NotFound.into())
    }
}
