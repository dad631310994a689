//! Conditional requests: 304 for what the client has already, 412 for what is no longer what the
//! client takes it for (RFC 9110 §13). `if_modified_since` says how dates are compared.

use std::{sync::Arc, time::UNIX_EPOCH};

use bytes::Bytes;

use crate::{
    conf::ConfError,
    engine::{
        builtin_page,
        plan::{Filter, Plan},
    },
    exchange::Exchange,
    load::{Arity::Exactly, Block, Directive, Module, Setting, Site, directive},
    response::{Body, Response},
};

#[derive(Clone, Default)]
pub struct NotModified {
    dates: Setting<Dates>,
}

/// When `If-Modified-Since` says that nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dates {
    /// Only if it is the very date that was sent: a file put back from a backup is older, and new.
    Exact,
    Before,
    Off,
}

/// Whether `W/"a"` is as good as `"a"`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    Weak,
    Strong,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for NotModified {
    const DIRECTIVES: &'static [Directive<Self>] =
        &[directive("if_modified_since", BLOCKS, Exactly(1), |conditions, args| {
            let dates = match args.word(0) {
                "off" => Dates::Off,
                "exact" => Dates::Exact,
                "before" => Dates::Before,
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            };
            conditions.dates.set(dates, args)
        })];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.dates.inherit(&outer.dates);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        plan.filters.push(self);
        Ok(())
    }
}

impl Filter for NotModified {
    fn apply(&self, exchange: &mut Exchange, mut response: Response) -> Response {
        if response.status != 200 {
            return response;
        }
        let mut changed = None;
        for header in &exchange.request.headers {
            let verdict = match header.name.len() {
                // The lengths of the four names: most fields are passed over without a comparison.
                19 if header.is("If-Unmodified-Since") => {
                    if was_changed_since(&response, &header.value) {
                        return precondition_failed(exchange, &response);
                    }
                    continue;
                }
                8 if header.is("If-Match") => {
                    if !names_etag(&response, &header.value, Compare::Strong) {
                        return precondition_failed(exchange, &response);
                    }
                    continue;
                }
                17 if header.is("If-Modified-Since") => self.is_modified(&response, &header.value),
                13 if header.is("If-None-Match") => {
                    !names_etag(&response, &header.value, Compare::Weak)
                }
                _ => continue,
            };
            changed = Some(changed.unwrap_or(false) || verdict);
        }
        if changed == Some(false) {
            response.status = 304;
            response.content_type = None;
            response.headers.remove("Content-Encoding");
            response.body = Body::Empty;
            response.ranges = false;
        }
        response
    }
}

impl NotModified {
    fn is_modified(&self, response: &Response, since: &[u8]) -> bool {
        let Some(modified) = response.last_modified else { return true };
        let dates = self.dates.or(Dates::Exact);
        match parse_date(since) {
            _ if dates == Dates::Off => true,
            Some(since) if since == modified => false,
            Some(since) => dates == Dates::Exact || since < modified,
            None => true,
        }
    }
}

fn was_changed_since(response: &Response, since: &[u8]) -> bool {
    let since = parse_date(since);
    response.last_modified.is_none_or(|modified| since.is_none_or(|since| since < modified))
}

/// Seconds since 1970.
pub(super) fn parse_date(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// Whether the list names the response's entity tag.
fn names_etag(response: &Response, list: &[u8], compare: Compare) -> bool {
    if list == b"*" {
        return true;
    }
    let Some(etag) = response.headers.get("etag") else { return false };
    let etag = strip_weak(etag, compare);
    let mut rest = list;
    // Not split at commas alone: a tag may hold one.
    loop {
        rest = strip_weak(rest, compare);
        if let Some(after) = rest.strip_prefix(etag) {
            let after = after.trim_ascii_start();
            if after.is_empty() || after.starts_with(b",") {
                return true;
            }
        }
        let Some(comma) = rest.iter().position(|byte| *byte == b',') else { return false };
        let next = &rest[comma..];
        let start = next.iter().position(|byte| !matches!(byte, b',' | b' '));
        rest = &next[start.unwrap_or(next.len())..];
    }
}

fn strip_weak(etag: &[u8], compare: Compare) -> &[u8] {
    match compare {
        Compare::Weak => etag.strip_prefix(b"W/").unwrap_or(etag),
        Compare::Strong => etag,
    }
}

fn precondition_failed(exchange: &mut Exchange, response: &Response) -> Response {
    let mut failed = Response::new(412);
    failed.reason.clone_from(&response.reason);
    failed.content_type = Some(Bytes::from_static(b"text/html"));
    let server = exchange.location.core.server_token();
    failed.body = Body::Bytes(builtin_page(412, server));
    exchange.sent.status = 412;
    failed
}

#[cfg(test)]
mod tests {
    use super::{
        Compare::{Strong, Weak},
        *,
    };

    #[test]
    fn lists_of_etags() {
        let check = |etag: &'static str, list: &str, compare, expected| {
            let mut response = Response::new(200);
            response.headers.push("ETag", etag);
            assert_eq!(names_etag(&response, list.as_bytes(), compare), expected, "{etag} {list}");
        };
        check("\"a\"", "*", Strong, true);
        check("\"a\"", "\"a\"", Strong, true);
        check("\"a\"", "\"b\" , \"a\"", Strong, true);
        check("\"a\"", "\"b\",,  \"a\" ,", Strong, true);
        check("\"a\"", "\"ab\"", Strong, false);
        check("\"a\"", "\"a\"b", Strong, false);
        check("\"a\"", "W/\"a\"", Strong, false);
        check("\"a\"", "W/\"a\"", Weak, true);
        check("W/\"a\"", "\"a\"", Weak, true);
        check("W/\"a\"", "\"b\", W/\"a\"", Weak, true);
        check("\"a\"", "", Weak, false);
        check("\"a\"", ",", Weak, false);
    }

    #[test]
    fn dates() {
        let response = |second| Response { last_modified: second, ..Response::new(200) };
        let check = |dates, since: &str, modified, expected| {
            let mut conditions = NotModified::default();
            conditions.dates.replace(dates);
            let is_modified = conditions.is_modified(&response(modified), since.as_bytes());
            assert_eq!(is_modified, expected, "{since}");
        };
        let date = "Thu, 01 Jan 1970 00:01:40 GMT";
        check(Dates::Exact, date, Some(100), false);
        check(Dates::Exact, date, Some(99), true);
        check(Dates::Before, date, Some(99), false);
        check(Dates::Before, date, Some(101), true);
        check(Dates::Off, date, Some(100), true);
        check(Dates::Before, date, None, true);
        check(Dates::Before, "nonsense", Some(100), true);
    }
}
