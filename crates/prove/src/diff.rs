//! Unified diffs of files, for people and for `patch`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use deploy::{FileState, Proposal};
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline, group_diff_ops};

use crate::secrets::{MASK, Secrets};

/// The time after which a diff need not be the shortest.
const PATIENCE: Duration = Duration::from_secs(2);

const BOLD: &str = "\x1b[1m";
const CYAN: &str = "\x1b[36m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// How a diff looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The number of unchanged lines around each change.
    pub context: usize,
    /// Whether lines have colours. Then control characters in them are shown as escapes, because a
    /// terminal would obey them.
    pub color: bool,
}

/// The differences of a file as a unified diff: first lines about its mode and its owner, which `patch`
/// ignores, and then the hunks. Empty if there are none.
pub fn unified(proposal: &Proposal, secrets: &Secrets, look: Look) -> Vec<u8> {
    let Proposal { target, before, after, .. } = proposal;
    let dest = target.dest.display().to_string();
    let mut out = Out { bytes: Vec::new(), look };
    if let (Some(before), Some(after)) = (before, after) {
        attributes(&mut out, &dest, before, after);
    }
    let content = |state: &Option<FileState>| {
        state.as_ref().map(|state| state.content.clone()).unwrap_or_default()
    };
    let (old, new) = (content(before), content(after));
    if old == new && before.is_some() == after.is_some() {
        return out.bytes;
    }
    let nothing = || "/dev/null".to_owned();
    let from = before.as_ref().map_or_else(nothing, |_| dest.clone());
    let to = after.as_ref().map_or_else(nothing, |_| format!("{dest} (new)"));
    if [&old, &new].iter().any(|content| content.contains(&0)) {
        out.line(BOLD, format!("Binary files {from} and {to} differ").as_bytes());
        return out.bytes;
    }
    out.line(BOLD, format!("--- {from}").as_bytes());
    out.line(BOLD, format!("+++ {to}").as_bytes());
    let (old, new) = (Text::new(&old, secrets), Text::new(&new, secrets));
    let deadline = Some(Instant::now() + PATIENCE);
    let ops = capture_diff_slices_deadline(Algorithm::Myers, &old.lines, &new.lines, deadline);
    for group in group_diff_ops(ops, look.context) {
        hunk(&mut out, &group, &old, &new);
    }
    out.bytes
}

/// The lines about a mode or an owner that differs.
fn attributes(out: &mut Out, dest: &str, before: &FileState, after: &FileState) {
    if before.mode != after.mode {
        let (from, to) = (before.mode, after.mode);
        out.line(BOLD, format!("{dest}: mode {from:04o} becomes {to:04o}").as_bytes());
    }
    if (before.uid, before.gid) != (after.uid, after.gid) {
        let FileState { uid, gid, .. } = before;
        let to = (after.uid, after.gid);
        let text = format!("{dest}: owner {uid}:{gid} becomes {}:{}", to.0, to.1);
        out.line(BOLD, text.as_bytes());
    }
}

/// One side of a diff.
pub(crate) struct Text<'a> {
    bytes: &'a [u8],
    /// Each with its line break.
    pub(crate) lines: Vec<&'a [u8]>,
    /// Where each line begins, and where the last one ends.
    starts: Vec<usize>,
    masked: Vec<Range<usize>>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(bytes: &'a [u8], secrets: &Secrets) -> Text<'a> {
        let lines: Vec<_> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
        let mut starts = vec![0];
        for line in &lines {
            starts.push(starts.last().copied().unwrap_or_default() + line.len());
        }
        Text { bytes, lines, starts, masked: secrets.spans(bytes) }
    }

    /// The line with this number without its line break, as the parts between secrets. One part is a line
    /// without a secret.
    pub(crate) fn parts(&self, nth: usize) -> Vec<&'a [u8]> {
        let line = self.lines[nth];
        let end = self.starts[nth] + line.strip_suffix(b"\n").unwrap_or(line).len();
        let mut at = self.starts[nth];
        let mut parts = Vec::new();
        let start = at;
        for span in self.masked.iter().filter(|span| span.start < end && span.end > start) {
            parts.push(&self.bytes[at..span.start.max(at)]);
            at = span.end.min(end);
        }
        parts.push(&self.bytes[at..end]);
        parts
    }
}

fn hunk(out: &mut Out, group: &[DiffOp], old: &Text<'_>, new: &Text<'_>) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return };
    let from = first.old_range().start..last.old_range().end;
    let to = first.new_range().start..last.new_range().end;
    out.line(CYAN, format!("@@ -{} +{} @@", range(&from), range(&to)).as_bytes());
    for op in group {
        if let DiffOp::Equal { .. } = op {
            op.old_range().for_each(|nth| out.text(' ', old, nth, &old.parts(nth)));
            continue;
        }
        // The old value of a secret is not known. It stands where the new value stands, and if no old line
        // is like the new one, it can be anywhere.
        let masked = op.new_range().map(|nth| new.parts(nth)).filter(|parts| parts.len() > 1);
        let masked: Vec<_> = masked.collect();
        // Where the old value is known, it is masked itself.
        let has_partner = |new: &Vec<&[u8]>| {
            op.old_range().map(|nth| old.parts(nth)).any(|parts| match &parts[..] {
                [line] => around(line, new).is_some(),
                parts => parts.first() == new.first(),
            })
        };
        let hides_all = !masked.iter().all(has_partner);
        for nth in op.old_range() {
            let parts = old.parts(nth);
            let hidden = match &parts[..] {
                [line] => masked.iter().find_map(|parts| around(line, parts)),
                _ => None,
            };
            let all = || (hides_all && parts.len() == 1).then(|| vec![&b""[..], b""]);
            out.text('-', old, nth, &hidden.or_else(all).unwrap_or(parts.clone()));
        }
        op.new_range().for_each(|nth| out.text('+', new, nth, &new.parts(nth)));
    }
}

/// The parts of an old line around its secret, if it is like a new line with these parts: both begin and end
/// with the same text.
fn around<'a>(line: &'a [u8], masked: &[&[u8]]) -> Option<Vec<&'a [u8]>> {
    let (head, tail) = (masked.first()?, masked.last()?);
    let is_blank = |text: &[u8]| text.trim_ascii().is_empty();
    let is_like = line.starts_with(head)
        && line.ends_with(tail)
        && line.len() > head.len() + tail.len()
        && !(is_blank(head) && is_blank(tail));
    is_like.then(|| vec![&line[..head.len()], &line[line.len() - tail.len()..]])
}

/// A range of lines, as `diff -u` writes it: numbers begin at 1, and an empty range is that behind a line.
fn range(lines: &Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => (lines.start + 1).to_string(),
        count => format!("{},{count}", lines.start + 1),
    }
}

struct Out {
    bytes: Vec<u8>,
    look: Look,
}

impl Out {
    fn line(&mut self, color: &str, line: &[u8]) {
        if self.look.color {
            self.bytes.extend_from_slice(color.as_bytes());
            self.escaped(line);
            self.bytes.extend_from_slice(PLAIN.as_bytes());
        } else {
            self.bytes.extend_from_slice(line);
        }
        self.bytes.push(b'\n');
    }

    /// A line of the file, between whose parts there are secrets.
    fn text(&mut self, sign: char, text: &Text<'_>, nth: usize, parts: &[&[u8]]) {
        let mut line = vec![sign as u8];
        line.extend_from_slice(&parts.join(MASK.as_bytes()));
        let color = match sign {
            '-' => RED,
            '+' => GREEN,
            _ => "",
        };
        self.line(color, &line);
        if !text.lines[nth].ends_with(b"\n") {
            self.line("", b"\\ No newline at end of file");
        }
    }

    /// Adds a text without the characters that a terminal obeys.
    fn escaped(&mut self, text: &[u8]) {
        for chunk in text.utf8_chunks() {
            let mut shown = String::new();
            for c in chunk.valid().chars() {
                match c {
                    '\t' => shown.push(c),
                    c if c.is_control() => {
                        let _ = write!(shown, "{}", c.escape_default());
                    }
                    c => shown.push(c),
                }
            }
            self.bytes.extend_from_slice(shown.as_bytes());
            let _ = write!(self.bytes, "{}", chunk.invalid().escape_ascii());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use deploy::Target;
    use store::{Coverage, Key, Prefix, Scope, Snapshot, View};

    use super::*;
    use crate::Patterns;

    const LOOK: Look = Look { context: 3, color: false };

    fn proposal(before: Option<&str>, after: Option<&str>) -> Proposal {
        let state = |content: &str| FileState {
            content: Bytes::copy_from_slice(content.as_bytes()),
            mode: 0o644,
            uid: 0,
            gid: 0,
        };
        let target = Arc::new(Target::new("/etc/app"));
        Proposal { target, before: before.map(state), after: after.map(state), is_change: true }
    }

    fn diff(before: Option<&str>, after: Option<&str>, context: usize) -> String {
        let look = Look { context, ..LOOK };
        let diff = unified(&proposal(before, after), &Secrets::default(), look);
        String::from_utf8(diff).unwrap()
    }

    fn masked(before: &str, after: &str, password: &'static str) -> String {
        let pairs = [("/db/password", password), ("/db/user", "root")];
        let snapshot = Snapshot::from_pairs(Coverage::Subtree, pairs);
        let scope = Scope::from_iter([Key::root()]);
        let view = View::new(snapshot, &scope, &Prefix::default());
        let secrets = Secrets::of(&Patterns::new([]), &view);
        let diff = unified(&proposal(Some(before), Some(after)), &secrets, LOOK);
        String::from_utf8(diff).unwrap().lines().skip(2).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn a_hunk_has_context_before_and_after_its_change() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let new = old.replace('5', "five");
        let head = "--- /etc/app\n+++ /etc/app (new)\n";
        let hunk = "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n";
        assert_eq!(diff(Some(old), Some(&new), 3), format!("{head}{hunk}"));
        assert_eq!(diff(Some(old), Some(&new), 0), format!("{head}@@ -5 +5 @@\n-5\n+five\n"));
        assert_eq!(diff(Some(old), Some(old), 3), "");
    }

    #[test]
    fn a_file_that_comes_or_goes_has_nothing_on_the_other_side() {
        let come = "--- /dev/null\n+++ /etc/app (new)\n@@ -0,0 +1,2 @@\n+a\n+b\n";
        assert_eq!(diff(None, Some("a\nb\n"), 3), come);
        let gone = "--- /etc/app\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n";
        assert_eq!(diff(Some("a\n"), None, 3), gone);
        assert_eq!(diff(None, Some(""), 3), "--- /dev/null\n+++ /etc/app (new)\n");
    }

    #[test]
    fn a_missing_line_break_at_the_end_is_shown() {
        let shown = diff(Some("a\n"), Some("a"), 3);
        assert!(shown.ends_with("@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n"), "{shown}");
    }

    #[test]
    fn another_mode_and_bytes_that_are_no_text_are_said() {
        let mut it = proposal(Some("a"), Some("a"));
        it.after.as_mut().unwrap().mode = 0o600;
        let shown = unified(&it, &Secrets::default(), LOOK);
        assert_eq!(shown, b"/etc/app: mode 0644 becomes 0600\n");
        let shown = diff(Some("a\0"), Some("b"), 3);
        assert_eq!(shown, "Binary files /etc/app and /etc/app (new) differ\n");
    }

    #[test]
    fn colours_end_with_their_line_and_control_characters_are_escaped() {
        let look = Look { color: true, ..LOOK };
        let shown = unified(&proposal(None, Some("\x1b[2J\n")), &Secrets::default(), look);
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.ends_with("\x1b[32m+\\u{1b}[2J\x1b[0m\n"), "{shown:?}");
    }

    #[test]
    fn the_values_of_secrets_are_masked_on_both_sides() {
        let shown =
            masked("user=root\npass='old-one'\n", "user=root\npass='hunter22'\n", "hunter22");
        assert_eq!(shown, "@@ -1,2 +1,2 @@\n user=root\n-pass='••••'\n+pass='••••'\n");
        let shown = masked("port=1\np=hunter22\n", "port=2\np=hunter22!\n", "hunter22");
        assert_eq!(shown, "@@ -1,2 +1,2 @@\n-port=1\n-p=••••\n+port=2\n+p=••••!\n");
        // An old line of another form is hidden as a whole.
        let shown = masked("x old-one\n", "pass=hunter22\n", "hunter22");
        assert_eq!(shown, "@@ -1 +1 @@\n-••••\n+pass=••••\n");
        let shown = masked("-\n", "k=-BEGIN\nAAAA\nEND-\n-\n", "-BEGIN\nAAAA\nEND-");
        assert_eq!(shown, "@@ -1 +1,4 @@\n+k=••••\n+••••\n+••••\n -\n");
        let shown = masked("port=1\n", "port=12\n", "12");
        assert_eq!(shown, "@@ -1 +1 @@\n-••••\n+••••\n");
    }
}
