//! JSONPath, RFC 9535, with hurl's two kinds of result: a path that names one place gives what is
//! there, any other gives the list of what it found.

use serde_json_path::JsonPath;

use super::{Reason, Value};

pub(super) fn json_path(json: &serde_json::Value, path: &str) -> Result<Option<Value>, Reason> {
    let parsed = JsonPath::parse(path)
        .map_err(|error| format!("\"{path}\" is no JSONPath: {}", error.message()))?;
    let mut found = parsed.query(json).all().into_iter();
    if names_one_place(path) {
        return Ok(found.next().map(Value::from));
    }
    Ok(Some(Value::List(found.map(Value::from).collect())))
}

/// Names and indices only: no wildcard, descent, slice, union or filter outside of quotes.
fn names_one_place(path: &str) -> bool {
    let (mut quote, mut escaped, mut before) = (None, false, ' ');
    for character in path.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if character == '\\' => escaped = true,
            Some(mark) if mark == character => quote = None,
            Some(_) => {}
            None => match character {
                '\'' | '"' => quote = Some(character),
                '*' | '?' | ',' | ':' => return false,
                '.' if before == '.' => return false,
                _ => {}
            },
        }
        before = character;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(path: &str, expected: Option<&Value>) {
        let json = json!({ "a": { "b": [1, 2, null] }, "c, d*": "e", "f": [] });
        assert_eq!(json_path(&json, path).unwrap().as_ref(), expected);
    }

    #[test]
    fn one_place_or_many() {
        let list = |values: &[i64]| {
            Some(Value::List(values.iter().map(|value| Value::Integer(*value)).collect()))
        };
        check("$.a.b[0]", Some(&Value::Integer(1)));
        check("$.a.b[2]", Some(&Value::Null));
        check("$.a.b[3]", None);
        check("$['c, d*']", Some(&Value::String("e".to_owned())));
        check("$.a.b[:2]", list(&[1, 2]).as_ref());
        check("$.a.b[?@ > 1]", list(&[2]).as_ref());
        check("$.f[*]", list(&[]).as_ref());
        check("$..g", list(&[]).as_ref());
        assert!(json_path(&json!(1), "a.b").is_err());
    }
}
