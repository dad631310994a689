//! `proxy_cookie_domain`, `proxy_cookie_path`, `proxy_cookie_flags`: a `Set-Cookie` as an upstream
//! says it, to one that is true of the place the client sees.
//!
//! A cookie that no rule touches is passed on byte for byte; one that a rule changes is written
//! anew, with its attributes in the order they had.

use bytes::Bytes;

use super::rewrite::Rewrites;
use crate::{
    conf::ConfError,
    exchange::Exchange,
    load::Args,
    regex::{Case, Regex},
    vars::Template,
};

/// One location's rules; of each kind, the first that fits is the one.
#[derive(Clone, Default)]
pub struct CookieRewrites {
    pub domains: Vec<Domain>,
    pub paths: Rewrites,
    pub flags: Vec<Flags>,
}

/// `proxy_cookie_domain`. A text is a whole domain, compared without case and without a first dot,
/// which stays where it was; a pattern sees the domain as it stands, and gives all of the new one.
#[derive(Clone)]
pub struct Domain {
    from: Name,
    to: Template,
}

/// `proxy_cookie_flags`: the cookies of this name, and what becomes of their flags.
#[derive(Clone)]
pub struct Flags {
    name: Name,
    flags: Vec<Template>,
}

#[derive(Clone)]
enum Name {
    Text(Template),
    Regex(Regex),
}

/// `name=value` or `name` alone, without the blanks around them.
struct Attribute {
    name: Bytes,
    value: Option<Bytes>,
}

/// What a word of `proxy_cookie_flags` asks for.
#[derive(Clone, Copy)]
enum Flag {
    Set(&'static str, Option<&'static str>),
    Drop(&'static str),
}

impl Domain {
    pub fn read(args: &mut Args<'_>) -> Result<Domain, ConfError> {
        let bare = |word: &str| word.strip_prefix('.').unwrap_or(word).to_owned();
        let (from, to) = (args.word(0).to_owned(), args.word(1).to_owned());
        Ok(match from.strip_prefix('~') {
            Some(pattern) => {
                let from = Name::Regex(args.regex(pattern, Case::Insensitive)?);
                Domain { from, to: args.template(1)? }
            }
            None => Domain {
                from: Name::Text(args.template_of(&bare(&from))?),
                to: args.template_of(&bare(&to))?,
            },
        })
    }

    fn rewrite(&self, exchange: &Exchange, domain: &Bytes) -> Option<Bytes> {
        match &self.from {
            Name::Text(from) => {
                let bare = domain.strip_prefix(b".").unwrap_or(domain);
                let dot = &domain[..domain.len() - bare.len()];
                let fits = from.render(exchange).eq_ignore_ascii_case(bare);
                fits.then(|| [dot, &self.to.render(exchange)].concat().into())
            }
            Name::Regex(regex) => regex.matches(exchange, domain).then(|| self.to.render(exchange)),
        }
    }
}

impl Flags {
    pub fn read(args: &mut Args<'_>) -> Result<Flags, ConfError> {
        let word = args.word(0).to_owned();
        let name = match word.strip_prefix('~') {
            Some(pattern) => Name::Regex(args.regex(pattern, Case::Insensitive)?),
            None => Name::Text(args.template(0)?),
        };
        let flags = (1..args.len()).map(|place| args.template(place)).collect::<Result<_, _>>()?;
        Ok(Flags { name, flags })
    }

    fn fits(&self, exchange: &Exchange, cookie: &Bytes) -> bool {
        match &self.name {
            Name::Text(name) => name.render(exchange).eq_ignore_ascii_case(cookie),
            Name::Regex(regex) => regex.matches(exchange, cookie),
        }
    }
}

impl Flag {
    fn parse(word: &[u8]) -> Option<Flag> {
        Some(match &word.to_ascii_lowercase()[..] {
            b"secure" => Flag::Set("Secure", None),
            b"nosecure" => Flag::Drop("Secure"),
            b"httponly" => Flag::Set("HttpOnly", None),
            b"nohttponly" => Flag::Drop("HttpOnly"),
            b"samesite=strict" => Flag::Set("SameSite", Some("Strict")),
            b"samesite=lax" => Flag::Set("SameSite", Some("Lax")),
            b"samesite=none" => Flag::Set("SameSite", Some("None")),
            b"nosamesite" => Flag::Drop("SameSite"),
            _ => return None,
        })
    }

    /// The flag where it stood, or at the end.
    fn apply(self, attributes: &mut Vec<Attribute>) {
        match self {
            Flag::Drop(name) => {
                let mut first = true;
                attributes.retain(|attribute| std::mem::take(&mut first) || !attribute.is(name));
            }
            Flag::Set(name, value) => {
                let value = value.map(|value| Bytes::from_static(value.as_bytes()));
                let flag = Attribute { name: Bytes::from_static(name.as_bytes()), value };
                let known = attributes.iter_mut().skip(1).find(|attribute| attribute.is(name));
                match known {
                    Some(known) if flag.value.is_some() => *known = flag,
                    Some(_) => (),
                    None => attributes.push(flag),
                }
            }
        }
    }
}

impl CookieRewrites {
    fn is_empty(&self) -> bool {
        self.domains.is_empty() && self.paths.0.is_empty() && self.flags.is_empty()
    }

    /// `None`: the cookie stays as it is.
    pub fn rewrite(&self, exchange: &mut Exchange, cookie: &Bytes) -> Option<Bytes> {
        if self.is_empty() {
            return None;
        }
        let mut attributes = attributes(cookie);
        // What has no value is no cookie.
        attributes[0].value.as_ref()?;
        let mut changed = false;
        for attribute in &mut attributes[1..] {
            let Some(value) = &attribute.value else { continue };
            let rewritten = if attribute.is("domain") {
                self.domains.iter().find_map(|domain| domain.rewrite(exchange, value))
            } else if attribute.is("path") {
                self.paths.prefix(exchange, value)
            } else {
                None
            };
            if let Some(rewritten) = rewritten {
                attribute.value = Some(rewritten);
                changed = true;
            }
        }
        if let Some(rule) = self.flags.iter().find(|rule| rule.fits(exchange, &attributes[0].name))
        {
            for word in &rule.flags {
                // A word that turns out to be none, or empty, asks for nothing.
                if let Some(flag) = Flag::parse(&word.render(exchange)) {
                    flag.apply(&mut attributes);
                    changed = true;
                }
            }
        }
        changed.then(|| write(&attributes))
    }
}

impl Attribute {
    fn read(text: &Bytes) -> Attribute {
        match text.iter().position(|byte| *byte == b'=') {
            None => Attribute { name: trim(text), value: None },
            Some(at) => Attribute {
                name: trim(&text.slice(..at)),
                value: Some(trim(&text.slice(at + 1..))),
            },
        }
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

fn attributes(cookie: &Bytes) -> Vec<Attribute> {
    let parts = cookie.split(|byte| *byte == b';');
    parts.map(|part| Attribute::read(&cookie.slice_ref(part))).collect()
}

/// Blanks alone: nginx takes a tab for a part of what it stands in.
fn trim(text: &Bytes) -> Bytes {
    let start = text.iter().take_while(|byte| **byte == b' ').count();
    let rest = text.slice(start..);
    let end = rest.iter().rev().take_while(|byte| **byte == b' ').count();
    rest.slice(..rest.len() - end)
}

fn write(attributes: &[Attribute]) -> Bytes {
    let mut cookie = Vec::with_capacity(128);
    for (place, attribute) in attributes.iter().enumerate() {
        if place > 0 {
            cookie.extend_from_slice(b"; ");
        }
        cookie.extend_from_slice(&attribute.name);
        if let Some(value) = &attribute.value {
            cookie.push(b'=');
            cookie.extend_from_slice(value);
        }
    }
    cookie.into()
}

/// The value of a cookie of this name, for `$upstream_cookie_*`.
pub fn value(cookie: &Bytes, name: &[u8]) -> Option<Bytes> {
    let end = cookie.iter().position(|byte| *byte == b';').unwrap_or(cookie.len());
    let attribute = Attribute::read(&cookie.slice(..end));
    attribute.value.filter(|_| attribute.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let value = |cookie: &'static str| value(&Bytes::from_static(cookie.as_bytes()), b"tc");
        assert_eq!(value("TC = a b ; Path=/").unwrap(), "a b");
        assert_eq!(value("tc==x").unwrap(), "=x");
        assert_eq!(value("tc").as_deref(), None);
        assert_eq!(value("tc\t=x").as_deref(), None);
        assert_eq!(value("=tc=x").as_deref(), None);
    }

    #[test]
    fn flags() {
        let edit = |cookie: &str, words: &[&str]| {
            let mut attributes = attributes(&Bytes::copy_from_slice(cookie.as_bytes()));
            for word in words {
                Flag::parse(word.as_bytes()).expect("it is one").apply(&mut attributes);
            }
            String::from_utf8(write(&attributes).to_vec()).expect("it is text")
        };
        assert_eq!(edit("a=b", &["secure", "SameSite=lax"]), "a=b; Secure; SameSite=Lax");
        assert_eq!(
            edit("a=b;secure; samesite=x", &["secure", "samesite=none"]),
            "a=b; secure; SameSite=None"
        );
        assert_eq!(edit("secure=b; Secure; HttpOnly", &["nosecure", "nohttponly"]), "secure=b");
    }
}
