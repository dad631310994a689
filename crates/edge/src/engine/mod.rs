//! The phases, in order. If you read one file of the edge, read this one.

pub mod plan; // the phases' traits and what each may answer
pub mod locate; // which location a URI means
mod access; // satisfy
mod special; // error_page and the built-in pages
mod subrequest; // what the server asks itself
mod finish; // the log, after the last byte

use std::sync::Arc;

use bytes::Bytes;

pub use finish::finish;
pub use special::{builtin_page, reason};
pub use subrequest::{Answered, Subrequest, twin};

use crate::{exchange::Exchange, log::Level, response::Response};
use locate::Found;
use plan::{Answer, Passed, Rewritten};

/// Answers one request. `None`: close the connection without a word.
pub async fn answer(exchange: &mut Exchange) -> Option<Response> {
    exchange.debug(|| format!("request {}", exchange.shown_uri()));
    if exchange.depth == 0 && !exchange.location.plan.post_read.is_empty() {
        let location = Arc::clone(&exchange.location);
        location.plan.post_read.iter().for_each(|step| step.read(exchange));
    }
    let answer = pass(exchange, Entry::Server).await;
    follow(exchange, answer).await
}

/// Answers a request whose head already refused it: only `error_page`, the filters and the log see it.
pub async fn refuse(exchange: &mut Exchange, status: u16) -> Option<Response> {
    follow(exchange, Answer::Status(status)).await
}

async fn follow(exchange: &mut Exchange, mut answer: Answer) -> Option<Response> {
    let response = loop {
        answer = match answer {
            Answer::Response(response) if response.is_own_redirect() => {
                match special::redirect(exchange, response) {
                    Answer::Response(response) => break *response,
                    elsewhere => elsewhere,
                }
            }
            Answer::Response(response) => break special::settle(exchange, *response),
            // There is nobody to tell: the client took too long, or has left.
            Answer::Status(status @ (408 | 499)) => {
                exchange.sent.status = status;
                return None;
            }
            Answer::Status(status) => match special::page(exchange, status) {
                Answer::Response(response) => break *response,
                elsewhere => elsewhere,
            },
            Answer::Redirect { uri, args } => internal(exchange, uri, args).await,
            Answer::Named(name) => named(exchange, &name).await,
            Answer::Close => {
                exchange.sent.status = 444;
                return None;
            }
            Answer::Gone => {
                exchange.sent.status = 499;
                return None;
            }
        };
    };
    exchange.sent.content_type.clone_from(&response.content_type);
    if exchange.location.plan.filters.is_empty() {
        return Some(response);
    }
    let location = Arc::clone(&exchange.location);
    let inside = exchange.depth > 0;
    let filters = location.plan.filters.iter().filter(|filter| !inside || filter.reaches_inside());
    Some(filters.fold(response, |response, filter| filter.apply(exchange, response)))
}

/// An internal redirect: the phases again, at another URI.
async fn internal(exchange: &mut Exchange, uri: Bytes, args: Option<Bytes>) -> Answer {
    if !restart(exchange) {
        let uri = exchange.uri.clone();
        let uri = String::from_utf8_lossy(&uri);
        let message = format!(
            "rewrite or internal redirection cycle while internally redirecting to \"{uri}\""
        );
        exchange.log(Level::Error, &message);
        return Answer::Status(500);
    }
    exchange.internal = true;
    exchange.uri = uri;
    if let Some(args) = args {
        exchange.args = args;
    }
    exchange.debug(|| format!("internal redirect: {}", exchange.shown_uri()));
    pass(exchange, Entry::Server).await
}

async fn named(exchange: &mut Exchange, name: &str) -> Answer {
    let Some(location) = exchange.server.named.get(name).cloned() else {
        exchange.log(Level::Error, &format!("could not find named location \"{name}\""));
        return Answer::Status(500);
    };
    if !restart(exchange) {
        let message = format!(
            "rewrite or internal redirection cycle while redirect to named location \"{name}\""
        );
        exchange.log(Level::Error, &message);
        return Answer::Status(500);
    }
    exchange.internal = true;
    exchange.location = location;
    exchange.debug(|| format!("named location: \"{name}\""));
    pass(exchange, Entry::Named).await
}

/// Where a trip through the phases begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// At server rewrite.
    Server,
    /// At rewrite, in a location that is already known.
    Named,
}

/// One trip through the phases: until something answers, or asks to start over.
async fn pass(exchange: &mut Exchange, entry: Entry) -> Answer {
    if entry == Entry::Server {
        // Server rewrite: the server's own block is in force.
        exchange.location = Arc::clone(&exchange.server.outer);
        if let Rewritten::Answer(answer) = rewrite(exchange) {
            return answer;
        }
        if let Some(answer) = find_location(exchange) {
            return answer;
        }
    }
    // Rewrite and post rewrite: until the URI holds still.
    loop {
        if Arc::ptr_eq(&exchange.location, &exchange.server.outer) {
            break; // Its rewrites have run.
        }
        match rewrite(exchange) {
            Rewritten::Unchanged => break,
            Rewritten::Answer(answer) => return answer,
            Rewritten::Relocate => {
                if !restart(exchange) {
                    let message = "rewrite or internal redirection cycle while processing";
                    let uri = String::from_utf8_lossy(&exchange.uri).into_owned();
                    exchange.log(Level::Error, &format!("{message} \"{uri}\""));
                    return Answer::Status(500);
                }
                if let Some(answer) = find_location(exchange) {
                    return answer;
                }
            }
        }
    }
    let location = Arc::clone(&exchange.location);
    for check in &location.plan.preaccess {
        match check.check(exchange).done().await {
            Passed::Next => (),
            Passed::Leave => break,
            Passed::Answer(answer) => return answer,
        }
    }
    // Who may have the whole may have its parts.
    if exchange.depth == 0
        && let Err(answer) = access::check(&location, exchange).await
    {
        return answer;
    }
    for handler in &location.plan.precontent {
        if let Some(answer) = handler.answer(exchange).done().await {
            return answer;
        }
    }
    if let Some(handler) = &location.plan.handler {
        return handler.answer(exchange).done().await.unwrap_or(Answer::Status(404));
    }
    if exchange.handler_left {
        exchange.log(Level::Error, "the last \"if\" has no handler, and one before it had");
        return Answer::Status(500);
    }
    for handler in &location.plan.content {
        if let Some(answer) = handler.answer(exchange).done().await {
            return answer;
        }
    }
    if exchange.uri.ends_with(b"/") {
        let path = location.core.map(exchange);
        let path = path.map_or_else(String::new, |path| path.display().to_string());
        exchange.log(Level::Error, &format!("directory index of \"{path}\" is forbidden"));
        return Answer::Status(403);
    }
    exchange.log(Level::Error, "no handler found");
    Answer::Status(404)
}

/// Find config: the URI's location, and what that location asks before anything else of its runs.
fn find_location(exchange: &mut Exchange) -> Option<Answer> {
    let server = Arc::clone(&exchange.server);
    exchange.located = exchange.uri.clone();
    match server.locations.find(exchange) {
        Found::Location(location) => {
            exchange.location = location.for_method(&exchange.request.method);
        }
        Found::Nothing => exchange.location = Arc::clone(&server.outer),
        Found::MissingSlash => {
            let mut to = Vec::with_capacity(exchange.uri.len() + 1);
            crate::uri::escape_into(&exchange.uri, &mut to);
            to.push(b'/');
            if !exchange.args.is_empty() {
                to.push(b'?');
                to.extend_from_slice(&exchange.args);
            }
            return Some(Answer::response(Response::redirect(exchange, 301, to.into())));
        }
    }
    exchange.debug(|| format!("using configuration \"{}\"", exchange.location.name.text()));
    if exchange.location.core.internal() && !exchange.internal {
        return Some(Answer::Status(404));
    }
    let limit = exchange.location.client_body.max_size();
    if let Some(length) = exchange.body.declared_length()
        && limit != 0
        && length > limit
        && !exchange.internal
    {
        let message = format!("client intended to send too large body: {length} bytes");
        exchange.log(Level::Error, &message);
        exchange.body.refuse();
        return Some(Answer::Status(413));
    }
    exchange.body.limit(limit);
    None
}

/// Runs the rewrite program of the block in force; an `if` calls this for the block it enters.
pub fn rewrite(exchange: &mut Exchange) -> Rewritten {
    if exchange.location.plan.rewrite.is_empty() {
        return Rewritten::Unchanged;
    }
    let location = Arc::clone(&exchange.location);
    for rules in &location.plan.rewrite {
        match rules.rewrite(exchange) {
            Rewritten::Unchanged => (),
            changed => return changed,
        }
    }
    Rewritten::Unchanged
}

/// Spends one of the restarts that keep a rewrite cycle from running for ever.
fn restart(exchange: &mut Exchange) -> bool {
    exchange.restarts_left = exchange.restarts_left.saturating_sub(1);
    exchange.clear_state();
    exchange.handler_left = false;
    0 < exchange.restarts_left
}
