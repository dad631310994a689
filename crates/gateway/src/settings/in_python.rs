//! Settings as gunicorn has them: values with Python's types, for hooks that read `server.cfg`, and as
//! Python would write them, for `--print-config`.

use serde_json::{Value, json};

use super::{
    Address, Chosen, Settings, Source,
    address::statsd as statsd_address,
    readers,
    rows::{Row, Takes},
};

/// What hooks find.
pub(super) fn attribute(row: &Row, chosen: &Chosen, settings: &Settings) -> Value {
    match row.takes {
        // Functions are not for us to hand around.
        Takes::Hook(_) => Value::Null,
        _ => value(row, chosen, settings),
    }
}

/// What is printed: a text without quotes, anything else as Python writes it.
pub(super) fn printed(row: &Row, chosen: &Chosen, settings: &Settings) -> String {
    // gunicorn looks at that variable later.
    if row.takes == Takes::Inverted && matches!(chosen.source, Source::Variable(_)) {
        return "None".to_owned();
    }
    match value(row, chosen, settings) {
        Value::String(text) => text,
        // gunicorn has pairs where it has one thing in two parts.
        Value::Array(parts) if matches!(row.takes, Takes::One(_)) => {
            format!("({})", joined(&parts))
        }
        other => python(&other),
    }
}

fn value(row: &Row, chosen: &Chosen, settings: &Settings) -> Value {
    let values = &chosen.values;
    if let Some(unset) = row.unset
        && (values.is_empty() || chosen.source == Source::Default)
    {
        return unset(settings);
    }
    let Some(last) = values.last() else {
        return match row.takes {
            Takes::Nothing => false.into(),
            Takes::Many(_) => json!([]),
            Takes::Json => json!({}),
            _ => Value::Null,
        };
    };
    match row.takes {
        Takes::Nothing => true.into(),
        Takes::Inverted => readers::truth(last).unwrap_or_default().into(),
        Takes::Many(_) => values.as_slice().into(),
        Takes::List(_) => last.split(',').map(str::trim).filter(|part| !part.is_empty()).collect(),
        Takes::Json => serde_json::from_str(last).unwrap_or_default(),
        Takes::Hook(_) => format!("<{}()>", row.name).into(),
        Takes::One(_) | Takes::Number(_) | Takes::Optional(..) => match (row.typed)(last) {
            Value::String(text) if matches!(row.takes, Takes::Number(_)) => {
                text.parse::<i64>().map_or_else(|_| text.into(), Value::from)
            }
            value => value,
        },
    }
}

pub(super) fn mask(text: &str) -> Value {
    readers::mask(text).map_or_else(|_| text.into(), Value::from)
}

pub(super) fn statsd(text: &str) -> Value {
    match statsd_address(text) {
        Ok(Address::Tcp { host, port }) => json!([host, port]),
        Ok(Address::Unix(path)) => path.to_string_lossy().into(),
        Ok(Address::Inherited(_)) | Err(_) => text.into(),
    }
}

/// As Python's `repr` has it.
fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(values) => format!("[{}]", joined(values)),
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| format!("{}: {}", quoted(name), python(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

fn joined(values: &[Value]) -> String {
    values.iter().map(python).collect::<Vec<_>>().join(", ")
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            same if same == quote => quoted.extend(['\\', same]),
            other => quoted.push(other),
        }
    }
    quoted.push(quote);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_python_writes_them() {
        let value: Value = serde_json::from_str(r#"{"b": [1, true, null], "a": "it's"}"#).unwrap();
        assert_eq!(python(&value), r#"{'b': [1, True, None], 'a': "it's"}"#);
        assert_eq!(quoted("both ' and \""), r#"'both \' and "'"#);
        assert_eq!(quoted("a\\b\n"), r"'a\\b\n'");
        assert_eq!(statsd("Localhost:81"), json!(["localhost", 81]));
        assert_eq!(statsd("metrics"), json!(["metrics", 8125]));
        assert_eq!(statsd("unix:///run/s"), json!("/run/s"));
        assert_eq!(mask("0600"), json!(384));
    }
}
