//! The numbers of users and groups, by the system's files.

use std::fs;

/// The number of the user `name`, which can be a number itself; `None` without a name.
///
/// # Errors
/// There is no such user.
pub(crate) fn user(name: Option<&str>) -> Result<Option<u32>, String> {
    find(name, "/etc/passwd", "user: unknown user")
}

/// The number of the group `name`; as [`user`].
///
/// # Errors
/// There is no such group.
pub(crate) fn group(name: Option<&str>) -> Result<Option<u32>, String> {
    find(name, "/etc/group", "group: unknown group")
}

fn find(name: Option<&str>, file: &str, unknown: &str) -> Result<Option<u32>, String> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let lines = fs::read_to_string(file).unwrap_or_default();
    let mut numbers = lines.lines().filter_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    numbers.next().map(Some).ok_or_else(|| format!("{unknown} {name}"))
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
