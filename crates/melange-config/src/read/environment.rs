//! The environment of builds and tests, in the words of apko's image configuration.

use apk_types::Arch;
use spanned_yaml::{Fields, Node};

use super::{Read, end, flag, list, map, section, string};
use crate::types::{Accounts, BaseImage, Contents, Entrypoint, Environment, Group, PathMutation, User};

/// Keys of an image configuration that mean nothing for a build; the reference drops them.
const UNUSED: [&str; 3] = ["layering", "format", "certificates"];

pub(super) fn environment(node: &Node) -> Read<Environment> {
    let mut fields = Fields::new(node, "an environment")?;
    for key in UNUSED {
        fields.take(key);
    }
    let archs = fields.strings("archs")?;
    let environment = Environment {
        contents: section(&mut fields, "contents", contents)?.unwrap_or_default(),
        entrypoint: section(&mut fields, "entrypoint", entrypoint)?.unwrap_or_default(),
        cmd: string(&mut fields, "cmd")?,
        stop_signal: string(&mut fields, "stop-signal")?,
        work_dir: string(&mut fields, "work-dir")?,
        accounts: section(&mut fields, "accounts", accounts)?.unwrap_or_default(),
        archs: archs.into_iter().map(go_arch).collect(),
        environment: map(&mut fields, "environment")?,
        paths: list(&mut fields, "paths", path)?,
        vcs_url: string(&mut fields, "vcs-url")?,
        annotations: map(&mut fields, "annotations")?,
        include: string(&mut fields, "include")?,
        volumes: fields.strings("volumes")?,
    };
    end(fields)?;
    Ok(environment)
}

fn go_arch(name: String) -> String {
    name.parse::<Arch>()
        .map_or(name, |arch| arch.go_name().to_owned())
}

fn contents(node: &Node) -> Read<Contents> {
    let mut fields = Fields::new(node, "the contents of an environment")?;
    fields.take("runtime_repositories");
    fields.take("runtime_keyring");
    let contents = Contents {
        build_repositories: fields.strings("build_repositories")?,
        repositories: fields.strings("repositories")?,
        keyring: fields.strings("keyring")?,
        packages: fields.strings("packages")?,
        base_image: section(&mut fields, "baseimage", base_image)?,
    };
    end(fields)?;
    Ok(contents)
}

fn base_image(node: &Node) -> Read<BaseImage> {
    let mut fields = Fields::new(node, "a base image")?;
    let base_image = BaseImage {
        image: string(&mut fields, "image")?,
        apk_index: string(&mut fields, "apkindex")?,
    };
    end(fields)?;
    Ok(base_image)
}

fn entrypoint(node: &Node) -> Read<Entrypoint> {
    let mut fields = Fields::new(node, "an entrypoint")?;
    let entrypoint = Entrypoint {
        kind: string(&mut fields, "type")?,
        command: string(&mut fields, "command")?,
        shell_fragment: string(&mut fields, "shell-fragment")?,
        services: map(&mut fields, "services")?,
    };
    end(fields)?;
    Ok(entrypoint)
}

fn accounts(node: &Node) -> Read<Accounts> {
    let mut fields = Fields::new(node, "accounts")?;
    let accounts = Accounts {
        run_as: string(&mut fields, "run-as")?,
        users: list(&mut fields, "users", user)?,
        groups: list(&mut fields, "groups", group)?,
    };
    end(fields)?;
    Ok(accounts)
}

fn user(node: &Node) -> Read<User> {
    let mut fields = Fields::new(node, "a user")?;
    let user = User {
        name: string(&mut fields, "username")?,
        uid: fields.int("uid")?.unwrap_or_default(),
        gid: fields.int("gid")?,
        shell: string(&mut fields, "shell")?,
        home: string(&mut fields, "homedir")?,
    };
    end(fields)?;
    Ok(user)
}

fn group(node: &Node) -> Read<Group> {
    let mut fields = Fields::new(node, "a group")?;
    let group = Group {
        name: string(&mut fields, "groupname")?,
        gid: fields.int("gid")?.unwrap_or_default(),
        members: fields.strings("members")?,
    };
    end(fields)?;
    Ok(group)
}

fn path(node: &Node) -> Read<PathMutation> {
    let mut fields = Fields::new(node, "a path")?;
    let path = PathMutation {
        path: string(&mut fields, "path")?,
        kind: string(&mut fields, "type")?,
        uid: fields.int("uid")?,
        gid: fields.int("gid")?,
        permissions: fields.int("permissions")?.unwrap_or_default(),
        source: string(&mut fields, "source")?,
        recursive: flag(&mut fields, "recursive")?,
    };
    end(fields)?;
    Ok(path)
}
