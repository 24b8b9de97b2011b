//! Connections of the servers of tests.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::server::Request;

/// A port of its own, whose connections are served each in a thread until it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    is_stopped: Arc<AtomicBool>,
}

impl Listener {
    pub(crate) fn start(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_stopped = Arc::new(AtomicBool::new(false));
        let (serve, stopped) = (Arc::new(serve), Arc::clone(&is_stopped));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let serve = Arc::clone(&serve);
                // What a client thinks of the answer is for the test to say.
                thread::spawn(move || stream.and_then(|stream| serve(stream)));
            }
        });
        Self { address, is_stopped }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that listens.
        let _ = TcpStream::connect(self.address);
    }
}

/// TLS for `localhost`, and the certificate in PEM.
pub(crate) fn tls() -> (Arc<ServerConfig>, String) {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key.into())
        .unwrap();
    (Arc::new(config), signed.cert.pem())
}

pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A connection, and what is to be read of it next.
pub(crate) fn accept(
    tcp: TcpStream,
    tls: Option<&Arc<ServerConfig>>,
) -> io::Result<BufReader<Box<dyn Stream>>> {
    tcp.set_nodelay(true)?;
    Ok(BufReader::new(match tls {
        Some(config) => {
            let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            Box::new(StreamOwned::new(connection, tcp))
        }
        None => Box::new(tcp),
    }))
}

/// Resets a connection once what was sent is delivered.
pub(crate) fn reset(connection: &TcpStream) -> io::Result<()> {
    // Bytes that are not delivered yet would be lost with the connection.
    thread::sleep(Duration::from_millis(20));
    Ok(rustix::net::sockopt::set_socket_linger(
        connection,
        Some(Duration::ZERO),
    )?)
}

/// The next request of a connection without its body, `None` at the end.
pub(crate) fn read_head(stream: &mut BufReader<Box<dyn Stream>>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, target) = (word(), word());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(Some(Request {
        method,
        target,
        headers,
        body: Vec::new(),
        status: 0,
    }))
}
