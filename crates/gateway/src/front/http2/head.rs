//! Decoded fields to a request's head as HTTP/1.1 writes it, so that one reader, with one set of
//! limits, says what it means.
//!
//! What is a line there must not be able to end one: nothing that could is in a name, a value, the
//! method or the path (RFC 9113 §8.2, §10.3). Whatever has no meaning in HTTP/2 itself ends the stream.

use bytes::{Bytes, BytesMut};

/// The four fields that are HTTP/2's request line.
#[derive(Default)]
struct Pseudo {
    method: Option<Bytes>,
    scheme: Option<Bytes>,
    path: Option<Bytes>,
    authority: Option<Bytes>,
}

pub(super) struct Asked {
    /// The whole head.
    pub(super) text: BytesMut,
    pub(super) is_head: bool,
    /// Its `content-length`, if there is one; whether it is a good one is for the reader to say.
    pub(super) announced: Option<u64>,
}

/// `Err`: why it is no request.
pub(super) fn read(fields: Vec<(Bytes, Bytes)>) -> Result<Asked, &'static str> {
    let size: usize = fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut pseudo = Pseudo::default();
    let (mut lines, mut cookies) = (BytesMut::with_capacity(size + 32), BytesMut::new());
    let (mut host, mut announced, mut is_past) = (None, None, false);
    for (name, value) in fields {
        // RFC 9113 §8.2.1.
        if memchr::memchr3(0, b'\r', b'\n', &value).is_some() {
            return Err("a field's value that ends lines");
        }
        if name.first() == Some(&b':') {
            if is_past {
                return Err("a pseudo-field after a field");
            }
            pseudo.add(&name, value)?;
            continue;
        }
        is_past = true;
        check_name(&name, &value)?;
        match &name[..] {
            b"host" if host.is_none() => host = Some(value),
            b"host" => return Err("two hosts"),
            b"cookie" => {
                // RFC 9113 §8.2.3: they come in crumbs.
                if !cookies.is_empty() {
                    cookies.extend_from_slice(b"; ");
                }
                cookies.extend_from_slice(&value);
            }
            _ => {
                if name == "content-length" {
                    announced = std::str::from_utf8(&value).ok().and_then(|it| it.parse().ok());
                }
                put(&mut lines, &name, &value);
            }
        }
    }
    let (method, path, authority) = pseudo.request_line()?;
    match (host, authority) {
        (Some(host), Some(authority)) if host != authority => {
            return Err("two hosts that differ");
        }
        (Some(host), _) | (None, Some(host)) => put(&mut lines, b"host", &host),
        (None, None) => (),
    }
    if !cookies.is_empty() {
        put(&mut lines, b"cookie", &cookies);
    }
    let mut text = BytesMut::with_capacity(lines.len() + method.len() + path.len() + 16);
    for part in [&method[..], b" ", &path, b" HTTP/1.1\r\n", &lines, b"\r\n"] {
        text.extend_from_slice(part);
    }
    Ok(Asked { text, is_head: method == "HEAD", announced })
}

fn put(lines: &mut BytesMut, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        lines.extend_from_slice(part);
    }
}

/// In lower case, and not about a connection (RFC 9113 §8.2.2). What else is wrong, the reader says.
fn check_name(name: &[u8], value: &[u8]) -> Result<(), &'static str> {
    if name.is_empty()
        || name.iter().any(|byte| matches!(byte, 0..=b' ' | b'A'..=b'Z' | b':' | 127..))
    {
        return Err("a field's name that can not be one");
    }
    match name {
        b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
            Err("a field about the connection")
        }
        b"te" if value != b"trailers" => Err("a field about the connection"),
        _ => Ok(()),
    }
}

impl Pseudo {
    fn add(&mut self, name: &[u8], value: Bytes) -> Result<(), &'static str> {
        let place = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":path" => &mut self.path,
            b":authority" => &mut self.authority,
            _ => return Err("an unknown pseudo-field"),
        };
        if value.iter().any(|byte| !byte.is_ascii_graphic()) {
            return Err("a pseudo-field with what can not be in it");
        }
        if place.replace(value).is_some() {
            return Err("a pseudo-field twice");
        }
        Ok(())
    }

    fn request_line(self) -> Result<(Bytes, Bytes, Option<Bytes>), &'static str> {
        let Pseudo { method: Some(method), scheme: Some(_), path: Some(path), authority } = self
        else {
            return Err("not all that makes a request line");
        };
        let is_path = path.first() == Some(&b'/') || path == "*" && method == "OPTIONS";
        if method.is_empty() || !is_path {
            return Err("a path that is none");
        }
        Ok((method, path, authority.filter(|authority| !authority.is_empty())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(all: &[(&str, &str)]) -> Vec<(Bytes, Bytes)> {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        all.iter().map(|(name, value)| (bytes(name), bytes(value))).collect()
    }

    const LINE: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "https"), (":path", "/a?b"), (":authority", "test")];

    /// With these fields after a good request line.
    fn refused(more: &[(&str, &str)]) -> &'static str {
        read(fields(&[&LINE[..], more].concat())).err().unwrap_or("nothing is wrong")
    }

    #[test]
    fn a_request_becomes_lines() {
        let more = [("cookie", "a=1"), ("x-a", "b"), ("cookie", "c=2"), ("content-length", "3")];
        let asked = read(fields(&[&LINE[..], &more].concat())).ok().unwrap();
        assert_eq!(
            asked.text,
            "GET /a?b HTTP/1.1\r\nx-a: b\r\ncontent-length: 3\r\nhost: test\r\n\
             cookie: a=1; c=2\r\n\r\n"
        );
        assert_eq!((asked.is_head, asked.announced), (false, Some(3)));
    }

    #[test]
    fn nothing_can_smuggle_a_line() {
        for more in [
            ("x", "a\r\nb: c"),
            ("x", "a\0"),
            ("x y", "a"),
            ("x\r\ny", "a"),
            ("x:y", "a"),
            ("X", "a"),
            ("", "a"),
            ("connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "gzip"),
            ("host", "other"),
            (":method", "POST"),
            (":status", "200"),
        ] {
            assert_ne!(refused(&[more]), "nothing is wrong", "{more:?}");
        }
        assert_eq!(refused(&[("te", "trailers"), ("host", "test")]), "nothing is wrong");
        for (index, wrong) in [(0, "GE T"), (0, ""), (2, "/a b"), (2, "a"), (2, ""), (3, "a\r\nb")]
        {
            let mut line = LINE;
            line[index].1 = wrong;
            assert!(read(fields(&line)).is_err(), "{line:?}");
        }
        for missing in 0..3 {
            let mut line = LINE.to_vec();
            line.remove(missing);
            assert!(read(fields(&line)).is_err(), "{line:?}");
        }
    }
}
