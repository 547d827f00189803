//! Go's text/template over byte strings.

#![allow(dead_code)]

#[cfg(test)]
mod golden;
mod number;
mod quote;
mod unicode;

pub use quote::quote;
