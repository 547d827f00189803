//! What becomes of a pass whose template asks for keys that do not exist (`on_missing`).
//!
//! The error of such a template lists all of its missing keys: it is rendered once more, in a way in
//! which missing keys read as empty and are noted. A template that succeeds is rendered once.

use std::path::Path;

use bytes::Bytes;
use config::OnMissing;
use render::{Error, Inputs, Limits, MissingKeys, Template, Warnings};
use store::Item;

use crate::{
    event::{Say, Step},
    failure::Failure,
    items,
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

/// Missing keys of the template of `item`, with the item.
pub(crate) fn of_item(keys: Vec<String>, item: Option<&Item>) -> Vec<String> {
    let Some(item) = item.map(items::name_of) else { return keys };
    keys.into_iter().map(|key| format!("{key} of the item {item}")).collect()
}

/// Says which keys have been read as empty, and because of which keys files of items stay as they are.
/// `all_are_empty` says that all missing keys read as empty, whatever the resource says. That there are
/// none is of interest only if there were some. It is not known if the pass `is_partial`.
pub(crate) fn say_missing(
    resource: &Resource,
    (empty, kept): (Vec<String>, Vec<String>),
    all_are_empty: bool,
    is_partial: bool,
    say: &Say<'_>,
) {
    let may = |what| resource.parts().iter().any(|part| part.on_missing == what);
    if (all_are_empty || may(OnMissing::Empty)) && !(is_partial && empty.is_empty()) {
        say(Step::ReadAsEmpty(empty));
    }
    if may(OnMissing::Keep) && resource.has_items() && !(is_partial && kept.is_empty()) {
        say(Step::ItemsKept(kept));
    }
}

/// The most missing keys that a line names.
const NAMED: usize = 100;

/// Names separated by commas; of many, the first ones and how many there are besides.
pub(crate) fn listed(names: &[String]) -> String {
    let named = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
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
