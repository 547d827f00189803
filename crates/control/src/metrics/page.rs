//! The page of all metrics at one moment.

use std::time::{SystemTime, UNIX_EPOCH};

use agent::State;

use super::{
    counts::Counts,
    families::{
        ALL, BUILD, LAG, LAST_APPLIED, LOAD_PROBLEMS, READY, RELOAD_PENDING, RETRIES, REVISION,
        STATE,
    },
    process,
};
use crate::Site;

/// The page in Prometheus' text format.
pub(super) fn text(site: &Site) -> String {
    let mut counts = site.metrics.counts().map(|counts| counts.clone()).unwrap_or_default();
    counts.join(gauges(site));
    counts.join(process::counts());
    for name in site.handle.overview().resources.keys() {
        // A counter that has not counted yet is 0, so that its first step is seen.
        counts.add(&RETRIES, &[name], 0.0);
    }
    let mut page = String::new();
    for family in ALL {
        counts.write(family, &mut page);
    }
    page
}

/// The gauges of the agent.
fn gauges(site: &Site) -> Counts {
    let mut gauges = Counts::default();
    let overview = site.handle.overview();
    let now = SystemTime::now();
    let yes_or_no = |is: bool| if is { 1.0 } else { 0.0 };
    gauges.set(&BUILD, &[site.version], 1.0);
    gauges.set(&READY, &[], yes_or_no(overview.is_ready()));
    gauges.set(&LOAD_PROBLEMS, &[], overview.problems.len() as f64);
    for (name, status) in &overview.resources {
        for state in State::WORDS {
            gauges.set(&STATE, &[name, state], yes_or_no(status.state.word() == state));
        }
        if let Some(applied) = &status.applied {
            gauges.set(&REVISION, &[name], applied.revision as f64);
            gauges.set(&LAST_APPLIED, &[name], unix_time(applied.at));
        }
        let lag = status.behind_since.map(|since| now.duration_since(since).unwrap_or_default());
        gauges.set(&LAG, &[name], lag.unwrap_or_default().as_secs_f64());
        let has_reload = status.pending.as_ref().is_some_and(|pending| pending.has_reload);
        gauges.set(&RELOAD_PENDING, &[name], yes_or_no(has_reload));
    }
    gauges
}

/// Seconds since the beginning of 1970.
pub(super) fn unix_time(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
