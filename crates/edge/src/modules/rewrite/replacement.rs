//! `rewrite`: a pattern over the path, and what becomes of path and arguments where it matches.

use bytes::Bytes;

use super::{Flow, Run, condition::log_match};
use crate::{
    conf::ConfError,
    engine::plan::Answer,
    exchange::Exchange,
    load::Args,
    log::Level,
    regex::{Captures, Case, Regex},
    response::Response,
    uri,
    vars::Template,
};

pub(super) struct Replacement {
    regex: Regex,
    pattern: String,
    to: Target,
    /// Whether the request's own arguments follow; a `?` at the end says no.
    keep_args: bool,
    then: Then,
}

enum Target {
    Uri {
        path: Template,
        args: Option<Template>,
    },
    /// For the client, with this status.
    Redirect {
        status: u16,
        to: Template,
        has_args: bool,
    },
}

/// What comes after a match.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The next step.
    Next,
    /// `last`: no step, and the new URI's location is searched for.
    Last,
    /// `break`: no step, and the location stays.
    Break,
}

/// Text that sends the client elsewhere, whatever the flag says.
pub(super) fn is_redirect(text: &str) -> bool {
    ["http://", "https://", "$scheme"].iter().any(|start| text.starts_with(start))
}

impl Replacement {
    pub(super) fn read(args: &mut Args<'_>) -> Result<Replacement, ConfError> {
        let pattern = args.word(0).to_owned();
        let regex = args.regex(&pattern, Case::Sensitive)?;
        let text = args.word(1).to_owned();
        if text.is_empty() {
            return Err(args.complain("empty replacement"));
        }
        let elsewhere = is_redirect(&text);
        let mut redirect = elsewhere.then_some(302);
        let mut then = if elsewhere { Then::Last } else { Then::Next };
        match args.get(2) {
            None => (),
            Some("last") => then = Then::Last,
            Some("break") => then = Then::Break,
            Some("redirect") => redirect = Some(302),
            Some("permanent") => redirect = Some(301),
            Some(_) => return Err(args.invalid_parameter(2)),
        }
        let (text, keep_args) = match text.strip_suffix('?') {
            Some(text) => (text, false),
            None => (&text[..], true),
        };
        let to = match redirect {
            Some(status) => {
                let has_args = text.contains('?');
                Target::Redirect { status, to: args.template_of(text)?, has_args }
            }
            None => {
                let (path, query) =
                    text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
                let path = args.template_of(path)?;
                let args = query.map(|query| args.template_of(query)).transpose()?;
                Target::Uri { path, args }
            }
        };
        Ok(Replacement { regex, pattern, to, keep_args, then })
    }

    pub(super) fn run(&self, run: &mut Run<'_>, exchange: &mut Exchange) -> Flow {
        let subject = exchange.uri.clone();
        let matched = self.regex.matches(exchange, &subject);
        if run.rewrite_log {
            log_match(exchange, &self.pattern, matched, &subject);
        }
        if !matched {
            exchange.set_captures(Captures::default());
            return Flow::Next;
        }
        let (path, args) = match &self.to {
            Target::Redirect { status, to, has_args } => {
                let separator = if *has_args { b'&' } else { b'?' };
                let to = self.redirect(exchange, to, separator);
                if run.rewrite_log {
                    let to = String::from_utf8_lossy(&to);
                    exchange.log(Level::Notice, &format!("rewritten redirect: \"{to}\""));
                }
                let response = Response::redirect(exchange, *status, to);
                return Flow::Answer(Answer::response(response));
            }
            Target::Uri { path, args } => (path, args),
        };
        let path = path.render(exchange);
        if let Some(args) = args {
            let mut query = Vec::new();
            render_quoted(args, exchange, &mut query);
            if self.keep_args && !exchange.args.is_empty() {
                query.push(b'&');
                query.extend_from_slice(&exchange.args);
            }
            exchange.args = query.into();
        } else if !self.keep_args {
            exchange.args = Bytes::new();
        }
        if run.rewrite_log {
            let (path, args) =
                (String::from_utf8_lossy(&path), String::from_utf8_lossy(&exchange.args));
            let message = format!("rewritten data: \"{path}\", args: \"{args}\"");
            exchange.log(Level::Notice, &message);
        }
        if path.is_empty() {
            exchange.log(Level::Error, "the rewritten URI has a zero length");
            return Flow::Answer(Answer::Status(500));
        }
        exchange.uri = path;
        // From here on the URI is the server's own word, and may name an `internal` location.
        exchange.internal = true;
        run.relocate = self.then != Then::Break;
        if self.then == Then::Next { Flow::Next } else { Flow::End }
    }

    fn redirect(&self, exchange: &Exchange, to: &Template, separator: u8) -> Bytes {
        let mut text = Vec::new();
        render_quoted(to, exchange, &mut text);
        let mut text = uri::unescape_redirect(&text);
        if self.keep_args && !exchange.args.is_empty() {
            text.push(separator);
            text.extend_from_slice(&exchange.args);
        }
        text.into()
    }
}

/// Captures are parts of a decoded path. Where the client had to write them with `%XX`, they are
/// written so again, or `%26` would become a `&` that ends an argument.
fn render_quoted(template: &Template, exchange: &Exchange, text: &mut Vec<u8>) {
    if exchange.quoted_uri {
        template.render_captures(exchange, text, uri::escape_args_into);
    } else {
        template.render_into(exchange, text);
    }
}
