//! Files that cannot be read, and systems without events.

use std::io;

use super::*;

#[tokio::test]
async fn a_missing_path_is_an_error_until_it_comes() {
    let tree = Tree::new(&[]);
    let mut watch = tree.followed(&["x/y/a.yaml"]);
    let error = next(&mut watch).await.unwrap_err();
    let path = tree.path("x/y/a.yaml");
    assert_eq!(error.to_string(), format!("stat {}: no such file or directory", path.display()));
    assert!(error.is_transient());
    tree.write("x/y/a.yaml", "a: 1\n");
    let (pairs, changed) = loop {
        // The folder may be seen before the file in it.
        if let Ok(next) = next(&mut watch).await {
            break next;
        }
    };
    assert_eq!((pairs.as_str(), changed), ("/a=1", vec![]));
}

#[tokio::test]
async fn a_folder_that_comes_step_by_step_is_followed_at_each() {
    let tree = Tree::new(&[]);
    let mut watch = tree.followed(&["x/y"]);
    for folder in ["x", "x/y"] {
        assert!(next(&mut watch).await.is_err());
        fs::create_dir(tree.path(folder)).unwrap();
    }
    expect(&mut watch, "", &[]).await;
    tree.write("x/y/a.yaml", "a: 1\n");
    expect(&mut watch, "/a=1", &["/a"]).await;
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_one_error_and_keeps_the_last_state() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n"), ("b.yaml", "b: 1\n")]);
    let mut watch = tree.followed(&["."]);
    expect(&mut watch, "/a=1 /b=1", &[]).await;
    tree.write("b.yaml", "b: [\n");
    let error = next(&mut watch).await.unwrap_err();
    assert!(matches!(error, Error::Document { .. }), "{error}");
    // When asked again at once, it waits for an event.
    expect_nothing(&mut watch).await;
    assert_eq!(watch.timer, None);
    // Other changes in the meantime are not lost.
    tree.write("a.yaml", "a: 2\n");
    assert!(next(&mut watch).await.is_err());
    tree.write("b.yaml", "b: 1\n");
    expect(&mut watch, "/a=2 /b=1", &["/a"]).await;
}

#[tokio::test]
async fn a_document_repaired_to_its_old_content_gives_no_state() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n")]);
    let mut watch = tree.followed(&["a.yaml"]);
    expect(&mut watch, "/a=1", &[]).await;
    tree.write("a.yaml", "a: [\n");
    assert!(next(&mut watch).await.is_err());
    tree.write("a.yaml", "a: 1\n");
    expect_nothing(&mut watch).await;
    tree.write("a.yaml", "a: 2\n");
    expect(&mut watch, "/a=2", &["/a"]).await;
}

#[tokio::test]
async fn the_same_error_at_the_next_check_is_not_reported_again() {
    let tree = Tree::new(&[]);
    let mut watch = tree.followed(&["a.yaml"]);
    assert!(next(&mut watch).await.is_err());
    assert!(watch.timer.is_some(), "a mount would come without an event");
    watch.timer = Some(Instant::now());
    expect_nothing(&mut watch).await;
    assert!(watch.timer.unwrap() > Instant::now(), "it has looked");

    watch.events = None;
    tree.write("a.yaml", "a: [\n");
    let error = timeout(DEADLINE, watch.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Document { .. }), "{error}");
}

#[tokio::test]
async fn a_filter_that_cannot_be_read_is_an_error() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n")]);
    let mut watch = followed(&[tree.0.path().to_owned()], "[");
    assert_eq!(next(&mut watch).await.unwrap_err().to_string(), "syntax error in pattern");
}

#[tokio::test]
async fn without_inotify_files_are_polled() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n")]);
    let source = File::new([tree.path("a.yaml")], b"*");
    // Inotify cannot wait for a file.
    let none = FileWatch::with_instance(fs::File::open("/etc/passwd").unwrap().into());
    assert!(none.is_err());
    let mut watch = Following::with_events(
        source,
        &Interest::from_iter([Scope::from_iter([Key::root()])]),
        none,
    );
    for value in ["1", "2", "3"] {
        tree.write("a.yaml", &format!("a: {value}\n"));
        let update = timeout(DEADLINE, watch.next()).await.unwrap().unwrap();
        assert_eq!(text(update.answers[0].as_ref().unwrap()), format!("/a={value}"));
    }
}

#[tokio::test]
async fn where_no_folder_can_be_watched_files_are_polled() {
    let tree = Tree::new(&[("x/a.yaml", "a: 1\n")]);
    let source = File::new([tree.path("x")], b"*");
    // A pipe can be waited for like an instance of inotify, but refuses every watch.
    let (reader, _writer) = io::pipe().unwrap();
    let events = Ok(FileWatch::with_instance(reader.into()).unwrap());
    let mut watch = Following::with_events(
        source,
        &Interest::from_iter([Scope::from_iter([Key::root()])]),
        events,
    );
    for value in ["1", "2"] {
        tree.write("x/a.yaml", &format!("a: {value}\n"));
        let update = timeout(DEADLINE, watch.next()).await.unwrap().unwrap();
        assert_eq!(text(update.answers[0].as_ref().unwrap()), format!("/a={value}"));
        assert!(watch.events.is_none());
    }
}
