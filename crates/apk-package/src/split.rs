//! Where the sections of a package lie.

use std::ops::Range;

use crate::gzip::inflate_member;
use crate::{Limits, Problem};

pub(crate) const SIGNATURE: &str = "signature section";
pub(crate) const CONTROL: &str = "control section";
pub(crate) const DATA: &str = "data section";

/// Where the compressed sections of an apk v2 file lie, in bytes from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sections {
    /// The signature section, which an unsigned package has not.
    pub signature: Option<Range<usize>>,
    /// The control section: what an index has the checksum of and what a signature signs.
    pub control: Range<usize>,
    /// The data section: all that follows, which is one gzip member or several.
    pub data: Range<usize>,
}

/// The sections and what the two small ones inflate to.
pub(crate) struct Split {
    pub(crate) sections: Sections,
    pub(crate) signature: Vec<u8>,
    pub(crate) control: Vec<u8>,
}

/// Finds the sections of a package. The data section is neither inflated nor looked at.
///
/// The first member is the signature section if its first tar member's name begins with `.SIGN.`, as
/// apk-tools and the Go apko tell it.
pub fn split(package: &[u8], limits: &Limits) -> Result<Sections, Problem> {
    split_and_inflate(package, limits).map(|split| split.sections)
}

pub(crate) fn split_and_inflate(package: &[u8], limits: &Limits) -> Result<Split, Problem> {
    if package.starts_with(b"ADB") {
        return Err(Problem::ApkV3);
    }
    let mut first = Vec::new();
    let first_end = inflate_member(CONTROL, package, &mut first, limits.control)?;
    if !is_signature(&first) {
        return Ok(Split {
            sections: Sections {
                signature: None,
                control: 0..first_end,
                data: first_end..package.len(),
            },
            signature: Vec::new(),
            control: first,
        });
    }
    let mut control = Vec::new();
    let length = inflate_member(CONTROL, &package[first_end..], &mut control, limits.control)?;
    let control_end = first_end + length;
    Ok(Split {
        sections: Sections {
            signature: Some(0..first_end),
            control: first_end..control_end,
            data: control_end..package.len(),
        },
        signature: first,
        control,
    })
}

/// Tells by the first member's name; a name too long for USTAR stands in a PAX record before it.
fn is_signature(tar: &[u8]) -> bool {
    tar.starts_with(b".SIGN.")
        || tarball::read(bytes::Bytes::copy_from_slice(tar), &tarball::Limits::default()).is_ok_and(
            |entries| {
                entries
                    .first()
                    .is_some_and(|entry| entry.header.path.starts_with(".SIGN."))
            },
        )
}
