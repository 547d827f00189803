//! The modes that do not end by themselves: turns signals into orders to the agent.

use std::{cell::Cell, sync::Arc};

use agent::{Agent, Configuration, Ended, Order, Reload};
use control::{Metrics, Reloaded};
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};
use tracing::{error, info, warn};
use world::Host;

use crate::{
    Exit,
    flags::CommandLine,
    logging,
    outside::{Outside, Reloads},
    setup::{self, Config, Mode},
    signals::{Signal, Signals},
    srv,
};

/// Runs an agent by `config` until a signal ends it.
///
/// After SIGHUP the configuration is built again from `line`, the environment and the file.
pub(crate) async fn run(
    config: Config,
    line: CommandLine,
    host: Arc<dyn Host>,
    signals: Signals,
) -> Exit {
    let (sender, mut orders) = mpsc::channel(1);
    let stopped_by = Cell::new(None);
    let (mode, schedule) = (config.mode, config.schedule.clone());
    let counted = Metrics::new(mode == Mode::Watch);
    let source = counted.measured(config.source.open(), config.source.name());
    let agent = Agent::new(config.settings.clone(), source, Arc::clone(&host));
    let agent = agent.with_reader(Arc::new(config.differences.reader()));
    let mut agent = agent.with_queries(config.queries()).with_reader(Arc::new(counted.clone()));
    let (mut outside, reloads) = Outside::new(agent.handle(), counted, sender.clone());
    outside.listen(&config);
    let ended = tokio::select! {
        ended = async {
            match mode {
                Mode::Watch => agent.watch(schedule, &mut orders).await,
                Mode::Onetime | Mode::Interval => agent.interval(schedule, &mut orders).await,
            }
        } => ended,
        never = give_orders(config, outside, reloads, &line, &host, signals, sender, &stopped_by) => match never {},
    };
    match (ended, stopped_by.get()) {
        (Ended::Cut, Some(signal)) => Exit::Signal(signal),
        (Ended::Whole, Some(signal)) => {
            info!("Captured {signal}. Exiting...");
            Exit::Success
        }
        (Ended::Whole | Ended::Cut, None) => Exit::Success,
    }
}

/// Turns signals and requests of the control socket into orders, without end.
#[expect(clippy::too_many_arguments, reason = "it is the one place where all of these meet")]
async fn give_orders(
    mut config: Config,
    mut outside: Outside,
    mut reloads: Reloads,
    line: &CommandLine,
    host: &Arc<dyn Host>,
    mut signals: Signals,
    orders: mpsc::Sender<Order>,
    stopped_by: &Cell<Option<Signal>>,
) -> std::convert::Infallible {
    let mut waiting = None;
    loop {
        let mut asked = None;
        let signal = match waiting.take() {
            Some(signal) => signal,
            None => tokio::select! {
                signal = signals.next() => signal,
                Some(request) = reloads.recv() => {
                    asked = Some(request);
                    Signal::HANGUP
                }
            },
        };
        let order = match signal {
            Signal::HANGUP => {
                match asked {
                    Some(_) => info!("Asked to reload. Reading the configuration again"),
                    None => info!("Captured hangup. Reading the configuration again"),
                }
                tokio::select! {
                    configuration = reconfigured(&mut config, &outside, line, host) => {
                        signals.set_shutdown_timeout(config.schedule.shutdown_timeout);
                        outside.listen(&config);
                        let (configuration, error) = match configuration {
                            Ok(configuration) => (Some(Box::new(configuration)), None),
                            Err(error) => (None, Some(error)),
                        };
                        let done = asked.map(|asked| answer(asked, error));
                        Order::Reload(Reload { configuration, done: done.into_iter().collect() })
                    }
                    // This can wait for a name server, and signals must be received in the
                    // meantime.
                    signal = signals.next() => {
                        waiting = Some(signal);
                        continue;
                    }
                }
            }
            signal => {
                stopped_by.set(Some(signal));
                Order::Stop
            }
        };
        // An error means that the agent has ended, and this function ends too.
        let _ = orders.send(order).await;
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
        let loaded = setup::load_again(&line, crate::environment, &mut notices);
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
            srv::discover(&mut *fresh.source, host, before).await.map(|()| fresh)
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
    if fresh.mode != config.mode {
        warn!(
            "onetime and watch count only from a restart on: confd goes on in {} mode, not in {} mode",
            config.mode, fresh.mode
        );
    }
    let fresh = Config { mode: config.mode, ..fresh };
    let backend = (*fresh.source != *config.source).then(|| {
        info!("Backend set to {}", fresh.source.name());
        info!("Backend source(s) set to {}", fresh.source.places().join(", "));
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
