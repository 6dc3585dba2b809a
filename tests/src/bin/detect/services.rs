//! What the server offers: TCP services that answer, so that a client's success can be counted.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Shutdown, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use fw_tests::lab::{Lab, address::FAMILIES};
use nix::sys::socket;

const ANSWER: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
/// How long a client may wait for its connection, and for its answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// One listening port of the server; dropped, it is closed.
pub struct Service {
    listener: Arc<TcpListener>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// On this port of the server's address.
    pub fn open(lab: &Lab, address: IpAddr, port: u16) -> Self {
        let listener = Arc::new(lab.listen(address, port));
        let accepting = Arc::clone(&listener);
        let serve = move || {
            while let Ok((client, _)) = accepting.accept() {
                thread::spawn(move || answer(client));
            }
        };
        Self {
            listener,
            thread: Some(thread::spawn(serve)),
        }
    }

    /// What any server has: SSH and HTTP, in both families.
    pub fn usual(lab: &Lab) -> Vec<Self> {
        let addresses = FAMILIES.iter().map(|family| family.server);
        let places = addresses.flat_map(|address| [22, 80].map(|port| (address, port)));
        places
            .map(|(address, port)| Self::open(lab, address, port))
            .collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // `accept` returns.
        let _ended = socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _joined = thread.join();
        }
    }
}

/// A client that says nothing gets nothing.
fn answer(mut client: TcpStream) {
    let _time_limit = client.set_read_timeout(Some(PATIENCE));
    let mut request = [0; 1024];
    if matches!(client.read(&mut request), Ok(1..)) {
        // The client may be gone.
        let _sent = client.write_all(ANSWER);
    }
}

/// One request on a fresh connection from this source.
pub fn get(lab: &Lab, source: IpAddr, server: IpAddr, port: u16) -> Result<()> {
    let connection = lab.connect(source, (server, port).into(), PATIENCE);
    let connection = connection.with_context(|| format!("{source} cannot connect to {port}"))?;
    ask(connection).with_context(|| format!("{source} got no answer from {port}"))
}

/// One request on this connection.
pub fn ask(mut connection: TcpStream) -> Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    connection.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    anyhow::ensure!(answer == ANSWER, "another answer than the server's");
    Ok(())
}
