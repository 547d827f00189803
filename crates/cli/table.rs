//! The table of all options: those of confd itself, those of its sources, and those that are only
//! accepted.
//!
//! Everything that must agree on the set of options is made from this one table: the flags, the
//! usage text, the readers of confd.toml and of the environment, and the hints for misspelt keys.
//! Other code reads the value of an option through the option's constant.

use std::sync::LazyLock;

use options::Spec;

use crate::{
    accepted::{ACCEPTED, OF_FORK},
    general,
    sources::SOURCES,
};

/// All options, in byte order of their flags, as the usage text shows them.
pub(crate) fn all() -> &'static [Spec] {
    static TABLE: LazyLock<Vec<Spec>> = LazyLock::new(|| {
        let mut table: Vec<Spec> = described().chain(ACCEPTED).chain(OF_FORK).copied().collect();
        // The sort is stable. So the first description of an option stays: that of a source stands
        // before that of an option that is only accepted.
        table.sort_by_key(|option| option.name);
        table.dedup_by_key(|option| option.name);
        table
    });
    &TABLE
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

/// The options that confd itself or one of its sources reads. An option that several sources read
/// occurs several times.
fn described() -> impl Iterator<Item = &'static Spec> {
    let of_sources = SOURCES.iter().flat_map(|source| source.options).copied().flatten();
    general::OPTIONS.iter().chain(of_sources)
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, fs, mem::discriminant, path::Path};

    use config::{Dialect, confd_toml};
    use options::{Kind, Layer, Value};

    use super::*;
    use crate::flags::{self, Request};

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

    #[test]
    fn options_stand_in_byte_order_and_each_once() {
        assert!(all().is_sorted_by(|one, next| one.name < next.name));
    }
}
