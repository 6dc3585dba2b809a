//! Who is let in. Any page in any browser and any program on this machine can send requests to a
//! port of the loopback; only the browser that was given the address may have an answer.

use hyper::{HeaderMap, Method, StatusCode, Uri, header};
use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;

use crate::api::wire::{Code, ProblemBody};

/// The name of the cookie.
const COOKIE: &str = "fwctl";

/// What a request must have.
pub(super) struct Gate {
    /// Names of this place: another one was made to point here (DNS rebinding).
    hosts: [String; 2],
    /// In the address; until it was used.
    token: Mutex<Option<String>>,
    /// What the browser was given for it.
    cookie: String,
    read_only: bool,
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Judged {
    /// It came with the token, and gets this cookie.
    Enter { cookie: String },
    /// It is passed on.
    Pass,
    /// It is not.
    Refuse(StatusCode, ProblemBody),
}

impl Gate {
    pub(super) fn new(port: u16, read_only: bool, token: String, cookie: String) -> Self {
        Self {
            hosts: ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}")),
            token: Mutex::new(Some(token)),
            cookie,
            read_only,
        }
    }

    /// Judges a request by everything before its body.
    pub(super) fn judge(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Judged {
        if !self.is_here(headers) {
            let problem = ProblemBody::new(
                Code::Permission,
                "this host or origin is not this dashboard's",
            );
            return Judged::Refuse(StatusCode::FORBIDDEN, problem);
        }
        if method == Method::GET && uri.path() == "/" && self.take_token(uri) {
            let cookie = format!(
                "{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/",
                self.cookie
            );
            return Judged::Enter { cookie };
        }
        if !self.is_known(headers) {
            let problem = ProblemBody::new(Code::Unauthorized, "this browser was not let in")
                .with_hint("an address works once: `fw-ctl dashboard` prints a new one");
            return Judged::Refuse(StatusCode::UNAUTHORIZED, problem);
        }
        if self.read_only && ![Method::GET, Method::HEAD].contains(method) {
            let problem = ProblemBody::new(Code::Permission, "this dashboard is read-only")
                .with_hint("start `fw-ctl dashboard` without --read-only to change something");
            return Judged::Refuse(StatusCode::FORBIDDEN, problem);
        }
        Judged::Pass
    }

    /// Whether it is meant for this place, and comes from here if it says where it comes from.
    fn is_here(&self, headers: &HeaderMap) -> bool {
        let names = |text: &str| self.hosts.iter().any(|host| host == text);
        let mut hosts = headers.get_all(header::HOST).iter();
        let named = hosts
            .next()
            .is_some_and(|host| host.to_str().is_ok_and(names));
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = |text: &str| text.strip_prefix("http://").is_some_and(names);
        named && hosts.next().is_none() && origins.all(|value| value.to_str().is_ok_and(origin))
    }

    /// Whether the token is in the address. It is worth nothing afterwards.
    fn take_token(&self, uri: &Uri) -> bool {
        let Some(given) = uri.query().and_then(|query| query.strip_prefix("token=")) else {
            return false;
        };
        let mut token = self.token.lock();
        token.take_if(|token| is_same(token, given)).is_some()
    }

    fn is_known(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter();
        let cookies = cookies.filter_map(|value| value.to_str().ok());
        let mut pairs = cookies
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == COOKIE && is_same(&self.cookie, value))
    }
}

/// In a time that says nothing about where they differ.
fn is_same(secret: &str, given: &str) -> bool {
    secret.as_bytes().ct_eq(given.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

    use super::*;

    const KNOWN: [(HeaderName, &str); 2] = [
        (header::HOST, "127.0.0.1:4242"),
        (header::COOKIE, "a=b; fwctl=cookie"),
    ];

    fn gate() -> Gate {
        Gate::new(4242, false, "token".into(), "cookie".into())
    }

    fn judge(gate: &Gate, method: Method, uri: &str, headers: &[(HeaderName, &str)]) -> Judged {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().expect("a header"));
        }
        gate.judge(&method, &uri.parse().expect("an address"), &map)
    }

    fn status(judged: Judged) -> u16 {
        match judged {
            Judged::Enter { .. } => 303,
            Judged::Pass => 200,
            Judged::Refuse(status, _) => status.as_u16(),
        }
    }

    #[test]
    fn the_token_is_worth_a_cookie_once() {
        let gate = gate();
        let enter = |uri| judge(&gate, Method::GET, uri, &KNOWN[..1]);
        assert_eq!(status(enter("/?token=")), 401);
        assert_eq!(status(enter("/?token=toke")), 401);
        assert_eq!(status(enter("/status?token=token")), 401);
        let Judged::Enter { cookie } = enter("/?token=token") else {
            panic!("not let in");
        };
        assert_eq!(cookie, "fwctl=cookie; HttpOnly; SameSite=Strict; Path=/");
        assert_eq!(status(enter("/?token=token")), 401);
    }

    #[test]
    fn without_the_cookie_nothing_is_passed_on() {
        for (cookie, expected) in [
            ("fwctl=cookie", 200),
            ("x=y;fwctl=cookie", 200),
            ("fwctl=cooki", 401),
            ("fwctl=cookies", 401),
            ("fwctl=", 401),
            ("fwctl", 401),
            ("xfwctl=cookie", 401),
        ] {
            let headers = [(header::HOST, "localhost:4242"), (header::COOKIE, cookie)];
            let judged = judge(&gate(), Method::GET, "/api/v1/status", &headers);
            assert_eq!(status(judged), expected, "{cookie}");
        }
        let nothing = judge(&gate(), Method::GET, "/", &KNOWN[..1]);
        assert_eq!(status(nothing), 401);
    }

    #[test]
    fn another_host_or_origin_is_refused_even_with_the_cookie() {
        for (host, origin, expected) in [
            ("127.0.0.1:4242", None, 200),
            ("localhost:4242", Some("http://localhost:4242"), 200),
            ("127.0.0.1:4242", Some("http://127.0.0.1:4242"), 200),
            ("127.0.0.1", None, 403),
            ("127.0.0.1:4243", None, 403),
            ("evil.example:4242", None, 403),
            ("127.0.0.1:4242", Some("http://127.0.0.1:80"), 403),
            ("127.0.0.1:4242", Some("https://127.0.0.1:4242"), 403),
            ("127.0.0.1:4242", Some("http://evil.example"), 403),
            ("127.0.0.1:4242", Some("null"), 403),
        ] {
            let mut headers = vec![(header::HOST, host), KNOWN[1].clone()];
            headers.extend(origin.map(|origin| (header::ORIGIN, origin)));
            let judged = judge(&gate(), Method::POST, "/api/v1/blocks", &headers);
            assert_eq!(status(judged), expected, "{host} {origin:?}");
        }
        let none = judge(&gate(), Method::GET, "/", &KNOWN[1..]);
        assert_eq!(status(none), 403);
        let two = [&KNOWN[..], &[(header::HOST, "evil.example")]].concat();
        assert_eq!(status(judge(&gate(), Method::GET, "/", &two)), 403);
    }

    #[test]
    fn read_only_passes_what_changes_nothing() {
        let gate = Gate::new(4242, true, "token".into(), "cookie".into());
        for (method, expected) in [
            (Method::GET, 200),
            (Method::HEAD, 200),
            (Method::POST, 403),
            (Method::PUT, 403),
            (Method::PATCH, 403),
            (Method::DELETE, 403),
            (Method::OPTIONS, 403),
        ] {
            let judged = judge(&gate, method.clone(), "/api/v1/blocks", &KNOWN);
            assert_eq!(status(judged), expected, "{method}");
        }
    }
}
