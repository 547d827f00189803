//! confd's log: one line per event on standard error, in the layout that alerts are built on.
//!
//! `<RFC 3339 time> <host> <program>[<pid>]: <LEVEL> <message>`. Messages are printed as they
//! are: no colours, no escaping, no second formatting. Below the line of an event that has the
//! field `excerpt` come the lines of that, which are indented and cannot be taken for events.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use tracing::{Event, Metadata, Subscriber, field::Field, info, warn};
use tracing_subscriber::{
    Layer as _,
    field::Visit,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
};
use world::Host;

/// confd's log levels, most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    /// Nothing at all is logged.
    Panic,
    /// What ends the process.
    Fatal,
    /// What failed.
    Error,
    /// What is probably not meant so.
    Warning,
    /// What was done.
    Info,
    /// How.
    Debug,
}

impl Level {
    /// The level called `name`, in any case; `trace` is `debug`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "panic" => Self::Panic,
            "fatal" => Self::Fatal,
            "error" => Self::Error,
            "warn" | "warning" => Self::Warning,
            "info" => Self::Info,
            "debug" | "trace" => Self::Debug,
            _ => return None,
        })
    }

    fn of(event: &Metadata<'_>) -> Self {
        match *event.level() {
            _ if event.target() == FATAL => Self::Fatal,
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::INFO => Self::Info,
            _ => Self::Debug,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Panic => "PANIC",
            Self::Fatal => "FATAL",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

/// The target of events that are logged as `FATAL`, a level that tracing does not have.
const FATAL: &str = "fatal";

/// Logs what ends the process. Choosing the exit code is the caller's.
pub(crate) fn fatal(message: &dyn fmt::Display) {
    tracing::error!(target: FATAL, "{message}");
}

/// The least severe level that is shown, as its number.
static SHOWN: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Shows events down to `level` from now on.
pub(crate) fn show(level: Level) {
    if SHOWN.swap(level as u8, Ordering::Relaxed) != level as u8 {
        // Which events are shown is worked out once for each place in the code.
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Sends the events of our own crates, down to `level`, to standard error.
///
/// `program` is the name under which the process was invoked, `clock` tells the time of a line;
/// it is not asked before there is one.
pub(crate) fn init(level: Level, program: String, clock: Arc<dyn Host>) {
    let ours = ["agent", "backend", "confd", "deploy", "gotmpl", "render", "store", FATAL];
    show(level);
    let shown = tracing_subscriber::filter::filter_fn(move |event| {
        let root = event.target().split("::").next().unwrap_or_default();
        Level::of(event) as u8 <= SHOWN.load(Ordering::Relaxed) && ours.contains(&root)
    });
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let layout = Layout { source: format!("{host} {program}[{}]", std::process::id()), clock };
    let lines = tracing_subscriber::fmt::layer()
        .event_format(layout)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    // The only way to fail is a log that is there already.
    let _ = tracing::subscriber::set_global_default(
        tracing_subscriber::registry().with(lines.with_filter(shown)),
    );
}

/// The form of a line.
struct Layout {
    source: String,
    clock: Arc<dyn Host>,
}

/// RFC 3339 in Go's notation of layouts: whole seconds, `Z` for an offset of zero.
const RFC_3339: &[u8] = b"2006-01-02T15:04:05Z07:00";

impl<S, N> FormatEvent<S, N> for Layout
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = self.clock.now().format(RFC_3339);
        let level = Level::of(event.metadata()).word();
        write!(line, "{} {}: {level} ", String::from_utf8_lossy(&now), self.source)?;
        let mut message = Message { line, excerpt: String::new(), result: Ok(()) };
        event.record(&mut message);
        message.result?;
        message.line.write_char('\n')?;
        // In the same write as the line, so that nothing gets between them.
        for excerpt in message.excerpt.lines() {
            writeln!(message.line, "{excerpt}")?;
        }
        Ok(())
    }
}

/// Writes an event's message and keeps the excerpt from a file that goes with it.
struct Message<'w> {
    line: Writer<'w>,
    excerpt: String,
    result: fmt::Result,
}

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" if self.result.is_ok() => self.result = write!(self.line, "{value:?}"),
            "excerpt" => self.excerpt = format!("{value:?}"),
            _ => {}
        }
    }
}

/// Something to log once the log is up: a line about the configuration itself.
#[derive(Debug, PartialEq)]
pub(crate) enum Notice {
    /// Worth knowing.
    Info(String),
    /// Probably not what was meant.
    Warning(String),
}

impl Notice {
    /// Logs it.
    pub(crate) fn log(&self) {
        match self {
            Notice::Info(line) => info!("{line}"),
            Notice::Warning(line) => warn!("{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_their_names_in_any_case() {
        for (name, level) in [
            ("WARN", Level::Warning),
            ("warning", Level::Warning),
            ("Trace", Level::Debug),
            ("panic", Level::Panic),
        ] {
            assert_eq!(Level::named(name), Some(level));
        }
        assert_eq!(Level::named("bogus"), None);
    }
}
