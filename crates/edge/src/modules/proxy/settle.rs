//! The directives of one location to what its requests need, with nginx's defaults.

use std::{sync::Arc, time::Duration};

use super::{
    ResponseRules, Target,
    cookie::CookieRewrites,
    response::{HIDDEN, Ignored},
    rewrite::{Pattern, Rewrites, Rule},
    settings::{Proxy, Redirect, To},
};
use crate::{
    conf::ConfError,
    load::Site,
    modules::core::Core,
    upstream::{Buffering, Limits, NextUpstream},
    vars::Template,
};

impl Proxy {
    pub(super) fn target(&self, to: &To, site: &Site<'_>) -> Result<Target, ConfError> {
        Target::settle(&to.url, site).map_err(|message| to.span.error(message))
    }

    pub(super) fn limits(&self, core: &Core) -> Limits {
        Limits {
            connect: self.connect_timeout.or(MINUTE),
            send: self.send_timeout.or(MINUTE),
            read: self.read_timeout.or(MINUTE),
            client_body: core.client_body_timeout(),
            head_size: self.buffer_size.or(4 << 10),
            next: self.next_upstream.or(NextUpstream::ERROR.with(NextUpstream::TIMEOUT)),
            tries: self.next_upstream_tries.or(0),
            next_timeout: self.next_upstream_timeout.or(Duration::ZERO),
            ignore_client_abort: self.ignore_client_abort.or(false),
            owner: std::ptr::from_ref(self).addr(),
        }
    }

    pub(super) fn response_rules(
        &self,
        to: &To,
        site: &Site<'_>,
    ) -> Result<ResponseRules, ConfError> {
        let mut hidden: Vec<String> = HIDDEN.iter().map(|name| (*name).to_owned()).collect();
        hidden.extend(self.hide_header.iter().cloned());
        hidden.retain(|name| !self.pass_header.contains(name));
        let (number, size) = self.buffers.or((8, 4 << 10));
        let buffering = Buffering {
            enabled: self.buffering.or(true),
            memory: number * size,
            file: self.max_temp_file_size.or(1 << 30),
            folder: self.temp_path.or(to.prefix.join("proxy_temp")),
        };
        Ok(ResponseRules {
            hidden,
            ignored: self.ignore_headers.or(Ignored::default()),
            intercept_errors: self.intercept_errors.or(false),
            location: self.redirects(to, site)?,
            cookies: CookieRewrites {
                domains: self.cookie_domain.iter().flatten().cloned().collect(),
                paths: Rewrites(self.cookie_path.iter().flatten().cloned().collect()),
                flags: self.cookie_flags.iter().flatten().cloned().collect(),
            },
            buffering: Arc::new(buffering),
        })
    }

    fn redirects(&self, to: &To, site: &Site<'_>) -> Result<Rewrites, ConfError> {
        let mut rules = Vec::new();
        let unsaid = self.redirect.is_empty();
        let said = self.redirect.iter().cloned();
        for redirect in said.chain(unsaid.then_some(Redirect::Default)) {
            match redirect {
                Redirect::Off => return Ok(Rewrites::default()),
                Redirect::Rule(rule) => rules.push(rule),
                Redirect::Default => match self.default_redirect(to, site) {
                    Some(rule) => rules.push(rule),
                    None if unsaid => (),
                    None => {
                        let message = "\"proxy_redirect default\" cannot be used with \
                                       \"proxy_pass\" directive with variables";
                        return Err(to.span.error(message));
                    }
                },
            }
        }
        Ok(Rewrites(rules))
    }

    /// What `proxy_pass` replaces, the other way round; with variables, nothing is known.
    fn default_redirect(&self, to: &To, site: &Site<'_>) -> Option<Rule> {
        to.url.as_literal()?;
        let rest = to.text.get(7..)?;
        let has_uri = match rest.strip_prefix("unix:") {
            Some(path) => path.contains(':'),
            None => rest.contains('/'),
        };
        let (from, to) = match site.name.prefix() {
            Some(name) if has_uri => (to.text.clone(), name),
            _ => (format!("{}/", to.text), "/"),
        };
        let from = Pattern::Text(Template::literal(&from));
        Some(Rule { from, to: Template::literal(to) })
    }
}

const MINUTE: Duration = Duration::from_mins(1);
