//! Which host a request is for, and on which port: what `Host` or the target says, if it can be one
//! (RFC 3986 §3.2). A name that two servers might read otherwise is refused.

use bytes::Bytes;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// Lower-case, without port and final dot.
    pub(super) name: Bytes,
    /// `None` where none is said.
    pub(super) port: Option<u16>,
}

impl Host {
    /// `None`: it can not be one.
    pub(super) fn read(text: &Bytes) -> Option<Host> {
        let literal = text.first() == Some(&b'[');
        let end = if literal {
            memchr::memchr(b']', text)? + 1
        } else {
            memchr::memchr(b':', text).unwrap_or(text.len())
        };
        let port = match text[end..].split_first() {
            None => None,
            Some((b':', digits)) => port(digits)?,
            Some(_) => return None,
        };
        let whole = &text[..end];
        let good = if literal {
            whole[1..end - 1].iter().all(|byte| is_name(*byte) || *byte == b':')
        } else {
            whole.iter().all(|byte| is_name(*byte) || *byte == b'%')
        };
        // An empty label.
        if !good || memchr::memmem::find(whole, b"..").is_some() {
            return None;
        }
        let name = whole.strip_suffix(b".").unwrap_or(whole);
        if name.is_empty() {
            return None;
        }
        let upper = name.iter().any(u8::is_ascii_uppercase);
        let name = if upper { name.to_ascii_lowercase().into() } else { text.slice_ref(name) };
        Some(Host { name, port })
    }
}

/// The characters RFC 3986 leaves to a registered name, all but the percent sign.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.~_!$&'()*+,;=".contains(&byte)
}

/// `Some(None)`: a colon with nothing behind it.
fn port(digits: &[u8]) -> Option<Option<u16>> {
    let mut number = 0_u16;
    for digit in digits {
        let value = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        number = number.checked_mul(10)?.checked_add(value)?;
    }
    Some((number != 0).then_some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_a_host() {
        let check = |text: &'static str, name: &str, port| {
            let host = Host::read(&Bytes::from_static(text.as_bytes())).unwrap();
            assert_eq!((&host.name[..], host.port), (name.as_bytes(), port), "{text}");
        };
        check("Example.ORG", "example.org", None);
        check("example.org.:80", "example.org", Some(80));
        check("example.org:", "example.org", None);
        check("a_b~c!$&'()*+,;=%41", "a_b~c!$&'()*+,;=%41", None);
        check("[::1]:65535", "[::1]", Some(65535));
    }

    #[test]
    fn what_can_not() {
        let bad = [
            "", ".", "..", "a..b", "a..:80", "a:65536", "a:1.2", "a:1:2", "a/b", "a\\b", "a@b",
            "a b", "a\tb", "a#b", "a?b", "a\"b", "[::1", "[::1].", "[::1]x", "[a/b]", "[a]b]",
            "\u{e4}",
        ];
        for text in bad {
            assert_eq!(Host::read(&Bytes::from_static(text.as_bytes())), None, "{text}");
        }
    }
}
