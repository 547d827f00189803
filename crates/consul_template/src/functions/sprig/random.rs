//! Random numbers and orders.

use bytes::Bytes;
use gotmpl::Failure;
use render::library::values::lossy;

use super::super::Context;
use super::Library;

pub(super) fn add(library: &mut Library<'_>) {
    library.add("randInt", |_: &Context, from: i64, to: i64| match from < to {
        true => Ok(fastrand::i64(from..to)),
        false => Err(Failure::new("invalid argument to Intn")),
    });
    library.add("shuffle", |_: &Context, text: Bytes| {
        let mut characters: Vec<char> = lossy(&text).chars().collect();
        fastrand::shuffle(&mut characters);
        characters.into_iter().collect::<String>()
    });
}
