//! The main loop: renders the templates, puts their results in place, runs their commands, and
//! waits for changes.

mod commands;
mod failures;

use std::future::Future;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catalog::Data;
use foldhash::HashSet;
use source::queries;
use tokio::time::{Instant, sleep_until};

use crate::Edge;
use crate::child::Child;
use crate::config::{self, Config};
use crate::functions::Machine;
use crate::log::Log;
use crate::markers::{self, Markers, Memory};
use crate::notify;
use crate::place::{Placed, place};
use crate::program::Program;
use crate::quiet::Quiet;
use crate::retries::Retries;
use crate::secrets::{self, Failed};
use crate::session::{Query, Store};
use crate::template::Template;
use crate::views::{News, Views};

/// The number of queries above which the log warns, once.
const MANY: usize = 128;

/// The time between two looks whether the program has acted on a signal.
const SIGNAL_CHECK: Duration = Duration::from_millis(10);

/// The shortest time that a timer can measure.
const MEASURABLE: Duration = Duration::from_millis(1);

/// The time in which first answers are awaited before the next pass, in times of the last pass.
const GATHERED: u32 = 4;

/// The longest time in which first answers are expected. What is still missing then, such as a key
/// that does not exist, delays no other answer.
const FIRST_ANSWERS: Duration = Duration::from_secs(5);

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything was rendered, or parsed.
    Done,
    /// The child ended with this code.
    Child(i32),
}

/// The templates of a configuration, and what is known about them.
pub(crate) struct Runner {
    config: Rc<Config>,
    dry: bool,
    log: Log,
    machine: Rc<Machine>,
    templates: Vec<Task>,
    store: Rc<Store>,
    views: Views,
    /// The queries without an answer that the last pass asked for.
    missing: HashSet<Query>,
    /// When something was asked for that nothing had asked for before.
    asked: Option<Instant>,
    /// How long the last pass over the templates took, without their commands.
    last_pass: Duration,
    /// Commands that are tried again.
    retries: Retries,
    /// Checks that are tried again.
    checks: Retries,
    /// Whether the log has warned of many queries.
    has_warned: bool,
    /// Whether systemd knows that all templates are in place.
    is_ready: bool,
    child: Option<Child>,
    environment: Rc<[(std::ffi::OsString, std::ffi::OsString)]>,
}

/// A template, and how far it is.
struct Task {
    template: Template,
    state: State,
    /// What the template asked for when it was last executed.
    used: Vec<Query>,
    quiet: Option<Quiet>,
    /// The markers of its command; `None` if there is none.
    markers: Option<Markers>,
    /// Whether a result of it has been put in place.
    is_in_place: bool,
    /// The last result, if its check has failed.
    refused: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Something is missing, or the template failed.
    Waiting,
    /// Its result waits for the end of its time of quiescence.
    Quiet,
    /// Its result is in place.
    Rendered,
}

impl Runner {
    /// Reads the templates of a configuration.
    ///
    /// # Errors
    /// A template or a file of the settings of Consul cannot be read, or the child has no command.
    pub(crate) fn new(
        config: Rc<Config>,
        dry: bool,
        log: &Log,
        edge: &Edge,
        memory: &Memory,
    ) -> Result<Runner, String> {
        log.info(format!("(runner) creating new runner (dry: {dry}, once: {})", config.once));
        config.consul.check_files()?;
        let templates = config.templates.iter().map(|settings| {
            let template = Template::load(settings.clone())?;
            let (state, used) = (State::Waiting, Vec::new());
            Ok(Task {
                template,
                state,
                used,
                quiet: None,
                markers: None,
                is_in_place: false,
                refused: None,
            })
        });
        let mut templates = templates.collect::<Result<Vec<_>, String>>()?;
        if !dry {
            let all = Markers::find(&config, markers::owner(edge), memory, log);
            templates.iter_mut().zip(all).for_each(|(task, markers)| task.markers = markers);
        }
        for warning in &config.warnings {
            log.warn(warning);
        }
        let child = config.child.clone().map(|exec| {
            let program = Program::new(&exec, &edge.environment, &config.exported)?;
            Ok::<_, String>(Child::new(program, exec, log.clone()))
        });
        log.info("(runner) creating watcher");
        let open = edge.consul;
        let config::Consul { options, asking, .. } = config.consul.clone();
        let config::Vault { options: of_vault, retry, default_lease, threshold } =
            config.vault.clone();
        let client = client_vault::Client::new(of_vault);
        let secrets = secrets::Link { client, retry, once: config.once, default_lease, threshold };
        let machine = Machine::new(edge, &config.exported);
        Ok(Runner {
            dry,
            log: log.clone(),
            machine: Rc::new(machine),
            templates,
            store: Rc::default(),
            views: Views::new(
                Box::new(move || open(options.clone(), asking.clone())),
                Arc::new(secrets),
            ),
            missing: HashSet::default(),
            asked: None,
            last_pass: Duration::ZERO,
            retries: Retries::default(),
            checks: Retries::default(),
            has_warned: false,
            is_ready: false,
            child: child.transpose()?,
            environment: Rc::clone(&edge.environment),
            config,
        })
    }

    /// The supervised child, which can be signalled while the runner works.
    pub(crate) fn child(&self) -> Option<Child> {
        self.child.clone()
    }

    /// Works until everything is done, the child ends, or something fails. Dropping the future
    /// stops the work; commands that run are left running.
    ///
    /// # Errors
    /// A template, a command or a query failed.
    pub(crate) async fn run(&mut self) -> Result<Ended, String> {
        self.log.info("(runner) starting");
        self.log.debug("(runner) running initial templates");
        self.pass(&[]).await?;
        if self.config.parse_only {
            self.log.info("(runner) ParseOnly mode and all templates parsed");
            return Ok(Ended::Done);
        }
        loop {
            let count = self.views.len();
            match count > MANY && !std::mem::replace(&mut self.has_warned, true) {
                true => self.log.warn(format!(
                    "(runner) watching {count} dependencies - watching this many dependencies could \
                     DDoS your servers"
                )),
                false => self.log.debug(format_args!("(runner) watching {count} dependencies")),
            }
            let done = self.templates.iter().all(|task| task.state != State::Waiting);
            if done {
                self.log.debug("(runner) all templates rendered");
                self.report_ready();
                self.begin_quiescence();
                if let Some(child) = self.child.as_ref().filter(|child| !child.is_started()) {
                    child.start()?;
                    // From now on SIGTERM is for the child.
                    let ending: Vec<_> = self.config.kill_signal.into_iter().collect();
                    self.machine.pending.set(&ending, self.config.reload_signal);
                }
                if self.config.once {
                    self.log.info("(runner) once mode and all templates rendered");
                    let Some(child) = &self.child else { return Ok(Ended::Done) };
                    self.log.info("(runner) waiting for child process to exit");
                    let code = child.ended().await;
                    self.log.info("(runner) child process exited");
                    return Ok(Ended::Child(code));
                }
            }
            let child = self.child.clone();
            let (due, retry, check) = (self.next_due(), self.retries.next(), self.checks.next());
            let quiet = tokio::select! {
                news = self.views.next() => {
                    let is_answered = self.receive(news)?;
                    if !(self.gather().await? || is_answered) {
                        continue;
                    }
                    Vec::new()
                }
                _ = wait_for(due) => self.end_quiescence(),
                _ = wait_for(check) => Vec::new(),
                place = wait_for(retry) => {
                    match self.try_command(place).await {
                        Some(error) => return Err(error),
                        None => continue,
                    }
                }
                code = ended(child.as_ref()) => {
                    self.log.info("(runner) child process exited");
                    return Ok(Ended::Child(code));
                }
            };
            self.pass(&quiet).await?;
        }
    }

    /// Takes everything that is known already, so that it is rendered at once. Returns whether there
    /// was an answer.
    ///
    /// As long as first answers are on their way, more of them are awaited, so that passes that must
    /// miss something take only a part of the time. Otherwise a template that asks for a thousand
    /// services would be executed many times for nothing.
    async fn gather(&mut self) -> Result<bool, String> {
        let mut is_answered = false;
        let now = Instant::now();
        let end = now + GATHERED * self.last_pass;
        let are_coming = self.asked.is_some_and(|asked| now < asked + FIRST_ANSWERS);
        loop {
            while let Some(news) = self.views.try_next() {
                is_answered |= self.receive(news)?;
            }
            if !are_coming || self.missing.is_empty() || self.last_pass < MEASURABLE {
                return Ok(is_answered);
            }
            tokio::select! {
                news = self.views.next() => is_answered |= self.receive(news)?,
                () = sleep_until(end) => return Ok(is_answered),
            }
        }
    }

    /// Reports once to systemd that all templates are in place.
    fn report_ready(&mut self) {
        if std::mem::replace(&mut self.is_ready, true) {
            return;
        }
        if let Err(cause) = notify::ready(&self.environment) {
            let why = report::errno_text(&cause);
            self.log.warn(format_args!("(runner) could not report to systemd: {why}"));
        }
    }

    /// Gives each template that has a time of quiescence its timer.
    fn begin_quiescence(&mut self) {
        for task in &mut self.templates {
            if task.quiet.is_some() {
                continue;
            }
            let id = &task.template.id;
            let own = task.template.settings.wait;
            let global = self.config.wait.filter(|_| !self.config.once);
            if own.is_some() {
                self.log.debug(format_args!(
                    "(runner) enabling template-specific quiescence for {id:?}"
                ));
            } else if global.is_some() {
                self.log.debug(format_args!("(runner) enabling global quiescence for {id:?}"));
            }
            task.quiet = own.or(global).map(|(min, max)| Quiet::new(min, max));
        }
    }

    /// Takes the timers of the templates whose times of quiescence end now. Returns the places of
    /// these templates.
    fn end_quiescence(&mut self) -> Vec<usize> {
        let mut places = Vec::new();
        for (place, task) in self.templates.iter_mut().enumerate() {
            if task.quiet.take_if(|quiet| quiet.is_due()).is_some() {
                let id = &task.template.id;
                self.log.debug(format_args!("(runner) received template {id:?} from quiescence"));
                places.push(place);
            }
        }
        places
    }

    /// The template whose time of quiescence ends first, and when.
    fn next_due(&self) -> Option<(Instant, usize)> {
        let due = self
            .templates
            .iter()
            .enumerate()
            .filter_map(|(place, task)| Some((task.quiet.as_ref()?.due()?, place)));
        due.min()
    }

    /// Takes news. Returns whether it is an answer that something asked for.
    fn receive(&mut self, news: News) -> Result<bool, String> {
        match news {
            News::File(path, content) => {
                let query = Query::File(Arc::clone(&path));
                if !self.receives(&query) {
                    return Ok(false);
                }
                let content = content.map_err(|error| self.report(error))?;
                self.log.debug(format_args!("(runner) receiving dependency {query}"));
                self.store.set_file(path, content);
            }
            News::Consul(news) => {
                let queries::News { query: asked, answer, warning } = *news;
                let asked = Arc::new(asked);
                let query = Query::Consul(Arc::clone(&asked));
                if !self.receives(&query) {
                    return Ok(false);
                }
                if let Some(warning) = warning {
                    self.log.warn(format_args!("(view) {query}: {warning}"));
                }
                let data = match answer {
                    Ok(data) => data,
                    Err(trouble) => return self.fail(&query, trouble).map(|()| false),
                };
                self.log.debug(format_args!("(runner) receiving dependency {query}"));
                if let (Data::Node(None), catalog::Query::Node { name: Some(name), .. }) =
                    (&data, &*asked)
                {
                    let name = go_quoted(name);
                    self.log.warn(format!("{query}: no node exists with the name {name}"));
                }
                self.store.set_consul(asked, data);
            }
            News::Vault(asked, answer) => {
                let query = Query::Vault(Arc::clone(&asked));
                if !self.receives(&query) {
                    return Ok(false);
                }
                let answer = match answer {
                    Ok(answer) => answer,
                    Err(Failed { cause, attempt, again }) => {
                        let error = format!("{query}: {cause}");
                        return self.fail_with(error, attempt, again).map(|()| false);
                    }
                };
                self.log.debug(format_args!("(runner) receiving dependency {query}"));
                self.store.set_vault(asked, answer);
            }
        }
        Ok(true)
    }

    /// Whether the query is still followed. It is not missing any more.
    fn receives(&mut self, query: &Query) -> bool {
        self.missing.remove(query);
        self.views.follows(query)
    }

    /// Executes all templates, puts the results in place and runs the commands. If the times of
    /// quiescence of some templates ended, only these are put in place.
    async fn pass(&mut self, quiet: &[usize]) -> Result<(), String> {
        self.log.debug("(runner) initiating run");
        let mut commands: Vec<usize> = Vec::new();
        let mut rendered_any = false;
        let begin = Instant::now();
        self.missing.clear();
        for place in 0..self.templates.len() {
            let Some(placed) = self.render(place, quiet).await? else { continue };
            rendered_any |= matches!(placed, Placed::WouldWrite | Placed::Written);
            if self.is_due(place, placed) {
                self.append(&mut commands, place);
            }
        }
        self.log.debug("(runner) diffing and updating dependencies");
        if !self.config.parse_only {
            let used = self.templates.iter().flat_map(|task| task.used.iter().cloned());
            for dropped in self.views.follow(used.collect()) {
                self.store.forget(&dropped);
            }
        }
        self.last_pass = begin.elapsed();
        let mut failures = Vec::new();
        for place in commands {
            failures.extend(self.try_command(place).await);
        }
        if rendered_any && let Some(child) = self.child.clone().filter(Child::is_started) {
            failures.extend(child.reload().await.err());
        }
        match failures.len() {
            0 => Ok(()),
            count => {
                let errors = if count == 1 { "error" } else { "errors" };
                let list: Vec<_> = failures.iter().map(|failure| format!("* {failure}")).collect();
                Err(format!("{count} {errors} occurred:\n\t{}\n\n", list.join("\n\t")))
            }
        }
    }

    /// Executes a template and puts its result in place; `None` if the template is not that far.
    async fn render(&mut self, place_of: usize, quiet: &[usize]) -> Result<Option<Placed>, String> {
        let log = self.log.clone();
        let task = &mut self.templates[place_of];
        log.debug(format_args!("(runner) checking template {}", task.template.id));
        if self.config.once && task.state == State::Rendered {
            log.debug("(runner) once mode and already rendered");
            return Ok(None);
        }
        task.state = State::Waiting;
        let fatal = task.template.settings.error_fatal;
        let name = task.template.settings.name();
        let rendered = loop {
            let answers = Rc::clone(&self.store);
            let rendered = task.template.execute(answers, &self.machine);
            let rendered = rendered.map_err(|error| self.store.redacted(error));
            if !self.machine.pending.is_stopping() {
                break rendered;
            }
            // The signal stopped the execution. This future is dropped when the program acts on it.
            sleep_until(Instant::now() + SIGNAL_CHECK).await;
        };
        let rendered = match rendered {
            Ok(rendered) => rendered,
            Err(error) if fatal => return Err(format!("{name}: {error}")),
            Err(error) => {
                log.error(format!("(runner) {name}: {error}"));
                return Ok(None);
            }
        };
        task.used = rendered.used;
        let missing = rendered.missing;
        if !missing.is_empty() {
            log.debug(format_args!("(runner) missing data for {} dependencies", missing.len()));
            for query in &missing {
                log.debug(format_args!("(runner) missing dependency: {query}"));
            }
            let new: Vec<_> = missing.iter().filter(|query| !self.views.follows(query)).collect();
            if !new.is_empty() {
                self.asked = Some(Instant::now());
                log.debug(format_args!("(runner) was not watching {} dependencies", new.len()));
            }
            for query in new {
                log.debug(format_args!("(watcher) adding {query}"));
            }
            self.missing.extend(missing);
            return Ok(None);
        }
        if !quiet.is_empty() && !quiet.contains(&place_of) {
            task.state = State::Quiet;
            return Ok(None);
        }
        if let Some(timer) = &mut task.quiet {
            timer.tick();
            task.state = State::Quiet;
            return Ok(None);
        }
        if task.refused.as_ref() == Some(&rendered.content) && self.checks.is_waiting(place_of) {
            task.end_unchanged();
            return Ok(None);
        }
        let settings = &task.template.settings;
        let shown = settings.display();
        log.debug(format_args!("(runner) rendering {shown}"));
        let markers = task.markers.as_ref();
        let placed = match place(settings, &rendered.content, markers, self.dry, &log).await {
            Ok(placed) => placed,
            Err(error) if error.is_check && !self.config.once => {
                self.refuse(place_of, rendered.content, &error.text);
                return Ok(None);
            }
            Err(error) if fatal || error.is_check => {
                return Err(format!("error rendering {shown}: {}", error.text));
            }
            Err(error) => {
                log.error(format!("(runner) error rendering: {shown}: {}", error.text));
                return Ok(None);
            }
        };
        self.checks.succeeded(place_of);
        (task.refused, task.is_in_place) = (None, true);
        if placed == Placed::WouldWrite {
            let heading = format!("> {}\n", task.template.settings.destination);
            self.machine.print(&[heading.as_bytes(), &rendered.content].concat());
        }
        task.state = State::Rendered;
        if matches!(placed, Placed::WouldWrite | Placed::Written) {
            log.info(format!("(runner) rendered {shown}"));
        }
        Ok(Some(placed))
    }

    /// Ends the child.
    pub(crate) async fn stop(&self, immediately: bool) {
        self.log.info("(runner) stopping");
        if let Some(child) = &self.child {
            child.stop(immediately).await;
        }
    }
}

fn go_quoted(text: &str) -> String {
    gotmpl::quote(text.as_bytes())
}

/// Waits until a moment, and returns what comes with it. Waits for ever without one.
async fn wait_for(due: Option<(Instant, usize)>) -> usize {
    match due {
        Some((moment, place)) => {
            sleep_until(moment).await;
            place
        }
        None => std::future::pending().await,
    }
}

/// Waits until the child ends, if there is one.
fn ended(child: Option<&Child>) -> impl Future<Output = i32> {
    let child = child.cloned();
    async move {
        match child {
            Some(child) => child.ended().await,
            None => std::future::pending().await,
        }
    }
}

/// The standard output, which template functions and `-dry` write to.
pub type Output = Rc<std::cell::RefCell<Box<dyn Write>>>;
