//! The API over TCP: on loopback as it is, elsewhere with TLS.

use std::{fs, io, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    },
};

use crate::{config, host::files::read_regular};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A listener, and what it greets with.
#[derive(Clone)]
pub struct Entrance {
    address: SocketAddr,
    /// Where connections come in.
    pub listener: Arc<TcpListener>,
    /// What they are greeted with, if they are.
    pub tls: Option<TlsAcceptor>,
}

/// The entrance there is, if there is one; who accepts hears of another.
pub struct Entrances(watch::Sender<Option<Entrance>>);

/// Why the API is not reached over TCP.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    /// The address cannot be taken.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {what} in {path}")]
    File {
        /// What it should be.
        what: &'static str,
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something else.
    #[error("cannot read {what} in {path}")]
    Pem {
        /// What it should be.
        what: &'static str,
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// Certificate and key cannot be used.
    #[error("cannot use the certificate {path}")]
    Certificate {
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

impl Default for Entrances {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Entrances {
    /// For who accepts connections.
    pub fn watch(&self) -> watch::Receiver<Option<Entrance>> {
        self.0.subscribe()
    }

    /// Listens where the configuration says, with its certificate, or nowhere. Connections that are
    /// there stay.
    ///
    /// # Errors
    /// [`TcpError`]; all is as it was.
    pub fn open(&self, api: &config::Api) -> Result<(), TcpError> {
        let tls = acceptor(api)?;
        let there = self.0.borrow().clone();
        let next = match (api.listen, there) {
            (None, _) => None,
            (Some(address), Some(there)) if there.address == address => {
                Some(Entrance { tls, ..there })
            }
            (Some(address), _) => {
                let listener = listen(address);
                let listener = listener.map_err(|source| TcpError::Listen { address, source })?;
                let listener = Arc::new(listener);
                Some(Entrance {
                    address,
                    listener,
                    tls,
                })
            }
        };
        self.0.send_replace(next);
        Ok(())
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of a daemon before may not be over yet.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What greets connections, if the configuration names a certificate.
///
/// # Errors
/// Certificate or key cannot be read or used.
pub fn acceptor(api: &config::Api) -> Result<Option<TlsAcceptor>, TcpError> {
    let Some(files) = api.tls() else {
        return Ok(None);
    };
    let chain = read("a certificate", files.cert, |text| {
        let chain = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>()?;
        match chain.is_empty() {
            true => Err(pem::Error::NoItemsFound),
            false => Ok(chain),
        }
    })?;
    let key = read("a key", files.key, PrivateKeyDer::from_pem_slice)?;
    warn_of_readers(files.key);
    let refused = |source| TcpError::Certificate {
        path: files.cert.display().to_string(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(refused)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// A file that somebody names may be a pipe that never ends.
fn read<T>(
    what: &'static str,
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, pem::Error>,
) -> Result<T, TcpError> {
    let shown = || path.display().to_string();
    let text = read_regular(path).map_err(|source| TcpError::File {
        what,
        path: shown(),
        source,
    })?;
    parse(text.as_bytes()).map_err(|source| TcpError::Pem {
        what,
        path: shown(),
        source,
    })
}

fn warn_of_readers(key: &Path) {
    let mode = fs::metadata(key).map_or(0, |found| found.permissions().mode());
    if mode & 0o007 != 0 {
        let mode = format!("{:o}", mode & 0o777);
        tracing::warn!(key = %key.display(), mode, "everybody on this host can use this key");
    }
}
