//! Built-in pipelines and the sandboxes that steps run in.

pub mod runner;
