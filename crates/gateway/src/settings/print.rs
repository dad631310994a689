//! `--print-config`, in gunicorn's own words: `name = value`, sorted, values as Python writes them. So
//! that `diff` tells what a deployment would get otherwise than from gunicorn, and nothing else.
//!
//! `--explain-config` is the same with a comment behind each setting that somebody decided.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::{
    Address, Chosen, Settings, Settled, Source,
    address::statsd as statsd_address,
    readers,
    rows::{Row, Takes, rows},
};

impl Settled {
    pub fn print(&self) -> String {
        let mut lines = BTreeMap::new();
        let explained =
            self.chosen.iter().any(|row| row.name == "explain_config" && !row.values.is_empty());
        for (row, chosen) in rows().zip(&self.chosen) {
            let comment = match &chosen.source {
                source if explained && *source != Source::Default => format!("  # {source}"),
                _ => String::new(),
            };
            lines.insert(row.name, (shown(row, chosen, &self.settings), comment));
        }
        let file = self.file.clone().unwrap_or_else(|| "./gunicorn.conf.py".to_owned());
        lines.insert("config", (file, String::new()));
        let named = self.named_in_file.clone().unwrap_or_else(|| "None".to_owned());
        lines.insert("wsgi_app", (named, String::new()));
        let width = lines.keys().map(|name| name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (name, (value, comment)) in lines {
            writeln!(text, "{name:width$} = {value}{comment}").expect("a String takes everything");
        }
        text
    }
}

fn shown(row: &Row, chosen: &Chosen, settings: &Settings) -> String {
    let values = &chosen.values;
    if let Some(unset) = row.unset
        && (values.is_empty() || chosen.source == Source::Default)
    {
        return unset(settings);
    }
    let last = || values.last().map_or("", String::as_str);
    match row.takes {
        Takes::Nothing => python(&Value::Bool(!values.is_empty())),
        Takes::Many(_) => list(values.iter().map(String::as_str)),
        Takes::Json if values.is_empty() => "{}".to_owned(),
        _ if values.is_empty() => "None".to_owned(),
        Takes::Inverted => python(&Value::Bool(readers::truth(last()).unwrap_or_default())),
        Takes::List(_) => list(last().split(',').map(str::trim).filter(|part| !part.is_empty())),
        Takes::Json => {
            serde_json::from_str(last()).map_or_else(|_| last().to_owned(), |json| python(&json))
        }
        Takes::Hook(_) => format!("<{}()>", row.name),
        Takes::One(_) | Takes::Number(_) | Takes::Optional(..) => (row.shown)(last()),
    }
}

pub(super) fn mask(text: &str) -> String {
    readers::mask(text).map_or_else(|_| text.to_owned(), |mask| mask.to_string())
}

pub(super) fn statsd(text: &str) -> String {
    match statsd_address(text) {
        Ok(Address::Tcp { host, port }) => format!("({}, {port})", quoted(&host)),
        Ok(Address::Unix(path)) => path.display().to_string(),
        Ok(Address::Inherited(_)) | Err(_) => text.to_owned(),
    }
}

fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", texts.map(quoted).collect::<Vec<_>>().join(", "))
}

/// As Python's `repr` has it.
fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(python).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| format!("{}: {}", quoted(name), python(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
    }
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
        let value: Value = serde_json::from_str(r#"{"a": [1, true, null], "b": "it's"}"#).unwrap();
        assert_eq!(python(&value), r#"{'a': [1, True, None], 'b': "it's"}"#);
        assert_eq!(quoted("both ' and \""), r#"'both \' and "'"#);
        assert_eq!(quoted("a\\b\n"), r"'a\\b\n'");
        assert_eq!(statsd("Localhost:81"), "('localhost', 81)");
        assert_eq!(statsd("metrics"), "('metrics', 8125)");
        assert_eq!(statsd("unix:///run/s"), "/run/s");
        assert_eq!(mask("0600"), "384");
    }
}
