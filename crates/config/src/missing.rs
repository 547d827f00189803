//! What becomes of a pass whose template asks for a key that does not exist.

use crate::{document::Section, resource::Reason};

/// What a resource does if its template asks for a key that does not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// The pass fails.
    #[default]
    Error,
    /// The key reads as the empty text.
    Empty,
    /// The file stays as it is until a key changes.
    Keep,
}

impl OnMissing {
    const ALL: [(OnMissing, &str); 3] =
        [(Self::Error, "error"), (Self::Empty, "empty"), (Self::Keep, "keep")];

    /// What the table of a resource says.
    pub(crate) fn read(table: &Section<'_, '_>) -> Result<Self, Reason> {
        const KEY: &str = "on_missing";
        let Some(name) = table.string(KEY)? else { return Ok(Self::default()) };
        let found = Self::ALL.into_iter().find(|(_, known)| *known == name);
        found.map(|(on_missing, _)| on_missing).ok_or_else(|| {
            let known = Self::ALL.map(|(_, known)| format!("{known:?}")).join(", ");
            let name = gotmpl::quote(name.as_bytes());
            let text = format!("unknown {KEY} {name}; the known ones are {known}");
            Reason::new(text, table.offset(KEY))
        })
    }
}
