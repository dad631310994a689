//! The directives every passing family has, `proxy_read_timeout` and `fastcgi_read_timeout` alike:
//! one definition, and one row for each family.

use std::{path::PathBuf, time::Duration};

use super::response::Ignored;
use crate::{
    conf::ConfError,
    load::{Args, Block, List, Setting},
    upstream::{NextUpstream, parse_local},
    vars::Template,
};

#[derive(Clone, Default)]
pub struct Passing {
    pub(super) hide_header: List<String>,
    pub(super) pass_header: List<String>,
    pub(super) ignore_headers: Setting<Ignored>,
    pub(in crate::modules) pass_request_headers: Setting<bool>,
    pub(in crate::modules) pass_request_body: Setting<bool>,
    pub(in crate::modules) intercept_errors: Setting<bool>,
    pub(in crate::modules) ignore_client_abort: Setting<bool>,
    pub(in crate::modules) connect_timeout: Setting<Duration>,
    pub(in crate::modules) send_timeout: Setting<Duration>,
    pub(in crate::modules) read_timeout: Setting<Duration>,
    pub(in crate::modules) next_upstream: Setting<NextUpstream>,
    pub(in crate::modules) next_upstream_tries: Setting<usize>,
    pub(in crate::modules) next_upstream_timeout: Setting<Duration>,
    pub(in crate::modules) buffering: Setting<bool>,
    pub(in crate::modules) request_buffering: Setting<bool>,
    pub(in crate::modules) buffers: Setting<(usize, usize)>,
    pub(in crate::modules) buffer_size: Setting<usize>,
    pub(in crate::modules) busy_buffers_size: Setting<u64>,
    pub(in crate::modules) max_temp_file_size: Setting<u64>,
    pub(in crate::modules) temp_file_write_size: Setting<u64>,
    pub(in crate::modules) temp_path: Setting<PathBuf>,
    /// `None`: `off`.
    pub(in crate::modules) bind: Setting<Option<Template>>,
    pub(in crate::modules) force_ranges: Setting<bool>,
    pub(in crate::modules) limit_rate: Setting<Template>,
    pub(in crate::modules) socket_keepalive: Setting<bool>,
    pub(in crate::modules) socket_rcvbuf: Setting<u32>,
    pub(in crate::modules) socket_sndbuf: Setting<u32>,
}

/// Where they may stand.
pub const PLACES: &[Block] = &[Block::Http, Block::Server, Block::Location];

/// What a row does.
pub type Set = fn(&mut Passing, &mut Args<'_>) -> Result<(), ConfError>;

/// A passing family's table: its own rows, and after them those of [`Passing`], which it keeps in a
/// field of that name, under the family's prefix.
macro_rules! passing_directives {
    (@rows $prefix:literal, [$($own:expr),*],
        $($suffix:literal, $arity:ident($($words:literal),*), $set:expr;)*) => {
        &[
            $($own,)*
            $($crate::load::directive(
                concat!($prefix, $suffix),
                $crate::modules::passing::PLACES,
                $crate::load::Arity::$arity($($words),*),
                |family, args| {
                    let set: $crate::modules::passing::Set = $set;
                    set(&mut family.passing, args)
                },
            ),)*
        ]
    };
    ($prefix:literal, $($own:expr),* $(,)?) => {
        $crate::modules::passing::passing_directives!(@rows $prefix, [$($own),*],
            "_hide_header", Exactly(1), $crate::modules::passing::Passing::add_hidden;
            "_pass_header", Exactly(1), $crate::modules::passing::Passing::add_passed;
            "_ignore_headers", AtLeast(1), $crate::modules::passing::Passing::set_ignored;
            "_pass_request_headers", Exactly(1), |passing, args| {
                passing.pass_request_headers.set(args.flag()?, args)
            };
            "_pass_request_body", Exactly(1), |passing, args| {
                passing.pass_request_body.set(args.flag()?, args)
            };
            "_intercept_errors", Exactly(1), |passing, args| {
                passing.intercept_errors.set(args.flag()?, args)
            };
            "_ignore_client_abort", Exactly(1), |passing, args| {
                passing.ignore_client_abort.set(args.flag()?, args)
            };
            "_connect_timeout", Exactly(1), |passing, args| {
                passing.connect_timeout.set(args.time(0)?, args)
            };
            "_send_timeout", Exactly(1), |passing, args| {
                passing.send_timeout.set(args.time(0)?, args)
            };
            "_read_timeout", Exactly(1), |passing, args| {
                passing.read_timeout.set(args.time(0)?, args)
            };
            "_next_upstream", AtLeast(1), $crate::modules::passing::Passing::set_next_upstream;
            "_next_upstream_tries", Exactly(1), |passing, args| {
                passing.next_upstream_tries.set(args.number(0)?, args)
            };
            "_next_upstream_timeout", Exactly(1), |passing, args| {
                passing.next_upstream_timeout.set(args.time(0)?, args)
            };
            "_buffering", Exactly(1), |passing, args| passing.buffering.set(args.flag()?, args);
            "_request_buffering", Exactly(1), |passing, args| {
                passing.request_buffering.set(args.flag()?, args)
            };
            "_buffers", Exactly(2), $crate::modules::passing::Passing::set_buffers;
            "_buffer_size", Exactly(1), |passing, args| {
                passing.buffer_size.set(args.size(0)? as usize, args)
            };
            // How much may be on its way to the client at once: that is the socket's business here,
            // and the size is read so that a wrong one is named.
            "_busy_buffers_size", Exactly(1), |passing, args| {
                passing.busy_buffers_size.set(args.size(0)?, args)
            };
            "_max_temp_file_size", Exactly(1), |passing, args| {
                passing.max_temp_file_size.set(args.size(0)?, args)
            };
            // What is read at once is written at once.
            "_temp_file_write_size", Exactly(1), |passing, args| {
                passing.temp_file_write_size.set(args.size(0)?, args)
            };
            "_temp_path", Between(1, 4), |passing, args| {
                args.loader.folders.push(args.path(0));
                passing.temp_path.set(args.path(0), args)
            };
            "_bind", Between(1, 2), $crate::modules::passing::Passing::set_bind;
            "_force_ranges", Exactly(1), |passing, args| {
                passing.force_ranges.set(args.flag()?, args)
            };
            "_limit_rate", Exactly(1), |passing, args| {
                let rate = args.rate(0)?;
                passing.limit_rate.set(rate, args)
            };
            "_socket_keepalive", Exactly(1), |passing, args| {
                passing.socket_keepalive.set(args.flag()?, args)
            };
            "_socket_rcvbuf", Exactly(1), |passing, args| {
                passing.socket_rcvbuf.set(args.size(0)? as u32, args)
            };
            "_socket_sndbuf", Exactly(1), |passing, args| {
                passing.socket_sndbuf.set(args.size(0)? as u32, args)
            };
            "_cache", Exactly(1), $crate::modules::passing::Passing::only_off;
            "_store", Exactly(1), $crate::modules::passing::Passing::only_off;
        )
    };
}
pub(in crate::modules) use passing_directives;

impl Passing {
    pub fn inherit(&mut self, outer: &Passing) {
        self.hide_header.inherit(&outer.hide_header);
        self.pass_header.inherit(&outer.pass_header);
        self.ignore_headers.inherit(&outer.ignore_headers);
        self.pass_request_headers.inherit(&outer.pass_request_headers);
        self.pass_request_body.inherit(&outer.pass_request_body);
        self.intercept_errors.inherit(&outer.intercept_errors);
        self.ignore_client_abort.inherit(&outer.ignore_client_abort);
        self.connect_timeout.inherit(&outer.connect_timeout);
        self.send_timeout.inherit(&outer.send_timeout);
        self.read_timeout.inherit(&outer.read_timeout);
        self.next_upstream.inherit(&outer.next_upstream);
        self.next_upstream_tries.inherit(&outer.next_upstream_tries);
        self.next_upstream_timeout.inherit(&outer.next_upstream_timeout);
        self.buffering.inherit(&outer.buffering);
        self.request_buffering.inherit(&outer.request_buffering);
        self.buffers.inherit(&outer.buffers);
        self.buffer_size.inherit(&outer.buffer_size);
        self.busy_buffers_size.inherit(&outer.busy_buffers_size);
        self.max_temp_file_size.inherit(&outer.max_temp_file_size);
        self.temp_file_write_size.inherit(&outer.temp_file_write_size);
        self.temp_path.inherit(&outer.temp_path);
        self.bind.inherit(&outer.bind);
        self.force_ranges.inherit(&outer.force_ranges);
        self.limit_rate.inherit(&outer.limit_rate);
        self.socket_keepalive.inherit(&outer.socket_keepalive);
        self.socket_rcvbuf.inherit(&outer.socket_rcvbuf);
        self.socket_sndbuf.inherit(&outer.socket_sndbuf);
    }

    pub fn add_hidden(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        self.hide_header.push(args.word(0).to_ascii_lowercase());
        Ok(())
    }

    pub fn add_passed(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        self.pass_header.push(args.word(0).to_ascii_lowercase());
        Ok(())
    }

    pub fn set_ignored(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let mut ignored = Ignored::default();
        for place in 0..args.len() {
            match args.word(place) {
                "X-Accel-Redirect" => ignored.redirect = true,
                "X-Accel-Buffering" => ignored.buffering = true,
                "X-Accel-Charset" => ignored.charset = true,
                "X-Accel-Limit-Rate" => ignored.limit_rate = true,
                // About caches, of which there are none here: to ignore them is all there is.
                "X-Accel-Expires" | "Expires" | "Cache-Control" | "Set-Cookie" | "Vary" => (),
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            }
        }
        self.ignore_headers.set(ignored, args)
    }

    pub fn set_next_upstream(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let mut next = NextUpstream::OFF;
        for place in 0..args.len() {
            let word = args.word(place);
            let known = NextUpstream::parse(word);
            next =
                next.with(known.ok_or_else(|| args.complain(format!("invalid value \"{word}\"")))?);
        }
        if args.words().iter().any(|word| word.text == "off") {
            next = NextUpstream::OFF;
        }
        self.next_upstream.set(next, args)
    }

    pub fn set_buffers(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let (number, size) = (args.number(0)?, args.size(1)? as usize);
        if number < 2 || size == 0 {
            let name = &args.node.name.text;
            return Err(args.complain(format!("there must be at least 2 \"{name}\"")));
        }
        self.buffers.set((number, size), args)
    }

    /// `off`, or an address, which is looked at here where no variable stands in its place.
    pub fn set_bind(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        match args.get(1) {
            None => (),
            Some("transparent") => {
                let message = "\"transparent\": nginx has this; the edge does not yet";
                return Err(args.complain(message));
            }
            Some(_) => return Err(args.invalid_parameter(1)),
        }
        if args.word(0) == "off" {
            return self.bind.set(None, args);
        }
        let address = args.template(0)?;
        if let Some(text) = address.as_literal() {
            let text = String::from_utf8_lossy(&text);
            if parse_local(&text).is_none() {
                return Err(args.complain(format!("invalid address \"{text}\"")));
            }
        }
        self.bind.set(Some(address), args)
    }

    /// What is off unless it is said, and can not be had.
    pub fn only_off(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        if args.word(0) == "off" {
            return Ok(());
        }
        Err(args.refuse("is not to be had: nginx has this; the edge does not yet"))
    }
}
