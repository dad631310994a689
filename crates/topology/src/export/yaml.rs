//! JSON values as YAML that people read: one key a line, in the order in which they were put in. What could
//! be anything but a plain word is quoted as in JSON, which YAML takes as it is.

use std::fmt::Write as _;

use serde_json::Value;

/// One document after the other, each below a comment.
pub(super) fn documents(documents: &[(String, Value)]) -> String {
    let text = documents.iter().map(|(about, value)| {
        let comment: String = about.lines().map(|line| format!("# {line}\n")).collect();
        format!("{comment}{}", document(value))
    });
    text.collect::<Vec<_>>().join("---\n")
}

fn document(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

/// A value that stands on lines of its own.
fn block(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                text.push_str(&indent);
                text.push_str(&scalar(&Value::String(key.clone())));
                text.push(':');
                after(value, depth + 1, text);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut inner = String::new();
                if stands_alone(item) {
                    block(item, depth + 1, &mut inner);
                } else {
                    let _ = writeln!(inner, "{indent}  {}", scalar(item));
                }
                // The first line's indent is the dash's place.
                text.push_str(&indent);
                text.push_str("- ");
                text.push_str(inner.trim_start());
            }
        }
        _ => {
            let _ = writeln!(text, "{indent}{}", scalar(value));
        }
    }
}

fn after(value: &Value, depth: usize, text: &mut String) {
    if stands_alone(value) {
        text.push('\n');
        block(value, depth, text);
    } else {
        let _ = writeln!(text, " {}", scalar(value));
    }
}

fn stands_alone(value: &Value) -> bool {
    match value {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(word) if is_plain(word) => word.clone(),
        other => other.to_string(),
    }
}

/// A word that no YAML of any age takes for a number, a truth value or nothing.
fn is_plain(word: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let begins = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let special = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    begins && word.chars().all(letters) && !special.contains(&word.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_looks_like_something_else_is_quoted() {
        let value = json!({
            "plain": "a/b.c", "on": true, "text": "no", "port": "80:80", "number": 8,
            "list": [["x", "-g"], {"name": "a b", "inner": {"deep": [1]}}, "it's"], "empty": {}, "none": [],
        });
        let expected = "plain: a/b.c\n\"on\": true\ntext: \"no\"\nport: \"80:80\"\nnumber: 8\nlist:\n  - - x\n    - \"-g\"\n  - name: \"a b\"\n    inner:\n      deep:\n        - 1\n  - \"it's\"\nempty: {}\nnone: []\n";
        assert_eq!(document(&value), expected);
    }
}
