//! `dashboard`: the daemon's page in a browser of this user. A browser cannot speak to a Unix
//! socket, so its requests come in through a port of the loopback and go on to the socket.
//!
//! - [`gate`]: which of them are let in; any program of any user can reach the port
//! - [`relay`]: what is passed on, and what comes back

mod gate;
mod relay;

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    signal,
    sync::Semaphore,
};

use self::{
    gate::{Gate, Judged},
    relay::{Answer, Relay},
};
use crate::{
    api::{server, wire::Version},
    cli::{Context, client},
    host::random,
};

/// Connections at a time; a browser opens six.
const CONNECTIONS: usize = 64;
/// After a connection could not be taken: too many files are open, for one.
const PAUSE: Duration = Duration::from_millis(100);

/// What `dashboard` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The port to open on the loopback; any free one by default
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Let the page look, and change nothing
    #[arg(long)]
    read_only: bool,
}

/// `fw-ctl dashboard`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    // Told here, and not by an empty page.
    let _version: Version = context.client.get("/version")?;
    let looks_only = args.read_only || context.global.dry_run;
    client::runtime()?.block_on(async {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
        let listener = TcpListener::bind(wanted)
            .await
            .with_context(|| format!("cannot open {wanted}"))?;
        let port = listener.local_addr()?.port();
        let token = random::secret()?;
        let url = format!("http://127.0.0.1:{port}/?token={token}");
        let door = Door {
            gate: Gate::new(port, looks_only, token, random::secret()?),
            relay: Relay::new(context.global.socket.clone()),
        };
        let opened = json!({ "url": url });
        context.output.either(&opened, |_| url.clone())?;
        context
            .output
            .note("the address works once; Ctrl-C closes the port");
        tokio::select! {
            never = serve(listener, Arc::new(door)) => match never {},
            pressed = signal::ctrl_c() => pressed?,
        }
        Ok(0)
    })
}

/// The way in.
struct Door {
    gate: Gate,
    relay: Relay,
}

async fn serve(listener: TcpListener, door: Arc<Door>) -> Infallible {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (Ok(place), Ok((stream, _))) = (
            Arc::clone(&room).acquire_owned().await,
            listener.accept().await,
        ) else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let door = Arc::clone(&door);
        tokio::spawn(async move {
            attend(stream, &door).await;
            drop(place);
        });
    }
}

async fn attend(stream: TcpStream, door: &Door) {
    let answer = service_fn(async |request| Ok::<_, Infallible>(door.answer(request).await));
    let connection = server::http().serve_connection(TokioIo::new(stream), answer);
    // A browser goes when it likes; whatever it missed, it asks for again.
    let _gone = connection.await;
}

impl Door {
    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        match self
            .gate
            .judge(request.method(), request.uri(), request.headers())
        {
            Judged::Enter { cookie } => relay::enter(&cookie),
            Judged::Pass => self.relay.pass(request).await,
            Judged::Refuse(status, problem) => relay::refuse(status, problem),
        }
    }
}
