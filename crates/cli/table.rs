//! The table of all options: those of confd itself, those of its sources, and those that are only
//! accepted.
//!
//! Everything that must agree on the set of options is made from this one table: the flags, the
//! usage text, the readers of confd.toml and of the environment, and the hints for misspelt keys.
//! Other code reads the value of an option through the option's constant.

use std::sync::LazyLock;

use options::Spec;

use crate::{accepted::ACCEPTED, general, sources::SOURCES};

/// All options, in byte order of their flags, as the usage text shows them.
pub(crate) fn all() -> &'static [Spec] {
    static TABLE: LazyLock<Vec<Spec>> = LazyLock::new(|| {
        let mut table: Vec<Spec> = described().chain(ACCEPTED).copied().collect();
        // The sort is stable. So the first description of an option stays: that of a source stands
        // before that of an option that is only accepted.
        table.sort_by_key(|option| option.name);
        table.dedup_by_key(|option| option.name);
        table
    });
    &TABLE
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
    use std::mem::discriminant;

    use super::*;

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

    #[test]
    fn options_stand_in_byte_order_and_each_once() {
        assert!(all().is_sorted_by(|one, next| one.name < next.name));
    }
}
