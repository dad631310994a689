//! `http2` and its limits. The protocol itself is `connection/http2/`.

use std::sync::Arc;

use bytes::Bytes;
use http2::MAX_WINDOW;

use crate::{
    conf::ConfError,
    engine::plan::Plan,
    exchange::Protocol,
    load::{Arity::Exactly, Block, Directive, Module, Setting, Site, directive},
    vars::{Variable, variable},
};

#[derive(Clone, Default)]
pub struct Http2 {
    on: Setting<bool>,
    max_concurrent_streams: Setting<usize>,
    body_preread_size: Setting<u32>,
    chunk_size: Setting<usize>,
    recv_buffer_size: Setting<usize>,
}

const HTTP: &[Block] = &[Block::Http];
const SERVER: &[Block] = &[Block::Http, Block::Server];
const LOCATION: &[Block] = &[Block::Http, Block::Server, Block::Location];

/// The least and the most a frame of a body holds, as in nginx.
const SMALLEST_CHUNK: u64 = 1;
const LARGEST_CHUNK: u64 = (1 << 24) - 1;

/// The least that is worth reading at once.
const SMALLEST_READ: u64 = 1024;

/// Said once, and counting for nothing since: who upgrades from an old nginx is told.
const fn obsolete(name: &'static str, blocks: &'static [Block]) -> Directive<Http2> {
    directive(name, blocks, Exactly(1), |_, args| {
        let name = args.node.name.text.clone();
        let instead = match &name[..] {
            "http2_recv_timeout" => Some("client_header_timeout"),
            "http2_idle_timeout" => Some("keepalive_timeout"),
            "http2_max_requests" => Some("keepalive_requests"),
            "http2_max_field_size" | "http2_max_header_size" => Some("large_client_header_buffers"),
            _ => None,
        };
        let warning = args.complain(match instead {
            Some(other) => format!(
                "the \"{name}\" directive is obsolete, use the \"{other}\" directive instead"
            ),
            None => format!("the \"{name}\" directive is obsolete, ignored"),
        });
        args.loader.warnings.push(warning);
        Ok(())
    })
}

impl Module for Http2 {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("http2", SERVER, Exactly(1), |http2, args| http2.on.set(args.flag()?, args)),
        directive("http2_max_concurrent_streams", SERVER, Exactly(1), |http2, args| {
            http2.max_concurrent_streams.set(args.number(0)?, args)
        }),
        directive("http2_body_preread_size", SERVER, Exactly(1), |http2, args| {
            let most = MAX_WINDOW;
            let size = u32::try_from(args.size(0)?).ok().filter(|size| *size <= most);
            let size = size.ok_or_else(|| {
                args.complain(format!("the maximum body preread buffer size is {most}"))
            })?;
            http2.body_preread_size.set(size, args)
        }),
        directive("http2_chunk_size", LOCATION, Exactly(1), |http2, args| {
            let size = args.size(0)?;
            if size < SMALLEST_CHUNK {
                return Err(args.complain("the http2 chunk size cannot be zero"));
            }
            http2.chunk_size.set(size.min(LARGEST_CHUNK) as usize, args)
        }),
        directive("http2_recv_buffer_size", HTTP, Exactly(1), |http2, args| {
            let size = args.size(0)?;
            if size < SMALLEST_READ {
                return Err(args.refuse("value is too small"));
            }
            http2.recv_buffer_size.set(size as usize, args)
        }),
        // Pools and an index of streams: memory is asked for as it is needed, and streams are found
        // by their numbers.
        directive("http2_pool_size", SERVER, Exactly(1), |_, args| args.size(0).map(|_| ())),
        directive("http2_streams_index_size", SERVER, Exactly(1), |_, args| {
            args.number::<usize>(0).map(|_| ())
        }),
        obsolete("http2_recv_timeout", SERVER),
        obsolete("http2_idle_timeout", SERVER),
        obsolete("http2_max_requests", SERVER),
        obsolete("http2_max_field_size", SERVER),
        obsolete("http2_max_header_size", SERVER),
        obsolete("http2_max_concurrent_pushes", SERVER),
        obsolete("http2_push", LOCATION),
        obsolete("http2_push_preload", LOCATION),
    ];

    const VARIABLES: &'static [Variable] = &[variable("http2", |exchange, _| {
        Some(Bytes::from_static(match exchange.request.version {
            Protocol::Http2 if exchange.client.peer.tls().is_some() => b"h2",
            Protocol::Http2 => b"h2c",
            _ => b"",
        }))
    })];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.on.inherit(&outer.on);
        self.max_concurrent_streams.inherit(&outer.max_concurrent_streams);
        self.body_preread_size.inherit(&outer.body_preread_size);
        self.chunk_size.inherit(&outer.chunk_size);
        self.recv_buffer_size.inherit(&outer.recv_buffer_size);
    }

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl Http2 {
    pub fn on(&self) -> bool {
        self.on.or(false)
    }

    pub fn max_concurrent_streams(&self) -> usize {
        self.max_concurrent_streams.or(128)
    }

    /// What of a body may come before somebody wants it.
    pub fn body_preread_size(&self) -> u32 {
        self.body_preread_size.or(64 << 10)
    }

    /// What one frame of a body holds at most.
    pub fn chunk_size(&self) -> usize {
        self.chunk_size.or(8 << 10)
    }

    /// What is read of a connection at once.
    pub fn recv_buffer_size(&self) -> usize {
        self.recv_buffer_size.or(256 << 10)
    }
}
