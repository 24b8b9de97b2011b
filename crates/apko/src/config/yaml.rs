//! The configuration as YAML, as `apko show-config` prints it.

use std::collections::BTreeMap;

use spanned_yaml::EmitValue;

use super::{Contents, Entrypoint, Group, ImageConfiguration, NamedText, PathMutation, User};

impl ImageConfiguration {
    /// The configuration in YAML, with the keys that the Go apko prints, in its order and indented by four.
    pub fn to_yaml(&self) -> String {
        spanned_yaml::emit(&self.emit_value(), 4)
    }

    fn emit_value(&self) -> EmitValue {
        let mut out = Map::default();
        out.put_if(
            self.contents != Contents::default(),
            "contents",
            contents(&self.contents),
        );
        out.put_if(
            self.entrypoint != Entrypoint::default(),
            "entrypoint",
            entrypoint(&self.entrypoint),
        );
        out.text("cmd", &self.cmd);
        out.text("stop-signal", &self.stop_signal);
        out.text("work-dir", &self.work_dir);
        let accounts = Map::of([
            ("run-as", string(&self.accounts.run_as)),
            ("users", list(&self.accounts.users, user)),
            ("groups", list(&self.accounts.groups, group)),
        ]);
        out.put_if(self.accounts != Default::default(), "accounts", accounts);
        out.put_if(
            !self.archs.is_empty(),
            "archs",
            list(&self.archs, |arch| arch.go_name().into()),
        );
        out.put_if(
            !self.environment.is_empty(),
            "environment",
            map(&self.environment),
        );
        out.put_if(!self.paths.is_empty(), "paths", list(&self.paths, path));
        out.text("vcs-url", &self.vcs_url);
        out.put_if(
            !self.annotations.is_empty(),
            "annotations",
            map(&self.annotations),
        );
        out.text("include", &self.include);
        out.strings("volumes", &self.volumes);
        if let Some(layering) = &self.layering {
            let mut inner = Map::default();
            inner.text("strategy", &layering.strategy);
            inner.put_if(layering.budget != 0, "budget", number(layering.budget));
            out.put("layering", inner.done());
        }
        out.text("format", &self.format);
        if let Some(certificates) = &self.certificates {
            let mut inner = Map::default();
            inner.named("additional", &certificates.additional);
            inner.strings("providers", &certificates.providers);
            out.put("certificates", inner.done());
        }
        out.done()
    }
}

fn contents(contents: &Contents) -> EmitValue {
    let mut out = Map::default();
    out.strings("build_repositories", &contents.build_repositories);
    out.strings("runtime_repositories", &contents.runtime_repositories);
    out.strings("repositories", &contents.repositories);
    out.strings("keyring", &contents.keyring);
    out.named("runtime_keyring", &contents.runtime_keyring);
    out.strings("packages", &contents.packages);
    if let Some(base) = &contents.baseimage {
        let mut inner = Map::default();
        inner.text("image", &base.image);
        inner.text("apkindex", &base.apkindex);
        out.put("baseimage", inner.done());
    }
    out.done()
}

fn entrypoint(entrypoint: &Entrypoint) -> EmitValue {
    Map::of([
        ("type", string(&entrypoint.kind)),
        ("command", string(&entrypoint.command)),
        ("shell-fragment", string(&entrypoint.shell_fragment)),
        ("services", map(&entrypoint.services)),
    ])
}

fn user(user: &User) -> EmitValue {
    let mut out = Map::default();
    out.put("username", string(&user.name));
    out.put("uid", number(user.uid));
    out.number("gid", user.gid);
    out.put("shell", string(&user.shell));
    out.put("homedir", string(&user.home));
    out.done()
}

fn group(group: &Group) -> EmitValue {
    Map::of([
        ("groupname", string(&group.name)),
        ("gid", number(group.gid)),
        ("members", list(&group.members, |name| string(name))),
    ])
}

fn path(path: &PathMutation) -> EmitValue {
    let mut out = Map::default();
    out.put("path", string(&path.path));
    out.put("type", string(&path.kind));
    out.number("uid", path.uid);
    out.number("gid", path.gid);
    out.put("permissions", number(path.permissions));
    out.put("source", string(&path.source));
    if let Some(content) = &path.content {
        out.put("content", string(content));
    }
    out.put("recursive", path.recursive.into());
    out.done()
}

#[derive(Default)]
struct Map(Vec<(String, EmitValue)>);

impl Map {
    fn of<const N: usize>(entries: [(&str, EmitValue); N]) -> EmitValue {
        EmitValue::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    }

    fn put(&mut self, key: &str, value: EmitValue) {
        self.0.push((key.to_owned(), value));
    }

    fn put_if(&mut self, there: bool, key: &str, value: EmitValue) {
        if there {
            self.put(key, value);
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        self.put_if(!text.is_empty(), key, string(text));
    }

    fn number(&mut self, key: &str, value: Option<u32>) {
        if let Some(value) = value {
            self.put(key, number(value));
        }
    }

    fn strings(&mut self, key: &str, texts: &[String]) {
        self.put_if(!texts.is_empty(), key, list(texts, |text| string(text)));
    }

    fn named(&mut self, key: &str, entries: &[NamedText]) {
        let entry = |entry: &NamedText| {
            let mut out = Self::default();
            out.text("name", &entry.name);
            out.text("content", &entry.content);
            out.done()
        };
        self.put_if(!entries.is_empty(), key, list(entries, entry));
    }

    fn done(self) -> EmitValue {
        EmitValue::Map(self.0)
    }
}

fn string(text: &str) -> EmitValue {
    EmitValue::String(text.to_owned())
}

fn number(number: u32) -> EmitValue {
    EmitValue::Int(number.into())
}

fn list<T>(items: &[T], item: impl Fn(&T) -> EmitValue) -> EmitValue {
    EmitValue::Seq(items.iter().map(item).collect())
}

fn map(entries: &BTreeMap<String, String>) -> EmitValue {
    EmitValue::Map(
        entries
            .iter()
            .map(|(key, value)| (key.clone(), string(value)))
            .collect(),
    )
}
