//! `client_body_*`, `client_max_body_size`: how a request's body is read, and where it is kept until
//! somebody wants it. The reading itself is `body/`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    body::{Keep, SpoolRules, TempFolder},
    conf::ConfError,
    engine::plan::Plan,
    exchange::Exchange,
    load::{
        Args,
        Arity::{Between, Exactly},
        Block, Directive, Module, Setting, Site, directive,
    },
    vars::{Variable, volatile},
};

#[derive(Clone, Default)]
pub struct ClientBody {
    max_size: Setting<u64>,
    buffer_size: Setting<u64>,
    temp_path: Setting<TempFolder>,
    timeout: Setting<Duration>,
    in_file_only: Setting<Keep>,
    in_single_buffer: Setting<bool>,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for ClientBody {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("client_max_body_size", BLOCKS, Exactly(1), |body, args| {
            body.max_size.set(args.size(0)?, args)
        }),
        directive("client_body_buffer_size", BLOCKS, Exactly(1), |body, args| {
            body.buffer_size.set(args.size(0)?, args)
        }),
        directive("client_body_temp_path", BLOCKS, Between(1, 4), |body, args| {
            args.loader.folders.push(args.path(0));
            body.temp_path.set(temp_folder(args)?, args)
        }),
        directive("client_body_timeout", BLOCKS, Exactly(1), |body, args| {
            body.timeout.set(args.time(0)?, args)
        }),
        directive("client_body_in_file_only", BLOCKS, Exactly(1), |body, args| {
            let keep = match args.word(0) {
                "off" => Keep::AsItFits,
                "on" => Keep::File,
                "clean" => Keep::FileForNow,
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            };
            body.in_file_only.set(keep, args)
        }),
        directive("client_body_in_single_buffer", BLOCKS, Exactly(1), |body, args| {
            body.in_single_buffer.set(args.flag()?, args)
        }),
    ];

    const VARIABLES: &'static [Variable] = &[
        volatile("request_body", |exchange, _| {
            exchange.body.spooled()?.in_memory().filter(|body| !body.is_empty())
        }),
        volatile("request_body_file", request_body_file),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.max_size.inherit(&outer.max_size);
        self.buffer_size.inherit(&outer.buffer_size);
        self.temp_path.inherit(&outer.temp_path);
        self.timeout.inherit(&outer.timeout);
        self.in_file_only.inherit(&outer.in_file_only);
        self.in_single_buffer.inherit(&outer.in_single_buffer);
    }

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl ClientBody {
    /// 0 is no limit.
    pub fn max_size(&self) -> u64 {
        self.max_size.or(1 << 20)
    }

    pub fn timeout(&self) -> Duration {
        self.timeout.or(Duration::from_mins(1))
    }

    /// Whether every body goes to a file, however small.
    pub fn in_file_only(&self) -> bool {
        self.in_file_only.or(Keep::AsItFits) != Keep::AsItFits
    }

    pub fn spool_rules(&self) -> SpoolRules<'_> {
        SpoolRules {
            memory: self.buffer_size.or(16 << 10),
            folder: self.temp_path.said().expect("`http` is taken to say it"),
            timeout: self.timeout(),
            keep: self.in_file_only.or(Keep::AsItFits),
            single_buffer: self.in_single_buffer.or(false),
        }
    }
}

/// The folder, and how many of a name's last digits each level of folders in it takes.
fn temp_folder(args: &Args<'_>) -> Result<TempFolder, ConfError> {
    let mut levels = Vec::new();
    for place in 1..args.len() {
        let level = args.number(place).ok().filter(|level| *level > 0);
        levels.push(level.ok_or_else(|| args.refuse("invalid value"))?);
    }
    TempFolder::new(args.path(0), levels).ok_or_else(|| args.refuse("invalid value"))
}

fn request_body_file(exchange: &Exchange, _: &str) -> Option<Bytes> {
    use std::os::unix::ffi::OsStrExt;

    let path = exchange.body.spooled()?.path()?;
    Some(Bytes::copy_from_slice(path.as_os_str().as_bytes()))
}
