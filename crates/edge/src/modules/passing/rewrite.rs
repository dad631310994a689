//! `proxy_redirect`, `proxy_cookie_path`, `proxy_cookie_domain`: an upstream names places as it
//! sees them, and the client needs them as they are seen from outside.

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

    /// What a value becomes that fits as a whole: a domain, compared without case and first dot,
    /// which stays where it was.
    fn domain(&self, exchange: &mut Exchange, value: &Bytes) -> Option<Bytes> {
        fn bare(domain: &[u8]) -> &[u8] {
            domain.strip_prefix(b".").unwrap_or(domain)
        }
        self.0.iter().find_map(|rule| {
            let fits = match &rule.from {
                Pattern::Text(from) => {
                    bare(&from.render(exchange)).eq_ignore_ascii_case(bare(value))
                }
                Pattern::Regex(regex) => regex.matches(exchange, value),
            };
            let dot: &[u8] = match (&rule.from, value.first()) {
                (Pattern::Text(_), Some(b'.')) => b".",
                _ => b"",
            };
            fits.then(|| [dot, &rule.to.render(exchange)].concat().into())
        })
    }

    /// A cookie with its attribute (`path`, `domain`) rewritten.
    pub fn cookie(&self, exchange: &mut Exchange, cookie: &Bytes, attribute: &str) -> Bytes {
        if self.0.is_empty() {
            return cookie.clone();
        }
        let mut written = Vec::with_capacity(cookie.len() + 16);
        let mut at = 0;
        for (place, part) in cookie.split(|byte| *byte == b';').enumerate() {
            if place > 0 {
                written.push(b';');
            }
            let blank = part.iter().take_while(|byte| **byte == b' ').count();
            let equals = part.iter().position(|byte| *byte == b'=').filter(|_| place > 0);
            let value =
                equals.filter(|end| part[blank..*end].eq_ignore_ascii_case(attribute.as_bytes()));
            let rewritten = value.and_then(|end| {
                let value = cookie.slice(at + end + 1..at + part.len());
                let new = match attribute {
                    "domain" => self.domain(exchange, &value),
                    _ => self.prefix(exchange, &value),
                };
                new.map(|new| [&part[..=end], &new].concat())
            });
            written.extend_from_slice(rewritten.as_deref().unwrap_or(part));
            at += part.len() + 1;
        }
        written.into()
    }
}
