//! Licence expressions as SPDX documents want them.

use sha2::{Digest, Sha256};
use spdx::ParseMode;

/// What may stand in an expression beside what the strict grammar has.
const MODE: ParseMode = ParseMode {
    allow_deprecated: true,
    allow_postfix_plus_on_gpl: true,
    allow_slash_as_or_operator: false,
    allow_imprecise_license_names: false,
    allow_unknown: false,
};

/// True for an SPDX licence expression; identifiers count in any case.
pub fn is_valid(license: &str) -> bool {
    let parses = |text: &str| spdx::Expression::parse_mode(text, MODE).is_ok();
    parses(license) || parses(&with_known_case(license))
}

/// The expression itself where it is a valid one, else a `LicenseRef-` made of it, as the Go melange makes it.
pub fn normalize(license: &str) -> String {
    if license.is_empty() || is_valid(license) {
        return license.to_owned();
    }
    let mut name = String::new();
    for c in license.chars() {
        match c {
            ' ' | '_' => name.push('-'),
            '.' | '-' => name.push(c),
            c if c.is_ascii_alphanumeric() => name.push(c),
            _ => {}
        }
    }
    if name.is_empty() {
        let hash = Sha256::digest(license.as_bytes());
        name = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    }
    format!("LicenseRef-{name}")
}

/// Each word that names a licence or an exception in another case, in the list's own case.
fn with_known_case(license: &str) -> String {
    let known = |word: &str| {
        let licenses = spdx::identifiers::LICENSES.iter().map(|license| license.name);
        let exceptions = spdx::identifiers::EXCEPTIONS
            .iter()
            .map(|exception| exception.name);
        licenses
            .chain(exceptions)
            .find(|name| name.eq_ignore_ascii_case(word))
    };
    let mut text = String::new();
    for piece in license.split_inclusive([' ', '(', ')', '+']) {
        let word = piece.trim_end_matches([' ', '(', ')', '+']);
        text.push_str(known(word).unwrap_or(word));
        text.push_str(&piece[word.len()..]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_stay_and_names_become_references() {
        for (license, normal) in [
            ("MIT", "MIT"),
            ("mit OR apache-2.0", "mit OR apache-2.0"),
            (
                "GPL-2.0-or-later WITH Classpath-exception-2.0",
                "GPL-2.0-or-later WITH Classpath-exception-2.0",
            ),
            ("GPL-2.0+", "GPL-2.0+"),
            ("GPL-3.0", "GPL-3.0"),
            ("LicenseRef-own", "LicenseRef-own"),
            ("", ""),
            ("PROPRIETARY", "LicenseRef-PROPRIETARY"),
            ("My own_licence (2)", "LicenseRef-My-own-licence-2"),
            ("MIT, BSD", "LicenseRef-MIT-BSD"),
            ("*", "LicenseRef-684888c0ebb17f37"),
        ] {
            assert_eq!(normalize(license), normal);
        }
    }
}
