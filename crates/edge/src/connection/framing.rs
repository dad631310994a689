//! Where a request's body ends.
//!
//! Two answers to that are none: two lengths, or a length and a coding, are refused, because the
//! next hop might believe the other one (RFC 9112 §11.2).

use http1::{Chunked, LineEnds};

use super::refusal::{Refusal, bad_headers};
use crate::{
    body::Framing,
    exchange::{Protocol, Request},
    headers::{Header, Headers},
};

/// Fields of which a second one would leave open which of the two is meant. (`Host` has words of its
/// own.)
const ONCE: [&str; 10] = [
    "expect",
    "if-match",
    "if-range",
    "content-range",
    "authorization",
    "if-none-match",
    "content-length",
    "transfer-encoding",
    "if-modified-since",
    "if-unmodified-since",
];

pub(super) fn only_once(headers: &Headers) -> Result<(), Refusal> {
    let mut seen = [false; ONCE.len()];
    for header in headers {
        // Most names are told from these by their length and first letter.
        let likely = matches!(header.name.len(), 6 | 8 | 13 | 14 | 17 | 19)
            && header.name.first().is_some_and(|first| b"acetiACETI".contains(first));
        let place = likely.then(|| ONCE.iter().position(|name| header.is(name))).flatten();
        if place.is_some_and(|place| std::mem::replace(&mut seen[place], true)) {
            return Err(duplicate(header, headers));
        }
    }
    Ok(())
}

/// How long the body is. Its fields stand at most once each.
pub(super) fn framing(request: &Request) -> Result<Framing, Refusal> {
    let length = request.headers.get("content-length");
    let coding = request.headers.get("transfer-encoding");
    match (length, coding) {
        (None, None) => Ok(Framing::Empty),
        (Some(length), None) => {
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(length).ok().filter(|_| digits);
            let number: Option<u64> = text.and_then(|text| text.parse().ok());
            match number.filter(|number| i64::try_from(*number).is_ok()) {
                Some(0) => Ok(Framing::Empty),
                Some(number) => Ok(Framing::Length(number)),
                None => Err(bad_headers(400, "client sent invalid \"Content-Length\" header")),
            }
        }
        (None, Some(_)) if request.version != Protocol::Http11 => {
            Err(bad_headers(400, "client sent HTTP/1.0 request with \"Transfer-Encoding\" header"))
        }
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(Framing::Chunked(Chunked::new(LineEnds::Lenient)))
        }
        (None, Some(coding)) => {
            let coding = String::from_utf8_lossy(coding);
            let message = format!("client sent unknown \"Transfer-Encoding\": \"{coding}\"");
            Err(bad_headers(501, message))
        }
        (Some(_), Some(_)) => Err(bad_headers(
            400,
            "client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time",
        )),
    }
}

fn duplicate(second: &Header, headers: &Headers) -> Refusal {
    let line = |header: &Header| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("{}: {}", text(&header.name), text(&header.value))
    };
    let first = headers.iter().find(|header| header.name.eq_ignore_ascii_case(&second.name));
    let (first, second) = (first.map(line).unwrap_or_default(), line(second));
    let message =
        format!("client sent duplicate header line: \"{second}\", previous value: \"{first}\"");
    bad_headers(400, message)
}
