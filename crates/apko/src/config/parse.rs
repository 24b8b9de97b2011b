//! From YAML to the configuration.

use std::collections::BTreeMap;

use apk_types::Arch;
use spanned_yaml::{Diagnostic, Fields, Node};

use super::{
    Accounts, BaseImage, Certificates, Contents, Entrypoint, Group, ImageConfiguration, Layering, LocalFile,
    NamedText, PathMutation, User,
};

/// Reads a configuration from YAML, without what it includes. An unknown key is refused, as by the Go apko.
pub fn parse(source: &str) -> Result<ImageConfiguration, Diagnostic> {
    configuration(&spanned_yaml::parse(source)?)
}

fn configuration(node: &Node) -> Result<ImageConfiguration, Diagnostic> {
    let mut fields = Fields::new(node, "an image configuration")?;
    let configuration = ImageConfiguration {
        contents: optional(&mut fields, "contents", contents)?,
        entrypoint: optional(&mut fields, "entrypoint", entrypoint)?,
        cmd: text(&mut fields, "cmd")?,
        stop_signal: text(&mut fields, "stop-signal")?,
        work_dir: text(&mut fields, "work-dir")?,
        accounts: optional(&mut fields, "accounts", accounts)?,
        archs: list(&mut fields, "archs", arch)?,
        environment: map(&mut fields, "environment")?,
        paths: list(&mut fields, "paths", path_mutation)?,
        vcs_url: text(&mut fields, "vcs-url")?,
        annotations: map(&mut fields, "annotations")?,
        include: text(&mut fields, "include")?,
        volumes: fields.strings("volumes")?,
        layering: present(&mut fields, "layering", layering)?,
        format: text(&mut fields, "format")?,
        certificates: present(&mut fields, "certificates", certificates)?,
    };
    fields.finish()?;
    Ok(configuration)
}

fn contents(node: &Node) -> Result<Contents, Diagnostic> {
    let mut fields = Fields::new(node, "the contents of an image")?;
    let repositories = |texts: Vec<String>| -> Vec<String> {
        texts
            .into_iter()
            .map(|text| text.trim_end_matches('/').to_owned())
            .collect()
    };
    let contents = Contents {
        build_repositories: repositories(fields.strings("build_repositories")?),
        runtime_repositories: repositories(fields.strings("runtime_repositories")?),
        repositories: repositories(fields.strings("repositories")?),
        keyring: fields.strings("keyring")?,
        runtime_keyring: list(&mut fields, "runtime_keyring", named_text)?,
        packages: fields.strings("packages")?,
        baseimage: present(&mut fields, "baseimage", base_image)?,
    };
    fields.finish()?;
    Ok(contents)
}

fn base_image(node: &Node) -> Result<BaseImage, Diagnostic> {
    let mut fields = Fields::new(node, "a base image")?;
    let image = BaseImage {
        image: text(&mut fields, "image")?,
        apkindex: text(&mut fields, "apkindex")?,
    };
    fields.finish()?;
    Ok(image)
}

fn named_text(node: &Node) -> Result<NamedText, Diagnostic> {
    let mut fields = Fields::new(node, "a key or certificate")?;
    let entry = NamedText {
        name: text(&mut fields, "name")?,
        content: text(&mut fields, "content")?,
    };
    fields.finish()?;
    Ok(entry)
}

fn entrypoint(node: &Node) -> Result<Entrypoint, Diagnostic> {
    let mut fields = Fields::new(node, "an entry point")?;
    let entrypoint = Entrypoint {
        kind: text(&mut fields, "type")?,
        command: text(&mut fields, "command")?,
        shell_fragment: text(&mut fields, "shell-fragment")?,
        services: map(&mut fields, "services")?,
    };
    fields.finish()?;
    Ok(entrypoint)
}

fn accounts(node: &Node) -> Result<Accounts, Diagnostic> {
    let mut fields = Fields::new(node, "the accounts of an image")?;
    let accounts = Accounts {
        run_as: text(&mut fields, "run-as")?,
        users: list(&mut fields, "users", user)?,
        groups: list(&mut fields, "groups", group)?,
    };
    fields.finish()?;
    Ok(accounts)
}

fn user(node: &Node) -> Result<User, Diagnostic> {
    let mut fields = Fields::new(node, "a user")?;
    let user = User {
        name: text(&mut fields, "username")?,
        uid: fields.int("uid")?.unwrap_or(0),
        gid: fields.int("gid")?,
        shell: text(&mut fields, "shell")?,
        home: text(&mut fields, "homedir")?,
    };
    fields.finish()?;
    if user.name.is_empty() {
        return Err(Diagnostic::new("a user has no `username`").at(node.span));
    }
    if user.uid == 0 {
        return Err(
            Diagnostic::new(format!("the user `{}` has the number 0", user.name))
                .at(node.span)
                .help("to run as root, write `run-as: 0` and leave the user out"),
        );
    }
    Ok(user)
}

fn group(node: &Node) -> Result<Group, Diagnostic> {
    let mut fields = Fields::new(node, "a group")?;
    let group = Group {
        name: text(&mut fields, "groupname")?,
        gid: fields.int("gid")?.unwrap_or(0),
        members: fields.strings("members")?,
    };
    fields.finish()?;
    if group.name.is_empty() {
        return Err(Diagnostic::new("a group has no `groupname`").at(node.span));
    }
    Ok(group)
}

fn path_mutation(node: &Node) -> Result<PathMutation, Diagnostic> {
    let mut fields = Fields::new(node, "a path")?;
    let content = fields.string("content")?;
    let mutation = PathMutation {
        path: text(&mut fields, "path")?,
        kind: text(&mut fields, "type")?,
        uid: fields.int("uid")?,
        gid: fields.int("gid")?,
        permissions: fields.int("permissions")?.unwrap_or(0),
        source: text(&mut fields, "source")?,
        file: content.clone().map(LocalFile::new),
        content,
        recursive: fields.bool("recursive")?.unwrap_or(false),
    };
    fields.finish()?;
    Ok(mutation)
}

fn layering(node: &Node) -> Result<Layering, Diagnostic> {
    let mut fields = Fields::new(node, "the layering")?;
    let layering = Layering {
        strategy: text(&mut fields, "strategy")?,
        budget: fields.int("budget")?.unwrap_or(0),
    };
    fields.finish()?;
    Ok(layering)
}

fn certificates(node: &Node) -> Result<Certificates, Diagnostic> {
    let mut fields = Fields::new(node, "the certificates of an image")?;
    let certificates = Certificates {
        additional: list(&mut fields, "additional", named_text)?,
        providers: fields.strings("providers")?,
    };
    fields.finish()?;
    Ok(certificates)
}

fn arch(node: &Node) -> Result<Arch, Diagnostic> {
    let name = node.as_str().unwrap_or_default();
    name.parse()
        .map_err(|error| Diagnostic::new(format!("{error}")).at(node.span))
}

fn text<'a>(fields: &mut Fields<'a>, key: &'a str) -> Result<String, Diagnostic> {
    Ok(fields.string(key)?.unwrap_or_default())
}

fn map<'a>(fields: &mut Fields<'a>, key: &'a str) -> Result<BTreeMap<String, String>, Diagnostic> {
    Ok(fields.map_of_strings(key)?.into_iter().collect())
}

fn list<'a, T>(
    fields: &mut Fields<'a>,
    key: &'a str,
    item: fn(&Node) -> Result<T, Diagnostic>,
) -> Result<Vec<T>, Diagnostic> {
    fields.seq(key, "a list")?.iter().map(item).collect()
}

fn present<'a, T>(
    fields: &mut Fields<'a>,
    key: &'a str,
    read: fn(&Node) -> Result<T, Diagnostic>,
) -> Result<Option<T>, Diagnostic> {
    fields
        .take(key)
        .filter(|node| !node.is_null())
        .map(read)
        .transpose()
}

fn optional<'a, T: Default>(
    fields: &mut Fields<'a>,
    key: &'a str,
    read: fn(&Node) -> Result<T, Diagnostic>,
) -> Result<T, Diagnostic> {
    Ok(present(fields, key, read)?.unwrap_or_default())
}
