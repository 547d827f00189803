//! Files that are reached through links, and the volumes of a kubelet.

use super::*;

#[tokio::test]
async fn a_link_to_a_file_elsewhere_is_followed_and_may_be_redirected() {
    let tree = Tree::new(&[("real/a.yaml", "a: 1\n"), ("other/b.yaml", "a: 2\n")]);
    tree.link("real/a.yaml", "link.yaml");
    fs::create_dir(tree.path("folder")).unwrap();
    tree.link("../real/a.yaml", "folder/link.yaml");
    for (followed, name) in [("link.yaml", "link.yaml"), ("folder", "folder/link.yaml")] {
        tree.write("real/a.yaml", "a: 1\n");
        let mut watch = tree.followed(&[followed]);
        expect(&mut watch, "/a=1", &[]).await;
        tree.write("real/a.yaml", "a: 5\n");
        expect(&mut watch, "/a=5", &["/a"]).await;
        symlink(tree.path("other/b.yaml"), tree.path("turned")).unwrap();
        tree.rename("turned", name);
        expect(&mut watch, "/a=2", &["/a"]).await;
        tree.write("other/b.yaml", "a: 3\n");
        expect(&mut watch, "/a=3", &["/a"]).await;
        tree.write("other/b.yaml", "a: 2\n");
        expect(&mut watch, "/a=2", &["/a"]).await;
    }
}

#[tokio::test]
async fn links_may_lead_to_links_and_up_again() {
    let tree = Tree::new(&[("x/y/a.yaml", "a: 1\n"), ("x/z/a.yaml", "a: 2\n")]);
    tree.link("y", "x/current");
    fs::create_dir(tree.path("w")).unwrap();
    tree.link("../x/./current/../current/a.yaml", "w/a.yaml");
    let mut watch = followed(&[tree.path("w/../w/a.yaml")], "*");
    expect(&mut watch, "/a=1", &[]).await;
    tree.link("z", "x/new");
    tree.rename("x/new", "x/current");
    expect(&mut watch, "/a=2", &["/a"]).await;
    tree.write("x/z/a.yaml", "a: 3\n");
    expect(&mut watch, "/a=3", &["/a"]).await;
}

#[tokio::test]
async fn a_folder_given_as_a_link_may_be_redirected() {
    let tree = Tree::new(&[("blue/a.yaml", "a: 1\n"), ("green/deep/a.yaml", "a: 2\n")]);
    tree.link("blue", "live");
    let mut watch = tree.followed(&["live"]);
    expect(&mut watch, "/a=1", &[]).await;
    tree.write("blue/deep/b.yaml", "b: 1\n");
    expect(&mut watch, "/a=1 /b=1", &["/b"]).await;
    tree.link("green", "next");
    tree.rename("next", "live");
    expect(&mut watch, "/a=2", &["/a", "/b"]).await;
    tree.write("green/deep/a.yaml", "a: 3\n");
    expect(&mut watch, "/a=3", &["/a"]).await;
    // The old folder has no effect any more.
    tree.write("blue/a.yaml", "a: 9\n");
    assert!(timeout(LONG_ENOUGH, watch.occasion()).await.is_err());
}

#[tokio::test]
async fn a_link_to_nothing_is_an_error_until_its_target_comes() {
    let tree = Tree::new(&[("x/a.yaml", "a: 1\n")]);
    tree.link("../y/deep/b.yaml", "x/b.yaml");
    let mut watch = tree.followed(&["x"]);
    let error = next(&mut watch).await.unwrap_err();
    let link = tree.path("x/b.yaml");
    assert_eq!(error.to_string(), format!("stat {}: no such file or directory", link.display()));
    tree.write("y/deep/b.yaml", "b: 1\n");
    expect(&mut watch, "/a=1 /b=1", &[]).await;
}

#[tokio::test]
async fn links_in_a_circle_are_an_error_until_one_is_redirected() {
    let tree = Tree::new(&[("a.yaml", "a: 1\n")]);
    tree.link("two", "one");
    tree.link("one", "two");
    let mut watch = tree.followed(&["one"]);
    assert!(next(&mut watch).await.is_err());
    tree.link("a.yaml", "new");
    tree.rename("new", "two");
    expect(&mut watch, "/a=1", &[]).await;
}

/// Publishes a version of a volume step by step, as a kubelet does. `files` are all files of the
/// version.
fn publish(tree: &Tree, version: &str, files: &[(&str, &str)]) {
    let before = fs::read_link(tree.path("..data"));
    for (name, text) in files {
        tree.write(&format!("{version}/{name}"), text);
    }
    tree.link(version, "..data_tmp");
    tree.rename("..data_tmp", "..data");
    for (name, _) in files {
        if fs::symlink_metadata(tree.path(name)).is_err() {
            tree.link(&format!("..data/{name}"), name);
        }
    }
    for entry in fs::read_dir(tree.0.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.starts_with("..") && !files.iter().any(|(kept, _)| *kept == name) {
            tree.remove(&name);
        }
    }
    if let Ok(before) = before {
        fs::remove_dir_all(tree.0.path().join(before)).unwrap();
    }
}

#[tokio::test]
async fn a_mounted_config_map_is_followed_from_version_to_version() {
    let volume = Tree::new(&[]);
    publish(&volume, "..2026_11_21_1", &[("a.yaml", "a: 1\n"), ("b.yaml", "b: 1\n")]);
    let mut folder = volume.followed(&["."]);
    let mut file = volume.followed(&["a.yaml"]);
    expect(&mut folder, "/a=1 /b=1", &[]).await;
    expect(&mut file, "/a=1", &[]).await;
    publish(&volume, "..2026_11_21_2", &[("a.yaml", "a: 2\n"), ("b.yaml", "b: 1\n")]);
    expect(&mut folder, "/a=2 /b=1", &["/a"]).await;
    expect(&mut file, "/a=2", &["/a"]).await;
    publish(&volume, "..2026_11_21_3", &[("a.yaml", "a: 3\n"), ("c.yaml", "c: 1\n")]);
    expect(&mut folder, "/a=3 /c=1", &["/a", "/b", "/c"]).await;
    expect(&mut file, "/a=3", &["/a"]).await;
}
