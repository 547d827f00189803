//! The environment of the process as a source of keys.
//!
//! A key is looked up as the name of a variable: without its first `/`, other `/` as `_`, in upper
//! case. All variables whose names *begin* with that text match, so `/app` also gets `APPLE_PIE`.
//! The names of the matches are converted back: `APP_X` becomes `/app/x`. So a key with `_` in it
//! cannot be found under its own name, and a variable in lower case is only found by asking for all
//! keys.
//!
//! Names and values are bytes and need not be UTF-8. If two variables differ only in case, the
//! variable whose name sorts last by its bytes wins.

#[cfg(test)]
mod conformance;
mod description;
mod env;

pub use description::DESCRIPTION;
pub use env::Env;
