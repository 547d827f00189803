//! Variables that tell a command which files it runs for.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

/// The longest text of a variable, in bytes. Linux starts no program with a string of 128 KiB, and
/// with too much in all its strings; half of that leaves room for both.
const LONGEST: usize = 64 * 1024;

/// Variables of the environment of a command. The text of each has lines, such as one for each file
/// that the command runs for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(Vec<Variable>);

#[derive(Clone, Debug)]
struct Variable {
    name: &'static str,
    /// Shared by the members of a transaction, which have most variables in common.
    lines: Arc<Vec<OsString>>,
    /// All of the lines, once lines were merged: a set can have thousands of files.
    known: Option<HashSet<OsString>>,
}

impl PartialEq for Variable {
    fn eq(&self, other: &Self) -> bool {
        (self.name, &self.lines) == (other.name, &other.lines)
    }
}

impl Eq for Variable {}

impl Environment {
    /// Sets the lines of a variable. Without a line, its text is empty.
    #[must_use]
    pub fn with<L: Into<OsString>>(
        mut self,
        name: &'static str,
        lines: impl IntoIterator<Item = L>,
    ) -> Self {
        let lines = Arc::new(lines.into_iter().map(Into::into).collect());
        self.0.retain(|variable| variable.name != name);
        self.0.push(Variable { name, lines, known: None });
        self
    }

    /// Says which file the command is about: `src` has the content now, and `dest` is where it
    /// belongs.
    #[must_use]
    pub(crate) fn of_file(self, src: &Path, dest: &Path) -> Self {
        self.with("CONFD_SRC", [src]).with("CONFD_DEST", [dest])
    }

    /// Says which file the command is about, which is removed: it has no content.
    #[must_use]
    pub(crate) fn of_removed(self, dest: &Path) -> Self {
        self.with("CONFD_SRC", [""; 0]).with("CONFD_DEST", [dest])
    }

    /// Adds the lines of `other` that are not there yet.
    pub fn merge(&mut self, other: Environment) {
        for more in other.0 {
            match self.0.iter_mut().find(|variable| variable.name == more.name) {
                Some(Variable { lines, .. }) if Arc::ptr_eq(lines, &more.lines) => {}
                Some(Variable { lines, known, .. }) => {
                    let known = known.get_or_insert_with(|| lines.iter().cloned().collect());
                    let new = more.lines.iter().filter(|line| known.insert(OsString::clone(line)));
                    Arc::make_mut(lines).extend(new.cloned());
                }
                None => self.0.push(more),
            }
        }
    }

    /// The variables with their texts. If a text would be too long, its last lines are left out, and
    /// a variable with `_LEFT_OUT` behind the name has their number.
    pub fn variables(&self) -> impl Iterator<Item = (OsString, OsString)> {
        self.0.iter().flat_map(|Variable { name, lines, .. }| {
            let (text, left_out) = joined(lines);
            let left_out = (left_out > 0)
                .then(|| (format!("{name}_LEFT_OUT").into(), left_out.to_string().into()));
            [(OsString::from(*name), text)].into_iter().chain(left_out)
        })
    }
}

/// The lines with line breaks between them, and the number of those that are left out.
fn joined(lines: &[OsString]) -> (OsString, usize) {
    let mut text = Vec::new();
    for (nth, line) in lines.iter().enumerate() {
        if text.len() + 1 + line.len() > LONGEST {
            return (OsString::from_vec(text), lines.len() - nth);
        }
        if nth > 0 {
            text.push(b'\n');
        }
        text.extend_from_slice(line.as_bytes());
    }
    (OsString::from_vec(text), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(environment: &Environment) -> Vec<(String, String)> {
        let text = |text: OsString| text.into_string().expect("text");
        environment.variables().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn a_merge_has_each_line_once_in_the_order_of_the_first() {
        let mut one = Environment::default().with("KEYS", ["/a", "/b"]);
        one.merge(Environment::default().with("KEYS", ["/b", "/c"]).with("FILE", ["f"]));
        let expected = [("KEYS", "/a\n/b\n/c"), ("FILE", "f")];
        assert_eq!(texts(&one), expected.map(|(name, text)| (name.into(), text.into())));
    }

    #[test]
    fn a_text_that_is_too_long_ends_with_a_whole_line_and_the_rest_is_counted() {
        let lines: Vec<_> = (0..20_000).map(|nth| format!("/key/{nth:05}")).collect();
        let texts = texts(&Environment::default().with("KEYS", &lines));
        let [(_, keys), (name, left_out)] = &texts[..] else { panic!("{}", texts.len()) };
        assert!(keys.len() <= LONGEST && lines[0].len() + keys.len() + 1 > LONGEST);
        let kept = keys.lines().count();
        assert!(keys.lines().all(|line| line.len() == lines[0].len()));
        assert_eq!((name.as_str(), left_out), ("KEYS_LEFT_OUT", &(20_000 - kept).to_string()));
    }
}
