//! Writes the log from events, with Go confd's lines where Go confd has them.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deploy::Level;
use report::Excerpt;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::{
    event::{Event, Reader, Step, Wake},
    failure::{Failure, Kind},
    missing,
    repeats::{Over, Repeats, Written, roughly},
    resource::Resource,
};

/// The time after which an unchanged failure of the source is logged again.
const REMINDER: Duration = Duration::from_secs(60);
/// How many different texts of a source that fails are logged in that time. The text of a failure can
/// differ each time, for example if it contains the number of a request.
const TEXTS: usize = 3;
/// The most names of resources in one line.
const NAMES: usize = 20;

/// How a log line names its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// For onetime mode: exactly Go confd's lines, in Go confd's order. The line before an error
    /// shows which resource is meant.
    Onetime,
    /// For interval and watch mode, where resources are processed at the same time: the line of an
    /// error or warning ends with the name of its resource.
    Daemon,
}

/// Texts of failures, and when they were logged.
type Logged = Vec<(String, Instant)>;

/// What a line about missing keys is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Missing {
    /// They read as empty.
    Empty,
    /// The files of a resource stay as they are.
    Kept,
    /// The files of some items stay as they are.
    ItemsKept,
}

/// The reader that writes log lines.
pub(crate) struct Log {
    style: Style,
    /// The failures of the source that were logged in the last minute, until the source recovers.
    source: Mutex<Logged>,
    /// The same for the queries of templates.
    queries: Mutex<Logged>,
    /// The folders of which a line said that they cannot be synced. Each gets one line.
    not_synced: Mutex<HashSet<PathBuf>>,
    /// What the last lines about missing keys of each resource said, by the resource files.
    missing: Mutex<HashMap<(PathBuf, Missing), String>>,
    /// The failures of each resource that repeat.
    repeats: Mutex<Repeats<Line>>,
}

impl Log {
    pub(crate) fn new(style: Style) -> Self {
        Log {
            style,
            source: Mutex::default(),
            queries: Mutex::default(),
            not_synced: Mutex::default(),
            missing: Mutex::default(),
            repeats: Mutex::new(Repeats::new()),
        }
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats<Line>> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line of a pass, now or when the pass has ended.
    fn put(&self, about: &About<'_>, level: Level, excerpt: &Excerpt, text: fmt::Arguments<'_>) {
        if let (Style::Daemon, Some(name)) = (self.style, about.resource) {
            let mut repeats = self.repeats();
            if repeats.keeps(name) {
                return repeats.keep(name, Line::new(about, level, excerpt, text));
            }
        }
        line(about, level, excerpt, text);
    }

    /// Writes a failure of a pass, unless the same one has come again and again.
    fn put_failure(
        &self,
        about: &About<'_>,
        resource: &Resource,
        excerpt: &Excerpt,
        failure: &Failure,
        whose: &str,
    ) {
        let written = match self.style {
            Style::Onetime => Written::Whole,
            Style::Daemon => {
                let (written, lines) = self.repeats().failed(resource.name(), &failure.to_string());
                lines.iter().for_each(Line::write);
                written
            }
        };
        let none = Excerpt::default();
        match written {
            Written::Whole => line(about, Level::Error, excerpt, format_args!("{failure}{whose}")),
            Written::Counted(times, within) => {
                let within = roughly(within);
                let text = format_args!("{failure}{whose} ({times} times in the last {within})");
                line(about, Level::Error, &none, text);
            }
            Written::Nothing => line(about, Level::Debug, &none, format_args!("{failure}{whose}")),
        }
    }

    /// Writes what was kept of a pass that succeeded, and that the resource works again.
    fn succeeded(&self, resource: &Resource) {
        let (lines, over) = self.repeats().succeeded(resource.name());
        lines.iter().for_each(Line::write);
        if let Some(Over { failures, took }) = over {
            let (dests, whose) = (resource.dest_names(), named(resource.name()));
            let took = roughly(took);
            let text =
                format_args!("{dests} works again after {failures} failures in {took}{whose}");
            line(&About::of(resource), Level::Info, &Excerpt::default(), text);
        }
    }

    /// The end of a line about a problem of the resource `name`.
    fn whose(&self, name: &str) -> String {
        match self.style {
            Style::Onetime => String::new(),
            Style::Daemon => named(name),
        }
    }

    fn step(&self, resource: &Resource, step: &Step<'_>) {
        let none = Excerpt::default();
        let dest = if let Step::Deploy(step) = step { step.dest() } else { None };
        let about = About { dest, ..About::of(resource) };
        match (step, step.level()) {
            // This line is not Go confd's, and no line before it shows which resource is meant.
            (Step::Deploy(deploy::Step::StillRunning { .. }), level) => {
                line(&about, level, &none, format_args!("{step}{}", named(resource.name())));
            }
            (Step::ReadAsEmpty(keys), _) => self.misses_some(resource, Missing::Empty, keys, step),
            (Step::ItemsKept(keys), _) => {
                self.misses_some(resource, Missing::ItemsKept, keys, step);
            }
            // This line is not Go confd's, and there may be none before it.
            (Step::Forced { .. }, level) => {
                self.put(&about, level, &none, format_args!("{step}{}", named(resource.name())));
            }
            (Step::TemplateStays { problem, .. }, _) => {
                let whose = self.whose(resource.name());
                self.put(
                    &about,
                    Level::Error,
                    &problem.excerpt,
                    format_args!("{}{whose}", problem.text),
                );
                self.put(&about, Level::Warning, &none, format_args!("{step}{whose}"));
            }
            (_, level @ (Level::Error | Level::Warning)) => {
                self.put(
                    &about,
                    level,
                    &none,
                    format_args!("{step}{}", self.whose(resource.name())),
                );
            }
            (_, level) => self.put(&about, level, &none, format_args!("{step}")),
        }
    }

    fn failed(&self, resource: &Resource, failure: &Failure) {
        if let Some(pending) = failure.pending() {
            self.failed(resource, pending);
        }
        match failure.kind() {
            // These have lines of their own.
            Kind::Source => return,
            Kind::Waiting if failure.pending().is_some() => return,
            _ => {}
        }
        let none = Excerpt::default();
        let about = About { kind: Some(failure.kind()), ..About::of(resource) };
        let excerpt = failure.excerpt().unwrap_or(&none);
        // A pending reload of an earlier run that fails again does not fail this run.
        if (self.style, failure.kind()) == (Style::Onetime, Kind::PendingReload) {
            let whose = named(resource.name());
            return line(&about, Level::Warning, excerpt, format_args!("{failure}{whose}"));
        }
        let excerpt = match (failure.kind(), failure.reload_cmd()) {
            // Go confd's line names neither the resource nor the command.
            (Kind::Reload, Some(command)) => {
                let key = resource.key_of(command);
                let name = resource.name();
                let hint = format!("the {key} of the resource {name} failed: {command}");
                &excerpt.clone().hinting(Some(hint))
            }
            _ => excerpt,
        };
        let whose = match failure.is_go_confds() {
            true => self.whose(resource.name()),
            false => named(resource.name()),
        };
        self.put_failure(&about, resource, excerpt, failure, &whose);
    }

    /// Writes that these keys are missing, of which there may be none.
    fn misses_some(&self, resource: &Resource, what: Missing, keys: &[String], step: &Step<'_>) {
        match keys {
            [] => self.misses_nothing(resource, what),
            [_, ..] => self.misses(resource, what, step.to_string()),
        }
    }

    /// Writes that keys are missing, if the last line about that of `resource` did not say the same.
    fn misses(&self, resource: &Resource, what: Missing, text: String) {
        let mut said = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = said.insert((resource.path.clone(), what), text.clone());
        let is_news = before.as_ref() != Some(&text);
        let level = if is_news { Level::Warning } else { Level::Debug };
        let about = About::of(resource);
        line(&about, level, &Excerpt::default(), format_args!("{text}{}", named(resource.name())));
    }

    /// Keys that will be missing are news again.
    fn misses_nothing(&self, resource: &Resource, what: Missing) {
        let mut said = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        said.remove(&(resource.path.clone(), what));
    }

    /// Whether no line was written yet about this folder, which cannot be synced.
    fn is_first_about(&self, folder: &Path) -> bool {
        let mut folders = self.not_synced.lock().unwrap_or_else(PoisonError::into_inner);
        folders.insert(folder.to_owned())
    }

    /// Writes the failure of a source or of a query. `logged` has those that were written.
    fn source_failed(&self, logged: &Mutex<Logged>, resources: usize, failure: &Failure) {
        let text = match resources {
            0 | 1 => failure.to_string(),
            many => format!("{failure} ({many} resources)"),
        };
        let now = Instant::now();
        let mut logged = logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.retain(|(_, at)| now - *at < REMINDER);
        if logged.len() < TEXTS && logged.iter().all(|(before, _)| *before != text) {
            let none = Excerpt::default();
            let about = About { kind: Some(failure.kind()), ..About::default() };
            line(&about, Level::Error, failure.excerpt().unwrap_or(&none), format_args!("{text}"));
            logged.push((text, now));
        } else {
            debug!("{text}");
        }
    }
}

impl Log {
    fn recovered(&self, logged: &Mutex<Logged>, text: &str) {
        let mut logged = logged.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut *logged).is_empty() && self.style == Style::Daemon {
            info!("{text}");
        }
    }
}

impl Reader for Log {
    fn read(&self, event: &Event<'_>) {
        match event {
            Event::Reading => debug!("Retrieving keys from store"),
            Event::Step { resource, step } => self.step(resource, step),
            Event::RunStep { step: Step::Deploy(deploy::Step::NotSynced { folder, .. }) }
                if !self.is_first_about(folder) => {}
            Event::RunStep { step } => {
                line(&About::default(), step.level(), &Excerpt::default(), format_args!("{step}"));
            }
            Event::Failed { resource, failure, .. } => self.failed(resource, failure),
            Event::RunFailed { failure } => {
                let none = Excerpt::default();
                let excerpt = failure.excerpt().unwrap_or(&none);
                let about = About { kind: Some(failure.kind()), ..About::default() };
                line(&about, Level::Error, excerpt, format_args!("{failure}"));
            }
            Event::NotLoaded { name, problem } => {
                let text = &problem.text;
                let whose = self.whose(name);
                let about = About { resource: Some(name), kind: Some(Kind::Load), dest: None };
                line(&about, Level::Error, &problem.excerpt, format_args!("{text}{whose}"));
            }
            Event::SourceFailed { resources, failure } => {
                self.source_failed(&self.source, resources.len(), failure);
            }
            Event::SourceRecovered => self.recovered(&self.source, "The backend answers again"),
            // In onetime mode the failure of each resource is logged.
            Event::QueryFailed { resources, failure } if self.style == Style::Daemon => {
                self.source_failed(&self.queries, resources.len(), failure);
            }
            Event::QueryFailed { .. } => {}
            Event::QueryWarning { resources, text } => match &resources[..] {
                [resource] => {
                    let name = &**resource.name();
                    warn!(resource = name, "{text}{}", named(name));
                }
                resources => warn!("{text} ({} resources)", resources.len()),
            },
            Event::QueriesRecovered => {
                self.recovered(&self.queries, "The queries of templates are answered again");
            }
            Event::Kept { resource, keys } => {
                let dests = resource.dest_names();
                let keys = missing::do_not_exist(keys);
                let text = format!("{dests} stays as it is: {keys}");
                self.misses(resource, Missing::Kept, text);
            }
            Event::Done { resource, .. } => {
                self.succeeded(resource);
                if missing::may_keep(resource) {
                    self.misses_nothing(resource, Missing::Kept);
                }
            }
            Event::Woken { resource, wake } if wake.is_news() || *wake == Wake::Request => {
                self.repeats().news(resource.name()).iter().for_each(Line::write);
            }
            Event::Assigned(resources) => {
                let names: HashSet<&str> = resources.iter().map(|one| &**one.name()).collect();
                self.repeats().keep_only(|name| names.contains(name));
            }
            Event::Waits { resource, queries } => {
                let whose = self.whose(resource.name());
                info!(resource = &**resource.name(), "waiting for {}{whose}", Names(queries));
            }
            Event::PassEnded { resources, failed } => {
                if self.style == Style::Onetime && failed.len() > 1 {
                    let (failures, names) = (failed.len(), Names(failed));
                    warn!("{failures} of {resources} resources failed: {names}");
                }
            }
            Event::Loaded { .. }
            | Event::Ran { .. }
            | Event::Replaced { .. }
            | Event::Woken { .. }
            | Event::Proposed { .. } => {}
        }
    }

    fn wants(&self, level: Level) -> bool {
        match level {
            Level::Error | Level::Warning => true,
            Level::Info => tracing::enabled!(tracing::Level::INFO),
            Level::Debug => tracing::enabled!(tracing::Level::DEBUG),
        }
    }
}

/// The end of a line that names the resource.
pub(crate) fn named(name: &str) -> String {
    format!(" (resource {name})")
}

/// What a line is about, for programs that read the log.
#[derive(Default)]
struct About<'a> {
    /// The name of the resource.
    resource: Option<&'a str>,
    dest: Option<&'a Path>,
    kind: Option<Kind>,
}

impl<'a> About<'a> {
    fn of(resource: &'a Resource) -> Self {
        About { resource: Some(resource.name()), ..About::default() }
    }
}

/// A line that is written later.
struct Line {
    level: Level,
    resource: String,
    dest: Option<PathBuf>,
    kind: Option<Kind>,
    excerpt: Excerpt,
    text: String,
}

impl Line {
    fn new(about: &About<'_>, level: Level, excerpt: &Excerpt, text: fmt::Arguments<'_>) -> Self {
        Line {
            level,
            resource: about.resource.unwrap_or_default().to_owned(),
            dest: about.dest.map(Path::to_owned),
            kind: about.kind,
            excerpt: excerpt.clone(),
            text: text.to_string(),
        }
    }

    fn write(&self) {
        let Line { level, resource, dest, kind, excerpt, text } = self;
        let about = About { resource: Some(resource), dest: dest.as_deref(), kind: *kind };
        line(&about, *level, excerpt, format_args!("{text}"));
    }
}

/// Writes one line. The excerpt is a field of its own, so that the formatter can keep both together, and
/// what the line is about are fields for structured formats.
fn line(about: &About<'_>, level: Level, excerpt: &Excerpt, text: fmt::Arguments<'_>) {
    let About { resource, dest, kind } = about;
    let (dest, kind) = (dest.map(Path::to_string_lossy), kind.map(Kind::word));
    let (resource, dest) = (*resource, dest.as_deref());
    match level {
        Level::Error => error!(excerpt = %excerpt, resource, dest, kind, "{text}"),
        Level::Warning => warn!(excerpt = %excerpt, resource, dest, kind, "{text}"),
        Level::Info => info!(resource, dest, "{text}"),
        Level::Debug => debug!(resource, dest, "{text}"),
    }
}

/// Names separated by commas. Only the first names of a long list are shown.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.len().min(NAMES);
        f.write_str(&self.0[..shown].join(", "))?;
        match self.0.len() - shown {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
