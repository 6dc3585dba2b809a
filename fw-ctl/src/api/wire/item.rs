//! What is to be added, as it stands in a body: a million items are most of it.

use std::fmt;

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, MapAccess, Visitor, value::MapAccessDeserializer},
    ser::SerializeStruct as _,
};
use utoipa::ToSchema;

/// Most items of one request.
pub const MAX_ITEMS: usize = 4 << 20;

/// One prefix to be added. A string is one without end and comment; an object says more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PutItem<P = String, C = P> {
    /// `192.0.2.1` or `192.0.2.0/24`.
    pub prefix: P,
    /// Seconds to live.
    pub ttl_s: Option<u64>,
    /// Empty without one.
    pub comment: C,
    /// When it was added where it comes from; now without it.
    pub created_at: Option<Timestamp>,
}

/// A [`PutItem`] as the API's document has it: what is read of it is read without keeping it.
#[derive(ToSchema)]
#[schema(as = PutItem)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described")]
pub enum Described {
    /// `192.0.2.1` or `192.0.2.0/24`.
    Prefix(String),
    /// With an end, a comment, or a history.
    #[serde(deny_unknown_fields)]
    Full {
        /// `192.0.2.1` or `192.0.2.0/24`.
        prefix: String,
        /// Seconds to live.
        #[schema(minimum = 1)]
        ttl_s: Option<u64>,
        /// At most 255 bytes of printable text, one line.
        #[schema(max_length = 255)]
        comment: Option<String>,
        /// When it was added where it comes from; now without it. What is there already keeps its own.
        created_at: Option<Timestamp>,
    },
}

impl<P: fmt::Display, C: AsRef<str>> Serialize for PutItem<P, C> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let comment = self.comment.as_ref();
        if self.ttl_s.is_none() && comment.is_empty() && self.created_at.is_none() {
            return to.collect_str(&self.prefix);
        }
        let mut object = to.serialize_struct("PutItem", 4)?;
        object.serialize_field("prefix", &format_args!("{}", self.prefix))?;
        match self.ttl_s {
            Some(secs) => object.serialize_field("ttl_s", &secs)?,
            None => object.skip_field("ttl_s")?,
        }
        match comment {
            "" => object.skip_field("comment")?,
            text => object.serialize_field("comment", text)?,
        }
        match self.created_at {
            Some(time) => object.serialize_field("created_at", &time)?,
            None => object.skip_field("created_at")?,
        }
        object.end()
    }
}

impl<'de> Deserialize<'de> for PutItem {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let item = |item: PutItem<&str>| Self {
            prefix: item.prefix.to_owned(),
            ttl_s: item.ttl_s,
            comment: item.comment.to_owned(),
            created_at: item.created_at,
        };
        ReadItem(item).deserialize(from)
    }
}

/// Tells a function what an item says. Nothing is kept, so that a million items are not a million
/// allocations.
pub struct ReadItem<F>(pub F);

impl<'de, T, F: FnOnce(PutItem<&str>) -> T> DeserializeSeed<'de> for ReadItem<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, T, F: FnOnce(PutItem<&str>) -> T> Visitor<'de> for ReadItem<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a prefix, or { prefix, ttl_s, comment, created_at }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok((self.0)(PutItem {
            prefix: text,
            ..PutItem::default()
        }))
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<T, M::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            prefix: String,
            ttl_s: Option<u64>,
            #[serde(default)]
            comment: String,
            created_at: Option<Timestamp>,
        }
        let object = Object::deserialize(MapAccessDeserializer::new(map))?;
        Ok((self.0)(PutItem {
            prefix: &object.prefix,
            ttl_s: object.ttl_s,
            comment: &object.comment,
            created_at: object.created_at,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> PutItem {
        PutItem {
            prefix: "192.0.2.0/24".into(),
            ttl_s: Some(60),
            comment: "a \"note\"".into(),
            created_at: Some(Timestamp::UNIX_EPOCH),
        }
    }

    fn plain() -> PutItem {
        PutItem {
            prefix: "192.0.2.1".into(),
            ..PutItem::default()
        }
    }

    #[test]
    fn what_is_not_said_is_not_written() {
        let noted = PutItem {
            comment: "x".into(),
            ..plain()
        };
        for (item, expected) in [
            (plain(), r#""192.0.2.1""#),
            (
                full(),
                r#"{"prefix":"192.0.2.0/24","ttl_s":60,"comment":"a \"note\"","created_at":"1970-01-01T00:00:00Z"}"#,
            ),
            (noted, r#"{"prefix":"192.0.2.1","comment":"x"}"#),
        ] {
            let text = serde_json::to_string(&item).expect("it serialises");
            assert_eq!(text, expected);
            assert_eq!(serde_json::from_str::<PutItem>(&text).ok(), Some(item));
        }
    }

    #[test]
    fn a_string_and_an_object_say_the_same() {
        let text = r#"["192.0.2.1",{"prefix":"192.0.2.1"},{"prefix":"192.0.2.1","ttl_s":null,"comment":""},"192.0.2.\u0031"]"#;
        let from_memory = serde_json::from_str::<Vec<PutItem>>(text).ok();
        let as_it_comes = serde_json::from_reader::<_, Vec<PutItem>>(text.as_bytes()).ok();
        assert_eq!(from_memory, Some(vec![plain(); 4]));
        assert_eq!(as_it_comes, Some(vec![plain(); 4]));
    }

    #[test]
    fn what_is_no_item_is_refused_with_its_reason() {
        for (text, reason) in [
            ("7", "a prefix, or { prefix, ttl_s, comment, created_at }"),
            ("{}", "missing field `prefix`"),
            (r#"{"prefix":"::","ttl":1}"#, "unknown field `ttl`"),
            (r#"{"prefix":"::","ttl_s":-1}"#, "invalid value"),
            (r#"{"prefix":1}"#, "invalid type"),
        ] {
            let error = serde_json::from_str::<PutItem>(text).expect_err(text);
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }
}
