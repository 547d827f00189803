//! What a client of the control socket can ask for: to read the configuration again, and a pass of one
//! resource.

use agent::{LoadProblem, Order, Process};
use hyper::StatusCode;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Site,
    answer::{self, Answer},
    status,
};

/// The ways to the parts of the program that carry orders out.
#[derive(Clone)]
pub struct Commands {
    /// To the agent.
    pub orders: mpsc::Sender<Order>,
    /// To the part that reads the configuration. It answers when everything is loaded again.
    pub reloads: mpsc::Sender<oneshot::Sender<Reloaded>>,
}

/// The configuration was read again.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// Why the configuration cannot be used, in which case the one before stays in use.
    pub error: Option<String>,
}

#[derive(Serialize)]
struct ReloadReport {
    error: Option<String>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Problem {
    name: String,
    text: String,
}

impl From<LoadProblem> for Problem {
    fn from(LoadProblem { name, text }: LoadProblem) -> Self {
        Problem { name, text }
    }
}

#[derive(Serialize)]
struct Refusal {
    error: String,
}

/// The answer if the program ends meanwhile.
fn is_ending() -> Answer {
    let error = "confd is about to end".to_owned();
    answer::json(StatusCode::SERVICE_UNAVAILABLE, &Refusal { error })
}

/// `POST /reload`: 200 if everything could be used, or else 422.
pub(crate) async fn reload(site: &Site, commands: &Commands) -> Answer {
    let (sender, receiver) = oneshot::channel();
    if commands.reloads.send(sender).await.is_err() {
        return is_ending();
    }
    let Ok(Reloaded { error }) = receiver.await else { return is_ending() };
    let problems = site.handle.overview().problems;
    let is_good = error.is_none() && problems.is_empty();
    let code = if is_good { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let problems = problems.into_iter().map(Problem::from).collect();
    answer::json(code, &ReloadReport { error, problems })
}

/// `POST /resources/NAME/run`: the status of the resource after the pass. 200 if it is applied, or else 422;
/// 404 if there is no such resource.
pub(crate) async fn run(site: &Site, commands: &Commands, name: &str) -> Answer {
    let (done, receiver) = oneshot::channel();
    let none = || {
        let names: Vec<_> = site.handle.statuses().into_keys().collect();
        let error = format!("there is no resource {name:?}: there are {}", names.join(", "));
        answer::json(StatusCode::NOT_FOUND, &Refusal { error })
    };
    if site.handle.status(name).is_none() {
        return none();
    }
    let order = Order::Process(Process { name: name.to_owned(), done });
    if commands.orders.send(order).await.is_err() {
        return is_ending();
    }
    let answered = receiver.await;
    match site.handle.status(name) {
        Some(status) if answered.is_ok() => {
            // Without newer keys, what was applied before is all that is known.
            let is_applied = status.obstacle().is_none() && status.error.is_none();
            let code = if is_applied { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            answer::json(code, &status::resource((name.to_owned(), status)))
        }
        Some(_) => is_ending(),
        None => none(),
    }
}
