//! Credentials as Docker and Podman keep them, and the programs that keep them elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_exchange::Login;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What Docker calls its own registry in its configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The user name with which a program gives a token.
const TOKEN_USER: &str = "<token>";

/// What identifies a user to a registry. Nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub enum RegistryLogin {
    /// A user name and a password.
    Password(Login),
    /// A token with which other tokens can be had.
    IdentityToken(String),
    /// A token that goes with each request.
    RegistryToken(String),
}

impl fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
            Self::RegistryToken(_) => "RegistryToken(…)",
        })
    }
}

/// Why credentials could not be read or kept. It quotes nothing of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The configuration is no JSON, or no configuration.
    #[error("line {line}, column {column}: it is not a configuration of Docker")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// An entry of `auths` is not what `docker login` writes.
    #[error("`auths`: the entry `{server}` is not base64 of USER:PASSWORD")]
    Entry {
        /// The key of the entry.
        server: String,
    },
    /// A program that keeps credentials cannot be run.
    #[error("{program}: {source}")]
    Run {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program that keeps credentials failed.
    #[error("{program} {action} failed: {said}")]
    Helper {
        /// The program.
        program: String,
        /// `get` or `store`.
        action: &'static str,
        /// What it said.
        said: String,
    },
}

/// A configuration of Docker (`config.json`) or Podman (`auth.json`), as far as it is about credentials.
#[derive(Clone, Default)]
pub struct DockerConfig {
    /// By server, which may be a URL, and may have a repository behind it.
    auths: Vec<(String, RegistryLogin)>,
    /// The programs for some servers.
    helpers: BTreeMap<String, String>,
    /// The program for all others.
    store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    auths: BTreeMap<String, Option<Entry>>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl DockerConfig {
    /// Reads a configuration; an empty text is one too.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let document: Document = serde_json::from_str(text).map_err(|error| syntax(&error))?;
        let mut auths = Vec::new();
        for (server, entry) in document.auths {
            // With a program that keeps credentials, Docker writes entries that are empty.
            if let Some(login) = entry.unwrap_or_default().login(&server)? {
                auths.push((server, login));
            }
        }
        Ok(Self {
            auths,
            helpers: document.cred_helpers,
            store: Some(document.creds_store).filter(|store| !store.is_empty()),
        })
    }

    /// Adds credentials, which are taken where there are no others.
    pub fn add(&mut self, server: &str, login: RegistryLogin) {
        self.auths.push((server.to_owned(), login));
    }

    /// The credentials for a repository: from the program that keeps them, or else the entry that names the most of it.
    ///
    /// # Errors
    /// When the program fails. That it has none is no error.
    pub fn find(&self, registry: &str, repository: &str) -> Result<Option<RegistryLogin>, CredentialsError> {
        if let Some(program) = self.helper(registry)
            && let Some(login) = helper_get(&program, &server_key(registry))?
        {
            return Ok(Some(login));
        }
        let mut wanted = format!("{}/{repository}", canonical(registry));
        loop {
            let mut auths = self.auths.iter();
            if let Some((_, login)) = auths.find(|(server, _)| canonical(server) == wanted) {
                return Ok(Some(login.clone()));
            }
            match wanted.rfind('/') {
                Some(slash) => wanted.truncate(slash),
                None => return Ok(None),
            }
        }
    }

    /// The program that keeps the credentials for a registry.
    pub fn helper(&self, registry: &str) -> Option<String> {
        let registry = canonical(registry);
        let own = self
            .helpers
            .iter()
            .find(|(server, _)| canonical(server) == registry);
        let name = own.map(|(_, name)| name).or(self.store.as_ref())?;
        Some(format!("docker-credential-{name}"))
    }
}

impl fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerConfig")
            .field(
                "auths",
                &self.auths.iter().map(|(server, _)| server).collect::<Vec<_>>(),
            )
            .field("helpers", &self.helpers)
            .field("store", &self.store)
            .finish()
    }
}

impl Entry {
    fn login(self, server: &str) -> Result<Option<RegistryLogin>, CredentialsError> {
        if !self.registrytoken.is_empty() {
            return Ok(Some(RegistryLogin::RegistryToken(self.registrytoken)));
        }
        if !self.identitytoken.is_empty() {
            return Ok(Some(RegistryLogin::IdentityToken(self.identitytoken)));
        }
        if self.auth.is_empty() {
            let is_empty = self.username.is_empty() && self.password.is_empty();
            let login = Login::new(self.username, self.password);
            return Ok((!is_empty).then_some(RegistryLogin::Password(login)));
        }
        let malformed = || CredentialsError::Entry {
            server: server.to_owned(),
        };
        let decoded = STANDARD.decode(self.auth.trim()).map_err(|_| malformed())?;
        // Old versions of Docker end it with zeros.
        let decoded = String::from_utf8(decoded).map_err(|_| malformed())?;
        let (user, password) = decoded
            .trim_end_matches('\0')
            .split_once(':')
            .ok_or_else(malformed)?;
        Ok(Some(RegistryLogin::Password(Login::new(user, password))))
    }
}

/// The text of a configuration with another password for a registry; all else in it stays.
///
/// # Errors
/// When the text is malformed.
pub fn with_login(text: &str, registry: &str, login: &Login) -> Result<String, CredentialsError> {
    let mut document: Map<String, Value> = match text.trim() {
        "" => Map::new(),
        text => serde_json::from_str(text).map_err(|error| syntax(&error))?,
    };
    let auths = document.entry("auths").or_insert_with(|| json!({}));
    let Some(auths) = auths.as_object_mut() else {
        return Err(CredentialsError::Syntax { line: 1, column: 1 });
    };
    let canonical_name = canonical(registry);
    auths.retain(|server, _| canonical(server) != canonical_name);
    let auth = STANDARD.encode(format!("{}:{}", login.user(), login.password()));
    auths.insert(server_key(registry), json!({ "auth": auth }));
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // Values out of JSON are JSON.
    document
        .serialize(&mut serializer)
        .map_err(|error| syntax(&error))?;
    Ok(String::from_utf8_lossy(&out).into_owned() + "\n")
}

/// Has a program keep a password for a registry.
///
/// # Errors
/// When it fails.
pub fn helper_store(program: &str, registry: &str, login: &Login) -> Result<(), CredentialsError> {
    let request = json!({
        "ServerURL": server_key(registry),
        "Username": login.user(),
        "Secret": login.password(),
    });
    run(program, "store", &request.to_string()).map(drop)
}

fn helper_get(program: &str, server: &str) -> Result<Option<RegistryLogin>, CredentialsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let answer = match run(program, "get", server) {
        Ok(answer) => answer,
        // The words that all these programs share.
        Err(CredentialsError::Helper { said, .. }) if said.contains("credentials not found") => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| CredentialsError::Helper {
        program: program.to_owned(),
        action: "get",
        said: "it printed something that is no answer".to_owned(),
    })?;
    Ok(match (answer.username.as_str(), answer.secret) {
        ("", secret) if secret.is_empty() => None,
        (TOKEN_USER, secret) => Some(RegistryLogin::IdentityToken(secret)),
        (user, secret) => Some(RegistryLogin::Password(Login::new(user, secret))),
    })
}

fn run(program: &str, action: &'static str, input: &str) -> Result<Vec<u8>, CredentialsError> {
    let failed = |source| CredentialsError::Run {
        program: program.to_owned(),
        source,
    };
    let mut child = Command::new(program)
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read it says so by its status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    // What went wrong is said on either; where it worked, the secret is on the first one.
    let said = [output.stdout, output.stderr].concat();
    Err(CredentialsError::Helper {
        program: program.to_owned(),
        action,
        said: String::from_utf8_lossy(&said).trim().to_owned(),
    })
}

/// A server as these files and programs call it.
fn server_key(registry: &str) -> String {
    match canonical(registry).as_str() {
        "index.docker.io" => DOCKER_HUB.to_owned(),
        other => other.to_owned(),
    }
}

/// A server without scheme and version, in one form for those that have several names.
fn canonical(server: &str) -> String {
    let name = server.split_once("://").map_or(server, |(_, rest)| rest);
    let name = name.trim_end_matches('/');
    let name = name
        .strip_suffix("/v1")
        .or(name.strip_suffix("/v2"))
        .unwrap_or(name);
    let (host, path) = name.split_at(name.find('/').unwrap_or(name.len()));
    let host = match host.to_ascii_lowercase().as_str() {
        "docker.io" | "registry-1.docker.io" => "index.docker.io".to_owned(),
        host => host.to_owned(),
    };
    host + path
}

/// Where a text is no JSON. The message of the error could quote what it should not.
fn syntax(error: &serde_json::Error) -> CredentialsError {
    CredentialsError::Syntax {
        line: error.line(),
        column: error.column(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(user: &str, password: &str) -> Option<RegistryLogin> {
        Some(RegistryLogin::Password(Login::new(user, password)))
    }

    #[test]
    fn the_entry_that_names_the_most_of_a_repository_wins() {
        let config = DockerConfig::parse(
            r#"{ "auths": {
                "https://index.docker.io/v1/": { "auth": "aHViOnB3" },
                "ghcr.io": { "auth": "Z2hjcjpwOnc=" },
                "ghcr.io/team": { "username": "team", "password": "pw" },
                "HTTPS://Quay.io/v2/": { "identitytoken": "t" },
                "empty.example.org": {},
                "null.example.org": null
            }, "HttpHeaders": { "a": "b" } }"#,
        )
        .unwrap();
        let rows = [
            ("index.docker.io", "library/alpine", password("hub", "pw")),
            ("docker.io", "a/b", password("hub", "pw")),
            ("ghcr.io", "other/web", password("ghcr", "p:w")),
            ("ghcr.io", "team/web", password("team", "pw")),
            ("ghcr.io", "teams/web", password("ghcr", "p:w")),
            (
                "quay.io",
                "a/b",
                Some(RegistryLogin::IdentityToken("t".to_owned())),
            ),
            ("empty.example.org", "a/b", None),
            ("ghcr.io.evil", "team/web", None),
        ];
        for (registry, repository, login) in rows {
            assert!(
                config.find(registry, repository).unwrap() == login,
                "{registry}/{repository}"
            );
        }
        assert!(!format!("{config:?}").contains("pw"));
    }

    #[test]
    fn what_is_malformed_is_told_without_its_words() {
        let rows = [
            ("{\n \"auths\": s3cret", "line 2, column 11"),
            (r#"{"auths": {"h": {"auth": "s3cret"}}}"#, "`h`"),
            (r#"{"auths": {"h": {"auth": "czNjcmV0"}}}"#, "`h`"),
            (r#"{"auths": ["s3cret"]}"#, "line 1"),
        ];
        for (text, place) in rows {
            let error = DockerConfig::parse(text).unwrap_err().to_string();
            assert!(error.contains(place) && !error.contains("s3cret"), "{error}");
        }
        assert!(DockerConfig::parse(" \n").is_ok());
    }

    #[test]
    fn a_login_changes_its_entry_and_nothing_else() {
        let login = Login::new("me", "pw");
        let text = with_login("", "docker.io", &login).unwrap();
        assert_eq!(
            text,
            "{\n\t\"auths\": {\n\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"bWU6cHc=\"\n\t\t}\n\t}\n}\n"
        );
        let before = r#"{"z": [1, 2.50], "auths": {"https://h/v2/": {"identitytoken": "t"}, "g": {"auth": "YTpi"}}, "a": null}"#;
        let after: Value = serde_json::from_str(&with_login(before, "h", &login).unwrap()).unwrap();
        let want =
            json!({"z": [1, 2.50], "auths": {"g": {"auth": "YTpi"}, "h": {"auth": "bWU6cHc="}}, "a": null});
        assert_eq!(after.to_string(), want.to_string(), "in the same order");
        assert!(with_login("[]", "h", &login).is_err());
        assert!(with_login(r#"{"auths": []}"#, "h", &login).is_err());
    }

    #[test]
    fn programs_are_named_as_docker_names_them() {
        let text = r#"{"credsStore": "desktop", "credHelpers": {"ghcr.io": "gh"}}"#;
        let config = DockerConfig::parse(text).unwrap();
        assert_eq!(config.helper("ghcr.io").as_deref(), Some("docker-credential-gh"));
        assert_eq!(
            config.helper("quay.io").as_deref(),
            Some("docker-credential-desktop")
        );
        assert_eq!(DockerConfig::default().helper("ghcr.io"), None);
    }
}
