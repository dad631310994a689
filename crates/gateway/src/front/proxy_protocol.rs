//! The PROXY protocol, versions 1 and 2: whoever hands a connection on says first whose it is.
//!
//! As in gunicorn, a connection may also begin with a request, and then is the peer's own. Bytes in,
//! an introduction out: must not know sockets, nor whose word counts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Buf;

use super::Refusal;
use crate::settings::ProxyProtocol;

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Introduction {
    Client {
        client: SocketAddr,
        /// Where the client believes to be connected to.
        proxy: SocketAddr,
    },
    /// The proxy speaks for itself, as in a health check.
    Local,
    /// For somebody who has no address of this kind.
    Unknown,
}

impl Introduction {
    /// gunicorn's words for `PROXY_PROTOCOL`.
    pub(crate) fn protocol(self) -> &'static str {
        match self {
            Introduction::Client { client: SocketAddr::V4(_), .. } => "TCP4",
            Introduction::Client { client: SocketAddr::V6(_), .. } => "TCP6",
            Introduction::Local => "LOCAL",
            Introduction::Unknown => "UNSPEC",
        }
    }
}

/// What a connection's first bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// Too few to say.
    Open,
    /// Those of a request.
    Request,
    /// Those of a header of this version, which may not be complete.
    Header(Version),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// The longest line of version 1, its end included.
const LONGEST_LINE: usize = 107;
/// The longest header of version 2 that is waited for.
const LONGEST_HEADER: usize = 4096;

const WORD: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const FIXED: usize = SIGNATURE.len() + 4;

pub(super) fn begins(data: &[u8], spoken: ProxyProtocol) -> Beginning {
    let (one, two) = match spoken {
        ProxyProtocol::Off => (false, false),
        ProxyProtocol::V1 => (true, false),
        ProxyProtocol::V2 => (false, true),
        ProxyProtocol::Auto => (true, true),
    };
    for (is_spoken, start, version) in [(one, WORD, Version::One), (two, SIGNATURE, Version::Two)] {
        let known = data.len().min(start.len());
        if is_spoken && data[..known] == start[..known] {
            let is_whole = known == start.len();
            return if is_whole { Beginning::Header(version) } else { Beginning::Open };
        }
    }
    Beginning::Request
}

/// Whom these bytes introduce, in full.
pub(crate) fn introduced(data: &[u8], spoken: ProxyProtocol) -> Option<Introduction> {
    let Beginning::Header(version) = begins(data, spoken) else { return None };
    let (introduction, length) = read(data, version).ok()??;
    assert!(length <= data.len(), "a header is no longer than what was read of it");
    Some(introduction)
}

/// The header that `data` begins with, and its length. `None`: it is not complete.
pub(super) fn read(
    data: &[u8],
    version: Version,
) -> Result<Option<(Introduction, usize)>, Refusal> {
    match version {
        Version::One => line(data),
        Version::Two => header(data),
    }
}

/// `PROXY TCP4 source destination port port`.
fn line(data: &[u8]) -> Result<Option<(Introduction, usize)>, Refusal> {
    let start = &data[..data.len().min(LONGEST_LINE)];
    let invalid = || {
        let end = start.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let line = start[..end.unwrap_or(start.len())].escape_ascii();
        Refusal::new(400, format!("Invalid PROXY line: '{line}'"))
    };
    let Some(end) = start.windows(2).position(|two| two == b"\r\n") else {
        return if data.len() < LONGEST_LINE { Ok(None) } else { Err(invalid()) };
    };
    let text = start[WORD.len()..end].escape_ascii().to_string();
    let words: Vec<&str> = text.split(' ').collect();
    let introduction = match words[..] {
        // What follows is to be ignored.
        ["UNKNOWN", ..] => Introduction::Unknown,
        [family, client, proxy, client_port, proxy_port] => {
            let of = |ip: &str, number: &str| address(family, ip, number).ok_or_else(invalid);
            Introduction::Client { client: of(client, client_port)?, proxy: of(proxy, proxy_port)? }
        }
        _ => return Err(invalid()),
    };
    Ok(Some((introduction, end + 2)))
}

fn address(family: &str, ip: &str, port: &str) -> Option<SocketAddr> {
    let ip = match family {
        "TCP4" => ip.parse().map(IpAddr::V4).ok()?,
        "TCP6" => ip.parse().map(IpAddr::V6).ok()?,
        _ => return None,
    };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|_| is_number).map(|port| SocketAddr::new(ip, port))
}

/// Version 2, whose beginning is here.
fn header(data: &[u8]) -> Result<Option<(Introduction, usize)>, Refusal> {
    let invalid = |what: String| Refusal::new(400, format!("Invalid PROXY header: {what}"));
    let Some([version_command, family_transport, high, low]) =
        data.get(SIGNATURE.len()..FIXED).and_then(|fixed| <[u8; 4]>::try_from(fixed).ok())
    else {
        return Ok(None);
    };
    if version_command >> 4 != 2 {
        return Err(invalid(format!("unsupported version {}", version_command >> 4)));
    }
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_HEADER {
        return Err(invalid(format!("{length} bytes are more than {LONGEST_HEADER}")));
    }
    let Some(mut rest) = data.get(FIXED..length) else { return Ok(None) };
    let introduction = match (version_command & 0xf, family_transport >> 4, family_transport & 0xf)
    {
        (0, _, _) => Introduction::Local,
        (1, 0, 0 | 1) => Introduction::Unknown,
        (1, family @ (1 | 2), 1) => {
            let (size, ip): (usize, fn(&mut &[u8]) -> IpAddr) = match family {
                1 => (4, |rest| Ipv4Addr::from(rest.get_u32()).into()),
                _ => (16, |rest| Ipv6Addr::from(rest.get_u128()).into()),
            };
            // Two addresses and two ports; what may follow says nothing of them.
            if rest.len() < 2 * size + 4 {
                return Err(invalid("insufficient address data".to_owned()));
            }
            let (client, proxy) = (ip(&mut rest), ip(&mut rest));
            let client = SocketAddr::new(client, rest.get_u16());
            Introduction::Client { client, proxy: SocketAddr::new(proxy, rest.get_u16()) }
        }
        (1, family @ (0..=2), transport) => {
            let what = format!("only TCP is supported, not {transport} over {family}");
            return Err(invalid(what));
        }
        (1, family, _) => return Err(invalid(format!("unsupported address family {family}"))),
        (command, _, _) => return Err(invalid(format!("unsupported command {command}"))),
    };
    Ok(Some((introduction, length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes of a connection that begins with `data` and a request behind it, however it is cut.
    #[track_caller]
    fn check(data: &[u8], expected: &str) {
        let more = [data, b"GET / HTTP/1.0\r\n\r\n"].concat();
        let whole = outcome(&more);
        assert_eq!(whole, Some((expected.to_owned(), data.len())), "{}", data.escape_ascii());
        for end in 0..data.len() {
            assert_eq!(outcome(&data[..end]), None, "cut at {end}");
        }
    }

    fn outcome(data: &[u8]) -> Option<(String, usize)> {
        let version = match begins(data, ProxyProtocol::Auto) {
            Beginning::Open => return None,
            Beginning::Request => return Some(("request".to_owned(), 0)),
            Beginning::Header(version) => version,
        };
        match read(data, version) {
            Ok(None) => None,
            Err(refusal) => Some((refusal.to_string(), 0)),
            Ok(Some((said @ Introduction::Client { client, proxy }, length))) => {
                Some((format!("{} {client} {proxy}", said.protocol()), length))
            }
            Ok(Some((said, length))) => Some((said.protocol().to_owned(), length)),
        }
    }

    #[track_caller]
    fn refused(data: &[u8], expected: &str) {
        let (message, _) = outcome(data).unwrap_or_else(|| panic!("{}", data.escape_ascii()));
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn lines() {
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n", "TCP4 192.0.2.1:123 192.0.2.2:5678");
        check(b"PROXY TCP6 2001:Db8::1 ::2 1 65535\r\n", "TCP6 [2001:db8::1]:1 [::2]:65535");
        check(b"PROXY UNKNOWN\r\n", "UNSPEC");
        check(b"PROXY UNKNOWN ff::1 ff::2 1 2\r\n", "UNSPEC");
        check(b"", "request");
    }

    #[test]
    fn broken_lines() {
        for line in [
            "PROXY TCP4 192.0.2.1 192.0.2.2 123\r\n",
            "PROXY TCP4 ::1 ::2 1 2\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
            "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\nGET / HTTP/1.0\r\n",
            "PROXY \r\n",
        ] {
            refused(line.as_bytes(), "Invalid PROXY line: '");
        }
        refused(&[b"PROXY TCP4 ".to_vec(), vec![b'1'; 96]].concat(), "Invalid PROXY line: '");
    }

    fn version2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    #[test]
    fn headers() {
        let inet = [192, 0, 2, 1, 192, 0, 2, 2, 0, 123, 22, 46];
        check(&version2(0x21, 0x11, &inet), "TCP4 192.0.2.1:123 192.0.2.2:5678");
        let more = [&inet[..], &[4, 0, 1, 0]].concat();
        check(&version2(0x21, 0x11, &more), "TCP4 192.0.2.1:123 192.0.2.2:5678");
        let mut inet6 = [0; 36];
        (inet6[15], inet6[31], inet6[33], inet6[35]) = (1, 2, 3, 4);
        check(&version2(0x21, 0x21, &inet6), "TCP6 [::1]:3 [::2]:4");
        check(&version2(0x20, 0, &[]), "LOCAL");
        check(&version2(0x20, 0x11, &inet), "LOCAL");
        check(&version2(0x21, 0, &[1, 2, 3]), "UNSPEC");
        check(&version2(0x21, 1, &[]), "UNSPEC");
        refused(&version2(0x31, 0x11, &inet), "unsupported version 3");
        refused(&version2(0x22, 0x11, &inet), "unsupported command 2");
        refused(&version2(0x21, 0x12, &inet), "only TCP");
        refused(&version2(0x21, 0x31, &[0; 216]), "unsupported address family 3");
        refused(&version2(0x21, 0x11, &inet[..11]), "insufficient address data");
        refused(&version2(0x21, 0x21, &inet6[..35]), "insufficient address data");
        let mut huge = version2(0x21, 0x11, &inet);
        huge[14] = 0xff;
        refused(&huge, "are more than 4096");
    }

    #[test]
    fn only_what_is_spoken_is_heard() {
        let line = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
        assert_eq!(begins(line, ProxyProtocol::Off), Beginning::Request);
        assert_eq!(begins(line, ProxyProtocol::V2), Beginning::Request);
        assert_eq!(begins(line, ProxyProtocol::V1), Beginning::Header(Version::One));
        assert_eq!(begins(SIGNATURE, ProxyProtocol::V1), Beginning::Request);
        assert_eq!(begins(SIGNATURE, ProxyProtocol::V2), Beginning::Header(Version::Two));
        assert_eq!(begins(b"PRO", ProxyProtocol::Auto), Beginning::Open);
        assert_eq!(begins(b"POST", ProxyProtocol::Auto), Beginning::Request);
    }

    fn beginnings() -> impl Strategy<Value = Vec<u8>> {
        let start = prop::sample::select(vec![
            &b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"[..],
            b"PROXY TCP6 ::1 ::2 ",
            b"PROXY UNKNOWN ",
            b"PROXY ",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\0\x7b\x16\x2e",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0",
            b"\r\n\r\n\0\r\nQUIT\n",
            b"GET / HTTP/1.1\r\n",
        ]);
        (start, prop::collection::vec(any::<u8>(), 0..120), 0..4_usize).prop_map(
            |(start, rest, dropped)| {
                let start = &start[..start.len().saturating_sub(dropped)];
                [start, &rest].concat()
            },
        )
    }

    proptest! {
        /// What was made of a beginning is what is made of it with anything behind.
        #[test]
        fn no_bytes_make_it_panic_however_they_are_cut(
            bytes in beginnings(),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = outcome(&bytes);
            let part = outcome(&bytes[..cut.index(bytes.len() + 1)]);
            prop_assert!(part.is_none() || part == whole, "{part:?}, {whole:?}");
        }
    }
}
