//! `gzip`: compresses on the way out, for clients that say they understand it.

mod accept; // what the client says
mod compressed; // the bytes

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;

use accept::accepts_gzip;
use compressed::{Compressed, Ratio};

use super::not_modified::parse_date;
use crate::{
    clock,
    conf::ConfError,
    engine::plan::{Filter, Plan},
    exchange::{Exchange, Protocol},
    load::{
        Args,
        Arity::{AtLeast, Exactly},
        Block, Directive, HTML, List, Module, Setting, Site, TypeList, directive,
    },
    regex::{Case, Regex},
    response::{Body, Response, Stream},
    vars::{Variable, volatile},
};

#[derive(Clone, Default)]
pub struct Gzip {
    on: Setting<bool>,
    types: TypeList,
    min_length: Setting<u64>,
    level: Setting<u32>,
    vary: Setting<bool>,
    proxied: List<Proxied>,
    disable: List<Regex>,
    http_version: Setting<Protocol>,
}

/// Which answers to a proxy (a request with `Via`) are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proxied {
    Off,
    Expired,
    NoCache,
    NoStore,
    Private,
    NoLastModified,
    NoEtag,
    Auth,
    Any,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];
const WITH_IF: &[Block] = &[Block::Http, Block::Server, Block::Location, Block::If];

impl Module for Gzip {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("gzip", WITH_IF, Exactly(1), |gzip, args| gzip.on.set(args.flag()?, args)),
        directive("gzip_types", BLOCKS, AtLeast(1), |gzip, args| {
            gzip.types.add(args);
            Ok(())
        }),
        directive("gzip_min_length", BLOCKS, Exactly(1), |gzip, args| {
            gzip.min_length.set(args.size(0)?, args)
        }),
        directive("gzip_comp_level", BLOCKS, Exactly(1), |gzip, args| {
            let level = args.number(0)?;
            if !(1..=9).contains(&level) {
                return Err(args.complain("value must be between 1 and 9"));
            }
            gzip.level.set(level, args)
        }),
        directive("gzip_vary", BLOCKS, Exactly(1), |gzip, args| gzip.vary.set(args.flag()?, args)),
        directive("gzip_proxied", BLOCKS, AtLeast(1), Gzip::add_proxied),
        directive("gzip_disable", BLOCKS, AtLeast(1), Gzip::add_disable),
        directive("gzip_http_version", BLOCKS, Exactly(1), |gzip, args| {
            let version = match args.word(0) {
                "1.0" => Protocol::Http10,
                "1.1" => Protocol::Http11,
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            };
            gzip.http_version.set(version, args)
        }),
    ];

    const VARIABLES: &'static [Variable] = &[volatile("gzip_ratio", |exchange, _| {
        exchange.kept::<Rc<Ratio>>().and_then(|ratio| ratio.text())
    })];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.on.inherit(&outer.on);
        self.types.inherit(&outer.types);
        self.min_length.inherit(&outer.min_length);
        self.level.inherit(&outer.level);
        self.vary.inherit(&outer.vary);
        self.proxied.inherit(&outer.proxied);
        self.disable.inherit(&outer.disable);
        self.http_version.inherit(&outer.http_version);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        if self.on.or(false) {
            plan.filters.push(self);
        }
        Ok(())
    }
}

impl Gzip {
    fn add_proxied(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        for place in 0..args.len() {
            self.proxied.push(match args.word(place) {
                "off" => Proxied::Off,
                "expired" => Proxied::Expired,
                "no-cache" => Proxied::NoCache,
                "no-store" => Proxied::NoStore,
                "private" => Proxied::Private,
                "no_last_modified" => Proxied::NoLastModified,
                "no_etag" => Proxied::NoEtag,
                "auth" => Proxied::Auth,
                "any" => Proxied::Any,
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            });
        }
        Ok(())
    }

    fn add_disable(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        for place in 0..args.len() {
            let word = args.word(place).to_owned();
            // Internet Explorer 4 to 6, but for the one with the service pack that repaired it.
            let pattern = if word == "msie6" { r"MSIE [4-6]\.(?!.*SV1)" } else { word.as_str() };
            let pattern = args.regex(pattern, Case::Insensitive)?;
            self.disable.push(pattern);
        }
        Ok(())
    }

    /// Whether this is an answer worth compressing, for whomever.
    fn suits(&self, response: &Response) -> bool {
        let length = response.body.length();
        matches!(response.status, 200 | 403 | 404)
            && !matches!(response.body, Body::Empty | Body::Tunnel(_))
            && !response.headers.contains("content-encoding")
            && length.is_none_or(|length| length >= self.min_length.or(20))
            && response.content_type.as_deref().is_some_and(|kind| self.types.has(kind, HTML))
    }

    /// Whether this client is to have it compressed.
    fn is_wanted(&self, exchange: &Exchange, response: &Response) -> bool {
        let Some(accepted) = exchange.header("accept-encoding") else { return false };
        accepts_gzip(accepted)
            && exchange.request.version >= self.http_version.or(Protocol::Http11)
            && (exchange.header("via").is_none() || self.is_for_proxies(exchange, response))
            && exchange
                .header("user-agent")
                .is_none_or(|agent| !self.disable.iter().any(|pattern| pattern.is_match(agent)))
    }

    fn is_for_proxies(&self, exchange: &Exchange, response: &Response) -> bool {
        let asked = |what| self.proxied.contains(&what);
        if self.proxied.is_empty() || asked(Proxied::Off) {
            return false;
        }
        if asked(Proxied::Any)
            || (asked(Proxied::Auth) && exchange.header("authorization").is_some())
        {
            return true;
        }
        let headers = &response.headers;
        if let Some(expires) = headers.get("expires") {
            let Some(expires) = parse_date(expires).filter(|_| asked(Proxied::Expired)) else {
                return false;
            };
            let date = headers.get("date").and_then(|date| parse_date(date));
            return expires < date.unwrap_or_else(|| clock::now().0);
        }
        if headers.contains("cache-control") {
            let says = |token: &str| {
                headers.all("cache-control").any(|list| crate::headers::has_token(list, token))
            };
            return (asked(Proxied::NoCache) && says("no-cache"))
                || (asked(Proxied::NoStore) && says("no-store"))
                || (asked(Proxied::Private) && says("private"));
        }
        let has_date = response.last_modified.is_some() || headers.contains("last-modified");
        let has_etag = headers.contains("etag");
        !(asked(Proxied::NoLastModified) && has_date || asked(Proxied::NoEtag) && has_etag)
    }
}

impl Filter for Gzip {
    fn apply(&self, exchange: &mut Exchange, mut response: Response) -> Response {
        if !self.suits(&response) {
            return response;
        }
        response.vary = self.vary.or(false);
        if !self.is_wanted(exchange, &response) {
            return response;
        }
        response.weaken_etag();
        let encoding = Bytes::from_static(b"Content-Encoding");
        response.headers.push(encoding, Bytes::from_static(b"gzip"));
        response.headers.remove("Accept-Ranges");
        response.ranges = false;
        let body = std::mem::replace(&mut response.body, Body::Empty);
        if exchange.is_head() {
            response.body = Body::Absent(None);
            return response;
        }
        let Some(source) = body.into_source() else { return response };
        let source =
            Box::new(Compressed::new(source, self.level.or(1), exchange.keep::<Rc<Ratio>>()));
        response.body = Body::Stream(Stream { length: None, source });
        response
    }
}
