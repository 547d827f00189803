//! Gives the workers of watch mode their assignments.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;

use super::{Member, Watching, Worker};
use crate::{
    event::{Event, Reader as _, Wake},
    record::Record,
    reloads::Requester,
    settings::Process,
    worker::{self, Assignment},
};

impl Watching {
    /// Records which members come before which.
    ///
    /// Members are in processing order, so a member waits only for members with smaller numbers. A
    /// resource whose file has become invalid is at the end, with what it said before: its word does
    /// not count for the members before it, so that no two members wait for each other.
    pub(super) fn order(&mut self) {
        let members = self.members.iter().enumerate();
        let numbers: HashMap<PathBuf, usize> =
            members.map(|(nth, member)| (member.resource.path.clone(), nth)).collect();
        for (nth, member) in self.members.iter_mut().enumerate() {
            let earlier =
                member.resource.after.iter().filter_map(|path| numbers.get(path).copied());
            member.after = earlier.filter(|earlier| *earlier < nth).collect();
        }
    }

    pub(super) fn wake_all(&mut self, wake: &Wake) {
        self.wake_those(wake, |_| true);
    }

    /// Wakes the members whose workers satisfy `which`.
    pub(super) fn wake_those(&mut self, wake: &Wake, which: impl Fn(&Worker) -> bool) {
        let has = |member: &Member| member.worker.as_ref().is_some_and(&which);
        let members = self.members.iter().enumerate();
        let woken = members.filter(|(_, member)| has(member)).map(|(nth, _)| (nth, wake.clone()));
        self.wake_each(woken.collect());
    }

    /// Gives the resource a pass, and answers when it has ended.
    pub(crate) fn process(&mut self, process: Process) {
        let Process { name, done } = process;
        let is_it = |member: &Member| **member.resource.name() == *name;
        let Some(nth) = self.members.iter().position(is_it) else { return };
        self.wake_each(vec![(nth, Wake::Request)]);
        let member = &self.members[nth];
        // Without a state there is nothing to render.
        let worker = member.worker.as_ref().filter(|_| member.snapshot.is_some());
        let waits_for = worker.map(|worker| (worker.record.clone(), worker.newest.0));
        self.looks.spawn(async move {
            if let Some((record, number)) = waits_for {
                record.finished(number).await;
            }
            // The client that asked may be gone.
            let _ = done.send(());
            Vec::new()
        });
    }

    pub(super) fn wake_each(&mut self, woken: Vec<(usize, Wake)>) {
        let is_alone = woken.len() == 1;
        for (nth, wake) in woken {
            self.wake(nth, wake, is_alone);
        }
    }

    /// Gives the worker of a member its newest assignment, if there is a state.
    fn wake(&mut self, nth: usize, wake: Wake, is_alone: bool) {
        let after = self.unfinished_before(nth);
        let must_wait = !after.is_empty();
        let member = &mut self.members[nth];
        let resource = &member.resource;
        let keys = match (&member.snapshot, &member.no_keys) {
            (Some(snapshot), _) => Ok(snapshot.clone()),
            (None, Some(failure)) => Err(failure.clone()),
            (None, None) => return,
        };
        if keys.is_ok() {
            self.readers.read(&Event::Woken { resource: Arc::clone(resource), wake: wake.clone() });
        }
        let wake = match &member.worker {
            // One pass serves both wakes.
            Some(worker) if !worker.record.has_taken(worker.newest.0) => {
                worker.newest.1.clone().and(wake)
            }
            _ => wake,
        };
        let mut dests: Vec<_> = resource.dests().map(Path::to_owned).collect();
        // Two resources with several destinations in common must not wait for each other.
        dests.sort_unstable();
        dests.dedup();
        let locks = dests.into_iter();
        let locks = locks.map(|dest| Arc::clone(self.locks.entry(dest).or_default())).collect();
        self.assignments += 1;
        let newest = (self.assignments, wake.clone());
        let assignment = Assignment {
            number: self.assignments,
            wake,
            is_alone,
            locks,
            after,
            resource: Arc::clone(resource),
            keys,
            pipeline: Arc::clone(&self.pipeline),
            pace: self.pace,
        };
        let reload = self.pipeline.reload_of(resource);
        // A reload of an earlier resource must not wait for a pass that waits for it.
        let announce = |requester: &Requester| match must_wait {
            true => requester.is_blocked(),
            false => requester.announce(reload),
        };
        let refused = match &mut member.worker {
            Some(worker) => {
                announce(&worker.requester);
                worker.newest = newest.clone();
                worker.assignments.send(assignment).err().map(|refused| refused.0)
            }
            None => Some(assignment),
        };
        if let Some(assignment) = refused {
            let (assignments, receiver) = watch::channel(assignment);
            let record = Record::new(&self.other_files);
            let requester = Arc::new(Requester::new(&self.reloads));
            announce(&requester);
            let worker = Worker {
                newest,
                assignments,
                record: record.clone(),
                requester: Arc::clone(&requester),
            };
            member.worker = Some(worker);
            self.workers.spawn(worker::work(receiver, self.readers.clone(), record, requester));
        }
    }

    /// The passes that come before that of this member and have not ended. Of one change, the members
    /// with smaller numbers are woken first.
    fn unfinished_before(&self, nth: usize) -> Vec<(Record, u64)> {
        let members = self.members[nth].after.iter().map(|earlier| &self.members[*earlier]);
        let workers = members.filter_map(|member| member.worker.as_ref());
        let passes = workers.map(|worker| (worker.record.clone(), worker.newest.0));
        passes.filter(|(record, number)| !record.has_finished(*number)).collect()
    }
}
