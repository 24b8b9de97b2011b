//! `cargo xtask nodebb`: the forum of `examples/nodebb`, packaged, in an image with redis, both under s6, asked over
//! HTTP, stopped and started again.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::realworld::sources::{Places, cached};
use crate::realworld::{Lab, guest};
use crate::tools::{At as _, printed, run};
use crate::{Outcome, root, run_image};

/// How long the forum may take to set itself up and answer: minutes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(1200);

/// How long the services may take to end.
const ENDING: Duration = Duration::from_secs(20);

/// What the guest and the image have beside what all have.
const NEEDS: &[&str] = &["nodejs", "npm", "git", "redis", "s6", "execline"];

const REDIS: u16 = 6379;

/// The administrator's password, which no image holds.
const PASSWORD: &str = "correct horse battery staple";

const TITLE: &str = "kept over a restart";

const CONTAINER: &str = "xtask-nodebb";

/// Builds the package, out of an archive where one is given, and the image; runs it twice.
pub(crate) fn command(archive: Option<&Path>) -> Outcome {
    let lab = Lab::new()?;
    guest::prepare(&lab.debian, NEEDS)?;
    let work = lab.work("nodebb");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).at(&work)?;
    if let Some(archive) = archive {
        let places = Places {
            downloads: &lab.debian.directory,
            cache: &lab.cache,
            work: &work,
        };
        cached(archive, &places)?;
    }
    let example = root().join("examples/nodebb");
    let start = Instant::now();
    package(&lab, &example, &work)?;
    said("the package is the same twice and passes its test", start);
    let start = Instant::now();
    let layout = lab.image(&example.join("apko.yaml"), &work.join("image"))?;
    said("the image is made", start);
    if TcpStream::connect((Ipv4Addr::LOCALHOST, REDIS)).is_ok() {
        return Err(format!("port {REDIS} is taken, which redis in the container needs").into());
    }
    let port = run_image::free_port()?;
    let volumes = volumes(&work.join("volumes"))?;
    let bundle = run_image::bundle(&layout, &work.join("container"), |config| {
        run_image::share_network(config);
        if let Some(mounts) = config["mounts"].as_array_mut() {
            mounts.extend(volumes);
        }
        config["root"]["readonly"] = json!(false);
        // More open files than umoci allows, as container engines have it: NodeBB reads all its languages at once.
        config["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "hard": 16384, "soft": 16384}]);
        if let Some(variables) = config["process"]["env"].as_array_mut() {
            variables.retain(|variable| {
                !variable
                    .as_str()
                    .is_some_and(|text| text.starts_with("NODEBB_URL="))
            });
            variables.push(json!(format!("NODEBB_URL=http://localhost:{port}")));
            variables.push(json!(format!("NODEBB_ADMIN_PASSWORD={PASSWORD}")));
        }
    })?;
    let start = Instant::now();
    let mut container = Container::start(&bundle)?;
    let mut visitor = Visitor::new(port);
    visitor.wait(&mut container)?;
    said("the forum answers over HTTP, set up for the first time", start);
    let topic = visitor.write_topic()?;
    kept(&mut visitor, &topic)?;
    container.stop()?;
    let start = Instant::now();
    let mut container = Container::start(&bundle)?;
    let mut visitor = Visitor::new(port);
    visitor.wait(&mut container)?;
    kept(&mut visitor, &topic)?;
    said(
        "it answers again after a restart; what was written is in redis, whose volume stayed",
        start,
    );
    container.stop()
}

/// Mounts of directories that outlive the container, for the data of both services.
fn volumes(directory: &Path) -> Outcome<[Value; 2]> {
    let mounts = ["redis", "nodebb"].map(|service| {
        json!({
            "destination": format!("/var/lib/{service}"),
            "type": "bind",
            "source": directory.join(service),
            "options": ["rbind", "rw"],
        })
    });
    for mount in &mounts {
        fs::create_dir_all(mount["source"].as_str().unwrap_or_default()).at(directory)?;
    }
    Ok(mounts)
}

fn said(what: &str, start: Instant) {
    println!("{what} ({})", cli_support::time(start.elapsed()));
}

fn package(lab: &Lab, example: &Path, work: &Path) -> Outcome {
    let configuration = example.join("melange.yaml");
    let variables = work.join("npm.env");
    // The certificates that this machine trusts are in the guest; Node.js looks at its own otherwise.
    let text = "npm_config_cache=/var/cache/melange/npm\n\
                NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt\n";
    fs::write(&variables, text).at(&variables)?;
    let mut melange = lab.melange("build", &configuration);
    melange
        .args(["--check", "--build-option", "registry-only", "--out-dir"])
        .arg(&lab.out)
        .arg("--signing-key")
        .arg(&lab.debian.key)
        .arg("--env-file")
        .arg(&variables);
    printed(&mut melange)?;
    let mut melange = lab.melange("test", &configuration);
    printed(melange.arg("--repository-append").arg(&lab.out)).map(drop)
}

/// Fails unless the topic is in the forum and in redis.
fn kept(visitor: &mut Visitor, topic: &str) -> Outcome {
    let shown = visitor.ask("GET", &format!("/api/topic/{topic}"), "", "")?;
    let shown: Value = serde_json::from_str(&shown)?;
    if shown["title"] != TITLE {
        return Err(format!("the topic {topic} is called {}, not `{TITLE}`", shown["title"]).into());
    }
    let mut redis = TcpStream::connect((Ipv4Addr::LOCALHOST, REDIS))?;
    redis.set_read_timeout(Some(ENDING))?;
    redis.write_all(format!("HGET topic:{topic} title\r\n").as_bytes())?;
    let (mut length, mut title) = (String::new(), String::new());
    let mut answer = BufReader::new(redis);
    answer.read_line(&mut length)?;
    answer.read_line(&mut title)?;
    match title.trim_end() == TITLE {
        true => Ok(()),
        false => Err(format!(
            "redis says that the topic {topic} is called `{}`",
            title.trim_end()
        )
        .into()),
    }
}

/// A container that is killed when it is no longer needed.
struct Container {
    runc: Child,
    /// The file with what its services say.
    log: PathBuf,
}

impl Container {
    fn start(bundle: &Path) -> Outcome<Self> {
        // One that a run before this left behind would be in the way.
        let _ = printed(Command::new("runc").args(["delete", "--force", CONTAINER]));
        let log = bundle.with_extension("log");
        let file = fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .at(&log)?;
        let mut runc = Command::new("runc");
        runc.args(["run", "--bundle"]).arg(bundle).arg(CONTAINER);
        runc.stdout(file.try_clone()?).stderr(file);
        let runc = runc.spawn().map_err(|error| format!("runc: {error}"))?;
        Ok(Self { runc, log })
    }

    /// Has the supervisor end its services and itself.
    fn stop(mut self) -> Outcome {
        run(Command::new("runc").args(["kill", CONTAINER, "TERM"]))?;
        let start = Instant::now();
        while self.runc.try_wait()?.is_none() {
            if start.elapsed() > ENDING {
                return Err("the container does not end when it is asked to".into());
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = printed(Command::new("runc").args(["delete", "--force", CONTAINER]));
        let _ = self.runc.wait();
    }
}

/// A browser that knows its session and its token.
struct Visitor {
    port: u16,
    cookie: String,
    token: String,
}

impl Visitor {
    fn new(port: u16) -> Self {
        Self {
            port,
            cookie: String::new(),
            token: String::new(),
        }
    }

    /// Asks until there is an answer.
    fn wait(&mut self, container: &mut Container) -> Outcome {
        let start = Instant::now();
        loop {
            let error = match self.ask("GET", "/api/config", "", "") {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let log = container.log.display();
            if let Some(status) = container.runc.try_wait()? {
                return Err(format!("the container ended with {status}; what it said is in {log}").into());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("the forum does not answer: {error}; what it said is in {log}").into());
            }
            sleep(Duration::from_millis(250));
        }
    }

    /// The session's token changes with who is logged in.
    fn take_token(&mut self) -> Outcome {
        let config: Value = serde_json::from_str(&self.ask("GET", "/api/config", "", "")?)?;
        let token = config["csrf_token"].as_str();
        token
            .ok_or("the forum gives no token")?
            .clone_into(&mut self.token);
        Ok(())
    }

    /// Logs in and begins a topic; gives its number.
    fn write_topic(&mut self) -> Outcome<String> {
        self.take_token()?;
        let login = json!({"username": "admin", "password": PASSWORD}).to_string();
        self.ask("POST", "/login", "application/json", &login)?;
        self.take_token()?;
        let topic = json!({"cid": 2, "title": TITLE, "content": "Written over HTTP into redis."});
        let answer = self.ask("POST", "/api/v3/topics", "application/json", &topic.to_string())?;
        let answer: Value = serde_json::from_str(&answer)?;
        match &answer["response"]["tid"] {
            Value::Null => Err(format!("the forum takes no topic: {answer}").into()),
            number => Ok(number.to_string()),
        }
    }

    /// One request; gives the body of an answer that is no error.
    fn ask(&mut self, method: &str, path: &str, kind: &str, body: &str) -> Outcome<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(ENDING))?;
        let mut request = format!("{method} {path} HTTP/1.0\r\nHost: localhost:{}\r\n", self.port);
        request += &format!("Cookie: {}\r\nX-CSRF-Token: {}\r\n", self.cookie, self.token);
        if !body.is_empty() {
            request += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer is not HTTP")?;
        for line in head.lines() {
            let cookie = line
                .split_once(": ")
                .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
            if let Some((_, cookie)) = cookie {
                cookie
                    .split(';')
                    .next()
                    .unwrap_or_default()
                    .clone_into(&mut self.cookie);
            }
        }
        let status = head.lines().next().unwrap_or_default();
        match status.contains(" 200 ") {
            true => Ok(body.to_owned()),
            false => Err(format!("{method} {path}: {status}: {body}").into()),
        }
    }
}
