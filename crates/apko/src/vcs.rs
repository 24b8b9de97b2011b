//! Where the source of a configuration is kept, as its Git repository says.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The `origin` remote and the current commit of the repository that a file lies in, as `URL@COMMIT`.
///
/// Repositories are looked for from the file's directory up to `top`, which is the working directory for the Go
/// apko. User names and passwords are left out of the URL; `user@host:path` becomes `git+ssh://host/path`. `None`
/// where there is no repository, no `origin` or no commit.
pub fn vcs_url(file: &Path, top: &Path) -> io::Result<Option<String>> {
    let (file, top) = (file.canonicalize()?, top.canonicalize()?);
    let directories = file
        .ancestors()
        .skip(1)
        .take_while(|directory| directory.starts_with(&top));
    let Some(git) = directories
        .map(|directory| directory.join(".git"))
        .find(|git| git.exists())
    else {
        return Ok(None);
    };
    let git = git_directory(git)?;
    let common = common_directory(&git);
    let config = fs::read_to_string(common.join("config"))?;
    let url = origin(&config).map(|url| public_url(&url));
    let commit = commit(&git, &common)?;
    Ok(url.zip(commit).map(|(url, commit)| format!("{url}@{commit}")))
}

/// The commit that the repository which a file lies in stands at; `None` without a repository or a commit.
pub fn head_commit(file: &Path) -> io::Result<Option<String>> {
    let Some(git) = file
        .canonicalize()?
        .ancestors()
        .skip(1)
        .map(|directory| directory.join(".git"))
        .find(|git| git.exists())
    else {
        return Ok(None);
    };
    let git = git_directory(git)?;
    commit(&git, &common_directory(&git))
}

/// In worktrees the references lie with those of the main checkout.
fn common_directory(git: &Path) -> PathBuf {
    match fs::read_to_string(git.join("commondir")) {
        Ok(path) => git.join(path.trim_end()),
        Err(_) => git.to_owned(),
    }
}

/// In worktrees and submodules `.git` is a file that names the directory.
fn git_directory(git: PathBuf) -> io::Result<PathBuf> {
    if git.is_dir() {
        return Ok(git);
    }
    let text = fs::read_to_string(&git)?;
    let path = text.strip_prefix("gitdir:").unwrap_or(&text).trim();
    Ok(git.with_file_name("").join(path))
}

/// The first URL of the remote `origin` in a Git configuration.
fn origin(config: &str) -> Option<String> {
    let mut inside = false;
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[remote \"origin\"]";
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside)
            && key.trim().eq_ignore_ascii_case("url")
        {
            return Some(value.trim().trim_matches('"').to_owned());
        }
    }
    None
}

/// Takes the user out of a URL, and makes a URL of what ssh calls a place.
fn public_url(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => match url.split_once(':').filter(|(host, _)| !host.contains('/')) {
            Some((host, path)) => {
                let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
                format!("git+ssh://{host}/{path}")
            }
            None => url.to_owned(),
        },
    }
}

/// The commit that `HEAD` stands at; `None` before the first.
fn commit(git: &Path, common: &Path) -> io::Result<Option<String>> {
    let head = fs::read_to_string(git.join("HEAD"))?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else {
        return Ok(Some(head.trim().to_owned()));
    };
    if let Ok(commit) = fs::read_to_string(common.join(reference)) {
        return Ok(Some(commit.trim().to_owned()));
    }
    let packed = fs::read_to_string(common.join("packed-refs")).unwrap_or_default();
    let line = packed
        .lines()
        .find_map(|line| line.strip_suffix(reference)?.strip_suffix(' '));
    Ok(line.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_users() {
        let rows = [
            ("https://user:secret@example.org/a/b", "https://example.org/a/b"),
            ("git@example.org:a/b.git", "git+ssh://example.org/a/b.git"),
            ("ssh://git@example.org/a", "ssh://example.org/a"),
            ("/srv/git/a", "/srv/git/a"),
        ];
        for (url, public) in rows {
            assert_eq!(public_url(url), public);
        }
    }

    #[test]
    fn a_repository_is_found_up_to_the_top_and_not_above() {
        let top = tempfile::tempdir().unwrap();
        let below = top.path().join("a/b");
        fs::create_dir_all(top.path().join("a/.git/refs/heads")).unwrap();
        fs::create_dir_all(&below).unwrap();
        let git = top.path().join("a/.git");
        fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(
            git.join("config"),
            "[core]\n\turl = no\n[remote \"origin\"]\n\turl = https://e.org/r\n",
        )
        .unwrap();
        let file = below.join("apko.yaml");
        fs::write(&file, "").unwrap();

        assert_eq!(
            vcs_url(&file, top.path()).unwrap(),
            None,
            "before the first commit"
        );
        fs::write(
            git.join("packed-refs"),
            "# pack-refs\nabc refs/heads/other\nfeed refs/heads/main\n",
        )
        .unwrap();
        assert_eq!(
            vcs_url(&file, top.path()).unwrap().as_deref(),
            Some("https://e.org/r@feed")
        );
        fs::write(git.join("refs/heads/main"), "beef\n").unwrap();
        assert_eq!(
            vcs_url(&file, top.path()).unwrap().as_deref(),
            Some("https://e.org/r@beef")
        );
        assert_eq!(
            vcs_url(&file, &below).unwrap(),
            None,
            "the repository lies above the top"
        );
    }
}
