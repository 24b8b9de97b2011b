pub(crate) fn command(_: &str) -> crate::Outcome { Ok(()) }
