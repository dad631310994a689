//! What is sent back: a head whose well-known fields have types, and a body that says where its
//! bytes are, so that a file nobody changes can go by sendfile.

use std::{
    fs::File,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use crate::{exchange::Exchange, headers::Headers};

pub struct Response {
    pub status: u16,
    /// An upstream's own phrase; without one, nginx's.
    pub reason: Option<Bytes>,
    pub content_type: Option<Bytes>,
    /// Appended to a text type: `charset`.
    pub charset: Option<Bytes>,
    /// Seconds since 1970.
    pub last_modified: Option<u64>,
    /// What a redirect names; made absolute when it is written, if the configuration says so.
    pub location: Option<Bytes>,
    /// Everything else, in order.
    pub headers: Headers,
    pub body: Body,
    /// Who has fields to send after the body, in order. Where there are any, HTTP/1.1 sends the body
    /// in chunks, whatever its length.
    pub trailers: Vec<Arc<dyn Trailers>>,
    /// Whether ranges of the body may be asked for.
    pub ranges: bool,
    /// What is sent hangs on `Accept-Encoding`, and caches must know.
    pub vary: bool,
    /// An upstream has answered: whether its answer is still good is its own decision, and no
    /// condition of the request is looked at again.
    pub from_upstream: bool,
}

pub enum Body {
    Empty,
    Bytes(Bytes),
    /// Parts of files and text, one after the other: a file, or a multipart answer.
    Parts(Vec<Part>),
    Stream(Stream),
    /// A length is known, but no byte of it will come: the answer to HEAD.
    Absent(Option<u64>),
    /// 101: from here on the connection belongs to what the upgrade was for.
    Tunnel(Box<dyn Tunnel>),
}

pub enum Part {
    Bytes(Bytes),
    File(FilePart),
}

/// A stretch of an open file.
#[derive(Clone)]
pub struct FilePart {
    pub file: Rc<File>,
    pub offset: u64,
    pub length: u64,
}

/// Bytes that come as they are made.
pub struct Stream {
    /// Known beforehand, or not.
    pub length: Option<u64>,
    pub source: Box<dyn Source>,
}

/// Where a stream's bytes come from.
pub trait Source {
    /// The next bytes, never empty; `None` after the last. An error breaks the connection, so that
    /// the client can tell a body that ended from one that broke.
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>>;

    /// Goes on fetching while the client is too slow to take what there is, so that whoever makes
    /// the bytes is not held up. A source that wraps another passes this on.
    fn poll_ahead(&mut self, _context: &mut Context<'_>) {}

    /// Whether it is known, without waiting, that the last byte has been given out.
    fn is_finished(&self) -> bool {
        false
    }
}

/// Fields that are only known when the body has been sent.
pub trait Trailers {
    /// Adds them to `exchange.sent.trailers`.
    fn write(&self, exchange: &mut Exchange);
}

/// What an upgraded connection is handed to. Gives back how many bytes it has sent the client.
pub trait Tunnel {
    fn run(
        self: Box<Self>,
        client: Rc<crate::connection::Client>,
    ) -> std::pin::Pin<Box<dyn Future<Output = u64>>>;
}

impl Response {
    pub fn new(status: u16) -> Response {
        Response {
            status,
            reason: None,
            content_type: None,
            charset: None,
            last_modified: None,
            location: None,
            headers: Headers::default(),
            body: Body::Empty,
            trailers: Vec::new(),
            ranges: false,
            from_upstream: false,
            vary: false,
        }
    }

    /// A redirect for the client, with nginx's page for those who look at it.
    pub fn redirect(exchange: &Exchange, status: u16, to: Bytes) -> Response {
        let mut response = Response::new(status);
        response.location = Some(crate::headers::one_line(to));
        response.content_type = Some(Bytes::from_static(b"text/html"));
        let page = crate::engine::builtin_page(status, exchange.location.core.server_token());
        response.body = Body::Bytes(page);
        response
    }

    /// A redirect that was made here, and which `error_page` may have its say about.
    pub fn is_own_redirect(&self) -> bool {
        self.location.is_some()
            && !self.from_upstream
            && matches!(self.status, 301 | 302 | 303 | 307 | 308)
    }
}

impl Response {
    /// The bytes are others now, although they say the same.
    pub fn weaken_etag(&mut self) {
        let Some(etag) = self.headers.get("ETag").cloned() else { return };
        if etag.starts_with(b"W/") {
            return;
        }
        let weak = etag.starts_with(b"\"").then(|| Bytes::from([b"W/", &etag[..]].concat()));
        self.headers.replace("ETag", weak);
    }
}

impl Body {
    pub fn length(&self) -> Option<u64> {
        match self {
            Body::Empty => Some(0),
            Body::Bytes(bytes) => Some(bytes.len() as u64),
            Body::Parts(parts) => Some(parts.iter().map(Part::length).sum()),
            Body::Stream(stream) => stream.length,
            Body::Absent(length) => *length,
            Body::Tunnel(_) => None,
        }
    }
}

impl Part {
    pub fn length(&self) -> u64 {
        match self {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::File(file) => file.length,
        }
    }
}
