//! The environment of the process as a source of keys.
//!
//! A key is looked up as a variable's name: without its first `/`, other `/` as `_`, in upper case.
//! Every variable whose name *begins* with that answers, so `/app` also gets `APPLE_PIE`. Answers
//! are named the other way round, `APP_X` is `/app/x`, and therefore a key with `_` in it cannot be
//! reached under that name, and a variable in lower case only by asking for everything.
//!
//! Names and values are bytes and need not be UTF-8. Where two variables differ in case alone, the
//! one whose name sorts last by its bytes counts.

#[cfg(test)]
mod conformance;
mod env;

pub use env::Env;
