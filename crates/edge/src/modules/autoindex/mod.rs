//! `autoindex`: what is in a folder, for those who ask for the folder itself.
//!
//! A folder may be large and its disk slow, so that it is read, and its page written, by a thread
//! that answers nobody; a connection's thread only waits for the page.

mod folder; // what is in it
mod page; // as HTML, XML or JSON

use std::{
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use nix::errno::Errno;

use super::charset::Charset;
use crate::{
    conf::{ConfError, errno},
    engine::plan::{Answer, Content, Plan, Work},
    exchange::Exchange,
    load::{Arity::Exactly, Block, Directive, Module, Setting, Site, directive},
    log::Level,
    response::{Body, Response},
    vars::argument,
};
use folder::{Folder, Unreadable};
use page::{Page, Sizes, Times};

#[derive(Clone, Default)]
pub struct Autoindex {
    on: Setting<bool>,
    exact_size: Setting<bool>,
    local_time: Setting<bool>,
    format: Setting<Format>,
}

/// `autoindex_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Html,
    Xml,
    Json,
    /// JSON as the argument of a call, for scripts of other sites.
    Jsonp,
}

/// What is installed.
struct Handler {
    settings: Arc<Autoindex>,
    charset: Arc<Charset>,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];

/// A longer name of a function is none.
const LONGEST_CALLBACK: usize = 128;

impl Module for Autoindex {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("autoindex", BLOCKS, Exactly(1), |index, args| index.on.set(args.flag()?, args)),
        directive("autoindex_exact_size", BLOCKS, Exactly(1), |index, args| {
            index.exact_size.set(args.flag()?, args)
        }),
        directive("autoindex_localtime", BLOCKS, Exactly(1), |index, args| {
            index.local_time.set(args.flag()?, args)
        }),
        directive("autoindex_format", BLOCKS, Exactly(1), |index, args| {
            let format = match args.word(0) {
                "html" => Format::Html,
                "xml" => Format::Xml,
                "json" => Format::Json,
                "jsonp" => Format::Jsonp,
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            };
            index.format.set(format, args)
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.on.inherit(&outer.on);
        self.exact_size.inherit(&outer.exact_size);
        self.local_time.inherit(&outer.local_time);
        self.format.inherit(&outer.format);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        if self.on.or(false) {
            let charset = site.get::<Charset>();
            plan.content.push(Arc::new(Handler { settings: self, charset }));
        }
        Ok(())
    }
}

impl Content for Handler {
    fn answer<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Option<Answer>> {
        let asks = matches!(&exchange.request.method[..], b"GET" | b"HEAD");
        if !asks || !exchange.uri.ends_with(b"/") {
            return Work::Now(None);
        }
        Work::later(async { Some(self.list(exchange).await) })
    }
}

impl Handler {
    async fn list(&self, exchange: &mut Exchange) -> Answer {
        let Some(path) = exchange.location.core.map(exchange) else {
            return Answer::Status(404);
        };
        let path = without_slash(path);
        let format = match self.format(exchange) {
            Ok(format) => format,
            Err(status) => return Answer::Status(status),
        };
        let (kind, charset) = match &format {
            page::Format::Html { .. } => ("text/html", None),
            page::Format::Xml => ("text/xml", Some("utf-8")),
            page::Format::Json { callback: None } => ("application/json", None),
            page::Format::Json { .. } => ("application/javascript", None),
        };
        let headless = exchange.is_head();
        let read = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || read(&path, &format, headless)).await
        };
        let listed = match read {
            Ok(Ok(listed)) => listed,
            Ok(Err(error)) => return refuse(exchange, &error),
            Err(panic) => {
                exchange.log(Level::Alert, &format!("{panic} while reading a folder"));
                return Answer::Status(500);
            }
        };
        for error in &listed.passed_over {
            exchange.log(Level::Crit, &error.to_string());
        }
        let mut response = Response::new(200);
        response.content_type = Some(Bytes::from_static(kind.as_bytes()));
        response.charset = charset.map(|name| Bytes::from_static(name.as_bytes()));
        response.body = listed.page.map_or(Body::Absent(None), Body::Bytes);
        Answer::response(response)
    }

    fn format(&self, exchange: &Exchange) -> Result<page::Format, u16> {
        Ok(match self.settings.format.or(Format::Html) {
            Format::Html => {
                let charset = self.charset.destination(exchange, b"text/html");
                let is_utf8 = charset.is_some_and(|name| name.eq_ignore_ascii_case(b"utf-8"));
                let exact = self.settings.exact_size.or(true);
                let local = self.settings.local_time.or(false);
                page::Format::Html {
                    title: exchange.uri.clone(),
                    is_utf8,
                    sizes: if exact { Sizes::Exact } else { Sizes::Rounded },
                    times: if local { Times::Local } else { Times::Utc },
                }
            }
            Format::Xml => page::Format::Xml,
            Format::Json => page::Format::Json { callback: None },
            Format::Jsonp => page::Format::Json { callback: callback(exchange)? },
        })
    }
}

/// What the other thread gives back.
struct Listed {
    /// `None` for HEAD: nobody would see it.
    page: Option<Bytes>,
    passed_over: Vec<Unreadable>,
}

fn read(path: &Path, format: &page::Format, headless: bool) -> Result<Listed, Unreadable> {
    let folder = Folder::open(path)?;
    if headless {
        return Ok(Listed { page: None, passed_over: Vec::new() });
    }
    let (entries, passed_over) = folder.read(path)?;
    let page = Page::of(&entries, format);
    Ok(Listed { page: Some(page), passed_over })
}

/// The name of the function to be called, which must be nothing but a name: it becomes a part of a
/// script. `None`: none is wanted.
fn callback(exchange: &Exchange) -> Result<Option<Bytes>, u16> {
    let Some(name) = argument(exchange, "callback").filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let complain = |what: &str| {
        let text = String::from_utf8_lossy(&name);
        exchange.log(Level::Info, &format!("client sent {what} callback name: \"{text}\""));
        Err(400)
    };
    if name.len() > LONGEST_CALLBACK {
        return complain("too long");
    }
    if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')) {
        return complain("invalid");
    }
    Ok(Some(name))
}

fn without_slash(path: PathBuf) -> PathBuf {
    let mut bytes = path.into_os_string().into_vec();
    if bytes.len() > 1 && bytes.ends_with(b"/") {
        bytes.pop();
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

fn refuse(exchange: &Exchange, error: &Unreadable) -> Answer {
    let (level, status) = match error.errno {
        Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG => (Level::Error, 404),
        Errno::EACCES => (Level::Error, 403),
        _ => (Level::Crit, 500),
    };
    exchange.log(level, &error.to_string());
    Answer::Status(status)
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = String::from_utf8_lossy(self.path.as_os_str().as_bytes());
        write!(f, "{} \"{path}\" failed ({})", self.call, errno(&self.errno.into()))
    }
}
