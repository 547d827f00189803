//! Failures that repeat: which of their lines are written.
//!
//! A resource that fails every minute for days would fill the log with the same lines, and hide the others.
//! So the first failures are written in full, then one line after each pause with a count, and one more when
//! the resource works again. The lines of a pass are kept until it is known how the pass ends, so that
//! nothing is lost if it ends in another way.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

/// How many failures with the same text are written in full.
const IN_FULL: u64 = 5;
/// The time after which a failure that repeats is written again.
const PAUSE: Duration = Duration::from_secs(600);
/// The most lines of a pass that are kept.
const LINES: usize = 100;

/// The failures of each resource in a row, by its name. `L` is a line.
pub(crate) struct Repeats<L>(HashMap<String, Streak<L>>);

struct Streak<L> {
    begun: Instant,
    failures: u64,
    /// The text of the last failure, and how often it came in a row.
    text: String,
    same: u64,
    /// When a failure was written the last time, and how many were not written since.
    written: Instant,
    unwritten: u64,
    /// Whether a line was left out in this streak.
    is_shortened: bool,
    /// The lines of the running pass.
    kept: Vec<L>,
}

/// What is written of a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// All of it.
    Whole,
    /// One line that says how often it came, and in which time.
    Counted(u64, Duration),
    /// Nothing.
    Nothing,
}

/// The end of a streak of which lines were left out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) failures: u64,
    pub(crate) took: Duration,
}

impl<L> Repeats<L> {
    pub(crate) fn new() -> Self {
        Repeats(HashMap::new())
    }

    /// Whether the lines of this resource are kept until its pass ends, because it has failed again and again.
    pub(crate) fn keeps(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|streak| streak.same >= IN_FULL && streak.kept.len() < LINES)
    }

    /// Keeps a line of a running pass.
    pub(crate) fn keep(&mut self, name: &str, line: L) {
        if let Some(streak) = self.0.get_mut(name) {
            streak.kept.push(line);
        }
    }

    /// Counts a failure. Returns what is written of it, and the lines of its pass that are written before.
    pub(crate) fn failed(&mut self, name: &str, text: &str) -> (Written, Vec<L>) {
        let now = Instant::now();
        let streak = self.0.entry(name.to_owned()).or_insert_with(|| Streak {
            begun: now,
            failures: 0,
            text: String::new(),
            same: 0,
            written: now,
            unwritten: 0,
            is_shortened: false,
            kept: Vec::new(),
        });
        let lines = std::mem::take(&mut streak.kept);
        streak.failures += 1;
        if streak.text != text {
            text.clone_into(&mut streak.text);
            streak.same = 0;
        }
        streak.same += 1;
        if streak.same <= IN_FULL {
            (streak.written, streak.unwritten) = (now, 0);
            return (Written::Whole, lines);
        }
        streak.unwritten += 1;
        let since = now - streak.written;
        if since < PAUSE {
            streak.is_shortened = true;
            return (Written::Nothing, Vec::new());
        }
        let times = streak.unwritten;
        (streak.written, streak.unwritten) = (now, 0);
        match times {
            1 => (Written::Whole, lines),
            times => (Written::Counted(times, since), Vec::new()),
        }
    }

    /// Something has changed, so that the next failures are written in full, also if they are the same.
    /// Returns the lines that were kept.
    pub(crate) fn news(&mut self, name: &str) -> Vec<L> {
        let Some(streak) = self.0.get_mut(name) else { return Vec::new() };
        streak.same = 0;
        std::mem::take(&mut streak.kept)
    }

    /// The resource works again. Returns the lines of its pass, and the end of the streak if lines were left
    /// out of it.
    pub(crate) fn succeeded(&mut self, name: &str) -> (Vec<L>, Option<Over>) {
        let Some(streak) = self.0.remove(name) else { return (Vec::new(), None) };
        let over = Over { failures: streak.failures, took: streak.begun.elapsed() };
        (streak.kept, streak.is_shortened.then_some(over))
    }

    /// Forgets the resources that are gone.
    pub(crate) fn keep_only(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| is_there(name));
    }
}

/// A time for people, in its two largest units: `1h2m`, `10m`, `45s`.
pub(crate) fn roughly(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let (mut left, mut text, mut count) = (seconds, String::new(), 0);
    for (size, unit) in units {
        let number = left / size;
        left %= size;
        if number > 0 && count < 2 {
            text += &format!("{number}{unit}");
        }
        count += usize::from(number > 0 || count > 0);
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn the_first_failures_are_written_and_then_one_line_with_a_count_every_ten_minutes() {
        let mut repeats: Repeats<&str> = Repeats::new();
        let mut written = Vec::new();
        for _ in 0..36 {
            written.push(repeats.failed("app", "bad").0);
            advance(MINUTE).await;
        }
        assert!(written[..5].iter().all(|one| *one == Written::Whole), "{written:?}");
        let later: Vec<_> = written[5..].iter().filter(|one| **one != Written::Nothing).collect();
        let counted = Written::Counted(10, 10 * MINUTE);
        assert_eq!(later, [&counted, &counted, &counted]);
        let over = Over { failures: 36, took: 36 * MINUTE };
        assert_eq!(repeats.succeeded("app"), (Vec::new(), Some(over)));
        assert_eq!(repeats.succeeded("app"), (Vec::new(), None));
    }

    #[tokio::test(start_paused = true)]
    async fn another_failure_and_news_are_written_in_full_with_the_lines_of_their_pass() {
        let mut repeats = Repeats::new();
        for _ in 0..6 {
            repeats.failed("app", "bad");
        }
        assert!(repeats.keeps("app") && !repeats.keeps("other"));
        repeats.keep("app", "line");
        assert_eq!(repeats.failed("app", "bad"), (Written::Nothing, Vec::new()));
        repeats.keep("app", "line");
        assert_eq!(repeats.failed("app", "other"), (Written::Whole, vec!["line"]));
        for _ in 0..6 {
            repeats.failed("app", "other");
        }
        repeats.keep("app", "line");
        assert_eq!(repeats.news("app"), ["line"]);
        assert!(!repeats.keeps("app"));
        assert_eq!(repeats.failed("app", "other"), (Written::Whole, Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_comes_less_often_than_the_pause_is_always_written() {
        let mut repeats: Repeats<&str> = Repeats::new();
        for _ in 0..9 {
            assert_eq!(repeats.failed("app", "bad").0, Written::Whole);
            advance(PAUSE).await;
        }
        assert_eq!(repeats.succeeded("app").1, None);
    }

    #[test]
    fn times_have_their_two_largest_units() {
        for (seconds, text) in
            [(0, "0s"), (45, "45s"), (600, "10m"), (3_725, "1h2m"), (3_605, "1h"), (90_061, "1d1h")]
        {
            assert_eq!(roughly(Duration::from_secs(seconds)), text);
        }
    }
}
