//! The `proxy_*` directives.

use std::{path::PathBuf, sync::Arc, time::Duration};

use http1::Version;

use super::{
    Pass, RequestHead,
    cookie::{Domain, Flags},
    response::Ignored,
    rewrite::{Pattern, Rule},
    variables,
};
use crate::{
    conf::{ConfError, Span},
    engine::plan::Plan,
    load::{
        Args,
        Arity::{AtLeast, Between, Exactly},
        Block, Directive, List, Module, Setting, Site, directive,
    },
    modules::core::Core,
    regex::Case,
    upstream::NextUpstream,
    vars::{Template, Variable},
};

#[derive(Clone, Default)]
pub struct Proxy {
    pub(super) pass: Option<To>,
    pub(super) set_header: List<(String, Template)>,
    pub(super) hide_header: List<String>,
    pub(super) pass_header: List<String>,
    pub(super) ignore_headers: Setting<Ignored>,
    pub(super) http_version: Setting<Version>,
    pub(super) method: Setting<Template>,
    pub(super) set_body: Setting<Template>,
    pub(super) pass_request_headers: Setting<bool>,
    pub(super) pass_request_body: Setting<bool>,
    pub(super) redirect: List<Redirect>,
    /// Each `None` is an `off`, which stands alone.
    pub(super) cookie_path: List<Option<Rule>>,
    pub(super) cookie_domain: List<Option<Domain>>,
    pub(super) cookie_flags: List<Option<Flags>>,
    pub(super) intercept_errors: Setting<bool>,
    pub(super) ignore_client_abort: Setting<bool>,
    pub(super) connect_timeout: Setting<Duration>,
    pub(super) send_timeout: Setting<Duration>,
    pub(super) read_timeout: Setting<Duration>,
    pub(super) next_upstream: Setting<NextUpstream>,
    pub(super) next_upstream_tries: Setting<usize>,
    pub(super) next_upstream_timeout: Setting<Duration>,
    pub(super) buffering: Setting<bool>,
    pub(super) request_buffering: Setting<bool>,
    pub(super) buffers: Setting<(usize, usize)>,
    pub(super) buffer_size: Setting<usize>,
    pub(super) busy_buffers_size: Setting<u64>,
    pub(super) max_temp_file_size: Setting<u64>,
    pub(super) temp_file_write_size: Setting<u64>,
    pub(super) temp_path: Setting<PathBuf>,
}

/// `proxy_pass`, as it stands in the file.
#[derive(Clone)]
pub(super) struct To {
    pub(super) url: Template,
    pub(super) text: String,
    pub(super) span: Span,
    pub(super) prefix: PathBuf,
}

#[derive(Clone)]
pub(super) enum Redirect {
    Off,
    Default,
    Rule(Rule),
}

const HTTP: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for Proxy {
    const VARIABLES: &'static [Variable] = variables::VARIABLES;

    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive(
            "proxy_pass",
            &[Block::Location, Block::If, Block::LimitExcept],
            Exactly(1),
            |proxy, args| {
                if proxy.pass.is_some() {
                    return Err(args.refuse("is duplicate"));
                }
                proxy.pass = Some(To {
                    url: args.template(0)?,
                    text: args.word(0).to_owned(),
                    span: args.node.name.span.clone(),
                    prefix: args.loader.prefix.clone(),
                });
                Ok(())
            },
        ),
        directive("proxy_set_header", HTTP, Exactly(2), |proxy, args| {
            let value = args.template(1)?;
            proxy.set_header.push((args.word(0).to_owned(), value));
            Ok(())
        }),
        directive("proxy_hide_header", HTTP, Exactly(1), |proxy, args| {
            proxy.hide_header.push(args.word(0).to_ascii_lowercase());
            Ok(())
        }),
        directive("proxy_pass_header", HTTP, Exactly(1), |proxy, args| {
            proxy.pass_header.push(args.word(0).to_ascii_lowercase());
            Ok(())
        }),
        directive("proxy_ignore_headers", HTTP, AtLeast(1), Proxy::set_ignored),
        directive("proxy_http_version", HTTP, Exactly(1), |proxy, args| {
            let version = match args.word(0) {
                "1.0" => Version::Http10,
                "1.1" => Version::Http11,
                "2" => return Err(args.refuse("\"2\": nginx has this; the edge does not yet")),
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            };
            proxy.http_version.set(version, args)
        }),
        directive("proxy_method", HTTP, Exactly(1), |proxy, args| {
            let method = args.template(0)?;
            proxy.method.set(method, args)
        }),
        directive("proxy_set_body", HTTP, Exactly(1), |proxy, args| {
            let body = args.template(0)?;
            proxy.set_body.set(body, args)
        }),
        directive("proxy_pass_request_headers", HTTP, Exactly(1), |proxy, args| {
            proxy.pass_request_headers.set(args.flag()?, args)
        }),
        directive("proxy_pass_request_body", HTTP, Exactly(1), |proxy, args| {
            proxy.pass_request_body.set(args.flag()?, args)
        }),
        directive("proxy_redirect", HTTP, Between(1, 2), Proxy::add_redirect),
        directive("proxy_cookie_path", HTTP, Between(1, 2), |proxy, args| {
            add_cookie_rule(&mut proxy.cookie_path, args, rule)
        }),
        directive("proxy_cookie_domain", HTTP, Between(1, 2), |proxy, args| {
            add_cookie_rule(&mut proxy.cookie_domain, args, Domain::read)
        }),
        directive("proxy_cookie_flags", HTTP, Between(1, 4), |proxy, args| {
            add_cookie_rule(&mut proxy.cookie_flags, args, Flags::read)
        }),
        directive("proxy_intercept_errors", HTTP, Exactly(1), |proxy, args| {
            proxy.intercept_errors.set(args.flag()?, args)
        }),
        directive("proxy_ignore_client_abort", HTTP, Exactly(1), |proxy, args| {
            proxy.ignore_client_abort.set(args.flag()?, args)
        }),
        directive("proxy_connect_timeout", HTTP, Exactly(1), |proxy, args| {
            proxy.connect_timeout.set(args.time(0)?, args)
        }),
        directive("proxy_send_timeout", HTTP, Exactly(1), |proxy, args| {
            proxy.send_timeout.set(args.time(0)?, args)
        }),
        directive("proxy_read_timeout", HTTP, Exactly(1), |proxy, args| {
            proxy.read_timeout.set(args.time(0)?, args)
        }),
        directive("proxy_next_upstream", HTTP, AtLeast(1), Proxy::set_next_upstream),
        directive("proxy_next_upstream_tries", HTTP, Exactly(1), |proxy, args| {
            proxy.next_upstream_tries.set(args.number(0)?, args)
        }),
        directive("proxy_next_upstream_timeout", HTTP, Exactly(1), |proxy, args| {
            proxy.next_upstream_timeout.set(args.time(0)?, args)
        }),
        directive("proxy_buffering", HTTP, Exactly(1), |proxy, args| {
            proxy.buffering.set(args.flag()?, args)
        }),
        directive("proxy_request_buffering", HTTP, Exactly(1), |proxy, args| {
            proxy.request_buffering.set(args.flag()?, args)
        }),
        directive("proxy_buffers", HTTP, Exactly(2), |proxy, args| {
            let (number, size) = (args.number(0)?, args.size(1)? as usize);
            if number < 2 || size == 0 {
                return Err(args.complain("there must be at least 2 \"proxy_buffers\""));
            }
            proxy.buffers.set((number, size), args)
        }),
        directive("proxy_buffer_size", HTTP, Exactly(1), |proxy, args| {
            proxy.buffer_size.set(args.size(0)? as usize, args)
        }),
        // How much may be on its way to the client at once: that is the socket's business here, and
        // the size is read so that a wrong one is named.
        directive("proxy_busy_buffers_size", HTTP, Exactly(1), |proxy, args| {
            proxy.busy_buffers_size.set(args.size(0)?, args)
        }),
        directive("proxy_max_temp_file_size", HTTP, Exactly(1), |proxy, args| {
            proxy.max_temp_file_size.set(args.size(0)?, args)
        }),
        // What is read at once is written at once.
        directive("proxy_temp_file_write_size", HTTP, Exactly(1), |proxy, args| {
            proxy.temp_file_write_size.set(args.size(0)?, args)
        }),
        directive("proxy_temp_path", HTTP, Between(1, 4), |proxy, args| {
            proxy.temp_path.set(args.path(0), args)
        }),
        // No table of fields is hashed.
        directive("proxy_headers_hash_max_size", HTTP, Exactly(1), |_, args| {
            args.number::<u64>(0).map(drop)
        }),
        directive("proxy_headers_hash_bucket_size", HTTP, Exactly(1), |_, args| {
            args.number::<u64>(0).map(drop)
        }),
        directive("proxy_bind", HTTP, AtLeast(1), not_yet),
        directive("proxy_cache", HTTP, AtLeast(1), not_yet),
        directive("proxy_cache_path", HTTP, AtLeast(1), not_yet),
        directive("proxy_cache_valid", HTTP, AtLeast(1), not_yet),
        directive("proxy_cache_key", HTTP, AtLeast(1), not_yet),
        directive("proxy_cache_bypass", HTTP, AtLeast(1), not_yet),
        directive("proxy_no_cache", HTTP, AtLeast(1), not_yet),
        directive("proxy_force_ranges", HTTP, AtLeast(1), not_yet),
        directive("proxy_limit_rate", HTTP, AtLeast(1), not_yet),
        directive("proxy_pass_trailers", HTTP, AtLeast(1), not_yet),
        directive("proxy_socket_keepalive", HTTP, AtLeast(1), not_yet),
        directive("proxy_ssl_verify", HTTP, AtLeast(1), not_yet),
        directive("proxy_ssl_server_name", HTTP, AtLeast(1), not_yet),
        directive("proxy_ssl_name", HTTP, AtLeast(1), not_yet),
        directive("proxy_ssl_trusted_certificate", HTTP, AtLeast(1), not_yet),
        directive("proxy_ssl_protocols", HTTP, AtLeast(1), not_yet),
        directive("proxy_ssl_certificate", HTTP, AtLeast(1), not_yet),
        directive("proxy_ssl_session_reuse", HTTP, AtLeast(1), not_yet),
        directive("proxy_store", HTTP, AtLeast(1), not_yet),
    ];

    fn inherit(&mut self, outer: &Self, into: Block) {
        // A location says for itself where it leads; what is a part of it leads there too.
        if into.is_unnamed() && self.pass.is_none() {
            self.pass.clone_from(&outer.pass);
        }
        self.set_header.inherit(&outer.set_header);
        self.hide_header.inherit(&outer.hide_header);
        self.pass_header.inherit(&outer.pass_header);
        self.ignore_headers.inherit(&outer.ignore_headers);
        self.http_version.inherit(&outer.http_version);
        self.method.inherit(&outer.method);
        self.set_body.inherit(&outer.set_body);
        self.pass_request_headers.inherit(&outer.pass_request_headers);
        self.pass_request_body.inherit(&outer.pass_request_body);
        self.redirect.inherit(&outer.redirect);
        self.cookie_path.inherit(&outer.cookie_path);
        self.cookie_domain.inherit(&outer.cookie_domain);
        self.cookie_flags.inherit(&outer.cookie_flags);
        self.intercept_errors.inherit(&outer.intercept_errors);
        self.ignore_client_abort.inherit(&outer.ignore_client_abort);
        self.connect_timeout.inherit(&outer.connect_timeout);
        self.send_timeout.inherit(&outer.send_timeout);
        self.read_timeout.inherit(&outer.read_timeout);
        self.next_upstream.inherit(&outer.next_upstream);
        self.next_upstream_tries.inherit(&outer.next_upstream_tries);
        self.next_upstream_timeout.inherit(&outer.next_upstream_timeout);
        self.buffering.inherit(&outer.buffering);
        self.request_buffering.inherit(&outer.request_buffering);
        self.buffers.inherit(&outer.buffers);
        self.buffer_size.inherit(&outer.buffer_size);
        self.busy_buffers_size.inherit(&outer.busy_buffers_size);
        self.max_temp_file_size.inherit(&outer.max_temp_file_size);
        self.temp_file_write_size.inherit(&outer.temp_file_write_size);
        self.temp_path.inherit(&outer.temp_path);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        let Some(to) = &self.pass else { return Ok(()) };
        let target = self.target(to, site)?;
        let core = site.get::<Core>();
        let pass = Pass {
            head: RequestHead::new(&self.set_header),
            response: self.response_rules(to, site)?,
            limits: self.limits(&core),
            version: self.http_version.or(Version::Http11),
            method: self.method.said().cloned(),
            set_body: self.set_body.said().cloned(),
            with_headers: self.pass_request_headers.or(true),
            with_body: self.pass_request_body.or(true),
            request_buffering: self.request_buffering.or(true),
            spool: to.prefix.join("client_body_temp"),
            target,
        };
        plan.handler = Some(Arc::new(pass));
        plan.wants_slash = site.name.prefix().is_some_and(|name| name.ends_with('/'));
        Ok(())
    }
}

fn not_yet(_: &mut Proxy, args: &mut Args<'_>) -> Result<(), ConfError> {
    Err(args.refuse("is not to be had: nginx has this; the edge does not yet"))
}

/// `from to`, where `~from` is a pattern, and `~*from` one without case.
fn rule(args: &mut Args<'_>) -> Result<Rule, ConfError> {
    let from = args.word(0).to_owned();
    let from = match (from.strip_prefix("~*"), from.strip_prefix('~')) {
        (Some(pattern), _) => Pattern::Regex(args.regex(pattern, Case::Insensitive)?),
        (None, Some(pattern)) => Pattern::Regex(args.regex(pattern, Case::Sensitive)?),
        (None, None) => Pattern::Text(args.template(0)?),
    };
    Ok(Rule { from, to: args.template(1)? })
}

/// One more rule, or the `off` that stands instead of all.
fn add_cookie_rule<T: Clone>(
    rules: &mut List<Option<T>>,
    args: &mut Args<'_>,
    read: fn(&mut Args<'_>) -> Result<T, ConfError>,
) -> Result<(), ConfError> {
    let rule = match args.len() {
        1 if args.word(0) == "off" => None,
        1 => return Err(args.invalid_parameter(0)),
        _ => Some(read(args)?),
    };
    let off = rules.iter().any(Option::is_none);
    if off || rule.is_none() && !rules.is_empty() {
        return Err(args.refuse("is duplicate"));
    }
    rules.push(rule);
    Ok(())
}

impl Proxy {
    fn set_ignored(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let mut ignored = Ignored::default();
        for place in 0..args.len() {
            match args.word(place) {
                "X-Accel-Redirect" => ignored.redirect = true,
                "X-Accel-Buffering" => ignored.buffering = true,
                "X-Accel-Charset" => ignored.charset = true,
                // About rates and caches, of which there are none here: to ignore them is all there is.
                "X-Accel-Expires" | "X-Accel-Limit-Rate" | "Expires" | "Cache-Control"
                | "Set-Cookie" | "Vary" => (),
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            }
        }
        self.ignore_headers.set(ignored, args)
    }

    fn set_next_upstream(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let mut next = NextUpstream::OFF;
        for place in 0..args.len() {
            let word = args.word(place);
            let known = NextUpstream::parse(word);
            next =
                next.with(known.ok_or_else(|| args.complain(format!("invalid value \"{word}\"")))?);
        }
        if args.words().iter().any(|word| word.text == "off") {
            next = NextUpstream::OFF;
        }
        self.next_upstream.set(next, args)
    }

    fn add_redirect(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let rule = match (args.len(), args.word(0)) {
            (1, "off") => Redirect::Off,
            (1, "default") => Redirect::Default,
            (1, word) => return Err(args.complain(format!("invalid parameter \"{word}\""))),
            _ => Redirect::Rule(rule(args)?),
        };
        let off = self.redirect.iter().any(|known| matches!(known, Redirect::Off));
        if off || matches!(rule, Redirect::Off) && !self.redirect.is_empty() {
            return Err(args.refuse("is duplicate"));
        }
        self.redirect.push(rule);
        Ok(())
    }
}
