//! The supervised child of `-exec`.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use command::Signal;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::config::Exec;
use crate::log::Log;
use crate::program::{Program, exit_code};

/// The child, or the place where it will be. Clones are the same child.
#[derive(Clone)]
pub(crate) struct Child {
    program: Program,
    exec: Exec,
    log: Log,
    running: Rc<RefCell<Option<Running>>>,
}

/// A child that was started, and may have ended.
#[derive(Clone)]
struct Running {
    signals: mpsc::UnboundedSender<Signal>,
    /// The exit code, when the child has ended.
    ended: watch::Receiver<Option<i32>>,
}

impl Child {
    pub(crate) fn new(program: Program, exec: Exec, log: Log) -> Child {
        Child { program, exec, log, running: Rc::default() }
    }

    /// Whether the child was started once.
    pub(crate) fn is_started(&self) -> bool {
        self.running.borrow().is_some()
    }

    /// Starts the child.
    ///
    /// # Errors
    /// It could not be started.
    pub(crate) fn start(&self) -> Result<(), String> {
        let mut process = self.program.start(&self.log)?;
        let (signals, mut received) = mpsc::unbounded_channel();
        let (end, ended) = watch::channel(None);
        tokio::spawn(async move {
            let status = loop {
                tokio::select! {
                    status = process.wait() => break status,
                    Some(signal) = received.recv() => process.signal(signal),
                }
            };
            // An error means that the runner has ended.
            let _ = end.send(Some(exit_code(&status)));
        });
        *self.running.borrow_mut() = Some(Running { signals, ended });
        Ok(())
    }

    /// Waits until the child ends, and returns its exit code. Waits for ever if there is none.
    pub(crate) async fn ended(&self) -> i32 {
        let running = self.running.borrow().clone();
        let Some(mut running) = running else { return std::future::pending().await };
        match running.ended.wait_for(Option::is_some).await {
            Ok(code) => code.unwrap_or(-1),
            Err(_) => std::future::pending().await,
        }
    }

    /// Sends a signal of this process on to the child. Its own signals reload or end it.
    pub(crate) async fn receive(&self, number: i32) {
        if !self.is_started() {
            return;
        }
        self.log.info(format!("(child) receiving signal {:?}", report::signal_text(number)));
        if self.exec.reload_signal == Some(Some(number)) {
            self.splay().await;
            self.send(number);
        } else if self.exec.kill_signal == Some(number) {
            self.kill(true).await;
        } else {
            self.send(number);
        }
    }

    /// Lets the child see a change: by its reload signal, or by a new start if it has none.
    ///
    /// # Errors
    /// It could not be started again.
    pub(crate) async fn reload(&self) -> Result<(), String> {
        match self.exec.reload_signal {
            Some(signal) => {
                self.log.info("(child) reloading process");
                self.splay().await;
                if let Some(number) = signal {
                    self.send(number);
                }
                Ok(())
            }
            None => {
                self.log.info("(child) restarting process");
                self.kill(false).await;
                self.start()
            }
        }
    }

    /// Ends the child.
    pub(crate) async fn stop(&self, immediately: bool) {
        if self.is_started() {
            self.log.info("(child) stopping process");
            self.kill(immediately).await;
        }
    }

    async fn kill(&self, immediately: bool) {
        let running = self.running.borrow().clone();
        let Some(mut running) = running else { return };
        if running.ended.borrow().is_some() {
            return;
        }
        if !immediately {
            self.splay().await;
        }
        if let Some(number) = self.exec.kill_signal {
            self.send(number);
            let ended = running.ended.wait_for(Option::is_some);
            if timeout(self.exec.kill_timeout, ended).await.is_ok() {
                return;
            }
        }
        // An error means that it has ended.
        let _ = running.signals.send(Signal::KILL);
        let _ = running.ended.wait_for(Option::is_some).await;
    }

    fn send(&self, number: i32) {
        if let (Some(running), Some(signal)) =
            (&*self.running.borrow(), Signal::from_named_raw(number))
        {
            // An error means that it has ended.
            let _ = running.signals.send(signal);
        }
    }

    /// Waits for a random part of the time that the child's `splay` allows.
    async fn splay(&self) {
        let longest = u64::try_from(self.exec.splay.as_nanos()).unwrap_or(u64::MAX);
        if longest > 0 {
            let delay = Duration::from_nanos(fastrand::u64(..longest));
            sleep_until(Instant::now() + delay).await;
        }
    }
}
