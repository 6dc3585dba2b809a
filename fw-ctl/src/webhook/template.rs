//! Templates: JSON whose texts hold placeholders such as `{{prefix}}`. It is read as JSON first and
//! filled afterwards, so nothing that stands in an event can change its shape.

use serde_json::Value;

/// What a placeholder may name: what messages have, and then the fields of events.
pub const FIELDS: &[&str] = &[
    "host",
    "id",
    "text",
    "action",
    "by",
    "blocked_until",
    "comment",
    "count",
    "destination",
    "detail",
    "distinct_ports",
    "event",
    "evidence",
    "expires_at",
    "interface",
    "layer",
    "list",
    "message",
    "observed",
    "offence",
    "ports",
    "prefix",
    "protocol",
    "source",
    "sources",
    "subject",
    "time",
    "trigger",
    "ttl_s",
];

/// Bytes of a template at most.
const MAX_BYTES: usize = 16 << 10;

/// A template.
#[derive(Debug)]
pub struct Template(Value);

impl Template {
    /// Reads one.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("the template is longer than {MAX_BYTES} bytes"));
        }
        let value = serde_json::from_str(text)
            .map_err(|error| format!("the template is not JSON: {error}"))?;
        let mut unknown = None;
        fill(&value, &mut |name| {
            if !FIELDS.contains(&name) {
                unknown.get_or_insert_with(|| name.to_owned());
            }
            String::new()
        })?;
        match unknown {
            Some(name) => Err(format!("the template names {name:?}, which no event has")),
            None => Ok(Self(value)),
        }
    }

    /// The template with every placeholder as `value_of` has it.
    pub fn filled(&self, mut value_of: impl FnMut(&str) -> String) -> Value {
        // It was tried when the template was read.
        fill(&self.0, &mut value_of).unwrap_or_default()
    }
}

fn fill(value: &Value, value_of: &mut impl FnMut(&str) -> String) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => fill_text(text, value_of)?.into(),
        Value::Array(items) => items
            .iter()
            .map(|item| fill(item, value_of))
            .collect::<Result<_, _>>()?,
        Value::Object(fields) => {
            let filled = fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), fill(value, value_of)?)));
            Value::Object(filled.collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

fn fill_text(text: &str, value_of: &mut impl FnMut(&str) -> String) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let end = after.split_once("}}");
        let (name, after) = end.ok_or("the template has a `{{` without a `}}`")?;
        filled += before;
        filled += &value_of(name.trim());
        rest = after;
    }
    Ok(filled + rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn placeholders_are_filled_wherever_texts_stand() {
        let text =
            r#"{"a":"{{event}} of {{ prefix }}!","b":[{"c":"{{list}}{{list}}"}],"d":7,"e":"}} {"}"#;
        let template = Template::parse(text).expect("a template");
        let filled = template.filled(|name| format!("<{name}>"));
        let expected =
            json!({"a":"<event> of <prefix>!","b":[{"c":"<list><list>"}],"d":7,"e":"}} {"});
        assert_eq!(filled, expected);
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_reason() {
        let long = format!("\"{}\"", "x".repeat(MAX_BYTES));
        for (text, reason) in [
            ("", "not JSON"),
            (r#"{"ttl":{{ttl_s}}}"#, "not JSON"),
            (r#"{"a":"{{prefix}"}"#, "without a `}}`"),
            (r#"{"a":"{{password}}"}"#, "\"password\""),
            (r#"{"a":["{{}}"]}"#, "\"\""),
            (&long, "longer"),
        ] {
            let error = Template::parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_value_gets_out_of_its_text(value in any::<String>()) {
            let template = Template::parse(r#"{"a":"[{{comment}}]"}"#).expect("a template");
            let written = template.filled(|_| value.clone()).to_string();
            let read: Value = serde_json::from_str(&written).expect("JSON");
            prop_assert_eq!(read, json!({ "a": format!("[{value}]") }));
        }
    }
}
