//! What registries want to know of whoever asks, and the tokens that they give out.

use serde::Deserialize;

/// What a registry wants, as `WWW-Authenticate` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A user name and a password.
    Basic,
    /// A token, which is had from `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
        /// For what the token must be.
        scope: Option<String>,
    },
}

/// A token, as servers give it out.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl TokenAnswer {
    pub(super) fn token(self) -> Option<String> {
        self.token.or(self.access_token).filter(|token| !token.is_empty())
    }
}

impl Challenge {
    /// The challenge that can be met best, of all that the values of the header have.
    pub(super) fn choose<'h>(headers: impl IntoIterator<Item = &'h str>) -> Option<Self> {
        let all = headers.into_iter().flat_map(challenges);
        let mut known: Vec<Self> = all
            .filter_map(|(scheme, parameters)| Self::of(scheme, parameters))
            .collect();
        let bearer = known.iter().position(|one| matches!(one, Self::Bearer { .. }));
        match known.is_empty() {
            true => None,
            false => Some(known.swap_remove(bearer.unwrap_or(0))),
        }
    }

    fn of(scheme: &str, mut parameters: Vec<(String, String)>) -> Option<Self> {
        let mut take = |name: &str| {
            let at = parameters.iter().position(|(key, _)| key == name)?;
            Some(parameters.swap_remove(at).1)
        };
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => Some(Self::Basic),
            "bearer" => Some(Self::Bearer {
                realm: take("realm")?,
                service: take("service"),
                scope: take("scope"),
            }),
            _ => None,
        }
    }
}

/// The challenges of a header (RFC 9110, section 11.6.1) with their parameters; what cannot be understood ends it.
fn challenges(header: &str) -> Vec<(&str, Vec<(String, String)>)> {
    let mut all: Vec<(&str, Vec<(String, String)>)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',', '\t']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if word.is_empty() {
            break;
        }
        let value = behind.trim_start().strip_prefix('=');
        rest = match (value, all.last_mut()) {
            (Some(value), Some((_, parameters))) => {
                let Some((value, behind)) = parameter(value.trim_start()) else {
                    break;
                };
                parameters.push((word.to_ascii_lowercase(), value));
                behind
            }
            (Some(_), None) => break,
            (None, _) => {
                all.push((word, Vec::new()));
                behind
            }
        };
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    all
}

/// A value, in quotes or not, and what is behind it.
fn parameter(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', ',', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

/// The form of a query or a body, with everything encoded that could end a value.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        let one = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(one).collect()
    };
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    fields.join("&")
}

/// Feeds a value of `WWW-Authenticate` to the parser, for fuzzing.
#[doc(hidden)]
pub fn parse_challenge(header: &str) -> bool {
    Challenge::choose([header]).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let rows = [
            (
                r#"Bearer realm="https://a/token",service="s",scope="repository:a/b:pull,push""#,
                bearer("https://a/token", Some("s"), Some("repository:a/b:pull,push")),
            ),
            (r#"Basic realm="Registry \"x\"""#, Some(Challenge::Basic)),
            ("Basic", Some(Challenge::Basic)),
            (
                r#"Basic realm="x", bearer REALM=https://a , error=invalid"#,
                bearer("https://a", None, None),
            ),
            (
                r#"Digest qop="auth, int", nonce=1, Basic realm=x"#,
                Some(Challenge::Basic),
            ),
            (r#"Bearer service="s""#, None),
            (r#"Bearer realm="https://a"#, None),
            ("realm=x", None),
            ("", None),
            ("=,=", None),
        ];
        for (header, want) in rows {
            assert_eq!(Challenge::choose([header]), want, "{header}");
        }
        assert_eq!(
            Challenge::choose(["Basic realm=x", "Bearer realm=y"]),
            bearer("y", None, None)
        );
    }

    #[test]
    fn forms_keep_values_apart() {
        let form = form(&[("scope", "repository:a/b:pull"), ("p", "a&b=c é")]);
        assert_eq!(form, "scope=repository%3Aa%2Fb%3Apull&p=a%26b%3Dc%20%C3%A9");
    }
}
