//! `expr` of `if` and `elif`: `$name`, `text = text`, `text != text`, and the same with a `/pattern/`.

/// An expression, taken apart and not yet looked up.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) left: Vec<u8>,
    pub(super) test: Test,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// Anything but nothing.
    IsThere,
    Text {
        equal: bool,
        right: Vec<u8>,
    },
    Pattern {
        matches: bool,
        pattern: Vec<u8>,
    },
}

/// `None`: that is none.
pub(super) fn parse(expression: &[u8]) -> Option<Condition> {
    let is_left = |byte: &&u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'$' | b'{' | b'}' | b'_' | b'"' | b'\'')
    };
    let length = expression.iter().take_while(is_left).count();
    let (left, rest) = expression.split_at(length);
    // nginx reads what stands on the left without case.
    let left = left.to_ascii_lowercase();
    let rest = without_spaces(rest);
    let (equal, right) = match rest {
        [] => return Some(Condition { left, test: Test::IsThere }),
        [b'=', right @ ..] => (true, right),
        [b'!', b'=', right @ ..] => (false, right),
        _ => return None,
    };
    let test = match without_spaces(right) {
        [b'/', pattern @ .., b'/'] if !pattern.is_empty() => {
            Test::Pattern { matches: equal, pattern: pattern.to_vec() }
        }
        [b'/', _, ..] => return None,
        [b'\\', right @ ..] if right.first() == Some(&b'/') => {
            Test::Text { equal, right: right.to_vec() }
        }
        right => Test::Text { equal, right: right.to_vec() },
    };
    Some(Condition { left, test })
}

fn without_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| **byte == b' ').count();
    &text[spaces..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let check = |text: &str, left: &str, test: Test| {
            let left = left.as_bytes().to_vec();
            assert_eq!(parse(text.as_bytes()), Some(Condition { left, test }), "{text}");
        };
        let text = |equal, right: &str| Test::Text { equal, right: right.into() };
        let pattern = |matches, pattern: &str| Test::Pattern { matches, pattern: pattern.into() };
        check("$a", "$a", Test::IsThere);
        check("$a ", "$a", Test::IsThere);
        check("$A = b", "$a", text(true, "b"));
        check("$a!=b c", "$a", text(false, "b c"));
        check("$a = /^b$/", "$a", pattern(true, "^b$"));
        check("${a} != /b/", "${a}", pattern(false, "b"));
        check("$a = \\/b", "$a", text(true, "/b"));
        check("$a = /", "$a", text(true, "/"));
        check("", "", Test::IsThere);
        for bad in ["$a < b", "$a /b/", "$a = /b", "$a ! b", "$a = //"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
