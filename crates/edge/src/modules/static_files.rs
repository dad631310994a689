//! Files: what a location without a handler of its own answers with. The last of the content phase.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use nix::errno::Errno;

use super::{open_file_cache::OpenFileCache, types::Types};
use crate::{
    body::file::{self, Kind, OpenError, Opening},
    conf::{ConfError, errno},
    engine::plan::{Answer, Content, Plan, Work},
    exchange::Exchange,
    load::{Arity::Exactly, Block, Directive, Module, Setting, Site, directive},
    log::Level,
    response::Response,
    uri,
};

#[derive(Clone, Default)]
pub struct StaticFiles {
    etag: Setting<bool>,
}

/// What is installed: the settings of this family and of those that say how files are opened.
struct Handler {
    etag: bool,
    opening: Opening,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for StaticFiles {
    const DIRECTIVES: &'static [Directive<Self>] =
        &[directive("etag", BLOCKS, Exactly(1), |files: &mut StaticFiles, args| {
            files.etag.set(args.flag()?, args)
        })];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.etag.inherit(&outer.etag);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        let opening = site.get::<OpenFileCache>().opening();
        plan.content.push(Arc::new(Handler { etag: self.etag.or(true), opening }));
        Ok(())
    }
}

impl Content for Handler {
    fn answer<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Option<Answer>> {
        Work::Now(self.answer_now(exchange))
    }
}

impl Handler {
    fn answer_now(&self, exchange: &mut Exchange) -> Option<Answer> {
        if !matches!(&exchange.request.method[..], b"GET" | b"HEAD" | b"POST") {
            return Some(Answer::Status(405));
        }
        if exchange.uri.ends_with(b"/") {
            return None;
        }
        let location = Arc::clone(&exchange.location);
        let Some(path) = location.core.map(exchange) else {
            return Some(Answer::Status(404));
        };
        let file = match file::open(&path, &self.opening) {
            Ok(file) => file,
            Err(error) => return Some(Answer::Status(refuse(exchange, &path, &error))),
        };
        match file.kind {
            Kind::Regular => (),
            Kind::Directory => return Some(with_slash(exchange)),
            Kind::Other => {
                let message = format!("\"{}\" is not a regular file", path.display());
                exchange.log(Level::Crit, &message);
                return Some(Answer::Status(404));
            }
        }
        if exchange.request.method == "POST" {
            return Some(Answer::Status(405));
        }
        let mut response = Response::new(200);
        response.content_type = Types::of(exchange);
        response.last_modified = u64::try_from(file.modified).ok();
        if self.etag {
            response.headers.push(Bytes::from_static(b"ETag"), file.etag.clone());
        }
        response.body = file.body();
        response.ranges = true;
        Some(Answer::response(response))
    }
}

/// `/folder` to `/folder/`, for the client to follow: what is in it may be named relative to it.
fn with_slash(exchange: &Exchange) -> Answer {
    let mut to = Vec::with_capacity(exchange.uri.len() + exchange.args.len() + 2);
    uri::escape_into(&exchange.uri, &mut to);
    to.push(b'/');
    if !exchange.args.is_empty() {
        to.push(b'?');
        to.extend_from_slice(&exchange.args);
    }
    Answer::response(Response::redirect(exchange, 301, to.into()))
}

/// The status of a file that can not be opened, with its line in the log.
fn refuse(exchange: &Exchange, path: &Path, error: &OpenError) -> u16 {
    let (level, status) = match error.errno {
        Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG => (Level::Error, 404),
        Errno::EACCES | Errno::ELOOP | Errno::EMLINK => (Level::Error, 403),
        _ => (Level::Crit, 500),
    };
    if status != 404 || exchange.location.core.log_not_found() {
        exchange.log(level, &failure(path, error));
    }
    status
}

/// `open() "/x" failed (2: No such file or directory)`.
pub(super) fn failure(path: &Path, error: &OpenError) -> String {
    let why = errno(&error.errno.into());
    format!("{} \"{}\" failed ({why})", error.call, path.display())
}
