//! What `nft -j list set` and `nft -j list ruleset` print.

use std::{borrow::Cow, collections::HashMap};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    rule::{HOOKS, Rule},
    sets::Sets,
};
use crate::{
    duration::Ttl,
    listfile::{
        Item, Parsed, Reading,
        document::{Broken, Lines, broken, message},
        time,
    },
};

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    nftables: Vec<&'a RawValue>,
}

/// One object; those that are of no interest have none of these.
#[derive(Default, Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    set: Option<Set<'a>>,
    #[serde(borrow)]
    chain: Option<Chain<'a>>,
    #[serde(borrow)]
    rule: Option<Chained<'a>>,
}

#[derive(Deserialize)]
struct Set<'a> {
    #[serde(borrow)]
    family: Cow<'a, str>,
    #[serde(borrow)]
    table: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: Value,
    timeout: Option<u64>,
    #[serde(borrow, default)]
    elem: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Chain<'a> {
    #[serde(borrow)]
    family: Cow<'a, str>,
    #[serde(borrow)]
    table: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    hook: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Chained<'a> {
    #[serde(borrow)]
    family: Cow<'a, str>,
    #[serde(borrow)]
    table: Cow<'a, str>,
    #[serde(borrow)]
    chain: Cow<'a, str>,
    #[serde(default)]
    expr: Vec<Value>,
}

/// An element with options.
#[derive(Deserialize)]
struct Element {
    elem: Options,
}

#[derive(Deserialize)]
struct Options {
    val: Value,
    timeout: Option<u64>,
    expires: Option<u64>,
    comment: Option<String>,
}

/// Whether a document that is an object begins like nft's.
pub(in crate::listfile) fn is(text: &str) -> bool {
    text[1..].trim_start().starts_with("\"nftables\"")
}

/// Reads a whole document.
pub(in crate::listfile) fn document(
    text: &str,
    mut lines: Lines<'_>,
    reading: &Reading,
    parsed: &mut Parsed,
) -> Result<(), Broken> {
    let document: Document<'_> =
        serde_json::from_str(text).map_err(|error| broken(text, &error))?;
    let mut sets = Sets::new(&reading.sets);
    let (mut hooked, mut rules) = (HashMap::new(), Vec::new());
    for raw in document.nftables {
        let line = lines.of(raw.get());
        let object: Object<'_> = match serde_json::from_str(raw.get()) {
            Ok(object) => object,
            Err(error) => {
                parsed.take(line, raw.get(), Err(message(&error)));
                continue;
            }
        };
        if let Some(set) = object.set {
            read(&set, line, &mut sets, &mut lines, parsed);
        }
        if let Some(chain) = object.chain {
            let known = chain.hook.is_some_and(|hook| HOOKS.contains(&&*hook));
            hooked.insert((chain.family, chain.table, chain.name), known);
        }
        if let Some(rule) = object.rule {
            rules.push((rule, line, raw.get()));
        }
    }
    for (rule, line, raw) in rules {
        let table = format!("{} {}", rule.family, rule.table);
        let chain = (rule.family, rule.table, rule.chain);
        let hooked = hooked.get(&chain).copied().unwrap_or(false);
        sets.used(&table, &of(&rule.expr), hooked, line, raw, parsed);
    }
    sets.end(parsed);
    parsed.refuse_without_sets();
    Ok(())
}

fn read(set: &Set<'_>, line: usize, sets: &mut Sets, lines: &mut Lines<'_>, parsed: &mut Parsed) {
    let table = format!("{} {}", set.family, set.table);
    sets.open(&table, &set.name, line, parsed);
    let kind = match &set.kind {
        Value::String(kind) => kind.clone(),
        other => other.to_string(),
    };
    sets.of_type(&kind, line, &format!("set {}", set.name), parsed);
    if let Some(secs) = set.timeout {
        sets.lasts(time::ttl(secs));
    }
    if let Some(default) = sets.reads() {
        for raw in &set.elem {
            let raw = raw.get();
            parsed.take(lines.of(raw), raw, element(raw, default).map(Some));
        }
    }
    sets.close(parsed);
}

/// Reads `"ADDRESS"`, `{"prefix": ...}`, `{"range": [...]}`, or one of them with options.
fn element(raw: &str, default: Option<Ttl>) -> Result<Item<'_>, String> {
    let options = match serde_json::from_str::<Element>(raw) {
        Ok(Element { elem }) => elem,
        Err(_) => Options {
            val: serde_json::from_str(raw).map_err(|error| message(&error))?,
            timeout: None,
            expires: None,
            comment: None,
        },
    };
    let secs = options.expires.or(options.timeout.filter(|secs| *secs > 0));
    let never = options.timeout == Some(0) && options.expires.is_none();
    Ok(Item {
        address: address(&options.val)
            .ok_or("an element that is no address")?
            .into(),
        ttl: match never {
            true => Some(Ttl::Never),
            false => secs.map(time::ttl).or(default),
        },
        comment: options.comment.unwrap_or_default().into(),
        ..Item::default()
    })
}

fn address(value: &Value) -> Option<String> {
    if let Some(prefix) = value.get("prefix") {
        let (address, length) = (prefix["addr"].as_str()?, prefix["len"].as_u64()?);
        return Some(format!("{address}/{length}"));
    }
    if let Some(range) = value.get("range") {
        return Some(format!("{}-{}", range[0].as_str()?, range[1].as_str()?));
    }
    value.as_str().map(str::to_owned)
}

/// What a rule does with sources.
fn of(expressions: &[Value]) -> Rule {
    let mut sets = Vec::new();
    for expression in expressions {
        named(expression, &mut sets);
    }
    let harmless = |expression: &&Value| {
        ["counter", "log"]
            .iter()
            .all(|name| expression.get(name).is_none())
    };
    let asked: Vec<&Value> = expressions.iter().filter(harmless).collect();
    let by_source = |value: &Value| value["match"]["left"]["payload"]["field"] == "saddr";
    let drops = |value: &Value| value.get("drop").is_some() || value.get("reject").is_some();
    let drops_a_set = match *asked {
        [source, verdict] => {
            let inside = source["match"]["op"] == "==" && source["match"]["right"].is_string();
            by_source(source) && inside && drops(verdict) && sets.len() == 1
        }
        _ => false,
    };
    let is_drop =
        asked.iter().any(|value| by_source(value)) && asked.iter().any(|value| drops(value));
    Rule {
        drops_a_set,
        drops_by_itself: is_drop && sets.is_empty(),
        sets,
    }
}

/// Collects the names of sets, wherever they stand.
fn named(value: &Value, sets: &mut Vec<String>) {
    match value {
        Value::String(text) => sets.extend(text.strip_prefix('@').map(str::to_owned)),
        Value::Array(values) => values.iter().for_each(|value| named(value, sets)),
        Value::Object(object) => object.values().for_each(|value| named(value, sets)),
        _ => {}
    }
}
