//! The request as CGI's variables: what gunicorn puts in `environ`, under the same names, byte for
//! byte. Objects (`wsgi.input` and so on) are the app-host's to add.

use std::{borrow::Cow, collections::BTreeMap};

use fastcgi::{KeepConnection, RequestWriter};
use trace::TRACEPARENT;

use super::DispatchError;
use crate::{
    front::{Head, Introduction, Scheme},
    gateway::Gateway,
    listen::Local,
    pool::REQUEST,
    story::{Peer, Story},
};

const SOFTWARE: &str = concat!("causeway-gateway/", env!("CARGO_PKG_VERSION"));

/// Where the variables go.
trait Sink {
    fn put(&mut self, name: &[u8], value: &[u8]);
}

impl Sink for RequestWriter<'_> {
    fn put(&mut self, name: &[u8], value: &[u8]) {
        self.param(name, value);
    }
}

impl Sink for Vec<(Vec<u8>, Vec<u8>)> {
    fn put(&mut self, name: &[u8], value: &[u8]) {
        self.push((name.to_owned(), value.to_owned()));
    }
}

/// The records that begin a request, up to its body.
pub(crate) fn write(
    gateway: &Gateway,
    local: &Local,
    head: &Head,
    story: &Story,
) -> Result<Vec<u8>, DispatchError> {
    let mut buffer = Vec::with_capacity(2048);
    let mut writer = RequestWriter::begin(&mut buffer, REQUEST, KeepConnection::Yes);
    put_all(gateway, local, head, story, &mut writer)?;
    writer.params_end();
    Ok(buffer)
}

/// The same for the access log's `%({NAME}e)s`.
pub(crate) fn list(
    gateway: &Gateway,
    local: &Local,
    head: &Head,
    story: &Story,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    // What was put before a mount was found wrong is still there.
    let _ = put_all(gateway, local, head, story, &mut all);
    all
}

fn put_all(
    gateway: &Gateway,
    local: &Local,
    head: &Head,
    story: &Story,
    sink: &mut impl Sink,
) -> Result<(), DispatchError> {
    // The app-host then takes our names for gunicorn's, and may send interim heads.
    sink.put(b"CAUSEWAY_GATEWAY", b"1");
    sink.put(b"SERVER_SOFTWARE", SOFTWARE.as_bytes());
    sink.put(b"REQUEST_METHOD", head.method());
    sink.put(b"QUERY_STRING", head.query());
    sink.put(b"RAW_URI", head.target());
    sink.put(b"SERVER_PROTOCOL", head.protocol());
    let scheme = match head.scheme() {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    sink.put(b"wsgi.url_scheme", scheme.as_bytes());
    put_peer(story.peer, sink);
    if let Some(introduction) = story.introduction {
        put_introduction(introduction, sink);
    }
    put_server(local, head, sink);
    let settings = gateway.settings();
    put_fields(head, story, settings.server_timing, sink);
    if head.is_http2() {
        sink.put(b"HTTP_VERSION", b"2");
    }
    if settings.server_timing {
        sink.put(b"CAUSEWAY_SERVER_TIMING", b"on");
    }
    let script_name = head.script_name().unwrap_or(settings.script_name.as_bytes());
    let path = mounted(head.path(), script_name)?;
    sink.put(b"PATH_INFO", &unquote(path));
    sink.put(b"SCRIPT_NAME", script_name);
    Ok(())
}

fn put_peer(peer: Peer, sink: &mut impl Sink) {
    match peer {
        Peer::Unix => sink.put(b"REMOTE_ADDR", b""),
        Peer::Tcp(address) => {
            sink.put(b"REMOTE_ADDR", address.ip().to_string().as_bytes());
            sink.put(b"REMOTE_PORT", itoa::Buffer::new().format(address.port()).as_bytes());
        }
    }
}

/// What the PROXY protocol told. gunicorn has texts of `None` for addresses that were not said.
fn put_introduction(introduction: Introduction, sink: &mut impl Sink) {
    sink.put(b"PROXY_PROTOCOL", introduction.protocol().as_bytes());
    if let Introduction::Client { proxy, .. } = introduction {
        sink.put(b"PROXY_ADDR", proxy.ip().to_string().as_bytes());
        sink.put(b"PROXY_PORT", itoa::Buffer::new().format(proxy.port()).as_bytes());
    }
}

/// The listener's own address; on a unix socket, which has none, what the client called us.
fn put_server(local: &Local, head: &Head, sink: &mut impl Sink) {
    let (name, port) = match local {
        Local::Tcp { host, port } => (host.as_bytes(), port.as_bytes()),
        Local::Unix { path } => match head.host().filter(|host| !host.is_empty()) {
            None => (path.as_bytes(), &b""[..]),
            Some(host) => {
                // The brackets of an IPv6 address hold colons of their own.
                let after_brackets = host.iter().rposition(|byte| *byte == b']').unwrap_or(0);
                let colon = host[after_brackets..].iter().position(|byte| *byte == b':');
                match (colon, head.scheme()) {
                    (Some(at), _) => {
                        (&host[..after_brackets + at], &host[after_brackets + at + 1..])
                    }
                    (None, Scheme::Http) => (host, &b"80"[..]),
                    (None, Scheme::Https) => (host, &b"443"[..]),
                }
            }
        },
    };
    sink.put(b"SERVER_NAME", name);
    sink.put(b"SERVER_PORT", port);
}

/// Fields of one name are joined by commas. Heads have some ten fields, so looking back through them
/// is cheaper than any table; where an operator allows thousands, it would take too long.
fn put_fields(head: &Head, story: &Story, timing: bool, sink: &mut impl Sink) {
    const FEW: usize = 128;
    let are_many = head.fields().nth(FEW).is_some();
    let mut many: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut name = Vec::with_capacity(64);
    for (index, (field, value)) in head.fields().enumerate() {
        match field.len() {
            12 if field.eq_ignore_ascii_case(b"content-type") => {
                sink.put(b"CONTENT_TYPE", value);
                continue;
            }
            14 if field.eq_ignore_ascii_case(b"content-length") => {
                sink.put(b"CONTENT_LENGTH", value);
                continue;
            }
            // This hop's own step of the journey goes on instead.
            11 if timing && field.eq_ignore_ascii_case(TRACEPARENT.as_bytes()) => continue,
            _ => (),
        }
        name.clear();
        name.extend_from_slice(b"HTTP_");
        name.extend(in_variable(field));
        if are_many {
            let joined = many.entry(name.clone());
            let joined = joined.and_modify(|joined| joined.push(b',')).or_default();
            joined.extend_from_slice(value);
            continue;
        }
        let has_underscores = head.has_underscores();
        let is_same = |(other, _): &(&[u8], &[u8])| {
            other.eq_ignore_ascii_case(field)
                || has_underscores && in_variable(other).eq(in_variable(field))
        };
        if head.fields().take(index).any(|other| is_same(&other)) {
            continue;
        }
        let mut more = head.fields().skip(index + 1).filter(is_same).peekable();
        let mut value = Cow::Borrowed(value);
        if more.peek().is_some() {
            for (_, another) in more {
                value.to_mut().push(b',');
                value.to_mut().extend_from_slice(another);
            }
        }
        sink.put(&name, &value);
    }
    for (name, value) in &many {
        sink.put(name, value);
    }
    if let (true, Some(trace)) = (timing, story.trace) {
        sink.put(b"HTTP_TRACEPARENT", trace.to_string().as_bytes());
    }
}

/// A field's name, as the variable has it.
fn in_variable(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(|byte| match byte {
        b'-' => b'_',
        byte => byte.to_ascii_uppercase(),
    })
}

/// The path below the mount. gunicorn cuts the prefix off without asking where it ends.
fn mounted<'a>(path: &'a [u8], script_name: &[u8]) -> Result<&'a [u8], DispatchError> {
    path.strip_prefix(script_name).ok_or_else(|| DispatchError::Mount {
        path: path.escape_ascii().to_string(),
        script_name: script_name.escape_ascii().to_string(),
    })
}

/// Percent-decoding as Python's `unquote_to_bytes`: what is no escape stays as it is.
pub(crate) fn unquote(path: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', path).is_none() {
        return Cow::Borrowed(path);
    }
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(byte) = path.get(at) {
        let escape = (byte, digit(path.get(at + 1)), digit(path.get(at + 2)));
        if let (b'%', Some(high), Some(low)) = escape {
            decoded.push((high << 4 | low) as u8);
            at += 3;
        } else {
            decoded.push(*byte);
            at += 1;
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::{front::HeadReader, front::Limits, gateway};

    /// Checks the variables of `request`, as gunicorn 27 gives them.
    #[track_caller]
    fn check(local: &Local, peer: Peer, flags: &[&str], request: &str, expected: &[(&str, &str)]) {
        let gateway = gateway::idle(flags);
        let limits = Limits::new(&gateway.settings(), true, Scheme::Http);
        let head = HeadReader::new(&limits).read(&mut BytesMut::from(request)).unwrap().unwrap();
        let story = Story::begin(peer);
        let all = list(&gateway, local, &head, &story);
        for (name, value) in expected {
            let found: Vec<_> = all.iter().filter(|(key, _)| key == name.as_bytes()).collect();
            let values: Vec<_> =
                found.iter().map(|(_, value)| value.escape_ascii().to_string()).collect();
            match *value {
                "(none)" => assert!(values.is_empty(), "{name}: {values:?}"),
                value => assert_eq!(values, [value], "{name}"),
            }
        }
    }

    fn tcp() -> (Local, Peer) {
        let local = Local::Tcp { host: "127.0.0.1".into(), port: "8000".into() };
        (local, Peer::Tcp("10.1.2.3:4567".parse().unwrap()))
    }

    #[test]
    fn a_request_over_tcp() {
        let (local, peer) = tcp();
        check(
            &local,
            peer,
            &[],
            "POST /a%20b/%C3%A9%zz?q=%20 HTTP/1.1\r\nHost: example:81\r\nContent-Type: text/plain\r\n\
             Content-Length: 3\r\nCookie: a=1\r\nX-Two: 1\r\ncookie: b=2\r\n\r\n",
            &[
                ("REQUEST_METHOD", "POST"),
                ("RAW_URI", "/a%20b/%C3%A9%zz?q=%20"),
                ("PATH_INFO", "/a b/\\xc3\\xa9%zz"),
                ("QUERY_STRING", "q=%20"),
                ("SCRIPT_NAME", ""),
                ("SERVER_PROTOCOL", "HTTP/1.1"),
                ("SERVER_NAME", "127.0.0.1"),
                ("SERVER_PORT", "8000"),
                ("REMOTE_ADDR", "10.1.2.3"),
                ("REMOTE_PORT", "4567"),
                ("CONTENT_TYPE", "text/plain"),
                ("CONTENT_LENGTH", "3"),
                ("HTTP_CONTENT_LENGTH", "(none)"),
                ("HTTP_HOST", "example:81"),
                ("HTTP_COOKIE", "a=1,b=2"),
                ("HTTP_X_TWO", "1"),
                ("wsgi.url_scheme", "http"),
                ("CAUSEWAY_SERVER_TIMING", "(none)"),
            ],
        );
    }

    #[test]
    fn on_a_unix_socket_the_client_says_what_we_are_called() {
        let local = Local::Unix { path: "/run/app.sock".into() };
        let server = |request: &str, name: &str, port: &str| {
            let expected = [
                ("SERVER_NAME", name),
                ("SERVER_PORT", port),
                ("REMOTE_ADDR", ""),
                ("REMOTE_PORT", "(none)"),
            ];
            check(&local, Peer::Unix, &[], request, &expected);
        };
        server("GET / HTTP/1.1\r\nHost: a:81\r\n\r\n", "a", "81");
        server("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "a", "80");
        server("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n", "a", "443");
        server("GET / HTTP/1.1\r\nHost: [::1]:81\r\n\r\n", "[::1]", "81");
        server("GET / HTTP/1.0\r\n\r\n", "/run/app.sock", "");
    }

    #[test]
    fn mounts() {
        let (local, peer) = tcp();
        let request = "GET /app/x HTTP/1.1\r\nHost: a\r\nSCRIPT_NAME: /app\r\n\r\n";
        let expected = [("SCRIPT_NAME", "/app"), ("PATH_INFO", "/x"), ("HTTP_SCRIPT_NAME", "/app")];
        check(&local, peer, &[], request, &expected);
        assert!(mounted(b"/other", b"/app").is_err());
    }

    #[test]
    fn with_timing_on_the_journey_goes_on_with_this_step() {
        let (local, peer) = tcp();
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nTraceparent: {parent}\r\n\r\n");
        check(&local, peer, &[], &request, &[("HTTP_TRACEPARENT", parent)]);
        let on = [("HTTP_TRACEPARENT", "(none)"), ("CAUSEWAY_SERVER_TIMING", "on")];
        check(&local, peer, &["--server-timing"], &request, &on);
    }
}
