//! The API over TCP: on loopback as it is, elsewhere with TLS.

use std::{net::SocketAddr, path::Path, sync::Arc};

use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    },
};

use crate::config;

/// A listener, and what it greets with.
pub struct Tcp {
    /// Where.
    pub listener: TcpListener,
    /// With what.
    pub tls: Tls,
}

/// A certificate that may be exchanged while connections come; every clone has the same one.
#[derive(Clone, Default)]
pub struct Tls(Arc<RwLock<Option<TlsAcceptor>>>);

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
        source: std::io::Error,
    },
    /// A file cannot be read, or holds something else.
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

impl Tls {
    /// Takes the certificate of this configuration, or none.
    ///
    /// # Errors
    /// [`TcpError`]; the one there was stays.
    pub fn read(&self, api: &config::Api) -> Result<(), TcpError> {
        let acceptor = api.tls().map(acceptor).transpose()?;
        *self.0.write() = acceptor;
        Ok(())
    }

    /// What greets a connection, if it is to be greeted.
    pub fn acceptor(&self) -> Option<TlsAcceptor> {
        // It is exchanged whole.
        self.0.read().clone()
    }
}

/// Listens where the configuration says, if it does.
///
/// # Errors
/// [`TcpError`]
pub async fn listen(api: &config::Api, tls: &Tls) -> Result<Option<Tcp>, TcpError> {
    let Some(address) = api.listen else {
        return Ok(None);
    };
    tls.read(api)?;
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| TcpError::Listen { address, source })?;
    Ok(Some(Tcp {
        listener,
        tls: tls.clone(),
    }))
}

fn acceptor(files: config::Tls<'_>) -> Result<TlsAcceptor, TcpError> {
    let unreadable = |what, path: &Path| {
        let path = path.display().to_string();
        move |source| TcpError::Pem { what, path, source }
    };
    let chain = CertificateDer::pem_file_iter(files.cert)
        .and_then(|chain| chain.collect::<Result<Vec<_>, _>>())
        .and_then(|chain| match chain.is_empty() {
            true => Err(pem::Error::NoItemsFound),
            false => Ok(chain),
        })
        .map_err(unreadable("a certificate", files.cert))?;
    let key = PrivateKeyDer::from_pem_file(files.key).map_err(unreadable("a key", files.key))?;
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
    Ok(TlsAcceptor::from(Arc::new(config)))
}
