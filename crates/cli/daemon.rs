//! The modes that do not end by themselves: turns signals into orders to the agent.

use std::{cell::Cell, sync::Arc};

use agent::{Agent, Configuration, Ended, Order};
use control::Metrics;
use tokio::{sync::mpsc, task::spawn_blocking};
use tracing::{error, info, warn};
use world::Host;

use crate::{
    Exit,
    flags::CommandLine,
    logging,
    outside::Outside,
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
    let mut agent = agent.with_queries(config.queries()).with_reader(Arc::new(counted.clone()));
    let mut outside = Outside::new(agent.handle(), counted);
    outside.listen(&config);
    let ended = tokio::select! {
        ended = async {
            match mode {
                Mode::Watch => agent.watch(schedule, &mut orders).await,
                Mode::Onetime | Mode::Interval => agent.interval(schedule, &mut orders).await,
            }
        } => ended,
        never = give_orders(config, outside, &line, &host, signals, sender, &stopped_by) => match never {},
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

/// Turns signals into orders, without end.
async fn give_orders(
    mut config: Config,
    mut outside: Outside,
    line: &CommandLine,
    host: &Arc<dyn Host>,
    mut signals: Signals,
    orders: mpsc::Sender<Order>,
    stopped_by: &Cell<Option<Signal>>,
) -> std::convert::Infallible {
    let mut waiting = None;
    loop {
        let signal = match waiting.take() {
            Some(signal) => signal,
            None => signals.next().await,
        };
        let order = match signal {
            Signal::HANGUP => {
                info!("Captured hangup. Reading the configuration again");
                tokio::select! {
                    configuration = reconfigured(&mut config, &outside, line, host) => {
                        signals.set_shutdown_timeout(config.schedule.shutdown_timeout);
                        outside.listen(&config);
                        Order::Reload(configuration.map(Box::new))
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

/// Reads the configuration again. `None` if it cannot be used; then `config` is unchanged.
async fn reconfigured(
    config: &mut Config,
    outside: &Outside,
    line: &CommandLine,
    host: &Arc<dyn Host>,
) -> Option<Configuration> {
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
            error!("{error:#}");
            warn!("the configuration in use stays");
            return None;
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
    Some(configuration)
}
