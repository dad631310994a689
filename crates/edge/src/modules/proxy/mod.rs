//! `proxy_pass`: the request goes on to another server, and its answer comes back.

mod request; // what the upstream is told
mod settings; // the directives
mod settle; // what a location makes of them
mod target; // which upstream, which URI
mod variables; // $upstream_*, $proxy_*

use http1::Version;

pub use settings::Proxy;

use super::{
    passing::{BodyLength, BodyRules, Outbound, ResponseRules, UnknownLength, is_idempotent},
    proxy_ssl,
};
use crate::{
    engine::plan::{Answer, Content, Work},
    exchange::Exchange,
    upstream::{Failure, Limits, Protocol, Question, ask},
    vars::Template,
};
use request::{Line, RequestHead};
use target::{Resolved, Scheme, Target};

/// One location's `proxy_pass`, settled.
struct Pass {
    target: Target,
    /// How a target behind TLS is asked, where there may be one.
    secure: Option<proxy_ssl::Asking>,
    head: RequestHead,
    response: ResponseRules,
    limits: Limits,
    version: Version,
    method: Option<Template>,
    set_body: Option<Template>,
    with_headers: bool,
    body: BodyRules,
}

impl Content for Pass {
    fn answer<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Option<Answer>> {
        Work::later(async { Some(self.pass(exchange).await) })
    }
}

impl Pass {
    async fn pass(&self, exchange: &mut Exchange) -> Answer {
        let Resolved { scheme, upstream, proxied, uri } = match self.target.resolve(exchange).await
        {
            Ok(resolved) => resolved,
            Err(status) => return Answer::Status(status),
        };
        let secure = self.secure.as_ref().filter(|_| scheme == Scheme::Https);
        let called = match secure.map(|secure| secure.called(exchange, &proxied.host)) {
            None => None,
            Some(None) => return Answer::Status(502),
            Some(called) => called,
        };
        exchange.story.proxied = Some(proxied);
        let unknown = match self.version {
            Version::Http11 => UnknownLength::Possible,
            Version::Http09 | Version::Http10 => UnknownLength::Impossible,
        };
        let mut body = match self.body.take(exchange, unknown).await {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        let set_body = self.set_body.as_ref().map(|body| body.render(exchange));
        if let Some(set) = &set_body {
            // It goes with the head.
            body = Outbound::nothing(BodyLength::Known(set.len() as u64));
        }
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
        if let Some(body) = set_body.filter(|body| !body.is_empty()) {
            head = [head, body].concat().into();
        }
        let question = Question {
            upstream: &upstream,
            protocol: &Protocol::Http,
            called,
            target: uri,
            head,
            body: body.bytes,
            idempotent: is_idempotent(&method),
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
}
