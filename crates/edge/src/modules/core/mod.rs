//! What nearly every request asks for: limits and times of a connection, `root` and `alias`,
//! redirects, tokens. nginx calls this family core, too.

mod root; // which file a URI means
mod settings; // what is a word each
mod keepalive; // whose connections last, and for how long

use std::sync::Arc;

use keepalive::KeepAlive;
use root::{Root, RootKind};
pub use settings::{LingeringClose, Satisfy};

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
    settings: settings::Settings,
    keepalive: KeepAlive,
    large_client_header_buffers: Setting<HeaderBuffers>,
    server_tokens: Setting<&'static str>,
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
        directive("keepalive_timeout", HTTP, Between(1, 2), Core::set_keepalive_timeout),
        directive("keepalive_disable", HTTP, Between(1, 2), Core::set_keepalive_disable),
        directive("large_client_header_buffers", SERVER, Exactly(2), |core, args| {
            let (number, size) = (args.number(0)?, args.size(1)? as usize);
            if number == 0 || size == 0 {
                return Err(args.refuse("invalid value"));
            }
            core.large_client_header_buffers.set(HeaderBuffers { number, size }, args)
        }),
        directive("server_tokens", HTTP, Exactly(1), |core, args| {
            let token = match args.word(0) {
                "on" => crate::SERVER_TOKEN,
                "off" => crate::SERVER_NAME,
                "build" => crate::SERVER_BUILD,
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            };
            core.server_tokens.set(token, args)
        }),
    ];
    const SETTINGS: &'static [Directive<Self>] = settings::ROWS;

    fn inherit(&mut self, outer: &Self, into: Block) {
        self.root.inherit(&outer.root);
        // An `if` is a part of its location; a nested location says for itself who may enter.
        self.internal |= outer.internal && into.is_unnamed();
        self.settings.inherit(&outer.settings);
        self.keepalive.inherit(&outer.keepalive);
        self.large_client_header_buffers.inherit(&outer.large_client_header_buffers);
        self.server_tokens.inherit(&outer.server_tokens);
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

    pub fn internal(&self) -> bool {
        self.internal
    }

    pub fn large_client_header_buffers(&self) -> HeaderBuffers {
        self.large_client_header_buffers.or(HeaderBuffers { number: 4, size: 8 << 10 })
    }

    /// What the `Server` field and the built-in pages say.
    pub fn server_token(&self) -> &'static str {
        self.server_tokens.or(crate::SERVER_TOKEN)
    }
}
