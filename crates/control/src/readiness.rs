//! Whether every required resource has applied its newest data, and if not, why.

use std::{
    collections::BTreeMap,
    time::{Instant, SystemTime},
};

use hyper::StatusCode;
use report::harmless;
use serde::Serialize;
use world::time::utc_text;

use crate::{
    Site,
    answer::{self, Answer},
};

/// `/ready`: `ok`, or one line for each resource that is not applied.
pub(crate) fn short(site: &Site) -> Answer {
    let overview = site.handle.overview();
    if overview.is_ready() {
        return answer::text(StatusCode::OK, "ok");
    }
    let mut lines = String::new();
    if !overview.is_loaded {
        lines.push_str("the resources are not loaded yet\n");
    }
    for (name, why) in overview.obstacles() {
        lines.push_str(&harmless(&format!("{name}: {why}")));
        lines.push('\n');
    }
    answer::text(StatusCode::SERVICE_UNAVAILABLE, lines)
}

/// The document of `/ready/detailed`.
#[derive(Serialize)]
struct Detailed {
    healthy: bool,
    message: String,
    duration_ms: u64,
    /// The state of each resource, and the error of the source and of `conf.d`, by name.
    details: BTreeMap<String, String>,
    checked_at: String,
}

/// `/ready/detailed`: the same for programs, with every resource.
pub(crate) fn detailed(site: &Site) -> Answer {
    let begun = Instant::now();
    let overview = site.handle.overview();
    let healthy = overview.is_ready();
    let obstacles = overview.obstacles();
    let message = match (overview.is_loaded, obstacles.len()) {
        (false, _) => "the resources are not loaded yet".to_owned(),
        (true, 0) => format!("{}: {}", site.backend(), overview.summary()),
        (true, 1) => "1 resource is not applied".to_owned(),
        (true, many) => format!("{many} resources are not applied"),
    };
    let mut details = BTreeMap::new();
    for (name, status) in &overview.resources {
        details.insert(name.clone(), status.obstacle().unwrap_or_else(|| status.state.to_string()));
    }
    details.extend(obstacles.into_iter().map(|(name, why)| (name.to_owned(), why)));
    if let Some(error) = &overview.source_error {
        details.insert("error".to_owned(), error.failure.to_string());
    }
    let detailed = Detailed {
        healthy,
        message,
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        details,
        checked_at: utc_text(SystemTime::now()),
    };
    let code = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer::json(code, &detailed)
}
