//! What becomes of a pass whose template asks for keys that do not exist (`on_missing`).
//!
//! The error of such a template lists all of its missing keys: it is rendered once more, in a way in
//! which missing keys read as empty and are noted. A template that succeeds is rendered once.

use std::path::Path;

use bytes::Bytes;
use config::OnMissing;
use render::{Error, Inputs, Limits, MissingKeys, Template, Warnings};

use crate::{
    event::{Say, Step},
    failure::Failure,
    resource::{Part, Resource},
};

/// What is done instead of putting the result of a template that failed in place.
pub(crate) enum Instead {
    /// The destination stays as it is because of these keys, and the pass does not fail.
    Keep(Vec<String>),
    /// The pass fails.
    Fail(Failure),
}

/// What a missing key reads as in the template of `part`.
pub(crate) fn keys_of(part: &Part) -> MissingKeys {
    match part.on_missing {
        OnMissing::Empty => MissingKeys::read_as_empty(),
        OnMissing::Error | OnMissing::Keep => MissingKeys::default(),
    }
}

/// Renders `template`. If it fails because of a missing key, the error has all keys that it misses.
pub(crate) fn render(
    template: &Template,
    limits: Limits,
    inputs: &Inputs<'_>,
    show_values: bool,
) -> Result<Bytes, Error> {
    let mut content = Vec::new();
    let Err(error) = template.render_within(limits, inputs, &mut content) else {
        return Ok(content.into());
    };
    let error = if show_values { error.with_values() } else { error };
    if !error.is_missing_key() {
        return Err(error);
    }
    let (missing, warnings) = (MissingKeys::read_as_empty(), Warnings::default());
    let session = inputs.session.apart();
    let inputs = Inputs { missing: &missing, warnings: &warnings, session: &session, ..*inputs };
    // An error, for example because a function cannot use the empty text, only ends the list.
    let _ = template.render_within(limits, &inputs, &mut Vec::new());
    Err(error.listing(missing.take(), show_values))
}

/// What is done instead of a result, because the template of `part` failed. The files of a group are
/// kept together.
pub(crate) fn instead(
    resource: &Resource,
    part: &Part,
    error: Error,
    show_values: bool,
) -> Instead {
    let keeps = part.on_missing == OnMissing::Keep && error.is_missing_key();
    match keeps && resource.dests().all(Path::is_file) {
        true => Instead::Keep(error.missed().names(show_values)),
        false => Instead::Fail(Failure::render(error, keeps)),
    }
}

/// Says which keys have been read as empty. That there are none is of interest only if there were some.
pub(crate) fn say_empty(resource: &Resource, keys: Vec<String>, say: &Say<'_>) {
    if resource.parts().iter().any(|part| part.on_missing == OnMissing::Empty) {
        say(Step::ReadAsEmpty(keys));
    }
}

/// That these keys do not exist, for people.
pub(crate) fn do_not_exist(keys: &[String]) -> String {
    match keys {
        [key] => format!("the key {key} does not exist"),
        keys => format!("these keys do not exist: {}", keys.join(", ")),
    }
}

/// Whether the files of the resource can stay as they are because of missing keys.
pub(crate) fn may_keep(resource: &Resource) -> bool {
    resource.parts().iter().any(|part| part.on_missing == OnMissing::Keep)
}
