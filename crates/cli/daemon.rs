//! The modes that do not end by themselves: turns signals into orders to the agent.

use std::{sync::Arc, time::Duration};

use agent::{Agent, Configuration, Ended, Order, Reload};
use control::{Metrics, Reloaded};
use source::Configured as _;
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};
use tracing::{error, info, warn};
use world::Host;

use crate::{
    Exit,
    environment::Environment,
    flags::CommandLine,
    logging,
    outside::{Outside, Reloads},
    progress::Progress,
    setup::{self, Config, Mode},
    signals::{Signal, Signals},
    srv,
    supervised::Supervisor,
    systemd::Manager,
};

/// Runs an agent by `config` until a signal, or the program that it supervises, ends it.
///
/// After SIGHUP the configuration is built again from `line`, the environment and the file.
pub(crate) async fn run(
    config: Config,
    line: CommandLine,
    host: Arc<dyn Host>,
    signals: Signals,
) -> Exit {
    let (sender, mut orders) = mpsc::channel(1);
    let (mode, schedule) = (config.mode, config.schedule.clone());
    let (counted, progress) = (Metrics::new(mode == Mode::Watch), Progress::new());
    let source = counted.measured(config.source.open(), config.source.name());
    let agent = Agent::new(config.settings.clone(), source, Arc::clone(&host));
    let agent = agent.with_reader(Arc::new(config.differences.reader()));
    let agent = agent.with_queries(config.queries()).with_reader(Arc::new(counted.clone()));
    let mut agent = agent.with_reader(Arc::clone(&progress) as _);
    let handle = agent.handle();
    let (mut outside, reloads) = Outside::new(handle.clone(), counted, sender.clone());
    outside.listen(&config);
    let manager = Manager::of_environment(crate::environment, config.watchdog).map(Arc::new);
    let supervisor = config
        .program
        .clone()
        .map(|program| Supervisor::start(program, Arc::clone(&progress), handle.clone()));
    let mut driver = Driver {
        config,
        outside,
        reloads,
        line,
        host,
        signals,
        manager: manager.clone(),
        supervisor,
        stopped_by: None,
        program_ended: None,
    };
    let attending = async {
        match &manager {
            Some(manager) => manager.attend(&progress, &handle).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        ended = async {
            match mode {
                Mode::Watch => agent.watch(schedule, &mut orders).await,
                Mode::Onetime | Mode::Interval => agent.interval(schedule, &mut orders).await,
            }
        } => ended,
        never = driver.give_orders(sender) => match never {},
        () = attending => Ended::Whole,
    };
    driver.end(ended).await
}

/// Turns signals into orders to the agent.
struct Driver {
    config: Config,
    outside: Outside,
    reloads: Reloads,
    line: CommandLine,
    host: Arc<dyn Host>,
    signals: Signals,
    manager: Option<Arc<Manager>>,
    /// Of the program behind `--`, until it has ended.
    supervisor: Option<Supervisor>,
    stopped_by: Option<Signal>,
    /// The exit code of the program, if it has ended for good.
    program_ended: Option<u8>,
}

impl Driver {
    /// Gives orders without end.
    async fn give_orders(&mut self, orders: mpsc::Sender<Order>) -> std::convert::Infallible {
        let mut waiting = None;
        loop {
            let mut asked = None;
            let signal = match waiting.take() {
                Some(signal) => Some(signal),
                None => tokio::select! {
                    signal = self.signals.next() => Some(signal),
                    Some(request) = self.reloads.recv() => {
                        asked = Some(request);
                        Some(Signal::HANGUP)
                    }
                    code = ended(&mut self.supervisor) => {
                        (self.supervisor, self.program_ended) = (None, Some(code));
                        None
                    }
                },
            };
            let order = match signal {
                Some(Signal::HANGUP) => {
                    match asked {
                        Some(_) => info!("Asked to reload. Reading the configuration again"),
                        None => info!("Captured hangup. Reading the configuration again"),
                    }
                    let Driver { config, outside, line, host, signals, .. } = self;
                    if let Some(manager) = &self.manager {
                        manager.reloading();
                    }
                    tokio::select! {
                        configuration = reconfigured(config, outside, line, host) => {
                            signals.set_shutdown_timeout(config.schedule.shutdown_timeout);
                            outside.listen(config);
                            let (configuration, error) = match configuration {
                                Ok(configuration) => (Some(Box::new(configuration)), None),
                                Err(error) => (None, Some(error)),
                            };
                            let asked = asked.map(|asked| answer(asked, error));
                            let reported = self.manager.clone().map(report_loaded);
                            let done = asked.into_iter().chain(reported).collect();
                            Order::Reload(Reload { configuration, done })
                        }
                        // This can wait for a name server, and signals must be received in the
                        // meantime.
                        signal = signals.next() => {
                            waiting = Some(signal);
                            continue;
                        }
                    }
                }
                Some(signal) if let Some(number) = signal.passed_on() => {
                    if let Some(supervisor) = &self.supervisor {
                        supervisor.pass_on(number);
                    }
                    continue;
                }
                Some(signal) => {
                    self.stopped_by = Some(signal);
                    self.stop();
                    Order::Stop
                }
                None => {
                    self.stop();
                    Order::Stop
                }
            };
            // An error means that the agent has ended, and this function ends too.
            let _ = orders.send(order).await;
        }
    }

    /// Begins the end of what runs beside the agent.
    fn stop(&self) {
        if let Some(manager) = &self.manager {
            manager.stopping();
        }
        if let Some(supervisor) = &self.supervisor {
            supervisor.stop(self.config.schedule.shutdown_timeout);
        }
    }

    /// How the process ends after the agent. Waits for the program, which is ending.
    async fn end(mut self, how: Ended) -> Exit {
        if let Some(supervisor) = self.supervisor.as_ref().filter(|_| how == Ended::Cut) {
            supervisor.stop(Duration::ZERO);
        }
        while self.supervisor.is_some() {
            tokio::select! {
                code = ended(&mut self.supervisor) => {
                    (self.supervisor, self.program_ended) = (None, Some(code));
                }
                signal = self.signals.next() => {
                    if let Some(supervisor) = &self.supervisor
                        && signal.is_stop()
                    {
                        supervisor.stop(Duration::ZERO);
                    }
                }
            }
        }
        match (how, self.stopped_by, self.program_ended) {
            (Ended::Cut, Some(signal), None) => Exit::Signal(signal),
            (Ended::Whole, Some(signal), code) => {
                info!("Captured {signal}. Exiting...");
                code.map_or(Exit::Success, Exit::Code)
            }
            (_, _, code) => code.map_or(Exit::Success, Exit::Code),
        }
    }
}

/// Waits for the end of the supervised program; for ever if there is none.
async fn ended(supervisor: &mut Option<Supervisor>) -> u8 {
    match supervisor {
        Some(supervisor) => supervisor.ended().await,
        None => std::future::pending().await,
    }
}

/// Answers a request when the agent has loaded everything again.
fn answer(asked: oneshot::Sender<Reloaded>, error: Option<String>) -> oneshot::Sender<()> {
    let (done, is_done) = oneshot::channel();
    tokio::spawn(async move {
        // Without an answer the process ends, and so does the client.
        if is_done.await.is_ok() {
            let _ = asked.send(Reloaded { error });
        }
    });
    done
}

/// Reports to systemd when the agent has loaded everything again.
fn report_loaded(manager: Arc<Manager>) -> oneshot::Sender<()> {
    let (done, is_done) = oneshot::channel();
    tokio::spawn(async move {
        if is_done.await.is_ok() {
            manager.reloaded();
        }
    });
    done
}

/// Reads the configuration again.
///
/// # Errors
/// It cannot be used, for this reason, which is logged. Then `config` is unchanged.
async fn reconfigured(
    config: &mut Config,
    outside: &Outside,
    line: &CommandLine,
    host: &Arc<dyn Host>,
) -> Result<Configuration, String> {
    let line = line.clone();
    // The files can be on a disk that does not answer.
    let load = spawn_blocking(move || {
        let mut notices = Vec::new();
        let loaded = setup::load_again(&line, &Environment::of_process(), &mut notices);
        notices.iter().for_each(logging::Notice::log);
        loaded
    });
    let loaded = load.await.unwrap_or_else(|panic| Err(panic.into()));
    let checked = loaded.and_then(|fresh| {
        fresh.asked.check_change_from(&config.asked)?;
        Ok(fresh)
    });
    let discovered = match checked {
        Ok(mut fresh) => {
            let before = config.source.nodes();
            srv::discover(&mut fresh.source, host, before).await.map(|()| fresh)
        }
        Err(error) => Err(error),
    };
    let fresh = match discovered {
        Ok(fresh) => fresh,
        Err(error) => {
            let error = format!("{error:#}");
            error!("{error}");
            warn!("the configuration in use stays");
            return Err(error);
        }
    };
    logging::show(fresh.level);
    logging::write_as(fresh.format);
    if fresh.mode != config.mode {
        warn!(
            "onetime and watch count only from a restart on: confd goes on in {} mode, not in {} mode",
            config.mode, fresh.mode
        );
    }
    if fresh.program != config.program || fresh.watchdog != config.watchdog {
        warn!("restart, reload-signal and watchdog-interval count only from a restart on");
    }
    let fresh = Config { mode: config.mode, ..fresh };
    let backend = (fresh.source != config.source).then(|| {
        fresh.source.announce(|| ());
        outside.open(&fresh)
    });
    // A record of nodes is looked up again.
    let asks_elsewhere = fresh.asked != config.asked
        || fresh.asked.is_discovered()
        || fresh.source.nodes() != config.source.nodes();
    let configuration = Configuration {
        settings: fresh.settings.clone(),
        schedule: fresh.schedule.clone(),
        source: backend,
        queries: asks_elsewhere.then(|| fresh.queries()),
    };
    *config = fresh;
    Ok(configuration)
}
