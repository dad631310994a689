//! Statuses to responses: `error_page` first, then the built-in pages. The only place that does it.

use bytes::Bytes;

use super::plan::Answer;
use crate::{
    exchange::Exchange,
    modules::error_page::Instead,
    response::{Body, Response},
};

/// What a bare status becomes: a page, or the place that `error_page` names for it.
pub(super) fn page(exchange: &mut Exchange, status: u16) -> Answer {
    exchange.sent.status = status;
    if let Some(instead) = instead(exchange, status) {
        return instead;
    }
    let status = exchange.status_override.take().unwrap_or(status);
    Answer::response(builtin(exchange, status))
}

/// A response that a family made itself is sent as it is, but for a status that the `error_page`
/// which led here overrides. (A family that wants its statuses intercepted answers with a bare one.)
pub(super) fn settle(exchange: &mut Exchange, mut response: Response) -> Response {
    if let Some(status) = exchange.status_override.take() {
        response.status = status;
    }
    exchange.sent.status = response.status;
    response
}

fn instead(exchange: &mut Exchange, status: u16) -> Option<Answer> {
    if exchange.status_override.is_some() && !exchange.location.error_pages.recursive() {
        return None;
    }
    let location = std::sync::Arc::clone(&exchange.location);
    let Instead { status: overwrite, to } = location.error_pages.find(status)?;
    exchange.status_override = Some(overwrite.unwrap_or(status));
    // The page is fetched, whatever the request's method was.
    exchange.answer_as_get();
    let to = to.render(exchange);
    Some(match to.first() {
        Some(b'/') => {
            let (uri, args) = crate::uri::split_args(&to);
            Answer::Redirect { uri, args: Some(args) }
        }
        Some(b'@') => Answer::Named(String::from_utf8_lossy(&to).into_owned()),
        _ => {
            let redirect = exchange.status_override.take().filter(|s| (300..400).contains(s));
            Answer::response(Response::redirect(exchange, redirect.unwrap_or(302), to))
        }
    })
}

fn builtin(exchange: &Exchange, status: u16) -> Response {
    let mut response = Response::new(status);
    if status == 204 || status == 304 || status < 200 {
        return response;
    }
    response.content_type = Some(Bytes::from_static(b"text/html"));
    response.body = Body::Bytes(builtin_page(status, exchange.location.core.server_token()));
    response
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
        let title = format!("{status} {}", reason(status));
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
