//! Tokens, as somebody on this host makes and revokes them.

use sha2::{Digest as _, Sha256};

use super::{Scope, Token};
use crate::{
    api::wire::{self, Code, Items, TokenMade, TokenPut},
    daemon::{
        owner::{Owner, wire_time},
        problem::{Failure, bad_input, kernel},
    },
    host::{clock, random},
    policy::time::Now,
};

/// The alarm when the API is not reached where it should be.
const API: &str = "API";

/// The alarm when a token is revoked, but not on the disk.
const REVOKED: &str = "tokens";

/// Tokens there may be.
const MAX_TOKENS: usize = 64;

impl Owner {
    /// Listens over TCP where the configuration says. What keeps it from that is an alarm: the host
    /// is protected all the same.
    pub(in crate::daemon) fn open_api(&mut self) {
        let opened = self.api_opened();
        self.note(API, opened);
    }

    fn api_opened(&self) -> Result<(), Failure> {
        let api = &self.config.api;
        let is_open = api.listen.is_some_and(|listen| !listen.ip().is_loopback());
        if is_open && self.tokens.is_empty(clock::now().wall) {
            let message = "it is to be reached over TCP, and there is no token";
            return Err(
                bad_input(message).with_hint("`fw-ctl token add NAME --scope read` makes one")
            );
        }
        Ok(self.entrances.open(api)?)
    }

    /// `GET /tokens`
    pub fn tokens(&self) -> Items<wire::Token> {
        let tokens = self.tokens.all();
        Items::all(tokens.iter().map(shown).collect())
    }

    /// `POST /tokens`: the only time that the token is told.
    ///
    /// # Errors
    /// A name that is taken or makes no sense, or too many tokens.
    pub fn token_add(&mut self, put: &TokenPut, by: &str) -> Result<TokenMade, Failure> {
        let name = name(&put.name)?;
        let scope: Scope = put.scope.parse().map_err(bad_input)?;
        let now = clock::now();
        let expires = now
            .end_of(put.ttl_s)
            .map_err(|error| bad_input(format!("ttl_s: {error}")))?;
        let mut tokens = self.tokens.all().clone();
        // What opens nothing any more keeps neither its name nor its place.
        tokens.retain(|token| token.holds(now.wall));
        if tokens.iter().any(|token| token.name == name) {
            let message = format!("there is a token {name} already");
            return Err(Failure::new(Code::Conflict, message)
                .with_hint(format!("`fw-ctl token del {name}` revokes it")));
        }
        if tokens.len() >= MAX_TOKENS {
            let message = format!("there are {MAX_TOKENS} tokens, and there can be no more");
            return Err(Failure::new(Code::Full, message)
                .with_hint("`fw-ctl token list` shows them, `fw-ctl token del` revokes one"));
        }
        let secret = secret()?;
        let token = Token {
            name: name.clone(),
            scope,
            hash: Sha256::digest(&secret).into(),
            created: now.wall,
            expires: expires.map(|end| now.wall_of(end)),
        };
        let made = TokenMade {
            shown: shown(&token),
            token: secret,
        };
        tokens.push(token);
        self.keep_tokens(
            tokens,
            now,
            by,
            &format!("token {name} added, it may {}", scope.name()),
        )?;
        Ok(made)
    }

    /// `DELETE /tokens/{name}`: from now on it opens nothing.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn token_remove(&mut self, name: &str, by: &str) -> Result<(), Failure> {
        let mut tokens = self.tokens.all().clone();
        let before = tokens.len();
        tokens.retain(|token| token.name != name);
        if tokens.len() == before {
            let shown: String = name.chars().take(64).collect();
            let message = format!("there is no token {shown:?}");
            return Err(Failure::new(Code::NotFound, message)
                .with_hint("`fw-ctl token list` shows which there are"));
        }
        let now = clock::now();
        let revoked = self.keep_tokens(tokens, now, by, &format!("token {name} revoked"));
        revoked.map_err(|failure| {
            self.tokens.end(name, now.wall);
            let alarm = failure
                .clone()
                .prefixed(&format!("{name} is revoked in memory only: "));
            self.note(REVOKED, Err(alarm));
            let first = match failure.code {
                Code::Full => "make room on the file system of the state directory; ",
                _ => "",
            };
            let rest = "it opens nothing as long as this daemon runs, which tries again by itself";
            failure.with_hint(format!("{first}{rest}"))
        })
    }

    /// Writes down what could not be when it was revoked.
    pub(in crate::daemon) fn revoke_again(&mut self) {
        if !self.alarms.contains_key(REVOKED) {
            return;
        }
        let now = clock::now();
        let mut tokens = self.tokens.all().clone();
        tokens.retain(|token| token.holds(now.wall));
        let detail = "tokens revoked that could not be before";
        // An alarm that stands is not raised again.
        let _still = self.keep_tokens(tokens, now, "retry", detail);
    }

    fn keep_tokens(
        &mut self,
        tokens: Vec<Token>,
        now: Now,
        by: &str,
        detail: &str,
    ) -> Result<(), Failure> {
        let change = self.store.begin()?;
        change.write_tokens(&tokens)?;
        change.record(now, by, detail)?;
        change.commit()?;
        self.tokens.0.send_replace(tokens);
        self.tell(now, by, detail);
        if self.alarms.contains_key(API) {
            self.open_api();
        }
        // What was revoked in memory only is not among them.
        self.note(REVOKED, Ok(()));
        Ok(())
    }
}

/// Names are written as those of lists are.
fn name(text: &str) -> Result<String, Failure> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match (1..=64).contains(&text.len()) && text.chars().all(good) {
        true => Ok(text.to_owned()),
        false => {
            let shown: String = text.chars().take(64).collect();
            Err(bad_input(format!(
                "{shown:?} is no name: 1 to 64 of the letters, digits, `.`, `_` and `-`"
            )))
        }
    }
}

/// A new token, which says of itself what it is, so that it can be found where it should not be.
fn secret() -> Result<String, Failure> {
    let digits = random::secret();
    let digits = digits.map_err(|error| kernel("cannot read random numbers", &error))?;
    Ok(format!("fwctl_{digits}"))
}

fn shown(token: &Token) -> wire::Token {
    wire::Token {
        name: token.name.clone(),
        scope: token.scope.name().to_owned(),
        created_at: wire_time(token.created),
        expires_at: token.expires.map(wire_time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_is_long_and_like_no_other() {
        let [one, other] = [secret(), secret()].map(|secret| secret.expect("random numbers"));
        assert_ne!(one, other);
        let digits = one.strip_prefix("fwctl_").expect("its mark");
        assert!(digits.len() == 64 && digits.chars().all(|c| c.is_ascii_hexdigit()));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert!(name("grafana-1.ro_x").is_ok());
        for text in ["", "a b", "a/b", "ü", "a\n", &"x".repeat(65)] {
            assert!(name(text).is_err(), "{text:?}");
        }
    }
}
