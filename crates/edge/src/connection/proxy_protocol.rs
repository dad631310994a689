//! The PROXY protocol, versions 1 and 2: whoever hands a connection on (a load balancer) says first
//! whose it is. Read before anything else, TLS included, and only where `listen` says so: it is
//! taken at its word, and realip decides whether that word counts.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::ControlFlow::{self, Break, Continue},
};

use bytes::{Buf, Bytes};

use super::{Client, ClientError, Deadline};
use crate::{load::Address, log::Level};

/// What was said, where it was more than "unknown".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// Version 2's list of types, lengths and values, as it came.
    values: Bytes,
}

/// A header that says nothing is no mistake.
type Said = Option<ProxyHeader>;

/// The longest line of version 1, its end included.
const LINE: usize = 107;

/// The longest header of version 2 that is waited for, as in nginx.
const MAX: usize = 4096;

/// Version 2 begins with it.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, length.
const FIXED: usize = SIGNATURE.len() + 4;

/// The whole of a TLS entry: client bits, and what came of its certificate.
const TLS_FIXED: usize = 5;

/// Reads the header of a new connection. `false`: it is not one, and the connection is at its end.
pub(super) async fn read(client: &Client, address: &Address) -> bool {
    let core = &address.default.outer.core;
    let mut deadline = Deadline::after(core.client_header_timeout());
    let (level, message) = loop {
        let step = parse(&client.buffer.borrow());
        match step {
            Break(Ok((said, length))) => {
                client.buffer.borrow_mut().advance(length);
                if let Some(header) = said {
                    // The one time it is read.
                    let _first = client.peer.proxied.set(header);
                }
                return true;
            }
            Break(Err(message)) => break (Level::Error, message),
            Continue(()) => (),
        }
        match client.fill(MAX, &mut deadline).await {
            Ok(()) => (),
            Err(ClientError::Timeout) => {
                break (Level::Info, "client timed out (110: Connection timed out)".to_owned());
            }
            Err(ClientError::Gone) if client.buffer.borrow().is_empty() => {
                break (Level::Info, "client closed connection".to_owned());
            }
            Err(_) => break (Level::Error, broken(&client.buffer.borrow())),
        }
    };
    let who = String::from_utf8_lossy(client.peer.remote.text()).into_owned();
    let server = &address.listen.address;
    let line = format!("{message} while reading PROXY protocol, client: {who}, server: {server}");
    address.default.outer.error_log.write(level, Some(client.peer.number), &line);
    false
}

/// What is said and in how many bytes, or why it is no header; `Continue`: more must come.
fn parse(data: &[u8]) -> ControlFlow<Result<(Said, usize), String>> {
    let signed = data.len().min(SIGNATURE.len());
    if data[..signed] == SIGNATURE[..signed] {
        return if data.len() < FIXED { Continue(()) } else { binary(data) };
    }
    let word = b"PROXY ";
    let known = data.len().min(word.len());
    if data[..known] != word[..known] {
        return Break(Err(broken(data)));
    }
    let line = &data[..data.len().min(LINE)];
    match line.windows(2).position(|two| two == b"\r\n") {
        Some(end) => {
            let said = text(&line[..end]).ok_or_else(|| broken(data));
            Break(said.map(|said| (said, end + 2)))
        }
        None if data.len() >= LINE => Break(Err(broken(data))),
        None => Continue(()),
    }
}

/// `PROXY TCP4 source destination port port`; `None`: it is broken.
fn text(line: &[u8]) -> Option<Said> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("PROXY ")?;
    if line.starts_with("UNKNOWN") {
        return Some(None);
    }
    let words: Vec<&str> = line.split(' ').collect();
    let [family, source, destination, source_port, destination_port] = words[..] else {
        return None;
    };
    let address = |word: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => word.parse().ok().map(IpAddr::V4),
            "TCP6" => word.parse().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port = |word: &str| {
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        word.parse::<u16>().ok().filter(|_| digits)
    };
    Some(Some(ProxyHeader {
        source: (address(source)?, port(source_port)?).into(),
        destination: (address(destination)?, port(destination_port)?).into(),
        values: Bytes::new(),
    }))
}

/// Version 2: the fixed part is here.
fn binary(data: &[u8]) -> ControlFlow<Result<(Said, usize), String>> {
    let (version, command) = (data[12] >> 4, data[12] & 0xf);
    if version != 2 {
        return Break(Err(format!("unknown PROXY protocol version: {version}")));
    }
    let length = FIXED + usize::from(u16::from_be_bytes([data[14], data[15]]));
    if length > MAX {
        return Break(Err("header is too large".to_owned()));
    }
    let Some(mut rest) = data.get(FIXED..length) else { return Continue(()) };
    let (family, transport) = (data[13] >> 4, data[13] & 0xf);
    // Only a stream handed on says something: a health check of the sender's own says LOCAL.
    if command != 1 || transport != 1 {
        return Break(Ok((None, length)));
    }
    let (size, address): (usize, fn(&mut &[u8]) -> IpAddr) = match family {
        1 => (4, |rest| Ipv4Addr::from(rest.get_u32()).into()),
        2 => (16, |rest| Ipv6Addr::from(rest.get_u128()).into()),
        _ => return Break(Ok((None, length))),
    };
    // Two addresses and two ports.
    if rest.len() < 2 * size + 4 {
        return Break(Err("header is too short".to_owned()));
    }
    let (source, destination) = (address(&mut rest), address(&mut rest));
    let source = (source, rest.get_u16()).into();
    let destination = (destination, rest.get_u16()).into();
    let values = Bytes::copy_from_slice(rest);
    Break(Ok((Some(ProxyHeader { source, destination, values }), length)))
}

/// nginx's words, with the line that is none.
fn broken(data: &[u8]) -> String {
    let data = &data[..data.len().min(LINE)];
    let end = data.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(data.len());
    let text = String::from_utf8_lossy(&data[..end]);
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    format!("broken header: \"{text}\"")
}

impl ProxyHeader {
    /// `$proxy_protocol_tlv_*`: by name or number, those inside of the TLS entry as `ssl_*`.
    pub fn value(&self, name: &str) -> Option<Bytes> {
        let Some(inner) = name.strip_prefix("ssl_") else {
            return find(&self.values, kind(name, &KINDS)?);
        };
        let mut tls = find(&self.values, TLS).filter(|entry| entry.len() >= TLS_FIXED)?;
        let mut fixed = tls.split_to(TLS_FIXED);
        if inner == "verify" {
            fixed.advance(1);
            return Some(fixed.get_u32().to_string().into());
        }
        find(&tls, kind(inner, &TLS_KINDS)?)
    }
}

const TLS: u64 = 0x20;

const KINDS: [(&str, u64); 5] =
    [("alpn", 0x1), ("authority", 0x2), ("unique_id", 0x5), ("ssl", TLS), ("netns", 0x30)];

const TLS_KINDS: [(&str, u64); 5] =
    [("version", 0x21), ("cn", 0x22), ("cipher", 0x23), ("sig_alg", 0x24), ("key_alg", 0x25)];

fn kind(name: &str, known: &[(&str, u64)]) -> Option<u64> {
    match name.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => known.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind),
    }
}

/// The first value of this type; what does not hold its own length ends the list.
fn find(values: &Bytes, wanted: u64) -> Option<Bytes> {
    let mut rest = values.clone();
    while rest.len() >= 3 {
        let (kind, length) = (rest.get_u8(), usize::from(rest.get_u16()));
        if rest.len() < length {
            return None;
        }
        let value = rest.split_to(length);
        if u64::from(kind) == wanted {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data: &[u8], expected: &str) {
        // Every beginning of a header waits for the rest of it, or is known to be wrong already.
        for end in 0..data.len() {
            let early = parse(&data[..end]);
            assert!(!matches!(early, Break(Ok(_))), "{:?}", &data[..end]);
        }
        let more = [data, b"GET / HTTP/1.0\r\n\r\n"].concat();
        let said = match parse(&more) {
            Continue(()) => "more".to_owned(),
            Break(Ok((said, length))) => {
                assert_eq!(length, data.len());
                said.map_or("unknown".to_owned(), |it| format!("{} {}", it.source, it.destination))
            }
            Break(Err(message)) => message,
        };
        assert_eq!(said, expected, "{data:?}");
    }

    #[test]
    fn lines() {
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n", "192.0.2.1:123 192.0.2.2:5678");
        check(b"PROXY TCP6 2001:Db8::1 ::2 1 2\r\n", "[2001:db8::1]:1 [::2]:2");
        check(b"PROXY UNKNOWN\r\n", "unknown");
        check(b"PROXY UNKNOWN 1 2 3 4 5\r\n", "unknown");
    }

    #[test]
    fn broken_lines() {
        let check = |line: &[u8]| {
            let Break(Err(message)) = parse(line) else { panic!("{line:?}") };
            assert!(message.starts_with("broken header: \""), "{message}");
        };
        check(b"GET / HTTP/1.0\r\n");
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 123\r\n");
        check(b"PROXY TCP4 ::1 ::2 1 2\r\n");
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n");
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n");
        check(b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n");
        check(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n");
        check(&[b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat());
        check(&[b"PROXY TCP4 ".to_vec(), vec![b'1'; 96]].concat());
    }

    fn version2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    #[test]
    fn binaries() {
        let inet = [192, 0, 2, 1, 192, 0, 2, 2, 0, 123, 22, 46];
        check(&version2(0x21, 0x11, &inet), "192.0.2.1:123 192.0.2.2:5678");
        let mut inet6 = [0; 36];
        (inet6[15], inet6[31], inet6[33], inet6[35]) = (1, 2, 3, 4);
        check(&version2(0x21, 0x21, &inet6), "[::1]:3 [::2]:4");
        check(&version2(0x20, 0, &[]), "unknown");
        check(&version2(0x21, 0x41, &[1, 2, 3]), "unknown");
        check(&version2(0x21, 0x12, &inet), "unknown");
        check(&version2(0x21, 0x11, &inet[..11]), "header is too short");
        check(&version2(0x21, 0x21, &inet6[..35]), "header is too short");
        check(&version2(0x31, 0x11, &inet), "unknown PROXY protocol version: 3");
        let mut huge = version2(0x21, 0x11, &inet);
        huge[14] = 0xff;
        assert_eq!(parse(&huge), Break(Err("header is too large".to_owned())));
    }

    #[test]
    fn values() {
        let entry = |kind: u8, value: &[u8]| {
            [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
        };
        let inside = [&[1, 0, 0, 0, 255][..], &entry(0x22, b"example.org")].concat();
        let list = [entry(1, b"h2"), entry(0xae, b"own"), entry(0x20, &inside)].concat();
        let inet = [192, 0, 2, 1, 192, 0, 2, 2, 0, 123, 22, 46];
        let data = version2(0x21, 0x11, &[&inet[..], &list].concat());
        let Break(Ok((Some(header), _))) = parse(&data) else { panic!("not a header") };
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(header.value(name).as_deref(), expected.map(str::as_bytes), "{name}");
        };
        check("alpn", Some("h2"));
        check("0x01", Some("h2"));
        check("0x000ae", Some("own"));
        check("ssl_verify", Some("255"));
        check("ssl_cn", Some("example.org"));
        check("ssl_0x22", Some("example.org"));
        check("netns", None);
        check("0xzz", None);
        let cut = ProxyHeader { values: Bytes::from_static(&[1, 0, 9, b'x']), ..header.clone() };
        assert_eq!(cut.value("alpn"), None);
    }
}
