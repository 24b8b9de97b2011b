//! Environments, whose types are apko's and follow apko's rules of leaving out.

use spanned_yaml::EmitValue;

use super::{Format, Section, string_map};
use crate::types::{Accounts, Contents, Entrypoint, Environment, Group, PathMutation, User};

pub(super) fn environment(environment: &Environment, format: Format) -> Section {
    let mut out = Section::new(format);
    let contents = self::contents(&environment.contents, format);
    let none = contents.is_empty();
    out.section("contents", contents, none);
    let none = environment.entrypoint == Entrypoint::default();
    out.section("entrypoint", entrypoint(&environment.entrypoint, format), none);
    out.text("cmd", &environment.cmd);
    out.text("stop-signal", &environment.stop_signal);
    out.text("work-dir", &environment.work_dir);
    let none = environment.accounts == Accounts::default();
    out.section("accounts", accounts(&environment.accounts, format), none);
    out.strings("archs", &environment.archs);
    out.map("environment", &environment.environment);
    let paths = environment.paths.iter().map(|path| self::path(path, format));
    out.list("paths", paths.collect());
    out.text("vcs-url", &environment.vcs_url);
    out.map("annotations", &environment.annotations);
    out.text("include", &environment.include);
    out.strings("volumes", &environment.volumes);
    out
}

fn contents(contents: &Contents, format: Format) -> Section {
    let shown = |urls: &[String]| -> Vec<String> {
        match format {
            Format::Json => urls.to_vec(),
            Format::Yaml => urls.iter().map(|url| without_password(url)).collect(),
        }
    };
    let mut out = Section::new(format);
    out.strings("build_repositories", &shown(&contents.build_repositories));
    out.strings("repositories", &shown(&contents.repositories));
    out.strings("keyring", &shown(&contents.keyring));
    out.strings("packages", &contents.packages);
    if let Some(base) = &contents.base_image {
        let mut base_image = Section::new(format);
        base_image.text("image", &base.image);
        base_image.text("apkindex", &base.apk_index);
        out.put("baseimage", base_image.done());
    }
    out
}

/// Hides the password of a URL: packages are public.
fn without_password(url: &str) -> String {
    let Some((before, after)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = after.find(['/', '?', '#']).unwrap_or(after.len());
    let (authority, rest) = after.split_at(end);
    match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{before}://{name}:xxxxx@{host}{rest}"),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

fn entrypoint(entrypoint: &Entrypoint, format: Format) -> Section {
    let mut out = Section::new(format);
    out.text_in_yaml("type", &entrypoint.kind);
    out.text_in_yaml("command", &entrypoint.command);
    out.text_in_yaml("shell-fragment", &entrypoint.shell_fragment);
    if format == Format::Yaml || !entrypoint.services.is_empty() {
        out.put("services", string_map(&entrypoint.services, format));
    }
    out
}

fn accounts(accounts: &Accounts, format: Format) -> Section {
    let users = accounts.users.iter().map(|user| self::user(user, format));
    let groups = accounts.groups.iter().map(|group| self::group(group, format));
    let mut out = Section::new(format);
    out.text_in_yaml("run-as", &accounts.run_as);
    for (key, values) in [("users", users.collect()), ("groups", groups.collect::<Vec<_>>())] {
        let values: Vec<EmitValue> = values;
        if format == Format::Yaml || !values.is_empty() {
            out.put(key, EmitValue::Seq(values));
        }
    }
    out
}

fn user(user: &User, format: Format) -> EmitValue {
    let mut out = Section::new(format);
    out.text_in_yaml("username", &user.name);
    out.number_in_yaml("uid", user.uid);
    if let Some(gid) = user.gid {
        out.put("gid", EmitValue::Int(gid.into()));
    }
    out.text_in_yaml("shell", &user.shell);
    out.text_in_yaml("homedir", &user.home);
    out.done()
}

fn group(group: &Group, format: Format) -> EmitValue {
    let mut out = Section::new(format);
    out.text_in_yaml("groupname", &group.name);
    out.number_in_yaml("gid", group.gid);
    out.strings_in_yaml("members", &group.members);
    out.done()
}

fn path(path: &PathMutation, format: Format) -> EmitValue {
    let mut out = Section::new(format);
    out.text_in_yaml("path", &path.path);
    out.text_in_yaml("type", &path.kind);
    for (key, id) in [("uid", path.uid), ("gid", path.gid)] {
        if let Some(id) = id {
            out.put(key, EmitValue::Int(id.into()));
        }
    }
    out.number_in_yaml("permissions", path.permissions);
    out.text_in_yaml("source", &path.source);
    out.flag_in_yaml("recursive", path.recursive);
    out.done()
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn passwords_do_not_go_into_packages() {
        let table = [
            ("https://u:secret@host/os", "https://u:xxxxx@host/os"),
            ("@tag https://u:p@h", "@tag https://u:xxxxx@h"),
            ("https://host/a:b@c", "https://host/a:b@c"),
            ("https://user@host", "https://user@host"),
            ("repos/alpine", "repos/alpine"),
        ];
        for (url, want) in table {
            assert_eq!(without_password(url), want);
        }
    }
}
