//! `workspace.yaml`.

use std::path::{Path, PathBuf};

use apk_types::Arch;
use melange_config::Libc;
use melange_config::types::StringMap;
use melange_pipeline::runner::Network;
use spanned_yaml::{Diagnostic, Fields, Node, Span};

/// The name of the file, at the root of a workspace.
pub const FILE_NAME: &str = "workspace.yaml";

/// What runs steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunnerKind {
    /// The program bwrap.
    Bubblewrap,
    /// Namespaces made by melange itself.
    Native,
}

impl RunnerKind {
    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bubblewrap => "bubblewrap",
            Self::Native => "native",
        }
    }
}

/// A path pattern, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The pattern, relative to the root.
    pub text: String,
    /// Its place in the file, where it is written there.
    pub span: Option<Span>,
}

/// Where results go, relative to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The repository of the workspace's packages.
    pub packages: PathBuf,
    /// The directory of the images' layouts.
    pub images: PathBuf,
}

/// Results that are shared with others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedCache {
    /// The URL below which results lie.
    pub url: Option<String>,
    /// The directory in which they lie.
    pub directory: Option<PathBuf>,
    /// Whether results are put there, too.
    pub write: bool,
    /// The public keys of those whose results are taken.
    pub keyring: Vec<PathBuf>,
    /// The private key that results are signed with.
    pub signing_key: Option<PathBuf>,
}

/// What `workspace.yaml` says, or what goes without one.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which files are configurations of packages.
    pub packages: Vec<Pattern>,
    /// Which files are configurations of images.
    pub images: Vec<Pattern>,
    /// Which files are neither.
    pub exclude: Vec<Pattern>,
    /// The architectures; those of the host where none is given.
    pub architectures: Vec<Arch>,
    /// Directories of named pipelines.
    pub pipelines: Vec<PathBuf>,
    /// The directory of a package's sources, relative to that of its configuration; `{name}` stands for its name.
    pub source_directory: String,
    /// Repositories beside the workspace's own packages.
    pub repositories: Vec<String>,
    /// Keys of those.
    pub keyring: Vec<String>,
    /// Repositories that the packages of a cycle are built from.
    pub seed: Vec<String>,
    /// The private key for packages and index.
    pub signing_key: Option<PathBuf>,
    /// Where results go.
    pub output: Output,
    /// Build options that are switched on.
    pub build_options: Vec<String>,
    /// Variables for all configurations.
    pub vars: StringMap,
    /// Environment variables of all steps.
    pub environment: StringMap,
    /// The C library of host triplets.
    pub libc: Libc,
    /// What runs steps; the first that works where it is not given.
    pub runner: Option<RunnerKind>,
    /// What steps see of the network.
    pub network: Network,
    /// The distribution, for package URLs.
    pub namespace: String,
    /// The time of all that is made, in seconds since 1970.
    pub source_date_epoch: i64,
    /// Results that are shared with others.
    pub cache: Option<SharedCache>,
}

impl Default for Settings {
    /// A directory of configurations, with their pipelines in `pipelines`, such as that of Wolfi.
    fn default() -> Self {
        let all = Pattern {
            text: "*.yaml".to_owned(),
            span: None,
        };
        Self {
            packages: vec![all],
            images: Vec::new(),
            exclude: Vec::new(),
            architectures: Vec::new(),
            pipelines: vec![PathBuf::from("pipelines")],
            source_directory: "{name}".to_owned(),
            repositories: Vec::new(),
            keyring: Vec::new(),
            seed: Vec::new(),
            signing_key: None,
            output: Output {
                packages: PathBuf::from("packages"),
                images: PathBuf::from("oci"),
            },
            build_options: Vec::new(),
            vars: StringMap::new(),
            environment: StringMap::new(),
            libc: Libc::Gnu,
            runner: None,
            network: Network::Host,
            namespace: "unknown".to_owned(),
            source_date_epoch: 0,
            cache: None,
        }
    }
}

/// Reads the text of a `workspace.yaml`.
///
/// # Errors
/// With all that is wrong with it: text that is not YAML, unknown keys, values of the wrong kind.
pub fn parse(text: &str) -> Result<Settings, Vec<Diagnostic>> {
    let document = spanned_yaml::parse(text).map_err(|fault| vec![fault])?;
    let mut reader = Reader::default();
    let settings = reader.settings(&document);
    match reader.faults.is_empty() {
        true => Ok(settings),
        false => Err(reader.faults),
    }
}

/// Reads values, and keeps in mind what is wrong with them.
#[derive(Default)]
struct Reader {
    faults: Vec<Diagnostic>,
}

impl Reader {
    fn keep<T: Default>(&mut self, read: Result<T, Diagnostic>) -> T {
        read.unwrap_or_else(|fault| {
            self.faults.push(fault);
            T::default()
        })
    }

    fn settings(&mut self, document: &Node) -> Settings {
        let mut settings = Settings::default();
        let mut fields = match Fields::new(document, "a workspace") {
            Ok(fields) => fields,
            Err(fault) => {
                self.faults.push(fault);
                return settings;
            }
        };
        if let Some(packages) = self.patterns(&mut fields, "packages") {
            settings.packages = packages;
        }
        settings.images = self.patterns(&mut fields, "images").unwrap_or_default();
        settings.exclude = self.patterns(&mut fields, "exclude").unwrap_or_default();
        settings.architectures = self.architectures(&mut fields);
        if let Some(directories) = self.given_strings(&mut fields, "pipelines") {
            settings.pipelines = directories.into_iter().map(PathBuf::from).collect();
        }
        self.replace(&mut settings.source_directory, fields.string("source-directory"));
        settings.repositories = self.keep(fields.strings("repositories"));
        settings.keyring = self.keep(fields.strings("keyring"));
        settings.seed = self.keep(fields.strings("seed"));
        settings.signing_key = self.keep(fields.string("signing-key")).map(PathBuf::from);
        self.output(&mut fields, &mut settings.output);
        settings.build_options = self.keep(fields.strings("build-options"));
        settings.vars = self.keep(fields.map_of_strings("vars")).into_iter().collect();
        settings.environment = self
            .keep(fields.map_of_strings("environment"))
            .into_iter()
            .collect();
        let libcs = [("gnu", Libc::Gnu), ("musl", Libc::Musl)];
        settings.libc = self.one_of(&mut fields, "libc", &libcs).unwrap_or_default();
        let runners = [RunnerKind::Bubblewrap, RunnerKind::Native].map(|kind| (kind.name(), kind));
        settings.runner = self.one_of(&mut fields, "runner", &runners);
        let networks = [("host", Network::Host), ("none", Network::None)];
        settings.network = self
            .one_of(&mut fields, "network", &networks)
            .unwrap_or(Network::Host);
        self.replace(&mut settings.namespace, fields.string("namespace"));
        settings.source_date_epoch = self.keep(fields.int("source-date-epoch")).unwrap_or_default();
        settings.cache = self.cache(&mut fields);
        self.faults.extend(fields.unknown());
        settings
    }

    fn replace(&mut self, value: &mut String, read: Result<Option<String>, Diagnostic>) {
        if let Some(read) = self.keep(read) {
            *value = read;
        }
    }

    /// A list that may be left out, which is something else than an empty one.
    fn given_strings<'a>(&mut self, fields: &mut Fields<'a>, key: &'a str) -> Option<Vec<String>> {
        let node = fields.take(key).filter(|node| !node.is_null())?;
        let items = node
            .as_seq()
            .ok_or_else(|| node.mismatch(key, "a list of strings"));
        let texts = items.and_then(|items| {
            let text = |item: &Node| {
                let text = item.as_str().map(str::to_owned);
                text.ok_or_else(|| item.mismatch(key, "a list of strings"))
            };
            items.iter().map(text).collect()
        });
        Some(self.keep(texts))
    }

    fn patterns<'a>(&mut self, fields: &mut Fields<'a>, key: &'a str) -> Option<Vec<Pattern>> {
        let node = fields.take(key).filter(|node| !node.is_null())?;
        let Some(items) = node.as_seq() else {
            self.faults.push(node.mismatch(key, "a list of paths"));
            return None;
        };
        let mut patterns = Vec::new();
        for item in items {
            let pattern = match item.as_str() {
                None => Err(item.mismatch(key, "a list of paths")),
                Some(text) => pattern(text, item.span),
            };
            patterns.extend(self.keep(pattern.map(Some)));
        }
        Some(patterns)
    }

    fn architectures(&mut self, fields: &mut Fields<'_>) -> Vec<Arch> {
        let items = self.keep(
            fields
                .seq("architectures", "a list of architectures")
                .map(<[Node]>::to_vec),
        );
        let mut archs = Vec::new();
        for item in items {
            let name = item.as_str().unwrap_or_default();
            match name.parse::<Arch>() {
                Ok(arch) if archs.contains(&arch) => {}
                Ok(arch) => archs.push(arch),
                Err(_) => {
                    let names: Vec<&str> = Arch::ALL.iter().map(|arch| arch.apk_name()).collect();
                    let fault = Diagnostic::new(format!("`{name}` is no architecture")).at(item.span);
                    self.faults
                        .push(fault.help(format!("there are {}", names.join(", "))));
                }
            }
        }
        archs
    }

    fn output(&mut self, fields: &mut Fields<'_>, output: &mut Output) {
        let Some(mut own) = self
            .keep(fields.fields("output", "the output").map(Some))
            .flatten()
        else {
            return;
        };
        let places = [("packages", &mut output.packages), ("images", &mut output.images)];
        for (key, place) in places {
            if let Some(path) = self.keep(own.string(key)) {
                *place = PathBuf::from(path);
            }
        }
        self.faults.extend(own.unknown());
    }

    fn cache<'a>(&mut self, fields: &mut Fields<'a>) -> Option<SharedCache> {
        let node = fields.take("cache").filter(|node| !node.is_null())?;
        let mut own = match Fields::new(node, "a shared cache") {
            Ok(own) => own,
            Err(fault) => {
                self.faults.push(fault);
                return None;
            }
        };
        let path = |text: String| PathBuf::from(text);
        let cache = SharedCache {
            url: self.keep(own.string("url")),
            directory: self.keep(own.string("directory")).map(path),
            write: self.keep(own.bool("write")).unwrap_or_default(),
            keyring: self.keep(own.strings("keyring")).into_iter().map(path).collect(),
            signing_key: self.keep(own.string("signing-key")).map(path),
        };
        self.faults.extend(own.unknown());
        let wrong = match &cache {
            SharedCache {
                url: Some(_),
                directory: Some(_),
                ..
            } => "a shared cache has a `url` or a `directory`, not both",
            SharedCache {
                url: None,
                directory: None,
                ..
            } => "a shared cache needs a `url` or a `directory`",
            SharedCache { keyring, .. } if keyring.is_empty() => {
                "a shared cache needs a `keyring`: the keys of those whose results are taken"
            }
            SharedCache {
                write: true,
                signing_key: None,
                ..
            } => "a shared cache that is written to needs a `signing-key`",
            _ => return Some(cache),
        };
        self.faults.push(Diagnostic::new(wrong).at(node.span));
        None
    }

    fn one_of<'a, T: Copy>(
        &mut self,
        fields: &mut Fields<'a>,
        key: &'a str,
        known: &[(&str, T)],
    ) -> Option<T> {
        let node = fields.take(key).filter(|node| !node.is_null())?;
        let text = node.as_str().unwrap_or_default();
        let found = known.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names: Vec<String> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
            let message = format!("`{key}` must be {}", names.join(" or "));
            self.faults.push(Diagnostic::new(message).at(node.span));
        }
        found.map(|(_, value)| *value)
    }
}

fn pattern(text: &str, span: Span) -> Result<Pattern, Diagnostic> {
    let leaves =
        Path::new(text).is_absolute() || Path::new(text).components().any(|part| part.as_os_str() == "..");
    if leaves {
        let message = format!("`{text}` leads out of the workspace");
        return Err(Diagnostic::new(message).at(span));
    }
    glob::Pattern::new(text).map_err(|error| {
        Diagnostic::new(format!("`{text}` is not a path pattern: {}", error.msg)).at(span)
    })?;
    Ok(Pattern {
        text: text.to_owned(),
        span: Some(span),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let faults = parse(text).err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_is_needed() {
        let settings = parse("").unwrap();
        assert_eq!(settings.packages[0].text, "*.yaml");
        assert_eq!(settings.output.packages, Path::new("packages"));
    }

    #[test]
    fn all_is_read() {
        let text = "packages: [a/*.yaml]\nimages: [i/*.yaml]\nexclude: [a/x.yaml]\narchitectures: [x86_64, arm64]\n\
                    pipelines: [p]\nsource-directory: .\nrepositories: [r]\nkeyring: [k]\nseed: [s]\nsigning-key: key\n\
                    output: {packages: out, images: img}\nbuild-options: [o]\nvars: {a: b}\nenvironment: {C: d}\n\
                    libc: musl\nrunner: native\nnetwork: none\nnamespace: n\nsource-date-epoch: 7\n\
                    cache: {url: 'https://c', write: true, keyring: [k], signing-key: s}\n";
        let settings = parse(text).unwrap();
        assert_eq!(settings.architectures, [Arch::X86_64, Arch::Aarch64]);
        assert_eq!(settings.libc, Libc::Musl);
        assert_eq!(settings.runner, Some(RunnerKind::Native));
        assert_eq!(settings.network, Network::None);
        assert_eq!(settings.source_date_epoch, 7);
        assert_eq!(settings.output.images, Path::new("img"));
        assert!(settings.cache.unwrap().write);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_all_at_once() {
        assert_eq!(
            faults("pakages: []\narchitectures: [vax]\nrunner: qemu\n"),
            [
                "line 2, column 17: `vax` is no architecture",
                "line 3, column 9: `runner` must be `bubblewrap` or `native`",
                "line 1, column 1: unknown key `pakages`",
            ]
        );
        let rows = [
            (
                "packages: [../x.yaml]",
                "line 1, column 12: `../x.yaml` leads out of the workspace",
            ),
            (
                "packages: x",
                "line 1, column 11: `packages` must be a list of paths, not a string",
            ),
            (
                "cache: {url: x, directory: y}",
                "line 1, column 8: a shared cache has a `url` or a `directory`, not both",
            ),
            (
                "cache: {}",
                "line 1, column 8: a shared cache needs a `url` or a `directory`",
            ),
        ];
        for (text, wanted) in rows {
            assert_eq!(faults(text), [wanted], "{text}");
        }
    }
}
