//! What nearly every request asks for: limits and times of a connection, `root` and `alias`,
//! redirects, tokens. nginx calls this family core, too.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    conf::ConfError,
    engine::plan::Plan,
    exchange::Exchange,
    load::{
        Args,
        Arity::{AtLeast, Between, Exactly},
        Block, Body, Directive, Module, Name, Scope, Setting, Site, block, directive,
    },
    vars::Template,
};

#[derive(Clone, Default)]
pub struct Core {
    root: Setting<Root>,
    internal: bool,
    /// The methods that stay, and the unnamed location for the others.
    limit_except: Option<(Vec<&'static str>, Scope)>,
    satisfy: Setting<Satisfy>,
    client_max_body_size: Setting<u64>,
    client_body_buffer_size: Setting<u64>,
    client_body_temp_path: Setting<PathBuf>,
    client_header_timeout: Setting<Duration>,
    client_body_timeout: Setting<Duration>,
    send_timeout: Setting<Duration>,
    keepalive_timeout: Setting<(Duration, Option<Duration>)>,
    keepalive_requests: Setting<u64>,
    large_client_header_buffers: Setting<HeaderBuffers>,
    client_header_buffer_size: Setting<u64>,
    max_headers: Setting<usize>,
    lingering_close: Setting<LingeringClose>,
    keepalive_disable: Setting<Vec<Browser>>,
    reset_timedout_connection: Setting<bool>,
    lingering_time: Setting<Duration>,
    lingering_timeout: Setting<Duration>,
    sendfile: Setting<bool>,
    tcp_nopush: Setting<bool>,
    tcp_nodelay: Setting<bool>,
    log_not_found: Setting<bool>,
    server_tokens: Setting<bool>,
    merge_slashes: Setting<bool>,
    underscores_in_headers: Setting<bool>,
    ignore_invalid_headers: Setting<bool>,
    absolute_redirect: Setting<bool>,
    server_name_in_redirect: Setting<bool>,
    port_in_redirect: Setting<bool>,
    chunked_transfer_encoding: Setting<bool>,
}

/// Which folder a location's files are in.
#[derive(Clone)]
struct Root {
    path: Template,
    kind: RootKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RootKind {
    /// The whole URI is looked up below it.
    Root,
    /// It stands for the location's own name.
    Alias,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Satisfy {
    All,
    Any,
}

/// When a connection is read on before it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LingeringClose {
    Off,
    /// Where the client may still be sending.
    On,
    Always,
}

/// Browsers that `keepalive_disable` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// Only their POSTs.
    Msie6,
    Safari,
}

/// How large a request's head may be: each line, and how many of that size.
#[derive(Clone, Copy, Debug)]
pub struct HeaderBuffers {
    pub number: usize,
    pub size: usize,
}

const HTTP: &[Block] = &[Block::Http, Block::Server, Block::Location];
const HTTP_IF: &[Block] = &[Block::Http, Block::Server, Block::Location, Block::If];
const SERVER: &[Block] = &[Block::Http, Block::Server];
const ONLY_HTTP: &[Block] = &[Block::Http];

fn read_number(_: &mut Core, args: &mut Args<'_>) -> Result<(), ConfError> {
    args.number::<u64>(0).map(|_| ())
}

impl Module for Core {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("root", HTTP_IF, Exactly(1), |core, args| core.set_root(RootKind::Root, args)),
        directive("alias", &[Block::Location], Exactly(1), |core, args| {
            core.set_root(RootKind::Alias, args)
        }),
        directive("internal", &[Block::Location], Exactly(0), |core, _| {
            core.internal = true;
            Ok(())
        }),
        block("limit_except", &[Block::Location], AtLeast(1), Body::Own, Core::set_limit_except),
        directive("satisfy", HTTP, Exactly(1), |core, args| {
            let satisfy = match args.word(0) {
                "all" => Satisfy::All,
                "any" => Satisfy::Any,
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            };
            core.satisfy.set(satisfy, args)
        }),
        directive("client_max_body_size", HTTP, Exactly(1), |core, args| {
            core.client_max_body_size.set(args.size(0)?, args)
        }),
        directive("client_body_buffer_size", HTTP, Exactly(1), |core, args| {
            core.client_body_buffer_size.set(args.size(0)?, args)
        }),
        directive("client_body_temp_path", HTTP, Between(1, 4), |core, args| {
            core.client_body_temp_path.set(args.path(0), args)
        }),
        directive("client_header_timeout", SERVER, Exactly(1), |core, args| {
            core.client_header_timeout.set(args.time(0)?, args)
        }),
        directive("client_body_timeout", HTTP, Exactly(1), |core, args| {
            core.client_body_timeout.set(args.time(0)?, args)
        }),
        directive("send_timeout", HTTP, Exactly(1), |core, args| {
            core.send_timeout.set(args.time(0)?, args)
        }),
        directive("keepalive_timeout", HTTP, Between(1, 2), |core, args| {
            let header = args.get(1).map(|_| args.time(1)).transpose()?;
            core.keepalive_timeout.set((args.time(0)?, header), args)
        }),
        directive("keepalive_requests", HTTP, Exactly(1), |core, args| {
            core.keepalive_requests.set(args.number(0)?, args)
        }),
        directive("large_client_header_buffers", SERVER, Exactly(2), |core, args| {
            let (number, size) = (args.number(0)?, args.size(1)? as usize);
            if number == 0 || size == 0 {
                return Err(args.refuse("invalid value"));
            }
            core.large_client_header_buffers.set(HeaderBuffers { number, size }, args)
        }),
        // One buffer grows as it is needed; the size is read so that a wrong one is named.
        directive("client_header_buffer_size", SERVER, Exactly(1), |core, args| {
            core.client_header_buffer_size.set(args.size(0)?, args)
        }),
        directive("max_headers", SERVER, Exactly(1), |core, args| {
            core.max_headers.set(args.number(0)?, args)
        }),
        directive("lingering_close", HTTP, Exactly(1), |core, args| {
            let when = match args.word(0) {
                "off" => LingeringClose::Off,
                "on" => LingeringClose::On,
                "always" => LingeringClose::Always,
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            };
            core.lingering_close.set(when, args)
        }),
        directive("keepalive_disable", HTTP, Between(1, 2), |core, args| {
            let mut browsers = Vec::new();
            for word in args.words() {
                match word.text.as_str() {
                    "none" => (),
                    "msie6" => browsers.push(Browser::Msie6),
                    "safari" => browsers.push(Browser::Safari),
                    word => return Err(args.complain(format!("invalid value \"{word}\""))),
                }
            }
            core.keepalive_disable.set(browsers, args)
        }),
        directive("reset_timedout_connection", HTTP, Exactly(1), |core, args| {
            core.reset_timedout_connection.set(args.flag()?, args)
        }),
        // Tables grow as they need to; the numbers are read so that a wrong one is named.
        directive("server_names_hash_max_size", ONLY_HTTP, Exactly(1), read_number),
        directive("server_names_hash_bucket_size", ONLY_HTTP, Exactly(1), read_number),
        directive("variables_hash_max_size", ONLY_HTTP, Exactly(1), read_number),
        directive("variables_hash_bucket_size", ONLY_HTTP, Exactly(1), read_number),
        directive("lingering_time", HTTP, Exactly(1), |core, args| {
            core.lingering_time.set(args.time(0)?, args)
        }),
        directive("lingering_timeout", HTTP, Exactly(1), |core, args| {
            core.lingering_timeout.set(args.time(0)?, args)
        }),
        directive("sendfile", HTTP_IF, Exactly(1), |core, args| {
            core.sendfile.set(args.flag()?, args)
        }),
        directive("tcp_nopush", HTTP, Exactly(1), |core, args| {
            core.tcp_nopush.set(args.flag()?, args)
        }),
        directive("tcp_nodelay", HTTP, Exactly(1), |core, args| {
            core.tcp_nodelay.set(args.flag()?, args)
        }),
        directive("log_not_found", HTTP, Exactly(1), |core, args| {
            core.log_not_found.set(args.flag()?, args)
        }),
        directive("server_tokens", HTTP, Exactly(1), |core, args| {
            core.server_tokens.set(args.flag()?, args)
        }),
        directive("merge_slashes", SERVER, Exactly(1), |core, args| {
            core.merge_slashes.set(args.flag()?, args)
        }),
        directive("underscores_in_headers", SERVER, Exactly(1), |core, args| {
            core.underscores_in_headers.set(args.flag()?, args)
        }),
        directive("ignore_invalid_headers", SERVER, Exactly(1), |core, args| {
            core.ignore_invalid_headers.set(args.flag()?, args)
        }),
        directive("absolute_redirect", HTTP, Exactly(1), |core, args| {
            core.absolute_redirect.set(args.flag()?, args)
        }),
        directive("server_name_in_redirect", HTTP, Exactly(1), |core, args| {
            core.server_name_in_redirect.set(args.flag()?, args)
        }),
        directive("port_in_redirect", HTTP, Exactly(1), |core, args| {
            core.port_in_redirect.set(args.flag()?, args)
        }),
        directive("chunked_transfer_encoding", HTTP, Exactly(1), |core, args| {
            core.chunked_transfer_encoding.set(args.flag()?, args)
        }),
    ];

    fn inherit(&mut self, outer: &Self, into: Block) {
        self.root.inherit(&outer.root);
        // An `if` is a part of its location; a nested location says for itself who may enter.
        self.internal |= outer.internal && into.is_unnamed();
        self.satisfy.inherit(&outer.satisfy);
        self.client_max_body_size.inherit(&outer.client_max_body_size);
        self.client_body_buffer_size.inherit(&outer.client_body_buffer_size);
        self.client_body_temp_path.inherit(&outer.client_body_temp_path);
        self.client_header_timeout.inherit(&outer.client_header_timeout);
        self.client_body_timeout.inherit(&outer.client_body_timeout);
        self.send_timeout.inherit(&outer.send_timeout);
        self.keepalive_timeout.inherit(&outer.keepalive_timeout);
        self.keepalive_requests.inherit(&outer.keepalive_requests);
        self.large_client_header_buffers.inherit(&outer.large_client_header_buffers);
        self.client_header_buffer_size.inherit(&outer.client_header_buffer_size);
        self.max_headers.inherit(&outer.max_headers);
        self.lingering_close.inherit(&outer.lingering_close);
        self.keepalive_disable.inherit(&outer.keepalive_disable);
        self.reset_timedout_connection.inherit(&outer.reset_timedout_connection);
        self.lingering_time.inherit(&outer.lingering_time);
        self.lingering_timeout.inherit(&outer.lingering_timeout);
        self.sendfile.inherit(&outer.sendfile);
        self.tcp_nopush.inherit(&outer.tcp_nopush);
        self.tcp_nodelay.inherit(&outer.tcp_nodelay);
        self.log_not_found.inherit(&outer.log_not_found);
        self.server_tokens.inherit(&outer.server_tokens);
        self.merge_slashes.inherit(&outer.merge_slashes);
        self.underscores_in_headers.inherit(&outer.underscores_in_headers);
        self.ignore_invalid_headers.inherit(&outer.ignore_invalid_headers);
        self.absolute_redirect.inherit(&outer.absolute_redirect);
        self.server_name_in_redirect.inherit(&outer.server_name_in_redirect);
        self.port_in_redirect.inherit(&outer.port_in_redirect);
        self.chunked_transfer_encoding.inherit(&outer.chunked_transfer_encoding);
    }

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl Core {
    fn set_root(&mut self, kind: RootKind, args: &mut Args<'_>) -> Result<(), ConfError> {
        if let Some(root) = self.root.said() {
            let name = match kind {
                RootKind::Root => "root",
                RootKind::Alias => "alias",
            };
            let other = match root.kind {
                RootKind::Root => "root",
                RootKind::Alias => "alias",
            };
            return Err(if name == other {
                args.refuse("is duplicate")
            } else {
                args.complain(format!(
                    "\"{name}\" directive is duplicate, \"{other}\" directive was specified earlier"
                ))
            });
        }
        let word = args.word(0);
        let path = if word.starts_with('/') || word.starts_with('$') {
            word.to_owned()
        } else {
            args.loader.prefix.join(word).to_string_lossy().into_owned()
        };
        let path = if kind == RootKind::Root { path.trim_end_matches('/') } else { &path };
        let path = args.template_of(path)?;
        self.root.set(Root { path, kind }, args)
    }

    fn set_limit_except(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        const METHODS: &[&str] = &[
            "GET",
            "HEAD",
            "POST",
            "PUT",
            "DELETE",
            "MKCOL",
            "COPY",
            "MOVE",
            "OPTIONS",
            "PROPFIND",
            "PROPPATCH",
            "LOCK",
            "UNLOCK",
            "PATCH",
        ];
        if self.limit_except.is_some() {
            return Err(args.refuse("is duplicate"));
        }
        let mut methods = Vec::new();
        for word in args.words() {
            let known = METHODS.iter().find(|method| method.eq_ignore_ascii_case(&word.text));
            let Some(method) = known else {
                return Err(args.complain(format!("invalid method \"{}\"", word.text)));
            };
            methods.push(*method);
        }
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        let scope = args.scope(Block::LimitExcept)?;
        self.limit_except = Some((methods, scope));
        Ok(())
    }

    /// Where a request of this method goes instead, if `limit_except` does not name it.
    pub fn limit_except(&self, method: &[u8]) -> Option<Scope> {
        let (methods, scope) = self.limit_except.as_ref()?;
        (!methods.iter().any(|known| known.as_bytes() == method)).then_some(*scope)
    }

    /// The file a URI means: `root` + URI, or `alias` in place of the location's name.
    /// `None`: no file can (an alias under a name the URI does not begin with, or a step out of
    /// the alias, which a request must not take).
    pub fn map(&self, exchange: &Exchange) -> Option<PathBuf> {
        self.map_uri(exchange, &exchange.uri)
    }

    pub fn map_uri(&self, exchange: &Exchange, uri: &[u8]) -> Option<PathBuf> {
        let mut path = Vec::with_capacity(64);
        match self.root.said() {
            None => path.extend_from_slice(b"html"),
            Some(root) => {
                root.path.render_into(exchange, &mut path);
                // Nobody writes `..` after a variable: it came with the request.
                if root.path.as_literal().is_none() && steps_up(&path) {
                    return None;
                }
            }
        }
        if self.is_alias() {
            match &exchange.location.name {
                // The pattern's alias names the file itself.
                Name::Pattern(..) => return Some(to_path(path)),
                name => {
                    let name = name.prefix().unwrap_or_default();
                    let rest = uri.strip_prefix(name.as_bytes())?;
                    // `location /static { alias /x/static/; }` and `/static../secret`: nginx serves
                    // /x/secret; here an alias is the end of the way up.
                    if steps_up(rest) {
                        return None;
                    }
                    path.extend_from_slice(rest);
                }
            }
        } else {
            path.extend_from_slice(uri);
        }
        Some(to_path(path))
    }

    /// `$document_root`.
    pub fn document_root(&self, exchange: &Exchange) -> PathBuf {
        let root = self.root.said().map(|root| root.path.render(exchange));
        root.map_or_else(|| PathBuf::from("html"), |root| to_path(root.to_vec()))
    }

    pub fn is_alias(&self) -> bool {
        self.root.said().is_some_and(|root| root.kind == RootKind::Alias)
    }

    pub fn internal(&self) -> bool {
        self.internal
    }

    pub fn satisfy(&self) -> Satisfy {
        self.satisfy.or(Satisfy::All)
    }

    /// 0 is no limit.
    pub fn client_max_body_size(&self) -> u64 {
        self.client_max_body_size.or(1 << 20)
    }

    /// What of a request's body is kept in memory; the rest goes to a file.
    pub fn client_body_buffer_size(&self) -> u64 {
        self.client_body_buffer_size.or(16 << 10)
    }

    pub fn client_body_temp_path(&self) -> Option<&Path> {
        self.client_body_temp_path.said().map(PathBuf::as_path)
    }

    pub fn client_header_timeout(&self) -> Duration {
        self.client_header_timeout.or(MINUTE)
    }

    pub fn client_body_timeout(&self) -> Duration {
        self.client_body_timeout.or(MINUTE)
    }

    pub fn send_timeout(&self) -> Duration {
        self.send_timeout.or(MINUTE)
    }

    pub fn keepalive_timeout(&self) -> Duration {
        self.keepalive_timeout.or((Duration::from_secs(75), None)).0
    }

    /// What the `Keep-Alive` field says, if it is sent.
    pub fn keepalive_header(&self) -> Option<Duration> {
        self.keepalive_timeout.said().and_then(|(_, header)| *header)
    }

    pub fn keepalive_requests(&self) -> u64 {
        self.keepalive_requests.or(1000)
    }

    pub fn large_client_header_buffers(&self) -> HeaderBuffers {
        self.large_client_header_buffers.or(HeaderBuffers { number: 4, size: 8 << 10 })
    }

    pub fn max_headers(&self) -> usize {
        self.max_headers.or(1000)
    }

    pub fn lingering_close(&self) -> LingeringClose {
        self.lingering_close.or(LingeringClose::On)
    }

    /// Whether the client is a browser whose connections must not be kept.
    pub fn keepalive_disabled(&self, agent: &[u8], method: &[u8]) -> bool {
        let contains = |text: &[u8]| memchr::memmem::find(agent, text).is_some();
        let disabled = |browser: &Browser| match browser {
            Browser::Msie6 => {
                method == b"POST"
                    && !contains(b"SV1")
                    && [b"MSIE 4.", b"MSIE 5.", b"MSIE 6."].iter().any(|name| contains(&name[..]))
            }
            Browser::Safari => contains(b"Safari/") && contains(b"Mac OS X"),
        };
        match self.keepalive_disable.said() {
            None => disabled(&Browser::Msie6),
            Some(browsers) => browsers.iter().any(disabled),
        }
    }

    /// Whether a client that is not waited for any more is told so with a reset.
    pub fn reset_timedout_connection(&self) -> bool {
        self.reset_timedout_connection.or(false)
    }

    pub fn lingering_time(&self) -> Duration {
        self.lingering_time.or(Duration::from_secs(30))
    }

    pub fn lingering_timeout(&self) -> Duration {
        self.lingering_timeout.or(Duration::from_secs(5))
    }

    pub fn sendfile(&self) -> bool {
        self.sendfile.or(false)
    }

    pub fn tcp_nopush(&self) -> bool {
        self.tcp_nopush.or(false)
    }

    pub fn tcp_nodelay(&self) -> bool {
        self.tcp_nodelay.or(true)
    }

    pub fn log_not_found(&self) -> bool {
        self.log_not_found.or(true)
    }

    /// What the `Server` field and the built-in pages say.
    pub fn server_token(&self) -> &'static str {
        if self.server_tokens.or(true) { crate::SERVER_TOKEN } else { crate::SERVER_NAME }
    }

    pub fn merge_slashes(&self) -> bool {
        self.merge_slashes.or(true)
    }

    pub fn underscores_in_headers(&self) -> bool {
        self.underscores_in_headers.or(false)
    }

    pub fn ignore_invalid_headers(&self) -> bool {
        self.ignore_invalid_headers.or(true)
    }

    pub fn absolute_redirect(&self) -> bool {
        self.absolute_redirect.or(true)
    }

    pub fn server_name_in_redirect(&self) -> bool {
        self.server_name_in_redirect.or(false)
    }

    pub fn port_in_redirect(&self) -> bool {
        self.port_in_redirect.or(true)
    }

    pub fn chunked_transfer_encoding(&self) -> bool {
        self.chunked_transfer_encoding.or(true)
    }
}

const MINUTE: Duration = Duration::from_mins(1);

fn steps_up(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|segment| segment == b"..")
}

fn to_path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}
