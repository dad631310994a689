//! `gzip`: compresses on the way out, for clients that say they understand it.
//!
//! A stream is flushed whenever its source pauses, so that what a slow application has said so far
//! reaches the client although the compressor would like to see more.

use std::{
    io::{self, Write},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use flate2::{Compression, GzBuilder, write::GzEncoder};

use super::not_modified::parse_date;
use crate::{
    clock,
    conf::ConfError,
    engine::plan::{Filter, Plan},
    exchange::{Exchange, Protocol},
    load::{
        Args,
        Arity::{AtLeast, Exactly},
        Block, Directive, List, Module, Setting, Site, directive,
    },
    regex::{Case, Regex},
    response::{Body, Part, Response, Source, Stream},
};

#[derive(Clone, Default)]
pub struct Gzip {
    on: Setting<bool>,
    types: List<String>,
    min_length: Setting<u64>,
    level: Setting<u32>,
    vary: Setting<bool>,
    proxied: List<Proxied>,
    disable: List<Regex>,
    http_version: Setting<Protocol>,
    buffers: Setting<(usize, u64)>,
}

/// Which answers to a proxy (a request with `Via`) are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proxied {
    Off,
    Expired,
    NoCache,
    NoStore,
    Private,
    NoLastModified,
    NoEtag,
    Auth,
    Any,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];
const WITH_IF: &[Block] = &[Block::Http, Block::Server, Block::Location, Block::If];

impl Module for Gzip {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("gzip", WITH_IF, Exactly(1), |gzip, args| gzip.on.set(args.flag()?, args)),
        directive("gzip_types", BLOCKS, AtLeast(1), |gzip, args| {
            for place in 0..args.len() {
                gzip.types.push(args.word(place).to_ascii_lowercase());
            }
            Ok(())
        }),
        directive("gzip_min_length", BLOCKS, Exactly(1), |gzip, args| {
            gzip.min_length.set(args.size(0)?, args)
        }),
        directive("gzip_comp_level", BLOCKS, Exactly(1), |gzip, args| {
            let level = args.number(0)?;
            if !(1..=9).contains(&level) {
                return Err(args.complain("value must be between 1 and 9"));
            }
            gzip.level.set(level, args)
        }),
        directive("gzip_vary", BLOCKS, Exactly(1), |gzip, args| gzip.vary.set(args.flag()?, args)),
        directive("gzip_proxied", BLOCKS, AtLeast(1), Gzip::add_proxied),
        directive("gzip_disable", BLOCKS, AtLeast(1), Gzip::add_disable),
        directive("gzip_http_version", BLOCKS, Exactly(1), |gzip, args| {
            let version = match args.word(0) {
                "1.0" => Protocol::Http10,
                "1.1" => Protocol::Http11,
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            };
            gzip.http_version.set(version, args)
        }),
        // What is compressed goes out as it comes; the numbers are read so that wrong ones are named.
        directive("gzip_buffers", BLOCKS, Exactly(2), |gzip, args| {
            gzip.buffers.set((args.number(0)?, args.size(1)?), args)
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.on.inherit(&outer.on);
        self.types.inherit(&outer.types);
        self.min_length.inherit(&outer.min_length);
        self.level.inherit(&outer.level);
        self.vary.inherit(&outer.vary);
        self.proxied.inherit(&outer.proxied);
        self.disable.inherit(&outer.disable);
        self.http_version.inherit(&outer.http_version);
        self.buffers.inherit(&outer.buffers);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        if self.on.or(false) {
            plan.filters.push(self);
        }
        Ok(())
    }
}

impl Gzip {
    fn add_proxied(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        for place in 0..args.len() {
            self.proxied.push(match args.word(place) {
                "off" => Proxied::Off,
                "expired" => Proxied::Expired,
                "no-cache" => Proxied::NoCache,
                "no-store" => Proxied::NoStore,
                "private" => Proxied::Private,
                "no_last_modified" => Proxied::NoLastModified,
                "no_etag" => Proxied::NoEtag,
                "auth" => Proxied::Auth,
                "any" => Proxied::Any,
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            });
        }
        Ok(())
    }

    fn add_disable(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        for place in 0..args.len() {
            let word = args.word(place).to_owned();
            // Internet Explorer 4 to 6, but for the one with the service pack that repaired it.
            let pattern = if word == "msie6" { r"MSIE [4-6]\.(?!.*SV1)" } else { word.as_str() };
            let pattern = args.regex(pattern, Case::Insensitive)?;
            self.disable.push(pattern);
        }
        Ok(())
    }

    /// Whether this is an answer worth compressing, for whomever.
    fn suits(&self, response: &Response) -> bool {
        let length = response.body.length();
        matches!(response.status, 200 | 403 | 404)
            && !matches!(response.body, Body::Empty | Body::Absent(_) | Body::Tunnel(_))
            && !response.headers.contains("content-encoding")
            && length.is_none_or(|length| length >= self.min_length.or(20))
            && response.content_type.as_deref().is_some_and(|kind| self.lists(kind))
    }

    fn lists(&self, kind: &[u8]) -> bool {
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        // text/html is always one of them.
        kind.eq_ignore_ascii_case(b"text/html")
            || self
                .types
                .iter()
                .any(|listed| listed == "*" || kind.eq_ignore_ascii_case(listed.as_bytes()))
    }

    /// Whether this client is to have it compressed.
    fn is_wanted(&self, exchange: &Exchange, response: &Response) -> bool {
        let Some(accepted) = exchange.header("accept-encoding") else { return false };
        accepts_gzip(accepted)
            && exchange.request.version >= self.http_version.or(Protocol::Http11)
            && (exchange.header("via").is_none() || self.is_for_proxies(exchange, response))
            && exchange
                .header("user-agent")
                .is_none_or(|agent| !self.disable.iter().any(|pattern| pattern.is_match(agent)))
    }

    fn is_for_proxies(&self, exchange: &Exchange, response: &Response) -> bool {
        let asked = |what| self.proxied.contains(&what);
        if self.proxied.is_empty() || asked(Proxied::Off) {
            return false;
        }
        if asked(Proxied::Any)
            || (asked(Proxied::Auth) && exchange.header("authorization").is_some())
        {
            return true;
        }
        let headers = &response.headers;
        if let Some(expires) = headers.get("expires") {
            let Some(expires) = parse_date(expires).filter(|_| asked(Proxied::Expired)) else {
                return false;
            };
            let date = headers.get("date").and_then(|date| parse_date(date));
            return expires < date.unwrap_or_else(|| clock::now().0);
        }
        if headers.contains("cache-control") {
            let says = |token: &str| {
                headers.all("cache-control").any(|list| crate::headers::has_token(list, token))
            };
            return (asked(Proxied::NoCache) && says("no-cache"))
                || (asked(Proxied::NoStore) && says("no-store"))
                || (asked(Proxied::Private) && says("private"));
        }
        let has_date = response.last_modified.is_some() || headers.contains("last-modified");
        let has_etag = headers.contains("etag");
        !(asked(Proxied::NoLastModified) && has_date || asked(Proxied::NoEtag) && has_etag)
    }
}

impl Filter for Gzip {
    fn apply(&self, exchange: &mut Exchange, mut response: Response) -> Response {
        if !self.suits(&response) {
            return response;
        }
        response.vary = self.vary.or(false);
        if !self.is_wanted(exchange, &response) {
            return response;
        }
        weaken_etag(&mut response);
        let encoding = Bytes::from_static(b"Content-Encoding");
        response.headers.push(encoding, Bytes::from_static(b"gzip"));
        response.headers.remove("Accept-Ranges");
        response.ranges = false;
        let body = std::mem::replace(&mut response.body, Body::Empty);
        if exchange.is_head() {
            response.body = Body::Absent(None);
            return response;
        }
        let source: Box<dyn Source> = match body {
            Body::Stream(stream) => stream.source,
            Body::Parts(parts) => Box::new(Stored { parts: parts.into() }),
            Body::Bytes(bytes) => Box::new(Stored { parts: [Part::Bytes(bytes)].into() }),
            Body::Empty | Body::Absent(_) | Body::Tunnel(_) => return response,
        };
        let source = Box::new(Compressed::new(source, self.level.or(1)));
        response.body = Body::Stream(Stream { length: None, source });
        response
    }
}

/// The bytes are others now, although they say the same.
fn weaken_etag(response: &mut Response) {
    let Some(etag) = response.headers.get("ETag").cloned() else { return };
    if etag.starts_with(b"W/") {
        return;
    }
    let weak = etag.starts_with(b"\"").then(|| Bytes::from([b"W/", &etag[..]].concat()));
    response.headers.replace("ETag", weak);
}

/// Whether `Accept-Encoding` has `gzip` with a weight above zero.
fn accepts_gzip(list: &[u8]) -> bool {
    for part in list.split(|byte| *byte == b',') {
        let mut words = part.splitn(2, |byte| *byte == b';');
        let name = words.next().unwrap_or_default().trim_ascii();
        if !name.eq_ignore_ascii_case(b"gzip") {
            continue;
        }
        let Some(weight) = words.next() else { return true };
        let weight = weight.trim_ascii();
        let Some((b'q' | b'Q', weight)) = weight.split_first() else { return false };
        let Some((b'=', digits)) = weight.split_first() else { return false };
        return is_positive_weight(digits);
    }
    false
}

/// `0.001` to `1.000`.
fn is_positive_weight(digits: &[u8]) -> bool {
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&digits[..dot], &digits[dot + 1..]),
        None => (digits, &b""[..]),
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let has_some = fraction.iter().any(|digit| *digit != b'0');
    match whole {
        b"1" => !has_some,
        b"0" => has_some,
        _ => false,
    }
}

/// Bytes and files that are here already, a piece at a time.
struct Stored {
    parts: std::collections::VecDeque<Part>,
}

/// What is read of a file, and compressed, before the other connections have their turn.
const PIECE: u64 = 64 << 10;

impl Source for Stored {
    fn poll_chunk(&mut self, _context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match self.parts.pop_front() {
                None => return Poll::Ready(None),
                Some(Part::Bytes(bytes)) if bytes.is_empty() => (),
                Some(Part::Bytes(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Some(Part::File(file)) if file.length == 0 => (),
                Some(Part::File(mut file)) => {
                    let mut piece = vec![0; file.length.min(PIECE) as usize];
                    let read = nix::sys::uio::pread(&*file.file, &mut piece, file.offset as i64);
                    return Poll::Ready(Some(match read {
                        Ok(0) => Err(io::Error::other("the file has become shorter")),
                        Err(error) => Err(error.into()),
                        Ok(read) => {
                            piece.truncate(read);
                            file.offset += read as u64;
                            file.length -= read as u64;
                            self.parts.push_front(Part::File(file));
                            Ok(piece.into())
                        }
                    }));
                }
            }
        }
    }
}

struct Compressed {
    source: Box<dyn Source>,
    /// `None` after the end.
    encoder: Option<GzEncoder<Vec<u8>>>,
    /// Something was taken in since the last flush.
    holds: bool,
}

impl Compressed {
    fn new(source: Box<dyn Source>, level: u32) -> Compressed {
        // 3 is Unix.
        let builder = GzBuilder::new().operating_system(3);
        let encoder = Some(builder.write(Vec::new(), Compression::new(level)));
        Compressed { source, encoder, holds: false }
    }
}

/// Compressed bytes go out in pieces of about this size.
const OUTPUT: usize = 16 << 10;

impl Source for Compressed {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(encoder) = &mut self.encoder else { return Poll::Ready(None) };
        loop {
            match self.source.poll_chunk(context) {
                Poll::Ready(Some(Ok(piece))) => {
                    if let Err(error) = encoder.write_all(&piece) {
                        return Poll::Ready(Some(Err(error)));
                    }
                    self.holds = true;
                    if encoder.get_ref().len() >= OUTPUT {
                        return Poll::Ready(Some(Ok(std::mem::take(encoder.get_mut()).into())));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.encoder = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    let end = self.encoder.take().map(GzEncoder::finish);
                    return Poll::Ready(end.map(|end| end.map(Bytes::from)));
                }
                Poll::Pending => {
                    if self.holds {
                        self.holds = false;
                        if let Err(error) = encoder.flush() {
                            return Poll::Ready(Some(Err(error)));
                        }
                        // The source has noted who waits; what it has given so far goes out.
                        return Poll::Ready(Some(Ok(std::mem::take(encoder.get_mut()).into())));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// A slow client must not hold the source, compressed or not.
    fn poll_ahead(&mut self, context: &mut Context<'_>) {
        self.source.poll_ahead(context);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn weights() {
        let check = |list: &str, expected| {
            assert_eq!(accepts_gzip(list.as_bytes()), expected, "{list}");
        };
        check("gzip", true);
        check("deflate, GZIP;q=0.5", true);
        check("gzip;q=1.000", true);
        check("gzip; q=0.001", true);
        check("gzip;q=0", false);
        check("gzip;q=0.000", false);
        check("gzip;q=2", false);
        check("gzip;q=1.001", false);
        check("gzip;q=0.0001", false);
        check("x-gzip", false);
        check("identity", false);
        check("", false);
        check("*", false);
    }

    #[test]
    fn types_are_compared_without_their_parameters() {
        let mut gzip = Gzip::default();
        assert!(gzip.lists(b"text/html; charset=utf-8"));
        assert!(!gzip.lists(b"text/css"));
        gzip.types.push("text/css".to_owned());
        assert!(gzip.lists(b"TEXT/CSS"));
    }

    /// A source that pauses between its pieces.
    struct Slow(Vec<Option<&'static str>>);

    impl Source for Slow {
        fn poll_chunk(&mut self, _context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
            match self.0.pop() {
                None => Poll::Ready(None),
                Some(None) => Poll::Pending,
                Some(Some(text)) => Poll::Ready(Some(Ok(text.into()))),
            }
        }
    }

    #[test]
    fn a_pause_lets_out_what_was_said() {
        let slow = Slow(vec![Some("world"), None, Some("hello, ")]);
        let mut compressed = Compressed::new(Box::new(slow), 1);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(Some(Ok(first))) = compressed.poll_chunk(&mut context) else {
            panic!("nothing came")
        };
        let mut text = [0; 7];
        flate2::read::MultiGzDecoder::new(&first[..]).read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello, ");
        let mut whole = first.to_vec();
        while let Poll::Ready(Some(Ok(piece))) = compressed.poll_chunk(&mut context) {
            whole.extend_from_slice(&piece);
        }
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(&whole[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello, world");
    }
}
