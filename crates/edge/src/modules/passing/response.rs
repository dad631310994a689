//! The upstream's answer as the client gets it: its fields without those meant for this hop, and
//! its body as it comes; or, where the answer asks for it (`X-Accel-Redirect`), another answer.

use std::sync::Arc;

use bytes::Bytes;

use super::{cookie::CookieRewrites, rewrite::Rewrites};
use crate::{
    engine::plan::Answer,
    exchange::{Carried, Exchange, Protocol},
    headers::{Headers, NameSet},
    response::{Body, Response, Stream},
    upstream::{Asked, Buffering, Field, Fields, Framing, Limits, Relay, UpgradeTunnel, whole},
    uri,
};

/// What one location does with answers.
pub struct ResponseRules {
    pub(super) hidden: NameSet,
    pub(super) ignored: Ignored,
    pub(super) intercept_errors: bool,
    pub location: Rewrites,
    pub cookies: CookieRewrites,
    pub(super) force_ranges: bool,
    pub(super) buffering: Arc<Buffering>,
}

/// `*_ignore_headers`: which fields mean nothing here.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four fields, each ignored or not")]
pub(super) struct Ignored {
    pub(super) redirect: bool,
    pub(super) buffering: bool,
    pub(super) charset: bool,
    pub(super) limit_rate: bool,
}

/// What goes with an `X-Accel-Redirect` to the answer it leads to.
const CARRIED: [&str; 5] =
    ["set-cookie", "content-disposition", "cache-control", "expires", "accept-ranges"];

/// Of these the first is passed on, and no other.
const SINGLE: [&str; 3] = ["expires", "etag", "last-modified"];

impl ResponseRules {
    pub fn answer(&self, exchange: &mut Exchange, asked: Asked, limits: &Limits) -> Answer {
        let fields = &asked.head.fields;
        let status = asked.head.status;
        if let Some(rate) = fields.get("x-accel-limit-rate").filter(|_| !self.ignored.limit_rate) {
            let rate =
                std::str::from_utf8(rate.value()).ok().and_then(|digits| digits.parse().ok());
            exchange.limit_rate = rate.or(exchange.limit_rate);
        }
        if let Some(uri) = fields.get("x-accel-redirect")
            && !self.ignored.redirect
        {
            let uri = uri.keep();
            return self.redirect(exchange, asked, &uri, limits);
        }
        if self.intercept_errors
            && status >= 300
            && exchange.location.error_pages.find(status).is_some()
        {
            if status == 401 {
                let questions = fields.iter().filter(|field| field.is("www-authenticate"));
                let kept = questions.map(Field::to_header).collect();
                exchange.carried = Some(Carried { content_type: None, headers: kept });
            }
            exchange.sent.status = status;
            // The page takes the body's place; what there is of it is read, if it is here.
            let _unread = self.body(exchange, asked, limits, None);
            return Answer::Status(status);
        }
        Answer::response(self.response(exchange, asked, limits))
    }

    fn redirect(
        &self,
        exchange: &mut Exchange,
        asked: Asked,
        uri: &Bytes,
        limits: &Limits,
    ) -> Answer {
        let fields = &asked.head.fields;
        let carried = fields.iter().filter(|field| CARRIED.iter().any(|name| field.is(name)));
        let headers = carried.map(Field::to_header).collect();
        let content_type = fields.get("content-type").map(Field::keep);
        exchange.carried = Some(Carried { content_type, headers });
        let _unread = self.body(exchange, asked, limits, None);
        if uri.first() == Some(&b'@') {
            return Answer::Named(String::from_utf8_lossy(uri).into_owned());
        }
        match uri::named(uri) {
            Ok(uri) => {
                exchange.answer_as_get();
                Answer::Redirect { uri: uri.path, args: Some(uri.args.unwrap_or_default()) }
            }
            Err(_) => {
                let text = String::from_utf8_lossy(uri);
                let message = format!("unsafe URI \"{text}\" was detected");
                exchange.log(crate::log::Level::Error, &message);
                Answer::Status(404)
            }
        }
    }

    fn response(&self, exchange: &mut Exchange, mut asked: Asked, limits: &Limits) -> Response {
        let mut response = Response::new(asked.head.status);
        response.from_upstream = true;
        if asked.head.is_http09 {
            // The client gets what the upstream has said, and nothing before it.
            if exchange.request.version != Protocol::Http2 {
                exchange.request.version = Protocol::Http09;
            }
        } else {
            response.reason.clone_from(&asked.head.reason);
        }
        let fields = std::mem::take(&mut asked.head.fields);
        let charset = fields.get("x-accel-charset").filter(|_| !self.ignored.charset);
        response.charset = charset.map(Field::keep);
        let buffering = self.buffering(&fields);
        if !buffering.as_ref().unwrap_or(&self.buffering).enabled {
            // What is passed on as it comes has the upstream's own pace.
            exchange.limit_rate = Some(0);
        }
        response.headers = Headers::with_capacity(fields.len() + 2);
        for field in fields.iter() {
            self.pass(exchange, &mut response, field);
        }
        let head_length = asked.head.content_length;
        let no_body = exchange.is_head() || response.status == 304;
        response.body = self.body(exchange, asked, limits, buffering);
        response.ranges = self.force_ranges;
        if response.status == 101 && !matches!(response.body, Body::Tunnel(_)) {
            // Nobody can say what follows it.
            exchange.request.keep_alive = false;
        }
        if no_body {
            response.body = Body::Absent(head_length);
        }
        response
    }

    /// One field, to where it belongs.
    fn pass(&self, exchange: &mut Exchange, response: &mut Response, field: Field<'_>) {
        let is_hidden = || self.hidden.contains(field.name);
        let rewritten = match field.name.len() {
            10 if field.is("connection") || field.is("keep-alive") => return,
            12 if field.is("content-type") && !is_hidden() => {
                if response.content_type.is_none() && !field.value().is_empty() {
                    response.content_type = Some(field.keep());
                }
                return;
            }
            14 if field.is("content-length") => return,
            17 if field.is("transfer-encoding") => return,
            8 if field.is("location") && !is_hidden() => {
                // Only what was rewritten is made absolute: the rest is the upstream's own word.
                if let Some(rewritten) = self.location.prefix(exchange, &field.keep()) {
                    response.location = Some(rewritten);
                    return;
                }
                None
            }
            7 if field.is("refresh") && !is_hidden() => {
                rewrite_refresh(&self.location, exchange, &field.keep())
            }
            10 if field.is("set-cookie") && !is_hidden() => {
                self.cookies.rewrite(exchange, &field.keep())
            }
            _ => None,
        };
        let repeated =
            || SINGLE.iter().any(|single| field.is(single) && response.headers.contains(single));
        if is_hidden() || repeated() {
            return;
        }
        let header = field.to_header();
        response.headers.push(header.name, rewritten.unwrap_or(header.value));
    }

    /// `X-Accel-Buffering`: another buffering than the location's, for this answer.
    fn buffering(&self, fields: &Fields) -> Option<Buffering> {
        let word = fields.get("x-accel-buffering").filter(|_| !self.ignored.buffering)?;
        let enabled = match &word.value().to_ascii_lowercase()[..] {
            b"no" => false,
            b"yes" => true,
            _ => return None,
        };
        Some(Buffering { enabled, ..(*self.buffering).clone() })
    }

    fn body(
        &self,
        exchange: &Exchange,
        asked: Asked,
        limits: &Limits,
        buffering: Option<Buffering>,
    ) -> Body {
        let head = &asked.head;
        if head.status == 101 && matches!(head.framing, Framing::UntilClose) {
            let Asked { connection, ticket, .. } = asked;
            let timeout = limits.read;
            return Body::Tunnel(Box::new(UpgradeTunnel { connection, ticket, timeout }));
        }
        let Some(attempt) = exchange.story.upstream() else { return Body::Empty };
        let length = match head.framing {
            Framing::Length(length) => Some(length),
            Framing::FastCgi(_) => head.content_length,
            Framing::Chunked(_) | Framing::UntilClose => None,
        };
        let buffering = buffering.map_or_else(|| Arc::clone(&self.buffering), Arc::new);
        let pace = if buffering.enabled { limits.pace(exchange) } else { None };
        let asked =
            if pace.is_none() { whole(exchange, asked, attempt) } else { Err(Box::new(asked)) };
        match asked {
            Ok(body) if body.is_empty() => Body::Empty,
            Ok(body) => Body::Bytes(body),
            Err(asked) => {
                let relay = Relay::new(exchange, *asked, limits, buffering, pace, attempt);
                Body::Stream(Stream { length, source: Box::new(relay) })
            }
        }
    }
}

/// `Refresh: 5; url=http://...`
fn rewrite_refresh(rules: &Rewrites, exchange: &mut Exchange, value: &Bytes) -> Option<Bytes> {
    let lower = value.to_ascii_lowercase();
    let at = lower.windows(4).position(|four| four == b"url=")? + 4;
    let rewritten = rules.prefix(exchange, &value.slice(at..))?;
    Some([&value[..at], &rewritten].concat().into())
}
