//! confd's log: one line for each event on standard error, in the layout that alerts rely on.
//!
//! `<RFC 3339 time> <host> <program>[<pid>]: <LEVEL> <message>`. Messages have no colours and no
//! second formatting. A message is one line, and cannot control a terminal: whatever it quotes,
//! control characters are written as escapes ([`Harmless`]). If an event has the field `excerpt`, the
//! lines of the excerpt follow. They are indented, so that they cannot be confused with events.
//!
//! For programs that read the log, [`structured`] writes each event as one line of JSON or logfmt, with the
//! fields of the event.

mod queue;
mod structured;

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use report::Harmless;
use tracing::{Event, Metadata, Subscriber, field::Field, info, warn};
use tracing_subscriber::{
    field::Visit,
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
};
use world::{Host, time::RFC_3339};

use self::queue::Lines;
pub(crate) use self::queue::{flush, write_in_background};

/// The layout of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Format {
    /// confd's own.
    Text,
    /// `key=value` pairs.
    Logfmt,
    /// A JSON object.
    Json,
}

impl Format {
    /// The format called `name`.
    ///
    /// # Errors
    /// There is no such format: a text with the formats that there are.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        match name {
            "text" | "" => Ok(Format::Text),
            "logfmt" => Ok(Format::Logfmt),
            "json" => Ok(Format::Json),
            _ => Err(format!(
                "not a valid log format: {} (the formats are \"text\", \"logfmt\" and \"json\")",
                gotmpl::quote(name.as_bytes())
            )),
        }
    }

    /// The format in use.
    fn current() -> Self {
        match FORMAT.load(Ordering::Relaxed) {
            format if format == Format::Json as u8 => Format::Json,
            format if format == Format::Logfmt as u8 => Format::Logfmt,
            _ => Format::Text,
        }
    }
}

/// The format of the lines, as its number.
static FORMAT: AtomicU8 = AtomicU8::new(Format::Text as u8);

/// Writes lines in this format from now on.
pub(crate) fn write_as(format: Format) {
    FORMAT.store(format as u8, Ordering::Relaxed);
}

/// confd's log levels, most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    /// Nothing at all is logged.
    Panic,
    /// Something that ends the process.
    Fatal,
    /// A failure.
    Error,
    /// Something that is probably not intended.
    Warning,
    /// Something that was done.
    Info,
    /// Details of what is done.
    Debug,
}

impl Level {
    /// The level called `name`, in any case. `trace` means `debug`.
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

/// The crates whose events are logged, besides sources and clients of stores. `tests/tidy.rs` checks
/// that no crate of ours is missing.
const OURS: &[&str] =
    &["agent", "confd", "control", "deploy", "filewatch", "nodes", "render", "source", FATAL];

/// The beginnings of the names of sources and of clients of stores.
const OF_SOURCES: [&str; 2] = ["client_", "source_"];

/// Whether the event comes from a crate of ours.
fn is_ours(event: &Metadata<'_>) -> bool {
    let name = event.target().split("::").next().unwrap_or_default();
    OURS.contains(&name) || OF_SOURCES.iter().any(|beginning| name.starts_with(beginning))
}

/// The target of events that are logged as `FATAL`, because tracing has no such level.
const FATAL: &str = "fatal";

/// Logs the error that ends the process. The caller chooses the exit code.
pub(crate) fn fatal(message: &dyn fmt::Display) {
    tracing::error!(target: FATAL, "{message}");
}

/// Logs the error that ends the process before it does any work, with the hint of a configuration
/// file that cannot be used.
pub(crate) fn fatal_error(error: &anyhow::Error) {
    let none = report::Excerpt::default();
    let problem = error.downcast_ref::<config::Problem>();
    let excerpt = problem.map_or(&none, |problem| &problem.excerpt);
    tracing::error!(target: FATAL, excerpt = %excerpt, "{error:#}");
}

/// The least severe level that is logged, as its number.
static SHOWN: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Logs events down to `level` from now on.
pub(crate) fn show(level: Level) {
    if SHOWN.swap(level as u8, Ordering::Relaxed) != level as u8 {
        // tracing decides once for each place in the code whether its events are logged.
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Logs the events of our own crates, down to `level`, to standard error.
///
/// `program` is the name by which the process was started. `clock` gives the time of a line; it is
/// not used before there is a line.
pub(crate) fn init(level: Level, program: &str, clock: Arc<dyn Host>) {
    show(level);
    // This can only fail if there is a log already.
    let _ = tracing::subscriber::set_global_default(subscriber(program, clock, || Lines));
}

/// Writes the events of our own crates to `writer`.
fn subscriber<W: for<'a> MakeWriter<'a> + Send + Sync + 'static>(
    program: &str,
    clock: Arc<dyn Host>,
    writer: W,
) -> impl Subscriber + Send + Sync {
    let shown = tracing_subscriber::filter::filter_fn(move |event| {
        Level::of(event) as u8 <= SHOWN.load(Ordering::Relaxed) && is_ours(event)
    });
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut source = String::new();
    // Writing to a string cannot fail.
    let _ = write!(Harmless(&mut source), "{host} {program}[{}]", std::process::id());
    let layout = Layout { source, clock };
    let lines =
        tracing_subscriber::fmt::layer().event_format(layout).with_writer(writer).with_ansi(false);
    // The filter is for the whole log. A filter of one layer keeps its answer for the next event of
    // the thread, also if the question was not about an event, and that event would be lost.
    tracing_subscriber::registry().with(lines).with(shown)
}

/// The layout of a line.
struct Layout {
    source: String,
    clock: Arc<dyn Host>,
}

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
        let level = Level::of(event.metadata());
        match Format::current() {
            Format::Text => {}
            format => return structured::write(line, format, &self.clock.now(), level, event),
        }
        let now = self.clock.now().format(RFC_3339);
        let level = level.word();
        write!(line, "{} {}: {level} ", String::from_utf8_lossy(&now), self.source)?;
        let mut message = Message { line, excerpt: String::new(), result: Ok(()) };
        event.record(&mut message);
        message.result?;
        message.line.write_char('\n')?;
        // Written together with the line, so that no other line gets between them.
        for excerpt in message.excerpt.lines() {
            writeln!(message.line, "{excerpt}")?;
        }
        Ok(())
    }
}

/// Writes the message of an event, and keeps the excerpt that belongs to it.
struct Message<'w> {
    line: Writer<'w>,
    excerpt: String,
    result: fmt::Result,
}

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" if self.result.is_ok() => {
                self.result = write!(Harmless(&mut self.line), "{value:?}");
            }
            "excerpt" => self.excerpt = format!("{value:?}"),
            _ => {}
        }
    }
}

/// A message about the configuration, which is logged once the log exists.
#[derive(Debug, PartialEq)]
pub(crate) enum Notice {
    /// Information.
    Info(String),
    /// Something that is probably not intended.
    Warning(String),
}

impl Notice {
    /// Logs the message.
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

    /// A writer into shared memory.
    #[derive(Clone, Default)]
    struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_not_lost_after_the_question_whether_another_level_is_logged() {
        let written = Shared::default();
        let writer = written.clone();
        let log = subscriber("confd", Arc::new(world::System::new()), move || writer.clone());
        tracing::subscriber::with_default(log, || {
            for line in ["first", "second"] {
                info!("{line}");
                // tracing asks this if two threads come to a new place in the code together.
                let place = tracing::callsite! {
                    name: "debug",
                    kind: tracing::metadata::Kind::EVENT,
                    target: "confd",
                    level: tracing::Level::DEBUG,
                    fields: message
                };
                tracing::dispatcher::get_default(|log| {
                    log.enabled(tracing::Callsite::metadata(place))
                });
            }
        });
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written.lines().count(), 2, "{written}");
    }

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
