//! Why a pass of a resource failed: a kind, a text and the cause.

use std::{fmt, path::Path, sync::Arc};

use catalog::Query;
use config::Problem;
use deploy::{Program, ReloadError};
use report::Excerpt;
use source::{Error as SourceError, Refusal, queries::QueryError};

use crate::{event::Event, guards::Tripped, resource::Resource};

/// Why a resource cannot be loaded, or why its pass failed.
///
/// The text is complete, and has Go confd's words where Go confd has them; so the cause is not
/// repeated as a `source()`. Callers decide by [`kind`](Failure::kind), and never by the text.
#[derive(Clone, Debug)]
pub struct Failure {
    cause: Arc<Cause>,
    /// The failure of the reload of what is in place, which this pass has tried again.
    pending: Option<Arc<Failure>>,
}

#[derive(Debug)]
enum Cause {
    /// With what a person can do about it.
    Source(SourceError, Excerpt),
    Refused(Refusal),
    Load(Problem),
    Template(Problem),
    /// Whether a new try makes sense only when a key has changed.
    Render(render::Error, bool),
    /// The guards that tripped, with what a person can do about it, and whether keys are missing.
    Guard(String, Excerpt, bool),
    /// With what a person can do about it.
    Deploy(deploy::Error, Excerpt),
    /// Items without a file of their own: the reason of the first, and the whole text.
    Items(Failure, String),
    /// Why an item can have no file.
    Item(String),
    /// The queries that have no answer yet.
    Waiting(Vec<Query>),
    /// A query that cannot be answered: the text.
    Query(String),
    Panic(String),
}

/// The most items, besides the first, that a failure names.
const NAMED: usize = 10;

/// What is needed so that the next run succeeds. Of several, the first one counts most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A person who mends something.
    Repair,
    /// Data: a store that answers, or keys that do not exist yet.
    Data,
    /// A result that the check command accepts.
    Check,
    /// A reload that succeeds.
    Reload,
}

/// The part of a pass that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The source does not answer, or cannot answer now.
    Source,
    /// The source does not show the keys of this resource: it refuses, or one of several backends does not
    /// answer, which is a failure of the source.
    Refused,
    /// The resource file cannot be used.
    Load,
    /// The template is missing or malformed.
    Template,
    /// The execution of the template failed: a key is missing, or a function failed.
    Render,
    /// Files of some items could not be made. Those of the others are applied.
    Items,
    /// A guard of the resource does not let the file be replaced.
    Guard,
    /// The file could not be staged or committed.
    Write,
    /// The check command failed.
    Check,
    /// The file was committed, but its reload command failed.
    Reload,
    /// The file was committed and reloaded, but the health check failed.
    Health,
    /// The reload failed with the new content, and the former file was put back.
    RolledBack,
    /// The content is held back, because its reload has failed before.
    Held,
    /// The file is in sync, but the pending reload of an earlier run failed again.
    PendingReload,
    /// The template asks something that has no answer yet.
    Waiting,
    /// What the template asks cannot be answered, or the store of the answers cannot be reached.
    Query,
    /// A thread of this program panicked, which is a bug.
    Panic,
}

impl Kind {
    /// A stable word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Source => "source",
            Kind::Refused => "refused",
            Kind::Load => "load",
            Kind::Template => "template",
            Kind::Render => "render",
            Kind::Items => "items",
            Kind::Guard => "guard",
            Kind::Write => "write",
            Kind::Check => "check",
            Kind::Reload => "reload",
            Kind::Health => "health",
            Kind::RolledBack => "rolled_back",
            Kind::Held => "held",
            Kind::PendingReload => "pending_reload",
            Kind::Waiting => "waiting",
            Kind::Query => "query",
            Kind::Panic => "panic",
        }
    }
}

impl Failure {
    fn new(cause: Cause) -> Self {
        Failure { cause: Arc::new(cause), pending: None }
    }

    /// The same failure, of a pass that has also tried a reload of what is in place, which has failed.
    pub(crate) fn beside(self, pending: Failure) -> Self {
        Failure { pending: Some(Arc::new(pending)), ..self }
    }

    /// The failure of a reload that the pass has tried too. The failure itself is what keeps newer content
    /// from its place.
    pub fn pending(&self) -> Option<&Failure> {
        self.pending.as_deref()
    }

    /// Whether it comes after the checks: the reload of files that were put in place has failed, or they
    /// stay as they are because it had failed.
    pub(crate) fn is_after_the_checks(&self) -> bool {
        let is_of_reload = matches!(self.kind(), Kind::Reload | Kind::Health | Kind::PendingReload);
        is_of_reload || matches!(self.kind(), Kind::RolledBack | Kind::Held)
    }

    /// Whether the pass has put former files back.
    pub(crate) fn has_rolled_back(&self) -> bool {
        self.kind() == Kind::RolledBack || self.pending().is_some_and(Self::has_rolled_back)
    }

    /// Whether files are in place whose reload has to be tried again.
    pub(crate) fn leaves_a_reload(&self) -> bool {
        let leaves = matches!(self.kind(), Kind::Reload | Kind::Health | Kind::PendingReload);
        leaves || self.pending().is_some_and(Self::leaves_a_reload)
    }

    /// Whether the files are as they were before the pass, which has come to no reload.
    pub(crate) fn is_before_the_commit(&self) -> bool {
        match (&*self.cause, self.kind()) {
            (Cause::Deploy(error, _), _) => error.is_before_the_commit(),
            (_, Kind::Items | Kind::Load | Kind::Panic) => false,
            _ => true,
        }
    }

    /// Whether it was reported for all resources together, or when the source said it.
    pub(crate) fn is_of_the_source(&self) -> bool {
        matches!(self.kind(), Kind::Source | Kind::Refused)
    }

    /// The source refuses to show the keys of this resource.
    pub(crate) fn refused(refusal: Refusal) -> Self {
        Failure::new(Cause::Refused(refusal))
    }

    /// The event that `resource` gets no keys because of this.
    pub(crate) fn without_keys(self, resource: &Arc<Resource>) -> Event<'static> {
        let (resource, failure) = (Arc::clone(resource), Arc::new(self));
        match failure.kind() {
            Kind::Source => Event::SourceFailed { resources: vec![resource], failure },
            _ => Event::Failed { resource, failure, retry: None },
        }
    }

    /// A file in `conf.d` is not a valid resource file.
    pub(crate) fn load(problem: Problem) -> Self {
        Failure::new(Cause::Load(problem))
    }

    /// The template is missing or malformed.
    pub(crate) fn template(problem: Problem) -> Self {
        Failure::new(Cause::Template(problem))
    }

    /// The execution of a template failed. If it `waits_for_a_change`, a new try makes sense only when
    /// a key has changed.
    pub(crate) fn render(error: render::Error, waits_for_a_change: bool) -> Self {
        Failure::new(Cause::Render(error, waits_for_a_change))
    }

    /// An item can have no file, because of its `dest`.
    pub(crate) fn item(why: &str) -> Self {
        Failure::new(Cause::Item(why.to_owned()))
    }

    /// The files of these items could not be made, the `first` for this reason. All other files are
    /// applied.
    pub(crate) fn items(first: &Failure, names: &[String]) -> Self {
        let mut text = format!("{first}, for the item {}", names.first().map_or("", |name| name));
        let more = names.iter().skip(1).take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        match names.len() {
            0 | 1 => {}
            count if count <= NAMED + 1 => text += &format!("; so it is for {more}"),
            count => text += &format!("; so it is for {more} and {} more", count - NAMED - 1),
        }
        Failure::new(Cause::Items(first.clone(), text))
    }

    /// These guards do not let the file `dest` be replaced.
    pub(crate) fn guard(dest: &Path, tripped: &Tripped) -> Self {
        let text = format!("{} stays as it is: {}", dest.display(), tripped.text);
        let hint = "confd -onetime -force replaces it all the same".to_owned();
        let excerpt = Excerpt::default().hinting(Some(hint));
        Failure::new(Cause::Guard(text, excerpt, tripped.lacks_keys))
    }

    /// These queries of the template have no answer yet.
    pub(crate) fn waiting(missing: Vec<Query>) -> Self {
        Failure::new(Cause::Waiting(missing))
    }

    /// This query has failed.
    pub(crate) fn query(query: &Query, error: QueryError) -> Self {
        Failure::new(Cause::Query(format!("{query}: {error}")))
    }

    /// No query can be asked, for the reason in `text`.
    pub(crate) fn query_text(text: &str) -> Self {
        Failure::new(Cause::Query(text.to_owned()))
    }

    /// The queries that the pass waits for; empty if it does not wait.
    pub(crate) fn missing(&self) -> &[Query] {
        match &*self.cause {
            Cause::Waiting(missing) => missing,
            _ => &[],
        }
    }

    /// The keys that the template misses, for people; empty if it failed for another reason. Keys that
    /// can contain values are shown only if `show_values`.
    pub(crate) fn missing_keys(&self, show_values: bool) -> Vec<String> {
        match &*self.cause {
            Cause::Render(error, _) => error.missed().names(show_values),
            _ => Vec::new(),
        }
    }

    /// A thread of this program panicked.
    pub(crate) fn panic(what: fmt::Arguments<'_>, panic: &tokio::task::JoinError) -> Self {
        Failure::new(Cause::Panic(format!("{what} ended early: {panic}")))
    }

    /// The kind of the failure.
    pub fn kind(&self) -> Kind {
        match &*self.cause {
            Cause::Source(..) => Kind::Source,
            Cause::Refused(refusal) if refusal.is_transient() => Kind::Source,
            Cause::Refused(_) => Kind::Refused,
            Cause::Load(_) => Kind::Load,
            Cause::Template(_) => Kind::Template,
            Cause::Render(..) => Kind::Render,
            Cause::Items(..) | Cause::Item(_) => Kind::Items,
            Cause::Guard(..) => Kind::Guard,
            Cause::Deploy(error, _) => match error {
                deploy::Error::Check(_) | deploy::Error::GroupCheck(_) => Kind::Check,
                deploy::Error::Reload { cause: ReloadError::Health(_), .. } => Kind::Health,
                deploy::Error::Reload { .. } => Kind::Reload,
                deploy::Error::RolledBack { .. } => Kind::RolledBack,
                deploy::Error::Held { .. } => Kind::Held,
                // The file in place is not the one that was asked for.
                deploy::Error::PendingReload { is_held: true, .. } => Kind::Held,
                deploy::Error::PendingReload { .. } => Kind::PendingReload,
                _ => Kind::Write,
            },
            Cause::Waiting(_) => Kind::Waiting,
            Cause::Query(_) => Kind::Query,
            Cause::Panic(_) => Kind::Panic,
        }
    }

    /// Whether Go confd has such a line, which must stay as it is.
    pub(crate) fn is_go_confds(&self) -> bool {
        !matches!(
            self.kind(),
            Kind::Guard | Kind::Items | Kind::RolledBack | Kind::Held | Kind::Query | Kind::Waiting
        ) && !matches!(&*self.cause, Cause::Deploy(deploy::Error::GroupCheck(_), _))
    }

    /// The command, if this pass has put files in place and their reload has failed.
    pub(crate) fn reload_cmd(&self) -> Option<&Program> {
        match &*self.cause {
            Cause::Deploy(deploy::Error::Reload { command, .. }, _) => Some(command),
            _ => None,
        }
    }

    /// The text for people who do not see the lines of the log beside it: a failed reload names its command.
    pub fn explained(&self) -> String {
        match &*self.cause {
            Cause::Deploy(deploy::Error::Reload { command, cause: ReloadError::Command(_) }, _) => {
                format!("the reload failed: {self}: {command}")
            }
            _ => self.to_string(),
        }
    }

    /// The exit status of the check or reload that failed, if it has one: 255 if a signal ended it.
    pub(crate) fn command_status(&self) -> Option<u8> {
        let own = match &*self.cause {
            Cause::Deploy(error, _) => error.command().and_then(|error| error.status()),
            _ => None,
        };
        own.or_else(|| self.pending()?.command_status())
    }

    /// What is needed so that the next run succeeds.
    pub fn need(&self) -> Need {
        match (&*self.cause, self.kind()) {
            (Cause::Render(error, _), _) if error.is_missing_key() => Need::Data,
            (Cause::Items(first, _), _) => first.need(),
            (Cause::Guard(.., true), _) => Need::Data,
            (Cause::Source(error, _), _) if error.is_refusal() => Need::Repair,
            (_, Kind::Source | Kind::Waiting | Kind::Query) => Need::Data,
            (_, Kind::Check) => Need::Check,
            (
                _,
                Kind::Reload | Kind::Health | Kind::RolledBack | Kind::Held | Kind::PendingReload,
            ) => Need::Reload,
            _ => Need::Repair,
        }
    }

    /// Whether a new try makes sense only when the content has changed.
    pub(crate) fn waits_for_a_change(&self) -> bool {
        let waits = match &*self.cause {
            Cause::Deploy(error, _) => error.waits_for_a_change(),
            Cause::Render(_, waits_for_a_change) => *waits_for_a_change,
            _ => false,
        };
        waits && self.pending().is_none_or(Failure::waits_for_a_change)
    }

    /// Whether the rendering has to begin again on a thread of its own: it took too long, or all missing
    /// keys have to be found.
    pub(crate) fn needs_a_thread(&self) -> bool {
        let needs_it = |error: &render::Error| error.is_out_of_time() || error.is_missing_key();
        matches!(&*self.cause, Cause::Render(error, _) if needs_it(error))
    }

    /// The lines of the template or resource file that caused the failure; empty if there are none.
    pub fn excerpt(&self) -> Option<&Excerpt> {
        match &*self.cause {
            Cause::Load(problem) | Cause::Template(problem) => Some(&problem.excerpt),
            Cause::Render(error, _) => Some(error.excerpt()),
            Cause::Items(first, _) => first.excerpt(),
            Cause::Guard(_, excerpt, _) | Cause::Deploy(_, excerpt) | Cause::Source(_, excerpt) => {
                Some(excerpt)
            }
            Cause::Refused(_)
            | Cause::Item(_)
            | Cause::Waiting(_)
            | Cause::Query(_)
            | Cause::Panic(_) => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.cause {
            Cause::Source(error, _) => error.fmt(f),
            Cause::Refused(refusal) => refusal.fmt(f),
            Cause::Waiting(missing) => {
                let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
                write!(f, "waiting for {}", names.join(", "))
            }
            Cause::Items(_, text)
            | Cause::Item(text)
            | Cause::Guard(text, ..)
            | Cause::Query(text)
            | Cause::Panic(text) => f.write_str(text),
            Cause::Load(problem) | Cause::Template(problem) => f.write_str(&problem.text),
            Cause::Render(error, _) => error.fmt(f),
            Cause::Deploy(error, _) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let hint = Excerpt::default().hinting(error.hint().map(str::to_owned));
        Failure::new(Cause::Source(error, hint))
    }
}

impl From<deploy::Error> for Failure {
    fn from(error: deploy::Error) -> Self {
        let hint = Excerpt::default().hinting(error.hint());
        Failure::new(Cause::Deploy(error, hint))
    }
}
