//! The numbers of users and groups, by the system's files.

use names::Accounts;

/// The number of the user `name`, which can be a number itself; `None` without a name.
///
/// # Errors
/// There is no such user.
pub(crate) fn user(name: Option<&str>) -> Result<Option<u32>, String> {
    find(name, Accounts::Users, "user: unknown user")
}

/// The number of the group `name`; as [`user`].
///
/// # Errors
/// There is no such group.
pub(crate) fn group(name: Option<&str>) -> Result<Option<u32>, String> {
    find(name, Accounts::Groups, "group: unknown group")
}

fn find(name: Option<&str>, accounts: Accounts, unknown: &str) -> Result<Option<u32>, String> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    // A file that cannot be read has no users.
    let known = accounts.read().unwrap_or_default();
    let found = known.into_iter().find(|(known, _)| known == name);
    found.map(|(_, number)| Some(number)).ok_or_else(|| format!("{unknown} {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_known() {
        assert_eq!(user(Some("root")), Ok(Some(0)));
        assert_eq!(group(Some("12345")), Ok(Some(12345)));
        assert_eq!(user(None), Ok(None));
        assert_eq!(user(Some("no-such-user")), Err("user: unknown user no-such-user".to_owned()));
    }
}
