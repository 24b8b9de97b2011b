//! The solver as its users see it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod cases;
mod explain;
mod properties;
mod universe;
