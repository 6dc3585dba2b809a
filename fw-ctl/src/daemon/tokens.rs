//! Tokens: who may use the API over TCP. A token is 256 random bits, so what is kept of it is a plain
//! hash: nobody finds the token that has it.
//!
//! - [`keep`]: made, revoked, written down

mod keep;

use std::{str::FromStr, sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::{sync::watch, time::timeout};

use crate::{host::clock, policy::time::WallSecs};

/// What a request may do. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// See everything.
    Read,
    /// Change the policy.
    Write,
    /// Say who may do so: tokens, webhooks, and the end of the daemon. No token has it.
    Local,
}

impl Scope {
    /// As typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Local => "local",
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            _ => Err(format!("scope {text:?} is none of read, write")),
        }
    }
}

/// A token, without what opens the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose it is, or what for.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// SHA-256 of it.
    pub hash: [u8; 32],
    /// When it was made.
    pub created: WallSecs,
    /// When it ends.
    pub expires: Option<WallSecs>,
}

impl Token {
    fn holds(&self, now: WallSecs) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}

/// How often is looked whether a token in use has come to its end.
const LOOK: Duration = Duration::from_secs(1);

/// All tokens; every clone knows the same ones.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Arc<watch::Sender<Vec<Token>>>);

impl Tokens {
    /// These.
    pub fn new(tokens: Vec<Token>) -> Self {
        Self(Arc::new(watch::Sender::new(tokens)))
    }

    /// Whose token this is. Takes the same time whether it is nobody's or whose it is.
    pub fn find(&self, secret: &str, now: WallSecs) -> Option<Token> {
        let presented: [u8; 32] = Sha256::digest(secret).into();
        let mut found = None;
        for token in self.all().iter() {
            if bool::from(token.hash.ct_eq(&presented)) {
                found = Some(token.clone());
            }
        }
        found.filter(|token| token.holds(now))
    }

    /// Waits until a token holds no more: it was revoked, or has come to its end.
    pub async fn lapse(self, token: Token) {
        let mut changes = self.0.subscribe();
        loop {
            let is_there = changes.borrow_and_update().contains(&token);
            if !is_there || !token.holds(clock::now().wall) {
                return;
            }
            // Neither a change nor a jump of the clock is missed for long.
            let _changed = timeout(LOOK, changes.changed()).await;
        }
    }

    /// Whether there are any that still hold.
    pub fn is_empty(&self, now: WallSecs) -> bool {
        !self.all().iter().any(|token| token.holds(now))
    }

    /// Ends it in memory, where it could not be done on the disk.
    fn end(&self, name: &str, now: WallSecs) {
        self.0.send_modify(|tokens| {
            let named = tokens.iter_mut().filter(|token| token.name == name);
            named.for_each(|token| token.expires = Some(now));
        });
    }

    fn all(&self) -> watch::Ref<'_, Vec<Token>> {
        self.0.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, secret: &str, scope: Scope, expires: Option<i64>) -> Token {
        Token {
            name: name.into(),
            scope,
            hash: Sha256::digest(secret).into(),
            created: WallSecs(0),
            expires: expires.map(WallSecs),
        }
    }

    #[test]
    fn a_token_opens_what_it_is_for_until_it_ends() {
        let tokens = Tokens::new(vec![
            token("a", "one", Scope::Read, None),
            token("b", "two", Scope::Write, Some(100)),
        ]);
        let find = |secret: &str, now| {
            let found = tokens.find(secret, WallSecs(now));
            found.map(|token| (token.name, token.scope))
        };
        assert_eq!(find("one", 1000), Some(("a".into(), Scope::Read)));
        assert_eq!(find("two", 99), Some(("b".into(), Scope::Write)));
        for (secret, now) in [("two", 100), ("", 1), ("on", 1), ("ones", 1), ("ONE", 1)] {
            assert_eq!(find(secret, now), None, "{secret} at {now}");
        }
        assert!(!tokens.is_empty(WallSecs(1000)));
        let ended = Tokens::new(vec![token("b", "two", Scope::Write, Some(100))]);
        assert!(ended.is_empty(WallSecs(100)) && !ended.is_empty(WallSecs(99)));
    }

    #[tokio::test]
    async fn a_token_lapses_when_it_is_revoked_or_ends_and_no_earlier() {
        let soon = |token: &Token, tokens: &Tokens| {
            timeout(
                Duration::from_millis(50),
                tokens.clone().lapse(token.clone()),
            )
        };
        let [kept, revoked] = ["kept", "revoked"].map(|name| token(name, name, Scope::Read, None));
        let ended = token("ended", "ended", Scope::Read, Some(1));
        let tokens = Tokens::new(vec![kept.clone(), revoked.clone(), ended.clone()]);
        assert!(soon(&ended, &tokens).await.is_ok());
        assert!(soon(&revoked, &tokens).await.is_err(), "it holds");
        let waiting = tokio::spawn(tokens.clone().lapse(revoked));
        tokio::task::yield_now().await;
        // Another one of the same name is another one.
        let other = token("revoked", "another", Scope::Read, None);
        tokens.0.send_replace(vec![kept.clone(), other]);
        assert!(timeout(Duration::from_secs(5), waiting).await.is_ok());
        assert!(soon(&kept, &tokens).await.is_err(), "it holds");
    }

    #[test]
    fn each_scope_may_do_what_those_before_it_may() {
        assert!(Scope::Read < Scope::Write && Scope::Write < Scope::Local);
        assert_eq!("read".parse(), Ok(Scope::Read));
        assert!("local".parse::<Scope>().is_err(), "no token has it");
    }
}
