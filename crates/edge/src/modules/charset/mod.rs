//! `charset`, `source_charset`, `charset_map`: which charset a text is said to be in, and its bytes
//! written anew where that is another than the one they came in.

mod table; // one charset's bytes to another's
mod recode; // a body through a table

use std::sync::Arc;

use bytes::Bytes;

use recode::Recoded;
use table::Map;

use crate::{
    conf::{ConfError, Span},
    engine::plan::{Filter, Plan},
    exchange::Exchange,
    load::{
        Args,
        Arity::{AtLeast, Exactly},
        Block, Body as Braces, Directive, Module, Setting, Site, TypeList, block, directive,
    },
    log::Level,
    response::{Body, Response, Stream},
    vars::Template,
};

#[derive(Clone, Default)]
pub struct Charset {
    name: Setting<Said>,
    source: Setting<Said>,
    overrules: Setting<bool>,
    types: TypeList,
    maps: Vec<Arc<Map>>,
}

#[derive(Clone)]
struct Said {
    name: Name,
    span: Span,
}

#[derive(Clone)]
enum Name {
    Off,
    Text(String),
    Variable(Template),
}

/// What is installed: the settings, and every map of the file.
struct Handler {
    settings: Arc<Charset>,
    maps: Vec<Arc<Map>>,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];
const WITH_IF: &[Block] = &[Block::Http, Block::Server, Block::Location, Block::If];

/// The types whose charset is told unless `charset_types` says otherwise.
const TYPES: &[&str] = &[
    "text/html",
    "text/xml",
    "text/plain",
    "text/vnd.wap.wml",
    "application/javascript",
    "application/rss+xml",
];

impl Module for Charset {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("charset", WITH_IF, Exactly(1), |charset, args| {
            let name = if args.word(0) == "off" { Name::Off } else { name(args)? };
            charset.name.set(Said { name, span: args.node.name.span.clone() }, args)
        }),
        directive("source_charset", WITH_IF, Exactly(1), |charset, args| {
            let said = Said { name: name(args)?, span: args.node.name.span.clone() };
            charset.source.set(said, args)
        }),
        directive("override_charset", WITH_IF, Exactly(1), |charset, args| {
            charset.overrules.set(args.flag()?, args)
        }),
        directive("charset_types", BLOCKS, AtLeast(1), |charset, args| {
            charset.types.add(args);
            Ok(())
        }),
        block("charset_map", &[Block::Http], Exactly(2), Braces::Own, |charset, args| {
            let map = Map::read(args, &charset.maps)?;
            charset.maps.push(Arc::new(map));
            Ok(())
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.name.inherit(&outer.name);
        self.source.inherit(&outer.source);
        self.overrules.inherit(&outer.overrules);
        self.types.inherit(&outer.types);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        let maps = site.http::<Charset>().maps.clone();
        if let (Some(to), Some(from)) = (self.name.said(), self.source.said())
            && let (Name::Text(name), Name::Text(source)) = (&to.name, &from.name)
            && !name.eq_ignore_ascii_case(source)
            && !maps.iter().any(|map| map.joins(source.as_bytes(), name.as_bytes()))
        {
            return Err(to.span.error(no_map(source.as_bytes(), name.as_bytes())));
        }
        if self.is_on() || self.source.said().is_some() {
            plan.filters.push(Arc::new(Handler { settings: self, maps }));
        }
        Ok(())
    }
}

impl Charset {
    fn is_on(&self) -> bool {
        self.name.said().is_some_and(|said| !matches!(said.name, Name::Off))
    }

    /// What a text of this type, in which nothing is said of a charset, will be in.
    pub fn destination(&self, exchange: &Exchange, kind: &[u8]) -> Option<Bytes> {
        self.types.has(kind, TYPES).then(|| self.name(exchange)).flatten()
    }

    fn name(&self, exchange: &Exchange) -> Option<Bytes> {
        self.name.said()?.render(exchange)
    }
}

impl Said {
    /// `None`: off, or a variable without a value.
    fn render(&self, exchange: &Exchange) -> Option<Bytes> {
        let name = match &self.name {
            Name::Off => return None,
            Name::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Name::Variable(template) => template.render(exchange),
        };
        Some(name).filter(|name| !name.is_empty())
    }
}

fn name(args: &mut Args<'_>) -> Result<Name, ConfError> {
    let word = args.word(0);
    if word.starts_with('$') {
        return args.template(0).map(Name::Variable);
    }
    Ok(Name::Text(word.to_owned()))
}

fn no_map(source: &[u8], destination: &[u8]) -> String {
    let (source, destination) =
        (String::from_utf8_lossy(source), String::from_utf8_lossy(destination));
    format!("no \"charset_map\" between the charsets \"{source}\" and \"{destination}\"")
}

impl Filter for Handler {
    fn apply(&self, exchange: &mut Exchange, mut response: Response) -> Response {
        let Some(kind) = response.content_type.clone() else { return response };
        let (bare, said) = split(&kind);
        // `X-Accel-Charset` overrules what stands here.
        let overruled = response.charset.take_if(|_| response.from_upstream);
        let said = said.or_else(|| response.charset.clone());
        let destination = match (overruled, &said) {
            _ if exchange.depth > 0 => exchange.sent.charset.clone(),
            (Some(name), _) => Some(name),
            (None, Some(_)) if self.settings.overrules.or(false) => self.settings.name(exchange),
            (None, Some(_)) => None,
            (None, None) => self.settings.destination(exchange, &kind),
        };
        let Some(destination) = destination else { return response };
        let source = said
            .or_else(|| self.settings.source.said().and_then(|source| source.render(exchange)))
            .filter(|source| !source.eq_ignore_ascii_case(&destination));
        if let Some(source) = source {
            if response.headers.contains("content-encoding") {
                return response;
            }
            let map = self.maps.iter().find(|map| map.joins(&source, &destination));
            let Some(map) = map else {
                exchange.log(Level::Error, &no_map(&source, &destination));
                return response;
            };
            recode(&mut response, map, &source);
        }
        // A redirect's page is nobody's text.
        let is_redirect = matches!(response.status, 301 | 302);
        response.charset = (!is_redirect).then_some(destination);
        response.content_type = Some(bare);
        response
    }

    fn reaches_inside(&self) -> bool {
        true
    }
}

/// What a response's text is said to be in.
pub(super) fn of(response: &Response) -> Option<Bytes> {
    let said = || split(response.content_type.as_ref()?).1;
    response.charset.clone().or_else(said)
}

/// The body through a map. What is in memory stays there, so that ranges of it can be asked for.
fn recode(response: &mut Response, map: &Arc<Map>, source: &[u8]) {
    let mut recoder = map.recoder(source);
    let keeps_length = recoder.keeps_length();
    let body = std::mem::replace(&mut response.body, Body::Empty);
    response.body = match body {
        Body::Bytes(bytes) => {
            let mut recoded = Vec::with_capacity(bytes.len());
            recoder.push(&bytes, &mut recoded);
            recoder.end(&mut recoded);
            Body::Bytes(recoded.into())
        }
        Body::Absent(length) => Body::Absent(length.filter(|_| keeps_length)),
        body => {
            let length = body.length().filter(|_| keeps_length);
            match body.into_source() {
                None => Body::Empty,
                Some(source) => {
                    let source = Box::new(Recoded::new(source, recoder));
                    Body::Stream(Stream { length, source })
                }
            }
        }
    };
}

/// A content type without its charset, and that charset.
fn split(kind: &Bytes) -> (Bytes, Option<Bytes>) {
    const CHARSET: &[u8] = b"charset=";
    let mut at = 0;
    while let Some(semicolon) = kind[at..].iter().position(|byte| *byte == b';') {
        let end = at + semicolon;
        at = end + 1;
        let spaces = kind[at..].iter().take_while(|byte| **byte == b' ').count();
        let start = at + spaces;
        if kind[start..].len() > CHARSET.len()
            && kind[start..start + CHARSET.len()].eq_ignore_ascii_case(CHARSET)
        {
            let name = &kind[start + CHARSET.len()..];
            let name = name.strip_prefix(b"\"").unwrap_or(name);
            let name = name.strip_suffix(b"\"").unwrap_or(name);
            return (kind.slice(..end), Some(kind.slice_ref(name)));
        }
    }
    (kind.clone(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets_of_content_types() {
        let check = |kind: &'static str, bare: &str, charset: Option<&str>| {
            let (found, said) = split(&Bytes::from_static(kind.as_bytes()));
            assert_eq!(found, bare.as_bytes(), "{kind}");
            assert_eq!(said.as_deref(), charset.map(str::as_bytes), "{kind}");
        };
        check("text/html", "text/html", None);
        check("text/html; charset=utf-8", "text/html", Some("utf-8"));
        check("text/html;CHARSET=\"utf-8\"", "text/html", Some("utf-8"));
        check("text/html; a=b;  charset=koi8-r", "text/html; a=b", Some("koi8-r"));
        check("text/html; charset=", "text/html; charset=", None);
        check("text/html;", "text/html;", None);
    }
}
