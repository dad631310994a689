//! Strings of a page with `$names` in them, which are known only when the page is read.

use bytes::Bytes;

/// A longer string is none: a page could make one twice as long with each `set`.
const LONGEST: usize = 64 << 10;

/// The string with its names replaced, and `\`, `'`, `"` and `$` behind a backslash as themselves.
pub(super) fn evaluate(
    text: &[u8],
    look_up: impl Fn(&str) -> Option<Bytes>,
) -> Result<Vec<u8>, String> {
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = match byte {
            b'\\' => match tail.split_first() {
                Some((next, tail)) => {
                    if !matches!(next, b'\\' | b'\'' | b'"' | b'$') {
                        result.push(b'\\');
                    }
                    result.push(*next);
                    tail
                }
                None => tail,
            },
            b'$' => {
                let (name, tail) = name(tail).map_err(|missing| {
                    let shown = String::from_utf8_lossy(text);
                    missing.unwrap_or_else(|| format!("invalid variable name in \"{shown}\""))
                })?;
                if let Some(value) = look_up(&name.to_ascii_lowercase()) {
                    result.extend_from_slice(&value);
                }
                tail
            }
            _ => {
                result.push(*byte);
                tail
            }
        };
        if result.len() > LONGEST {
            return Err(format!("too long value of \"{}\"", String::from_utf8_lossy(text)));
        }
    }
    Ok(result)
}

/// `name` or `{name}`, and what follows it.
fn name(text: &[u8]) -> Result<(&str, &[u8]), Option<String>> {
    let braced = text.first() == Some(&b'{');
    let start = if braced { &text[1..] } else { text };
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    let length = start.iter().take_while(is_name).count();
    let (name, tail) = start.split_at(length);
    let name = std::str::from_utf8(name).unwrap_or_default();
    match (braced, tail.first()) {
        (true, Some(b'}')) if length > 0 => Ok((name, &tail[1..])),
        (true, Some(b'}')) => Err(None),
        (true, _) => Err(Some(format!("the closing bracket in \"{name}\" variable is missing"))),
        (false, _) if length > 0 => Ok((name, tail)),
        (false, _) => Err(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let look_up = |name: &str| (name == "a").then(|| Bytes::from_static(b"A"));
        let found = evaluate(text.as_bytes(), look_up);
        let found = found.map(|text| String::from_utf8(text).unwrap());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
    }

    #[test]
    fn names_and_backslashes() {
        check("", Ok(""));
        check("x$a-${A}y$b", Ok("xA-Ay"));
        check(r#"\$a \' \" \\ \n"#, Ok(r#"$a ' " \ \n"#));
        check("$", Err("invalid variable name in \"$\""));
        check("a${}", Err("invalid variable name in \"a${}\""));
        check("${a", Err("the closing bracket in \"a\" variable is missing"));
    }

    #[test]
    fn a_value_does_not_grow_for_ever() {
        let long = Bytes::from(vec![b'x'; LONGEST]);
        assert!(evaluate(b"$a", |_| Some(long.clone())).is_ok());
        assert!(evaluate(b"$a$a", |_| Some(long.clone())).is_err());
    }
}
