//! Services of processes: announced for as long as the processes live and answer their checks.

pub(crate) mod file;
pub(crate) mod probe;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;

use command::{Attached, Group, Signal};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::log::Log;
use crate::registry::{Health, Registry};
use crate::service::Service;
use probe::Probe;

/// The longest time that removing one service takes at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// The shortest time between two attempts to reach the registry.
const SHORTEST: Duration = Duration::from_millis(200);

/// The pause after the first check, while the service has not been announced. It grows.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// How long the first checks can fail before the log says so.
const PATIENCE: Duration = Duration::from_secs(2);

/// The shortest time between two lines about checks that fail before the service is announced.
const REMINDER: Duration = Duration::from_secs(10);

/// The exit code if the command cannot be started, as in shells.
const NOT_STARTED: u8 = 127;

/// SIGINT and SIGTERM: the signals that end the announcement.
const STOPPING: [i32; 2] = [2, 15];

/// A service of a process.
#[derive(Debug, Clone)]
pub(crate) struct Announced {
    pub(crate) service: Service,
    /// What has to hold for the service to count as healthy. It is announced when it does for the
    /// first time.
    pub(crate) probes: Vec<Probe>,
}

/// The times of an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    /// How long an entry outlives a sudden death.
    pub(crate) ttl: Duration,
    /// The time between two checks.
    pub(crate) interval: Duration,
    /// The time between removing the service and stopping the command.
    pub(crate) drain: Duration,
    /// The time that the command has to end before it is killed.
    pub(crate) kill: Duration,
}

/// Announces the services until the command ends or a signal comes. Without a command, only a
/// signal ends it. Returns the exit code: that of the command, or 0 after a signal that ended it.
pub(crate) async fn announce(
    services: Vec<Announced>,
    command: &[OsString],
    environment: &[(OsString, OsString)],
    registry: Rc<dyn Registry>,
    times: Times,
    signals: &mut mpsc::UnboundedReceiver<i32>,
    log: &Log,
) -> u8 {
    let mut child = match command.is_empty() {
        true => None,
        false => match Attached::start(command, environment, Group::Own) {
            Ok(child) => Some(child),
            Err(error) => {
                let file = command[0].to_string_lossy();
                let why = report::errno_text(&error);
                log.line(format_args!("cannot start {file}: {why}"));
                return NOT_STARTED;
            }
        },
    };
    let (end, ended) = watch::channel(false);
    let mut announcing = JoinSet::new();
    for announced in services {
        let (registry, ended, log) = (Rc::clone(&registry), ended.clone(), log.clone());
        announcing.spawn_local(keep(announced, registry, times, ended, log));
    }
    let status = loop {
        tokio::select! {
            status = wait(&mut child) => break Some(status),
            signal = signals.recv() => match signal {
                Some(number) if !STOPPING.contains(&number) => pass_on(child.as_ref(), number),
                _ => break None,
            },
        }
    };
    // First the readers of the registry learn of it, then the service ends.
    let _ = end.send(true);
    while announcing.join_next().await.is_some() {}
    match (status, child) {
        (Some(status), _) => {
            log.line(format_args!("the command has ended: {status}"));
            code(status)
        }
        (None, None) => 0,
        (None, Some(child)) => stop(child, times, signals).await,
    }
}

async fn wait(child: &mut Option<Attached>) -> ExitStatus {
    match child {
        Some(child) => child.wait().await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

fn pass_on(child: Option<&Attached>, number: i32) {
    if let (Some(child), Some(signal)) = (child, Signal::from_named_raw(number)) {
        child.signal(signal);
    }
}

/// Lets the requests that are on their way end, and then ends the command. A second signal leaves
/// out the first step.
async fn stop(mut child: Attached, times: Times, signals: &mut mpsc::UnboundedReceiver<i32>) -> u8 {
    let drained = Instant::now() + times.drain;
    tokio::select! {
        () = sleep_until(drained) => {}
        _ = signals.recv() => {}
        status = child.wait() => return code(status.unwrap_or_default()),
    }
    match child.stop(times.kill).await.unwrap_or_default() {
        // It ended as it was asked to.
        status if status.signal() == Some(Signal::TERM.as_raw()) => 0,
        status => code(status),
    }
}

/// The exit code of a process, as shells show it.
fn code(status: ExitStatus) -> u8 {
    let signal = status.signal().map_or(0, |number| 128 + number);
    u8::try_from(status.code().unwrap_or(signal)).unwrap_or(u8::MAX)
}

/// Keeps one service announced until the end, and removes it then.
async fn keep(
    announced: Announced,
    registry: Rc<dyn Registry>,
    times: Times,
    mut ended: watch::Receiver<bool>,
    log: Log,
) {
    let service = &announced.service;
    let id = &service.id;
    let begun = Instant::now();
    let (mut is_announced, mut waits, mut failure) = (false, None, String::new());
    let mut health = Health::Failing("not checked yet".to_owned());
    let limit = times.interval.max(SHORTEST);
    // The first checks follow each other quickly: most programs are ready soon.
    let mut pause = FIRST_PAUSE;
    let mut checking = Some(Box::pin(probe::all(&announced.probes, limit)));
    let (mut check_at, mut report_at) = (begun, None);
    while !*ended.borrow() {
        tokio::select! {
            _ = ended.changed() => break,
            now = result(&mut checking) => {
                if now.is_passing() != health.is_passing() && is_announced {
                    match &now {
                        Health::Passing(_) => log.line(format_args!("healthy again: {id}")),
                        Health::Failing(why) => log.line(format_args!("unhealthy: {id}: {why}")),
                    }
                }
                if let Health::Failing(why) = &now
                    && !is_announced
                    && begun.elapsed() > PATIENCE
                    && waits.as_ref().is_none_or(|(reason, at): &(String, Instant)| {
                        reason != why && at.elapsed() > REMINDER
                    })
                {
                    log.line(format_args!("not registered before its check holds: {id}: {why}"));
                    waits = Some((why.clone(), Instant::now()));
                }
                let is_news = now.is_passing() != health.is_passing();
                health = now;
                pause = if is_announced || is_news { limit } else { (pause * 2).min(limit) };
                check_at = Instant::now() + pause;
                if is_news && (is_announced || health.is_passing()) {
                    report_at = Some(Instant::now());
                }
                continue;
            }
            () = sleep_until(check_at), if checking.is_none() => {
                checking = Some(Box::pin(probe::all(&announced.probes, limit)));
                continue;
            }
            () = until(report_at) => {}
        }
        // A request that is dropped on its way may have made the entry all the same.
        let is_first = !std::mem::replace(&mut is_announced, true);
        let done = tokio::select! {
            done = tell(&*registry, service, &health, is_first) => done,
            _ = ended.changed() => break,
        };
        match done {
            Ok(()) => {
                let is_there = health.is_passing() || registry.has_states();
                if is_there && (is_first || !failure.is_empty()) {
                    let Service { address, port, .. } = service;
                    let registered = registry.word("registered:", "would register:");
                    log.line(format_args!("{registered} {id} at {address}:{port}"));
                }
                failure = String::new();
            }
            Err(error) if error == failure => {}
            Err(error) => {
                log.line(format_args!("register failed: {id} {error}; trying again"));
                failure = error;
            }
        }
        // An entry is kept alive beside a check that takes long.
        let next = if failure.is_empty() { times.ttl / 3 } else { times.ttl / 10 };
        report_at = Some(Instant::now() + next.max(SHORTEST));
        yield_now().await;
    }
    if is_announced {
        match timeout_at(Instant::now() + FAREWELL, registry.deregister(service)).await {
            Ok(Ok(())) => {
                let removed = registry.word("removed:", "would remove:");
                log.line(format_args!("{removed} {id}"));
            }
            Ok(Err(error)) => log.line(format_args!("deregister failed: {id} {error}")),
            Err(_) => {
                log.line(format_args!("deregister failed: {id} the registry does not answer"))
            }
        }
    }
}

/// Waits for the result of a check that runs, and takes the check away.
async fn result(checking: &mut Option<impl Future<Output = Health> + Unpin>) -> Health {
    match checking {
        Some(check) => {
            let health = check.await;
            *checking = None;
            health
        }
        None => std::future::pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn tell(
    registry: &dyn Registry,
    service: &Service,
    health: &Health,
    is_first: bool,
) -> Result<(), String> {
    let done = match is_first {
        true => registry.register(service).await,
        false => registry.report(service, health).await,
    };
    done.map_err(|error| error.to_string())
}
