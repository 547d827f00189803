//! Templates and what they make of a snapshot, for the resources that name them.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use config::Engine;
use render::Template;
use store::{Reads, Snapshot, View};
use tracing::{debug, warn};
use world::Host;

use crate::{applied::Witness, fault::Fault, resource::Resource};

/// The compiled templates, kept from pass to pass while their files stay the same.
pub(crate) struct Templates {
    folder: PathBuf,
    compiled: HashMap<PathBuf, Compiled>,
}

/// A template and what it was compiled from.
struct Compiled {
    engine: Engine,
    source: Vec<u8>,
    template: Arc<Template>,
}

impl Templates {
    /// None yet. Templates may take others from `folder`.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, compiled: HashMap::new() }
    }

    /// As [`get`](Self::get), but where the template cannot be had any more, the version that could
    /// be had last; tells whether it is the newest.
    pub(crate) fn current(&mut self, resource: &Resource) -> Result<(Arc<Template>, bool), Fault> {
        let fault = match self.get(resource) {
            Ok(template) => return Ok((template, true)),
            Err(fault) => fault,
        };
        let known = self.compiled.get(&resource.src);
        let Some(known) = known.filter(|known| known.engine == resource.engine) else {
            return Err(fault);
        };
        fault.log();
        warn!("{}: the version in use stays", resource.src.display());
        Ok((Arc::clone(&known.template), false))
    }

    /// The template of `resource`, compiled now unless all files it is made of are those of last
    /// time.
    pub(crate) fn get(&mut self, resource: &Resource) -> Result<Arc<Template>, Fault> {
        let (src, engine) = (&resource.src, resource.engine);
        debug!("Using source template {}", src.display());
        let source = fs::read(src).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("Missing template: {}", src.display()),
            io::ErrorKind::IsADirectory => unreadable("read", src, &error),
            _ => unreadable("open", src, &error),
        })?;
        if let Some(known) = self.compiled.get(src)
            && (known.engine, &known.source) == (engine, &source)
            && known.template.is_current()
        {
            return Ok(Arc::clone(&known.template));
        }
        debug!("Compiling source template {}", src.display());
        let template = match engine {
            Engine::Go => Template::compile(src, &source),
            Engine::Tera => Template::compile_tera(src, &source, &self.folder),
        };
        let template = template.map_err(|error| Fault {
            text: unable(src, &error),
            excerpt: error.excerpt().clone(),
        })?;
        let template = Arc::new(template);
        let compiled = Compiled { engine, source, template: Arc::clone(&template) };
        self.compiled.insert(src.clone(), compiled);
        Ok(template)
    }
}

fn unreadable(operation: &str, src: &Path, error: &io::Error) -> String {
    unable(src, &format_args!("{operation} {}: {}", src.display(), report::errno_text(error)))
}

fn unable(src: &Path, reason: &dyn fmt::Display) -> String {
    format!("Unable to process template {}, {reason}", src.display())
}

/// The bytes that `template` makes of what `resource` asks for.
pub(crate) fn render(
    resource: &Resource,
    template: &Template,
    snapshot: Snapshot,
    host: &Arc<dyn Host>,
) -> Result<Bytes, Fault> {
    rendered(template, &view(resource, snapshot), host)
}

/// As [`render()`], with what the template asked of its view. None of that is told if it has asked the
/// host for something, which may be another next time.
pub(crate) fn render_observed(
    resource: &Resource,
    template: &Template,
    snapshot: Snapshot,
    host: &Arc<dyn Host>,
) -> Result<(Bytes, Option<Reads>), Fault> {
    let view = view(resource, snapshot).recording();
    let witness = Arc::new(Witness::new(host));
    let host: Arc<dyn Host> = Arc::clone(&witness) as _;
    let content = rendered(template, &view, &host)?;
    Ok((content, (!witness.was_asked()).then(|| view.reads())))
}

fn view(resource: &Resource, snapshot: Snapshot) -> View {
    debug!("Key prefix set to {}", resource.prefix);
    let view = View::new(snapshot, &resource.scope, &resource.prefix);
    debug!("Got the following keys from store: {}", KeyNames(&view));
    view
}

fn rendered(template: &Template, view: &View, host: &Arc<dyn Host>) -> Result<Bytes, Fault> {
    let content = template
        .render(view, host)
        .map_err(|error| Fault { text: error.to_string(), excerpt: error.excerpt().clone() })?;
    Ok(content.into())
}

/// A view's keys, without the values: those may be secrets.
struct KeyNames<'a>(&'a View);

impl fmt::Display for KeyNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("map[")?;
        for (nth, pair) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{}:…", pair.key)?;
        }
        f.write_str("]")
    }
}
