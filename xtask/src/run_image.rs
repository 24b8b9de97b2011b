//! Running an image: unpack its layers, start what it is for, ask it over HTTP.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Outcome;
use crate::tools::{At as _, printed, run};

/// How long a service may take until it answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// A manifest of a layout and the configuration it names.
struct Image {
    manifest: Value,
    /// The part that says how the image runs.
    config: Value,
}

impl Image {
    /// Reads the first image of an OCI layout.
    fn read(layout: &Path) -> Outcome<Self> {
        let index = read_json(&layout.join("index.json"))?;
        let manifest = read_json(&blob(layout, &index["manifests"][0])?)?;
        let mut configuration = read_json(&blob(layout, &manifest["config"])?)?;
        Ok(Self {
            manifest,
            config: configuration["config"].take(),
        })
    }

    fn strings(&self, name: &str) -> Vec<&str> {
        self.config[name]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// The numbers of user and group; apko writes numbers into images.
    fn user(&self) -> Outcome<(&str, &str)> {
        let user = self.config["User"]
            .as_str()
            .filter(|user| !user.is_empty())
            .unwrap_or("0");
        let (user, group) = user.split_once(':').unwrap_or((user, user));
        let is_number = |text: &str| text.parse::<u32>().is_ok();
        if is_number(user) && is_number(group) {
            Ok((user, group))
        } else {
            Err("the user is not a number".into())
        }
    }
}

fn read_json(path: &Path) -> Outcome<Value> {
    serde_json::from_reader(io::BufReader::new(File::open(path).at(path)?)).at(path)
}

/// The file of a blob.
fn blob(layout: &Path, descriptor: &Value) -> Outcome<PathBuf> {
    let digest = descriptor["digest"]
        .as_str()
        .and_then(|digest| digest.strip_prefix("sha256:"));
    Ok(layout
        .join("blobs/sha256")
        .join(digest.ok_or("a descriptor has no sha256 digest")?))
}

/// Unpacks the layers of an image into a new directory. All files become the caller's; there are no devices.
pub(crate) fn unpack(layout: &Path, directory: &Path) -> Outcome {
    fs::create_dir(directory).at(directory)?;
    let image = Image::read(layout)?;
    for layer in image.manifest["layers"].as_array().into_iter().flatten() {
        let mut tar = Command::new("tar");
        tar.args([
            "--extract",
            "--gzip",
            "--preserve-permissions",
            "--no-same-owner",
            "--anchored",
        ]);
        tar.args(["--exclude", "dev/*", "--warning", "no-unknown-keyword", "--file"]);
        run(tar.arg(blob(layout, layer)?).arg("--directory").arg(directory))?;
    }
    Ok(())
}

/// A port of this machine that nothing listens on.
pub(crate) fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Unpacks an image into `directory` and runs it in bubblewrap as the image's user, on a read-only file system of its
/// own and the machine's network. Returns what it answered.
pub(crate) fn in_bubblewrap(layout: &Path, directory: &Path, port: u16) -> Outcome<String> {
    unpack(layout, directory)?;
    let image = Image::read(layout)?;
    let (user, group) = image.user()?;
    let mut bwrap = Command::new("bwrap");
    bwrap.args([
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--die-with-parent",
    ]);
    bwrap
        .args(["--uid", user, "--gid", group, "--ro-bind"])
        .arg(directory)
        .arg("/");
    bwrap.args([
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--clearenv",
    ]);
    for variable in image.strings("Env") {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        bwrap.args(["--setenv", name, value]);
    }
    bwrap.args(["--setenv", "PORT", &port.to_string()]);
    let working = image.config["WorkingDir"]
        .as_str()
        .filter(|path| !path.is_empty())
        .unwrap_or("/");
    bwrap
        .args(["--chdir", working, "--"])
        .args(image.strings("Entrypoint"))
        .args(image.strings("Cmd"));
    let mut container = Running(bwrap.spawn().map_err(|error| format!("bwrap: {error}"))?);
    answer(&mut container, port)
}

/// Unpacks an image into `directory` with umoci and runs it with runc, on the machine's network. Returns what it
/// answered. Needs root.
pub(crate) fn in_runc(layout: &Path, directory: &Path, port: u16) -> Outcome<String> {
    let answers = ports_in_runc(layout, directory, &[port], |config| {
        config["root"]["readonly"] = json!(true);
        if let Some(variables) = config["process"]["env"].as_array_mut() {
            variables.retain(|variable| !variable.as_str().is_some_and(|text| text.starts_with("PORT=")));
            variables.push(json!(format!("PORT={port}")));
        }
    })?;
    Ok(answers.concat())
}

/// Does the same with an image that answers on several ports, after a change to runc's configuration.
pub(crate) fn ports_in_runc(
    layout: &Path,
    directory: &Path,
    ports: &[u16],
    change: impl FnOnce(&mut Value),
) -> Outcome<Vec<String>> {
    let bundle = bundle(layout, directory, |config| {
        change(config);
        share_network(config);
    })?;
    let name = format!(
        "xtask-{}",
        ports.iter().map(u16::to_string).collect::<Vec<_>>().join("-")
    );
    let mut runc = Command::new("runc");
    runc.args(["run", "--bundle"]).arg(&bundle).arg(&name);
    let mut container = Running(runc.spawn().map_err(|error| format!("runc: {error}"))?);
    let answers: Outcome<Vec<String>> = ports.iter().map(|port| answer(&mut container, *port)).collect();
    let killed = run(Command::new("runc").args(["kill", &name, "KILL"]));
    let ended = container.0.wait();
    answers.and_then(|answers| killed.and(ended.map(|_| answers).map_err(Into::into)))
}

/// Unpacks an image into `directory` and runs a command in it with runc, without a network. Returns what it printed to
/// standard output. Needs root.
pub(crate) fn command_in_runc(layout: &Path, directory: &Path, command: &[&str]) -> Outcome<String> {
    let bundle = bundle(layout, directory, |config| {
        config["process"]["args"] = json!(command)
    })?;
    let name = format!("xtask-{}", std::process::id());
    printed(
        Command::new("runc")
            .args(["run", "--bundle"])
            .arg(&bundle)
            .arg(&name),
    )
}

/// Unpacks an image into a new directory as runc wants it, without a terminal and with a change to its configuration.
pub(crate) fn bundle(layout: &Path, directory: &Path, change: impl FnOnce(&mut Value)) -> Outcome<PathBuf> {
    fs::create_dir(directory).at(directory)?;
    let bundle = directory.join("bundle");
    let named = named_layout(layout, directory)?;
    let image = format!("{}:latest", named.display());
    let mut umoci = Command::new("umoci");
    printed(umoci.args(["unpack", "--image", &image]).arg(&bundle))?;
    let path = bundle.join("config.json");
    let mut config = read_json(&path)?;
    config["process"]["terminal"] = json!(false);
    change(&mut config);
    fs::write(&path, config.to_string()).at(&path)?;
    Ok(bundle)
}

/// Has a container use the machine's network.
pub(crate) fn share_network(config: &mut Value) {
    if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
        namespaces.retain(|namespace| namespace["type"] != "network");
    }
}

/// A copy of a layout whose image has the name `latest`: umoci finds images by name, and apko writes none.
fn named_layout(layout: &Path, directory: &Path) -> Outcome<PathBuf> {
    let copy = directory.join("layout");
    run(Command::new("cp").arg("--recursive").arg(layout).arg(&copy))?;
    let path = copy.join("index.json");
    let mut index = read_json(&path)?;
    index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = json!("latest");
    fs::write(&path, index.to_string()).at(&path)?;
    Ok(copy)
}

/// A program that ends when it is no longer needed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks until there is an answer.
fn answer(container: &mut Running, port: u16) -> Outcome<String> {
    let start = Instant::now();
    loop {
        let error = match ask(port) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if let Some(status) = container.0.try_wait()? {
            return Err(format!("the container ended with {status} before it answered").into());
        }
        if start.elapsed() > PATIENCE {
            return Err(format!("the container does not answer on port {port}: {error}").into());
        }
        sleep(Duration::from_millis(20));
    }
}

/// Fetches `/` and returns the body.
fn ask(port: u16) -> Outcome<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or("the answer is not HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    if status.contains(" 200 ") {
        Ok(body.to_owned())
    } else {
        Err(format!("the answer is `{status}`").into())
    }
}
