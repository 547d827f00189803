//! Template resources: which files are taken, what they may say, what they ask for.

mod discovery;
mod keys;
mod modes;
mod table;
