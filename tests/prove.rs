//! What a change would do, before it is made: diffs, renderings, plans, checks.

mod cases;
mod check;
mod diff;
mod explain;
mod plan;
mod render;
