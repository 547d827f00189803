//! Template resources: which files are resources, what they can contain, and which keys they ask
//! for.

mod after;
mod discovery;
mod exit_codes;
mod groups;
mod guards;
mod item_failures;
mod items;
mod keys;
mod missing;
mod modes;
mod owners;
mod retries;
mod rollback;
mod table;
mod variables;
mod versions;
mod waiting;
