//! What nearly every request asks for: limits and times of a connection, `root` and `alias`,
//! redirects, tokens. nginx calls this family core, too.

mod root; // which file a URI means
mod values; // what is said, or what holds unsaid

use std::{sync::Arc, time::Duration};

use root::{Root, RootKind};

use crate::{
    conf::ConfError,
    engine::plan::Plan,
    load::{
        Args,
        Arity::{AtLeast, Between, Exactly},
        Block, Body, Directive, Module, Scope, Setting, Site, block, directive,
    },
};

#[derive(Clone, Default)]
pub struct Core {
    root: Setting<Root>,
    internal: bool,
    /// The methods that stay, and the unnamed location for the others.
    limit_except: Option<(Vec<&'static str>, Scope)>,
    satisfy: Setting<Satisfy>,
    client_header_timeout: Setting<Duration>,
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
        directive("client_header_timeout", SERVER, Exactly(1), |core, args| {
            core.client_header_timeout.set(args.time(0)?, args)
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
        self.client_header_timeout.inherit(&outer.client_header_timeout);
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
}
