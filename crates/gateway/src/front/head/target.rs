//! The four forms of a target (RFC 9112 §3.2), and what may stand for a host.

use std::ops::Range;

use http1::RequestLine;

use super::{Refusal, bad};

/// Where the parts of a target are.
pub(super) struct Target {
    pub(super) path: Range<usize>,
    pub(super) query: Range<usize>,
    /// In the absolute form, as it is sent to proxies. What counts is the path.
    pub(super) authority: Option<Range<usize>>,
}

pub(super) fn split(bytes: &[u8], line: &RequestLine) -> Result<Target, Refusal> {
    let target = &bytes[line.target.clone()];
    let method = &bytes[line.method.clone()];
    let base = line.target.start;
    let invalid = || {
        let text = bytes[line.method.start..line.target.end].escape_ascii();
        bad(format!("Invalid HTTP request line: '{text}'"))
    };
    if method == b"CONNECT" {
        return Err(Refusal::new(501, "CONNECT needs a proxy, which this is not"));
    }
    let authority = match target {
        [b'/', ..] => None,
        b"*" if method == b"OPTIONS" => None,
        _ => {
            let is_scheme = |scheme: &&[u8]| {
                target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            };
            let schemes = [&b"http://"[..], b"https://"];
            let start = schemes.into_iter().find(is_scheme).ok_or_else(invalid)?.len();
            let length = target[start..].iter().position(|byte| b"/?#".contains(byte));
            let end = start + length.unwrap_or(target.len() - start);
            if start == end || !is_host(&target[start..end]) {
                return Err(invalid());
            }
            Some(start..end)
        }
    };
    // A fragment is the browser's own business; RAW_URI still has it.
    let end = memchr::memchr(b'#', target).unwrap_or(target.len());
    let path_start = authority.as_ref().map_or(0, |authority| authority.end);
    let question = memchr::memchr(b'?', &target[path_start..end]).map(|at| path_start + at);
    let moved = |range: Range<usize>| base + range.start..base + range.end;
    Ok(Target {
        path: moved(path_start..question.unwrap_or(end)),
        query: moved(question.map_or(end, |at| at + 1)..end),
        authority: authority.map(moved),
    })
}

/// RFC 3986 §3.2.2 and a port. Empty is allowed: a target may have no authority.
pub(super) fn is_host(value: &[u8]) -> bool {
    let (name, port) = match value {
        [b'[', ..] => match memchr::memchr(b']', value) {
            Some(end) if value[1..end].iter().all(|byte| is_name(*byte) || *byte == b':') => {
                (&value[1..end], &value[end + 1..])
            }
            _ => return false,
        },
        _ => {
            let colon = memchr::memchr(b':', value).unwrap_or(value.len());
            let (name, port) = value.split_at(colon);
            if !name.iter().all(|byte| is_name(*byte)) {
                return false;
            }
            (name, port)
        }
    };
    match port {
        [] => !name.is_empty() || value.is_empty(),
        [b':', digits @ ..] => !name.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// A comma would be one of them: two hosts that a proxy has joined.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in ["", "a", "a:80", "a:", "a_b.example", "[::1]", "[::1]:81", "[v1.a:b]:1"] {
            assert!(is_host(good.as_bytes()), "{good:?}");
        }
        for bad in [":80", "a b", "a,b", "a/b", "a@b", "a:b", "a:1:2", "[::1", "::1", "[]", "[a]b"]
        {
            assert!(!is_host(bad.as_bytes()), "{bad:?}");
        }
    }
}
