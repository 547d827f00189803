//! The permissions of a destination as a resource file has them: `mode`, `uid` and `gid`, read as Go confd
//! reads them, and `owner` and `group_owner`, which can be names; the mode of new folders.

use names::Accounts;
use options::goint;
use report::did_you_mean;

use crate::{
    conventions::Dialect,
    document::Section,
    hint,
    keys::{self, Id, Key, Kind, NameOrNumber, Read, ResourceTable, Spec, wrong},
    resource::{Reason, Warning, quoted},
};

/// The mode of new folders whose resource sets none.
const DEFAULT_FOLDER_MODE: u32 = 0o755;

/// Reads a file mode in any of Go's number bases.
pub(crate) fn parse_mode(text: &str) -> Result<u32, String> {
    goint::unsigned(text, u64::from(u32::MAX)).map(|mode| mode as u32).map_err(|fault| {
        let fault = match fault {
            goint::Fault::Syntax => "invalid syntax",
            goint::Fault::Range => "value out of range",
        };
        format!("strconv.ParseUint: parsing {}: {fault}", quoted(text))
    })
}

/// The permissions of a file. An empty text is none.
pub(crate) struct Mode;

impl Read for Mode {
    const KIND: Kind = Kind::Mode;
    type Value<'d> = u32;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<u32>, Reason> {
        let text = section.string(key.name)?.filter(|text| !text.is_empty());
        text.map(parse_mode).transpose().map_err(|why| {
            // The words for the oldest key are those of Go confd, which has no other mode.
            let text =
                if key.name == keys::MODE.name { why } else { format!("{}: {why}", key.name) };
            wrong(key, section, text).hinting(hint::for_mode())
        })
    }
}

/// The mode of new folders, if missing folders of the destination are created.
pub(crate) fn mode_of_new_folders(table: &ResourceTable<'_, '_>) -> Result<Option<u32>, Reason> {
    let are_created = table.switch(&keys::MAKE_DIRECTORIES)?;
    let mode = table.get(&keys::DIR_MODE)?.unwrap_or(DEFAULT_FOLDER_MODE);
    Ok(are_created.then_some(mode))
}

/// The warnings about the modes in the table of a resource.
pub(crate) fn warnings(table: &ResourceTable<'_, '_>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for key in [&keys::MODE, &keys::DIR_MODE] {
        if let (Some(text), Some(offset)) = (table.as_text(key), table.offset(key)) {
            let warning = suspicious_mode(key.name, text);
            warnings.extend(warning.map(|text| Warning { text, offset }));
        }
    }
    warnings
}

/// A warning about a mode such as `"644"` at `key`: it is decimal, and probably octal was intended.
fn suspicious_mode(key: &str, text: &str) -> Option<String> {
    let octal_digits = text.len() == 3 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = parse_mode(text).ok().filter(|_| octal_digits && !text.starts_with('0'))?;
    let permissions = mode & 0o777;
    Some(format!(
        "{key} {text:?} is decimal and means {permissions:04o}; write \"0{text}\" for octal"
    ))
}

/// Who owns a destination: the user, or the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The keys `uid` and `owner`.
    User,
    /// The keys `gid` and `group_owner`.
    Group,
    /// The keys `gid` and `group`, in the live fork.
    GroupOfFork,
}

impl Owner {
    /// The key whose value is a number, the key whose value can be a name, and what both are called.
    fn words(self) -> (&'static Key<Id>, &'static Spec, &'static str) {
        match self {
            Self::User => (&keys::UID, &keys::OWNER, "user"),
            Self::Group => (&keys::GID, &keys::GROUP_OWNER, "group"),
            Self::GroupOfFork => (&keys::GID, &keys::GROUP, "group"),
        }
    }

    /// The value of the key that can be a name.
    fn named<'d>(self, table: &ResourceTable<'d, '_>) -> Result<Option<NameOrNumber<'d>>, Reason> {
        match self {
            Self::User => table.get(&keys::OWNER),
            Self::Group => table.get(&keys::GROUP_OWNER),
            Self::GroupOfFork => {
                let name = table.get(&keys::GROUP)?.filter(|name| !name.is_empty());
                Ok(name.map(NameOrNumber::Name))
            }
        }
    }

    /// Who owns the file in a resource of this dialect, user and group.
    pub(crate) fn read_all(
        table: &ResourceTable<'_, '_>,
        dialect: Dialect,
    ) -> Result<(Option<u32>, Option<u32>), Reason> {
        let group = match dialect {
            Dialect::Fork if table.offset(&keys::GROUP_OWNER).is_none() => Self::GroupOfFork,
            Dialect::Fork | Dialect::Confd => Self::Group,
        };
        Ok((Self::User.read(table, dialect)?, group.read(table, dialect)?))
    }

    /// The number of the user or the group in the table of a resource; `None` is that of this process.
    fn read(self, table: &ResourceTable<'_, '_>, dialect: Dialect) -> Result<Option<u32>, Reason> {
        let (by_number, by_name, _) = self.words();
        let number = table.get(by_number).map_err(|reason| {
            let name = table.as_text(by_number).filter(|name| name.parse::<i64>().is_err());
            let hint = name.map(|name| hint::for_name_of_owner(by_number.name, by_name.name, name));
            let hint = hint.or_else(|| reason.hint.clone());
            reason.hinting(hint)
        })?;
        let named = self.named(table)?;
        match (number, named) {
            // As in the fork.
            (Some(number), Some(_)) if dialect == Dialect::Fork => {
                self.checked(number, by_number, table)
            }
            (Some(_), Some(_)) => {
                let (number, name) = (by_number.name, by_name.name);
                let text = format!("{number} and {name} are both set");
                let hint = format!("remove {number}: {name} is a name or a number");
                Err(Reason::new(text, table.offset(by_name)).hinting(Some(hint)))
            }
            (Some(number), None) => self.checked(number, by_number, table),
            (None, Some(NameOrNumber::Number(number))) => self.checked(number, by_name, table),
            (None, Some(NameOrNumber::Name(text))) => match text.parse() {
                Ok(number) => self.checked(number, by_name, table),
                Err(_) => self.of_name(text, table).map(Some),
            },
            (None, None) => Ok(None),
        }
    }

    /// The number at `key` as Go confd reads it: -1 is that of this process, and other negative numbers
    /// of 32 bits wrap.
    fn checked(
        self,
        id: i64,
        key: &Spec,
        table: &ResourceTable<'_, '_>,
    ) -> Result<Option<u32>, Reason> {
        /// The id that means "unchanged" to the system.
        const NONE: u32 = u32::MAX;

        let wrapped = i32::try_from(id).map(i32::cast_unsigned);
        match u32::try_from(id).or(wrapped) {
            Ok(NONE) if id == -1 => Ok(None),
            Ok(number) if number != NONE => Ok(Some(number)),
            _ => Err(Reason::new(
                format!(
                    "{} {id} is out of range: it is a number from 0 to 4294967294, or -1 for the \
                     {} of confd",
                    key.name,
                    self.words().2
                ),
                table.offset(key),
            )),
        }
    }

    /// The number of the user or the group called `name`.
    fn of_name(self, name: &str, table: &ResourceTable<'_, '_>) -> Result<u32, Reason> {
        let (_, key, what) = self.words();
        let accounts = match self {
            Self::User => Accounts::Users,
            Self::Group | Self::GroupOfFork => Accounts::Groups,
        };
        let refused = |why: String| {
            Reason::new(format!("{} {}: {why}", key.name, quoted(name)), table.offset(key))
        };
        let known = accounts.read().map_err(|error| {
            refused(error.to_string()).hinting(Some(format!("{} can be a number", key.name)))
        })?;
        if let Some((_, number)) = known.iter().find(|(known, _)| known == name) {
            return Ok(*number);
        }
        let file = accounts.file();
        let hint = did_you_mean(name, known.iter().map(|(known, _)| known)).unwrap_or_else(|| {
            format!("{what}s of other services, such as LDAP, are not looked up: give the number")
        });
        Err(refused(format!("there is no such {what} in {file}")).hinting(Some(hint)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::tests::loaded;

    #[test]
    fn a_mode_is_octal_only_with_its_zero() {
        for (text, mode) in
            [("0644", 0o644), ("0o644", 0o644), ("0x1a4", 0o644), ("420", 0o644), ("644", 644)]
        {
            assert_eq!(parse_mode(text), Ok(mode));
        }
        let resource = loaded("[template]\nsrc='a'\nmode='644'").unwrap();
        assert!(
            resource.warnings[0]
                .text
                .ends_with(":3: mode \"644\" is decimal and means 0204; write \"0644\" for octal")
        );
        assert!(loaded("[template]\nsrc='a'\nmode='0644'").unwrap().warnings.is_empty());
    }

    #[test]
    fn minus_one_is_the_process_and_other_negatives_wrap() {
        let uid = |id: &str| loaded(&format!("[template]\nsrc='a'\n{id}")).unwrap().uid;
        assert_eq!(uid(""), None);
        assert_eq!(uid("uid=-1"), None);
        assert_eq!(uid("uid=-5"), Some(4_294_967_291));
        assert_eq!(uid("uid=33"), Some(33));
        assert_eq!(uid("uid=4294967294"), Some(4_294_967_294));
    }

    #[test]
    fn owners_are_names_or_numbers_and_a_name_has_the_number_of_the_system() {
        let owner = |line: &str| {
            let resource = loaded(&format!("[template]\nsrc='a'\n{line}")).unwrap();
            assert!(resource.warnings.is_empty(), "{line}");
            (resource.uid, resource.gid)
        };
        assert_eq!(owner("owner='root'\ngroup_owner='root'"), (Some(0), Some(0)));
        assert_eq!(owner("owner=33"), (Some(33), None));
        assert_eq!(owner("owner='33'\ngroup_owner='34'"), (Some(33), Some(34)));
        assert_eq!(owner("owner=-1\ngid=5"), (None, Some(5)));
        assert_eq!(owner("owner=''"), (None, None));
    }

    #[test]
    fn an_owner_that_cannot_be_found_is_named_with_the_file_that_was_read() {
        for (line, why) in [
            (
                "owner='no such user'",
                "owner \"no such user\": there is no such user in /etc/passwd",
            ),
            ("group_owner='-'", "group_owner \"-\": there is no such group in /etc/group"),
            ("uid=0\nowner='root'", "uid and owner are both set"),
            ("gid=0\ngroup_owner=0", "gid and group_owner are both set"),
            (
                "owner=4294967295",
                "owner 4294967295 is out of range: it is a number from 0 to 4294967294, or -1 for the \
                 user of confd",
            ),
            (
                "owner=true",
                "toml: line 3 (last key \"template.owner\"): incompatible types: TOML value has type \
                 bool; destination has type string",
            ),
        ] {
            let error = loaded(&format!("[template]\nsrc='a'\n{line}")).unwrap_err();
            assert_eq!(error, format!("Cannot process template resource a.toml - {why}"));
        }
    }

    #[test]
    fn new_folders_have_a_mode_of_their_own_if_they_are_created_at_all() {
        let folders = |lines: &str| {
            let resource = loaded(&format!("[template]\nsrc='a'\n{lines}")).unwrap();
            let warnings: Vec<_> = resource.warnings.iter().map(|it| it.text.clone()).collect();
            (resource.make_directories, warnings.join("\n"))
        };
        assert_eq!(folders(""), (None, String::new()));
        assert_eq!(folders("make_directories=true"), (Some(0o755), String::new()));
        assert_eq!(folders("make_directories=true\ndir_mode='0700'"), (Some(0o700), String::new()));
        let (mode, warning) = folders("dir_mode='0700'");
        assert_eq!(mode, None);
        assert!(warning.ends_with(":3: dir_mode has no effect without make_directories = true"));
        let (_, warning) = folders("make_directories=true\ndir_mode='755'");
        assert!(warning.contains(":4: dir_mode \"755\" is decimal and means 0363;"), "{warning}");
        let error = loaded("[template]\nsrc='a'\ndir_mode='rwx'").unwrap_err();
        assert!(error.ends_with("dir_mode: strconv.ParseUint: parsing \"rwx\": invalid syntax"));
    }
}
