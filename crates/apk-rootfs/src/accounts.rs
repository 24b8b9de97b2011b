//! `etc/passwd`, `etc/group` and `etc/shadow`: read, written, extended.

use std::fmt::Write as _;

use crate::tree::{Fault, Tree, TreeError};

const PASSWD: &str = "etc/passwd";
const GROUP: &str = "etc/group";
const SHADOW: &str = "etc/shadow";

/// A line of `etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PasswdEntry {
    pub name: String,
    pub password: String,
    pub uid: u32,
    pub gid: u32,
    pub info: String,
    pub home: String,
    pub shell: String,
}

/// A line of `etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct GroupEntry {
    pub name: String,
    pub password: String,
    pub gid: u32,
    pub members: Vec<String>,
}

/// A group to add.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its id.
    pub gid: u32,
    /// The names of its members.
    pub members: Vec<String>,
}

/// A user to add.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The id.
    pub uid: u32,
    /// The id of the primary group; the user's own id if none.
    pub gid: Option<u32>,
    /// The shell; `/bin/sh` if empty.
    pub shell: String,
    /// The home directory; `/home/NAME` if empty.
    pub home: String,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}: `{text}`")]
pub struct LineError {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: &'static str,
    /// The line.
    pub text: String,
}

/// Why accounts could not be written.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// A file of accounts is malformed.
    #[error("{path}, {source}")]
    Malformed {
        /// The file.
        path: &'static str,
        /// Its line.
        source: LineError,
    },
    /// A home directory is something else.
    #[error("the home directory `{home}` of the user `{user}` exists but is not a directory")]
    HomeNotADirectory {
        /// The user.
        user: String,
        /// The path.
        home: String,
    },
    /// A name or path holds a character that would break the file's lines.
    #[error("the {what} `{text}` contains a `:` or a line break")]
    BadText {
        /// Whose text it is.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// A file or directory could not be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

fn lines<T>(text: &str, parse: impl Fn(&[&str]) -> Result<T, &'static str>) -> (Vec<T>, Option<LineError>) {
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let fields: Vec<&str> = line.trim().split(':').collect();
        match parse(&fields) {
            Ok(entry) => entries.push(entry),
            Err(reason) => {
                let error = LineError {
                    line: index + 1,
                    reason,
                    text: line.to_owned(),
                };
                return (entries, Some(error));
            }
        }
    }
    (entries, None)
}

fn id(field: &str) -> Result<u32, &'static str> {
    field.parse().map_err(|_| "an id is not a number")
}

/// Reads `etc/passwd`: the entries up to the first malformed line, and that line.
pub fn parse_users(text: &str) -> (Vec<PasswdEntry>, Option<LineError>) {
    lines(text, |fields| {
        let [name, password, uid, gid, info, home, shell] = fields else {
            return Err("expected seven fields");
        };
        Ok(PasswdEntry {
            name: (*name).to_owned(),
            password: (*password).to_owned(),
            uid: id(uid)?,
            gid: id(gid)?,
            info: (*info).to_owned(),
            home: (*home).to_owned(),
            shell: (*shell).to_owned(),
        })
    })
}

/// Reads `etc/group`: the entries up to the first malformed line, and that line.
pub fn parse_groups(text: &str) -> (Vec<GroupEntry>, Option<LineError>) {
    lines(text, |fields| {
        let [name, password, gid, members] = fields else {
            return Err("expected four fields");
        };
        Ok(GroupEntry {
            name: (*name).to_owned(),
            password: (*password).to_owned(),
            gid: id(gid)?,
            members: members.split(',').map(str::to_owned).collect(),
        })
    })
}

/// Writes `etc/passwd`.
pub fn write_users(users: &[PasswdEntry]) -> String {
    users.iter().fold(String::new(), |mut out, user| {
        let PasswdEntry {
            name,
            password,
            uid,
            gid,
            info,
            home,
            shell,
        } = user;
        let _ = writeln!(out, "{name}:{password}:{uid}:{gid}:{info}:{home}:{shell}");
        out
    })
}

/// Writes `etc/group`.
pub fn write_groups(groups: &[GroupEntry]) -> String {
    groups.iter().fold(String::new(), |mut out, group| {
        let GroupEntry {
            name,
            password,
            gid,
            members,
        } = group;
        let _ = writeln!(out, "{name}:{password}:{gid}:{}", members.join(","));
        out
    })
}

/// Adds groups and users, and makes the missing home directories of all users, those of packages too. Returns
/// all users, so that the caller can tell a `run-as` user's id.
///
/// As the Go tool does, it writes `etc/passwd` anew in every case, locks new users in `etc/shadow`, leaves
/// existing home directories alone and takes `/dev/null` for "no home".
pub fn add(tree: &mut Tree, groups: &[Group], users: &[User]) -> Result<Vec<PasswdEntry>, AccountsError> {
    check(groups, users)?;
    add_groups(tree, groups)?;
    let (mut all, error) = parse_users(&text(tree, PASSWD)?);
    refuse(PASSWD, error)?;
    all.extend(users.iter().map(|user| PasswdEntry {
        name: user.name.clone(),
        password: "x".to_owned(),
        uid: user.uid,
        gid: user.gid.unwrap_or(user.uid),
        info: "Account created by apko".to_owned(),
        home: or(&user.home, || format!("/home/{}", user.name)),
        shell: or(&user.shell, || "/bin/sh".to_owned()),
    }));
    for user in &all {
        make_home(tree, user)?;
    }
    tree.write_file(PASSWD, write_users(&all), 0o644)?;
    lock(tree, users)?;
    Ok(all)
}

fn add_groups(tree: &mut Tree, groups: &[Group]) -> Result<(), AccountsError> {
    if groups.is_empty() {
        return Ok(());
    }
    let (mut all, error) = parse_groups(&text(tree, GROUP)?);
    refuse(GROUP, error)?;
    all.extend(groups.iter().map(|group| GroupEntry {
        name: group.name.clone(),
        password: "x".to_owned(),
        gid: group.gid,
        members: group.members.clone(),
    }));
    tree.write_file(GROUP, write_groups(&all), 0o644)?;
    Ok(())
}

fn make_home(tree: &mut Tree, user: &PasswdEntry) -> Result<(), AccountsError> {
    if user.home == "/dev/null" {
        return Ok(());
    }
    match tree.get(&user.home) {
        Ok(node) if node.is_directory() => return Ok(()),
        Err(error) if error.fault == Fault::NotFound => {}
        Err(error) if error.fault != Fault::NotADirectory => return Err(error.into()),
        _ => {
            let (user, home) = (user.name.clone(), user.home.clone());
            return Err(AccountsError::HomeNotADirectory { user, home });
        }
    }
    let trimmed = user.home.trim_end_matches('/');
    let parent = trimmed.rsplit_once('/').map_or("", |(parent, _)| parent);
    tree.mkdir_all(parent, 0o755)?;
    tree.mkdir(trimmed, 0o700)?;
    tree.chown(trimmed, user.uid, user.gid)?;
    Ok(())
}

/// Gives users a locked password. Existing lines of `etc/shadow` lose their third field, the date of the last
/// change, as they do in the Go tool.
fn lock(tree: &mut Tree, users: &[User]) -> Result<(), AccountsError> {
    if users.is_empty() {
        return Ok(());
    }
    let (mut all, error) = lines(&text(tree, SHADOW)?, |fields| match fields {
        [name, password, _, rest @ ..] if rest.len() == 6 => {
            Ok(format!("{name}:{password}::{}", rest.join(":")))
        }
        _ => Err("expected nine fields"),
    });
    refuse(SHADOW, error)?;
    all.extend(users.iter().map(|user| format!("{}:!:::::::", user.name)));
    let text = all.iter().fold(String::new(), |text, line| text + line + "\n");
    tree.write_file(SHADOW, text, 0o640)?;
    Ok(())
}

fn text(tree: &Tree, path: &str) -> Result<String, TreeError> {
    match tree.read(path) {
        Ok(content) => Ok(String::from_utf8_lossy(&content).into_owned()),
        Err(error) if error.fault == Fault::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

fn refuse(path: &'static str, error: Option<LineError>) -> Result<(), AccountsError> {
    match error {
        Some(source) => Err(AccountsError::Malformed { path, source }),
        None => Ok(()),
    }
}

fn or(text: &str, default: impl FnOnce() -> String) -> String {
    if text.is_empty() {
        default()
    } else {
        text.to_owned()
    }
}

fn check(groups: &[Group], users: &[User]) -> Result<(), AccountsError> {
    let groups = groups.iter().flat_map(|group| {
        let members = group.members.iter().map(|member| ("group's member", member));
        std::iter::once(("group", &group.name)).chain(members)
    });
    let users = users.iter().flat_map(|user| {
        [
            ("user", &user.name),
            ("home directory", &user.home),
            ("shell", &user.shell),
        ]
    });
    for (what, text) in groups.chain(users) {
        if text.contains([':', '\n', '\r']) {
            let text = text.clone();
            return Err(AccountsError::BadText { what, text });
        }
    }
    Ok(())
}
