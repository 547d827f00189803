//! The table of all options: those of confd itself, those of its sources, and those that are only
//! accepted.
//!
//! Everything that must agree on the set of options is made from this one table: the flags, the
//! usage text, the readers of confd.toml and of the environment, and the hints for misspelt keys.
//! Other code reads the value of an option through the option's constant.

use options::Spec;

use crate::{
    accepted::{ACCEPTED, OF_FORK},
    general,
    sources::SOURCES,
};

/// All options, in byte order of their flags, as the usage text shows them.
pub(crate) fn all() -> &'static [Spec] {
    &TABLE
}

/// The table, which the compiler makes: a run for one file is too short to sort hundreds of options.
static TABLE: [Spec; SORTED.1] = {
    let (sorted, length) = SORTED;
    let mut table = [*sorted[0]; SORTED.1];
    let mut position = 0;
    while position < length {
        table[position] = *sorted[position];
        position += 1;
    }
    table
};

/// All options in byte order of their flags, each once, and how many these are.
const SORTED: ([&Spec; ROOM], usize) = sorted();

/// How many options can be sorted. The compiler says if there are more.
const ROOM: usize = 512;

/// Sorts all options by insertion. The first description of an option counts: that of a source comes
/// before that of an option that is only accepted.
const fn sorted() -> ([&'static Spec; ROOM], usize) {
    let mut sorted = ([&general::OPTIONS[0]; ROOM], 0);
    sorted = with_group(sorted, general::OPTIONS);
    let mut source = 0;
    while source < SOURCES.len() {
        let groups = SOURCES[source].options;
        let mut group = 0;
        while group < groups.len() {
            sorted = with_group(sorted, groups[group]);
            group += 1;
        }
        source += 1;
    }
    with_group(with_group(sorted, ACCEPTED), OF_FORK)
}

/// `sorted` with those options of `group` that it does not have yet.
const fn with_group(
    (mut sorted, mut length): ([&'static Spec; ROOM], usize),
    group: &'static [Spec],
) -> ([&'static Spec; ROOM], usize) {
    let mut next = 0;
    while next < group.len() {
        let option = &group[next];
        next += 1;
        let mut position = length;
        while position > 0 && is_before(option.name, sorted[position - 1].name) {
            position -= 1;
        }
        if position > 0 && !is_before(sorted[position - 1].name, option.name) {
            continue;
        }
        let mut moved = length;
        while moved > position {
            sorted[moved] = sorted[moved - 1];
            moved -= 1;
        }
        sorted[position] = option;
        length += 1;
    }
    (sorted, length)
}

/// Whether `one` is before `two` in byte order.
const fn is_before(one: &str, two: &str) -> bool {
    let (one, two) = (one.as_bytes(), two.as_bytes());
    let mut byte = 0;
    while byte < one.len() && byte < two.len() {
        if one[byte] != two[byte] {
            return one[byte] < two[byte];
        }
        byte += 1;
    }
    one.len() < two.len()
}

/// The options of all backends of Go confd and of its live fork, those of confd itself left out.
pub(crate) fn of_backends() -> impl Iterator<Item = &'static Spec> {
    let is_general = |option: &Spec| general::OPTIONS.iter().any(|it| it.name == option.name);
    all().iter().filter(move |option| !is_general(option))
}

/// The option whose flag is `flag`.
pub(crate) fn find(flag: &str) -> Option<&'static Spec> {
    all().iter().find(|option| option.name == flag)
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, fs, mem::discriminant, path::Path};

    use config::{Dialect, confd_toml};
    use options::{Kind, Layer, Value};

    use super::*;
    use crate::flags::{self, Request};

    /// The options that confd itself or one of its sources reads. An option that several sources read
    /// occurs several times.
    fn described() -> impl Iterator<Item = &'static Spec> {
        let of_sources = SOURCES.iter().flat_map(|source| source.options).copied().flatten();
        general::OPTIONS.iter().chain(of_sources)
    }

    #[test]
    fn options_stand_in_byte_order_and_none_is_missing() {
        assert!(all().is_sorted_by(|one, next| one.name < next.name));
        for option in described().chain(ACCEPTED).chain(OF_FORK) {
            assert!(all().iter().any(|it| it.name == option.name), "{}", option.name);
        }
    }

    #[test]
    fn one_name_has_one_description() {
        for option in described() {
            let same_name = described().filter(|other| other.name == option.name);
            same_name.for_each(|other| assert_eq!(option, other));
        }
    }

    #[test]
    fn an_option_that_is_only_accepted_takes_the_same_values_as_where_a_source_reads_it() {
        for accepted in ACCEPTED {
            let option = find(accepted.name).unwrap();
            assert_eq!(discriminant(&accepted.kind), discriminant(&option.kind), "{option:?}");
            assert_eq!((accepted.key, accepted.secret), (option.key, option.secret), "{option:?}");
        }
    }

    /// A value of this form, as text and as TOML.
    fn sample(kind: Kind) -> (Value, &'static str, &'static str) {
        match kind {
            Kind::Switch => (Value::Switch(true), "true", "true"),
            Kind::Number(_) => (Value::Number(7), "7", "7"),
            Kind::Text(_) => (Value::Text("7s".into()), "7s", "'7s'"),
            Kind::List => (Value::List(vec!["x".into()]), "x", "['x']"),
        }
    }

    #[test]
    fn each_option_can_be_given_in_every_way() {
        for option in all() {
            let Spec { name, key, fork_key, .. } = option;
            let (value, text, toml) = sample(option.kind);
            let mut lines = vec![vec![format!("-{name}={text}")], vec![format!("--{name}={text}")]];
            match option.kind {
                Kind::Switch => lines.push(vec![format!("-{name}")]),
                _ => lines.push(vec![format!("-{name}"), text.to_owned()]),
            }
            for line in lines {
                match flags::read(line.iter().map(OsString::from)) {
                    Ok(Request::Run(line, None)) => {
                        assert_eq!(line.flags.get(option), Some(&value));
                    }
                    request => {
                        assert!(*name == "version" && matches!(request, Ok(Request::Version)));
                    }
                }
            }
            let variables = [Some(option.variable()), option.other_variable.map(str::to_owned)];
            for variable in variables.into_iter().flatten() {
                let variables = [(variable.into(), text.into())];
                let no_file = |_: &Path| Err(String::new());
                let layer = Layer::of_environment(all(), &variables, no_file).unwrap();
                assert_eq!(layer.get(option), Some(&value).filter(|_| !option.flag_only));
            }
            for key in [key, fork_key].into_iter().flatten() {
                let file = tempfile::NamedTempFile::new().unwrap();
                fs::write(file.path(), format!("{key} = {toml}\n")).unwrap();
                let read = {
                    let kinds = |_: &str| Err(String::new());
                    let definitions = confd_toml::Definitions {
                        options: all(),
                        tables: &[],
                        kinds,
                        dialect: Dialect::Fork,
                        are_asked: true,
                    };
                    confd_toml::read(file.path(), definitions, &config::Environment::empty())
                        .unwrap()
                };
                assert_eq!(read.values.get(option), Some(&value), "{key}");
            }
        }
    }

    #[test]
    fn no_two_options_have_the_same_variable_or_key() {
        let mut variables: Vec<_> = all().iter().map(Spec::variable).collect();
        variables
            .extend(all().iter().filter_map(|option| option.other_variable.map(str::to_owned)));
        let secrets = all().iter().filter(|option| option.secret);
        variables.extend(secrets.map(|option| format!("{}_FILE", option.variable())));
        let keys = all().iter().flat_map(|option| [option.key, option.fork_key]);
        for mut names in [variables, keys.flatten().map(str::to_owned).collect()] {
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }
}
