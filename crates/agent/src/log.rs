//! The log, as a reader of events: Go confd's lines, where Go confd has them.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use deploy::Level;
use report::Excerpt;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::{
    event::{Event, Reader, Step},
    failure::{Failure, Kind},
    resource::Resource,
};

/// How often a failure of the source that stays the same is logged again.
const REMINDER: Duration = Duration::from_secs(60);
/// How many names of resources a line lists at most.
const NAMES: usize = 20;

/// Who reads the lines, which decides how a line says whose trouble it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A run that ends: exactly Go confd's lines, in Go confd's order, so that the line above tells
    /// which resource is meant.
    Onetime,
    /// A process that goes on, where resources work side by side: a line of trouble ends with the
    /// name of its resource.
    Daemon,
}

/// Writes log lines.
pub(crate) struct Log {
    style: Style,
    /// The failure of the source that was logged last, while the source has not recovered.
    source: Mutex<Option<(String, Instant)>>,
}

impl Log {
    pub(crate) fn new(style: Style) -> Self {
        Log { style, source: Mutex::new(None) }
    }

    /// What a line about trouble of the resource `name` ends with.
    fn whose(&self, name: &str) -> String {
        match self.style {
            Style::Onetime => String::new(),
            Style::Daemon => named(name),
        }
    }

    fn step(&self, resource: &Resource, step: &Step<'_>) {
        let none = Excerpt::default();
        match (step, step.level()) {
            // Go confd has no such line, and no line above it says whose command hangs.
            (Step::Deploy(deploy::Step::StillRunning { .. }), level) => {
                line(level, &none, format_args!("{step}{}", named(resource.name())));
            }
            (Step::TemplateStays { problem, .. }, _) => {
                let whose = self.whose(resource.name());
                line(Level::Error, &problem.excerpt, format_args!("{}{whose}", problem.text));
                line(Level::Warning, &none, format_args!("{step}{whose}"));
            }
            (_, level @ (Level::Error | Level::Warning)) => {
                line(level, &none, format_args!("{step}{}", self.whose(resource.name())));
            }
            (_, level) => line(level, &none, format_args!("{step}")),
        }
    }

    fn failed(&self, resource: &Resource, failure: &Failure) {
        let none = Excerpt::default();
        let excerpt = failure.excerpt().unwrap_or(&none);
        // A run whose only trouble is a reload that an earlier run owes does not fail for it.
        let level = match (self.style, failure.kind()) {
            (Style::Onetime, Kind::OwedReload) => Level::Warning,
            _ => Level::Error,
        };
        line(level, excerpt, format_args!("{failure}{}", self.whose(resource.name())));
    }

    fn source_failed(&self, resources: usize, failure: &Failure) {
        let text = match resources {
            0 | 1 => failure.to_string(),
            many => format!("{failure} ({many} resources)"),
        };
        let now = Instant::now();
        let mut last = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = |(last, at): &(String, Instant)| *last != text || now - *at >= REMINDER;
        if last.as_ref().is_none_or(is_news) {
            error!("{text}");
            *last = Some((text, now));
        } else {
            debug!("{text}");
        }
    }
}

impl Reader for Log {
    fn read(&self, event: &Event<'_>) {
        match event {
            Event::Reading => debug!("Retrieving keys from store"),
            Event::Step { resource, step } => self.step(resource, step),
            Event::RunStep { step } => {
                line(step.level(), &Excerpt::default(), format_args!("{step}"));
            }
            Event::Failed { resource, failure, .. } => self.failed(resource, failure),
            Event::RunFailed { failure } => {
                let none = Excerpt::default();
                let excerpt = failure.excerpt().unwrap_or(&none);
                line(Level::Error, excerpt, format_args!("{failure}"));
            }
            Event::NotLoaded { name, problem } => {
                let text = &problem.text;
                let whose = self.whose(name);
                line(Level::Error, &problem.excerpt, format_args!("{text}{whose}"));
            }
            Event::SourceFailed { resources, failure } => {
                self.source_failed(resources.len(), failure);
            }
            Event::SourceRecovered => {
                let mut last = self.source.lock().unwrap_or_else(PoisonError::into_inner);
                if last.take().is_some() && self.style == Style::Daemon {
                    info!("The backend answers again");
                }
            }
            Event::PassEnded { resources, failed } => {
                if self.style == Style::Onetime && failed.len() > 1 {
                    let (failures, names) = (failed.len(), Names(failed));
                    warn!("{failures} of {resources} resources failed: {names}");
                }
            }
            Event::Assigned(_) | Event::Woken { .. } | Event::Done { .. } => {}
        }
    }
}

/// The end of a line that says whose it is.
fn named(name: &str) -> String {
    format!(" (resource {name})")
}

/// One line; the excerpt is a field of its own, so that whoever shows lines keeps both together.
fn line(level: Level, excerpt: &Excerpt, text: fmt::Arguments<'_>) {
    match level {
        Level::Error => error!(excerpt = %excerpt, "{text}"),
        Level::Warning => warn!(excerpt = %excerpt, "{text}"),
        Level::Info => info!("{text}"),
        Level::Debug => debug!("{text}"),
    }
}

/// Names with commas between, of many only the first.
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
