//! The permissions of a destination as a resource file has them: `mode`, `uid` and `gid`, read as Go confd
//! reads them.

use options::goint;

use crate::{
    document::Section,
    hint,
    resource::{Reason, quoted},
};

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

/// A warning about a mode such as `"644"`: it is decimal, and probably octal was intended.
pub(crate) fn suspicious_mode(text: &str, mode: u32) -> Option<String> {
    let octal_digits = text.len() == 3 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    (octal_digits && !text.starts_with('0')).then(|| {
        format!(
            "mode {text:?} is decimal and means {:04o}; write \"0{text}\" for octal",
            mode & 0o777
        )
    })
}

/// The user or group id at `key`, as Go confd reads it: -1 is the process's own, and other negative
/// numbers of 32 bits wrap. `whose` says of what the id is.
pub(crate) fn identity(
    table: &Section<'_, '_>,
    key: &str,
    whose: &str,
) -> Result<Option<u32>, Reason> {
    /// The id that means "unchanged" to the system.
    const NONE: u32 = u32::MAX;

    let id = table.integer(key).map_err(|error| {
        let name = table.string(key).ok().flatten().filter(|name| name.parse::<i64>().is_err());
        let hint = name.map(|name| hint::for_identity(key, name)).or_else(|| error.hint());
        Reason::from(error).hinting(hint)
    })?;
    let Some(id) = id else { return Ok(None) };
    let wrapped = i32::try_from(id).map(i32::cast_unsigned);
    match u32::try_from(id).or(wrapped) {
        Ok(NONE) if id == -1 => Ok(None),
        Ok(number) if number != NONE => Ok(Some(number)),
        _ => Err(Reason::new(
            format!(
                "{key} {id} is out of range: it is a number from 0 to 4294967294, or -1 for the \
                 {whose} of confd"
            ),
            table.offset(key),
        )),
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
}
