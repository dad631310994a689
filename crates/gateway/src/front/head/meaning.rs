//! What a head means to the connection: how long the body is, who speaks for whom, whether another
//! request follows. Whatever could mean two things is refused.

use std::ops::Range;

use bytes::Bytes;
use http1::{RequestLine, Version};

use super::{Framing, Head, Limits, Protocol, Refusal, Scheme, bad, invalid_header, target};
use crate::settings::HeaderMap;

type Place = (Range<usize>, Range<usize>);

/// What the fields mean to the connection.
pub(super) fn interpret(
    bytes: Bytes,
    line: RequestLine,
    all: Vec<Place>,
    limits: &Limits,
) -> Result<Head, Refusal> {
    let target = target::split(&bytes, &line)?;
    let mut head = Head {
        method: line.method,
        target: line.target,
        path: target.path,
        query: target.query,
        version: line.version,
        protocol: Protocol::Written(line.version_text),
        fields: all,
        dropped: Vec::new(),
        has_underscores: false,
        host: None,
        script_name: None,
        unbelieved: None,
        framing: Framing::Length(0),
        scheme: limits.scheme,
        keep_alive: line.version == Version::Http11,
        expects_continue: false,
        bytes,
    };
    let bytes = head.bytes.clone();
    let mut seen = Seen {
        bytes: &bytes,
        limits,
        version: head.version,
        host: None,
        content_type: false,
        length: None,
        is_coded: false,
        is_compressed: false,
        chunked: false,
        said: None,
        unbelieved: None,
        close: false,
        keep_alive: false,
        expects_continue: false,
    };
    let mut refusal = None;
    head.fields.retain(|place| {
        let kept = seen.field(place).and_then(|()| {
            let name = &bytes[place.0.clone()];
            // In environ it would pass for the one with hyphens.
            if memchr::memchr(b'_', name).is_none() {
                return Ok(true);
            }
            let kept = is_let_through(name, limits)?;
            if !kept {
                head.dropped.push(place.0.clone());
            } else if limits.trusted && name.eq_ignore_ascii_case(b"script_name") {
                head.script_name = Some(place.1.clone());
            }
            head.has_underscores |= kept;
            Ok(kept)
        });
        kept.unwrap_or_else(|error: Refusal| {
            refusal.get_or_insert(error);
            false
        })
    });
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    check_host(&bytes, head.version, seen.host.as_ref(), target.authority.as_ref())?;
    head.framing = seen.framing()?;
    head.host = seen.host;
    head.scheme = seen.said.map_or(limits.scheme, |(scheme, _)| scheme);
    head.unbelieved = seen.unbelieved;
    head.keep_alive = match (seen.close, seen.keep_alive) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => head.keep_alive,
    };
    head.expects_continue = seen.expects_continue && head.framing != Framing::Length(0);
    Ok(head)
}

/// Whether a field goes on to the application although its name has an underscore.
fn is_let_through(name: &[u8], limits: &Limits) -> Result<bool, Refusal> {
    let settings = &limits.settings;
    let is_name = |known: &String| known == "*" || name.eq_ignore_ascii_case(known.as_bytes());
    if limits.trusted && settings.forwarder_headers.iter().any(is_name) {
        return Ok(true);
    }
    match settings.header_map {
        HeaderMap::Drop => Ok(false),
        HeaderMap::Dangerous => Ok(true),
        HeaderMap::Refuse => {
            let name = name.escape_ascii();
            Err(bad(format!("Invalid HTTP header name: '{name}'"))
                .explained("it has an underscore, and --header-map is \"refuse\""))
        }
    }
}

/// RFC 9112 §3.2: one host, and where the target names one, too, the same.
fn check_host(
    bytes: &[u8],
    version: Version,
    host: Option<&Range<usize>>,
    authority: Option<&Range<usize>>,
) -> Result<(), Refusal> {
    let host = match host {
        Some(host) => &bytes[host.clone()],
        None if version == Version::Http11 => return Err(bad("Invalid HTTP Header: no 'HOST'")),
        None => return Ok(()),
    };
    match authority.map(|authority| &bytes[authority.clone()]) {
        Some(authority) if !authority.eq_ignore_ascii_case(host) => {
            let (host, authority) = (host.escape_ascii(), authority.escape_ascii());
            Err(invalid_header("HOST")
                .explained(format!("it is \"{host}\", and the target's is \"{authority}\"")))
        }
        _ => Ok(()),
    }
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one field of the request that was there or not"
)]
struct Seen<'a> {
    bytes: &'a Bytes,
    limits: &'a Limits,
    version: Version,
    host: Option<Range<usize>>,
    content_type: bool,
    length: Option<u64>,
    is_coded: bool,
    is_compressed: bool,
    chunked: bool,
    /// What a proxy said of the scheme, and in which field.
    said: Option<(Scheme, Place)>,
    unbelieved: Option<Place>,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
}

impl Seen<'_> {
    fn field(&mut self, place: &Place) -> Result<(), Refusal> {
        let bytes = self.bytes;
        let (name, value) = (&bytes[place.0.clone()], &bytes[place.1.clone()]);
        // By length first: most fields are none of these.
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is(b"host") => {
                if self.host.is_some() || !target::is_host(value) {
                    return Err(invalid_header("HOST"));
                }
                self.host = Some(place.1.clone());
            }
            6 if is(b"expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    let value = value.escape_ascii();
                    let message = format!("Unable to comply with expectation: '{value}'");
                    return Err(Refusal::new(417, message));
                }
                // RFC 9110 §10.1.1: from HTTP/1.0 it is ignored.
                self.expects_continue = self.version == Version::Http11;
            }
            10 if is(b"connection") => {
                for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            12 if is(b"content-type") => {
                let again = std::mem::replace(&mut self.content_type, true);
                return if again { Err(invalid_header("CONTENT-TYPE")) } else { Ok(()) };
            }
            14 if is(b"content-length") => {
                // Twice is refused even where both agree: nobody has a reason to.
                let length = content_length(value).filter(|_| self.length.is_none());
                self.length = Some(length.ok_or_else(|| invalid_header("CONTENT-LENGTH"))?);
            }
            17 if is(b"transfer-encoding") => self.transfer_encoding(value)?,
            _ => (),
        }
        let mut known = self.limits.settings.secure_scheme_headers.iter();
        match known.find(|(known, _)| is(known.as_bytes())) {
            Some((_, secure)) => self.scheme(place, value == secure.as_bytes()),
            None => Ok(()),
        }
    }

    /// Somebody's word on how the client came. Two that disagree are worse than none.
    fn scheme(&mut self, place: &Place, secure: bool) -> Result<(), Refusal> {
        if !self.limits.trusted {
            if secure {
                self.unbelieved.get_or_insert_with(|| place.clone());
            }
            return Ok(());
        }
        let scheme = if secure { Scheme::Https } else { Scheme::Http };
        match &self.said {
            None => self.said = Some((scheme, place.clone())),
            Some((said, _)) if *said == scheme => (),
            Some((_, other)) => {
                return Err(bad("Contradictory scheme headers").explained(format!(
                    "{}, but {}",
                    self.meaning_of(other),
                    self.meaning_of(place)
                )));
            }
        }
        Ok(())
    }

    /// `"X-Forwarded-Proto: on" means http, where "https" would mean https`.
    fn meaning_of(&self, (name, value): &Place) -> String {
        let (name, value) = (&self.bytes[name.clone()], &self.bytes[value.clone()]);
        let shown = |text: &[u8]| text[..text.len().min(120)].escape_ascii().to_string();
        let known = &self.limits.settings.secure_scheme_headers;
        let secure = known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        let (field, secure) = (shown(name), secure.map_or("", |(_, secure)| secure));
        if value == secure.as_bytes() {
            format!("\"{field}: {secure}\" says https")
        } else {
            format!("\"{field}: {}\" says http (only \"{secure}\" says https)", shown(value))
        }
    }

    /// Only `chunked`, once, at the end, from HTTP/1.1.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        self.is_coded = true;
        for coding in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            let is = |known: &str| coding.eq_ignore_ascii_case(known.as_bytes());
            if is("chunked") && !self.chunked && self.version == Version::Http11 {
                self.chunked = true;
            } else if is("chunked") || is("identity") || self.chunked {
                return Err(invalid_header("TRANSFER-ENCODING"));
            } else if is("gzip") || is("deflate") || is("compress") {
                self.is_compressed = true;
            } else {
                return Err(unsupported_coding(value));
            }
        }
        Ok(())
    }

    /// RFC 9112 §6.3: how long the body is, if that can be said.
    fn framing(&self) -> Result<Framing, Refusal> {
        match (self.is_coded, self.chunked, self.length) {
            (false, _, length) => Ok(Framing::Length(length.unwrap_or(0))),
            (true, false, _) => Err(invalid_header("TRANSFER-ENCODING")),
            // Whichever of the two was meant, somebody before us may have meant the other.
            (true, true, Some(_)) => Err(invalid_header("CONTENT-LENGTH")),
            // It would have to be undone for the application, which is told no coding.
            (true, true, None) if self.is_compressed => Err(unsupported_coding(b"compressed")),
            (true, true, None) => Ok(Framing::Chunked),
        }
    }
}

fn unsupported_coding(value: &[u8]) -> Refusal {
    let value = value.escape_ascii();
    Refusal::new(501, format!("Unsupported transfer coding: '{value}'"))
}

fn content_length(value: &[u8]) -> Option<u64> {
    // Eighteen digits keep every sum with it far from overflow.
    let well_formed = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    well_formed.then(|| value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}
