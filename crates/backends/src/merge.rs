//! The answers of several backends as one.

use bytes::Bytes;
use source::{Answer, Error, Refusal};
use store::{Coverage, Snapshot};

use crate::parts::{Asked, Lack, Part, of_scope};

/// The answer to a scope, made of the answers to its parts. A part without an answer refuses it.
pub(crate) fn merged(asked: &Asked, answers: &[Option<Answer>]) -> Answer {
    let unanswered = |part: &Part| {
        let backend = part.backend.name().to_string();
        Refusal::new(asked.scope.clone(), Error::Unanswered { backend })
    };
    if let (Some(part), [answer]) =
        (asked.parts.first().filter(|_| asked.whole().is_some()), answers)
    {
        return match answer {
            Some(answer) => of_scope(answer.clone(), &asked.scope),
            None => Err(unanswered(part)),
        };
    }
    if let Some(lack) = &asked.lack {
        let error = match lack {
            Lack::Backend(name) => Error::Unknown { backend: name.to_string() },
            Lack::Mount(key) => Error::NotMounted { key: key.clone() },
        };
        return Err(Refusal::new(asked.scope.clone(), error));
    }
    let snapshot = |(answer, part): (&Option<Answer>, &Part)| match answer {
        Some(answer) => of_scope(answer.clone(), &asked.scope),
        None => Err(unanswered(part)),
    };
    let snapshots = answers.iter().zip(&asked.parts).map(snapshot);
    let snapshots: Vec<Snapshot> = snapshots.collect::<Result<_, _>>()?;
    let mut whole = Snapshot::new(Coverage::Exact).at_revision(revision(&snapshots));
    // What is more important replaces what is less.
    for (part, snapshot) in asked.parts.iter().zip(&snapshots).rev() {
        for (key, value) in snapshot.iter() {
            if part.scope.asks_for(snapshot.coverage(), key) {
                whole.insert(part.shown(key), value.clone());
            }
        }
    }
    Ok(whole)
}

/// The highest of the revisions: it grows with each change in the backend that has it.
fn revision(snapshots: &[Snapshot]) -> u64 {
    snapshots.iter().map(Snapshot::revision).max().unwrap_or(0)
}

/// Brings `whole` up to date after the keys `changed` of a part have changed, spelled as in the
/// scope. `snapshots` are the states of the parts after the change. Returns the keys that have changed in
/// `whole`: what a more important backend hides is no change.
pub(crate) fn patch(
    whole: &mut Snapshot,
    asked: &Asked,
    snapshots: &[Snapshot],
    mut changed: Vec<Bytes>,
) -> Vec<Bytes> {
    changed.retain(|key| match winner(asked, snapshots, key) {
        Some(value) => whole.insert(key.clone(), value.clone()).as_ref() != Some(value),
        None => whole.remove(key).is_some(),
    });
    *whole = whole.clone().at_revision(revision(snapshots));
    changed
}

/// The value of `key` in the most important part that has it.
fn winner<'a>(asked: &Asked, snapshots: &'a [Snapshot], key: &[u8]) -> Option<&'a Bytes> {
    let of_part = |(part, snapshot): (&Part, &'a Snapshot)| {
        let own = part.own(key)?;
        part.scope.asks_for(snapshot.coverage(), own).then(|| snapshot.get(own))?
    };
    asked.parts.iter().zip(snapshots).find_map(of_part)
}
