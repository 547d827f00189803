//! The book: the table of contents in `docs/SUMMARY.md`, and the README, which is its first page.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

use super::document;

const CONTENTS: &str = "docs/SUMMARY.md";

/// The documents below a folder of the repository, or only those in it.
fn pages(folder: &Path, below: bool) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let path = folder.join(entry.unwrap().file_name());
        if root.join(&path).is_dir() {
            pages.extend(below.then(|| self::pages(&path, below)).into_iter().flatten());
        } else if path.extension().is_some_and(|end| end == "md") {
            pages.push(path);
        }
    }
    pages
}

/// The path to which a link leads from `docs`.
fn from_docs(link: &str) -> PathBuf {
    let mut path = PathBuf::from("docs");
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => _ = path.pop(),
            part => path.push(part),
        }
    }
    path
}

#[test]
fn the_readme_fits_on_two_screens() {
    let lines = document("README.md").lines().count();
    assert!(lines <= 100, "README.md has {lines} lines");
}

#[test]
fn the_table_of_contents_has_each_page_once() {
    let contents = document(CONTENTS);
    let links = contents.lines().filter_map(|line| line.split_once("](")?.1.strip_suffix(')'));
    let links: Vec<_> = links.map(from_docs).collect();
    let shown: BTreeSet<_> = links.iter().cloned().collect();
    let all = [("", false), ("docs", true), ("examples", true)];
    let mut all: BTreeSet<_> =
        all.iter().flat_map(|(folder, below)| pages(Path::new(folder), *below)).collect();
    all.remove(Path::new(CONTENTS));
    assert_eq!(shown, all);
    assert_eq!(links.len(), shown.len(), "{links:?}");
}
