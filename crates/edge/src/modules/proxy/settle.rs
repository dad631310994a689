//! The directives of one location to where its requests lead and what their answers become.

use super::{
    Target,
    settings::{Proxy, Redirect, To},
};
use crate::{
    conf::ConfError,
    load::Site,
    modules::passing::{CookieRewrites, Pattern, ResponseRules, Rewrites, Rule},
    vars::Template,
};

/// Not passed on, unless `proxy_pass_header` says so.
const HIDDEN: [&str; 3] = ["date", "server", "x-pad"];

impl Proxy {
    pub(super) fn target(&self, to: &To, site: &Site<'_>) -> Result<Target, ConfError> {
        Target::settle(to, site).map_err(|message| to.span.error(message))
    }

    pub(super) fn response_rules(
        &self,
        to: &To,
        site: &Site<'_>,
    ) -> Result<ResponseRules, ConfError> {
        let mut rules = self.passing.response_rules(&HIDDEN, to.prefix.join("proxy_temp"));
        rules.location = self.redirects(to, site)?;
        rules.cookies = CookieRewrites {
            domains: self.cookie_domain.iter().flatten().cloned().collect(),
            paths: Rewrites(self.cookie_path.iter().flatten().cloned().collect()),
            flags: self.cookie_flags.iter().flatten().cloned().collect(),
        };
        Ok(rules)
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
        let (_, rest) = to.text.split_once("://")?;
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
