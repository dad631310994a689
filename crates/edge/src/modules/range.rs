//! Ranges of a body: `Range`, `If-Range`, and answers in one part or several (RFC 9110 §14).
//!
//! Last of the filters: a body that nobody changed is still a file here, and a range of it is still
//! a file, which goes by sendfile.

use std::{ops::Range as Span, sync::Arc};

use bytes::Bytes;

use super::not_modified::parse_date;
use crate::{
    body::stretch::stretch,
    conf::ConfError,
    engine::{
        builtin_page,
        plan::{Filter, Plan},
    },
    exchange::{Exchange, Protocol},
    load::{Arity::Exactly, Block, Directive, Module, Setting, Site, directive},
    response::{Body, FilePart, Part, Response},
};

#[derive(Clone, Default)]
pub struct Range {
    max_ranges: Setting<usize>,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for Range {
    const DIRECTIVES: &'static [Directive<Self>] =
        &[directive("max_ranges", BLOCKS, Exactly(1), |range, args| {
            range.max_ranges.set(args.number(0)?, args)
        })];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.max_ranges.inherit(&outer.max_ranges);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        plan.filters.push(self);
        Ok(())
    }
}

impl Filter for Range {
    fn apply(&self, exchange: &mut Exchange, mut response: Response) -> Response {
        let whole = response.body.length().filter(|_| response.ranges && response.status == 200);
        let (Some(length), true) = (whole, exchange.request.version >= Protocol::Http10) else {
            return response;
        };
        let most = self.max_ranges.or(usize::MAX);
        if most == 0 {
            return response;
        }
        let list = exchange.header("range").and_then(|field| after_unit(field));
        let wanted = match list {
            Some(list) if is_still_the_same(exchange, &response) => parse(list, length, most),
            _ => Wanted::Everything,
        };
        match wanted {
            Wanted::Everything => {
                let bytes = Bytes::from_static(b"bytes");
                response.headers.push(Bytes::from_static(b"Accept-Ranges"), bytes);
                response
            }
            Wanted::Nothing => not_satisfiable(exchange, response, length),
            Wanted::Ranges(ranges) => {
                if ranges.len() > 1 && matches!(response.body, Body::Stream(_)) {
                    // It comes once, from its beginning.
                    return response;
                }
                exchange.sent.status = 206;
                response.status = 206;
                response.reason = None;
                match &ranges[..] {
                    [range] => one(&mut response, range, length),
                    _ => several(&mut response, &ranges, length),
                }
                response
            }
        }
    }
}

fn after_unit(field: &[u8]) -> Option<&[u8]> {
    let (unit, list) = field.split_at_checked(6)?;
    (unit.eq_ignore_ascii_case(b"bytes=") && !list.is_empty()).then_some(list)
}

/// `If-Range`: parts of another version would be glued to what the client has.
fn is_still_the_same(exchange: &Exchange, response: &Response) -> bool {
    let Some(condition) = exchange.header("if-range") else { return true };
    if condition.len() >= 2 && condition.ends_with(b"\"") {
        return response.headers.get("etag") == Some(condition);
    }
    response.last_modified.is_some() && parse_date(condition) == response.last_modified
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Everything,
    Nothing,
    Ranges(Vec<Span<u64>>),
}

/// The ranges of a list, as far as a body of `length` has them. More than `most`, or together more
/// than the body itself, is answered with everything: such a request is there to cost.
fn parse(list: &[u8], length: u64, most: usize) -> Wanted {
    let mut ranges = Vec::new();
    let mut total: u64 = 0;
    for spec in list.split(|byte| *byte == b',') {
        let Some(range) = one_of_list(spec, length) else { return Wanted::Nothing };
        if range.start < range.end {
            let Some(sum) = total.checked_add(range.end - range.start) else {
                return Wanted::Nothing;
            };
            total = sum;
            if ranges.len() == most {
                return Wanted::Everything;
            }
            ranges.push(range);
        } else if range.start == 0 {
            return Wanted::Everything;
        }
    }
    if ranges.is_empty() {
        Wanted::Nothing
    } else if total > length {
        Wanted::Everything
    } else {
        Wanted::Ranges(ranges)
    }
}

/// `a-b`, `a-` or `-n`, with spaces; empty where the body does not reach. `None`: no such thing.
fn one_of_list(spec: &[u8], length: u64) -> Option<Span<u64>> {
    let dash = spec.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (trim(&spec[..dash]), trim(&spec[dash + 1..]));
    match (first.is_empty(), last.is_empty()) {
        (true, true) => None,
        (true, false) => {
            let suffix = number(last)?;
            Some(length.saturating_sub(suffix)..length)
        }
        (false, true) => Some(number(first)?..length),
        (false, false) => {
            let (start, end) = (number(first)?, number(last)?);
            Some(start..end.saturating_add(1).min(length))
        }
    }
}

fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| *byte != b' ').unwrap_or(text.len());
    let end = text.iter().rposition(|byte| *byte != b' ').map_or(start, |last| last + 1);
    &text[start..end]
}

fn number(digits: &[u8]) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| all_digits)?;
    text.parse().ok().filter(|number| i64::try_from(*number).is_ok())
}

fn one(response: &mut Response, range: &Span<u64>, length: u64) {
    response.headers.push(Bytes::from_static(b"Content-Range"), content_range(range, length));
    let body = std::mem::replace(&mut response.body, Body::Empty);
    response.body = match body {
        Body::Bytes(bytes) => Body::Bytes(slice(&bytes, range)),
        Body::Parts(parts) => Body::Parts(cut(&parts, range)),
        Body::Stream(stream) => Body::Stream(stretch(stream, range.start, range.end - range.start)),
        // Nothing else has both a length and ranges.
        other => other,
    };
}

/// `multipart/byteranges`: every range with a head of its own, between boundaries.
fn several(response: &mut Response, ranges: &[Span<u64>], length: u64) {
    let boundary = format!("{:020}", fastrand::u64(..));
    let mut kind = Vec::new();
    if let Some(inner) = &response.content_type {
        kind.extend_from_slice(b"Content-Type: ");
        kind.extend_from_slice(inner);
        if let Some(charset) = response.charset.take() {
            kind.extend_from_slice(b"; charset=");
            kind.extend_from_slice(&charset);
        }
        kind.extend_from_slice(b"\r\n");
    }
    let kind = String::from_utf8_lossy(&kind).into_owned();
    let mut parts = Vec::with_capacity(ranges.len() * 2 + 1);
    for range in ranges {
        let Span { start, end } = range;
        let last = end - 1;
        let head = format!(
            "\r\n--{boundary}\r\n{kind}Content-Range: bytes {start}-{last}/{length}\r\n\r\n"
        );
        parts.push(Part::Bytes(head.into()));
        match &response.body {
            Body::Bytes(bytes) => parts.push(Part::Bytes(slice(bytes, range))),
            Body::Parts(whole) => parts.extend(cut(whole, range)),
            _ => (),
        }
    }
    parts.push(Part::Bytes(format!("\r\n--{boundary}--\r\n").into()));
    response.content_type = Some(format!("multipart/byteranges; boundary={boundary}").into());
    response.body = Body::Parts(parts);
}

fn content_range(range: &Span<u64>, length: u64) -> Bytes {
    format!("bytes {}-{}/{length}", range.start, range.end - 1).into()
}

fn slice(bytes: &Bytes, range: &Span<u64>) -> Bytes {
    bytes.slice(range.start as usize..range.end as usize)
}

/// The stretch of these parts that lies in `range`.
fn cut(parts: &[Part], range: &Span<u64>) -> Vec<Part> {
    let mut cut = Vec::new();
    let mut at = 0;
    for part in parts {
        let (start, end) = (at, at + part.length());
        at = end;
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from >= to {
            continue;
        }
        cut.push(match part {
            Part::Bytes(bytes) => Part::Bytes(slice(bytes, &(from - start..to - start))),
            Part::File(file) => Part::File(FilePart {
                file: std::rc::Rc::clone(&file.file),
                offset: file.offset + (from - start),
                length: to - from,
            }),
        });
    }
    cut
}

/// What `add_header` and `expires` have said stays; what told of the file goes.
fn not_satisfiable(exchange: &mut Exchange, mut whole: Response, length: u64) -> Response {
    exchange.sent.status = 416;
    whole.headers.remove("ETag");
    let mut response = Response::new(416);
    response.content_type = Some(Bytes::from_static(b"text/html"));
    response.headers = whole.headers;
    response.headers.push("Content-Range", format!("bytes */{length}"));
    response.body = Body::Bytes(builtin_page(416, exchange.location.core.server_token()));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, expected: &[Span<u64>]) {
        assert_eq!(parse(list.as_bytes(), 100, 10), Wanted::Ranges(expected.to_vec()), "{list}");
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "lists of one range are what is meant")]
    fn lists() {
        check("0-0", &[0..1]);
        check("0-49", &[0..50]);
        check("50-", &[50..100]);
        check("-1", &[99..100]);
        check("-100", &[0..100]);
        check("-1000", &[0..100]);
        check("90-1000", &[90..100]);
        check(" 1 - 2 , 4-5", &[1..3, 4..6]);
        check("0-1,200-300", &[0..2]);
        check("99-99,0-0", &[99..100, 0..1]);
    }

    #[test]
    fn what_is_not_there_and_what_is_no_range() {
        for list in [
            "100-",
            "100-200",
            "-0",
            "a-b",
            "1",
            "-",
            "0-a",
            "0-1x",
            "1-2,",
            "0-99999999999999999999",
        ] {
            assert_eq!(parse(list.as_bytes(), 100, 10), Wanted::Nothing, "{list}");
        }
    }

    #[test]
    fn too_much_is_everything() {
        assert_eq!(parse(b"0-1,2-3", 100, 1), Wanted::Everything);
        assert_eq!(parse(b"0-99,0-99", 100, 10), Wanted::Everything);
        assert_eq!(parse(b"0-", 0, 10), Wanted::Everything);
    }

    #[test]
    fn a_cut_goes_through_parts() {
        let parts: Vec<Part> =
            ["abc", "def", "ghi"].map(|text| Part::Bytes(text.into())).into_iter().collect();
        let text: Vec<u8> = cut(&parts, &(2..7))
            .iter()
            .flat_map(|part| match part {
                Part::Bytes(bytes) => bytes.to_vec(),
                Part::File(_) => Vec::new(),
            })
            .collect();
        assert_eq!(text, b"cdefg");
    }
}
