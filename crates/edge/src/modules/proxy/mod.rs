//! `proxy_pass`: the request goes on to another server, and its answer comes back.

mod cookie; // Set-Cookie as seen from outside
mod request; // what the upstream is told
mod response; // what the client is told
mod rewrite; // places as seen from outside
mod settings; // the directives
mod settle; // what a location makes of them
mod target; // which upstream, which URI
mod variables; // $upstream_*, $proxy_*

use bytes::Bytes;
use http1::Version;

pub use settings::Proxy;

use crate::{
    body::{BodyError, SpoolRules},
    engine::plan::{Answer, Content, Work},
    exchange::Exchange,
    log::Level,
    upstream::{Failure, Limits, Question, RequestBytes, ask},
    vars::Template,
};
use request::{BodyLength, Line, RequestHead};
use response::ResponseRules;
use target::{Resolved, Target};

/// One location's `proxy_pass`, settled.
struct Pass {
    target: Target,
    head: RequestHead,
    response: ResponseRules,
    limits: Limits,
    version: Version,
    method: Option<Template>,
    set_body: Option<Template>,
    with_headers: bool,
    with_body: bool,
    request_buffering: bool,
    spool: std::path::PathBuf,
}

impl Content for Pass {
    fn answer<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Option<Answer>> {
        Work::later(async { Some(self.pass(exchange).await) })
    }
}

/// A request's body on its way on.
struct Outbound {
    bytes: RequestBytes,
    length: BodyLength,
    /// `proxy_set_body`: it goes with the head.
    set: Bytes,
}

impl Pass {
    async fn pass(&self, exchange: &mut Exchange) -> Answer {
        let Resolved { upstream, proxied, uri } = match self.target.resolve(exchange) {
            Ok(resolved) => resolved,
            Err(status) => return Answer::Status(status),
        };
        exchange.story.proxied = Some(proxied);
        let body = match self.body(exchange).await {
            Ok(body) => body,
            Err(error) => {
                let level = match error {
                    BodyError::Spool(_) => Level::Crit,
                    BodyError::TooLarge => Level::Error,
                    _ => Level::Info,
                };
                exchange.log(level, &error.to_string());
                exchange.request.keep_alive = false;
                return Answer::Status(error.status());
            }
        };
        let method = match &self.method {
            None => exchange.request.method.clone(),
            Some(method) => method.render(exchange),
        };
        let line = Line {
            method: &method,
            target: &uri,
            version: self.version,
            body: body.length,
            pass_headers: self.with_headers,
        };
        let mut head = self.head.write(exchange, &line);
        if !body.set.is_empty() {
            head = [head, body.set].concat().into();
        }
        let question = Question {
            upstream: &upstream,
            target: uri,
            head,
            body: body.bytes,
            idempotent: !matches!(&method[..], b"POST" | b"LOCK" | b"PATCH"),
            upgrade: exchange.header("upgrade").is_some(),
            is_head: &method[..] == b"HEAD",
        };
        match ask(exchange, &question, &self.limits).await {
            Ok(mut asked) => {
                asked.head.keep &= self.version == Version::Http11;
                self.response.answer(exchange, asked, &self.limits)
            }
            Err(Failure::Status(status)) => Answer::Status(status),
            Err(Failure::Gone) => Answer::Gone,
        }
    }

    async fn body(&self, exchange: &mut Exchange) -> Result<Outbound, BodyError> {
        let nothing =
            |length| Outbound { bytes: RequestBytes::Whole(None), length, set: Bytes::new() };
        if let Some(body) = &self.set_body {
            let set = body.render(exchange);
            let length = BodyLength::Known(set.len() as u64);
            return Ok(Outbound { bytes: RequestBytes::Whole(None), length, set });
        }
        if !self.with_body {
            return Ok(nothing(BodyLength::None));
        }
        let declared = exchange.body.declared_length();
        if declared == Some(0) {
            // `Content-Length: 0` is a statement; no length is none.
            let said = exchange.request.headers.contains("content-length");
            return Ok(nothing(if said { BodyLength::Known(0) } else { BodyLength::None }));
        }
        // An upstream of HTTP/1.0 must be told the length, so that the whole body has to come first.
        let can_stream = declared.is_some() || self.version == Version::Http11;
        if !self.request_buffering && can_stream && !exchange.body.is_spooled() {
            let chunked = declared.is_none();
            let length = declared.map_or(BodyLength::Chunked, BodyLength::Known);
            let bytes = RequestBytes::Streamed { chunked };
            return Ok(Outbound { bytes, length, set: Bytes::new() });
        }
        let core = std::sync::Arc::clone(&exchange.location.core);
        let rules = SpoolRules {
            memory: core.client_body_buffer_size(),
            folder: core.client_body_temp_path().unwrap_or(&self.spool).to_owned(),
            timeout: core.client_body_timeout(),
        };
        let spool = Box::pin(exchange.body.spool(&rules)).await?;
        let length = BodyLength::Known(spool.len());
        Ok(Outbound { bytes: RequestBytes::Whole(Some(spool)), length, set: Bytes::new() })
    }
}
