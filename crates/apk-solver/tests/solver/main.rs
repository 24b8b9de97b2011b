//! The solver as its users see it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod apk_tools;
mod cases;
mod explain;
mod hard;
mod properties;
mod universe;
