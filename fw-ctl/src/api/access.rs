//! Who may do what: over the Unix socket whoever the socket admits, over TCP whoever has a token.
//!
//! - [`names`]: `Host` and `Origin`
//! - [`rates`]: how often somebody may ask
//! - [`turns`]: how much is done at once

pub mod names;
mod rates;
mod turns;

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{Extensions, HeaderMap, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::time::timeout;

use self::{names::Names, rates::Rates, turns::Turns};
use super::{
    body,
    server::{Peer, room::Key},
    wire::{Code, ProblemBody},
};
use crate::{
    daemon::{
        owner::Owner,
        revision::IfMatch,
        tokens::{Scope, Token, Tokens},
    },
    host::clock,
};

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// As recorded with a change: `uid 0`, `token NAME`.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// What it came in with, over TCP.
    pub token: Option<Token>,
    /// Whether it may read what the daemon may.
    pub reads_files: bool,
}

/// Wrong tokens that a host may send at once, and how long until it may send one more.
const GUESSES: (u32, Duration) = (60, Duration::from_secs(1));

/// Requests a token may send at once, and how long until it may send one more.
const REQUESTS: (u32, Duration) = (200, Duration::from_millis(10));

/// How long a request from TCP may take to come and be answered.
const PATIENCE: Duration = Duration::from_secs(30);

/// What stands before the endpoints.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    members: Members,
    tokens: Tokens,
    names: Names,
    guesses: Rates<Key>,
    requests: Rates<String>,
    turns: Turns,
}

/// Who may use the Unix socket.
#[derive(Clone, Copy, Debug)]
pub struct Members {
    /// The daemon's user.
    pub uid: u32,
    /// Whether the socket is a group's.
    pub has_group: bool,
}

impl Members {
    /// The socket's mode keeps strangers out already; this holds when somebody loosens it. A
    /// member of the group through a supplementary group connects with another `gid`, so with a
    /// group the mode alone decides.
    fn admits(self, uid: u32) -> bool {
        uid == 0 || uid == self.uid || self.has_group
    }
}

impl Gate {
    /// For these members of the Unix socket, and these names of the host.
    pub fn new(members: Members, tokens: Tokens, names: Names) -> Self {
        Self(Arc::new(Inner {
            members,
            tokens,
            names,
            guesses: Rates::new(GUESSES),
            requests: Rates::new(REQUESTS),
            turns: Turns::default(),
        }))
    }

    fn caller(&self, peer: Peer, headers: &HeaderMap) -> Result<Caller, ProblemBody> {
        match peer {
            Peer::Unix(Some(uid)) if self.0.members.admits(uid) => Ok(Caller {
                name: format!("uid {uid}"),
                scope: Scope::Local,
                token: None,
                reads_files: uid == 0 || uid == self.0.members.uid,
            }),
            Peer::Unix(uid) => {
                let who = uid.map_or("an unknown user".to_owned(), |uid| format!("uid {uid}"));
                let message = format!("{who} may not use this socket");
                Err(ProblemBody::new(Code::Permission, message))
            }
            Peer::Tcp(address) => self.bearer(address, headers),
        }
    }

    /// Whoever has a token that is one. Too many that are none slow their sender down, but not a good
    /// one from behind the same address.
    fn bearer(&self, address: IpAddr, headers: &HeaderMap) -> Result<Caller, ProblemBody> {
        let presented = headers.get(header::AUTHORIZATION);
        let secret = presented.and_then(|text| {
            let (kind, secret) = text.to_str().ok()?.split_once(' ')?;
            kind.eq_ignore_ascii_case("bearer").then(|| secret.trim())
        });
        let now = clock::now().wall;
        match secret.and_then(|secret| self.0.tokens.find(secret, now)) {
            Some(token) => {
                let name = format!("token {}", token.name);
                self.0.requests.ask(&name)?;
                Ok(Caller {
                    name,
                    scope: token.scope,
                    token: Some(token),
                    reads_files: false,
                })
            }
            None => {
                let message = match secret {
                    Some(_) => {
                        self.0.guesses.ask(&Key::host(address))?;
                        "the token is none of ours"
                    }
                    None => "a token is needed: `Authorization: Bearer TOKEN`",
                };
                let hint = "`fw-ctl token add NAME --scope read` makes one";
                Err(ProblemBody::new(Code::Unauthorized, message).with_hint(hint))
            }
        }
    }
}

/// What a request needs: to change something, more than to read.
fn needed(method: &Method) -> Scope {
    match *method {
        Method::POST | Method::PUT | Method::PATCH | Method::DELETE => Scope::Write,
        // A method that no endpoint takes is refused as such, whoever uses it.
        _ => Scope::Read,
    }
}

/// Lets a request through whose sender may send it, and says who that is.
pub async fn admit(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let caller = match gate.caller(peer.unwrap_or(Peer::Unix(None)), request.headers()) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    if let Err(problem) = caller.must(needed(request.method())) {
        return problem.into_response();
    }
    request.extensions_mut().insert(caller.clone());
    if !matches!(peer, Some(Peer::Tcp(_))) {
        return next.run(request).await;
    }
    let answered = timeout(PATIENCE, async {
        // Whoever sends slowly, or much, takes nobody's turn but its own.
        let turns = &gate.0.turns;
        let _own = turns.own(&caller.name).await;
        let request = match body::whole(request).await {
            Ok(request) => request,
            Err(problem) => return problem.into_response(),
        };
        let _turn = turns.work().await;
        next.run(request).await
    });
    answered.await.unwrap_or_else(|_| {
        let message = "the request took too long, nothing was changed unless it was whole";
        ProblemBody::new(Code::Timeout, message).into_response()
    })
}

/// Lets only those through who are on this host.
pub async fn local_only(request: Request, next: Next) -> Response {
    let caller = Caller::of(request.extensions());
    match caller.and_then(|caller| caller.must(Scope::Local)) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Refuses what a page of somebody else sends through a browser.
pub async fn same_site(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let is_tcp = matches!(request.extensions().get(), Some(Peer::Tcp(_)));
    match is_tcp.then(|| gate.0.names.check(request.headers())) {
        Some(Err(problem)) => problem.into_response(),
        _ => next.run(request).await,
    }
}

/// Who asks for a change, and of which policy.
pub struct Asker {
    name: String,
    seen: IfMatch,
}

impl Asker {
    /// A job in their name, on the policy that they have seen.
    pub fn job<T>(
        self,
        job: impl FnOnce(&mut Owner, &str) -> Result<T, ProblemBody>,
    ) -> impl FnOnce(&mut Owner) -> Result<T, ProblemBody> {
        move |owner| {
            owner.expect(&self.seen)?;
            job(owner, &self.name)
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = ProblemBody;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ProblemBody> {
        let caller = Caller::of(&parts.extensions)?;
        let lines = parts.headers.get_all(header::IF_MATCH).iter();
        // What is no text is no tag of ours.
        let lines: Vec<_> = lines.map(|line| line.to_str().unwrap_or("")).collect();
        Ok(Self {
            name: caller.name.clone(),
            seen: match lines.is_empty() {
                true => IfMatch::Any,
                // As many lines of a list are one (RFC 9110, 5.3).
                false => IfMatch::parse(&lines.join(",")),
            },
        })
    }
}

impl Caller {
    /// Who sent this request.
    ///
    /// # Errors
    /// It did not come through the [`Gate`].
    pub fn of(extensions: &Extensions) -> Result<&Self, ProblemBody> {
        let nobody = || ProblemBody::new(Code::Internal, "nobody asked");
        extensions.get().ok_or_else(nobody)
    }

    fn must(&self, needed: Scope) -> Result<(), ProblemBody> {
        if self.scope >= needed {
            return Ok(());
        }
        let (message, hint) = match needed {
            Scope::Local => (
                format!("{} may not do this over TCP", self.name),
                "only the Unix socket takes it: run `fw-ctl` on the host",
            ),
            _ => (
                format!("{} may only read", self.name),
                "`fw-ctl token add NAME --scope write` makes one that may change things",
            ),
        };
        Err(ProblemBody::new(Code::Permission, message).with_hint(hint))
    }
}
