//! `/status`: the state of the process and of each resource, for programs.

use std::time::SystemTime;

use agent::{LastError, Overview};
use hyper::StatusCode;
use serde::Serialize;
use world::time::utc_text;

use crate::{
    Site,
    answer::{self, Answer},
};

/// The document of `/status`. Fields are added, but not removed and not renamed.
#[derive(Serialize)]
pub(crate) struct Document {
    version: &'static str,
    ready: bool,
    backend: Backend,
    resources: Vec<Resource>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Backend {
    name: String,
    error: Option<Fault>,
}

/// A resource in the document.
#[derive(Serialize)]
pub(crate) struct Resource {
    name: String,
    dests: Vec<String>,
    required: bool,
    state: &'static str,
    since: String,
    held_version: Option<u64>,
    waits_for: Vec<String>,
    applied: Option<Applied>,
    behind_since: Option<String>,
    pending: Option<Pending>,
    error: Option<Fault>,
}

#[derive(Serialize)]
struct Applied {
    revision: u64,
    at: String,
    took_ms: u64,
}

#[derive(Serialize)]
struct Pending {
    only_reload: bool,
    has_reload: bool,
    reason: &'static str,
    next_try: Option<String>,
}

#[derive(Serialize)]
struct Fault {
    kind: &'static str,
    text: String,
    since: String,
}

#[derive(Serialize)]
struct Problem {
    name: String,
    text: String,
}

impl From<&LastError> for Fault {
    fn from(last: &LastError) -> Self {
        let kind = last.failure.kind().word();
        Fault { kind, text: last.failure.explained(), since: utc_text(last.since) }
    }
}

/// The document for this moment.
pub(crate) fn answer(site: &Site) -> Answer {
    answer::json(StatusCode::OK, &document(site))
}

fn document(site: &Site) -> Document {
    let overview = site.handle.overview();
    let ready = overview.is_ready();
    let Overview { resources, problems, source_error, .. } = overview;
    let error = source_error.as_ref().map(Fault::from);
    let problems = problems.into_iter();
    Document {
        version: site.version,
        ready,
        backend: Backend { name: site.backend().to_string(), error },
        resources: resources.into_iter().map(resource).collect(),
        problems: problems.map(|it| Problem { name: it.name, text: it.text }).collect(),
    }
}

pub(crate) fn resource((name, status): (String, agent::Status)) -> Resource {
    let text = |at: &SystemTime| utc_text(*at);
    Resource {
        name,
        required: status.is_required,
        state: status.state.word(),
        since: utc_text(status.since),
        held_version: match status.state {
            agent::State::Held { version } => version,
            _ => None,
        },
        waits_for: match &status.state {
            agent::State::WaitingForAnswers(names) | agent::State::WaitingForMissingKeys(names) => {
                names.clone()
            }
            _ => Vec::new(),
        },
        applied: status.applied.map(|applied| Applied {
            revision: applied.revision,
            at: utc_text(applied.at),
            took_ms: u64::try_from(applied.took.as_millis()).unwrap_or(u64::MAX),
        }),
        behind_since: status.behind_since.as_ref().map(text),
        pending: status.pending.as_ref().map(|pending| Pending {
            only_reload: pending.only_reload,
            has_reload: pending.has_reload,
            reason: pending.wake.word(),
            next_try: pending.next_try.as_ref().map(text),
        }),
        error: status.error.as_ref().map(Fault::from),
        dests: status.dests,
    }
}
