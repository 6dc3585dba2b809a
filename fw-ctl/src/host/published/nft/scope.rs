//! The expressions of rules.

use std::{collections::BTreeMap, net::IpAddr};

use fw_common::prefix::Prefix;
use serde_json::Value;

use crate::host::published::{
    is_ours,
    matched::Matched,
    rules::{Action, Rule},
};

/// Named sets in the rules' expressions whose elements say something about ports.
pub(super) fn sets(expressions: &[Value]) -> Vec<&str> {
    let mut found = Vec::new();
    let mut values: Vec<&Value> = expressions.iter().collect();
    while let Some(value) = values.pop() {
        for (key, list) in [("left", "right"), ("key", "data")] {
            if let Some(name) = value[list].as_str().and_then(|text| text.strip_prefix('@'))
                && Field::of(&value[key]).is_known()
            {
                found.push(name);
            }
        }
        match value {
            Value::Object(object) => values.extend(object.values()),
            Value::Array(array) => values.extend(array),
            _ => (),
        }
    }
    found
}

/// What a rule compares.
enum Field<'a> {
    /// Destination port of this protocol, `th` for any.
    Port(&'a str),
    Protocol,
    Destination,
    Interface,
    /// Something else of this protocol.
    Within(&'a str),
    /// Several at once.
    All(&'a [Value]),
    Unknown,
}

impl<'a> Field<'a> {
    fn of(key: &'a Value) -> Self {
        if let Some(parts) = key["concat"].as_array() {
            return Self::All(parts);
        }
        let payload = &key["payload"];
        let text = |value: &'a Value| value.as_str().unwrap_or_default();
        match (text(&payload["protocol"]), text(&payload["field"])) {
            (protocol @ ("tcp" | "udp" | "th"), "dport") => Self::Port(protocol),
            ("ip" | "ip6", "daddr") => Self::Destination,
            ("ip", "protocol") | ("ip6", "nexthdr") => Self::Protocol,
            ("" | "arp" | "ether" | "ip" | "ip6" | "th" | "vlan", _) => {
                match text(&key["meta"]["key"]) {
                    "l4proto" => Self::Protocol,
                    "iif" | "iifname" => Self::Interface,
                    _ => Self::Unknown,
                }
            }
            (protocol, _) => Self::Within(protocol),
        }
    }

    fn is_known(&self) -> bool {
        match self {
            Self::All(parts) => parts.iter().any(|part| Field::of(part).is_known()),
            Self::Within(_) | Self::Unknown => false,
            _ => true,
        }
    }

    /// Packets that have such a field.
    fn matched(&self) -> Matched {
        match self {
            Self::Port("th") => Matched::all(),
            Self::Port(protocol) | Self::Within(protocol) => Matched::protocol(protocol),
            _ => Matched::all(),
        }
    }
}

/// Where expressions are read.
pub(super) struct Scope<'a> {
    pub(super) own: &'a [IpAddr],
    pub(super) table: &'a str,
    /// Kind and elements by table and name.
    pub(super) sets: &'a BTreeMap<String, (&'static str, Vec<Value>)>,
}

impl Scope<'_> {
    /// What the rule with these expressions does about destinations.
    pub(super) fn rules(&self, expressions: &[Value]) -> Vec<Rule> {
        let mut matched = Matched::all();
        let mut rules = Vec::new();
        for (name, body) in expressions.iter().filter_map(Value::as_object).flatten() {
            match name.as_str() {
                "match" => matched = matched.and(&self.matched(body)),
                "dnat" | "redirect" => {
                    // The new destination may be looked up in a map, by the old one.
                    let maps = ["addr", "port"].map(|part| &body[part]["map"]);
                    let maps = maps.iter().filter(|map| !map.is_null());
                    rules.push(Rule {
                        matched: maps.fold(matched.clone(), |all, map| {
                            all.and(&self.any(&map["key"], &map["data"]))
                        }),
                        action: Action::Publish,
                    });
                }
                "jump" | "goto" => rules.extend(self.jump(matched.clone(), body)),
                "vmap" => {
                    for pair in self.elements(&body["data"]) {
                        let matched = matched.and(&self.one(&body["key"], &pair[0]));
                        let verdict = [&pair[1]["jump"], &pair[1]["goto"]];
                        rules.extend(
                            verdict
                                .iter()
                                .filter_map(|to| self.jump(matched.clone(), to)),
                        );
                    }
                }
                _ => (),
            }
        }
        rules
    }

    fn jump(&self, matched: Matched, body: &Value) -> Option<Rule> {
        let action = Action::Jump(format!("{} {}", self.table, body["target"].as_str()?));
        Some(Rule { matched, action })
    }

    /// Packets for which a comparison holds, or may hold.
    fn matched(&self, comparison: &Value) -> Matched {
        let (left, right) = (&comparison["left"], &comparison["right"]);
        let field = Field::of(left);
        let limit = right.as_u64().and_then(|limit| u16::try_from(limit).ok());
        let range = match (comparison["op"].as_str(), &field, limit) {
            (Some("==" | "in"), ..) => self.any(left, right),
            (Some("!="), Field::Port(_) | Field::Protocol, _) => self.any(left, right).not(),
            (Some("<"), Field::Port(_), Some(limit)) => Matched::range(limit, u16::MAX).not(),
            (Some("<="), Field::Port(_), Some(limit)) => Matched::range(0, limit),
            (Some(">"), Field::Port(_), Some(limit)) => Matched::range(0, limit).not(),
            (Some(">="), Field::Port(_), Some(limit)) => Matched::range(limit, u16::MAX),
            _ => Matched::all(),
        };
        range.and(&field.matched())
    }

    /// Packets in which `key` is one of `values`: one, a set, or the name of a set. A map gives
    /// its keys.
    fn any(&self, key: &Value, values: &Value) -> Matched {
        let named = values.as_str().is_some_and(|text| text.starts_with('@'));
        if !named && values["set"].is_null() {
            return self.one(key, values);
        }
        let field = Field::of(key);
        if !field.is_known() {
            return field.matched();
        }
        let elements = self.elements(values).iter();
        let matched = elements.map(|element| match element.as_array() {
            Some(pair) => self.one(key, pair.first().unwrap_or(&Value::Null)),
            None => self.one(key, element),
        });
        matched.flatten().collect()
    }

    /// Elements of a set that stands in the rule or has a name.
    fn elements<'a>(&'a self, values: &'a Value) -> &'a [Value] {
        let named = values.as_str().and_then(|text| {
            let (_, elements) =
                self.sets
                    .get(&format!("{} {}", self.table, text.strip_prefix('@')?))?;
            Some(elements)
        });
        named
            .or_else(|| values["set"].as_array())
            .map_or(&[], Vec::as_slice)
    }

    /// Packets in which `key` is, or may be, `value`.
    fn one(&self, key: &Value, value: &Value) -> Matched {
        // An element with a comment or a deadline of its own.
        let value = value["elem"].get("val").unwrap_or(value);
        let field = Field::of(key);
        let matched = match &field {
            Field::Port(_) => ports(value),
            Field::Protocol => protocol(value),
            Field::Destination => self.destination(value),
            Field::Interface => (value == "lo").then(Matched::default),
            Field::All(keys) => {
                let values = value["concat"].as_array().map_or(&[][..], Vec::as_slice);
                let parts = keys.iter().zip(values);
                Some(parts.fold(Matched::all(), |all, (key, value)| {
                    all.and(&self.one(key, value))
                }))
            }
            Field::Within(_) | Field::Unknown => None,
        };
        field.matched().and(&matched.unwrap_or_else(Matched::all))
    }

    fn destination(&self, value: &Value) -> Option<Matched> {
        let address = |value: &Value| value.as_str()?.parse::<IpAddr>().ok();
        let (first, last) =
            if let Some([first, last]) = value["range"].as_array().map(Vec::as_slice) {
                (address(first)?, address(last)?)
            } else if let Some(prefix) = value.get("prefix") {
                let length = u8::try_from(prefix["len"].as_u64()?).ok()?;
                let prefix = Prefix::new(address(&prefix["addr"])?, length)?;
                (prefix.address(), prefix.last())
            } else {
                let address = address(value)?;
                (address, address)
            };
        Some(if is_ours(self.own, first, last) {
            Matched::all()
        } else {
            Matched::default()
        })
    }
}

fn ports(value: &Value) -> Option<Matched> {
    let port = |value: &Value| u16::try_from(value.as_u64()?).ok();
    match value["range"].as_array().map(Vec::as_slice) {
        Some([first, last]) => Some(Matched::range(port(first)?, port(last)?)),
        _ => port(value).map(|port| Matched::range(port, port)),
    }
}

fn protocol(value: &Value) -> Option<Matched> {
    match value {
        Value::String(name) => Some(Matched::protocol(name)),
        Value::Number(number) => Some(Matched::protocol(&number.to_string())),
        _ => None,
    }
}
