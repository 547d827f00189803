use std::collections::BTreeMap;

use super::*;
use crate::Coverage;

fn snapshot(coverage: Coverage, keys: &[&str]) -> Snapshot {
    Snapshot::from_pairs(coverage, keys.iter().map(|key| (key.to_string(), format!("v{key}"))))
}

fn scope(prefix: &Prefix, keys: &[&str]) -> Scope {
    keys.iter().map(|key| prefix.join(key.as_bytes())).collect()
}

/// The view of a resource with `prefix` and `asked`, over a store with `keys`.
fn view(coverage: Coverage, prefix: &str, asked: &[&str], keys: &[&str]) -> View {
    let prefix = Prefix::new(prefix.as_bytes());
    View::new(snapshot(coverage, keys), &scope(&prefix, asked), &prefix)
}

fn keys(view: &View) -> Vec<String> {
    view.iter().map(|pair| pair.key.to_string()).collect()
}

fn text(names: &[Bytes]) -> String {
    let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
    names.join(" ")
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text.as_bytes()).unwrap()
}

const EXAMPLE: [&str; 4] = ["/a", "/app/a", "/app/b/c", "/apple"];

#[test]
fn ls_lists_as_confd_does() {
    let plain = view(Coverage::Text, "", &["/"], &EXAMPLE);
    let with_own_key = view(Coverage::Text, "", &["/"], &["/a", "/app", "/app/a", "/app/b/c"]);
    for (view, folder, expected) in [
        (&plain, "/app", "a b"),
        (&plain, "/app/", "a b"),
        (&plain, "/app/a", "a"),
        (&with_own_key, "/app", "a app b"),
        (&with_own_key, "/app/", "a b"),
        (&plain, "/", "a apple"),
        (&plain, "", ""),
        (&plain, "app", ""),
        (&plain, "/ap", ""),
        (&plain, "/app/*", ""),
        (&plain, "//app", "app"),
    ] {
        assert_eq!(text(&view.ls(folder.as_bytes())), expected, "ls {folder:?}");
    }
}

#[test]
fn lsdir_lists_as_confd_does() {
    let view = view(Coverage::Text, "", &["/"], &EXAMPLE);
    for (folder, expected) in
        [("/app", "b"), ("/app/", "b"), ("/", ""), ("", ""), ("//app", ""), ("/app//", "")]
    {
        assert_eq!(text(&view.lsdir(folder.as_bytes())), expected, "lsdir {folder:?}");
    }
}

#[test]
fn a_key_is_looked_up_literally() {
    let view = view(Coverage::Subtree, "", &["/"], &EXAMPLE);
    assert_eq!(view.get(b"/app/a").unwrap(), "v/app/a");
    for key in ["/app/a/", "app/a", "/app//a", "/app", "/", "", "/app/./a"] {
        let error = view.get(key.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), format!("key does not exist: {key}"));
        assert!(!view.exists(key.as_bytes()));
    }
}

#[test]
fn gets_are_sorted_by_key_and_getvs_by_value() {
    let pairs = [("/app/x", "9"), ("/app/a", "alpha"), ("/app/y", "10"), ("/app/b", "10")];
    let snapshot = Snapshot::from_pairs(Coverage::Subtree, pairs);
    let view = View::new(snapshot, &scope(&Prefix::default(), &["/app"]), &Prefix::default());
    let found: Vec<String> =
        view.gets(&pattern("/app/*")).map(|pair| pair.key.to_string()).collect();
    assert_eq!(found, ["/app/a", "/app/b", "/app/x", "/app/y"]);
    assert_eq!(text(&view.getvs(&pattern("/app/*"))), "10 10 9 alpha");
    assert_eq!(view.gets(&pattern("/nope/*")).count(), 0);
    assert_eq!(view.gets(&pattern("/app/a")).count(), 1);
}

#[test]
fn only_what_was_asked_for_is_visible() {
    for (coverage, expected) in [
        (Coverage::Subtree, ["/app", "/app/x"].as_slice()),
        (Coverage::Text, &["/app", "/app-x", "/app/x", "/apple"]),
        (Coverage::Exact, &["/app", "/app-x", "/app/x", "/apple", "/b"]),
    ] {
        let view = view(coverage, "", &["/app"], &["/app", "/app-x", "/app/x", "/apple", "/b"]);
        assert_eq!(keys(&view), expected, "{coverage:?}");
        assert!(!view.is_empty());
    }
    assert!(view(Coverage::Subtree, "", &[], &["/app"]).is_empty());
    assert!(view(Coverage::Text, "", &["/b"], &["/app"]).is_empty());
}

#[test]
fn the_prefix_is_stripped_at_a_path_boundary_only() {
    let store = ["/app", "/app/x", "/apple"];
    for (prefix, expected) in [
        ("/app", ["/", "/apple", "/x"]),
        ("app", ["/", "/apple", "/x"]),
        ("/app/", ["/app", "/apple", "/x"]),
        ("//app//", ["/app", "/app/x", "/apple"]),
    ] {
        assert_eq!(keys(&view(Coverage::Text, prefix, &["/"], &store)), expected, "{prefix}");
    }
}

#[test]
fn of_two_keys_with_one_name_the_last_in_byte_order_counts() {
    let view = view(Coverage::Subtree, "/app", &["", "/../x"], &["/app/x", "/x"]);
    assert_eq!(view.get(b"/x").unwrap(), "v/x");
}

#[test]
fn a_window_over_the_snapshot_is_enough_in_the_normal_cases() {
    for (coverage, prefix, asked, store) in [
        (Coverage::Subtree, "", "/app", ["/app", "/app/x", "/apple"].as_slice()),
        (Coverage::Text, "", "/app", &["/app", "/app/x", "/apple"]),
        (Coverage::Subtree, "/app", "/", &["/app", "/app/x", "/apple"]),
        (Coverage::Text, "/app", "/", &["/app", "/app/x", "/b"]),
        (Coverage::Text, "/app", "/x", &["/app/x", "/app/xyz", "/apple"]),
        (Coverage::Exact, "/app/", "/", &["/app/x", "/app/y"]),
        (Coverage::Subtree, "/b", "/", &["/a//unclean", "/b/x"]),
    ] {
        let view = view(coverage, prefix, &[asked], store);
        assert!(view.pairs.get(store[1].as_bytes()).is_some(), "copied for {prefix} {asked}");
    }
}

#[test]
fn a_value_is_shared_with_the_snapshot() {
    let snapshot = snapshot(Coverage::Subtree, &["/app/x"]);
    let before = snapshot.get(b"/app/x").unwrap().as_ptr();
    let view = View::new(snapshot, &scope(&Prefix::default(), &["/app"]), &Prefix::default());
    assert_eq!(view.get(b"/app/x").unwrap().as_ptr(), before);
}

/// confd's rules, applied literally to a map. A view must give the same answers.
struct Model(BTreeMap<String, String>);

impl Model {
    fn new(coverage: Coverage, prefix: &Prefix, asked: &Scope, store: &[&str]) -> Self {
        let mut sorted = store.to_vec();
        sorted.sort_unstable();
        let mut map = BTreeMap::new();
        for key in sorted {
            if asked.iter().any(|asked| coverage.covers(asked, key.as_bytes())) {
                map.insert(prefix.strip(key.as_bytes()).to_string(), format!("v{key}"));
            }
        }
        Model(map)
    }

    fn terms(path: &str) -> Vec<String> {
        let cleaned = String::from_utf8(path::clean(path.as_bytes()).into_owned()).unwrap();
        cleaned.split('/').map(str::to_owned).collect()
    }

    fn folder_terms(key: &str) -> Vec<String> {
        Model::terms(std::str::from_utf8(&path::dir(key.as_bytes())).unwrap())
    }

    fn ls(&self, folder: &str) -> String {
        let mut names = BTreeSet::new();
        for key in self.0.keys() {
            if key == folder {
                names.insert(String::from_utf8(path::base(key.as_bytes()).to_vec()).unwrap());
            } else if Model::folder_terms(key).starts_with(&Model::terms(folder)) {
                let rest = key.strip_prefix(folder).unwrap_or(key);
                let rest = rest.strip_prefix('/').unwrap_or(rest);
                names.insert(rest.split('/').next().unwrap().to_owned());
            }
        }
        names.into_iter().collect::<Vec<_>>().join(" ")
    }

    fn lsdir(&self, folder: &str) -> String {
        let mut names = BTreeSet::new();
        let terms = Model::terms(folder);
        for key in self.0.keys().filter(|key| key.starts_with(folder)) {
            let folders = Model::folder_terms(key);
            if folders.starts_with(&terms) && folders.len() > terms.len() {
                names.insert(folders[terms.len()].clone());
            }
        }
        names.into_iter().collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn a_view_agrees_with_the_rules_word_for_word() {
    let stores: [&[&str]; 6] = [
        &[],
        &["/", "/app", "/app/app/x", "/app/x", "/x"],
        &["/app/-x", "/app/b", "/app/b-c", "/app/b/c", "/app/b/d/e", "/app/c", "/apple/b", "/ap"],
        &["/app/.x/y", "/app/..b/z", "/app/x/..b/z", "/..b", "/.b", "/b"],
        &["/app", "/app/", "/app//x", "/app/x", "/x/", "app/x", "/app/../x", "/app/x/y/"],
        &["/x/x", "/x", "/x!", "/x/y/x", "/x/y/z/x", "/app/x/y", "/app!"],
    ];
    let prefixes = ["", "/", "/app", "app/", "//app//", "/x", "/app/x", "/app/../x"];
    let asked: [&[&str]; 6] =
        [&[], &["/"], &["x", "b"], &["/../x"], &["/", "/../ap"], &["x/y", "x", "/.."]];
    let arguments = [
        "",
        "/",
        "//",
        "/.",
        "/..",
        ".",
        "/app",
        "/app/",
        "//app",
        "/app//",
        "/app/.",
        "/app/x",
        "/app/x/..",
        "/b",
        "/b/",
        "/x",
        "/x/",
        "/x/y",
        "/x/y/",
        "app",
        "/ap",
        "/app/b/d",
    ];
    let patterns =
        ["/*", "/*/*", "/x", "/app/*", "/x*", "*", "?x", "[/]*", "/app/[b-c]", "/*/*/*", "x", ""];
    let mut seen = 0;
    for store in stores {
        for (prefix, asked, coverage) in prefixes
            .iter()
            .flat_map(|prefix| {
                asked.iter().map(move |asked| (Prefix::new(prefix.as_bytes()), asked))
            })
            .flat_map(|(prefix, asked)| {
                [Coverage::Subtree, Coverage::Text, Coverage::Exact]
                    .map(|c| (prefix.clone(), asked, c))
            })
        {
            let scope = scope(&prefix, asked);
            if scope.is_empty() && coverage == Coverage::Exact {
                continue; // Such a snapshot is empty, so there is nothing to agree about.
            }
            let model = Model::new(coverage, &prefix, &scope, store);
            let view = View::new(snapshot(coverage, store), &scope, &prefix);
            let case = format!("{store:?} {prefix} {asked:?} {coverage:?}");

            let pairs: Vec<_> =
                view.iter().map(|p| (p.key.to_string(), text(&[p.value]))).collect();
            assert_eq!(pairs, model.0.clone().into_iter().collect::<Vec<_>>(), "{case}");
            assert_eq!(view.is_empty(), model.0.is_empty(), "{case}");
            for argument in arguments {
                let bytes = argument.as_bytes();
                let value = view.get(bytes).ok().map(|value| text(std::slice::from_ref(value)));
                assert_eq!(value.as_ref(), model.0.get(argument), "get {argument:?} {case}");
                assert_eq!(text(&view.ls(bytes)), model.ls(argument), "ls {argument:?} {case}");
                assert_eq!(
                    text(&view.lsdir(bytes)),
                    model.lsdir(argument),
                    "lsdir {argument:?} {case}"
                );
                seen += 1;
            }
            for text in patterns {
                let read = pattern(text);
                let expected: Vec<_> =
                    model.0.keys().filter(|key| read.matches(key.as_bytes())).cloned().collect();
                let found: Vec<_> = view.gets(&read).map(|pair| pair.key.to_string()).collect();
                assert_eq!(found, expected, "gets {text:?} {case}");
            }
        }
    }
    assert!(seen > 10_000, "only {seen} cases were compared");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test measures")]
fn a_large_store_costs_what_is_used() {
    let pairs = (0..20_000).map(|n| (format!("/app/s{}/{n}", n % 10), "value"));
    let snapshot = Snapshot::from_pairs(Coverage::Subtree, pairs);
    let prefix = Prefix::new(b"/app");
    let scope = scope(&prefix, &["/"]);
    let started = std::time::Instant::now();
    for _ in 0..1_000 {
        let view = View::new(snapshot.clone(), &scope, &prefix);
        assert_eq!(view.ls(b"/").len(), 0);
        assert_eq!(view.lsdir(b"/s1").len(), 0);
        assert!(view.exists(b"/s7/7"));
        assert_eq!(view.gets(&pattern("/s7/1999?")).count(), 1);
    }
    // A copy or a scan of 20,000 pairs for each of a thousand questions would take much longer.
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn the_view_of_an_item_has_its_keys_and_with_two_slashes_those_of_the_resource() {
    let keys = ["/p/shared/x", "/p/t/a", "/p/t/a/b/c", "/p/t/a/x", "/p/t/b/x", "/q/y"];
    let pairs = keys.map(|key| (key.to_owned(), format!("value of {key}")));
    let snapshot = Snapshot::from_pairs(Coverage::Subtree, pairs);
    let prefix = Prefix::new(b"/p");
    // With the second scope, a key outside of the prefix makes the view a copy.
    for scope in [vec!["/p"], vec!["/p", "/q"]] {
        let scope = scope.into_iter().map(Key::from).collect();
        let whole = View::new(snapshot.clone(), &scope, &prefix).recording();
        let items = whole.items(&ItemPattern::new(b"/t/*").unwrap());
        assert_eq!(items.iter().map(Item::name).collect::<Vec<_>>(), ["a", "b"]);
        let view = whole.of_item(&items[0]);
        let shown: Vec<_> = view.iter().map(|pair| pair.key.to_string()).collect();
        assert_eq!(shown, ["/", "/b/c", "/x"]);
        assert_eq!(view.get(b"/x").unwrap(), "value of /p/t/a/x");
        assert_eq!(view.get(b"//t/b/x").unwrap(), "value of /p/t/b/x");
        assert!(view.exists(b"//shared/x") && !view.exists(b"/shared/x"));
        let gets = |pattern: &[u8]| {
            let pattern = Pattern::new(pattern).unwrap();
            view.gets(&pattern).map(|pair| pair.key.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(gets(b"/*"), ["/", "/x"]);
        assert_eq!(gets(b"//t/*/x"), ["/t/a/x", "/t/b/x"]);
        assert_eq!(gets(b"//shared/x"), ["/shared/x"]);
        assert_eq!(view.getvs(&Pattern::new(b"//s*/x").unwrap()), ["value of /p/shared/x"]);
        assert_eq!((view.ls(b"//t"), view.lsdir(b"/b")), (vec!["a".into(), "b".into()], vec![]));
    }
}

#[test]
fn the_reads_of_an_item_are_those_of_both_views() {
    let keys = ["/p/shared/x", "/p/t/a/x", "/p/t/b/x"];
    let snapshot = Snapshot::from_pairs(Coverage::Subtree, keys.map(|key| (key.to_owned(), "v")));
    let whole = View::new(snapshot, &[Key::from("/p")].into_iter().collect(), &Prefix::new(b"/p"));
    let item = whole.items(&ItemPattern::new(b"/t/*").unwrap()).remove(0);
    let view = whole.of_item(&item).recording();
    let concern = |key: &str| view.reads().concern(key.as_bytes());
    assert!(!concern("/p/t/a/x") && !concern("/p/shared/x"));
    view.get(b"/x").unwrap();
    assert!(concern("/p/t/a/x") && !concern("/p/t/b/x") && !concern("/p/shared/x"));
    assert!(view.reads().are_below(b"/p/t/a"));
    view.get(b"//shared/x").unwrap();
    assert!(concern("/p/shared/x") && !concern("/p/t/b/x"));
    assert!(!view.reads().are_below(b"/p/t/a"));
}
