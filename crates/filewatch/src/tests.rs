//! Follows sets of paths through changes of every kind. What a caller reads after a report is
//! tested by the callers.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::time::Instant;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

/// The longest time a test waits for a report that must come.
const DEADLINE: Duration = Duration::from_secs(20);

/// The time a test waits for a report that must not come; a wrong report would come within this
/// time.
const LONG_ENOUGH: Duration = Duration::from_millis(400);

/// A folder, and paths in it that are followed.
struct Tree {
    folder: TempDir,
    watch: FileWatch,
}

impl Tree {
    fn new() -> Self {
        Tree { folder: tempfile::tempdir().unwrap(), watch: FileWatch::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), name).unwrap();
    }

    /// Follows these paths. A name with `/*` stands for the folder and everything below it.
    fn set(&mut self, names: &[&str]) {
        let interests = names.iter().map(|name| match name.strip_suffix("/*") {
            Some(folder) => Interest::tree(self.folder.path().join(folder), b"*.toml"),
            None => Interest::path(self.folder.path().join(name)),
        });
        let interests: Vec<_> = interests.collect();
        self.watch.set_interest(interests);
    }

    /// Expects reports of exactly these paths, in one report or several.
    async fn reports(&mut self, names: &[&str]) {
        let expected: HashSet<_> = names.iter().map(|name| self.path(name)).collect();
        let mut missing = expected.clone();
        while !missing.is_empty() {
            let report = timeout(DEADLINE, self.watch.changed()).await.expect("a report").unwrap();
            for path in report {
                assert!(expected.contains(&path), "{}", path.display());
                missing.remove(&path);
            }
        }
    }

    async fn reports_nothing(&mut self) {
        if let Ok(report) = timeout(LONG_ENOUGH, self.watch.changed()).await {
            panic!("{report:?}");
        }
    }

    /// The number of watched folders.
    fn watches(&self) -> usize {
        let inotify = self.watch.signals.inotify();
        let info = format!("/proc/self/fdinfo/{}", inotify.as_raw_fd());
        let info = fs::read_to_string(info).unwrap();
        info.lines().filter(|line| line.starts_with("inotify ")).count()
    }
}

#[tokio::test]
async fn a_path_is_reported_when_it_is_followed_and_when_it_may_have_changed() {
    let mut tree = Tree::new();
    tree.write("a");
    tree.set(&["a", "b"]);
    tree.reports(&["a", "b"]).await;
    tree.reports_nothing().await;
    tree.write("a");
    tree.reports(&["a"]).await;
    tree.write("b");
    tree.reports(&["b"]).await;
    fs::rename(tree.path("a"), tree.path("b")).unwrap();
    tree.reports(&["a", "b"]).await;
    tree.write("neighbour");
    tree.reports_nothing().await;
}

#[tokio::test]
async fn the_set_can_change_while_it_is_followed() {
    let mut tree = Tree::new();
    for name in ["x/a", "x/b", "y/c"] {
        tree.write(name);
    }
    tree.set(&["x/a", "x/b"]);
    tree.reports(&["x/a", "x/b"]).await;
    let before = tree.watches();
    // A file is written while the set changes.
    tree.write("x/b");
    tree.set(&["x/b", "y/c"]);
    tree.reports(&["x/b", "y/c"]).await;
    assert_eq!(tree.watches(), before + 1);
    tree.write("x/a");
    tree.reports_nothing().await;
    tree.write("y/c");
    tree.reports(&["y/c"]).await;
    tree.set(&[]);
    tree.reports_nothing().await;
    assert_eq!(tree.watches(), 0);
    tree.set(&["x/a"]);
    tree.reports(&["x/a"]).await;
}

#[tokio::test]
async fn every_link_and_every_missing_step_is_followed() {
    let mut tree = Tree::new();
    tree.write("blue/a");
    tree.write("green/a");
    symlink("blue", tree.path("live")).unwrap();
    symlink("live/a", tree.path("link")).unwrap();
    tree.set(&["link", "not/yet/there"]);
    tree.reports(&["link", "not/yet/there"]).await;
    tree.write("blue/a");
    tree.reports(&["link"]).await;
    symlink("green", tree.path("next")).unwrap();
    fs::rename(tree.path("next"), tree.path("live")).unwrap();
    tree.reports(&["link"]).await;
    tree.write("green/a");
    tree.reports(&["link"]).await;
    tree.write("blue/a");
    tree.reports_nothing().await;
    tree.write("not/yet/there");
    tree.reports(&["not/yet/there"]).await;
    fs::remove_dir_all(tree.path("not")).unwrap();
    tree.reports(&["not/yet/there"]).await;
    tree.write("not/yet/there");
    tree.reports(&["not/yet/there"]).await;
    tree.reports_nothing().await;
    tree.write("not/yet/there");
    tree.reports(&["not/yet/there"]).await;
}

#[tokio::test]
async fn a_tree_is_followed_as_far_as_its_filter_says() {
    let mut tree = Tree::new();
    tree.write("conf.d/a.toml");
    tree.set(&["conf.d/*"]);
    tree.reports(&["conf.d"]).await;
    tree.write("conf.d/a.txt");
    tree.reports_nothing().await;
    for name in ["conf.d/b.toml", "conf.d/x/y/c.toml", "conf.d/x/y/c.toml", "conf.d/a.toml"] {
        tree.write(name);
        tree.reports(&["conf.d"]).await;
        tree.reports_nothing().await;
    }
    tree.write("elsewhere/d");
    symlink("../elsewhere/d", tree.path("conf.d/d.toml")).unwrap();
    tree.reports(&["conf.d"]).await;
    tree.reports_nothing().await;
    tree.write("elsewhere/d");
    tree.reports(&["conf.d"]).await;
}

#[tokio::test]
async fn one_path_may_be_followed_in_two_ways() {
    let mut tree = Tree::new();
    tree.write("x/a.toml");
    tree.set(&["x/*", "x", "x/a.toml"]);
    tree.reports(&["x", "x/a.toml"]).await;
    tree.write("x/a.toml");
    tree.reports(&["x", "x/a.toml"]).await;
    tree.set(&["x"]);
    tree.write("x/a.toml");
    tree.reports_nothing().await;
}

#[tokio::test]
async fn watches_end_with_their_folders() {
    let mut tree = Tree::new();
    tree.write("x/a.toml");
    tree.set(&["x/*", "late/b"]);
    tree.reports(&["x", "late/b"]).await;
    tree.write("late/b");
    tree.reports(&["late/b"]).await;
    tree.reports_nothing().await;
    let before = tree.watches();
    for round in 1..=3 {
        for folder in 0..20 {
            fs::create_dir_all(tree.path(&format!("x/{round}/{folder}"))).unwrap();
        }
        tree.reports(&["x"]).await;
        tree.reports_nothing().await;
        assert_eq!(tree.watches(), before + 21);
        // Files that are moved away still exist, but do not count any more.
        let elsewhere = tempfile::tempdir().unwrap();
        fs::rename(tree.path(&format!("x/{round}")), elsewhere.path().join("moved")).unwrap();
        tree.reports(&["x"]).await;
        tree.reports_nothing().await;
        assert_eq!(tree.watches(), before);
    }
}

#[tokio::test]
async fn a_burst_is_one_report() {
    let mut tree = Tree::new();
    tree.set(&["a", "b"]);
    tree.reports(&["a", "b"]).await;
    for _ in 0..200 {
        tree.write("a");
        tree.write("b");
    }
    let report = timeout(DEADLINE, tree.watch.changed()).await.unwrap().unwrap();
    assert_eq!(report, [tree.path("a"), tree.path("b")]);
    tree.reports_nothing().await;
}

#[tokio::test]
async fn a_future_that_is_dropped_loses_nothing() {
    let mut tree = Tree::new();
    tree.set(&["a", "b"]);
    tree.reports(&["a", "b"]).await;
    for round in 1..=60_u64 {
        let name = if round % 2 == 0 { "a" } else { "b" };
        tree.write(name);
        let mut seen = false;
        let start = Instant::now();
        while !seen {
            assert!(start.elapsed() < DEADLINE);
            let patience = Duration::from_micros(round * 300);
            if let Ok(report) = timeout(patience, tree.watch.changed()).await {
                assert_eq!(report.unwrap(), [tree.path(name)]);
                seen = true;
            }
        }
    }
}

#[tokio::test]
async fn events_that_the_kernel_drops_are_a_report_of_every_path() {
    let mut tree = Tree::new();
    tree.set(&["a", "b"]);
    tree.reports(&["a", "b"]).await;
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    // Files that are not followed fill the queue of events, so that the last event does not fit
    // into it.
    for number in 0..=limit.trim().parse::<u64>().unwrap() / 2 {
        let name = tree.path(if number % 2 == 0 { "one" } else { "two" });
        fs::File::create(&name).unwrap();
        fs::remove_file(&name).unwrap();
    }
    tree.write("b");
    tree.reports(&["a", "b"]).await;
}

#[tokio::test]
async fn thousands_of_paths_need_the_watches_of_their_folders_only() {
    let mut tree = Tree::new();
    fs::create_dir(tree.path("x")).unwrap();
    let names: Vec<_> = (0..10_000).map(|number| format!("x/{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    tree.set(&names[..9_999]);
    tree.reports(&names[..9_999]).await;
    assert!(tree.watches() < 20);
    // One more path costs one more watch; all others stay as they are.
    tree.set(&names);
    tree.reports(&names[9_999..]).await;
    tree.write("x/7");
    tree.reports(&["x/7"]).await;
}

#[tokio::test]
async fn an_instance_that_refuses_says_so_and_the_paths_are_reported_once() {
    let mut tree = Tree::new();
    // A descriptor that can be waited for like an instance of inotify, but refuses every watch.
    let (reader, _writer) = io::pipe().unwrap();
    tree.watch = FileWatch::with_instance(reader.into()).unwrap();
    tree.set(&["a"]);
    let refused = timeout(DEADLINE, tree.watch.changed()).await.unwrap().unwrap_err();
    assert!(refused.to_string().starts_with("cannot watch /"), "{refused}");
    tree.reports(&["a"]).await;
    tree.reports_nothing().await;
}
