//! A location that passes requests on as CGI variables: what `fastcgi_pass` and `uwsgi_pass` have in
//! common, which is all but the packet the variables are put into.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;

use super::{
    BodyRules, Params, Passing, ResponseRules, UnknownLength,
    destination::{self, DefaultPort, Known},
    params::{Fields, Param},
};
use crate::{
    conf::{ConfError, Span},
    engine::plan::{Answer, Content, Plan, Work},
    exchange::Exchange,
    load::{Args, Block, Site},
    log::Level,
    modules::client_body::ClientBody,
    upstream::{Failure, Limits, Protocol, Question, Upstream, ask},
    vars::Template,
};

/// `*_pass`, as it stands in the file.
#[derive(Clone)]
pub struct To {
    url: Template,
    span: Span,
    prefix: PathBuf,
    host: Param,
    /// It stands in the block around this one.
    inherited: bool,
}

/// How the variables of a request become what is sent.
pub trait Packet: Send + Sync {
    /// The place that is meant, without the scheme that may stand before it.
    fn place<'a>(&self, url: &'a str) -> Result<&'a str, String>;

    /// Head and variables. `Err`: they do not fit, in words for the log.
    fn pack(&self, params: &Params, exchange: &Exchange) -> Result<Bytes, String>;
}

/// What a family brings along.
pub struct Dialect {
    pub protocol: Protocol,
    /// Fields hidden from the client besides `X-Accel-*`.
    pub hidden: &'static [&'static str],
    /// The folder of temporary files, below the prefix.
    pub folder: &'static str,
    pub packet: Box<dyn Packet>,
}

struct CgiPass {
    target: Target,
    params: Params,
    dialect: Dialect,
    response: ResponseRules,
    limits: Limits,
    body: BodyRules,
}

enum Target {
    Fixed(Arc<Upstream>),
    Variable(Template, Known),
}

impl To {
    pub fn read(args: &mut Args<'_>) -> Result<To, ConfError> {
        args.temporary_folder();
        Ok(To {
            url: args.template(0)?,
            span: args.node.name.span.clone(),
            prefix: args.loader.prefix.clone(),
            host: Param::host(args)?,
            inherited: false,
        })
    }

    /// A location says for itself where it leads; what is a part of it leads there too.
    pub fn inherit(here: &mut Option<To>, outer: &Option<To>, into: Block) {
        if into.is_unnamed() && here.is_none() {
            *here = outer.clone().map(|to| To { inherited: true, ..to });
        }
    }

    pub fn install(
        &self,
        passing: &Passing,
        params: &[Param],
        dialect: Dialect,
        plan: &mut Plan,
        site: &Site<'_>,
    ) -> Result<(), ConfError> {
        if self.inherited && plan.handler.is_some() {
            // The block leads elsewhere itself, by another family.
            return Ok(());
        }
        let target = self.target(&*dialect.packet, site);
        let fields = if passing.passes_headers() { Fields::Passed } else { Fields::Dropped };
        let pass = CgiPass {
            target: target.map_err(|message| self.span.error(message))?,
            params: Params::settle(params, &self.host, fields),
            response: passing.response_rules(dialect.hidden, self.prefix.join(dialect.folder)),
            limits: passing.limits(&site.get::<ClientBody>()),
            body: passing.body_rules(),
            dialect,
        };
        plan.handler = Some(Arc::new(pass));
        plan.wants_slash = site.name.prefix().is_some_and(|name| name.ends_with('/'));
        Ok(())
    }

    fn target(&self, packet: &dyn Packet, site: &Site<'_>) -> Result<Target, String> {
        let Some(text) = self.url.as_literal() else {
            return Ok(Target::Variable(self.url.clone(), Known::all(site)));
        };
        let text = String::from_utf8_lossy(&text);
        let upstream = destination::settle(packet.place(&text)?, DefaultPort::None, site)?;
        Ok(Target::Fixed(upstream))
    }
}

impl Content for CgiPass {
    fn answer<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Option<Answer>> {
        Work::later(async { Some(self.pass(exchange).await) })
    }
}

impl CgiPass {
    async fn pass(&self, exchange: &mut Exchange) -> Answer {
        let upstream = match self.upstream(exchange).await {
            Ok(upstream) => upstream,
            Err(status) => return Answer::Status(status),
        };
        exchange.story.proxied = None;
        let unknown = match self.dialect.protocol {
            Protocol::FastCgi(_) | Protocol::Http => UnknownLength::Possible,
            Protocol::Uwsgi => UnknownLength::Impossible,
        };
        let body = match self.body.take(exchange, unknown).await {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        // After the body: the length of one that came in chunks is known now.
        let head = match self.dialect.packet.pack(&self.params, exchange) {
            Ok(head) => head,
            Err(message) => {
                exchange.log(Level::Alert, &message);
                return Answer::Status(500);
            }
        };
        let question = Question {
            called: None,
            upstream: &upstream,
            protocol: &self.dialect.protocol,
            target: Bytes::new(),
            head,
            body: body.bytes,
            idempotent: super::is_idempotent(&exchange.request.method),
            // FastCGI has no way to hand a connection over.
            upgrade: matches!(self.dialect.protocol, Protocol::Uwsgi)
                && exchange.header("upgrade").is_some(),
            is_head: exchange.is_head(),
        };
        match ask(exchange, &question, &self.limits).await {
            Ok(asked) => self.response.answer(exchange, asked, &self.limits),
            Err(Failure::Status(status)) => Answer::Status(status),
            Err(Failure::Gone) => Answer::Gone,
        }
    }

    async fn upstream(&self, exchange: &Exchange) -> Result<Arc<Upstream>, u16> {
        let (url, known) = match &self.target {
            Target::Fixed(upstream) => return Ok(Arc::clone(upstream)),
            Target::Variable(url, known) => (url, known),
        };
        let text = url.render(exchange);
        let text = String::from_utf8_lossy(&text);
        match self.dialect.packet.place(&text) {
            Ok(place) => known.find(exchange, place, DefaultPort::None).await,
            Err(message) => {
                exchange.log(Level::Error, &message);
                Err(500)
            }
        }
    }
}
