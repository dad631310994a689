//! The `proxy_*` directives that no other family has.

use std::{path::PathBuf, sync::Arc};

use http1::Version;

use super::{Pass, RequestHead, variables};
use crate::{
    conf::{ConfError, Span},
    engine::plan::Plan,
    load::{
        Args,
        Arity::{Between, Exactly},
        Block, Directive, List, Module, Setting, Site, directive,
    },
    modules::{
        client_body::ClientBody,
        passing::{Domain, Flags, PLACES, Passing, Pattern, Rule, passing_directives},
        proxy_ssl::ProxySsl,
    },
    regex::Case,
    vars::{Template, Variable},
};

#[derive(Clone, Default)]
pub struct Proxy {
    pub(super) passing: Passing,
    pub(super) pass: Option<To>,
    pub(super) set_header: List<(String, Template)>,
    pub(super) http_version: Setting<Version>,
    pub(super) method: Setting<Template>,
    pub(super) set_body: Setting<Template>,
    pub(super) redirect: List<Redirect>,
    /// Each `None` is an `off`, which stands alone.
    pub(super) cookie_path: List<Option<Rule>>,
    pub(super) cookie_domain: List<Option<Domain>>,
    pub(super) cookie_flags: List<Option<Flags>>,
}

/// `proxy_pass`, as it stands in the file.
#[derive(Clone)]
pub(super) struct To {
    pub(super) url: Template,
    pub(super) text: String,
    pub(super) span: Span,
    pub(super) prefix: PathBuf,
    /// Said by the location this one is a part of: its URI stands for that one's name.
    pub(super) inherited: bool,
}

#[derive(Clone)]
pub(super) enum Redirect {
    Off,
    Default,
    Rule(Rule),
}

const HTTP: &[Block] = PLACES;

impl Module for Proxy {
    const VARIABLES: &'static [Variable] = variables::VARIABLES;

    const DIRECTIVES: &'static [Directive<Self>] = passing_directives![
        "proxy",
        directive(
            "proxy_pass",
            &[Block::Location, Block::If, Block::LimitExcept],
            Exactly(1),
            |proxy, args| {
                if proxy.pass.is_some() {
                    return Err(args.refuse("is duplicate"));
                }
                args.temporary_folder();
                proxy.pass = Some(To {
                    url: args.template(0)?,
                    text: args.word(0).to_owned(),
                    span: args.node.name.span.clone(),
                    prefix: args.loader.prefix.clone(),
                    inherited: false,
                });
                Ok(())
            },
        ),
        directive("proxy_set_header", HTTP, Exactly(2), |proxy, args| {
            let value = args.template(1)?;
            proxy.set_header.push((args.word(0).to_owned(), value));
            Ok(())
        }),
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
        // No table of fields is hashed.
        directive("proxy_headers_hash_max_size", HTTP, Exactly(1), |_, args| {
            args.number::<u64>(0).map(drop)
        }),
        directive("proxy_headers_hash_bucket_size", HTTP, Exactly(1), |_, args| {
            args.number::<u64>(0).map(drop)
        }),
    ];

    fn inherit(&mut self, outer: &Self, into: Block) {
        // A location says for itself where it leads; what is a part of it leads there too.
        if into.is_unnamed() && self.pass.is_none() {
            self.pass = outer.pass.clone().map(|pass| To { inherited: true, ..pass });
        }
        self.passing.inherit(&outer.passing);
        self.set_header.inherit(&outer.set_header);
        self.http_version.inherit(&outer.http_version);
        self.method.inherit(&outer.method);
        self.set_body.inherit(&outer.set_body);
        self.redirect.inherit(&outer.redirect);
        self.cookie_path.inherit(&outer.cookie_path);
        self.cookie_domain.inherit(&outer.cookie_domain);
        self.cookie_flags.inherit(&outer.cookie_flags);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        let Some(to) = &self.pass else { return Ok(()) };
        let target = self.target(to, site)?;
        let mut body = self.passing.body_rules();
        body.passed &= self.set_body.said().is_none();
        let secure = target.may_be_secure().then(|| site.get::<ProxySsl>().asking(&to.span));
        let pass = Pass {
            secure: secure.transpose()?,
            head: RequestHead::new(&self.set_header),
            response: self.response_rules(to, site)?,
            limits: self.passing.limits(&site.get::<ClientBody>()),
            version: self.http_version.or(Version::Http11),
            method: self.method.said().cloned(),
            set_body: self.set_body.said().cloned(),
            with_headers: self.passing.passes_headers(),
            body,
            target,
        };
        plan.handler = Some(Arc::new(pass));
        plan.wants_slash = site.name.prefix().is_some_and(|name| name.ends_with('/'));
        Ok(())
    }
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
