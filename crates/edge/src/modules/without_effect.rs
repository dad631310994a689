//! Directives that only tune a mechanism of nginx's which is not here. They are read, so that a file
//! for nginx is taken and a wrong value is named, and do nothing; each line says why. What would
//! change what a client sees has no place in this list.

use std::sync::Arc;

use crate::{
    conf::ConfError,
    engine::plan::Plan,
    load::{
        Args,
        Arity::{Between, Exactly},
        Block, Directive, Module, Site, directive,
    },
};

#[derive(Default)]
pub struct WithoutEffect {
    /// What the block has said: a second time is a slip here as anywhere.
    said: Vec<String>,
}

const HTTP: &[Block] = &[Block::Http, Block::Server, Block::Location];
const SERVER: &[Block] = &[Block::Http, Block::Server];
const ONLY_HTTP: &[Block] = &[Block::Http];
const EVENTS: &[Block] = &[Block::Events];

impl Module for WithoutEffect {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        // Memory is asked for piece by piece, and not in pools.
        directive("connection_pool_size", SERVER, Exactly(1), size),
        directive("request_pool_size", SERVER, Exactly(1), size),
        // Tables grow as they need to.
        directive("server_names_hash_max_size", ONLY_HTTP, Exactly(1), number),
        directive("server_names_hash_bucket_size", ONLY_HTTP, Exactly(1), number),
        directive("variables_hash_max_size", ONLY_HTTP, Exactly(1), number),
        directive("variables_hash_bucket_size", ONLY_HTTP, Exactly(1), number),
        directive("map_hash_max_size", ONLY_HTTP, Exactly(1), number),
        directive("map_hash_bucket_size", ONLY_HTTP, Exactly(1), number),
        directive("types_hash_max_size", HTTP, Exactly(1), number),
        directive("types_hash_bucket_size", HTTP, Exactly(1), number),
        // Files are small and read at once, or go by sendfile: no buffers are filled with them first,
        // and no other thread reads them.
        directive("output_buffers", HTTP, Exactly(2), |tuning, args| {
            tuning.once(args)?;
            number_at(args, 0).and_then(|()| size_at(args, 1))
        }),
        directive("aio", HTTP, Exactly(1), |tuning, args| match args.word(0) {
            "on" | "off" | "threads" => tuning.once(args),
            word if word.starts_with("threads=") => tuning.once(args),
            _ => Err(args.refuse("invalid value")),
        }),
        directive("aio_write", HTTP, Exactly(1), flag),
        directive("read_ahead", HTTP, Exactly(1), size),
        directive("directio", HTTP, Exactly(1), size_or_off),
        directive("directio_alignment", HTTP, Exactly(1), size),
        directive("sendfile_max_chunk", HTTP, Exactly(1), size),
        // What there is leaves at once: a head takes its body along where it is there already.
        directive("postpone_output", HTTP, Exactly(1), size),
        // The compressor asks for its memory itself, and gives out what it has at once.
        directive("gzip_buffers", HTTP, Exactly(2), |_, args| {
            number_at(args, 0).and_then(|()| size_at(args, 1))
        }),
        directive("gzip_window", HTTP, Exactly(1), size),
        directive("gzip_hash", HTTP, Exactly(1), size),
        directive("gzip_no_buffer", HTTP, Exactly(1), flag),
        directive("postpone_gzipping", HTTP, Exactly(1), size),
        // A page goes by as a stream: no part of it is a file, and no buffer of it is filled twice.
        directive("ssi_min_file_chunk", HTTP, Exactly(1), size),
        directive("ssi_ignore_recycled_buffers", HTTP, Exactly(1), flag),
        // nginx, too, ignores it on Linux.
        directive("send_lowat", HTTP, Exactly(1), size),
        directive("proxy_send_lowat", HTTP, Exactly(1), size),
        directive("fastcgi_send_lowat", HTTP, Exactly(1), size),
        // How many of the kernel's reports are taken at once is the runtime's business.
        directive("epoll_events", EVENTS, Exactly(1), number),
        directive("worker_aio_requests", EVENTS, Exactly(1), number),
        // Each thread accepts as long as there is something to accept, one at a time.
        directive("multi_accept", EVENTS, Exactly(1), flag),
        // The threads share connections out among themselves; there is nothing to take turns for.
        directive("accept_mutex", EVENTS, Exactly(1), flag),
        directive("accept_mutex_delay", EVENTS, Exactly(1), time),
        // A lock file is for `accept_mutex` on systems without atomic operations.
        directive("lock_file", &[Block::Main], Exactly(1), WithoutEffect::once),
        // Every pattern is compiled to machine code where the library can.
        directive("pcre_jit", &[Block::Main], Exactly(1), flag),
        // The clock is read when a line is written.
        directive("timer_resolution", &[Block::Main], Exactly(1), |_, args| args.time(0).map(drop)),
        // Pools for `aio threads`, above.
        directive("thread_pool", &[Block::Main], Between(2, 3), |_, _| Ok(())),
        // Stops nginx in a debugger where it finds itself at fault.
        directive("debug_points", &[Block::Main], Exactly(1), |tuning, args| match args.word(0) {
            "stop" | "abort" => tuning.once(args),
            word => Err(args.complain(format!("invalid value \"{word}\""))),
        }),
    ];

    fn inherit(&mut self, _outer: &Self, _into: Block) {}

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl WithoutEffect {
    fn once(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let name = &args.node.name.text;
        if self.said.contains(name) {
            return Err(args.refuse("is duplicate"));
        }
        self.said.push(name.clone());
        Ok(())
    }
}

fn flag(tuning: &mut WithoutEffect, args: &mut Args<'_>) -> Result<(), ConfError> {
    tuning.once(args)?;
    args.flag().map(drop)
}

fn number(tuning: &mut WithoutEffect, args: &mut Args<'_>) -> Result<(), ConfError> {
    tuning.once(args)?;
    number_at(args, 0)
}

fn size(tuning: &mut WithoutEffect, args: &mut Args<'_>) -> Result<(), ConfError> {
    tuning.once(args)?;
    size_at(args, 0)
}

fn size_or_off(tuning: &mut WithoutEffect, args: &mut Args<'_>) -> Result<(), ConfError> {
    if args.word(0) == "off" { tuning.once(args) } else { size(tuning, args) }
}

fn time(tuning: &mut WithoutEffect, args: &mut Args<'_>) -> Result<(), ConfError> {
    tuning.once(args)?;
    args.time(0).map(drop)
}

fn number_at(args: &Args<'_>, index: usize) -> Result<(), ConfError> {
    args.number::<u64>(index).map(drop)
}

fn size_at(args: &Args<'_>, index: usize) -> Result<(), ConfError> {
    args.size(index).map(drop)
}
