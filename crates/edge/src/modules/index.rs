//! `index`: which file stands for its folder. The first that exists is fetched by an internal
//! redirect, so that the location of that name decides how.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use nix::errno::Errno;

use super::{open_file_cache::OpenFileCache, static_files::failure};
use crate::{
    body::file::{self, Kind, Opening},
    conf::ConfError,
    engine::plan::{Answer, Content, Plan, Work},
    exchange::Exchange,
    load::{Args, Arity::AtLeast, Block, Directive, List, Module, Site, directive},
    log::Level,
    vars::Template,
};

#[derive(Clone, Default)]
pub struct Index {
    files: List<Template>,
}

struct Handler {
    files: Vec<Template>,
    opening: Opening,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for Index {
    const DIRECTIVES: &'static [Directive<Self>] =
        &[directive("index", BLOCKS, AtLeast(1), Index::add)];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.files.inherit(&outer.files);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        let mut files = self.files.to_vec();
        if files.is_empty() {
            files.push(Template::literal("index.html"));
        }
        let opening = site.get::<OpenFileCache>().opening();
        plan.content.push(Arc::new(Handler { files, opening }));
        Ok(())
    }
}

impl Index {
    fn add(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        for place in 0..args.len() {
            let word = &args.words()[place];
            if word.text.is_empty() {
                let message = format!("index \"{}\" in \"index\" directive is invalid", word.text);
                return Err(args.complain(message));
            }
            if word.text.starts_with('/') && place + 1 < args.len() {
                let message = "only the last index in \"index\" directive should be absolute";
                let warning = word.span.error(message);
                args.loader.warnings.push(warning);
            }
            let file = args.template(place)?;
            self.files.push(file);
        }
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
        let asks = matches!(&exchange.request.method[..], b"GET" | b"HEAD" | b"POST");
        if !exchange.uri.ends_with(b"/") || !asks {
            return None;
        }
        let location = Arc::clone(&exchange.location);
        let mut folder_is_there = false;
        for file in &self.files {
            let name = file.render(exchange);
            if name.first() == Some(&b'/') {
                return Some(Answer::Redirect { uri: name, args: None });
            }
            let uri = Bytes::from([&exchange.uri[..], &name[..]].concat());
            let path = location.core.map_uri(exchange, &uri);
            let Some(path) = path else { return Some(Answer::Status(404)) };
            let Err(error) = file::look(&path, &self.opening.of(exchange)) else {
                return Some(Answer::Redirect { uri, args: None });
            };
            match error.errno {
                Errno::ELOOP | Errno::EMLINK => return Some(Answer::Status(403)),
                Errno::ENOTDIR | Errno::ENAMETOOLONG | Errno::EACCES => {
                    return Some(missing(exchange, &path, error.errno));
                }
                _ => (),
            }
            if !folder_is_there {
                if let Some(answer) = self.test_folder(exchange, &path) {
                    return Some(answer);
                }
                folder_is_there = true;
            }
            if error.errno != Errno::ENOENT {
                exchange.log(Level::Crit, &failure(&path, &error));
                return Some(Answer::Status(500));
            }
        }
        None
    }

    /// A missing index of a missing folder is 404, and not "forbidden to list".
    fn test_folder(&self, exchange: &Exchange, path: &Path) -> Option<Answer> {
        let folder = path.parent().unwrap_or(path);
        match file::look(folder, &self.opening.of(exchange)) {
            Ok(seen) if seen.kind == Kind::Directory => None,
            Ok(_) => {
                let message = format!("\"{}\" is not a directory", folder.display());
                exchange.log(Level::Alert, &message);
                Some(Answer::Status(500))
            }
            // Searching it was allowed, since its file was "not found"; the next name may be.
            Err(error) if error.errno == Errno::EACCES => None,
            Err(error) if error.errno == Errno::ENOENT => {
                Some(missing(exchange, path, Errno::ENOENT))
            }
            Err(error) => {
                exchange.log(Level::Crit, &failure(folder, &error));
                Some(Answer::Status(500))
            }
        }
    }
}

fn missing(exchange: &Exchange, path: &Path, errno: Errno) -> Answer {
    let why = crate::conf::errno(&errno.into());
    if errno == Errno::EACCES {
        let message = format!("\"{}\" is forbidden ({why})", path.display());
        exchange.log(Level::Error, &message);
        return Answer::Status(403);
    }
    if exchange.location.core.log_not_found() {
        let message = format!("\"{}\" is not found ({why})", path.display());
        exchange.log(Level::Error, &message);
    }
    Answer::Status(404)
}
