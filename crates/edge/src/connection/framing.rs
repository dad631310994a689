//! Where a request's body ends.
//!
//! Two answers to that are none: two lengths, or a length and a coding, are refused, because the
//! next hop might believe the other one (RFC 9112 §11.2).

use http1::{Chunked, LineEnds, Version};

use super::request::{Refusal, bad_headers};
use crate::{body::Framing, exchange::Request, headers::Headers};

/// How long the body is. Two answers to that are none.
pub(super) fn framing(request: &Request) -> Result<Framing, Refusal> {
    let mut lengths = request.headers.all("content-length");
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(duplicate("Content-Length", &request.headers));
    }
    let mut codings = request.headers.all("transfer-encoding");
    let coding = codings.next();
    if codings.next().is_some() {
        return Err(duplicate("Transfer-Encoding", &request.headers));
    }
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
        (None, Some(_)) if request.version != Version::Http11 => {
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

fn duplicate(name: &'static str, headers: &Headers) -> Refusal {
    let mut lines = headers.iter().filter(|header| header.is(name)).map(|header| {
        let (name, value) = (&header.name[..], &header.value[..]);
        format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    });
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let message =
        format!("client sent duplicate header line: \"{second}\", previous value: \"{first}\"");
    bad_headers(400, message)
}
