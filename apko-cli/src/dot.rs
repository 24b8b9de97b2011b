//! `apko dot`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use apko::DependencyGraph;
use clap::{Args, ValueEnum};
use cli_support::Steps;

use crate::build::{archs, print};
use crate::conflict::{Places, warn_about};
use crate::failure::{Failure, Outcome};
use crate::selection::Selection;

pub(crate) const EXAMPLES: &str = "\
Examples:
  apko dot web.yaml | dot -Tsvg > web.svg
  apko dot --format mermaid web.yaml            # for a Markdown page
  apko dot --web web.yaml                       # a page at http://127.0.0.1, until Ctrl-C
  apko dot -S web.yaml                          # one edge to each package only";

/// A language for graphs.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Dot,
    Mermaid,
    /// A page that needs nothing but itself.
    Html,
}

/// What to draw, and how.
#[derive(Debug, Args)]
pub(crate) struct Dot {
    #[command(flatten)]
    selection: Selection,
    /// Draws one edge to each package only
    #[arg(long, short = 'S')]
    spanning_tree: bool,
    /// The language of the graph
    #[arg(long, value_enum, default_value = "dot")]
    format: Format,
    /// Shows the graph as a page, at an address of this machine that is printed, until Ctrl-C
    #[arg(long, conflicts_with = "format")]
    web: bool,
    /// Has no effect: the page links nowhere
    #[arg(long, short = 'e', value_name = "HOST", hide = true)]
    registry_explorer: Option<String>,
}

pub(crate) fn dot(arguments: &Dot, steps: &Steps) -> Outcome {
    let selection = &arguments.selection;
    let loaded = selection.sources.load(&selection.config, &[], steps)?;
    let configuration = &loaded.configuration;
    let archs = archs(&selection.archs.arch, configuration)?;
    let [arch, others @ ..] = &archs[..] else {
        return Err(Failure::usage("the configuration names no architecture"));
    };
    if !others.is_empty() {
        steps.warn(&format!(
            "the graph is that of {arch}; choose another with --arch"
        ));
    }
    let (repositories, world) = selection.open(&loaded, &[*arch], steps)?;
    let resolutions = repositories
        .resolve(&world, &[*arch], false)
        .map_err(|error| Places::of(&loaded).failure(error))?;
    resolutions.iter().for_each(|one| warn_about(one, steps));
    let packages = resolutions.iter().flat_map(|one| &one.packages);
    let records: Vec<_> = packages.map(|package| &package.record).collect();
    let file = selection.config.display().to_string();
    let asked = &configuration.contents.packages;
    let graph = DependencyGraph::new(&file, asked, &records, arguments.spanning_tree);
    match (arguments.web, arguments.format) {
        (true, _) => serve(&graph.to_html(), steps).map_err(|error| Failure::work(&error)),
        (false, Format::Dot) => print(&(graph.to_dot() + "\n")),
        (false, Format::Mermaid) => print(&graph.to_mermaid()),
        (false, Format::Html) => print(&graph.to_html()),
    }
}

/// Shows a page to whoever asks from this machine, until the program is ended.
fn serve(page: &str, steps: &Steps) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    cli_support::print(&format!("http://{}/\n", listener.local_addr()?))?;
    for stream in listener.incoming() {
        // A browser that goes away is no reason to stop.
        if let Err(error) = stream.and_then(|stream| answer(stream, page)) {
            steps.detail(&format!("a request failed: {error}"));
        }
    }
    Ok(())
}

fn answer(mut stream: TcpStream, page: &str) -> io::Result<()> {
    const LONGEST: u64 = 16 << 10;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new((&stream).take(LONGEST)).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let (status, kind, body) = match request.split(' ').collect::<Vec<_>>()[..] {
        ["GET", "/", _] => ("200 OK", "text/html; charset=utf-8", page),
        _ => ("404 Not Found", "text/plain", "nothing is here\n"),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn ask(request: &'static str) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let client = thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        answer(listener.accept().unwrap().0, "the page").unwrap();
        client.join().unwrap()
    }

    #[test]
    fn the_page_is_served_and_nothing_else() {
        let page = ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(
            page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("\r\n\r\nthe page"),
            "{page}"
        );
        for request in [
            "GET /etc/passwd HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(ask(request).starts_with("HTTP/1.1 404"), "{request}");
        }
    }
}
