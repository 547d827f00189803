//! What a change of keys would do to the files of every resource.

use std::path::Path;
use std::sync::Arc;

use agent::{Failure, Rehearsal, Rehearsed, Resource};
use store::{Coverage, Snapshot};

use crate::diff::{Look, unified};
use crate::edits::Edits;
use crate::secrets::{Patterns, Secrets};

/// What a change would do.
#[derive(Debug, Default)]
pub struct Plan {
    /// The diffs and notes, in the order of the resources.
    pub parts: Vec<Shown>,
    /// The number of files that would be new, would differ and would be removed.
    pub files: Counts,
    /// The number of checks that would fail: of check commands, guards and templates.
    pub refused: usize,
    /// Whether something could not be found out.
    pub has_failed: bool,
}

/// Numbers of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that do not exist.
    pub new: usize,
    /// Those that exist and differ.
    pub changed: usize,
    /// Those that would not exist any more.
    pub removed: usize,
}

impl Counts {
    /// All of them.
    pub fn sum(&self) -> usize {
        self.new + self.changed + self.removed
    }
}

/// A part of a plan, for people.
#[derive(Debug)]
pub enum Shown {
    /// A unified diff.
    Diff(Vec<u8>),
    /// A line.
    Note(String),
}

/// How a plan is made.
pub struct Planning<'a> {
    /// The resources that are looked at.
    pub resources: &'a [Arc<Resource>],
    /// The change.
    pub edits: &'a Edits,
    /// How diffs look.
    pub look: Look,
    /// The keys whose values are masked.
    pub patterns: &'a Patterns,
    /// The folder in which private folders for check commands are made.
    pub scratch: &'a Path,
}

/// Whether the resource would see `key`. A source that does not say by its keys alone what a key stands for
/// shows what is below it.
fn asks_for(resource: &Resource, snapshot: &Snapshot, key: &[u8]) -> bool {
    let coverage = match snapshot.coverage() {
        Coverage::Exact => Coverage::Subtree,
        coverage => coverage,
    };
    resource.asks_for(coverage, key)
}

impl Planning<'_> {
    /// Finds out what the change would do to the resources that ask for its keys. Nothing is written.
    ///
    /// # Errors
    /// The source does not answer.
    pub async fn plan(&self, rehearsal: &Rehearsal) -> Result<Plan, Failure> {
        let Planning { resources, edits, .. } = self;
        let mut plan = Plan::default();
        let snapshots = rehearsal.read(resources).await?;
        let known: Vec<&Snapshot> = snapshots.iter().filter_map(|it| it.as_ref().ok()).collect();
        for key in edits.keys() {
            let mut answered = resources.iter().zip(&snapshots);
            let asks = |(resource, snapshot): (&Arc<Resource>, &Result<Snapshot, Failure>)| {
                snapshot.as_ref().is_ok_and(|snapshot| asks_for(resource, snapshot, key))
            };
            if !answered.any(asks) {
                plan.note(format!("no resource asks for {}", String::from_utf8_lossy(key)));
            }
        }
        for key in edits.missing(&known) {
            plan.note(format!("there is no key {} to delete", String::from_utf8_lossy(key)));
        }
        for (resource, snapshot) in resources.iter().zip(&snapshots) {
            let name = resource.name();
            let before = match snapshot {
                Ok(snapshot) => snapshot,
                Err(failure) => {
                    plan.has_failed = true;
                    plan.note(format!("{name}: {failure}"));
                    continue;
                }
            };
            let after = edits.applied_to(before, |key| asks_for(resource, before, key));
            if !resource.differs_between(before, &after) {
                continue;
            }
            match rehearsal.pass(resource, &after).await {
                Ok(rehearsed) => self.add(&mut plan, rehearsal, resource, before, &rehearsed).await,
                Err(failure) => plan.refuse(format!("{name}: {failure}")),
            }
        }
        Ok(plan)
    }

    async fn add(
        &self,
        plan: &mut Plan,
        rehearsal: &Rehearsal,
        resource: &Resource,
        before: &Snapshot,
        rehearsed: &Rehearsed,
    ) {
        let name = resource.name();
        let mut secrets = Secrets::of(self.patterns, &rehearsed.keys());
        secrets.add(self.patterns, &resource.keys_of(before));
        if let Some(keys) = &rehearsed.kept {
            let keys = keys.join(", ");
            plan.note(format!("{name}: its files would stay, because keys are missing: {keys}"));
        }
        let changes = rehearsed.files.iter().filter(|file| file.proposal.is_change);
        for file in changes.clone() {
            let proposal = &file.proposal;
            match (&proposal.before, &proposal.after) {
                (None, _) => plan.files.new += 1,
                (Some(_), Some(_)) => plan.files.changed += 1,
                (Some(_), None) => plan.files.removed += 1,
            }
            plan.parts.push(Shown::Diff(unified(proposal, &secrets, self.look)));
        }
        for failure in [&rehearsed.failed, &rehearsed.guarded].into_iter().flatten() {
            plan.refuse(format!("{name}: {failure}"));
        }
        if changes.count() == 0 {
            return;
        }
        match rehearsal.check(rehearsed, self.scratch).await {
            Ok(checks) => {
                for (nth, error) in &checks.failed {
                    let dest = rehearsed.files[*nth].proposal.target.dest.display();
                    plan.refuse(format!("{name}: {dest} would be refused: {error}"));
                }
                if let Some(error) = &checks.group {
                    plan.refuse(format!("{name}: all would be refused: {error}"));
                }
            }
            Err(error) => {
                plan.has_failed = true;
                let folder = self.scratch.display();
                plan.note(format!("{name}: no file can be checked in {folder}: {error}"));
            }
        }
    }
}

impl Plan {
    fn note(&mut self, line: String) {
        self.parts.push(Shown::Note(line));
    }

    fn refuse(&mut self, line: String) {
        self.refused += 1;
        self.note(line);
    }

    /// The last line: what would happen in numbers.
    pub fn summary(&self) -> String {
        let Counts { new, changed, removed } = self.files;
        let checks = match self.refused {
            0 => String::new(),
            1 => "; 1 check would fail".to_owned(),
            count => format!("; {count} checks would fail"),
        };
        match self.files.sum() {
            0 => format!("no file would change{checks}"),
            _ => format!("files: {new} new, {changed} changed, {removed} removed{checks}"),
        }
    }
}
