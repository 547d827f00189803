//! Counts the events of the agent.

use std::{collections::HashSet, path::Path, time::SystemTime};

use agent::{Event, Reader, Resource, Step, Wake};
use deploy::{CommandError, Level, Purpose, Ran};

use super::{
    Metrics,
    counts::Counts,
    families::{
        BATCH_FAILED, BATCH_FAILED_TEMPLATES, BATCH_SUCCEEDED_TEMPLATES, BATCH_TOTAL, CACHE_HITS,
        CACHE_MISSES, COMMAND_DURATION, COMMAND_EXIT_CODES, COMMAND_TOTAL, FAILURES, FILE_CHANGED,
        FILE_SYNC, LAST_RELOAD, RETRIES, TEMPLATE_DURATION, TEMPLATE_TOTAL, TEMPLATES_LOADED,
        WATCHED_KEYS,
    },
    page::unix_time,
};

impl Reader for Metrics {
    fn read(&self, event: &Event<'_>) {
        let Some(mut counts) = self.counts() else { return };
        match event {
            Event::Assigned(resources) => {
                let watches = self.0.watches.load(std::sync::atomic::Ordering::Relaxed);
                let parts = || resources.iter().flat_map(|resource| resource.parts());
                let keys = parts().map(|part| part.scope.iter().count()).sum::<usize>();
                counts.set(&TEMPLATES_LOADED, &[], parts().count() as f64);
                counts.set(&WATCHED_KEYS, &[], if watches { keys as f64 } else { 0.0 });
                let names: HashSet<&str> = resources.iter().map(|one| &**one.name()).collect();
                for family in [&RETRIES, &FAILURES] {
                    counts.keep_only(family, "resource", |name| names.contains(name));
                }
                let dests: HashSet<String> =
                    resources.iter().flat_map(|resource| dests(resource)).collect();
                for family in [
                    &TEMPLATE_DURATION,
                    &TEMPLATE_TOTAL,
                    &COMMAND_DURATION,
                    &COMMAND_TOTAL,
                    &FILE_SYNC,
                ] {
                    counts.keep_only(family, "dest", |dest| dests.contains(dest));
                }
            }
            Event::Loaded { .. } => {
                counts.set(&LAST_RELOAD, &[], unix_time(SystemTime::now()));
            }
            Event::Woken { resource, wake: Wake::Retry } => {
                counts.add(&RETRIES, &[resource.name()], 1.0);
            }
            Event::Step { step: Step::UsingTemplate(_), .. } => {
                counts.add(&CACHE_HITS, &[], 1.0);
            }
            Event::Step { step: Step::Compiling(_), .. } => {
                // It was counted as a hit when it was looked for.
                counts.add(&CACHE_HITS, &[], -1.0);
                counts.add(&CACHE_MISSES, &[], 1.0);
            }
            Event::Done { resource, took, .. } => {
                for dest in dests(resource) {
                    counts.add(&TEMPLATE_TOTAL, &[&dest, "success"], 1.0);
                    counts.observe(&TEMPLATE_DURATION, &[&dest], *took);
                }
            }
            Event::Failed { resource, failure, .. } => {
                counts.add(&FAILURES, &[resource.name(), failure.kind().word()], 1.0);
                for dest in dests(resource) {
                    counts.add(&TEMPLATE_TOTAL, &[&dest, "error"], 1.0);
                }
            }
            Event::Ran { resource, ran } => command(&mut counts, resource, ran),
            Event::Replaced { resource, dest } => {
                counts.add(&FILE_CHANGED, &[], 1.0);
                counts.add(&FILE_SYNC, &[&dest_of(resource, dest)], 1.0);
            }
            Event::PassEnded { resources, failed } => {
                counts.add(&BATCH_TOTAL, &[], 1.0);
                counts.add(&BATCH_FAILED, &[], if failed.is_empty() { 0.0 } else { 1.0 });
                let succeeded = resources.saturating_sub(failed.len());
                counts.add(&BATCH_SUCCEEDED_TEMPLATES, &[], succeeded as f64);
                counts.add(&BATCH_FAILED_TEMPLATES, &[], failed.len() as f64);
            }
            _ => {}
        }
    }

    fn wants(&self, _: Level) -> bool {
        false
    }

    fn wants_step(&self, step: &Step<'_>) -> bool {
        matches!(step, Step::UsingTemplate(_) | Step::Compiling(_))
            && self.0.is_on.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// The destinations of a resource as its file has them. There is one for all items of `for_each`.
fn dests(resource: &Resource) -> impl Iterator<Item = String> {
    resource.dests().map(|dest| dest.display().to_string())
}

/// The destination, as the resource file has it, of the file `dest`.
fn dest_of(resource: &Resource, dest: &Path) -> String {
    let mut parts = resource.parts().iter();
    let part = parts.clone().find(|part| part.target.dest == dest);
    let of_items = || {
        parts.find(|part| part.for_each.as_ref().is_some_and(|each| dest.starts_with(&each.folder)))
    };
    let named = part.or_else(of_items).map_or(dest, |part| &part.target.dest);
    named.display().to_string()
}

fn command(counts: &mut Counts, resource: &Resource, ran: &Ran<'_>) {
    let purpose = match ran.purpose {
        Purpose::Check => "check",
        Purpose::Reload => "reload",
        Purpose::Health => "health",
    };
    let code = match ran.result {
        Ok(()) => "0".to_owned(),
        Err(CommandError::Exit(code)) => code.to_string(),
        // As shells say it.
        Err(CommandError::Signal { number, .. }) => (128 + number).to_string(),
        Err(CommandError::TimedOut { .. }) => "timeout".to_owned(),
        // The system did not start it, or did not say how it ended.
        Err(_) => "not_started".to_owned(),
    };
    counts.add(&COMMAND_EXIT_CODES, &[purpose, &code], 1.0);
    // A command of a group counts for the first of its files.
    if let Some(dest) = dests(resource).next() {
        counts.add(&COMMAND_TOTAL, &[purpose, &dest], 1.0);
        counts.observe(&COMMAND_DURATION, &[purpose, &dest], ran.took);
    }
}
