//! The image config: how a container is started from the image, and what its layers are.
//!
//! Fields, their order and what is left out when empty follow go-containerregistry's
//! `v1.ConfigFile`, since the config's digest is the image's identity.

use crate::{Digest, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// An image config.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// Go's name of the machine.
    #[serde(deserialize_with = "or_default")]
    pub architecture: String,
    /// Who made the image.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// The container that the image was committed from (Docker).
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// When the image was made.
    #[serde(deserialize_with = "or_default")]
    pub created: Timestamp,
    /// The version of Docker that made the image.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub docker_version: String,
    /// How each layer came about.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// The system, `linux` here.
    #[serde(deserialize_with = "or_default")]
    pub os: String,
    /// The layers.
    #[serde(deserialize_with = "or_default")]
    pub rootfs: RootFs,
    /// How a container is started.
    #[serde(deserialize_with = "or_default")]
    pub config: RuntimeConfig,
    /// The version of the system, in images for Windows.
    #[serde(
        rename = "os.version",
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    /// The version of the machine, `v6` or `v7` for `arm`.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// What the system must be able to do, for example `erofs`.
    #[serde(
        rename = "os.features",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
}

/// How one layer came about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// Who made the layer.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// When the layer was made.
    #[serde(deserialize_with = "or_default")]
    pub created: Timestamp,
    /// The command or tool that made the layer.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// A remark for people.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether the step made no layer.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// The layers of an image by the digests of their uncompressed tars.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The diff IDs, lowest first.
    #[serde(default, deserialize_with = "or_default")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self {
            kind: "layers".to_owned(),
            diff_ids: Vec::new(),
        }
    }
}

/// How a container is started from the image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(
    missing_docs,
    reason = "Docker's own names; the OCI specification documents those that count"
)]
pub struct RuntimeConfig {
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub attach_stderr: bool,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub attach_stdin: bool,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub attach_stdout: bool,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub domainname: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub image: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub open_stdin: bool,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub stdin_once: bool,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub tty: bool,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Present>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Present>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub network_disabled: bool,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub mac_address: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
}

/// The empty object `{}` that stands behind each key of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Present {}

/// How to find out whether a container is well (Docker). Durations are nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[allow(missing_docs, reason = "Docker's own names")]
pub struct Healthcheck {
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub retries: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// Reads `null` as the default value, as Go does; Docker writes `null` for empty lists.
pub(crate) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_of_docker_are_read_and_left_out() {
        let json = r#"{"architecture":"amd64","config":{"Cmd":null,"Volumes":null,"Healthcheck":null,"Labels":null},
            "history":null,"os":"linux","rootfs":{"type":"layers","diff_ids":null}}"#;
        let config: ImageConfig = serde_json::from_str(json).unwrap();
        assert_eq!(
            go_json::to_string(&config).unwrap(),
            r#"{"architecture":"amd64","created":"0001-01-01T00:00:00Z","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{}}"#
        );
    }

    #[test]
    fn every_field_keeps_its_place() {
        let json = concat!(
            r#"{"architecture":"arm","author":"me","container":"c","created":"2020-01-01T00:00:00.5Z","docker_version":"1","#,
            r#""history":[{"author":"a","created":"0001-01-01T00:00:00Z","created_by":"b","comment":"c","empty_layer":true}],"#,
            r#""os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{"AttachStderr":true,"AttachStdin":true,"#,
            r#""AttachStdout":true,"Cmd":["a"],"Healthcheck":{"Test":["NONE"],"Interval":1,"Timeout":2,"StartPeriod":3,"Retries":4},"#,
            r#""Domainname":"d","Entrypoint":["e"],"Env":["F=1"],"Hostname":"h","Image":"i","Labels":{"l":"\u003c"},"OnBuild":["o"],"#,
            r#""OpenStdin":true,"StdinOnce":true,"Tty":true,"User":"u","Volumes":{"/v":{}},"WorkingDir":"/w","ExposedPorts":{"80/tcp":{}},"#,
            r#""ArgsEscaped":true,"NetworkDisabled":true,"MacAddress":"m","StopSignal":"SIGINT","Shell":["sh"]},"#,
            r#""os.version":"10","variant":"v7","os.features":["erofs"]}"#
        );
        let config: ImageConfig = serde_json::from_str(json).unwrap();
        assert_eq!(go_json::to_string(&config).unwrap(), json);
    }
}
