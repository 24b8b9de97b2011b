//! User names and passwords, and which server gets them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fluent_uri::pct_enc::EStr;
use fluent_uri::pct_enc::encoder::Userinfo;

use crate::url::HttpUrl;

/// A user name and a password. Nothing shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    user: String,
    password: String,
}

impl Login {
    /// Reads what stands before the `@` of a URL.
    pub(crate) fn from_userinfo(text: &str) -> Self {
        let decode = |text: &str| match EStr::<Userinfo>::new(text) {
            Some(text) => text.decode().to_string_lossy().into_owned(),
            None => text.to_owned(),
        };
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        Self::new(decode(user), decode(password))
    }

    /// A user name and its password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
        }
    }

    /// The user name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The value of an `Authorization` header.
    pub fn header(&self) -> String {
        format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", self.user, self.password))
        )
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

/// User names and passwords for HTTP basic authentication, by the server they are for.
///
/// A server gets the first that fits it of: those that were [added](Self::add) and those of `HTTP_AUTH`; what stands in
/// the URL itself; those of a netrc file. After a redirect to another server nothing is sent any more.
/// Nothing shows them, debug output neither.
#[derive(Clone, Default)]
pub struct Credentials {
    by_host: Vec<(String, Login)>,
    /// The machine, `None` for `default`.
    netrc: Vec<(Option<String>, Login)>,
}

/// Why credentials could not be read. It quotes nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum CredentialsError {
    #[error("HTTP_AUTH is not `basic:HOST:USER:PASSWORD`")]
    HttpAuth,
    #[error("line {line}: `{word}` needs a value")]
    NoValue { line: usize, word: &'static str },
    #[error("line {line}: neither `machine` nor `default` stands before this")]
    NoMachine { line: usize },
    #[error("line {line}: there is a word that no netrc file has")]
    UnknownWord { line: usize },
}

impl Credentials {
    /// Adds a login for a host, written with its port where that is part of the URLs.
    pub fn add(&mut self, host: &str, user: &str, password: &str) {
        self.by_host
            .push((host.to_ascii_lowercase(), Login::new(user, password)));
    }

    /// Adds what the environment variable `HTTP_AUTH` says: `basic:HOST:USER:PASSWORD`, as the Go tools read it. A port
    /// may follow the host.
    ///
    /// # Errors
    /// When it is written otherwise. The Go tools ignore it then.
    pub fn add_http_auth(&mut self, value: &str) -> Result<(), CredentialsError> {
        let parts: Vec<&str> = value.split(':').collect();
        match parts[..] {
            ["basic", host, user, password] => self.add(host, user, password),
            ["basic", host, port, user, password] if port.parse::<u16>().is_ok() => {
                self.add(&format!("{host}:{port}"), user, password);
            }
            _ => return Err(CredentialsError::HttpAuth),
        }
        Ok(())
    }

    /// Adds the machines of a netrc file.
    ///
    /// # Errors
    /// When the text is not one.
    pub fn add_netrc(&mut self, text: &str) -> Result<(), CredentialsError> {
        self.netrc.extend(read_netrc(text)?);
        Ok(())
    }

    /// The value of `Authorization` for a URL.
    pub fn authorization(&self, url: &HttpUrl) -> Option<String> {
        self.find(url).map(|login| login.header())
    }

    fn find(&self, url: &HttpUrl) -> Option<Login> {
        let is_it = |name: &str| name == url.host() || name == url.authority();
        let by_host = self.by_host.iter().find(|(host, _)| is_it(host));
        let netrc = || {
            let fits = |name: &Option<String>| name.as_deref().is_none_or(is_it);
            self.netrc.iter().find(|(name, _)| fits(name))
        };
        by_host
            .map(|(_, login)| login)
            .or(url.login())
            .or_else(|| netrc().map(|(_, login)| login))
            .cloned()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.by_host.iter().map(|(host, _)| host.as_str());
        let machines = self
            .netrc
            .iter()
            .map(|(name, _)| name.as_deref().unwrap_or("default"));
        f.debug_set().entries(hosts.chain(machines)).finish()
    }
}

fn read_netrc(text: &str) -> Result<Vec<(Option<String>, Login)>, CredentialsError> {
    let mut logins: Vec<(Option<String>, Login)> = Vec::new();
    let mut words = netrc_words(text).into_iter();
    while let Some((line, word)) = words.next() {
        let mut value = |word| {
            let next = words.next().map(|(_, value)| value);
            next.ok_or(CredentialsError::NoValue { line, word })
        };
        let begin = |name: Option<String>| (name, Login::new("", ""));
        match word.as_str() {
            "machine" => logins.push(begin(Some(value("machine")?.to_ascii_lowercase()))),
            "default" => logins.push(begin(None)),
            "login" | "password" | "account" => {
                let value = value("login, password or account")?;
                let (_, login) = logins.last_mut().ok_or(CredentialsError::NoMachine { line })?;
                match word.as_str() {
                    "login" => login.user = value,
                    "password" => login.password = value,
                    _ => {}
                }
            }
            _ => return Err(CredentialsError::UnknownWord { line }),
        }
    }
    // A machine without a login has nothing to send.
    logins.retain(|(_, login)| !login.user.is_empty() || !login.password.is_empty());
    Ok(logins)
}

/// The words with their lines; without comments and macros. Quotes and backslashes are read as curl reads them.
fn netrc_words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    let mut in_macro = false;
    for (number, line) in text.lines().enumerate() {
        if in_macro {
            in_macro = !line.trim().is_empty();
            continue;
        }
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with('#') {
            let (word, after) = netrc_word(rest);
            if word == "macdef" {
                in_macro = true;
                break;
            }
            words.push((number + 1, word));
            rest = after.trim_start();
        }
    }
    words
}

fn netrc_word(text: &str) -> (String, &str) {
    let is_quoted = text.starts_with('"');
    let mut word = String::new();
    let mut chars = text.char_indices().skip(usize::from(is_quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if is_quoted => return (word, &text[at + 1..]),
            '\\' if is_quoted => word.extend(chars.next().map(|(_, c)| c)),
            c if c.is_whitespace() && !is_quoted => return (word, &text[at..]),
            c => word.push(c),
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(credentials: &Credentials, url: &str) -> Option<(String, String)> {
        let url = HttpUrl::parse(url).unwrap();
        credentials.find(&url).map(|login| (login.user, login.password))
    }

    fn login(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn http_auth_is_for_its_host_alone_and_wins() {
        let mut credentials = Credentials::default();
        credentials
            .add_http_auth("basic:apk.example.org:user:t0ken")
            .unwrap();
        credentials.add_http_auth("basic:localhost:8080:me:pw").unwrap();
        let rows = [
            ("https://apk.example.org/os", login("user", "t0ken")),
            ("https://other:pw@apk.example.org/os", login("user", "t0ken")),
            ("https://example.org/os", None),
            ("https://apk.example.org.evil/os", None),
            ("http://localhost:8080/os", login("me", "pw")),
            ("http://localhost:8081/os", None),
        ];
        for (url, want) in rows {
            assert_eq!(found(&credentials, url), want, "{url}");
        }
        for wrong in ["", "basic:h:u", "digest:h:u:p", "basic:h:u:p:q"] {
            assert_eq!(credentials.add_http_auth(wrong), Err(CredentialsError::HttpAuth));
        }
    }

    #[test]
    fn a_url_wins_over_netrc_and_is_decoded() {
        let mut credentials = Credentials::default();
        credentials.add_netrc("machine h login me password pw").unwrap();
        assert_eq!(found(&credentials, "https://h/"), login("me", "pw"));
        assert_eq!(found(&credentials, "https://a%40b:c%3Ad@h/"), login("a@b", "c:d"));
        assert_eq!(found(&credentials, "https://token@h/"), login("token", ""));
    }

    #[test]
    fn netrc_files_are_read_as_curl_reads_them() {
        let text = "# mine\nmachine A.example.org\n  login me # not a comment inside\n";
        assert_eq!(read_netrc(text).map(|all| all.len()), Ok(1));
        let text = "machine a.example.org login me password \"p w\\\"\"\n\
                    macdef init\n  machine not-read\n\n\
                    machine b.example.org login you account x password pw2\n\
                    machine c.example.org\n\
                    default login anonymous password me@example.org\n";
        let mut credentials = Credentials::default();
        credentials.add_netrc(text).unwrap();
        let rows = [
            ("https://A.example.org/", login("me", "p w\"")),
            ("https://b.example.org:8443/", login("you", "pw2")),
            ("https://c.example.org/", login("anonymous", "me@example.org")),
        ];
        for (url, want) in rows {
            assert_eq!(found(&credentials, url), want, "{url}");
        }
    }

    #[test]
    fn a_wrong_netrc_file_is_told_by_line_without_its_words() {
        let rows = [
            (
                "machine",
                CredentialsError::NoValue {
                    line: 1,
                    word: "machine",
                },
            ),
            ("login me", CredentialsError::NoMachine { line: 1 }),
            (
                "machine a\nlogin me\ns3cret",
                CredentialsError::UnknownWord { line: 3 },
            ),
        ];
        for (text, error) in rows {
            assert_eq!(read_netrc(text), Err(error));
            assert!(!error.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn debug_output_names_hosts_alone() {
        let mut credentials = Credentials::default();
        credentials.add("h", "s3cret", "s3cret");
        credentials
            .add_netrc("default login s3cret password s3cret")
            .unwrap();
        assert_eq!(format!("{credentials:?}"), r#"{"h", "default"}"#);
    }
}
