//! The values that queries, filters and predicates deal in.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

pub(crate) type Variables = BTreeMap<String, Value>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// Beyond 64 bits; as it stands in the JSON.
    BigInteger(String),
    String(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
    /// So many nodes of a page.
    Nodes(usize),
    Regex(String),
    /// One redirect that was followed.
    Redirect {
        location: String,
        status: i64,
    },
}

impl Value {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Integer(_) | Value::BigInteger(_) => "integer",
            Value::Float(_) => "float",
            Value::String(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "list",
            Value::Object(_) => "object",
            Value::Nodes(_) => "nodeset",
            Value::Regex(_) => "regex",
            Value::Redirect { .. } => "response",
        }
    }

    /// What `{{name}}` becomes; `None` for what has no text.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Value::Null => Some("null".to_owned()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Integer(value) => Some(value.to_string()),
            Value::Float(value) => Some(float_text(*value)),
            Value::BigInteger(digits) => Some(digits.clone()),
            Value::String(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// How many there are of it, for `count` and `isEmpty`.
    pub(crate) fn size(&self) -> Option<usize> {
        match self {
            Value::String(text) => Some(text.chars().count()),
            Value::Bytes(bytes) => Some(bytes.len()),
            Value::List(values) => Some(values.len()),
            Value::Object(members) => Some(members.len()),
            Value::Nodes(nodes) => Some(*nodes),
            _ => None,
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(integer) => Value::Integer(integer),
                None if number.is_u64() => Value::BigInteger(number.to_string()),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::String(text.clone()),
            serde_json::Value::Array(values) => {
                Value::List(values.iter().map(Value::from).collect())
            }
            serde_json::Value::Object(members) => Value::Object(
                members.iter().map(|(name, value)| (name.clone(), Value::from(value))).collect(),
            ),
        }
    }
}

fn float_text(value: f64) -> String {
    // `1.0` and not `1`, which would be another kind.
    if value.fract() == 0.0 { format!("{value:.1}") } else { value.to_string() }
}

/// For people: kind and value, long ones cut.
impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => out.write_str("null"),
            Value::String(text) => write!(out, "string <{}>", shortened(text)),
            Value::Bytes(bytes) => {
                out.write_str("bytes <")?;
                for byte in bytes.iter().take(64) {
                    write!(out, "{byte:02x}")?;
                }
                match bytes.len() {
                    0..=64 => out.write_str(">"),
                    length => write!(out, "…> ({length} of them)"),
                }
            }
            Value::List(values) => {
                let mut text = String::new();
                for (place, value) in values.iter().enumerate().take(20) {
                    let comma = if place == 0 { "" } else { ", " };
                    write!(text, "{comma}{value}")?;
                }
                let more = if values.len() > 20 { ", …" } else { "" };
                write!(out, "list of {} <{text}{more}>", values.len())
            }
            Value::Object(members) => {
                let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
                write!(out, "object with <{}>", shortened(&names.join(", ")))
            }
            Value::Nodes(nodes) => write!(out, "nodeset of {nodes}"),
            Value::Regex(pattern) => write!(out, "regex </{pattern}/>"),
            Value::Redirect { location, status } => {
                write!(out, "redirect {status} to <{location}>")
            }
            other => write!(out, "{} <{}>", other.kind(), other.text().unwrap_or_default()),
        }
    }
}

fn shortened(text: &str) -> String {
    const MOST: usize = 400;
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(MOST).collect();
    match characters.count() {
        0 => start,
        more => format!("{start}… and {more} more characters"),
    }
}
