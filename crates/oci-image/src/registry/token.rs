//! What a registry is shown when it asks who is there.

use std::sync::PoisonError;

use http_exchange::{HttpUrl, Login};
use ureq::http::{HeaderMap, Method, header};

use super::auth::{Challenge, TokenAnswer, form};
use super::call::{Call, Payload};
use super::client::{Access, Repository};
use super::credentials::RegistryLogin;
use super::error::RegistryError;

/// Where tokens are, and for what.
struct TokenServer {
    realm: String,
    service: Option<String>,
    scope: Option<String>,
}

impl Repository {
    pub(super) fn authorization(&self) -> Option<String> {
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Meets the challenge of a registry; `None` where there is nothing to meet it with. `used` is what went with the
    /// request that it did not take: where another thread has something newer, that is it.
    pub(super) fn authorize(
        &self,
        used: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Option<String>, RegistryError> {
        let mut authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner);
        if authorization.as_deref() != used {
            return Ok(authorization.clone());
        }
        let values = headers.get_all(header::WWW_AUTHENTICATE);
        let challenge = Challenge::choose(values.iter().filter_map(|value| value.to_str().ok()));
        let credentials = &self.client.shared.options.credentials;
        let login =
            credentials
                .find(&self.registry, &self.name)
                .map_err(|source| RegistryError::Credentials {
                    registry: self.registry.clone(),
                    source,
                })?;
        let new = match (challenge, login) {
            (_, Some(RegistryLogin::RegistryToken(token))) => Some(format!("Bearer {token}")),
            (Some(Challenge::Basic), Some(RegistryLogin::Password(login))) => Some(login.header()),
            (
                Some(Challenge::Bearer {
                    realm,
                    service,
                    scope,
                }),
                login,
            ) => {
                let server = TokenServer {
                    realm,
                    service,
                    scope,
                };
                Some(self.token(&server, login)?)
            }
            _ => None,
        };
        // What it did not take a moment ago it will not take now.
        let new = new.filter(|new| used != Some(new.as_str()));
        authorization.clone_from(&new);
        Ok(new)
    }

    /// Gets a token. The one that is asked for is for all that will be done here.
    fn token(&self, server: &TokenServer, login: Option<RegistryLogin>) -> Result<String, RegistryError> {
        let url = self.url_of_tokens(&server.realm)?;
        if self.base.is_secure() && !url.is_secure() {
            return Err(RegistryError::UnsafeRealm {
                registry: self.registry.clone(),
                realm: url.to_string(),
            });
        }
        let name = format!("a token for {}/{} from {url}", self.registry, self.name);
        let body = match login {
            Some(RegistryLogin::IdentityToken(token)) => self.exchange(server, url, &token, &name)?,
            Some(RegistryLogin::Password(login)) => self.ask_for_token(server, Some(&login), &name)?,
            _ => self.ask_for_token(server, None, &name)?,
        };
        let answer: TokenAnswer = serde_json::from_slice(&body)
            .map_err(|_| self.protocol(format!("{name}: it is not JSON with a token")))?;
        let token = answer
            .token()
            .ok_or_else(|| self.protocol(format!("{name}: there is none in the answer")))?;
        Ok(format!("Bearer {token}"))
    }

    /// Asks for a token with a user name and password, or without.
    fn ask_for_token(
        &self,
        server: &TokenServer,
        login: Option<&Login>,
        name: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        let scopes = self.scopes(server);
        let mut fields = Vec::new();
        fields.extend(server.service.as_deref().map(|service| ("service", service)));
        fields.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
        let realm = &server.realm;
        let mark = if realm.contains('?') { '&' } else { '?' };
        let call = Call {
            method: Method::GET,
            url: self.url_of_tokens(&format!("{realm}{mark}{}", form(&fields)))?,
            headers: Vec::new(),
            payload: Payload::None,
        };
        let login = login.map(Login::header);
        self.token_answer(&call, login.as_deref(), login.is_some(), name)
    }

    /// Exchanges a token that identifies the user for one that goes with requests.
    fn exchange(
        &self,
        server: &TokenServer,
        url: HttpUrl,
        token: &str,
        name: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        let scopes = self.scopes(server).join(" ");
        let mut fields = vec![
            ("grant_type", "refresh_token"),
            ("client_id", "apko"),
            ("scope", scopes.as_str()),
            ("refresh_token", token),
        ];
        fields.extend(server.service.as_deref().map(|service| ("service", service)));
        let fields = form(&fields);
        let content_type = "application/x-www-form-urlencoded".to_owned();
        let call = Call {
            method: Method::POST,
            url,
            headers: vec![(header::CONTENT_TYPE, content_type)],
            payload: Payload::Bytes(fields.as_bytes()),
        };
        self.token_answer(&call, None, true, name)
    }

    fn token_answer(
        &self,
        call: &Call<'_>,
        login: Option<&str>,
        with_login: bool,
        name: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        self.retrying("get", name, None, || {
            let mut answer = self.client.send(call, login, name)?;
            answer.with_login = with_login;
            match answer.status().is_success() {
                true => Ok(answer.body()),
                false => Err(answer.refused(name).into()),
            }
        })
    }

    /// What a token must be for.
    fn scopes(&self, server: &TokenServer) -> Vec<String> {
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let others = self.sources.iter().map(|name| format!("repository:{name}:pull"));
        // Registries may know of scopes of their own.
        let own = server
            .scope
            .iter()
            .filter(|scope| !scope.starts_with("repository:"));
        std::iter::once(format!("repository:{}:{actions}", self.name))
            .chain(others)
            .chain(own.cloned())
            .collect()
    }

    fn url_of_tokens(&self, text: &str) -> Result<HttpUrl, RegistryError> {
        HttpUrl::parse(text).map_err(|error| self.protocol(format!("tokens are at `{text}`: {error}")))
    }
}
