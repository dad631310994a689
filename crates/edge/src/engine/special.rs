//! Statuses to responses: `error_page` first, then the built-in pages. The only place that does it.

use bytes::Bytes;

use super::plan::Answer;
use crate::{
    exchange::Exchange,
    headers::Headers,
    modules::error_page::Instead,
    response::{Body, Response},
};

/// What a bare status becomes: a page, or the place that `error_page` names for it.
pub(super) fn page(exchange: &mut Exchange, status: u16) -> Answer {
    exchange.sent.status = status;
    exchange.debug(|| format!("special response: {status}, {}", exchange.shown_uri()));
    // After these the connection's state is in doubt, or the client's good will.
    if matches!(status, 400 | 413 | 414 | 494..=497 | 500 | 501) {
        exchange.request.keep_alive = false;
    }
    if let Some(instead) = instead(exchange, status) {
        return instead;
    }
    // A page that could not be had: the failure is told, and not what led to it.
    exchange.status_override = None;
    let mut response = builtin(exchange, status);
    if let Some(carried) = exchange.carried.take() {
        carry(&mut response, &carried.headers);
    }
    response.location = exchange.redirected_to.take();
    Answer::response(response)
}

/// A redirect of the server's own is a status like another: `error_page` is asked, and what it names
/// may say another place to go to. A redirect that an error's page answers with is no error any more.
pub(super) fn redirect(exchange: &mut Exchange, response: Box<Response>) -> Answer {
    exchange.sent.status = response.status;
    exchange.status_override = None;
    let Some(elsewhere) = instead(exchange, response.status) else {
        return Answer::Response(response);
    };
    exchange.redirected_to.clone_from(&response.location);
    elsewhere
}

/// A response that a family made itself is sent as it is, but for a status that the `error_page`
/// which led here overrides. (A family that wants its statuses intercepted answers with a bare one.)
pub(super) fn settle(exchange: &mut Exchange, mut response: Response) -> Response {
    if let Some(status) = exchange.status_override.take() {
        response.status = status;
        response.reason = None;
    }
    if response.location.is_none() && !response.headers.contains("location") {
        response.location = exchange.redirected_to.take();
    }
    if let Some(carried) = exchange.carried.take() {
        response.content_type = carried.content_type.or(response.content_type);
        carry(&mut response, &carried.headers);
    }
    exchange.sent.status = response.status;
    response
}

fn carry(response: &mut Response, headers: &Headers) {
    for header in headers {
        response.headers.push(header.name.clone(), header.value.clone());
    }
}

fn instead(exchange: &mut Exchange, status: u16) -> Option<Answer> {
    if exchange.error_page_asked || exchange.restarts_left == 0 {
        return None;
    }
    let location = std::sync::Arc::clone(&exchange.location);
    let pages = &location.error_pages;
    exchange.error_page_asked = !pages.recursive();
    let Instead { status: overwrite, to } = pages.find(status)?;
    exchange.status_override = match overwrite {
        // `=`: whatever answers says it.
        Some(0) => None,
        Some(other) => Some(*other),
        None if matches!(status, 494..=497) => Some(400),
        None => Some(status),
    };
    let to = to.render(exchange);
    Some(match to.first() {
        Some(b'/') => {
            // The page is fetched, whatever the request's method was; a named location is part of
            // the same request, and keeps it.
            exchange.answer_as_get();
            let (uri, args) = crate::uri::split_args(&to);
            Answer::Redirect { uri, args: Some(args) }
        }
        Some(b'@') => Answer::Named(String::from_utf8_lossy(&to).into_owned()),
        _ => {
            exchange.status_override = None;
            let redirect = overwrite.filter(|s| matches!(s, 301 | 302 | 303 | 307 | 308));
            Answer::response(Response::redirect(exchange, redirect.unwrap_or(302), to))
        }
    })
}

fn builtin(exchange: &Exchange, status: u16) -> Response {
    let mut response = Response::new(status);
    if !has_page(status) {
        return response;
    }
    response.content_type = Some(Bytes::from_static(b"text/html"));
    let core = &exchange.location.core;
    let mut page = builtin_page(status, core.server_token());
    let friendly = |agent: &[u8]| {
        [&b"MSIE "[..], b"Chrome/"].iter().any(|name| memchr::memmem::find(agent, name).is_some())
    };
    if status >= 400
        && core.msie_padding()
        && exchange.header("user-agent").is_some_and(|a| friendly(a))
    {
        page = [&page[..], &PADDING.repeat(6)].concat().into();
    }
    response.body = Body::Bytes(page);
    response
}

/// Browsers that show pages of their own in the place of short ones (`msie_padding`).
const PADDING: &[u8] = b"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n";

/// The statuses nginx has a page for; the others are sent without a body.
fn has_page(status: u16) -> bool {
    matches!(status, 301..=303 | 307 | 308 | 400..=406 | 408..=416 | 421 | 429 | 494..=497)
        || matches!(status, 500..=505 | 507)
}

/// nginx's page for a status: title, heading, rule, name of the server.
pub fn builtin_page(status: u16, server: &str) -> Bytes {
    // 494 to 497 are nginx's own, and are told to clients as 400.
    let (title, note) = match status {
        494 => ("400 Request Header Or Cookie Too Large", "Request Header Or Cookie Too Large"),
        495 => ("400 The SSL certificate error", "The SSL certificate error"),
        496 => ("400 No required SSL certificate was sent", "No required SSL certificate was sent"),
        497 => (
            "400 The plain HTTP request was sent to HTTPS port",
            "The plain HTTP request was sent to HTTPS port",
        ),
        _ => ("", ""),
    };
    let page = if title.is_empty() {
        // The page has other words for these than the status line.
        let reason = match status {
            302 => "Found",
            401 => "Authorization Required",
            _ => reason(status),
        };
        let title = format!("{status} {reason}");
        let title = title.trim_end();
        format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n\
             <center><h1>{title}</h1></center>\r\n<hr><center>{server}</center>\r\n</body>\r\n</html>\r\n"
        )
    } else {
        format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n\
             <center><h1>400 Bad Request</h1></center>\r\n<center>{note}</center>\r\n\
             <hr><center>{server}</center>\r\n</body>\r\n</html>\r\n"
        )
    };
    page.into()
}

/// nginx's reason phrases.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 | 494..=497 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}
