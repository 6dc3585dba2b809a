//! REST over a Unix socket; the command line is a client of it.
//!
//! - [`wire`]: what goes over the socket
//! - [`routes`]: the table of endpoints
//! - [`events`]: `GET /events`
//! - [`body`]: what comes with a request
//! - [`reply`]: answers and failures

pub mod body;
pub mod events;
pub mod reply;
pub mod routes;
pub mod wire;

use std::{convert::Infallible, io};

use axum::{
    extract::{
        Request, State,
        connect_info::{ConnectInfo, Connected},
    },
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    serve::IncomingStream,
};
use tokio::{net::UnixListener, sync::oneshot};

use self::wire::{Code, ProblemBody};
use crate::daemon::handle::Handle;

/// Who is at the other end of the socket (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred().ok();
        Self {
            uid: credentials.map(|credentials| credentials.uid()),
            gid: credentials.map(|credentials| credentials.gid()),
        }
    }
}

impl Peer {
    /// As recorded with a change.
    pub fn name(self) -> String {
        self.uid
            .map_or_else(|| "unknown".to_owned(), |uid| format!("uid {uid}"))
    }
}

/// Who may use the API.
#[derive(Clone, Copy, Debug)]
struct Allowed {
    uid: u32,
    /// The socket's group, if there is one beside root's.
    group: Option<u32>,
}

impl Allowed {
    /// The socket's mode keeps strangers out already; this holds when somebody loosens it. A
    /// member of the group through a supplementary group connects with another `gid`, so with a
    /// group the mode alone decides.
    fn admits(self, peer: Peer) -> bool {
        match (peer.uid, peer.gid) {
            (Some(uid), _) if uid == 0 || uid == self.uid => true,
            (Some(_), Some(_)) => self.group.is_some(),
            _ => false,
        }
    }
}

/// Answers until `end` is dropped, and then as long as answers are on their way.
///
/// # Errors
/// The socket fails.
pub async fn serve(
    listener: UnixListener,
    handle: Handle,
    group: String,
    end: oneshot::Receiver<Infallible>,
) -> io::Result<()> {
    let allowed = Allowed {
        uid: nix::unistd::geteuid().as_raw(),
        group: nix::unistd::Group::from_name(&group)
            .ok()
            .flatten()
            .map(|group| group.gid.as_raw()),
    };
    let app = routes::router(handle).layer(from_fn_with_state(allowed, admit));
    axum::serve(listener, app.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(async {
            // It can only be dropped.
            let _ = end.await;
        })
        .await
}

async fn admit(
    State(allowed): State<Allowed>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if !allowed.admits(peer) {
        let message = format!("{} may not use this socket", peer.name());
        return ProblemBody::new(Code::Permission, message).into_response();
    }
    next.run(request).await
}
