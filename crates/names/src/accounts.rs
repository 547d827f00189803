//! The users and groups of this machine, by name.
//!
//! The names come from the files `/etc/passwd` and `/etc/group`. The C library would also ask other
//! services (LDAP, systemd), by plugins that a static program must not load. The files are read for
//! every lookup, so that a user who was created a moment ago counts.

use std::{io, path::Path};

use report::{FileError, read_regular};

/// Users, or groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// The users of `/etc/passwd`.
    Users,
    /// The groups of `/etc/group`.
    Groups,
}

impl Accounts {
    /// The file that has the names.
    pub fn file(self) -> &'static str {
        match self {
            Self::Users => "/etc/passwd",
            Self::Groups => "/etc/group",
        }
    }

    /// All names, each with its number, in the order of the file. Of several lines with one name the
    /// first counts.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(self) -> Result<Vec<(String, u32)>, FileError> {
        let path = Path::new(self.file());
        let text =
            read_regular(path).map_err(|cause: io::Error| FileError::new("open", path, cause))?;
        Ok(entries(&String::from_utf8_lossy(&text)).collect())
    }
}

/// The names and numbers in a text such as `/etc/passwd`: the first and the third field of each line.
/// A line without a number is passed over.
fn entries(text: &str) -> impl Iterator<Item = (String, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some((name.to_owned(), fields.nth(1)?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_a_name_or_a_number_are_passed_over() {
        let text = "root:x:0:0:root:/root:/bin/sh\n# x:y:1\n\n:x:5:\n+::::::\nweb:x:33\nold:x:\n";
        let entries: Vec<_> = entries(text).collect();
        let expected = [("root", 0), ("# x", 1), ("web", 33)];
        assert_eq!(entries, expected.map(|(name, number)| (name.to_owned(), number)));
    }

    #[test]
    fn root_is_a_user_and_a_group_of_this_machine() {
        for accounts in [Accounts::Users, Accounts::Groups] {
            let known = accounts.read().expect("the file of the machine");
            assert!(known.contains(&("root".to_owned(), 0)), "{accounts:?}");
        }
    }
}
