//! Connections: accepted within bounds, served as HTTP/1.1.
//!
//! - [`room`]: how many there may be
//! - [`pace`]: how long a peer may keep us from writing
//! - [`tcp`]: with TLS or on loopback

mod pace;
pub mod room;
pub mod tcp;

use std::{convert::Infallible, future::pending, io, net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixListener,
    sync::{oneshot, watch},
    time::{sleep, timeout},
};
use tower::ServiceExt as _;

use self::{
    pace::Paced,
    room::{Key, Room, Slot},
    tcp::Entrance,
};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process on this host, by its user (`SO_PEERCRED`); `None` where that could not be read.
    Unix(Option<u32>),
    /// A host.
    Tcp(IpAddr),
}

/// How long the headers of a request, or the greetings of TLS, may take to come.
const HEADERS: Duration = Duration::from_secs(10);

/// Bytes of the headers of a request.
const HEADER_BYTES: usize = 16 << 10;

/// Headers of a request.
const HEADER_COUNT: usize = 64;

/// After a failure to accept, for want of descriptors most likely.
const PAUSE: Duration = Duration::from_millis(50);

/// Where requests come in.
pub struct Listeners {
    /// The socket.
    pub unix: UnixListener,
    /// Where it is asked for; elsewhere, as soon as it is asked for elsewhere.
    pub tcp: watch::Receiver<Option<Entrance>>,
}

/// Answers until `end` is dropped, and then as long as answers are on their way.
pub async fn serve(listeners: Listeners, app: Router, end: oneshot::Receiver<Infallible>) {
    let Listeners { unix, mut tcp } = listeners;
    let server = Server {
        app,
        graceful: GracefulShutdown::new(),
    };
    tokio::select! {
        () = accept_unix(&unix, &server) => {}
        () = accept_tcp(&mut tcp, &server) => {}
        // It can only be dropped.
        _ = end => {}
    }
    // Who comes now finds nobody.
    drop((unix, tcp));
    server.graceful.shutdown().await;
}

/// HTTP/1.1 as everybody is served it: headers have a size, and a time to come in.
pub fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_headers(HEADER_COUNT)
        .max_buf_size(HEADER_BYTES);
    http
}

async fn accept_unix(listener: &UnixListener, server: &Server) {
    let room = Arc::new(Room::of_users());
    loop {
        let Some((stream, _)) = accepted(listener.accept().await).await else {
            continue;
        };
        let uid = stream.peer_cred().ok().map(|peer| peer.uid());
        if let Some(slot) = room.enter(Key::User(uid)) {
            server.spawn(async { Some(stream) }, Peer::Unix(uid), slot);
        }
    }
}

async fn accept_tcp(entrances: &mut watch::Receiver<Option<Entrance>>, server: &Server) {
    let room = Arc::new(Room::of_hosts());
    loop {
        let entrance = entrances.borrow_and_update().clone();
        let accepting = async {
            match &entrance {
                Some(entrance) => (entrance.listener.accept().await, entrance.tls.clone()),
                None => pending().await,
            }
        };
        let (came, tls) = tokio::select! {
            Ok(()) = entrances.changed() => continue,
            came = accepting => came,
        };
        let Some((stream, from)) = accepted(came).await else {
            continue;
        };
        let Some(slot) = room.enter(Key::host(from.ip())) else {
            continue;
        };
        let (stream, peer) = (Paced::new(stream), Peer::Tcp(from.ip()));
        match tls {
            None => server.spawn(async { Some(stream) }, peer, slot),
            Some(acceptor) => {
                let greeted = async move {
                    let greetings = timeout(HEADERS, acceptor.accept(stream));
                    // Whoever does not speak TLS is not told so in words it would not understand.
                    greetings.await.ok()?.ok()
                };
                server.spawn(greeted, peer, slot);
            }
        }
    }
}

async fn accepted<T>(accepted: io::Result<T>) -> Option<T> {
    match accepted {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            sleep(PAUSE).await;
            None
        }
    }
}

/// What every connection gets.
struct Server {
    app: Router,
    graceful: GracefulShutdown,
}

impl Server {
    /// Serves a connection, once it is one, in a task of its own.
    fn spawn<S>(
        &self,
        stream: impl Future<Output = Option<S>> + Send + 'static,
        peer: Peer,
        slot: Slot,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (app, watcher) = (self.app.clone(), self.graceful.watcher());
        tokio::spawn(async move {
            let _slot = slot;
            let Some(stream) = stream.await else {
                return;
            };
            let service = service_fn(move |request: Request<Incoming>| {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(peer);
                app.clone().oneshot(request)
            });
            let connection = http().serve_connection(TokioIo::new(stream), service);
            // How a client ends its connection is its own matter.
            let _ = watcher.watch(connection).await;
        });
    }
}
