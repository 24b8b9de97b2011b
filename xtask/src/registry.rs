//! Images in Debian's docker-registry, and out of it again by skopeo.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use apk_types::Arch;

use crate::package::Signer;
use crate::quickstart::{KEY, public};
use crate::tests::{Verdict, World};
use crate::tools::{At as _, is_root, printed, require};
use crate::{Outcome, repository, run_image};

const ARCHS: [Arch; 3] = [Arch::X86_64, Arch::Aarch64, Arch::Riscv64];

/// How long the registry may take to listen, in steps of [`STEP`].
const STEPS: u32 = 100;
const STEP: Duration = Duration::from_millis(100);

/// A registry that runs until it is dropped.
struct Registry {
    process: Child,
    port: u16,
    data: PathBuf,
}

impl Registry {
    /// Starts one with an empty directory, and with more in the part `http` and below of its configuration.
    fn start(directory: &Path, http: &str, rest: &str) -> Outcome<Self> {
        let (port, data) = (run_image::free_port()?, directory.join("data"));
        let configuration = directory.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: 127.0.0.1:{port}\n{http}{rest}",
            data.display()
        );
        fs::write(&configuration, text).at(&configuration)?;
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let registry = Self { process, port, data };
        for _ in 0..STEPS {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(registry);
            }
            std::thread::sleep(STEP);
        }
        Err("docker-registry does not listen".into())
    }

    fn tag(&self, text: &str) -> String {
        format!("localhost:{}/{text}", self.port)
    }

    /// The number of blobs that it keeps.
    fn blobs(&self) -> Outcome<usize> {
        let blobs = self.data.join("docker/registry/v2/blobs/sha256");
        let mut count = 0;
        for directory in fs::read_dir(&blobs).at(&blobs)? {
            count += fs::read_dir(directory?.path())?.count();
        }
        Ok(count)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What an image is made of, and where.
struct Lab<'w> {
    world: &'w World,
    directory: PathBuf,
}

impl Lab<'_> {
    /// `apko publish` for three architectures.
    fn publish(&self, tags: &[String], more: &[&str]) -> Command {
        let mut apko = Command::new(self.world.apko_binary());
        apko.arg("publish")
            .arg(self.directory.join("apko.yaml"))
            .args(tags);
        apko.args(["--quiet", "--arch", &ARCHS.map(|arch| arch.to_string()).join(",")]);
        apko.args(more);
        apko.env("XDG_CACHE_HOME", self.directory.join("cache"));
        apko.env("DOCKER_CONFIG", self.directory.join("docker"));
        apko.current_dir(&self.directory);
        apko
    }

    /// Has skopeo fetch what was published by the digest that was printed, and runs it.
    fn pull(&self, name: &str, reference: &str, options: &[&str]) -> Outcome {
        let digest = reference.rsplit('@').next().unwrap_or_default();
        let mut inspect = Command::new("skopeo");
        inspect.args(["inspect", "--raw"]);
        inspect.args(options.iter().map(|option| format!("--{option}")));
        let index = printed(inspect.arg(format!("docker://{reference}")))?;
        let found = oci_image::Digest::of(index.as_bytes()).to_string();
        if found != digest {
            return Err(format!("skopeo fetched {found} in the place of {digest}").into());
        }
        let archs = index.matches("\"architecture\"").count();
        if archs != ARCHS.len() {
            return Err(format!("the index has {archs} architectures").into());
        }
        let layout = self.directory.join(format!("{name}-layout"));
        let mut copy = Command::new("skopeo");
        copy.args(["copy", "--quiet", "--insecure-policy"]);
        copy.args(options.iter().map(|option| format!("--src-{option}")));
        copy.arg(format!("docker://{reference}"));
        printed(copy.arg(format!("oci:{}:latest", layout.display())))?;
        let said = run_image::command_in_runc(
            &layout,
            &self.directory.join(format!("{name}-run")),
            &["/bin/busybox", "echo", "it runs"],
        )?;
        match said.trim() {
            "it runs" => Ok(()),
            said => Err(format!("the container said `{said}`").into()),
        }
    }
}

/// Publishes to a registry that anybody may write to, to one that wants a password, and to one that wants a certificate, over
/// TLS.
pub(crate) fn publish(world: &World) -> Outcome<Verdict> {
    if !is_root() || Arch::host() != Some(Arch::X86_64) {
        return Ok(Verdict::Skipped(
            "this needs root, for runc, and an x86_64".to_owned(),
        ));
    }
    let programs = [
        ("docker-registry", "docker-registry"),
        ("htpasswd", "apache2-utils"),
        ("openssl", "openssl"),
    ];
    if let Err(error) = require(&programs) {
        return Ok(Verdict::Skipped(format!("no registry: {error}")));
    }
    require(&[("skopeo", "skopeo"), ("umoci", "umoci"), ("runc", "runc")])?;
    let lab = Lab {
        world,
        directory: world.scratch("registry")?,
    };
    let packages = lab.directory.join("packages");
    let signer = Signer::load(&world.first(KEY))?;
    for arch in ARCHS {
        repository::bootstrap(&packages, arch, &signer)?;
    }
    let configuration = lab.directory.join("apko.yaml");
    let text = format!(
        "contents:\n  keyring: [{}]\n  repositories: [{}]\n  packages: [busybox]\n",
        public(&world.first(KEY)).display(),
        packages.display()
    );
    fs::write(&configuration, text).at(&configuration)?;
    open(&lab)?;
    with_password(&lab)?;
    over_tls(&lab)?;
    Ok(Verdict::Passed)
}

fn open(lab: &Lab<'_>) -> Outcome {
    let directory = lab.directory.join("open");
    fs::create_dir(&directory).at(&directory)?;
    let registry = Registry::start(&directory, "", "")?;
    let tags = [registry.tag("team/web:1.0"), registry.tag("team/web:latest")];
    let reference = printed(&mut lab.publish(&tags, &[]))?.trim().to_owned();
    lab.pull("open", &reference, &["tls-verify=false"])?;
    // For each architecture a layer, a config and a manifest; and the index.
    let blobs = registry.blobs()?;
    if blobs != 3 * ARCHS.len() + 1 {
        return Err(format!("the registry has {blobs} blobs").into());
    }
    let said = printed(&mut lab.publish(&tags, &["--json"]))?;
    if !said.contains("\"sent\":0,\"sent_bytes\":0,") {
        return Err(format!("the second time something was sent:\n{said}").into());
    }
    let other = [registry.tag("team/other:1.0")];
    let said = printed(&mut lab.publish(&other, &["--json", "--mount-from", &tags[0]]))?;
    if !said.contains("\"mounted\":6,") {
        return Err(format!("layers and configs were not taken over:\n{said}").into());
    }
    Ok(())
}

fn with_password(lab: &Lab<'_>) -> Outcome {
    let directory = lab.directory.join("password");
    fs::create_dir(&directory).at(&directory)?;
    let entry = printed(Command::new("htpasswd").args(["-Bbn", "me", "s3cret"]))?;
    let passwords = directory.join("htpasswd");
    fs::write(&passwords, entry).at(&passwords)?;
    let authentication = format!(
        "auth: {{htpasswd: {{realm: here, path: {}}}}}\n",
        passwords.display()
    );
    let registry = Registry::start(&directory, "", &authentication)?;
    let tags = [registry.tag("team/web:1.0")];
    let said = lab.publish(&tags, &[]).output()?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    if !said.contains("no credentials for it were found") || !said.contains("apko login") {
        return Err(format!("without a password it says:\n{said}").into());
    }
    let server = format!("localhost:{}", registry.port);
    let mut login = Command::new(lab.world.apko_binary());
    login.args(["login", &server, "-u", "me", "-p", "s3cret"]);
    printed(login.env("DOCKER_CONFIG", lab.directory.join("docker")))?;
    let reference = printed(&mut lab.publish(&tags, &[]))?.trim().to_owned();
    lab.pull("password", &reference, &["tls-verify=false", "creds=me:s3cret"])
}

fn over_tls(lab: &Lab<'_>) -> Outcome {
    let directory = lab.directory.join("tls");
    fs::create_dir(&directory).at(&directory)?;
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.private -out ca.crt -days 2 -subj /CN=authority\n\
                  openssl req -newkey rsa:2048 -nodes -keyout own.key -out own.csr -subj /CN=localhost\n\
                  echo subjectAltName=DNS:localhost > names\n\
                  openssl x509 -req -in own.csr -CA ca.crt -CAkey ca.private -CAcreateserial -days 2 -extfile names -out own.cert\n";
    printed(Command::new("sh").args(["-euc", script]).current_dir(&directory))?;
    let path = |name: &str| directory.join(name).display().to_string();
    let (authority, certificate, key) = (path("ca.crt"), path("own.cert"), path("own.key"));
    // Whoever asks shows a certificate of the same authority.
    let tls = format!("  tls: {{certificate: {certificate}, key: {key}, clientcas: [{authority}]}}\n");
    let registry = Registry::start(&directory, &tls, "")?;
    let tags = [registry.tag("team/web:1.0")];
    let refused = |more: &[&str]| -> Outcome<String> {
        let output = lab.publish(&tags, more).output()?;
        match output.status.code() {
            Some(1) => Ok(String::from_utf8_lossy(&output.stderr).into_owned()),
            code => Err(format!("{more:?} came to {code:?}").into()),
        }
    };
    let said = refused(&[])?;
    if !said.contains("certificate") || !said.contains("--ca-file") {
        return Err(format!("without the authority it says:\n{said}").into());
    }
    refused(&["--insecure-allow-http"])?;
    let identity = ["--client-cert", &certificate, "--client-key", &key];
    refused(&["--ca-file", &authority])?;
    let trusting = [&["--ca-file", &authority], &identity[..]].concat();
    let reference = printed(&mut lab.publish(&tags, &trusting))?.trim().to_owned();
    let careless = [&["--insecure-tls-skip-verify"], &identity[..]].concat();
    let again = printed(&mut lab.publish(&tags, &careless))?;
    if again.trim() != reference {
        return Err(format!("{reference} became {again}").into());
    }
    let directory = directory.display();
    lab.pull("tls", &reference, &[&format!("cert-dir={directory}")])
}
