//! Shared stores whose entries are damaged, exchanged, or not by whom they should be: what is wrong is told and built anew.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use apk_package::{Keyring, PrivateKey};
use apk_repository::{Client, ClientOptions, Timeouts};
use build_graph::{
    DirectoryStore, Ending, Engine, History, HttpStore, MAX_RECORD, Problem, Record, Shared, Store, Stores,
    Summary,
};
use common::{Oracle, Place, Simulation, World, number, options, seeded};
use testkit::{Fault, KEY_NAME, Server};

static STRANGER: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(2048).unwrap());

fn trust() -> Keyring {
    let mut keyring = Keyring::default();
    keyring.insert(KEY_NAME, testkit::key().public_key());
    keyring
}

fn shared(store: impl Store + 'static) -> Shared {
    Shared {
        store: Box::new(store),
        trust: trust(),
        sign: Some((KEY_NAME.to_owned(), testkit::key().clone())),
    }
}

/// A client that neither waits between attempts nor long for answers.
fn client() -> Client {
    let mut options = ClientOptions::default();
    options.http.sleep = Arc::new(|_| {});
    options.http.retry.times = 1;
    options.http.timeouts = Timeouts {
        connect: Duration::from_millis(500),
        read: Duration::from_millis(1500),
        stall: Duration::from_millis(300),
    };
    Client::new(options)
}

/// A world without twins, so that each node has a record of its own.
fn world() -> World {
    let mut world = World::random(&mut seeded(3), 7);
    for (number, sim) in &mut world.nodes {
        sim.class = format!("class {number}");
    }
    world
}

fn place_with(shared: Shared) -> Place {
    let mut place = Place::new();
    place.stores = Stores::new(DirectoryStore::at(place.directory.path().join("store"))).with_shared(shared);
    place
}

/// Fills a shared directory with the results of the world.
fn fill(root: &Path, world: &World) -> Summary {
    let place = place_with(shared(DirectoryStore::at(root)));
    let summary = place.build(&Simulation::of(world), &options(2));
    assert_eq!(summary.problems, []);
    summary
}

/// Builds the world with an empty store in front of a shared one. Returns what was built, and what was told.
fn build(world: &World, shared: Shared) -> (Vec<usize>, Vec<Problem>) {
    let place = place_with(shared);
    let simulation = Simulation::of(world);
    let engine = Engine::new(&simulation, &place.stores, &place.history);
    let summary = engine.build(&world.targets(), &options(2), &()).unwrap();
    assert!(summary.is_complete(), "{:?}", summary.nodes);
    let oracle = Oracle::of(world);
    for (node, key, _) in &summary.nodes {
        let (record, _) = place
            .stores
            .find(&key.unwrap(), &|problem| panic!("{problem}"))
            .unwrap();
        for (file, text) in record.output.files().zip(&oracle.texts[&number(node)]) {
            let path = place.directory.path().join("file");
            place
                .stores
                .fetch(&file.blob, &path, &|problem| panic!("{problem}"))
                .unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), *text, "{node}");
        }
    }
    let built = simulation.order.lock().unwrap().clone();
    (built, summary.problems)
}

type Damage = (&'static str, fn(&Path, &Path));

/// What may be wrong with a record: what is done to its file, with another one beside it; and what is told.
const RECORDS: &[(Damage, &str)] = &[
    (("cut off", |path, _| truncate(path, -1)), "it is damaged"),
    (
        ("cut off in its head", |path, _| truncate(path, 20)),
        "it is damaged",
    ),
    (
        ("empty", |path, _| truncate(path, 0)),
        "it is no record of this version",
    ),
    (
        ("something else", |path, _| {
            fs::write(path, "<html>hello</html>").unwrap()
        }),
        "it is no record of this version",
    ),
    (("changed", |path, _| change(path, 100)), "it is damaged"),
    (
        ("another's", |path, other| copy(other, path)),
        "it is the record of another key",
    ),
    (("unsigned", |path, _| resign(path, None)), "it has no signature"),
    (
        ("a stranger's", |path, _| {
            resign(path, Some(("stranger.rsa.pub", &STRANGER)))
        }),
        "its signature cannot be verified",
    ),
    (
        ("a stranger's under our name", |path, _| {
            resign(path, Some((KEY_NAME, &STRANGER)))
        }),
        "its signature by the key",
    ),
    (
        ("huge", |path, _| {
            truncate(path, i64::try_from(MAX_RECORD).unwrap() + 1)
        }),
        "more than",
    ),
    (("a lie about its length", |path, _| lie(path)), "it is damaged"),
    (
        ("a name that leads elsewhere", |path, _| {
            rename(path, "../../escape")
        }),
        "the name `../../escape` in it",
    ),
];

const BLOBS: &[(Damage, &str)] = &[
    (
        ("cut off", |path, _| truncate(path, -1)),
        "it is not what its name says",
    ),
    (
        ("empty", |path, _| truncate(path, 0)),
        "it is not what its name says",
    ),
    (
        ("changed", |path, _| change(path, 10)),
        "it is not what its name says",
    ),
    (
        ("another's", |path, other| copy(other, path)),
        "it is not what its name says",
    ),
    (
        ("longer", |path, _| truncate(path, 100)),
        "it is not what its name says",
    ),
    (
        ("huge", |path, _| truncate(path, 1 << 26)),
        "it is not what its name says",
    ),
    (
        ("not there", |path, _| fs::remove_file(path).unwrap()),
        "no store has it",
    ),
];

/// Sets the length of a file; a negative one is taken off.
fn truncate(path: &Path, length: i64) {
    let file = File::options().write(true).open(path).unwrap();
    let now = i64::try_from(file.metadata().unwrap().len()).unwrap();
    let length = if length < 0 { now + length } else { length };
    file.set_len(u64::try_from(length).unwrap()).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

fn change(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn decode(path: &Path) -> Record {
    let key = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
    Record::decode(&fs::read(path).unwrap(), &key, None).unwrap()
}

fn resign(path: &Path, sign: Option<(&str, &PrivateKey)>) {
    fs::write(path, decode(path).encode(sign).unwrap()).unwrap();
}

fn rename(path: &Path, name: &str) {
    let mut record = decode(path);
    record.output.parts[0].files[0].name = name.to_owned();
    fs::write(path, record.encode(Some((KEY_NAME, testkit::key()))).unwrap()).unwrap();
}

/// An envelope that says of what follows that it is longer than anything.
fn lie(path: &Path) {
    let magic = fs::read(path).unwrap()[..8].to_vec();
    let envelope = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let hash = blake3::hash(&envelope);
    fs::write(path, [&magic[..], hash.as_bytes(), &envelope].concat()).unwrap();
}

/// The file of node 2's record, or of its first blob, and of another node's.
fn files(root: &Path, summary: &Summary, is_record: bool) -> (PathBuf, PathBuf) {
    let path = |index: usize| {
        let key = summary
            .nodes
            .iter()
            .find(|(node, ..)| number(node) == index)
            .unwrap()
            .1
            .unwrap();
        let record = root.join("ac").join(key.to_string());
        match is_record {
            true => record,
            false => root
                .join("cas")
                .join(decode(&record).output.parts[0].files[0].blob.hash.to_string()),
        }
    };
    (path(2), path(4))
}

fn each_damage_is_told_and_built_anew(over_http: bool) {
    let world = world();
    let cases = RECORDS
        .iter()
        .map(|case| (case, true))
        .chain(BLOBS.iter().map(|case| (case, false)));
    for (((name, damage), told), is_record) in cases {
        let root = tempfile::tempdir().unwrap();
        let summary = fill(root.path(), &world);
        let (path, other) = files(root.path(), &summary, is_record);
        damage(&path, &other);
        let server = over_http.then(|| Server::start(root.path()));
        // Whoever may only read must not repair.
        let store: Box<dyn Store> = match &server {
            Some(server) => Box::new(HttpStore::new(client(), &server.url())),
            None => Box::new(DirectoryStore::at(root.path())),
        };
        let shared = Shared {
            store,
            trust: trust(),
            sign: None,
        };
        let (built, problems) = build(&world, shared);
        assert_eq!(built, [2], "{name}: {problems:?}");
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        // A server's answer that is too large is told as such.
        let told = if over_http && matches!(*name, "huge" | "longer") {
            "more than"
        } else {
            told
        };
        assert!(texts.iter().any(|text| text.contains(told)), "{name}: {texts:?}");
    }
}

#[test]
fn each_damage_in_a_shared_directory_is_told_and_built_anew() {
    each_damage_is_told_and_built_anew(false);
}

#[test]
fn each_damage_behind_http_is_told_and_built_anew() {
    each_damage_is_told_and_built_anew(true);
}

#[test]
fn each_damage_in_ones_own_store_is_built_anew() {
    let world = world();
    for ((name, damage), _) in RECORDS
        .iter()
        .filter(|((name, _), _)| !name.contains("signed") && !name.contains("stranger"))
    {
        let place = Place::new();
        let summary = place.build(&Simulation::of(&world), &options(1));
        let (path, other) = files(place.stores.local().root(), &summary, true);
        damage(&path, &other);
        let simulation = Simulation::of(&world);
        let engine = Engine::new(&simulation, &place.stores, &place.history);
        let summary = engine.build(&world.targets(), &options(1), &()).unwrap();
        assert!(summary.is_complete());
        assert_eq!(*simulation.order.lock().unwrap(), [2], "{name}");
        assert_eq!(summary.problems.len(), 1, "{name}: {:?}", summary.problems);
        // It is whole again.
        assert_eq!(place.build(&Simulation::of(&world), &options(1)).problems, []);
    }
}

#[test]
fn what_one_machine_built_another_has_over_http() {
    let (world, root) = (world(), tempfile::tempdir().unwrap());
    let server = Server::start(root.path());
    server.take_files();
    server.require(&basic("ci", "s3cret"));
    let url = server.url().replace("http://", "http://ci:s3cret@");
    let store = || shared(HttpStore::new(client(), &url));
    assert_eq!(store().store.name(), server.url());
    let (built, problems) = build(&world, store());
    assert_eq!((built.len(), problems), (7, vec![]));
    let (built, problems) = build(&world, store());
    assert_eq!((built.len(), problems), (0, vec![]));
    // The directory behind the server is a store as it is.
    let (built, problems) = build(&world, shared(DirectoryStore::at(root.path())));
    assert_eq!((built.len(), problems), (0, vec![]));
    let put = server
        .requests()
        .into_iter()
        .filter(|request| request.method == "PUT");
    assert!(put.into_iter().all(|request| request.status == 201));
}

fn basic(user: &str, password: &str) -> String {
    assert_eq!((user, password), ("ci", "s3cret"));
    "Basic Y2k6czNjcmV0".to_owned()
}

#[test]
fn a_server_that_misbehaves_costs_time_and_nothing_else() {
    let world = world();
    let faults: Vec<(&str, Fault)> = vec![
        ("500", Fault::status(500)),
        ("403", Fault::status(403)),
        ("redirects for ever", Fault::redirect("/ac/around")),
        ("truncates", Fault::Truncate(50)),
        ("resets", Fault::Reset(50)),
        ("stalls", Fault::Stall(50)),
        ("lies about the length", Fault::Length(1 << 50)),
        ("sends another body", Fault::Body(vec![0; 500])),
        ("says that nothing has changed", Fault::NotModified),
    ];
    for (name, fault) in faults {
        let root = tempfile::tempdir().unwrap();
        let summary = fill(root.path(), &world);
        let server = Server::start(root.path());
        let (path, _) = files(root.path(), &summary, true);
        let target = format!("/ac/{}", path.file_name().unwrap().to_str().unwrap());
        server.always(&target, fault.clone());
        server.always("/ac/around", Fault::redirect("/ac/around"));
        let shared = Shared {
            sign: None,
            ..shared(HttpStore::new(client(), &server.url()))
        };
        let (built, problems) = build(&world, shared);
        assert_eq!(built, [2], "{name}: {problems:?}");
        assert!(!problems.is_empty(), "{name}");
    }
}

#[test]
fn a_server_that_is_not_there_is_given_up_soon() {
    let world = world();
    let url = {
        let root = tempfile::tempdir().unwrap();
        Server::start(root.path()).url()
    };
    // Whoever listens there was told to stop a moment ago.
    std::thread::sleep(Duration::from_millis(50));
    let (built, problems) = build(&world, shared(HttpStore::new(client(), &url)));
    assert_eq!(built.len(), 7);
    let given_up = problems
        .iter()
        .filter(|problem| matches!(problem, Problem::Store { given_up: true, .. }));
    assert!((1..=2).contains(&given_up.count()), "{problems:?}");
    // Some were under way when it was given up.
    assert!(problems.len() <= 7, "{problems:?}");
}

#[test]
fn a_plan_asks_a_shared_store_and_says_what_a_build_does_then() {
    let (world, root) = (world(), tempfile::tempdir().unwrap());
    fill(root.path(), &world);
    let place = place_with(shared(DirectoryStore::at(root.path())));
    let simulation = Simulation::of(&world);
    let engine = Engine::new(&simulation, &place.stores, &place.history);
    assert_eq!(
        engine
            .plan(&world.targets(), &options(1))
            .unwrap()
            .builds()
            .count(),
        0
    );
    let summary = engine.build(&world.targets(), &options(1), &()).unwrap();
    assert!(
        summary
            .nodes
            .iter()
            .all(|(_, _, ending)| matches!(ending, Ending::Reused { .. }))
    );
    // How long it took where it was built is known here too.
    let took = place.history.get(&world.targets()[0]).unwrap();
    assert!(!took.was_built && took.took > Duration::ZERO);
}

#[test]
fn a_history_that_is_damaged_is_told_and_costs_explanations_alone() {
    let (world, mut place) = (world(), Place::new());
    place.build(&Simulation::of(&world), &options(1));
    let path = place.history.path().to_owned();
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        place.history = History::open(&path).unwrap();
        assert!(place.history.damage().is_some(), "{at}");
        // The frames before and after it are read.
        assert!(
            place.history.nodes().len() >= 5,
            "{at}: {:?}",
            place.history.nodes()
        );
    }
    // What was cut off in the middle, and what was appended behind that.
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    place.history = History::open(&path).unwrap();
    assert_eq!(place.history.nodes().len(), 6);
    let simulation = Simulation::of(&world);
    let engine = Engine::new(&simulation, &place.stores, &place.history);
    let summary = engine.build(&world.targets(), &options(1), &()).unwrap();
    assert_eq!((simulation.built(), summary.problems.len()), (0, 1));
    place.history = History::open(&path).unwrap();
    assert_eq!(place.history.nodes().len(), 7);
    // Written anew it is whole.
    place.history.retain(|_, _| true).unwrap();
    place.reopen();
    assert_eq!(place.history.nodes().len(), 7);
    assert_eq!(
        place.history.get(&world.targets()[0]).unwrap().inputs()[1].name,
        "recipe"
    );
}

#[test]
fn a_store_that_may_only_be_read_is_read_on_after_it_refused_to_be_written() {
    let (mut world, root) = (world(), tempfile::tempdir().unwrap());
    fill(root.path(), &world);
    let server = Server::start(root.path());
    // All that is changed is asked for first, since the other nodes need it.
    world
        .nodes
        .values_mut()
        .take(4)
        .for_each(|sim| sim.source += 1000);
    let (built, problems) = build(&world, shared(HttpStore::new(client(), &server.url())));
    assert!(built.len() >= 4 && !problems.is_empty(), "{built:?} {problems:?}");
    let requests = server.requests();
    let count = |method: &str| requests.iter().filter(|request| request.method == method).count();
    // One may have been under way when it was given up.
    assert!((3..=4).contains(&count("PUT")), "{requests:?}");
    assert!(count("GET") >= 7, "{requests:?}");
}
