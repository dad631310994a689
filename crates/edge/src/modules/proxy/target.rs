//! Where `proxy_pass` leads: which upstream, and which URI it is asked for.

use std::sync::Arc;

use bytes::Bytes;

use super::settings::To;
use crate::{
    exchange::Exchange,
    load::{Name, Site},
    log::Level,
    modules::passing::destination::{self, DefaultPort, Known},
    story::Proxied,
    upstream::Upstream,
    uri::{self, Slashes},
    vars::Template,
};

/// Settled when the location is installed, unless variables decide.
pub(super) enum Target {
    Fixed {
        scheme: Scheme,
        upstream: Arc<Upstream>,
        proxied: Proxied,
        /// What stands for the location's name; empty: the URI goes as it is.
        uri: Bytes,
        /// The length of the location's name.
        replaces: usize,
    },
    Variable {
        url: Template,
        known: Known,
    },
}

/// A URL's parts.
struct Url<'a> {
    scheme: Scheme,
    /// As it is looked up: `127.0.0.1:8000`, `name`, `unix:/path`.
    authority: &'a str,
    /// From the first slash or question mark on; may be empty.
    uri: &'a str,
}

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    /// The same inside of TLS.
    Https,
}

impl Scheme {
    fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// One request's target.
pub(super) struct Resolved {
    pub(super) scheme: Scheme,
    pub(super) upstream: Arc<Upstream>,
    pub(super) proxied: Proxied,
    pub(super) uri: Bytes,
}

impl Target {
    pub(super) fn settle(to: &To, site: &Site<'_>) -> Result<Target, String> {
        let Some(text) = to.url.as_literal() else {
            return Ok(Target::Variable { url: to.url.clone(), known: Known::all(site) });
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        let url = Url::parse(&text)?;
        let upstream =
            destination::settle(url.authority, DefaultPort::Port(url.scheme.port()), site)?;
        let unnamed =
            site.block.is_unnamed() || matches!(site.name, Name::Pattern(..) | Name::Named(_));
        if unnamed && !to.inherited && !url.uri.is_empty() {
            return Err("\"proxy_pass\" cannot have URI part in location given by regular \
                        expression, or inside named location, or inside \"if\" statement, or \
                        inside \"limit_except\" block"
                .to_owned());
        }
        Ok(Target::Fixed {
            scheme: url.scheme,
            upstream,
            proxied: url.proxied(),
            uri: Bytes::copy_from_slice(url.uri.as_bytes()),
            replaces: site.name.prefix().map_or(0, str::len),
        })
    }

    /// Whether requests may go there by TLS.
    pub(super) fn may_be_secure(&self) -> bool {
        match self {
            Target::Fixed { scheme, .. } => *scheme == Scheme::Https,
            Target::Variable { .. } => true,
        }
    }

    /// `Err`: the status, after the log has heard why.
    pub(super) async fn resolve(&self, exchange: &Exchange) -> Result<Resolved, u16> {
        let (url, known) = match self {
            Target::Fixed { scheme, upstream, proxied, uri, replaces } => {
                return Ok(Resolved {
                    scheme: *scheme,
                    upstream: Arc::clone(upstream),
                    proxied: proxied.clone(),
                    uri: replace(exchange, uri, *replaces),
                });
            }
            Target::Variable { url, known } => (url, known),
        };
        let text = url.render(exchange);
        let text = String::from_utf8_lossy(&text).into_owned();
        let url = match Url::parse(&text) {
            Ok(url) => url,
            Err(message) => {
                exchange.log(Level::Error, &message);
                return Err(500);
            }
        };
        let upstream = {
            let port = DefaultPort::Port(url.scheme.port());
            known.find(exchange, url.authority, port).await?
        };
        let uri = if url.uri.is_empty() {
            replace(exchange, &Bytes::new(), 0)
        } else if url.uri.starts_with('?') {
            format!("/{}", url.uri).into()
        } else {
            Bytes::copy_from_slice(url.uri.as_bytes())
        };
        Ok(Resolved { scheme: url.scheme, upstream, proxied: url.proxied(), uri })
    }
}

impl Url<'_> {
    fn parse(text: &str) -> Result<Url<'_>, String> {
        let http = strip_scheme(text, "http://").map(|rest| (Scheme::Http, rest));
        let https = || strip_scheme(text, "https://").map(|rest| (Scheme::Https, rest));
        let (scheme, rest) = http.or_else(https).ok_or_else(|| "invalid URL prefix".to_owned())?;
        if let Some(path) = rest.strip_prefix("unix:") {
            let end = path.find(':').unwrap_or(path.len());
            let uri = path.get(end + 1..).unwrap_or_default();
            return Ok(Url { scheme, authority: &rest[..5 + end], uri });
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        Ok(Url { scheme, authority: &rest[..end], uri: &rest[end..] })
    }

    fn proxied(&self) -> Proxied {
        destination::proxied(self.authority, self.scheme.port())
    }
}

fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let start = text.get(..scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
}

/// The URI an upstream is asked for. With a URI in `proxy_pass`, it stands for the location's name;
/// without one, the client's own target goes on as it came, unless a rewrite has changed it.
fn replace(exchange: &Exchange, with: &Bytes, replaces: usize) -> Bytes {
    if with.is_empty() && !exchange.internal && is_unchanged(exchange) {
        return exchange.request.target.clone();
    }
    // A rewrite inside the location has said what the upstream is asked for.
    let located = exchange.uri == exchange.located && replaces <= exchange.uri.len();
    let (start, rest) = if with.is_empty() || !located {
        (&[][..], &exchange.uri[..])
    } else {
        (&with[..], &exchange.uri[replaces..])
    };
    let mut target = Vec::with_capacity(start.len() + rest.len() + exchange.args.len() + 1);
    target.extend_from_slice(start);
    uri::escape_into(rest, &mut target);
    if target.first() != Some(&b'/') {
        target.insert(0, b'/');
    }
    if !exchange.args.is_empty() {
        target.push(b'?');
        target.extend_from_slice(&exchange.args);
    }
    target.into()
}

/// Whether path and arguments are the very bytes of the target, which is what they are unless
/// something was decoded or rewritten.
fn is_the_targets_own(exchange: &Exchange) -> bool {
    let (target, uri, args) = (&exchange.request.target, &exchange.uri, &exchange.args);
    if uri.as_ptr() != target.as_ptr() {
        return false;
    }
    match target.get(uri.len()..) {
        Some([]) => args.is_empty(),
        Some([b'?', rest @ ..]) => {
            rest.len() == args.len() && (rest.is_empty() || rest.as_ptr() == args.as_ptr())
        }
        _ => false,
    }
}

/// Whether path and arguments are still what the client's target says.
fn is_unchanged(exchange: &Exchange) -> bool {
    if is_the_targets_own(exchange) {
        return true;
    }
    let core = &exchange.server.outer.core;
    let slashes = if core.merge_slashes() { Slashes::Merge } else { Slashes::Keep };
    let target = &exchange.request.target;
    if target.first() != Some(&b'/') {
        return false;
    }
    uri::normalise(target, slashes)
        .is_ok_and(|uri| uri.path == exchange.uri && uri.args.unwrap_or_default() == exchange.args)
}
