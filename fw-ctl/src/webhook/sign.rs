//! Signatures by the Standard Webhooks specification 1.0.0: HMAC-SHA256 over
//! `{id}.{timestamp}.{body}`.

use std::{fmt, io};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;

use crate::host::random;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// Bytes that a secret may have.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What signs the messages of one webhook.
pub struct Key(hmac::Key);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("key")
    }
}

impl Key {
    /// From the text of a secret. The error does not repeat it.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(secret: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "the secret is not `whsec_` and 24 to 64 bytes in base64";
        let text = secret.strip_prefix(PREFIX).ok_or(WRONG)?;
        let bytes = STANDARD.decode(text).map_err(|_| WRONG)?;
        match BYTES.contains(&bytes.len()) {
            true => Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes))),
            false => Err(WRONG),
        }
    }

    /// The value of the header `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let tag = hmac::sign(&self.0, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    }
}

/// A new secret.
///
/// # Errors
/// The kernel gives no random numbers.
pub fn new_secret() -> io::Result<String> {
    Ok(format!(
        "{PREFIX}{}",
        STANDARD.encode(random::bytes::<32>()?)
    ))
}

/// A new id of a message.
///
/// # Errors
/// As [`new_secret`].
pub fn new_id() -> io::Result<String> {
    Ok(format!(
        "msg_{:032x}",
        u128::from_be_bytes(random::bytes()?)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_has_its_signature() {
        let key = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let sign = |time, body| key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time, body);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign(1_614_265_330, r#"{"test": 2432232314}"#), expected);
        assert_ne!(sign(1_614_265_331, r#"{"test": 2432232314}"#), expected);
        assert_ne!(sign(1_614_265_330, r#"{"test": 2432232315}"#), expected);
    }

    #[test]
    fn a_new_secret_is_one_and_every_one_is_another() {
        let [one, other] = [(); 2].map(|()| new_secret().expect("random numbers"));
        assert_ne!(one, other);
        Key::parse(&one).expect("a secret");
        assert_ne!(new_id().ok(), new_id().ok());
        assert!(!format!("{:?}", Key::parse(&other)).contains(&other[6..]));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_repeated() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for good in [of(24), of(64)] {
            Key::parse(&good).expect(&good);
        }
        for bad in [
            of(23),
            of(65),
            String::new(),
            "whsec_".into(),
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!".into(),
        ] {
            let error = Key::parse(&bad).expect_err(&bad);
            assert!(bad.len() < 7 || !error.contains(&bad[6..]), "{error}");
        }
    }
}
