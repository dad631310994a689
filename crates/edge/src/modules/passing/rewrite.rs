//! Rules of `proxy_redirect` and `proxy_cookie_path`: an upstream names places as it sees them, and
//! the client needs them as they are seen from outside.

use bytes::Bytes;

use crate::{exchange::Exchange, regex::Regex, vars::Template};

/// Rules, asked in order; the first that fits is the one.
#[derive(Clone, Default)]
pub struct Rewrites(pub Vec<Rule>);

#[derive(Clone)]
pub struct Rule {
    pub from: Pattern,
    pub to: Template,
}

#[derive(Clone)]
pub enum Pattern {
    Text(Template),
    Regex(Regex),
}

impl Rewrites {
    /// What a value becomes whose beginning, or a pattern, fits; `None`: it stays.
    pub fn prefix(&self, exchange: &mut Exchange, value: &Bytes) -> Option<Bytes> {
        self.0.iter().find_map(|rule| match &rule.from {
            Pattern::Text(from) => {
                let from = from.render(exchange);
                let rest = value.strip_prefix(&from[..])?;
                Some([&rule.to.render(exchange)[..], rest].concat().into())
            }
            Pattern::Regex(regex) => {
                regex.matches(exchange, value).then(|| rule.to.render(exchange))
            }
        })
    }
}
