//! The `apko` command.

fn main() {}
