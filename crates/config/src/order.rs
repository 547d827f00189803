//! The order of resources: those that the key `after` names are processed first.
//!
//! Groups are sorted as a whole, because their files are put in place together. Without the key the
//! order is that of the files.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use report::{Excerpt, did_you_mean};

use crate::{
    group::{BrokenGroup, Group},
    problem::Problem,
};

/// Sorts the groups, so that each comes after those that its resources name, and says which these are.
/// All others keep their order. Groups in a cycle are not processed.
///
/// `invalid` are the names of resources and groups that are there and cannot be processed: to name one
/// of them is no mistake.
pub(crate) fn sort(
    mut groups: Vec<Group>,
    invalid: &HashSet<String>,
) -> (Vec<Group>, Vec<BrokenGroup>) {
    if !groups
        .iter()
        .flat_map(|group| &group.resources)
        .any(|resource| !resource.follows.is_empty())
    {
        return (groups, Vec::new());
    }
    let earlier = named(&mut groups, invalid);
    let (mut in_cycle, mut broken) = (vec![false; groups.len()], Vec::new());
    let order = loop {
        match walk(&earlier, &in_cycle) {
            Ok(order) => break order,
            Err(cycle) => {
                broken.extend(cycle.iter().map(|nth| refused(&groups, &cycle, *nth)));
                cycle.iter().for_each(|nth| in_cycle[*nth] = true);
            }
        }
    };
    let paths: Vec<Option<PathBuf>> = groups.iter().map(path).collect();
    for (group, earlier) in groups.iter_mut().zip(&earlier) {
        let valid = earlier.iter().filter(|nth| !in_cycle[**nth]);
        group.after = valid.filter_map(|nth| paths[*nth].clone()).collect();
    }
    let mut groups: Vec<Option<Group>> = groups.into_iter().map(Some).collect();
    (order.into_iter().filter_map(|nth| groups[nth].take()).collect(), broken)
}

/// The file by which a group is known.
fn path(group: &Group) -> Option<PathBuf> {
    group.resources.first().map(|first| first.path.clone())
}

/// The groups that each group names, by their numbers. Adds warnings about names that mean nothing.
fn named(groups: &mut [Group], invalid: &HashSet<String>) -> Vec<Vec<usize>> {
    let mut numbers: HashMap<Arc<str>, usize> = HashMap::new();
    for (nth, group) in groups.iter().enumerate() {
        numbers.insert(Arc::clone(&group.name), nth);
        numbers.extend(group.resources.iter().map(|resource| (Arc::clone(resource.name()), nth)));
    }
    let mut earlier = vec![Vec::new(); groups.len()];
    for (nth, group) in groups.iter_mut().enumerate() {
        let is_alone = group.resources.len() == 1;
        for resource in &mut group.resources {
            let path = resource.path.display().to_string();
            for name in &resource.follows {
                match numbers.get(&**name) {
                    Some(other) if *other != nth || is_alone => earlier[nth].push(*other),
                    Some(_) => {
                        let text = format!(
                            "{path}: after names {name:?}, whose file is put in place together with \
                             that of this resource: it has no effect"
                        );
                        resource.warnings.push(text.into());
                    }
                    None if invalid.contains(name) => {}
                    None => {
                        let known = numbers.keys().map(|known| &**known);
                        let hint =
                            did_you_mean(name, known.chain(invalid.iter().map(|name| &**name)));
                        let hint = hint.map_or(String::new(), |hint| format!(", {hint}"));
                        let text = format!(
                            "{path}: after names {name:?}, and there is no such resource{hint}"
                        );
                        resource.warnings.push(text.into());
                    }
                }
            }
        }
    }
    earlier
}

/// The numbers in an order in which each comes after those that it names in `earlier`. Numbers that are
/// `left_out` do not count.
///
/// # Errors
/// The numbers of a cycle, each of which names the next, and the last the first.
fn walk(earlier: &[Vec<usize>], left_out: &[bool]) -> Result<Vec<usize>, Vec<usize>> {
    let mut order = Vec::with_capacity(earlier.len());
    let (mut is_begun, mut is_done) = (vec![false; earlier.len()], left_out.to_vec());
    // The way to the number that is looked at, each with the place of the next name. It is a list,
    // because a chain of a hundred thousand files must not need as much stack.
    let mut way: Vec<(usize, usize)> = Vec::new();
    for first in 0..earlier.len() {
        if !is_done[first] {
            way.push((first, 0));
            is_begun[first] = true;
        }
        while let Some((nth, next)) = way.last_mut() {
            let (nth, named) = (*nth, earlier[*nth].get(*next).copied());
            *next += 1;
            match named {
                Some(named) if is_done[named] => {}
                Some(named) if is_begun[named] => {
                    let cycle = way.iter().map(|(nth, _)| *nth);
                    return Err(cycle.skip_while(|nth| *nth != named).collect());
                }
                Some(named) => {
                    is_begun[named] = true;
                    way.push((named, 0));
                }
                None => {
                    is_done[nth] = true;
                    order.push(nth);
                    way.pop();
                }
            }
        }
    }
    Ok(order)
}

/// The problem of the group `nth`, which is in this cycle.
fn refused(groups: &[Group], cycle: &[usize], nth: usize) -> BrokenGroup {
    let Group { name, resources, .. } = &groups[nth];
    let names: Vec<&str> =
        cycle.iter().chain(cycle.first()).map(|nth| &*groups[*nth].name).collect();
    let what = match resources.first() {
        Some(first) if first.group.is_none() => {
            format!("Cannot process template resource {}", first.path.display())
        }
        _ => format!("Cannot process the group {name}"),
    };
    let text = format!("{what} - after makes a cycle: {}", names.join(" -> "));
    let hint = "a -> b means that a is processed after b".to_owned();
    let mut paths: Vec<_> = resources.iter().map(|resource| resource.path.clone()).collect();
    paths.dedup();
    let problem = Problem { text, excerpt: Excerpt::default().hinting(Some(hint)) };
    BrokenGroup { name: Arc::clone(name), paths, problem }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{Environment, Loaded, load};

    /// What is loaded if `conf.d` has these files, each with more lines in its table.
    fn loaded(files: &[(&str, &str)]) -> Loaded {
        let confdir = tempfile::tempdir().unwrap();
        fs::create_dir_all(confdir.path().join("conf.d/sub")).unwrap();
        for (name, more) in files {
            let text = format!("[template]\nsrc = 'a'\ndest = '/d/{name}'\n{more}\n");
            fs::write(confdir.path().join(format!("conf.d/{name}.toml")), text).unwrap();
        }
        load(confdir.path(), &crate::Conventions::default(), &Environment::empty()).unwrap()
    }

    fn order(loaded: &Loaded) -> String {
        loaded.groups.iter().map(|group| &*group.name).collect::<Vec<_>>().join(" ")
    }

    fn warnings(loaded: &Loaded) -> Vec<&str> {
        let resources = loaded.groups.iter().flat_map(|group| &group.resources);
        let texts = resources.flat_map(|resource| &resource.warnings).map(|warning| &*warning.text);
        texts.map(|text| text.split_once(".toml: ").unwrap().1).collect()
    }

    #[test]
    fn resources_come_after_those_that_they_name_and_others_keep_their_order() {
        let found = loaded(&[
            ("a", "after = ['c', 'sub/z']"),
            ("b", ""),
            ("c", "after = ['d']"),
            ("d", ""),
            ("sub/z", ""),
        ]);
        assert_eq!(order(&found), "d c sub/z a b");
        assert!(found.broken_groups.is_empty() && warnings(&found).is_empty());
        let after = &found.groups[3].after;
        let names: Vec<_> = after.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["c.toml", "z.toml"]);
    }

    #[test]
    fn a_cycle_is_shown_and_fails_only_its_resources() {
        let found = loaded(&[
            ("a", "after = ['b']"),
            ("b", "after = ['c']"),
            ("c", "after = ['b']"),
            ("d", "after = ['d']"),
            ("e", "after = ['a', 'd']"),
        ]);
        assert_eq!(order(&found), "a e");
        let problems: Vec<_> = found
            .broken_groups
            .iter()
            .map(|broken| {
                let (_, why) = broken.problem.text.split_once(" - ").unwrap();
                (&*broken.name, why)
            })
            .collect();
        let expected = [
            ("b", "after makes a cycle: b -> c -> b"),
            ("c", "after makes a cycle: b -> c -> b"),
            ("d", "after makes a cycle: d -> d"),
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_name_that_does_not_exist_is_a_warning_with_the_nearest_one() {
        let found = loaded(&[
            ("nginx", "after = ['certz', 'far away', 'broken', 'shared', 'nginx2']\ngroup = 'web'"),
            ("nginx2", "group = 'web'"),
            ("certs", "group = 'shared'"),
            ("broken", "mode = 'x'"),
        ]);
        assert_eq!(order(&found), "shared web");
        assert_eq!(
            warnings(&found),
            [
                "after names \"certz\", and there is no such resource, did you mean \"certs\"?",
                "after names \"far away\", and there is no such resource",
                "after names \"nginx2\", whose file is put in place together with that of this \
                 resource: it has no effect",
            ]
        );
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let earlier: Vec<_> = (0..200_000).map(|nth| vec![nth + 1]).chain([vec![]]).collect();
        let order = walk(&earlier, &vec![false; earlier.len()]).unwrap();
        assert_eq!((order.first(), order.last()), (Some(&200_000), Some(&0)));
    }
}
