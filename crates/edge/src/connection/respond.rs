//! A response on its way: how its end is told, whether the connection lasts, and what is said in the
//! log when it breaks off.

use super::{
    ClientError, http2,
    pace::Pace,
    response_head,
    writer::{SendError, Writer},
};
use crate::{
    exchange::{Exchange, Protocol},
    log::Level,
    modules::core::LingeringClose,
    process::Drain,
    response::{Body, Response},
};

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    Keep,
    Close,
    /// The same, because the client took too long.
    TimedOut,
    /// The client may still be sending: close so that it can read the answer first.
    Linger,
}

pub(super) async fn send(
    exchange: &mut Exchange,
    mut response: Response,
    drain: &Drain,
) -> Connection {
    let bodiless =
        exchange.is_head() || matches!(response.status, 204 | 304) || response.status < 200;
    if bodiless && !matches!(response.body, Body::Tunnel(_)) {
        let length = if exchange.is_head() { response.body.length() } else { None };
        response.body = Body::Absent(length);
    }
    let core = std::sync::Arc::clone(&exchange.location.core);
    // A body that nobody began to read can be dropped as it comes, after the answer.
    let untouched = exchange.body.is_untouched();
    let read = exchange.body.is_read() || exchange.body.discard_buffered();
    let chunked = exchange.request.version == Protocol::Http11
        && (response.body.length().is_none() || !response.trailers.is_empty())
        && !bodiless
        && core.chunked_transfer_encoding();
    // After a tunnel nobody speaks of requests any more.
    let tunnel = matches!(response.body, Body::Tunnel(_));
    let delimited = !tunnel && (chunked || bodiless || response.body.length().is_some());
    let keep = exchange.request.keep_alive
        && (read || untouched && !exchange.body.is_broken())
        && delimited
        && !core.keepalive_timeout().is_zero()
        && !exchange
            .header("user-agent")
            .is_some_and(|agent| core.keepalive_disabled(agent, &exchange.request.method))
        && exchange.client.peer.requests.get() < core.keepalive_requests()
        && exchange.client.peer.age() <= core.keepalive_time()
        && !drain.has_begun();
    exchange.sent.status = response.status;
    let head = match exchange.request.version {
        Protocol::Http09 => Vec::new(),
        Protocol::Http10 | Protocol::Http11 => {
            response_head::lines(exchange, &core, &response, chunked, keep)
        }
        Protocol::Http2 => http2::response::head(exchange, &core, &response),
    };
    let client = std::rc::Rc::clone(&exchange.client);
    let trailers = response.trailers;
    let pace = Pace::of(exchange);
    let mut writer =
        Writer { client: &client, core: &core, exchange, head, chunked, trailers, pace };
    let sent = match writer.body(response.body).await {
        Ok(()) => writer.end(bodiless).await,
        broken => broken,
    };
    match sent {
        Ok(()) => exchange.sent.complete = true,
        Err(SendError::Client(error)) => {
            exchange.log(Level::Info, &format!("{error} while sending to client"));
            if matches!(error, ClientError::Timeout) && core.reset_timedout_connection() {
                client.reset_on_close();
            }
            let late = matches!(error, ClientError::Timeout);
            return if late { Connection::TimedOut } else { Connection::Close };
        }
        Err(SendError::Body(error)) => {
            // The client must see that it broke.
            client.break_off();
            let left = error.kind() == std::io::ErrorKind::ConnectionAborted;
            let level = if left { Level::Info } else { Level::Error };
            exchange.log(level, &error.to_string());
            return Connection::Close;
        }
    }
    match (keep, core.lingering_close()) {
        (true, _) => Connection::Keep,
        (false, LingeringClose::Always) => Connection::Linger,
        (false, LingeringClose::On) if !read => Connection::Linger,
        (false, LingeringClose::On | LingeringClose::Off) => Connection::Close,
    }
}
