//! Answers of our own: small, plain, saying why. In gunicorn's layout, which operators know.

use bytes::Bytes;

use crate::clock::http_date;

/// Whether the connection lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    KeepAlive,
    Close,
}

impl Persistence {
    pub(crate) fn field(self) -> &'static str {
        match self {
            Persistence::KeepAlive => "Connection: keep-alive\r\n",
            Persistence::Close => "Connection: close\r\n",
        }
    }
}

pub(crate) struct Page {
    pub(crate) bytes: Bytes,
    pub(crate) body_length: u64,
}

/// `more` are complete fields, without line ends.
pub(crate) fn page(status: u16, message: &str, persistence: Persistence, more: &[&str]) -> Page {
    let reason = reason(status);
    let message = escape(message);
    let body = format!(
        "<html>\n  <head>\n    <title>{reason}</title>\n  </head>\n  <body>\n    \
         <h1><p>{reason}</p></h1>\n    {message}\n  </body>\n</html>\n"
    );
    let date = http_date();
    let date = std::str::from_utf8(&date).unwrap_or_default();
    let more = more.iter().flat_map(|field| [field, "\r\n"]).collect::<String>();
    let text = format!(
        "HTTP/1.1 {status} {reason}\r\nServer: {SERVER}\r\nDate: {date}\r\n{}\
         Content-Type: text/html; charset=utf-8\r\n{more}Content-Length: {}\r\n\r\n{body}",
        persistence.field(),
        body.len(),
    );
    Page { bytes: text.into(), body_length: body.len() as u64 }
}

/// `Server:`'s value where the application gives none.
pub(crate) const SERVER: &str = "causeway-gateway";

/// What stands after the number where the application leaves it out.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        507 => "Insufficient Storage",
        _ => "",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_why_and_runs_nothing() {
        let page = page(400, "<script>", Persistence::Close, &["Retry-After: 1"]);
        let text = std::str::from_utf8(&page.bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"));
        assert!(head.contains("\r\nConnection: close\r\n"));
        assert!(head.contains("\r\nRetry-After: 1\r\n"));
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
        assert!(body.contains("&lt;script&gt;"));
    }
}
