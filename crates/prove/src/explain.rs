//! Which keys made each line of a file.
//!
//! An engine does not say which reads a line depends on: a key can be printed, or decide a condition or a
//! loop far above. So the file is rendered again for each key, once with another value and once without the
//! key, and the lines that differ are the lines that the key makes.

use std::ops::Range;
use std::sync::Arc;

use agent::{Rehearsal, RenderedFile, Resource};
use bytes::Bytes;
use similar::{Algorithm, DiffOp, capture_diff_slices};
use store::Snapshot;

use crate::diff::Text;
use crate::secrets::{MASK, Secrets};

/// A line of a file, and the keys that it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The number of the line, from 1.
    pub line: usize,
    /// The line without its line break, with secrets masked.
    pub text: Vec<u8>,
    /// The keys, as the source spells them, in byte order.
    pub keys: Vec<Bytes>,
}

/// The lines of `file`, which the resource makes of the keys of `snapshot`, each with its keys.
pub async fn explain(
    rehearsal: &Rehearsal,
    resource: &Arc<Resource>,
    snapshot: &Snapshot,
    file: &RenderedFile,
    secrets: &Secrets,
) -> Vec<Explained> {
    let text = Text::new(&file.content, secrets);
    let shown = |nth: usize| text.parts(nth).join(MASK.as_bytes());
    let lines = (0..text.lines.len()).map(|nth| Explained {
        line: nth + 1,
        text: shown(nth),
        keys: Vec::new(),
    });
    let mut lines: Vec<Explained> = lines.collect();
    let coverage = snapshot.coverage();
    for (key, value) in snapshot.iter().filter(|(key, _)| resource.asks_for(coverage, key)) {
        let (mut changed, mut without) = (snapshot.clone(), snapshot.clone());
        changed.insert(key.clone(), other_value(value));
        without.remove(key);
        for variant in [changed, without] {
            // A template that fails without the key says nothing about lines.
            let Ok(rendering) = rehearsal.render(resource, &variant).await else { continue };
            let Some(other) = rendering.files.iter().find(|it| it.dest == file.dest) else {
                continue;
            };
            for range in differing(&text, &other.content) {
                for line in &mut lines[range] {
                    if line.keys.last() != Some(key) {
                        line.keys.push(key.clone());
                    }
                }
            }
        }
    }
    lines
}

/// Another value of the same kind: a number stays a number.
fn other_value(value: &Bytes) -> Bytes {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
    match number {
        Some(number) => number.wrapping_add(1).to_string().into(),
        None => [&value[..], b"~"].concat().into(),
    }
}

/// The lines of a text that another content does not have.
fn differing(text: &Text<'_>, other: &[u8]) -> Vec<Range<usize>> {
    let other: Vec<_> = other.split_inclusive(|&byte| byte == b'\n').collect();
    let ops = capture_diff_slices(Algorithm::Myers, &text.lines, &other);
    let differs = |op: &DiffOp| !matches!(op, DiffOp::Equal { .. });
    ops.iter().filter(|op| differs(op)).map(DiffOp::old_range).collect()
}
