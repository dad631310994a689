//! One request being answered: the value every phase receives.

use std::{
    any::{Any, TypeId},
    cell::RefCell,
    rc::Rc,
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    body::{BodyError, RequestBody, Spool},
    connection::{Client, Remote},
    headers::Headers,
    load::{Http, Location, Server},
    log::Level,
    modules::limits::Limited,
    regex::Captures,
    response::Response,
    story::Story,
    vars::{Values, VarId},
};

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Exchange {
    /// The configuration the connection was accepted under, for as long as it lasts.
    pub http: Arc<Http>,
    pub client: Rc<Client>,
    pub request: Request,
    /// For whom the client speaks, where it is trusted to say so (`set_real_ip_from`).
    pub forwarded: Option<Remote>,
    /// The path that locations are compared with, as rewrites have left it.
    pub uri: Bytes,
    /// The query string, as rewrites have left it.
    pub args: Bytes,
    /// The path by which the location was found; another one was rewritten inside it.
    pub located: Bytes,
    pub body: RequestBody,
    pub server: Arc<Server>,
    /// The block in force: the server's own until a location is found.
    pub location: Arc<Location>,
    /// Whether the server has redirected the request itself: `internal` locations are open to it.
    pub internal: bool,
    /// Whether `try_files` has found the URI below an alias that otherwise names the file itself.
    pub below_alias: bool,
    /// In a cell, because a `map` that is only read may match a pattern.
    captures: RefCell<Captures>,
    /// What `error_page` has made of the status, while its page is fetched.
    pub status_override: Option<u16>,
    /// Whether a status has been taken to `error_page` already: only `recursive_error_pages` asks
    /// a second time.
    pub error_page_asked: bool,
    /// An `if` that had a handler of its own was left for one that has none: nobody can answer.
    pub handler_left: bool,
    /// Whether the target's path was written with `%XX` or `+`: what a rewrite takes from it into
    /// arguments or a redirect must be written so again.
    pub quoted_uri: bool,
    pub restarts_left: u8,
    /// How many requests of the server's own this one is inside of: 0 is the client's.
    pub depth: u8,
    /// What an upstream has said that belongs to the answer it redirected to.
    pub carried: Option<Carried>,
    /// Where a redirect led that `error_page` has put something else in the place of.
    pub redirected_to: Option<Bytes>,
    /// Another `limit_rate` than the location's, in bytes a second: by `set $limit_rate`, or by an
    /// upstream's `X-Accel-Limit-Rate`.
    pub limit_rate: Option<u64>,
    /// What limits have decided: once for each request, however often it starts over.
    pub limited: Limited,
    /// The response, while fields are added to it whose values may ask for others of it.
    pub pending: Option<Box<Response>>,
    /// What was sent, once it has been.
    pub sent: Sent,
    pub story: Story,
    states: States,
    kept: States,
    values: Values,
}

/// The request's head, as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The whole first line, for `$request`.
    pub line: Bytes,
    pub method: Bytes,
    /// As the client wrote it; `$request_uri` is what of it follows the host.
    pub target: Bytes,
    pub version: Protocol,
    pub headers: Headers,
    /// Lower-case, without port and final dot, from the target or the `Host` field.
    pub host: Option<Bytes>,
    /// What stands behind it, if anything does.
    pub port: Option<u16>,
    /// Whether the client wants the connection to last.
    pub keep_alive: bool,
    /// Whether it had come before the one before it was answered.
    pub pipelined: bool,
    /// The head's size in bytes.
    pub head_size: usize,
}

/// What a request is written in, in the order they were thought of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Http09,
    Http10,
    Http11,
    Http2,
}

impl From<http1::Version> for Protocol {
    fn from(version: http1::Version) -> Protocol {
        match version {
            http1::Version::Http09 => Protocol::Http09,
            http1::Version::Http10 => Protocol::Http10,
            http1::Version::Http11 => Protocol::Http11,
        }
    }
}

/// Fields that go along from one answer to the next: `X-Accel-Redirect`, `error_page` of a 401.
#[derive(Clone, Debug)]
pub struct Carried {
    pub content_type: Option<Bytes>,
    pub headers: Headers,
}

#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub status: u16,
    /// The response's type, from before the filters on: `expires` and `map` go by it.
    pub content_type: Option<Bytes>,
    /// What a text is said to be in whose parts are still being fetched: they must be in the same.
    pub charset: Option<Bytes>,
    /// The head as it was written, for `$sent_http_*`; over HTTP/2, its block.
    pub head: Vec<u8>,
    pub trailers: Headers,
    pub bytes: u64,
    pub body_bytes: u64,
    /// The whole answer has left; otherwise the client, or what was to be sent, broke off.
    pub complete: bool,
}

/// Values of families, by their types; most requests have none.
type States = Vec<(TypeId, Box<dyn Any>)>;

/// nginx's `NGX_HTTP_MAX_URI_CHANGES`, plus the first pass.
const MAX_RESTARTS: u8 = 11;

impl Exchange {
    pub fn new(
        http: &Arc<Http>,
        client: &Rc<Client>,
        server: &Arc<Server>,
        request: Request,
        body: RequestBody,
    ) -> Exchange {
        Exchange {
            http: Arc::clone(http),
            client: Rc::clone(client),
            forwarded: None,
            uri: Bytes::new(),
            args: Bytes::new(),
            located: Bytes::new(),
            body,
            location: Arc::clone(&server.outer),
            server: Arc::clone(server),
            internal: false,
            below_alias: false,
            captures: RefCell::default(),
            status_override: None,
            error_page_asked: false,
            handler_left: false,
            quoted_uri: false,
            restarts_left: MAX_RESTARTS,
            depth: 0,
            carried: None,
            redirected_to: None,
            limit_rate: None,
            limited: Limited::default(),
            pending: None,
            sent: Sent::default(),
            story: Story::new(&request),
            states: Vec::new(),
            kept: Vec::new(),
            values: Values::new(&http.linked),
            request,
        }
    }

    /// The same request once more, with what is known of it by now: for what goes on while its
    /// answer is written, and for requests of the server's own that it leads to. What families keep
    /// is not among it; `engine::twin` knows what of that a twin needs.
    pub(crate) fn twin(&self) -> Exchange {
        let request = self.request.clone();
        let mut twin =
            Exchange::new(&self.http, &self.client, &self.server, request, self.body.twin());
        twin.forwarded.clone_from(&self.forwarded);
        twin.uri.clone_from(&self.uri);
        twin.args.clone_from(&self.args);
        twin.located.clone_from(&self.located);
        twin.location = Arc::clone(&self.location);
        twin.internal = self.internal;
        twin.captures.clone_from(&self.captures);
        twin.quoted_uri = self.quoted_uri;
        twin.depth = self.depth;
        twin.limited = self.limited;
        twin.sent = self.sent.clone();
        twin.story = self.story.twin();
        twin.values = self.values.twin();
        twin
    }

    /// The request's own start again, at another place, by GET: what it was asked with stays.
    pub(crate) fn begin_again(&mut self, uri: Bytes, args: Bytes) {
        self.request.method = Bytes::from_static(b"GET");
        self.internal = true;
        self.quoted_uri = false;
        self.uri = uri;
        self.args = args;
        self.sent = Sent { charset: self.sent.charset.take(), ..Sent::default() };
    }

    /// The first field of this name in the request.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.request.headers.get(name)
    }

    pub fn var(&self, id: VarId) -> Option<Bytes> {
        self.values.get(self, id)
    }

    /// A variable by the name that a text has for it, which is in lower case.
    pub fn var_named(&self, name: &str) -> Option<Bytes> {
        self.values.get_named(self, name)
    }

    pub fn set_var(&self, id: VarId, value: Bytes) {
        self.values.set(id, value);
    }

    /// `$1` to `$9`: of the pattern that matched last.
    pub fn capture(&self, group: usize) -> Option<Bytes> {
        self.captures.borrow().get(group)
    }

    pub fn set_captures(&self, captures: Captures) {
        *self.captures.borrow_mut() = captures;
    }

    pub fn is_head(&self) -> bool {
        self.request.method == "HEAD"
    }

    /// A 401 goes with its question, whatever page tells it.
    pub fn carry_question(&mut self, question: impl Into<Bytes>) {
        let nothing = || Carried { content_type: None, headers: Headers::default() };
        let carried = self.carried.get_or_insert_with(nothing);
        carried.headers.set(QUESTION, question);
    }

    /// Who was asked has been let in by another check.
    pub fn withdraw_question(&mut self) {
        if let Some(carried) = &mut self.carried {
            carried.headers.remove(QUESTION);
        }
    }

    /// An error page is fetched with GET, whatever the request was; HEAD stays HEAD.
    pub fn answer_as_get(&mut self) {
        if !self.is_head() {
            self.request.method = Bytes::from_static(b"GET");
        }
    }

    /// The whole body of the request, kept as the location in force says.
    pub async fn spool_body(&mut self) -> Result<Rc<Spool>, BodyError> {
        if let Some(spool) = self.body.spooled() {
            return Ok(Rc::clone(spool));
        }
        let location = Arc::clone(&self.location);
        let spool = self.body.spool(&location.client_body.spool_rules()).await?;
        if let Some(path) = spool.path() {
            let asked_for = location.client_body.in_file_only();
            let level = if asked_for { Level::Notice } else { Level::Warn };
            let message = "a client request body is buffered to a temporary file";
            self.log(level, &format!("{message} {}", path.display()));
        }
        Ok(spool)
    }

    /// Whether the whole body is here without waiting for it: then nothing is lost by having it
    /// whole, and it can be asked for again.
    pub async fn has_whole_body(&mut self) -> Result<bool, BodyError> {
        let location = Arc::clone(&self.location);
        self.body.spool_what_is_here(&location.client_body.spool_rules()).await
    }

    /// A family's own state for this request, made on first use and dropped on a restart, as nginx
    /// clears its modules' contexts.
    pub fn state<T: Default + 'static>(&mut self) -> &mut T {
        state_in(&mut self.states)
    }

    /// The same for what outlives restarts: dropped with the request, however it ends.
    pub fn keep<T: Default + 'static>(&mut self) -> &mut T {
        state_in(&mut self.kept)
    }

    /// What [`Exchange::keep`] has made, if it has.
    pub fn kept<T: 'static>(&self) -> Option<&T> {
        self.kept.iter().find_map(|(_, value)| value.downcast_ref())
    }

    /// Who asks.
    pub fn remote(&self) -> &Remote {
        self.forwarded.as_ref().unwrap_or(&self.client.peer.remote)
    }

    pub(crate) fn clear_state(&mut self) {
        self.below_alias = false;
        self.states.clear();
    }

    /// One line in the error log of the block in force, with who asked for what.
    pub fn log(&self, level: Level, message: &str) {
        let (log, peer) = (&self.location.error_log, &self.client.peer);
        if peer.debugged {
            log.write_everywhere(level, peer.number, &self.describe(message));
        } else if log.wants(level) {
            log.write(level, Some(peer.number), &self.describe(message));
        }
    }

    /// One line for who wants to see which way requests go, made only if somebody does.
    pub fn debug(&self, message: impl FnOnce() -> String) {
        let (log, peer) = (&self.location.error_log, &self.client.peer);
        if peer.debugged {
            log.write_everywhere(Level::Debug, peer.number, &message());
        } else if log.wants(Level::Debug) {
            log.write(Level::Debug, Some(peer.number), &message());
        }
    }

    /// Path and arguments, for a line of the log.
    pub fn shown_uri(&self) -> String {
        let text = String::from_utf8_lossy;
        format!("\"{}?{}\"", text(&self.uri), text(&self.args))
    }

    /// The log as it is now, for what outlives this borrow: a body on its way.
    pub fn scribe(&self) -> Scribe {
        Scribe {
            location: Arc::clone(&self.location),
            connection: self.client.peer.number,
            who: self.describe(""),
        }
    }

    fn describe(&self, message: &str) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let client = text(self.remote().text());
        let mut line = format!("{message}, client: {client}, server: {}", self.server.name);
        let mut quoted = |name: &str, value: &str| line.extend([", ", name, ": \"", value, "\""]);
        if !self.request.line.is_empty() {
            quoted("request", &text(&self.request.line));
        }
        if self.depth > 0 {
            quoted("subrequest", &text(&self.uri));
        }
        if let Some(upstream) = self.story.upstream() {
            quoted("upstream", &upstream.url());
        }
        if let Some(host) = self.header("host") {
            quoted("host", &text(host));
        }
        if let Some(referrer) = self.header("referer") {
            quoted("referrer", &text(referrer));
        }
        if let Some(trace) = self.story.trace {
            quoted("trace", &trace.trace_id().to_string());
        }
        line
    }
}

const QUESTION: &str = "WWW-Authenticate";

fn state_in<T: Default + 'static>(states: &mut States) -> &mut T {
    let id = TypeId::of::<T>();
    let place = states.iter().position(|(known, _)| *known == id);
    let place = place.unwrap_or_else(|| {
        states.push((id, Box::new(T::default())));
        states.len() - 1
    });
    states[place].1.downcast_mut().expect("stored under its own type")
}

/// Writes lines about one request, without the exchange at hand.
pub struct Scribe {
    location: Arc<Location>,
    connection: u64,
    /// What follows the message: who asked for what.
    who: String,
}

impl Scribe {
    pub fn log(&self, level: Level, message: &str) {
        let log = &self.location.error_log;
        log.write(level, Some(self.connection), &format!("{message}{}", self.who));
    }
}
