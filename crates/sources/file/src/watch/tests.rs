//! Changes of every kind, as people and programs make them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use store::Key;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use source::Source;

mod churn;
mod links;
mod trouble;

/// The longest time that a test waits for a state that must come.
const DEADLINE: Duration = Duration::from_secs(20);

/// The time that a test waits for a state that must not come. It includes a check.
const LONG_ENOUGH: Duration = Duration::from_millis(400);

/// A folder to be followed.
struct Tree(TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let tree = Tree(tempfile::tempdir().unwrap());
        for (name, text) in files {
            tree.write(name, text);
        }
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn link(&self, target: &str, name: &str) {
        symlink(target, self.path(name)).unwrap();
    }

    /// These files and folders, followed.
    fn followed(&self, names: &[&str]) -> Following {
        let paths: Vec<_> = names.iter().map(|name| self.path(name)).collect();
        followed(&paths, "*.yaml")
    }
}

fn followed(paths: &[PathBuf], filter: &str) -> Following {
    let source = File::new(paths.to_vec(), filter.as_bytes());
    Following::new(source, &Interest::from_iter([Scope::from_iter([Key::root()])]))
}

/// Returns the next state as its pairs and changed keys. There is no check without an event.
async fn next(watch: &mut Following) -> Result<(String, Vec<String>), Error> {
    if watch.given.is_some() || watch.complaint.is_some() {
        assert!(watch.events.is_some(), "there are no events");
        watch.timer = None;
    }
    let next = timeout(DEADLINE, watch.next()).await.expect("a state or an error");
    next.map(|update| {
        let keys = update.changed.unwrap_or_default();
        let keys = keys.iter().map(|key| String::from_utf8_lossy(key).into_owned());
        (text(update.answers[0].as_ref().unwrap()), keys.collect())
    })
}

fn text(snapshot: &Snapshot) -> String {
    let pairs = snapshot.iter().map(|(key, value)| {
        format!("{}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(value))
    });
    pairs.collect::<Vec<_>>().join(" ")
}

/// Expects these pairs next, with these keys changed.
async fn expect(watch: &mut Following, pairs: &str, changed: &[&str]) {
    assert_eq!(next(watch).await.unwrap(), (pairs.to_owned(), owned(changed)));
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// Expects no state.
async fn expect_nothing(watch: &mut Following) {
    if let Ok(next) = timeout(LONG_ENOUGH, watch.next()).await {
        panic!("given: {:?}", next.map(|update| text(update.answers[0].as_ref().unwrap())));
    }
}

#[tokio::test]
async fn the_first_state_comes_at_once_and_the_next_with_a_change() {
    let tree = Tree::new(&[("a.yaml", "a: 1\nb: 1\n")]);
    let mut watch = tree.followed(&["a.yaml"]);
    expect(&mut watch, "/a=1 /b=1", &[]).await;
    tree.write("a.yaml", "a: 2\nb: 1\n");
    expect(&mut watch, "/a=2 /b=1", &["/a"]).await;
}

#[tokio::test]
async fn what_happens_between_two_calls_is_in_the_next_state() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n"), ("b.yaml", "b: 1\n")]);
    let mut watch = tree.followed(&["."]);
    expect(&mut watch, "/a=1 /b=1", &[]).await;
    tree.write("a.yaml", "a: 2\n");
    tree.write("a.yaml", "a: 3\n");
    tree.remove("b.yaml");
    tree.write("c.yaml", "c: 1\n");
    expect(&mut watch, "/a=3 /c=1", &["/a", "/b", "/c"]).await;
}

#[tokio::test]
async fn a_file_renamed_over_another_is_a_change() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n")]);
    for followed in ["a.yaml", "."] {
        tree.write("a.yaml", "a: 1\n");
        let mut watch = tree.followed(&[followed]);
        expect(&mut watch, "/a=1", &[]).await;
        tree.write("new", "a: 2\n");
        tree.rename("new", "a.yaml");
        expect(&mut watch, "/a=2", &["/a"]).await;
    }
}

#[tokio::test]
async fn files_come_go_and_move_in_a_folder() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n")]);
    let mut watch = tree.followed(&["."]);
    expect(&mut watch, "/a=1", &[]).await;
    tree.write("b.yaml", "b: 1\n");
    expect(&mut watch, "/a=1 /b=1", &["/b"]).await;
    tree.remove("a.yaml");
    expect(&mut watch, "/b=1", &["/a"]).await;
    tree.rename("b.yaml", "b.txt");
    expect(&mut watch, "", &["/b"]).await;
    tree.rename("b.txt", "c.yaml");
    expect(&mut watch, "/b=1", &["/b"]).await;
}

#[tokio::test]
async fn files_in_folders_that_have_just_come_are_seen_and_followed() {
    let tree = Tree::new(&[]);
    let mut watch = tree.followed(&["."]);
    expect(&mut watch, "", &[]).await;
    tree.write("x/y/z/a.yaml", "a: 1\n");
    expect(&mut watch, "/a=1", &["/a"]).await;
    tree.write("x/y/z/a.yaml", "a: 2\n");
    expect(&mut watch, "/a=2", &["/a"]).await;
    tree.write("x/y/b.yaml", "b: 1\n");
    expect(&mut watch, "/a=2 /b=1", &["/b"]).await;
}

#[tokio::test]
async fn a_folder_that_is_removed_and_created_again_is_followed() {
    let tree = Tree::new(&[("x/a.yaml", "a: 1\n")]);
    let mut watches = [tree.followed(&["."]), tree.followed(&["x"]), tree.followed(&["x/a.yaml"])];
    for watch in &mut watches {
        expect(watch, "/a=1", &[]).await;
    }
    for value in ["2", "3"] {
        fs::remove_dir_all(tree.path("x")).unwrap();
        tree.write("x/a.yaml", &format!("a: {value}\n"));
        for watch in &mut watches {
            // Between the two there may have been a moment without the file or the path.
            let seen = loop {
                match next(watch).await {
                    Ok((pairs, _)) if !pairs.is_empty() => break pairs,
                    Ok(_) | Err(Error::File(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            };
            assert_eq!(seen, format!("/a={value}"));
        }
    }
}

#[tokio::test]
async fn a_folder_far_above_is_replaced_by_another() {
    let tree = Tree::new(&[("x/y/z/a.yaml", "a: 1\n"), ("new/y/z/a.yaml", "a: 2\n")]);
    let mut watch = tree.followed(&["x/y/z/a.yaml"]);
    expect(&mut watch, "/a=1", &[]).await;
    // The folders are exchanged atomically, so the path always exists.
    let (one, two) = (tree.path("x"), tree.path("new"));
    let here = rustix::fs::CWD;
    rustix::fs::renameat_with(here, &one, here, &two, rustix::fs::RenameFlags::EXCHANGE).unwrap();
    expect(&mut watch, "/a=2", &["/a"]).await;
    tree.write("x/y/z/a.yaml", "a: 3\n");
    expect(&mut watch, "/a=3", &["/a"]).await;
}

#[tokio::test]
async fn files_that_do_not_match_the_filter_give_no_state() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n")]);
    let mut watch = tree.followed(&["."]);
    expect(&mut watch, "/a=1", &[]).await;
    tree.write("b.json", "{\"b\": 1}");
    assert!(timeout(LONG_ENOUGH, watch.occasion()).await.is_err());
    tree.rename("b.json", "b.yaml");
    expect(&mut watch, "/a=1 /b=1", &["/b"]).await;
}

#[tokio::test]
async fn neighbours_of_a_file_give_no_state() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n")]);
    let mut watch = tree.followed(&["a.yaml"]);
    expect(&mut watch, "/a=1", &[]).await;
    tree.write("b.yaml", "b: 1\n");
    tree.write("x/y.yaml", "c: 1\n");
    assert!(timeout(LONG_ENOUGH, watch.occasion()).await.is_err());
}

#[tokio::test]
async fn a_change_that_changes_no_value_is_not_given() {
    let tree = Tree::new(&[("a.yaml", "a: 1\nb: 2\n"), ("b.yaml", "a: 1\n")]);
    let mut watch = tree.followed(&["."]);
    expect(&mut watch, "/a=1 /b=2", &[]).await;
    tree.write("a.yaml", "# In another order\nb: 2\na: 1\n");
    tree.remove("b.yaml");
    tree.write("c/empty.yaml", "");
    expect_nothing(&mut watch).await;
    tree.write("c/empty.yaml", "c: 3\n");
    expect(&mut watch, "/a=1 /b=2 /c=3", &["/c"]).await;
}

#[tokio::test]
async fn keys_that_no_scope_asks_for_give_no_state() {
    let tree = Tree::new(&[("a.yaml", "app: {x: 1}\nother: 1\n")]);
    let source = File::new([tree.path("a.yaml")], b"*");
    let scopes = ["/app", "/else"].map(|key| Scope::from_iter([Key::from(key)]));
    let mut watch = Following::new(source, &Interest::from_iter(scopes));
    expect(&mut watch, "/app/x=1 /other=1", &[]).await;
    tree.write("a.yaml", "app: {x: 1}\nother: 2\n");
    expect_nothing(&mut watch).await;
    tree.write("a.yaml", "app: {x: 2}\nother: 3\n");
    expect(&mut watch, "/app/x=2 /other=3", &["/app/x"]).await;
}

#[tokio::test]
async fn every_scope_gets_a_snapshot_and_none_asks_for_nothing() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n")]);
    let source = File::new([tree.path("a.yaml")], b"*");
    let scopes = [Scope::from_iter([Key::root()]), Scope::default()];
    let watch = source.watch(&Interest::from_iter(scopes)).await.unwrap();
    assert_eq!(watch.unwrap().next().await.unwrap().answers.len(), 2);

    let mut watch = Following::new(File::new([tree.path("nope")], b"*"), &Interest::default());
    assert!(watch.next().await.unwrap().answers.is_empty());
    expect_nothing(&mut watch).await;
}

#[tokio::test]
async fn a_file_that_is_being_written_is_read_when_it_is_closed() {
    let tree = Tree::new(&[("a.yaml", "a: 1\nb: 1\n")]);
    let mut watch = tree.followed(&["a.yaml"]);
    expect(&mut watch, "/a=1 /b=1", &[]).await;
    let writer = tokio::task::spawn_blocking({
        let path = tree.path("a.yaml");
        move || {
            let mut file = fs::File::create(path).unwrap();
            for line in ["a: 2\n", "b: 2\n"] {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the pause between two writes is what is tested"
                )]
                std::thread::sleep(filewatch::QUIET * 6);
                file.write_all(line.as_bytes()).unwrap();
            }
        }
    });
    expect(&mut watch, "/a=2 /b=2", &["/a", "/b"]).await;
    writer.await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_never_closed_is_read_all_the_same() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n")]);
    let mut watch = tree.followed(&["a.yaml"]);
    expect(&mut watch, "/a=1", &[]).await;
    let mut file = fs::File::options().append(true).open(tree.path("a.yaml")).unwrap();
    file.write_all(b"b: 2\n").unwrap();
    expect(&mut watch, "/a=1 /b=2", &["/b"]).await;
    file.write_all(b"c: 3\n").unwrap();
    expect(&mut watch, "/a=1 /b=2 /c=3", &["/c"]).await;
}
