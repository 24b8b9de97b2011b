//! Where the sections of a package lie.

use std::ops::Range;

use bytes::Bytes;

use crate::gzip::inflate_member;
use crate::{Limits, Problem, Signature};

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
    refuse_adb("package", package)?;
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

/// Reads the signature section at the start of a file, be it a package or an index. Gives the signatures and
/// where the section ends, which is where the signed bytes begin; no signatures and 0 where there is no such section.
///
/// Signatures of unknown kinds are left out; a signature section with any other member is an error. `what` is
/// what errors call the file.
pub fn read_signatures(
    what: &'static str,
    file: &[u8],
    limits: &Limits,
) -> Result<(Vec<Signature>, usize), Problem> {
    refuse_adb(what, file)?;
    let mut first = Vec::new();
    match inflate_member(what, file, &mut first, limits.control) {
        Ok(end) if is_signature(&first) => Ok((signatures(first, limits)?, end)),
        // Anything so large is no signature section.
        Ok(_) | Err(Problem::TooLarge { .. }) => Ok((Vec::new(), 0)),
        Err(problem) => Err(problem),
    }
}

/// Names the database files of apk-tools 3 for what they are. The fourth byte says how the rest is compressed: not at
/// all, with deflate, or as the two bytes after it say.
fn refuse_adb(what: &'static str, file: &[u8]) -> Result<(), Problem> {
    match file {
        [b'A', b'D', b'B', b'.' | b'd' | b'c', ..] => Err(Problem::ApkV3 { what }),
        _ => Ok(()),
    }
}

/// The signatures in an inflated signature section.
pub(crate) fn signatures(section: Vec<u8>, limits: &Limits) -> Result<Vec<Signature>, Problem> {
    let entries = tarball::read(Bytes::from(section), &limits.tar).map_err(|source| Problem::Tar {
        section: SIGNATURE,
        source,
    })?;
    if let Some(other) = entries
        .iter()
        .find(|entry| !entry.header.path.starts_with(".SIGN."))
    {
        return Err(Problem::UnsafeMember {
            member: other.header.path.clone(),
            reason: "does not belong into a signature section",
        });
    }
    let members = entries.iter();
    Ok(members
        .filter_map(|entry| Signature::from_member(&entry.header.path, &entry.content))
        .collect())
}

/// Tells by the first member's name; a name too long for USTAR stands in a PAX record before it.
fn is_signature(tar: &[u8]) -> bool {
    let is_pax = tar.get(156).is_some_and(|flag| *flag == b'x');
    tar.starts_with(b".SIGN.")
        || is_pax
            && tarball::read(Bytes::copy_from_slice(tar), &tarball::Limits::default()).is_ok_and(|entries| {
                entries
                    .first()
                    .is_some_and(|entry| entry.header.path.starts_with(".SIGN."))
            })
}
