//! What really ran: each step of a package that was told to asks a server for the package's name.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Outcome;

/// The server, which answers until the process ends.
pub(crate) struct Marks {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Marks {
    pub(crate) fn new() -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let list = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The step goes on when it is answered, so that its mark comes before all that it does.
                if let Some(mark) = asked(&stream) {
                    list.lock().unwrap_or_else(PoisonError::into_inner).push(mark);
                }
                let _ = (&stream).write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        });
        Ok(Self { port, seen })
    }

    /// The configuration of a package with a first step that leaves a mark, `NAME` or `NAME.ARCH` if the
    /// architecture is another than x86_64, and a first step of its test that leaves `test NAME`.
    pub(crate) fn add_to(&self, configuration: &str) -> String {
        let ask = |what: &str| {
            let url = format!("http://127.0.0.1:{}/{what}", self.port);
            format!("- runs: wget -q -O /dev/null {url}/${{{{build.arch}}}}/${{{{package.name}}}}\n")
        };
        let (build, test) = configuration
            .split_once("\ntest:\n")
            .unwrap_or((configuration, ""));
        let mut text = build.replacen("\npipeline:\n", &format!("\npipeline:\n  {}", ask("build")), 1);
        if !test.is_empty() {
            text += "\ntest:\n";
            text += &format!("\n{test}").replacen(
                "\n  pipeline:\n",
                &format!("\n  pipeline:\n    {}", ask("test")),
                1,
            )[1..];
        }
        text
    }

    /// The marks since the last time, sorted.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        seen.sort();
        seen
    }
}

/// The mark that a request is.
fn asked(stream: &TcpStream) -> Option<String> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    let mut parts = line.split(' ').nth(1)?.trim_start_matches('/').split('/');
    let (what, arch, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some(match (what, arch) {
        ("build", "x86_64") => name.to_owned(),
        ("build", arch) => format!("{name}.{arch}"),
        _ => format!("{what} {name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_mark() {
        let marks = Marks::new().unwrap();
        for path in ["build/x86_64/b", "build/aarch64/b", "test/x86_64/a"] {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, marks.port)).unwrap();
            write!(stream, "GET /{path} HTTP/1.1\r\n\r\n").unwrap();
            BufReader::new(&stream).read_line(&mut String::new()).unwrap();
        }
        assert_eq!(marks.take(), ["b", "b.aarch64", "test a"]);
        assert!(marks.take().is_empty());
    }

    #[test]
    fn configurations_get_steps_that_leave_marks() {
        let marks = Marks::new().unwrap();
        let text =
            "package: {}\n\npipeline:\n  - uses: x\n\ntest:\n  environment:\n  pipeline:\n    - runs: y\n";
        let marked = marks.add_to(text);
        assert!(marked.contains("\npipeline:\n  - runs: wget"), "{marked}");
        assert!(marked.contains("\n  pipeline:\n    - runs: wget"), "{marked}");
        assert!(marked.ends_with("    - runs: y\n"), "{marked}");
    }
}
