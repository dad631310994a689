//! How a value is written into a log line, so that no client can forge a line: `escape=`.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Quotes, backslashes and all that is not printable ASCII as `\xXX`; nothing there as `-`.
    Default,
    /// As inside of a JSON string.
    Json,
    Nothing,
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

impl Escape {
    pub fn write(self, value: Option<&[u8]>, line: &mut Vec<u8>) {
        match (self, value) {
            (Escape::Default, None) => line.push(b'-'),
            (Escape::Default, Some(value)) => {
                let plain = |byte: u8| (0x20..0x7f).contains(&byte) && !b"\"\\".contains(&byte);
                write(value, line, plain, |byte, line| {
                    line.extend_from_slice(b"\\x");
                    line.extend_from_slice(&hex(byte));
                });
            }
            (Escape::Json, Some(value)) => {
                let plain = |byte: u8| 0x20 <= byte && !b"\"\\".contains(&byte);
                write(value, line, plain, json);
            }
            (Escape::Nothing, Some(value)) => line.extend_from_slice(value),
            (Escape::Json | Escape::Nothing, None) => (),
        }
    }
}

fn json(byte: u8, line: &mut Vec<u8>) {
    match byte {
        b'\n' => line.extend_from_slice(b"\\n"),
        b'\r' => line.extend_from_slice(b"\\r"),
        b'\t' => line.extend_from_slice(b"\\t"),
        8 => line.extend_from_slice(b"\\b"),
        12 => line.extend_from_slice(b"\\f"),
        b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
        _ => {
            line.extend_from_slice(b"\\u00");
            line.extend_from_slice(&hex(byte));
        }
    }
}

/// Stretches that need nothing are copied whole.
fn write(
    value: &[u8],
    line: &mut Vec<u8>,
    plain: impl Fn(u8) -> bool,
    escape: impl Fn(u8, &mut Vec<u8>),
) {
    let mut rest = value;
    while let Some(place) = rest.iter().position(|byte| !plain(*byte)) {
        line.extend_from_slice(&rest[..place]);
        escape(rest[place], line);
        rest = &rest[place + 1..];
    }
    line.extend_from_slice(rest);
}

fn hex(byte: u8) -> [u8; 2] {
    [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(escape: Escape, value: Option<&[u8]>, expected: &str) {
        let mut line = Vec::new();
        escape.write(value, &mut line);
        assert_eq!(String::from_utf8_lossy(&line), expected);
    }

    #[test]
    fn each_kind_escapes_its_own() {
        let value: Option<&[u8]> = Some(b"a\"b\\c\n\x01\x7f");
        check(Escape::Default, value, "a\\x22b\\x5Cc\\x0A\\x01\\x7F");
        check(Escape::Json, value, "a\\\"b\\\\c\\n\\u0001\x7f");
        check(Escape::Nothing, value, "a\"b\\c\n\x01\x7f");
        check(Escape::Default, None, "-");
        check(Escape::Json, None, "");
    }
}
